/*
 * Receiving, beyond what missive/socket.h has: for the layers above that live in the same library.
 * Descriptors and errno as in the public calls.
 */
#ifndef SOCKET_RECEIVE_H
#define SOCKET_RECEIVE_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * As msv_recvmsg, with two more ways out. deadline_ns: of CLOCK_MONOTONIC, UINT64_MAX = none; when
 * it has passed, EAGAIN (SO_RCVTIMEO does not count here). wake_descriptor: -1, or a descriptor; as
 * soon as it is readable, and as long as it stays so, callers that wait return ECANCELED one after
 * the other.
 */
ssize_t socket_recvmsg_until(int fd, struct msghdr *message, int flags, uint64_t deadline_ns,
                             int wake_descriptor);

/* Gives bpages back without receiving. 0 or a negative errno (-EINVAL: none was taken). */
int socket_give_back(int fd, const uint32_t *offsets, uint32_t count);

/* Ends a request received from `client` without answering it. 0; -ENOENT (it is over already); or
 * another negative errno. */
int socket_drop(int fd, const struct sockaddr *client, socklen_t length, uint64_t id);

struct socket;

/* The application waits inside of this socket (enum habit). Under its lock. */
void receive_learn_inside(struct socket *socket);

#endif
