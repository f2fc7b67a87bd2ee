/*
 * What a hostile host says to honest ones that speak to it. For each RPC it keeps to one manner,
 * which follows from the RPC's id: an honest client may get a wrong answer, half of one, or none,
 * and everything that goes with it. It answers so many packets in a time, so that two that ask each
 * other again and again do not become a flood.
 */
#include "sim/fault_damage.h"
#include "sim/hostile_internal.h"

#define ANSWERS_AT_ONCE  64u
#define ANSWERS_PER_TURN 4u /* that it may give in the time from one of its turns to the next */
#define RESPONSE_MOST    3000u

enum manner {
    MANNER_SILENT,
    MANNER_BUSY,        /* for ever, as far as it is concerned */
    MANNER_UNKNOWN,     /* knows nothing of it, ever */
    MANNER_BEGINNING,   /* the beginning of a long response, then byte by byte as it is asked */
    MANNER_TWO_LENGTHS, /* every packet of another message */
    MANNER_COMPLETE,    /* a response, of no meaning */
    MANNER_TWICE,       /* two different complete responses */
    MANNER_GRANTING,    /* grants that exceed the request, and no response */
    MANNER_ASKING,      /* RESEND for whatever comes */
    MANNER_NEEDING,     /* NEED_ACK, without having answered */
    MANNERS,
};

static bool may_answer(struct sim_hostile *hostile)
{
    sim_time now = sim_world_now(hostile->world);
    sim_time each = hostile->options.interval / ANSWERS_PER_TURN + 1;
    uint64_t earned = (now - hostile->answers_at) / each;

    hostile->answers_at += earned * each;
    hostile->answers += earned;
    if (hostile->answers > ANSWERS_AT_ONCE)
        hostile->answers = ANSWERS_AT_ONCE;
    if (hostile->answers == 0)
        return false;
    hostile->answers--;
    return true;
}

static void say_bare(struct sim_hostile *hostile, const struct hostile_way *way, uint64_t id,
                     enum homa_packet_type type)
{
    const struct homa_packet packet = {.type = type, .id = id};

    hostile_say(hostile, way, &packet);
}

static void say_data(struct sim_hostile *hostile, const struct hostile_way *way, uint64_t id,
                     uint32_t length, uint32_t offset, uint32_t most)
{
    uint32_t payload = length - offset;

    if (payload > hostile_payload_max(hostile))
        payload = hostile_payload_max(hostile);
    if (payload > most)
        payload = most;
    const struct homa_packet packet = {.type = HOMA_DATA,
                                       .id = id,
                                       .data = {.message_length = length,
                                                .incoming = length,
                                                .offset = offset,
                                                .payload_length = payload}};

    hostile_say(hostile, way, &packet);
}

static void say_response(struct sim_hostile *hostile, const struct hostile_way *way, uint64_t id)
{
    uint32_t length = 1 + (uint32_t)hostile_below(hostile, RESPONSE_MOST);

    for (uint32_t offset = 0; offset < length; offset += hostile_payload_max(hostile))
        say_data(hostile, way, id, length, offset, UINT32_MAX);
}

static void ask(struct sim_hostile *hostile, const struct hostile_way *way, uint64_t id)
{
    const struct homa_packet packet = {
        .type = HOMA_RESEND,
        .id = id,
        .resend = {.length = HOMA_RESEND_ALL, .priority = 7, .has_priority = true}};

    hostile_say(hostile, way, &packet);
}

static void grant_too_much(struct sim_hostile *hostile, const struct hostile_way *way, uint64_t id,
                           uint32_t length)
{
    uint32_t beyond = (uint32_t)base_random_u64(&hostile->random);
    const struct homa_packet packet = {
        .type = HOMA_GRANT, .id = id, .grant = {.offset = length + beyond, .priority = 7}};

    hostile_say(hostile, way, &packet);
}

static void answer_packet(struct sim_hostile *hostile, const struct hostile_way *way,
                          const struct homa_packet *heard)
{
    uint64_t id = heard->id ^ 1; /* what it is called from here */
    uint64_t character = base_mix(hostile->options.seed ^ base_mix(heard->id));
    uint32_t asked = heard->type == HOMA_RESEND ? heard->resend.offset : 0;
    uint32_t length = heard->type == HOMA_DATA ? heard->data.message_length : 1;
    uint32_t longest = hostile->options.message_max;
    uint32_t any = 1 + (uint32_t)hostile_below(hostile, longest);

    switch ((enum manner)(character % MANNERS)) {
    case MANNER_BUSY:
        say_bare(hostile, way, id, HOMA_BUSY);
        break;
    case MANNER_UNKNOWN:
        say_bare(hostile, way, id, HOMA_RPC_UNKNOWN);
        break;
    case MANNER_BEGINNING:
        if (asked < longest)
            say_data(hostile, way, id, longest, asked, asked == 0 ? UINT32_MAX : 1);
        break;
    case MANNER_TWO_LENGTHS:
        say_data(hostile, way, id, any, any / 2, UINT32_MAX);
        break;
    case MANNER_COMPLETE:
        say_response(hostile, way, id);
        break;
    case MANNER_TWICE:
        say_response(hostile, way, id);
        say_response(hostile, way, id);
        break;
    case MANNER_GRANTING:
        grant_too_much(hostile, way, id, length);
        break;
    case MANNER_ASKING:
        ask(hostile, way, id);
        break;
    case MANNER_NEEDING:
        say_bare(hostile, way, id, HOMA_NEED_ACK);
        break;
    case MANNER_SILENT:
    case MANNERS:
        break;
    }
}

void hostile_answer(struct sim_hostile *hostile, const struct sim_packet *packet)
{
    const struct hostile_way way = {
        .host = packet->from, .port = packet->source_port, .source_port = packet->destination_port};
    uint32_t length = 0;
    const uint8_t *bytes = sim_packet_bytes(packet, &length);
    struct homa_packet heard;
    enum homa_packet_fault fault;

    if (packet->from == hostile->options.host ||
        homa_packet_decode(bytes, length, HOMA_FORMAT_UDP, &heard, &fault) <= 0)
        return;
    /* What a client says of a request to this host: DATA, and RESEND for the response. */
    if ((heard.id & 1) != 0 || (heard.type != HOMA_DATA && heard.type != HOMA_RESEND) ||
        !may_answer(hostile))
        return;
    hostile->counts.turns[SIM_HOSTILE_ANSWERS]++;
    answer_packet(hostile, &way, &heard);
}
