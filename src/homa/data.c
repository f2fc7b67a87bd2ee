/*
 * Incoming DATA: which RPC a packet belongs to, where its bytes go, and when a message is complete.
 * Called by input.c for each DATA packet. A request's first packet, whichever of its packets that
 * is, makes a server RPC. Bytes go straight to their place in the region; overlaps are trimmed, so
 * any cut of a retransmission is welcome. Nothing here trusts a packet: it must agree with what its
 * message is known to be, or it is dropped and counted.
 */
#include "homa/internal.h"

#include <assert.h>
#include <errno.h>

/* Copies the new parts of the packet's payload to their places. */
static void place(struct homa_engine *engine, const struct homa_rpc *rpc,
                  const struct homa_packet *packet, struct homa_range range)
{
    while (range.start < range.end) {
        uint32_t in_page = range.start % BPAGE_SIZE;
        uint32_t length = homa_min_u32(range.end - range.start, BPAGE_SIZE - in_page);
        uint64_t at = (uint64_t)rpc->bpages[range.start / BPAGE_SIZE] + in_page;

        mem_region_put(engine->region, at,
                       packet->data.payload + (range.start - packet->data.offset), length);
        range.start += length;
    }
}

/* What each packet of a message says about the sender and its limits. */
static void learn(struct homa_engine *engine, struct homa_rpc *rpc,
                  const struct homa_packet *packet)
{
    struct homa_incoming *in = &rpc->in;
    struct homa_peer *peer = rpc->peer;
    uint32_t end = packet->data.offset + packet->data.payload_length;

    if (packet->data.incoming == 0)
        homa_peer_set_never_grants(engine, peer);
    uint32_t granted =
        peer->never_grants ? in->length : homa_min_u32(packet->data.incoming, in->length);

    in->granted = homa_max_u32(in->granted, homa_max_u32(granted, end));
    if (in->unscheduled == 0)
        in->unscheduled = in->granted;
    if (packet->data.cutoff_version != engine->cutoff_version && !peer->never_grants &&
        (peer->cutoffs_sent_at == 0 ||
         engine->clock - peer->cutoffs_sent_at >= HOMA_CUTOFFS_INTERVAL)) {
        peer->cutoffs_sent_at = engine->clock;
        homa_control_tell_peer(engine, peer, HOMA_PEER_TELL_CUTOFFS);
    }
}

uint8_t homa_data_resend_level(const struct homa_engine *engine, const struct homa_rpc *rpc,
                               uint32_t offset)
{
    uint32_t level = engine->knobs.num_priorities - 1;

    if (rpc->in.length == 0)
        return (uint8_t)level;
    if (offset >= rpc->in.unscheduled)
        return rpc->in.priority;
    while (level > 0 && rpc->in.length > engine->knobs.unsched_cutoffs[level])
        level--;
    return (uint8_t)level;
}

/* The first packet of a message tells its length. */
static void begin_message(struct homa_engine *engine, struct homa_rpc *rpc,
                          const struct homa_packet *packet)
{
    assert(rpc->in.length == 0);
    rpc->in.length = packet->data.message_length;
    rpc->in.priority = 0;
    if (rpc->state != HOMA_RPC_REQUESTING)
        return;
    rpc->state = HOMA_RPC_RECEIVING;
    /* Only a server that has the whole request answers. */
    if (!packet->data.retransmit && !rpc->out.was_repeated && rpc->out.sent == rpc->out.length)
        homa_peer_sample_response(rpc->peer, engine->clock - rpc->out.sent_at);
    homa_rpc_release_payload(engine, rpc);
}

static void complete(struct homa_engine *engine, struct homa_rpc *rpc)
{
    assert(rpc->in.received.gaps == 0 && rpc->in.received.end == rpc->in.length);
    if (homa_rpc_is_server(rpc)) {
        engine->counters.requests_received++;
    } else {
        engine->counters.responses_received++;
        homa_ack_queue(engine, rpc->peer, rpc->id);
    }
    homa_rpc_become_ready(engine, rpc);
}

/* The answer to a GRANT of ours, if the packet is that: a round trip. */
static void measure(struct homa_engine *engine, struct homa_rpc *rpc,
                    const struct homa_packet *packet)
{
    struct homa_incoming *in = &rpc->in;

    if (in->probe_at == 0 || packet->data.offset < in->probe_offset)
        return;
    if (!packet->data.retransmit)
        homa_peer_sample_rtt(rpc->peer, engine->clock - in->probe_at);
    in->probe_at = 0;
}

/* Whether the message may have a gap more for this packet: it and its host have few enough. Splits
 * may go on when no gap is opened any more, or retransmissions that are lost in part were useless.
 */
static bool may_open_gap(const struct homa_engine *engine, const struct homa_rpc *rpc,
                         uint32_t start)
{
    const struct homa_received *received = &rpc->in.received;
    uint32_t most = HOMA_GAPS_PER_MESSAGE;

    if (start < received->end)
        most *= 2;
    return received->gaps < most && rpc->peer->share->gaps < engine->gaps.capacity / 2;
}

static void receive(struct homa_engine *engine, struct homa_rpc *rpc,
                    const struct homa_packet *packet)
{
    struct homa_incoming *in = &rpc->in;
    struct homa_share *share = rpc->peer->share;
    struct homa_range ranges[HOMA_NEW_RANGES_MAX];
    uint64_t gap_wait = homa_peer_gap_wait(engine, rpc->peer);
    uint32_t start = packet->data.offset;
    uint32_t had = in->received.bytes;
    uint32_t had_gaps = in->received.gaps;
    bool opened = false;

    if (in->num_bpages == 0 && !homa_stall_get_space(engine, rpc)) {
        engine->counters.dropped_data_no_bufs += packet->data.payload_length;
        homa_timer_arm(engine, rpc, engine->clock + engine->waits.resend_interval);
        return;
    }
    int count = homa_received_add(
        &in->received, &engine->gaps, start, start + packet->data.payload_length, in->unscheduled,
        engine->clock + gap_wait, gap_wait, may_open_gap(engine, rpc, start), ranges, &opened);

    share->gaps += in->received.gaps - had_gaps;
    if (count < 0) {
        engine->counters.gap_overflows++;
        homa_timer_arm(engine, rpc, engine->clock + engine->waits.resend_interval);
        return;
    }
    for (int i = 0; i < count; i++)
        place(engine, rpc, packet, ranges[i]);
    engine->counters.received_bytes += in->received.bytes - had;
    if (count == 0)
        engine->counters.resent_discards++;
    else if (packet->data.retransmit)
        engine->counters.resent_packets_used++;
    if (opened) {
        engine->counters.gaps_created++;
        homa_timer_arm(engine, rpc, engine->clock + gap_wait);
    }
    measure(engine, rpc, packet);
    if (in->received.bytes == in->length) {
        complete(engine, rpc);
        return;
    }
    homa_grant_mark(engine, rpc);
    homa_timer_arm(engine, rpc, engine->clock + engine->waits.resend_first);
}

/* Finds the client RPC that a response is for. */
static struct homa_rpc *find_for_response(struct homa_engine *engine,
                                          const struct base_address *from,
                                          const struct homa_packet *packet)
{
    uint64_t id = packet->id & ~(uint64_t)1;
    struct homa_rpc *rpc = homa_rpc_find(engine, from, id);

    if (rpc != NULL && rpc->error == 0) {
        if (homa_rpc_is_waiting(rpc))
            return rpc;
        engine->counters.resent_discards++;
        return NULL;
    }
    /* We are done with it, one way or the other. The server may forget it. */
    engine->counters.packet_discards++;
    if (rpc == NULL && homa_rpc_find_client(engine, id) != NULL)
        return NULL; /* ours, but not with this peer */
    struct homa_peer *peer = homa_peer_find(engine, from);

    if (peer == NULL)
        peer = homa_peer_next_same_remote(engine, from, NULL);
    if (peer != NULL && id != 0)
        homa_ack_queue(engine, peer, id);
    return NULL;
}

/* Finds the server RPC that a request is for, or makes it. */
static struct homa_rpc *find_for_request(struct homa_engine *engine,
                                         const struct base_address *from,
                                         const struct homa_packet *packet)
{
    uint64_t id = packet->id | 1;
    struct homa_rpc *rpc = homa_rpc_find(engine, from, id);

    if (rpc != NULL) {
        if (rpc->state == HOMA_RPC_RECEIVING)
            return rpc;
        engine->counters.resent_discards++;
        return NULL;
    }
    if (homa_tombstones_has(engine->tombstones, engine->clock, from, id)) {
        engine->counters.tombstone_hits++;
        return NULL;
    }
    if (!engine->is_server) {
        engine->counters.packet_discards++;
        return NULL;
    }
    struct homa_peer *peer = homa_peer_get(engine, from);

    if (peer == NULL)
        return NULL;
    rpc = homa_rpc_begin(engine, peer, id, HOMA_RPC_RECEIVING);
    if (rpc == NULL)
        engine->counters.rpc_alloc_failures++;
    return rpc;
}

void homa_data_input(struct homa_engine *engine, const struct base_address *from,
                     const struct homa_packet *packet)
{
    struct homa_rpc *rpc;

    if (packet->data.payload_length == 0 || packet->data.message_length > engine->max_message) {
        engine->counters.bad_data_packets++;
        return;
    }
    rpc = homa_id_is_server(packet->id) ? find_for_response(engine, from, packet)
                                        : find_for_request(engine, from, packet);
    if (rpc == NULL)
        return;
    if (rpc->in.length != 0 && rpc->in.length != packet->data.message_length) {
        engine->counters.bad_data_packets++;
        return;
    }
    homa_note_heard(engine, rpc);
    rpc->ask_wait_ns = 0;
    rpc->busy_wait_ns = 0;
    if (rpc->in.length == 0)
        begin_message(engine, rpc, packet);
    learn(engine, rpc, packet);
    receive(engine, rpc, packet);
}
