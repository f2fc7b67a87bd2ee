/*
 * Network errors of the udp carrier: every kind of ICMP message becomes the errno that the layers
 * above know, for the peer it is about. The messages are forged over loopback, which takes a raw
 * socket; skipped where that is not permitted. Refused ports are part of the battery.
 */
#include "pair.h"
#include "wire/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#define PEER_PORT 4000u

static uint16_t checksum(const void *data, size_t length)
{
    const uint8_t *bytes = data;
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < length; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

/* Says by ICMP, from 127.0.0.1 to itself, that a datagram from `port` to PEER_PORT met this fate.
 */
static void forge_v4(int raw, uint16_t port, uint8_t type, uint8_t code)
{
    struct {
        struct icmphdr icmp;
        struct iphdr ip;
        struct udphdr udp;
    } message = {.icmp = {.type = type, .code = code},
                 .ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP},
                 .udp = {.source = htons(port), .dest = htons(PEER_PORT), .len = htons(108)}};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    message.ip.tot_len = htons(128);
    message.ip.saddr = to.sin_addr.s_addr;
    message.ip.daddr = to.sin_addr.s_addr;
    message.icmp.checksum = checksum(&message, sizeof(message));
    assert_int_equal(sendto(raw, &message, sizeof(message), 0, (struct sockaddr *)&to, sizeof(to)),
                     sizeof(message));
}

static void forge_v6(int raw, uint16_t port, uint8_t type, uint8_t code)
{
    struct {
        struct icmp6_hdr icmp;
        struct ip6_hdr ip;
        struct udphdr udp;
    } message = {.icmp = {.icmp6_type = type, .icmp6_code = code},
                 .udp = {.source = htons(port), .dest = htons(PEER_PORT), .len = htons(108)}};
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    message.ip.ip6_vfc = 0x60;
    message.ip.ip6_plen = htons(108);
    message.ip.ip6_nxt = IPPROTO_UDP;
    message.ip.ip6_hlim = 64;
    message.ip.ip6_src = to.sin6_addr;
    message.ip.ip6_dst = to.sin6_addr;
    assert_int_equal(sendto(raw, &message, sizeof(message), 0, (struct sockaddr *)&to, sizeof(to)),
                     sizeof(message));
}

struct icmp_case {
    uint8_t type;
    uint8_t code;
    int error;
};

static void check_cases(int family, bool is_v6_icmp, const struct icmp_case *cases, size_t count)
{
    int raw = socket(is_v6_icmp ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC,
                     is_v6_icmp ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    struct wire *wire = NULL;

    if (raw < 0)
        skip();
    wire = open_udp(family, 1);
    for (size_t i = 0; i < count; i++) {
        struct base_network_error error;

        if (is_v6_icmp)
            forge_v6(raw, wire_port(wire), cases[i].type, cases[i].code);
        else
            forge_v4(raw, wire_port(wire), cases[i].type, cases[i].code);
        error = expect_error(wire);
        assert_int_equal(error.error, cases[i].error);
        assert_int_equal(error.to.port, PEER_PORT);
        assert_true(base_ip_equal(
            &error.to.remote, is_v6_icmp
                                  ? &(struct base_ip){.bytes = {[15] = 1}}
                                  : &(struct base_ip){.bytes = {[10] = 0xff, 0xff, 127, 0, 0, 1}}));
        assert_int_equal(wire_errors(wire, &error, 1), 0);
    }
    wire_close(wire);
    (void)close(raw);
}

static const struct icmp_case cases_v4[] = {
    {ICMP_DEST_UNREACH, ICMP_NET_UNREACH, EHOSTUNREACH},
    {ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, EHOSTUNREACH},
    {ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, EPROTONOSUPPORT},
    {ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, ECONNREFUSED},
    {ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, EHOSTUNREACH},
    {ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, EHOSTUNREACH},
};

static void icmp_becomes_an_error_for_its_peer(void **state)
{
    (void)state;
    check_cases(AF_INET, false, cases_v4, sizeof(cases_v4) / sizeof(cases_v4[0]));
}

static void icmp_for_a_mapped_peer_becomes_the_same_error(void **state)
{
    (void)state;
    check_cases(AF_INET6, false, cases_v4, sizeof(cases_v4) / sizeof(cases_v4[0]));
}

static void icmpv6_becomes_an_error_for_its_peer(void **state)
{
    static const struct icmp_case cases[] = {
        {ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOROUTE, EHOSTUNREACH},
        {ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADMIN, EHOSTUNREACH},
        {ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR, EHOSTUNREACH},
        {ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT, ECONNREFUSED},
        {ICMP6_TIME_EXCEEDED, ICMP6_TIME_EXCEED_TRANSIT, EHOSTUNREACH},
        {ICMP6_PARAM_PROB, ICMP6_PARAMPROB_NEXTHEADER, EPROTONOSUPPORT},
    };

    (void)state;
    check_cases(AF_INET6, true, cases, sizeof(cases) / sizeof(cases[0]));
}

/* More errors than the wire can remember, for as many peers: none may keep sends from working, and
 * one for each peer comes out in the end. */
static void many_refused_peers_are_each_reported_once(void **state)
{
    enum {
        PEERS = 150
    };
    struct wire *wire = open_udp(AF_INET, 1);
    struct wire *peer = open_udp(AF_INET, 2);
    struct base_address to_peer = {.remote = ip4(127, 0, 0, 1), .port = wire_port(peer)};
    struct base_packet wanted = make_packet(&to_peer, 1, 100);
    bool is_reported[PEERS] = {false};

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < PEERS; i++) {
            /* Distinct addresses of a loopback peer; nobody listens on port 1. */
            struct base_address gone = {.remote = ip4(127, 1, 0, (uint8_t)(i + 1)), .port = 1};
            struct base_packet packet = make_packet(&gone, 1, 100);

            assert_int_equal(wire_inject(wire, &packet), 0);
        }
    }
    assert_int_equal(wire_send(wire, 1, &wanted, 1), 1);
    expect_packets(peer, &wanted, 1, NULL);

    for (unsigned reported = 0; reported < PEERS;) {
        struct base_network_error error = expect_error(wire);
        unsigned index = error.to.remote.bytes[15] - 1u;

        assert_int_equal(error.error, ECONNREFUSED);
        assert_true(index < PEERS);
        reported += !is_reported[index];
        is_reported[index] = true;
    }
    wire_close(wire);
    wire_close(peer);
}

/* The same errno could be the send's own; it must not be taken for that. */
static void an_unreachable_peer_is_not_taken_for_the_next_one(void **state)
{
    int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    struct wire *wire = NULL;
    struct wire *peer = NULL;

    (void)state;
    if (raw < 0)
        skip();
    wire = open_udp(AF_INET, 1);
    peer = open_udp(AF_INET, 2);
    for (unsigned i = 0; i < 3; i++) {
        struct base_address to = {.remote = ip4(127, 0, 0, 1), .port = wire_port(peer)};
        struct base_packet wanted = make_packet(&to, 1, 100);
        struct base_network_error error;

        forge_v4(raw, wire_port(wire), ICMP_DEST_UNREACH, ICMP_HOST_UNREACH);
        wait_readable(wire);
        assert_int_equal(wire_send(wire, 1, &wanted, 1), 1);
        expect_packets(peer, &wanted, 1, NULL);
        assert_int_equal(wire_errors(wire, &error, 1), 1);
        assert_int_equal(error.to.port, PEER_PORT);
        assert_int_equal(wire_errors(wire, &error, 1), 0);
    }
    wire_close(wire);
    wire_close(peer);
    (void)close(raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_refused_peers_are_each_reported_once),
        cmocka_unit_test(an_unreachable_peer_is_not_taken_for_the_next_one),
        cmocka_unit_test(icmp_becomes_an_error_for_its_peer),
        cmocka_unit_test(icmp_for_a_mapped_peer_becomes_the_same_error),
        cmocka_unit_test(icmpv6_becomes_an_error_for_its_peer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
