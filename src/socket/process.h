/*
 * What all sockets of a process share: the host's scheduler and what is known about the machine.
 * Made with the first socket, never unmade.
 */
#ifndef SOCKET_PROCESS_H
#define SOCKET_PROCESS_H

#include "homa/knobs.h"
#include "homa/sched.h"

#include <stdint.h>
#include <pthread.h>

/* Makes it all, once. Safe in any thread. 0 or a negative errno; then the next call tries again. */
int process_start(const struct homa_knobs *knobs);

/* The scheduler, to be touched under its lock. */
struct homa_sched *process_sched(void);
pthread_mutex_t *process_sched_lock(void);

/* The lock of process_start, for fork. */
void process_lock(void);
void process_unlock(void);

/* CPUs that this process may use; at least 1. */
unsigned process_cpus(void);

/* Something nobody can guess, for seeds. */
uint64_t process_seed(void);

#endif
