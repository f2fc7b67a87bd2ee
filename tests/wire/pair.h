/*
 * Two wires that talk to each other over loopback, and test packets that check themselves. Every
 * test of the wire layer is built on this.
 *
 * A test packet begins with its whole length and a serial number, and every byte behind these
 * follows from them, so that a receiver knows a packet for what it is, wherever it was cut.
 */
#ifndef WIRE_PAIR_H
#define WIRE_PAIR_H

#include "base/packet.h"
#include "support/test.h"
#include "wire/wire.h"

#include <stdbool.h>

#define PACKET_LENGTH_MIN 8u

struct wire_kind {
    const char *name;
    int family;
    bool is_mapped; /* an AF_INET6 wire that talks to IPv4 addresses */
    bool is_chaos;  /* with a chaos wire in front that does nothing */
};

struct wire_pair {
    struct wire *a;
    struct wire *b;
    struct base_address to_a; /* local unspecified */
    struct base_address to_b;
};

/* The time, as the wires are given it. */
uint64_t clock_ns(void);

struct base_ip ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
/* From text: "fd00::1". */
struct base_ip ip6(const char *text);

/* Opens a udp wire on a random free port. */
struct wire *open_udp(int family, uint64_t seed);
void pair_open(struct wire_pair *pair, const struct wire_kind *kind);
void pair_close(struct wire_pair *pair);

/* A test packet of `length` bytes (header and payload), valid until the test ends: payloads come
 * from one static pattern. */
struct base_packet make_packet(const struct base_address *to, uint32_t serial, uint32_t length);
/* How long the test packet at the front is: what the chaos wire is given. */
size_t packet_front_length(const uint8_t *bytes, size_t length);
/* Fails the test unless these bytes are exactly the test packet of this serial and length. */
void check_packet(const uint8_t *bytes, size_t bytes_length, uint32_t serial, uint32_t length);

/* Sends all, waiting for room where needed. */
void send_all(struct wire *wire, const struct base_packet *packets, size_t count);
/* Waits until the descriptor is readable; fails the test after a long while. */
void wait_readable(struct wire *wire);
/* Receives test packets, in the order and with the lengths given by `sent`, bundled or not. Fails
 * the test when others come or too few. The last arrival is left in *last (may be NULL). */
void expect_packets(struct wire *wire, const struct base_packet *sent, size_t count,
                    struct base_arrival *last);
/* Sends all and expects all, in portions that fit the smallest receive buffer one may meet (that of
 * an ordinary user where net.core.rmem_max is 212,992). */
void exchange(struct wire *from, struct wire *to, const struct base_packet *packets, size_t count);
/* Waits until one network error can be taken. */
struct base_network_error expect_error(struct wire *wire);

#endif
