/*
 * One simulated host: one to four sockets, each with an engine of src/homa and a receive region;
 * the host's grant scheduler; a network card; and, if wanted, a processor that takes time. Its loop
 * is the one that homa/engine.h prescribes to every caller.
 *
 * The network card. A packet is asked of the engines when the card can begin to send it, not
 * before, so that it is always the best packet there is: at `send_delay` before the link is idle,
 * or up to `card_queue` earlier, which is how long a queue the card may hold. A card may be slower
 * than its link (`card_mbps`), and let some bytes pass at once when it has been idle
 * (`card_burst`): so it is a token bucket, as Linux's tbf.
 *
 * The processor. With all costs zero it is infinitely fast and packets never wait in the socket
 * buffer. Otherwise it works in turns: each takes a batch of arrivals from the buffer, does
 * everything that follows from them, lets each socket send a batch, and is then busy for what that
 * cost; meanwhile packets pile up in the buffer, and what does not fit is lost, as in a kernel.
 *
 * A host that is stopped does nothing, while its buffer fills. A host that crashes forgets all and
 * may be started again with the same addresses; what the card has taken still goes out.
 */
#ifndef SIM_HOST_H
#define SIM_HOST_H

#include "homa/engine.h"
#include "sim/clock.h"
#include "sim/packet.h"

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define SIM_SOCKETS_MAX 4u
/* What engines are told as the time when the world begins: no clock shows 0. */
#define SIM_ENGINE_START_NS UINT64_C(1000000000)

struct sim_world;

struct sim_processor {
    sim_time wake;          /* from an arrival until a processor that sleeps looks at it */
    sim_time timer_late;    /* so much later than set a timer is noticed */
    sim_time packet_in;     /* per datagram received */
    sim_time packet_out;    /* per datagram sent */
    sim_time segment_out;   /* and per one that the same send carries behind a full one to the same
                               peer (segmentation offload); 0 = there are none */
    uint32_t receive_batch; /* datagrams taken at a time; 0 = as many as there are */
    uint64_t
        receive_buffer; /* bytes of datagrams that may wait, overheads included; 0 = no limit */
    uint32_t receive_overhead; /* bytes that each waiting datagram counts beyond its own */
};

struct sim_host_options {
    struct homa_knobs knobs;
    struct sim_processor processor;
    uint32_t sockets; /* 1 .. SIM_SOCKETS_MAX */
    uint16_t ports[SIM_SOCKETS_MAX];
    bool is_server[SIM_SOCKETS_MAX];
    uint32_t region_bpages; /* per socket; 0 = no region */
    uint32_t max_message;   /* as in homa_engine_options */
    uint32_t max_rpcs;
    uint32_t max_peers;
    uint32_t max_tombstones;
    uint32_t packet_bytes;   /* of a full packet: Homa header and payload */
    uint64_t sched_limit;    /* bytes granted per socket, as in homa_sched_attach */
    uint32_t sched_messages; /* as in homa_sched_open */
    sim_time send_delay;     /* from the decision to send a packet to its first bit on the link */
    sim_time card_queue;     /* how much the card may hold, in time on the link */
    uint32_t card_mbps;      /* the card's own speed; 0 = the link's */
    uint32_t card_burst;     /* bytes */
    uint32_t output_batch;   /* packets asked for at a time, 1 .. 64 */
    bool sees_backlog;     /* the engines are told what the card holds and how fast it drains ... */
    bool measures_backlog; /* ... but only as a UDP socket shows it: sim/backlog.h */
    uint32_t wire_overhead; /* bytes on the link per datagram beyond its own, gaps included */
    uint32_t wire_minimum;  /* least bytes on the link per datagram */
    bool bundles;           /* small packets to one peer of one priority share a datagram */
};

/* One socket. Read-only for others. */
struct sim_socket {
    struct sim_host *host;
    struct homa_engine *engine; /* NULL while the socket is closed or the host is down */
    struct bpage_pool *bpages;
    struct mem_region region;
    uint64_t ready_seen; /* homa_engine_ready_sequence when the application was told last */
    uint64_t generation; /* grows with every open */
    uint32_t number;     /* on its host */
    uint16_t port;
};

struct sim_host;

/* A payload that the application gives away; freed when the engine releases it. */
struct sim_payload {
    struct mem_payload payload;  /* first */
    uint8_t *bytes;              /* malloc, or NULL when payload.bytes is somebody else's */
    struct sim_payload **holder; /* made NULL when this is freed; NULL = nobody wants to know */
};

/* What a host tells its application. Each may call the functions below on any host. */
struct sim_application {
    void *context;
    /* Something has become ready to be taken on this socket. */
    void (*ready)(void *context, struct sim_socket *socket);
};

/* Hosts are made by the world (sim_world_open), number = index. */
struct sim_host *sim_host_open(struct sim_world *world, uint32_t number,
                               const struct sim_host_options *options);
void sim_host_close(struct sim_host *host);

uint32_t sim_host_number(const struct sim_host *host);
struct sim_socket *sim_host_socket(struct sim_host *host, uint32_t number);
const struct sim_host_options *sim_host_options(const struct sim_host *host);
struct homa_sched *sim_host_sched(const struct sim_host *host);

/* The address by which others reach this socket. */
struct base_address sim_socket_address(const struct sim_socket *socket);
/* The host with this address; UINT32_MAX when there is none. */
uint32_t sim_address_host(const struct base_address *address);

/* The world's time as engines have it: nanoseconds, from SIM_ENGINE_START_NS on. */
uint64_t sim_engine_now(const struct sim_world *world);

/*
 * A payload of length bytes to send from: `bytes` is malloc'ed memory that becomes the payload's,
 * or NULL for a world that carries no payload.
 */
struct mem_payload *sim_payload_new(struct sim_host *host, uint8_t *bytes, uint32_t length);
/* For one that no engine took. */
void sim_payload_free(struct sim_host *host, struct mem_payload *payload);
/* Payloads made and not freed. */
uint64_t sim_host_payloads(const struct sim_host *host);

/*
 * After any call on a socket's engine that may have made something to send or moved a timer: the
 * host looks at all that, in this instant but later. Never calls the application before it returns.
 */
void sim_host_touch(struct sim_host *host);

/* Now, as the host's program has it: later than the world's by what the processor has been busy
 * with since it was woken. */
sim_time sim_host_now(const struct sim_host *host);

/* ---- the network's side (world.c) ---- */

void sim_host_arrive(struct sim_host *host, struct sim_packet *packet);
void sim_host_network_error(struct sim_host *host, uint16_t port,
                            const struct base_network_error *error);

/* ---- fate ---- */

/* Does nothing until `until` (a time, not SIM_NEVER); arrivals wait in the socket buffer. */
void sim_host_stop(struct sim_host *host, sim_time until);
/* Closes one socket as a program would: its RPCs end without a word. May be opened again. */
void sim_host_close_socket(struct sim_host *host, uint32_t number);
/* Everything is forgotten at once: engines, scheduler, buffers. Not from the host's application. */
void sim_host_crash(struct sim_host *host);
/* Opens all sockets that are closed. `seed`: of the new engines. */
void sim_host_restart(struct sim_host *host, uint64_t seed);
bool sim_host_is_up(const struct sim_host *host);

/* Lost because the socket buffer was full. */
uint64_t sim_host_overflows(const struct sim_host *host);
/* Time spent by the processor. */
sim_time sim_host_processor_busy(const struct sim_host *host);

#endif
