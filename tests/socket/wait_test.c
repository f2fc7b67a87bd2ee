/*
 * Threads that wait in sockets: who is woken for what, and what gets them out early.
 */
#include "endpoint.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define THREADS_MAX 16

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

/* One thread that receives once and leaves what it got. */
struct receiver {
    pthread_t thread;
    const struct endpoint *endpoint;
    uint64_t id;
    atomic_bool is_there;
    atomic_bool is_done;
    struct incoming incoming;
};

static void *receiver_main(void *context)
{
    struct receiver *receiver = context;

    atomic_store(&receiver->is_there, true);
    (void)endpoint_try_receive(receiver->endpoint, receiver->id, 0, &receiver->incoming);
    atomic_store(&receiver->is_done, true);
    return NULL;
}

static void receiver_start(struct receiver *receiver, const struct endpoint *endpoint, uint64_t id)
{
    *receiver = (struct receiver){.endpoint = endpoint, .id = id};
    assert_int_equal(pthread_create(&receiver->thread, NULL, receiver_main, receiver), 0);
    while (!atomic_load(&receiver->is_there))
        (void)usleep(100);
}

static void receiver_join(struct receiver *receiver)
{
    assert_int_equal(pthread_join(receiver->thread, NULL), 0);
}

/* Long enough that a thread which can fall asleep most likely has. No test depends on it. */
static void let_fall_asleep(void)
{
    (void)usleep(10000);
}

static void serve(unsigned count, const void *answer, size_t length)
{
    for (unsigned i = 0; i < count; i++) {
        struct incoming request;

        endpoint_receive(&server, 0, &request);
        endpoint_reply(&server, &request, answer, length);
        endpoint_give_back(&server, &request);
    }
}

static void close_gets_all_waiting_threads_out(void **state)
{
    struct receiver receivers[THREADS_MAX];
    struct endpoint doomed;

    (void)state;
    for (int round = 0; round < 20; round++) {
        endpoint_open(&doomed, AF_INET, true);
        for (int i = 0; i < 4; i++)
            receiver_start(&receivers[i], &doomed, 0);
        if (round % 2 == 0)
            let_fall_asleep();
        endpoint_close(&doomed);
        for (int i = 0; i < 4; i++) {
            receiver_join(&receivers[i]);
            assert_int_equal(receivers[i].incoming.length, -1);
            assert_int_equal(receivers[i].incoming.error, EBADF);
        }
    }
}

/* The thread is called while it spins and finds nothing in it; later calls must reach it all the
 * same. */
static void a_call_for_nothing_does_not_deafen_the_thread(void **state)
{
    struct receiver receiver;

    (void)state;
    endpoint_knob(&server, "poll_usecs=20000");
    receiver_start(&receiver, &server, 0);
    (void)usleep(5000);
    endpoint_bind(&server);
    (void)usleep(50000); /* it has stopped spinning and sleeps */
    assert_int_equal(msv_shutdown(server.fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(receiver.thread, NULL), 0);
    assert_int_equal(receiver.incoming.length, -1);
    assert_int_equal(receiver.incoming.error, ESHUTDOWN);
}

static void shutdown_gets_all_waiting_threads_out(void **state)
{
    struct receiver receivers[4];
    uint64_t id = endpoint_request_private(&server, &client, bytes, 1);

    (void)state;
    for (int i = 0; i < 4; i++)
        receiver_start(&receivers[i], &server, i == 0 ? id : 0);
    let_fall_asleep();
    assert_int_equal(msv_shutdown(server.fd, SHUT_RDWR), 0);
    for (int i = 0; i < 4; i++) {
        receiver_join(&receivers[i]);
        assert_int_equal(receivers[i].incoming.length, -1);
        assert_int_equal(receivers[i].incoming.error, ESHUTDOWN);
    }
}

static void private_waiters_among_shared_ones_get_their_own(void **state)
{
    struct receiver private[THREADS_MAX];
    struct receiver shared[4];
    uint64_t cookies = 0;

    (void)state;
    for (int i = 0; i < 4; i++)
        receiver_start(&shared[i], &client, 0);
    for (int i = 0; i < THREADS_MAX; i++)
        receiver_start(&private[i], &client,
                       endpoint_request_private(&client, &server, bytes, (size_t)i + 1));
    for (uint64_t i = 0; i < 4; i++)
        (void)endpoint_request(&client, &server, bytes, 100, UINT64_C(1) << i);
    for (int i = 0; i < THREADS_MAX + 4; i++) {
        struct incoming request;

        endpoint_receive(&server, 0, &request);
        endpoint_reply(&server, &request, bytes, (size_t)request.length);
    }
    for (int i = 0; i < THREADS_MAX; i++) {
        receiver_join(&private[i]);
        assert_int_equal(private[i].incoming.args.id, private[i].id);
        assert_int_equal(private[i].incoming.length, i + 1);
    }
    for (int i = 0; i < 4; i++) {
        receiver_join(&shared[i]);
        assert_int_equal(shared[i].incoming.length, 100);
        cookies |= shared[i].incoming.args.completion_cookie;
    }
    assert_int_equal(cookies, 15);
    assert_int_equal(test_poll(client.fd, POLLIN, 0), 0);
}

static void when_the_leader_leaves_another_takes_over(void **state)
{
    struct receiver receivers[4];
    unsigned done = 0;

    (void)state;
    for (int i = 0; i < 4; i++)
        receiver_start(&receivers[i], &server, 0);
    let_fall_asleep();
    /* One message at a time: each wakes one thread, and the others must go on. */
    for (unsigned i = 0; i < 4; i++) {
        (void)endpoint_request(&client, &server, bytes, 10, 0);
        do {
            done = 0;
            for (int j = 0; j < 4; j++)
                done += atomic_load(&receivers[j].is_done);
            (void)usleep(100);
        } while (done < i + 1);
        assert_int_equal(done, i + 1);
    }
    for (int i = 0; i < 4; i++) {
        receiver_join(&receivers[i]);
        assert_int_equal(receivers[i].incoming.length, 10);
    }
}

/* A leader that is called while it spins must hear later calls as well. */
static void a_spinning_leader_that_was_called_still_hears_shutdown(void **state)
{
    struct receiver receiver;

    (void)state;
    for (int round = 0; round < 5; round++) {
        endpoint_close(&server);
        endpoint_open(&server, AF_INET, true);
        endpoint_knob(&server, "poll_usecs=50000");
        /* So that it has learnt to spin. */
        for (int i = 0; i < 20; i++) {
            (void)endpoint_request(&client, &server, bytes, 1, 0);
            serve(1, bytes, 1);
        }
        receiver_start(&receiver, &server, 0);
        endpoint_knob(&server, "poll_usecs=50000");
        if (round % 2 == 0)
            let_fall_asleep();
        assert_int_equal(msv_shutdown(server.fd, SHUT_RDWR), 0);
        receiver_join(&receiver);
        assert_int_equal(receiver.incoming.error, ESHUTDOWN);
    }
}

/* ---- signals ---- */

static void nothing(int number)
{
    (void)number;
}

static void a_signal_interrupts_leader_and_follower(void **state)
{
    struct sigaction action = {.sa_handler = nothing};
    struct sigaction before;
    struct receiver receivers[2];

    (void)state;
    for (int flags = 0; flags < 2; flags++) {
        action.sa_flags = flags == 0 ? 0 : SA_RESTART;
        assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
        for (int i = 0; i < 2; i++)
            receiver_start(&receivers[i], &server, 0);
        /* The signal may come before the wait; send it until it has had its effect. */
        for (int i = 1; i >= 0; i--) {
            while (!atomic_load(&receivers[i].is_done)) {
                assert_int_equal(pthread_kill(receivers[i].thread, SIGUSR1), 0);
                (void)usleep(1000);
            }
            receiver_join(&receivers[i]);
            assert_int_equal(receivers[i].incoming.length, -1);
            assert_int_equal(receivers[i].incoming.error, EINTR);
            assert_int_equal(receivers[i].incoming.args.id, 0);
        }
        assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    }
    /* And the socket works on. */
    (void)endpoint_request(&client, &server, bytes, 10, 0);
    serve(1, bytes, 1);
}

static void eintr_writes_num_bpages(void **state)
{
    struct sigaction action = {.sa_handler = nothing};
    struct sigaction before;
    struct itimerval soon = {.it_value.tv_usec = 5000, .it_interval.tv_usec = 5000};
    struct itimerval off = {0};
    struct incoming request;
    struct homa_recvmsg_args args;
    struct msghdr message = {.msg_control = &args, .msg_controllen = sizeof(args)};

    (void)state;
    (void)endpoint_request(&client, &server, bytes, 10, 0);
    endpoint_receive(&server, 0, &request);
    args = request.args;
    args.id = 0;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(msv_recvmsg(server.fd, &message, 0), -1);
    assert_int_equal(errno, EINTR);
    assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
    assert_int_equal(args.num_bpages, 0);
    assert_int_equal(args.id, 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
}

/* ---- cancellation ---- */

static void a_cancelled_leader_hands_over_and_leaves_no_trace(void **state)
{
    struct receiver receivers[3];
    void *result = NULL;

    (void)state;
    for (int i = 0; i < 3; i++)
        receiver_start(&receivers[i], &server, 0);
    let_fall_asleep();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_cancel(receivers[i].thread), 0);
        assert_int_equal(pthread_join(receivers[i].thread, &result), 0);
        if (result != PTHREAD_CANCELED)
            fail_msg("received %zd (%s)", receivers[i].incoming.length,
                     strerror(receivers[i].incoming.error));
    }
    (void)endpoint_request(&client, &server, bytes, 10, 0);
    receiver_join(&receivers[2]);
    assert_int_equal(receivers[2].incoming.length, 10);
}

/* ---- send memory ---- */

static void a_sender_waits_for_room_and_gets_it(void **state)
{
    struct receiver receiver;
    struct incoming response;
    struct homa_sendmsg_args args = {0};

    (void)state;
    endpoint_knob(&client, "wmem_max=1000");
    (void)endpoint_request(&client, &server, bytes, 2000, 1);
    assert_int_equal(
        endpoint_send(client.fd, &server.name, server.name_length, bytes, 10, &args, MSG_DONTWAIT),
        -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(args.id, 0);
    assert_int_equal(test_poll(client.fd, POLLOUT, 0), 0);

    receiver_start(&receiver, &server, 0);
    receiver_join(&receiver);
    endpoint_reply(&server, &receiver.incoming, bytes, 1);
    /* Whoever waits for room reads the wire himself. */
    (void)endpoint_request(&client, &server, bytes, 10, 2);
    endpoint_receive(&client, 0, &response);
    assert_int_equal(response.args.completion_cookie, 1);
    assert_int_equal(test_poll(client.fd, POLLOUT, 1000), POLLOUT);
}

static void pollout_comes_back_when_there_is_room(void **state)
{
    struct incoming request;

    (void)state;
    endpoint_knob(&client, "wmem_max=1000");
    (void)endpoint_request(&client, &server, bytes, 2000, 1);
    assert_int_equal(test_poll(client.fd, POLLOUT, 0), 0);
    endpoint_receive(&server, 0, &request);
    endpoint_reply(&server, &request, bytes, 1);
    /* Nobody is inside the client's socket: this is the progress thread's doing. */
    assert_int_equal(test_poll(client.fd, POLLOUT, 10000), POLLOUT);
}

static void a_send_timeout_gives_eagain(void **state)
{
    struct timeval timeout = {.tv_usec = 20000};
    struct homa_sendmsg_args args = {0};

    (void)state;
    endpoint_knob(&client, "wmem_max=1000");
    (void)endpoint_request(&client, &server, bytes, 2000, 1);
    assert_int_equal(msv_setsockopt(client.fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)),
                     0);
    assert_int_equal(
        endpoint_send(client.fd, &server.name, server.name_length, bytes, 10, &args, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void *send_two(void *context)
{
    struct homa_sendmsg_args args = {0};
    int result = 0;

    while (result == 0) {
        args.id = 0;
        result = endpoint_send(client.fd, &server.name, server.name_length, bytes, 2000, &args, 0);
    }
    *(int *)context = errno;
    return NULL;
}

static void shutdown_and_close_get_a_waiting_sender_out(void **state)
{
    pthread_t thread;
    int error = 0;

    (void)state;
    endpoint_knob(&client, "wmem_max=1000");
    assert_int_equal(pthread_create(&thread, NULL, send_two, &error), 0);
    let_fall_asleep();
    assert_int_equal(msv_shutdown(client.fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(error, ESHUTDOWN);

    endpoint_close(&client);
    endpoint_open(&client, AF_INET, false);
    endpoint_knob(&client, "wmem_max=1000");
    assert_int_equal(pthread_create(&thread, NULL, send_two, &error), 0);
    let_fall_asleep();
    endpoint_close(&client);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(error, EBADF);
    endpoint_open(&client, AF_INET, false);
}

/* ---- many threads on one socket ---- */

struct load {
    pthread_t thread;
    unsigned rounds;
    uint64_t seed;
    _Atomic unsigned *left; /* of the server's requests */
};

static void *private_caller(void *context)
{
    struct load *load = context;
    uint8_t request[3000];
    struct incoming response;

    for (unsigned i = 0; i < load->rounds; i++) {
        size_t length = 1 + (load->seed * 131 + i * 37) % sizeof(request);
        uint64_t id = 0;

        pattern_fill(request, length, (uint32_t)load->seed + i);
        id = endpoint_request_private(&client, &server, request, length);
        endpoint_receive(&client, id, &response);
        endpoint_check(&client, &response, length, (uint32_t)load->seed + i);
        endpoint_give_back(&client, &response);
    }
    return NULL;
}

static void *echo_server(void *context)
{
    struct load *load = context;
    uint8_t copy[3000];
    struct incoming request;

    while (atomic_fetch_sub(load->left, 1) - 1 < UINT32_MAX / 2) {
        endpoint_receive(&server, 0, &request);
        endpoint_read(&server, &request, copy);
        endpoint_reply(&server, &request, copy, (size_t)request.length);
        endpoint_give_back(&server, &request);
    }
    return NULL;
}

static void many_threads_call_and_serve_on_one_socket_each(void **state)
{
    enum {
        CALLERS = 8,
        SERVERS = 4,
        ROUNDS = 200
    };
    struct load callers[CALLERS];
    struct load servers[SERVERS];
    _Atomic unsigned left = CALLERS * ROUNDS;

    (void)state;
    for (unsigned i = 0; i < SERVERS; i++) {
        servers[i] = (struct load){.left = &left};
        assert_int_equal(pthread_create(&servers[i].thread, NULL, echo_server, &servers[i]), 0);
    }
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i] = (struct load){.rounds = ROUNDS, .seed = i * 1000};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, private_caller, &callers[i]), 0);
    }
    for (unsigned i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
    for (unsigned i = 0; i < SERVERS; i++)
        assert_int_equal(pthread_join(servers[i].thread, NULL), 0);
    assert_int_equal(endpoint_rpcs(&client), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(close_gets_all_waiting_threads_out),
        TEST(a_call_for_nothing_does_not_deafen_the_thread),
        TEST(shutdown_gets_all_waiting_threads_out),
        TEST(private_waiters_among_shared_ones_get_their_own),
        TEST(when_the_leader_leaves_another_takes_over),
        TEST(a_spinning_leader_that_was_called_still_hears_shutdown),
        TEST(a_signal_interrupts_leader_and_follower),
        TEST(eintr_writes_num_bpages),
        TEST(a_cancelled_leader_hands_over_and_leaves_no_trace),
        TEST(a_sender_waits_for_room_and_gets_it),
        TEST(pollout_comes_back_when_there_is_room),
        TEST(a_send_timeout_gives_eagain),
        TEST(shutdown_and_close_get_a_waiting_sender_out),
        TEST(many_threads_call_and_serve_on_one_socket_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
