/*
 * What is measured: five workloads, each run by a client against a server in another process that
 * answers every message with a short one. A transport and a way of waiting are arguments; the work
 * is the same for all.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "bench/transport.h"

/* The client's side of everything. */
struct workload {
    struct transport transports[TRANSPORTS];
    int control; /* to the server: which transport comes next */
};

/* The spaced probe: how long one 100 B RPC took, counted from when it was due. */
struct workload_probe {
    double p50_us;
    double p99_us;
    double bulk_gb_per_s; /* of the long messages beside it */
};

/* Answers what comes, until the client closes its end of `control`. */
void workload_serve(struct transport *transports, int control);

/* 100 B there and back, one at a time: the median in µs. */
double workload_ping_pong(struct workload *workload, enum transport_kind kind,
                          enum waiting waiting);

/* 100 B, 64 in flight: thousand RPCs per second. */
double workload_pipelined(struct workload *workload, enum transport_kind kind);

/* Requests of 1,000,000 B, four in flight: GB/s. */
double workload_bulk(struct workload *workload, enum transport_kind kind);

/* A probe every 500 µs, alone or beside two requests of 1,000,000 B that are always in flight. Both
 * sides spin, so that no wake-up blurs what is asked: what the short wait for. */
struct workload_probe workload_probe(struct workload *workload, enum transport_kind kind,
                                     bool is_beside_bulk);

#endif
