/*
 * Two hosts joined by a cable, as two network namespaces are by a veth pair: each end's output goes
 * through a token bucket (tbf), and what leaves it is at the other end at once. One host sends
 * messages to the other, whose program sleeps between them. Packets cost processor time and wait in
 * a socket buffer of finite size, so that what comes out can be put beside the same scenario on the
 * real stack (missive-load, tools/sim-vs-real).
 *
 * A message is a request; it is over for this experiment when the server's program has it. It is
 * answered with one byte, which counts for nothing. Slowdowns are counted from times measured on
 * the idle path first, as they must be on real machines.
 */
#ifndef SIM_VETH_H
#define SIM_VETH_H

#include "sim/idle.h"
#include "sim/slowdown.h"
#include "sim/stream.h"
#include "sim/world.h"

#include <stdint.h>
#include <stdio.h>

struct sim_veth_options {
    struct sim_stream_options stream;
    struct sim_host_options client; /* stream.sockets sockets; card, processor, knobs */
    struct sim_host_options server; /* one socket */
    sim_time duration;              /* of the arrivals */
    uint64_t messages;              /* but no more than so many */
};

struct sim_veth_result {
    struct sim_slowdown *slowdown; /* the caller's (sim_slowdown_close) */
    struct sim_idle idle;
    uint64_t sent;
    uint64_t finished;
    uint64_t resent_packets;
    uint64_t overflows; /* packets lost at full socket buffers */
    sim_time time;      /* of the load alone */
    sim_time client_busy;
    sim_time server_busy;
};

/* Both hosts as the real stack is by default on such a path; costs are zero. Leaves the workload
 * unset. rate_mbps must divide 8,000,000. */
void sim_veth_defaults(struct sim_veth_options *options, uint32_t rate_mbps, uint32_t burst_bytes);

/* Runs it. Returns 0, or -EINVAL with *why a sentence. */
int sim_veth_run(const struct sim_veth_options *options, struct sim_veth_result *result,
                 const char **why);

/* The table for people, the same on every machine. */
void sim_veth_print(const struct sim_veth_options *options, const struct sim_veth_result *result,
                    FILE *file);

#endif
