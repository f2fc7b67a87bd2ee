/*
 * What the judge says of a scheduler's decisions. A real scheduler is told that senders may send
 * more, as if it had granted that between the judge's two looks: the judge cannot know better, and
 * has to object to what no scheduler should have granted.
 */
#include "sim/judge.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#define LENGTH 100000u
#define FIRST  10000u /* bytes that need no grant, and have come */

struct court {
    struct sim_scenario scenario;
    struct sim_world *world;
    struct sim_judge *judge;
    struct sim_host *host;
    struct homa_sched_owner owner;
    uint64_t ids;
};

static void ready(void *context, struct sim_socket *socket)
{
    (void)context;
    (void)socket;
}

static struct court *open_court(void)
{
    struct court *court = calloc(1, sizeof(*court));
    const struct sim_application application = {.ready = ready};
    const char *why = NULL;

    assert_non_null(court);
    struct sim_host_options *host = &court->scenario.hosts[0];

    court->scenario.host_count = 8;
    court->scenario.hostile = UINT32_MAX;
    court->scenario.network = (struct sim_network_options){
        .hosts = 8, .host_mbps = 10000, .core_mbps = 10000, .priorities = 8};
    homa_knobs_default(&host->knobs);
    host->knobs.unsched_bytes = FIRST;
    host->knobs.max_overcommit = 2;
    host->knobs.window = 50000;
    host->sockets = 1;
    host->ports[0] = 1000;
    host->region_bpages = 32;
    host->max_message = 1000000;
    host->max_rpcs = 64;
    host->max_peers = 64;
    host->max_tombstones = 64;
    host->packet_bytes = 1456;
    host->sched_limit = 1000000;
    host->sched_messages = 64;
    host->output_batch = 1;
    for (uint32_t i = 1; i < court->scenario.host_count; i++)
        court->scenario.hosts[i] = *host;
    struct sim_world_options options = {.network = court->scenario.network,
                                        .carries_payload = true,
                                        .hosts = court->scenario.hosts};

    court->world = sim_world_open(&options, &application, &why);
    assert_non_null(court->world);
    court->judge = sim_judge_open(&court->scenario, court->world, NULL);
    court->host = sim_world_host(court->world, 0);
    homa_sched_attach(sim_host_sched(court->host), &court->owner, NULL, 300000);
    return court;
}

static void close_court(struct court *court)
{
    homa_sched_detach(sim_host_sched(court->host), &court->owner);
    sim_judge_close(court->judge);
    sim_world_close(court->world);
    free(court);
}

/* A message of that host, of which the first bytes have come. */
static homa_sched_slot add(struct court *court, uint32_t sender, uint32_t length)
{
    struct base_address peer =
        sim_socket_address(sim_host_socket(sim_world_host(court->world, sender), 0));
    homa_sched_slot slot = homa_sched_add(sim_host_sched(court->host), 0, &court->owner, &peer,
                                          court->ids += 2, length, FIRST, FIRST);

    assert_true(slot != HOMA_SCHED_NONE);
    return slot;
}

static void before(struct court *court)
{
    sim_judge_see_schedule(court->judge, court->host, false);
}

static void grant(struct court *court, homa_sched_slot slot, uint32_t offset)
{
    homa_sched_progress(sim_host_sched(court->host), slot, 0, FIRST, offset);
}

static void after(struct court *court)
{
    sim_judge_see_schedule(court->judge, court->host, true);
}

static void assert_objection(struct court *court, const char *part)
{
    const struct sim_verdict *verdict = sim_judge_verdict(court->judge);

    assert_true(verdict->is_violated);
    if (strstr(verdict->sentence, part) == NULL)
        fail_msg("'%s' is not in '%s'", part, verdict->sentence);
}

static void assert_no_objection(struct court *court)
{
    const struct sim_verdict *verdict = sim_judge_verdict(court->judge);

    if (verdict->is_violated)
        fail_msg("%s", verdict->sentence);
}

static void what_was_granted_before_is_not_judged(void **state)
{
    struct court *court = open_court();
    homa_sched_slot slot = add(court, 1, LENGTH);

    (void)state;
    grant(court, slot, LENGTH);
    before(court);
    after(court);
    assert_no_objection(court);
    assert_int_equal(sim_judge_grants(court->judge), 0);
    close_court(court);
}

static void a_grant_to_the_shortest_is_right(void **state)
{
    struct court *court = open_court();

    (void)state;
    add(court, 1, LENGTH);
    homa_sched_slot slot = add(court, 2, LENGTH - 1);

    before(court);
    grant(court, slot, FIRST + 20000);
    after(court);
    assert_no_objection(court);
    assert_int_equal(sim_judge_grants(court->judge), 1);
    close_court(court);
}

static void a_grant_past_a_shorter_one_is_objected_to(void **state)
{
    struct court *court = open_court();

    (void)state;
    add(court, 1, LENGTH - 1);
    homa_sched_slot slot = add(court, 2, LENGTH);

    before(court);
    grant(court, slot, FIRST + 20000);
    after(court);
    assert_objection(court, "waits for nothing but a grant");
    close_court(court);
}

static void a_grant_to_the_oldest_is_right(void **state)
{
    struct court *court = open_court();
    homa_sched_slot slot = add(court, 1, LENGTH);

    (void)state;
    add(court, 2, LENGTH - 1);
    before(court);
    grant(court, slot, FIRST + 20000);
    after(court);
    assert_no_objection(court);
    close_court(court);
}

static void a_shorter_one_of_the_same_sender_may_wait(void **state)
{
    struct court *court = open_court();

    (void)state;
    add(court, 3, LENGTH + 1);
    add(court, 2, LENGTH - 1);
    homa_sched_slot slot = add(court, 2, LENGTH);

    before(court);
    grant(court, slot, FIRST + 20000);
    after(court);
    assert_no_objection(court);
    close_court(court);
}

static void more_than_the_window_is_objected_to(void **state)
{
    struct court *court = open_court();
    homa_sched_slot slot = add(court, 1, LENGTH);

    (void)state;
    before(court);
    grant(court, slot, FIRST + 50001);
    after(court);
    assert_objection(court, "the window: 50001, may be 50000");
    close_court(court);
}

static void more_than_the_wire_holds_is_objected_to(void **state)
{
    struct court *court = open_court();
    homa_sched_slot slots[7];

    (void)state;
    for (uint32_t i = 0; i < 7; i++)
        slots[i] = add(court, i + 1, LENGTH);
    before(court);
    for (uint32_t i = 0; i < 7; i++)
        grant(court, slots[i], FIRST + 50000);
    after(court);
    assert_objection(court, "for the socket: 350000, may be 300000");
    close_court(court);
}

static void more_than_max_incoming_is_objected_to(void **state)
{
    struct court *court = open_court();
    homa_sched_slot slots[7];

    (void)state;
    court->owner.limit_bytes = 1000000;
    for (uint32_t i = 0; i < 7; i++)
        slots[i] = add(court, i + 1, LENGTH);
    before(court);
    for (uint32_t i = 0; i < 7; i++)
        grant(court, slots[i], FIRST + 60000);
    after(court);
    assert_objection(court, "on the host: 420000, may be 400000");
    close_court(court);
}

static void two_messages_of_one_sender_at_a_time_are_objected_to(void **state)
{
    struct court *court = open_court();

    (void)state;
    add(court, 3, LENGTH + 2);
    homa_sched_slot one = add(court, 1, LENGTH);
    homa_sched_slot other = add(court, 1, LENGTH + 1);

    before(court);
    grant(court, one, FIRST + 10000);
    grant(court, other, FIRST + 10000);
    after(court);
    assert_objection(court, "two messages of one sender");
    close_court(court);
}

static void more_messages_than_have_a_place_are_objected_to(void **state)
{
    struct court *court = open_court();
    homa_sched_slot slots[3];

    (void)state;
    add(court, 5, LENGTH + 2);
    for (uint32_t i = 0; i < 3; i++)
        slots[i] = add(court, i + 1, LENGTH);
    before(court);
    for (uint32_t i = 0; i < 3; i++)
        grant(court, slots[i], FIRST + 10000);
    after(court);
    assert_objection(court, "3 messages were granted bytes at a time, of 2");
    close_court(court);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_granted_before_is_not_judged),
        cmocka_unit_test(a_grant_to_the_shortest_is_right),
        cmocka_unit_test(a_grant_past_a_shorter_one_is_objected_to),
        cmocka_unit_test(a_grant_to_the_oldest_is_right),
        cmocka_unit_test(a_shorter_one_of_the_same_sender_may_wait),
        cmocka_unit_test(more_than_the_window_is_objected_to),
        cmocka_unit_test(more_than_the_wire_holds_is_objected_to),
        cmocka_unit_test(more_than_max_incoming_is_objected_to),
        cmocka_unit_test(two_messages_of_one_sender_at_a_time_are_objected_to),
        cmocka_unit_test(more_messages_than_have_a_place_are_objected_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
