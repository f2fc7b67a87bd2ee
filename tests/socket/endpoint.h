/*
 * What the tests of the socket layer share: a socket with its region, addresses of this host, and
 * the public calls with the arguments that most tests want. Everything asserts; a test that expects
 * a failure makes the call itself.
 */
#ifndef SOCKET_ENDPOINT_H
#define SOCKET_ENDPOINT_H

#include <missive/homa.h>
#include <missive/socket.h>

#include "support/test.h"

#include <stdint.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>

#define ENDPOINT_REGION (64u * HOMA_BPAGE_SIZE)

/* A socket, its region, and its address on this host. */
struct endpoint {
    int fd;
    int family;
    uint8_t *region;
    size_t region_bytes;
    struct sockaddr_storage name; /* with the loopback address of its family */
    socklen_t name_length;
};

/* One received message or failure. */
struct incoming {
    ssize_t length; /* or -1 */
    int error;      /* errno, if -1 */
    struct sockaddr_storage peer;
    socklen_t peer_length;
    struct homa_recvmsg_args args;
};

/* A socket with a region, of AF_INET or AF_INET6; a server takes requests at its handed-out port.
 */
void endpoint_open(struct endpoint *endpoint, int family, bool is_server);
void endpoint_open_with(struct endpoint *endpoint, int family, bool is_server, size_t region_bytes);
void endpoint_close(struct endpoint *endpoint);

/* Moves it to some free server port. */
void endpoint_bind(struct endpoint *endpoint);

/* Sets a knob, "name=value". */
void endpoint_knob(const struct endpoint *endpoint, const char *assignment);

/* sendmsg of a request; returns its id. */
uint64_t endpoint_request(const struct endpoint *from, const struct endpoint *to, const void *bytes,
                          size_t length, uint64_t cookie);
uint64_t endpoint_request_private(const struct endpoint *from, const struct endpoint *to,
                                  const void *bytes, size_t length);

/* sendmsg with these args; returns what it returned. */
int endpoint_send(int fd, const void *name, socklen_t name_length, const void *bytes, size_t length,
                  struct homa_sendmsg_args *args, int flags);

/* The answer to a received request. */
void endpoint_reply(const struct endpoint *server, const struct incoming *request,
                    const void *bytes, size_t length);

/* recvmsg for `id` (0 = any); fails the test if it fails. The bpages stay the test's. */
void endpoint_receive(const struct endpoint *endpoint, uint64_t id, struct incoming *incoming);

/* recvmsg that may fail; returns incoming->length. */
ssize_t endpoint_try_receive(const struct endpoint *endpoint, uint64_t id, int flags,
                             struct incoming *incoming);

/* Gives a message's bpages back (with a receive that finds nothing, or puts what it found in
 * `incoming`, if that is not NULL). */
void endpoint_give_back(const struct endpoint *endpoint, const struct incoming *message);

/* Copies a message out of the region. */
void endpoint_read(const struct endpoint *endpoint, const struct incoming *message, void *bytes);

/* Fills bytes with a pattern that depends on seed, and checks it. */
void pattern_fill(uint8_t *bytes, size_t length, uint32_t seed);
void pattern_check(const uint8_t *bytes, size_t length, uint32_t seed);

/* Asserts that a message has this length and pattern. */
void endpoint_check(const struct endpoint *endpoint, const struct incoming *message, size_t length,
                    uint32_t seed);

/* The sentence of HOMAIOCINFO. */
void assert_sentence(int fd, const char *part);

/* The call has failed with this errno, and both msv_errmsg and HOMAIOCINFO say why. */
void assert_failed(int fd, ssize_t result, int error, const char *part);

/* HOMAIOCINFO's number of RPCs. */
uint32_t endpoint_rpcs(const struct endpoint *endpoint);

/* ns of CLOCK_MONOTONIC. */
uint64_t test_now(void);

/* Whether the descriptor is readable / writable within so many ms, by plain poll. Returns revents.
 */
short test_poll(int fd, short events, int timeout_ms);

/*
 * Runs body in a forked process that has no socket yet (call it before making any) and returns its
 * pid. The body's return value is its exit status. The pipe ends let the two talk.
 */
struct child {
    pid_t pid;
    int to;   /* parent writes */
    int from; /* parent reads */
};

void child_start(struct child *child, int (*body)(int from_parent, int to_parent));
void child_send(const struct child *child, const void *bytes, size_t length);
void child_receive(const struct child *child, void *bytes, size_t length);
/* Waits for its end; returns the exit status, or 128 + signal. */
int child_end(struct child *child);

/* The same in the child. False at the other side's end. */
bool pipe_send(int fd, const void *bytes, size_t length);
bool pipe_receive(int fd, void *bytes, size_t length);

#endif
