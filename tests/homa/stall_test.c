/*
 * Messages without buffer space. Host 0 is the client, host 1 the server, whose region is small.
 */
#include "homa/engine_support.h"

static struct lab *open_small(uint32_t bpages)
{
    struct homa_engine_options options = lab_options();

    return lab_open_with(2, &options, bpages);
}

static void push(struct lab *lab, uint64_t id, uint32_t total, uint32_t offset, uint32_t length)
{
    struct homa_packet packet = lab_data(id, total, offset, length);

    lab_push(lab, 1, 0, &packet, (uint32_t)id);
}

static void flush(struct lab *lab, unsigned host)
{
    struct lab_packet packet;

    while (lab_pull(lab, host, &packet, 1) > 0)
        ;
}

/* Fills a region of one bpage with a message that the application holds. */
static struct lab_message fill_with(struct lab *lab, uint64_t id)
{
    struct lab_message message;

    push(lab, id, BPAGE_SIZE, 0, BPAGE_SIZE / 2);
    push(lab, id, BPAGE_SIZE, BPAGE_SIZE / 2, BPAGE_SIZE / 2);
    flush(lab, 1);
    assert_int_equal(lab_take_only(lab, 1, HOMA_TAKE_REQUEST, &message), 0);
    return message;
}

static struct lab_message fill(struct lab *lab)
{
    return fill_with(lab, 4000);
}

static bool is_stalled(struct lab *lab, uint64_t id);

static void a_message_without_space_is_dropped_and_not_asked_for(void **state)
{
    struct lab *lab = open_small(1);
    struct lab_message message = fill(lab);
    struct lab_packet packet;

    (void)state;
    push(lab, 5000, 3000, 0, 1400);
    push(lab, 5000, 3000, 1400, 1400);
    assert_int_equal(lab_counters(lab, 1)->buffer_alloc_failures, 1);
    assert_int_equal(lab_counters(lab, 1)->dropped_data_no_bufs, 2800);
    assert_true(is_stalled(lab, 5001));
    lab_tick(lab, 1, 10 * LAB_S);
    assert_int_equal(lab_pull(lab, 1, &packet, 1), 0);
    assert_int_equal(lab_usage(lab, 1).rpcs, 2);
    lab_give_back(lab, 1, &message);
    lab_close(lab);
}

static void when_space_comes_back_the_message_starts_over(void **state)
{
    struct lab *lab = open_small(1);
    struct lab_message message = fill(lab);
    struct lab_packet packet;

    (void)state;
    push(lab, 5000, 3000, 0, 1400);
    lab_give_back(lab, 1, &message);
    assert_false(is_stalled(lab, 5001));
    assert_int_equal(lab_pull(lab, 1, &packet, 1), 1);
    assert_int_equal(packet.decoded.type, HOMA_RESEND);
    assert_int_equal(packet.decoded.id, 5001);
    assert_int_equal(packet.decoded.resend.offset, 0);
    assert_int_equal(packet.decoded.resend.length, 3000);
    push(lab, 5000, 3000, 0, 3000);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 5000, &message), 0);
    lab_close(lab);
}

static void a_lost_restart_is_repeated_and_silence_counts_again(void **state)
{
    struct lab *lab = open_small(1);
    struct lab_message message = fill(lab);
    struct lab_packet packet;

    (void)state;
    push(lab, 5000, 3000, 0, 1400);
    lab_tick(lab, 1, 5 * LAB_S);
    lab_give_back(lab, 1, &message);
    flush(lab, 1);
    lab_tick(lab, 1, 5 * LAB_MS);
    assert_int_equal(lab_pull_type(lab, 1, HOMA_RESEND, &packet), 1);
    lab_tick(lab, 1, LAB_S);
    assert_int_equal(lab_counters(lab, 1)->server_rpc_discards, 1);
    lab_close(lab);
}

static void the_shortest_goes_on_first(void **state)
{
    struct lab *lab = open_small(1);
    struct lab_message message = fill(lab);

    (void)state;
    push(lab, 5000, 40000, 0, 1000);
    push(lab, 5002, 30000, 0, 1000);
    push(lab, 5004, 35000, 0, 1000);
    lab_give_back(lab, 1, &message);
    assert_false(is_stalled(lab, 5003));
    assert_false(is_stalled(lab, 5005)); /* 30,000 and 35,000 share the bpage */
    assert_true(is_stalled(lab, 5001));
    lab_close(lab);
}

static void nobody_overtakes_a_shorter_one_that_waits(void **state)
{
    struct lab *lab = open_small(2);
    struct lab_message messages[2];

    (void)state;
    for (size_t i = 0; i < 2; i++)
        messages[i] = fill_with(lab, 4000 + 2 * i);
    push(lab, 5000, 131072, 0, 1000); /* needs both bpages */
    lab_give_back(lab, 1, &messages[0]);
    assert_true(is_stalled(lab, 5001));
    push(lab, 5002, 131072, 0, 1000); /* the same length: waits its turn */
    assert_true(is_stalled(lab, 5003));
    push(lab, 5004, 60000, 0, 1000); /* shorter: goes ahead */
    assert_false(is_stalled(lab, 5005));
    lab_give_back(lab, 1, &messages[1]);
    assert_true(is_stalled(lab, 5001));
    lab_close(lab);
}

static void space_of_an_rpc_that_ends_goes_to_one_that_waits(void **state)
{
    struct lab *lab = open_small(1);
    struct homa_packet unknown = {.type = HOMA_RPC_UNKNOWN, .id = 4000};

    (void)state;
    push(lab, 4000, BPAGE_SIZE, 0, 1000);
    push(lab, 5000, 3000, 0, 1400);
    assert_true(is_stalled(lab, 5001));
    lab_push(lab, 1, 0, &unknown, 0);
    assert_false(is_stalled(lab, 5001));
    lab_close(lab);
}

static void a_client_whose_request_waits_for_space_is_told_that_we_are_busy(void **state)
{
    struct lab *lab = open_small(1);
    struct homa_packet resend = {.type = HOMA_RESEND,
                                 .id = 5000,
                                 .resend = {.length = HOMA_RESEND_ALL, .has_priority = true}};
    struct lab_message message = fill(lab);
    struct lab_packet packet;

    (void)state;
    push(lab, 5000, 3000, 0, 1400);
    flush(lab, 1);
    lab_push(lab, 1, 0, &resend, 0);
    assert_int_equal(lab_pull(lab, 1, &packet, 1), 1);
    assert_int_equal(packet.decoded.type, HOMA_BUSY);
    lab_give_back(lab, 1, &message);
    lab_close(lab);
}

static void a_server_whose_response_waits_for_space_is_told_that_we_are_busy(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab = lab_open_with(2, &options, 0);
    uint64_t id = lab_request(lab, 0, 1, 10, 1);
    struct homa_packet response = lab_data(id | 1, 10, 0, 10);
    struct homa_packet need = {.type = HOMA_NEED_ACK, .id = id | 1};
    struct lab_packet packet;

    (void)state;
    flush(lab, 0);
    lab_push(lab, 0, 1, &response, 1);
    lab_push(lab, 0, 1, &need, 0);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.type, HOMA_BUSY);
    lab_close(lab);
}

static void an_application_that_reads_nothing_for_long_loses_nothing(void **state)
{
    struct lab *lab = open_small(2);
    struct lab_message message;
    unsigned done = 0;

    (void)state;
    for (uint32_t i = 1; i <= 50; i++)
        lab_request(lab, 0, 1, 20000, i);
    lab_run(lab, 10 * LAB_S);
    assert_int_equal(lab_counters(lab, 0)->rpc_timeouts, 0);
    assert_true(lab_counters(lab, 1)->buffer_alloc_failures > 0);
    while (done < 50) {
        assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, LAB_S));
        assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 0, &message), 0);
        assert_int_equal(lab_reply(lab, 1, 0, message.info.id, 10, 1), 0);
        done++;
    }
    lab_run(lab, 100 * LAB_MS);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 50);
    lab_close(lab);
}

struct search {
    uint64_t id;
    bool is_found;
    bool is_stalled;
};

static bool see(void *context, const struct homa_rpc_view *view)
{
    struct search *search = context;

    if (view->id != search->id)
        return true;
    search->is_found = true;
    search->is_stalled = view->is_stalled;
    return false;
}

static bool is_stalled(struct lab *lab, uint64_t id)
{
    struct search search = {.id = id};

    homa_engine_view(lab_engine(lab, 1), see, &search);
    assert_true(search.is_found);
    return search.is_stalled;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_without_space_is_dropped_and_not_asked_for),
        cmocka_unit_test(when_space_comes_back_the_message_starts_over),
        cmocka_unit_test(a_lost_restart_is_repeated_and_silence_counts_again),
        cmocka_unit_test(the_shortest_goes_on_first),
        cmocka_unit_test(nobody_overtakes_a_shorter_one_that_waits),
        cmocka_unit_test(space_of_an_rpc_that_ends_goes_to_one_that_waits),
        cmocka_unit_test(a_client_whose_request_waits_for_space_is_told_that_we_are_busy),
        cmocka_unit_test(a_server_whose_response_waits_for_space_is_told_that_we_are_busy),
        cmocka_unit_test(an_application_that_reads_nothing_for_long_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
