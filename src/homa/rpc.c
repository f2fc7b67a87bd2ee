/*
 * RPC records: the table that finds them, their beginning and their end. Called by every other file
 * of the engine. Ending is one function, so that whatever an RPC may hold is given back in one
 * place; what has to stop when it merely becomes ready is a part of it (go_quiet).
 *
 * One table holds both kinds: client ids are even, server ids odd. A client id is ours and unique
 * here; a server id is the client's, so its bucket follows from the client's address as well. The
 * client's port is compared but not hashed: on protocol 146 an ack may come from another port of
 * the host (ids are unique per host).
 */
#include "homa/rpc.h"

#include "base/hash.h"
#include "homa/internal.h"

#include <assert.h>

static uint64_t hash_client(const struct homa_engine *engine, uint64_t id)
{
    return base_mix(engine->hash_key ^ id);
}

static uint64_t hash_server(const struct homa_engine *engine, const struct base_address *client,
                            uint64_t id)
{
    uint64_t ip[2];

    _Static_assert(sizeof(ip) == sizeof(client->remote), "both words of the address");
    memcpy(ip, &client->remote, sizeof(ip));
    return base_mix(base_mix(base_mix(engine->hash_key ^ id) ^ ip[0]) ^ ip[1] ^ client->scope);
}

struct homa_rpc *homa_rpc_find_client(const struct homa_engine *engine, uint64_t id)
{
    struct homa_rpc *rpc = engine->rpc_buckets[hash_client(engine, id) & engine->rpc_mask];

    assert(!homa_id_is_server(id));
    while (rpc != NULL && rpc->id != id)
        rpc = rpc->next;
    return rpc;
}

struct homa_rpc *homa_rpc_find_server(const struct homa_engine *engine,
                                      const struct base_address *client, uint64_t id, bool any_port)
{
    struct homa_rpc *rpc = engine->rpc_buckets[hash_server(engine, client, id) & engine->rpc_mask];

    assert(homa_id_is_server(id));
    for (; rpc != NULL; rpc = rpc->next) {
        const struct base_address *address = &rpc->peer->address;

        if (rpc->id == id && (any_port || address->port == client->port) &&
            address->scope == client->scope && base_ip_equal(&address->remote, &client->remote))
            break;
    }
    return rpc;
}

struct homa_rpc *homa_rpc_find(const struct homa_engine *engine, const struct base_address *peer,
                               uint64_t id)
{
    if (homa_id_is_server(id))
        return homa_rpc_find_server(engine, peer, id, false);
    struct homa_rpc *rpc = homa_rpc_find_client(engine, id);

    if (rpc != NULL && !base_address_same_remote(&rpc->peer->address, peer))
        rpc = NULL;
    return rpc;
}

struct homa_rpc *homa_rpc_begin(struct homa_engine *engine, struct homa_peer *peer, uint64_t id,
                                enum homa_rpc_state state)
{
    bool is_server = homa_id_is_server(id);
    struct homa_rpc *rpc = base_pool_take(&engine->rpcs);
    uint64_t hash;

    if (rpc == NULL && homa_share_free_rpc(engine, is_server ? peer->share : NULL))
        rpc = base_pool_take(&engine->rpcs);
    if (rpc == NULL)
        return NULL;
    memset(rpc, 0, sizeof(*rpc));
    rpc->id = id;
    rpc->birth = engine->births++;
    rpc->state = (uint8_t)state;
    rpc->heard_at = engine->clock;
    homa_received_begin(&rpc->in.received);
    rpc->in.slot = HOMA_SCHED_NONE;
    homa_peer_hold(engine, peer, rpc);
    hash = is_server ? hash_server(engine, &peer->address, id) : hash_client(engine, id);
    rpc->bucket = (uint32_t)hash & engine->rpc_mask;
    rpc->next = engine->rpc_buckets[rpc->bucket];
    engine->rpc_buckets[rpc->bucket] = rpc;
    if (is_server)
        homa_share_count_rpc(engine, peer->share, 1);
    else
        engine->client_rpcs++;
    return rpc;
}

static void unlink_from_table(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_rpc **link = &engine->rpc_buckets[rpc->bucket];

    while (*link != rpc) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = rpc->next;
}

void homa_rpc_release_payload(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct mem_payload *payload = rpc->out.payload;

    homa_output_cancel(engine, rpc);
    if (payload == NULL)
        return;
    rpc->out.payload = NULL;
    assert(engine->queued_bytes >= payload->length);
    engine->queued_bytes -= payload->length;
    if (engine->last_released == NULL)
        SLIST_INSERT_HEAD(&engine->released, payload, released);
    else
        SLIST_INSERT_AFTER(engine->last_released, payload, released);
    engine->last_released = payload;
}

void homa_rpc_unqueue(struct homa_engine *engine, struct homa_rpc *rpc)
{
    if (!rpc->is_queued)
        return;
    rpc->is_queued = false;
    if (homa_rpc_is_server(rpc)) {
        TAILQ_REMOVE(&engine->ready_requests, rpc, ready);
        engine->ready_request_count--;
    } else {
        TAILQ_REMOVE(&engine->ready_responses, rpc, ready);
        engine->ready_response_count--;
    }
}

/* Ends all that the RPC does on the network; what has been received stays. */
static void go_quiet(struct homa_engine *engine, struct homa_rpc *rpc)
{
    homa_timer_disarm(engine, rpc);
    homa_control_hush(engine, rpc, UINT8_MAX);
    homa_grant_leave(engine, rpc);
    homa_rpc_release_payload(engine, rpc);
}

void homa_rpc_end(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_peer *peer = rpc->peer;
    bool is_delivered = homa_rpc_is_server(rpc) && rpc->state >= HOMA_RPC_READY;

    homa_rpc_unqueue(engine, rpc);
    go_quiet(engine, rpc);
    homa_stall_leave(engine, rpc);
    if (is_delivered && homa_tombstones_add(engine->tombstones, engine->clock,
                                            engine->waits.tombstone, &peer->address, rpc->id))
        engine->counters.tombstone_overflows++;
    unlink_from_table(engine, rpc);
    homa_share_list(rpc, HOMA_HELD_NOT);
    if (homa_rpc_is_server(rpc))
        homa_share_count_rpc(engine, peer->share, -1);
    else
        engine->client_rpcs--;
    homa_peer_let_go(engine, peer, rpc);
    for (unsigned kind = 0; kind < HOMA_HEAPS; kind++)
        assert(rpc->heap_place[kind] == 0);
    assert(rpc->tell == 0 && !rpc->is_dirty && rpc->in.slot == HOMA_SCHED_NONE);
    base_pool_give(&engine->rpcs, rpc);
}

void homa_rpc_become_ready(struct homa_engine *engine, struct homa_rpc *rpc)
{
    assert(homa_rpc_is_waiting(rpc) && !rpc->is_queued);
    go_quiet(engine, rpc);
    homa_stall_complete(engine, rpc);
    rpc->state = HOMA_RPC_READY;
    rpc->ready_order = engine->ready_sequence++;
    if (rpc->is_private)
        return;
    rpc->is_queued = true;
    if (homa_rpc_is_server(rpc)) {
        TAILQ_INSERT_TAIL(&engine->ready_requests, rpc, ready);
        engine->ready_request_count++;
    } else {
        TAILQ_INSERT_TAIL(&engine->ready_responses, rpc, ready);
        engine->ready_response_count++;
    }
}

void homa_rpc_fail(struct homa_engine *engine, struct homa_rpc *rpc, int error)
{
    assert(!homa_rpc_is_server(rpc) && homa_rpc_is_waiting(rpc) && error > 0);
    homa_stall_leave(engine, rpc);
    rpc->error = error;
    homa_rpc_become_ready(engine, rpc);
}

void homa_rpc_visit(struct homa_engine *engine,
                    bool (*visit)(struct homa_engine *engine, struct homa_rpc *rpc, void *context),
                    void *context)
{
    uint32_t left = engine->rpcs.in_use; /* an empty table is not gone through */

    for (uint32_t i = 0; i <= engine->rpc_mask && left > 0; i++) {
        struct homa_rpc *next;

        for (struct homa_rpc *rpc = engine->rpc_buckets[i]; rpc != NULL; rpc = next) {
            next = rpc->next;
            left--;
            if (!visit(engine, rpc, context))
                return;
        }
    }
}
