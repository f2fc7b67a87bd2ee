/*
 * A laboratory for engines: hosts that each run one engine, joined by a network that the test
 * scripts, in virtual time. Shared by the tests of every file of the engine.
 *
 * A test makes a lab, starts requests, lets time pass with lab_run(), and looks at what arrived.
 * The network delivers after `latency` and asks `filter`, if there is one, what becomes of each
 * packet. Messages carry a pattern, so that a misplaced byte is noticed; all payloads and bpages
 * are counted, so that lab_close() notices a lost one.
 *
 * For single packets, lab_push() hands a made-up packet to an engine and lab_pull() looks at what
 * it sends, decoded, without any network.
 */
#ifndef HOMA_ENGINE_SUPPORT_H
#define HOMA_ENGINE_SUPPORT_H

#include "base/random.h"
#include "homa/engine.h"
#include "homa/internal.h"
#include "homa/packet.h"
#include "support/test.h"

#include <stdbool.h>

#define LAB_HOSTS       4
#define LAB_PORT        4000u
#define LAB_US          1000ull
#define LAB_MS          1000000ull
#define LAB_S           1000000000ull
#define LAB_MAX_MESSAGE 1000000u

enum lab_fate {
    LAB_DELIVER,
    LAB_DROP,
    LAB_DUPLICATE, /* delivered twice */
    LAB_DELAY,     /* delivered later by lab.delay */
};

/* One packet on the network, as filters and traces see it. */
struct lab_packet {
    uint64_t sent_at;
    unsigned from; /* host numbers */
    unsigned to;
    uint8_t priority;
    struct homa_packet decoded; /* data.payload points at bytes of the packet in flight */
    uint32_t length;            /* header and payload */
};

struct lab_datagram; /* in flight */
TAILQ_HEAD(lab_flight, lab_datagram);

/* A message as the application got it. Filled by lab_take(). */
struct lab_message {
    struct homa_message info;
    uint32_t bpages[16];
};

struct lab;

struct lab_host {
    struct homa_engine *engine;
    struct homa_sched *sched; /* shared with other hosts when they share_sched */
    struct mem_region region;
    struct bpage_pool *bpages;
    struct base_address address; /* as others see it: remote and port */
    struct lab_flight arriving;  /* by time of arrival */
    struct base_backlog backlog;
    bool is_stopped;       /* its process does not run; packets wait */
    bool is_echo;          /* answers each request with as many bytes (see reply_length) */
    uint32_t reply_length; /* of an echo host; 0 = as long as the request */
    uint32_t output_max;   /* packets the wire takes per turn */
    uint32_t wire_takes;   /* of these, how many it really takes (unsend); UINT32_MAX = all */
    bool is_cut;           /* the wire did not take all: it is asked again soon */
    uint64_t served;       /* requests answered */
    uint32_t payloads_out; /* not released yet */
};

struct lab {
    uint64_t now;
    uint64_t latency;
    uint64_t jitter; /* up to this much more for each packet: reorders */
    uint64_t delay;  /* for LAB_DELAY */
    struct base_random random;
    struct lab_host hosts[LAB_HOSTS];
    unsigned host_count;
    uint8_t format;
    enum lab_fate (*filter)(struct lab *lab, const struct lab_packet *packet);
    void *context;  /* the filter's */
    unsigned count; /* the filter's */
    double drop;
    double duplicate;
    unsigned check_every; /* homa_engine_check after so many steps; 0 = never */
    unsigned steps;
    uint64_t packets[HOMA_PACKET_TYPES]; /* on the network so far, by type */
};

/* Options that the tests start from; change what matters before lab_open_host(). */
struct homa_engine_options lab_options(void);

/* Opens a lab of `hosts` hosts, all servers, with regions of `bpages` bpages and schedulers. */
struct lab *lab_open(unsigned hosts);
struct lab *lab_open_with(unsigned hosts, const struct homa_engine_options *options,
                          uint32_t bpages);

/* Shuts all engines down and asserts that every payload and bpage came back. */
void lab_close(struct lab *lab);

/* Makes a message of `length` bytes with a pattern of `seed`; freed when the engine releases it. */
struct mem_payload *lab_payload(struct lab *lab, unsigned host, uint32_t length, uint32_t seed);

/* The address under which `host` sends to `peer`. */
struct base_address lab_address(const struct lab *lab, unsigned peer);

/* Host `from` starts a request of `length` patterned bytes; the seed is the cookie. Returns its id.
 */
uint64_t lab_request(struct lab *lab, unsigned from, unsigned to, uint32_t length, uint32_t seed);
uint64_t lab_request_private(struct lab *lab, unsigned from, unsigned to, uint32_t length,
                             uint32_t seed);

/* Host answers request `id` of `client`. Returns what homa_engine_reply() did. */
int lab_reply(struct lab *lab, unsigned host, unsigned client, uint64_t id, uint32_t length,
              uint32_t seed);

/* Takes one finished message, checks its pattern against seed unless that is 0, and returns its
 * bpages. Returns what homa_engine_take() did. */
int lab_take(struct lab *lab, unsigned host, unsigned kinds, uint32_t seed,
             struct lab_message *message);
int lab_take_id(struct lab *lab, unsigned host, uint64_t id, uint32_t seed,
                struct lab_message *message);
/* The same, keeping the bpages. */
int lab_take_only(struct lab *lab, unsigned host, unsigned kinds, struct lab_message *message);
void lab_give_back(struct lab *lab, unsigned host, const struct lab_message *message);

/* Asserts that the message lies in the region with the pattern of seed. */
void lab_assert_pattern(struct lab *lab, unsigned host, const struct lab_message *message,
                        uint32_t seed);

/* Lets time pass: until `until`; for `ns`; until nothing is left to do within `limit` (returns
 * whether that came true); until the host has something to take of these kinds. */
void lab_run_until(struct lab *lab, uint64_t until);
void lab_run(struct lab *lab, uint64_t ns);
bool lab_run_quiet(struct lab *lab, uint64_t limit);
bool lab_run_ready(struct lab *lab, unsigned host, unsigned kinds, uint64_t limit);

/* Asserts that no RPC, timer, gap or payload is left on any host. */
void lab_assert_idle(struct lab *lab);

/* ---- single packets ---- */

/* Hands `packet`, sent by host `from`, to `to`. Payload bytes are the pattern of seed. */
void lab_push(struct lab *lab, unsigned to, unsigned from, struct homa_packet *packet,
              uint32_t seed);

/* A DATA packet with the usual fields. */
struct homa_packet lab_data(uint64_t id, uint32_t message_length, uint32_t offset, uint32_t length);

/* Takes up to max packets from the host's engine, decoded. They go nowhere. Returns how many. */
size_t lab_pull(struct lab *lab, unsigned host, struct lab_packet *packets, size_t max);

/* Pulls all there is and returns how many were of this type; the last one lands in *found. */
size_t lab_pull_type(struct lab *lab, unsigned host, enum homa_packet_type type,
                     struct lab_packet *found);

/* Lets time pass for one host, whose timers are judged when they are due, without moving packets.
 */
void lab_tick(struct lab *lab, unsigned host, uint64_t ns);

/* The same, but nobody runs the host until then. */
void lab_jump(struct lab *lab, unsigned host, uint64_t ns);

struct homa_engine *lab_engine(struct lab *lab, unsigned host);
const struct homa_counters *lab_counters(const struct lab *lab, unsigned host);
struct homa_engine_usage lab_usage(const struct lab *lab, unsigned host);

#endif
