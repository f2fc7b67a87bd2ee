/*
 * Whole RPCs between two engines: what the application sees, from request to tombstone.
 */
#include "homa/engine_support.h"

#include <errno.h>

/* One RPC each way of these lengths; returns how long it took. */
static uint64_t run_one(struct lab *lab, uint32_t request, uint32_t response)
{
    struct lab_message message;
    uint64_t began = lab->now;
    uint64_t id = lab_request(lab, 0, 1, request, 7);

    assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, 10 * LAB_S));
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 7, &message), 0);
    assert_int_equal(message.info.id, id | 1);
    assert_int_equal(message.info.length, request);
    assert_int_equal(message.info.cookie, 0);
    assert_int_equal(lab_reply(lab, 1, 0, message.info.id, response, 9), 0);
    assert_true(lab_run_ready(lab, 0, HOMA_TAKE_RESPONSE, 10 * LAB_S));
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 9, &message), 0);
    assert_int_equal(message.info.id, id);
    assert_int_equal(message.info.length, response);
    assert_int_equal(message.info.cookie, 7);
    assert_int_equal(message.info.error, 0);
    return lab->now - began;
}

static void a_small_rpc_takes_one_round_trip(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    assert_int_equal(run_one(lab, 100, 100), 2 * lab->latency);
    assert_true(lab_run_quiet(lab, LAB_S));
    lab_assert_idle(lab);
    lab_close(lab);
}

static void messages_of_every_kind_of_length_arrive_intact(void **state)
{
    static const uint32_t lengths[] = {1,     2,     1399,  1400,  1401,   39999,  40000,
                                       40001, 65535, 65536, 65537, 131072, 500000, 1000000};
    struct lab *lab = lab_open(2);

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        run_one(lab, lengths[i], 1);
        run_one(lab, 1, lengths[i]);
        run_one(lab, lengths[i], lengths[i]);
    }
    assert_int_equal(lab_counters(lab, 0)->resent_packets, 0);
    assert_int_equal(lab_counters(lab, 1)->resent_packets, 0);
    assert_int_equal(lab_counters(lab, 0)->packets_sent[HOMA_RESEND - HOMA_DATA], 0);
    assert_true(lab_run_quiet(lab, LAB_S));
    lab_assert_idle(lab);
    lab_close(lab);
}

static void loss_and_reordering_delay_messages_but_never_spoil_them(void **state)
{
    struct lab *lab = lab_open(2);
    uint32_t done = 0;

    (void)state;
    lab->drop = 0.05;
    lab->duplicate = 0.02;
    lab->jitter = 50 * LAB_US;
    lab->hosts[1].is_echo = true;
    for (uint32_t i = 1; i <= 200; i++)
        lab_request(lab, 0, 1, i * 997 % 100000 + 1, i);
    while (done < 200) {
        struct lab_message message;

        assert_true(lab_run_ready(lab, 0, HOMA_TAKE_RESPONSE, 5 * LAB_S));
        assert_int_equal(lab_take_only(lab, 0, HOMA_TAKE_RESPONSE, &message), 0);
        assert_int_equal(message.info.error, 0);
        lab_assert_pattern(lab, 0, &message, (uint32_t)message.info.cookie);
        lab_give_back(lab, 0, &message);
        done++;
    }
    assert_int_equal(lab->hosts[1].served, 200);
    lab->drop = 0;
    assert_true(lab_run_quiet(lab, 10 * LAB_S));
    lab_assert_idle(lab);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_rpc_takes_one_round_trip),
        cmocka_unit_test(messages_of_every_kind_of_length_arrive_intact),
        cmocka_unit_test(loss_and_reordering_delay_messages_but_never_spoil_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
