/* Streams of messages: as much load as asked for, and the same messages each time. */
#include "sim/stream.h"

#include "support/test.h"

#define DRAWS 200000u

static struct sim_stream_options options_with(const struct sim_workload *workload)
{
    return (struct sim_stream_options){.workload = workload,
                                       .seed = 1,
                                       .load_permille = 500,
                                       .rate_mbps = 1000,
                                       .length_min = 8,
                                       .length_max = 1000000,
                                       .packet_bytes = 1472,
                                       .wire_overhead = 42,
                                       .sockets = 3};
}

static int open_workload(void **state)
{
    struct sim_workload *workload = NULL;

    assert_int_equal(sim_workload_named("w4", &workload), 0);
    *state = workload;
    return 0;
}

static int close_workload(void **state)
{
    sim_workload_close(*state);
    return 0;
}

static void lengths_stay_within_their_bounds(void **state)
{
    struct sim_stream_options options = options_with(*state);
    struct sim_stream stream;
    bool was_longest = false;

    options.length_min = 400;
    options.length_max = 100000;
    sim_stream_begin(&stream, &options);
    for (uint32_t i = 0; i < DRAWS; i++) {
        uint32_t length = sim_stream_next(&stream).length;

        assert_in_range(length, 400, 100000);
        was_longest = was_longest || length == 100000;
    }
    assert_true(was_longest);
}

static void every_packet_counts_with_its_headers(void **state)
{
    struct sim_stream_options options = options_with(*state);

    assert_int_equal(sim_stream_wire_bytes(&options, 1), 1 + 56 + 42);
    assert_int_equal(sim_stream_wire_bytes(&options, 1416), 1472 + 42);
    assert_int_equal(sim_stream_wire_bytes(&options, 1417), 1417 + 2 * (56 + 42));
}

static void the_load_is_the_one_asked_for(void **state)
{
    struct sim_stream_options options = options_with(*state);
    struct sim_stream stream;
    struct sim_arrival arrival = {0};
    uint64_t bytes = 0;

    sim_stream_begin(&stream, &options);
    for (uint32_t i = 0; i < DRAWS; i++) {
        arrival = sim_stream_next(&stream);
        bytes += sim_stream_wire_bytes(&options, arrival.length);
    }
    /* 125 bytes a microsecond would be the whole rate. */
    assert_in_range(bytes * 1000 / (arrival.at / SIM_US * 125), 490, 510);
}

static void a_workload_of_one_length_has_a_mean_gap_too(void **state)
{
    struct sim_workload *workload = NULL;
    char why[SIM_WHY_MAX];

    (void)state;
    assert_int_equal(sim_workload_read("one", "1000 1\n", &workload, why), 0);
    struct sim_stream_options options = options_with(workload);

    assert_int_equal(sim_stream_mean_gap(&options), (1000 + 98) * UINT64_C(8000) * 2);
    sim_workload_close(workload);
}

static void the_same_seed_gives_the_same_messages(void **state)
{
    struct sim_stream_options options = options_with(*state);
    struct sim_stream a;
    struct sim_stream b;
    struct sim_stream other;
    unsigned different = 0;

    sim_stream_begin(&a, &options);
    sim_stream_begin(&b, &options);
    options.seed = 2;
    sim_stream_begin(&other, &options);
    for (uint32_t i = 0; i < 1000; i++) {
        struct sim_arrival left = sim_stream_next(&a);
        struct sim_arrival right = sim_stream_next(&b);

        assert_true(left.at == right.at && left.length == right.length &&
                    left.socket == right.socket);
        assert_true(left.socket < 3);
        different += sim_stream_next(&other).at != left.at;
    }
    assert_true(different > 900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lengths_stay_within_their_bounds, open_workload,
                                        close_workload),
        cmocka_unit_test_setup_teardown(every_packet_counts_with_its_headers, open_workload,
                                        close_workload),
        cmocka_unit_test_setup_teardown(the_load_is_the_one_asked_for, open_workload,
                                        close_workload),
        cmocka_unit_test(a_workload_of_one_length_has_a_mean_gap_too),
        cmocka_unit_test_setup_teardown(the_same_seed_gives_the_same_messages, open_workload,
                                        close_workload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
