/*
 * The queue below a socket as the socket's owner sees it (backlog.h). The measurement is that of
 * src/wire/udp_backlog.c, with its constants: a window counts when no look in it has found the
 * queue empty, and an old rate is forgotten.
 */
#include "sim/backlog.h"

#include "sim/world.h"

#include <stdlib.h>

#define ROOM_FIRST 256u
/* The kernel's buffers come in few sizes. */
#define SHORT_BYTES  500u
#define SHORT_CHARGE 1280u
#define LONG_CHARGE  2304u

#define WINDOW_MIN SIM_MS
#define WINDOW_MAX (100 * SIM_MS)
#define RATE_KEPT  SIM_S

static void grow(struct sim_backlog *backlog)
{
    uint32_t room = backlog->room == 0 ? ROOM_FIRST : 2 * backlog->room;
    struct sim_backlog_entry *entries = sim_allocate(room, sizeof(*entries));

    for (uint32_t i = 0; i < backlog->count; i++)
        entries[i] = backlog->entries[(backlog->first + i) % backlog->room];
    free(backlog->entries);
    backlog->entries = entries;
    backlog->room = room;
    backlog->first = 0;
}

void sim_backlog_add(struct sim_backlog *backlog, uint32_t bytes, sim_time leaves_at)
{
    uint32_t charge = bytes <= SHORT_BYTES ? SHORT_CHARGE : LONG_CHARGE;

    if (backlog->count == backlog->room)
        grow(backlog);
    backlog->entries[(backlog->first + backlog->count++) % backlog->room] =
        (struct sim_backlog_entry){.leaves_at = leaves_at, .charge = charge};
    backlog->queued += charge;
    backlog->sent += bytes;
}

static void drop_gone(struct sim_backlog *backlog, sim_time now)
{
    while (backlog->count > 0 && backlog->entries[backlog->first].leaves_at <= now) {
        backlog->queued -= backlog->entries[backlog->first].charge;
        backlog->first = (backlog->first + 1) % backlog->room;
        backlog->count--;
    }
}

static void window_begin(struct sim_backlog *backlog, sim_time now)
{
    backlog->is_open = true;
    backlog->began_at = now;
    backlog->began_queued = backlog->queued;
    backlog->began_sent = backlog->sent;
}

static void window_end(struct sim_backlog *backlog, sim_time now)
{
    uint64_t entered = backlog->began_queued + (backlog->sent - backlog->began_sent);
    uint64_t left = entered > backlog->queued ? entered - backlog->queued : 0;
    uint64_t rate = (uint64_t)((unsigned __int128)left * SIM_S / (now - backlog->began_at));

    if (left == 0)
        return;
    if (backlog->bytes_per_second != 0)
        rate = backlog->bytes_per_second - backlog->bytes_per_second / 4 + rate / 4;
    backlog->bytes_per_second = rate;
    backlog->measured_at = now;
}

struct base_backlog sim_backlog_look(struct sim_backlog *backlog, sim_time now)
{
    drop_gone(backlog, now);
    if (backlog->queued == 0) {
        backlog->is_open = false;
    } else if (!backlog->is_open || now - backlog->began_at > WINDOW_MAX) {
        window_begin(backlog, now);
    } else if (now - backlog->began_at >= WINDOW_MIN) {
        window_end(backlog, now);
        window_begin(backlog, now);
    }
    if (backlog->bytes_per_second != 0 && now - backlog->measured_at > RATE_KEPT)
        backlog->bytes_per_second = 0;
    return (struct base_backlog){.bytes = backlog->queued,
                                 .bytes_per_second = backlog->bytes_per_second};
}

void sim_backlog_clear(struct sim_backlog *backlog)
{
    free(backlog->entries);
    *backlog = (struct sim_backlog){0};
}
