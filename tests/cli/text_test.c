/* Texts for people, above all that a stranger's name cannot command the terminal. */
#include "cli/text.h"

#include "support/test.h"

#include <string.h>

static void assert_escaped(const char *bytes, size_t length, const char *expected)
{
    char buffer[200];

    assert_string_equal(text_escape(buffer, sizeof(buffer), bytes, length), expected);
}

static void control_characters_are_made_visible(void **state)
{
    static const char turn[] = {'\xe2', '\x80', '\xae'};

    (void)state;
    assert_escaped("a\033[2Jb", 6, "a\\x1b[2Jb");
    assert_escaped("a\nb\tc\177", 6, "a\\x0ab\\x09c\\x7f");
    assert_escaped("a\0b", 3, "a\\x00b");
    assert_escaped("a\\b", 3, "a\\x5cb");
    /* U+009B is a control sequence's beginning; U+202E turns what follows round. */
    assert_escaped("\xc2\x9b", 2, "\\xc2\\x9b");
    assert_escaped(turn, sizeof(turn), "\\xe2\\x80\\xae");
}

static void bytes_that_are_no_utf_8_are_made_visible(void **state)
{
    (void)state;
    assert_escaped("\xff", 1, "\\xff");
    assert_escaped("\xc3", 1, "\\xc3");
    assert_escaped("\xc0\xaf", 2, "\\xc0\\xaf");
    assert_escaped("\xe0\x80\xaf", 3, "\\xe0\\x80\\xaf");
    assert_escaped("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");
    assert_escaped("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80");
}

static void letters_of_any_script_stay(void **state)
{
    static const char name[] = "Größe 数据 😀 -rf";

    (void)state;
    assert_escaped(name, strlen(name), name);
}

static void what_does_not_fit_is_cut_visibly(void **state)
{
    char buffer[8];

    (void)state;
    assert_string_equal(text_escape(buffer, sizeof(buffer), "1234567", 7), "1234567");
    assert_string_equal(text_escape(buffer, sizeof(buffer), "12345678", 8), "1234...");
    assert_string_equal(text_escape(buffer, sizeof(buffer), "\n\n\n\n", 4), "\\x0a...");
    assert_string_equal(text_escape(buffer, sizeof(buffer), "ää€€€", 13), "ää...");
}

static void counts_have_groups(void **state)
{
    char buffer[TEXT_SIZE];

    (void)state;
    assert_string_equal(text_count(buffer, 0), "0");
    assert_string_equal(text_count(buffer, 999), "999");
    assert_string_equal(text_count(buffer, 1000), "1,000");
    assert_string_equal(text_count(buffer, UINT64_MAX), "18,446,744,073,709,551,615");
}

static void sizes_have_a_unit(void **state)
{
    char buffer[TEXT_SIZE];

    (void)state;
    assert_string_equal(text_bytes(buffer, 0), "0 B");
    assert_string_equal(text_bytes(buffer, 999), "999 B");
    assert_string_equal(text_bytes(buffer, 1000), "1.0 kB");
    assert_string_equal(text_bytes(buffer, 999949), "999.9 kB");
    assert_string_equal(text_bytes(buffer, 999950), "1.0 MB");
    assert_string_equal(text_bytes(buffer, UINT64_MAX), "18.4 EB");
}

static void durations_have_a_unit(void **state)
{
    char buffer[TEXT_SIZE];

    (void)state;
    assert_string_equal(text_nanoseconds(buffer, 999), "999 ns");
    assert_string_equal(text_nanoseconds(buffer, 1000), "1.0 µs");
    assert_string_equal(text_nanoseconds(buffer, 999949), "999.9 µs");
    assert_string_equal(text_nanoseconds(buffer, 999960), "1.00 ms");
    assert_string_equal(text_nanoseconds(buffer, 1500000000), "1.50 s");
}

static void clocks_show_hours_when_there_are_some(void **state)
{
    char buffer[TEXT_SIZE];

    (void)state;
    assert_string_equal(text_clock(buffer, 7), "0:07");
    assert_string_equal(text_clock(buffer, 754), "12:34");
    assert_string_equal(text_clock(buffer, 3600), "1:00:00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_are_made_visible),
        cmocka_unit_test(bytes_that_are_no_utf_8_are_made_visible),
        cmocka_unit_test(letters_of_any_script_stay),
        cmocka_unit_test(what_does_not_fit_is_cut_visibly),
        cmocka_unit_test(counts_have_groups),
        cmocka_unit_test(sizes_have_a_unit),
        cmocka_unit_test(durations_have_a_unit),
        cmocka_unit_test(clocks_show_hours_when_there_are_some),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
