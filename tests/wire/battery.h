/*
 * The battery: what every wire must do, whatever carries it. Each carrier's test file runs it over
 * its kinds of wire.
 */
#ifndef WIRE_BATTERY_H
#define WIRE_BATTERY_H

#include "pair.h"

/* Runs all tests over a fresh pair of this kind each. Returns the number that failed. */
int battery_run(const struct wire_kind *kind);

#endif
