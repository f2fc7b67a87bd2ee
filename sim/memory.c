/* Memory for simulated hosts (memory.h). Nothing is address space that is reserved and forbidden.
 */
#include "sim/memory.h"

#include "sim/world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE         4096u
#define NOTHING_SIZE (UINT64_C(1) << 31)

void sim_out_of_memory(void)
{
    fprintf(stderr, "missive sim: there is not enough memory for a world of this size\n");
    exit(EXIT_FAILURE);
}

void *sim_allocate(size_t count, size_t size)
{
    void *made = calloc(count, size);

    if (made == NULL)
        sim_out_of_memory();
    return made;
}

uint8_t *sim_memory_region(uint64_t length)
{
    void *base = mmap(NULL, length, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED)
        sim_out_of_memory();
    return base;
}

void sim_memory_free_region(uint8_t *base, uint64_t length)
{
    if (base != NULL)
        munmap(base, length);
}

/* One page, and nothing behind it. */
static uint8_t *page_before_nowhere(void)
{
    static uint8_t *page;

    if (page != NULL)
        return page;
    void *base = mmap(NULL, PAGE + NOTHING_SIZE, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED || mprotect(base, PAGE, PROT_READ | PROT_WRITE) != 0)
        sim_out_of_memory();
    page = base;
    return page;
}

const uint8_t *sim_memory_nowhere(void)
{
    return page_before_nowhere() + PAGE;
}

const uint8_t *sim_memory_before_nowhere(const uint8_t *bytes, size_t length)
{
    uint8_t *to = page_before_nowhere() + PAGE - length;

    assert(length <= PAGE);
    memcpy(to, bytes, length);
    return to;
}
