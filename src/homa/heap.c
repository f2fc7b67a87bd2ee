/*
 * Binary heaps with back references. Called from all over the engine; knows of an RPC only its
 * heap_place[]: index + 1, or 0 when it is not in the heap.
 */
#include "homa/heap.h"

#include "base/block.h"

#include <assert.h>
#include <errno.h>

int homa_heap_open(struct homa_heap *heap, enum homa_heap_kind kind, uint32_t capacity)
{
    assert(capacity > 0 && capacity < UINT32_MAX);
    *heap = (struct homa_heap){
        .entries = base_block_new(capacity, sizeof(*heap->entries)),
        .capacity = capacity,
        .kind = kind,
    };
    return heap->entries != NULL ? 0 : -ENOMEM;
}

void homa_heap_close(struct homa_heap *heap)
{
    base_block_free(heap->entries);
    *heap = (struct homa_heap){.kind = heap->kind};
}

static void put(struct homa_heap *heap, uint32_t index, struct homa_heap_entry entry)
{
    heap->entries[index] = entry;
    entry.rpc->heap_place[heap->kind] = index + 1;
}

/* Moves `entry`, for which there is a hole at index, towards the root. */
static void sift_up(struct homa_heap *heap, uint32_t index, struct homa_heap_entry entry)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;

        if (heap->entries[parent].key <= entry.key)
            break;
        put(heap, index, heap->entries[parent]);
        index = parent;
    }
    put(heap, index, entry);
}

/* Moves `entry`, for which there is a hole at index, towards the leaves. */
static void sift_down(struct homa_heap *heap, uint32_t index, struct homa_heap_entry entry)
{
    for (;;) {
        uint32_t child = 2 * index + 1;

        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->entries[child + 1].key < heap->entries[child].key)
            child++;
        if (entry.key <= heap->entries[child].key)
            break;
        put(heap, index, heap->entries[child]);
        index = child;
    }
    put(heap, index, entry);
}

void homa_heap_set(struct homa_heap *heap, struct homa_rpc *rpc, uint64_t key)
{
    struct homa_heap_entry entry = {.key = key, .rpc = rpc};
    uint32_t place = rpc->heap_place[heap->kind];

    if (place == 0) {
        assert(heap->count < heap->capacity);
        sift_up(heap, heap->count++, entry);
    } else {
        assert(place <= heap->count && heap->entries[place - 1].rpc == rpc);
        if (key <= heap->entries[place - 1].key)
            sift_up(heap, place - 1, entry);
        else
            sift_down(heap, place - 1, entry);
    }
}

void homa_heap_remove(struct homa_heap *heap, struct homa_rpc *rpc)
{
    uint32_t place = rpc->heap_place[heap->kind];

    if (place == 0)
        return;
    assert(place <= heap->count && heap->entries[place - 1].rpc == rpc);
    uint64_t removed_key = heap->entries[place - 1].key;
    struct homa_heap_entry last = heap->entries[--heap->count];

    rpc->heap_place[heap->kind] = 0;
    if (last.rpc == rpc)
        return;
    if (last.key <= removed_key)
        sift_up(heap, place - 1, last);
    else
        sift_down(heap, place - 1, last);
}

void homa_heap_check(const struct homa_heap *heap)
{
    assert(heap->count <= heap->capacity);
    for (uint32_t i = 0; i < heap->count; i++) {
        assert(heap->entries[i].rpc->heap_place[heap->kind] == i + 1);
        assert(i == 0 || heap->entries[(i - 1) / 2].key <= heap->entries[i].key);
    }
    (void)heap; /* without assertions nothing reads it */
}
