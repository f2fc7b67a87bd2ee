/*
 * Packets out. They are laid out as *units*, each one send of the kernel's:
 *
 *   packets  -> datagrams   consecutive packets to one peer at one priority share a datagram, as
 * far as they allow it and the path carries it (a bundle) datagrams -> units      a run of equally
 * long datagrams to that peer (the last may be shorter) goes down as one piece that is cut apart at
 * the bottom (UDP_SEGMENT) units    -> system call up to UDP_SEND_UNITS of them in one sendmmsg
 *
 * Payload is not copied: iovecs refer to it, except for short packets, which are gathered side by
 * side, because the kernel takes longer over many small slices than a copy does. A unit that the
 * kernel refuses is laid out again *plainly*, one datagram per packet, which finds out what is
 * wrong with which packet. No failure stops the others: what cannot go out is lost, as on any
 * network, and where the kernel says why, it becomes a network error.
 *
 * udp_inject runs beside all this in other threads and touches nothing here but the descriptor.
 */
#include "wire/udp_internal.h"

#include <assert.h>
#include <errno.h>
#include <netinet/udp.h>

/* How often a unit is tried when sends fail for what may be somebody else's reason. */
#define ATTEMPTS_SOFT 2u
#define ATTEMPTS_MAX  8u

#define LOW_DELAY_FROM 6u   /* the priorities whose packets may be marked */
#define LOW_DELAY_TOS  0x10 /* IPTOS_LOWDELAY: the local queueing discipline's first band */

static bool is_same_way(const struct base_packet *a, const struct base_packet *b)
{
    return a->priority == b->priority && base_address_equal(&a->to, &b->to);
}

/* ---- one message's name and control messages ---- */

static void control_put(struct msghdr *header, int level, int type, const void *value,
                        size_t length)
{
    struct cmsghdr *at =
        (struct cmsghdr *)(void *)((uint8_t *)header->msg_control + header->msg_controllen);

    at->cmsg_level = level;
    at->cmsg_type = type;
    at->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(at), value, length);
    header->msg_controllen += CMSG_SPACE(length);
    assert(header->msg_controllen <= sizeof(union udp_send_control));
}

static void control_put_source(const struct wire_udp *wire, const struct base_address *to,
                               struct msghdr *header)
{
    if (wire->family == AF_INET) {
        struct in_pktinfo info = {0};

        memcpy(&info.ipi_spec_dst, to->local.bytes + 12, 4);
        control_put(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    } else {
        /* Serves mapped addresses too. */
        struct in6_pktinfo info = {0};

        memcpy(&info.ipi6_addr, to->local.bytes, sizeof(to->local.bytes));
        info.ipi6_ifindex = to->scope;
        control_put(header, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
}

int udp_tos(bool is_low_delay_marked, unsigned priority)
{
    int tos = (int)priority << 5;

    if (is_low_delay_marked && priority >= LOW_DELAY_FROM)
        tos |= LOW_DELAY_TOS;
    return tos;
}

static void control_put_priority(const struct wire_udp *wire, const struct base_packet *packet,
                                 struct msghdr *header)
{
    int tos = udp_tos(wire->is_low_delay_marked, packet->priority);

    /* On an AF_INET6 socket too, a packet to a mapped address takes IPv4's option. */
    if (base_ip_is_mapped(&packet->to.remote))
        control_put(header, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
    else
        control_put(header, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
}

/* Addresses a message as this packet wants it. A peer that the socket's family cannot reach leaves
 * the message without a name, which the kernel refuses with EDESTADDRREQ. */
static void message_begin(const struct wire_udp *wire, const struct base_packet *packet,
                          struct msghdr *header, union udp_name *name,
                          union udp_send_control *control)
{
    assert(packet->priority < 8);
    *header = (struct msghdr){.msg_name = name, .msg_control = control};
    header->msg_namelen =
        udp_name_write(wire->family, &packet->to.remote, packet->to.port, packet->to.scope, name);
    if (!base_ip_is_unspecified(&packet->to.local) &&
        !base_ip_equal(&packet->to.local, &wire->local))
        control_put_source(wire, &packet->to, header);
    if (packet->priority != UDP_PRIORITY_DEFAULT)
        control_put_priority(wire, packet, header);
}

/* Writes the packet's one or two slices; returns how many. */
static size_t slices_write(const struct base_packet *packet, struct iovec *slices)
{
    /* The kernel only reads through iovecs, but they have no const. */
    slices[0] = (struct iovec){.iov_base = (void *)(uintptr_t)packet->header,
                               .iov_len = packet->header_length};
    if (packet->payload_length == 0)
        return 1;
    slices[1] = (struct iovec){.iov_base = (void *)(uintptr_t)packet->payload,
                               .iov_len = packet->payload_length};
    return 2;
}

/* Appends a short packet to the gathered bytes, and to the unit's last slice if that ends there.
 * Returns the slices used: 0 or 1. */
static size_t gather(struct udp_outbox *box, const struct base_packet *packet, struct iovec *slices,
                     size_t used)
{
    uint8_t *at = box->gathered + box->gathered_length;
    size_t length = base_packet_length(packet);

    memcpy(at, packet->header, packet->header_length);
    if (packet->payload_length > 0)
        memcpy(at + packet->header_length, packet->payload, packet->payload_length);
    box->gathered_length += length;
    if (used > 0 && (uint8_t *)slices[used - 1].iov_base + slices[used - 1].iov_len == at) {
        slices[used - 1].iov_len += length;
        return 0;
    }
    slices[used] = (struct iovec){.iov_base = at, .iov_len = length};
    return 1;
}

/* Adds a packet to a unit of which `used` slices are written. Returns how many it took more. */
static size_t packet_add(struct udp_outbox *box, const struct base_packet *packet,
                         struct iovec *slices, size_t used)
{
    size_t length = base_packet_length(packet);

    if (length <= UDP_GATHER_MAX && length <= sizeof(box->gathered) - box->gathered_length)
        return gather(box, packet, slices, used);
    return slices_write(packet, slices + used);
}

static size_t slices_of(const struct base_packet *packet)
{
    return packet->payload_length == 0 ? 1 : 2;
}

/* ---- laying out ---- */

/* One datagram's worth of packets. */
struct bundle {
    uint32_t packets;
    uint32_t length;
    size_t slices;
};

/* How many packets from the front of these share a datagram, using at most `room` slices. */
static struct bundle bundle_measure(struct wire_udp *wire, const struct base_packet *packets,
                                    size_t count, size_t room)
{
    struct bundle bundle = {.packets = 1,
                            .length = (uint32_t)base_packet_length(&packets[0]),
                            .slices = slices_of(&packets[0])};
    uint32_t limit = 0;

    for (size_t i = 1; i < count; i++) {
        uint32_t length = bundle.length + (uint32_t)base_packet_length(&packets[i]);
        size_t slices = bundle.slices + slices_of(&packets[i]);

        if (!packets[i - 1].may_be_followed || !is_same_way(&packets[0], &packets[i]))
            break;
        if (limit == 0)
            limit = udp_path_bytes(wire, &packets[0].to);
        if (length > limit || slices > room)
            break;
        bundle = (struct bundle){.packets = bundle.packets + 1, .length = length, .slices = slices};
    }
    return bundle;
}

/* Whether another datagram may join the unit as one more segment. */
static bool is_segment(const struct wire_udp *wire, const struct udp_unit *unit, unsigned segments,
                       uint32_t segment, const struct bundle *bundle)
{
    uint32_t limit = wire->gso_bytes < UDP_DATAGRAM_MAX ? wire->gso_bytes : UDP_DATAGRAM_MAX;

    return segments < UDP_SEGMENTS_MAX && bundle->length <= segment && bundle->length > 0 &&
           unit->length + bundle->length <= limit;
}

/*
 * Lays out one unit from the packets at the front, with its slices at `slices`; `room` of them are
 * free, enough for one packet. Returns the slices used.
 */
static size_t unit_lay_out(struct wire_udp *wire, const struct base_packet *packets, size_t count,
                           struct iovec *slices, size_t room, struct udp_unit *unit)
{
    struct bundle bundle = bundle_measure(wire, packets, count, room);
    uint32_t segment = bundle.length;
    unsigned segments = 0;
    size_t used = 0;

    *unit = (struct udp_unit){0};
    do {
        for (uint32_t i = 0; i < bundle.packets; i++)
            used += packet_add(&wire->outbox, &packets[unit->packets + i], slices, used);
        unit->packets += bundle.packets;
        unit->length += bundle.length;
        segments++;
        if (!wire->is_gso_usable || bundle.length < segment || unit->packets == count ||
            room - used < 2 || !is_same_way(&packets[0], &packets[unit->packets]))
            break;
        bundle = bundle_measure(wire, packets + unit->packets, count - unit->packets, room - used);
    } while (is_segment(wire, unit, segments, segment, &bundle));
    unit->segment = segments > 1 ? segment : 0;
    return used;
}

/*
 * Fills the outbox from packets[first] on, until there are no more or it is full. Packets before
 * plain_until get a unit each. Returns the number of units, at least one.
 */
static size_t lay_out(struct wire_udp *wire, const struct base_packet *packets, size_t count,
                      size_t first, size_t plain_until)
{
    struct udp_outbox *box = &wire->outbox;
    size_t used = 0;
    size_t units = 0;

    box->gathered_length = 0;
    while (first < count && units < UDP_SEND_UNITS && UDP_SEND_SLICES - used >= 2) {
        size_t share = first < plain_until ? 1 : count - first;
        struct udp_unit *unit = &box->units[units];
        struct msghdr *header = &box->messages[units].msg_hdr;
        struct iovec *slices = box->slices + used;

        message_begin(wire, &packets[first], header, &box->names[units], &box->controls[units]);
        header->msg_iov = slices;
        header->msg_iovlen =
            unit_lay_out(wire, packets + first, share, slices, UDP_SEND_SLICES - used, unit);
        if (unit->segment != 0) {
            uint16_t segment = (uint16_t)unit->segment;

            control_put(header, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
        }
        used += header->msg_iovlen;
        assert(used <= UDP_SEND_SLICES);
        first += unit->packets;
        unit->end = first;
        units++;
    }
    assert(units > 0);
    return units;
}

/* ---- handing over ---- */

/* Sends one unit: by sendto if that can say it all, since it costs less than sendmsg. Returns 1, or
 * -1 with errno. */
static int unit_send(struct wire_udp *wire, size_t index)
{
    const struct msghdr *header = &wire->outbox.messages[index].msg_hdr;
    ssize_t result = 0;

    if (header->msg_controllen == 0 && header->msg_iovlen == 1)
        result = sendto(wire->descriptor, header->msg_iov->iov_base, header->msg_iov->iov_len,
                        MSG_DONTWAIT, header->msg_name, header->msg_namelen);
    else
        result = sendmsg(wire->descriptor, header, MSG_DONTWAIT);
    return result < 0 ? -1 : 1;
}

/* Sends units until one fails. Returns 0 or that one's errno, with *sent before it. */
static int hand_over(struct wire_udp *wire, size_t units, size_t *sent)
{
    struct udp_outbox *box = &wire->outbox;

    *sent = 0;
    while (*sent < units) {
        int result = units - *sent == 1 ? unit_send(wire, *sent)
                                        : sendmmsg(wire->descriptor, box->messages + *sent,
                                                   (unsigned)(units - *sent), MSG_DONTWAIT);

        if (result <= 0)
            return result < 0 ? errno : EAGAIN;
        for (int i = 0; i < result; i++)
            wire->sent_bytes += box->units[(*sent)++].length;
        /* A short count swallows the reason: it may have been an error of an earlier packet's. */
        if (*sent < units)
            atomic_store(&wire->errors_waiting, true);
    }
    return 0;
}

/* What to do about a unit that the kernel has refused. */
enum verdict {
    VERDICT_FULL,    /* come back when there is room */
    VERDICT_AGAIN,   /* the same once more */
    VERDICT_PLAIN,   /* packet by packet */
    VERDICT_SUSPECT, /* packet by packet; if that works, segmentation does not */
    VERDICT_LOST,    /* go on behind it */
};

/* Segments or bundles were refused: read the path again, and see what its packets say one by one.
 */
static enum verdict judge_joined(struct wire_udp *wire, const struct base_packet *packet,
                                 const struct udp_unit *unit, int error)
{
    udp_errors_drain(wire);
    udp_path_forget(wire, &packet->to);
    if (unit->segment == 0)
        return VERDICT_PLAIN;
    if (error == EIO)
        wire->is_gso_usable = false; /* no checksum offload down there */
    else if (unit->segment <= udp_path_bytes(wire, &packet->to))
        return VERDICT_SUSPECT;
    return VERDICT_PLAIN;
}

static enum verdict judge(struct wire_udp *wire, const struct base_packet *packet,
                          const struct udp_unit *unit, int error, unsigned attempts)
{
    bool is_joined = unit->packets > 1;

    if (error == EAGAIN || error == EWOULDBLOCK)
        return VERDICT_FULL;
    if (attempts == ATTEMPTS_MAX)
        return VERDICT_LOST;
    if (error == EINTR)
        return VERDICT_AGAIN;
    /* A queueing discipline, a packet filter, or memory: the packet is gone like any other. */
    if (error == ENOBUFS || error == ENOMEM || error == EPERM)
        return VERDICT_LOST;
    if (is_joined && (error == EMSGSIZE || error == EINVAL || error == EIO))
        return judge_joined(wire, packet, unit, error);

    /* It may be the echo of an earlier packet, to somebody else. */
    udp_errors_drain(wire);
    if (attempts <= ATTEMPTS_SOFT)
        return VERDICT_AGAIN;
    switch (error) {
    case EMSGSIZE:
        udp_errors_report(wire, &packet->to, EMSGSIZE,
                          udp_path_refused(wire, &packet->to, unit->length));
        return VERDICT_LOST;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EDESTADDRREQ:
        udp_errors_report(wire, &packet->to, EHOSTUNREACH, 0);
        return VERDICT_LOST;
    case ECONNREFUSED:
    case ENOPROTOOPT:
    case EPROTO:
        return VERDICT_AGAIN; /* only ever an echo */
    default:
        return VERDICT_LOST;
    }
}

int udp_send(struct wire *base, uint64_t now, const struct base_packet *packets, size_t count)
{
    struct wire_udp *wire = udp_of(base);
    size_t done = 0;
    size_t plain_until = 0;
    bool is_gso_suspect = false;
    unsigned attempts = 0;

    assert(count <= INT32_MAX);
    wire->now = now;
    while (done < count) {
        size_t units = lay_out(wire, packets, count, done, plain_until);
        size_t sent = 0;
        int error = hand_over(wire, units, &sent);

        if (sent > 0) {
            done = wire->outbox.units[sent - 1].end;
            attempts = 0;
        }
        if (is_gso_suspect && done >= plain_until) {
            wire->is_gso_usable = false;
            is_gso_suspect = false;
        }
        if (error == 0)
            continue;

        const struct udp_unit *refused = &wire->outbox.units[sent];
        enum verdict verdict = judge(wire, &packets[done], refused, error, ++attempts);

        if (verdict == VERDICT_FULL)
            break;
        if (verdict == VERDICT_AGAIN)
            continue;
        attempts = 0;
        is_gso_suspect = verdict == VERDICT_SUSPECT;
        if (verdict == VERDICT_LOST)
            done = refused->end;
        else
            plain_until = refused->end;
    }
    return (int)done;
}

int udp_inject(struct wire *base, const struct base_packet *packet)
{
    struct wire_udp *wire = udp_of(base);
    union udp_name name;
    union udp_send_control control = {0};
    struct iovec slices[2];
    struct msghdr header;

    message_begin(wire, packet, &header, &name, &control);
    header.msg_iov = slices;
    header.msg_iovlen = slices_write(packet, slices);
    for (unsigned attempt = 0; attempt < ATTEMPTS_SOFT; attempt++) {
        if (sendmsg(wire->descriptor, &header, MSG_DONTWAIT) >= 0)
            return 0;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return -EAGAIN;
        /* Whatever it is about, the owner will find it in the kernel's queue. */
        atomic_store(&wire->errors_waiting, true);
    }
    return 0;
}
