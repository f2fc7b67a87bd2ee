/*
 * `missive fetch`, the program, against servers that lie: each scenario is a few answers of its
 * own. Whatever they send, nothing appears outside the destination, nothing unverified in it, and
 * the exit status is 1.
 */
#include <missive/rpc.h>

#include "cli/protocol.h"
#include "cli/scratch.h"
#include "support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* How a scenario answers: adds to writer, which is empty. */
typedef void scenario(const struct file_request *request, struct base_writer *writer);

struct fixture {
    struct scratch *scratch;
    struct msv_server *server;
    pthread_t thread;
    scenario *answer;
    uint8_t response[FILE_MESSAGE_MAX];
    char output[8192]; /* what the program wrote on standard error */
};

static void serve_one(void *context, struct msv_request *request)
{
    struct fixture *fixture = context;
    const struct msv_message *message = msv_request_message(request);
    struct base_writer writer = base_writer_begin(fixture->response, sizeof(fixture->response));
    struct file_request decoded;
    uint8_t bytes[FILE_REQUEST_MAX];
    size_t length = msv_message_read(message, 0, bytes, sizeof(bytes));

    assert_int_equal(file_request_decode(bytes, length, &decoded), FILE_OK);
    fixture->answer(&decoded, &writer);
    msv_reply(request, fixture->response, base_writer_length(&writer));
}

static void *serve(void *context)
{
    struct fixture *fixture = context;

    msv_server_run(fixture->server, serve_one, fixture);
    return NULL;
}

static int open_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    void *scratch = NULL;

    if (fixture == NULL)
        return -1;
    *state = fixture;
    if (scratch_open(&scratch) != 0)
        return -1;
    fixture->scratch = scratch;
    scratch_directory(fixture->scratch, "outside");
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    void *scratch = fixture->scratch;

    free(fixture);
    return scratch_close(&scratch);
}

/* Runs the program against the server; returns its exit status, its messages are in output. */
static int run_program(struct fixture *fixture)
{
    const char *build = getenv("TEST_BUILD_DIR");
    char program[4096], address[32], destination[100], messages[100];
    char *argv[] = {program, "fetch", "--quiet", address, destination, NULL};
    posix_spawn_file_actions_t actions;
    const char *text;
    int status;
    pid_t pid;

    assert_non_null(build);
    snprintf(program, sizeof(program), "%s/missive", build);
    snprintf(address, sizeof(address), "127.0.0.1:%d", msv_server_port(fixture->server));
    snprintf(destination, sizeof(destination), "%s/dest", fixture->scratch->path);
    snprintf(messages, sizeof(messages), "%s/messages", fixture->scratch->path);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, messages,
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(posix_spawn(&pid, program, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    text = scratch_read(fixture->scratch, "messages");
    snprintf(fixture->output, sizeof(fixture->output), "%s", text != NULL ? text : "");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int fetch_from(struct fixture *fixture, scenario *answer)
{
    int status;

    fixture->answer = answer;
    assert_int_equal(msv_server_open(&fixture->server, "127.0.0.1:0", NULL), 0);
    assert_int_equal(pthread_create(&fixture->thread, NULL, serve, fixture), 0);
    status = run_program(fixture);
    msv_server_stop(fixture->server);
    pthread_join(fixture->thread, NULL);
    msv_server_close(fixture->server);
    return status;
}

/* The fetch must fail, say this, and leave nothing outside. */
static void assert_fails(struct fixture *fixture, scenario *answer, const char *message)
{
    assert_int_equal(fetch_from(fixture, answer), 1);
    if (strstr(fixture->output, message) == NULL)
        fail_msg("'%s' is not in: %s", message, fixture->output);
    assert_int_equal(scratch_count(fixture->scratch, "outside"), 0);
    assert_int_equal(scratch_count(fixture->scratch, "."),
                     scratch_exists(fixture->scratch, "dest") ? 3 : 2);
}

/* ---- building blocks of answers ---- */

static void begin_list(struct base_writer *writer)
{
    file_response_header(writer, FILE_LIST, FILE_OK);
    file_list_begin(writer);
}

/* An entry as it is, however invalid. */
static void add_raw(struct base_writer *writer, enum file_kind kind, const char *name,
                    size_t name_length, const char *target, uint64_t size)
{
    uint8_t *bytes = NULL;

    base_write_u8(writer, (uint8_t)kind);
    base_write_u8(writer, 0);
    base_write_u16(writer, 0755);
    base_write_u64(writer, size);
    base_write_u64(writer, 0);
    base_write_u32(writer, 0);
    base_write_u16(writer, (uint16_t)name_length);
    if (base_write_take(writer, name_length, &bytes))
        memcpy(bytes, name, name_length);
    base_write_u16(writer, (uint16_t)strlen(target));
    if (base_write_take(writer, strlen(target), &bytes))
        memcpy(bytes, target, strlen(target));
    assert_false(writer->failed);
}

static void add(struct base_writer *writer, enum file_kind kind, const char *name, uint64_t size)
{
    add_raw(writer, kind, name, strlen(name), kind == FILE_KIND_LINK ? "../outside" : "", size);
}

/* The whole content of any file: "x". */
static void answer_read(struct base_writer *writer)
{
    file_response_header(writer, FILE_READ, FILE_OK);
    base_write_u8(writer, 'x');
}

/* A digest of "x" when right, of nothing that exists when not. */
static void answer_digest(struct base_writer *writer, bool right, uint64_t size)
{
    static const uint8_t digest_of_x[FILE_DIGEST_SIZE] = {
        0x2d, 0x71, 0x16, 0x42, 0xb7, 0x26, 0xb0, 0x44, 0x01, 0x62, 0x7c,
        0xa9, 0xfb, 0xac, 0x32, 0xf5, 0xc8, 0x53, 0x0f, 0xb1, 0x90, 0x3c,
        0xc4, 0xdb, 0x02, 0x25, 0x87, 0x17, 0x92, 0x1a, 0x48, 0x81};
    struct file_digest digest = {.size = size};

    if (right)
        memcpy(digest.sha256, digest_of_x, sizeof(digest_of_x));
    file_response_header(writer, FILE_DIGEST, FILE_OK);
    file_digest_encode(writer, &digest);
}

static void answer_honestly(const struct file_request *request, struct base_writer *writer)
{
    if (request->operation == FILE_READ)
        answer_read(writer);
    else
        answer_digest(writer, true, 1);
}

/* ---- scenarios ---- */

#define LISTS_ONE_NAME(scenario_name, bytes)                                                  \
    static void scenario_name(const struct file_request *request, struct base_writer *writer) \
    {                                                                                         \
        if (request->operation != FILE_LIST) {                                                \
            answer_honestly(request, writer);                                                 \
            return;                                                                           \
        }                                                                                     \
        begin_list(writer);                                                                   \
        add_raw(writer, FILE_KIND_REGULAR, bytes, sizeof(bytes) - 1, "", 1);                  \
    }

LISTS_ONE_NAME(lists_parent, "..")
LISTS_ONE_NAME(lists_self, ".")
LISTS_ONE_NAME(lists_empty, "")
LISTS_ONE_NAME(lists_way_out, "../outside/trap")
LISTS_ONE_NAME(lists_absolute, "/tmp/missive-trap")
LISTS_ONE_NAME(lists_zero, "a\0b")

static void names_that_lead_out_end_the_fetch(void **state)
{
    assert_fails(*state, lists_parent, "malformed");
    assert_fails(*state, lists_self, "malformed");
    assert_fails(*state, lists_empty, "malformed");
    assert_fails(*state, lists_way_out, "malformed");
    assert_fails(*state, lists_absolute, "malformed");
    assert_fails(*state, lists_zero, "malformed");
}

static void lists_link(const struct file_request *request, struct base_writer *writer)
{
    (void)request;
    begin_list(writer);
    add(writer, FILE_KIND_LINK, "way", 0);
}

static void lists_directory(const struct file_request *request, struct base_writer *writer)
{
    if (request->operation != FILE_LIST) {
        answer_honestly(request, writer);
        return;
    }
    begin_list(writer);
    if (request->path.length == 0)
        add(writer, FILE_KIND_DIRECTORY, "way", 0);
    else
        add(writer, FILE_KIND_REGULAR, "trap", 1);
}

static void a_link_of_an_earlier_fetch_is_no_way_out(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fetch_from(fixture, lists_link), 0);
    assert_fails(fixture, lists_directory, "in the way");
}

static void lists_both(const struct file_request *request, struct base_writer *writer)
{
    if (request->operation != FILE_LIST || request->path.length > 0) {
        lists_directory(request, writer);
        return;
    }
    begin_list(writer);
    add(writer, FILE_KIND_LINK, "way", 0);
    add(writer, FILE_KIND_DIRECTORY, "way", 0);
}

static void a_name_that_is_link_and_directory_ends_the_fetch(void **state)
{
    assert_fails(*state, lists_both, "malformed");
}

static void lists_for_ever(const struct file_request *request, struct base_writer *writer)
{
    (void)request;
    begin_list(writer);
    add(writer, FILE_KIND_SPECIAL, "again", 0);
    file_list_set_more(writer);
}

static void a_listing_that_repeats_itself_ends_the_fetch(void **state)
{
    assert_fails(*state, lists_for_ever, "malformed");
}

static void answers_garbage(const struct file_request *request, struct base_writer *writer)
{
    uint8_t *bytes = NULL;

    (void)request;
    if (base_write_take(writer, 26, &bytes))
        memcpy(bytes, "HTTP/1.1 400 Bad Request\r\n", 26);
}

static void answers_one_byte(const struct file_request *request, struct base_writer *writer)
{
    (void)request;
    base_write_u8(writer, 'M');
}

static void a_server_of_something_else_is_recognised(void **state)
{
    assert_fails(*state, answers_garbage, "not as `missive serve` does");
    assert_fails(*state, answers_one_byte, "not as `missive serve` does");
}

static void speaks_version_2(const struct file_request *request, struct base_writer *writer)
{
    file_response_header(writer, request->operation, FILE_BAD_VERSION);
    writer->begin[2] = 2;
}

static void a_server_of_another_version_is_recognised(void **state)
{
    assert_fails(*state, speaks_version_2, "another version");
}

/* One file "file" of the given size; the rest is up to the scenario. */
static bool list_file(const struct file_request *request, struct base_writer *writer, uint64_t size)
{
    if (request->operation != FILE_LIST)
        return false;
    begin_list(writer);
    add(writer, FILE_KIND_REGULAR, "file", size);
    return true;
}

static void lies_about_digest(const struct file_request *request, struct base_writer *writer)
{
    if (list_file(request, writer, 1))
        return;
    if (request->operation == FILE_READ)
        answer_read(writer);
    else
        answer_digest(writer, false, 1);
}

static void changes_file(const struct file_request *request, struct base_writer *writer)
{
    if (list_file(request, writer, 1))
        return;
    if (request->operation == FILE_READ)
        answer_read(writer);
    else
        answer_digest(writer, false, 2);
}

static void shortens_file(const struct file_request *request, struct base_writer *writer)
{
    if (!list_file(request, writer, UINT64_C(1) << 62))
        answer_honestly(request, writer);
}

static void removes_file(const struct file_request *request, struct base_writer *writer)
{
    if (!list_file(request, writer, 1))
        file_response_header(writer, request->operation, FILE_NOT_FOUND);
}

static void denies_file(const struct file_request *request, struct base_writer *writer)
{
    if (!list_file(request, writer, 1))
        file_response_header(writer, request->operation, FILE_DENIED);
}

static void assert_file_fails(struct fixture *fixture, scenario *answer, const char *message)
{
    assert_fails(fixture, answer, message);
    assert_false(scratch_exists(fixture->scratch, "dest/file"));
}

static void a_file_that_cannot_be_verified_does_not_get_its_name(void **state)
{
    assert_file_fails(*state, lies_about_digest, "file: arrived with another SHA-256");
    assert_file_fails(*state, changes_file, "file: changed on the server");
    assert_file_fails(*state, shortens_file, "file: became shorter");
    assert_file_fails(*state, removes_file, "file: vanished");
    assert_file_fails(*state, denies_file, "file: the server may not read it");
}

static void sends_too_much(const struct file_request *request, struct base_writer *writer)
{
    if (list_file(request, writer, 1))
        return;
    answer_honestly(request, writer);
    if (request->operation == FILE_READ)
        base_write_u8(writer, 'y');
}

static void cuts_digest(const struct file_request *request, struct base_writer *writer)
{
    if (list_file(request, writer, 1))
        return;
    if (request->operation == FILE_READ)
        answer_read(writer);
    else
        file_response_header(writer, FILE_DIGEST, FILE_OK);
}

static void malformed_answers_end_the_fetch(void **state)
{
    assert_file_fails(*state, sends_too_much, "not as `missive serve` does");
    assert_file_fails(*state, cuts_digest, "digest that is malformed");
}

static void lists_control_characters(const struct file_request *request, struct base_writer *writer)
{
    (void)request;
    begin_list(writer);
    add(writer, FILE_KIND_UNKNOWN, "a\033[2Jb", 0);
}

static void names_do_not_command_the_terminal(void **state)
{
    struct fixture *fixture = *state;

    assert_fails(fixture, lists_control_characters, "a\\x1b[2Jb: ");
    assert_null(strchr(fixture->output, '\033'));
}

static void lists_set_user_id(const struct file_request *request, struct base_writer *writer)
{
    if (request->operation != FILE_LIST) {
        answer_honestly(request, writer);
        return;
    }
    begin_list(writer);
    add(writer, FILE_KIND_REGULAR, "file", 1);
    writer->begin[FILE_RESPONSE_HEADER + 4 + 2] = 0x0f; /* mode 07755 */
    writer->begin[FILE_RESPONSE_HEADER + 4 + 3] = 0xed;
}

static void an_honest_file_arrives_without_its_set_user_id(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;

    assert_int_equal(fetch_from(fixture, lists_set_user_id), 0);
    assert_string_equal(scratch_read(fixture->scratch, "dest/file"), "x");
    assert_int_equal(fstatat(fixture->scratch->root, "dest/file", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0755);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(names_that_lead_out_end_the_fetch),
        WITH_SERVER(a_link_of_an_earlier_fetch_is_no_way_out),
        WITH_SERVER(a_name_that_is_link_and_directory_ends_the_fetch),
        WITH_SERVER(a_listing_that_repeats_itself_ends_the_fetch),
        WITH_SERVER(a_server_of_something_else_is_recognised),
        WITH_SERVER(a_server_of_another_version_is_recognised),
        WITH_SERVER(a_file_that_cannot_be_verified_does_not_get_its_name),
        WITH_SERVER(malformed_answers_end_the_fetch),
        WITH_SERVER(names_do_not_command_the_terminal),
        WITH_SERVER(an_honest_file_arrives_without_its_set_user_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
