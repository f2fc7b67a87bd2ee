/*
 * Workloads: tables that make no sense are refused with the line that is wrong; the published ones
 * are as published; draws follow the table and are the same everywhere; cutoffs share the load.
 */
#include "sim/workload.h"

#include "homa/knobs.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sim_workload *read_table(const char *text)
{
    char why[SIM_WHY_MAX];
    struct sim_workload *workload = NULL;

    if (sim_workload_read("table", text, &workload, why) != 0)
        fail_msg("%s", why);
    return workload;
}

static struct sim_workload *open_named(const char *name)
{
    struct sim_workload *workload = NULL;

    assert_int_equal(sim_workload_named(name, &workload), 0);
    assert_non_null(workload);
    return workload;
}

static void assert_refused(const char *text, const char *sentence)
{
    char why[SIM_WHY_MAX];
    struct sim_workload *workload = NULL;

    assert_int_equal(sim_workload_read("table", text, &workload, why), -EINVAL);
    assert_null(workload);
    if (strstr(why, sentence) == NULL)
        fail_msg("\"%s\" is not what it says: %s", sentence, why);
}

/* ---- refused ---- */

static void a_record_needs_a_length_and_a_frequency(void **state)
{
    (void)state;
    assert_refused("100\n", "table, line 1: expected a length and a frequency");
    assert_refused("# x\n100 1\n200 1 1\n", "line 3: expected a length and a frequency");
}

static void a_length_must_be_a_whole_number_in_range(void **state)
{
    static const char *const lengths[] = {
        "0", "-1", "1.5", "x", "1000000001", "1e3", "99999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        char text[64];

        snprintf(text, sizeof(text), "%s\t1\n", lengths[i]);
        assert_refused(text, "line 1: the length must be a whole number from 1 to 1000000000");
    }
}

static void lengths_must_rise(void **state)
{
    (void)state;
    assert_refused("1 1\n2 1\n2 1\n", "line 3: lengths must rise");
    assert_refused("5 1\n4 1\n", "line 2: lengths must rise");
}

static void a_frequency_must_be_above_nothing(void **state)
{
    (void)state;
    assert_refused("1 0\n", "line 1: the frequency must be a number above 0");
    assert_refused("1 1\n\n2 -1\n", "line 3: the frequency must be a number above 0");
    assert_refused("1 x\n", "line 1: the frequency must be a number above 0");
    assert_refused("1 0.1234567890123456789\n", "line 1: the frequency has more than 18 digits");
}

static void an_empty_table_is_refused(void **state)
{
    (void)state;
    assert_refused("", "table: there is no length in it");
    assert_refused("# nothing but this\n\n", "table: there is no length in it");
}

static void frequencies_too_far_apart_to_add_exactly_are_refused(void **state)
{
    (void)state;
    assert_refused("1 1e10\n2 1e-10\n", "the frequencies differ by more than");
    assert_refused("1 999999999999999999\n2 999999999999999999\n3 999999999999999999\n"
                   "4 999999999999999999\n5 999999999999999999\n",
                   "the frequencies differ by more than");
}

static void a_name_that_is_no_workload_is_not_found(void **state)
{
    static const char *const names[] = {"", "w", "w0", "w6", "w10", "x1", "w1 ", "1"};
    struct sim_workload *workload = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(sim_workload_named(names[i], &workload), -ENOENT);
        assert_null(workload);
    }
}

static void a_file_that_is_not_there_is_named(void **state)
{
    char why[SIM_WHY_MAX];
    struct sim_workload *workload = NULL;

    (void)state;
    assert_int_equal(sim_workload_open("no/such/file.tsv", &workload, why), -ENOENT);
    assert_non_null(strstr(why, "no/such/file.tsv is none of w1 to w5"));
    assert_int_equal(sim_workload_open("/", &workload, why), -EISDIR);
    assert_null(workload);
}

/* ---- read ---- */

static void a_users_file_is_read(void **state)
{
    char path[] = "/tmp/workload-XXXXXX";
    char why[SIM_WHY_MAX];
    struct sim_workload *workload = NULL;
    int file = mkstemp(path);

    (void)state;
    assert_true(file >= 0);
    assert_int_equal(write(file, "100 1\n200 3\n", 12), 12);
    close(file);
    assert_int_equal(sim_workload_open(path, &workload, why), 0);
    unlink(path);
    assert_int_equal(sim_workload_mean_milli(workload), 175000);
    assert_string_equal(sim_workload_name(workload), path);
    sim_workload_close(workload);
    assert_int_equal(sim_workload_open("W3", &workload, why), 0);
    assert_string_equal(sim_workload_name(workload), "w3");
    sim_workload_close(workload);
}

static void frequencies_become_exact_weights(void **state)
{
    struct sim_workload *workload = read_table("1 0.5\n2 2.5e-01\n3 0.125\n4 125e-3\n");

    (void)state;
    assert_int_equal(sim_workload_lengths(workload), 4);
    assert_int_equal(sim_workload_weight(workload, 0), 500);
    assert_int_equal(sim_workload_weight(workload, 1), 250);
    assert_int_equal(sim_workload_weight(workload, 2), 125);
    assert_int_equal(sim_workload_weight(workload, 3), 125);
    assert_int_equal(sim_workload_total(workload), 1000);
    assert_int_equal(sim_workload_mean_milli(workload), 1875);
    sim_workload_close(workload);
}

static void published_workloads_are_as_published(void **state)
{
    static const struct {
        const char *name;
        uint32_t lengths;
        uint32_t shortest;
        uint32_t longest;
        uint64_t mean_milli;
        uint32_t median;
    } known[] = {
        {"w1", 300, 8, 100000, 189172, 27},
        {"w2", 152, 8, 3529904, 441603, 269},
        {"w3", 842, 8, 15158197, 2927678, 268},
        {"w4", 460, 53, 10000000, 127796643, 662},
        {"w5", 400, 1430, 29400000, 2564689682, 72030},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct sim_workload *workload = open_named(known[i].name);
        uint32_t lengths = sim_workload_lengths(workload);

        assert_string_equal(sim_workload_name(workload), known[i].name);
        assert_int_equal(lengths, known[i].lengths);
        assert_int_equal(sim_workload_length(workload, 0), known[i].shortest);
        assert_int_equal(sim_workload_length(workload, lengths - 1), known[i].longest);
        assert_int_equal(sim_workload_mean_milli(workload), known[i].mean_milli);
        assert_int_equal(sim_workload_quantile(workload, 500000), known[i].median);
        assert_true(sim_workload_total(workload) <= UINT64_C(1) << 62);
        sim_workload_close(workload);
    }
}

/* ---- quantiles ---- */

static void shares_and_quantiles_are_inverse(void **state)
{
    struct sim_workload *workload = read_table("10 1\n20 2\n30 1\n");

    (void)state;
    assert_int_equal(sim_workload_share(workload, 9), 0);
    assert_int_equal(sim_workload_share(workload, 10), 250000);
    assert_int_equal(sim_workload_share(workload, 29), 750000);
    assert_int_equal(sim_workload_share(workload, 1000), SIM_PPM);
    assert_int_equal(sim_workload_quantile(workload, 0), 10);
    assert_int_equal(sim_workload_quantile(workload, 250000), 10);
    assert_int_equal(sim_workload_quantile(workload, 250001), 20);
    assert_int_equal(sim_workload_quantile(workload, SIM_PPM), 30);
    assert_int_equal(sim_workload_quantile_below(workload, 249999), 0);
    assert_int_equal(sim_workload_quantile_below(workload, 250000), 10);
    assert_int_equal(sim_workload_quantile_below(workload, 749999), 10);
    assert_int_equal(sim_workload_quantile_below(workload, SIM_PPM), 30);
    assert_int_equal(sim_workload_quantile_near(workload, 1), 10);
    assert_int_equal(sim_workload_quantile_near(workload, 499999), 10);
    assert_int_equal(sim_workload_quantile_near(workload, 500001), 20);
    assert_int_equal(sim_workload_quantile_near(workload, SIM_PPM), 30);
    sim_workload_close(workload);
}

static void byte_quantiles_weigh_messages_by_their_length(void **state)
{
    struct sim_workload *workload = read_table("1 90\n10 9\n810 1\n"); /* 90, 90, 810 bytes */

    (void)state;
    assert_int_equal(sim_workload_byte_quantile(workload, 0), 1);
    assert_int_equal(sim_workload_byte_quantile(workload, 90000), 1);
    assert_int_equal(sim_workload_byte_quantile(workload, 100000), 10);
    assert_int_equal(sim_workload_byte_quantile(workload, 180000), 10);
    assert_int_equal(sim_workload_byte_quantile(workload, 190000), 810);
    assert_int_equal(sim_workload_byte_quantile(workload, SIM_PPM), 810);
    sim_workload_close(workload);
}

/* ---- draws ---- */

static void draws_follow_the_table(void **state)
{
    struct sim_workload *workload = read_table("5 1\n6 2\n1000 4\n2000 1\n");
    struct base_random random = base_random_seed(5);
    uint32_t counts[4] = {0};

    (void)state;
    for (uint32_t i = 0; i < 80000; i++) {
        uint32_t length = sim_workload_sample(workload, &random);
        uint32_t j = 0;

        while (j < 4 && sim_workload_length(workload, j) != length)
            j++;
        assert_true(j < 4);
        counts[j]++;
    }
    assert_in_range(counts[0], 9626, 10374); /* ± 4 sigma */
    assert_in_range(counts[1], 19510, 20490);
    assert_in_range(counts[2], 39434, 40566);
    assert_in_range(counts[3], 9626, 10374);
    sim_workload_close(workload);
}

static void a_single_length_is_always_drawn(void **state)
{
    struct sim_workload *workload = read_table("777 0.001\n");
    struct base_random random = base_random_seed(6);

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(sim_workload_sample(workload, &random), 777);
    sim_workload_close(workload);
}

static void draws_of_a_seed_are_the_same_everywhere(void **state)
{
    static const uint32_t known[] = {13741, 638,   41214, 816, 587, 600,
                                     607,   56521, 381,   310, 725, 491};
    struct sim_workload *workload = open_named("w4");
    struct base_random random = base_random_seed(7);

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_int_equal(sim_workload_sample(workload, &random), known[i]);
    sim_workload_close(workload);
}

/* ---- cutoffs ---- */

static void cutoffs_of_every_published_workload_are_valid_knobs(void **state)
{
    static const char *const names[] = {"w1", "w2", "w3", "w4", "w5"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct sim_workload *workload = open_named(names[i]);

        for (uint32_t levels = 1; levels <= SIM_CUTOFFS; levels++) {
            struct homa_knobs knobs;
            const char *why = "";

            homa_knobs_default(&knobs);
            sim_workload_cutoffs(workload, levels, 9700, 1442, 96, knobs.unsched_cutoffs);
            if (homa_knobs_check(&knobs, &why) != 0)
                fail_msg("%s, %u levels: %s", names[i], levels, why);
            for (uint32_t level = 0; level < SIM_CUTOFFS; level++)
                assert_int_equal(knobs.unsched_cutoffs[level] != 0, level >= SIM_CUTOFFS - levels);
            assert_int_equal(knobs.unsched_cutoffs[SIM_CUTOFFS - levels], HOMA_CUTOFF_ALL);
        }
        sim_workload_close(workload);
    }
}

/* Six lengths of the same load, 6,000 bytes each. */
static void levels_share_the_load_equally(void **state)
{
    struct sim_workload *workload = read_table("100 60\n200 30\n300 20\n400 15\n500 12\n600 10\n");
    uint32_t cutoffs[SIM_CUTOFFS];

    (void)state;
    sim_workload_cutoffs(workload, 3, 100000, 100, 0, cutoffs);
    assert_int_equal(cutoffs[7], 200);
    assert_int_equal(cutoffs[6], 400);
    assert_int_equal(cutoffs[5], HOMA_CUTOFF_ALL);
    assert_int_equal(cutoffs[4], 0);
    sim_workload_close(workload);
}

static void only_unscheduled_bytes_count_for_cutoffs(void **state)
{
    struct sim_workload *workload = read_table("100 2\n200 1\n100000 1\n");
    uint32_t cutoffs[SIM_CUTOFFS];

    (void)state;
    sim_workload_cutoffs(workload, 2, 100, 100, 0, cutoffs);
    assert_int_equal(cutoffs[7], 100); /* of 200, 100 and 100 bytes */
    sim_workload_cutoffs(workload, 2, 300, 100, 0, cutoffs);
    assert_int_equal(cutoffs[7], 200); /* of 200, 200 and 300 */
    sim_workload_cutoffs(workload, 2, 100000, 100, 0, cutoffs);
    assert_int_equal(cutoffs[7], 200); /* the longest alone is more than half */
    sim_workload_close(workload);
}

static void overhead_of_packets_counts_for_cutoffs(void **state)
{
    struct sim_workload *workload = read_table("1 9\n2 1\n3 1\n4 1\n1000 1\n");
    uint32_t cutoffs[SIM_CUTOFFS];

    (void)state;
    sim_workload_cutoffs(workload, 2, 1000, 1000, 0, cutoffs);
    assert_int_equal(cutoffs[7], 4);
    sim_workload_cutoffs(workload, 2, 1000, 1000, 10000, cutoffs);
    assert_int_equal(cutoffs[7], 1); /* packets are all that matters now: 9, 1, 1, 1 and 1 */
    sim_workload_cutoffs(workload, 2, 1000, 100, 10000, cutoffs);
    assert_int_equal(cutoffs[7], 3); /* 9, 1, 1, 1 and 10 */
    sim_workload_close(workload);
}

static void fewer_lengths_than_levels_leave_lower_levels_free(void **state)
{
    struct sim_workload *workload = read_table("10 1\n20 1\n");
    uint32_t cutoffs[SIM_CUTOFFS];

    (void)state;
    sim_workload_cutoffs(workload, 8, 1000, 1000, 50, cutoffs);
    assert_int_equal(cutoffs[7], 10);
    assert_int_equal(cutoffs[6], HOMA_CUTOFF_ALL);
    for (uint32_t level = 0; level < 6; level++)
        assert_int_equal(cutoffs[level], 0);
    sim_workload_close(workload);
    workload = read_table("10 1\n");
    sim_workload_cutoffs(workload, 8, 1000, 1000, 50, cutoffs);
    assert_int_equal(cutoffs[7], HOMA_CUTOFF_ALL);
    assert_int_equal(cutoffs[6], 0);
    sim_workload_close(workload);
}

/* One length has most of the load: the others still share what it leaves. */
static void a_heavy_length_does_not_starve_the_other_levels(void **state)
{
    struct sim_workload *workload = read_table("10 1000\n20 10\n30 10\n40 10\n50 10\n");
    uint32_t cutoffs[SIM_CUTOFFS];

    (void)state;
    sim_workload_cutoffs(workload, 3, 1000, 1000, 1000, cutoffs);
    assert_int_equal(cutoffs[7], 10);
    assert_int_equal(cutoffs[6], 30);
    assert_int_equal(cutoffs[5], HOMA_CUTOFF_ALL);
    sim_workload_close(workload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_needs_a_length_and_a_frequency),
        cmocka_unit_test(a_length_must_be_a_whole_number_in_range),
        cmocka_unit_test(lengths_must_rise),
        cmocka_unit_test(a_frequency_must_be_above_nothing),
        cmocka_unit_test(an_empty_table_is_refused),
        cmocka_unit_test(frequencies_too_far_apart_to_add_exactly_are_refused),
        cmocka_unit_test(a_name_that_is_no_workload_is_not_found),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(a_users_file_is_read),
        cmocka_unit_test(frequencies_become_exact_weights),
        cmocka_unit_test(published_workloads_are_as_published),
        cmocka_unit_test(shares_and_quantiles_are_inverse),
        cmocka_unit_test(byte_quantiles_weigh_messages_by_their_length),
        cmocka_unit_test(draws_follow_the_table),
        cmocka_unit_test(a_single_length_is_always_drawn),
        cmocka_unit_test(draws_of_a_seed_are_the_same_everywhere),
        cmocka_unit_test(cutoffs_of_every_published_workload_are_valid_knobs),
        cmocka_unit_test(levels_share_the_load_equally),
        cmocka_unit_test(only_unscheduled_bytes_count_for_cutoffs),
        cmocka_unit_test(overhead_of_packets_counts_for_cutoffs),
        cmocka_unit_test(fewer_lengths_than_levels_leave_lower_levels_free),
        cmocka_unit_test(a_heavy_length_does_not_starve_the_other_levels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
