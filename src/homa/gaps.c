/*
 * Reassembly. Called for every DATA packet of a message longer than one packet, so the usual case,
 * a packet that continues where the last one ended, touches no gap; a packet that leaves a gap
 * behind appends one; only a packet that fills something walks the list.
 *
 * Invariants: gaps ascend, are not empty, do not touch each other, and end below received->end;
 * received->bytes + the sum of the gaps = received->end. Hence byte gap->end has always arrived.
 * A packet needs at most one new record: to open a gap it lies beyond the end, to split one it lies
 * inside it, never both; so the pool is asked before anything changes. Never trusts start and end
 * beyond start < end: holding them to the message's length is the caller's part.
 */
#include "homa/gaps.h"

#include <stddef.h>
#include <assert.h>
#include <errno.h>

/* One packet's way through the list. */
struct arrival {
    struct homa_received *received;
    struct base_pool *pool;
    uint32_t start;
    uint32_t end;
    uint32_t class_boundary;
    bool may_open; /* records may be taken from the pool */
    struct homa_range *ranges;
    int count; /* of ranges */
};

static void note(struct arrival *arrival, uint32_t start, uint32_t end)
{
    assert(arrival->count < HOMA_NEW_RANGES_MAX && start < end);
    arrival->ranges[arrival->count++] = (struct homa_range){.start = start, .end = end};
    arrival->received->bytes += end - start;
}

/* Byte gap->end has arrived: is it of the class of the byte before it? */
static void judge(struct homa_gap *gap, uint32_t class_boundary)
{
    gap->is_proven = gap->end != class_boundary;
}

/* Links gap in behind previous, which may be NULL (at the front). */
static void link_gap(struct homa_received *received, struct base_pool *pool,
                     struct homa_gap *previous, struct homa_gap *gap)
{
    uint32_t index = base_pool_index(pool, gap);
    uint32_t *link = previous == NULL ? &received->first : &previous->next;

    gap->next = *link;
    *link = index;
    if (gap->next == BASE_POOL_NONE)
        received->last = index;
    received->gaps++;
}

static void unlink_gap(struct homa_received *received, struct base_pool *pool,
                       struct homa_gap *previous, struct homa_gap *gap)
{
    uint32_t *link = previous == NULL ? &received->first : &previous->next;

    *link = gap->next;
    if (gap->next == BASE_POOL_NONE)
        received->last = previous == NULL ? BASE_POOL_NONE : base_pool_index(pool, previous);
    received->gaps--;
    base_pool_give(pool, gap);
}

/* The packet lies inside gap and touches neither of its ends: the record becomes two. */
static int split(struct arrival *arrival, struct homa_gap *gap)
{
    struct homa_gap *above = arrival->may_open ? base_pool_take(arrival->pool) : NULL;

    if (above == NULL)
        return -ENOBUFS;
    *above = *gap;
    above->start = arrival->end;
    gap->end = arrival->start;
    judge(gap, arrival->class_boundary);
    link_gap(arrival->received, arrival->pool, gap, above);
    note(arrival, arrival->start, arrival->end);
    return 0;
}

/* Fills what the packet has of the gaps, lowest first. */
static int fill(struct arrival *arrival)
{
    struct homa_received *received = arrival->received;
    struct homa_gap *previous = NULL;
    struct homa_gap *gap = homa_gap_at(arrival->pool, received->first);

    while (gap != NULL && gap->end <= arrival->start) {
        previous = gap;
        gap = homa_gap_at(arrival->pool, gap->next);
    }
    if (gap != NULL && gap->start < arrival->start && arrival->end < gap->end)
        return split(arrival, gap);
    while (gap != NULL && gap->start < arrival->end && arrival->count < HOMA_NEW_RANGES_MAX) {
        struct homa_gap *next = homa_gap_at(arrival->pool, gap->next);

        if (gap->start < arrival->start) { /* its front remains */
            note(arrival, arrival->start, gap->end);
            gap->end = arrival->start;
            judge(gap, arrival->class_boundary);
            previous = gap;
        } else if (arrival->end < gap->end) { /* its back remains */
            note(arrival, gap->start, arrival->end);
            gap->start = arrival->end;
            break;
        } else {
            note(arrival, gap->start, gap->end);
            unlink_gap(received, arrival->pool, previous, gap);
        }
        gap = next;
    }
    return 0;
}

/* Opens a gap from the end of what was received to the start of the packet. */
static int open_gap(struct arrival *arrival, uint64_t first_ask_at, uint64_t wait_ns)
{
    struct homa_received *received = arrival->received;
    struct homa_gap *gap = arrival->may_open ? base_pool_take(arrival->pool) : NULL;

    if (gap == NULL)
        return -ENOBUFS;
    *gap = (struct homa_gap){
        .start = received->end,
        .end = arrival->start,
        .ask_at = first_ask_at,
        .wait_ns = wait_ns,
    };
    judge(gap, arrival->class_boundary);
    link_gap(received, arrival->pool, homa_gap_at(arrival->pool, received->last), gap);
    return 0;
}

int homa_received_add(struct homa_received *received, struct base_pool *pool, uint32_t start,
                      uint32_t end, uint32_t class_boundary, uint64_t first_ask_at,
                      uint64_t wait_ns, bool may_open,
                      struct homa_range ranges[HOMA_NEW_RANGES_MAX], bool *opened)
{
    assert(start < end);
    struct arrival arrival = {
        .received = received,
        .pool = pool,
        .start = start,
        .end = end,
        .class_boundary = class_boundary,
        .may_open = may_open,
        .ranges = ranges,
    };
    int error = 0;

    *opened = false;
    if (start < received->end) {
        error = fill(&arrival);
    } else if (start > received->end) {
        error = open_gap(&arrival, first_ask_at, wait_ns);
        *opened = error == 0;
    }
    if (error != 0)
        return error;
    if (end > received->end && arrival.count < HOMA_NEW_RANGES_MAX) {
        note(&arrival, start > received->end ? start : received->end, end);
        received->end = end;
    }
    return arrival.count;
}

void homa_received_end(struct homa_received *received, struct base_pool *pool)
{
    while (received->first != BASE_POOL_NONE)
        unlink_gap(received, pool, NULL, homa_gap_at(pool, received->first));
    homa_received_begin(received);
}
