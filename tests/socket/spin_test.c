/*
 * When it pays to spin: the rules, without a clock or a thread.
 */
#include "socket/spin.h"

#include "homa/knobs.h"
#include "support/test.h"

#define US 1000u

static void learn(struct spin *spin, uint64_t waited_ns, int times)
{
    for (int i = 0; i < times; i++)
        spin_learn(spin, waited_ns, false);
}

static void without_an_idea_nobody_spins(void **state)
{
    struct spin spin = {0};

    (void)state;
    assert_int_equal(spin_budget(&spin, HOMA_POLL_AUTO), 0);
}

static void nobody_spins_for_what_comes_seldom(void **state)
{
    struct spin spin = {0};

    (void)state;
    learn(&spin, 300 * US, 5);
    assert_int_equal(spin_budget(&spin, HOMA_POLL_AUTO), 0);
}

static void zero_means_never(void **state)
{
    struct spin spin = {0};

    (void)state;
    learn(&spin, 5 * US, 5);
    assert_true(spin_budget(&spin, HOMA_POLL_AUTO) > 0);
    assert_int_equal(spin_budget(&spin, 0), 0);
}

static void after_a_disturbance_nobody_spins_for_a_while(void **state)
{
    struct spin spin = {0};
    unsigned waits = 0;

    (void)state;
    learn(&spin, 5 * US, 5);
    spin_learn(&spin, 5 * US, true);
    while (spin_budget(&spin, HOMA_POLL_AUTO) == 0)
        waits++;
    assert_true(waits >= 10 && waits <= 1000);
}

static void the_spin_lasts_twice_as_long_as_waits_take(void **state)
{
    struct spin spin = {0};

    (void)state;
    learn(&spin, 40 * US, 20);
    assert_in_range(spin_budget(&spin, HOMA_POLL_AUTO), 79 * US, 81 * US);
}

/* Two peers that sleep see each other's wake-ups in what they measure; they must dare to spin. */
static void waits_that_are_all_wakeup_are_worth_a_spin(void **state)
{
    struct spin spin = {0};

    (void)state;
    learn(&spin, 90 * US, 10);
    assert_true(spin_budget(&spin, HOMA_POLL_AUTO) >= 90 * US);
    learn(&spin, 4 * US, 10);
    assert_true(spin_budget(&spin, HOMA_POLL_AUTO) <= 40 * US);
}

static void one_pause_is_forgotten_after_a_few_quick_answers(void **state)
{
    struct spin spin = {0};

    (void)state;
    learn(&spin, 5 * US, 20);
    learn(&spin, 3000000 * US, 1);
    learn(&spin, 5 * US, 4);
    assert_true(spin_budget(&spin, HOMA_POLL_AUTO) > 0);
}

static void a_knob_is_followed_whatever_has_been_learnt(void **state)
{
    struct spin spin = {0};

    (void)state;
    assert_int_equal(spin_budget(&spin, 50), 50 * US);
    learn(&spin, 300 * US, 5);
    assert_int_equal(spin_budget(&spin, 50), 50 * US);
}

static void this_process_has_a_cpu(void **state)
{
    (void)state;
    assert_true(spin_cpus() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_idea_nobody_spins),
        cmocka_unit_test(nobody_spins_for_what_comes_seldom),
        cmocka_unit_test(zero_means_never),
        cmocka_unit_test(after_a_disturbance_nobody_spins_for_a_while),
        cmocka_unit_test(the_spin_lasts_twice_as_long_as_waits_take),
        cmocka_unit_test(waits_that_are_all_wakeup_are_worth_a_spin),
        cmocka_unit_test(one_pause_is_forgotten_after_a_few_quick_answers),
        cmocka_unit_test(a_knob_is_followed_whatever_has_been_learnt),
        cmocka_unit_test(this_process_has_a_cpu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
