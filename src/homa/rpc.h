/*
 * One RPC: its record, its states, and the table that finds it. Made by call.c (client) and data.c
 * (server), ended by homa_rpc_end() and by nothing else. Outside of the engine an RPC is named by
 * its id; a pointer to a record never outlives the engine call in which it was found.
 */
#ifndef HOMA_RPC_H
#define HOMA_RPC_H

#include "base/address.h"
#include "base/tree.h"
#include "homa/gaps.h"
#include "homa/sched.h"
#include "memory/payload.h"

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

struct homa_engine;
struct homa_peer;

/*
 *   client:  REQUESTING → RECEIVING → READY → ended
 *   server:  RECEIVING → READY → IN_SERVICE → REPLYING → ended
 */
enum homa_rpc_state {
    HOMA_RPC_REQUESTING = 1, /* client: nothing of the response has been seen */
    HOMA_RPC_RECEIVING,      /* the length of the incoming message is known */
    HOMA_RPC_READY,          /* the message is complete, or the RPC failed: waits to be taken */
    HOMA_RPC_IN_SERVICE,     /* server: the application has the request */
    HOMA_RPC_REPLYING,       /* server: the response is on its way, or waits for its ack */
};

/* The heaps an RPC can be in (heap.h). */
enum homa_heap_kind {
    HOMA_HEAP_TIMER,  /* by the engine time at which it is to be judged */
    HOMA_HEAP_SEND,   /* has new bytes to send: short ones first, then by bytes left */
    HOMA_HEAP_OLDEST, /* has new bytes to send and is paced: by age */
    HOMA_HEAPS,
};

/* The lists of its host's share (share.h) that an RPC can be in: what others could take from it. */
enum homa_held {
    HOMA_HELD_NOT,      /* nothing */
    HOMA_HELD_REQUEST,  /* an unfinished request with buffer space: the space, or the RPC */
    HOMA_HELD_RESPONSE, /* an unfinished response with buffer space: the space */
    HOMA_HELD_STALLED,  /* a request without: the RPC */
    HOMA_HELD_REPLY,    /* a response on its way out: the RPC */
    HOMA_HELD,
};

/* Control packets that wait to be sent about an RPC (bits of homa_rpc.tell). */
enum homa_tell {
    HOMA_TELL_GRANT = 1,
    HOMA_TELL_RESEND_GAPS = 2, /* for the gaps whose ask_at is HOMA_ASK_NOW */
    HOMA_TELL_RESEND_REST = 4, /* for what comes after the last byte that has arrived */
    HOMA_TELL_BUSY = 8,
    HOMA_TELL_NEED_ACK = 16,
};

#define HOMA_ASK_NOW 0u /* homa_gap.ask_at: a RESEND for it is due at the next output */

/* Separate stretches that wait for retransmission; beyond that, near ones are joined. */
#define HOMA_AGAIN_MAX 4

/* The message that goes out. */
struct homa_outgoing {
    struct mem_payload *payload;             /* NULL: nothing to send, not yet or not any more */
    uint64_t sent_at;                        /* engine time of the last new bytes */
    uint64_t born_at;                        /* engine time at which the message was given */
    uint32_t length;                         /* bytes; stays when the payload is gone */
    uint32_t sent;                           /* every byte below has gone out at least once */
    uint32_t granted;                        /* bytes that may be sent, <= length */
    uint32_t unscheduled;                    /* a packet never crosses this offset */
    uint32_t packet_payload;                 /* bytes of the message in a full packet */
    struct homa_range again[HOMA_AGAIN_MAX]; /* to be sent again; disjoint, below sent */
    uint64_t again_since;                    /* engine time at which again_bytes was 0 */
    uint32_t again_bytes;                    /* sent again since */
    uint8_t again_count;
    uint8_t again_priority;    /* level the receiver asked for */
    uint8_t priority;          /* level of scheduled bytes, from the last GRANT */
    uint8_t unscheduled_level; /* of all unscheduled bytes, since the first went out */
    bool was_repeated;         /* something was retransmitted: no measuring */
    bool is_paced;             /* long enough for the pacer to hold it back */
};

/* The message that comes in. */
struct homa_incoming {
    struct homa_received received;
    uint32_t length;      /* bytes; 0 = not known yet */
    uint32_t granted;     /* bytes the sender may send as far as we know, <= length */
    uint32_t unscheduled; /* of these, sent without grants: another priority than the rest */
    homa_sched_slot slot;
    uint64_t learnt_at;    /* engine time at which `granted` was compared with the scheduler */
    uint64_t probe_at;     /* engine time at which a GRANT went out, 0 = no measurement under way */
    uint32_t probe_offset; /* the first byte that it granted */
    uint16_t num_bpages;   /* in bpages[]; 0: no buffer space yet, or handed over */
    uint8_t priority;      /* level of the last grant, for RESENDs */
    bool is_judged_later;  /* the timer fired: judge after asking the scheduler */
};

struct homa_rpc {
    uint64_t id;            /* ours: low bit set on the server */
    uint64_t cookie;        /* client: the application's */
    uint64_t birth;         /* grows from RPC to RPC */
    struct homa_peer *peer; /* holds this RPC in its list */
    struct homa_rpc *next;  /* in the bucket of the table */
    LIST_ENTRY(homa_rpc) of_peer;
    TAILQ_ENTRY(homa_rpc) ready;         /* in a ready queue while is_queued */
    TAILQ_ENTRY(homa_rpc) telling;       /* while tell != 0 */
    TAILQ_ENTRY(homa_rpc) sending_again; /* while out.again_count > 0 */
    TAILQ_ENTRY(homa_rpc) dirty;         /* while is_dirty */
    TAILQ_ENTRY(homa_rpc) of_share;      /* in the list `held` of its host's share */
    RB_ENTRY(homa_rpc) stalled;          /* in a tree of its host's share, while is_stalled */
    uint32_t bucket;                     /* of the table */
    uint32_t heap_place[HOMA_HEAPS];     /* index + 1 in each heap; 0 = not in it */

    uint64_t heard_at;     /* engine time since which the peer has been silent */
    uint64_t asked_at;     /* engine time of the last RESEND for silence, or of the last NEED_ACK */
    uint64_t ready_order;  /* among all ready ones */
    uint64_t ask_wait_ns;  /* from asked_at to the next one; while it is our turn: between looks */
    uint64_t busy_wait_ns; /* how long the last BUSY made us wait; 0 = none since DATA came */
    int32_t error;         /* READY: the errno that ended it, 0 = complete */
    uint8_t state;         /* enum homa_rpc_state */
    uint8_t tell;          /* enum homa_tell bits */
    uint8_t held;          /* enum homa_held */
    bool is_private;
    bool is_queued;  /* in a ready queue */
    bool is_dirty;   /* in the list for the scheduler */
    bool is_stalled; /* the incoming message waits for buffer space */

    struct homa_outgoing out;
    struct homa_incoming in;
    uint32_t bpages[]; /* region offsets, room for the longest message */
};

TAILQ_HEAD(homa_rpc_queue, homa_rpc);

/* Bytes of a record when messages have up to 16 bpages: the limit that the project set itself. */
_Static_assert(sizeof(struct homa_rpc) + 16 * sizeof(uint32_t) <= 512, "an RPC stays small");

static inline bool homa_id_is_server(uint64_t id)
{
    return (id & 1) != 0;
}

static inline bool homa_rpc_is_server(const struct homa_rpc *rpc)
{
    return homa_id_is_server(rpc->id);
}

/* Whether the client end still takes part in the protocol for this RPC: not failed, not complete.
 */
static inline bool homa_rpc_is_waiting(const struct homa_rpc *rpc)
{
    return rpc->state == HOMA_RPC_REQUESTING || rpc->state == HOMA_RPC_RECEIVING;
}

/* Finds a client RPC by its (even) id, or NULL. */
struct homa_rpc *homa_rpc_find_client(const struct homa_engine *engine, uint64_t id);

/* Finds a server RPC by the client's address, its port unless any_port, and its (odd) id, or NULL.
 * Our own address in `client` is ignored. */
struct homa_rpc *homa_rpc_find_server(const struct homa_engine *engine,
                                      const struct base_address *client, uint64_t id,
                                      bool any_port);

/* Finds an RPC of ours about which `peer` speaks: a client RPC of another peer is not found. */
struct homa_rpc *homa_rpc_find(const struct homa_engine *engine, const struct base_address *peer,
                               uint64_t id);

/* Makes an RPC with this peer, in `state`, at the cost of a host with too many (share.h) if need
 * be. Returns NULL when all records are in use. */
struct homa_rpc *homa_rpc_begin(struct homa_engine *engine, struct homa_peer *peer, uint64_t id,
                                enum homa_rpc_state state);

/* The one way an RPC ends: everything it holds goes back, its payload is listed as released, and a
 * server RPC whose request had arrived leaves a tombstone. */
void homa_rpc_end(struct homa_engine *engine, struct homa_rpc *rpc);

/* Ends a client RPC for the network; the application gets it with `error` (positive errno). */
void homa_rpc_fail(struct homa_engine *engine, struct homa_rpc *rpc, int error);

/* The incoming message is complete (or failed): offers the RPC to the application. */
void homa_rpc_become_ready(struct homa_engine *engine, struct homa_rpc *rpc);

/* Stops sending, and lists the payload as released. */
void homa_rpc_release_payload(struct homa_engine *engine, struct homa_rpc *rpc);

/* Takes the RPC out of its ready queue, if it is in one. */
void homa_rpc_unqueue(struct homa_engine *engine, struct homa_rpc *rpc);

/* Calls visit() for each RPC until it returns false; visit() may end the RPC it is given. */
void homa_rpc_visit(struct homa_engine *engine,
                    bool (*visit)(struct homa_engine *engine, struct homa_rpc *rpc, void *context),
                    void *context);

#endif
