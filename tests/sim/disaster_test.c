/*
 * Runs of disaster as a whole: the same each time, looked at or not, and with something happening
 * in them. What the judge objects to is judge_test.c's.
 */
#include "sim/disaster.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim_scenario scenario;
static struct sim_outcome outcome;

/* A seed of a small scenario with faults, events and no hostile host. */
static uint64_t find_seed(uint64_t from)
{
    do {
        sim_scenario_make(&scenario, from++);
    } while (scenario.host_count > 6 || scenario.faults.rule_count == 0 ||
             scenario.event_count == 0 || scenario.hostile != UINT32_MAX);
    return from - 1;
}

static void a_run_is_the_same_each_time(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < 5; i++, seed++) {
        static struct sim_outcome again;

        seed = find_seed(seed);
        sim_disaster_run(&scenario, NULL, &outcome);
        sim_disaster_run(&scenario, NULL, &again);
        assert_false(outcome.verdict.is_violated);
        assert_int_equal(outcome.digest, again.digest);
        assert_memory_equal(&outcome.counts, &again.counts, sizeof(outcome.counts));
    }
}

static void two_seeds_go_two_ways(void **state)
{
    uint64_t seed = find_seed(1);

    (void)state;
    sim_disaster_run(&scenario, NULL, &outcome);
    uint64_t digest = outcome.digest;

    find_seed(seed + 1);
    sim_disaster_run(&scenario, NULL, &outcome);
    assert_int_not_equal(outcome.digest, digest);
}

static void a_run_that_is_recorded_goes_the_same_way(void **state)
{
    struct sim_disaster_record record;
    char *text = NULL;
    char *capture = NULL;
    size_t text_size;
    size_t capture_size;
    static struct sim_outcome plain;

    (void)state;
    find_seed(1);
    record.text = open_memstream(&text, &text_size);
    record.pcapng = open_memstream(&capture, &capture_size);
    assert_non_null(record.text);
    assert_non_null(record.pcapng);
    sim_disaster_run(&scenario, NULL, &plain);
    sim_disaster_run(&scenario, &record, &outcome);
    assert_int_equal(fclose(record.text), 0);
    assert_int_equal(fclose(record.pcapng), 0);
    assert_int_equal(outcome.digest, plain.digest);
    assert_non_null(strstr(text, " DATA "));
    assert_non_null(strstr(text, "request"));
    assert_non_null(strstr(text, "reply"));
    assert_true(capture_size > 10000);
    free(text);
    free(capture);
}

static void calls_are_answered_where_nothing_goes_wrong(void **state)
{
    (void)state;
    find_seed(1);
    scenario.faults.rule_count = 0;
    scenario.event_count = 0;
    scenario.traffic.is_dropped = 0;
    scenario.traffic.is_abandoned = 0;
    sim_disaster_run(&scenario, NULL, &outcome);
    assert_false(outcome.verdict.is_violated);
    assert_true(outcome.counts.calls > 0);
    assert_int_equal(outcome.counts.answered, outcome.counts.calls);
    assert_int_equal(outcome.counts.executed, outcome.counts.calls);
    assert_true(outcome.latencies == outcome.counts.answered && outcome.p99_ns > 0);
}

static void calls_to_a_host_that_is_down_time_out(void **state)
{
    (void)state;
    find_seed(1);
    scenario.host_count = 2;
    scenario.network.topology = SIM_SINGLE;
    scenario.network.hosts = 2;
    scenario.faults.rule_count = 0;
    scenario.traffic.pattern = SIM_CALL_RING;
    scenario.traffic.is_abandoned = 0;
    scenario.start_over = 10 * SIM_MS;
    scenario.faults_until = SIM_S;
    for (uint32_t i = 0; i < 2; i++) {
        scenario.hosts[i].knobs.resend_ticks = 1;
        scenario.hosts[i].knobs.timeout_ticks = 30;
    }
    scenario.event_count = 1;
    scenario.events[0] =
        (struct sim_event){.kind = SIM_EVENT_CRASH, .host = 1, .duration = scenario.faults_until};
    sim_disaster_run(&scenario, NULL, &outcome);
    assert_false(outcome.verdict.is_violated);
    assert_int_equal(outcome.counts.events[SIM_EVENT_CRASH], 1);
    assert_true(outcome.counts.failed[0] > 0);
    assert_int_equal(outcome.counts.failed[0], outcome.counts.calls);
}

static void what_never_happened_is_told(void **state)
{
    static struct sim_outcome_counts sum;
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    (void)state;
    assert_non_null(stream);
    sum.runs = 10;
    assert_int_equal(sim_outcome_missing(&sum, stream), 0); /* too few to tell */
    sum.runs = 1000000;
    assert_true(sim_outcome_missing(&sum, stream) > 50);
    assert_int_equal(fclose(stream), 0);
    assert_non_null(strstr(text, "never happened: crashes"));
    assert_non_null(strstr(text, "never happened: counter gaps_created"));
    free(text);
}

static void counts_of_runs_add_up(void **state)
{
    static struct sim_outcome_counts sum;

    (void)state;
    find_seed(1);
    sim_disaster_run(&scenario, NULL, &outcome);
    sim_outcome_add(&sum, &outcome.counts);
    sim_outcome_add(&sum, &outcome.counts);
    assert_int_equal(sum.runs, 2);
    assert_int_equal(sum.calls, 2 * outcome.counts.calls);
    assert_int_equal(sum.engines.requests_sent, 2 * outcome.counts.engines.requests_sent);
    assert_int_equal(sum.sights[SIM_SENT], 2 * outcome.counts.sights[SIM_SENT]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_the_same_each_time),
        cmocka_unit_test(two_seeds_go_two_ways),
        cmocka_unit_test(a_run_that_is_recorded_goes_the_same_way),
        cmocka_unit_test(calls_are_answered_where_nothing_goes_wrong),
        cmocka_unit_test(calls_to_a_host_that_is_down_time_out),
        cmocka_unit_test(what_never_happened_is_told),
        cmocka_unit_test(counts_of_runs_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
