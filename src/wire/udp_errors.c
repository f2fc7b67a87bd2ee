/*
 * Network errors: what ICMP said about earlier datagrams, and what the kernel said at once. The
 * kernel queues the former on the socket (IP_RECVERR) with the address that the datagram had been
 * sent to, and makes the *next* send or receive fail, whoever that is for. So such a failure means
 * nothing but "look into the queue"; send and receive set errors_waiting, drain, and go on.
 *
 * Errors wait in a small ring until the owner takes them; one per peer and kind, since a second one
 * says nothing new.
 */
#include "wire/udp_internal.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

void udp_errors_report(struct wire_udp *wire, const struct base_address *to, int error,
                       uint32_t packet_bytes)
{
    struct udp_error_ring *ring = &wire->errors;
    struct base_network_error *entry = NULL;

    for (unsigned i = 0; i < ring->count; i++) {
        entry = &ring->entries[(ring->first + i) % UDP_ERRORS];
        if (entry->error == error && base_address_same_remote(&entry->to, to)) {
            entry->packet_bytes = packet_bytes;
            return;
        }
    }
    if (ring->count == UDP_ERRORS) {
        /* The oldest gives way: its packets are then found missing by timeout, as without ICMP. */
        ring->first = (ring->first + 1) % UDP_ERRORS;
        ring->count--;
    }
    entry = &ring->entries[(ring->first + ring->count) % UDP_ERRORS];
    *entry = (struct base_network_error){.to = *to, .error = error, .packet_bytes = packet_bytes};
    ring->count++;
}

static int translate_icmp4(uint8_t type, uint8_t code)
{
    if (type != ICMP_DEST_UNREACH)
        return EHOSTUNREACH;
    switch (code) {
    case ICMP_PROT_UNREACH:
        return EPROTONOSUPPORT;
    case ICMP_PORT_UNREACH:
        return ECONNREFUSED;
    case ICMP_FRAG_NEEDED:
        return EMSGSIZE;
    default:
        return EHOSTUNREACH;
    }
}

static int translate_icmp6(uint8_t type, uint8_t code)
{
    if (type == ICMP6_DST_UNREACH && code == ICMP6_DST_UNREACH_NOPORT)
        return ECONNREFUSED;
    if (type == ICMP6_PACKET_TOO_BIG)
        return EMSGSIZE;
    if (type == ICMP6_PARAM_PROB && code == ICMP6_PARAMPROB_NEXTHEADER)
        return EPROTONOSUPPORT;
    return EHOSTUNREACH;
}

/* The errno for what is in the queue, or 0 when it is nothing to tell anybody. */
static int translate(const struct sock_extended_err *report)
{
    switch (report->ee_origin) {
    case SO_EE_ORIGIN_ICMP:
        return translate_icmp4(report->ee_type, report->ee_code);
    case SO_EE_ORIGIN_ICMP6:
        return translate_icmp6(report->ee_type, report->ee_code);
    case SO_EE_ORIGIN_LOCAL:
        return (int)report->ee_errno;
    default:
        return 0;
    }
}

static void take_report(struct wire_udp *wire, const union udp_name *name,
                        const struct sock_extended_err *report)
{
    int error = translate(report);
    struct base_address to;
    uint32_t packet_bytes = 0;

    udp_name_read(name, &to);
    /* The kernel leaves the port out of what it says about its own refusals on IPv4; the send that
     * was refused has reported it already. */
    if (error == 0 || to.port == 0)
        return;
    if (error == EMSGSIZE)
        packet_bytes = udp_path_refused(wire, &to, UINT32_MAX);
    udp_errors_report(wire, &to, error, packet_bytes);
}

/* Takes one report out of the kernel's queue. Returns false when there is none. */
static bool read_report(struct wire_udp *wire)
{
    union udp_name name = {0};
    union {
        struct cmsghdr align;
        uint8_t bytes[512];
    } control;
    struct msghdr header = {.msg_name = &name,
                            .msg_namelen = sizeof(name),
                            .msg_control = &control,
                            .msg_controllen = sizeof(control)};
    struct sock_extended_err report;

    if (recvmsg(wire->descriptor, &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return false;
    if (header.msg_namelen == 0)
        return true;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&header); at != NULL; at = CMSG_NXTHDR(&header, at)) {
        bool is_report = (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_RECVERR) ||
                         (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_RECVERR);

        if (is_report && at->cmsg_len >= CMSG_LEN(sizeof(report))) {
            memcpy(&report, CMSG_DATA(at), sizeof(report));
            take_report(wire, &name, &report);
        }
    }
    return true;
}

void udp_errors_drain(struct wire_udp *wire)
{
    /* Cleared first: whoever sets it from now on has seen something newer. */
    atomic_store(&wire->errors_waiting, false);
    while (wire->errors.count < UDP_ERRORS) {
        if (!read_report(wire))
            return;
    }
    atomic_store(&wire->errors_waiting, true);
}

int udp_errors(struct wire *base, struct base_network_error *errors, size_t max)
{
    struct wire_udp *wire = udp_of(base);
    struct udp_error_ring *ring = &wire->errors;
    int taken = 0;

    if (atomic_load_explicit(&wire->errors_waiting, memory_order_relaxed))
        udp_errors_drain(wire);
    while (ring->count > 0 && (size_t)taken < max) {
        errors[taken++] = ring->entries[ring->first];
        ring->first = (ring->first + 1) % UDP_ERRORS;
        ring->count--;
    }
    return taken;
}
