/*
 * The udp carrier's receiving beyond the battery: datagrams that mean nothing, and what is lost
 * when nobody reads.
 */
#include "pair.h"
#include "wire/udp.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void an_empty_datagram_is_discarded_and_counted(void **state)
{
    struct wire *wire = open_udp(AF_INET, 1);
    struct wire *peer = open_udp(AF_INET, 2);
    struct base_address to = {.remote = ip4(127, 0, 0, 1), .port = wire_port(wire)};
    struct base_packet packet = make_packet(&to, 1, 100);
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons(wire_port(wire)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct base_arrival arrival;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(
            sendto(wire_descriptor(peer), "", 0, 0, (struct sockaddr *)&name, sizeof(name)), 0);
    }
    send_all(peer, &packet, 1);
    expect_packets(wire, &packet, 1, NULL);
    assert_int_equal(wire_udp_discards(wire), 3);
    assert_int_equal(wire_receive(wire, 1, &arrival, 1), 0);
    wire_close(wire);
    wire_close(peer);
}

static void a_datagram_that_no_packet_fits_is_delivered_for_the_core_to_judge(void **state)
{
    struct wire *wire = open_udp(AF_INET, 1);
    struct wire *peer = open_udp(AF_INET, 2);
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons(wire_port(wire)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct base_arrival arrival;

    (void)state;
    assert_int_equal(
        sendto(wire_descriptor(peer), "?", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
    wait_readable(wire);
    assert_int_equal(wire_receive(wire, 1, &arrival, 1), 1);
    assert_int_equal(arrival.length, 1);
    assert_int_equal(arrival.bytes[0], '?');
    wire_close(wire);
    wire_close(peer);
}

static void what_a_full_buffer_drops_is_counted(void **state)
{
    enum {
        COUNT = 200
    };
    struct wire *wire = open_udp(AF_INET, 1);
    struct wire *peer = open_udp(AF_INET, 2);
    struct base_address to = {.remote = ip4(127, 0, 0, 1), .port = wire_port(wire)};
    const int small = 16384;
    struct base_arrival arrivals[WIRE_BATCH];
    unsigned received = 0;

    (void)state;
    assert_int_equal(
        setsockopt(wire_descriptor(wire), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    assert_int_equal(wire_udp_overflows(wire), 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct base_packet packet = make_packet(&to, i, 1000);

        send_all(peer, &packet, 1);
    }
    for (int arrived = 0; (arrived = wire_receive(wire, 1, arrivals, WIRE_BATCH)) > 0;)
        received += (unsigned)arrived;
    assert_in_range(received, 1, COUNT - 1);

    /* The count comes with the next one that gets through. */
    struct base_packet last = make_packet(&to, COUNT, 1000);

    send_all(peer, &last, 1);
    expect_packets(wire, &last, 1, NULL);
    assert_int_equal(wire_udp_overflows(wire), COUNT - received);
    wire_close(wire);
    wire_close(peer);
}

/* The wire may say "no more" from what it has just seen, but only for that moment, and once. */
static void what_comes_after_the_end_was_seen_is_not_missed(void **state)
{
    struct wire *wire = open_udp(AF_INET, 1);
    struct wire *peer = open_udp(AF_INET, 2);
    struct base_address to = {.remote = ip4(127, 0, 0, 1), .port = wire_port(wire)};
    struct base_packet packets[4];
    struct base_arrival arrivals[WIRE_BATCH];

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        packets[i] = make_packet(&to, i, 100 + i);
    send_all(peer, &packets[0], 1);
    wait_readable(wire);
    assert_int_equal(wire_receive(wire, 5, arrivals, WIRE_BATCH), 1);
    send_all(peer, &packets[1], 1);
    wait_readable(wire);
    assert_int_equal(wire_receive(wire, 6, arrivals, WIRE_BATCH), 1); /* later: looks again */
    check_packet(arrivals[0].bytes, arrivals[0].length, 1, 101);

    send_all(peer, &packets[2], 1);
    wait_readable(wire);
    assert_int_equal(wire_receive(wire, 6, arrivals, WIRE_BATCH), 0); /* as seen at 6 */
    assert_int_equal(wire_receive(wire, 6, arrivals, WIRE_BATCH), 1);
    check_packet(arrivals[0].bytes, arrivals[0].length, 2, 102);

    /* Who asks for one has not seen the end. */
    assert_int_equal(wire_receive(wire, 7, arrivals, 1), 0);
    send_all(peer, &packets[2], 2);
    wait_readable(wire);
    assert_int_equal(wire_receive(wire, 7, arrivals, 1), 1);
    assert_int_equal(wire_receive(wire, 7, arrivals, 1), 1);
    assert_int_equal(wire_receive(wire, 7, arrivals, 1), 0);
    wire_close(wire);
    wire_close(peer);
}

/* Part of a joined run is still here when the end of the kernel's queue is long known. */
static void what_is_left_of_a_run_does_not_pass_for_the_end(void **state)
{
    struct wire *wire = open_udp(AF_INET, 1);
    struct wire *peer = open_udp(AF_INET, 2);
    struct base_address to = {.remote = ip4(127, 0, 0, 1), .port = wire_port(wire)};
    struct base_packet packets[21];
    struct base_arrival arrivals[WIRE_BATCH];

    (void)state;
    for (uint32_t i = 0; i < 21; i++)
        packets[i] = make_packet(&to, i, 100);
    send_all(peer, packets, 20);
    wait_readable(wire);
    assert_int_equal(wire_receive(wire, 5, arrivals, 12), 12);
    send_all(peer, &packets[20], 1);
    assert_int_equal(wire_receive(wire, 6, arrivals, WIRE_BATCH), 8);
    assert_int_equal(wire_receive(wire, 6, arrivals, WIRE_BATCH), 1);
    check_packet(arrivals[0].bytes, arrivals[0].length, 20, 100);
    wire_close(wire);
    wire_close(peer);
}

/* More than one system call takes, in the smallest bites, with joined runs among them. */
static void a_long_queue_is_read_to_its_end(void **state)
{
    enum {
        COUNT = 400
    };
    struct wire *wire = open_udp(AF_INET, 1);
    struct wire *peer = open_udp(AF_INET, 2);
    struct base_address to = {.remote = ip4(127, 0, 0, 1), .port = wire_port(wire)};
    struct base_packet *packets = calloc(COUNT, sizeof(*packets));

    (void)state;
    assert_non_null(packets);
    for (uint32_t i = 0; i < COUNT; i++) {
        packets[i] = make_packet(&to, i, i / 100 % 2 == 0 ? 200 : 60 + i);
        if (i / 100 % 2 == 1)
            send_all(peer, &packets[i], 1);
        else if (i % 100 == 99)
            send_all(peer, &packets[i - 99], 100);
    }
    expect_packets(wire, packets, COUNT, NULL);
    free(packets);
    wire_close(wire);
    wire_close(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_datagram_is_discarded_and_counted),
        cmocka_unit_test(a_datagram_that_no_packet_fits_is_delivered_for_the_core_to_judge),
        cmocka_unit_test(what_a_full_buffer_drops_is_counted),
        cmocka_unit_test(what_comes_after_the_end_was_seen_is_not_missed),
        cmocka_unit_test(what_is_left_of_a_run_does_not_pass_for_the_end),
        cmocka_unit_test(a_long_queue_is_read_to_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
