/*
 * Failed RPCs that wait for the next receive call. recvmmsg can say how many messages it got or
 * that it failed, not both; so a failure that it meets behind a message is put here, and whoever
 * asks next gets it first. A caller reserves a place before it looks, so that there is always one.
 * Under the socket's lock.
 */
#ifndef SOCKET_DEFERRED_H
#define SOCKET_DEFERRED_H

#include "homa/engine.h"

#include <stdint.h>
#include <stdbool.h>

#define DEFERRED_MAX 8

struct deferred {
    struct homa_message failures[DEFERRED_MAX]; /* oldest first */
    bool is_private[DEFERRED_MAX];
    uint32_t count;
    uint32_t reserved;
    uint32_t shared; /* of the failures, those that anybody may take */
};

/* Reserves a place; false when all are taken. Give it back, used or not. */
static inline bool deferred_reserve(struct deferred *deferred)
{
    if (deferred->count + deferred->reserved >= DEFERRED_MAX)
        return false;
    deferred->reserved++;
    return true;
}

static inline void deferred_unreserve(struct deferred *deferred)
{
    deferred->reserved--;
}

/* Keeps a failure, in a place that the caller has reserved. */
static inline void deferred_put(struct deferred *deferred, const struct homa_message *failure,
                                bool is_private)
{
    deferred->failures[deferred->count] = *failure;
    deferred->is_private[deferred->count] = is_private;
    deferred->count++;
    deferred->shared += !is_private;
}

/* Takes out the oldest shared failure (id 0), or that of a private RPC. False: there is none. */
static inline bool deferred_take(struct deferred *deferred, uint64_t id,
                                 struct homa_message *failure)
{
    for (uint32_t i = 0; i < deferred->count; i++) {
        if (id == 0 ? deferred->is_private[i] : deferred->failures[i].id != id)
            continue;
        *failure = deferred->failures[i];
        deferred->shared -= !deferred->is_private[i];
        deferred->count--;
        for (uint32_t j = i; j < deferred->count; j++) {
            deferred->failures[j] = deferred->failures[j + 1];
            deferred->is_private[j] = deferred->is_private[j + 1];
        }
        return true;
    }
    return false;
}

#endif
