/*
 * Formatting for people. A name that came over the network may hold anything, terminal control
 * sequences included: whatever prints one calls text_escape first.
 */
#include "cli/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

char *text_count(char buffer[TEXT_SIZE], uint64_t count)
{
    char digits[TEXT_SIZE];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);
    char *out = buffer;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return buffer;
}

char *text_bytes(char buffer[TEXT_SIZE], uint64_t bytes)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes / 1000;
    size_t unit = 0;

    if (bytes < 1000) {
        snprintf(buffer, TEXT_SIZE, "%" PRIu64 " B", bytes);
        return buffer;
    }
    while (value >= 999.95) {
        value /= 1000;
        unit++;
    }
    assert(unit < sizeof(units) / sizeof(units[0]));
    snprintf(buffer, TEXT_SIZE, "%.1f %s", value, units[unit]);
    return buffer;
}

char *text_nanoseconds(char buffer[TEXT_SIZE], uint64_t ns)
{
    double value = (double)ns;

    if (ns < 1000)
        snprintf(buffer, TEXT_SIZE, "%" PRIu64 " ns", ns);
    else if (value < 999.95e3)
        snprintf(buffer, TEXT_SIZE, "%.1f µs", value / 1e3);
    else if (value < 999.995e6)
        snprintf(buffer, TEXT_SIZE, "%.2f ms", value / 1e6);
    else
        snprintf(buffer, TEXT_SIZE, "%.2f s", value / 1e9);
    return buffer;
}

char *text_clock(char buffer[TEXT_SIZE], uint64_t seconds)
{
    uint64_t minutes = seconds / 60;

    if (minutes < 60)
        snprintf(buffer, TEXT_SIZE, "%" PRIu64 ":%02" PRIu64, minutes, seconds % 60);
    else
        snprintf(buffer, TEXT_SIZE, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, minutes / 60,
                 minutes % 60, seconds % 60);
    return buffer;
}

static bool continues(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Length of the harmless character that begins at bytes, 0 if there is none. */
static size_t plain_character(const unsigned char *bytes, size_t left)
{
    unsigned char first = bytes[0];

    if (first < 0x80)
        return first >= 0x20 && first != 0x7f && first != '\\' ? 1 : 0;
    if (first >= 0xc2 && first < 0xe0 && left >= 2 && continues(bytes[1])) {
        /* U+0080 .. U+009F are control characters too. */
        return first == 0xc2 && bytes[1] < 0xa0 ? 0 : 2;
    }
    if (first >= 0xe0 && first < 0xf0 && left >= 3 && continues(bytes[1]) && continues(bytes[2])) {
        bool overlong = first == 0xe0 && bytes[1] < 0xa0;
        bool surrogate = first == 0xed && bytes[1] >= 0xa0;
        /* U+202A .. U+202E and U+2066 .. U+2069 turn the direction of what follows. */
        bool turning =
            first == 0xe2 && ((bytes[1] == 0x80 && bytes[2] >= 0xaa && bytes[2] <= 0xae) ||
                              (bytes[1] == 0x81 && bytes[2] >= 0xa6 && bytes[2] <= 0xa9));

        return overlong || surrogate || turning ? 0 : 3;
    }
    if (first >= 0xf0 && first < 0xf5 && left >= 4 && continues(bytes[1]) && continues(bytes[2]) &&
        continues(bytes[3])) {
        bool overlong = first == 0xf0 && bytes[1] < 0x90;
        bool beyond = first == 0xf4 && bytes[1] >= 0x90;

        return overlong || beyond ? 0 : 4;
    }
    return 0;
}

char *text_escape(char *buffer, size_t size, const char *bytes, size_t length)
{
    const unsigned char *in = (const unsigned char *)bytes;
    size_t used = 0;
    size_t fits = 0; /* where "..." can still follow */

    assert(size >= sizeof("..."));
    for (size_t i = 0; i < length;) {
        size_t plain = plain_character(in + i, length - i);
        size_t needed = plain > 0 ? plain : strlen("\\xNN");

        if (used + strlen("...") < size)
            fits = used;
        if (used + needed >= size) {
            memcpy(buffer + fits, "...", sizeof("..."));
            return buffer;
        }
        if (plain > 0)
            memcpy(buffer + used, in + i, plain);
        else
            snprintf(buffer + used, size - used, "\\x%02x", in[i]);
        used += needed;
        i += plain > 0 ? plain : 1;
    }
    buffer[used] = '\0';
    return buffer;
}
