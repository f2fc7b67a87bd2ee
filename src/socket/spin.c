/*
 * The rules of spinning, with numbers from measurements on 2-CPU virtual machines:
 *
 *   - The estimate follows what waits took, a quarter of the way each time, so that a few answers
 *     are enough to change one's mind in either direction.
 *   - A wait that slept took a wake-up longer than it would have taken spinning: two peers that
 *     answer each other in 5 µs measure 60-100 µs as long as both sleep. So estimates up to
 *     PAYS_NS are worth a spin; if both sides try it, the estimates fall to what they really are.
 *   - A spin that lost its CPU was in somebody's way, perhaps of the very peer that it waits for.
 *     After that, nobody spins here for a while.
 */
#include "socket/spin.h"

#include "homa/knobs.h"
#include "socket/clock.h"

#include <sched.h>
#include <unistd.h>

#define PAYS_NS       (100 * CLOCK_NS_PER_US)
#define BUDGET_MIN_NS (20 * CLOCK_NS_PER_US)
#define WAITED_MAX_NS (4 * PAYS_NS) /* a pause says that there was one, not that more will come */
#define HOLDOFF_WAITS 64u

uint64_t spin_budget(struct spin *spin, uint32_t ceiling_us)
{
    uint64_t budget = 2 * spin->estimate_ns;
    uint64_t ceiling = ceiling_us == HOMA_POLL_AUTO ? 2 * PAYS_NS : ceiling_us * CLOCK_NS_PER_US;

    if (ceiling == 0)
        return 0;
    if (spin->holdoff > 0) {
        spin->holdoff--;
        return 0;
    }
    /* A program that sets the knob wants its spin, whatever has been learnt. */
    if (ceiling_us != HOMA_POLL_AUTO)
        return ceiling;
    if (spin->estimate_ns == 0 || spin->estimate_ns > PAYS_NS)
        return 0;
    return budget < BUDGET_MIN_NS ? BUDGET_MIN_NS : budget;
}

void spin_learn(struct spin *spin, uint64_t waited_ns, bool was_disturbed)
{
    if (waited_ns == 0)
        waited_ns = 1;
    if (waited_ns > WAITED_MAX_NS)
        waited_ns = WAITED_MAX_NS;
    if (spin->estimate_ns == 0)
        spin->estimate_ns = waited_ns;
    else if (waited_ns > spin->estimate_ns)
        spin->estimate_ns += (waited_ns - spin->estimate_ns + 3) / 4;
    else
        spin->estimate_ns -= (spin->estimate_ns - waited_ns) / 4;
    if (was_disturbed)
        spin->holdoff = HOLDOFF_WAITS;
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
