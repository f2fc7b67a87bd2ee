/*
 * Damage (fault_damage.h). A datagram of the seeded disasters carries all its bytes in `bytes`; one
 * whose payload is not carried has only header[]. Both are treated here, so that nobody else needs
 * to ask. Every draw is a statement of its own: their order is part of the result.
 */
#include "sim/fault_damage.h"

#include "homa/packet.h"
#include "sim/world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FLIPS_MAX    8u  /* bits or bytes changed at a time */
#define EXTEND_MAX   64u /* bytes of nonsense at the end */
#define DATAGRAM_MAX 65507u

static uint8_t *bytes_of(struct sim_packet *packet, uint32_t *length)
{
    *length = packet->bytes != NULL ? packet->length : packet->header_length;
    return packet->bytes != NULL ? packet->bytes : packet->header;
}

static uint8_t type_of(const uint8_t *bytes, size_t length)
{
    return length >= HOMA_COMMON_HEADER_LENGTH ? bytes[11] : 0;
}

static size_t header_length_of(const uint8_t *bytes, size_t length)
{
    size_t header = type_of(bytes, length) == HOMA_DATA ? HOMA_DATA_HEADER_LENGTH
                                                        : homa_packet_front_length(bytes, length);

    return header < length ? header : length;
}

uint16_t sim_packet_types(const struct sim_packet *packet)
{
    uint32_t length = 0;
    const uint8_t *at = sim_packet_bytes(packet, &length);
    unsigned types = 0;

    while (length > 0) {
        uint8_t type = type_of(at, length);
        size_t front = homa_packet_front_length(at, length);

        if (type >= HOMA_DATA && type < HOMA_DATA + HOMA_PACKET_TYPES)
            types |= 1u << (type - HOMA_DATA);
        at += front;
        length -= (uint32_t)front;
    }
    return (uint16_t)types;
}

/* ---- bytes ---- */

static void flip_bits(uint8_t *bytes, size_t length, struct base_random *random)
{
    uint64_t flips = 1 + base_random_below(random, FLIPS_MAX);

    for (uint64_t i = 0; i < flips; i++) {
        uint64_t bit = base_random_below(random, (uint64_t)length * 8);

        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
    }
}

/* Puts something else in the place of one field, or of part of one. */
static void overwrite(uint8_t *bytes, size_t length, struct base_random *random)
{
    uint64_t width = 1 + base_random_below(random, FLIPS_MAX);
    uint64_t start = base_random_below(random, length);
    uint64_t style = base_random_below(random, 3);

    for (uint64_t i = start; i < start + width && i < length; i++) {
        uint8_t noise = (uint8_t)base_random_u64(random);

        bytes[i] = style == 0 ? 0 : style == 1 ? 0xff : noise;
    }
}

static void scramble(uint8_t *bytes, size_t length, struct base_random *random)
{
    uint64_t style = base_random_below(random, 2);
    uint64_t at = base_random_below(random, length);
    uint8_t before = bytes[at];

    if (style == 0)
        flip_bits(bytes, length, random);
    else
        overwrite(bytes, length, random);
    /* So that what is called changed is. Flips may undo each other, and zeros meet zeros. */
    bytes[at] = (uint8_t)(before ^ 0x40u);
}

bool sim_damage_header(struct sim_packet *packet, struct base_random *random)
{
    uint32_t length = 0;
    uint8_t *at = bytes_of(packet, &length);
    uint64_t skip = base_random_below(random, 4); /* in a bundle, any of the first four */

    if (length == 0)
        return false;
    for (; skip > 0; skip--) {
        size_t front = homa_packet_front_length(at, length);

        if (front >= length)
            break;
        at += front;
        length -= (uint32_t)front;
    }
    scramble(at, header_length_of(at, length), random);
    return true;
}

bool sim_damage_payload(struct sim_packet *packet, struct base_random *random)
{
    uint32_t length = 0;
    uint8_t *at = bytes_of(packet, &length);

    while (length > 0) {
        size_t front = homa_packet_front_length(at, length);

        if (type_of(at, length) == HOMA_DATA && front > HOMA_DATA_HEADER_LENGTH) {
            scramble(at + HOMA_DATA_HEADER_LENGTH, front - HOMA_DATA_HEADER_LENGTH, random);
            return true;
        }
        at += front;
        length -= (uint32_t)front;
    }
    return false;
}

/* ---- length ---- */

bool sim_damage_truncate(struct sim_packet *packet, struct base_random *random)
{
    if (packet->length == 0)
        return false;
    packet->length = (uint32_t)base_random_below(random, packet->length);
    if (packet->header_length > packet->length)
        packet->header_length = (uint8_t)packet->length;
    return true;
}

/* The datagram has all its bytes in `bytes` afterwards, with room for some more. */
static bool make_room(struct sim_packet *packet, uint32_t more)
{
    bool is_whole = packet->bytes != NULL || packet->header_length == packet->length;
    uint8_t *bytes = NULL;

    if (!is_whole || packet->length + more > DATAGRAM_MAX)
        return false;
    bytes = sim_allocate((size_t)packet->length + more, 1);
    memcpy(bytes, packet->bytes != NULL ? packet->bytes : packet->header, packet->length);
    free(packet->bytes);
    packet->bytes = bytes;
    return true;
}

bool sim_damage_extend(struct sim_packet *packet, struct base_random *random)
{
    uint32_t more = 1 + (uint32_t)base_random_below(random, EXTEND_MAX);
    uint64_t style = base_random_below(random, 2);
    uint32_t length = packet->length;

    if (!make_room(packet, more))
        return false;
    for (uint32_t i = 0; i < more; i++) {
        uint8_t noise = (uint8_t)base_random_u64(random);

        /* Noise, or the datagram's own beginning once more: a packet that looks like one. */
        packet->bytes[length + i] = style == 0 || i >= length ? noise : packet->bytes[i];
    }
    packet->length += more;
    packet->wire_bytes += more;
    return true;
}
