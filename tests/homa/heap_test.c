#include "homa/heap.h"

#include "base/random.h"
#include "support/test.h"

#include <stdlib.h>

#define RPCS 100

static struct homa_rpc *rpcs[RPCS];

static int make_rpcs(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RPCS; i++)
        rpcs[i] = calloc(1, sizeof(struct homa_rpc));
    return 0;
}

static int free_rpcs(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RPCS; i++)
        free(rpcs[i]);
    return 0;
}

static struct homa_heap open_heap(enum homa_heap_kind kind)
{
    struct homa_heap heap;

    assert_int_equal(homa_heap_open(&heap, kind, RPCS), 0);
    return heap;
}

static void an_empty_heap_has_no_first(void **state)
{
    struct homa_heap heap = open_heap(HOMA_HEAP_TIMER);

    (void)state;
    assert_null(homa_heap_first(&heap));
    assert_int_equal(homa_heap_first_key(&heap), UINT64_MAX);
    assert_int_equal(homa_heap_key(&heap, rpcs[0]), UINT64_MAX);
    homa_heap_close(&heap);
}

static void removing_what_is_not_in_changes_nothing(void **state)
{
    struct homa_heap heap = open_heap(HOMA_HEAP_TIMER);

    (void)state;
    homa_heap_set(&heap, rpcs[0], 5);
    homa_heap_remove(&heap, rpcs[1]);
    assert_ptr_equal(homa_heap_first(&heap), rpcs[0]);
    homa_heap_remove(&heap, rpcs[0]);
    homa_heap_remove(&heap, rpcs[0]);
    assert_int_equal(heap.count, 0);
    homa_heap_close(&heap);
}

static void a_zeroed_heap_may_be_closed(void **state)
{
    struct homa_heap heap = {0};

    (void)state;
    homa_heap_close(&heap);
}

static void setting_again_moves_an_rpc_both_ways(void **state)
{
    struct homa_heap heap = open_heap(HOMA_HEAP_SEND);

    (void)state;
    homa_heap_set(&heap, rpcs[0], 10);
    homa_heap_set(&heap, rpcs[1], 20);
    homa_heap_set(&heap, rpcs[0], 30);
    assert_ptr_equal(homa_heap_first(&heap), rpcs[1]);
    assert_int_equal(homa_heap_key(&heap, rpcs[0]), 30);
    homa_heap_set(&heap, rpcs[0], 1);
    assert_ptr_equal(homa_heap_first(&heap), rpcs[0]);
    assert_int_equal(heap.count, 2);
    homa_heap_remove(&heap, rpcs[0]);
    homa_heap_remove(&heap, rpcs[1]);
    homa_heap_close(&heap);
}

static void an_rpc_can_be_in_several_heaps(void **state)
{
    struct homa_heap timers = open_heap(HOMA_HEAP_TIMER);
    struct homa_heap senders = open_heap(HOMA_HEAP_SEND);

    (void)state;
    homa_heap_set(&timers, rpcs[0], 1);
    homa_heap_set(&senders, rpcs[0], 2);
    homa_heap_remove(&timers, rpcs[0]);
    assert_false(homa_heap_has(&timers, rpcs[0]));
    assert_true(homa_heap_has(&senders, rpcs[0]));
    homa_heap_remove(&senders, rpcs[0]);
    homa_heap_close(&senders);
    homa_heap_close(&timers);
}

/* Against a plain array that is searched. */
static void the_first_is_always_the_smallest(void **state)
{
    struct base_random random = base_random_seed(4);
    struct homa_heap heap = open_heap(HOMA_HEAP_OLDEST);
    uint64_t keys[RPCS];

    (void)state;
    for (unsigned i = 0; i < RPCS; i++)
        keys[i] = UINT64_MAX;
    for (unsigned turn = 0; turn < 20000; turn++) {
        unsigned which = (unsigned)base_random_below(&random, RPCS);
        uint64_t least = UINT64_MAX;

        if (base_random_below(&random, 3) == 0) {
            keys[which] = UINT64_MAX;
            homa_heap_remove(&heap, rpcs[which]);
        } else {
            keys[which] = base_random_below(&random, 1000);
            homa_heap_set(&heap, rpcs[which], keys[which]);
        }
        for (unsigned i = 0; i < RPCS; i++)
            least = keys[i] < least ? keys[i] : least;
        assert_int_equal(homa_heap_first_key(&heap), least);
        assert_int_equal(homa_heap_key(&heap, rpcs[which]), keys[which]);
        homa_heap_check(&heap);
    }
    while (homa_heap_first(&heap) != NULL)
        homa_heap_remove(&heap, homa_heap_first(&heap));
    homa_heap_close(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_heap_has_no_first),
        cmocka_unit_test(removing_what_is_not_in_changes_nothing),
        cmocka_unit_test(a_zeroed_heap_may_be_closed),
        cmocka_unit_test(setting_again_moves_an_rpc_both_ways),
        cmocka_unit_test(an_rpc_can_be_in_several_heaps),
        cmocka_unit_test(the_first_is_always_the_smallest),
    };

    return cmocka_run_group_tests(tests, make_rpcs, free_rpcs);
}
