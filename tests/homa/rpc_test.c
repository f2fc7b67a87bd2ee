/*
 * Whole RPCs between two engines: what the application sees, from request to tombstone.
 */
#include "homa/engine_support.h"

#include <errno.h>

/* One RPC each way of these lengths; returns how long it took. */
static uint64_t run_one(struct lab *lab, uint32_t request, uint32_t response)
{
    struct lab_message message;
    uint64_t began = lab->now;
    uint64_t id = lab_request(lab, 0, 1, request, 7);

    assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, 10 * LAB_S));
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 7, &message), 0);
    assert_int_equal(message.info.id, id | 1);
    assert_int_equal(message.info.length, request);
    assert_int_equal(message.info.cookie, 0);
    assert_int_equal(lab_reply(lab, 1, 0, message.info.id, response, 9), 0);
    assert_true(lab_run_ready(lab, 0, HOMA_TAKE_RESPONSE, 10 * LAB_S));
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 9, &message), 0);
    assert_int_equal(message.info.id, id);
    assert_int_equal(message.info.length, response);
    assert_int_equal(message.info.cookie, 7);
    assert_int_equal(message.info.error, 0);
    return lab->now - began;
}

static void a_small_rpc_takes_one_round_trip(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    assert_int_equal(run_one(lab, 100, 100), 2 * lab->latency);
    assert_true(lab_run_quiet(lab, LAB_S));
    lab_assert_idle(lab);
    lab_close(lab);
}

static void messages_of_every_kind_of_length_arrive_intact(void **state)
{
    static const uint32_t lengths[] = {1,     2,     1399,  1400,  1401,   39999,  40000,
                                       40001, 65535, 65536, 65537, 131072, 500000, 1000000};
    struct lab *lab = lab_open(2);

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        run_one(lab, lengths[i], 1);
        run_one(lab, 1, lengths[i]);
        run_one(lab, lengths[i], lengths[i]);
    }
    assert_int_equal(lab_counters(lab, 0)->resent_packets, 0);
    assert_int_equal(lab_counters(lab, 1)->resent_packets, 0);
    assert_int_equal(lab_counters(lab, 0)->packets_sent[HOMA_RESEND - HOMA_DATA], 0);
    assert_true(lab_run_quiet(lab, LAB_S));
    lab_assert_idle(lab);
    lab_close(lab);
}

static void loss_and_reordering_delay_messages_but_never_spoil_them(void **state)
{
    struct lab *lab = lab_open(2);
    uint32_t done = 0;

    (void)state;
    lab->drop = 0.05;
    lab->duplicate = 0.02;
    lab->jitter = 50 * LAB_US;
    lab->hosts[1].is_echo = true;
    for (uint32_t i = 1; i <= 200; i++)
        lab_request(lab, 0, 1, i * 997 % 100000 + 1, i);
    while (done < 200) {
        struct lab_message message;

        assert_true(lab_run_ready(lab, 0, HOMA_TAKE_RESPONSE, 5 * LAB_S));
        assert_int_equal(lab_take_only(lab, 0, HOMA_TAKE_RESPONSE, &message), 0);
        assert_int_equal(message.info.error, 0);
        lab_assert_pattern(lab, 0, &message, (uint32_t)message.info.cookie);
        lab_give_back(lab, 0, &message);
        done++;
    }
    assert_int_equal(lab->hosts[1].served, 200);
    lab->drop = 0;
    assert_true(lab_run_quiet(lab, 10 * LAB_S));
    lab_assert_idle(lab);
    lab_close(lab);
}

static void each_packet_twice_makes_each_rpc_happen_once(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;
    unsigned done = 0;

    (void)state;
    lab->duplicate = 1;
    lab->jitter = 30 * LAB_US;
    lab->hosts[1].is_echo = true;
    for (uint32_t i = 1; i <= 50; i++)
        lab_request(lab, 0, 1, i * 2000, i);
    lab_run(lab, LAB_S);
    while (lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message) == 0) {
        assert_int_equal(message.info.error, 0);
        done++;
    }
    assert_int_equal(done, 50);
    assert_int_equal(lab->hosts[1].served, 50);
    assert_true(lab_run_quiet(lab, LAB_S));
    lab_assert_idle(lab);
    lab_close(lab);
}

/* Host 1's peers are lost one packet of each type in turn. */
static enum lab_fate lose_the_nth_of_a_type(struct lab *lab, const struct lab_packet *packet)
{
    const unsigned *wanted = lab->context; /* type, n */

    return packet->decoded.type == wanted[0] && lab->count++ == wanted[1] ? LAB_DROP : LAB_DELIVER;
}

static void any_single_packet_may_be_lost(void **state)
{
    static const unsigned types[] = {HOMA_DATA,    HOMA_GRANT,    HOMA_RESEND,
                                     HOMA_CUTOFFS, HOMA_NEED_ACK, HOMA_ACK};

    (void)state;
    for (size_t type = 0; type < sizeof(types) / sizeof(types[0]); type++)
        for (unsigned n = 0; n < 12; n++) {
            unsigned wanted[2] = {types[type], n};
            struct lab *lab = lab_open(2);

            lab->filter = lose_the_nth_of_a_type;
            lab->context = wanted;
            assert_in_range(run_one(lab, 10000, 70000), 0, 30 * LAB_MS);
            assert_true(lab_run_quiet(lab, LAB_S));
            lab_assert_idle(lab);
            lab_close(lab);
        }
}

static enum lab_fate lose_all(struct lab *lab, const struct lab_packet *packet)
{
    (void)lab;
    (void)packet;
    return LAB_DROP;
}

static void a_network_that_is_gone_for_50_ms_costs_no_rpc(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab = lab_open_with(2, &options, 256);
    struct lab_message message;
    unsigned done = 0;

    (void)state;
    lab->hosts[1].is_echo = true;
    for (uint32_t i = 1; i <= 50; i++)
        lab_request(lab, 0, 1, i * 3000, i);
    lab_run(lab, 40 * LAB_US);
    lab->filter = lose_all;
    lab_run(lab, 50 * LAB_MS);
    lab->filter = NULL;
    lab_run(lab, 100 * LAB_MS);
    while (lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message) == 0) {
        assert_int_equal(message.info.error, 0);
        done++;
    }
    assert_int_equal(done, 50);
    lab_close(lab);
}

static void a_server_that_is_gone_fails_its_rpcs_after_the_timeout_and_no_others(void **state)
{
    struct lab *lab = lab_open(3);
    struct lab_message message;
    uint64_t began = lab->now;
    uint64_t id;

    (void)state;
    lab->hosts[1].is_stopped = true;
    lab->hosts[2].is_echo = true;
    id = lab_request(lab, 0, 1, 100000, 1);
    lab_request(lab, 0, 2, 100000, 2);
    assert_true(lab_run_ready(lab, 0, HOMA_TAKE_RESPONSE, LAB_S));
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 2, &message), 0);
    assert_true(lab_run_ready(lab, 0, HOMA_TAKE_RESPONSE, 2 * LAB_S));
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), 0);
    assert_int_equal(message.info.id, id);
    assert_int_equal(message.info.error, ETIMEDOUT);
    assert_in_range(lab->now - began, 999 * LAB_MS, 1010 * LAB_MS);
    lab_close(lab);
}

static void a_client_that_is_gone_leaves_nothing_at_the_server(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    lab->hosts[1].is_echo = true;
    for (uint32_t i = 1; i <= 20; i++)
        lab_request(lab, 0, 1, i * 10000, i);
    lab_run(lab, 50 * LAB_US);
    lab->hosts[0].is_stopped = true;
    lab_run(lab, 5 * LAB_S);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    assert_int_equal(lab_usage(lab, 1).queued_bytes, 0);
    assert_true(lab_counters(lab, 1)->ack_timeouts > 0);
    lab_close(lab);
}

static void ten_thousand_rpcs_may_be_outstanding(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab_message message;
    struct lab *lab;
    unsigned done = 0;

    (void)state;
    options.max_rpcs = 10000;
    lab = lab_open_with(2, &options, 64);
    lab->check_every = 1000;
    for (uint32_t i = 1; i <= 10000; i++)
        lab_request(lab, 0, 1, i % 200 + 1, i);
    lab_run(lab, 300 * LAB_MS); /* the server is in no hurry */
    assert_int_equal(homa_engine_ready(lab_engine(lab, 1), HOMA_TAKE_REQUEST), 10000);
    lab->hosts[1].is_echo = true;
    lab_run(lab, 2 * LAB_MS);
    while (lab_take_only(lab, 0, HOMA_TAKE_RESPONSE, &message) == 0) {
        assert_int_equal(message.info.error, 0);
        lab_assert_pattern(lab, 0, &message, (uint32_t)message.info.cookie);
        lab_give_back(lab, 0, &message);
        done++;
    }
    assert_int_equal(done, 10000);
    lab->check_every = 0;
    assert_true(lab_run_quiet(lab, LAB_S));
    lab_assert_idle(lab);
    lab_close(lab);
}

static void a_wire_that_takes_one_packet_at_a_time_is_enough(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    lab->hosts[0].wire_takes = 1;
    lab->hosts[1].wire_takes = 1;
    run_one(lab, 200000, 200000);
    assert_int_equal(lab_counters(lab, 0)->resent_packets, 0);
    assert_int_equal(lab_counters(lab, 1)->resent_packets, 0);
    lab_close(lab);
}

static void protocol_146_works_like_udp(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;

    (void)state;
    options.format = HOMA_FORMAT_IP;
    lab = lab_open_with(2, &options, 64);
    lab->drop = 0.02;
    run_one(lab, 100, 100);
    run_one(lab, 200000, 1000000);
    lab->drop = 0;
    assert_true(lab_run_quiet(lab, LAB_S));
    lab_assert_idle(lab);
    lab_close(lab);
}

static void packets_of_loopback_size_work_too(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;

    (void)state;
    options.packet_bytes = 60000;
    lab = lab_open_with(2, &options, 64);
    run_one(lab, 1000000, 1000000);
    assert_int_equal(lab_counters(lab, 0)->resent_packets, 0);
    assert_in_range(lab->packets[0], 34, 80);
    lab_close(lab);
}

static void short_rpcs_overtake_long_ones_on_a_paced_link(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;
    uint64_t slowest = 0;

    (void)state;
    options.knobs.link_mbps = 1000;
    lab = lab_open_with(2, &options, 64);
    lab->hosts[1].is_echo = true;
    lab->hosts[1].reply_length = 100;
    for (uint32_t i = 0; i < 10; i++)
        lab_request(lab, 0, 1, 1000000, 1);
    for (unsigned i = 0; i < 100; i++) {
        uint64_t began = lab->now;
        uint64_t id = lab_request_private(lab, 0, 1, 100, 2);
        struct lab_message message;

        while (!homa_engine_private_ready(lab_engine(lab, 0), id))
            lab_run(lab, LAB_US);
        assert_int_equal(lab_take_id(lab, 0, id, 0, &message), 0);
        slowest = slowest > lab->now - began ? slowest : lab->now - began;
        lab_run(lab, 100 * LAB_US);
    }
    assert_in_range(slowest, 2 * lab->latency, 3 * lab->latency);
    lab_close(lab);
}

static void both_ends_count_what_they_did(void **state)
{
    struct lab *lab = lab_open(2);
    const struct homa_counters *client = lab_counters(lab, 0);
    const struct homa_counters *server = lab_counters(lab, 1);

    (void)state;
    run_one(lab, 100, 3000);
    run_one(lab, 50000, 1);
    assert_int_equal(client->requests_sent, 2);
    assert_int_equal(server->requests_received, 2);
    assert_int_equal(server->responses_sent, 2);
    assert_int_equal(client->responses_received, 2);
    assert_int_equal(client->sent_bytes, 50100);
    assert_int_equal(server->received_bytes, 50100);
    assert_int_equal(server->sent_bytes, 3001);
    assert_int_equal(client->received_bytes, 3001);
    for (unsigned type = 0; type < HOMA_PACKET_TYPES; type++) {
        assert_int_equal(client->packets_sent[type], server->packets_received[type]);
        assert_int_equal(server->packets_sent[type], client->packets_received[type]);
    }
    assert_int_equal(client->cutoffs_received, 1);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_rpc_takes_one_round_trip),
        cmocka_unit_test(messages_of_every_kind_of_length_arrive_intact),
        cmocka_unit_test(loss_and_reordering_delay_messages_but_never_spoil_them),
        cmocka_unit_test(each_packet_twice_makes_each_rpc_happen_once),
        cmocka_unit_test(any_single_packet_may_be_lost),
        cmocka_unit_test(a_network_that_is_gone_for_50_ms_costs_no_rpc),
        cmocka_unit_test(a_server_that_is_gone_fails_its_rpcs_after_the_timeout_and_no_others),
        cmocka_unit_test(a_client_that_is_gone_leaves_nothing_at_the_server),
        cmocka_unit_test(ten_thousand_rpcs_may_be_outstanding),
        cmocka_unit_test(a_wire_that_takes_one_packet_at_a_time_is_enough),
        cmocka_unit_test(protocol_146_works_like_udp),
        cmocka_unit_test(packets_of_loopback_size_work_too),
        cmocka_unit_test(short_rpcs_overtake_long_ones_on_a_paced_link),
        cmocka_unit_test(both_ends_count_what_they_did),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
