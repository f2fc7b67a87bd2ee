/*
 * A disaster as its own files see it: disaster.c (the run: events, phases, verdict) and
 * application.c (what programs on the hosts do).
 */
#ifndef SIM_DISASTER_INTERNAL_H
#define SIM_DISASTER_INTERNAL_H

#include "base/tree.h"
#include "sim/disaster.h"
#include "sim/fault.h"
#include "sim/hostile.h"
#include "sim/judge.h"
#include "sim/trace.h"

#define SIM_PIECES_MAX 16u /* bpages of one message */

/* A call that its client has open. */
struct sim_open_call {
    LIST_ENTRY(sim_open_call) link;
    struct sim_call *call;
};

/* The program that uses one socket, as client and as server. */
struct sim_program {
    struct base_random random;
    LIST_HEAD(, sim_open_call) calls;
    uint32_t open;
    uint32_t started; /* over all lives of the socket */
    bool is_take_due; /* a task will take what is ready */
    bool is_start_due;
};

/* What a program will do later. Forgotten with its socket. */
enum sim_task_kind {
    SIM_TASK_START,   /* start calls */
    SIM_TASK_TAKE,    /* take what is ready */
    SIM_TASK_ANSWER,  /* a request, that `id` from `peer` */
    SIM_TASK_RETURN,  /* pieces of a message */
    SIM_TASK_ABANDON, /* a call */
    SIM_TASK_GROW,    /* a message that becomes ready bit by bit */
};

struct sim_task {
    struct sim_alarm alarm; /* first */
    LIST_ENTRY(sim_task) link;
    struct sim_disaster *disaster;
    enum sim_task_kind kind;
    uint32_t host;
    uint32_t socket;
    uint64_t generation; /* of the socket that it is for */
    struct sim_call *call;
    struct base_address peer;
    uint64_t id;
    bool is_response;
    uint32_t length;
    uint32_t pieces;
    uint32_t offsets[SIM_PIECES_MAX];
    struct sim_payload *payload; /* NULL once it has been freed */
};

struct sim_disaster {
    const struct sim_scenario *scenario;
    struct sim_world *world;
    struct sim_fault *fault;
    struct sim_hostile *hostile; /* NULL: none */
    struct sim_judge *judge;
    struct sim_trace *trace; /* NULL: not recorded */
    struct sim_watcher tracer;
    struct sim_pcapng *pcapng; /* NULL: no capture */
    struct sim_outcome *outcome;
    struct sim_program programs[SIM_SCENARIO_HOSTS][SIM_SOCKETS_MAX];
    sim_time stopped_until[SIM_SCENARIO_HOSTS];
    LIST_HEAD(, sim_task) tasks;
    uint64_t bytes_left;   /* that calls may still bring */
    uint64_t packets_seen; /* sent */
    sim_time seen_at;      /* when anything was seen last */
    uint64_t schedules_seen;
    uint32_t next_inspected; /* host */
    uint64_t rpcs_left;
    bool is_over; /* no call is started any more */
};

/* ---- application.c ---- */

/* Something is ready on the socket. */
void sim_program_ready(struct sim_disaster *disaster, struct sim_socket *socket);
/* The socket has been opened: the program begins, again perhaps. */
void sim_program_begin(struct sim_disaster *disaster, uint32_t host, uint32_t socket);
/* The socket is gone. */
void sim_program_end(struct sim_disaster *disaster, uint32_t host, uint32_t socket);
/* Aborts all calls of the socket at once. */
void sim_program_abort_all(struct sim_disaster *disaster, uint32_t host, uint32_t socket,
                           int error);
/* Forgets all tasks. */
void sim_program_forget(struct sim_disaster *disaster);

/* ---- disaster.c ---- */

/* Writes a line into the record, if there is one. port 0: the whole host. */
void sim_disaster_tell(struct sim_disaster *disaster, uint32_t host, uint16_t port,
                       const char *what, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
