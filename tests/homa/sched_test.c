/*
 * The grant scheduler: who gets how much and at which priority, rule by rule.
 */
#include "homa/sched.h"

#include "homa/sched_fixture.h"

static void a_full_scheduler_takes_no_more_messages(void **state)
{
    (void)state;
    struct fixture fixture;
    homa_sched_slot slot = HOMA_SCHED_NONE;

    begin(&fixture);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        slot = add(&fixture, 0, i, LONG);
        assert_int_not_equal(slot, HOMA_SCHED_NONE);
    }
    assert_int_equal(add(&fixture, 0, 99, LONG), HOMA_SCHED_NONE);
    homa_sched_remove(fixture.sched, slot);
    assert_int_not_equal(add(&fixture, 0, 99, LONG), HOMA_SCHED_NONE);
    finish(&fixture);
}

static void nothing_is_granted_without_messages_or_twice(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    assert_int_equal(run(&fixture, 0), 0);
    add(&fixture, 0, 1, LONG);
    assert_int_equal(run(&fixture, 0), 1);
    assert_int_equal(run(&fixture, 0), 0);
    finish(&fixture);
}

static void nothing_is_granted_beyond_the_end(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    add(&fixture, 0, 1, UNSCHEDULED + 7);
    assert_int_equal(run(&fixture, 0), 1);
    assert_grant(&fixture, 0, UNSCHEDULED + 7, UNSCHEDULED + 7, 0);
    finish(&fixture);
}

static void a_grant_names_owner_peer_and_rpc(void **state)
{
    (void)state;
    struct fixture fixture;
    struct base_address peer = sender_number(5);

    begin(&fixture);
    peer.local.bytes[0] = 9;
    homa_sched_slot slot = homa_sched_add(fixture.sched, 0, &fixture.owner, &peer, 4711, LONG,
                                          UNSCHEDULED, UNSCHEDULED);

    assert_int_equal(run(&fixture, 0), 1);
    assert_ptr_equal(fixture.grants[0].owner, &fixture.owner);
    assert_ptr_equal(fixture.grants[0].owner->cookie, &fixture);
    assert_true(base_address_equal(&fixture.grants[0].peer, &peer));
    assert_int_equal(fixture.grants[0].id, 4711);
    assert_int_equal(homa_sched_granted(fixture.sched, slot), fixture.grants[0].offset);
    finish(&fixture);
}

static void shortest_remaining_comes_first(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    knobs.max_overcommit = 1;
    begin_with(&fixture, &knobs, NO_LIMIT);
    homa_sched_slot long_one = add(&fixture, 0, 1, LONG);
    homa_sched_slot short_one = add(&fixture, 0, 2, 200000);

    assert_int_equal(run(&fixture, 0), 1);
    assert_int_equal(fixture.grants[0].id, 200000);
    homa_sched_progress(fixture.sched, long_one, 0, LONG - 1000, 0); /* now it is the shorter */
    deliver(&fixture, short_one, 0);
    assert_int_equal(run(&fixture, 0), 2); /* to its end, which makes room for the other */
    assert_grant(&fixture, 0, LONG, LONG, 0);
    assert_int_equal(fixture.grants[1].id, 200000);
    finish(&fixture);
}

static void one_message_per_sender_is_active(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    add(&fixture, 0, 1, 300000);
    homa_sched_slot first = add(&fixture, 0, 1, 200000);

    add(&fixture, 0, 2, 400000);
    assert_int_equal(run(&fixture, 0), 2);
    assert_int_equal(fixture.grants[0].id, 200000);
    assert_int_equal(fixture.grants[1].id, 400000);
    homa_sched_remove(fixture.sched, first);
    assert_int_equal(run(&fixture, 0), 1);
    assert_int_equal(fixture.grants[0].id, 300000);
    finish(&fixture);
}

static void the_same_sender_through_another_address_of_ours_is_one_sender(void **state)
{
    (void)state;
    struct fixture fixture;
    struct base_address peer = sender_number(1);

    begin(&fixture);
    add(&fixture, 0, 1, 200000);
    peer.local.bytes[3] = 1;
    homa_sched_add(fixture.sched, 0, &fixture.owner, &peer, 1, 300000, UNSCHEDULED, UNSCHEDULED);
    assert_int_equal(run(&fixture, 0), 1);
    finish(&fixture);
}

static void no_more_than_max_overcommit_are_active(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    knobs.max_incoming = 10 * LONG;
    begin_with(&fixture, &knobs, NO_LIMIT);
    for (uint32_t i = 0; i < 20; i++)
        add(&fixture, 0, i, LONG + i);
    assert_int_equal(run(&fixture, 0), 8);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(fixture.grants[i].id, LONG + i);
    finish(&fixture);
}

static void a_message_granted_to_its_end_makes_room_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    knobs.max_overcommit = 1;
    begin_with(&fixture, &knobs, NO_LIMIT);
    add(&fixture, 0, 1, 20000);
    add(&fixture, 0, 1, 20001); /* the same sender's next */
    add(&fixture, 0, 2, 30000);
    add(&fixture, 0, 3, LONG);
    add(&fixture, 0, 4, LONG + 1);
    assert_int_equal(run(&fixture, 0), 4);
    assert_grant(&fixture, 0, 20000, 20000, 0);
    assert_grant(&fixture, 1, 20001, 20001, 0);
    assert_grant(&fixture, 2, 30000, 30000, 0);
    assert_grant(&fixture, 3, LONG, UNSCHEDULED + 50000, 0);
    finish(&fixture);
}

static void the_window_is_granted_and_no_more(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    homa_sched_slot slot = add(&fixture, 0, 1, LONG);

    assert_int_equal(run(&fixture, 0), 1);
    assert_grant(&fixture, 0, LONG, UNSCHEDULED + 50000, 0);
    homa_sched_progress(fixture.sched, slot, 0, UNSCHEDULED + 20000, 0);
    assert_int_equal(run(&fixture, 0), 1);
    assert_grant(&fixture, 0, LONG, UNSCHEDULED + 70000, 0);
    finish(&fixture);
}

static void unscheduled_bytes_on_their_way_use_the_window(void **state)
{
    (void)state;
    struct fixture fixture;
    struct base_address peer = sender_number(1);

    begin(&fixture);
    homa_sched_add(fixture.sched, 0, &fixture.owner, &peer, 1, LONG, 40000, 1500);
    assert_int_equal(run(&fixture, 0), 1);
    assert_int_equal(fixture.grants[0].offset, 51500);
    finish(&fixture);
}

static void window_0_shares_max_incoming_among_the_active_and_one_more(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    knobs.window = 0;
    begin_with(&fixture, &knobs, NO_LIMIT);
    add(&fixture, 0, 1, LONG);
    assert_int_equal(run(&fixture, 0), 1);
    assert_int_equal(fixture.grants[0].offset, UNSCHEDULED + 200000);
    finish(&fixture);

    begin_with(&fixture, &knobs, NO_LIMIT);
    for (uint32_t i = 0; i < 3; i++)
        add(&fixture, 0, i, LONG);
    assert_int_equal(run(&fixture, 0), 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(fixture.grants[i].offset, UNSCHEDULED + 100000);
    finish(&fixture);
}

static void the_least_max_incoming_slows_grants_but_does_not_stop_them(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    knobs.window = 0;
    knobs.max_incoming = 1;
    begin_with(&fixture, &knobs, NO_LIMIT);
    homa_sched_slot slot = add(&fixture, 0, 1, LONG);

    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(run(&fixture, 0), 1);
        assert_int_equal(fixture.grants[0].offset, UNSCHEDULED + i);
        deliver(&fixture, slot, 0);
    }
    finish(&fixture);
}

static void new_knobs_count_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    begin(&fixture);
    add(&fixture, 0, 1, LONG);
    assert_int_equal(run(&fixture, 0), 1);
    knobs.window = 90000;
    homa_sched_set_knobs(fixture.sched, &knobs);
    assert_int_equal(homa_sched_deadline(fixture.sched), 0);
    assert_int_equal(run(&fixture, 0), 1);
    assert_grant(&fixture, 0, LONG, UNSCHEDULED + 90000, 0);
    finish(&fixture);
}

static void small_steps_are_saved_up(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    homa_sched_slot slot = add(&fixture, 0, 1, LONG);

    run(&fixture, 0);
    for (uint32_t step = 1448; step < 10000; step += 1448) {
        homa_sched_progress(fixture.sched, slot, 0, UNSCHEDULED + step, 0);
        assert_int_equal(run(&fixture, 0), 0);
    }
    homa_sched_progress(fixture.sched, slot, 0, UNSCHEDULED + 10000, 0);
    assert_int_equal(run(&fixture, 0), 1);
    finish(&fixture);
}

static void the_last_bytes_are_granted_however_few(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    homa_sched_slot slot = add(&fixture, 0, 1, UNSCHEDULED + 50000 + 5);

    assert_int_equal(run(&fixture, 0), 1);
    homa_sched_progress(fixture.sched, slot, 0, UNSCHEDULED + 100, 0);
    assert_int_equal(run(&fixture, 0), 1);
    assert_int_equal(fixture.grants[0].offset, UNSCHEDULED + 50005);
    finish(&fixture);
}

static void a_message_that_waits_for_nothing_else_gets_what_there_is(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    knobs.max_incoming = 50001;
    begin_with(&fixture, &knobs, NO_LIMIT);
    add(&fixture, 0, 1, 300000);
    add(&fixture, 0, 2, LONG);
    assert_int_equal(run(&fixture, 0), 2);
    assert_int_equal(fixture.grants[1].offset, UNSCHEDULED + 1);
    finish(&fixture);
}

static void room_that_a_shorter_message_saves_up_is_not_eaten_by_a_longer_one(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    knobs.max_incoming = 50000;
    begin_with(&fixture, &knobs, NO_LIMIT);
    homa_sched_slot short_one = add(&fixture, 0, 1, 300000);

    add(&fixture, 0, 2, LONG); /* waits for any byte */
    assert_int_equal(run(&fixture, 0), 1);
    homa_sched_progress(fixture.sched, short_one, 0, UNSCHEDULED + 9000, 0);
    assert_int_equal(run(&fixture, 0), 0);
    homa_sched_progress(fixture.sched, short_one, 0, UNSCHEDULED + 12000, 0);
    assert_int_equal(run(&fixture, 0), 1);
    assert_grant(&fixture, 0, 300000, UNSCHEDULED + 62000, 1);
    finish(&fixture);
}

static void the_sender_s_own_limit_counts_when_it_is_higher(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    homa_sched_slot slot = add(&fixture, 0, 1, LONG);

    homa_sched_progress(fixture.sched, slot, 0, UNSCHEDULED, UNSCHEDULED + 45000);
    assert_int_equal(homa_sched_outstanding(fixture.sched), 45000);
    assert_int_equal(run(&fixture, 0), 0); /* 5,000 more are not worth it */
    fixture.knobs.grant_bytes = 5000;
    homa_sched_set_knobs(fixture.sched, &fixture.knobs);
    assert_int_equal(run(&fixture, 0), 1); /* unless somebody says that they are */
    finish(&fixture);
}

static void max_incoming_binds_all_owners_together(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_sched_owner other;
    struct base_address peer = sender_number(77);

    begin(&fixture);
    homa_sched_attach(fixture.sched, &other, NULL, NO_LIMIT);
    for (uint32_t i = 0; i < 7; i++)
        add(&fixture, 0, i, 500000 + i);
    homa_sched_add(fixture.sched, 0, &other, &peer, 1, LONG, UNSCHEDULED, UNSCHEDULED);
    fixture.knobs.max_incoming = 360000;
    homa_sched_set_knobs(fixture.sched, &fixture.knobs);
    assert_int_equal(run(&fixture, 0), 8);
    assert_int_equal(homa_sched_outstanding(fixture.sched), 360000);
    assert_int_equal(other.outstanding, 10000);
    homa_sched_detach(fixture.sched, &other);
    assert_int_equal(homa_sched_outstanding(fixture.sched), 350000);
    finish(&fixture);
}

static void an_owner_gets_no_more_than_its_wire_can_hold(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    begin_with(&fixture, &knobs, 70000);
    for (uint32_t i = 0; i < 4; i++)
        add(&fixture, 0, i, LONG + i);
    assert_int_equal(run(&fixture, 0), 2);
    assert_grant(&fixture, 0, LONG, UNSCHEDULED + 50000, 3);
    assert_grant(&fixture, 1, LONG + 1, UNSCHEDULED + 20000, 2);
    assert_int_equal(fixture.owner.outstanding, 70000);
    finish(&fixture);
}

static void an_owner_whose_wire_is_full_leaves_its_places_to_others(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();
    struct homa_sched_owner other;
    struct base_address peer = sender_number(77);

    knobs.max_overcommit = 2;
    begin_with(&fixture, &knobs, 50000);
    homa_sched_attach(fixture.sched, &other, NULL, NO_LIMIT);
    add(&fixture, 0, 1, 200000);
    add(&fixture, 0, 2, 300000);
    homa_sched_add(fixture.sched, 0, &other, &peer, 9, LONG, UNSCHEDULED, UNSCHEDULED);
    assert_int_equal(run(&fixture, 0), 2);
    assert_int_equal(fixture.grants[0].id, 200000);
    assert_int_equal(fixture.grants[1].id, 9);
    homa_sched_detach(fixture.sched, &other);
    finish(&fixture);
}

static void few_active_messages_use_the_lowest_levels(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    homa_sched_slot slot = add(&fixture, 0, 1, LONG);

    assert_int_equal(homa_sched_priority(fixture.sched, slot), 3);
    assert_int_equal(run(&fixture, 0), 1);
    assert_int_equal(fixture.grants[0].priority, 0);
    assert_int_equal(homa_sched_priority(fixture.sched, slot), 0);
    add(&fixture, 0, 2, 300000); /* shorter: goes above */
    assert_int_equal(run(&fixture, 0), 1);
    assert_grant(&fixture, 0, 300000, UNSCHEDULED + 50000, 1);
    finish(&fixture);
}

static void surplus_active_messages_share_level_0(void **state)
{
    (void)state;
    struct fixture fixture;
    static const uint8_t expected[] = {3, 2, 1, 0, 0, 0};

    begin(&fixture);
    for (uint32_t i = 0; i < 6; i++)
        add(&fixture, 0, i, LONG + i);
    assert_int_equal(run(&fixture, 0), 6);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(fixture.grants[i].priority, expected[i]);
    finish(&fixture);
}

static void scheduled_bytes_have_a_level_even_if_unscheduled_ones_use_all(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    knobs.unsched_cutoffs[0] = UINT32_MAX;
    begin_with(&fixture, &knobs, NO_LIMIT);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(homa_sched_priority(fixture.sched, add(&fixture, 0, i, LONG)), 0);
    assert_int_equal(run(&fixture, 0), 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(fixture.grants[i].priority, 0);
    finish(&fixture);
}

static void fewer_priorities_leave_fewer_levels(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_knobs knobs = plain_knobs();

    knobs.num_priorities = 3; /* unscheduled ones are squeezed into level 2 */
    begin_with(&fixture, &knobs, NO_LIMIT);
    for (uint32_t i = 0; i < 4; i++)
        add(&fixture, 0, i, LONG);
    assert_int_equal(run(&fixture, 0), 4);
    assert_int_equal(fixture.grants[0].priority, 1);
    assert_int_equal(fixture.grants[1].priority, 0);
    finish(&fixture);
}

static void a_list_that_is_too_short_is_continued(void **state)
{
    (void)state;
    struct fixture fixture;
    size_t total = 0;
    size_t count;

    begin(&fixture);
    for (uint32_t i = 0; i < 8; i++)
        add(&fixture, 0, i, LONG + i);
    do {
        count = homa_sched_run(fixture.sched, 0, fixture.grants, 3);
        total += count;
    } while (count == 3);
    assert_int_equal(total, 8);
    finish(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_scheduler_takes_no_more_messages),
        cmocka_unit_test(nothing_is_granted_without_messages_or_twice),
        cmocka_unit_test(nothing_is_granted_beyond_the_end),
        cmocka_unit_test(a_grant_names_owner_peer_and_rpc),
        cmocka_unit_test(shortest_remaining_comes_first),
        cmocka_unit_test(one_message_per_sender_is_active),
        cmocka_unit_test(the_same_sender_through_another_address_of_ours_is_one_sender),
        cmocka_unit_test(no_more_than_max_overcommit_are_active),
        cmocka_unit_test(a_message_granted_to_its_end_makes_room_at_once),
        cmocka_unit_test(the_window_is_granted_and_no_more),
        cmocka_unit_test(unscheduled_bytes_on_their_way_use_the_window),
        cmocka_unit_test(window_0_shares_max_incoming_among_the_active_and_one_more),
        cmocka_unit_test(the_least_max_incoming_slows_grants_but_does_not_stop_them),
        cmocka_unit_test(new_knobs_count_at_once),
        cmocka_unit_test(small_steps_are_saved_up),
        cmocka_unit_test(the_last_bytes_are_granted_however_few),
        cmocka_unit_test(a_message_that_waits_for_nothing_else_gets_what_there_is),
        cmocka_unit_test(room_that_a_shorter_message_saves_up_is_not_eaten_by_a_longer_one),
        cmocka_unit_test(the_sender_s_own_limit_counts_when_it_is_higher),
        cmocka_unit_test(max_incoming_binds_all_owners_together),
        cmocka_unit_test(an_owner_gets_no_more_than_its_wire_can_hold),
        cmocka_unit_test(an_owner_whose_wire_is_full_leaves_its_places_to_others),
        cmocka_unit_test(few_active_messages_use_the_lowest_levels),
        cmocka_unit_test(surplus_active_messages_share_level_0),
        cmocka_unit_test(scheduled_bytes_have_a_level_even_if_unscheduled_ones_use_all),
        cmocka_unit_test(fewer_priorities_leave_fewer_levels),
        cmocka_unit_test(a_list_that_is_too_short_is_continued),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
