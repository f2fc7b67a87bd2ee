/*
 * Looking at the engine from outside: what HOMAIOCINFO and the counters tell, and
 * sizes for the documentation. Changes nothing.
 */
#include "homa/internal.h"

static void view_rpc(const struct homa_engine *engine, const struct homa_rpc *rpc,
                     struct homa_rpc_view *view)
{
    const struct homa_outgoing *out = &rpc->out;
    const struct homa_incoming *in = &rpc->in;

    *view = (struct homa_rpc_view){
        .id = rpc->id,
        .peer = rpc->peer->address,
        .cookie = rpc->cookie,
        .tx_length = out->length > 0 ? (int32_t)out->length : -1,
        .tx_sent = out->sent,
        .tx_granted = out->granted,
        .tx_priority = homa_wire_priority(&engine->knobs, out->priority),
        .rx_length = in->length > 0 ? (int32_t)in->length : -1,
        .rx_remaining = in->length - in->received.bytes,
        .rx_gaps = in->received.gaps,
        .rx_gap_bytes = in->received.end - in->received.bytes,
        .rx_granted = in->granted,
        .is_stalled = rpc->is_stalled,
        .is_private = rpc->is_private,
        .is_ready = rpc->state == HOMA_RPC_READY,
    };
}

void homa_engine_view(const struct homa_engine *engine,
                      bool (*see)(void *context, const struct homa_rpc_view *view), void *context)
{
    uint32_t left = engine->rpcs.in_use; /* an empty table is not gone through */

    for (uint32_t i = 0; i <= engine->rpc_mask && left > 0; i++) {
        for (const struct homa_rpc *rpc = engine->rpc_buckets[i]; rpc != NULL; rpc = rpc->next) {
            struct homa_rpc_view view;

            left--;
            view_rpc(engine, rpc, &view);
            if (!see(context, &view))
                return;
        }
    }
}

void homa_engine_usage(const struct homa_engine *engine, struct homa_engine_usage *usage)
{
    *usage = (struct homa_engine_usage){
        .rpcs = engine->rpcs.in_use,
        .client_rpcs = engine->client_rpcs,
        .peers = engine->peers.in_use,
        .gaps = engine->gaps.in_use,
        .timers = engine->heaps[HOMA_HEAP_TIMER].count,
        .queued_bytes = engine->queued_bytes,
    };
}

const struct homa_counters *homa_engine_counters(const struct homa_engine *engine)
{
    return &engine->counters;
}

void homa_engine_sizes(const struct homa_engine *engine, struct homa_engine_sizes *sizes)
{
    *sizes = (struct homa_engine_sizes){
        .rpc = engine->rpcs.object_size,
        .peer = engine->peers.object_size,
        .gap = engine->gaps.object_size,
        .tombstone = 16,
    };
}
