/*
 * A world (world.h): makes hosts and network, and is what they know of each other. Packets pass
 * here twice, when they leave a host and when they come to one.
 */
#include "sim/world.h"

#include <stddef.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct sim_world {
    struct sim_clock *clock;
    struct sim_network *network;
    struct sim_host **hosts;
    uint32_t host_count;
    bool carries_payload;
    struct sim_application application;
    struct sim_hook hook;
    struct sim_watcher watcher;
    struct sim_world_totals totals;
    LIST_HEAD(, delayed) delayed;
};

/* A copy that the hook has sent later than the others. */
struct delayed {
    struct sim_alarm alarm;
    LIST_ENTRY(delayed) link;
    struct sim_world *world;
    struct sim_packet *packet;
};

struct sim_clock *sim_world_clock(const struct sim_world *world)
{
    return world->clock;
}

struct sim_network *sim_world_network(const struct sim_world *world)
{
    return world->network;
}

uint32_t sim_world_host_count(const struct sim_world *world)
{
    return world->host_count;
}

struct sim_host *sim_world_host(const struct sim_world *world, uint32_t number)
{
    assert(number < world->host_count);
    return world->hosts[number];
}

const struct sim_application *sim_world_application(const struct sim_world *world)
{
    return &world->application;
}

bool sim_world_carries_payload(const struct sim_world *world)
{
    return world->carries_payload;
}

uint64_t sim_engine_now(const struct sim_world *world)
{
    return SIM_ENGINE_START_NS + sim_clock_now(world->clock) / SIM_NS;
}

void sim_world_set_hook(struct sim_world *world, const struct sim_hook *hook)
{
    world->hook = *hook;
}

void sim_world_set_watcher(struct sim_world *world, const struct sim_watcher *watcher)
{
    world->watcher = *watcher;
}

void sim_world_totals(const struct sim_world *world, struct sim_world_totals *totals)
{
    *totals = world->totals;
}

void sim_world_see(struct sim_world *world, enum sim_sight sight, const struct sim_packet *packet)
{
    switch (sight) {
    case SIM_SENT:
        world->totals.sent++;
        break;
    case SIM_DELIVERED:
        world->totals.delivered++;
        break;
    case SIM_LOST:
        world->totals.lost++;
        break;
    default:
        world->totals.dropped++;
        break;
    }
    if (world->watcher.see != NULL)
        world->watcher.see(world->watcher.context, sight, packet);
}

void sim_world_see_schedule(struct sim_world *world, struct sim_host *host, bool is_over)
{
    if (world->watcher.see_schedule != NULL)
        world->watcher.see_schedule(world->watcher.context, host, is_over);
}

/* ---- packets ---- */

static void ring_delayed(struct sim_alarm *alarm)
{
    struct delayed *delayed = (struct delayed *)alarm; /* its first field */

    LIST_REMOVE(delayed, link);
    sim_network_enter(delayed->world->network, delayed->packet);
    free(delayed);
}

/* The packet, whose last bit leaves its host at `at`, comes through its first switch later than it
 * would. */
static void delay(struct sim_world *world, struct sim_packet *packet, sim_time at, sim_time more)
{
    const struct sim_network_options *options = sim_network_options(world->network);
    struct delayed *delayed = sim_allocate(1, sizeof(*delayed));

    delayed->world = world;
    delayed->packet = packet;
    sim_alarm_init(&delayed->alarm, ring_delayed);
    sim_alarm_set(world->clock, &delayed->alarm,
                  at + options->propagation + options->switch_delay + more);
    LIST_INSERT_HEAD(&world->delayed, delayed, link);
}

void sim_world_carry(struct sim_world *world, struct sim_packet *packet, sim_time at)
{
    struct sim_fate fate = {.copies = 1};

    sim_world_see(world, SIM_SENT, packet);
    if (packet->to >= world->host_count)
        fate.copies = 0; /* to nobody */
    else if (world->hook.decide != NULL)
        world->hook.decide(world->hook.context, packet, &fate);
    assert(fate.copies <= 2);
    if (fate.copies == 0) {
        sim_world_see(world, SIM_LOST, packet);
        sim_packet_free(world->network, packet);
        return;
    }
    if (fate.copies == 2)
        delay(world, sim_packet_copy(world->network, packet), at, fate.delay[1]);
    if (fate.delay[0] == 0)
        sim_network_send(world->network, packet, at);
    else
        delay(world, packet, at, fate.delay[0]);
}

static void deliver(void *context, struct sim_packet *packet)
{
    struct sim_world *world = context;

    if (world->hook.admit != NULL && !world->hook.admit(world->hook.context, packet)) {
        sim_packet_free(world->network, packet);
        return;
    }
    sim_host_arrive(world->hosts[packet->to], packet);
}

static void drop(void *context, struct sim_packet *packet)
{
    struct sim_world *world = context;

    sim_world_see(world, SIM_DROPPED, packet);
    sim_packet_free(world->network, packet);
}

void sim_world_inject(struct sim_world *world, uint32_t from, uint16_t source_port, uint32_t to,
                      uint16_t destination_port, uint8_t priority, const void *bytes,
                      uint32_t length)
{
    const struct sim_host_options *options = sim_host_options(world->hosts[from]);
    struct sim_packet *packet = sim_packet_new(world->network);

    packet->bytes = sim_allocate(length > 0 ? length : 1, 1);
    memcpy(packet->bytes, bytes, length);
    packet->length = length;
    packet->wire_bytes = length + options->wire_overhead;
    if (packet->wire_bytes < options->wire_minimum)
        packet->wire_bytes = options->wire_minimum;
    packet->from = (uint16_t)from;
    packet->to = (uint16_t)to;
    packet->source_port = source_port;
    packet->destination_port = destination_port;
    packet->priority = priority;
    packet->header_length = 0;
    sim_world_see(world, SIM_SENT, packet);
    sim_network_enter(world->network, packet);
}

/* ---- opening and closing ---- */

static void open_hosts(struct sim_world *world, const struct sim_world_options *options)
{
    world->hosts = sim_allocate(options->network.hosts, sizeof(struct sim_host *));
    world->host_count = options->network.hosts;
    for (uint32_t i = 0; i < world->host_count; i++) {
        const struct sim_host_options *host =
            &options->hosts[options->is_host_options_shared ? 0 : i];

        world->hosts[i] = sim_host_open(world, i, host);
        sim_host_restart(world->hosts[i], base_mix(options->seed + i));
    }
}

struct sim_world *sim_world_open(const struct sim_world_options *options,
                                 const struct sim_application *application, const char **why)
{
    struct sim_world *world = sim_allocate(1, sizeof(*world));
    const struct sim_network_owner owner = {.context = world, .deliver = deliver, .drop = drop};

    world->application = *application;
    world->carries_payload = options->carries_payload;
    LIST_INIT(&world->delayed);
    world->clock = sim_clock_open();
    if (world->clock == NULL)
        sim_out_of_memory();
    world->network = sim_network_open(&options->network, world->clock, &owner, why);
    if (world->network == NULL) {
        sim_world_close(world);
        return NULL;
    }
    open_hosts(world, options);
    return world;
}

void sim_world_close(struct sim_world *world)
{
    if (world == NULL)
        return;
    for (uint32_t i = 0; i < world->host_count; i++)
        sim_host_close(world->hosts[i]);
    while (!LIST_EMPTY(&world->delayed)) {
        struct delayed *delayed = LIST_FIRST(&world->delayed);

        LIST_REMOVE(delayed, link);
        sim_alarm_cancel(world->clock, &delayed->alarm);
        sim_packet_free(world->network, delayed->packet);
        free(delayed);
    }
    sim_network_close(world->network);
    sim_clock_close(world->clock);
    free(world->hosts);
    free(world);
}
