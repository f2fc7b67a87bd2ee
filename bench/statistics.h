/*
 * Medians and what can be said about them without assuming any distribution. Values that are not
 * numbers (NAN: not measured) must have been left out before.
 */
#ifndef BENCH_STATISTICS_H
#define BENCH_STATISTICS_H

#include <stddef.h>

struct interval {
    double low;
    double median;
    double high;
};

/* Sorts the values and gives the one at this fraction of the way (0.5: the median). count > 0. */
double statistics_quantile(double *values, size_t count, double fraction);

/*
 * Sorts the values and gives their median with its 95 % confidence interval: the pair of order
 * statistics that holds the true median with at least that probability, by the binomial
 * distribution. With fewer than 6 values there is none: low and high are the extremes.
 */
struct interval statistics_interval(double *values, size_t count);

#endif
