/*
 * The network (network.h). Everything is a port: a queue per priority, and a link behind it to one
 * node. A port has two alarms at most, one for the first packet on its link to arrive, one for the
 * link to be idle while packets wait: on one link packets arrive in the order in which they left,
 * so that the others need none.
 *
 * Ports are numbered by kind: up[host] (its queue is the host's card, so only the link is used),
 * down[host], and between switches core_up[rack][core] and core_down[core][rack].
 */
#include "sim/network.h"

#include "sim/world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PACKETS_AT_A_TIME 1024u
#define PS_PER_BYTE_MBIT  UINT64_C(8000000) /* ps for a byte at 1 Mbit/s */

struct queue {
    struct sim_packet *first;
    struct sim_packet *last;
    uint64_t bytes;
    uint64_t max_bytes;
    sim_time changed_at;
    unsigned __int128 byte_ps;
};

enum node_kind {
    NODE_HOST,
    NODE_RACK,
    NODE_CORE
};

struct port {
    struct sim_alarm idle;   /* the link is free, and packets wait */
    struct sim_alarm arrive; /* the first packet on the link is at its end */
    struct sim_network *network;
    struct sim_packet *first_flying;
    struct sim_packet *last_flying;
    sim_time ps_per_byte;
    sim_time latency; /* from the last bit leaving until the next node acts on the packet */
    sim_time idle_at; /* when what is being sent has left */
    uint64_t queued;  /* bytes, all priorities */
    uint32_t waiting; /* a bit for each priority that has packets */
    uint16_t node;    /* at the other end */
    uint8_t node_kind;
    uint8_t kind; /* enum sim_port_kind */
    struct queue queues[SIM_PRIORITIES];

    /* Statistics. */
    uint64_t packets;
    uint64_t drops;
    uint64_t max_queued;
    sim_time busy;
    uint64_t bytes[SIM_PRIORITIES];
};

struct chunk {
    struct chunk *next;
    struct sim_packet packets[PACKETS_AT_A_TIME];
};

struct sim_network {
    struct sim_network_options options;
    struct sim_network_owner owner;
    struct sim_clock *clock;
    struct base_random random;
    struct chunk *chunks;
    struct sim_packet *free_packets;
    uint32_t racks;
    uint32_t port_count;
    struct port *ports;
    struct port *up;        /* [host] */
    struct port *down;      /* [host] */
    struct port *core_up;   /* [rack * cores + core] */
    struct port *core_down; /* [core * racks + rack] */
};

/* ---- packets ---- */

struct sim_packet *sim_packet_new(struct sim_network *network)
{
    struct sim_packet *packet = network->free_packets;

    if (packet == NULL) {
        struct chunk *chunk = sim_allocate(1, sizeof(*chunk));

        chunk->next = network->chunks;
        network->chunks = chunk;
        for (uint32_t i = 0; i < PACKETS_AT_A_TIME; i++) {
            chunk->packets[i].next = network->free_packets;
            network->free_packets = &chunk->packets[i];
        }
        packet = network->free_packets;
    }
    network->free_packets = packet->next;
    packet->next = NULL;
    packet->bytes = NULL;
    return packet;
}

void sim_packet_free(struct sim_network *network, struct sim_packet *packet)
{
    free(packet->bytes);
    packet->bytes = NULL;
    packet->next = network->free_packets;
    network->free_packets = packet;
}

struct sim_packet *sim_packet_copy(struct sim_network *network, const struct sim_packet *packet)
{
    struct sim_packet *copy = sim_packet_new(network);

    *copy = *packet;
    copy->next = NULL;
    if (packet->bytes != NULL) {
        copy->bytes = sim_allocate(packet->length > 0 ? packet->length : 1, 1);
        memcpy(copy->bytes, packet->bytes, packet->length);
    }
    return copy;
}

/* ---- ports ---- */

static void fly(struct port *port, struct sim_packet *packet, sim_time sent_at)
{
    packet->next = NULL;
    packet->at = sent_at + port->latency;
    if (port->first_flying == NULL) {
        port->first_flying = packet;
        sim_alarm_set(port->network->clock, &port->arrive, packet->at);
    } else {
        assert(port->last_flying->at <= packet->at);
        port->last_flying->next = packet;
    }
    port->last_flying = packet;
}

unsigned sim_network_level(const struct sim_network_options *options, uint8_t priority)
{
    assert(priority < SIM_PRIORITIES);
    return priority * options->priorities / SIM_PRIORITIES;
}

static void count_sent(struct port *port, const struct sim_packet *packet)
{
    port->busy += packet->wire_bytes * port->ps_per_byte;
    port->packets++;
    port->bytes[sim_network_level(&port->network->options, packet->priority)] += packet->wire_bytes;
}

static void transmit(struct port *port, struct sim_packet *packet)
{
    port->idle_at = sim_clock_now(port->network->clock) + packet->wire_bytes * port->ps_per_byte;
    count_sent(port, packet);
    fly(port, packet, port->idle_at);
}

static void count_waiting(const struct port *port, struct queue *queue)
{
    sim_time now = sim_clock_now(port->network->clock);

    queue->byte_ps += (unsigned __int128)queue->bytes * (now - queue->changed_at);
    queue->changed_at = now;
}

static void enqueue(struct port *port, struct sim_packet *packet)
{
    struct sim_network *network = port->network;
    sim_time now = sim_clock_now(network->clock);

    if (port->waiting == 0 && port->idle_at <= now) {
        transmit(port, packet);
        return;
    }
    uint64_t limit = network->options.buffer_bytes;

    if (limit != 0 && port->queued + packet->wire_bytes > limit) {
        port->drops++;
        network->owner.drop(network->owner.context, packet);
        return;
    }
    unsigned level = sim_network_level(&network->options, packet->priority);
    struct queue *queue = &port->queues[level];

    count_waiting(port, queue);
    packet->next = NULL;
    if (queue->first == NULL)
        queue->first = packet;
    else
        queue->last->next = packet;
    queue->last = packet;
    queue->bytes += packet->wire_bytes;
    if (queue->bytes > queue->max_bytes)
        queue->max_bytes = queue->bytes;
    port->queued += packet->wire_bytes;
    if (port->queued > port->max_queued)
        port->max_queued = port->queued;
    if (port->waiting == 0)
        sim_alarm_set(network->clock, &port->idle, port->idle_at);
    port->waiting |= 1u << level;
}

static struct sim_packet *dequeue(struct port *port)
{
    unsigned level = 31u - (unsigned)__builtin_clz(port->waiting);
    struct queue *queue = &port->queues[level];
    struct sim_packet *packet = queue->first;

    count_waiting(port, queue);
    queue->first = packet->next;
    queue->bytes -= packet->wire_bytes;
    port->queued -= packet->wire_bytes;
    if (queue->first == NULL)
        port->waiting &= ~(1u << level);
    return packet;
}

static void ring_idle(struct sim_alarm *alarm)
{
    struct port *port = (struct port *)alarm; /* its first field */

    transmit(port, dequeue(port));
    if (port->waiting != 0)
        sim_alarm_set(port->network->clock, &port->idle, port->idle_at);
}

/* ---- nodes ---- */

static void forward_from_rack(struct sim_network *network, uint32_t rack, struct sim_packet *packet)
{
    const struct sim_network_options *options = &network->options;
    uint32_t to_rack = options->topology == SIM_SINGLE ? 0 : packet->to / options->hosts_per_rack;

    if (to_rack == rack) {
        enqueue(&network->down[packet->to], packet);
        return;
    }
    uint64_t core = base_random_below(&network->random, options->core_switches);

    enqueue(&network->core_up[(size_t)rack * options->core_switches + core], packet);
}

static void forward(struct port *port, struct sim_packet *packet)
{
    struct sim_network *network = port->network;

    switch (port->node_kind) {
    case NODE_HOST:
        network->owner.deliver(network->owner.context, packet);
        break;
    case NODE_RACK:
        forward_from_rack(network, port->node, packet);
        break;
    default:
        enqueue(&network->core_down[port->node * network->racks +
                                    packet->to / network->options.hosts_per_rack],
                packet);
        break;
    }
}

static void ring_arrive(struct sim_alarm *alarm)
{
    struct port *port = (struct port *)(void *)((char *)alarm - offsetof(struct port, arrive));
    struct sim_packet *packet = port->first_flying;

    port->first_flying = packet->next;
    if (port->first_flying != NULL)
        sim_alarm_set(port->network->clock, &port->arrive, port->first_flying->at);
    forward(port, packet);
}

/* ---- set-up ---- */

const char *sim_network_fault(const struct sim_network_options *options)
{
    if (options->hosts < 2 || options->hosts > UINT16_MAX)
        return "a network has from 2 to 65535 hosts";
    if (options->host_mbps == 0 || PS_PER_BYTE_MBIT % options->host_mbps != 0)
        return "the speed of hosts' links must divide 8,000,000 Mbit/s, as 10000, 25000, 100000 do";
    if (options->priorities < 1 || options->priorities > SIM_PRIORITIES)
        return "switches have from 1 to 8 priorities";
    if (options->topology == SIM_SINGLE)
        return NULL;
    if (options->core_mbps == 0 || PS_PER_BYTE_MBIT % options->core_mbps != 0)
        return "the speed of core links must divide 8,000,000 Mbit/s, as 10000, 40000, 100000 do";
    if (options->hosts_per_rack == 0 || options->hosts % options->hosts_per_rack != 0)
        return "all racks have the same number of hosts: it must divide the number of hosts";
    if (options->core_switches == 0)
        return "racks are joined by at least one core switch";
    return NULL;
}

static void open_port(struct sim_network *network, struct port *port, enum sim_port_kind kind,
                      enum node_kind node_kind, uint32_t node)
{
    const struct sim_network_options *options = &network->options;
    uint32_t mbps = kind == SIM_PORT_CORE ? options->core_mbps : options->host_mbps;

    port->network = network;
    port->kind = (uint8_t)kind;
    port->node_kind = (uint8_t)node_kind;
    port->node = (uint16_t)node;
    port->ps_per_byte = PS_PER_BYTE_MBIT / mbps;
    port->latency = options->propagation +
                    (node_kind == NODE_HOST ? options->receive_delay : options->switch_delay);
    sim_alarm_init(&port->idle, ring_idle);
    sim_alarm_init(&port->arrive, ring_arrive);
}

static void open_ports(struct sim_network *network)
{
    const struct sim_network_options *options = &network->options;
    uint32_t cores = options->topology == SIM_RACKS ? options->core_switches : 0;
    uint32_t hosts = options->hosts;

    network->racks = options->topology == SIM_RACKS ? hosts / options->hosts_per_rack : 1;
    network->port_count = 2 * hosts + 2 * network->racks * cores;
    network->ports = sim_allocate(network->port_count, sizeof(struct port));
    network->up = network->ports;
    network->down = network->up + hosts;
    network->core_up = network->down + hosts;
    network->core_down = network->core_up + (size_t)network->racks * cores;
    for (uint32_t host = 0; host < hosts; host++) {
        uint32_t rack = cores > 0 ? host / options->hosts_per_rack : 0;

        open_port(network, &network->up[host], SIM_PORT_UP, NODE_RACK, rack);
        open_port(network, &network->down[host], SIM_PORT_DOWN, NODE_HOST, host);
    }
    for (uint32_t core = 0; core < cores; core++) {
        for (uint32_t rack = 0; rack < network->racks; rack++) {
            open_port(network, &network->core_up[rack * cores + core], SIM_PORT_CORE, NODE_CORE,
                      core);
            open_port(network, &network->core_down[core * network->racks + rack], SIM_PORT_CORE,
                      NODE_RACK, rack);
        }
    }
}

struct sim_network *sim_network_open(const struct sim_network_options *options,
                                     struct sim_clock *clock, const struct sim_network_owner *owner,
                                     const char **why)
{
    struct sim_network *network;

    *why = sim_network_fault(options);
    if (*why != NULL)
        return NULL;
    network = sim_allocate(1, sizeof(*network));
    network->options = *options;
    network->owner = *owner;
    network->clock = clock;
    network->random = base_random_seed(options->seed);
    open_ports(network);
    return network;
}

static void free_chain(struct sim_network *network, struct sim_packet *packet)
{
    while (packet != NULL) {
        struct sim_packet *next = packet->next;

        sim_packet_free(network, packet);
        packet = next;
    }
}

void sim_network_close(struct sim_network *network)
{
    if (network == NULL)
        return;
    for (uint32_t i = 0; i < network->port_count; i++) {
        struct port *port = &network->ports[i];

        sim_alarm_cancel(network->clock, &port->idle);
        sim_alarm_cancel(network->clock, &port->arrive);
        free_chain(network, port->first_flying);
        for (unsigned level = 0; level < SIM_PRIORITIES; level++)
            free_chain(network, port->queues[level].first);
    }
    while (network->chunks != NULL) {
        struct chunk *next = network->chunks->next;

        free(network->chunks);
        network->chunks = next;
    }
    free(network->ports);
    free(network);
}

const struct sim_network_options *sim_network_options(const struct sim_network *network)
{
    return &network->options;
}

sim_time sim_network_host_time(const struct sim_network *network, uint32_t wire_bytes)
{
    return wire_bytes * network->up[0].ps_per_byte;
}

void sim_network_send(struct sim_network *network, struct sim_packet *packet, sim_time at)
{
    struct port *port = &network->up[packet->from];

    assert(packet->to < network->options.hosts);
    count_sent(port, packet);
    fly(port, packet, at);
}

void sim_network_enter(struct sim_network *network, struct sim_packet *packet)
{
    assert(packet->from < network->options.hosts && packet->to < network->options.hosts);
    forward_from_rack(network, network->up[packet->from].node, packet);
}

/* ---- statistics ---- */

void sim_network_begin_totals(struct sim_network *network)
{
    for (uint32_t i = 0; i < network->port_count; i++) {
        struct port *port = &network->ports[i];

        port->packets = 0;
        port->drops = 0;
        port->busy = 0;
        port->max_queued = port->queued;
        memset(port->bytes, 0, sizeof(port->bytes));
        for (unsigned level = 0; level < SIM_PRIORITIES; level++) {
            struct queue *queue = &port->queues[level];

            queue->byte_ps = 0;
            queue->changed_at = sim_clock_now(network->clock);
            queue->max_bytes = queue->bytes;
        }
    }
}

static uint64_t greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void add_port(struct port *port, struct sim_port_totals *totals)
{
    totals->ports++;
    totals->packets += port->packets;
    totals->busy_ps += port->busy;
    totals->drops += port->drops;
    totals->max_queue_bytes = greater(totals->max_queue_bytes, port->max_queued);
    for (unsigned level = 0; level < SIM_PRIORITIES; level++) {
        struct queue *queue = &port->queues[level];

        count_waiting(port, queue);
        totals->bytes[level] += port->bytes[level];
        totals->queue_byte_ns[level] += (uint64_t)(queue->byte_ps / SIM_NS);
        totals->max_level_bytes[level] = greater(totals->max_level_bytes[level], queue->max_bytes);
    }
}

void sim_network_totals(struct sim_network *network, enum sim_port_kind kind,
                        struct sim_port_totals *totals)
{
    *totals = (struct sim_port_totals){0};
    for (uint32_t i = 0; i < network->port_count; i++)
        if (network->ports[i].kind == kind)
            add_port(&network->ports[i], totals);
}

bool sim_network_is_downlink_busy(const struct sim_network *network, uint32_t host)
{
    return network->down[host].idle_at > sim_clock_now(network->clock);
}

sim_time sim_network_downlink_busy(const struct sim_network *network, uint32_t host)
{
    return network->down[host].busy;
}
