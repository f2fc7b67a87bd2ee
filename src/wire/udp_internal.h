/*
 * What the files of the udp carrier share: the wire itself, with all scratch memory that a packet's
 * path needs, and the few functions that one file offers the others. Nobody else includes this.
 *
 *   udp.c          open, socket options, close            udp_send.c     packets out
 *   udp_address.c  base_address to sockaddr and back      udp_receive.c  datagrams in
 *   udp_path.c     packet size per peer                   udp_errors.c   network errors
 *   udp_backlog.c  what waits below, and how fast it drains
 *
 * All of it belongs to the wire's owner (one thread at a time), except what inject uses: the
 * descriptor and the options, which never change, and errors_waiting, which is atomic.
 */
#ifndef WIRE_UDP_INTERNAL_H
#define WIRE_UDP_INTERNAL_H

#include "wire/udp.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* The largest payload that a UDP datagram over IPv4 has room for. */
#define UDP_DATAGRAM_MAX 65507u
/* Segments of one send that every kernel with UDP_SEGMENT takes. */
#define UDP_SEGMENTS_MAX 64u

#define UDP_SEND_UNITS 64u /* messages of one sendmmsg */
#define UDP_SEND_SLICES                                                                           \
    1024u                      /* iovecs of one sendmmsg; UIO_MAXIOV, so one message may have all \
                                */
#define UDP_RECEIVE_SLOTS 16u  /* messages of one recvmmsg */
#define UDP_GATHER_MAX    256u /* bytes of a packet that is better copied than referred to */
#define UDP_GATHER_BYTES  16384u /* of such packets in one sendmmsg */
#define UDP_PATHS         1024u  /* peers whose path is remembered */
#define UDP_ERRORS        64u    /* network errors that wait to be taken */

/* The priority that packets have without a control message, which costs a tenth of a microsecond:
 * that of the packets in a hurry. */
#define UDP_PRIORITY_DEFAULT 7u

/* A slot takes the longest datagram, or as many as receive offload joins (65,535 bytes). The stride
 * is not a power of two, so that the fronts of the slots do not compete for the same cache sets. */
#define UDP_SLOT_BYTES  65536u
#define UDP_SLOT_STRIDE (UDP_SLOT_BYTES + 9 * 64u)

union udp_name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Room for the control messages of one send: source address, priority, segment size. */
union udp_send_control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int))];
};

/* And of one receive: local address, priority, segment size, overflows, and some to spare. */
union udp_receive_control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + 6 * CMSG_SPACE(sizeof(int))];
};

/* One send: a datagram, or several that the kernel or the device cuts apart. */
struct udp_unit {
    size_t end;       /* index of the first packet behind it */
    uint32_t packets; /* in it */
    uint32_t length;  /* bytes of all its datagrams */
    uint32_t segment; /* bytes of each datagram but the last; 0 = it is one datagram */
};

struct udp_outbox {
    struct mmsghdr messages[UDP_SEND_UNITS];
    struct udp_unit units[UDP_SEND_UNITS];
    union udp_name names[UDP_SEND_UNITS];
    union udp_send_control controls[UDP_SEND_UNITS];
    struct iovec slices[UDP_SEND_SLICES];
    size_t gathered_length;
    uint8_t gathered[UDP_GATHER_BYTES];
};

struct udp_inbox {
    uint8_t *slots;
    struct mmsghdr messages[UDP_RECEIVE_SLOTS];
    struct iovec slices[UDP_RECEIVE_SLOTS];
    union udp_name names[UDP_RECEIVE_SLOTS];
    union udp_receive_control controls[UDP_RECEIVE_SLOTS];
    unsigned filled;   /* slots that the last system call filled */
    unsigned next;     /* the slot being handed out */
    bool has_seen_end; /* it found fewer than it could take */
    uint64_t read_at;  /* ns, when that was */
    /* What is left of that slot; rest.length 0 = it has not been looked at yet. */
    struct base_arrival rest;
    uint32_t segment; /* bytes of each datagram in it but the last */
};

/* What is known about the way to one peer. packet_bytes 0: the entry is empty. */
struct udp_path {
    struct base_ip remote;
    uint32_t scope;
    uint32_t packet_bytes;
    uint64_t expires_at; /* ns */
};

struct udp_error_ring {
    struct base_network_error entries[UDP_ERRORS];
    unsigned first;
    unsigned count;
};

/* The measurement of how fast the queue below drains; see udp_backlog.c. */
struct udp_drain {
    bool is_open;
    uint64_t began_at; /* ns */
    uint64_t queued;   /* bytes waiting then */
    uint64_t sent;     /* sent_bytes then */
    uint64_t bytes_per_second;
    uint64_t measured_at; /* ns */
};

struct wire_udp {
    struct wire wire; /* first: the interface points here */
    int descriptor;
    int family;
    uint16_t port;
    struct base_ip local; /* the address bound to; unspecified = any */
    bool is_low_delay_marked;
    bool is_gso_usable; /* until the kernel says otherwise */
    uint32_t gso_bytes;
    uint32_t receive_buffer; /* bytes granted, in the unit of getsockopt(SO_RCVBUF) */
    uint64_t now;            /* ns, of the last send or receive */
    uint64_t sent_bytes;     /* handed to the kernel so far */
    uint32_t overflows;
    uint32_t discards;
    atomic_bool errors_waiting; /* the kernel's error queue may hold something */
    struct udp_error_ring errors;
    uint64_t path_key;
    struct udp_path *paths;
    struct udp_drain drain;
    struct udp_inbox inbox;
    struct udp_outbox outbox;
};

static inline struct wire_udp *udp_of(struct wire *wire)
{
    return (struct wire_udp *)wire;
}

static inline const struct wire_udp *udp_of_const(const struct wire *wire)
{
    return (const struct wire_udp *)wire;
}

/* ---- udp_address.c ---- */

/* Whether an address is valid on one link only (fe80::/10) and needs a scope. */
bool udp_is_link_local(const struct base_ip *ip);

/* Writes the sockaddr with which a socket of this family reaches ip. Returns its length, or 0 when
 * it cannot: an IPv6 address on an IPv4 socket. The unspecified address fits both. */
socklen_t udp_name_write(int family, const struct base_ip *ip, uint16_t port, uint32_t scope,
                         union udp_name *name);

/* Reads a sockaddr that the kernel filled into the remote half of an address; local is cleared. */
void udp_name_read(const union udp_name *name, struct base_address *address);

/* ---- udp_send.c ---- */

int udp_send(struct wire *base, uint64_t now, const struct base_packet *packets, size_t count);
int udp_inject(struct wire *base, const struct base_packet *packet);

/* The TOS or traffic class of a priority's packets. */
int udp_tos(bool is_low_delay_marked, unsigned priority);

/* ---- udp_receive.c ---- */

void udp_receive_prepare(struct udp_inbox *inbox);
int udp_receive(struct wire *base, uint64_t now, struct base_arrival *arrivals, size_t max);

/* ---- udp_errors.c ---- */

int udp_errors(struct wire *base, struct base_network_error *errors, size_t max);

/* Moves what the kernel has queued into the ring, as far as there is room. A failed send or receive
 * calls this before it tries again: the failure may belong to somebody else's packet. */
void udp_errors_drain(struct wire_udp *wire);

/* Notes an error that a send met at once. */
void udp_errors_report(struct wire_udp *wire, const struct base_address *to, int error,
                       uint32_t packet_bytes);

/* ---- udp_path.c ---- */

uint32_t udp_path_bytes(struct wire_udp *wire, const struct base_address *to);

/* Ask anew next time. */
void udp_path_forget(struct wire_udp *wire, const struct base_address *to);

/* The kernel refused or the network dropped a datagram of this length as too large: asks for the
 * path anew. Returns the size to use from now on, which is below length. */
uint32_t udp_path_refused(struct wire_udp *wire, const struct base_address *to, uint32_t length);

/* ---- udp_backlog.c ---- */

void udp_backlog(struct wire *base, uint64_t now, struct base_backlog *backlog);

#endif
