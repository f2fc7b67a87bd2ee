/*
 * Values as people read them: sizes, durations, counts, and names from strangers made harmless for
 * a terminal. Each fills the caller's buffer, always ends it with a zero, and returns it, so that
 * calls can stand among printf's arguments.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Enough for any of these but text_escape. */
#define TEXT_SIZE 32

/* "17,045" */
char *text_count(char buffer[TEXT_SIZE], uint64_t count);

/* "999 B", "131.0 MB": powers of 1,000. */
char *text_bytes(char buffer[TEXT_SIZE], uint64_t bytes);

/* "850 ns", "12.3 µs", "4.56 ms", "1.23 s" */
char *text_nanoseconds(char buffer[TEXT_SIZE], uint64_t ns);

/* "0:07", "12:34", "1:00:00" */
char *text_clock(char buffer[TEXT_SIZE], uint64_t seconds);

/*
 * Bytes of a name or message from elsewhere: control characters, backslashes and what is not UTF-8
 * become \xNN, the rest stays. Cut with "..." when it does not fit.
 */
char *text_escape(char *buffer, size_t size, const char *bytes, size_t length);

/* Room for text_escape of any path. */
#define TEXT_PATH_SIZE (4 * 4096)

#endif
