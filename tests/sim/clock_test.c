/* Virtual time: one order of alarms, whatever is set, moved or cancelled, near or far. */
#include "sim/clock.h"

#include "base/random.h"
#include "support/test.h"

#include <stddef.h>
#include <stdlib.h>

/* The wheel has 16,384 slots of 1,024 ps. */
#define TICK  UINT64_C(1024)
#define REACH (16384 * TICK)

#define BELLS 8u

struct tower;

struct bell {
    struct sim_alarm alarm;
    struct tower *tower;
    uint32_t number;
    sim_time again; /* sets itself for so much later, once; 0 = not */
    struct bell *sets;
    sim_time sets_at;
    struct bell *cancels;
};

/* Alarms that note in which order they ring, and when. */
struct tower {
    struct sim_clock *clock;
    struct bell bells[BELLS];
    uint32_t rung[64];
    sim_time times[64];
    uint32_t count;
};

static void ring(struct sim_alarm *alarm)
{
    struct bell *bell = (struct bell *)alarm;
    struct tower *tower = bell->tower;

    assert_false(sim_alarm_is_set(alarm));
    assert_true(tower->count < 64);
    tower->rung[tower->count] = bell->number;
    tower->times[tower->count++] = sim_clock_now(tower->clock);
    if (bell->again != 0) {
        sim_alarm_set(tower->clock, alarm, sim_clock_now(tower->clock) + bell->again);
        bell->again = 0;
    }
    if (bell->sets != NULL)
        sim_alarm_set(tower->clock, &bell->sets->alarm, bell->sets_at);
    if (bell->cancels != NULL)
        sim_alarm_cancel(tower->clock, &bell->cancels->alarm);
}

static int build(void **state)
{
    struct tower *tower = calloc(1, sizeof(*tower));

    assert_non_null(tower);
    tower->clock = sim_clock_open();
    assert_non_null(tower->clock);
    for (uint32_t i = 0; i < BELLS; i++) {
        sim_alarm_init(&tower->bells[i].alarm, ring);
        tower->bells[i].tower = tower;
        tower->bells[i].number = i;
    }
    *state = tower;
    return 0;
}

static int demolish(void **state)
{
    struct tower *tower = *state;

    sim_clock_close(tower->clock);
    free(tower);
    return 0;
}

static void set(struct tower *tower, uint32_t bell, sim_time at)
{
    sim_alarm_set(tower->clock, &tower->bells[bell].alarm, at);
}

static void expect_order(const struct tower *tower, const char *order)
{
    char rung[65] = {0};

    for (uint32_t i = 0; i < tower->count; i++)
        rung[i] = (char)('0' + tower->rung[i]);
    assert_string_equal(rung, order);
}

static void closing_nothing_is_allowed(void **state)
{
    (void)state;
    sim_clock_close(NULL);
}

static void an_alarm_that_is_not_set_can_be_cancelled(void **state)
{
    struct tower *tower = *state;

    sim_alarm_cancel(tower->clock, &tower->bells[0].alarm);
    assert_false(sim_alarm_is_set(&tower->bells[0].alarm));
    assert_true(sim_clock_next(tower->clock) == SIM_NEVER);
    assert_false(sim_clock_step(tower->clock, SIM_NEVER));
    assert_int_equal(sim_clock_now(tower->clock), 0);
}

static void a_step_into_the_past_does_nothing(void **state)
{
    struct tower *tower = *state;

    assert_false(sim_clock_step(tower->clock, 5000));
    assert_int_equal(sim_clock_now(tower->clock), 5000);
    set(tower, 0, 5000);
    set(tower, 1, 6000);
    assert_false(sim_clock_step(tower->clock, 4999));
    assert_int_equal(sim_clock_now(tower->clock), 5000);
    assert_int_equal(tower->count, 0);
    assert_true(sim_clock_step(tower->clock, 5000)); /* `until` itself is included */
    assert_false(sim_clock_step(tower->clock, 5999));
    assert_int_equal(sim_clock_now(tower->clock), 5999);
    expect_order(tower, "0");
}

static void a_time_gone_by_means_now_and_after_what_is_set_for_now(void **state)
{
    struct tower *tower = *state;

    sim_clock_step(tower->clock, 9000);
    set(tower, 0, 9000);
    set(tower, 1, 100);
    set(tower, 2, 9001);
    sim_clock_run(tower->clock, 10000);
    expect_order(tower, "012");
    assert_int_equal(tower->times[1], 9000);
}

static void alarms_of_one_instant_ring_in_the_order_in_which_they_were_set(void **state)
{
    static const sim_time instants[] = {0, 1, TICK - 1, TICK, REACH - 1, REACH, 3 * REACH + 7};
    struct tower *tower = *state;

    for (size_t i = 0; i < sizeof(instants) / sizeof(instants[0]); i++) {
        sim_time at = sim_clock_now(tower->clock) + instants[i];

        tower->count = 0;
        set(tower, 3, at);
        set(tower, 1, at);
        set(tower, 2, at);
        set(tower, 0, at);
        set(tower, 1, at); /* set anew: last */
        sim_clock_run(tower->clock, at);
        expect_order(tower, "3201");
    }
}

static void within_a_slot_time_comes_before_the_order_of_setting(void **state)
{
    struct tower *tower = *state;

    set(tower, 0, 1023);
    set(tower, 1, 5);
    set(tower, 2, 500);
    set(tower, 3, 4);
    set(tower, 4, 1024); /* the next slot */
    sim_clock_run(tower->clock, SIM_US);
    expect_order(tower, "31204");
    assert_int_equal(tower->times[0], 4);
    assert_int_equal(tower->times[4], 1024);
}

static void order_holds_across_the_border_of_wheel_and_heap(void **state)
{
    struct tower *tower = *state;

    set(tower, 0, REACH);        /* heap */
    set(tower, 1, REACH - 1);    /* the wheel's last slot */
    set(tower, 2, REACH + TICK); /* heap */
    set(tower, 3, 2 * TICK);     /* after it has rung, 0 and 2 are within reach */
    sim_clock_run(tower->clock, 2 * TICK);
    set(tower, 4, REACH); /* wheel, as 0 is by now: set later, rings later */
    set(tower, 5, REACH + TICK - 1);
    sim_clock_run(tower->clock, 2 * REACH);
    expect_order(tower, "310452");
}

static void an_alarm_set_at_the_slot_of_now_does_not_wait_for_a_turn_of_the_wheel(void **state)
{
    struct tower *tower = *state;

    /* One turn later than the slot of now, less one: the farthest slot the wheel has. */
    sim_clock_step(tower->clock, 5 * TICK + 1000);
    set(tower, 0, 5 * TICK + REACH - TICK);
    set(tower, 1, 5 * TICK + REACH); /* the same slot as now's, one turn on: must not ring now */
    set(tower, 2, 5 * TICK + 1001);
    assert_int_equal(sim_clock_next(tower->clock), 5 * TICK + 1001);
    sim_clock_run(tower->clock, 2 * REACH);
    expect_order(tower, "201");
    assert_int_equal(tower->times[2], 5 * TICK + REACH);
}

static void far_alarms_follow_when_nothing_near_is_left(void **state)
{
    struct tower *tower = *state;

    set(tower, 0, 3600 * SIM_S);
    set(tower, 1, 50 * SIM_MS);
    set(tower, 2, 3600 * SIM_S - 1);
    assert_int_equal(sim_clock_next(tower->clock), 50 * SIM_MS);
    sim_clock_run(tower->clock, SIM_NEVER);
    expect_order(tower, "120");
    assert_int_equal(sim_clock_now(tower->clock), 3600 * SIM_S); /* not moved on for nothing */
}

static void an_alarm_may_set_itself_and_others_while_it_rings(void **state)
{
    struct tower *tower = *state;

    tower->bells[0].again = 7;
    tower->bells[0].sets = &tower->bells[1];
    tower->bells[0].sets_at = 0; /* gone by: now, after those that are set already */
    set(tower, 0, 100);
    set(tower, 2, 100);
    sim_clock_run(tower->clock, SIM_US);
    expect_order(tower, "02101");
    assert_int_equal(tower->times[2], 100);
    assert_int_equal(tower->times[3], 107);
}

static void an_alarm_may_cancel_one_of_the_same_instant_while_it_rings(void **state)
{
    struct tower *tower = *state;

    tower->bells[0].cancels = &tower->bells[1];
    set(tower, 0, 100);
    set(tower, 1, 100);
    set(tower, 2, 100);
    sim_clock_run(tower->clock, SIM_US);
    expect_order(tower, "02");
    assert_false(sim_alarm_is_set(&tower->bells[1].alarm));
}

static void a_cancelled_alarm_never_rings_and_disturbs_no_other(void **state)
{
    static const sim_time instants[] = {10, REACH + 10};
    struct tower *tower = *state;

    for (size_t i = 0; i < 2; i++) {
        sim_time at = sim_clock_now(tower->clock) + instants[i];

        for (uint32_t cancelled = 0; cancelled < 4; cancelled++) {
            tower->count = 0;
            for (uint32_t bell = 0; bell < 4; bell++)
                set(tower, bell, at + bell);
            sim_alarm_cancel(tower->clock, &tower->bells[cancelled].alarm);
            sim_clock_run(tower->clock, at + 10);
            assert_int_equal(tower->count, 3);
            for (uint32_t n = 0; n < 3; n++)
                assert_int_equal(tower->rung[n], n + (n >= cancelled));
            at = sim_clock_now(tower->clock) + instants[i];
        }
    }
}

static void moving_an_alarm_leaves_nothing_behind(void **state)
{
    static const sim_time stations[] = {10, REACH * 2, 20, REACH + 5, TICK, REACH * 9, 30};
    struct tower *tower = *state;

    for (size_t i = 0; i < sizeof(stations) / sizeof(stations[0]); i++)
        set(tower, 0, stations[i]);
    sim_clock_run(tower->clock, REACH * 10);
    expect_order(tower, "0");
    assert_int_equal(tower->times[0], 30);
    assert_true(sim_clock_next(tower->clock) == SIM_NEVER);
}

/* ---- against a plain model ---- */

#define MANY  512u
#define STEPS 20000u

struct model {
    struct sim_alarm alarm; /* first */
    sim_time at;
    uint64_t order;
    bool has_rung;
};

static void note_ring(struct sim_alarm *alarm)
{
    ((struct model *)alarm)->has_rung = true;
}

static struct model *earliest(struct model *models)
{
    struct model *first = NULL;

    for (uint32_t i = 0; i < MANY; i++) {
        struct model *model = &models[i];

        if (model->at != SIM_NEVER && (first == NULL || model->at < first->at ||
                                       (model->at == first->at && model->order < first->order)))
            first = model;
    }
    return first;
}

static sim_time draw_distance(struct base_random *random)
{
    uint64_t bits = base_random_below(random, 30); /* up to 64 turns of the wheel */

    return base_random_below(random, UINT64_C(1) << bits);
}

static void any_sequence_of_calls_rings_in_the_order_of_a_plain_list(void **state)
{
    struct sim_clock *clock = sim_clock_open();
    struct base_random random = base_random_seed(4);
    struct model *models = calloc(MANY, sizeof(*models));
    uint64_t order = 0;
    uint32_t rings = 0;

    (void)state;
    assert_true(clock != NULL && models != NULL);
    for (uint32_t i = 0; i < MANY; i++) {
        sim_alarm_init(&models[i].alarm, note_ring);
        models[i].at = SIM_NEVER;
    }
    for (uint32_t step = 0; step < STEPS; step++) {
        struct model *model = &models[base_random_below(&random, MANY)];
        uint64_t what = base_random_below(&random, 8);

        if (what < 4) {
            model->at = sim_clock_now(clock) + draw_distance(&random);
            model->order = order++;
            sim_alarm_set(clock, &model->alarm, model->at);
        } else if (what == 4) {
            model->at = SIM_NEVER;
            sim_alarm_cancel(clock, &model->alarm);
        } else {
            sim_time until = sim_clock_now(clock) + draw_distance(&random);
            struct model *first = earliest(models);

            assert_true(sim_clock_next(clock) == (first == NULL ? SIM_NEVER : first->at));
            if (!sim_clock_step(clock, until)) {
                assert_true(first == NULL || first->at > until);
                assert_int_equal(sim_clock_now(clock), until);
                continue;
            }
            assert_true(first != NULL && first->has_rung);
            assert_int_equal(sim_clock_now(clock), first->at);
            first->has_rung = false;
            first->at = SIM_NEVER;
            rings++;
        }
    }
    assert_true(rings > STEPS / 8);
    free(models);
    sim_clock_close(clock);
}

#define TOWER_TEST(name) cmocka_unit_test_setup_teardown(name, build, demolish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closing_nothing_is_allowed),
        TOWER_TEST(an_alarm_that_is_not_set_can_be_cancelled),
        TOWER_TEST(a_step_into_the_past_does_nothing),
        TOWER_TEST(a_time_gone_by_means_now_and_after_what_is_set_for_now),
        TOWER_TEST(alarms_of_one_instant_ring_in_the_order_in_which_they_were_set),
        TOWER_TEST(within_a_slot_time_comes_before_the_order_of_setting),
        TOWER_TEST(order_holds_across_the_border_of_wheel_and_heap),
        TOWER_TEST(an_alarm_set_at_the_slot_of_now_does_not_wait_for_a_turn_of_the_wheel),
        TOWER_TEST(far_alarms_follow_when_nothing_near_is_left),
        TOWER_TEST(an_alarm_may_set_itself_and_others_while_it_rings),
        TOWER_TEST(an_alarm_may_cancel_one_of_the_same_instant_while_it_rings),
        TOWER_TEST(a_cancelled_alarm_never_rings_and_disturbs_no_other),
        TOWER_TEST(moving_an_alarm_leaves_nothing_behind),
        cmocka_unit_test(any_sequence_of_calls_rings_in_the_order_of_a_plain_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
