/*
 * Packets in: takes datagrams apart and acts on each packet by its type (DATA: data.c). An id on
 * the wire is the sender's; the other end of the same RPC has it with the low bit flipped. Every
 * check on what a peer says is here or in data.c; a packet that fails one is counted and dropped.
 */
#include "homa/internal.h"

#include <assert.h>
#include <errno.h>

/* GRANT: more of our message may go out. */
static void take_grant(struct homa_engine *engine, const struct base_address *from,
                       const struct homa_packet *packet)
{
    struct homa_rpc *rpc = homa_rpc_find(engine, from, packet->id ^ 1);

    if (rpc == NULL || rpc->out.payload == NULL) {
        engine->counters.packet_discards++;
        return;
    }
    homa_note_heard(engine, rpc);
    if (homa_output_grant(engine, rpc, packet->grant.offset))
        rpc->out.priority = packet->grant.priority;
    else
        engine->counters.grants_ignored++;
}

/* RESEND for a message that we have: sends again what has gone out, grants the rest. */
static void resend_range(struct homa_engine *engine, struct homa_rpc *rpc,
                         const struct homa_packet *packet)
{
    struct homa_outgoing *out = &rpc->out;
    uint32_t start = packet->resend.offset;
    uint64_t end = out->sent;
    bool is_new = false;

    if (!packet->resend.has_priority)
        homa_peer_set_never_grants(engine, rpc->peer);
    if (packet->resend.length != HOMA_RESEND_ALL) {
        end = homa_min_u64((uint64_t)start + packet->resend.length, out->length);
        is_new = homa_output_grant(engine, rpc, end);
        if (is_new)
            out->priority = packet->resend.priority;
    }
    if (start >= out->sent)
        homa_control_tell(engine, rpc, HOMA_TELL_BUSY);
    else
        homa_output_asked_again(engine, rpc, start, (uint32_t)end, packet->resend.priority);
}

static void take_resend(struct homa_engine *engine, const struct base_address *from,
                        const struct homa_packet *packet)
{
    uint64_t id = packet->id ^ 1;
    struct homa_rpc *rpc = homa_rpc_find(engine, from, id);

    if (rpc != NULL && rpc->out.payload != NULL && packet->resend.offset >= rpc->out.length) {
        /* The other end takes the message for longer than it is. Nothing that we have helps, and an
         * answer would keep both waiting for ever: its timeout decides. */
        engine->counters.packet_discards++;
    } else if (rpc != NULL && rpc->out.payload != NULL) {
        homa_note_heard(engine, rpc);
        resend_range(engine, rpc, packet);
    } else if (rpc != NULL && homa_rpc_is_server(rpc)) {
        /* No response yet: the request is still coming in, or is being worked on. */
        homa_control_tell(engine, rpc, HOMA_TELL_BUSY);
    } else if (rpc != NULL && rpc->error == 0) {
        /* A server that has begun to answer has the request. */
        engine->counters.packet_discards++;
    } else if (homa_id_is_server(id) &&
               homa_tombstones_has(engine->tombstones, engine->clock, from, id)) {
        engine->counters.tombstone_hits++;
    } else {
        homa_control_tell_stranger(engine, from, HOMA_RPC_UNKNOWN, id);
    }
}

/* RPC_UNKNOWN: the other end has no record of it. */
static void take_unknown(struct homa_engine *engine, const struct base_address *from,
                         const struct homa_packet *packet)
{
    struct homa_rpc *rpc = homa_rpc_find(engine, from, packet->id ^ 1);

    if (rpc == NULL) {
        engine->counters.packet_discards++;
        return;
    }
    switch (rpc->state) {
    case HOMA_RPC_REQUESTING:
        /* The request never got there (or its server started anew): all of it again. */
        engine->counters.unknown_rpcs++;
        homa_output_asked_again(engine, rpc, 0, rpc->out.sent,
                                homa_peer_unscheduled_level(engine, rpc->peer, rpc->out.length));
        break;
    case HOMA_RPC_RECEIVING:
        /* A client that forgot the server in the middle of the response: timeouts decide. */
        if (!homa_rpc_is_server(rpc))
            break;
        engine->counters.unknown_rpcs++;
        homa_rpc_end(engine, rpc);
        break;
    case HOMA_RPC_REPLYING:
        engine->counters.unknown_rpcs++;
        homa_rpc_end(engine, rpc);
        break;
    default:
        /* The application has the request, or will; its reply finds out. */
        break;
    }
}

/* BUSY: the peer lives and has nothing for us now. A row of them makes us ask ever more rarely. */
static void take_busy(struct homa_engine *engine, const struct base_address *from,
                      const struct homa_packet *packet)
{
    struct homa_rpc *rpc = homa_rpc_find(engine, from, packet->id ^ 1);

    if (rpc == NULL) {
        engine->counters.packet_discards++;
        return;
    }
    homa_note_heard(engine, rpc);
    if (!homa_rpc_is_waiting(rpc))
        return;
    uint64_t wait = homa_max_u64(2 * rpc->busy_wait_ns, engine->waits.resend_first);

    rpc->busy_wait_ns = homa_min_u64(wait, engine->waits.busy_longest);
    rpc->ask_wait_ns = rpc->busy_wait_ns;
    rpc->asked_at = engine->clock;
}

static void take_cutoffs(struct homa_engine *engine, const struct base_address *from,
                         const struct homa_packet *packet)
{
    struct homa_peer *peer = homa_peer_next_same_remote(engine, from, NULL);

    if (peer == NULL) {
        engine->counters.packet_discards++;
        return;
    }
    for (; peer != NULL; peer = homa_peer_next_same_remote(engine, from, peer)) {
        memcpy(peer->cutoffs, packet->cutoffs.unsched_cutoffs, sizeof(peer->cutoffs));
        peer->cutoff_version = packet->cutoffs.version;
    }
    engine->counters.cutoffs_received++;
}

/* NEED_ACK: the server has sent all of its response. */
static void take_need_ack(struct homa_engine *engine, const struct base_address *from,
                          const struct homa_packet *packet)
{
    uint64_t id = packet->id ^ 1;
    struct homa_rpc *rpc;
    struct homa_peer *peer;

    if (homa_id_is_server(id) || id == 0) {
        engine->counters.packet_discards++; /* only servers ask */
        return;
    }
    rpc = homa_rpc_find(engine, from, id);
    if (rpc == NULL || !homa_rpc_is_waiting(rpc)) {
        peer = rpc != NULL ? rpc->peer : homa_peer_next_same_remote(engine, from, NULL);
        if (peer != NULL)
            homa_ack_now(engine, peer, id);
        else
            homa_control_tell_stranger(engine, from, HOMA_ACK, id);
        return;
    }
    if (homa_timer_is_our_turn(engine, rpc))
        homa_control_tell(engine, rpc, HOMA_TELL_BUSY);
    else if (engine->clock - rpc->heard_at >= homa_peer_gap_wait(engine, rpc->peer))
        homa_timer_ask_for_all(engine, rpc); /* it is not merely overtaken by this packet */
}

static void take_packet(struct homa_engine *engine, const struct base_address *from,
                        const struct homa_packet *packet)
{
    engine->counters.packets_received[packet->type - HOMA_DATA]++;
    switch (packet->type) {
    case HOMA_DATA:
        if (packet->data.ack.client_id != 0)
            homa_ack_apply(engine, from, &packet->data.ack, false);
        homa_data_input(engine, from, packet);
        break;
    case HOMA_GRANT:
        take_grant(engine, from, packet);
        break;
    case HOMA_RESEND:
        take_resend(engine, from, packet);
        break;
    case HOMA_RPC_UNKNOWN:
        take_unknown(engine, from, packet);
        break;
    case HOMA_BUSY:
        take_busy(engine, from, packet);
        break;
    case HOMA_CUTOFFS:
        take_cutoffs(engine, from, packet);
        break;
    case HOMA_FREEZE:
        break;
    case HOMA_NEED_ACK:
        take_need_ack(engine, from, packet);
        break;
    case HOMA_ACK:
        for (size_t i = 0; i < packet->ack.count; i++)
            homa_ack_apply(engine, from, &packet->ack.acks[i], true);
        break;
    }
}

static void count_fault(struct homa_engine *engine, enum homa_packet_fault fault)
{
    switch (fault) {
    case HOMA_PACKET_SHORT:
        engine->counters.short_packets++;
        break;
    case HOMA_PACKET_UNKNOWN_TYPE:
        engine->counters.unknown_packet_types++;
        break;
    case HOMA_PACKET_UNKNOWN_VERSION:
        engine->counters.unknown_versions++;
        break;
    case HOMA_PACKET_BEYOND_END:
        engine->counters.bad_data_packets++;
        break;
    }
}

void homa_engine_input(struct homa_engine *engine, uint64_t now, const struct base_arrival *arrival)
{
    const uint8_t *bytes = arrival->bytes;
    size_t left = arrival->length;
    struct base_address from = arrival->from;

    homa_engine_enter(engine, now);
    if (engine->is_shut_down)
        return;
    do {
        struct homa_packet packet;
        enum homa_packet_fault fault;
        int taken = homa_packet_decode(bytes, left, engine->format, &packet, &fault);

        if (taken < 0) {
            count_fault(engine, fault);
            return;
        }
        assert((size_t)taken <= left && taken > 0);
        if (engine->format == HOMA_FORMAT_IP) {
            /* On protocol 146 the ports are in the packet, and the wire delivers them all. */
            from.port = packet.source_port;
            if (packet.destination_port != engine->port) {
                engine->counters.packet_discards++;
                return;
            }
        }
        take_packet(engine, &from, &packet);
        bytes += taken;
        left -= (size_t)taken;
    } while (left > 0);
}

/* ---- what the network says ---- */

/* The path to the peer takes smaller packets than we thought; what was too large is lost. */
static void shrink_packets(struct homa_engine *engine, struct homa_peer *peer, uint32_t bytes)
{
    struct homa_rpc *rpc;

    peer->packet_bytes = bytes;
    LIST_FOREACH(rpc, &peer->rpcs, of_peer) {
        if (rpc->out.payload == NULL || rpc->out.packet_payload <= bytes - HOMA_DATA_HEADER_LENGTH)
            continue;
        rpc->out.packet_payload = bytes - HOMA_DATA_HEADER_LENGTH;
        homa_output_review(engine, rpc);
        /* Where the peer has been heard since, it knows what it is missing. */
        if (rpc->heard_at <= rpc->out.sent_at)
            homa_output_again(engine, rpc, 0, rpc->out.sent,
                              homa_peer_unscheduled_level(engine, peer, rpc->out.length));
    }
}

/*
 * Fails our RPCs to this peer; the peer's RPCs end where only the network would carry them on. A
 * peer that has answered before may be out of reach for a moment only (a link that flaps, a route
 * that moves): its RPCs go on, and say EHOSTUNREACH if they end by silence.
 */
static void fail_rpcs(struct homa_engine *engine, struct homa_peer *peer, int error)
{
    struct homa_rpc *rpc = LIST_FIRST(&peer->rpcs);

    if (error == EHOSTUNREACH && peer->has_answered) {
        peer->is_unreachable = true;
        return;
    }
    while (rpc != NULL) {
        struct homa_rpc *next = LIST_NEXT(rpc, of_peer);

        if (!homa_rpc_is_server(rpc)) {
            if (homa_rpc_is_waiting(rpc)) {
                engine->counters.network_errors++;
                homa_rpc_fail(engine, rpc, error);
            }
        } else if (error == ENOTCONN &&
                   (rpc->state == HOMA_RPC_RECEIVING || rpc->state == HOMA_RPC_REPLYING)) {
            engine->counters.network_errors++;
            homa_rpc_end(engine, rpc);
        }
        rpc = next;
    }
}

void homa_engine_network_error(struct homa_engine *engine, uint64_t now,
                               const struct base_network_error *error)
{
    struct homa_peer *peer = homa_peer_next_same_remote(engine, &error->to, NULL);
    int fails_with = EHOSTUNREACH;

    homa_engine_enter(engine, now);
    if (error->error == ECONNREFUSED)
        fails_with = ENOTCONN;
    else if (error->error == EPROTONOSUPPORT || error->error == ENOPROTOOPT)
        fails_with = EPROTONOSUPPORT;
    for (; peer != NULL; peer = homa_peer_next_same_remote(engine, &error->to, peer)) {
        if (error->error != EMSGSIZE)
            fail_rpcs(engine, peer, fails_with);
        else if (error->packet_bytes < peer->packet_bytes)
            shrink_packets(engine, peer, homa_max_u32(error->packet_bytes, HOMA_PACKET_BYTES_MIN));
    }
}
