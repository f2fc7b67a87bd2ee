/*
 * Floods of a hostile host: thousands of packets of one kind to one victim, as fast as its link
 * allows. What they are meant to exhaust: records of RPCs and peers, buffer space, the victim's
 * willingness to answer strangers.
 */
#include "sim/hostile_internal.h"

enum flood {
    FLOOD_REQUESTS,  /* complete requests of a byte */
    FLOOD_HALF_OPEN, /* beginnings of long ones */
    FLOOD_PORTS,     /* the same, each from another port: another peer */
    FLOOD_STRANGERS, /* RESENDs about nothing: each might be answered with RPC_UNKNOWN */
    FLOOD_SAME,      /* one packet again and again */
    FLOODS,
};

static void flood_packet(struct sim_hostile *hostile, enum flood flood, struct hostile_way *way,
                         uint64_t same_id)
{
    uint32_t most = hostile_payload_max(hostile);
    uint64_t port = hostile_below(hostile, 60000);
    struct homa_packet packet = {
        .type = HOMA_DATA,
        .id = flood == FLOOD_SAME ? same_id : hostile_new_id(hostile),
        .data = {.message_length = 1, .incoming = 1, .payload_length = 1},
    };

    if (flood == FLOOD_HALF_OPEN || flood == FLOOD_PORTS) {
        packet.data.message_length = hostile->options.message_max;
        packet.data.incoming = packet.data.payload_length =
            most < packet.data.message_length ? most : packet.data.message_length;
    }
    if (flood == FLOOD_PORTS)
        way->source_port = (uint16_t)(1 + port);
    if (flood == FLOOD_STRANGERS)
        packet = (struct homa_packet){
            .type = HOMA_RESEND,
            .id = packet.id,
            .resend = {.length = HOMA_RESEND_ALL, .priority = 7, .has_priority = true}};
    hostile_say(hostile, way, &packet);
}

void hostile_flood(struct sim_hostile *hostile)
{
    enum flood flood = (enum flood)hostile_below(hostile, FLOODS);
    struct hostile_way way = hostile_any_way(hostile);
    uint64_t id = hostile_new_id(hostile);

    for (uint32_t i = 0; i < hostile->options.flood_packets; i++)
        flood_packet(hostile, flood, &way, id);
}
