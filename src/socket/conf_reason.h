/*
 * The sentences of conf.c: why a name or a value is refused, and what would be right. They fit into
 * HOMAIOCINFO's error_msg, so quoted text is shortened before anything else is lost.
 */
#ifndef SOCKET_CONF_REASON_H
#define SOCKET_CONF_REASON_H

#include "homa/knobs.h"

#include <stddef.h>

/* A sentence being put together. It is valid, with its final zero, after every call. */
struct conf_reason {
    char *text;
    size_t size;   /* bytes at text, the final zero included; 0 = the caller wants no sentence */
    size_t length; /* bytes in use */
};

/* Begins an empty sentence in size bytes at text, of which at most CONF_REASON_MAX + 1 are used. */
struct conf_reason conf_reason_begin(char *text, size_t size);

/* Adds text; what does not fit is lost. */
void conf_reason_add(struct conf_reason *reason, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Adds somebody else's text in quotes, at most `most` bytes of it: a longer one ends in dots, and
 * what cannot be printed becomes a question mark.
 */
void conf_reason_quote(struct conf_reason *reason, const char *text, size_t most);

/* Adds a path, of a long one its end. */
void conf_reason_path(struct conf_reason *reason, const char *path);

/* Adds "takes a number 0 to 1000000 (us), not 'x'". */
void conf_reason_value(struct conf_reason *reason, const struct homa_knob_info *info,
                       const char *value);

/* The knob whose name is most like this one, or NULL when none is like it. */
const struct homa_knob_info *conf_reason_nearest(const char *name);

#endif
