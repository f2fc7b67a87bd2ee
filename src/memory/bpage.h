/*
 * Bpages: the 64 KiB units in which a Homa socket's receive region is handed out (spec section 2,
 * recvmsg). A message gets whole bpages first and then one fragment for its tail; fragments of
 * several messages share a bpage. The application returns what it got by naming the same offsets.
 *
 * How the sharing works: one bpage at a time is *open*; fragments are cut from it front to back
 * until one does not fit, then it is closed and another is opened. A bpage is free again once
 * nothing taken from it is out, the open one too: it is then the first to be used again, from its
 * beginning, be it for fragments or as a whole.
 *
 * Every piece that is out is marked at its first byte in a bitmap (pieces start at multiples of
 * BPAGE_GRAIN), so a wrong offset or a second return is told from a right one, always.
 *
 * Not thread-safe: the socket's lock guards it.
 */
#ifndef MEMORY_BPAGE_H
#define MEMORY_BPAGE_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define BPAGE_SIZE  65536u
#define BPAGE_GRAIN 64u

struct bpage_pool;

/* Counts for HOMAIOCINFO and the counters. */
struct bpage_stats {
    uint64_t available_bytes; /* in free bpages and behind the open one's last fragment */
    uint64_t reuses;          /* times the open bpage ran empty and started over */
    uint32_t bpages;          /* in the region */
    uint32_t pieces_out;      /* pieces held by messages or by the application */
};

/*
 * Makes a pool over a region of `bpages` bpages (1 .. 65,536). Returns 0 or -ENOMEM.
 */
int bpage_pool_open(struct bpage_pool **pool, uint32_t bpages);
void bpage_pool_close(struct bpage_pool *pool);

/* Number of offsets that a message of length bytes takes (length > 0). */
static inline uint32_t bpage_count(uint32_t length)
{
    return length / BPAGE_SIZE + (length % BPAGE_SIZE != 0);
}

/*
 * Takes space for a message of length > 0 bytes: fills offsets[0 .. bpage_count(length) - 1] with
 * region offsets. All or nothing. Returns 0, or -ENOBUFS when there is not enough space now.
 */
int bpage_take(struct bpage_pool *pool, uint32_t length, uint32_t *offsets);

/* Gives back one message's pieces that the pool itself handed out and that nobody else has seen. */
void bpage_give(struct bpage_pool *pool, const uint32_t *offsets, uint32_t count);

/*
 * Takes back pieces named by the application. Checks all of them first (known offset, out now, none
 * named twice): returns -EINVAL and changes nothing if one is wrong, with *bad its index.
 * A piece that belongs to a message still arriving is never named to the application; naming it
 * anyway is caught as well (see bpage_hand_over).
 */
int bpage_return(struct bpage_pool *pool, const uint32_t *offsets, uint32_t count, uint32_t *bad);

/* Marks a message's pieces as the application's, so that bpage_return accepts them. */
void bpage_hand_over(struct bpage_pool *pool, const uint32_t *offsets, uint32_t count);

void bpage_pool_stats(const struct bpage_pool *pool, struct bpage_stats *stats);

#endif
