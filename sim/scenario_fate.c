/*
 * The part of a scenario that goes wrong: what the network does to packets, what happens to hosts
 * and sockets, and the hostile host. Everything ends by faults_until. Called once per scenario,
 * after everything else has been drawn.
 */
#include "sim/draw.h"
#include "sim/scenario.h"

#include <errno.h>

#define MS_PER_S        1000u
#define PERCENT         10000u /* in millionths */
#define RULES_MOST      5u
#define EVENTS_MOST     6u
#define LONGEST_PAUSE   (2 * SIM_S)
#define HOSTILE_TIME    (200 * SIM_MS)
#define HOSTILE_PACKETS 4000u

enum aspect_of_fate {
    ASPECT_FAULTS = 100,
    ASPECT_EVENTS,
    ASPECT_HOSTILE,
    ASPECT_DURATION,
};

/* ---- faults of the network ---- */

/* One host, some, or all. */
static uint64_t draw_hosts(struct base_random *random, const struct sim_scenario *scenario)
{
    uint64_t all = (UINT64_C(1) << scenario->host_count) - 1;
    uint64_t one = base_random_below(random, scenario->host_count);
    uint64_t some = base_random_u64(random) & all;
    uint64_t class = base_random_below(random, 4);

    if (class == 0)
        return UINT64_C(1) << one;
    return class == 1 ? some : 0;
}

/* All types, or a single one. */
static uint16_t draw_types(struct base_random *random)
{
    uint64_t type = base_random_below(random, HOMA_PACKET_TYPES);
    uint32_t bits = sim_chance(random, 400) ? 1u << type : 0;

    return (uint16_t)bits;
}

static void draw_chances(struct base_random *random, struct sim_fault_rule *rule)
{
    uint32_t few = sim_between_u32(random, 1, 2 * PERCENT);
    uint32_t many = sim_between_u32(random, 1, 20 * PERCENT);

    rule->chance = few;
    switch (rule->kind) {
    case SIM_FAULT_LOSS:
    case SIM_FAULT_DETECTED:
    case SIM_FAULT_DUPLICATE:
    case SIM_FAULT_REORDER:
        rule->chance = many;
        break;
    case SIM_FAULT_BURSTS:
        rule->end_chance = sim_between_u32(random, 2 * PERCENT, 50 * PERCENT);
        rule->bad_chance = sim_between_u32(random, 20 * PERCENT, 100 * PERCENT);
        break;
    case SIM_FAULT_SPIKE:
        rule->chance = few / 20 + 1;
        break;
    case SIM_FAULT_PARTITION:
    case SIM_FAULT_PATH:
    case SIM_FAULT_REFUSE:
        rule->chance = SIM_FAULT_ALWAYS;
        rule->tell_chance = sim_chance(random, 500) ? SIM_FAULT_ALWAYS : 0;
        break;
    case SIM_FAULT_PROTOCOL:
        rule->chance = few / 10 + 1;
        break;
    default:
        break;
    }
}

/* When the rule acts: all the time, or a stretch of it. Partitions are not for all the time. */
static void draw_stretch(struct base_random *random, const struct sim_scenario *scenario,
                         struct sim_fault_rule *rule)
{
    sim_time begin = sim_between(random, 0, scenario->faults_until);
    sim_time length = sim_any_magnitude(random, SIM_MS, scenario->faults_until);
    bool is_always = sim_chance(random, 500);

    rule->begin = begin;
    rule->end = begin + length;
    if (rule->kind == SIM_FAULT_PARTITION || !is_always) {
        if (rule->end > scenario->faults_until)
            rule->end = scenario->faults_until;
        return;
    }
    rule->begin = 0;
    rule->end = scenario->faults_until;
}

static void draw_rule(struct base_random *random, struct sim_scenario *scenario,
                      struct sim_fault_rule *rule)
{
    rule->kind = (enum sim_fault_kind)base_random_below(random, SIM_FAULT_KINDS);
    rule->from = draw_hosts(random, scenario);
    rule->to = draw_hosts(random, scenario);
    rule->is_both_ways = sim_chance(random, 300);
    rule->types = draw_types(random);
    rule->number = (uint32_t)sim_any_magnitude(random, 1, 200);
    rule->delay = sim_any_magnitude(random, SIM_US, scenario->faults.delay_limit);
    rule->tell_delay = sim_between(random, 0, SIM_MS);
    draw_chances(random, rule);
    draw_stretch(random, scenario, rule);
    if (rule->kind == SIM_FAULT_PARTITION)
        rule->types = 0;
    if (rule->kind == SIM_FAULT_REFUSE) {
        rule->begin = 0;
        rule->end = SIM_NEVER;
        rule->from = 0;
        rule->to = 0;
        rule->types = 0;
    }
    if (rule->kind == SIM_FAULT_PATH) {
        uint32_t least = 300;
        uint32_t full = scenario->hosts[0].packet_bytes;

        /* Without a word from the network no sender could know: nothing long would ever pass. */
        rule->limit = sim_between_u32(random, least, full > least ? full : least);
        rule->tell_chance = SIM_FAULT_ALWAYS;
        rule->types = 0;
    }
}

static void draw_faults(struct sim_scenario *scenario)
{
    static const sim_time limits[] = {SIM_MS, 10 * SIM_MS, 10 * SIM_MS, 200 * SIM_MS};
    struct base_random random = sim_scenario_random(scenario->seed, ASPECT_FAULTS);
    struct sim_fault_options *faults = &scenario->faults;

    faults->seed = base_random_u64(&random);
    faults->delay_limit = SIM_PICK(&random, limits);
    if (sim_chance(&random, 150))
        return;
    faults->rule_count = sim_between_u32(&random, 1, RULES_MOST);
    for (uint32_t i = 0; i < faults->rule_count; i++)
        draw_rule(&random, scenario, &faults->rules[i]);
}

/* ---- what happens to hosts ---- */

static void draw_event(struct base_random *random, const struct sim_scenario *scenario,
                       struct sim_event *event)
{
    static const int errors[] = {0, ECANCELED, EIO};
    sim_time timeout = scenario->hosts[0].knobs.timeout_ticks * SIM_MS;
    sim_time down = sim_any_magnitude(random, SIM_US, 2 * timeout);
    sim_time pause = sim_any_magnitude(random, SIM_MS, LONGEST_PAUSE);

    event->kind = (enum sim_event_kind)base_random_below(random, SIM_EVENT_KINDS);
    event->host = (uint32_t)base_random_below(random, scenario->host_count);
    event->socket = (uint32_t)base_random_below(random, scenario->hosts[event->host].sockets);
    event->at = sim_between(random, 0, scenario->start_over);
    event->duration = event->kind == SIM_EVENT_PAUSE ? pause : down;
    event->error = SIM_PICK(random, errors);
    if (event->kind == SIM_EVENT_ABORT)
        event->duration = 0;
}

/* In order of time; few, so that moving them by hand is good enough. */
static void sort_events(struct sim_scenario *scenario)
{
    for (uint32_t i = 1; i < scenario->event_count; i++) {
        struct sim_event event = scenario->events[i];
        uint32_t at = i;

        for (; at > 0 && scenario->events[at - 1].at > event.at; at--)
            scenario->events[at] = scenario->events[at - 1];
        scenario->events[at] = event;
    }
}

static void draw_events(struct sim_scenario *scenario)
{
    struct base_random random = sim_scenario_random(scenario->seed, ASPECT_EVENTS);

    if (sim_chance(&random, 600))
        return;
    scenario->event_count = sim_between_u32(&random, 1, EVENTS_MOST);
    for (uint32_t i = 0; i < scenario->event_count; i++)
        draw_event(&random, scenario, &scenario->events[i]);
    sort_events(scenario);
}

/* ---- the hostile host ---- */

/* How long so many bytes take on the slowest link. */
static sim_time time_on_link(const struct sim_scenario *scenario, uint32_t bytes)
{
    const struct sim_network_options *network = &scenario->network;
    uint32_t mbps = network->host_mbps;

    if (network->topology == SIM_RACKS && network->core_mbps < mbps)
        mbps = network->core_mbps;
    return 8 * SIM_US * bytes / mbps;
}

/* As large and as many as its link takes in a while: what it says it has said when it ends. */
static void draw_hostile_packets(struct sim_scenario *scenario)
{
    struct sim_hostile_options *hostility = &scenario->hostility;
    uint32_t bytes = scenario->hosts[0].packet_bytes;
    uint64_t most;

    if (time_on_link(scenario, bytes) > HOSTILE_TIME / HOSTILE_PACKETS && bytes > 1456)
        bytes = 1456;
    most = HOSTILE_TIME / time_on_link(scenario, bytes);
    hostility->packet_bytes = bytes;
    hostility->inject_limit = most < HOSTILE_PACKETS ? (uint32_t)most : HOSTILE_PACKETS;
    hostility->flood_packets = hostility->inject_limit / 4;
}

static void draw_hostile(struct sim_scenario *scenario)
{
    struct base_random random = sim_scenario_random(scenario->seed, ASPECT_HOSTILE);
    struct sim_hostile_options *hostility = &scenario->hostility;
    uint32_t some = (uint32_t)base_random_u64(&random);
    uint32_t more = (uint32_t)base_random_u64(&random);

    hostility->seed = base_random_u64(&random);
    hostility->acts = SIM_HOSTILE_ALL;
    if (sim_chance(&random, 700))
        hostility->acts &= some;
    if (sim_chance(&random, 300))
        hostility->acts &= more;
    if (sim_chance(&random, 200))
        hostility->acts |= SIM_HOSTILE_BIT(SIM_HOSTILE_FLOODS);
    hostility->interval = sim_any_magnitude(&random, 10 * SIM_US, SIM_MS);
    hostility->eavesdrops = sim_chance(&random, 300);
    hostility->half_open_max = (uint32_t)sim_any_magnitude(&random, 1, 64);
    draw_hostile_packets(scenario);
    scenario->calls_hostile = sim_chance(&random, 400);
    if (!sim_chance(&random, 150) || scenario->host_count < 3 || hostility->acts == 0)
        return;
    scenario->hostile = scenario->host_count - 1;
    hostility->host = scenario->hostile;
    hostility->begin = 0;
    hostility->end = scenario->start_over;
    /* What it does to others is compared with what they do without it: nothing else may differ. */
    if (sim_chance(&random, 600) && !scenario->calls_hostile) {
        sim_time packet = time_on_link(scenario, hostility->packet_bytes);

        scenario->faults.rule_count = 0;
        scenario->event_count = 0;
        if (hostility->interval < 8 * packet) /* what fills links is a flood */
            hostility->interval = 8 * packet;
        scenario->is_speed_judged = (hostility->acts & SIM_HOSTILE_BIT(SIM_HOSTILE_FLOODS)) == 0 &&
                                    scenario->hosts[0].max_rpcs >= SIM_PLENTY_RPCS &&
                                    scenario->hosts[0].max_peers >= 512 &&
                                    scenario->hosts[0].sched_messages >= 4096 && scenario->has_room;
    }
    for (uint32_t i = 0; i < scenario->event_count; i++)
        scenario->events[i].host %= scenario->hostile;
    for (uint32_t i = 0; i < scenario->event_count; i++)
        scenario->events[i].socket %= scenario->hosts[scenario->events[i].host].sockets;
}

/* ---- how long it all takes ---- */

/* Faults go on a little longer than calls are started. */
static void draw_duration(struct sim_scenario *scenario)
{
    struct base_random random = sim_scenario_random(scenario->seed, ASPECT_DURATION);
    sim_time timeout = scenario->hosts[0].knobs.timeout_ticks * SIM_MS;

    scenario->faults_until = scenario->start_over + sim_between(&random, SIM_MS, 2 * timeout);
}

static void outlast_events(struct sim_scenario *scenario, sim_time *paused)
{
    *paused = 0;
    for (uint32_t i = 0; i < scenario->event_count; i++) {
        const struct sim_event *event = &scenario->events[i];
        sim_time end = event->at + event->duration;

        if (end > scenario->faults_until)
            scenario->faults_until = end;
        if (event->kind == SIM_EVENT_PAUSE)
            *paused += event->duration;
    }
}

/*
 * A client may send its request again for its timeout after it last heard of the server, and time
 * does not pass for it in pauses; then the packet may be late, or wait for a receiver that pauses.
 */
static void outlast_packets(struct sim_scenario *scenario, sim_time paused)
{
    for (uint32_t i = 0; i < scenario->host_count; i++) {
        struct homa_knobs *knobs = &scenario->hosts[i].knobs;
        sim_time life = 2 * SIM_MS * knobs->timeout_ticks + 2 * paused +
                        2 * scenario->faults.delay_limit + 4 * SIM_S;

        knobs->tombstone_ms = (uint32_t)(life / SIM_MS);
    }
}

void sim_scenario_draw_fate(struct sim_scenario *scenario)
{
    sim_time paused;

    draw_duration(scenario);
    draw_faults(scenario);
    draw_events(scenario);
    draw_hostile(scenario);
    outlast_events(scenario, &paused);
    outlast_packets(scenario, paused);
}
