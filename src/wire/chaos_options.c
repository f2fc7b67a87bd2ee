/*
 * The text form of the chaos wire's options, as MISSIVE_CHAOS gives it. Numbers are read by hand:
 * strtod would follow the program's locale, and the two forms that occur here are simple.
 */
#include "wire/chaos.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define DELAY_US_MAX 10000000u /* a packet that late is lost by any measure */

/* Reads decimal digits up to limit; moves *text behind them. */
static bool read_integer(const char **text, uint64_t limit, uint64_t *value)
{
    const char *at = *text;

    *value = 0;
    if (*at < '0' || *at > '9')
        return false;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');

        if (digit > limit || *value > (limit - digit) / 10)
            return false;
        *value = *value * 10 + digit;
    }
    *text = at;
    return true;
}

/* Reads "0", "1", "0.05" …: at most 1. */
static bool read_probability(const char **text, double *value)
{
    uint64_t whole = 0;
    double unit = 1;

    if (!read_integer(text, 1, &whole))
        return false;
    *value = (double)whole;
    if (**text != '.')
        return true;
    ++*text;
    if (**text < '0' || **text > '9')
        return false;
    for (; **text >= '0' && **text <= '9'; ++*text) {
        unit /= 10;
        *value += unit * (**text - '0');
    }
    return *value <= 1;
}

enum option {
    OPTION_SEED,
    OPTION_DROP,
    OPTION_DUP,
    OPTION_REORDER,
    OPTION_CORRUPT,
    OPTION_DELAY
};

static const char *const option_names[] = {
    [OPTION_SEED] = "seed=",       [OPTION_DROP] = "drop=",       [OPTION_DUP] = "dup=",
    [OPTION_REORDER] = "reorder=", [OPTION_CORRUPT] = "corrupt=", [OPTION_DELAY] = "delay_us=",
};
#define OPTION_COUNT (sizeof(option_names) / sizeof(option_names[0]))

static bool read_value(enum option option, const char **text, struct wire_chaos_options *options)
{
    uint64_t delay_us = 0;

    switch (option) {
    case OPTION_SEED:
        return read_integer(text, UINT64_MAX, &options->seed);
    case OPTION_DROP:
        return read_probability(text, &options->drop);
    case OPTION_DUP:
        return read_probability(text, &options->duplicate);
    case OPTION_REORDER:
        return read_probability(text, &options->reorder);
    case OPTION_CORRUPT:
        return read_probability(text, &options->corrupt);
    case OPTION_DELAY:
        if (!read_integer(text, DELAY_US_MAX, &delay_us))
            return false;
        options->delay_us = (uint32_t)delay_us;
        return true;
    }
    return false;
}

/* Reads one name=value; moves *text behind it. */
static bool read_option(const char **text, unsigned *seen, struct wire_chaos_options *options)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        size_t length = strlen(option_names[i]);
        const char *value = *text + length;

        if (strncmp(*text, option_names[i], length) != 0)
            continue;
        if ((*seen & 1u << i) != 0 || !read_value((enum option)i, &value, options))
            return false;
        *seen |= 1u << i;
        *text = value;
        return true;
    }
    return false;
}

int wire_chaos_parse(const char *text, struct wire_chaos_options *options, const char **bad)
{
    unsigned seen = 0;
    const char *at = text;

    *options = (struct wire_chaos_options){0};
    if (*at == '\0')
        return 0;
    for (;;) {
        const char *part = at;

        if (!read_option(&at, &seen, options) || (*at != ',' && *at != '\0')) {
            *bad = part;
            return -EINVAL;
        }
        if (*at == '\0')
            return 0;
        at++;
    }
}
