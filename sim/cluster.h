/*
 * The published experiment: hosts of a data centre send one-way messages to each other at random
 * times, and each message's slowdown is measured, that is, how many times longer it took than the
 * same message between the same hosts on an idle network. What it measures is the policy of
 * src/homa: nothing here schedules anything.
 *
 * A message is the request of an RPC. When the receiver's program has it, it ends the RPC there
 * (homa_engine_drop), and in the same instant the sender forgets it, without a packet: an RPC's
 * reply is not part of the experiment (unless `replies`: loss is not recovered from without).
 * Everything else that the protocol sends is on the wire and counts.
 */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include "sim/network.h"
#include "sim/slowdown.h"
#include "sim/workload.h"
#include "sim/world.h"

#include <stdint.h>
#include <stdbool.h>

enum sim_pattern {
    SIM_UNIFORM, /* any host to any other */
    SIM_INCAST,  /* `senders` hosts, all to host 0 */
};

struct sim_cluster_options {
    struct sim_network_options network;
    struct sim_host_options host; /* the same for all */
    const struct sim_workload *workload;
    uint64_t seed;
    enum sim_pattern pattern;
    uint32_t senders;        /* incast: hosts 1 .. senders */
    sim_time start_delay;    /* from a message's birth until its sender's engine has it */
    bool replies;            /* receivers answer with a byte, instead of ending the RPC */
    uint32_t load_permille;  /* of the busiest kind of host link, in wire bytes */
    uint64_t warmup;         /* messages that are sent before counting begins */
    uint64_t messages;       /* messages that count */
    uint32_t loss_ppm;       /* packets lost at random, of a million */
    uint32_t wire_per_mille; /* wire bytes per 1,000 bytes of message; 0 = computed */
};

/* What the hosts went through while messages were counted. */
struct sim_cluster_result {
    struct sim_slowdown *slowdown; /* the counted messages, finished ones */
    uint64_t finished;
    uint64_t unfinished;    /* counted messages still under way when time was up; not failed ones */
    uint64_t message_bytes; /* of the finished ones */
    uint64_t delivered;     /* datagrams, in the whole run */
    sim_time time;          /* virtual, in which messages were counted */
    sim_time total_time;    /* virtual, whole run */
    struct sim_port_totals ports[SIM_PORT_KINDS];
    struct homa_counters counters; /* sums over all hosts, whole run */
    uint64_t refused; /* messages, beyond those counted, that the sender's engine had no room for */
    uint64_t failed;  /* counted messages that ended with an error */
    uint64_t samples; /* downlinks looked at, ever so often */
    uint64_t wasted_samples; /* of these, idle while an incoming message wanted grants */
    uint64_t lost;           /* packets lost at random */
    uint64_t cpu_ns;         /* spent by the processes of the runs; filled in by them */
    uint64_t memory_bytes;   /* most that one of them used; likewise */
    uint32_t runs;
};

/* The paper's set-up: 144 hosts in 9 racks and so on (issue of record: docs/scheduling.md). Leaves
 * workload unset and the knobs as homa_knobs_default has them. */
void sim_cluster_defaults(struct sim_cluster_options *options);

/* The paper's overheads on the wire, or our own. */
void sim_cluster_use_wire(struct sim_cluster_options *options, bool is_papers);

/* The published parameters for this workload (W1-W5), or close to them for others; and ours. Both
 * want workload, network and wire to be set. */
void sim_cluster_use_published_policy(struct sim_cluster_options *options);
void sim_cluster_use_our_policy(struct sim_cluster_options *options);

/* The published policy on the paper's wire, and ours on ours. */
void sim_cluster_use_paper(struct sim_cluster_options *options);
void sim_cluster_use_ours(struct sim_cluster_options *options);

/* Wire bytes that a message of average length costs a host's link, control packets included, times
 * 1,000 / average length. */
uint64_t sim_cluster_wire_per_mille(const struct sim_cluster_options *options);

/*
 * The time of a message of length bytes on an idle network, between hosts in the same rack or not,
 * if no packet waits for a grant. Exact where packets stay in order; with several core switches a
 * short last packet may overtake the one before it and save as much as its own time on a link.
 */
sim_time sim_cluster_ideal(const struct sim_cluster_options *options, uint32_t length,
                           bool same_rack);

/* What is wrong with the options, as a sentence; NULL when nothing is. */
const char *sim_cluster_fault(const struct sim_cluster_options *options);

/*
 * Runs it. progress (may be NULL) is called now and then with thousandths done. Returns 0, or
 * -EINVAL with *why a sentence. The result's slowdown is the caller's (sim_slowdown_close).
 */
int sim_cluster_run(const struct sim_cluster_options *options,
                    void (*progress)(void *context, unsigned permille), void *context,
                    struct sim_cluster_result *result, const char **why);

/* Hands a result to another process, which adds it to its own: zeros and an open slowdown, or the
 * sum of others. Returns 0 or -EIO. */
int sim_cluster_write(const struct sim_cluster_result *result, FILE *file);
int sim_cluster_read(struct sim_cluster_result *result, FILE *file);

/* The table for people, the same on every machine: sim_slowdown's, then queues, priorities, waste,
 * retransmissions. */
void sim_cluster_print(const struct sim_cluster_options *options,
                       const struct sim_cluster_result *result, FILE *file);

#endif
