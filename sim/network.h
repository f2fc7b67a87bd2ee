/*
 * The simulated network: store-and-forward switches between hosts, links with eight strict
 * priorities, and nothing else. It moves packets and drops those for which a queue has no room; it
 * knows nothing of Homa. All faults are somebody else's (fault.h): a packet that enters here
 * arrives, if there is room.
 *
 * Two shapes. `single`: all hosts on one switch. `racks`: hosts on top-of-rack switches, each
 * joined to every core switch; packets between racks are sprayed over the core at random.
 *
 * A hop costs a packet: waiting in the port's queue, its bytes at the port's rate, the propagation
 * delay, and the fixed delay of the switch (or host) it comes to. All queues of one port share its
 * buffer; the packet that finds it full is dropped.
 */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "base/random.h"
#include "sim/clock.h"
#include "sim/packet.h"

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define SIM_PRIORITIES 8u

enum sim_topology {
    SIM_SINGLE,
    SIM_RACKS
};

struct sim_network_options {
    enum sim_topology topology;
    uint32_t hosts;          /* 2 .. 65,535 */
    uint32_t hosts_per_rack; /* racks only; divides hosts */
    uint32_t core_switches;  /* racks only */
    uint32_t host_mbps;      /* links of hosts; divides 8,000,000 */
    uint32_t core_mbps;      /* racks only: links between switches */
    sim_time switch_delay;   /* per switch, after the last bit has come in */
    sim_time propagation;    /* per link */
    sim_time receive_delay;  /* from the last bit at a host until its program has the packet */
    uint64_t buffer_bytes;   /* wire bytes that wait at one port; 0 = no limit */
    uint32_t priorities;     /* levels that switches tell apart, 1 .. 8: 8 / priorities each */
    uint64_t seed;           /* of the spraying */
};

/* Where a port is, for statistics. */
enum sim_port_kind {
    SIM_PORT_UP,
    SIM_PORT_CORE,
    SIM_PORT_DOWN,
    SIM_PORT_KINDS
};

/* What all ports of one kind went through. */
struct sim_port_totals {
    uint64_t ports;
    uint64_t packets;
    uint64_t bytes[SIM_PRIORITIES]; /* on the wire, by level, as all below */
    uint64_t busy_ps;               /* time spent sending, all ports together */
    uint64_t drops;
    uint64_t max_queue_bytes;                 /* waiting in one port at a time, all priorities */
    uint64_t max_level_bytes[SIM_PRIORITIES]; /* of one level of one port */
    uint64_t queue_byte_ns[SIM_PRIORITIES];   /* waiting bytes times time, all ports together */
};

struct sim_network;

/* What the network calls. The packet is the callee's from then on (sim_packet_free). */
struct sim_network_owner {
    void *context;
    void (*deliver)(void *context, struct sim_packet *packet);
    void (*drop)(void *context, struct sim_packet *packet); /* a full queue */
};

/* What is wrong with the options, as a sentence; NULL when nothing is. */
const char *sim_network_fault(const struct sim_network_options *options);

/* Returns NULL with *why a sentence (bad options), or ends the process for want of memory. */
struct sim_network *sim_network_open(const struct sim_network_options *options,
                                     struct sim_clock *clock, const struct sim_network_owner *owner,
                                     const char **why);
void sim_network_close(struct sim_network *network);

const struct sim_network_options *sim_network_options(const struct sim_network *network);

/* Packets come from here and go back here. */
struct sim_packet *sim_packet_new(struct sim_network *network);
void sim_packet_free(struct sim_network *network, struct sim_packet *packet);
/* The same once more, bytes and all. */
struct sim_packet *sim_packet_copy(struct sim_network *network, const struct sim_packet *packet);

/* The level of a switch that takes packets of this priority: 0 .. options.priorities - 1. */
unsigned sim_network_level(const struct sim_network_options *options, uint8_t priority);

/* How long so many bytes take on a host's link. */
sim_time sim_network_host_time(const struct sim_network *network, uint32_t wire_bytes);

/*
 * The last bit of the packet leaves its host's network card at `at` (now or later, and not before
 * that of the packet given before for the same host). The card itself is the host's business.
 */
void sim_network_send(struct sim_network *network, struct sim_packet *packet, sim_time at);

/* The packet has come through its host's first switch now: for those that did not come the usual
 * way. */
void sim_network_enter(struct sim_network *network, struct sim_packet *packet);

/* Statistics: of what has happened since begin was called last (or since open). */
void sim_network_begin_totals(struct sim_network *network);
void sim_network_totals(struct sim_network *network, enum sim_port_kind kind,
                        struct sim_port_totals *totals);
/* Whether the last link to the host is sending now. */
bool sim_network_is_downlink_busy(const struct sim_network *network, uint32_t host);
/* Time that the last link to the host has spent sending, in all. */
sim_time sim_network_downlink_busy(const struct sim_network *network, uint32_t host);

#endif
