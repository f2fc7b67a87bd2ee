/*
 * Failures kept for the next call: room, order, and who gets which.
 */
#include "socket/deferred.h"

#include "support/test.h"

static struct homa_message failure_of(uint64_t id)
{
    return (struct homa_message){.id = id, .error = 5};
}

static void there_is_room_for_so_many_and_no_more(void **state)
{
    struct deferred deferred = {0};

    (void)state;
    for (int i = 0; i < DEFERRED_MAX; i++)
        assert_true(deferred_reserve(&deferred));
    assert_false(deferred_reserve(&deferred));
    deferred_unreserve(&deferred);
    assert_true(deferred_reserve(&deferred));
}

static void what_is_kept_takes_room(void **state)
{
    struct deferred deferred = {0};
    struct homa_message failure = failure_of(2);

    (void)state;
    for (int i = 0; i < DEFERRED_MAX; i++) {
        assert_true(deferred_reserve(&deferred));
        deferred_put(&deferred, &failure, false);
        deferred_unreserve(&deferred);
    }
    assert_false(deferred_reserve(&deferred));
    assert_true(deferred_take(&deferred, 0, &failure));
    assert_true(deferred_reserve(&deferred));
}

static void private_failures_come_only_to_who_asks_for_them(void **state)
{
    struct deferred deferred = {0};
    struct homa_message failures[3] = {failure_of(2), failure_of(4), failure_of(6)};
    struct homa_message found;

    (void)state;
    deferred_put(&deferred, &failures[0], true);
    deferred_put(&deferred, &failures[1], false);
    deferred_put(&deferred, &failures[2], false);
    assert_int_equal(deferred.shared, 2);
    assert_false(deferred_take(&deferred, 8, &found));
    assert_true(deferred_take(&deferred, 0, &found));
    assert_int_equal(found.id, 4);
    assert_true(deferred_take(&deferred, 2, &found));
    assert_int_equal(found.id, 2);
    assert_int_equal(deferred.shared, 1);
    assert_true(deferred_take(&deferred, 0, &found));
    assert_int_equal(found.id, 6);
    assert_false(deferred_take(&deferred, 0, &found));
    assert_int_equal(deferred.count, 0);
    assert_int_equal(deferred.shared, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_room_for_so_many_and_no_more),
        cmocka_unit_test(what_is_kept_takes_room),
        cmocka_unit_test(private_failures_come_only_to_who_asks_for_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
