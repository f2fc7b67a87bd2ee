/*
 * What the parts of a hostile host share: hostile.c (its place in the world, its link, its turns),
 * hostile_known.c (what it knows), hostile_acts.c and hostile_floods.c (what it does when its turn
 * comes), hostile_answers.c (what it says when it is spoken to).
 */
#ifndef SIM_HOSTILE_INTERNAL_H
#define SIM_HOSTILE_INTERNAL_H

#include "base/random.h"
#include "homa/packet.h"
#include "sim/hostile.h"

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <sys/queue.h>

#define HOSTILE_KNOWN     256u
#define HOSTILE_HALF_OPEN 256u
#define HOSTILE_QUEUE_MAX 8192u  /* datagrams that wait for the link */
#define HOSTILE_DATAGRAM  65507u /* bytes of the longest */

/* An RPC of somebody, and what to call it when speaking to that host. */
struct hostile_known {
    uint32_t host;
    uint16_t port;
    uint64_t id;     /* to put in a packet to that host */
    uint32_t length; /* of a message of this RPC, as far as known */
};

/* A long request of its own of which little has been sent. */
struct hostile_half_open {
    uint32_t host; /* UINT32_MAX: no such request */
    uint16_t port;
    uint16_t source_port;
    uint64_t id;
    uint32_t length;
    uint32_t sent;
};

struct hostile_datagram {
    TAILQ_ENTRY(hostile_datagram) queue;
    uint32_t to;
    uint16_t source_port;
    uint16_t destination_port;
    uint8_t priority;
    uint32_t length;
    uint8_t bytes[];
};

struct sim_hostile {
    struct sim_alarm turn; /* first */
    struct sim_alarm link;
    struct sim_world *world;
    struct sim_hostile_options options;
    struct sim_hook inner;
    struct base_random random;
    struct sim_hostile_counts counts;
    uint64_t next_id;

    TAILQ_HEAD(, hostile_datagram) queue;
    uint32_t queued;
    sim_time link_free_at;

    struct hostile_known known[HOSTILE_KNOWN];
    uint32_t known_count;
    uint32_t known_next;
    struct hostile_half_open half_open[HOSTILE_HALF_OPEN];
    uint32_t half_open_next;
    uint64_t answers; /* how many it may still give now */
    sim_time answers_at;
};

static inline uint64_t hostile_below(struct sim_hostile *hostile, uint64_t bound)
{
    return base_random_below(&hostile->random, bound);
}

/* One of the numbers, at random. */
#define HOSTILE_PICK(hostile, numbers) \
    ((numbers)[hostile_below(hostile, sizeof(numbers) / sizeof((numbers)[0]))])

static inline uint32_t hostile_payload_max(const struct sim_hostile *hostile)
{
    return hostile->options.packet_bytes - HOMA_DATA_HEADER_LENGTH;
}

/* ---- hostile.c ---- */

/* Where to send something: a host and a port there, and from which of its own ports. */
struct hostile_way {
    uint32_t host;
    uint16_t port;
    uint16_t source_port;
};

/* Some socket of another host. */
struct hostile_way hostile_any_way(struct sim_hostile *hostile);
struct hostile_way hostile_way_to(struct sim_hostile *hostile, const struct hostile_known *known);

/* An id of its own that it has not used before. */
uint64_t hostile_new_id(struct sim_hostile *hostile);

/* Puts a datagram in the queue for its link. Ways to nowhere and what is too much are forgotten. */
void hostile_send(struct sim_hostile *hostile, const struct hostile_way *way, const uint8_t *bytes,
                  uint32_t length);

/* Encodes a packet, with noise for payload, at `into` (room for a full packet and more). Returns
 * its length. */
uint32_t hostile_encode(struct sim_hostile *hostile, const struct hostile_way *way,
                        const struct homa_packet *packet, uint8_t *into);

/* Encodes it and sends it in a datagram of its own. */
void hostile_say(struct sim_hostile *hostile, const struct hostile_way *way,
                 const struct homa_packet *packet);

/* ---- hostile_known.c ---- */

/* Remembers the RPCs of a datagram that passed by, or (is_ours) came to this host. */
void hostile_learn(struct sim_hostile *hostile, const struct sim_packet *packet, bool is_ours);

/* Something that it knows, or a guess. */
struct hostile_known hostile_recall(struct sim_hostile *hostile);

/* ---- hostile_acts.c, hostile_floods.c ---- */

void hostile_act(struct sim_hostile *hostile, enum sim_hostile_act act);
void hostile_flood(struct sim_hostile *hostile);

/* ---- hostile_answers.c ---- */

/* Answers a datagram that came to this host. */
void hostile_answer(struct sim_hostile *hostile, const struct sim_packet *packet);

#endif
