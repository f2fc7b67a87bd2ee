/*
 * The first light of the socket layer: requests and responses between two sockets, in one process
 * and in two, of every interesting length, over both families.
 */
#include "endpoint.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const size_t lengths[] = {1,     100,   1400,   1401,   40000,  40001,
                                 65536, 65537, 131072, 500000, 999999, 1000000};

/* One RPC from client to server and back within one thread. */
static void exchange(const struct endpoint *client, const struct endpoint *server, size_t length,
                     uint32_t seed)
{
    uint8_t *bytes = malloc(length);
    struct incoming request;
    struct incoming response;
    uint64_t id = 0;

    assert_non_null(bytes);
    pattern_fill(bytes, length, seed);
    id = endpoint_request(client, server, bytes, length, seed);
    endpoint_receive(server, 0, &request);
    assert_int_equal(request.args.id, id | 1);
    assert_int_equal(request.args.completion_cookie, 0);
    endpoint_check(server, &request, length, seed);
    pattern_fill(bytes, length, seed + 1);
    endpoint_reply(server, &request, bytes, length);
    endpoint_receive(client, 0, &response);
    assert_int_equal(response.args.id, id);
    assert_int_equal(response.args.completion_cookie, seed);
    endpoint_check(client, &response, length, seed + 1);
    endpoint_give_back(server, &request);
    endpoint_give_back(client, &response);
    free(bytes);
}

static void exchange_all(int family)
{
    struct endpoint client;
    struct endpoint server;

    endpoint_open(&client, family, false);
    endpoint_open(&server, family, true);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        exchange(&client, &server, lengths[i], (uint32_t)i + 1);
    endpoint_close(&client);
    endpoint_close(&server);
}

static void messages_of_every_length_travel_over_ipv4(void **state)
{
    (void)state;
    exchange_all(AF_INET);
}

static void messages_of_every_length_travel_over_ipv6(void **state)
{
    (void)state;
    exchange_all(AF_INET6);
}

/* The other family's name of an endpoint: ::ffff:127.0.0.1 for an IPv4 one, and the reverse. */
static struct endpoint as_seen_by(const struct endpoint *endpoint, int family)
{
    struct endpoint seen = *endpoint;
    in_port_t port = ((const struct sockaddr_in *)&endpoint->name)->sin_port;

    if (family == AF_INET6) {
        struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_port = port};

        assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &name.sin6_addr), 1);
        memcpy(&seen.name, &name, sizeof(name));
        seen.name_length = sizeof(name);
    } else {
        struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = port};

        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        memcpy(&seen.name, &name, sizeof(name));
        seen.name_length = sizeof(name);
    }
    return seen;
}

static void ipv6_sockets_reach_ipv4_peers_by_mapped_addresses(void **state)
{
    struct endpoint six;
    struct endpoint four;
    struct endpoint seen;

    (void)state;
    endpoint_open(&six, AF_INET6, true);
    endpoint_open(&four, AF_INET, true);
    seen = as_seen_by(&four, AF_INET6);
    exchange(&six, &seen, 100, 1);
    exchange(&six, &seen, 300000, 2);
    seen = as_seen_by(&six, AF_INET);
    exchange(&four, &seen, 100, 3);
    exchange(&four, &seen, 300000, 4);
    endpoint_close(&six);
    endpoint_close(&four);
}

static void an_ipv4_peer_of_an_ipv6_socket_has_a_mapped_name(void **state)
{
    struct endpoint six;
    struct endpoint four;
    struct endpoint seen;
    struct incoming request;

    (void)state;
    endpoint_open(&six, AF_INET6, true);
    endpoint_open(&four, AF_INET, false);
    seen = as_seen_by(&six, AF_INET);
    (void)endpoint_request(&four, &seen, "x", 1, 0);
    endpoint_receive(&six, 0, &request);
    seen = as_seen_by(&four, AF_INET6);
    assert_int_equal(request.peer_length, sizeof(struct sockaddr_in6));
    assert_memory_equal(&request.peer, &seen.name, sizeof(struct sockaddr_in6));
    endpoint_close(&six);
    endpoint_close(&four);
}

static void a_bound_server_answers_at_its_port(void **state)
{
    struct endpoint client;
    struct endpoint server;

    (void)state;
    endpoint_open(&client, AF_INET, false);
    endpoint_open(&server, AF_INET, false);
    endpoint_bind(&server);
    exchange(&client, &server, 100, 1);
    exchange(&client, &server, 100000, 2);
    endpoint_close(&client);
    endpoint_close(&server);
}

/* Answers every request with its own bytes until it gets one of length 1. */
static int echo_server(int from_parent, int to_parent)
{
    struct endpoint server;
    struct incoming request;
    uint8_t *bytes = malloc(HOMA_MAX_MESSAGE_LENGTH);

    (void)from_parent;
    endpoint_open(&server, AF_INET, false);
    endpoint_bind(&server);
    if (!pipe_send(to_parent, &server, sizeof(server)))
        return 1;
    do {
        endpoint_receive(&server, 0, &request);
        endpoint_read(&server, &request, bytes);
        endpoint_reply(&server, &request, bytes, (size_t)request.length);
        endpoint_give_back(&server, &request);
    } while (request.length != 1);
    /* Wait for the parent to have the last answer. */
    (void)pipe_receive(from_parent, bytes, 1);
    endpoint_close(&server);
    free(bytes);
    return 0;
}

static void two_processes_exchange_thousands_of_messages(void **state)
{
    struct child child;
    struct endpoint client;
    struct endpoint server;
    struct incoming response;
    uint8_t *bytes = malloc(HOMA_MAX_MESSAGE_LENGTH);

    (void)state;
    assert_non_null(bytes);
    child_start(&child, echo_server);
    child_receive(&child, &server, sizeof(server));
    endpoint_open(&client, AF_INET, false);
    for (uint32_t i = 0; i <= 3000; i++) {
        size_t length = i % 100 == 0 ? 200000 : 100 + i % 1000;

        if (i == 3000)
            length = 1;
        pattern_fill(bytes, length, i);
        (void)endpoint_request(&client, &server, bytes, length, i);
        endpoint_receive(&client, 0, &response);
        assert_int_equal(response.args.completion_cookie, i);
        endpoint_check(&client, &response, length, i);
        endpoint_give_back(&client, &response);
    }
    child_send(&child, "", 1);
    endpoint_close(&client);
    assert_int_equal(child_end(&child), 0);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_processes_exchange_thousands_of_messages),
        cmocka_unit_test(messages_of_every_length_travel_over_ipv4),
        cmocka_unit_test(messages_of_every_length_travel_over_ipv6),
        cmocka_unit_test(ipv6_sockets_reach_ipv4_peers_by_mapped_addresses),
        cmocka_unit_test(an_ipv4_peer_of_an_ipv6_socket_has_a_mapped_name),
        cmocka_unit_test(a_bound_server_answers_at_its_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
