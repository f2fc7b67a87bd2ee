/*
 * Whether a thread that waits should spin before it sleeps. A wake-up on another CPU costs 20-60
 * µs, so spinning pays when what is waited for usually comes within about that time; a spin that
 * ends just before it comes is the worst of both. So each socket keeps an estimate of how long its
 * waits take, spins for twice that, or not at all. Pure but for spin_cpus().
 */
#ifndef SOCKET_SPIN_H
#define SOCKET_SPIN_H

#include <stdint.h>
#include <stdbool.h>

struct spin {
    uint64_t estimate_ns; /* how long a wait takes; 0 = no idea yet */
    uint32_t holdoff;     /* waits to sit out, because the CPU was wanted by others */
};

/*
 * How long to spin now, in ns; 0 = sleep at once. ceiling_us: the poll_usecs knob (HOMA_POLL_AUTO =
 * as the estimate says; 0 = never).
 */
uint64_t spin_budget(struct spin *spin, uint32_t ceiling_us);

/* What became of a wait: it took that long in all; was_disturbed: the spin lost its CPU meanwhile.
 */
void spin_learn(struct spin *spin, uint64_t waited_ns, bool was_disturbed);

/* Tells the CPU that this is a loop of waiting. */
static inline void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* CPUs that this process may use. */
unsigned spin_cpus(void);

#endif
