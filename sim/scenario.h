/*
 * A scenario: everything that a seeded disaster is made of, derived from one number. Hosts, their
 * network, sockets and knobs; what the applications do; which faults strike when. The same seed
 * gives the same scenario on every machine, and a scenario can be told in a paragraph.
 *
 * Each aspect draws from a generator of its own (the seed and the aspect's name), so that what is
 * added to one aspect later leaves the others of all old seeds as they were. Limits are kept here
 * that disaster.c and judge.c rely on: knobs are legal, tombstones outlive every packet, a run's
 * bytes stay within a budget that one processor moves in a fraction of a second.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "sim/clock.h"
#include "sim/fault.h"
#include "sim/hostile.h"
#include "sim/world.h"

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>

#define SIM_SCENARIO_HOSTS  32u
#define SIM_SCENARIO_EVENTS 24u
#define SIM_PLENTY_RPCS     4096u /* max_rpcs where nobody runs short of them */

/* Kinds of message length, drawn per message. */
enum sim_mix {
    SIM_MIX_TINY,  /* 1 .. 100 */
    SIM_MIX_SMALL, /* up to 3,000 */
    SIM_MIX_EDGES, /* around the unscheduled limit, packet and bpage borders */
    SIM_MIX_MIXED, /* mostly short, some long */
    SIM_MIX_LONG,  /* 50,000 up to the longest */
    SIM_MIXES,
};

/* Whom clients call. */
enum sim_call_pattern {
    SIM_CALL_ANY,   /* any server socket of another host */
    SIM_CALL_ONE,   /* all call the first host that is not themselves: incast */
    SIM_CALL_RING,  /* the next host */
    SIM_CALL_LOCAL, /* any server socket, those of the own host included */
    SIM_CALLS,
};

/* What the applications do. Chances are in thousandths. */
struct sim_traffic {
    enum sim_mix requests;
    enum sim_mix responses;
    enum sim_call_pattern pattern;
    uint32_t longest;      /* bytes; no message is longer */
    uint32_t calls;        /* that each client socket starts, at most */
    uint64_t bytes;        /* that all together may start, requests and responses */
    uint32_t concurrency;  /* calls that one client socket has open */
    sim_time think;        /* from one call's end to the next, mean */
    sim_time service;      /* from taking a request to answering it, mean */
    uint32_t long_service; /* chance of a service of long_service_time instead */
    sim_time long_service_time;
    sim_time lag;          /* how late applications take what is ready, at most */
    sim_time hold;         /* how long they keep bpages, at most */
    uint32_t is_private;   /* chance that a call is private */
    uint32_t is_dropped;   /* chance that the server drops it without a reply */
    uint32_t is_abandoned; /* chance that the client aborts it */
    uint32_t is_told;      /* of those, chance that it is with an errno */
    uint32_t is_piecewise; /* chance that a message becomes ready bit by bit */
};

enum sim_event_kind {
    SIM_EVENT_CRASH, /* all of the host is forgotten; it comes back after `duration` */
    SIM_EVENT_PAUSE, /* the host does nothing for `duration` */
    SIM_EVENT_CLOSE, /* one socket is closed, and opened again after `duration` */
    SIM_EVENT_ABORT, /* one socket aborts all its calls, with `error` */
    SIM_EVENT_KINDS,
};

struct sim_event {
    sim_time at;
    sim_time duration;
    enum sim_event_kind kind;
    uint32_t host;
    uint32_t socket;
    int error;
};

struct sim_scenario {
    uint64_t seed;
    uint32_t host_count;  /* the hostile one included */
    uint32_t hostile;     /* number of the hostile host; UINT32_MAX = none */
    bool is_speed_judged; /* the others must be nearly as fast as without it */
    bool calls_hostile;   /* the others call it, as they call each other */
    bool has_room;        /* switches hold as much as any run needs */
    struct sim_network_options network;
    struct sim_host_options hosts[SIM_SCENARIO_HOSTS];
    struct sim_traffic traffic;
    struct sim_fault_options faults;
    struct sim_hostile_options hostility;
    struct sim_event events[SIM_SCENARIO_EVENTS]; /* by time */
    uint32_t event_count;
    sim_time start_over;   /* calls begin between 0 and this */
    sim_time faults_until; /* from then on nothing goes wrong any more */
    uint32_t check_every;  /* packets from one look into all structures to the next */
};

/* Makes the scenario of a seed. */
void sim_scenario_make(struct sim_scenario *scenario, uint64_t seed);

/* A limit that every scenario keeps and that somebody has broken, as a sentence; NULL = sound. */
const char *sim_scenario_flaw(const struct sim_scenario *scenario);

/* Tells it in a readable paragraph. */
void sim_scenario_describe(const struct sim_scenario *scenario, FILE *stream);

/*
 * The attributes of one call, from the scenario, its client socket and its number there: the same
 * however the run goes.
 */
struct sim_call_plan {
    uint32_t host;   /* the server */
    uint32_t socket; /* on that host */
    uint32_t request_length;
    uint32_t response_length;
    sim_time service;
    sim_time abandon_after; /* SIM_NEVER = is not abandoned */
    int abandon_error;
    bool is_private;
    bool is_dropped;
    bool is_piecewise;
};

/* Returns false when the client has nobody to call. */
bool sim_scenario_call(const struct sim_scenario *scenario, uint32_t host, uint32_t socket,
                       uint32_t number, struct sim_call_plan *plan);

/* ---- parts of sim_scenario_make (scenario_fate.c) ---- */

/* What goes wrong: faults, events, the hostile host; and the knobs that have to outlast it. */
void sim_scenario_draw_fate(struct sim_scenario *scenario);

/* A generator for one aspect of a seed: no two aspects share a sequence. */
struct base_random sim_scenario_random(uint64_t seed, uint64_t aspect);

#endif
