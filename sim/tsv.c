/*
 * Tables in text. Called while a workload or the published curves are read, never in a run. Numbers
 * are read by hand: the C library's readers go through binary floating point or the locale, and the
 * weights of a distribution must be exact.
 */
#include "sim/tsv.h"

#include <errno.h>
#include <string.h>

#define DIGITS_MAX   UINT64_C(999999999999999999)
#define EXPONENT_MAX 999

struct sim_tsv sim_tsv_begin(const char *text)
{
    return (struct sim_tsv){.next = text};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_end(char c)
{
    return c == '\n' || c == '\0';
}

/* Finds the fields from `at` on and returns the end of the line. */
static const char *split(struct sim_tsv *tsv, const char *at)
{
    tsv->count = 0;
    for (;;) {
        while (is_blank(*at))
            at++;
        if (is_end(*at))
            return at;
        const char *begin = at;
        while (!is_blank(*at) && !is_end(*at))
            at++;
        if (tsv->count < SIM_FIELDS_MAX)
            tsv->fields[tsv->count] = (struct sim_field){begin, (size_t)(at - begin)};
        tsv->count++;
    }
}

bool sim_tsv_next(struct sim_tsv *tsv)
{
    while (*tsv->next != '\0') {
        const char *begin = tsv->next;
        const char *end = split(tsv, begin);

        tsv->line++;
        tsv->next = *end == '\n' ? end + 1 : end;
        if (tsv->count > 0 && *tsv->fields[0].text != '#')
            return true;
    }
    return false;
}

bool sim_field_is(const struct sim_field *field, const char *text)
{
    return strlen(text) == field->length && memcmp(field->text, text, field->length) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Appends a digit. -ERANGE when there are too many. */
static int append(uint64_t *digits, char c)
{
    uint64_t digit = (uint64_t)(c - '0');

    if (*digits > (DIGITS_MAX - digit) / 10)
        return -ERANGE;
    *digits = *digits * 10 + digit;
    return 0;
}

/* Reads what follows the 'e'. */
static int read_exponent(const char *at, const char *end, int32_t *exponent)
{
    bool is_negative = at < end && *at == '-';
    int32_t value = 0;

    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end)
        return -EINVAL;
    for (; at < end; at++) {
        if (!is_digit(*at))
            return -EINVAL;
        value = value * 10 + (*at - '0');
        if (value > EXPONENT_MAX)
            return -ERANGE;
    }
    *exponent += is_negative ? -value : value;
    return 0;
}

int sim_field_decimal(const struct sim_field *field, struct sim_decimal *decimal)
{
    const char *at = field->text;
    const char *end = at + field->length;
    bool has_digits = false;
    bool has_point = false;
    int result = 0;

    *decimal = (struct sim_decimal){0};
    for (; at < end && result == 0 && (is_digit(*at) || (*at == '.' && !has_point)); at++) {
        if (*at == '.') {
            has_point = true;
            continue;
        }
        has_digits = true;
        result = append(&decimal->digits, *at);
        if (has_point)
            decimal->exponent--;
    }
    if (result == 0 && !has_digits)
        result = -EINVAL;
    if (result == 0 && at < end)
        result =
            *at == 'e' || *at == 'E' ? read_exponent(at + 1, end, &decimal->exponent) : -EINVAL;
    while (decimal->digits != 0 && decimal->digits % 10 == 0) {
        decimal->digits /= 10;
        decimal->exponent++;
    }
    return result;
}

int sim_field_integer(const struct sim_field *field, uint64_t highest, uint64_t *value)
{
    int result = 0;

    *value = 0;
    for (size_t i = 0; i < field->length && result == 0; i++)
        result = is_digit(field->text[i]) ? append(value, field->text[i]) : -EINVAL;
    if (result == 0 && *value > highest)
        result = -ERANGE;
    return result;
}

int sim_decimal_in(const struct sim_decimal *decimal, int32_t exponent, uint64_t *value)
{
    int32_t shift = decimal->exponent - exponent;
    uint64_t digits = decimal->digits;
    bool rounds_up = false;

    for (; shift < 0 && digits != 0; shift++) {
        rounds_up = digits % 10 >= 5;
        digits /= 10;
    }
    rounds_up = rounds_up && shift >= 0;
    for (; shift > 0 && digits != 0; shift--) {
        if (digits > UINT64_MAX / 10)
            return -ERANGE;
        digits *= 10;
    }
    *value = digits + rounds_up;
    return 0;
}
