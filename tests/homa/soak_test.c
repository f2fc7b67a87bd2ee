/*
 * Randomised networks: two to four engines, requests of all lengths in all directions, while
 * packets are lost, doubled and reordered, buffers are short, processes stop and continue, requests
 * are aborted. Whatever the seed: each answered RPC carries the right bytes both ways, no request
 * is executed twice, and in the end nothing is left anywhere. A failing seed replays exactly.
 */
#include "homa/engine_support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS   60 /* per host */
#define IN_SERVICE 128

/* One request, by whoever sent it. */
struct request {
    uint64_t id;
    uint32_t length;
    uint32_t response_length;
    unsigned to;
    unsigned executions;
    unsigned completions;
    bool is_private;
    bool is_aborted;
};

/* A request that a host works on. */
struct service {
    struct homa_message info;
    uint64_t done_at;
    unsigned client;
    bool is_used;
};

struct soak {
    struct lab *lab;
    struct base_random random;
    struct request requests[LAB_HOSTS][REQUESTS];
    unsigned started[LAB_HOSTS];
    unsigned finished[LAB_HOSTS];
    unsigned failed;
    struct service services[LAB_HOSTS][IN_SERVICE];
    bool may_fail;
};

static uint64_t below(struct soak *soak, uint64_t bound)
{
    return base_random_below(&soak->random, bound);
}

/* Mostly short, sometimes as long as it gets. */
static uint32_t random_length(struct soak *soak)
{
    switch (below(soak, 8)) {
    case 0:
        return 1 + (uint32_t)below(soak, LAB_MAX_MESSAGE);
    case 1:
    case 2:
        return 1 + (uint32_t)below(soak, 150000);
    case 3:
        return 39990 + (uint32_t)below(soak, 20);
    default:
        return 1 + (uint32_t)below(soak, 3000);
    }
}

static struct request *find(struct soak *soak, unsigned client, uint64_t id)
{
    for (unsigned i = 0; i < soak->started[client]; i++)
        if (soak->requests[client][i].id == (id & ~1ull))
            return &soak->requests[client][i];
    fail_msg("host %u never sent RPC %llu", client, (unsigned long long)id);
    return NULL;
}

static uint32_t request_seed(const struct request *request)
{
    return (uint32_t)request->id | 0x80000000u;
}

static void start_request(struct soak *soak, unsigned from)
{
    struct request *request = &soak->requests[from][soak->started[from]];
    struct lab *lab = soak->lab;
    struct base_address address;

    request->to = (from + 1 + (unsigned)below(soak, lab->host_count - 1)) % lab->host_count;
    request->length = random_length(soak);
    request->response_length = random_length(soak);
    request->is_private = below(soak, 4) == 0;
    address = lab_address(lab, request->to);
    /* The pattern's seed is the id, which is known before it is given out. */
    uint64_t next_id = lab_engine(lab, from)->next_id;
    struct mem_payload *payload =
        lab_payload(lab, from, request->length, (uint32_t)next_id | 0x80000000u);

    assert_int_equal(homa_engine_request(lab_engine(lab, from), lab->now, &address, payload, 0,
                                         from, request->is_private, &request->id),
                     0);
    assert_int_equal(request->id, next_id);
    soak->started[from]++;
}

static unsigned client_of(struct lab *lab, const struct base_address *address)
{
    for (unsigned i = 0; i < lab->host_count; i++)
        if (base_ip_equal(&lab->hosts[i].address.remote, &address->remote))
            return i;
    fail_msg("a request from nowhere");
    return 0;
}

static void take_requests(struct soak *soak, unsigned host)
{
    struct lab_message message;

    for (unsigned i = 0; i < IN_SERVICE; i++) {
        struct service *service = &soak->services[host][i];

        if (service->is_used)
            continue;
        if (lab_take_only(soak->lab, host, HOMA_TAKE_REQUEST, &message) != 0)
            return;
        unsigned client = client_of(soak->lab, &message.info.peer);
        struct request *request = find(soak, client, message.info.id);

        assert_int_equal(request->to, host);
        assert_int_equal(++request->executions, 1);
        assert_int_equal(message.info.length, request->length);
        lab_assert_pattern(soak->lab, host, &message, request_seed(request));
        lab_give_back(soak->lab, host, &message);
        *service = (struct service){
            .info = message.info,
            .done_at = soak->lab->now + below(soak, 2) * below(soak, 20 * LAB_MS),
            .client = client,
            .is_used = true,
        };
    }
}

static void answer_requests(struct soak *soak, unsigned host)
{
    for (unsigned i = 0; i < IN_SERVICE; i++) {
        struct service *service = &soak->services[host][i];

        if (!service->is_used || service->done_at > soak->lab->now)
            continue;
        struct request *request = find(soak, service->client, service->info.id);
        int result = lab_reply(soak->lab, host, service->client, service->info.id,
                               request->response_length, request_seed(request) + 1);

        assert_int_equal(result, 0);
        service->is_used = false;
    }
}

static void finish(struct soak *soak, unsigned host, const struct lab_message *message)
{
    struct request *request = find(soak, host, message->info.id);

    assert_int_equal(message->info.cookie, host);
    assert_int_equal(++request->completions, 1);
    soak->finished[host]++;
    if (message->info.error != 0) {
        if (message->info.error != ECANCELED || !request->is_aborted)
            soak->failed++;
        return;
    }
    assert_int_equal(request->executions, 1);
    assert_int_equal(message->info.length, request->response_length);
    lab_assert_pattern(soak->lab, host, message, request_seed(request) + 1);
    lab_give_back(soak->lab, host, message);
}

static void take_responses(struct soak *soak, unsigned host)
{
    struct lab_message message;

    while (lab_take_only(soak->lab, host, HOMA_TAKE_RESPONSE, &message) == 0)
        finish(soak, host, &message);
    for (unsigned i = 0; i < soak->started[host]; i++) {
        struct request *request = &soak->requests[host][i];

        if (!request->is_private || request->completions > 0)
            continue;
        int result = homa_engine_take(lab_engine(soak->lab, host), soak->lab->now, request->id, 0,
                                      &message.info);

        if (result == -EAGAIN || (result == -EINVAL && request->is_aborted))
            continue;
        assert_int_equal(result, 0);
        memcpy(message.bpages, message.info.bpage_offsets,
               message.info.num_bpages * sizeof(uint32_t));
        finish(soak, host, &message);
    }
}

/* Now and then somebody loses interest. */
static void abort_something(struct soak *soak, unsigned host)
{
    if (soak->started[host] == 0 || below(soak, 200) != 0)
        return;
    struct request *request = &soak->requests[host][below(soak, soak->started[host])];

    if (request->completions > 0 || request->is_aborted)
        return;
    request->is_aborted = true;
    if (below(soak, 2) == 0) {
        assert_int_equal(
            homa_engine_abort(lab_engine(soak->lab, host), soak->lab->now, request->id, ECANCELED),
            0);
    } else {
        assert_int_equal(
            homa_engine_abort(lab_engine(soak->lab, host), soak->lab->now, request->id, 0), 0);
        request->completions = 1;
        soak->finished[host]++;
    }
}

static bool is_finished(const struct soak *soak)
{
    for (unsigned i = 0; i < soak->lab->host_count; i++)
        if (soak->finished[i] < REQUESTS)
            return false;
    return true;
}

/* Now and then a packet comes when nobody waits for it any more. */
static enum lab_fate delay_some(struct lab *lab, const struct lab_packet *packet)
{
    (void)packet;
    return base_random_chance(&lab->random, 0.001) ? LAB_DELAY : LAB_DELIVER;
}

static struct lab *open_random_lab(struct soak *soak, uint64_t seed)
{
    static const uint32_t packet_bytes[] = {300, 1456, 1456, 9000, 60000};
    struct homa_engine_options options = lab_options();
    unsigned hosts = 2 + (unsigned)below(soak, LAB_HOSTS - 1);
    uint32_t bpages = below(soak, 2) == 0 ? 64 : 17 + (uint32_t)below(soak, 10);
    struct lab *lab;

    options.seed = seed;
    options.max_rpcs = 256;
    options.max_peers = 8;
    options.packet_bytes = packet_bytes[below(soak, 5)];
    if (below(soak, 4) == 0)
        options.knobs.unsched_bytes = 1 + (uint32_t)below(soak, 20000);
    if (below(soak, 4) == 0)
        options.knobs.link_mbps = 1000 + (uint32_t)below(soak, 20000);
    options.knobs.tombstone_ms = 20000;
    lab = lab_open_with(hosts, &options, bpages);
    lab->check_every = 16;
    lab->drop = (double)below(soak, 4) * 0.02;
    lab->duplicate = (double)below(soak, 3) * 0.02;
    lab->jitter = below(soak, 3) * 40 * LAB_US;
    lab->delay = 30 * LAB_MS;
    lab->filter = below(soak, 2) == 0 ? delay_some : NULL;
    for (unsigned i = 0; i < hosts; i++)
        if (below(soak, 4) == 0)
            lab->hosts[i].wire_takes = 1 + (uint32_t)below(soak, 8);
    return lab;
}

/* What all seeds together went through. */
static struct homa_counters seen;

static void add_counters(const struct lab *lab)
{
    uint64_t *sums = (uint64_t *)&seen;

    for (unsigned host = 0; host < lab->host_count; host++) {
        const uint64_t *counters = (const uint64_t *)lab_counters(lab, host);

        for (size_t i = 0; i < sizeof(seen) / sizeof(*sums); i++)
            sums[i] += counters[i];
    }
}

static void soak_once(uint64_t seed)
{
    struct soak *soak = calloc(1, sizeof(*soak));
    uint64_t give_up;

    assert_non_null(soak);
    soak->random = base_random_seed(seed);
    soak->lab = open_random_lab(soak, seed);
    give_up = soak->lab->now + 60 * LAB_S;
    while (!is_finished(soak)) {
        assert_true(soak->lab->now < give_up);
        for (unsigned i = 0; i < soak->lab->host_count; i++) {
            struct lab_host *host = &soak->lab->hosts[i];

            if (below(soak, 2000) == 0)
                host->is_stopped = true;
            else if (host->is_stopped && below(soak, 200) == 0)
                host->is_stopped = false;
            if (host->is_stopped)
                continue;
            if (soak->started[i] < REQUESTS && below(soak, 3) == 0)
                start_request(soak, i);
            take_requests(soak, i);
            answer_requests(soak, i);
            take_responses(soak, i);
            abort_something(soak, i);
        }
        lab_run(soak->lab, 1 + below(soak, LAB_MS));
    }
    assert_int_equal(soak->failed, 0);
    /* Whoever worked on an aborted request answers it nevertheless. */
    for (unsigned i = 0; i < soak->lab->host_count; i++) {
        soak->lab->hosts[i].is_stopped = false;
        soak->lab->hosts[i].is_echo = true;
        answer_requests(soak, i);
    }
    for (unsigned round = 0; round < 3; round++) {
        lab_run(soak->lab, 30 * LAB_MS);
        for (unsigned i = 0; i < soak->lab->host_count; i++)
            answer_requests(soak, i);
    }
    soak->lab->drop = 0;
    for (unsigned i = 0; i < soak->lab->host_count; i++)
        soak->lab->hosts[i].wire_takes = UINT32_MAX;
    assert_true(lab_run_quiet(soak->lab, 20 * LAB_S));
    lab_assert_idle(soak->lab);
    add_counters(soak->lab);
    lab_close(soak->lab);
    free(soak);
}

static void whatever_the_network_does_each_rpc_runs_once_and_carries_its_bytes(void **state)
{
    const char *only = getenv("SOAK_SEED");
    const char *seeds = getenv("SOAK_SEEDS");
    uint64_t last = seeds != NULL ? strtoull(seeds, NULL, 10) : 60;

    (void)state;
    if (only != NULL) {
        soak_once(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= last; seed++) {
        print_message("seed %llu\r", (unsigned long long)seed);
        soak_once(seed);
    }
    if (last < 60)
        return;
    /* A soak in which nothing happened would prove nothing. */
    for (unsigned type = 0; type < HOMA_PACKET_TYPES; type++)
        if (type != HOMA_FREEZE - HOMA_DATA)
            assert_true(seen.packets_received[type] > 0);
    assert_true(seen.resent_packets_used > 0 && seen.resent_discards > 0);
    assert_true(seen.gaps_created > 0 && seen.tombstone_hits > 0 && seen.packet_discards > 0);
    assert_true(seen.buffer_alloc_failures > 0 && seen.dropped_data_no_bufs > 0);
    assert_true(seen.preemptions > 0 && seen.unknown_rpcs > 0 && seen.time_lost_ns > 0 &&
                seen.bpage_reuses > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_the_network_does_each_rpc_runs_once_and_carries_its_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
