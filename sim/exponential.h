/*
 * Exponentially distributed times between arrivals, and the logarithm they need, in fixed point:
 * what libm returns in the last bit differs from one machine to the next, and one bit is another
 * run.
 */
#ifndef SIM_EXPONENTIAL_H
#define SIM_EXPONENTIAL_H

#include "base/random.h"

#include <stdint.h>

#define SIM_LOG2_ONE (UINT64_C(1) << 32)

/* The binary logarithm of value (not 0) in units of 2^-32, rounded down or one unit less. */
uint64_t sim_log2(uint64_t value);

/*
 * A number from the exponential distribution of this mean (below 2^57), to a 2^-32 of the mean:
 * 0 .. 44.4 × mean. Takes one draw.
 */
uint64_t sim_exponential(struct base_random *random, uint64_t mean);

#endif
