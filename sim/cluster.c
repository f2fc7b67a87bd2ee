/*
 * The published experiment (cluster.h): arrivals, the application of all hosts, and the accounts.
 *
 * A message is found again at its receiver by its sender and id: an engine's ids grow by two from
 * request to request, so that (id - the first id) / 2 is its place among what its sender has sent.
 * (An id may be spent on a request that the engine then refuses: its place stays empty.)
 */
#include "sim/cluster.h"

#include "sim/exponential.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a GRANT packet. */
#define GRANT_LENGTH 33u
/* Lengths are dealt from a deck of 2^DECK_BITS cards (an even number of bits). */
#define DECK_BITS 16u
/* How often downlinks are looked at. */
#define SAMPLE_EVERY (10 * SIM_US)
/* Counted messages have so many times the time of their arrivals to finish. */
#define PATIENCE 4u

struct message {
    sim_time born_at; /* when the engine got it; SIM_NEVER: over, or none */
    uint32_t length;
    uint16_t to;
    bool counts;
};

struct sender {
    struct message *messages;
    uint64_t count;
    uint64_t room;
    uint64_t first_id;
};

struct cluster {
    struct sim_alarm arrival;
    struct sim_alarm sample;
    const struct sim_cluster_options *options;
    struct sim_cluster_result *result;
    struct sim_world *world;
    struct sender *senders;
    struct base_random arrivals;
    struct base_random losses;
    uint64_t dealt;       /* lengths */
    uint64_t mean_gap_fs; /* between arrivals in the whole cluster, in 1/1,000 ps */
    uint64_t carried_fs;  /* of the last gap, less than a picosecond */
    uint64_t born;
    uint64_t open; /* counted messages under way */
    sim_time counting_since;
    sim_time born_all_at; /* when the last counted message was born; SIM_NEVER = not yet */
};

/* ---- what is expected ---- */

static uint32_t packet_payload(const struct sim_host_options *host)
{
    return host->packet_bytes - HOMA_DATA_HEADER_LENGTH;
}

static uint32_t wire_bytes(const struct sim_host_options *host, uint32_t length)
{
    uint32_t bytes = length + host->wire_overhead;

    return bytes > host->wire_minimum ? bytes : host->wire_minimum;
}

static uint32_t data_wire_bytes(const struct sim_host_options *host, uint32_t payload)
{
    return wire_bytes(host, HOMA_DATA_HEADER_LENGTH + payload);
}

/* What the packets of a message occupy, or of one part of it: packets are cut anew where the
 * unscheduled bytes end. */
struct cut {
    uint64_t bytes;   /* all packets together */
    uint32_t longest; /* packet */
};

static struct cut cut_part(const struct sim_host_options *host, uint32_t length)
{
    uint32_t full = packet_payload(host);
    struct cut cut = {.bytes = (uint64_t)(length / full) * data_wire_bytes(host, full)};
    uint32_t last = length % full;

    if (last != 0)
        cut.bytes += data_wire_bytes(host, last);
    if (length >= full)
        cut.longest = data_wire_bytes(host, full);
    else if (last != 0)
        cut.longest = data_wire_bytes(host, last);
    return cut;
}

static struct cut cut_message(const struct sim_host_options *host, uint32_t length)
{
    uint32_t unscheduled = host->knobs.unsched_bytes;

    if (length <= unscheduled)
        return cut_part(host, length);
    struct cut first = cut_part(host, unscheduled);
    struct cut rest = cut_part(host, length - unscheduled);

    return (struct cut){
        .bytes = first.bytes + rest.bytes,
        .longest = first.longest > rest.longest ? first.longest : rest.longest,
    };
}

uint64_t sim_cluster_wire_per_mille(const struct sim_cluster_options *options)
{
    const struct sim_host_options *host = &options->host;
    const struct homa_knobs *knobs = &host->knobs;
    uint64_t grant = homa_sched_grant_worth(knobs);
    unsigned __int128 wire = 0;
    unsigned __int128 bytes = 0;

    for (uint32_t i = 0; i < sim_workload_lengths(options->workload); i++) {
        uint64_t weight = sim_workload_weight(options->workload, i);
        uint32_t length = sim_workload_length(options->workload, i);
        uint64_t on_wire = cut_message(host, length).bytes;

        if (options->replies)
            on_wire += cut_message(host, 1).bytes;
        if (length > knobs->unsched_bytes)
            on_wire += (length - knobs->unsched_bytes + grant - 1) / grant *
                       wire_bytes(host, GRANT_LENGTH);
        wire += (unsigned __int128)on_wire * weight;
        bytes += (unsigned __int128)length * weight;
    }
    return bytes == 0 ? 1000 : (uint64_t)(wire * 1000 / bytes);
}

/*
 * On an idle network nothing stands still but behind the longest packet: from the first bit on the
 * host's link until the last one has left the last link it takes what all packets take on one of
 * these, and what the longest takes on all other links of the way.
 */
sim_time sim_cluster_ideal(const struct sim_cluster_options *options, uint32_t length,
                           bool same_rack)
{
    const struct sim_network_options *network = &options->network;
    sim_time host_ps = UINT64_C(8000000) / network->host_mbps;
    sim_time hop = network->propagation + network->switch_delay;
    struct cut cut = cut_message(&options->host, length);
    sim_time time = options->start_delay + options->host.send_delay;

    time += (cut.bytes + cut.longest) * host_ps + hop;
    if (!same_rack && network->topology == SIM_RACKS)
        time += 2 * (cut.longest * (UINT64_C(8000000) / network->core_mbps) + hop);
    return time + network->propagation + network->receive_delay;
}

/* ---- messages ---- */

static bool is_same_rack(const struct sim_network_options *network, uint32_t a, uint32_t b)
{
    return network->topology == SIM_SINGLE ||
           a / network->hosts_per_rack == b / network->hosts_per_rack;
}

static struct message *append_message(struct sender *sender)
{
    if (sender->count == sender->room) {
        sender->room = sender->room == 0 ? 1024 : 2 * sender->room;
        sender->messages = realloc(sender->messages, sender->room * sizeof(struct message));
        if (sender->messages == NULL)
            sim_out_of_memory();
    }
    return &sender->messages[sender->count++];
}

static struct message *add_message(struct sender *sender, uint64_t id)
{
    if (sender->count == 0)
        sender->first_id = id;
    uint64_t place = (id - sender->first_id) / 2;

    assert(place >= sender->count);
    while (sender->count < place)
        append_message(sender)->born_at = SIM_NEVER;
    return append_message(sender);
}

static struct message *find_message(const struct sender *sender, uint64_t id)
{
    uint64_t place = (id - sender->first_id) / 2;

    assert(place < sender->count);
    return &sender->messages[place];
}

static void begin_counting(struct cluster *cluster)
{
    cluster->counting_since = sim_world_now(cluster->world);
    sim_network_begin_totals(sim_world_network(cluster->world));
}

/* A permutation of DECK_BITS bits, another one for each key. */
static uint32_t shuffle(uint32_t card, uint64_t key)
{
    const uint32_t half = DECK_BITS / 2;
    const uint32_t mask = (1u << half) - 1;
    uint32_t left = card >> half;
    uint32_t right = card & mask;

    for (uint64_t round = 0; round < 4; round++) {
        uint32_t mixed = left ^ ((uint32_t)base_mix(key + (round << half | right)) & mask);

        left = right;
        right = mixed;
    }
    return left << half | right;
}

/*
 * The next message's length. Of each 65,536 messages exactly one comes from each 65,536th of the
 * distribution: with sizes as far apart as these, a run of independent ones would carry a tenth
 * more or less than the load that was asked for.
 */
static uint32_t deal_length(struct cluster *cluster)
{
    const struct sim_workload *workload = cluster->options->workload;
    uint64_t total = sim_workload_total(workload);
    uint64_t deck = cluster->dealt >> DECK_BITS;
    uint32_t card = (uint32_t)cluster->dealt++ & ((1u << DECK_BITS) - 1);
    unsigned __int128 place = shuffle(card, base_mix(cluster->options->seed) + (deck << 32));
    uint64_t from = (uint64_t)((place * total) >> DECK_BITS);
    uint64_t to = (uint64_t)(((place + 1) * total) >> DECK_BITS);

    return sim_workload_at(workload, from + base_random_below(&cluster->arrivals, to - from));
}

static void send_message(struct cluster *cluster, uint32_t from, uint32_t to)
{
    const struct sim_cluster_options *options = cluster->options;
    struct sim_host *host = sim_world_host(cluster->world, from);
    struct sim_socket *socket = sim_host_socket(host, 0);
    struct base_address address =
        sim_socket_address(sim_host_socket(sim_world_host(cluster->world, to), 0));
    uint32_t length = deal_length(cluster);
    struct mem_payload *payload = sim_payload_new(host, NULL, length);
    struct sender *sender = &cluster->senders[from];
    bool counts =
        cluster->born >= options->warmup && cluster->born < options->warmup + options->messages;
    struct message *message;
    uint64_t id = 0;

    if (cluster->born == options->warmup)
        begin_counting(cluster);
    if (homa_engine_request(socket->engine, sim_engine_now(cluster->world), &address, payload, 0, 0,
                            false, &id) != 0) {
        sim_payload_free(host, payload);
        cluster->result->refused += counts;
        return;
    }
    message = add_message(sender, id);
    *message = (struct message){
        .born_at = sim_world_now(cluster->world),
        .length = length,
        .to = (uint16_t)to,
        .counts = counts,
    };
    cluster->born++;
    cluster->open += message->counts;
    if (cluster->born == options->warmup + options->messages)
        cluster->born_all_at = sim_world_now(cluster->world);
    sim_host_touch(host);
}

static void ring_arrival(struct sim_alarm *alarm)
{
    struct cluster *cluster = (struct cluster *)alarm; /* its first field */
    uint32_t hosts = cluster->options->network.hosts;
    uint32_t from;
    uint32_t to = 0;

    if (cluster->options->pattern == SIM_INCAST) {
        from = 1 + (uint32_t)base_random_below(&cluster->arrivals, cluster->options->senders);
    } else {
        from = (uint32_t)base_random_below(&cluster->arrivals, hosts);
        to = (uint32_t)base_random_below(&cluster->arrivals, hosts - 1);
        to += to >= from;
    }
    send_message(cluster, from, to);
    cluster->carried_fs += sim_exponential(&cluster->arrivals, cluster->mean_gap_fs);
    sim_alarm_set(sim_world_clock(cluster->world), alarm,
                  sim_world_now(cluster->world) + cluster->carried_fs / 1000);
    cluster->carried_fs %= 1000;
}

/* Ends the RPC of a message that has come: by a reply, or at both ends in this instant. */
static void end_rpc(struct cluster *cluster, struct sim_socket *socket,
                    const struct homa_message *taken)
{
    uint64_t now = sim_engine_now(cluster->world);
    struct sim_host *client = sim_world_host(cluster->world, sim_address_host(&taken->peer));

    if (!cluster->options->replies) {
        homa_engine_drop(socket->engine, now, &taken->peer, taken->id);
        homa_engine_abort(sim_host_socket(client, 0)->engine, now, taken->id & ~UINT64_C(1), 0);
        return;
    }
    struct mem_payload *payload = sim_payload_new(socket->host, NULL, 1);

    if (homa_engine_reply(socket->engine, now, &taken->peer, taken->id, payload, 0) != 0)
        sim_payload_free(socket->host, payload);
}

/* The receiver has the message. */
static void finish(struct cluster *cluster, struct sim_socket *socket,
                   const struct homa_message *taken)
{
    const struct sim_cluster_options *options = cluster->options;
    uint64_t now = sim_engine_now(cluster->world);
    uint32_t from = sim_address_host(&taken->peer);
    uint32_t to = sim_host_number(socket->host);
    struct sender *sender = &cluster->senders[from];
    uint64_t client_id = taken->id & ~UINT64_C(1);
    struct message *message = find_message(sender, client_id);
    uint32_t bad;

    assert(message->born_at != SIM_NEVER && message->to == to && message->length == taken->length);
    homa_engine_return_bpages(socket->engine, now, taken->bpage_offsets, taken->num_bpages, &bad);
    end_rpc(cluster, socket, taken);
    if (message->counts) {
        bool is_near = is_same_rack(&options->network, from, to);

        sim_slowdown_add(cluster->result->slowdown, message->length,
                         options->start_delay + sim_host_now(socket->host) - message->born_at,
                         sim_cluster_ideal(options, message->length, is_near));
        cluster->result->finished++;
        cluster->result->message_bytes += message->length;
        cluster->open--;
    }
    message->born_at = SIM_NEVER;
}

/* A reply has come; or the sender has given up, which its receiver need not know. */
static void end_at_sender(struct cluster *cluster, struct sim_socket *socket,
                          const struct homa_message *taken)
{
    struct sender *sender = &cluster->senders[sim_host_number(socket->host)];
    uint32_t bad;

    if (taken->error == 0) {
        homa_engine_return_bpages(socket->engine, sim_engine_now(cluster->world),
                                  taken->bpage_offsets, taken->num_bpages, &bad);
        return;
    }
    struct message *message = find_message(sender, taken->id);

    if (!message->counts || message->born_at == SIM_NEVER)
        return;
    message->counts = false;
    cluster->result->failed++;
    cluster->open--;
}

static void take_messages(void *context, struct sim_socket *socket)
{
    struct cluster *cluster = context;
    struct homa_message taken;

    while (homa_engine_take(socket->engine, sim_engine_now(cluster->world), 0, HOMA_TAKE_REQUEST,
                            &taken) == 0)
        finish(cluster, socket, &taken);
    while (homa_engine_take(socket->engine, sim_engine_now(cluster->world), 0, HOMA_TAKE_RESPONSE,
                            &taken) == 0)
        end_at_sender(cluster, socket, &taken);
}

/* ---- looking on ---- */

static void ring_sample(struct sim_alarm *alarm)
{
    struct cluster *cluster =
        (struct cluster *)(void *)((char *)alarm - offsetof(struct cluster, sample));
    struct sim_network *network = sim_world_network(cluster->world);

    if (cluster->counting_since != SIM_NEVER) {
        for (uint32_t i = 0; i < cluster->options->network.hosts; i++) {
            bool wants = homa_sched_wants_grants(sim_host_sched(sim_world_host(cluster->world, i)));

            cluster->result->samples++;
            cluster->result->wasted_samples += wants && !sim_network_is_downlink_busy(network, i);
        }
    }
    sim_alarm_set(sim_world_clock(cluster->world), alarm,
                  sim_world_now(cluster->world) + SAMPLE_EVERY);
}

static void lose(void *context, struct sim_packet *packet, struct sim_fate *fate)
{
    struct cluster *cluster = context;

    (void)packet;
    if (base_random_below(&cluster->losses, 1000000) < cluster->options->loss_ppm) {
        fate->copies = 0;
        cluster->result->lost++;
    }
}

static void add_counters(struct cluster *cluster)
{
    uint64_t *sums = (uint64_t *)&cluster->result->counters;

    for (uint32_t i = 0; i < cluster->options->network.hosts; i++) {
        const struct sim_socket *socket = sim_host_socket(sim_world_host(cluster->world, i), 0);
        const uint64_t *counters = (const uint64_t *)homa_engine_counters(socket->engine);

        for (size_t j = 0; j < sizeof(struct homa_counters) / sizeof(*sums); j++)
            sums[j] += counters[j];
    }
}

/* ---- the run ---- */

/* Thousandths of a picosecond between arrivals, all senders together. */
static uint64_t mean_gap(const struct sim_cluster_options *options)
{
    uint64_t per_mille = options->wire_per_mille != 0 ? options->wire_per_mille
                                                      : sim_cluster_wire_per_mille(options);
    uint64_t milli_bytes = sim_workload_mean_milli(options->workload);
    /* Wire bytes per message, times 1,000,000. */
    unsigned __int128 wire = (unsigned __int128)milli_bytes * per_mille;
    uint64_t host_ps = UINT64_C(8000000) / options->network.host_mbps;
    uint64_t links = options->pattern == SIM_INCAST ? 1 : options->network.hosts;

    return (uint64_t)(wire * host_ps / options->load_permille / links);
}

const char *sim_cluster_fault(const struct sim_cluster_options *options)
{
    uint32_t lengths = sim_workload_lengths(options->workload);
    const char *fault = sim_network_fault(&options->network);

    if (fault != NULL)
        return fault;
    if (options->load_permille < 1 || options->load_permille > 10000)
        return "the load is a share of the link's speed, from 0.001 to 10";
    if (options->messages == 0)
        return "at least one message must be counted";
    if (sim_workload_length(options->workload, lengths - 1) > options->host.max_message)
        return "messages of the workload are longer than hosts take, which is 64,000,000 bytes";
    if (options->pattern == SIM_INCAST &&
        (options->senders == 0 || options->senders >= options->network.hosts))
        return "an incast has from 1 sender to one less than there are hosts";
    if (options->network.topology == SIM_RACKS &&
        options->network.core_mbps < options->network.host_mbps)
        return "links between switches must be as fast as those of hosts, or the times on an idle "
               "network are not known";
    return NULL;
}

static bool is_over(const struct cluster *cluster)
{
    if (cluster->born_all_at == SIM_NEVER)
        return false;
    sim_time span = cluster->born_all_at - cluster->counting_since + SIM_MS;

    return cluster->open == 0 ||
           sim_world_now(cluster->world) > cluster->born_all_at + PATIENCE * span;
}

static void run(struct cluster *cluster, void (*progress)(void *context, unsigned permille),
                void *context)
{
    const struct sim_cluster_options *options = cluster->options;
    struct sim_clock *clock = sim_world_clock(cluster->world);
    uint64_t all = options->warmup + options->messages;
    unsigned told = 0;

    while (!is_over(cluster)) {
        unsigned done;

        for (unsigned i = 0; i < 10000; i++)
            sim_clock_step(clock, SIM_NEVER);
        done = (unsigned)((cluster->born < all ? cluster->born : all) * 990 / all);
        if (progress != NULL && done != told)
            progress(context, done);
        told = done;
    }
    if (progress != NULL)
        progress(context, 1000);
}

int sim_cluster_run(const struct sim_cluster_options *options,
                    void (*progress)(void *context, unsigned permille), void *context,
                    struct sim_cluster_result *result, const char **why)
{
    struct cluster *cluster;
    struct sim_host_options host = options->host;
    struct sim_world_options world_options = {
        .seed = base_mix(options->seed),
        .network = options->network,
        .hosts = &host,
        .is_host_options_shared = true,
    };

    *result = (struct sim_cluster_result){.runs = 1};
    *why = sim_cluster_fault(options);
    if (*why != NULL)
        return -EINVAL;
    world_options.network.seed = base_mix(options->seed + 3);
    if (host.max_peers < options->network.hosts) /* each may have something for each */
        host.max_peers = options->network.hosts;
    cluster = sim_allocate(1, sizeof(*cluster));
    const struct sim_application application = {.context = cluster, .ready = take_messages};

    cluster->world = sim_world_open(&world_options, &application, why);
    if (cluster->world == NULL) {
        free(cluster);
        return -EINVAL;
    }
    cluster->options = options;
    cluster->result = result;
    cluster->senders = sim_allocate(options->network.hosts, sizeof(struct sender));
    cluster->arrivals = base_random_seed(base_mix(options->seed + 1));
    cluster->losses = base_random_seed(base_mix(options->seed + 2));
    cluster->mean_gap_fs = mean_gap(options);
    cluster->counting_since = SIM_NEVER;
    cluster->born_all_at = SIM_NEVER;
    result->slowdown = sim_slowdown_open();
    if (result->slowdown == NULL)
        sim_out_of_memory();
    sim_alarm_init(&cluster->arrival, ring_arrival);
    sim_alarm_init(&cluster->sample, ring_sample);
    sim_alarm_set(sim_world_clock(cluster->world), &cluster->arrival, 0);
    sim_alarm_set(sim_world_clock(cluster->world), &cluster->sample, 0);
    if (options->loss_ppm > 0)
        sim_world_set_hook(cluster->world, &(struct sim_hook){.context = cluster, .decide = lose});
    run(cluster, progress, context);
    result->unfinished = cluster->open;
    result->total_time = sim_world_now(cluster->world);
    result->time = result->total_time - cluster->counting_since;
    for (unsigned kind = 0; kind < SIM_PORT_KINDS; kind++)
        sim_network_totals(sim_world_network(cluster->world), kind, &result->ports[kind]);
    add_counters(cluster);
    struct sim_world_totals totals;

    sim_world_totals(cluster->world, &totals);
    result->delivered = totals.delivered;
    sim_world_close(cluster->world);
    for (uint32_t i = 0; i < options->network.hosts; i++)
        free(cluster->senders[i].messages);
    free(cluster->senders);
    free(cluster);
    return 0;
}
