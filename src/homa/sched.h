/*
 * Who may send to this host, and how much: grants for incoming messages longer than their
 * unscheduled bytes, shortest remaining first with overcommitment, across all engines of a host
 * (spec section 4, Grants). Engines register long messages here, report what has arrived, and get
 * back the grants that follow, also for each other.
 *
 * The idea: messages are kept in order of remaining bytes. The first `max_overcommit` of them, one
 * per sender, are *active*; rank sets the priority. An active message is topped up to its window,
 * as long as the sum of granted and unreceived bytes stays below max_incoming and below what the
 * owner's wire can hold. A small share goes to the oldest message, whatever its rank. A slot whose
 * sender has not sent for a millisecond passes to the next one until it sends again.
 *
 * Pure and not thread-safe: the socket layer has one lock for it, taken after a socket's lock.
 */
#ifndef HOMA_SCHED_H
#define HOMA_SCHED_H

#include "base/address.h"
#include "homa/knobs.h"

#include <stdint.h>

struct homa_sched;

/* A message's place in the scheduler. */
typedef uint32_t homa_sched_slot;
#define HOMA_SCHED_NONE UINT32_MAX

/* One engine's share of the scheduler. Embedded by the owner; fields belong to the scheduler. */
struct homa_sched_owner {
    void *cookie;           /* the owner's: comes back in grants */
    uint64_t limit_bytes;   /* most bytes granted and unreceived for this owner */
    uint64_t outstanding;   /* granted and unreceived now */
    uint32_t messages;      /* registered now */
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

/* limit_bytes: half of what the owner's wire can hold. */
void homa_sched_attach(struct homa_sched *sched, struct homa_sched_owner *owner, void *cookie,
                       uint64_t limit_bytes);
/* Removes the owner's messages too. */
void homa_sched_detach(struct homa_sched *sched, struct homa_sched_owner *owner);

/*
 * Registers a message of which `granted` bytes need no grant (the unscheduled ones) and `received`
 * have arrived. Returns its slot, or HOMA_SCHED_NONE when the scheduler is full (the engine tries
 * again with the message's next packet or timer).
 */
homa_sched_slot homa_sched_add(struct homa_sched *sched, uint64_t now,
                               struct homa_sched_owner *owner, const struct base_address *peer,
                               uint64_t id, uint32_t length, uint32_t granted, uint32_t received);

/* Reports bytes received in all so far and the sender's own limit (`incoming`), if it is higher. */
void homa_sched_progress(struct homa_sched *sched, homa_sched_slot slot, uint64_t now,
                         uint32_t received, uint32_t granted_at_least);

/* Forgets a message, complete or not. */
void homa_sched_remove(struct homa_sched *sched, homa_sched_slot slot);

/* The offset up to which the message has been granted. */
uint32_t homa_sched_granted(const struct homa_sched *sched, homa_sched_slot slot);

/* The priority level of the message's last grant, for RESENDs. */
uint8_t homa_sched_priority(const struct homa_sched *sched, homa_sched_slot slot);

/*
 * Decides, and lists up to max grants that must be sent now; call again while it returns max.
 * A listed grant counts as given, whether or not it reaches the peer: RESEND repairs a lost one.
 */
size_t homa_sched_run(struct homa_sched *sched, uint64_t now, struct homa_grant *grants,
                      size_t max);

/* When homa_sched_run() should be called though nothing has arrived; UINT64_MAX = never. */
uint64_t homa_sched_deadline(const struct homa_sched *sched);

/* Sum of granted and unreceived bytes, for tests and invariants. */
uint64_t homa_sched_outstanding(const struct homa_sched *sched);

#endif
