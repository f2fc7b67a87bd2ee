/*
 * Slowdowns: percentiles by rank, rows by share of messages, and figures that come out as published
 * when applied to the published rows.
 */
#include "sim/slowdown.h"

#include "sim/published.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    return workload;
}

static struct sim_slowdown *open_slowdown(void)
{
    struct sim_slowdown *slowdown = sim_slowdown_open();

    assert_non_null(slowdown);
    return slowdown;
}

static void assert_row(const struct sim_row *row, uint32_t lower, uint32_t upper, uint64_t count,
                       uint32_t p50)
{
    assert_int_equal(row->lower, lower);
    assert_int_equal(row->upper, upper);
    assert_int_equal(row->count, count);
    assert_int_equal(row->p50, p50);
}

/* ---- nothing, and what cannot be read ---- */

static void without_messages_rows_are_empty_and_figures_nothing(void **state)
{
    struct sim_workload *workload = open_named("w1");
    struct sim_slowdown *slowdown = open_slowdown();
    struct sim_rows rows;

    (void)state;
    sim_slowdown_fine(slowdown, workload, NULL, &rows);
    assert_true(rows.count > 10);
    for (uint32_t i = 0; i < rows.count; i++)
        assert_row(&rows.rows[i], rows.rows[i].lower, rows.rows[i].upper, 0, 0);
    struct sim_digest digest = sim_rows_digest(&rows);
    assert_int_equal(digest.half_p99, 0);
    assert_int_equal(digest.largest_p99, 0);
    sim_slowdown_close(slowdown);
    sim_workload_close(workload);
}

static void samples_cut_short_are_an_error(void **state)
{
    struct sim_slowdown *slowdown = open_slowdown();
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    assert_int_equal(sim_slowdown_read(slowdown, file), -EIO);
    uint64_t count = 2;
    uint64_t sample = 0;
    assert_int_equal(fwrite(&count, sizeof(count), 1, file), 1);
    assert_int_equal(fwrite(&sample, sizeof(sample), 1, file), 1);
    rewind(file);
    assert_int_equal(sim_slowdown_read(slowdown, file), -EIO);
    fclose(file);
    sim_slowdown_close(slowdown);
}

static void what_was_not_published_is_not_there(void **state)
{
    struct sim_published *published = NULL;
    uint32_t p50 = 0;
    uint32_t p99 = 0;

    (void)state;
    assert_int_equal(sim_published_open("w2", 800, &published), 0);
    assert_int_equal(published->count, 0);
    assert_null(sim_published_rows(published, "Homa"));
    sim_published_close(published);
    assert_int_equal(sim_published_open("w4", 500, &published), 0);
    assert_int_equal(published->count, 0);
    sim_published_close(published);
    assert_int_equal(sim_published_open("my-sizes.tsv", 800, &published), 0);
    assert_int_equal(published->count, 0);
    sim_published_close(published);
    assert_int_equal(sim_published_half("w1", 500, "Homa", &p50, &p99), -ENOENT);
    assert_int_equal(sim_published_half("w1", 800, "PIAS", &p50, &p99), -ENOENT);
    assert_int_equal(sim_published_half("", 800, "Homa", &p50, &p99), -ENOENT);
}

/* ---- samples ---- */

static uint32_t only_slowdown(uint64_t elapsed, uint64_t ideal)
{
    struct sim_workload *workload = read_table("10 1\n");
    struct sim_slowdown *slowdown = open_slowdown();
    struct sim_rows rows;

    sim_slowdown_add(slowdown, 10, elapsed, ideal);
    sim_slowdown_all(slowdown, workload, &rows);
    sim_slowdown_close(slowdown);
    sim_workload_close(workload);
    return rows.rows[0].p50;
}

static void a_slowdown_is_rounded_to_the_nearest_thousandth(void **state)
{
    (void)state;
    assert_int_equal(only_slowdown(1, 1), SIM_SLOWDOWN_ONE);
    assert_int_equal(only_slowdown(2, 3), 667);
    assert_int_equal(only_slowdown(4, 3), 1333);
    assert_int_equal(only_slowdown(10005, 10000), 1001); /* a half goes up */
    assert_int_equal(only_slowdown(0, 5), 0);
}

static void a_slowdown_beyond_the_largest_counts_as_the_largest(void **state)
{
    (void)state;
    assert_int_equal(only_slowdown(4294967, 1), 4294967000u);
    assert_int_equal(only_slowdown(4294968, 1), UINT32_MAX);
    assert_int_equal(only_slowdown(UINT64_MAX, 1), UINT32_MAX);
    assert_int_equal(only_slowdown(UINT64_MAX, UINT64_MAX), SIM_SLOWDOWN_ONE);
}

static void percentiles_are_ranks_of_the_samples(void **state)
{
    static const struct {
        uint32_t count; /* slowdowns 1, 2 .. count */
        uint32_t p50;
        uint32_t p99;
        uint32_t p999;
    } known[] = {
        {1, 1, 1, 1},       {2, 1, 2, 2},        {3, 2, 3, 3},          {99, 50, 99, 99},
        {100, 50, 99, 100}, {101, 51, 100, 101}, {1000, 500, 990, 999}, {10000, 5000, 9900, 9990},
    };
    struct sim_workload *workload = read_table("10 1\n");

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct sim_slowdown *slowdown = open_slowdown();
        struct sim_rows rows;

        for (uint32_t j = known[i].count; j > 0; j--)
            sim_slowdown_add(slowdown, 10, j, 1);
        assert_int_equal(sim_slowdown_count(slowdown), known[i].count);
        sim_slowdown_all(slowdown, workload, &rows);
        assert_int_equal(rows.count, 1);
        assert_row(&rows.rows[0], 10, 10, known[i].count, known[i].p50 * 1000);
        assert_int_equal(rows.rows[0].p99, known[i].p99 * 1000);
        assert_int_equal(rows.rows[0].p999, known[i].p999 * 1000);
        assert_int_equal(rows.rows[0].mean, (known[i].count + 1) * 500);
        sim_slowdown_close(slowdown);
    }
    sim_workload_close(workload);
}

static void a_mean_is_rounded_to_the_nearest(void **state)
{
    struct sim_workload *workload = read_table("10 1\n");
    struct sim_slowdown *slowdown = open_slowdown();
    struct sim_rows rows;

    (void)state;
    sim_slowdown_add(slowdown, 10, 1000, 1000);
    sim_slowdown_add(slowdown, 10, 1001, 1000);
    sim_slowdown_all(slowdown, workload, &rows);
    assert_int_equal(rows.rows[0].mean, 1001);
    sim_slowdown_close(slowdown);
    sim_workload_close(workload);
}

/* Two processes, one after the other and the other way round. */
static void samples_of_several_runs_add_up_in_any_order(void **state)
{
    struct sim_workload *workload = read_table("10 1\n20 1\n");
    struct sim_slowdown *parts[2] = {open_slowdown(), open_slowdown()};
    struct sim_rows rows[2];
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    for (uint32_t i = 1; i <= 5000; i++)
        sim_slowdown_add(parts[i % 2], 10 + i % 3 * 5, i, 7);
    for (size_t first = 0; first < 2; first++) {
        struct sim_slowdown *all = open_slowdown();

        rewind(file);
        assert_int_equal(sim_slowdown_write(parts[first], file), 0);
        assert_int_equal(sim_slowdown_write(parts[1 - first], file), 0);
        rewind(file);
        assert_int_equal(sim_slowdown_read(all, file), 0);
        assert_int_equal(sim_slowdown_read(all, file), 0);
        assert_int_equal(sim_slowdown_count(all), 5000);
        sim_slowdown_tenths(all, workload, &rows[first]);
        sim_slowdown_close(all);
    }
    assert_int_equal(rows[0].count, rows[1].count);
    assert_memory_equal(rows[0].rows, rows[1].rows, rows[0].count * sizeof(rows[0].rows[0]));
    fclose(file);
    sim_slowdown_close(parts[0]);
    sim_slowdown_close(parts[1]);
    sim_workload_close(workload);
}

/* ---- rows ---- */

static void a_message_is_in_the_row_of_its_length(void **state)
{
    struct sim_workload *workload = read_table("10 5\n20 5\n");
    struct sim_slowdown *slowdown = open_slowdown();
    struct sim_rows rows;

    (void)state;
    sim_slowdown_add(slowdown, 9, 1, 1); /* shorter than any: to the first row */
    sim_slowdown_add(slowdown, 10, 2, 1);
    sim_slowdown_add(slowdown, 11, 3, 1);
    sim_slowdown_add(slowdown, 20, 4, 1);
    sim_slowdown_add(slowdown, 21, 5, 1); /* longer than any: to the last */
    sim_slowdown_fine(slowdown, workload, NULL, &rows);
    assert_int_equal(rows.count, 2);
    assert_row(&rows.rows[0], 10, 10, 2, 1000);
    assert_row(&rows.rows[1], 11, 20, 3, 4000);
    assert_int_equal(rows.rows[0].begin_ppm, 0);
    assert_int_equal(rows.rows[0].end_ppm, 500000);
    assert_int_equal(rows.rows[1].begin_ppm, 500000);
    assert_int_equal(rows.rows[1].end_ppm, SIM_PPM);
    sim_slowdown_close(slowdown);
    sim_workload_close(workload);
}

static void assert_rows_are_gapless(const struct sim_rows *rows,
                                    const struct sim_workload *workload)
{
    assert_true(rows->count > 0);
    assert_int_equal(rows->rows[0].lower, sim_workload_length(workload, 0));
    assert_int_equal(rows->rows[0].begin_ppm, 0);
    for (uint32_t i = 0; i + 1 < rows->count; i++) {
        assert_int_equal(rows->rows[i].upper + 1, rows->rows[i + 1].lower);
        assert_int_equal(rows->rows[i].end_ppm, rows->rows[i + 1].begin_ppm);
        assert_true(rows->rows[i].lower <= rows->rows[i].upper);
    }
    assert_int_equal(rows->rows[rows->count - 1].end_ppm, SIM_PPM);
    assert_int_equal(rows->rows[rows->count - 1].upper,
                     sim_workload_length(workload, sim_workload_lengths(workload) - 1));
}

static void rows_of_every_workload_cover_all_its_messages(void **state)
{
    static const char *const names[] = {"w1", "w2", "w3", "w4", "w5"};
    struct sim_slowdown *slowdown = open_slowdown();

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct sim_workload *workload = open_named(names[i]);
        struct sim_published *published = NULL;
        struct sim_rows rows;

        assert_int_equal(sim_published_open(names[i], 800, &published), 0);
        sim_slowdown_all(slowdown, workload, &rows);
        assert_rows_are_gapless(&rows, workload);
        sim_slowdown_tenths(slowdown, workload, &rows);
        assert_rows_are_gapless(&rows, workload);
        assert_in_range(rows.count, 8, 12);
        sim_slowdown_fine(slowdown, workload, NULL, &rows);
        assert_rows_are_gapless(&rows, workload);
        sim_slowdown_fine(slowdown, workload, sim_published_rows(published, "Homa"), &rows);
        assert_rows_are_gapless(&rows, workload);
        sim_published_close(published);
        sim_workload_close(workload);
    }
    sim_slowdown_close(slowdown);
}

/* 45, 49, 90.5 and 100 % of the messages: below the middle borders are found downwards, else up. */
static void tenths_keep_the_half_whole(void **state)
{
    struct sim_workload *workload = read_table("1 45\n2 4\n3 41.5\n4 9.5\n");
    struct sim_slowdown *slowdown = open_slowdown();
    struct sim_rows rows;

    (void)state;
    sim_slowdown_tenths(slowdown, workload, &rows);
    assert_int_equal(rows.count, 3);
    assert_int_equal(rows.rows[0].end_ppm, 490000);
    assert_int_equal(rows.rows[1].end_ppm, 905000);
    assert_int_equal(rows.rows[2].end_ppm, SIM_PPM);
    sim_slowdown_close(slowdown);
    sim_workload_close(workload);
}

/* Only whole rows count, so borders round away from what is counted as little as they can. */
static void hundredths_keep_the_half_and_the_last_hundredth_whole(void **state)
{
    struct sim_workload *workload = open_named("w2"); /* 49.4 and 50.8 %, 98.96 and 99.1 % */
    struct sim_slowdown *slowdown = open_slowdown();
    struct sim_rows rows;
    uint32_t half = 0;
    uint32_t last = SIM_PPM;

    (void)state;
    sim_slowdown_fine(slowdown, workload, NULL, &rows);
    for (uint32_t i = 0; i < rows.count; i++) {
        if (rows.rows[i].end_ppm <= 500000)
            half = rows.rows[i].end_ppm;
        if (rows.rows[i].begin_ppm >= 990000 && rows.rows[i].begin_ppm < last)
            last = rows.rows[i].begin_ppm;
    }
    assert_int_equal(half,
                     sim_workload_share(workload, sim_workload_quantile_below(workload, 500000)));
    assert_int_equal(last, 991030);
    sim_slowdown_close(slowdown);
    sim_workload_close(workload);
}

/* W1's published lengths are counted from 1, ours from 8; their shares are the same. */
static void published_borders_are_found_by_share_not_by_length(void **state)
{
    struct sim_workload *workload = open_named("w1");
    struct sim_slowdown *slowdown = open_slowdown();
    struct sim_published *published = NULL;
    struct sim_rows rows;

    (void)state;
    assert_int_equal(sim_published_open("w1", 800, &published), 0);
    const struct sim_rows *homa = sim_published_rows(published, "Homa");
    assert_int_equal(homa->rows[0].upper, 1);
    sim_slowdown_fine(slowdown, workload, homa, &rows);
    assert_int_equal(rows.rows[0].upper, 8); /* eight published rows in one */
    assert_int_equal(rows.rows[0].end_ppm, 310940);
    assert_int_equal(rows.rows[1].upper, 9);
    for (uint32_t i = 0; i < rows.count; i++) {
        uint32_t nearest = SIM_PPM;

        for (uint32_t j = 0; j < homa->count; j++) {
            int32_t apart = (int32_t)homa->rows[j].end_ppm - (int32_t)rows.rows[i].end_ppm;

            if ((uint32_t)abs(apart) < nearest)
                nearest = (uint32_t)abs(apart);
        }
        assert_true(nearest <= 5000); /* half a hundredth of the messages */
    }
    sim_published_close(published);
    sim_slowdown_close(slowdown);
    sim_workload_close(workload);
}

/* pFabric's first row of W3 is 3.2442 % of the messages, up to 9.7281 %. */
static void rows_of_curves_without_their_first_begin_at_their_share(void **state)
{
    struct sim_published *published = NULL;

    (void)state;
    assert_int_equal(sim_published_open("w3", 800, &published), 0);
    const struct sim_rows *rows = sim_published_rows(published, "pFabric");
    assert_int_equal(rows->rows[0].begin_ppm, 64839);
    assert_int_equal(rows->rows[0].end_ppm, 97281);
    assert_int_equal(rows->rows[0].count, 32442000);
    assert_int_equal(rows->rows[1].begin_ppm, 97281);
    sim_published_close(published);
}

/* ---- figures ---- */

static void figures_weigh_whole_rows_by_their_messages(void **state)
{
    struct sim_rows rows = {
        .count = 5,
        .rows = {
            {.begin_ppm = 0, .end_ppm = 250000, .count = 1, .p50 = 1000, .p99 = 2000},
            {.begin_ppm = 250000, .end_ppm = 500000, .count = 3, .p50 = 1100, .p99 = 4001},
            {.begin_ppm = 500000, .end_ppm = 990000, .count = 9, .p50 = 5000, .p99 = 50000},
            {.begin_ppm = 990000, .end_ppm = 999000, .count = 1, .p50 = 4000, .p99 = 60000},
            {.begin_ppm = 999000, .end_ppm = 1000000, .count = 2, .p50 = 7000, .p99 = 90000},
        }};
    struct sim_digest digest = sim_rows_digest(&rows);

    (void)state;
    assert_int_equal(digest.half_p50, 1075);
    assert_int_equal(digest.half_p99, 3501); /* 3500.75 */
    assert_int_equal(digest.largest_p50, 6000);
    assert_int_equal(digest.largest_p99, 80000);
}

static void figures_of_the_published_rows_are_the_published_ones(void **state)
{
    static const struct {
        const char *workload;
        const char *transport;
        uint32_t p50;
        uint32_t p99;
    } known[] = {
        {"w1", "Homa", 1215, 1883},        {"w3", "Homa", 1467, 2153},
        {"w4", "Homa", 1389, 1974},        {"w1", "pFabric", 1280, 2004},
        {"w3", "pFabric", 1461, 2018},     {"w4", "pFabric", 1414, 1820},
        {"w1", "SRPT-Oracle", 966, 1032},  {"w3", "SRPT-Oracle", 1000, 1031},
        {"w4", "SRPT-Oracle", 1000, 1000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct sim_published *published = NULL;

        assert_int_equal(sim_published_open(known[i].workload, 800, &published), 0);
        assert_int_equal(published->count, 5);
        const struct sim_rows *rows = sim_published_rows(published, known[i].transport);
        assert_non_null(rows);
        struct sim_digest digest = sim_rows_digest(rows);
        /* Rows are in thousandths, and published with one digit more. */
        assert_in_range(digest.half_p50, known[i].p50 - 1, known[i].p50 + 1);
        assert_in_range(digest.half_p99, known[i].p99 - 1, known[i].p99 + 1);
        assert_true(digest.largest_p99 > digest.half_p99);
        sim_published_close(published);
    }
}

/* The largest hundredth of W4 is one published row, of W1 and W3 some dozen. */
static void figures_of_the_largest_messages_are_homas(void **state)
{
    static const struct {
        const char *workload;
        uint32_t p99;
    } known[] = {{"w1", 9463}, {"w3", 6334}, {"w4", 25611}};

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct sim_published *published = NULL;

        assert_int_equal(sim_published_open(known[i].workload, 800, &published), 0);
        struct sim_digest digest = sim_rows_digest(sim_published_rows(published, "Homa"));
        assert_int_equal(digest.largest_p99, known[i].p99);
        sim_published_close(published);
    }
}

static void figures_are_known_for_workloads_without_published_rows(void **state)
{
    uint32_t p50 = 1;
    uint32_t p99 = 1;

    (void)state;
    assert_int_equal(sim_published_half("w5", 800, "Homa", &p50, &p99), 0);
    assert_int_equal(p50, 1230);
    assert_int_equal(p99, 1440);
    assert_int_equal(sim_published_half("w2", 800, "SRPT-Oracle", &p50, &p99), 0);
    assert_int_equal(p50, 0);
    assert_int_equal(p99, 1050);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_messages_rows_are_empty_and_figures_nothing),
        cmocka_unit_test(samples_cut_short_are_an_error),
        cmocka_unit_test(what_was_not_published_is_not_there),
        cmocka_unit_test(a_slowdown_is_rounded_to_the_nearest_thousandth),
        cmocka_unit_test(a_slowdown_beyond_the_largest_counts_as_the_largest),
        cmocka_unit_test(percentiles_are_ranks_of_the_samples),
        cmocka_unit_test(samples_of_several_runs_add_up_in_any_order),
        cmocka_unit_test(a_message_is_in_the_row_of_its_length),
        cmocka_unit_test(rows_of_every_workload_cover_all_its_messages),
        cmocka_unit_test(tenths_keep_the_half_whole),
        cmocka_unit_test(a_mean_is_rounded_to_the_nearest),
        cmocka_unit_test(rows_of_curves_without_their_first_begin_at_their_share),
        cmocka_unit_test(hundredths_keep_the_half_and_the_last_hundredth_whole),
        cmocka_unit_test(published_borders_are_found_by_share_not_by_length),
        cmocka_unit_test(figures_weigh_whole_rows_by_their_messages),
        cmocka_unit_test(figures_of_the_published_rows_are_the_published_ones),
        cmocka_unit_test(figures_of_the_largest_messages_are_homas),
        cmocka_unit_test(figures_are_known_for_workloads_without_published_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
