/*
 * Heaps of RPCs: the smallest key first, each RPC at most once in each heap. The engine has one per
 * enum below. An RPC remembers its place, so that leaving and changing the key cost O(log n) as
 * well; entries hold the keys, so that a sift touches one small array and not the RPCs.
 *
 * Nothing here allocates after homa_heap_open(), and nothing calls out.
 */
#ifndef HOMA_HEAP_H
#define HOMA_HEAP_H

#include "homa/rpc.h"

#include <stdint.h>
#include <stdbool.h>

struct homa_heap_entry {
    uint64_t key;
    struct homa_rpc *rpc;
};

struct homa_heap {
    struct homa_heap_entry *entries;
    uint32_t count;
    uint32_t capacity;
    enum homa_heap_kind kind;
};

/* Makes room for `capacity` RPCs. Returns 0 or -ENOMEM. */
int homa_heap_open(struct homa_heap *heap, enum homa_heap_kind kind, uint32_t capacity);
/* A zeroed heap may be closed. */
void homa_heap_close(struct homa_heap *heap);

/* Puts the RPC in with this key, or changes its key when it is in. */
void homa_heap_set(struct homa_heap *heap, struct homa_rpc *rpc, uint64_t key);

/* Takes the RPC out; does nothing when it is not in. */
void homa_heap_remove(struct homa_heap *heap, struct homa_rpc *rpc);

static inline bool homa_heap_has(const struct homa_heap *heap, const struct homa_rpc *rpc)
{
    return rpc->heap_place[heap->kind] != 0;
}

/* The RPC with the smallest key, or NULL. */
static inline struct homa_rpc *homa_heap_first(const struct homa_heap *heap)
{
    return heap->count > 0 ? heap->entries[0].rpc : NULL;
}

/* The smallest key; UINT64_MAX when the heap is empty. */
static inline uint64_t homa_heap_first_key(const struct homa_heap *heap)
{
    return heap->count > 0 ? heap->entries[0].key : UINT64_MAX;
}

/* This RPC's key; UINT64_MAX when it is not in. */
static inline uint64_t homa_heap_key(const struct homa_heap *heap, const struct homa_rpc *rpc)
{
    return homa_heap_has(heap, rpc) ? heap->entries[rpc->heap_place[heap->kind] - 1].key
                                    : UINT64_MAX;
}

/* Asserts order and places. O(n); for tests. */
void homa_heap_check(const struct homa_heap *heap);

#endif
