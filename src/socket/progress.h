/*
 * The progress thread: one per process, started with the first socket, all signals blocked. It does
 * for a socket what a thread of the application would do that waits in it, while none is inside:
 * grants, retransmissions, acks and readiness never wait for the application. What it must not do
 * is race a thread that reads or is about to, because waking it costs more than an RPC. Hence the
 * three kinds of attention:
 *
 *   active  The socket has been used within the last 10 ms. The thread looks in every 500 µs and
 *           pumps when nobody has read the wire for that long.
 *   armed   The socket has been left alone. The thread's epoll has its wire, and its timer the next
 *           deadline. The next call takes it out again (progress_attend).
 *   led     A thread of the application sleeps on the wire and covers it.
 *
 * With no active socket and no deadline the thread sleeps for good: an idle process does not wake.
 *
 * All of these are called under the socket's lock.
 */
#ifndef SOCKET_PROGRESS_H
#define SOCKET_PROGRESS_H

#include <stdint.h>

struct socket;

/* Begins to look after a new socket (or one taken over), starting the thread if need be. 0 or a
 * negative errno. */
int progress_watch(struct socket *socket, uint64_t now);

/* Ends it, before the wire is closed. */
void progress_forget(struct socket *socket);

/* A thread has come to a socket that was armed or led: it is active again. */
void progress_attend(struct socket *socket, uint64_t now);

/* The application waits for this socket in plain poll: arm it at once instead of after a while. */
void progress_arm(struct socket *socket);

/* The deadline of an armed socket, or its wish to write, has changed. */
void progress_deadline_changed(struct socket *socket);

/* The progress lock, for fork. */
void progress_lock(void);
void progress_unlock(void);

/* In fork's child: there is no thread and no socket is looked after. */
void progress_reset(void);

#endif
