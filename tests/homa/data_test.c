/*
 * Incoming DATA: who it is for, where it goes, what is refused. Host 0 is the client, host 1 the
 * server; packets are made up by hand.
 */
#include "homa/engine_support.h"

#include <errno.h>

#define ID 5000u

/* Pushes bytes [offset, offset + length) of a request of `total` patterned bytes. */
static void push_part(struct lab *lab, uint32_t total, uint32_t offset, uint32_t length)
{
    struct homa_packet packet = lab_data(ID, total, offset, length);

    lab_push(lab, 1, 0, &packet, 1);
}

static void assert_request_arrived(struct lab *lab, uint32_t length)
{
    struct lab_message message;

    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    assert_int_equal(message.info.length, length);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), -EAGAIN);
}

/* ---- refused ---- */

static void a_message_longer_than_the_limit_is_refused(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    push_part(lab, LAB_MAX_MESSAGE + 1, 0, 1000);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    assert_int_equal(lab_counters(lab, 1)->bad_data_packets, 1);
    lab_close(lab);
}

static void a_response_longer_than_the_limit_is_refused(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 10, 1);
    struct homa_packet packet = lab_data(id | 1, LAB_MAX_MESSAGE + 1, 0, 1000);

    (void)state;
    lab_push(lab, 0, 1, &packet, 1);
    assert_int_equal(lab_counters(lab, 0)->bad_data_packets, 1);
    lab_close(lab);
}

static void a_packet_without_payload_is_refused(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    push_part(lab, 1000, 0, 0);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    assert_int_equal(lab_counters(lab, 1)->bad_data_packets, 1);
    lab_close(lab);
}

static void a_message_that_changes_its_length_is_refused(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    push_part(lab, 3000, 0, 1000);
    push_part(lab, 2000, 1000, 1000);
    assert_int_equal(lab_counters(lab, 1)->bad_data_packets, 1);
    push_part(lab, 3000, 1000, 2000);
    assert_request_arrived(lab, 3000);
    lab_close(lab);
}

static void payload_beyond_the_end_is_refused(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    push_part(lab, 3000, 3000, 1);
    push_part(lab, 3000, UINT32_MAX - 5, 4);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    assert_int_equal(lab_counters(lab, 1)->bad_data_packets, 2);
    lab_close(lab);
}

static void a_request_when_all_records_are_in_use_is_dropped(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;

    (void)state;
    options.max_rpcs = 1;
    lab = lab_open_with(2, &options, 4);
    lab_request(lab, 1, 0, 10, 1);
    push_part(lab, 10, 0, 10);
    assert_int_equal(lab_counters(lab, 1)->rpc_alloc_failures, 1);
    lab_close(lab);
}

static void a_request_from_one_peer_too_many_is_dropped(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;

    (void)state;
    options.max_peers = 1;
    lab = lab_open_with(3, &options, 4);
    lab_request(lab, 1, 2, 10, 1);
    push_part(lab, 10, 0, 10);
    assert_int_equal(lab_counters(lab, 1)->peer_alloc_failures, 1);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    lab_close(lab);
}

/* ---- placed ---- */

static void parts_in_any_order_make_the_message(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    for (uint32_t offset = 180000; offset > 0; offset -= 1000)
        push_part(lab, 180000, offset - 1000, 1000);
    assert_int_equal(lab_counters(lab, 1)->gaps_created, 1);
    assert_int_equal(lab_counters(lab, 1)->received_bytes, 180000);
    assert_request_arrived(lab, 180000);
    lab_close(lab);
}

static void a_packet_across_a_bpage_boundary_is_split(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    push_part(lab, 140000, 60000, 40000);
    push_part(lab, 140000, 100000, 40000);
    push_part(lab, 140000, 0, 60000);
    assert_request_arrived(lab, 140000);
    lab_close(lab);
}

static void overlaps_are_trimmed_and_used(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    push_part(lab, 5000, 0, 1000);
    push_part(lab, 5000, 500, 1000);
    push_part(lab, 5000, 3000, 1000);
    push_part(lab, 5000, 1200, 3800);
    assert_int_equal(lab_counters(lab, 1)->received_bytes, 5000);
    assert_int_equal(lab_counters(lab, 1)->resent_discards, 0);
    assert_request_arrived(lab, 5000);
    lab_close(lab);
}

static void bytes_that_have_arrived_are_not_overwritten(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet forged = lab_data(ID, 2000, 0, 1500);

    (void)state;
    push_part(lab, 2000, 0, 1000);
    lab_push(lab, 1, 0, &forged, 99);
    push_part(lab, 2000, 1500, 500);
    /* The first copy of each byte counts: [0, 1000) and [1500, 2000) are ours. */
    struct lab_message message;

    assert_int_equal(lab_take_only(lab, 1, HOMA_TAKE_REQUEST, &message), 0);
    message.info.length = 1000;
    lab_assert_pattern(lab, 1, &message, 1);
    lab_give_back(lab, 1, &message);
    lab_close(lab);
}

static void repeats_are_counted(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet again = lab_data(ID, 5000, 1000, 1000);

    (void)state;
    push_part(lab, 5000, 0, 1000);
    push_part(lab, 5000, 0, 1000);
    assert_int_equal(lab_counters(lab, 1)->resent_discards, 1);
    again.data.retransmit = true;
    lab_push(lab, 1, 0, &again, 1);
    assert_int_equal(lab_counters(lab, 1)->resent_packets_used, 1);
    lab_close(lab);
}

static void a_message_with_too_many_gaps_opens_no_more(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    for (uint32_t i = 1; i <= HOMA_GAPS_PER_MESSAGE + 10; i++)
        push_part(lab, 100000, 100 * i, 50);
    assert_int_equal(lab_usage(lab, 1).gaps, HOMA_GAPS_PER_MESSAGE);
    assert_int_equal(lab_counters(lab, 1)->gap_overflows, 10);
    /* What fills gaps is welcome. */
    push_part(lab, 100000, 0, 60000);
    push_part(lab, 100000, 0, 60000);
    for (uint32_t i = 0; i < 40; i++)
        push_part(lab, 100000, 0, 60000);
    assert_int_equal(lab_usage(lab, 1).gaps, 0);
    push_part(lab, 100000, 60000, 40000);
    assert_request_arrived(lab, 100000);
    lab_close(lab);
}

static void with_ever_so_many_gaps_what_fills_one_is_welcome(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;

    (void)state;
    options.max_rpcs = 8 * HOMA_GAPS_PER_MESSAGE; /* and as many gaps */
    lab = lab_open_with(2, &options, 8);
    for (uint32_t i = 1; i <= HOMA_GAPS_PER_MESSAGE; i++)
        push_part(lab, 400000, 1000 * i, 100);
    for (uint32_t i = 1; i <= HOMA_GAPS_PER_MESSAGE; i++)
        push_part(lab, 400000, 1000 * i - 500, 100);
    assert_int_equal(lab_usage(lab, 1).gaps, 2 * HOMA_GAPS_PER_MESSAGE);
    push_part(lab, 400000, 300, 100); /* no more splits */
    assert_int_equal(lab_counters(lab, 1)->gap_overflows, 1);
    for (uint32_t offset = 0; offset < 400000; offset += 500)
        push_part(lab, 400000, offset, 500);
    assert_request_arrived(lab, 400000);
    lab_close(lab);
}

/* ---- at most once ---- */

static void duplicates_of_a_request_never_run_it_again(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    push_part(lab, 10, 0, 10);
    push_part(lab, 10, 0, 10); /* ready */
    assert_request_arrived(lab, 10);
    push_part(lab, 10, 0, 10); /* in service */
    assert_int_equal(lab_reply(lab, 1, 0, ID | 1, 10, 2), 0);
    push_part(lab, 10, 0, 10); /* replying */
    assert_int_equal(lab_counters(lab, 1)->resent_discards, 3);
    struct homa_packet ack = {
        .type = HOMA_ACK, .id = ID, .ack = {.count = 1, .acks[0] = {.client_id = ID}}};

    lab_push(lab, 1, 0, &ack, 0);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    push_part(lab, 10, 0, 10); /* buried */
    assert_int_equal(lab_counters(lab, 1)->tombstone_hits, 1);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_RPC_UNKNOWN, &packet), 0);
    lab_close(lab);
}

static void a_tombstone_is_forgotten_after_its_time(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address client = lab_address(lab, 0);

    (void)state;
    push_part(lab, 10, 0, 10);
    assert_request_arrived(lab, 10);
    assert_int_equal(homa_engine_drop(lab_engine(lab, 1), lab->now, &client, ID), 0);
    lab->now += 2999 * LAB_MS;
    push_part(lab, 10, 0, 10);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 1), HOMA_TAKE_REQUEST), 0);
    lab->now += 2 * LAB_MS;
    push_part(lab, 10, 0, 10);
    assert_request_arrived(lab, 10);
    lab_close(lab);
}

static void a_resend_for_a_tombstone_is_never_answered(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address client = lab_address(lab, 0);
    struct homa_packet resend = {.type = HOMA_RESEND, .id = ID};
    struct lab_packet packet;

    (void)state;
    push_part(lab, 10, 0, 10);
    assert_request_arrived(lab, 10);
    assert_int_equal(homa_engine_drop(lab_engine(lab, 1), lab->now, &client, ID), 0);
    while (lab_pull(lab, 1, &packet, 1) > 0)
        ;
    resend.resend.length = HOMA_RESEND_ALL;
    resend.resend.has_priority = true;
    lab_push(lab, 1, 0, &resend, 0);
    assert_int_equal(lab_pull(lab, 1, &packet, 1), 0);
    assert_int_equal(lab_counters(lab, 1)->tombstone_hits, 1);
    lab_close(lab);
}

static void a_full_table_of_tombstones_forgets_the_oldest_and_counts_it(void **state)
{
    struct homa_engine_options options = lab_options();
    struct base_address client;
    struct lab *lab;

    (void)state;
    options.max_tombstones = 4;
    lab = lab_open_with(2, &options, 4);
    client = lab_address(lab, 0);
    for (uint64_t id = ID; id < ID + 10; id += 2) {
        struct homa_packet packet = lab_data(id, 10, 0, 10);

        lab_push(lab, 1, 0, &packet, 1);
        assert_request_arrived(lab, 10);
        assert_int_equal(homa_engine_drop(lab_engine(lab, 1), lab->now, &client, id), 0);
    }
    assert_int_equal(lab_counters(lab, 1)->tombstone_overflows, 1);
    lab_close(lab);
}

static void a_request_that_never_reached_the_application_leaves_no_tombstone(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    push_part(lab, 3000, 0, 1000);
    lab_tick(lab, 1, 1100 * LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    push_part(lab, 3000, 0, 3000);
    assert_request_arrived(lab, 3000);
    lab_close(lab);
}

/* ---- responses ---- */

static void a_response_to_an_rpc_that_is_over_gets_an_ack(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 10, 1);
    struct homa_packet packet = lab_data(id | 1, 10, 0, 10);
    struct lab_packet out;

    (void)state;
    assert_int_equal(homa_engine_abort(lab_engine(lab, 0), lab->now, id, 0), 0);
    lab_push(lab, 0, 1, &packet, 1);
    lab_push(lab, 0, 1, &packet, 1);
    assert_int_equal(lab_counters(lab, 0)->packet_discards, 2);
    lab_request(lab, 0, 1, 10, 1);
    assert_int_equal(lab_pull_type(lab, 0, HOMA_DATA, &out), 1);
    assert_int_equal(out.decoded.data.ack.client_id, id);
    lab_close(lab);
}

static void a_failed_rpc_takes_no_response_and_acknowledges_it(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 10, 1);
    struct homa_packet packet = lab_data(id | 1, 10, 0, 10);
    struct lab_message message;
    struct lab_packet out;

    (void)state;
    assert_int_equal(homa_engine_abort(lab_engine(lab, 0), lab->now, id, ECANCELED), 0);
    lab_push(lab, 0, 1, &packet, 1);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), 0);
    assert_int_equal(message.info.error, ECANCELED);
    lab_request(lab, 0, 1, 10, 1);
    assert_int_equal(lab_pull_type(lab, 0, HOMA_DATA, &out), 1);
    assert_int_equal(out.decoded.data.ack.client_id, id);
    lab_close(lab);
}

static void an_answer_to_half_a_request_measures_nothing(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 3000, 1);
    struct homa_packet packet = lab_data(id | 1, 100, 0, 10);
    struct base_address address = lab_address(lab, 1);
    struct lab_packet out;

    (void)state;
    assert_int_equal(lab_pull(lab, 0, &out, 1), 1);
    lab_push(lab, 0, 1, &packet, 1);
    assert_int_equal(homa_peer_find(lab_engine(lab, 0), &address)->response_ns, 0);
    lab_close(lab);
}

static void a_response_that_came_twice_is_taken_once(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 10, 1);
    struct homa_packet packet = lab_data(id | 1, 10, 0, 10);
    struct lab_message message;

    (void)state;
    lab_push(lab, 0, 1, &packet, 3);
    lab_push(lab, 0, 1, &packet, 4);
    assert_int_equal(lab_counters(lab, 0)->resent_discards, 1);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 3, &message), 0);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), -EAGAIN);
    lab_close(lab);
}

static void the_request_is_let_go_when_the_response_begins(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 100000, 1);
    struct homa_packet packet = lab_data(id | 1, 3000, 0, 1000);
    struct lab_packet out;

    (void)state;
    lab_push(lab, 0, 1, &packet, 3);
    assert_int_equal(lab_usage(lab, 0).queued_bytes, 0);
    assert_int_equal(lab_pull_type(lab, 0, HOMA_DATA, &out), 0);
    lab_close(lab);
}

/* ---- what DATA says about its sender ---- */

static void a_stale_cutoff_version_gets_cutoffs_once_per_millisecond(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet packet = lab_data(ID, 30000, 0, 1000);
    struct lab_packet out;

    (void)state;
    packet.data.cutoff_version = 0;
    lab_push(lab, 1, 0, &packet, 1);
    packet.data.offset = 1000;
    lab_push(lab, 1, 0, &packet, 1);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_CUTOFFS, &out), 1);
    assert_int_equal(out.decoded.cutoffs.version, 1);
    assert_int_equal(out.decoded.cutoffs.unsched_cutoffs[7], 200);
    packet.data.offset = 2000;
    lab_tick(lab, 1, 999 * LAB_US);
    lab_push(lab, 1, 0, &packet, 1);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_CUTOFFS, &out), 0);
    packet.data.offset = 3000;
    lab_tick(lab, 1, LAB_US);
    lab_push(lab, 1, 0, &packet, 1);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_CUTOFFS, &out), 1);
    packet.data.offset = 4000;
    packet.data.cutoff_version = 1;
    lab_tick(lab, 1, 2 * LAB_MS);
    lab_push(lab, 1, 0, &packet, 1);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_CUTOFFS, &out), 0);
    lab_close(lab);
}

static void new_cutoffs_make_a_new_version(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_knobs knobs = *homa_engine_knobs(lab_engine(lab, 1));
    struct lab_packet out;

    (void)state;
    knobs.timeout_ticks++;
    assert_int_equal(homa_engine_set_knobs(lab_engine(lab, 1), &knobs), 0);
    push_part(lab, 3000, 0, 1000);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_CUTOFFS, &out), 0);
    knobs.unsched_cutoffs[7] = 300;
    assert_int_equal(homa_engine_set_knobs(lab_engine(lab, 1), &knobs), 0);
    push_part(lab, 3000, 1000, 1000);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_CUTOFFS, &out), 1);
    assert_int_equal(out.decoded.cutoffs.version, 2);
    assert_int_equal(out.decoded.cutoffs.unsched_cutoffs[7], 300);
    lab_close(lab);
}

static void incoming_0_marks_a_peer_that_never_grants(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet packet = lab_data(ID, 100000, 0, 1000);
    struct lab_packet out;

    (void)state;
    packet.data.incoming = 0;
    packet.data.cutoff_version = 0;
    lab_push(lab, 1, 0, &packet, 1);
    /* It gets neither CUTOFFS nor GRANTs, and all of a long message at once. */
    lab_tick(lab, 1, LAB_MS);
    assert_int_equal(lab_pull(lab, 1, &out, 1), 0);
    lab_request(lab, 1, 0, 100000, 1);
    assert_int_equal(lab_pull(lab, 1, &out, 1), 1);
    assert_int_equal(out.decoded.data.incoming, 100000);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_DATA, &out), 71);
    lab_close(lab);
}

static void incoming_only_ever_raises_the_limit(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet packet = lab_data(ID, 100000, 0, 1000);
    struct lab_packet out;

    (void)state;
    homa_engine_detach(lab_engine(lab, 1));
    packet.data.incoming = 9000;
    lab_push(lab, 1, 0, &packet, 1);
    packet.data.incoming = 5000;
    packet.data.offset = 1000;
    lab_push(lab, 1, 0, &packet, 1);
    lab_tick(lab, 1, 5 * LAB_MS);
    assert_int_equal(lab_pull(lab, 1, &out, 1), 1);
    assert_int_equal(out.decoded.type, HOMA_RESEND);
    assert_int_equal(out.decoded.resend.offset, 2000);
    assert_int_equal(out.decoded.resend.length, 7000);
    packet.data.incoming = UINT32_MAX;
    packet.data.offset = 2000;
    lab_push(lab, 1, 0, &packet, 1);
    lab_tick(lab, 1, 5 * LAB_MS);
    assert_int_equal(lab_pull(lab, 1, &out, 1), 1);
    assert_int_equal(out.decoded.resend.offset + out.decoded.resend.length, 100000);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_longer_than_the_limit_is_refused),
        cmocka_unit_test(a_response_longer_than_the_limit_is_refused),
        cmocka_unit_test(a_packet_without_payload_is_refused),
        cmocka_unit_test(a_message_that_changes_its_length_is_refused),
        cmocka_unit_test(payload_beyond_the_end_is_refused),
        cmocka_unit_test(a_request_when_all_records_are_in_use_is_dropped),
        cmocka_unit_test(a_request_from_one_peer_too_many_is_dropped),
        cmocka_unit_test(parts_in_any_order_make_the_message),
        cmocka_unit_test(a_packet_across_a_bpage_boundary_is_split),
        cmocka_unit_test(overlaps_are_trimmed_and_used),
        cmocka_unit_test(bytes_that_have_arrived_are_not_overwritten),
        cmocka_unit_test(repeats_are_counted),
        cmocka_unit_test(a_message_with_too_many_gaps_opens_no_more),
        cmocka_unit_test(with_ever_so_many_gaps_what_fills_one_is_welcome),
        cmocka_unit_test(duplicates_of_a_request_never_run_it_again),
        cmocka_unit_test(a_tombstone_is_forgotten_after_its_time),
        cmocka_unit_test(a_resend_for_a_tombstone_is_never_answered),
        cmocka_unit_test(a_full_table_of_tombstones_forgets_the_oldest_and_counts_it),
        cmocka_unit_test(a_request_that_never_reached_the_application_leaves_no_tombstone),
        cmocka_unit_test(a_response_to_an_rpc_that_is_over_gets_an_ack),
        cmocka_unit_test(a_failed_rpc_takes_no_response_and_acknowledges_it),
        cmocka_unit_test(an_answer_to_half_a_request_measures_nothing),
        cmocka_unit_test(a_response_that_came_twice_is_taken_once),
        cmocka_unit_test(the_request_is_let_go_when_the_response_begins),
        cmocka_unit_test(a_stale_cutoff_version_gets_cutoffs_once_per_millisecond),
        cmocka_unit_test(new_cutoffs_make_a_new_version),
        cmocka_unit_test(incoming_0_marks_a_peer_that_never_grants),
        cmocka_unit_test(incoming_only_ever_raises_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
