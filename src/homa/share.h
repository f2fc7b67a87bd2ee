/*
 * Shares: what each host that talks to us holds of the things that all hosts compete for. A host is
 * an address and a scope, whatever the port: many sockets are no reason to get more. There is one
 * record per host with a peer record (peer.h), found through it.
 *
 * The rule is the same for each thing: alone, a host may have all of it; when others need some, a
 * host with more than half gives. Buffer space (stall.c) and RPC and peer records are taken back
 * from what is unfinished; gap records and acks, which come and go, are limited to half at once.
 */
#ifndef HOMA_SHARE_H
#define HOMA_SHARE_H

#include "base/address.h"
#include "base/tree.h"
#include "homa/rpc.h"

#include <stdint.h>
#include <stdbool.h>

struct homa_engine;

RB_HEAD(homa_stalled_tree, homa_rpc);
RB_HEAD(homa_claim_tree, homa_share);

struct homa_share {
    struct base_address host;               /* of one of its sockets */
    struct homa_share *next;                /* in the bucket of the table */
    RB_ENTRY(homa_share) claim;             /* in a tree of claims, while something is stalled */
    LIST_ENTRY(homa_share) greedy;          /* in a list of the engine's, while is_greedy */
    struct homa_stalled_tree stalled;       /* its messages that wait for space, shortest first */
    struct homa_rpc *shortest;              /* the first of these; NULL = none */
    struct homa_rpc_queue lists[HOMA_HELD]; /* its RPCs, by what can be taken from them */
    uint32_t peers;
    uint32_t server_rpcs; /* records of RPCs that it has started */
    uint32_t bpages;      /* pieces of messages that are not yet with the application */
    uint32_t gaps;
    uint32_t acks;  /* to be sent to it */
    bool is_greedy; /* holds more than half of the region, and some of it can be taken back */
    bool is_within; /* while something is stalled: the shortest would leave it within its half */
};

/* Finds or makes the share of this address's host, for one peer record more. */
struct homa_share *homa_share_join(struct homa_engine *engine, const struct base_address *address);
/* One peer record less. */
void homa_share_leave(struct homa_engine *engine, struct homa_share *share);

/* The RPC goes to the end of one of its host's lists, or, with HOMA_HELD_NOT, to none. */
void homa_share_list(struct homa_rpc *rpc, enum homa_held held);

/*
 * An RPC record is needed for this host (NULL: for ourselves), or a peer record, and there is none:
 * ends an unfinished RPC of another host that has more than half of them, one it has not been heard
 * of for long. Returns whether there was such a host.
 */
bool homa_share_free_rpc(struct homa_engine *engine, const struct homa_share *needed_for);
bool homa_share_free_peer(struct homa_engine *engine, const struct base_address *needed_for);

/* Counts a server RPC that begins (+1) or ends (-1). */
void homa_share_count_rpc(struct homa_engine *engine, struct homa_share *share, int change);

#endif
