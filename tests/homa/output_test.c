/*
 * What goes out, in which order, how it is cut, and how it is taken back.
 */
#include "homa/engine_support.h"

#include <stdlib.h>
#include <string.h>

#define PAYLOAD 1400u /* of a full packet in the lab */

static void grant(struct lab *lab, uint64_t id, uint32_t offset)
{
    struct homa_packet packet = {
        .type = HOMA_GRANT, .id = id | 1, .grant = {.offset = offset, .priority = 1}};

    lab_push(lab, 0, 1, &packet, 0);
}

static void resend(struct lab *lab, uint64_t id, uint32_t offset, uint32_t length)
{
    struct homa_packet packet = {
        .type = HOMA_RESEND,
        .id = id | 1,
        .resend = {.offset = offset, .length = length, .priority = 5, .has_priority = true}};

    lab_push(lab, 0, 1, &packet, 0);
}

/* ---- cutting ---- */

static void packets_are_full_up_to_the_unscheduled_bytes_and_cut_there(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 100000, 1);
    struct lab_packet packets[80];
    uint32_t expected = 0;

    (void)state;
    assert_int_equal(lab_pull(lab, 0, packets, 80), 29);
    for (size_t i = 0; i < 29; i++) {
        const struct homa_packet *packet = &packets[i].decoded;

        assert_int_equal(packet->id, id);
        assert_int_equal(packet->data.offset, expected);
        assert_int_equal(packet->data.message_length, 100000);
        assert_int_equal(packet->data.incoming, 40000);
        assert_int_equal(packet->data.payload_length, i < 28 ? PAYLOAD : 800);
        assert_false(packet->data.retransmit);
        expected += packet->data.payload_length;
    }
    assert_int_equal(expected, 40000);
    assert_int_equal(lab_counters(lab, 0)->sent_bytes, 40000);
    lab_close(lab);
}

static void scheduled_packets_begin_a_grid_of_their_own(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 100000, 1);
    struct lab_packet packets[80];

    (void)state;
    lab_pull(lab, 0, packets, 80);
    grant(lab, id, 43000);
    assert_int_equal(lab_pull(lab, 0, packets, 80), 3);
    assert_int_equal(packets[0].decoded.data.payload_length, PAYLOAD);
    assert_int_equal(packets[1].decoded.data.payload_length, PAYLOAD);
    assert_int_equal(packets[2].decoded.data.payload_length, 200); /* cut by the grant */
    assert_int_equal(packets[2].decoded.data.incoming, 43000);
    grant(lab, id, 46000);
    assert_int_equal(lab_pull(lab, 0, packets, 80), 3);
    assert_int_equal(packets[0].decoded.data.offset, 43000);
    assert_int_equal(packets[0].decoded.data.payload_length, 1200); /* back on the grid */
    assert_int_equal(packets[1].decoded.data.offset, 44200);
    lab_close(lab);
}

static void retransmissions_follow_the_original_packet_boundaries(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 100000, 1);
    struct lab_packet packets[80];

    (void)state;
    lab_pull(lab, 0, packets, 80);
    grant(lab, id, 60000);
    lab_pull(lab, 0, packets, 80);
    resend(lab, id, 36400, 10000);
    assert_int_equal(lab_pull(lab, 0, packets, 80), 8);
    assert_int_equal(packets[2].decoded.data.offset, 39200);
    assert_int_equal(packets[2].decoded.data.payload_length, 800);
    assert_int_equal(packets[3].decoded.data.offset, 40000);
    assert_int_equal(packets[7].decoded.data.offset, 45600);
    assert_int_equal(packets[7].decoded.data.payload_length, 800); /* never beyond the range */
    lab_close(lab);
}

static void a_message_keeps_the_packet_size_it_began_with(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address address = lab_address(lab, 1);
    struct lab_packet packet;

    (void)state;
    lab_request(lab, 0, 1, 10000, 1);
    homa_engine_set_packet_bytes(lab_engine(lab, 0), &address, 9000);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.data.payload_length, PAYLOAD);
    lab_close(lab);
}

static void packets_are_never_cut_smaller_than_a_floor(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_address address = lab_address(lab, 1);
    struct lab_packet packet;
    uint64_t id;

    (void)state;
    homa_engine_set_packet_bytes(lab_engine(lab, 0), &address, 1);
    lab_request(lab, 0, 1, 10000, 1);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.length, HOMA_PACKET_BYTES_MIN);
    homa_engine_set_packet_bytes(lab_engine(lab, 0), &address, 1456);
    assert_int_equal(homa_engine_request(lab_engine(lab, 0), lab->now, &address,
                                         lab_payload(lab, 0, 2000, 1), 1, 0, false, &id),
                     0);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.id, id);
    assert_int_equal(packet.length, HOMA_PACKET_BYTES_MIN);
    lab_close(lab);
}

/* ---- order ---- */

static void the_shortest_remaining_message_goes_first(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t longest = lab_request(lab, 0, 1, 30000, 1);
    uint64_t middle = lab_request(lab, 0, 1, 20000, 1);
    uint64_t shortest = lab_request(lab, 0, 1, 10000, 1);
    struct homa_knobs knobs = *homa_engine_knobs(lab_engine(lab, 0));
    struct lab_packet packets[50];

    (void)state;
    knobs.pacer_fifo_fraction = 0;
    assert_int_equal(homa_engine_set_knobs(lab_engine(lab, 0), &knobs), 0);
    assert_int_equal(lab_pull(lab, 0, packets, 50), 8 + 15 + 22);
    for (size_t i = 0; i < 45; i++)
        assert_int_equal(packets[i].decoded.id, i < 8 ? shortest : i < 23 ? middle : longest);
    lab_close(lab);
}

static void what_is_left_counts_not_the_length(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t nearly_done = lab_request(lab, 0, 1, 40000, 1);
    struct lab_packet packets[28];
    uint64_t fresh;

    (void)state;
    lab_pull(lab, 0, packets, 28);
    fresh = lab_request(lab, 0, 1, 5000, 1);
    assert_int_equal(lab_pull(lab, 0, packets, 2), 2);
    assert_int_equal(packets[0].decoded.id, nearly_done);
    assert_int_equal(packets[1].decoded.id, fresh);
    lab_close(lab);
}

static void equals_go_in_order_of_age(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t first = lab_request(lab, 0, 1, 100, 1);
    struct lab_packet packets[10];

    (void)state;
    for (unsigned i = 1; i < 10; i++)
        lab_request(lab, 0, 1, 100, 1);
    assert_int_equal(lab_pull(lab, 0, packets, 10), 10);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(packets[i].decoded.id, first + 2 * i);
    lab_close(lab);
}

static struct lab *open_aging(uint32_t bytes_per_usec)
{
    struct homa_engine_options options = lab_options();

    options.knobs.age_bytes_per_usec = bytes_per_usec;
    options.knobs.pacer_fifo_fraction = 0;
    return lab_open_with(2, &options, 64);
}

static void waiting_counts_as_bytes_already_sent(void **state)
{
    struct lab *lab = open_aging(100);
    struct lab_packet packets[4];
    uint64_t older = lab_request(lab, 0, 1, 12000, 1);

    (void)state;
    lab->now += 19 * LAB_US; /* worth 1,900 bytes */
    uint64_t much_shorter = lab_request(lab, 0, 1, 10000, 2);
    uint64_t little_shorter = lab_request(lab, 0, 1, 10200, 3);

    assert_int_equal(lab_pull(lab, 0, packets, 1), 1);
    assert_int_equal(packets[0].decoded.id, much_shorter);
    homa_engine_abort(lab_engine(lab, 0), lab->now, much_shorter, 0);
    assert_int_equal(lab_pull(lab, 0, packets, 1), 1);
    assert_int_equal(packets[0].decoded.id, older); /* 10,100 to 10,200 */
    homa_engine_abort(lab_engine(lab, 0), lab->now, older, 0);
    assert_int_equal(lab_pull(lab, 0, packets, 1), 1);
    assert_int_equal(packets[0].decoded.id, little_shorter);
    lab_close(lab);
}

static void waiting_raises_the_level_of_all_unscheduled_bytes(void **state)
{
    struct lab *lab = open_aging(100);
    struct lab_packet packets[2];

    (void)state;
    lab_request(lab, 0, 1, 16000, 1); /* level 4, and 5 from 15,000 down */
    lab->now += 10 * LAB_US;
    assert_int_equal(lab_pull(lab, 0, packets, 1), 1);
    assert_int_equal(packets[0].priority, 5);
    lab->now += 140 * LAB_US; /* by now it would be level 6 */
    assert_int_equal(lab_pull(lab, 0, packets, 1), 1);
    assert_int_equal(packets[0].priority, 5);
    lab_close(lab);
}

static void a_wait_longer_than_the_message_leaves_the_highest_level(void **state)
{
    struct lab *lab = open_aging(100);
    struct lab_packet packet;

    (void)state;
    lab_request(lab, 0, 1, 16000, 1);
    lab->now += 161 * LAB_US;
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.priority, 7);
    lab_close(lab);
}

static size_t share_of_oldest(uint32_t thousandths)
{
    struct homa_engine_options options = lab_options();
    struct lab_packet packets[40];
    size_t of_oldest = 0;
    struct lab *lab;
    uint64_t oldest;

    options.knobs.pacer_fifo_fraction = thousandths;
    lab = lab_open_with(2, &options, 64);
    oldest = lab_request(lab, 0, 1, 40000, 1);
    for (unsigned i = 0; i < 100; i++)
        lab_request(lab, 0, 1, 1390, 1);
    assert_int_equal(lab_pull(lab, 0, packets, 40), 40);
    for (size_t i = 0; i < 40; i++)
        of_oldest += packets[i].decoded.id == oldest;
    lab_close(lab);
    return of_oldest;
}

static void the_oldest_message_gets_its_share(void **state)
{
    (void)state;
    assert_int_equal(share_of_oldest(0), 0);
    assert_int_equal(share_of_oldest(50), 2); /* one in twenty */
    assert_int_equal(share_of_oldest(300), 12);
}

static void control_goes_before_retransmissions_before_new_data(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 40000, 1);
    struct homa_packet part = lab_data(5000, 3000, 0, 1000);
    struct lab_packet packets[30];

    (void)state;
    lab_pull(lab, 0, packets, 10);
    resend(lab, id, 0, 1000);
    lab_push(lab, 0, 1, &part, 1);
    lab_tick(lab, 0, 6 * LAB_MS); /* a RESEND for the rest of it */
    assert_int_equal(lab_pull(lab, 0, packets, 3), 3);
    assert_int_equal(packets[0].decoded.type, HOMA_RESEND);
    assert_true(packets[1].decoded.data.retransmit);
    assert_false(packets[2].decoded.data.retransmit);
    lab_close(lab);
}

/* ---- priorities ---- */

static void the_length_decides_the_level_of_unscheduled_bytes(void **state)
{
    static const struct {
        uint32_t length;
        uint8_t level;
    } cases[] = {{1, 7},    {200, 7},   {201, 6},   {2800, 6},
                 {2801, 5}, {15000, 5}, {15001, 4}, {999999, 4}};
    struct lab *lab = lab_open(2);
    struct lab_packet packet;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lab_request(lab, 0, 1, cases[i].length, 1);
        assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
        assert_int_equal(packet.priority, cases[i].level);
        homa_engine_abort(lab_engine(lab, 0), lab->now, 0, 0);
    }
    lab_close(lab);
}

static void the_map_decides_what_goes_on_the_wire(void **state)
{
    struct homa_engine_options options = lab_options();
    struct homa_packet need = {.type = HOMA_NEED_ACK, .id = 901};
    struct lab_packet packet;
    struct lab *lab;

    (void)state;
    options.knobs.num_priorities = 2;
    options.knobs.priority_map[0] = 3;
    options.knobs.priority_map[1] = 6;
    memset(options.knobs.unsched_cutoffs, 0, sizeof(options.knobs.unsched_cutoffs));
    options.knobs.unsched_cutoffs[1] = 1000;
    options.knobs.unsched_cutoffs[0] = HOMA_CUTOFF_ALL;
    lab = lab_open_with(2, &options, 64);
    lab_request(lab, 0, 1, 1000, 1);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.priority, 6);
    lab_request(lab, 0, 1, 1001, 1);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.priority, 3);
    lab_push(lab, 0, 1, &need, 0);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.priority, 6);
    lab_close(lab);
}

/* ---- acks on the way ---- */

static void each_data_packet_carries_one_ack(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t first = lab_request(lab, 0, 1, 10, 1);
    uint64_t second = lab_request(lab, 0, 1, 10, 1);
    struct homa_packet response = lab_data(first | 1, 10, 0, 10);
    struct lab_packet packets[4];

    (void)state;
    assert_int_equal(lab_pull(lab, 0, packets, 4), 2);
    assert_int_equal(packets[0].decoded.data.ack.client_id, 0);
    lab_push(lab, 0, 1, &response, 1);
    response.id = second | 1;
    lab_push(lab, 0, 1, &response, 1);
    lab_request(lab, 0, 1, 3000, 1);
    assert_int_equal(lab_pull(lab, 0, packets, 4), 3);
    assert_int_equal(packets[0].decoded.data.ack.client_id, first);
    assert_int_equal(packets[0].decoded.data.ack.server_port, LAB_PORT);
    assert_int_equal(packets[1].decoded.data.ack.client_id, second);
    assert_int_equal(packets[2].decoded.data.ack.client_id, 0);
    assert_int_equal(packets[2].decoded.data.ack.server_port, 0);
    lab_close(lab);
}

/* ---- taking back ---- */

/* All that an engine sends, one packet after the other. */
struct record {
    struct base_packet packets[400];
    size_t count;
};

/* A client with something of everything to send. */
static struct lab *open_busy_lab(void)
{
    struct lab *lab = lab_open(2);
    struct homa_packet part = lab_data(5000, 30000, 0, 1000);
    struct homa_packet unknown = {.type = HOMA_RESEND,
                                  .id = 7000,
                                  .resend = {.length = HOMA_RESEND_ALL, .has_priority = true}};
    struct homa_packet need = {.type = HOMA_NEED_ACK};
    struct lab_packet packets[5];
    uint64_t id = lab_request(lab, 0, 1, 40000, 1);

    lab_pull(lab, 0, packets, 5);
    resend(lab, id, 0, 3000);
    resend(lab, id, 4200, 100);
    for (uint32_t length = 1; length < 40000; length += 4000)
        lab_request(lab, 0, 1, length, length);
    for (uint64_t ack = 901; ack < 927; ack += 2) {
        need.id = ack;
        lab_push(lab, 0, 1, &need, 0);
    }
    part.data.cutoff_version = 0;
    lab_push(lab, 0, 1, &part, 1);
    part.data.offset = 5000;
    lab_push(lab, 0, 1, &part, 1);
    part.data.offset = 9000;
    lab_push(lab, 0, 1, &part, 1);
    lab_push(lab, 0, 1, &unknown, 0);
    unknown.id = 5000;
    lab_push(lab, 0, 1, &unknown, 0); /* BUSY */
    lab_tick(lab, 0, 6 * LAB_MS);
    return lab;
}

static void record_output(struct lab *lab, struct record *record, struct base_random *random)
{
    struct base_packet batch[64];
    size_t count;

    record->count = 0;
    do {
        count = homa_engine_output(lab_engine(lab, 0), lab->now, NULL, batch, 64);
        size_t sent = random != NULL ? base_random_below(random, count + 1) : count;

        homa_engine_unsend(lab_engine(lab, 0), batch, sent, count);
        homa_engine_check(lab_engine(lab, 0));
        assert_true(record->count + sent <= 400);
        memcpy(&record->packets[record->count], batch, sent * sizeof(batch[0]));
        record->count += sent;
    } while (count > 0);
}

static int by_bytes(const void *a, const void *b)
{
    const struct base_packet *left = a;
    const struct base_packet *right = b;
    int order = memcmp(left->header, right->header, sizeof(left->header));

    return order;
}

static void normalise(struct record *record)
{
    for (size_t i = 0; i < record->count; i++) {
        struct base_packet *packet = &record->packets[i];

        memset(packet->header + packet->header_length, 0,
               sizeof(packet->header) - packet->header_length);
        if (packet->header[11] == HOMA_DATA)
            memset(packet->header + 36, 0, 10); /* which DATA an ack rides on may change */
    }
    qsort(record->packets, record->count, sizeof(record->packets[0]), by_bytes);
}

static void what_the_wire_did_not_take_is_produced_again(void **state)
{
    struct record *whole = calloc(1, sizeof(*whole));
    struct record *pieces = calloc(1, sizeof(*pieces));
    struct base_random random = base_random_seed(3);
    struct lab *lab = open_busy_lab();
    struct homa_counters counters;

    (void)state;
    record_output(lab, whole, NULL);
    counters = *lab_counters(lab, 0);
    lab_close(lab);
    normalise(whole);
    assert_true(whole->count > 150);
    for (unsigned turn = 0; turn < 20; turn++) {
        lab = open_busy_lab();
        record_output(lab, pieces, &random);
        normalise(pieces);
        assert_int_equal(pieces->count, whole->count);
        for (size_t i = 0; i < whole->count; i++)
            assert_memory_equal(pieces->packets[i].header, whole->packets[i].header,
                                sizeof(whole->packets[i].header));
        assert_memory_equal(lab_counters(lab, 0), &counters, sizeof(counters));
        lab_close(lab);
    }
    free(whole);
    free(pieces);
}

static void one_call_makes_a_bounded_number_of_packets(void **state)
{
    struct lab *lab = lab_open(2);
    struct base_packet *packets = calloc(2000, sizeof(*packets));

    (void)state;
    for (unsigned i = 0; i < 300; i++)
        lab_request(lab, 0, 1, 10, 1);
    assert_int_equal(homa_engine_output(lab_engine(lab, 0), lab->now, NULL, packets, 2000),
                     HOMA_OUTPUT_MAX);
    assert_int_equal(homa_engine_output(lab_engine(lab, 0), lab->now, NULL, packets, 2000),
                     300 - HOMA_OUTPUT_MAX);
    assert_int_equal(homa_engine_output(lab_engine(lab, 0), lab->now, NULL, packets, 2000), 0);
    free(packets);
    lab_close(lab);
}

/* ---- joining ranges ---- */

static void too_many_ranges_are_joined_where_least_is_lost(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 40000, 1);
    struct lab_packet packets[40];
    size_t count;
    uint32_t bytes = 0;

    (void)state;
    lab_pull(lab, 0, packets, 40);
    resend(lab, id, 0, 1400);
    resend(lab, id, 7000, 1400);
    resend(lab, id, 14000, 1400);
    resend(lab, id, 21000, 1400);
    resend(lab, id, 16800, 1400); /* joins the one at 14000 */
    count = lab_pull(lab, 0, packets, 40);
    for (size_t i = 0; i < count; i++)
        bytes += packets[i].decoded.data.payload_length;
    assert_int_equal(bytes, 6 * 1400);
    lab_close(lab);
}

static void a_range_that_bridges_others_joins_them_all(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 40000, 1);
    struct lab_packet packets[40];

    (void)state;
    lab_pull(lab, 0, packets, 40);
    resend(lab, id, 0, 1400);
    resend(lab, id, 2800, 1400);
    resend(lab, id, 5600, 1400);
    resend(lab, id, 700, 5600);
    assert_int_equal(lab_pull(lab, 0, packets, 40), 5);
    assert_int_equal(packets[0].decoded.data.offset, 0);
    assert_int_equal(packets[4].decoded.data.offset, 5600);
    lab_close(lab);
}

static void an_ack_on_a_packet_that_was_not_taken_rides_on_the_next(void **state)
{
    struct lab *lab = lab_open(2);
    struct homa_engine *engine = lab_engine(lab, 0);
    struct base_address server = lab_address(lab, 1);
    struct homa_peer *peer = homa_peer_get(engine, &server);
    struct base_packet packets[2];
    struct lab_packet packet;

    (void)state;
    homa_ack_queue(engine, peer, 900);
    homa_ack_queue(engine, peer, 902);
    lab_request(lab, 0, 1, 2000, 1);
    assert_int_equal(homa_engine_output(engine, lab->now, NULL, packets, 2), 2);
    homa_engine_unsend(engine, packets, 0, 2);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.data.ack.client_id, 900);
    assert_int_equal(lab_pull(lab, 0, &packet, 1), 1);
    assert_int_equal(packet.decoded.data.ack.client_id, 902);
    lab_close(lab);
}

/* ---- receivers that ask for too much ---- */

/* All DATA packets that wait, by RPC, in order. Returns how many. */
static size_t pull_ids(struct lab *lab, uint64_t *ids, size_t max)
{
    struct lab_packet packet;
    size_t count = 0;

    while (lab_pull(lab, 0, &packet, 1) > 0) {
        assert_int_equal(packet.decoded.type, HOMA_DATA);
        assert_true(count < max);
        ids[count++] = packet.decoded.id;
    }
    return count;
}

static void a_message_is_sent_again_a_few_times_per_interval_only(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 20 * PAYLOAD, 1);
    struct lab_packet packet;
    uint64_t ids[64];
    size_t again = 0;

    (void)state;
    assert_int_equal(pull_ids(lab, ids, 64), 20);
    for (unsigned i = 0; i < 1000; i++) {
        resend(lab, id, 0, 20 * PAYLOAD);
        again += pull_ids(lab, ids, 64);
        lab_tick(lab, 0, LAB_US);
    }
    assert_int_equal(again, 60); /* the last time was asked for with some of 56 left */
    assert_int_equal(lab_counters(lab, 0)->resends_ignored, 997);
    lab_tick(lab, 0, 5 * LAB_MS);
    assert_int_equal(lab_pull_type(lab, 0, HOMA_RESEND, &packet), 1); /* of its own */
    resend(lab, id, 0, 20 * PAYLOAD);
    assert_int_equal(pull_ids(lab, ids, 64), 20);
    lab_close(lab);
}

static void what_was_not_taken_does_not_count_as_sent_again(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t id = lab_request(lab, 0, 1, 20 * PAYLOAD, 1);
    struct base_packet packets[64];
    uint64_t ids[64];

    (void)state;
    assert_int_equal(pull_ids(lab, ids, 64), 20);
    for (unsigned i = 0; i < 10; i++) {
        resend(lab, id, 0, 20 * PAYLOAD);
        assert_int_equal(homa_engine_output(lab_engine(lab, 0), lab->now, NULL, packets, 64), 20);
        homa_engine_unsend(lab_engine(lab, 0), packets, 0, 20);
    }
    assert_int_equal(lab_counters(lab, 0)->resends_ignored, 0);
    lab_close(lab);
}

static void retransmissions_and_new_data_take_turns(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t old = lab_request(lab, 0, 1, 20 * PAYLOAD, 1);
    uint64_t ids[64];

    (void)state;
    assert_int_equal(pull_ids(lab, ids, 64), 20);
    uint64_t new = lab_request(lab, 0, 1, 10 * PAYLOAD, 2);

    resend(lab, old, 0, 20 * PAYLOAD);
    assert_int_equal(pull_ids(lab, ids, 64), 30);
    for (size_t i = 0; i < 30; i++)
        assert_int_equal(ids[i], i < 20 && i % 2 == 1 ? new : old);
    lab_close(lab);
}

static void retransmissions_of_several_messages_take_turns(void **state)
{
    struct lab *lab = lab_open(2);
    uint64_t longer = lab_request(lab, 0, 1, 20 * PAYLOAD, 1);
    uint64_t shorter = lab_request(lab, 0, 1, 2 * PAYLOAD, 2);
    uint64_t ids[64];

    (void)state;
    assert_int_equal(pull_ids(lab, ids, 64), 22);
    resend(lab, longer, 0, 20 * PAYLOAD);
    resend(lab, shorter, 0, 2 * PAYLOAD);
    assert_int_equal(pull_ids(lab, ids, 64), 22);
    assert_int_equal(ids[1], shorter);
    assert_int_equal(ids[3], shorter);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_full_up_to_the_unscheduled_bytes_and_cut_there),
        cmocka_unit_test(scheduled_packets_begin_a_grid_of_their_own),
        cmocka_unit_test(retransmissions_follow_the_original_packet_boundaries),
        cmocka_unit_test(a_message_keeps_the_packet_size_it_began_with),
        cmocka_unit_test(packets_are_never_cut_smaller_than_a_floor),
        cmocka_unit_test(the_shortest_remaining_message_goes_first),
        cmocka_unit_test(what_is_left_counts_not_the_length),
        cmocka_unit_test(equals_go_in_order_of_age),
        cmocka_unit_test(waiting_counts_as_bytes_already_sent),
        cmocka_unit_test(waiting_raises_the_level_of_all_unscheduled_bytes),
        cmocka_unit_test(a_wait_longer_than_the_message_leaves_the_highest_level),
        cmocka_unit_test(the_oldest_message_gets_its_share),
        cmocka_unit_test(control_goes_before_retransmissions_before_new_data),
        cmocka_unit_test(the_length_decides_the_level_of_unscheduled_bytes),
        cmocka_unit_test(the_map_decides_what_goes_on_the_wire),
        cmocka_unit_test(each_data_packet_carries_one_ack),
        cmocka_unit_test(what_the_wire_did_not_take_is_produced_again),
        cmocka_unit_test(one_call_makes_a_bounded_number_of_packets),
        cmocka_unit_test(too_many_ranges_are_joined_where_least_is_lost),
        cmocka_unit_test(a_range_that_bridges_others_joins_them_all),
        cmocka_unit_test(an_ack_on_a_packet_that_was_not_taken_rides_on_the_next),
        cmocka_unit_test(a_message_is_sent_again_a_few_times_per_interval_only),
        cmocka_unit_test(what_was_not_taken_does_not_count_as_sent_again),
        cmocka_unit_test(retransmissions_and_new_data_take_turns),
        cmocka_unit_test(retransmissions_of_several_messages_take_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
