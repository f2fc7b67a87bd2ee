/*
 * The rules at work (fault.h). A packet that leaves its host goes through all rules in their order;
 * what they want is gathered in a verdict, which becomes the packet's fate at the end. Bytes are
 * changed on the spot. Each rule draws from a stream of its own, so that to switch one off (end =
 * begin) changes nothing about the dice of the others.
 *
 * Errors for senders wait as alarms. A sender that is gone when its error comes does not hear it.
 */
#include "sim/fault.h"

#include "base/random.h"
#include "sim/fault_damage.h"
#include "sim/fault_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* What a rule remembers. */
struct rule_state {
    struct base_random random;
    uint64_t acts;
    uint64_t seen;      /* packets that it is about */
    uint64_t bad_links; /* BURSTS: bit = receiving host, modulo 64 */
    sim_time spike_end; /* SPIKE */
};

/* An error on its way to a sender. */
struct told {
    struct sim_alarm alarm; /* first */
    TAILQ_ENTRY(told) all;
    struct sim_fault *fault;
    struct base_network_error error;
    uint32_t host;
    uint16_t port;
    enum sim_fault_kind kind;
};

struct sim_fault {
    struct sim_fault_options options;
    struct sim_world *world;
    struct sim_fault_counts counts;
    struct rule_state states[SIM_FAULT_RULES_MAX];
    struct sim_fault_verdict verdict; /* of the last packet */
    char text[SIM_FAULT_TEXT_SIZE];
    TAILQ_HEAD(, told) telling;
    uint32_t pending;
    uint32_t hosts;
    bool *was_changed; /* [from * hosts + to] */
};

static bool is_drawn(struct rule_state *state, uint32_t chance)
{
    return base_random_below(&state->random, SIM_FAULT_ALWAYS) < chance;
}

/* ---- which packets ---- */

static bool is_in(uint64_t hosts, uint32_t host)
{
    return hosts == 0 || (host < 64 && (hosts >> host & 1) != 0);
}

static bool is_about(const struct sim_fault_rule *rule, sim_time now,
                     const struct sim_packet *packet, uint16_t types)
{
    bool is_there = is_in(rule->from, packet->from) && is_in(rule->to, packet->to);
    bool is_back =
        rule->is_both_ways && is_in(rule->to, packet->from) && is_in(rule->from, packet->to);

    return now >= rule->begin && now < rule->end && (is_there || is_back) &&
           (rule->types == 0 || (rule->types & types) != 0);
}

/* ---- telling senders ---- */

static struct sim_socket *find_socket(struct sim_world *world, uint32_t number, uint16_t port)
{
    struct sim_host *host = sim_world_host(world, number);
    const struct sim_host_options *options = sim_host_options(host);

    for (uint32_t i = 0; i < options->sockets; i++) {
        if (options->ports[i] == port)
            return sim_host_socket(host, i);
    }
    return NULL;
}

static bool is_open(struct sim_world *world, uint32_t host, uint16_t port)
{
    const struct sim_socket *socket = find_socket(world, host, port);

    return socket != NULL && socket->engine != NULL;
}

static void told_free(struct told *told)
{
    TAILQ_REMOVE(&told->fault->telling, told, all);
    told->fault->pending--;
    free(told);
}

static void told_ring(struct sim_alarm *alarm)
{
    struct told *told = (struct told *)alarm;
    struct sim_fault *fault = told->fault;
    struct sim_host *host = sim_world_host(fault->world, told->host);

    if (sim_host_is_up(host) && is_open(fault->world, told->host, told->port)) {
        fault->counts.told[told->kind]++;
        sim_host_network_error(host, told->port, &told->error);
    }
    told_free(told);
}

static void tell(struct sim_fault *fault, const struct sim_fault_rule *rule,
                 const struct sim_packet *packet, int error)
{
    struct told *told = sim_allocate(1, sizeof(*told));
    struct sim_host *receiver = sim_world_host(fault->world, packet->to);

    *told = (struct told){
        .fault = fault, .host = packet->from, .port = packet->source_port, .kind = rule->kind};
    told->error.to = sim_socket_address(sim_host_socket(receiver, 0));
    told->error.to.port = packet->destination_port;
    told->error.error = error;
    told->error.packet_bytes = error == EMSGSIZE ? rule->limit : 0;
    TAILQ_INSERT_TAIL(&fault->telling, told, all);
    fault->pending++;
    sim_alarm_init(&told->alarm, told_ring);
    sim_alarm_set(sim_world_clock(fault->world), &told->alarm,
                  sim_world_now(fault->world) + rule->tell_delay);
}

/* ---- what rules do ---- */

/* The packet is lost, unless a rule before has lost it already. Returns whether it was this one. */
static bool lose(struct sim_fault *fault, uint32_t number)
{
    if (fault->verdict.is_lost)
        return false;
    fault->verdict.is_lost = true;
    fault->verdict.lost_by = fault->options.rules[number].kind;
    fault->states[number].acts++;
    fault->counts.acts[fault->verdict.lost_by]++;
    return true;
}

static void delay(struct sim_fault *fault, uint32_t number, sim_time late)
{
    fault->verdict.delay[0] += late;
    fault->verdict.delay[1] += late;
    fault->states[number].acts++;
    fault->counts.acts[fault->options.rules[number].kind]++;
}

static bool is_lost_in_burst(const struct sim_fault_rule *rule, struct rule_state *state,
                             const struct sim_packet *packet)
{
    uint64_t link = UINT64_C(1) << packet->to % 64;
    bool is_bad = (state->bad_links & link) != 0;
    bool turns = is_drawn(state, is_bad ? rule->end_chance : rule->chance);
    bool is_hit = is_drawn(state, rule->bad_chance);

    if (turns)
        state->bad_links ^= link;
    return is_hit && (state->bad_links & link) != 0;
}

static void apply_loss(struct sim_fault *fault, uint32_t number, const struct sim_packet *packet)
{
    const struct sim_fault_rule *rule = &fault->options.rules[number];
    struct rule_state *state = &fault->states[number];
    bool is_lost = false;
    bool is_told = false;
    int error = 0;

    switch (rule->kind) {
    case SIM_FAULT_BURSTS:
        is_lost = is_lost_in_burst(rule, state, packet);
        break;
    case SIM_FAULT_ONE:
        is_lost = state->seen == rule->number;
        break;
    case SIM_FAULT_PARTITION:
        is_lost = is_drawn(state, rule->chance);
        is_told = is_drawn(state, rule->tell_chance);
        error = EHOSTUNREACH;
        break;
    case SIM_FAULT_PATH:
        is_lost = packet->length > rule->limit;
        is_told = is_drawn(state, rule->tell_chance);
        error = EMSGSIZE;
        break;
    case SIM_FAULT_PROTOCOL:
        is_lost = is_drawn(state, rule->chance);
        is_told = true;
        error = EPROTONOSUPPORT;
        break;
    default:
        is_lost = is_drawn(state, rule->chance);
        break;
    }
    if (is_lost && lose(fault, number) && is_told)
        tell(fault, rule, packet, error);
}

static void apply_spike(struct sim_fault *fault, uint32_t number, sim_time now)
{
    const struct sim_fault_rule *rule = &fault->options.rules[number];
    struct rule_state *state = &fault->states[number];
    bool begins = is_drawn(state, rule->chance);

    if (begins && state->spike_end <= now)
        state->spike_end = now + rule->delay;
    if (state->spike_end > now)
        delay(fault, number, state->spike_end - now);
}

static void apply_lateness(struct sim_fault *fault, uint32_t number)
{
    const struct sim_fault_rule *rule = &fault->options.rules[number];
    struct rule_state *state = &fault->states[number];
    bool is_hit = is_drawn(state, rule->chance);
    sim_time late = 1 + base_random_below(&state->random, rule->delay > 0 ? rule->delay : 1);

    if (!is_hit)
        return;
    if (rule->kind == SIM_FAULT_REORDER) {
        delay(fault, number, late);
        return;
    }
    /* A packet has one copy at most: that of the first rule that wants one. */
    if (fault->verdict.is_doubled)
        return;
    fault->verdict.is_doubled = true;
    fault->verdict.delay[1] += late;
    state->acts++;
    fault->counts.acts[SIM_FAULT_DUPLICATE]++;
}

static void apply_change(struct sim_fault *fault, uint32_t number, struct sim_packet *packet)
{
    const struct sim_fault_rule *rule = &fault->options.rules[number];
    struct rule_state *state = &fault->states[number];
    bool is_changed = false;

    if (!is_drawn(state, rule->chance))
        return;
    if (rule->kind == SIM_FAULT_HEADER)
        is_changed = sim_damage_header(packet, &state->random);
    else if (rule->kind == SIM_FAULT_PAYLOAD)
        is_changed = sim_damage_payload(packet, &state->random);
    else if (rule->kind == SIM_FAULT_TRUNCATE)
        is_changed = sim_damage_truncate(packet, &state->random);
    else
        is_changed = sim_damage_extend(packet, &state->random);
    if (!is_changed)
        return;
    if (packet->bytes != NULL)
        memcpy(packet->header, packet->bytes, packet->header_length);
    fault->verdict.changes |= 1u << rule->kind;
    state->acts++;
    fault->counts.acts[rule->kind]++;
}

static void apply(struct sim_fault *fault, uint32_t number, struct sim_packet *packet, sim_time now)
{
    fault->states[number].seen++;
    switch (fault->options.rules[number].kind) {
    case SIM_FAULT_LOSS:
    case SIM_FAULT_BURSTS:
    case SIM_FAULT_ONE:
    case SIM_FAULT_PARTITION:
    case SIM_FAULT_DETECTED:
    case SIM_FAULT_PATH:
    case SIM_FAULT_PROTOCOL:
        apply_loss(fault, number, packet);
        return;
    case SIM_FAULT_DUPLICATE:
    case SIM_FAULT_REORDER:
        apply_lateness(fault, number);
        return;
    case SIM_FAULT_SPIKE:
        apply_spike(fault, number, now);
        return;
    case SIM_FAULT_HEADER:
    case SIM_FAULT_PAYLOAD:
    case SIM_FAULT_TRUNCATE:
    case SIM_FAULT_EXTEND:
        apply_change(fault, number, packet);
        return;
    case SIM_FAULT_REFUSE:
    case SIM_FAULT_KINDS:
        return; /* judged on arrival */
    }
}

/* ---- the hook ---- */

static void count_lost(struct sim_fault *fault, uint16_t types)
{
    fault->counts.lost++;
    for (unsigned type = 0; type < HOMA_PACKET_TYPES; type++) {
        if ((types >> type & 1) != 0)
            fault->counts.types[type]++;
    }
}

static void limit_delays(struct sim_fault *fault)
{
    sim_time limit = fault->options.delay_limit;

    for (int copy = 0; copy < 2 && limit != 0; copy++) {
        if (fault->verdict.delay[copy] > limit)
            fault->verdict.delay[copy] = limit;
    }
}

static void fault_decide(void *context, struct sim_packet *packet, struct sim_fate *fate)
{
    struct sim_fault *fault = context;
    sim_time now = sim_world_now(fault->world);
    uint16_t types = sim_packet_types(packet);

    fault->counts.packets++;
    fault->verdict = (struct sim_fault_verdict){0};
    for (uint32_t i = 0; i < fault->options.rule_count; i++) {
        if (is_about(&fault->options.rules[i], now, packet, types))
            apply(fault, i, packet, now);
    }
    limit_delays(fault);
    if (fault->verdict.is_lost) {
        count_lost(fault, types);
    } else if (fault->verdict.changes != 0) {
        fault->counts.changed++;
        fault->was_changed[packet->from * fault->hosts + packet->to] = true;
    }
    fate->copies = fault->verdict.is_lost ? 0 : fault->verdict.is_doubled ? 2 : 1;
    fate->delay[0] = fault->verdict.delay[0];
    fate->delay[1] = fault->verdict.delay[1];
}

/* Lets everything in; a kernel's answer to a packet for a closed port is all there is to do. */
static bool fault_admit(void *context, const struct sim_packet *packet)
{
    struct sim_fault *fault = context;
    sim_time now = sim_world_now(fault->world);
    bool is_told = false;

    if (!sim_host_is_up(sim_world_host(fault->world, packet->to)) ||
        is_open(fault->world, packet->to, packet->destination_port))
        return true;
    uint16_t types = sim_packet_types(packet);

    for (uint32_t i = 0; i < fault->options.rule_count; i++) {
        const struct sim_fault_rule *rule = &fault->options.rules[i];
        struct rule_state *state = &fault->states[i];

        if (rule->kind != SIM_FAULT_REFUSE || !is_about(rule, now, packet, types) ||
            !is_drawn(state, rule->chance) || is_told)
            continue;
        is_told = true;
        state->acts++;
        fault->counts.acts[SIM_FAULT_REFUSE]++;
        tell(fault, rule, packet, ECONNREFUSED);
    }
    return true;
}

struct sim_hook sim_fault_hook(struct sim_fault *fault)
{
    return (struct sim_hook){.context = fault, .decide = fault_decide, .admit = fault_admit};
}

/* ---- the object ---- */

struct sim_fault *sim_fault_open(const struct sim_fault_options *options, struct sim_world *world)
{
    struct sim_fault *fault = sim_allocate(1, sizeof(*fault));

    assert(options->rule_count <= SIM_FAULT_RULES_MAX);
    fault->options = *options;
    fault->world = world;
    fault->hosts = sim_world_host_count(world);
    fault->was_changed = sim_allocate((size_t)fault->hosts * fault->hosts, sizeof(bool));
    TAILQ_INIT(&fault->telling);
    for (uint32_t i = 0; i < options->rule_count; i++)
        fault->states[i].random = base_random_seed(base_mix(options->seed) + i);
    return fault;
}

void sim_fault_close(struct sim_fault *fault)
{
    if (fault == NULL)
        return;
    for (struct told *told = TAILQ_FIRST(&fault->telling), *next = NULL; told != NULL;
         told = next) {
        next = TAILQ_NEXT(told, all);
        sim_alarm_cancel(sim_world_clock(fault->world), &told->alarm);
        free(told);
    }
    free(fault->was_changed);
    free(fault);
}

const struct sim_fault_counts *sim_fault_counts(const struct sim_fault *fault)
{
    return &fault->counts;
}

uint64_t sim_fault_rule_acts(const struct sim_fault *fault, uint32_t rule)
{
    assert(rule < fault->options.rule_count);
    return fault->states[rule].acts;
}

bool sim_fault_was_changed(const struct sim_fault *fault, uint32_t from, uint32_t to)
{
    assert(from < fault->hosts && to < fault->hosts);
    return fault->was_changed[from * fault->hosts + to];
}

uint32_t sim_fault_pending(const struct sim_fault *fault)
{
    return fault->pending;
}

const char *sim_fault_verdict(struct sim_fault *fault)
{
    sim_fault_verdict_text(&fault->verdict, fault->text, sizeof(fault->text));
    fault->verdict = (struct sim_fault_verdict){0};
    return fault->text;
}
