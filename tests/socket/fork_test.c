/*
 * Sockets and fork: who owns one, when a child may have it, and that nothing leaks either way.
 */
#include "endpoint.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct endpoint client;
static struct endpoint server;
static uint8_t bytes[100000];

static int prepare(void **state)
{
    (void)state;
    endpoint_open(&client, AF_INET, false);
    endpoint_open(&server, AF_INET, true);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    endpoint_close(&client);
    endpoint_close(&server);
    return 0;
}

/* A child's asserts must not run the parent's tests on. */
static pid_t fork_child(void)
{
    pid_t child = 0;

    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    return child;
}

static int status_of(pid_t child)
{
    int status = 0;

    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int try_receive_once(void)
{
    struct incoming message;

    return endpoint_try_receive(&server, 0, MSG_DONTWAIT, &message) >= 0 ? 0 : message.error;
}

static void a_childs_calls_are_refused_while_its_parent_has_the_socket(void **state)
{
    pid_t child = fork_child();

    (void)state;
    if (child == 0) {
        int error = try_receive_once();

        _exit(error == EBUSY && strstr(msv_errmsg(server.fd), "belongs to process") != NULL ? 0
                                                                                            : 1);
    }
    assert_int_equal(status_of(child), 0);
}

static void a_child_that_closes_its_copy_does_not_disturb_the_parent(void **state)
{
    struct incoming request;
    pid_t child = fork_child();

    (void)state;
    if (child == 0)
        _exit(msv_close(server.fd) == 0 && msv_close(client.fd) == 0 &&
                      msv_close(server.fd) == -1 && errno == EBADF
                  ? 0
                  : 1);
    assert_int_equal(status_of(child), 0);
    (void)endpoint_request(&client, &server, bytes, sizeof(bytes), 0);
    endpoint_receive(&server, 0, &request);
    assert_int_equal(request.length, sizeof(bytes));
    assert_int_equal(test_poll(server.fd, POLLIN, 0), 0);
}

static void a_child_can_have_sockets_of_its_own(void **state)
{
    pid_t child = fork_child();

    (void)state;
    if (child == 0) {
        struct endpoint own;
        struct incoming request;
        struct incoming response;

        endpoint_open(&own, AF_INET, true);
        (void)endpoint_request(&own, &own, "a", 1, 5);
        endpoint_receive(&own, 0, &request);
        endpoint_reply(&own, &request, "bc", 2);
        endpoint_receive(&own, 0, &response);
        _exit(response.length == 2 && response.args.completion_cookie == 5 ? 0 : 1);
    }
    assert_int_equal(status_of(child), 0);
}

/* Receives one request, at the socket it inherited, and answers with the process's id. */
static int serve_once(void)
{
    struct incoming request;
    pid_t self = getpid();

    endpoint_receive(&server, 0, &request);
    endpoint_reply(&server, &request, &self, sizeof(self));
    endpoint_give_back(&server, &request);
    /* Not gone before the client has the answer. */
    return endpoint_try_receive(&server, 0, 0, &request) == -1 ? 1 : 0;
}

static pid_t ask_who(void)
{
    struct incoming response;
    pid_t who = 0;

    (void)endpoint_request(&client, &server, "?", 1, 0);
    endpoint_receive(&client, 0, &response);
    assert_int_equal(response.length, sizeof(who));
    endpoint_read(&client, &response, &who);
    endpoint_give_back(&client, &response);
    (void)endpoint_request(&client, &server, "bye", 3, 0);
    return who;
}

static void when_the_parent_closes_the_socket_the_child_takes_it_over(void **state)
{
    pid_t child = fork_child();

    (void)state;
    if (child == 0)
        _exit(serve_once());
    assert_int_equal(msv_close(server.fd), 0);
    assert_int_equal(ask_who(), child);
    assert_int_equal(status_of(child), 0);
    endpoint_open(&server, AF_INET, true);
}

static void of_two_children_one_takes_the_socket_over(void **state)
{
    int pipe_fds[2];
    pid_t children[2];
    char outcome[2];

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    for (int i = 0; i < 2; i++) {
        children[i] = fork_child();
        if (children[i] == 0) {
            int error = try_receive_once();
            char result = error == EAGAIN ? 'y' : error == EBUSY ? 'n' : '?';

            (void)!write(pipe_fds[1], &result, 1);
            (void)pause();
            _exit(0);
        }
    }
    assert_int_equal(msv_close(server.fd), 0);
    assert_int_equal(read(pipe_fds[0], &outcome[0], 1), 1);
    assert_int_equal(read(pipe_fds[0], &outcome[1], 1), 1);
    assert_int_equal(outcome[0] + outcome[1], 'y' + 'n');
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kill(children[i], SIGKILL), 0);
        assert_int_equal(status_of(children[i]), 128 + SIGKILL);
    }
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    endpoint_open(&server, AF_INET, true);
}

/* A server that opens its socket, becomes a daemon, and serves from an event loop, so that its
 * first call is msv_poll; its pid comes over the pipe. */
static int daemon_main(int from_parent, int to_parent)
{
    struct incoming request;
    pid_t self = 0;
    bool is_over = false;

    (void)from_parent;
    endpoint_open(&server, AF_INET, false);
    endpoint_bind(&server);
    if (!pipe_send(to_parent, &server, sizeof(server)))
        return 1;
    if (daemon(0, 0) != 0)
        return 1;
    self = getpid();
    do {
        struct pollfd look = {.fd = server.fd, .events = POLLIN};

        if (msv_poll(&look, 1, 10000) != 1)
            return 1;
        endpoint_receive(&server, 0, &request);
        is_over = request.length == 3;
        endpoint_reply(&server, &request, &self, sizeof(self));
        endpoint_give_back(&server, &request);
    } while (!is_over);
    /* Stay until the answer has been acknowledged or the pipe is closed. */
    (void)pipe_receive(from_parent, &self, 1);
    return 0;
}

static void open_daemon_and_serve_just_works(void **state)
{
    struct child child;
    struct endpoint remote;
    struct incoming response;
    pid_t daemon_pid = 0;

    (void)state;
    for (int round = 0; round < 10; round++) {
        child_start(&child, daemon_main);
        child_receive(&child, &remote, sizeof(remote));
        endpoint_open(&client, AF_INET, false);
        for (int i = 0; i < 5; i++) {
            (void)endpoint_request(&client, &remote, bytes, i == 4 ? 3 : 50000, 0);
            endpoint_receive(&client, 0, &response);
            assert_int_equal(response.length, sizeof(daemon_pid));
            endpoint_read(&client, &response, &daemon_pid);
            assert_int_not_equal(daemon_pid, child.pid);
            endpoint_give_back(&client, &response);
        }
        assert_int_equal(child_end(&child), 0);
        endpoint_close(&client);
    }
}

/* parent -> child (ends) -> grandchild serves: twice forked, as careful daemons do. */
static int twice_forked_main(int from_parent, int to_parent)
{
    pid_t child = 0;

    endpoint_open(&server, AF_INET, false);
    endpoint_bind(&server);
    if (!pipe_send(to_parent, &server, sizeof(server)))
        return 1;
    child = fork();
    if (child == 0 && fork() == 0) {
        (void)close(from_parent);
        _exit(serve_once());
    }
    return 0;
}

static void a_grandchild_takes_over_when_its_ancestors_are_gone(void **state)
{
    struct child child;

    (void)state;
    child_start(&child, twice_forked_main);
    child_receive(&child, &server, sizeof(server));
    assert_int_equal(child_end(&child), 0);
    endpoint_open(&client, AF_INET, false);
    assert_int_not_equal(ask_who(), 0);
    endpoint_close(&client);
}

/* As twice_forked_main, but its first call is msv_poll. */
static int polling_daemon_main(int from_parent, int to_parent)
{
    endpoint_open(&server, AF_INET, false);
    endpoint_bind(&server);
    if (!pipe_send(to_parent, &server, sizeof(server)))
        return 1;
    if (fork() == 0) {
        struct pollfd look = {.fd = server.fd, .events = POLLIN};

        (void)close(from_parent);
        _exit(msv_poll(&look, 1, 20000) == 1 ? serve_once() : 1);
    }
    return 0;
}

static void msv_poll_takes_a_socket_over_as_other_calls_do(void **state)
{
    struct child child;

    (void)state;
    child_start(&child, polling_daemon_main);
    child_receive(&child, &server, sizeof(server));
    assert_int_equal(child_end(&child), 0);
    endpoint_open(&client, AF_INET, false);
    assert_int_not_equal(ask_who(), 0);
    endpoint_close(&client);
}

static void *wait_in_socket(void *context)
{
    endpoint_receive(&server, 0, context);
    return NULL;
}

static void threads_that_wait_at_the_fork_do_not_exist_in_the_child(void **state)
{
    struct incoming requests[3];
    pthread_t threads[3];
    pid_t child = 0;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_in_socket, &requests[i]), 0);
    (void)usleep(5000);
    child = fork_child();
    if (child == 0)
        _exit(serve_once());
    /* The parent's threads get out, and the child can do all alone. */
    for (uint64_t i = 0; i < 3; i++)
        (void)endpoint_request(&client, &server, "x", 1, i);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(msv_close(server.fd), 0);
    assert_int_equal(ask_who(), child);
    assert_int_equal(status_of(child), 0);
    endpoint_open(&server, AF_INET, true);
}

/* Forks while other threads are busy in sockets: locks must be sane on both sides. */
static void *busy_main(void *context)
{
    struct endpoint one;
    struct incoming message;
    const volatile int *is_over = context;

    endpoint_open(&one, AF_INET, true);
    while (!__atomic_load_n(is_over, __ATOMIC_RELAXED)) {
        (void)endpoint_request(&one, &one, "x", 1, 0);
        endpoint_receive(&one, 0, &message);
        endpoint_reply(&one, &message, "y", 1);
        endpoint_give_back(&one, &message);
        if (message.args.id % 2 == 0)
            continue;
        endpoint_receive(&one, 0, &message);
        endpoint_give_back(&one, &message);
    }
    endpoint_close(&one);
    return NULL;
}

static void forking_in_the_middle_of_traffic_leaves_locks_sane(void **state)
{
    pthread_t threads[2];
    int is_over = 0;

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, busy_main, &is_over), 0);
    for (int i = 0; i < 30; i++) {
        pid_t child = fork_child();

        if (child == 0) {
            struct endpoint own;

            endpoint_open(&own, AF_INET, true);
            endpoint_close(&own);
            _exit(msv_close(server.fd) == 0 ? 0 : 1);
        }
        assert_int_equal(status_of(child), 0);
    }
    __atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_daemon_and_serve_just_works),
        cmocka_unit_test(a_grandchild_takes_over_when_its_ancestors_are_gone),
        cmocka_unit_test(msv_poll_takes_a_socket_over_as_other_calls_do),
        TEST(a_childs_calls_are_refused_while_its_parent_has_the_socket),
        TEST(a_child_that_closes_its_copy_does_not_disturb_the_parent),
        TEST(a_child_can_have_sockets_of_its_own),
        TEST(when_the_parent_closes_the_socket_the_child_takes_it_over),
        TEST(of_two_children_one_takes_the_socket_over),
        TEST(threads_that_wait_at_the_fork_do_not_exist_in_the_child),
        TEST(forking_in_the_middle_of_traffic_leaves_locks_sane),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
