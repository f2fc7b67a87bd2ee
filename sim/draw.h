/*
 * Drawing values for scenarios from a seeded generator. One draw per statement, always: the order
 * of two draws in one expression, initializer or argument list would be the compiler's, and with it
 * the scenario.
 */
#ifndef SIM_DRAW_H
#define SIM_DRAW_H

#include "base/random.h"

#include <stdint.h>
#include <assert.h>
#include <stdbool.h>

#define SIM_THOUSAND 1000u

static inline uint64_t sim_between(struct base_random *random, uint64_t lowest, uint64_t highest)
{
    assert(lowest <= highest);
    return lowest + base_random_below(random, highest - lowest + 1);
}

static inline uint32_t sim_between_u32(struct base_random *random, uint32_t lowest,
                                       uint32_t highest)
{
    return (uint32_t)sim_between(random, lowest, highest);
}

/* True so many times in a thousand. */
static inline bool sim_chance(struct base_random *random, uint32_t thousandths)
{
    return base_random_below(random, SIM_THOUSAND) < thousandths;
}

/* So many times in a thousand a value up to the highest, else 0. */
static inline uint64_t sim_sometimes(struct base_random *random, uint32_t thousandths,
                                     uint64_t highest)
{
    uint64_t value = sim_between(random, 0, highest);

    return sim_chance(random, thousandths) ? value : 0;
}

/* Small values as often as large ones: uniform in the number of bits, then within. lowest > 0. */
static inline uint64_t sim_any_magnitude(struct base_random *random, uint64_t lowest,
                                         uint64_t highest)
{
    uint64_t fewest = 0;
    uint64_t most = 0;

    assert(lowest > 0);
    while (lowest >> fewest > 1)
        fewest++;
    while (highest >> most > 1)
        most++;
    uint64_t from = UINT64_C(1) << sim_between(random, fewest, most);
    uint64_t to = 2 * from - 1;

    return sim_between(random, from < lowest ? lowest : from, to > highest ? highest : to);
}

/* Between a tenth of the mean and nearly twice as much. */
static inline uint64_t sim_around(struct base_random *random, uint64_t mean)
{
    return sim_between(random, mean / 10, 2 * mean - mean / 10);
}

/* Any element of an array. */
#define SIM_PICK(random, table) \
    ((table)[base_random_below((random), sizeof(table) / sizeof((table)[0]))])

#endif
