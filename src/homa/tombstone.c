/*
 * Tombstones. Asked for every first packet of an unknown server RPC, added to when one ends;
 * nothing allocates after homa_tombstones_open().
 *
 * None is ever cleared because of the time alone, a look at its expiry does as well. The index is a
 * chain of grave numbers per bucket, as many buckets as graves. Old graves are taken out of their
 * chain when they are reused: with a keyed hash chains stay a few links long.
 *
 * Hosts are hashed to a few yards, each with a queue of its graves, oldest first. When all graves
 * are in use a hand goes round them: the yard of the grave that it points at gives up its oldest,
 * so that yards lose in proportion to what they have. But a yard with more than half of all graves
 * loses first, unless the other one's has expired: one host that hurries through RPCs does not make
 * us forget those of others.
 */
#include "homa/tombstone.h"

#include "base/block.h"
#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define NONE         UINT32_MAX
#define CAPACITY_MAX (UINT32_C(1) << 30)

#define YARDS 256u /* the lowest byte of a grave's hash is its yard */

struct grave {
    uint64_t hash;
    uint64_t forget_at; /* ns */
};

struct yard {
    uint32_t oldest; /* grave; meaningless while count is 0 */
    uint32_t newest;
    uint32_t count;
};

struct homa_tombstones {
    uint64_t hash_key;
    uint32_t mask;    /* number of graves - 1, and of buckets - 1 */
    uint32_t used;    /* graves [0, used) have been used */
    uint32_t hand;    /* goes round the graves once all are used */
    uint32_t crowded; /* if a yard has more than half of the graves, this */
    struct grave *graves;
    uint32_t *buckets; /* first grave of each chain, NONE when empty */
    uint32_t *links;   /* by grave: the next one in its chain */
    uint32_t *younger; /* by grave: the next one of its yard */
    struct yard yards[YARDS];
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
    made->younger = base_block_new(graves, sizeof(*made->younger));
    if (made->graves == NULL || made->buckets == NULL || made->links == NULL ||
        made->younger == NULL) {
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
    base_block_free(table->younger);
    free(table);
}

static uint8_t yard_of(const struct homa_tombstones *table, const struct base_address *client)
{
    uint64_t ip[2];

    memcpy(ip, &client->remote, sizeof(ip));
    return (uint8_t)base_mix(base_mix(table->hash_key ^ ip[0] ^ client->scope) ^ ip[1]);
}

/* The RPC's key, packed so that it can be hashed bytewise. The yard takes the place of a byte. */
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

    return base_hash(table->hash_key, &key, sizeof(key)) << 8 | yard_of(table, client);
}

static uint32_t *bucket_of(const struct homa_tombstones *table, uint64_t hash)
{
    return &table->buckets[hash >> 8 & table->mask];
}

/* Takes a grave out of its chain. */
static void unlink_grave(struct homa_tombstones *table, uint32_t grave)
{
    uint32_t *link = bucket_of(table, table->graves[grave].hash);

    while (*link != grave) {
        assert(*link != NONE);
        link = &table->links[*link];
    }
    *link = table->links[grave];
}

static struct yard *yard_of_grave(struct homa_tombstones *table, uint32_t grave)
{
    return &table->yards[table->graves[grave].hash % YARDS];
}

/* The grave to be used again, all being in use. */
static uint32_t choose(struct homa_tombstones *table, uint64_t now)
{
    uint32_t next = yard_of_grave(table, table->hand)->oldest;
    const struct yard *crowded = &table->yards[table->crowded];

    table->hand = (table->hand + 1) & table->mask;
    if (table->graves[next].forget_at > now && crowded->count > table->mask / 2 + 1)
        next = crowded->oldest;
    return next;
}

/* Takes the oldest grave of its yard out of yard and chain. */
static void clear(struct homa_tombstones *table, uint32_t grave)
{
    struct yard *yard = yard_of_grave(table, grave);

    assert(yard->count > 0 && yard->oldest == grave);
    yard->oldest = table->younger[grave];
    yard->count--;
    unlink_grave(table, grave);
}

static void join_yard(struct homa_tombstones *table, uint32_t grave)
{
    struct yard *yard = yard_of_grave(table, grave);

    if (yard->count++ == 0)
        yard->oldest = grave;
    else
        table->younger[yard->newest] = grave;
    yard->newest = grave;
    if (yard->count > table->mask / 2 + 1)
        table->crowded = table->graves[grave].hash % YARDS;
}

bool homa_tombstones_add(struct homa_tombstones *table, uint64_t now, uint64_t keep_ns,
                         const struct base_address *client, uint64_t id)
{
    uint32_t grave = table->used;
    uint64_t hash = hash_of(table, client, id);
    bool evicted = false;

    if (table->used <= table->mask) {
        table->used++;
    } else {
        grave = choose(table, now);
        evicted = table->graves[grave].forget_at > now;
        clear(table, grave);
    }
    table->graves[grave] = (struct grave){.hash = hash, .forget_at = now + keep_ns};
    table->links[grave] = *bucket_of(table, hash);
    *bucket_of(table, hash) = grave;
    join_yard(table, grave);
    return evicted;
}

bool homa_tombstones_has(struct homa_tombstones *table, uint64_t now,
                         const struct base_address *client, uint64_t id)
{
    uint64_t hash = hash_of(table, client, id);

    for (uint32_t grave = *bucket_of(table, hash); grave != NONE; grave = table->links[grave]) {
        if (table->graves[grave].hash == hash && table->graves[grave].forget_at > now)
            return true;
    }
    return false;
}
