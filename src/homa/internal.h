/*
 * The engine as its own files see it: the one struct that holds everything, and the calls between
 * those files. Nobody outside of src/homa includes this but white-box tests.
 *
 * Who does what: clock and set-up engine.c, application calls call.c, packets in input.c (DATA:
 * data.c), packets out output.c (DATA) and control.c (the rest), pace.c, timer.c, ack.c, stall.c,
 * share.c, grant.c, view.c.
 */
#ifndef HOMA_INTERNAL_H
#define HOMA_INTERNAL_H

#include "base/pool.h"
#include "homa/engine.h"
#include "homa/heap.h"
#include "homa/packet.h"
#include "homa/peer.h"
#include "homa/rpc.h"
#include "homa/share.h"
#include "homa/tombstone.h"

#include <stdint.h>
#include <stdbool.h>

#define HOMA_US 1000ull
#define HOMA_MS 1000000ull

/* Control packets that belong to no RPC and no peer record: answers to strangers, half of them to
 * one host. */
#define HOMA_STATELESS_MAX 128u
/* Packets that one output call produces at most; each leaves a note for unsend. */
#define HOMA_OUTPUT_MAX 256u
/* Smallest full packet that we cut, whatever anybody says about the path. */
#define HOMA_PACKET_BYTES_MIN 256u
/* Gaps in one message; packets that would open more are dropped and asked for later. */
#define HOMA_GAPS_PER_MESSAGE 256u
/* Acks that may wait for a DATA packet to ride on; with more they get packets of their own. */
#define HOMA_ACKS_HELD 32u
/* NEED_ACKs are repeated with doubling up to this. */
#define HOMA_ACK_WAIT_MAX (100 * HOMA_MS)
/* How rarely an RPC is looked at that waits for something on our side. */
#define HOMA_LOOK_WAIT_MAX (100 * HOMA_MS)
/* CUTOFFS go to one peer no more often than this. */
#define HOMA_CUTOFFS_INTERVAL HOMA_MS
/* How much later than its deadline the engine may be called before time stands still. */
#define HOMA_LATENESS_MAX HOMA_MS

/* One control packet to send that no RPC or peer record stands for. */
struct homa_stateless {
    struct base_address to;
    uint64_t id;  /* in the packet: ours */
    uint8_t type; /* HOMA_RPC_UNKNOWN, or HOMA_ACK for that one id */
};

/* What the last output call did, packet by packet, so that it can be undone. */
struct homa_note {
    struct homa_rpc *rpc;   /* NULL for peers and strangers */
    struct homa_peer *peer; /* NULL for strangers */
    uint64_t ack_client_id; /* DATA: the ack that rode on it; 0 = none */
    uint32_t start;         /* DATA and RESEND: the stretch */
    uint32_t end;
    uint8_t type;  /* enum homa_packet_type */
    uint8_t tell;  /* the bit to set again (control about an RPC) */
    bool is_again; /* DATA: a retransmission */
};

/* Durations of the knobs in ns. */
struct homa_waits {
    uint64_t resend_first;
    uint64_t resend_interval;
    uint64_t ask_least; /* a client hears nothing of its request: no RESEND before */
    uint64_t gap_least; /* a gap has been noticed: no RESEND before */
    uint64_t timeout;
    uint64_t busy_longest; /* each BUSY in a row doubles the next wait, up to this */
    uint64_t ack_first;
    uint64_t tombstone;
};

/* The pacer (pace.c). Its times are the caller's: a link does not wait for us. */
struct homa_pacer {
    uint64_t link_idle_at; /* with a fixed link_mbps: when what we sent will have left */
    uint64_t wake_at;      /* HOMA_NEVER, or when paced messages may go on */
    uint64_t rate;         /* bytes per second in this output call; 0 = not paced */
    uint64_t limit;        /* bytes that may queue below us */
    int64_t budget;        /* bytes that may still go out in this call */
    uint32_t fifo_credit;  /* thousandths of a packet owed to the oldest message */
};

struct homa_engine {
    /* Time. `clock` is the engine's own: the caller's minus lost_ns, never going backwards. */
    uint64_t now;
    uint64_t clock;
    uint64_t lost_ns;

    /* Set-up. */
    struct homa_knobs knobs;
    struct homa_waits waits;
    uint32_t max_message;
    uint32_t max_rpcs;
    uint32_t max_peers;
    uint32_t packet_bytes;
    uint16_t port;
    uint16_t cutoff_version; /* of our knobs; from 1 */
    uint8_t format;
    bool is_server;
    bool is_shut_down;
    const struct mem_region *region;
    struct bpage_pool *bpages;

    /* RPCs. */
    struct base_pool rpcs;
    struct homa_rpc **rpc_buckets;
    uint64_t hash_key;
    uint64_t next_id;
    uint64_t births;
    uint32_t rpc_mask;
    uint32_t client_rpcs;
    uint64_t queued_bytes; /* payload referred to */
    struct homa_heap heaps[HOMA_HEAPS];
    struct base_pool gaps;
    struct homa_tombstones *tombstones;
    struct mem_payload_list released;
    struct mem_payload *last_released; /* NULL when released is empty */

    /* What the application may take. */
    struct homa_rpc_queue ready_requests;
    struct homa_rpc_queue ready_responses;
    uint32_t ready_request_count;
    uint32_t ready_response_count;
    uint64_t ready_sequence;
    uint32_t *taken_bpages; /* of the message taken last */

    /* Peers. */
    struct base_pool peers;
    struct homa_peer **peer_buckets;
    uint32_t peer_mask;
    struct homa_peer_queue idle_peers; /* least recently used first */
    struct base_pool acks;

    /* Hosts. */
    struct base_pool shares;
    struct homa_share **share_buckets; /* as many as for peers */
    struct homa_share *most_rpcs;      /* if a host has more than half of the RPC records, this */
    struct homa_share *most_peers;     /* likewise, peer records */

    /* Buffer space (stall.c). */
    uint32_t region_bpages; /* 0: no region yet */
    struct homa_claim_tree
        claims_within; /* hosts whose shortest waiting message is in their half */
    struct homa_claim_tree claims_beyond; /* hosts with messages waiting, none of them so */
    LIST_HEAD(, homa_share) greedy;       /* hosts that may have to give space back */

    /* Output. */
    struct homa_stateless stateless[HOMA_STATELESS_MAX]; /* a ring */
    uint32_t stateless_first;
    uint32_t stateless_count;
    struct homa_rpc_queue telling_rpcs;
    struct homa_peer_queue telling_peers;
    struct homa_rpc_queue sending_again;
    bool has_sent_again; /* the last DATA packet was a retransmission of a paced message */
    struct homa_pacer pacer;
    struct homa_note notes[HOMA_OUTPUT_MAX];
    uint32_t note_count;

    /* The host's scheduler. */
    struct homa_sched *sched; /* NULL: none */
    struct homa_sched_owner sched_owner;
    uint64_t sched_deadline;     /* the caller's time, as of our last look */
    struct homa_rpc_queue dirty; /* have something to tell or ask */
    homa_sched_slot *left_slots; /* of RPCs that have ended */
    uint32_t left_slot_count;

    struct homa_counters counters;
};

/* ---- engine.c ---- */

/* Begins every entry that is told the time: moves `now` and `clock`. */
void homa_engine_enter(struct homa_engine *engine, uint64_t now);

static inline uint64_t homa_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t homa_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint32_t homa_min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint32_t homa_max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* ---- input.c ---- */

/* The peer has said something about this RPC. */
static inline void homa_note_heard(struct homa_engine *engine, struct homa_rpc *rpc)
{
    rpc->heard_at = engine->clock;
    rpc->peer->has_answered = true;
    rpc->peer->is_unreachable = false;
}

/* ---- data.c ---- */

/* Takes in one DATA packet. */
void homa_data_input(struct homa_engine *engine, const struct base_address *from,
                     const struct homa_packet *packet);

/* The level for a RESEND of bytes from offset on. */
uint8_t homa_data_resend_level(const struct homa_engine *engine, const struct homa_rpc *rpc,
                               uint32_t offset);

/* Whether every byte that the sender may send has arrived, and more is to come after a grant. */
static inline bool homa_incoming_waits_for_grant(const struct homa_incoming *in)
{
    return in->length > 0 && in->granted < in->length && in->received.bytes >= in->granted;
}

/* Bytes that have not arrived. */
static inline uint32_t homa_incoming_remaining(const struct homa_incoming *in)
{
    return in->length - in->received.bytes;
}

/* ---- stall.c ---- */

/* Gives the message buffer space, or puts it among those that wait for it. Returns whether it has.
 */
bool homa_stall_get_space(struct homa_engine *engine, struct homa_rpc *rpc);

/* Space has come back: lets messages go on, shortest first, as far as it reaches. */
void homa_stall_release(struct homa_engine *engine);

/* There is a region now, of so many bpages. */
void homa_stall_set_region(struct homa_engine *engine, uint32_t bpages);

/* The message is complete: its space cannot be taken back any more. */
void homa_stall_complete(struct homa_engine *engine, struct homa_rpc *rpc);

/* The message's space is the application's. */
void homa_stall_hand_over(struct homa_engine *engine, struct homa_rpc *rpc);

/* The message is given up: what has been received is forgotten, and its space goes back. */
void homa_stall_leave(struct homa_engine *engine, struct homa_rpc *rpc);

/* Asserts that what hosts hold and claim is what their messages say. Slow; for tests. */
void homa_stall_check(const struct homa_engine *engine);

/* ---- ack.c ---- */

/* The client is done with this RPC: the peer will be told, with the next DATA or a packet. */
void homa_ack_queue(struct homa_engine *engine, struct homa_peer *peer, uint64_t client_id);

/* The same, and soon. */
void homa_ack_now(struct homa_engine *engine, struct homa_peer *peer, uint64_t client_id);

/* Takes the oldest pending ack of this peer; 0 = none. */
uint64_t homa_ack_take(struct homa_engine *engine, struct homa_peer *peer);

/* Puts one back that was taken, as the oldest. */
void homa_ack_put_back(struct homa_engine *engine, struct homa_peer *peer, uint64_t client_id);

/* Forgets all that are pending. */
void homa_ack_forget(struct homa_engine *engine, struct homa_peer *peer);

/* A peer says that it is done with an RPC. `measured` when it says so in an ACK packet. */
void homa_ack_apply(struct homa_engine *engine, const struct base_address *from,
                    const struct homa_ack *ack, bool is_measured);

/* ---- control.c ---- */

/* Asks for control packets about an RPC, to a peer, to a stranger. */
void homa_control_tell(struct homa_engine *engine, struct homa_rpc *rpc, unsigned tell);
void homa_control_tell_peer(struct homa_engine *engine, struct homa_peer *peer, unsigned tell);
void homa_control_tell_stranger(struct homa_engine *engine, const struct base_address *to,
                                enum homa_packet_type type, uint64_t id);

/* Withdraws them. */
void homa_control_hush(struct homa_engine *engine, struct homa_rpc *rpc, unsigned tell);
void homa_control_hush_peer(struct homa_engine *engine, struct homa_peer *peer);

/* Makes the next control packet and its note. Returns false when there is none. */
bool homa_control_next(struct homa_engine *engine, struct base_packet *packet,
                       struct homa_note *note);

/* Puts one back that was not sent. */
void homa_control_undo(struct homa_engine *engine, const struct base_packet *packet,
                       const struct homa_note *note);

/* What goes on the wire for a level. */
uint8_t homa_wire_priority(const struct homa_knobs *knobs, unsigned level);

/* ---- output.c ---- */

/* Makes the RPC ready to send a message. */
void homa_output_begin(struct homa_engine *engine, struct homa_rpc *rpc,
                       struct mem_payload *payload);

/* The limits have moved (granted, ready, sent): enters or leaves the queue of senders. */
void homa_output_review(struct homa_engine *engine, struct homa_rpc *rpc);

/* Raises the limit to `granted` at most. Returns whether that was news. */
bool homa_output_grant(struct homa_engine *engine, struct homa_rpc *rpc, uint64_t granted);

/* Sends [start, end) again as far as it has been sent, at this level. */
void homa_output_again(struct homa_engine *engine, struct homa_rpc *rpc, uint32_t start,
                       uint32_t end, uint8_t level);

/* The same because the peer says so: ignored when it has said so too often. */
void homa_output_asked_again(struct homa_engine *engine, struct homa_rpc *rpc, uint32_t start,
                             uint32_t end, uint8_t level);

/* Stops sending. */
void homa_output_cancel(struct homa_engine *engine, struct homa_rpc *rpc);

/* Whether bytes that may be sent have never gone out: then it is us who are late, not the peer. */
static inline bool homa_output_is_behind(const struct homa_outgoing *out)
{
    return out->payload != NULL && out->sent < out->granted;
}

/* ---- pace.c ---- */

void homa_pace_begin(struct homa_engine *engine, const struct base_backlog *backlog);
/* Whether a packet of a paced message may go out now. If not, wake_at is set. */
bool homa_pace_allows(struct homa_engine *engine);
/* Whether it is the oldest message's turn among paced ones; the packet is then to be counted. */
bool homa_pace_is_turn_of_oldest(const struct homa_engine *engine);
/* Counts a packet that goes out; is_paced: of a message that the pacer may hold back. */
void homa_pace_spend(struct homa_engine *engine, const struct base_packet *packet, bool is_paced);
/* The wire did not take it. */
void homa_pace_refund(struct homa_engine *engine, const struct base_packet *packet);

/* ---- timer.c ---- */

/* Has the RPC judged at engine time `due`, or before if it was to be. */
void homa_timer_arm(struct homa_engine *engine, struct homa_rpc *rpc, uint64_t due);
void homa_timer_disarm(struct homa_engine *engine, struct homa_rpc *rpc);

/* Judges one RPC now: it may end, fail, or ask the peer for something; else it is armed again. */
void homa_timer_judge(struct homa_engine *engine, struct homa_rpc *rpc);

/* Asks the peer for all that is missing and may have been sent. */
void homa_timer_ask_for_all(struct homa_engine *engine, struct homa_rpc *rpc);

/* Whether the RPC's incoming message waits for something on our side: space or a grant. */
bool homa_timer_is_our_turn(const struct homa_engine *engine, const struct homa_rpc *rpc);

/* ---- grant.c ---- */

/* The message may need grants, has made progress, or wants to know what others granted it. */
void homa_grant_mark(struct homa_engine *engine, struct homa_rpc *rpc);

/* The message is complete or given up: its slot will be given back. */
void homa_grant_leave(struct homa_engine *engine, struct homa_rpc *rpc);

#endif
