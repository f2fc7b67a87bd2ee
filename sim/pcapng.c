/*
 * pcapng, written by hand (pcapng.h). A file is a row of blocks: type, total length, body, total
 * length again; bodies and options are padded to four bytes. Ours is one section: its header, an
 * interface and a name for each host, and then a block for each packet. It is little-endian on
 * every machine. The packets inside are network order, as always.
 *
 * A block is put together in memory and written at once.
 */
#include "sim/pcapng.h"

#include "sim/fault_damage.h"
#include "sim/world.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Blocks. */
#define SECTION_HEADER   0x0a0d0d0au
#define INTERFACE        1u
#define NAME_RESOLUTION  4u
#define ENHANCED_PACKET  6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du

/* Options, by the block that they are in. */
#define OPTION_END                 0u
#define OPTION_COMMENT             1u
#define SECTION_OPTION_APPLICATION 4u
#define INTERFACE_OPTION_NAME      2u
#define INTERFACE_OPTION_IPV4      4u
#define INTERFACE_OPTION_RESOLVES  9u /* 10^-n s */
#define PACKET_OPTION_FLAGS        2u
#define PACKET_INBOUND             1u
#define PACKET_OUTBOUND            2u

#define NAME_END             0u
#define NAME_IPV4            1u
#define LINK_IPV4            228u /* packets begin with their IPv4 header */
#define NANOSECONDS          9u
#define IP_HEADER            20u
#define UDP_HEADER           8u
#define UDP_PROTOCOL         17u
#define DATAGRAM_MAX         65507u
#define COMMENT_MAX          512u
#define BLOCK_MAX            (IP_HEADER + UDP_HEADER + DATAGRAM_MAX + COMMENT_MAX + 128u)
#define HOST_NAME_MAX_LENGTH 16u

struct sim_pcapng {
    FILE *file;
    int error; /* the first; negative errno */
    uint32_t hosts;
    uint8_t (*addresses)[4];
    size_t length; /* of the block so far */
    uint8_t block[BLOCK_MAX];
};

/* ---- blocks ---- */

static void put(struct sim_pcapng *pcapng, const void *bytes, size_t length)
{
    assert(pcapng->length + length <= sizeof(pcapng->block));
    if (length > 0)
        memcpy(pcapng->block + pcapng->length, bytes, length);
    pcapng->length += length;
}

static void put_u16(struct sim_pcapng *pcapng, uint16_t value)
{
    const uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};

    put(pcapng, bytes, sizeof(bytes));
}

static void put_u32(struct sim_pcapng *pcapng, uint32_t value)
{
    put_u16(pcapng, (uint16_t)value);
    put_u16(pcapng, (uint16_t)(value >> 16));
}

static void put_padding(struct sim_pcapng *pcapng)
{
    static const uint8_t zeros[4];

    put(pcapng, zeros, (4 - pcapng->length % 4) % 4);
}

static void put_option(struct sim_pcapng *pcapng, uint16_t code, const void *bytes, uint16_t length)
{
    put_u16(pcapng, code);
    put_u16(pcapng, length);
    put(pcapng, bytes, length);
    put_padding(pcapng);
}

static void begin_block(struct sim_pcapng *pcapng, uint32_t type)
{
    pcapng->length = 0;
    put_u32(pcapng, type);
    put_u32(pcapng, 0); /* the length, known at the end */
}

static void end_block(struct sim_pcapng *pcapng)
{
    size_t length = pcapng->length + 4;

    pcapng->length = 4;
    put_u32(pcapng, (uint32_t)length);
    pcapng->length = length - 4;
    put_u32(pcapng, (uint32_t)length);
    errno = 0;
    if (fwrite(pcapng->block, 1, length, pcapng->file) != length && pcapng->error == 0)
        pcapng->error = errno != 0 ? -errno : -EIO;
}

/* ---- the head of the file ---- */

static void write_section(struct sim_pcapng *pcapng)
{
    static const char application[] = "missive sim";

    begin_block(pcapng, SECTION_HEADER);
    put_u32(pcapng, BYTE_ORDER_MAGIC);
    put_u16(pcapng, 1); /* version 1.0 */
    put_u16(pcapng, 0);
    put_u32(pcapng, UINT32_MAX); /* the section's length: not told */
    put_u32(pcapng, UINT32_MAX);
    put_option(pcapng, SECTION_OPTION_APPLICATION, application, sizeof(application) - 1);
    put_option(pcapng, OPTION_END, NULL, 0);
    end_block(pcapng);
}

static uint16_t name_of(uint32_t host, char name[HOST_NAME_MAX_LENGTH])
{
    return (uint16_t)snprintf(name, HOST_NAME_MAX_LENGTH, "host%" PRIu32, host);
}

static void write_interface(struct sim_pcapng *pcapng, uint32_t host)
{
    static const uint8_t mask[4] = {255, 0, 0, 0};
    static const uint8_t resolution = NANOSECONDS;
    char name[HOST_NAME_MAX_LENGTH];
    uint16_t length = name_of(host, name);
    uint8_t address[8];

    memcpy(address, pcapng->addresses[host], 4);
    memcpy(address + 4, mask, 4);
    begin_block(pcapng, INTERFACE);
    put_u16(pcapng, LINK_IPV4);
    put_u16(pcapng, 0);
    put_u32(pcapng, 0); /* captures are as long as they are */
    put_option(pcapng, INTERFACE_OPTION_NAME, name, length);
    put_option(pcapng, INTERFACE_OPTION_IPV4, address, sizeof(address));
    put_option(pcapng, INTERFACE_OPTION_RESOLVES, &resolution, 1);
    put_option(pcapng, OPTION_END, NULL, 0);
    end_block(pcapng);
}

static void write_name(struct sim_pcapng *pcapng, uint32_t host)
{
    char name[HOST_NAME_MAX_LENGTH];
    uint16_t length = name_of(host, name);

    begin_block(pcapng, NAME_RESOLUTION);
    put_u16(pcapng, NAME_IPV4);
    put_u16(pcapng, (uint16_t)(4 + length + 1));
    put(pcapng, pcapng->addresses[host], 4);
    put(pcapng, name, (size_t)length + 1);
    put_padding(pcapng);
    put_u16(pcapng, NAME_END);
    put_u16(pcapng, 0);
    end_block(pcapng);
}

struct sim_pcapng *sim_pcapng_open(FILE *file, uint32_t hosts, const uint8_t (*addresses)[4])
{
    struct sim_pcapng *pcapng = sim_allocate(1, sizeof(*pcapng));

    pcapng->file = file;
    pcapng->hosts = hosts;
    pcapng->addresses = sim_allocate(hosts > 0 ? hosts : 1, sizeof(*addresses));
    write_section(pcapng);
    for (uint32_t i = 0; i < hosts; i++) {
        memcpy(pcapng->addresses[i], addresses[i], sizeof(*addresses));
        write_interface(pcapng, i);
    }
    for (uint32_t i = 0; i < hosts; i++)
        write_name(pcapng, i);
    return pcapng;
}

int sim_pcapng_close(struct sim_pcapng *pcapng)
{
    int error = 0;

    if (pcapng == NULL)
        return 0;
    errno = 0;
    if (fflush(pcapng->file) != 0 && pcapng->error == 0)
        pcapng->error = errno != 0 ? -errno : -EIO;
    error = pcapng->error;
    free(pcapng->addresses);
    free(pcapng);
    return error;
}

/* ---- packets ---- */

/* The internet checksum: the sum of 16-bit words, with its carries; not inverted yet. */
static uint32_t add_up(uint32_t sum, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static void put_network_u16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void make_ip_header(const struct sim_packet *packet, const uint8_t *from, const uint8_t *to,
                           uint8_t header[IP_HEADER])
{
    memset(header, 0, IP_HEADER);
    header[0] = 0x45; /* version 4, five words */
    header[1] = (uint8_t)(packet->priority << 5);
    put_network_u16(header + 2, IP_HEADER + UDP_HEADER + packet->length);
    header[6] = 0x40; /* not to be fragmented */
    header[8] = 64;   /* hops */
    header[9] = UDP_PROTOCOL;
    memcpy(header + 12, from, 4);
    memcpy(header + 16, to, 4);
    put_network_u16(header + 10, ~add_up(0, header, IP_HEADER) & 0xffff);
}

/* With a checksum where all of the payload is there, without one (0) where it is not. */
static void make_udp_header(const struct sim_packet *packet, const uint8_t *ip,
                            const uint8_t *bytes, uint32_t length, uint8_t header[UDP_HEADER])
{
    uint32_t udp_length = UDP_HEADER + packet->length;
    uint32_t sum = UDP_PROTOCOL + udp_length; /* of the pseudo header, first */

    memset(header, 0, UDP_HEADER);
    put_network_u16(header, packet->source_port);
    put_network_u16(header + 2, packet->destination_port);
    put_network_u16(header + 4, udp_length);
    if (length < packet->length)
        return;
    sum = add_up(sum, ip + 12, 8);
    sum = add_up(sum, header, UDP_HEADER);
    sum = ~add_up(sum, bytes, length) & 0xffff;
    put_network_u16(header + 6, sum != 0 ? sum : 0xffff);
}

void sim_pcapng_packet(struct sim_pcapng *pcapng, sim_time now, const struct sim_packet *packet,
                       bool is_arrival, const char *comment)
{
    static const uint8_t nowhere[4];
    const uint8_t *from = packet->from < pcapng->hosts ? pcapng->addresses[packet->from] : nowhere;
    const uint8_t *to = packet->to < pcapng->hosts ? pcapng->addresses[packet->to] : nowhere;
    size_t comment_length = comment != NULL ? strnlen(comment, COMMENT_MAX) : 0;
    uint64_t ns = now / SIM_NS;
    uint32_t length = 0;
    const uint8_t *bytes = sim_packet_bytes(packet, &length);
    uint8_t ip[IP_HEADER];
    uint8_t udp[UDP_HEADER];

    assert(packet->length <= DATAGRAM_MAX && length <= packet->length);
    make_ip_header(packet, from, to, ip);
    make_udp_header(packet, ip, bytes, length, udp);
    begin_block(pcapng, ENHANCED_PACKET);
    put_u32(pcapng, is_arrival ? packet->to : packet->from);
    put_u32(pcapng, (uint32_t)(ns >> 32));
    put_u32(pcapng, (uint32_t)ns);
    put_u32(pcapng, IP_HEADER + UDP_HEADER + length);
    put_u32(pcapng, IP_HEADER + UDP_HEADER + packet->length);
    put(pcapng, ip, sizeof(ip));
    put(pcapng, udp, sizeof(udp));
    put(pcapng, bytes, length);
    put_padding(pcapng);
    if (comment_length > 0)
        put_option(pcapng, OPTION_COMMENT, comment, (uint16_t)comment_length);
    put_u16(pcapng, PACKET_OPTION_FLAGS);
    put_u16(pcapng, 4);
    put_u32(pcapng, is_arrival ? PACKET_INBOUND : PACKET_OUTBOUND);
    put_option(pcapng, OPTION_END, NULL, 0);
    end_block(pcapng);
}
