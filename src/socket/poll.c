/*
 * msv_poll: poll(2) that reads the wires of Missive's sockets itself. For each of them that has no
 * leader the caller leads, so that a message needs no help of the progress thread; what it finds is
 * told in revents directly, without the detour through the descriptor's tokens (they are brought up
 * to date by the socket's next call, or by the progress thread's next look). Sockets that somebody
 * else leads, and descriptors that are not ours, are polled as they are.
 */
#include <missive/socket.h>

#include "socket/buffer.h"
#include "socket/clock.h"
#include "socket/fork.h"
#include "socket/progress.h"
#include "socket/pump.h"
#include "socket/receive.h"
#include "socket/sleep.h"
#include "socket/socket.h"

#include <errno.h>
#include <stdlib.h>

/* One of our sockets among the descriptors. */
struct watch {
    struct call call; /* its socket has a use, and is not locked */
    struct waiter waiter;
    struct pollfd *asked; /* the application's entry */
    bool is_leading;
};

/* Everything one msv_poll needs. The set is the application's descriptors as they are, and behind
 * them the wire and the wake descriptor of each watch (-1 where it does not lead). */
struct polling {
    struct pollfd *descriptors;
    nfds_t count;
    struct watch *watches;
    size_t watch_count;
    struct pollfd *set;
    int cancel_state;
    uint64_t until; /* ns */
};

static struct pollfd *wire_entry(const struct polling *polling, size_t watch)
{
    return &polling->set[polling->count + 2 * watch];
}

/* ---- one socket ---- */

static short state_of(const struct socket *socket)
{
    short events = 0;

    if (socket->is_closed)
        return POLLNVAL;
    if (socket->is_shut)
        events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (socket_shared_ready(socket) > socket->shared_wanted)
        events |= POLLIN | POLLRDNORM;
    if (buffer_has_room(socket))
        events |= POLLOUT | POLLWRNORM;
    return events;
}

/* Reads the wire if that is ours to do, and says what is true. Under the socket's lock. */
static void look(struct watch *watch)
{
    struct socket *socket = watch->call.socket;
    short wanted = (short)(watch->asked->events | POLLNVAL);

    if (!socket->is_closed && !watch->is_leading)
        watch->is_leading = wait_try_lead(&watch->waiter);
    if (!socket->is_closed && watch->is_leading && pump(socket, clock_now()))
        wait_settle(socket, &watch->waiter);
    watch->asked->revents = (short)(state_of(socket) & wanted);
}

static void watch_begin(struct watch *watch, struct socket *socket, struct pollfd *asked)
{
    socket_lock(socket);
    *watch = (struct watch){.call = {.socket = socket, .now = clock_now()}, .asked = asked};
    receive_learn_inside(socket);
    atomic_store_explicit(&socket->progress.last_use, watch->call.now, memory_order_relaxed);
    wait_begin(&watch->waiter, &watch->call, WAIT_POLL, 0);
    look(watch);
    socket_unlock(socket);
}

static void watch_end(struct watch *watch)
{
    struct socket *socket = watch->call.socket;

    socket_lock(socket);
    if (watch->is_leading && socket->is_leader_asleep)
        wait_wake_up(socket);
    /* Who has just been told that it is readable comes for it now. */
    if ((watch->asked->revents & POLLIN) != 0)
        wait_leave(&watch->waiter);
    else
        wait_end(&watch->waiter);
    socket_unlock(socket);
    table_put(socket->slot);
}

/* ---- all of them ---- */

/* Whether this process owns the socket, now at the latest. */
static bool is_owned(struct socket *socket)
{
    bool is_owned = true;

    socket_lock(socket);
    if (!socket->is_closed && fork_is_foreign(socket))
        is_owned = fork_claim(socket) == 0;
    socket_unlock(socket);
    return is_owned;
}

/* Finds our sockets among the descriptors. A socket of another process is polled as it is. */
static void find_sockets(struct polling *polling)
{
    for (nfds_t i = 0; i < polling->count; i++) {
        struct socket *socket = table_get(polling->descriptors[i].fd);

        polling->descriptors[i].revents = 0;
        if (socket == NULL)
            continue;
        if (!is_owned(socket)) {
            table_put(socket->slot);
            continue;
        }
        watch_begin(&polling->watches[polling->watch_count++], socket, &polling->descriptors[i]);
    }
}

static int count_ready(const struct polling *polling)
{
    int ready = 0;

    for (nfds_t i = 0; i < polling->count; i++)
        ready += polling->descriptors[i].revents != 0;
    return ready;
}

/* Readies the set. Returns when to wake at the latest. */
static uint64_t fall_asleep(struct polling *polling)
{
    uint64_t until = polling->until;

    for (nfds_t i = 0; i < polling->count; i++)
        polling->set[i] = (struct pollfd){.fd = polling->descriptors[i].fd,
                                          .events = polling->descriptors[i].events};
    for (size_t i = 0; i < polling->watch_count; i++) {
        struct watch *watch = &polling->watches[i];
        struct socket *socket = watch->call.socket;
        struct pollfd *entry = wire_entry(polling, i);

        socket_lock(socket);
        entry[0] = (struct pollfd){.fd = -1};
        entry[1] = (struct pollfd){.fd = -1};
        if (watch->is_leading && !socket->is_closed) {
            wait_fall_asleep(socket, socket->deadline);
            if (socket->deadline < until)
                until = socket->deadline;
            entry[0] = (struct pollfd){.fd = wire_descriptor(socket->wire), .events = POLLIN};
            if (socket->is_output_blocked)
                entry[0].events |= POLLOUT;
            entry[1] = (struct pollfd){.fd = socket->wake_descriptor, .events = POLLIN};
        }
        /* Another thread may have taken in packets since this one looked. */
        if ((state_of(socket) & (watch->asked->events | POLLNVAL)) != 0)
            until = 0;
        socket_unlock(socket);
    }
    return until;
}

/* Wakes up, takes in what has come, and fills in revents. */
static void wake_up(struct polling *polling)
{
    for (nfds_t i = 0; i < polling->count; i++)
        polling->descriptors[i].revents = polling->set[i].revents;
    for (size_t i = 0; i < polling->watch_count; i++) {
        struct watch *watch = &polling->watches[i];
        struct socket *socket = watch->call.socket;

        socket_lock(socket);
        if (watch->is_leading && socket->is_leader_asleep)
            wait_wake_up(socket);
        look(watch);
        socket_unlock(socket);
    }
}

static void polling_end(void *context)
{
    struct polling *polling = context;

    for (size_t i = 0; i < polling->watch_count; i++)
        watch_end(&polling->watches[i]);
    free(polling->watches);
    free(polling->set);
}

/* Polls, without waiting, what is not watched: our sockets must not hide the others. */
static void look_at_others(struct polling *polling)
{
    for (nfds_t i = 0; i < polling->count; i++)
        polling->set[i] = (struct pollfd){.fd = polling->descriptors[i].fd,
                                          .events = polling->descriptors[i].events};
    for (size_t i = 0; i < polling->watch_count; i++)
        polling->set[polling->watches[i].asked - polling->descriptors].fd = -1;
    if (poll(polling->set, polling->count, 0) <= 0)
        return;
    for (nfds_t i = 0; i < polling->count; i++)
        polling->descriptors[i].revents =
            (short)(polling->descriptors[i].revents | polling->set[i].revents);
}

static int wait_for_any(struct polling *polling)
{
    if (count_ready(polling) > 0 && polling->count > polling->watch_count)
        look_at_others(polling);
    for (;;) {
        int ready = count_ready(polling);
        int result = 0;

        if (ready > 0)
            return ready;
        result = sleep_polling(polling->set, polling->count + 2 * polling->watch_count,
                               fall_asleep(polling), polling->cancel_state, polling_end, polling);
        wake_up(polling);
        ready = count_ready(polling);
        if (ready > 0)
            return ready;
        if (result != 0)
            return sentence_pass(result, "poll: interrupted or impossible");
        if (clock_now() >= polling->until)
            return 0;
    }
}

/* Whether any descriptor is ours; if not, poll(2) does it all. */
static bool is_any_ours(const struct pollfd *descriptors, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++) {
        struct socket *socket = table_get(descriptors[i].fd);

        if (socket != NULL) {
            table_put(socket->slot);
            return true;
        }
    }
    return false;
}

static int poll_ours(struct polling *polling, int timeout_ms)
{
    int result = 0;

    if (timeout_ms >= 0)
        polling->until = clock_after(clock_now(), (uint64_t)timeout_ms * CLOCK_NS_PER_MS);
    polling->watches = calloc(polling->count, sizeof(*polling->watches));
    polling->set = calloc(3 * polling->count, sizeof(*polling->set));
    if (polling->watches == NULL || polling->set == NULL) {
        result = sentence_fail(NULL, ENOMEM, "poll: no memory for %zu descriptors",
                               (size_t)polling->count);
    } else {
        find_sockets(polling);
        result = wait_for_any(polling);
    }
    polling_end(polling);
    return result;
}

int msv_poll(struct pollfd *descriptors, nfds_t count, int timeout_ms)
{
    struct polling polling = {.descriptors = descriptors, .count = count, .until = CLOCK_NEVER};
    struct call call = {0};
    int result = 0;

    if (descriptors == NULL || !is_any_ours(descriptors, count))
        return poll(descriptors, count, timeout_ms);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &call.cancel_state);
    polling.cancel_state = call.cancel_state;
    sentence_about(-1);
    result = poll_ours(&polling, timeout_ms);
    return call_end_int(&call, result);
}
