/*
 * The judge as its own files see it: judge.c (calls and what applications say about them),
 * judge_wire.c (packets), judge_host.c (structures, patience, quiet), judge_grants.c (decisions of
 * the scheduler).
 */
#ifndef SIM_JUDGE_INTERNAL_H
#define SIM_JUDGE_INTERNAL_H

#include "base/tree.h"
#include "sim/judge.h"

#define SIM_BUCKETS 4096u

/* What the judge remembers of a socket. */
struct judged_socket {
    uint64_t time_lost_ns; /* of its engine, when its calls were last looked at */
};

/* A message as the scheduler knows it. */
struct judged_message {
    struct homa_sched_view view;
    bool has_got;       /* it has been granted bytes in this run */
    bool may_be_oldest; /* perhaps for its age */
};

struct judged_messages {
    struct judged_message *list;
    uint32_t count;
    uint32_t capacity;
};

struct sim_judge {
    const struct sim_scenario *scenario;
    struct sim_world *world;
    const struct sim_fault *fault; /* NULL: no network faults */
    struct sim_verdict verdict;
    struct sim_call *buckets[SIM_BUCKETS];
    TAILQ_HEAD(, sim_call) all;
    LIST_HEAD(, sim_call) open;
    uint64_t next_serial;
    uint64_t open_count;
    struct judged_messages before; /* the run of a scheduler */
    struct judged_messages after;
    uint64_t grants_judged;
    struct judged_socket sockets[SIM_SCENARIO_HOSTS][SIM_SOCKETS_MAX];
};

/* Whether undetected corruption or hostility may have a part in what these two tell each other. */
bool sim_judge_is_tainted(const struct sim_judge *judge, uint32_t host, uint32_t other);

/* Raises an objection about a call. */
void sim_judge_object_call(struct sim_judge *judge, const struct sim_call *call, const char *format,
                           ...) __attribute__((format(printf, 3, 4)));

#endif
