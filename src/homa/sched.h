/*
 * Who may send to this host, and how much: grants for incoming messages longer than their
 * unscheduled bytes, shortest remaining first with overcommitment, across all engines of a host
 * (spec section 4, Grants). Engines register long messages here, report what has arrived, and get
 * back the grants that follow, also for each other.
 *
 * The idea: messages that still need grants are kept in order of remaining bytes. The first
 * `max_overcommit` of them, one per sending host, are *active*; rank sets the priority. An active
 * message is topped up to its window, as long as the sum of granted and unreceived bytes stays
 * within max_incoming and within what the owner's wire can hold. A small share goes to the oldest
 * message, whatever its rank. A message granted to its end makes room among the active for the
 * next.
 *
 * A sender that owes bytes and has sent nothing for a millisecond is *stalled*: it is not active,
 * so that its place passes to the next, and what it owes stops counting, so that a dead sender pins
 * nothing. When it goes on, with a packet worth the name, it is back, and the sums may then exceed
 * their limits until enough has arrived; grants stop that long. (The unscheduled bytes of new
 * messages, which nobody granted, can have the same effect.)
 *
 * One host cannot keep the others from their grants. It has one place among the active, and all it
 * owes, with all its messages, has to fit into half of max_incoming before it gets more; what it
 * claims to send ungranted counts against max_incoming up to that half only.
 *
 * Pure and not thread-safe: the socket layer has one lock for it, taken after a socket's lock.
 */
#ifndef HOMA_SCHED_H
#define HOMA_SCHED_H

#include "base/address.h"
#include "base/tree.h"
#include "homa/knobs.h"

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

struct homa_sched;

/* A message's place in the scheduler. */
typedef uint32_t homa_sched_slot;
#define HOMA_SCHED_NONE UINT32_MAX

struct homa_sched_message; /* the scheduler's own */

/* One engine's share of the scheduler. Embedded by the owner; fields belong to the scheduler. */
struct homa_sched_owner {
    LIST_ENTRY(homa_sched_owner) attached;
    LIST_HEAD(, homa_sched_message) messages;
    void *cookie;         /* the owner's: comes back in grants */
    uint64_t limit_bytes; /* most bytes granted and unreceived for this owner */
    uint64_t outstanding; /* granted and unreceived now, without stalled senders */
};

/* "Send everything below offset, at this priority", to be told to peer about RPC id. */
struct homa_grant {
    struct homa_sched_owner *owner;
    struct base_address peer;
    uint64_t id; /* as the owner uses it */
    uint32_t offset;
    uint8_t priority; /* a level, before priority_map */
};

/* Makes a scheduler for up to max_messages long messages at a time. 0 or -ENOMEM. */
int homa_sched_open(struct homa_sched **sched, const struct homa_knobs *knobs,
                    uint32_t max_messages);
void homa_sched_close(struct homa_sched *sched);

/* The knobs that matter here may change while running. */
void homa_sched_set_knobs(struct homa_sched *sched, const struct homa_knobs *knobs);

/* limit_bytes: half of what the owner's wire can hold, > 0. The owner stays where it is until it is
 * detached. */
void homa_sched_attach(struct homa_sched *sched, struct homa_sched_owner *owner, void *cookie,
                       uint64_t limit_bytes);
/* Removes the owner's messages too. */
void homa_sched_detach(struct homa_sched *sched, struct homa_sched_owner *owner);

/*
 * Registers a message of which `granted` bytes need no grant (the unscheduled ones) and `received`
 * (<= length) have arrived. `id` is as the owner uses it. Returns its slot, or HOMA_SCHED_NONE when
 * the scheduler is full (the engine tries again with the message's next packet or timer).
 */
homa_sched_slot homa_sched_add(struct homa_sched *sched, uint64_t now,
                               struct homa_sched_owner *owner, const struct base_address *peer,
                               uint64_t id, uint32_t length, uint32_t granted, uint32_t received);

/*
 * Reports a packet of the message: bytes received in all so far (<= length), and the sender's own
 * limit (`incoming`), which counts if it is higher than what was granted.
 */
void homa_sched_progress(struct homa_sched *sched, homa_sched_slot slot, uint64_t now,
                         uint32_t received, uint32_t granted_at_least);

/* Forgets a message, complete or not. */
void homa_sched_remove(struct homa_sched *sched, homa_sched_slot slot);

/* The offset up to which the message has been granted. */
uint32_t homa_sched_granted(const struct homa_sched *sched, homa_sched_slot slot);

/* The priority level of the message's last grant, for RESENDs; before the first one the level that
 * the message would get if it were the shortest of many. */
uint8_t homa_sched_priority(const struct homa_sched *sched, homa_sched_slot slot);

/*
 * Decides, and lists up to max grants that must be sent now; call again while it returns max.
 * A listed grant counts as given, whether or not it reaches the peer: RESEND repairs a lost one.
 */
size_t homa_sched_run(struct homa_sched *sched, uint64_t now, struct homa_grant *grants,
                      size_t max);

/*
 * When homa_sched_run() should be called though nothing has arrived: when the next sender would be
 * stalled, if a message waits for a place or for room; a time gone by if something has changed
 * since the last run (a removal made room); UINT64_MAX = never.
 */
uint64_t homa_sched_deadline(const struct homa_sched *sched);

/* Sum of granted and unreceived bytes, without stalled senders and what is claimed beyond half of
 * max_incoming. */
uint64_t homa_sched_outstanding(const struct homa_sched *sched);

/* The fewest bytes that are worth a GRANT of their own to a message that has others outstanding. */
uint32_t homa_sched_grant_worth(const struct homa_knobs *knobs);

/* Whether some message wants grants whose sender is not stalled. For statistics. */
bool homa_sched_wants_grants(const struct homa_sched *sched);

/* What is known of one message. For judges in tests and simulations. */
struct homa_sched_view {
    const struct homa_sched_owner *owner;
    struct base_address peer;
    uint64_t id;
    uint64_t order; /* of arrival */
    uint64_t owed;  /* bytes that its sender owes, all its messages together */
    uint32_t length;
    uint32_t granted;
    uint32_t received;
    uint8_t priority; /* level of the last grant */
    bool is_stalled;  /* its sender is */
};

/* Calls see() for each message, in no particular order. */
void homa_sched_view(const struct homa_sched *sched,
                     void (*see)(void *context, const struct homa_sched_view *view), void *context);

/* Whether all sums, orders and memberships agree with each other. Slow: for tests,
 * and asserted when an owner leaves. */
bool homa_sched_is_sound(struct homa_sched *sched);

#endif
