/* Exponential times: the right distribution, and the same numbers on every machine. */
#include "sim/exponential.h"

#include "support/test.h"

#define DRAWS 400000u
#define MEAN  1000000u

static void logarithm_is_exact_for_powers_of_two(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(sim_log2(UINT64_C(1) << i), i * SIM_LOG2_ONE);
}

static void logarithm_is_right_to_the_last_unit_but_one(void **state)
{
    static const struct {
        uint64_t value;
        uint64_t logarithm; /* rounded down; computed with 60 digits */
    } known[] = {
        {3, 6807362105},
        {5, 9972605231},
        {10, 14267572527},
        {1000003, 85605453752},
        {UINT64_C(9223372036854788153), 270582939648},
        {UINT64_MAX, 274877906943},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_in_range(sim_log2(known[i].value), known[i].logarithm - 1, known[i].logarithm);
}

static void a_mean_of_nothing_gives_nothing(void **state)
{
    struct base_random random = base_random_seed(1);

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(sim_exponential(&random, 0), 0);
}

static void the_longest_mean_does_not_overflow(void **state)
{
    uint64_t mean = (UINT64_C(1) << 57) - 1;
    uint64_t longest = 0;
    struct base_random random = base_random_seed(2);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t time = sim_exponential(&random, mean);

        assert_true(time / 45 < mean);
        if (time > longest)
            longest = time;
    }
    assert_true(longest / 4 > mean); /* 1,000 draws reach beyond 4 means, or something wrapped */
}

static void mean_variance_and_tail_are_those_of_the_distribution(void **state)
{
    static const struct {
        uint64_t beyond;
        uint32_t lowest; /* of DRAWS; expected is DRAWS / e^(beyond / mean), ± 4 sigma */
        uint32_t highest;
    } tails[] = {
        {MEAN / 10, 361193, 362677}, /* 361,935 */
        {MEAN, 145932, 148371},      /* 147,152 */
        {3 * MEAN, 19365, 20465},    /* 19,915 */
        {7 * MEAN, 288, 442},        /* 365 */
    };
    struct base_random random = base_random_seed(3);
    uint64_t sum = 0;
    uint64_t squares = 0;
    uint32_t counts[4] = {0};

    (void)state;
    for (uint32_t i = 0; i < DRAWS; i++) {
        uint64_t time = sim_exponential(&random, MEAN);

        sum += time;
        squares += time * time / MEAN;
        for (size_t j = 0; j < 4; j++)
            counts[j] += time > tails[j].beyond;
    }
    assert_in_range(sum / DRAWS, 993000, 1007000);      /* sigma 0.16 % */
    assert_in_range(squares / DRAWS, 1970000, 2030000); /* 2 × mean², sigma 0.35 % */
    for (size_t j = 0; j < 4; j++)
        assert_in_range(counts[j], tails[j].lowest, tails[j].highest);
}

/* Seeds whose first draws are the least and the greatest number of 64 bits. */
static void the_ends_of_the_draw_are_the_ends_of_the_time(void **state)
{
    struct base_random least = base_random_seed(UINT64_C(0x61c8864680b583eb));
    struct base_random greatest = base_random_seed(UINT64_C(0x6ac22f5aa257fc4b));

    (void)state;
    assert_int_equal(base_random_u64(&(struct base_random){least.state}), 0);
    assert_int_equal(base_random_u64(&(struct base_random){greatest.state}), UINT64_MAX);
    assert_int_equal(sim_exponential(&least, 1000000), 44361420); /* 64 × ln 2 */
    assert_int_equal(sim_exponential(&greatest, 1000000), 0);
}

static void the_same_seed_gives_the_same_times_everywhere(void **state)
{
    static const uint64_t known[] = {3409719408723, 1780441489769, 1042599140434,
                                     1191708256491, 468908816110,  415759971365};
    struct base_random random = base_random_seed(4);

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_int_equal(sim_exponential(&random, UINT64_C(1000000000000)), known[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logarithm_is_exact_for_powers_of_two),
        cmocka_unit_test(logarithm_is_right_to_the_last_unit_but_one),
        cmocka_unit_test(a_mean_of_nothing_gives_nothing),
        cmocka_unit_test(the_longest_mean_does_not_overflow),
        cmocka_unit_test(mean_variance_and_tail_are_those_of_the_distribution),
        cmocka_unit_test(the_same_seed_gives_the_same_times_everywhere),
        cmocka_unit_test(the_ends_of_the_draw_are_the_ends_of_the_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
