/*
 * Acks from both ends. Host 0 is the client, host 1 the server.
 */
#include "homa/engine_support.h"

#define ID 5000u

static void flush(struct lab *lab, unsigned host)
{
    struct lab_packet packet;

    while (lab_pull(lab, host, &packet, 1) > 0)
        ;
}

/* Client RPCs whose responses have come and been taken, so that acks are pending. */
static uint64_t finish_rpcs(struct lab *lab, unsigned count)
{
    uint64_t first = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t id = lab_request(lab, 0, 1, 10, 1);
        struct homa_packet response = lab_data(id | 1, 10, 0, 10);
        struct lab_message message;

        flush(lab, 0);
        lab_push(lab, 0, 1, &response, 1);
        assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 1, &message), 0);
        first = i == 0 ? id : first;
    }
    return first;
}

/* The same without anything going out, so that nothing carries an ack. */
static uint64_t finish_rpcs_at_once(struct lab *lab, unsigned count)
{
    uint64_t ids[256];
    struct lab_message message;

    for (unsigned i = 0; i < count; i++)
        ids[i] = lab_request(lab, 0, 1, 10, 1);
    flush(lab, 0);
    for (unsigned i = 0; i < count; i++) {
        struct homa_packet response = lab_data(ids[i] | 1, 10, 0, 10);

        lab_push(lab, 0, 1, &response, 1);
        assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 1, &message), 0);
    }
    return ids[0];
}

static void push_ack(struct lab *lab, unsigned from, uint64_t client_id, uint16_t port)
{
    struct homa_packet packet = {
        .type = HOMA_ACK,
        .id = client_id,
        .ack = {.count = 1, .acks[0] = {.client_id = client_id, .server_port = port}}};

    lab_push(lab, 1, from, &packet, 0);
}

static void push_request(struct lab *lab, uint64_t id, uint32_t length)
{
    struct homa_packet packet = lab_data(id, 10, 0, length);

    lab_push(lab, 1, 0, &packet, 1);
}

static void replied(struct lab *lab, uint64_t id)
{
    struct lab_message message;

    push_request(lab, id, 10);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    assert_int_equal(lab_reply(lab, 1, 0, message.info.id, 100, 2), 0);
    flush(lab, 1);
}

/* ---- the client's end ---- */

static void a_lone_ack_waits_for_data_to_ride_on(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = finish_rpcs(lab, 1);
    struct lab_packet packet;

    (void)state;
    lab_tick(lab, 0, LAB_S);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 0);
    assert_int_equal(homa_engine_deadline(lab_engine(lab, 0)), HOMA_NEVER);
    lab_request(lab, 0, 1, 10, 1);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.data.ack.client_id, id);
    lab_close(lab);
}

static void an_ack_rides_only_to_its_own_server(void **state)
{
    struct lab *lab = lab_open(3);
    struct lab_packet packet;

    (void)state;
    finish_rpcs(lab, 1);
    lab_request(lab, 0, 2, 10, 1);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.data.ack.client_id, 0);
    lab_close(lab);
}

static void many_acks_get_packets_of_their_own(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t first = finish_rpcs_at_once(lab, HOMA_ACKS_HELD - 1);
    struct lab_packet packets[8];

    (void)state;
    assert_int_equal(lab_pull(lab, 0, packets, 8), 0);
    finish_rpcs_at_once(lab, 1); /* its DATA takes one, its ack makes up for it */
    finish_rpcs_at_once(lab, 1);
    assert_int_equal(lab_pull(lab, 0, packets, 8), 0);
    lab_close(lab);

    lab = lab_open(2);
    first = finish_rpcs_at_once(lab, HOMA_ACKS_HELD);
    assert_int_equal(lab_pull(lab, 0, packets, 8), 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(packets[i].decoded.type, HOMA_ACK);
        assert_int_equal(packets[i].decoded.ack.count, i < 6 ? 5 : 2);
        assert_int_equal(packets[i].decoded.ack.acks[0].client_id, first + 10 * i);
        assert_int_equal(packets[i].decoded.ack.acks[0].server_port, LAB_PORT);
    }
    lab_close(lab);
}

static void a_need_ack_takes_all_pending_acks_along(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t first = finish_rpcs_at_once(lab, 3);
    struct homa_packet need = {.type = HOMA_NEED_ACK, .id = first | 1};
    struct lab_packet packet;

    (void)state;
    lab_push(lab, 0, 1, &need, 0);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.ack.count, 4); /* the one asked for twice: harmless */
    lab_close(lab);
}

static void an_ack_names_the_servers_port(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    homa_engine_set_port(lab_engine(lab, 0), LAB_PORT + 1);
    lab->hosts[0].address.port = LAB_PORT + 1;
    finish_rpcs(lab, 1);
    lab_request(lab, 0, 1, 10, 1);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.data.ack.server_port, LAB_PORT);
    finish_rpcs_at_once(lab, HOMA_ACKS_HELD);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.type, HOMA_ACK);
    assert_int_equal(packet.decoded.ack.acks[0].server_port, LAB_PORT);
    assert_int_equal(packet.decoded.id, packet.decoded.ack.acks[0].client_id);
    lab_close(lab);
}

static void when_ack_records_run_out_the_ack_is_dropped_and_counted(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab_packet packets[8];
    struct lab *lab;

    (void)state;
    options.max_rpcs = 4; /* of which one host gets half */
    lab = lab_open_with(2, &options, 8);
    finish_rpcs_at_once(lab, 2);
    for (uint64_t id = 901; id < 907; id += 2) {
        struct homa_packet need = {.type = HOMA_NEED_ACK, .id = id};

        lab_push(lab, 0, 1, &need, 0);
    }
    assert_int_equal(lab_counters(lab, 0)->ack_overflows, 3);
    assert_int_equal(lab_pull(lab, 0, packets, 8), 1);
    lab_close(lab);
}

static void nothing_has_the_id_0(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 10, 1); /* so that the server is known */
    struct homa_packet response = lab_data(1, 10, 0, 10);
    struct homa_packet need = {.type = HOMA_NEED_ACK, .id = 1};
    struct lab_packet packet;

    (void)state;
    lab_push(lab, 0, 1, &need, 0);
    lab_push(lab, 0, 1, &response, 1);
    assert_int_equal(lab_counters(lab, 0)->packet_discards, 2);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.id, id);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 0);
    lab_close(lab);
}

/* ---- the server's end ---- */

static void an_ack_packet_ends_the_rpc(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    replied(lab, ID);
    push_ack(lab, 0, ID, LAB_PORT);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    assert_int_equal(lab_usage(lab, 1).queued_bytes, 0);
    assert_int_equal(lab_usage(lab, 1).timers, 0);
    lab_close(lab);
}

static void an_ack_on_data_ends_the_rpc(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet packet = lab_data(ID + 2, 10, 0, 10);

    (void)state;
    replied(lab, ID);
    packet.data.ack = (struct homa_ack){.client_id = ID, .server_port = LAB_PORT};
    lab_push(lab, 1, 0, &packet, 1);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    assert_int_equal(lab_counters(lab, 1)->requests_received, 2);
    lab_close(lab);
}

static void an_ack_on_a_packet_that_is_itself_refused_still_counts(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet packet = lab_data(ID + 2, LAB_MAX_MESSAGE + 1, 0, 10);

    (void)state;
    replied(lab, ID);
    packet.data.ack.client_id = ID;
    lab_push(lab, 1, 0, &packet, 1);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    lab_close(lab);
}

static void on_udp_the_port_in_an_ack_does_not_matter(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    replied(lab, ID);
    push_ack(lab, 0, ID, 1);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    lab_close(lab);
}

static void somebody_elses_ack_changes_nothing(void **state)
{
    struct lab *lab = lab_open(3);

    (void)state;
    replied(lab, ID);
    push_ack(lab, 2, ID, LAB_PORT);
    push_ack(lab, 0, ID + 2, LAB_PORT);
    push_ack(lab, 0, ID | 1, LAB_PORT); /* not a client's id */
    push_ack(lab, 0, 0, LAB_PORT);
    lab->hosts[0].address.port = 33333; /* another socket of the client's host */
    push_ack(lab, 0, ID, LAB_PORT);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    lab_close(lab);
}

static void an_ack_for_a_request_the_application_has_changes_nothing(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;

    (void)state;
    push_request(lab, ID, 10);
    push_ack(lab, 0, ID, LAB_PORT);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    push_ack(lab, 0, ID, LAB_PORT);
    assert_int_equal(lab_reply(lab, 1, 0, message.info.id, 10, 2), 0);
    lab_close(lab);
}

static void an_ack_for_half_a_request_ends_it(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    push_request(lab, ID, 5);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    push_ack(lab, 0, ID, LAB_PORT);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    lab_close(lab);
}

static void on_protocol_146_only_acks_for_our_port_count_from_any_port_of_the_host(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;

    (void)state;
    options.format = HOMA_FORMAT_IP;
    lab = lab_open_with(2, &options, 64);
    struct homa_packet packet = lab_data(ID, 10, 0, 10);
    struct lab_message message;

    lab_push(lab, 1, 0, &packet, 1);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    assert_int_equal(lab_reply(lab, 1, 0, message.info.id, 10, 2), 0);
    push_ack(lab, 0, ID, LAB_PORT + 1);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    lab->hosts[0].address.port = 33333; /* another socket of the client's host */
    push_ack(lab, 0, ID, LAB_PORT);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    lab_close(lab);
}

static void between_two_engines_an_idle_client_still_lets_the_server_forget(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;

    (void)state;
    lab->hosts[1].is_echo = true;
    for (unsigned i = 0; i < 10; i++)
        lab_request(lab, 0, 1, 10, 1);
    lab_run(lab, LAB_MS);
    while (lab_take(lab, 0, HOMA_TAKE_RESPONSE, 1, &message) == 0)
        ;
    assert_int_equal(lab_usage(lab, 1).rpcs, 10);
    assert_true(lab_run_quiet(lab, 100 * LAB_MS));
    lab_assert_idle(lab);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_ack_waits_for_data_to_ride_on),
        cmocka_unit_test(an_ack_rides_only_to_its_own_server),
        cmocka_unit_test(many_acks_get_packets_of_their_own),
        cmocka_unit_test(a_need_ack_takes_all_pending_acks_along),
        cmocka_unit_test(an_ack_names_the_servers_port),
        cmocka_unit_test(when_ack_records_run_out_the_ack_is_dropped_and_counted),
        cmocka_unit_test(nothing_has_the_id_0),
        cmocka_unit_test(an_ack_packet_ends_the_rpc),
        cmocka_unit_test(an_ack_on_data_ends_the_rpc),
        cmocka_unit_test(an_ack_on_a_packet_that_is_itself_refused_still_counts),
        cmocka_unit_test(on_udp_the_port_in_an_ack_does_not_matter),
        cmocka_unit_test(somebody_elses_ack_changes_nothing),
        cmocka_unit_test(an_ack_for_a_request_the_application_has_changes_nothing),
        cmocka_unit_test(an_ack_for_half_a_request_ends_it),
        cmocka_unit_test(on_protocol_146_only_acks_for_our_port_count_from_any_port_of_the_host),
        cmocka_unit_test(between_two_engines_an_idle_client_still_lets_the_server_forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
