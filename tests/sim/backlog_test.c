/* The queue below a socket as its owner sees it: what is charged, until when, and the rate. */
#include "sim/backlog.h"

#include "support/test.h"

#define FULL    1472u
#define CHARGED 2304u

static int clear(void **state)
{
    static struct sim_backlog backlog;

    sim_backlog_clear(&backlog);
    *state = &backlog;
    return 0;
}

static void an_empty_queue_says_nothing(void **state)
{
    struct base_backlog seen = sim_backlog_look(*state, 5 * SIM_MS);

    assert_int_equal(seen.bytes, 0);
    assert_int_equal(seen.bytes_per_second, 0);
}

static void packets_count_with_their_memory_until_they_leave(void **state)
{
    sim_backlog_add(*state, FULL, 10 * SIM_US);
    sim_backlog_add(*state, 100, 20 * SIM_US);
    assert_in_range(sim_backlog_look(*state, 9 * SIM_US).bytes, CHARGED + 100, 2 * CHARGED);
    assert_in_range(sim_backlog_look(*state, 10 * SIM_US).bytes, 100, CHARGED - 1);
    assert_int_equal(sim_backlog_look(*state, 20 * SIM_US).bytes, 0);
}

/* 25 packets of 40 us each: looked at while it is never empty, it drains at 36.8 MB/s. */
static void a_queue_that_is_never_empty_shows_its_rate(void **state)
{
    for (sim_time i = 1; i <= 100; i++)
        sim_backlog_add(*state, FULL, i * 40 * SIM_US);
    assert_int_equal(sim_backlog_look(*state, 0).bytes_per_second, 0);
    assert_int_equal(sim_backlog_look(*state, SIM_MS).bytes_per_second,
                     25 * CHARGED * UINT64_C(1000));
}

static void a_look_at_an_empty_queue_begins_anew(void **state)
{
    sim_backlog_add(*state, FULL, 100 * SIM_US);
    (void)sim_backlog_look(*state, 0);
    (void)sim_backlog_look(*state, 200 * SIM_US);
    sim_backlog_add(*state, FULL, 3 * SIM_MS);
    assert_int_equal(sim_backlog_look(*state, 2 * SIM_MS).bytes_per_second, 0);
}

static void a_rate_is_forgotten_after_a_second(void **state)
{
    for (sim_time i = 1; i <= 100; i++)
        sim_backlog_add(*state, FULL, i * 40 * SIM_US);
    (void)sim_backlog_look(*state, 0);
    assert_int_not_equal(sim_backlog_look(*state, SIM_MS).bytes_per_second, 0);
    assert_int_not_equal(sim_backlog_look(*state, SIM_S).bytes_per_second, 0);
    assert_int_equal(sim_backlog_look(*state, SIM_S + 2 * SIM_MS).bytes_per_second, 0);
}

static void the_ring_grows_in_order(void **state)
{
    for (sim_time i = 1; i <= 200; i++)
        sim_backlog_add(*state, FULL, i * SIM_US);
    (void)sim_backlog_look(*state, 100 * SIM_US);
    for (sim_time i = 201; i <= 1000; i++)
        sim_backlog_add(*state, FULL, i * SIM_US);
    for (sim_time i = 100; i <= 1000; i += 50)
        assert_int_equal(sim_backlog_look(*state, i * SIM_US).bytes, (1000 - i) * CHARGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_queue_says_nothing, clear, clear),
        cmocka_unit_test_setup_teardown(packets_count_with_their_memory_until_they_leave, clear,
                                        clear),
        cmocka_unit_test_setup_teardown(a_queue_that_is_never_empty_shows_its_rate, clear, clear),
        cmocka_unit_test_setup_teardown(a_look_at_an_empty_queue_begins_anew, clear, clear),
        cmocka_unit_test_setup_teardown(a_rate_is_forgotten_after_a_second, clear, clear),
        cmocka_unit_test_setup_teardown(the_ring_grows_in_order, clear, clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
