/*
 * A scratch directory for tests that need real files, and short ways to fill it and look at it.
 * Every call fails the running test when it does not succeed.
 */
#ifndef TESTS_CLI_SCRATCH_H
#define TESTS_CLI_SCRATCH_H

#include "support/test.h"

#include <stdbool.h>

struct scratch {
    char path[64];
    int root; /* its descriptor */
};

/* For cmocka's set-up and tear-down: *state is a struct scratch. */
int scratch_open(void **state);
int scratch_close(void **state);

void scratch_file(const struct scratch *scratch, const char *path, const char *text);
void scratch_directory(const struct scratch *scratch, const char *path);
void scratch_link(const struct scratch *scratch, const char *path, const char *target);

/* The whole file as a text in a static buffer; NULL when there is none. */
const char *scratch_read(const struct scratch *scratch, const char *path);

/* Whether there is anything of that name, links not followed. */
bool scratch_exists(const struct scratch *scratch, const char *path);

/* How many entries a directory has, "." and ".." not counted. */
unsigned scratch_count(const struct scratch *scratch, const char *path);

#endif
