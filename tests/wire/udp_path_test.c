/*
 * Path MTU: packet sizes follow links, routers and changes, and nothing is ever fragmented. In
 * network namespaces of the test's own; skipped where these are not permitted.
 */
#include "netns.h"
#include "pair.h"
#include "wire/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/* A wire in that namespace which knows what time it is, as it does after any send or receive. */
static struct wire *open_at(int netns, int family)
{
    struct wire *wire = NULL;

    netns_enter(netns);
    wire = open_udp(family, 77);
    (void)wire_receive(wire, clock_ns(), &(struct base_arrival){0}, 1);
    return wire;
}

static struct base_address right_address(const struct wire *wire, bool is_v6)
{
    return (struct base_address){.remote = is_v6 ? ip6("fd09::2") : ip4(10, 9, 0, 2),
                                 .port = wire_port(wire)};
}

static void expect_no_fragments(void)
{
    assert_int_equal(netns_counter("Ip", "FragCreates"), 0);
    assert_int_equal(netns_counter(NULL, "Ip6FragCreates"), 0);
    assert_int_equal(netns_counter("Ip", "ReasmReqds"), 0);
    assert_int_equal(netns_counter(NULL, "Ip6ReasmReqds"), 0);
}

/* Full packets and bundles over a link; then one byte too many. */
static void check_link(unsigned mtu, bool is_v6)
{
    enum {
        COUNT = 200
    };
    struct netns_link link;
    uint32_t full = mtu - (is_v6 ? 48 : 28);
    struct base_packet packets[COUNT];

    if (!netns_link_open(&link, mtu))
        skip();

    struct wire *right = open_at(link.right, AF_INET6);
    struct wire *left = open_at(link.left, is_v6 ? AF_INET6 : AF_INET);
    struct base_address to = right_address(right, is_v6);
    struct base_network_error error;

    assert_int_equal(wire_packet_bytes(left, &to), full);
    for (uint32_t i = 0; i < COUNT; i++) {
        bool is_full = i < COUNT / 2;

        packets[i] = make_packet(&to, i, is_full ? full : 100 + i);
        packets[i].may_be_followed = !is_full || i % 10 == 0;
    }
    exchange(left, right, packets, COUNT);
    expect_no_fragments();

    packets[0] = make_packet(&to, 0, full + 1);
    packets[1] = make_packet(&to, 1, full);
    send_all(left, packets, 2);
    expect_packets(right, packets + 1, 1, NULL);
    error = expect_error(left);
    assert_int_equal(error.error, EMSGSIZE);
    assert_int_equal(error.packet_bytes, full);
    assert_true(base_address_equal(&error.to, &to));
    expect_no_fragments();

    wire_close(left);
    wire_close(right);
    netns_link_close(&link);
}

static void an_mtu_of_1500_gives_packets_of_1472_on_ipv4(void **state)
{
    (void)state;
    check_link(1500, false);
}

static void an_mtu_of_1500_gives_packets_of_1452_on_ipv6(void **state)
{
    (void)state;
    check_link(1500, true);
}

static void an_mtu_of_9000_gives_packets_of_8972_on_ipv4(void **state)
{
    (void)state;
    check_link(9000, false);
}

static void an_mtu_of_9000_gives_packets_of_8952_on_ipv6(void **state)
{
    (void)state;
    check_link(9000, true);
}

/* The size is remembered; a segmented run of it is then refused, and each packet said to be too
 * large. What is small enough goes on. */
static void a_link_that_shrinks_is_noticed(void **state)
{
    struct netns_link link;
    struct base_packet packets[12];
    struct base_network_error error;

    (void)state;
    if (!netns_link_open(&link, 1500))
        skip();

    struct wire *right = open_at(link.right, AF_INET);
    struct wire *left = open_at(link.left, AF_INET);
    struct base_address to = right_address(right, false);

    assert_int_equal(wire_packet_bytes(left, &to), 1472);
    netns_run("ip link set left mtu 1400");
    assert_int_equal(wire_packet_bytes(left, &to), 1472);
    for (uint32_t i = 0; i < 12; i++)
        packets[i] = make_packet(&to, i, i < 10 ? 1472 : 1000);
    send_all(left, packets, 12);
    expect_packets(right, packets + 10, 2, NULL);
    error = expect_error(left);
    assert_int_equal(error.error, EMSGSIZE);
    assert_int_equal(error.packet_bytes, 1372);
    assert_int_equal(wire_errors(left, &error, 1), 0); /* once, not ten times */
    assert_int_equal(wire_packet_bytes(left, &to), 1372);
    expect_no_fragments();

    wire_close(left);
    wire_close(right);
    netns_link_close(&link);
}

static void a_remembered_size_is_asked_for_again_after_a_minute(void **state)
{
    struct netns_link link;
    struct base_arrival arrival;
    uint64_t now = clock_ns();

    (void)state;
    if (!netns_link_open(&link, 1500))
        skip();

    struct wire *left = open_at(link.left, AF_INET);
    struct base_address to = {.remote = ip4(10, 9, 0, 2), .port = 4000};

    (void)wire_receive(left, now, &arrival, 1);
    assert_int_equal(wire_packet_bytes(left, &to), 1472);
    netns_run("ip link set left mtu 1400");
    (void)wire_receive(left, now + 59000000000u, &arrival, 1);
    assert_int_equal(wire_packet_bytes(left, &to), 1472);
    (void)wire_receive(left, now + 61000000000u, &arrival, 1);
    assert_int_equal(wire_packet_bytes(left, &to), 1372);
    wire_close(left);
    netns_link_close(&link);
}

/* Far more peers than are remembered. */
static void many_peers_are_not_taken_for_each_other(void **state)
{
    struct netns_link link;

    (void)state;
    if (!netns_link_open(&link, 1500))
        skip();

    struct wire *left = open_at(link.left, AF_INET);

    for (uint32_t i = 0; i < 3000; i++) {
        struct base_address near_to = {.remote = ip4(127, 0, (uint8_t)(i >> 8), (uint8_t)i),
                                       .port = 4000};
        struct base_address far_to = {.remote = ip4(10, 9, 0, (uint8_t)(i % 250 + 2)),
                                      .port = 4000};

        assert_int_equal(wire_packet_bytes(left, &near_to), 60056);
        assert_int_equal(wire_packet_bytes(left, &far_to), 1472);
    }
    wire_close(left);
    netns_link_close(&link);
}

/* IP options take room that the wire knows nothing about. */
static void a_size_that_is_refused_against_the_kernels_word_is_not_used_again(void **state)
{
    struct netns_link link;
    uint8_t no_operations[40];

    (void)state;
    if (!netns_link_open(&link, 1500))
        skip();

    struct wire *right = open_at(link.right, AF_INET);
    struct wire *left = open_at(link.left, AF_INET);
    struct base_address to = right_address(right, false);
    struct base_packet packet = make_packet(&to, 1, 1472);
    struct base_network_error error;

    memset(no_operations, 1, sizeof(no_operations));
    assert_int_equal(setsockopt(wire_descriptor(left), IPPROTO_IP, IP_OPTIONS, no_operations,
                                sizeof(no_operations)),
                     0);
    assert_int_equal(wire_packet_bytes(left, &to), 1472);
    send_all(left, &packet, 1);
    error = expect_error(left);
    assert_int_equal(error.error, EMSGSIZE);
    assert_in_range(error.packet_bytes, 500, 1471);
    assert_int_equal(wire_packet_bytes(left, &to), error.packet_bytes);

    packet = make_packet(&to, 2, error.packet_bytes);
    send_all(left, &packet, 1);
    expect_packets(right, &packet, 1, NULL);
    wire_close(left);
    wire_close(right);
    netns_link_close(&link);
}

/* Bundles made for the remembered size are taken apart again when the link has shrunk. */
static void bundles_made_too_large_lose_no_packet(void **state)
{
    enum {
        COUNT = 60
    };
    struct netns_link link;
    struct base_packet packets[COUNT];

    (void)state;
    if (!netns_link_open(&link, 9000))
        skip();

    struct wire *right = open_at(link.right, AF_INET6);
    struct wire *left = open_at(link.left, AF_INET6);
    struct base_address to = right_address(right, true);
    struct base_network_error error;

    assert_int_equal(wire_packet_bytes(left, &to), 8952);
    netns_run("ip link set left mtu 1500");
    for (uint32_t i = 0; i < COUNT; i++) {
        packets[i] = make_packet(&to, i, 700);
        packets[i].may_be_followed = true;
    }
    exchange(left, right, packets, COUNT);
    assert_int_equal(wire_packet_bytes(left, &to), 1452);
    assert_int_equal(wire_errors(left, &error, 1), 0);

    wire_close(left);
    wire_close(right);
    netns_link_close(&link);
}

/*
 * near --9000-- router --1500-- far: the near end believes in 9,000 until the router drops a packet
 * and says so by ICMP.
 */
static void check_router(bool is_v6)
{
    struct netns_link link;
    int far_end = -1;

    if (!netns_link_open(&link, 9000))
        skip();
    /* The right end becomes the router. */
    far_end = netns_new();
    netns_run("ip link add far mtu 1500 type veth peer name toward mtu 1500 "
              "netns /proc/self/fd/%d",
              link.right);
    netns_run("ip addr add 10.10.0.2/24 dev far && ip addr add fd10::2/64 dev far nodad && "
              "ip link set far up && ip route add default via 10.10.0.1 && "
              "ip route add default via fd10::1");
    netns_enter(link.right);
    netns_run("ip addr add 10.10.0.1/24 dev toward && ip addr add fd10::1/64 dev toward nodad && "
              "ip link set toward up && echo 1 > /proc/sys/net/ipv4/ip_forward && "
              "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
    netns_enter(link.left);
    netns_run("ip route add default via 10.9.0.2 && ip route add default via fd09::2");

    struct wire *far_wire = open_at(far_end, AF_INET6);
    struct wire *near_wire = open_at(link.left, AF_INET6);
    struct base_address to = {.remote = is_v6 ? ip6("fd10::2") : ip4(10, 10, 0, 2),
                              .port = wire_port(far_wire)};
    uint32_t overhead = is_v6 ? 48 : 28;
    uint32_t before = wire_packet_bytes(near_wire, &to);
    struct base_packet packet = make_packet(&to, 1, before);
    struct base_network_error error;

    assert_int_equal(before, 9000 - overhead);
    send_all(near_wire, &packet, 1);
    error = expect_error(near_wire);
    assert_int_equal(error.error, EMSGSIZE);
    assert_true(base_address_same_remote(&error.to, &to));
    assert_int_equal(error.packet_bytes, 1500 - overhead);
    assert_int_equal(wire_packet_bytes(near_wire, &to), 1500 - overhead);

    packet = make_packet(&to, 2, 1500 - overhead);
    send_all(near_wire, &packet, 1);
    expect_packets(far_wire, &packet, 1, NULL);
    expect_no_fragments();

    wire_close(near_wire);
    wire_close(far_wire);
    netns_close(far_end);
    netns_link_close(&link);
}

static void a_router_that_says_too_big_is_believed_on_ipv4(void **state)
{
    (void)state;
    check_router(false);
}

static void a_router_that_says_too_big_is_believed_on_ipv6(void **state)
{
    (void)state;
    check_router(true);
}

/* Nothing is known about the way to nowhere; any size may be guessed but the smallest must fit. */
static void a_peer_without_a_route_gets_the_safe_size(void **state)
{
    struct base_address to = {.remote = ip4(10, 77, 0, 1), .port = 4000};
    int netns = netns_new();
    struct wire *wire = NULL;

    (void)state;
    if (netns < 0)
        skip();
    wire = open_udp(AF_INET6, 5);
    assert_int_equal(wire_packet_bytes(wire, &to), 1232);
    to.remote = ip6("fd77::1");
    assert_int_equal(wire_packet_bytes(wire, &to), 1232);
    wire_close(wire);
    netns_close(netns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_without_a_route_gets_the_safe_size),
        cmocka_unit_test(a_link_that_shrinks_is_noticed),
        cmocka_unit_test(a_size_that_is_refused_against_the_kernels_word_is_not_used_again),
        cmocka_unit_test(a_remembered_size_is_asked_for_again_after_a_minute),
        cmocka_unit_test(many_peers_are_not_taken_for_each_other),
        cmocka_unit_test(bundles_made_too_large_lose_no_packet),
        cmocka_unit_test(a_router_that_says_too_big_is_believed_on_ipv4),
        cmocka_unit_test(a_router_that_says_too_big_is_believed_on_ipv6),
        cmocka_unit_test(an_mtu_of_1500_gives_packets_of_1472_on_ipv4),
        cmocka_unit_test(an_mtu_of_1500_gives_packets_of_1452_on_ipv6),
        cmocka_unit_test(an_mtu_of_9000_gives_packets_of_8972_on_ipv4),
        cmocka_unit_test(an_mtu_of_9000_gives_packets_of_8952_on_ipv6),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
