/*
 * A scheduler with one owner, and short words for what happens to it: what the tests of the grant
 * scheduler share.
 */
#ifndef HOMA_SCHED_FIXTURE_H
#define HOMA_SCHED_FIXTURE_H

#include "homa/sched.h"
#include "support/test.h"

#include <string.h>

#define MS          UINT64_C(1000000)
#define MESSAGES    64u
#define UNSCHEDULED 10000u
#define LONG        1000000u
#define GRANTS      64u
#define NO_LIMIT    UINT64_MAX

struct fixture {
    struct homa_sched *sched;
    struct homa_knobs knobs;
    struct homa_sched_owner owner;
    struct homa_grant grants[GRANTS];
};

static inline struct homa_knobs plain_knobs(void)
{
    return (struct homa_knobs){
        .window = 50000,
        .max_incoming = 400000,
        .max_overcommit = 8,
        .num_priorities = 8,
        .unsched_cutoffs = {[4] = UINT32_MAX, [5] = 15000, [6] = 2800, [7] = 200},
        .grant_bytes = 10000,
        .fifo_grant_increment = 50000, /* grant_fifo_fraction 0: none */
    };
}

static inline void begin_with(struct fixture *fixture, const struct homa_knobs *knobs,
                              uint64_t limit)
{
    *fixture = (struct fixture){.knobs = *knobs};
    assert_int_equal(homa_sched_open(&fixture->sched, knobs, MESSAGES), 0);
    homa_sched_attach(fixture->sched, &fixture->owner, fixture, limit);
}

static inline void begin(struct fixture *fixture)
{
    struct homa_knobs knobs = plain_knobs();

    begin_with(fixture, &knobs, NO_LIMIT);
}

static inline void finish(struct fixture *fixture)
{
    assert_true(homa_sched_is_sound(fixture->sched));
    homa_sched_detach(fixture->sched, &fixture->owner);
    assert_int_equal(homa_sched_outstanding(fixture->sched), 0);
    homa_sched_close(fixture->sched);
}

static inline struct base_address sender_number(uint32_t number)
{
    struct base_address sender = {.port = 0x8000};

    memcpy(sender.remote.bytes, &number, sizeof(number));
    return sender;
}

/* A message all of whose unscheduled bytes have arrived; its id is its length. */
static inline homa_sched_slot add(struct fixture *fixture, uint64_t now, uint32_t sender,
                                  uint32_t length)
{
    struct base_address peer = sender_number(sender);

    return homa_sched_add(fixture->sched, now, &fixture->owner, &peer, length, length, UNSCHEDULED,
                          UNSCHEDULED);
}

static inline size_t run(struct fixture *fixture, uint64_t now)
{
    return homa_sched_run(fixture->sched, now, fixture->grants, GRANTS);
}

/* Everything granted has arrived. */
static inline void deliver(struct fixture *fixture, homa_sched_slot slot, uint64_t now)
{
    homa_sched_progress(fixture->sched, slot, now, homa_sched_granted(fixture->sched, slot), 0);
}

static inline void assert_grant(const struct fixture *fixture, size_t index, uint64_t id,
                                uint32_t offset, uint8_t priority)
{
    assert_int_equal(fixture->grants[index].id, id);
    assert_int_equal(fixture->grants[index].offset, offset);
    assert_int_equal(fixture->grants[index].priority, priority);
}

#endif
