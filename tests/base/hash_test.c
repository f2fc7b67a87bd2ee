/* The keyed hash: a sequence that never changes, and bits spread well enough for tables. */
#include "base/hash.h"

#include "support/test.h"

#include <string.h>

/* Undoes base_mix(): the same steps backwards, with the factors' inverses modulo 2^64. */
static uint64_t unmix(uint64_t word)
{
    word ^= word >> 32;
    word *= 0x939c72e4af1e62cfu;
    word ^= word >> 29 ^ word >> 58;
    word *= 0xcfee444d8b59a89bu;
    word ^= word >> 32;
    return word;
}

static void mixing_loses_nothing(void **state)
{
    (void)state;
    for (uint64_t bit = 0; bit < 64; bit++) {
        assert_int_equal(unmix(base_mix((uint64_t)1 << bit)), (uint64_t)1 << bit);
        assert_int_equal(unmix(base_mix(UINT64_MAX >> bit)), UINT64_MAX >> bit);
    }
}

static void mixing_gives_the_same_on_every_machine(void **state)
{
    (void)state;
    assert_int_equal(base_mix(0), 0);
    assert_int_equal(base_mix(1), 0xe8bc15092a6ed3b9u);
    assert_int_equal(base_mix(UINT64_MAX), 0xf9a127ca7e9117d2u);
}

static void hashing_gives_the_same_on_every_machine(void **state)
{
    static const char text[] = "message sockets for Linux";

    (void)state;
    assert_int_equal(base_hash(0, NULL, 0), 0);
    assert_int_equal(base_hash(1, NULL, 0), 0xc31abafe38b52013u);
    assert_int_equal(base_hash(0x0123456789abcdefu, "Homa", 4), 0xa93309d448202805u);
    assert_int_equal(base_hash(0x0123456789abcdefu, text, strlen(text)), 0x3734a520d0505764u);
}

static void hash_does_not_depend_on_alignment(void **state)
{
    _Alignas(8) uint8_t bytes[24 + 8] = {0};
    uint64_t aligned;

    (void)state;
    for (uint8_t i = 0; i < 24; i++)
        bytes[i] = i;
    aligned = base_hash(7, bytes, 23);
    for (size_t shift = 1; shift < 8; shift++) {
        memmove(bytes + shift, bytes + shift - 1, 24);
        assert_int_equal(base_hash(7, bytes + shift, 23), aligned);
    }
}

static void hash_ignores_what_lies_beyond_the_length(void **state)
{
    (void)state;
    assert_int_equal(base_hash(7, "0123456789x", 10), base_hash(7, "0123456789y", 10));
}

static void zeros_of_different_length_hash_differently(void **state)
{
    static const uint8_t zeros[64];

    (void)state;
    for (size_t a = 0; a <= sizeof(zeros); a++) {
        for (size_t b = a + 1; b <= sizeof(zeros); b++)
            assert_int_not_equal(base_hash(5, zeros, a), base_hash(5, zeros, b));
    }
}

/* Half the bits on average, and never nearly none: 64 fair coins fall outside 10 .. 54 in fewer
 * than one of 10^7 throws. */
static void each_bit_of_input_and_key_flips_about_half_of_the_hash(void **state)
{
    uint8_t bytes[40];
    unsigned flipped = 0;
    unsigned cases = 0;

    (void)state;
    memset(bytes, 0x5a, sizeof(bytes));
    for (size_t bit = 0; bit < 8 * sizeof(bytes) + 64; bit++) {
        uint64_t key = 0x1122334455667788u;
        uint64_t before = base_hash(key, bytes, sizeof(bytes));
        uint64_t after;

        if (bit < 8 * sizeof(bytes)) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            after = base_hash(key, bytes, sizeof(bytes));
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        } else {
            after = base_hash(key ^ (uint64_t)1 << (bit - 8 * sizeof(bytes)), bytes, sizeof(bytes));
        }
        unsigned changed = (unsigned)__builtin_popcountll(before ^ after);
        assert_in_range(changed, 10, 54);
        flipped += changed;
        cases++;
    }
    assert_in_range(flipped, 31 * cases, 33 * cases);
}

/* 16,384 consecutive ids in 4,096 buckets: 4 each; chance alone puts 20 into one hardly ever. */
static void consecutive_ids_spread_over_a_table(void **state)
{
    static uint8_t buckets[4096];

    (void)state;
    for (uint64_t id = 0; id < 16384; id++) {
        uint64_t even = 2 * id;
        uint8_t *bucket = &buckets[base_hash(99, &even, sizeof(even)) % 4096];

        (*bucket)++;
        assert_true(*bucket < 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixing_loses_nothing),
        cmocka_unit_test(mixing_gives_the_same_on_every_machine),
        cmocka_unit_test(hashing_gives_the_same_on_every_machine),
        cmocka_unit_test(hash_does_not_depend_on_alignment),
        cmocka_unit_test(hash_ignores_what_lies_beyond_the_length),
        cmocka_unit_test(zeros_of_different_length_hash_differently),
        cmocka_unit_test(each_bit_of_input_and_key_flips_about_half_of_the_hash),
        cmocka_unit_test(consecutive_ids_spread_over_a_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
