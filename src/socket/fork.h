/*
 * Sockets and fork. One process owns a socket; after fork that is still the parent, and the child
 * has a copy which it must not use: calls on it give EBUSY. Once the owner has closed the socket or
 * is gone, the child's next call takes it over, in the state of the moment of the fork: the wire is
 * the same kernel socket, so the port has never been free. That makes open + daemon() + serve work.
 */
#ifndef SOCKET_FORK_H
#define SOCKET_FORK_H

#include <stdint.h>
#include <stdatomic.h>
#include <stdbool.h>

struct socket;

/* Installs the handlers that keep locks sane and tell child from parent. 0 or a negative errno. */
int fork_install(void);

/* Counts the forks that led to this process: a socket with another number is not ours. */
uint32_t fork_generation(void);

/* Whether the socket belongs to another process. Under its lock. */
bool fork_is_foreign(const struct socket *socket);

/* Takes a foreign socket over. 0; -EBUSY with a sentence while its owner lives and has it open; or
 * what went wrong. Under its lock. */
int fork_claim(struct socket *socket);

/* The owner is closing the socket: whoever has a copy may have it. Under its lock. */
void fork_give_up(struct socket *socket);

/* The socket is being freed. */
void fork_forget(struct socket *socket);

#endif
