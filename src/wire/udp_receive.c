/*
 * Datagrams in. One recvmmsg fills several slots of 64 KiB; receive offload (UDP_GRO) may have
 * joined many datagrams of one sender in one slot, which are handed out one by one, in place. What
 * does not fit into the caller's array waits for the next call: the slots are only filled again
 * when all has been handed out, and that is what keeps the bytes valid until then.
 *
 * A caller that wants one datagram gets it by recvmsg, which costs less than recvmmsg: that looks
 * for a second one. But when recvmmsg has found fewer than it could take, it has seen the end of
 * the queue, and a caller that goes on to ask until 0, at the same time, is spared another system
 * call.
 *
 * Only the parts of the message headers that the kernel has changed are restored between calls.
 */
#include "wire/udp_internal.h"

#include <assert.h>
#include <errno.h>
#include <netinet/udp.h>

/* How often to look again when what came in was nothing but errors or rubbish. */
#define TURNS_MAX 8u

static void slot_restore(struct udp_inbox *inbox, unsigned slot)
{
    struct msghdr *header = &inbox->messages[slot].msg_hdr;

    header->msg_namelen = sizeof(inbox->names[slot]);
    header->msg_controllen = sizeof(inbox->controls[slot]);
}

void udp_receive_prepare(struct udp_inbox *inbox)
{
    for (unsigned i = 0; i < UDP_RECEIVE_SLOTS; i++) {
        inbox->slices[i] = (struct iovec){.iov_base = inbox->slots + (size_t)i * UDP_SLOT_STRIDE,
                                          .iov_len = UDP_SLOT_BYTES};
        inbox->messages[i].msg_hdr = (struct msghdr){.msg_name = &inbox->names[i],
                                                     .msg_iov = &inbox->slices[i],
                                                     .msg_iovlen = 1,
                                                     .msg_control = &inbox->controls[i]};
        slot_restore(inbox, i);
    }
}

/* One system call for up to `reach` slots. Returns how many it filled, or -1 with errno. */
static int slots_read(struct wire_udp *wire, unsigned reach)
{
    struct udp_inbox *inbox = &wire->inbox;
    ssize_t length = 0;

    if (reach > 1)
        return recvmmsg(wire->descriptor, inbox->messages, reach, MSG_DONTWAIT, NULL);
    length = recvmsg(wire->descriptor, &inbox->messages[0].msg_hdr, MSG_DONTWAIT);
    if (length < 0)
        return -1;
    inbox->messages[0].msg_len = (unsigned)length;
    return 1;
}

/* Fills slots, up to `reach` of them. Returns whether there was anything. */
static bool slots_fill(struct wire_udp *wire, unsigned reach)
{
    struct udp_inbox *inbox = &wire->inbox;

    for (unsigned i = 0; i < inbox->filled; i++)
        slot_restore(inbox, i);
    inbox->filled = 0;
    inbox->next = 0;
    for (unsigned turn = 0; turn < TURNS_MAX; turn++) {
        int filled = slots_read(wire, reach);

        if (filled > 0) {
            inbox->filled = (unsigned)filled;
            inbox->has_seen_end = inbox->filled < reach;
            return true;
        }
        if (filled == 0 || errno == EAGAIN || errno == EWOULDBLOCK)
            return false;
        /* The error of an earlier packet, reported to whoever calls first. */
        if (errno != EINTR)
            udp_errors_drain(wire);
    }
    return false;
}

static uint32_t control_u32(const struct cmsghdr *at)
{
    uint32_t value = 0;

    if (at->cmsg_len >= CMSG_LEN(sizeof(value)))
        memcpy(&value, CMSG_DATA(at), sizeof(value));
    return value;
}

static void control_read_ip(const struct cmsghdr *at, struct base_arrival *arrival)
{
    if (at->cmsg_type == IP_TOS && at->cmsg_len >= CMSG_LEN(1)) {
        arrival->priority = (uint8_t)(*CMSG_DATA(at) >> 5);
    } else if (at->cmsg_type == IP_PKTINFO && at->cmsg_len >= CMSG_LEN(sizeof(struct in_pktinfo))) {
        struct in_pktinfo info;

        memcpy(&info, CMSG_DATA(at), sizeof(info));
        arrival->from.local = base_ip_from_v4(&info.ipi_spec_dst);
    }
}

static void control_read_ipv6(const struct cmsghdr *at, struct base_arrival *arrival)
{
    if (at->cmsg_type == IPV6_TCLASS) {
        arrival->priority = (uint8_t)((control_u32(at) & 0xff) >> 5);
    } else if (at->cmsg_type == IPV6_PKTINFO &&
               at->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo))) {
        struct in6_pktinfo info;

        /* A multicast group cannot be answered from; let routing choose then. */
        memcpy(&info, CMSG_DATA(at), sizeof(info));
        if (info.ipi6_addr.s6_addr[0] != 0xff)
            memcpy(arrival->from.local.bytes, &info.ipi6_addr, sizeof(arrival->from.local.bytes));
    }
}

/*
 * Looks at a freshly filled slot: who, to which of our addresses, at what priority, in pieces of
 * what length. Returns false for what nobody could answer or make sense of.
 */
static bool slot_open(struct wire_udp *wire, unsigned slot)
{
    struct udp_inbox *inbox = &wire->inbox;
    struct msghdr *header = &inbox->messages[slot].msg_hdr;
    struct base_arrival *rest = &inbox->rest;

    *rest = (struct base_arrival){.bytes = inbox->slices[slot].iov_base,
                                  .length = inbox->messages[slot].msg_len};
    inbox->segment = rest->length;
    udp_name_read(&inbox->names[slot], &rest->from);
    for (struct cmsghdr *at = CMSG_FIRSTHDR(header); at != NULL; at = CMSG_NXTHDR(header, at)) {
        if (at->cmsg_level == IPPROTO_IP)
            control_read_ip(at, rest);
        else if (at->cmsg_level == IPPROTO_IPV6)
            control_read_ipv6(at, rest);
        else if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_GRO && control_u32(at) > 0)
            inbox->segment = control_u32(at);
        else if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SO_RXQ_OVFL)
            wire->overflows = control_u32(at);
    }
    if (rest->length == 0 || rest->from.port == 0 || (header->msg_flags & MSG_TRUNC) != 0) {
        rest->length = 0;
        wire->discards++;
        return false;
    }
    return true;
}

/* Hands out what the slots hold. Returns the number of datagrams. */
static size_t slots_hand_out(struct wire_udp *wire, struct base_arrival *arrivals, size_t max)
{
    struct udp_inbox *inbox = &wire->inbox;
    struct base_arrival *rest = &inbox->rest;
    size_t count = 0;

    while (count < max && inbox->next < inbox->filled) {
        if (rest->length == 0 && !slot_open(wire, inbox->next)) {
            inbox->next++;
            continue;
        }
        arrivals[count] = *rest;
        if (rest->length > inbox->segment)
            arrivals[count].length = inbox->segment;
        rest->bytes += arrivals[count].length;
        rest->length -= arrivals[count].length;
        if (rest->length == 0)
            inbox->next++;
        count++;
    }
    return count;
}

/* Whether the last read has found the end of the queue, at this very time. Says so once. */
static bool is_known_empty(struct udp_inbox *inbox, uint64_t now)
{
    bool is_empty = inbox->has_seen_end && inbox->read_at == now;

    inbox->has_seen_end = false;
    return is_empty;
}

int udp_receive(struct wire *base, uint64_t now, struct base_arrival *arrivals, size_t max)
{
    struct wire_udp *wire = udp_of(base);
    unsigned reach = max < UDP_RECEIVE_SLOTS ? (unsigned)max : UDP_RECEIVE_SLOTS;
    size_t count = 0;

    assert(max <= WIRE_BATCH);
    if (max == 0)
        return 0;
    count = slots_hand_out(wire, arrivals, max);
    if (count == 0 && is_known_empty(&wire->inbox, now))
        return 0;
    wire->now = now;
    for (unsigned turn = 0; count == 0 && turn < TURNS_MAX; turn++) {
        wire->inbox.read_at = now;
        if (!slots_fill(wire, reach))
            break;
        count = slots_hand_out(wire, arrivals, max);
    }
    return (int)count;
}
