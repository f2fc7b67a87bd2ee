/*
 * A packet in words (trace.h): its type and fields, as the specification of the format has them.
 * Nothing is trusted: what is no packet is said to be none, and why.
 */
#include "homa/packet.h"
#include "sim/trace_internal.h"

#include <inttypes.h>

/* Width of the type, so that what follows is aligned. */
#define TYPE_WIDTH (TRACE_COLUMN_REST - TRACE_COLUMN_TYPE)

static const char *fault_name(enum homa_packet_fault fault)
{
    switch (fault) {
    case HOMA_PACKET_SHORT:
        return "too short";
    case HOMA_PACKET_UNKNOWN_TYPE:
        return "unknown type";
    case HOMA_PACKET_UNKNOWN_VERSION:
        return "unknown version";
    case HOMA_PACKET_BEYOND_END:
        return "beyond the message's end";
    }
    return "";
}

static void add_data(struct sim_text *text, const struct homa_packet *packet)
{
    sim_text_add(text, " %" PRIu32 "+%" PRIu32 "/%" PRIu32 " incoming %" PRIu32,
                 packet->data.offset, packet->data.payload_length, packet->data.message_length,
                 packet->data.incoming);
    if (packet->data.ack.client_id != 0)
        sim_text_add(text, " ack %" PRIx64 ":%u", packet->data.ack.client_id,
                     packet->data.ack.server_port);
    if (packet->data.cutoff_version != 0)
        sim_text_add(text, " cutoffs v%u", packet->data.cutoff_version);
    if (packet->data.retransmit)
        sim_text_add(text, " again");
}

static void add_resend(struct sim_text *text, const struct homa_packet *packet)
{
    sim_text_add(text, " from %" PRIu32, packet->resend.offset);
    if (packet->resend.length == HOMA_RESEND_ALL)
        sim_text_add(text, " all");
    else
        sim_text_add(text, " %" PRIu32 " bytes", packet->resend.length);
    if (packet->resend.has_priority)
        sim_text_add(text, " level %u", packet->resend.priority);
}

static void add_cutoffs(struct sim_text *text, const struct homa_packet *packet)
{
    sim_text_add(text, " v%u", packet->cutoffs.version);
    for (uint32_t level = HOMA_PRIORITIES; level-- > 0;)
        sim_text_add(text, " %" PRIu32 ":%" PRIu32, level, packet->cutoffs.unsched_cutoffs[level]);
}

static void add_fields(struct sim_text *text, const struct homa_packet *packet)
{
    switch (packet->type) {
    case HOMA_DATA:
        add_data(text, packet);
        break;
    case HOMA_GRANT:
        sim_text_add(text, " up to %" PRIu32 " level %u", packet->grant.offset,
                     packet->grant.priority);
        break;
    case HOMA_RESEND:
        add_resend(text, packet);
        break;
    case HOMA_CUTOFFS:
        add_cutoffs(text, packet);
        break;
    case HOMA_ACK:
        for (uint32_t i = 0; i < packet->ack.count; i++)
            sim_text_add(text, " %" PRIx64 ":%u", packet->ack.acks[i].client_id,
                         packet->ack.acks[i].server_port);
        break;
    case HOMA_RPC_UNKNOWN:
    case HOMA_BUSY:
    case HOMA_FREEZE:
    case HOMA_NEED_ACK:
        break;
    }
}

uint32_t sim_trace_packet_text(const uint8_t *bytes, uint32_t length, uint32_t whole, char *into,
                               size_t size)
{
    struct sim_text text = sim_text_begin(into, size);
    struct homa_packet packet;
    enum homa_packet_fault fault;
    int taken = homa_packet_decode(bytes, length, HOMA_FORMAT_UDP, &packet, &fault);

    if (taken <= 0) {
        sim_text_add(&text, "%-*s %" PRIu32 " bytes, %s", (int)TYPE_WIDTH - 1, "(no packet)", whole,
                     fault_name(fault));
        return length;
    }
    if (packet.type == HOMA_DATA && length < whole) {
        uint32_t most = packet.data.message_length - packet.data.offset;
        uint32_t payload = whole - HOMA_DATA_HEADER_LENGTH;

        packet.data.payload_length = payload < most ? payload : most;
        taken = (int)length;
    }
    sim_text_add(&text, "%-*s id %" PRIx64, (int)TYPE_WIDTH - 1, homa_packet_type_name(packet.type),
                 packet.id);
    add_fields(&text, &packet);
    return (uint32_t)taken;
}
