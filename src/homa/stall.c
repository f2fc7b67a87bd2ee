/*
 * Messages that wait for buffer space: shortest first, none overtaken by a longer one. While a
 * message waits its packets are dropped and nothing is asked for; when it gets its space it starts
 * over with a RESEND for all that may be sent (spec section 4, Buffers).
 */
#include "homa/internal.h"

#include <assert.h>

static uint64_t stall_key(const struct homa_rpc *rpc)
{
    return (uint64_t)rpc->in.length << 32 | (rpc->birth & UINT32_MAX);
}

static bool take_space(struct homa_engine *engine, struct homa_rpc *rpc)
{
    if (engine->bpages == NULL || bpage_take(engine->bpages, rpc->in.length, rpc->bpages) != 0)
        return false;
    rpc->in.num_bpages = (uint16_t)bpage_count(rpc->in.length);
    return true;
}

bool homa_stall_get_space(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_heap *stalled = &engine->heaps[HOMA_HEAP_STALLED];

    assert(rpc->in.length > 0 && rpc->in.num_bpages == 0);
    if (homa_heap_has(stalled, rpc))
        return false;
    if (stall_key(rpc) < homa_heap_first_key(stalled) && take_space(engine, rpc))
        return true;
    homa_heap_set(stalled, rpc, stall_key(rpc));
    engine->counters.buffer_alloc_failures++;
    return false;
}

void homa_stall_release(struct homa_engine *engine)
{
    struct homa_heap *stalled = &engine->heaps[HOMA_HEAP_STALLED];
    struct homa_rpc *rpc;

    while ((rpc = homa_heap_first(stalled)) != NULL && take_space(engine, rpc)) {
        homa_heap_remove(stalled, rpc);
        assert(rpc->state == HOMA_RPC_RECEIVING && rpc->in.received.bytes == 0);
        rpc->heard_at = engine->clock;
        rpc->asked_at = engine->clock;
        rpc->ask_wait_ns = engine->waits.resend_interval;
        homa_control_tell(engine, rpc, HOMA_TELL_RESEND_REST);
        homa_timer_arm(engine, rpc, engine->clock + engine->waits.resend_interval);
        homa_grant_mark(engine, rpc);
    }
}
