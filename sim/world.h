/*
 * A simulated world: a clock, a network, and hosts on it, all from one set of options and one seed.
 * Users set up an application (what hosts do), hooks (what the network does to packets), watchers
 * (who wants to see), and run it.
 *
 * Not for several threads. Two worlds do not know of each other.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "sim/clock.h"
#include "sim/host.h"
#include "sim/network.h"

#include <stdint.h>
#include <stdbool.h>

/* What becomes of a packet that leaves a host (after its card, before the network). */
struct sim_fate {
    uint32_t copies;   /* 0: lost; 1 as usual; 2: duplicated */
    sim_time delay[2]; /* of each copy, beyond the time that it takes anyway */
};

/* Decides it; may change the packet's bytes. Default (NULL): one copy, no delay. */
struct sim_hook {
    void *context;
    void (*decide)(void *context, struct sim_packet *packet, struct sim_fate *fate);
    /* Whether a packet that has come to its host goes on to the host's program. NULL: yes. */
    bool (*admit)(void *context, const struct sim_packet *packet);
};

enum sim_sight {
    SIM_SENT,      /* left its host */
    SIM_DELIVERED, /* came to the receiving program */
    SIM_LOST,      /* by the hook's decision */
    SIM_DROPPED,   /* a full queue in the network */
    SIM_OVERFLOW,  /* a full socket buffer, or the host is down */
};

/* Sees everything and changes nothing. */
struct sim_watcher {
    void *context;
    void (*see)(void *context, enum sim_sight sight, const struct sim_packet *packet);
    /* A host is about to run its scheduler, and has. NULL: not asked for. */
    void (*see_schedule)(void *context, struct sim_host *host, bool is_over);
};

struct sim_world_options {
    uint64_t seed;
    struct sim_network_options network;
    bool carries_payload;
    /* One for all hosts, or one each. */
    const struct sim_host_options *hosts;
    bool is_host_options_shared;
};

struct sim_world;

/* Returns NULL with *why a sentence when the options make no sense. */
struct sim_world *sim_world_open(const struct sim_world_options *options,
                                 const struct sim_application *application, const char **why);
void sim_world_close(struct sim_world *world);

void sim_world_set_hook(struct sim_world *world, const struct sim_hook *hook);
void sim_world_set_watcher(struct sim_world *world, const struct sim_watcher *watcher);

struct sim_clock *sim_world_clock(const struct sim_world *world);
struct sim_network *sim_world_network(const struct sim_world *world);
uint32_t sim_world_host_count(const struct sim_world *world);
struct sim_host *sim_world_host(const struct sim_world *world, uint32_t number);
const struct sim_application *sim_world_application(const struct sim_world *world);
bool sim_world_carries_payload(const struct sim_world *world);
static inline sim_time sim_world_now(const struct sim_world *world)
{
    return sim_clock_now(sim_world_clock(world));
}

/* Sends a datagram of the caller's making as if `from` had sent it (a hostile host; ICMP is
 * sim_host_network_error): it comes to the first switch at once, past the card and the hook. bytes
 * are copied. The source port may be any. */
void sim_world_inject(struct sim_world *world, uint32_t from, uint16_t source_port, uint32_t to,
                      uint16_t destination_port, uint8_t priority, const void *bytes,
                      uint32_t length);

/* A host's card has sent its packet: on to the hook and the network. For host.c. */
void sim_world_carry(struct sim_world *world, struct sim_packet *packet, sim_time at);
void sim_world_see(struct sim_world *world, enum sim_sight sight, const struct sim_packet *packet);
void sim_world_see_schedule(struct sim_world *world, struct sim_host *host, bool is_over);

struct sim_world_totals {
    uint64_t sent;      /* datagrams */
    uint64_t delivered; /* datagrams, to programs */
    uint64_t lost;
    uint64_t dropped;
};

void sim_world_totals(const struct sim_world *world, struct sim_world_totals *totals);

/* Zeroed memory; a world that outgrows the machine ends the process with a sentence. */
void *sim_allocate(size_t count, size_t size);
_Noreturn void sim_out_of_memory(void);

#endif
