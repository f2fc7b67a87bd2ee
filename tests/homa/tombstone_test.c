/*
 * Tombstones: what counts as the same RPC, for how long, and what a full table forgets.
 */
#include "homa/tombstone.h"

#include "base/random.h"
#include "support/test.h"

#include <string.h>

#define KEEP_NS UINT64_C(1000)

static struct homa_tombstones *open_table(uint32_t capacity)
{
    struct homa_tombstones *table = NULL;

    assert_int_equal(homa_tombstones_open(&table, capacity, 0x5eed), 0);
    return table;
}

static struct base_address client_number(uint8_t number)
{
    struct base_address client = {.port = 0x8000};

    client.remote.bytes[15] = number;
    return client;
}

static void an_empty_table_knows_nobody(void **state)
{
    (void)state;
    struct homa_tombstones *table = open_table(16);
    struct base_address client = client_number(1);

    assert_false(homa_tombstones_has(table, 0, &client, 0));
    assert_false(homa_tombstones_has(table, 0, &client, 2));
    homa_tombstones_close(table);
}

static void another_rpc_is_not_taken_for_the_buried_one(void **state)
{
    (void)state;
    struct homa_tombstones *table = open_table(16);
    struct base_address client = client_number(1);
    struct base_address other_host = client_number(2);
    struct base_address other_port = client;
    struct base_address other_scope = client;

    other_port.port++;
    other_scope.scope = 3;
    homa_tombstones_add(table, 0, KEEP_NS, &client, 8);
    assert_false(homa_tombstones_has(table, 0, &client, 10));
    assert_false(homa_tombstones_has(table, 0, &other_host, 8));
    assert_false(homa_tombstones_has(table, 0, &other_port, 8));
    assert_false(homa_tombstones_has(table, 0, &other_scope, 8));
    homa_tombstones_close(table);
}

static void the_address_of_ours_does_not_matter(void **state)
{
    (void)state;
    struct homa_tombstones *table = open_table(16);
    struct base_address client = client_number(1);

    homa_tombstones_add(table, 0, KEEP_NS, &client, 8);
    client.local.bytes[15] = 77;
    assert_true(homa_tombstones_has(table, 0, &client, 8));
    homa_tombstones_close(table);
}

static void a_tombstone_lasts_its_time_and_no_longer(void **state)
{
    (void)state;
    struct homa_tombstones *table = open_table(16);
    struct base_address client = client_number(1);

    homa_tombstones_add(table, 500, KEEP_NS, &client, 8);
    assert_true(homa_tombstones_has(table, 500, &client, 8));
    assert_true(homa_tombstones_has(table, 500 + KEEP_NS - 1, &client, 8));
    assert_false(homa_tombstones_has(table, 500 + KEEP_NS, &client, 8));
    assert_false(homa_tombstones_has(table, 1000 * KEEP_NS, &client, 8));
    homa_tombstones_close(table);
}

static void an_rpc_can_be_buried_again_after_its_time(void **state)
{
    (void)state;
    struct homa_tombstones *table = open_table(16);
    struct base_address client = client_number(1);

    homa_tombstones_add(table, 0, KEEP_NS, &client, 8);
    homa_tombstones_add(table, 5 * KEEP_NS, KEEP_NS, &client, 8);
    assert_true(homa_tombstones_has(table, 5 * KEEP_NS, &client, 8));
    homa_tombstones_close(table);
}

static void a_host_in_a_hurry_makes_us_forget_its_own_alone(void **state)
{
    (void)state;
    struct homa_tombstones *table = open_table(64);
    struct base_address hasty = client_number(1);
    uint64_t hasty_id = 0;

    for (uint8_t other = 0; other < 20; other++) {
        struct base_address client = client_number((uint8_t)(100 + other));

        homa_tombstones_add(table, 0, KEEP_NS, &client, 7);
        for (unsigned i = 0; i < 50; i++) {
            hasty.port++;
            homa_tombstones_add(table, 0, KEEP_NS, &hasty, ++hasty_id);
        }
        assert_true(homa_tombstones_has(table, 0, &hasty, hasty_id));
    }
    for (uint8_t other = 0; other < 20; other++) {
        struct base_address client = client_number((uint8_t)(100 + other));

        assert_true(homa_tombstones_has(table, 0, &client, 7));
    }
    homa_tombstones_close(table);
}

static void what_has_expired_goes_before_what_a_crowd_still_needs(void **state)
{
    (void)state;
    struct homa_tombstones *table = open_table(16);
    struct base_address crowd = client_number(1);
    struct base_address gone = client_number(2);

    for (uint64_t id = 0; id < 6; id++)
        homa_tombstones_add(table, 0, KEEP_NS, &gone, id);
    for (uint64_t id = 0; id < 16; id++)
        assert_false(homa_tombstones_add(table, KEEP_NS, KEEP_NS, &crowd, id));
    for (uint64_t id = 0; id < 16; id++)
        assert_true(homa_tombstones_has(table, KEEP_NS, &crowd, id));
    assert_true(homa_tombstones_add(table, KEEP_NS, KEEP_NS, &crowd, 16));
    homa_tombstones_close(table);
}

static void a_full_table_forgets_the_oldest_and_says_so(void **state)
{
    (void)state;
    struct homa_tombstones *table = open_table(4);
    struct base_address client = client_number(1);

    for (uint64_t id = 0; id < 4; id++)
        assert_false(homa_tombstones_add(table, id, KEEP_NS, &client, id));
    assert_true(homa_tombstones_add(table, 4, KEEP_NS, &client, 4));
    assert_false(homa_tombstones_has(table, 4, &client, 0));
    for (uint64_t id = 1; id <= 4; id++)
        assert_true(homa_tombstones_has(table, 4, &client, id));
    homa_tombstones_close(table);
}

static void replacing_one_whose_time_is_over_is_no_loss(void **state)
{
    (void)state;
    struct homa_tombstones *table = open_table(4);
    struct base_address client = client_number(1);

    for (uint64_t id = 0; id < 4; id++)
        homa_tombstones_add(table, id, KEEP_NS, &client, id);
    for (uint64_t id = 4; id < 8; id++)
        assert_false(homa_tombstones_add(table, id + 2 * KEEP_NS, KEEP_NS, &client, id));
    homa_tombstones_close(table);
}

static void the_capacity_is_rounded_up(void **state)
{
    (void)state;
    struct homa_tombstones *table = open_table(5);
    struct base_address client = client_number(1);

    for (uint64_t id = 0; id < 8; id++)
        assert_false(homa_tombstones_add(table, 0, KEEP_NS, &client, id));
    assert_true(homa_tombstones_add(table, 0, KEEP_NS, &client, 8));
    homa_tombstones_close(table);
}

static void one_grave_is_enough_for_a_table(void **state)
{
    (void)state;
    struct homa_tombstones *table = open_table(1);
    struct base_address client = client_number(1);

    for (uint64_t id = 0; id < 10; id++) {
        assert_int_equal(homa_tombstones_add(table, 0, KEEP_NS, &client, id), id > 0);
        assert_true(homa_tombstones_has(table, 0, &client, id));
    }
    homa_tombstones_close(table);
}

/* Burials at random against a plain list of them: the table holds exactly the last `capacity`. */
static void random_burials_agree_with_a_plain_list(void **state)
{
    (void)state;
    enum {
        CAPACITY = 64,
        BURIALS = 5000
    };
    struct homa_tombstones *table = open_table(CAPACITY);
    struct base_random random = base_random_seed(7);
    struct base_address client = client_number(9);
    static uint64_t times[BURIALS]; /* by id */
    uint64_t now = 0;

    for (uint64_t id = 0; id < BURIALS; id++) {
        now += base_random_below(&random, 40); /* mostly about 50 within their time */
        times[id] = now;
        bool expected_loss = id >= CAPACITY && times[id - CAPACITY] + KEEP_NS > now;

        assert_int_equal(homa_tombstones_add(table, now, KEEP_NS, &client, id), expected_loss);
        uint64_t asked = base_random_below(&random, id + 1);
        bool expected = id - asked < CAPACITY && times[asked] + KEEP_NS > now;

        assert_int_equal(homa_tombstones_has(table, now, &client, asked), expected);
        asked = id - base_random_below(&random, id < 100 ? id + 1 : 100);
        expected = id - asked < CAPACITY && times[asked] + KEEP_NS > now;
        assert_int_equal(homa_tombstones_has(table, now, &client, asked), expected);
    }
    homa_tombstones_close(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_knows_nobody),
        cmocka_unit_test(another_rpc_is_not_taken_for_the_buried_one),
        cmocka_unit_test(the_address_of_ours_does_not_matter),
        cmocka_unit_test(a_tombstone_lasts_its_time_and_no_longer),
        cmocka_unit_test(an_rpc_can_be_buried_again_after_its_time),
        cmocka_unit_test(a_host_in_a_hurry_makes_us_forget_its_own_alone),
        cmocka_unit_test(what_has_expired_goes_before_what_a_crowd_still_needs),
        cmocka_unit_test(a_full_table_forgets_the_oldest_and_says_so),
        cmocka_unit_test(replacing_one_whose_time_is_over_is_no_loss),
        cmocka_unit_test(the_capacity_is_rounded_up),
        cmocka_unit_test(one_grave_is_enough_for_a_table),
        cmocka_unit_test(random_burials_agree_with_a_plain_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
