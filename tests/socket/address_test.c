/*
 * Addresses to and from the application.
 */
#include "socket/address.h"

#include "support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static void short_addresses_and_other_families_are_refused(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct base_address address;

    (void)state;
    for (socklen_t length = 0; length < sizeof(v4); length++)
        assert_int_equal(address_read(AF_INET, (struct sockaddr *)&v4, length, &address), -EINVAL);
    for (socklen_t length = 0; length < sizeof(v6); length++)
        assert_int_equal(address_read(AF_INET6, (struct sockaddr *)&v6, length, &address), -EINVAL);
    assert_int_equal(address_read(AF_INET6, (struct sockaddr *)&v4, sizeof(v4), &address),
                     -EAFNOSUPPORT);
    assert_int_equal(address_read(AF_INET, (struct sockaddr *)&v6, sizeof(v6), &address),
                     -EAFNOSUPPORT);
}

static void an_ipv4_address_survives_the_way_there_and_back(void **state)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(4000)};
    struct sockaddr_storage back;
    struct base_address address;
    char text[ADDRESS_TEXT_MAX];
    char unaligned[sizeof(name) + 1];

    (void)state;
    assert_int_equal(inet_pton(AF_INET, "10.1.2.3", &name.sin_addr), 1);
    memcpy(unaligned + 1, &name, sizeof(name));
    assert_int_equal(
        address_read(AF_INET, (struct sockaddr *)(void *)(unaligned + 1), sizeof(name), &address),
        0);
    assert_string_equal(address_text(&address, text), "10.1.2.3:4000");
    assert_true(base_ip_is_mapped(&address.remote));
    assert_int_equal(address_write(AF_INET, &address.remote, 0, address.port, &back), sizeof(name));
    assert_memory_equal(&back, &name, sizeof(name));
}

static void an_ipv6_address_survives_the_way_there_and_back(void **state)
{
    struct sockaddr_in6 name = {
        .sin6_family = AF_INET6, .sin6_port = htons(4000), .sin6_scope_id = 3};
    struct sockaddr_storage back;
    struct base_address address;
    char text[ADDRESS_TEXT_MAX];

    (void)state;
    assert_int_equal(inet_pton(AF_INET6, "fe80::12", &name.sin6_addr), 1);
    assert_int_equal(address_read(AF_INET6, (struct sockaddr *)&name, sizeof(name), &address), 0);
    assert_string_equal(address_text(&address, text), "[fe80::12]:4000");
    assert_int_equal(address.scope, 3);
    assert_int_equal(address_write(AF_INET6, &address.remote, address.scope, address.port, &back),
                     sizeof(name));
    assert_memory_equal(&back, &name, sizeof(name));
}

/* Peers are compared bytewise. */
static void a_scope_counts_for_link_local_addresses_only(void **state)
{
    struct sockaddr_in6 name = {
        .sin6_family = AF_INET6, .sin6_port = htons(4000), .sin6_scope_id = 3};
    struct base_address address;

    (void)state;
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &name.sin6_addr), 1);
    assert_int_equal(address_read(AF_INET6, (struct sockaddr *)&name, sizeof(name), &address), 0);
    assert_int_equal(address.scope, 0);
}

static void what_does_not_fit_is_cut_and_the_true_length_is_told(void **state)
{
    struct sockaddr_storage name;
    char room[8];
    socklen_t length = 3;

    (void)state;
    memset(&name, 7, sizeof(name));
    memset(room, 0, sizeof(room));
    address_give(&name, 16, room, &length);
    assert_int_equal(length, 16);
    assert_int_equal(room[2], 7);
    assert_int_equal(room[3], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_addresses_and_other_families_are_refused),
        cmocka_unit_test(an_ipv4_address_survives_the_way_there_and_back),
        cmocka_unit_test(an_ipv6_address_survives_the_way_there_and_back),
        cmocka_unit_test(a_scope_counts_for_link_local_addresses_only),
        cmocka_unit_test(what_does_not_fit_is_cut_and_the_true_length_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
