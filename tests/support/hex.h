/*
 * Bytes written down as hexadecimal text, as packets are in the specification, for tests whose
 * input or expectation is such bytes.
 */
#ifndef SUPPORT_HEX_H
#define SUPPORT_HEX_H

#include <stddef.h>
#include <stdint.h>

/*
 * Turns pairs of hexadecimal digits into bytes and returns their number; blanks may stand between
 * bytes. Ends the program when the text is anything else, or is more than capacity bytes.
 */
size_t hex_bytes(const char *text, uint8_t *bytes, size_t capacity);

#endif
