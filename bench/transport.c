/*
 * The three transports. Each is written as a careful program would use it: one system call to send
 * and one to receive a short message; for long ones, UDP datagrams of 60 KB in a window that the
 * receiver's buffer holds, with one copy on each side, which is what any reliable protocol on top
 * would have to do as well.
 *
 * Heads of short messages lie inside their bytes: nothing is sent that is not counted.
 */
#include "bench/transport.h"

#include <missive/socket.h>

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REGION_BYTES     (64u << 20)
#define MISSIVE_PORT_MIN 20000u
#define DATAGRAM_BYTES   60000u
#define BUFFER_BYTES     (4 << 20) /* asked for; the kernel may grant less */
#define WINDOW_MAX       16u
#define SHORT_BYTES      4096u /* messages up to here are copied together: one slice */
#define READ_BYTES       (64u << 10)

const char *transport_name(enum transport_kind kind)
{
    static const char *const names[TRANSPORTS] = {"Missive", "UDP", "TCP"};

    return names[kind];
}

void transport_fail(const char *what)
{
    fprintf(stderr, "missive-bench: %s: %s %s\n", what, strerror(errno), msv_errmsg(-1));
    exit(1);
}

static void check(bool is_good, const char *what)
{
    if (!is_good)
        transport_fail(what);
}

static uint8_t *map(size_t length)
{
    void *bytes = mmap(NULL, length, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    check(bytes != MAP_FAILED, "memory");
    return bytes;
}

/* ---- Missive ---- */

static void missive_open(struct transport *transport)
{
    struct homa_rcvbuf_args buffer = {.start = (uintptr_t)transport->region,
                                      .length = REGION_BYTES};

    transport->descriptor = msv_socket(AF_INET, SOCK_DGRAM, IPPROTO_HOMA);
    check(transport->descriptor >= 0, "msv_socket");
    check(msv_setsockopt(transport->descriptor, IPPROTO_HOMA, SO_HOMA_RCVBUF, &buffer,
                         sizeof(buffer)) == 0,
          "SO_HOMA_RCVBUF");
}

static void missive_listen(struct transport *transport, struct sockaddr_in *address)
{
    int result = -1;

    missive_open(transport);
    for (unsigned port = MISSIVE_PORT_MIN; result != 0 && port < 0x8000; port++) {
        address->sin_port = htons((uint16_t)port);
        result = msv_bind(transport->descriptor, (struct sockaddr *)address, sizeof(*address));
        check(result == 0 || errno == EADDRINUSE, "msv_bind");
    }
    check(result == 0, "msv_bind");
}

static void missive_wait_by(struct transport *transport, enum waiting waiting)
{
    static const char *const knobs[] = {
        [WAITING_ADAPTIVE] = "poll_usecs=auto",
        [WAITING_ASLEEP] = "poll_usecs=0",
        [WAITING_SPINNING] = "poll_usecs=1000000",
    };

    check(msv_setsockopt(transport->descriptor, IPPROTO_HOMA, SO_MISSIVE_KNOB, knobs[waiting],
                         (socklen_t)strlen(knobs[waiting])) == 0,
          "SO_MISSIVE_KNOB");
}

static void missive_send(struct transport *transport, const uint8_t *bytes,
                         const struct transport_head *head)
{
    struct homa_sendmsg_args args = {.id = transport->is_server ? transport->args.id : 0};
    struct iovec slices[2] = {
        {.iov_base = (void *)(uintptr_t)head, .iov_len = sizeof(*head)},
        {.iov_base = (void *)(uintptr_t)(bytes + sizeof(*head)),
         .iov_len = head->length - sizeof(*head)},
    };
    struct msghdr header = {
        .msg_name = &transport->peer,
        .msg_namelen = sizeof(transport->peer),
        .msg_iov = slices,
        .msg_iovlen = 2,
        .msg_control = &args,
    };

    check(msv_sendmsg(transport->descriptor, &header, 0) == 0, "msv_sendmsg");
}

static bool missive_receive(struct transport *transport, bool may_wait, struct transport_head *head)
{
    struct sockaddr_in from = {0};
    struct msghdr header = {
        .msg_name = &from,
        .msg_namelen = sizeof(from),
        .msg_control = &transport->args,
        .msg_controllen = sizeof(transport->args),
    };

    transport->args.id = 0;
    if (msv_recvmsg(transport->descriptor, &header, may_wait ? 0 : MSG_DONTWAIT) < 0) {
        check(!may_wait && errno == EAGAIN, "msv_recvmsg");
        return false;
    }
    memcpy(head, transport->region + transport->args.bpage_offsets[0], sizeof(*head));
    if (transport->is_server)
        transport->peer = from;
    return true;
}

/* ---- messages that wait, UDP's and TCP's ---- */

static void queue_put(struct transport *transport, const uint8_t *bytes,
                      const struct transport_head *head)
{
    uint32_t last = (transport->queue_first + transport->queued) % TRANSPORT_QUEUE;

    check(transport->queued < TRANSPORT_QUEUE, "too many messages wait");
    transport->queue[last].bytes = bytes;
    transport->queue[last].head = *head;
    transport->queued++;
}

/* So many bytes of the oldest have gone out. */
static void queue_advance(struct transport *transport, uint32_t count)
{
    transport->queue_offset += count;
    if (transport->queue_offset < transport->queue[transport->queue_first].head.length)
        return;
    transport->queue_offset = 0;
    transport->queue_first = (transport->queue_first + 1) % TRANSPORT_QUEUE;
    transport->queued--;
}

/* ---- UDP ---- */

static void udp_open(struct transport *transport)
{
    int size = BUFFER_BYTES;
    socklen_t length = sizeof(size);

    transport->descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    check(transport->descriptor >= 0, "socket");
    (void)setsockopt(transport->descriptor, SOL_SOCKET, SO_RCVBUF, &size, length);
    (void)setsockopt(transport->descriptor, SOL_SOCKET, SO_SNDBUF, &size, length);
    (void)getsockopt(transport->descriptor, SOL_SOCKET, SO_RCVBUF, &size, &length);
    /* Half of what is granted, since the kernel counts its own memory, too. */
    transport->window = (uint32_t)size / 2 / (DATAGRAM_BYTES + 8192);
    if (transport->window > WINDOW_MAX)
        transport->window = WINDOW_MAX;
    if (transport->window < 2)
        transport->window = 2;
}

static void udp_send_part(struct transport *transport, const uint8_t *bytes, uint32_t count,
                          const struct transport_head *head)
{
    memcpy(transport->scratch, head, sizeof(*head));
    if (count > sizeof(*head))
        memcpy(transport->scratch + sizeof(*head), bytes + head->offset + sizeof(*head),
               count - sizeof(*head));
    check(sendto(transport->descriptor, transport->scratch, count, 0,
                 (struct sockaddr *)&transport->peer, sizeof(transport->peer)) == (ssize_t)count,
          "sendto");
}

/* Sends what the window allows of the messages that wait. */
static void udp_push(struct transport *transport)
{
    while (transport->queued > 0 && transport->sent - transport->received < transport->window) {
        struct transport_head head = transport->queue[transport->queue_first].head;
        uint32_t left = head.length - transport->queue_offset;
        uint32_t count = left < DATAGRAM_BYTES ? left : DATAGRAM_BYTES;

        head.offset = transport->queue_offset;
        udp_send_part(transport, transport->queue[transport->queue_first].bytes, count, &head);
        transport->sent++;
        queue_advance(transport, count);
    }
}

static void udp_send(struct transport *transport, const uint8_t *bytes, struct transport_head *head)
{
    if (head->length > DATAGRAM_BYTES) {
        queue_put(transport, bytes, head);
        udp_push(transport);
        return;
    }
    head->received = transport->received;
    transport->told = transport->received;
    udp_send_part(transport, bytes, head->length, head);
}

/* A piece of a long message. Returns whether the message is complete. */
static bool udp_take_piece(struct transport *transport, const struct transport_head *head,
                           uint32_t count)
{
    memcpy(transport->region + head->offset, transport->scratch, count);
    transport->received++;
    if (head->offset + count >= head->length)
        return true;
    if (transport->received - transport->told >= (transport->window + 1) / 2) {
        struct transport_head news = {.received = transport->received};

        transport->told = transport->received;
        udp_send_part(transport, NULL, sizeof(news), &news);
    }
    return false;
}

static bool udp_receive(struct transport *transport, bool may_wait, struct transport_head *head)
{
    int flags = may_wait && !transport->is_spinning ? 0 : MSG_DONTWAIT;

    for (;;) {
        struct sockaddr_in from;
        socklen_t length = sizeof(from);
        ssize_t count = recvfrom(transport->descriptor, transport->scratch, DATAGRAM_BYTES, flags,
                                 (struct sockaddr *)&from, &length);

        if (count < 0) {
            check(errno == EAGAIN, "recvfrom");
            if (may_wait)
                continue;
            return false;
        }
        check((size_t)count >= sizeof(*head), "a datagram that is too short");
        memcpy(head, transport->scratch, sizeof(*head));
        if (transport->is_server) {
            transport->peer = from;
            if (head->length <= DATAGRAM_BYTES || udp_take_piece(transport, head, (uint32_t)count))
                return true;
            continue;
        }
        transport->received = head->received;
        udp_push(transport);
        if (head->length > 0)
            return true;
    }
}

/* ---- TCP ---- */

static void tcp_prepare(int descriptor)
{
    int on = 1;

    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
    check(setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0, "TCP_NODELAY");
}

static void tcp_open(struct transport *transport)
{
    transport->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    check(transport->descriptor >= 0, "socket");
    tcp_prepare(transport->descriptor);
}

/* One system call for what is left of the oldest message that waits. */
static ssize_t tcp_write(struct transport *transport)
{
    const struct transport_head *head = &transport->queue[transport->queue_first].head;
    const uint8_t *bytes = transport->queue[transport->queue_first].bytes;
    uint32_t offset = transport->queue_offset;
    struct iovec slices[2];
    struct msghdr header = {.msg_iov = slices, .msg_iovlen = 0};

    if (head->length <= SHORT_BYTES) {
        memcpy(transport->scratch, head, sizeof(*head));
        memcpy(transport->scratch + sizeof(*head), bytes + sizeof(*head),
               head->length - sizeof(*head));
        return send(transport->descriptor, transport->scratch + offset, head->length - offset,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (offset < sizeof(*head)) {
        slices[header.msg_iovlen++] = (struct iovec){
            .iov_base = (uint8_t *)(uintptr_t)head + offset, .iov_len = sizeof(*head) - offset};
        offset = sizeof(*head);
    }
    slices[header.msg_iovlen++] = (struct iovec){.iov_base = (void *)(uintptr_t)(bytes + offset),
                                                 .iov_len = head->length - offset};
    return sendmsg(transport->descriptor, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Writes what the kernel takes without waiting of the messages that wait. */
static void tcp_push(struct transport *transport)
{
    while (transport->queued > 0) {
        ssize_t count = tcp_write(transport);

        if (count < 0) {
            check(errno == EAGAIN, "send");
            return;
        }
        queue_advance(transport, (uint32_t)count);
    }
}

static void tcp_send(struct transport *transport, const uint8_t *bytes,
                     const struct transport_head *head)
{
    queue_put(transport, bytes, head);
    tcp_push(transport);
}

/* Hands out the next message if it is complete. */
static bool tcp_take(struct transport *transport, struct transport_head *head)
{
    size_t left = transport->filled - transport->taken;

    if (left == 0)
        transport->filled = transport->taken = 0;
    if (left < sizeof(*head))
        return false;
    memcpy(head, transport->region + transport->taken, sizeof(*head));
    if (left < head->length)
        return false;
    transport->taken += head->length;
    return true;
}

/* How much to read: the rest of a long message, so that it need not be moved, or some short ones.
 */
static size_t tcp_wanted(const struct transport *transport)
{
    struct transport_head head = {0};
    size_t left = transport->filled - transport->taken;

    if (left >= sizeof(head))
        memcpy(&head, transport->region + transport->taken, sizeof(head));
    return head.length > SHORT_BYTES ? head.length - left : READ_BYTES;
}

static bool tcp_receive(struct transport *transport, bool may_wait, struct transport_head *head)
{
    while (!tcp_take(transport, head)) {
        int flags = may_wait && !transport->is_spinning ? 0 : MSG_DONTWAIT;
        ssize_t count = 0;

        tcp_push(transport);
        if (transport->queued > 0 && flags == 0) {
            struct pollfd both = {.fd = transport->descriptor, .events = POLLIN | POLLOUT};

            check(poll(&both, 1, -1) == 1, "poll");
            flags = MSG_DONTWAIT;
        }
        if (transport->taken > TRANSPORT_MESSAGE_MAX) {
            transport->filled -= transport->taken;
            memmove(transport->region, transport->region + transport->taken, transport->filled);
            transport->taken = 0;
        }
        count = recv(transport->descriptor, transport->region + transport->filled,
                     tcp_wanted(transport), flags);
        if (count == 0)
            errno = ECONNRESET;
        check(count > 0 || errno == EAGAIN, "recv");
        if (count > 0)
            transport->filled += (size_t)count;
        else if (!may_wait)
            return false;
    }
    return true;
}

/* ---- all of them ---- */

static void prepare(struct transport *transport, enum transport_kind kind, bool is_server)
{
    *transport = (struct transport){.kind = kind, .is_server = is_server, .listener = -1};
    transport->region = map(REGION_BYTES);
    transport->scratch = map(DATAGRAM_BYTES);
    transport->peer =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

uint16_t transport_listen(struct transport *transport, enum transport_kind kind)
{
    struct sockaddr_in address = {0};
    socklen_t length = sizeof(address);

    prepare(transport, kind, true);
    address = transport->peer;
    if (kind == TRANSPORT_MISSIVE) {
        missive_listen(transport, &address);
        return ntohs(address.sin_port);
    }
    if (kind == TRANSPORT_UDP)
        udp_open(transport);
    else
        tcp_open(transport);
    check(bind(transport->descriptor, (struct sockaddr *)&address, length) == 0, "bind");
    check(getsockname(transport->descriptor, (struct sockaddr *)&address, &length) == 0,
          "getsockname");
    if (kind == TRANSPORT_TCP) {
        check(listen(transport->descriptor, 1) == 0, "listen");
        transport->listener = transport->descriptor;
    }
    return ntohs(address.sin_port);
}

void transport_accept(struct transport *transport)
{
    if (transport->kind != TRANSPORT_TCP)
        return;
    transport->descriptor = accept(transport->listener, NULL, NULL);
    check(transport->descriptor >= 0, "accept");
    tcp_prepare(transport->descriptor);
}

void transport_connect(struct transport *transport, enum transport_kind kind, uint16_t port)
{
    prepare(transport, kind, false);
    transport->peer.sin_port = htons(port);
    if (kind == TRANSPORT_MISSIVE) {
        missive_open(transport);
    } else if (kind == TRANSPORT_UDP) {
        udp_open(transport);
    } else {
        tcp_open(transport);
        check(connect(transport->descriptor, (struct sockaddr *)&transport->peer,
                      sizeof(transport->peer)) == 0,
              "connect");
    }
}

void transport_wait_by(struct transport *transport, enum waiting waiting)
{
    transport->is_spinning = waiting == WAITING_SPINNING;
    if (transport->kind == TRANSPORT_MISSIVE)
        missive_wait_by(transport, waiting);
}

void transport_send(struct transport *transport, const uint8_t *bytes, uint32_t length,
                    uint32_t tag)
{
    struct transport_head head = {.length = length, .tag = tag};

    if (transport->kind == TRANSPORT_MISSIVE)
        missive_send(transport, bytes, &head);
    else if (transport->kind == TRANSPORT_UDP)
        udp_send(transport, bytes, &head);
    else
        tcp_send(transport, bytes, &head);
}

bool transport_receive(struct transport *transport, bool may_wait, struct transport_head *head)
{
    if (transport->kind == TRANSPORT_MISSIVE)
        return missive_receive(transport, may_wait, head);
    if (transport->kind == TRANSPORT_UDP)
        return udp_receive(transport, may_wait, head);
    return tcp_receive(transport, may_wait, head);
}

void transport_congestion(const struct transport *transport, char *name, socklen_t size)
{
    if (getsockopt(transport->descriptor, IPPROTO_TCP, TCP_CONGESTION, name, &size) != 0)
        (void)strncpy(name, "unknown", size);
}
