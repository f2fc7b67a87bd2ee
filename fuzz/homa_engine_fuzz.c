/*
 * Lets arbitrary bytes drive an engine: time, packets of three peers (well-formed nonsense and raw
 * bytes), network errors, and the application's calls in any order. After each step the engine's
 * invariants are checked; at the end all must have been given back: payloads, bpages, records.
 *
 * Ids are drawn from a short list of those that have been seen, so that the nonsense is about RPCs
 * that exist.
 */
#include "homa/engine.h"
#include "homa/packet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* assert() may be compiled out; a fuzz target's checks may not. */
#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: violated: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                  \
        }                                                                             \
    } while (0)

#define PORT        4000u
#define PEERS       3u
#define IDS         16u
#define HELD_MAX    8u
#define BPAGES      4u
#define MAX_MESSAGE 150000u
#define STEPS_MAX   400u

/* The fuzzer's input, read from the front; zeros when it has run out. */
struct input {
    const uint8_t *at;
    size_t left;
};

static uint64_t take(struct input *input, size_t width)
{
    uint64_t value = 0;

    while (width-- > 0) {
        uint8_t byte = input->left > 0 ? *input->at : 0;

        value = value << 8 | byte;
        input->at += input->left > 0;
        input->left -= input->left > 0;
    }
    return value;
}

/* A message that the application holds: its bpages, and for requests whom to answer. */
struct held {
    uint64_t id;
    struct base_address peer;
    uint32_t num_bpages;
    uint32_t bpages[16];
    bool is_request;
};

struct world {
    struct input input;
    uint64_t now;
    struct homa_engine *engine;
    struct homa_sched *sched;
    struct bpage_pool *pool;
    struct mem_region region;
    uint64_t ids[IDS]; /* seen lately, a ring */
    unsigned next_id;
    struct held held[HELD_MAX];
    unsigned held_count;
    unsigned payloads; /* with the engine */
};

static struct base_address peer_address(uint64_t choice)
{
    uint8_t four[4] = {10, 0, 0, (uint8_t)(1 + choice % PEERS)};

    return (struct base_address){
        .remote = base_ip_from_v4(four),
        .port = (uint16_t)(choice & 0x80 ? 5001 : 5000),
    };
}

static void see_id(struct world *world, uint64_t id)
{
    world->ids[world->next_id++ % IDS] = id;
}

static uint64_t choose_id(struct world *world)
{
    uint64_t choice = take(&world->input, 1);
    uint64_t id = world->ids[choice % IDS];

    if (id == 0)
        id = choice;
    return choice & 0x80 ? id ^ 1 : id;
}

static struct mem_payload *make_payload(struct world *world, bool is_whole)
{
    static const uint8_t bytes[MAX_MESSAGE + 1];
    struct mem_payload *payload = malloc(sizeof(*payload));
    uint64_t shape = take(&world->input, 3);

    CHECK(payload != NULL);
    *payload = (struct mem_payload){
        .bytes = bytes,
        .length = (uint32_t)(shape & 1 ? shape % (MAX_MESSAGE + 2) : shape % 3000),
    };
    payload->ready = is_whole ? payload->length : payload->length / 2;
    return payload;
}

/* ---- the application ---- */

static void start_request(struct world *world)
{
    uint64_t flags = take(&world->input, 1);
    struct base_address to = peer_address(flags);
    struct mem_payload *payload = make_payload(world, (flags & 0x40) == 0);
    uint64_t id = 0;
    int result = homa_engine_request(world->engine, world->now, &to, payload, 0, flags,
                                     (flags & 0x20) != 0, &id);

    CHECK(result == 0 || result == -EINVAL || result == -ENOBUFS);
    if (result != 0) {
        free(payload);
        return;
    }
    world->payloads++;
    CHECK(id % 2 == 0);
    see_id(world, id);
    if ((flags & 0x40) != 0 && (flags & 0x10) == 0) {
        payload->ready = payload->length;
        homa_engine_more(world->engine, world->now, &to, id);
    }
}

static void reply(struct world *world)
{
    uint64_t choice = take(&world->input, 1);
    struct mem_payload *payload = make_payload(world, true);
    struct base_address to = peer_address(choice);
    uint64_t id = choose_id(world);

    if (world->held_count > 0 && (choice & 0x40) == 0) {
        const struct held *held = &world->held[choice % world->held_count];

        to = held->peer;
        id = held->id;
    }
    if (homa_engine_reply(world->engine, world->now, &to, id, payload, 0) == 0)
        world->payloads++;
    else
        free(payload);
}

static void receive(struct world *world)
{
    uint64_t choice = take(&world->input, 1);
    uint64_t id = choice & 1 ? choose_id(world) : 0;
    struct homa_message message;

    if (world->held_count == HELD_MAX ||
        homa_engine_take(world->engine, world->now, id, 1 + (unsigned)(choice >> 1) % 3,
                         &message) != 0)
        return;
    CHECK((message.error == 0) == (message.num_bpages > 0));
    CHECK(message.num_bpages <= BPAGES);
    CHECK(message.error != 0 || message.num_bpages == bpage_count(message.length));
    if (message.error != 0)
        return;
    struct held *held = &world->held[world->held_count++];

    *held = (struct held){
        .id = message.id,
        .peer = message.peer,
        .num_bpages = message.num_bpages,
        .is_request = (message.id & 1) != 0,
    };
    memcpy(held->bpages, message.bpage_offsets, message.num_bpages * sizeof(held->bpages[0]));
}

static void give_back(struct world *world, unsigned index)
{
    struct held *held = &world->held[index];
    uint32_t bad = 0;

    CHECK(homa_engine_return_bpages(world->engine, world->now, held->bpages, held->num_bpages,
                                    &bad) == 0);
    CHECK(homa_engine_return_bpages(world->engine, world->now, held->bpages, held->num_bpages,
                                    &bad) == -EINVAL);
    if (held->is_request)
        (void)homa_engine_drop(world->engine, world->now, &held->peer, held->id);
    *held = world->held[--world->held_count];
}

/* ---- the network ---- */

static void push(struct world *world, const struct base_address *from, const uint8_t *bytes,
                 size_t length)
{
    /* An exact copy, so that the address sanitizer sees a read beyond its end. */
    uint8_t *copy = malloc(length > 0 ? length : 1);
    struct base_arrival arrival = {.from = *from, .bytes = copy, .length = (uint32_t)length};

    CHECK(copy != NULL);
    if (length > 0)
        memcpy(copy, bytes, length);
    if (length > 0)
        homa_engine_input(world->engine, world->now, &arrival);
    free(copy);
}

static void push_raw(struct world *world)
{
    uint8_t bytes[256];
    struct base_address from = peer_address(take(&world->input, 1));
    size_t length = take(&world->input, 1);

    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)take(&world->input, 1);
    push(world, &from, bytes, length);
}

static void fill_data(struct world *world, struct homa_packet *packet, size_t *payload_length)
{
    uint64_t shape = take(&world->input, 1);
    uint32_t length = (uint32_t)take(&world->input, 3) % (MAX_MESSAGE + 1000) + 1;
    uint32_t offset = (uint32_t)take(&world->input, 3) % length;
    uint32_t payload = (uint32_t)take(&world->input, 2) % 60000;

    if (shape & 1)
        length = 100 + (uint32_t)(shape >> 4) * 9000;
    if (shape & 2)
        offset = 1400 * (offset % 8);
    offset %= length;
    if (payload > length - offset)
        payload = length - offset;
    packet->data.message_length = length;
    packet->data.offset = offset;
    packet->data.payload_length = payload;
    packet->data.incoming = shape & 4 ? (uint32_t)take(&world->input, 3) : 40000;
    packet->data.retransmit = (shape & 8) != 0;
    packet->data.cutoff_version = (uint16_t)(shape & 1);
    if (shape & 16)
        packet->data.ack =
            (struct homa_ack){.client_id = choose_id(world) & ~1ull, .server_port = PORT};
    *payload_length = payload;
}

static void push_made(struct world *world)
{
    static uint8_t bytes[BASE_PACKET_HEADER_MAX + 60000];
    uint64_t choice = take(&world->input, 1);
    struct base_address from = peer_address(choice);
    struct homa_packet packet = {
        .type = HOMA_DATA + (enum homa_packet_type)(take(&world->input, 1) % HOMA_PACKET_TYPES),
        .source_port = from.port,
        .destination_port = PORT,
        .id = choose_id(world),
    };
    struct base_packet out;
    size_t payload_length = 0;

    see_id(world, packet.id ^ 1);
    switch (packet.type) {
    case HOMA_DATA:
        fill_data(world, &packet, &payload_length);
        break;
    case HOMA_GRANT:
        packet.grant.offset = (uint32_t)take(&world->input, 3);
        packet.grant.priority = (uint8_t)(choice % HOMA_PRIORITIES);
        break;
    case HOMA_RESEND:
        packet.resend.offset = (uint32_t)take(&world->input, 3);
        packet.resend.length = choice & 0x40 ? HOMA_RESEND_ALL : (uint32_t)take(&world->input, 3);
        packet.resend.has_priority = true;
        break;
    case HOMA_CUTOFFS:
        for (unsigned i = 0; i < HOMA_PRIORITIES; i++)
            packet.cutoffs.unsched_cutoffs[i] = (uint32_t)take(&world->input, 2);
        packet.cutoffs.version = (uint16_t)take(&world->input, 1);
        break;
    case HOMA_ACK:
        packet.ack.count = (uint16_t)(choice % (HOMA_ACKS_PER_PACKET + 1));
        for (unsigned i = 0; i < packet.ack.count; i++)
            packet.ack.acks[i] =
                (struct homa_ack){.client_id = choose_id(world), .server_port = PORT};
        break;
    default:
        break;
    }
    homa_packet_encode(&packet, HOMA_FORMAT_UDP, &out);
    memcpy(bytes, out.header, out.header_length);
    push(world, &from, bytes, out.header_length + payload_length);
}

static void fail_network(struct world *world)
{
    static const int errors[] = {ECONNREFUSED, EHOSTUNREACH, EPROTONOSUPPORT, EMSGSIZE};
    uint64_t choice = take(&world->input, 1);
    struct base_network_error error = {
        .to = peer_address(choice),
        .error = errors[choice / PEERS % 4],
        .packet_bytes = (uint32_t)take(&world->input, 1) * 8,
    };

    homa_engine_network_error(world->engine, world->now, &error);
}

static void output(struct world *world)
{
    struct base_packet packets[16];
    uint64_t choice = take(&world->input, 1);
    struct base_backlog backlog = {.bytes = choice << 8, .bytes_per_second = choice << 20};
    size_t count = homa_engine_output(world->engine, world->now, &backlog, packets, 16);

    CHECK(count <= 16);
    for (size_t i = 0; i < count; i++) {
        struct homa_packet packet;
        enum homa_packet_fault fault;
        uint8_t header[BASE_PACKET_HEADER_MAX];

        CHECK(packets[i].priority < HOMA_PRIORITIES);
        memcpy(header, packets[i].header, packets[i].header_length);
        if (packets[i].payload_length > 0) {
            /* Reads the payload: it must be there. */
            volatile uint8_t last = packets[i].payload[packets[i].payload_length - 1];

            (void)last;
            continue;
        }
        CHECK(homa_packet_decode(header, packets[i].header_length, HOMA_FORMAT_UDP, &packet,
                                 &fault) == packets[i].header_length);
        see_id(world, packet.id);
    }
    if ((choice & 0x80) != 0 && count > 0)
        homa_engine_unsend(world->engine, packets, choice % count, count);
}

/* ---- steps ---- */

static void free_released(struct world *world)
{
    struct mem_payload_list list = SLIST_HEAD_INITIALIZER(list);

    homa_engine_released(world->engine, &list);
    while (!SLIST_EMPTY(&list)) {
        struct mem_payload *payload = SLIST_FIRST(&list);

        SLIST_REMOVE_HEAD(&list, released);
        CHECK(world->payloads > 0);
        world->payloads--;
        free(payload);
    }
}

static void step(struct world *world)
{
    uint64_t choice = take(&world->input, 1);

    switch (choice % 16) {
    case 0:
        world->now += take(&world->input, 1) * 10000;
        homa_engine_advance(world->engine, world->now);
        break;
    case 1: {
        uint64_t deadline = homa_engine_deadline(world->engine);

        if (deadline != HOMA_NEVER && deadline > world->now)
            world->now = deadline + choice * 100000;
        homa_engine_advance(world->engine, world->now);
        break;
    }
    case 2:
        start_request(world);
        break;
    case 3:
        reply(world);
        break;
    case 4:
        receive(world);
        break;
    case 5:
        if (world->held_count > 0)
            give_back(world, (unsigned)(choice >> 4) % world->held_count);
        break;
    case 6:
        (void)homa_engine_abort(world->engine, world->now, choice & 0x80 ? 0 : choose_id(world),
                                choice & 0x40 ? ECANCELED : 0);
        break;
    case 7:
        push_raw(world);
        break;
    case 8:
        fail_network(world);
        break;
    case 9:
    case 10:
        output(world);
        break;
    case 11:
        homa_engine_set_server(world->engine, (choice & 0x80) == 0);
        break;
    default:
        push_made(world);
        break;
    }
    if (homa_engine_wants_schedule(world->engine)) {
        struct homa_grant grants[4];

        /* All messages are of this engine: nobody else can be told. */
        CHECK(homa_engine_schedule(world->engine, world->now, grants, 4) == 0);
    }
    free_released(world);
    homa_engine_check(world->engine);
}

static void begin(struct world *world)
{
    struct homa_engine_options options = {
        .seed = 1,
        .now = world->now,
        .max_message = MAX_MESSAGE,
        .max_rpcs = 12,
        .max_peers = 4,
        .max_tombstones = 8,
        .packet_bytes = 1472,
        .port = PORT,
        .format = HOMA_FORMAT_UDP,
        .is_server = true,
    };

    homa_knobs_default(&options.knobs);
    world->region.length = (uint64_t)BPAGES * BPAGE_SIZE;
    world->region.base = malloc(world->region.length);
    CHECK(world->region.base != NULL);
    CHECK(bpage_pool_open(&world->pool, BPAGES) == 0);
    CHECK(homa_sched_open(&world->sched, &options.knobs, 4) == 0);
    CHECK(homa_engine_open(&options, &world->engine) == 0);
    homa_engine_set_region(world->engine, world->now, &world->region, world->pool);
    homa_engine_attach(world->engine, world->sched, world, 100000);
}

static void end(struct world *world)
{
    struct homa_engine_usage usage;
    struct bpage_stats stats;

    while (world->held_count > 0)
        give_back(world, 0);
    homa_engine_shutdown(world->engine, world->now);
    free_released(world);
    homa_engine_check(world->engine);
    homa_engine_usage(world->engine, &usage);
    CHECK(usage.rpcs == 0 && usage.gaps == 0 && usage.timers == 0 && usage.queued_bytes == 0);
    CHECK(world->payloads == 0);
    bpage_pool_stats(world->pool, &stats);
    CHECK(stats.pieces_out == 0 && stats.available_bytes == (uint64_t)BPAGES * BPAGE_SIZE);
    homa_engine_detach(world->engine);
    CHECK(homa_sched_outstanding(world->sched) == 0);
    homa_engine_close(world->engine);
    homa_sched_close(world->sched);
    bpage_pool_close(world->pool);
    free(world->region.base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = {.input = {.at = data, .left = size}, .now = 1000000000};

    begin(&world);
    for (unsigned steps = 0; steps < STEPS_MAX && world.input.left > 0; steps++)
        step(&world);
    end(&world);
    return 0;
}
