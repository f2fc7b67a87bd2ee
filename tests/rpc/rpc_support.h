/*
 * A server in threads of the test's own process, for the tests of the RPC layer.
 */
#ifndef RPC_SUPPORT_H
#define RPC_SUPPORT_H

#include <missive/rpc.h>

#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <semaphore.h>

#define TEST_THREADS_MAX 8

struct test_server {
    struct msv_server *server;
    msv_handler *handler;
    void *context;
    pthread_t threads[TEST_THREADS_MAX];
    unsigned thread_count;
    char address[32]; /* "127.0.0.1:port" */
};

/* Serves on the loopback address, at a port of the library's choice. Fails the test if it cannot.
 */
void test_server_start(struct test_server *server, unsigned threads, msv_handler *handler,
                       void *context);

/* Stops the threads; each must have ended well. */
void test_server_join(struct test_server *server);

/* test_server_join, and closes the server. */
void test_server_stop(struct test_server *server);

/* A handler that answers with the request itself. context is not used. */
void test_echo(void *context, struct msv_request *request);

/* A handler that keeps requests, for the test to take and answer. context: a struct test_shelf. */
void test_keep(void *context, struct msv_request *request);

#define TEST_SHELF_MAX 64

struct test_shelf {
    pthread_mutex_t lock;
    sem_t kept; /* one for each request on it */
    unsigned count;
    struct msv_request *requests[TEST_SHELF_MAX];
};

void test_shelf_begin(struct test_shelf *shelf);
/* Waits for a request and takes it off. */
struct msv_request *test_shelf_take(struct test_shelf *shelf);
/* Drops what is still there. Its server may be closed. */
void test_shelf_end(struct test_shelf *shelf);

/* length bytes that differ by seed, from malloc. */
uint8_t *test_bytes(size_t length, uint32_t seed);

/* The message is test_bytes(length, seed). */
void test_expect_bytes(const struct msv_message *message, size_t length, uint32_t seed);

/* The open client or nothing: fails the test. */
struct msv_client *test_client(const struct msv_rpc_options *options);

#endif
