/*
 * The shares of hosts: the table, and who has to give up an RPC so that another host can begin one.
 * Called by peer.c and rpc.c. Buffer space is shared out in stall.c.
 *
 * Which RPC is given up. One whose request is still arriving, for nothing is lost by that: its
 * client hears RPC_UNKNOWN and sends it again. Failing that, a response that the client has neither
 * asked for more of nor acknowledged; it leaves a tombstone. Never one that is the application's
 * turn. Of these the one not heard of for longest, as far as a short look tells: the lists are in
 * order of age, and a host has no claim to a better choice.
 */
#include "homa/share.h"

#include "base/hash.h"
#include "homa/internal.h"

#include <assert.h>

/* RPCs looked at to find the one to give up. */
#define LOOKED_AT 16u

static uint32_t bucket_of(const struct homa_engine *engine, const struct base_address *address)
{
    uint64_t words[2];

    memcpy(words, &address->remote, sizeof(words));
    return (uint32_t)base_mix(base_mix(engine->hash_key ^ address->scope ^ words[0]) ^ words[1]) &
           engine->peer_mask;
}

static struct homa_share *find(const struct homa_engine *engine, const struct base_address *address)
{
    struct homa_share *share = engine->share_buckets[bucket_of(engine, address)];

    while (share != NULL && !base_address_same_host(&share->host, address))
        share = share->next;
    return share;
}

static struct homa_share *make(struct homa_engine *engine, const struct base_address *address)
{
    struct homa_share **bucket = &engine->share_buckets[bucket_of(engine, address)];
    struct homa_share *share = base_pool_take(&engine->shares);

    assert(share != NULL); /* there are as many as peer records, and each has one */
    memset(share, 0, sizeof(*share));
    share->host = *address;
    RB_INIT(&share->stalled);
    for (unsigned held = 0; held < HOMA_HELD; held++)
        TAILQ_INIT(&share->lists[held]);
    share->next = *bucket;
    *bucket = share;
    return share;
}

struct homa_share *homa_share_join(struct homa_engine *engine, const struct base_address *address)
{
    struct homa_share *share = find(engine, address);

    if (share == NULL)
        share = make(engine, address);
    share->peers++;
    if (share->peers > engine->max_peers / 2)
        engine->most_peers = share;
    return share;
}

void homa_share_leave(struct homa_engine *engine, struct homa_share *share)
{
    struct homa_share **link = &engine->share_buckets[bucket_of(engine, &share->host)];

    assert(share->peers > 0);
    if (--share->peers > 0)
        return;
    assert(share->server_rpcs == 0 && share->bpages == 0 && share->gaps == 0 && share->acks == 0);
    assert(!share->is_greedy && share->shortest == NULL);
    while (*link != share)
        link = &(*link)->next;
    *link = share->next;
    if (engine->most_peers == share)
        engine->most_peers = NULL;
    if (engine->most_rpcs == share)
        engine->most_rpcs = NULL;
    base_pool_give(&engine->shares, share);
}

void homa_share_list(struct homa_rpc *rpc, enum homa_held held)
{
    struct homa_share *share = rpc->peer->share;

    if (rpc->held != HOMA_HELD_NOT)
        TAILQ_REMOVE(&share->lists[rpc->held], rpc, of_share);
    rpc->held = (uint8_t)held;
    if (held != HOMA_HELD_NOT)
        TAILQ_INSERT_TAIL(&share->lists[held], rpc, of_share);
}

void homa_share_count_rpc(struct homa_engine *engine, struct homa_share *share, int change)
{
    share->server_rpcs += (uint32_t)change;
    if (share->server_rpcs > engine->max_rpcs / 2)
        engine->most_rpcs = share;
}

/* Of the oldest few of a list, the one that has been silent for longest; NULL = none. */
static struct homa_rpc *most_silent(const struct homa_rpc_queue *list)
{
    struct homa_rpc *rpc = TAILQ_FIRST(list);
    struct homa_rpc *found = NULL;

    for (unsigned i = 0; i < LOOKED_AT && rpc != NULL; i++) {
        /* What we have not sent yet is not the client's fault. */
        bool is_ours = rpc->state == HOMA_RPC_REPLYING && homa_output_is_behind(&rpc->out);

        if (!is_ours && (found == NULL || rpc->heard_at < found->heard_at))
            found = rpc;
        rpc = TAILQ_NEXT(rpc, of_share);
    }
    return found;
}

/* Ends an unfinished RPC that this host has started. Returns whether there was one. */
static bool give_up_one(struct homa_engine *engine, struct homa_share *share)
{
    static const enum homa_held order[] = {HOMA_HELD_REQUEST, HOMA_HELD_STALLED, HOMA_HELD_REPLY};

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        struct homa_rpc *rpc = most_silent(&share->lists[order[i]]);

        if (rpc == NULL)
            continue;
        engine->counters.rpcs_given_up++;
        homa_rpc_end(engine, rpc);
        return true;
    }
    return false;
}

bool homa_share_free_rpc(struct homa_engine *engine, const struct homa_share *needed_for)
{
    struct homa_share *share = engine->most_rpcs;

    return share != NULL && share != needed_for && share->server_rpcs > engine->max_rpcs / 2 &&
           give_up_one(engine, share);
}

bool homa_share_free_peer(struct homa_engine *engine, const struct base_address *needed_for)
{
    struct homa_share *share = engine->most_peers;

    if (share == NULL || base_address_same_host(&share->host, needed_for) ||
        share->peers <= engine->max_peers / 2)
        return false;
    for (unsigned i = 0; i < LOOKED_AT && TAILQ_EMPTY(&engine->idle_peers); i++)
        if (!give_up_one(engine, share))
            break;
    return !TAILQ_EMPTY(&engine->idle_peers);
}
