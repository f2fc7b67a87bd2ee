/*
 * Acks, both ways. A client that is done with an RPC tells the server, so that it may forget it:
 * the ack waits at the peer's record for a DATA packet to ride on; many waiting ones, or a
 * NEED_ACK, get ACK packets of their own (control.c makes them). Losing an ack is harmless:
 * NEED_ACK asks again.
 */
#include "homa/internal.h"

#include <assert.h>

static struct homa_pending_ack *ack_at(const struct homa_engine *engine, uint32_t index)
{
    return base_pool_at(&engine->acks, index);
}

/* Whether this ack waits already: only the newest few are looked at, where repeats would be. */
static bool is_newest(const struct homa_engine *engine, const struct homa_peer *peer,
                      uint64_t client_id)
{
    return peer->ack_count > 0 && ack_at(engine, peer->last_ack)->client_id == client_id;
}

void homa_ack_queue(struct homa_engine *engine, struct homa_peer *peer, uint64_t client_id)
{
    assert(client_id != 0 && !homa_id_is_server(client_id));
    if (is_newest(engine, peer, client_id))
        return;
    struct homa_pending_ack *ack = NULL;

    if (peer->share->acks < (engine->acks.capacity + 1) / 2)
        ack = base_pool_take(&engine->acks);
    if (ack == NULL) {
        engine->counters.ack_overflows++;
        return;
    }
    peer->share->acks++;
    uint32_t index = base_pool_index(&engine->acks, ack);

    *ack = (struct homa_pending_ack){.client_id = client_id, .next = BASE_POOL_NONE};
    if (peer->ack_count++ == 0)
        peer->first_ack = index;
    else
        ack_at(engine, peer->last_ack)->next = index;
    peer->last_ack = index;
    if (peer->ack_count >= HOMA_ACKS_HELD)
        homa_control_tell_peer(engine, peer, HOMA_PEER_TELL_ACK);
}

void homa_ack_now(struct homa_engine *engine, struct homa_peer *peer, uint64_t client_id)
{
    homa_ack_queue(engine, peer, client_id);
    if (peer->ack_count > 0)
        homa_control_tell_peer(engine, peer, HOMA_PEER_TELL_ACK);
    else
        homa_control_tell_stranger(engine, &peer->address, HOMA_ACK, client_id);
}

uint64_t homa_ack_take(struct homa_engine *engine, struct homa_peer *peer)
{
    if (peer->ack_count == 0)
        return 0;
    struct homa_pending_ack *ack = ack_at(engine, peer->first_ack);
    uint64_t client_id = ack->client_id;

    peer->first_ack = ack->next;
    if (--peer->ack_count == 0)
        peer->last_ack = BASE_POOL_NONE;
    peer->share->acks--;
    base_pool_give(&engine->acks, ack);
    return client_id;
}

void homa_ack_put_back(struct homa_engine *engine, struct homa_peer *peer, uint64_t client_id)
{
    struct homa_pending_ack *ack = base_pool_take(&engine->acks);

    if (ack == NULL) {
        engine->counters.ack_overflows++;
        return;
    }
    peer->share->acks++;
    *ack = (struct homa_pending_ack){.client_id = client_id, .next = peer->first_ack};
    peer->first_ack = base_pool_index(&engine->acks, ack);
    if (peer->ack_count++ == 0)
        peer->last_ack = peer->first_ack;
}

void homa_ack_forget(struct homa_engine *engine, struct homa_peer *peer)
{
    while (peer->ack_count > 0) {
        homa_ack_take(engine, peer);
        engine->counters.ack_overflows++;
    }
}

void homa_ack_apply(struct homa_engine *engine, const struct base_address *from,
                    const struct homa_ack *ack, bool is_measured)
{
    bool is_ip = engine->format == HOMA_FORMAT_IP;
    struct homa_rpc *rpc;

    if (homa_id_is_server(ack->client_id) || (is_ip && ack->server_port != engine->port))
        return;
    rpc = homa_rpc_find_server(engine, from, ack->client_id | 1, is_ip);
    if (rpc == NULL)
        return;
    switch (rpc->state) {
    case HOMA_RPC_REPLYING:
        /* probe_at: one NEED_ACK has gone out, so this answers it (timer.c). */
        if (is_measured && rpc->in.probe_at != 0)
            homa_peer_sample_rtt(rpc->peer, engine->clock - rpc->in.probe_at);
        homa_rpc_end(engine, rpc);
        break;
    case HOMA_RPC_RECEIVING:
        /* The client gave up in the middle of its request. */
        homa_rpc_end(engine, rpc);
        break;
    default:
        /* The application has the request, or will: its reply will find an ack. */
        break;
    }
}
