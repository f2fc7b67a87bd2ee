/*
 * What the judge makes of each run of a host's scheduler, from what it knew before and after:
 *
 *  - what is granted stays within max_incoming, and within what the socket's wire holds, whenever
 *    something has been granted (what senders claim beyond that is the scheduler's business);
 *  - no message has more outstanding than its window;
 *  - what has come is what the engines have, not more;
 *  - shortest remaining first: nobody is granted bytes while a shorter message of somebody else
 *    (the first of his), for the same socket, waits with nothing outstanding and gets none. The
 * oldest message is excepted, whose share that may be;
 *  - one message per sender, and no more of them than max_overcommit: but for the oldest, and for
 *    messages that were granted to their end and made room for the next.
 *
 * Most of it is looked at only when somebody has been granted something.
 */
#include "sim/judge_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for one more. */
static void *grow(void *list, uint32_t count, uint32_t *capacity, size_t size)
{
    void *grown;

    if (count < *capacity)
        return list;
    *capacity = 2 * *capacity + 32;
    grown = realloc(list, *capacity * size);
    if (grown == NULL)
        sim_out_of_memory();
    return grown;
}

static void remember(void *context, const struct homa_sched_view *view)
{
    struct judged_messages *messages = context;

    messages->list =
        grow(messages->list, messages->count, &messages->capacity, sizeof(messages->list[0]));
    messages->list[messages->count++] = (struct judged_message){.view = *view};
}

/* ---- before ---- */

struct engine_walk {
    struct judged_messages *messages;
    const struct sim_socket *socket;
};

/* A message that the scheduler may be told of in this run, for the first time, or that its sender
 * claims more than it was granted. */
static bool remember_new(void *context, const struct homa_rpc_view *view)
{
    struct engine_walk *walk = context;
    struct homa_sched_view seen = {.id = view->id, .peer = view->peer};

    if (view->rx_length <= 0)
        return true;
    seen.length = (uint32_t)view->rx_length;
    seen.granted = view->rx_granted;
    remember(walk->messages, &seen);
    return true;
}

/* The most that was known to be granted before the run; UINT32_MAX: not known. */
static uint32_t granted_before(const struct judged_messages *before,
                               const struct homa_sched_view *view)
{
    uint32_t granted = 0;
    bool is_known = false;

    for (uint32_t i = 0; i < before->count; i++) {
        const struct homa_sched_view *old = &before->list[i].view;

        if (old->id != view->id || !base_address_same_remote(&old->peer, &view->peer) ||
            old->length != view->length)
            continue;
        is_known = true;
        if (old->granted > granted)
            granted = old->granted;
    }
    return is_known ? granted : UINT32_MAX;
}

/* ---- after ---- */

static bool has_needs(const struct homa_sched_view *view)
{
    return view->granted < view->length;
}

static bool is_same_sender(const struct homa_sched_view *a, const struct homa_sched_view *b)
{
    return base_ip_equal(&a->peer.remote, &b->peer.remote);
}

static bool is_shorter(const struct homa_sched_view *a, const struct homa_sched_view *b)
{
    uint32_t a_left = a->length - a->received;
    uint32_t b_left = b->length - b->received;

    return a_left < b_left || (a_left == b_left && a->order < b->order);
}

/* Whether the message may have been granted something for its age: no older one waits. */
static bool may_be_oldest(const struct judged_messages *after, const struct judged_message *message)
{
    for (uint32_t i = 0; i < after->count; i++) {
        const struct judged_message *other = &after->list[i];

        if (other->view.order < message->view.order && !other->view.is_stalled &&
            has_needs(&other->view))
            return false;
    }
    return true;
}

/* Whether it is the one that counts of its sender's. */
static bool is_first_of_sender(const struct judged_messages *after,
                               const struct judged_message *message)
{
    for (uint32_t i = 0; i < after->count; i++) {
        const struct judged_message *other = &after->list[i];

        if (has_needs(&other->view) && is_same_sender(&other->view, &message->view) &&
            is_shorter(&other->view, &message->view))
            return false;
    }
    return true;
}

static void object(struct sim_judge *judge, const struct sim_host *host,
                   const struct homa_sched_view *view, const char *what, uint64_t is, uint64_t most)
{
    sim_judge_object(judge, sim_host_number(host), view->id, "%s: %" PRIu64 ", may be %" PRIu64,
                     what, is, most);
}

static void judge_room(struct sim_judge *judge, const struct sim_host *host,
                       const struct homa_sched_view *view)
{
    const struct homa_knobs *knobs = &sim_host_options(host)->knobs;
    uint64_t outstanding = homa_sched_outstanding(sim_host_sched(host));
    uint32_t window = knobs->window > 0 ? knobs->window : knobs->max_incoming / 2;

    if (outstanding > knobs->max_incoming)
        object(judge, host, view, "too much is granted on the host", outstanding,
               knobs->max_incoming);
    if (view->owner->outstanding > view->owner->limit_bytes)
        object(judge, host, view, "too much is granted for the socket", view->owner->outstanding,
               view->owner->limit_bytes);
    if (view->granted - view->received > (window > 0 ? window : 1))
        object(judge, host, view, "more is outstanding than the window",
               view->granted - view->received, window);
}

static void judge_order(struct sim_judge *judge, const struct sim_host *host,
                        const struct judged_messages *after, const struct judged_message *granted)
{
    for (uint32_t i = 0; i < after->count; i++) {
        const struct judged_message *waiting = &after->list[i];

        if (waiting->has_got || waiting->view.owner != granted->view.owner ||
            !has_needs(&waiting->view) || waiting->view.is_stalled || waiting->view.owed > 0 ||
            is_same_sender(&waiting->view, &granted->view) ||
            !is_shorter(&waiting->view, &granted->view) || !is_first_of_sender(after, waiting))
            continue;
        sim_judge_object(judge, sim_host_number(host), granted->view.id,
                         "a message with %" PRIu32 " bytes left was granted some while one of "
                         "%" PRIu32 " (RPC %" PRIx64 ") waits for nothing but a grant",
                         granted->view.length - granted->view.received,
                         waiting->view.length - waiting->view.received, waiting->view.id);
    }
}

static void judge_places(struct sim_judge *judge, const struct sim_host *host,
                         const struct judged_messages *after)
{
    const struct homa_knobs *knobs = &sim_host_options(host)->knobs;
    uint32_t places = 0;

    for (uint32_t i = 0; i < after->count; i++) {
        const struct judged_message *one = &after->list[i];

        if (!one->has_got || one->may_be_oldest || !has_needs(&one->view))
            continue;
        places++;
        for (uint32_t j = 0; j < i; j++) {
            const struct judged_message *other = &after->list[j];

            if (other->has_got && !other->may_be_oldest && has_needs(&other->view) &&
                is_same_sender(&one->view, &other->view))
                sim_judge_object(judge, sim_host_number(host), one->view.id,
                                 "two messages of one sender were granted bytes at a time");
        }
    }
    if (places > knobs->max_overcommit)
        sim_judge_object(judge, sim_host_number(host), 0,
                         "%" PRIu32 " messages were granted bytes at a time, of %" PRIu32, places,
                         knobs->max_overcommit);
}

struct report_walk {
    struct sim_judge *judge;
    const struct sim_socket *socket;
};

/* The scheduler knows no better than the engine what has come and what is granted. */
static bool judge_report(void *context, const struct homa_rpc_view *view)
{
    struct report_walk *walk = context;
    const struct judged_messages *after = &walk->judge->after;

    for (uint32_t i = 0; i < after->count; i++) {
        const struct homa_sched_view *known = &after->list[i].view;
        const struct sim_socket *owner = known->owner->cookie;

        if (known->id != view->id || owner != walk->socket ||
            !base_address_same_remote(&known->peer, &view->peer))
            continue;
        if (known->length != (uint32_t)view->rx_length ||
            known->received > known->length - view->rx_remaining || known->granted > known->length)
            sim_judge_object(walk->judge, sim_host_number(owner->host), view->id,
                             "the scheduler takes %" PRIu32 " of %" PRIu32
                             " bytes for received, where %" PRIu32 " of %" PRId32 " are missing",
                             known->received, known->length, view->rx_remaining, view->rx_length);
    }
    return true;
}

static void judge_reports(struct sim_judge *judge, struct sim_host *host)
{
    struct report_walk walk = {.judge = judge};

    for (uint32_t i = 0; i < sim_host_options(host)->sockets; i++) {
        walk.socket = sim_host_socket(host, i);
        /* One that has yet to report may have given up what it had received. */
        if (walk.socket->engine != NULL && !homa_engine_wants_schedule(walk.socket->engine))
            homa_engine_view(walk.socket->engine, judge_report, &walk);
    }
}

static void judge_run(struct sim_judge *judge, const struct sim_host *host)
{
    struct judged_messages *after = &judge->after;
    bool is_any = false;

    for (uint32_t i = 0; i < after->count; i++) {
        struct judged_message *message = &after->list[i];

        message->has_got = message->view.granted > granted_before(&judge->before, &message->view);
        is_any |= message->has_got;
    }
    if (!is_any)
        return;
    judge->grants_judged++;
    for (uint32_t i = 0; i < after->count; i++) {
        struct judged_message *message = &after->list[i];

        if (!message->has_got)
            continue;
        message->may_be_oldest = may_be_oldest(after, message);
        judge_room(judge, host, &message->view);
        if (!message->may_be_oldest)
            judge_order(judge, host, after, message);
    }
    judge_places(judge, host, after);
}

void sim_judge_see_schedule(struct sim_judge *judge, struct sim_host *host, bool is_over)
{
    struct engine_walk walk = {.messages = &judge->before};

    if (is_over) {
        judge->after.count = 0;
        homa_sched_view(sim_host_sched(host), remember, &judge->after);
        judge_run(judge, host);
        judge_reports(judge, host);
        return;
    }
    judge->before.count = 0;
    homa_sched_view(sim_host_sched(host), remember, &judge->before);
    for (uint32_t i = 0; i < sim_host_options(host)->sockets; i++) {
        walk.socket = sim_host_socket(host, i);
        if (walk.socket->engine != NULL)
            homa_engine_view(walk.socket->engine, remember_new, &walk);
    }
}

uint64_t sim_judge_grants(const struct sim_judge *judge)
{
    return judge->grants_judged;
}
