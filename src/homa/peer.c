/*
 * Peer records: the table, forgetting, and what is learnt per peer. Estimates are smoothed the
 * usual way (an eighth of the difference, a quarter for the variation). Never trusts a peer's
 * numbers beyond using them within bounds.
 */
#include "homa/peer.h"

#include "base/hash.h"
#include "homa/internal.h"

#include <assert.h>

/* The wait between noticing a gap and asking for it, while no round trip has been measured. */
#define GAP_WAIT_UNKNOWN HOMA_MS

/* Our own address is not hashed, so that all records of one remote socket share a bucket. */
static uint32_t bucket_of(const struct homa_engine *engine, const struct base_address *address)
{
    uint64_t words[2];
    uint64_t end = (uint64_t)address->scope << 16 | address->port;

    memcpy(words, &address->remote, sizeof(words));
    return (uint32_t)base_mix(base_mix(base_mix(engine->hash_key ^ end) ^ words[0]) ^ words[1]) &
           engine->peer_mask;
}

struct homa_peer *homa_peer_find(const struct homa_engine *engine,
                                 const struct base_address *address)
{
    struct homa_peer *peer = engine->peer_buckets[bucket_of(engine, address)];

    while (peer != NULL && !base_address_equal(&peer->address, address))
        peer = peer->next;
    return peer;
}

struct homa_peer *homa_peer_next_same_remote(const struct homa_engine *engine,
                                             const struct base_address *address,
                                             const struct homa_peer *previous)
{
    struct homa_peer *peer =
        previous != NULL ? previous->next : engine->peer_buckets[bucket_of(engine, address)];

    while (peer != NULL && !base_address_same_remote(&peer->address, address))
        peer = peer->next;
    return peer;
}

/* Forgets a peer that has no RPC; acks that it has not been told are lost (NEED_ACK repairs that).
 */
static void forget(struct homa_engine *engine, struct homa_peer *peer)
{
    struct homa_peer **link = &engine->peer_buckets[bucket_of(engine, &peer->address)];

    assert(peer->rpc_count == 0);
    while (*link != peer)
        link = &(*link)->next;
    *link = peer->next;
    TAILQ_REMOVE(&engine->idle_peers, peer, idle);
    homa_control_hush_peer(engine, peer);
    homa_ack_forget(engine, peer);
    homa_share_leave(engine, peer->share);
    base_pool_give(&engine->peers, peer);
    engine->counters.peers_evicted++;
}

/* A new record knows what another one of the same remote socket has learnt. */
static void begin(struct homa_engine *engine, struct homa_peer *peer,
                  const struct base_address *address)
{
    const struct homa_peer *twin = homa_peer_next_same_remote(engine, address, NULL);

    memset(peer, 0, sizeof(*peer));
    peer->address = *address;
    peer->first_ack = BASE_POOL_NONE;
    peer->last_ack = BASE_POOL_NONE;
    LIST_INIT(&peer->rpcs);
    if (twin == NULL) {
        peer->packet_bytes = engine->packet_bytes;
        memcpy(peer->cutoffs, engine->knobs.unsched_cutoffs, sizeof(peer->cutoffs));
        return;
    }
    peer->packet_bytes = twin->packet_bytes;
    peer->rtt_ns = twin->rtt_ns;
    peer->rtt_variation_ns = twin->rtt_variation_ns;
    peer->response_ns = twin->response_ns;
    memcpy(peer->cutoffs, twin->cutoffs, sizeof(peer->cutoffs));
    peer->cutoff_version = twin->cutoff_version;
    peer->cutoffs_sent_at = twin->cutoffs_sent_at;
    peer->never_grants = twin->never_grants;
    peer->has_answered = twin->has_answered;
}

struct homa_peer *homa_peer_get(struct homa_engine *engine, const struct base_address *address)
{
    struct homa_peer *peer = homa_peer_find(engine, address);

    if (peer != NULL)
        return peer;
    peer = base_pool_take(&engine->peers);
    if (peer == NULL &&
        (!TAILQ_EMPTY(&engine->idle_peers) || homa_share_free_peer(engine, address))) {
        forget(engine, TAILQ_FIRST(&engine->idle_peers));
        peer = base_pool_take(&engine->peers);
    }
    if (peer == NULL) {
        engine->counters.peer_alloc_failures++;
        return NULL;
    }
    uint32_t bucket = bucket_of(engine, address);

    begin(engine, peer, address);
    peer->share = homa_share_join(engine, address);
    peer->next = engine->peer_buckets[bucket];
    engine->peer_buckets[bucket] = peer;
    TAILQ_INSERT_TAIL(&engine->idle_peers, peer, idle);
    return peer;
}

void homa_peer_hold(struct homa_engine *engine, struct homa_peer *peer, struct homa_rpc *rpc)
{
    if (peer->rpc_count++ == 0)
        TAILQ_REMOVE(&engine->idle_peers, peer, idle);
    LIST_INSERT_HEAD(&peer->rpcs, rpc, of_peer);
    rpc->peer = peer;
}

void homa_peer_let_go(struct homa_engine *engine, struct homa_peer *peer, struct homa_rpc *rpc)
{
    assert(rpc->peer == peer && peer->rpc_count > 0);
    LIST_REMOVE(rpc, of_peer);
    rpc->peer = NULL;
    if (--peer->rpc_count == 0)
        TAILQ_INSERT_TAIL(&engine->idle_peers, peer, idle);
}

void homa_peer_sample_rtt(struct homa_peer *peer, uint64_t sample_ns)
{
    uint32_t sample = (uint32_t)homa_max_u64(homa_min_u64(sample_ns, UINT32_MAX / 8), 1);

    if (peer->rtt_ns == 0) {
        peer->rtt_ns = sample;
        peer->rtt_variation_ns = sample / 2;
    } else {
        uint32_t off = sample > peer->rtt_ns ? sample - peer->rtt_ns : peer->rtt_ns - sample;

        peer->rtt_variation_ns += off / 4 - peer->rtt_variation_ns / 4;
        peer->rtt_ns += sample / 8 - peer->rtt_ns / 8;
    }
    peer->rtt_ns = homa_max_u32(peer->rtt_ns, 1); /* 0 means "no sample" */
}

void homa_peer_sample_response(struct homa_peer *peer, uint64_t sample_ns)
{
    uint32_t sample = (uint32_t)homa_max_u64(homa_min_u64(sample_ns, UINT32_MAX / 8), 1);

    /* A response includes the server's work; only its best times say something about the path. */
    if (peer->rtt_ns == 0 || sample < peer->rtt_ns)
        homa_peer_sample_rtt(peer, sample);
    if (peer->response_ns == 0)
        peer->response_ns = sample;
    else
        peer->response_ns += sample / 8 - peer->response_ns / 8;
    peer->response_ns = homa_max_u32(peer->response_ns, 1);
}

uint64_t homa_peer_gap_wait(const struct homa_engine *engine, const struct homa_peer *peer)
{
    if (peer->rtt_ns == 0)
        return GAP_WAIT_UNKNOWN;
    return homa_max_u64(engine->waits.gap_least,
                        peer->rtt_ns + 4 * (uint64_t)peer->rtt_variation_ns);
}

uint64_t homa_peer_first_ask_wait(const struct homa_engine *engine, const struct homa_peer *peer)
{
    if (peer->response_ns == 0)
        return engine->waits.resend_first;
    return homa_min_u64(homa_max_u64(engine->waits.ask_least, 4 * (uint64_t)peer->response_ns),
                        engine->waits.resend_first);
}

void homa_peer_set_never_grants(struct homa_engine *engine, struct homa_peer *peer)
{
    const struct base_address address = peer->address;
    struct homa_rpc *rpc;

    if (peer->never_grants)
        return;
    for (peer = homa_peer_next_same_remote(engine, &address, NULL); peer != NULL;
         peer = homa_peer_next_same_remote(engine, &address, peer)) {
        peer->never_grants = true;
        LIST_FOREACH(rpc, &peer->rpcs, of_peer) {
            if (rpc->out.payload != NULL)
                homa_output_grant(engine, rpc, rpc->out.length);
        }
    }
}

uint8_t homa_peer_unscheduled_level(const struct homa_engine *engine, const struct homa_peer *peer,
                                    uint32_t message_length)
{
    uint32_t level = engine->knobs.num_priorities - 1;

    while (level > 0 && message_length > peer->cutoffs[level])
        level--;
    return (uint8_t)level;
}
