/*
 * Reads hexadecimal text. Called by tests only; a mistake in the text is the test's, so it ends the
 * program at once.
 */
#include "support/hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t digit_value(char digit, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);

    if (found == NULL) {
        fprintf(stderr, "hex_bytes: not pairs of hexadecimal digits: \"%s\"\n", text);
        abort();
    }
    return (uint8_t)(found - digits);
}

size_t hex_bytes(const char *text, uint8_t *bytes, size_t capacity)
{
    size_t length = 0;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at == ' ')
            continue;
        if (length == capacity) {
            fprintf(stderr, "hex_bytes: more than %zu bytes: \"%s\"\n", capacity, text);
            abort();
        }
        uint8_t high = digit_value(*at, text);
        at++;
        bytes[length++] = (uint8_t)(high << 4 | digit_value(*at, text));
    }
    return length;
}
