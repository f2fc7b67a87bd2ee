/*
 * What the judge reads in packets, between honest hosts:
 *
 *  - no sender sends what was not granted: no byte beyond the unscheduled ones and the highest
 *    offset that a GRANT or a RESEND has told it; nor does it say in `incoming` that it will;
 *  - every byte of DATA is right when it leaves, and of a message of the right length;
 *  - DATA is of a call, and from the end that has something to send: a response is not sent before
 *    the server has given it;
 *  - unscheduled bytes go at a level that the receiver's cutoffs or the sender's own allow, control
 *    packets at the highest, grants name a level for scheduled bytes.
 *
 * And when a client was last told something, for its patience (judge_host.c).
 */
#include "homa/packet.h"
#include "sim/judge_internal.h"

#include <inttypes.h>

/* One packet of a datagram, and the call that it is about. */
struct view {
    struct sim_judge *judge;
    const struct sim_packet *datagram;
    struct homa_packet packet;
    struct sim_call *call; /* NULL: of none that we know, or of one with somebody else */
    bool is_from_client;
};

static const char *name_of(const struct view *view)
{
    return homa_packet_type_name(view->packet.type);
}

/* The call of a packet, if these two sockets are its ends. */
static void find_call(struct view *view)
{
    const struct sim_scenario *scenario = view->judge->scenario;
    const struct sim_packet *datagram = view->datagram;
    uint64_t id = view->packet.id & ~UINT64_C(1);
    uint32_t client;
    uint32_t server;
    uint16_t client_port;
    uint16_t server_port;

    view->is_from_client = view->packet.id == id;
    client = view->is_from_client ? datagram->from : datagram->to;
    server = view->is_from_client ? datagram->to : datagram->from;
    client_port = view->is_from_client ? datagram->source_port : datagram->destination_port;
    server_port = view->is_from_client ? datagram->destination_port : datagram->source_port;
    view->call = client < scenario->host_count ? sim_judge_find(view->judge, client, id) : NULL;
    if (view->call == NULL)
        return;
    const struct sim_call_plan *plan = &view->call->plan;

    if (plan->host != server || scenario->hosts[server].ports[plan->socket] != server_port ||
        scenario->hosts[client].ports[view->call->client_socket] != client_port)
        view->call = NULL;
}

static void stay_alive(struct sim_call *call, sim_time now)
{
    if (call->alive_at < now)
        call->alive_at = now;
}

/* ---- packets that leave ---- */

static uint8_t wire_level(const struct homa_knobs *knobs, uint32_t level)
{
    uint32_t highest = knobs->num_priorities - 1;

    return (uint8_t)knobs->priority_map[level < highest ? level : highest];
}

static uint8_t unscheduled_level(const struct homa_knobs *sender, const struct homa_knobs *cutoffs,
                                 uint32_t length)
{
    uint32_t level = sender->num_priorities - 1;

    while (level > 0 && length > cutoffs->unsched_cutoffs[level])
        level--;
    return wire_level(sender, level);
}

static void judge_priority(struct view *view)
{
    const struct sim_packet *datagram = view->datagram;
    const struct sim_host_options *hosts = view->judge->scenario->hosts;
    const struct homa_knobs *sender = &hosts[datagram->from].knobs;
    const struct homa_knobs *receiver = &hosts[datagram->to].knobs;
    uint32_t length = view->packet.data.message_length;
    uint8_t priority = datagram->priority;

    if (view->packet.type != HOMA_DATA) {
        if (priority != wire_level(sender, HOMA_PRIORITIES - 1))
            sim_judge_object(view->judge, datagram->from, view->packet.id,
                             "a %s left at priority %u", name_of(view), priority);
        return;
    }
    if (view->packet.data.retransmit || view->packet.data.offset >= sender->unsched_bytes)
        return;
    if (priority != unscheduled_level(sender, sender, length) &&
        priority != unscheduled_level(sender, receiver, length))
        sim_judge_object(view->judge, datagram->from, view->packet.id,
                         "unscheduled bytes of a message of %" PRIu32 " left at priority %u",
                         length, priority);
}

static void judge_limit(struct view *view, uint64_t end)
{
    uint32_t limit = view->call->limits[view->is_from_client ? 0 : 1];

    if (end > limit)
        sim_judge_object_call(view->judge, view->call,
                              "host %u sent bytes up to %" PRIu64 " and was told up to %" PRIu32,
                              view->datagram->from, end, limit);
    else if (view->packet.data.incoming > limit)
        sim_judge_object_call(view->judge, view->call,
                              "host %u says it may send up to %" PRIu32
                              " and was told up to %" PRIu32,
                              view->datagram->from, view->packet.data.incoming, limit);
}

static void judge_sent_data(struct view *view)
{
    const struct homa_packet *packet = &view->packet;
    struct sim_call *call = view->call;
    bool is_response = !view->is_from_client;
    uint32_t length = is_response ? call->plan.response_length : call->plan.request_length;
    uint32_t end = packet->data.offset + packet->data.payload_length;

    if (packet->data.message_length != length || end > length) {
        sim_judge_object_call(view->judge, call,
                              "bytes %" PRIu32 " to %" PRIu32 " of %" PRIu32
                              " left for a message of %" PRIu32,
                              packet->data.offset, end, packet->data.message_length, length);
        return;
    }
    if (is_response && !call->is_answered)
        sim_judge_object_call(view->judge, call, "a response left before the server gave it");
    if (sim_bytes_compare(call->serial, is_response, packet->data.offset, packet->data.payload,
                          packet->data.payload_length) < packet->data.payload_length)
        sim_judge_object_call(view->judge, call, "wrong bytes left in DATA from %" PRIu32 " on",
                              packet->data.offset);
    judge_limit(view, end);
    if (view->is_from_client && !packet->data.retransmit)
        stay_alive(call, sim_world_now(view->judge->world));
}

/* The levels that this receiver uses for scheduled bytes. */
static uint32_t scheduled_levels(const struct homa_knobs *knobs)
{
    uint32_t lowest = 0;

    while (lowest < knobs->num_priorities - 1 && knobs->unsched_cutoffs[lowest] == 0)
        lowest++;
    return lowest > 0 ? lowest : 1;
}

static void judge_sent_grant(struct view *view)
{
    const struct homa_packet *packet = &view->packet;
    const struct sim_call *call = view->call;
    const struct homa_knobs *knobs = &view->judge->scenario->hosts[view->datagram->from].knobs;
    /* A server grants requests, a client responses. */
    uint32_t length = view->is_from_client ? call->plan.response_length : call->plan.request_length;

    if (packet->grant.offset > length)
        sim_judge_object_call(view->judge, call,
                              "%" PRIu32 " bytes were granted to a message of %" PRIu32,
                              packet->grant.offset, length);
    if (packet->grant.priority >= scheduled_levels(knobs))
        sim_judge_object_call(view->judge, call,
                              "a GRANT names level %u, which is none of %" PRIu32
                              " for scheduled bytes",
                              packet->grant.priority, scheduled_levels(knobs));
}

static void judge_sent(struct view *view)
{
    const struct sim_packet *datagram = view->datagram;

    if (datagram->from == view->judge->scenario->hostile)
        return;
    if (sim_judge_is_tainted(view->judge, datagram->from, datagram->to))
        return;
    judge_priority(view);
    if (view->call == NULL) {
        if (view->packet.type == HOMA_DATA || view->packet.type == HOMA_GRANT)
            sim_judge_object(view->judge, datagram->from, view->packet.id,
                             "a %s left about an RPC that is none", name_of(view));
        return;
    }
    if (view->packet.type == HOMA_DATA)
        judge_sent_data(view);
    else if (view->packet.type == HOMA_GRANT)
        judge_sent_grant(view);
}

/* ---- packets that have come ---- */

static void raise(uint32_t *limit, uint64_t to)
{
    if (to > *limit)
        *limit = to < UINT32_MAX ? (uint32_t)to : UINT32_MAX;
}

static void note_delivered(struct view *view)
{
    const struct homa_packet *packet = &view->packet;
    struct sim_call *call = view->call;
    sim_time now = sim_world_now(view->judge->world);
    /* What the server says is about the request, if it allows something. */
    uint32_t *limit = call != NULL ? &call->limits[view->is_from_client ? 1 : 0] : NULL;

    if (call == NULL)
        return;
    if (packet->type == HOMA_GRANT)
        raise(limit, packet->grant.offset);
    else if (packet->type == HOMA_RESEND && packet->resend.length != HOMA_RESEND_ALL)
        raise(limit, (uint64_t)packet->resend.offset + packet->resend.length);
    if (view->is_from_client)
        return;
    if (packet->type == HOMA_DATA || packet->type == HOMA_BUSY) {
        if (now - call->heard_at > call->silence)
            call->silence = now - call->heard_at;
        call->heard_at = now;
    }
    if (packet->type == HOMA_DATA || packet->type == HOMA_BUSY || packet->type == HOMA_GRANT ||
        packet->type == HOMA_RESEND)
        stay_alive(call, now);
}

void sim_judge_see(struct sim_judge *judge, enum sim_sight sight, const struct sim_packet *datagram)
{
    struct view view = {.judge = judge, .datagram = datagram};
    const uint8_t *bytes = datagram->bytes;
    uint32_t left = datagram->length;
    enum homa_packet_fault fault;

    if (bytes == NULL || (sight != SIM_SENT && sight != SIM_DELIVERED))
        return;
    while (left > 0) {
        int taken = homa_packet_decode(bytes, left, HOMA_FORMAT_UDP, &view.packet, &fault);

        if (taken < 0)
            break;
        find_call(&view);
        if (sight == SIM_SENT)
            judge_sent(&view);
        else
            note_delivered(&view);
        bytes += taken;
        left -= (uint32_t)taken;
    }
    if (left > 0 && sight == SIM_SENT && datagram->from != judge->scenario->hostile)
        sim_judge_object(judge, datagram->from, 0, "a datagram left that nobody understands");
}
