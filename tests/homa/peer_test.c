/*
 * Peer records: finding, forgetting, estimates. White-box: the engine is only their table.
 */
#include "homa/engine_support.h"

static struct base_address address_of(uint8_t last, uint16_t port)
{
    uint8_t ip[4] = {192, 168, 0, last};

    return (struct base_address){.remote = base_ip_from_v4(ip), .port = port};
}

static struct homa_peer *get(struct lab *lab, uint8_t last, uint16_t port)
{
    struct base_address address = address_of(last, port);

    return homa_peer_get(lab_engine(lab, 0), &address);
}

static struct lab *open_with_peers(uint32_t max_peers)
{
    struct homa_engine_options options = lab_options();

    options.max_peers = max_peers;
    return lab_open_with(2, &options, 64);
}

static void a_peer_is_its_whole_address(void **state)
{
    struct lab *lab = lab_open(1);
    struct base_address address = address_of(1, 5);
    struct homa_peer *peer = get(lab, 1, 5);

    (void)state;
    assert_ptr_equal(get(lab, 1, 5), peer);
    assert_ptr_not_equal(get(lab, 2, 5), peer);
    assert_ptr_not_equal(get(lab, 1, 6), peer);
    address.scope = 3;
    assert_null(homa_peer_find(lab_engine(lab, 0), &address));
    address.scope = 0;
    address.local = base_ip_from_v4("\x0a\0\0\1");
    assert_null(homa_peer_find(lab_engine(lab, 0), &address));
    assert_int_equal(lab_usage(lab, 0).peers, 3);
    lab_close(lab);
}

static void records_of_one_remote_socket_share_what_was_learnt(void **state)
{
    struct lab *lab = lab_open(1);
    struct base_address address = address_of(1, 5);
    struct homa_peer *first = get(lab, 1, 5);
    struct homa_peer *second;

    (void)state;
    homa_peer_sample_rtt(first, 70000);
    first->response_ns = 90000;
    first->packet_bytes = 777;
    first->cutoff_version = 4;
    first->cutoffs_sent_at = 5;
    first->has_answered = true;
    homa_peer_set_never_grants(lab_engine(lab, 0), first);
    address.local = base_ip_from_v4("\x0a\0\0\1");
    second = homa_peer_get(lab_engine(lab, 0), &address);
    assert_ptr_not_equal(second, first);
    assert_int_equal(second->rtt_ns, 70000);
    assert_int_equal(second->packet_bytes, 777);
    assert_int_equal(second->rtt_variation_ns, 35000);
    assert_int_equal(second->response_ns, 90000);
    assert_int_equal(second->cutoff_version, 4);
    assert_int_equal(second->cutoffs_sent_at, 5);
    assert_true(second->never_grants);
    assert_true(second->has_answered);
    lab_close(lab);
}

static void the_least_recently_used_idle_peer_is_forgotten(void **state)
{
    struct lab *lab = open_with_peers(3);
    struct base_address held = lab_address(lab, 1);
    struct base_address second = address_of(2, 1);
    struct base_address first = address_of(1, 1);

    (void)state;
    lab_request(lab, 0, 1, 10, 1);
    get(lab, 1, 1);
    get(lab, 2, 1);
    assert_int_equal(lab_usage(lab, 0).peers, 3);
    assert_non_null(get(lab, 3, 1));
    assert_int_equal(lab_counters(lab, 0)->peers_evicted, 1);
    assert_null(homa_peer_find(lab_engine(lab, 0), &first));
    assert_non_null(homa_peer_find(lab_engine(lab, 0), &second));
    assert_non_null(get(lab, 4, 1));
    assert_null(homa_peer_find(lab_engine(lab, 0), &second));
    assert_non_null(homa_peer_find(lab_engine(lab, 0), &held)); /* it has an RPC */
    homa_engine_check(lab_engine(lab, 0));
    lab_close(lab);
}

static void a_forgotten_peers_acks_and_packets_go_with_it(void **state)
{
    struct lab *lab = open_with_peers(1);
    struct homa_peer *peer = get(lab, 1, 1);
    struct lab_packet packet;

    (void)state;
    homa_ack_now(lab_engine(lab, 0), peer, 800);
    homa_ack_now(lab_engine(lab, 0), peer, 802);
    homa_control_tell_peer(lab_engine(lab, 0), peer, HOMA_PEER_TELL_CUTOFFS);
    assert_non_null(get(lab, 2, 1));
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 0);
    assert_int_equal(lab_counters(lab, 0)->ack_overflows, 2);
    homa_engine_check(lab_engine(lab, 0));
    lab_close(lab);
}

static void a_peer_whose_last_rpc_ends_becomes_forgettable(void **state)
{
    struct lab *lab = open_with_peers(1);

    (void)state;
    lab_request(lab, 0, 1, 10, 1);
    assert_null(get(lab, 1, 1));
    assert_int_equal(lab_counters(lab, 0)->peer_alloc_failures, 1);
    homa_engine_abort(lab_engine(lab, 0), lab->now, 0, 0);
    assert_non_null(get(lab, 1, 1));
    lab_close(lab);
}

/* ---- estimates ---- */

static uint64_t gap_wait(const struct homa_peer *peer)
{
    struct lab *lab = lab_open(1);
    uint64_t wait = homa_peer_gap_wait(lab_engine(lab, 0), peer);

    lab_close(lab);
    return wait;
}

static void without_a_sample_a_gap_waits_a_millisecond(void **state)
{
    struct homa_peer peer = {0};

    (void)state;
    assert_int_equal(gap_wait(&peer), LAB_MS);
}

static void a_gap_waits_for_a_round_trip_and_four_variations(void **state)
{
    struct homa_peer peer = {0};

    (void)state;
    homa_peer_sample_rtt(&peer, 100 * LAB_US);
    assert_int_equal(gap_wait(&peer), 300 * LAB_US);
    for (unsigned i = 0; i < 100; i++)
        homa_peer_sample_rtt(&peer, 100 * LAB_US);
    assert_in_range(gap_wait(&peer), 100 * LAB_US, 101 * LAB_US);
}

static void a_gap_never_waits_less_than_50_us(void **state)
{
    struct homa_peer peer = {0};

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        homa_peer_sample_rtt(&peer, LAB_US);
    assert_int_equal(gap_wait(&peer), 50 * LAB_US);
}

static void the_least_waits_are_knobs(void **state)
{
    struct homa_engine_options options = lab_options();
    struct homa_peer peer = {0};

    (void)state;
    options.knobs.gap_least_usecs = 7;
    options.knobs.ask_least_usecs = 20;
    struct lab *lab = lab_open_with(1, &options, 0);

    for (unsigned i = 0; i < 100; i++)
        homa_peer_sample_rtt(&peer, LAB_US);
    homa_peer_sample_response(&peer, LAB_US);
    assert_int_equal(homa_peer_gap_wait(lab_engine(lab, 0), &peer), 7 * LAB_US);
    assert_int_equal(homa_peer_first_ask_wait(lab_engine(lab, 0), &peer), 20 * LAB_US);
    lab_close(lab);
}

static void samples_of_nothing_and_of_hours_are_survived(void **state)
{
    struct homa_peer peer = {0};

    (void)state;
    homa_peer_sample_rtt(&peer, 0);
    homa_peer_sample_response(&peer, 0);
    assert_true(peer.rtt_ns > 0 && peer.response_ns > 0);
    for (unsigned i = 0; i < 100; i++) {
        homa_peer_sample_rtt(&peer, UINT64_MAX);
        homa_peer_sample_response(&peer, UINT64_MAX);
    }
    assert_true(gap_wait(&peer) >= 100 * LAB_MS);
    for (unsigned i = 0; i < 1000; i++)
        homa_peer_sample_rtt(&peer, LAB_US);
    assert_in_range(gap_wait(&peer), 50 * LAB_US, 51 * LAB_US);
}

static void only_the_best_response_times_say_something_about_the_path(void **state)
{
    struct homa_peer peer = {0};

    (void)state;
    homa_peer_sample_response(&peer, 900 * LAB_US);
    assert_int_equal(peer.rtt_ns, 900 * LAB_US);
    homa_peer_sample_response(&peer, 100 * LAB_US);
    assert_int_equal(peer.rtt_ns, 800 * LAB_US);
    homa_peer_sample_response(&peer, 5000 * LAB_US);
    assert_int_equal(peer.rtt_ns, 800 * LAB_US);
    assert_true(peer.response_ns > 800 * LAB_US);
    for (unsigned i = 0; i < 100; i++)
        homa_peer_sample_response(&peer, 100 * LAB_US);
    assert_in_range(peer.response_ns, 100 * LAB_US, 101 * LAB_US);
}

static void a_retransmitted_response_measures_nothing(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 10, 1);
    struct base_address address = lab_address(lab, 1);
    struct homa_packet response = lab_data(id | 1, 10, 0, 10);
    struct lab_packet packet;

    (void)state;
    lab_pull(lab, 0, &packet, 1);
    response.data.retransmit = true;
    lab_push(lab, 0, 1, &response, 1);
    assert_int_equal(homa_peer_find(lab_engine(lab, 0), &address)->response_ns, 0);
    assert_int_equal(homa_peer_find(lab_engine(lab, 0), &address)->rtt_ns, 0);
    lab_close(lab);
}

static void a_retransmitted_request_measures_nothing(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 10, 1);
    struct base_address address = lab_address(lab, 1);
    struct homa_packet unknown = {.type = HOMA_RPC_UNKNOWN, .id = id | 1};
    struct homa_packet response = lab_data(id | 1, 10, 0, 10);
    struct lab_packet packet;

    (void)state;
    lab_pull(lab, 0, &packet, 1);
    lab_push(lab, 0, 1, &unknown, 1);
    lab_pull(lab, 0, &packet, 1);
    lab_push(lab, 0, 1, &response, 1);
    assert_int_equal(homa_peer_find(lab_engine(lab, 0), &address)->response_ns, 0);
    lab_close(lab);
}

static void the_time_to_a_response_begins_when_the_request_is_all_out(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address address = lab_address(lab, 1);
    struct mem_payload *payload = lab_payload(lab, 0, 10, 1);
    struct homa_packet response = lab_data(0, 10, 0, 10);
    struct lab_packet packet;
    uint64_t id;

    (void)state;
    payload->ready = 0;
    assert_int_equal(
        homa_engine_request(lab_engine(lab, 0), lab->now, &address, payload, 0, 0, false, &id), 0);
    lab_tick(lab, 0, LAB_MS);
    payload->ready = 10;
    homa_engine_more(lab_engine(lab, 0), lab->now, &address, id);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    lab_tick(lab, 0, 20 * LAB_US);
    response.id = id | 1;
    lab_push(lab, 0, 1, &response, 1);
    assert_int_equal(homa_peer_find(lab_engine(lab, 0), &address)->response_ns, 20 * LAB_US);
    lab_close(lab);
}

/* Lets host 1 send a response and as many NEED_ACKs, then acknowledges it 30 us later. Returns the
 * round trip that this tells. */
static uint32_t rtt_after_need_acks(unsigned count)
{
    struct lab *lab = lab_open(2);
    struct homa_packet request = lab_data(5000, 10, 0, 10);
    struct homa_packet ack = {
        .type = HOMA_ACK, .id = 5000, .ack = {.count = 1, .acks[0] = {.client_id = 5000}}};
    struct base_address client = lab_address(lab, 0);
    struct lab_message message;
    struct lab_packet packet;
    uint32_t rtt_ns;

    client.local = lab_address(lab, 1).remote;
    lab_push(lab, 1, 0, &request, 1);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    assert_int_equal(lab_reply(lab, 1, 0, 5001, 10, 1), 0);
    lab_pull(lab, 1, &packet, 1);
    for (unsigned i = 0; i < count; i++) {
        uint64_t due = homa_engine_deadline(lab_engine(lab, 1));

        lab_tick(lab, 1, due - lab->now);
        assert_int_equal(lab_pull_type(lab, 1, HOMA_NEED_ACK, &packet), 1);
    }
    lab_tick(lab, 1, 30 * LAB_US);
    lab_push(lab, 1, 0, &ack, 1);
    assert_int_equal(lab_usage(lab, 1).rpcs, 0);
    rtt_ns = homa_peer_find(lab_engine(lab, 1), &client)->rtt_ns;
    lab_close(lab);
    return rtt_ns;
}

static void only_an_ack_to_the_first_need_ack_is_a_round_trip(void **state)
{
    (void)state;
    assert_int_equal(rtt_after_need_acks(0), 0);
    assert_int_equal(rtt_after_need_acks(1), 30 * LAB_US);
    assert_int_equal(rtt_after_need_acks(2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_is_its_whole_address),
        cmocka_unit_test(records_of_one_remote_socket_share_what_was_learnt),
        cmocka_unit_test(the_least_recently_used_idle_peer_is_forgotten),
        cmocka_unit_test(a_forgotten_peers_acks_and_packets_go_with_it),
        cmocka_unit_test(a_peer_whose_last_rpc_ends_becomes_forgettable),
        cmocka_unit_test(without_a_sample_a_gap_waits_a_millisecond),
        cmocka_unit_test(a_gap_waits_for_a_round_trip_and_four_variations),
        cmocka_unit_test(a_gap_never_waits_less_than_50_us),
        cmocka_unit_test(the_least_waits_are_knobs),
        cmocka_unit_test(samples_of_nothing_and_of_hours_are_survived),
        cmocka_unit_test(only_the_best_response_times_say_something_about_the_path),
        cmocka_unit_test(a_retransmitted_response_measures_nothing),
        cmocka_unit_test(a_retransmitted_request_measures_nothing),
        cmocka_unit_test(the_time_to_a_response_begins_when_the_request_is_all_out),
        cmocka_unit_test(only_an_ack_to_the_first_need_ack_is_a_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
