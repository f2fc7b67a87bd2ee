/*
 * One Homa socket as clients and servers use it. Design notes:
 *
 * Buffers of freed messages go back with the next receive call, which costs nothing. That alone
 * would strand them when nobody receives, or when the one who does is already asleep: so a full set
 * of them is given back by whoever frees the last one, a receiver gives back all that a single call
 * cannot carry before it waits, and when messages hold half of the region or more, each is given
 * back at once. What stays behind is less than one set, too little to keep a message from arriving:
 * nearly all of the region is then with messages that are still arriving, whose completion brings a
 * receiver by.
 *
 * Freeing never allocates and never fails: freed messages themselves form the list.
 *
 * The endpoint is freed by whoever comes last: rpc_endpoint_close, or the release of the last
 * message.
 */
#include "rpc/endpoint.h"

#include <missive/socket.h>

#include "rpc/address.h"
#include "rpc/errmsg.h"
#include "socket/receive.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Empty messages kept for reuse. */
#define SPARES_MAX 64

#define NS_PER_MS 1000000u
#define NS_PER_S  1000000000u

/* Offsets taken from freed messages, on their way back. */
struct batch {
    uint32_t count;
    uint32_t offsets[HOMA_MAX_BPAGES];
};

/* ---- time ---- */

static uint64_t now_ns(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t rpc_deadline(int timeout_ms)
{
    return timeout_ms < 0 ? RPC_NEVER : now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
}

/* Until the deadline, rounded up, as poll takes it. */
static int milliseconds_until(uint64_t deadline_ns)
{
    uint64_t now = now_ns();

    if (deadline_ns == RPC_NEVER)
        return -1;
    if (deadline_ns <= now)
        return 0;
    uint64_t ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* ---- opening and closing ---- */

/* Opens a socket of the family, or of the best one the machine has. */
static int open_socket(int family, int *opened)
{
    int fd = -1;

    *opened = family;
    if (family != 0 && family != AF_INET && family != AF_INET6)
        return rpc_fail(EINVAL, "family must be AF_INET, AF_INET6 or 0; got %d", family);
    if (family == 0) {
        *opened = AF_INET6;
        fd = msv_socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_HOMA);
        if (fd < 0 && errno == EAFNOSUPPORT)
            *opened = AF_INET;
    }
    if (fd < 0 && (family != 0 || *opened == AF_INET))
        fd = msv_socket(*opened, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_HOMA);
    return fd >= 0 ? fd : rpc_fail_socket(-1, errno, "no socket");
}

int rpc_endpoint_open(struct rpc_endpoint **endpoint, int family, size_t buffer_bytes)
{
    struct rpc_endpoint *opened = calloc(1, sizeof(*opened));
    int result = 0;

    *endpoint = NULL;
    if (opened == NULL)
        return rpc_fail(ENOMEM, "no memory for a socket's record");
    opened->fd = open_socket(family, &opened->family);
    if (opened->fd < 0) {
        result = opened->fd;
        goto free_record;
    }
    result = rpc_region_open(&opened->region, opened->fd, buffer_bytes);
    if (result != 0)
        goto close_socket;
    (void)pthread_mutex_init(&opened->lock, NULL);
    (void)pthread_cond_init(&opened->left, NULL);
    STAILQ_INIT(&opened->freed);
    STAILQ_INIT(&opened->spare);
    *endpoint = opened;
    return 0;

close_socket:
    (void)msv_close(opened->fd);
free_record:
    free(opened);
    return result;
}

static void free_list(struct rpc_message_list *list)
{
    while (!STAILQ_EMPTY(list)) {
        struct msv_message *message = STAILQ_FIRST(list);

        STAILQ_REMOVE_HEAD(list, link);
        free(message);
    }
}

/* Nobody refers to it any more. */
static void destroy(struct rpc_endpoint *endpoint)
{
    assert(endpoint->users == 0 && endpoint->messages == 0 && endpoint->is_closed);
    free_list(&endpoint->freed);
    free_list(&endpoint->spare);
    rpc_region_close(&endpoint->region);
    (void)pthread_cond_destroy(&endpoint->left);
    (void)pthread_mutex_destroy(&endpoint->lock);
    free(endpoint);
}

void rpc_endpoint_close(struct rpc_endpoint *endpoint)
{
    (void)pthread_mutex_lock(&endpoint->lock);
    endpoint->is_closed = true;
    (void)pthread_mutex_unlock(&endpoint->lock);
    (void)msv_shutdown(endpoint->fd, SHUT_RDWR);

    (void)pthread_mutex_lock(&endpoint->lock);
    while (endpoint->users > 0)
        (void)pthread_cond_wait(&endpoint->left, &endpoint->lock);
    (void)pthread_mutex_unlock(&endpoint->lock);
    (void)msv_close(endpoint->fd);

    (void)pthread_mutex_lock(&endpoint->lock);
    endpoint->fd = -1;
    bool is_last = endpoint->messages == 0;
    (void)pthread_mutex_unlock(&endpoint->lock);
    if (is_last)
        destroy(endpoint);
}

int rpc_endpoint_enter(struct rpc_endpoint *endpoint)
{
    (void)pthread_mutex_lock(&endpoint->lock);
    bool is_closed = endpoint->is_closed;
    if (!is_closed)
        endpoint->users++;
    (void)pthread_mutex_unlock(&endpoint->lock);
    return is_closed ? rpc_fail(ESHUTDOWN, "it has been closed") : 0;
}

void rpc_endpoint_leave(struct rpc_endpoint *endpoint)
{
    (void)pthread_mutex_lock(&endpoint->lock);
    assert(endpoint->users > 0);
    if (--endpoint->users == 0 && endpoint->is_closed)
        (void)pthread_cond_signal(&endpoint->left);
    (void)pthread_mutex_unlock(&endpoint->lock);
}

/* ---- messages and their buffers ---- */

/* An empty message, or NULL without memory. */
static struct msv_message *take_spare(struct rpc_endpoint *endpoint)
{
    (void)pthread_mutex_lock(&endpoint->lock);
    struct msv_message *message = STAILQ_FIRST(&endpoint->spare);
    if (message != NULL) {
        STAILQ_REMOVE_HEAD(&endpoint->spare, link);
        endpoint->spares--;
    }
    (void)pthread_mutex_unlock(&endpoint->lock);
    return message != NULL ? message : malloc(sizeof(*message));
}

/* Under the lock: keeps an empty message for reuse, or frees it. */
static void keep_spare(struct rpc_endpoint *endpoint, struct msv_message *message)
{
    if (endpoint->spares < SPARES_MAX) {
        STAILQ_INSERT_HEAD(&endpoint->spare, message, link);
        endpoint->spares++;
    } else {
        free(message);
    }
}

/* Under the lock: moves buffers of freed messages into the batch, as many as it takes. */
static void fill_batch(struct rpc_endpoint *endpoint, struct batch *batch)
{
    struct msv_message *message = STAILQ_FIRST(&endpoint->freed);

    batch->count = 0;
    while (message != NULL && batch->count + message->num_bpages <= HOMA_MAX_BPAGES) {
        STAILQ_REMOVE_HEAD(&endpoint->freed, link);
        memcpy(&batch->offsets[batch->count], message->bpage_offsets,
               message->num_bpages * sizeof(message->bpage_offsets[0]));
        batch->count += message->num_bpages;
        keep_spare(endpoint, message);
        message = STAILQ_FIRST(&endpoint->freed);
    }
    assert(endpoint->freed_pieces >= batch->count && endpoint->pieces >= batch->count);
    endpoint->freed_pieces -= batch->count;
    endpoint->pieces -= batch->count;
}

/*
 * By a user: gives back buffers of freed messages until at most `keep` are left, and fills the
 * batch with what one call can carry of those.
 */
static void give_back(struct rpc_endpoint *endpoint, uint32_t keep, struct batch *batch)
{
    bool is_more = true;

    while (is_more) {
        (void)pthread_mutex_lock(&endpoint->lock);
        is_more = endpoint->freed_pieces > keep;
        fill_batch(endpoint, batch);
        (void)pthread_mutex_unlock(&endpoint->lock);
        if (is_more) {
            int result = socket_give_back(endpoint->fd, batch->offsets, batch->count);

            assert(result != -EINVAL); /* they came from the socket, and once only */
            (void)result;
        }
    }
}

void rpc_endpoint_release(struct msv_message *message)
{
    struct rpc_endpoint *endpoint = message->endpoint;
    struct batch batch;

    (void)pthread_mutex_lock(&endpoint->lock);
    STAILQ_INSERT_TAIL(&endpoint->freed, message, link);
    endpoint->freed_pieces += message->num_bpages;
    endpoint->messages--;

    bool is_scarce = (size_t)endpoint->pieces * HOMA_BPAGE_SIZE >= endpoint->region.length / 2;
    bool is_due = !endpoint->is_closed && (is_scarce || endpoint->freed_pieces >= HOMA_MAX_BPAGES);
    bool is_last = endpoint->fd < 0 && endpoint->messages == 0;
    if (is_due)
        endpoint->users++;
    (void)pthread_mutex_unlock(&endpoint->lock);

    if (is_due) {
        give_back(endpoint, 0, &batch);
        rpc_endpoint_leave(endpoint);
    }
    if (is_last)
        destroy(endpoint);
}

/*
 * ---- sending and receiving ----
 *
 * The socket's calls can be cancelled while they wait. These cannot: a user that never leaves would
 * keep the endpoint from being closed.
 */

/* Waits until the socket takes more to send. Returns 0, or -ETIMEDOUT at the deadline. */
static int wait_for_room(struct rpc_endpoint *endpoint, uint64_t deadline_ns)
{
    struct pollfd descriptor = {.fd = endpoint->fd, .events = POLLOUT};
    int timeout_ms = milliseconds_until(deadline_ns);

    if (timeout_ms == 0)
        return rpc_fail(ETIMEDOUT, "too much is queued to be sent (knob wmem_max)");
    if (msv_poll(&descriptor, 1, timeout_ms) < 0 && errno != EINTR)
        return rpc_fail_socket(endpoint->fd, errno, "waiting for room to send");
    return 0;
}

int rpc_endpoint_send(struct rpc_endpoint *endpoint, struct rpc_outgoing *outgoing,
                      uint64_t deadline_ns)
{
    struct sockaddr_storage to;
    struct iovec piece = {.iov_base = (void *)(uintptr_t)outgoing->bytes,
                          .iov_len = outgoing->length};
    struct homa_sendmsg_args args = {
        .id = outgoing->id,
        .completion_cookie = outgoing->cookie,
        .flags = outgoing->is_private ? HOMA_SENDMSG_PRIVATE : 0,
    };
    struct msghdr header = {
        .msg_name = &to, .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &args};
    int flags = deadline_ns == RPC_NEVER ? 0 : MSG_DONTWAIT;
    int cancel_state = 0;
    int result;

    if (outgoing->length == 0 || outgoing->length > HOMA_MAX_MESSAGE_LENGTH)
        return rpc_fail(EINVAL, "a message has 1 to %d bytes; this one has %zu",
                        HOMA_MAX_MESSAGE_LENGTH, outgoing->length);
    result = rpc_address_fit(outgoing->to, endpoint->family, &to, &header.msg_namelen);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    while (result == 0) {
        if (msv_sendmsg(endpoint->fd, &header, flags) == 0)
            break;
        if (errno == EAGAIN)
            result = wait_for_room(endpoint, deadline_ns);
        else if (errno != EINTR)
            result = rpc_fail_socket(endpoint->fd, errno, "sending failed");
    }
    (void)pthread_setcancelstate(cancel_state, NULL);
    outgoing->id = args.id;
    return result;
}

/* A message came: makes it the program's. */
static void adopt(struct rpc_endpoint *endpoint, struct msv_message *message,
                  const struct rpc_outcome *outcome, const struct homa_recvmsg_args *args,
                  size_t length)
{
    message->endpoint = endpoint;
    message->peer = outcome->peer;
    message->id = args->id;
    message->length = length;
    message->num_bpages = args->num_bpages;
    memcpy(message->bpage_offsets, args->bpage_offsets,
           args->num_bpages * sizeof(args->bpage_offsets[0]));

    (void)pthread_mutex_lock(&endpoint->lock);
    endpoint->messages++;
    endpoint->pieces += args->num_bpages;
    (void)pthread_mutex_unlock(&endpoint->lock);
}

/* No RPC ended. Keeps a sentence where it is a failure, and returns -error. */
static int fail_receive(struct rpc_endpoint *endpoint, int error)
{
    if (error == EAGAIN || error == EINTR || error == ECANCELED)
        return -error;
    if (error == ESHUTDOWN)
        return rpc_fail(ESHUTDOWN, "it has been closed");
    return rpc_fail_socket(endpoint->fd, error, "receiving failed");
}

int rpc_endpoint_receive(struct rpc_endpoint *endpoint, uint64_t id, uint64_t deadline_ns,
                         int wake_fd, struct rpc_outcome *outcome)
{
    struct msv_message *message = take_spare(endpoint);
    struct homa_recvmsg_args args = {.id = id};
    struct batch batch;
    int cancel_state = 0;
    struct msghdr header = {
        .msg_name = &outcome->peer,
        .msg_namelen = sizeof(outcome->peer),
        .msg_control = &args,
        .msg_controllen = sizeof(args),
    };

    memset(outcome, 0, sizeof(*outcome));
    if (message == NULL)
        return rpc_fail(ENOMEM, "no memory for a message's record");
    give_back(endpoint, HOMA_MAX_BPAGES, &batch);
    args.num_bpages = batch.count;
    memcpy(args.bpage_offsets, batch.offsets, batch.count * sizeof(batch.offsets[0]));

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    ssize_t length = socket_recvmsg_until(endpoint->fd, &header, 0, deadline_ns, wake_fd);
    int error = length < 0 ? errno : 0;
    (void)pthread_setcancelstate(cancel_state, NULL);
    outcome->id = args.id;
    outcome->cookie = args.completion_cookie;
    rpc_address_make_natural(&outcome->peer);
    if (length >= 0) {
        adopt(endpoint, message, outcome, &args, (size_t)length);
        outcome->message = message;
        return 0;
    }
    (void)pthread_mutex_lock(&endpoint->lock);
    keep_spare(endpoint, message);
    (void)pthread_mutex_unlock(&endpoint->lock);
    return outcome->id != 0 ? -error : fail_receive(endpoint, error);
}
