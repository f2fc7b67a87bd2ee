/*
 * The application's calls: what is refused and what follows from each.
 */
#include "homa/engine_support.h"

#include <errno.h>

static struct mem_payload odd = {.bytes = (const uint8_t *)"odd", .length = 3, .ready = 3};

static int try_request(struct lab *lab, unsigned to, struct mem_payload *payload)
{
    struct base_address address = lab_address(lab, to);
    uint64_t id = 0;

    return homa_engine_request(lab_engine(lab, 0), lab->now, &address, payload, 0, 0, false, &id);
}

static int try_reply(struct lab *lab, uint64_t id)
{
    struct base_address address = lab_address(lab, 0);

    return homa_engine_reply(lab_engine(lab, 1), lab->now, &address, id, &odd, 0);
}

/* Brings a request of host 0 to host 1's application. */
static uint64_t serve(struct lab *lab)
{
    struct lab_message message;

    lab_request(lab, 0, 1, 100, 5);
    assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, LAB_S));
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 5, &message), 0);
    return message.info.id;
}

/* ---- requests ---- */

static void requests_of_length_0_or_beyond_the_limit_are_refused(void **state)
{
    struct lab *lab = lab_open(2);
    struct mem_payload payload = {.bytes = NULL, .length = 0};

    (void)state;
    assert_int_equal(try_request(lab, 1, &payload), -EINVAL);
    payload.length = LAB_MAX_MESSAGE + 1;
    assert_int_equal(try_request(lab, 1, &payload), -EINVAL);
    assert_int_equal(lab_usage(lab, 0).rpcs, 0);
    lab_close(lab);
}

static void a_request_beyond_max_rpcs_is_refused_and_the_payload_stays_the_callers(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;

    (void)state;
    options.max_rpcs = 2;
    lab = lab_open_with(2, &options, 4);
    lab_request(lab, 0, 1, 10, 1);
    lab_request(lab, 0, 1, 10, 1);
    assert_int_equal(try_request(lab, 1, &odd), -ENOBUFS);
    assert_int_equal(lab_usage(lab, 0).queued_bytes, 20);
    lab_close(lab);
}

static void a_request_to_one_peer_too_many_is_refused(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab;

    (void)state;
    options.max_peers = 1;
    lab = lab_open_with(3, &options, 4);
    lab_request(lab, 0, 1, 10, 1);
    assert_int_equal(try_request(lab, 2, &odd), -ENOBUFS);
    assert_int_equal(lab_counters(lab, 0)->peer_alloc_failures, 1);
    lab_close(lab);
}

static void a_payload_that_is_not_ready_is_sent_as_it_becomes_so(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address address = lab_address(lab, 1);
    struct mem_payload *payload = lab_payload(lab, 0, 10000, 8);
    struct lab_message message;
    uint64_t id = 0;

    (void)state;
    payload->ready = 0;
    assert_int_equal(
        homa_engine_request(lab_engine(lab, 0), lab->now, &address, payload, 0, 0, false, &id), 0);
    lab_run(lab, LAB_S);
    assert_int_equal(lab->packets[0], 0);
    payload->ready = 5000;
    homa_engine_more(lab_engine(lab, 0), lab->now, &address, id);
    lab_run(lab, LAB_MS);
    assert_int_equal(lab->packets[0], 3); /* a packet is not cut where the copy happens to be */
    payload->ready = 10000;
    homa_engine_more(lab_engine(lab, 0), lab->now, &address, id);
    assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, LAB_MS));
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 8, &message), 0);
    lab_close(lab);
}

static void more_of_an_unknown_message_is_nothing(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address address = lab_address(lab, 1);

    (void)state;
    homa_engine_more(lab_engine(lab, 0), lab->now, &address, 1234);
    homa_engine_more(lab_engine(lab, 0), lab->now, &address, 1235);
    lab_close(lab);
}

/* ---- replies ---- */

static void a_reply_to_an_unknown_rpc_says_so(void **state)
{
    struct lab *lab = lab_open(2);

    (void)state;
    assert_int_equal(try_reply(lab, 77), -ENOENT);
    lab_close(lab);
}

static void a_reply_of_length_0_or_beyond_the_limit_is_refused(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address address = lab_address(lab, 0);
    struct mem_payload payload = {.length = 0};
    uint64_t id = serve(lab);

    (void)state;
    assert_int_equal(homa_engine_reply(lab_engine(lab, 1), lab->now, &address, id, &payload, 0),
                     -EINVAL);
    payload.length = LAB_MAX_MESSAGE + 1;
    assert_int_equal(homa_engine_reply(lab_engine(lab, 1), lab->now, &address, id, &payload, 0),
                     -EINVAL);
    assert_int_equal(lab_reply(lab, 1, 0, id, 1, 1), 0);
    lab_close(lab);
}

static void a_reply_before_the_request_was_taken_is_refused(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t whole = lab_request(lab, 0, 1, 100, 5);
    struct homa_packet part = lab_data(9000, 3000, 0, 1000);

    (void)state;
    assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, LAB_S));
    assert_int_equal(try_reply(lab, whole | 1), -EINPROGRESS);
    lab_push(lab, 1, 0, &part, 1);
    assert_int_equal(try_reply(lab, 9001), -EINPROGRESS);
    lab_close(lab);
}

static void a_reply_may_know_the_packet_size_of_its_path(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address client = lab_address(lab, 0);
    struct homa_packet request = lab_data(5000, 10, 0, 10);
    struct lab_message message;
    struct lab_packet packet;

    (void)state;
    lab_push(lab, 1, 0, &request, 1);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    assert_int_equal(homa_engine_reply(lab_engine(lab, 1), lab->now, &client, 5001,
                                       lab_payload(lab, 1, 10000, 1), 700),
                     0);
    assert_int_equal(lab_pull(lab, 1, &packet, 1), 1);
    assert_int_equal(packet.length, 700);
    lab_close(lab);
}

static void a_second_reply_is_refused(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = serve(lab);

    (void)state;
    assert_int_equal(lab_reply(lab, 1, 0, id, 10, 6), 0);
    assert_int_equal(try_reply(lab, id), -EALREADY);
    lab_close(lab);
}

static void a_reply_finds_its_rpc_whatever_local_address_is_named(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address address = lab_address(lab, 0);
    struct mem_payload *payload = lab_payload(lab, 1, 10, 1);
    uint64_t id = serve(lab);

    (void)state;
    address.local = base_ip_from_v4("\x7f\0\0\1");
    assert_int_equal(homa_engine_reply(lab_engine(lab, 1), lab->now, &address, id, payload, 0), 0);
    lab_close(lab);
}

static void a_reply_from_another_client_port_finds_nothing(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address address = lab_address(lab, 0);
    uint64_t id = serve(lab);

    (void)state;
    address.port++;
    assert_int_equal(homa_engine_reply(lab_engine(lab, 1), lab->now, &address, id, &odd, 0),
                     -ENOENT);
    lab_close(lab);
}

/* ---- taking ---- */

static void nothing_is_taken_before_it_is_complete(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;
    uint64_t id = lab_request_private(lab, 0, 1, 100, 5);

    (void)state;
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_REQUEST | HOMA_TAKE_RESPONSE, 0, &message),
                     -EAGAIN);
    assert_int_equal(lab_take_id(lab, 0, id, 0, &message), -EAGAIN);
    assert_false(homa_engine_private_ready(lab_engine(lab, 0), id));
    lab_close(lab);
}

static void only_a_private_client_rpc_is_taken_by_its_id(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;
    uint64_t id = lab_request(lab, 0, 1, 100, 5);

    (void)state;
    assert_int_equal(lab_take_id(lab, 0, id, 0, &message), -EINVAL);
    assert_int_equal(lab_take_id(lab, 0, id + 2, 0, &message), -EINVAL);
    assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, LAB_S));
    assert_int_equal(lab_take_id(lab, 1, id | 1, 0, &message), -EINVAL);
    lab_close(lab);
}

static void a_private_response_is_seen_by_its_id_only(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;
    uint64_t id = lab_request_private(lab, 0, 1, 100, 5);
    uint64_t sequence = homa_engine_ready_sequence(lab_engine(lab, 0));

    (void)state;
    lab->hosts[1].is_echo = true;
    lab_run(lab, LAB_MS);
    assert_int_equal(homa_engine_ready_sequence(lab_engine(lab, 0)), sequence + 1);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 0);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), -EAGAIN);
    assert_true(homa_engine_private_ready(lab_engine(lab, 0), id));
    assert_int_equal(lab_take_id(lab, 0, id, 5, &message), 0);
    assert_int_equal(message.info.cookie, 5);
    assert_int_equal(lab_take_id(lab, 0, id, 0, &message), -EINVAL);
    assert_true(homa_engine_private_ready(lab_engine(lab, 0), id));
    lab_close(lab);
}

static void the_oldest_of_the_kinds_asked_for_comes_first(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;
    uint64_t theirs;
    uint64_t ours;
    uint64_t last;

    (void)state;
    lab->hosts[1].is_echo = true;
    theirs = lab_request(lab, 1, 0, 10, 1);
    lab_run(lab, LAB_MS);
    ours = lab_request(lab, 0, 1, 10, 2);
    lab_run(lab, LAB_MS);
    last = lab_request(lab, 1, 0, 10, 3);
    lab_run(lab, LAB_MS);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_REQUEST), 2);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_REQUEST | HOMA_TAKE_RESPONSE),
                     3);
    assert_int_equal(lab_take(lab, 0, 3, 1, &message), 0);
    assert_int_equal(message.info.id, theirs | 1);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_REQUEST, 3, &message), 0);
    assert_int_equal(message.info.id, last | 1);
    assert_int_equal(lab_take(lab, 0, 3, 2, &message), 0);
    assert_int_equal(message.info.id, ours);
    lab_close(lab);
}

static void bpages_are_the_applications_from_taking_to_returning(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;
    struct bpage_stats stats;
    uint32_t bad = 0;

    (void)state;
    lab_request(lab, 0, 1, 200000, 4);
    assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, LAB_S));
    assert_int_equal(lab_take_only(lab, 1, HOMA_TAKE_REQUEST, &message), 0);
    assert_int_equal(message.info.num_bpages, 4);
    bpage_pool_stats(lab->hosts[1].bpages, &stats);
    assert_int_equal(stats.pieces_out, 4);
    lab_give_back(lab, 1, &message);
    bpage_pool_stats(lab->hosts[1].bpages, &stats);
    assert_int_equal(stats.pieces_out, 0);
    assert_int_equal(
        homa_engine_return_bpages(lab_engine(lab, 1), lab->now, message.bpages, 1, &bad), -EINVAL);
    assert_int_equal(bad, 0);
    lab_close(lab);
}

static void bpages_without_a_region_are_refused(void **state)
{
    struct homa_engine_options options = lab_options();
    struct lab *lab = lab_open_with(1, &options, 0);
    uint32_t offset = 0;
    uint32_t bad = 9;

    (void)state;
    assert_int_equal(homa_engine_return_bpages(lab_engine(lab, 0), lab->now, &offset, 0, &bad), 0);
    assert_int_equal(homa_engine_return_bpages(lab_engine(lab, 0), lab->now, &offset, 1, &bad),
                     -EINVAL);
    assert_int_equal(bad, 0);
    lab_close(lab);
}

/* ---- aborting ---- */

static void aborting_unknown_and_server_rpcs_is_refused(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = serve(lab);

    (void)state;
    assert_int_equal(homa_engine_abort(lab_engine(lab, 1), lab->now, id, ECANCELED), -EINVAL);
    assert_int_equal(homa_engine_abort(lab_engine(lab, 0), lab->now, 4444, ECANCELED), -EINVAL);
    lab_close(lab);
}

static void an_rpc_aborted_with_an_error_finishes_with_it(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t shared = lab_request(lab, 0, 1, 100000, 5);
    uint64_t private = lab_request_private(lab, 0, 1, 100, 6);
    struct lab_message message;

    (void)state;
    assert_int_equal(homa_engine_abort(lab_engine(lab, 0), lab->now, shared, ECANCELED), 0);
    assert_int_equal(homa_engine_abort(lab_engine(lab, 0), lab->now, private, EINTR), 0);
    assert_int_equal(lab_usage(lab, 0).queued_bytes, 0);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), 0);
    assert_int_equal(message.info.id, shared);
    assert_int_equal(message.info.cookie, 5);
    assert_int_equal(message.info.error, ECANCELED);
    assert_int_equal(message.info.length, 0);
    assert_int_equal(message.info.num_bpages, 0);
    assert_int_equal(message.info.peer.port, LAB_PORT);
    assert_int_equal(lab_take_id(lab, 0, private, 0, &message), 0);
    assert_int_equal(message.info.error, EINTR);
    assert_int_equal(lab_usage(lab, 0).rpcs, 0);
    lab_close(lab);
}

static void an_rpc_aborted_without_an_error_vanishes(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 100, 5);

    (void)state;
    lab->hosts[1].is_echo = true;
    lab_run(lab, LAB_MS); /* even when its response is there */
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 1);
    assert_int_equal(homa_engine_abort(lab_engine(lab, 0), lab->now, id, 0), 0);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 0);
    assert_int_equal(lab_usage(lab, 0).rpcs, 0);
    lab_close(lab);
}

static void aborting_all_leaves_server_rpcs_and_finished_ones_alone(void **state)
{
    struct lab *lab = lab_open(2);
    struct lab_message message;

    (void)state;
    lab->hosts[1].is_echo = true;
    lab_request(lab, 0, 1, 10, 1);
    lab_run(lab, LAB_MS);
    lab_request(lab, 1, 0, 10, 2);
    lab_run(lab, LAB_MS);
    for (uint32_t i = 0; i < 5; i++)
        lab_request(lab, 0, 1, 100000, 3);
    assert_int_equal(homa_engine_abort(lab_engine(lab, 0), lab->now, 0, ECANCELED), 0);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_RESPONSE), 6);
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 1, &message), 0);
    assert_int_equal(message.info.error, 0);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 0), HOMA_TAKE_REQUEST), 1);
    assert_int_equal(homa_engine_abort(lab_engine(lab, 0), lab->now, 0, 0), 0);
    assert_int_equal(lab_usage(lab, 0).client_rpcs, 0);
    assert_int_equal(lab_usage(lab, 0).rpcs, 1);
    lab_close(lab);
}

static void an_aborted_request_that_is_being_worked_on_ends_quietly(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = serve(lab);

    (void)state;
    assert_int_equal(homa_engine_abort(lab_engine(lab, 0), lab->now, id & ~1ull, 0), 0);
    assert_int_equal(lab_reply(lab, 1, 0, id, 100, 6), 0);
    assert_true(lab_run_quiet(lab, LAB_S));
    lab_assert_idle(lab);
    lab_close(lab);
}

/* ---- dropping ---- */

static void a_request_in_service_can_be_dropped_and_never_runs_again(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address client = lab_address(lab, 0);
    struct lab_message message;
    uint64_t id = serve(lab);

    (void)state;
    assert_int_equal(homa_engine_drop(lab_engine(lab, 1), lab->now, &client, id + 2), -ENOENT);
    assert_int_equal(homa_engine_drop(lab_engine(lab, 1), lab->now, &client, id), 0);
    assert_int_equal(homa_engine_drop(lab_engine(lab, 1), lab->now, &client, id), -ENOENT);
    /* The client asks until it gives up, and is never told to send it again. */
    assert_true(lab_run_ready(lab, 0, HOMA_TAKE_RESPONSE, 2 * LAB_S));
    assert_int_equal(lab_take(lab, 0, HOMA_TAKE_RESPONSE, 0, &message), 0);
    assert_int_equal(message.info.error, ETIMEDOUT);
    assert_int_equal(homa_engine_ready(lab_engine(lab, 1), HOMA_TAKE_REQUEST), 0);
    assert_true(lab_counters(lab, 1)->tombstone_hits > 0);
    lab_close(lab);
}

static void a_request_not_taken_yet_cannot_be_dropped(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address client = lab_address(lab, 0);
    uint64_t id = lab_request(lab, 0, 1, 100, 5);

    (void)state;
    assert_true(lab_run_ready(lab, 1, HOMA_TAKE_REQUEST, LAB_S));
    assert_int_equal(homa_engine_drop(lab_engine(lab, 1), lab->now, &client, id | 1), -ENOENT);
    lab_close(lab);
}

/* ---- payloads ---- */

static void payloads_are_released_in_order_behind_what_the_list_holds(void **state)
{
    struct lab *lab = lab_open(2);
    struct mem_payload_list list = SLIST_HEAD_INITIALIZER(list);
    struct base_address address = lab_address(lab, 1);
    struct mem_payload payloads[4] = {odd, odd, odd, odd};
    struct mem_payload *at;
    uint64_t id = 0;
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(homa_engine_request(lab_engine(lab, 0), lab->now, &address, &payloads[i],
                                             0, 0, false, &id),
                         0);
    homa_engine_abort(lab_engine(lab, 0), lab->now, id - 6, 0);
    homa_engine_released(lab_engine(lab, 0), &list);
    homa_engine_abort(lab_engine(lab, 0), lab->now, id - 4, 0);
    homa_engine_abort(lab_engine(lab, 0), lab->now, id - 2, 0);
    homa_engine_abort(lab_engine(lab, 0), lab->now, id, 0);
    homa_engine_released(lab_engine(lab, 0), &list);
    homa_engine_released(lab_engine(lab, 0), &list);
    SLIST_FOREACH(at, &list, released)
        assert_ptr_equal(at, &payloads[count++]);
    assert_int_equal(count, 4);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_length_0_or_beyond_the_limit_are_refused),
        cmocka_unit_test(a_request_beyond_max_rpcs_is_refused_and_the_payload_stays_the_callers),
        cmocka_unit_test(a_request_to_one_peer_too_many_is_refused),
        cmocka_unit_test(a_payload_that_is_not_ready_is_sent_as_it_becomes_so),
        cmocka_unit_test(more_of_an_unknown_message_is_nothing),
        cmocka_unit_test(a_reply_to_an_unknown_rpc_says_so),
        cmocka_unit_test(a_reply_of_length_0_or_beyond_the_limit_is_refused),
        cmocka_unit_test(a_reply_before_the_request_was_taken_is_refused),
        cmocka_unit_test(a_reply_may_know_the_packet_size_of_its_path),
        cmocka_unit_test(a_second_reply_is_refused),
        cmocka_unit_test(a_reply_finds_its_rpc_whatever_local_address_is_named),
        cmocka_unit_test(a_reply_from_another_client_port_finds_nothing),
        cmocka_unit_test(nothing_is_taken_before_it_is_complete),
        cmocka_unit_test(only_a_private_client_rpc_is_taken_by_its_id),
        cmocka_unit_test(a_private_response_is_seen_by_its_id_only),
        cmocka_unit_test(the_oldest_of_the_kinds_asked_for_comes_first),
        cmocka_unit_test(bpages_are_the_applications_from_taking_to_returning),
        cmocka_unit_test(bpages_without_a_region_are_refused),
        cmocka_unit_test(aborting_unknown_and_server_rpcs_is_refused),
        cmocka_unit_test(an_rpc_aborted_with_an_error_finishes_with_it),
        cmocka_unit_test(an_rpc_aborted_without_an_error_vanishes),
        cmocka_unit_test(aborting_all_leaves_server_rpcs_and_finished_ones_alone),
        cmocka_unit_test(an_aborted_request_that_is_being_worked_on_ends_quietly),
        cmocka_unit_test(a_request_in_service_can_be_dropped_and_never_runs_again),
        cmocka_unit_test(a_request_not_taken_yet_cannot_be_dropped),
        cmocka_unit_test(payloads_are_released_in_order_behind_what_the_list_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
