/* The simulated world: what becomes of packets between hosts, and that it is the same each time. */
#include "base/hash.h"
#include "homa/packet.h"
#include "one_way.h"
#include "small_world.h"

#include <stdlib.h>
#include <string.h>

/* What a hook decides for the packets of socket 0 that carry DATA. */
struct plan {
    struct sim_fate fate;
    bool is_refused; /* at the end */
};

static void decide(void *context, struct sim_packet *packet, struct sim_fate *fate)
{
    const struct plan *plan = context;

    (void)packet;
    *fate = plan->fate;
}

static bool admit(void *context, const struct sim_packet *packet)
{
    const struct plan *plan = context;

    (void)packet;
    return !plan->is_refused;
}

static void obey(struct one_way *world, struct plan *plan)
{
    const struct sim_hook hook = {.context = plan, .decide = decide, .admit = admit};

    sim_world_set_hook(world->world, &hook);
}

/* ---- sights ---- */

struct sights {
    uint32_t counts[SIM_OVERFLOW + 1];
    sim_time delivered_at[16];
    const struct sim_world *world;
    sim_time began;
    uint64_t digest;
};

static void see(void *context, enum sim_sight sight, const struct sim_packet *packet)
{
    struct sights *sights = context;
    uint64_t words[6] = {0};

    if (sight == SIM_DELIVERED && sights->counts[sight] < 16)
        sights->delivered_at[sights->counts[sight]] = sim_world_now(sights->world) - sights->began;
    sights->counts[sight]++;
    memcpy(words, packet->header,
           packet->header_length < sizeof(words) ? packet->header_length : sizeof(words));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        sights->digest = base_mix(sights->digest ^ words[i]);
    sights->digest = base_mix(sights->digest ^ sim_world_now(sights->world) ^ packet->length);
}

static void watch(struct one_way *world, struct sights *sights)
{
    const struct sim_watcher watcher = {.context = sights, .see = see};

    *sights = (struct sights){.world = world->world, .began = world->began};
    sim_world_set_watcher(world->world, &watcher);
}

static void a_world_that_cannot_be_is_refused_with_a_sentence(void **state)
{
    struct one_way world;
    const struct sim_application nobody = {0};
    const char *why = NULL;

    (void)state;
    one_way_prepare(&world, 2);
    world.options.network.hosts = 1;
    assert_null(sim_world_open(&world.options, &nobody, &why));
    assert_string_equal(why, "a network has from 2 to 65535 hosts");
    sim_world_close(NULL);
}

/* ---- fate ---- */

static void a_packet_that_is_lost_is_seen_to_be(void **state)
{
    struct one_way world;
    struct sights sights;
    struct plan plan = {.fate = {.copies = 0}};

    (void)state;
    one_way_prepare(&world, 2);
    one_way_open(&world);
    obey(&world, &plan);
    watch(&world, &sights);
    one_way_send(&world, 0, 1, 0, 100);
    one_way_run(&world, 100 * SIM_US);
    assert_int_equal(world.count, 0);
    assert_int_equal(sights.counts[SIM_SENT], 1);
    assert_int_equal(sights.counts[SIM_LOST], 1);
    assert_int_equal(sights.counts[SIM_DELIVERED], 0);
    plan.fate.copies = 1;
    one_way_run(&world, SIM_S);
    assert_int_equal(world.count, 1); /* sent again */
    one_way_close(&world);
}

static void a_packet_that_is_delayed_comes_so_much_later(void **state)
{
    static const sim_time delays[] = {0, 1, 5 * SIM_US, SIM_MS};

    (void)state;
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        struct one_way world;
        struct plan plan = {.fate = {.copies = 1, .delay = {delays[i]}}};

        one_way_prepare(&world, 2);
        world.options.network.propagation = 77;
        one_way_open(&world);
        obey(&world, &plan);
        one_way_send(&world, 0, 1, 0, 100);
        one_way_run(&world, SIM_S);
        one_way_expect(&world, 0, 1, 100, SMALL_ALONE + 2 * 77 + delays[i]);
        one_way_close(&world);
    }
}

static void a_copy_follows_the_packet_even_without_delay(void **state)
{
    struct one_way world;
    struct sights sights;
    struct plan plan = {.fate = {.copies = 2}};

    (void)state;
    one_way_prepare(&world, 2);
    one_way_open(&world);
    obey(&world, &plan);
    watch(&world, &sights);
    one_way_send(&world, 0, 1, 0, 100);
    one_way_run(&world, 10 * SIM_US);
    assert_int_equal(world.count, 1);
    assert_int_equal(sights.counts[SIM_SENT], 1);
    assert_int_equal(sights.counts[SIM_DELIVERED], 2);
    assert_int_equal(sights.delivered_at[0], SMALL_ALONE);
    assert_int_equal(sights.delivered_at[1], SMALL_ALONE + SMALL); /* behind it on the last link */
    one_way_close(&world);
}

static void a_delayed_packet_does_not_hold_up_those_behind_it(void **state)
{
    struct one_way world;
    struct plan plan = {.fate = {.copies = 1, .delay = {50 * SIM_US}}};

    (void)state;
    one_way_prepare(&world, 3);
    one_way_open(&world);
    obey(&world, &plan);
    one_way_send(&world, 0, 1, 0, 100);
    one_way_run(&world, 100);
    plan.fate.delay[0] = 0;
    one_way_send(&world, 0, 1, 0, 101);
    one_way_run(&world, SIM_MS);
    one_way_expect(&world, 0, 1, 101, SMALL_ALONE + SMALL + 2 * 800);
    one_way_expect(&world, 1, 1, 100, SMALL_ALONE + 50 * SIM_US);
    one_way_close(&world);
}

static void a_packet_that_is_not_admitted_never_reaches_the_program(void **state)
{
    struct one_way world;
    struct sights sights;
    struct plan plan = {.fate = {.copies = 1}, .is_refused = true};

    (void)state;
    one_way_prepare(&world, 2);
    one_way_open(&world);
    obey(&world, &plan);
    watch(&world, &sights);
    one_way_send(&world, 0, 1, 0, 100);
    one_way_run(&world, 100 * SIM_US);
    assert_int_equal(world.count, 0);
    assert_int_equal(sights.counts[SIM_DELIVERED], 0);
    one_way_close(&world);
}

static void packets_under_way_are_freed_with_the_world(void **state)
{
    struct one_way world;
    struct plan plan = {.fate = {.copies = 2, .delay = {SIM_MS, SIM_S}}};

    (void)state;
    one_way_prepare(&world, 2);
    world.options.carries_payload = true; /* the leak checker knows their bytes */
    one_way_open(&world);
    obey(&world, &plan);
    for (int i = 0; i < 20; i++)
        one_way_send(&world, 0, 1, 0, 1416);
    one_way_run(&world, 10 * SIM_US);
    one_way_close(&world);
}

static void what_is_sent_to_nobody_is_lost(void **state)
{
    struct one_way world;
    struct sights sights;
    struct base_address nobody;
    uint64_t id;

    (void)state;
    one_way_prepare(&world, 2);
    one_way_open(&world);
    watch(&world, &sights);
    struct sim_host *host = sim_world_host(world.world, 0);

    nobody = sim_socket_address(sim_host_socket(host, 0));
    nobody.remote.bytes[15] = 200; /* 10.0.0.200 */
    assert_int_equal(homa_engine_request(sim_host_socket(host, 0)->engine,
                                         sim_engine_now(world.world), &nobody,
                                         sim_payload_new(host, NULL, 100), 0, 0, false, &id),
                     0);
    sim_host_touch(host);
    one_way_run(&world, 10 * SIM_US);
    assert_int_equal(sights.counts[SIM_LOST], 1);
    assert_int_equal(sights.counts[SIM_DELIVERED], 0);
    one_way_close(&world);
}

/* ---- injected ---- */

static void an_injected_packet_enters_at_once_past_card_and_hook(void **state)
{
    struct one_way world;
    struct sights sights;
    struct plan plan = {.fate = {.copies = 0}};
    uint8_t bytes[4] = {1, 2, 3, 4};

    (void)state;
    one_way_prepare(&world, 2);
    one_way_open(&world);
    obey(&world, &plan);
    watch(&world, &sights);
    sim_world_inject(world.world, 0, 9, 1, ONE_WAY_PORT, 7, bytes, sizeof(bytes));
    memset(bytes, 0, sizeof(bytes)); /* they were copied */
    one_way_run(&world, SIM_MS);
    assert_int_equal(sights.counts[SIM_SENT], 1);
    assert_int_equal(sights.counts[SIM_DELIVERED], 1);
    /* 84 bytes at least on the last link: 67,200 ps; then 500 ns. */
    assert_int_equal(sights.delivered_at[0], 567200);
    one_way_close(&world);
}

static void what_is_injected_to_a_port_that_nobody_has_is_seen_to_overflow(void **state)
{
    struct one_way world;
    struct sights sights;

    (void)state;
    one_way_prepare(&world, 2);
    one_way_open(&world);
    watch(&world, &sights);
    sim_world_inject(world.world, 0, 9, 1, 12, 7, "", 0);
    one_way_run(&world, SIM_MS);
    assert_int_equal(sights.counts[SIM_OVERFLOW], 1);
    assert_int_equal(sights.counts[SIM_DELIVERED], 0);
    one_way_close(&world);
}

/* ---- accounts ---- */

static void every_packet_is_accounted_for(void **state)
{
    struct one_way world;
    struct sights sights;
    struct sim_world_totals before;
    struct sim_world_totals after;

    (void)state;
    one_way_prepare(&world, 4);
    world.options.network.buffer_bytes = 10000;
    one_way_open(&world);
    watch(&world, &sights);
    sim_world_totals(world.world, &before);
    for (uint32_t from = 1; from < 4; from++)
        one_way_send(&world, from, 0, 0, 100000); /* three at once: more than the buffer holds */
    one_way_run(&world, SIM_S);
    sim_world_totals(world.world, &after);
    assert_int_equal(world.count, 3);
    assert_int_equal(after.sent - before.sent, sights.counts[SIM_SENT]);
    assert_int_equal(after.delivered - before.delivered, sights.counts[SIM_DELIVERED]);
    assert_int_equal(after.dropped - before.dropped, sights.counts[SIM_DROPPED]);
    assert_true(sights.counts[SIM_DROPPED] > 0);
    assert_int_equal(sights.counts[SIM_SENT],
                     sights.counts[SIM_DELIVERED] + sights.counts[SIM_DROPPED]);
    assert_int_equal(one_way_rpcs(&world), 0);
    for (uint32_t host = 0; host < 4; host++)
        assert_int_equal(sim_host_payloads(sim_world_host(world.world, host)), 0);
    one_way_close(&world);
}

static void payload_arrives_byte_by_byte(void **state)
{
    static const uint32_t lengths[] = {1, 100, 1416, 1417, 60000, 65536, 65537, 150000};
    struct small_world small;

    (void)state;
    small_open(&small, 3);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        small_request(&small, 0, 1 + i % 2, lengths[i]);
    small_run(&small, 100 * SIM_MS);
    assert_int_equal(small.strange, 0);
    for (uint32_t i = 0; i < small.call_count; i++) {
        assert_true(small.calls[i].is_over && small.calls[i].error == 0);
        assert_true(small.calls[i].is_right);
    }
    small_close(&small);
}

/* ---- the same again ---- */

static void open_busy_world(struct one_way *world, struct sights *sights, uint64_t seed)
{
    one_way_prepare(world, 4);
    world->options.seed = seed;
    one_way_open(world);
    watch(world, sights);
    for (uint32_t i = 0; i < 12; i++)
        one_way_send(world, i % 4, (i + 1 + i / 4) % 4, 0, 100 + i * 9000);
}

static uint64_t digest_of_busy_world(uint64_t seed)
{
    struct one_way world;
    struct sights sights;

    open_busy_world(&world, &sights, seed);
    one_way_run(&world, 10 * SIM_MS);
    assert_int_equal(world.count, 12);
    one_way_close(&world);
    return sights.digest;
}

static void the_same_seed_gives_the_same_packets_at_the_same_times(void **state)
{
    (void)state;
    assert_true(digest_of_busy_world(1) == digest_of_busy_world(1));
    assert_true(digest_of_busy_world(1) != digest_of_busy_world(2));
}

static void two_worlds_do_not_disturb_each_other(void **state)
{
    struct one_way worlds[2];
    struct sights sights[2];

    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        open_busy_world(&worlds[i], &sights[i], i + 1);
    for (sim_time at = 0; at <= 10 * SIM_MS; at += 10 * SIM_US)
        for (uint32_t i = 0; i < 2; i++)
            one_way_run(&worlds[i], at);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(sights[i].digest == digest_of_busy_world(i + 1));
        one_way_close(&worlds[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_world_that_cannot_be_is_refused_with_a_sentence),
        cmocka_unit_test(a_packet_that_is_lost_is_seen_to_be),
        cmocka_unit_test(a_packet_that_is_delayed_comes_so_much_later),
        cmocka_unit_test(a_copy_follows_the_packet_even_without_delay),
        cmocka_unit_test(a_delayed_packet_does_not_hold_up_those_behind_it),
        cmocka_unit_test(a_packet_that_is_not_admitted_never_reaches_the_program),
        cmocka_unit_test(packets_under_way_are_freed_with_the_world),
        cmocka_unit_test(what_is_sent_to_nobody_is_lost),
        cmocka_unit_test(an_injected_packet_enters_at_once_past_card_and_hook),
        cmocka_unit_test(what_is_injected_to_a_port_that_nobody_has_is_seen_to_overflow),
        cmocka_unit_test(every_packet_is_accounted_for),
        cmocka_unit_test(payload_arrives_byte_by_byte),
        cmocka_unit_test(the_same_seed_gives_the_same_packets_at_the_same_times),
        cmocka_unit_test(two_worlds_do_not_disturb_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
