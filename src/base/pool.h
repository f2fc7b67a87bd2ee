/*
 * A fixed number of objects of one size, allocated once at set-up: taking and giving back never
 * allocates, which keeps the packet path free of malloc, and an object is named by a small index.
 * Untouched objects cost no memory (base/block.h).
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define BASE_POOL_NONE UINT32_MAX

/*
 * Free objects form a list threaded through their first four bytes; objects never used so far lie
 * beyond `touched`. An object's contents are undefined when it is taken, and must not be looked at
 * while it is free.
 */
struct base_pool {
    uint8_t *objects;
    size_t object_size; /* rounded up to 16 bytes */
    uint32_t capacity;
    uint32_t touched;    /* objects [0, touched) have been in use at some time */
    uint32_t in_use;     /* taken and not given back */
    uint32_t first_free; /* BASE_POOL_NONE when no touched object is free */
};

/* Returns 0, or -ENOMEM. object_size and capacity must not be 0. */
int base_pool_open(struct base_pool *pool, size_t object_size, uint32_t capacity);

/* Frees the block. A pool that was zeroed and never opened may be closed. */
void base_pool_close(struct base_pool *pool);

/* Takes one object, or returns NULL when all are in use. */
void *base_pool_take(struct base_pool *pool);

/* Gives back an object taken from this pool. */
void base_pool_give(struct base_pool *pool, void *object);

static inline uint32_t base_pool_index(const struct base_pool *pool, const void *object)
{
    return (uint32_t)((size_t)((const uint8_t *)object - pool->objects) / pool->object_size);
}

static inline void *base_pool_at(const struct base_pool *pool, uint32_t index)
{
    return pool->objects + (size_t)index * pool->object_size;
}

#endif
