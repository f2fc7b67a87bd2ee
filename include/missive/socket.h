/*
 * Missive's socket calls: the system calls of the same names, for sockets that the running kernel
 * may not know. Arguments, results and errno are those of the system calls, with the meaning that
 * the kernel's Homa gives them (missive/homa.h; homa(7) of this package). They return -1 with errno
 * set on failure; msv_errmsg() then has a sentence that says what was wrong.
 *
 * A descriptor from msv_socket() is a real one: it can be given to poll, select, epoll and fstat.
 * Every other call on it must be the msv_ form. Descriptors that are not Missive's give EBADF or
 * ENOTSOCK.
 *
 * Threads: every call may be made from any thread at any time, several on one socket at once
 * included. Signals: blocking calls are cancelled with EINTR. None of them is async-signal-safe.
 * fork: a socket belongs to the process that made it. A child's calls give EBUSY until its parent
 * has closed the socket or is gone; the first call after that takes the socket over (so daemon()
 * works).
 */
#ifndef MISSIVE_SOCKET_H
#define MISSIVE_SOCKET_H

#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* The library's version, "0.1.0". Never NULL. */
const char *msv_version(void);

/*
 * Why the calling thread's last failed msv_ call on fd failed: one sentence, at most 99 bytes,
 * never NULL, valid until the thread's next msv_ call. fd -1: whichever socket it was (msv_socket
 * itself).
 */
const char *msv_errmsg(int fd);

/*
 * domain AF_INET or AF_INET6; type SOCK_DGRAM, with SOCK_NONBLOCK and SOCK_CLOEXEC; protocol
 * IPPROTO_HOMA. The socket gets a free port from 0x8000 up and can send requests; it takes requests
 * after msv_bind() or SO_HOMA_SERVER. To receive anything it needs a region (SO_HOMA_RCVBUF).
 * EAFNOSUPPORT, ESOCKTNOSUPPORT, EPROTONOSUPPORT, EINVAL (a wrong knob in the environment or in the
 * configuration file: msv_errmsg names it), EMFILE, ENFILE, ENOBUFS, ENOMEM.
 */
int msv_socket(int domain, int type, int protocol);

/*
 * Moves the socket to a server port (1 .. 0x7fff) and lets it take requests. Port 0: success, no
 * effect. The socket's own port again: success, and its address stays. An address other than the
 * wildcard restricts it to that address. EINVAL (port 0x8000 and up, or length too short),
 * EAFNOSUPPORT, EADDRINUSE, EADDRNOTAVAIL, EACCES (port below 1024 without privilege), EBUSY
 * (requests are outstanding on the present port), ESHUTDOWN.
 */
int msv_bind(int fd, const struct sockaddr *address, socklen_t length);

/* Succeeds and changes nothing, as the kernel's: every message names its destination. */
int msv_connect(int fd, const struct sockaddr *address, socklen_t length);

/* The socket's address and port. EFAULT, EINVAL. */
int msv_getsockname(int fd, struct sockaddr *address, socklen_t *length);

/* Always ENOTCONN: a Homa socket has no peer. */
int msv_getpeername(int fd, struct sockaddr *address, socklen_t *length);

/* Always EOPNOTSUPP. */
int msv_listen(int fd, int backlog);
int msv_accept(int fd, struct sockaddr *address, socklen_t *length);

/*
 * Level IPPROTO_HOMA: SO_HOMA_RCVBUF, SO_HOMA_SERVER, SO_MISSIVE_KNOB. Level SOL_SOCKET: as on any
 * datagram socket. Others: ENOPROTOOPT. EINVAL (length or value), EFAULT (region not writable).
 */
int msv_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int msv_getsockopt(int fd, int level, int name, void *value, socklen_t *length);

/*
 * Option of level IPPROTO_HOMA: one knob of this socket, as the text "name=value" (set), or the
 * name (get: value is replaced by the text of the knob's value). missive.conf(5) lists names.
 * EINVAL.
 */
#define SO_MISSIVE_KNOB 0x4d01

/*
 * Sends a request or a response; message->msg_control points to struct homa_sendmsg_args
 * (msg_controllen 0 or its size), msg_name is required. Returns 0. The message has been copied on
 * return. flags: MSG_DONTWAIT, MSG_NOSIGNAL; others are ignored. EINVAL (msv_errmsg says which
 * check), EAFNOSUPPORT, EFAULT, EAGAIN, EINTR, ENOBUFS, ENOMEM, ESHUTDOWN.
 */
ssize_t msv_sendmsg(int fd, const struct msghdr *message, int flags);

/*
 * Waits for a message, or for the failure of an RPC; message->msg_control points to struct
 * homa_recvmsg_args and msg_controllen is its size. Returns the length of the message, which is at
 * the offsets listed in the args. flags: MSG_DONTWAIT. On -1 with args.id != 0 that RPC failed with
 * errno (ETIMEDOUT, ENOTCONN, EHOSTUNREACH, EPROTONOSUPPORT, …, or what an abort named). EINVAL,
 * EAGAIN, EINTR, EFAULT, ESHUTDOWN.
 */
ssize_t msv_recvmsg(int fd, struct msghdr *message, int flags);

/* Several messages in one call, as sendmmsg(2) and recvmmsg(2). Returns how many were done. struct
 * mmsghdr is defined by <sys/socket.h> when _GNU_SOURCE is. */
struct mmsghdr;
int msv_sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags);
int msv_recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags,
                 struct timespec *timeout);

/* HOMAIOCINFO, HOMAIOCABORT (both generations). Unknown requests: EINVAL. */
int msv_ioctl(int fd, unsigned long request, ...);

/* F_GETFL, F_SETFL (O_NONBLOCK), F_GETFD, F_SETFD. Others: EINVAL. */
int msv_fcntl(int fd, int command, ...);

/*
 * poll(2) over any descriptors, Missive's or not. Faster than poll() on Missive's: the caller reads
 * the network itself instead of waiting for the progress thread.
 */
int msv_poll(struct pollfd *descriptors, nfds_t count, int timeout_ms);

/* Ends all RPCs; blocked and later calls give ESHUTDOWN. `how` is ignored. */
int msv_shutdown(int fd, int how);

/* Ends all RPCs and frees the socket, also while other threads are blocked in it (they get EBADF).
 */
int msv_close(int fd);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
