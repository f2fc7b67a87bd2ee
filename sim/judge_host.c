/*
 * What the judge finds when it looks at hosts:
 *
 *  - inspection: an engine's numbers agree with each other (sent <= granted <= length ...), all
 *    structures are sound, and what is granted and has not come stays within max_incoming, but for
 *    what nobody granted;
 *  - patience: a client's call ends when it has been silent for its timeout. A call is silent from
 *    the last packet about it that came or the last new bytes that left, and while nothing on its
 *    own side holds it up: bytes that wait to be sent, space in the region, a grant. An engine
 *    looks at its timers late by LOOKS at most; time in which nobody ran it does not count;
 *  - quiet: when everything has been over for long enough, nothing is left on any host.
 */
#include "sim/judge_internal.h"

#include <inttypes.h>
#include <stdlib.h>

/* An engine looks at what waits on its own side ever more rarely, up to every 100 ms; a look each
 * before and after the silence, and one more for the judge's own. */
#define LOOKS (350 * SIM_MS)

/* ---- inspection ---- */

struct inspection {
    struct sim_judge *judge;
    uint32_t host;
    uint64_t unscheduled; /* bytes of incoming messages that nobody granted, and missing */
    uint64_t outstanding;
};

static bool inspect_rpc(void *context, const struct homa_rpc_view *view)
{
    struct inspection *inspection = context;

    if (view->tx_length > 0 &&
        (view->tx_sent > view->tx_granted || view->tx_granted > (uint32_t)view->tx_length))
        sim_judge_object(inspection->judge, inspection->host, view->id,
                         "sent %" PRIu32 " of %" PRIu32 " granted of %" PRId32 " bytes",
                         view->tx_sent, view->tx_granted, view->tx_length);
    if (view->rx_length > 0 && (view->rx_granted > (uint32_t)view->rx_length ||
                                view->rx_remaining > (uint32_t)view->rx_length))
        sim_judge_object(inspection->judge, inspection->host, view->id,
                         "%" PRIu32 " granted and %" PRIu32 " missing of %" PRId32 " bytes",
                         view->rx_granted, view->rx_remaining, view->rx_length);
    return true;
}

void sim_judge_inspect(struct sim_judge *judge, struct sim_host *host)
{
    struct inspection inspection = {.judge = judge, .host = sim_host_number(host)};
    const struct sim_host_options *options = sim_host_options(host);

    if (!sim_host_is_up(host))
        return;
    for (uint32_t i = 0; i < options->sockets; i++) {
        const struct sim_socket *socket = sim_host_socket(host, i);

        if (socket->engine == NULL)
            continue;
        homa_engine_view(socket->engine, inspect_rpc, &inspection);
        homa_engine_check(socket->engine);
    }
    if (!homa_sched_is_sound(sim_host_sched(host)))
        sim_judge_object(judge, inspection.host, 0, "the scheduler's sums or orders are wrong");
}

/* ---- patience ---- */

struct patience {
    struct sim_judge *judge;
    uint32_t host;
    sim_time now;
};

static void raise_time(sim_time *time, sim_time to)
{
    if (*time < to)
        *time = to;
}

/* Whether the client itself holds the call up. */
static bool holds_itself_up(const struct homa_rpc_view *view)
{
    bool is_behind = view->rx_length < 0 && view->tx_sent < view->tx_granted;
    bool waits_for_grant = view->rx_length > 0 && view->rx_granted < (uint32_t)view->rx_length &&
                           (uint32_t)view->rx_length - view->rx_remaining >= view->rx_granted;

    return is_behind || waits_for_grant || view->is_stalled || view->is_ready;
}

static bool excuse(void *context, const struct homa_rpc_view *view)
{
    struct patience *patience = context;
    struct sim_call *call;

    if ((view->id & 1) != 0 || !holds_itself_up(view))
        return true;
    call = sim_judge_find(patience->judge, patience->host, view->id);
    if (call != NULL)
        raise_time(&call->alive_at, patience->now);
    return true;
}

/* Time in which nobody ran the engine does not count for its calls. */
static void excuse_lost_time(struct sim_judge *judge, uint32_t host, uint32_t number,
                             const struct homa_engine *engine)
{
    struct judged_socket *socket = &judge->sockets[host][number];
    uint64_t lost_ns = homa_engine_counters(engine)->time_lost_ns;
    sim_time lost = (lost_ns - socket->time_lost_ns) * SIM_NS;
    struct sim_call *call;

    socket->time_lost_ns = lost_ns;
    if (lost == 0)
        return;
    LIST_FOREACH(call, &judge->open, of_open) {
        if (call->client == host && call->client_socket == number)
            call->alive_at += lost;
    }
}

static void judge_patience_of(struct sim_judge *judge, const struct sim_call *call, sim_time now)
{
    const struct homa_knobs *knobs = &judge->scenario->hosts[call->client].knobs;
    sim_time bound = (knobs->timeout_ticks + knobs->resend_interval) * SIM_MS + LOOKS +
                     judge->scenario->traffic.lag + judge->scenario->network.receive_delay;

    if (call->alive_at + bound < now)
        sim_judge_object_call(judge, call,
                              "a call goes on after %" PRIu64
                              " ms of silence; its timeout is %" PRIu32 " ms",
                              (now - call->alive_at) / SIM_MS, knobs->timeout_ticks);
}

void sim_judge_patience(struct sim_judge *judge)
{
    struct patience patience = {.judge = judge, .now = sim_world_now(judge->world)};
    const struct sim_call *call;

    for (uint32_t i = 0; i < judge->scenario->host_count; i++) {
        struct sim_host *host = sim_world_host(judge->world, i);

        patience.host = i;
        for (uint32_t j = 0; j < judge->scenario->hosts[i].sockets; j++) {
            const struct homa_engine *engine = sim_host_socket(host, j)->engine;
            struct homa_engine_usage usage;

            if (engine == NULL)
                continue;
            excuse_lost_time(judge, i, j, engine);
            homa_engine_usage(engine, &usage);
            if (usage.client_rpcs > 0)
                homa_engine_view(engine, excuse, &patience);
        }
    }
    LIST_FOREACH(call, &judge->open, of_open)
        judge_patience_of(judge, call, patience.now);
}

void sim_judge_host_stopped(struct sim_judge *judge, uint32_t host, sim_time until)
{
    struct sim_call *call;

    LIST_FOREACH(call, &judge->open, of_open) {
        if (call->client == host)
            raise_time(&call->alive_at, until);
    }
}

/* ---- quiet ---- */

/* What is left of an engine, in a word; NULL = nothing. */
static const char *rest_of(const struct sim_socket *socket, uint64_t *count)
{
    struct homa_engine_usage usage;
    struct bpage_stats stats;

    homa_engine_usage(socket->engine, &usage);
    bpage_pool_stats(socket->bpages, &stats);
    *count = usage.rpcs;
    if (usage.rpcs > 0)
        return "RPCs";
    *count = usage.gaps;
    if (usage.gaps > 0)
        return "gap records";
    *count = usage.timers;
    if (usage.timers > 0)
        return "timers";
    *count = usage.queued_bytes;
    if (usage.queued_bytes > 0)
        return "bytes to send";
    *count = stats.pieces_out;
    if (stats.pieces_out > 0)
        return "pieces of bpages";
    *count = homa_engine_ready(socket->engine, HOMA_TAKE_REQUEST | HOMA_TAKE_RESPONSE);
    return *count > 0 ? "messages to take" : NULL;
}

static const char *rest_of_host(struct sim_host *host, uint64_t *count)
{
    for (uint32_t i = 0; i < sim_host_options(host)->sockets; i++) {
        const struct sim_socket *socket = sim_host_socket(host, i);
        const char *rest = socket->engine != NULL ? rest_of(socket, count) : NULL;

        if (rest != NULL)
            return rest;
    }
    *count = homa_sched_outstanding(sim_host_sched(host));
    if (*count > 0)
        return "bytes granted";
    if (homa_sched_wants_grants(sim_host_sched(host)))
        return "messages that want grants";
    *count = sim_host_payloads(host);
    return *count > 0 ? "payloads" : NULL;
}

bool sim_judge_is_drained(const struct sim_judge *judge)
{
    uint64_t count;

    for (uint32_t i = 0; i < judge->scenario->host_count; i++) {
        struct sim_host *host = sim_world_host(judge->world, i);

        if (sim_host_is_up(host) && rest_of_host(host, &count) != NULL)
            return false;
    }
    return true;
}

void sim_judge_drained(struct sim_judge *judge)
{
    uint64_t count = 0;
    const struct sim_call *call;

    LIST_FOREACH(call, &judge->open, of_open)
        sim_judge_object_call(judge, call, "a call has not ended though all is quiet");
    for (uint32_t i = 0; i < judge->scenario->host_count; i++) {
        struct sim_host *host = sim_world_host(judge->world, i);
        const char *rest = sim_host_is_up(host) ? rest_of_host(host, &count) : NULL;

        if (rest != NULL)
            sim_judge_object(judge, i, 0, "all is quiet and %" PRIu64 " %s are left", count, rest);
        if (!sim_host_is_up(host) && sim_host_payloads(host) > 0)
            sim_judge_object(judge, i, 0, "a host is down and holds payloads");
    }
}

/* ---- latency ---- */

static int compare_times(const void *a, const void *b)
{
    const sim_time *x = a;
    const sim_time *y = b;

    return (*x > *y) - (*x < *y);
}

uint64_t sim_judge_p99(const struct sim_judge *judge, uint64_t *count)
{
    sim_time *times = sim_allocate(judge->next_serial + 1, sizeof(*times));
    const struct sim_call *call;
    uint64_t result = 0;

    *count = 0;
    TAILQ_FOREACH(call, &judge->all, of_all) {
        if (call->ending == SIM_ANSWERED && call->client != judge->scenario->hostile &&
            call->plan.host != judge->scenario->hostile)
            times[(*count)++] = call->ended_at - call->begun_at;
    }
    qsort(times, *count, sizeof(*times), compare_times);
    if (*count > 0)
        result = times[(*count * 99 - 1) / 100] / SIM_NS;
    free(times);
    return result;
}
