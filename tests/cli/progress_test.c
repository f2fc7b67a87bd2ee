/* The progress line as a text, at chosen times and widths. */
#include "cli/progress.h"

#include "support/test.h"

#include <string.h>

#define SECOND UINT64_C(1000000000)

static void a_fetch_without_work_divides_by_nothing(void **state)
{
    const struct progress_counts counts = {.listing = true};
    struct progress progress = {0};
    char line[PROGRESS_LINE_SIZE];

    (void)state;
    assert_string_equal(progress_line(&progress, &counts, 0, 59, line),
                        "  0%  0 of 0+ files       0 B                       ");
}

static void a_line_never_exceeds_its_width(void **state)
{
    const struct progress_counts counts = {.files_done = 123456,
                                           .files_total = 1234567,
                                           .bytes_done = UINT64_MAX / 2,
                                           .bytes_total = UINT64_MAX};
    struct progress progress = {0};
    char line[PROGRESS_LINE_SIZE];

    (void)state;
    for (unsigned columns = 0; columns < 300; columns++)
        assert_true(strlen(progress_line(&progress, &counts, SECOND, columns, line)) <= columns);
}

static void the_bar_fills_what_the_text_leaves(void **state)
{
    const struct progress_counts counts = {
        .files_done = 5, .files_total = 10, .bytes_done = 500, .bytes_total = 1000};
    struct progress progress = {0};
    char line[PROGRESS_LINE_SIZE];

    (void)state;
    assert_string_equal(
        progress_line(&progress, &counts, 0, 200, line),
        "[###############...............]  50%   5 of 10 files     500 B                       ");
    assert_string_equal(progress_line(&progress, &counts, 0, 64, line),
                        "[####....]  50%   5 of 10 files     500 B                       ");
}

static void files_that_grew_do_not_exceed_100_percent(void **state)
{
    const struct progress_counts counts = {
        .files_done = 10, .files_total = 10, .bytes_done = 2000, .bytes_total = 1000};
    struct progress progress = {0};
    char line[PROGRESS_LINE_SIZE];

    (void)state;
    assert_non_null(strstr(progress_line(&progress, &counts, 0, 100, line), "100%"));
}

static void speed_and_time_left_follow_the_bytes(void **state)
{
    struct progress_counts counts = {.files_total = 1, .bytes_total = 100000000};
    struct progress progress = {0};
    char line[PROGRESS_LINE_SIZE];

    (void)state;
    for (uint64_t tenths = 0; tenths <= 20; tenths++) {
        counts.bytes_done = tenths * 1000000;
        progress_line(&progress, &counts, tenths * SECOND / 10, 100, line);
    }
    /* 10 MB/s, 80 MB to go; the speed is brought up to date only now and then. */
    assert_non_null(strstr(line, "10.0 MB/s"));
    assert_non_null(strstr(line, "0:09 left"));
}

static void no_time_left_is_guessed_while_the_total_is_unknown(void **state)
{
    struct progress_counts counts = {.files_total = 1, .bytes_total = 100000000, .listing = true};
    struct progress progress = {0};
    char line[PROGRESS_LINE_SIZE];

    (void)state;
    progress_line(&progress, &counts, 0, 100, line);
    counts.bytes_done = 50000000;
    progress_line(&progress, &counts, 2 * SECOND, 100, line);
    assert_null(strstr(line, "left"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fetch_without_work_divides_by_nothing),
        cmocka_unit_test(a_line_never_exceeds_its_width),
        cmocka_unit_test(the_bar_fills_what_the_text_leaves),
        cmocka_unit_test(files_that_grew_do_not_exceed_100_percent),
        cmocka_unit_test(speed_and_time_left_follow_the_bytes),
        cmocka_unit_test(no_time_left_is_guessed_while_the_total_is_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
