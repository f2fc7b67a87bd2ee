/*
 * The object pool. Called at set-up and, for taking and giving, from the packet path: there it must
 * never allocate.
 */
#include "base/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int base_pool_open(struct base_pool *pool, size_t object_size, uint32_t capacity)
{
    assert(object_size > 0 && capacity > 0 && capacity < BASE_POOL_NONE);
    size_t rounded = (object_size + 15) & ~(size_t)15;

    *pool = (struct base_pool){
        .objects = calloc(capacity, rounded),
        .object_size = rounded,
        .capacity = capacity,
        .first_free = BASE_POOL_NONE,
    };
    return pool->objects != NULL ? 0 : -ENOMEM;
}

void base_pool_close(struct base_pool *pool)
{
    free(pool->objects);
    *pool = (struct base_pool){.first_free = BASE_POOL_NONE};
}

void *base_pool_take(struct base_pool *pool)
{
    uint32_t index = pool->first_free;

    if (index != BASE_POOL_NONE) {
        memcpy(&pool->first_free, base_pool_at(pool, index), sizeof(pool->first_free));
    } else if (pool->touched < pool->capacity) {
        index = pool->touched++;
    } else {
        return NULL;
    }
    pool->in_use++;
    return base_pool_at(pool, index);
}

void base_pool_give(struct base_pool *pool, void *object)
{
    uint32_t index = base_pool_index(pool, object);

    assert(index < pool->touched && object == base_pool_at(pool, index) && pool->in_use > 0);
    memcpy(object, &pool->first_free, sizeof(pool->first_free));
    pool->first_free = index;
    pool->in_use--;
}
