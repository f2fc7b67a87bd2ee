/* Percentiles against a sorted array of the same values. */
#include "cli/histogram.h"

#include "support/test.h"

#include <stdlib.h>

static struct histogram *make_histogram(void)
{
    struct histogram *histogram = calloc(1, sizeof(*histogram));

    assert_non_null(histogram);
    return histogram;
}

static void an_empty_histogram_has_percentile_zero(void **state)
{
    struct histogram *histogram = make_histogram();

    (void)state;
    assert_int_equal(histogram_percentile(histogram, 0), 0);
    assert_int_equal(histogram_percentile(histogram, 500), 0);
    assert_int_equal(histogram_percentile(histogram, 1000), 0);
    free(histogram);
}

static void extreme_values_have_buckets(void **state)
{
    struct histogram *histogram = make_histogram();

    (void)state;
    histogram_add(histogram, 0);
    histogram_add(histogram, UINT64_MAX);
    assert_int_equal(histogram_percentile(histogram, 500), 0);
    assert_true(histogram_percentile(histogram, 1000) == UINT64_MAX);
    assert_int_equal(histogram->min, 0);
    assert_true(histogram->max == UINT64_MAX);
    free(histogram);
}

static void small_values_are_exact(void **state)
{
    struct histogram *histogram = make_histogram();

    (void)state;
    for (uint64_t value = 1; value <= 100; value++)
        histogram_add(histogram, value);
    assert_int_equal(histogram_percentile(histogram, 0), 1);
    assert_int_equal(histogram_percentile(histogram, 500), 50);
    assert_int_equal(histogram_percentile(histogram, 990), 99);
    assert_int_equal(histogram_percentile(histogram, 999), 100);
    assert_int_equal(histogram_percentile(histogram, 1000), 100);
    free(histogram);
}

static void one_value_is_every_percentile(void **state)
{
    struct histogram *histogram = make_histogram();

    (void)state;
    histogram_add(histogram, 123456789);
    assert_int_equal(histogram_percentile(histogram, 1), 123456789);
    assert_int_equal(histogram_percentile(histogram, 500), 123456789);
    assert_int_equal(histogram_percentile(histogram, 999), 123456789);
    free(histogram);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static void percentiles_are_never_low_and_hardly_high(void **state)
{
    enum {
        COUNT = 5000
    };
    struct histogram *histogram = make_histogram();
    uint64_t values[COUNT];
    uint64_t seed = 1;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        values[i] = (seed >> 20) >> (seed >> 59); /* of all magnitudes */
        histogram_add(histogram, values[i]);
    }
    qsort(values, COUNT, sizeof(values[0]), compare);
    for (unsigned thousandths = 1; thousandths <= 1000; thousandths++) {
        uint64_t exact = values[((size_t)thousandths * COUNT + 999) / 1000 - 1];
        uint64_t found = histogram_percentile(histogram, thousandths);

        assert_true(found >= exact);
        assert_true(found - exact <= exact / 2000);
    }
    free(histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_histogram_has_percentile_zero),
        cmocka_unit_test(extreme_values_have_buckets),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(one_value_is_every_percentile),
        cmocka_unit_test(percentiles_are_never_low_and_hardly_high),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
