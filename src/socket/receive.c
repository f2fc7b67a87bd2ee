/*
 * recvmsg: check the arguments, take bpages back, look for a message, wait for one if need be, and
 * tell of it. On the fast path (the message is in the wire or comes while spinning) that is one
 * system call that brings something.
 *
 * Whatever happens after the bpages were taken back, num_bpages is written, so that a program never
 * gives a page back twice; and after a failure args.id is that of a failed RPC or 0.
 *
 * How the application waits is learnt here (enum habit). If the progress thread makes the socket
 * readable and the application comes for the message at once, and again, it waits in plain poll;
 * then the progress thread keeps an eye on the wire all the time. If it waits in recvmsg after all,
 * or looks again and again for nothing, it does not.
 */
#include "socket/receive.h"

#include <missive/homa.h>
#include <missive/socket.h>

#include "socket/address.h"
#include "socket/clock.h"
#include "socket/progress.h"
#include "socket/pump.h"
#include "socket/socket.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* The application came for its message within so long after the socket became readable. */
#define TOLD_NS (2 * CLOCK_NS_PER_MS)

/* That often in a row says: it waits in poll. */
#define PROMPTED_RECEIVES 2u

/* Fruitless looks in a row that say: it does not. */
#define EMPTY_RECEIVES 3u

/* How a call may wait, and what it may bring. */
struct patience {
    bool is_blocking;
    bool is_failure_deferred; /* a failure is for the next call */
    uint64_t until;           /* ns */
    int wake_descriptor;
};

/* ---- checking ---- */

static int check(struct socket *socket, const struct msghdr *message)
{
    struct homa_recvmsg_args *args = NULL;

    if (message == NULL)
        return sentence_fail(socket, EFAULT, "recvmsg: the msghdr is a null pointer");
    if (message->msg_controllen != sizeof(*args))
        return sentence_fail(socket, EINVAL, "recvmsg: msg_controllen is %zu instead of %zu",
                             message->msg_controllen, sizeof(*args));
    args = message->msg_control;
    if (args == NULL)
        return sentence_fail(socket, EFAULT,
                             "recvmsg: msg_control does not point to a homa_recvmsg_args");
    if (args->num_bpages > HOMA_MAX_BPAGES)
        return sentence_fail(socket, EINVAL, "recvmsg: num_bpages is %u; at most %u can come back",
                             args->num_bpages, (unsigned)HOMA_MAX_BPAGES);
    if (args->reserved != 0)
        return sentence_fail(socket, EINVAL, "recvmsg: reserved is not 0");
    if (socket->pool == NULL)
        return sentence_fail(socket, EINVAL,
                             "recvmsg: the socket has no receive region (SO_HOMA_RCVBUF)");
    return 0;
}

static int take_back(struct call *call, const uint32_t *offsets, uint32_t count)
{
    struct socket *socket = call->socket;
    uint32_t bad = 0;

    if (count == 0)
        return 0;
    if (homa_engine_return_bpages(socket->engine, call->now, offsets, count, &bad) != 0)
        return sentence_fail(socket, EINVAL,
                             "recvmsg: bpage %u (offset %u) is not one that the program holds", bad,
                             offsets[bad]);
    /* Messages that waited for space may ask for their bytes now. */
    pump_output(socket, call->now);
    return 0;
}

static int fail_over(struct socket *socket)
{
    if (socket->is_closed)
        return sentence_fail(NULL, EBADF, "recvmsg: the descriptor was closed meanwhile");
    return sentence_fail(socket, ESHUTDOWN, "recvmsg: the socket has been shut down");
}

/* ---- looking ---- */

/* 0 with a message, -EAGAIN, or what is wrong. */
static int look(struct call *call, uint64_t id, struct homa_message *found)
{
    struct socket *socket = call->socket;
    int result = 0;

    if (socket->is_closed || socket->is_shut)
        return fail_over(socket);
    if (socket->deferred.count > 0 && deferred_take(&socket->deferred, id, found))
        return 0;
    result = homa_engine_take(socket->engine, call->now, id, HOMA_TAKE_REQUEST | HOMA_TAKE_RESPONSE,
                              found);
    if (result == -EINVAL)
        return sentence_fail(socket, EINVAL,
                             "recvmsg: %llu is no private RPC of this socket that is outstanding",
                             (unsigned long long)id);
    return result;
}

/* The application has found a message without waiting for it here. */
static void learn_found(struct socket *socket, uint64_t now)
{
    bool is_prompted = socket->told_at != 0 && now - socket->told_at < TOLD_NS;

    socket->empty_receives = 0;
    if (is_prompted && ++socket->prompted_receives >= PROMPTED_RECEIVES)
        socket->habit = HABIT_OUTSIDE;
    socket->told_at = 0;
}

static void learn_empty(struct socket *socket)
{
    if (socket->habit == HABIT_OUTSIDE && ++socket->empty_receives >= EMPTY_RECEIVES)
        socket->habit = HABIT_UNKNOWN;
}

/* It waits here, or in msv_poll. */
void receive_learn_inside(struct socket *socket)
{
    socket->habit = HABIT_INSIDE;
    socket->prompted_receives = 0;
    socket->told_at = 0;
}

/* Waits for a message. 0, or what ended the wait. */
static int wait_for_message(struct call *call, uint64_t id, const struct patience *patience,
                            struct homa_message *found)
{
    struct socket *socket = call->socket;
    struct waiter waiter;
    int turn = 0;
    int result = -EAGAIN;

    receive_learn_inside(socket);
    wait_begin(&waiter, call, id == 0 ? WAIT_SHARED : WAIT_PRIVATE, id);
    while (turn == 0 && result == -EAGAIN) {
        turn = wait_turn(&waiter, patience->until, patience->wake_descriptor);
        call->now = clock_now();
        result = look(call, id, found);
    }
    wait_end(&waiter);
    if (result != -EAGAIN)
        return result;
    if (turn == -EINTR)
        return sentence_pass(EINTR, "recvmsg: a signal came");
    if (turn == -ECANCELED)
        return sentence_pass(ECANCELED, "recvmsg: woken up");
    return sentence_pass(EAGAIN, "recvmsg: nothing came in time");
}

static int find(struct call *call, uint64_t id, const struct patience *patience,
                struct homa_message *found)
{
    struct socket *socket = call->socket;
    int result = look(call, id, found);

    if (result != -EAGAIN) {
        if (result == 0)
            learn_found(socket, call->now);
        return result;
    }
    if (patience->is_blocking)
        return wait_for_message(call, id, patience, found);
    if (pump(socket, call->now))
        result = look(call, id, found);
    if (result != -EAGAIN)
        return result;
    learn_empty(socket);
    return sentence_pass(EAGAIN, "recvmsg: nothing to receive now");
}

/* ---- telling ---- */

static int fail_rpc(struct socket *socket, const struct homa_message *found)
{
    char peer[ADDRESS_TEXT_MAX];
    unsigned long long id = found->id;

    switch (found->error) {
    case ETIMEDOUT:
        return sentence_fail(socket, ETIMEDOUT, "RPC %llu: %s did not answer within %u ms (udp)",
                             id, address_text(&found->peer, peer),
                             homa_engine_knobs(socket->engine)->timeout_ticks);
    case ENOTCONN:
        return sentence_fail(socket, ENOTCONN, "RPC %llu: nobody listens at %s (udp)", id,
                             address_text(&found->peer, peer));
    case EHOSTUNREACH:
        return sentence_fail(socket, EHOSTUNREACH, "RPC %llu: no way to %s", id,
                             address_text(&found->peer, peer));
    default:
        return sentence_fail(socket, found->error, "RPC %llu to %s: %s", id,
                             address_text(&found->peer, peer), strerror(found->error));
    }
}

static void tell_name(struct socket *socket, const struct base_address *peer,
                      struct msghdr *message)
{
    struct sockaddr_storage name;
    socklen_t length = 0;

    if (message->msg_name == NULL)
        return;
    length = address_write(socket->family, &peer->remote, peer->scope, peer->port, &name);
    address_give(&name, length, message->msg_name, &message->msg_namelen);
}

/* Hands a message or a failure to the application. */
static ssize_t tell(struct socket *socket, const struct homa_message *found, struct msghdr *message)
{
    struct homa_recvmsg_args *args = message->msg_control;

    args->id = found->id;
    args->completion_cookie = found->cookie;
    message->msg_flags = 0;
    tell_name(socket, &found->peer, message);
    if (found->error != 0)
        return fail_rpc(socket, found);
    args->num_bpages = found->num_bpages;
    memcpy(args->bpage_offsets, found->bpage_offsets,
           found->num_bpages * sizeof(args->bpage_offsets[0]));
    return (ssize_t)found->length;
}

/* A place for a failure has been reserved; the present message is not there then. */
static ssize_t defer(struct socket *socket, const struct homa_message *found, uint64_t id)
{
    deferred_put(&socket->deferred, found, id != 0);
    return sentence_pass(EAGAIN, "recvmsg: the next message is a failure");
}

/* ---- the calls ---- */

/* One message. The socket is settled on return. */
static ssize_t receive(struct call *call, struct msghdr *message, const struct patience *patience)
{
    struct socket *socket = call->socket;
    struct homa_recvmsg_args *args = NULL;
    struct homa_message found = {.id = 0};
    uint64_t id = 0;
    ssize_t result = check(socket, message);

    if (result == -EFAULT || (result != 0 && message->msg_controllen != sizeof(*args)))
        return result;
    args = message->msg_control;
    id = args->id;
    args->id = 0;
    args->completion_cookie = 0;
    if (result == 0)
        result = take_back(call, args->bpage_offsets, args->num_bpages);
    if (result != 0)
        return result; /* the args keep their bpages */
    args->num_bpages = 0;
    result = find(call, id, patience, &found);
    if (result == 0 && found.error != 0 && patience->is_failure_deferred)
        result = defer(socket, &found, id);
    else if (result == 0)
        result = tell(socket, &found, message);
    if (!socket->is_closed) {
        socket->ready.is_taken = true;
        pump_settle(socket, NULL);
    }
    return result;
}

static bool is_blocking(const struct socket *socket, int flags)
{
    return !socket->is_nonblocking && (flags & MSG_DONTWAIT) == 0;
}

static struct patience patience_of(const struct call *call, int flags)
{
    uint64_t timeout = call->socket->options.receive_timeout_ns;

    return (struct patience){.is_blocking = is_blocking(call->socket, flags),
                             .until = timeout != 0 ? clock_after(call->now, timeout) : CLOCK_NEVER,
                             .wake_descriptor = -1};
}

ssize_t msv_recvmsg(int fd, struct msghdr *message, int flags)
{
    struct call call;
    ssize_t result = call_begin(&call, fd);

    if (result == 0) {
        struct patience patience = patience_of(&call, flags);

        result = receive(&call, message, &patience);
    }
    return call_end(&call, result);
}

ssize_t socket_recvmsg_until(int fd, struct msghdr *message, int flags, uint64_t deadline_ns,
                             int wake_descriptor)
{
    struct call call;
    ssize_t result = call_begin(&call, fd);

    if (result == 0) {
        struct patience patience = {.is_blocking = is_blocking(call.socket, flags),
                                    .until = deadline_ns,
                                    .wake_descriptor = wake_descriptor};

        result = receive(&call, message, &patience);
    }
    return call_end(&call, result);
}

/* The rest of recvmmsg's messages, of which the first has come. Returns how many have come in all.
 */
static int receive_more(struct call *call, struct mmsghdr *messages, unsigned count, int flags,
                        uint64_t until)
{
    struct deferred *deferred = &call->socket->deferred;
    int cancel_state = call->cancel_state;
    unsigned done = 1;

    if ((flags & MSG_WAITFORONE) != 0)
        flags |= MSG_DONTWAIT;
    /* A thread that is cancelled now would take what has come with it. */
    call->cancel_state = PTHREAD_CANCEL_DISABLE;
    while (done < count && !call->socket->is_closed && call->now < until) {
        struct patience patience = patience_of(call, flags);
        ssize_t result = 0;

        if (!deferred_reserve(deferred))
            break;
        patience.is_failure_deferred = true;
        result = receive(call, &messages[done].msg_hdr, &patience);
        deferred_unreserve(deferred);
        if (result < 0)
            break;
        messages[done++].msg_len = (unsigned)result;
        call->now = clock_now();
    }
    call->cancel_state = cancel_state;
    return (int)done;
}

static int check_many(struct socket *socket, const struct mmsghdr *messages, unsigned count,
                      const struct timespec *timeout)
{
    if (messages == NULL && count > 0)
        return sentence_fail(socket, EFAULT, "recvmmsg: the messages are a null pointer");
    if (timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 ||
                            timeout->tv_nsec >= (long)CLOCK_NS_PER_SECOND))
        return sentence_fail(socket, EINVAL, "recvmmsg: the timeout is no time");
    return 0;
}

int msv_recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags,
                 struct timespec *timeout)
{
    struct call call;
    ssize_t result = call_begin(&call, fd);
    uint64_t until = CLOCK_NEVER;

    if (result == 0)
        result = check_many(call.socket, messages, count, timeout);
    if (result == 0 && timeout != NULL)
        until = clock_after(call.now, (uint64_t)timeout->tv_sec * CLOCK_NS_PER_SECOND +
                                          (uint64_t)timeout->tv_nsec);
    if (result == 0 && count > 0) {
        struct patience patience = patience_of(&call, flags);

        /* As the system call's, the timeout is looked at after each message only. */
        result = receive(&call, &messages[0].msg_hdr, &patience);
        if (result >= 0) {
            messages[0].msg_len = (unsigned)result;
            call.now = clock_now();
            result = receive_more(&call, messages, count < IOV_MAX ? count : IOV_MAX, flags, until);
        }
    }
    return (int)call_end(&call, result);
}

int socket_give_back(int fd, const uint32_t *offsets, uint32_t count)
{
    struct call call;
    int result = call_begin(&call, fd);

    if (result == 0 && call.socket->pool == NULL)
        result = sentence_fail(call.socket, EINVAL, "the socket has no receive region");
    if (result == 0)
        result = take_back(&call, offsets, count);
    return (call_end_int(&call, result) == 0) ? 0 : result;
}

int socket_drop(int fd, const struct sockaddr *client, socklen_t length, uint64_t id)
{
    struct base_address peer;
    struct call call;
    int result = call_begin(&call, fd);

    if (result == 0) {
        result = address_read(call.socket->family, client, length, &peer);
        if (result == 0)
            result = homa_engine_drop(call.socket->engine, call.now, &peer, id);
    }
    return (call_end_int(&call, result) == 0) ? 0 : result;
}
