/*
 * A simulated host's network card (host.h): what the engines want to send, and when it leaves. The
 * card asks for a packet when it can begin to send it, so that it is always the best there is.
 */
#include "sim/host_internal.h"

#include <string.h>

/* The datagram as a packet of the network; `packets` of them in a row when they are bundled. */
static struct sim_packet *make_datagram(struct sim_host *host, const struct sim_socket *socket,
                                        const struct base_packet *packets, uint32_t count)
{
    struct sim_packet *made = sim_packet_new(sim_network_of(host));
    size_t length = 0;

    for (uint32_t i = 0; i < count; i++)
        length += base_packet_length(&packets[i]);
    made->length = (uint32_t)length;
    made->from = (uint16_t)host->number;
    made->to = (uint16_t)sim_address_host(&packets->to);
    made->source_port = socket->port;
    made->destination_port = packets->to.port;
    made->priority = packets->priority;
    made->wire_bytes = made->length + host->options.wire_overhead;
    if (made->wire_bytes < host->options.wire_minimum)
        made->wire_bytes = host->options.wire_minimum;
    made->header_length = packets->header_length;
    memcpy(made->header, packets->header, packets->header_length);
    if (!sim_world_carries_payload(host->world))
        return made;
    uint8_t *to = made->bytes = sim_allocate(length, 1);

    for (uint32_t i = 0; i < count; i++) {
        memcpy(to, packets[i].header, packets[i].header_length);
        to += packets[i].header_length;
        if (packets[i].payload_length > 0)
            memcpy(to, packets[i].payload, packets[i].payload_length);
        to += packets[i].payload_length;
    }
    return made;
}

static sim_time time_on_card(const struct sim_host *host, uint32_t wire_bytes)
{
    return wire_bytes * host->ps_per_kilobyte / 1000;
}

void sim_card_take(struct sim_host *host, const struct sim_socket *socket,
                   const struct base_packet *packets, uint32_t count, bool is_segment)
{
    struct sim_packet *packet = make_datagram(host, socket, packets, count);
    sim_time ready;
    sim_time leaves_at;

    host->spent +=
        is_segment ? host->options.processor.segment_out : host->options.processor.packet_out;
    ready = sim_host_now(host) + host->options.send_delay;
    if (host->card_idle_at < ready)
        host->card_idle_at = ready;
    host->card_idle_at += time_on_card(host, packet->wire_bytes);
    leaves_at = host->card_idle_at;
    if (host->burst_time > 0)
        leaves_at = leaves_at > ready + host->burst_time ? leaves_at - host->burst_time : ready;
    if (host->options.measures_backlog)
        sim_backlog_add(&host->backlogs[socket->number], packet->length, leaves_at);
    sim_world_carry(host->world, packet, leaves_at);
}

/* When the card has room for the next packet. */
static sim_time card_room_at(const struct sim_host *host)
{
    sim_time ahead = host->options.send_delay + host->options.card_queue;

    return host->card_idle_at > ahead ? host->card_idle_at - ahead : 0;
}

static struct base_backlog backlog_of(struct sim_host *host, const struct sim_socket *socket)
{
    struct base_backlog backlog = {0};
    sim_time now = sim_host_now(host) + host->options.send_delay;

    if (!host->options.sees_backlog)
        return backlog;
    if (host->options.measures_backlog)
        return sim_backlog_look(&host->backlogs[socket->number], now);
    backlog.bytes_per_second = 1000 * (SIM_S / host->ps_per_kilobyte);
    if (host->card_idle_at > now)
        backlog.bytes = (host->card_idle_at - now) * 1000 / host->ps_per_kilobyte;
    return backlog;
}

/* How many of the packets make up the next datagram. */
static uint32_t bundle_size(const struct sim_host *host, const struct base_packet *packets,
                            uint32_t count)
{
    uint32_t taken = 1;
    size_t length = base_packet_length(packets);

    while (host->options.bundles && taken < count && packets[taken - 1].may_be_followed &&
           packets[taken].priority == packets->priority &&
           base_address_equal(&packets[taken].to, &packets->to) &&
           length + base_packet_length(&packets[taken]) <= host->options.packet_bytes)
        length += base_packet_length(&packets[taken++]);
    return taken;
}

/* Whether one send carries this datagram together with the one before. */
static bool is_segment(const struct sim_host *host, const struct base_packet *before,
                       const struct base_packet *packet)
{
    return host->options.processor.segment_out > 0 &&
           base_packet_length(before) == host->options.packet_bytes &&
           before->priority == packet->priority && base_address_equal(&before->to, &packet->to);
}

/* One batch of one socket. Returns whether there was anything to send. */
static bool send_batch(struct sim_host *host, struct sim_socket *socket)
{
    struct base_packet packets[SIM_BATCH_MAX];
    struct base_backlog backlog = backlog_of(host, socket);
    uint32_t count = (uint32_t)homa_engine_output(socket->engine, sim_host_engine_now(host),
                                                  &backlog, packets, host->options.output_batch);
    uint32_t sent = 0;

    while (sent < count && card_room_at(host) <= sim_host_now(host)) {
        uint32_t taken = bundle_size(host, &packets[sent], count - sent);
        bool is_next_segment = sent > 0 && is_segment(host, &packets[sent - 1], &packets[sent]);

        sim_card_take(host, socket, &packets[sent], taken, is_next_segment);
        sent += taken;
    }
    if (sent < count)
        homa_engine_unsend(socket->engine, packets, sent, count);
    return count > 0;
}

/* Fills the card, the sockets taking turns. A processor, which takes time for it, looks at what has
 * come meanwhile after one turn of each: then there may be more to send. */
void sim_card_fill(struct sim_host *host)
{
    uint32_t idle = 0;
    uint32_t turns = 0;

    host->has_more = false;
    while (idle < host->options.sockets) {
        struct sim_socket *socket = &host->sockets[host->next_socket];

        if (card_room_at(host) > sim_host_now(host)) {
            sim_alarm_set(sim_world_clock(host->world), &host->card, card_room_at(host));
            return;
        }
        if (host->has_processor && turns++ == host->options.sockets) {
            host->has_more = true;
            return;
        }
        if (socket->engine != NULL && send_batch(host, socket))
            idle = 0;
        else
            idle++;
        if (++host->next_socket == host->options.sockets)
            host->next_socket = 0;
    }
}
