/*
 * Bad luck: processes that are killed or stopped in the middle of something, ports that nobody
 * listens at, networks that lose everything for a while.
 */
#include "endpoint.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static uint8_t bytes[HOMA_MAX_MESSAGE_LENGTH];

#define MS 1000000u

/* A server process that answers each request with as many bytes as the request's first four say,
 * until it is killed. */
static int answering_server(int from_parent, int to_parent)
{
    struct endpoint server;
    struct incoming request;
    uint32_t wanted = 0;

    (void)from_parent;
    endpoint_open(&server, AF_INET, false);
    endpoint_bind(&server);
    if (!pipe_send(to_parent, &server, sizeof(server)))
        return 1;
    for (;;) {
        endpoint_receive(&server, 0, &request);
        memcpy(&wanted, server.region + request.args.bpage_offsets[0], sizeof(wanted));
        pattern_fill(bytes, wanted, wanted);
        endpoint_reply(&server, &request, bytes, wanted);
        endpoint_give_back(&server, &request);
    }
}

static void ask(const struct endpoint *client, const struct endpoint *server, uint32_t wanted,
                size_t length)
{
    memcpy(bytes, &wanted, sizeof(wanted));
    (void)endpoint_request(client, server, bytes, length, wanted);
}

static void check_answer(const struct endpoint *client, struct incoming *response)
{
    endpoint_receive(client, 0, response);
    endpoint_check(client, response, (size_t)response->args.completion_cookie,
                   (uint32_t)response->args.completion_cookie);
    endpoint_give_back(client, response);
}

/* ---- nobody there ---- */

static void a_port_that_nobody_listens_at_fails_at_once(int family)
{
    struct endpoint client;
    struct endpoint gone;
    struct incoming failure;
    uint64_t start = 0;
    uint64_t id = 0;

    endpoint_open(&client, family, false);
    endpoint_open(&gone, family, true);
    endpoint_close(&gone);
    /* To show that it is no timeout, there is none within the test's patience. */
    endpoint_knob(&client, "timeout_ticks=100000");
    start = test_now();
    id = endpoint_request(&client, &gone, bytes, 100, 42);
    assert_int_equal(endpoint_try_receive(&client, 0, 0, &failure), -1);
    assert_int_equal(failure.error, ENOTCONN);
    assert_int_equal(failure.args.id, id);
    assert_int_equal(failure.args.completion_cookie, 42);
    assert_memory_equal(&failure.peer, &gone.name, gone.name_length);
    assert_sentence(client.fd, "nobody listens at");
    assert_true(test_now() - start < 1000u * MS);
    endpoint_close(&client);
}

static void a_closed_ipv4_port_gives_enotconn_at_once(void **state)
{
    (void)state;
    a_port_that_nobody_listens_at_fails_at_once(AF_INET);
}

static void a_closed_ipv6_port_gives_enotconn_at_once(void **state)
{
    (void)state;
    a_port_that_nobody_listens_at_fails_at_once(AF_INET6);
}

static void a_failure_shows_in_poll_without_anybody_inside(void **state)
{
    struct endpoint client;
    struct endpoint gone;
    struct incoming failure;

    (void)state;
    endpoint_open(&client, AF_INET, false);
    endpoint_open(&gone, AF_INET, true);
    endpoint_close(&gone);
    endpoint_knob(&client, "timeout_ticks=100000");
    (void)endpoint_request(&client, &gone, bytes, 100, 42);
    assert_int_equal(test_poll(client.fd, POLLIN, 10000), POLLIN);
    assert_int_equal(endpoint_try_receive(&client, 0, MSG_DONTWAIT, &failure), -1);
    assert_int_equal(failure.error, ENOTCONN);
    endpoint_close(&client);
}

static void one_dead_peer_does_not_hurt_the_others(void **state)
{
    struct endpoint client;
    struct endpoint gone;
    struct endpoint server;
    struct incoming message;
    unsigned failed = 0;
    unsigned answered = 0;

    (void)state;
    endpoint_open(&client, AF_INET, false);
    endpoint_open(&server, AF_INET, true);
    endpoint_open(&gone, AF_INET, true);
    endpoint_close(&gone);
    for (int i = 0; i < 50; i++) {
        (void)endpoint_request(&client, &gone, bytes, 100, 1);
        (void)endpoint_request(&client, &server, bytes, 100, 2);
        endpoint_receive(&server, 0, &message);
        endpoint_reply(&server, &message, bytes, 10);
        for (int j = 0; j < 2; j++) {
            if (endpoint_try_receive(&client, 0, 0, &message) < 0) {
                assert_int_equal(message.error, ENOTCONN);
                assert_int_equal(message.args.completion_cookie, 1);
                failed++;
            } else {
                assert_int_equal(message.args.completion_cookie, 2);
                answered++;
                endpoint_give_back(&client, &message);
            }
        }
    }
    assert_int_equal(failed, 50);
    assert_int_equal(answered, 50);
    endpoint_close(&client);
    endpoint_close(&server);
}

static void a_peer_that_is_silent_times_out(void **state)
{
    struct endpoint client;
    struct endpoint deaf;
    struct incoming failure;

    (void)state;
    endpoint_open(&client, AF_INET, false);
    endpoint_open(&deaf, AF_INET, false); /* takes no requests, and says nothing */
    endpoint_knob(&client, "timeout_ticks=50");
    (void)endpoint_request(&client, &deaf, bytes, 100, 1);
    assert_int_equal(endpoint_try_receive(&client, 0, 0, &failure), -1);
    assert_int_equal(failure.error, ETIMEDOUT);
    assert_sentence(client.fd, "did not answer within 50 ms (udp)");
    endpoint_close(&client);
    endpoint_close(&deaf);
}

static void a_host_without_a_way_to_it_gives_ehostunreach(void **state)
{
    struct endpoint client;
    struct endpoint far;
    struct incoming failure;
    struct homa_sendmsg_args args = {0};

    (void)state;
    endpoint_open(&client, AF_INET6, false);
    far = client;
    endpoint_knob(&client, "timeout_ticks=100000");
    /* A link-local address on an interface that does not exist. */
    assert_int_equal(inet_pton(AF_INET6, "fe80::1", &((struct sockaddr_in6 *)&far.name)->sin6_addr),
                     1);
    ((struct sockaddr_in6 *)&far.name)->sin6_scope_id = 99999;
    assert_int_equal(endpoint_send(client.fd, &far.name, far.name_length, bytes, 10, &args, 0), 0);
    assert_int_equal(endpoint_try_receive(&client, 0, 0, &failure), -1);
    assert_int_equal(failure.error, EHOSTUNREACH);
    assert_sentence(client.fd, "no way to");
    endpoint_close(&client);
}

/* ---- killed ---- */

static void a_server_killed_in_mid_message_fails_its_clients_at_once(void **state)
{
    struct child child;
    struct endpoint client;
    struct endpoint server;
    struct incoming failure;
    struct homa_info info = {0};

    (void)state;
    child_start(&child, answering_server);
    child_receive(&child, &server, sizeof(server));
    endpoint_open(&client, AF_INET, false);
    endpoint_knob(&client, "timeout_ticks=100000");
    ask(&client, &server, 10, 100);
    check_answer(&client, &failure);
    /* Stopped, so that it cannot have taken all of the message when it is killed. */
    assert_int_equal(kill(child.pid, SIGSTOP), 0);
    ask(&client, &server, 1000, 1000000);
    assert_int_equal(msv_ioctl(client.fd, HOMAIOCINFO, &info), 0);
    assert_int_equal(info.num_rpcs, 1);
    assert_int_equal(kill(child.pid, SIGKILL), 0);
    assert_int_equal(child_end(&child), 128 + SIGKILL);
    assert_int_equal(endpoint_try_receive(&client, 0, 0, &failure), -1);
    assert_int_equal(failure.error, ENOTCONN);
    assert_int_equal(endpoint_rpcs(&client), 0);
    endpoint_close(&client);
}

static int killed_client(int from_parent, int to_parent)
{
    struct endpoint client;
    struct endpoint server;
    char byte = 0;

    if (!pipe_receive(from_parent, &server, sizeof(server)))
        return 1;
    endpoint_open(&client, AF_INET, false);
    (void)endpoint_request(&client, &server, bytes, 100, 1);
    (void)endpoint_request(&client, &server, bytes, 1000000, 2);
    (void)pipe_send(to_parent, &byte, 1);
    for (;;)
        (void)pause();
}

static void a_killed_client_leaves_nothing_behind_in_the_server(void **state)
{
    struct child child;
    struct endpoint server;
    struct incoming request;
    struct homa_rpc_info rpc;
    struct homa_info info = {.rpc_info = &rpc, .rpc_info_length = sizeof(rpc)};
    char byte = 0;

    (void)state;
    child_start(&child, killed_client);
    endpoint_open(&server, AF_INET, true);
    endpoint_knob(&server, "timeout_ticks=50");
    child_send(&child, &server, sizeof(server));
    child_receive(&child, &byte, 1);
    /* One of the two; the other may have come in whole or in part. */
    endpoint_receive(&server, 0, &request);
    assert_int_equal(kill(child.pid, SIGKILL), 0);
    assert_int_equal(child_end(&child), 128 + SIGKILL);
    endpoint_reply(&server, &request, bytes, 500000);
    endpoint_give_back(&server, &request);
    /* The progress thread sees to it, with nobody inside. */
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(msv_ioctl(server.fd, HOMAIOCINFO, &info), 0);
        if (info.num_rpcs == 0)
            break;
        if (endpoint_try_receive(&server, 0, MSG_DONTWAIT, &request) > 0)
            endpoint_reply(&server, &request, bytes, 1);
        (void)usleep(1000);
    }
    if (info.num_rpcs != 0)
        fail_msg("%u RPCs are left; one has sent %u of %d and received %d less %u", info.num_rpcs,
                 rpc.tx_sent, rpc.tx_length, rpc.rx_length, rpc.rx_remaining);
    endpoint_close(&server);
}

/* ---- stopped and continued ---- */

struct traffic {
    const struct endpoint *client;
    const struct endpoint *server;
    atomic_uint answered;
    unsigned count;
};

static void *traffic_main(void *context)
{
    struct traffic *traffic = context;
    struct incoming response;

    for (unsigned i = 0; i < traffic->count; i++) {
        ask(traffic->client, traffic->server, 100 + i % 7 * 30000, 100 + i % 5 * 50000);
        check_answer(traffic->client, &response);
        atomic_fetch_add(&traffic->answered, 1);
    }
    return NULL;
}

static void a_server_stopped_for_300_ms_loses_no_rpc(void **state)
{
    enum {
        COUNT = 60
    };
    struct child child;
    struct endpoint client;
    struct endpoint server;
    struct traffic traffic = {.client = &client, .server = &server, .count = COUNT};
    pthread_t thread;

    (void)state;
    child_start(&child, answering_server);
    child_receive(&child, &server, sizeof(server));
    endpoint_open(&client, AF_INET, false);
    assert_int_equal(pthread_create(&thread, NULL, traffic_main, &traffic), 0);
    for (unsigned stop = 1; stop <= 3; stop++) {
        while (atomic_load(&traffic.answered) < stop * COUNT / 5)
            (void)usleep(100);
        assert_int_equal(kill(child.pid, SIGSTOP), 0);
        (void)usleep(300000);
        assert_int_equal(kill(child.pid, SIGCONT), 0);
    }
    assert_int_equal(pthread_join(thread, NULL), 0); /* which fails if one RPC fails */
    assert_int_equal(atomic_load(&traffic.answered), COUNT);
    assert_int_equal(kill(child.pid, SIGKILL), 0);
    assert_int_equal(child_end(&child), 128 + SIGKILL);
    endpoint_close(&client);
}

/* A client with many requests under way when it is stopped, each with a timeout shorter than that:
 * time in which it does not run must not count. */
static int stopped_client(int from_parent, int to_parent)
{
    enum {
        COUNT = 40
    };
    struct endpoint client;
    struct endpoint server;
    struct incoming response;
    char byte = 0;

    if (!pipe_receive(from_parent, &server, sizeof(server)))
        return 1;
    endpoint_open(&client, AF_INET, false);
    endpoint_knob(&client, "timeout_ticks=100");
    for (unsigned i = 0; i < COUNT; i++)
        ask(&client, &server, 1000 + i, 60000);
    if (!pipe_send(to_parent, &byte, 1))
        return 1;
    for (unsigned i = 0; i < COUNT; i++) {
        if (endpoint_try_receive(&client, 0, 0, &response) < 0)
            return 2;
        pattern_check(client.region + response.args.bpage_offsets[0], (size_t)response.length,
                      (uint32_t)response.length);
    }
    return 0;
}

static void a_client_stopped_for_300_ms_aborts_nothing(void **state)
{
    struct child server_child;
    struct child client_child;
    struct endpoint server;
    char byte = 0;

    (void)state;
    child_start(&server_child, answering_server);
    child_receive(&server_child, &server, sizeof(server));
    child_start(&client_child, stopped_client);
    child_send(&client_child, &server, sizeof(server));
    child_receive(&client_child, &byte, 1);
    assert_int_equal(kill(client_child.pid, SIGSTOP), 0);
    (void)usleep(300000);
    assert_int_equal(kill(client_child.pid, SIGCONT), 0);
    assert_int_equal(child_end(&client_child), 0);
    assert_int_equal(kill(server_child.pid, SIGKILL), 0);
    assert_int_equal(child_end(&server_child), 128 + SIGKILL);
}

/* ---- the network gone, or bad ---- */

/* The UDP socket behind an endpoint of this process, for the test to be the network's bad luck. */
static int wire_of(const struct endpoint *endpoint)
{
    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_storage name;
        socklen_t length = sizeof(name);
        int protocol = 0;
        socklen_t size = sizeof(protocol);

        if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
            protocol == IPPROTO_UDP && getsockname(fd, (struct sockaddr *)&name, &length) == 0 &&
            ((struct sockaddr_in *)&name)->sin_port ==
                ((const struct sockaddr_in *)&endpoint->name)->sin_port)
            return fd;
    }
    fail_msg("no UDP socket with the endpoint's port");
    return -1;
}

/* From now on everything that comes to the endpoint is lost, or not any more. */
static void cut_off(const struct endpoint *endpoint, bool is_cut)
{
    struct sock_filter nothing = {.code = BPF_RET | BPF_K, .k = 0};
    struct sock_fprog program = {.len = 1, .filter = &nothing};
    int fd = wire_of(endpoint);
    int value = 0;

    if (is_cut)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)),
                         0);
    else
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &value, sizeof(value)), 0);
}

static void *answering_main(void *context)
{
    static uint8_t answer[HOMA_MAX_MESSAGE_LENGTH];
    const struct endpoint *server = context;
    struct incoming request;
    uint32_t wanted = 0;

    while (endpoint_try_receive(server, 0, 0, &request) >= 0) {
        memcpy(&wanted, server->region + request.args.bpage_offsets[0], sizeof(wanted));
        pattern_fill(answer, wanted, wanted);
        endpoint_reply(server, &request, answer, wanted);
        endpoint_give_back(server, &request);
    }
    return NULL;
}

static void a_network_that_is_gone_for_50_ms_costs_no_rpc(void **state)
{
    enum {
        COUNT = 100
    };
    struct endpoint client;
    struct endpoint server;
    struct traffic traffic = {.client = &client, .server = &server, .count = COUNT};
    pthread_t server_thread;
    pthread_t thread;

    (void)state;
    endpoint_open(&client, AF_INET, false);
    endpoint_open(&server, AF_INET, true);
    assert_int_equal(pthread_create(&server_thread, NULL, answering_main, &server), 0);
    assert_int_equal(pthread_create(&thread, NULL, traffic_main, &traffic), 0);
    for (unsigned cut = 1; cut <= 3; cut++) {
        while (atomic_load(&traffic.answered) < cut * COUNT / 5)
            (void)usleep(100);
        cut_off(&client, true);
        cut_off(&server, true);
        (void)usleep(50000);
        cut_off(&client, false);
        cut_off(&server, false);
    }
    assert_int_equal(pthread_join(thread, NULL), 0); /* which fails if one RPC fails */
    assert_int_equal(atomic_load(&traffic.answered), COUNT);
    assert_int_equal(msv_shutdown(server.fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(server_thread, NULL), 0);
    endpoint_close(&client);
    endpoint_close(&server);
}

static void with_chaos(const char *options)
{
    struct child child;
    struct endpoint client;
    struct endpoint server;
    struct incoming response;

    assert_int_equal(setenv("MISSIVE_CHAOS", options, 1), 0);
    child_start(&child, answering_server);
    child_receive(&child, &server, sizeof(server));
    endpoint_open(&client, AF_INET, false);
    assert_int_equal(unsetenv("MISSIVE_CHAOS"), 0);
    for (unsigned i = 0; i < 100; i++) {
        ask(&client, &server, 1 + i * 2003, 4 + i * 1009);
        if (i % 4 == 3) {
            for (unsigned j = 0; j < 4; j++)
                check_answer(&client, &response);
        }
    }
    assert_int_equal(endpoint_rpcs(&client), 0);
    assert_int_equal(kill(child.pid, SIGKILL), 0);
    assert_int_equal(child_end(&child), 128 + SIGKILL);
    endpoint_close(&client);
}

static void chaos_that_drops_all_lets_nothing_through(void **state)
{
    struct endpoint client;
    struct endpoint server;
    struct incoming failure;

    (void)state;
    endpoint_open(&server, AF_INET, true);
    assert_int_equal(setenv("MISSIVE_CHAOS", "drop=1", 1), 0);
    endpoint_open(&client, AF_INET, false);
    assert_int_equal(unsetenv("MISSIVE_CHAOS"), 0);
    endpoint_knob(&client, "timeout_ticks=30");
    (void)endpoint_request(&client, &server, bytes, 100, 0);
    endpoint_receive(&server, 0, &failure); /* only what comes in is lost */
    endpoint_reply(&server, &failure, bytes, 100);
    assert_int_equal(endpoint_try_receive(&client, 0, 0, &failure), -1);
    assert_int_equal(failure.error, ETIMEDOUT);
    endpoint_close(&client);
    endpoint_close(&server);
}

static void messages_survive_loss_and_reordering(void **state)
{
    (void)state;
    with_chaos("seed=7,drop=0.05,dup=0.02,reorder=0.05");
}

static void messages_survive_delays(void **state)
{
    (void)state;
    with_chaos("seed=8,drop=0.01,delay_us=300");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_server_killed_in_mid_message_fails_its_clients_at_once),
    cmocka_unit_test(a_killed_client_leaves_nothing_behind_in_the_server),
    cmocka_unit_test(a_server_stopped_for_300_ms_loses_no_rpc),
    cmocka_unit_test(a_client_stopped_for_300_ms_aborts_nothing),
    cmocka_unit_test(a_network_that_is_gone_for_50_ms_costs_no_rpc),
    cmocka_unit_test(chaos_that_drops_all_lets_nothing_through),
    cmocka_unit_test(messages_survive_loss_and_reordering),
    cmocka_unit_test(messages_survive_delays),
    cmocka_unit_test(a_closed_ipv4_port_gives_enotconn_at_once),
    cmocka_unit_test(a_closed_ipv6_port_gives_enotconn_at_once),
    cmocka_unit_test(a_failure_shows_in_poll_without_anybody_inside),
    cmocka_unit_test(one_dead_peer_does_not_hurt_the_others),
    cmocka_unit_test(a_peer_that_is_silent_times_out),
    cmocka_unit_test(a_host_without_a_way_to_it_gives_ehostunreach),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
