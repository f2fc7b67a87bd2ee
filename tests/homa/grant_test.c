/*
 * The engine's dealings with the scheduler: long messages from registration to completion, grants
 * of its own and for others. Host 0 is the client, host 1 the server.
 */
#include "homa/engine_support.h"

#include <errno.h>

#define ID 5000u

static void push(struct lab *lab, uint64_t id, uint32_t total, uint32_t offset, uint32_t length,
                 uint32_t incoming)
{
    struct homa_packet packet = lab_data(id, total, offset, length);

    packet.data.incoming = incoming;
    lab_push(lab, 1, 0, &packet, 1);
}

static size_t schedule(struct lab *lab, unsigned host)
{
    struct homa_grant grants[16];

    return homa_engine_schedule(lab_engine(lab, host), lab->now, grants, 16);
}

static void flush(struct lab *lab, unsigned host)
{
    struct lab_packet packet;

    while (lab_pull(lab, host, &packet, 1) > 0)
        ;
}

static void short_messages_never_touch_the_scheduler(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    push(lab, ID, 40000, 0, 1000, 40000);
    assert_false(homa_engine_wants_schedule(lab_engine(lab, 1)));
    push(lab, ID, 40000, 1000, 39000, 40000);
    assert_false(homa_engine_wants_schedule(lab_engine(lab, 1)));
    lab_close(lab);
}

static void a_long_message_is_granted_once_it_has_begun(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    push(lab, ID, 100000, 0, 1000, 40000);
    assert_true(homa_engine_wants_schedule(lab_engine(lab, 1)));
    assert_int_equal(schedule(lab, 1), 0);
    assert_false(homa_engine_wants_schedule(lab_engine(lab, 1)));
    assert_int_equal(lab_pull_type(lab, 1, HOMA_GRANT, &packet), 1);
    assert_int_equal(packet.decoded.id, ID | 1);
    assert_int_equal(packet.decoded.grant.offset, 100000);
    assert_in_range(packet.decoded.grant.priority, 0, 3);
    assert_int_equal(homa_sched_outstanding(lab->hosts[1].sched), 99000);
    lab_close(lab);
}

static void of_two_senders_the_one_with_less_left_is_granted_a_higher_level(void **state)
{
    struct lab *lab = lab_open(3);
    struct homa_packet longer = lab_data(ID, 200000, 0, 40000);
    struct lab_packet packets[2];

    (void)state;
    lab_push(lab, 1, 2, &longer, 1);
    push(lab, ID, 100000, 0, 40000, 40000);
    schedule(lab, 1);
    assert_int_equal(lab_pull(lab, 1, packets, 2), 2);
    assert_int_equal(packets[0].decoded.grant.offset, 100000);
    assert_int_equal(packets[0].decoded.grant.priority, 1);
    assert_int_equal(packets[1].decoded.grant.priority, 0);
    lab_close(lab);
}

static void grants_stay_within_the_window(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab_packet packet;
    struct lab *lab;

    (void)state;
    options.knobs.window = 50000;
    lab = lab_open_with(2, &options, 64);
    push(lab, ID, 1000000, 0, 1000, 40000);
    schedule(lab, 1);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_GRANT, &packet), 1);
    assert_int_equal(packet.decoded.grant.offset, 51000);
    push(lab, ID, 1000000, 1000, 39000, 40000);
    schedule(lab, 1);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_GRANT, &packet), 1);
    assert_int_equal(packet.decoded.grant.offset, 90000);
    lab_close(lab);
}

static void a_sender_that_never_grants_needs_no_grants(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    push(lab, ID, 100000, 0, 1000, 0);
    assert_false(homa_engine_wants_schedule(lab_engine(lab, 1)));
    lab_close(lab);
}

static void a_complete_message_gives_its_place_back(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;

    (void)state;
    push(lab, ID, 60000, 0, 1000, 40000);
    schedule(lab, 1);
    push(lab, ID, 60000, 1000, 59000, 60000);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    assert_true(homa_engine_wants_schedule(lab_engine(lab, 1)));
    schedule(lab, 1);
    assert_int_equal(homa_sched_outstanding(lab->hosts[1].sched), 0);
    lab_close(lab);
}

static void a_message_that_is_given_up_gives_its_place_back(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet unknown = {.type = HOMA_RPC_UNKNOWN, .id = ID};

    (void)state;
    push(lab, ID, 60000, 0, 1000, 40000);
    schedule(lab, 1);
    assert_true(homa_sched_outstanding(lab->hosts[1].sched) > 0);
    push(lab, ID, 60000, 1000, 1000, 40000); /* marked, and then gone */
    lab_push(lab, 1, 0, &unknown, 0);
    schedule(lab, 1);
    assert_int_equal(homa_sched_outstanding(lab->hosts[1].sched), 0);
    lab_close(lab);
}

/* Its timer fires in homa_engine_advance(), but it is judged only when the scheduler has been
 * asked. */
static void a_message_that_times_out_while_it_is_reported_gives_its_place_back(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_engine *engine = lab_engine(lab, 1);
    struct homa_engine_usage usage;

    (void)state;
    push(lab, ID, 100000, 0, 1000, 40000);
    schedule(lab, 1);
    for (unsigned turn = 0; turn < 10000; turn++) {
        homa_engine_usage(engine, &usage);
        if (usage.rpcs == 0)
            break;
        flush(lab, 1);
        lab->now += LAB_MS;
        homa_engine_advance(engine, lab->now);
        if (homa_engine_wants_schedule(engine))
            schedule(lab, 1);
    }
    assert_int_equal(usage.rpcs, 0);
    assert_false(homa_engine_wants_schedule(engine));
    assert_int_equal(homa_sched_outstanding(lab->hosts[1].sched), 0);
    assert_false(homa_sched_wants_grants(lab->hosts[1].sched));
    lab_close(lab);
}

static void a_lost_grant_is_repaired_by_a_resend(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    push(lab, ID, 60000, 0, 40000, 40000);
    schedule(lab, 1);
    flush(lab, 1); /* lost */
    lab_tick(lab, 1, 6 * LAB_MS);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_RESEND, &packet), 1);
    assert_int_equal(packet.decoded.resend.offset, 40000);
    assert_int_equal(packet.decoded.resend.length, 20000);
    assert_int_equal(packet.decoded.resend.priority, 0); /* that of the grant */
    lab_close(lab);
}

static void silence_while_we_grant_nothing_is_not_the_senders(void **state)
{
    struct homa_engine_options options = lab_options();
    struct homa_packet other = lab_data(ID, 900000, 0, 40000);
    struct lab *lab;

    (void)state;
    options.knobs.max_overcommit = 1;
    options.knobs.window = 20000;
    options.knobs.grant_fifo_fraction = 0;
    options.knobs.timeout_ticks = 100;
    lab = lab_open_with(3, &options, 64);
    /* The first sender's message is shorter and trickles in; the second one's has no turn. */
    push(lab, ID, 800000, 0, 40000, 40000);
    schedule(lab, 1);
    lab_push(lab, 1, 2, &other, 1);
    for (uint32_t i = 0; i < 600; i++) {
        lab_tick(lab, 1, 900 * LAB_US);
        push(lab, ID, 800000, 40000 + 1000 * i, 1000, 40000);
        schedule(lab, 1);
        flush(lab, 1);
    }
    assert_int_equal(lab_counters(lab, 1)->server_rpc_discards, 0);
    assert_int_equal(lab_usage(lab, 1).rpcs, 2);
    /* When the first one stops, the second gets its turn, and its silence counts. */
    lab_tick(lab, 1, 120 * LAB_MS);
    assert_int_equal(lab_counters(lab, 1)->server_rpc_discards, 2);
    lab_close(lab);
}

static void a_sender_whose_turn_comes_after_long_has_time_to_send(void **state)
{
    struct homa_engine_options options = lab_options();
    struct homa_packet other = lab_data(ID, 900000, 0, 40000);
    struct homa_packet unknown = {.type = HOMA_RPC_UNKNOWN, .id = ID};
    struct lab_packet packet;
    struct lab *lab;

    (void)state;
    options.knobs.max_overcommit = 1;
    options.knobs.window = 20000;
    options.knobs.grant_fifo_fraction = 0;
    options.knobs.timeout_ticks = 20;
    lab = lab_open_with(3, &options, 64);
    push(lab, ID, 800000, 0, 40000, 40000);
    schedule(lab, 1);
    lab_push(lab, 1, 2, &other, 1);
    for (uint32_t i = 0; i < 240; i++) {
        lab_tick(lab, 1, 900 * LAB_US);
        push(lab, ID, 800000, 40000 + 1000 * i, 1000, 40000);
        schedule(lab, 1);
        flush(lab, 1);
    }
    lab_push(lab, 1, 0, &unknown, 0);
    schedule(lab, 1);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_GRANT, &packet), 1);
    lab_tick(lab, 1, 5 * LAB_MS);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_RESEND, &packet), 1); /* it may have been lost */
    lab_tick(lab, 1, 14 * LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    lab_tick(lab, 1, 2 * LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    lab_close(lab);
}

static void when_the_scheduler_is_full_a_message_tries_again(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab = lab_open_with(2, &options, 64);
    struct lab_host *host = &lab->hosts[1];
    struct lab_packet packet;

    (void)state;
    homa_engine_detach(host->engine);
    homa_sched_close(host->sched);
    assert_int_equal(homa_sched_open(&host->sched, &options.knobs, 1), 0);
    homa_engine_attach(host->engine, host->sched, host, 1000000);
    push(lab, ID, 60000, 0, 40000, 40000);
    push(lab, ID + 2, 70000, 0, 40000, 40000);
    schedule(lab, 1);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_GRANT, &packet), 1);
    push(lab, ID, 60000, 40000, 20000, 60000);
    lab_tick(lab, 1, 20 * LAB_MS);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_GRANT, &packet), 1);
    assert_int_equal(packet.decoded.id, ID + 3);
    lab_close(lab);
}

static void without_a_scheduler_resends_grant_step_by_step(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;

    (void)state;
    homa_engine_detach(lab_engine(lab, 1));
    assert_false(homa_engine_wants_schedule(lab_engine(lab, 1)));
    lab_request(lab, 0, 1, 200000, 6);
    assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, 100 * LAB_MS));
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 6, &message), 0);
    assert_int_equal(lab->packets[HOMA_GRANT - HOMA_DATA], 0);
    assert_in_range(lab->packets[HOMA_RESEND - HOMA_DATA], 4, 12);
    lab_close(lab);
}

static void detaching_in_the_middle_leaves_messages_alive(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;

    (void)state;
    lab_request(lab, 0, 1, 500000, 6);
    lab_run(lab, 50 * LAB_US);
    assert_true(homa_sched_outstanding(lab->hosts[1].sched) > 0);
    homa_engine_detach(lab_engine(lab, 1));
    assert_int_equal(homa_sched_outstanding(lab->hosts[1].sched), 0);
    assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, LAB_S));
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 6, &message), 0);
    lab_close(lab);
}

static void a_granted_round_trip_is_measured(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address client = lab_address(lab, 0);

    (void)state;
    client.local = lab_address(lab, 1).remote;
    push(lab, ID, 60000, 0, 39000, 40000);
    schedule(lab, 1);
    flush(lab, 1);
    lab_tick(lab, 1, 20 * LAB_US);
    push(lab, ID, 60000, 39000, 1000, 60000); /* sent before the GRANT came */
    assert_int_equal(homa_peer_find(lab_engine(lab, 1), &client)->rtt_ns, 0);
    lab_tick(lab, 1, 20 * LAB_US);
    push(lab, ID, 60000, 40000, 1000, 60000);
    assert_int_equal(homa_peer_find(lab_engine(lab, 1), &client)->rtt_ns, 40 * LAB_US);
    lab_tick(lab, 1, LAB_MS);
    push(lab, ID, 60000, 41000, 1000, 60000); /* each GRANT tells one round trip */
    assert_int_equal(homa_peer_find(lab_engine(lab, 1), &client)->rtt_ns, 40 * LAB_US);
    lab_close(lab);
}

static void a_round_trip_that_the_request_did_not_tell_is_not_told_by_the_ack(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address client = lab_address(lab, 0);
    struct homa_packet ack = {
        .type = HOMA_ACK, .id = ID, .ack = {.count = 1, .acks[0] = {.client_id = ID}}};
    struct lab_message message;

    (void)state;
    client.local = lab_address(lab, 1).remote;
    push(lab, ID, 60000, 1000, 39000, 40000);
    schedule(lab, 1);
    flush(lab, 1);
    /* The last packets came from another path, all at once and each in front of the last. */
    push(lab, ID, 60000, 1000, 59000, 60000);
    push(lab, ID, 60000, 0, 1000, 60000);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    assert_int_equal(lab_reply(lab, 1, 0, ID | 1, 10, 1), 0);
    flush(lab, 1);
    lab_tick(lab, 1, LAB_MS);
    lab_push(lab, 1, 0, &ack, 0);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    assert_int_equal(homa_peer_find(lab_engine(lab, 1), &client)->rtt_ns, 0);
    lab_close(lab);
}

/* ---- several engines, one scheduler ---- */

/* Hosts 1 and 2 are sockets of one machine. */
static struct lab *open_shared(const struct homa_engine_options *options)
{
    struct lab *lab = lab_open_with(3, options, 64);

    homa_engine_detach(lab_engine(lab, 2));
    homa_engine_attach(lab_engine(lab, 2), lab->hosts[1].sched, &lab->hosts[2], 1000000);
    return lab;
}

static void a_grant_for_another_engine_comes_back_to_be_sent_for_it(void **state)
{
    struct homa_engine_options options = lab_options();
    struct homa_packet other = lab_data(ID, 300000, 0, 40000);
    struct homa_grant grants[4];
    struct base_packet packet;
    struct homa_packet decoded;
    enum homa_packet_fault fault;
    struct lab_packet out;
    struct lab *lab;

    (void)state;
    options.knobs.max_overcommit = 1;
    options.knobs.grant_fifo_fraction = 0;
    options.knobs.window = 50000;
    lab = open_shared(&options);
    push(lab, ID, 200000, 0, 40000, 40000);
    schedule(lab, 1);
    flush(lab, 1);
    lab_push(lab, 2, 0, &other, 1);
    assert_int_equal(schedule(lab, 2), 0); /* not its turn */
    for (uint32_t offset = 40000; offset < 200000; offset += 40000)
        push(lab, ID, 200000, offset, 40000, offset + 40000);
    assert_int_equal(homa_engine_schedule(lab_engine(lab, 1), lab->now, grants, 4), 1);
    assert_ptr_equal(grants[0].owner->cookie, &lab->hosts[2]);
    assert_int_equal(grants[0].id, ID | 1);
    assert_int_equal(grants[0].offset, 90000);
    homa_engine_encode_grant(&grants[0], 77, HOMA_FORMAT_UDP, homa_engine_knobs(lab_engine(lab, 2)),
                             &packet);
    assert_int_equal(
        homa_packet_decode(packet.header, packet.header_length, HOMA_FORMAT_UDP, &decoded, &fault),
        packet.header_length);
    assert_int_equal(decoded.type, HOMA_GRANT);
    assert_int_equal(decoded.source_port, 77);
    assert_int_equal(decoded.id, ID | 1);
    assert_int_equal(packet.priority, 7);
    /* The other engine learns of it before it asks for anything. */
    lab_tick(lab, 2, 5 * LAB_MS);
    assert_int_equal(lab_pull_type(lab, 2, HOMA_RESEND, &out), 1);
    assert_int_equal(out.decoded.resend.offset, 40000);
    assert_int_equal(out.decoded.resend.length, 50000);
    lab_close(lab);
}

static void what_others_granted_after_long_is_learnt_soon_and_no_silence(void **state)
{
    struct homa_engine_options options = lab_options();
    struct homa_packet other = lab_data(ID, 900000, 0, 40000);
    struct homa_packet unknown = {.type = HOMA_RPC_UNKNOWN, .id = ID};
    struct homa_grant grants[4];
    struct lab_packet packet;
    struct lab *lab;

    (void)state;
    options.knobs.max_overcommit = 1;
    options.knobs.window = 20000;
    options.knobs.grant_fifo_fraction = 0;
    lab = open_shared(&options);
    push(lab, ID, 800000, 0, 40000, 40000);
    schedule(lab, 1);
    lab_push(lab, 2, 0, &other, 1);
    for (uint32_t i = 0; i < 2600; i++) {
        lab_tick(lab, 1, 500 * LAB_US);
        lab_jump(lab, 2, 0);
        push(lab, ID, 800000, 40000 + i, 1, 40000);
        flush(lab, 1);
    }
    lab_push(lab, 1, 0, &unknown, 0);
    assert_int_equal(homa_engine_schedule(lab_engine(lab, 1), lab->now, grants, 4), 1);
    assert_ptr_equal(grants[0].owner->cookie, &lab->hosts[2]);
    /* That grant is lost. Within 100 ms the other engine learns of it, and asks. */
    lab_tick(lab, 2, 110 * LAB_MS);
    assert_int_equal(lab_usage(lab, 2).rpcs, 1);
    assert_int_equal(lab_pull_type(lab, 2, HOMA_RESEND, &packet), 1);
    assert_int_equal(packet.decoded.resend.length, 20000);
    lab_close(lab);
}

static void engines_that_share_a_scheduler_all_finish(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab_message message;
    struct lab *lab;

    (void)state;
    options.knobs.max_overcommit = 1;
    options.knobs.max_incoming = 100000;
    lab = open_shared(&options);
    lab->drop = 0.02;
    for (uint32_t i = 1; i <= 10; i++) {
        lab_request(lab, 0, 1, 100000 * i, i);
        lab_request(lab, 0, 2, 90000 * i, i);
    }
    for (unsigned host = 1; host <= 2; host++)
        for (unsigned i = 0; i < 10; i++) {
            assert_true(lab_run_ready(lab, host, HOMA_TAKE_REQUEST, 2 * LAB_S));
            assert_int_equal(lab_take(lab, host, HOMA_TAKE_REQUEST, 0, &message), 0);
        }
    lab_close(lab);
}

static void detaching_makes_every_message_forget_its_place(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet unknown = {.type = HOMA_RPC_UNKNOWN};

    (void)state;
    for (uint64_t id = ID; id < ID + 40; id += 2)
        push(lab, id, 100000, 0, 1000, 40000);
    schedule(lab, 1);
    homa_engine_detach(lab_engine(lab, 1));
    for (unknown.id = ID; unknown.id < ID + 40; unknown.id += 2)
        lab_push(lab, 1, 0, &unknown, 0);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    lab_close(lab);
}

static void after_detaching_the_schedulers_deadline_is_nothing_to_us(void **state)
{
    struct homa_engine_options options = lab_options();
    struct homa_packet unknown = {.type = HOMA_RPC_UNKNOWN, .id = ID};
    struct homa_packet other = lab_data(ID, 900000, 0, 40000);
    struct lab *lab;

    (void)state;
    options.knobs.max_overcommit = 1;
    lab = lab_open_with(3, &options, 64);
    push(lab, ID, 800000, 0, 40000, 40000);
    lab_push(lab, 1, 2, &other, 1);
    schedule(lab, 1);
    assert_true(lab_engine(lab, 1)->sched_deadline != HOMA_NEVER);
    homa_engine_detach(lab_engine(lab, 1));
    assert_true(lab_engine(lab, 1)->sched_deadline == HOMA_NEVER);
    /* Nor are places of RPCs that have ended, when the engine is attached again. */
    homa_engine_attach(lab_engine(lab, 1), lab->hosts[1].sched, &lab->hosts[1], 1000000);
    push(lab, ID, 800000, 40000, 1, 40000);
    schedule(lab, 1);
    lab_push(lab, 1, 0, &unknown, 0);
    homa_engine_detach(lab_engine(lab, 1));
    homa_engine_attach(lab_engine(lab, 1), lab->hosts[1].sched, &lab->hosts[1], 1000000);
    assert_false(homa_engine_wants_schedule(lab_engine(lab, 1)));
    lab_close(lab);
}

static void after_detaching_and_attaching_again_messages_are_granted(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    push(lab, ID, 100000, 0, 1000, 40000); /* marked */
    homa_engine_detach(lab_engine(lab, 1));
    assert_false(homa_engine_wants_schedule(lab_engine(lab, 1)));
    homa_engine_attach(lab_engine(lab, 1), lab->hosts[1].sched, &lab->hosts[1], 1000000);
    push(lab, ID, 100000, 1000, 1000, 40000);
    assert_true(homa_engine_wants_schedule(lab_engine(lab, 1)));
    schedule(lab, 1);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_GRANT, &packet), 1);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_messages_never_touch_the_scheduler),
        cmocka_unit_test(a_long_message_is_granted_once_it_has_begun),
        cmocka_unit_test(of_two_senders_the_one_with_less_left_is_granted_a_higher_level),
        cmocka_unit_test(grants_stay_within_the_window),
        cmocka_unit_test(a_sender_that_never_grants_needs_no_grants),
        cmocka_unit_test(a_complete_message_gives_its_place_back),
        cmocka_unit_test(a_message_that_is_given_up_gives_its_place_back),
        cmocka_unit_test(a_message_that_times_out_while_it_is_reported_gives_its_place_back),
        cmocka_unit_test(a_lost_grant_is_repaired_by_a_resend),
        cmocka_unit_test(silence_while_we_grant_nothing_is_not_the_senders),
        cmocka_unit_test(a_sender_whose_turn_comes_after_long_has_time_to_send),
        cmocka_unit_test(when_the_scheduler_is_full_a_message_tries_again),
        cmocka_unit_test(without_a_scheduler_resends_grant_step_by_step),
        cmocka_unit_test(detaching_in_the_middle_leaves_messages_alive),
        cmocka_unit_test(a_granted_round_trip_is_measured),
        cmocka_unit_test(a_round_trip_that_the_request_did_not_tell_is_not_told_by_the_ack),
        cmocka_unit_test(a_grant_for_another_engine_comes_back_to_be_sent_for_it),
        cmocka_unit_test(what_others_granted_after_long_is_learnt_soon_and_no_silence),
        cmocka_unit_test(engines_that_share_a_scheduler_all_finish),
        cmocka_unit_test(detaching_makes_every_message_forget_its_place),
        cmocka_unit_test(after_detaching_the_schedulers_deadline_is_nothing_to_us),
        cmocka_unit_test(after_detaching_and_attaching_again_messages_are_granted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
