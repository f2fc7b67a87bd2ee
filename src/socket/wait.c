/*
 * Leader and followers. What must hold whenever the lock is free:
 *
 *   - If anybody waits, somebody reads: there is a leader; or a waiter has been called and will
 *     find that there is none; or the last leader is expected back in a moment.
 *   - A waiter whose message is there has been called, unless it is the one that is running.
 *
 * So every thread that leaves, for whatever reason, passes both duties on (wait_end), and one that
 * was called but did not take its message leaves it to the next. But calling the next leader takes
 * a system call, and a wake-up on another CPU that costs more than many a request: a server whose
 * threads answer in a few microseconds is better off when the one that has left comes back and
 * finds its place free. How long that takes is learnt; if it takes longer than it used to, the
 * progress thread's next look ends the vacancy.
 *
 * A signal ends a wait with EINTR, whether or not its handler asked for restarting: the leader
 * sleeps in ppoll, which is never restarted, and followers always give the semaphore a deadline,
 * which has the same effect. A signal that comes while the leader spins is not noticed; spins last
 * 200 µs at most.
 */
#include "socket/wait.h"

#include "socket/buffer.h"
#include "socket/clock.h"
#include "socket/process.h"
#include "socket/progress.h"
#include "socket/pump.h"
#include "socket/sleep.h"
#include "socket/socket.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>

/* ppoll may be late by 50 µs: do not sleep for less than a part of that. */
#define SLEEP_MIN_NS (10 * CLOCK_NS_PER_US)

/* How long a wait without end lasts: see above. */
#define FOR_EVER_NS (UINT64_C(10) * 365 * 86400 * CLOCK_NS_PER_SECOND)

/* A leader that usually is away for less than this is waited for. A longer absence says no more
 * than ABSENCE_MAX_NS does. */
#define ABSENCE_SHORT_NS (50 * CLOCK_NS_PER_US)
#define ABSENCE_MAX_NS   (CLOCK_NS_PER_MS)

/* Threads that spin in any socket of this process. */
static _Atomic uint32_t spinners;

static bool is_over(const struct socket *socket)
{
    return socket->is_closed || socket->is_shut;
}

/* Whether the waiter should look. */
static bool is_satisfied(const struct socket *socket, const struct waiter *waiter)
{
    if (is_over(socket))
        return true;
    switch (waiter->kind) {
    case WAIT_SHARED:
        return socket_shared_ready(socket) > 0;
    case WAIT_PRIVATE:
        return homa_engine_private_ready(socket->engine, waiter->id);
    case WAIT_ROOM:
        return buffer_has_room(socket);
    case WAIT_POLL:
        return false;
    }
    return true;
}

/* ---- calling others ---- */

static void call_waiter(struct socket *socket, struct waiter *waiter)
{
    waiter->is_called = true;
    if (waiter != socket->leader) {
        (void)sem_post(&waiter->called);
    } else if (socket->is_leader_asleep && !socket->is_leader_called) {
        socket->is_leader_called = true;
        (void)eventfd_write(socket->wake_descriptor, 1);
    }
}

static void call_satisfied(struct socket *socket, const struct waiter *self)
{
    uint32_t shared = socket_shared_ready(socket);
    struct waiter *waiter = NULL;

    /* The one that runs takes its message before any other can. */
    if (self != NULL && self->kind == WAIT_SHARED && shared > 0)
        shared--;
    TAILQ_FOREACH(waiter, &socket->waiters, link) {
        if (waiter == self)
            continue;
        if (waiter->kind == WAIT_SHARED && !is_over(socket)) {
            if (shared == 0)
                continue;
            shared--;
        } else if (!is_satisfied(socket, waiter)) {
            continue;
        }
        if (!waiter->is_called)
            call_waiter(socket, waiter);
    }
}

void wait_settle(struct socket *socket, const struct waiter *self)
{
    uint64_t sequence = homa_engine_ready_sequence(socket->engine);

    if (TAILQ_EMPTY(&socket->waiters))
        return;
    if (sequence == socket->ready_seen && socket->room_wanted == 0)
        return;
    socket->ready_seen = sequence;
    call_satisfied(socket, self);
}

void wait_settle_all(struct socket *socket)
{
    call_satisfied(socket, NULL);
}

void wait_call_all(struct socket *socket)
{
    struct waiter *waiter = NULL;

    TAILQ_FOREACH(waiter, &socket->waiters, link) {
        if (!waiter->is_called)
            call_waiter(socket, waiter);
    }
}

/* Sees to it that somebody reads, if anybody waits. */
static void pass_lead(struct socket *socket)
{
    struct waiter *waiter = NULL;
    struct waiter *first = NULL;

    if (socket->leader != NULL)
        return;
    /* One that polls does not sleep on its semaphore: it cannot be called to lead. */
    TAILQ_FOREACH(waiter, &socket->waiters, link) {
        if (waiter->kind != WAIT_POLL && waiter->is_called)
            return;
        if (waiter->kind != WAIT_POLL && first == NULL)
            first = waiter;
    }
    if (first != NULL)
        call_waiter(socket, first);
}

/* A thread comes to wait, or is called to: so long the place was free. */
static void learn_absence(struct socket *socket, uint64_t now)
{
    uint64_t absence = 0;

    if (socket->left_at == 0)
        return;
    absence = now - socket->left_at < ABSENCE_MAX_NS ? now - socket->left_at : ABSENCE_MAX_NS;
    socket->absence_ns = socket->absence_ns - socket->absence_ns / 4 + absence / 4;
    socket->left_at = 0;
}

void wait_end_vacancy(struct socket *socket, uint64_t now)
{
    if (TAILQ_EMPTY(&socket->waiters))
        return;
    learn_absence(socket, now);
    pass_lead(socket);
}

/* ---- beginning and end ---- */

void wait_begin(struct waiter *waiter, struct call *call, enum wait_kind kind, uint64_t id)
{
    struct socket *socket = call->socket;

    *waiter = (struct waiter){.call = call, .kind = kind, .id = id, .began_at = call->now};
    (void)sem_init(&waiter->called, 0, 0);
    learn_absence(socket, call->now);
    TAILQ_INSERT_TAIL(&socket->waiters, waiter, link);
    socket->room_wanted += kind == WAIT_ROOM;
    socket->shared_wanted += kind == WAIT_SHARED;
    /* The waiter may lead: the progress thread must not read beside it. */
    if (socket->progress.attention != ATTENTION_ACTIVE)
        progress_attend(socket, call->now);
}

void wait_leave(struct waiter *waiter)
{
    struct socket *socket = waiter->call->socket;
    uint64_t now = 0;

    TAILQ_REMOVE(&socket->waiters, waiter, link);
    socket->room_wanted -= waiter->kind == WAIT_ROOM;
    socket->shared_wanted -= waiter->kind == WAIT_SHARED;
    if (socket->leader == waiter)
        socket->leader = NULL;
    (void)sem_destroy(&waiter->called);
    if (socket->is_closed)
        return;
    now = clock_now();
    if (socket->progress.attention != ATTENTION_ACTIVE)
        progress_attend(socket, now);
    if (socket->leader == NULL)
        socket->left_at = now;
    if (!TAILQ_EMPTY(&socket->waiters)) {
        call_satisfied(socket, NULL);
        if (socket->absence_ns > ABSENCE_SHORT_NS)
            pass_lead(socket);
    }
}

void wait_end(struct waiter *waiter)
{
    struct socket *socket = waiter->call->socket;

    wait_leave(waiter);
    ready_update(socket);
}

/* ---- sleeping ---- */

/* The thread was cancelled while it slept, without the lock. */
static void sleep_cancelled(void *context)
{
    struct waiter *waiter = context;
    struct socket *socket = waiter->call->socket;

    socket_lock(socket);
    if (socket->leader == waiter)
        wait_wake_up(socket);
    wait_end(waiter);
    socket_unlock(socket);
    table_put(socket->slot);
}

/* Returns 0 or the errno. */
static int sleep_called(struct waiter *waiter, const struct timespec *until)
{
    int result = 0;

    pthread_cleanup_push(sleep_cancelled, waiter);
    (void)pthread_setcancelstate(waiter->call->cancel_state, NULL);
    result = sem_clockwait(&waiter->called, CLOCK_MONOTONIC, until) == 0 ? 0 : errno;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cleanup_pop(0);
    return result;
}

/* Under the lock under which the leader has just looked: what it was called for until now, it has
 * seen. A call that was left standing would keep all later ones from it. */
void wait_fall_asleep(struct socket *socket, uint64_t until)
{
    socket->is_leader_asleep = true;
    socket->leader->is_called = false;
    socket->leader_until = until;
}

void wait_wake_up(struct socket *socket)
{
    socket->is_leader_asleep = false;
    socket->leader->is_called = false;
    if (socket->is_leader_called) {
        eventfd_t calls = 0;

        (void)eventfd_read(socket->wake_descriptor, &calls);
        socket->is_leader_called = false;
    }
}

static int follow(struct waiter *waiter, uint64_t until)
{
    struct socket *socket = waiter->call->socket;
    uint64_t now = clock_now();
    struct timespec limit = clock_timespec(until < now + FOR_EVER_NS ? until : now + FOR_EVER_NS);
    int result = 0;

    socket_unlock(socket);
    result = sleep_called(waiter, &limit);
    socket_lock(socket);
    if (waiter->is_called && result != 0)
        (void)sem_trywait(&waiter->called); /* called just now: do not count it next time */
    waiter->is_called = false;
    if (result == ETIMEDOUT)
        return until == CLOCK_NEVER ? 0 : -EAGAIN;
    return result == EINTR ? -EINTR : 0;
}

/* Sleeps on the wire until packets, a call, the given time, or a deadline of the engine. */
static int lead_asleep(struct waiter *waiter, uint64_t until, int wake_descriptor)
{
    struct socket *socket = waiter->call->socket;
    struct pollfd set[3] = {
        {.fd = wire_descriptor(socket->wire), .events = POLLIN},
        {.fd = socket->wake_descriptor, .events = POLLIN},
        {.fd = wake_descriptor, .events = POLLIN}, /* poll passes over negative ones */
    };
    uint64_t now = clock_now();
    uint64_t due = until < socket->deadline ? until : socket->deadline;
    int result = 0;

    if (due < now + SLEEP_MIN_NS)
        return 0;
    if (socket->is_output_blocked)
        set[0].events |= POLLOUT;
    wait_fall_asleep(socket, due);
    socket_unlock(socket);
    result = sleep_polling(set, 3, due, waiter->call->cancel_state, sleep_cancelled, waiter);
    socket_lock(socket);
    wait_wake_up(socket);
    if (result == EINTR)
        return -EINTR;
    return set[2].revents != 0 ? -ECANCELED : 0;
}

/* ---- leading ---- */

/* Reads the wire again and again for so long. Returns whether the waiter is satisfied. */
static bool lead_spinning(struct waiter *waiter, uint64_t budget_ns, uint64_t until)
{
    struct socket *socket = waiter->call->socket;
    uint64_t start = clock_now();
    bool is_done = false;

    for (;;) {
        uint64_t now = 0;

        socket_let_others(socket);
        is_done = is_satisfied(socket, waiter);
        if (is_done)
            break;
        now = clock_now();
        if (now - start > budget_ns || now >= until)
            break;
        if (pump(socket, now))
            pump_settle(socket, waiter);
    }
    return is_done;
}

bool wait_spin_begin(void)
{
    /* On a single CPU a spin keeps away the very thing it waits for. */
    if (process_cpus() < 2)
        return false;
    if (atomic_fetch_add_explicit(&spinners, 1, memory_order_relaxed) < process_cpus())
        return true;
    wait_spin_end();
    return false;
}

void wait_spin_end(void)
{
    (void)atomic_fetch_sub_explicit(&spinners, 1, memory_order_relaxed);
}

void wait_forget_spinners(void)
{
    atomic_store(&spinners, 0);
}

/* Spins, if that seems best. Returns whether the waiter is satisfied. */
static bool spin_first(struct waiter *waiter, uint64_t until)
{
    struct socket *socket = waiter->call->socket;
    uint64_t budget_ns = 0;
    bool is_done = false;

    if (waiter->kind == WAIT_ROOM)
        return false;
    budget_ns = spin_budget(&socket->spin, homa_engine_knobs(socket->engine)->poll_usecs);
    if (budget_ns == 0)
        return false;
    if (!wait_spin_begin()) {
        socket->spin.has_spun = false;
        return false;
    }
    is_done = lead_spinning(waiter, budget_ns, until);
    wait_spin_end();
    return is_done;
}

static int lead(struct waiter *waiter, uint64_t until, int wake_descriptor)
{
    struct socket *socket = waiter->call->socket;
    bool has_chosen = false; /* between spinning and sleeping */
    int result = 0;

    while (result == 0) {
        uint64_t now = 0;

        /* Packets that keep coming must not keep others out. */
        socket_let_others(socket);
        if (is_over(socket))
            break;
        now = clock_now();
        if (pump(socket, now))
            pump_settle(socket, waiter);
        if (is_satisfied(socket, waiter))
            break;
        if (now >= until) {
            result = -EAGAIN;
            break;
        }
        if (!has_chosen) {
            has_chosen = true;
            if (spin_first(waiter, until))
                break;
        }
        if (is_over(socket))
            break;
        result = lead_asleep(waiter, until, wake_descriptor);
        if (is_over(socket))
            break;
    }
    if (result == 0 && has_chosen && waiter->kind != WAIT_ROOM)
        spin_learn(&socket->spin, clock_now() - waiter->began_at);
    return result;
}

bool wait_try_lead(struct waiter *waiter)
{
    struct socket *socket = waiter->call->socket;

    if (socket->leader == NULL) {
        socket->leader = waiter;
        /* The progress thread must not read beside it. */
        if (socket->progress.attention == ATTENTION_ARMED)
            progress_attend(socket, clock_now());
    }
    return socket->leader == waiter;
}

int wait_turn(struct waiter *waiter, uint64_t until, int wake_descriptor)
{
    struct socket *socket = waiter->call->socket;

    if (is_over(socket))
        return 0;
    if (wait_try_lead(waiter))
        return lead(waiter, until, wake_descriptor);
    return follow(waiter, until);
}
