/*
 * What every wire must do; see battery.h. Carriers that do more test that in their own files.
 */
#include "battery.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what must not happen ---- */

static void an_idle_wire_has_nothing_to_say(void **state)
{
    struct wire_pair *pair = *state;
    struct base_arrival arrival;
    struct base_network_error error;
    struct base_backlog backlog = {1, 1};

    assert_int_equal(wire_receive(pair->a, 1, &arrival, 1), 0);
    assert_int_equal(wire_errors(pair->a, &error, 1), 0);
    assert_true(wire_deadline(pair->a) == UINT64_MAX);
    wire_backlog(pair->a, 1, &backlog);
    assert_int_equal(backlog.bytes, 0);
    assert_int_equal(backlog.bytes_per_second, 0);
}

static void sending_nothing_sends_nothing(void **state)
{
    struct wire_pair *pair = *state;
    struct base_arrival arrival;

    assert_int_equal(wire_send(pair->a, 1, NULL, 0), 0);
    assert_int_equal(wire_receive(pair->b, 1, &arrival, 1), 0);
}

/* The address of a peer that has just closed its wire. */
static struct base_address closed_peer(const struct wire_pair *pair)
{
    struct base_address to = pair->to_b;
    struct wire *gone =
        open_udp(base_ip_is_mapped(&to.remote) ? AF_INET : AF_INET6, 4711u + to.port);

    to.port = wire_port(gone);
    wire_close(gone);
    return to;
}

static void a_closed_port_is_reported_by_its_address(void **state)
{
    struct wire_pair *pair = *state;
    struct base_address gone = closed_peer(pair);
    struct base_packet packet = make_packet(&gone, 1, 100);
    struct base_network_error error;

    send_all(pair->a, &packet, 1);
    error = expect_error(pair->a);
    assert_int_equal(error.error, ECONNREFUSED);
    assert_true(base_address_same_remote(&error.to, &gone));
    assert_int_equal(wire_errors(pair->a, &error, 1), 0);
}

static void a_closed_port_keeps_nobody_else_from_being_served(void **state)
{
    struct wire_pair *pair = *state;
    struct base_address gone = closed_peer(pair);
    struct base_packet to_gone = make_packet(&gone, 0, 100);
    struct base_packet wanted[20];

    for (uint32_t i = 0; i < 20; i++) {
        wanted[i] = make_packet(&pair->to_b, i, 100 + i);
        /* Alone, then in one batch. */
        if (i < 10) {
            send_all(pair->a, &to_gone, 1);
            send_all(pair->a, &wanted[i], 1);
        } else {
            struct base_packet both[] = {to_gone, wanted[i], to_gone};

            send_all(pair->a, both, 3);
        }
    }
    expect_packets(pair->b, wanted, 20, NULL);
    assert_int_equal(expect_error(pair->a).error, ECONNREFUSED);
}

static void a_closed_port_does_not_hide_what_has_come_in(void **state)
{
    struct wire_pair *pair = *state;
    struct base_address gone = closed_peer(pair);
    struct base_packet to_gone = make_packet(&gone, 0, 100);
    struct base_packet wanted = make_packet(&pair->to_a, 1, 100);

    send_all(pair->b, &wanted, 1);
    send_all(pair->a, &to_gone, 1);
    expect_packets(pair->a, &wanted, 1, NULL);
    assert_int_equal(expect_error(pair->a).error, ECONNREFUSED);
}

/* Waits for an error without receiving: what made a send fail must be remembered without that. */
static void expect_error_by_sending_alone(struct wire *wire, const struct base_address *to)
{
    struct base_network_error error;

    for (unsigned i = 0; i < 10000; i++) {
        if (wire_errors(wire, &error, 1) == 1) {
            assert_true(base_address_same_remote(&error.to, to));
            return;
        }
        wait_readable(wire);
    }
    fail();
}

static void an_error_met_by_the_next_send_is_not_forgotten(void **state)
{
    struct wire_pair *pair = *state;
    struct base_address gone = closed_peer(pair);
    struct base_packet packets[] = {make_packet(&gone, 0, 100), make_packet(&pair->to_b, 1, 100)};

    send_all(pair->a, &packets[0], 1);
    send_all(pair->a, &packets[1], 1);
    expect_packets(pair->b, &packets[1], 1, NULL);
    expect_error_by_sending_alone(pair->a, &gone);

    send_all(pair->a, packets, 2);
    expect_packets(pair->b, &packets[1], 1, NULL);
    expect_error_by_sending_alone(pair->a, &gone);

    assert_int_equal(wire_inject(pair->a, &packets[0]), 0);
    assert_int_equal(wire_inject(pair->a, &packets[1]), 0);
    expect_packets(pair->b, &packets[1], 1, NULL);
    expect_error_by_sending_alone(pair->a, &gone);
}

/* ---- single packets ---- */

static void a_packet_arrives_with_its_sender(void **state)
{
    struct wire_pair *pair = *state;
    struct base_packet packet = make_packet(&pair->to_b, 7, 1000);
    struct base_arrival arrival;

    send_all(pair->a, &packet, 1);
    expect_packets(pair->b, &packet, 1, &arrival);
    assert_true(base_address_same_remote(&arrival.from, &pair->to_a));
    assert_true(base_ip_equal(&arrival.from.local, &pair->to_b.remote));
    assert_int_equal(arrival.from.reserved, 0);
}

static void an_answer_finds_its_way_back(void **state)
{
    struct wire_pair *pair = *state;
    struct base_packet question = make_packet(&pair->to_b, 1, 100);
    struct base_packet answer;
    struct base_arrival arrival;

    send_all(pair->a, &question, 1);
    expect_packets(pair->b, &question, 1, &arrival);
    answer = make_packet(&arrival.from, 2, 100);
    send_all(pair->b, &answer, 1);
    expect_packets(pair->a, &answer, 1, &arrival);
    assert_true(base_address_same_remote(&arrival.from, &pair->to_b));
}

static void packets_of_any_length_arrive(void **state)
{
    static const uint32_t lengths[] = {8,    28,   33,    56,    57,    256,   257,
                                       1472, 1500, 20000, 40056, 60000, 60056, 65488};
    struct wire_pair *pair = *state;

    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct base_packet packet = make_packet(&pair->to_b, i, lengths[i]);

        send_all(pair->a, &packet, 1);
        expect_packets(pair->b, &packet, 1, NULL);
    }
}

static void every_priority_arrives(void **state)
{
    struct wire_pair *pair = *state;
    struct base_packet packets[8];

    for (uint8_t priority = 0; priority < 8; priority++) {
        packets[priority] = make_packet(&pair->to_b, priority, 300);
        packets[priority].priority = priority;
        packets[priority].may_be_followed = true;
    }
    send_all(pair->a, packets, 8);
    expect_packets(pair->b, packets, 8, NULL);
    for (uint8_t priority = 0; priority < 8; priority++) {
        send_all(pair->a, &packets[priority], 1);
        expect_packets(pair->b, &packets[priority], 1, NULL);
    }
}

static void an_injected_packet_arrives(void **state)
{
    struct wire_pair *pair = *state;
    struct base_packet packet = make_packet(&pair->to_b, 3, 33);

    packet.priority = 5;
    assert_int_equal(wire_inject(pair->a, &packet), 0);
    expect_packets(pair->b, &packet, 1, NULL);
}

static void an_injected_packet_that_is_refused_shows_in_errors(void **state)
{
    struct wire_pair *pair = *state;
    struct base_address gone = closed_peer(pair);
    struct base_packet packet = make_packet(&gone, 3, 33);
    struct base_network_error error;

    assert_int_equal(wire_inject(pair->a, &packet), 0);
    assert_int_equal(wire_inject(pair->a, &packet), 0);
    error = expect_error(pair->a);
    assert_int_equal(error.error, ECONNREFUSED);
    assert_true(base_address_same_remote(&error.to, &gone));
}

/* ---- many packets ---- */

static void many_packets_arrive_in_order(void **state)
{
    enum {
        COUNT = 500
    };
    struct wire_pair *pair = *state;
    struct base_packet *packets = calloc(COUNT, sizeof(*packets));

    assert_non_null(packets);
    for (uint32_t i = 0; i < COUNT; i++)
        packets[i] = make_packet(&pair->to_b, i, 30 + i * 7 % 400);
    exchange(pair->a, pair->b, packets, COUNT);
    free(packets);
}

static void bundled_packets_arrive_in_order(void **state)
{
    enum {
        COUNT = 1200
    };
    struct wire_pair *pair = *state;
    struct base_packet *packets = calloc(COUNT, sizeof(*packets));

    assert_non_null(packets);
    for (uint32_t i = 0; i < COUNT; i++) {
        packets[i] = make_packet(&pair->to_b, i, 60 + i * 37 % 600);
        packets[i].may_be_followed = i % 97 != 0;
        packets[i].priority = (uint8_t)(i / 300);
    }
    exchange(pair->a, pair->b, packets, COUNT);
    free(packets);
}

/* Runs of equal length are what segmentation offload joins; a run ends with a shorter packet, a
 * longer one, another priority, or at its limit. */
static void runs_of_equal_packets_arrive_as_they_were_sent(void **state)
{
    enum {
        COUNT = 300
    };
    static const uint32_t run_lengths[] = {1456, 1456, 900, 100, 100, 100, 2000, 56, 57, 1456};
    struct wire_pair *pair = *state;
    struct base_packet *packets = calloc(COUNT, sizeof(*packets));

    assert_non_null(packets);
    for (uint32_t i = 0; i < COUNT; i++) {
        packets[i] = make_packet(&pair->to_b, i, run_lengths[i / 30]);
        packets[i].priority = i >= 150 && i < 160 ? 3 : 0;
        if (i % 30 == 29)
            packets[i] = make_packet(&pair->to_b, i, 40);
    }
    exchange(pair->a, pair->b, packets, COUNT);
    free(packets);
}

static void long_runs_are_split_at_every_limit(void **state)
{
    enum {
        COUNT = 200
    };
    struct wire_pair *pair = *state;
    struct base_packet *packets = calloc(COUNT, sizeof(*packets));
    static const uint32_t lengths[] = {64, 1456, 8952, 30000};

    assert_non_null(packets);
    for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
        uint32_t count = lengths[l] > 10000 ? 20 : COUNT;

        for (uint32_t i = 0; i < count; i++)
            packets[i] = make_packet(&pair->to_b, i, lengths[l]);
        exchange(pair->a, pair->b, packets, count);
    }
    free(packets);
}

/* In one call: more packets, and more in one bundle, than one system call takes. */
static void one_call_may_send_any_number(void **state)
{
    enum {
        COUNT = 1400
    };
    struct wire_pair *pair = *state;
    struct base_packet *packets = calloc(COUNT, sizeof(*packets));

    assert_non_null(packets);
    for (unsigned is_bundled = 0; is_bundled < 2; is_bundled++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            packets[i] = make_packet(&pair->to_b, i, 70);
            packets[i].may_be_followed = is_bundled != 0;
        }
        send_all(pair->a, packets, COUNT);
        expect_packets(pair->b, packets, COUNT, NULL);
    }
    free(packets);
}

static void packets_to_several_peers_reach_each(void **state)
{
    struct wire_pair *pair = *state;
    struct wire *third = open_udp(base_ip_is_mapped(&pair->to_b.remote) ? AF_INET : AF_INET6, 99);
    struct base_address to_third = pair->to_b;
    struct base_packet packets[60];
    struct base_packet for_b[30];
    struct base_packet for_third[30];

    to_third.port = wire_port(third);
    for (uint32_t i = 0; i < 60; i++) {
        bool is_for_b = i % 2 == 0;

        packets[i] = make_packet(is_for_b ? &pair->to_b : &to_third, i, 100);
        packets[i].may_be_followed = true;
        if (is_for_b)
            for_b[i / 2] = packets[i];
        else
            for_third[i / 2] = packets[i];
    }
    send_all(pair->a, packets, 60);
    expect_packets(pair->b, for_b, 30, NULL);
    expect_packets(third, for_third, 30, NULL);
    wire_close(third);
}

static void what_does_not_fit_the_callers_array_comes_next_time(void **state)
{
    struct wire_pair *pair = *state;
    struct base_packet packets[50];
    struct base_arrival arrivals[3];
    uint32_t seen = 0;

    for (uint32_t i = 0; i < 50; i++)
        packets[i] = make_packet(&pair->to_b, i, i == 49 ? 77 : 200);
    send_all(pair->a, packets, 50);
    wait_readable(pair->b);
    while (seen < 50) {
        int arrived = wire_receive(pair->b, 1, arrivals, seen % 3 + 1);

        assert_in_range(arrived, 1, seen % 3 + 1);
        for (int i = 0; i < arrived; i++) {
            check_packet(arrivals[i].bytes, arrivals[i].length, seen,
                         (uint32_t)base_packet_length(&packets[seen]));
            assert_true(base_address_same_remote(&arrivals[i].from, &pair->to_a));
            seen++;
        }
    }
    assert_int_equal(wire_receive(pair->b, 1, arrivals, 3), 0);
}

/* ---- what a wire tells about itself ---- */

static void the_descriptor_is_readable_while_datagrams_wait(void **state)
{
    struct wire_pair *pair = *state;
    struct base_packet packet = make_packet(&pair->to_b, 1, 100);
    struct pollfd waiting = {.fd = wire_descriptor(pair->b), .events = POLLIN | POLLOUT};

    assert_int_equal(poll(&waiting, 1, 0), 1);
    assert_int_equal(waiting.revents, POLLOUT);
    send_all(pair->a, &packet, 1);
    wait_readable(pair->b);
    expect_packets(pair->b, &packet, 1, NULL);
    assert_int_equal(poll(&waiting, 1, 0), 1);
    assert_int_equal(waiting.revents, POLLOUT);
}

static void a_loopback_peer_takes_packets_near_60_kb(void **state)
{
    struct wire_pair *pair = *state;
    uint32_t bytes = wire_packet_bytes(pair->a, &pair->to_b);
    struct base_packet packet = make_packet(&pair->to_b, 1, bytes);

    assert_in_range(bytes, 50000, 60056);
    send_all(pair->a, &packet, 1);
    expect_packets(pair->b, &packet, 1, NULL);
}

static void the_capacity_really_fits(void **state)
{
    struct wire_pair *pair = *state;
    uint64_t capacity = wire_capacity(pair->b);
    size_t count = capacity / 1456;
    struct base_packet *packets = calloc(count, sizeof(*packets));

    assert_non_null(packets);
    assert_in_range(capacity, 50000, 1u << 30);
    for (uint32_t i = 0; i < count; i++) {
        packets[i] = make_packet(&pair->to_b, i, 1456);
        /* One by one: the kernel charges more for them than for a joined run. */
        send_all(pair->a, &packets[i], 1);
    }
    expect_packets(pair->b, packets, count, NULL);
    free(packets);
}

static void loopback_has_no_backlog(void **state)
{
    struct wire_pair *pair = *state;
    struct base_packet packets[8];
    struct base_backlog backlog;

    for (uint32_t i = 0; i < 8; i++)
        packets[i] = make_packet(&pair->to_b, i, 20000);
    for (uint64_t now = 1; now < 20000000; now += 1500000) {
        send_all(pair->a, packets, 8);
        wire_backlog(pair->a, now, &backlog);
        assert_int_equal(backlog.bytes, 0);
        assert_int_equal(backlog.bytes_per_second, 0);
        expect_packets(pair->b, packets, 8, NULL);
    }
}

/* ---- running them ---- */

static const struct wire_kind *kind_in_test;

static int set_up(void **state)
{
    struct wire_pair *pair = calloc(1, sizeof(*pair));

    assert_non_null(pair);
    pair_open(pair, kind_in_test);
    *state = pair;
    return 0;
}

static int tear_down(void **state)
{
    pair_close(*state);
    free(*state);
    return 0;
}

#define BATTERY_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int battery_run(const struct wire_kind *kind)
{
    const struct CMUnitTest tests[] = {
        BATTERY_TEST(an_idle_wire_has_nothing_to_say),
        BATTERY_TEST(sending_nothing_sends_nothing),
        BATTERY_TEST(a_closed_port_is_reported_by_its_address),
        BATTERY_TEST(a_closed_port_keeps_nobody_else_from_being_served),
        BATTERY_TEST(a_closed_port_does_not_hide_what_has_come_in),
        BATTERY_TEST(an_error_met_by_the_next_send_is_not_forgotten),
        BATTERY_TEST(a_packet_arrives_with_its_sender),
        BATTERY_TEST(an_answer_finds_its_way_back),
        BATTERY_TEST(packets_of_any_length_arrive),
        BATTERY_TEST(every_priority_arrives),
        BATTERY_TEST(an_injected_packet_arrives),
        BATTERY_TEST(an_injected_packet_that_is_refused_shows_in_errors),
        BATTERY_TEST(many_packets_arrive_in_order),
        BATTERY_TEST(bundled_packets_arrive_in_order),
        BATTERY_TEST(runs_of_equal_packets_arrive_as_they_were_sent),
        BATTERY_TEST(long_runs_are_split_at_every_limit),
        BATTERY_TEST(one_call_may_send_any_number),
        BATTERY_TEST(packets_to_several_peers_reach_each),
        BATTERY_TEST(what_does_not_fit_the_callers_array_comes_next_time),
        BATTERY_TEST(the_descriptor_is_readable_while_datagrams_wait),
        BATTERY_TEST(a_loopback_peer_takes_packets_near_60_kb),
        BATTERY_TEST(the_capacity_really_fits),
        BATTERY_TEST(loopback_has_no_backlog),
    };

    kind_in_test = kind;
    return cmocka_run_group_tests_name(kind->name, tests, NULL, NULL);
}
