/*
 * The Homa packet format (spec section 3): every type to and from bytes. This is the only place
 * that knows an offset inside a packet. Pure functions; nothing here keeps state or trusts its
 * input.
 *
 * Both carriers share the format: format version 1 (udp) stores the version and capability bits in
 * bytes 8 and 9 and allows bundles; version 0 is protocol 146, where those bytes are zero.
 */
#ifndef HOMA_PACKET_H
#define HOMA_PACKET_H

#include "base/packet.h"

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define HOMA_FORMAT_IP  0u /* protocol 146: no version byte, no bundles */
#define HOMA_FORMAT_UDP 1u /* the udp format, version 1 */

#define HOMA_COMMON_HEADER_LENGTH 28u
#define HOMA_DATA_HEADER_LENGTH   56u
#define HOMA_ACKS_PER_PACKET      5u
#define HOMA_PRIORITIES           8u
#define HOMA_RESEND_ALL           UINT32_MAX /* RESEND length: nothing has arrived yet */

enum homa_packet_type {
    HOMA_DATA = 0x10,
    HOMA_GRANT = 0x11,
    HOMA_RESEND = 0x12,
    HOMA_RPC_UNKNOWN = 0x13,
    HOMA_BUSY = 0x14,
    HOMA_CUTOFFS = 0x15,
    HOMA_FREEZE = 0x16,
    HOMA_NEED_ACK = 0x17,
    HOMA_ACK = 0x18,
};

/* Packet types are dense from HOMA_DATA; this many have counters of their own. */
#define HOMA_PACKET_TYPES 9u

/* Their names, in order. */
#define HOMA_PACKET_TYPE_NAMES(X) \
    X(DATA) X(GRANT) X(RESEND) X(RPC_UNKNOWN) X(BUSY) X(CUTOFFS) X(FREEZE) X(NEED_ACK) X(ACK)

/* "The client is done with this RPC." Ids are the client's (even). */
struct homa_ack {
    uint64_t client_id;
    uint16_t server_port;
};

/* One packet, decoded. `id` is the sender's: its low bit says whether the sender is the server. */
struct homa_packet {
    enum homa_packet_type type;
    uint16_t source_port;
    uint16_t destination_port;
    uint8_t capabilities; /* byte 9; 0 on protocol 146 */
    uint64_t id;
    union {
        struct {
            uint32_t message_length; /* 1 .. INT32_MAX */
            uint32_t incoming;       /* bytes the sender will send without further grants */
            struct homa_ack ack;     /* client_id 0 = none */
            uint16_t cutoff_version;
            bool retransmit;
            uint32_t offset;         /* of the payload in the message, below message_length */
            const uint8_t *payload;  /* decode only: points into the datagram */
            uint32_t payload_length; /* may be 0; never reaches beyond the message's end */
        } data;
        struct {
            uint32_t offset; /* everything below it may be sent; any value: limit it */
            uint8_t priority;
        } grant;
        struct {
            uint32_t offset; /* any value, as is length: add them up in 64 bits */
            uint32_t length; /* HOMA_RESEND_ALL: nothing has arrived */
            uint8_t priority;
            bool has_priority; /* false: the 36-byte form, whose sender never grants */
        } resend;
        struct {
            uint32_t unsched_cutoffs[HOMA_PRIORITIES]; /* by level, as in struct homa_knobs */
            uint16_t version;
        } cutoffs;
        struct {
            uint16_t count; /* <= HOMA_ACKS_PER_PACKET */
            struct homa_ack acks[HOMA_ACKS_PER_PACKET];
        } ack;
    };
};

/* Why homa_packet_decode() refused; each has a counter. */
enum homa_packet_fault {
    HOMA_PACKET_SHORT = 1, /* fewer bytes than its type, or its count of acks, needs */
    HOMA_PACKET_UNKNOWN_TYPE,
    HOMA_PACKET_UNKNOWN_VERSION, /* udp format, version byte other than 1 */
    HOMA_PACKET_BEYOND_END,      /* payload outside the message, or an impossible message length */
};

/*
 * Decodes the packet at the front of bytes. For DATA the payload is everything up to the end of the
 * datagram, or up to the message's end when `format` allows bundles and the packet ends its
 * message. Returns the number of bytes that this packet takes (> 0); what follows is the next
 * packet of a bundle. On protocol 146 trailing bytes are padding and the whole length is returned.
 * Returns -EBADMSG with *fault set when the bytes are no packet: the rest of the datagram is lost
 * with it, and *packet means nothing. An offset of -1 in DATA means "see the sequence field" (the
 * module's first dialect). A priority that does not exist is read as the highest.
 */
int homa_packet_decode(const void *bytes, size_t length, uint8_t format, struct homa_packet *packet,
                       enum homa_packet_fault *fault);

/*
 * Length of the packet at the front of a datagram in the udp format, for whoever must take bundles
 * apart without understanding them (the chaos wire). Malformed: the whole length.
 */
size_t homa_packet_front_length(const uint8_t *bytes, size_t length);

/*
 * Encodes packet's header into out->header and sets header_length and may_be_followed; for DATA the
 * caller sets the payload fields of `out` itself (packet->data.payload is ignored; payload_length
 * is used to tell whether the packet ends its message). A RESEND without priority takes the 36-byte
 * form, which nothing may follow. Never fails: every type fits.
 */
void homa_packet_encode(const struct homa_packet *packet, uint8_t format, struct base_packet *out);

/* A short name ("DATA", "GRANT" …) for counters, traces and messages; "?" when unknown. */
const char *homa_packet_type_name(unsigned type);

#endif
