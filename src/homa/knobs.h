/*
 * The knobs of the protocol (spec section 6) and the table that describes them. Where values come
 * from (file, environment, socket option) is the socket layer's business; here are names, units,
 * ranges, defaults and the reading of one value.
 */
#ifndef HOMA_KNOBS_H
#define HOMA_KNOBS_H

#include "homa/packet.h"

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

/* Bit of homa_knobs.flags: never pace output (HOMA_FLAG_DONT_THROTTLE of the kernel's header). */
#define HOMA_KNOB_FLAG_DONT_THROTTLE 2u

#define HOMA_POLL_AUTO      UINT32_MAX            /* poll_usecs: adaptive */
#define HOMA_CUTOFF_ALL     ((uint32_t)INT32_MAX) /* a cutoff: messages of every length */
#define HOMA_OVERCOMMIT_MAX 64u                   /* no more than this many messages are active */

struct homa_knobs {
    uint32_t unsched_bytes;  /* bytes of a message sent without grants */
    uint32_t window;         /* bytes granted and not received per message; 0 = computed */
    uint32_t max_incoming;   /* bytes granted and not received, all messages */
    uint32_t max_overcommit; /* messages granted at a time, 1 .. HOMA_OVERCOMMIT_MAX */
    uint32_t num_priorities; /* levels in use, 1 .. 8 */
    uint32_t priority_map[HOMA_PRIORITIES]; /* level -> what goes on the wire, 0 .. 7 */
    /* [level]: the longest message whose unscheduled bytes use it; 0 = none does. The spec's "all"
     * is HOMA_CUTOFF_ALL. */
    uint32_t unsched_cutoffs[HOMA_PRIORITIES];
    uint32_t grant_bytes;          /* bytes that are always worth a GRANT packet */
    uint32_t grant_fifo_fraction;  /* thousandths of grants that go to the oldest message */
    uint32_t fifo_grant_increment; /* bytes given to the oldest message at a time */
    uint32_t pacer_fifo_fraction;  /* thousandths of paced packets that go to the oldest message */
    uint32_t age_bytes_per_usec;   /* what waiting is worth to an outgoing message */
    uint32_t link_mbps;            /* Mbit/s; 0 = measured at the edge */
    uint32_t max_nic_est_backlog_usecs; /* µs of output queued below us */
    uint32_t defer_min_bytes;           /* messages shorter than this bypass the pacer */
    uint32_t poll_usecs;                /* ceiling of the spin in µs; HOMA_POLL_AUTO = adaptive */
    uint32_t resend_ticks;              /* ms of silence before the first RESEND */
    uint32_t ask_least_usecs;           /* us a client waits for a sign before it asks */
    uint32_t gap_least_usecs;           /* us from noticing a gap to asking for it */
    uint32_t resend_interval;           /* ms between later RESENDs */
    uint32_t timeout_ticks;             /* ms of silence before an RPC fails */
    uint32_t request_ack_ticks;         /* ms from the response to the first NEED_ACK */
    uint32_t wmem_max;                  /* bytes of queued output per socket */
    uint32_t max_gso_size;              /* bytes of one segmented send */
    uint32_t bpage_lease_usecs;         /* accepted for the module's sake; without effect here */
    uint32_t tombstone_ms;              /* ms for which an ended server RPC is remembered */
    uint32_t flags;                     /* HOMA_KNOB_FLAG_* */
    uint64_t next_id;                   /* seeds the random part of RPC ids; 0 = random */
    uint32_t verbose;                   /* 0 .. 3: what goes to the log */
};

/* One line of the table: how to read, check, print and explain a knob. */
struct homa_knob_info {
    const char *name;
    const char *unit;    /* "bytes", "ms" …; empty when it has none */
    const char *meaning; /* one sentence */
    uint64_t lowest;
    uint64_t highest;
    uint16_t offset;      /* in struct homa_knobs */
    uint8_t width;        /* bytes of one value: 4 or 8 */
    uint8_t count;        /* values in the knob: 1, or 8 for a list */
    bool is_auto_allowed; /* the word "auto" stands for HOMA_POLL_AUTO */
    bool is_cutoffs;      /* takes "level: length" pairs too; "all" stands for HOMA_CUTOFF_ALL */
};

/* Defaults of the spec for the udp carrier. */
void homa_knobs_default(struct homa_knobs *knobs);

/* The table, in the spec's order. *count gets its length. */
const struct homa_knob_info *homa_knob_table(size_t *count);

/* Finds a knob by name, or returns NULL. */
const struct homa_knob_info *homa_knob_find(const char *name);

/*
 * Sets one knob from text: a decimal number without sign, "auto" where allowed, or for a list eight
 * numbers separated by commas or blanks. unsched_cutoffs also takes "7: 200, 6: 2800, 4: all",
 * where levels not named get 0. Blanks around the whole are skipped. Returns 0; -ENOENT (no such
 * knob); -EINVAL (not a number, or not as many as needed); -ERANGE. On error nothing changes.
 */
int homa_knobs_set(struct homa_knobs *knobs, const char *name, const char *text);

/*
 * Checks what no single knob can: cutoffs that do not fall with rising level, or that leave
 * messages of the kernel API's maximum length (1,000,000 bytes) without a level; window above
 * max_incoming; resend_ticks above timeout_ticks. Returns 0 or -EINVAL with *why a sentence.
 */
int homa_knobs_check(const struct homa_knobs *knobs, const char **why);

#endif
