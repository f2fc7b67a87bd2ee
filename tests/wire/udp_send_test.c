/*
 * The udp carrier's sending: what leaves as one datagram, what as one segmented send, with which
 * marks; and what happens to packets that cannot leave. A plain socket at the other end sees the
 * datagrams as they are.
 */
#include "netns.h"
#include "pair.h"
#include "wire/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* ---- the plain socket at the other end ---- */

struct sink {
    int descriptor;
    struct base_address address;
};

static struct sink sink_open(bool is_gro)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(name);
    struct sink sink = {.descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    const int on = 1;

    assert_true(sink.descriptor >= 0);
    assert_int_equal(bind(sink.descriptor, (struct sockaddr *)&name, length), 0);
    assert_int_equal(getsockname(sink.descriptor, (struct sockaddr *)&name, &length), 0);
    assert_int_equal(setsockopt(sink.descriptor, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on)), 0);
    if (is_gro)
        assert_int_equal(setsockopt(sink.descriptor, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)), 0);
    sink.address = (struct base_address){.remote = ip4(127, 0, 0, 1), .port = ntohs(name.sin_port)};
    return sink;
}

/* Takes one datagram, or one joined run; returns its length, and its TOS when asked. */
static uint32_t sink_take(const struct sink *sink, uint8_t *tos)
{
    static uint8_t bytes[65536];
    union {
        struct cmsghdr align;
        uint8_t bytes[256];
    } control;
    struct iovec slice = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr header = {.msg_iov = &slice,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control)};
    ssize_t length = recvmsg(sink->descriptor, &header, 0);

    assert_true(length > 0);
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&header); at != NULL; at = CMSG_NXTHDR(&header, at)) {
        if (tos != NULL && at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS)
            *tos = *CMSG_DATA(at);
    }
    return (uint32_t)length;
}

static void expect_no_more(const struct sink *sink)
{
    uint8_t byte = 0;

    assert_int_equal(recv(sink->descriptor, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static struct wire *open_gso(uint32_t gso_bytes)
{
    struct wire_udp_options options = {
        .family = AF_INET, .lowest_port = 0x8000, .gso_bytes = gso_bytes, .seed = 3};
    struct wire *wire = NULL;

    assert_int_equal(wire_udp_open(&options, &wire), 0);
    return wire;
}

static void make_run(struct base_packet *packets, size_t count, const struct base_address *to,
                     uint32_t length, bool may_be_followed)
{
    for (size_t i = 0; i < count; i++) {
        packets[i] = make_packet(to, (uint32_t)i, length);
        packets[i].may_be_followed = may_be_followed;
    }
}

/* ---- packets that cannot leave ---- */

static void a_peer_of_another_family_is_reported_unreachable(void **state)
{
    struct wire *wire = open_udp(AF_INET, 1);
    struct base_address to = {.remote = ip6("fd00::1"), .port = 4000};
    struct base_packet packet = make_packet(&to, 1, 100);
    struct base_network_error error;

    (void)state;
    assert_int_equal(wire_send(wire, 1, &packet, 1), 1);
    assert_int_equal(wire_errors(wire, &error, 1), 1);
    assert_int_equal(error.error, EHOSTUNREACH);
    assert_true(base_address_equal(&error.to, &to));
    wire_close(wire);
}

static void a_peer_without_a_route_is_reported_unreachable(void **state)
{
    int netns = netns_new();
    struct base_address nowhere = {.remote = ip4(10, 77, 0, 1), .port = 4000};
    struct base_packet packets[3];
    struct base_network_error errors[4];

    (void)state;
    if (netns < 0)
        skip();

    struct wire *wire = open_udp(AF_INET6, 1);
    struct sink sink = sink_open(false);

    packets[0] = make_packet(&nowhere, 0, 100);
    packets[1] = make_packet(&sink.address, 1, 200);
    packets[2] = packets[0];
    packets[2].to.remote = ip6("fd77::1");
    assert_int_equal(wire_send(wire, 1, packets, 3), 3);
    assert_int_equal(sink_take(&sink, NULL), 200);
    assert_int_equal(wire_errors(wire, errors, 4), 2);
    assert_int_equal(errors[0].error, EHOSTUNREACH);
    assert_true(base_address_equal(&errors[0].to, &nowhere));
    assert_int_equal(errors[1].error, EHOSTUNREACH);
    assert_true(base_address_equal(&errors[1].to, &packets[2].to));
    wire_close(wire);
    (void)close(sink.descriptor);
    netns_close(netns);
}

static void a_packet_larger_than_any_datagram_is_reported_with_what_fits(void **state)
{
    struct wire *wire = open_udp(AF_INET, 1);
    struct sink sink = sink_open(false);
    struct base_packet packets[2] = {make_packet(&sink.address, 1, 65508),
                                     make_packet(&sink.address, 2, 100)};
    struct base_network_error error;

    (void)state;
    assert_int_equal(wire_send(wire, 1, packets, 2), 2);
    assert_int_equal(sink_take(&sink, NULL), 100);
    assert_int_equal(wire_errors(wire, &error, 1), 1);
    assert_int_equal(error.error, EMSGSIZE);
    assert_in_range(error.packet_bytes, 1000, 65507);
    wire_close(wire);
    (void)close(sink.descriptor);
}

static void a_source_address_that_is_not_ours_loses_that_packet_only(void **state)
{
    struct wire *wire = open_udp(AF_INET, 1);
    struct sink sink = sink_open(false);
    struct base_packet packets[12];
    struct base_network_error error;

    (void)state;
    make_run(packets, 12, &sink.address, 100, false);
    for (size_t i = 0; i < 10; i++)
        packets[i].to.local = ip4(203, 0, 113, 9);
    packets[11] = make_packet(&sink.address, 11, 99);
    assert_int_equal(wire_send(wire, 1, packets, 12), 12);
    assert_int_equal(sink_take(&sink, NULL), 100);
    assert_int_equal(sink_take(&sink, NULL), 99);
    expect_no_more(&sink);
    (void)wire_errors(wire, &error, 1);
    wire_close(wire);
    (void)close(sink.descriptor);
}

/* A neighbour that does not answer keeps packets waiting in the kernel, so a small send buffer
 * fills; in the end the kernel gives the neighbour up, says so, and there is room again. */
static void a_full_way_out_is_told_and_packets_are_not_lost(void **state)
{
    struct netns_link link;
    struct base_address silent = {.remote = ip4(10, 9, 0, 77), .port = 4000};
    struct base_packet packets[50];
    const int small = 4096;
    struct base_network_error error;
    int sent = 0;

    (void)state;
    if (!netns_link_open(&link, 1500))
        skip();
    netns_run("echo 1 > /proc/sys/net/ipv4/neigh/left/mcast_solicit; "
              "echo 200 > /proc/sys/net/ipv4/neigh/left/retrans_time_ms");

    struct wire *wire = open_gso(0);
    struct pollfd waiting = {.fd = wire_descriptor(wire), .events = POLLOUT};

    assert_int_equal(setsockopt(waiting.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    make_run(packets, 50, &silent, 1000, false);
    sent = wire_send(wire, 1, packets, 50);
    assert_in_range(sent, 1, 49);
    assert_int_equal(wire_inject(wire, &packets[sent]), -EAGAIN);
    assert_int_equal(poll(&waiting, 1, 0), 0);
    assert_int_equal(wire_errors(wire, &error, 1), 0);

    error = expect_error(wire);
    assert_int_equal(error.error, EHOSTUNREACH);
    assert_true(base_address_same_remote(&error.to, &silent));
    assert_int_equal(poll(&waiting, 1, 20000), 1);
    assert_in_range(wire_send(wire, 1, packets + sent, 50 - (size_t)sent), 1, 50 - sent);
    wire_close(wire);
    netns_link_close(&link);
}

/* ---- from other threads ---- */

struct injector {
    struct wire *wire;
    struct base_packet packet;
};

#define INJECTED_PACKETS 150

static void *inject_many(void *argument)
{
    struct injector *injector = argument;

    for (unsigned i = 0; i < INJECTED_PACKETS; i++)
        (void)wire_inject(injector->wire, &injector->packet);
    return NULL;
}

static void other_threads_may_inject_while_the_owner_sends(void **state)
{
    struct wire *wire = open_udp(AF_INET, 1);
    struct wire *peer = open_udp(AF_INET, 2);
    struct base_address to = {.remote = ip4(127, 0, 0, 1), .port = wire_port(peer)};
    struct base_packet packets[3 * INJECTED_PACKETS];
    struct injector injector = {.wire = wire, .packet = make_packet(&to, 0, 33)};
    pthread_t threads[2];

    (void)state;
    for (unsigned i = 0; i < 3 * INJECTED_PACKETS; i++)
        packets[i] = injector.packet;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, inject_many, &injector), 0);
    for (unsigned i = 0; i < INJECTED_PACKETS; i++)
        send_all(wire, &packets[i], 1);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    expect_packets(peer, packets, 3 * INJECTED_PACKETS, NULL);
    wire_close(wire);
    wire_close(peer);
}

/* ---- when segmentation does not work ---- */

/* The kernel refuses segmentation on a socket that sends no checksums, with the same error as for
 * other reasons, which is all that the wire can see. */
static void without_segmentation_packets_go_one_by_one(void **state)
{
    struct wire *wire = open_gso(65507);
    struct sink sink = sink_open(true);
    struct base_packet packets[20];
    const int on = 1;
    struct base_network_error error;

    (void)state;
    assert_int_equal(setsockopt(wire_descriptor(wire), SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)),
                     0);
    make_run(packets, 20, &sink.address, 300, false);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(wire_send(wire, 1, packets, 20), 20);
        for (unsigned i = 0; i < 20; i++)
            assert_int_equal(sink_take(&sink, NULL), 300);
        expect_no_more(&sink);
    }
    assert_int_equal(wire_errors(wire, &error, 1), 0);
    wire_close(wire);
    (void)close(sink.descriptor);
}

static void after_a_refusal_segmentation_is_not_tried_again(void **state)
{
    struct wire *wire = open_gso(65507);
    struct sink sink = sink_open(true);
    struct base_packet packets[10];
    int is_off = 1;

    (void)state;
    make_run(packets, 10, &sink.address, 300, false);
    assert_int_equal(
        setsockopt(wire_descriptor(wire), SOL_SOCKET, SO_NO_CHECK, &is_off, sizeof(is_off)), 0);
    assert_int_equal(wire_send(wire, 1, packets, 10), 10);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(sink_take(&sink, NULL), 300);

    is_off = 0;
    assert_int_equal(
        setsockopt(wire_descriptor(wire), SOL_SOCKET, SO_NO_CHECK, &is_off, sizeof(is_off)), 0);
    assert_int_equal(wire_send(wire, 1, packets, 10), 10);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(sink_take(&sink, NULL), 300);
    wire_close(wire);
    (void)close(sink.descriptor);
}

/* ---- what becomes one datagram ---- */

static void packets_that_allow_it_share_a_datagram(void **state)
{
    struct wire *wire = open_gso(0);
    struct sink sink = sink_open(false);
    struct base_packet packets[10];

    (void)state;
    make_run(packets, 10, &sink.address, 100, true);
    packets[2].may_be_followed = false;
    packets[5].priority = 1;
    assert_int_equal(wire_send(wire, 1, packets, 10), 10);
    assert_int_equal(sink_take(&sink, NULL), 300); /* 0-2: nothing may follow 2 */
    assert_int_equal(sink_take(&sink, NULL), 200); /* 3-4: 5 has another priority */
    assert_int_equal(sink_take(&sink, NULL), 100);
    assert_int_equal(sink_take(&sink, NULL), 400);
    expect_no_more(&sink);
    wire_close(wire);
    (void)close(sink.descriptor);
}

static void packets_to_other_peers_or_from_other_addresses_do_not_share(void **state)
{
    struct wire *wire = open_gso(65507);
    struct sink sink = sink_open(true);
    struct sink other = sink_open(true);
    struct base_packet packets[6];

    (void)state;
    make_run(packets, 6, &sink.address, 100, true);
    packets[1].to = other.address;
    packets[3].to.local = ip4(127, 0, 0, 5);
    assert_int_equal(wire_send(wire, 1, packets, 6), 6);
    assert_int_equal(sink_take(&other, NULL), 100);
    assert_int_equal(sink_take(&sink, NULL), 100);
    assert_int_equal(sink_take(&sink, NULL), 100);
    assert_int_equal(sink_take(&sink, NULL), 100);
    assert_int_equal(sink_take(&sink, NULL), 200);
    expect_no_more(&sink);
    expect_no_more(&other);
    wire_close(wire);
    (void)close(sink.descriptor);
    (void)close(other.descriptor);
}

static void a_bundle_stays_within_what_the_path_carries(void **state)
{
    struct wire *wire = open_gso(0);
    struct sink sink = sink_open(false);
    struct base_packet packets[5];
    uint32_t limit = wire_packet_bytes(wire, &sink.address);

    (void)state;
    make_run(packets, 5, &sink.address, limit / 2, true);
    assert_int_equal(wire_send(wire, 1, packets, 5), 5);
    assert_int_equal(sink_take(&sink, NULL), limit / 2 * 2);
    assert_int_equal(sink_take(&sink, NULL), limit / 2 * 2);
    assert_int_equal(sink_take(&sink, NULL), limit / 2);
    expect_no_more(&sink);
    wire_close(wire);
    (void)close(sink.descriptor);
}

/* ---- what becomes one segmented send ---- */

static void a_run_of_equal_packets_is_one_send(void **state)
{
    struct wire *wire = open_gso(65507);
    struct sink sink = sink_open(true);
    struct base_packet packets[21];

    (void)state;
    make_run(packets, 21, &sink.address, 1456, false);
    packets[9] = make_packet(&sink.address, 9, 500);    /* shorter: the last of its run */
    packets[10] = make_packet(&sink.address, 10, 1457); /* longer: the next run begins */
    assert_int_equal(wire_send(wire, 1, packets, 21), 21);
    assert_int_equal(sink_take(&sink, NULL), 9 * 1456 + 500);
    assert_int_equal(sink_take(&sink, NULL), 1457 + 1456);
    assert_int_equal(sink_take(&sink, NULL), 9 * 1456);
    expect_no_more(&sink);
    wire_close(wire);
    (void)close(sink.descriptor);
}

static void a_segmented_send_stays_below_its_ceiling(void **state)
{
    struct wire *wire = open_gso(5000);
    struct sink sink = sink_open(true);
    struct base_packet packets[7];

    (void)state;
    make_run(packets, 7, &sink.address, 1456, false);
    assert_int_equal(wire_send(wire, 1, packets, 7), 7);
    assert_int_equal(sink_take(&sink, NULL), 3 * 1456);
    assert_int_equal(sink_take(&sink, NULL), 3 * 1456);
    assert_int_equal(sink_take(&sink, NULL), 1456);
    expect_no_more(&sink);
    wire_close(wire);
    (void)close(sink.descriptor);
}

static void a_segmented_send_has_64_segments_at_most(void **state)
{
    struct wire *wire = open_gso(65507);
    struct sink sink = sink_open(true);
    struct base_packet packets[70];

    (void)state;
    make_run(packets, 70, &sink.address, 100, false);
    assert_int_equal(wire_send(wire, 1, packets, 70), 70);
    assert_int_equal(sink_take(&sink, NULL), 6400);
    assert_int_equal(sink_take(&sink, NULL), 600);
    expect_no_more(&sink);
    wire_close(wire);
    (void)close(sink.descriptor);
}

static void a_ceiling_of_zero_means_no_segmentation(void **state)
{
    struct wire *wire = open_gso(0);
    struct sink sink = sink_open(true);
    struct base_packet packets[5];

    (void)state;
    make_run(packets, 5, &sink.address, 1456, false);
    assert_int_equal(wire_send(wire, 1, packets, 5), 5);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(sink_take(&sink, NULL), 1456);
    expect_no_more(&sink);
    wire_close(wire);
    (void)close(sink.descriptor);
}

/* ---- marks ---- */

static void expect_marks(bool is_low_delay_marked, uint8_t low_delay)
{
    struct wire_udp_options options = {.family = AF_INET,
                                       .lowest_port = 0x8000,
                                       .is_low_delay_marked = is_low_delay_marked,
                                       .seed = 3};
    struct sink sink = sink_open(false);
    struct wire *wire = NULL;

    assert_int_equal(wire_udp_open(&options, &wire), 0);
    for (unsigned priority = 0; priority < 8; priority++) {
        struct base_packet packet = make_packet(&sink.address, 1, 100);
        uint8_t tos = 0xff;

        packet.priority = (uint8_t)priority;
        assert_int_equal(wire_send(wire, 1, &packet, 1), 1);
        (void)sink_take(&sink, &tos);
        assert_int_equal(tos, priority << 5 | (priority >= 6 ? low_delay : 0));
    }
    wire_close(wire);
    (void)close(sink.descriptor);
}

static void priority_is_the_top_three_bits_of_tos(void **state)
{
    (void)state;
    expect_marks(false, 0);
}

static void upper_priorities_are_marked_low_delay_when_asked(void **state)
{
    (void)state;
    expect_marks(true, 0x10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_of_another_family_is_reported_unreachable),
        cmocka_unit_test(a_packet_larger_than_any_datagram_is_reported_with_what_fits),
        cmocka_unit_test(a_source_address_that_is_not_ours_loses_that_packet_only),
        cmocka_unit_test(other_threads_may_inject_while_the_owner_sends),
        cmocka_unit_test(without_segmentation_packets_go_one_by_one),
        cmocka_unit_test(after_a_refusal_segmentation_is_not_tried_again),
        cmocka_unit_test(packets_that_allow_it_share_a_datagram),
        cmocka_unit_test(packets_to_other_peers_or_from_other_addresses_do_not_share),
        cmocka_unit_test(a_bundle_stays_within_what_the_path_carries),
        cmocka_unit_test(a_run_of_equal_packets_is_one_send),
        cmocka_unit_test(a_segmented_send_stays_below_its_ceiling),
        cmocka_unit_test(a_segmented_send_has_64_segments_at_most),
        cmocka_unit_test(a_ceiling_of_zero_means_no_segmentation),
        cmocka_unit_test(priority_is_the_top_three_bits_of_tos),
        cmocka_unit_test(upper_priorities_are_marked_low_delay_when_asked),
        /* In namespaces of their own, so last. */
        cmocka_unit_test(a_peer_without_a_route_is_reported_unreachable),
        cmocka_unit_test(a_full_way_out_is_told_and_packets_are_not_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
