#include "rpc/rpc_support.h"

#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *serve(void *argument)
{
    struct test_server *server = argument;

    return (void *)(intptr_t)msv_server_run(server->server, server->handler, server->context);
}

void test_server_start(struct test_server *server, unsigned threads, msv_handler *handler,
                       void *context)
{
    *server = (struct test_server){.handler = handler, .context = context};
    if (msv_server_open(&server->server, "127.0.0.1:0", NULL) != 0)
        fail_msg("%s", msv_rpc_errmsg());
    (void)snprintf(server->address, sizeof(server->address), "127.0.0.1:%d",
                   msv_server_port(server->server));
    for (; server->thread_count < threads; server->thread_count++)
        assert_int_equal(
            pthread_create(&server->threads[server->thread_count], NULL, serve, server), 0);
}

void test_server_join(struct test_server *server)
{
    msv_server_stop(server->server);
    for (unsigned i = 0; i < server->thread_count; i++) {
        void *result = NULL;

        assert_int_equal(pthread_join(server->threads[i], &result), 0);
        assert_int_equal((intptr_t)result, 0);
    }
}

void test_server_stop(struct test_server *server)
{
    test_server_join(server);
    msv_server_close(server->server);
}

void test_echo(void *context, struct msv_request *request)
{
    const struct msv_message *message = msv_request_message(request);
    size_t length = msv_message_length(message);
    uint8_t *copy = malloc(length);

    (void)context;
    assert_non_null(copy);
    assert_int_equal(msv_message_read(message, 0, copy, length), length);
    assert_int_equal(msv_reply(request, copy, length), 0);
    free(copy);
}

void test_shelf_begin(struct test_shelf *shelf)
{
    memset(shelf, 0, sizeof(*shelf));
    assert_int_equal(pthread_mutex_init(&shelf->lock, NULL), 0);
    assert_int_equal(sem_init(&shelf->kept, 0, 0), 0);
}

void test_keep(void *context, struct msv_request *request)
{
    struct test_shelf *shelf = context;

    (void)pthread_mutex_lock(&shelf->lock);
    assert_true(shelf->count < TEST_SHELF_MAX);
    shelf->requests[shelf->count++] = request;
    (void)pthread_mutex_unlock(&shelf->lock);
    assert_int_equal(sem_post(&shelf->kept), 0);
}

struct msv_request *test_shelf_take(struct test_shelf *shelf)
{
    while (sem_wait(&shelf->kept) != 0)
        assert_int_equal(errno, EINTR);
    (void)pthread_mutex_lock(&shelf->lock);
    struct msv_request *request = shelf->requests[--shelf->count];
    (void)pthread_mutex_unlock(&shelf->lock);
    return request;
}

void test_shelf_end(struct test_shelf *shelf)
{
    while (shelf->count > 0)
        msv_drop(shelf->requests[--shelf->count]);
    (void)sem_destroy(&shelf->kept);
    (void)pthread_mutex_destroy(&shelf->lock);
}

static uint8_t byte_at(size_t offset, uint32_t seed)
{
    return (uint8_t)((offset * 2654435761u) >> 13 ^ seed);
}

uint8_t *test_bytes(size_t length, uint32_t seed)
{
    uint8_t *bytes = malloc(length);

    assert_non_null(bytes);
    for (size_t i = 0; i < length; i++)
        bytes[i] = byte_at(i, seed);
    return bytes;
}

void test_expect_bytes(const struct msv_message *message, size_t length, uint32_t seed)
{
    size_t offset = 0;
    size_t wrong = 0;

    assert_int_equal(msv_message_length(message), length);
    while (offset < length) {
        const void *bytes = NULL;
        size_t count = msv_message_peek(message, offset, &bytes);

        assert_true(count > 0);
        for (size_t i = 0; i < count; i++)
            wrong += ((const uint8_t *)bytes)[i] != byte_at(offset + i, seed);
        offset += count;
    }
    assert_int_equal(offset, length);
    assert_int_equal(wrong, 0);
}

struct msv_client *test_client(const struct msv_rpc_options *options)
{
    struct msv_client *client = NULL;

    if (msv_client_open(&client, options) != 0)
        fail_msg("%s", msv_rpc_errmsg());
    return client;
}
