/*
 * The laboratory (engine_support.h). The event loop is the one that engine.h prescribes to every
 * caller, so that these tests exercise it as the socket layer does.
 */
#include "homa/engine_support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64

struct lab_datagram {
    TAILQ_ENTRY(lab_datagram) link;
    uint64_t arrives_at;
    uint64_t order;
    struct base_address from;
    unsigned to;
    uint8_t priority;
    uint32_t length;
    uint8_t bytes[];
};

/* A payload and its owner. */
struct lab_payload {
    struct mem_payload payload; /* first: the engine gives this back */
    uint8_t bytes[];
};

/* Writes the pattern's bytes [offset, offset + length). */
static void fill_pattern(uint8_t *to, uint32_t seed, uint32_t offset, uint32_t length)
{
    while (length > 0) {
        uint64_t word = base_mix((uint64_t)seed << 32 | offset / 8);
        uint32_t skip = offset % 8;
        uint32_t part = length < 8 - skip ? length : 8 - skip;

        memcpy(to, (const uint8_t *)&word + skip, part);
        to += part;
        offset += part;
        length -= part;
    }
}

struct homa_engine_options lab_options(void)
{
    struct homa_engine_options options = {
        .seed = 1,
        .now = LAB_S,
        .max_message = LAB_MAX_MESSAGE,
        .max_rpcs = 4096,
        .max_peers = 64,
        .max_tombstones = 4096,
        .packet_bytes = 1456,
        .port = LAB_PORT,
        .format = HOMA_FORMAT_UDP,
        .is_server = true,
    };

    homa_knobs_default(&options.knobs);
    return options;
}

static void open_host(struct lab *lab, unsigned number, const struct homa_engine_options *given,
                      uint32_t bpages)
{
    struct lab_host *host = &lab->hosts[number];
    struct homa_engine_options options = *given;
    uint8_t ip[4] = {10, 0, 0, (uint8_t)(number + 1)};

    options.seed += number * 1000;
    options.now = lab->now;
    host->address.remote = base_ip_from_v4(ip);
    host->address.port = options.port;
    host->output_max = BATCH;
    TAILQ_INIT(&host->arriving);
    host->wire_takes = UINT32_MAX;
    assert_int_equal(homa_engine_open(&options, &host->engine), 0);
    assert_int_equal(homa_sched_open(&host->sched, &options.knobs, 256), 0);
    homa_engine_attach(host->engine, host->sched, host, 1000000);
    if (bpages == 0)
        return;
    host->region.length = (uint64_t)bpages * BPAGE_SIZE;
    host->region.base = calloc(bpages, BPAGE_SIZE);
    assert_non_null(host->region.base);
    assert_int_equal(bpage_pool_open(&host->bpages, bpages), 0);
    homa_engine_set_region(host->engine, lab->now, &host->region, host->bpages);
}

struct lab *lab_open_with(unsigned hosts, const struct homa_engine_options *options,
                          uint32_t bpages)
{
    struct lab *lab = calloc(1, sizeof(*lab));

    assert_non_null(lab);
    assert_in_range(hosts, 1, LAB_HOSTS);
    lab->now = options->now;
    lab->latency = 10 * LAB_US;
    lab->delay = 1 * LAB_MS;
    lab->random = base_random_seed(options->seed);
    lab->host_count = hosts;
    lab->format = options->format;
    lab->check_every = 1;
    for (unsigned i = 0; i < hosts; i++)
        open_host(lab, i, options, bpages);
    return lab;
}

struct lab *lab_open(unsigned hosts)
{
    struct homa_engine_options options = lab_options();

    return lab_open_with(hosts, &options, 64);
}

static void free_released(struct lab_host *host)
{
    struct mem_payload_list released = SLIST_HEAD_INITIALIZER(released);

    homa_engine_released(host->engine, &released);
    while (!SLIST_EMPTY(&released)) {
        struct mem_payload *payload = SLIST_FIRST(&released);

        SLIST_REMOVE_HEAD(&released, released);
        assert_true(host->payloads_out > 0);
        host->payloads_out--;
        free(payload);
    }
}

/* Ends all that the host has begun, and asserts that it kept nothing. */
static void shut_down(struct lab *lab, struct lab_host *host)
{
    struct bpage_stats stats;

    homa_engine_shutdown(host->engine, lab->now);
    homa_engine_check(host->engine);
    free_released(host);
    assert_int_equal(host->payloads_out, 0);
    homa_engine_detach(host->engine);
    homa_engine_close(host->engine);
    if (host->bpages != NULL) {
        bpage_pool_stats(host->bpages, &stats);
        assert_int_equal(stats.pieces_out, 0);
        bpage_pool_close(host->bpages);
    }
    free(host->region.base);
}

void lab_close(struct lab *lab)
{
    for (unsigned i = 0; i < lab->host_count; i++)
        shut_down(lab, &lab->hosts[i]);
    for (unsigned i = 0; i < lab->host_count; i++) {
        struct lab_host *host = &lab->hosts[i];
        struct lab_datagram *datagram;

        assert_int_equal(homa_sched_outstanding(host->sched), 0);
        homa_sched_close(host->sched);
        while ((datagram = TAILQ_FIRST(&host->arriving)) != NULL) {
            TAILQ_REMOVE(&host->arriving, datagram, link);
            free(datagram);
        }
    }
    free(lab);
}

struct mem_payload *lab_payload(struct lab *lab, unsigned host, uint32_t length, uint32_t seed)
{
    struct lab_payload *made = malloc(sizeof(*made) + length);

    assert_non_null(made);
    fill_pattern(made->bytes, seed, 0, length);
    made->payload = (struct mem_payload){.bytes = made->bytes, .length = length, .ready = length};
    lab->hosts[host].payloads_out++;
    return &made->payload;
}

struct base_address lab_address(const struct lab *lab, unsigned peer)
{
    return lab->hosts[peer].address;
}

static uint64_t request(struct lab *lab, unsigned from, unsigned to, uint32_t length, uint32_t seed,
                        bool is_private)
{
    struct base_address address = lab_address(lab, to);
    uint64_t id = 0;

    assert_int_equal(homa_engine_request(lab->hosts[from].engine, lab->now, &address,
                                         lab_payload(lab, from, length, seed), 0, seed, is_private,
                                         &id),
                     0);
    assert_int_not_equal(id, 0);
    assert_int_equal(id & 1, 0);
    return id;
}

uint64_t lab_request(struct lab *lab, unsigned from, unsigned to, uint32_t length, uint32_t seed)
{
    return request(lab, from, to, length, seed, false);
}

uint64_t lab_request_private(struct lab *lab, unsigned from, unsigned to, uint32_t length,
                             uint32_t seed)
{
    return request(lab, from, to, length, seed, true);
}

int lab_reply(struct lab *lab, unsigned host, unsigned client, uint64_t id, uint32_t length,
              uint32_t seed)
{
    struct base_address address = lab_address(lab, client);
    struct mem_payload *payload = lab_payload(lab, host, length, seed);
    int result = homa_engine_reply(lab->hosts[host].engine, lab->now, &address, id, payload, 0);

    if (result != 0) {
        lab->hosts[host].payloads_out--;
        free(payload);
    }
    return result;
}

void lab_assert_pattern(struct lab *lab, unsigned host, const struct lab_message *message,
                        uint32_t seed)
{
    const uint8_t *base = lab->hosts[host].region.base;

    for (uint32_t at = 0; at < message->info.length; at += BPAGE_SIZE) {
        static uint8_t expected[BPAGE_SIZE];
        uint32_t left = message->info.length - at;
        uint32_t length = left < BPAGE_SIZE ? left : BPAGE_SIZE;

        fill_pattern(expected, seed, at, length);
        assert_memory_equal(base + message->bpages[at / BPAGE_SIZE], expected, length);
    }
}

static int take(struct lab *lab, unsigned host, uint64_t id, unsigned kinds,
                struct lab_message *message)
{
    int result = homa_engine_take(lab->hosts[host].engine, lab->now, id, kinds, &message->info);

    if (result == 0)
        memcpy(message->bpages, message->info.bpage_offsets,
               message->info.num_bpages * sizeof(message->bpages[0]));
    return result;
}

int lab_take_only(struct lab *lab, unsigned host, unsigned kinds, struct lab_message *message)
{
    return take(lab, host, 0, kinds, message);
}

void lab_give_back(struct lab *lab, unsigned host, const struct lab_message *message)
{
    uint32_t bad = 0;

    assert_int_equal(homa_engine_return_bpages(lab->hosts[host].engine, lab->now, message->bpages,
                                               message->info.num_bpages, &bad),
                     0);
}

static int take_and_check(struct lab *lab, unsigned host, uint64_t id, unsigned kinds,
                          uint32_t seed, struct lab_message *message)
{
    int result = take(lab, host, id, kinds, message);

    if (result != 0)
        return result;
    if (seed != 0)
        lab_assert_pattern(lab, host, message, seed);
    lab_give_back(lab, host, message);
    return 0;
}

int lab_take(struct lab *lab, unsigned host, unsigned kinds, uint32_t seed,
             struct lab_message *message)
{
    return take_and_check(lab, host, 0, kinds, seed, message);
}

int lab_take_id(struct lab *lab, unsigned host, uint64_t id, uint32_t seed,
                struct lab_message *message)
{
    return take_and_check(lab, host, id, 0, seed, message);
}

/* ---- the network ---- */

static void enqueue(struct lab *lab, struct lab_datagram *datagram)
{
    struct lab_flight *arriving = &lab->hosts[datagram->to].arriving;
    struct lab_datagram *before = TAILQ_LAST(arriving, lab_flight);

    while (before != NULL && before->arrives_at > datagram->arrives_at)
        before = TAILQ_PREV(before, lab_flight, link);
    if (before == NULL)
        TAILQ_INSERT_HEAD(arriving, datagram, link);
    else
        TAILQ_INSERT_AFTER(arriving, before, datagram, link);
}

static unsigned host_of(const struct lab *lab, const struct base_address *address)
{
    for (unsigned i = 0; i < lab->host_count; i++)
        if (base_ip_equal(&lab->hosts[i].address.remote, &address->remote) &&
            lab->hosts[i].address.port == address->port)
            return i;
    return LAB_HOSTS; /* nowhere */
}

static void decode(const struct lab *lab, unsigned from, const struct base_packet *packet,
                   uint8_t *bytes, struct lab_packet *decoded)
{
    enum homa_packet_fault fault;

    memcpy(bytes, packet->header, packet->header_length);
    if (packet->payload_length > 0)
        memcpy(bytes + packet->header_length, packet->payload, packet->payload_length);
    *decoded = (struct lab_packet){
        .sent_at = lab->now,
        .from = from,
        .to = host_of(lab, &packet->to),
        .priority = packet->priority,
        .length = (uint32_t)base_packet_length(packet),
    };
    assert_int_equal(
        homa_packet_decode(bytes, decoded->length, lab->format, &decoded->decoded, &fault),
        decoded->length);
    assert_int_equal(decoded->decoded.source_port, lab->hosts[from].address.port);
    assert_int_equal(decoded->decoded.destination_port, packet->to.port);
}

static void carry(struct lab *lab, unsigned from, const struct base_packet *packet)
{
    uint32_t length = (uint32_t)base_packet_length(packet);
    uint8_t *bytes = malloc(length);
    struct lab_packet decoded;
    enum lab_fate fate = LAB_DELIVER;
    unsigned copies = 1;

    assert_non_null(bytes);
    decode(lab, from, packet, bytes, &decoded);
    lab->packets[decoded.decoded.type - HOMA_DATA]++;
    if (lab->filter != NULL)
        fate = lab->filter(lab, &decoded);
    if (base_random_chance(&lab->random, lab->drop) || decoded.to == LAB_HOSTS)
        fate = LAB_DROP;
    if (fate == LAB_DUPLICATE || base_random_chance(&lab->random, lab->duplicate))
        copies = 2;
    if (fate == LAB_DROP)
        copies = 0;
    while (copies-- > 0) {
        struct lab_datagram *datagram = malloc(sizeof(*datagram) + length);

        assert_non_null(datagram);
        *datagram = (struct lab_datagram){
            .arrives_at = lab->now + lab->latency,
            .from = lab->hosts[from].address,
            .to = decoded.to,
            .priority = packet->priority,
            .length = length,
        };
        datagram->from.local = lab->hosts[decoded.to].address.remote;
        if (lab->jitter > 0)
            datagram->arrives_at += base_random_below(&lab->random, lab->jitter);
        if (fate == LAB_DELAY)
            datagram->arrives_at += lab->delay;
        memcpy(datagram->bytes, bytes, length);
        enqueue(lab, datagram);
    }
    free(bytes);
}

/* ---- the event loop ---- */

static void deliver(struct lab *lab, struct lab_host *host)
{
    struct lab_datagram *datagram;

    while ((datagram = TAILQ_FIRST(&host->arriving)) != NULL && datagram->arrives_at <= lab->now) {
        struct base_arrival arrival = {
            .from = datagram->from,
            .bytes = datagram->bytes,
            .length = datagram->length,
            .priority = datagram->priority,
        };

        TAILQ_REMOVE(&host->arriving, datagram, link);
        homa_engine_input(host->engine, lab->now, &arrival);
        free(datagram);
    }
}

static void schedule(struct lab *lab, struct lab_host *host)
{
    struct homa_grant grants[16];
    struct base_packet packet;
    size_t count;

    if (!homa_engine_wants_schedule(host->engine))
        return;
    do {
        count = homa_engine_schedule(host->engine, lab->now, grants, 16);
        for (size_t i = 0; i < count; i++) {
            struct lab_host *owner = grants[i].owner->cookie;

            homa_engine_encode_grant(&grants[i], owner->address.port, lab->format,
                                     homa_engine_knobs(owner->engine), &packet);
            carry(lab, (unsigned)(owner - lab->hosts), &packet);
        }
    } while (count == 16);
}

static void echo(struct lab *lab, unsigned number)
{
    struct lab_host *host = &lab->hosts[number];
    struct lab_message message;

    while (take(lab, number, 0, HOMA_TAKE_REQUEST, &message) == 0) {
        uint32_t length = host->reply_length != 0 ? host->reply_length : message.info.length;
        struct mem_payload *payload = lab_payload(lab, number, length, 0);
        uint8_t *to = ((struct lab_payload *)payload)->bytes;

        for (uint32_t i = 0; i < length && i < message.info.length; i++)
            to[i] = host->region.base[message.bpages[i / BPAGE_SIZE] + i % BPAGE_SIZE];
        lab_give_back(lab, number, &message);
        assert_int_equal(homa_engine_reply(host->engine, lab->now, &message.info.peer,
                                           message.info.id, payload, 0),
                         0);
        host->served++;
    }
}

static void transmit(struct lab *lab, unsigned number)
{
    struct lab_host *host = &lab->hosts[number];
    struct base_packet packets[BATCH];
    size_t count;

    host->is_cut = false;
    do {
        size_t taken;

        count =
            homa_engine_output(host->engine, lab->now, &host->backlog, packets, host->output_max);
        taken = count < host->wire_takes ? count : host->wire_takes;
        for (size_t i = 0; i < taken; i++)
            carry(lab, number, &packets[i]);
        if (taken < count) {
            homa_engine_unsend(host->engine, packets, taken, count);
            host->is_cut = true;
            break;
        }
    } while (count > 0);
}

static void run_host(struct lab *lab, unsigned number)
{
    struct lab_host *host = &lab->hosts[number];

    homa_engine_advance(host->engine, lab->now);
    schedule(lab, host);
    if (host->is_echo)
        echo(lab, number);
    transmit(lab, number);
    free_released(host);
    if (lab->check_every != 0 && lab->steps % lab->check_every == 0)
        homa_engine_check(host->engine);
}

/* When anything happens next. */
static uint64_t next_event(const struct lab *lab)
{
    uint64_t next = HOMA_NEVER;

    for (unsigned i = 0; i < lab->host_count; i++) {
        const struct lab_host *host = &lab->hosts[i];
        const struct lab_datagram *datagram = TAILQ_FIRST(&host->arriving);

        if (host->is_stopped)
            continue;
        next = homa_min_u64(next, homa_engine_deadline(host->engine));
        if (datagram != NULL)
            next = homa_min_u64(next, datagram->arrives_at);
        if (host->is_cut)
            next = homa_min_u64(next, lab->now + LAB_US);
    }
    return next;
}

static void step(struct lab *lab)
{
    lab->steps++;
    for (unsigned i = 0; i < lab->host_count; i++)
        if (!lab->hosts[i].is_stopped)
            deliver(lab, &lab->hosts[i]);
    for (unsigned i = 0; i < lab->host_count; i++)
        if (!lab->hosts[i].is_stopped)
            run_host(lab, i);
}

/* Runs until `until`, or until `is_done`, if given, says so. */
static bool run(struct lab *lab, uint64_t until, bool (*is_done)(struct lab *lab, void *context),
                void *context)
{
    for (;;) {
        step(lab);
        if (is_done != NULL && is_done(lab, context))
            return true;
        uint64_t next = next_event(lab);

        if (next >= until || next == HOMA_NEVER)
            break;
        lab->now = next > lab->now ? next : lab->now + 1;
    }
    lab->now = lab->now > until ? lab->now : until;
    step(lab);
    return is_done == NULL || is_done(lab, context);
}

void lab_run_until(struct lab *lab, uint64_t until)
{
    run(lab, until, NULL, NULL);
}

void lab_run(struct lab *lab, uint64_t ns)
{
    run(lab, lab->now + ns, NULL, NULL);
}

static bool is_quiet(struct lab *lab, void *context)
{
    (void)context;
    return next_event(lab) == HOMA_NEVER;
}

bool lab_run_quiet(struct lab *lab, uint64_t limit)
{
    return run(lab, lab->now + limit, is_quiet, NULL);
}

struct ready_wanted {
    unsigned host;
    unsigned kinds;
};

static bool is_ready(struct lab *lab, void *context)
{
    const struct ready_wanted *wanted = context;

    return homa_engine_ready(lab->hosts[wanted->host].engine, wanted->kinds) > 0;
}

bool lab_run_ready(struct lab *lab, unsigned host, unsigned kinds, uint64_t limit)
{
    struct ready_wanted wanted = {.host = host, .kinds = kinds};

    return run(lab, lab->now + limit, is_ready, &wanted);
}

void lab_assert_idle(struct lab *lab)
{
    for (unsigned i = 0; i < lab->host_count; i++) {
        struct homa_engine_usage usage;

        homa_engine_usage(lab->hosts[i].engine, &usage);
        assert_int_equal(usage.rpcs, 0);
        assert_int_equal(usage.timers, 0);
        assert_int_equal(usage.gaps, 0);
        assert_int_equal(usage.queued_bytes, 0);
        assert_int_equal(lab->hosts[i].payloads_out, 0);
    }
}

/* ---- single packets ---- */

struct homa_packet lab_data(uint64_t id, uint32_t message_length, uint32_t offset, uint32_t length)
{
    uint32_t unscheduled = 40000;

    return (struct homa_packet){
        .type = HOMA_DATA,
        .id = id,
        .data = {.message_length = message_length,
                 .incoming = message_length < unscheduled ? message_length : unscheduled,
                 .cutoff_version = 1,
                 .offset = offset,
                 .payload_length = length},
    };
}

void lab_push(struct lab *lab, unsigned to, unsigned from, struct homa_packet *packet,
              uint32_t seed)
{
    struct lab_host *host = &lab->hosts[to];
    uint32_t payload = packet->type == HOMA_DATA ? packet->data.payload_length : 0;
    uint8_t *bytes = malloc(BASE_PACKET_HEADER_MAX + payload);
    struct base_packet encoded;
    struct base_arrival arrival = {.from = lab->hosts[from].address, .bytes = bytes};

    assert_non_null(bytes);
    arrival.from.local = host->address.remote;
    packet->source_port = lab->hosts[from].address.port;
    packet->destination_port = host->address.port;
    homa_packet_encode(packet, lab->format, &encoded);
    memcpy(bytes, encoded.header, encoded.header_length);
    if (payload > 0)
        fill_pattern(bytes + encoded.header_length, seed, packet->data.offset, payload);
    arrival.length = encoded.header_length + payload;
    homa_engine_input(host->engine, lab->now, &arrival);
    homa_engine_check(host->engine);
    free(bytes);
}

size_t lab_pull(struct lab *lab, unsigned host, struct lab_packet *packets, size_t max)
{
    static uint8_t bytes[65536 + BASE_PACKET_HEADER_MAX];
    size_t total = 0;

    while (total < max) {
        struct base_packet packet;

        if (homa_engine_output(lab->hosts[host].engine, lab->now, &lab->hosts[host].backlog,
                               &packet, 1) == 0)
            break;
        decode(lab, host, &packet, bytes, &packets[total++]);
    }
    homa_engine_check(lab->hosts[host].engine);
    free_released(&lab->hosts[host]);
    return total;
}

size_t lab_pull_type(struct lab *lab, unsigned host, enum homa_packet_type type,
                     struct lab_packet *found)
{
    struct lab_packet packet;
    size_t count = 0;

    while (lab_pull(lab, host, &packet, 1) > 0)
        if (packet.decoded.type == type) {
            *found = packet;
            count++;
        }
    return count;
}

void lab_tick(struct lab *lab, unsigned host, uint64_t ns)
{
    uint64_t until = lab->now + ns;

    while (lab->now < until) {
        uint64_t due = homa_engine_deadline(lab->hosts[host].engine);

        /* What is overdue wants output, which is the caller's to pull. */
        if (due <= lab->now)
            due = lab->now + 100 * LAB_US;
        lab_jump(lab, host, homa_min_u64(due, until) - lab->now);
    }
}

void lab_jump(struct lab *lab, unsigned host, uint64_t ns)
{
    lab->now += ns;
    homa_engine_advance(lab->hosts[host].engine, lab->now);
    schedule(lab, &lab->hosts[host]);
    homa_engine_check(lab->hosts[host].engine);
}

struct homa_engine *lab_engine(struct lab *lab, unsigned host)
{
    return lab->hosts[host].engine;
}

const struct homa_counters *lab_counters(const struct lab *lab, unsigned host)
{
    return homa_engine_counters(lab->hosts[host].engine);
}

struct homa_engine_usage lab_usage(const struct lab *lab, unsigned host)
{
    struct homa_engine_usage usage;

    homa_engine_usage(lab->hosts[host].engine, &usage);
    return usage;
}
