/*
 * What happened in runs of disaster, added up and printed; and what ought to have happened in many
 * of them and did not, because a soak in which nothing happens proves nothing.
 */
#include "sim/disaster.h"

#include <inttypes.h>

static const char *const event_names[SIM_EVENT_KINDS] = {"crashes", "pauses", "closed sockets",
                                                         "sockets that aborted all calls"};
static const char *const sight_names[SIM_OVERFLOW + 1] = {
    "sent", "delivered", "lost", "dropped by full queues", "come to nobody or a full buffer"};

#define PACKET_NAME(type) #type,
static const char *const packet_names[HOMA_PACKET_TYPES] = {HOMA_PACKET_TYPE_NAMES(PACKET_NAME)};

/* Runs after which each of these things has surely happened. */
#define RUNS_FOR_ALL 1000u

void sim_outcome_add(struct sim_outcome_counts *sum, const struct sim_outcome_counts *counts)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)counts;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
        to[i] += from[i];
}

static void print_list(FILE *stream, const char *title, const uint64_t *values,
                       const char *const *names, unsigned count)
{
    const char *separator = " ";

    fprintf(stream, "%s", title);
    for (unsigned i = 0; i < count; i++) {
        if (values[i] == 0)
            continue;
        fprintf(stream, "%s%" PRIu64 " %s", separator, values[i], names[i]);
        separator = ", ";
    }
    fprintf(stream, "%s\n", separator[0] == ' ' ? " none" : "");
}

void sim_outcome_print(const struct sim_outcome_counts *counts, FILE *stream)
{
    const char *fault_names[SIM_FAULT_KINDS];
    const char *act_names[SIM_HOSTILE_ACTS];

    for (unsigned kind = 0; kind < SIM_FAULT_KINDS; kind++)
        fault_names[kind] = sim_fault_kind_name((enum sim_fault_kind)kind);
    for (unsigned act = 0; act < SIM_HOSTILE_ACTS; act++)
        act_names[act] = sim_hostile_act_name((enum sim_hostile_act)act);
    fprintf(stream,
            "calls:     %" PRIu64 ": %" PRIu64 " answered, %" PRIu64 " timed out, %" PRIu64
            " failed by the network's word, %" PRIu64 " aborted, %" PRIu64
            " lost with their socket; %" PRIu64 " executions\n",
            counts->calls, counts->answered, counts->failed[0], counts->failed[1],
            counts->abandoned, counts->lost, counts->executed);
    print_list(stream, "datagrams:", counts->sights, sight_names, SIM_OVERFLOW + 1);
    print_list(stream, "packets:  ", counts->engines.packets_sent, packet_names, HOMA_PACKET_TYPES);
    print_list(stream, "faults:   ", counts->faults, fault_names, SIM_FAULT_KINDS);
    print_list(stream, "events:   ", counts->events, event_names, SIM_EVENT_KINDS);
    print_list(stream, "hostility:", counts->hostilities, act_names, SIM_HOSTILE_ACTS);
    fprintf(stream,
            "judged:    %" PRIu64 " looks into all structures, %" PRIu64
            " decisions of schedulers, %" PRIu64 ".%03" PRIu64 " s of virtual time\n",
            counts->inspections, counts->grants_judged, counts->virtual_ms / 1000,
            counts->virtual_ms % 1000);
}

static unsigned miss(FILE *stream, uint64_t value, const char *what, const char *name)
{
    if (value > 0)
        return 0;
    fprintf(stream, "never happened: %s%s\n", what, name);
    return 1;
}

static unsigned miss_counters(const struct homa_counters *engines, FILE *stream)
{
    size_t count;
    const struct homa_counter_info *table = homa_counter_table(&count);
    unsigned missing = 0;

    for (size_t i = 0; i < count; i++) {
        const uint64_t *value =
            (const uint64_t *)(const void *)((const char *)engines + table[i].offset);

        missing += miss(stream, *value, "counter ", table[i].name);
    }
    return missing;
}

unsigned sim_outcome_missing(const struct sim_outcome_counts *counts, FILE *stream)
{
    unsigned missing = 0;

    if (counts->runs < RUNS_FOR_ALL)
        return 0;
    for (unsigned i = 0; i < SIM_EVENT_KINDS; i++)
        missing += miss(stream, counts->events[i], "", event_names[i]);
    for (unsigned i = 0; i <= SIM_OVERFLOW; i++)
        missing += miss(stream, counts->sights[i], "datagrams ", sight_names[i]);
    for (unsigned i = 0; i < SIM_FAULT_KINDS; i++)
        missing +=
            miss(stream, counts->faults[i], "fault ", sim_fault_kind_name((enum sim_fault_kind)i));
    for (unsigned i = 0; i < SIM_HOSTILE_ACTS; i++)
        missing += miss(stream, counts->hostilities[i], "hostility ",
                        sim_hostile_act_name((enum sim_hostile_act)i));
    missing += miss(stream, counts->answered, "", "answered calls");
    missing += miss(stream, counts->failed[0], "", "calls that timed out");
    missing += miss(stream, counts->failed[1], "", "calls that failed by the network's word");
    missing += miss(stream, counts->abandoned, "", "aborted calls");
    return missing + miss_counters(&counts->engines, stream);
}
