/*
 * The process's part: set up under a lock by whoever comes first. A fork's child has a copy of all
 * this, which stays valid: the scheduler is plain memory (fork.c sees to the lock).
 */
#include "socket/process.h"

#include "socket/clock.h"
#include "socket/fork.h"
#include "socket/spin.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/random.h>

/* Long messages (those that need grants) that can be on their way to this process at a time. */
#define SCHED_MESSAGES_MAX 65536u

static struct {
    pthread_mutex_t lock;
    pthread_mutex_t sched_lock;
    struct homa_sched *sched;
    unsigned cpus;
    bool has_fork_handlers;
} process = {.lock = PTHREAD_MUTEX_INITIALIZER, .sched_lock = PTHREAD_MUTEX_INITIALIZER, .cpus = 1};

int process_start(const struct homa_knobs *knobs)
{
    int result = 0;

    process_lock();
    if (process.sched == NULL) {
        process.cpus = spin_cpus();
        result = homa_sched_open(&process.sched, knobs, SCHED_MESSAGES_MAX);
    }
    if (result == 0 && !process.has_fork_handlers) {
        result = fork_install();
        process.has_fork_handlers = result == 0;
    }
    process_unlock();
    return result;
}

void process_lock(void)
{
    (void)pthread_mutex_lock(&process.lock);
}

void process_unlock(void)
{
    (void)pthread_mutex_unlock(&process.lock);
}

struct homa_sched *process_sched(void)
{
    return process.sched;
}

pthread_mutex_t *process_sched_lock(void)
{
    return &process.sched_lock;
}

unsigned process_cpus(void)
{
    return process.cpus;
}

uint64_t process_seed(void)
{
    uint64_t seed = 0;

    /* Never short for so few bytes; without it, the time must do. */
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
        seed = clock_now() * 0x9e3779b97f4a7c15u;
    return seed;
}
