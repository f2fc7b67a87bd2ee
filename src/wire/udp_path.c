/*
 * How large a packet may be on the way to each peer, so that nothing is ever fragmented. The kernel
 * knows (its route's MTU, lowered by what ICMP has taught it) and tells only for connected sockets:
 * a throwaway socket is connected to the peer and asked. That costs a few microseconds, so answers
 * are kept in a fixed table for a minute, and dropped when the kernel or the network refuses a
 * size.
 *
 * The throwaway socket lives in the calling thread's network namespace, which is taken to be the
 * wire's.
 */
#include "base/hash.h"
#include "wire/udp_internal.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

/* Packets of a full 56-byte DATA header and 60,000 bytes: on loopback a larger one spills into a
 * 128 KiB kernel allocation. Only loopback has an MTU beyond this. */
#define PATH_BYTES_MAX 60056u
/* Room for the longest header and some payload, whatever a strange device claims. */
#define PATH_BYTES_MIN 128u
/* What every IPv6 path carries; used when the kernel gives no answer. */
#define PATH_BYTES_SAFE (1280u - 48u)

#define PATH_KEPT_NS       60000000000u /* an answer */
#define PATH_GUESS_KEPT_NS 1000000000u  /* a guess, and a size that was refused */

/* The MTU (bytes) of the route to a peer, or a negative errno. */
static int read_mtu(const struct base_address *to)
{
    bool is_v4 = base_ip_is_mapped(&to->remote);
    int family = is_v4 ? AF_INET : AF_INET6;
    union udp_name name;
    socklen_t name_length = udp_name_write(family, &to->remote, to->port, to->scope, &name);
    int mtu = 0;
    socklen_t length = sizeof(mtu);
    int result = 0;
    int probe = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert(name_length > 0);
    if (probe < 0)
        return -errno;
    if (connect(probe, &name.any, name_length) != 0 ||
        getsockopt(probe, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_MTU : IPV6_MTU, &mtu,
                   &length) != 0)
        result = -errno;
    else
        result = mtu;
    (void)close(probe);
    return result;
}

static struct udp_path *path_entry(struct wire_udp *wire, const struct base_address *to)
{
    uint64_t hash = base_hash(wire->path_key ^ to->scope, &to->remote, sizeof(to->remote));

    return &wire->paths[hash % UDP_PATHS];
}

static void path_learn(struct wire_udp *wire, struct udp_path *path, const struct base_address *to)
{
    int mtu = read_mtu(to);
    uint32_t overhead = base_ip_is_mapped(&to->remote) ? 20 + 8 : 40 + 8;

    path->remote = to->remote;
    path->scope = to->scope;
    if (mtu <= (int)overhead) {
        path->packet_bytes = PATH_BYTES_SAFE;
        path->expires_at = wire->now + PATH_GUESS_KEPT_NS;
        return;
    }
    path->packet_bytes = (uint32_t)mtu - overhead;
    if (path->packet_bytes > PATH_BYTES_MAX)
        path->packet_bytes = PATH_BYTES_MAX;
    if (path->packet_bytes < PATH_BYTES_MIN)
        path->packet_bytes = PATH_BYTES_MIN;
    path->expires_at = wire->now + PATH_KEPT_NS;
}

uint32_t udp_path_bytes(struct wire_udp *wire, const struct base_address *to)
{
    struct udp_path *path = path_entry(wire, to);

    if (path->packet_bytes == 0 || wire->now >= path->expires_at || path->scope != to->scope ||
        !base_ip_equal(&path->remote, &to->remote))
        path_learn(wire, path, to);
    return path->packet_bytes;
}

void udp_path_forget(struct wire_udp *wire, const struct base_address *to)
{
    path_entry(wire, to)->packet_bytes = 0;
}

uint32_t udp_path_refused(struct wire_udp *wire, const struct base_address *to, uint32_t length)
{
    struct udp_path *path = path_entry(wire, to);

    path_learn(wire, path, to);
    if (path->packet_bytes >= length) {
        /* The kernel's word and its deed differ; believe the deed, or this never ends. */
        path->packet_bytes = length > PATH_BYTES_SAFE ? PATH_BYTES_SAFE : length - 1;
        if (path->packet_bytes < PATH_BYTES_MIN)
            path->packet_bytes = PATH_BYTES_MIN;
        path->expires_at = wire->now + PATH_GUESS_KEPT_NS;
    }
    return path->packet_bytes;
}
