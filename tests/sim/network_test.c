/* The simulated network, to the picosecond. At 10 Gbit/s a byte takes 800 ps, at 40 Gbit/s 200. */
#include "sim/network.h"

#include "sim/world.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#define SEEN_MAX 1024u

struct seen {
    uint32_t number; /* of the packet */
    sim_time at;
};

struct fixture {
    struct sim_clock *clock;
    struct sim_network *network;
    struct sim_network_options options;
    struct seen delivered[SEEN_MAX];
    struct seen dropped[SEEN_MAX];
    uint32_t delivered_count;
    uint32_t dropped_count;
};

static uint32_t number_of(const struct sim_packet *packet)
{
    uint32_t number;

    memcpy(&number, packet->header, sizeof(number));
    return number;
}

static void deliver(void *context, struct sim_packet *packet)
{
    struct fixture *f = context;

    assert_true(f->delivered_count < SEEN_MAX);
    f->delivered[f->delivered_count++] =
        (struct seen){.number = number_of(packet), .at = sim_clock_now(f->clock)};
    sim_packet_free(f->network, packet);
}

static void drop(void *context, struct sim_packet *packet)
{
    struct fixture *f = context;

    f->dropped[f->dropped_count++] =
        (struct seen){.number = number_of(packet), .at = sim_clock_now(f->clock)};
    sim_packet_free(f->network, packet);
}

static void open_network(struct fixture *f)
{
    const struct sim_network_owner owner = {.context = f, .deliver = deliver, .drop = drop};
    const char *why = NULL;

    f->delivered_count = 0;
    f->dropped_count = 0;
    f->clock = sim_clock_open();
    assert_non_null(f->clock);
    f->network = sim_network_open(&f->options, f->clock, &owner, &why);
    if (f->network == NULL)
        fail_msg("%s", why);
}

static void close_network(struct fixture *f)
{
    sim_network_close(f->network);
    sim_clock_close(f->clock);
}

/* All on one switch. */
static const struct sim_network_options on_one_switch = {
    .topology = SIM_SINGLE,
    .hosts = 4,
    .host_mbps = 10000,
    .switch_delay = 250 * SIM_NS,
    .receive_delay = 500 * SIM_NS,
    .priorities = 8,
};

/* Two racks of two. */
static const struct sim_network_options in_racks = {
    .topology = SIM_RACKS,
    .hosts = 4,
    .hosts_per_rack = 2,
    .core_switches = 4,
    .host_mbps = 10000,
    .core_mbps = 40000,
    .switch_delay = 250 * SIM_NS,
    .receive_delay = 500 * SIM_NS,
    .priorities = 8,
    .seed = 1,
};

static struct sim_packet *make(struct fixture *f, uint32_t number, uint32_t from, uint32_t to,
                               uint32_t wire_bytes, uint8_t priority)
{
    struct sim_packet *packet = sim_packet_new(f->network);

    packet->from = (uint16_t)from;
    packet->to = (uint16_t)to;
    packet->length = wire_bytes;
    packet->wire_bytes = wire_bytes;
    packet->priority = priority;
    memcpy(packet->header, &number, sizeof(number));
    return packet;
}

/* A packet that comes out of its first switch now. */
static void enter(struct fixture *f, uint32_t number, uint32_t from, uint32_t to,
                  uint32_t wire_bytes, uint8_t priority)
{
    sim_network_enter(f->network, make(f, number, from, to, wire_bytes, priority));
}

static void expect_order(const struct fixture *f, const char *numbers)
{
    char order[SEEN_MAX + 1] = {0};

    for (uint32_t i = 0; i < f->delivered_count; i++)
        order[i] = (char)('0' + f->delivered[i].number);
    assert_string_equal(order, numbers);
}

static void expect_refusal(const struct sim_network_options *options, const char *part)
{
    const struct sim_network_owner owner = {.deliver = deliver, .drop = drop};
    struct sim_clock *clock = sim_clock_open();
    const char *why = NULL;

    assert_null(sim_network_open(options, clock, &owner, &why));
    assert_non_null(why);
    if (strstr(why, part) == NULL)
        fail_msg("'%s' does not say '%s'", why, part);
    assert_string_equal(why, sim_network_fault(options));
    sim_clock_close(clock);
}

static void a_network_that_cannot_be_is_refused_with_a_sentence(void **state)
{
    struct sim_network_options options = on_one_switch;

    (void)state;
    options.hosts = 1;
    expect_refusal(&options, "from 2 to 65535 hosts");
    options.hosts = 65536;
    expect_refusal(&options, "from 2 to 65535 hosts");
    options = on_one_switch;
    options.host_mbps = 0;
    expect_refusal(&options, "hosts' links");
    options.host_mbps = 30000; /* a byte would take 266.67 ps */
    expect_refusal(&options, "hosts' links");
    options = on_one_switch;
    options.priorities = 0;
    expect_refusal(&options, "priorities");
    options.priorities = 9;
    expect_refusal(&options, "priorities");
    options = in_racks;
    options.core_mbps = 30000;
    expect_refusal(&options, "core links");
    options = in_racks;
    options.hosts_per_rack = 3;
    expect_refusal(&options, "must divide the number of hosts");
    options.hosts_per_rack = 0;
    expect_refusal(&options, "must divide the number of hosts");
    options = in_racks;
    options.core_switches = 0;
    expect_refusal(&options, "at least one core switch");
    options.topology = SIM_SINGLE; /* then nobody asks */
    assert_null(sim_network_fault(&options));
}

static void a_packet_is_stored_and_forwarded_by_one_switch(void **state)
{
    struct fixture f = {.options = on_one_switch};

    (void)state;
    open_network(&f);
    /* Last bit out at 800,000; through the switch at 1,050,000; 1,000 bytes on the link to the host
     * until 1,850,000; with its program at 2,350,000. */
    sim_network_send(f.network, make(&f, 1, 0, 3, 1000, 0), 800000);
    sim_clock_run(f.clock, 2349999);
    assert_int_equal(f.delivered_count, 0);
    sim_clock_run(f.clock, SIM_MS);
    assert_int_equal(f.delivered_count, 1);
    assert_int_equal(f.delivered[0].at, 2350000);
    close_network(&f);
}

static void between_racks_it_is_stored_three_times(void **state)
{
    struct fixture f = {.options = in_racks};

    (void)state;
    open_network(&f);
    /* First switch 800,000 + 250,000 = 1,050,000; up to the core 200,000 + 250,000: 1,500,000; down
     * to the rack the same: 1,950,000; to the host 800,000 + 500,000: 3,250,000. */
    sim_network_send(f.network, make(&f, 1, 0, 2, 1000, 0), 800000);
    sim_network_send(f.network, make(&f, 2, 1, 0, 1000, 0), 800000); /* in the same rack */
    sim_clock_run(f.clock, SIM_MS);
    expect_order(&f, "21");
    assert_int_equal(f.delivered[0].at, 2350000);
    assert_int_equal(f.delivered[1].at, 3250000);
    close_network(&f);
}

static void every_link_costs_its_propagation_delay(void **state)
{
    struct fixture f = {.options = in_racks};

    (void)state;
    f.options.propagation = 1001;
    open_network(&f);
    sim_network_send(f.network, make(&f, 1, 0, 2, 1000, 0), 800000);
    sim_clock_run(f.clock, SIM_MS);
    assert_int_equal(f.delivered[0].at, 3250000 + 4 * 1001);
    close_network(&f);
}

static void links_are_as_fast_as_asked_for(void **state)
{
    static const struct {
        uint32_t mbps;
        sim_time thousand_bytes;
    } speeds[] = {{1000, 8000000}, {10000, 800000}, {25000, 320000}, {100000, 80000}};

    (void)state;
    for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
        struct fixture f = {.options = on_one_switch};

        f.options.host_mbps = speeds[i].mbps;
        open_network(&f);
        assert_int_equal(sim_network_host_time(f.network, 1000), speeds[i].thousand_bytes);
        enter(&f, 1, 0, 1, 1000, 0);
        sim_clock_run(f.clock, SIM_MS);
        assert_int_equal(f.delivered[0].at, speeds[i].thousand_bytes + 500000);
        close_network(&f);
    }
}

static void packets_follow_each_other_on_a_link_without_waiting_for_arrivals(void **state)
{
    struct fixture f = {.options = on_one_switch};

    (void)state;
    f.options.propagation = 10 * SIM_US; /* all three are on the link at once */
    open_network(&f);
    for (uint32_t i = 0; i < 3; i++)
        sim_network_send(f.network, make(&f, i, 0, 1, 84, 0), (i + 1) * 67200);
    sim_clock_run(f.clock, SIM_MS);
    expect_order(&f, "012");
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(f.delivered[i].at, (i + 2) * 67200 + 20 * SIM_US + 750000);
    close_network(&f);
}

static void the_highest_priority_goes_first_and_within_one_the_oldest(void **state)
{
    struct fixture f = {.options = on_one_switch};

    (void)state;
    open_network(&f);
    enter(&f, 0, 0, 3, 1000, 0); /* on the link at once: never taken off again */
    enter(&f, 1, 0, 3, 1000, 1);
    enter(&f, 2, 1, 3, 1000, 5);
    enter(&f, 3, 2, 3, 1000, 1);
    enter(&f, 4, 1, 3, 1000, 7);
    enter(&f, 5, 0, 3, 1000, 5);
    enter(&f, 6, 0, 2, 1000, 0); /* another port */
    sim_clock_run(f.clock, SIM_MS);
    expect_order(&f, "0642513");
    for (uint32_t i = 1; i < 7; i++) /* back to back */
        assert_int_equal(f.delivered[i].at, i == 1 ? 1300000 : i * 800000 + 500000);
    close_network(&f);
}

static void a_late_packet_of_high_priority_passes_all_that_wait(void **state)
{
    struct fixture f = {.options = on_one_switch};

    (void)state;
    open_network(&f);
    for (uint32_t i = 0; i < 3; i++)
        enter(&f, i, 0, 3, 1000, 3);
    sim_clock_run(f.clock, 1600001); /* the third has just begun */
    enter(&f, 3, 0, 3, 1000, 3);
    sim_clock_run(f.clock, 2000000);
    enter(&f, 4, 1, 3, 1000, 4);
    sim_clock_run(f.clock, SIM_MS);
    expect_order(&f, "01243");
    close_network(&f);
}

static void switches_with_fewer_priorities_take_neighbours_for_one(void **state)
{
    static const struct {
        uint32_t priorities;
        const char *order; /* of a blocker and priorities 0 .. 7, in this order */
    } known[] = {{1, "012345678"}, {2, "056781234"}, {4, "078563412"}, {8, "087654321"}};

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct fixture f = {.options = on_one_switch};
        struct sim_port_totals totals;

        f.options.priorities = known[i].priorities;
        open_network(&f);
        enter(&f, 0, 0, 3, 100, 0);
        for (uint8_t priority = 0; priority < 8; priority++)
            enter(&f, priority + 1u, 0, 3, 100, priority);
        sim_clock_run(f.clock, SIM_MS);
        expect_order(&f, known[i].order);
        sim_network_totals(f.network, SIM_PORT_DOWN, &totals);
        for (uint32_t level = 0; level < 8; level++) {
            uint32_t packets = level < known[i].priorities ? 8 / known[i].priorities : 0;

            assert_int_equal(totals.max_level_bytes[level], 100 * packets);
            assert_int_equal(totals.bytes[level], 100 * (packets + (level == 0)));
        }
        close_network(&f);
    }
}

static void a_full_buffer_drops_the_packet_that_comes(void **state)
{
    struct fixture f = {.options = on_one_switch};
    struct sim_port_totals totals;

    (void)state;
    f.options.buffer_bytes = 2000;
    open_network(&f);
    enter(&f, 0, 0, 3, 1000, 0); /* being sent: does not wait */
    enter(&f, 1, 0, 3, 1000, 0);
    enter(&f, 2, 0, 3, 1000, 3); /* fills it to the byte, whatever the priority */
    enter(&f, 3, 0, 3, 1, 7);
    enter(&f, 4, 0, 2, 1000, 0); /* another port's buffer */
    assert_int_equal(f.dropped_count, 1);
    assert_int_equal(f.dropped[0].number, 3);
    sim_clock_run(f.clock, 800000); /* 2 is on the link: 1,000 bytes are free */
    enter(&f, 5, 0, 3, 1001, 7);
    enter(&f, 6, 0, 3, 1000, 7);
    sim_clock_run(f.clock, SIM_MS);
    expect_order(&f, "04261");
    assert_int_equal(f.dropped_count, 2);
    assert_int_equal(f.dropped[1].number, 5);
    sim_network_totals(f.network, SIM_PORT_DOWN, &totals);
    assert_int_equal(totals.drops, 2);
    assert_int_equal(totals.max_queue_bytes, 2000);
    close_network(&f);
}

static void packets_between_racks_are_sprayed_evenly_over_the_core(void **state)
{
    struct fixture f = {.options = in_racks};
    struct sim_port_totals totals;

    (void)state;
    open_network(&f);
    for (uint32_t i = 0; i < 400; i++)
        enter(&f, i, 0, 2, 1000, 0);
    sim_network_totals(f.network, SIM_PORT_CORE, &totals);
    assert_int_equal(totals.ports, 16);
    /* Binomial: 100 to each of four ports, ± 8.7; less the one being sent. */
    assert_in_range(totals.max_queue_bytes, 99000, 135000);
    sim_clock_run(f.clock, SIM_MS);
    assert_int_equal(f.delivered_count, 400);
    close_network(&f);
}

static uint32_t delivery_digest(uint64_t seed)
{
    struct fixture f = {.options = in_racks};
    uint32_t digest = 0;

    f.options.seed = seed;
    open_network(&f);
    for (uint32_t i = 0; i < 100; i++)
        enter(&f, i, i % 2, 2, 100 + i * 7 % 900, 0);
    sim_clock_run(f.clock, SIM_MS);
    for (uint32_t i = 0; i < f.delivered_count; i++)
        digest = digest * 31 + f.delivered[i].number;
    close_network(&f);
    return digest;
}

static void the_seed_decides_the_spraying_and_nothing_else_does(void **state)
{
    (void)state;
    assert_int_equal(delivery_digest(1), delivery_digest(1));
    assert_int_not_equal(delivery_digest(1), delivery_digest(2));
}

static void statistics_are_exact(void **state)
{
    struct fixture f = {.options = on_one_switch};
    struct sim_port_totals totals;

    (void)state;
    open_network(&f);
    enter(&f, 0, 0, 3, 1000, 2); /* sent until 800 ns */
    enter(&f, 1, 0, 3, 500, 2);  /* waits 800 ns, sent until 1,200 ns */
    enter(&f, 2, 0, 3, 700, 1);  /* waits 1,200 ns, sent until 1,760 ns */
    assert_true(sim_network_is_downlink_busy(f.network, 3));
    assert_false(sim_network_is_downlink_busy(f.network, 0));
    sim_clock_run(f.clock, 1759999);
    assert_true(sim_network_is_downlink_busy(f.network, 3));
    sim_clock_run(f.clock, 1760000);
    assert_false(sim_network_is_downlink_busy(f.network, 3));
    sim_clock_run(f.clock, SIM_MS);
    for (int again = 0; again < 2; again++) { /* looking changes nothing */
        sim_network_totals(f.network, SIM_PORT_DOWN, &totals);
        assert_int_equal(totals.ports, 4);
        assert_int_equal(totals.packets, 3);
        assert_int_equal(totals.bytes[2], 1500);
        assert_int_equal(totals.bytes[1], 700);
        assert_int_equal(totals.busy_ps, 2200 * 800);
        assert_int_equal(totals.queue_byte_ns[2], 500 * 800);
        assert_int_equal(totals.queue_byte_ns[1], 700 * 1200);
        assert_int_equal(totals.queue_byte_ns[0], 0);
        assert_int_equal(totals.max_queue_bytes, 1200);
        assert_int_equal(totals.max_level_bytes[2], 500);
        assert_int_equal(totals.max_level_bytes[1], 700);
    }
    assert_int_equal(sim_network_downlink_busy(f.network, 3), 2200 * 800);
    sim_network_totals(f.network, SIM_PORT_UP, &totals);
    assert_int_equal(totals.packets, 0); /* sim_network_enter() goes past the uplink */
    close_network(&f);
}

static void statistics_begin_anew_in_the_middle_of_a_queue(void **state)
{
    struct fixture f = {.options = on_one_switch};
    struct sim_port_totals totals;

    (void)state;
    open_network(&f);
    enter(&f, 0, 0, 3, 1000, 2);
    enter(&f, 1, 0, 3, 500, 2); /* waits until 800 ns */
    sim_clock_run(f.clock, 300000);
    sim_network_begin_totals(f.network);
    sim_network_totals(f.network, SIM_PORT_DOWN, &totals);
    assert_int_equal(totals.queue_byte_ns[2], 0);
    assert_int_equal(totals.max_queue_bytes, 500); /* still there */
    assert_int_equal(totals.packets, 0);
    sim_clock_run(f.clock, 400000);
    sim_network_totals(f.network, SIM_PORT_DOWN, &totals);
    assert_int_equal(totals.queue_byte_ns[2], 500 * 100); /* up to now, though nothing has moved */
    sim_clock_run(f.clock, SIM_MS);
    sim_network_totals(f.network, SIM_PORT_DOWN, &totals);
    assert_int_equal(totals.queue_byte_ns[2], 500 * 500);
    assert_int_equal(totals.packets, 1); /* the one that began since */
    assert_int_equal(totals.bytes[2], 500);
    close_network(&f);
}

static void an_uplink_is_counted_too(void **state)
{
    struct fixture f = {.options = on_one_switch};
    struct sim_port_totals totals;

    (void)state;
    open_network(&f);
    sim_network_send(f.network, make(&f, 1, 0, 3, 1000, 6), 800000);
    sim_clock_run(f.clock, SIM_MS);
    sim_network_totals(f.network, SIM_PORT_UP, &totals);
    assert_int_equal(totals.packets, 1);
    assert_int_equal(totals.busy_ps, 800000);
    assert_int_equal(totals.bytes[6], 1000);
    close_network(&f);
}

static void a_copy_has_bytes_of_its_own(void **state)
{
    struct fixture f = {.options = on_one_switch};

    (void)state;
    open_network(&f);
    struct sim_packet *packet = make(&f, 1, 0, 3, 4, 6);

    packet->bytes = malloc(4);
    assert_non_null(packet->bytes);
    memcpy(packet->bytes, "abc", 4);
    struct sim_packet *copy = sim_packet_copy(f.network, packet);

    packet->bytes[0] = 'x';
    assert_string_equal(copy->bytes, "abc");
    assert_int_equal(copy->priority, 6);
    sim_packet_free(f.network, packet);
    sim_packet_free(f.network, copy);
    close_network(&f);
}

static void closing_frees_what_flies_and_what_waits(void **state)
{
    struct fixture f = {.options = in_racks};

    (void)state;
    open_network(&f);
    for (uint32_t i = 0; i < 40; i++) {
        struct sim_packet *packet = make(&f, i, i % 2, 2 + i % 2, 1000, 0);

        packet->bytes = malloc(1000); /* the leak checker knows them */
        assert_non_null(packet->bytes);
        sim_network_send(f.network, packet, (i / 2 + 1) * 800000);
    }
    sim_clock_run(f.clock, 10 * SIM_US);
    assert_in_range(f.delivered_count, 1, 39);
    close_network(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_that_cannot_be_is_refused_with_a_sentence),
        cmocka_unit_test(a_packet_is_stored_and_forwarded_by_one_switch),
        cmocka_unit_test(between_racks_it_is_stored_three_times),
        cmocka_unit_test(every_link_costs_its_propagation_delay),
        cmocka_unit_test(links_are_as_fast_as_asked_for),
        cmocka_unit_test(packets_follow_each_other_on_a_link_without_waiting_for_arrivals),
        cmocka_unit_test(the_highest_priority_goes_first_and_within_one_the_oldest),
        cmocka_unit_test(a_late_packet_of_high_priority_passes_all_that_wait),
        cmocka_unit_test(switches_with_fewer_priorities_take_neighbours_for_one),
        cmocka_unit_test(a_full_buffer_drops_the_packet_that_comes),
        cmocka_unit_test(packets_between_racks_are_sprayed_evenly_over_the_core),
        cmocka_unit_test(the_seed_decides_the_spraying_and_nothing_else_does),
        cmocka_unit_test(statistics_are_exact),
        cmocka_unit_test(statistics_begin_anew_in_the_middle_of_a_queue),
        cmocka_unit_test(an_uplink_is_counted_too),
        cmocka_unit_test(a_copy_has_bytes_of_its_own),
        cmocka_unit_test(closing_frees_what_flies_and_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
