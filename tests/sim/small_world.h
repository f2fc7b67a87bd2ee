/*
 * A small simulated world for tests of what goes on in one: some hosts on a switch, each with a
 * server on port 1000 and a client on port 2000; servers answer every request with as many bytes as
 * it had, and clients remember how their calls ended.
 */
#ifndef SIM_SMALL_WORLD_H
#define SIM_SMALL_WORLD_H

#include "sim/world.h"
#include "support/test.h"

#include <stdint.h>
#include <stdbool.h>

#define SMALL_SERVER_PORT 1000u
#define SMALL_CLIENT_PORT 2000u
#define SMALL_CALLS_MAX   256u

struct small_call {
    uint64_t id;
    uint32_t host; /* of the client */
    bool is_over;
    int error;
    bool is_right; /* the response's bytes are those of the request */
};

struct small_world {
    struct sim_world *world;
    struct sim_host_options host;
    struct small_call calls[SMALL_CALLS_MAX];
    uint32_t call_count;
    uint32_t requests; /* that servers were given */
    uint32_t strange;  /* of these, not of the form that small_request() sends */
    bool mute;         /* servers take requests and do not answer */
};

/* Fails the test when it cannot be made. Payload is carried. */
void small_open(struct small_world *small, uint32_t hosts);
void small_close(struct small_world *small);

/* Starts a call; returns its index in calls[]. */
uint32_t small_request(struct small_world *small, uint32_t from, uint32_t to, uint32_t length);

/* The bytes of every request of this length. */
void small_fill(uint8_t *bytes, uint32_t length);

/* Lets so much time go by. */
void small_run(struct small_world *small, sim_time time);

/* A datagram that a client's DATA might be: from client port to server port, `payload` bytes. The
 * caller hands it to a hook and frees it (sim_packet_free). */
struct sim_packet *small_data(struct small_world *small, uint32_t from, uint32_t to,
                              uint32_t payload);
/* One of another type, with zeros for its fields. */
struct sim_packet *small_control(struct small_world *small, uint32_t from, uint32_t to,
                                 unsigned type);

#endif
