/*
 * A simulated host (host.h); what it sends goes through card.c. Whatever happens to it leads to
 * run(): a packet has come, a timer is due, the card can take more, somebody touched an engine.
 * run() does what is to be done in the order that homa/engine.h prescribes, and sets the alarms for
 * what comes next:
 *
 *     work      something is to be done as soon as the processor is free
 *     timer     an engine's deadline; may ring early, never late
 *     card      the card has room again
 */
#include "sim/host.h"

#include "sim/host_internal.h"
#include "sim/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GRANTS_AT_A_TIME 16u
/* Rounds of application and scheduler that follow from each other in one instant, and how long an
 * application that could go on like that forever is made to wait then. */
#define ROUNDS_MAX   64u
#define ROUNDS_PAUSE SIM_US

uint32_t sim_host_number(const struct sim_host *host)
{
    return host->number;
}

struct sim_socket *sim_host_socket(struct sim_host *host, uint32_t number)
{
    assert(number < host->options.sockets);
    return &host->sockets[number];
}

const struct sim_host_options *sim_host_options(const struct sim_host *host)
{
    return &host->options;
}

struct homa_sched *sim_host_sched(const struct sim_host *host)
{
    return host->sched;
}

bool sim_host_is_up(const struct sim_host *host)
{
    return host->is_up;
}

uint64_t sim_host_overflows(const struct sim_host *host)
{
    return host->overflows;
}

sim_time sim_host_processor_busy(const struct sim_host *host)
{
    return host->busy;
}

uint64_t sim_host_payloads(const struct sim_host *host)
{
    return host->payloads;
}

sim_time sim_host_now(const struct sim_host *host)
{
    return sim_world_now(host->world) + host->spent;
}

/* ---- addresses and time ---- */

static struct base_ip ip_of(uint32_t number)
{
    uint32_t host = number + 1;
    uint8_t ip[4] = {10, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host};

    return base_ip_from_v4(ip);
}

struct base_address sim_socket_address(const struct sim_socket *socket)
{
    return (struct base_address){.remote = ip_of(socket->host->number), .port = socket->port};
}

uint32_t sim_address_host(const struct base_address *address)
{
    const uint8_t *ip = address->remote.bytes + 12;
    uint32_t host = (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];

    return ip[0] == 10 && host > 0 && host <= UINT16_MAX ? host - 1 : UINT32_MAX;
}

static sim_time from_engine_time(uint64_t ns)
{
    /* Deadlines are not before the engine's own present, which is the world's, rounded down. */
    return ns < SIM_ENGINE_START_NS ? 0 : (ns - SIM_ENGINE_START_NS) * SIM_NS;
}

/* ---- payloads ---- */

struct mem_payload *sim_payload_new(struct sim_host *host, uint8_t *bytes, uint32_t length)
{
    struct sim_payload *made = sim_allocate(1, sizeof(*made));

    made->bytes = bytes;
    made->payload = (struct mem_payload){
        .bytes = bytes != NULL ? bytes : sim_memory_nowhere(),
        .length = length,
        .ready = length,
    };
    host->payloads++;
    return &made->payload;
}

void sim_payload_free(struct sim_host *host, struct mem_payload *payload)
{
    struct sim_payload *made = (struct sim_payload *)payload;

    assert(host->payloads > 0);
    host->payloads--;
    if (made->holder != NULL)
        *made->holder = NULL;
    free(made->bytes);
    free(made);
}

static void free_released(struct sim_host *host, struct homa_engine *engine)
{
    struct mem_payload_list released = SLIST_HEAD_INITIALIZER(released);

    homa_engine_released(engine, &released);
    while (!SLIST_EMPTY(&released)) {
        struct mem_payload *payload = SLIST_FIRST(&released);

        SLIST_REMOVE_HEAD(&released, released);
        sim_payload_free(host, payload);
    }
}

/* ---- packets in ---- */

static struct sim_socket *find_socket(struct sim_host *host, uint16_t port)
{
    for (uint32_t i = 0; i < host->options.sockets; i++)
        if (host->sockets[i].port == port && host->sockets[i].engine != NULL)
            return &host->sockets[i];
    return NULL;
}

static void take_in(struct sim_host *host, struct sim_packet *packet)
{
    struct sim_socket *socket = find_socket(host, packet->destination_port);
    struct base_arrival arrival = {
        .from = {.remote = ip_of(packet->from),
                 .local = ip_of(host->number),
                 .port = packet->source_port},
        .bytes = packet->bytes,
        .length = packet->length,
        .priority = packet->priority,
    };

    if (socket != NULL) {
        sim_world_see(host->world, SIM_DELIVERED, packet);
        if (packet->bytes == NULL)
            arrival.bytes = sim_memory_before_nowhere(packet->header, packet->header_length);
        homa_engine_input(socket->engine, sim_host_engine_now(host), &arrival);
    } else {
        sim_world_see(host->world, SIM_OVERFLOW, packet);
    }
    host->spent += host->options.processor.packet_in;
    sim_packet_free(sim_network_of(host), packet);
}

static uint64_t buffer_use(const struct sim_host *host, const struct sim_packet *packet)
{
    return (uint64_t)packet->length + host->options.processor.receive_overhead;
}

static void take_waiting(struct sim_host *host)
{
    uint32_t batch = host->options.processor.receive_batch;
    uint32_t left = batch == 0 ? UINT32_MAX : batch;

    while (host->first_waiting != NULL && left-- > 0) {
        struct sim_packet *packet = host->first_waiting;

        host->first_waiting = packet->next;
        host->waiting_bytes -= buffer_use(host, packet);
        take_in(host, packet);
    }
}

/* ---- the loop ---- */

/* Returns whether the scheduler was run. */
static bool schedule(struct sim_host *host, struct sim_socket *socket)
{
    struct homa_grant grants[GRANTS_AT_A_TIME];
    struct base_packet packet;
    size_t count;

    if (!homa_engine_wants_schedule(socket->engine))
        return false;
    sim_world_see_schedule(host->world, host, false);
    do {
        count = homa_engine_schedule(socket->engine, sim_host_engine_now(host), grants,
                                     GRANTS_AT_A_TIME);
        for (size_t i = 0; i < count; i++) {
            struct sim_socket *owner = grants[i].owner->cookie;

            homa_engine_encode_grant(&grants[i], owner->port, HOMA_FORMAT_UDP,
                                     homa_engine_knobs(owner->engine), &packet);
            sim_card_take(host, owner, &packet, 1, false);
        }
    } while (count == GRANTS_AT_A_TIME);
    sim_world_see_schedule(host->world, host, true);
    return true;
}

/* Tells the application what is ready. Returns whether there was anything. */
static bool tell_application(struct sim_host *host, struct sim_socket *socket)
{
    const struct sim_application *application = sim_world_application(host->world);
    uint64_t sequence = homa_engine_ready_sequence(socket->engine);

    if (sequence == socket->ready_seen)
        return false;
    socket->ready_seen = sequence;
    application->ready(application->context, socket);
    return true;
}

/* Sends what there is to send, and sees to it that no timer is missed. */
static void send_and_rest(struct sim_host *host)
{
    uint64_t next = HOMA_NEVER;

    sim_card_fill(host);
    for (uint32_t i = 0; i < host->options.sockets; i++) {
        struct homa_engine *engine = host->sockets[i].engine;

        if (engine == NULL)
            continue;
        free_released(host, engine);
        uint64_t deadline = homa_engine_deadline(engine);

        if (deadline < next)
            next = deadline;
    }
    if (next == HOMA_NEVER)
        return;
    sim_time at = from_engine_time(next);
    sim_time now = sim_world_now(host->world);

    /* What is due though all timers have been judged is a pacer that would let packets go, and they
     * wait for the card: engines have not been asked again. */
    if (at <= now && host->judged_at == now && sim_alarm_is_set(&host->card))
        at = host->card.at;
    at += host->options.processor.timer_late;
    /* An alarm that rings early costs less than one that is always right. */
    if (at < host->timer.at)
        sim_alarm_set(sim_world_clock(host->world), &host->timer, at);
}

/* What the application does may be news to the scheduler, and the scheduler judges timers of
 * messages, some of which then fail: that is news to the application. */
static void settle(struct sim_host *host)
{
    bool is_news = true;

    for (uint32_t round = 0; is_news && round < ROUNDS_MAX; round++) {
        is_news = false;
        for (uint32_t i = 0; i < host->options.sockets; i++)
            if (host->sockets[i].engine != NULL)
                is_news |= tell_application(host, &host->sockets[i]);
        for (uint32_t i = 0; i < host->options.sockets && !is_news; i++)
            if (host->sockets[i].engine != NULL)
                is_news |= schedule(host, &host->sockets[i]);
    }
    send_and_rest(host);
    if (is_news)
        sim_alarm_set(sim_world_clock(host->world), &host->work,
                      sim_world_now(host->world) + ROUNDS_PAUSE);
}

/* Whether the host can do something now; if not, it will when it can. */
static bool can_run(struct sim_host *host)
{
    sim_time now = sim_world_now(host->world);
    sim_time free_at =
        host->busy_until > host->stopped_until ? host->busy_until : host->stopped_until;

    if (!host->is_up)
        return false;
    if (free_at <= now)
        return true;
    if (!sim_alarm_is_set(&host->work) || host->work.at > free_at)
        sim_alarm_set(sim_world_clock(host->world), &host->work, free_at);
    return false;
}

static void end_run(struct sim_host *host)
{
    settle(host);
    if (!host->has_processor)
        return;
    host->busy += host->spent;
    host->busy_until = sim_host_now(host);
    host->spent = 0;
    if (host->first_waiting != NULL || host->has_more)
        sim_alarm_set(sim_world_clock(host->world), &host->work, host->busy_until);
}

static void advance(struct sim_host *host)
{
    host->judged_at = sim_world_now(host->world);
    for (uint32_t i = 0; i < host->options.sockets; i++)
        if (host->sockets[i].engine != NULL)
            homa_engine_advance(host->sockets[i].engine, sim_host_engine_now(host));
}

/* Does what there is to do; `judges`: timers too. */
static void run(struct sim_host *host, bool judges)
{
    if (!can_run(host))
        return;
    host->is_running = true;
    take_waiting(host);
    /* Packets that wait must not be taken for lost ones. */
    if (judges && host->first_waiting == NULL)
        advance(host);
    end_run(host);
    host->is_running = false;
}

static struct sim_host *host_of(struct sim_alarm *alarm, size_t offset)
{
    return (struct sim_host *)(void *)((char *)alarm - offset);
}

static void ring_work(struct sim_alarm *alarm)
{
    struct sim_host *host = host_of(alarm, offsetof(struct sim_host, work));

    /* The timer may have rung while the host could not run. */
    run(host, host->has_processor || !sim_alarm_is_set(&host->timer));
}

static void ring_timer(struct sim_alarm *alarm)
{
    run(host_of(alarm, offsetof(struct sim_host, timer)), true);
}

static void ring_card(struct sim_alarm *alarm)
{
    struct sim_host *host = host_of(alarm, offsetof(struct sim_host, card));

    if (host->has_processor)
        run(host, false);
    else if (can_run(host))
        send_and_rest(host);
}

void sim_host_touch(struct sim_host *host)
{
    sim_time now = sim_world_now(host->world);

    if (host->is_running || !host->is_up)
        return;
    if (!sim_alarm_is_set(&host->work) || host->work.at > now)
        sim_alarm_set(sim_world_clock(host->world), &host->work, now);
}

void sim_host_arrive(struct sim_host *host, struct sim_packet *packet)
{
    const struct sim_processor *processor = &host->options.processor;
    sim_time now = sim_world_now(host->world);

    if (!host->is_up) {
        sim_world_see(host->world, SIM_OVERFLOW, packet);
        sim_packet_free(sim_network_of(host), packet);
        return;
    }
    if (!host->has_processor && host->stopped_until <= now && host->first_waiting == NULL) {
        host->is_running = true;
        take_in(host, packet);
        end_run(host);
        host->is_running = false;
        return;
    }
    if (processor->receive_buffer != 0 &&
        host->waiting_bytes + buffer_use(host, packet) > processor->receive_buffer) {
        host->overflows++;
        sim_world_see(host->world, SIM_OVERFLOW, packet);
        sim_packet_free(sim_network_of(host), packet);
        return;
    }
    packet->next = NULL;
    if (host->first_waiting == NULL)
        host->first_waiting = packet;
    else
        host->last_waiting->next = packet;
    host->last_waiting = packet;
    host->waiting_bytes += buffer_use(host, packet);
    if (sim_alarm_is_set(&host->work))
        return;
    if (can_run(host)) /* it sleeps */
        sim_alarm_set(sim_world_clock(host->world), &host->work, now + processor->wake);
}

void sim_host_network_error(struct sim_host *host, uint16_t port,
                            const struct base_network_error *error)
{
    struct sim_socket *socket = host->is_up ? find_socket(host, port) : NULL;

    if (socket == NULL)
        return;
    homa_engine_network_error(socket->engine, sim_host_engine_now(host), error);
    sim_host_touch(host);
}

/* ---- opening and closing ---- */

static void open_socket(struct sim_host *host, uint32_t number, uint64_t seed)
{
    const struct sim_host_options *options = &host->options;
    struct sim_socket *socket = &host->sockets[number];
    struct homa_engine_options engine_options = {
        .knobs = options->knobs,
        .seed = seed,
        .now = sim_host_engine_now(host),
        .max_message = options->max_message,
        .max_rpcs = options->max_rpcs,
        .max_peers = options->max_peers,
        .max_tombstones = options->max_tombstones,
        .packet_bytes = options->packet_bytes,
        .port = options->ports[number],
        .format = HOMA_FORMAT_UDP,
        .is_server = options->is_server[number],
    };

    socket->host = host;
    socket->number = number;
    socket->port = options->ports[number];
    socket->ready_seen = 0;
    socket->generation++;
    int result = homa_engine_open(&engine_options, &socket->engine);

    assert(result != -EINVAL);
    if (result != 0)
        sim_out_of_memory();
    homa_engine_attach(socket->engine, host->sched, socket, options->sched_limit);
    if (options->region_bpages == 0)
        return;
    socket->region.length = (uint64_t)options->region_bpages * BPAGE_SIZE;
    socket->region.base = NULL;
    if (sim_world_carries_payload(host->world))
        socket->region.base = sim_memory_region(socket->region.length);
    if (bpage_pool_open(&socket->bpages, options->region_bpages) != 0)
        sim_out_of_memory();
    homa_engine_set_region(socket->engine, sim_host_engine_now(host), &socket->region,
                           socket->bpages);
}

void sim_host_close_socket(struct sim_host *host, uint32_t number)
{
    struct sim_socket *socket = &host->sockets[number];

    if (socket->engine == NULL)
        return;
    homa_engine_shutdown(socket->engine, sim_host_engine_now(host));
    free_released(host, socket->engine);
    homa_engine_detach(socket->engine);
    homa_engine_close(socket->engine);
    socket->engine = NULL;
    bpage_pool_close(socket->bpages);
    socket->bpages = NULL;
    sim_memory_free_region(socket->region.base, socket->region.length);
    socket->region.base = NULL;
}

struct sim_host *sim_host_open(struct sim_world *world, uint32_t number,
                               const struct sim_host_options *options)
{
    struct sim_host *host = sim_allocate(1, sizeof(*host));
    const struct sim_processor *processor = &options->processor;

    assert(options->sockets >= 1 && options->sockets <= SIM_SOCKETS_MAX);
    assert(options->output_batch >= 1 && options->output_batch <= SIM_BATCH_MAX);
    assert(sim_world_carries_payload(world) || !options->bundles); /* one header travels then */
    host->world = world;
    host->number = number;
    host->options = *options;
    host->has_processor = processor->wake != 0 || processor->packet_in != 0 ||
                          processor->packet_out != 0 || processor->receive_batch != 0;
    sim_alarm_init(&host->work, ring_work);
    sim_alarm_init(&host->timer, ring_timer);
    sim_alarm_init(&host->card, ring_card);
    host->ps_per_kilobyte = sim_network_host_time(sim_world_network(world), 1000);
    if (options->card_mbps != 0)
        host->ps_per_kilobyte = SIM_S / 125 / options->card_mbps;
    host->burst_time = options->card_burst * host->ps_per_kilobyte / 1000;
    return host;
}

void sim_host_restart(struct sim_host *host, uint64_t seed)
{
    if (!host->is_up) {
        if (homa_sched_open(&host->sched, &host->options.knobs, host->options.sched_messages) != 0)
            sim_out_of_memory();
        host->is_up = true;
    }
    for (uint32_t i = 0; i < host->options.sockets; i++)
        if (host->sockets[i].engine == NULL)
            open_socket(host, i, base_mix(seed + i));
}

static void forget_waiting(struct sim_host *host)
{
    while (host->first_waiting != NULL) {
        struct sim_packet *packet = host->first_waiting;

        host->first_waiting = packet->next;
        sim_packet_free(sim_network_of(host), packet);
    }
    host->waiting_bytes = 0;
}

void sim_host_crash(struct sim_host *host)
{
    struct sim_clock *clock = sim_world_clock(host->world);

    assert(!host->is_running);
    if (!host->is_up)
        return;
    sim_alarm_cancel(clock, &host->work);
    sim_alarm_cancel(clock, &host->timer);
    sim_alarm_cancel(clock, &host->card);
    for (uint32_t i = 0; i < host->options.sockets; i++)
        sim_host_close_socket(host, i);
    homa_sched_close(host->sched);
    host->sched = NULL;
    for (uint32_t i = 0; i < SIM_SOCKETS_MAX; i++)
        sim_backlog_clear(&host->backlogs[i]);
    forget_waiting(host);
    host->stopped_until = 0;
    host->busy_until = 0;
    host->has_more = false;
    host->is_up = false;
}

void sim_host_stop(struct sim_host *host, sim_time until)
{
    assert(until != SIM_NEVER);
    if (until > host->stopped_until)
        host->stopped_until = until;
    can_run(host);
}

void sim_host_close(struct sim_host *host)
{
    if (host == NULL)
        return;
    sim_host_crash(host);
    free(host);
}
