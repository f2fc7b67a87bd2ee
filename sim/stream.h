/*
 * A stream of messages from one host to another: lengths from a workload, Poisson arrivals at a
 * share of a link, spread at random over the sender's sockets. The same options give the same
 * messages at the same times, whether a simulated host sends them or a real one does.
 */
#ifndef SIM_STREAM_H
#define SIM_STREAM_H

#include "base/random.h"
#include "sim/clock.h"
#include "sim/workload.h"

#include <stdint.h>

struct sim_stream_options {
    const struct sim_workload *workload;
    uint64_t seed;
    uint32_t load_permille; /* of the link, every byte of a request counted */
    uint32_t rate_mbps;     /* of the link; divides 8,000,000 */
    uint32_t length_min;    /* shorter messages are made that long ... */
    uint32_t length_max;    /* ... and longer ones that short */
    uint32_t packet_bytes;  /* of a full packet: Homa header and payload */
    uint32_t wire_overhead; /* bytes on the link per datagram beyond its own */
    uint32_t sockets;       /* at least 1 */
};

struct sim_stream {
    struct sim_stream_options options;
    struct base_random random;
    uint64_t mean_gap_ps;
    sim_time at;
};

struct sim_arrival {
    sim_time at; /* from the beginning of the stream */
    uint32_t length;
    uint32_t socket; /* which one of them sends it */
};

void sim_stream_begin(struct sim_stream *stream, const struct sim_stream_options *options);
struct sim_arrival sim_stream_next(struct sim_stream *stream);

/* A length of the workload as the stream has it. */
uint32_t sim_stream_length(const struct sim_stream_options *options, uint32_t length);

/* What a message of this length occupies on the link. */
uint64_t sim_stream_wire_bytes(const struct sim_stream_options *options, uint32_t length);

/* Between arrivals, in picoseconds. */
uint64_t sim_stream_mean_gap(const struct sim_stream_options *options);

#endif
