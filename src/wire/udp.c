/*
 * The udp carrier: opening, socket options, closing, and the table of operations. What the options
 * are for, and what the kernel does with each, is said where it is set; the rest of the carrier is
 * in the other udp_*.c files (udp_internal.h lists them).
 */
#include "base/block.h"
#include "base/random.h"
#include "wire/udp_internal.h"

#include <assert.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

/* Asked for in each direction; what is granted depends on privilege and net.core.[rw]mem_max. */
#define BUFFER_WANTED (4 * 1024 * 1024)

/* What a receive buffer holds in full packets, by what the kernel charges for one of 1,500 bytes:
 * 92 of them with 1,456 bytes of payload fit into 212,992. Longer packets fare better. */
#define CAPACITY_PACKETS_BYTES (UINT64_C(92) * 1456)
#define CAPACITY_BUFFER_BYTES  212992u

static int option_set(int descriptor, int level, int name, int value)
{
    return setsockopt(descriptor, level, name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

/* Raises a buffer towards BUFFER_WANTED; never lowers it. Returns what getsockopt says then. */
static uint32_t buffer_raise(int descriptor, int name, int force_name)
{
    int granted = 0;
    socklen_t length = sizeof(granted);

    if (getsockopt(descriptor, SOL_SOCKET, name, &granted, &length) == 0 &&
        granted < 2 * BUFFER_WANTED) {
        if (option_set(descriptor, SOL_SOCKET, force_name, BUFFER_WANTED) != 0)
            (void)option_set(descriptor, SOL_SOCKET, name, BUFFER_WANTED);
        if (getsockopt(descriptor, SOL_SOCKET, name, &granted, &length) != 0)
            granted = 0;
    }
    return granted > 0 ? (uint32_t)granted : 0;
}

/*
 * Options without which the wire would not keep its promises. On an AF_INET6 socket IPv4's options
 * count for mapped peers, except that IPV6_RECVPKTINFO serves both.
 */
static int options_required(int descriptor, int family)
{
    static const struct {
        bool is_v6_only;
        int level;
        int name;
        int value;
    } options[] = {
        {false, IPPROTO_IP, IP_RECVTOS, 1},
        {false, IPPROTO_IP, IP_RECVERR, 1},
        {false, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO}, /* never fragment */
        {true, IPPROTO_IPV6, IPV6_V6ONLY, 0},
        {true, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1},
        {true, IPPROTO_IPV6, IPV6_RECVTCLASS, 1},
        {true, IPPROTO_IPV6, IPV6_RECVERR, 1},
        {true, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO},
    };
    int result = 0;

    if (family == AF_INET)
        result = option_set(descriptor, IPPROTO_IP, IP_PKTINFO, 1);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && result == 0; i++) {
        if (!options[i].is_v6_only || family == AF_INET6)
            result = option_set(descriptor, options[i].level, options[i].name, options[i].value);
    }
    return result;
}

static int bind_port(int descriptor, const struct wire_udp_options *options, uint16_t port)
{
    union udp_name name;
    socklen_t length =
        udp_name_write(options->family, &options->local, port, options->scope, &name);

    if (length == 0)
        return -EADDRNOTAVAIL;
    return bind(descriptor, &name.any, length) == 0 ? 0 : -errno;
}

/* What packets carry when no control message says otherwise. */
static int options_priority(int descriptor, const struct wire_udp_options *options)
{
    int tos = udp_tos(options->is_low_delay_marked, UDP_PRIORITY_DEFAULT);
    int result = option_set(descriptor, IPPROTO_IP, IP_TOS, tos);

    if (result == 0 && options->family == AF_INET6)
        result = option_set(descriptor, IPPROTO_IPV6, IPV6_TCLASS, tos);
    return result;
}

/* Tries every port from a random one on, around the end, until one is free. */
static int bind_free_port(int descriptor, const struct wire_udp_options *options, uint16_t *port)
{
    struct base_random random = base_random_seed(options->seed);
    uint32_t ports = 65536u - options->lowest_port;
    uint32_t start = (uint32_t)base_random_below(&random, ports);
    int result = -EADDRINUSE;

    for (uint32_t i = 0; i < ports && result == -EADDRINUSE; i++) {
        *port = (uint16_t)(options->lowest_port + (start + i) % ports);
        result = bind_port(descriptor, options, *port);
    }
    return result;
}

static uint32_t udp_packet_bytes(struct wire *wire, const struct base_address *to)
{
    return udp_path_bytes(udp_of(wire), to);
}

static uint64_t udp_capacity(const struct wire *wire)
{
    return udp_of_const(wire)->receive_buffer * CAPACITY_PACKETS_BYTES / CAPACITY_BUFFER_BYTES;
}

static uint64_t udp_deadline(const struct wire *wire)
{
    (void)wire;
    return UINT64_MAX;
}

static int udp_descriptor(const struct wire *wire)
{
    return udp_of_const(wire)->descriptor;
}

static uint16_t udp_port(const struct wire *wire)
{
    return udp_of_const(wire)->port;
}

static void udp_close(struct wire *base)
{
    struct wire_udp *wire = udp_of(base);

    if (wire->descriptor >= 0)
        (void)close(wire->descriptor);
    base_block_free(wire->inbox.slots);
    free(wire->paths);
    free(wire);
}

static const struct wire_ops udp_ops = {
    .name = "udp",
    .send = udp_send,
    .receive = udp_receive,
    .errors = udp_errors,
    .inject = udp_inject,
    .packet_bytes = udp_packet_bytes,
    .backlog = udp_backlog,
    .capacity = udp_capacity,
    .deadline = udp_deadline,
    .descriptor = udp_descriptor,
    .port = udp_port,
    .close = udp_close,
};

/* The wire without its socket; NULL when memory is short. */
static struct wire_udp *udp_allocate(const struct wire_udp_options *options)
{
    struct wire_udp *wire = calloc(1, sizeof(*wire));

    if (wire == NULL)
        return NULL;
    wire->wire.ops = &udp_ops;
    wire->descriptor = -1;
    wire->family = options->family;
    wire->local = options->local;
    wire->is_low_delay_marked = options->is_low_delay_marked;
    wire->is_gso_usable = true;
    wire->gso_bytes = options->gso_bytes;
    wire->path_key = base_mix(options->seed);
    atomic_init(&wire->errors_waiting, false);
    wire->paths = calloc(UDP_PATHS, sizeof(*wire->paths));
    wire->inbox.slots = base_block_new(UDP_RECEIVE_SLOTS, UDP_SLOT_STRIDE);
    if (wire->paths == NULL || wire->inbox.slots == NULL) {
        udp_close(&wire->wire);
        return NULL;
    }
    udp_receive_prepare(&wire->inbox);
    return wire;
}

static int udp_open_socket(struct wire_udp *wire, const struct wire_udp_options *options)
{
    int result = 0;

    wire->descriptor = socket(options->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (wire->descriptor < 0)
        return -errno;
    result = options_required(wire->descriptor, options->family);
    if (result == 0)
        result = options_priority(wire->descriptor, options);
    if (result != 0)
        return result;
    /* Kernels without it deliver each datagram on its own. */
    (void)option_set(wire->descriptor, IPPROTO_UDP, UDP_GRO, 1);
    (void)option_set(wire->descriptor, SOL_SOCKET, SO_RXQ_OVFL, 1);
    wire->receive_buffer = buffer_raise(wire->descriptor, SO_RCVBUF, SO_RCVBUFFORCE);
    (void)buffer_raise(wire->descriptor, SO_SNDBUF, SO_SNDBUFFORCE);

    wire->port = options->port;
    if (options->port != 0)
        return bind_port(wire->descriptor, options, options->port);
    return bind_free_port(wire->descriptor, options, &wire->port);
}

int wire_udp_open(const struct wire_udp_options *options, struct wire **wire)
{
    struct wire_udp *udp = NULL;
    int result = 0;

    assert(options->port != 0 || options->lowest_port != 0);
    if (options->family != AF_INET && options->family != AF_INET6)
        return -EAFNOSUPPORT;
    udp = udp_allocate(options);
    if (udp == NULL)
        return -ENOMEM;
    result = udp_open_socket(udp, options);
    if (result != 0) {
        udp_close(&udp->wire);
        return result;
    }
    *wire = &udp->wire;
    return 0;
}

static const struct wire_udp *udp_if(const struct wire *wire)
{
    return wire->ops == &udp_ops ? udp_of_const(wire) : NULL;
}

uint32_t wire_udp_overflows(const struct wire *wire)
{
    const struct wire_udp *udp = udp_if(wire);

    return udp != NULL ? udp->overflows : 0;
}

uint32_t wire_udp_discards(const struct wire *wire)
{
    const struct wire_udp *udp = udp_if(wire);

    return udp != NULL ? udp->discards : 0;
}

void wire_udp_buffers(const struct wire *wire, uint32_t *granted, uint32_t *wanted)
{
    const struct wire_udp *udp = udp_if(wire);

    *granted = udp != NULL ? udp->receive_buffer / 2 : 0;
    *wanted = BUFFER_WANTED;
}
