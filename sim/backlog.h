/*
 * What a program sees of the queue below its UDP socket: the bytes of that socket alone, and no
 * rate but the one that it measures by looking (src/wire/udp_backlog.c). For hosts whose pacer is
 * to know no more than a real one.
 */
#ifndef SIM_BACKLOG_H
#define SIM_BACKLOG_H

#include "base/packet.h"
#include "sim/clock.h"

#include <stdint.h>
#include <stdbool.h>

struct sim_backlog_entry {
    sim_time leaves_at;
    uint32_t charge; /* bytes */
};

/* All zero: nothing has been sent. */
struct sim_backlog {
    struct sim_backlog_entry *entries; /* a ring */
    uint32_t first;
    uint32_t count;
    uint32_t room;
    uint64_t queued; /* bytes, as charged */
    uint64_t sent;   /* bytes of datagrams so far */

    /* The measurement. */
    bool is_open;
    sim_time began_at;
    uint64_t began_queued;
    uint64_t began_sent;
    uint64_t bytes_per_second;
    sim_time measured_at;
};

/* A datagram of so many bytes has been handed over and leaves then, not before those before it. */
void sim_backlog_add(struct sim_backlog *backlog, uint32_t bytes, sim_time leaves_at);
/* Looks, and measures by the way. */
struct base_backlog sim_backlog_look(struct sim_backlog *backlog, sim_time now);
/* Forgets everything. */
void sim_backlog_clear(struct sim_backlog *backlog);

#endif
