/*
 * pcapng files, byte by byte: the blocks and their order, the headers around a packet and their
 * checksums, times, comments; and what becomes of errors.
 */
#include "sim/pcapng.h"

#include "homa/packet.h"
#include "small_world.h"
#include "support/hex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IP_LENGTH  20u
#define UDP_LENGTH 8u

static const uint8_t addresses[2][4] = {{10, 0, 0, 1}, {10, 0, 0, 2}};

struct fixture {
    struct small_world small;
    struct sim_pcapng *pcapng;
    FILE *file;
    char *bytes; /* of the file; valid after finish() */
    size_t length;
    size_t at; /* the next block */
};

struct block {
    uint32_t type;
    const uint8_t *body;
    uint32_t length; /* of the body */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return -1;
    small_open(&f->small, 2);
    f->file = open_memstream(&f->bytes, &f->length);
    if (f->file == NULL)
        return -1;
    f->pcapng = sim_pcapng_open(f->file, 2, addresses);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    (void)sim_pcapng_close(f->pcapng);
    (void)fclose(f->file);
    free(f->bytes);
    small_close(&f->small);
    free(f);
    return 0;
}

static void finish(struct fixture *f)
{
    assert_int_equal(sim_pcapng_close(f->pcapng), 0);
    f->pcapng = NULL;
}

static uint32_t u32_at(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint16_t u16_at(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint16_t network_u16_at(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* The next block, whose two lengths must agree. */
static struct block next_block(struct fixture *f)
{
    const uint8_t *at = (const uint8_t *)f->bytes + f->at;
    uint32_t length = 0;

    assert_true(f->at + 12 <= f->length);
    length = u32_at(at + 4);
    assert_true(length >= 12 && length % 4 == 0 && f->at + length <= f->length);
    assert_int_equal(u32_at(at + length - 4), length);
    f->at += length;
    return (struct block){.type = u32_at(at), .body = at + 8, .length = length - 12};
}

/* Finds an option of a block's body from `offset` on; returns its length, or -1. */
static int option(const struct block *block, uint32_t offset, uint16_t code, const uint8_t **value)
{
    while (offset + 4 <= block->length) {
        uint16_t found = u16_at(block->body + offset);
        uint16_t length = u16_at(block->body + offset + 2);

        if (found == 0) {
            assert_int_equal(offset + 4, block->length);
            return -1;
        }
        if (found == code) {
            *value = block->body + offset + 4;
            return length;
        }
        offset += 4u + (length + 3u) / 4 * 4;
    }
    fail_msg("no end of options");
    return -1;
}

static struct block packet_block(struct fixture *f)
{
    struct block block = next_block(f);

    for (; block.type != 6; block = next_block(f))
        ;
    return block;
}

static uint32_t options_of_packet(const struct block *block)
{
    return 20 + (u32_at(block->body + 12) + 3) / 4 * 4;
}

/* The sum that is 0xffff over whatever holds its own right checksum. */
static uint32_t sum_of(uint32_t sum, const uint8_t *bytes, uint32_t length)
{
    for (uint32_t i = 0; i < length; i += 2)
        sum += (uint32_t)bytes[i] << 8 | (i + 1 < length ? bytes[i + 1] : 0);
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* ---- the head ---- */

static void a_file_begins_with_its_section_and_an_interface_for_each_host(void **state)
{
    struct fixture *f = *state;
    uint8_t expected[256];
    size_t length = hex_bytes("0a0d0d0a 30000000 4d3c2b1a 01000000 ffffffffffffffff"
                              "04000b00 6d69737369766520 73696d00 00000000 30000000"
                              "01000000 38000000 e4000000 00000000"
                              "02000500 686f737430000000"
                              "04000800 0a000001ff000000"
                              "09000100 09000000 00000000 38000000",
                              expected, sizeof(expected));

    finish(f);
    assert_true(f->length > length);
    assert_memory_equal(f->bytes, expected, length);
}

static void hosts_have_names(void **state)
{
    struct fixture *f = *state;
    unsigned names = 0;

    finish(f);
    while (f->at < f->length) {
        struct block block = next_block(f);

        if (block.type != 4)
            continue;
        assert_int_equal(u16_at(block.body), 1);
        assert_int_equal(u16_at(block.body + 2), 4 + sizeof("host0"));
        assert_memory_equal(block.body + 4, addresses[names], 4);
        assert_string_equal((const char *)block.body + 8, names == 0 ? "host0" : "host1");
        names++;
    }
    assert_int_equal(names, 2);
}

/* ---- packets ---- */

static void a_packet_is_an_ipv4_datagram_with_right_checksums(void **state)
{
    struct fixture *f = *state;

    for (uint32_t payload = 100; payload < 102; payload++) { /* even and odd */
        struct sim_packet *packet = small_data(&f->small, 0, 1, payload);

        sim_pcapng_packet(f->pcapng, SIM_MS, packet, false, NULL);
        sim_packet_free(sim_world_network(f->small.world), packet);
    }
    finish(f);
    for (uint32_t payload = 100; payload < 102; payload++) {
        struct block block = packet_block(f);
        const uint8_t *ip = block.body + 20;
        const uint8_t *udp = ip + IP_LENGTH;
        uint32_t length = UDP_LENGTH + HOMA_DATA_HEADER_LENGTH + payload;

        assert_int_equal(u32_at(block.body + 12), IP_LENGTH + length);
        assert_int_equal(u32_at(block.body + 16), IP_LENGTH + length);
        assert_int_equal(ip[0], 0x45);
        assert_int_equal(ip[1], 5 << 5);
        assert_int_equal(network_u16_at(ip + 2), IP_LENGTH + length);
        assert_int_equal(ip[9], 17);
        assert_memory_equal(ip + 12, addresses[0], 4);
        assert_memory_equal(ip + 16, addresses[1], 4);
        assert_int_equal(sum_of(0, ip, IP_LENGTH), 0xffff);
        assert_int_equal(network_u16_at(udp), SMALL_CLIENT_PORT);
        assert_int_equal(network_u16_at(udp + 2), SMALL_SERVER_PORT);
        assert_int_equal(network_u16_at(udp + 4), length);
        assert_int_not_equal(network_u16_at(udp + 6), 0);
        assert_int_equal(sum_of(sum_of(17 + length, ip + 12, 8), udp, length), 0xffff);
        assert_int_equal(udp[UDP_LENGTH + 11], HOMA_DATA);
    }
}

/* To UDP, 0 in the checksum's place means that there is none. */
static void a_checksum_is_never_written_as_zero(void **state)
{
    struct fixture *f = *state;
    struct sim_packet *packet = small_data(&f->small, 0, 1, 2);
    uint8_t *payload = packet->bytes + HOMA_DATA_HEADER_LENGTH;
    const uint32_t checksum = 20 + IP_LENGTH + 6;
    struct block block;

    memset(payload, 0, 2);
    sim_pcapng_packet(f->pcapng, 0, packet, false, NULL);
    assert_int_equal(fflush(f->file), 0);
    block = packet_block(f);
    /* With its own checksum for payload, the sum of the whole becomes 0xffff. */
    memcpy(payload, block.body + checksum, 2);
    sim_pcapng_packet(f->pcapng, 0, packet, false, NULL);
    sim_packet_free(sim_world_network(f->small.world), packet);
    finish(f);
    block = packet_block(f);
    assert_int_equal(network_u16_at(block.body + checksum), 0xffff);
}

static void what_is_not_carried_is_left_out_and_has_no_checksum(void **state)
{
    struct fixture *f = *state;
    struct sim_packet *packet = small_data(&f->small, 0, 1, 1000);
    struct block block;

    free(packet->bytes);
    packet->bytes = NULL;
    sim_pcapng_packet(f->pcapng, 0, packet, false, NULL);
    sim_packet_free(sim_world_network(f->small.world), packet);
    finish(f);
    block = packet_block(f);
    assert_int_equal(u32_at(block.body + 12), IP_LENGTH + UDP_LENGTH + HOMA_DATA_HEADER_LENGTH);
    assert_int_equal(u32_at(block.body + 16),
                     IP_LENGTH + UDP_LENGTH + HOMA_DATA_HEADER_LENGTH + 1000);
    assert_int_equal(network_u16_at(block.body + 20 + IP_LENGTH + 6), 0);
    assert_int_equal(sum_of(0, block.body + 20, IP_LENGTH), 0xffff);
}

static void a_datagram_may_be_empty(void **state)
{
    struct fixture *f = *state;
    struct sim_packet *packet = small_data(&f->small, 0, 1, 1);
    struct block block;

    packet->length = 0;
    packet->header_length = 0;
    sim_pcapng_packet(f->pcapng, 0, packet, false, NULL);
    sim_packet_free(sim_world_network(f->small.world), packet);
    finish(f);
    block = packet_block(f);
    assert_int_equal(u32_at(block.body + 12), IP_LENGTH + UDP_LENGTH);
}

static void time_is_in_nanoseconds(void **state)
{
    struct fixture *f = *state;
    struct sim_packet *packet = small_data(&f->small, 0, 1, 1);
    const sim_time now = 5 * SIM_S + 123456789 * SIM_NS + 999; /* more than 32 bits */
    struct block block;

    sim_pcapng_packet(f->pcapng, now, packet, false, NULL);
    sim_packet_free(sim_world_network(f->small.world), packet);
    finish(f);
    block = packet_block(f);
    assert_true(((uint64_t)u32_at(block.body + 4) << 32 | u32_at(block.body + 8)) ==
                UINT64_C(5123456789));
}

static void a_packet_is_on_the_interface_of_who_sees_it(void **state)
{
    struct fixture *f = *state;
    struct sim_packet *packet = small_data(&f->small, 0, 1, 1);

    sim_pcapng_packet(f->pcapng, 0, packet, false, NULL);
    sim_pcapng_packet(f->pcapng, 1, packet, true, NULL);
    sim_packet_free(sim_world_network(f->small.world), packet);
    finish(f);
    for (uint32_t host = 0; host < 2; host++) {
        struct block block = packet_block(f);
        const uint8_t *flags = NULL;

        assert_int_equal(u32_at(block.body), host);
        assert_int_equal(option(&block, options_of_packet(&block), 2, &flags), 4);
        assert_int_equal(u32_at(flags), host == 0 ? 2 : 1); /* out, in */
    }
}

static void a_comment_goes_with_its_packet(void **state)
{
    struct fixture *f = *state;
    struct sim_packet *packet = small_data(&f->small, 0, 1, 3);
    const uint8_t *comment = NULL;
    struct block block;

    sim_pcapng_packet(f->pcapng, 0, packet, false, "lost: bursts");
    sim_pcapng_packet(f->pcapng, 0, packet, false, "");
    sim_packet_free(sim_world_network(f->small.world), packet);
    finish(f);
    block = packet_block(f);
    assert_int_equal(option(&block, options_of_packet(&block), 1, &comment), 12);
    assert_memory_equal(comment, "lost: bursts", 12);
    block = packet_block(f);
    assert_int_equal(option(&block, options_of_packet(&block), 1, &comment), -1);
}

static void a_full_disk_is_told_at_the_end(void **state)
{
    FILE *full = fopen("/dev/full", "wb");
    struct sim_pcapng *pcapng = NULL;

    (void)state;
    if (full == NULL)
        skip();
    pcapng = sim_pcapng_open(full, 2, addresses);
    assert_int_equal(sim_pcapng_close(pcapng), -ENOSPC);
    (void)fclose(full);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_begins_with_its_section_and_an_interface_for_each_host),
        TEST(hosts_have_names),
        TEST(a_packet_is_an_ipv4_datagram_with_right_checksums),
        TEST(a_checksum_is_never_written_as_zero),
        TEST(what_is_not_carried_is_left_out_and_has_no_checksum),
        TEST(a_datagram_may_be_empty),
        TEST(time_is_in_nanoseconds),
        TEST(a_packet_is_on_the_interface_of_who_sees_it),
        TEST(a_comment_goes_with_its_packet),
        cmocka_unit_test(a_full_disk_is_told_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
