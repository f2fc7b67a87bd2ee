/*
 * Whose turn it is: silence counts only from when the peer could say something, and nobody is asked
 * before that. Host 0 is the client, host 1 the server.
 */
#include "homa/engine_support.h"

#include <errno.h>

#define ID 5000u

static void flush(struct lab *lab, unsigned host)
{
    struct lab_packet packet;

    while (lab_pull(lab, host, &packet, 1) > 0)
        ;
}

/* A request that host 1 has answered. The response has not gone out. */
static void reply(struct lab *lab, uint32_t length)
{
    struct homa_packet request = lab_data(ID, 10, 0, 10);
    struct lab_message message;

    lab_push(lab, 1, 0, &request, 1);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    assert_int_equal(lab_reply(lab, 1, 0, message.info.id, length, 2), 0);
}

static void push_control(struct lab *lab, unsigned to, enum homa_packet_type type, uint64_t id)
{
    struct homa_packet packet = {.type = type, .id = id};

    lab_push(lab, to, 1 - to, &packet, 0);
}

static void push_grant(struct lab *lab, unsigned to, uint64_t id, uint32_t offset)
{
    struct homa_packet packet = {.type = HOMA_GRANT, .id = id, .grant.offset = offset};

    lab_push(lab, to, 1 - to, &packet, 0);
}

/* ---- requests ---- */

static void a_request_that_was_held_back_has_all_its_time(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    lab_request(lab, 0, 1, 100, 1);
    lab_tick(lab, 0, 90 * LAB_MS);
    flush(lab, 0);
    lab_tick(lab, 0, 999 * LAB_MS);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 0);
    lab_tick(lab, 0, LAB_MS);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 1);
    lab_close(lab);
}

static void a_request_that_was_held_back_is_asked_about_5_ms_after_it_went_out(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    lab_request(lab, 0, 1, 100, 1);
    lab_tick(lab, 0, 50 * LAB_MS);
    flush(lab, 0);
    lab_tick(lab, 0, 4990 * LAB_US);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 0);
    lab_tick(lab, 0, 10 * LAB_US);
    assert_int_equal(lab_pull_type(lab, 0, HOMA_RESEND, &packet), 1);
    lab_close(lab);
}

/* ---- responses ---- */

static void a_response_that_is_held_back_is_not_the_clients_silence(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    reply(lab, 100); /* and the wire takes nothing for ten seconds */
    lab_tick(lab, 1, 10 * LAB_S);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    flush(lab, 1);
    lab_tick(lab, 1, 1900 * LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    lab_close(lab);
}

static void questions_about_grants_do_not_delay_that_for_the_ack(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    reply(lab, 100000);
    flush(lab, 1);
    lab_tick(lab, 1, 100 * LAB_MS); /* without a grant */
    assert_int_equal(lab_pull_type(lab, 1, HOMA_NEED_ACK, &packet), 1);
    push_grant(lab, 1, ID, 100000);
    flush(lab, 1);
    lab_tick(lab, 1, 1990 * LAB_US);
    assert_int_equal(lab_pull(lab, 1, &packet, 1), 0);
    lab_tick(lab, 1, 10 * LAB_US);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_NEED_ACK, &packet), 1);
    lab_close(lab);
}

static void a_busy_client_is_asked_for_its_ack_no_less(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    reply(lab, 100);
    flush(lab, 1);
    lab_tick(lab, 1, 2 * LAB_MS);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_NEED_ACK, &packet), 1);
    lab_tick(lab, 1, 3 * LAB_MS);
    push_control(lab, 1, HOMA_BUSY, ID);
    lab_tick(lab, 1, LAB_MS); /* four after the first */
    assert_int_equal(lab_pull_type(lab, 1, HOMA_NEED_ACK, &packet), 1);
    lab_close(lab);
}

/* ---- a message that comes in ---- */

static void the_timeout_does_not_wait_for_a_longer_interval(void **state)
{
    struct homa_engine_options options = lab_options();
    struct homa_packet part = lab_data(ID, 10000, 0, 1000);
    struct lab *lab;

    (void)state;
    options.knobs.resend_ticks = 900;
    options.knobs.resend_interval = 3000;
    lab = lab_open_with(2, &options, 64);
    lab_push(lab, 1, 0, &part, 1);
    lab_tick(lab, 1, 999 * LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    lab_tick(lab, 1, LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    lab_close(lab);
}

static void a_sender_that_waited_long_for_space_has_all_its_time(void **state)
{
    struct homa_engine_options options = lab_options();
    struct homa_packet whole = lab_data(ID, BPAGE_SIZE, 0, BPAGE_SIZE - 10000);
    struct homa_packet rest = lab_data(ID, BPAGE_SIZE, BPAGE_SIZE - 10000, 10000);
    struct homa_packet waits = lab_data(ID + 2, 3000, 0, 1000);
    struct lab_message message;
    struct lab *lab;

    (void)state;
    options.knobs.timeout_ticks = 20;
    lab = lab_open_with(2, &options, 1);
    lab_push(lab, 1, 0, &whole, 1);
    lab_push(lab, 1, 0, &rest, 1);
    assert_int_equal(lab_take_only(lab, 1, HOMA_TAKE_REQUEST, &message), 0);
    lab_push(lab, 1, 0, &waits, 1);
    lab_tick(lab, 1, 250 * LAB_MS); /* between two looks at it */
    lab_give_back(lab, 1, &message);
    lab_tick(lab, 1, 19 * LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 2);
    lab_tick(lab, 1, LAB_MS);
    assert_int_equal(lab_usage(lab, 1).rpcs, 1);
    lab_close(lab);
}

static void after_data_the_first_busy_counts_as_the_first(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 100, 1);
    struct homa_packet part = lab_data(id | 1, 3000, 0, 1000);
    struct lab_packet packet;

    (void)state;
    flush(lab, 0);
    for (unsigned i = 0; i < 5; i++)
        push_control(lab, 0, HOMA_BUSY, id | 1);
    lab_push(lab, 0, 1, &part, 1);
    push_control(lab, 0, HOMA_BUSY, id | 1);
    lab_tick(lab, 0, 5 * LAB_MS);
    assert_int_equal(lab_pull_type(lab, 0, HOMA_RESEND, &packet), 1);
    lab_close(lab);
}

static void ticks_of_nothing_count_as_one(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab_packet packet;
    struct lab *lab;

    (void)state;
    options.knobs.resend_ticks = 0;
    options.knobs.resend_interval = 0;
    options.knobs.timeout_ticks = 5;
    options.knobs.request_ack_ticks = 0;
    lab = lab_open_with(2, &options, 64);
    lab_request(lab, 0, 1, 100, 1);
    flush(lab, 0);
    lab_tick(lab, 0, LAB_MS);
    assert_int_equal(lab_pull_type(lab, 0, HOMA_RESEND, &packet), 1);
    lab_tick(lab, 0, LAB_MS);
    assert_int_equal(lab_pull_type(lab, 0, HOMA_RESEND, &packet), 1);
    reply(lab, 100);
    flush(lab, 1);
    lab_tick(lab, 1, LAB_MS);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_NEED_ACK, &packet), 1);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_was_held_back_has_all_its_time),
        cmocka_unit_test(a_request_that_was_held_back_is_asked_about_5_ms_after_it_went_out),
        cmocka_unit_test(a_response_that_is_held_back_is_not_the_clients_silence),
        cmocka_unit_test(questions_about_grants_do_not_delay_that_for_the_ack),
        cmocka_unit_test(a_busy_client_is_asked_for_its_ack_no_less),
        cmocka_unit_test(the_timeout_does_not_wait_for_a_longer_interval),
        cmocka_unit_test(a_sender_that_waited_long_for_space_has_all_its_time),
        cmocka_unit_test(after_data_the_first_busy_counts_as_the_first),
        cmocka_unit_test(ticks_of_nothing_count_as_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
