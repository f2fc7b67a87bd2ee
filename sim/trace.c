/*
 * A run as text and as pcapng (trace.h). Packets are written when they are seen; but one that was
 * sent waits until the next thing happens, since what the faults make of it is decided after it has
 * been seen. Engines are compared at the end of each instant in which something happened to their
 * host: an alarm at the present time rings after all that is under way now.
 */
#include "sim/trace.h"

#include "sim/fault_damage.h"
#include "sim/trace_internal.h"

#include <stdarg.h>
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A packet that was sent and whose line is not written yet. */
struct held {
    bool is_held;
    sim_time at;
    struct sim_packet packet; /* `bytes` is ours */
};

struct sim_trace {
    struct sim_alarm look; /* first */
    struct sim_trace_options options;
    struct sim_world *world;
    struct held held;
    uint32_t hosts;
    bool *is_touched;             /* [host]: something has happened to it since the last look */
    struct trace_socket *sockets; /* [host * SIM_SOCKETS_MAX + socket] */
    struct trace_rpcs spare;
    uint64_t lines;
};

/* ---- lines ---- */

struct sim_text sim_trace_line(char *buffer, size_t size, sim_time now, const char *what)
{
    struct sim_text text = sim_text_begin(buffer, size);

    sim_text_add(&text, "%8" PRIu64 ".%03" PRIu64, now / SIM_US, now % SIM_US / SIM_NS);
    sim_text_pad(&text, TRACE_COLUMN_WHAT);
    sim_text_add(&text, "%s", what);
    sim_text_pad(&text, TRACE_COLUMN_WHERE);
    return text;
}

void sim_trace_write(struct sim_trace *trace, const char *line)
{
    trace->lines++;
    if (trace->options.text != NULL)
        (void)fprintf(trace->options.text, "%s\n", line);
}

static void write_packet(struct sim_trace *trace, sim_time at, const char *what,
                         const struct sim_packet *packet, const char *why)
{
    uint32_t length = 0;
    const uint8_t *bytes = sim_packet_bytes(packet, &length);
    uint32_t whole = packet->length;
    bool is_first = true;

    do {
        char line[TRACE_LINE_SIZE];
        char words[TRACE_LINE_SIZE / 2];
        struct sim_text text = sim_trace_line(line, sizeof(line), at, what);
        uint32_t taken = sim_trace_packet_text(bytes, length, whole, words, sizeof(words));

        sim_text_add(&text, "%u:%u -> %u:%u", packet->from, packet->source_port, packet->to,
                     packet->destination_port);
        sim_text_pad(&text, TRACE_COLUMN_TYPE - (is_first ? 0 : 1));
        sim_text_add(&text, "%s%s", is_first ? "" : "+", words);
        if (is_first)
            sim_text_add(&text, " p%u", packet->priority);
        if (is_first && why != NULL && why[0] != '\0')
            sim_text_add(&text, "  (%s)", why);
        sim_trace_write(trace, line);
        bytes += taken;
        length -= taken;
        whole -= taken;
        is_first = false;
    } while (length > 0);
}

/* ---- looking ---- */

static void look_ring(struct sim_alarm *alarm)
{
    sim_trace_look((struct sim_trace *)alarm);
}

static void touch(struct sim_trace *trace, uint32_t host)
{
    struct sim_clock *clock = sim_world_clock(trace->world);

    if (host >= trace->hosts)
        return;
    trace->is_touched[host] = true;
    if (!sim_alarm_is_set(&trace->look))
        sim_alarm_set(clock, &trace->look, sim_clock_now(clock));
}

static bool has_moved(const struct sim_socket *socket, const struct trace_socket *before)
{
    struct homa_engine_usage usage;

    if ((socket->engine != NULL) != before->is_open || socket->generation != before->generation)
        return true;
    if (socket->engine == NULL)
        return false;
    homa_engine_usage(socket->engine, &usage);
    return usage.rpcs != before->usage.rpcs || usage.timers != before->usage.timers ||
           memcmp(homa_engine_counters(socket->engine), &before->counters,
                  sizeof(before->counters)) != 0;
}

static void flush_held(struct sim_trace *trace);

void sim_trace_look(struct sim_trace *trace)
{
    sim_time now = sim_world_now(trace->world);

    flush_held(trace);
    for (uint32_t i = 0; i < trace->hosts; i++) {
        struct sim_host *host = sim_world_host(trace->world, i);
        uint32_t sockets = sim_host_options(host)->sockets;

        for (uint32_t j = 0; j < sockets; j++) {
            const struct sim_socket *socket = sim_host_socket(host, j);
            struct trace_socket *before = &trace->sockets[i * SIM_SOCKETS_MAX + j];

            if (trace->is_touched[i] || has_moved(socket, before))
                sim_trace_compare(trace, now, socket, before, &trace->spare);
        }
        trace->is_touched[i] = false;
    }
}

/* ---- packets ---- */

/* A packet has been sent: what becomes of it is not known before it has gone through the hook. */
static void hold(struct sim_trace *trace, const struct sim_packet *packet)
{
    struct held *held = &trace->held;

    held->is_held = true;
    held->at = sim_world_now(trace->world);
    held->packet = *packet;
    if (packet->bytes != NULL) {
        held->packet.bytes = sim_allocate(packet->length > 0 ? packet->length : 1, 1);
        memcpy(held->packet.bytes, packet->bytes, packet->length);
    }
}

static const char *explain(const struct sim_trace *trace)
{
    if (trace->options.explain == NULL)
        return "";
    return trace->options.explain(trace->options.explain_context);
}

static void write_held(struct sim_trace *trace, const char *why, const char *what_else)
{
    struct held *held = &trace->held;

    held->is_held = false;
    write_packet(trace, held->at, "sent", &held->packet, what_else == NULL ? why : NULL);
    if (what_else != NULL)
        write_packet(trace, held->at, what_else, &held->packet, why);
    if (trace->options.pcapng != NULL)
        sim_pcapng_packet(trace->options.pcapng, held->at, &held->packet, false, why);
    free(held->packet.bytes);
    held->packet.bytes = NULL;
}

static void flush_held(struct sim_trace *trace)
{
    if (trace->held.is_held)
        write_held(trace, explain(trace), NULL);
}

static void write_arrival(struct sim_trace *trace, const char *what,
                          const struct sim_packet *packet, const char *why)
{
    sim_time now = sim_world_now(trace->world);

    flush_held(trace);
    write_packet(trace, now, what, packet, why);
    if (trace->options.pcapng != NULL && packet->to < trace->hosts)
        sim_pcapng_packet(trace->options.pcapng, now, packet, true, why);
}

static void see_lost(struct sim_trace *trace, const struct sim_packet *packet)
{
    const char *why = explain(trace);

    if (why[0] == '\0')
        why = packet->to < trace->hosts ? "lost" : "lost: there is no such host";
    if (trace->held.is_held)
        write_held(trace, why, "lost");
    else
        write_packet(trace, sim_world_now(trace->world), "lost", packet, why);
}

static void see(void *context, enum sim_sight sight, const struct sim_packet *packet)
{
    struct sim_trace *trace = context;

    switch (sight) {
    case SIM_SENT:
        flush_held(trace);
        hold(trace, packet);
        touch(trace, packet->from);
        break;
    case SIM_LOST:
        see_lost(trace, packet);
        break;
    case SIM_DELIVERED:
        write_arrival(trace, "delivered", packet, NULL);
        touch(trace, packet->to);
        break;
    case SIM_DROPPED:
        write_arrival(trace, "dropped", packet, "dropped: a queue was full");
        break;
    case SIM_OVERFLOW:
        write_arrival(trace, "refused", packet, "refused: buffer full, socket closed or host down");
        break;
    }
}

struct sim_watcher sim_trace_watcher(struct sim_trace *trace)
{
    return (struct sim_watcher){.context = trace, .see = see};
}

/* ---- events ---- */

void sim_trace_event(struct sim_trace *trace, uint32_t host, uint16_t port, const char *what,
                     const char *format, ...)
{
    char line[TRACE_LINE_SIZE];
    char words[TRACE_LINE_SIZE / 2];
    struct sim_text text = sim_trace_line(line, sizeof(line), sim_world_now(trace->world), "event");
    va_list arguments;

    flush_held(trace);
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    if (host == UINT32_MAX)
        sim_text_add(&text, "all");
    else if (port == 0)
        sim_text_add(&text, "%" PRIu32, host);
    else
        sim_text_add(&text, "%" PRIu32 ":%u", host, port);
    sim_text_pad(&text, TRACE_COLUMN_TYPE);
    sim_text_add(&text, "%s", what);
    if (words[0] != '\0') {
        sim_text_pad(&text, TRACE_COLUMN_REST);
        sim_text_add(&text, "%s", words);
    }
    sim_trace_write(trace, line);
    touch(trace, host);
}

uint64_t sim_trace_lines(const struct sim_trace *trace)
{
    return trace->lines;
}

/* ---- the object ---- */

/* What is open when the trace begins is no news. */
static void note_open(struct sim_trace *trace)
{
    for (uint32_t i = 0; i < trace->hosts; i++) {
        struct sim_host *host = sim_world_host(trace->world, i);

        for (uint32_t j = 0; j < sim_host_options(host)->sockets; j++) {
            const struct sim_socket *socket = sim_host_socket(host, j);
            struct trace_socket *seen = &trace->sockets[i * SIM_SOCKETS_MAX + j];

            seen->is_open = socket->engine != NULL;
            seen->generation = socket->generation;
        }
    }
}

struct sim_trace *sim_trace_open(const struct sim_trace_options *options, struct sim_world *world)
{
    struct sim_trace *trace = sim_allocate(1, sizeof(*trace));

    trace->options = *options;
    trace->world = world;
    trace->hosts = sim_world_host_count(world);
    trace->is_touched = sim_allocate(trace->hosts, sizeof(*trace->is_touched));
    trace->sockets = sim_allocate((size_t)trace->hosts * SIM_SOCKETS_MAX, sizeof(*trace->sockets));
    sim_alarm_init(&trace->look, look_ring);
    note_open(trace);
    return trace;
}

void sim_trace_close(struct sim_trace *trace)
{
    if (trace == NULL)
        return;
    sim_trace_look(trace);
    sim_alarm_cancel(sim_world_clock(trace->world), &trace->look);
    for (uint32_t i = 0; i < trace->hosts * SIM_SOCKETS_MAX; i++)
        free(trace->sockets[i].rpcs.views);
    free(trace->spare.views);
    free(trace->sockets);
    free(trace->is_touched);
    free(trace);
}
