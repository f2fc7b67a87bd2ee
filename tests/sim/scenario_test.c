/*
 * Scenarios: whatever the seed they are possible, the same each time, and all together hold
 * everything that can go wrong.
 */
#include "sim/scenario.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 4000u

static struct sim_scenario scenario;

static char *describe(uint64_t seed)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    assert_non_null(stream);
    sim_scenario_make(&scenario, seed);
    sim_scenario_describe(&scenario, stream);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void a_flaw_is_found(void **state)
{
    (void)state;
    sim_scenario_make(&scenario, 1);
    assert_null(sim_scenario_flaw(&scenario));
    scenario.hosts[1].knobs.tombstone_ms = 1;
    assert_non_null(sim_scenario_flaw(&scenario));

    sim_scenario_make(&scenario, 1);
    scenario.hosts[0].region_bpages = 15;
    assert_non_null(sim_scenario_flaw(&scenario));

    sim_scenario_make(&scenario, 1);
    scenario.hosts[0].knobs.window = scenario.hosts[0].knobs.max_incoming + 1;
    assert_non_null(sim_scenario_flaw(&scenario));

    sim_scenario_make(&scenario, 1);
    scenario.event_count = 1;
    scenario.events[0] = (struct sim_event){.at = scenario.faults_until, .duration = 1};
    assert_non_null(sim_scenario_flaw(&scenario));
}

static void no_seed_asks_for_the_impossible(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_scenario_make(&scenario, seed);
        const char *flaw = sim_scenario_flaw(&scenario);

        if (flaw != NULL)
            fail_msg("seed %llu: %s", (unsigned long long)seed, flaw);
    }
}

static void a_seed_makes_the_same_scenario_each_time(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        char *one = describe(seed);
        char *again = describe(seed);
        char *next = describe(seed + 1);

        assert_string_equal(one, again);
        assert_string_not_equal(strchr(one, ':'), strchr(next, ':'));
        free(one);
        free(again);
        free(next);
    }
}

static void all_kinds_of_trouble_occur(void **state)
{
    uint32_t faults[SIM_FAULT_KINDS] = {0};
    uint32_t events[SIM_EVENT_KINDS] = {0};
    uint32_t acts = 0;
    uint32_t peaceful = 0;
    uint32_t hostile = 0;
    uint32_t most_hosts = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_scenario_make(&scenario, seed);
        for (uint32_t i = 0; i < scenario.faults.rule_count; i++)
            faults[scenario.faults.rules[i].kind]++;
        for (uint32_t i = 0; i < scenario.event_count; i++)
            events[scenario.events[i].kind]++;
        if (scenario.hostile != UINT32_MAX) {
            acts |= scenario.hostility.acts;
            hostile++;
        }
        peaceful += scenario.faults.rule_count + scenario.event_count == 0;
        if (scenario.host_count > most_hosts)
            most_hosts = scenario.host_count;
    }
    for (unsigned kind = 0; kind < SIM_FAULT_KINDS; kind++)
        assert_true(faults[kind] > SEEDS / 100);
    for (unsigned kind = 0; kind < SIM_EVENT_KINDS; kind++)
        assert_true(events[kind] > SEEDS / 100);
    assert_int_equal(acts, SIM_HOSTILE_BIT(SIM_HOSTILE_ACTS) - 1);
    assert_true(hostile > SEEDS / 20 && peaceful > SEEDS / 50);
    assert_int_equal(most_hosts, SIM_SCENARIO_HOSTS);
}

static void calls_are_of_servers_and_of_lengths_that_exist(void **state)
{
    struct sim_call_plan plan;
    struct sim_call_plan again;

    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        sim_scenario_make(&scenario, seed);
        for (uint32_t number = 0; number < 20; number++) {
            if (!sim_scenario_call(&scenario, 1, 0, number, &plan))
                continue;
            assert_true(plan.host < scenario.host_count);
            assert_true(plan.socket < scenario.hosts[plan.host].sockets);
            assert_true(scenario.hosts[plan.host].is_server[plan.socket]);
            assert_in_range(plan.request_length, 1, scenario.traffic.longest);
            assert_in_range(plan.response_length, 1, scenario.traffic.longest);
            assert_true(sim_scenario_call(&scenario, 1, 0, number, &again));
            assert_int_equal(again.request_length, plan.request_length);
            assert_int_equal(again.service, plan.service);
            assert_int_equal(again.host, plan.host);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flaw_is_found),
        cmocka_unit_test(no_seed_asks_for_the_impossible),
        cmocka_unit_test(a_seed_makes_the_same_scenario_each_time),
        cmocka_unit_test(all_kinds_of_trouble_occur),
        cmocka_unit_test(calls_are_of_servers_and_of_lengths_that_exist),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
