/*
 * Packets on their way between a protocol core and a wire. The cores produce struct base_packet and
 * consume struct base_arrival; the wires do the reverse. Neither knows the other.
 */
#ifndef BASE_PACKET_H
#define BASE_PACKET_H

#include "base/address.h"

#include <stddef.h>

/* The longest header any core produces (an ACK). */
#define BASE_PACKET_HEADER_MAX 80

/*
 * One packet to send: a header that the packet carries by value, and payload that it refers to.
 * The payload stays valid until the core is next called, so a wire sends or copies it at once.
 */
struct base_packet {
    struct base_address to;
    const uint8_t *payload;  /* NULL when payload_length is 0 */
    uint32_t payload_length; /* bytes */
    uint8_t header_length;   /* bytes of header[] in use */
    uint8_t priority;        /* 0 (lowest) .. 7, after the priority map */
    bool may_be_followed;    /* another packet may share this one's datagram, after it */
    uint8_t header[BASE_PACKET_HEADER_MAX];
};

static inline size_t base_packet_length(const struct base_packet *packet)
{
    return (size_t)packet->header_length + packet->payload_length;
}

/*
 * One datagram that came in. The bytes belong to the wire and stay valid until its next receive
 * call. A datagram may hold several packets (a bundle); taking it apart is the core's business.
 */
struct base_arrival {
    struct base_address from;
    const uint8_t *bytes;
    uint32_t length;
    uint8_t priority; /* from the top three bits of TOS or traffic class */
};

/* What a wire knows about the way out, for the core's pacer. Zero means unknown. */
struct base_backlog {
    uint64_t bytes;            /* handed over but not yet on the link */
    uint64_t bytes_per_second; /* how fast that drains */
};

/* A failure that the network reported for an earlier packet (ICMP). */
struct base_network_error {
    struct base_address to; /* where that packet had been sent */
    int error; /* ECONNREFUSED, EHOSTUNREACH, EPROTONOSUPPORT, EMSGSIZE … (positive) */
    uint32_t packet_bytes; /* EMSGSIZE: the largest datagram payload that fits now; else 0 */
};

#endif
