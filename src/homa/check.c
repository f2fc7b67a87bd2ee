/*
 * The check of everything that must hold across the engine's structures: walks all RPCs and peers,
 * and compares what they add up to with what is kept in passing. For tests and the fuzzer; with
 * assertions off it checks nothing. Changes nothing.
 */
#include "homa/internal.h"

#include <assert.h>

/* What the walk over all RPCs adds up, to be compared with what the engine keeps. */
struct sums {
    uint32_t rpcs;
    uint32_t clients;
    uint32_t gaps;
    uint32_t queued;
    uint32_t telling;
    uint32_t again;
    uint32_t dirty;
    uint32_t in_heap[HOMA_HEAPS];
    uint64_t payload;
};

static void check_outgoing(const struct homa_engine *engine, const struct homa_rpc *rpc)
{
    const struct homa_outgoing *out = &rpc->out;

    assert(out->sent <= out->granted && out->granted <= out->length);
    assert(out->again_count <= HOMA_AGAIN_MAX);
    assert(out->payload != NULL || out->again_count == 0);
    for (unsigned i = 0; i < out->again_count; i++) {
        assert(out->again[i].start < out->again[i].end && out->again[i].end <= out->sent);
        for (unsigned j = 0; j < i; j++)
            assert(out->again[i].end < out->again[j].start ||
                   out->again[j].end < out->again[i].start);
    }
    if (out->payload != NULL)
        assert(out->payload->length == out->length && out->sent <= out->payload->ready);
    else
        assert(!homa_heap_has(&engine->heaps[HOMA_HEAP_SEND], rpc));
    (void)engine;
    (void)out;
}

static void check_incoming(const struct homa_engine *engine, const struct homa_rpc *rpc)
{
    const struct homa_incoming *in = &rpc->in;
    uint32_t missing = 0;
    uint32_t gaps = 0;

    for (const struct homa_gap *gap = homa_gap_at(&engine->gaps, in->received.first); gap != NULL;
         gap = homa_gap_at(&engine->gaps, gap->next)) {
        assert(gap->start < gap->end && gap->end < in->received.end);
        missing += gap->end - gap->start;
        gaps++;
    }
    assert(gaps == in->received.gaps && in->received.bytes + missing == in->received.end);
    assert(in->received.end <= in->granted && in->granted <= in->length);
    assert(in->num_bpages == 0 || in->num_bpages == bpage_count(in->length));
    assert(in->received.bytes == 0 || in->num_bpages > 0 || rpc->state >= HOMA_RPC_READY);
    assert(!rpc->is_stalled || in->num_bpages == 0);
    assert(in->slot == HOMA_SCHED_NONE || (rpc->state == HOMA_RPC_RECEIVING && !rpc->is_stalled));
    (void)in;
    (void)missing;
    (void)gaps;
}

/* The list of its host's share that the RPC belongs to. */
static enum homa_held held_in(const struct homa_rpc *rpc)
{
    bool is_server = homa_rpc_is_server(rpc);

    if (rpc->is_stalled)
        return is_server ? HOMA_HELD_STALLED : HOMA_HELD_NOT;
    if (rpc->state == HOMA_RPC_RECEIVING)
        return is_server ? HOMA_HELD_REQUEST : HOMA_HELD_RESPONSE;
    return rpc->state == HOMA_RPC_REPLYING ? HOMA_HELD_REPLY : HOMA_HELD_NOT;
}

/* A waiting RPC always has a timer: nothing is ever forgotten. */
static void check_state(const struct homa_engine *engine, const struct homa_rpc *rpc)
{
    bool has_timer = homa_heap_has(&engine->heaps[HOMA_HEAP_TIMER], rpc);

    switch (rpc->state) {
    case HOMA_RPC_REQUESTING:
        assert(!homa_rpc_is_server(rpc) && has_timer && rpc->in.length == 0 &&
               rpc->out.payload != NULL);
        break;
    case HOMA_RPC_RECEIVING:
        assert(has_timer && rpc->out.payload == NULL);
        assert(rpc->in.length > 0 && rpc->in.received.bytes < rpc->in.length);
        assert(rpc->is_stalled != (rpc->in.num_bpages > 0));
        break;
    case HOMA_RPC_READY:
        assert(!has_timer && rpc->out.payload == NULL);
        assert(rpc->tell == 0 || (homa_rpc_is_server(rpc) && rpc->tell == HOMA_TELL_BUSY));
        assert(rpc->is_queued == !rpc->is_private);
        break;
    case HOMA_RPC_IN_SERVICE:
        assert(homa_rpc_is_server(rpc) && !has_timer && rpc->out.payload == NULL);
        break;
    default:
        assert(rpc->state == HOMA_RPC_REPLYING && homa_rpc_is_server(rpc) && has_timer &&
               rpc->out.payload != NULL);
        break;
    }
    assert(rpc->state == HOMA_RPC_READY || !rpc->is_queued);
    assert(rpc->held == held_in(rpc));
    (void)held_in;
    (void)has_timer;
}

static void check_rpc(const struct homa_engine *engine, const struct homa_rpc *rpc,
                      struct sums *sums)
{
    check_outgoing(engine, rpc);
    check_incoming(engine, rpc);
    check_state(engine, rpc);
    assert(rpc->peer != NULL && rpc->peer->rpc_count > 0);
    sums->rpcs++;
    sums->clients += !homa_rpc_is_server(rpc);
    sums->gaps += rpc->in.received.gaps;
    sums->queued += rpc->is_queued;
    sums->telling += rpc->tell != 0;
    sums->again += rpc->out.again_count > 0;
    sums->dirty += rpc->is_dirty;
    for (unsigned kind = 0; kind < HOMA_HEAPS; kind++)
        sums->in_heap[kind] += rpc->heap_place[kind] != 0;
    if (rpc->out.payload != NULL)
        sums->payload += rpc->out.payload->length;
}

static void check_queue(const struct homa_rpc_queue *queue, size_t link_offset, uint32_t expected)
{
    uint32_t count = 0;

    /* All links have the same shape: a pointer to the next RPC comes first. */
    for (const struct homa_rpc *rpc = TAILQ_FIRST(queue); rpc != NULL; count++) {
        struct homa_rpc *next;

        memcpy(&next, (const uint8_t *)rpc + link_offset, sizeof(next));
        rpc = next;
    }
    assert(count == expected);
    (void)count;
    (void)expected;
}

static void check_peers(const struct homa_engine *engine, const struct sums *sums)
{
    uint32_t peers = 0;
    uint32_t rpcs = 0;
    uint32_t acks = 0;

    for (uint32_t i = 0; i <= engine->peer_mask; i++) {
        for (const struct homa_peer *peer = engine->peer_buckets[i]; peer != NULL;
             peer = peer->next) {
            const struct homa_rpc *rpc;
            uint32_t count = 0;

            LIST_FOREACH(rpc, &peer->rpcs, of_peer) {
                assert(rpc->peer == peer);
                count++;
            }
            assert(count == peer->rpc_count);
            rpcs += count;
            acks += peer->ack_count;
            peers++;
        }
    }
    assert(peers == engine->peers.in_use && rpcs == sums->rpcs && acks == engine->acks.in_use);
    (void)sums;
    (void)peers;
    (void)rpcs;
    (void)acks;
}

/* What one host holds, added up from its peer records; returns the number of these. */
static uint32_t add_up(const struct homa_engine *engine, struct homa_share *sum,
                       uint32_t held[HOMA_HELD])
{
    uint32_t peers = 0;

    for (uint32_t i = 0; i <= engine->peer_mask; i++) {
        for (const struct homa_peer *peer = engine->peer_buckets[i]; peer != NULL;
             peer = peer->next) {
            const struct homa_rpc *rpc;

            if (!base_address_same_host(&peer->address, &sum->host))
                continue;
            peers++;
            sum->acks += peer->ack_count;
            LIST_FOREACH(rpc, &peer->rpcs, of_peer) {
                sum->server_rpcs += homa_rpc_is_server(rpc);
                sum->bpages += rpc->in.num_bpages;
                sum->gaps += rpc->in.received.gaps;
                held[rpc->held]++;
            }
        }
    }
    return peers;
}

static void check_share(const struct homa_engine *engine, const struct homa_share *share)
{
    struct homa_share sum = {.host = share->host};
    uint32_t held[HOMA_HELD] = {0};
    uint32_t peers = add_up(engine, &sum, held);

    assert(share->peers == peers && peers > 0);
    assert(share->server_rpcs == sum.server_rpcs && share->bpages == sum.bpages);
    assert(share->gaps == sum.gaps && share->acks == sum.acks);
    for (unsigned list = HOMA_HELD_NOT + 1; list < HOMA_HELD; list++)
        check_queue(&share->lists[list], offsetof(struct homa_rpc, of_share), held[list]);
    assert(share->is_greedy == (2 * share->bpages > engine->region_bpages &&
                                held[HOMA_HELD_REQUEST] + held[HOMA_HELD_RESPONSE] > 0));
    assert(share->server_rpcs <= engine->max_rpcs / 2 || engine->most_rpcs == share);
    assert(share->peers <= engine->max_peers / 2 || engine->most_peers == share);
    (void)peers;
}

static void check_shares(const struct homa_engine *engine)
{
    uint32_t shares = 0;

    for (uint32_t i = 0; i <= engine->peer_mask; i++) {
        for (const struct homa_share *share = engine->share_buckets[i]; share != NULL;
             share = share->next) {
            check_share(engine, share);
            shares++;
        }
    }
    assert(shares == engine->shares.in_use);
    (void)shares;
}

void homa_engine_check(const struct homa_engine *engine)
{
    struct sums sums = {0};

    for (uint32_t i = 0; i <= engine->rpc_mask; i++)
        for (const struct homa_rpc *rpc = engine->rpc_buckets[i]; rpc != NULL; rpc = rpc->next)
            check_rpc(engine, rpc, &sums);
    assert(sums.rpcs == engine->rpcs.in_use && sums.clients == engine->client_rpcs);
    assert(sums.gaps == engine->gaps.in_use && sums.payload == engine->queued_bytes);
    for (unsigned kind = 0; kind < HOMA_HEAPS; kind++) {
        assert(sums.in_heap[kind] == engine->heaps[kind].count);
        homa_heap_check(&engine->heaps[kind]);
    }
    check_queue(&engine->ready_requests, offsetof(struct homa_rpc, ready),
                engine->ready_request_count);
    check_queue(&engine->ready_responses, offsetof(struct homa_rpc, ready),
                engine->ready_response_count);
    assert(sums.queued == engine->ready_request_count + engine->ready_response_count);
    check_queue(&engine->telling_rpcs, offsetof(struct homa_rpc, telling), sums.telling);
    check_queue(&engine->sending_again, offsetof(struct homa_rpc, sending_again), sums.again);
    check_queue(&engine->dirty, offsetof(struct homa_rpc, dirty), sums.dirty);
    check_peers(engine, &sums);
    check_shares(engine);
    homa_stall_check(engine);
}
