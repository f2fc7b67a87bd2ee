/*
 * The grant scheduler when senders fall silent, owners leave and the oldest message would starve.
 */
#include "homa/sched.h"
#include "homa/sched_fixture.h"

static void a_stalled_sender_s_place_passes_on_until_it_sends(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    knobs.max_overcommit = 1;
    begin_with(&fixture, &knobs, NO_LIMIT);
    homa_sched_slot dead = add(&fixture, 0, 1, 300000);
    homa_sched_slot next = add(&fixture, 0, 2, LONG);

    assert_int_equal(run(&fixture, 0), 1);
    assert_int_equal(fixture.grants[0].id, 300000);
    assert_int_equal(homa_sched_deadline(fixture.sched), MS);
    assert_int_equal(run(&fixture, MS - 1), 0);
    assert_int_equal(run(&fixture, MS), 1);
    assert_int_equal(fixture.grants[0].id, LONG);
    homa_sched_progress(fixture.sched, dead, MS, UNSCHEDULED + 30000, 0); /* it is back */
    deliver(&fixture, next, MS);
    assert_int_equal(run(&fixture, MS), 1);
    assert_int_equal(fixture.grants[0].id, 300000);
    finish(&fixture);
}

static void dead_senders_do_not_pin_max_incoming(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    for (uint32_t i = 0; i < 8; i++)
        add(&fixture, 0, i, 100000 + i);
    assert_int_equal(run(&fixture, 0), 8);
    assert_int_equal(homa_sched_outstanding(fixture.sched), 400000);
    add(&fixture, 0, 50, LONG);
    assert_int_equal(run(&fixture, MS / 2), 0);
    assert_int_equal(homa_sched_deadline(fixture.sched), MS);
    assert_int_equal(run(&fixture, MS), 1);
    assert_grant(&fixture, 0, LONG, UNSCHEDULED + 50000, 0);
    assert_int_equal(homa_sched_outstanding(fixture.sched), 50000);
    finish(&fixture);
}

static void unscheduled_bytes_that_never_come_do_not_pin_max_incoming(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    for (uint32_t i = 0; i < 20; i++) {
        struct base_address peer = sender_number(i);

        homa_sched_add(fixture.sched, 0, &fixture.owner, &peer, i, LONG, 40000, 100);
    }
    homa_sched_slot slot = add(&fixture, 0, 50, LONG);

    assert_int_equal(run(&fixture, 0), 0);
    homa_sched_progress(fixture.sched, slot, MS, UNSCHEDULED, 0);
    assert_int_equal(run(&fixture, homa_sched_deadline(fixture.sched)), 1);
    assert_int_equal(fixture.grants[0].id, LONG);
    finish(&fixture);
}

/* One host announces all of many messages and sends a byte now and then, so that it never stalls.
 */
static void claims_do_not_pin_max_incoming(void **state)
{
    (void)state;
    struct fixture fixture;
    homa_sched_slot slots[4];
    uint64_t now = 0;

    begin(&fixture);
    for (uint32_t i = 0; i < 4; i++) {
        struct base_address peer = sender_number(99);

        peer.port = (uint16_t)(i + 1);
        slots[i] = homa_sched_add(fixture.sched, 0, &fixture.owner, &peer, i, LONG, LONG - 1, 0);
    }
    for (; now < 20 * MS; now += MS / 2) {
        homa_sched_progress(fixture.sched, slots[0], now, (uint32_t)(now / MS + 1) * 2000, 0);
        run(&fixture, now);
    }
    assert_int_equal(homa_sched_outstanding(fixture.sched), fixture.knobs.max_incoming / 2);
    for (uint32_t sender = 1; sender <= 4; sender++)
        add(&fixture, now, sender, LONG);
    assert_int_equal(run(&fixture, now), 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(fixture.grants[i].offset, UNSCHEDULED + fixture.knobs.window);
    finish(&fixture);
}

/* Ever shorter messages of one host, none of which it goes on with. */
static void one_host_is_granted_half_of_max_incoming_while_others_wait(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    add(&fixture, 0, 2, LONG);
    assert_int_equal(run(&fixture, 0), 1);
    for (uint32_t i = 0; i < 20; i++) {
        add(&fixture, 0, 1, LONG / 2 - i);
        run(&fixture, 0);
    }
    assert_int_equal(homa_sched_outstanding(fixture.sched),
                     fixture.knobs.window + fixture.knobs.max_incoming / 2);
    finish(&fixture);
}

/* The sender has shorter ones for others, and comes back to the long one much later. */
static void a_message_does_not_wait_for_a_longer_one_of_its_sender(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    add(&fixture, 0, 2, LONG);
    add(&fixture, 0, 1, LONG / 2);
    assert_int_equal(run(&fixture, 0), 2);
    add(&fixture, 0, 1, LONG / 4);
    assert_int_equal(run(&fixture, 0), 1);
    assert_int_equal(fixture.grants[0].offset, UNSCHEDULED + fixture.knobs.window);
    finish(&fixture);
}

static void one_host_alone_is_granted_half_of_max_incoming(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    for (uint32_t i = 0; i < 20; i++) {
        add(&fixture, 0, 1, LONG - i);
        run(&fixture, 0);
    }
    assert_int_equal(homa_sched_outstanding(fixture.sched), fixture.knobs.max_incoming / 2);
    finish(&fixture);
}

static void there_is_no_deadline_while_nobody_waits(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    assert_true(homa_sched_deadline(fixture.sched) == UINT64_MAX);
    add(&fixture, 0, 1, LONG);
    run(&fixture, 0);
    assert_true(homa_sched_deadline(fixture.sched) == UINT64_MAX);
    finish(&fixture);
}

static void who_waits_for_room_has_a_deadline(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    knobs.max_incoming = 50000;
    begin_with(&fixture, &knobs, NO_LIMIT);
    add(&fixture, 0, 1, 300000);
    add(&fixture, 0, 2, LONG);
    assert_int_equal(run(&fixture, 0), 1);
    assert_int_equal(homa_sched_deadline(fixture.sched), MS);
    assert_int_equal(run(&fixture, MS), 1);
    assert_int_equal(fixture.grants[0].id, LONG);
    assert_true(homa_sched_deadline(fixture.sched) == UINT64_MAX); /* nobody waits any more */
    finish(&fixture);
}

static void room_made_outside_a_run_is_a_deadline_gone_by(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    knobs.max_overcommit = 1;
    begin_with(&fixture, &knobs, NO_LIMIT);
    homa_sched_slot slot = add(&fixture, 7, 1, 300000);

    add(&fixture, 7, 2, LONG);
    run(&fixture, 7);
    homa_sched_remove(fixture.sched, slot);
    assert_int_equal(homa_sched_deadline(fixture.sched), 7);
    assert_int_equal(run(&fixture, 7), 1);
    assert_true(homa_sched_deadline(fixture.sched) == UINT64_MAX);
    finish(&fixture);
}

static void detaching_an_owner_frees_all_it_had(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_sched_owner other;

    begin(&fixture);
    homa_sched_attach(fixture.sched, &other, NULL, NO_LIMIT);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        struct base_address peer = sender_number(i);

        homa_sched_add(fixture.sched, 0, &other, &peer, i, LONG, UNSCHEDULED, 0);
    }
    assert_int_equal(add(&fixture, 0, 1, LONG), HOMA_SCHED_NONE);
    run(&fixture, MS / 2);
    homa_sched_detach(fixture.sched, &other);
    assert_int_equal(homa_sched_outstanding(fixture.sched), 0);
    assert_true(homa_sched_is_sound(fixture.sched));
    add(&fixture, MS, 1, LONG);
    assert_int_equal(run(&fixture, MS), 1);
    finish(&fixture);
}

/*
 * One very long message and, all the time, enough shorter ones from other senders to fill all
 * places. Returns the ten-thousandths of all granted bytes that the long one got.
 */
static uint64_t starve(uint32_t fifo_fraction)
{
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();
    homa_sched_slot shorter[8];
    uint64_t finished_bytes = 0;
    uint64_t now = 0;

    knobs.grant_fifo_fraction = fifo_fraction;
    knobs.max_overcommit = 4;
    knobs.window = 0;
    begin_with(&fixture, &knobs, NO_LIMIT);
    homa_sched_slot oldest = add(&fixture, 0, 99, 1000 * LONG);

    for (uint32_t i = 0; i < 8; i++)
        shorter[i] = add(&fixture, now, i, 200000);
    for (uint32_t round = 0; round < 4000; round++) {
        uint32_t index = round % 8;

        now += 10000;
        run(&fixture, now);
        deliver(&fixture, oldest, now);
        deliver(&fixture, shorter[index], now);
        if (homa_sched_granted(fixture.sched, shorter[index]) == 200000) {
            homa_sched_remove(fixture.sched, shorter[index]);
            finished_bytes += 200000 - UNSCHEDULED;
            shorter[index] = add(&fixture, now, index, 200000);
        }
        assert_true(homa_sched_outstanding(fixture.sched) <= knobs.max_incoming);
    }
    uint64_t oldest_bytes = homa_sched_granted(fixture.sched, oldest) - UNSCHEDULED;

    assert_true(finished_bytes > UINT64_C(100) * LONG);
    finish(&fixture);
    return oldest_bytes * 10000 / (oldest_bytes + finished_bytes);
}

static void the_oldest_gets_its_share_though_shorter_ones_keep_coming(void **state)
{
    (void)state;
    assert_int_equal(starve(0), 0);
    assert_in_range(starve(50), 498, 502);
    assert_in_range(starve(300), 2980, 3020);
}

static void the_oldest_s_share_comes_in_increments(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();
    uint64_t granted = 0;

    knobs.grant_fifo_fraction = 100;
    knobs.max_overcommit = 1;
    begin_with(&fixture, &knobs, NO_LIMIT);
    homa_sched_slot oldest = add(&fixture, 0, 1, LONG);
    homa_sched_slot shorter = add(&fixture, 0, 2, LONG - 1);

    while (granted < 500000) {
        assert_int_equal(homa_sched_granted(fixture.sched, oldest), UNSCHEDULED);
        assert_int_equal(run(&fixture, 0), 1);
        deliver(&fixture, shorter, 0);
        granted = homa_sched_granted(fixture.sched, shorter) - UNSCHEDULED;
    }
    assert_int_equal(run(&fixture, 0), 2);
    assert_grant(&fixture, 0, LONG, UNSCHEDULED + 50000, 3);
    finish(&fixture);
}

static void what_is_left_of_an_increment_is_given_however_little(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    knobs.grant_fifo_fraction = 100;
    knobs.fifo_grant_increment = 45000;
    knobs.max_overcommit = 1;
    knobs.window = 40000;
    begin_with(&fixture, &knobs, NO_LIMIT);
    homa_sched_slot oldest = add(&fixture, 0, 1, LONG);
    homa_sched_slot shorter = add(&fixture, 0, 2, LONG - 1);

    while (homa_sched_granted(fixture.sched, oldest) == UNSCHEDULED) {
        deliver(&fixture, shorter, 0);
        run(&fixture, 0);
    }
    assert_int_equal(homa_sched_granted(fixture.sched, oldest), UNSCHEDULED + 40000);
    homa_sched_progress(fixture.sched, oldest, 0, UNSCHEDULED + 20000, 0);
    assert_int_equal(run(&fixture, 0), 1);
    assert_grant(&fixture, 0, LONG, UNSCHEDULED + 45000, 3);
    deliver(&fixture, oldest, 0);
    assert_int_equal(run(&fixture, 0), 0); /* that was all */
    finish(&fixture);
}

static void a_share_that_nobody_could_take_is_not_hoarded(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();
    homa_sched_slot oldest = HOMA_SCHED_NONE;
    uint64_t now = MS;

    knobs.grant_fifo_fraction = 100;
    knobs.max_overcommit = 1;
    knobs.max_incoming = 100 * LONG;
    begin_with(&fixture, &knobs, NO_LIMIT);
    for (uint32_t i = 0; i < 40; i++) { /* all silent: nobody looks past so many for the oldest */
        struct base_address peer = sender_number(i);
        homa_sched_slot slot =
            homa_sched_add(fixture.sched, 0, &fixture.owner, &peer, i, 1000 * LONG, UNSCHEDULED, 0);

        oldest = i == 0 ? slot : oldest;
    }
    homa_sched_slot shorter = add(&fixture, now, 99, 100 * LONG);

    for (uint32_t round = 0; round < 1000; round++) { /* 50 MB: earns a hundred increments */
        run(&fixture, now);
        deliver(&fixture, shorter, now);
    }
    deliver(&fixture, oldest, now);
    for (uint32_t round = 0; round < 20; round++) {
        run(&fixture, now);
        deliver(&fixture, oldest, now);
    }
    assert_in_range(homa_sched_granted(fixture.sched, oldest), UNSCHEDULED + 50000,
                    UNSCHEDULED + 150000);
    finish(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stalled_sender_s_place_passes_on_until_it_sends),
        cmocka_unit_test(dead_senders_do_not_pin_max_incoming),
        cmocka_unit_test(unscheduled_bytes_that_never_come_do_not_pin_max_incoming),
        cmocka_unit_test(claims_do_not_pin_max_incoming),
        cmocka_unit_test(one_host_is_granted_half_of_max_incoming_while_others_wait),
        cmocka_unit_test(a_message_does_not_wait_for_a_longer_one_of_its_sender),
        cmocka_unit_test(one_host_alone_is_granted_half_of_max_incoming),
        cmocka_unit_test(there_is_no_deadline_while_nobody_waits),
        cmocka_unit_test(who_waits_for_room_has_a_deadline),
        cmocka_unit_test(room_made_outside_a_run_is_a_deadline_gone_by),
        cmocka_unit_test(detaching_an_owner_frees_all_it_had),
        cmocka_unit_test(the_oldest_gets_its_share_though_shorter_ones_keep_coming),
        cmocka_unit_test(the_oldest_s_share_comes_in_increments),
        cmocka_unit_test(what_is_left_of_an_increment_is_given_however_little),
        cmocka_unit_test(a_share_that_nobody_could_take_is_not_hoarded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
