/*
 * Anything at all against one engine: time steps, datagrams from three peers (raw bytes, and
 * packets well formed but for their values), application calls, a wire that takes only part. After
 * each step every invariant is checked; in the end nothing may be missing. The input's bytes decide
 * everything, so a finding replays.
 */
#include "homa/engine.h"

#include "base/cursor.h"
#include "homa/packet.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PEERS       3
#define BPAGES      6
#define MAX_MESSAGE 300000u
#define MAX_RPCS    12
#define IDS         32 /* known to both sides, so that packets meet RPCs */
#define STEPS_MAX   4000
#define BATCH       16

struct payload {
    struct mem_payload payload; /* first: the engine gives this back */
    uint8_t bytes[];
};

struct fuzz {
    struct base_reader in;
    uint64_t now;
    struct homa_engine *engine;
    struct homa_sched *sched;
    struct bpage_pool *bpages;
    struct mem_region region;
    uint8_t format;
    uint64_t ids[IDS]; /* of either side */
    unsigned id_count;
    unsigned payloads;
    struct mem_payload *unfinished; /* not all of it is ready */
    uint64_t unfinished_id;
    struct homa_message served; /* a request to be answered; id 0 = none */
    uint32_t held[64];          /* bpages of the application */
    uint32_t held_count;
    bool is_shut_down;
};

static uint8_t region_memory[BPAGES * BPAGE_SIZE];

static struct base_address peer_address(unsigned number)
{
    uint8_t ip[4] = {10, 0, 0, (uint8_t)(number + 1)};

    return (struct base_address){.remote = base_ip_from_v4(ip), .port = (uint16_t)(100 + number)};
}

static uint64_t pick_id(struct fuzz *fuzz)
{
    uint8_t which = base_read_u8(&fuzz->in);

    if (fuzz->id_count == 0 || which >= 0xf0)
        return base_read_u64(&fuzz->in);
    return fuzz->ids[which % fuzz->id_count] ^ (which >> 7);
}

/* Numbers that matter more often than chance would have it. */
static uint32_t pick_number(struct fuzz *fuzz)
{
    static const uint32_t special[] = {0,     1,     1399,  1400,   1401,      39999,     40000,
                                       40001, 65535, 65536, 100000, 299999,    300000,    300001,
                                       10,    1000,  50000, 2800,   INT32_MAX, UINT32_MAX};
    uint8_t how = base_read_u8(&fuzz->in);

    if (how < 128)
        return special[how % (sizeof(special) / sizeof(special[0]))];
    return how < 250 ? base_read_u16(&fuzz->in) : base_read_u32(&fuzz->in);
}

static void remember(struct fuzz *fuzz, uint64_t id)
{
    fuzz->ids[fuzz->id_count < IDS ? fuzz->id_count++ : id / 2 % IDS] = id;
}

static void free_released(struct fuzz *fuzz)
{
    struct mem_payload_list list = SLIST_HEAD_INITIALIZER(list);

    homa_engine_released(fuzz->engine, &list);
    while (!SLIST_EMPTY(&list)) {
        struct mem_payload *payload = SLIST_FIRST(&list);

        SLIST_REMOVE_HEAD(&list, released);
        if (payload == fuzz->unfinished)
            fuzz->unfinished = NULL;
        assert(fuzz->payloads > 0);
        fuzz->payloads--;
        free(payload);
    }
}

static struct mem_payload *make_payload(struct fuzz *fuzz)
{
    uint32_t length = pick_number(fuzz);
    uint32_t room = length <= MAX_MESSAGE ? length : 1;
    struct payload *made = calloc(1, sizeof(*made) + room);

    if (made == NULL)
        abort();
    made->payload = (struct mem_payload){.bytes = made->bytes, .length = length, .ready = length};
    fuzz->payloads++;
    return &made->payload;
}

/* ---- what happens ---- */

static void deliver(struct fuzz *fuzz, const uint8_t *bytes, size_t length, unsigned peer)
{
    /* A copy of exactly this length, so that reading beyond it is noticed. */
    uint8_t *copy = malloc(length > 0 ? length : 1);
    struct base_arrival arrival = {
        .from = peer_address(peer),
        .bytes = copy,
        .length = (uint32_t)length,
    };

    if (copy == NULL)
        abort();
    if (length > 0)
        memcpy(copy, bytes, length);
    homa_engine_input(fuzz->engine, fuzz->now, &arrival);
    free(copy);
}

static void raw_datagram(struct fuzz *fuzz)
{
    unsigned peer = base_read_u8(&fuzz->in) % PEERS;
    size_t length = base_read_u8(&fuzz->in);
    const uint8_t *bytes = NULL;

    if (length > fuzz->in.left)
        length = fuzz->in.left;
    if (base_read_take(&fuzz->in, length, &bytes))
        deliver(fuzz, bytes, length, peer);
}

static void fill_packet(struct fuzz *fuzz, struct homa_packet *packet)
{
    uint8_t bits = base_read_u8(&fuzz->in);

    switch (packet->type) {
    case HOMA_DATA:
        packet->data.message_length = pick_number(fuzz);
        packet->data.offset = pick_number(fuzz);
        packet->data.incoming = pick_number(fuzz);
        packet->data.retransmit = (bits & 1) != 0;
        packet->data.cutoff_version = bits >> 6;
        if ((bits & 2) != 0)
            packet->data.ack.client_id = pick_id(fuzz);
        break;
    case HOMA_GRANT:
        packet->grant.offset = pick_number(fuzz);
        packet->grant.priority = bits % HOMA_PRIORITIES;
        break;
    case HOMA_RESEND:
        packet->resend.offset = pick_number(fuzz);
        packet->resend.length = pick_number(fuzz);
        packet->resend.priority = bits % HOMA_PRIORITIES;
        packet->resend.has_priority = bits < 250;
        break;
    case HOMA_CUTOFFS:
        for (unsigned i = 0; i < HOMA_PRIORITIES; i++)
            packet->cutoffs.unsched_cutoffs[i] = pick_number(fuzz);
        packet->cutoffs.version = bits;
        break;
    case HOMA_ACK:
        packet->ack.count = bits % (HOMA_ACKS_PER_PACKET + 1);
        for (unsigned i = 0; i < packet->ack.count; i++)
            packet->ack.acks[i].client_id = pick_id(fuzz);
        break;
    default:
        break;
    }
}

/* One to three well-formed packets in one datagram. */
static void made_datagram(struct fuzz *fuzz)
{
    static uint8_t datagram[3 * (BASE_PACKET_HEADER_MAX + 65536)];
    unsigned peer = base_read_u8(&fuzz->in) % PEERS;
    unsigned count = 1 + (peer == 0 ? base_read_u8(&fuzz->in) % 3 : 0);
    size_t length = 0;

    while (count-- > 0) {
        struct homa_packet packet = {.source_port = peer_address(peer).port,
                                     .destination_port = 4000};
        struct base_packet encoded;

        packet.type = HOMA_DATA + base_read_u8(&fuzz->in) % HOMA_PACKET_TYPES;
        packet.id = pick_id(fuzz);
        fill_packet(fuzz, &packet);
        homa_packet_encode(&packet, fuzz->format, &encoded);
        memcpy(datagram + length, encoded.header, encoded.header_length);
        length += encoded.header_length;
        if (packet.type == HOMA_DATA) {
            uint32_t payload = pick_number(fuzz) % 65536;

            if ((packet.id & 1) == 0)
                remember(fuzz, packet.id);
            memset(datagram + length, 0x55, payload);
            length += payload;
        }
    }
    deliver(fuzz, datagram, length, peer);
}

static void request(struct fuzz *fuzz)
{
    struct base_address to = peer_address(base_read_u8(&fuzz->in) % PEERS);
    struct mem_payload *payload = make_payload(fuzz);
    uint8_t bits = base_read_u8(&fuzz->in);
    uint64_t id = 0;

    if ((bits & 2) != 0 && fuzz->unfinished == NULL)
        payload->ready = payload->length / 3;
    if (homa_engine_request(fuzz->engine, fuzz->now, &to, payload, bits >= 128 ? bits * 30u : 0,
                            bits, (bits & 1) != 0, &id) != 0) {
        fuzz->payloads--;
        free(payload);
        return;
    }
    assert(id != 0 && (id & 1) == 0);
    remember(fuzz, id);
    if (payload->ready < payload->length) {
        fuzz->unfinished = payload;
        fuzz->unfinished_id = id;
    }
}

static void more(struct fuzz *fuzz)
{
    struct base_address to = peer_address(base_read_u8(&fuzz->in) % PEERS);
    struct mem_payload *payload = fuzz->unfinished;

    if (payload != NULL) {
        uint32_t step = pick_number(fuzz);

        payload->ready +=
            step < payload->length - payload->ready ? step : payload->length - payload->ready;
        if (payload->ready == payload->length)
            fuzz->unfinished = NULL;
        for (unsigned peer = 0; peer < PEERS; peer++) {
            to = peer_address(peer);
            homa_engine_more(fuzz->engine, fuzz->now, &to, fuzz->unfinished_id);
        }
    } else {
        homa_engine_more(fuzz->engine, fuzz->now, &to, pick_id(fuzz));
    }
}

static void give_back_held(struct fuzz *fuzz)
{
    uint32_t bad = 0;
    int result =
        homa_engine_return_bpages(fuzz->engine, fuzz->now, fuzz->held, fuzz->held_count, &bad);

    assert(result == 0);
    (void)result;
    fuzz->held_count = 0;
}

static void take(struct fuzz *fuzz)
{
    struct homa_message message;
    uint8_t bits = base_read_u8(&fuzz->in);
    uint64_t id = (bits & 4) != 0 ? pick_id(fuzz) : 0;

    if (homa_engine_take(fuzz->engine, fuzz->now, id, bits & 3, &message) != 0)
        return;
    assert((message.error == 0) == (message.num_bpages > 0));
    if (fuzz->held_count + message.num_bpages > 64)
        give_back_held(fuzz);
    memcpy(fuzz->held + fuzz->held_count, message.bpage_offsets,
           message.num_bpages * sizeof(fuzz->held[0]));
    fuzz->held_count += message.num_bpages;
    if ((message.id & 1) != 0)
        fuzz->served = message;
}

static void reply(struct fuzz *fuzz)
{
    uint8_t bits = base_read_u8(&fuzz->in);
    struct base_address to = bits < 200 ? fuzz->served.peer : peer_address(bits % PEERS);
    uint64_t id = bits < 200 ? fuzz->served.id : pick_id(fuzz);
    struct mem_payload *payload;

    if ((bits & 7) == 0) {
        homa_engine_drop(fuzz->engine, fuzz->now, &to, id);
        return;
    }
    payload = make_payload(fuzz);
    if (homa_engine_reply(fuzz->engine, fuzz->now, &to, id, payload, 0) != 0) {
        fuzz->payloads--;
        free(payload);
    }
}

static void return_bpages(struct fuzz *fuzz)
{
    uint32_t bogus[2] = {pick_number(fuzz), pick_number(fuzz)};
    uint32_t bad = 9;

    if ((bogus[0] & 1) == 0) {
        give_back_held(fuzz);
        return;
    }
    for (uint32_t i = 0; i < fuzz->held_count; i++)
        if (fuzz->held[i] == bogus[0] || fuzz->held[i] == bogus[1])
            return;
    int result = homa_engine_return_bpages(fuzz->engine, fuzz->now, bogus, 2, &bad);

    assert(result == -EINVAL && bad < 2);
    (void)result;
}

static void network_error(struct fuzz *fuzz)
{
    static const int errors[] = {ECONNREFUSED, EHOSTUNREACH, ENOPROTOOPT, EMSGSIZE, EMSGSIZE};
    uint8_t bits = base_read_u8(&fuzz->in);
    struct base_network_error error = {
        .to = peer_address(bits % PEERS),
        .error = errors[bits / PEERS % 5],
        .packet_bytes = pick_number(fuzz),
    };

    homa_engine_network_error(fuzz->engine, fuzz->now, &error);
}

static void output(struct fuzz *fuzz)
{
    struct base_packet packets[BATCH];
    struct base_backlog backlog = {.bytes = pick_number(fuzz),
                                   .bytes_per_second = pick_number(fuzz)};
    uint8_t bits = base_read_u8(&fuzz->in);
    size_t count = homa_engine_output(fuzz->engine, fuzz->now, &backlog, packets, bits % BATCH + 1);
    volatile uint8_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        assert(packets[i].header_length <= BASE_PACKET_HEADER_MAX && packets[i].priority < 8);
        if (packets[i].payload_length > 0)
            sum = (uint8_t)(sum + packets[i].payload[0] +
                            packets[i].payload[packets[i].payload_length - 1]);
    }
    if (bits >= 128) {
        size_t sent = count * (bits & 3) / 4;

        homa_engine_unsend(fuzz->engine, packets, sent, count);
    }
}

static void schedule(struct fuzz *fuzz)
{
    struct homa_grant grants[4];

    homa_engine_advance(fuzz->engine, fuzz->now);
    if (homa_engine_wants_schedule(fuzz->engine)) {
        size_t count = homa_engine_schedule(fuzz->engine, fuzz->now, grants, 4);

        assert(count == 0); /* nobody else is there */
        (void)count;
    }
}

static void pass_time(struct fuzz *fuzz)
{
    uint8_t how = base_read_u8(&fuzz->in);
    uint64_t due = homa_engine_deadline(fuzz->engine);

    if (how < 64)
        fuzz->now += (uint64_t)1 << (how % 34);
    else if (due != HOMA_NEVER && due > fuzz->now && due - fuzz->now < 1000000000000)
        fuzz->now = due + (how < 200 ? 0 : how * 10000u);
    schedule(fuzz);
}

static void change_settings(struct fuzz *fuzz)
{
    struct homa_knobs knobs = *homa_engine_knobs(fuzz->engine);
    struct base_address peer = peer_address(0);

    switch (base_read_u8(&fuzz->in) % 8) {
    case 0:
        knobs.unsched_bytes = pick_number(fuzz) % 100000 + 1;
        break;
    case 1:
        knobs.link_mbps = pick_number(fuzz) % 100000;
        break;
    case 2:
        knobs.defer_min_bytes = pick_number(fuzz) % 100000;
        break;
    case 3:
        knobs.unsched_cutoffs[7] = pick_number(fuzz) % 1000;
        break;
    case 4:
        knobs.num_priorities = pick_number(fuzz) % 8 + 1;
        break;
    case 5:
        homa_engine_set_packet_bytes(fuzz->engine, &peer, pick_number(fuzz) % 65000);
        break;
    case 6:
        homa_engine_set_server(fuzz->engine, !homa_engine_is_server(fuzz->engine));
        break;
    default:
        if (fuzz->sched != NULL && fuzz->bpages == NULL)
            homa_engine_detach(fuzz->engine);
        break;
    }
    homa_engine_set_knobs(fuzz->engine, &knobs);
}

static void step(struct fuzz *fuzz)
{
    uint8_t what = base_read_u8(&fuzz->in);
    uint8_t bits;

    switch (what % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
        made_datagram(fuzz);
        break;
    case 4:
        raw_datagram(fuzz);
        break;
    case 5:
        request(fuzz);
        break;
    case 6:
        more(fuzz);
        break;
    case 7:
        take(fuzz);
        break;
    case 8:
        reply(fuzz);
        break;
    case 9:
        return_bpages(fuzz);
        break;
    case 10:
        bits = base_read_u8(&fuzz->in);
        homa_engine_abort(fuzz->engine, fuzz->now, bits < 8 ? 0 : pick_id(fuzz), bits & 3);
        break;
    case 11:
        network_error(fuzz);
        break;
    case 12:
        pass_time(fuzz);
        break;
    case 13:
    case 14:
        output(fuzz);
        break;
    default:
        if (what == 0xff)
            homa_engine_shutdown(fuzz->engine, fuzz->now);
        else
            change_settings(fuzz);
        break;
    }
    free_released(fuzz);
    homa_engine_check(fuzz->engine);
}

static void begin(struct fuzz *fuzz)
{
    uint8_t bits = base_read_u8(&fuzz->in);
    struct homa_engine_options options = {
        .seed = bits,
        .now = (bits & 1) != 0 ? 0 : 1000000000,
        .max_message = MAX_MESSAGE,
        .max_rpcs = MAX_RPCS,
        .max_peers = 2,
        .max_tombstones = 4,
        .packet_bytes = (bits & 2) != 0 ? 60000 : 1456,
        .port = 4000,
        .format = (bits & 4) != 0 ? HOMA_FORMAT_IP : HOMA_FORMAT_UDP,
        .is_server = true,
    };

    homa_knobs_default(&options.knobs);
    fuzz->now = options.now;
    fuzz->format = options.format;
    if (homa_engine_open(&options, &fuzz->engine) != 0)
        abort();
    if (homa_sched_open(&fuzz->sched, &options.knobs, 4) != 0)
        abort();
    homa_engine_attach(fuzz->engine, fuzz->sched, NULL, 200000);
    if ((bits & 8) != 0)
        return; /* no region */
    if (bpage_pool_open(&fuzz->bpages, BPAGES) != 0)
        abort();
    fuzz->region = (struct mem_region){.base = region_memory, .length = sizeof(region_memory)};
    homa_engine_set_region(fuzz->engine, fuzz->now, &fuzz->region, fuzz->bpages);
}

static void end(struct fuzz *fuzz)
{
    struct bpage_stats stats;

    give_back_held(fuzz);
    homa_engine_shutdown(fuzz->engine, fuzz->now);
    homa_engine_check(fuzz->engine);
    free_released(fuzz);
    assert(fuzz->payloads == 0);
    homa_engine_detach(fuzz->engine);
    assert(homa_sched_outstanding(fuzz->sched) == 0);
    homa_engine_close(fuzz->engine);
    homa_sched_close(fuzz->sched);
    if (fuzz->bpages == NULL)
        return;
    bpage_pool_stats(fuzz->bpages, &stats);
    assert(stats.pieces_out == 0);
    bpage_pool_close(fuzz->bpages);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct fuzz fuzz = {.in = base_reader_begin(bytes, length)};

    begin(&fuzz);
    for (unsigned i = 0; i < STEPS_MAX && fuzz.in.left > 0 && !fuzz.in.failed; i++)
        step(&fuzz);
    end(&fuzz);
    return 0;
}
