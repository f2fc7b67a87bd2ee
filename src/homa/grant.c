/*
 * The engine's side of the host's scheduler (sched.c), which decides the grants. Messages that may
 * need grants are marked as they move, and reported all at once in homa_engine_schedule(), the only
 * place that touches the scheduler while packets flow: its caller holds the scheduler's lock. What
 * an RPC that has ended held there is kept in a list until then.
 *
 * The scheduler and its deadlines live in the caller's time: several engines share them.
 */
#include "homa/internal.h"

#include <assert.h>

/* Grants taken from the scheduler at a time. */
#define GRANTS_AT_A_TIME 32

void homa_engine_attach(struct homa_engine *engine, struct homa_sched *sched, void *cookie,
                        uint64_t limit_bytes)
{
    assert(engine->sched == NULL && sched != NULL);
    engine->sched = sched;
    homa_sched_attach(sched, &engine->sched_owner, cookie, limit_bytes);
}

static bool forget_slot(struct homa_engine *engine, struct homa_rpc *rpc, void *context)
{
    (void)engine;
    (void)context;
    rpc->in.slot = HOMA_SCHED_NONE;
    rpc->in.is_judged_later = false;
    return true;
}

void homa_engine_detach(struct homa_engine *engine)
{
    struct homa_rpc *rpc;

    if (engine->sched == NULL)
        return;
    homa_sched_detach(engine->sched, &engine->sched_owner);
    engine->sched = NULL;
    engine->sched_deadline = HOMA_NEVER;
    engine->left_slot_count = 0;
    homa_rpc_visit(engine, forget_slot, NULL);
    while ((rpc = TAILQ_FIRST(&engine->dirty)) != NULL) {
        TAILQ_REMOVE(&engine->dirty, rpc, dirty);
        rpc->is_dirty = false;
    }
}

/* Whether the scheduler has, or should have, a word in this message. */
static bool concerns_scheduler(const struct homa_rpc *rpc)
{
    const struct homa_incoming *in = &rpc->in;

    return in->slot != HOMA_SCHED_NONE ||
           (rpc->state == HOMA_RPC_RECEIVING && in->num_bpages > 0 && in->granted < in->length);
}

void homa_grant_mark(struct homa_engine *engine, struct homa_rpc *rpc)
{
    if (engine->sched == NULL || rpc->is_dirty || !concerns_scheduler(rpc))
        return;
    rpc->is_dirty = true;
    TAILQ_INSERT_TAIL(&engine->dirty, rpc, dirty);
}

void homa_grant_leave(struct homa_engine *engine, struct homa_rpc *rpc)
{
    if (rpc->is_dirty) {
        TAILQ_REMOVE(&engine->dirty, rpc, dirty);
        rpc->is_dirty = false;
    }
    rpc->in.is_judged_later = false;
    if (rpc->in.slot == HOMA_SCHED_NONE)
        return;
    assert(engine->sched != NULL && engine->left_slot_count < engine->max_rpcs);
    engine->left_slots[engine->left_slot_count++] = rpc->in.slot;
    rpc->in.slot = HOMA_SCHED_NONE;
}

bool homa_engine_wants_schedule(const struct homa_engine *engine)
{
    return engine->sched != NULL && (!TAILQ_EMPTY(&engine->dirty) || engine->left_slot_count > 0 ||
                                     engine->now >= engine->sched_deadline);
}

/* Reports one message, and learns what it has been granted, by whomever. */
static void report(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_incoming *in = &rpc->in;

    if (in->slot == HOMA_SCHED_NONE) {
        in->slot =
            homa_sched_add(engine->sched, engine->now, &engine->sched_owner, &rpc->peer->address,
                           rpc->id, in->length, in->granted, in->received.bytes);
        if (in->slot == HOMA_SCHED_NONE)
            return; /* full: its next packet or timer tries again */
    } else {
        homa_sched_progress(engine->sched, in->slot, engine->now, in->received.bytes, in->granted);
    }
    uint32_t granted = homa_sched_granted(engine->sched, in->slot);

    assert(granted <= in->length);
    in->granted = homa_max_u32(in->granted, granted);
    in->priority = homa_sched_priority(engine->sched, in->slot);
    in->learnt_at = engine->clock;
    if (in->is_judged_later) {
        in->is_judged_later = false;
        homa_timer_judge(engine, rpc);
    }
}

/* A grant for a message of ours becomes output. */
static void take_own(struct homa_engine *engine, const struct homa_grant *grant)
{
    struct homa_rpc *rpc = homa_rpc_find(engine, &grant->peer, grant->id);

    if (rpc == NULL || rpc->state != HOMA_RPC_RECEIVING)
        return;
    struct homa_incoming *in = &rpc->in;

    assert(grant->offset <= in->length);
    in->priority = grant->priority;
    if (grant->offset <= in->granted)
        return;
    if (in->probe_at == 0) {
        in->probe_at = engine->clock;
        in->probe_offset = in->granted;
    }
    /* The silence begins anew: until now the peer could not say anything. */
    if (homa_incoming_waits_for_grant(in))
        rpc->heard_at = engine->clock;
    in->granted = grant->offset;
    rpc->ask_wait_ns = 0;
    homa_control_tell(engine, rpc, HOMA_TELL_GRANT);
    homa_timer_arm(engine, rpc, engine->clock + engine->waits.resend_first);
}

/* What RPCs that have ended held. */
static void give_slots_back(struct homa_engine *engine)
{
    while (engine->left_slot_count > 0)
        homa_sched_remove(engine->sched, engine->left_slots[--engine->left_slot_count]);
}

size_t homa_engine_schedule(struct homa_engine *engine, uint64_t now, struct homa_grant *grants,
                            size_t max)
{
    struct homa_grant decided[GRANTS_AT_A_TIME];
    struct homa_rpc *rpc;
    size_t count = 0;
    size_t got = GRANTS_AT_A_TIME;

    homa_engine_enter(engine, now);
    if (engine->sched == NULL)
        return 0;
    give_slots_back(engine);
    while ((rpc = TAILQ_FIRST(&engine->dirty)) != NULL) {
        TAILQ_REMOVE(&engine->dirty, rpc, dirty);
        rpc->is_dirty = false;
        if (concerns_scheduler(rpc))
            report(engine, rpc);
    }
    give_slots_back(engine); /* of those that were judged there */
    while (count < max && got > 0) {
        size_t want = max - count < GRANTS_AT_A_TIME ? max - count : GRANTS_AT_A_TIME;

        got = homa_sched_run(engine->sched, engine->now, decided, want);
        for (size_t i = 0; i < got; i++) {
            if (decided[i].owner == &engine->sched_owner)
                take_own(engine, &decided[i]);
            else
                grants[count++] = decided[i];
        }
        if (got < want)
            got = 0;
    }
    engine->sched_deadline = homa_sched_deadline(engine->sched);
    return count;
}

void homa_engine_encode_grant(const struct homa_grant *grant, uint16_t source_port, uint8_t format,
                              const struct homa_knobs *knobs, struct base_packet *packet)
{
    struct homa_packet header = {
        .type = HOMA_GRANT,
        .source_port = source_port,
        .destination_port = grant->peer.port,
        .id = grant->id,
        .grant = {.offset = grant->offset, .priority = grant->priority},
    };

    packet->to = grant->peer;
    packet->payload = NULL;
    packet->payload_length = 0;
    packet->priority = homa_wire_priority(knobs, HOMA_PRIORITIES - 1);
    homa_packet_encode(&header, format, packet);
}
