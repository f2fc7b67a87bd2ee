/* What the server answers, request by request, without a network. */
#include "cli/service.h"

#include "cli/protocol.h"
#include "cli/scratch.h"
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t response[FILE_MESSAGE_MAX];

/* Asks the service of the scratch directory; returns the response's length. */
static size_t ask(const struct scratch *scratch, const struct file_request *request)
{
    const struct service service = {.root = scratch->root};
    uint8_t bytes[FILE_REQUEST_MAX];
    size_t length = file_request_encode(request, bytes, sizeof(bytes));

    assert_int_not_equal(length, 0);
    return service_answer(&service, bytes, length, response);
}

/* Asks, and returns the status of the response. */
static enum file_status status_of(const struct scratch *scratch, const struct file_request *request)
{
    struct base_reader reader = base_reader_begin(response, ask(scratch, request));
    enum file_status status;

    assert_int_equal(file_response_decode(&reader, request->operation, &status), 0);
    return status;
}

static enum file_status read_status(const struct scratch *scratch, const char *path)
{
    return status_of(
        scratch,
        &(struct file_request){.operation = FILE_READ, .path = file_text_of(path), .length = 100});
}

static enum file_status digest_status(const struct scratch *scratch, const char *path)
{
    return status_of(scratch,
                     &(struct file_request){.operation = FILE_DIGEST, .path = file_text_of(path)});
}

static enum file_status list_status(const struct scratch *scratch, const char *path)
{
    return status_of(scratch, &(struct file_request){.operation = FILE_LIST,
                                                     .path = file_text_of(path),
                                                     .limit = FILE_MESSAGE_MAX});
}

static void what_is_no_request_is_answered_with_why(void **state)
{
    const struct scratch *scratch = *state;
    const struct service service = {.root = scratch->root};
    static const struct {
        const char *bytes;
        size_t length;
        enum file_status status;
    } requests[] = {
        {"x", 1, FILE_BAD_REQUEST},
        {"MF\1\4", 4, FILE_BAD_REQUEST},
        {"MF\1\11", 4, FILE_BAD_OPERATION},
        {"MF\7\1", 4, FILE_BAD_VERSION},
    };

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        size_t length = service_answer(&service, requests[i].bytes, requests[i].length, response);

        assert_true(length > FILE_RESPONSE_HEADER);
        assert_int_equal(response[4] << 8 | response[5], requests[i].status);
    }
}

static void nothing_but_a_regular_file_is_read(void **state)
{
    const struct scratch *scratch = *state;

    scratch_directory(scratch, "directory");
    scratch_link(scratch, "link", "/etc/passwd");
    scratch_link(scratch, "way", "/etc");
    assert_int_equal(mkfifoat(scratch->root, "pipe", 0600), 0);

    assert_int_equal(read_status(scratch, "nothing"), FILE_NOT_FOUND);
    assert_int_equal(read_status(scratch, ""), FILE_WRONG_KIND);
    assert_int_equal(read_status(scratch, "directory"), FILE_WRONG_KIND);
    assert_int_equal(read_status(scratch, "link"), FILE_WRONG_KIND);
    assert_int_equal(read_status(scratch, "way/passwd"), FILE_WRONG_KIND);
    assert_int_equal(read_status(scratch, "pipe"), FILE_WRONG_KIND);
    assert_int_equal(digest_status(scratch, "link"), FILE_WRONG_KIND);
    assert_int_equal(digest_status(scratch, "nothing"), FILE_NOT_FOUND);
}

static void nothing_but_a_directory_is_listed(void **state)
{
    const struct scratch *scratch = *state;

    scratch_file(scratch, "file", "");
    scratch_link(scratch, "link", "/etc");
    assert_int_equal(list_status(scratch, "file"), FILE_WRONG_KIND);
    assert_int_equal(list_status(scratch, "link"), FILE_WRONG_KIND);
    assert_int_equal(list_status(scratch, "nothing"), FILE_NOT_FOUND);
    assert_int_equal(list_status(scratch, ""), FILE_OK);
}

static void what_the_servers_user_may_not_read_is_denied(void **state)
{
    const struct scratch *scratch = *state;

    uid_t user = geteuid();

    scratch_file(scratch, "file", "x");
    scratch_directory(scratch, "directory");
    assert_int_equal(fchmodat(scratch->root, "file", 0, 0), 0);
    assert_int_equal(fchmodat(scratch->root, "directory", 0, 0), 0);
    if (user == 0) { /* who may read everything */
        assert_int_equal(chmod(scratch->path, 0755), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    assert_int_equal(read_status(scratch, "file"), FILE_DENIED);
    assert_int_equal(digest_status(scratch, "file"), FILE_DENIED);
    assert_int_equal(list_status(scratch, "directory"), FILE_DENIED);
    assert_int_equal(list_status(scratch, ""), FILE_OK);
    assert_int_equal(seteuid(user), 0);
}

static void a_range_is_read_up_to_the_files_end(void **state)
{
    const struct scratch *scratch = *state;
    struct file_request request = {
        .operation = FILE_READ, .path = file_text_of("file"), .offset = 2, .length = 3};

    scratch_file(scratch, "file", "0123456789");
    assert_int_equal(ask(scratch, &request), FILE_RESPONSE_HEADER + 3);
    assert_memory_equal(response + FILE_RESPONSE_HEADER, "234", 3);
    request.offset = 8;
    assert_int_equal(ask(scratch, &request), FILE_RESPONSE_HEADER + 2);
    assert_memory_equal(response + FILE_RESPONSE_HEADER, "89", 2);
    request.offset = 10;
    assert_int_equal(ask(scratch, &request), FILE_RESPONSE_HEADER);
    request.offset = INT64_MAX - FILE_READ_MAX;
    assert_int_equal(ask(scratch, &request), FILE_RESPONSE_HEADER);
}

static void the_longest_read_fills_a_message(void **state)
{
    const struct scratch *scratch = *state;
    const struct file_request request = {
        .operation = FILE_READ, .path = file_text_of("file"), .length = FILE_READ_MAX};
    int file = openat(scratch->root, "file", O_WRONLY | O_CREAT, 0600);

    assert_int_equal(ftruncate(file, (off_t)2 * FILE_MESSAGE_MAX), 0);
    close(file);
    assert_int_equal(ask(scratch, &request), FILE_MESSAGE_MAX);
}

static void a_digest_is_the_files_sha_256(void **state)
{
    static const uint8_t abc[FILE_DIGEST_SIZE] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                                  0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                                  0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                                  0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    const struct scratch *scratch = *state;
    const struct file_request request = {.operation = FILE_DIGEST, .path = file_text_of("file")};
    struct base_reader reader;
    struct file_digest digest;
    size_t length;

    scratch_file(scratch, "file", "abc");
    length = ask(scratch, &request);
    reader = base_reader_begin(response + FILE_RESPONSE_HEADER, length - FILE_RESPONSE_HEADER);
    assert_int_equal(file_digest_decode(&reader, &digest), 0);
    assert_memory_equal(digest.sha256, abc, sizeof(abc));
    assert_int_equal(digest.size, 3);
}

/* Walks a directory's pages; returns the number of pages, and the entries by *count. */
static unsigned walk(const struct scratch *scratch, const char *path, uint32_t limit,
                     unsigned *count)
{
    char last[FILE_NAME_MAX + 1] = "";
    unsigned pages = 0;
    bool more = true;

    for (*count = 0; more; pages++) {
        const struct file_request request = {.operation = FILE_LIST,
                                             .path = file_text_of(path),
                                             .after = file_text_of(last),
                                             .limit = limit};
        size_t length = ask(scratch, &request);
        struct base_reader reader;
        struct file_entry entry;

        assert_true(length <= limit);
        reader = base_reader_begin(response + FILE_RESPONSE_HEADER, length - FILE_RESPONSE_HEADER);
        assert_int_equal(file_list_decode(&reader, &more), 0);
        while (file_entry_decode(&reader, &entry) == 1) {
            char name[FILE_NAME_MAX + 1];

            snprintf(name, sizeof(name), "%.*s", (int)entry.name.length, entry.name.bytes);
            assert_true(strcmp(last, name) < 0);
            memcpy(last, name, sizeof(last));
            (*count)++;
        }
        assert_false(reader.failed);
    }
    return pages;
}

static void a_directory_is_told_in_ascending_pages_without_repetition(void **state)
{
    const struct scratch *scratch = *state;
    char name[100];
    unsigned count;

    scratch_directory(scratch, "d");
    assert_int_equal(walk(scratch, "d", FILE_LIST_LIMIT_MIN, &count), 1);
    assert_int_equal(count, 0);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "d/%c-%x-with a rather long name", i % 2 ? 'a' : '\377',
                 i * 2654435761u);
        scratch_file(scratch, name, "");
    }
    assert_true(walk(scratch, "d", FILE_LIST_LIMIT_MIN, &count) >= 5);
    assert_int_equal(count, 1000);
    assert_int_equal(walk(scratch, "d", UINT32_MAX, &count), 1);
    assert_int_equal(count, 1000);
}

/* The only entry of directory "d". */
static struct file_entry only_entry(const struct scratch *scratch)
{
    const struct file_request request = {
        .operation = FILE_LIST, .path = file_text_of("d"), .limit = FILE_MESSAGE_MAX};
    size_t length = ask(scratch, &request);
    struct base_reader reader =
        base_reader_begin(response + FILE_RESPONSE_HEADER, length - FILE_RESPONSE_HEADER);
    struct file_entry entry;
    bool more;

    assert_int_equal(file_list_decode(&reader, &more), 0);
    assert_int_equal(file_entry_decode(&reader, &entry), 1);
    assert_int_equal(reader.left, 0);
    return entry;
}

static void an_entry_tells_kind_mode_size_and_time(void **state)
{
    const struct scratch *scratch = *state;
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1234, .tv_nsec = 5678}};
    struct file_entry entry;

    scratch_directory(scratch, "d");
    scratch_file(scratch, "d/file", "12345");
    assert_int_equal(fchmodat(scratch->root, "d/file", 04751, 0), 0);
    assert_int_equal(utimensat(scratch->root, "d/file", times, 0), 0);
    entry = only_entry(scratch);
    assert_int_equal(entry.kind, FILE_KIND_REGULAR);
    assert_int_equal(entry.mode, 04751);
    assert_int_equal(entry.size, 5);
    assert_int_equal(entry.mtime.seconds, 1234);
    assert_int_equal(entry.mtime.nanoseconds, 5678);
}

static void a_link_is_listed_with_its_target_wherever_that_leads(void **state)
{
    const struct scratch *scratch = *state;
    struct file_entry entry;

    scratch_directory(scratch, "d");
    scratch_link(scratch, "d/link", "/../no/such thing");
    entry = only_entry(scratch);
    assert_int_equal(entry.kind, FILE_KIND_LINK);
    assert_int_equal(entry.target.length, 17);
    assert_memory_equal(entry.target.bytes, "/../no/such thing", 17);
}

static void a_pipe_is_listed_as_special(void **state)
{
    const struct scratch *scratch = *state;

    scratch_directory(scratch, "d");
    assert_int_equal(mkfifoat(scratch->root, "d/pipe", 0600), 0);
    assert_int_equal(only_entry(scratch).kind, FILE_KIND_SPECIAL);
}

static void a_ping_comes_back_whole(void **state)
{
    const struct scratch *scratch = *state;
    const struct service service = {.root = scratch->root};

    assert_int_equal(service_answer(&service, "MF\1\1hello", 9, response), 9);
    assert_memory_equal(response, "MF\1\1hello", 9);
}

#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_open, scratch_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SCRATCH(what_is_no_request_is_answered_with_why),
        WITH_SCRATCH(nothing_but_a_regular_file_is_read),
        WITH_SCRATCH(nothing_but_a_directory_is_listed),
        WITH_SCRATCH(what_the_servers_user_may_not_read_is_denied),
        WITH_SCRATCH(a_range_is_read_up_to_the_files_end),
        WITH_SCRATCH(the_longest_read_fills_a_message),
        WITH_SCRATCH(a_digest_is_the_files_sha_256),
        WITH_SCRATCH(a_directory_is_told_in_ascending_pages_without_repetition),
        WITH_SCRATCH(an_entry_tells_kind_mode_size_and_time),
        WITH_SCRATCH(a_link_is_listed_with_its_target_wherever_that_leads),
        WITH_SCRATCH(a_pipe_is_listed_as_special),
        WITH_SCRATCH(a_ping_comes_back_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
