/*
 * Running a disaster (disaster.h): makes the world, lets things happen to it at their times, asks
 * the judge now and then, and decides when it is over.
 *
 *     trouble    until scenario.faults_until: calls start, faults strike, hosts crash
 *     peace      until every call has ended
 *     quiet      until nothing is left anywhere
 *     silence    a while longer, in which nothing at all may happen
 *
 * Each phase has a bound in virtual time, and all together one in packets, so that what goes round
 * in circles is found too.
 */
#include "sim/disaster.h"

#include "base/hash.h"
#include "sim/disaster_internal.h"

#include <stdarg.h>
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY      (50 * SIM_MS) /* at calls that ought to have ended */
#define JUDGE_SCHEDULES 8u            /* every so many runs of a scheduler is judged */
#define PEACE_MIN       (60 * SIM_S)
#define QUIET_MIN       (3 * SIM_S)
#define STILL           (100 * SIM_MS)
#define SILENCE         (20 * SIM_S)
#define PACKETS_MAX     3000000u
#define ACTIONS_MAX     (2 * SIM_SCENARIO_EVENTS)
#define LATENCIES_MIN   200u /* with fewer, a 99th percentile says nothing */
#define P99_RATIO       3u
#define P99_GRACE_NS    20000u

/* An event's beginning, or its end. */
struct action {
    sim_time at;
    const struct sim_event *event;
    bool is_end;
};

void sim_disaster_tell(struct sim_disaster *disaster, uint32_t host, uint16_t port,
                       const char *what, const char *format, ...)
{
    char text[200];
    va_list arguments;

    if (disaster->trace == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    sim_trace_event(disaster->trace, host, port, what, "%s", text);
}

/* ---- what is seen ---- */

static void digest(struct sim_disaster *disaster, uint64_t word)
{
    disaster->outcome->digest = base_mix(disaster->outcome->digest ^ word) + word;
}

static void digest_packet(struct sim_disaster *disaster, enum sim_sight sight,
                          const struct sim_packet *packet)
{
    const uint8_t *bytes = packet->bytes != NULL ? packet->bytes : packet->header;
    uint32_t length =
        packet->length < HOMA_DATA_HEADER_LENGTH ? packet->length : HOMA_DATA_HEADER_LENGTH;

    if (packet->bytes == NULL && length > packet->header_length)
        length = packet->header_length;
    digest(disaster, sim_world_now(disaster->world));
    digest(disaster, (uint64_t)sight << 48 | (uint64_t)packet->from << 32 |
                         (uint64_t)packet->to << 16 | packet->length);
    digest(disaster, base_hash(packet->priority, bytes, length));
}

/* The hosts take turns. */
static void inspect_one(struct sim_disaster *disaster)
{
    disaster->outcome->counts.inspections++;
    sim_judge_inspect(disaster->judge, sim_world_host(disaster->world, disaster->next_inspected));
    if (++disaster->next_inspected == disaster->scenario->host_count)
        disaster->next_inspected = 0;
}

static void see(void *context, enum sim_sight sight, const struct sim_packet *packet)
{
    struct sim_disaster *disaster = context;

    disaster->outcome->counts.sights[sight]++;
    disaster->seen_at = sim_world_now(disaster->world);
    digest_packet(disaster, sight, packet);
    sim_judge_see(disaster->judge, sight, packet);
    if (disaster->trace != NULL)
        disaster->tracer.see(disaster->tracer.context, sight, packet);
    disaster->packets_seen += sight == SIM_SENT;
}

/* Every so many runs: looking at one costs more than the run. */
static void see_schedule(void *context, struct sim_host *host, bool is_over)
{
    struct sim_disaster *disaster = context;

    if (!is_over)
        disaster->schedules_seen++;
    if (disaster->schedules_seen % JUDGE_SCHEDULES == 0)
        sim_judge_see_schedule(disaster->judge, host, is_over);
}

static void ready(void *context, struct sim_socket *socket)
{
    sim_program_ready(context, socket);
}

static const char *explain(void *context)
{
    struct sim_disaster *disaster = context;

    return sim_fault_verdict(disaster->fault);
}

/* ---- the fate of hosts ---- */

/* What an engine has counted, before it goes. */
static void collect(struct sim_disaster *disaster, uint32_t host, uint32_t number)
{
    const struct sim_socket *socket =
        sim_host_socket(sim_world_host(disaster->world, host), number);
    uint64_t *sums = (uint64_t *)&disaster->outcome->counts.engines;
    uint64_t one[sizeof(struct homa_counters) / sizeof(uint64_t)];

    if (socket->engine == NULL)
        return;
    memcpy(one, homa_engine_counters(socket->engine), sizeof(one));
    for (size_t i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
        sums[i] += one[i];
        digest(disaster, one[i]);
    }
}

static void lose_socket(struct sim_disaster *disaster, uint32_t host, uint32_t socket)
{
    collect(disaster, host, socket);
    sim_program_end(disaster, host, socket);
}

static void reopen(struct sim_disaster *disaster, uint32_t host)
{
    struct sim_host *it = sim_world_host(disaster->world, host);
    bool was_closed[SIM_SOCKETS_MAX];
    uint32_t sockets = disaster->scenario->hosts[host].sockets;

    for (uint32_t i = 0; i < sockets; i++)
        was_closed[i] = sim_host_socket(it, i)->engine == NULL;
    sim_host_restart(it, base_mix(disaster->scenario->seed ^ sim_world_now(disaster->world)));
    for (uint32_t i = 0; i < sockets; i++) {
        if (was_closed[i])
            sim_program_begin(disaster, host, i);
    }
    sim_disaster_tell(disaster, host, 0, "open", "again");
}

static void begin_event(struct sim_disaster *disaster, const struct sim_event *event)
{
    struct sim_host *host = sim_world_host(disaster->world, event->host);
    sim_time until = sim_world_now(disaster->world) + event->duration;

    disaster->outcome->counts.events[event->kind]++;
    switch (event->kind) {
    case SIM_EVENT_CRASH:
        for (uint32_t i = 0; i < disaster->scenario->hosts[event->host].sockets; i++)
            lose_socket(disaster, event->host, i);
        sim_host_crash(host);
        disaster->stopped_until[event->host] = 0;
        sim_disaster_tell(disaster, event->host, 0, "crash", "for %" PRIu64 " us",
                          event->duration / SIM_US);
        break;
    case SIM_EVENT_PAUSE:
        if (!sim_host_is_up(host))
            break;
        sim_host_stop(host, until);
        sim_judge_host_stopped(disaster->judge, event->host, until);
        if (disaster->stopped_until[event->host] < until)
            disaster->stopped_until[event->host] = until;
        sim_disaster_tell(disaster, event->host, 0, "pause", "for %" PRIu64 " us",
                          event->duration / SIM_US);
        break;
    case SIM_EVENT_CLOSE:
        lose_socket(disaster, event->host, event->socket);
        sim_host_close_socket(host, event->socket);
        sim_disaster_tell(disaster, event->host, sim_host_socket(host, event->socket)->port,
                          "close", "for %" PRIu64 " us", event->duration / SIM_US);
        break;
    default:
        sim_disaster_tell(disaster, event->host, sim_host_socket(host, event->socket)->port,
                          "abort", "all calls, errno %d", event->error);
        sim_program_abort_all(disaster, event->host, event->socket, event->error);
        break;
    }
}

static void end_event(struct sim_disaster *disaster, const struct sim_event *event)
{
    bool is_up = sim_host_is_up(sim_world_host(disaster->world, event->host));

    if ((event->kind == SIM_EVENT_CRASH && !is_up) || (event->kind == SIM_EVENT_CLOSE && is_up))
        reopen(disaster, event->host);
}

/* Beginnings and ends in order of time; returns their number. */
static uint32_t list_actions(const struct sim_scenario *scenario,
                             struct action actions[ACTIONS_MAX])
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < 2 * scenario->event_count; i++) {
        const struct sim_event *event = &scenario->events[i / 2];
        struct action action = {.at = event->at, .event = event, .is_end = i % 2 != 0};
        uint32_t at = count++;

        action.at += action.is_end ? event->duration : 0;
        for (; at > 0 && actions[at - 1].at > action.at; at--)
            actions[at] = actions[at - 1];
        actions[at] = action;
    }
    return count;
}

/* ---- phases ---- */

static bool is_wrong(const struct sim_disaster *disaster)
{
    return sim_judge_verdict(disaster->judge)->is_violated;
}

/* Lets the world run until then, or until something is wrong. */
static void run_until(struct sim_disaster *disaster, sim_time until)
{
    struct sim_clock *clock = sim_world_clock(disaster->world);
    uint64_t inspected = disaster->packets_seen;

    while (!is_wrong(disaster) && sim_clock_step(clock, until)) {
        if (disaster->trace != NULL)
            sim_trace_look(disaster->trace);
        if (disaster->packets_seen - inspected >= disaster->scenario->check_every) {
            inspected = disaster->packets_seen;
            inspect_one(disaster);
        }
        if (disaster->packets_seen > PACKETS_MAX)
            sim_judge_object(disaster->judge, UINT32_MAX, 0,
                             "%u packets and no end: something goes round in circles", PACKETS_MAX);
    }
}

/* Until then, or until is_done() says so. Looks at the calls' patience every now and then. */
static void run_phase(struct sim_disaster *disaster, sim_time until,
                      bool (*is_done)(struct sim_disaster *disaster))
{
    sim_time now = sim_world_now(disaster->world);

    while (!is_wrong(disaster) && now < until && !is_done(disaster)) {
        now = until - now > LOOK_EVERY ? now + LOOK_EVERY : until;
        run_until(disaster, now);
        if (!is_wrong(disaster))
            sim_judge_patience(disaster->judge);
    }
}

static bool is_never_done(struct sim_disaster *disaster)
{
    (void)disaster;
    return false;
}

static bool is_peace(struct sim_disaster *disaster)
{
    return sim_judge_open_calls(disaster->judge) == 0;
}

/* Nothing has been on its way for a while either. */
static bool is_quiet(struct sim_disaster *disaster)
{
    sim_time still = sim_world_now(disaster->world) - disaster->seen_at;

    return still > STILL + disaster->scenario->faults.delay_limit && LIST_EMPTY(&disaster->tasks) &&
           sim_judge_is_drained(disaster->judge);
}

static void run_trouble(struct sim_disaster *disaster)
{
    struct action actions[ACTIONS_MAX];
    uint32_t count = list_actions(disaster->scenario, actions);

    for (uint32_t i = 0; i < count && !is_wrong(disaster); i++) {
        run_phase(disaster, actions[i].at, is_never_done);
        if (is_wrong(disaster))
            break;
        if (actions[i].is_end)
            end_event(disaster, actions[i].event);
        else
            begin_event(disaster, actions[i].event);
    }
    run_phase(disaster, disaster->scenario->faults_until, is_never_done);
}

/* When all that calls still want to send has passed the slowest link twenty times. */
static sim_time peace_bound(const struct sim_scenario *scenario)
{
    uint32_t mbps = scenario->network.host_mbps;

    if (scenario->network.topology == SIM_RACKS && scenario->network.core_mbps < mbps)
        mbps = scenario->network.core_mbps;
    return PEACE_MIN + 50 * SIM_MS * scenario->hosts[0].knobs.timeout_ticks +
           20 * scenario->traffic.bytes * (8 * SIM_US / mbps);
}

static uint64_t count_rpcs(const struct sim_disaster *disaster)
{
    uint64_t rpcs = 0;

    for (uint32_t i = 0; i < disaster->scenario->host_count; i++) {
        struct sim_host *host = sim_world_host(disaster->world, i);

        for (uint32_t j = 0; j < disaster->scenario->hosts[i].sockets; j++) {
            const struct sim_socket *socket = sim_host_socket(host, j);
            struct homa_engine_usage usage = {0};

            if (socket->engine != NULL)
                homa_engine_usage(socket->engine, &usage);
            rpcs += usage.rpcs;
        }
    }
    return rpcs;
}

static bool is_quieter(struct sim_disaster *disaster)
{
    uint64_t rpcs = count_rpcs(disaster);

    if (is_quiet(disaster) || rpcs < disaster->rpcs_left)
        return true;
    disaster->rpcs_left = rpcs; /* what was still on its way may have made some */
    return false;
}

/*
 * How long it may take until one more RPC has ended: a server waits for an ack for twice its
 * timeout, and for a client that went away in the middle of a request once; a request may be in
 * service, and pieces of messages be held. (What a client that went away has been given room or
 * grants for is waited for one after the other.)
 */
static sim_time quiet_bound(const struct sim_scenario *scenario)
{
    return QUIET_MIN + 4 * SIM_MS * scenario->hosts[0].knobs.timeout_ticks +
           2 * scenario->traffic.long_service_time + 2 * scenario->traffic.service +
           scenario->traffic.hold + scenario->traffic.lag;
}

static void run_quiet(struct sim_disaster *disaster)
{
    struct sim_clock *clock = sim_world_clock(disaster->world);
    uint64_t sent;

    disaster->is_over = true;
    do {
        disaster->rpcs_left = count_rpcs(disaster);
        run_phase(disaster, sim_world_now(disaster->world) + quiet_bound(disaster->scenario),
                  is_quieter);
    } while (!is_wrong(disaster) && count_rpcs(disaster) < disaster->rpcs_left);
    if (is_wrong(disaster))
        return;
    sim_judge_drained(disaster->judge);
    sent = disaster->packets_seen;
    run_until(disaster, sim_world_now(disaster->world) + SILENCE);
    if (disaster->packets_seen != sent)
        sim_judge_object(disaster->judge, UINT32_MAX, 0,
                         "%" PRIu64 " packets left hosts that had nothing left to do",
                         disaster->packets_seen - sent);
    if (sim_clock_next(clock) != SIM_NEVER)
        sim_judge_object(disaster->judge, UINT32_MAX, 0,
                         "a timer is set on a host that has nothing left to do");
}

static void run_phases(struct sim_disaster *disaster)
{
    sim_time begin;

    run_trouble(disaster);
    begin = sim_world_now(disaster->world);
    if (!is_wrong(disaster))
        run_phase(disaster, begin + peace_bound(disaster->scenario), is_peace);
    if (!is_wrong(disaster))
        run_quiet(disaster);
    disaster->outcome->counts.virtual_ms = sim_world_now(disaster->world) / SIM_MS;
}

/* ---- opening and closing ---- */

static void open_world(struct sim_disaster *disaster)
{
    const struct sim_application application = {.context = disaster, .ready = ready};
    const struct sim_watcher watcher = {
        .context = disaster, .see = see, .see_schedule = see_schedule};
    struct sim_world_options options = {
        .seed = disaster->scenario->seed,
        .network = disaster->scenario->network,
        .carries_payload = true,
        .hosts = disaster->scenario->hosts,
    };
    const char *why = NULL;

    disaster->world = sim_world_open(&options, &application, &why);
    if (disaster->world == NULL) {
        fprintf(stderr, "a scenario without a world: %s\n", why);
        abort();
    }
    disaster->fault = sim_fault_open(&disaster->scenario->faults, disaster->world);
    disaster->judge = sim_judge_open(disaster->scenario, disaster->world, disaster->fault);
    sim_world_set_watcher(disaster->world, &watcher);
}

static void open_capture(struct sim_disaster *disaster, FILE *file)
{
    uint8_t addresses[SIM_SCENARIO_HOSTS][4];

    for (uint32_t i = 0; i < disaster->scenario->host_count; i++) {
        struct sim_host *host = sim_world_host(disaster->world, i);
        struct base_address address = sim_socket_address(sim_host_socket(host, 0));

        memcpy(addresses[i], address.remote.bytes + 12, 4);
    }
    disaster->pcapng = sim_pcapng_open(file, disaster->scenario->host_count, addresses);
}

static void open_record(struct sim_disaster *disaster, const struct sim_disaster_record *record)
{
    struct sim_trace_options options = {
        .explain = explain,
        .explain_context = disaster,
    };

    if (record == NULL || (record->text == NULL && record->pcapng == NULL))
        return;
    options.text = record->text;
    if (record->pcapng != NULL)
        open_capture(disaster, record->pcapng);
    options.pcapng = disaster->pcapng;
    disaster->trace = sim_trace_open(&options, disaster->world);
    disaster->tracer = sim_trace_watcher(disaster->trace);
}

/* The hostile host takes its place, or stays dark when the others are to be seen without it. */
static void open_fate(struct sim_disaster *disaster, bool is_without_hostile)
{
    struct sim_hook hook = sim_fault_hook(disaster->fault);
    uint32_t hostile = disaster->scenario->hostile;

    if (hostile != UINT32_MAX && is_without_hostile) {
        sim_host_crash(sim_world_host(disaster->world, hostile));
    } else if (hostile != UINT32_MAX) {
        disaster->hostile = sim_hostile_open(&disaster->scenario->hostility, disaster->world);
        hook = sim_hostile_hook(disaster->hostile, &hook);
    }
    sim_world_set_hook(disaster->world, &hook);
}

static void count_faults(struct sim_disaster *disaster)
{
    struct sim_outcome_counts *counts = &disaster->outcome->counts;

    for (unsigned kind = 0; kind < SIM_FAULT_KINDS; kind++) {
        counts->faults[kind] += sim_fault_counts(disaster->fault)->acts[kind];
        counts->errors_told += sim_fault_counts(disaster->fault)->told[kind];
    }
    for (unsigned act = 0; disaster->hostile != NULL && act < SIM_HOSTILE_ACTS; act++)
        counts->hostilities[act] += sim_hostile_counts(disaster->hostile)->turns[act];
}

static void close_world(struct sim_disaster *disaster)
{
    const struct sim_hook no_hook = {0};
    const struct sim_watcher no_watcher = {0};

    for (uint32_t i = 0; i < disaster->scenario->host_count; i++) {
        for (uint32_t j = 0; j < disaster->scenario->hosts[i].sockets; j++)
            lose_socket(disaster, i, j);
    }
    count_faults(disaster);
    sim_program_forget(disaster);
    sim_world_set_watcher(disaster->world, &no_watcher);
    sim_world_set_hook(disaster->world, &no_hook);
    if (disaster->trace != NULL)
        sim_trace_close(disaster->trace);
    if (disaster->pcapng != NULL)
        sim_pcapng_close(disaster->pcapng); /* an error shows in the file, too */
    if (disaster->hostile != NULL)
        sim_hostile_close(disaster->hostile);
    sim_fault_close(disaster->fault);
    sim_judge_close(disaster->judge);
    sim_world_close(disaster->world);
}

static void run_once(const struct sim_scenario *scenario, const struct sim_disaster_record *record,
                     bool is_without_hostile, struct sim_outcome *outcome)
{
    struct sim_disaster *disaster = sim_allocate(1, sizeof(*disaster));

    *outcome = (struct sim_outcome){.digest = scenario->seed};
    outcome->counts.runs = 1;
    disaster->scenario = scenario;
    disaster->outcome = outcome;
    disaster->bytes_left = scenario->traffic.bytes;
    LIST_INIT(&disaster->tasks);
    open_world(disaster);
    open_record(disaster, record);
    open_fate(disaster, is_without_hostile);
    for (uint32_t i = 0; i < scenario->host_count; i++) {
        for (uint32_t j = 0; i != scenario->hostile && j < scenario->hosts[i].sockets; j++)
            sim_program_begin(disaster, i, j);
    }
    run_phases(disaster);
    outcome->verdict = *sim_judge_verdict(disaster->judge);
    outcome->counts.grants_judged = sim_judge_grants(disaster->judge);
    outcome->p99_ns = sim_judge_p99(disaster->judge, &outcome->latencies);
    close_world(disaster);
    free(disaster);
}

static void compare_speed(const struct sim_scenario *scenario, struct sim_outcome *outcome)
{
    struct sim_outcome without;

    run_once(scenario, NULL, true, &without);
    if (without.verdict.is_violated) {
        outcome->verdict = without.verdict;
        return;
    }
    if (outcome->latencies < LATENCIES_MIN || without.latencies < LATENCIES_MIN ||
        outcome->p99_ns <= P99_RATIO * without.p99_ns + P99_GRACE_NS)
        return;
    outcome->verdict = (struct sim_verdict){.is_violated = true, .host = scenario->hostile};
    snprintf(outcome->verdict.sentence, sizeof(outcome->verdict.sentence),
             "calls between honest hosts took %" PRIu64 " us beside a hostile one (p99), and "
             "%" PRIu64 " us without",
             outcome->p99_ns / 1000, without.p99_ns / 1000);
}

void sim_disaster_run(const struct sim_scenario *scenario, const struct sim_disaster_record *record,
                      struct sim_outcome *outcome)
{
    run_once(scenario, record, false, outcome);
    if (!outcome->verdict.is_violated && scenario->is_speed_judged)
        compare_speed(scenario, outcome);
}
