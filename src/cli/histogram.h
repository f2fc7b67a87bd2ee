/*
 * Counts of durations, for percentiles of millions of RPCs in a fixed 30 KB: one bucket per value
 * below 64 ns, then 64 buckets per doubling, so that a percentile is at most 0.05 % too high. Made
 * and read by one thread; no allocation, no clock.
 */
#ifndef CLI_HISTOGRAM_H
#define CLI_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS    11 /* of a value that tell its bucket, beside its magnitude */
#define HISTOGRAM_BUCKETS ((65 - HISTOGRAM_BITS) << HISTOGRAM_BITS)

/* Zeroed, it is empty. */
struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t count; /* of all values */
    uint64_t min;
    uint64_t max;
};

void histogram_add(struct histogram *histogram, uint64_t value);

/*
 * The smallest value that at least `thousandths` of 1,000 values do not exceed: 500 is the median,
 * 999 is p99.9. Between min and max, at most 0.05 % too high. 0 when empty.
 */
uint64_t histogram_percentile(const struct histogram *histogram, unsigned thousandths);

#endif
