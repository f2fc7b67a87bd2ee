/*
 * Many seeded disasters in parallel: worker processes that run one seed after the other, so that a
 * run that dies takes only its own process with it, and a parent that deals out seeds and adds up
 * what comes back. What it prints in the end depends on the seeds alone, not on the number of
 * workers or on who was faster.
 */
#ifndef CLI_SIM_SOAK_H
#define CLI_SIM_SOAK_H

#include <stdint.h>
#include <stdbool.h>

struct soak_options {
    const uint64_t *list; /* these seeds, or NULL: first and the count - 1 that follow */
    uint64_t first;
    uint64_t count;   /* UINT64_MAX: until time is up */
    uint64_t time_ns; /* start no seed later than this; UINT64_MAX = no limit */
    unsigned jobs;
    bool quiet; /* no progress line */
};

/* Runs them and prints what happened. Returns an exit status of the command. */
int soak_run(const struct soak_options *options);

#endif
