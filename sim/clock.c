/*
 * The clock (clock.h): a wheel for what is near and a heap for what is far.
 *
 * The wheel has a slot for each of the next SLOTS ticks of 1,024 ps. A slot's alarms form a list by
 * (at, order); there are a few in each at most, so that a new one finds its place by looking at the
 * last ones first. A bitmap tells which slots have any. Alarms beyond the wheel's reach are in a
 * binary heap; whenever time moves on, those that have come within reach move over, so that the
 * next alarm of all is always the wheel's first, if the wheel has any.
 */
#include "sim/clock.h"

#include "sim/world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_BITS 10u
#define SLOTS     16384u
#define WORDS     (SLOTS / 64)

struct slot {
    struct sim_alarm *first;
    struct sim_alarm *last;
};

struct sim_clock {
    sim_time now;
    uint64_t order;
    uint64_t tick;    /* of the wheel's first slot: now's */
    uint32_t wheeled; /* alarms in the wheel */
    uint32_t heaped;
    uint32_t heap_room;
    struct sim_alarm **heap;
    uint64_t occupied[WORDS];
    struct slot slots[SLOTS];
};

struct sim_clock *sim_clock_open(void)
{
    return calloc(1, sizeof(struct sim_clock));
}

void sim_clock_close(struct sim_clock *clock)
{
    if (clock == NULL)
        return;
    free(clock->heap);
    free(clock);
}

sim_time sim_clock_now(const struct sim_clock *clock)
{
    return clock->now;
}

void sim_alarm_init(struct sim_alarm *alarm, sim_ring *ring)
{
    *alarm = (struct sim_alarm){.at = SIM_NEVER, .ring = ring};
}

static bool is_before(const struct sim_alarm *a, const struct sim_alarm *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

/* ---- the heap ---- */

static void heap_put(struct sim_clock *clock, uint32_t place, struct sim_alarm *alarm)
{
    clock->heap[place] = alarm;
    alarm->heap_place = place + 1;
}

static void heap_up(struct sim_clock *clock, uint32_t place, struct sim_alarm *alarm)
{
    while (place > 0 && is_before(alarm, clock->heap[(place - 1) / 2])) {
        heap_put(clock, place, clock->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    heap_put(clock, place, alarm);
}

static void heap_down(struct sim_clock *clock, uint32_t place, struct sim_alarm *alarm)
{
    for (;;) {
        uint32_t child = 2 * place + 1;

        if (child >= clock->heaped)
            break;
        if (child + 1 < clock->heaped && is_before(clock->heap[child + 1], clock->heap[child]))
            child++;
        if (!is_before(clock->heap[child], alarm))
            break;
        heap_put(clock, place, clock->heap[child]);
        place = child;
    }
    heap_put(clock, place, alarm);
}

static void heap_add(struct sim_clock *clock, struct sim_alarm *alarm)
{
    if (clock->heaped == clock->heap_room) {
        clock->heap_room = clock->heap_room == 0 ? 1024 : 2 * clock->heap_room;
        clock->heap = realloc(clock->heap, clock->heap_room * sizeof(struct sim_alarm *));
        if (clock->heap == NULL)
            sim_out_of_memory();
    }
    heap_up(clock, clock->heaped++, alarm);
}

static struct sim_alarm *heap_first(const struct sim_clock *clock)
{
    return clock->heaped > 0 ? clock->heap[0] : NULL;
}

static void heap_remove(struct sim_clock *clock, struct sim_alarm *alarm)
{
    uint32_t place = alarm->heap_place - 1;
    struct sim_alarm *moved = clock->heap[--clock->heaped];

    alarm->heap_place = 0;
    if (moved == alarm)
        return;
    if (place > 0 && is_before(moved, clock->heap[(place - 1) / 2]))
        heap_up(clock, place, moved);
    else
        heap_down(clock, place, moved);
}

/* ---- the wheel ---- */

static void wheel_add(struct sim_clock *clock, struct sim_alarm *alarm)
{
    uint32_t number = (uint32_t)(alarm->at >> TICK_BITS) % SLOTS;
    struct slot *slot = &clock->slots[number];
    struct sim_alarm *before = slot->last;

    while (before != NULL && is_before(alarm, before))
        before = before->previous;
    alarm->previous = before;
    alarm->next = before == NULL ? slot->first : before->next;
    if (alarm->next == NULL)
        slot->last = alarm;
    else
        alarm->next->previous = alarm;
    if (before == NULL)
        slot->first = alarm;
    else
        before->next = alarm;
    clock->occupied[number / 64] |= UINT64_C(1) << (number % 64);
    clock->wheeled++;
}

static void wheel_remove(struct sim_clock *clock, struct sim_alarm *alarm)
{
    uint32_t number = (uint32_t)(alarm->at >> TICK_BITS) % SLOTS;
    struct slot *slot = &clock->slots[number];

    if (alarm->next == NULL)
        slot->last = alarm->previous;
    else
        alarm->next->previous = alarm->previous;
    if (alarm->previous == NULL)
        slot->first = alarm->next;
    else
        alarm->previous->next = alarm->next;
    if (slot->first == NULL)
        clock->occupied[number / 64] &= ~(UINT64_C(1) << (number % 64));
    clock->wheeled--;
}

/* The first alarm of the wheel, which is not empty. */
static struct sim_alarm *wheel_first(const struct sim_clock *clock)
{
    uint32_t number = (uint32_t)clock->tick % SLOTS;
    uint32_t word = number / 64;
    uint64_t bits = clock->occupied[word] & (UINT64_MAX << (number % 64));

    assert(clock->wheeled > 0);
    while (bits == 0) {
        word = (word + 1) % WORDS;
        bits = clock->occupied[word];
    }
    return clock->slots[word * 64 + (uint32_t)__builtin_ctzll(bits)].first;
}

/* Time is now `at`: alarms of the heap that the wheel reaches from there move over. */
static void move_to(struct sim_clock *clock, sim_time at)
{
    struct sim_alarm *alarm = heap_first(clock);

    clock->now = at;
    clock->tick = at >> TICK_BITS;
    while (alarm != NULL && (alarm->at >> TICK_BITS) < clock->tick + SLOTS) {
        heap_remove(clock, alarm);
        wheel_add(clock, alarm);
        alarm = heap_first(clock);
    }
}

/* ---- alarms ---- */

void sim_alarm_cancel(struct sim_clock *clock, struct sim_alarm *alarm)
{
    if (alarm->at == SIM_NEVER)
        return;
    if (alarm->heap_place != 0)
        heap_remove(clock, alarm);
    else
        wheel_remove(clock, alarm);
    alarm->at = SIM_NEVER;
}

void sim_alarm_set(struct sim_clock *clock, struct sim_alarm *alarm, sim_time at)
{
    assert(at != SIM_NEVER);
    sim_alarm_cancel(clock, alarm);
    alarm->at = at > clock->now ? at : clock->now;
    alarm->order = clock->order++;
    if ((alarm->at >> TICK_BITS) < clock->tick + SLOTS)
        wheel_add(clock, alarm);
    else
        heap_add(clock, alarm);
}

static struct sim_alarm *first(const struct sim_clock *clock)
{
    if (clock->wheeled > 0)
        return wheel_first(clock);
    return heap_first(clock);
}

sim_time sim_clock_next(const struct sim_clock *clock)
{
    const struct sim_alarm *alarm = first(clock);

    return alarm == NULL ? SIM_NEVER : alarm->at;
}

bool sim_clock_step(struct sim_clock *clock, sim_time until)
{
    struct sim_alarm *alarm = first(clock);

    if (alarm == NULL || alarm->at > until) {
        if (until > clock->now && until != SIM_NEVER)
            move_to(clock, until);
        return false;
    }
    if ((alarm->at >> TICK_BITS) != clock->tick)
        move_to(clock, alarm->at);
    clock->now = alarm->at;
    assert(alarm->heap_place == 0);
    wheel_remove(clock, alarm);
    alarm->at = SIM_NEVER;
    alarm->ring(alarm);
    return true;
}

void sim_clock_run(struct sim_clock *clock, sim_time until)
{
    while (sim_clock_step(clock, until))
        continue;
}
