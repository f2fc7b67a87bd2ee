/*
 * A hostile host: it speaks Homa well enough to be understood, and says nothing but lies. It takes
 * the place of one host of the world, whose own sockets must be closed (sim_host_crash): packets
 * for it go no further than here, and what it sends is made up here. It can do what a program
 * without privileges can do to others on a network: it sends from its own address only, and knows
 * of others' RPCs what it guesses, or, if the scenario says so, everything that passes by.
 *
 * It stops at `end`, so that honest RPCs that it kept alive can end after that.
 */
#ifndef SIM_HOSTILE_H
#define SIM_HOSTILE_H

#include "base/random.h"
#include "sim/world.h"

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

/*
 *   What it does when its turn comes. "known" ids are those that it has heard, or guesses near
 * them.
 *
 *   GRANTS      grants for known RPCs: beyond the message, tiny, huge, at odd priorities
 *   ACKS        acks, alone and in DATA, for known RPCs
 *   OVERLAPS    DATA of one message of its own that overlaps and contradicts itself, in bytes,
 *               length and offset
 *   INCOMING    DATA that lies about `incoming`: 0, tiny, huge
 *   NOWHERE     packets of any type about ids that nobody has
 *   RESENDS     RESENDs for anything known, of any range
 *   STORMS      many RESENDs at a time for one id
 *   UNKNOWNS    RPC_UNKNOWN for known RPCs
 *   BUSIES      BUSY for known RPCs
 *   NEED_ACKS   NEED_ACK for known RPCs, and for what it asked itself
 *   CUTOFFS     cutoffs that rise, are all zero, all the same, or random; old and new versions
 *   HALF_OPEN   the first packet of a long request, then now and then a byte
 *   REQUESTS    real requests, whose responses it neither grants, nor asks for again, nor acks
 *   VERSIONS    packets of other versions, types and flags
 *   SHORT       packets cut short
 *   BUNDLES     bundles that end badly, or hold hundreds of packets
 *   FREEZES     FREEZE
 *   FLOODS      thousands of packets as fast as its link allows; honest hosts are then not bound to
 *               be as fast as without it
 *   ANSWERS     answers honest requests, badly; without this it never answers at all
 */
#define SIM_HOSTILE_ACTS_X(X) \
    X(GRANTS, "grants")       \
    X(ACKS, "acks")           \
    X(OVERLAPS, "overlaps")   \
    X(INCOMING, "incoming")   \
    X(NOWHERE, "nowhere")     \
    X(RESENDS, "resends")     \
    X(STORMS, "storms")       \
    X(UNKNOWNS, "unknowns")   \
    X(BUSIES, "busies")       \
    X(NEED_ACKS, "need_acks") \
    X(CUTOFFS, "cutoffs")     \
    X(HALF_OPEN, "half_open") \
    X(REQUESTS, "requests")   \
    X(VERSIONS, "versions")   \
    X(SHORT, "short")         \
    X(BUNDLES, "bundles")     \
    X(FREEZES, "freezes")     \
    X(FLOODS, "floods")       \
    X(ANSWERS, "answers")

enum sim_hostile_act {
#define SIM_HOSTILE_ACT(name, text) SIM_HOSTILE_##name,
    SIM_HOSTILE_ACTS_X(SIM_HOSTILE_ACT)
#undef SIM_HOSTILE_ACT
    SIM_HOSTILE_ACTS
};

#define SIM_HOSTILE_BIT(act) (UINT32_C(1) << (act))
/* Everything but floods. */
#define SIM_HOSTILE_ALL \
    ((SIM_HOSTILE_BIT(SIM_HOSTILE_ACTS) - 1) & ~SIM_HOSTILE_BIT(SIM_HOSTILE_FLOODS))

struct sim_hostile_options {
    uint64_t seed;
    uint32_t host; /* whose place it takes */
    uint32_t acts; /* bits, SIM_HOSTILE_BIT */
    sim_time begin;
    sim_time end;
    sim_time interval;      /* between two turns, on average */
    bool eavesdrops;        /* hears the ids of all packets, not only of those sent to it */
    uint32_t half_open_max; /* of HALF_OPEN at a time; 0 = 64 */
    uint32_t message_max;   /* the longest message that it speaks of; 0 = 1,000,000 */
    uint32_t packet_bytes;  /* of its full packets; 0 = as its host's options */
    uint32_t flood_packets; /* of one flood; 0 = 2,000 */
    uint32_t inject_limit;  /* packets in all, 0 = no limit */
    /* Makes the bytes of its real requests, if given: what honest servers understand. */
    void (*fill)(void *context, struct base_random *random, uint8_t *bytes, uint32_t length);
    void *fill_context;
};

struct sim_hostile_counts {
    uint64_t sent;                    /* datagrams */
    uint64_t heard;                   /* datagrams for it */
    uint64_t overheard;               /* of others */
    uint64_t turns[SIM_HOSTILE_ACTS]; /* how often it did what */
};

struct sim_hostile;

/* Ends the process with a sentence when memory is out. Crashes the host whose place it takes. */
struct sim_hostile *sim_hostile_open(const struct sim_hostile_options *options,
                                     struct sim_world *world);
/* Take the hook out of the world first. */
void sim_hostile_close(struct sim_hostile *hostile);

/* The hook, in front of another (e.g. that of sim_fault), to which it passes on what is not its
 * business. `inner` NULL: none. Several hostile hosts are several hooks in a chain. */
struct sim_hook sim_hostile_hook(struct sim_hostile *hostile, const struct sim_hook *inner);

const struct sim_hostile_counts *sim_hostile_counts(const struct sim_hostile *hostile);
const char *sim_hostile_act_name(enum sim_hostile_act act);

#endif
