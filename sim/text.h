/*
 * Text that grows in a buffer until it is full; what no longer fits is left out, and the text is
 * always terminated. For the lines and descriptions that runs are told in.
 */
#ifndef SIM_TEXT_H
#define SIM_TEXT_H

#include "sim/clock.h"

#include <stddef.h>
#include <stdint.h>

struct sim_text {
    char *at;    /* where the next character goes */
    size_t left; /* bytes from there on, the terminating one included; at least 1 */
    char *begin;
};

/* size must not be 0. */
struct sim_text sim_text_begin(char *buffer, size_t size);

void sim_text_add(struct sim_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Microseconds with three digits after the point. */
void sim_text_add_us(struct sim_text *text, sim_time time);

/* Blanks up to this column (from 0), or one if the text is already there. */
void sim_text_pad(struct sim_text *text, size_t column);

#endif
