/*
 * Virtual time: a clock that jumps from one alarm to the next. Everything that happens in a
 * simulated world happens because an alarm rings, and alarms ring in one order that nothing but the
 * run itself decides: by time, and those of one instant in the order in which they were set. That
 * is what makes a run the same on every machine.
 *
 * Alarms are embedded in what they belong to, so that setting, moving and cancelling one allocates
 * nothing. Those of the next few microseconds are in a wheel of slots, one per nanosecond or so, in
 * which both ends of their life cost a handful of instructions; later ones wait in a heap and move
 * to the wheel as time comes near them.
 */
#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include <stdint.h>
#include <stdbool.h>

/* Picoseconds since the world began: a byte takes a whole number of them on every link. */
typedef uint64_t sim_time;

#define SIM_NS    UINT64_C(1000)
#define SIM_US    UINT64_C(1000000)
#define SIM_MS    UINT64_C(1000000000)
#define SIM_S     UINT64_C(1000000000000)
#define SIM_NEVER UINT64_MAX

struct sim_alarm;
struct sim_clock;

/* Called when the alarm's time has come; it is no longer set then and may be set again. */
typedef void sim_ring(struct sim_alarm *alarm);

/* The owner sets `ring` once (sim_alarm_init); everything else belongs to the clock. */
struct sim_alarm {
    sim_time at; /* SIM_NEVER: not set */
    uint64_t order;
    struct sim_alarm *next; /* in its slot of the wheel, by (at, order) */
    struct sim_alarm *previous;
    sim_ring *ring;
    uint32_t heap_place; /* index + 1 in the heap; 0 = in the wheel, or not set */
};

/* Returns NULL when there is no memory. */
struct sim_clock *sim_clock_open(void);
/* Alarms that are still set are forgotten. NULL is allowed. */
void sim_clock_close(struct sim_clock *clock);

sim_time sim_clock_now(const struct sim_clock *clock);

void sim_alarm_init(struct sim_alarm *alarm, sim_ring *ring);

/* Sets or moves the alarm. A time gone by means now. Runs out of memory: ends the process, as all
 * of sim/ does when its world outgrows the machine. */
void sim_alarm_set(struct sim_clock *clock, struct sim_alarm *alarm, sim_time at);
void sim_alarm_cancel(struct sim_clock *clock, struct sim_alarm *alarm);

static inline bool sim_alarm_is_set(const struct sim_alarm *alarm)
{
    return alarm->at != SIM_NEVER;
}

/* Moves to the next alarm and rings it, if there is one at `until` or before. Returns whether there
 * was; if not, time is now `until`. */
bool sim_clock_step(struct sim_clock *clock, sim_time until);

/* Steps until nothing is left to ring at `until` or before. */
void sim_clock_run(struct sim_clock *clock, sim_time until);

/* When the next alarm rings; SIM_NEVER = none is set. */
sim_time sim_clock_next(const struct sim_clock *clock);

#endif
