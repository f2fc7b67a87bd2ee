/*
 * A simulated host as its own files see it: host.c, the loop, and card.c, what it sends.
 */
#ifndef SIM_HOST_INTERNAL_H
#define SIM_HOST_INTERNAL_H

#include "sim/backlog.h"
#include "sim/world.h"

#include <stdint.h>
#include <stdbool.h>

/* Packets asked of an engine at a time, at most. */
#define SIM_BATCH_MAX 64u

struct sim_host {
    struct sim_alarm work;
    struct sim_alarm timer;
    struct sim_alarm card;
    struct sim_world *world;
    struct sim_host_options options;
    uint32_t number;
    uint32_t next_socket; /* whose turn it is to send */
    struct sim_socket sockets[SIM_SOCKETS_MAX];
    struct homa_sched *sched;
    bool is_up;
    bool is_running;
    bool has_more; /* to send, perhaps, which waits for the processor */

    /* The card. */
    sim_time card_idle_at;
    sim_time ps_per_kilobyte; /* 1,000 bytes through the card */
    sim_time burst_time;      /* that many bytes earlier than at a steady pace */
    struct sim_backlog backlogs[SIM_SOCKETS_MAX];

    /* The processor. */
    bool has_processor;
    sim_time busy_until;
    sim_time spent; /* in this run */
    sim_time busy;  /* in all */
    sim_time stopped_until;
    sim_time judged_at; /* when timers were judged last */
    struct sim_packet *first_waiting;
    struct sim_packet *last_waiting;
    uint64_t waiting_bytes;

    uint64_t overflows;
    uint64_t payloads;
};

static inline struct sim_network *sim_network_of(const struct sim_host *host)
{
    return sim_world_network(host->world);
}

/* The engines' time. */
static inline uint64_t sim_host_engine_now(const struct sim_host *host)
{
    return sim_engine_now(host->world);
}

/* ---- card.c ---- */

/* Puts `count` packets of one socket, bundled in one datagram, into the card, whether or not it has
 * room. is_segment: it shares its send with the datagram before. */
void sim_card_take(struct sim_host *host, const struct sim_socket *socket,
                   const struct base_packet *packets, uint32_t count, bool is_segment);

/* Asks the sockets for packets as long as the card has room, and sets its alarm for when it has
 * room again. */
void sim_card_fill(struct sim_host *host);

#endif
