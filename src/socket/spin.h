/*
 * Whether a thread that waits should spin before it sleeps. A wake-up on another CPU costs 20-60
 * µs, so spinning pays when what is waited for usually comes within about that time, and when the
 * CPU that it takes is not needed by the one who is to answer. Both are found out by trying: each
 * socket knows how long its waits take with a spin and without, and does what takes less. Pure but
 * for spin_cpus().
 */
#ifndef SOCKET_SPIN_H
#define SOCKET_SPIN_H

#include <stdint.h>
#include <stdbool.h>

/* Averages over the waits of a socket. 0 = no idea yet. */
struct spin {
    uint64_t spun_ns;  /* with a spin, even if it ended asleep */
    uint64_t slept_ns; /* asleep at once */
    uint32_t waits;    /* so far */
    bool has_spun;     /* in the present wait */
};

/*
 * How long to spin in the wait that begins, in ns; 0 = sleep at once. ceiling_us: the poll_usecs
 * knob (HOMA_POLL_AUTO = as it seems best; 0 = never).
 */
uint64_t spin_budget(struct spin *spin, uint32_t ceiling_us);

/* The wait is over; it took so long in all. */
void spin_learn(struct spin *spin, uint64_t waited_ns);

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
