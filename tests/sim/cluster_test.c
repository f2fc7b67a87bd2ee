/*
 * The published experiment: that it offers the load it was asked for, reckons ideal times right,
 * keeps account of every message, and adds up the results of several runs.
 */
#include "sim/cluster.h"

#include "one_way.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim_workload *read_workload(const char *text)
{
    struct sim_workload *workload = NULL;
    char why[SIM_WHY_MAX];

    if (sim_workload_read("test", text, &workload, why) != 0)
        fail_msg("%s", why);
    return workload;
}

/* Eight hosts on one switch, our own packets. The caller closes options->workload. */
static void prepare(struct sim_cluster_options *options, const char *workload)
{
    sim_cluster_defaults(options);
    options->network.topology = SIM_SINGLE;
    options->network.hosts = 8;
    options->workload = read_workload(workload);
    options->warmup = 0;
    sim_cluster_use_ours(options);
}

static void close_workload(const struct sim_cluster_options *options)
{
    sim_workload_close((struct sim_workload *)(uintptr_t)options->workload);
}

static struct sim_cluster_result run(const struct sim_cluster_options *options)
{
    struct sim_cluster_result result;
    const char *why = NULL;

    if (sim_cluster_run(options, NULL, NULL, &result, &why) != 0)
        fail_msg("%s", why);
    assert_int_equal(sim_slowdown_count(result.slowdown), result.finished);
    assert_int_equal(result.runs, 1);
    return result;
}

/* ---- refusals ---- */

static void expect_fault(const struct sim_cluster_options *options, const char *part)
{
    struct sim_cluster_result result;
    const char *why = NULL;

    assert_int_equal(sim_cluster_run(options, NULL, NULL, &result, &why), -EINVAL);
    assert_non_null(why);
    if (strstr(why, part) == NULL)
        fail_msg("'%s' does not say '%s'", why, part);
    assert_null(result.slowdown);
}

static void an_experiment_that_cannot_be_is_refused_with_a_sentence(void **state)
{
    struct sim_cluster_options options;
    struct sim_cluster_options good;

    (void)state;
    prepare(&good, "100 1\n");
    assert_null(sim_cluster_fault(&good));
    options = good;
    options.load_permille = 0;
    expect_fault(&options, "the load");
    options.load_permille = 10001;
    expect_fault(&options, "the load");
    options = good;
    options.messages = 0;
    expect_fault(&options, "at least one message");
    options = good;
    options.pattern = SIM_INCAST;
    options.senders = 0;
    expect_fault(&options, "from 1 sender");
    options.senders = 8;
    expect_fault(&options, "one less than there are hosts");
    options = good;
    options.network.hosts = 1;
    expect_fault(&options, "a network has");
    options = good;
    options.network.topology = SIM_RACKS;
    options.network.hosts_per_rack = 4;
    options.network.core_mbps = 5000;
    expect_fault(&options, "as fast as those of hosts");
    close_workload(&good);
    prepare(&options, "100 1\n64000001 1\n");
    expect_fault(&options, "longer than hosts take");
    close_workload(&options);
}

/* ---- what is expected ---- */

static void load_counts_headers_gaps_and_grants(void **state)
{
    struct sim_cluster_options options;

    (void)state;
    prepare(&options, "1000 1\n"); /* + 56 + 66 */
    assert_int_equal(sim_cluster_wire_per_mille(&options), 1122);
    close_workload(&options);
    prepare(&options, "2000 1\n"); /* 1,538 + 584 + 122 = 2,244 */
    assert_int_equal(sim_cluster_wire_per_mille(&options), 1122);
    close_workload(&options);
    prepare(&options, "1 1\n"); /* 123 */
    assert_int_equal(sim_cluster_wire_per_mille(&options), 123000);
    close_workload(&options);
    prepare(&options, "20000 1\n");
    options.host.knobs.unsched_bytes = 10000;
    options.host.knobs.window = 40000;
    /* 7 full packets and 88 + 122 bytes; the other 10,000 bytes are cut likewise: 21,952. A grant
     * takes 33 + 66 bytes. */
    uint32_t worth = homa_sched_grant_worth(&options.host.knobs);
    uint32_t grants = (10000 + worth - 1) / worth;

    assert_int_equal(sim_cluster_wire_per_mille(&options), (21952 + grants * 99) / 20);
    close_workload(&options);
}

static void the_papers_packets_waste_as_much_of_the_link_as_published(void **state)
{
    static const struct {
        const char *name;
        uint32_t goodput_permille;
    } published[] = {{"w1", 657}, {"w2", 796}, {"w3", 887}, {"w4", 898}, {"w5", 898}};

    (void)state;
    for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
        struct sim_cluster_options options;
        struct sim_workload *workload;

        sim_cluster_defaults(&options);
        assert_int_equal(sim_workload_named(published[i].name, &workload), 0);
        options.workload = workload;
        sim_cluster_use_paper(&options);
        uint64_t goodput = 1000000 / sim_cluster_wire_per_mille(&options);

        assert_in_range(goodput, published[i].goodput_permille * 97 / 100,
                        published[i].goodput_permille * 103 / 100);
        sim_workload_close(workload);
    }
}

/* Sends lone messages of many lengths, and compares their times with the ideal ones. */
static void compare_with_ideal(const struct sim_cluster_options *options, uint32_t to)
{
    static const uint32_t lengths[] = {
        1,    2,    100,  1415,  1416,  1417,  1441,  1442,  1443,  2000,   2832,   2833,  2884,
        2885, 9912, 9913, 14160, 14161, 20000, 50000, 99120, 99121, 100000, 199999, 200000};
    bool is_sprayed = options->network.topology == SIM_RACKS && options->network.core_switches > 1;
    struct one_way world;

    one_way_prepare(&world, options->network.hosts);
    world.options.network = options->network;
    for (uint32_t i = 0; i < options->network.hosts; i++)
        world.hosts[i] = options->host;
    one_way_open(&world);
    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        bool is_near =
            options->network.topology == SIM_SINGLE || to < options->network.hosts_per_rack;
        sim_time ideal = sim_cluster_ideal(options, lengths[i], is_near) - options->start_delay;
        uint32_t full = options->host.packet_bytes - HOMA_DATA_HEADER_LENGTH;
        sim_time last =
            ((lengths[i] - 1) % full + 1 + HOMA_DATA_HEADER_LENGTH + options->host.wire_overhead) *
            UINT64_C(8000000) / options->network.host_mbps;

        one_way_run(&world, i * SIM_MS);
        one_way_send(&world, 0, to, 0, lengths[i]);
        one_way_run(&world, (i + 1) * SIM_MS - 1);
        assert_int_equal(world.count, i + 1);
        if (is_near || !is_sprayed || lengths[i] <= full)
            one_way_expect(&world, i, to, lengths[i], i * SIM_MS + ideal);
        else /* the last packet may have overtaken the one before it */
            assert_in_range(world.events[i].at, i * SIM_MS + ideal - last, i * SIM_MS + ideal);
    }
    one_way_close(&world);
}

static void lone_messages_take_their_ideal_time_to_the_picosecond(void **state)
{
    static const struct {
        uint32_t host_mbps;
        uint32_t core_mbps;
        enum sim_topology topology;
        uint32_t core_switches;
        sim_time propagation;
        bool is_papers;
    } known[] = {
        {10000, 0, SIM_SINGLE, 0, 0, false},        {10000, 0, SIM_SINGLE, 0, 0, true},
        {25000, 0, SIM_SINGLE, 0, 333, false},      {10000, 40000, SIM_RACKS, 1, 0, false},
        {10000, 40000, SIM_RACKS, 1, 77, true},     {10000, 10000, SIM_RACKS, 1, 0, false},
        {25000, 100000, SIM_RACKS, 1, 0, false},    {10000, 40000, SIM_RACKS, 4, 0, false},
        {100000, 400000, SIM_RACKS, 4, 1000, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct sim_cluster_options options;

        prepare(&options, "100 1\n");
        options.network.topology = known[i].topology;
        options.network.hosts = 4;
        options.network.hosts_per_rack = 2;
        options.network.host_mbps = known[i].host_mbps;
        options.network.core_mbps = known[i].core_mbps;
        options.network.core_switches = known[i].core_switches;
        options.network.propagation = known[i].propagation;
        if (known[i].is_papers)
            sim_cluster_use_paper(&options);
        options.host.knobs.unsched_bytes = 200000;
        compare_with_ideal(&options, 1); /* in the same rack */
        compare_with_ideal(&options, 3); /* not so */
        close_workload(&options);
    }
}

static void ideal_time_is_what_can_be_reckoned_by_hand(void **state)
{
    struct sim_cluster_options options;

    (void)state;
    prepare(&options, "100 1\n");
    /* 500 + 500 ns; 222 bytes twice at 800 ps; 250 + 500 ns. */
    assert_int_equal(sim_cluster_ideal(&options, 100, true), 2105200);
    /* 15 full packets on the first link, the last of them and a byte (123) on the second. */
    assert_int_equal(sim_cluster_ideal(&options, 15 * 1416 + 1, false),
                     1000000 + 15 * FULL + 250000 + FULL + 123 * 800 + 500000);
    options.network.topology = SIM_RACKS;
    options.network.hosts_per_rack = 4;
    /* Two more links of 200 ps a byte, and two more switches. */
    assert_int_equal(sim_cluster_ideal(&options, 100, false), 2105200 + 2 * (44400 + 250000));
    assert_int_equal(sim_cluster_ideal(&options, 100, true), 2105200);
    close_workload(&options);
}

static void a_lone_message_that_needs_grants_hardly_waits_for_them(void **state)
{
    static const uint32_t lengths[] = {10000, 20000, 50000, 200000, 1000000};
    static const enum sim_topology topologies[] = {SIM_SINGLE, SIM_RACKS};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct sim_cluster_options options;
        struct sim_rows rows;
        char text[32];

        snprintf(text, sizeof(text), "%u 1\n", lengths[i / 2]);
        prepare(&options, text);
        options.network.topology = topologies[i % 2];
        options.network.hosts_per_rack = 4;
        options.load_permille = 1;
        options.messages = 1;
        struct sim_cluster_result result = run(&options);

        assert_int_equal(result.finished, 1);
        sim_slowdown_all(result.slowdown, options.workload, &rows);
        assert_in_range(rows.rows[0].p50, 950, 1100);
        sim_slowdown_close(result.slowdown);
        close_workload(&options);
    }
}

/* ---- load ---- */

static uint64_t use_permille(const struct sim_cluster_result *result, enum sim_port_kind kind,
                             uint64_t ports)
{
    return result->ports[kind].busy_ps / (result->time / 1000) / ports;
}

static void hosts_links_carry_the_load_that_was_asked_for(void **state)
{
    static const struct {
        const char *workload;
        uint64_t messages;
        uint32_t load_permille;
    } known[] = {
        {"1000 1\n", 15000, 500},
        {"1000 1\n", 15000, 900},
        {"30000 1\n", 2000, 500},
        {"100 9\n20000 1\n", 10000, 800},
        {"50 1\n1500 1\n3000 1\n", 15000, 200},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct sim_cluster_options options;

        prepare(&options, known[i].workload);
        options.load_permille = known[i].load_permille;
        options.messages = known[i].messages;
        options.warmup = 1000;
        struct sim_cluster_result result = run(&options);

        assert_int_equal(result.finished, known[i].messages);
        for (unsigned kind = SIM_PORT_UP; kind <= SIM_PORT_DOWN; kind += 2)
            assert_in_range(use_permille(&result, kind, 8), known[i].load_permille * 95 / 100,
                            known[i].load_permille * 105 / 100);
        sim_slowdown_close(result.slowdown);
        close_workload(&options);
    }
}

static void an_incast_loads_the_one_receiver(void **state)
{
    struct sim_cluster_options options;

    (void)state;
    prepare(&options, "5000 1\n");
    options.pattern = SIM_INCAST;
    options.senders = 5;
    options.messages = 5000;
    options.load_permille = 700;
    struct sim_cluster_result result = run(&options);

    assert_int_equal(result.finished, 5000);
    assert_in_range(use_permille(&result, SIM_PORT_DOWN, 1), 680, 720);
    assert_in_range(use_permille(&result, SIM_PORT_UP, 5), 136, 144);
    sim_slowdown_close(result.slowdown);
    close_workload(&options);
}

/* ---- accounts ---- */

static void an_idle_cluster_slows_nothing_down(void **state)
{
    struct sim_cluster_options options;
    struct sim_rows rows;

    (void)state;
    prepare(&options, "100 1\n1500 1\n9000 1\n");
    options.load_permille = 1;
    options.messages = 1000;
    struct sim_cluster_result result = run(&options);

    sim_slowdown_all(result.slowdown, options.workload, &rows);
    assert_int_equal(rows.rows[0].count, 1000);
    assert_int_equal(rows.rows[0].p50, SIM_SLOWDOWN_ONE);
    assert_in_range(rows.rows[0].p99, SIM_SLOWDOWN_ONE, SIM_SLOWDOWN_ONE + 20);
    assert_in_range(result.message_bytes / 1000, 3300, 3800); /* 3,533 on average */
    sim_slowdown_close(result.slowdown);
    close_workload(&options);
}

static void an_overload_uses_the_links_to_the_full(void **state)
{
    struct sim_cluster_options options;

    (void)state;
    prepare(&options, "100 1\n20000 1\n");
    options.load_permille = 2000;
    options.messages = 1000;
    struct sim_cluster_result result = run(&options);

    assert_int_equal(result.finished + result.unfinished + result.failed, 1000);
    assert_in_range(use_permille(&result, SIM_PORT_UP, 8), 850, 1000);
    assert_in_range(use_permille(&result, SIM_PORT_DOWN, 8), 850, 1000);
    sim_slowdown_close(result.slowdown);
    close_workload(&options);
}

static void a_run_without_end_is_cut_short_and_tells_what_was_not_finished(void **state)
{
    struct sim_cluster_options options;
    char table[8192] = {0};

    (void)state;
    prepare(&options, "100 1\n");
    options.messages = 50;
    options.loss_ppm = 1000000; /* and senders do not give up before patience ends */
    struct sim_cluster_result result = run(&options);
    FILE *file = fmemopen(table, sizeof(table) - 1, "w");

    assert_non_null(file);
    assert_int_equal(result.unfinished, 50);
    sim_cluster_print(&options, &result, file);
    fclose(file);
    assert_non_null(strstr(table, "NOT in the table: 50 unfinished, "));
    sim_slowdown_close(result.slowdown);
    close_workload(&options);
}

static void messages_that_are_refused_confuse_no_others(void **state)
{
    struct sim_cluster_options options;

    (void)state;
    prepare(&options, "100 1\n5000 1\n20000 1\n");
    options.pattern = SIM_INCAST;
    options.senders = 2;
    options.load_permille = 1500;
    options.messages = 400;
    options.host.max_rpcs = 8;
    struct sim_cluster_result result = run(&options); /* asserts whose message it is */

    assert_true(result.refused > 0);
    assert_int_equal(result.finished, 400);
    sim_slowdown_close(result.slowdown);
    close_workload(&options);
}

static void messages_that_fail_are_waited_for_no_longer(void **state)
{
    struct sim_cluster_options options;

    (void)state;
    prepare(&options, "100 1\n");
    options.load_permille = 10;
    options.messages = 500;
    options.loss_ppm = 1000000;
    options.host.knobs.resend_ticks = 1;
    options.host.knobs.timeout_ticks = 3;
    struct sim_cluster_result result = run(&options);

    assert_int_equal(result.finished, 0);
    assert_int_equal(result.failed, 500);
    assert_int_equal(result.unfinished, 0);
    assert_int_equal(result.delivered, 0);
    assert_true(result.lost >= 500);
    sim_slowdown_close(result.slowdown);
    close_workload(&options);
}

static void what_is_lost_is_sent_again(void **state)
{
    struct sim_cluster_options options;

    (void)state;
    prepare(&options, "100 1\n20000 1\n");
    options.load_permille = 300;
    options.messages = 1500;
    options.loss_ppm = 10000;
    struct sim_cluster_result result = run(&options);

    assert_int_equal(result.finished, 1500);
    /* One in a hundred of those sent, some 260, ± 4 sigma. */
    assert_in_range(result.lost * 1000000 / (result.lost + result.delivered), 7500, 12500);
    assert_in_range(result.counters.resent_packets, result.lost / 2, 3 * result.lost);
    sim_slowdown_close(result.slowdown);
    close_workload(&options);
}

/* ---- several runs ---- */

static void print(const struct sim_cluster_options *options,
                  const struct sim_cluster_result *result, char *text, size_t size)
{
    FILE *file = fmemopen(text, size, "w");

    assert_non_null(file);
    sim_cluster_print(options, result, file);
    assert_false(ferror(file));
    fclose(file);
}

static void hand_over(const struct sim_cluster_result *from, struct sim_cluster_result *to)
{
    FILE *file = tmpfile();

    assert_non_null(file);
    assert_int_equal(sim_cluster_write(from, file), 0);
    rewind(file);
    assert_int_equal(sim_cluster_read(to, file), 0);
    fclose(file);
}

static struct sim_cluster_result nothing(void)
{
    struct sim_cluster_result result = {.slowdown = sim_slowdown_open()};

    assert_non_null(result.slowdown);
    return result;
}

static void runs_add_up_in_any_order(void **state)
{
    struct sim_cluster_options options;
    struct sim_cluster_result parts[3];
    struct sim_cluster_result sums[2] = {nothing(), nothing()};
    struct sim_cluster_result pair = nothing();
    char texts[2][8192];

    (void)state;
    prepare(&options, "100 1\n1500 1\n30000 1\n");
    options.messages = 300;
    for (uint32_t i = 0; i < 3; i++) {
        options.seed = i + 1;
        parts[i] = run(&options);
    }
    for (uint32_t i = 0; i < 3; i++) {
        hand_over(&parts[i], &sums[0]);
        if (i > 0)
            hand_over(&parts[i], &pair);
    }
    hand_over(&pair, &sums[1]); /* a sum is a result like any other */
    hand_over(&parts[0], &sums[1]);
    assert_int_equal(sums[0].runs, 3);
    assert_int_equal(sums[0].finished, 900);
    assert_int_equal(sim_slowdown_count(sums[0].slowdown), 900);
    assert_int_equal(sums[0].delivered,
                     parts[0].delivered + parts[1].delivered + parts[2].delivered);
    assert_int_equal(sums[0].time, parts[0].time + parts[1].time + parts[2].time);
    print(&options, &sums[0], texts[0], sizeof(texts[0]));
    print(&options, &sums[1], texts[1], sizeof(texts[1]));
    assert_string_equal(texts[0], texts[1]);
    assert_non_null(strstr(texts[0], "in 3 runs"));
    for (uint32_t i = 0; i < 3; i++)
        sim_slowdown_close(parts[i].slowdown);
    sim_slowdown_close(sums[0].slowdown);
    sim_slowdown_close(sums[1].slowdown);
    sim_slowdown_close(pair.slowdown);
    close_workload(&options);
}

static void a_result_handed_over_is_the_result(void **state)
{
    struct sim_cluster_options options;
    struct sim_cluster_result copy = nothing();
    char texts[2][8192];

    (void)state;
    prepare(&options, "100 1\n1500 1\n");
    options.messages = 500;
    struct sim_cluster_result result = run(&options);

    hand_over(&result, &copy);
    print(&options, &result, texts[0], sizeof(texts[0]));
    print(&options, &copy, texts[1], sizeof(texts[1]));
    assert_string_equal(texts[0], texts[1]);
    sim_slowdown_close(result.slowdown);
    sim_slowdown_close(copy.slowdown);
    close_workload(&options);
}

static void a_result_cut_short_is_refused(void **state)
{
    struct sim_cluster_result copy = nothing();
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    assert_int_equal(sim_cluster_read(&copy, file), -EIO);
    fputs("not a result", file);
    rewind(file);
    assert_int_equal(sim_cluster_read(&copy, file), -EIO);
    fclose(file);
    sim_slowdown_close(copy.slowdown);
}

static void table_of(uint64_t seed, char *text, size_t size)
{
    struct sim_cluster_options options;

    prepare(&options, "100 1\n1500 1\n30000 1\n");
    options.messages = 200;
    options.seed = seed;
    options.network.topology = SIM_RACKS;
    options.network.hosts_per_rack = 4;
    struct sim_cluster_result result = run(&options);

    print(&options, &result, text, size);
    sim_slowdown_close(result.slowdown);
    close_workload(&options);
}

static void the_seed_decides_everything(void **state)
{
    char texts[3][8192];

    (void)state;
    table_of(1, texts[0], sizeof(texts[0]));
    table_of(1, texts[1], sizeof(texts[1]));
    table_of(2, texts[2], sizeof(texts[2]));
    assert_string_equal(texts[0], texts[1]);
    assert_string_not_equal(texts[0], texts[2]);
}

static void note_progress(void *context, unsigned permille)
{
    unsigned *last = context;

    assert_true(permille >= *last && permille <= 1000);
    *last = permille;
}

static void progress_rises_to_the_end(void **state)
{
    struct sim_cluster_options options;
    struct sim_cluster_result result;
    const char *why = NULL;
    unsigned last = 0;

    (void)state;
    prepare(&options, "1500 1\n");
    options.messages = 5000;
    assert_int_equal(sim_cluster_run(&options, note_progress, &last, &result, &why), 0);
    assert_int_equal(last, 1000);
    sim_slowdown_close(result.slowdown);
    close_workload(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_experiment_that_cannot_be_is_refused_with_a_sentence),
        cmocka_unit_test(load_counts_headers_gaps_and_grants),
        cmocka_unit_test(the_papers_packets_waste_as_much_of_the_link_as_published),
        cmocka_unit_test(lone_messages_take_their_ideal_time_to_the_picosecond),
        cmocka_unit_test(ideal_time_is_what_can_be_reckoned_by_hand),
        cmocka_unit_test(a_lone_message_that_needs_grants_hardly_waits_for_them),
        cmocka_unit_test(hosts_links_carry_the_load_that_was_asked_for),
        cmocka_unit_test(an_incast_loads_the_one_receiver),
        cmocka_unit_test(an_idle_cluster_slows_nothing_down),
        cmocka_unit_test(an_overload_uses_the_links_to_the_full),
        cmocka_unit_test(a_run_without_end_is_cut_short_and_tells_what_was_not_finished),
        cmocka_unit_test(messages_that_are_refused_confuse_no_others),
        cmocka_unit_test(messages_that_fail_are_waited_for_no_longer),
        cmocka_unit_test(what_is_lost_is_sent_again),
        cmocka_unit_test(runs_add_up_in_any_order),
        cmocka_unit_test(a_result_handed_over_is_the_result),
        cmocka_unit_test(a_result_cut_short_is_refused),
        cmocka_unit_test(the_seed_decides_everything),
        cmocka_unit_test(progress_rises_to_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
