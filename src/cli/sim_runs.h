/*
 * Runs of a simulation in parallel, each in a process of its own: a run that dies takes no other
 * with it, and the results are read in the order of their numbers, so that the number of processes
 * at a time changes nothing but the time it takes.
 */
#ifndef CLI_SIM_RUNS_H
#define CLI_SIM_RUNS_H

#include <stdint.h>
#include <stdio.h>

struct sim_runs_report;

struct sim_runs {
    uint32_t count;   /* of runs, numbered from 0 */
    uint32_t jobs;    /* at a time */
    const char *what; /* for messages: "cluster" */
    /* In the child: does run `number` and writes its result to the file. Returns 0, or a negative
     * errno after it has said what was wrong. */
    int (*run)(void *context, uint32_t number, struct sim_runs_report *report, FILE *file);
    void *run_context;
    /* In the parent, in order, as soon as it can be: reads what run() has written. Returns 0 or a
     * negative errno. */
    int (*read)(void *context, uint32_t number, FILE *file);
    void *read_context;
};

/* Does all runs, with a progress bar on standard error if that is a terminal. Returns 0 or a
 * negative errno, after saying what was wrong. */
int sim_runs(const struct sim_runs *runs);

/* For run(): how far it is, in thousandths. `context` is the report. */
void sim_runs_progress(void *context, unsigned permille);

#endif
