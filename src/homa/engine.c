/*
 * The engine as a whole: opening and closing, settings, and the clock. Application calls are in
 * call.c, the network's in input.c and output.c.
 *
 * The clock: timers must not be charged for time in which nobody ran the engine, for the answers
 * may all be waiting in a socket buffer. So the engine's own clock stands still from 1 ms after the
 * first overdue timer until somebody calls again, and all timers are in that clock. The pacer and
 * the scheduler work in the caller's time: links and other engines do not stop with us.
 */
#include "homa/engine.h"

#include "base/block.h"
#include "base/random.h"
#include "homa/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Gap records for all messages together, half of them for those of one host. They cost nothing
 * until used. */
#define GAPS_MIN 2048u
#define GAPS_MAX 131072u

void homa_engine_enter(struct homa_engine *engine, uint64_t now)
{
    const struct homa_heap *timers = &engine->heaps[HOMA_HEAP_TIMER];

    if (now > engine->now)
        engine->now = now;
    uint64_t clock = engine->now - engine->lost_ns;
    if (timers->count > 0 && clock > homa_heap_first_key(timers) + HOMA_LATENESS_MAX) {
        /* Never back to before what the clock has already shown. */
        uint64_t stop =
            homa_max_u64(homa_heap_first_key(timers) + HOMA_LATENESS_MAX, engine->clock);

        engine->counters.time_lost_ns += clock - stop;
        engine->lost_ns += clock - stop;
        clock = stop;
    }
    assert(clock >= engine->clock);
    engine->clock = clock;
}

uint64_t homa_engine_deadline(const struct homa_engine *engine)
{
    uint64_t due = homa_heap_first_key(&engine->heaps[HOMA_HEAP_TIMER]);

    if (due != HOMA_NEVER)
        due += engine->lost_ns;
    due = homa_min_u64(due, engine->pacer.wake_at);
    return homa_min_u64(due, engine->sched_deadline);
}

/* The least power of two >= count. */
static uint32_t bucket_count(uint32_t count)
{
    uint32_t buckets = 16;

    while (buckets < count && buckets < 1u << 31)
        buckets *= 2;
    return buckets;
}

/* Ids begin with our port and random bits, so that no two sockets of a host ever share one. */
static void seed_ids(struct homa_engine *engine, uint64_t random)
{
    uint64_t middle = engine->knobs.next_id != 0 ? engine->knobs.next_id : random;

    engine->next_id = (uint64_t)engine->port << 48 | (middle & UINT32_MAX) << 16;
}

static void apply_knobs(struct homa_engine *engine, const struct homa_knobs *knobs)
{
    engine->knobs = *knobs;
    engine->waits = (struct homa_waits){
        .resend_first = (uint64_t)knobs->resend_ticks * HOMA_MS,
        .resend_interval = (uint64_t)knobs->resend_interval * HOMA_MS,
        .ask_least = (uint64_t)knobs->ask_least_usecs * HOMA_US,
        .gap_least = (uint64_t)knobs->gap_least_usecs * HOMA_US,
        .timeout = (uint64_t)knobs->timeout_ticks * HOMA_MS,
        .ack_first = (uint64_t)knobs->request_ack_ticks * HOMA_MS,
        .tombstone = (uint64_t)knobs->tombstone_ms * HOMA_MS,
    };
    /* A wait of nothing would be judged for ever within one instant. */
    engine->waits.resend_first = homa_max_u64(engine->waits.resend_first, HOMA_MS);
    engine->waits.resend_interval = homa_max_u64(engine->waits.resend_interval, HOMA_MS);
    engine->waits.ask_least = homa_max_u64(engine->waits.ask_least, HOMA_US);
    engine->waits.gap_least = homa_max_u64(engine->waits.gap_least, HOMA_US);
    engine->waits.timeout = homa_max_u64(engine->waits.timeout, HOMA_MS);
    engine->waits.ack_first = homa_max_u64(engine->waits.ack_first, HOMA_MS);
    engine->waits.busy_longest = homa_max_u64(engine->waits.timeout / 4, HOMA_MS);
}

static int open_tables(struct homa_engine *engine, const struct homa_engine_options *options)
{
    size_t bpages = bpage_count(options->max_message);
    size_t rpc_size = sizeof(struct homa_rpc) + bpages * sizeof(uint32_t);
    uint64_t wanted = 2 * (uint64_t)options->max_rpcs;
    uint32_t gaps = (uint32_t)homa_min_u64(homa_max_u64(wanted, GAPS_MIN), GAPS_MAX);
    uint32_t buckets = bucket_count(options->max_rpcs);
    uint32_t peer_buckets = bucket_count(options->max_peers);
    int result = base_pool_open(&engine->rpcs, rpc_size, options->max_rpcs);

    if (result == 0)
        result = base_pool_open(&engine->gaps, sizeof(struct homa_gap), gaps);
    if (result == 0)
        result = base_pool_open(&engine->peers, sizeof(struct homa_peer), options->max_peers);
    if (result == 0)
        result = base_pool_open(&engine->shares, sizeof(struct homa_share), options->max_peers);
    if (result == 0)
        result = base_pool_open(&engine->acks, sizeof(struct homa_pending_ack), options->max_rpcs);
    for (unsigned kind = 0; result == 0 && kind < HOMA_HEAPS; kind++)
        result = homa_heap_open(&engine->heaps[kind], kind, options->max_rpcs);
    if (result == 0)
        result = homa_tombstones_open(&engine->tombstones, options->max_tombstones,
                                      engine->hash_key ^ 1);
    if (result != 0)
        return result;
    engine->rpc_buckets = base_block_new(buckets, sizeof(struct homa_rpc *));
    engine->peer_buckets = base_block_new(peer_buckets, sizeof(struct homa_peer *));
    engine->share_buckets = base_block_new(peer_buckets, sizeof(struct homa_share *));
    engine->taken_bpages = calloc(bpages, sizeof(uint32_t));
    engine->left_slots = base_block_new(options->max_rpcs, sizeof(homa_sched_slot));
    engine->rpc_mask = buckets - 1;
    engine->peer_mask = peer_buckets - 1;
    if (engine->rpc_buckets == NULL || engine->peer_buckets == NULL ||
        engine->share_buckets == NULL || engine->taken_bpages == NULL || engine->left_slots == NULL)
        return -ENOMEM;
    return 0;
}

int homa_engine_open(const struct homa_engine_options *options, struct homa_engine **engine)
{
    struct base_random random = base_random_seed(options->seed);
    const char *why = NULL;
    struct homa_engine *made;
    int result;

    if (options->max_message == 0 || options->max_message > INT32_MAX || options->max_rpcs == 0 ||
        options->max_rpcs > INT32_MAX || options->max_peers == 0 || options->max_tombstones == 0 ||
        options->packet_bytes == 0 || options->format > HOMA_FORMAT_UDP)
        return -EINVAL;
    if (homa_knobs_check(&options->knobs, &why) != 0)
        return -EINVAL;
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return -ENOMEM;
    made->now = options->now;
    made->clock = options->now;
    made->max_message = options->max_message;
    made->max_rpcs = options->max_rpcs;
    made->max_peers = options->max_peers;
    made->packet_bytes = homa_max_u32(options->packet_bytes, HOMA_PACKET_BYTES_MIN);
    made->port = options->port;
    made->format = options->format;
    made->is_server = options->is_server;
    made->cutoff_version = 1;
    made->hash_key = base_random_u64(&random);
    made->pacer.wake_at = HOMA_NEVER;
    made->sched_deadline = HOMA_NEVER;
    apply_knobs(made, &options->knobs);
    seed_ids(made, base_random_u64(&random));
    SLIST_INIT(&made->released);
    TAILQ_INIT(&made->ready_requests);
    TAILQ_INIT(&made->ready_responses);
    TAILQ_INIT(&made->idle_peers);
    RB_INIT(&made->claims_within);
    RB_INIT(&made->claims_beyond);
    LIST_INIT(&made->greedy);
    TAILQ_INIT(&made->telling_rpcs);
    TAILQ_INIT(&made->telling_peers);
    TAILQ_INIT(&made->sending_again);
    TAILQ_INIT(&made->dirty);
    result = open_tables(made, options);
    if (result != 0) {
        homa_engine_close(made);
        return result;
    }
    *engine = made;
    return 0;
}

void homa_engine_close(struct homa_engine *engine)
{
    if (engine == NULL)
        return;
    assert(engine->sched == NULL);
    for (unsigned kind = 0; kind < HOMA_HEAPS; kind++)
        homa_heap_close(&engine->heaps[kind]);
    if (engine->tombstones != NULL)
        homa_tombstones_close(engine->tombstones);
    base_pool_close(&engine->acks);
    base_pool_close(&engine->peers);
    base_pool_close(&engine->shares);
    base_pool_close(&engine->gaps);
    base_pool_close(&engine->rpcs);
    base_block_free(engine->left_slots);
    free(engine->taken_bpages);
    base_block_free(engine->peer_buckets);
    base_block_free(engine->share_buckets);
    base_block_free(engine->rpc_buckets);
    free(engine);
}

static bool end_each(struct homa_engine *engine, struct homa_rpc *rpc, void *context)
{
    (void)context;
    homa_rpc_end(engine, rpc);
    return true;
}

void homa_engine_shutdown(struct homa_engine *engine, uint64_t now)
{
    homa_engine_enter(engine, now);
    engine->is_shut_down = true;
    homa_rpc_visit(engine, end_each, NULL);
    engine->stateless_count = 0;
    engine->pacer.wake_at = HOMA_NEVER;
    assert(engine->rpcs.in_use == 0 && engine->gaps.in_use == 0);
}

/* ---- settings ---- */

void homa_engine_set_region(struct homa_engine *engine, uint64_t now,
                            const struct mem_region *region, struct bpage_pool *pool)
{
    struct bpage_stats stats;

    assert(engine->region == NULL && region != NULL && pool != NULL);
    homa_engine_enter(engine, now);
    engine->region = region;
    engine->bpages = pool;
    bpage_pool_stats(pool, &stats);
    homa_stall_set_region(engine, stats.bpages);
}

void homa_engine_set_port(struct homa_engine *engine, uint16_t port)
{
    uint64_t without_port = engine->next_id & (((uint64_t)1 << 48) - 1);

    engine->port = port;
    engine->next_id = (uint64_t)port << 48 | without_port;
}

void homa_engine_set_server(struct homa_engine *engine, bool is_server)
{
    engine->is_server = is_server;
}

bool homa_engine_is_server(const struct homa_engine *engine)
{
    return engine->is_server;
}

int homa_engine_set_knobs(struct homa_engine *engine, const struct homa_knobs *knobs)
{
    const char *why = NULL;
    bool is_new_cutoffs = memcmp(knobs->unsched_cutoffs, engine->knobs.unsched_cutoffs,
                                 sizeof(knobs->unsched_cutoffs)) != 0;
    bool is_new_ids = false;

    if (homa_knobs_check(knobs, &why) != 0)
        return -EINVAL;
    if (knobs->next_id != 0 && knobs->next_id != engine->knobs.next_id)
        is_new_ids = true;
    apply_knobs(engine, knobs);
    if (is_new_ids)
        seed_ids(engine, 0);
    if (is_new_cutoffs && ++engine->cutoff_version == 0)
        engine->cutoff_version = 1; /* 0 is "not told yet" */
    return 0;
}

const struct homa_knobs *homa_engine_knobs(const struct homa_engine *engine)
{
    return &engine->knobs;
}

void homa_engine_set_packet_bytes(struct homa_engine *engine, const struct base_address *peer,
                                  uint32_t packet_bytes)
{
    struct homa_peer *record = homa_peer_get(engine, peer);

    if (record != NULL)
        record->packet_bytes = homa_max_u32(packet_bytes, HOMA_PACKET_BYTES_MIN);
}
