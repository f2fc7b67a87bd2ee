/*
 * A seeded disaster: runs one scenario from its first call until everything is quiet again, and
 * returns a verdict. The applications live here (clients that start calls, servers that take, hold
 * and answer them), and so does the fate of hosts; faults of the network are fault.c's, hostility
 * is hostile.c's, and what is right and wrong is judge.c's.
 *
 * A run has three phases. Until scenario.faults_until things go wrong; then the rest of the
 * workload ends in peace; then nothing is started any more, and within a bound that the knobs imply
 * everything must have drained.
 *
 * Deterministic: the same scenario gives the same outcome, byte for byte, on every machine.
 */
#ifndef SIM_DISASTER_H
#define SIM_DISASTER_H

#include "homa/counters.h"
#include "sim/judge.h"
#include "sim/scenario.h"
#include "sim/world.h"

#include <stdint.h>
#include <stdio.h>

/* Where a run is written down (trace.h, pcapng.h), each NULL if nowhere. The files stay the
 * caller's, who also looks for errors of writing. */
struct sim_disaster_record {
    FILE *text;
    FILE *pcapng;
};

/* What happened in a run, so that many runs together prove that things did happen. All fields are
 * sums (uint64_t), in the order of sim_outcome_table. */
struct sim_outcome_counts {
    uint64_t runs;
    uint64_t calls;
    uint64_t answered;
    uint64_t failed[3]; /* by ETIMEDOUT, by an ICMP error, otherwise */
    uint64_t abandoned; /* aborted by the client */
    uint64_t lost;      /* forgotten with their socket or host */
    uint64_t executed;  /* requests that servers took */
    uint64_t events[SIM_EVENT_KINDS];
    uint64_t sights[SIM_OVERFLOW + 1]; /* datagrams, by enum sim_sight */
    uint64_t faults[SIM_FAULT_KINDS];
    uint64_t errors_told; /* by the network, to senders */
    uint64_t hostilities[SIM_HOSTILE_ACTS];
    uint64_t inspections;   /* looks into all structures */
    uint64_t grants_judged; /* scheduling decisions of which each grant was looked at */
    uint64_t virtual_ms;
    struct homa_counters engines; /* of all engines, over all their lives */
};

struct sim_outcome {
    struct sim_verdict verdict;
    uint64_t digest; /* of all sights and outcomes, in their order */
    struct sim_outcome_counts counts;
    uint64_t p99_ns;    /* of calls between honest hosts */
    uint64_t latencies; /* how many that is of */
};

/*
 * Runs it. Where the scenario has a hostile host, runs it a second time without, to compare.
 * `record` may be NULL; it is of the first run. Ends the process only for want of memory, or by an
 * assertion in src/homa.
 */
void sim_disaster_run(const struct sim_scenario *scenario, const struct sim_disaster_record *record,
                      struct sim_outcome *outcome);

/* Adds what happened in one run to the sum of many. */
void sim_outcome_add(struct sim_outcome_counts *sum, const struct sim_outcome_counts *counts);

/* Prints what happened in a few lines. */
void sim_outcome_print(const struct sim_outcome_counts *counts, FILE *stream);

/* What has not happened in any of these runs and should have, in so many of them: prints a line
 * each and returns their number. */
unsigned sim_outcome_missing(const struct sim_outcome_counts *counts, FILE *stream);

#endif
