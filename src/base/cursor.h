/*
 * Bounded cursors over wire bytes: every read and write checks what is left first, and a cursor
 * that once ran out stays failed, so that a parser tests once at its end instead of at each field.
 * Integers on the wire are big-endian; they may lie at any alignment.
 *
 * Called for every packet. A caller that has tested the whole length beforehand pays for no check
 * at all: everything is inline, and the compiler sees that none of them can fail.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stddef.h>
#include <stdint.h>
#include <endian.h>
#include <stdbool.h>
#include <string.h>

/* Reads from bytes that somebody else owns. A read past the end yields 0 and sets failed. */
struct base_reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static inline struct base_reader base_reader_begin(const void *bytes, size_t length)
{
    return (struct base_reader){.at = bytes, .left = length};
}

/* Passes over the next length bytes and points *bytes at them; false and failed if fewer are left.
 */
static inline bool base_read_take(struct base_reader *reader, size_t length, const uint8_t **bytes)
{
    if (reader->failed || reader->left < length) {
        reader->failed = true;
        return false;
    }
    *bytes = reader->at;
    reader->at += length;
    reader->left -= length;
    return true;
}

static inline uint8_t base_read_u8(struct base_reader *reader)
{
    const uint8_t *bytes = NULL;

    return base_read_take(reader, 1, &bytes) ? *bytes : 0;
}

static inline uint16_t base_read_u16(struct base_reader *reader)
{
    const uint8_t *bytes = NULL;
    uint16_t value = 0;

    if (base_read_take(reader, sizeof(value), &bytes))
        memcpy(&value, bytes, sizeof(value));
    return be16toh(value);
}

static inline uint32_t base_read_u32(struct base_reader *reader)
{
    const uint8_t *bytes = NULL;
    uint32_t value = 0;

    if (base_read_take(reader, sizeof(value), &bytes))
        memcpy(&value, bytes, sizeof(value));
    return be32toh(value);
}

static inline uint64_t base_read_u64(struct base_reader *reader)
{
    const uint8_t *bytes = NULL;
    uint64_t value = 0;

    if (base_read_take(reader, sizeof(value), &bytes))
        memcpy(&value, bytes, sizeof(value));
    return be64toh(value);
}

static inline void base_read_skip(struct base_reader *reader, size_t length)
{
    const uint8_t *bytes = NULL;

    (void)base_read_take(reader, length, &bytes);
}

/* Writes into a buffer of somebody else's. A write past the end writes nothing and sets failed. */
struct base_writer {
    uint8_t *begin;
    uint8_t *at;
    size_t left;
    bool failed;
};

static inline struct base_writer base_writer_begin(void *bytes, size_t length)
{
    return (struct base_writer){.begin = bytes, .at = bytes, .left = length};
}

/* Bytes written so far. */
static inline size_t base_writer_length(const struct base_writer *writer)
{
    return (size_t)(writer->at - writer->begin);
}

/* Passes over the next length bytes and points *bytes at them, for the caller to fill. */
static inline bool base_write_take(struct base_writer *writer, size_t length, uint8_t **bytes)
{
    if (writer->failed || writer->left < length) {
        writer->failed = true;
        return false;
    }
    *bytes = writer->at;
    writer->at += length;
    writer->left -= length;
    return true;
}

static inline void base_write_u8(struct base_writer *writer, uint8_t value)
{
    uint8_t *bytes = NULL;

    if (base_write_take(writer, 1, &bytes))
        *bytes = value;
}

static inline void base_write_u16(struct base_writer *writer, uint16_t value)
{
    uint8_t *bytes = NULL;

    value = htobe16(value);
    if (base_write_take(writer, sizeof(value), &bytes))
        memcpy(bytes, &value, sizeof(value));
}

static inline void base_write_u32(struct base_writer *writer, uint32_t value)
{
    uint8_t *bytes = NULL;

    value = htobe32(value);
    if (base_write_take(writer, sizeof(value), &bytes))
        memcpy(bytes, &value, sizeof(value));
}

static inline void base_write_u64(struct base_writer *writer, uint64_t value)
{
    uint8_t *bytes = NULL;

    value = htobe64(value);
    if (base_write_take(writer, sizeof(value), &bytes))
        memcpy(bytes, &value, sizeof(value));
}

static inline void base_write_zeros(struct base_writer *writer, size_t length)
{
    uint8_t *bytes = NULL;

    if (base_write_take(writer, length, &bytes))
        memset(bytes, 0, length);
}

#endif
