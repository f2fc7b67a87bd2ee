/*
 * The chaos wire. What the inner wire receives is taken apart into packets, and each packet meets
 * its fate by dice: dropped, doubled, one bit flipped, held back, or delayed. Every copy that
 * survives is stored here with a time of release, in a heap by (time, order of coming); receive
 * hands out what is due. A packet that is neither held back nor delayed is due at once, so that all
 * take one way and nothing depends on the inner wire's buffers.
 *
 * Packets held back for reordering wait beside the heap, since what releases them is not the time
 * but the packets that come after them: each counts down as others come in, and joins the heap
 * behind the one that brought it to zero. A time limit sets them free when nothing comes. Few are
 * held at once, because each waits for at most HOLD_MAX others.
 *
 * The dice depend on the seed and on the packets' order only, so the same packets meet the same
 * fate. Sending is not touched. Memory is bounded: when the stores are full, packets drop and are
 * counted.
 */
#include "wire/chaos.h"

#include "base/pool.h"
#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Two stores, 8 and 64 MiB, untouched until needed. Datagrams are shorter than 64 KiB. */
#define SMALL_BYTES 2048u
#define SMALL_COUNT 4096u
#define LARGE_BYTES 65536u
#define LARGE_COUNT 1024u
#define HELD_COUNT  (SMALL_COUNT + LARGE_COUNT)

#define HOLD_MAX        4u       /* later packets that pass one that is held back */
#define HOLD_DEFAULT_NS 1000000u /* and for how long at most, when no delay is set */
/* Packets held back at once: those of the last HOLD_MAX, of the newest, and their duplicates. */
#define HOLD_COUNT (2 * (HOLD_MAX + 1))

#define TURNS_MAX 64u /* of one receive call */

/* A stored packet; its bytes follow. `arrival.bytes` points to them. */
struct chaos_packet {
    struct base_arrival arrival;
    uint64_t release_at; /* ns */
    uint64_t order;      /* of coming, among equal times */
    uint32_t to_pass;    /* held back: how many more packets must come in first */
};

struct wire_chaos {
    struct wire wire; /* first: the interface points here */
    struct wire *inner;
    struct wire_chaos_options options;
    size_t (*front_length)(const uint8_t *bytes, size_t length);
    struct base_random random;
    struct wire_chaos_counts counts;
    uint64_t next_order;
    struct base_pool small;
    struct base_pool large;
    struct chaos_packet *heap[HELD_COUNT]; /* by release time: a binary heap */
    size_t heap_count;
    struct chaos_packet *held[HOLD_COUNT]; /* for reordering; oldest first */
    size_t held_count;
    struct chaos_packet *given[WIRE_BATCH]; /* handed out, the caller's until the next receive */
    size_t given_count;
};

static struct wire_chaos *chaos_of(struct wire *wire)
{
    return (struct wire_chaos *)wire;
}

static const struct wire_chaos *chaos_of_const(const struct wire *wire)
{
    return (const struct wire_chaos *)wire;
}

/* ---- the store ---- */

/* Copies a packet into the store; NULL when it is full. */
static struct chaos_packet *packet_store(struct wire_chaos *wire,
                                         const struct base_arrival *arrival)
{
    bool is_small = arrival->length <= SMALL_BYTES;
    struct chaos_packet *packet = NULL;
    uint8_t *bytes = NULL;

    if (arrival->length <= LARGE_BYTES)
        packet = base_pool_take(is_small ? &wire->small : &wire->large);
    if (packet == NULL) {
        wire->counts.overflowed++;
        return NULL;
    }
    bytes = (uint8_t *)(packet + 1);
    memcpy(bytes, arrival->bytes, arrival->length);
    *packet = (struct chaos_packet){.arrival = *arrival};
    packet->arrival.bytes = bytes;
    return packet;
}

static void packet_discard(struct wire_chaos *wire, struct chaos_packet *packet)
{
    bool is_small = packet->arrival.length <= SMALL_BYTES;

    base_pool_give(is_small ? &wire->small : &wire->large, packet);
}

/* ---- the heap ---- */

static bool is_before(const struct chaos_packet *a, const struct chaos_packet *b)
{
    return a->release_at < b->release_at || (a->release_at == b->release_at && a->order < b->order);
}

static void heap_push(struct wire_chaos *wire, struct chaos_packet *packet)
{
    size_t at = wire->heap_count++;

    assert(at < HELD_COUNT);
    packet->order = wire->next_order++;
    while (at > 0 && is_before(packet, wire->heap[(at - 1) / 2])) {
        wire->heap[at] = wire->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    wire->heap[at] = packet;
}

static struct chaos_packet *heap_pop(struct wire_chaos *wire)
{
    struct chaos_packet *top = wire->heap[0];
    struct chaos_packet *last = wire->heap[--wire->heap_count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= wire->heap_count)
            break;
        if (child + 1 < wire->heap_count && is_before(wire->heap[child + 1], wire->heap[child]))
            child++;
        if (!is_before(wire->heap[child], last))
            break;
        wire->heap[at] = wire->heap[child];
        at = child;
    }
    wire->heap[at] = last;
    return top;
}

/* ---- holding back ---- */

static void held_release(struct wire_chaos *wire, size_t index, uint64_t release_at)
{
    struct chaos_packet *packet = wire->held[index];

    wire->held_count--;
    memmove(&wire->held[index], &wire->held[index + 1],
            (wire->held_count - index) * sizeof(wire->held[0]));
    packet->release_at = release_at;
    heap_push(wire, packet);
}

/* A packet has come in: those held back are one nearer to their release. */
static void held_count_down(struct wire_chaos *wire, uint64_t now)
{
    size_t i = 0;

    while (i < wire->held_count) {
        if (--wire->held[i]->to_pass == 0)
            held_release(wire, i, now);
        else
            i++;
    }
}

static void held_expire(struct wire_chaos *wire, uint64_t now)
{
    size_t i = 0;

    while (i < wire->held_count) {
        if (wire->held[i]->release_at <= now)
            held_release(wire, i, wire->held[i]->release_at);
        else
            i++;
    }
}

static void hold_back(struct wire_chaos *wire, uint64_t now, struct chaos_packet *packet)
{
    uint64_t limit_ns =
        wire->options.delay_us != 0 ? wire->options.delay_us * 1000ull : HOLD_DEFAULT_NS;

    assert(wire->held_count < HOLD_COUNT);
    /* One more than it shall wait for, since its own coming counts too. */
    packet->to_pass = 2 + (uint32_t)base_random_below(&wire->random, HOLD_MAX);
    packet->release_at = now + limit_ns;
    wire->counts.reordered++;
    wire->held[wire->held_count++] = packet;
}

/* ---- fate ---- */

static void packet_corrupt(struct wire_chaos *wire, struct chaos_packet *packet)
{
    uint64_t bit = base_random_below(&wire->random, (uint64_t)packet->arrival.length * 8);
    uint8_t *bytes = (uint8_t *)(packet + 1);

    bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
    wire->counts.corrupted++;
}

/* One copy of a packet: stored, perhaps damaged, and released some time. */
static void copy_in(struct wire_chaos *wire, uint64_t now, const struct base_arrival *arrival)
{
    struct chaos_packet *packet = packet_store(wire, arrival);

    if (packet == NULL)
        return;
    if (base_random_chance(&wire->random, wire->options.corrupt))
        packet_corrupt(wire, packet);
    if (base_random_chance(&wire->random, wire->options.reorder)) {
        hold_back(wire, now, packet);
        return;
    }
    packet->release_at = now;
    if (wire->options.delay_us != 0)
        packet->release_at +=
            base_random_below(&wire->random, wire->options.delay_us * 1000ull + 1);
    heap_push(wire, packet);
}

static void packet_in(struct wire_chaos *wire, uint64_t now, const struct base_arrival *arrival)
{
    wire->counts.packets++;
    if (base_random_chance(&wire->random, wire->options.drop)) {
        wire->counts.dropped++;
    } else {
        copy_in(wire, now, arrival);
        if (base_random_chance(&wire->random, wire->options.duplicate)) {
            wire->counts.duplicated++;
            copy_in(wire, now, arrival);
        }
    }
    held_count_down(wire, now);
}

/* Takes one datagram apart and decides about each of its packets. */
static void datagram_in(struct wire_chaos *wire, uint64_t now, const struct base_arrival *arrival)
{
    struct base_arrival packet = *arrival;
    size_t left = arrival->length;

    while (left > 0) {
        size_t length = wire->front_length(packet.bytes, left);

        assert(length > 0 && length <= left);
        packet.length = (uint32_t)length;
        packet_in(wire, now, &packet);
        packet.bytes += length;
        left -= length;
    }
}

/* ---- the interface ---- */

static int chaos_send(struct wire *wire, uint64_t now, const struct base_packet *packets,
                      size_t count)
{
    return wire_send(chaos_of(wire)->inner, now, packets, count);
}

static size_t give_due(struct wire_chaos *wire, uint64_t now, struct base_arrival *arrivals,
                       size_t max)
{
    size_t count = 0;

    while (count < max && wire->heap_count > 0 && wire->heap[0]->release_at <= now) {
        struct chaos_packet *packet = heap_pop(wire);

        arrivals[count++] = packet->arrival;
        wire->given[wire->given_count++] = packet;
    }
    return count;
}

static int chaos_receive(struct wire *base, uint64_t now, struct base_arrival *arrivals, size_t max)
{
    struct wire_chaos *wire = chaos_of(base);
    struct base_arrival incoming[WIRE_BATCH];
    size_t count = 0;
    int received = 0;

    assert(max <= WIRE_BATCH);
    while (wire->given_count > 0)
        packet_discard(wire, wire->given[--wire->given_count]);
    held_expire(wire, now);
    count = give_due(wire, now, arrivals, max);
    /* Go on while all that comes in is lost or late: 0 should mean that nothing is waiting. */
    for (unsigned turn = 0; count == 0 && max > 0 && turn < TURNS_MAX; turn++) {
        received = wire_receive(wire->inner, now, incoming, WIRE_BATCH);
        if (received == 0)
            break;
        for (int i = 0; i < received; i++)
            datagram_in(wire, now, &incoming[i]);
        count = give_due(wire, now, arrivals, max);
    }
    return (int)count;
}

static int chaos_errors(struct wire *wire, struct base_network_error *errors, size_t max)
{
    return wire_errors(chaos_of(wire)->inner, errors, max);
}

static int chaos_inject(struct wire *wire, const struct base_packet *packet)
{
    return wire_inject(chaos_of(wire)->inner, packet);
}

static uint32_t chaos_packet_bytes(struct wire *wire, const struct base_address *to)
{
    return wire_packet_bytes(chaos_of(wire)->inner, to);
}

static void chaos_backlog(struct wire *wire, uint64_t now, struct base_backlog *backlog)
{
    wire_backlog(chaos_of(wire)->inner, now, backlog);
}

static uint64_t chaos_capacity(const struct wire *wire)
{
    return wire_capacity(chaos_of_const(wire)->inner);
}

static uint64_t chaos_deadline(const struct wire *base)
{
    const struct wire_chaos *wire = chaos_of_const(base);
    uint64_t deadline = wire_deadline(wire->inner);

    if (wire->heap_count > 0 && wire->heap[0]->release_at < deadline)
        deadline = wire->heap[0]->release_at;
    for (size_t i = 0; i < wire->held_count; i++) {
        if (wire->held[i]->release_at < deadline)
            deadline = wire->held[i]->release_at;
    }
    return deadline;
}

static int chaos_descriptor(const struct wire *wire)
{
    return wire_descriptor(chaos_of_const(wire)->inner);
}

static uint16_t chaos_port(const struct wire *wire)
{
    return wire_port(chaos_of_const(wire)->inner);
}

static void chaos_close(struct wire *base)
{
    struct wire_chaos *wire = chaos_of(base);

    wire_close(wire->inner);
    base_pool_close(&wire->small);
    base_pool_close(&wire->large);
    free(wire);
}

static const struct wire_ops chaos_ops = {
    .name = "chaos",
    .send = chaos_send,
    .receive = chaos_receive,
    .errors = chaos_errors,
    .inject = chaos_inject,
    .packet_bytes = chaos_packet_bytes,
    .backlog = chaos_backlog,
    .capacity = chaos_capacity,
    .deadline = chaos_deadline,
    .descriptor = chaos_descriptor,
    .port = chaos_port,
    .close = chaos_close,
};

int wire_chaos_open(const struct wire_chaos_options *options, struct wire *inner,
                    size_t (*front_length)(const uint8_t *bytes, size_t length), struct wire **wire)
{
    struct wire_chaos *chaos = calloc(1, sizeof(*chaos));

    if (chaos == NULL)
        return -ENOMEM;
    chaos->wire.ops = &chaos_ops;
    chaos->options = *options;
    chaos->front_length = front_length;
    chaos->random = base_random_seed(options->seed);
    if (base_pool_open(&chaos->small, sizeof(struct chaos_packet) + SMALL_BYTES, SMALL_COUNT) !=
            0 ||
        base_pool_open(&chaos->large, sizeof(struct chaos_packet) + LARGE_BYTES, LARGE_COUNT) !=
            0) {
        chaos_close(&chaos->wire);
        return -ENOMEM;
    }
    chaos->inner = inner;
    *wire = &chaos->wire;
    return 0;
}

void wire_chaos_counts(const struct wire *wire, struct wire_chaos_counts *counts)
{
    assert(wire->ops == &chaos_ops);
    *counts = chaos_of_const(wire)->counts;
}
