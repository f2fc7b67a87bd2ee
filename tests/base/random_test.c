/* The seeded generator: a run is replayed by its seed, so the sequence must never change. */
#include "base/random.h"

#include "support/test.h"

static void same_seed_gives_the_same_sequence_on_every_machine(void **state)
{
    static const uint64_t of_0[] = {0xfb133a9c2847f4ccu, 0xf90fa80e45c4c6a6u, 0x13a8389919122431u,
                                    0x2cf17cba3868ae33u};
    static const uint64_t of_42[] = {0x27d29ecec195c536u, 0xaedda8f5109ee38bu, 0xe5f4baca0dc164cbu,
                                     0xd327608db84838bcu};
    struct base_random zero = base_random_seed(0);
    struct base_random forty_two = base_random_seed(42);

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(base_random_u64(&zero), of_0[i]);
        assert_int_equal(base_random_u64(&forty_two), of_42[i]);
    }
}

static void numbers_below_a_bound_are_the_same_on_every_machine(void **state)
{
    static const uint64_t expected[] = {155, 683, 898, 824, 368, 142, 554, 344};
    struct base_random random = base_random_seed(42);

    (void)state;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(base_random_below(&random, 1000), expected[i]);
}

static void a_bound_is_never_reached(void **state)
{
    static const uint64_t bounds[] = {1, 2, 3, 1000, (uint64_t)1 << 32, UINT64_MAX};
    struct base_random random = base_random_seed(1);

    (void)state;
    for (size_t b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++) {
        for (int i = 0; i < 1000; i++)
            assert_true(base_random_below(&random, bounds[b]) < bounds[b]);
    }
}

/* 70,000 throws of a seven-sided die: 10,000 of each, give or take 3 %. */
static void all_numbers_below_a_bound_are_equally_likely(void **state)
{
    struct base_random random = base_random_seed(7);
    unsigned thrown[7] = {0};

    (void)state;
    for (int i = 0; i < 70000; i++)
        thrown[base_random_below(&random, 7)]++;
    for (size_t side = 0; side < 7; side++)
        assert_in_range(thrown[side], 9700, 10300);
}

static void chance_zero_never_happens_and_chance_one_always(void **state)
{
    struct base_random random = base_random_seed(3);

    (void)state;
    for (int i = 0; i < 100000; i++) {
        assert_false(base_random_chance(&random, 0.0));
        assert_true(base_random_chance(&random, 1.0));
    }
}

static void two_percent_happen_twice_in_a_hundred(void **state)
{
    struct base_random random = base_random_seed(5);
    unsigned happened = 0;

    (void)state;
    for (int i = 0; i < 100000; i++)
        happened += base_random_chance(&random, 0.02);
    assert_in_range(happened, 1850, 2150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_gives_the_same_sequence_on_every_machine),
        cmocka_unit_test(numbers_below_a_bound_are_the_same_on_every_machine),
        cmocka_unit_test(a_bound_is_never_reached),
        cmocka_unit_test(all_numbers_below_a_bound_are_equally_likely),
        cmocka_unit_test(chance_zero_never_happens_and_chance_one_always),
        cmocka_unit_test(two_percent_happen_twice_in_a_hundred),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
