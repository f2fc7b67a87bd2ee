/*
 * What the engine tells about its RPCs and itself.
 */
#include "homa/engine_support.h"

#define ID 5000u

struct album {
    struct homa_rpc_view views[8];
    unsigned count;
    unsigned limit;
};

static bool see(void *context, const struct homa_rpc_view *view)
{
    struct album *album = context;

    assert_true(album->count < 8);
    album->views[album->count++] = *view;
    return album->count < album->limit;
}

static struct album look(struct lab *lab, unsigned host)
{
    struct album album = {.limit = 8};

    homa_engine_view(lab_engine(lab, host), see, &album);
    return album;
}

static void a_new_request_has_no_response_yet(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request_private(lab, 0, 1, 100000, 5);
    struct lab_packet packet;
    struct album album;

    (void)state;
    lab_pull(lab, 0, &packet, 1);
    album = look(lab, 0);
    assert_int_equal(album.count, 1);
    assert_int_equal(album.views[0].id, id);
    assert_int_equal(album.views[0].cookie, 5);
    assert_int_equal(album.views[0].peer.port, LAB_PORT);
    assert_int_equal(album.views[0].tx_length, 100000);
    assert_int_equal(album.views[0].tx_sent, 1400);
    assert_int_equal(album.views[0].tx_granted, 40000);
    assert_int_equal(album.views[0].rx_length, -1);
    assert_true(album.views[0].is_private);
    assert_false(album.views[0].is_ready);
    assert_false(album.views[0].is_stalled);
    lab_close(lab);
}

static void a_request_that_comes_in_shows_its_gaps(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet packet = lab_data(ID, 30000, 1000, 1000);
    struct album album;

    (void)state;
    lab_push(lab, 1, 0, &packet, 1);
    packet.data.offset = 5000;
    lab_push(lab, 1, 0, &packet, 1);
    album = look(lab, 1);
    assert_int_equal(album.count, 1);
    assert_int_equal(album.views[0].id, ID | 1);
    assert_int_equal(album.views[0].tx_length, -1);
    assert_int_equal(album.views[0].rx_length, 30000);
    assert_int_equal(album.views[0].rx_remaining, 28000);
    assert_int_equal(album.views[0].rx_gaps, 2);
    assert_int_equal(album.views[0].rx_gap_bytes, 4000);
    assert_int_equal(album.views[0].rx_granted, 30000);
    lab_close(lab);
}

static void a_complete_message_is_ready_until_it_is_taken(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet packet = lab_data(ID, 10, 0, 10);
    struct lab_message message;

    (void)state;
    lab_push(lab, 1, 0, &packet, 1);
    assert_true(look(lab, 1).views[0].is_ready);
    assert_int_equal(lab_take(lab, 1, HOMA_TAKE_REQUEST, 1, &message), 0);
    assert_false(look(lab, 1).views[0].is_ready);
    lab_close(lab);
}

static void looking_stops_when_it_is_told_to(void **state)
{
    struct lab *lab = lab_open(2);
    struct album album = {.limit = 3};

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        lab_request(lab, 0, 1, 10, 1);
    homa_engine_view(lab_engine(lab, 0), see, &album);
    assert_int_equal(album.count, 3);
    assert_int_equal(look(lab, 0).count, 8);
    lab_close(lab);
}

static void usage_counts_what_is_in_use(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_packet packet = lab_data(ID, 30000, 1000, 1000);
    struct homa_engine_usage usage;

    (void)state;
    lab_request(lab, 0, 1, 100, 1);
    lab_request(lab, 0, 1, 1000, 1);
    lab_push(lab, 0, 1, &packet, 1);
    usage = lab_usage(lab, 0);
    assert_int_equal(usage.rpcs, 3);
    assert_int_equal(usage.client_rpcs, 2);
    assert_int_equal(usage.peers, 2); /* one by the address we chose, one by the address it chose */
    assert_int_equal(usage.gaps, 1);
    assert_int_equal(usage.timers, 3);
    assert_int_equal(usage.queued_bytes, 1100);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_request_has_no_response_yet),
        cmocka_unit_test(a_request_that_comes_in_shows_its_gaps),
        cmocka_unit_test(a_complete_message_is_ready_until_it_is_taken),
        cmocka_unit_test(looking_stops_when_it_is_told_to),
        cmocka_unit_test(usage_counts_what_is_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
