/*
 * Calls against a server in the same process: every way in which they fail, and that each thread
 * and each cookie gets its own answer.
 */
#include <missive/rpc.h>
#include <missive/socket.h>

#include "rpc/rpc_support.h"
#include "support/test.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONGEST 1000000

static uint8_t longest[LONGEST + 1];

/* A call with these bytes brings them back. */
static void expect_echo(struct msv_client *client, const char *address, size_t length,
                        uint32_t seed)
{
    uint8_t *bytes = test_bytes(length, seed);
    struct msv_message *response = NULL;

    if (msv_call(client, address, bytes, length, -1, &response) != 0)
        fail_msg("%s", msv_rpc_errmsg());
    test_expect_bytes(response, length, seed);
    msv_message_free(response);
    free(bytes);
}

/* ---- calls that fail ---- */

static void an_address_that_cannot_be_called_is_refused(void **state)
{
    struct msv_client *client = test_client(NULL);
    struct msv_message *response = (struct msv_message *)longest;
    struct sockaddr_storage address;

    (void)state;
    assert_int_equal(msv_call(client, "foo", "x", 1, -1, &response), -EINVAL);
    assert_null(response);
    assert_string_equal(msv_rpc_errmsg(),
                        "server must be host:port, like 127.0.0.1:4000; got 'foo'");
    assert_int_equal(msv_call(client, "*:4000", "x", 1, -1, &response), -EINVAL);
    assert_string_equal(msv_rpc_errmsg(),
                        "a call needs a host and a port, like 127.0.0.1:4000; got '*:4000'");
    assert_int_equal(msv_resolve(client, "127.0.0.1:0", &address), -EINVAL);
    memset(&address, 0, sizeof(address));
    assert_int_equal(msv_call_begin(client, &address, "x", 1, 1, NULL), -EINVAL);
    assert_string_equal(msv_rpc_errmsg(),
                        "the server's address is neither IPv4 nor IPv6 (family 0)");
    msv_client_close(client);
}

static void an_ipv4_client_refuses_ipv6_addresses(void **state)
{
    const struct msv_rpc_options options = {.family = AF_INET};
    struct msv_client *client = test_client(&options);
    struct msv_message *response = NULL;

    (void)state;
    assert_int_equal(msv_call(client, "[::1]:4000", "x", 1, -1, &response), -EINVAL);
    assert_string_equal(msv_rpc_errmsg(),
                        "'::1' is an IPv6 address, and this socket is for IPv4 only");
    msv_client_close(client);
}

static void an_unknown_family_is_refused(void **state)
{
    const struct msv_rpc_options options = {.family = AF_UNIX};
    struct msv_client *client = (struct msv_client *)longest;

    (void)state;
    assert_int_equal(msv_client_open(&client, &options), -EINVAL);
    assert_null(client);
    assert_string_equal(msv_rpc_errmsg(), "family must be AF_INET, AF_INET6 or 0; got 1");
}

static void too_many_buffer_bytes_are_refused(void **state)
{
    const struct msv_rpc_options options = {.buffer_bytes = ((size_t)1 << 32) + 1};
    struct msv_client *client = NULL;

    (void)state;
    assert_int_equal(msv_client_open(&client, &options), -EINVAL);
    assert_non_null(strstr(msv_rpc_errmsg(), "buffer_bytes must be at most 4294967296"));
}

static void an_error_in_the_configuration_is_told(void **state)
{
    struct msv_client *client = NULL;

    (void)state;
    assert_int_equal(setenv("MISSIVE_WINDW", "7", 1), 0);
    assert_int_equal(msv_client_open(&client, NULL), -EINVAL);
    assert_int_equal(unsetenv("MISSIVE_WINDW"), 0);
    assert_non_null(strstr(msv_rpc_errmsg(), "did you mean MISSIVE_WINDOW?"));
}

static void a_request_of_no_or_too_many_bytes_is_refused(void **state)
{
    struct msv_client *client = test_client(NULL);
    struct msv_message *response = NULL;

    (void)state;
    assert_int_equal(msv_call(client, "127.0.0.1:4000", "", 0, -1, &response), -EINVAL);
    assert_string_equal(msv_rpc_errmsg(), "a message has 1 to 1000000 bytes; this one has 0");
    assert_int_equal(msv_call(client, "127.0.0.1:4000", longest, LONGEST + 1, -1, &response),
                     -EINVAL);
    assert_string_equal(msv_rpc_errmsg(), "a message has 1 to 1000000 bytes; this one has 1000001");
    msv_client_close(client);
}

static void a_port_where_nobody_listens_is_told_at_once(void **state)
{
    struct test_server server;
    struct msv_client *client = test_client(NULL);
    struct msv_message *response = NULL;
    struct sockaddr_storage address;
    char sentence[64];
    uint64_t cookie = 0;
    int finished = 0;

    (void)state;
    test_server_start(&server, 1, test_echo, NULL);
    test_server_stop(&server); /* its port is now free */
    assert_int_equal(msv_call(client, server.address, "x", 1, -1, &response), -ENOTCONN);
    assert_null(response);
    (void)snprintf(sentence, sizeof(sentence), "nobody listens at %s", server.address);
    assert_string_equal(msv_rpc_errmsg(), sentence);

    assert_int_equal(msv_resolve(client, server.address, &address), 0);
    assert_int_equal(msv_call_begin(client, &address, "x", 1, 77, NULL), 0);
    assert_int_equal(msv_call_end(client, -1, &cookie, &response, &finished), -ENOTCONN);
    assert_int_equal(finished, 1);
    assert_int_equal(cookie, 77);
    assert_null(response);
    assert_string_equal(msv_rpc_errmsg(), sentence);
    msv_client_close(client);
}

static void a_call_gives_up_at_its_timeout_and_the_client_goes_on(void **state)
{
    struct test_server server;
    struct test_shelf shelf;
    struct msv_client *client = test_client(NULL);
    struct msv_message *response = NULL;
    char sentence[64];

    (void)state;
    test_shelf_begin(&shelf);
    test_server_start(&server, 1, test_keep, &shelf);
    assert_int_equal(msv_call(client, server.address, "late", 4, 30, &response), -ETIMEDOUT);
    assert_null(response);
    (void)snprintf(sentence, sizeof(sentence), "no answer from %s within 30 ms", server.address);
    assert_string_equal(msv_rpc_errmsg(), sentence);
    /* Its client is gone, which the server need not care about. */
    assert_int_equal(msv_reply(test_shelf_take(&shelf), "too late", 8), 0);

    assert_int_equal(msv_call(client, server.address, "x", 1, 0, &response), -ETIMEDOUT);
    test_server_stop(&server);
    test_shelf_end(&shelf);

    test_server_start(&server, 1, test_echo, NULL);
    expect_echo(client, server.address, 100, 1);
    msv_client_close(client);
    test_server_stop(&server);
}

static void there_is_nothing_to_end_when_nothing_was_begun(void **state)
{
    struct msv_client *client = test_client(NULL);
    struct msv_message *response = (struct msv_message *)longest;
    uint64_t cookie = 1;
    int finished = 1;

    (void)state;
    assert_int_equal(msv_call_end(client, 0, &cookie, &response, &finished), -EAGAIN);
    assert_int_equal(finished, 0);
    assert_null(response);
    assert_int_equal(msv_call_end(client, 5, &cookie, &response, &finished), -EAGAIN);
    msv_client_close(client);
}

static void a_call_that_is_over_cannot_be_aborted(void **state)
{
    struct msv_client *client = test_client(NULL);

    (void)state;
    assert_int_equal(msv_call_abort(client, 0), -ENOENT);
    assert_int_equal(msv_call_abort(client, 2), -ENOENT);
    assert_string_equal(msv_rpc_errmsg(), "there is no call 2, or it is over");
    msv_client_close(client);
}

static void an_aborted_call_does_not_finish(void **state)
{
    struct test_server server;
    struct test_shelf shelf;
    struct msv_client *client = test_client(NULL);
    struct sockaddr_storage address;
    struct msv_message *response = NULL;
    uint64_t cookie = 0;
    uint64_t id = 0;
    int finished = 0;

    (void)state;
    test_shelf_begin(&shelf);
    test_server_start(&server, 1, test_keep, &shelf);
    assert_int_equal(msv_resolve(client, server.address, &address), 0);
    assert_int_equal(msv_call_begin(client, &address, "1", 1, 1, &id), 0);
    struct msv_request *first = test_shelf_take(&shelf);
    assert_int_equal(msv_call_begin(client, &address, "2", 1, 2, NULL), 0);
    assert_int_equal(msv_call_abort(client, id), 0);
    assert_int_equal(msv_call_abort(client, id), -ENOENT);
    assert_int_equal(msv_reply(first, "x", 1), 0);
    assert_int_equal(msv_reply(test_shelf_take(&shelf), "x", 1), 0);
    assert_int_equal(msv_call_end(client, -1, &cookie, &response, &finished), 0);
    assert_int_equal(cookie, 2);
    msv_message_free(response);
    assert_int_equal(msv_call_end(client, 0, &cookie, &response, &finished), -EAGAIN);
    msv_client_close(client);
    test_server_stop(&server);
    test_shelf_end(&shelf);
}

/* ---- waiting that is cut short ---- */

struct waiting {
    struct msv_client *client;
    const char *address;
    int result;
    int finished;
    sem_t there; /* the thread is about to wait */
};

static void *wait_in_call(void *argument)
{
    struct waiting *waiting = argument;
    struct msv_message *response = NULL;

    waiting->result = msv_call(waiting->client, waiting->address, "x", 1, -1, &response);
    msv_message_free(response);
    return NULL;
}

static void *wait_for_the_end(void *argument)
{
    struct waiting *waiting = argument;
    struct msv_message *response = NULL;
    uint64_t cookie = 0;

    (void)sem_post(&waiting->there);
    waiting->result = msv_call_end(waiting->client, -1, &cookie, &response, &waiting->finished);
    return NULL;
}

static void closing_a_client_ends_calls_that_wait_in_it(void **state)
{
    struct test_server server;
    struct test_shelf shelf;
    pthread_t threads[4];
    struct waiting waiting[4];

    (void)state;
    test_shelf_begin(&shelf);
    test_server_start(&server, 1, test_keep, &shelf);
    struct msv_client *client = test_client(NULL);
    for (int i = 0; i < 4; i++) {
        waiting[i] = (struct waiting){.client = client, .address = server.address, .result = 1};
        assert_int_equal(sem_init(&waiting[i].there, 0, 0), 0);
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < 3 ? wait_in_call : wait_for_the_end, &waiting[i]),
            0);
    }
    for (int i = 0; i < 3; i++)
        msv_drop(test_shelf_take(&shelf)); /* they are in their calls now */
    /* The fourth is a few instructions away from its own, which nothing can show. */
    assert_int_equal(sem_wait(&waiting[3].there), 0);
    (void)usleep(100000);
    msv_client_close(client);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(waiting[i].result, -ESHUTDOWN);
    }
    assert_int_equal(waiting[3].finished, 0);
    test_server_stop(&server);
    test_shelf_end(&shelf);
}

static void a_cancelled_thread_does_not_keep_its_client_from_closing(void **state)
{
    struct test_server server;
    struct test_shelf shelf;
    pthread_t thread;

    (void)state;
    test_shelf_begin(&shelf);
    test_server_start(&server, 1, test_keep, &shelf);
    struct waiting waiting = {.client = test_client(NULL), .address = server.address};
    assert_int_equal(pthread_create(&thread, NULL, wait_in_call, &waiting), 0);
    struct msv_request *request = test_shelf_take(&shelf);
    assert_int_equal(pthread_cancel(thread), 0);
    msv_client_close(waiting.client);
    assert_int_equal(pthread_join(thread, NULL), 0);
    msv_drop(request);
    test_server_stop(&server);
    test_shelf_end(&shelf);
}

/* A UDP port that takes packets and never answers. Its descriptor; address gets its name. */
static int silent_port(struct sockaddr_storage *address)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    memset(address, 0, sizeof(*address));
    memcpy(address, &name, sizeof(name));
    return fd;
}

static void while_too_much_is_queued_calls_wait_up_to_their_timeout(void **state)
{
    struct sockaddr_storage address;
    int fd = silent_port(&address);
    struct msv_message *response = NULL;
    uint64_t cookie = 0;
    int finished = 0;

    (void)state;
    assert_int_equal(setenv("MISSIVE_WMEM_MAX", "1000", 1), 0);
    assert_int_equal(setenv("MISSIVE_TIMEOUT_TICKS", "200", 1), 0);
    struct msv_client *client = test_client(NULL);
    assert_int_equal(unsetenv("MISSIVE_WMEM_MAX"), 0);
    assert_int_equal(unsetenv("MISSIVE_TIMEOUT_TICKS"), 0);

    assert_int_equal(msv_call_begin(client, &address, longest, LONGEST, 1, NULL), 0);
    assert_int_equal(msv_call_address(client, &address, "x", 1, 20, &response), -ETIMEDOUT);
    assert_string_equal(msv_rpc_errmsg(), "too much is queued to be sent (knob wmem_max)");
    /* This one waits until the first has failed and made room. */
    assert_int_equal(msv_call_begin(client, &address, "x", 1, 2, NULL), 0);
    assert_int_equal(msv_call_end(client, 0, &cookie, &response, &finished), -ETIMEDOUT);
    assert_int_equal(cookie, 1);
    msv_client_close(client);
    (void)close(fd);
}

static void on_signal(int number)
{
    (void)number;
}

/* Signals the thread until it has written `done`. */
static void signal_until(pthread_t thread, atomic_bool *done)
{
    while (!atomic_load(done)) {
        assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
        (void)usleep(2000);
    }
}

struct interrupted {
    struct waiting waiting;
    atomic_bool is_done;
};

static void *wait_and_tell(void *argument)
{
    struct interrupted *interrupted = argument;

    (void)sem_init(&interrupted->waiting.there, 0, 0);
    (void)wait_for_the_end(&interrupted->waiting);
    atomic_store(&interrupted->is_done, true);
    return NULL;
}

static void a_signal_interrupts_the_wait_for_any_call(void **state)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct interrupted interrupted = {.waiting = {.client = test_client(NULL)}};
    pthread_t thread;

    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_and_tell, &interrupted), 0);
    signal_until(thread, &interrupted.is_done);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(interrupted.waiting.result, -EINTR);
    assert_int_equal(interrupted.waiting.finished, 0);
    msv_client_close(interrupted.waiting.client);
}

static void signals_do_not_interrupt_a_blocking_call(void **state)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct test_server server;
    struct test_shelf shelf;
    pthread_t thread;

    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    test_shelf_begin(&shelf);
    test_server_start(&server, 1, test_keep, &shelf);
    struct waiting waiting = {.client = test_client(NULL), .address = server.address, .result = 1};
    assert_int_equal(pthread_create(&thread, NULL, wait_in_call, &waiting), 0);
    struct msv_request *request = test_shelf_take(&shelf);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
        (void)usleep(1000);
    }
    assert_int_equal(msv_reply(request, "x", 1), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(waiting.result, 0);
    msv_client_close(waiting.client);
    test_server_stop(&server);
    test_shelf_end(&shelf);
}

/* ---- calls that succeed ---- */

static void a_call_brings_back_what_the_server_answered(void **state)
{
    static const size_t lengths[] = {1, 100, 1400, 39999, 40001, 65536, 65537, 500000, LONGEST};
    struct test_server server;
    struct msv_client *client = test_client(NULL);

    (void)state;
    test_server_start(&server, 1, test_echo, NULL);
    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        expect_echo(client, server.address, lengths[i], i);
    msv_client_close(client);
    test_server_stop(&server);
}

static void both_families_reach_an_ipv4_server(void **state)
{
    const struct msv_rpc_options options[] = {{.family = AF_INET}, {.family = AF_INET6}};
    struct test_server server;

    (void)state;
    test_server_start(&server, 1, test_echo, NULL);
    for (int i = 0; i < 2; i++) {
        struct msv_client *client = NULL;
        struct msv_message *response = NULL;
        struct sockaddr_storage peer;

        if (msv_client_open(&client, &options[i]) == -EAFNOSUPPORT)
            continue;
        assert_int_equal(msv_call(client, server.address, "x", 1, -1, &response), 0);
        msv_message_peer(response, &peer);
        assert_int_equal(peer.ss_family, AF_INET);
        assert_int_equal(ntohs(((struct sockaddr_in *)&peer)->sin_port),
                         msv_server_port(server.server));
        msv_message_free(response);
        msv_client_close(client);
    }
    test_server_stop(&server);
}

#define CALLERS       8
#define CALLS_OF_EACH 200

struct caller {
    struct msv_client *client;
    const char *address;
    uint32_t number;
};

static void *call_often(void *argument)
{
    const struct caller *caller = argument;

    for (uint32_t i = 0; i < CALLS_OF_EACH; i++)
        expect_echo(caller->client, caller->address, 1 + (i * 97 + caller->number) % 5000,
                    caller->number * 1000 + i);
    return NULL;
}

static void threads_that_share_a_client_each_get_their_own_answers(void **state)
{
    struct test_server server;
    struct msv_client *client = test_client(NULL);
    pthread_t threads[CALLERS];
    struct caller callers[CALLERS];

    (void)state;
    test_server_start(&server, 3, test_echo, NULL);
    for (uint32_t i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.client = client, .address = server.address, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    msv_client_close(client);
    test_server_stop(&server);
}

#define OUTSTANDING 1000

static void calls_begun_finish_with_their_cookies_while_others_block(void **state)
{
    struct test_server server;
    struct msv_client *client = test_client(NULL);
    struct sockaddr_storage address;
    static bool is_finished[OUTSTANDING];
    pthread_t thread;

    (void)state;
    test_server_start(&server, 2, test_echo, NULL);
    struct caller caller = {.client = client, .address = server.address, .number = 9};
    assert_int_equal(pthread_create(&thread, NULL, call_often, &caller), 0);
    assert_int_equal(msv_resolve(client, server.address, &address), 0);
    for (uint32_t i = 0; i < OUTSTANDING; i++) {
        uint8_t *bytes = test_bytes(1 + i, i);

        assert_int_equal(msv_call_begin(client, &address, bytes, 1 + i, i, NULL), 0);
        free(bytes);
    }
    for (uint32_t i = 0; i < OUTSTANDING; i++) {
        struct msv_message *response = NULL;
        uint64_t cookie = 0;
        int finished = 0;

        assert_int_equal(msv_call_end(client, -1, &cookie, &response, &finished), 0);
        assert_int_equal(finished, 1);
        assert_true(cookie < OUTSTANDING && !is_finished[cookie]);
        is_finished[cookie] = true;
        test_expect_bytes(response, 1 + (size_t)cookie, (uint32_t)cookie);
        msv_message_free(response);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    msv_client_close(client);
    test_server_stop(&server);
}

static void the_descriptor_tells_when_a_call_begun_has_finished(void **state)
{
    struct test_server server;
    struct test_shelf shelf;
    struct msv_client *client = test_client(NULL);
    struct sockaddr_storage address;
    struct pollfd descriptor = {.fd = msv_client_descriptor(client), .events = POLLIN};
    struct msv_message *response = NULL;
    uint64_t cookie = 0;
    int finished = 0;

    (void)state;
    test_shelf_begin(&shelf);
    test_server_start(&server, 1, test_keep, &shelf);
    assert_int_equal(msv_resolve(client, server.address, &address), 0);
    assert_int_equal(msv_call_begin(client, &address, "x", 1, 5, NULL), 0);
    assert_int_equal(poll(&descriptor, 1, 0), 0);
    assert_int_equal(msv_reply(test_shelf_take(&shelf), "y", 1), 0);
    assert_int_equal(poll(&descriptor, 1, 10000), 1);
    assert_int_equal(msv_call_end(client, 0, &cookie, &response, &finished), 0);
    assert_int_equal(cookie, 5);
    msv_message_free(response);
    assert_int_equal(poll(&descriptor, 1, 0), 0);
    msv_client_close(client);
    test_server_stop(&server);
    test_shelf_end(&shelf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_cannot_be_called_is_refused),
        cmocka_unit_test(an_ipv4_client_refuses_ipv6_addresses),
        cmocka_unit_test(an_unknown_family_is_refused),
        cmocka_unit_test(too_many_buffer_bytes_are_refused),
        cmocka_unit_test(an_error_in_the_configuration_is_told),
        cmocka_unit_test(a_request_of_no_or_too_many_bytes_is_refused),
        cmocka_unit_test(a_port_where_nobody_listens_is_told_at_once),
        cmocka_unit_test(a_call_gives_up_at_its_timeout_and_the_client_goes_on),
        cmocka_unit_test(there_is_nothing_to_end_when_nothing_was_begun),
        cmocka_unit_test(a_call_that_is_over_cannot_be_aborted),
        cmocka_unit_test(an_aborted_call_does_not_finish),
        cmocka_unit_test(closing_a_client_ends_calls_that_wait_in_it),
        cmocka_unit_test(a_cancelled_thread_does_not_keep_its_client_from_closing),
        cmocka_unit_test(while_too_much_is_queued_calls_wait_up_to_their_timeout),
        cmocka_unit_test(a_signal_interrupts_the_wait_for_any_call),
        cmocka_unit_test(signals_do_not_interrupt_a_blocking_call),
        cmocka_unit_test(a_call_brings_back_what_the_server_answered),
        cmocka_unit_test(both_families_reach_an_ipv4_server),
        cmocka_unit_test(threads_that_share_a_client_each_get_their_own_answers),
        cmocka_unit_test(calls_begun_finish_with_their_cookies_while_others_block),
        cmocka_unit_test(the_descriptor_tells_when_a_call_begun_has_finished),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
