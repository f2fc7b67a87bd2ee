/*
 * Bounded cursors over wire bytes: every read and write checks what is left first, and a cursor that
 * once ran out stays failed, so that a parser tests once at its end instead of at each field.
 * Integers on the wire are big-endian.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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

static inline uint64_t base_read_unsigned(struct base_reader *reader, size_t width)
{
    const uint8_t *bytes = NULL;
    uint64_t value = 0;

    if (!base_read_take(reader, width, &bytes))
        return 0;
    for (size_t i = 0; i < width; i++)
        value = value << 8 | bytes[i];
    return value;
}

static inline uint8_t base_read_u8(struct base_reader *reader)
{
    return (uint8_t)base_read_unsigned(reader, 1);
}

static inline uint16_t base_read_u16(struct base_reader *reader)
{
    return (uint16_t)base_read_unsigned(reader, 2);
}

static inline uint32_t base_read_u32(struct base_reader *reader)
{
    return (uint32_t)base_read_unsigned(reader, 4);
}

static inline uint64_t base_read_u64(struct base_reader *reader)
{
    return base_read_unsigned(reader, 8);
}

static inline void base_read_skip(struct base_reader *reader, size_t length)
{
    const uint8_t *bytes = NULL;

    (void)base_read_take(reader, length, &bytes);
}

/* Writes into a buffer that somebody else owns. A write past the end writes nothing, sets failed. */
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

static inline size_t base_writer_length(const struct base_writer *writer)
{
    return (size_t)(writer->at - writer->begin);
}

static inline void base_write_unsigned(struct base_writer *writer, uint64_t value, size_t width)
{
    if (writer->failed || writer->left < width) {
        writer->failed = true;
        return;
    }
    for (size_t i = width; i-- > 0; value >>= 8)
        writer->at[i] = (uint8_t)value;
    writer->at += width;
    writer->left -= width;
}

static inline void base_write_u8(struct base_writer *writer, uint8_t value)
{
    base_write_unsigned(writer, value, 1);
}

static inline void base_write_u16(struct base_writer *writer, uint16_t value)
{
    base_write_unsigned(writer, value, 2);
}

static inline void base_write_u32(struct base_writer *writer, uint32_t value)
{
    base_write_unsigned(writer, value, 4);
}

static inline void base_write_u64(struct base_writer *writer, uint64_t value)
{
    base_write_unsigned(writer, value, 8);
}

static inline void base_write_zeros(struct base_writer *writer, size_t length)
{
    if (writer->failed || writer->left < length) {
        writer->failed = true;
        return;
    }
    memset(writer->at, 0, length);
    writer->at += length;
    writer->left -= length;
}

#endif
