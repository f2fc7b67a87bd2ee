/* The object pool: bounded, reusable, and objects that keep their place and never overlap. */
#include "base/pool.h"

#include "support/test.h"

#include <errno.h>
#include <string.h>

#define CAPACITY 100u

/* The sanitizers are to return NULL, as the C library does, where memory cannot be had. */
#define SEEN_BY_SANITIZERS __attribute__((visibility("default")))

SEEN_BY_SANITIZERS const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

SEEN_BY_SANITIZERS const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static int open_pool(void **state)
{
    static struct base_pool pool;

    *state = &pool;
    return base_pool_open(&pool, 24, CAPACITY);
}

static int close_pool(void **state)
{
    base_pool_close(*state);
    return 0;
}

static void memory_that_cannot_be_had_is_said_so(void **state)
{
    struct base_pool pool;

    (void)state;
    assert_int_equal(base_pool_open(&pool, SIZE_MAX / 2, CAPACITY), -ENOMEM);
    base_pool_close(&pool);
}

static void a_pool_never_opened_may_be_closed(void **state)
{
    struct base_pool pool = {0};

    (void)state;
    base_pool_close(&pool);
    assert_null(pool.objects);
}

static void no_more_objects_than_the_capacity(void **state)
{
    struct base_pool *pool = *state;

    for (uint32_t i = 0; i < CAPACITY; i++)
        assert_non_null(base_pool_take(pool));
    assert_null(base_pool_take(pool));
    assert_null(base_pool_take(pool));
    assert_int_equal(pool->in_use, CAPACITY);
}

static void a_closed_pool_has_no_objects(void **state)
{
    struct base_pool pool;

    (void)state;
    assert_int_equal(base_pool_open(&pool, 1, 1), 0);
    base_pool_close(&pool);
    assert_null(base_pool_take(&pool));
}

static void an_object_given_back_can_be_taken_again(void **state)
{
    struct base_pool *pool = *state;
    void *objects[CAPACITY];

    for (uint32_t i = 0; i < CAPACITY; i++)
        objects[i] = base_pool_take(pool);
    base_pool_give(pool, objects[17]);
    base_pool_give(pool, objects[3]);
    assert_int_equal(pool->in_use, CAPACITY - 2);
    assert_ptr_equal(base_pool_take(pool), objects[3]);
    assert_ptr_equal(base_pool_take(pool), objects[17]);
    assert_null(base_pool_take(pool));
}

static void used_objects_come_before_untouched_memory(void **state)
{
    struct base_pool *pool = *state;
    void *first = base_pool_take(pool);

    base_pool_give(pool, first);
    assert_ptr_equal(base_pool_take(pool), first);
    assert_int_equal(pool->touched, 1);
}

static void objects_are_aligned_and_do_not_overlap(void **state)
{
    struct base_pool *pool = *state;
    uint8_t *objects[CAPACITY];

    for (uint32_t i = 0; i < CAPACITY; i++) {
        objects[i] = base_pool_take(pool);
        assert_int_equal((uintptr_t)objects[i] % 16, 0);
        memset(objects[i], (int)i, 24);
    }
    for (uint32_t i = 0; i < CAPACITY; i++) {
        for (size_t at = 0; at < 24; at++)
            assert_int_equal(objects[i][at], i);
    }
}

static void taking_and_giving_leave_other_objects_alone(void **state)
{
    struct base_pool *pool = *state;
    uint8_t *kept = base_pool_take(pool);

    memset(kept, 0x77, 24);
    for (int round = 0; round < 3; round++) {
        void *a = base_pool_take(pool);
        void *b = base_pool_take(pool);

        memset(a, 0xff, 24);
        memset(b, 0xff, 24);
        base_pool_give(pool, a);
        base_pool_give(pool, b);
    }
    for (size_t at = 0; at < 24; at++)
        assert_int_equal(kept[at], 0x77);
    assert_int_equal(pool->in_use, 1);
}

static void an_index_names_its_object(void **state)
{
    struct base_pool *pool = *state;

    for (uint32_t i = 0; i < CAPACITY; i++) {
        void *object = base_pool_take(pool);
        uint32_t index = base_pool_index(pool, object);

        assert_true(index < CAPACITY);
        assert_ptr_equal(base_pool_at(pool, index), object);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_cannot_be_had_is_said_so),
        cmocka_unit_test(a_pool_never_opened_may_be_closed),
        cmocka_unit_test_setup_teardown(no_more_objects_than_the_capacity, open_pool, close_pool),
        cmocka_unit_test(a_closed_pool_has_no_objects),
        cmocka_unit_test_setup_teardown(an_object_given_back_can_be_taken_again, open_pool,
                                        close_pool),
        cmocka_unit_test_setup_teardown(used_objects_come_before_untouched_memory, open_pool,
                                        close_pool),
        cmocka_unit_test_setup_teardown(objects_are_aligned_and_do_not_overlap, open_pool,
                                        close_pool),
        cmocka_unit_test_setup_teardown(taking_and_giving_leave_other_objects_alone, open_pool,
                                        close_pool),
        cmocka_unit_test_setup_teardown(an_index_names_its_object, open_pool, close_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
