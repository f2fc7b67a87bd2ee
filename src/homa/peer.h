/*
 * Peers: what the engine remembers about the other end of its RPCs, whoever started them. A record
 * per (address, port, scope, our address); records without an RPC are forgotten, least recently
 * used first, when room is needed. Everything here can be learnt again, so forgetting is always
 * safe.
 */
#ifndef HOMA_PEER_H
#define HOMA_PEER_H

#include "base/address.h"
#include "base/tree.h"
#include "homa/packet.h"

#include <stdint.h>
#include <stdbool.h>

struct homa_engine;
struct homa_rpc;
struct homa_share;

/* Control packets that wait to be sent to a peer (bits of homa_peer.tell). */
enum homa_peer_tell {
    HOMA_PEER_TELL_ACK = 1, /* all pending acks */
    HOMA_PEER_TELL_CUTOFFS = 2,
};

struct homa_peer {
    struct base_address address;
    struct homa_peer *next;   /* in the bucket of the table */
    struct homa_share *share; /* of its host */
    LIST_HEAD(homa_peer_rpcs, homa_rpc) rpcs;
    TAILQ_ENTRY(homa_peer) idle;    /* while it has no RPC */
    TAILQ_ENTRY(homa_peer) telling; /* while tell != 0 */
    uint64_t cutoffs_sent_at;       /* engine time; 0 = never */
    uint32_t rpc_count;
    uint32_t packet_bytes; /* header and payload of a full packet */
    uint32_t first_ack;    /* pool index of the oldest pending ack; BASE_POOL_NONE = none */
    uint32_t last_ack;
    uint32_t ack_count;
    uint32_t rtt_ns; /* smoothed round trip; 0 = no sample yet */
    uint32_t rtt_variation_ns;
    uint32_t response_ns; /* smoothed time from a request to its response; 0 = no sample yet */
    uint32_t cutoffs[HOMA_PRIORITIES]; /* the peer's: [p] = longest message sent at level p */
    uint16_t cutoff_version;           /* 0 = ours, since the peer has not told its own */
    uint8_t tell;                      /* enum homa_peer_tell bits */
    bool never_grants;                 /* speaks the dialect without grants */
    bool has_answered;                 /* some packet of its has been about an RPC of ours */
    bool is_unreachable;               /* the network said so, and nothing has come since */
};

TAILQ_HEAD(homa_peer_queue, homa_peer);

/* An RPC that a peer may forget, of which it has not been told yet. */
struct homa_pending_ack {
    uint64_t client_id;
    uint32_t next; /* pool index */
};

/* Finds the peer with exactly this address, or NULL. */
struct homa_peer *homa_peer_find(const struct homa_engine *engine,
                                 const struct base_address *address);

/* Finds a peer, or makes one, forgetting an idle one if needed, or making one idle (share.h). NULL:
 * all records hold RPCs. */
struct homa_peer *homa_peer_get(struct homa_engine *engine, const struct base_address *address);

/* Finds the next peer with this remote address and port, whatever our address: start with NULL. */
struct homa_peer *homa_peer_next_same_remote(const struct homa_engine *engine,
                                             const struct base_address *address,
                                             const struct homa_peer *previous);

/* The RPC enters and leaves the peer's list; a peer with RPCs is never forgotten. */
void homa_peer_hold(struct homa_engine *engine, struct homa_peer *peer, struct homa_rpc *rpc);
void homa_peer_let_go(struct homa_engine *engine, struct homa_peer *peer, struct homa_rpc *rpc);

/* Takes in a measured round trip, or a time from request to response (also bounds the round trip).
 */
void homa_peer_sample_rtt(struct homa_peer *peer, uint64_t sample_ns);
void homa_peer_sample_response(struct homa_peer *peer, uint64_t sample_ns);

/* How long after a gap has been noticed it is asked for. */
uint64_t homa_peer_gap_wait(const struct homa_engine *engine, const struct homa_peer *peer);

/* How long a client that hears nothing waits before it asks for the first time. */
uint64_t homa_peer_first_ask_wait(const struct homa_engine *engine, const struct homa_peer *peer);

/* Marks a peer that never grants: whatever is on its way to it may go out at once. */
void homa_peer_set_never_grants(struct homa_engine *engine, struct homa_peer *peer);

/* The level at which the peer wants unscheduled bytes of a message of this length. */
uint8_t homa_peer_unscheduled_level(const struct homa_engine *engine, const struct homa_peer *peer,
                                    uint32_t message_length);

#endif
