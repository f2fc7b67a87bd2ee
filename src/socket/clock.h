/*
 * The one clock of the socket layer: nanoseconds of CLOCK_MONOTONIC. Engines, wires, waits and the
 * progress thread all speak of the same time. Read through the vdso: no system call.
 */
#ifndef SOCKET_CLOCK_H
#define SOCKET_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NEVER         UINT64_MAX
#define CLOCK_NS_PER_SECOND UINT64_C(1000000000)
#define CLOCK_NS_PER_MS     UINT64_C(1000000)
#define CLOCK_NS_PER_US     UINT64_C(1000)

static inline uint64_t clock_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CLOCK_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static inline struct timespec clock_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / CLOCK_NS_PER_SECOND),
                             .tv_nsec = (long)(ns % CLOCK_NS_PER_SECOND)};
}

/* Later by `more` than `now`, without passing the end of time. */
static inline uint64_t clock_after(uint64_t now, uint64_t more)
{
    return more > CLOCK_NEVER - now ? CLOCK_NEVER : now + more;
}

#endif
