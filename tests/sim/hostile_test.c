/*
 * The hostile host: that it keeps to what a host without privileges can do, that each of its acts
 * happens, and that honest hosts go about their business all the while.
 */
#include "sim/hostile.h"

#include "homa/packet.h"
#include "small_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOSTS   4u
#define HOSTILE 3u /* its number */
#define CALLS   60u

struct fixture {
    struct small_world small;
    struct sim_hostile_options options;
    struct sim_hostile *hostile;
    struct sim_hook hook;
    uint64_t digest;     /* of what it has sent */
    uint64_t types[256]; /* sent by it, by the type that they say they are */
    uint64_t last_sent_at;
    uint64_t to[HOSTS]; /* packets */
    uint64_t asked_id;
    uint64_t asked; /* packets that name it */
};

static void see(void *context, enum sim_sight sight, const struct sim_packet *packet)
{
    struct fixture *f = context;

    if (sight != SIM_SENT || packet->from != f->options.host)
        return;
    f->to[packet->to]++;
    f->last_sent_at = sim_world_now(f->small.world);
    f->digest = base_hash(f->digest + f->last_sent_at, packet->bytes, packet->length);
    if (packet->length >= HOMA_COMMON_HEADER_LENGTH)
        f->types[packet->bytes[11]]++;
    if (packet->length >= HOMA_COMMON_HEADER_LENGTH) {
        uint64_t id = 0;

        for (int i = 20; i < 28; i++)
            id = id << 8 | packet->bytes[i];
        f->asked += id == f->asked_id;
    }
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return -1;
    small_open(&f->small, HOSTS);
    f->options = (struct sim_hostile_options){.seed = 5,
                                              .host = HOSTILE,
                                              .end = 20 * SIM_MS,
                                              .interval = 20 * SIM_US,
                                              .message_max = 200000};
    *state = f;
    return 0;
}

static void end(struct fixture *f)
{
    const struct sim_hook none = {0};

    sim_world_set_hook(f->small.world, &none);
    sim_hostile_close(f->hostile);
    f->hostile = NULL;
    small_close(&f->small);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    end(f);
    free(f);
    return 0;
}

static void begin(struct fixture *f, uint32_t acts)
{
    const struct sim_watcher watcher = {.context = f, .see = see};

    f->options.acts = acts;
    f->hostile = sim_hostile_open(&f->options, f->small.world);
    f->hook = sim_hostile_hook(f->hostile, NULL);
    sim_world_set_hook(f->small.world, &f->hook);
    sim_world_set_watcher(f->small.world, &watcher);
}

static void check_engines(struct fixture *f)
{
    for (uint32_t host = 0; host < HOSTS; host++) {
        for (uint32_t i = 0; i < 2; i++) {
            const struct sim_socket *socket =
                sim_host_socket(sim_world_host(f->small.world, host), i);

            if (socket->engine != NULL)
                homa_engine_check(socket->engine);
        }
    }
}

/* Honest hosts call each other for as long as it is at work, and a little longer. */
static void call_each_other(struct fixture *f)
{
    for (uint32_t i = 0; i < CALLS; i++) {
        (void)small_request(&f->small, i % 3, (i + 1 + i / 3 % 2) % 3, 1 + i * i * 20 % 60000);
        small_run(&f->small, f->options.end / CALLS);
        check_engines(f);
    }
    small_run(&f->small, 3 * SIM_S);
    check_engines(f);
}

static const struct sim_hostile_counts *counts(const struct fixture *f)
{
    return sim_hostile_counts(f->hostile);
}

/* ---- what it can and cannot do ---- */

static void without_acts_it_is_silent_and_deaf(void **state)
{
    struct fixture *f = *state;
    uint32_t call = 0;

    begin(f, 0);
    call = small_request(&f->small, 0, HOSTILE, 100);
    (void)small_request(&f->small, 0, 1, 100);
    small_run(&f->small, SIM_S);
    assert_int_equal(f->small.calls[call].error, ETIMEDOUT);
    assert_true(counts(f)->heard > 0);
    assert_int_equal(counts(f)->sent, 0);
    assert_int_equal(counts(f)->overheard, 0);
}

static void it_acts_from_its_begin_until_its_end(void **state)
{
    struct fixture *f = *state;

    f->options.begin = 5 * SIM_MS;
    begin(f, SIM_HOSTILE_ALL & ~SIM_HOSTILE_BIT(SIM_HOSTILE_STORMS));
    small_run(&f->small, 5 * SIM_MS - 1);
    assert_int_equal(counts(f)->sent, 0);
    small_run(&f->small, SIM_S);
    assert_true(counts(f)->sent > 100);
    assert_in_range(f->last_sent_at, 19 * SIM_MS, 20 * SIM_MS);
}

static void it_sends_no_more_than_it_may(void **state)
{
    struct fixture *f = *state;

    f->options.inject_limit = 123;
    begin(f, SIM_HOSTILE_ALL);
    small_run(&f->small, SIM_S);
    assert_int_equal(counts(f)->sent, 123);
}

static void its_link_is_no_faster_than_others(void **state)
{
    struct fixture *f = *state;
    struct sim_world_totals totals;

    f->options.end = 2 * SIM_MS;
    f->options.interval = 10 * SIM_US;
    f->options.flood_packets = 2000;
    begin(f, SIM_HOSTILE_BIT(SIM_HOSTILE_FLOODS));
    small_run(&f->small, 2 * SIM_MS);
    sim_world_totals(f->small.world, &totals);
    /* The smallest packet takes 28 + 66 bytes: 75.2 ns at 10 Gbit/s. */
    assert_in_range(counts(f)->sent, 1000, 2 * SIM_MS / (75 * SIM_NS));
}

static void it_overhears_only_when_it_may(void **state)
{
    struct fixture *f = *state;

    f->options.eavesdrops = true;
    begin(f, SIM_HOSTILE_BIT(SIM_HOSTILE_BUSIES));
    (void)small_request(&f->small, 0, 1, 10000);
    small_run(&f->small, SIM_MS);
    assert_true(counts(f)->overheard > 10);
}

static void it_speaks_to_all_others_and_not_to_itself(void **state)
{
    struct fixture *f = *state;

    f->options.host = 1;
    begin(f, SIM_HOSTILE_BIT(SIM_HOSTILE_NOWHERE));
    small_run(&f->small, 20 * SIM_MS);
    for (uint32_t host = 0; host < HOSTS; host++)
        assert_int_equal(f->to[host] > 50, host != 1);
}

static void it_speaks_of_what_it_has_heard(void **state)
{
    struct fixture *f = *state;
    uint32_t call = 0;

    begin(f, SIM_HOSTILE_BIT(SIM_HOSTILE_BUSIES));
    call = small_request(&f->small, 0, HOSTILE, 100);
    f->asked_id = f->small.calls[call].id ^ 1; /* as a server would call it */
    small_run(&f->small, 5 * SIM_MS);
    assert_true(f->asked > counts(f)->sent / 2);
}

static void it_passes_on_what_is_not_its_business(void **state)
{
    struct fixture *f = *state;
    struct sim_fate fate = {.copies = 1};
    struct sim_packet *packet = small_data(&f->small, 0, 1, 10);
    struct sim_hostile_options options = f->options;

    /* Behind it another of its kind, whose place is host 1. */
    begin(f, 0);
    options.host = 1;
    options.eavesdrops = true;
    struct sim_hostile *second = sim_hostile_open(&options, f->small.world);
    struct sim_hook inner = sim_hostile_hook(second, NULL);

    f->hook = sim_hostile_hook(f->hostile, &inner);
    assert_false(f->hook.admit(f->hook.context, packet));
    packet->to = 0;
    assert_true(f->hook.admit(f->hook.context, packet));
    packet->to = HOSTILE;
    assert_false(f->hook.admit(f->hook.context, packet));
    f->hook.decide(f->hook.context, packet, &fate);
    assert_int_equal(sim_hostile_counts(second)->heard, 1);
    assert_int_equal(sim_hostile_counts(second)->overheard, 1);
    assert_int_equal(counts(f)->heard, 1);
    assert_int_equal(fate.copies, 1);
    sim_packet_free(sim_world_network(f->small.world), packet);
    sim_hostile_close(second);
}

/* ---- its acts ---- */

/* What a packet of each act says it is, for those that are of one type. */
static const struct {
    enum sim_hostile_act act;
    unsigned type;
} types_of_acts[] = {
    {SIM_HOSTILE_GRANTS, HOMA_GRANT},         {SIM_HOSTILE_ACKS, HOMA_ACK},
    {SIM_HOSTILE_OVERLAPS, HOMA_DATA},        {SIM_HOSTILE_INCOMING, HOMA_DATA},
    {SIM_HOSTILE_RESENDS, HOMA_RESEND},       {SIM_HOSTILE_STORMS, HOMA_RESEND},
    {SIM_HOSTILE_UNKNOWNS, HOMA_RPC_UNKNOWN}, {SIM_HOSTILE_BUSIES, HOMA_BUSY},
    {SIM_HOSTILE_NEED_ACKS, HOMA_NEED_ACK},   {SIM_HOSTILE_CUTOFFS, HOMA_CUTOFFS},
    {SIM_HOSTILE_HALF_OPEN, HOMA_DATA},       {SIM_HOSTILE_REQUESTS, HOMA_DATA},
    {SIM_HOSTILE_FREEZES, HOMA_FREEZE},
};

static void each_act_is_what_it_says(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(types_of_acts) / sizeof(types_of_acts[0]); i++) {
        memset(f->types, 0, sizeof(f->types));
        begin(f, SIM_HOSTILE_BIT(types_of_acts[i].act));
        small_run(&f->small, 5 * SIM_MS);
        assert_true(counts(f)->turns[types_of_acts[i].act] > 50);
        assert_true(f->types[types_of_acts[i].type] > 20);
        end(f);
        small_open(&f->small, HOSTS);
    }
}

static void honest_hosts_survive_each_act(void **state)
{
    struct fixture *f = *state;

    for (unsigned act = 0; act < SIM_HOSTILE_ACTS; act++) {
        if (act == SIM_HOSTILE_FLOODS || act == SIM_HOSTILE_ANSWERS)
            continue;
        f->options.eavesdrops = act % 2 == 0;
        begin(f, SIM_HOSTILE_BIT(act));
        call_each_other(f);
        for (uint32_t i = 0; i < CALLS; i++) {
            if (!f->small.calls[i].is_over || !f->small.calls[i].is_right)
                fail_msg("%s: call %u: over %d, error %d",
                         sim_hostile_act_name((enum sim_hostile_act)act), i,
                         f->small.calls[i].is_over, f->small.calls[i].error);
        }
        end(f);
        small_open(&f->small, HOSTS);
    }
}

static void honest_hosts_survive_all_acts_at_once(void **state)
{
    struct fixture *f = *state;

    f->options.eavesdrops = true;
    begin(f, SIM_HOSTILE_ALL);
    call_each_other(f);
    for (uint32_t i = 0; i < CALLS; i++)
        assert_true(f->small.calls[i].is_over && f->small.calls[i].is_right);
    for (unsigned act = 0; act < SIM_HOSTILE_ANSWERS; act++)
        assert_true(act == SIM_HOSTILE_FLOODS || counts(f)->turns[act] > 0);
}

static void floods_may_slow_honest_hosts_and_nothing_worse(void **state)
{
    struct fixture *f = *state;

    begin(f, SIM_HOSTILE_BIT(SIM_HOSTILE_FLOODS));
    call_each_other(f);
    assert_true(counts(f)->sent > 5000);
    for (uint32_t i = 0; i < CALLS; i++) {
        assert_true(f->small.calls[i].is_over);
        assert_true(f->small.calls[i].is_right || f->small.calls[i].error != 0);
    }
}

static void honest_calls_to_it_end_one_way_or_another(void **state)
{
    struct fixture *f = *state;
    unsigned answered = 0;

    begin(f, SIM_HOSTILE_BIT(SIM_HOSTILE_ANSWERS));
    for (uint32_t i = 0; i < CALLS; i++)
        (void)small_request(&f->small, i % 3, HOSTILE, 1 + i * 300);
    small_run(&f->small, 5 * SIM_S);
    check_engines(f);
    for (uint32_t i = 0; i < CALLS; i++) {
        assert_true(f->small.calls[i].is_over);
        assert_false(f->small.calls[i].is_right);
        answered += f->small.calls[i].error == 0;
    }
    assert_in_range(answered, 1, CALLS - 1);
    assert_true(counts(f)->turns[SIM_HOSTILE_ANSWERS] > CALLS / 2);
}

static void it_answers_no_faster_than_it_may(void **state)
{
    struct fixture *f = *state;

    f->options.interval = SIM_MS;
    begin(f, SIM_HOSTILE_BIT(SIM_HOSTILE_ANSWERS));
    for (uint32_t i = 0; i < CALLS; i++)
        (void)small_request(&f->small, i % 3, HOSTILE, 20000);
    small_run(&f->small, 20 * SIM_MS);
    /* 64 at once, and four in a millisecond. */
    assert_in_range(counts(f)->turns[SIM_HOSTILE_ANSWERS], 64, 64 + 4 * 20);
}

static void fill_right(void *context, struct base_random *random, uint8_t *bytes, uint32_t length)
{
    (void)context;
    (void)random;
    small_fill(bytes, length);
}

static void its_real_requests_are_as_the_scenario_makes_them(void **state)
{
    struct fixture *f = *state;

    f->options.fill = fill_right;
    begin(f, SIM_HOSTILE_BIT(SIM_HOSTILE_REQUESTS));
    small_run(&f->small, 10 * SIM_MS);
    assert_true(f->small.requests > 20);
    assert_int_equal(f->small.strange, 0);
}

/* ---- dice ---- */

static uint64_t digest_of(struct fixture *f, uint64_t seed)
{
    end(f);
    small_open(&f->small, HOSTS);
    f->digest = 0;
    f->options.seed = seed;
    f->options.eavesdrops = true;
    begin(f, SIM_HOSTILE_ALL);
    for (uint32_t i = 0; i < 20; i++)
        (void)small_request(&f->small, i % 3, (i + 1) % HOSTS, 1 + i * 300);
    small_run(&f->small, 20 * SIM_MS);
    return f->digest;
}

static void the_same_seed_gives_the_same_hostility(void **state)
{
    struct fixture *f = *state;
    uint64_t first = 0;

    begin(f, 0);
    first = digest_of(f, 1);
    assert_true(first == digest_of(f, 1));
    assert_true(first != digest_of(f, 2));
}

/* Acts that nothing they hear can change, as every machine and compiler has to have them. */
static void the_same_seed_gives_the_same_hostility_everywhere(void **state)
{
    struct fixture *f = *state;

    begin(f, SIM_HOSTILE_BIT(SIM_HOSTILE_NOWHERE) | SIM_HOSTILE_BIT(SIM_HOSTILE_OVERLAPS) |
                 SIM_HOSTILE_BIT(SIM_HOSTILE_INCOMING) | SIM_HOSTILE_BIT(SIM_HOSTILE_HALF_OPEN) |
                 SIM_HOSTILE_BIT(SIM_HOSTILE_FLOODS));
    small_run(&f->small, 20 * SIM_MS);
    assert_int_equal(f->digest, 0x769cad018642752d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_acts_it_is_silent_and_deaf),
        TEST(it_acts_from_its_begin_until_its_end),
        TEST(it_sends_no_more_than_it_may),
        TEST(its_link_is_no_faster_than_others),
        TEST(it_overhears_only_when_it_may),
        TEST(it_speaks_to_all_others_and_not_to_itself),
        TEST(it_speaks_of_what_it_has_heard),
        TEST(it_passes_on_what_is_not_its_business),
        TEST(each_act_is_what_it_says),
        TEST(honest_hosts_survive_each_act),
        TEST(honest_hosts_survive_all_acts_at_once),
        TEST(floods_may_slow_honest_hosts_and_nothing_worse),
        TEST(honest_calls_to_it_end_one_way_or_another),
        TEST(it_answers_no_faster_than_it_may),
        TEST(its_real_requests_are_as_the_scenario_makes_them),
        TEST(the_same_seed_gives_the_same_hostility),
        TEST(the_same_seed_gives_the_same_hostility_everywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
