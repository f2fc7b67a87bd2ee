/*
 * What waits below the socket, for the core's pacer: SIOCOUTQ counts the bytes of this socket that
 * are still in the queueing discipline and the device (with the kernel's overhead per packet). On
 * loopback a packet leaves that count as it reaches the receiver, so that it is 0 there.
 *
 * How fast it drains is measured over windows of at least a millisecond at whose samples the queue
 * was never found empty: what was queued, plus what was sent, less what is queued now, has left.
 * An empty queue says nothing about the link, and an old rate is forgotten.
 */
#include "wire/udp_internal.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#define WINDOW_MIN_NS 1000000u
#define WINDOW_MAX_NS 100000000u  /* nobody looked for so long: the queue may have been empty */
#define RATE_KEPT_NS  1000000000u /* without a new measurement */

#define NS_PER_SECOND 1000000000u

static void window_begin(struct wire_udp *wire, uint64_t now, uint64_t queued)
{
    wire->drain.is_open = true;
    wire->drain.began_at = now;
    wire->drain.queued = queued;
    wire->drain.sent = wire->sent_bytes;
}

/* The moving average takes a quarter of each new sample. */
static void window_end(struct wire_udp *wire, uint64_t now, uint64_t queued)
{
    struct udp_drain *drain = &wire->drain;
    uint64_t entered = drain->queued + (wire->sent_bytes - drain->sent);
    uint64_t left = entered > queued ? entered - queued : 0;
    uint64_t rate = (uint64_t)((unsigned __int128)left * NS_PER_SECOND / (now - drain->began_at));

    if (left == 0)
        return;
    if (drain->bytes_per_second != 0)
        rate = drain->bytes_per_second - drain->bytes_per_second / 4 + rate / 4;
    drain->bytes_per_second = rate;
    drain->measured_at = now;
}

void udp_backlog(struct wire *base, uint64_t now, struct base_backlog *backlog)
{
    struct wire_udp *wire = udp_of(base);
    struct udp_drain *drain = &wire->drain;
    int waiting = 0;

    *backlog = (struct base_backlog){0};
    if (ioctl(wire->descriptor, SIOCOUTQ, &waiting) != 0 || waiting < 0)
        return;
    backlog->bytes = (uint64_t)waiting;

    if (waiting == 0) {
        drain->is_open = false;
    } else if (!drain->is_open || now - drain->began_at > WINDOW_MAX_NS) {
        window_begin(wire, now, backlog->bytes);
    } else if (now - drain->began_at >= WINDOW_MIN_NS) {
        window_end(wire, now, backlog->bytes);
        window_begin(wire, now, backlog->bytes);
    }
    if (drain->bytes_per_second != 0 && now - drain->measured_at > RATE_KEPT_NS)
        drain->bytes_per_second = 0;
    backlog->bytes_per_second = drain->bytes_per_second;
}
