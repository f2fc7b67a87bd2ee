/*
 * Large blocks of zeroed memory that cost nothing until they are touched. calloc promises zeroes,
 * not that: once a large block has been freed, the C library serves the next one from its heap and
 * has to clear all of it. Tables that are made for the worst case and mostly stay empty come from
 * here. Called at set-up only.
 */
#ifndef BASE_BLOCK_H
#define BASE_BLOCK_H

#include <stddef.h>

/* Zeroed room for count objects, aligned to 64 bytes, or NULL when memory is short. */
void *base_block_new(size_t count, size_t size);

/* Gives it back. NULL is allowed. */
void base_block_free(void *block);

#endif
