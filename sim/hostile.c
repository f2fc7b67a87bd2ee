/*
 * A hostile host's place in the world (hostile.h): it is the world's hook, or in front of it; takes
 * the packets for its host, hears the others if it may, and sends through a link that is as fast as
 * those of all hosts. Its turns come at random times; what it does then is hostile_acts.c's.
 *
 * All that it draws comes from one generator, a statement per draw.
 */
#include "sim/hostile.h"

#include "sim/fault_damage.h"
#include "sim/hostile_internal.h"

#include <stddef.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define HALF_OPEN_DEFAULT 64u
#define MESSAGE_DEFAULT   1000000u
#define FLOOD_DEFAULT     2000u
#define FLOOD_TURNS       64u /* one in so many turns is a flood, where floods are allowed */
#define OTHER_PORTS       8u  /* that it sends from besides those of its host */
#define FIRST_OTHER_PORT  30000u

const char *sim_hostile_act_name(enum sim_hostile_act act)
{
#define SIM_HOSTILE_ACT(name, text) text,
    static const char *const names[] = {SIM_HOSTILE_ACTS_X(SIM_HOSTILE_ACT)};
#undef SIM_HOSTILE_ACT

    assert(act < SIM_HOSTILE_ACTS);
    return names[act];
}

/* ---- ways ---- */

static uint16_t own_port(struct sim_hostile *hostile)
{
    const struct sim_host_options *host =
        sim_host_options(sim_world_host(hostile->world, hostile->options.host));
    uint64_t which = hostile_below(hostile, 2);
    uint64_t other = hostile_below(hostile, OTHER_PORTS);

    return which == 0 ? host->ports[0] : (uint16_t)(FIRST_OTHER_PORT + other);
}

struct hostile_way hostile_any_way(struct sim_hostile *hostile)
{
    uint32_t others = sim_world_host_count(hostile->world) - 1;
    uint32_t number = (uint32_t)hostile_below(hostile, others);
    const struct sim_host_options *host = NULL;
    uint64_t socket = 0;

    if (number >= hostile->options.host)
        number++;
    host = sim_host_options(sim_world_host(hostile->world, number));
    socket = hostile_below(hostile, host->sockets);
    return (struct hostile_way){
        .host = number, .port = host->ports[socket], .source_port = own_port(hostile)};
}

struct hostile_way hostile_way_to(struct sim_hostile *hostile, const struct hostile_known *known)
{
    return (struct hostile_way){
        .host = known->host, .port = known->port, .source_port = own_port(hostile)};
}

uint64_t hostile_new_id(struct sim_hostile *hostile)
{
    hostile->next_id += 2;
    return hostile->next_id;
}

/* ---- the link ---- */

static void link_ring(struct sim_alarm *alarm)
{
    struct sim_hostile *hostile =
        (struct sim_hostile *)(void *)((char *)alarm - offsetof(struct sim_hostile, link));
    struct hostile_datagram *datagram = TAILQ_FIRST(&hostile->queue);
    struct sim_network *network = sim_world_network(hostile->world);
    const struct sim_host_options *host =
        sim_host_options(sim_world_host(hostile->world, hostile->options.host));

    TAILQ_REMOVE(&hostile->queue, datagram, queue);
    hostile->queued--;
    hostile->counts.sent++;
    hostile->link_free_at = sim_world_now(hostile->world) +
                            sim_network_host_time(network, datagram->length + host->wire_overhead);
    sim_world_inject(hostile->world, hostile->options.host, datagram->source_port, datagram->to,
                     datagram->destination_port, datagram->priority, datagram->bytes,
                     datagram->length);
    free(datagram);
    if (!TAILQ_EMPTY(&hostile->queue))
        sim_alarm_set(sim_world_clock(hostile->world), alarm, hostile->link_free_at);
}

void hostile_send(struct sim_hostile *hostile, const struct hostile_way *way, const uint8_t *bytes,
                  uint32_t length)
{
    uint8_t priority = (uint8_t)hostile_below(hostile, SIM_PRIORITIES);
    uint64_t all = hostile->counts.sent + hostile->queued;
    struct hostile_datagram *datagram = NULL;

    assert(length <= HOSTILE_DATAGRAM && way->host != hostile->options.host);
    if (hostile->queued == HOSTILE_QUEUE_MAX ||
        (hostile->options.inject_limit != 0 && all >= hostile->options.inject_limit))
        return;
    datagram = sim_allocate(1, sizeof(*datagram) + length);
    datagram->to = way->host;
    datagram->source_port = way->source_port;
    datagram->destination_port = way->port;
    datagram->priority = priority;
    datagram->length = length;
    if (length > 0)
        memcpy(datagram->bytes, bytes, length);
    TAILQ_INSERT_TAIL(&hostile->queue, datagram, queue);
    if (hostile->queued++ == 0)
        sim_alarm_set(sim_world_clock(hostile->world), &hostile->link, hostile->link_free_at);
}

uint32_t hostile_encode(struct sim_hostile *hostile, const struct hostile_way *way,
                        const struct homa_packet *packet, uint8_t *into)
{
    struct homa_packet said = *packet;
    struct base_packet encoded;
    uint32_t payload = packet->type == HOMA_DATA ? packet->data.payload_length : 0;
    uint8_t noise = (uint8_t)base_random_u64(&hostile->random);

    said.source_port = way->source_port;
    said.destination_port = way->port;
    homa_packet_encode(&said, HOMA_FORMAT_UDP, &encoded);
    memcpy(into, encoded.header, encoded.header_length);
    memset(into + encoded.header_length, noise, payload);
    return encoded.header_length + payload;
}

void hostile_say(struct sim_hostile *hostile, const struct hostile_way *way,
                 const struct homa_packet *packet)
{
    uint8_t bytes[HOSTILE_DATAGRAM];
    uint32_t length = hostile_encode(hostile, way, packet, bytes);

    hostile_send(hostile, way, bytes, length);
}

/* ---- turns ---- */

static bool is_active(const struct sim_hostile *hostile)
{
    sim_time now = sim_world_now(hostile->world);

    return now >= hostile->options.begin && now < hostile->options.end;
}

/* What is to be done this time, of what may be done. SIM_HOSTILE_ACTS: nothing. */
static enum sim_hostile_act draw_act(struct sim_hostile *hostile)
{
    uint32_t acts = hostile->options.acts & ~SIM_HOSTILE_BIT(SIM_HOSTILE_ANSWERS);
    bool may_flood = (acts & SIM_HOSTILE_BIT(SIM_HOSTILE_FLOODS)) != 0;
    uint64_t flood = hostile_below(hostile, FLOOD_TURNS);

    acts &= ~SIM_HOSTILE_BIT(SIM_HOSTILE_FLOODS);
    if (may_flood && (flood == 0 || acts == 0))
        return SIM_HOSTILE_FLOODS;
    if (acts == 0)
        return SIM_HOSTILE_ACTS;
    uint64_t skip = hostile_below(hostile, (uint64_t)__builtin_popcount(acts));

    for (; skip > 0; skip--)
        acts &= acts - 1;
    return (enum sim_hostile_act)__builtin_ctz(acts);
}

static void set_turn(struct sim_hostile *hostile)
{
    sim_time wait = 1 + hostile_below(hostile, 2 * hostile->options.interval + 1);
    sim_time now = sim_world_now(hostile->world);
    sim_time at = now < hostile->options.begin ? hostile->options.begin : now + wait;

    if (at < hostile->options.end)
        sim_alarm_set(sim_world_clock(hostile->world), &hostile->turn, at);
}

static void turn_ring(struct sim_alarm *alarm)
{
    struct sim_hostile *hostile = (struct sim_hostile *)alarm;
    enum sim_hostile_act act = draw_act(hostile);

    if (act == SIM_HOSTILE_ACTS)
        return;
    hostile->counts.turns[act]++;
    if (act == SIM_HOSTILE_FLOODS)
        hostile_flood(hostile);
    else
        hostile_act(hostile, act);
    set_turn(hostile);
}

/* ---- the hook ---- */

static void hostile_decide(void *context, struct sim_packet *packet, struct sim_fate *fate)
{
    struct sim_hostile *hostile = context;

    if (hostile->options.eavesdrops && packet->to != hostile->options.host) {
        hostile->counts.overheard++;
        hostile_learn(hostile, packet, false);
    }
    if (hostile->inner.decide != NULL)
        hostile->inner.decide(hostile->inner.context, packet, fate);
}

static bool hostile_admit(void *context, const struct sim_packet *packet)
{
    struct sim_hostile *hostile = context;

    if (packet->to != hostile->options.host)
        return hostile->inner.admit == NULL || hostile->inner.admit(hostile->inner.context, packet);
    hostile->counts.heard++;
    sim_world_see(hostile->world, SIM_DELIVERED, packet);
    hostile_learn(hostile, packet, true);
    if (is_active(hostile) && (hostile->options.acts & SIM_HOSTILE_BIT(SIM_HOSTILE_ANSWERS)) != 0)
        hostile_answer(hostile, packet);
    return false;
}

struct sim_hook sim_hostile_hook(struct sim_hostile *hostile, const struct sim_hook *inner)
{
    hostile->inner = inner != NULL ? *inner : (struct sim_hook){0};
    return (struct sim_hook){.context = hostile, .decide = hostile_decide, .admit = hostile_admit};
}

/* ---- the object ---- */

static void fill_in(struct sim_hostile_options *options, const struct sim_host_options *host)
{
    if (options->half_open_max == 0)
        options->half_open_max = HALF_OPEN_DEFAULT;
    if (options->half_open_max > HOSTILE_HALF_OPEN)
        options->half_open_max = HOSTILE_HALF_OPEN;
    if (options->message_max == 0)
        options->message_max = MESSAGE_DEFAULT;
    if (options->packet_bytes == 0)
        options->packet_bytes = host->packet_bytes;
    if (options->flood_packets == 0)
        options->flood_packets = FLOOD_DEFAULT;
}

struct sim_hostile *sim_hostile_open(const struct sim_hostile_options *options,
                                     struct sim_world *world)
{
    struct sim_hostile *hostile = sim_allocate(1, sizeof(*hostile));
    struct sim_host *host = sim_world_host(world, options->host);

    assert(sim_world_host_count(world) >= 2 && options->interval > 0);
    hostile->world = world;
    hostile->options = *options;
    fill_in(&hostile->options, sim_host_options(host));
    assert(hostile->options.packet_bytes > HOMA_DATA_HEADER_LENGTH &&
           hostile->options.packet_bytes <= HOSTILE_DATAGRAM);
    hostile->random = base_random_seed(options->seed);
    hostile->next_id = base_random_u64(&hostile->random) & ~UINT64_C(1);
    TAILQ_INIT(&hostile->queue);
    for (uint32_t i = 0; i < HOSTILE_HALF_OPEN; i++)
        hostile->half_open[i].host = UINT32_MAX;
    sim_alarm_init(&hostile->turn, turn_ring);
    sim_alarm_init(&hostile->link, link_ring);
    sim_host_crash(host);
    set_turn(hostile);
    return hostile;
}

void sim_hostile_close(struct sim_hostile *hostile)
{
    if (hostile == NULL)
        return;
    sim_alarm_cancel(sim_world_clock(hostile->world), &hostile->turn);
    sim_alarm_cancel(sim_world_clock(hostile->world), &hostile->link);
    while (!TAILQ_EMPTY(&hostile->queue)) {
        struct hostile_datagram *datagram = TAILQ_FIRST(&hostile->queue);

        TAILQ_REMOVE(&hostile->queue, datagram, queue);
        free(datagram);
    }
    free(hostile);
}

const struct sim_hostile_counts *sim_hostile_counts(const struct sim_hostile *hostile)
{
    return &hostile->counts;
}
