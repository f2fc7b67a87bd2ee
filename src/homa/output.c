/*
 * Packets out. Control first (control.c), then what receivers asked to have again, in turns with
 * new bytes, by shortest remaining (spec section 4, Sender). Messages shorter than defer_min_bytes
 * come before all longer ones and are never held back by the pacer; of the longer ones the oldest
 * gets a small share.
 *
 * The queue of senders holds exactly the RPCs that could send a packet of new bytes now; whoever
 * moves one of the limits calls homa_output_review(). Each packet leaves a note, so that what the
 * wire did not take can be taken back in reverse order.
 */
#include "homa/internal.h"

#include <assert.h>

/* Within one resend_interval so many packets of a message are sent again when asked for, beyond
 * twice as many bytes as have gone out: plenty for a receiver that has lost something, and a bound
 * for one that turns small RESENDs into large answers. */
#define AGAIN_PACKETS 16u

/* ---- what may be sent ---- */

/* Where the packet that begins at `start` ends: packets are cut on the same grid each time. */
static uint32_t packet_end(const struct homa_outgoing *out, uint32_t start)
{
    uint32_t from = start < out->unscheduled ? 0 : out->unscheduled;
    uint32_t limit = start < out->unscheduled ? out->unscheduled : out->length;
    uint32_t whole = (start - from) / out->packet_payload + 1;
    uint64_t end = from + (uint64_t)whole * out->packet_payload;

    return (uint32_t)homa_min_u64(end, limit);
}

/* The end of the next packet of new bytes; 0 when none can go out now. A packet is cut short by the
 * grant, but waits for payload that is not ready yet. */
static uint32_t next_end(const struct homa_outgoing *out)
{
    if (out->payload == NULL || out->sent >= out->granted)
        return 0;
    uint32_t end = homa_min_u32(packet_end(out, out->sent), out->granted);

    return end <= out->payload->ready ? end : 0;
}

/* What so much waiting is worth, in bytes. */
static uint64_t age_credit(const struct homa_engine *engine, uint64_t waited_ns)
{
    uint64_t rate = engine->knobs.age_bytes_per_usec;

    return waited_ns / HOMA_US * rate + waited_ns % HOMA_US * rate / HOMA_US;
}

/*
 * Short messages first, then by bytes left, then by age. With aging, a message's birth counts in
 * bytes: of two, the one that is older by a microsecond may have age_bytes_per_usec more left. That
 * order does not change while both wait, so the key stays what it was. (A clock's
 * time at the greatest rate stays below 2^63 for 29 years.)
 */
static uint64_t send_key(const struct homa_engine *engine, const struct homa_rpc *rpc)
{
    uint64_t is_paced = rpc->out.is_paced ? 1 : 0;
    uint64_t left = rpc->out.length - rpc->out.sent;

    if (engine->knobs.age_bytes_per_usec == 0)
        return is_paced << 63 | left << 32 | (rpc->birth & UINT32_MAX);
    return is_paced << 63 | (left + age_credit(engine, rpc->out.born_at));
}

void homa_output_review(struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_heap *senders = &engine->heaps[HOMA_HEAP_SEND];
    struct homa_heap *oldest = &engine->heaps[HOMA_HEAP_OLDEST];

    assert(rpc->out.sent <= rpc->out.granted && rpc->out.granted <= rpc->out.length);
    if (next_end(&rpc->out) == 0) {
        homa_heap_remove(senders, rpc);
        homa_heap_remove(oldest, rpc);
        return;
    }
    homa_heap_set(senders, rpc, send_key(engine, rpc));
    if (rpc->out.is_paced && !homa_heap_has(oldest, rpc))
        homa_heap_set(oldest, rpc, rpc->birth);
}

void homa_output_begin(struct homa_engine *engine, struct homa_rpc *rpc,
                       struct mem_payload *payload)
{
    struct homa_outgoing *out = &rpc->out;
    struct homa_peer *peer = rpc->peer;

    assert(out->payload == NULL && payload->length > 0 && payload->ready <= payload->length);
    assert(peer->packet_bytes >= HOMA_PACKET_BYTES_MIN);
    out->payload = payload;
    out->length = payload->length;
    out->unscheduled = homa_min_u32(payload->length, engine->knobs.unsched_bytes);
    out->granted = peer->never_grants ? out->length : out->unscheduled;
    out->packet_payload = peer->packet_bytes - HOMA_DATA_HEADER_LENGTH;
    out->born_at = engine->clock;
    out->sent_at = engine->clock;
    out->is_paced = out->length >= engine->knobs.defer_min_bytes;
    engine->queued_bytes += payload->length;
    homa_output_review(engine, rpc);
}

bool homa_output_grant(struct homa_engine *engine, struct homa_rpc *rpc, uint64_t granted)
{
    struct homa_outgoing *out = &rpc->out;

    granted = homa_min_u64(granted, out->length);
    if (granted <= out->granted)
        return false;
    out->granted = (uint32_t)granted;
    homa_output_review(engine, rpc);
    return true;
}

static void leave_again(struct homa_engine *engine, struct homa_rpc *rpc)
{
    TAILQ_REMOVE(&engine->sending_again, rpc, sending_again);
}

/* Short messages go to the front: they are never held back, so they must not wait behind any that
 * are. */
static void enter_again(struct homa_engine *engine, struct homa_rpc *rpc)
{
    if (rpc->out.is_paced)
        TAILQ_INSERT_TAIL(&engine->sending_again, rpc, sending_again);
    else
        TAILQ_INSERT_HEAD(&engine->sending_again, rpc, sending_again);
}

void homa_output_cancel(struct homa_engine *engine, struct homa_rpc *rpc)
{
    homa_heap_remove(&engine->heaps[HOMA_HEAP_SEND], rpc);
    homa_heap_remove(&engine->heaps[HOMA_HEAP_OLDEST], rpc);
    if (rpc->out.again_count > 0)
        leave_again(engine, rpc);
    rpc->out.again_count = 0;
}

/* ---- sending again ---- */

static uint32_t distance(const struct homa_range *range, uint32_t start, uint32_t end)
{
    if (end < range->start)
        return range->start - end;
    return start > range->end ? start - range->end : 0;
}

/* Joins [start, end) with the range nearest to it, and with any that the result touches. */
static void join(struct homa_outgoing *out, uint32_t start, uint32_t end)
{
    unsigned nearest = 0;

    for (unsigned i = 1; i < out->again_count; i++)
        if (distance(&out->again[i], start, end) < distance(&out->again[nearest], start, end))
            nearest = i;
    do {
        start = homa_min_u32(start, out->again[nearest].start);
        end = homa_max_u32(end, out->again[nearest].end);
        out->again[nearest] = out->again[--out->again_count];
        nearest = 0;
        while (nearest < out->again_count && distance(&out->again[nearest], start, end) > 0)
            nearest++;
    } while (nearest < out->again_count);
    out->again[out->again_count++] = (struct homa_range){.start = start, .end = end};
}

void homa_output_again(struct homa_engine *engine, struct homa_rpc *rpc, uint32_t start,
                       uint32_t end, uint8_t level)
{
    struct homa_outgoing *out = &rpc->out;
    bool is_near = false;

    end = homa_min_u32(end, out->sent);
    if (out->payload == NULL || start >= end)
        return;
    for (unsigned i = 0; i < out->again_count; i++)
        is_near = is_near || distance(&out->again[i], start, end) == 0;
    if (out->again_count == 0)
        enter_again(engine, rpc);
    if (is_near || out->again_count == HOMA_AGAIN_MAX)
        join(out, start, end);
    else
        out->again[out->again_count++] = (struct homa_range){.start = start, .end = end};
    out->again_priority = level;
    assert(out->again_count >= 1 && out->again_count <= HOMA_AGAIN_MAX);
}

void homa_output_asked_again(struct homa_engine *engine, struct homa_rpc *rpc, uint32_t start,
                             uint32_t end, uint8_t level)
{
    struct homa_outgoing *out = &rpc->out;

    if (engine->clock - out->again_since >= engine->waits.resend_interval) {
        out->again_since = engine->clock;
        out->again_bytes = 0;
    }
    if (out->again_bytes >= 2 * (uint64_t)out->sent + (uint64_t)AGAIN_PACKETS * out->packet_payload)
        engine->counters.resends_ignored++;
    else
        homa_output_again(engine, rpc, start, end, level);
}

/* ---- DATA packets ---- */

static unsigned level_of(const struct homa_rpc *rpc, uint32_t start, bool is_again)
{
    const struct homa_outgoing *out = &rpc->out;

    if (is_again)
        return out->again_priority;
    if (start < out->unscheduled)
        return out->unscheduled_level;
    return out->priority;
}

static void make_data(struct homa_engine *engine, struct homa_rpc *rpc, struct base_packet *packet,
                      struct homa_note *note)
{
    const struct homa_outgoing *out = &rpc->out;
    struct homa_peer *peer = rpc->peer;
    struct homa_packet header = {
        .type = HOMA_DATA,
        .source_port = engine->port,
        .destination_port = peer->address.port,
        .id = rpc->id,
        .data = {.message_length = out->length,
                 .incoming = out->granted,
                 .ack = {.client_id = homa_ack_take(engine, peer)},
                 .cutoff_version = peer->cutoff_version,
                 .retransmit = note->is_again,
                 .offset = note->start,
                 .payload_length = note->end - note->start},
    };

    if (header.data.ack.client_id != 0)
        header.data.ack.server_port = peer->address.port;
    note->rpc = rpc;
    note->type = HOMA_DATA;
    note->ack_client_id = header.data.ack.client_id;
    packet->to = peer->address;
    packet->payload = out->payload->bytes + note->start;
    packet->payload_length = note->end - note->start;
    packet->priority =
        homa_wire_priority(&engine->knobs, level_of(rpc, note->start, note->is_again));
    homa_packet_encode(&header, engine->format, packet);
    engine->counters.packets_sent[0]++;
    engine->counters.sent_bytes += packet->payload_length;
    if (note->is_again)
        engine->counters.resent_packets++;
    homa_pace_spend(engine, packet, rpc->out.is_paced);
}

static void make_again(struct homa_engine *engine, struct homa_rpc *rpc, struct base_packet *packet,
                       struct homa_note *note)
{
    struct homa_outgoing *out = &rpc->out;
    struct homa_range *range = &out->again[0];

    *note = (struct homa_note){
        .start = range->start,
        .end = homa_min_u32(packet_end(out, range->start), range->end),
        .is_again = true,
    };
    out->was_repeated = true;
    make_data(engine, rpc, packet, note);
    out->again_bytes += note->end - note->start;
    engine->has_sent_again = out->is_paced;
    range->start = note->end;
    if (range->start >= range->end)
        *range = out->again[--out->again_count];
    leave_again(engine, rpc);
    if (out->again_count > 0) /* behind the others, which may want less */
        enter_again(engine, rpc);
}

/*
 * The level of the unscheduled bytes: by length, less what waiting is worth. Decided once for a
 * message, when its first packet goes out: at different levels its packets would overtake each
 * other, and what is late would be taken for lost.
 */
static void choose_level(const struct homa_engine *engine, struct homa_rpc *rpc)
{
    struct homa_outgoing *out = &rpc->out;
    uint64_t credit = age_credit(engine, engine->clock - out->born_at);
    uint32_t length = credit < out->length ? out->length - (uint32_t)credit : 1;

    out->unscheduled_level = homa_peer_unscheduled_level(engine, rpc->peer, length);
}

static void make_new(struct homa_engine *engine, struct homa_rpc *rpc, struct base_packet *packet,
                     struct homa_note *note)
{
    struct homa_outgoing *out = &rpc->out;

    *note = (struct homa_note){.start = out->sent, .end = next_end(out)};
    assert(note->start < note->end && note->end <= out->granted);
    if (out->sent == 0)
        choose_level(engine, rpc);
    make_data(engine, rpc, packet, note);
    engine->has_sent_again = false;
    out->sent = note->end;
    out->sent_at = engine->clock;
    rpc->heard_at = engine->clock; /* the peer cannot have been silent about these bytes */
    homa_output_review(engine, rpc);
    if (out->sent == out->length && rpc->state == HOMA_RPC_REPLYING) {
        rpc->ask_wait_ns = 0;
        homa_timer_arm(engine, rpc, engine->clock + engine->waits.ack_first);
    } else if (out->sent == out->granted && rpc->state == HOMA_RPC_REQUESTING) {
        homa_timer_arm(engine, rpc, engine->clock + homa_peer_first_ask_wait(engine, rpc->peer));
    }
}

static bool next_data(struct homa_engine *engine, struct base_packet *packet,
                      struct homa_note *note)
{
    struct homa_rpc *again = TAILQ_FIRST(&engine->sending_again);
    struct homa_rpc *rpc = homa_heap_first(&engine->heaps[HOMA_HEAP_SEND]);
    /* Whoever asks for everything again and again must not stop the others' messages. */
    bool is_turn_of_new = engine->has_sent_again && rpc != NULL;

    if (again != NULL && (!again->out.is_paced || (!is_turn_of_new && homa_pace_allows(engine)))) {
        make_again(engine, again, packet, note);
        return true;
    }
    if (rpc == NULL)
        return false;
    if (rpc->out.is_paced) {
        if (!homa_pace_allows(engine))
            return false;
        if (homa_pace_is_turn_of_oldest(engine))
            rpc = homa_heap_first(&engine->heaps[HOMA_HEAP_OLDEST]);
        assert(rpc != NULL && rpc->out.is_paced);
    }
    make_new(engine, rpc, packet, note);
    return true;
}

size_t homa_engine_output(struct homa_engine *engine, uint64_t now,
                          const struct base_backlog *backlog, struct base_packet *packets,
                          size_t max)
{
    homa_engine_enter(engine, now);
    homa_pace_begin(engine, backlog);
    engine->note_count = 0;
    if (engine->is_shut_down)
        return 0;
    if (max > HOMA_OUTPUT_MAX)
        max = HOMA_OUTPUT_MAX;
    while (engine->note_count < max) {
        struct homa_note *note = &engine->notes[engine->note_count];
        struct base_packet *packet = &packets[engine->note_count];

        if (homa_control_next(engine, packet, note))
            homa_pace_spend(engine, packet, false);
        else if (!next_data(engine, packet, note))
            break;
        engine->note_count++;
    }
    return engine->note_count;
}

/* ---- taking packets back ---- */

static void undo_data(struct homa_engine *engine, const struct base_packet *packet,
                      const struct homa_note *note)
{
    struct homa_rpc *rpc = note->rpc;

    engine->counters.packets_sent[0]--;
    engine->counters.sent_bytes -= packet->payload_length;
    homa_pace_refund(engine, packet);
    if (note->ack_client_id != 0)
        homa_ack_put_back(engine, rpc->peer, note->ack_client_id);
    if (note->is_again) {
        engine->counters.resent_packets--;
        rpc->out.again_bytes -= homa_min_u32(packet->payload_length, rpc->out.again_bytes);
        homa_output_again(engine, rpc, note->start, note->end, rpc->out.again_priority);
    } else {
        assert(rpc->out.sent == note->end);
        rpc->out.sent = note->start;
        homa_output_review(engine, rpc);
    }
}

void homa_engine_unsend(struct homa_engine *engine, const struct base_packet *packets, size_t sent,
                        size_t count)
{
    assert(sent <= count && count == engine->note_count);
    for (size_t i = count; i-- > sent;) {
        const struct homa_note *note = &engine->notes[i];

        if (note->type == HOMA_DATA)
            undo_data(engine, &packets[i], note);
        else
            homa_control_undo(engine, &packets[i], note);
    }
    engine->note_count = (uint32_t)sent;
}
