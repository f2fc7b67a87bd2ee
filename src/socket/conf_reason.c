/*
 * Puts together the sentences with which conf.c refuses something, and guesses which knob was
 * meant. Called by conf.c on its failure paths only. Never fails: a sentence that grows too long is
 * cut.
 */
#include "socket/conf_reason.h"

#include "socket/conf.h"

#include <stdarg.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Names compared to guess a meaning; none of the table is longer. */
#define NAME_MAX_BYTES 40

/* So many letters with which a knob's name begins are taken for the whole. */
#define ABBREVIATION_MIN 3

/* Longest part of a path that is shown. */
#define PATH_SHOWN 36

struct conf_reason conf_reason_begin(char *text, size_t size)
{
    if (size > CONF_REASON_MAX + 1)
        size = CONF_REASON_MAX + 1;
    if (size > 0)
        text[0] = '\0';
    return (struct conf_reason){.text = text, .size = size};
}

void conf_reason_add(struct conf_reason *reason, const char *format, ...)
{
    size_t room = reason->size - reason->length;
    va_list arguments;

    if (room == 0)
        return;
    va_start(arguments, format);
    int length = vsnprintf(reason->text + reason->length, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        reason->length += (size_t)length < room ? (size_t)length : room - 1;
}

void conf_reason_quote(struct conf_reason *reason, const char *text, size_t most)
{
    size_t length = strnlen(text, most + 1);
    bool is_cut = length > most;

    if (is_cut)
        length = most;
    conf_reason_add(reason, "'");
    for (size_t i = 0; i < length; i++) {
        bool is_printable = text[i] >= ' ' && text[i] <= '~';

        conf_reason_add(reason, "%c", is_printable ? text[i] : '?');
    }
    conf_reason_add(reason, is_cut ? "...'" : "'");
}

void conf_reason_path(struct conf_reason *reason, const char *path)
{
    size_t length = strlen(path);

    if (length > PATH_SHOWN)
        conf_reason_add(reason, "...%s", path + length - PATH_SHOWN);
    else
        conf_reason_add(reason, "%s", path);
}

/* Adds what values the knob takes: its range, how many, the words it knows. */
static void add_range(struct conf_reason *reason, const struct homa_knob_info *info)
{
    if (info->is_cutoffs) {
        conf_reason_add(reason, "8 lengths, or pairs like 7:200,6:2800,4:all");
        return;
    }
    if (info->count > 1)
        conf_reason_add(reason, "%u numbers", info->count);
    else
        conf_reason_add(reason, info->is_auto_allowed ? "auto or a number" : "a number");
    conf_reason_add(reason, " %" PRIu64 " to %" PRIu64, info->lowest, info->highest);
    if (info->unit[0] != '\0')
        conf_reason_add(reason, " (%s)", info->unit);
}

void conf_reason_value(struct conf_reason *reason, const struct homa_knob_info *info,
                       const char *value)
{
    conf_reason_add(reason, "takes ");
    add_range(reason, info);
    conf_reason_add(reason, ", not ");

    /* The two quotes, the dots and the final zero have to fit beside the value. */
    size_t room = reason->size - reason->length;
    conf_reason_quote(reason, value, room > 6 ? room - 6 : 0);
}

/*
 * Letters to insert, delete or change (Levenshtein); capitals count as small ones. Both names are
 * at most NAME_MAX_BYTES long, b in small letters.
 */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_BYTES + 1];
    size_t length = strlen(b);

    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t changed = diagonal + (tolower((unsigned char)a[i - 1]) != b[j - 1]);
            size_t least = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = changed < least ? changed : least;
        }
    }
    return row[length];
}

const struct homa_knob_info *conf_reason_nearest(const char *name)
{
    const struct homa_knob_info *nearest = NULL;
    size_t count = 0;
    const struct homa_knob_info *table = homa_knob_table(&count);
    size_t length = strlen(name);
    size_t least = length / 3 + 1; /* more than a third of the letters wrong is another word */

    if (length > NAME_MAX_BYTES)
        return NULL;
    if (length >= ABBREVIATION_MIN) {
        for (size_t i = 0; i < count; i++) {
            if (strncasecmp(name, table[i].name, length) == 0)
                return &table[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (strlen(table[i].name) > NAME_MAX_BYTES)
            continue;
        size_t letters = distance(name, table[i].name);

        if (letters < least) {
            least = letters;
            nearest = &table[i];
        }
    }
    return nearest;
}
