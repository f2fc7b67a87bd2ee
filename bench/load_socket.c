/*
 * Sockets of the load generator, written against the public calls only. Whatever fails ends the
 * program with a sentence: it has nothing to recover.
 */
#include <missive/homa.h>
#include <missive/socket.h>

#include "bench/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define REGION_BYTES (64u << 20)
#define PORT_MIN     20000u
#define KIND_BITS    3
#define KNOB_BYTES   32

struct load_socket {
    int descriptor;
    uint8_t *region;
    struct homa_recvmsg_args args; /* of the last message, its pages still held */
    struct sockaddr_in from;
    char flags[KNOB_BYTES]; /* the knob's value in the beginning */
};

static uint8_t bytes[LOAD_LENGTH_MAX];

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now = {0};

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t load_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t load_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void load_fail(const char *what)
{
    fprintf(stderr, "missive-load: %s: %s %s\n", what, strerror(errno), msv_errmsg(-1));
    exit(1);
}

static void check(bool is_good, const char *what)
{
    if (!is_good)
        load_fail(what);
}

static void set_knob(struct load_socket *socket, const char *name, const char *value)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%s=%s", name, value);
    check(msv_setsockopt(socket->descriptor, IPPROTO_HOMA, SO_MISSIVE_KNOB, text,
                         (socklen_t)strlen(text)) == 0,
          text);
}

static void get_flags(struct load_socket *socket)
{
    char text[KNOB_BYTES] = "flags";
    socklen_t length = sizeof(text);

    check(msv_getsockopt(socket->descriptor, IPPROTO_HOMA, SO_MISSIVE_KNOB, text, &length) == 0,
          "SO_MISSIVE_KNOB");
    (void)snprintf(socket->flags, sizeof(socket->flags), "%.*s", (int)length, text);
}

void load_set_paced(struct load_socket *socket, bool is_paced)
{
    set_knob(socket, "flags", is_paced ? socket->flags : "2");
}

static uint16_t bind_free_port(const struct load_socket *socket)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    for (uint16_t port = PORT_MIN; port < HOMA_MIN_DEFAULT_PORT; port++) {
        address.sin_port = htons(port);
        if (msv_bind(socket->descriptor, (struct sockaddr *)&address, sizeof(address)) == 0)
            return port;
        check(errno == EADDRINUSE, "msv_bind");
    }
    load_fail("no port is free");
}

struct load_socket *load_open(const char *poll_usecs, bool is_server, uint16_t *port)
{
    struct load_socket *socket = calloc(1, sizeof(*socket));
    struct homa_rcvbuf_args buffer = {.length = REGION_BYTES};

    check(socket != NULL, "memory");
    socket->region = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    check(socket->region != MAP_FAILED, "memory");
    buffer.start = (uintptr_t)socket->region;
    socket->descriptor = msv_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_HOMA);
    check(socket->descriptor >= 0, "msv_socket");
    check(msv_setsockopt(socket->descriptor, IPPROTO_HOMA, SO_HOMA_RCVBUF, &buffer,
                         sizeof(buffer)) == 0,
          "SO_HOMA_RCVBUF");
    set_knob(socket, "poll_usecs", poll_usecs);
    get_flags(socket);
    if (is_server)
        *port = bind_free_port(socket);
    return socket;
}

void load_close(struct load_socket *socket)
{
    check(msv_close(socket->descriptor) == 0, "msv_close");
    check(munmap(socket->region, REGION_BYTES) == 0, "munmap");
    free(socket);
}

void load_send(struct load_socket *socket, const struct sockaddr_in *to, enum load_kind kind,
               uint64_t due_ns, uint32_t length)
{
    uint64_t head = due_ns << KIND_BITS | (unsigned)kind;
    struct sockaddr_in address = *to;
    struct homa_sendmsg_args args = {0};
    struct iovec slices[2] = {
        {.iov_base = &head, .iov_len = sizeof(head)},
        {.iov_base = bytes, .iov_len = length - sizeof(head)},
    };
    struct msghdr header = {
        .msg_name = &address,
        .msg_namelen = sizeof(address),
        .msg_iov = slices,
        .msg_iovlen = 2,
        .msg_control = &args,
    };

    check(msv_sendmsg(socket->descriptor, &header, 0) == 0, "msv_sendmsg");
}

void load_answer(struct load_socket *socket, uint64_t id)
{
    struct homa_sendmsg_args args = {.id = id};
    struct iovec slice = {.iov_base = bytes, .iov_len = 1};
    struct msghdr header = {
        .msg_name = &socket->from,
        .msg_namelen = sizeof(socket->from),
        .msg_iov = &slice,
        .msg_iovlen = 1,
        .msg_control = &args,
    };

    check(msv_sendmsg(socket->descriptor, &header, 0) == 0, "msv_sendmsg");
}

int load_take(struct load_socket *socket, bool may_wait)
{
    struct msghdr header = {
        .msg_name = &socket->from,
        .msg_namelen = sizeof(socket->from),
        .msg_control = &socket->args,
        .msg_controllen = sizeof(socket->args),
    };
    ssize_t length = 0;

    socket->args.id = 0;
    length = msv_recvmsg(socket->descriptor, &header, may_wait ? 0 : MSG_DONTWAIT);
    check(length >= 0 || (!may_wait && errno == EAGAIN), "msv_recvmsg");
    return (int)length;
}

uint64_t load_id(const struct load_socket *socket)
{
    return socket->args.id;
}

static uint64_t head_of(const struct load_socket *socket)
{
    uint64_t head;

    memcpy(&head, socket->region + socket->args.bpage_offsets[0], sizeof(head));
    return head;
}

uint64_t load_due(const struct load_socket *socket)
{
    return head_of(socket) >> KIND_BITS;
}

enum load_kind load_kind_of(const struct load_socket *socket)
{
    return (enum load_kind)(head_of(socket) & ((1u << KIND_BITS) - 1));
}
