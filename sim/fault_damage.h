/*
 * Changing a datagram's bytes as a bad memory or a bad switch would: behind the back of whatever
 * checksum the carrier has. For fault.c; also where it is known how to walk through the packets of
 * a datagram of which perhaps only the header is carried.
 */
#ifndef SIM_FAULT_DAMAGE_H
#define SIM_FAULT_DAMAGE_H

#include "base/random.h"
#include "sim/packet.h"

#include <stdint.h>
#include <stdbool.h>

/* The bytes of a datagram that are carried, and how many they are. */
static inline const uint8_t *sim_packet_bytes(const struct sim_packet *packet, uint32_t *length)
{
    *length = packet->bytes != NULL ? packet->length : packet->header_length;
    return packet->bytes != NULL ? packet->bytes : packet->header;
}

/* The types of the packets in it: bit = type - HOMA_DATA. 0: it begins with nothing of the kind. */
uint16_t sim_packet_types(const struct sim_packet *packet);

/* Each returns whether it has changed anything; there may be nothing that it could change. */
bool sim_damage_header(struct sim_packet *packet, struct base_random *random);
bool sim_damage_payload(struct sim_packet *packet, struct base_random *random);
bool sim_damage_truncate(struct sim_packet *packet, struct base_random *random);
bool sim_damage_extend(struct sim_packet *packet, struct base_random *random);

#endif
