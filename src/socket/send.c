/*
 * sendmsg: check the arguments, wait for room, copy, start the RPC or its response, and let go out
 * what may. On the fast path (a short message, room, nobody else inside) that is one system call.
 *
 * A long message is copied in pieces, so that its front is on its way while the rest is copied; in
 * between, threads that wait for the lock get it. The buffer is marked as being filled meanwhile:
 * an RPC that ends early leaves freeing it to the thread that fills it.
 */
#include <missive/homa.h>
#include <missive/socket.h>

#include "socket/address.h"
#include "socket/buffer.h"
#include "socket/clock.h"
#include "socket/pump.h"
#include "socket/socket.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define PIECE_BYTES 65536u

/* A caller that only sends still reads the wire this often: nobody else would be quick. */
#define INPUT_EVERY_NS (100 * CLOCK_NS_PER_US)

/* A message to send, as the arguments describe it. */
struct outgoing {
    struct homa_sendmsg_args *args;
    struct base_address to;
    uint32_t length;
    const struct iovec *slices;
    size_t slice;  /* the next bytes to copy: in this slice, */
    size_t offset; /* from here on */
};

/* ---- checking ---- */

static int check_args(struct socket *socket, const struct msghdr *message)
{
    const struct homa_sendmsg_args *args = message->msg_control;

    if (message->msg_controllen != 0 && message->msg_controllen != sizeof(*args))
        return sentence_fail(socket, EINVAL,
                             "sendmsg: msg_controllen is %zu; it must be 0 (or %zu)",
                             message->msg_controllen, sizeof(*args));
    if (args == NULL)
        return sentence_fail(socket, EFAULT,
                             "sendmsg: msg_control does not point to a homa_sendmsg_args");
    if ((args->flags & ~(uint32_t)HOMA_SENDMSG_VALID_FLAGS) != 0)
        return sentence_fail(socket, EINVAL, "sendmsg: unknown bits in flags: 0x%x",
                             args->flags & ~(uint32_t)HOMA_SENDMSG_VALID_FLAGS);
    if (args->reserved != 0)
        return sentence_fail(socket, EINVAL, "sendmsg: reserved is not 0");
    if (args->id != 0 && args->completion_cookie != 0)
        return sentence_fail(socket, EINVAL,
                             "sendmsg: a response (id is not 0) must have completion_cookie 0");
    return 0;
}

/* The unspecified address means this host, and peers are told apart bytewise. */
static void make_specific(struct base_address *to)
{
    static const uint8_t zeros[4];

    if (base_ip_is_unspecified(&to->remote))
        to->remote.bytes[15] = 1;
    else if (base_ip_is_mapped(&to->remote) && memcmp(to->remote.bytes + 12, zeros, 4) == 0)
        memcpy(to->remote.bytes + 12, (const uint8_t[]){127, 0, 0, 1}, 4);
}

static int check_name(struct socket *socket, const struct msghdr *message, struct base_address *to)
{
    int result = 0;

    if (message->msg_name == NULL)
        return sentence_fail(socket, EINVAL,
                             "sendmsg: msg_name is missing: every message needs it");
    result = address_read(socket->family, message->msg_name, message->msg_namelen, to);
    if (result == -EINVAL)
        return sentence_fail(socket, EINVAL,
                             "sendmsg: msg_name of %u bytes is too short for its family",
                             message->msg_namelen);
    if (result != 0)
        return sentence_fail(socket, EAFNOSUPPORT,
                             "sendmsg: msg_name's address family differs from the socket's");
    if (to->port == 0)
        return sentence_fail(socket, EINVAL, "sendmsg: msg_name has port 0");
    make_specific(to);
    return 0;
}

static int check_slices(struct socket *socket, const struct msghdr *message, uint32_t *length)
{
    size_t total = 0;

    if (message->msg_iovlen > IOV_MAX)
        return sentence_fail(socket, EMSGSIZE, "sendmsg: more than %d parts in msg_iov", IOV_MAX);
    if (message->msg_iov == NULL && message->msg_iovlen > 0)
        return sentence_fail(socket, EFAULT, "sendmsg: msg_iov is a null pointer");
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *slice = &message->msg_iov[i];

        if (slice->iov_base == NULL && slice->iov_len > 0)
            return sentence_fail(socket, EFAULT, "sendmsg: part %zu of msg_iov is a null pointer",
                                 i);
        if (slice->iov_len > HOMA_MAX_MESSAGE_LENGTH ||
            total + slice->iov_len > HOMA_MAX_MESSAGE_LENGTH)
            return sentence_fail(socket, EINVAL, "sendmsg: the message is longer than %d bytes",
                                 HOMA_MAX_MESSAGE_LENGTH);
        total += slice->iov_len;
    }
    if (total == 0)
        return sentence_fail(socket, EINVAL, "sendmsg: the message is empty");
    *length = (uint32_t)total;
    return 0;
}

static int check(struct socket *socket, const struct msghdr *message, struct outgoing *out)
{
    int result = 0;

    *out = (struct outgoing){0};
    if (message == NULL)
        return sentence_fail(socket, EFAULT, "sendmsg: the msghdr is a null pointer");
    result = check_args(socket, message);
    if (result == 0)
        result = check_name(socket, message, &out->to);
    if (result == 0)
        result = check_slices(socket, message, &out->length);
    out->args = message->msg_control;
    out->slices = message->msg_iov;
    return result;
}

static int fail_shut(struct socket *socket)
{
    if (socket->is_closed)
        return sentence_fail(NULL, EBADF, "sendmsg: the descriptor was closed meanwhile");
    return sentence_fail(socket, ESHUTDOWN, "sendmsg: the socket has been shut down");
}

/* ---- waiting for room ---- */

static int wait_for_room(struct call *call, bool is_blocking)
{
    struct socket *socket = call->socket;
    uint64_t timeout = socket->options.send_timeout_ns;
    uint64_t until = timeout != 0 ? clock_after(call->now, timeout) : CLOCK_NEVER;
    struct waiter waiter;
    int result = 0;

    if (!is_blocking) {
        if (pump(socket, call->now))
            pump_settle(socket, NULL);
        ready_update(socket);
        return buffer_has_room(socket) ? 0 : sentence_pass(EAGAIN, "sendmsg: send memory is full");
    }
    wait_begin(&waiter, call, WAIT_ROOM, 0);
    while (result == 0 && !socket->is_closed && !socket->is_shut && !buffer_has_room(socket))
        result = wait_turn(&waiter, until, -1);
    wait_end(&waiter);
    call->now = clock_now();
    if (result == -EINTR)
        return sentence_pass(EINTR, "sendmsg: a signal came while waiting for send memory");
    if (result == -EAGAIN)
        return sentence_pass(EAGAIN, "sendmsg: no send memory within SO_SNDTIMEO");
    return 0;
}

/* ---- copying and starting ---- */

/* Copies the next `count` bytes of the message behind what is there. */
static void fill(struct buffer *buffer, struct outgoing *out, uint32_t count)
{
    while (count > 0) {
        const struct iovec *slice = &out->slices[out->slice];
        size_t part = slice->iov_len - out->offset;

        if (part > count)
            part = count;
        if (part > 0)
            memcpy(buffer->bytes + buffer->payload.ready,
                   (const uint8_t *)slice->iov_base + out->offset, part);
        buffer->payload.ready += (uint32_t)part;
        count -= (uint32_t)part;
        out->offset += part;
        if (out->offset == slice->iov_len) {
            out->slice++;
            out->offset = 0;
        }
    }
}

static int start(struct call *call, struct outgoing *out, struct buffer *buffer, uint64_t *id)
{
    struct socket *socket = call->socket;
    uint32_t packet_bytes = wire_packet_bytes(socket->wire, &out->to);

    if (out->args->id != 0) {
        *id = out->args->id;
        return homa_engine_reply(socket->engine, call->now, &out->to, *id, &buffer->payload,
                                 packet_bytes);
    }
    return homa_engine_request(socket->engine, call->now, &out->to, &buffer->payload, packet_bytes,
                               out->args->completion_cookie,
                               (out->args->flags & HOMA_SENDMSG_PRIVATE) != 0, id);
}

static int fail_start(struct socket *socket, const struct outgoing *out, int error)
{
    unsigned long long id = out->args->id;

    switch (error) {
    case EINPROGRESS:
        return sentence_fail(socket, EINVAL,
                             "sendmsg: request %llu has not been received by recvmsg yet", id);
    case EALREADY:
        return sentence_fail(socket, EINVAL, "sendmsg: request %llu has been answered already", id);
    case ENOBUFS:
        return sentence_fail(socket, ENOBUFS, "sendmsg: too many RPCs or peers at a time");
    case ESHUTDOWN:
        return fail_shut(socket);
    default:
        return sentence_fail(socket, error, "sendmsg: %s", strerror(error));
    }
}

/* Copies the rest of a long message, sending as it goes. The socket may be closed meanwhile. */
static void fill_rest(struct call *call, struct outgoing *out, struct buffer *buffer, uint64_t id)
{
    struct socket *socket = call->socket;

    while (buffer->payload.ready < out->length && !buffer->is_released && !socket->is_closed) {
        uint32_t left = out->length - buffer->payload.ready;

        fill(buffer, out, left < PIECE_BYTES ? left : PIECE_BYTES);
        homa_engine_more(socket->engine, call->now, &out->to, id);
        pump_output(socket, call->now);
        socket_let_others(socket);
        call->now = clock_now();
    }
    buffer->is_filling = false;
    if (buffer->is_released)
        buffer_free(socket, buffer);
}

static int send_checked(struct call *call, struct outgoing *out)
{
    struct socket *socket = call->socket;
    struct buffer *buffer = buffer_new(socket, out->length);
    uint64_t id = 0;
    int result = 0;

    if (buffer == NULL)
        return sentence_fail(socket, ENOMEM, "sendmsg: no memory for %u bytes", out->length);
    fill(buffer, out, out->length < PIECE_BYTES ? out->length : PIECE_BYTES);
    result = start(call, out, buffer, &id);
    if (result != 0) {
        buffer_free(socket, buffer);
        /* The client has given up, or never was: nothing to tell the server about. */
        return result == -ENOENT ? 0 : fail_start(socket, out, -result);
    }
    buffer->is_filling = buffer->payload.ready < out->length;
    if (out->args->id == 0)
        out->args->id = id;
    if (buffer->is_filling)
        fill_rest(call, out, buffer, id);
    return 0;
}

/* ---- the calls ---- */

static int send_message(struct call *call, const struct msghdr *message, int flags)
{
    struct socket *socket = call->socket;
    bool is_blocking = !socket->is_nonblocking && (flags & MSG_DONTWAIT) == 0;
    struct outgoing out;
    int result = check(socket, message, &out);

    if (result != 0)
        return result;
    if (!socket->is_shut && !buffer_has_room(socket))
        result = wait_for_room(call, is_blocking);
    if (result != 0)
        return result;
    if (socket->is_shut || socket->is_closed)
        return fail_shut(socket);
    result = send_checked(call, &out);
    if (socket->is_closed)
        return 0;
    if (result == 0)
        pump_output(socket, call->now);
    if (socket->leader == NULL &&
        call->now - atomic_load_explicit(&socket->progress.last_input, memory_order_relaxed) >
            INPUT_EVERY_NS)
        (void)pump(socket, call->now);
    pump_settle(socket, NULL);
    return result;
}

ssize_t msv_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct call call;
    int result = call_begin(&call, fd);

    if (result == 0)
        result = send_message(&call, message, flags);
    return call_end(&call, result);
}

int msv_sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
    struct call call;
    int done = 0;
    int result = call_begin(&call, fd);

    if (result == 0 && messages == NULL && count > 0)
        result = sentence_fail(call.socket, EFAULT, "sendmmsg: the messages are a null pointer");
    for (unsigned i = 0; i < count && i < IOV_MAX && result == 0; i++) {
        result = send_message(&call, &messages[i].msg_hdr, flags);
        if (result == 0) {
            messages[i].msg_len = 0;
            done++;
        }
        if (call.socket->is_closed)
            break;
    }
    return call_end_int(&call, done > 0 ? done : result);
}
