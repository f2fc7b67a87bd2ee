/*
 * How long messages take on an idle path, measured for some lengths and interpolated for the
 * others. Where the time cannot be computed, because real machines are involved, a slowdown is
 * counted from this; and so that both sides are treated alike, from this in the simulation as well.
 */
#ifndef SIM_IDLE_H
#define SIM_IDLE_H

#include "sim/stream.h"

#include <stdint.h>
#include <stdio.h>

#define SIM_IDLE_MAX 48u

struct sim_idle {
    uint32_t count;
    uint32_t lengths[SIM_IDLE_MAX]; /* rising */
    uint64_t ns[SIM_IDLE_MAX];      /* to be filled in by who measures */
};

/* Chooses lengths from the shortest to the longest of the stream, each about half as long again as
 * the one before. */
void sim_idle_choose(struct sim_idle *idle, const struct sim_stream_options *options);

/* The time of any length, in nanoseconds, never 0: on the straight line between its neighbours. */
uint64_t sim_idle_time(const struct sim_idle *idle, uint32_t length);

/* A line of column names, then one per length. */
void sim_idle_csv(FILE *file, const struct sim_idle *idle);

#endif
