/*
 * What the network reports: refused ports, unreachable hosts, packets that were too large.
 */
#include "homa/engine_support.h"

#include <errno.h>

static void report(struct lab *lab, unsigned host, unsigned about, int error, uint32_t packet_bytes)
{
    struct base_network_error report = {
        .to = lab_address(lab, about), .error = error, .packet_bytes = packet_bytes};

    homa_engine_network_error(lab_engine(lab, host), lab->now, &report);
    homa_engine_check(lab_engine(lab, host));
}

static void assert_fails_with(int error, int expected)
{
    struct lab *lab = lab_open(3);
    struct lab_message message;
    uint64_t id = lab_request(lab, 0, 1, 100000, 1);

    lab_request(lab, 0, 2, 10, 1);
    report(lab, 0, 1, error, 0);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), 0);
    assert_int_equal(message.info.id, id);
    assert_int_equal(message.info.error, expected);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), -EAGAIN);
    assert_int_equal(lab_counters(lab, 0)->network_errors, 1);
    lab_close(lab);
}

static void each_error_fails_the_peers_rpcs_with_its_errno(void **state)
{
    (void)state;
    assert_fails_with(ECONNREFUSED, ENOTCONN);
    assert_fails_with(EHOSTUNREACH, EHOSTUNREACH);
    assert_fails_with(ENETUNREACH, EHOSTUNREACH);
    assert_fails_with(EACCES, EHOSTUNREACH);
    assert_fails_with(EPROTONOSUPPORT, EPROTONOSUPPORT);
    assert_fails_with(ENOPROTOOPT, EPROTONOSUPPORT);
}

/* A request whose server has said BUSY, and is out of reach now. Returns the BUSY. */
static struct homa_packet lose_known_peer(struct lab *lab)
{
    struct homa_packet busy = {.type = HOMA_BUSY};
    struct lab_packet packet;

    busy.id = lab_request(lab, 0, 1, 1000, 1) | 1;
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    lab_push(lab, 0, 1, &busy, 0);
    report(lab, 0, 1, EHOSTUNREACH, 0);
    return busy;
}

static void a_peer_that_has_answered_may_be_out_of_reach_for_a_moment(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;

    (void)state;
    (void)lose_known_peer(lab);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), -EAGAIN);
    lab_close(lab);
}

static void an_rpc_that_ends_by_silence_says_that_its_peer_was_out_of_reach(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;

    (void)state;
    (void)lose_known_peer(lab);
    lab_tick(lab, 0, 1100 * LAB_MS);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), 0);
    assert_int_equal(message.info.error, EHOSTUNREACH);
    lab_close(lab);
}

static void word_from_the_peer_clears_its_being_out_of_reach(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;
    struct homa_packet busy;

    (void)state;
    busy = lose_known_peer(lab);
    lab_push(lab, 0, 1, &busy, 0);
    lab_tick(lab, 0, 1100 * LAB_MS);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), 0);
    assert_int_equal(message.info.error, ETIMEDOUT);
    lab_close(lab);
}

static void an_error_about_a_stranger_changes_nothing(void **state)
{
    struct lab *lab = lab_open(3);

    (void)state;
    lab_request(lab, 0, 1, 10, 1);
    report(lab, 0, 2, ECONNREFUSED, 0);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 0);
    lab_close(lab);
}

static void an_error_about_another_port_of_the_host_changes_nothing(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    lab_request(lab, 0, 1, 10, 1);
    lab->hosts[1].address.port++;
    report(lab, 0, 1, ECONNREFUSED, 0);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 0);
    lab_close(lab);
}

static void what_is_complete_stays_complete(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;

    (void)state;
    lab->hosts[1].is_echo = true;
    lab_request(lab, 0, 1, 10, 1);
    lab_run(lab, LAB_MS);
    report(lab, 0, 1, ECONNREFUSED, 0);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 1, &message), 0);
    assert_int_equal(message.info.error, 0);
    lab_close(lab);
}

static void a_client_whose_port_is_closed_ends_what_only_the_network_carries_on(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet half = lab_data(5000, 3000, 0, 1000);
    struct homa_packet whole = lab_data(5002, 10, 0, 10);
    struct lab_message message;

    (void)state;
    lab_push(lab, 1, 0, &half, 1);
    lab_push(lab, 1, 0, &whole, 1);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    report(lab, 1, 0, ECONNREFUSED, 0);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1); /* the application works on it */
    assert_int_equal(lab_reply(lab, 1, 0, 5003, 10, 1), 0);
    report(lab, 1, 0, EHOSTUNREACH, 0); /* may pass */
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    report(lab, 1, 0, ECONNREFUSED, 0);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    lab_close(lab);
}

static void packets_that_were_too_large_go_out_again_smaller(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab_packet packet;
    uint32_t expected = 0;
    struct lab *lab;

    (void)state;
    options.packet_bytes = 9000;
    lab = lab_open_with(2, &options, 64);
    lab_request(lab, 0, 1, 20000, 1);
    while (lab_pull(lab, 0, &packet, 1) > 0)
        ;
    report(lab, 0, 1, EMSGSIZE, 1456);
    while (lab_pull(lab, 0, &packet, 1) > 0) {
        assert_true(packet.decoded.data.retransmit);
        assert_int_equal(packet.decoded.data.offset, expected);
        assert_in_range(packet.length, 1, 1456);
        expected += packet.decoded.data.payload_length;
    }
    assert_int_equal(expected, 20000);
    lab_request(lab, 0, 1, 20000, 1);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.length, 1456);
    lab_close(lab);
}

static void a_size_that_is_no_smaller_changes_nothing(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    lab_request(lab, 0, 1, 1000, 1);
    lab_pull(lab, 0, &packet, 1);
    report(lab, 0, 1, EMSGSIZE, 1456);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 0);
    lab_close(lab);
}

static void a_size_of_zero_means_the_smallest(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    lab_request(lab, 0, 1, 1000, 1);
    report(lab, 0, 1, EMSGSIZE, 0);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.length, HOMA_PACKET_BYTES_MIN);
    lab_close(lab);
}

static void what_was_heard_of_is_not_sent_again_unasked(void **state)
{
    struct homa_engine_options options = lab_options();
    struct homa_packet grant = {.type = HOMA_GRANT, .grant = {.offset = 40000}};
    struct lab_packet packet;
    struct lab *lab;

    (void)state;
    options.packet_bytes = 9000;
    lab = lab_open_with(2, &options, 64);
    grant.id = lab_request(lab, 0, 1, 50000, 1) | 1;
    while (lab_pull(lab, 0, &packet, 1) > 0)
        ;
    lab_tick(lab, 0, LAB_MS);
    lab_push(lab, 0, 1, &grant, 0);
    report(lab, 0, 1, EMSGSIZE, 1456);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 0);
    lab_close(lab);
}

static void a_larger_path_than_known_is_no_news(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address address = lab_address(lab, 1);

    (void)state;
    lab_request(lab, 0, 1, 20000, 1);
    report(lab, 0, 1, EMSGSIZE, 9000);
    assert_int_equal(homa_peer_find(lab_engine(lab, 0), &address)->packet_bytes, 1456);
    lab_close(lab);
}

static void smaller_packets_may_have_all_their_bytes_sooner(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address address = lab_address(lab, 1);
    struct mem_payload *payload = lab_payload(lab, 0, 10000, 1);
    struct lab_packet packet;
    uint64_t id;

    (void)state;
    payload->ready = 1000;
    assert_int_equal(
        homa_engine_request(lab_engine(lab, 0), lab->now, &address, payload, 0, 0, false, &id), 0);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 0);
    report(lab, 0, 1, EMSGSIZE, 600);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.length, 600);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_fails_the_peers_rpcs_with_its_errno),
        cmocka_unit_test(a_peer_that_has_answered_may_be_out_of_reach_for_a_moment),
        cmocka_unit_test(an_rpc_that_ends_by_silence_says_that_its_peer_was_out_of_reach),
        cmocka_unit_test(word_from_the_peer_clears_its_being_out_of_reach),
        cmocka_unit_test(an_error_about_a_stranger_changes_nothing),
        cmocka_unit_test(an_error_about_another_port_of_the_host_changes_nothing),
        cmocka_unit_test(what_is_complete_stays_complete),
        cmocka_unit_test(a_client_whose_port_is_closed_ends_what_only_the_network_carries_on),
        cmocka_unit_test(packets_that_were_too_large_go_out_again_smaller),
        cmocka_unit_test(a_size_that_is_no_smaller_changes_nothing),
        cmocka_unit_test(a_size_of_zero_means_the_smallest),
        cmocka_unit_test(what_was_heard_of_is_not_sent_again_unasked),
        cmocka_unit_test(a_larger_path_than_known_is_no_news),
        cmocka_unit_test(smaller_packets_may_have_all_their_bytes_sooner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
