/*
 * From descriptors to sockets. Every call on a descriptor gets its socket here and puts it back, so
 * that closing, reuse of the number and a call in flight never meet: a socket is freed when the
 * last of its users has put it back.
 *
 * Sockets live in slots, which are never freed, only used again. A slot's use count says how many
 * hold on to it; one of them is the table itself, until the socket is closed. The map from
 * descriptor numbers to slots is separate, so a number can belong to a new socket while calls on
 * the old one are still leaving.
 *
 * table_get and table_put take no lock and make no system call.
 */
#ifndef SOCKET_TABLE_H
#define SOCKET_TABLE_H

#include <stdint.h>
#include <stdatomic.h>
#include <stdbool.h>

struct socket;

struct table_slot {
    _Atomic uint32_t uses;
    uint32_t index;
    struct socket *socket;      /* valid while uses > 0 */
    struct table_slot *next;    /* in the list of free slots */
    struct table_slot *sibling; /* in the list of all slots */
    bool is_fork_held;          /* fork.c's */
};

/* Puts a new socket into a slot, with one use that belongs to the table. Returns NULL when memory
 * is short. The socket cannot be found yet. */
struct table_slot *table_add(struct socket *socket);

/*
 * From now on fd means this slot. Returns 0, -EMFILE (fd beyond what the table can hold) or
 * -ENOMEM. A slot that fd meant until now, whose descriptor must have been closed without our
 * knowledge, comes back in *stale with its table's use, for the caller to close; else NULL.
 */
int table_publish(int fd, struct table_slot *slot, struct table_slot **stale);

/* fd means nothing any more, if it meant this slot. Returns whether it did: then the table's use is
 * the caller's, to put, and table_closed is due as soon as the descriptor is closed. */
bool table_withdraw(int fd, struct table_slot *slot);
void table_closed(int fd);

/* Whether fd has been withdrawn and its descriptor may still be open. */
bool table_is_closing(int fd);

/* The socket of this descriptor, with one more use; NULL when it is none of ours. */
struct socket *table_get(int fd);

/* One more use of a slot known to be in use. */
void table_hold(struct table_slot *slot);

/* One more use, unless there was none; returns whether. */
bool table_try_hold(struct table_slot *slot);

/* One use less. With the last one the socket is destroyed (socket_destroy) and the slot is free. */
void table_put(struct table_slot *slot);

/* All slots there have ever been: follow `sibling`. Slots in use need table_try_hold. */
struct table_slot *table_slots(void);

/* The lock of the slots' lists, for fork. */
void table_lock(void);
void table_unlock(void);

#endif
