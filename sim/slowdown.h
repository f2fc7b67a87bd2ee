/*
 * How much longer messages took than on an idle network. One sample per message: its length and its
 * slowdown, in thousandths, in 8 bytes. Percentiles are those of the samples, not of a histogram.
 *
 * Samples are reported by rows, each for a range of lengths. So that rows can be put beside
 * published ones, which may count lengths in another way, their borders are found by the share of
 * messages that are shorter, not by the length as such.
 */
#ifndef SIM_SLOWDOWN_H
#define SIM_SLOWDOWN_H

#include "sim/workload.h"

#include <stdint.h>
#include <stdio.h>

#define SIM_SLOWDOWN_ONE 1000u /* not slowed down at all */
#define SIM_ROWS_MAX     128u

struct sim_slowdown;

/* Returns NULL when there is no memory. */
struct sim_slowdown *sim_slowdown_open(void);
/* NULL is allowed. */
void sim_slowdown_close(struct sim_slowdown *slowdown);

/*
 * Adds a message that took `elapsed`, and on an idle network would have taken `ideal` (not 0). The
 * quotient is rounded to the nearest thousandth; beyond 4,294,967 it counts as that. This and all
 * below end the process when there is no memory.
 */
void sim_slowdown_add(struct sim_slowdown *slowdown, uint32_t length, uint64_t elapsed,
                      uint64_t ideal);
uint64_t sim_slowdown_count(const struct sim_slowdown *slowdown);

/*
 * Hands the samples to another process of the same machine, which adds them to its own. The order
 * in which samples were added never matters. Returns 0, or -EIO (also: what was read is cut short).
 */
int sim_slowdown_write(const struct sim_slowdown *slowdown, FILE *file);
int sim_slowdown_read(struct sim_slowdown *slowdown, FILE *file);

/* Messages of lower .. upper bytes, and their slowdown in thousandths; all 0 without messages. */
struct sim_row {
    uint32_t lower;
    uint32_t upper;
    uint32_t begin_ppm; /* which share of the workload's messages is shorter than lower ... */
    uint32_t end_ppm;   /* ... and no longer than upper */
    uint64_t count;     /* published rows: their share of the messages, in parts per 10^9 */
    uint32_t mean;
    uint32_t p50;  /* the smallest slowdown that at least half of the messages do not exceed ... */
    uint32_t p99;  /* ... at least 99 % */
    uint32_t p999; /* published rows: not known, 0 */
};

struct sim_rows {
    uint32_t count;
    struct sim_row rows[SIM_ROWS_MAX];
};

/* All messages in one row. */
void sim_slowdown_all(const struct sim_slowdown *slowdown, const struct sim_workload *workload,
                      struct sim_rows *rows);

/* For people: tenths of the messages, the last one cut at 99 % and 99.9 %. */
void sim_slowdown_tenths(const struct sim_slowdown *slowdown, const struct sim_workload *workload,
                         struct sim_rows *rows);

/*
 * For figures and charts: borders at the shares at which the published rows end, or without such
 * (NULL) at every hundredth. Published rows that end within the same length become one.
 */
void sim_slowdown_fine(const struct sim_slowdown *slowdown, const struct sim_workload *workload,
                       const struct sim_rows *published, struct sim_rows *rows);

/*
 * The figures by which policies are compared, each the mean of a column of rows, weighted by the
 * count of messages: over the rows wholly within the smaller half of the messages (end_ppm at most
 * 50 %), and over those wholly within the largest hundredth (begin_ppm at least 99 %). 0 when there
 * is no such row with messages in it. They are meant for fine rows and for published ones.
 */
struct sim_digest {
    uint32_t half_p50;
    uint32_t half_p99;
    uint32_t largest_p50;
    uint32_t largest_p99;
};
struct sim_digest sim_rows_digest(const struct sim_rows *rows);

#endif
