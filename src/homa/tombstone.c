/*
 * Tombstones. Asked for every first packet of an unknown server RPC, added to when one ends;
 * nothing allocates after homa_tombstones_open().
 *
 * Graves lie in a ring and are used in turn, so the oldest burial is always the next to be
 * replaced; none is ever cleared because of the time alone, a look at its expiry does as well. The
 * index is a chain of grave numbers per bucket, as many buckets as graves. Old graves are taken out
 * of their chain when they are reused: with a keyed hash chains stay a few links long.
 */
#include "homa/tombstone.h"

#include "base/block.h"
#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define NONE         UINT32_MAX
#define CAPACITY_MAX (UINT32_C(1) << 30)

struct grave {
    uint64_t hash;
    uint64_t forget_at; /* ns */
};

struct homa_tombstones {
    uint64_t hash_key;
    uint32_t mask;       /* number of graves - 1, and of buckets - 1 */
    uint32_t used;       /* graves [0, used) have been used */
    uint32_t next_grave; /* the oldest one, once all are used */
    struct grave *graves;
    uint32_t *buckets; /* first grave of each chain, NONE when empty */
    uint32_t *links;   /* by grave: the next one in its chain */
};

int homa_tombstones_open(struct homa_tombstones **table, uint32_t capacity, uint64_t hash_key)
{
    assert(capacity > 0 && capacity <= CAPACITY_MAX);
    uint32_t graves = 1;

    while (graves < capacity)
        graves *= 2;
    struct homa_tombstones *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return -ENOMEM;
    made->hash_key = hash_key;
    made->mask = graves - 1;
    made->graves = base_block_new(graves, sizeof(*made->graves));
    made->buckets = base_block_new(graves, sizeof(*made->buckets));
    made->links = base_block_new(graves, sizeof(*made->links));
    if (made->graves == NULL || made->buckets == NULL || made->links == NULL) {
        homa_tombstones_close(made);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < graves; i++)
        made->buckets[i] = NONE;
    *table = made;
    return 0;
}

void homa_tombstones_close(struct homa_tombstones *table)
{
    if (table == NULL)
        return;
    base_block_free(table->graves);
    base_block_free(table->buckets);
    base_block_free(table->links);
    free(table);
}

/* The RPC's key, packed so that it can be hashed bytewise. */
static uint64_t hash_of(const struct homa_tombstones *table, const struct base_address *client,
                        uint64_t id)
{
    const struct {
        struct base_ip ip;
        uint64_t id;
        uint32_t scope;
        uint32_t port;
    } key = {.ip = client->remote, .id = id, .scope = client->scope, .port = client->port};
    _Static_assert(sizeof(key) == 32, "hashed bytewise: no padding");

    return base_hash(table->hash_key, &key, sizeof(key));
}

/* Takes a grave out of its chain. */
static void unlink_grave(struct homa_tombstones *table, uint32_t grave)
{
    uint32_t *link = &table->buckets[table->graves[grave].hash & table->mask];

    while (*link != grave) {
        assert(*link != NONE);
        link = &table->links[*link];
    }
    *link = table->links[grave];
}

bool homa_tombstones_add(struct homa_tombstones *table, uint64_t now, uint64_t keep_ns,
                         const struct base_address *client, uint64_t id)
{
    uint32_t grave = table->next_grave;
    uint64_t hash = hash_of(table, client, id);
    bool evicted = false;

    if (grave < table->used) {
        evicted = table->graves[grave].forget_at > now;
        unlink_grave(table, grave);
    } else {
        table->used++;
    }
    table->graves[grave] = (struct grave){.hash = hash, .forget_at = now + keep_ns};
    table->links[grave] = table->buckets[hash & table->mask];
    table->buckets[hash & table->mask] = grave;
    table->next_grave = (grave + 1) & table->mask;
    return evicted;
}

bool homa_tombstones_has(struct homa_tombstones *table, uint64_t now,
                         const struct base_address *client, uint64_t id)
{
    uint64_t hash = hash_of(table, client, id);

    for (uint32_t grave = table->buckets[hash & table->mask]; grave != NONE;
         grave = table->links[grave]) {
        if (table->graves[grave].hash == hash && table->graves[grave].forget_at > now)
            return true;
    }
    return false;
}
