/*
 * Readiness: what poll, select and epoll see, level and edge triggered, and msv_poll. In most of
 * these tests nobody is inside the socket that is waited for, so what they see is the progress
 * thread's work.
 */
#include "endpoint.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

/* Far more than any wake-up takes; a test that waits so long has lost one. */
#define LOST_MS 20000

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

static void send_request(uint64_t cookie)
{
    (void)endpoint_request(&client, &server, bytes, 10, cookie);
}

static void take_request(void)
{
    struct incoming request;

    assert_int_equal(endpoint_try_receive(&server, 0, MSG_DONTWAIT, &request), 10);
    endpoint_give_back(&server, &request);
}

/* ---- level ---- */

static void a_message_shows_until_it_is_taken(void **state)
{
    (void)state;
    assert_int_equal(test_poll(server.fd, POLLIN, 0), 0);
    send_request(1);
    assert_int_equal(test_poll(server.fd, POLLIN, LOST_MS), POLLIN);
    assert_int_equal(test_poll(server.fd, POLLIN, 0), POLLIN);
    take_request();
    assert_int_equal(test_poll(server.fd, POLLIN, 0), 0);
}

static void several_messages_show_until_the_last_is_taken(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 20; i++) {
        send_request(i);
        assert_int_equal(test_poll(server.fd, POLLIN, LOST_MS), POLLIN);
    }
    for (int i = 0; i < 20; i++) {
        /* The last ones may still be on their way. */
        assert_int_equal(test_poll(server.fd, POLLIN, LOST_MS), POLLIN);
        take_request();
    }
    assert_int_equal(test_poll(server.fd, POLLIN, 0), 0);
}

static void a_failed_rpc_shows_as_a_message_does(void **state)
{
    struct homa_abort_args args = {.error = EPIPE};
    struct incoming failure;

    (void)state;
    send_request(1);
    assert_int_equal(test_poll(client.fd, POLLIN, 0), 0);
    assert_int_equal(msv_ioctl(client.fd, HOMAIOCABORT, &args), 0);
    assert_int_equal(test_poll(client.fd, POLLIN, 0), POLLIN);
    assert_int_equal(endpoint_try_receive(&client, 0, 0, &failure), -1);
    assert_int_equal(failure.error, EPIPE);
    assert_int_equal(test_poll(client.fd, POLLIN, 0), 0);
}

static void a_private_response_does_not_show(void **state)
{
    uint64_t id = endpoint_request_private(&client, &server, bytes, 10);
    struct incoming message;

    (void)state;
    endpoint_receive(&server, 0, &message);
    endpoint_reply(&server, &message, bytes, 10);
    endpoint_receive(&client, id, &message);
    assert_int_equal(test_poll(client.fd, POLLIN, 0), 0);

    id = endpoint_request_private(&client, &server, bytes, 10);
    endpoint_receive(&server, 0, &message);
    endpoint_reply(&server, &message, bytes, 10);
    assert_int_equal(test_poll(client.fd, POLLIN, 20), 0);
    endpoint_receive(&client, id, &message);
}

static void select_sees_the_same(void **state)
{
    struct timeval limit = {.tv_sec = LOST_MS / 1000};
    struct timeval none = {0};
    fd_set set;

    (void)state;
    send_request(1);
    FD_ZERO(&set);
    FD_SET(server.fd, &set);
    assert_int_equal(select(server.fd + 1, &set, NULL, NULL, &limit), 1);
    take_request();
    FD_SET(server.fd, &set);
    assert_int_equal(select(server.fd + 1, &set, NULL, NULL, &none), 0);
    FD_SET(server.fd, &set);
    assert_int_equal(select(server.fd + 1, NULL, &set, NULL, &none), 1);
}

/* ---- epoll ---- */

static int epoll_of(int fd, uint32_t events)
{
    struct epoll_event event = {.events = events};
    int epoll = epoll_create1(0);

    assert_true(epoll >= 0);
    assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
    return epoll;
}

static uint32_t epoll_look(int epoll, int timeout_ms)
{
    struct epoll_event event = {0};
    int count = epoll_wait(epoll, &event, 1, timeout_ms);

    assert_true(count >= 0);
    return count == 1 ? event.events : 0;
}

static void level_triggered_epoll_reports_again_until_all_is_taken(void **state)
{
    int epoll = epoll_of(server.fd, EPOLLIN);

    (void)state;
    send_request(1);
    assert_int_equal(epoll_look(epoll, LOST_MS), EPOLLIN);
    assert_int_equal(epoll_look(epoll, 0), EPOLLIN);
    take_request();
    assert_int_equal(epoll_look(epoll, 0), 0);
    assert_int_equal(close(epoll), 0);
}

static void edge_triggered_epoll_reports_what_comes_after_a_receive(void **state)
{
    int epoll = epoll_of(server.fd, EPOLLIN | EPOLLET);

    (void)state;
    send_request(1);
    assert_int_equal(epoll_look(epoll, LOST_MS), EPOLLIN);
    assert_int_equal(epoll_look(epoll, 5), 0);
    send_request(2);
    (void)epoll_look(epoll, 5);
    /* Two have come. One is taken and one comes, again and again, and the queue is never empty; 20
     * exceed the tokens. */
    for (uint64_t i = 0; i < 20; i++) {
        take_request();
        send_request(i);
        assert_int_equal(epoll_look(epoll, LOST_MS), EPOLLIN);
    }
    take_request();
    take_request();
    assert_int_equal(epoll_look(epoll, 0), 0);
    send_request(3);
    assert_int_equal(epoll_look(epoll, LOST_MS), EPOLLIN);
    take_request();
    assert_int_equal(close(epoll), 0);
}

static void edge_triggered_epoll_reports_room_when_it_comes_back(void **state)
{
    int epoll = epoll_of(client.fd, EPOLLOUT | EPOLLET);
    struct incoming request;

    (void)state;
    assert_int_equal(epoll_look(epoll, 0), EPOLLOUT);
    endpoint_knob(&client, "wmem_max=1000");
    (void)endpoint_request(&client, &server, bytes, 50000, 0);
    assert_int_equal(epoll_look(epoll, 0), 0);
    endpoint_receive(&server, 0, &request);
    endpoint_reply(&server, &request, bytes, 1);
    assert_int_equal(epoll_look(epoll, LOST_MS) & EPOLLOUT, EPOLLOUT);
    assert_int_equal(close(epoll), 0);
}

static void shutdown_wakes_pollers(void **state)
{
    int epoll = epoll_of(server.fd, EPOLLIN | EPOLLET);

    (void)state;
    assert_int_equal(msv_shutdown(server.fd, SHUT_RDWR), 0);
    assert_int_equal(epoll_look(epoll, 0), EPOLLIN);
    assert_int_equal(test_poll(server.fd, POLLIN | POLLOUT, 0), POLLIN | POLLOUT);
    assert_int_equal(close(epoll), 0);
}

/* ---- no lost wake-ups ---- */

/* How a server waits for its next message. */
enum waiting {
    WAITING_LEVEL,
    WAITING_EDGE,
    WAITING_MSV_POLL
};

struct polled_server {
    enum waiting waiting;
    unsigned count;
};

/* Serves so many requests, each time waiting as told until something is there, then taking all. */
static void *polled_server_main(void *context)
{
    struct polled_server *polled = context;
    int epoll = epoll_of(server.fd, polled->waiting == WAITING_EDGE ? EPOLLIN | EPOLLET : EPOLLIN);
    unsigned served = 0;

    while (served < polled->count) {
        struct pollfd look = {.fd = server.fd, .events = POLLIN};
        struct incoming request;
        bool is_told = polled->waiting == WAITING_MSV_POLL
                           ? msv_poll(&look, 1, LOST_MS) == 1 && look.revents == POLLIN
                           : epoll_look(epoll, LOST_MS) == EPOLLIN;

        if (!is_told) {
            print_error("lost a wake-up after %u requests\n", served);
            break;
        }
        while (endpoint_try_receive(&server, 0, MSG_DONTWAIT, &request) >= 0) {
            endpoint_reply(&server, &request, bytes, 5);
            endpoint_give_back(&server, &request);
            served++;
        }
    }
    polled->count -= served;
    (void)close(epoll);
    return NULL;
}

/* One at a time and in bursts, at all sorts of distances. */
static void no_wakeup_is_lost(enum waiting waiting)
{
    enum {
        ROUNDS = 400
    };
    struct polled_server polled = {.waiting = waiting};
    pthread_t thread;

    for (unsigned i = 0; i < ROUNDS; i++)
        polled.count += i % 4 + 1;
    assert_int_equal(pthread_create(&thread, NULL, polled_server_main, &polled), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct incoming response;

        for (unsigned j = 0; j < i % 4 + 1; j++)
            send_request(j);
        for (unsigned j = 0; j < i % 4 + 1; j++) {
            endpoint_receive(&client, 0, &response);
            endpoint_give_back(&client, &response);
        }
        if (i % 3 == 0)
            (void)usleep(i % 50 * 30);
        if (i % 100 == 0)
            (void)usleep(15000); /* long enough to be armed */
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(polled.count, 0);
}

static void level_triggered_servers_lose_no_wakeup(void **state)
{
    (void)state;
    no_wakeup_is_lost(WAITING_LEVEL);
}

static void edge_triggered_servers_lose_no_wakeup(void **state)
{
    (void)state;
    no_wakeup_is_lost(WAITING_EDGE);
}

static void servers_in_msv_poll_lose_no_wakeup(void **state)
{
    (void)state;
    no_wakeup_is_lost(WAITING_MSV_POLL);
}

/* ---- msv_poll ---- */

static void msv_poll_without_sockets_of_ours_is_poll(void **state)
{
    struct pollfd look = {.fd = -1, .events = POLLIN};

    (void)state;
    assert_int_equal(msv_poll(&look, 1, 0), 0);
    assert_int_equal(msv_poll(NULL, 0, 0), 0);
    look.fd = 1023456;
    assert_int_equal(msv_poll(&look, 1, 0), 1);
    assert_int_equal(look.revents, POLLNVAL);
}

static void msv_poll_takes_other_descriptors_too(void **state)
{
    int pipe_fds[2];
    struct pollfd look[4] = {{.events = POLLIN},
                             {.fd = server.fd, .events = POLLIN},
                             {.fd = -1, .events = POLLIN, .revents = 7},
                             {.fd = client.fd, .events = POLLIN | POLLOUT}};

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    look[0].fd = pipe_fds[0];
    assert_int_equal(msv_poll(look, 4, -1), 1);
    assert_int_equal(look[3].revents, POLLOUT);
    look[3].events = POLLIN;
    assert_int_equal(msv_poll(look, 4, 5), 0);
    assert_int_equal(look[2].revents, 0);
    assert_int_equal(write(pipe_fds[1], "x", 1), 1);
    assert_int_equal(msv_poll(look, 4, -1), 1);
    assert_int_equal(look[0].revents, POLLIN);
    send_request(1);
    look[0].fd = -1;
    assert_int_equal(msv_poll(look, 4, LOST_MS), 1);
    assert_int_equal(look[1].revents, POLLIN);
    take_request();
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

static void ready_sockets_do_not_hide_other_descriptors(void **state)
{
    int pipe_fds[2];
    struct pollfd look[3] = {{.fd = client.fd, .events = POLLOUT},
                             {.events = POLLIN},
                             {.fd = 100000, .events = POLLIN}}; /* not open */

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    look[1].fd = pipe_fds[0];
    assert_int_equal(write(pipe_fds[1], "x", 1), 1);
    assert_int_equal(msv_poll(look, 3, -1), 3);
    assert_int_equal(look[0].revents, POLLOUT);
    assert_int_equal(look[1].revents, POLLIN);
    assert_int_equal(look[2].revents, POLLNVAL);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

static void msv_poll_tells_of_all_descriptors_that_are_ready(void **state)
{
    int pipe_fds[2];
    struct pollfd look[3] = {{.fd = server.fd, .events = POLLIN | POLLOUT},
                             {.events = POLLIN},
                             {.fd = 1023456, .events = POLLIN}};

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(write(pipe_fds[1], "x", 1), 1);
    look[1].fd = pipe_fds[0];
    assert_int_equal(msv_poll(look, 3, -1), 3);
    assert_int_equal(look[0].revents, POLLOUT);
    assert_int_equal(look[1].revents, POLLIN);
    assert_int_equal(look[2].revents, POLLNVAL);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

/* A client that waits in plain poll only, until its habit is known; then its timers must still run.
 */
static void timers_run_for_a_socket_that_is_polled_from_outside(void **state)
{
    struct endpoint deaf;
    struct incoming message;

    (void)state;
    for (uint64_t i = 0; i < 10; i++) {
        send_request(i);
        endpoint_receive(&server, 0, &message);
        endpoint_reply(&server, &message, bytes, 1);
        endpoint_give_back(&server, &message);
        assert_int_equal(test_poll(client.fd, POLLIN, LOST_MS), POLLIN);
        assert_int_equal(endpoint_try_receive(&client, 0, MSG_DONTWAIT, &message), 1);
    }
    endpoint_open(&deaf, AF_INET, false);
    endpoint_knob(&client, "timeout_ticks=30");
    (void)endpoint_request(&client, &deaf, bytes, 10, 0);
    assert_int_equal(test_poll(client.fd, POLLIN, LOST_MS), POLLIN);
    assert_int_equal(endpoint_try_receive(&client, 0, MSG_DONTWAIT, &message), -1);
    assert_int_equal(message.error, ETIMEDOUT);
    endpoint_close(&deaf);
}

static void what_msv_poll_told_shows_in_plain_poll_as_well(void **state)
{
    struct pollfd look = {.fd = server.fd, .events = POLLIN};

    (void)state;
    send_request(1);
    assert_int_equal(msv_poll(&look, 1, LOST_MS), 1);
    assert_int_equal(test_poll(server.fd, POLLIN, LOST_MS), POLLIN);
    take_request();
    assert_int_equal(msv_poll(&look, 1, 0), 0);
    assert_int_equal(test_poll(server.fd, POLLIN, 0), 0);
}

static void nothing(int number)
{
    (void)number;
}

static void msv_poll_is_interrupted_by_signals_and_times_out(void **state)
{
    struct sigaction action = {.sa_handler = nothing};
    struct sigaction before;
    struct itimerval soon = {.it_value.tv_usec = 5000, .it_interval.tv_usec = 5000};
    struct itimerval off = {0};
    struct pollfd look = {.fd = server.fd, .events = POLLIN};
    uint64_t start = test_now();

    (void)state;
    assert_int_equal(msv_poll(&look, 1, 20), 0);
    assert_true(test_now() - start >= 20000000);
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(msv_poll(&look, 1, -1), -1);
    assert_int_equal(errno, EINTR);
    assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
}

static void *poll_main(void *context)
{
    struct pollfd look = {.fd = server.fd, .events = POLLIN};

    *(int *)context = msv_poll(&look, 1, LOST_MS) == 1 ? look.revents : -1;
    return NULL;
}

static void close_and_shutdown_get_msv_poll_out(void **state)
{
    pthread_t thread;
    int revents = 0;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, poll_main, &revents), 0);
    (void)usleep(10000);
    assert_int_equal(msv_shutdown(server.fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(revents, POLLIN);

    endpoint_close(&server);
    endpoint_open(&server, AF_INET, true);
    assert_int_equal(pthread_create(&thread, NULL, poll_main, &revents), 0);
    (void)usleep(10000);
    endpoint_close(&server);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(revents, POLLNVAL);
    endpoint_open(&server, AF_INET, true);
}

static void a_cancelled_poller_leaves_no_trace(void **state)
{
    pthread_t thread;
    int revents = 0;
    struct incoming request;
    void *result = NULL;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, poll_main, &revents), 0);
    (void)usleep(10000);
    assert_int_equal(pthread_cancel(thread), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_true(result == PTHREAD_CANCELED);
    send_request(1);
    endpoint_receive(&server, 0, &request);
}

/* A poller leads the reading; a thread in recvmsg still gets what is its own. */
static void a_poller_serves_those_who_wait_for_private_responses(void **state)
{
    pthread_t thread;
    int revents = 0;
    struct incoming request;
    struct incoming response;
    uint64_t id = endpoint_request_private(&server, &server, bytes, 10);

    (void)state;
    endpoint_receive(&server, 0, &request);
    assert_int_equal(pthread_create(&thread, NULL, poll_main, &revents), 0);
    (void)usleep(10000);
    endpoint_reply(&server, &request, bytes, 3);
    endpoint_receive(&server, id, &response);
    assert_int_equal(response.length, 3);
    send_request(1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(revents, POLLIN);
}

struct private_wait {
    uint64_t id;
    struct incoming response;
};

static void *private_main(void *context)
{
    struct private_wait *wait = context;

    (void)endpoint_try_receive(&client, wait->id, 0, &wait->response);
    return NULL;
}

/* The thread that reads the wire has no use for what comes. */
static void a_shared_response_shows_while_a_thread_waits_for_a_private_one(void **state)
{
    struct private_wait wait = {0};
    struct incoming request;
    struct incoming other;
    struct incoming response;
    pthread_t thread;

    (void)state;
    wait.id = endpoint_request_private(&client, &server, bytes, 10);
    endpoint_receive(&server, 0, &request);
    assert_int_equal(pthread_create(&thread, NULL, private_main, &wait), 0);
    for (uint64_t i = 1; i < 20; i++) {
        (void)endpoint_request(&client, &server, bytes, 20, i);
        endpoint_receive(&server, 0, &other);
        endpoint_reply(&server, &other, bytes, 20);
        assert_int_equal(test_poll(client.fd, POLLIN, LOST_MS), POLLIN);
        assert_int_equal(endpoint_try_receive(&client, 0, MSG_DONTWAIT, &response), 20);
        assert_int_equal(response.args.completion_cookie, i);
    }
    endpoint_reply(&server, &request, bytes, 3);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(wait.response.length, 3);
}

/* Who waits in recvmsg is expected to come back; when it does not, the rest shows all the same. */
static void what_a_receiver_leaves_behind_shows_in_plain_poll(void **state)
{
    struct incoming request;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        for (uint64_t j = 0; j < 3; j++)
            send_request(j);
        endpoint_receive(&server, 0, &request);
        assert_int_equal(test_poll(server.fd, POLLIN, LOST_MS), POLLIN);
        for (unsigned j = 0; j < 2; j++) {
            assert_int_equal(test_poll(server.fd, POLLIN, LOST_MS), POLLIN);
            take_request();
        }
        assert_int_equal(test_poll(server.fd, POLLIN, 0), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_shows_until_it_is_taken),
        TEST(several_messages_show_until_the_last_is_taken),
        TEST(a_failed_rpc_shows_as_a_message_does),
        TEST(a_private_response_does_not_show),
        TEST(select_sees_the_same),
        TEST(level_triggered_epoll_reports_again_until_all_is_taken),
        TEST(edge_triggered_epoll_reports_what_comes_after_a_receive),
        TEST(edge_triggered_epoll_reports_room_when_it_comes_back),
        TEST(shutdown_wakes_pollers),
        TEST(level_triggered_servers_lose_no_wakeup),
        TEST(edge_triggered_servers_lose_no_wakeup),
        TEST(servers_in_msv_poll_lose_no_wakeup),
        TEST(msv_poll_without_sockets_of_ours_is_poll),
        TEST(msv_poll_takes_other_descriptors_too),
        TEST(ready_sockets_do_not_hide_other_descriptors),
        TEST(msv_poll_tells_of_all_descriptors_that_are_ready),
        TEST(timers_run_for_a_socket_that_is_polled_from_outside),
        TEST(what_msv_poll_told_shows_in_plain_poll_as_well),
        TEST(msv_poll_is_interrupted_by_signals_and_times_out),
        TEST(close_and_shutdown_get_msv_poll_out),
        TEST(a_cancelled_poller_leaves_no_trace),
        TEST(a_shared_response_shows_while_a_thread_waits_for_a_private_one),
        TEST(what_a_receiver_leaves_behind_shows_in_plain_poll),
        TEST(a_poller_serves_those_who_wait_for_private_responses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
