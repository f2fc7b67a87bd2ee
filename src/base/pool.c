/*
 * The object pool. Called at set-up and, for taking and giving, from the packet path: there it must
 * never allocate. AddressSanitizer is told which objects are free, so that it catches their use as
 * it would that of freed memory.
 */
#include "base/pool.h"

#include "base/block.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

int base_pool_open(struct base_pool *pool, size_t object_size, uint32_t capacity)
{
    assert(object_size > 0 && capacity > 0 && capacity < BASE_POOL_NONE);
    size_t rounded = (object_size + 15) & ~(size_t)15;

    *pool = (struct base_pool){
        .objects = base_block_new(capacity, rounded),
        .object_size = rounded,
        .capacity = capacity,
        .first_free = BASE_POOL_NONE,
    };
    if (pool->objects == NULL)
        return -ENOMEM;
    ASAN_POISON_MEMORY_REGION(pool->objects, capacity * rounded);
    return 0;
}

void base_pool_close(struct base_pool *pool)
{
    ASAN_UNPOISON_MEMORY_REGION(pool->objects, pool->capacity * pool->object_size);
    base_block_free(pool->objects);
    *pool = (struct base_pool){.first_free = BASE_POOL_NONE};
}

void *base_pool_take(struct base_pool *pool)
{
    uint32_t index = pool->first_free;
    void *object;

    if (index != BASE_POOL_NONE) {
        object = base_pool_at(pool, index);
        ASAN_UNPOISON_MEMORY_REGION(object, pool->object_size);
        memcpy(&pool->first_free, object, sizeof(pool->first_free));
    } else if (pool->touched < pool->capacity) {
        object = base_pool_at(pool, pool->touched++);
        ASAN_UNPOISON_MEMORY_REGION(object, pool->object_size);
    } else {
        return NULL;
    }
    pool->in_use++;
    return object;
}

void base_pool_give(struct base_pool *pool, void *object)
{
    uint32_t index = base_pool_index(pool, object);

    assert(index < pool->touched && object == base_pool_at(pool, index) && pool->in_use > 0);
    memcpy(object, &pool->first_free, sizeof(pool->first_free));
    ASAN_POISON_MEMORY_REGION(object, pool->object_size);
    pool->first_free = index;
    pool->in_use--;
}
