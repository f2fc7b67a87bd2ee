/* The small world of tests (small_world.h). */
#include "small_world.h"

#include "homa/packet.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 200000u

/* A byte of every request, so that a response can be told to be right. */
static uint8_t byte_at(uint32_t length, uint32_t offset)
{
    return (uint8_t)(length * 7 + offset * 13 + offset / 256);
}

void small_fill(uint8_t *bytes, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        bytes[i] = byte_at(length, i);
}

static uint8_t *read_message(struct sim_socket *socket, const struct homa_message *message)
{
    uint8_t *bytes = sim_allocate(message->length, 1);
    uint32_t at = 0;

    for (uint32_t i = 0; i < message->num_bpages; i++) {
        uint32_t part = message->length - at < BPAGE_SIZE ? message->length - at : BPAGE_SIZE;

        memcpy(bytes + at, socket->region.base + message->bpage_offsets[i], part);
        at += part;
    }
    assert_int_equal(at, message->length);
    return bytes;
}

static bool is_right(const uint8_t *bytes, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        if (bytes[i] != byte_at(length, i))
            return false;
    }
    return true;
}

static void give_back(struct small_world *small, struct sim_socket *socket,
                      const struct homa_message *message)
{
    uint32_t offsets[MESSAGE_MAX / BPAGE_SIZE + 1];
    uint32_t bad = 0;

    if (message->num_bpages == 0)
        return;
    assert_true(message->num_bpages <= sizeof(offsets) / sizeof(offsets[0]));
    memcpy(offsets, message->bpage_offsets, message->num_bpages * sizeof(offsets[0]));
    assert_int_equal(homa_engine_return_bpages(socket->engine, sim_engine_now(small->world),
                                               offsets, message->num_bpages, &bad),
                     0);
}

static void serve(struct small_world *small, struct sim_socket *socket,
                  const struct homa_message *message)
{
    uint8_t *bytes = read_message(socket, message);
    struct mem_payload *payload = NULL;
    struct base_address peer = message->peer;
    uint64_t id = message->id;

    small->requests++;
    small->strange += !is_right(bytes, message->length);
    payload = sim_payload_new(socket->host, bytes, message->length);
    give_back(small, socket, message);
    if (small->mute ||
        homa_engine_reply(socket->engine, sim_engine_now(small->world), &peer, id, payload, 0) != 0)
        sim_payload_free(socket->host, payload);
}

static void finish(struct small_world *small, struct sim_socket *socket,
                   const struct homa_message *message)
{
    struct small_call *call = &small->calls[message->cookie];

    assert_true(message->cookie < small->call_count);
    assert_false(call->is_over);
    call->is_over = true;
    call->error = message->error;
    if (message->error == 0) {
        uint8_t *bytes = read_message(socket, message);

        call->is_right = is_right(bytes, message->length);
        free(bytes);
        give_back(small, socket, message);
    }
}

static void ready(void *context, struct sim_socket *socket)
{
    struct small_world *small = context;
    struct homa_message message;

    while (homa_engine_take(socket->engine, sim_engine_now(small->world), 0,
                            HOMA_TAKE_REQUEST | HOMA_TAKE_RESPONSE, &message) == 0) {
        if ((message.id & 1) != 0)
            serve(small, socket, &message);
        else
            finish(small, socket, &message);
    }
}

void small_open(struct small_world *small, uint32_t hosts)
{
    struct sim_world_options options = {.seed = 1, .carries_payload = true};
    const struct sim_application application = {.context = small, .ready = ready};
    const char *why = NULL;

    *small = (struct small_world){0};
    small->host = (struct sim_host_options){
        .sockets = 2,
        .ports = {SMALL_SERVER_PORT, SMALL_CLIENT_PORT},
        .is_server = {true, false},
        .region_bpages = 64,
        .max_message = MESSAGE_MAX,
        .max_rpcs = 512,
        .max_peers = 64,
        .max_tombstones = 512,
        .packet_bytes = 1472,
        .sched_limit = UINT64_MAX,
        .sched_messages = 256,
        .send_delay = SIM_NS * 500,
        .output_batch = 8,
        .wire_overhead = 66,
        .wire_minimum = 84,
    };
    homa_knobs_default(&small->host.knobs);
    small->host.knobs.timeout_ticks = 100;
    small->host.knobs.window = 20000; /* so that a long message takes several grants */
    options.hosts = &small->host;
    options.is_host_options_shared = true;
    options.network = (struct sim_network_options){
        .topology = SIM_SINGLE,
        .hosts = hosts,
        .host_mbps = 10000,
        .switch_delay = 250 * SIM_NS,
        .priorities = 8,
        .seed = 2,
    };
    small->world = sim_world_open(&options, &application, &why);
    if (small->world == NULL)
        fail_msg("%s", why);
}

void small_close(struct small_world *small)
{
    sim_world_close(small->world);
}

uint32_t small_request(struct small_world *small, uint32_t from, uint32_t to, uint32_t length)
{
    struct sim_host *host = sim_world_host(small->world, from);
    struct sim_socket *client = sim_host_socket(host, 1);
    struct base_address server =
        sim_socket_address(sim_host_socket(sim_world_host(small->world, to), 0));
    uint32_t number = small->call_count++;
    uint8_t *bytes = sim_allocate(length, 1);

    assert_true(number < SMALL_CALLS_MAX);
    small_fill(bytes, length);
    small->calls[number].host = from;
    assert_int_equal(homa_engine_request(client->engine, sim_engine_now(small->world), &server,
                                         sim_payload_new(host, bytes, length), 0, number, false,
                                         &small->calls[number].id),
                     0);
    sim_host_touch(host);
    return number;
}

void small_run(struct small_world *small, sim_time time)
{
    sim_clock_run(sim_world_clock(small->world), sim_world_now(small->world) + time);
}

static struct sim_packet *make_packet(struct small_world *small, uint32_t from, uint32_t to,
                                      const struct homa_packet *fields, uint32_t payload)
{
    struct sim_packet *packet = sim_packet_new(sim_world_network(small->world));
    struct base_packet encoded;

    homa_packet_encode(fields, HOMA_FORMAT_UDP, &encoded);
    packet->length = encoded.header_length + payload;
    packet->wire_bytes = packet->length + small->host.wire_overhead;
    packet->from = (uint16_t)from;
    packet->to = (uint16_t)to;
    packet->source_port = SMALL_CLIENT_PORT;
    packet->destination_port = SMALL_SERVER_PORT;
    packet->priority = 5;
    packet->header_length = encoded.header_length;
    memcpy(packet->header, encoded.header, encoded.header_length);
    packet->bytes = sim_allocate(packet->length, 1);
    memcpy(packet->bytes, encoded.header, encoded.header_length);
    for (uint32_t i = 0; i < payload; i++)
        packet->bytes[encoded.header_length + i] = byte_at(payload, i);
    return packet;
}

struct sim_packet *small_data(struct small_world *small, uint32_t from, uint32_t to,
                              uint32_t payload)
{
    const struct homa_packet fields = {
        .type = HOMA_DATA,
        .source_port = SMALL_CLIENT_PORT,
        .destination_port = SMALL_SERVER_PORT,
        .id = 4,
        .data = {.message_length = payload, .incoming = payload, .payload_length = payload}};

    return make_packet(small, from, to, &fields, payload);
}

struct sim_packet *small_control(struct small_world *small, uint32_t from, uint32_t to,
                                 unsigned type)
{
    const struct homa_packet fields = {.type = (enum homa_packet_type)type,
                                       .source_port = SMALL_CLIENT_PORT,
                                       .destination_port = SMALL_SERVER_PORT,
                                       .id = 4,
                                       .resend = {.has_priority = type == HOMA_RESEND}};

    return make_packet(small, from, to, &fields, 0);
}
