/*
 * What came out of the experiment (cluster.h): results of several runs made into one, and the table
 * for people. The slowdowns themselves are printed by report.c.
 */
#include "sim/cluster.h"
#include "sim/report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int sim_cluster_write(const struct sim_cluster_result *result, FILE *file)
{
    if (fwrite(result, sizeof(*result), 1, file) != 1)
        return -EIO;
    return sim_slowdown_write(result->slowdown, file);
}

static uint64_t greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void add_ports(struct sim_port_totals *to, const struct sim_port_totals *from)
{
    to->ports += from->ports;
    to->packets += from->packets;
    to->busy_ps += from->busy_ps;
    to->drops += from->drops;
    to->max_queue_bytes = greater(to->max_queue_bytes, from->max_queue_bytes);
    for (unsigned level = 0; level < SIM_PRIORITIES; level++) {
        to->bytes[level] += from->bytes[level];
        to->queue_byte_ns[level] += from->queue_byte_ns[level];
        to->max_level_bytes[level] =
            greater(to->max_level_bytes[level], from->max_level_bytes[level]);
    }
}

static void add_counters(struct homa_counters *to, const struct homa_counters *from)
{
    uint64_t *sums = (uint64_t *)to;
    const uint64_t *parts = (const uint64_t *)from;

    for (size_t i = 0; i < sizeof(*to) / sizeof(*sums); i++)
        sums[i] += parts[i];
}

int sim_cluster_read(struct sim_cluster_result *result, FILE *file)
{
    struct sim_cluster_result part;

    if (fread(&part, sizeof(part), 1, file) != 1)
        return -EIO;
    result->finished += part.finished;
    result->unfinished += part.unfinished;
    result->message_bytes += part.message_bytes;
    result->delivered += part.delivered;
    result->time += part.time;
    result->total_time += part.total_time;
    result->refused += part.refused;
    result->failed += part.failed;
    result->samples += part.samples;
    result->wasted_samples += part.wasted_samples;
    result->lost += part.lost;
    result->cpu_ns += part.cpu_ns;
    result->memory_bytes = greater(result->memory_bytes, part.memory_bytes);
    result->runs += part.runs;
    for (unsigned kind = 0; kind < SIM_PORT_KINDS; kind++)
        add_ports(&result->ports[kind], &part.ports[kind]);
    add_counters(&result->counters, &part.counters);
    return sim_slowdown_read(result->slowdown, file);
}

/* ---- the table ---- */

/* part / whole in tenths of a percent. */
static unsigned permille(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (unsigned)((unsigned __int128)part * 1000 / whole);
}

static void print_percent(FILE *file, uint64_t part, uint64_t whole)
{
    unsigned share = permille(part, whole);

    fprintf(file, "%3u.%u %%", share / 10, share % 10);
}

static uint64_t all_bytes(const struct sim_port_totals *totals)
{
    uint64_t bytes = 0;

    for (unsigned level = 0; level < SIM_PRIORITIES; level++)
        bytes += totals->bytes[level];
    return bytes;
}

static void print_ports(FILE *file, const struct sim_cluster_result *result)
{
    static const char *const names[SIM_PORT_KINDS] = {"hosts' uplinks", "between switches",
                                                      "to hosts"};

    fprintf(file, "\nlinks              in use   queue mean      max   drops\n");
    for (unsigned kind = 0; kind < SIM_PORT_KINDS; kind++) {
        const struct sim_port_totals *totals = &result->ports[kind];
        unsigned __int128 waiting = 0;
        uint64_t port_time = totals->ports / result->runs * (result->time / SIM_NS);

        if (totals->ports == 0)
            continue;
        for (unsigned level = 0; level < SIM_PRIORITIES; level++)
            waiting += totals->queue_byte_ns[level];
        fprintf(file, "%-17s ", names[kind]);
        print_percent(file, totals->busy_ps / SIM_NS, port_time);
        if (kind == SIM_PORT_UP)
            fprintf(file, "            -        -       -\n");
        else
            fprintf(file, " %10" PRIu64 " B %8" PRIu64 " %7" PRIu64 "\n",
                    port_time == 0 ? 0 : (uint64_t)(waiting / port_time), totals->max_queue_bytes,
                    totals->drops);
    }
}

/* The longest message whose unscheduled bytes use this level of the switches; 0 = none does. */
static uint32_t longest_unscheduled(const struct sim_cluster_options *options, unsigned level)
{
    const struct homa_knobs *knobs = &options->host.knobs;
    uint32_t longest = 0;

    for (unsigned own = 0; own < knobs->num_priorities; own++) {
        uint8_t on_wire = (uint8_t)knobs->priority_map[own];

        if (sim_network_level(&options->network, on_wire) == level &&
            knobs->unsched_cutoffs[own] > longest)
            longest = knobs->unsched_cutoffs[own];
    }
    return longest;
}

static void print_levels(FILE *file, const struct sim_cluster_options *options,
                         const struct sim_cluster_result *result)
{
    const struct sim_port_totals *totals = &result->ports[SIM_PORT_DOWN];
    uint64_t port_time = totals->ports / result->runs * (result->time / SIM_NS);

    fprintf(file,
            "\nlevel  bytes sent   queue mean      max   unscheduled up to (links to hosts)\n");
    for (unsigned level = options->network.priorities; level-- > 0;) {
        uint32_t cutoff = longest_unscheduled(options, level);

        fprintf(file, "%5u     ", level);
        print_percent(file, totals->bytes[level], all_bytes(totals));
        fprintf(file, " %10" PRIu64 " B %8" PRIu64 "   ",
                port_time == 0 ? 0 : totals->queue_byte_ns[level] / port_time,
                totals->max_level_bytes[level]);
        if (cutoff == HOMA_CUTOFF_ALL)
            fprintf(file, "all\n");
        else if (cutoff != 0)
            fprintf(file, "%" PRIu32 "\n", cutoff);
        else
            fprintf(file, "scheduled\n");
    }
}

static void print_run(FILE *file, const struct sim_cluster_result *result)
{
    const uint64_t *sent = result->counters.packets_sent;

    fprintf(file, "\nwasted downlink time, messages waiting:  ");
    print_percent(file, result->wasted_samples, result->samples);
    fprintf(file,
            "\npackets sent: %" PRIu64 " DATA (%" PRIu64 " again), %" PRIu64 " GRANT, %" PRIu64
            " RESEND, %" PRIu64 " BUSY, %" PRIu64 " CUTOFFS\n",
            sent[HOMA_DATA - HOMA_DATA], result->counters.resent_packets,
            sent[HOMA_GRANT - HOMA_DATA], sent[HOMA_RESEND - HOMA_DATA],
            sent[HOMA_BUSY - HOMA_DATA], sent[HOMA_CUTOFFS - HOMA_DATA]);
    if (result->lost > 0)
        fprintf(file, "packets lost at random: %" PRIu64 "\n", result->lost);
    if (result->unfinished + result->refused + result->failed > 0)
        fprintf(file,
                "NOT in the table: %" PRIu64 " unfinished, %" PRIu64 " refused, %" PRIu64
                " failed\n",
                result->unfinished, result->refused, result->failed);
    fprintf(file, "simulated %" PRIu64 ".%03u ms in %u run%s\n", result->total_time / SIM_MS,
            (unsigned)(result->total_time % SIM_MS / SIM_US), result->runs,
            result->runs == 1 ? "" : "s");
}

void sim_cluster_print(const struct sim_cluster_options *options,
                       const struct sim_cluster_result *result, FILE *file)
{
    sim_report_table(file, result->slowdown, options->workload);
    fprintf(file, "\n");
    sim_report_figures(file, result->slowdown, options->workload, options->load_permille);
    print_ports(file, result);
    print_levels(file, options, result);
    print_run(file, result);
}
