/*
 * Reading of tables in text: one record a line, fields separated by blanks or tabs, lines that are
 * empty or begin with '#' skipped. Numbers are decimal and kept exactly, so that what is made of
 * them is the same on every machine.
 */
#ifndef SIM_TSV_H
#define SIM_TSV_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define SIM_FIELDS_MAX 12u

struct sim_field {
    const char *text; /* not NUL-terminated */
    size_t length;
};

struct sim_tsv {
    const char *next; /* where the rest of the text begins */
    uint32_t line;    /* of the current record, from 1 */
    uint32_t count;   /* of its fields, those beyond SIM_FIELDS_MAX included */
    struct sim_field fields[SIM_FIELDS_MAX];
};

/* digits × 10^exponent; digits do not end in 0, unless they are 0. */
struct sim_decimal {
    uint64_t digits;
    int32_t exponent;
};

/* The text must outlive the reader and its fields. */
struct sim_tsv sim_tsv_begin(const char *text);

/* Moves on to the next record. False at the end of the text. */
bool sim_tsv_next(struct sim_tsv *tsv);

bool sim_field_is(const struct sim_field *field, const char *text);

/*
 * Reads "12", "0.5", ".5" or "1.7e-06", without sign. Returns 0; -EINVAL (no such number); -ERANGE
 * (more than 18 digits from the first that is not 0, or an exponent of more than three).
 */
int sim_field_decimal(const struct sim_field *field, struct sim_decimal *decimal);

/* Reads a whole number of at most `highest`. Returns 0, -EINVAL or -ERANGE. */
int sim_field_integer(const struct sim_field *field, uint64_t highest, uint64_t *value);

/*
 * The number in units of 10^exponent, rounded to the nearest where it is finer (a half goes up).
 * Returns 0, or -ERANGE when 64 bits do not hold it.
 */
int sim_decimal_in(const struct sim_decimal *decimal, int32_t exponent, uint64_t *value);

#endif
