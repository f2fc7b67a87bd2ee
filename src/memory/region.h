/*
 * Where an application's incoming messages live: a stretch of memory named by offsets. The cores
 * place payload through these calls only and never compute a pointer of their own, so that a region
 * can be something other than plain host memory without the cores knowing.
 */
#ifndef MEMORY_REGION_H
#define MEMORY_REGION_H

#include <stdint.h>
#include <assert.h>
#include <string.h>

/* A region is the application's; it outlives whatever refers to it here. One without a base is a
 * sink: it has room for messages and keeps none of their bytes (experiments in which nobody looks
 * at them). */
struct mem_region {
    uint8_t *base;   /* first byte, page-aligned; NULL = a sink */
    uint64_t length; /* bytes */
};

/* Copies bytes into the region at offset. The range must lie inside. */
static inline void mem_region_put(const struct mem_region *region, uint64_t offset,
                                  const void *bytes, uint32_t length)
{
    assert(offset <= region->length && length <= region->length - offset);
    if (region->base != NULL)
        memcpy(region->base + offset, bytes, length);
}

#endif
