/*
 * The scheduler's ledger: which messages want grants, in which order, and who owes how many bytes.
 * It knows nothing of windows, limits and priorities: what to grant is decided in sched.c, its only
 * user besides the tests.
 *
 * Senders. A sender is a host: an address and a scope, whatever the port. Its sockets share one
 * link, and a host must not gain by having many.
 *
 * Order. Each sender has a tree of its messages that need grants, by (remaining bytes, arrival);
 * senders are in a tree by the first of theirs. So the messages that may be active are simply the
 * first ones of the first senders, however many messages one sender has.
 *
 * Silence. A sender that owes bytes (granted or unscheduled, and not received) and has sent nothing
 * new for HOMA_LEDGER_STALL_NS is stalled: it has no rank and what it owes is in no sum, until it
 * sends again, or until it owes nothing. Crumbs are nothing: it takes HOMA_LEDGER_ALIVE_BYTES, less
 * than a full packet, or a byte now and then would hold a place for ever. Judged per sender, not
 * per message: a sender that is busy with another message to us is alive.
 *
 * Claims. What a sender announces without having been granted it (unscheduled bytes, `incoming`)
 * is owed as well, but how much is the sender's own word. In the sums one sender's debts are raised
 * by claims to claim_limit at most, so that nobody can talk others out of their grants.
 */
#ifndef HOMA_SCHED_LEDGER_H
#define HOMA_SCHED_LEDGER_H

#include "base/pool.h"
#include "base/tree.h"
#include "homa/sched.h"

#include <stdint.h>
#include <stdbool.h>

#define HOMA_LEDGER_STALL_NS    UINT64_C(1000000)
#define HOMA_LEDGER_ALIVE_BYTES 1000u

struct homa_sender;

struct homa_sched_message {
    RB_ENTRY(homa_sched_message) place;  /* in its sender's tree, while it needs grants */
    TAILQ_ENTRY(homa_sched_message) age; /* in the ledger's queue, while it needs grants */
    LIST_ENTRY(homa_sched_message) of_sender;
    LIST_ENTRY(homa_sched_message) of_owner;
    struct homa_sched_owner *owner;
    struct homa_sender *sender;
    struct base_address peer;
    uint64_t id;
    uint64_t order; /* of arrival */
    uint32_t length;
    uint32_t granted;
    uint32_t received;
    uint32_t uncounted; /* of its outstanding bytes: claimed, and in no sum */
    uint8_t priority;   /* of the last grant */
    bool needs_grants;  /* granted < length */
};

RB_HEAD(homa_needy_tree, homa_sched_message);

struct homa_sender {
    RB_ENTRY(homa_sender) by_address;
    RB_ENTRY(homa_sender) by_rank;    /* while it is ranked */
    TAILQ_ENTRY(homa_sender) silence; /* while it owes bytes and is not stalled */
    LIST_HEAD(, homa_sched_message) messages;
    struct homa_needy_tree needy;    /* those of its messages that need grants */
    struct homa_sched_message *best; /* the first of them, while it is ranked */
    struct base_address remote;      /* one of its sockets */
    uint64_t owed;                   /* bytes outstanding, stalled or not */
    uint64_t counted;                /* of these, what is in the sums unless it is stalled */
    uint64_t silent_since;           /* when it was last alive, or began to owe bytes */
    uint32_t new_bytes;              /* that have come since */
    uint32_t message_count;
    bool is_stalled; /* only while it owes bytes */
    bool is_ranked;  /* not stalled, and some message needs grants */
};

RB_HEAD(homa_address_tree, homa_sender);
RB_HEAD(homa_rank_tree, homa_sender);

struct homa_ledger {
    struct base_pool messages;
    struct base_pool senders;
    struct homa_address_tree by_address;
    struct homa_rank_tree by_rank;
    TAILQ_HEAD(, homa_sched_message) by_age;
    TAILQ_HEAD(, homa_sender) silent; /* longest silence first */
    LIST_HEAD(, homa_sched_owner) owners;
    uint64_t now;         /* the latest time heard of: never goes back */
    uint64_t outstanding; /* all that is counted of senders that are not stalled */
    uint64_t claim_limit; /* the user's: claims raise what is counted of a sender to this at most */
    uint64_t next_order;
    uint32_t ranked;  /* senders in by_rank */
    bool has_changed; /* a rank changed or room was made; the user takes it back */
};

/* Room for max_messages messages. Returns 0 or -ENOMEM. */
int homa_ledger_open(struct homa_ledger *ledger, uint32_t max_messages);
/* Frees what open made. A ledger that was zeroed and never opened may be closed. */
void homa_ledger_close(struct homa_ledger *ledger);

/* It is now so late: senders silent for too long are stalled. */
void homa_ledger_advance(struct homa_ledger *ledger, uint64_t now);

/* When the next sender would be stalled; UINT64_MAX = no sender owes anything. */
uint64_t homa_ledger_next_stall(const struct homa_ledger *ledger);

/* Enters a message (see homa_sched_add). NULL when the ledger is full, or half of it is the
 * sender's. */
struct homa_sched_message *homa_ledger_enter(struct homa_ledger *ledger, uint64_t now,
                                             struct homa_sched_owner *owner,
                                             const struct base_address *peer, uint64_t id,
                                             uint32_t length, uint32_t granted, uint32_t received);

/* A packet of the message has come (see homa_sched_progress). */
void homa_ledger_report(struct homa_ledger *ledger, struct homa_sched_message *message,
                        uint64_t now, uint32_t received, uint32_t granted_at_least);

/* We grant the message that many bytes more (at most up to its end). */
void homa_ledger_grant(struct homa_ledger *ledger, struct homa_sched_message *message,
                       uint32_t bytes);

/* The message is over; its record is gone. */
void homa_ledger_strike(struct homa_ledger *ledger, struct homa_sched_message *message);

/* The messages that may be active, by rank: the first one, and the one after this one. */
struct homa_sched_message *homa_ledger_first(struct homa_ledger *ledger);
struct homa_sched_message *homa_ledger_next(struct homa_sched_message *message);

/*
 * The message that has needed grants longest, but for those of stalled senders. Looks at a few
 * dozen only: may be NULL while many are stalled.
 */
struct homa_sched_message *homa_ledger_oldest(const struct homa_ledger *ledger);

/* Bytes of the message that its sender may send and that have not arrived. */
static inline uint32_t homa_ledger_outstanding(const struct homa_sched_message *message)
{
    return message->granted - message->received;
}

/* Of these, what is in the sums unless the sender is stalled. */
static inline uint32_t homa_ledger_counted(const struct homa_sched_message *message)
{
    return homa_ledger_outstanding(message) - message->uncounted;
}

/* Whether all sums, orders and memberships agree with each other. Slow; for tests. */
bool homa_ledger_is_sound(struct homa_ledger *ledger);

#endif
