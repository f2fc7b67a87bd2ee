/*
 * The progress thread. Its state is one list of sockets, one epoll, one timer, all guarded by the
 * progress lock, which nests inside a socket's lock; so the thread never takes a socket's lock
 * while it has its own. It collects the sockets that want a look (adding a use to each), gives its
 * lock back, and tends them one by one.
 *
 * The timer is always set to the earliest of: the next tick if any socket is active, and every due
 * time. A call that makes a socket active while nothing ticks sets the timer itself: a system call,
 * but no wake-up.
 */
#include "socket/progress.h"

#include "socket/clock.h"
#include "socket/fork.h"
#include "socket/pump.h"
#include "socket/socket.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_NS      (500 * CLOCK_NS_PER_US)
#define LINGER_NS    (10 * CLOCK_NS_PER_MS) /* active for so long after the last call */
#define PAUSE_NS     (10 * CLOCK_NS_PER_US)
#define EVENTS_BATCH 64
#define STACK_BYTES  ((size_t)256 * 1024)

/* What an epoll event is about: the slot's address, whose low bits are free. */
#define EVENT_TIMER  0u
#define EVENT_WIRE   1u
#define EVENT_HANGUP 2u
#define EVENT_KINDS  3u

static struct {
    pthread_mutex_t lock;
    TAILQ_HEAD(, socket) sockets;
    uint32_t count;
    uint32_t active;
    bool is_running;
    int epoll;
    int timer;
    bool is_ticking;
    uint64_t next_tick; /* ns */
    uint64_t timer_at;  /* ns: what the timer is set to */
} progress = {.lock = PTHREAD_MUTEX_INITIALIZER,
              .sockets = TAILQ_HEAD_INITIALIZER(progress.sockets),
              .epoll = -1,
              .timer = -1,
              .timer_at = CLOCK_NEVER};

void progress_lock(void)
{
    (void)pthread_mutex_lock(&progress.lock);
}

void progress_unlock(void)
{
    (void)pthread_mutex_unlock(&progress.lock);
}

/* ---- timer and epoll, under the progress lock ---- */

static void timer_set(uint64_t at)
{
    struct itimerspec when = {0};

    if (at == progress.timer_at)
        return;
    if (at != CLOCK_NEVER)
        when.it_value = clock_timespec(at);
    (void)timerfd_settime(progress.timer, TFD_TIMER_ABSTIME, &when, NULL);
    progress.timer_at = at;
}

static int epoll_change(int operation, int descriptor, uint32_t events,
                        const struct table_slot *slot, unsigned kind)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)(uintptr_t)slot | kind};

    return epoll_ctl(progress.epoll, operation, descriptor, &event) == 0 ? 0 : -errno;
}

static uint32_t wire_events(const struct socket *socket)
{
    return EPOLLIN | (socket->is_output_blocked ? EPOLLOUT : 0u);
}

/* Leaves `active` for another kind of attention, or comes back to it. */
static void attention_set(struct socket *socket, enum attention attention)
{
    progress.active -= socket->progress.attention == ATTENTION_ACTIVE;
    progress.active += attention == ATTENTION_ACTIVE;
    socket->progress.attention = attention;
}

static void disarm(struct socket *socket)
{
    if (socket->progress.attention == ATTENTION_ARMED)
        (void)epoll_change(EPOLL_CTL_DEL, wire_descriptor(socket->wire), 0, NULL, 0);
}

static void tick_from(uint64_t now)
{
    if (progress.is_ticking)
        return;
    progress.is_ticking = true;
    progress.next_tick = now + TICK_NS;
    if (progress.next_tick < progress.timer_at)
        timer_set(progress.next_tick);
}

/* ---- the sockets' side ---- */

void progress_forget(struct socket *socket)
{
    progress_lock();
    if (socket->progress.is_watched) {
        disarm(socket);
        (void)epoll_change(EPOLL_CTL_DEL, socket->our_end, 0, NULL, 0);
        TAILQ_REMOVE(&progress.sockets, socket, progress.link);
        progress.count--;
        progress.active -= socket->progress.attention == ATTENTION_ACTIVE;
        socket->progress.is_watched = false;
    }
    progress_unlock();
}

void progress_attend(struct socket *socket, uint64_t now)
{
    progress_lock();
    if (socket->progress.is_watched && socket->progress.attention != ATTENTION_ACTIVE) {
        disarm(socket);
        attention_set(socket, ATTENTION_ACTIVE);
        socket->progress.due_at = CLOCK_NEVER;
        tick_from(now);
    }
    progress_unlock();
}

static void arm(struct socket *socket)
{
    if (epoll_change(EPOLL_CTL_ADD, wire_descriptor(socket->wire), wire_events(socket),
                     socket->slot, EVENT_WIRE) != 0)
        return; /* no memory: it stays active, which works as well */
    attention_set(socket, ATTENTION_ARMED);
    socket->progress.is_out_armed = socket->is_output_blocked;
    socket->progress.due_at = socket->deadline;
}

void progress_arm(struct socket *socket)
{
    progress_lock();
    if (socket->progress.is_watched && socket->progress.attention == ATTENTION_ACTIVE) {
        arm(socket);
        if (socket->progress.due_at < progress.timer_at)
            timer_set(socket->progress.due_at);
    }
    progress_unlock();
}

void progress_deadline_changed(struct socket *socket)
{
    progress_lock();
    /* Looking too early does no harm, and then the deadline is learnt. */
    if (socket->deadline < socket->progress.due_at)
        socket->progress.due_at = socket->deadline;
    if (socket->progress.due_at < progress.timer_at)
        timer_set(socket->progress.due_at);
    if (socket->progress.attention == ATTENTION_ARMED &&
        socket->progress.is_out_armed != socket->is_output_blocked) {
        (void)epoll_change(EPOLL_CTL_MOD, wire_descriptor(socket->wire), wire_events(socket),
                           socket->slot, EVENT_WIRE);
        socket->progress.is_out_armed = socket->is_output_blocked;
    }
    progress_unlock();
}

/* ---- the thread's side ---- */

/* The next time to look, which is never at once: the thread must get round to the others. */
static uint64_t due_of(const struct socket *socket, uint64_t now)
{
    return socket->deadline < now + PAUSE_NS ? now + PAUSE_NS : socket->deadline;
}

/* For a socket that nobody of the application is in. */
static void tend_unattended(struct socket *socket, uint64_t now)
{
    uint64_t idle_ns = now - atomic_load_explicit(&socket->progress.last_use, memory_order_relaxed);
    bool was_told = socket->ready.tokens > 0;
    bool has_input = pump(socket, now) && socket->has_input;

    wait_settle(socket, NULL);
    wait_end_vacancy(socket, now);
    ready_update_now(socket);
    if (!was_told && socket->ready.tokens > 0)
        socket->told_at = now;
    progress_lock();
    /* Packets that come while the application is away are better met as they come. */
    if (socket->progress.attention == ATTENTION_ACTIVE &&
        ((int64_t)idle_ns >= (int64_t)LINGER_NS || has_input))
        arm(socket);
    socket->progress.due_at = due_of(socket, now);
    progress_unlock();
}

/* For a socket whose leader sleeps on the wire. What the leader does not cover is a deadline that
 * other threads have made since it fell asleep. */
static void tend_led(struct socket *socket, uint64_t now)
{
    uint64_t idle_ns = now - atomic_load_explicit(&socket->progress.last_use, memory_order_relaxed);

    /* Nor does it know that their output found the wire full. */
    if (socket->is_output_blocked ||
        (socket->deadline <= now && socket->deadline < socket->leader_until)) {
        if (pump(socket, now))
            wait_settle(socket, NULL);
    }
    ready_update_now(socket);
    progress_lock();
    socket->progress.due_at =
        socket->deadline < socket->leader_until ? due_of(socket, now) : CLOCK_NEVER;
    if (socket->is_output_blocked && socket->progress.due_at > now + TICK_NS)
        socket->progress.due_at = now + TICK_NS;
    if ((int64_t)idle_ns >= (int64_t)LINGER_NS && socket->progress.attention == ATTENTION_ACTIVE)
        attention_set(socket, ATTENTION_LED);
    progress_unlock();
}

/* Somebody is inside just now: look again a little later. */
static void tend_later(struct socket *socket, uint64_t now)
{
    progress_lock();
    if (socket->progress.due_at <= now)
        socket->progress.due_at = now + TICK_NS;
    progress_unlock();
}

/* (The time is read under the lock, as by everybody, so that the engine never sees it go back.) */
static void tend(struct socket *socket)
{
    uint64_t now = 0;

    if (pthread_mutex_trylock(&socket->lock) != 0) {
        tend_later(socket, clock_now());
        return;
    }
    now = clock_now();
    if (!socket->is_closed) {
        if (socket->leader == NULL)
            tend_unattended(socket, now);
        else if (socket->is_leader_asleep)
            tend_led(socket, now);
        else
            tend_later(socket, now);
    }
    socket_unlock(socket);
}

/* The wire of an armed socket has something. Whoever else holds its lock is gone in a moment. */
static void tend_event(struct socket *socket)
{
    socket_lock(socket);
    if (!socket->is_closed && socket->progress.attention == ATTENTION_ARMED)
        tend_unattended(socket, clock_now());
    socket_unlock(socket);
}

/* The application has closed its end without telling us, or its number means another socket now. */
static void hang_up(struct table_slot *slot)
{
    struct socket *socket = NULL;
    struct pollfd look = {.events = 0};

    if (!table_try_hold(slot))
        return;
    /* The event may be that of a socket which had this slot before. */
    socket = slot->socket;
    look.fd = socket->our_end;
    if (poll(&look, 1, 0) == 1 && (look.revents & POLLHUP) != 0 &&
        table_withdraw(socket->descriptor, slot))
        socket_close(socket, true);
    table_put(slot);
}

static void handle_events(const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        unsigned kind = (unsigned)(events[i].data.u64 & EVENT_KINDS);
        struct table_slot *slot =
            (struct table_slot *)(uintptr_t)(events[i].data.u64 & ~(uint64_t)EVENT_KINDS);

        if (kind == EVENT_HANGUP) {
            hang_up(slot);
        } else if (kind == EVENT_WIRE && table_try_hold(slot)) {
            tend_event(slot->socket);
            table_put(slot);
        }
    }
}

/* Whether a look is due. An active socket's wire that was read lately is in good hands. */
static bool is_due(const struct socket *socket, uint64_t now, bool is_tick)
{
    const struct progress_entry *entry = &socket->progress;
    uint64_t seen = atomic_load_explicit(&entry->last_input, memory_order_relaxed);
    uint64_t used = atomic_load_explicit(&entry->last_use, memory_order_relaxed);

    if (entry->due_at <= now)
        return true;
    if (!is_tick || entry->attention != ATTENTION_ACTIVE)
        return false;
    if (atomic_load_explicit(&entry->is_token_owed, memory_order_relaxed))
        return true;
    return (int64_t)(now - seen) >= (int64_t)TICK_NS || (int64_t)(now - used) >= (int64_t)LINGER_NS;
}

/* Tends all sockets that want it. `slots` has room for `room` of them; the rest come next time. */
static void tend_due(struct table_slot **slots, uint32_t room, uint64_t now)
{
    struct socket *socket = NULL;
    uint32_t count = 0;
    bool is_tick = false;

    progress_lock();
    is_tick = progress.is_ticking && progress.next_tick <= now;
    TAILQ_FOREACH(socket, &progress.sockets, progress.link) {
        if (count == room)
            break;
        if (is_due(socket, now, is_tick)) {
            table_hold(socket->slot);
            slots[count++] = socket->slot;
        }
    }
    if (is_tick)
        progress.next_tick = now + TICK_NS;
    progress_unlock();
    for (uint32_t i = 0; i < count; i++) {
        tend(slots[i]->socket);
        table_put(slots[i]);
    }
}

static void set_timer_for_all(uint64_t now)
{
    struct socket *socket = NULL;
    uint64_t next = CLOCK_NEVER;

    progress_lock();
    if (progress.timer_at <= now)
        progress.timer_at = CLOCK_NEVER; /* it has gone off, so it is set to nothing */
    progress.is_ticking = progress.active > 0;
    if (progress.is_ticking)
        next = progress.next_tick;
    TAILQ_FOREACH(socket, &progress.sockets, progress.link) {
        if (socket->progress.due_at < next)
            next = socket->progress.due_at;
    }
    timer_set(next);
    progress_unlock();
}

#define TEND_BATCH 256u

static void *progress_main(void *context)
{
    struct epoll_event events[EVENTS_BATCH];
    struct table_slot *slots[TEND_BATCH];
    int epoll = *(const int *)context;

    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS_BATCH, -1);
        uint64_t now = 0;

        if (count < 0 && errno != EINTR)
            return NULL; /* the descriptor was closed by somebody else: nothing can be done here */
        handle_events(events, count);
        now = clock_now();
        tend_due(slots, TEND_BATCH, now);
        set_timer_for_all(now);
    }
}

static int start_thread(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    int result = 0;

    (void)sigfillset(&all);
    result = pthread_attr_init(&attributes);
    if (result != 0)
        return -result;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&thread, &attributes, progress_main, &progress.epoll);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (result == 0)
        (void)pthread_setname_np(thread, "missive");
    return result == EAGAIN ? -ENOBUFS : -result;
}

static void close_descriptors(void)
{
    if (progress.epoll >= 0)
        (void)close(progress.epoll);
    if (progress.timer >= 0)
        (void)close(progress.timer);
    progress.epoll = -1;
    progress.timer = -1;
    progress.timer_at = CLOCK_NEVER;
}

static int start(void)
{
    int result = 0;

    if (progress.is_running)
        return 0;
    progress.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (progress.epoll < 0) {
        result = -errno;
        goto out;
    }
    progress.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (progress.timer < 0) {
        result = -errno;
        goto out;
    }
    /* Edge-triggered: it need not be read, setting it again clears it. */
    result = epoll_change(EPOLL_CTL_ADD, progress.timer, EPOLLIN | EPOLLET, NULL, EVENT_TIMER);
    if (result == 0)
        result = start_thread();
out:
    if (result != 0)
        close_descriptors();
    progress.is_running = result == 0;
    return result;
}

int progress_watch(struct socket *socket, uint64_t now)
{
    int result = 0;

    progress_lock();
    assert(!socket->progress.is_watched);
    result = start();
    /* Hang-ups are always reported; edge-triggered, once. */
    if (result == 0)
        result = epoll_change(EPOLL_CTL_ADD, socket->our_end, EPOLLET, socket->slot, EVENT_HANGUP);
    if (result == 0) {
        TAILQ_INSERT_TAIL(&progress.sockets, socket, progress.link);
        progress.count++;
        progress.active++;
        socket->progress.attention = ATTENTION_ACTIVE;
        socket->progress.due_at = CLOCK_NEVER;
        socket->progress.is_watched = true;
        tick_from(now);
    }
    progress_unlock();
    return result;
}

void progress_reset(void)
{
    struct socket *socket = NULL;

    TAILQ_FOREACH(socket, &progress.sockets, progress.link) {
        socket->progress.is_watched = false;
        socket->progress.attention = ATTENTION_ACTIVE;
    }
    TAILQ_INIT(&progress.sockets);
    progress.count = 0;
    progress.active = 0;
    progress.is_running = false;
    progress.is_ticking = false;
    close_descriptors();
}
