/*
 * Opening, closing, settings and the clock.
 */
#include "homa/engine_support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

static void assert_refused(const struct homa_engine_options *options)
{
    struct homa_engine *engine = NULL;

    assert_int_equal(homa_engine_open(options, &engine), -EINVAL);
    assert_null(engine);
}

static void limits_of_zero_are_refused(void **state)
{
    struct homa_engine_options options = lab_options();

    (void)state;
    options.max_message = 0;
    assert_refused(&options);
    options = lab_options();
    options.max_rpcs = 0;
    assert_refused(&options);
    options = lab_options();
    options.max_peers = 0;
    assert_refused(&options);
    options = lab_options();
    options.max_tombstones = 0;
    assert_refused(&options);
    options = lab_options();
    options.packet_bytes = 0;
    assert_refused(&options);
}

static void unknown_formats_and_lengths_beyond_the_abi_are_refused(void **state)
{
    struct homa_engine_options options = lab_options();

    (void)state;
    options.format = 2;
    assert_refused(&options);
    options = lab_options();
    options.max_message = (uint32_t)INT32_MAX + 1;
    assert_refused(&options);
}

static void contradictory_knobs_are_refused_at_open_and_later(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab = lab_open(1);
    struct homa_knobs knobs = options.knobs;

    (void)state;
    options.knobs.window = options.knobs.max_incoming + 1;
    assert_refused(&options);
    knobs.window = knobs.max_incoming + 1;
    assert_int_equal(homa_engine_set_knobs(lab_engine(lab, 0), &knobs), -EINVAL);
    assert_int_equal(homa_engine_knobs(lab_engine(lab, 0))->window, 0);
    lab_close(lab);
}

static void closing_nothing_is_allowed(void **state)
{
    (void)state;
    homa_engine_close(NULL);
}

static void what_an_rpc_costs_is_bounded(void **state)
{
    struct lab *lab = lab_open(1);
    struct homa_engine_sizes sizes;

    (void)state;
    homa_engine_sizes(lab_engine(lab, 0), &sizes);
    print_message("bytes: RPC %zu, peer %zu, gap %zu, tombstone %zu, engine %zu\n", sizes.rpc,
                  sizes.peer, sizes.gap, sizes.tombstone, sizeof(struct homa_engine));
    assert_in_range(sizes.rpc, 1, 512);
    assert_in_range(sizes.peer, 1, 256);
    lab_close(lab);
}

/* ---- settings ---- */

static void an_idle_engine_has_nothing_to_do(void **state)
{
    struct lab *lab = lab_open(1);
    struct base_packet packet;

    (void)state;
    assert_int_equal(homa_engine_deadline(lab_engine(lab, 0)), HOMA_NEVER);
    assert_int_equal(homa_engine_output(lab_engine(lab, 0), lab->now, NULL, &packet, 1), 0);
    assert_false(homa_engine_wants_schedule(lab_engine(lab, 0)));
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_REQUEST | HOMA_TAKE_RESPONSE),
                     0);
    lab_close(lab);
}

static uint64_t first_id(uint64_t seed, uint64_t next_id, uint16_t port)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;
    uint64_t id;

    options.seed = seed;
    options.knobs.next_id = next_id;
    lab = lab_open_with(2, &options, 0);
    homa_engine_set_port(lab_engine(lab, 0), port);
    id = lab_request(lab, 0, 1, 1, 1);
    assert_int_equal(lab_request(lab, 0, 1, 1, 1), id + 2);
    lab_close(lab);
    return id;
}

static void ids_join_the_port_random_bits_and_a_counter(void **state)
{
    uint64_t id = first_id(1, 0, 4000);

    (void)state;
    assert_int_equal(id >> 48, 4000);
    assert_int_equal(id & 0xffff, 0);
    assert_int_equal(first_id(1, 0, 4000), id);
    assert_int_not_equal(first_id(2, 0, 4000), id);
    assert_int_equal(first_id(1, 0, 33000) >> 48, 33000);
    assert_int_equal(first_id(1, 0, 33000) << 16, id << 16);
}

static void next_id_seeds_only_the_random_part(void **state)
{
    (void)state;
    assert_int_equal(first_id(1, 0x12345678, 4000), 0x0fa0123456780000);
    assert_int_equal(first_id(2, 0x12345678, 4000), 0x0fa0123456780000);
}

static void an_id_is_never_given_out_twice_at_a_time(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_knobs knobs = *homa_engine_knobs(lab_engine(lab, 0));
    uint64_t first;

    (void)state;
    knobs.next_id = 5;
    assert_int_equal(homa_engine_set_knobs(lab_engine(lab, 0), &knobs), 0);
    first = lab_request(lab, 0, 1, 1, 1);
    knobs.next_id = 6;
    assert_int_equal(homa_engine_set_knobs(lab_engine(lab, 0), &knobs), 0);
    knobs.next_id = 5;
    assert_int_equal(homa_engine_set_knobs(lab_engine(lab, 0), &knobs), 0);
    assert_int_equal(lab_request(lab, 0, 1, 1, 1), first + 2);
    lab_close(lab);
}

static void version_0_of_the_cutoffs_is_never_given(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_knobs knobs = *homa_engine_knobs(lab_engine(lab, 1));

    (void)state;
    lab_engine(lab, 1)->cutoff_version = UINT16_MAX;
    knobs.unsched_cutoffs[7]++;
    assert_int_equal(homa_engine_set_knobs(lab_engine(lab, 1), &knobs), 0);
    assert_int_equal(lab_engine(lab, 1)->cutoff_version, 1);
    lab_close(lab);
}

static void a_socket_becomes_a_server_and_ceases_to_be_one(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;

    (void)state;
    options.is_server = false;
    lab = lab_open_with(2, &options, 64);
    assert_false(homa_engine_is_server(lab_engine(lab, 1)));
    lab_request(lab, 0, 1, 100, 1);
    lab_run(lab, LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    assert_int_equal(lab_counters(lab, 1)->packet_discards, 1);
    homa_engine_set_server(lab_engine(lab, 1), true);
    assert_true(homa_engine_is_server(lab_engine(lab, 1)));
    /* The client asks again, and is told that its request is unknown. */
    assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, 100 * LAB_MS));
    lab_close(lab);
}

static void messages_wait_until_there_is_a_region(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab = lab_open_with(2, &options, 0);
    struct lab_host *host = &lab->hosts[1];
    struct lab_message message;

    (void)state;
    lab_request(lab, 0, 1, 100, 3);
    lab_run(lab, 50 * LAB_MS);
    assert_int_equal(lab_counters(lab, 1)->buffer_alloc_failures, 1);
    host->region.length = BPAGE_SIZE;
    host->region.base = calloc(1, BPAGE_SIZE);
    assert_int_equal(bpage_pool_open(&host->bpages, 1), 0);
    homa_engine_set_region(host->engine, lab->now, &host->region, host->bpages);
    assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, LAB_MS));
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 3, &message), 0);
    lab_close(lab);
}

static void a_peer_can_be_given_another_packet_size(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address address = lab_address(lab, 1);
    struct lab_packet packet;

    (void)state;
    homa_engine_set_packet_bytes(lab_engine(lab, 0), &address, 5000);
    lab_request(lab, 0, 1, 40000, 1);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.length, 5000);
    lab_close(lab);
}

/* ---- shutdown ---- */

static void after_shutdown_nothing_goes_in_or_out(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address address = lab_address(lab, 1);
    struct mem_payload payload = {.bytes = (const uint8_t *)"x", .length = 1, .ready = 1};
    struct homa_packet packet = lab_data(100, 10, 0, 10);
    struct lab_message message;
    struct lab_packet out;
    uint64_t id = 0;

    (void)state;
    lab_request(lab, 0, 1, 100000, 1);
    homa_engine_shutdown(lab_engine(lab, 0), lab->now);
    assert_int_equal(
        homa_engine_request(lab_engine(lab, 0), lab->now, &address, &payload, 0, 0, false, &id),
        -ESHUTDOWN);
    assert_int_equal(homa_engine_reply(lab_engine(lab, 0), lab->now, &address, 1, &payload, 0),
                     -ESHUTDOWN);
    lab_push(lab, 0, 1, &packet, 1);
    assert_int_equal(lab_usage(lab, 0).rpcs, 0);
    assert_int_equal(lab_pull(lab, 0, &out, 1), 0);
    assert_int_equal(lab_take(lab, 0, 3, 0, &message), -EAGAIN);
    assert_int_equal(homa_engine_deadline(lab_engine(lab, 0)), HOMA_NEVER);
    lab_close(lab);
}

static void shutdown_gives_back_what_finished_and_unfinished_rpcs_hold(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    for (uint32_t i = 0; i < 20; i++)
        lab_request(lab, 0, 1, i * 10000 + 1, i);
    lab_run(lab, 60 * LAB_US);
    assert_true(lab_usage(lab, 1).rpcs > 0);
    assert_true(homa_engine_ready(lab_engine(lab, 1), HOMA_TAKE_REQUEST) > 0);
    /* lab_close() shuts down and asserts that nothing is missing. */
    lab_close(lab);
}

/* ---- the clock ---- */

static void time_in_which_the_engine_was_not_run_is_charged_to_no_timer(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;

    (void)state;
    lab_request(lab, 0, 1, 100, 1);
    assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, LAB_MS));
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    /* The client's process is stopped for far longer than its timeout; the answer waits for it. */
    lab->hosts[0].is_stopped = true;
    assert_int_equal(lab_reply(lab, 1, 0, message.info.id, 100, 2), 0);
    lab_run(lab, 1500 * LAB_MS);
    lab->hosts[0].is_stopped = false;
    lab_run(lab, LAB_US);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 2, &message), 0);
    assert_int_equal(message.info.error, 0);
    assert_in_range(lab_counters(lab, 0)->time_lost_ns, 1400 * LAB_MS, 1500 * LAB_MS);
    lab_close(lab);
}

static void a_process_stopped_for_300_ms_loses_no_rpc(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;
    unsigned done = 0;

    (void)state;
    lab->hosts[1].is_echo = true;
    for (uint32_t i = 1; i <= 100; i++)
        lab_request(lab, 0, 1, i * 1000, i);
    lab_run(lab, 100 * LAB_US);
    for (unsigned host = 0; host < 2; host++) {
        lab->hosts[host].is_stopped = true;
        lab_run(lab, 300 * LAB_MS);
        lab->hosts[host].is_stopped = false;
        lab_run(lab, 200 * LAB_US);
    }
    while (done < 100) {
        assert_true(lab_run_ready(lab, 0, HOMA_TAKE_RESPONSE, LAB_S));
        assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), 0);
        assert_int_equal(message.info.error, 0);
        done++;
    }
    assert_int_equal(lab->hosts[1].served, 100);
    lab_close(lab);
}

static void without_timers_no_time_is_lost(void **state)
{
    struct lab *lab = lab_open(1);

    (void)state;
    lab_jump(lab, 0, 3600 * LAB_S);
    assert_int_equal(lab_counters(lab, 0)->time_lost_ns, 0);
    lab_close(lab);
}

static void a_millisecond_of_lateness_is_charged(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t due;

    (void)state;
    lab_request(lab, 0, 1, 1, 1);
    due = homa_engine_deadline(lab_engine(lab, 0));
    assert_true(due > lab->now && due < lab->now + LAB_S);
    lab_jump(lab, 0, due - lab->now + LAB_MS);
    assert_int_equal(lab_counters(lab, 0)->time_lost_ns, 0);
    lab_jump(lab, 0, homa_engine_deadline(lab_engine(lab, 0)) - lab->now + LAB_MS + 5);
    assert_int_equal(lab_counters(lab, 0)->time_lost_ns, 5);
    lab_close(lab);
}

static void time_that_goes_backwards_stands_still(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t due;

    (void)state;
    lab_request(lab, 0, 1, 1, 1);
    due = homa_engine_deadline(lab_engine(lab, 0));
    homa_engine_advance(lab_engine(lab, 0), lab->now - LAB_MS);
    homa_engine_advance(lab_engine(lab, 0), 0);
    assert_int_equal(homa_engine_deadline(lab_engine(lab, 0)), due);
    lab_close(lab);
}

static void deadlines_are_in_the_callers_time_after_time_was_lost(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;
    uint64_t due;

    (void)state;
    lab_request(lab, 0, 1, 1, 1);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    lab_jump(lab, 0, LAB_S);
    assert_true(lab_counters(lab, 0)->time_lost_ns > 0);
    due = homa_engine_deadline(lab_engine(lab, 0));
    assert_in_range(due, lab->now + 1, lab->now + 10 * LAB_MS);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_of_zero_are_refused),
        cmocka_unit_test(unknown_formats_and_lengths_beyond_the_abi_are_refused),
        cmocka_unit_test(contradictory_knobs_are_refused_at_open_and_later),
        cmocka_unit_test(closing_nothing_is_allowed),
        cmocka_unit_test(what_an_rpc_costs_is_bounded),
        cmocka_unit_test(an_idle_engine_has_nothing_to_do),
        cmocka_unit_test(ids_join_the_port_random_bits_and_a_counter),
        cmocka_unit_test(next_id_seeds_only_the_random_part),
        cmocka_unit_test(an_id_is_never_given_out_twice_at_a_time),
        cmocka_unit_test(version_0_of_the_cutoffs_is_never_given),
        cmocka_unit_test(a_socket_becomes_a_server_and_ceases_to_be_one),
        cmocka_unit_test(messages_wait_until_there_is_a_region),
        cmocka_unit_test(a_peer_can_be_given_another_packet_size),
        cmocka_unit_test(after_shutdown_nothing_goes_in_or_out),
        cmocka_unit_test(shutdown_gives_back_what_finished_and_unfinished_rpcs_hold),
        cmocka_unit_test(time_in_which_the_engine_was_not_run_is_charged_to_no_timer),
        cmocka_unit_test(a_process_stopped_for_300_ms_loses_no_rpc),
        cmocka_unit_test(without_timers_no_time_is_lost),
        cmocka_unit_test(a_millisecond_of_lateness_is_charged),
        cmocka_unit_test(time_that_goes_backwards_stands_still),
        cmocka_unit_test(deadlines_are_in_the_callers_time_after_time_was_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
