/*
 * The chaos wire: what it does to packets, exactly and by seed, over a wire in memory and in
 * virtual time; and the battery, which a chaos wire that does nothing must pass like any other.
 */
#include "wire/chaos.h"

#include "battery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- an inner wire in memory ---- */

#define SCRIPT_DATAGRAMS 12000u
#define DATAGRAM_BYTES   2048u

/* Delivers what a test has queued, and reuses its buffers at once, as a wire may. */
struct script {
    struct wire wire; /* first */
    uint32_t lengths[SCRIPT_DATAGRAMS];
    uint8_t (*bytes)[DATAGRAM_BYTES];
    size_t queued;
    size_t delivered;
    uint8_t slots[WIRE_BATCH][DATAGRAM_BYTES];
    unsigned sends;
    unsigned injects;
    unsigned closes;
};

static int script_send(struct wire *wire, uint64_t now, const struct base_packet *packets,
                       size_t count)
{
    (void)now;
    (void)packets;
    ((struct script *)wire)->sends += (unsigned)count;
    return (int)count - 1;
}

static int script_receive(struct wire *wire, uint64_t now, struct base_arrival *arrivals,
                          size_t max)
{
    struct script *script = (struct script *)wire;
    size_t count = 0;

    (void)now;
    memset(script->slots, 0xee, sizeof(script->slots));
    for (; count < max && script->delivered < script->queued; count++, script->delivered++) {
        memcpy(script->slots[count], script->bytes[script->delivered],
               script->lengths[script->delivered]);
        arrivals[count] = (struct base_arrival){.from = {.remote = ip4(10, 0, 0, 1), .port = 4000},
                                                .bytes = script->slots[count],
                                                .length = script->lengths[script->delivered],
                                                .priority = 3};
    }
    return (int)count;
}

static int script_errors(struct wire *wire, struct base_network_error *errors, size_t max)
{
    (void)wire;
    assert_true(max > 0);
    errors[0] = (struct base_network_error){.error = EHOSTUNREACH};
    return 1;
}

static int script_inject(struct wire *wire, const struct base_packet *packet)
{
    (void)packet;
    ((struct script *)wire)->injects++;
    return -EAGAIN;
}

static uint32_t script_packet_bytes(struct wire *wire, const struct base_address *to)
{
    (void)wire;
    (void)to;
    return 1234;
}

static void script_backlog(struct wire *wire, uint64_t now, struct base_backlog *backlog)
{
    (void)wire;
    *backlog = (struct base_backlog){.bytes = now, .bytes_per_second = 17};
}

static uint64_t script_capacity(const struct wire *wire)
{
    (void)wire;
    return 4321;
}

static uint64_t script_deadline(const struct wire *wire)
{
    (void)wire;
    return UINT64_MAX;
}

static int script_descriptor(const struct wire *wire)
{
    (void)wire;
    return 77;
}

static uint16_t script_port(const struct wire *wire)
{
    (void)wire;
    return 7777;
}

static void script_close(struct wire *wire)
{
    ((struct script *)wire)->closes++;
}

static const struct wire_ops script_ops = {.name = "script",
                                           .send = script_send,
                                           .receive = script_receive,
                                           .errors = script_errors,
                                           .inject = script_inject,
                                           .packet_bytes = script_packet_bytes,
                                           .backlog = script_backlog,
                                           .capacity = script_capacity,
                                           .deadline = script_deadline,
                                           .descriptor = script_descriptor,
                                           .port = script_port,
                                           .close = script_close};

/* Queues one datagram that holds `count` test packets from this serial on. */
static void script_queue(struct script *script, uint32_t serial, uint32_t count, uint32_t length)
{
    uint8_t *at = script->bytes[script->queued];

    assert_true(script->queued < SCRIPT_DATAGRAMS && count * length <= DATAGRAM_BYTES);
    for (uint32_t i = 0; i < count; i++, at += length) {
        struct base_packet packet = make_packet(&(struct base_address){0}, serial + i, length);

        memcpy(at, packet.header, packet.header_length);
        if (packet.payload_length > 0)
            memcpy(at + packet.header_length, packet.payload, packet.payload_length);
    }
    script->lengths[script->queued++] = count * length;
}

/* ---- a test's chaos wire and what came out of it ---- */

struct fixture {
    struct script script;
    struct wire *wire;
    struct wire_chaos_counts counts;
    uint32_t serials[4 * SCRIPT_DATAGRAMS]; /* in order of delivery */
    size_t delivered;
};

static struct fixture *fixture_open(const char *options)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct wire_chaos_options parsed;
    const char *bad = NULL;

    assert_non_null(fixture);
    fixture->script.bytes = calloc(SCRIPT_DATAGRAMS, DATAGRAM_BYTES);
    assert_non_null(fixture->script.bytes);
    fixture->script.wire.ops = &script_ops;
    assert_int_equal(wire_chaos_parse(options, &parsed, &bad), 0);
    assert_int_equal(
        wire_chaos_open(&parsed, &fixture->script.wire, packet_front_length, &fixture->wire), 0);
    return fixture;
}

static void fixture_close(struct fixture *fixture)
{
    wire_close(fixture->wire);
    assert_int_equal(fixture->script.closes, 1);
    free(fixture->script.bytes);
    free(fixture);
}

static uint32_t serial_of(const struct base_arrival *arrival)
{
    assert_true(arrival->length >= PACKET_LENGTH_MIN);
    return (uint32_t)arrival->bytes[4] << 24 | (uint32_t)arrival->bytes[5] << 16 |
           (uint32_t)arrival->bytes[6] << 8 | arrival->bytes[7];
}

/* Receives at this time until nothing comes; packets must be whole. */
static void receive_whole(struct fixture *fixture, uint64_t now)
{
    struct base_arrival arrivals[WIRE_BATCH];
    int arrived = 0;

    while ((arrived = wire_receive(fixture->wire, now, arrivals, WIRE_BATCH)) > 0) {
        for (int i = 0; i < arrived; i++) {
            uint32_t serial = serial_of(&arrivals[i]);

            check_packet(arrivals[i].bytes, arrivals[i].length, serial, arrivals[i].length);
            assert_int_equal(arrivals[i].from.port, 4000);
            assert_int_equal(arrivals[i].priority, 3);
            assert_true(fixture->delivered < 4 * SCRIPT_DATAGRAMS);
            fixture->serials[fixture->delivered++] = serial;
        }
    }
    wire_chaos_counts(fixture->wire, &fixture->counts);
}

/* A fixture through which `count` single packets have gone, all at time 1. */
static struct fixture *fixture_run(const char *options, uint32_t count)
{
    struct fixture *fixture = fixture_open(options);

    for (uint32_t i = 0; i < count; i++)
        script_queue(&fixture->script, i, 1, 60);
    receive_whole(fixture, 1);
    return fixture;
}

/* ---- the text form ---- */

static void bad_options_are_refused_and_pointed_at(void **state)
{
    static const struct {
        const char *text;
        size_t bad_at;
    } cases[] = {
        {"drop", 0},
        {"drop=", 0},
        {"drop=x", 0},
        {"drop=1.5", 0},
        {"drop=2", 0},
        {"drop=-0.1", 0},
        {"drop=.5", 0},
        {"drop=0.", 0},
        {"drop=0,5", 7},
        {"drop=0.1 ", 0},
        {"drop=0.1x", 0},
        {"drop=1e-3", 0},
        {"Drop=0.1", 0},
        {" drop=0.1", 0},
        {"lose=0.1", 0},
        {",", 0},
        {"drop=0.1,", 9},
        {"drop=0.1,,dup=0.1", 9},
        {"drop=0.1;dup=0.1", 0},
        {"drop=0.1,drop=0.2", 9},
        {"seed=-1", 0},
        {"seed=18446744073709551616", 0},
        {"seed=1,delay_us=99999999999", 7},
        {"seed=1,delay_us=1.5", 7},
        {"seed=1,dup=0.1,corrupt=nan", 15},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_chaos_options options;
        const char *bad = NULL;

        assert_int_equal(wire_chaos_parse(cases[i].text, &options, &bad), -EINVAL);
        assert_ptr_equal(bad, cases[i].text + cases[i].bad_at);
    }
}

static bool is_near(double a, double b)
{
    double difference = a > b ? a - b : b - a;

    return difference < 1e-12;
}

static void options_are_read_in_any_order(void **state)
{
    struct wire_chaos_options options;
    const char *bad = NULL;

    (void)state;
    assert_int_equal(
        wire_chaos_parse("seed=1,drop=0.02,dup=0.01,reorder=0.05,delay_us=200,corrupt=0.001",
                         &options, &bad),
        0);
    assert_int_equal(options.seed, 1);
    assert_true(is_near(options.drop, 0.02));
    assert_true(is_near(options.duplicate, 0.01));
    assert_true(is_near(options.reorder, 0.05));
    assert_true(is_near(options.corrupt, 0.001));
    assert_int_equal(options.delay_us, 200);

    assert_int_equal(
        wire_chaos_parse("delay_us=0,seed=18446744073709551615,drop=1", &options, &bad), 0);
    assert_true(options.seed == UINT64_MAX);
    assert_true(is_near(options.drop, 1));
    assert_true(is_near(options.corrupt, 0));
}

static void no_options_are_all_zero(void **state)
{
    struct wire_chaos_options options = {.seed = 9, .drop = 1};
    const struct wire_chaos_options zero = {0};
    const char *bad = NULL;

    (void)state;
    assert_int_equal(wire_chaos_parse("", &options, &bad), 0);
    assert_memory_equal(&options, &zero, sizeof(zero));
}

/* ---- each kind of mischief ---- */

static void dropped_packets_are_as_many_as_asked(void **state)
{
    struct fixture *fixture = fixture_run("seed=1,drop=0.02", 10000);

    (void)state;
    /* 200 expected, standard deviation 14. */
    assert_in_range(fixture->counts.dropped, 140, 260);
    assert_int_equal(fixture->counts.packets, 10000);
    assert_int_equal(fixture->delivered, 10000 - fixture->counts.dropped);
    for (size_t i = 1; i < fixture->delivered; i++)
        assert_true(fixture->serials[i] > fixture->serials[i - 1]);
    fixture_close(fixture);
}

static void a_certain_drop_leaves_nothing(void **state)
{
    struct fixture *fixture = fixture_run("drop=1", 3000);

    (void)state;
    assert_int_equal(fixture->delivered, 0);
    assert_int_equal(fixture->counts.dropped, 3000);
    assert_true(wire_deadline(fixture->wire) == UINT64_MAX);
    fixture_close(fixture);
}

static void duplicates_come_twice_and_are_as_many_as_asked(void **state)
{
    struct fixture *fixture = fixture_run("seed=2,dup=0.1", 10000);
    uint32_t twice = 0;

    (void)state;
    /* 1,000 expected, standard deviation 30. */
    assert_in_range(fixture->counts.duplicated, 850, 1150);
    assert_int_equal(fixture->delivered, 10000 + fixture->counts.duplicated);
    for (size_t i = 1; i < fixture->delivered; i++) {
        twice += fixture->serials[i] == fixture->serials[i - 1];
        assert_in_range(fixture->serials[i] - fixture->serials[i - 1], 0, 1);
    }
    assert_int_equal(twice, fixture->counts.duplicated);
    fixture_close(fixture);
}

static void a_corrupted_packet_differs_in_exactly_one_bit(void **state)
{
    enum {
        LENGTH = 100
    };
    struct fixture *fixture = fixture_open("seed=3,corrupt=0.25");
    struct base_arrival arrival;
    uint32_t damaged = 0;
    uint8_t positions[LENGTH] = {0};
    unsigned hit = 0;

    (void)state;
    for (uint32_t i = 0; i < 2000; i++)
        script_queue(&fixture->script, i, 1, LENGTH);
    for (uint32_t i = 0; i < 2000; i++) {
        const uint8_t *original = fixture->script.bytes[i];
        unsigned bits = 0;

        assert_int_equal(wire_receive(fixture->wire, 1, &arrival, 1), 1);
        assert_int_equal(arrival.length, LENGTH);
        for (unsigned at = 0; at < LENGTH; at++) {
            unsigned changed = (unsigned)(arrival.bytes[at] ^ original[at]);

            bits += (unsigned)__builtin_popcount(changed);
            if (changed != 0)
                positions[at] = 1;
        }
        assert_in_range(bits, 0, 1);
        damaged += bits;
    }
    wire_chaos_counts(fixture->wire, &fixture->counts);
    assert_int_equal(damaged, fixture->counts.corrupted);
    assert_in_range(damaged, 400, 600); /* 500 expected, standard deviation 19 */
    for (unsigned at = 0; at < LENGTH; at++)
        hit += positions[at];
    assert_in_range(hit, LENGTH / 2, LENGTH); /* anywhere */
    fixture_close(fixture);
}

static void delayed_packets_come_in_time_order_and_not_before(void **state)
{
    enum {
        COUNT = 500,
        LIMIT_NS = 200000
    };
    struct fixture *fixture = fixture_open("seed=4,delay_us=200");
    uint64_t now = 1000;
    size_t before = 0;
    unsigned steps = 0;

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++)
        script_queue(&fixture->script, i, 1, 60);
    receive_whole(fixture, now);
    while (fixture->delivered < COUNT) {
        uint64_t deadline = wire_deadline(fixture->wire);

        assert_in_range(deadline, now + 1, 1000 + LIMIT_NS);
        before = fixture->delivered;
        receive_whole(fixture, deadline - 1);
        assert_int_equal(fixture->delivered, before);
        receive_whole(fixture, deadline);
        assert_true(fixture->delivered > before);
        now = deadline;
        steps++;
    }
    assert_true(wire_deadline(fixture->wire) == UINT64_MAX);
    assert_in_range(now, 1000 + LIMIT_NS / 2, 1000 + LIMIT_NS);
    assert_in_range(steps, COUNT / 2, COUNT); /* spread, not in lumps */
    fixture_close(fixture);
}

static void reordered_packets_are_passed_by_a_few_later_ones(void **state)
{
    enum {
        COUNT = 10000
    };
    struct fixture *fixture = fixture_run("seed=5,reorder=0.05", COUNT);
    uint32_t late = 0;
    uint32_t highest = 0;

    (void)state;
    /* Those held back at the very end are set free by time. */
    while (fixture->delivered < COUNT)
        receive_whole(fixture, wire_deadline(fixture->wire));
    assert_int_equal(fixture->delivered, COUNT);
    assert_in_range(fixture->counts.reordered, 400, 600); /* 500 expected, deviation 22 */
    for (size_t i = 0; i < COUNT; i++) {
        if (fixture->serials[i] < highest) {
            late++;
            assert_in_range(highest - fixture->serials[i], 1, 4);
        } else {
            highest = fixture->serials[i];
        }
    }
    /* Nearly all are overtaken; two that are held back together may keep their order. */
    assert_in_range(late, fixture->counts.reordered * 9 / 10, fixture->counts.reordered);
    fixture_close(fixture);
}

static void a_packet_held_back_comes_after_a_while_though_nothing_passes_it(void **state)
{
    struct fixture *fixture = fixture_run("reorder=1", 1);

    (void)state;
    assert_int_equal(fixture->delivered, 0);
    assert_int_equal(wire_deadline(fixture->wire), 1 + 1000000);
    receive_whole(fixture, 1000000);
    assert_int_equal(fixture->delivered, 0);
    receive_whole(fixture, 1 + 1000000);
    assert_int_equal(fixture->delivered, 1);
    fixture_close(fixture);
}

static void holding_everything_back_and_twice_loses_nothing(void **state)
{
    enum {
        COUNT = 1000
    };
    struct fixture *fixture = fixture_run("seed=6,reorder=1,dup=1", COUNT);
    uint8_t seen[COUNT] = {0};

    (void)state;
    while (wire_deadline(fixture->wire) != UINT64_MAX)
        receive_whole(fixture, wire_deadline(fixture->wire));
    assert_int_equal(fixture->delivered, 2 * COUNT);
    for (size_t i = 0; i < 2 * COUNT; i++)
        seen[fixture->serials[i]]++;
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(seen[i], 2);
    fixture_close(fixture);
}

/* ---- how it goes about it ---- */

static void bundles_are_taken_apart_and_each_packet_meets_its_own_fate(void **state)
{
    struct fixture *fixture = fixture_open("seed=7,drop=0.5");
    unsigned partial = 0;

    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        script_queue(&fixture->script, i * 10, 10, 60);
    receive_whole(fixture, 1);
    assert_int_equal(fixture->counts.packets, 1000);
    assert_in_range(fixture->delivered, 400, 600);
    for (uint32_t i = 0; i < 100; i++) {
        unsigned left = 0;

        for (size_t j = 0; j < fixture->delivered; j++)
            left += fixture->serials[j] / 10 == i;
        partial += left > 0 && left < 10;
    }
    assert_in_range(partial, 90, 100);
    fixture_close(fixture);
}

static void what_cannot_be_taken_apart_is_one_packet(void **state)
{
    struct fixture *fixture = fixture_open("");
    struct base_arrival arrival;

    (void)state;
    script_queue(&fixture->script, 0, 10, 60);
    fixture->script.bytes[0][0] = 0xff; /* an impossible length */
    assert_int_equal(wire_receive(fixture->wire, 1, &arrival, 1), 1);
    assert_int_equal(arrival.length, 600);
    assert_memory_equal(arrival.bytes, fixture->script.bytes[0], 600);
    fixture_close(fixture);
}

static void the_same_seed_does_the_same(void **state)
{
    static const char options[] = "seed=8,drop=0.1,dup=0.1,reorder=0.1,corrupt=0.1,delay_us=50";
    struct fixture *first = fixture_open(options);
    struct fixture *second = fixture_open(options);
    struct base_arrival a[WIRE_BATCH];
    struct base_arrival b[WIRE_BATCH];

    (void)state;
    for (uint32_t i = 0; i < 3000; i++) {
        script_queue(&first->script, i, 1 + i % 3, 60 + i % 50);
        script_queue(&second->script, i, 1 + i % 3, 60 + i % 50);
    }
    for (uint64_t now = 0; now < 3000000; now += 1000) {
        int count = wire_receive(first->wire, now, a, 1 + now / 1000 % 7);

        assert_int_equal(wire_receive(second->wire, now, b, 1 + now / 1000 % 7), count);
        for (int i = 0; i < count; i++) {
            assert_int_equal(a[i].length, b[i].length);
            assert_memory_equal(a[i].bytes, b[i].bytes, a[i].length);
        }
        assert_true(wire_deadline(first->wire) == wire_deadline(second->wire));
    }
    fixture_close(first);
    fixture_close(second);
}

static void another_seed_does_something_else(void **state)
{
    struct fixture *first = fixture_run("seed=9,drop=0.5", 200);
    struct fixture *second = fixture_run("seed=10,drop=0.5", 200);
    size_t shorter = first->delivered < second->delivered ? first->delivered : second->delivered;

    (void)state;
    assert_memory_not_equal(first->serials, second->serials, shorter * sizeof(first->serials[0]));
    fixture_close(first);
    fixture_close(second);
}

static void what_is_due_but_does_not_fit_is_due_at_once(void **state)
{
    struct fixture *fixture = fixture_open("");
    struct base_arrival arrivals[4];

    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        script_queue(&fixture->script, i, 1, 60);
    for (uint32_t i = 0; i < 8; i += 4) {
        assert_int_equal(wire_receive(fixture->wire, 5, arrivals, 4), 4);
        for (uint32_t j = 0; j < 4; j++)
            check_packet(arrivals[j].bytes, arrivals[j].length, i + j, 60);
        assert_int_equal(wire_deadline(fixture->wire), 5);
    }
    assert_int_equal(wire_receive(fixture->wire, 5, arrivals, 4), 2);
    assert_true(wire_deadline(fixture->wire) == UINT64_MAX);
    assert_int_equal(wire_receive(fixture->wire, 5, arrivals, 4), 0);
    fixture_close(fixture);
}

static void too_many_held_packets_are_dropped_and_counted(void **state)
{
    enum {
        COUNT = 11000
    };
    struct fixture *fixture = fixture_run("seed=11,delay_us=1000000", COUNT);

    (void)state;
    while (fixture->script.delivered < COUNT)
        receive_whole(fixture, 1);
    receive_whole(fixture, 2000000000);
    assert_in_range(fixture->counts.overflowed, 1, COUNT - 4000);
    assert_int_equal(fixture->delivered, COUNT - fixture->counts.overflowed);

    /* And then there is room again. */
    script_queue(&fixture->script, COUNT, 1, 60);
    receive_whole(fixture, 2000000001);
    receive_whole(fixture, 4000000000);
    assert_int_equal(fixture->serials[fixture->delivered - 1], COUNT);
    fixture_close(fixture);
}

static void everything_but_receiving_is_the_inner_wires(void **state)
{
    struct fixture *fixture = fixture_open("drop=1");
    struct base_address to = {.port = 1};
    struct base_packet packets[3] = {{.to = to}, {.to = to}, {.to = to}};
    struct base_network_error error;
    struct base_backlog backlog;

    (void)state;
    assert_int_equal(wire_send(fixture->wire, 1, packets, 3), 2);
    assert_int_equal(fixture->script.sends, 3);
    assert_int_equal(wire_inject(fixture->wire, packets), -EAGAIN);
    assert_int_equal(fixture->script.injects, 1);
    assert_int_equal(wire_errors(fixture->wire, &error, 1), 1);
    assert_int_equal(error.error, EHOSTUNREACH);
    assert_int_equal(wire_packet_bytes(fixture->wire, &to), 1234);
    wire_backlog(fixture->wire, 5, &backlog);
    assert_int_equal(backlog.bytes, 5);
    assert_int_equal(backlog.bytes_per_second, 17);
    assert_int_equal(wire_capacity(fixture->wire), 4321);
    assert_int_equal(wire_descriptor(fixture->wire), 77);
    assert_int_equal(wire_port(fixture->wire), 7777);
    fixture_close(fixture);
}

int main(void)
{
    static const struct wire_kind kind = {
        .name = "battery over chaos that does nothing", .family = AF_INET, .is_chaos = true};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_refused_and_pointed_at),
        cmocka_unit_test(options_are_read_in_any_order),
        cmocka_unit_test(no_options_are_all_zero),
        cmocka_unit_test(dropped_packets_are_as_many_as_asked),
        cmocka_unit_test(a_certain_drop_leaves_nothing),
        cmocka_unit_test(duplicates_come_twice_and_are_as_many_as_asked),
        cmocka_unit_test(a_corrupted_packet_differs_in_exactly_one_bit),
        cmocka_unit_test(delayed_packets_come_in_time_order_and_not_before),
        cmocka_unit_test(reordered_packets_are_passed_by_a_few_later_ones),
        cmocka_unit_test(a_packet_held_back_comes_after_a_while_though_nothing_passes_it),
        cmocka_unit_test(holding_everything_back_and_twice_loses_nothing),
        cmocka_unit_test(bundles_are_taken_apart_and_each_packet_meets_its_own_fate),
        cmocka_unit_test(what_cannot_be_taken_apart_is_one_packet),
        cmocka_unit_test(the_same_seed_does_the_same),
        cmocka_unit_test(another_seed_does_something_else),
        cmocka_unit_test(what_is_due_but_does_not_fit_is_due_at_once),
        cmocka_unit_test(too_many_held_packets_are_dropped_and_counted),
        cmocka_unit_test(everything_but_receiving_is_the_inner_wires),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    return failed + battery_run(&kind);
}
