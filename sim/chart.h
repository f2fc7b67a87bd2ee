/*
 * Slowdown against message size as a picture (SVG), drawn as the Homa paper draws it: the x axis is
 * linear in the number of messages and labelled with their sizes, the y axis is logarithmic. The
 * file needs nothing but a browser.
 */
#ifndef SIM_CHART_H
#define SIM_CHART_H

#include "sim/published.h"
#include "sim/slowdown.h"
#include "sim/workload.h"

#include <stdint.h>
#include <stdio.h>

#define SIM_SERIES_MAX 6u

/* One run: its p99 is a thick line, its p50 a thick dashed one. */
struct sim_series {
    const char *label; /* any text */
    const struct sim_rows *rows;
};

struct sim_chart {
    const char *title;
    const char *subtitle; /* may be NULL */
    const struct sim_workload *workload;
    const struct sim_series *series;
    uint32_t series_count;                 /* at most SIM_SERIES_MAX */
    const struct sim_published *published; /* thin lines; NULL or without curves: none */
};

/* Errors of the file are the caller's to see (ferror). */
void sim_chart_draw(FILE *file, const struct sim_chart *chart);

#endif
