/*
 * Reads the published rows out of the embedded tables. Those are our own files, tested whole, so a
 * record that does not read is a mistake in the build and not of a user.
 */
#include "sim/published.h"

#include "sim/data.h"
#include "sim/tsv.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum column {
    TRANSPORT,
    LOAD,
    WORKLOAD,
    UPPER,
    PERCENT,
    CUMULATIVE,
    MEAN,
    P50,
    P99,
    COLUMNS
};

enum half_column {
    HALF_P50 = WORKLOAD + 1,
    HALF_P99,
    HALF_COLUMNS
};

/* A field in units of 10^exponent; 0 for what is no number. */
static uint64_t number(const struct sim_field *field, int32_t exponent)
{
    struct sim_decimal decimal;
    uint64_t value = 0;

    if (sim_field_decimal(field, &decimal) != 0 || sim_decimal_in(&decimal, exponent, &value) != 0)
        return 0;
    return value;
}

/* Whether the record is of this workload, which it writes with a capital, at this load. */
static bool is_about(const struct sim_tsv *tsv, const char *workload, uint32_t load_permille)
{
    const struct sim_field *name = &tsv->fields[WORKLOAD];

    return workload[0] == 'w' && name->text[0] == 'W' && strlen(workload) == name->length &&
           memcmp(workload + 1, name->text + 1, name->length - 1) == 0 &&
           number(&tsv->fields[LOAD], -3) == load_permille;
}

/* The transport's curve, a new one if need be. */
static struct sim_curve *find_curve(struct sim_published *published, const struct sim_field *name)
{
    for (uint32_t i = 0; i < published->count; i++) {
        if (sim_field_is(name, published->curves[i].transport))
            return &published->curves[i];
    }
    assert(published->count < SIM_CURVES_MAX && name->length < SIM_TRANSPORT_BYTES);
    struct sim_curve *curve = &published->curves[published->count++];
    memcpy(curve->transport, name->text, name->length);
    return curve;
}

static void add_row(struct sim_rows *rows, const struct sim_tsv *tsv)
{
    const struct sim_field *fields = tsv->fields;
    struct sim_row row = {
        .lower = 1,
        .upper = (uint32_t)number(&fields[UPPER], 0),
        .end_ppm = (uint32_t)number(&fields[CUMULATIVE], -4),
        .count = number(&fields[PERCENT], -7),
        .mean = (uint32_t)number(&fields[MEAN], -3),
        .p50 = (uint32_t)number(&fields[P50], -3),
        .p99 = (uint32_t)number(&fields[P99], -3),
    };
    uint32_t share_ppm = (uint32_t)number(&fields[PERCENT], -4);

    /* The first rows of some curves are missing, so a row begins where its own share says. */
    row.begin_ppm = row.end_ppm > share_ppm ? row.end_ppm - share_ppm : 0;
    if (rows->count > 0) {
        row.lower = rows->rows[rows->count - 1].upper + 1;
        row.begin_ppm = rows->rows[rows->count - 1].end_ppm;
    }
    assert(rows->count < SIM_ROWS_MAX);
    rows->rows[rows->count++] = row;
}

int sim_published_open(const char *workload, uint32_t load_permille,
                       struct sim_published **published)
{
    struct sim_tsv tsv = sim_tsv_begin(sim_data("slowdown-load80"));

    *published = calloc(1, sizeof(**published));
    if (*published == NULL)
        return -ENOMEM;
    while (sim_tsv_next(&tsv)) {
        assert(tsv.count == COLUMNS);
        if (is_about(&tsv, workload, load_permille))
            add_row(&find_curve(*published, &tsv.fields[TRANSPORT])->rows, &tsv);
    }
    return 0;
}

void sim_published_close(struct sim_published *published)
{
    free(published);
}

const struct sim_rows *sim_published_rows(const struct sim_published *published,
                                          const char *transport)
{
    for (uint32_t i = 0; i < published->count; i++) {
        if (strcmp(published->curves[i].transport, transport) == 0)
            return &published->curves[i].rows;
    }
    return NULL;
}

int sim_published_half(const char *workload, uint32_t load_permille, const char *transport,
                       uint32_t *p50, uint32_t *p99)
{
    struct sim_tsv tsv = sim_tsv_begin(sim_data("half-load80"));

    while (sim_tsv_next(&tsv)) {
        assert(tsv.count == HALF_COLUMNS);
        if (is_about(&tsv, workload, load_permille) &&
            sim_field_is(&tsv.fields[TRANSPORT], transport)) {
            *p50 = (uint32_t)number(&tsv.fields[HALF_P50], -3);
            *p99 = (uint32_t)number(&tsv.fields[HALF_P99], -3);
            return 0;
        }
    }
    return -ENOENT;
}
