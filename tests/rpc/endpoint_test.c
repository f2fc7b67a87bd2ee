/*
 * Buffers go back: whatever the program does with its messages, and whoever waits, a message that
 * arrives finds room once enough have been freed.
 */
#include "rpc/endpoint.h"

#include <missive/rpc.h>

#include "rpc/rpc_support.h"
#include "support/test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#define LONG_BYTES 1000000

/* The smallest region holds two messages of full length, and a page more for each CPU. */
static const struct msv_rpc_options smallest = {.buffer_bytes = 1};

/* Messages of full length that fit beside each other into the smallest region. */
static unsigned fitting(const struct rpc_endpoint *endpoint)
{
    return (unsigned)(endpoint->region.length / HOMA_BPAGE_SIZE / HOMA_MAX_BPAGES);
}

/* Begins `count` calls, each of which is answered with LONG_BYTES bytes. */
static void begin_calls(struct msv_client *client, const char *server, unsigned count)
{
    struct sockaddr_storage address;
    uint8_t *bytes = test_bytes(LONG_BYTES, 5);

    assert_int_equal(msv_resolve(client, server, &address), 0);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(msv_call_begin(client, &address, bytes, LONG_BYTES, i, NULL), 0);
    free(bytes);
}

static struct msv_message *end_call(struct msv_client *client)
{
    struct msv_message *message = NULL;
    uint64_t cookie = 0;
    int finished = 0;

    if (msv_call_end(client, -1, &cookie, &message, &finished) != 0)
        fail_msg("%s", msv_rpc_errmsg());
    test_expect_bytes(message, LONG_BYTES, 5);
    return message;
}

/* The client's first member is its endpoint (client.c); only its region's size is looked at. */
static struct rpc_endpoint *endpoint_of(struct msv_client *client)
{
    return *(struct rpc_endpoint **)client;
}

static void a_region_is_as_large_as_a_socket_needs_at_least(void **state)
{
    struct msv_client *client = test_client(&smallest);

    (void)state;
    assert_true(fitting(endpoint_of(client)) >= 2);
    assert_true(endpoint_of(client)->region.length < (16u << 20) + 2000000);
    msv_client_close(client);
}

static void messages_that_are_kept_hold_up_others_until_one_is_freed(void **state)
{
    struct test_server server;
    struct msv_client *client = test_client(&smallest);
    unsigned count = fitting(endpoint_of(client));
    struct msv_message **kept = calloc(count, sizeof(struct msv_message *));
    struct msv_message *message = NULL;
    struct pollfd descriptor = {.fd = msv_client_descriptor(client), .events = POLLIN};
    uint64_t cookie = 0;
    int finished = 0;

    (void)state;
    assert_non_null(kept);
    test_server_start(&server, 1, test_echo, NULL);
    begin_calls(client, server.address, count + 1);
    for (unsigned i = 0; i < count; i++)
        kept[i] = end_call(client);
    assert_int_equal(msv_call_end(client, 50, &cookie, &message, &finished), -EAGAIN);

    /* Nobody receives now: freeing alone must make room. */
    msv_message_free(kept[0]);
    assert_int_equal(poll(&descriptor, 1, 20000), 1);
    msv_message_free(end_call(client));
    for (unsigned i = 1; i < count; i++)
        msv_message_free(kept[i]);
    free(kept);
    msv_client_close(client);
    test_server_stop(&server);
}

struct receiver {
    struct msv_client *client;
    struct msv_message *message;
};

static void *receive(void *argument)
{
    struct receiver *receiver = argument;

    receiver->message = end_call(receiver->client);
    return NULL;
}

static void a_message_freed_by_another_thread_makes_room_for_one_that_waits(void **state)
{
    struct test_server server;
    struct msv_client *client = test_client(&smallest);
    unsigned count = fitting(endpoint_of(client));
    struct msv_message **kept = calloc(count, sizeof(struct msv_message *));
    struct receiver receiver = {.client = client};
    pthread_t thread;

    (void)state;
    assert_non_null(kept);
    test_server_start(&server, 1, test_echo, NULL);
    begin_calls(client, server.address, count + 1);
    for (unsigned i = 0; i < count; i++)
        kept[i] = end_call(client);
    assert_int_equal(pthread_create(&thread, NULL, receive, &receiver), 0);
    for (unsigned i = 0; i < count; i++)
        msv_message_free(kept[i]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    msv_message_free(receiver.message);
    free(kept);
    msv_client_close(client);
    test_server_stop(&server);
}

static void many_small_messages_that_were_kept_come_back(void **state)
{
    enum {
        SMALL = 3000
    };
    struct test_server server;
    struct msv_client *client = test_client(&smallest);
    static struct msv_message *kept[SMALL];
    struct sockaddr_storage address;
    uint64_t cookie = 0;
    int finished = 0;

    (void)state;
    test_server_start(&server, 1, test_echo, NULL);
    assert_int_equal(msv_resolve(client, server.address, &address), 0);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < SMALL; i++) {
            assert_int_equal(msv_call_begin(client, &address, "x", 1, i, NULL), 0);
            assert_int_equal(msv_call_end(client, -1, &cookie, &kept[i], &finished), 0);
        }
        for (unsigned i = 0; i < SMALL; i++)
            msv_message_free(kept[i]);
    }
    /* All of the region is there again for long ones. */
    begin_calls(client, server.address, 4);
    for (unsigned i = 0; i < 4; i++)
        msv_message_free(end_call(client));
    msv_client_close(client);
    test_server_stop(&server);
}

static void a_message_outlives_its_client(void **state)
{
    struct test_server server;
    struct msv_client *client = test_client(NULL);

    (void)state;
    test_server_start(&server, 1, test_echo, NULL);
    begin_calls(client, server.address, 2);
    struct msv_message *first = end_call(client);
    struct msv_message *second = end_call(client);
    msv_client_close(client);
    test_server_stop(&server);
    test_expect_bytes(first, LONG_BYTES, 5);
    msv_message_free(first);
    test_expect_bytes(second, LONG_BYTES, 5);
    msv_message_free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_is_as_large_as_a_socket_needs_at_least),
        cmocka_unit_test(messages_that_are_kept_hold_up_others_until_one_is_freed),
        cmocka_unit_test(a_message_freed_by_another_thread_makes_room_for_one_that_waits),
        cmocka_unit_test(many_small_messages_that_were_kept_come_back),
        cmocka_unit_test(a_message_outlives_its_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
