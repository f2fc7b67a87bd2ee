/*
 * Timers: who has been silent for too long, and what is asked for again (spec section 4, Loss and
 * Time; section 5). Each RPC has at most one timer, which says when to judge it next. Activity only
 * notes when it happened: a timer that fires early finds nothing to do and is armed again, so a
 * packet costs the timers nothing.
 *
 * Silence is counted only while it is the peer's turn: not while bytes that may go out are still
 * here, not while a message waits for buffer space or for a grant of ours.
 */
#include "homa/internal.h"

#include <assert.h>
#include <errno.h>

void homa_timer_arm(struct homa_engine *engine, struct homa_rpc *rpc, uint64_t due)
{
    struct homa_heap *timers = &engine->heaps[HOMA_HEAP_TIMER];

    if (due < homa_heap_key(timers, rpc))
        homa_heap_set(timers, rpc, due);
}

void homa_timer_disarm(struct homa_engine *engine, struct homa_rpc *rpc)
{
    homa_heap_remove(&engine->heaps[HOMA_HEAP_TIMER], rpc);
}

/* Whether something has been asked for since the peer was last heard. */
static bool has_asked(const struct homa_rpc *rpc)
{
    return rpc->ask_wait_ns != 0 && rpc->asked_at >= rpc->heard_at;
}

/* ---- what comes in ---- */

bool homa_timer_is_our_turn(const struct homa_engine *engine, const struct homa_rpc *rpc)
{
    (void)engine;
    return rpc->is_stalled || homa_incoming_waits_for_grant(&rpc->in);
}

/* Asks for the gaps whose time has come, or for all. Returns when to look at them again. */
static uint64_t ask_for_gaps(struct homa_engine *engine, struct homa_rpc *rpc, bool all)
{
    uint64_t next = HOMA_NEVER;
    bool is_any = false;

    for (struct homa_gap *gap = homa_gap_at(&engine->gaps, rpc->in.received.first); gap != NULL;
         gap = homa_gap_at(&engine->gaps, gap->next)) {
        if (all || (gap->is_proven && gap->ask_at <= engine->clock)) {
            gap->ask_at = HOMA_ASK_NOW;
            is_any = true;
            next = homa_min_u64(next, engine->clock + gap->wait_ns);
        } else if (gap->is_proven) {
            next = homa_min_u64(next, gap->ask_at);
        }
    }
    if (is_any)
        homa_control_tell(engine, rpc, HOMA_TELL_RESEND_GAPS);
    return next;
}

void homa_timer_ask_for_all(struct homa_engine *engine, struct homa_rpc *rpc)
{
    ask_for_gaps(engine, rpc, true);
    homa_control_tell(engine, rpc, HOMA_TELL_RESEND_REST);
    rpc->asked_at = engine->clock;
    if (rpc->ask_wait_ns == 0)
        rpc->ask_wait_ns = engine->waits.resend_interval;
}

/*
 * The peer's turn, and it says nothing: asks when `first` has passed since it was last heard, then
 * after twice as long each time, up to resend_interval. Returns when to ask next.
 */
static uint64_t ask_after_silence(struct homa_engine *engine, struct homa_rpc *rpc, uint64_t first)
{
    uint64_t wait = has_asked(rpc) ? rpc->ask_wait_ns : first;
    uint64_t due = (has_asked(rpc) ? rpc->asked_at : rpc->heard_at) + wait;

    if (due > engine->clock)
        return due;
    homa_timer_ask_for_all(engine, rpc);
    rpc->ask_wait_ns = homa_min_u64(2 * wait, engine->waits.resend_interval);
    return engine->clock + rpc->ask_wait_ns;
}

/* What the application hears of an RPC that ends by silence. */
static int reason_for_silence(const struct homa_rpc *rpc)
{
    return rpc->peer->is_unreachable ? EHOSTUNREACH : ETIMEDOUT;
}

/* A client that has seen nothing of the response. */
static uint64_t judge_request(struct homa_engine *engine, struct homa_rpc *rpc)
{
    if (homa_output_is_behind(&rpc->out)) {
        rpc->heard_at = engine->clock;
        return engine->clock + HOMA_LOOK_WAIT_MAX;
    }
    if (engine->clock - rpc->heard_at >= engine->waits.timeout) {
        engine->counters.rpc_timeouts++;
        homa_rpc_fail(engine, rpc, reason_for_silence(rpc));
        return HOMA_NEVER;
    }
    uint64_t give_up = rpc->heard_at + engine->waits.timeout;
    uint64_t ask = engine->clock + engine->waits.resend_interval;

    if (rpc->out.again_count == 0)
        ask = ask_after_silence(engine, rpc, homa_peer_first_ask_wait(engine, rpc->peer));
    return homa_min_u64(ask, give_up);
}

/* Grants without a scheduler: by RESENDs, one step each time. */
static void grant_alone(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_incoming *in = &rpc->in;
    uint32_t step = homa_max_u32(engine->knobs.unsched_bytes, HOMA_PACKET_BYTES_MIN);

    in->granted += homa_min_u32(step, in->length - in->granted);
    homa_control_tell(engine, rpc, HOMA_TELL_RESEND_REST);
}

/* Nothing can come before we give space or a grant, and both set the timer. Looks ever more rarely.
 */
static uint64_t look_at_our_turn(struct homa_engine *engine, struct homa_rpc *rpc)
{
    rpc->heard_at = engine->clock;
    if (engine->sched == NULL && rpc->in.num_bpages > 0) {
        grant_alone(engine, rpc);
        return engine->clock + engine->waits.resend_interval;
    }
    homa_grant_mark(engine, rpc);
    rpc->ask_wait_ns = homa_max_u64(2 * rpc->ask_wait_ns, engine->waits.resend_interval);
    rpc->ask_wait_ns = homa_min_u64(rpc->ask_wait_ns, HOMA_LOOK_WAIT_MAX);
    return engine->clock + rpc->ask_wait_ns;
}

/* A message of which something has come, on either end. */
static uint64_t judge_incoming(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_incoming *in = &rpc->in;

    if (engine->sched != NULL && in->slot != HOMA_SCHED_NONE && in->learnt_at != engine->clock) {
        /* Others may have granted it more than we know: ask the scheduler first. */
        in->is_judged_later = true;
        homa_grant_mark(engine, rpc);
        return engine->clock + HOMA_MS;
    }
    if (homa_timer_is_our_turn(engine, rpc))
        return look_at_our_turn(engine, rpc);
    if (engine->clock - rpc->heard_at >= engine->waits.timeout) {
        if (homa_rpc_is_server(rpc)) {
            engine->counters.server_rpc_discards++;
            homa_rpc_end(engine, rpc);
        } else {
            engine->counters.rpc_timeouts++;
            homa_rpc_fail(engine, rpc, reason_for_silence(rpc));
        }
        return HOMA_NEVER;
    }
    uint64_t next = ask_for_gaps(engine, rpc, false);

    next = homa_min_u64(next, rpc->heard_at + engine->waits.timeout);
    return homa_min_u64(next, ask_after_silence(engine, rpc, engine->waits.resend_first));
}

/* ---- what goes out ---- */

/* A server whose response is on its way, or all gone out and not acknowledged. */
static uint64_t judge_reply(struct homa_engine *engine, struct homa_rpc *rpc)
{
    const struct homa_outgoing *out = &rpc->out;
    uint64_t patience = 2 * engine->waits.timeout;
    bool is_all_sent = out->sent == out->length;

    if (homa_output_is_behind(out)) {
        rpc->heard_at = engine->clock;
        return engine->clock + HOMA_LOOK_WAIT_MAX;
    }
    if (engine->clock - rpc->heard_at >= patience) {
        engine->counters.ack_timeouts++;
        homa_rpc_end(engine, rpc);
        return HOMA_NEVER;
    }
    if (out->again_count > 0) /* what the client has asked for goes out first */
        return homa_min_u64(engine->clock + engine->waits.resend_interval,
                            rpc->heard_at + patience);
    /* A client that grants nothing may be dead: it is asked now and then, and answers BUSY. */
    uint64_t wait = is_all_sent ? engine->waits.ack_first : HOMA_ACK_WAIT_MAX;
    uint64_t due = out->sent_at + wait;

    if (rpc->ask_wait_ns != 0) {
        wait = rpc->ask_wait_ns;
        due = rpc->asked_at + wait;
    }
    if (due <= engine->clock) {
        homa_control_tell(engine, rpc, HOMA_TELL_NEED_ACK);
        /* Only the first one tells a round trip: whatever follows may answer any of them. */
        rpc->in.probe_at = is_all_sent && rpc->ask_wait_ns == 0 ? engine->clock : 0;
        rpc->asked_at = engine->clock;
        rpc->ask_wait_ns = homa_min_u64(2 * wait, HOMA_ACK_WAIT_MAX);
        due = engine->clock + rpc->ask_wait_ns;
    }
    return homa_min_u64(due, rpc->heard_at + patience);
}

/* ---- the clock's turn ---- */

void homa_timer_judge(struct homa_engine *engine, struct homa_rpc *rpc)
{
    uint64_t next = HOMA_NEVER;

    switch (rpc->state) {
    case HOMA_RPC_REQUESTING:
        next = judge_request(engine, rpc);
        break;
    case HOMA_RPC_RECEIVING:
        next = judge_incoming(engine, rpc);
        break;
    case HOMA_RPC_REPLYING:
        next = judge_reply(engine, rpc);
        break;
    default:
        assert(false); /* nobody waits for the network */
        break;
    }
    if (next == HOMA_NEVER)
        return; /* it is over */
    assert(next > engine->clock);
    homa_heap_set(&engine->heaps[HOMA_HEAP_TIMER], rpc, next);
}

void homa_engine_advance(struct homa_engine *engine, uint64_t now)
{
    const struct homa_heap *timers = &engine->heaps[HOMA_HEAP_TIMER];

    homa_engine_enter(engine, now);
    while (homa_heap_first_key(timers) <= engine->clock)
        homa_timer_judge(engine, homa_heap_first(timers));
}
