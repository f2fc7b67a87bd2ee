/*
 * A small world for exact times: messages go one way, without payload. A receiver that is given a
 * message notes when, and ends it at both ends without a packet. The numbers are easy to reckon
 * with: hosts on one switch, 10 Gbit/s (800 ps a byte), 500 ns before a packet starts, 250 ns in
 * the switch, 500 ns until the program has it; 1,416 bytes of message in a full packet, and 66
 * bytes on the link beside a datagram.
 *
 * Every two hosts have exchanged messages when the test begins (they tell each other their cutoffs
 * then, which would be in the way). All times here count from that moment.
 */
#ifndef SIM_ONE_WAY_H
#define SIM_ONE_WAY_H

#include "sim/world.h"
#include "support/test.h"

#include <stdint.h>
#include <stdbool.h>

#define ONE_WAY_PORT 4000u /* of socket 0; the next one's is one more */
#define ONE_WAY_MAX  256u

/* A full packet on a link, 1,538 bytes, and one of a message of 100 bytes, 222. */
#define FULL  UINT64_C(1230400)
#define SMALL UINT64_C(177600)
/* A small message alone: 500,000 until it starts, twice on a link, 250,000 and 500,000. */
#define SMALL_ALONE (UINT64_C(1250000) + 2 * SMALL)

struct one_way_event {
    uint32_t host; /* where: the receiver, or the sender of what failed */
    uint32_t socket;
    uint32_t length; /* 0: failed */
    int error;
    sim_time at;
};

struct one_way {
    struct sim_world *world;
    struct sim_world_options options;
    struct sim_host_options hosts[8];
    sim_time began;
    struct one_way_event events[ONE_WAY_MAX];
    uint32_t count;
};

/* Sets the options up; the test may change them before it opens the world. */
void one_way_prepare(struct one_way *world, uint32_t hosts);
void one_way_open(struct one_way *world);
void one_way_close(struct one_way *world);

/* A message between sockets of the same number. Returns its id. */
uint64_t one_way_send(struct one_way *world, uint32_t from, uint32_t to, uint32_t socket,
                      uint32_t length);

/* Lets time go by until `until`. */
void one_way_run(struct one_way *world, sim_time until);
void one_way_stop(struct one_way *world, uint32_t host, sim_time until);

/* Fails unless this event is of that host and length, at that time. */
void one_way_expect(const struct one_way *world, uint32_t event, uint32_t host, uint32_t length,
                    sim_time at);

/* RPCs of all sockets that are open. */
uint32_t one_way_rpcs(const struct one_way *world);

#endif
