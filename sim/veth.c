/*
 * The veth scenario (veth.h). In this order, as missive-load does it: a warm-up, in which pacers
 * learn the rate; single messages on the idle path; the load. A message is found again when it
 * arrives by its sender and id, as in cluster.c: an engine's ids grow by two.
 */
#include "sim/veth.h"

#include "sim/report.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define CLIENT 0u
#define SERVER 1u

#define SERVER_PORT    4000u
#define CLIENT_PORT    32768u
#define PACKET_BYTES   1472u /* UDP's share of a packet of 1,500 bytes */
#define WIRE_OVERHEAD  42u   /* Ethernet, IPv4 and UDP headers: what tbf counts */
#define LENGTH_MIN     8u    /* the real ones begin with a time */
#define LENGTH_MAX     1000000u
#define REGION_BPAGES  1024u
#define OUTPUT_BATCH   64u
#define RECEIVE_BATCH  2048u
#define RECEIVE_BUFFER 8388608u
/* What the kernel charges for a datagram beyond its bytes, about. */
#define RECEIVE_OVERHEAD 812u
#define SEND_BUFFER      8388608u
/* Faster than anything: the cable is not what limits. */
#define CABLE_MBPS 8000000u

#define WARM_UP_LENGTH 250000u
#define IDLE_ROUNDS    5u
#define PAUSE          (700 * SIM_US)
#define PATIENCE       (3 * SIM_S)

struct message {
    sim_time born_at; /* SIM_NEVER: over */
    uint32_t length;
    bool counts;
};

struct sender {
    struct message *messages;
    uint64_t count;
    uint64_t room;
    uint64_t first_id;
};

struct veth {
    struct sim_alarm arrival;
    const struct sim_veth_options *options;
    struct sim_veth_result *result;
    struct sim_world *world;
    struct sender senders[SIM_SOCKETS_MAX];
    struct sim_stream stream;
    struct sim_arrival next;
    sim_time stream_began_at;
    sim_time last_elapsed; /* of the message that was over last */
    uint64_t open;
    uint64_t unanswered;
};

/* ---- messages ---- */

static struct message *add_message(struct sender *sender)
{
    if (sender->count == sender->room) {
        sender->room = sender->room == 0 ? 1024 : 2 * sender->room;
        sender->messages = realloc(sender->messages, sender->room * sizeof(struct message));
        if (sender->messages == NULL)
            sim_out_of_memory();
    }
    return &sender->messages[sender->count++];
}

static void send_message(struct veth *veth, uint32_t number, uint32_t length, bool counts)
{
    struct sim_host *client = sim_world_host(veth->world, CLIENT);
    struct sim_socket *socket = sim_host_socket(client, number);
    struct sender *sender = &veth->senders[number];
    struct base_address server =
        sim_socket_address(sim_host_socket(sim_world_host(veth->world, SERVER), 0));
    struct mem_payload *payload = sim_payload_new(client, NULL, length);
    uint64_t id = 0;

    veth->result->sent += counts;
    if (homa_engine_request(socket->engine, sim_engine_now(veth->world), &server, payload, 0, 0,
                            false, &id) != 0) {
        sim_payload_free(client, payload);
        return;
    }
    if (sender->count == 0)
        sender->first_id = id;
    assert(id == sender->first_id + 2 * sender->count);
    *add_message(sender) =
        (struct message){.born_at = sim_world_now(veth->world), .length = length, .counts = counts};
    veth->open++;
    veth->unanswered++;
    sim_host_touch(client);
}

static void answer(struct veth *veth, struct sim_socket *socket, const struct base_address *peer,
                   uint64_t id)
{
    struct mem_payload *payload = sim_payload_new(socket->host, NULL, 1);

    if (homa_engine_reply(socket->engine, sim_engine_now(veth->world), peer, id, payload, 0) != 0)
        sim_payload_free(socket->host, payload);
}

static void take_request(struct veth *veth, struct sim_socket *socket,
                         const struct homa_message *taken)
{
    struct sender *sender = &veth->senders[taken->peer.port - CLIENT_PORT];
    struct message *message =
        &sender->messages[((taken->id & ~UINT64_C(1)) - sender->first_id) / 2];
    struct base_address peer = taken->peer;
    uint64_t id = taken->id;
    uint32_t bad = 0;

    assert(message->born_at != SIM_NEVER && message->length == taken->length);
    homa_engine_return_bpages(socket->engine, sim_engine_now(veth->world), taken->bpage_offsets,
                              taken->num_bpages, &bad);
    veth->last_elapsed = sim_host_now(socket->host) - message->born_at;
    if (message->counts) {
        sim_slowdown_add(veth->result->slowdown, message->length, veth->last_elapsed / SIM_NS,
                         sim_idle_time(&veth->result->idle, message->length));
        veth->result->finished++;
    }
    message->born_at = SIM_NEVER;
    veth->open--;
    answer(veth, socket, &peer, id);
}

static void take_messages(void *context, struct sim_socket *socket)
{
    struct veth *veth = context;
    struct homa_message taken;
    uint32_t bad = 0;

    while (homa_engine_take(socket->engine, sim_engine_now(veth->world), 0,
                            HOMA_TAKE_REQUEST | HOMA_TAKE_RESPONSE, &taken) == 0) {
        if ((taken.id & 1) != 0) {
            take_request(veth, socket, &taken);
            continue;
        }
        veth->unanswered--;
        if (taken.num_bpages > 0)
            homa_engine_return_bpages(socket->engine, sim_engine_now(veth->world),
                                      taken.bpage_offsets, taken.num_bpages, &bad);
    }
}

/* ---- the phases ---- */

static void let_pass(struct veth *veth, sim_time time)
{
    sim_clock_run(sim_world_clock(veth->world), sim_world_now(veth->world) + time);
}

/* Until everything is answered, or nothing more is to be hoped for. */
static void let_finish(struct veth *veth)
{
    struct sim_clock *clock = sim_world_clock(veth->world);
    sim_time until = sim_world_now(veth->world) + PATIENCE;

    while (veth->unanswered > 0 && sim_clock_step(clock, until))
        ;
}

static void warm_up(struct veth *veth)
{
    for (uint32_t i = 0; i < veth->options->stream.sockets; i++) {
        send_message(veth, i, WARM_UP_LENGTH, false);
        let_finish(veth);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static void measure_idle(struct veth *veth)
{
    struct sim_idle *idle = &veth->result->idle;

    sim_idle_choose(idle, &veth->options->stream);
    for (uint32_t i = 0; i < idle->count; i++) {
        uint64_t values[IDLE_ROUNDS];

        for (uint32_t round = 0; round < IDLE_ROUNDS; round++) {
            let_pass(veth, PAUSE);
            send_message(veth, 0, idle->lengths[i], false);
            let_finish(veth);
            values[round] = veth->last_elapsed / SIM_NS;
        }
        qsort(values, IDLE_ROUNDS, sizeof(values[0]), compare);
        idle->ns[i] = values[IDLE_ROUNDS / 2];
    }
    let_pass(veth, PAUSE);
}

static void set_arrival(struct veth *veth)
{
    veth->next = sim_stream_next(&veth->stream);
    if (veth->next.at < veth->options->duration && veth->result->sent < veth->options->messages)
        sim_alarm_set(sim_world_clock(veth->world), &veth->arrival,
                      veth->stream_began_at + veth->next.at);
}

static void ring_arrival(struct sim_alarm *alarm)
{
    struct veth *veth = (struct veth *)alarm; /* its first field */

    send_message(veth, veth->next.socket, veth->next.length, true);
    set_arrival(veth);
}

static void run_load(struct veth *veth)
{
    struct sim_host *client = sim_world_host(veth->world, CLIENT);
    struct sim_host *server = sim_world_host(veth->world, SERVER);
    struct sim_veth_result *result = veth->result;

    result->client_busy = sim_host_processor_busy(client);
    result->server_busy = sim_host_processor_busy(server);
    veth->stream_began_at = sim_world_now(veth->world);
    sim_stream_begin(&veth->stream, &veth->options->stream);
    sim_alarm_init(&veth->arrival, ring_arrival);
    set_arrival(veth);
    while (sim_alarm_is_set(&veth->arrival))
        sim_clock_step(sim_world_clock(veth->world), SIM_NEVER);
    result->time = sim_world_now(veth->world) - veth->stream_began_at;
    result->client_busy = sim_host_processor_busy(client) - result->client_busy;
    result->server_busy = sim_host_processor_busy(server) - result->server_busy;
    let_finish(veth);
}

static void count(struct veth *veth)
{
    struct sim_veth_result *result = veth->result;

    for (uint32_t i = 0; i < veth->options->stream.sockets; i++) {
        struct sim_socket *socket = sim_host_socket(sim_world_host(veth->world, CLIENT), i);

        result->resent_packets += homa_engine_counters(socket->engine)->resent_packets;
    }
    result->overflows = sim_host_overflows(sim_world_host(veth->world, CLIENT)) +
                        sim_host_overflows(sim_world_host(veth->world, SERVER));
}

/* ---- set-up ---- */

static void host_defaults(struct sim_host_options *host, uint32_t rate_mbps, uint32_t burst_bytes)
{
    *host = (struct sim_host_options){
        .processor = {.receive_batch = RECEIVE_BATCH,
                      .receive_buffer = RECEIVE_BUFFER,
                      .receive_overhead = RECEIVE_OVERHEAD},
        .region_bpages = REGION_BPAGES,
        .max_message = LENGTH_MAX,
        .max_rpcs = 8192,
        .max_peers = 64,
        .max_tombstones = 65536,
        .packet_bytes = PACKET_BYTES,
        .sched_limit = UINT32_MAX,
        .sched_messages = 8192,
        .card_queue = SEND_BUFFER * (UINT64_C(8000000) / rate_mbps),
        .card_mbps = rate_mbps,
        .card_burst = burst_bytes,
        .output_batch = OUTPUT_BATCH,
        .sees_backlog = true,
        .measures_backlog = true,
        .wire_overhead = WIRE_OVERHEAD,
    };
    homa_knobs_default(&host->knobs);
}

void sim_veth_defaults(struct sim_veth_options *options, uint32_t rate_mbps, uint32_t burst_bytes)
{
    *options = (struct sim_veth_options){
        .stream = {.seed = 1,
                   .load_permille = 500,
                   .rate_mbps = rate_mbps,
                   .length_min = LENGTH_MIN,
                   .length_max = LENGTH_MAX,
                   .packet_bytes = PACKET_BYTES,
                   .wire_overhead = WIRE_OVERHEAD,
                   .sockets = SIM_SOCKETS_MAX},
        .duration = 20 * SIM_S,
        .messages = UINT32_MAX,
    };
    host_defaults(&options->client, rate_mbps, burst_bytes);
    host_defaults(&options->server, rate_mbps, burst_bytes);
    for (uint32_t i = 0; i < SIM_SOCKETS_MAX; i++)
        options->client.ports[i] = (uint16_t)(CLIENT_PORT + i);
    options->server.sockets = 1;
    options->server.ports[0] = SERVER_PORT;
    options->server.is_server[0] = true;
}

static const char *fault_in(const struct sim_veth_options *options)
{
    const struct sim_stream_options *stream = &options->stream;

    if (stream->rate_mbps == 0 || CABLE_MBPS % stream->rate_mbps != 0)
        return "the rate must divide 8,000,000 Mbit/s, as 100, 1000 and 10000 do";
    if (stream->sockets == 0 || stream->sockets > SIM_SOCKETS_MAX)
        return "the client has from 1 to 4 sockets";
    if (stream->length_min == 0 || stream->length_min > stream->length_max ||
        stream->length_max > LENGTH_MAX)
        return "messages have from 1 to 1,000,000 bytes";
    if (stream->load_permille < 1 || stream->load_permille > 10000)
        return "the load is a share of the rate, from 0.001 to 10";
    if (options->client.card_burst < PACKET_BYTES + WIRE_OVERHEAD)
        return "the burst must hold a full packet";
    return NULL;
}

int sim_veth_run(const struct sim_veth_options *options, struct sim_veth_result *result,
                 const char **why)
{
    struct sim_host_options hosts[2] = {[CLIENT] = options->client, [SERVER] = options->server};
    const struct sim_world_options world_options = {
        .seed = base_mix(options->stream.seed + 1),
        .network = {.topology = SIM_SINGLE, .hosts = 2, .host_mbps = CABLE_MBPS, .priorities = 1},
        .hosts = hosts,
    };
    struct veth *veth = NULL;

    *result = (struct sim_veth_result){0};
    *why = fault_in(options);
    if (*why != NULL)
        return -EINVAL;
    hosts[CLIENT].sockets = options->stream.sockets;
    veth = sim_allocate(1, sizeof(*veth));
    const struct sim_application application = {.context = veth, .ready = take_messages};

    veth->options = options;
    veth->result = result;
    veth->world = sim_world_open(&world_options, &application, why);
    if (veth->world == NULL) {
        free(veth);
        return -EINVAL;
    }
    result->slowdown = sim_slowdown_open();
    if (result->slowdown == NULL)
        sim_out_of_memory();
    warm_up(veth);
    measure_idle(veth);
    run_load(veth);
    count(veth);
    sim_world_close(veth->world);
    for (uint32_t i = 0; i < SIM_SOCKETS_MAX; i++)
        free(veth->senders[i].messages);
    free(veth);
    return 0;
}

/* ---- the table ---- */

static void print_share(FILE *file, sim_time part, sim_time whole)
{
    fprintf(file, "%" PRIu64 " %%", whole == 0 ? 0 : part / (whole / 100 + 1));
}

void sim_veth_print(const struct sim_veth_options *options, const struct sim_veth_result *result,
                    FILE *file)
{
    sim_report_table(file, result->slowdown, options->stream.workload);
    fprintf(file, "\n");
    (void)sim_report_figures(file, result->slowdown, options->stream.workload,
                             options->stream.load_permille);
    fprintf(file, "\n%" PRIu64 " messages in %" PRIu64 ".%" PRIu64 " s, %" PRIu64 " unfinished\n",
            result->sent, result->time / SIM_S, result->time % SIM_S / (100 * SIM_MS),
            result->sent - result->finished);
    fprintf(file, "packets sent again: %" PRIu64 ", lost at full buffers: %" PRIu64 "\n",
            result->resent_packets, result->overflows);
    fprintf(file, "processors in use: client ");
    print_share(file, result->client_busy, result->time);
    fprintf(file, ", server ");
    print_share(file, result->server_busy, result->time);
    fprintf(file, "\n");
}
