/*
 * The file service's messages: what is malformed is refused, what is encoded comes back, and no
 * length of a cut message is read beyond.
 */
#include "cli/protocol.h"

#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct file_text text(const char *string)
{
    return file_text_of(string);
}

static void assert_text(struct file_text found, const char *expected)
{
    assert_int_equal(found.length, strlen(expected));
    assert_memory_equal(found.bytes, expected, found.length);
}

/* ---- names and paths ---- */

static void names_that_leave_their_directory_are_refused(void **state)
{
    (void)state;
    assert_false(file_name_valid(text("")));
    assert_false(file_name_valid(text(".")));
    assert_false(file_name_valid(text("..")));
    assert_false(file_name_valid(text("/")));
    assert_false(file_name_valid(text("a/b")));
    assert_false(file_name_valid(text("../a")));
    assert_false(file_name_valid((struct file_text){.bytes = "a\0b", .length = 3}));
}

static void names_longer_than_a_file_system_takes_are_refused(void **state)
{
    char name[FILE_NAME_MAX + 1];

    (void)state;
    memset(name, 'x', sizeof(name));
    assert_false(file_name_valid((struct file_text){.bytes = name, .length = sizeof(name)}));
    assert_true(file_name_valid((struct file_text){.bytes = name, .length = FILE_NAME_MAX}));
}

static void odd_names_are_names(void **state)
{
    (void)state;
    assert_true(file_name_valid(text("...")));
    assert_true(file_name_valid(text(".hidden")));
    assert_true(file_name_valid(text("..a")));
    assert_true(file_name_valid(text("-rf")));
    assert_true(file_name_valid(text(" two  words\n")));
    assert_true(file_name_valid(text("\xff\xfe")));
}

static void paths_that_leave_the_tree_are_refused(void **state)
{
    static const char *const paths[] = {"/",    "/etc", "..",  "../a", "a/..", "a/../b",
                                        "a//b", "a/",   "./a", ".",    "a/.",  "//"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (file_path_valid(text(paths[i])))
            fail_msg("'%s' passes", paths[i]);
    }
    assert_false(file_path_valid((struct file_text){.bytes = "a/\0/b", .length = 5}));
    assert_true(file_path_valid(text("")));
    assert_true(file_path_valid(text("a")));
    assert_true(file_path_valid(text("a/b c/.d/...")));
}

static void paths_longer_than_the_kernel_takes_are_refused(void **state)
{
    char path[FILE_PATH_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(path); i++)
        path[i] = i % 2 == 0 ? 'd' : '/';
    assert_false(file_path_valid((struct file_text){.bytes = path, .length = sizeof(path)}));
    assert_true(file_path_valid((struct file_text){.bytes = path, .length = FILE_PATH_MAX}));
}

/* ---- requests ---- */

static enum file_status decode(const void *bytes, size_t length)
{
    struct file_request request;

    return file_request_decode(bytes, length, &request);
}

static void requests_that_are_not_ours_are_refused(void **state)
{
    (void)state;
    assert_int_equal(decode("", 0), FILE_BAD_REQUEST);
    assert_int_equal(decode("MF\1", 3), FILE_BAD_REQUEST);
    assert_int_equal(decode("XX\1\1", 4), FILE_BAD_REQUEST);
    assert_int_equal(decode("MF\2\1", 4), FILE_BAD_VERSION);
    assert_int_equal(decode("MF\1\0", 4), FILE_BAD_OPERATION);
    assert_int_equal(decode("MF\1\5", 4), FILE_BAD_OPERATION);
    assert_int_equal(decode("MF\1\1anything", 12), FILE_OK);
}

static void every_cut_and_every_lengthened_request_is_refused(void **state)
{
    const struct file_request requests[] = {
        {.operation = FILE_LIST, .path = text("a/b"), .after = text("c"), .limit = 10000},
        {.operation = FILE_DIGEST, .path = text("a/b")},
        {.operation = FILE_READ, .path = text("a/b"), .offset = 7, .length = 8},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        uint8_t bytes[100];
        size_t length = file_request_encode(&requests[i], bytes, sizeof(bytes));

        assert_int_equal(decode(bytes, length), FILE_OK);
        for (size_t cut = 0; cut < length; cut++) {
            /* A block of its own, so that the address sanitizer sees a read beyond it. */
            uint8_t *copy = malloc(cut > 0 ? cut : 1);

            assert_non_null(copy);
            memcpy(copy, bytes, cut);
            assert_int_equal(decode(copy, cut), FILE_BAD_REQUEST);
            free(copy);
        }
        bytes[length] = 0;
        assert_int_equal(decode(bytes, length + 1), FILE_BAD_REQUEST);
    }
}

static void requests_with_values_out_of_range_are_refused(void **state)
{
    const struct file_request requests[] = {
        {.operation = FILE_LIST, .limit = FILE_LIST_LIMIT_MIN - 1},
        {.operation = FILE_LIST, .path = text(".."), .limit = 10000},
        {.operation = FILE_LIST, .after = text("a/b"), .limit = 10000},
        {.operation = FILE_DIGEST, .path = text("/etc/passwd")},
        {.operation = FILE_READ, .path = text("a"), .length = 0},
        {.operation = FILE_READ, .path = text("a"), .length = FILE_READ_MAX + 1},
        {.operation = FILE_READ, .path = text("a"), .length = 1, .offset = INT64_MAX},
        {.operation = FILE_READ, .path = text("a"), .length = 1, .offset = UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        uint8_t bytes[100];
        size_t length = file_request_encode(&requests[i], bytes, sizeof(bytes));

        assert_int_equal(decode(bytes, length), FILE_BAD_REQUEST);
    }
}

static void a_request_that_does_not_fit_is_not_encoded(void **state)
{
    const struct file_request request = {.operation = FILE_DIGEST, .path = text("abc")};
    uint8_t bytes[FILE_REQUEST_HEADER + 2 + 3];

    (void)state;
    assert_int_equal(file_request_encode(&request, bytes, sizeof(bytes) - 1), 0);
    assert_int_equal(file_request_encode(&request, bytes, sizeof(bytes)), sizeof(bytes));
}

static void a_read_request_is_laid_out_as_documented(void **state)
{
    const struct file_request request = {
        .operation = FILE_READ, .path = text("a/b"), .offset = 0x0102030405, .length = 0x0607};
    static const uint8_t expected[] = {'M', 'F', 1, 4, 0, 0, 0, 1,   2,   3,  4,
                                       5,   0,   0, 6, 7, 0, 3, 'a', '/', 'b'};
    uint8_t bytes[sizeof(expected) + 1];

    (void)state;
    assert_int_equal(file_request_encode(&request, bytes, sizeof(bytes)), sizeof(expected));
    assert_memory_equal(bytes, expected, sizeof(expected));
}

static void a_list_request_comes_back(void **state)
{
    const struct file_request request = {
        .operation = FILE_LIST, .path = text("x/y"), .after = text("-z"), .limit = 8192};
    struct file_request found;
    uint8_t bytes[100];
    size_t length = file_request_encode(&request, bytes, sizeof(bytes));

    (void)state;
    assert_int_equal(file_request_decode(bytes, length, &found), FILE_OK);
    assert_int_equal(found.operation, FILE_LIST);
    assert_text(found.path, "x/y");
    assert_text(found.after, "-z");
    assert_int_equal(found.limit, 8192);
}

static void the_longest_request_fits_where_it_should(void **state)
{
    char path[FILE_PATH_MAX], name[FILE_NAME_MAX];
    uint8_t bytes[FILE_REQUEST_MAX];
    const struct file_request request = {
        .operation = FILE_LIST,
        .path = {.bytes = path, .length = sizeof(path)},
        .after = {.bytes = name, .length = sizeof(name)},
        .limit = 10000,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(path); i++)
        path[i] = i % 2 == 0 ? 'd' : '/';
    memset(name, 'n', sizeof(name));
    assert_int_not_equal(file_request_encode(&request, bytes, sizeof(bytes)), 0);
}

/* ---- responses ---- */

static int decode_response(const void *bytes, size_t length, enum file_operation operation,
                           enum file_status *status)
{
    struct base_reader reader = base_reader_begin(bytes, length);

    return file_response_decode(&reader, operation, status);
}

static void responses_of_something_else_are_refused(void **state)
{
    enum file_status status;

    (void)state;
    assert_int_equal(decode_response("", 0, FILE_READ, &status), -EPROTO);
    assert_int_equal(decode_response("MF\1\4\0\0\0", 7, FILE_READ, &status), -EPROTO);
    assert_int_equal(decode_response("XX\1\4\0\0\0\0", 8, FILE_READ, &status), -EPROTO);
    assert_int_equal(decode_response("MF\2\4\0\0\0\0", 8, FILE_READ, &status), -EPROTO);
    assert_int_equal(decode_response("MF\1\3\0\0\0\0", 8, FILE_READ, &status), -EPROTO);
    assert_int_equal(decode_response("MF\1\4\0\0\0\0", 8, FILE_READ, &status), 0);
}

static void a_server_of_another_version_can_say_so(void **state)
{
    enum file_status status = FILE_OK;

    (void)state;
    assert_int_equal(decode_response("MF\2\4\0\2\0\0", 8, FILE_READ, &status), 0);
    assert_int_equal(status, FILE_BAD_VERSION);
}

static void an_unknown_status_is_a_failure(void **state)
{
    enum file_status status = FILE_OK;

    (void)state;
    assert_int_equal(decode_response("MF\1\4\377\377\0\0", 8, FILE_READ, &status), 0);
    assert_int_equal(status, FILE_FAILED);
}

static void an_error_carries_its_sentence_as_far_as_it_fits(void **state)
{
    char bytes[FILE_RESPONSE_HEADER + 4];
    enum file_status status = FILE_OK;

    (void)state;
    assert_int_equal(file_response_error(FILE_LIST, FILE_DENIED, "no way", bytes, sizeof(bytes)),
                     sizeof(bytes));
    assert_memory_equal(bytes + FILE_RESPONSE_HEADER, "no w", 4);
    assert_int_equal(decode_response(bytes, sizeof(bytes), FILE_LIST, &status), 0);
    assert_int_equal(status, FILE_DENIED);
}

/* ---- listings ---- */

static const struct file_entry link_entry = {
    .kind = FILE_KIND_LINK,
    .mode = 0777,
    .size = 0,
    .mtime = {.seconds = -5, .nanoseconds = 999999999},
    .name = {.bytes = "link", .length = 4},
    .target = {.bytes = "../elsewhere", .length = 12},
};

/* The bytes of one entry, in a block of exactly their length. */
static uint8_t *encode_entry(const struct file_entry *entry, size_t *length)
{
    uint8_t bytes[5000];
    struct base_writer writer = base_writer_begin(bytes, sizeof(bytes));
    uint8_t *copy;

    assert_true(file_entry_encode(&writer, entry));
    *length = base_writer_length(&writer);
    copy = malloc(*length);
    assert_non_null(copy);
    memcpy(copy, bytes, *length);
    return copy;
}

static int decode_entry(const void *bytes, size_t length)
{
    struct base_reader reader = base_reader_begin(bytes, length);
    struct file_entry entry;

    return file_entry_decode(&reader, &entry);
}

static void every_cut_entry_is_refused(void **state)
{
    size_t length;
    uint8_t *bytes = encode_entry(&link_entry, &length);

    (void)state;
    assert_int_equal(decode_entry(bytes, 0), 0);
    assert_int_equal(decode_entry(bytes, length), 1);
    for (size_t cut = 1; cut < length; cut++)
        assert_int_equal(decode_entry(bytes, cut), -EPROTO);
    free(bytes);
}

/* One byte of an otherwise good entry is changed: its decoding must fail. */
static void assert_refused_with(size_t offset, uint8_t value)
{
    size_t length;
    uint8_t *bytes = encode_entry(&link_entry, &length);

    bytes[offset] = value;
    assert_int_equal(decode_entry(bytes, length), -EPROTO);
    free(bytes);
}

static void entries_with_values_out_of_range_are_refused(void **state)
{
    (void)state;
    assert_refused_with(0, 0);                 /* kind */
    assert_refused_with(0, 6);                 /* kind */
    assert_refused_with(0, FILE_KIND_REGULAR); /* a file with a target */
    assert_refused_with(2, 0x10);              /* mode */
    assert_refused_with(4, 0x80);              /* size */
    assert_refused_with(20, 0xff);             /* nanoseconds */
    assert_refused_with(26, '/');              /* name */
    assert_refused_with(26, '\0');             /* name */
    assert_refused_with(40, '\0');             /* target */
}

static void a_link_without_a_target_is_refused(void **state)
{
    struct file_entry entry = link_entry;
    size_t length;
    uint8_t *bytes;

    (void)state;
    entry.target.length = 0;
    bytes = encode_entry(&entry, &length);
    assert_int_equal(decode_entry(bytes, length), -EPROTO);
    free(bytes);
}

static void an_entry_that_does_not_fit_writes_nothing(void **state)
{
    uint8_t bytes[24 + 2 + 4 + 2 + 12];
    struct base_writer writer = base_writer_begin(bytes, sizeof(bytes) - 1);

    (void)state;
    assert_false(file_entry_encode(&writer, &link_entry));
    assert_int_equal(base_writer_length(&writer), 0);
    assert_false(writer.failed);
    writer = base_writer_begin(bytes, sizeof(bytes));
    assert_true(file_entry_encode(&writer, &link_entry));
}

static void a_listing_comes_back(void **state)
{
    uint8_t bytes[200];
    struct base_writer writer = base_writer_begin(bytes, sizeof(bytes));
    struct base_reader reader;
    struct file_entry entry;
    bool more = false;

    (void)state;
    file_response_header(&writer, FILE_LIST, FILE_OK);
    file_list_begin(&writer);
    assert_true(file_entry_encode(&writer, &link_entry));
    file_list_set_more(&writer);

    reader = base_reader_begin(bytes + FILE_RESPONSE_HEADER,
                               base_writer_length(&writer) - FILE_RESPONSE_HEADER);
    assert_int_equal(file_list_decode(&reader, &more), 0);
    assert_true(more);
    assert_int_equal(file_entry_decode(&reader, &entry), 1);
    assert_int_equal(entry.kind, FILE_KIND_LINK);
    assert_int_equal(entry.mode, 0777);
    assert_int_equal(entry.mtime.seconds, -5);
    assert_int_equal(entry.mtime.nanoseconds, 999999999);
    assert_text(entry.name, "link");
    assert_text(entry.target, "../elsewhere");
    assert_int_equal(file_entry_decode(&reader, &entry), 0);
}

static void digests_cut_or_lengthened_are_refused(void **state)
{
    struct file_digest digest = {.size = 5, .mtime = {.seconds = 6, .nanoseconds = 7}};
    uint8_t bytes[100];
    struct base_writer writer = base_writer_begin(bytes, sizeof(bytes));
    struct file_digest found;

    (void)state;
    memset(digest.sha256, 0xab, sizeof(digest.sha256));
    file_digest_encode(&writer, &digest);
    for (size_t length = 0; length < sizeof(bytes); length++) {
        struct base_reader reader = base_reader_begin(bytes, length);
        int expected = length == base_writer_length(&writer) ? 0 : -EPROTO;

        assert_int_equal(file_digest_decode(&reader, &found), expected);
    }
    assert_int_equal(found.size, 5);
    assert_int_equal(found.mtime.seconds, 6);
    assert_memory_equal(found.sha256, digest.sha256, sizeof(found.sha256));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_leave_their_directory_are_refused),
        cmocka_unit_test(names_longer_than_a_file_system_takes_are_refused),
        cmocka_unit_test(odd_names_are_names),
        cmocka_unit_test(paths_that_leave_the_tree_are_refused),
        cmocka_unit_test(paths_longer_than_the_kernel_takes_are_refused),
        cmocka_unit_test(requests_that_are_not_ours_are_refused),
        cmocka_unit_test(every_cut_and_every_lengthened_request_is_refused),
        cmocka_unit_test(requests_with_values_out_of_range_are_refused),
        cmocka_unit_test(a_request_that_does_not_fit_is_not_encoded),
        cmocka_unit_test(a_read_request_is_laid_out_as_documented),
        cmocka_unit_test(a_list_request_comes_back),
        cmocka_unit_test(the_longest_request_fits_where_it_should),
        cmocka_unit_test(responses_of_something_else_are_refused),
        cmocka_unit_test(a_server_of_another_version_can_say_so),
        cmocka_unit_test(an_unknown_status_is_a_failure),
        cmocka_unit_test(an_error_carries_its_sentence_as_far_as_it_fits),
        cmocka_unit_test(every_cut_entry_is_refused),
        cmocka_unit_test(entries_with_values_out_of_range_are_refused),
        cmocka_unit_test(a_link_without_a_target_is_refused),
        cmocka_unit_test(an_entry_that_does_not_fit_writes_nothing),
        cmocka_unit_test(a_listing_comes_back),
        cmocka_unit_test(digests_cut_or_lengthened_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
