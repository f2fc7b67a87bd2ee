/*
 * The pool of bpages. The engine takes space when a message begins and marks it as handed over when
 * the message is delivered; recvmsg brings back what the application returns. Nothing here looks at
 * the region's bytes, and nothing allocates after bpage_pool_open().
 *
 * Free bpages form a list through next_free, last freed first (it is the one still in the caches);
 * those never used so far lie beyond `touched`, so that a large region costs no memory until it is
 * used. Each bpage counts the pieces that are out of it and has two bits per possible piece: is it
 * out, and has the application been told of it. Every step is O(1) per piece.
 */
#include "memory/bpage.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define NONE            UINT32_MAX
#define BPAGES_MAX      65536u /* offsets are 32 bits */
#define MARKS_PER_WORD  64u
#define WORDS_PER_BPAGE (BPAGE_SIZE / BPAGE_GRAIN / MARKS_PER_WORD)

struct bpage {
    uint32_t next_free;  /* while free */
    uint32_t pieces_out; /* 0 while free */
    /* One bit per grain, set for the grain at which a piece starts. Side by side: one cache line.
     */
    struct {
        uint64_t out;    /* the piece is taken */
        uint64_t handed; /* the application knows it; only with `out` */
    } marks[WORDS_PER_BPAGE];
};

struct bpage_pool {
    uint32_t bpages;
    uint32_t touched;    /* bpages [0, touched) have been in use at some time */
    uint32_t first_free; /* NONE when no touched bpage is free */
    uint32_t free;       /* bpages on the list and beyond `touched` */
    uint32_t open;       /* the one that fragments are cut from, NONE when there is none */
    uint32_t open_used;  /* bytes of it that have been cut off */
    uint32_t pieces_out;
    uint64_t reuses;
    struct bpage pages[];
};

int bpage_pool_open(struct bpage_pool **pool, uint32_t bpages)
{
    assert(bpages > 0 && bpages <= BPAGES_MAX);
    struct bpage_pool *made = calloc(1, sizeof(*made) + bpages * sizeof(made->pages[0]));

    if (made == NULL)
        return -ENOMEM;
    made->bpages = bpages;
    made->free = bpages;
    made->first_free = NONE;
    made->open = NONE;
    *pool = made;
    return 0;
}

void bpage_pool_close(struct bpage_pool *pool)
{
    free(pool);
}

/* Where the marks of the piece at offset are: a word of its bpage and a bit in it. */
static uint32_t mark_word(uint32_t offset)
{
    return offset % BPAGE_SIZE / BPAGE_GRAIN / MARKS_PER_WORD;
}

static uint64_t mark_bit(uint32_t offset)
{
    return UINT64_C(1) << (offset / BPAGE_GRAIN % MARKS_PER_WORD);
}

/* Takes a bpage off the free list; there must be one. */
static uint32_t take_free(struct bpage_pool *pool)
{
    uint32_t index = pool->first_free;

    assert(pool->free > 0);
    if (index != NONE)
        pool->first_free = pool->pages[index].next_free;
    else
        index = pool->touched++;
    assert(index < pool->touched && pool->pages[index].pieces_out == 0);
    pool->free--;
    return index;
}

static void give_free(struct bpage_pool *pool, uint32_t index)
{
    pool->pages[index].next_free = pool->first_free;
    pool->first_free = index;
    pool->free++;
}

/* Marks a piece of bpage `index` that starts `inside` bytes into it as out; returns its offset. */
static uint32_t take_piece(struct bpage_pool *pool, uint32_t index, uint32_t inside)
{
    uint32_t offset = index * BPAGE_SIZE + inside;
    struct bpage *page = &pool->pages[index];

    assert((page->marks[mark_word(offset)].out & mark_bit(offset)) == 0);
    page->marks[mark_word(offset)].out |= mark_bit(offset);
    page->pieces_out++;
    pool->pieces_out++;
    return offset;
}

/* The piece at offset is nobody's any more. Its bpage is free with the last one. */
static void give_piece(struct bpage_pool *pool, uint32_t offset)
{
    uint32_t index = offset / BPAGE_SIZE;
    struct bpage *page = &pool->pages[index];

    assert(index < pool->touched && page->pieces_out > 0 && pool->pieces_out > 0);
    assert((page->marks[mark_word(offset)].out & mark_bit(offset)) != 0);
    assert((page->marks[mark_word(offset)].handed & mark_bit(offset)) == 0);
    page->marks[mark_word(offset)].out &= ~mark_bit(offset);
    pool->pieces_out--;
    if (--page->pieces_out > 0)
        return;
    if (index == pool->open) {
        pool->open = NONE;
        pool->reuses++;
    }
    give_free(pool, index);
}

int bpage_take(struct bpage_pool *pool, uint32_t length, uint32_t *offsets)
{
    assert(length > 0);
    uint32_t whole = length / BPAGE_SIZE;
    uint32_t tail = (length % BPAGE_SIZE + BPAGE_GRAIN - 1) / BPAGE_GRAIN * BPAGE_GRAIN;
    bool opens = tail > 0 && (pool->open == NONE || tail > BPAGE_SIZE - pool->open_used);

    if (whole + opens > pool->free)
        return -ENOBUFS;
    for (uint32_t i = 0; i < whole; i++)
        offsets[i] = take_piece(pool, take_free(pool), 0);
    if (opens) {
        pool->open = take_free(pool);
        pool->open_used = 0;
    }
    if (tail > 0) {
        offsets[whole] = take_piece(pool, pool->open, pool->open_used);
        pool->open_used += tail;
    }
    return 0;
}

void bpage_give(struct bpage_pool *pool, const uint32_t *offsets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        give_piece(pool, offsets[i]);
}

void bpage_hand_over(struct bpage_pool *pool, const uint32_t *offsets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct bpage *page = &pool->pages[offsets[i] / BPAGE_SIZE];
        uint32_t word = mark_word(offsets[i]);

        assert((page->marks[word].out & mark_bit(offsets[i])) != 0);
        assert((page->marks[word].handed & mark_bit(offsets[i])) == 0);
        page->marks[word].handed |= mark_bit(offsets[i]);
    }
}

/* Takes the application's mark off the piece at offset; false when it is not the application's. */
static bool unhand(struct bpage_pool *pool, uint32_t offset)
{
    uint32_t index = offset / BPAGE_SIZE;

    if (index >= pool->touched || offset % BPAGE_GRAIN != 0)
        return false;
    uint64_t *handed = &pool->pages[index].marks[mark_word(offset)].handed;

    if ((*handed & mark_bit(offset)) == 0)
        return false;
    *handed &= ~mark_bit(offset);
    return true;
}

int bpage_return(struct bpage_pool *pool, const uint32_t *offsets, uint32_t count, uint32_t *bad)
{
    /* Taking the marks off while checking is what makes a repetition fail. */
    for (uint32_t i = 0; i < count; i++) {
        if (unhand(pool, offsets[i]))
            continue;
        bpage_hand_over(pool, offsets, i);
        *bad = i;
        return -EINVAL;
    }
    bpage_give(pool, offsets, count);
    return 0;
}

void bpage_pool_stats(const struct bpage_pool *pool, struct bpage_stats *stats)
{
    uint32_t behind = pool->open == NONE ? 0 : BPAGE_SIZE - pool->open_used;

    *stats = (struct bpage_stats){
        .available_bytes = (uint64_t)pool->free * BPAGE_SIZE + behind,
        .reuses = pool->reuses,
        .bpages = pool->bpages,
        .pieces_out = pool->pieces_out,
    };
}
