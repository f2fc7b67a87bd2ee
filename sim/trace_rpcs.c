/*
 * What has changed in an engine: its RPCs now beside its RPCs at the last look. Both lists are in
 * order of id and peer, so that lines come in one order whatever the engine's table looks like. An
 * engine of which neither counters nor usage have moved, and nothing was seen, is not looked at.
 */
#include "sim/trace_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 32u

/* ---- lists ---- */

static bool add_view(void *context, const struct homa_rpc_view *view)
{
    struct trace_rpcs *rpcs = context;

    if (rpcs->count == rpcs->room) {
        uint32_t room = rpcs->room == 0 ? FIRST_ROOM : 2 * rpcs->room;
        struct homa_rpc_view *views = sim_allocate(room, sizeof(*views));

        if (rpcs->count > 0)
            memcpy(views, rpcs->views, rpcs->count * sizeof(*views));
        free(rpcs->views);
        rpcs->views = views;
        rpcs->room = room;
    }
    rpcs->views[rpcs->count++] = *view;
    return true;
}

static int compare_views(const void *left, const void *right)
{
    const struct homa_rpc_view *a = left;
    const struct homa_rpc_view *b = right;

    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return memcmp(&a->peer, &b->peer, sizeof(a->peer));
}

static void list_rpcs(const struct homa_engine *engine, struct trace_rpcs *rpcs)
{
    rpcs->count = 0;
    if (engine == NULL)
        return;
    homa_engine_view(engine, add_view, rpcs);
    if (rpcs->count > 1)
        qsort(rpcs->views, rpcs->count, sizeof(*rpcs->views), compare_views);
}

/* ---- lines ---- */

static bool has_all(const struct homa_rpc_view *view)
{
    return view->rx_length > 0 && view->rx_remaining == 0;
}

static bool has_sent_all(const struct homa_rpc_view *view)
{
    return view->tx_length > 0 && view->tx_sent == (uint32_t)view->tx_length;
}

static void add_word(struct sim_text *text, const char *word, bool is_wanted, bool *is_any)
{
    if (!is_wanted)
        return;
    sim_text_add(text, "%s%s", *is_any ? "+" : "", word);
    *is_any = true;
}

/* What has happened from one look to the next, in words. Returns whether it is worth a line. */
static bool add_words(struct sim_text *text, const struct homa_rpc_view *before,
                      const struct homa_rpc_view *now)
{
    bool is_any = false;
    static const struct homa_rpc_view nothing = {.tx_length = -1, .rx_length = -1};
    const struct homa_rpc_view *was = before != NULL ? before : &nothing;

    add_word(text, "begun", before == NULL, &is_any);
    add_word(text, "replying", before != NULL && was->tx_length < 0 && now->tx_length > 0, &is_any);
    add_word(text, "granted", was->tx_length > 0 && now->tx_granted > was->tx_granted, &is_any);
    add_word(text, "grants", before != NULL && now->rx_granted > was->rx_granted, &is_any);
    add_word(text, "gaps", now->rx_gaps > was->rx_gaps, &is_any);
    add_word(text, "filled", now->rx_gaps < was->rx_gaps && now->rx_gaps == 0, &is_any);
    add_word(text, "stalled", now->is_stalled && !was->is_stalled, &is_any);
    add_word(text, "resumed", !now->is_stalled && was->is_stalled, &is_any);
    add_word(text, "sent", has_sent_all(now) && !has_sent_all(was), &is_any);
    add_word(text, "complete", has_all(now) && !has_all(was), &is_any);
    add_word(text, "ready", now->is_ready && !was->is_ready, &is_any);
    add_word(text, "taken", !now->is_ready && was->is_ready, &is_any);
    return is_any;
}

static void add_progress(struct sim_text *text, const struct homa_rpc_view *view)
{
    if (view->rx_length > 0)
        sim_text_add(text, "  in %" PRIu32 "/%" PRId32 " granted %" PRIu32,
                     (uint32_t)view->rx_length - view->rx_remaining, view->rx_length,
                     view->rx_granted);
    if (view->rx_gaps > 0)
        sim_text_add(text, " gaps %" PRIu32 " (%" PRIu32 " bytes)", view->rx_gaps,
                     view->rx_gap_bytes);
    if (view->tx_length > 0)
        sim_text_add(text, "  out %" PRIu32 "/%" PRId32 " granted %" PRIu32 " p%u", view->tx_sent,
                     view->tx_length, view->tx_granted, view->tx_priority);
}

static struct sim_text begin_line(char *line, sim_time now, const struct sim_socket *socket,
                                  const struct homa_rpc_view *view)
{
    struct sim_text text = sim_trace_line(line, TRACE_LINE_SIZE, now, "rpc");

    sim_text_add(&text, "%" PRIu32 ":%u %s %" PRIu32 ":%u", sim_host_number(socket->host),
                 socket->port, (view->id & 1) != 0 ? "<-" : "->", sim_address_host(&view->peer),
                 view->peer.port);
    sim_text_pad(&text, TRACE_COLUMN_TYPE);
    return text;
}

static void finish_line(struct sim_trace *trace, const char *line, struct sim_text *text,
                        const struct homa_rpc_view *view)
{
    sim_text_pad(text, TRACE_COLUMN_REST);
    sim_text_add(text, "id %" PRIx64, view->id);
    add_progress(text, view);
    sim_trace_write(trace, line);
}

static void tell_change(struct sim_trace *trace, sim_time now, const struct sim_socket *socket,
                        const struct homa_rpc_view *before, const struct homa_rpc_view *view)
{
    char line[TRACE_LINE_SIZE];
    struct sim_text text = begin_line(line, now, socket, view);

    if (add_words(&text, before, view))
        finish_line(trace, line, &text, view);
}

static void tell_end(struct sim_trace *trace, sim_time now, const struct sim_socket *socket,
                     const struct homa_rpc_view *before)
{
    char line[TRACE_LINE_SIZE];
    struct sim_text text = begin_line(line, now, socket, before);

    sim_text_add(&text, "ended");
    finish_line(trace, line, &text, before);
}

/* ---- comparing ---- */

static void compare_lists(struct sim_trace *trace, sim_time now, const struct sim_socket *socket,
                          const struct trace_rpcs *before, const struct trace_rpcs *after)
{
    uint32_t old = 0;
    uint32_t new = 0;

    while (old < before->count || new < after->count) {
        int order = old == before->count  ? 1
                    : new == after->count ? -1
                                          : compare_views(&before->views[old], &after->views[new]);

        if (order < 0)
            tell_end(trace, now, socket, &before->views[old++]);
        else if (order > 0)
            tell_change(trace, now, socket, NULL, &after->views[new ++]);
        else
            tell_change(trace, now, socket, &before->views[old++], &after->views[new ++]);
    }
}

static void tell_socket(struct sim_trace *trace, sim_time now, const struct sim_socket *socket,
                        const char *what, uint32_t rpcs)
{
    char line[TRACE_LINE_SIZE];
    struct sim_text text = sim_trace_line(line, sizeof(line), now, "socket");

    sim_text_add(&text, "%" PRIu32 ":%u", sim_host_number(socket->host), socket->port);
    sim_text_pad(&text, TRACE_COLUMN_TYPE);
    sim_text_add(&text, "%s", what);
    if (rpcs > 0) {
        sim_text_pad(&text, TRACE_COLUMN_REST);
        sim_text_add(&text, "%" PRIu32 " RPCs forgotten", rpcs);
    }
    sim_trace_write(trace, line);
}

void sim_trace_compare(struct sim_trace *trace, sim_time now, const struct sim_socket *socket,
                       struct trace_socket *before, struct trace_rpcs *spare)
{
    bool is_open = socket->engine != NULL;
    struct trace_rpcs swap;

    if (before->is_open && (!is_open || socket->generation != before->generation)) {
        tell_socket(trace, now, socket, "closed", before->rpcs.count);
        before->rpcs.count = 0;
        before->is_open = false;
    }
    if (is_open && !before->is_open)
        tell_socket(trace, now, socket, "open", 0);
    before->is_open = is_open;
    before->generation = socket->generation;
    if (!is_open)
        return;
    list_rpcs(socket->engine, spare);
    compare_lists(trace, now, socket, &before->rpcs, spare);
    swap = before->rpcs;
    before->rpcs = *spare;
    *spare = swap;
    before->counters = *homa_engine_counters(socket->engine);
    homa_engine_usage(socket->engine, &before->usage);
}
