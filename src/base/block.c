/*
 * Large blocks are mappings of their own, small ones come from the heap; a line before each
 * remembers which. (AddressSanitizer watches the bounds of the small ones only.)
 */
#include "base/block.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Before the block, and its alignment. */
#define FRONT_BYTES 64u

/* Clearing less than this costs about as much as mapping it. */
#define MAPPED_BYTES ((size_t)128 * 1024)

struct front {
    size_t length; /* bytes, this line included */
};

void *base_block_new(size_t count, size_t size)
{
    size_t length = 0;
    struct front *front = NULL;

    if (__builtin_mul_overflow(count, size, &length) ||
        __builtin_add_overflow(length, FRONT_BYTES, &length))
        return NULL;
    if (length < MAPPED_BYTES) {
        length = (length + FRONT_BYTES - 1) / FRONT_BYTES * FRONT_BYTES;
        front = aligned_alloc(FRONT_BYTES, length);
        if (front == NULL)
            return NULL;
        memset(front, 0, length);
    } else {
        front = mmap(NULL, length, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (front == MAP_FAILED)
            return NULL;
    }
    front->length = length;
    return (uint8_t *)front + FRONT_BYTES;
}

void base_block_free(void *block)
{
    struct front *front = NULL;

    if (block == NULL)
        return;
    front = (struct front *)(void *)((uint8_t *)block - FRONT_BYTES);
    if (front->length < MAPPED_BYTES)
        free(front);
    else
        (void)munmap(front, front->length);
}
