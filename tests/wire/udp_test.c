/*
 * The udp carrier: opening, ports, buffers, and the battery over each address family.
 */
#include "wire/udp.h"

#include "battery.h"
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

static const struct wire_udp_options any_port = {
    .family = AF_INET, .lowest_port = 0x8000, .gso_bytes = 65507, .seed = 1};

/* ---- what is refused ---- */

static void an_unknown_family_is_refused(void **state)
{
    struct wire_udp_options options = any_port;
    struct wire *wire = NULL;

    (void)state;
    options.family = AF_UNIX;
    assert_int_equal(wire_udp_open(&options, &wire), -EAFNOSUPPORT);
    assert_null(wire);
}

static void a_port_in_use_is_refused(void **state)
{
    struct wire_udp_options options = any_port;
    struct wire *first = open_udp(AF_INET, 5);
    struct wire *second = NULL;

    (void)state;
    options.port = wire_port(first);
    assert_int_equal(wire_udp_open(&options, &second), -EADDRINUSE);
    options.family = AF_INET6;
    assert_int_equal(wire_udp_open(&options, &second), -EADDRINUSE);
    assert_null(second);
    wire_close(first);
}

static void a_foreign_address_is_refused(void **state)
{
    struct wire_udp_options options = any_port;
    struct wire *wire = NULL;

    (void)state;
    options.local = ip4(203, 0, 113, 1);
    assert_int_equal(wire_udp_open(&options, &wire), -EADDRNOTAVAIL);
    options.local = ip6("2001:db8::1");
    assert_int_equal(wire_udp_open(&options, &wire), -EADDRNOTAVAIL);
    options.family = AF_INET6;
    assert_int_equal(wire_udp_open(&options, &wire), -EADDRNOTAVAIL);
    assert_null(wire);
}

static void a_privileged_port_is_refused_to_others(void **state)
{
    struct wire_udp_options options = any_port;
    struct wire *wire = NULL;
    uid_t user = geteuid();

    (void)state;
    if (user == 0 && seteuid(65534) != 0)
        skip();
    options.port = 7;
    assert_int_equal(wire_udp_open(&options, &wire), -EACCES);
    assert_int_equal(seteuid(user), 0);
}

/* Alone in a namespace, so that nobody else takes one of the two. */
static void all_free_ports_are_found_and_then_none(void **state)
{
    struct wire_udp_options options = any_port;
    struct wire *wires[3] = {NULL};
    int netns = netns_new();

    (void)state;
    if (netns < 0)
        skip();
    options.lowest_port = 65534;
    assert_int_equal(wire_udp_open(&options, &wires[0]), 0);
    assert_int_equal(wire_udp_open(&options, &wires[1]), 0);
    assert_int_equal(wire_port(wires[0]) ^ wire_port(wires[1]), 1);
    assert_int_equal(wire_udp_open(&options, &wires[2]), -EADDRINUSE);
    wire_close(wires[0]);
    wire_close(wires[1]);
    netns_close(netns);
}

static void closing_no_wire_is_allowed(void **state)
{
    (void)state;
    wire_close(NULL);
}

/* ---- what is given ---- */

static void a_given_port_is_taken(void **state)
{
    struct wire_udp_options options = any_port;
    struct wire *wire = open_udp(AF_INET, 6);

    (void)state;
    options.port = wire_port(wire);
    wire_close(wire);
    assert_int_equal(wire_udp_open(&options, &wire), 0);
    assert_int_equal(wire_port(wire), options.port);
    wire_close(wire);
}

static void free_ports_come_from_the_range_and_follow_the_seed(void **state)
{
    uint16_t first[8];
    unsigned same = 0;

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct wire *wire = open_udp(AF_INET, 100 + i);

        first[i] = wire_port(wire);
        assert_in_range(first[i], 0x8000, 65535);
        wire_close(wire);
        wire = open_udp(AF_INET, 100 + i);
        same += wire_port(wire) == first[i];
        wire_close(wire);
    }
    /* Somebody else may take one in between, but hardly all. */
    assert_true(same > 0);
    assert_false(first[0] == first[1] && first[1] == first[2]);
}

static void the_descriptor_neither_blocks_nor_survives_exec(void **state)
{
    struct wire *wire = open_udp(AF_INET, 7);

    (void)state;
    assert_true((fcntl(wire_descriptor(wire), F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(wire_descriptor(wire), F_GETFD) & FD_CLOEXEC) != 0);
    wire_close(wire);
}

static void buffers_are_raised_as_far_as_allowed(void **state)
{
    struct wire *wire = open_udp(AF_INET, 8);
    uint32_t granted = 0;
    uint32_t wanted = 0;
    int kernel = 0;
    socklen_t length = sizeof(kernel);

    (void)state;
    wire_udp_buffers(wire, &granted, &wanted);
    assert_int_equal(getsockopt(wire_descriptor(wire), SOL_SOCKET, SO_RCVBUF, &kernel, &length), 0);
    assert_int_equal(granted, (uint32_t)kernel / 2);
    assert_in_range(granted, 1, wanted);
    if (geteuid() == 0)
        assert_int_equal(granted, wanted);
    wire_close(wire);
}

static void receive_offload_is_on(void **state)
{
    struct wire *wire = open_udp(AF_INET6, 8);
    int is_on = 0;
    socklen_t length = sizeof(is_on);

    (void)state;
    assert_int_equal(getsockopt(wire_descriptor(wire), IPPROTO_UDP, UDP_GRO, &is_on, &length), 0);
    assert_int_equal(is_on, 1);
    wire_close(wire);
}

/* ---- addresses ---- */

static void an_answer_leaves_from_the_address_that_was_asked(void **state)
{
    static const struct wire_kind kinds[] = {{.name = "v4", .family = AF_INET},
                                             {.family = AF_INET6, .is_mapped = true}};

    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        struct wire_pair pair;
        struct base_packet packet;
        struct base_arrival arrival;

        pair_open(&pair, &kinds[k]);
        pair.to_b.remote = ip4(127, 0, 0, 2);
        packet = make_packet(&pair.to_b, 1, 100);
        send_all(pair.a, &packet, 1);
        expect_packets(pair.b, &packet, 1, &arrival);
        assert_true(base_ip_equal(&arrival.from.local, &pair.to_b.remote));

        packet = make_packet(&arrival.from, 2, 100);
        packet.priority = 2;
        send_all(pair.b, &packet, 1);
        expect_packets(pair.a, &packet, 1, &arrival);
        assert_true(base_address_same_remote(&arrival.from, &pair.to_b));

        packet.priority = 7;
        assert_int_equal(wire_inject(pair.b, &packet), 0);
        expect_packets(pair.a, &packet, 1, &arrival);
        assert_true(base_address_same_remote(&arrival.from, &pair.to_b));
        pair_close(&pair);
    }
}

static void a_bound_address_is_the_one_peers_see(void **state)
{
    struct wire_udp_options options = any_port;
    struct wire *bound = NULL;
    struct wire *peer = open_udp(AF_INET, 9);
    struct base_address to_peer = {.remote = ip4(127, 0, 0, 1), .port = wire_port(peer)};
    struct base_packet packet;
    struct base_arrival arrival;

    (void)state;
    options.local = ip4(127, 0, 0, 3);
    assert_int_equal(wire_udp_open(&options, &bound), 0);
    for (unsigned i = 0; i < 2; i++) {
        packet = make_packet(&to_peer, i, 100);
        send_all(bound, &packet, 1);
        expect_packets(peer, &packet, 1, &arrival);
        assert_true(base_ip_equal(&arrival.from.remote, &options.local));
        to_peer.local = options.local;
    }
    wire_close(bound);
    wire_close(peer);
}

static void an_ipv6_wire_serves_both_families_at_once(void **state)
{
    struct wire *both = open_udp(AF_INET6, 10);
    struct wire *v4 = open_udp(AF_INET, 11);
    struct wire *v6 = open_udp(AF_INET6, 12);
    struct base_address to_v4 = {.remote = ip4(127, 0, 0, 1), .port = wire_port(v4)};
    struct base_address to_v6 = {.remote = ip6("::1"), .port = wire_port(v6)};
    struct base_packet packets[6];

    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        packets[i] = make_packet(i < 3 ? &to_v4 : &to_v6, i, 100);
        packets[i].priority = (uint8_t)(i + 1);
    }
    send_all(both, packets, 6);
    expect_packets(v4, packets, 3, NULL);
    expect_packets(v6, packets + 3, 3, NULL);
    wire_close(both);
    wire_close(v4);
    wire_close(v6);
}

/* Valid on one link only, so that the interface is part of the peer's name. */
static void link_local_peers_are_known_by_their_interface(void **state)
{
    struct netns_link link;
    struct base_arrival arrival;

    (void)state;
    if (!netns_link_open(&link, 1500))
        skip();
    netns_enter(link.right);
    netns_run("ip addr add fe80::2/64 dev right nodad");

    struct wire *right = open_udp(AF_INET6, 21);
    uint32_t right_scope = if_nametoindex("right");

    netns_enter(link.left);
    netns_run("ip addr add fe80::1/64 dev left nodad");

    struct wire *left = open_udp(AF_INET6, 22);
    struct base_address to = {
        .remote = ip6("fe80::2"), .scope = if_nametoindex("left"), .port = wire_port(right)};
    struct base_packet packet = make_packet(&to, 1, 100);

    assert_int_equal(wire_packet_bytes(left, &to), 1452);
    send_all(left, &packet, 1);
    expect_packets(right, &packet, 1, &arrival);
    assert_int_equal(arrival.from.scope, right_scope);
    assert_true(base_ip_equal(&arrival.from.local, &to.remote));

    packet = make_packet(&arrival.from, 2, 100);
    packet.priority = 1;
    send_all(right, &packet, 1);
    expect_packets(left, &packet, 1, &arrival);
    assert_true(base_address_same_remote(&arrival.from, &to));
    wire_close(left);
    wire_close(right);
    netns_link_close(&link);
}

int main(void)
{
    static const struct wire_kind kinds[] = {
        {.name = "battery over udp, IPv4", .family = AF_INET},
        {.name = "battery over udp, IPv6", .family = AF_INET6},
        {.name = "battery over udp, IPv4 through mapped addresses",
         .family = AF_INET6,
         .is_mapped = true},
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_family_is_refused),
        cmocka_unit_test(a_port_in_use_is_refused),
        cmocka_unit_test(a_foreign_address_is_refused),
        cmocka_unit_test(a_privileged_port_is_refused_to_others),
        cmocka_unit_test(closing_no_wire_is_allowed),
        cmocka_unit_test(a_given_port_is_taken),
        cmocka_unit_test(free_ports_come_from_the_range_and_follow_the_seed),
        cmocka_unit_test(the_descriptor_neither_blocks_nor_survives_exec),
        cmocka_unit_test(buffers_are_raised_as_far_as_allowed),
        cmocka_unit_test(receive_offload_is_on),
        cmocka_unit_test(an_answer_leaves_from_the_address_that_was_asked),
        cmocka_unit_test(a_bound_address_is_the_one_peers_see),
        cmocka_unit_test(an_ipv6_wire_serves_both_families_at_once),
    };
    /* Leaves the process in another namespace, so it comes last. */
    const struct CMUnitTest isolated[] = {
        cmocka_unit_test(all_free_ports_are_found_and_then_none),
        cmocka_unit_test(link_local_peers_are_known_by_their_interface),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        failed += battery_run(&kinds[i]);
    return failed + cmocka_run_group_tests(isolated, NULL, NULL);
}
