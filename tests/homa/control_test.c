/*
 * Control packets: when they are made, in which order, what is withdrawn. Host 0 is the client,
 * host 1 the server; what each packet answers is tested where it is answered (input_test,
 * timer_test).
 */
#include "homa/engine_support.h"

#include <errno.h>
#include <string.h>

#define ID 5000u

static struct homa_rpc *half_a_request(struct lab *lab)
{
    struct homa_packet packet = lab_data(ID, 30000, 0, 1000);
    struct base_address client = lab_address(lab, 0);

    lab_push(lab, 1, 0, &packet, 1);
    return homa_rpc_find_server(lab_engine(lab, 1), &client, ID | 1, false);
}

static void what_is_told_twice_is_sent_once(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_rpc *rpc = half_a_request(lab);
    struct lab_packet packets[4];

    (void)state;
    homa_control_tell(lab_engine(lab, 1), rpc, HOMA_TELL_BUSY);
    homa_control_tell(lab_engine(lab, 1), rpc, HOMA_TELL_BUSY);
    assert_int_equal(lab_pull(lab, 1, packets, 4), 1);
    lab_close(lab);
}

static void a_packet_says_what_is_true_when_it_is_made(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_rpc *rpc = half_a_request(lab);
    struct homa_packet more = lab_data(ID, 30000, 1000, 5000);
    struct lab_packet packets[4];

    (void)state;
    homa_control_tell(lab_engine(lab, 1), rpc, HOMA_TELL_RESEND_REST);
    lab_push(lab, 1, 0, &more, 1);
    assert_int_equal(lab_pull(lab, 1, packets, 4), 1);
    assert_int_equal(packets[0].decoded.resend.offset, 6000);
    lab_close(lab);
}

static void what_has_become_pointless_is_not_sent(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_rpc *rpc = half_a_request(lab);
    struct homa_packet all = lab_data(ID, 30000, 1000, 29000);
    struct lab_packet packets[4];

    (void)state;
    homa_control_tell(lab_engine(lab, 1), rpc, HOMA_TELL_RESEND_REST | HOMA_TELL_RESEND_GAPS);
    lab_push(lab, 1, 0, &all, 1);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 1), HOMA_TAKE_REQUEST), 1);
    assert_int_equal(lab_pull(lab, 1, packets, 4), 0);
    lab_close(lab);
}

static void an_rpc_that_ends_takes_its_packets_with_it(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 100, 1);
    struct lab_packet packets[4];

    (void)state;
    homa_control_tell(lab_engine(lab, 0), homa_rpc_find_client(lab_engine(lab, 0), id),
                      HOMA_TELL_RESEND_REST | HOMA_TELL_BUSY);
    assert_int_equal(homa_engine_abort(lab_engine(lab, 0), lab->now, id, 0), 0);
    assert_int_equal(lab_pull(lab, 0, packets, 4), 0);
    lab_close(lab);
}

static void strangers_come_before_rpcs_before_peers(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_rpc *rpc = half_a_request(lab);
    struct base_address stranger = {.remote = base_ip_from_v4("\x0a\0\0\x02"), .port = LAB_PORT};
    struct lab_packet packets[8];

    (void)state;
    homa_ack_now(lab_engine(lab, 1), rpc->peer, 900);
    homa_control_tell_peer(lab_engine(lab, 1), rpc->peer, HOMA_PEER_TELL_CUTOFFS);
    homa_control_tell(lab_engine(lab, 1), rpc, HOMA_TELL_RESEND_REST | HOMA_TELL_BUSY);
    homa_control_tell_stranger(lab_engine(lab, 1), &stranger, HOMA_RPC_UNKNOWN, 77);
    assert_int_equal(lab_pull(lab, 1, packets, 8), 5);
    assert_int_equal(packets[0].decoded.type, HOMA_RPC_UNKNOWN);
    assert_int_equal(packets[1].decoded.type, HOMA_RESEND);
    assert_int_equal(packets[2].decoded.type, HOMA_BUSY);
    assert_int_equal(packets[3].decoded.type, HOMA_CUTOFFS);
    assert_int_equal(packets[4].decoded.type, HOMA_ACK);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(packets[i].priority, 7);
        assert_int_equal(lab_counters(lab, 1)->packets_sent[packets[i].decoded.type - HOMA_DATA],
                         1);
    }
    lab_close(lab);
}

static void acks_that_rode_away_need_no_packet(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_engine *engine = lab_engine(lab, 0);
    struct base_address server = lab_address(lab, 1);
    struct homa_peer *peer = homa_peer_get(engine, &server);
    struct lab_packet packets[4];

    (void)state;
    homa_ack_now(engine, peer, 900);
    assert_int_equal(homa_ack_take(engine, peer), 900);
    assert_int_equal(lab_pull(lab, 0, packets, 4), 0);
    lab_close(lab);
}

static void one_resend_per_gap_that_is_due(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packets[8];

    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        struct homa_packet part = lab_data(ID, 30000, 2000 * i, 1000);

        lab_push(lab, 1, 0, &part, 1);
        lab_tick(lab, 1, 200 * LAB_US);
    }
    /* The first of four gaps is 800 us old, the last 200; each is due after a millisecond. */
    lab_tick(lab, 1, 400 * LAB_US);
    assert_int_equal(lab_pull(lab, 1, packets, 8), 2);
    assert_int_equal(packets[0].decoded.resend.offset, 1000);
    assert_int_equal(packets[0].decoded.resend.length, 1000);
    assert_int_equal(packets[1].decoded.resend.offset, 3000);
    /* The next one to be due does not bring up those that have been asked for. */
    lab_tick(lab, 1, 200 * LAB_US);
    assert_int_equal(lab_pull(lab, 1, packets, 8), 1);
    assert_int_equal(packets[0].decoded.resend.offset, 5000);
    lab_close(lab);
}

static void when_the_end_has_come_nothing_is_asked_for_beyond_the_gaps(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet first = lab_data(ID, 30000, 0, 1000);
    struct homa_packet last = lab_data(ID, 30000, 29000, 1000);
    struct lab_packet packets[4];

    (void)state;
    lab_push(lab, 1, 0, &first, 1);
    lab_push(lab, 1, 0, &last, 1);
    homa_timer_ask_for_all(lab_engine(lab, 1),
                           homa_rpc_find(lab_engine(lab, 1), &lab->hosts[0].address, ID | 1));
    assert_int_equal(lab_pull(lab, 1, packets, 4), 1);
    assert_int_equal(packets[0].decoded.resend.offset, 1000);
    lab_close(lab);
}

static void a_reply_is_answer_enough_to_who_asked_for_it(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet request = lab_data(ID, 10, 0, 10);
    struct homa_packet resend = {
        .type = HOMA_RESEND, .id = ID, .resend = {.length = HOMA_RESEND_ALL, .has_priority = true}};
    struct lab_message message;
    struct lab_packet packets[4];

    (void)state;
    lab_push(lab, 1, 0, &request, 1);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    lab_push(lab, 1, 0, &resend, 0);
    assert_int_equal(lab_reply(lab, 1, 0, ID | 1, 10, 1), 0);
    assert_int_equal(lab_pull(lab, 1, packets, 4), 1);
    assert_int_equal(packets[0].decoded.type, HOMA_DATA);
    lab_close(lab);
}

static void answers_to_strangers_keep_their_order_round_the_ring(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address strangers[] = {lab_address(lab, 0), lab_address(lab, 1)};
    struct lab_packet packet;
    uint64_t told = 1;
    uint64_t seen = 1;

    (void)state;
    for (unsigned turn = 0; turn < 10; turn++) {
        for (unsigned i = 0; i < 40; i++, told += 2)
            homa_control_tell_stranger(lab_engine(lab, 1), &strangers[i % 2], HOMA_RPC_UNKNOWN,
                                       told);
        for (unsigned i = 0; i < 38; i++, seen += 2) {
            assert_int_equal(lab_pull(lab, 1, &packet, 1), 1);
            assert_int_equal(packet.decoded.id, seen);
        }
    }
    assert_int_equal(lab_counters(lab, 1)->control_overflows, 0);
    lab_close(lab);
}

static void the_ring_of_answers_takes_no_more_than_it_holds(void **state)
{
    struct lab *lab = lab_open(4);
    struct lab_packet packet;
    unsigned count = 0;

    (void)state;
    for (uint64_t id = 1; id < 2 * HOMA_STATELESS_MAX; id += 2)
        for (unsigned host = 1; host < 4; host++) {
            struct base_address stranger = lab_address(lab, host);

            homa_control_tell_stranger(lab_engine(lab, 0), &stranger, HOMA_RPC_UNKNOWN, id);
        }
    while (lab_pull(lab, 0, &packet, 1) > 0)
        count++;
    assert_int_equal(count, HOMA_STATELESS_MAX);
    assert_int_equal(lab_counters(lab, 0)->control_overflows, 2 * HOMA_STATELESS_MAX);
    lab_close(lab);
}

static void a_control_packet_has_no_payload(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address stranger = lab_address(lab, 0);
    struct base_packet packet;

    (void)state;
    memset(&packet, 0xff, sizeof(packet));
    homa_control_tell_stranger(lab_engine(lab, 1), &stranger, HOMA_RPC_UNKNOWN, 1);
    assert_int_equal(homa_engine_output(lab_engine(lab, 1), lab->now, NULL, &packet, 1), 1);
    assert_null(packet.payload);
    assert_int_equal(packet.payload_length, 0);
    assert_memory_equal(&packet.to, &stranger, sizeof(stranger));
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_told_twice_is_sent_once),
        cmocka_unit_test(a_packet_says_what_is_true_when_it_is_made),
        cmocka_unit_test(what_has_become_pointless_is_not_sent),
        cmocka_unit_test(an_rpc_that_ends_takes_its_packets_with_it),
        cmocka_unit_test(strangers_come_before_rpcs_before_peers),
        cmocka_unit_test(acks_that_rode_away_need_no_packet),
        cmocka_unit_test(one_resend_per_gap_that_is_due),
        cmocka_unit_test(when_the_end_has_come_nothing_is_asked_for_beyond_the_gaps),
        cmocka_unit_test(a_reply_is_answer_enough_to_who_asked_for_it),
        cmocka_unit_test(answers_to_strangers_keep_their_order_round_the_ring),
        cmocka_unit_test(the_ring_of_answers_takes_no_more_than_it_holds),
        cmocka_unit_test(a_control_packet_has_no_payload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
