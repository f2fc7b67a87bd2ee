/*
 * Packets from bytes: what is refused, then the packets that the specification shows as seen on the
 * wire, then field by field.
 */
#include "homa/packet.h"

#include "support/hex.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The full module, a 100-byte RPC from port 32768 to 4000. Payload follows the DATA headers. */
#define REQUEST                                                                        \
    "80000fa0 00000000 00000010 e0060000 176bb97d 0000000000000002 00000064 00000064 " \
    "0000000000000000 0000 0000 00 000000 ffffffff"
#define RESPONSE                                                                       \
    "0fa08000 00000000 00000010 e0060000 176bb97d 0000000000000003 00000064 00000064 " \
    "0000000000000000 0000 0000 00 000000 ffffffff"
#define SECOND_REQUEST                                                                 \
    "80000fa0 00000000 00000010 e0060000 176bb97d 0000000000000004 00000064 00000064 " \
    "0000000000000002 0fa0 0001 00 000000 ffffffff"
#define NEED_ACK "0fa08000 00000000 00000017 50060000 16ebb97d 000000000000001f"
#define ACK                                                                                     \
    "80000fa0 00000000 00000018 50060000 171fb97d 000000000000001e 0001 000000000000001e 0fa0 " \
    "00000000000000000000 00000000000000000000 00000000000000000000 00000000000000000000"
#define GRANT "0fa08001 00000000 00000011 50060000 16f0b97d 0000000000000021 000312d0 00"
#define CUTOFFS                                                                                 \
    "0fa08000 00000000 00000015 50060000 170db97d 0000000000000003 00000000 00000000 00000000 " \
    "00000000 000f4240 00003a98 00000af0 000000c8 0001"
#define RESEND "80000fa0 00000000 00000012 50060000 16f4b97d 0000000000000002 00000000 ffffffff 07"
#define BUSY   "0fa08000 00000000 00000014 50060000 16ebb97d 0000000000000003"

/* The form offered to the kernel: flags, checksum and urgent 0, explicit offsets, no grants. */
#define KERNEL_DATA                                                                    \
    "80000fa0 00000000 00000010 e0000000 00000000 0000000000000002 00002710 00000000 " \
    "0000000000000000 0000 0000 00 000000 00000578"
#define KERNEL_RESEND \
    "80000fa0 00000000 00000012 50000000 00000000 0000000000000002 00000578 00000af0"

/* Our own format on udp: version 1 in byte 8. */
#define UDP_UNKNOWN "80000fa0 00000000 01000013 50000000 00000000 0000000000000002"
#define UDP_BUSY    "0fa08000 00000000 01000014 50000000 00000000 0000000000000003"
#define UDP_FREEZE  "80000fa0 00000000 01000016 50000000 00000000 0000000000000002"

#define DATAGRAM_MAX 2048

/* A datagram in memory of exactly its length, so that a sanitizer sees a read beyond it. */
struct datagram {
    uint8_t *bytes;
    size_t length;
};

static struct datagram exact_copy(const uint8_t *bytes, size_t length)
{
    struct datagram datagram = {.bytes = malloc(length > 0 ? length : 1), .length = length};

    assert_non_null(datagram.bytes);
    memcpy(datagram.bytes, bytes, length);
    return datagram;
}

static struct datagram datagram_of(const char *hex, size_t zeros_after)
{
    uint8_t bytes[DATAGRAM_MAX] = {0};
    size_t length = hex_bytes(hex, bytes, sizeof(bytes) - zeros_after);

    return exact_copy(bytes, length + zeros_after);
}

/* Decodes a datagram and returns its bytes; the packet's payload pointer is dead afterwards. */
static int decode_datagram(struct datagram datagram, uint8_t format, struct homa_packet *packet,
                           enum homa_packet_fault *fault)
{
    int taken;

    memset(packet, 0xa5, sizeof(*packet));
    taken = homa_packet_decode(datagram.bytes, datagram.length, format, packet, fault);
    free(datagram.bytes);
    return taken;
}

static int decode_hex(const char *hex, size_t zeros_after, uint8_t format,
                      struct homa_packet *packet)
{
    enum homa_packet_fault fault;
    int taken = decode_datagram(datagram_of(hex, zeros_after), format, packet, &fault);

    if (taken < 0)
        fail_msg("refused with fault %d: %s", fault, hex);
    return taken;
}

static void assert_refused(struct datagram datagram, uint8_t format,
                           enum homa_packet_fault expected)
{
    struct homa_packet packet;
    enum homa_packet_fault fault = 0;

    assert_int_equal(decode_datagram(datagram, format, &packet, &fault), -EBADMSG);
    assert_int_equal(fault, expected);
}

static void assert_hex_refused(const char *hex, size_t zeros_after, uint8_t format,
                               enum homa_packet_fault expected)
{
    assert_refused(datagram_of(hex, zeros_after), format, expected);
}

/* ---- refused ---- */

static void every_truncation_of_every_type_is_short(void **state)
{
    static const struct {
        const char *hex;
        size_t least;
    } packets[] = {
        {REQUEST, 56}, {GRANT, 33}, {RESEND, 36},   {UDP_UNKNOWN, 28}, {BUSY, 28},
        {CUTOFFS, 62}, {ACK, 80},   {NEED_ACK, 28}, {UDP_FREEZE, 28},
    };
    uint8_t bytes[DATAGRAM_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        (void)hex_bytes(packets[i].hex, bytes, sizeof(bytes));
        for (uint8_t format = HOMA_FORMAT_IP; format <= HOMA_FORMAT_UDP; format++) {
            struct homa_packet packet;
            enum homa_packet_fault fault;

            bytes[8] = format;
            for (size_t length = 0; length < packets[i].least; length++)
                assert_refused(exact_copy(bytes, length), format, HOMA_PACKET_SHORT);
            assert_int_equal(
                decode_datagram(exact_copy(bytes, packets[i].least), format, &packet, &fault),
                packets[i].least);
        }
    }
}

static void types_that_do_not_exist_are_refused(void **state)
{
    uint8_t bytes[128] = {[8] = HOMA_FORMAT_UDP};

    (void)state;
    for (unsigned type = 0; type <= UINT8_MAX; type++) {
        if (type >= HOMA_DATA && type <= HOMA_ACK)
            continue;
        bytes[11] = (uint8_t)type;
        assert_refused(exact_copy(bytes, sizeof(bytes)), HOMA_FORMAT_UDP, HOMA_PACKET_UNKNOWN_TYPE);
        assert_refused(exact_copy(bytes, sizeof(bytes)), HOMA_FORMAT_IP, HOMA_PACKET_UNKNOWN_TYPE);
    }
}

static void versions_other_than_1_are_refused_on_udp(void **state)
{
    uint8_t bytes[64];
    size_t length = hex_bytes(UDP_BUSY, bytes, sizeof(bytes));

    (void)state;
    for (unsigned version = 0; version <= UINT8_MAX; version++) {
        if (version == HOMA_FORMAT_UDP)
            continue;
        bytes[8] = (uint8_t)version;
        assert_refused(exact_copy(bytes, length), HOMA_FORMAT_UDP, HOMA_PACKET_UNKNOWN_VERSION);
    }
}

static void an_unknown_version_is_told_before_an_unknown_type(void **state)
{
    (void)state;
    assert_hex_refused("80000fa0 00000000 02000077 50000000 00000000 0000000000000002", 0,
                       HOMA_FORMAT_UDP, HOMA_PACKET_UNKNOWN_VERSION);
}

/* The bytes of DATA with the given message length, offset and payload, in either format. */
static struct datagram data_of(uint8_t format, uint32_t message_length, uint32_t sequence,
                               uint32_t offset, size_t payload_length)
{
    char hex[256];

    (void)snprintf(hex, sizeof(hex),
                   "80000fa0 %08x %02x000010 e0000000 00000000 0000000000000002 %08x 00000000 "
                   "0000000000000000 0000 0000 00 000000 %08x",
                   sequence, format, message_length, offset);
    return datagram_of(hex, payload_length);
}

static void data_of_an_impossible_message_length_is_refused(void **state)
{
    (void)state;
    for (uint8_t format = HOMA_FORMAT_IP; format <= HOMA_FORMAT_UDP; format++) {
        assert_refused(data_of(format, 0, 0, 0, 0), format, HOMA_PACKET_BEYOND_END);
        assert_refused(data_of(format, 0, 0, 0, 10), format, HOMA_PACKET_BEYOND_END);
        assert_refused(data_of(format, 0x80000000, 0, 0, 10), format, HOMA_PACKET_BEYOND_END);
        assert_refused(data_of(format, UINT32_MAX, 0, 0, 10), format, HOMA_PACKET_BEYOND_END);
    }
}

static void data_that_starts_beyond_its_message_is_refused(void **state)
{
    (void)state;
    for (uint8_t format = HOMA_FORMAT_IP; format <= HOMA_FORMAT_UDP; format++) {
        assert_refused(data_of(format, 1000, 0, 1000, 0), format, HOMA_PACKET_BEYOND_END);
        assert_refused(data_of(format, 1000, 0, 1000, 10), format, HOMA_PACKET_BEYOND_END);
        assert_refused(data_of(format, 1000, 0, 0xfffffffe, 10), format, HOMA_PACKET_BEYOND_END);
        /* -1 in both places is no way out */
        assert_refused(data_of(format, 1000, UINT32_MAX, UINT32_MAX, 10), format,
                       HOMA_PACKET_BEYOND_END);
        assert_refused(data_of(format, 1000, 1000, UINT32_MAX, 10), format, HOMA_PACKET_BEYOND_END);
    }
}

static void payload_beyond_the_message_is_refused_on_protocol_146(void **state)
{
    (void)state;
    assert_refused(data_of(HOMA_FORMAT_IP, 1000, 0, 990, 11), HOMA_FORMAT_IP,
                   HOMA_PACKET_BEYOND_END);
    assert_refused(data_of(HOMA_FORMAT_IP, 1, 0, 0, 100), HOMA_FORMAT_IP, HOMA_PACKET_BEYOND_END);
}

static void an_ack_that_counts_more_than_it_holds_is_refused(void **state)
{
    static const uint16_t counts[] = {6, 255, 256, UINT16_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        char hex[128];

        (void)snprintf(hex, sizeof(hex),
                       "80000fa0 00000000 01000018 50000000 00000000 000000000000001e %04x",
                       counts[i]);
        assert_hex_refused(hex, 200, HOMA_FORMAT_UDP, HOMA_PACKET_SHORT);
        assert_hex_refused(hex, 200, HOMA_FORMAT_IP, HOMA_PACKET_SHORT);
    }
}

/* ---- seen on the wire ---- */

static void the_modules_request_is_understood(void **state)
{
    struct homa_packet packet;

    (void)state;
    assert_int_equal(decode_hex(REQUEST, 100, HOMA_FORMAT_IP, &packet), 156);
    assert_int_equal(packet.type, HOMA_DATA);
    assert_int_equal(packet.source_port, 32768);
    assert_int_equal(packet.destination_port, 4000);
    assert_int_equal(packet.capabilities, 0);
    assert_int_equal(packet.id, 2);
    assert_int_equal(packet.data.message_length, 100);
    assert_int_equal(packet.data.incoming, 100);
    assert_int_equal(packet.data.ack.client_id, 0);
    assert_int_equal(packet.data.ack.server_port, 0);
    assert_int_equal(packet.data.cutoff_version, 0);
    assert_false(packet.data.retransmit);
    assert_int_equal(packet.data.offset, 0); /* from the sequence */
    assert_int_equal(packet.data.payload_length, 100);
}

static void the_modules_response_is_understood(void **state)
{
    struct homa_packet packet;

    (void)state;
    assert_int_equal(decode_hex(RESPONSE, 100, HOMA_FORMAT_IP, &packet), 156);
    assert_int_equal(packet.source_port, 4000);
    assert_int_equal(packet.destination_port, 32768);
    assert_int_equal(packet.id, 3);
    assert_int_equal(packet.data.message_length, 100);
}

static void an_ack_that_rides_on_data_is_understood(void **state)
{
    struct homa_packet packet;

    (void)state;
    (void)decode_hex(SECOND_REQUEST, 100, HOMA_FORMAT_IP, &packet);
    assert_int_equal(packet.id, 4);
    assert_int_equal(packet.data.ack.client_id, 2);
    assert_int_equal(packet.data.ack.server_port, 4000);
    assert_int_equal(packet.data.cutoff_version, 1);
}

static void the_modules_control_packets_are_understood(void **state)
{
    struct homa_packet packet;

    (void)state;
    assert_int_equal(decode_hex(NEED_ACK, 0, HOMA_FORMAT_IP, &packet), 28);
    assert_int_equal(packet.type, HOMA_NEED_ACK);
    assert_int_equal(packet.id, 31);
    assert_int_equal(decode_hex(BUSY, 0, HOMA_FORMAT_IP, &packet), 28);
    assert_int_equal(packet.type, HOMA_BUSY);
    assert_int_equal(packet.id, 3);
    assert_int_equal(decode_hex(GRANT, 0, HOMA_FORMAT_IP, &packet), 33);
    assert_int_equal(packet.type, HOMA_GRANT);
    assert_int_equal(packet.destination_port, 32769);
    assert_int_equal(packet.id, 33);
    assert_int_equal(packet.grant.offset, 201424);
    assert_int_equal(packet.grant.priority, 0);
    assert_int_equal(decode_hex(RESEND, 0, HOMA_FORMAT_IP, &packet), 37);
    assert_int_equal(packet.type, HOMA_RESEND);
    assert_int_equal(packet.resend.offset, 0);
    assert_int_equal(packet.resend.length, HOMA_RESEND_ALL);
    assert_true(packet.resend.has_priority);
    assert_int_equal(packet.resend.priority, 7);
}

static void the_modules_ack_is_understood(void **state)
{
    struct homa_packet packet;

    (void)state;
    assert_int_equal(decode_hex(ACK, 0, HOMA_FORMAT_IP, &packet), 80);
    assert_int_equal(packet.type, HOMA_ACK);
    assert_int_equal(packet.id, 30);
    assert_int_equal(packet.ack.count, 1);
    assert_int_equal(packet.ack.acks[0].client_id, 30);
    assert_int_equal(packet.ack.acks[0].server_port, 4000);
}

static void the_modules_cutoffs_are_understood(void **state)
{
    static const uint32_t expected[HOMA_PRIORITIES] = {0, 0, 0, 0, 1000000, 15000, 2800, 200};
    struct homa_packet packet;

    (void)state;
    assert_int_equal(decode_hex(CUTOFFS, 0, HOMA_FORMAT_IP, &packet), 62);
    assert_int_equal(packet.type, HOMA_CUTOFFS);
    assert_memory_equal(packet.cutoffs.unsched_cutoffs, expected, sizeof(expected));
    assert_int_equal(packet.cutoffs.version, 1);
}

static void the_kernel_forms_data_is_understood(void **state)
{
    struct homa_packet packet;

    (void)state;
    assert_int_equal(decode_hex(KERNEL_DATA, 1400, HOMA_FORMAT_IP, &packet), 1456);
    assert_int_equal(packet.data.message_length, 10000);
    assert_int_equal(packet.data.incoming, 0); /* it never waits for grants */
    assert_int_equal(packet.data.offset, 1400);
    assert_int_equal(packet.data.payload_length, 1400);
}

static void the_kernel_forms_resend_has_no_priority(void **state)
{
    struct homa_packet packet;

    (void)state;
    assert_int_equal(decode_hex(KERNEL_RESEND, 0, HOMA_FORMAT_IP, &packet), 36);
    assert_int_equal(packet.type, HOMA_RESEND);
    assert_int_equal(packet.resend.offset, 1400);
    assert_int_equal(packet.resend.length, 2800);
    assert_false(packet.resend.has_priority);
    assert_int_equal(packet.resend.priority, 0);
}

/* ---- fields ---- */

static void offset_minus_one_means_the_sequence(void **state)
{
    struct homa_packet packet;
    enum homa_packet_fault fault;

    (void)state;
    for (uint8_t format = HOMA_FORMAT_IP; format <= HOMA_FORMAT_UDP; format++) {
        assert_true(decode_datagram(data_of(format, 10000, 1400, UINT32_MAX, 1400), format, &packet,
                                    &fault) > 0);
        assert_int_equal(packet.data.offset, 1400);
        assert_int_equal(packet.data.payload_length, 1400);
    }
}

static void an_explicit_offset_overrides_the_sequence(void **state)
{
    struct homa_packet packet;
    enum homa_packet_fault fault;

    (void)state;
    assert_true(decode_datagram(data_of(HOMA_FORMAT_IP, 10000, 77, 1400, 1400), HOMA_FORMAT_IP,
                                &packet, &fault) > 0);
    assert_int_equal(packet.data.offset, 1400);
}

static void the_longest_message_and_its_last_byte_are_accepted(void **state)
{
    struct homa_packet packet;
    enum homa_packet_fault fault;

    (void)state;
    assert_int_equal(decode_datagram(data_of(HOMA_FORMAT_IP, INT32_MAX, 0, INT32_MAX - 1, 1),
                                     HOMA_FORMAT_IP, &packet, &fault),
                     57);
    assert_int_equal(packet.data.message_length, INT32_MAX);
    assert_int_equal(packet.data.payload_length, 1);
}

static void data_without_payload_is_accepted(void **state)
{
    struct homa_packet packet;

    (void)state;
    assert_int_equal(decode_hex(REQUEST, 0, HOMA_FORMAT_IP, &packet), 56);
    assert_int_equal(packet.data.payload_length, 0);
}

static void any_retransmit_mark_but_zero_is_true(void **state)
{
    struct datagram datagram = datagram_of(REQUEST, 100);
    struct homa_packet packet;
    enum homa_packet_fault fault;

    (void)state;
    datagram.bytes[48] = 0x80;
    assert_true(decode_datagram(datagram, HOMA_FORMAT_IP, &packet, &fault) > 0);
    assert_true(packet.data.retransmit);
}

static void a_priority_that_does_not_exist_is_the_highest(void **state)
{
    struct datagram grant = datagram_of(GRANT, 0);
    struct datagram resend = datagram_of(RESEND, 0);
    struct homa_packet packet;
    enum homa_packet_fault fault;

    (void)state;
    grant.bytes[32] = 8;
    assert_true(decode_datagram(grant, HOMA_FORMAT_IP, &packet, &fault) > 0);
    assert_int_equal(packet.grant.priority, 7);
    resend.bytes[36] = 0xff;
    assert_true(decode_datagram(resend, HOMA_FORMAT_IP, &packet, &fault) > 0);
    assert_int_equal(packet.resend.priority, 7);
}

static void capabilities_are_read_on_udp_only(void **state)
{
    struct datagram udp = datagram_of(UDP_BUSY, 0);
    struct datagram ip = datagram_of(BUSY, 0);
    struct homa_packet packet;
    enum homa_packet_fault fault;

    (void)state;
    udp.bytes[9] = 0xc3;
    assert_int_equal(decode_datagram(udp, HOMA_FORMAT_UDP, &packet, &fault), 28);
    assert_int_equal(packet.capabilities, 0xc3);
    ip.bytes[8] = 9; /* no version there, so no version to refuse */
    ip.bytes[9] = 0xc3;
    assert_int_equal(decode_datagram(ip, HOMA_FORMAT_IP, &packet, &fault), 28);
    assert_int_equal(packet.capabilities, 0);
}

static void five_acks_fill_an_ack_packet(void **state)
{
    struct homa_packet packet;

    (void)state;
    (void)decode_hex("80000fa0 00000000 01000018 50000000 00000000 000000000000001e 0005 "
                     "0000000000000010 0fa0 0000000000000012 0fa1 0000000000000014 0fa2 "
                     "0000000000000016 0fa3 fffffffffffffffe ffff",
                     0, HOMA_FORMAT_UDP, &packet);
    assert_int_equal(packet.ack.count, 5);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(packet.ack.acks[i].client_id, 16 + 2 * i);
        assert_int_equal(packet.ack.acks[i].server_port, 4000 + i);
    }
    assert_int_equal(packet.ack.acks[4].client_id, UINT64_MAX - 1);
    assert_int_equal(packet.ack.acks[4].server_port, UINT16_MAX);
}

static void trailing_bytes_of_protocol_146_are_padding(void **state)
{
    static const char *const controls[] = {GRANT, RESEND, BUSY, CUTOFFS, NEED_ACK, ACK};
    struct homa_packet packet;

    (void)state;
    for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {
        int alone = decode_hex(controls[i], 0, HOMA_FORMAT_IP, &packet);

        assert_int_equal(decode_hex(controls[i], 19, HOMA_FORMAT_IP, &packet), alone + 19);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation_of_every_type_is_short),
        cmocka_unit_test(types_that_do_not_exist_are_refused),
        cmocka_unit_test(versions_other_than_1_are_refused_on_udp),
        cmocka_unit_test(an_unknown_version_is_told_before_an_unknown_type),
        cmocka_unit_test(data_of_an_impossible_message_length_is_refused),
        cmocka_unit_test(data_that_starts_beyond_its_message_is_refused),
        cmocka_unit_test(payload_beyond_the_message_is_refused_on_protocol_146),
        cmocka_unit_test(an_ack_that_counts_more_than_it_holds_is_refused),
        cmocka_unit_test(the_modules_request_is_understood),
        cmocka_unit_test(the_modules_response_is_understood),
        cmocka_unit_test(an_ack_that_rides_on_data_is_understood),
        cmocka_unit_test(the_modules_control_packets_are_understood),
        cmocka_unit_test(the_modules_ack_is_understood),
        cmocka_unit_test(the_modules_cutoffs_are_understood),
        cmocka_unit_test(the_kernel_forms_data_is_understood),
        cmocka_unit_test(the_kernel_forms_resend_has_no_priority),
        cmocka_unit_test(offset_minus_one_means_the_sequence),
        cmocka_unit_test(an_explicit_offset_overrides_the_sequence),
        cmocka_unit_test(the_longest_message_and_its_last_byte_are_accepted),
        cmocka_unit_test(data_without_payload_is_accepted),
        cmocka_unit_test(any_retransmit_mark_but_zero_is_true),
        cmocka_unit_test(a_priority_that_does_not_exist_is_the_highest),
        cmocka_unit_test(capabilities_are_read_on_udp_only),
        cmocka_unit_test(five_acks_fill_an_ack_packet),
        cmocka_unit_test(trailing_bytes_of_protocol_146_are_padding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
