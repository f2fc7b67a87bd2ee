/*
 * The table. The map from numbers to slots is an array of chunks, allocated as numbers need them
 * and never freed, so that a lookup is two loads. What makes it safe without a lock:
 *
 *   get        reads the slot, adds a use unless there is none, and looks again whether the number
 *              still means that slot. If it does, the use was added to the right socket: a slot is
 *              withdrawn from the map before its table's use is put, and freed only after that.
 *   slots      are never freed, so that the use count of one that is being given up can be read.
 */
#include "socket/table.h"

#include "socket/socket.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define CHUNK_ENTRIES 1024u
#define CHUNKS        4096u /* 4,194,304 descriptors */

struct chunk {
    _Atomic(struct table_slot *) entries[CHUNK_ENTRIES];
};

static _Atomic(struct chunk *) chunks[CHUNKS];
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
static struct table_slot *free_slots;
static _Atomic(struct table_slot *) all_slots;
static uint32_t slot_count;

/* Stands in the map for a descriptor that is being closed. */
static struct table_slot closing;

static _Atomic(struct table_slot *) *entry_of(int fd)
{
    struct chunk *chunk = NULL;

    if (fd < 0 || (unsigned)fd >= CHUNKS * CHUNK_ENTRIES)
        return NULL;
    chunk = atomic_load_explicit(&chunks[(unsigned)fd / CHUNK_ENTRIES], memory_order_acquire);
    return chunk != NULL ? &chunk->entries[(unsigned)fd % CHUNK_ENTRIES] : NULL;
}

struct table_slot *table_add(struct socket *socket)
{
    struct table_slot *slot = NULL;

    table_lock();
    slot = free_slots;
    if (slot != NULL) {
        free_slots = slot->next;
    } else {
        slot = calloc(1, sizeof(*slot));
        if (slot != NULL) {
            slot->index = slot_count++;
            slot->sibling = atomic_load(&all_slots);
            atomic_store(&all_slots, slot);
        }
    }
    if (slot != NULL) {
        slot->socket = socket;
        atomic_store(&slot->uses, 1);
    }
    table_unlock();
    return slot;
}

int table_publish(int fd, struct table_slot *slot, struct table_slot **stale)
{
    _Atomic(struct table_slot *) *entry = NULL;
    struct chunk *chunk = NULL;

    assert(fd >= 0);
    if ((unsigned)fd >= CHUNKS * CHUNK_ENTRIES)
        return -EMFILE;
    entry = entry_of(fd);
    if (entry == NULL) {
        chunk = calloc(1, sizeof(*chunk));
        if (chunk == NULL)
            return -ENOMEM;
        table_lock();
        if (atomic_load(&chunks[(unsigned)fd / CHUNK_ENTRIES]) == NULL) {
            atomic_store(&chunks[(unsigned)fd / CHUNK_ENTRIES], chunk);
            chunk = NULL;
        }
        table_unlock();
        free(chunk);
        entry = entry_of(fd);
    }
    *stale = atomic_exchange(entry, slot);
    if (*stale == &closing)
        *stale = NULL;
    return 0;
}

bool table_withdraw(int fd, struct table_slot *slot)
{
    _Atomic(struct table_slot *) *entry = entry_of(fd);
    struct table_slot *expected = slot;

    return entry != NULL && atomic_compare_exchange_strong(entry, &expected, &closing);
}

void table_closed(int fd)
{
    _Atomic(struct table_slot *) *entry = entry_of(fd);
    struct table_slot *expected = &closing;

    /* Unless the number has a new socket by now. */
    if (entry != NULL)
        (void)atomic_compare_exchange_strong(entry, &expected, NULL);
}

bool table_is_closing(int fd)
{
    _Atomic(struct table_slot *) *entry = entry_of(fd);

    return entry != NULL && atomic_load(entry) == &closing;
}

bool table_try_hold(struct table_slot *slot)
{
    uint32_t uses = atomic_load_explicit(&slot->uses, memory_order_relaxed);

    while (uses != 0) {
        if (atomic_compare_exchange_weak_explicit(&slot->uses, &uses, uses + 1,
                                                  memory_order_acquire, memory_order_relaxed))
            return true;
    }
    return false;
}

struct socket *table_get(int fd)
{
    _Atomic(struct table_slot *) *entry = entry_of(fd);
    struct table_slot *slot = NULL;

    if (entry == NULL)
        return NULL;
    for (;;) {
        slot = atomic_load_explicit(entry, memory_order_acquire);
        if (slot == NULL || slot == &closing)
            return NULL;
        if (!table_try_hold(slot))
            continue;
        if (atomic_load_explicit(entry, memory_order_acquire) == slot)
            return slot->socket;
        table_put(slot);
    }
}

void table_hold(struct table_slot *slot)
{
    uint32_t before = atomic_fetch_add_explicit(&slot->uses, 1, memory_order_relaxed);

    assert(before > 0);
    (void)before;
}

void table_put(struct table_slot *slot)
{
    if (atomic_fetch_sub_explicit(&slot->uses, 1, memory_order_acq_rel) != 1)
        return;
    socket_destroy(slot->socket);
    table_lock();
    slot->socket = NULL;
    slot->next = free_slots;
    free_slots = slot;
    table_unlock();
}

struct table_slot *table_slots(void)
{
    return atomic_load(&all_slots);
}

void table_lock(void)
{
    (void)pthread_mutex_lock(&slots_lock);
}

void table_unlock(void)
{
    (void)pthread_mutex_unlock(&slots_lock);
}
