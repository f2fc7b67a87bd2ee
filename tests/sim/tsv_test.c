/* Tables in text: what is no number is refused, the rest is read exactly. */
#include "sim/tsv.h"

#include "support/test.h"

#include <errno.h>
#include <string.h>

static struct sim_field field_of(const char *text)
{
    return (struct sim_field){text, strlen(text)};
}

static void assert_decimal_refused(const char *text, int expected)
{
    struct sim_field field = field_of(text);
    struct sim_decimal decimal;
    int result = sim_field_decimal(&field, &decimal);

    if (result != expected)
        fail_msg("\"%s\": got %d, not %d", text, result, expected);
}

static void assert_decimal(const char *text, uint64_t digits, int32_t exponent)
{
    struct sim_field field = field_of(text);
    struct sim_decimal decimal;

    if (sim_field_decimal(&field, &decimal) != 0)
        fail_msg("refused: %s", text);
    assert_int_equal(decimal.digits, digits);
    assert_int_equal(decimal.exponent, exponent);
}

static void assert_in(uint64_t digits, int32_t exponent, int32_t unit, uint64_t expected)
{
    struct sim_decimal decimal = {digits, exponent};
    uint64_t value = 0;

    assert_int_equal(sim_decimal_in(&decimal, unit, &value), 0);
    assert_int_equal(value, expected);
}

/* ---- refused ---- */

static void what_is_no_decimal_number_is_refused(void **state)
{
    static const char *const texts[] = {"",      ".",   "-1",   "+1",   "1,5", "1.2.3", "x",
                                        "1x",    "0x1", "1e",   "1e+",  "1e-", "e5",    ".e5",
                                        "1e1.5", "nan", "1e5x", "1.5 ", " 1",  "1e--5"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_decimal_refused(texts[i], -EINVAL);
}

static void numbers_that_do_not_fit_are_out_of_range(void **state)
{
    struct sim_field field = field_of("18446744073709551616");
    uint64_t value = 0;

    (void)state;
    assert_decimal_refused("1234567890123456789", -ERANGE);
    assert_decimal_refused("0.1234567890123456789", -ERANGE);
    assert_decimal_refused("1e1000", -ERANGE);
    assert_decimal_refused("1e-1000", -ERANGE);
    assert_decimal_refused("1e99999999999", -ERANGE);
    assert_int_equal(sim_field_integer(&field, UINT64_MAX, &value), -ERANGE);
    field = field_of("11");
    assert_int_equal(sim_field_integer(&field, 10, &value), -ERANGE);
    assert_int_equal(sim_decimal_in(&(struct sim_decimal){1, 20}, 0, &value), -ERANGE);
    assert_int_equal(sim_decimal_in(&(struct sim_decimal){1, 999}, -999, &value), -ERANGE);
}

static void whole_numbers_have_only_digits(void **state)
{
    static const char *const texts[] = {"-1", "+1", "1.0", "1e3", "x", "1 "};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sim_field field = field_of(texts[i]);
        uint64_t value = 0;

        assert_int_equal(sim_field_integer(&field, 1000, &value), -EINVAL);
    }
}

/* ---- read ---- */

static void decimals_are_read_exactly(void **state)
{
    (void)state;
    assert_decimal("0", 0, 0);
    assert_decimal("12", 12, 0);
    assert_decimal("1200", 12, 2);
    assert_decimal("0.31094", 31094, -5);
    assert_decimal(".5", 5, -1);
    assert_decimal("5.", 5, 0);
    assert_decimal("2.5000", 25, -1);
    assert_decimal("9.3336608e-05", 93336608, -12);
    assert_decimal("2E+3", 2, 3);
    assert_decimal("999999999999999999", 999999999999999999u, 0);
    assert_decimal("000000000000000000000000001", 1, 0);
}

static void decimals_round_to_the_unit_asked_for(void **state)
{
    (void)state;
    assert_in(1883, -3, -3, 1883);
    assert_in(19744, -4, -3, 1974);
    assert_in(19745, -4, -3, 1975);
    assert_in(1, 3, 0, 1000);
    assert_in(0, 300, 0, 0);
    assert_in(4, -1, 0, 0);
    assert_in(5, -1, 0, 1);
    assert_in(9, -2, 0, 0); /* 0.09: the 9 is far from the border */
    assert_in(9, -900, 0, 0);
}

static void comments_and_empty_lines_are_skipped_but_counted(void **state)
{
    struct sim_tsv tsv = sim_tsv_begin("# a title\n\n \t\na\tb  c\r\n  # more\nlast");

    (void)state;
    assert_true(sim_tsv_next(&tsv));
    assert_int_equal(tsv.line, 4);
    assert_int_equal(tsv.count, 3);
    assert_true(sim_field_is(&tsv.fields[0], "a"));
    assert_true(sim_field_is(&tsv.fields[2], "c"));
    assert_false(sim_field_is(&tsv.fields[2], "cc"));
    assert_true(sim_tsv_next(&tsv));
    assert_int_equal(tsv.line, 6);
    assert_true(sim_field_is(&tsv.fields[0], "last"));
    assert_false(sim_tsv_next(&tsv));
    assert_false(sim_tsv_next(&tsv));
}

static void fields_beyond_the_limit_are_counted_only(void **state)
{
    struct sim_tsv tsv = sim_tsv_begin("1 2 3 4 5 6 7 8 9 10 11 12 13 14\n");

    (void)state;
    assert_true(sim_tsv_next(&tsv));
    assert_int_equal(tsv.count, 14);
    assert_true(sim_field_is(&tsv.fields[SIM_FIELDS_MAX - 1], "12"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_decimal_number_is_refused),
        cmocka_unit_test(numbers_that_do_not_fit_are_out_of_range),
        cmocka_unit_test(whole_numbers_have_only_digits),
        cmocka_unit_test(decimals_are_read_exactly),
        cmocka_unit_test(decimals_round_to_the_unit_asked_for),
        cmocka_unit_test(comments_and_empty_lines_are_skipped_but_counted),
        cmocka_unit_test(fields_beyond_the_limit_are_counted_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
