/*
 * What poll, select and epoll see of a socket. The application's descriptor is one end of a pair of
 * AF_UNIX sockets, and what lies in the pair's two queues is its readiness:
 *
 *   POLLIN   one-byte tokens that we have written to it: some while a shared message waits that no
 *            thread is about to take, none otherwise. A message that comes while others are left
 *            since the application's last receive call gets a token of its own, which is an edge
 * for edge-triggered epoll. POLLOUT  withdrawn by filling its small send buffer with one long
 * message, given back by reading that one.
 *
 * Touching either costs a system call, so it happens on change only.
 */
#ifndef SOCKET_READY_H
#define SOCKET_READY_H

#include <stdint.h>
#include <stdbool.h>

struct socket;

struct ready {
    uint32_t tokens;     /* in the application's queue */
    uint64_t seen;       /* the engine's ready sequence when the last token was written */
    bool is_taken;       /* the application has tried to receive since then */
    bool is_out_refused; /* the send buffer is filled */
    bool is_shut;        /* the pair has been told of shutdown */
};

/* Makes the pair. 0 or a negative errno. */
int ready_open(int type_flags, int *descriptor, int *our_end, uint64_t *cookie);

/*
 * Makes the pair say what is true now. Messages that waiting threads will take are not shown. If
 * the application waits for shared messages inside the socket's calls, those beyond are not shown
 * either: they are likely to be taken in a moment, and what is not, the progress thread shows at
 * its next look.
 */
void ready_update(struct socket *socket);

/* The same without that exception. */
void ready_update_now(struct socket *socket);

/* Empties both queues, whoever filled them: for a socket taken over from another process. */
void ready_reset(struct socket *socket);

#endif
