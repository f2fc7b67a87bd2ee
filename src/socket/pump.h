/*
 * The one routine that moves packets: everybody who is inside a socket, the progress thread
 * included, drives the engine through these calls, under the socket's lock.
 */
#ifndef SOCKET_PUMP_H
#define SOCKET_PUMP_H

#include <stdint.h>
#include <stdbool.h>

struct socket;
struct waiter;

/*
 * All of it: what has come in, timers, grants, what should go out. Returns whether anything can
 * have changed for anybody; then pump_settle is due, before the lock is given away.
 */
bool pump(struct socket *socket, uint64_t now);

/* Only what should go out, after a call of the application. */
void pump_output(struct socket *socket, uint64_t now);

/* Tells those who wait (but `self`, the caller's own waiter, or NULL) and those who poll. */
void pump_settle(struct socket *socket, const struct waiter *self);

#endif
