/*
 * Three ways to carry a message to another process and an answer back, behind one interface, so
 * that all of them run the very same workloads: Missive; UDP as it is, which is the floor; and TCP,
 * the peer. One side of each is a struct transport. Whatever fails ends the program with a
 * sentence: a benchmark has nothing to recover.
 */
#ifndef BENCH_TRANSPORT_H
#define BENCH_TRANSPORT_H

#include <missive/homa.h>

#include <stdint.h>
#include <netinet/in.h>
#include <stdbool.h>

enum transport_kind {
    TRANSPORT_MISSIVE,
    TRANSPORT_UDP,
    TRANSPORT_TCP,
    TRANSPORTS,
};

/* How a receiver waits for its next message. */
enum waiting {
    WAITING_ADAPTIVE, /* Missive: as it comes (poll_usecs auto); the others: as WAITING_ASLEEP */
    WAITING_ASLEEP,   /* in a system call that blocks; Missive: poll_usecs 0 */
    WAITING_SPINNING, /* never asleep */
};

/* What every message begins with; part of its length, the same for all three. */
struct transport_head {
    uint32_t length;   /* of the whole message */
    uint32_t offset;   /* of these bytes in it: UDP cuts long ones */
    uint32_t tag;      /* comes back with the answer */
    uint32_t received; /* UDP: datagrams of long messages that have come to the server so far */
};

#define TRANSPORT_MESSAGE_MAX 1000000u
#define TRANSPORT_QUEUE       64u /* messages that may wait */

struct transport {
    enum transport_kind kind;
    bool is_server;
    bool is_spinning;
    int descriptor;
    int listener; /* TCP server */
    /* The server's; at a server, where the last message came from. */
    struct sockaddr_in peer;
    uint8_t *region;  /* where arriving messages are put together; Missive: its receive region */
    uint8_t *scratch; /* UDP: one datagram */

    struct homa_recvmsg_args args; /* Missive: the last message, its buffers still held */

    /* UDP. The window bounds the long messages' datagrams on their way. */
    uint32_t window;
    uint32_t sent;     /* of these, at the client */
    uint32_t received; /* by the server, as far as this side knows */
    uint32_t told;     /* of these, what the server has told the client */

    /* TCP: bytes of the region that have come, and that belong to messages handed out. */
    size_t filled;
    size_t taken;

    /* UDP and TCP: messages that could not go out yet, oldest first. */
    struct {
        const uint8_t *bytes;
        struct transport_head head;
    } queue[TRANSPORT_QUEUE];
    uint32_t queue_first;
    uint32_t queued;
    uint32_t queue_offset; /* bytes of the oldest that went out */
};

const char *transport_name(enum transport_kind kind);

/* Ends the program: what failed, and errno's reason. */
_Noreturn void transport_fail(const char *what);

/* The server's side, on a free port of the loopback address, which is returned in host order. The
 * TCP one needs transport_accept() once the client has connected. */
uint16_t transport_listen(struct transport *transport, enum transport_kind kind);
void transport_accept(struct transport *transport);

/* The client's side. */
void transport_connect(struct transport *transport, enum transport_kind kind, uint16_t port);

void transport_wait_by(struct transport *transport, enum waiting waiting);

/* Client: sends a request. Server: answers the message received last. The bytes must stay as they
 * are: what does not fit below goes out in later calls of transport_receive(). */
void transport_send(struct transport *transport, const uint8_t *bytes, uint32_t length,
                    uint32_t tag);

/* The next message's head; its bytes count as used. False: none, only without may_wait. */
bool transport_receive(struct transport *transport, bool may_wait, struct transport_head *head);

/* The congestion control of a TCP side. */
void transport_congestion(const struct transport *transport, char *name, socklen_t size);

#endif
