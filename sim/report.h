/*
 * Slowdowns as text: tables for people and CSV for programs. Everything is printed from whole
 * numbers, the same on every machine.
 */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

#include "sim/slowdown.h"

#include <stdint.h>
#include <stdio.h>

/* The messages by tenths of their number, and all together. */
void sim_report_table(FILE *file, const struct sim_slowdown *slowdown,
                      const struct sim_workload *workload);

/* The figures to compare policies by, beside the published ones where there are any for this
 * workload and load. Returns 0 or -ENOMEM. */
int sim_report_figures(FILE *file, const struct sim_slowdown *slowdown,
                       const struct sim_workload *workload, uint32_t load_permille);

/* A line of column names, then one a row. */
void sim_report_csv(FILE *file, const struct sim_rows *rows);

#endif
