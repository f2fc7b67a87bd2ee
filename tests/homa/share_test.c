/*
 * What one host can take from the others: buffer space, RPC, peer and gap records. Host 1 is the
 * server; host 0 is greedy; host 2 wants its half.
 */
#include "homa/engine_support.h"

#define GREEDY 0u
#define SERVER 1u
#define MODEST 2u
#define FIRST  1000u /* bytes of the first packet of a message */

static struct lab *open_small(uint32_t bpages)
{
    struct homa_engine_options options = lab_options();

    return lab_open_with(3, &options, bpages);
}

static void push(struct lab *lab, unsigned from, uint64_t id, uint32_t total, uint32_t offset,
                 uint32_t length)
{
    struct homa_packet packet = lab_data(id, total, offset, length);

    lab_push(lab, SERVER, from, &packet, (uint32_t)id);
}

/* The first packet of a message. */
static void begin(struct lab *lab, unsigned from, uint64_t id, uint32_t total)
{
    push(lab, from, id, total, 0, total < FIRST ? total : FIRST);
}

/* All of a message, in packets that a datagram can hold. */
static void deliver(struct lab *lab, unsigned from, uint64_t id, uint32_t total)
{
    for (uint32_t offset = 0; offset < total; offset += 32768)
        push(lab, from, id, total, offset, total - offset < 32768 ? total - offset : 32768);
}

static struct homa_rpc *find(struct lab *lab, unsigned from, uint64_t id)
{
    return homa_rpc_find(lab_engine(lab, SERVER), &lab->hosts[from].address, id | 1);
}

static bool is_stalled(struct lab *lab, unsigned from, uint64_t id)
{
    const struct homa_rpc *rpc = find(lab, from, id);

    assert_non_null(rpc);
    return rpc->is_stalled;
}

static const struct homa_counters *counters(const struct lab *lab)
{
    return lab_counters(lab, SERVER);
}

static void flush(struct lab *lab)
{
    struct lab_packet packet;

    while (lab_pull(lab, SERVER, &packet, 1) > 0)
        ;
}

static void take(struct lab *lab, uint64_t id)
{
    struct lab_message message;

    assert_int_equal(lab_take(lab, SERVER, HOMA_TAKE_REQUEST, (uint32_t)id, &message), 0);
    assert_int_equal(message.info.id, id | 1);
}

/* ---- buffer space ---- */

static void alone_a_host_may_have_the_whole_region(void **state)
{
    struct lab *lab = open_small(4);

    (void)state;
    for (uint64_t id = 100; id < 108; id += 2)
        begin(lab, GREEDY, id, BPAGE_SIZE);
    for (uint64_t id = 100; id < 108; id += 2)
        assert_false(is_stalled(lab, GREEDY, id));
    lab_close(lab);
}

static void a_host_beyond_its_half_gives_space_to_one_within(void **state)
{
    struct lab *lab = open_small(4);

    (void)state;
    for (uint64_t id = 100; id < 108; id += 2) {
        lab->hosts[GREEDY].address.port++; /* many sockets are one host */
        begin(lab, GREEDY, id, BPAGE_SIZE);
    }
    begin(lab, MODEST, 200, BPAGE_SIZE);
    assert_false(is_stalled(lab, MODEST, 200));
    assert_true(is_stalled(lab, GREEDY, 106));
    assert_int_equal(counters(lab)->preemptions, 1);
    lab_close(lab);
}

static void the_least_advanced_message_is_preempted(void **state)
{
    struct lab *lab = open_small(4);

    (void)state;
    for (uint64_t id = 100; id < 108; id += 2)
        begin(lab, GREEDY, id, BPAGE_SIZE);
    push(lab, GREEDY, 106, BPAGE_SIZE, FIRST, 100);
    push(lab, GREEDY, 104, BPAGE_SIZE, FIRST, 1);
    push(lab, GREEDY, 100, BPAGE_SIZE, FIRST, 100);
    begin(lab, MODEST, 200, BPAGE_SIZE);
    assert_int_equal(counters(lab)->preemptions, 1);
    assert_true(is_stalled(lab, GREEDY, 102));
    lab_close(lab);
}

static void no_more_is_preempted_than_is_needed_and_nothing_below_half(void **state)
{
    struct lab *lab = open_small(6);

    (void)state;
    for (uint64_t id = 100; id < 112; id += 2)
        begin(lab, GREEDY, id, BPAGE_SIZE);
    for (uint64_t id = 200; id < 210; id += 2)
        begin(lab, MODEST, id, BPAGE_SIZE);
    assert_int_equal(counters(lab)->preemptions, 3);
    for (uint64_t id = 200; id < 210; id += 2)
        assert_int_equal(is_stalled(lab, MODEST, id), id > 204);
    lab_close(lab);
}

static void a_preempted_message_starts_over_and_arrives_whole(void **state)
{
    struct lab *lab = open_small(2);
    struct lab_packet packet;

    (void)state;
    begin(lab, GREEDY, 100, BPAGE_SIZE);
    begin(lab, GREEDY, 102, BPAGE_SIZE);
    push(lab, GREEDY, 102, BPAGE_SIZE, 5000, 1000); /* with a gap */
    begin(lab, MODEST, 200, BPAGE_SIZE);
    assert_true(is_stalled(lab, GREEDY, 100));
    assert_int_equal(lab_usage(lab, SERVER).gaps, 1);
    deliver(lab, MODEST, 200, BPAGE_SIZE);
    flush(lab);
    push(lab, GREEDY, 100, BPAGE_SIZE, 2000, 1000);
    assert_int_equal(find(lab, GREEDY, 100)->in.received.bytes, 0);
    take(lab, 200);
    assert_false(is_stalled(lab, GREEDY, 100));
    assert_int_equal(lab_pull_type(lab, SERVER, HOMA_RESEND, &packet), 1);
    assert_int_equal(packet.decoded.id, 101);
    assert_int_equal(packet.decoded.resend.offset, 0);
    assert_int_equal(packet.decoded.resend.length, 40000); /* all that it may send */
    deliver(lab, GREEDY, 100, BPAGE_SIZE);
    take(lab, 100);
    lab_close(lab);
}

static void a_preempted_message_is_not_timed_out(void **state)
{
    struct lab *lab = open_small(2);

    (void)state;
    begin(lab, GREEDY, 100, BPAGE_SIZE);
    begin(lab, GREEDY, 102, BPAGE_SIZE);
    begin(lab, MODEST, 200, BPAGE_SIZE);
    for (unsigned i = 0; i < 50; i++) {
        lab_tick(lab, SERVER, 100 * LAB_MS);
        push(lab, MODEST, 200, BPAGE_SIZE, FIRST, 1 + i);
        push(lab, GREEDY, 100, BPAGE_SIZE, FIRST, 1 + i);
        push(lab, GREEDY, 102, BPAGE_SIZE, FIRST, 1 + i);
    }
    assert_int_equal(counters(lab)->server_rpc_discards, 0);
    assert_int_equal(counters(lab)->preemptions, 1);
    lab_close(lab);
}

static void a_preempted_message_leaves_the_scheduler(void **state)
{
    struct lab *lab = open_small(8);
    struct lab_host *server = &lab->hosts[SERVER];
    struct homa_grant grants[4];

    (void)state;
    begin(lab, GREEDY, 100, 8 * BPAGE_SIZE);
    assert_int_equal(homa_engine_schedule(server->engine, lab->now, grants, 4), 0);
    assert_true(homa_sched_outstanding(server->sched) > 0);
    begin(lab, MODEST, 200, BPAGE_SIZE);
    assert_true(is_stalled(lab, GREEDY, 100));
    assert_int_equal(homa_engine_schedule(server->engine, lab->now, grants, 4), 0);
    assert_true(homa_sched_outstanding(server->sched) <= BPAGE_SIZE); /* what 200 still owes */
    assert_int_equal(find(lab, GREEDY, 100)->in.slot, HOMA_SCHED_NONE);
    assert_true(homa_sched_is_sound(server->sched));
    lab_close(lab);
}

static void responses_are_preempted_like_requests(void **state)
{
    struct lab *lab = open_small(2);
    uint64_t ids[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        ids[i] = lab_request(lab, SERVER, GREEDY, 100, 1);
        flush(lab);
        begin(lab, GREEDY, ids[i] | 1, BPAGE_SIZE);
    }
    begin(lab, MODEST, 200, BPAGE_SIZE);
    assert_int_equal(counters(lab)->preemptions, 1);
    assert_false(is_stalled(lab, MODEST, 200));
    lab_close(lab);
}

static void complete_messages_are_counted_and_never_taken_back(void **state)
{
    struct lab *lab = open_small(4);

    (void)state;
    for (uint64_t id = 100; id < 106; id += 2)
        deliver(lab, GREEDY, id, BPAGE_SIZE);
    begin(lab, GREEDY, 106, BPAGE_SIZE);
    begin(lab, MODEST, 200, BPAGE_SIZE);
    assert_int_equal(counters(lab)->preemptions, 1);
    assert_true(is_stalled(lab, GREEDY, 106));
    begin(lab, MODEST, 202, BPAGE_SIZE);
    assert_true(is_stalled(lab, MODEST, 202)); /* until the application takes something */
    take(lab, 100);
    assert_false(is_stalled(lab, MODEST, 202));
    assert_true(is_stalled(lab, GREEDY, 106));
    lab_close(lab);
}

static void who_waits_beyond_its_half_holds_nobody_up(void **state)
{
    struct lab *lab = open_small(4);

    (void)state;
    deliver(lab, GREEDY, 100, BPAGE_SIZE);
    deliver(lab, GREEDY, 102, BPAGE_SIZE);
    deliver(lab, GREEDY, 104, BPAGE_SIZE);
    begin(lab, MODEST, 200, BPAGE_SIZE);
    begin(lab, GREEDY, 106, 2000);       /* shorter, and the first to wait */
    begin(lab, MODEST, 202, BPAGE_SIZE); /* waits within its half */
    assert_true(is_stalled(lab, GREEDY, 106) && is_stalled(lab, MODEST, 202));
    take(lab, 100);
    assert_true(is_stalled(lab, GREEDY, 106));
    assert_false(is_stalled(lab, MODEST, 202));
    begin(lab, GREEDY, 108, 1000); /* and nothing new meanwhile */
    take(lab, 102);
    assert_false(is_stalled(lab, GREEDY, 106)); /* nobody else wants it */
    lab_close(lab);
}

static void who_is_beyond_its_half_does_not_go_before_a_longer_one_within(void **state)
{
    struct lab *lab = open_small(4);
    struct lab_message message;

    (void)state;
    deliver(lab, MODEST, 200, BPAGE_SIZE);
    assert_int_equal(lab_take_only(lab, SERVER, HOMA_TAKE_REQUEST, &message), 0);
    deliver(lab, GREEDY, 100, BPAGE_SIZE);
    deliver(lab, GREEDY, 102, BPAGE_SIZE);
    begin(lab, MODEST, 202, 2 * BPAGE_SIZE);
    assert_true(is_stalled(lab, MODEST, 202)); /* one bpage is left */
    begin(lab, GREEDY, 104, 1000);
    assert_true(is_stalled(lab, GREEDY, 104));
    lab_give_back(lab, SERVER, &message);
    assert_false(is_stalled(lab, MODEST, 202));
    lab_close(lab);
}

static void two_hosts_do_not_take_space_from_each_other_in_turns(void **state)
{
    struct lab *lab = open_small(3); /* a half is one bpage and a half */

    (void)state;
    for (uint64_t id = 100; id < 110; id += 2) {
        begin(lab, GREEDY, id, BPAGE_SIZE);
        begin(lab, MODEST, id, BPAGE_SIZE);
    }
    for (unsigned i = 0; i < 100; i++) {
        lab_tick(lab, SERVER, LAB_MS);
        for (uint64_t id = 100; id < 110; id += 2) {
            push(lab, GREEDY, id, BPAGE_SIZE, FIRST, 1 + i);
            push(lab, MODEST, id, BPAGE_SIZE, FIRST, 1 + i);
        }
    }
    assert_true(counters(lab)->preemptions <= 1);
    lab_close(lab);
}

/* A message that is longer than half of the region waits until there is space, and takes none. */
static void a_message_longer_than_half_preempts_nobody(void **state)
{
    struct lab *lab = open_small(2);

    (void)state;
    begin(lab, GREEDY, 100, BPAGE_SIZE);
    begin(lab, GREEDY, 102, BPAGE_SIZE);
    begin(lab, MODEST, 200, 2 * BPAGE_SIZE);
    assert_int_equal(counters(lab)->preemptions, 0);
    deliver(lab, GREEDY, 100, BPAGE_SIZE);
    deliver(lab, GREEDY, 102, BPAGE_SIZE);
    take(lab, 100);
    take(lab, 102);
    assert_false(is_stalled(lab, MODEST, 200));
    lab_close(lab);
}

/* Forty long messages that never end, each with a byte now and then, against small requests. */
static void honest_requests_go_on_beside_a_greedy_host(void **state)
{
    struct lab *lab = open_small(32);

    (void)state;
    lab->hosts[SERVER].is_echo = true;
    lab->check_every = 8;
    for (unsigned round = 0; round < 40; round++) {
        uint64_t started = lab->now;

        for (uint64_t i = 0; i < 40; i++) {
            lab->hosts[GREEDY].address.port = (uint16_t)(5000 + i);
            push(lab, GREEDY, 100 + 2 * i, LAB_MAX_MESSAGE, round, 1);
        }
        lab_request(lab, MODEST, SERVER, 300000, round + 1);
        assert_true(lab_run_ready(lab, MODEST, HOMA_TAKE_RESPONSE, 100 * LAB_MS));
        struct lab_message message;

        assert_int_equal(lab_take(lab, MODEST, HOMA_TAKE_RESPONSE, round + 1, &message), 0);
        assert_true(lab->now - started < 5 * LAB_MS);
    }
    assert_true(counters(lab)->preemptions > 0);
    lab_close(lab);
}

/* ---- records ---- */

static struct lab *open_few(uint32_t rpcs, uint32_t peers)
{
    struct homa_engine_options options = lab_options();

    options.max_rpcs = rpcs;
    options.max_peers = peers;
    return lab_open_with(3, &options, 32);
}

static void a_host_with_most_records_loses_one_that_was_silent(void **state)
{
    struct lab *lab = open_few(8, 8);

    (void)state;
    for (uint64_t id = 100; id < 116; id += 2) {
        begin(lab, GREEDY, id, 5000);
        lab_tick(lab, SERVER, 10 * LAB_US);
    }
    push(lab, GREEDY, 100, 5000, FIRST, 10);
    begin(lab, GREEDY, 116, 5000); /* for itself it loses none */
    assert_int_equal(counters(lab)->rpc_alloc_failures, 1);
    assert_int_equal(counters(lab)->rpcs_given_up, 0);
    begin(lab, MODEST, 200, 5000);
    assert_int_equal(counters(lab)->rpcs_given_up, 1);
    assert_non_null(find(lab, MODEST, 200));
    assert_non_null(find(lab, GREEDY, 100));
    assert_null(find(lab, GREEDY, 102));
    lab_request(lab, SERVER, MODEST, 100, 1); /* our own requests are others, too */
    assert_int_equal(counters(lab)->rpcs_given_up, 2);
    lab_close(lab);
}

static void a_host_with_half_of_the_records_keeps_them(void **state)
{
    struct lab *lab = open_few(8, 8);

    (void)state;
    for (uint64_t id = 100; id < 108; id += 2)
        begin(lab, GREEDY, id, 5000);
    for (uint64_t id = 200; id < 210; id += 2)
        begin(lab, MODEST, id, 5000);
    assert_int_equal(counters(lab)->rpcs_given_up, 0);
    assert_int_equal(counters(lab)->rpc_alloc_failures, 1);
    lab_close(lab);
}

/* The client, told RPC_UNKNOWN, sends the request again: nothing is lost by it. */
static void a_request_given_up_runs_when_it_is_sent_again(void **state)
{
    struct lab *lab = open_few(4, 8);

    (void)state;
    for (uint64_t id = 100; id < 108; id += 2)
        begin(lab, GREEDY, id, 5000);
    deliver(lab, MODEST, 200, 5000);
    assert_null(find(lab, GREEDY, 100));
    take(lab, 200);
    assert_int_equal(lab_reply(lab, SERVER, MODEST, 201, 10, 1), 0);
    flush(lab);
    struct homa_packet ack = {
        .type = HOMA_ACK, .id = 200, .ack = {.count = 1, .acks = {{.client_id = 200}}}};

    lab_push(lab, SERVER, MODEST, &ack, 0);
    deliver(lab, GREEDY, 100, 5000);
    take(lab, 100);
    lab_close(lab);
}

static void requests_without_space_are_given_up_too(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;

    (void)state;
    options.max_rpcs = 4;
    lab = lab_open_with(3, &options, 1);
    deliver(lab, GREEDY, 100, BPAGE_SIZE);
    for (uint64_t id = 102; id < 108; id += 2)
        begin(lab, GREEDY, id, 5000);
    assert_true(is_stalled(lab, GREEDY, 106));
    begin(lab, MODEST, 200, 5000);
    assert_non_null(find(lab, MODEST, 200));
    assert_null(find(lab, GREEDY, 102));
    lab_close(lab);
}

static void replies_that_nobody_acknowledges_are_given_up_and_buried(void **state)
{
    struct lab *lab = open_few(4, 8);

    (void)state;
    for (uint64_t id = 100; id < 108; id += 2) {
        deliver(lab, GREEDY, id, 100);
        take(lab, id);
    }
    begin(lab, MODEST, 200, 100); /* it is the application's turn for all of them */
    assert_int_equal(counters(lab)->rpc_alloc_failures, 1);
    for (uint64_t id = 100; id < 108; id += 2)
        assert_int_equal(lab_reply(lab, SERVER, GREEDY, id | 1, 100, 1), 0);
    begin(lab, MODEST, 200, 100); /* now ours, while nothing has gone out */
    assert_int_equal(counters(lab)->rpc_alloc_failures, 2);
    flush(lab);
    begin(lab, MODEST, 200, 100);
    assert_non_null(find(lab, MODEST, 200));
    deliver(lab, GREEDY, 100, 100); /* never again */
    assert_int_equal(counters(lab)->tombstone_hits, 1);
    lab_close(lab);
}

static void a_host_with_most_peer_records_loses_one(void **state)
{
    struct lab *lab = open_few(64, 4);

    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        lab->hosts[GREEDY].address.port = (uint16_t)(5000 + i);
        begin(lab, GREEDY, 100 + 2 * i, 5000);
    }
    lab->hosts[GREEDY].address.port++;
    begin(lab, GREEDY, 120, 5000); /* for itself it loses none */
    assert_int_equal(counters(lab)->peer_alloc_failures, 1);
    begin(lab, MODEST, 200, 5000);
    assert_non_null(find(lab, MODEST, 200));
    assert_int_equal(counters(lab)->rpcs_given_up, 1);
    assert_int_equal(lab_usage(lab, SERVER).peers, 4);
    lab_close(lab);
}

static void one_host_has_half_of_the_gap_records_at_most(void **state)
{
    struct lab *lab = open_few(64, 8);
    uint32_t all = lab_engine(lab, SERVER)->gaps.capacity;
    uint32_t messages = all / HOMA_GAPS_PER_MESSAGE + 1;

    (void)state;
    for (uint32_t i = 0; i < messages; i++)
        for (uint32_t gap = 1; gap <= HOMA_GAPS_PER_MESSAGE; gap++)
            push(lab, GREEDY, 100 + 2 * i, 100000, 100 * gap, 50);
    assert_int_equal(lab_usage(lab, SERVER).gaps, all / 2);
    push(lab, MODEST, 200, 100000, 100, 50);
    assert_int_equal(lab_usage(lab, SERVER).gaps, all / 2 + 1);
    for (uint32_t offset = 0; offset < 100000; offset += 500)
        push(lab, GREEDY, 100, 100000, offset, 500); /* what fills gaps is welcome */
    take(lab, 100);
    lab_close(lab);
}

/* Acks for ids out of nowhere, held back at many ports, leave room for others' acks. */
static void one_host_has_half_of_the_ack_records_at_most(void **state)
{
    struct lab *lab = open_few(8, 64);
    struct homa_packet need = {.type = HOMA_NEED_ACK, .id = 901};
    struct lab_packet packet;

    (void)state;
    for (uint64_t i = 0; i < 8; i++) {
        struct homa_packet made_up = lab_data(801 + 2 * i, 100, 0, 100);

        lab->hosts[GREEDY].address.port = (uint16_t)(5000 + i);
        deliver(lab, GREEDY, 100, 10);
        take(lab, 100);
        assert_int_equal(
            homa_engine_drop(lab_engine(lab, SERVER), lab->now, &lab->hosts[GREEDY].address, 101),
            0);
        lab_push(lab, SERVER, GREEDY, &made_up, 0);
    }
    assert_int_equal(lab_engine(lab, SERVER)->acks.in_use, 4);
    /* Whoever gets no record, and asks, is answered all the same. */
    lab_push(lab, SERVER, GREEDY, &need, 0);
    assert_int_equal(lab_pull_type(lab, SERVER, HOMA_ACK, &packet), 1);
    assert_int_equal(packet.decoded.ack.acks[0].client_id, 900);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_a_host_may_have_the_whole_region),
        cmocka_unit_test(a_host_beyond_its_half_gives_space_to_one_within),
        cmocka_unit_test(the_least_advanced_message_is_preempted),
        cmocka_unit_test(no_more_is_preempted_than_is_needed_and_nothing_below_half),
        cmocka_unit_test(a_preempted_message_starts_over_and_arrives_whole),
        cmocka_unit_test(a_preempted_message_is_not_timed_out),
        cmocka_unit_test(a_preempted_message_leaves_the_scheduler),
        cmocka_unit_test(responses_are_preempted_like_requests),
        cmocka_unit_test(complete_messages_are_counted_and_never_taken_back),
        cmocka_unit_test(who_waits_beyond_its_half_holds_nobody_up),
        cmocka_unit_test(who_is_beyond_its_half_does_not_go_before_a_longer_one_within),
        cmocka_unit_test(two_hosts_do_not_take_space_from_each_other_in_turns),
        cmocka_unit_test(a_message_longer_than_half_preempts_nobody),
        cmocka_unit_test(honest_requests_go_on_beside_a_greedy_host),
        cmocka_unit_test(a_host_with_most_records_loses_one_that_was_silent),
        cmocka_unit_test(a_host_with_half_of_the_records_keeps_them),
        cmocka_unit_test(a_request_given_up_runs_when_it_is_sent_again),
        cmocka_unit_test(requests_without_space_are_given_up_too),
        cmocka_unit_test(replies_that_nobody_acknowledges_are_given_up_and_buried),
        cmocka_unit_test(a_host_with_most_peer_records_loses_one),
        cmocka_unit_test(one_host_has_half_of_the_gap_records_at_most),
        cmocka_unit_test(one_host_has_half_of_the_ack_records_at_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
