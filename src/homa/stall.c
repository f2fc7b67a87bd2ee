/*
 * Buffer space: who gets it, who waits for it, and who has to give it back. While a message waits
 * its packets are dropped and nothing is asked for; when it gets its space it starts over with a
 * RESEND for all that may be sent (spec section 4, Buffers).
 *
 * The order is shortest first, none overtaken by a longer one, with one exception: half of the
 * region is any host's own (its *half*). A message that would leave its host within its half goes
 * before all that would not, and if the space is with a host that holds more than half, unfinished
 * messages of that host are *preempted*: their space is taken back, what they had received is
 * forgotten, and they wait like any other. Only while nobody waits within its half may a host have
 * more.
 *
 * What a host holds are the pieces of its messages that the application has not got yet, complete
 * or not; a message's last piece counts like a whole bpage, for it may keep one from being free.
 * Complete messages are never taken back. Two hosts cannot take the same space from each other in
 * turns: who has preempted another is within its half, and those are never preempted.
 */
#include "homa/internal.h"

#include <assert.h>

/* Messages looked at to find the one to preempt: the newest, for little of them has arrived. */
#define LOOKED_AT 16u

static int compare_stalled(const struct homa_rpc *a, const struct homa_rpc *b)
{
    if (a->in.length != b->in.length)
        return a->in.length < b->in.length ? -1 : 1;
    return (a->birth > b->birth) - (a->birth < b->birth);
}

static int compare_claims(const struct homa_share *a, const struct homa_share *b)
{
    return compare_stalled(a->shortest, b->shortest);
}

/* clang-format off */
BASE_TREE_GENERATE(homa_stalled_tree, homa_rpc, stalled, compare_stalled)
BASE_TREE_GENERATE(homa_claim_tree, homa_share, claim, compare_claims)
/* clang-format on */

/* ---- what hosts hold and claim ---- */

/* Whether so many pieces more would leave the host within its half. */
static bool is_within_half(const struct homa_engine *engine, const struct homa_share *share,
                           uint32_t pieces)
{
    return 2 * ((uint64_t)share->bpages + pieces) <= engine->region_bpages;
}

static struct homa_claim_tree *claims_of(struct homa_engine *engine, const struct homa_share *share)
{
    return share->is_within ? &engine->claims_within : &engine->claims_beyond;
}

/* Brings the host's claim and its greed up to date after any change. */
static void review(struct homa_engine *engine, struct homa_share *share)
{
    bool has_unfinished = !TAILQ_EMPTY(&share->lists[HOMA_HELD_REQUEST]) ||
                          !TAILQ_EMPTY(&share->lists[HOMA_HELD_RESPONSE]);
    bool is_greedy = has_unfinished && !is_within_half(engine, share, 0);

    if (share->shortest != NULL)
        RB_REMOVE(homa_claim_tree, claims_of(engine, share), share);
    share->shortest = RB_MIN(homa_stalled_tree, &share->stalled);
    if (share->shortest != NULL) {
        share->is_within = is_within_half(engine, share, bpage_count(share->shortest->in.length));
        RB_INSERT(homa_claim_tree, claims_of(engine, share), share);
    }
    if (is_greedy && !share->is_greedy)
        LIST_INSERT_HEAD(&engine->greedy, share, greedy);
    else if (!is_greedy && share->is_greedy)
        LIST_REMOVE(share, greedy);
    share->is_greedy = is_greedy;
}

static void enter_stalled(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_share *share = rpc->peer->share;

    assert(!rpc->is_stalled && rpc->in.num_bpages == 0 && rpc->in.received.bytes == 0);
    rpc->is_stalled = true;
    homa_share_list(rpc, homa_rpc_is_server(rpc) ? HOMA_HELD_STALLED : HOMA_HELD_NOT);
    RB_INSERT(homa_stalled_tree, &share->stalled, rpc);
    review(engine, share);
}

static void leave_stalled(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_share *share = rpc->peer->share;

    assert(rpc->is_stalled);
    rpc->is_stalled = false;
    homa_share_list(rpc, HOMA_HELD_NOT);
    /* The claim goes by its shortest: it must leave its tree before that does. */
    if (share->shortest == rpc) {
        RB_REMOVE(homa_claim_tree, claims_of(engine, share), share);
        share->shortest = NULL;
    }
    RB_REMOVE(homa_stalled_tree, &share->stalled, rpc);
    review(engine, share);
}

/* The message's pieces go back to the pool. */
static void give_space(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_share *share = rpc->peer->share;
    uint32_t count = rpc->in.num_bpages;

    assert(count > 0 && share->bpages >= count);
    rpc->in.num_bpages = 0;
    bpage_give(engine->bpages, rpc->bpages, count);
    share->bpages -= count;
    homa_share_list(rpc, HOMA_HELD_NOT);
    review(engine, share);
}

static void forget_received(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_share *share = rpc->peer->share;

    assert(share->gaps >= rpc->in.received.gaps);
    share->gaps -= rpc->in.received.gaps;
    homa_received_end(&rpc->in.received, &engine->gaps);
}

/* ---- taking space back ---- */

/* Of the newest few of a list, the message with most to come; NULL = none. */
static struct homa_rpc *least_advanced(const struct homa_rpc_queue *list, struct homa_rpc *found)
{
    struct homa_rpc *rpc = TAILQ_LAST(list, homa_rpc_queue);

    for (unsigned i = 0; i < LOOKED_AT && rpc != NULL; i++) {
        if (found == NULL ||
            homa_incoming_remaining(&rpc->in) > homa_incoming_remaining(&found->in))
            found = rpc;
        rpc = TAILQ_PREV(rpc, homa_rpc_queue, of_share);
    }
    return found;
}

/* The message starts over when there is space again. Whatever it was granted it keeps, but nobody
 * counts on those bytes any more. */
static void preempt(struct homa_engine *engine, struct homa_rpc *rpc)
{
    assert(rpc->state == HOMA_RPC_RECEIVING);
    engine->counters.preemptions++;
    forget_received(engine, rpc);
    give_space(engine, rpc);
    homa_control_hush(engine, rpc, UINT8_MAX & ~HOMA_TELL_BUSY);
    homa_grant_leave(engine, rpc);
    rpc->in.probe_at = 0;
    rpc->ask_wait_ns = 0;
    enter_stalled(engine, rpc);
}

/* ---- getting space ---- */

static bool take_pieces(struct homa_engine *engine, struct homa_rpc *rpc)
{
    return engine->bpages != NULL && bpage_take(engine->bpages, rpc->in.length, rpc->bpages) == 0;
}

/* Gives the message its space if there is enough, be it by preempting; it is not stalled. */
static bool take_space(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_share *share = rpc->peer->share;
    uint32_t pieces = bpage_count(rpc->in.length);
    bool is_within = is_within_half(engine, share, pieces);

    while (!take_pieces(engine, rpc)) {
        struct homa_share *greedy = is_within ? LIST_FIRST(&engine->greedy) : NULL;

        if (greedy == NULL)
            return false;
        assert(greedy != share);
        preempt(engine, least_advanced(&greedy->lists[HOMA_HELD_RESPONSE],
                                       least_advanced(&greedy->lists[HOMA_HELD_REQUEST], NULL)));
    }
    rpc->in.num_bpages = (uint16_t)pieces;
    share->bpages += pieces;
    homa_share_list(rpc, homa_rpc_is_server(rpc) ? HOMA_HELD_REQUEST : HOMA_HELD_RESPONSE);
    review(engine, share);
    return true;
}

/* Whether nobody that waits goes before this message. */
static bool is_first(struct homa_engine *engine, const struct homa_rpc *rpc)
{
    bool is_within = is_within_half(engine, rpc->peer->share, bpage_count(rpc->in.length));
    const struct homa_share *within = RB_MIN(homa_claim_tree, &engine->claims_within);
    const struct homa_share *beyond = RB_MIN(homa_claim_tree, &engine->claims_beyond);

    if (is_within)
        return within == NULL || compare_stalled(rpc, within->shortest) < 0;
    return within == NULL && (beyond == NULL || compare_stalled(rpc, beyond->shortest) < 0);
}

bool homa_stall_get_space(struct homa_engine *engine, struct homa_rpc *rpc)
{
    assert(rpc->in.length > 0 && rpc->in.num_bpages == 0);
    if (rpc->is_stalled)
        return false;
    uint64_t preemptions = engine->counters.preemptions;
    bool has_space = is_first(engine, rpc) && take_space(engine, rpc);

    if (!has_space) {
        enter_stalled(engine, rpc);
        engine->counters.buffer_alloc_failures++;
    }
    if (engine->counters.preemptions != preemptions) /* there may be more than was needed */
        homa_stall_release(engine);
    return has_space;
}

static void restart(struct homa_engine *engine, struct homa_rpc *rpc)
{
    assert(rpc->state == HOMA_RPC_RECEIVING && rpc->in.received.bytes == 0);
    rpc->heard_at = engine->clock;
    rpc->asked_at = engine->clock;
    rpc->ask_wait_ns = engine->waits.resend_interval;
    homa_control_tell(engine, rpc, HOMA_TELL_RESEND_REST);
    homa_timer_arm(engine, rpc, engine->clock + engine->waits.resend_interval);
    homa_grant_mark(engine, rpc);
}

/* The host whose shortest waiting message is next; NULL = none waits. */
static struct homa_share *first_claim(struct homa_engine *engine)
{
    struct homa_share *share = RB_MIN(homa_claim_tree, &engine->claims_within);

    return share != NULL ? share : RB_MIN(homa_claim_tree, &engine->claims_beyond);
}

void homa_stall_release(struct homa_engine *engine)
{
    for (;;) {
        struct homa_share *share = first_claim(engine);

        if (share == NULL)
            return;
        struct homa_rpc *rpc = share->shortest;

        leave_stalled(engine, rpc);
        if (take_space(engine, rpc)) {
            restart(engine, rpc);
            continue;
        }
        enter_stalled(engine, rpc);
        if (first_claim(engine) == share && share->shortest == rpc)
            return; /* else somebody has been preempted into going first */
    }
}

void homa_stall_set_region(struct homa_engine *engine, uint32_t bpages)
{
    struct homa_share *share = RB_MIN(homa_claim_tree, &engine->claims_beyond);

    /* Without a region nobody was within anything. */
    assert(RB_EMPTY(&engine->claims_within) && LIST_EMPTY(&engine->greedy));
    engine->region_bpages = bpages;
    while (share != NULL) {
        struct homa_share *next = RB_NEXT(homa_claim_tree, &engine->claims_beyond, share);

        review(engine, share);
        share = next;
    }
    homa_stall_release(engine);
}

/* ---- leaving ---- */

void homa_stall_complete(struct homa_engine *engine, struct homa_rpc *rpc)
{
    homa_share_list(rpc, HOMA_HELD_NOT);
    review(engine, rpc->peer->share);
}

void homa_stall_hand_over(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_share *share = rpc->peer->share;

    assert(share->bpages >= rpc->in.num_bpages);
    share->bpages -= rpc->in.num_bpages;
    rpc->in.num_bpages = 0;
    review(engine, share);
    homa_stall_release(engine);
}

void homa_stall_leave(struct homa_engine *engine, struct homa_rpc *rpc)
{
    forget_received(engine, rpc);
    if (rpc->is_stalled)
        leave_stalled(engine, rpc);
    else if (rpc->in.num_bpages > 0)
        give_space(engine, rpc);
    else
        return;
    homa_stall_release(engine);
}

/* ---- soundness ---- */

/* Returns how many hosts are in a tree of claims, and adds up the messages. */
static uint32_t check_claims(const struct homa_engine *engine, struct homa_claim_tree *claims,
                             bool is_within, uint32_t *messages)
{
    struct homa_share *share;
    uint32_t hosts = 0;

    RB_FOREACH(share, homa_claim_tree, claims) {
        const struct homa_share *next = RB_NEXT(homa_claim_tree, claims, share);
        const struct homa_rpc *before = NULL;
        struct homa_rpc *rpc;

        assert(share->shortest == RB_MIN(homa_stalled_tree, &share->stalled));
        assert(share->is_within == is_within);
        assert(is_within == is_within_half(engine, share, bpage_count(share->shortest->in.length)));
        assert(next == NULL || compare_claims(share, next) < 0);
        RB_FOREACH(rpc, homa_stalled_tree, &share->stalled) {
            assert(rpc->is_stalled && rpc->peer->share == share);
            assert(before == NULL || compare_stalled(before, rpc) < 0);
            before = rpc;
            (*messages)++;
        }
        (void)next;
        (void)before;
        hosts++;
    }
    (void)engine;
    (void)is_within;
    return hosts;
}

void homa_stall_check(const struct homa_engine *engine)
{
    struct homa_claim_tree within = engine->claims_within;
    struct homa_claim_tree beyond = engine->claims_beyond;
    uint32_t messages = 0;
    uint32_t hosts = check_claims(engine, &within, true, &messages) +
                     check_claims(engine, &beyond, false, &messages);

    for (uint32_t i = 0; i <= engine->peer_mask; i++)
        for (const struct homa_share *share = engine->share_buckets[i]; share != NULL;
             share = share->next)
            hosts -= share->shortest != NULL;
    for (uint32_t i = 0; i <= engine->rpc_mask; i++)
        for (const struct homa_rpc *rpc = engine->rpc_buckets[i]; rpc != NULL; rpc = rpc->next)
            messages -= rpc->is_stalled;
    assert(hosts == 0 && messages == 0);
    /* The promise: nobody waits within its half for what a host holds beyond its own. */
    assert(RB_EMPTY(&engine->claims_within) || LIST_EMPTY(&engine->greedy));
    (void)hosts;
    (void)messages;
}
