/*
 * When it pays to spin: the rules, without a clock or a thread.
 */
#include "socket/spin.h"

#include "homa/knobs.h"
#include "support/test.h"

#define US 1000u

/* Waits, each of which takes so long with a spin and so long without; returns how many spun. */
static int wait(struct spin *spin, uint64_t spun_ns, uint64_t slept_ns, int times)
{
    int spins = 0;

    for (int i = 0; i < times; i++) {
        bool is_spinning = spin_budget(spin, HOMA_POLL_AUTO) > 0;

        spin_learn(spin, is_spinning ? spun_ns : slept_ns);
        spins += is_spinning;
    }
    return spins;
}

static void the_first_wait_sleeps(void **state)
{
    struct spin spin = {0};

    (void)state;
    assert_int_equal(spin_budget(&spin, HOMA_POLL_AUTO), 0);
}

static void nobody_spins_for_what_comes_seldom(void **state)
{
    struct spin spin = {0};

    (void)state;
    assert_int_equal(wait(&spin, 300 * US, 300 * US, 1000), 0);
}

static void zero_means_never(void **state)
{
    struct spin spin = {0};

    (void)state;
    (void)wait(&spin, 5 * US, 60 * US, 20);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(spin_budget(&spin, 0), 0);
        spin_learn(&spin, 60 * US);
    }
}

static void who_gains_by_it_spins_nearly_always(void **state)
{
    struct spin spin = {0};

    (void)state;
    assert_in_range(wait(&spin, 5 * US, 60 * US, 1000), 900, 999);
}

/* Two peers that sleep see each other's wake-ups in what they measure. */
static void the_first_to_spin_gains_even_while_the_peer_sleeps(void **state)
{
    struct spin spin = {0};

    (void)state;
    assert_in_range(wait(&spin, 40 * US, 90 * US, 1000), 900, 999);
}

/* The peer needs the CPU: what takes 8 µs asleep takes a whole spin longer awake. */
static void who_loses_by_it_sleeps_nearly_always(void **state)
{
    struct spin spin = {0};

    (void)state;
    assert_in_range(wait(&spin, 200 * US, 8 * US, 1000), 1, 100);
}

static void one_changes_ones_mind(void **state)
{
    struct spin spin = {0};

    (void)state;
    (void)wait(&spin, 200 * US, 8 * US, 1000);
    assert_in_range(wait(&spin, 5 * US, 60 * US, 1000), 800, 999);
    assert_in_range(wait(&spin, 200 * US, 8 * US, 1000), 1, 200);
}

static void the_spin_lasts_twice_as_long_as_waits_take(void **state)
{
    struct spin spin = {0};
    uint64_t budget = 0;

    (void)state;
    (void)wait(&spin, 40 * US, 90 * US, 100);
    do {
        budget = spin_budget(&spin, HOMA_POLL_AUTO);
        spin_learn(&spin, budget > 0 ? 40 * US : 90 * US);
    } while (budget == 0);
    assert_in_range(budget, 79 * US, 81 * US);
}

static void a_number_is_a_ceiling(void **state)
{
    struct spin spin = {0};
    unsigned spins = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        uint64_t budget = spin_budget(&spin, 30);

        assert_true(budget <= 30 * US);
        spin_learn(&spin, budget > 0 ? 20 * US : 60 * US);
        spins += budget > 0;
    }
    assert_true(spins > 80);
}

static void one_pause_is_forgotten_after_a_few_quick_answers(void **state)
{
    struct spin spin = {0};

    (void)state;
    (void)wait(&spin, 5 * US, 60 * US, 100);
    (void)wait(&spin, 3000000 * US, 3000000 * US, 1);
    assert_in_range(wait(&spin, 5 * US, 60 * US, 100), 60, 99);
}

static void this_process_has_a_cpu(void **state)
{
    (void)state;
    assert_true(spin_cpus() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_wait_sleeps),
        cmocka_unit_test(nobody_spins_for_what_comes_seldom),
        cmocka_unit_test(zero_means_never),
        cmocka_unit_test(who_gains_by_it_spins_nearly_always),
        cmocka_unit_test(the_first_to_spin_gains_even_while_the_peer_sleeps),
        cmocka_unit_test(who_loses_by_it_sleeps_nearly_always),
        cmocka_unit_test(one_changes_ones_mind),
        cmocka_unit_test(the_spin_lasts_twice_as_long_as_waits_take),
        cmocka_unit_test(a_number_is_a_ceiling),
        cmocka_unit_test(one_pause_is_forgotten_after_a_few_quick_answers),
        cmocka_unit_test(this_process_has_a_cpu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
