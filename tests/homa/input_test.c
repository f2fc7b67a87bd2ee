/*
 * What each control packet does to each end of an RPC, and what is ignored. Host 0 is the client,
 * host 1 the server; packets are made up by hand and pushed into one of them.
 */
#include "homa/engine_support.h"

#include <errno.h>
#include <string.h>

static struct homa_packet control(enum homa_packet_type type, uint64_t id)
{
    return (struct homa_packet){.type = type, .id = id};
}

static struct homa_packet grant(uint64_t id, uint32_t offset, uint8_t priority)
{
    struct homa_packet packet = control(HOMA_GRANT, id);

    packet.grant.offset = offset;
    packet.grant.priority = priority;
    return packet;
}

static struct homa_packet resend(uint64_t id, uint32_t offset, uint32_t length, uint8_t priority)
{
    struct homa_packet packet = control(HOMA_RESEND, id);

    packet.resend.offset = offset;
    packet.resend.length = length;
    packet.resend.priority = priority;
    packet.resend.has_priority = true;
    return packet;
}

static void push(struct lab *lab, unsigned to, struct homa_packet packet)
{
    lab_push(lab, to, 1 - to, &packet, 1);
}

static void push_raw(struct lab *lab, unsigned to, const void *bytes, uint32_t length)
{
    struct base_arrival arrival = {
        .from = lab_address(lab, 1 - to),
        .bytes = bytes,
        .length = length,
    };

    homa_engine_input(lab_engine(lab, to), lab->now, &arrival);
    homa_engine_check(lab_engine(lab, to));
}

/* Discards all that the host wants to send. Returns how many packets that were. */
static size_t flush(struct lab *lab, unsigned host)
{
    struct lab_packet packet;
    size_t count = 0;

    while (lab_pull(lab, host, &packet, 1) > 0)
        count++;
    return count;
}

/* A request of host 0, all of which has gone out that may. */
static uint64_t sent_request(struct lab *lab, uint32_t length)
{
    uint64_t id = lab_request(lab, 0, 1, length, 1);

    flush(lab, 0);
    return id;
}

/* A request that host 1's application works on. */
static uint64_t in_service(struct lab *lab)
{
    struct homa_packet packet = lab_data(5000, 100, 0, 100);
    struct lab_message message;

    lab_push(lab, 1, 0, &packet, 1);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    return 5001;
}

/* A response of host 1, all of which has gone out that may. */
static uint64_t sent_response(struct lab *lab, uint32_t length)
{
    uint64_t id = in_service(lab);

    assert_int_equal(lab_reply(lab, 1, 0, id, length, 2), 0);
    flush(lab, 1);
    return id;
}

/* ---- bytes that are no packet ---- */

static void short_unknown_and_foreign_packets_are_counted_and_dropped(void **state)
{
    struct lab *lab = lab_open(2);
    uint8_t bytes[80] = {[8] = 1, [11] = HOMA_DATA};

    (void)state;
    push_raw(lab, 1, bytes, 0);
    push_raw(lab, 1, bytes, 27);
    push_raw(lab, 1, bytes, 28);
    assert_int_equal(lab_counters(lab, 1)->short_packets, 3);
    bytes[11] = 0x19;
    push_raw(lab, 1, bytes, 28);
    assert_int_equal(lab_counters(lab, 1)->unknown_packet_types, 1);
    bytes[8] = 2;
    push_raw(lab, 1, bytes, 28);
    assert_int_equal(lab_counters(lab, 1)->unknown_versions, 1);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    lab_close(lab);
}

static void what_follows_a_bad_packet_in_a_bundle_is_lost_with_it(void **state)
{
    struct lab *lab = lab_open(2);
    uint8_t bytes[28 + 28 + 10] = {0};
    uint64_t id = sent_request(lab, 100);

    (void)state;
    bytes[8] = bytes[36] = 1;
    bytes[11] = bytes[39] = HOMA_BUSY;
    for (int i = 0; i < 8; i++)
        bytes[27 - i] = bytes[55 - i] = (uint8_t)((id | 1) >> (8 * i));
    push_raw(lab, 0, bytes, sizeof(bytes));
    assert_int_equal(lab_counters(lab, 0)->packets_received[HOMA_BUSY - HOMA_DATA], 2);
    assert_int_equal(lab_counters(lab, 0)->short_packets, 1);
    lab_close(lab);
}

static void freeze_is_ignored(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100);

    (void)state;
    push(lab, 0, control(HOMA_FREEZE, id | 1));
    assert_int_equal(flush(lab, 0), 0);
    assert_int_equal(lab_usage(lab, 0).rpcs, 1);
    lab_close(lab);
}

static void packets_about_unknown_rpcs_are_discarded(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    for (uint64_t id = 700; id < 702; id++) {
        push(lab, 1, grant(id, 1000, 0));
        push(lab, 1, control(HOMA_BUSY, id));
        push(lab, 1, control(HOMA_RPC_UNKNOWN, id));
    }
    push(lab, 1, control(HOMA_CUTOFFS, 700));
    push(lab, 1, control(HOMA_NEED_ACK, 700)); /* only a server may ask */
    assert_int_equal(lab_counters(lab, 1)->packet_discards, 8);
    assert_int_equal(flush(lab, 1), 0);
    lab_close(lab);
}

static void a_stranger_cannot_speak_for_the_server(void **state)
{
    struct lab *lab = lab_open(3);
    uint64_t id = sent_request(lab, 100000);
    struct homa_packet packet = lab_data(id | 1, 10, 0, 10);
    struct base_address address = lab_address(lab, 2);
    struct homa_peer *stranger = homa_peer_get(lab_engine(lab, 0), &address);

    (void)state;
    lab_push(lab, 0, 2, &packet, 1);
    packet = grant(id | 1, 100000, 0);
    lab_push(lab, 0, 2, &packet, 1);
    packet = control(HOMA_RPC_UNKNOWN, id | 1);
    lab_push(lab, 0, 2, &packet, 1);
    assert_int_equal(flush(lab, 0), 0);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 0);
    assert_int_equal(lab_counters(lab, 0)->packet_discards, 3);
    assert_int_equal(stranger->ack_count, 0); /* it is not told that the RPC is over */
    lab_close(lab);
}

static void a_server_rpc_is_found_by_address_port_and_id(void **state)
{
    struct lab *lab = lab_open(3);
    struct homa_packet packet = lab_data(5000, 100, 0, 100);
    struct lab_message first;
    struct lab_message second;

    (void)state;
    lab_push(lab, 1, 0, &packet, 1);
    lab_push(lab, 1, 2, &packet, 2);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &first), 0);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 2, &second), 0);
    assert_int_equal(first.info.id, second.info.id);
    assert_false(base_ip_equal(&first.info.peer.remote, &second.info.peer.remote));
    lab_close(lab);
}

static void the_reply_goes_out_from_the_address_that_was_asked(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = in_service(lab);
    struct base_packet packet;

    (void)state;
    assert_int_equal(lab_reply(lab, 1, 0, id, 10, 2), 0);
    assert_int_equal(homa_engine_output(lab_engine(lab, 1), lab->now, NULL, &packet, 1), 1);
    assert_memory_equal(&packet.to.local, &lab->hosts[1].address.remote, sizeof(packet.to.local));
    lab_close(lab);
}

/* ---- GRANT ---- */

static void a_grant_lets_more_go_out_at_its_priority(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100000);
    struct lab_packet packet;

    (void)state;
    push(lab, 0, grant(id | 1, 40100, 2));
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.data.offset, 40000);
    assert_int_equal(packet.decoded.data.payload_length, 100);
    assert_int_equal(packet.decoded.data.incoming, 40100);
    assert_int_equal(packet.priority, 2);
    assert_int_equal(flush(lab, 0), 0);
    lab_close(lab);
}

static void a_grant_of_nothing_new_is_counted(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100000);

    (void)state;
    push(lab, 0, grant(id | 1, 40000, 2));
    push(lab, 0, grant(id | 1, 0, 2));
    assert_int_equal(lab_counters(lab, 0)->grants_ignored, 2);
    assert_int_equal(flush(lab, 0), 0);
    lab_close(lab);
}

static void a_grant_beyond_the_end_grants_to_the_end(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 41000);
    struct lab_packet packet;

    (void)state;
    push(lab, 0, grant(id | 1, UINT32_MAX, 7));
    assert_int_equal(lab_pull_type(lab, 0, HOMA_DATA, &packet), 1);
    assert_int_equal(packet.decoded.data.offset + packet.decoded.data.payload_length, 41000);
    lab_close(lab);
}

static void a_grant_for_a_response_not_begun_is_discarded(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = in_service(lab);

    (void)state;
    push(lab, 1, grant(id & ~1ull, 1000, 0));
    assert_int_equal(lab_counters(lab, 1)->packet_discards, 1);
    lab_close(lab);
}

/* ---- RESEND ---- */

static void a_resend_gets_the_range_again_and_nothing_else(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 30000);
    struct lab_packet packets[4];

    (void)state;
    push(lab, 0, resend(id | 1, 2800, 2000, 3));
    assert_int_equal(lab_pull(lab, 0, packets, 4), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(packets[i].decoded.type, HOMA_DATA);
        assert_true(packets[i].decoded.data.retransmit);
        assert_int_equal(packets[i].priority, 3);
    }
    assert_int_equal(packets[0].decoded.data.offset, 2800);
    assert_int_equal(packets[0].decoded.data.payload_length, 1400);
    assert_int_equal(packets[1].decoded.data.offset, 4200);
    assert_int_equal(packets[1].decoded.data.payload_length, 600);
    assert_int_equal(lab_counters(lab, 0)->resent_packets, 2);
    lab_close(lab);
}

static void a_resend_for_all_repeats_what_was_sent_and_grants_nothing(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100000);
    struct lab_packet packet;

    (void)state;
    push(lab, 0, resend(id | 1, 0, HOMA_RESEND_ALL, 6));
    assert_int_equal(lab_pull_type(lab, 0, HOMA_DATA, &packet), 29);
    assert_int_equal(packet.decoded.data.offset + packet.decoded.data.payload_length, 40000);
    lab_close(lab);
}

static void a_resend_is_also_a_grant(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100000);
    struct lab_packet packets[5];

    (void)state;
    push(lab, 0, resend(id | 1, 39200, 2200, 4));
    assert_int_equal(lab_pull(lab, 0, packets, 5), 2);
    assert_int_equal(packets[0].decoded.data.offset, 39200);
    assert_int_equal(packets[0].decoded.data.payload_length, 800);
    assert_true(packets[0].decoded.data.retransmit);
    assert_int_equal(packets[1].decoded.data.offset, 40000);
    assert_int_equal(packets[1].decoded.data.payload_length, 1400);
    assert_false(packets[1].decoded.data.retransmit);
    assert_int_equal(packets[1].decoded.data.incoming, 41400);
    assert_int_equal(packets[1].priority, 4);
    lab_close(lab);
}

static void a_resend_that_overflows_32_bits_reaches_to_the_end_and_no_further(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 50000);
    struct lab_packet packet;

    (void)state;
    push(lab, 0, resend(id | 1, 49000, UINT32_MAX - 1, 0));
    assert_int_equal(lab_pull_type(lab, 0, HOMA_DATA, &packet), 8);
    assert_int_equal(packet.decoded.data.offset + packet.decoded.data.payload_length, 50000);
    push(lab, 0, resend(id | 1, UINT32_MAX, UINT32_MAX - 1, 0));
    assert_int_equal(lab_pull_type(lab, 0, HOMA_DATA, &packet), 0);
    lab_close(lab);
}

static void a_resend_for_what_was_not_sent_yet_gets_busy(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 100000, 1);
    struct lab_packet packet;

    (void)state;
    push(lab, 0, resend(id | 1, 0, HOMA_RESEND_ALL, 6));
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.type, HOMA_BUSY);
    flush(lab, 0);
    push(lab, 0, resend(id | 1, 40000, 1, 6));
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.type, HOMA_BUSY);
    lab_close(lab);
}

static void a_resend_from_the_end_on_gets_nothing(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100);
    struct lab_packet packet;

    (void)state;
    push(lab, 0, resend(id | 1, 100, 1, 6));
    push(lab, 0, resend(id | 1, UINT32_MAX, 1, 6));
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 0);
    assert_int_equal(lab_counters(lab, 0)->packet_discards, 2);
    lab_close(lab);
}

static void ends_that_disagree_about_a_length_do_not_wait_for_ever(void **state)
{
    (void)state;
    for (unsigned receiver = 0; receiver < 2; receiver++) {
        struct lab *lab = lab_open(2);
        uint64_t id = lab_request(lab, 0, 1, 100, 1);
        /* The first packet of the response, or of the request, with a length that was damaged. */
        struct homa_packet packet = lab_data(receiver == 0 ? id | 1 : id, 200, 0, 100);
        struct lab_message message;

        lab->hosts[1].is_echo = true;
        lab_push(lab, receiver, 1 - receiver, &packet, 1);
        assert_true(lab_run_ready(lab, 0, HOMA_TAKE_RESPONSE, 10 * LAB_S));
        assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), 0);
        /* A server gives such a request up in time to be sent it again; a client gives up. */
        assert_int_equal(message.info.error, receiver == 0 ? ETIMEDOUT : 0);
        assert_true(lab_run_quiet(lab, 10 * LAB_S));
        lab_assert_idle(lab);
        lab_close(lab);
    }
}

static void several_resends_for_gaps_do_not_repeat_what_is_between_them(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 40000);
    struct lab_packet packets[10];

    (void)state;
    for (uint32_t gap = 0; gap < 4; gap++)
        push(lab, 0, resend(id | 1, gap * 9800, 1400, 6));
    assert_int_equal(lab_pull(lab, 0, packets, 10), 4);
    lab_close(lab);
}

static void the_same_resend_twice_repeats_the_range_once(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 40000);
    struct lab_packet packets[10];

    (void)state;
    push(lab, 0, resend(id | 1, 1400, 1400, 6));
    push(lab, 0, resend(id | 1, 1400, 1400, 6));
    push(lab, 0, resend(id | 1, 2800, 1400, 6));
    assert_int_equal(lab_pull(lab, 0, packets, 10), 2);
    lab_close(lab);
}

static void a_resend_for_a_response_gets_busy_until_there_is_one(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet part = lab_data(5000, 3000, 0, 1000);
    struct homa_packet rest = lab_data(5000, 3000, 1000, 2000);
    struct lab_message message;
    struct lab_packet packet;

    (void)state;
    lab_push(lab, 1, 0, &part, 1);
    flush(lab, 1);
    push(lab, 1, resend(5000, 0, HOMA_RESEND_ALL, 7)); /* receiving */
    assert_int_equal(lab_pull_type(lab, 1, HOMA_BUSY, &packet), 1);
    lab_push(lab, 1, 0, &rest, 1);
    push(lab, 1, resend(5000, 0, HOMA_RESEND_ALL, 7)); /* ready */
    assert_int_equal(lab_pull_type(lab, 1, HOMA_BUSY, &packet), 1);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    push(lab, 1, resend(5000, 0, HOMA_RESEND_ALL, 7)); /* in service */
    push(lab, 1, resend(5000, 0, HOMA_RESEND_ALL, 7));
    assert_int_equal(lab_pull_type(lab, 1, HOMA_BUSY, &packet), 1);
    assert_int_equal(packet.decoded.id, 5001);
    lab_close(lab);
}

static void all_of_many_waiting_requests_get_their_busy(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    for (uint64_t id = 5000; id < 6000; id += 2) {
        struct homa_packet packet_in = lab_data(id, 10, 0, 10);

        lab_push(lab, 1, 0, &packet_in, 1);
    }
    flush(lab, 1);
    for (uint64_t id = 5000; id < 6000; id += 2)
        push(lab, 1, resend(id, 0, HOMA_RESEND_ALL, 7));
    assert_int_equal(lab_pull_type(lab, 1, HOMA_BUSY, &packet), 500);
    lab_close(lab);
}

static void a_resend_for_an_unknown_rpc_is_answered_unknown_by_both_ends(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    push(lab, 1, resend(700, 0, HOMA_RESEND_ALL, 7));
    assert_int_equal(lab_pull(lab, 1, &packet, 1), 1);
    assert_int_equal(packet.decoded.type, HOMA_RPC_UNKNOWN);
    assert_int_equal(packet.decoded.id, 701);
    assert_int_equal(packet.to, 0);
    push(lab, 0, resend(701, 0, 1000, 7));
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.type, HOMA_RPC_UNKNOWN);
    assert_int_equal(packet.decoded.id, 700);
    lab_close(lab);
}

static void answers_to_strangers_are_bounded_and_counted(void **state)
{
    struct lab *lab = lab_open(3);
    struct lab_packet packet;

    (void)state;
    for (uint64_t id = 700; id < 900; id += 2)
        push(lab, 1, resend(id, 0, HOMA_RESEND_ALL, 7));
    /* One host gets half of them. */
    assert_int_equal(lab_counters(lab, 1)->control_overflows, 100 - HOMA_STATELESS_MAX / 2);
    for (uint64_t id = 700; id < 900; id += 2) {
        struct homa_packet ask = resend(id, 0, HOMA_RESEND_ALL, 7);

        lab_push(lab, 1, 2, &ask, 0);
    }
    assert_int_equal(lab_counters(lab, 1)->control_overflows, 200 - HOMA_STATELESS_MAX);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_RPC_UNKNOWN, &packet), HOMA_STATELESS_MAX);
    lab_close(lab);
}

static void a_failed_rpc_is_unknown_to_its_server(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 3000);
    struct lab_packet packet;

    (void)state;
    assert_int_equal(homa_engine_abort(lab_engine(lab, 0), lab->now, id, ECANCELED), 0);
    push(lab, 0, resend(id | 1, 0, 1000, 7));
    assert_int_equal(lab_pull_type(lab, 0, HOMA_RPC_UNKNOWN, &packet), 1);
    lab_close(lab);
}

static void a_36_byte_resend_marks_a_peer_that_never_grants(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100000);
    uint64_t other = sent_request(lab, 50000);
    struct homa_packet packet = resend(id | 1, 0, HOMA_RESEND_ALL, 0);
    struct lab_packet data;
    size_t of_first = 0;
    size_t of_other = 0;

    (void)state;
    packet.resend.has_priority = false;
    push(lab, 0, packet);
    while (lab_pull(lab, 0, &data, 1) > 0) {
        of_first += data.decoded.id == id && !data.decoded.data.retransmit;
        of_other += data.decoded.id == other;
    }
    assert_int_equal(of_first, 43);
    assert_int_equal(of_other, 8);
    /* And so for what comes later. */
    lab_request(lab, 0, 1, 60000, 1);
    assert_int_equal(lab_pull(lab, 0, &data, 1), 1);
    assert_int_equal(data.decoded.data.incoming, 60000);
    lab_close(lab);
}

/* ---- BUSY ---- */

static void busy_resets_the_silence(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100);
    struct lab_packet packet;

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        lab_tick(lab, 0, 900 * LAB_MS);
        push(lab, 0, control(HOMA_BUSY, id | 1));
        flush(lab, 0);
    }
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 0);
    lab_tick(lab, 0, 1000 * LAB_MS);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 1);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 0);
    lab_close(lab);
}

static void each_busy_in_a_row_makes_the_client_ask_more_rarely(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100);
    struct lab_packet packet;
    uint64_t waited = 0;

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t asked = lab->now;

        push(lab, 0, control(HOMA_BUSY, id | 1));
        while (lab_pull_type(lab, 0, HOMA_RESEND, &packet) == 0)
            lab_tick(lab, 0, LAB_MS / 4);
        assert_true(lab->now - asked >= waited);
        waited = lab->now - asked;
    }
    assert_in_range(waited, 250 * LAB_MS, 252 * LAB_MS);
    lab_close(lab);
}

/* ---- RPC_UNKNOWN ---- */

static void a_client_without_any_response_sends_its_request_again(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100000);
    struct lab_packet packet;

    (void)state;
    push(lab, 0, control(HOMA_RPC_UNKNOWN, id | 1));
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.data.offset, 0);
    assert_true(packet.decoded.data.retransmit);
    assert_int_equal(lab_pull_type(lab, 0, HOMA_DATA, &packet), 28);
    assert_int_equal(lab_counters(lab, 0)->unknown_rpcs, 1);
    lab_close(lab);
}

static void a_client_that_has_seen_the_response_begin_does_not(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 3000);
    struct homa_packet packet = lab_data(id | 1, 3000, 0, 1000);

    (void)state;
    push(lab, 0, packet);
    flush(lab, 0);
    push(lab, 0, control(HOMA_RPC_UNKNOWN, id | 1));
    assert_int_equal(flush(lab, 0), 0);
    assert_int_equal(lab_counters(lab, 0)->unknown_rpcs, 0);
    lab_close(lab);
}

static void unknown_does_not_keep_an_rpc_alive(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100);

    (void)state;
    for (unsigned i = 0; i < 250; i++) {
        lab_tick(lab, 0, 5 * LAB_MS);
        if (homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE) == 0)
            push(lab, 0, control(HOMA_RPC_UNKNOWN, id | 1));
        flush(lab, 0);
    }
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 1);
    assert_int_equal(lab_counters(lab, 0)->rpc_timeouts, 1);
    lab_close(lab);
}

static void a_server_drops_a_request_that_its_client_does_not_know(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet part = lab_data(5000, 3000, 0, 1000);

    (void)state;
    lab_push(lab, 1, 0, &part, 1);
    push(lab, 1, control(HOMA_RPC_UNKNOWN, 5000));
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    lab_close(lab);
}

static void a_server_drops_a_response_that_its_client_does_not_know(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    sent_response(lab, 1000);
    push(lab, 1, control(HOMA_RPC_UNKNOWN, 5000));
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    lab_close(lab);
}

static void a_request_in_service_survives_unknown(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = in_service(lab);

    (void)state;
    push(lab, 1, control(HOMA_RPC_UNKNOWN, 5000));
    assert_int_equal(lab_reply(lab, 1, 0, id, 100, 2), 0);
    lab_close(lab);
}

/* ---- CUTOFFS ---- */

static void cutoffs_decide_the_level_of_unscheduled_bytes(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100);
    struct homa_packet packet = control(HOMA_CUTOFFS, id | 1);
    struct lab_packet data;

    (void)state;
    packet.cutoffs.unsched_cutoffs[3] = 1000000;
    packet.cutoffs.unsched_cutoffs[5] = 1000;
    packet.cutoffs.version = 9;
    push(lab, 0, packet);
    assert_int_equal(lab_counters(lab, 0)->cutoffs_received, 1);
    lab_request(lab, 0, 1, 1000, 1);
    assert_int_equal(lab_pull(lab, 0, &data, 1), 1);
    assert_int_equal(data.priority, 5);
    assert_int_equal(data.decoded.data.cutoff_version, 9);
    lab_request(lab, 0, 1, 1001, 1);
    assert_int_equal(lab_pull(lab, 0, &data, 1), 1);
    assert_int_equal(data.priority, 3);
    lab_close(lab);
}

static void cutoffs_that_leave_no_level_send_at_the_lowest(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100);
    struct lab_packet data;

    (void)state;
    push(lab, 0, control(HOMA_CUTOFFS, id | 1));
    lab_request(lab, 0, 1, 1, 1);
    assert_int_equal(lab_pull(lab, 0, &data, 1), 1);
    assert_int_equal(data.priority, 0);
    lab_close(lab);
}

/* ---- NEED_ACK ---- */

static void need_ack_for_what_is_done_with_is_answered(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100);
    struct homa_packet response = lab_data(id | 1, 10, 0, 10);
    struct lab_packet packet;

    (void)state;
    push(lab, 0, control(HOMA_NEED_ACK, 901)); /* unknown, from a known peer */
    assert_int_equal(lab_pull_type(lab, 0, HOMA_ACK, &packet), 1);
    assert_int_equal(packet.decoded.ack.count, 1);
    assert_int_equal(packet.decoded.ack.acks[0].client_id, 900);
    assert_int_equal(packet.decoded.ack.acks[0].server_port, LAB_PORT);
    push(lab, 1, control(HOMA_NEED_ACK, 901)); /* from a stranger */
    assert_int_equal(lab_pull_type(lab, 1, HOMA_ACK, &packet), 1);
    assert_int_equal(packet.decoded.ack.acks[0].client_id, 900);
    push(lab, 0, response); /* complete, not taken yet */
    push(lab, 0, control(HOMA_NEED_ACK, id | 1));
    assert_int_equal(lab_pull_type(lab, 0, HOMA_ACK, &packet), 1);
    assert_int_equal(packet.decoded.ack.count, 1);
    assert_int_equal(packet.decoded.ack.acks[0].client_id, id);
    lab_close(lab);
}

static void need_ack_for_an_incomplete_response_gets_resends(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100);
    struct homa_packet first = lab_data(id | 1, 5000, 0, 1000);
    struct homa_packet later = lab_data(id | 1, 5000, 2000, 1000);
    struct lab_packet packets[8];

    (void)state;
    push(lab, 0, first);
    push(lab, 0, later);
    lab_tick(lab, 0, 100 * LAB_US);
    assert_int_equal(lab_pull(lab, 0, packets, 8), 1); /* the gap, by itself */
    push(lab, 0, control(HOMA_NEED_ACK, id | 1));
    assert_int_equal(lab_pull(lab, 0, packets, 8), 2);
    assert_int_equal(packets[0].decoded.resend.offset, 1000);
    assert_int_equal(packets[0].decoded.resend.length, 1000);
    assert_int_equal(packets[1].decoded.resend.offset, 3000);
    assert_int_equal(packets[1].decoded.resend.length, 2000);
    lab_close(lab);
}

static void need_ack_for_a_response_never_seen_asks_for_all_of_it(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100);
    struct lab_packet packet;

    (void)state;
    lab_tick(lab, 0, 2 * LAB_MS);
    push(lab, 0, control(HOMA_NEED_ACK, id | 1));
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.type, HOMA_RESEND);
    assert_int_equal(packet.decoded.resend.length, HOMA_RESEND_ALL);
    lab_close(lab);
}

static void need_ack_that_overtakes_the_response_asks_for_nothing(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100);
    struct homa_packet part = lab_data(id | 1, 5000, 0, 1000);

    (void)state;
    push(lab, 0, part);
    push(lab, 0, control(HOMA_NEED_ACK, id | 1));
    assert_int_equal(flush(lab, 0), 0);
    lab_close(lab);
}

/* ---- protocol 146 ---- */

static struct lab *open_ip(unsigned hosts)
{
    struct homa_engine_options options = lab_options();

    options.format = HOMA_FORMAT_IP;
    return lab_open_with(hosts, &options, 64);
}

static void on_protocol_146_packets_for_another_port_are_dropped(void **state)
{
    struct lab *lab = open_ip(2);
    struct homa_packet packet = lab_data(5000, 100, 0, 100);

    (void)state;
    homa_engine_set_port(lab_engine(lab, 1), 999);
    lab_push(lab, 1, 0, &packet, 1);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    assert_int_equal(lab_counters(lab, 1)->packet_discards, 1);
    lab_close(lab);
}

static void on_protocol_146_the_peers_port_is_in_the_packet(void **state)
{
    struct lab *lab = open_ip(2);
    struct homa_packet packet = lab_data(5000, 100, 0, 100);
    struct lab_message message;
    uint8_t bytes[BASE_PACKET_HEADER_MAX + 100] = {0};
    struct base_packet encoded;

    (void)state;
    packet.source_port = 33333;
    packet.destination_port = LAB_PORT;
    homa_packet_encode(&packet, HOMA_FORMAT_IP, &encoded);
    memcpy(bytes, encoded.header, encoded.header_length);
    push_raw(lab, 1, bytes, encoded.header_length + 100u);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 0, &message), 0);
    assert_int_equal(message.info.peer.port, 33333);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_unknown_and_foreign_packets_are_counted_and_dropped),
        cmocka_unit_test(what_follows_a_bad_packet_in_a_bundle_is_lost_with_it),
        cmocka_unit_test(freeze_is_ignored),
        cmocka_unit_test(packets_about_unknown_rpcs_are_discarded),
        cmocka_unit_test(a_stranger_cannot_speak_for_the_server),
        cmocka_unit_test(a_server_rpc_is_found_by_address_port_and_id),
        cmocka_unit_test(the_reply_goes_out_from_the_address_that_was_asked),
        cmocka_unit_test(a_grant_lets_more_go_out_at_its_priority),
        cmocka_unit_test(a_grant_of_nothing_new_is_counted),
        cmocka_unit_test(a_grant_beyond_the_end_grants_to_the_end),
        cmocka_unit_test(a_grant_for_a_response_not_begun_is_discarded),
        cmocka_unit_test(a_resend_gets_the_range_again_and_nothing_else),
        cmocka_unit_test(a_resend_for_all_repeats_what_was_sent_and_grants_nothing),
        cmocka_unit_test(a_resend_is_also_a_grant),
        cmocka_unit_test(a_resend_that_overflows_32_bits_reaches_to_the_end_and_no_further),
        cmocka_unit_test(a_resend_for_what_was_not_sent_yet_gets_busy),
        cmocka_unit_test(a_resend_from_the_end_on_gets_nothing),
        cmocka_unit_test(ends_that_disagree_about_a_length_do_not_wait_for_ever),
        cmocka_unit_test(several_resends_for_gaps_do_not_repeat_what_is_between_them),
        cmocka_unit_test(the_same_resend_twice_repeats_the_range_once),
        cmocka_unit_test(a_resend_for_a_response_gets_busy_until_there_is_one),
        cmocka_unit_test(all_of_many_waiting_requests_get_their_busy),
        cmocka_unit_test(a_resend_for_an_unknown_rpc_is_answered_unknown_by_both_ends),
        cmocka_unit_test(answers_to_strangers_are_bounded_and_counted),
        cmocka_unit_test(a_failed_rpc_is_unknown_to_its_server),
        cmocka_unit_test(a_36_byte_resend_marks_a_peer_that_never_grants),
        cmocka_unit_test(busy_resets_the_silence),
        cmocka_unit_test(each_busy_in_a_row_makes_the_client_ask_more_rarely),
        cmocka_unit_test(a_client_without_any_response_sends_its_request_again),
        cmocka_unit_test(a_client_that_has_seen_the_response_begin_does_not),
        cmocka_unit_test(unknown_does_not_keep_an_rpc_alive),
        cmocka_unit_test(a_server_drops_a_request_that_its_client_does_not_know),
        cmocka_unit_test(a_server_drops_a_response_that_its_client_does_not_know),
        cmocka_unit_test(a_request_in_service_survives_unknown),
        cmocka_unit_test(cutoffs_decide_the_level_of_unscheduled_bytes),
        cmocka_unit_test(cutoffs_that_leave_no_level_send_at_the_lowest),
        cmocka_unit_test(need_ack_for_what_is_done_with_is_answered),
        cmocka_unit_test(need_ack_for_an_incomplete_response_gets_resends),
        cmocka_unit_test(need_ack_for_a_response_never_seen_asks_for_all_of_it),
        cmocka_unit_test(need_ack_that_overtakes_the_response_asks_for_nothing),
        cmocka_unit_test(on_protocol_146_packets_for_another_port_are_dropped),
        cmocka_unit_test(on_protocol_146_the_peers_port_is_in_the_packet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
