/*
 * The pump: the caller's loop that homa/engine.h asks for. Input is drained before any timer is
 * judged; when there is more of it than one call should work through, the timers wait until the
 * next call, which comes at once because the deadline says so.
 *
 * Nothing here sleeps, and every loop has a limit.
 */
#include "socket/pump.h"

#include "socket/buffer.h"
#include "socket/clock.h"
#include "socket/process.h"
#include "socket/progress.h"
#include "socket/socket.h"

#include <assert.h>

#define INPUT_TURNS_MAX  32u /* of WIRE_BATCH datagrams */
#define OUTPUT_TURNS_MAX 64u /* of OUTPUT_BATCH packets */
#define OUTPUT_BATCH     64u
#define ERRORS_BATCH     16u
#define GRANTS_BATCH     32u

/* Takes in what has come. Returns the number of datagrams; *is_drained: there is no more. */
static unsigned take_input(struct socket *socket, uint64_t now, bool *is_drained)
{
    struct base_arrival arrivals[WIRE_BATCH];
    unsigned taken = 0;

    *is_drained = false;
    for (unsigned turn = 0; turn < INPUT_TURNS_MAX && !*is_drained; turn++) {
        unsigned count = (unsigned)wire_receive(socket->wire, now, arrivals, WIRE_BATCH);

        for (unsigned i = 0; i < count; i++)
            homa_engine_input(socket->engine, now, &arrivals[i]);
        taken += count;
        /* Only 0 says so; at the same `now` the wire need not ask the kernel for it again. */
        *is_drained = count == 0;
    }
    atomic_store_explicit(&socket->progress.last_input, now, memory_order_relaxed);
    return taken;
}

/* Returns whether there were any. */
static bool take_errors(struct socket *socket, uint64_t now)
{
    struct base_network_error errors[ERRORS_BATCH];
    int count = wire_errors(socket->wire, errors, ERRORS_BATCH);

    for (int i = 0; i < count; i++)
        homa_engine_network_error(socket->engine, now, &errors[i]);
    return count > 0;
}

/*
 * The host's scheduler. Grants for messages of other sockets go out through their wires here, under
 * the scheduler's lock: it keeps those sockets from closing or changing their wire.
 */
static void schedule(struct socket *socket, uint64_t now)
{
    struct homa_grant grants[GRANTS_BATCH];
    size_t count = 0;

    (void)pthread_mutex_lock(process_sched_lock());
    do {
        count = homa_engine_schedule(socket->engine, now, grants, GRANTS_BATCH);
        for (size_t i = 0; i < count; i++) {
            struct socket *owner = grants[i].owner->cookie;
            struct base_packet packet;

            homa_engine_encode_grant(&grants[i], wire_port(owner->wire), HOMA_FORMAT_UDP,
                                     &owner->grant_knobs, &packet);
            (void)wire_inject(owner->wire, &packet);
        }
    } while (count == GRANTS_BATCH);
    (void)pthread_mutex_unlock(process_sched_lock());
}

/* Returns whether that was all for now. */
static bool send_output(struct socket *socket, uint64_t now)
{
    struct base_packet packets[OUTPUT_BATCH];
    struct base_backlog backlog = {0};

    socket->is_output_blocked = false;
    for (unsigned turn = 0; turn < OUTPUT_TURNS_MAX; turn++) {
        size_t count = 0;
        size_t sent = 0;

        /* Short messages are not paced, and looking below costs a system call. */
        if (socket->long_buffers > 0)
            wire_backlog(socket->wire, now, &backlog);
        count = homa_engine_output(socket->engine, now, &backlog, packets, OUTPUT_BATCH);
        if (count == 0)
            return true;
        sent = (size_t)wire_send(socket->wire, now, packets, count);
        if (sent < count) {
            homa_engine_unsend(socket->engine, packets, sent, count);
            socket->is_output_blocked = true;
            return true;
        }
    }
    return false;
}

static void free_released(struct socket *socket)
{
    struct mem_payload_list list = SLIST_HEAD_INITIALIZER(list);
    struct mem_payload *payload = NULL;

    homa_engine_released(socket->engine, &list);
    while ((payload = SLIST_FIRST(&list)) != NULL) {
        SLIST_REMOVE_HEAD(&list, released);
        buffer_released(socket, payload);
    }
}

/* The deadline is the wire's, when that is earlier: one that delays packets has some. */
static void heed_wire(struct socket *socket)
{
    uint64_t due = wire_deadline(socket->wire);

    if (due < socket->deadline)
        socket->deadline = due;
}

void pump_output(struct socket *socket, uint64_t now)
{
    bool is_all = false;

    if (homa_engine_wants_schedule(socket->engine))
        schedule(socket, now);
    is_all = send_output(socket, now);
    /* What the wire could not send at all has become news for the engine. */
    if (take_errors(socket, now))
        is_all = send_output(socket, now);
    free_released(socket);
    socket->deadline = is_all ? homa_engine_deadline(socket->engine) : now;
    heed_wire(socket);
    /* Otherwise whoever is inside, or the progress thread's next look, learns of it. */
    if (socket->progress.attention == ATTENTION_ARMED)
        progress_deadline_changed(socket);
}

void pump_settle(struct socket *socket, const struct waiter *self)
{
    wait_settle(socket, self);
    ready_update(socket);
}

bool pump(struct socket *socket, uint64_t now)
{
    bool is_drained = false;
    unsigned taken = 0;

    assert(!socket->is_closed);
    taken = take_input(socket, now, &is_drained);
    /* Nothing has happened and nothing is due: the usual case for one who spins. */
    if (!take_errors(socket, now) && taken == 0 && !socket->is_output_blocked &&
        now < socket->deadline) {
        heed_wire(socket);
        return false;
    }
    if (is_drained)
        homa_engine_advance(socket->engine, now);
    pump_output(socket, now);
    if (!is_drained)
        socket->deadline = now;
    socket->has_input = taken > 0;
    return true;
}
