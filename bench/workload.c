/*
 * The workloads. Each lasts a fixed time, not a fixed count, so that a slow machine does not make
 * the whole run long. Before each there is a pause, in which what the one before left behind
 * (acknowledgements, timers) comes to rest, and a warm-up, in which adaptive waiting adapts.
 */
#include "bench/workload.h"

#include "bench/statistics.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#define SHORT_BYTES 100u
#define LONG_BYTES  TRANSPORT_MESSAGE_MAX

#define PAUSE_US       15000u
#define WARM_UP_RPCS   100u
#define PING_PONG_NS   UINT64_C(40000000)
#define PIPELINED_NS   UINT64_C(60000000)
#define BULK_NS        UINT64_C(60000000)
#define PROBE_ALONE_NS UINT64_C(75000000)
#define PROBE_NS       UINT64_C(150000000)
#define PROBE_EVERY_NS UINT64_C(500000)

#define PIPELINED_DEPTH 64u
#define BULK_DEPTH      4u
#define BESIDE_DEPTH    2u

#define SAMPLES_MAX 100000u

/* Tags from here on are not numbers of samples. */
#define TAG_BULK UINT32_C(0xfffffffe)
#define TAG_STOP UINT32_C(0xffffffff)

static uint8_t short_message[SHORT_BYTES];
static uint8_t long_message[LONG_BYTES];

/* What the server is told before each workload; it answers with one byte. */
struct order {
    enum transport_kind kind;
    enum waiting waiting;
};

static uint64_t clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the server ---- */

void workload_serve(struct transport *transports, int control)
{
    struct order order;

    while (read(control, &order, sizeof(order)) == (ssize_t)sizeof(order)) {
        struct transport *transport = &transports[order.kind];
        struct transport_head head = {0};

        transport_wait_by(transport, order.waiting);
        if (write(control, "", 1) != 1)
            return;
        while (head.tag != TAG_STOP) {
            (void)transport_receive(transport, true, &head);
            transport_send(transport, short_message, SHORT_BYTES, head.tag);
        }
    }
}

/* ---- the client ---- */

static void send_short(struct transport *transport, uint32_t tag)
{
    transport_send(transport, short_message, SHORT_BYTES, tag);
}

static void send_long(struct transport *transport)
{
    transport_send(transport, long_message, LONG_BYTES, TAG_BULK);
}

static void call_short(struct transport *transport, uint32_t tag)
{
    struct transport_head head;

    send_short(transport, tag);
    (void)transport_receive(transport, true, &head);
    if (head.tag != tag) {
        errno = EBADMSG;
        transport_fail("an answer");
    }
}

static struct transport *begin(struct workload *workload, enum transport_kind kind,
                               enum waiting waiting)
{
    struct transport *transport = &workload->transports[kind];
    struct order order = {.kind = kind, .waiting = waiting};
    char answer = 0;

    (void)usleep(PAUSE_US);
    if (write(workload->control, &order, sizeof(order)) != (ssize_t)sizeof(order) ||
        read(workload->control, &answer, 1) != 1)
        transport_fail("the server has ended");
    transport_wait_by(transport, waiting);
    for (unsigned i = 0; i < WARM_UP_RPCS; i++)
        call_short(transport, i);
    return transport;
}

static void end(struct transport *transport)
{
    call_short(transport, TAG_STOP);
}

double workload_ping_pong(struct workload *workload, enum transport_kind kind, enum waiting waiting)
{
    static double samples[SAMPLES_MAX];
    struct transport *transport = begin(workload, kind, waiting);
    uint64_t start = clock_ns();
    uint64_t last = start;
    uint32_t count = 0;

    while (count < SAMPLES_MAX && last - start < PING_PONG_NS) {
        uint64_t now = 0;

        call_short(transport, count);
        now = clock_ns();
        samples[count++] = (double)(now - last) / 1e3;
        last = now;
    }
    end(transport);
    return statistics_quantile(samples, count, 0.5);
}

/* Keeps `depth` requests in flight for so long. Returns how many were answered per second. */
static double keep_in_flight(struct transport *transport,
                             void (*send_one)(struct transport *transport), unsigned depth,
                             uint64_t duration_ns)
{
    struct transport_head head;
    uint64_t start = clock_ns();
    uint64_t now = start;
    uint64_t count = 0;

    for (unsigned i = 0; i < depth; i++)
        send_one(transport);
    while (now - start < duration_ns) {
        (void)transport_receive(transport, true, &head);
        send_one(transport);
        now = clock_ns();
        count++;
    }
    for (unsigned i = 0; i < depth; i++)
        (void)transport_receive(transport, true, &head);
    return (double)count * 1e9 / (double)(now - start);
}

static void send_untagged(struct transport *transport)
{
    send_short(transport, 0);
}

double workload_pipelined(struct workload *workload, enum transport_kind kind)
{
    struct transport *transport = begin(workload, kind, WAITING_ADAPTIVE);
    double rate = keep_in_flight(transport, send_untagged, PIPELINED_DEPTH, PIPELINED_NS);

    end(transport);
    return rate / 1e3;
}

double workload_bulk(struct workload *workload, enum transport_kind kind)
{
    struct transport *transport = begin(workload, kind, WAITING_ADAPTIVE);
    double rate = keep_in_flight(transport, send_long, BULK_DEPTH, BULK_NS);

    end(transport);
    return rate * LONG_BYTES / 1e9;
}

/* A probe is sent when it is due, answered or not the one before: one that waited for its turn
 * would be spared the worst. */
struct workload_probe workload_probe(struct workload *workload, enum transport_kind kind,
                                     bool is_beside_bulk)
{
    static double samples[PROBE_NS / PROBE_EVERY_NS + 1];
    struct transport *transport = begin(workload, kind, WAITING_SPINNING);
    uint64_t start = clock_ns();
    uint64_t duration_ns = is_beside_bulk ? PROBE_NS : PROBE_ALONE_NS;
    uint32_t probes = (uint32_t)(duration_ns / PROBE_EVERY_NS);
    uint32_t probes_sent = 0;
    uint32_t probes_done = 0;
    uint32_t bulk_sent = 0;
    uint32_t bulk_done = 0;
    uint64_t now = start;

    while (probes_done < probes || bulk_done < bulk_sent) {
        struct transport_head head;

        if (probes_sent < probes && now - start >= probes_sent * PROBE_EVERY_NS)
            send_short(transport, probes_sent++);
        if (is_beside_bulk && probes_sent < probes && bulk_sent - bulk_done < BESIDE_DEPTH) {
            send_long(transport);
            bulk_sent++;
        }
        if (transport_receive(transport, false, &head)) {
            now = clock_ns();
            if (head.tag == TAG_BULK)
                bulk_done++;
            else
                samples[probes_done++] =
                    ((double)(now - start) - (double)(head.tag * PROBE_EVERY_NS)) / 1e3;
        }
        now = clock_ns();
    }
    end(transport);
    return (struct workload_probe){
        .p50_us = statistics_quantile(samples, probes, 0.5),
        .p99_us = statistics_quantile(samples, probes, 0.99),
        .bulk_gb_per_s = (double)bulk_done * LONG_BYTES / (double)(now - start),
    };
}
