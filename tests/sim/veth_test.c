/*
 * Two hosts on a cable behind token buckets: bad options are refused; times on the idle path are
 * those that costs, bucket and rate add up to; load makes them longer; full buffers lose packets
 * and nothing else; and a run repeats.
 */
#include "sim/veth.h"

#include "support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RATE  200u  /* Mbit/s: 40 ns a byte */
#define BURST 4000u /* bytes: 160 us */

struct fixture {
    struct sim_workload *workload;
    struct sim_veth_options options;
    struct sim_veth_result result;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    assert_int_equal(sim_workload_named("w3", &fixture->workload), 0);
    sim_veth_defaults(&fixture->options, RATE, BURST);
    fixture->options.stream.workload = fixture->workload;
    fixture->options.duration = SIM_S;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    sim_slowdown_close(fixture->result.slowdown);
    sim_workload_close(fixture->workload);
    free(fixture);
    return 0;
}

static void run(struct fixture *fixture)
{
    const char *why = NULL;

    sim_slowdown_close(fixture->result.slowdown);
    if (sim_veth_run(&fixture->options, &fixture->result, &why) != 0)
        fail_msg("%s", why);
}

static void assert_refused(struct fixture *fixture, const char *sentence)
{
    const char *why = NULL;

    assert_int_equal(sim_veth_run(&fixture->options, &fixture->result, &why), -EINVAL);
    assert_non_null(strstr(why, sentence));
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct sim_veth_options good = fixture->options;

    fixture->options.stream.rate_mbps = 7;
    assert_refused(fixture, "must divide");
    fixture->options = good;
    fixture->options.stream.sockets = 5;
    assert_refused(fixture, "from 1 to 4 sockets");
    fixture->options = good;
    fixture->options.stream.length_max = 1000001;
    assert_refused(fixture, "1,000,000");
    fixture->options = good;
    fixture->options.stream.load_permille = 0;
    assert_refused(fixture, "the load is a share");
    fixture->options = good;
    fixture->options.client.card_burst = 1000;
    assert_refused(fixture, "must hold a full packet");
}

static void every_message_of_a_moderate_load_finishes(void **state)
{
    struct fixture *fixture = *state;

    run(fixture);
    assert_true(fixture->result.sent > 3000);
    assert_int_equal(fixture->result.finished, fixture->result.sent);
    assert_int_equal(sim_slowdown_count(fixture->result.slowdown), fixture->result.sent);
    assert_int_equal(fixture->result.overflows, 0);
}

static void the_count_of_messages_can_be_limited(void **state)
{
    struct fixture *fixture = *state;

    fixture->options.messages = 100;
    run(fixture);
    assert_int_equal(fixture->result.sent, 100);
}

/* Out, wake-up, in: a short message never waits for the rate. */
static void a_short_message_takes_what_its_packet_costs(void **state)
{
    struct fixture *fixture = *state;

    fixture->options.client.processor.packet_out = 5 * SIM_US;
    fixture->options.server.processor.packet_in = 2 * SIM_US;
    fixture->options.server.processor.wake = 20 * SIM_US;
    fixture->options.messages = 1;
    run(fixture);
    /* (and less than a nanosecond on the cable) */
    assert_in_range(sim_idle_time(&fixture->result.idle, 100), 27000, 27001);
}

/* The bucket lets pass its burst at once, and all else at the rate. */
static void a_long_message_takes_the_time_of_the_rate_less_the_burst(void **state)
{
    struct fixture *fixture = *state;
    uint64_t expected_ns;

    fixture->options.messages = 1;
    run(fixture);
    expected_ns = (sim_stream_wire_bytes(&fixture->options.stream, 1000000) - BURST) * UINT64_C(40);
    assert_in_range(sim_idle_time(&fixture->result.idle, 1000000), expected_ns,
                    expected_ns + expected_ns / 100);
}

static uint32_t mean_slowdown(const struct fixture *fixture)
{
    struct sim_rows rows;

    sim_slowdown_all(fixture->result.slowdown, fixture->workload, &rows);
    return rows.rows[0].mean;
}

static void more_load_slows_down_more(void **state)
{
    struct fixture *fixture = *state;
    uint32_t half;

    fixture->options.server.processor.wake = 20 * SIM_US;
    run(fixture);
    half = mean_slowdown(fixture);
    fixture->options.stream.load_permille = 800;
    run(fixture);
    assert_true(half > SIM_SLOWDOWN_ONE);
    assert_true(mean_slowdown(fixture) > half);
}

static void a_slow_server_with_a_small_buffer_loses_packets_but_no_message(void **state)
{
    struct fixture *fixture = *state;

    fixture->options.server.processor.packet_in = 50 * SIM_US;
    fixture->options.server.processor.receive_buffer = 20000;
    run(fixture);
    assert_true(fixture->result.overflows > 0);
    assert_true(fixture->result.resent_packets > 0);
    assert_int_equal(fixture->result.finished, fixture->result.sent);
}

static void costs_keep_processors_busy(void **state)
{
    struct fixture *fixture = *state;

    fixture->options.client.processor.packet_out = 10 * SIM_US;
    run(fixture);
    assert_true(fixture->result.client_busy > fixture->result.time / 50);
    assert_int_equal(fixture->result.server_busy, 0);
}

static char *print(struct fixture *fixture)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);

    assert_non_null(file);
    run(fixture);
    sim_veth_print(&fixture->options, &fixture->result, file);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void the_same_seed_prints_the_same_and_another_does_not(void **state)
{
    struct fixture *fixture = *state;
    char *first = print(fixture);
    char *second = print(fixture);
    char *other;

    fixture->options.stream.seed = 2;
    other = print(fixture);
    assert_string_equal(first, second);
    assert_string_not_equal(first, other);
    assert_non_null(strstr(first, "messages in 0.9 s, 0 unfinished"));
    free(first);
    free(second);
    free(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_makes_no_sense_is_refused),
        TEST(every_message_of_a_moderate_load_finishes),
        TEST(the_count_of_messages_can_be_limited),
        TEST(a_short_message_takes_what_its_packet_costs),
        TEST(a_long_message_takes_the_time_of_the_rate_less_the_burst),
        TEST(more_load_slows_down_more),
        TEST(a_slow_server_with_a_small_buffer_loses_packets_but_no_message),
        TEST(costs_keep_processors_busy),
        TEST(the_same_seed_prints_the_same_and_another_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
