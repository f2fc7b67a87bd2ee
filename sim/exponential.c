/*
 * The logarithm, bit by bit: a number between 1 and 2 is squared; when the square is 2 or more, the
 * next bit of its logarithm is 1 and the square is halved. Called for every arrival.
 */
#include "sim/exponential.h"

#include <assert.h>

#define FRACTION_BITS 32u

/* ln 2 in units of 2^-64. */
#define LN2 UINT64_C(0xb17217f7d1cf79ab)

uint64_t sim_log2(uint64_t value)
{
    assert(value != 0);
    uint32_t zeros = (uint32_t)__builtin_clzll(value);
    uint64_t mantissa = value << zeros; /* 1 .. 2 in units of 2^-63 */
    uint64_t result = 63 - zeros;

    for (uint32_t i = 0; i < FRACTION_BITS; i++) {
        unsigned __int128 square = (unsigned __int128)mantissa * mantissa; /* units of 2^-126 */
        uint64_t bit = (uint64_t)(square >> 127);

        mantissa = (uint64_t)(square >> (63 + bit));
        result = result << 1 | bit;
    }
    return result;
}

uint64_t sim_exponential(struct base_random *random, uint64_t mean)
{
    assert(mean < UINT64_C(1) << 57);
    uint64_t draw = base_random_u64(random);

    if (draw == UINT64_MAX) /* a uniform number of exactly 1 */
        return 0;
    uint64_t doublings = (SIM_LOG2_ONE * 64) - sim_log2(draw + 1);
    uint64_t times = (uint64_t)(((unsigned __int128)doublings * LN2) >> 64);

    return (uint64_t)(((unsigned __int128)mean * times + SIM_LOG2_ONE / 2) >> FRACTION_BITS);
}
