/*
 * What a hostile host knows of RPCs: those of the last packets that it heard, by the id that each
 * end would understand. It forgets the oldest first. Now and then it guesses instead: near what it
 * knows, since ids are counted up, or at random.
 */
#include "sim/fault_damage.h"
#include "sim/hostile_internal.h"

#define GUESS_ONE_IN 8u

static void remember(struct sim_hostile *hostile, const struct hostile_known *known)
{
    hostile->known[hostile->known_next] = *known;
    hostile->known_next = (hostile->known_next + 1) % HOSTILE_KNOWN;
    if (hostile->known_count < HOSTILE_KNOWN)
        hostile->known_count++;
}

static void learn_packet(struct sim_hostile *hostile, const struct sim_packet *datagram,
                         const struct homa_packet *packet, bool is_ours)
{
    uint32_t length = packet->type == HOMA_DATA ? packet->data.message_length : 0;
    /* An id in a packet is the sender's own: its receiver flips the low bit. */
    const struct hostile_known sender = {.host = datagram->from,
                                         .port = datagram->source_port,
                                         .id = packet->id ^ 1,
                                         .length = length};
    const struct hostile_known receiver = {.host = datagram->to,
                                           .port = datagram->destination_port,
                                           .id = packet->id,
                                           .length = length};

    if (datagram->from != hostile->options.host)
        remember(hostile, &sender);
    if (!is_ours)
        remember(hostile, &receiver);
}

void hostile_learn(struct sim_hostile *hostile, const struct sim_packet *packet, bool is_ours)
{
    uint32_t left = 0;
    const uint8_t *at = sim_packet_bytes(packet, &left);

    while (left > 0) {
        struct homa_packet decoded;
        enum homa_packet_fault fault;
        int taken = homa_packet_decode(at, left, HOMA_FORMAT_UDP, &decoded, &fault);

        if (taken <= 0)
            return;
        learn_packet(hostile, packet, &decoded, is_ours);
        at += taken;
        left -= (uint32_t)taken;
    }
}

struct hostile_known hostile_recall(struct sim_hostile *hostile)
{
    uint64_t guess = hostile_below(hostile, GUESS_ONE_IN);
    uint64_t style = hostile_below(hostile, 3);
    uint64_t near = hostile_below(hostile, 64);
    uint64_t any = base_random_u64(&hostile->random);
    struct hostile_way way = hostile_any_way(hostile);
    struct hostile_known known = {.host = way.host, .port = way.port, .id = any};

    if (hostile->known_count > 0) {
        uint64_t which = hostile_below(hostile, hostile->known_count);

        known = hostile->known[which];
    }
    if (guess != 0 && hostile->known_count > 0)
        return known;
    if (style == 0)
        known.id = any;
    else if (style == 1)
        known.id += near - 32;
    else
        known.id = near;
    return known;
}
