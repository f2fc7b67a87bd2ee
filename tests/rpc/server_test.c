/*
 * Serving: what a server cannot listen on, how it stops, and what becomes of requests that are
 * kept, dropped, or answered wrongly.
 */
#include <missive/rpc.h>

#include "rpc/rpc_support.h"
#include "support/test.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static uint8_t longest[1000001];

/* The thread sanitizer objects to threads in a child that was forked by a process with threads. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

static void expect_no_server(const char *address, int error, const char *sentence)
{
    struct msv_server *server = (struct msv_server *)longest;

    assert_int_equal(msv_server_open(&server, address, NULL), error);
    assert_null(server);
    assert_string_equal(msv_rpc_errmsg(), sentence);
}

/* Calls and expects this text back. */
static void expect_answer(const char *address, const char *request, const char *answer)
{
    struct msv_client *client = test_client(NULL);
    struct msv_message *response = NULL;
    char text[100];

    if (msv_call(client, address, request, strlen(request), -1, &response) != 0)
        fail_msg("%s", msv_rpc_errmsg());
    size_t length = msv_message_read(response, 0, text, sizeof(text) - 1);
    text[length] = '\0';
    assert_string_equal(text, answer);
    msv_message_free(response);
    msv_client_close(client);
}

/* ---- opening ---- */

static void an_address_that_cannot_be_listened_on_is_refused(void **state)
{
    (void)state;
    expect_no_server("4000", -EINVAL,
                     "a server's address must be host:port, like 127.0.0.1:4000; got '4000'");
    expect_no_server("*:32768", -EINVAL,
                     "a server's port is 1 to 32767, or 0 for any free one; got 32768");
    expect_no_server("192.0.2.1:4000", -EADDRNOTAVAIL,
                     "192.0.2.1:4000 is not an address of this machine");
}

static void a_port_in_use_is_told(void **state)
{
    struct test_server first;
    char sentence[80];

    (void)state;
    test_server_start(&first, 0, test_echo, NULL);
    (void)snprintf(sentence, sizeof(sentence), "another program listens at %s", first.address);
    expect_no_server(first.address, -EADDRINUSE, sentence);
    test_server_stop(&first);
}

static void a_server_without_a_port_gets_a_free_one_for_servers(void **state)
{
    struct test_server servers[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        test_server_start(&servers[i], 1, test_echo, NULL);
        assert_in_range(msv_server_port(servers[i].server), 1024, 32767);
        for (int j = 0; j < i; j++)
            assert_int_not_equal(msv_server_port(servers[i].server),
                                 msv_server_port(servers[j].server));
    }
    for (int i = 0; i < 3; i++) {
        expect_answer(servers[i].address, "hello", "hello");
        test_server_stop(&servers[i]);
    }
}

static void *run_echo(void *server)
{
    return (void *)(intptr_t)msv_server_run(server, test_echo, NULL);
}

static void a_server_of_all_addresses_is_reached_by_both_families(void **state)
{
    struct msv_server *server = NULL;
    pthread_t thread;
    char address[32];
    struct msv_client *client = NULL;
    const struct msv_rpc_options ipv6 = {.family = AF_INET6};

    (void)state;
    assert_int_equal(msv_server_open(&server, "*:0", NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_echo, server), 0);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%d", msv_server_port(server));
    expect_answer(address, "by IPv4", "by IPv4");
    if (msv_client_open(&client, &ipv6) == 0) {
        (void)snprintf(address, sizeof(address), "[::1]:%d", msv_server_port(server));
        expect_answer(address, "by IPv6", "by IPv6");
        msv_client_close(client);
    }
    msv_server_stop(server);
    assert_int_equal(pthread_join(thread, NULL), 0);
    msv_server_close(server);
}

static void an_ipv6_server_serves(void **state)
{
    struct msv_server *server = NULL;
    pthread_t thread;
    char address[32];

    (void)state;
    if (msv_server_open(&server, "[::1]:0", NULL) != 0)
        skip(); /* a machine without IPv6 */
    assert_int_equal(pthread_create(&thread, NULL, run_echo, server), 0);
    (void)snprintf(address, sizeof(address), "[::1]:%d", msv_server_port(server));
    expect_answer(address, "hello", "hello");
    msv_server_stop(server);
    assert_int_equal(pthread_join(thread, NULL), 0);
    msv_server_close(server);
}

static void closing_nothing_is_allowed(void **state)
{
    (void)state;
    msv_server_close(NULL);
    msv_client_close(NULL);
    msv_message_free(NULL);
    msv_drop(NULL);
}

/* ---- stopping ---- */

static void a_stopped_server_does_not_run(void **state)
{
    struct test_server server;

    (void)state;
    test_server_start(&server, 0, test_echo, NULL);
    msv_server_stop(server.server);
    msv_server_stop(server.server);
    assert_int_equal(msv_server_run(server.server, test_echo, NULL), 0);
    test_server_stop(&server);
}

static void stopping_ends_every_thread_that_waits(void **state)
{
    struct test_server server;

    (void)state;
    test_server_start(&server, TEST_THREADS_MAX, test_echo, NULL);
    expect_answer(server.address, "they are there", "they are there");
    test_server_stop(&server); /* joins them all */
}

static struct msv_server *signalled;

static void stop_on_signal(int number)
{
    (void)number;
    msv_server_stop(signalled);
}

static void a_signal_handler_may_stop_a_server(void **state)
{
    struct sigaction action = {.sa_handler = stop_on_signal};
    struct test_server server;

    (void)state;
    test_server_start(&server, 2, test_echo, NULL);
    signalled = server.server;
    assert_int_equal(sigaction(SIGUSR2, &action, NULL), 0);
    expect_answer(server.address, "before", "before");
    assert_int_equal(raise(SIGUSR2), 0);
    test_server_stop(&server);
}

/* Answers, and stops its own server. context: the server. */
static void answer_and_stop(void *context, struct msv_request *request)
{
    struct test_server *server = context;

    msv_server_stop(server->server);
    assert_int_equal(msv_reply(request, "bye", 3), 0);
}

static void a_handler_may_stop_its_server(void **state)
{
    struct test_server server;

    (void)state;
    test_server_start(&server, 1, answer_and_stop, &server);
    expect_answer(server.address, "stop", "bye");
    test_server_stop(&server);
}

/* Answers once two threads are in it. context: their barrier. */
static void meet_and_answer(void *context, struct msv_request *request)
{
    (void)pthread_barrier_wait(context);
    test_echo(NULL, request);
}

static void closing_ends_threads_that_still_run(void **state)
{
    struct test_server server;
    struct sockaddr_storage address;
    struct msv_client *client = test_client(NULL);
    pthread_barrier_t both_run;

    (void)state;
    assert_int_equal(pthread_barrier_init(&both_run, NULL, 2), 0);
    test_server_start(&server, 2, meet_and_answer, &both_run);
    assert_int_equal(msv_resolve(client, server.address, &address), 0);
    for (uint64_t call = 0; call < 2; call++)
        assert_int_equal(msv_call_begin(client, &address, "x", 1, call, NULL), 0);
    for (int call = 0; call < 2; call++) {
        struct msv_message *response = NULL;
        uint64_t cookie = 0;
        int is_finished = 0;

        assert_int_equal(msv_call_end(client, -1, &cookie, &response, &is_finished), 0);
        msv_message_free(response);
    }
    msv_client_close(client);
    msv_server_close(server.server);
    for (unsigned i = 0; i < server.thread_count; i++) {
        void *result = NULL;

        assert_int_equal(pthread_join(server.threads[i], &result), 0);
        assert_int_equal((intptr_t)result, -ESHUTDOWN);
    }
    (void)pthread_barrier_destroy(&both_run);
}

/* Answers, and stops its server when the request is "stop". context: the server. */
static void echo_or_stop(void *context, struct msv_request *request)
{
    char text[5] = "";

    msv_message_read(msv_request_message(request), 0, text, sizeof(text) - 1);
    if (strcmp(text, "stop") == 0)
        msv_server_stop(context);
    test_echo(NULL, request);
}

/* Opens a server, tells its port, and serves from a child of its own, as daemon() does. */
static void become_daemon(int pipe_end)
{
    struct msv_server *server = NULL;
    int port = 0;

    if (msv_server_open(&server, "127.0.0.1:0", NULL) == 0)
        port = msv_server_port(server);
    if (port == 0 || fork() != 0)
        _exit(0);
    if (write(pipe_end, &port, sizeof(port)) != sizeof(port))
        _exit(1);
    if (msv_server_run(server, echo_or_stop, server) != 0)
        _exit(1);
    msv_server_close(server);
    _exit(write(pipe_end, "", 1) == 1 ? 0 : 1);
}

static void a_server_may_be_opened_before_the_process_becomes_a_daemon(void **state)
{
    int ends[2];
    int port = 0;
    char address[32];
    char end = 1;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        become_daemon(ends[1]);
    (void)close(ends[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(read(ends[0], &port, sizeof(port)), sizeof(port));
    (void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
    expect_answer(address, "hello", "hello");
    expect_answer(address, "stop", "stop");
    assert_int_equal(read(ends[0], &end, 1), 1); /* it has closed its server and is done */
    (void)close(ends[0]);
}

/* ---- answering ---- */

struct asking {
    char address[32];
    int timeout_ms;
    int result;
    char answer[16];
};

static void *ask(void *argument)
{
    struct asking *asking = argument;
    struct msv_client *client = test_client(NULL);
    struct msv_message *response = NULL;

    asking->result =
        msv_call(client, asking->address, "question", 8, asking->timeout_ms, &response);
    if (response != NULL)
        msv_message_read(response, 0, asking->answer, sizeof(asking->answer) - 1);
    msv_message_free(response);
    msv_client_close(client);
    return NULL;
}

static void a_wrong_answer_leaves_the_request_to_be_answered(void **state)
{
    struct test_server server;
    struct test_shelf shelf;
    struct asking asking = {.timeout_ms = -1};
    pthread_t thread;

    (void)state;
    test_shelf_begin(&shelf);
    test_server_start(&server, 1, test_keep, &shelf);
    strcpy(asking.address, server.address);
    assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
    struct msv_request *request = test_shelf_take(&shelf);
    assert_int_equal(msv_reply(request, "", 0), -EINVAL);
    assert_int_equal(msv_reply(request, longest, sizeof(longest)), -EINVAL);
    assert_string_equal(msv_rpc_errmsg(), "a message has 1 to 1000000 bytes; this one has 1000001");
    assert_int_equal(msv_reply(request, "answer", 6), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(asking.result, 0);
    assert_string_equal(asking.answer, "answer");
    test_server_stop(&server);
    test_shelf_end(&shelf);
}

static void a_request_may_be_answered_by_another_thread_after_the_stop(void **state)
{
    struct test_server server;
    struct test_shelf shelf;
    struct asking asking = {.timeout_ms = -1};
    pthread_t thread;

    (void)state;
    test_shelf_begin(&shelf);
    test_server_start(&server, 1, test_keep, &shelf);
    strcpy(asking.address, server.address);
    assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
    struct msv_request *request = test_shelf_take(&shelf);
    test_server_join(&server);
    assert_int_equal(msv_message_length(msv_request_message(request)), 8);
    assert_int_equal(msv_reply(request, "answer", 6), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(asking.result, 0);
    assert_string_equal(asking.answer, "answer");
    msv_server_close(server.server);
    test_shelf_end(&shelf);
}

static void the_client_of_a_dropped_request_times_out(void **state)
{
    struct test_server server;
    struct test_shelf shelf;
    struct asking asking = {.timeout_ms = -1};
    pthread_t thread;

    (void)state;
    assert_int_equal(setenv("MISSIVE_TIMEOUT_TICKS", "50", 1), 0);
    test_shelf_begin(&shelf);
    test_server_start(&server, 1, test_keep, &shelf);
    strcpy(asking.address, server.address);
    assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
    msv_drop(test_shelf_take(&shelf));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(asking.result, -ETIMEDOUT);
    assert_int_equal(unsetenv("MISSIVE_TIMEOUT_TICKS"), 0);
    test_server_stop(&server);
    test_shelf_end(&shelf);
}

static void a_request_in_service_keeps_its_client_from_timing_out(void **state)
{
    struct test_server server;
    struct test_shelf shelf;
    struct asking asking = {.timeout_ms = -1};
    pthread_t thread;

    (void)state;
    assert_int_equal(setenv("MISSIVE_TIMEOUT_TICKS", "50", 1), 0);
    test_shelf_begin(&shelf);
    test_server_start(&server, 1, test_keep, &shelf);
    strcpy(asking.address, server.address);
    assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
    struct msv_request *request = test_shelf_take(&shelf);
    (void)usleep(300000); /* six times the timeout */
    assert_int_equal(msv_reply(request, "answer", 6), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(asking.result, 0);
    assert_int_equal(unsetenv("MISSIVE_TIMEOUT_TICKS"), 0);
    test_server_stop(&server);
    test_shelf_end(&shelf);
}

static void requests_outlive_their_server(void **state)
{
    struct test_server server;
    struct test_shelf shelf;
    struct asking asking = {.timeout_ms = 5000};
    pthread_t threads[2];
    struct sockaddr_storage peer;

    (void)state;
    test_shelf_begin(&shelf);
    test_server_start(&server, 1, test_keep, &shelf);
    strcpy(asking.address, server.address);
    struct asking other = asking;
    assert_int_equal(pthread_create(&threads[0], NULL, ask, &asking), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, ask, &other), 0);
    struct msv_request *first = test_shelf_take(&shelf);
    struct msv_request *second = test_shelf_take(&shelf);
    test_server_stop(&server);

    msv_message_peer(msv_request_message(first), &peer);
    assert_int_equal(peer.ss_family, AF_INET);
    assert_int_equal(msv_message_length(msv_request_message(second)), 8);
    assert_int_equal(msv_reply(first, "x", 1), -ESHUTDOWN);
    msv_drop(second);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(asking.result == -ENOTCONN || asking.result == -ETIMEDOUT);
    test_shelf_end(&shelf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_cannot_be_listened_on_is_refused),
        cmocka_unit_test(a_port_in_use_is_told),
        cmocka_unit_test(a_server_without_a_port_gets_a_free_one_for_servers),
        cmocka_unit_test(a_server_of_all_addresses_is_reached_by_both_families),
        cmocka_unit_test(an_ipv6_server_serves),
        cmocka_unit_test(closing_nothing_is_allowed),
        cmocka_unit_test(a_stopped_server_does_not_run),
        cmocka_unit_test(stopping_ends_every_thread_that_waits),
        cmocka_unit_test(a_signal_handler_may_stop_a_server),
        cmocka_unit_test(a_handler_may_stop_its_server),
        cmocka_unit_test(closing_ends_threads_that_still_run),
        cmocka_unit_test(a_server_may_be_opened_before_the_process_becomes_a_daemon),
        cmocka_unit_test(a_wrong_answer_leaves_the_request_to_be_answered),
        cmocka_unit_test(a_request_may_be_answered_by_another_thread_after_the_stop),
        cmocka_unit_test(the_client_of_a_dropped_request_times_out),
        cmocka_unit_test(a_request_in_service_keeps_its_client_from_timing_out),
        cmocka_unit_test(requests_outlive_their_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
