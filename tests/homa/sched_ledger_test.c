/*
 * The scheduler's ledger: order of messages, what senders owe, and who is stalled.
 */
#include "homa/sched_ledger.h"

#include "base/random.h"
#include "support/test.h"

#include <errno.h>
#include <string.h>

#define MS          HOMA_LEDGER_STALL_NS
#define ALIVE       HOMA_LEDGER_ALIVE_BYTES
#define RECORDS     64u
#define LENGTH      100000u
#define UNSCHEDULED 10000u
#define CLAIM_LIMIT 120000u

struct fixture {
    struct homa_ledger ledger;
    struct homa_sched_owner owner;
    uint64_t next_id;
};

static void begin(struct fixture *fixture)
{
    *fixture = (struct fixture){0};
    assert_int_equal(homa_ledger_open(&fixture->ledger, RECORDS), 0);
    LIST_INSERT_HEAD(&fixture->ledger.owners, &fixture->owner, attached);
    fixture->ledger.claim_limit = CLAIM_LIMIT;
}

static void finish(struct fixture *fixture)
{
    assert_true(homa_ledger_is_sound(&fixture->ledger));
    while (!LIST_EMPTY(&fixture->owner.messages))
        homa_ledger_strike(&fixture->ledger, LIST_FIRST(&fixture->owner.messages));
    assert_true(homa_ledger_is_sound(&fixture->ledger));
    assert_int_equal(fixture->ledger.outstanding, 0);
    assert_int_equal(fixture->owner.outstanding, 0);
    assert_int_equal(fixture->ledger.messages.in_use, 0);
    assert_int_equal(fixture->ledger.senders.in_use, 0);
    homa_ledger_close(&fixture->ledger);
}

static struct base_address sender_number(uint32_t number)
{
    struct base_address sender = {.port = 0x8000};

    memcpy(sender.remote.bytes, &number, sizeof(number));
    return sender;
}

/* A message whose unscheduled bytes are on their way. */
static struct homa_sched_message *enter(struct fixture *fixture, uint64_t now, uint32_t sender,
                                        uint32_t length, uint32_t received)
{
    struct base_address peer = sender_number(sender);

    return homa_ledger_enter(&fixture->ledger, now, &fixture->owner, &peer, fixture->next_id++,
                             length, UNSCHEDULED, received);
}

static void a_full_ledger_takes_no_more(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    for (uint32_t i = 0; i < RECORDS; i++)
        assert_non_null(enter(&fixture, 0, i, LENGTH, 0));
    assert_null(enter(&fixture, 0, 0, LENGTH, 0));
    homa_ledger_strike(&fixture.ledger, LIST_FIRST(&fixture.owner.messages));
    assert_non_null(enter(&fixture, 0, 0, LENGTH, 0));
    finish(&fixture);
}

static void one_sender_takes_half_of_the_ledger_at_most(void **state)
{
    (void)state;
    struct fixture fixture;

    struct homa_sched_message *first;

    begin(&fixture);
    first = enter(&fixture, 0, 1, LENGTH, 0);
    for (uint32_t i = 1; i < RECORDS / 2; i++)
        assert_non_null(enter(&fixture, 0, 1, LENGTH, 0));
    assert_null(enter(&fixture, 0, 1, LENGTH, 0));
    assert_non_null(enter(&fixture, 0, 2, LENGTH, 0));
    homa_ledger_strike(&fixture.ledger, first);
    assert_non_null(enter(&fixture, 0, 1, LENGTH, 0));
    finish(&fixture);
}

static void a_sender_s_claims_beyond_its_message_are_cut(void **state)
{
    (void)state;
    struct fixture fixture;
    struct base_address peer = sender_number(1);

    begin(&fixture);
    struct homa_sched_message *message =
        homa_ledger_enter(&fixture.ledger, 0, &fixture.owner, &peer, 8, 5000, UINT32_MAX, 0);

    assert_int_equal(message->granted, 5000);
    assert_false(message->needs_grants);
    message = enter(&fixture, 0, 2, LENGTH, 0);
    homa_ledger_report(&fixture.ledger, message, 0, 0, UINT32_MAX);
    assert_int_equal(message->granted, LENGTH);
    assert_false(message->needs_grants);
    assert_null(homa_ledger_first(&fixture.ledger));
    finish(&fixture);
}

static void bytes_that_came_ungranted_count_as_granted(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *message = enter(&fixture, 0, 1, LENGTH, UNSCHEDULED + 3000);

    assert_int_equal(message->granted, UNSCHEDULED + 3000);
    homa_ledger_report(&fixture.ledger, message, 0, 50000, 0);
    assert_int_equal(message->granted, 50000);
    assert_int_equal(fixture.ledger.outstanding, 0);
    finish(&fixture);
}

static void reports_that_go_back_change_nothing(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *message = enter(&fixture, 0, 1, LENGTH, 8000);

    homa_ledger_report(&fixture.ledger, message, 0, 5000, 1000);
    assert_int_equal(message->received, 8000);
    assert_int_equal(message->granted, UNSCHEDULED);
    finish(&fixture);
}

static void senders_rank_by_their_shortest_message(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *long_one = enter(&fixture, 0, 1, 90000, 0);
    struct homa_sched_message *middle = enter(&fixture, 0, 2, 60000, 0);
    struct homa_sched_message *short_one = enter(&fixture, 0, 1, 30000, 0);

    assert_ptr_equal(homa_ledger_first(&fixture.ledger), short_one);
    assert_ptr_equal(homa_ledger_next(short_one), middle);
    assert_null(homa_ledger_next(middle)); /* one per sender */
    homa_ledger_strike(&fixture.ledger, short_one);
    assert_ptr_equal(homa_ledger_first(&fixture.ledger), middle);
    assert_ptr_equal(homa_ledger_next(middle), long_one);
    finish(&fixture);
}

static void another_port_makes_no_other_sender_and_another_scope_does(void **state)
{
    (void)state;
    struct fixture fixture;
    struct base_address peer = sender_number(1);

    begin(&fixture);
    enter(&fixture, 0, 1, LENGTH, 0);
    peer.port++;
    homa_ledger_enter(&fixture.ledger, 0, &fixture.owner, &peer, 8, LENGTH, UNSCHEDULED, 0);
    assert_int_equal(fixture.ledger.ranked, 1);
    peer.scope++;
    homa_ledger_enter(&fixture.ledger, 0, &fixture.owner, &peer, 9, LENGTH, UNSCHEDULED, 0);
    assert_int_equal(fixture.ledger.ranked, 2);
    peer.local.bytes[0]++; /* ours does not matter */
    homa_ledger_enter(&fixture.ledger, 0, &fixture.owner, &peer, 10, LENGTH, UNSCHEDULED, 0);
    assert_int_equal(fixture.ledger.ranked, 2);
    finish(&fixture);
}

static void of_equally_long_messages_the_earlier_is_first(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *first = enter(&fixture, 0, 7, LENGTH, 0);
    struct homa_sched_message *second = enter(&fixture, 0, 3, LENGTH, 0);

    assert_ptr_equal(homa_ledger_first(&fixture.ledger), first);
    assert_ptr_equal(homa_ledger_next(first), second);
    finish(&fixture);
}

static void progress_moves_a_message_ahead(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *short_one = enter(&fixture, 0, 1, 50000, 0);
    struct homa_sched_message *long_one = enter(&fixture, 0, 2, 55000, 0);
    struct homa_sched_message *sibling = enter(&fixture, 0, 2, 54000, 0);

    assert_ptr_equal(homa_ledger_next(short_one), sibling);
    homa_ledger_report(&fixture.ledger, long_one, 0, 2000, 0); /* passes its sibling */
    assert_ptr_equal(homa_ledger_next(short_one), long_one);
    homa_ledger_report(&fixture.ledger, long_one, 0, 6000, 0); /* and the other sender's */
    assert_ptr_equal(homa_ledger_first(&fixture.ledger), long_one);
    assert_ptr_equal(homa_ledger_next(long_one), short_one);
    assert_true(homa_ledger_is_sound(&fixture.ledger));
    finish(&fixture);
}

static void a_message_granted_to_its_end_leaves_the_order_and_still_owes(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *short_one = enter(&fixture, 0, 1, 20000, UNSCHEDULED);
    struct homa_sched_message *long_one = enter(&fixture, 0, 1, LENGTH, UNSCHEDULED);

    homa_ledger_grant(&fixture.ledger, short_one, 10000);
    assert_ptr_equal(homa_ledger_first(&fixture.ledger), long_one);
    assert_int_equal(fixture.ledger.outstanding, 10000);
    homa_ledger_report(&fixture.ledger, short_one, 0, 20000, 0);
    assert_int_equal(fixture.ledger.outstanding, 0);
    finish(&fixture);
}

static void outstanding_is_what_may_come_and_has_not(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *message = enter(&fixture, 0, 1, LENGTH, 1500);

    assert_int_equal(fixture.ledger.outstanding, UNSCHEDULED - 1500);
    homa_ledger_grant(&fixture.ledger, message, 7000);
    assert_int_equal(fixture.owner.outstanding, UNSCHEDULED - 1500 + 7000);
    homa_ledger_report(&fixture.ledger, message, 0, 4500, 0);
    assert_int_equal(homa_ledger_outstanding(message), 12500);
    assert_int_equal(fixture.ledger.outstanding, 12500);
    homa_ledger_strike(&fixture.ledger, message);
    assert_int_equal(fixture.ledger.outstanding, 0);
    finish(&fixture);
}

/* Whatever it announces, and with however many messages from however many ports. */
static void a_sender_s_claims_count_up_to_the_limit(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_sched_message *other;
    struct base_address peer = sender_number(1);

    begin(&fixture);
    other = enter(&fixture, 0, 2, LENGTH, 0);
    for (uint32_t i = 0; i < 30; i++) {
        peer.port++;
        homa_ledger_enter(&fixture.ledger, 0, &fixture.owner, &peer, i, LENGTH, LENGTH / 2, 0);
    }
    assert_int_equal(fixture.ledger.outstanding, CLAIM_LIMIT + UNSCHEDULED);
    assert_int_equal(fixture.owner.outstanding, CLAIM_LIMIT + UNSCHEDULED);
    homa_ledger_report(&fixture.ledger, other, 0, 0, LENGTH); /* another one's count on their own */
    assert_int_equal(fixture.ledger.outstanding, CLAIM_LIMIT + LENGTH);
    finish(&fixture);
}

static void bytes_that_never_counted_are_the_first_to_arrive(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_sched_message *message;

    begin(&fixture);
    message = enter(&fixture, 0, 1, 4 * LENGTH, 0);
    homa_ledger_report(&fixture.ledger, message, 0, 0, 2 * LENGTH);
    assert_int_equal(fixture.ledger.outstanding, CLAIM_LIMIT);
    homa_ledger_report(&fixture.ledger, message, 0, 2 * LENGTH - CLAIM_LIMIT, 0);
    assert_int_equal(fixture.ledger.outstanding, CLAIM_LIMIT);
    homa_ledger_report(&fixture.ledger, message, 0, 2 * LENGTH - CLAIM_LIMIT + 1000, 0);
    assert_int_equal(fixture.ledger.outstanding, CLAIM_LIMIT - 1000);
    finish(&fixture);
}

static void what_we_grant_counts_in_full(void **state)
{
    (void)state;
    struct fixture fixture;
    struct homa_sched_message *message;

    begin(&fixture);
    message = enter(&fixture, 0, 1, 4 * LENGTH, 0);
    homa_ledger_report(&fixture.ledger, message, 0, 0, 2 * LENGTH);
    homa_ledger_grant(&fixture.ledger, message, LENGTH);
    assert_int_equal(fixture.ledger.outstanding, CLAIM_LIMIT + LENGTH);
    homa_ledger_advance(&fixture.ledger, MS);
    assert_int_equal(fixture.ledger.outstanding, 0);
    homa_ledger_report(&fixture.ledger, message, MS, ALIVE, 0);
    assert_int_equal(fixture.ledger.outstanding, CLAIM_LIMIT + LENGTH);
    finish(&fixture);
}

static void a_sender_that_owes_nothing_is_never_stalled(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *message = enter(&fixture, 0, 1, LENGTH, UNSCHEDULED);

    assert_true(homa_ledger_next_stall(&fixture.ledger) == UINT64_MAX);
    homa_ledger_advance(&fixture.ledger, 100 * MS);
    assert_ptr_equal(homa_ledger_first(&fixture.ledger), message);
    homa_ledger_grant(&fixture.ledger, message, 5000); /* from now on it owes */
    assert_int_equal(homa_ledger_next_stall(&fixture.ledger), 101 * MS);
    homa_ledger_advance(&fixture.ledger, 101 * MS - 1);
    assert_ptr_equal(homa_ledger_first(&fixture.ledger), message);
    homa_ledger_advance(&fixture.ledger, 101 * MS);
    assert_null(homa_ledger_first(&fixture.ledger));
    finish(&fixture);
}

static void a_stalled_sender_has_no_rank_and_counts_nowhere_until_it_sends(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *dead = enter(&fixture, 0, 1, 50000, 0);
    struct homa_sched_message *alive = enter(&fixture, 0, 2, LENGTH, 0);

    homa_ledger_report(&fixture.ledger, alive, MS, 2000, 0);
    homa_ledger_advance(&fixture.ledger, MS);
    assert_ptr_equal(homa_ledger_first(&fixture.ledger), alive);
    assert_int_equal(fixture.ledger.outstanding, UNSCHEDULED - 2000);
    assert_int_equal(fixture.owner.outstanding, UNSCHEDULED - 2000);
    assert_true(homa_ledger_is_sound(&fixture.ledger));
    homa_ledger_report(&fixture.ledger, dead, 2 * MS, 1000, 0);
    assert_ptr_equal(homa_ledger_first(&fixture.ledger), dead);
    assert_int_equal(fixture.ledger.outstanding, UNSCHEDULED - 2000 + UNSCHEDULED - 1000);
    finish(&fixture);
}

/* A byte now and then, with old messages and new ones. */
static void crumbs_keep_no_sender_from_being_stalled(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *message = enter(&fixture, 0, 1, LENGTH, 0);

    for (uint32_t i = 1; i <= 20; i++) {
        homa_ledger_report(&fixture.ledger, message, i * MS / 4, i, LENGTH / 2 + i);
        enter(&fixture, i * MS / 4, 1, LENGTH, 1);
        homa_ledger_advance(&fixture.ledger, i * MS / 4);
        assert_int_equal(fixture.ledger.outstanding == 0, i >= 4);
        assert_true(homa_ledger_is_sound(&fixture.ledger));
    }
    assert_null(homa_ledger_first(&fixture.ledger));
    homa_ledger_report(&fixture.ledger, message, 6 * MS, ALIVE, 0);
    assert_ptr_equal(homa_ledger_first(&fixture.ledger), message);
    finish(&fixture);
}

static void any_full_packet_of_a_sender_keeps_all_its_messages(void **state)
{
    (void)state;
    struct fixture fixture;
    uint32_t received = 0;

    begin(&fixture);
    struct homa_sched_message *quiet = enter(&fixture, 0, 1, 50000, 0);
    struct homa_sched_message *busy = enter(&fixture, 0, 1, LENGTH, 0);

    for (uint64_t now = 0; now < 4 * MS; now += MS / 2) {
        received += ALIVE;
        homa_ledger_report(&fixture.ledger, busy, now, received, 0);
        homa_ledger_advance(&fixture.ledger, now);
        assert_ptr_equal(homa_ledger_first(&fixture.ledger), quiet);
    }
    finish(&fixture);
}

static void a_new_message_wakes_a_stalled_sender(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *old = enter(&fixture, 0, 1, 50000, 0);

    homa_ledger_advance(&fixture.ledger, MS);
    assert_null(homa_ledger_first(&fixture.ledger));
    assert_non_null(enter(&fixture, 2 * MS, 1, LENGTH, ALIVE));
    assert_ptr_equal(homa_ledger_first(&fixture.ledger), old);
    assert_int_equal(fixture.ledger.outstanding, 2 * UNSCHEDULED - ALIVE);
    finish(&fixture);
}

/* Its other messages wait for us, not for it: without grants it would be silent for ever. */
static void a_stalled_sender_whose_debts_are_struck_is_ranked_again(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *debt = enter(&fixture, 0, 1, 50000, 0);
    struct homa_sched_message *patient = enter(&fixture, 0, 1, LENGTH, UNSCHEDULED);

    homa_ledger_advance(&fixture.ledger, MS);
    assert_null(homa_ledger_first(&fixture.ledger));
    homa_ledger_strike(&fixture.ledger, debt);
    assert_ptr_equal(homa_ledger_first(&fixture.ledger), patient);
    finish(&fixture);
}

static void a_grant_does_not_restart_the_silence_of_a_sender_that_owes(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *message = enter(&fixture, 0, 1, LENGTH, 0);

    homa_ledger_advance(&fixture.ledger, MS / 2);
    homa_ledger_grant(&fixture.ledger, message, 5000);
    assert_int_equal(homa_ledger_next_stall(&fixture.ledger), MS);
    finish(&fixture);
}

static void time_never_goes_back(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *message = enter(&fixture, 5 * MS, 1, LENGTH, 0);

    enter(&fixture, 4 * MS, 2, LENGTH, 0); /* another thread's clock, read a little earlier */
    assert_int_equal(homa_ledger_next_stall(&fixture.ledger), 6 * MS);
    homa_ledger_advance(&fixture.ledger, 3 * MS);
    assert_ptr_equal(homa_ledger_first(&fixture.ledger), message);
    finish(&fixture);
}

static void the_oldest_is_the_first_that_came_and_is_not_stalled(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *first = enter(&fixture, 0, 1, LENGTH, 0);
    struct homa_sched_message *second = enter(&fixture, MS / 2, 2, 50000, UNSCHEDULED);

    enter(&fixture, MS / 2, 3, 40000, UNSCHEDULED);
    assert_ptr_equal(homa_ledger_oldest(&fixture.ledger), first);
    homa_ledger_advance(&fixture.ledger, MS);
    assert_ptr_equal(homa_ledger_oldest(&fixture.ledger), second);
    homa_ledger_report(&fixture.ledger, first, MS, ALIVE, 0);
    assert_ptr_equal(homa_ledger_oldest(&fixture.ledger), first);
    finish(&fixture);
}

static void the_soundness_check_sees_a_wrong_sum(void **state)
{
    (void)state;
    struct fixture fixture;

    begin(&fixture);
    struct homa_sched_message *message = enter(&fixture, 0, 1, LENGTH, 0);

    fixture.ledger.outstanding++;
    assert_false(homa_ledger_is_sound(&fixture.ledger));
    fixture.ledger.outstanding--;
    fixture.owner.outstanding++;
    assert_false(homa_ledger_is_sound(&fixture.ledger));
    fixture.owner.outstanding--;
    message->sender->owed++;
    assert_false(homa_ledger_is_sound(&fixture.ledger));
    message->sender->owed--;
    message->needs_grants = false;
    assert_false(homa_ledger_is_sound(&fixture.ledger));
    message->needs_grants = true;
    finish(&fixture);
}

static void random_use_keeps_the_books_sound(void **state)
{
    (void)state;
    struct fixture fixture;
    struct base_random random = base_random_seed(11);
    struct homa_sched_message *messages[RECORDS] = {NULL};
    uint64_t now = 0;

    begin(&fixture);
    for (uint32_t step = 0; step < 20000; step++) {
        struct homa_sched_message **slot = &messages[base_random_below(&random, RECORDS)];
        struct homa_sched_message *message = *slot;
        uint64_t action = base_random_below(&random, 10);

        now += base_random_below(&random, MS / 16);
        if (message == NULL) {
            *slot = enter(&fixture, now, (uint32_t)base_random_below(&random, 12),
                          1 + (uint32_t)base_random_below(&random, LENGTH), 0);
        } else if (action < 6) {
            uint32_t owed = homa_ledger_outstanding(message);

            homa_ledger_report(&fixture.ledger, message, now,
                               message->received + (uint32_t)base_random_below(&random, owed + 1),
                               message->granted + (action == 0 ? 1000 : 0));
        } else if (action < 9) {
            if (message->needs_grants)
                homa_ledger_grant(
                    &fixture.ledger, message,
                    1 + (uint32_t)base_random_below(&random, message->length - message->granted));
        } else {
            homa_ledger_strike(&fixture.ledger, message);
            *slot = NULL;
        }
        homa_ledger_advance(&fixture.ledger, now);
        assert_true(homa_ledger_is_sound(&fixture.ledger));
    }
    finish(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_ledger_takes_no_more),
        cmocka_unit_test(one_sender_takes_half_of_the_ledger_at_most),
        cmocka_unit_test(a_sender_s_claims_beyond_its_message_are_cut),
        cmocka_unit_test(bytes_that_came_ungranted_count_as_granted),
        cmocka_unit_test(reports_that_go_back_change_nothing),
        cmocka_unit_test(senders_rank_by_their_shortest_message),
        cmocka_unit_test(another_port_makes_no_other_sender_and_another_scope_does),
        cmocka_unit_test(of_equally_long_messages_the_earlier_is_first),
        cmocka_unit_test(progress_moves_a_message_ahead),
        cmocka_unit_test(a_message_granted_to_its_end_leaves_the_order_and_still_owes),
        cmocka_unit_test(outstanding_is_what_may_come_and_has_not),
        cmocka_unit_test(a_sender_s_claims_count_up_to_the_limit),
        cmocka_unit_test(bytes_that_never_counted_are_the_first_to_arrive),
        cmocka_unit_test(what_we_grant_counts_in_full),
        cmocka_unit_test(a_sender_that_owes_nothing_is_never_stalled),
        cmocka_unit_test(a_stalled_sender_has_no_rank_and_counts_nowhere_until_it_sends),
        cmocka_unit_test(crumbs_keep_no_sender_from_being_stalled),
        cmocka_unit_test(any_full_packet_of_a_sender_keeps_all_its_messages),
        cmocka_unit_test(a_new_message_wakes_a_stalled_sender),
        cmocka_unit_test(a_stalled_sender_whose_debts_are_struck_is_ranked_again),
        cmocka_unit_test(a_grant_does_not_restart_the_silence_of_a_sender_that_owes),
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(the_oldest_is_the_first_that_came_and_is_not_stalled),
        cmocka_unit_test(the_soundness_check_sees_a_wrong_sum),
        cmocka_unit_test(random_use_keeps_the_books_sound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
