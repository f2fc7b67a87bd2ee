/*
 * What the parts of a trace share: trace.c (the object, lines of packets and events),
 * trace_packet.c (a packet in words), trace_rpcs.c (what has changed in an engine).
 */
#ifndef SIM_TRACE_INTERNAL_H
#define SIM_TRACE_INTERNAL_H

#include "sim/text.h"
#include "sim/trace.h"

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define TRACE_LINE_SIZE 640u

/* Columns of a line. */
#define TRACE_COLUMN_WHAT  14u
#define TRACE_COLUMN_WHERE 25u
#define TRACE_COLUMN_TYPE  48u
#define TRACE_COLUMN_REST  61u

/* RPCs of one engine as they were, by (id, peer). */
struct trace_rpcs {
    struct homa_rpc_view *views;
    uint32_t count;
    uint32_t room;
};

/* What was last seen of one socket. */
struct trace_socket {
    uint64_t generation;
    bool is_open;
    struct homa_counters counters;
    struct homa_engine_usage usage;
    struct trace_rpcs rpcs;
};

/* Begins a line with the time and its second column. */
struct sim_text sim_trace_line(char *buffer, size_t size, sim_time now, const char *what);
/* Writes a line that has no end yet. */
void sim_trace_write(struct sim_trace *trace, const char *line);

/* Compares the socket's RPCs with what was seen before, writes what has changed, and remembers.
 * `spare` is room for another list. */
void sim_trace_compare(struct sim_trace *trace, sim_time now, const struct sim_socket *socket,
                       struct trace_socket *before, struct trace_rpcs *spare);

#endif
