/* Times on the idle path: measured at some lengths, on straight lines between them. */
#include "sim/idle.h"

#include "support/test.h"

#include <string.h>

static const struct sim_idle two = {.count = 2, .lengths = {100, 300}, .ns = {1000, 5000}};

static void a_time_is_never_nothing(void **state)
{
    const struct sim_idle none = {.count = 2, .lengths = {100, 300}, .ns = {0, 0}};
    const struct sim_idle falling = {.count = 2, .lengths = {100, 300}, .ns = {1000, 1}};

    (void)state;
    assert_int_equal(sim_idle_time(&none, 100), 1);
    assert_int_equal(sim_idle_time(&none, 200), 1);
    assert_int_equal(sim_idle_time(&falling, 1000), 1);
}

static void a_length_between_two_has_a_time_between_theirs(void **state)
{
    (void)state;
    assert_int_equal(sim_idle_time(&two, 100), 1000);
    assert_int_equal(sim_idle_time(&two, 150), 2000);
    assert_int_equal(sim_idle_time(&two, 300), 5000);
}

static void a_shorter_length_than_all_has_the_time_of_the_shortest(void **state)
{
    (void)state;
    assert_int_equal(sim_idle_time(&two, 1), 1000);
}

static void a_longer_length_than_all_goes_on_as_the_last_ones(void **state)
{
    (void)state;
    assert_int_equal(sim_idle_time(&two, 400), 7000);
}

static void one_length_stands_for_all(void **state)
{
    const struct sim_idle one = {.count = 1, .lengths = {100}, .ns = {1000}};

    (void)state;
    assert_int_equal(sim_idle_time(&one, 50), 1000);
    assert_int_equal(sim_idle_time(&one, 5000), 1000);
}

static void chosen_lengths_rise_from_the_shortest_to_the_longest_of_the_stream(void **state)
{
    struct sim_workload *workload = NULL;
    struct sim_idle idle;

    (void)state;
    assert_int_equal(sim_workload_named("w3", &workload), 0);
    const struct sim_stream_options options = {
        .workload = workload, .length_min = 8, .length_max = 1000000};

    sim_idle_choose(&idle, &options);
    assert_int_equal(idle.lengths[0], 8);
    assert_int_equal(idle.lengths[idle.count - 1], 1000000);
    for (uint32_t i = 1; i < idle.count; i++)
        assert_true(idle.lengths[i] > idle.lengths[i - 1]);
    sim_workload_close(workload);
}

static void the_csv_has_a_line_for_each(void **state)
{
    char text[100] = "";
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    sim_idle_csv(file, &two);
    rewind(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    assert_string_equal(text, "length_bytes,idle_ns\n100,1000\n300,5000\n");
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_never_nothing),
        cmocka_unit_test(a_length_between_two_has_a_time_between_theirs),
        cmocka_unit_test(a_shorter_length_than_all_has_the_time_of_the_shortest),
        cmocka_unit_test(a_longer_length_than_all_goes_on_as_the_last_ones),
        cmocka_unit_test(one_length_stands_for_all),
        cmocka_unit_test(chosen_lengths_rise_from_the_shortest_to_the_longest_of_the_stream),
        cmocka_unit_test(the_csv_has_a_line_for_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
