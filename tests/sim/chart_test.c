/* The chart: no text can break the file, nothing is drawn where nothing was measured, and lines are
 * where their values are. */
#include "sim/chart.h"

#include "support/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim_workload *open_workload(const char *name)
{
    char why[SIM_WHY_MAX];
    struct sim_workload *workload = NULL;

    if (sim_workload_named(name, &workload) != 0)
        assert_int_equal(sim_workload_read("table", name, &workload, why), 0);
    return workload;
}

/* The file's text, which the caller frees. */
static char *draw(const struct sim_chart *chart)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);

    assert_non_null(file);
    sim_chart_draw(file, chart);
    assert_int_equal(ferror(file), 0);
    fclose(file);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in the picture", part);
}

static uint32_t count_of(const char *text, const char *part)
{
    uint32_t count = 0;

    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        count++;
    return count;
}

/* Whether every element that begins also ends, and in order: enough XML for our own file. */
static bool is_balanced(const char *text)
{
    char open[16][32];
    uint32_t depth = 0;

    while ((text = strchr(text, '<')) != NULL) {
        bool is_closing = text[1] == '/';
        const char *name = text + 1 + is_closing;
        size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
        const char *close = strchr(text, '>');

        if (length == 0 || length >= sizeof(open[0]) || close == NULL)
            return false;
        if (is_closing) {
            if (depth == 0 || strlen(open[--depth]) != length ||
                memcmp(open[depth], name, length) != 0)
                return false;
        } else if (close[-1] != '/') {
            if (depth == sizeof(open) / sizeof(open[0]))
                return false;
            memcpy(open[depth], name, length);
            open[depth++][length] = '\0';
        }
        text = close;
    }
    return depth == 0;
}

static struct sim_rows two_rows(uint32_t p50, uint32_t p99)
{
    return (struct sim_rows){
        .count = 2,
        .rows = {
            {.lower = 10, .upper = 10, .end_ppm = 500000, .count = 1, .p50 = p50, .p99 = p99},
            {.lower = 11,
             .upper = 20,
             .begin_ppm = 500000,
             .end_ppm = SIM_PPM,
             .count = 1,
             .p50 = p50,
             .p99 = p99},
        }};
}

static void markup_in_titles_and_labels_is_text(void **state)
{
    struct sim_workload *workload = open_workload("10 1\n20 1\n");
    struct sim_rows rows = two_rows(1000, 2000);
    const struct sim_series series = {"a <b> & \"c\"\n</svg>", &rows};
    char *text = draw(&(struct sim_chart){.title = "<script>1 && 2",
                                          .subtitle = "</text>",
                                          .workload = workload,
                                          .series = &series,
                                          .series_count = 1});

    (void)state;
    assert_has(text, "&lt;script&gt;1 &amp;&amp; 2");
    assert_has(text, "a &lt;b&gt; &amp; \"c\" &lt;/svg&gt;");
    assert_int_equal(count_of(text, "<script"), 0);
    assert_int_equal(count_of(text, "</svg>"), 1);
    assert_true(is_balanced(text));
    free(text);
    sim_workload_close(workload);
}

static void a_chart_without_a_run_has_axes_only(void **state)
{
    struct sim_workload *workload = open_workload("10 1\n20 1\n");
    char *text = draw(&(struct sim_chart){.title = "empty", .workload = workload});

    (void)state;
    assert_true(is_balanced(text));
    assert_int_equal(count_of(text, "<path"), 0);
    assert_has(text, ">10</text>"); /* slowdown 1 .. 10 */
    assert_int_equal(count_of(text, "subtitle\""), 0);
    free(text);
    sim_workload_close(workload);
}

static void rows_without_messages_leave_a_gap(void **state)
{
    struct sim_workload *workload = open_workload("10 1\n20 1\n");
    struct sim_rows rows = two_rows(1000, 2000);
    const struct sim_series series = {"run", &rows};

    (void)state;
    rows.rows[0].p50 = 0;
    rows.rows[0].p99 = 0;
    char *text = draw(&(struct sim_chart){
        .title = "gap", .workload = workload, .series = &series, .series_count = 1});
    assert_has(text, "d=\"M450 "); /* begins in the middle: 70 + 760 / 2 */
    assert_int_equal(count_of(text, "d=\"M70 "), 0);
    free(text);
    sim_workload_close(workload);
}

static void a_gap_between_rows_is_not_bridged(void **state)
{
    struct sim_workload *workload = open_workload("10 1\n20 1\n");
    struct sim_rows rows = two_rows(1000, 10000);
    const struct sim_series series = {"run", &rows};

    (void)state;
    rows.count = 3;
    rows.rows[2] = rows.rows[1];
    rows.rows[1] = (struct sim_row){.begin_ppm = 500000, .end_ppm = 750000};
    rows.rows[2].begin_ppm = 750000;
    char *text = draw(&(struct sim_chart){
        .title = "gap", .workload = workload, .series = &series, .series_count = 1});
    assert_has(text, "d=\"M70 72H450M640 72H830\"");
    free(text);
    sim_workload_close(workload);
}

static void the_axis_reaches_as_high_as_homa(void **state)
{
    struct sim_workload *workload = open_workload("w4");
    struct sim_published *published = NULL;

    (void)state;
    assert_int_equal(sim_published_open("w4", 800, &published), 0);
    char *text =
        draw(&(struct sim_chart){.title = "W4", .workload = workload, .published = published});
    assert_has(text, "class=\"end\" x=\"62\" y=\"76\">50</text>"); /* Homa's p99 goes to 25.6 */
    free(text);
    sim_published_close(published);
    sim_workload_close(workload);
}

static void sizes_are_short_on_the_axis(void **state)
{
    struct sim_workload *workload =
        open_workload("960 1\n1000 1\n1449 1\n1950 1\n9949 1\n9950 1\n123456 1\n999499 1\n"
                      "1000000 1\n2500000 1\n");
    static const char *const sizes[] = {"960", "1K",   "1.4K", "2K", "9.9K",
                                        "10K", "123K", "999K", "1M", "2.5M"};
    char *text = draw(&(struct sim_chart){.title = "sizes", .workload = workload});

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char label[32];

        snprintf(label, sizeof(label), "\">%s</text>", sizes[i]);
        assert_has(text, label);
    }
    free(text);
    sim_workload_close(workload);
}

static void a_line_is_where_its_values_are(void **state)
{
    struct sim_workload *workload = open_workload("10 1\n20 1\n");
    struct sim_rows rows = two_rows(900, 10000); /* the ends of the axis */
    const struct sim_series series = {"run", &rows};
    char *text = draw(&(struct sim_chart){
        .title = "ends", .workload = workload, .series = &series, .series_count = 1});

    (void)state;
    assert_has(text, "<path class=\"thick\" stroke=\"#0072b2\" d=\"M70 72H450L450 72H830\"/>");
    assert_has(text,
               "<path class=\"thick dashed\" stroke=\"#0072b2\" d=\"M70 492H450L450 492H830\"/>");
    free(text);
    rows.rows[1].p99 = 10001; /* now the axis goes on to 20 */
    text = draw(&(struct sim_chart){
        .title = "beyond", .workload = workload, .series = &series, .series_count = 1});
    assert_has(text, ">20</text>");
    assert_int_equal(count_of(text, "d=\"M70 72H450"), 0);
    free(text);
    sim_workload_close(workload);
}

static void the_slowest_run_still_fits(void **state)
{
    struct sim_workload *workload = open_workload("10 1\n20 1\n");
    struct sim_rows rows = two_rows(UINT32_MAX, UINT32_MAX);
    const struct sim_series series = {"run", &rows};
    char *text = draw(&(struct sim_chart){
        .title = "slow", .workload = workload, .series = &series, .series_count = 1});

    (void)state;
    assert_has(text, ">2000000</text>");
    assert_true(is_balanced(text));
    free(text);
    sim_workload_close(workload);
}

static void several_runs_and_the_published_curves_share_a_chart(void **state)
{
    struct sim_workload *workload = open_workload("w3");
    struct sim_published *published = NULL;
    struct sim_rows first = two_rows(1200, 1900);
    struct sim_rows second = two_rows(1300, 60000);
    const struct sim_series series[] = {{"first", &first}, {"second", &second}};

    (void)state;
    assert_int_equal(sim_published_open("w3", 800, &published), 0);
    char *text = draw(&(struct sim_chart){.title = "W3",
                                          .workload = workload,
                                          .series = series,
                                          .series_count = 2,
                                          .published = published});
    assert_true(is_balanced(text));
    assert_has(text, ">100</text>"); /* the slower run fits */
    assert_has(text, "p99, first<");
    assert_has(text, "p50, second<");
    assert_has(text, "p50, Homa<");
    assert_has(text, "p99, SRPT-Oracle<");
    assert_int_equal(count_of(text, "p50, pFabric"), 0);
    /* A line and its key each: two runs with two, Homa with two, four more with one. */
    assert_int_equal(count_of(text, "<path"), 2 * (4 + 2 + 4));
    assert_has(text, ">268</text>"); /* the median size at 50 % */
    assert_has(text, ">15M</text>");
    free(text);
    sim_published_close(published);
    sim_workload_close(workload);
}

static void the_file_needs_nothing_from_elsewhere(void **state)
{
    struct sim_workload *workload = open_workload("w1");
    char *text = draw(&(struct sim_chart){.title = "W1", .workload = workload});

    (void)state;
    assert_int_equal(count_of(text, "href"), 0);
    assert_int_equal(count_of(text, "@import"), 0);
    assert_int_equal(count_of(text, "http"), 1); /* the name of the namespace */
    free(text);
    sim_workload_close(workload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markup_in_titles_and_labels_is_text),
        cmocka_unit_test(a_chart_without_a_run_has_axes_only),
        cmocka_unit_test(rows_without_messages_leave_a_gap),
        cmocka_unit_test(a_gap_between_rows_is_not_bridged),
        cmocka_unit_test(the_axis_reaches_as_high_as_homa),
        cmocka_unit_test(sizes_are_short_on_the_axis),
        cmocka_unit_test(a_line_is_where_its_values_are),
        cmocka_unit_test(the_slowest_run_still_fits),
        cmocka_unit_test(several_runs_and_the_published_curves_share_a_chart),
        cmocka_unit_test(the_file_needs_nothing_from_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
