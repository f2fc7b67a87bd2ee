/*
 * Network addresses as every layer passes them: one fixed-size value for IPv4 and IPv6, so that the
 * protocol cores never see a sockaddr. The socket layer and the wires convert at their edges.
 *
 * IPv4 addresses are held in their mapped form (::ffff:a.b.c.d). All integers are in host order.
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdint.h>
#include <stdbool.h>
#include <string.h>

/* One IP address. Compared and hashed bytewise. */
struct base_ip {
    uint8_t bytes[16];
};

/*
 * Where a packet goes to or came from: the peer, and the address of ours that it talks to.
 * Peers are keyed by the whole struct, so it has no padding and unused fields must be zero.
 */
struct base_address {
    struct base_ip remote; /* the peer's address */
    struct base_ip local;  /* ours; all zero = let routing choose (a client's first packet) */
    uint32_t scope;        /* IPv6 interface index of a link-local peer, else 0 */
    uint16_t port;         /* the peer's port */
    uint16_t reserved;     /* always 0 */
};
_Static_assert(sizeof(struct base_address) == 40, "hashed and compared bytewise: no padding");

static inline bool base_ip_equal(const struct base_ip *a, const struct base_ip *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool base_address_equal(const struct base_address *a, const struct base_address *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* Same peer socket, whichever of our addresses it talks to. */
static inline bool base_address_same_remote(const struct base_address *a,
                                            const struct base_address *b)
{
    return a->port == b->port && a->scope == b->scope && base_ip_equal(&a->remote, &b->remote);
}

/* Same peer host, whichever of its sockets it is: those share one link, and one fate. */
static inline bool base_address_same_host(const struct base_address *a,
                                          const struct base_address *b)
{
    return a->scope == b->scope && base_ip_equal(&a->remote, &b->remote);
}

static inline bool base_ip_is_mapped(const struct base_ip *ip)
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    return memcmp(ip->bytes, prefix, sizeof(prefix)) == 0;
}

static inline bool base_ip_is_unspecified(const struct base_ip *ip)
{
    static const struct base_ip none;

    return base_ip_equal(ip, &none);
}

/* The mapped form of an IPv4 address given as its four bytes in network order. */
static inline struct base_ip base_ip_from_v4(const void *four_bytes)
{
    struct base_ip ip = {.bytes = {[10] = 0xff, [11] = 0xff}};

    memcpy(ip.bytes + 12, four_bytes, 4);
    return ip;
}

#endif
