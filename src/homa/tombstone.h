/*
 * Tombstones: server RPCs that have ended, remembered for a while so that a late copy of a request
 * never runs twice (spec section 4, acks and at-most-once). Queues in order of burial with a hash
 * index over them; all bounded, 28 bytes per entry. An entry keeps a keyed 64-bit hash of (client
 * address, port, scope, id) instead of the key: a stranger cannot aim at a collision, and chance
 * finds one in 2^56 at one host and in 2^64 at two.
 */
#ifndef HOMA_TOMBSTONE_H
#define HOMA_TOMBSTONE_H

#include "base/address.h"

#include <stdint.h>
#include <stdbool.h>

struct homa_tombstones;

/* capacity: how many are remembered at most (rounded up to a power of two). 0 or -ENOMEM. */
int homa_tombstones_open(struct homa_tombstones **table, uint32_t capacity, uint64_t hash_key);
void homa_tombstones_close(struct homa_tombstones *table);

/*
 * Remembers an RPC until now + keep_ns. Returns true when the table was full and an entry that was
 * still in its time had to go for it (a counter says so): of one host the oldest, and rather of a
 * host with more than half of all.
 */
bool homa_tombstones_add(struct homa_tombstones *table, uint64_t now, uint64_t keep_ns,
                         const struct base_address *client, uint64_t id);

/* Whether this RPC ended here within its time. The local address in `client` is ignored. */
bool homa_tombstones_has(struct homa_tombstones *table, uint64_t now,
                         const struct base_address *client, uint64_t id);

#endif
