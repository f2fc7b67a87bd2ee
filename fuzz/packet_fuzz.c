/*
 * Feeds the packet decoder arbitrary datagrams. The first byte chooses the format; the rest is
 * taken apart as the engine does it. Each packet that decodes must keep the promises of
 * homa/packet.h, and must come back the same after it was encoded and decoded again.
 */
#include "homa/packet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* assert() may be compiled out; a fuzz target's checks may not. */
#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: violated: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                  \
        }                                                                             \
    } while (0)

static void check_promises(const struct homa_packet *packet, const uint8_t *bytes, size_t taken,
                           uint8_t format)
{
    CHECK(homa_packet_type_name(packet->type)[0] != '?');
    CHECK(format == HOMA_FORMAT_UDP || packet->capabilities == 0);
    switch (packet->type) {
    case HOMA_DATA:
        CHECK(packet->data.message_length > 0 && packet->data.message_length <= INT32_MAX);
        CHECK(packet->data.offset < packet->data.message_length);
        CHECK(packet->data.payload_length <= packet->data.message_length - packet->data.offset);
        CHECK(packet->data.payload == bytes + HOMA_DATA_HEADER_LENGTH);
        CHECK(taken == HOMA_DATA_HEADER_LENGTH + packet->data.payload_length);
        break;
    case HOMA_GRANT:
        CHECK(packet->grant.priority < HOMA_PRIORITIES);
        break;
    case HOMA_RESEND:
        CHECK(packet->resend.priority < HOMA_PRIORITIES);
        break;
    case HOMA_ACK:
        CHECK(packet->ack.count <= HOMA_ACKS_PER_PACKET);
        break;
    default:
        break;
    }
}

static bool same_ack(const struct homa_ack *a, const struct homa_ack *b)
{
    return a->client_id == b->client_id && a->server_port == b->server_port;
}

static void check_same_data(const struct homa_packet *a, const struct homa_packet *b)
{
    CHECK(a->data.message_length == b->data.message_length);
    CHECK(a->data.incoming == b->data.incoming);
    CHECK(same_ack(&a->data.ack, &b->data.ack));
    CHECK(a->data.cutoff_version == b->data.cutoff_version);
    CHECK(a->data.retransmit == b->data.retransmit);
    CHECK(a->data.offset == b->data.offset);
    CHECK(a->data.payload_length == b->data.payload_length);
}

static void check_same(const struct homa_packet *a, const struct homa_packet *b)
{
    CHECK(a->type == b->type);
    CHECK(a->source_port == b->source_port && a->destination_port == b->destination_port);
    CHECK(a->capabilities == b->capabilities);
    CHECK(a->id == b->id);
    switch (a->type) {
    case HOMA_DATA:
        check_same_data(a, b);
        break;
    case HOMA_GRANT:
        CHECK(a->grant.offset == b->grant.offset && a->grant.priority == b->grant.priority);
        break;
    case HOMA_RESEND:
        CHECK(a->resend.offset == b->resend.offset && a->resend.length == b->resend.length);
        CHECK(a->resend.has_priority == b->resend.has_priority);
        CHECK(a->resend.priority == b->resend.priority);
        break;
    case HOMA_CUTOFFS:
        CHECK(memcmp(&a->cutoffs.unsched_cutoffs, &b->cutoffs.unsched_cutoffs,
                     sizeof(a->cutoffs.unsched_cutoffs)) == 0);
        CHECK(a->cutoffs.version == b->cutoffs.version);
        break;
    case HOMA_ACK:
        CHECK(a->ack.count == b->ack.count);
        for (size_t i = 0; i < a->ack.count; i++)
            CHECK(same_ack(&a->ack.acks[i], &b->ack.acks[i]));
        break;
    default:
        break;
    }
}

/* Encodes the packet, puts its payload and then something else behind it, and decodes that. */
static void check_round_trip(const struct homa_packet *packet, uint8_t format)
{
    static const uint8_t after[3] = {0xff, 0xff, 0xff};
    struct base_packet out;
    struct homa_packet again;
    enum homa_packet_fault fault;
    bool is_data = packet->type == HOMA_DATA;
    size_t payload_length = is_data ? packet->data.payload_length : 0;

    homa_packet_encode(packet, format, &out);
    CHECK(out.header_length >= HOMA_COMMON_HEADER_LENGTH);
    CHECK(out.header_length <= sizeof(out.header));
    size_t length = out.header_length + payload_length;
    size_t length_after = out.may_be_followed ? sizeof(after) : 0;
    uint8_t *bytes = malloc(length + length_after);

    CHECK(bytes != NULL);
    memcpy(bytes, out.header, out.header_length);
    if (payload_length > 0)
        memcpy(bytes + out.header_length, packet->data.payload, payload_length);
    memcpy(bytes + length, after, length_after);
    int taken = homa_packet_decode(bytes, length + length_after, format, &again, &fault);
    CHECK(taken > 0 && (size_t)taken == length);
    check_same(packet, &again);
    if (payload_length > 0)
        CHECK(memcmp(packet->data.payload, again.data.payload, payload_length) == 0);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t format = data[0] % 2 == 0 ? HOMA_FORMAT_IP : HOMA_FORMAT_UDP;
    const uint8_t *at = data + 1;
    size_t left = size - 1;

    while (left > 0) {
        struct homa_packet packet;
        enum homa_packet_fault fault = 0;
        int taken = homa_packet_decode(at, left, format, &packet, &fault);

        if (taken < 0) {
            CHECK(taken == -EBADMSG);
            CHECK(fault >= HOMA_PACKET_SHORT && fault <= HOMA_PACKET_BEYOND_END);
            break;
        }
        CHECK(taken > 0 && (size_t)taken <= left);
        CHECK(format == HOMA_FORMAT_UDP || (size_t)taken == left);
        if (format == HOMA_FORMAT_UDP)
            CHECK(homa_packet_front_length(at, left) == (size_t)taken);
        check_promises(&packet, at, (size_t)taken, format);
        check_round_trip(&packet, format);
        at += taken;
        left -= (size_t)taken;
    }
    return 0;
}
