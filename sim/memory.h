/*
 * Memory for simulated hosts: receive regions, and addresses at which there is nothing, for worlds
 * in which no payload is carried: whoever reads a byte there ends the process, which proves that
 * nobody does.
 */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* A region of zeros, page-aligned. Ends the process when there is no memory. */
uint8_t *sim_memory_region(uint64_t length);
/* NULL is allowed. */
void sim_memory_free_region(uint8_t *base, uint64_t length);

/* Gigabytes of nothing. */
const uint8_t *sim_memory_nowhere(void);

/* A copy of the bytes (up to a page) right before nothing; valid until the next call. */
const uint8_t *sim_memory_before_nowhere(const uint8_t *bytes, size_t length);

#endif
