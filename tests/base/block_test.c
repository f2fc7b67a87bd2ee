/*
 * Blocks: refusals, zeroes, alignment, and that untouched memory is not there.
 */
#include "base/block.h"

#include "support/test.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE ((size_t)64 << 20)

static void a_block_that_overflows_is_refused(void **state)
{
    (void)state;
    assert_null(base_block_new(SIZE_MAX, 2));
    assert_null(base_block_new(SIZE_MAX - 8, 1));
}

static void a_block_that_is_too_large_for_the_machine_is_refused(void **state)
{
    (void)state;
    assert_null(base_block_new(SIZE_MAX / 4, 1));
}

static void freeing_nothing_does_nothing(void **state)
{
    (void)state;
    base_block_free(NULL);
}

static void a_block_is_zeroed_and_aligned(void **state)
{
    (void)state;
    for (size_t size = 1; size < 100000; size = size * 3 + 1) {
        unsigned char *block = base_block_new(size, 3);

        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        for (size_t i = 0; i < 3 * size; i++)
            assert_int_equal(block[i], 0);
        memset(block, 0xff, 3 * size);
        base_block_free(block);
    }
}

/* Pages of [block, block + LARGE) that are in memory, but for the first and last. */
static size_t resident_pages(const void *block)
{
    static unsigned char resident[LARGE / 4096 + 1];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)block + page - 1) / page * page;
    size_t count = 0;

    assert_int_equal(mincore((void *)start, LARGE - page, resident), 0);
    for (size_t i = 0; i < (LARGE - page) / page; i++)
        count += resident[i] & 1;
    return count;
}

static void untouched_memory_is_not_there_not_even_the_second_time(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        unsigned char *block = base_block_new(1, LARGE);

        assert_non_null(block);
        assert_int_equal(resident_pages(block), 0);
        block[LARGE / 2] = 1;
        assert_int_equal(resident_pages(block), 1);
        base_block_free(block);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_that_overflows_is_refused),
        cmocka_unit_test(a_block_that_is_too_large_for_the_machine_is_refused),
        cmocka_unit_test(freeing_nothing_does_nothing),
        cmocka_unit_test(a_block_is_zeroed_and_aligned),
        cmocka_unit_test(untouched_memory_is_not_there_not_even_the_second_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
