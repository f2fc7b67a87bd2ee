/*
 * The tests' sockets; see endpoint.h.
 */
#include "endpoint.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT_FIRST 20000
#define PORT_LAST  32000

/* A forked child makes a progress thread of its own, which the thread sanitizer otherwise forbids
 * after a fork of several threads. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

static void read_name(struct endpoint *endpoint)
{
    endpoint->name_length = sizeof(endpoint->name);
    assert_int_equal(
        msv_getsockname(endpoint->fd, (struct sockaddr *)&endpoint->name, &endpoint->name_length),
        0);
    if (endpoint->family == AF_INET)
        ((struct sockaddr_in *)&endpoint->name)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        ((struct sockaddr_in6 *)&endpoint->name)->sin6_addr = in6addr_loopback;
}

void endpoint_open_with(struct endpoint *endpoint, int family, bool is_server, size_t region_bytes)
{
    struct homa_rcvbuf_args args;
    int server = is_server;

    *endpoint = (struct endpoint){.family = family, .region_bytes = region_bytes};
    endpoint->fd = msv_socket(family, SOCK_DGRAM, IPPROTO_HOMA);
    if (endpoint->fd < 0)
        fail_msg("msv_socket: %s (%s)", strerror(errno), msv_errmsg(-1));
    endpoint->region = mmap(NULL, region_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(endpoint->region != MAP_FAILED);
    args = (struct homa_rcvbuf_args){.start = (uintptr_t)endpoint->region, .length = region_bytes};
    if (msv_setsockopt(endpoint->fd, IPPROTO_HOMA, SO_HOMA_RCVBUF, &args, sizeof(args)) != 0)
        fail_msg("SO_HOMA_RCVBUF: %s", msv_errmsg(endpoint->fd));
    assert_int_equal(
        msv_setsockopt(endpoint->fd, IPPROTO_HOMA, SO_HOMA_SERVER, &server, sizeof(server)), 0);
    read_name(endpoint);
}

void endpoint_open(struct endpoint *endpoint, int family, bool is_server)
{
    endpoint_open_with(endpoint, family, is_server, ENDPOINT_REGION);
}

void endpoint_close(struct endpoint *endpoint)
{
    assert_int_equal(msv_close(endpoint->fd), 0);
    assert_int_equal(munmap(endpoint->region, endpoint->region_bytes), 0);
}

void endpoint_bind(struct endpoint *endpoint)
{
    struct sockaddr_storage name = endpoint->name;
    unsigned first = PORT_FIRST + (unsigned)getpid() % 4000;
    int result = -1;

    for (unsigned port = first; result != 0 && port < PORT_LAST; port++) {
        if (endpoint->family == AF_INET)
            ((struct sockaddr_in *)&name)->sin_port = htons((uint16_t)port);
        else
            ((struct sockaddr_in6 *)&name)->sin6_port = htons((uint16_t)port);
        result = msv_bind(endpoint->fd, (struct sockaddr *)&name, endpoint->name_length);
        if (result != 0)
            assert_int_equal(errno, EADDRINUSE);
    }
    assert_int_equal(result, 0);
    read_name(endpoint);
}

void endpoint_knob(const struct endpoint *endpoint, const char *assignment)
{
    if (msv_setsockopt(endpoint->fd, IPPROTO_HOMA, SO_MISSIVE_KNOB, assignment,
                       (socklen_t)strlen(assignment)) != 0)
        fail_msg("%s: %s", assignment, msv_errmsg(endpoint->fd));
}

int endpoint_send(int fd, const void *name, socklen_t name_length, const void *bytes, size_t length,
                  struct homa_sendmsg_args *args, int flags)
{
    struct iovec slice = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct msghdr message = {.msg_name = (void *)(uintptr_t)name,
                             .msg_namelen = name_length,
                             .msg_iov = &slice,
                             .msg_iovlen = 1,
                             .msg_control = args};

    return (int)msv_sendmsg(fd, &message, flags);
}

static uint64_t send_request(const struct endpoint *from, const struct endpoint *to,
                             const void *bytes, size_t length, struct homa_sendmsg_args args)
{
    if (endpoint_send(from->fd, &to->name, to->name_length, bytes, length, &args, 0) != 0)
        fail_msg("sendmsg: %s (%s)", strerror(errno), msv_errmsg(from->fd));
    assert_true(args.id != 0 && args.id % 2 == 0);
    return args.id;
}

uint64_t endpoint_request(const struct endpoint *from, const struct endpoint *to, const void *bytes,
                          size_t length, uint64_t cookie)
{
    return send_request(from, to, bytes, length,
                        (struct homa_sendmsg_args){.completion_cookie = cookie});
}

uint64_t endpoint_request_private(const struct endpoint *from, const struct endpoint *to,
                                  const void *bytes, size_t length)
{
    return send_request(from, to, bytes, length,
                        (struct homa_sendmsg_args){.flags = HOMA_SENDMSG_PRIVATE});
}

void endpoint_reply(const struct endpoint *server, const struct incoming *request,
                    const void *bytes, size_t length)
{
    struct homa_sendmsg_args args = {.id = request->args.id};

    assert_int_equal(
        endpoint_send(server->fd, &request->peer, request->peer_length, bytes, length, &args, 0),
        0);
}

ssize_t endpoint_try_receive(const struct endpoint *endpoint, uint64_t id, int flags,
                             struct incoming *incoming)
{
    struct msghdr message = {.msg_name = &incoming->peer,
                             .msg_namelen = sizeof(incoming->peer),
                             .msg_control = &incoming->args,
                             .msg_controllen = sizeof(incoming->args)};

    *incoming = (struct incoming){.args = {.id = id}};
    incoming->length = msv_recvmsg(endpoint->fd, &message, flags);
    incoming->error = incoming->length < 0 ? errno : 0;
    incoming->peer_length = message.msg_namelen;
    return incoming->length;
}

void endpoint_receive(const struct endpoint *endpoint, uint64_t id, struct incoming *incoming)
{
    if (endpoint_try_receive(endpoint, id, 0, incoming) < 0)
        fail_msg("recvmsg: %s (%s)", strerror(incoming->error), msv_errmsg(endpoint->fd));
}

void endpoint_give_back(const struct endpoint *endpoint, const struct incoming *message)
{
    struct homa_recvmsg_args args = message->args;
    struct msghdr header = {.msg_control = &args, .msg_controllen = sizeof(args)};

    /* A private RPC that does not exist: nothing can be received by accident. */
    args.id = 2;
    assert_int_equal(msv_recvmsg(endpoint->fd, &header, MSG_DONTWAIT), -1);
    assert_int_equal(args.num_bpages, 0);
}

void endpoint_read(const struct endpoint *endpoint, const struct incoming *message, void *bytes)
{
    size_t left = (size_t)message->length;

    for (uint32_t i = 0; i < message->args.num_bpages; i++) {
        size_t part = left < HOMA_BPAGE_SIZE ? left : HOMA_BPAGE_SIZE;

        memcpy((uint8_t *)bytes + i * HOMA_BPAGE_SIZE,
               endpoint->region + message->args.bpage_offsets[i], part);
        left -= part;
    }
    assert_int_equal(left, 0);
}

void pattern_fill(uint8_t *bytes, size_t length, uint32_t seed)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)((i * 31 + seed * 17 + (i >> 8)) & 0xff);
}

void pattern_check(const uint8_t *bytes, size_t length, uint32_t seed)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != (uint8_t)((i * 31 + seed * 17 + (i >> 8)) & 0xff))
            fail_msg("byte %zu of %zu is wrong", i, length);
    }
}

void endpoint_check(const struct endpoint *endpoint, const struct incoming *message, size_t length,
                    uint32_t seed)
{
    uint8_t *bytes = malloc(length);

    assert_non_null(bytes);
    assert_int_equal(message->length, length);
    endpoint_read(endpoint, message, bytes);
    pattern_check(bytes, length, seed);
    free(bytes);
}

void assert_sentence(int fd, const char *part)
{
    struct homa_info info = {0};

    assert_int_equal(msv_ioctl(fd, HOMAIOCINFO, &info), 0);
    if (strstr(info.error_msg, part) == NULL)
        fail_msg("the sentence is \"%s\", without \"%s\"", info.error_msg, part);
    assert_true(strlen(info.error_msg) <= 99);
}

void assert_failed(int fd, ssize_t result, int error, const char *part)
{
    int seen = errno;

    assert_int_equal(result, -1);
    if (seen != error)
        fail_msg("errno is %s instead of %s (%s)", strerror(seen), strerror(error), msv_errmsg(fd));
    if (strstr(msv_errmsg(fd), part) == NULL)
        fail_msg("msv_errmsg says \"%s\", without \"%s\"", msv_errmsg(fd), part);
    assert_sentence(fd, part);
}

uint32_t endpoint_rpcs(const struct endpoint *endpoint)
{
    struct homa_info info = {0};

    assert_int_equal(msv_ioctl(endpoint->fd, HOMAIOCINFO, &info), 0);
    return info.num_rpcs;
}

uint64_t test_now(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

short test_poll(int fd, short events, int timeout_ms)
{
    struct pollfd look = {.fd = fd, .events = events};

    return poll(&look, 1, timeout_ms) > 0 ? look.revents : 0;
}

bool pipe_send(int fd, const void *bytes, size_t length)
{
    return write(fd, bytes, length) == (ssize_t)length;
}

bool pipe_receive(int fd, void *bytes, size_t length)
{
    size_t got = 0;

    while (got < length) {
        ssize_t part = read(fd, (char *)bytes + got, length - got);

        if (part <= 0)
            return false;
        got += (size_t)part;
    }
    return true;
}

void child_start(struct child *child, int (*body)(int from_parent, int to_parent))
{
    int down[2];
    int up[2];

    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    (void)fflush(NULL);
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0) {
        (void)close(down[1]);
        (void)close(up[0]);
        _exit(body(down[0], up[1]));
    }
    (void)close(down[0]);
    (void)close(up[1]);
    child->to = down[1];
    child->from = up[0];
}

void child_send(const struct child *child, const void *bytes, size_t length)
{
    assert_true(pipe_send(child->to, bytes, length));
}

void child_receive(const struct child *child, void *bytes, size_t length)
{
    assert_true(pipe_receive(child->from, bytes, length));
}

int child_end(struct child *child)
{
    int status = 0;

    (void)close(child->to);
    (void)close(child->from);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
