/*
 * Log-linear buckets. A value of more bits than HISTOGRAM_BITS is named by its highest ones: the
 * position of the top one chooses a group of buckets, the HISTOGRAM_BITS below it the bucket in the
 * group.
 */
#include "cli/histogram.h"

#include <assert.h>

#define GROUP (1u << HISTOGRAM_BITS)

static unsigned bucket_of(uint64_t value)
{
    unsigned shift;

    if (value < GROUP)
        return (unsigned)value;
    shift = 63 - HISTOGRAM_BITS - (unsigned)__builtin_clzll(value);
    return shift * GROUP + (unsigned)(value >> shift);
}

/* The largest value that falls into a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
    unsigned shift;

    if (bucket < 2 * GROUP)
        return bucket;
    shift = bucket / GROUP - 1;
    return ((uint64_t)(bucket - shift * GROUP) << shift) + (((uint64_t)1 << shift) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    unsigned bucket = bucket_of(value);

    assert(bucket < HISTOGRAM_BUCKETS);
    histogram->counts[bucket]++;
    if (histogram->count == 0 || value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->count++;
}

uint64_t histogram_percentile(const struct histogram *histogram, unsigned thousandths)
{
    /* The rank of the value wanted, rounded up, counted from 1. */
    uint64_t rank = histogram->count / 1000 * thousandths;
    uint64_t seen = 0;

    assert(thousandths <= 1000);
    rank += (histogram->count % 1000 * thousandths + 999) / 1000;
    if (histogram->count == 0)
        return 0;
    if (rank == 0)
        return histogram->min;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (seen >= rank) {
            uint64_t end = bucket_end(bucket);

            return end < histogram->max ? end : histogram->max;
        }
    }
    return histogram->max;
}
