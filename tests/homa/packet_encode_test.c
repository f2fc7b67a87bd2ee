/* Packets to bytes, in both formats. */
#include "homa/packet.h"
#include "support/hex.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define DATAGRAM_MAX 2048

static struct homa_packet packet_of(enum homa_packet_type type)
{
    return (struct homa_packet){
        .type = type,
        .source_port = 0x8000,
        .destination_port = 0x0fa0,
        .id = 0x0123456789abcdefu,
    };
}

static void assert_encodes(const struct homa_packet *packet, uint8_t format, const char *hex,
                           bool may_be_followed)
{
    struct base_packet out;
    uint8_t expected[DATAGRAM_MAX];
    size_t length = hex_bytes(hex, expected, sizeof(expected));

    memset(&out, 0xee, sizeof(out));
    homa_packet_encode(packet, format, &out);
    assert_int_equal(out.header_length, length);
    assert_memory_equal(out.header, expected, length);
    assert_int_equal(out.may_be_followed, may_be_followed);
}

static void data_is_encoded_with_its_offset_in_both_places(void **state)
{
    struct homa_packet packet = packet_of(HOMA_DATA);

    (void)state;
    packet.capabilities = 0x11;
    packet.data.message_length = 0x00010203;
    packet.data.incoming = 0x0000a0b0;
    packet.data.ack = (struct homa_ack){.client_id = 0xfedcba9876543210u, .server_port = 0x0fa1};
    packet.data.cutoff_version = 0x0907;
    packet.data.retransmit = true;
    packet.data.offset = 0x00000578;
    packet.data.payload_length = 1400;
    assert_encodes(&packet, HOMA_FORMAT_UDP,
                   "80000fa0 00000578 01110010 e0000000 00000000 0123456789abcdef 00010203 "
                   "0000a0b0 fedcba9876543210 0fa1 0907 01 000000 00000578",
                   false);
    assert_encodes(&packet, HOMA_FORMAT_IP,
                   "80000fa0 00000578 00000010 e0000000 00000000 0123456789abcdef 00010203 "
                   "0000a0b0 fedcba9876543210 0fa1 0907 01 000000 00000578",
                   false);
}

static void only_data_that_ends_its_message_may_be_followed(void **state)
{
    struct homa_packet packet = packet_of(HOMA_DATA);
    struct base_packet out;

    (void)state;
    packet.data.message_length = 3000;
    packet.data.offset = 1600;
    packet.data.payload_length = 1399;
    homa_packet_encode(&packet, HOMA_FORMAT_UDP, &out);
    assert_false(out.may_be_followed);
    packet.data.payload_length = 1400;
    homa_packet_encode(&packet, HOMA_FORMAT_UDP, &out);
    assert_true(out.may_be_followed);
    homa_packet_encode(&packet, HOMA_FORMAT_IP, &out);
    assert_false(out.may_be_followed);
}

static void control_packets_of_28_bytes_are_encoded(void **state)
{
    static const enum homa_packet_type types[] = {HOMA_RPC_UNKNOWN, HOMA_BUSY, HOMA_FREEZE,
                                                  HOMA_NEED_ACK};

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct homa_packet packet = packet_of(types[i]);
        char hex[128];

        (void)snprintf(hex, sizeof(hex),
                       "80000fa0 00000000 010000%02x 50000000 00000000 0123456789abcdef",
                       (unsigned)types[i]);
        assert_encodes(&packet, HOMA_FORMAT_UDP, hex, true);
        hex[19] = '0'; /* the version */
        assert_encodes(&packet, HOMA_FORMAT_IP, hex, false);
    }
}

static void a_grant_is_encoded(void **state)
{
    struct homa_packet packet = packet_of(HOMA_GRANT);

    (void)state;
    packet.grant.offset = 0x000312d0;
    packet.grant.priority = 3;
    assert_encodes(&packet, HOMA_FORMAT_UDP,
                   "80000fa0 00000000 01000011 50000000 00000000 0123456789abcdef 000312d0 03",
                   true);
    assert_encodes(&packet, HOMA_FORMAT_IP,
                   "80000fa0 00000000 00000011 50000000 00000000 0123456789abcdef 000312d0 03",
                   false);
}

static void a_resend_is_encoded_with_its_priority(void **state)
{
    struct homa_packet packet = packet_of(HOMA_RESEND);

    (void)state;
    packet.resend.length = HOMA_RESEND_ALL;
    packet.resend.priority = 7;
    packet.resend.has_priority = true;
    assert_encodes(
        &packet, HOMA_FORMAT_UDP,
        "80000fa0 00000000 01000012 50000000 00000000 0123456789abcdef 00000000 ffffffff 07", true);
    assert_encodes(
        &packet, HOMA_FORMAT_IP,
        "80000fa0 00000000 00000012 50000000 00000000 0123456789abcdef 00000000 ffffffff 07",
        false);
}

static void nothing_may_follow_a_resend_without_priority(void **state)
{
    struct homa_packet packet = packet_of(HOMA_RESEND);

    (void)state;
    packet.resend.offset = 1400;
    packet.resend.length = 2800;
    assert_encodes(&packet, HOMA_FORMAT_UDP,
                   "80000fa0 00000000 01000012 50000000 00000000 0123456789abcdef 00000578 "
                   "00000af0",
                   false);
}

static void cutoffs_are_encoded(void **state)
{
    struct homa_packet packet = packet_of(HOMA_CUTOFFS);

    (void)state;
    for (uint32_t level = 4; level < HOMA_PRIORITIES; level++)
        packet.cutoffs.unsched_cutoffs[level] = 0x10000u * (9 - level);
    packet.cutoffs.version = 0x0102;
    assert_encodes(&packet, HOMA_FORMAT_UDP,
                   "80000fa0 00000000 01000015 50000000 00000000 0123456789abcdef 00000000 "
                   "00000000 00000000 00000000 00050000 00040000 00030000 00020000 0102",
                   true);
}

static void an_ack_is_encoded_at_full_length(void **state)
{
    struct homa_packet packet = packet_of(HOMA_ACK);

    (void)state;
    memset(&packet.ack, 0xee, sizeof(packet.ack)); /* unused places must not leak */
    packet.ack.count = 2;
    packet.ack.acks[0] = (struct homa_ack){.client_id = 0x1e, .server_port = 0x0fa0};
    packet.ack.acks[1] = (struct homa_ack){.client_id = 0x20, .server_port = 0x0fa1};
    assert_encodes(&packet, HOMA_FORMAT_UDP,
                   "80000fa0 00000000 01000018 50000000 00000000 0123456789abcdef 0002 "
                   "000000000000001e 0fa0 0000000000000020 0fa1 00000000000000000000 "
                   "00000000000000000000 00000000000000000000",
                   true);
}

static void an_ack_of_nothing_is_all_zeros(void **state)
{
    struct homa_packet packet = packet_of(HOMA_ACK);
    struct base_packet out;
    static const uint8_t zeros[52];

    (void)state;
    homa_packet_encode(&packet, HOMA_FORMAT_UDP, &out);
    assert_int_equal(out.header_length, 80);
    assert_memory_equal(out.header + 28, zeros, sizeof(zeros));
}

static void each_type_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(homa_packet_type_name(HOMA_DATA), "DATA");
    assert_string_equal(homa_packet_type_name(HOMA_GRANT), "GRANT");
    assert_string_equal(homa_packet_type_name(HOMA_RESEND), "RESEND");
    assert_string_equal(homa_packet_type_name(HOMA_RPC_UNKNOWN), "RPC_UNKNOWN");
    assert_string_equal(homa_packet_type_name(HOMA_BUSY), "BUSY");
    assert_string_equal(homa_packet_type_name(HOMA_CUTOFFS), "CUTOFFS");
    assert_string_equal(homa_packet_type_name(HOMA_FREEZE), "FREEZE");
    assert_string_equal(homa_packet_type_name(HOMA_NEED_ACK), "NEED_ACK");
    assert_string_equal(homa_packet_type_name(HOMA_ACK), "ACK");
}

static void other_types_have_no_name(void **state)
{
    (void)state;
    assert_string_equal(homa_packet_type_name(0), "?");
    assert_string_equal(homa_packet_type_name(0x0f), "?");
    assert_string_equal(homa_packet_type_name(0x19), "?");
    assert_string_equal(homa_packet_type_name(UINT32_MAX), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_is_encoded_with_its_offset_in_both_places),
        cmocka_unit_test(only_data_that_ends_its_message_may_be_followed),
        cmocka_unit_test(control_packets_of_28_bytes_are_encoded),
        cmocka_unit_test(a_grant_is_encoded),
        cmocka_unit_test(a_resend_is_encoded_with_its_priority),
        cmocka_unit_test(nothing_may_follow_a_resend_without_priority),
        cmocka_unit_test(cutoffs_are_encoded),
        cmocka_unit_test(an_ack_is_encoded_at_full_length),
        cmocka_unit_test(an_ack_of_nothing_is_all_zeros),
        cmocka_unit_test(each_type_has_its_name),
        cmocka_unit_test(other_types_have_no_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
