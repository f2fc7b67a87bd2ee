/* The world of one-way messages (one_way.h). */
#include "one_way.h"

#include <string.h>

static void end_at_sender(struct one_way *world, const struct homa_message *message)
{
    struct sim_host *host = sim_world_host(world->world, sim_address_host(&message->peer));
    struct sim_socket *socket = sim_host_socket(host, message->peer.port - ONE_WAY_PORT);

    if (socket->engine == NULL)
        return;
    homa_engine_abort(socket->engine, sim_engine_now(world->world), message->id & ~UINT64_C(1), 0);
    sim_host_touch(host);
}

static void ready(void *context, struct sim_socket *socket)
{
    struct one_way *world = context;
    uint64_t now = sim_engine_now(world->world);
    struct homa_message message;
    uint32_t bad;

    while (homa_engine_take(socket->engine, now, 0, HOMA_TAKE_REQUEST | HOMA_TAKE_RESPONSE,
                            &message) == 0) {
        assert_true(world->count < ONE_WAY_MAX);
        world->events[world->count++] = (struct one_way_event){
            .host = sim_host_number(socket->host),
            .socket = socket->number,
            .length = message.length,
            .error = message.error,
            .at = sim_host_now(socket->host) - world->began,
        };
        if (message.error != 0)
            continue;
        homa_engine_return_bpages(socket->engine, now, message.bpage_offsets, message.num_bpages,
                                  &bad);
        homa_engine_drop(socket->engine, now, &message.peer, message.id);
        end_at_sender(world, &message);
    }
}

void one_way_prepare(struct one_way *world, uint32_t hosts)
{
    struct sim_host_options host = {
        .sockets = 1,
        .ports = {ONE_WAY_PORT, ONE_WAY_PORT + 1},
        .is_server = {true, true},
        .region_bpages = 256,
        .max_message = 1000000,
        .max_rpcs = 256,
        .max_peers = 64,
        .max_tombstones = 256,
        .packet_bytes = HOMA_DATA_HEADER_LENGTH + 1416,
        .sched_limit = UINT32_MAX,
        .sched_messages = 256,
        .send_delay = 500 * SIM_NS,
        .output_batch = 1,
        .wire_overhead = 66,
        .wire_minimum = 84,
    };

    memset(world, 0, sizeof(*world));
    assert_int_equal(host.packet_bytes + host.wire_overhead, 1538);
    assert_true(hosts <= sizeof(world->hosts) / sizeof(world->hosts[0]));
    homa_knobs_default(&host.knobs);
    host.knobs.flags = HOMA_KNOB_FLAG_DONT_THROTTLE;
    for (uint32_t i = 0; i < hosts; i++)
        world->hosts[i] = host;
    world->options = (struct sim_world_options){
        .seed = 1,
        .hosts = world->hosts,
        .network =
            {
                .topology = SIM_SINGLE,
                .hosts = hosts,
                .host_mbps = 10000,
                .switch_delay = 250 * SIM_NS,
                .receive_delay = 500 * SIM_NS,
                .priorities = 8,
            },
    };
}

void one_way_open(struct one_way *world)
{
    const struct sim_application application = {.context = world, .ready = ready};
    const char *why = NULL;

    world->world = sim_world_open(&world->options, &application, &why);
    if (world->world == NULL)
        fail_msg("%s", why);
    for (uint32_t from = 0; from < world->options.network.hosts; from++)
        for (uint32_t to = 0; to < world->options.network.hosts; to++)
            for (uint32_t socket = 0; from != to && socket < world->hosts[from].sockets; socket++)
                one_way_send(world, from, to, socket, 1);
    one_way_run(world, SIM_MS);
    world->began = SIM_MS;
    world->count = 0;
}

void one_way_close(struct one_way *world)
{
    sim_world_close(world->world);
}

uint64_t one_way_send(struct one_way *world, uint32_t from, uint32_t to, uint32_t socket,
                      uint32_t length)
{
    struct sim_host *host = sim_world_host(world->world, from);
    struct base_address address =
        sim_socket_address(sim_host_socket(sim_world_host(world->world, to), socket));
    uint8_t *bytes = world->options.carries_payload ? sim_allocate(length, 1) : NULL;
    uint64_t id = 0;

    assert_int_equal(homa_engine_request(sim_host_socket(host, socket)->engine,
                                         sim_engine_now(world->world), &address,
                                         sim_payload_new(host, bytes, length), 0, 0, false, &id),
                     0);
    sim_host_touch(host);
    return id;
}

void one_way_run(struct one_way *world, sim_time until)
{
    sim_clock_run(sim_world_clock(world->world), world->began + until);
}

void one_way_stop(struct one_way *world, uint32_t host, sim_time until)
{
    sim_host_stop(sim_world_host(world->world, host), world->began + until);
}

void one_way_expect(const struct one_way *world, uint32_t event, uint32_t host, uint32_t length,
                    sim_time at)
{
    const struct one_way_event *seen = &world->events[event];

    assert_true(event < world->count);
    assert_int_equal(seen->host, host);
    assert_int_equal(seen->length, length);
    assert_int_equal(seen->error, 0);
    assert_int_equal(seen->at, at);
}

uint32_t one_way_rpcs(const struct one_way *world)
{
    uint32_t rpcs = 0;

    for (uint32_t i = 0; i < sim_world_host_count(world->world); i++) {
        struct sim_host *host = sim_world_host(world->world, i);

        for (uint32_t j = 0; j < sim_host_options(host)->sockets; j++) {
            const struct sim_socket *socket = sim_host_socket(host, j);
            struct homa_engine_usage usage = {0};

            if (socket->engine != NULL)
                homa_engine_usage(socket->engine, &usage);
            rpcs += usage.rpcs;
        }
    }
    return rpcs;
}
