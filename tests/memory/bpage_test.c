/*
 * Bpages: how a message's space is cut, what may be returned and what not, and that the books
 * balance whatever the order of events.
 */
#include "memory/bpage.h"

#include "base/random.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

#define PIECES_MAX 16u

static struct bpage_pool *open_pool(uint32_t bpages)
{
    struct bpage_pool *pool = NULL;

    assert_int_equal(bpage_pool_open(&pool, bpages), 0);
    return pool;
}

static uint64_t available(const struct bpage_pool *pool)
{
    struct bpage_stats stats;

    bpage_pool_stats(pool, &stats);
    return stats.available_bytes;
}

/* Takes space as for a message that is delivered at once. */
static void deliver(struct bpage_pool *pool, uint32_t length, uint32_t *offsets)
{
    assert_int_equal(bpage_take(pool, length, offsets), 0);
    bpage_hand_over(pool, offsets, bpage_count(length));
}

static void assert_refused(struct bpage_pool *pool, const uint32_t *offsets, uint32_t count,
                           uint32_t expected_bad)
{
    uint32_t bad = UINT32_MAX;
    uint64_t before = available(pool);

    assert_int_equal(bpage_return(pool, offsets, count, &bad), -EINVAL);
    assert_int_equal(bad, expected_bad);
    assert_int_equal(available(pool), before);
}

static void a_return_of_what_was_never_out_is_refused(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(4);
    uint32_t out[PIECES_MAX];

    deliver(pool, 1000, out);
    uint32_t grain_behind = out[0] + BPAGE_GRAIN; /* inside the piece, not its start */
    uint32_t unaligned = out[0] + 1;
    uint32_t unused_bpage = out[0] + BPAGE_SIZE;
    uint32_t outside = 4 * BPAGE_SIZE;
    uint32_t far_outside = UINT32_MAX;

    assert_refused(pool, &grain_behind, 1, 0);
    assert_refused(pool, &unaligned, 1, 0);
    assert_refused(pool, &unused_bpage, 1, 0);
    assert_refused(pool, &outside, 1, 0);
    assert_refused(pool, &far_outside, 1, 0);
    bpage_pool_close(pool);
}

static void a_second_return_is_refused(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(4);
    uint32_t out[PIECES_MAX];
    uint32_t other;
    uint32_t bad;

    deliver(pool, 1000, out);
    deliver(pool, 1000, &other); /* keeps the bpage in use */
    assert_int_equal(bpage_return(pool, out, 1, &bad), 0);
    assert_refused(pool, out, 1, 0);
    bpage_pool_close(pool);
}

static void a_piece_named_twice_in_one_call_is_refused_and_nothing_is_returned(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(4);
    uint32_t out[PIECES_MAX];
    uint32_t bad;

    deliver(pool, 2 * BPAGE_SIZE + 500, out);
    uint32_t twice[] = {out[0], out[2], out[1], out[2]};

    assert_refused(pool, twice, 4, 3);
    assert_int_equal(bpage_return(pool, out, 3, &bad), 0);
    assert_int_equal(available(pool), 4 * BPAGE_SIZE);
    bpage_pool_close(pool);
}

static void one_wrong_offset_spoils_the_whole_return(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(4);
    uint32_t out[PIECES_MAX];
    uint32_t bad;

    deliver(pool, BPAGE_SIZE + 500, out);
    uint32_t mixed[] = {out[0], 3 * BPAGE_SIZE, out[1]};

    assert_refused(pool, mixed, 3, 1);
    assert_int_equal(bpage_return(pool, out, 2, &bad), 0);
    bpage_pool_close(pool);
}

static void a_piece_of_a_message_still_arriving_cannot_be_returned(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(4);
    uint32_t arriving[PIECES_MAX];
    uint32_t bad;

    assert_int_equal(bpage_take(pool, 100, arriving), 0);
    assert_refused(pool, arriving, 1, 0);
    bpage_hand_over(pool, arriving, 1);
    assert_int_equal(bpage_return(pool, arriving, 1, &bad), 0);
    bpage_pool_close(pool);
}

static void returning_nothing_succeeds(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(1);
    uint32_t bad;

    assert_int_equal(bpage_return(pool, NULL, 0, &bad), 0);
    bpage_pool_close(pool);
}

static void a_message_that_does_not_fit_takes_nothing(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(2);
    uint32_t out[PIECES_MAX];

    assert_int_equal(bpage_take(pool, 2 * BPAGE_SIZE + 1, out), -ENOBUFS);
    assert_int_equal(bpage_take(pool, 3 * BPAGE_SIZE, out), -ENOBUFS);
    assert_int_equal(available(pool), 2 * BPAGE_SIZE);
    assert_int_equal(bpage_take(pool, 2 * BPAGE_SIZE, out), 0);
    assert_int_equal(bpage_take(pool, 1, out), -ENOBUFS);
    bpage_pool_close(pool);
}

static void a_fragment_that_fits_nowhere_leaves_the_open_bpage_open(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(1);
    uint32_t first;
    uint32_t second;

    assert_int_equal(bpage_take(pool, 1000, &first), 0);
    assert_int_equal(bpage_take(pool, BPAGE_SIZE - 1000, &second), -ENOBUFS);
    assert_int_equal(available(pool), BPAGE_SIZE - 1024);
    assert_int_equal(bpage_take(pool, BPAGE_SIZE - 1024, &second), 0);
    assert_int_equal(available(pool), 0);
    bpage_pool_close(pool);
}

static void whole_bpages_come_first_and_one_fragment_last(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(16);
    uint32_t out[PIECES_MAX];
    uint32_t tail;

    assert_int_equal(bpage_take(pool, 100, &tail), 0);
    assert_int_equal(bpage_count(3 * BPAGE_SIZE + 7), 4);
    assert_int_equal(bpage_take(pool, 3 * BPAGE_SIZE + 7, out), 0);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(out[i] % BPAGE_SIZE, 0);
    assert_int_equal(out[3], tail + 128); /* behind the first fragment, at the next grain */
    bpage_pool_close(pool);
}

static void fragments_of_several_messages_share_a_bpage(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(2);
    uint32_t out[3];

    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(bpage_take(pool, 20000, &out[i]), 0);
    assert_int_equal(out[1] - out[0], 20032);
    assert_int_equal(out[2] - out[1], 20032);
    assert_int_equal(available(pool), 2 * BPAGE_SIZE - 3 * 20032);
    bpage_pool_close(pool);
}

static void a_message_of_whole_bpages_takes_no_fragment(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(2);
    uint32_t out[PIECES_MAX];

    assert_int_equal(bpage_count(2 * BPAGE_SIZE), 2);
    assert_int_equal(bpage_take(pool, 2 * BPAGE_SIZE, out), 0);
    assert_int_equal(available(pool), 0);
    bpage_pool_close(pool);
}

static void a_closed_bpage_is_free_when_its_last_fragment_is_back(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(2);
    uint32_t out[3];
    uint32_t bad;

    deliver(pool, 30000, &out[0]);
    deliver(pool, 30000, &out[1]);
    deliver(pool, 60032, &out[2]); /* opens the other bpage */
    assert_int_equal(bpage_return(pool, &out[0], 1, &bad), 0);
    assert_int_equal(available(pool), BPAGE_SIZE - 60032);
    assert_int_equal(bpage_return(pool, &out[1], 1, &bad), 0);
    assert_int_equal(available(pool), BPAGE_SIZE + BPAGE_SIZE - 60032);
    bpage_pool_close(pool);
}

static void an_open_bpage_that_ran_empty_serves_a_whole_one(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(1);
    struct bpage_stats stats;
    uint32_t out;

    assert_int_equal(bpage_take(pool, 1000, &out), 0);
    bpage_give(pool, &out, 1);
    assert_int_equal(bpage_take(pool, BPAGE_SIZE, &out), 0);
    bpage_pool_stats(pool, &stats);
    assert_int_equal(stats.reuses, 1);
    bpage_pool_close(pool);
}

static void one_small_message_at_a_time_stays_in_one_place(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(8);
    uint32_t first;
    uint32_t bad;

    deliver(pool, 100, &first);
    assert_int_equal(bpage_return(pool, &first, 1, &bad), 0);
    for (int i = 0; i < 100; i++) {
        uint32_t out;

        deliver(pool, 100, &out);
        assert_int_equal(out, first);
        assert_int_equal(bpage_return(pool, &out, 1, &bad), 0);
    }
    bpage_pool_close(pool);
}

static void the_largest_region_can_be_used_to_its_end(void **state)
{
    (void)state;
    struct bpage_pool *pool = open_pool(65536);
    uint32_t *out = calloc(65536, sizeof(*out));
    uint32_t bad;

    assert_non_null(out);
    assert_int_equal(bpage_take(pool, UINT32_MAX, out), 0);
    bpage_hand_over(pool, out, 65536);
    assert_int_equal(out[65535], UINT32_C(65535) * BPAGE_SIZE);
    assert_int_equal(bpage_return(pool, out, 65536, &bad), 0);
    assert_int_equal(available(pool), UINT64_C(65536) * BPAGE_SIZE);
    free(out);
    bpage_pool_close(pool);
}

/*
 * Random takes, deliveries, aborts, returns and false returns against a map of every grain of the
 * region that says which message has it.
 */
#define ORACLE_BPAGES   24u
#define ORACLE_GRAINS   (ORACLE_BPAGES * (BPAGE_SIZE / BPAGE_GRAIN))
#define ORACLE_MESSAGES 64u
#define ORACLE_STEPS    20000u

struct oracle_message {
    uint32_t length; /* 0 = none */
    uint32_t offsets[PIECES_MAX];
    bool delivered;
};

struct oracle {
    struct bpage_pool *pool;
    struct oracle_message messages[ORACLE_MESSAGES];
    uint8_t taken[ORACLE_GRAINS]; /* 1 + index of the message that has it */
};

static void oracle_claim(struct oracle *oracle, uint32_t index, uint8_t from, uint8_t to)
{
    const struct oracle_message *message = &oracle->messages[index];
    uint32_t left = message->length;

    for (uint32_t piece = 0; piece < bpage_count(message->length); piece++) {
        uint32_t length = left < BPAGE_SIZE ? left : BPAGE_SIZE;
        uint32_t offset = message->offsets[piece];

        assert_int_equal(offset % BPAGE_GRAIN, 0);
        assert_true(offset % BPAGE_SIZE + length <= BPAGE_SIZE);
        for (uint32_t at = offset; at < offset + length; at += BPAGE_GRAIN) {
            assert_int_equal(oracle->taken[at / BPAGE_GRAIN], from); /* nobody else's */
            oracle->taken[at / BPAGE_GRAIN] = to;
        }
        left -= length;
    }
}

static uint32_t oracle_length(struct base_random *random)
{
    if (base_random_chance(random, 0.7))
        return 1 + (uint32_t)base_random_below(random, 5000);
    if (base_random_chance(random, 0.2))
        return BPAGE_SIZE * (1 + (uint32_t)base_random_below(random, 4));
    return 1 + (uint32_t)base_random_below(random, UINT64_C(4) * BPAGE_SIZE);
}

/* One message's next event. */
static void oracle_step(struct oracle *oracle, struct base_random *random, uint32_t index)
{
    struct oracle_message *message = &oracle->messages[index];
    uint8_t tag = (uint8_t)(index + 1);
    uint32_t bad;

    if (message->length == 0) {
        uint32_t length = oracle_length(random);

        if (bpage_take(oracle->pool, length, message->offsets) == 0) {
            message->length = length;
            message->delivered = false;
            oracle_claim(oracle, index, 0, tag);
        }
        return;
    }
    uint32_t count = bpage_count(message->length);

    if (!message->delivered && base_random_chance(random, 0.8)) {
        assert_refused(oracle->pool, message->offsets, count, 0);
        bpage_hand_over(oracle->pool, message->offsets, count);
        message->delivered = true;
        return;
    }
    if (message->delivered)
        assert_int_equal(bpage_return(oracle->pool, message->offsets, count, &bad), 0);
    else
        bpage_give(oracle->pool, message->offsets, count);
    assert_refused(oracle->pool, message->offsets, count, 0);
    oracle_claim(oracle, index, tag, 0);
    message->length = 0;
}

/* What is available can be had, and never more than is free in the map. */
static void oracle_check_available(const struct oracle *oracle)
{
    uint64_t free_grains = 0;
    uint64_t pieces = 0;
    struct bpage_stats stats;

    for (uint32_t i = 0; i < ORACLE_GRAINS; i++)
        free_grains += oracle->taken[i] == 0;
    for (uint32_t i = 0; i < ORACLE_MESSAGES; i++)
        pieces += oracle->messages[i].length == 0 ? 0 : bpage_count(oracle->messages[i].length);
    bpage_pool_stats(oracle->pool, &stats);
    assert_int_equal(stats.pieces_out, pieces);
    assert_true(stats.available_bytes <= free_grains * BPAGE_GRAIN);
    for (uint64_t bpage = 0; bpage < stats.available_bytes / BPAGE_SIZE; bpage++) {
        uint32_t probe;

        assert_int_equal(bpage_take(oracle->pool, BPAGE_SIZE, &probe), 0);
        bpage_give(oracle->pool, &probe, 1);
    }
}

static void random_use_never_overlaps_and_leaks_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct oracle *oracle = calloc(1, sizeof(*oracle));
        struct base_random random = base_random_seed(seed);

        assert_non_null(oracle);
        print_message("             seed %d\n", (int)seed); /* names the failing run */
        oracle->pool = open_pool(ORACLE_BPAGES);
        for (uint32_t step = 0; step < ORACLE_STEPS; step++) {
            oracle_step(oracle, &random, (uint32_t)base_random_below(&random, ORACLE_MESSAGES));
            if (step % 500 == 0)
                oracle_check_available(oracle);
        }
        for (uint32_t i = 0; i < ORACLE_MESSAGES; i++) {
            while (oracle->messages[i].length > 0)
                oracle_step(oracle, &random, i);
        }
        assert_int_equal(available(oracle->pool), ORACLE_BPAGES * BPAGE_SIZE);
        bpage_pool_close(oracle->pool);
        free(oracle);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_return_of_what_was_never_out_is_refused),
        cmocka_unit_test(a_second_return_is_refused),
        cmocka_unit_test(a_piece_named_twice_in_one_call_is_refused_and_nothing_is_returned),
        cmocka_unit_test(one_wrong_offset_spoils_the_whole_return),
        cmocka_unit_test(a_piece_of_a_message_still_arriving_cannot_be_returned),
        cmocka_unit_test(returning_nothing_succeeds),
        cmocka_unit_test(a_message_that_does_not_fit_takes_nothing),
        cmocka_unit_test(a_fragment_that_fits_nowhere_leaves_the_open_bpage_open),
        cmocka_unit_test(whole_bpages_come_first_and_one_fragment_last),
        cmocka_unit_test(fragments_of_several_messages_share_a_bpage),
        cmocka_unit_test(a_message_of_whole_bpages_takes_no_fragment),
        cmocka_unit_test(a_closed_bpage_is_free_when_its_last_fragment_is_back),
        cmocka_unit_test(an_open_bpage_that_ran_empty_serves_a_whole_one),
        cmocka_unit_test(one_small_message_at_a_time_stays_in_one_place),
        cmocka_unit_test(the_largest_region_can_be_used_to_its_end),
        cmocka_unit_test(random_use_never_overlaps_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
