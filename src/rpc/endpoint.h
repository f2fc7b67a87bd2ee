/*
 * What clients and servers have in common: one Homa socket with its receive region, the messages
 * that borrow from it, and the way their buffers go back.
 *
 * Thread rule: every call from any thread. Calls that use the socket stand between
 * rpc_endpoint_enter and rpc_endpoint_leave, so that closing can wait for them.
 */
#ifndef RPC_ENDPOINT_H
#define RPC_ENDPOINT_H

#include <missive/homa.h>
#include <missive/rpc.h>

#include "rpc/region.h"

#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/socket.h>

struct rpc_endpoint;

/* A received message. The program sees it as opaque; message.c reads it. */
struct msv_message {
    struct rpc_endpoint *endpoint;
    STAILQ_ENTRY(msv_message) link; /* once freed */
    struct sockaddr_storage peer;   /* natural (address.h) */
    uint64_t id;
    size_t length; /* bytes */
    uint32_t num_bpages;
    uint32_t bpage_offsets[HOMA_MAX_BPAGES];
};

STAILQ_HEAD(rpc_message_list, msv_message);

struct rpc_endpoint {
    int fd;
    int family;
    struct rpc_region region;

    pthread_mutex_t lock;  /* guards all below */
    pthread_cond_t left;   /* users has become 0 */
    uint32_t users;        /* calls between enter and leave */
    uint32_t messages;     /* not freed by the program */
    uint32_t pieces;       /* buffers held by those and by `freed` */
    uint32_t freed_pieces; /* buffers held by `freed` */
    uint32_t spares;       /* messages in `spare` */
    bool is_closed;
    struct rpc_message_list freed; /* freed by the program, buffers not yet given back */
    struct rpc_message_list spare; /* empty, for the next message */
};

/* What came with a message, or with the failure of an RPC. */
struct rpc_outcome {
    uint64_t id; /* 0 when no RPC ended */
    uint64_t cookie;
    struct sockaddr_storage peer; /* natural; of the RPC `id` */
    struct msv_message *message;  /* NULL when it failed */
};

/* How long to wait: no end. */
#define RPC_NEVER UINT64_MAX

/* The moment timeout_ms from now, for rpc_endpoint_send and _receive; RPC_NEVER if negative. */
uint64_t rpc_deadline(int timeout_ms);

/*
 * Opens a socket with its region. family AF_INET, AF_INET6, or 0 for AF_INET6 where the machine has
 * it and AF_INET elsewhere. Returns 0 or a negative errno, with a sentence.
 */
int rpc_endpoint_open(struct rpc_endpoint **endpoint, int family, size_t buffer_bytes);

/*
 * Ends what goes on in the socket, waits until every user has left, and closes it. The rest lives
 * on until the last message is freed.
 */
void rpc_endpoint_close(struct rpc_endpoint *endpoint);

/* Begins to use the socket. Returns 0, or -ESHUTDOWN when it is being closed. */
int rpc_endpoint_enter(struct rpc_endpoint *endpoint);
void rpc_endpoint_leave(struct rpc_endpoint *endpoint);

/* What to send. */
struct rpc_outgoing {
    const struct sockaddr_storage *to; /* natural or not */
    const void *bytes;
    size_t length;
    uint64_t id; /* 0 = a request; else the request that this answers. Out: a new request's id */
    uint64_t cookie;
    bool is_private;
};

/*
 * Sends one message; waits for room until the deadline at most. Returns 0; -EINVAL; -ETIMEDOUT (no
 * room); or another negative errno. With a sentence.
 */
int rpc_endpoint_send(struct rpc_endpoint *endpoint, struct rpc_outgoing *outgoing,
                      uint64_t deadline_ns);

/*
 * Waits for a message (id 0: any that is not private) until the deadline, or until wake_fd is
 * readable
 * (-1: none). Returns 0 with *outcome; an RPC's failure (outcome->id is not 0); -EAGAIN at the
 * deadline; -ECANCELED; -EINTR; -ESHUTDOWN; -ENOMEM. Leaves no sentence for -EAGAIN, -ECANCELED,
 * -EINTR and an RPC's failure.
 */
int rpc_endpoint_receive(struct rpc_endpoint *endpoint, uint64_t id, uint64_t deadline_ns,
                         int wake_fd, struct rpc_outcome *outcome);

/* The program is done with the message: its buffers are to go back. */
void rpc_endpoint_release(struct msv_message *message);

#endif
