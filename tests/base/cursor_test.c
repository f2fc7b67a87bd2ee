/* Bounded cursors: what lies outside is neither read nor written, and running out is remembered. */
#include "base/cursor.h"

#include "support/test.h"

#include <stdlib.h>

static const uint8_t counted[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
                                  0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};

static void reading_past_the_end_yields_zero_and_fails(void **state)
{
    struct base_reader reader;

    (void)state;
    reader = base_reader_begin(counted, 0);
    assert_int_equal(base_read_u8(&reader), 0);
    assert_true(reader.failed);
    reader = base_reader_begin(counted, 1);
    assert_int_equal(base_read_u16(&reader), 0);
    assert_true(reader.failed);
    reader = base_reader_begin(counted, 3);
    assert_int_equal(base_read_u32(&reader), 0);
    assert_true(reader.failed);
    reader = base_reader_begin(counted, 7);
    assert_int_equal(base_read_u64(&reader), 0);
    assert_true(reader.failed);
    reader = base_reader_begin(counted, 4);
    base_read_skip(&reader, 5);
    assert_true(reader.failed);
}

static void a_failed_reader_reads_nothing_more(void **state)
{
    struct base_reader reader = base_reader_begin(counted, 3);
    const uint8_t *bytes = NULL;

    (void)state;
    assert_int_equal(base_read_u32(&reader), 0);
    assert_int_equal(base_read_u8(&reader), 0); /* though a byte is left */
    assert_false(base_read_take(&reader, 0, &bytes));
    assert_null(bytes);
    assert_int_equal(reader.left, 3);
    assert_true(reader.failed);
}

static void an_absurd_length_is_not_taken(void **state)
{
    struct base_reader reader = base_reader_begin(counted, sizeof(counted));
    const uint8_t *bytes = NULL;

    (void)state;
    assert_int_equal(base_read_u8(&reader), 0x01);
    assert_false(base_read_take(&reader, SIZE_MAX, &bytes));
    assert_true(reader.failed);
}

static void integers_are_big_endian(void **state)
{
    struct base_reader reader = base_reader_begin(counted, sizeof(counted));

    (void)state;
    assert_int_equal(base_read_u8(&reader), 0x01);
    assert_int_equal(base_read_u16(&reader), 0x0203);
    assert_int_equal(base_read_u32(&reader), 0x04050607);
    assert_int_equal(base_read_u64(&reader), 0x08090a0b0c0d0e0fu);
    assert_int_equal(reader.left, 0);
    assert_false(reader.failed);
}

static void taking_and_skipping_pass_over_bytes(void **state)
{
    struct base_reader reader = base_reader_begin(counted, sizeof(counted));
    const uint8_t *bytes = NULL;

    (void)state;
    base_read_skip(&reader, 2);
    assert_true(base_read_take(&reader, 3, &bytes));
    assert_ptr_equal(bytes, counted + 2);
    assert_int_equal(base_read_u8(&reader), 0x06);
    assert_int_equal(reader.left, sizeof(counted) - 6);
    assert_false(reader.failed);
}

static void all_bytes_can_be_taken_and_then_none(void **state)
{
    struct base_reader reader = base_reader_begin(counted, sizeof(counted));
    const uint8_t *bytes = NULL;

    (void)state;
    assert_true(base_read_take(&reader, sizeof(counted), &bytes));
    assert_true(base_read_take(&reader, 0, &bytes));
    assert_ptr_equal(bytes, counted + sizeof(counted));
    assert_false(base_read_take(&reader, 1, &bytes));
}

static void writing_past_the_end_changes_nothing_and_fails(void **state)
{
    uint8_t buffer[8];
    uint8_t untouched[8];

    (void)state;
    memset(untouched, 0xee, sizeof(untouched));
    for (size_t width = 1; width <= 8; width *= 2) {
        struct base_writer writer = base_writer_begin(buffer, width - 1);

        memset(buffer, 0xee, sizeof(buffer));
        if (width == 1)
            base_write_u8(&writer, 1);
        else if (width == 2)
            base_write_u16(&writer, 1);
        else if (width == 4)
            base_write_u32(&writer, 1);
        else
            base_write_u64(&writer, 1);
        assert_true(writer.failed);
        assert_memory_equal(buffer, untouched, sizeof(buffer));
    }
}

static void a_failed_writer_writes_nothing_more(void **state)
{
    uint8_t buffer[3] = {0xee, 0xee, 0xee};
    struct base_writer writer = base_writer_begin(buffer, sizeof(buffer));

    (void)state;
    base_write_u32(&writer, 0);
    base_write_u8(&writer, 0);
    base_write_zeros(&writer, 1);
    assert_true(writer.failed);
    assert_int_equal(base_writer_length(&writer), 0);
    assert_int_equal(buffer[0], 0xee);
}

static void too_many_zeros_are_not_begun(void **state)
{
    uint8_t buffer[4] = {0xee, 0xee, 0xee, 0xee};
    struct base_writer writer = base_writer_begin(buffer, sizeof(buffer));

    (void)state;
    base_write_zeros(&writer, 5);
    assert_true(writer.failed);
    assert_int_equal(buffer[0], 0xee);
}

static void written_integers_are_big_endian(void **state)
{
    uint8_t buffer[sizeof(counted) + 3];
    struct base_writer writer = base_writer_begin(buffer, sizeof(buffer));

    (void)state;
    memset(buffer, 0xee, sizeof(buffer));
    base_write_u8(&writer, 0x01);
    base_write_u16(&writer, 0x0203);
    base_write_u32(&writer, 0x04050607);
    base_write_u64(&writer, 0x08090a0b0c0d0e0fu);
    assert_int_equal(base_writer_length(&writer), sizeof(counted));
    assert_memory_equal(buffer, counted, sizeof(counted));
    base_write_zeros(&writer, 2);
    assert_int_equal(base_writer_length(&writer), sizeof(counted) + 2);
    assert_int_equal(buffer[sizeof(counted) + 1], 0);
    assert_int_equal(buffer[sizeof(counted) + 2], 0xee);
    assert_false(writer.failed);
}

static void a_buffer_can_be_filled_to_its_last_byte(void **state)
{
    uint8_t buffer[7];
    struct base_writer writer = base_writer_begin(buffer, sizeof(buffer));

    (void)state;
    base_write_u32(&writer, 1);
    base_write_zeros(&writer, 3);
    assert_false(writer.failed);
    assert_int_equal(writer.left, 0);
    base_write_u8(&writer, 1);
    assert_true(writer.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_past_the_end_yields_zero_and_fails),
        cmocka_unit_test(a_failed_reader_reads_nothing_more),
        cmocka_unit_test(an_absurd_length_is_not_taken),
        cmocka_unit_test(integers_are_big_endian),
        cmocka_unit_test(taking_and_skipping_pass_over_bytes),
        cmocka_unit_test(all_bytes_can_be_taken_and_then_none),
        cmocka_unit_test(writing_past_the_end_changes_nothing_and_fails),
        cmocka_unit_test(a_failed_writer_writes_nothing_more),
        cmocka_unit_test(too_many_zeros_are_not_begun),
        cmocka_unit_test(written_integers_are_big_endian),
        cmocka_unit_test(a_buffer_can_be_filled_to_its_last_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
