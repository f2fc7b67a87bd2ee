/*
 * The application's calls: requests and replies in, finished messages out. Called by the socket
 * layer with arguments it has checked only in its own terms; every refusal changes nothing.
 */
#include "homa/internal.h"

#include <assert.h>
#include <errno.h>

static bool is_length_allowed(const struct homa_engine *engine, const struct mem_payload *payload)
{
    return payload->length > 0 && payload->length <= engine->max_message;
}

static void set_packet_bytes(struct homa_peer *peer, uint32_t packet_bytes)
{
    if (packet_bytes != 0)
        peer->packet_bytes = homa_max_u32(packet_bytes, HOMA_PACKET_BYTES_MIN);
}

/* The next id that no RPC of ours has (a new next_id may have set the counter back), and not 0,
 * which means "none" in an ack. */
static uint64_t take_id(struct homa_engine *engine)
{
    uint64_t id;

    do {
        id = engine->next_id;
        engine->next_id += 2;
    } while (id == 0 || homa_rpc_find_client(engine, id) != NULL);
    return id;
}

int homa_engine_request(struct homa_engine *engine, uint64_t now, const struct base_address *to,
                        struct mem_payload *payload, uint32_t packet_bytes, uint64_t cookie,
                        bool is_private, uint64_t *id)
{
    struct homa_peer *peer;
    struct homa_rpc *rpc;

    homa_engine_enter(engine, now);
    if (engine->is_shut_down)
        return -ESHUTDOWN;
    if (!is_length_allowed(engine, payload))
        return -EINVAL;
    peer = homa_peer_get(engine, to);
    if (peer == NULL)
        return -ENOBUFS;
    rpc = homa_rpc_begin(engine, peer, take_id(engine), HOMA_RPC_REQUESTING);
    if (rpc == NULL)
        return -ENOBUFS;
    rpc->cookie = cookie;
    rpc->is_private = is_private;
    set_packet_bytes(peer, packet_bytes);
    homa_output_begin(engine, rpc, payload);
    homa_timer_arm(engine, rpc, engine->clock + homa_peer_first_ask_wait(engine, peer));
    engine->counters.requests_sent++;
    *id = rpc->id;
    return 0;
}

int homa_engine_reply(struct homa_engine *engine, uint64_t now, const struct base_address *to,
                      uint64_t id, struct mem_payload *payload, uint32_t packet_bytes)
{
    struct homa_rpc *rpc;

    homa_engine_enter(engine, now);
    if (engine->is_shut_down)
        return -ESHUTDOWN;
    if (!is_length_allowed(engine, payload))
        return -EINVAL;
    rpc = homa_rpc_find_server(engine, to, id | 1, false);
    if (rpc == NULL)
        return -ENOENT;
    if (rpc->state < HOMA_RPC_IN_SERVICE)
        return -EINPROGRESS;
    if (rpc->state > HOMA_RPC_IN_SERVICE)
        return -EALREADY;
    homa_control_hush(engine, rpc, HOMA_TELL_BUSY);
    rpc->state = HOMA_RPC_REPLYING;
    homa_share_list(rpc, HOMA_HELD_REPLY);
    rpc->heard_at = engine->clock;
    rpc->ask_wait_ns = 0;
    rpc->in.probe_at = 0;
    set_packet_bytes(rpc->peer, packet_bytes);
    homa_output_begin(engine, rpc, payload);
    homa_timer_arm(engine, rpc, engine->clock + engine->waits.resend_interval);
    engine->counters.responses_sent++;
    return 0;
}

void homa_engine_more(struct homa_engine *engine, uint64_t now, const struct base_address *to,
                      uint64_t id)
{
    struct homa_rpc *rpc = homa_rpc_find(engine, to, id);

    homa_engine_enter(engine, now);
    if (rpc == NULL || rpc->out.payload == NULL)
        return;
    assert(rpc->out.payload->ready <= rpc->out.payload->length);
    homa_output_review(engine, rpc);
}

/* The oldest finished shared RPC of these kinds, or NULL. */
static struct homa_rpc *first_ready(const struct homa_engine *engine, unsigned kinds)
{
    struct homa_rpc *request = NULL;
    struct homa_rpc *response = NULL;

    if ((kinds & HOMA_TAKE_REQUEST) != 0)
        request = TAILQ_FIRST(&engine->ready_requests);
    if ((kinds & HOMA_TAKE_RESPONSE) != 0)
        response = TAILQ_FIRST(&engine->ready_responses);
    if (request == NULL || response == NULL)
        return request != NULL ? request : response;
    return request->ready_order < response->ready_order ? request : response;
}

static void hand_over(struct homa_engine *engine, struct homa_rpc *rpc,
                      struct homa_message *message)
{
    uint32_t count = rpc->in.num_bpages;

    *message = (struct homa_message){
        .id = rpc->id,
        .cookie = rpc->cookie,
        .peer = rpc->peer->address,
        .length = rpc->error == 0 ? rpc->in.length : 0,
        .error = rpc->error,
        .num_bpages = count,
        .bpage_offsets = engine->taken_bpages,
    };
    assert((count > 0) == (rpc->error == 0));
    if (count > 0) {
        memcpy(engine->taken_bpages, rpc->bpages, count * sizeof(rpc->bpages[0]));
        bpage_hand_over(engine->bpages, rpc->bpages, count);
        homa_stall_hand_over(engine, rpc);
    }
}

int homa_engine_take(struct homa_engine *engine, uint64_t now, uint64_t id, unsigned kinds,
                     struct homa_message *message)
{
    struct homa_rpc *rpc;

    homa_engine_enter(engine, now);
    if (id == 0) {
        rpc = first_ready(engine, kinds);
        if (rpc == NULL)
            return -EAGAIN;
    } else {
        rpc = homa_id_is_server(id) ? NULL : homa_rpc_find_client(engine, id);
        if (rpc == NULL || !rpc->is_private)
            return -EINVAL;
        if (rpc->state != HOMA_RPC_READY)
            return -EAGAIN;
    }
    assert(rpc->state == HOMA_RPC_READY);
    hand_over(engine, rpc, message);
    if (homa_rpc_is_server(rpc)) {
        homa_rpc_unqueue(engine, rpc);
        rpc->state = HOMA_RPC_IN_SERVICE;
    } else {
        homa_rpc_end(engine, rpc);
    }
    return 0;
}

uint32_t homa_engine_ready(const struct homa_engine *engine, unsigned kinds)
{
    uint32_t count = 0;

    if ((kinds & HOMA_TAKE_REQUEST) != 0)
        count += engine->ready_request_count;
    if ((kinds & HOMA_TAKE_RESPONSE) != 0)
        count += engine->ready_response_count;
    return count;
}

bool homa_engine_private_ready(const struct homa_engine *engine, uint64_t id)
{
    const struct homa_rpc *rpc = homa_id_is_server(id) ? NULL : homa_rpc_find_client(engine, id);

    return rpc == NULL || rpc->state == HOMA_RPC_READY;
}

uint64_t homa_engine_ready_sequence(const struct homa_engine *engine)
{
    return engine->ready_sequence;
}

int homa_engine_return_bpages(struct homa_engine *engine, uint64_t now, const uint32_t *offsets,
                              uint32_t count, uint32_t *bad)
{
    struct bpage_stats stats;
    int result;

    homa_engine_enter(engine, now);
    if (count == 0)
        return 0;
    if (engine->bpages == NULL) {
        *bad = 0;
        return -EINVAL;
    }
    result = bpage_return(engine->bpages, offsets, count, bad);
    if (result != 0)
        return result;
    homa_stall_release(engine);
    bpage_pool_stats(engine->bpages, &stats);
    engine->counters.bpage_reuses = stats.reuses;
    return 0;
}

static void abort_one(struct homa_engine *engine, struct homa_rpc *rpc, int error)
{
    if (error == 0)
        homa_rpc_end(engine, rpc);
    else if (homa_rpc_is_waiting(rpc))
        homa_rpc_fail(engine, rpc, error);
}

static bool abort_each(struct homa_engine *engine, struct homa_rpc *rpc, void *context)
{
    const int *error = context;

    if (!homa_rpc_is_server(rpc))
        abort_one(engine, rpc, *error);
    return true;
}

int homa_engine_abort(struct homa_engine *engine, uint64_t now, uint64_t id, int error)
{
    struct homa_rpc *rpc;

    assert(error >= 0);
    homa_engine_enter(engine, now);
    if (id == 0) {
        homa_rpc_visit(engine, abort_each, &error);
        return 0;
    }
    rpc = homa_id_is_server(id) ? NULL : homa_rpc_find_client(engine, id);
    if (rpc == NULL)
        return -EINVAL;
    abort_one(engine, rpc, error);
    return 0;
}

int homa_engine_drop(struct homa_engine *engine, uint64_t now, const struct base_address *client,
                     uint64_t id)
{
    struct homa_rpc *rpc = homa_rpc_find_server(engine, client, id | 1, false);

    homa_engine_enter(engine, now);
    if (rpc == NULL || rpc->state != HOMA_RPC_IN_SERVICE)
        return -ENOENT;
    homa_rpc_end(engine, rpc);
    return 0;
}

void homa_engine_released(struct homa_engine *engine, struct mem_payload_list *list)
{
    struct mem_payload *last = SLIST_FIRST(list);

    if (SLIST_EMPTY(&engine->released))
        return;
    while (last != NULL && SLIST_NEXT(last, released) != NULL)
        last = SLIST_NEXT(last, released);
    if (last == NULL)
        *list = engine->released;
    else
        SLIST_NEXT(last, released) = SLIST_FIRST(&engine->released);
    SLIST_INIT(&engine->released);
    engine->last_released = NULL;
}
