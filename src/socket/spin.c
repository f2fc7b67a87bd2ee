/*
 * The rules, with numbers from measurements on 2-CPU virtual machines:
 *
 *   - An average moves a quarter of the way to each new wait, so that a few answers are enough to
 *     change one's mind; but a wait counts at most four times as long as the average before it, so
 *     that one pause is not enough.
 *   - Two peers that answer each other in 5 µs measure 60-100 µs as long as both sleep, about 40 as
 *     soon as one of them spins, and 6 when both do. So waits of up to PAYS_NS are worth a trial,
 *     and each side finds that spinning takes less, whatever the other does.
 *   - If the peer needs the CPU that the spin takes, the trial shows the opposite.
 *   - The spin lasts twice as long as waits with a spin take: one that ends shortly before the
 *     message comes is the worst of both.
 */
#include "socket/spin.h"

#include "homa/knobs.h"
#include "socket/clock.h"

#include <sched.h>
#include <unistd.h>

#define PAYS_NS       (150 * CLOCK_NS_PER_US)
#define BUDGET_MIN_NS (20 * CLOCK_NS_PER_US)
#define BUDGET_MAX_NS (200 * CLOCK_NS_PER_US)
#define WAITED_MAX_NS (400 * CLOCK_NS_PER_US)

/* Every so many waits, the other way is tried again. */
#define TRIAL_WAITS 32u

static bool is_spin_better(const struct spin *spin)
{
    return spin->spun_ns != 0 && spin->spun_ns < PAYS_NS &&
           (spin->slept_ns == 0 || spin->spun_ns < spin->slept_ns - spin->slept_ns / 8);
}

/* Whether the present wait is for trying what seems worse. */
static bool is_trial(const struct spin *spin, bool is_better)
{
    if (is_better)
        return spin->waits % TRIAL_WAITS == 0;
    /* What takes long asleep takes long awake. */
    if (spin->slept_ns == 0 || spin->slept_ns > PAYS_NS)
        return false;
    return spin->spun_ns == 0 || spin->waits % TRIAL_WAITS == 0;
}

uint64_t spin_budget(struct spin *spin, uint32_t ceiling_us)
{
    bool is_better = is_spin_better(spin);
    uint64_t budget = 2 * spin->spun_ns;

    spin->waits++;
    spin->has_spun = ceiling_us != 0 && is_better != is_trial(spin, is_better);
    if (!spin->has_spun)
        return 0;
    /* A trial must have the time to show something. */
    if (!is_better)
        budget = BUDGET_MAX_NS;
    if (budget < BUDGET_MIN_NS)
        budget = BUDGET_MIN_NS;
    if (budget > BUDGET_MAX_NS)
        budget = BUDGET_MAX_NS;
    if (ceiling_us != HOMA_POLL_AUTO && budget > ceiling_us * CLOCK_NS_PER_US)
        budget = ceiling_us * CLOCK_NS_PER_US;
    return budget;
}

void spin_learn(struct spin *spin, uint64_t waited_ns)
{
    uint64_t *average = spin->has_spun ? &spin->spun_ns : &spin->slept_ns;

    if (waited_ns == 0)
        waited_ns = 1;
    if (*average != 0 && waited_ns > 4 * *average && waited_ns > BUDGET_MIN_NS)
        waited_ns = 4 * *average > BUDGET_MIN_NS ? 4 * *average : BUDGET_MIN_NS;
    if (waited_ns > WAITED_MAX_NS)
        waited_ns = WAITED_MAX_NS;
    if (*average == 0)
        *average = waited_ns;
    else if (waited_ns > *average)
        *average += (waited_ns - *average + 3) / 4;
    else
        *average -= (*average - waited_ns) / 4;
}

unsigned spin_cpus(void)
{
    cpu_set_t set;
    long online = 0;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    online = sysconf(_SC_NPROCESSORS_ONLN); /* more CPUs than the set has room for */
    return online > 0 ? (unsigned)online : 1;
}
