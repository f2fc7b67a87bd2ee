/*
 * The pacer: how much goes out before it must wait, and when it goes on.
 */
#include "homa/engine_support.h"

#define GBIT 125000000ull /* bytes per second */

/* Bytes of packets that go out now, headers included. */
static uint64_t pull_bytes(struct lab *lab)
{
    struct lab_packet packet;
    uint64_t bytes = 0;

    while (lab_pull(lab, 0, &packet, 1) > 0)
        bytes += packet.length;
    return bytes;
}

/* What an edge would see that hands on what it was given and knows the rate. */
static uint64_t pull_through(struct lab *lab)
{
    struct base_backlog *backlog = &lab->hosts[0].backlog;
    struct lab_packet packet;
    uint64_t bytes = 0;

    while (lab_pull(lab, 0, &packet, 1) > 0) {
        backlog->bytes += packet.length;
        bytes += packet.length;
    }
    return bytes;
}

static struct lab *open_with_link(uint32_t mbps)
{
    struct homa_engine_options options = lab_options();

    options.knobs.link_mbps = mbps;
    return lab_open_with(2, &options, 64);
}

static void without_a_rate_nothing_is_held_back(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    lab->hosts[0].backlog.bytes = 1000000;
    lab_request(lab, 0, 1, 40000, 1);
    assert_true(pull_bytes(lab) > 40000);
    lab_close(lab);
}

static void a_full_queue_below_holds_long_messages_back(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t due;

    (void)state;
    lab->hosts[0].backlog = (struct base_backlog){.bytes = 2500, .bytes_per_second = GBIT};
    lab_request(lab, 0, 1, 40000, 1);
    assert_int_equal(pull_bytes(lab), 0);
    due = homa_engine_deadline(lab_engine(lab, 0));
    assert_int_equal(due, lab->now + 10 * LAB_US); /* half of 2,500 bytes at 1 Gbit/s */
    lab->hosts[0].backlog.bytes = 1250;
    assert_true(pull_through(lab) >= 1250);
    lab_close(lab);
}

static void a_process_that_was_stopped_does_not_wake_in_the_past(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    lab_request(lab, 0, 1, 100, 1);
    pull_bytes(lab);
    lab_jump(lab, 0, 300 * LAB_MS);
    assert_true(lab_counters(lab, 0)->time_lost_ns > 0);
    pull_bytes(lab);
    lab->hosts[0].backlog = (struct base_backlog){.bytes = 2500, .bytes_per_second = GBIT};
    lab_request(lab, 0, 1, 40000, 1);
    assert_int_equal(pull_bytes(lab), 0);
    assert_int_equal(homa_engine_deadline(lab_engine(lab, 0)), lab->now + 10 * LAB_US);
    lab_close(lab);
}

static void the_queue_below_gets_one_segmented_send_at_most(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    lab->hosts[0].backlog = (struct base_backlog){.bytes_per_second = GBIT};
    lab_request(lab, 0, 1, 40000, 1);
    assert_int_equal(pull_through(lab), 2 * 1456); /* 2.5 KB, and the packet that passes it */
    lab->hosts[0].backlog = (struct base_backlog){.bytes_per_second = 25 * GBIT};
    assert_true(pull_through(lab) > 30000);
    lab_close(lab);
}

static void max_gso_size_bounds_what_may_queue(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;

    (void)state;
    options.knobs.max_gso_size = 3000;
    options.knobs.max_nic_est_backlog_usecs = 0;
    lab = lab_open_with(2, &options, 64);
    lab->hosts[0].backlog = (struct base_backlog){.bytes_per_second = 100 * GBIT};
    lab_request(lab, 0, 1, 40000, 1);
    assert_int_equal(pull_through(lab), 3 * 1456);
    lab_close(lab);
}

static void short_messages_are_never_held_back(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    lab->hosts[0].backlog = (struct base_backlog){.bytes = 1000000, .bytes_per_second = GBIT};
    lab_request(lab, 0, 1, 40000, 1);
    lab_request(lab, 0, 1, 999, 1);
    lab_request(lab, 0, 1, 1000, 1);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.data.message_length, 999);
    assert_int_equal(pull_bytes(lab), 0);
    lab_close(lab);
}

static void control_packets_are_never_held_back(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet need = {.type = HOMA_NEED_ACK, .id = 901};

    (void)state;
    lab->hosts[0].backlog = (struct base_backlog){.bytes = 1000000, .bytes_per_second = GBIT};
    lab_push(lab, 0, 1, &need, 0);
    assert_int_equal(pull_bytes(lab), 80);
    lab_close(lab);
}

static void retransmissions_of_long_messages_are_held_back_those_of_short_ones_not(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet resend = {.type = HOMA_RESEND,
                                 .resend = {.length = HOMA_RESEND_ALL, .has_priority = true}};
    uint64_t longer = lab_request(lab, 0, 1, 40000, 1);
    uint64_t shorter = lab_request(lab, 0, 1, 500, 1);

    (void)state;
    pull_bytes(lab);
    lab->hosts[0].backlog = (struct base_backlog){.bytes = 1000000, .bytes_per_second = GBIT};
    resend.id = longer | 1;
    lab_push(lab, 0, 1, &resend, 0);
    assert_int_equal(pull_bytes(lab), 0);
    resend.id = shorter | 1;
    lab_push(lab, 0, 1, &resend, 0);
    assert_int_equal(pull_bytes(lab), 556);
    lab_close(lab);
}

static void the_flag_switches_pacing_off(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;

    (void)state;
    options.knobs.flags = HOMA_KNOB_FLAG_DONT_THROTTLE;
    options.knobs.link_mbps = 10;
    lab = lab_open_with(2, &options, 64);
    lab_request(lab, 0, 1, 40000, 1);
    assert_true(pull_bytes(lab) > 40000);
    lab_close(lab);
}

static void a_fixed_link_is_kept_busy_and_no_more(void **state)
{
    struct lab *lab = open_with_link(1000);
    uint64_t began = lab->now;
    uint64_t bytes = 0;
    unsigned turns = 0;

    (void)state;
    lab_request(lab, 0, 1, 40000, 1);
    while (bytes < 40000 + 29 * 56) {
        uint64_t due;

        bytes += pull_bytes(lab);
        if (bytes >= 40000 + 29 * 56)
            break;
        due = homa_engine_deadline(lab_engine(lab, 0));
        assert_in_range(due, lab->now + LAB_US, lab->now + 50 * LAB_US);
        lab_tick(lab, 0, due - lab->now);
        turns++;
    }
    assert_true(turns > 10);
    /* 29 packets with their overhead take 344 us; what may queue is a head start of 20 to 35. */
    assert_in_range(lab->now - began, 300 * LAB_US, 345 * LAB_US);
    lab_close(lab);
}

static void what_the_wire_did_not_take_does_not_count(void **state)
{
    struct lab *lab = open_with_link(1000);
    struct base_packet packets[8];
    size_t count;

    (void)state;
    lab_request(lab, 0, 1, 40000, 1);
    for (unsigned i = 0; i < 10; i++) {
        count = homa_engine_output(lab_engine(lab, 0), lab->now, NULL, packets, 8);
        assert_int_equal(count, 2);
        homa_engine_unsend(lab_engine(lab, 0), packets, 0, count);
    }
    lab_close(lab);
}

static void absurd_numbers_from_the_edge_are_survived(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    lab->hosts[0].backlog =
        (struct base_backlog){.bytes = UINT64_MAX, .bytes_per_second = UINT64_MAX};
    lab_request(lab, 0, 1, 40000, 1);
    assert_int_equal(pull_bytes(lab), 0);
    assert_true(homa_engine_deadline(lab_engine(lab, 0)) > lab->now);
    lab->hosts[0].backlog = (struct base_backlog){.bytes = UINT64_MAX, .bytes_per_second = 1};
    assert_int_equal(pull_bytes(lab), 0);
    assert_true(homa_engine_deadline(lab_engine(lab, 0)) > lab->now);
    lab_close(lab);
}

static void the_shortest_wait_is_a_microsecond(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;

    (void)state;
    options.knobs.max_gso_size = 1;
    options.knobs.max_nic_est_backlog_usecs = 0;
    lab = lab_open_with(2, &options, 64);
    lab->hosts[0].backlog = (struct base_backlog){.bytes = 1, .bytes_per_second = 100 * GBIT};
    lab_request(lab, 0, 1, 40000, 1);
    assert_int_equal(pull_bytes(lab), 0);
    assert_int_equal(homa_engine_deadline(lab_engine(lab, 0)), lab->now + LAB_US);
    lab_close(lab);
}

static void when_the_queue_below_has_drained_nobody_waits_for_it(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    lab->hosts[0].backlog = (struct base_backlog){.bytes = 2500, .bytes_per_second = GBIT};
    lab_request(lab, 0, 1, 2000, 1);
    assert_int_equal(pull_bytes(lab), 0);
    lab->hosts[0].backlog.bytes = 0;
    assert_true(pull_bytes(lab) > 2000);
    assert_int_equal(homa_engine_deadline(lab_engine(lab, 0)), lab->now + 5 * LAB_MS);
    lab_close(lab);
}

static void an_idle_link_saves_up_nothing(void **state)
{
    struct lab *lab = open_with_link(1000);

    (void)state;
    lab_request(lab, 0, 1, 1000, 1);
    pull_bytes(lab);
    lab_tick(lab, 0, LAB_MS);
    lab_request(lab, 0, 1, 40000, 1);
    pull_bytes(lab); /* what may queue, and a RESEND perhaps */
    assert_int_equal(pull_bytes(lab), 0);
    assert_in_range(homa_engine_deadline(lab_engine(lab, 0)), lab->now, lab->now + 50 * LAB_US);
    lab_close(lab);
}

static void after_shutdown_the_pacer_wakes_nobody(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    lab->hosts[0].backlog = (struct base_backlog){.bytes = 2500, .bytes_per_second = GBIT};
    lab_request(lab, 0, 1, 40000, 1);
    assert_int_equal(pull_bytes(lab), 0);
    homa_engine_shutdown(lab_engine(lab, 0), lab->now);
    assert_int_equal(homa_engine_deadline(lab_engine(lab, 0)), HOMA_NEVER);
    lab_close(lab);
}

static void control_packets_take_their_time_on_the_link_too(void **state)
{
    struct lab *lab = open_with_link(10); /* 10 Mbit/s: a full packet takes a millisecond */
    struct homa_packet need = {.type = HOMA_NEED_ACK, .id = 901};
    struct lab_packet packets[2];

    (void)state;
    lab_push(lab, 0, 1, &need, 0);
    lab_request(lab, 0, 1, 5000, 1);
    assert_int_equal(lab_pull(lab, 0, packets, 1), 1);
    assert_int_equal(packets[0].decoded.type, HOMA_ACK);
    assert_int_equal(lab_pull(lab, 0, packets, 2), 0);
    lab_tick(lab, 0, 150 * LAB_US);
    assert_int_equal(lab_pull(lab, 0, packets, 2), 1);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_rate_nothing_is_held_back),
        cmocka_unit_test(a_full_queue_below_holds_long_messages_back),
        cmocka_unit_test(a_process_that_was_stopped_does_not_wake_in_the_past),
        cmocka_unit_test(the_queue_below_gets_one_segmented_send_at_most),
        cmocka_unit_test(max_gso_size_bounds_what_may_queue),
        cmocka_unit_test(short_messages_are_never_held_back),
        cmocka_unit_test(control_packets_are_never_held_back),
        cmocka_unit_test(retransmissions_of_long_messages_are_held_back_those_of_short_ones_not),
        cmocka_unit_test(the_flag_switches_pacing_off),
        cmocka_unit_test(a_fixed_link_is_kept_busy_and_no_more),
        cmocka_unit_test(what_the_wire_did_not_take_does_not_count),
        cmocka_unit_test(absurd_numbers_from_the_edge_are_survived),
        cmocka_unit_test(the_shortest_wait_is_a_microsecond),
        cmocka_unit_test(when_the_queue_below_has_drained_nobody_waits_for_it),
        cmocka_unit_test(an_idle_link_saves_up_nothing),
        cmocka_unit_test(after_shutdown_the_pacer_wakes_nobody),
        cmocka_unit_test(control_packets_take_their_time_on_the_link_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
