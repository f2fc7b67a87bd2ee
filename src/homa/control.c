/*
 * Control packets out: everything but DATA. Others say *that* something is to be told (a bit at an
 * RPC or a peer, or an entry in the short ring for strangers); what it says is looked up when the
 * packet is made, so a packet never carries old news, and a bit set twice makes one packet.
 */
#include "homa/internal.h"

#include <assert.h>

uint8_t homa_wire_priority(const struct homa_knobs *knobs, unsigned level)
{
    unsigned highest = knobs->num_priorities - 1;

    return (uint8_t)knobs->priority_map[level < highest ? level : highest];
}

/* ---- what is to be told ---- */

void homa_control_tell(struct homa_engine *engine, struct homa_rpc *rpc, unsigned tell)
{
    assert(tell != 0 && (rpc->state != HOMA_RPC_READY || homa_rpc_is_server(rpc)));
    if (rpc->tell == 0)
        TAILQ_INSERT_TAIL(&engine->telling_rpcs, rpc, telling);
    rpc->tell = (uint8_t)(rpc->tell | tell);
}

void homa_control_hush(struct homa_engine *engine, struct homa_rpc *rpc, unsigned tell)
{
    if (rpc->tell == 0)
        return;
    rpc->tell = (uint8_t)(rpc->tell & ~tell);
    if (rpc->tell == 0)
        TAILQ_REMOVE(&engine->telling_rpcs, rpc, telling);
}

void homa_control_tell_peer(struct homa_engine *engine, struct homa_peer *peer, unsigned tell)
{
    if (peer->tell == 0)
        TAILQ_INSERT_TAIL(&engine->telling_peers, peer, telling);
    peer->tell = (uint8_t)(peer->tell | tell);
}

static void hush_peer(struct homa_engine *engine, struct homa_peer *peer, unsigned tell)
{
    if (peer->tell == 0)
        return;
    peer->tell = (uint8_t)(peer->tell & ~tell);
    if (peer->tell == 0)
        TAILQ_REMOVE(&engine->telling_peers, peer, telling);
}

void homa_control_hush_peer(struct homa_engine *engine, struct homa_peer *peer)
{
    hush_peer(engine, peer, UINT8_MAX);
}

/* Whether half of the answers that wait are for this host: the rest is for others. */
static bool has_half_of_ring(const struct homa_engine *engine, const struct base_address *to)
{
    uint32_t count = 0;

    if (engine->stateless_count < HOMA_STATELESS_MAX / 2)
        return false;
    for (uint32_t i = 0; i < engine->stateless_count; i++) {
        uint32_t at = (engine->stateless_first + i) % HOMA_STATELESS_MAX;

        count += base_address_same_host(&engine->stateless[at].to, to);
    }
    return count >= HOMA_STATELESS_MAX / 2;
}

void homa_control_tell_stranger(struct homa_engine *engine, const struct base_address *to,
                                enum homa_packet_type type, uint64_t id)
{
    uint32_t at = (engine->stateless_first + engine->stateless_count) % HOMA_STATELESS_MAX;

    if (engine->stateless_count == HOMA_STATELESS_MAX || has_half_of_ring(engine, to)) {
        engine->counters.control_overflows++;
        return;
    }
    engine->stateless[at] = (struct homa_stateless){.to = *to, .id = id, .type = (uint8_t)type};
    engine->stateless_count++;
}

/* ---- making packets ---- */

/* Puts the decoded packet on its way; its type's fields and id are set. */
static void make(struct homa_engine *engine, const struct base_address *to,
                 struct homa_packet *header, struct base_packet *packet, struct homa_note *note)
{
    header->source_port = engine->port;
    header->destination_port = to->port;
    header->capabilities = 0;
    packet->to = *to;
    packet->payload = NULL;
    packet->payload_length = 0;
    packet->priority = homa_wire_priority(&engine->knobs, HOMA_PRIORITIES - 1);
    homa_packet_encode(header, engine->format, packet);
    note->type = (uint8_t)header->type;
    engine->counters.packets_sent[header->type - HOMA_DATA]++;
}

static bool next_for_stranger(struct homa_engine *engine, struct base_packet *packet,
                              struct homa_note *note)
{
    if (engine->stateless_count == 0)
        return false;
    const struct homa_stateless *entry = &engine->stateless[engine->stateless_first];
    struct homa_packet header = {.type = entry->type, .id = entry->id};

    if (entry->type == HOMA_ACK) {
        header.ack.count = 1;
        header.ack.acks[0] =
            (struct homa_ack){.client_id = entry->id, .server_port = entry->to.port};
    }
    make(engine, &entry->to, &header, packet, note);
    engine->stateless_first = (engine->stateless_first + 1) % HOMA_STATELESS_MAX;
    engine->stateless_count--;
    return true;
}

static void make_resend(struct homa_engine *engine, struct homa_rpc *rpc, uint32_t start,
                        uint32_t length, struct base_packet *packet, struct homa_note *note)
{
    struct homa_packet header = {
        .type = HOMA_RESEND,
        .id = rpc->id,
        .resend = {.offset = start,
                   .length = length,
                   .priority = homa_data_resend_level(engine, rpc, start),
                   .has_priority = true},
    };

    note->start = start;
    make(engine, &rpc->peer->address, &header, packet, note);
}

/* The RESEND for the first gap that is due. Returns false when there is none. */
static bool next_gap(struct homa_engine *engine, struct homa_rpc *rpc, struct base_packet *packet,
                     struct homa_note *note)
{
    struct homa_gap *gap = homa_gap_at(&engine->gaps, rpc->in.received.first);

    while (gap != NULL && gap->ask_at != HOMA_ASK_NOW)
        gap = homa_gap_at(&engine->gaps, gap->next);
    if (gap == NULL)
        return false;
    gap->ask_at = engine->clock + gap->wait_ns;
    gap->wait_ns = homa_min_u64(2 * gap->wait_ns, engine->waits.resend_interval);
    make_resend(engine, rpc, gap->start, gap->end - gap->start, packet, note);
    return true;
}

/* The RESEND for what follows the last byte that has arrived. Returns false when there is none. */
static bool next_rest(struct homa_engine *engine, struct homa_rpc *rpc, struct base_packet *packet,
                      struct homa_note *note)
{
    const struct homa_incoming *in = &rpc->in;

    if (in->length == 0)
        make_resend(engine, rpc, 0, HOMA_RESEND_ALL, packet, note);
    else if (in->received.end < in->granted)
        make_resend(engine, rpc, in->received.end, in->granted - in->received.end, packet, note);
    else
        return false;
    return true;
}

/* Makes what one bit asks for and clears it. Returns false when that has become nothing. */
static bool make_told(struct homa_engine *engine, struct homa_rpc *rpc, unsigned tell,
                      struct base_packet *packet, struct homa_note *note)
{
    struct homa_packet header = {.id = rpc->id};

    note->rpc = rpc;
    note->tell = (uint8_t)tell;
    switch (tell) {
    case HOMA_TELL_RESEND_GAPS:
        if (next_gap(engine, rpc, packet, note))
            return true; /* the bit stays until no gap is due */
        homa_control_hush(engine, rpc, tell);
        return false;
    case HOMA_TELL_RESEND_REST:
        homa_control_hush(engine, rpc, tell);
        return next_rest(engine, rpc, packet, note);
    case HOMA_TELL_GRANT:
        header.type = HOMA_GRANT;
        header.grant.offset = rpc->in.granted;
        header.grant.priority = rpc->in.priority;
        break;
    case HOMA_TELL_BUSY:
        header.type = HOMA_BUSY;
        break;
    default:
        assert(tell == HOMA_TELL_NEED_ACK);
        header.type = HOMA_NEED_ACK;
        break;
    }
    homa_control_hush(engine, rpc, tell);
    make(engine, &rpc->peer->address, &header, packet, note);
    return true;
}

static bool next_for_rpc(struct homa_engine *engine, struct base_packet *packet,
                         struct homa_note *note)
{
    struct homa_rpc *rpc;

    while ((rpc = TAILQ_FIRST(&engine->telling_rpcs)) != NULL) {
        unsigned lowest = rpc->tell & -(unsigned)rpc->tell;

        if (make_told(engine, rpc, lowest, packet, note))
            return true;
    }
    return false;
}

static void make_acks(struct homa_engine *engine, struct homa_peer *peer,
                      struct base_packet *packet, struct homa_note *note)
{
    struct homa_packet header = {.type = HOMA_ACK};

    while (header.ack.count < HOMA_ACKS_PER_PACKET && peer->ack_count > 0)
        header.ack.acks[header.ack.count++] = (struct homa_ack){
            .client_id = homa_ack_take(engine, peer),
            .server_port = peer->address.port,
        };
    header.id = header.ack.acks[0].client_id;
    make(engine, &peer->address, &header, packet, note);
}

static void make_cutoffs(struct homa_engine *engine, struct homa_peer *peer,
                         struct base_packet *packet, struct homa_note *note)
{
    const struct homa_rpc *rpc = LIST_FIRST(&peer->rpcs);
    struct homa_packet header = {.type = HOMA_CUTOFFS, .id = rpc != NULL ? rpc->id : 0};

    memcpy(header.cutoffs.unsched_cutoffs, engine->knobs.unsched_cutoffs,
           sizeof(header.cutoffs.unsched_cutoffs));
    header.cutoffs.version = engine->cutoff_version;
    make(engine, &peer->address, &header, packet, note);
}

static bool next_for_peer(struct homa_engine *engine, struct base_packet *packet,
                          struct homa_note *note)
{
    struct homa_peer *peer;

    while ((peer = TAILQ_FIRST(&engine->telling_peers)) != NULL) {
        note->peer = peer;
        if ((peer->tell & HOMA_PEER_TELL_CUTOFFS) != 0) {
            hush_peer(engine, peer, HOMA_PEER_TELL_CUTOFFS);
            make_cutoffs(engine, peer, packet, note);
            return true;
        }
        if (peer->ack_count > 0) {
            make_acks(engine, peer, packet, note);
            if (peer->ack_count == 0)
                hush_peer(engine, peer, HOMA_PEER_TELL_ACK);
            return true;
        }
        /* The acks rode away on DATA meanwhile. */
        hush_peer(engine, peer, HOMA_PEER_TELL_ACK);
    }
    return false;
}

bool homa_control_next(struct homa_engine *engine, struct base_packet *packet,
                       struct homa_note *note)
{
    *note = (struct homa_note){0};
    if (next_for_stranger(engine, packet, note) || next_for_rpc(engine, packet, note))
        return true;
    return next_for_peer(engine, packet, note);
}

/* ---- taking them back ---- */

static void undo_for_stranger(struct homa_engine *engine, const struct base_packet *packet,
                              uint64_t id, enum homa_packet_type type)
{
    if (engine->stateless_count == HOMA_STATELESS_MAX)
        return; /* cannot be: it came from there, and nothing has been added since */
    engine->stateless_first =
        (engine->stateless_first + HOMA_STATELESS_MAX - 1) % HOMA_STATELESS_MAX;
    engine->stateless_count++;
    engine->stateless[engine->stateless_first] =
        (struct homa_stateless){.to = packet->to, .id = id, .type = (uint8_t)type};
}

static void undo_for_rpc(struct homa_engine *engine, const struct homa_note *note)
{
    struct homa_rpc *rpc = note->rpc;
    struct homa_gap *gap = NULL;

    if (note->tell == HOMA_TELL_RESEND_GAPS) {
        gap = homa_gap_at(&engine->gaps, rpc->in.received.first);
        while (gap != NULL && gap->start != note->start)
            gap = homa_gap_at(&engine->gaps, gap->next);
        if (gap != NULL)
            gap->ask_at = HOMA_ASK_NOW;
    }
    homa_control_tell(engine, rpc, note->tell);
}

void homa_control_undo(struct homa_engine *engine, const struct base_packet *packet,
                       const struct homa_note *note)
{
    struct homa_packet header;
    enum homa_packet_fault fault;

    engine->counters.packets_sent[note->type - HOMA_DATA]--;
    if (note->rpc != NULL) {
        undo_for_rpc(engine, note);
        return;
    }
    int taken =
        homa_packet_decode(packet->header, packet->header_length, engine->format, &header, &fault);

    assert(taken == packet->header_length); /* we made it */
    (void)taken;
    if (note->peer == NULL) {
        undo_for_stranger(engine, packet, header.id, header.type);
    } else if (header.type == HOMA_CUTOFFS) {
        homa_control_tell_peer(engine, note->peer, HOMA_PEER_TELL_CUTOFFS);
    } else {
        for (size_t i = header.ack.count; i-- > 0;)
            homa_ack_put_back(engine, note->peer, header.ack.acks[i].client_id);
        homa_control_tell_peer(engine, note->peer, HOMA_PEER_TELL_ACK);
    }
}
