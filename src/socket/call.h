/*
 * How every call on a descriptor begins and ends: find the socket, take its lock, see that it is
 * open and this process's own, let the progress thread know; at the end undo it and turn the result
 * into errno. Nothing between the two can be cancelled, except where a wait says so.
 */
#ifndef SOCKET_CALL_H
#define SOCKET_CALL_H

#include <stdint.h>
#include <sys/types.h>

struct socket;

struct call {
    struct socket *socket; /* locked */
    uint64_t now;          /* ns, at the beginning */
    int cancel_state;      /* the thread's, to be restored */
};

/*
 * Returns 0, or a negative errno (EBADF, ENOTSOCK, EBUSY) with a sentence; then there is no socket,
 * but call_end is still due.
 */
int call_begin(struct call *call, int fd);

/* Why there is no socket: -EBADF or -ENOTSOCK, with a sentence. */
int call_fail_unknown(int fd);

/* Ends the call. A negative result becomes -1 with errno set. */
ssize_t call_end(struct call *call, ssize_t result);

/* The same for calls that return an int. */
int call_end_int(struct call *call, int result);

#endif
