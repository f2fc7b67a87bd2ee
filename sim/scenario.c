/*
 * Making scenarios (scenario.h). One function per aspect, each with its own generator. One draw per
 * statement: the order of draws within an initializer or an expression would be the compiler's.
 *
 * Limits that hold the whole together:
 *  - tombstones outlive a client's timeout, all pauses and the longest delay of a packet together,
 *    so that at-most-once may be demanded of every server that was not started anew;
 *  - a message fits into every region, a packet into every buffer;
 *  - all faults and events are over at faults_until, pauses and downtimes included;
 *  - the bytes of all calls stay within what PACKETS_BUDGET packets carry.
 */
#include "sim/scenario.h"

#include "sim/draw.h"

#include <errno.h>
#include <string.h>

#define LONGEST        1000000u
#define PACKETS_BUDGET 6000u          /* of DATA, in a run without loss */
#define CALLS_BUDGET   1200u          /* in all */
#define ROOM           (200 * SIM_MS) /* of the slowest link, that a switch's buffer may hold */

enum aspect {
    ASPECT_SIZE = 1,
    ASPECT_NETWORK,
    ASPECT_HOSTS,
    ASPECT_TIMES,
    ASPECT_FLOW,
    ASPECT_TRAFFIC,
    ASPECT_LIMITS,
    ASPECT_CALLS,
    ASPECT_BUFFERS,
    ASPECT_OF_FATE = 100, /* and up: scenario_fate.c */
};

struct base_random sim_scenario_random(uint64_t seed, uint64_t aspect)
{
    return base_random_seed(base_mix(base_mix(seed) + aspect));
}

/* ---- the network ---- */

static void draw_size(struct sim_scenario *scenario)
{
    struct base_random random = sim_scenario_random(scenario->seed, ASPECT_SIZE);
    uint64_t class = base_random_below(&random, 20);

    if (class < 11)
        scenario->host_count = sim_between_u32(&random, 2, 5);
    else if (class < 18)
        scenario->host_count = sim_between_u32(&random, 6, 12);
    else
        scenario->host_count = sim_between_u32(&random, 13, SIM_SCENARIO_HOSTS);
    scenario->hostile = UINT32_MAX;
}

static void draw_network(struct sim_scenario *scenario)
{
    static const uint32_t speeds[] = {100, 1000, 10000, 10000, 25000, 100000};
    struct base_random random = sim_scenario_random(scenario->seed, ASPECT_NETWORK);
    struct sim_network_options *network = &scenario->network;
    bool is_in_racks = sim_chance(&random, 400);
    uint32_t racks = sim_between_u32(&random, 2, 4);

    network->topology = SIM_SINGLE;
    if (is_in_racks && scenario->host_count >= 2 * racks) {
        /* Full racks: the odd hosts are left out. */
        scenario->host_count -= scenario->host_count % racks;
        network->topology = SIM_RACKS;
        network->hosts_per_rack = scenario->host_count / racks;
    }
    network->hosts = scenario->host_count;
    network->core_switches = sim_between_u32(&random, 1, 4);
    network->host_mbps = SIM_PICK(&random, speeds);
    network->core_mbps = SIM_PICK(&random, speeds);
    network->switch_delay = sim_sometimes(&random, 700, 3 * SIM_US);
    network->propagation = sim_sometimes(&random, 600, 20 * SIM_US);
    network->receive_delay = sim_sometimes(&random, 500, 20 * SIM_US);
    network->priorities = sim_between_u32(&random, 1, SIM_PRIORITIES);
    network->seed = base_random_u64(&random);
}

/*
 * After the hosts: a buffer takes several of their largest packets. None holds more than passes in
 * ROOM: what waits longer comes when all who waited for it are gone, even their tombstones.
 */
static void draw_buffers(struct sim_scenario *scenario)
{
    struct base_random random = sim_scenario_random(scenario->seed, ASPECT_BUFFERS);
    struct sim_network_options *network = &scenario->network;
    const struct sim_host_options *host = &scenario->hosts[0];
    uint64_t least = 4 * ((uint64_t)host->packet_bytes + host->wire_overhead);
    uint64_t buffer = sim_any_magnitude(&random, 20000, 4000000);
    uint32_t mbps = network->host_mbps;

    if (network->topology == SIM_RACKS && network->core_mbps < mbps)
        mbps = network->core_mbps;
    uint64_t most = (ROOM / SIM_US) * mbps / 8;

    scenario->has_room = sim_chance(&random, 500);
    if (scenario->has_room || buffer > most)
        buffer = most;
    network->buffer_bytes = buffer > least ? buffer : least;
}

/* ---- hosts ---- */

static void draw_processor(struct base_random *random, struct sim_host_options *host)
{
    static const uint32_t batches[] = {0, 1, 16, 64};
    struct sim_processor *processor = &host->processor;
    uint64_t datagram = (uint64_t)host->packet_bytes;
    uint64_t buffer = sim_any_magnitude(random, 20000, 4000000);

    processor->wake = sim_between(random, 0, 20 * SIM_US);
    processor->packet_in = sim_between(random, 100 * SIM_NS, 3 * SIM_US);
    processor->packet_out = sim_between(random, 100 * SIM_NS, 3 * SIM_US);
    processor->receive_batch = SIM_PICK(random, batches);
    processor->receive_overhead = sim_between_u32(random, 0, 768);
    datagram += processor->receive_overhead;
    processor->receive_buffer = buffer > 8 * datagram ? buffer : 8 * datagram;
    if (sim_chance(random, 300))
        processor->receive_buffer = 0;
}

static void draw_card(struct base_random *random, struct sim_host_options *host)
{
    static const uint32_t batches[] = {1, 2, 8, 32, 64};

    host->send_delay = sim_sometimes(random, 500, 2 * SIM_US);
    host->card_queue = sim_sometimes(random, 500, 50 * SIM_US);
    host->output_batch = SIM_PICK(random, batches);
    host->sees_backlog = sim_chance(random, 500);
    host->wire_overhead = 66;
    host->wire_minimum = 84;
    host->bundles = sim_chance(random, 500);
}

/* Sockets have the ports 1000, 1001 ... At least one of the world is a server. */
static void draw_sockets(struct base_random *random, struct sim_host_options *host, bool is_first)
{
    host->sockets = sim_between_u32(random, 1, SIM_SOCKETS_MAX);
    if (sim_chance(random, 500))
        host->sockets = 1;
    for (uint32_t i = 0; i < host->sockets; i++) {
        host->ports[i] = (uint16_t)(1000 + i);
        host->is_server[i] = sim_chance(random, 750);
    }
    host->is_server[0] |= is_first;
}

static void draw_hosts(struct sim_scenario *scenario)
{
    static const uint32_t packets[] = {300, 576, 1456, 1456, 1456, 4000, 9000, 30000, 60000};
    static const uint32_t regions[] = {17, 18, 20, 24, 32, 64};
    struct base_random random = sim_scenario_random(scenario->seed, ASPECT_HOSTS);
    struct sim_host_options common = {.max_message = LONGEST};
    bool has_processor = sim_chance(&random, 400);

    common.packet_bytes = SIM_PICK(&random, packets);
    common.region_bpages = SIM_PICK(&random, regions);
    draw_card(&random, &common);
    draw_processor(&random, &common);
    if (!has_processor)
        common.processor = (struct sim_processor){0};
    common.sched_limit = LONGEST * 1000ull;
    if (common.processor.receive_buffer != 0)
        common.sched_limit = common.processor.receive_buffer / 2;
    for (uint32_t i = 0; i < scenario->host_count; i++) {
        scenario->hosts[i] = common;
        draw_sockets(&random, &scenario->hosts[i], i < 2);
    }
}

/* How many RPCs, peers ... there may be: rarely less than are needed. */
static void draw_limits(struct sim_scenario *scenario)
{
    struct base_random random = sim_scenario_random(scenario->seed, ASPECT_LIMITS);
    uint32_t rpcs = sim_between_u32(&random, 4, 64);
    uint32_t peers = sim_between_u32(&random, 2, 16);
    uint32_t tombstones = sim_between_u32(&random, 1, 64);
    uint32_t messages = sim_between_u32(&random, 1, 16);
    bool has_few_rpcs = sim_chance(&random, 150);
    bool has_few_peers = sim_chance(&random, 100);
    bool has_few_tombstones = sim_chance(&random, 50);
    bool has_few_messages = sim_chance(&random, 150);

    for (uint32_t i = 0; i < scenario->host_count; i++) {
        struct sim_host_options *host = &scenario->hosts[i];

        host->max_rpcs = has_few_rpcs ? rpcs : SIM_PLENTY_RPCS;
        host->max_peers = has_few_peers ? peers : 512;
        host->max_tombstones = has_few_tombstones ? tombstones : 65536;
        host->sched_messages = has_few_messages ? messages : 4096;
    }
    scenario->check_every = (uint32_t)sim_any_magnitude(&random, 64, 4096);
}

/* ---- knobs: times ---- */

static void draw_times(struct sim_scenario *scenario)
{
    static const uint32_t timeouts[] = {30, 50, 100, 100, 300, 1000};
    struct base_random random = sim_scenario_random(scenario->seed, ASPECT_TIMES);
    struct homa_knobs times;

    homa_knobs_default(&times);
    times.timeout_ticks = SIM_PICK(&random, timeouts);
    times.resend_ticks = sim_between_u32(&random, 1, 10);
    times.resend_interval = sim_between_u32(&random, 1, 10);
    times.request_ack_ticks = sim_between_u32(&random, 1, 10);
    for (uint32_t i = 0; i < scenario->host_count; i++)
        scenario->hosts[i].knobs = times;
}

/* ---- knobs: flow ---- */

/* Cutoffs that fall as levels rise: the lowest level in use takes all. */
static void draw_cutoffs(struct base_random *random, struct homa_knobs *knobs)
{
    uint32_t lowest = sim_between_u32(random, 0, knobs->num_priorities - 1);
    uint32_t cutoff = LONGEST;

    memset(knobs->unsched_cutoffs, 0, sizeof(knobs->unsched_cutoffs));
    knobs->unsched_cutoffs[lowest] = HOMA_CUTOFF_ALL;
    for (uint32_t level = lowest + 1; level < HOMA_PRIORITIES && cutoff > 2; level++) {
        if (sim_chance(random, 200))
            continue;
        cutoff = (uint32_t)sim_any_magnitude(random, 1, cutoff - 1);
        knobs->unsched_cutoffs[level] = cutoff;
    }
}

static void draw_priorities(struct base_random *random, struct homa_knobs *knobs)
{
    knobs->num_priorities = sim_between_u32(random, 1, HOMA_PRIORITIES);
    if (sim_chance(random, 300))
        for (uint32_t level = 0; level < HOMA_PRIORITIES; level++)
            knobs->priority_map[level] = sim_between_u32(random, 0, HOMA_PRIORITIES - 1);
    draw_cutoffs(random, knobs);
}

/* Grants: windows no smaller than a small packet, or a run would be one of millions of packets. */
static void draw_grants(struct base_random *random, struct homa_knobs *knobs)
{
    static const uint32_t unscheduled[] = {1, 100, 1400, 10000, 40000, 40000, 60001, LONGEST};
    static const uint32_t incoming[] = {12000, 60000, 400000, 400000, 4000000};
    static const uint32_t overcommit[] = {1, 2, 4, 8, 8, 16, HOMA_OVERCOMMIT_MAX};

    knobs->unsched_bytes = SIM_PICK(random, unscheduled);
    if (sim_chance(random, 300))
        knobs->unsched_bytes = (uint32_t)sim_any_magnitude(random, 1, 100000);
    knobs->max_incoming = SIM_PICK(random, incoming);
    knobs->max_overcommit = SIM_PICK(random, overcommit);
    knobs->window = (uint32_t)sim_any_magnitude(random, 1000, knobs->max_incoming);
    if (sim_chance(random, 600))
        knobs->window = 0;
    knobs->grant_fifo_fraction = 50;
    knobs->fifo_grant_increment = 50000;
    uint32_t fraction = sim_between_u32(random, 0, SIM_THOUSAND);
    uint32_t increment = (uint32_t)sim_any_magnitude(random, 500, 200000);

    if (sim_chance(random, 400)) {
        knobs->grant_fifo_fraction = fraction;
        knobs->fifo_grant_increment = increment;
    }
}

static void draw_pacer(struct base_random *random, struct homa_knobs *knobs, uint32_t host_mbps)
{
    static const uint32_t flags[] = {0, 0, 0, HOMA_KNOB_FLAG_DONT_THROTTLE};

    knobs->pacer_fifo_fraction = sim_between_u32(random, 0, SIM_THOUSAND);
    knobs->link_mbps = sim_chance(random, 500) ? host_mbps : 0;
    knobs->max_nic_est_backlog_usecs = sim_between_u32(random, 0, 100);
    knobs->defer_min_bytes = (uint32_t)sim_any_magnitude(random, 1, 20000);
    knobs->flags = SIM_PICK(random, flags);
}

static void draw_flow(struct sim_scenario *scenario)
{
    struct base_random random = sim_scenario_random(scenario->seed, ASPECT_FLOW);
    bool is_each_its_own = sim_chance(&random, 250);

    for (uint32_t i = 0; i < scenario->host_count; i++) {
        struct homa_knobs *knobs = &scenario->hosts[i].knobs;

        if (i > 0 && !is_each_its_own) {
            *knobs = scenario->hosts[0].knobs;
            continue;
        }
        draw_priorities(&random, knobs);
        draw_grants(&random, knobs);
        draw_pacer(&random, knobs, scenario->network.host_mbps);
    }
}

/* ---- traffic ---- */

/* Bytes that a packet of DATA carries at worst, as grants and packets are. */
static uint32_t least_step(const struct sim_scenario *scenario)
{
    uint32_t step = UINT32_MAX;

    for (uint32_t i = 0; i < scenario->host_count; i++) {
        const struct homa_knobs *knobs = &scenario->hosts[i].knobs;
        uint32_t active = knobs->max_overcommit;
        uint32_t window = knobs->window;
        uint32_t payload = scenario->hosts[i].packet_bytes - HOMA_DATA_HEADER_LENGTH;

        if (active > scenario->host_count)
            active = scenario->host_count;
        if (window == 0)
            window = knobs->max_incoming / (active + 1);
        if (window / 4 < step)
            step = window / 4;
        if (payload < step)
            step = payload;
    }
    return step > 100 ? step : 100;
}

static void draw_service(struct base_random *random, struct sim_traffic *traffic)
{
    traffic->think = sim_sometimes(random, 500, 300 * SIM_US);
    traffic->service = sim_sometimes(random, 500, 300 * SIM_US);
    traffic->long_service = (uint32_t)sim_sometimes(random, 300, 50);
    traffic->long_service_time = sim_between(random, SIM_MS, 200 * SIM_MS);
    traffic->lag = sim_sometimes(random, 300, 2 * SIM_MS);
    traffic->hold = sim_sometimes(random, 400, 3 * SIM_MS);
}

static uint32_t client_sockets(const struct sim_scenario *scenario)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < scenario->host_count; i++)
        count += scenario->hosts[i].sockets;
    return count;
}

static void draw_traffic(struct sim_scenario *scenario)
{
    static const uint32_t longest[] = {1000, 70000, LONGEST, LONGEST};
    struct base_random random = sim_scenario_random(scenario->seed, ASPECT_TRAFFIC);
    struct sim_traffic *traffic = &scenario->traffic;
    uint32_t clients = client_sockets(scenario);
    uint32_t calls = (uint32_t)sim_any_magnitude(&random, 8, 500);

    traffic->requests = (enum sim_mix)base_random_below(&random, SIM_MIXES);
    traffic->responses = (enum sim_mix)base_random_below(&random, SIM_MIXES);
    traffic->pattern = (enum sim_call_pattern)base_random_below(&random, SIM_CALLS);
    traffic->longest = SIM_PICK(&random, longest);
    traffic->bytes = (uint64_t)PACKETS_BUDGET * least_step(scenario);
    traffic->calls = clients * calls < CALLS_BUDGET ? calls : CALLS_BUDGET / (clients + 1);
    traffic->concurrency = (uint32_t)sim_any_magnitude(&random, 1, 64);
    draw_service(&random, traffic);
    traffic->is_private = (uint32_t)sim_sometimes(&random, 500, SIM_THOUSAND);
    traffic->is_dropped = (uint32_t)sim_sometimes(&random, 200, 300);
    traffic->is_abandoned = (uint32_t)sim_sometimes(&random, 300, 300);
    traffic->is_told = sim_between_u32(&random, 0, SIM_THOUSAND);
    traffic->is_piecewise = (uint32_t)sim_sometimes(&random, 300, SIM_THOUSAND);
    scenario->start_over = sim_any_magnitude(&random, 5, 1000) * SIM_MS;
}

/* ---- calls ---- */

static uint32_t draw_length(struct base_random *random, const struct sim_scenario *scenario,
                            enum sim_mix mix)
{
    const struct sim_host_options *host = &scenario->hosts[0];
    const uint32_t edges[] = {
        host->knobs.unsched_bytes,
        host->packet_bytes - HOMA_DATA_HEADER_LENGTH,
        BPAGE_SIZE,
        2 * BPAGE_SIZE,
        host->knobs.defer_min_bytes,
        LONGEST,
    };
    uint64_t length = 1;

    switch (mix) {
    case SIM_MIX_TINY:
        length = sim_between(random, 1, 100);
        break;
    case SIM_MIX_SMALL:
        length = sim_any_magnitude(random, 1, 3000);
        break;
    case SIM_MIX_EDGES:
        length = SIM_PICK(random, edges);
        length += sim_between(random, 0, 4);
        length -= length > 2 ? 2 : length - 1;
        break;
    case SIM_MIX_MIXED:
        length = sim_any_magnitude(random, 1, LONGEST);
        break;
    default:
        length = sim_between(random, 50000, LONGEST);
        break;
    }
    if (length > scenario->traffic.longest)
        length = 1 + length % scenario->traffic.longest;
    return (uint32_t)length;
}

static bool is_called(const struct sim_scenario *scenario, uint32_t host)
{
    return host != scenario->hostile || scenario->calls_hostile;
}

/* The number-th of those server sockets that this client may call; counts them when there is none
 * of that number. */
static uint32_t find_server(const struct sim_scenario *scenario, uint32_t client, uint32_t number,
                            struct sim_call_plan *plan)
{
    uint32_t count = 0;
    bool is_local = scenario->traffic.pattern == SIM_CALL_LOCAL;

    for (uint32_t host = 0; host < scenario->host_count; host++) {
        if ((host == client && !is_local) || !is_called(scenario, host))
            continue;
        for (uint32_t i = 0; i < scenario->hosts[host].sockets; i++) {
            if (!scenario->hosts[host].is_server[i] || count++ != number)
                continue;
            plan->host = host;
            plan->socket = i;
        }
    }
    return count;
}

static bool draw_server(struct base_random *random, const struct sim_scenario *scenario,
                        uint32_t client, struct sim_call_plan *plan)
{
    uint32_t count = find_server(scenario, client, UINT32_MAX, plan);
    uint64_t any = base_random_u64(random);
    uint32_t host = 0;

    if (count == 0)
        return false;
    if (scenario->traffic.pattern == SIM_CALL_ANY || scenario->traffic.pattern == SIM_CALL_LOCAL) {
        find_server(scenario, client, (uint32_t)(any % count), plan);
        return true;
    }
    if (scenario->traffic.pattern == SIM_CALL_RING)
        host = client + 1;
    for (uint32_t i = 0; i <= scenario->host_count; i++, host++) {
        uint32_t number = host < scenario->host_count ? host : host - scenario->host_count;

        if (number == client || !is_called(scenario, number))
            continue;
        for (uint32_t j = 0; j < scenario->hosts[number].sockets; j++) {
            if (!scenario->hosts[number].is_server[j])
                continue;
            plan->host = number;
            plan->socket = j;
            return true;
        }
    }
    return false;
}

bool sim_scenario_call(const struct sim_scenario *scenario, uint32_t host, uint32_t socket,
                       uint32_t number, struct sim_call_plan *plan)
{
    static const int errors[] = {ECANCELED, ETIMEDOUT, EINTR};
    const struct sim_traffic *traffic = &scenario->traffic;
    uint64_t which = ((uint64_t)host * SIM_SOCKETS_MAX + socket) << 32 | number;
    struct base_random random =
        sim_scenario_random(base_mix(scenario->seed) ^ base_mix(which), ASPECT_CALLS);
    bool is_long = sim_chance(&random, traffic->long_service);
    bool is_abandoned = sim_chance(&random, traffic->is_abandoned);

    *plan = (struct sim_call_plan){.abandon_after = SIM_NEVER};
    plan->request_length = draw_length(&random, scenario, traffic->requests);
    plan->response_length = draw_length(&random, scenario, traffic->responses);
    plan->service = sim_around(&random, is_long ? traffic->long_service_time : traffic->service);
    plan->is_private = sim_chance(&random, traffic->is_private);
    plan->is_dropped = sim_chance(&random, traffic->is_dropped);
    plan->is_piecewise = sim_chance(&random, traffic->is_piecewise);
    sim_time patience = sim_any_magnitude(&random, SIM_US, 20 * SIM_MS);

    if (is_abandoned) {
        plan->abandon_after = patience;
        if (sim_chance(&random, traffic->is_told))
            plan->abandon_error = SIM_PICK(&random, errors);
    }
    return draw_server(&random, scenario, host, plan);
}

void sim_scenario_make(struct sim_scenario *scenario, uint64_t seed)
{
    *scenario = (struct sim_scenario){.seed = seed};
    draw_size(scenario);
    draw_network(scenario);
    draw_hosts(scenario);
    draw_buffers(scenario);
    draw_limits(scenario);
    draw_times(scenario);
    draw_flow(scenario);
    draw_traffic(scenario);
    sim_scenario_draw_fate(scenario);
}
