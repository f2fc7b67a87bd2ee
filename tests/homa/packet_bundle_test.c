/* Bundles: several packets in one datagram of the udp format, and where each of them ends. */
#include "homa/packet.h"
#include "support/hex.h"
#include "support/test.h"

#include <errno.h>
#include <string.h>

#define UDP_BUSY  "0fa08000 00000000 01000014 50000000 00000000 0000000000000003"
#define UDP_GRANT "0fa08000 00000000 01000011 50000000 00000000 0000000000000003 00002710 05"
/* Bytes 10 .. 13 of a message of 14, so that it ends the message. */
#define UDP_LAST_DATA                                                                  \
    "80000fa0 0000000a 01000010 e0000000 00000000 0000000000000002 0000000e 0000000e " \
    "0000000000000000 0000 0000 00 000000 0000000a 61626364"
/* Bytes 0 .. 3 of the same, so that more of it must come. */
#define UDP_FIRST_DATA                                                                 \
    "80000fa0 00000000 01000010 e0000000 00000000 0000000000000002 0000000e 0000000e " \
    "0000000000000000 0000 0000 00 000000 00000000 61626364"

#define DATAGRAM_MAX 2048

static void payload_points_into_the_datagram(void **state)
{
    struct homa_packet packet;
    enum homa_packet_fault fault;
    uint8_t bytes[DATAGRAM_MAX];
    size_t length = hex_bytes(UDP_LAST_DATA, bytes, sizeof(bytes));

    (void)state;
    assert_int_equal(homa_packet_decode(bytes, length, HOMA_FORMAT_UDP, &packet, &fault), 60);
    assert_ptr_equal(packet.data.payload, bytes + 56);
    assert_int_equal(packet.data.payload_length, 4);
}

static void a_control_packet_is_followed_by_the_next_one(void **state)
{
    struct homa_packet packet;
    enum homa_packet_fault fault;
    uint8_t bytes[DATAGRAM_MAX];
    size_t length = hex_bytes(UDP_GRANT UDP_BUSY UDP_FIRST_DATA, bytes, sizeof(bytes));
    int taken;

    (void)state;
    taken = homa_packet_decode(bytes, length, HOMA_FORMAT_UDP, &packet, &fault);
    assert_int_equal(taken, 33);
    assert_int_equal(packet.type, HOMA_GRANT);
    assert_int_equal(packet.grant.priority, 5);
    taken = homa_packet_decode(bytes + 33, length - 33, HOMA_FORMAT_UDP, &packet, &fault);
    assert_int_equal(taken, 28);
    assert_int_equal(packet.type, HOMA_BUSY);
    taken = homa_packet_decode(bytes + 61, length - 61, HOMA_FORMAT_UDP, &packet, &fault);
    assert_int_equal(taken, 60);
    assert_int_equal(packet.type, HOMA_DATA);
    assert_int_equal(packet.data.payload_length, 4);
    assert_int_equal(33 + 28 + 60, length);
}

static void data_that_ends_its_message_is_followed_by_the_next_packet(void **state)
{
    struct homa_packet packet;
    enum homa_packet_fault fault;
    uint8_t bytes[DATAGRAM_MAX];
    size_t length = hex_bytes(UDP_LAST_DATA UDP_BUSY, bytes, sizeof(bytes));

    (void)state;
    assert_int_equal(homa_packet_decode(bytes, length, HOMA_FORMAT_UDP, &packet, &fault), 60);
    assert_int_equal(packet.data.payload_length, 4);
    assert_memory_equal(packet.data.payload, "abcd", 4);
    assert_int_equal(homa_packet_decode(bytes + 60, length - 60, HOMA_FORMAT_UDP, &packet, &fault),
                     28);
    assert_int_equal(packet.type, HOMA_BUSY);
}

static void data_that_does_not_end_its_message_takes_the_rest(void **state)
{
    struct homa_packet packet;
    enum homa_packet_fault fault;
    uint8_t bytes[DATAGRAM_MAX] = {0};
    size_t length = hex_bytes(UDP_FIRST_DATA, bytes, sizeof(bytes));

    (void)state;
    /* 10 more bytes of the message are to come; 9 and then 10 zeros do. */
    for (size_t zeros = 9; zeros <= 10; zeros++) {
        assert_int_equal(
            homa_packet_decode(bytes, length + zeros, HOMA_FORMAT_UDP, &packet, &fault),
            length + zeros);
        assert_int_equal(packet.data.payload_length, 4 + zeros);
    }
}

static void a_resend_in_a_bundle_has_its_priority(void **state)
{
    static const char resend[] =
        "80000fa0 00000000 01000012 50000000 00000000 0000000000000002 00000000 00000af0 06";
    struct homa_packet packet;
    enum homa_packet_fault fault;
    uint8_t bytes[DATAGRAM_MAX];
    size_t length = hex_bytes(resend, bytes, sizeof(bytes));

    (void)state;
    length += hex_bytes(UDP_BUSY, bytes + length, sizeof(bytes) - length);
    assert_int_equal(homa_packet_decode(bytes, length, HOMA_FORMAT_UDP, &packet, &fault), 37);
    assert_true(packet.resend.has_priority);
    assert_int_equal(packet.resend.priority, 6);
    /* Alone and without its last byte it is the short form. */
    assert_int_equal(homa_packet_decode(bytes, 36, HOMA_FORMAT_UDP, &packet, &fault), 36);
    assert_false(packet.resend.has_priority);
}

static void garbage_behind_a_packet_does_not_spoil_the_packet(void **state)
{
    struct homa_packet packet;
    enum homa_packet_fault fault;
    uint8_t bytes[DATAGRAM_MAX];
    size_t length = hex_bytes(UDP_GRANT "ffffff", bytes, sizeof(bytes));

    (void)state;
    assert_int_equal(homa_packet_decode(bytes, length, HOMA_FORMAT_UDP, &packet, &fault), 33);
    assert_int_equal(homa_packet_decode(bytes + 33, length - 33, HOMA_FORMAT_UDP, &packet, &fault),
                     -EBADMSG);
    assert_int_equal(fault, HOMA_PACKET_SHORT);
}

static void the_front_packets_length_is_told(void **state)
{
    uint8_t bytes[DATAGRAM_MAX];
    size_t length;

    (void)state;
    length = hex_bytes(UDP_GRANT UDP_BUSY, bytes, sizeof(bytes));
    assert_int_equal(homa_packet_front_length(bytes, length), 33);
    assert_int_equal(homa_packet_front_length(bytes + 33, length - 33), 28);
    length = hex_bytes(UDP_LAST_DATA UDP_BUSY, bytes, sizeof(bytes));
    assert_int_equal(homa_packet_front_length(bytes, length), 60);
}

static void a_malformed_datagram_has_one_front_packet(void **state)
{
    uint8_t bytes[DATAGRAM_MAX] = {0};

    (void)state;
    assert_int_equal(homa_packet_front_length(bytes, 0), 0);
    assert_int_equal(homa_packet_front_length(bytes, 27), 27);
    assert_int_equal(homa_packet_front_length(bytes, sizeof(bytes)), sizeof(bytes));
}

/* For all that may be followed: the receiver finds the end that the sender meant. */
static void the_receiver_finds_where_a_followed_packet_ends(void **state)
{
    static uint8_t bundle[4096];

    (void)state;
    for (unsigned type = HOMA_DATA; type <= HOMA_ACK; type++) {
        struct homa_packet packet = {.type = (enum homa_packet_type)type, .id = 5};
        struct homa_packet decoded;
        enum homa_packet_fault fault;
        struct base_packet out;
        int expected;

        if (type == HOMA_DATA) {
            packet.data.message_length = 3000;
            packet.data.offset = 1600;
            packet.data.payload_length = 1400;
        } else if (type == HOMA_RESEND) {
            packet.resend.has_priority = true;
        }
        homa_packet_encode(&packet, HOMA_FORMAT_UDP, &out);
        assert_true(out.may_be_followed);
        memset(bundle, 0xee, sizeof(bundle));
        memcpy(bundle, out.header, out.header_length);
        expected = out.header_length + (type == HOMA_DATA ? 1400 : 0);
        assert_int_equal(
            homa_packet_decode(bundle, sizeof(bundle), HOMA_FORMAT_UDP, &decoded, &fault),
            expected);
        assert_int_equal(decoded.type, type);
        assert_int_equal(decoded.id, packet.id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(garbage_behind_a_packet_does_not_spoil_the_packet),
        cmocka_unit_test(a_malformed_datagram_has_one_front_packet),
        cmocka_unit_test(payload_points_into_the_datagram),
        cmocka_unit_test(a_control_packet_is_followed_by_the_next_one),
        cmocka_unit_test(data_that_ends_its_message_is_followed_by_the_next_packet),
        cmocka_unit_test(data_that_does_not_end_its_message_takes_the_rest),
        cmocka_unit_test(a_resend_in_a_bundle_has_its_priority),
        cmocka_unit_test(the_front_packets_length_is_told),
        cmocka_unit_test(the_receiver_finds_where_a_followed_packet_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
