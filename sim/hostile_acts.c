/*
 * What a hostile host does when its turn comes, an act at a time. Every act is a packet or a few,
 * each of which a peer must survive without harm to anybody else; hostile.h says what each is
 * about.
 */
#include "sim/hostile_internal.h"

#include <stdlib.h>
#include <string.h>

#define STORM_MOST    64u
#define BUNDLE_MOST   300u
#define OVERLAPS_MOST 10u
#define REQUEST_LONG  30000u

static const uint32_t odd_numbers[] = {
    0,         1, 2, 99, 1400, 65535, 65536, INT32_MAX - 1, INT32_MAX, 1u << 31u, UINT32_MAX - 1,
    UINT32_MAX};

/* A number that may hurt: near the length, far beyond it, or any other. */
static uint32_t bad_offset(struct sim_hostile *hostile, uint32_t length)
{
    uint32_t odd = HOSTILE_PICK(hostile, odd_numbers);
    uint32_t any = (uint32_t)base_random_u64(&hostile->random);
    uint64_t near = hostile_below(hostile, 5);
    uint64_t style = hostile_below(hostile, 4);

    switch (style) {
    case 0:
        return odd;
    case 1:
        return any;
    case 2:
        return length + (uint32_t)near - 2;
    default:
        return length > 0 ? any % length : any % 100000;
    }
}

static uint8_t bad_priority(struct sim_hostile *hostile)
{
    uint64_t style = hostile_below(hostile, 4);
    uint8_t any = (uint8_t)base_random_u64(&hostile->random);

    return style == 0 ? any : any % HOMA_PRIORITIES;
}

static uint32_t some_length(struct sim_hostile *hostile)
{
    uint64_t bits = hostile_below(hostile, 21);
    uint64_t any = 1 + hostile_below(hostile, UINT64_C(1) << bits);

    return any < hostile->options.message_max ? (uint32_t)any : hostile->options.message_max;
}

/* DATA as it should be, with as much payload as fits. */
static struct homa_packet honest_data(const struct sim_hostile *hostile, uint64_t id,
                                      uint32_t length, uint32_t offset)
{
    uint32_t most = hostile_payload_max(hostile);
    uint32_t rest = length - offset;

    return (struct homa_packet){.type = HOMA_DATA,
                                .id = id,
                                .data = {.message_length = length,
                                         .incoming = length,
                                         .offset = offset,
                                         .payload_length = rest < most ? rest : most}};
}

/* ---- about RPCs that it knows ---- */

static void grants(struct sim_hostile *hostile)
{
    struct hostile_known known = hostile_recall(hostile);
    struct hostile_way way = hostile_way_to(hostile, &known);
    uint32_t offset = bad_offset(hostile, known.length);
    uint8_t priority = bad_priority(hostile);
    const struct homa_packet packet = {
        .type = HOMA_GRANT, .id = known.id, .grant = {.offset = offset, .priority = priority}};

    hostile_say(hostile, &way, &packet);
}

static void resend(struct sim_hostile *hostile, const struct hostile_way *way,
                   const struct hostile_known *known)
{
    uint32_t offset = bad_offset(hostile, known->length);
    uint32_t length = bad_offset(hostile, known->length);
    uint8_t priority = bad_priority(hostile);
    uint64_t style = hostile_below(hostile, 4);
    uint64_t short_form = hostile_below(hostile, 4);
    const struct homa_packet packet = {.type = HOMA_RESEND,
                                       .id = known->id,
                                       .resend = {.offset = style == 0 ? 0 : offset,
                                                  .length = style == 0 ? HOMA_RESEND_ALL : length,
                                                  .priority = priority,
                                                  .has_priority = short_form != 0}};

    hostile_say(hostile, way, &packet);
}

static void resends(struct sim_hostile *hostile, uint64_t most)
{
    struct hostile_known known = hostile_recall(hostile);
    struct hostile_way way = hostile_way_to(hostile, &known);
    uint64_t count = 1 + hostile_below(hostile, most);

    for (uint64_t i = 0; i < count; i++)
        resend(hostile, &way, &known);
}

static void bare(struct sim_hostile *hostile, enum homa_packet_type type)
{
    struct hostile_known known = hostile_recall(hostile);
    struct hostile_way way = hostile_way_to(hostile, &known);
    const struct homa_packet packet = {.type = type, .id = known.id};

    hostile_say(hostile, &way, &packet);
}

static void acks(struct sim_hostile *hostile)
{
    struct hostile_known known = hostile_recall(hostile);
    struct hostile_way way = hostile_way_to(hostile, &known);
    uint64_t in_data = hostile_below(hostile, 2);
    uint64_t count = 1 + hostile_below(hostile, HOMA_ACKS_PER_PACKET);
    struct homa_packet packet = {.type = HOMA_ACK, .id = known.id};

    if (in_data != 0) {
        packet = honest_data(hostile, hostile_new_id(hostile), 1, 0);
        packet.data.ack =
            (struct homa_ack){.client_id = known.id & ~UINT64_C(1), .server_port = known.port};
        hostile_say(hostile, &way, &packet);
        return;
    }
    packet.ack.count = (uint16_t)count;
    for (uint64_t i = 0; i < count; i++) {
        packet.ack.acks[i].client_id = known.id & ~UINT64_C(1);
        packet.ack.acks[i].server_port = known.port;
        known = hostile_recall(hostile);
    }
    hostile_say(hostile, &way, &packet);
}

static void cutoffs(struct sim_hostile *hostile)
{
    struct hostile_known known = hostile_recall(hostile);
    struct hostile_way way = hostile_way_to(hostile, &known);
    uint64_t style = hostile_below(hostile, 5);
    uint32_t any = (uint32_t)base_random_u64(&hostile->random);
    uint64_t version = hostile_below(hostile, 65536);
    struct homa_packet packet = {.type = HOMA_CUTOFFS, .id = known.id};

    for (uint32_t level = 0; level < HOMA_PRIORITIES; level++) {
        uint32_t noise = (uint32_t)base_random_u64(&hostile->random);

        packet.cutoffs.unsched_cutoffs[level] = style == 0   ? 0
                                                : style == 1 ? UINT32_MAX
                                                : style == 2 ? level * 1000
                                                : style == 3 ? any
                                                             : noise;
    }
    packet.cutoffs.version = (uint16_t)version;
    hostile_say(hostile, &way, &packet);
}

/* ---- messages of its own ---- */

static void overlaps(struct sim_hostile *hostile)
{
    struct hostile_way way = hostile_any_way(hostile);
    uint64_t id = hostile_new_id(hostile);
    uint32_t length = some_length(hostile);
    uint64_t count = 2 + hostile_below(hostile, OVERLAPS_MOST);

    for (uint64_t i = 0; i < count; i++) {
        uint32_t other = some_length(hostile);
        uint64_t style = hostile_below(hostile, 4);
        uint32_t said = style == 0 ? other : length;
        uint32_t offset = (uint32_t)hostile_below(hostile, said);
        uint32_t incoming = bad_offset(hostile, length);
        uint32_t payload = (uint32_t)hostile_below(hostile, hostile_payload_max(hostile) + 1);
        struct homa_packet packet = honest_data(hostile, id, said, offset);

        if (style == 1)
            packet.data.offset = offset / 1400 * 1400;
        if (style == 2)
            packet.data.incoming = incoming;
        packet.data.retransmit = style == 3;
        if (payload < packet.data.payload_length)
            packet.data.payload_length = payload;
        hostile_say(hostile, &way, &packet);
    }
}

static void incoming(struct sim_hostile *hostile)
{
    struct hostile_way way = hostile_any_way(hostile);
    uint32_t length = some_length(hostile);
    uint32_t lie = bad_offset(hostile, length);
    struct homa_packet packet = honest_data(hostile, hostile_new_id(hostile), length, 0);

    packet.data.incoming = lie;
    hostile_say(hostile, &way, &packet);
}

static void half_open_begin(struct sim_hostile *hostile, struct hostile_half_open *half)
{
    struct hostile_way way = hostile_any_way(hostile);
    uint64_t style = hostile_below(hostile, 3);
    uint32_t any = some_length(hostile);
    uint32_t length = style == 0 ? any : hostile->options.message_max;
    struct homa_packet packet = honest_data(hostile, hostile_new_id(hostile), length, 0);

    packet.data.incoming = packet.data.payload_length;
    *half = (struct hostile_half_open){.host = way.host,
                                       .port = way.port,
                                       .source_port = way.source_port,
                                       .id = packet.id,
                                       .length = length,
                                       .sent = packet.data.payload_length};
    hostile_say(hostile, &way, &packet);
}

/* A byte more, where it belongs. */
static void half_open_trickle(struct sim_hostile *hostile, struct hostile_half_open *half)
{
    const struct hostile_way way = {
        .host = half->host, .port = half->port, .source_port = half->source_port};
    struct homa_packet packet = {0};

    if (half->sent >= half->length) {
        half->host = UINT32_MAX;
        return;
    }
    packet = honest_data(hostile, half->id, half->length, half->sent);
    packet.data.payload_length = 1;
    packet.data.incoming = half->sent + 1;
    half->sent++;
    hostile_say(hostile, &way, &packet);
}

/* Keeps as many open as it may, in turn; a few are given up and begun anew. */
static void half_open(struct sim_hostile *hostile)
{
    struct hostile_half_open *half = &hostile->half_open[hostile->half_open_next];
    uint64_t given_up = hostile_below(hostile, 32);

    hostile->half_open_next = (hostile->half_open_next + 1) % hostile->options.half_open_max;
    if (half->host == UINT32_MAX || given_up == 0)
        half_open_begin(hostile, half);
    else
        half_open_trickle(hostile, half);
}

/* All of a request at once, and no care for what comes back. */
static void request(struct sim_hostile *hostile)
{
    struct hostile_way way = hostile_any_way(hostile);
    uint64_t is_long = hostile_below(hostile, 4);
    uint32_t length = 1 + (uint32_t)hostile_below(hostile, is_long == 0 ? REQUEST_LONG : 1000);
    uint64_t id = hostile_new_id(hostile);
    uint8_t *message = sim_allocate(length, 1);
    uint8_t bytes[HOSTILE_DATAGRAM];

    if (hostile->options.fill != NULL)
        hostile->options.fill(hostile->options.fill_context, &hostile->random, message, length);
    for (uint32_t offset = 0; offset < length;) {
        struct homa_packet packet = honest_data(hostile, id, length, offset);
        uint32_t size = hostile_encode(hostile, &way, &packet, bytes);

        memcpy(bytes + HOMA_DATA_HEADER_LENGTH, message + offset, packet.data.payload_length);
        hostile_send(hostile, &way, bytes, size);
        offset += packet.data.payload_length;
    }
    free(message);
}

/* ---- things that are no packets, or nearly none ---- */

/* A packet of any type, its fields made up, about what it knows or what nobody knows. */
static uint32_t any_packet(struct sim_hostile *hostile, const struct hostile_way *way, uint64_t id,
                           uint8_t *into)
{
    uint64_t type = hostile_below(hostile, HOMA_PACKET_TYPES);
    uint32_t length = some_length(hostile);
    uint32_t first = bad_offset(hostile, length);
    uint32_t second = bad_offset(hostile, length);
    uint8_t priority = bad_priority(hostile);
    struct homa_packet packet = {.type = (enum homa_packet_type)(HOMA_DATA + type), .id = id};

    switch (packet.type) {
    case HOMA_DATA:
        packet = honest_data(hostile, id, length, first % length);
        break;
    case HOMA_GRANT:
        packet.grant.offset = first;
        packet.grant.priority = priority;
        break;
    case HOMA_RESEND:
        packet.resend.offset = first;
        packet.resend.length = second;
        packet.resend.priority = priority;
        packet.resend.has_priority = true;
        break;
    case HOMA_ACK:
        packet.ack.count = 1;
        packet.ack.acks[0].client_id = id & ~UINT64_C(1);
        break;
    default:
        break;
    }
    return hostile_encode(hostile, way, &packet, into);
}

static void nowhere(struct sim_hostile *hostile)
{
    struct hostile_way way = hostile_any_way(hostile);
    uint64_t id = base_random_u64(&hostile->random);
    uint8_t bytes[HOSTILE_DATAGRAM];
    uint32_t length = any_packet(hostile, &way, id, bytes);

    hostile_send(hostile, &way, bytes, length);
}

static void versions(struct sim_hostile *hostile)
{
    struct hostile_known known = hostile_recall(hostile);
    struct hostile_way way = hostile_way_to(hostile, &known);
    uint8_t bytes[HOSTILE_DATAGRAM];
    uint32_t length = any_packet(hostile, &way, known.id, bytes);
    uint64_t place = 8 + hostile_below(hostile, 12); /* version, capabilities, type, flags ... */

    bytes[place] = (uint8_t)base_random_u64(&hostile->random);
    hostile_send(hostile, &way, bytes, length);
}

static void cut_short(struct sim_hostile *hostile)
{
    struct hostile_known known = hostile_recall(hostile);
    struct hostile_way way = hostile_way_to(hostile, &known);
    uint8_t bytes[HOSTILE_DATAGRAM];
    uint32_t length = any_packet(hostile, &way, known.id, bytes);

    length = (uint32_t)hostile_below(hostile, length);
    hostile_send(hostile, &way, bytes, length);
}

static void bundles(struct sim_hostile *hostile)
{
    struct hostile_known known = hostile_recall(hostile);
    struct hostile_way way = hostile_way_to(hostile, &known);
    uint64_t is_long = hostile_below(hostile, 8);
    uint64_t count = 1 + hostile_below(hostile, is_long == 0 ? BUNDLE_MOST : 10);
    uint8_t bytes[2 * HOSTILE_DATAGRAM];
    uint32_t length = 0;

    for (uint64_t i = 0; i < count && length < HOSTILE_DATAGRAM / 2; i++) {
        length += any_packet(hostile, &way, known.id, bytes + length);
        known = hostile_recall(hostile);
    }
    if (length > HOSTILE_DATAGRAM)
        length = HOSTILE_DATAGRAM;
    /* The last packet ends early. */
    length -= (uint32_t)hostile_below(hostile, HOMA_COMMON_HEADER_LENGTH);
    hostile_send(hostile, &way, bytes, length);
}

void hostile_act(struct sim_hostile *hostile, enum sim_hostile_act act)
{
    switch (act) {
    case SIM_HOSTILE_GRANTS:
        grants(hostile);
        break;
    case SIM_HOSTILE_ACKS:
        acks(hostile);
        break;
    case SIM_HOSTILE_OVERLAPS:
        overlaps(hostile);
        break;
    case SIM_HOSTILE_INCOMING:
        incoming(hostile);
        break;
    case SIM_HOSTILE_NOWHERE:
        nowhere(hostile);
        break;
    case SIM_HOSTILE_RESENDS:
        resends(hostile, 1);
        break;
    case SIM_HOSTILE_STORMS:
        resends(hostile, STORM_MOST);
        break;
    case SIM_HOSTILE_UNKNOWNS:
        bare(hostile, HOMA_RPC_UNKNOWN);
        break;
    case SIM_HOSTILE_BUSIES:
        bare(hostile, HOMA_BUSY);
        break;
    case SIM_HOSTILE_NEED_ACKS:
        bare(hostile, HOMA_NEED_ACK);
        break;
    case SIM_HOSTILE_CUTOFFS:
        cutoffs(hostile);
        break;
    case SIM_HOSTILE_HALF_OPEN:
        half_open(hostile);
        break;
    case SIM_HOSTILE_REQUESTS:
        request(hostile);
        break;
    case SIM_HOSTILE_VERSIONS:
        versions(hostile);
        break;
    case SIM_HOSTILE_SHORT:
        cut_short(hostile);
        break;
    case SIM_HOSTILE_BUNDLES:
        bundles(hostile);
        break;
    case SIM_HOSTILE_FREEZES:
        bare(hostile, HOMA_FREEZE);
        break;
    case SIM_HOSTILE_FLOODS:
    case SIM_HOSTILE_ANSWERS:
    case SIM_HOSTILE_ACTS:
        break;
    }
}
