/*
 * Reassembly: which bytes of an incoming message have arrived. A message is received up to `end`
 * except for its gaps; records for gaps come from a pool that all messages of an engine share, so a
 * hostile sender can exhaust it for nobody's memory: a packet that would need one more is dropped
 * and asked for again later.
 */
#ifndef HOMA_GAPS_H
#define HOMA_GAPS_H

#include "base/pool.h"

#include <stdint.h>
#include <stdbool.h>

/*
 * Bytes [start, end) of a message have not arrived, though byte `end` has. `ask_at` and `wait_ns`
 * belong to whoever asks for retransmission (timer.c).
 *
 * A gap is proven lost when a later byte of the same class (unscheduled or scheduled) has arrived:
 * bytes of one class travel at one priority and do not overtake each other. The class of a gap is
 * that of its last byte, so the one gap that is not proven is a gap that ends where the scheduled
 * bytes begin. (A gap across that border has its later, scheduled part proven; the unscheduled part
 * was sent earlier still.)
 */
struct homa_gap {
    uint32_t start;
    uint32_t end;
    uint32_t next;    /* pool index of the next gap, ascending; BASE_POOL_NONE = last */
    bool is_proven;   /* a later byte of the same class has arrived */
    uint64_t ask_at;  /* ns: when to ask for it next */
    uint64_t wait_ns; /* how long to wait after that; doubles each time */
};

/* What has arrived of one message. Begun with homa_received_begin(). */
struct homa_received {
    uint32_t end;   /* every byte at or beyond this is missing */
    uint32_t bytes; /* distinct bytes that have arrived */
    uint32_t first; /* lowest gap; BASE_POOL_NONE = none */
    uint32_t last;  /* highest gap; BASE_POOL_NONE = none */
    uint32_t gaps;  /* how many */
};

/* A stretch of a packet's payload that is new. */
struct homa_range {
    uint32_t start;
    uint32_t end;
};

/* A packet can fill several gaps; it is used in at most this many pieces, the rest is asked again.
 */
#define HOMA_NEW_RANGES_MAX 8

static inline void homa_received_begin(struct homa_received *received)
{
    *received = (struct homa_received){.first = BASE_POOL_NONE, .last = BASE_POOL_NONE};
}

/*
 * Records that bytes [start, end) have arrived (start < end) and lists in ranges[] the parts that
 * were not there before, ascending; returns their number, 0 when all was known. The caller copies
 * exactly those: of a packet with more new parts only the first HOMA_NEW_RANGES_MAX are recorded.
 * Returns -ENOBUFS when a gap record was needed and none is left, or the caller allows none
 * (may_open): nothing changed.
 *
 * A gap opened by this packet gets ask_at = first_ask_at and wait_ns = wait_ns; *opened says
 * whether there is one (it is then received->last). What remains of a gap that the packet filled in
 * part, in the middle too, keeps that gap's times: it is not news. `class_boundary` is the
 * message's unscheduled length; it decides is_proven (see above).
 */
int homa_received_add(struct homa_received *received, struct base_pool *pool, uint32_t start,
                      uint32_t end, uint32_t class_boundary, uint64_t first_ask_at,
                      uint64_t wait_ns, bool may_open,
                      struct homa_range ranges[HOMA_NEW_RANGES_MAX], bool *opened);

/* Gives all gap records back to the pool; nothing counts as received any more. */
void homa_received_end(struct homa_received *received, struct base_pool *pool);

static inline struct homa_gap *homa_gap_at(const struct base_pool *pool, uint32_t index)
{
    return index == BASE_POOL_NONE ? NULL : base_pool_at(pool, index);
}

#endif
