/*
 * The judge: what must hold in every run, whatever the seed (each in a sentence at its function in
 * judge*.c). It is told what applications do and sees every packet; it changes nothing, and keeps
 * the first violation that it finds. None of it is an assert(): it judges release builds too.
 *
 * Calls. A call is one RPC as its client's application started it. The judge has a record of each,
 * finds it by (client host, id), and knows its bytes: they follow from the call's serial number.
 */
#ifndef SIM_JUDGE_H
#define SIM_JUDGE_H

#include "base/tree.h"
#include "sim/clock.h"
#include "sim/scenario.h"
#include "sim/world.h"

#include <stdint.h>
#include <stdbool.h>

struct sim_judge;

#define SIM_SENTENCE_SIZE 320

struct sim_verdict {
    bool is_violated;
    char sentence[SIM_SENTENCE_SIZE]; /* what is wrong */
    sim_time at;
    uint32_t host; /* UINT32_MAX = no one host */
    uint64_t rpc;  /* id on the client's side; 0 = no one RPC */
};

enum sim_ending {
    SIM_OPEN,      /* not over yet */
    SIM_ANSWERED,  /* with its response */
    SIM_FAILED,    /* with an errno that the application had not asked for */
    SIM_ABORTED,   /* by the application, with an errno or silently */
    SIM_FORGOTTEN, /* with its socket or host */
};

/* One call. Written by the judge only. */
struct sim_call {
    struct sim_call *next; /* in its bucket */
    TAILQ_ENTRY(sim_call) of_all;
    LIST_ENTRY(sim_call) of_open; /* until it has ended */
    uint64_t id;                  /* the client's */
    uint64_t serial;              /* among all calls; the bytes follow from it */
    uint32_t client;              /* host */
    uint32_t client_socket;
    uint32_t number; /* on its socket */
    struct sim_call_plan plan;
    sim_time begun_at;
    sim_time ended_at;
    sim_time heard_at; /* when its client was last told something that surely counts */
    sim_time silence;  /* the longest between two of these */
    sim_time alive_at; /* the latest sign of life, or reason to wait on the client's own side */
    uint64_t served_generation; /* of the server socket that executed it last; 0 = none did */
    uint32_t executions;
    uint32_t limits[2]; /* bytes that the sender of the request, the response was ever allowed */
    enum sim_ending ending;
    int error;        /* of the ending */
    int abort_error;  /* what the application asked for; 0 = it did not */
    bool is_answered; /* the server has replied */
};

/* What a whole message's bytes are: a request's or response's of this call. */
void sim_bytes_fill(uint64_t serial, bool is_response, uint8_t *bytes, uint32_t length);
/* Index of the first byte at [offset, offset + length) of the message that is wrong; length = all
 * are right. */
uint32_t sim_bytes_compare(uint64_t serial, bool is_response, uint32_t offset, const uint8_t *bytes,
                           uint32_t length);

/* fault: NULL if the network does no harm. */
struct sim_judge *sim_judge_open(const struct sim_scenario *scenario, struct sim_world *world,
                                 const struct sim_fault *fault);
void sim_judge_close(struct sim_judge *judge);
const struct sim_verdict *sim_judge_verdict(const struct sim_judge *judge);
/* Records a violation, unless there is one already. */
void sim_judge_object(struct sim_judge *judge, uint32_t host, uint64_t rpc, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- what applications do ---- */

/* A call is about to start; its id is not known yet. Then it is, or it could not start. */
struct sim_call *sim_judge_call_begin(struct sim_judge *judge, uint32_t host, uint32_t socket,
                                      uint32_t number, const struct sim_call_plan *plan);
void sim_judge_call_started(struct sim_judge *judge, struct sim_call *call, uint64_t id);
void sim_judge_call_refused(struct sim_judge *judge, struct sim_call *call);
/* The client asks for its end. error 0: it is over at once. */
void sim_judge_call_abort(struct sim_judge *judge, struct sim_call *call, int error);
/* The client was handed the call's result. Bytes are judged in place. */
void sim_judge_call_result(struct sim_judge *judge, struct sim_call *call,
                           const struct sim_socket *socket, const struct homa_message *message);
/* A server was handed a request. Returns its call, or NULL where nobody asked for it. */
struct sim_call *sim_judge_request(struct sim_judge *judge, const struct sim_socket *socket,
                                   const struct homa_message *message);
/* The bytes that an application was given, before it gives their place back: still the same. */
void sim_judge_still_right(struct sim_judge *judge, const struct sim_call *call, bool is_response,
                           const struct sim_socket *socket, const uint32_t *offsets,
                           uint32_t length);
/* The server has given the engine its response. */
void sim_judge_reply(struct sim_judge *judge, struct sim_call *call);
/* A socket, and with it all its calls, is no more (closed, or its host crashed). */
void sim_judge_socket_gone(struct sim_judge *judge, uint32_t host, uint32_t socket);
/* The host does nothing until then: silence counts from there. */
void sim_judge_host_stopped(struct sim_judge *judge, uint32_t host, sim_time until);

/* The call of this id and client, or NULL. */
struct sim_call *sim_judge_find(const struct sim_judge *judge, uint32_t client, uint64_t id);
uint64_t sim_judge_open_calls(const struct sim_judge *judge);

/* ---- what it sees for itself ---- */

void sim_judge_see(struct sim_judge *judge, enum sim_sight sight,
                   const struct sim_packet *datagram);
/* A host is about to run its scheduler, or has. */
void sim_judge_see_schedule(struct sim_judge *judge, struct sim_host *host, bool is_over);
/* Runs of schedulers that granted something and were judged. */
uint64_t sim_judge_grants(const struct sim_judge *judge);
/* Looks at one host's structures. */
void sim_judge_inspect(struct sim_judge *judge, struct sim_host *host);
/* Looks for calls that ought to have ended by now. To be called every few virtual milliseconds. */
void sim_judge_patience(struct sim_judge *judge);
/* The world has been quiet: nothing may be left on any host. */
void sim_judge_drained(struct sim_judge *judge);
/* Whether something is left (not judged). */
bool sim_judge_is_drained(const struct sim_judge *judge);

/* Latency of answered calls between honest hosts: the 99th percentile in ns; *count gets how many.
 */
uint64_t sim_judge_p99(const struct sim_judge *judge, uint64_t *count);

#endif
