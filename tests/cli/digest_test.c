/* SHA-256 of files piece by piece. */
#include "cli/digest.h"

#include "cli/scratch.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const uint8_t digest_of_abc[FILE_DIGEST_SIZE] = {
    0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};

static int open_file(const struct scratch *scratch, const char *text)
{
    int file;

    scratch_file(scratch, "file", text);
    file = openat(scratch->root, "file", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    return file;
}

static void a_file_that_cannot_be_read_fails(void **state)
{
    const struct scratch *scratch = *state;
    struct digest *digest = digest_open();
    int file = openat(scratch->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t offset = 0;

    assert_int_equal(digest_file_range(digest, file, &offset, 10), -EISDIR);
    assert_int_equal(offset, 0);
    close(file);
    digest_close(digest);
}

static void the_end_of_the_file_shows_in_the_offset(void **state)
{
    struct digest *digest = digest_open();
    int file = open_file(*state, "abc");
    uint64_t offset = 0;

    assert_int_equal(digest_file_range(digest, file, &offset, 10), 0);
    assert_int_equal(offset, 3);
    close(file);
    digest_close(digest);
}

static void pieces_give_the_digest_of_the_whole(void **state)
{
    struct digest *digest = digest_open();
    int file = open_file(*state, "abc");
    uint8_t result[FILE_DIGEST_SIZE];
    uint64_t offset = 0;

    assert_int_equal(digest_file_range(digest, file, &offset, 0), 0);
    assert_int_equal(digest_file_range(digest, file, &offset, 2), 0);
    assert_int_equal(offset, 2);
    assert_int_equal(digest_file_range(digest, file, &offset, 3), 0);
    assert_int_equal(digest_finish(digest, result), 0);
    assert_memory_equal(result, digest_of_abc, sizeof(result));
    close(file);
    digest_close(digest);
}

static void an_empty_file_has_a_digest(void **state)
{
    static const uint8_t begin[] = {0xe3, 0xb0, 0xc4, 0x42};
    struct digest *digest = digest_open();
    uint8_t result[FILE_DIGEST_SIZE];

    (void)state;
    assert_int_equal(digest_finish(digest, result), 0);
    assert_memory_equal(result, begin, sizeof(begin));
    digest_close(digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_fails, scratch_open,
                                        scratch_close),
        cmocka_unit_test_setup_teardown(the_end_of_the_file_shows_in_the_offset, scratch_open,
                                        scratch_close),
        cmocka_unit_test_setup_teardown(pieces_give_the_digest_of_the_whole, scratch_open,
                                        scratch_close),
        cmocka_unit_test(an_empty_file_has_a_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
