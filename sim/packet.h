/*
 * One datagram on its way through the simulated network. Where every byte is to be judged (the
 * seeded disasters) it carries all of them; in experiments with millions of packets only the Homa
 * header travels, and the payload, which nobody looks at, is made up at the other end.
 */
#ifndef SIM_PACKET_H
#define SIM_PACKET_H

#include "base/packet.h"
#include "sim/clock.h"

#include <stdint.h>
#include <stdbool.h>

struct sim_packet {
    struct sim_packet *next; /* in the queue that holds it */
    sim_time at;             /* when it reaches the end of the link it is on */
    uint8_t *bytes;          /* all `length` bytes (malloc, the packet's own), or NULL: header[] */
    uint32_t length;         /* of the datagram: Homa header and payload */
    uint32_t wire_bytes;     /* what it occupies on a link, preamble and gap included */
    uint16_t from;           /* hosts, by number */
    uint16_t to;
    uint16_t source_port; /* of the datagram, as UDP would say it */
    uint16_t destination_port;
    uint8_t priority; /* 0 (lowest) .. 7 */
    uint8_t header_length;
    uint8_t header[BASE_PACKET_HEADER_MAX];
};

#endif
