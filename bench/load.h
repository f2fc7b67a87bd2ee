/*
 * missive-load: one-way messages over the real stack, at random times, to be compared with the
 * simulator's (sim/veth.h). This is what its two processes share: memory, and the first bytes of
 * every message.
 *
 * A message is a request. It begins with the time at which it was due, by a clock that both
 * processes read, and the server notes how late it is when it has all of it. The reply is one byte
 * and counts for nothing.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "sim/stream.h"

#include <stdint.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>

#define LOAD_HEAD_BYTES  8u       /* the shortest message */
#define LOAD_LENGTH_MAX  1000000u /* the longest */
#define LOAD_SOCKETS_MAX 4u
#define LOAD_BURST       32u /* messages that the costs are measured on at a time */
#define LOAD_BURST_BYTES 100u
#define LOAD_SAMPLES_MAX 4000000u

/* What the server is to do with a message, beside answering it. */
enum load_kind {
    LOAD_PLAIN,   /* nothing */
    LOAD_COUNTED, /* note it among the samples */
    LOAD_TIMED,   /* note it for the client, which waits for it */
    LOAD_SPIN,    /* never sleep from now on */
    LOAD_SLEEP,   /* sleep again */
    LOAD_STOP,
    LOAD_KINDS
};

struct load_sample {
    uint32_t length;
    uint32_t elapsed_ns; /* at most 4.29 s */
};

/* Shared by both processes. */
struct load_shared {
    _Atomic uint16_t port;       /* the server's; 0 = not open yet */
    _Atomic uint64_t elapsed_ns; /* of the last timed message */
    /* While it spins: messages taken, and time spent taking and answering them. */
    _Atomic uint64_t spun_count;
    _Atomic uint64_t spun_take_ns;
    _Atomic uint64_t spun_answer_ns;
    _Atomic uint64_t server_cpu_ns; /* used by the server so far, written at each plain message */
    _Atomic uint32_t sample_count;
    struct load_sample samples[LOAD_SAMPLES_MAX];
};

uint64_t load_now(void);
/* CPU time of this process so far. */
uint64_t load_cpu_ns(void);

/* Ends the program: what failed, and errno's reason. */
_Noreturn void load_fail(const char *what);

/* A socket of either side: a region to receive into, and the pages of the last message. */
struct load_socket;

/* Opens one; a server's, on a free port, if is_server. poll_usecs: the knob's value as text. */
struct load_socket *load_open(const char *poll_usecs, bool is_server, uint16_t *port);
void load_close(struct load_socket *socket);
/* Whether the pacer may hold back what is sent, if the configuration lets it. */
void load_set_paced(struct load_socket *socket, bool is_paced);
/* Sends a request that is due (or was) at due_ns. */
void load_send(struct load_socket *socket, const struct sockaddr_in *to, enum load_kind kind,
               uint64_t due_ns, uint32_t length);
/* Takes the next message of either kind. Returns its length, or -1 when there is none and may_wait
 * is false. */
int load_take(struct load_socket *socket, bool may_wait);

/* Of the message taken last. */
uint64_t load_id(const struct load_socket *socket);
uint64_t load_due(const struct load_socket *socket);
enum load_kind load_kind_of(const struct load_socket *socket);
/* Answers a request, from where the last message came. */
void load_answer(struct load_socket *socket, uint64_t id);

/* ---- the server: load_server.c ---- */

/* Serves until it is told to stop. */
void load_serve(struct load_shared *shared, struct load_socket *socket);

/* ---- the client: load_client.c ---- */

struct load_client {
    struct load_shared *shared;
    struct load_socket *sockets[LOAD_SOCKETS_MAX];
    uint32_t socket_count;
    struct sockaddr_in server;
};

/* What single packets cost, in nanoseconds: medians. */
struct load_costs {
    uint64_t segment; /* to send one more full packet together with others */
    uint64_t out;     /* to send a short message, the kernel's work down to the peer's socket
                         included */
    uint64_t in;      /* to take a short message that waits */
    uint64_t answer;  /* to send an answer, from the server's side */
    uint64_t awake;   /* from one side to the other while the server spins */
    uint64_t asleep;  /* and while it sleeps */
};

struct load_run {
    uint64_t duration_ns; /* of the arrivals */
    uint64_t max_messages;
    /* What came of it. */
    uint64_t sent;
    uint64_t answered;
    uint64_t elapsed_ns;
    uint64_t server_cpu_ns;
    uint64_t client_busy_ns; /* in which it did not just look for something to do */
    uint64_t client_cpu_ns;  /* that it had: less than elapsed_ns when others wanted its CPU */
    uint64_t look_ns;        /* between two looks that find nothing, on average */
    uint32_t late_p50_ns;    /* messages handed over after they were due */
    uint32_t late_p99_ns;
};

void load_warm_up(struct load_client *client);
void load_measure_costs(struct load_client *client, struct load_costs *costs);
/* The time of a message of this length while nothing else is under way: the median. */
uint64_t load_measure_idle(struct load_client *client, uint32_t length);
void load_run(struct load_client *client, const struct sim_stream_options *options,
              struct load_run *run);
void load_stop(struct load_client *client);

#endif
