/*
 * Waiting in a socket. Any number of threads wait; one of them, the leader, reads the wire,
 * spinning or asleep, and works for all; the others sleep until they are called, because what they
 * wait for is there or because it is their turn to lead. A call that waits does
 *
 *     wait_begin     once it has found nothing
 *     wait_turn      each time it has found nothing; it comes back when it is worth looking again
 *     wait_end       whatever came of it
 *
 * all under the socket's lock, which wait_turn gives away while it sleeps. A thread that is
 * cancelled in wait_turn leaves as if by wait_end.
 */
#ifndef SOCKET_WAIT_H
#define SOCKET_WAIT_H

#include <stdint.h>
#include <semaphore.h>
#include <stdbool.h>
#include <sys/queue.h>

struct call;
struct socket;

enum wait_kind {
    WAIT_SHARED,  /* any shared message */
    WAIT_PRIVATE, /* the RPC named by id */
    WAIT_ROOM,    /* send memory below its limit */
    WAIT_POLL,    /* leads for msv_poll, and sees for itself */
};

struct waiter {
    TAILQ_ENTRY(waiter) link;
    struct call *call;
    enum wait_kind kind;
    uint64_t id;
    uint64_t began_at; /* ns */
    bool is_called;    /* and has not looked yet */
    sem_t called;      /* unless it leads: then the socket's wake_descriptor calls it */
};

void wait_begin(struct waiter *waiter, struct call *call, enum wait_kind kind, uint64_t id);

/*
 * Waits until it is worth looking again. Returns 0; -EINTR; -EAGAIN (until, ns, has passed);
 * -ECANCELED (wake_descriptor is readable: looked at by the leader only, -1 = none).
 */
int wait_turn(struct waiter *waiter, uint64_t until, int wake_descriptor);

void wait_end(struct waiter *waiter);

/* The same, but what poll sees of the socket stays as it is for now. */
void wait_leave(struct waiter *waiter);

/* Calls those for whom something has come since the last time. `self` is the caller's own, or NULL.
 */
void wait_settle(struct socket *socket, const struct waiter *self);

/* Calls all whose wait is over, also those for whom nothing will come any more. */
void wait_settle_all(struct socket *socket);

/* Nobody has come back to lead: calls one of those who wait, if any. */
void wait_end_vacancy(struct socket *socket, uint64_t now);

/* Calls everybody: the socket is over, or its wire is another. */
void wait_call_all(struct socket *socket);

/* For msv_poll, which sleeps on several sockets at once: */

/* Makes the waiter the leader if there is none; returns whether it leads. */
bool wait_try_lead(struct waiter *waiter);

/* The leader falls asleep, until the given time at the latest, and wakes. */
void wait_fall_asleep(struct socket *socket, uint64_t until);
void wait_wake_up(struct socket *socket);

/* Whether a thread may spin now; if so it counts as spinning until spin_end. */
bool wait_spin_begin(void);
void wait_spin_end(void);

/* In fork's child: the threads that spun do not exist. */
void wait_forget_spinners(void);

#endif
