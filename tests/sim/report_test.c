/* Slowdowns as text: what was not measured is not made up, and the text is as expected, byte for
 * byte. */
#include "sim/report.h"

#include "sim/published.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct sim_workload *workload;
    struct sim_slowdown *slowdown;
    char *text;
    size_t length;
    FILE *file;
};

static void begin(struct fixture *fixture, const char *name)
{
    char why[SIM_WHY_MAX];

    memset(fixture, 0, sizeof(*fixture));
    if (sim_workload_named(name, &fixture->workload) != 0)
        assert_int_equal(sim_workload_read("table", name, &fixture->workload, why), 0);
    fixture->slowdown = sim_slowdown_open();
    fixture->file = open_memstream(&fixture->text, &fixture->length);
    assert_non_null(fixture->slowdown);
    assert_non_null(fixture->file);
}

static void assert_text(struct fixture *fixture, const char *expected)
{
    fclose(fixture->file);
    assert_string_equal(fixture->text, expected);
}

static void end(struct fixture *fixture)
{
    free(fixture->text);
    sim_slowdown_close(fixture->slowdown);
    sim_workload_close(fixture->workload);
}

static void rows_without_messages_have_dashes_and_empty_fields(void **state)
{
    struct fixture fixture;
    struct sim_rows rows;

    (void)state;
    begin(&fixture, "10 2\n20 1\n");
    sim_slowdown_add(fixture.slowdown, 20, 1234567, 1000000);
    sim_report_table(fixture.file, fixture.slowdown, fixture.workload);
    sim_slowdown_fine(fixture.slowdown, fixture.workload, NULL, &rows);
    sim_report_csv(fixture.file, &rows);
    assert_text(
        &fixture,
        "       message bytes     share to     messages      mean       p50       p99     p99.9\n"
        "        10 - 10           66.67 %            0         -         -         -         -\n"
        "        11 - 20          100.00 %            1     1.235     1.235     1.235     1.235\n"
        "all:\n"
        "        10 - 20          100.00 %            1     1.235     1.235     1.235     1.235\n"
        "lower_bytes,upper_bytes,cumulative_share_percent,messages,mean,p50,p99,p999\n"
        "10,10,66.6667,0,,,,\n"
        "11,20,100.0000,1,1.235,1.235,1.235,1.235\n");
    end(&fixture);
}

static void figures_of_a_workload_of_ones_own_stand_alone(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "10 1\n20 1\n");
    sim_slowdown_add(fixture.slowdown, 10, 1005, 1000);
    assert_int_equal(sim_report_figures(fixture.file, fixture.slowdown, fixture.workload, 800), 0);
    assert_text(&fixture, "slowdown                      smaller half              largest 1 %\n"
                          "                             p50       p99            p50       p99\n"
                          "this run                   1.005     1.005              -         -\n");
    end(&fixture);
}

static void figures_stand_beside_the_published_ones(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "w4");
    sim_slowdown_add(fixture.slowdown, 100, 1500, 1000);
    sim_slowdown_add(fixture.slowdown, 10000000, 12, 1);
    assert_int_equal(sim_report_figures(fixture.file, fixture.slowdown, fixture.workload, 800), 0);
    assert_text(&fixture, "slowdown                      smaller half              largest 1 %\n"
                          "                             p50       p99            p50       p99\n"
                          "this run                   1.500     1.500         12.000    12.000\n"
                          "published Homa             1.389     1.974          5.918    25.611\n"
                          "published PIAS             1.395     3.523          6.684   233.537\n"
                          "published SRPT-Oracle      1.000     1.000          5.575    24.231\n"
                          "published pFabric          1.414     1.820         11.175    93.914\n"
                          "published pHost            1.789     3.983         10.150   655.522\n");
    end(&fixture);
}

static void figures_published_without_rows_are_shown_too(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "w5");
    assert_int_equal(sim_report_figures(fixture.file, fixture.slowdown, fixture.workload, 800), 0);
    assert_text(&fixture, "slowdown                      smaller half              largest 1 %\n"
                          "                             p50       p99            p50       p99\n"
                          "this run                       -         -              -         -\n"
                          "published Homa             1.230     1.440              -         -\n"
                          "published pFabric          1.100     1.630              -         -\n"
                          "published SRPT-Oracle          -     1.200              -         -\n");
    end(&fixture);
}

static void at_another_load_nothing_published_is_shown(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "w4");
    assert_int_equal(sim_report_figures(fixture.file, fixture.slowdown, fixture.workload, 500), 0);
    assert_text(&fixture, "slowdown                      smaller half              largest 1 %\n"
                          "                             p50       p99            p50       p99\n"
                          "this run                       -         -              -         -\n");
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_without_messages_have_dashes_and_empty_fields),
        cmocka_unit_test(figures_of_a_workload_of_ones_own_stand_alone),
        cmocka_unit_test(figures_stand_beside_the_published_ones),
        cmocka_unit_test(figures_published_without_rows_are_shown_too),
        cmocka_unit_test(at_another_load_nothing_published_is_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
