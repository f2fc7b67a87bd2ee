/*
 * A wire carries datagrams between a socket of ours and its peers. Every carrier is one
 * implementation of this interface (udp here; chaos wraps any other), and one battery of tests runs
 * over all of them. A wire knows nothing of the packets it carries but their bounds.
 *
 * Thread rule: wire_send, wire_receive, wire_errors, wire_backlog, wire_packet_bytes and wire_close
 * are called under the owner's lock; only waiting on wire_descriptor() and wire_wake() happen
 * outside of it. wire_inject may be called from any thread as long as the wire is open.
 *
 * No call blocks, none fails because of what some peer did: network errors are data (wire_errors).
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/packet.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct wire;

/* Datagrams that one wire_receive call returns at most. */
#define WIRE_BATCH 64

/* Operations of one kind of wire; see the inline functions below for what each promises. */
struct wire_ops {
    const char *name; /* "udp", "chaos" */
    int (*send)(struct wire *wire, uint64_t now, const struct base_packet *packets, size_t count);
    int (*receive)(struct wire *wire, uint64_t now, struct base_arrival *arrivals, size_t max);
    int (*errors)(struct wire *wire, struct base_network_error *errors, size_t max);
    int (*inject)(struct wire *wire, const struct base_packet *packet);
    uint32_t (*packet_bytes)(struct wire *wire, const struct base_address *to);
    void (*backlog)(struct wire *wire, uint64_t now, struct base_backlog *backlog);
    uint64_t (*capacity)(const struct wire *wire);
    uint64_t (*deadline)(const struct wire *wire);
    int (*descriptor)(const struct wire *wire);
    uint16_t (*port)(const struct wire *wire);
    void (*close)(struct wire *wire);
};

/* The common head of every wire; implementations embed it first. */
struct wire {
    const struct wire_ops *ops;
};

/*
 * Sends packets in order, bundling and segmenting as it likes; payload is not referred to after the
 * call. `packets` are ready to go now: nothing is held back to bundle. Returns how many were handed
 * over (possibly lost later); fewer than count means that the way out is full now: wait until
 * wire_descriptor() is writable. Packets too large for the path are dropped and reported by
 * wire_errors (EMSGSIZE with the size that fits).
 */
static inline int wire_send(struct wire *wire, uint64_t now, const struct base_packet *packets,
                            size_t count)
{
    return wire->ops->send(wire, now, packets, count);
}

/*
 * Takes up to max (<= WIRE_BATCH) datagrams that have come in; they stay valid until the next
 * receive on this wire. Returns their number, 0 when there is none now. Fewer than max does not
 * mean that there are no more: whoever wants them all calls until 0, with the same `now`, and then
 * a wire that has seen the end does not ask again. Whoever waits for one only asks for one, which
 * is a little faster.
 */
static inline int wire_receive(struct wire *wire, uint64_t now, struct base_arrival *arrivals,
                               size_t max)
{
    return wire->ops->receive(wire, now, arrivals, max);
}

/*
 * Takes up to max network errors. Returns their number. Cheap when there is none, so call it after
 * every send and receive: the descriptor does not always show that some wait. `to.local` may be
 * unspecified (ICMP does not say); compare with base_address_same_remote.
 */
static inline int wire_errors(struct wire *wire, struct base_network_error *errors, size_t max)
{
    return wire->ops->errors(wire, errors, max);
}

/*
 * Sends one packet without the owner's lock (a grant decided while another socket was being
 * served). Returns 0, or -EAGAIN when the way out is full (the packet is dropped, which is allowed
 * to happen to any packet).
 */
static inline int wire_inject(struct wire *wire, const struct base_packet *packet)
{
    return wire->ops->inject(wire, packet);
}

/*
 * The largest packet (header and payload, bytes) that goes to this peer without IP fragments, by
 * what the kernel knows of the path now: near 60 KB on loopback. Remembered per peer for a while.
 */
static inline uint32_t wire_packet_bytes(struct wire *wire, const struct base_address *to)
{
    return wire->ops->packet_bytes(wire, to);
}

/* What waits below us, and how fast it drains. Zeros when the kernel does not tell. */
static inline void wire_backlog(struct wire *wire, uint64_t now, struct base_backlog *backlog)
{
    wire->ops->backlog(wire, now, backlog);
}

/* Bytes of full-sized packets that can wait in the receive buffer before some are lost. */
static inline uint64_t wire_capacity(const struct wire *wire)
{
    return wire->ops->capacity(wire);
}

/* When the wire wants receive or send to be called though its descriptor is quiet (delayed packets
 * of the chaos wire); UINT64_MAX = never. */
static inline uint64_t wire_deadline(const struct wire *wire)
{
    return wire->ops->deadline(wire);
}

/* For poll: readable when datagrams or errors wait, writable when wire_send would take some. */
static inline int wire_descriptor(const struct wire *wire)
{
    return wire->ops->descriptor(wire);
}

/* The port that peers see. */
static inline uint16_t wire_port(const struct wire *wire)
{
    return wire->ops->port(wire);
}

/* Frees the wire and its descriptor. NULL is allowed. */
static inline void wire_close(struct wire *wire)
{
    if (wire != NULL)
        wire->ops->close(wire);
}

#endif
