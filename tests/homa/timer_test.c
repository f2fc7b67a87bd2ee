/*
 * Silence: when it is asked for what is missing, when it is given up, when silence is nobody's
 * fault. Host 0 is the client, host 1 the server.
 */
#include "homa/engine_support.h"

#include <errno.h>

#define ID 5000u

/* Lets time pass until the host sends a packet of this type; returns how long that took. Others
 * that it sends are dropped. Fails after 3 s. */
static uint64_t wait_for(struct lab *lab, unsigned host, enum homa_packet_type type,
                         struct lab_packet *packet)
{
    uint64_t began = lab->now;

    while (lab->now < began + 3 * LAB_S) {
        uint64_t due;

        while (lab_pull(lab, host, packet, 1) > 0)
            if (packet->decoded.type == type)
                return lab->now - began;
        due = homa_engine_deadline(lab_engine(lab, host));
        if (due == HOMA_NEVER)
            break;
        lab_jump(lab, host, due > lab->now ? due - lab->now : 0);
    }
    fail_msg("host %u never sent a %s", host, homa_packet_type_name(type));
    return 0;
}

static void flush(struct lab *lab, unsigned host)
{
    struct lab_packet packet;

    while (lab_pull(lab, host, &packet, 1) > 0)
        ;
}

static uint64_t sent_request(struct lab *lab, uint32_t length)
{
    uint64_t id = lab_request(lab, 0, 1, length, 1);

    flush(lab, 0);
    return id;
}

static void push_request_part(struct lab *lab, uint32_t total, uint32_t offset, uint32_t length)
{
    struct homa_packet packet = lab_data(ID, total, offset, length);

    lab_push(lab, 1, 0, &packet, 1);
}

static void replied(struct lab *lab, uint32_t length)
{
    struct lab_message message;

    push_request_part(lab, 10, 0, 10);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    assert_int_equal(lab_reply(lab, 1, 0, message.info.id, length, 2), 0);
    flush(lab, 1);
}

static void push_control(struct lab *lab, unsigned to, enum homa_packet_type type, uint64_t id)
{
    struct homa_packet packet = {.type = type, .id = id};

    lab_push(lab, to, 1 - to, &packet, 0);
}

/* ---- a client that hears nothing ---- */

static void a_client_asks_after_5_ms_and_every_5_ms(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100);
    struct lab_packet packet;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 5 * LAB_MS);
        assert_int_equal(packet.decoded.id, id);
        assert_int_equal(packet.decoded.resend.offset, 0);
        assert_int_equal(packet.decoded.resend.length, HOMA_RESEND_ALL);
        assert_true(packet.decoded.resend.has_priority);
        assert_int_equal(packet.decoded.resend.priority, 7);
    }
    lab_close(lab);
}

/* Teaches the client that answers of this peer take so long. */
static void teach_response_time(struct lab *lab, uint64_t ns)
{
    for (unsigned i = 0; i < 50; i++) {
        uint64_t id = sent_request(lab, 10);
        struct homa_packet response = lab_data(id | 1, 10, 0, 10);
        struct lab_message message;

        lab_tick(lab, 0, ns);
        lab_push(lab, 0, 1, &response, 1);
        assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 1, &message), 0);
        flush(lab, 0);
    }
}

static void a_client_that_knows_fast_answers_asks_sooner_then_doubles(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    teach_response_time(lab, 20 * LAB_US);
    sent_request(lab, 100);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 500 * LAB_US);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 1000 * LAB_US);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 2000 * LAB_US);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 4000 * LAB_US);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 5000 * LAB_US);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 5000 * LAB_US);
    lab_close(lab);
}

static void the_first_question_waits_for_four_times_the_usual_answer(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    teach_response_time(lab, 400 * LAB_US);
    sent_request(lab, 100);
    assert_in_range(wait_for(lab, 0, HOMA_RESEND, &packet), 1590 * LAB_US, 1601 * LAB_US);
    lab_close(lab);
}

static void slow_answers_do_not_delay_the_first_question_beyond_5_ms(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    teach_response_time(lab, 4 * LAB_MS);
    sent_request(lab, 100);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 5 * LAB_MS);
    lab_close(lab);
}

static void a_client_gives_up_after_the_timeout(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;
    uint64_t id = sent_request(lab, 100);

    (void)state;
    lab_tick(lab, 0, 999 * LAB_MS);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 0);
    lab_tick(lab, 0, LAB_MS);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), 0);
    assert_int_equal(message.info.id, id);
    assert_int_equal(message.info.error, ETIMEDOUT);
    assert_int_equal(message.info.cookie, 1);
    assert_int_equal(lab_counters(lab, 0)->rpc_timeouts, 1);
    lab_close(lab);
}

static void nobody_is_silent_while_our_bytes_have_not_gone_out(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    lab_request(lab, 0, 1, 100, 1); /* and the wire takes nothing for ten seconds */
    lab_tick(lab, 0, 10 * LAB_S);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 0);
    flush(lab, 0);
    lab_tick(lab, 0, LAB_S);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 1);
    lab_close(lab);
}

static void a_request_that_waits_for_grants_asks_too(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    sent_request(lab, 100000); /* all of which may have been lost */
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 5 * LAB_MS);
    assert_int_equal(packet.decoded.resend.length, HOMA_RESEND_ALL);
    lab_close(lab);
}

static void a_sign_of_life_begins_the_silence_anew(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100000);
    struct homa_packet grant = {.type = HOMA_GRANT, .id = id | 1, .grant = {.offset = 40000}};
    struct lab_packet packet;

    (void)state;
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 5 * LAB_MS);
    lab_tick(lab, 0, 3 * LAB_MS);
    lab_push(lab, 0, 1, &grant, 0);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 5 * LAB_MS);
    lab_close(lab);
}

/* ---- a message of which something is missing ---- */

static void the_tail_is_asked_for_after_5_ms_of_silence_and_every_5_ms(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    push_request_part(lab, 10000, 0, 1000);
    lab_tick(lab, 1, 3 * LAB_MS);
    push_request_part(lab, 10000, 1000, 1000);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(wait_for(lab, 1, HOMA_RESEND, &packet), 5 * LAB_MS);
        assert_int_equal(packet.decoded.resend.offset, 2000);
        assert_int_equal(packet.decoded.resend.length, 8000);
        assert_int_equal(packet.decoded.resend.priority, 5); /* unscheduled, of 10,000 bytes */
    }
    lab_close(lab);
}

static void a_gap_is_asked_for_after_1_ms_when_the_round_trip_is_unknown(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    push_request_part(lab, 10000, 0, 1000);
    push_request_part(lab, 10000, 3000, 1000);
    assert_int_equal(wait_for(lab, 1, HOMA_RESEND, &packet), LAB_MS);
    assert_int_equal(packet.decoded.resend.offset, 1000);
    assert_int_equal(packet.decoded.resend.length, 2000);
    assert_int_equal(wait_for(lab, 1, HOMA_RESEND, &packet), LAB_MS);
    assert_int_equal(wait_for(lab, 1, HOMA_RESEND, &packet), 2 * LAB_MS);
    lab_close(lab);
}

static void a_gap_is_asked_for_in_microseconds_when_the_round_trip_is_known(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;
    uint64_t id;

    (void)state;
    teach_response_time(lab, 5 * LAB_US);
    id = sent_request(lab, 10);
    for (unsigned i = 0; i < 10; i++) {
        struct homa_packet part = lab_data(id | 1, 30000, i * 1000, 1000);

        if (i != 3 && i != 6)
            lab_push(lab, 0, 1, &part, 1);
    }
    /* Both gaps at once, and nothing for the tail. */
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 50 * LAB_US);
    assert_int_equal(packet.decoded.resend.offset, 3000);
    assert_int_equal(packet.decoded.resend.length, 1000);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 0);
    assert_int_equal(packet.decoded.resend.offset, 6000);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 50 * LAB_US);
    lab_close(lab);
}

static void a_gap_that_closes_in_time_is_not_asked_for(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    push_request_part(lab, 10000, 0, 1000);
    push_request_part(lab, 10000, 2000, 1000);
    lab_tick(lab, 1, 900 * LAB_US);
    push_request_part(lab, 10000, 1000, 1000);
    assert_int_equal(wait_for(lab, 1, HOMA_RESEND, &packet), 5 * LAB_MS);
    assert_int_equal(packet.decoded.resend.offset, 3000);
    lab_close(lab);
}

static void a_gap_before_the_class_boundary_is_no_proof(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet unscheduled = lab_data(ID, 100000, 0, 39000);
    struct homa_packet scheduled = lab_data(ID, 100000, 40000, 1000);
    struct lab_packet packet;

    (void)state;
    lab_push(lab, 1, 0, &unscheduled, 1);
    scheduled.data.incoming = 41000;
    lab_push(lab, 1, 0, &scheduled, 1);
    flush(lab, 1);
    /* The scheduled bytes may merely have overtaken: wait for silence. */
    assert_in_range(wait_for(lab, 1, HOMA_RESEND, &packet), 4900 * LAB_US, 5000 * LAB_US);
    assert_int_equal(packet.decoded.resend.offset, 39000);
    assert_int_equal(packet.decoded.resend.length, 1000);
    lab_close(lab);
}

static void a_server_gives_up_a_request_after_the_timeout(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    push_request_part(lab, 10000, 0, 1000);
    lab_tick(lab, 1, 999 * LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    lab_tick(lab, 1, LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    assert_int_equal(lab_counters(lab, 1)->server_rpc_discards, 1);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 1), HOMA_TAKE_REQUEST), 0);
    lab_close(lab);
}

static void a_client_gives_up_a_response_that_stops_midway(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;
    uint64_t id = sent_request(lab, 10);
    struct homa_packet part = lab_data(id | 1, 10000, 0, 1000);

    (void)state;
    lab_tick(lab, 0, 600 * LAB_MS);
    lab_push(lab, 0, 1, &part, 1);
    lab_tick(lab, 0, 999 * LAB_MS);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 0);
    lab_tick(lab, 0, LAB_MS);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), 0);
    assert_int_equal(message.info.error, ETIMEDOUT);
    assert_int_equal(message.info.num_bpages, 0);
    lab_close(lab);
}

static void an_application_that_takes_its_time_is_never_cut_short(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;

    (void)state;
    push_request_part(lab, 10, 0, 10);
    lab_tick(lab, 1, 60 * LAB_S);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    lab_tick(lab, 1, 60 * LAB_S);
    assert_int_equal(homa_engine_deadline(lab_engine(lab, 1)), HOMA_NEVER);
    assert_int_equal(lab_reply(lab, 1, 0, message.info.id, 10, 2), 0);
    lab_close(lab);
}

static void a_slow_server_is_asked_ever_more_rarely_but_its_answer_comes(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;
    struct lab_message answer;

    (void)state;
    lab_request(lab, 0, 1, 100, 1);
    lab_run(lab, LAB_MS);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    lab_run(lab, 10 * LAB_S);
    assert_in_range(lab->packets[HOMA_RESEND - HOMA_DATA], 30, 60);
    assert_int_equal(lab->packets[HOMA_BUSY - HOMA_DATA], lab->packets[HOMA_RESEND - HOMA_DATA]);
    assert_int_equal(lab_reply(lab, 1, 0, message.info.id, 100, 2), 0);
    lab_run(lab, LAB_MS);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 2, &answer), 0);
    lab_close(lab);
}

/* ---- a server that waits for an ack ---- */

static void a_server_asks_for_the_ack_after_2_ms_doubling_to_100(void **state)
{
    static const uint64_t waits[] = {2, 4, 8, 16, 32, 64, 100, 100, 100};
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    replied(lab, 100);
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        assert_int_equal(wait_for(lab, 1, HOMA_NEED_ACK, &packet), waits[i] * LAB_MS);
        assert_int_equal(packet.decoded.id, ID | 1);
    }
    lab_close(lab);
}

static void without_an_ack_the_server_forgets_after_twice_the_timeout(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    replied(lab, 100);
    lab_tick(lab, 1, 1999 * LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    lab_tick(lab, 1, LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    assert_int_equal(lab_counters(lab, 1)->ack_timeouts, 1);
    /* Still, a late copy of the request does not run again. */
    push_request_part(lab, 10, 0, 10);
    assert_int_equal(lab_counters(lab, 1)->tombstone_hits, 1);
    lab_close(lab);
}

static void a_client_that_asks_for_the_response_keeps_it_alive(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet resend = {
        .type = HOMA_RESEND, .id = ID, .resend = {.length = HOMA_RESEND_ALL, .has_priority = true}};

    (void)state;
    replied(lab, 100);
    for (unsigned i = 0; i < 5; i++) {
        lab_tick(lab, 1, 1500 * LAB_MS);
        lab_push(lab, 1, 0, &resend, 0);
        flush(lab, 1);
    }
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    lab_close(lab);
}

static void a_response_that_is_never_granted_ends_after_twice_the_timeout(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    replied(lab, 100000);
    assert_int_equal(wait_for(lab, 1, HOMA_NEED_ACK, &packet), 100 * LAB_MS);
    lab_tick(lab, 1, 1850 * LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    lab_tick(lab, 1, 50 * LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    assert_int_equal(lab_usage(lab, 1).queued_bytes, 0);
    lab_close(lab);
}

static void a_response_that_the_client_has_no_turn_for_is_kept(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    replied(lab, 100000);
    for (unsigned i = 0; i < 10; i++) {
        lab_tick(lab, 1, 1000 * LAB_MS);
        flush(lab, 1);
        push_control(lab, 1, HOMA_BUSY, ID);
    }
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    lab_close(lab);
}

/* ---- knobs ---- */

static void the_ticks_are_knobs(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab_packet packet;
    struct lab *lab;

    (void)state;
    options.knobs.resend_ticks = 20;
    options.knobs.resend_interval = 30;
    options.knobs.timeout_ticks = 100;
    options.knobs.request_ack_ticks = 7;
    lab = lab_open_with(2, &options, 64);
    sent_request(lab, 100);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 20 * LAB_MS);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 30 * LAB_MS);
    lab_tick(lab, 0, 50 * LAB_MS);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 1);
    replied(lab, 100);
    assert_int_equal(wait_for(lab, 1, HOMA_NEED_ACK, &packet), 7 * LAB_MS);
    lab_close(lab);
}

/* A link on which nothing more goes out. */
static void block_the_link(struct lab *lab, unsigned host)
{
    lab->hosts[host].backlog = (struct base_backlog){.bytes = 1000000, .bytes_per_second = 1000};
}

static void while_a_retransmission_waits_to_go_out_nothing_is_asked_but_time_counts(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 5000);
    struct lab_packet packet;

    (void)state;
    block_the_link(lab, 0);
    push_control(lab, 0, HOMA_RPC_UNKNOWN, id | 1);
    lab_tick(lab, 0, 990 * LAB_MS);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 0);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 0);
    lab_tick(lab, 0, 10 * LAB_MS);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 1);
    lab_close(lab);
}

static void while_a_retransmission_waits_to_go_out_no_ack_is_asked_for(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet resend = {
        .type = HOMA_RESEND, .id = ID, .resend = {.length = HOMA_RESEND_ALL, .has_priority = true}};
    struct lab_packet packet;

    (void)state;
    replied(lab, 5000);
    block_the_link(lab, 1);
    lab_push(lab, 1, 0, &resend, 0);
    lab_tick(lab, 1, 500 * LAB_MS);
    assert_int_equal(lab_pull(lab, 1, &packet, 1), 0);
    lab_tick(lab, 1, 1500 * LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    lab_close(lab);
}

static void what_a_need_ack_made_us_ask_is_not_asked_again_at_once(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = sent_request(lab, 100);
    struct lab_packet packet;

    (void)state;
    lab_tick(lab, 0, 4 * LAB_MS);
    push_control(lab, 0, HOMA_NEED_ACK, id | 1);
    assert_int_equal(lab_pull_type(lab, 0, HOMA_RESEND, &packet), 1);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 5 * LAB_MS);
    lab_close(lab);
}

static void a_timer_that_fires_early_finds_nothing_to_do(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_engine *client = lab_engine(lab, 0);
    struct homa_engine *server = lab_engine(lab, 1);
    struct homa_rpc *requesting = homa_rpc_find_client(client, sent_request(lab, 100));
    struct base_address address = lab_address(lab, 0);
    struct homa_rpc *replying;
    struct lab_packet packet;
    uint64_t expected;

    (void)state;
    replied(lab, 100);
    replying = homa_rpc_find_server(server, &address, ID | 1, false);
    assert_int_equal(wait_for(lab, 1, HOMA_NEED_ACK, &packet), 2 * LAB_MS);
    assert_int_equal(wait_for(lab, 0, HOMA_RESEND, &packet), 3 * LAB_MS);
    expected = lab->now - 3 * LAB_MS + 4 * LAB_MS; /* the next NEED_ACK */
    for (unsigned i = 0; i < 10; i++) {
        lab_jump(lab, 0, 0);
        lab_jump(lab, 1, 0);
        homa_timer_arm(client, requesting, client->clock + 10 * LAB_US);
        homa_timer_arm(server, replying, server->clock + 10 * LAB_US);
        lab_tick(lab, 1, 50 * LAB_US);
        lab_tick(lab, 0, 50 * LAB_US);
        assert_int_equal(lab_pull(lab, 0, &packet, 1), 0);
        assert_int_equal(lab_pull(lab, 1, &packet, 1), 0);
    }
    wait_for(lab, 1, HOMA_NEED_ACK, &packet);
    assert_int_equal(lab->now, expected);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_asks_after_5_ms_and_every_5_ms),
        cmocka_unit_test(a_client_that_knows_fast_answers_asks_sooner_then_doubles),
        cmocka_unit_test(the_first_question_waits_for_four_times_the_usual_answer),
        cmocka_unit_test(slow_answers_do_not_delay_the_first_question_beyond_5_ms),
        cmocka_unit_test(a_client_gives_up_after_the_timeout),
        cmocka_unit_test(nobody_is_silent_while_our_bytes_have_not_gone_out),
        cmocka_unit_test(a_request_that_waits_for_grants_asks_too),
        cmocka_unit_test(a_sign_of_life_begins_the_silence_anew),
        cmocka_unit_test(the_tail_is_asked_for_after_5_ms_of_silence_and_every_5_ms),
        cmocka_unit_test(a_gap_is_asked_for_after_1_ms_when_the_round_trip_is_unknown),
        cmocka_unit_test(a_gap_is_asked_for_in_microseconds_when_the_round_trip_is_known),
        cmocka_unit_test(a_gap_that_closes_in_time_is_not_asked_for),
        cmocka_unit_test(a_gap_before_the_class_boundary_is_no_proof),
        cmocka_unit_test(a_server_gives_up_a_request_after_the_timeout),
        cmocka_unit_test(a_client_gives_up_a_response_that_stops_midway),
        cmocka_unit_test(an_application_that_takes_its_time_is_never_cut_short),
        cmocka_unit_test(a_slow_server_is_asked_ever_more_rarely_but_its_answer_comes),
        cmocka_unit_test(a_server_asks_for_the_ack_after_2_ms_doubling_to_100),
        cmocka_unit_test(without_an_ack_the_server_forgets_after_twice_the_timeout),
        cmocka_unit_test(a_client_that_asks_for_the_response_keeps_it_alive),
        cmocka_unit_test(a_response_that_is_never_granted_ends_after_twice_the_timeout),
        cmocka_unit_test(a_response_that_the_client_has_no_turn_for_is_kept),
        cmocka_unit_test(the_ticks_are_knobs),
        cmocka_unit_test(while_a_retransmission_waits_to_go_out_nothing_is_asked_but_time_counts),
        cmocka_unit_test(while_a_retransmission_waits_to_go_out_no_ack_is_asked_for),
        cmocka_unit_test(what_a_need_ack_made_us_ask_is_not_asked_again_at_once),
        cmocka_unit_test(a_timer_that_fires_early_finds_nothing_to_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
