/*
 * Homa packets to and from bytes. Called by the engine for every packet in and out, by the chaos
 * wire, and by whoever prints packets.
 *
 * The length of a common header and of a DATA header is tested before they are read, upon which the
 * cursor's own tests fold away: DATA costs a few loads and byte swaps. What a peer says is never
 * asserted: a packet either decodes to a struct whose fields are within the bounds that packet.h
 * states, or it is refused. No state, no allocation.
 */
#include "homa/packet.h"

#include "base/cursor.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>

/* The data offset field: 4-byte words of header, in the high half of the byte. */
#define DATA_OFFSET_OF_DATA   (14u << 4)
#define DATA_OFFSET_OF_OTHERS (5u << 4)

/* The offset of a DATA packet that has not been cut by segmentation: look in the sequence. */
#define OFFSET_IN_SEQUENCE UINT32_MAX

_Static_assert(HOMA_ACK - HOMA_DATA + 1 == HOMA_PACKET_TYPES, "types are dense");
_Static_assert(HOMA_FORMAT_IP == 0, "what protocol 146 has in the place of the version");
_Static_assert(BASE_PACKET_HEADER_MAX >= 80, "an ACK fits");

static struct homa_ack read_ack(struct base_reader *reader)
{
    uint64_t client_id = base_read_u64(reader);

    return (struct homa_ack){.client_id = client_id, .server_port = base_read_u16(reader)};
}

static void write_ack(struct base_writer *writer, const struct homa_ack *ack)
{
    base_write_u64(writer, ack->client_id);
    base_write_u16(writer, ack->server_port);
}

static uint8_t read_priority(struct base_reader *reader)
{
    uint8_t priority = base_read_u8(reader);

    return priority < HOMA_PRIORITIES ? priority : HOMA_PRIORITIES - 1;
}

/* Reads what follows the common header of a DATA packet and takes its payload from the reader. */
static int decode_data(struct base_reader *reader, uint32_t sequence, uint8_t format,
                       struct homa_packet *packet)
{
    if (reader->left < HOMA_DATA_HEADER_LENGTH - HOMA_COMMON_HEADER_LENGTH)
        return HOMA_PACKET_SHORT;
    packet->data.message_length = base_read_u32(reader);
    packet->data.incoming = base_read_u32(reader);
    packet->data.ack = read_ack(reader);
    packet->data.cutoff_version = base_read_u16(reader);
    packet->data.retransmit = base_read_u8(reader) != 0;
    base_read_skip(reader, 3);
    packet->data.offset = base_read_u32(reader);
    if (packet->data.offset == OFFSET_IN_SEQUENCE)
        packet->data.offset = sequence;
    if (packet->data.message_length > INT32_MAX ||
        packet->data.offset >= packet->data.message_length)
        return HOMA_PACKET_BEYOND_END;

    size_t to_end = packet->data.message_length - packet->data.offset;
    size_t length = reader->left;
    if (length > to_end) {
        if (format == HOMA_FORMAT_IP)
            return HOMA_PACKET_BEYOND_END;
        length = to_end;
    }
    packet->data.payload_length = (uint32_t)length;
    (void)base_read_take(reader, length, &packet->data.payload);
    return 0;
}

static void decode_resend(struct base_reader *reader, struct homa_packet *packet)
{
    packet->resend.offset = base_read_u32(reader);
    packet->resend.length = base_read_u32(reader);
    packet->resend.has_priority = reader->left > 0;
    packet->resend.priority = packet->resend.has_priority ? read_priority(reader) : 0;
}

static void decode_cutoffs(struct base_reader *reader, struct homa_packet *packet)
{
    for (size_t level = 0; level < HOMA_PRIORITIES; level++)
        packet->cutoffs.unsched_cutoffs[level] = base_read_u32(reader);
    packet->cutoffs.version = base_read_u16(reader);
}

static int decode_ack(struct base_reader *reader, struct homa_packet *packet)
{
    packet->ack.count = base_read_u16(reader);
    if (packet->ack.count > HOMA_ACKS_PER_PACKET)
        return HOMA_PACKET_SHORT;
    for (size_t i = 0; i < HOMA_ACKS_PER_PACKET; i++)
        packet->ack.acks[i] = read_ack(reader);
    return 0;
}

/* Decodes what follows the common header; 0 or a fault. A missing byte fails the reader. */
static int decode_rest(struct base_reader *reader, uint32_t sequence, uint8_t format,
                       struct homa_packet *packet)
{
    switch (packet->type) {
    case HOMA_DATA:
        return decode_data(reader, sequence, format, packet);
    case HOMA_GRANT:
        packet->grant.offset = base_read_u32(reader);
        packet->grant.priority = read_priority(reader);
        return 0;
    case HOMA_RESEND:
        decode_resend(reader, packet);
        return 0;
    case HOMA_CUTOFFS:
        decode_cutoffs(reader, packet);
        return 0;
    case HOMA_ACK:
        return decode_ack(reader, packet);
    case HOMA_RPC_UNKNOWN:
    case HOMA_BUSY:
    case HOMA_FREEZE:
    case HOMA_NEED_ACK:
        return 0;
    }
    return HOMA_PACKET_UNKNOWN_TYPE;
}

int homa_packet_decode(const void *bytes, size_t length, uint8_t format, struct homa_packet *packet,
                       enum homa_packet_fault *fault)
{
    assert(format <= HOMA_FORMAT_UDP && length <= INT_MAX);
    struct base_reader reader = base_reader_begin(bytes, length);
    int found;

    if (length < HOMA_COMMON_HEADER_LENGTH) {
        found = HOMA_PACKET_SHORT;
        goto refuse;
    }
    packet->source_port = base_read_u16(&reader);
    packet->destination_port = base_read_u16(&reader);
    uint32_t sequence = base_read_u32(&reader);
    uint8_t version = base_read_u8(&reader);
    uint8_t capabilities = base_read_u8(&reader);
    base_read_skip(&reader, 1);
    packet->type = (enum homa_packet_type)base_read_u8(&reader); /* if there is such a type */
    base_read_skip(&reader, 8);
    packet->id = base_read_u64(&reader);
    packet->capabilities = format == HOMA_FORMAT_UDP ? capabilities : 0;

    if (format == HOMA_FORMAT_UDP && version != HOMA_FORMAT_UDP) {
        found = HOMA_PACKET_UNKNOWN_VERSION;
        goto refuse;
    }
    found = decode_rest(&reader, sequence, format, packet);
    if (found == 0 && reader.failed)
        found = HOMA_PACKET_SHORT;
    if (found != 0)
        goto refuse;
    return (int)(format == HOMA_FORMAT_UDP ? length - reader.left : length);

refuse:
    *fault = (enum homa_packet_fault)found;
    return -EBADMSG;
}

size_t homa_packet_front_length(const uint8_t *bytes, size_t length)
{
    struct homa_packet packet;
    enum homa_packet_fault fault;
    int taken = homa_packet_decode(bytes, length, HOMA_FORMAT_UDP, &packet, &fault);

    return taken > 0 ? (size_t)taken : length;
}

static void encode_data(const struct homa_packet *packet, struct base_writer *writer)
{
    base_write_u32(writer, packet->data.message_length);
    base_write_u32(writer, packet->data.incoming);
    write_ack(writer, &packet->data.ack);
    base_write_u16(writer, packet->data.cutoff_version);
    base_write_u8(writer, packet->data.retransmit);
    base_write_zeros(writer, 3);
    base_write_u32(writer, packet->data.offset);
}

static void encode_resend(const struct homa_packet *packet, struct base_writer *writer)
{
    base_write_u32(writer, packet->resend.offset);
    base_write_u32(writer, packet->resend.length);
    if (packet->resend.has_priority)
        base_write_u8(writer, packet->resend.priority);
}

static void encode_cutoffs(const struct homa_packet *packet, struct base_writer *writer)
{
    for (size_t level = 0; level < HOMA_PRIORITIES; level++)
        base_write_u32(writer, packet->cutoffs.unsched_cutoffs[level]);
    base_write_u16(writer, packet->cutoffs.version);
}

static void encode_ack(const struct homa_packet *packet, struct base_writer *writer)
{
    size_t count = packet->ack.count;

    assert(count <= HOMA_ACKS_PER_PACKET);
    base_write_u16(writer, packet->ack.count);
    for (size_t i = 0; i < count; i++)
        write_ack(writer, &packet->ack.acks[i]);
    base_write_zeros(writer, (HOMA_ACKS_PER_PACKET - count) * 10);
}

/* Encodes what follows the common header. */
static void encode_rest(const struct homa_packet *packet, struct base_writer *writer)
{
    switch (packet->type) {
    case HOMA_DATA:
        encode_data(packet, writer);
        return;
    case HOMA_GRANT:
        base_write_u32(writer, packet->grant.offset);
        base_write_u8(writer, packet->grant.priority);
        return;
    case HOMA_RESEND:
        encode_resend(packet, writer);
        return;
    case HOMA_CUTOFFS:
        encode_cutoffs(packet, writer);
        return;
    case HOMA_ACK:
        encode_ack(packet, writer);
        return;
    case HOMA_RPC_UNKNOWN:
    case HOMA_BUSY:
    case HOMA_FREEZE:
    case HOMA_NEED_ACK:
        return;
    }
    assert(false);
}

/* Whether a receiver can tell where the packet ends, so that another may follow. */
static bool is_self_delimiting(const struct homa_packet *packet)
{
    switch (packet->type) {
    case HOMA_DATA:
        return packet->data.payload_length == packet->data.message_length - packet->data.offset;
    case HOMA_RESEND:
        return packet->resend.has_priority;
    default:
        return true;
    }
}

void homa_packet_encode(const struct homa_packet *packet, uint8_t format, struct base_packet *out)
{
    assert(format <= HOMA_FORMAT_UDP);
    struct base_writer writer = base_writer_begin(out->header, sizeof(out->header));
    bool is_data = packet->type == HOMA_DATA;

    base_write_u16(&writer, packet->source_port);
    base_write_u16(&writer, packet->destination_port);
    base_write_u32(&writer, is_data ? packet->data.offset : 0);
    base_write_u8(&writer, format);
    base_write_u8(&writer, format == HOMA_FORMAT_UDP ? packet->capabilities : 0);
    base_write_u8(&writer, 0);
    base_write_u8(&writer, (uint8_t)packet->type);
    base_write_u8(&writer, is_data ? DATA_OFFSET_OF_DATA : DATA_OFFSET_OF_OTHERS);
    base_write_zeros(&writer, 7); /* flags, window, checksum, urgent */
    base_write_u64(&writer, packet->id);
    encode_rest(packet, &writer);
    assert(!writer.failed);
    out->header_length = (uint8_t)base_writer_length(&writer);
    out->may_be_followed = format == HOMA_FORMAT_UDP && is_self_delimiting(packet);
}

const char *homa_packet_type_name(unsigned type)
{
#define TYPE_NAME(name) #name,
    static const char *const names[] = {HOMA_PACKET_TYPE_NAMES(TYPE_NAME)};
#undef TYPE_NAME
    _Static_assert(sizeof(names) / sizeof(names[0]) == HOMA_PACKET_TYPES, "one name per type");

    return type >= HOMA_DATA && type <= HOMA_ACK ? names[type - HOMA_DATA] : "?";
}
