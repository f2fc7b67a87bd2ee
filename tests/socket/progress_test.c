/*
 * The progress thread: what it does for sockets that nobody is inside of, and that it sleeps when
 * there is nothing to do.
 */
#include "endpoint.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct endpoint client;
static struct endpoint server;
static uint8_t bytes[HOMA_MAX_MESSAGE_LENGTH];

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

/* Reads a line's number from a thread's status file. */
static long status_number(const char *thread, const char *line_name)
{
    char path[300];
    char line[256];
    long number = -1;
    FILE *file = NULL;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%s/status", thread);
    file = fopen(path, "re");
    if (file == NULL)
        return -1;
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, line_name, strlen(line_name)) == 0)
            number = strtol(line + strlen(line_name), NULL, 0);
    }
    (void)fclose(file);
    return number;
}

/* The thread id of the one thread called "missive", as text. */
static void find_thread(char *thread, size_t size)
{
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *entry = NULL;
    unsigned found = 0;

    assert_non_null(tasks);
    while ((entry = readdir(tasks)) != NULL) {
        char path[300];
        char name[32] = "";
        FILE *file = NULL;

        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        file = fopen(path, "re");
        if (file == NULL)
            continue;
        if (fgets(name, sizeof(name), file) != NULL && strcmp(name, "missive\n") == 0) {
            assert_true(strlen(entry->d_name) < size);
            memcpy(thread, entry->d_name, strlen(entry->d_name) + 1);
            found++;
        }
        (void)fclose(file);
    }
    assert_int_equal(closedir(tasks), 0);
    assert_int_equal(found, 1);
}

/* How often the thread went to sleep in so many ms. */
static long sleeps_within(const char *thread, unsigned ms)
{
    long before = status_number(thread, "voluntary_ctxt_switches:");

    assert_true(before >= 0);
    (void)usleep(ms * 1000);
    return status_number(thread, "voluntary_ctxt_switches:") - before;
}

static void exchange(void)
{
    struct incoming request;
    struct incoming response;

    (void)endpoint_request(&client, &server, bytes, 100, 0);
    endpoint_receive(&server, 0, &request);
    endpoint_reply(&server, &request, bytes, 100);
    endpoint_receive(&client, 0, &response);
    endpoint_give_back(&server, &request);
    endpoint_give_back(&client, &response);
}

/* Waits until the thread sleeps for good: acks and their timers take a while. */
static void wait_until_quiet(const char *thread)
{
    for (int i = 0; i < 100; i++) {
        if (sleeps_within(thread, 100) == 0)
            return;
    }
    fail_msg("the progress thread does not come to rest");
}

static void an_idle_process_does_not_wake_up(void **state)
{
    char thread[32];

    (void)state;
    exchange();
    find_thread(thread, sizeof(thread));
    wait_until_quiet(thread);
    assert_int_equal(sleeps_within(thread, 300), 0);
}

static void *blocked_receiver(void *context)
{
    (void)endpoint_try_receive(&server, 0, 0, context);
    return NULL;
}

static void a_process_blocked_in_recvmsg_does_not_wake_up(void **state)
{
    struct incoming request;
    pthread_t receiver;
    char thread[32];

    (void)state;
    exchange();
    assert_int_equal(pthread_create(&receiver, NULL, blocked_receiver, &request), 0);
    find_thread(thread, sizeof(thread));
    wait_until_quiet(thread);
    assert_int_equal(sleeps_within(thread, 300), 0);
    assert_int_equal(msv_shutdown(server.fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(receiver, NULL), 0);
}

static void the_thread_takes_no_signals(void **state)
{
    char thread[32];
    char path[64];
    char line[256];
    uint64_t blocked = 0;
    FILE *file = NULL;

    (void)state;
    find_thread(thread, sizeof(thread));
    (void)snprintf(path, sizeof(path), "/proc/self/task/%s/status", thread);
    file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "SigBlk:", 7) == 0)
            blocked = strtoull(line + 7, NULL, 16);
    }
    (void)fclose(file);
    /* SIGHUP .. SIGTERM but SIGKILL, which cannot be. */
    assert_int_equal(blocked & 0x7eff, 0x7eff & ~(UINT64_C(1) << (SIGKILL - 1)));
}

/* Grants, retransmissions, acks: a long message goes through with nobody inside either socket. */
static void a_long_message_arrives_with_nobody_inside(void **state)
{
    struct incoming request;
    struct incoming response;

    (void)state;
    pattern_fill(bytes, sizeof(bytes), 1);
    (void)endpoint_request(&client, &server, bytes, sizeof(bytes), 0);
    assert_int_equal(test_poll(server.fd, POLLIN, 20000), POLLIN);
    assert_int_equal(endpoint_try_receive(&server, 0, MSG_DONTWAIT, &request), sizeof(bytes));
    endpoint_check(&server, &request, sizeof(bytes), 1);
    endpoint_reply(&server, &request, bytes, sizeof(bytes));
    assert_int_equal(test_poll(client.fd, POLLIN, 20000), POLLIN);
    assert_int_equal(endpoint_try_receive(&client, 0, MSG_DONTWAIT, &response), sizeof(bytes));
    endpoint_check(&client, &response, sizeof(bytes), 1);
}

static void servers_forget_finished_rpcs_with_nobody_inside(void **state)
{
    struct incoming request;
    struct incoming response;

    (void)state;
    (void)endpoint_request(&client, &server, bytes, 100, 0);
    endpoint_receive(&server, 0, &request);
    endpoint_reply(&server, &request, bytes, 100);
    endpoint_receive(&client, 0, &response);
    /* NEED_ACK and ACK are exchanged by the progress thread. */
    for (int i = 0; i < 10000 && endpoint_rpcs(&server) > 0; i++)
        (void)usleep(1000);
    assert_int_equal(endpoint_rpcs(&server), 0);
}

/* A request that another thread sends while one sleeps in recvmsg makes deadlines that the sleeper
 * does not know of. */
static void deadlines_are_kept_while_another_thread_sleeps_in_the_socket(void **state)
{
    struct endpoint deaf;
    struct incoming failure;
    pthread_t receiver;

    (void)state;
    endpoint_open(&deaf, AF_INET, false);
    endpoint_knob(&server, "timeout_ticks=30");
    assert_int_equal(pthread_create(&receiver, NULL, blocked_receiver, &failure), 0);
    (void)usleep(20000);
    (void)endpoint_request(&server, &deaf, bytes, 10, 7);
    assert_int_equal(pthread_join(receiver, NULL), 0);
    assert_int_equal(failure.error, ETIMEDOUT);
    assert_int_equal(failure.args.completion_cookie, 7);
    endpoint_close(&deaf);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_idle_process_does_not_wake_up),
        TEST(a_process_blocked_in_recvmsg_does_not_wake_up),
        TEST(the_thread_takes_no_signals),
        TEST(a_long_message_arrives_with_nobody_inside),
        TEST(servers_forget_finished_rpcs_with_nobody_inside),
        TEST(deadlines_are_kept_while_another_thread_sleeps_in_the_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
