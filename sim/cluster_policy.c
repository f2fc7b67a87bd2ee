/*
 * The parameters of the experiment (cluster.h): the published set-up, and two policies for it, the
 * published one and ours. They differ in knobs of src/homa only; docs/scheduling.md has what each
 * rule buys.
 */
#include "sim/cluster.h"

#include <assert.h>
#include <string.h>

/* What we found best for each workload; the rule for all others is the last line. */
struct tuning {
    const char *workload;
    uint32_t scheduled_levels; /* as published: the paper's degree of overcommitment too */
    uint32_t overcommit;       /* ours */
    uint32_t window_packets;   /* ours; 0 = as many as unscheduled ones */
    uint32_t grant_bytes;      /* ours */
    uint32_t age_bytes;        /* ours, per microsecond at 10 Gbit/s */
    uint32_t defer_bytes;      /* ours: shorter messages go first, whatever the age of others */
    uint32_t fifo_thousandths; /* ours, of the sender's packets */
};

static const struct tuning tunings[] = {
    {"w1", 1, 1, 0, 10000, 80, 100, 0},  {"w2", 3, 3, 0, 10000, 20, 1000, 0},
    {"w3", 4, 4, 5, 1000, 20, 1000, 0},  {"w4", 7, 7, 0, 10000, 0, 1000, 50},
    {"w5", 7, 7, 0, 10000, 0, 1000, 50}, {"", 4, 4, 0, 10000, 20, 1000, 0},
};

static const struct tuning *tuning_for(const struct sim_workload *workload)
{
    const struct tuning *tuning = tunings;

    while (tuning->workload[0] != '\0' &&
           strcmp(sim_workload_name(workload), tuning->workload) != 0)
        tuning++;
    return tuning;
}

void sim_cluster_defaults(struct sim_cluster_options *options)
{
    *options = (struct sim_cluster_options){
        .network = {.topology = SIM_RACKS,
                    .hosts = 144,
                    .hosts_per_rack = 16,
                    .core_switches = 4,
                    .host_mbps = 10000,
                    .core_mbps = 40000,
                    .switch_delay = 250 * SIM_NS,
                    .receive_delay = 500 * SIM_NS,
                    .priorities = 8},
        .host = {.sockets = 1,
                 .ports = {4000},
                 .is_server = {true},
                 .region_bpages = 16384,
                 .max_message = 64000000,
                 .max_rpcs = 2048,
                 .max_peers = 256,
                 .max_tombstones = 256,
                 .sched_limit = UINT32_MAX,
                 .sched_messages = 4096,
                 .send_delay = 500 * SIM_NS,
                 .output_batch = 1,
                 .wire_minimum = 84},
        .seed = 1,
        .start_delay = 500 * SIM_NS,
        .load_permille = 800,
        .warmup = 20000,
        .messages = 100000,
    };
    homa_knobs_default(&options->host.knobs);
    options->host.knobs.flags = HOMA_KNOB_FLAG_DONT_THROTTLE;
    sim_cluster_use_wire(options, false);
}

/* A full frame is 1,538 bytes of the link either way, gap and preamble included. The paper's
 * packets carry 1,442 bytes of an unscheduled message; our own headers leave 1,416. */
void sim_cluster_use_wire(struct sim_cluster_options *options, bool is_papers)
{
    uint32_t payload = is_papers ? 1442 : 1416;

    options->host.packet_bytes = HOMA_DATA_HEADER_LENGTH + payload;
    options->host.wire_overhead = 1538 - options->host.packet_bytes;
}

static uint32_t packet_payload(const struct sim_cluster_options *options)
{
    return options->host.packet_bytes - HOMA_DATA_HEADER_LENGTH;
}

/*
 * The bytes that a sender must be allowed to send ahead to keep the link busy while a grant comes
 * back, in whole packets: the published 7 packets at 10 Gbit/s, and as much longer as the links are
 * faster.
 */
static uint32_t packets_in_round_trip(const struct sim_cluster_options *options)
{
    const struct sim_network_options *network = &options->network;
    sim_time packet = 1538 * (UINT64_C(8000000) / network->host_mbps);
    sim_time there =
        sim_cluster_ideal(options, packet_payload(options), false) - options->start_delay;
    sim_time back = sim_cluster_ideal(options, 1, false) - options->start_delay;

    return (uint32_t)((there + back + packet - 1) / packet) + 1;
}

static void use_common(struct sim_cluster_options *options)
{
    struct homa_knobs *knobs = &options->host.knobs;

    knobs->unsched_bytes = packets_in_round_trip(options) * packet_payload(options);
    knobs->window = knobs->unsched_bytes;
    knobs->max_incoming = INT32_MAX;
    knobs->grant_fifo_fraction = 0;
}

void sim_cluster_use_published_policy(struct sim_cluster_options *options)
{
    const struct tuning *tuning = tuning_for(options->workload);
    struct homa_knobs *knobs = &options->host.knobs;

    use_common(options);
    knobs->max_overcommit = tuning->scheduled_levels;
    sim_workload_cutoffs(options->workload, HOMA_PRIORITIES - tuning->scheduled_levels,
                         knobs->unsched_bytes, packet_payload(options),
                         options->host.wire_overhead + HOMA_DATA_HEADER_LENGTH,
                         knobs->unsched_cutoffs);
}

/* The largest value whose levels-th power is at most `value` shifted by 16 bits a factor: a root in
 * 16.16 fixed point. */
static uint64_t root(uint64_t value, unsigned levels)
{
    uint64_t low = UINT64_C(1) << 16;
    uint64_t high = value << 16;

    while (low + 1 < high) {
        uint64_t middle = low + (high - low) / 2;
        unsigned __int128 power = UINT64_C(1) << 16;

        for (unsigned i = 0; i < levels && power >> 16 <= value; i++)
            power = power * middle >> 16;
        if (power >> 16 < value)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/*
 * Cutoffs in even steps: from the median length up to the unscheduled bytes, each level takes
 * messages so many times longer than the level above. Equal shares of the bytes, the published
 * rule, leave one level to all the long ones, where they wait for each other.
 */
static void use_even_steps(struct sim_cluster_options *options, unsigned levels)
{
    struct homa_knobs *knobs = &options->host.knobs;
    uint32_t lowest = HOMA_PRIORITIES - levels;
    uint64_t median = sim_workload_quantile(options->workload, SIM_PPM / 2);
    uint64_t top = knobs->unsched_bytes;
    uint32_t cutoff = 0;

    memset(knobs->unsched_cutoffs, 0, sizeof(knobs->unsched_cutoffs));
    if (levels > 1 && median < top) {
        uint64_t step = root(top / median, levels - 1);
        uint64_t at = median << 16;

        for (uint32_t level = HOMA_PRIORITIES - 1; level > lowest; level--) {
            uint32_t next = (uint32_t)(at >> 16);

            cutoff = next > cutoff ? next : cutoff + 1;
            knobs->unsched_cutoffs[level] = cutoff;
            at = (uint64_t)((unsigned __int128)at * step >> 16);
        }
    }
    knobs->unsched_cutoffs[lowest] = HOMA_CUTOFF_ALL;
}

void sim_cluster_use_our_policy(struct sim_cluster_options *options)
{
    const struct tuning *tuning = tuning_for(options->workload);
    struct homa_knobs *knobs = &options->host.knobs;

    use_common(options);
    knobs->max_overcommit = tuning->overcommit;
    if (tuning->window_packets != 0)
        knobs->window = knobs->unsched_bytes * tuning->window_packets / 7;
    knobs->grant_bytes = tuning->grant_bytes;
    knobs->age_bytes_per_usec = tuning->age_bytes * (options->network.host_mbps / 1000) / 10;
    knobs->pacer_fifo_fraction = tuning->fifo_thousandths;
    knobs->defer_min_bytes = tuning->defer_bytes;
    use_even_steps(options, HOMA_PRIORITIES - tuning->scheduled_levels);
}

void sim_cluster_use_ours(struct sim_cluster_options *options)
{
    sim_cluster_use_wire(options, false);
    sim_cluster_use_our_policy(options);
}

void sim_cluster_use_paper(struct sim_cluster_options *options)
{
    sim_cluster_use_wire(options, true);
    sim_cluster_use_published_policy(options);
}
