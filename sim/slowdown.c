/*
 * Samples and rows. Samples are kept as they come; a report copies them as (row, slowdown) pairs in
 * one number each, sorts those once, and reads every row's percentiles off its stretch. Ranks and
 * means are whole numbers, so that a report is the same on every machine.
 */
#include "sim/slowdown.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096u

struct sim_slowdown {
    uint64_t *samples; /* length << 32 | slowdown */
    uint64_t count;
    uint64_t capacity;
};

static uint64_t *allocate(uint64_t *old, uint64_t count)
{
    uint64_t *samples = reallocarray(old, count, sizeof(*samples));

    if (samples == NULL) {
        fprintf(stderr, "missive: there is not enough memory for %llu messages\n",
                (unsigned long long)count);
        exit(EXIT_FAILURE);
    }
    return samples;
}

struct sim_slowdown *sim_slowdown_open(void)
{
    return calloc(1, sizeof(struct sim_slowdown));
}

void sim_slowdown_close(struct sim_slowdown *slowdown)
{
    if (slowdown == NULL)
        return;
    free(slowdown->samples);
    free(slowdown);
}

static void append(struct sim_slowdown *slowdown, uint64_t sample)
{
    if (slowdown->count == slowdown->capacity) {
        slowdown->capacity = slowdown->capacity == 0 ? FIRST_CAPACITY : slowdown->capacity * 2;
        slowdown->samples = allocate(slowdown->samples, slowdown->capacity);
    }
    slowdown->samples[slowdown->count++] = sample;
}

void sim_slowdown_add(struct sim_slowdown *slowdown, uint32_t length, uint64_t elapsed,
                      uint64_t ideal)
{
    assert(ideal != 0);
    unsigned __int128 ratio = ((unsigned __int128)elapsed * SIM_SLOWDOWN_ONE + ideal / 2) / ideal;

    append(slowdown, (uint64_t)length << 32 | (ratio < UINT32_MAX ? (uint32_t)ratio : UINT32_MAX));
}

uint64_t sim_slowdown_count(const struct sim_slowdown *slowdown)
{
    return slowdown->count;
}

/* ---- from process to process ---- */

int sim_slowdown_write(const struct sim_slowdown *slowdown, FILE *file)
{
    if (fwrite(&slowdown->count, sizeof(slowdown->count), 1, file) != 1 ||
        fwrite(slowdown->samples, sizeof(*slowdown->samples), slowdown->count, file) !=
            slowdown->count)
        return -EIO;
    return 0;
}

int sim_slowdown_read(struct sim_slowdown *slowdown, FILE *file)
{
    uint64_t count = 0;
    uint64_t sample = 0;

    if (fread(&count, sizeof(count), 1, file) != 1)
        return -EIO;
    for (; count > 0 && fread(&sample, sizeof(sample), 1, file) == 1; count--)
        append(slowdown, sample);
    return count == 0 ? 0 : -EIO;
}

/* ---- rows ---- */

/* The rank among count values, from 0, of the smallest that so many thousandths do not exceed. */
static uint64_t rank(uint64_t count, uint32_t thousandths)
{
    return (count * thousandths + 999) / 1000 - 1;
}

/* One more row, unless it would be empty: `upper` ends the last one too. */
static void add_row(struct sim_rows *rows, const struct sim_workload *workload, uint32_t upper)
{
    struct sim_row row = {.lower = sim_workload_length(workload, 0), .upper = upper};

    if (rows->count > 0) {
        const struct sim_row *last = &rows->rows[rows->count - 1];

        row.lower = last->upper + 1;
        row.begin_ppm = last->end_ppm;
    }
    if (upper < row.lower)
        return;
    assert(rows->count < SIM_ROWS_MAX);
    row.end_ppm = sim_workload_share(workload, upper);
    rows->rows[rows->count++] = row;
}

static void add_last_row(struct sim_rows *rows, const struct sim_workload *workload)
{
    add_row(rows, workload, sim_workload_length(workload, sim_workload_lengths(workload) - 1));
}

/* A row that ends at this share, or a little nearer to the ends than that, so that the smaller half
 * and the largest hundredth, of which only whole rows count, do not lose one. */
static void add_share(struct sim_rows *rows, const struct sim_workload *workload,
                      uint32_t share_ppm)
{
    uint32_t upper = share_ppm <= SIM_PPM / 2 ? sim_workload_quantile_below(workload, share_ppm)
                                              : sim_workload_quantile(workload, share_ppm);

    add_row(rows, workload, upper);
}

/* The row that takes messages of this length; lengths beyond the workload's go to the ends. */
static uint32_t find_row(const struct sim_rows *rows, uint32_t length)
{
    uint32_t low = 0;
    uint32_t high = rows->count - 1;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (length <= rows->rows[middle].upper)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

/* What a row says of its messages' slowdowns, sorted, in the lower halves of the samples. */
static void summarize(struct sim_row *row, const uint64_t *samples, uint64_t count)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < count; i++)
        sum += (uint32_t)samples[i];
    row->count = count;
    row->mean = (uint32_t)((sum + count / 2) / count);
    row->p50 = (uint32_t)samples[rank(count, 500)];
    row->p99 = (uint32_t)samples[rank(count, 990)];
    row->p999 = (uint32_t)samples[rank(count, 999)];
}

static void fill_rows(const struct sim_slowdown *slowdown, struct sim_rows *rows)
{
    if (slowdown->count == 0)
        return;
    uint64_t *sorted = allocate(NULL, slowdown->count);

    for (uint64_t i = 0; i < slowdown->count; i++) {
        uint64_t row = find_row(rows, (uint32_t)(slowdown->samples[i] >> 32));

        sorted[i] = row << 32 | (uint32_t)slowdown->samples[i];
    }
    qsort(sorted, slowdown->count, sizeof(*sorted), compare);
    for (uint64_t begin = 0, end = 0; begin < slowdown->count; begin = end) {
        while (end < slowdown->count && sorted[end] >> 32 == sorted[begin] >> 32)
            end++;
        summarize(&rows->rows[sorted[begin] >> 32], sorted + begin, end - begin);
    }
    free(sorted);
}

void sim_slowdown_all(const struct sim_slowdown *slowdown, const struct sim_workload *workload,
                      struct sim_rows *rows)
{
    rows->count = 0;
    add_last_row(rows, workload);
    fill_rows(slowdown, rows);
}

void sim_slowdown_tenths(const struct sim_slowdown *slowdown, const struct sim_workload *workload,
                         struct sim_rows *rows)
{
    rows->count = 0;
    for (uint32_t tenth = 1; tenth <= 9; tenth++)
        add_share(rows, workload, tenth * (SIM_PPM / 10));
    add_share(rows, workload, SIM_PPM / 100 * 99);
    add_share(rows, workload, SIM_PPM / 1000 * 999);
    add_last_row(rows, workload);
    fill_rows(slowdown, rows);
}

void sim_slowdown_fine(const struct sim_slowdown *slowdown, const struct sim_workload *workload,
                       const struct sim_rows *published, struct sim_rows *rows)
{
    rows->count = 0;
    if (published != NULL) {
        for (uint32_t i = 0; i < published->count; i++)
            add_row(rows, workload,
                    sim_workload_quantile_near(workload, published->rows[i].end_ppm));
    } else {
        for (uint32_t hundredth = 1; hundredth <= 99; hundredth++)
            add_share(rows, workload, hundredth * (SIM_PPM / 100));
    }
    add_last_row(rows, workload);
    fill_rows(slowdown, rows);
}

/* ---- figures ---- */

struct weighted {
    unsigned __int128 p50;
    unsigned __int128 p99;
    uint64_t count;
};

static void weigh(struct weighted *sum, const struct sim_row *row)
{
    sum->p50 += (unsigned __int128)row->p50 * row->count;
    sum->p99 += (unsigned __int128)row->p99 * row->count;
    sum->count += row->count;
}

static uint32_t mean(unsigned __int128 sum, uint64_t count)
{
    return count == 0 ? 0 : (uint32_t)((sum + count / 2) / count);
}

struct sim_digest sim_rows_digest(const struct sim_rows *rows)
{
    struct weighted half = {0};
    struct weighted largest = {0};

    for (uint32_t i = 0; i < rows->count; i++) {
        if (rows->rows[i].end_ppm <= SIM_PPM / 2)
            weigh(&half, &rows->rows[i]);
        if (rows->rows[i].begin_ppm >= SIM_PPM / 100 * 99)
            weigh(&largest, &rows->rows[i]);
    }
    return (struct sim_digest){
        .half_p50 = mean(half.p50, half.count),
        .half_p99 = mean(half.p99, half.count),
        .largest_p50 = mean(largest.p50, largest.count),
        .largest_p99 = mean(largest.p99, largest.count),
    };
}
