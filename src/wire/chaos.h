/*
 * The chaos wire: wraps another wire and drops, duplicates, delays, reorders and corrupts packets
 * on their way in, by a seed. Each packet is treated on its own, after segmentation offload and
 * bundles have been taken apart. For tests and demonstrations (MISSIVE_CHAOS).
 */
#ifndef WIRE_CHAOS_H
#define WIRE_CHAOS_H

#include "wire/wire.h"

struct wire_chaos_options {
    uint64_t seed;
    double drop; /* probabilities, 0 .. 1 */
    double duplicate;
    double reorder;    /* held back until a few later packets have come, or for a while at most:
                          delay_us, or 1 ms if that is 0 */
    double corrupt;    /* one bit flipped */
    uint32_t delay_us; /* each packet waits up to this long, uniformly */
};

/*
 * Reads "seed=1,drop=0.02,dup=0.01,reorder=0.05,delay_us=200,corrupt=0.001" (any subset, any order,
 * each once; what is left out is 0). Returns 0, or -EINVAL with *bad at the offending part of text.
 */
int wire_chaos_parse(const char *text, struct wire_chaos_options *options, const char **bad);

/*
 * Puts chaos in front of `inner`, which it then owns. front_length tells how long the packet at the
 * front of a datagram is (homa_packet_front_length), so that bundles can be taken apart.
 * Returns 0 or -ENOMEM (then inner is still the caller's).
 */
int wire_chaos_open(const struct wire_chaos_options *options, struct wire *inner,
                    size_t (*front_length)(const uint8_t *bytes, size_t length),
                    struct wire **wire);

/* What has been done to packets so far. */
struct wire_chaos_counts {
    uint64_t packets; /* that came in, each before its fate */
    uint64_t dropped;
    uint64_t duplicated;
    uint64_t reordered;
    uint64_t corrupted;
    uint64_t overflowed; /* dropped because too many were being held */
};

/* `wire` must come from wire_chaos_open(). */
void wire_chaos_counts(const struct wire *wire, struct wire_chaos_counts *counts);

#endif
