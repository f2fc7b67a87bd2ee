/*
 * A small seeded generator (a counter and a mixing function, as in SplitMix64): the same seed gives
 * the same sequence on every machine, which is what replaying a failing run rests on. Not for
 * secrets.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include "base/hash.h"

#include <stdbool.h>

struct base_random {
    uint64_t state;
};

static inline struct base_random base_random_seed(uint64_t seed)
{
    return (struct base_random){.state = seed};
}

static inline uint64_t base_random_u64(struct base_random *random)
{
    random->state += 0x9e3779b97f4a7c15u;
    return base_mix(random->state);
}

/* Uniform in 0 .. bound - 1; bound must not be 0. The bias is below bound / 2^64. */
static inline uint64_t base_random_below(struct base_random *random, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)base_random_u64(random) * bound) >> 64);
}

/* True with the given probability (0 .. 1). */
static inline bool base_random_chance(struct base_random *random, double probability)
{
    return (double)(base_random_u64(random) >> 11) * 0x1p-53 < probability;
}

#endif
