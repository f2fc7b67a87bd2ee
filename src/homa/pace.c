/*
 * The pacer: keeps the queue below us short, so that a short message never waits behind what a long
 * one has put there (spec section 4, Sender). How full that queue is comes from the edge, or, with
 * a fixed link_mbps, from what we have sent and how fast such a link drains it.
 *
 * Only messages of defer_min_bytes and more are held back; what the others send is counted. Knowing
 * no rate, the pacer holds nothing back. Called by output.c; its times are the caller's.
 */
#include "homa/internal.h"

#include <assert.h>

#define NS_PER_S 1000000000u
/* One segmented send takes this long on the link: 64 KB at 25 Gbit/s, 2.5 KB at 1 Gbit/s. */
#define GSO_UNIT_NS (20 * HOMA_US)
/* What UDP, IPv4 and Ethernet add to each packet. */
#define PACKET_OVERHEAD 46u
/* Never sleep for less, and look again after so long, whatever was computed. */
#define WAIT_MIN HOMA_US
#define WAIT_MAX (100 * HOMA_MS)
/* Rates above this count as this (1 Tbit/s); it keeps the products below 64 bits. */
#define RATE_MAX 125000000000u

static uint64_t bytes_in(uint64_t rate, uint64_t ns)
{
    return (uint64_t)((unsigned __int128)rate * ns / NS_PER_S);
}

static uint64_t time_for(uint64_t rate, uint64_t bytes)
{
    return (uint64_t)((unsigned __int128)bytes * NS_PER_S / rate);
}

static bool is_fixed(const struct homa_engine *engine)
{
    return engine->knobs.link_mbps != 0;
}

/* Bytes that wait below us now, on a link of fixed rate. */
static uint64_t queued_on_link(const struct homa_engine *engine)
{
    const struct homa_pacer *pacer = &engine->pacer;

    if (pacer->link_idle_at <= engine->now)
        return 0;
    return bytes_in(pacer->rate, pacer->link_idle_at - engine->now);
}

void homa_pace_begin(struct homa_engine *engine, const struct base_backlog *backlog)
{
    struct homa_pacer *pacer = &engine->pacer;
    uint64_t queued = 0;
    uint64_t unit;

    pacer->wake_at = HOMA_NEVER;
    pacer->rate = 0;
    if ((engine->knobs.flags & HOMA_KNOB_FLAG_DONT_THROTTLE) != 0)
        return;
    if (is_fixed(engine)) {
        pacer->rate = homa_min_u64((uint64_t)engine->knobs.link_mbps * 125000, RATE_MAX);
        queued = queued_on_link(engine);
    } else if (backlog != NULL && backlog->bytes_per_second != 0) {
        pacer->rate = homa_min_u64(backlog->bytes_per_second, RATE_MAX);
        queued = homa_min_u64(backlog->bytes, INT64_MAX / 2);
    }
    if (pacer->rate == 0)
        return;
    unit = homa_min_u64(bytes_in(pacer->rate, GSO_UNIT_NS), engine->knobs.max_gso_size);
    pacer->limit =
        bytes_in(pacer->rate, (uint64_t)engine->knobs.max_nic_est_backlog_usecs * HOMA_US);
    pacer->limit = homa_max_u64(homa_max_u64(pacer->limit, unit), 1);
    pacer->budget = (int64_t)pacer->limit - (int64_t)queued;
}

bool homa_pace_allows(struct homa_engine *engine)
{
    struct homa_pacer *pacer = &engine->pacer;

    if (pacer->rate == 0 || pacer->budget > 0)
        return true;
    /* On again when half of what may queue has left. */
    uint64_t excess = (uint64_t)-pacer->budget + (pacer->limit + 1) / 2;

    uint64_t wait = homa_min_u64(time_for(pacer->rate, excess), WAIT_MAX);

    pacer->wake_at = engine->now + homa_max_u64(wait, WAIT_MIN);
    return false;
}

bool homa_pace_is_turn_of_oldest(const struct homa_engine *engine)
{
    return engine->pacer.fifo_credit + engine->knobs.pacer_fifo_fraction >= 1000;
}

void homa_pace_spend(struct homa_engine *engine, const struct base_packet *packet, bool is_paced)
{
    struct homa_pacer *pacer = &engine->pacer;
    uint64_t bytes = base_packet_length(packet) + PACKET_OVERHEAD;

    if (is_paced) {
        pacer->fifo_credit += engine->knobs.pacer_fifo_fraction;
        if (pacer->fifo_credit >= 1000)
            pacer->fifo_credit -= 1000;
    }
    if (pacer->rate == 0)
        return;
    pacer->budget -= (int64_t)bytes;
    if (is_fixed(engine))
        pacer->link_idle_at =
            homa_max_u64(pacer->link_idle_at, engine->now) + time_for(pacer->rate, bytes);
}

void homa_pace_refund(struct homa_engine *engine, const struct base_packet *packet)
{
    struct homa_pacer *pacer = &engine->pacer;
    uint64_t bytes = base_packet_length(packet) + PACKET_OVERHEAD;

    if (pacer->rate != 0 && is_fixed(engine))
        pacer->link_idle_at -= homa_min_u64(time_for(pacer->rate, bytes), pacer->link_idle_at);
}
