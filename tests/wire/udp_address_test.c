/*
 * Addresses at the udp carrier's edge: to sockaddr and back, for both families.
 */
#include "pair.h"
#include "wire/udp_internal.h"

#include <arpa/inet.h>
#include <string.h>

static void an_ipv4_socket_cannot_name_an_ipv6_peer(void **state)
{
    struct base_ip ip = ip6("2001:db8::1");
    union udp_name name;

    (void)state;
    assert_int_equal(udp_name_write(AF_INET, &ip, 1, 0, &name), 0);
}

static void both_families_name_the_unspecified_address(void **state)
{
    const struct base_ip any = {0};
    union udp_name name;

    (void)state;
    assert_int_equal(udp_name_write(AF_INET, &any, 5, 0, &name), sizeof(struct sockaddr_in));
    assert_int_equal(name.v4.sin_addr.s_addr, htonl(INADDR_ANY));
    assert_int_equal(udp_name_write(AF_INET6, &any, 5, 0, &name), sizeof(struct sockaddr_in6));
    assert_memory_equal(&name.v6.sin6_addr, &in6addr_any, sizeof(in6addr_any));
}

static void an_ipv4_address_survives_the_way_there_and_back(void **state)
{
    static const int families[] = {AF_INET, AF_INET6};
    struct base_ip ip = ip4(192, 0, 2, 1);

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        union udp_name name;
        struct base_address address;

        assert_true(udp_name_write(families[i], &ip, 0x1234, 0, &name) > 0);
        assert_int_equal(name.any.sa_family, families[i]);
        udp_name_read(&name, &address);
        assert_true(base_ip_equal(&address.remote, &ip));
        assert_true(base_ip_is_unspecified(&address.local));
        assert_int_equal(address.port, 0x1234);
        assert_int_equal(address.scope, 0);
        assert_int_equal(address.reserved, 0);
    }
}

/* Else one peer would be several, by whatever the kernel leaves in the field. */
static void only_link_local_addresses_keep_a_scope(void **state)
{
    static const struct {
        const char *ip;
        bool is_link_local;
    } cases[] = {
        {"fe80::1", true},  {"febf::1", true}, {"fec0::1", false},
        {"fe7f::1", false}, {"::1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct base_ip ip = ip6(cases[i].ip);
        union udp_name name;
        struct base_address address;

        assert_int_equal(udp_is_link_local(&ip), cases[i].is_link_local);
        assert_int_equal(udp_name_write(AF_INET6, &ip, 1, 7, &name), sizeof(name.v6));
        assert_int_equal(name.v6.sin6_scope_id, 7);
        udp_name_read(&name, &address);
        assert_true(base_ip_equal(&address.remote, &ip));
        assert_int_equal(address.scope, cases[i].is_link_local ? 7 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ipv4_socket_cannot_name_an_ipv6_peer),
        cmocka_unit_test(both_families_name_the_unspecified_address),
        cmocka_unit_test(an_ipv4_address_survives_the_way_there_and_back),
        cmocka_unit_test(only_link_local_addresses_keep_a_scope),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
