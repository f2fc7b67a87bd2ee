/*
 * The udp carrier: Homa port p is UDP port p, so the kernel demultiplexes, keeps ports unique and
 * offers segmentation offload. See docs/udp-carrier.md for the format.
 */
#ifndef WIRE_UDP_H
#define WIRE_UDP_H

#include "wire/wire.h"

#include <stdbool.h>

struct wire_udp_options {
    int family;           /* AF_INET, or AF_INET6 (which reaches IPv4 through mapped addresses) */
    struct base_ip local; /* address to bind; unspecified = any */
    uint32_t scope;       /* interface index when local is link-local, else 0 */
    uint16_t port;        /* 0 = a free port in [lowest_port, 65535] */
    uint16_t lowest_port; /* used when port is 0, and then not 0 itself */
    bool is_low_delay_marked; /* or the low-delay TOS bit into packets of the upper priorities */
    uint32_t gso_bytes;       /* ceiling of one segmented send, bytes; 0 = never segment */
    uint64_t seed;            /* picks the free port */
};

/*
 * Opens a wire. Raises the receive and send buffers as far as this process may. Returns 0 or
 * -EADDRINUSE, -EACCES (port below ip_unprivileged_port_start), -EADDRNOTAVAIL, -EAFNOSUPPORT,
 * -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM.
 */
int wire_udp_open(const struct wire_udp_options *options, struct wire **wire);

/*
 * The functions below are for a wire of wire_udp_open(); whoever puts chaos in front of one keeps
 * the pointer for them. For any other wire they yield zeros.
 */

/* Datagrams that the kernel dropped because the receive buffer was full (SO_RXQ_OVFL), so far; as
 * of the last datagram that got through. */
uint32_t wire_udp_overflows(const struct wire *wire);

/* Datagrams dropped here because they were empty, cut off, or from port 0, so far. */
uint32_t wire_udp_discards(const struct wire *wire);

/* The receive buffer that was wanted and the one granted, both in the unit of net.core.rmem_max
 * (getsockopt(SO_RCVBUF) says twice that). For messages to the user: granted below wanted means
 * that net.core.rmem_max should be raised to wanted. */
void wire_udp_buffers(const struct wire *wire, uint32_t *granted, uint32_t *wanted);

#endif
