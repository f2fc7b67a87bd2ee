/*
 * The Homa protocol for one socket, as a pure state machine: packets, application calls and the
 * time go in; packets, finished messages and a deadline come out. It makes no system call, takes no
 * lock, reads no clock, keeps no global, and allocates only in homa_engine_open(). The socket
 * layer, the simulator, the tests and the fuzzer are its callers; one caller at a time.
 *
 * The caller's loop, whatever it is:
 *
 *     homa_engine_input()            each datagram that has come in, all of them, then
 *     homa_engine_advance()          judges timers (only after input is drained, so that a stopped
 *                                    process never takes waiting packets for lost ones)
 *     homa_engine_schedule()         when homa_engine_wants_schedule(): the host's grant scheduler
 *     homa_engine_output()           until it returns 0 or the wire is full
 *     homa_engine_take()             finished messages, when the application asks
 *     homa_engine_released()         payloads that may be freed
 *     homa_engine_deadline()         sleep until then, a packet, or a call of the application
 *
 * Time is nanoseconds of any monotonic clock. The engine keeps a clock of its own that stands still
 * while it is not run: if it is called later than the deadline it gave plus 1 ms, the excess is not
 * charged to any timer (spec section 4, Time). Its deadlines are in the caller's time.
 *
 * An RPC is in exactly one state (rpc.h); it is named by its id everywhere outside the engine. Ids
 * are those of the kernel API: even on the client, the same with the low bit set on the server.
 */
#ifndef HOMA_ENGINE_H
#define HOMA_ENGINE_H

#include "base/packet.h"
#include "homa/counters.h"
#include "homa/knobs.h"
#include "homa/sched.h"
#include "memory/bpage.h"
#include "memory/payload.h"
#include "memory/region.h"

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

struct homa_engine;

#define HOMA_NEVER UINT64_MAX

struct homa_engine_options {
    struct homa_knobs knobs;
    uint64_t seed;        /* everything random is drawn from it */
    uint64_t now;         /* ns */
    uint32_t max_message; /* bytes; longer messages are refused and their packets dropped */
    uint32_t max_rpcs;    /* RPCs at a time, both kinds */
    uint32_t max_peers;   /* peers remembered at a time */
    uint32_t max_tombstones;
    uint32_t packet_bytes; /* header and payload of a full packet, for peers not told otherwise */
    uint16_t port;         /* ours */
    uint8_t format;        /* HOMA_FORMAT_UDP, or HOMA_FORMAT_IP: there the peers' ports are
                              taken from the packets, and those for other ports are dropped */
    bool is_server;        /* take requests from the start */
};

/* Returns 0, -ENOMEM, or -EINVAL (knobs that homa_knobs_check refuses; zero limits). */
int homa_engine_open(const struct homa_engine_options *options, struct homa_engine **engine);

/*
 * Frees the engine, which must have been detached from the scheduler. First call
 * homa_engine_shutdown() and collect the released payloads: what is still referred to here is
 * forgotten, not freed. NULL is allowed.
 */
void homa_engine_close(struct homa_engine *engine);

/* Ends all RPCs at once, without a word to peers. Later requests and replies give -ESHUTDOWN. */
void homa_engine_shutdown(struct homa_engine *engine, uint64_t now);

/* ---- set-up that may change while running ---- */

/* The region that incoming messages go to, with its pool; both stay the caller's. Once only. Until
 * then incoming messages wait as if the pool were exhausted. */
void homa_engine_set_region(struct homa_engine *engine, uint64_t now,
                            const struct mem_region *region, struct bpage_pool *pool);
void homa_engine_set_port(struct homa_engine *engine, uint16_t port);
void homa_engine_set_server(struct homa_engine *engine, bool is_server);
bool homa_engine_is_server(const struct homa_engine *engine);
/* Returns 0, or -EINVAL (homa_knobs_check). */
int homa_engine_set_knobs(struct homa_engine *engine, const struct homa_knobs *knobs);
const struct homa_knobs *homa_engine_knobs(const struct homa_engine *engine);
/* The size of a full packet to this peer from now on; messages already cut keep theirs. */
void homa_engine_set_packet_bytes(struct homa_engine *engine, const struct base_address *peer,
                                  uint32_t packet_bytes);
/* Joins the host's scheduler: call under its lock, before the first packet. limit_bytes as in
 * homa_sched_attach. Without one, incoming messages get no grants beyond their RESENDs. */
void homa_engine_attach(struct homa_engine *engine, struct homa_sched *sched, void *cookie,
                        uint64_t limit_bytes);
/* Leaves it: under its lock, before close. */
void homa_engine_detach(struct homa_engine *engine);

/* ---- the application's side ---- */

/*
 * Starts a request. `payload` is referred to until it is released; payload->ready may still be less
 * than its length (see homa_engine_more). packet_bytes: the wire's word for this peer, 0 = as
 * before. Returns 0 with *id, -EINVAL (length 0 or above max_message), -ENOBUFS (max_rpcs, or no
 * peer record to be had), -ESHUTDOWN.
 */
int homa_engine_request(struct homa_engine *engine, uint64_t now, const struct base_address *to,
                        struct mem_payload *payload, uint32_t packet_bytes, uint64_t cookie,
                        bool is_private, uint64_t *id);

/*
 * Answers request `id` (odd) from `to` (its local address is ignored). Returns 0; -ENOENT (no such
 * RPC: it was aborted, timed out, or never was; the kernel API calls that success); -EINPROGRESS
 * (its request has not been handed to the application); -EALREADY (answered before); -EINVAL
 * (length); -ESHUTDOWN. On error the payload stays the caller's.
 */
int homa_engine_reply(struct homa_engine *engine, uint64_t now, const struct base_address *to,
                      uint64_t id, struct mem_payload *payload, uint32_t packet_bytes);

/* More of an outgoing message is ready: payload->ready has grown. Unknown id: nothing. */
void homa_engine_more(struct homa_engine *engine, uint64_t now, const struct base_address *to,
                      uint64_t id);

/* Which finished RPCs homa_engine_take() is to look for. */
enum homa_take_kind {
    HOMA_TAKE_REQUEST = 1,
    HOMA_TAKE_RESPONSE = 2,
};

/* A finished message, or a failed client RPC, handed over. */
struct homa_message {
    uint64_t id;
    uint64_t cookie; /* responses and failures: as given with the request */
    struct base_address peer;
    uint32_t length; /* bytes; 0 when error is set */
    int error;       /* 0, or the errno (positive) that ended the RPC */
    uint32_t num_bpages;
    const uint32_t *bpage_offsets; /* valid until the engine is next called */
};

/*
 * Hands over the oldest finished shared RPC of the kinds given (id 0), or that private one (id !=
 * 0). A request's RPC then waits for its reply; a response's or failure's is over, and its bpages
 * are the application's. Returns 0; -EAGAIN (nothing yet); -EINVAL (id != 0 that is no private
 * client RPC).
 */
int homa_engine_take(struct homa_engine *engine, uint64_t now, uint64_t id, unsigned kinds,
                     struct homa_message *message);

/* Finished shared RPCs of these kinds that wait to be taken. */
uint32_t homa_engine_ready(const struct homa_engine *engine, unsigned kinds);

/* Whether this private RPC has finished (or does not exist any more: taking it says so at once). */
bool homa_engine_private_ready(const struct homa_engine *engine, uint64_t id);

/* Grows whenever an RPC becomes ready to be taken: when it has not moved, nobody need be woken. */
uint64_t homa_engine_ready_sequence(const struct homa_engine *engine);

/* Takes bpages back from the application: as bpage_return, and lets waiting messages go on. */
int homa_engine_return_bpages(struct homa_engine *engine, uint64_t now, const uint32_t *offsets,
                              uint32_t count, uint32_t *bad);

/*
 * Aborts client RPC `id`, or all client RPCs (id 0). error 0: they vanish; else they finish with
 * that errno. Returns 0; -EINVAL (unknown id, or a server's).
 */
int homa_engine_abort(struct homa_engine *engine, uint64_t now, uint64_t id, int error);

/*
 * Ends a server RPC in service without a reply (one-way messages of the simulator; a handler that
 * gives up). The client is not told. Returns 0 or -ENOENT.
 */
int homa_engine_drop(struct homa_engine *engine, uint64_t now, const struct base_address *client,
                     uint64_t id);

/* Moves all released payloads to the end of `list`. */
void homa_engine_released(struct homa_engine *engine, struct mem_payload_list *list);

/* ---- the network's side ---- */

/* Takes in one datagram, bundles and all. */
void homa_engine_input(struct homa_engine *engine, uint64_t now,
                       const struct base_arrival *arrival);

/* An ICMP error for an earlier packet: ends RPCs with that peer (ECONNREFUSED becomes ENOTCONN), or
 * for EMSGSIZE makes packets smaller and sends again what was too large. */
void homa_engine_network_error(struct homa_engine *engine, uint64_t now,
                               const struct base_network_error *error);

/* Judges timers. Drain the input first. */
void homa_engine_advance(struct homa_engine *engine, uint64_t now);

/*
 * Fills up to max packets (never more than 256) that should go out now: control packets first, then
 * retransmissions, then data of short messages, then data by shortest remaining, as far as grants
 * and the pacer allow. `backlog` is what the edge sees below us (NULL or zeros = unknown: not
 * paced). Returns their number; 0 = nothing (now). Payload pointers are valid until the next call.
 */
size_t homa_engine_output(struct homa_engine *engine, uint64_t now,
                          const struct base_backlog *backlog, struct base_packet *packets,
                          size_t max);

/* The wire took only the first `sent` of the packets that the last output call returned: the others
 * go back, to be produced again. Call before anything else on the engine. */
void homa_engine_unsend(struct homa_engine *engine, const struct base_packet *packets, size_t sent,
                        size_t count);

/* When to call advance, schedule if wanted, and output next, in the caller's time; HOMA_NEVER when
 * all is quiet. Knows the scheduler's deadline as of our last homa_engine_schedule(). */
uint64_t homa_engine_deadline(const struct homa_engine *engine);

/* ---- the host's scheduler (long messages only) ---- */

/* Whether homa_engine_schedule() has something to do, at the time of the last call. Cheap. */
bool homa_engine_wants_schedule(const struct homa_engine *engine);

/*
 * Under the scheduler's lock: registers new long messages, reports progress, learns what others
 * were granted meanwhile, and runs the scheduler. Grants for this engine's own messages become
 * output; grants for other engines come back in grants[], to be sent through their owner's wire
 * (homa_engine_encode_grant). Returns their number; call again while it returns max.
 */
size_t homa_engine_schedule(struct homa_engine *engine, uint64_t now, struct homa_grant *grants,
                            size_t max);

/* Makes the GRANT packet for a grant that another engine's owner is to send. source_port: the
 * owner's port; format and knobs as that owner's. */
void homa_engine_encode_grant(const struct homa_grant *grant, uint16_t source_port, uint8_t format,
                              const struct homa_knobs *knobs, struct base_packet *packet);

/* ---- sight ---- */

/* What HOMAIOCINFO tells about one RPC (seed 1, struct homa_rpc_info, same meaning and units). */
struct homa_rpc_view {
    uint64_t id;
    struct base_address peer;
    uint64_t cookie;
    int32_t tx_length; /* -1: no reply yet */
    uint32_t tx_sent;
    uint32_t tx_granted;
    uint8_t tx_priority;
    int32_t rx_length; /* -1: unknown yet */
    uint32_t rx_remaining;
    uint32_t rx_gaps;
    uint32_t rx_gap_bytes;
    uint32_t rx_granted;
    bool is_stalled; /* waits for buffer space */
    bool is_private;
    bool is_ready; /* waits for recvmsg */
};

/* Calls see() for each RPC, in no particular order, until it returns false. */
void homa_engine_view(const struct homa_engine *engine,
                      bool (*see)(void *context, const struct homa_rpc_view *view), void *context);

struct homa_engine_usage {
    uint32_t rpcs;        /* alive, both kinds */
    uint32_t client_rpcs; /* of these, ours */
    uint32_t peers;
    uint32_t gaps;         /* gap records in use */
    uint32_t timers;       /* armed */
    uint64_t queued_bytes; /* payload referred to */
};

void homa_engine_usage(const struct homa_engine *engine, struct homa_engine_usage *usage);
const struct homa_counters *homa_engine_counters(const struct homa_engine *engine);

/* Sizes for the documentation: bytes per RPC, per peer, per tombstone, per engine when empty. */
struct homa_engine_sizes {
    size_t rpc;
    size_t peer;
    size_t gap;
    size_t tombstone;
};

void homa_engine_sizes(const struct homa_engine *engine, struct homa_engine_sizes *sizes);

/* Checks every invariant that spans several structures; asserts on a violation. For tests. */
void homa_engine_check(const struct homa_engine *engine);

#endif
