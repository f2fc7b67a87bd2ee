/*
 * Order statistics. See statistics.h.
 */
#include "bench/statistics.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define OUTSIDE 0.025 /* on each side of a 95 % interval */

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

static double middle(const double *sorted, size_t count)
{
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

double statistics_quantile(double *values, size_t count, double fraction)
{
    size_t rank = (size_t)ceil(fraction * (double)count);

    assert(count > 0);
    qsort(values, count, sizeof(*values), compare);
    if (fraction == 0.5)
        return middle(values, count);
    return values[rank > 0 ? rank - 1 : 0];
}

/*
 * Index of the interval's lower end. Were each value above or below the true median by the toss of
 * a coin, at most `index` of them lie below with a probability of at most OUTSIDE.
 */
static size_t low_index(size_t count)
{
    double exactly = pow(0.5, (double)count); /* the probability of `below` values below */
    double at_most = exactly;
    size_t below = 0;

    while (at_most <= OUTSIDE && below < count / 2) {
        exactly *= (double)(count - below) / (double)(below + 1);
        at_most += exactly;
        below++;
    }
    return below > 0 ? below - 1 : 0;
}

struct interval statistics_interval(double *values, size_t count)
{
    size_t low = 0;

    assert(count > 0);
    qsort(values, count, sizeof(*values), compare);
    low = low_index(count);
    return (struct interval){
        .low = values[low], .median = middle(values, count), .high = values[count - 1 - low]};
}
