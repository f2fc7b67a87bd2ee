/*
 * Reassembly: each way in which a packet can meet the gaps, and a long random comparison with a map
 * of bytes.
 */
#include "homa/gaps.h"

#include "base/random.h"
#include "support/test.h"

#include <errno.h>
#include <string.h>

#define BOUNDARY 100000u /* unscheduled bytes: beyond everything where classes do not matter */
#define ASK_AT   5000u
#define WAIT_NS  700u

struct fixture {
    struct base_pool pool;
    struct homa_received received;
    struct homa_range ranges[HOMA_NEW_RANGES_MAX];
    bool opened;
};

static struct fixture begin(uint32_t gap_records)
{
    struct fixture fixture = {0};

    assert_int_equal(base_pool_open(&fixture.pool, sizeof(struct homa_gap), gap_records), 0);
    homa_received_begin(&fixture.received);
    return fixture;
}

static void finish(struct fixture *fixture)
{
    homa_received_end(&fixture->received, &fixture->pool);
    assert_int_equal(fixture->pool.in_use, 0);
    base_pool_close(&fixture->pool);
}

static int add_at_boundary(struct fixture *fixture, uint32_t start, uint32_t end, uint32_t boundary)
{
    return homa_received_add(&fixture->received, &fixture->pool, start, end, boundary, ASK_AT,
                             WAIT_NS, true, fixture->ranges, &fixture->opened);
}

static int add(struct fixture *fixture, uint32_t start, uint32_t end)
{
    return add_at_boundary(fixture, start, end, BOUNDARY);
}

static void assert_range(const struct fixture *fixture, int index, uint32_t start, uint32_t end)
{
    assert_int_equal(fixture->ranges[index].start, start);
    assert_int_equal(fixture->ranges[index].end, end);
}

/* The gap with this number, lowest first. */
static const struct homa_gap *gap_number(const struct fixture *fixture, uint32_t number)
{
    const struct homa_gap *gap = homa_gap_at(&fixture->pool, fixture->received.first);

    assert_true(number < fixture->received.gaps);
    while (number-- > 0)
        gap = homa_gap_at(&fixture->pool, gap->next);
    return gap;
}

static void assert_gap(const struct fixture *fixture, uint32_t number, uint32_t start, uint32_t end)
{
    const struct homa_gap *gap = gap_number(fixture, number);

    assert_int_equal(gap->start, start);
    assert_int_equal(gap->end, end);
}

/* Bytes 0..1000 but for every second hundred: gaps 100..200, 300..400, … */
static void receive_every_second_hundred(struct fixture *fixture, uint32_t hundreds)
{
    for (uint32_t i = 0; i < hundreds; i += 2)
        assert_int_equal(add(fixture, i * 100, i * 100 + 100), 1);
}

static void a_repeated_packet_brings_nothing(void **state)
{
    (void)state;
    struct fixture fixture = begin(8);

    assert_int_equal(add(&fixture, 0, 1000), 1);
    assert_int_equal(add(&fixture, 0, 1000), 0);
    assert_int_equal(add(&fixture, 999, 1000), 0);
    assert_int_equal(fixture.received.bytes, 1000);
    finish(&fixture);
}

static void a_gap_without_a_record_changes_nothing(void **state)
{
    (void)state;
    struct fixture fixture = begin(1);

    assert_int_equal(add(&fixture, 100, 200), 1);
    struct homa_received before = fixture.received;

    assert_int_equal(add(&fixture, 300, 400), -ENOBUFS);
    assert_false(fixture.opened);
    assert_memory_equal(&fixture.received, &before, sizeof(before));
    assert_gap(&fixture, 0, 0, 100);
    assert_int_equal(add(&fixture, 200, 400), 1); /* needs none */
    finish(&fixture);
}

static void a_split_without_a_record_changes_nothing(void **state)
{
    (void)state;
    struct fixture fixture = begin(1);

    assert_int_equal(add(&fixture, 900, 1000), 1);
    struct homa_received before = fixture.received;

    assert_int_equal(add(&fixture, 400, 500), -ENOBUFS);
    assert_memory_equal(&fixture.received, &before, sizeof(before));
    assert_gap(&fixture, 0, 0, 900);
    assert_int_equal(add(&fixture, 0, 500), 1); /* trimming needs none */
    finish(&fixture);
}

static void records_of_filled_gaps_serve_again(void **state)
{
    (void)state;
    struct fixture fixture = begin(1);

    for (uint32_t at = 0; at < 10000; at += 200) {
        assert_int_equal(add(&fixture, at + 100, at + 200), 1);
        assert_int_equal(add(&fixture, at, at + 100), 1);
    }
    assert_int_equal(fixture.received.bytes, 10000);
    finish(&fixture);
}

static void packets_in_order_open_no_gap(void **state)
{
    (void)state;
    struct fixture fixture = begin(1);

    for (uint32_t at = 0; at < 5000; at += 1000) {
        assert_int_equal(add(&fixture, at, at + 1000), 1);
        assert_range(&fixture, 0, at, at + 1000);
        assert_false(fixture.opened);
    }
    assert_int_equal(fixture.received.end, 5000);
    assert_int_equal(fixture.received.bytes, 5000);
    assert_int_equal(fixture.received.gaps, 0);
    finish(&fixture);
}

static void a_packet_beyond_the_end_opens_a_gap_with_its_times(void **state)
{
    (void)state;
    struct fixture fixture = begin(8);

    assert_int_equal(add(&fixture, 1000, 2000), 1);
    assert_true(fixture.opened);
    assert_range(&fixture, 0, 1000, 2000);
    assert_gap(&fixture, 0, 0, 1000);
    assert_int_equal(gap_number(&fixture, 0)->ask_at, ASK_AT);
    assert_int_equal(gap_number(&fixture, 0)->wait_ns, WAIT_NS);
    assert_int_equal(fixture.received.bytes, 1000);
    assert_int_equal(fixture.received.end, 2000);
    finish(&fixture);
}

static void a_packet_that_fills_a_gap_exactly_removes_it(void **state)
{
    (void)state;
    struct fixture fixture = begin(8);

    receive_every_second_hundred(&fixture, 6);
    assert_int_equal(add(&fixture, 100, 200), 1);
    assert_range(&fixture, 0, 100, 200);
    assert_int_equal(fixture.received.gaps, 1);
    assert_gap(&fixture, 0, 300, 400);
    assert_int_equal(add(&fixture, 300, 400), 1);
    assert_int_equal(fixture.received.gaps, 0);
    assert_int_equal(fixture.received.bytes, 500);
    finish(&fixture);
}

static void a_packet_inside_a_gap_splits_it_and_both_parts_keep_its_times(void **state)
{
    (void)state;
    struct fixture fixture = begin(8);

    assert_int_equal(add(&fixture, 900, 1000), 1);
    struct homa_gap *gap = homa_gap_at(&fixture.pool, fixture.received.first);

    gap->ask_at = 12345;
    gap->wait_ns = 678;
    assert_int_equal(add(&fixture, 400, 500), 1);
    assert_false(fixture.opened);
    assert_range(&fixture, 0, 400, 500);
    assert_gap(&fixture, 0, 0, 400);
    assert_gap(&fixture, 1, 500, 900);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(gap_number(&fixture, i)->ask_at, 12345);
        assert_int_equal(gap_number(&fixture, i)->wait_ns, 678);
    }
    assert_int_equal(add(&fixture, 1100, 1200), 1); /* goes behind the upper part */
    assert_gap(&fixture, 2, 1000, 1100);
    finish(&fixture);
}

static void a_packet_over_a_gap_s_front_is_trimmed(void **state)
{
    (void)state;
    struct fixture fixture = begin(8);

    receive_every_second_hundred(&fixture, 3);
    assert_int_equal(add(&fixture, 50, 130), 1);
    assert_range(&fixture, 0, 100, 130);
    assert_gap(&fixture, 0, 130, 200);
    finish(&fixture);
}

static void a_packet_over_a_gap_s_back_is_trimmed(void **state)
{
    (void)state;
    struct fixture fixture = begin(8);

    receive_every_second_hundred(&fixture, 3);
    assert_int_equal(add(&fixture, 170, 250), 1);
    assert_range(&fixture, 0, 170, 200);
    assert_gap(&fixture, 0, 100, 170);
    finish(&fixture);
}

static void a_packet_over_several_gaps_is_used_in_pieces(void **state)
{
    (void)state;
    struct fixture fixture = begin(8);

    receive_every_second_hundred(&fixture, 7);
    assert_int_equal(add(&fixture, 150, 750), 4);
    assert_range(&fixture, 0, 150, 200);
    assert_range(&fixture, 1, 300, 400);
    assert_range(&fixture, 2, 500, 600);
    assert_range(&fixture, 3, 700, 750); /* beyond the end */
    assert_int_equal(fixture.received.gaps, 1);
    assert_gap(&fixture, 0, 100, 150);
    assert_int_equal(fixture.received.end, 750);
    assert_int_equal(fixture.received.bytes, 700);
    finish(&fixture);
}

static void the_last_gap_can_go_while_a_lower_one_stays(void **state)
{
    (void)state;
    struct fixture fixture = begin(8);

    receive_every_second_hundred(&fixture, 5);
    assert_int_equal(add(&fixture, 300, 400), 1);
    assert_int_equal(add(&fixture, 600, 700), 1);
    assert_gap(&fixture, 0, 100, 200);
    assert_gap(&fixture, 1, 500, 600);
    finish(&fixture);
}

static void only_the_first_pieces_of_a_packet_are_recorded(void **state)
{
    (void)state;
    struct fixture fixture = begin(16);

    receive_every_second_hundred(&fixture, 21); /* ten gaps; the end is 2100 */
    assert_int_equal(add(&fixture, 0, 3000), HOMA_NEW_RANGES_MAX);
    assert_range(&fixture, HOMA_NEW_RANGES_MAX - 1, 1500, 1600);
    assert_int_equal(fixture.received.end, 2100);
    assert_gap(&fixture, 0, 1700, 1800);
    assert_gap(&fixture, 1, 1900, 2000);
    assert_int_equal(add(&fixture, 0, 3000), 3); /* asked again, used to its end */
    assert_int_equal(fixture.received.bytes, 3000);
    finish(&fixture);
}

static void a_gap_before_bytes_of_its_class_is_proven(void **state)
{
    (void)state;
    struct fixture fixture = begin(8);

    assert_int_equal(add_at_boundary(&fixture, 100, 200, 1000), 1);
    assert_true(gap_number(&fixture, 0)->is_proven); /* unscheduled after unscheduled */
    assert_int_equal(add_at_boundary(&fixture, 200, 1100, 1000), 1);
    assert_int_equal(add_at_boundary(&fixture, 1200, 1300, 1000), 1);
    assert_true(gap_number(&fixture, 1)->is_proven); /* scheduled after scheduled */
    finish(&fixture);
}

static void a_gap_across_the_border_is_proven_by_scheduled_bytes(void **state)
{
    (void)state;
    struct fixture fixture = begin(8);

    assert_int_equal(add_at_boundary(&fixture, 1200, 1300, 1000), 1);
    assert_true(gap_number(&fixture, 0)->is_proven);
    finish(&fixture);
}

static void a_gap_that_ends_where_scheduled_bytes_begin_is_not_proven(void **state)
{
    (void)state;
    struct fixture fixture = begin(8);

    assert_int_equal(add_at_boundary(&fixture, 1000, 1100, 1000), 1);
    assert_false(gap_number(&fixture, 0)->is_proven);
    assert_int_equal(add_at_boundary(&fixture, 900, 1000, 1000), 1); /* its last part comes late */
    assert_gap(&fixture, 0, 0, 900);
    assert_true(gap_number(&fixture, 0)->is_proven);
    finish(&fixture);
}

static void a_split_proves_the_lower_part_alone(void **state)
{
    (void)state;
    struct fixture fixture = begin(8);

    assert_int_equal(add_at_boundary(&fixture, 1000, 1100, 1000), 1);
    assert_int_equal(add_at_boundary(&fixture, 400, 500, 1000), 1);
    assert_true(gap_number(&fixture, 0)->is_proven);
    assert_false(gap_number(&fixture, 1)->is_proven);
    finish(&fixture);
}

/* ---- against a map of bytes ---- */

#define MAP_BYTES 4000u

/* Copies what is listed; nothing of it may have been there before. */
static void map_apply(bool *map, const struct fixture *fixture, int pieces)
{
    uint32_t above = 0;

    for (int i = 0; i < pieces; i++) {
        assert_true(fixture->ranges[i].start >= above);
        assert_true(fixture->ranges[i].start < fixture->ranges[i].end);
        above = fixture->ranges[i].end;
        for (uint32_t at = fixture->ranges[i].start; at < above; at++) {
            assert_false(map[at]);
            map[at] = true;
        }
    }
}

/* Records and map say the same. */
static void map_compare(const bool *map, const struct fixture *fixture)
{
    const struct homa_received *received = &fixture->received;
    uint32_t gap = received->first;
    uint32_t last = BASE_POOL_NONE;
    uint32_t gaps = 0;
    uint32_t at = 0;
    uint32_t bytes = 0;

    while (at < received->end) {
        if (map[at]) {
            bytes++;
            at++;
            continue;
        }
        const struct homa_gap *record = homa_gap_at(&fixture->pool, gap);

        assert_non_null(record);
        assert_int_equal(record->start, at);
        while (!map[at])
            at++;
        assert_int_equal(record->end, at);
        last = gap;
        gap = record->next;
        gaps++;
    }
    for (; at < MAP_BYTES; at++)
        assert_false(map[at]);
    assert_int_equal(gap, BASE_POOL_NONE);
    assert_int_equal(last, received->last);
    assert_int_equal(gaps, received->gaps);
    assert_int_equal(gaps, fixture->pool.in_use);
    assert_int_equal(bytes, received->bytes);
}

/* The packet's bytes that are new, as runs: how many pieces it would take. */
static int map_count_pieces(const bool *map, uint32_t start, uint32_t end)
{
    int pieces = 0;

    for (uint32_t at = start; at < end; at++)
        pieces += !map[at] && (at == start || map[at - 1]);
    return pieces;
}

static void receive_a_message_at_random(uint64_t seed)
{
    struct base_random random = base_random_seed(seed);
    struct fixture fixture = begin(1 + (uint32_t)base_random_below(&random, 40));
    uint32_t longest = 1 + (uint32_t)base_random_below(&random, 600);
    bool map[MAP_BYTES] = {false};

    for (int step = 0; step < 2000 && fixture.received.bytes < MAP_BYTES; step++) {
        uint32_t start = (uint32_t)base_random_below(&random, MAP_BYTES);
        uint32_t room = MAP_BYTES - start;
        uint32_t end =
            start + 1 + (uint32_t)base_random_below(&random, room < longest ? room : longest);
        struct homa_received before = fixture.received;
        int expected = map_count_pieces(map, start, end);
        int pieces = add(&fixture, start, end);

        if (pieces == -ENOBUFS) {
            assert_int_equal(fixture.pool.in_use, fixture.pool.capacity);
            assert_memory_equal(&before, &fixture.received, sizeof(before));
        } else {
            assert_int_equal(pieces,
                             expected < HOMA_NEW_RANGES_MAX ? expected : HOMA_NEW_RANGES_MAX);
            assert_int_equal(fixture.opened, start > before.end);
            map_apply(map, &fixture, pieces);
        }
        map_compare(map, &fixture);
    }
    finish(&fixture);
}

static void random_packets_agree_with_a_map_of_bytes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        print_message("             seed %d\n", (int)seed); /* the last one names the failing run */
        receive_a_message_at_random(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeated_packet_brings_nothing),
        cmocka_unit_test(a_gap_without_a_record_changes_nothing),
        cmocka_unit_test(a_split_without_a_record_changes_nothing),
        cmocka_unit_test(records_of_filled_gaps_serve_again),
        cmocka_unit_test(packets_in_order_open_no_gap),
        cmocka_unit_test(a_packet_beyond_the_end_opens_a_gap_with_its_times),
        cmocka_unit_test(a_packet_that_fills_a_gap_exactly_removes_it),
        cmocka_unit_test(a_packet_inside_a_gap_splits_it_and_both_parts_keep_its_times),
        cmocka_unit_test(a_packet_over_a_gap_s_front_is_trimmed),
        cmocka_unit_test(a_packet_over_a_gap_s_back_is_trimmed),
        cmocka_unit_test(a_packet_over_several_gaps_is_used_in_pieces),
        cmocka_unit_test(the_last_gap_can_go_while_a_lower_one_stays),
        cmocka_unit_test(only_the_first_pieces_of_a_packet_are_recorded),
        cmocka_unit_test(a_gap_before_bytes_of_its_class_is_proven),
        cmocka_unit_test(a_gap_across_the_border_is_proven_by_scheduled_bytes),
        cmocka_unit_test(a_gap_that_ends_where_scheduled_bytes_begin_is_not_proven),
        cmocka_unit_test(a_split_proves_the_lower_part_alone),
        cmocka_unit_test(random_packets_agree_with_a_map_of_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
