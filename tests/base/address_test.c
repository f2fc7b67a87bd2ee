/* Addresses: what makes two of them the same peer, and IPv4 in its mapped form. */
#include "base/address.h"

#include "support/test.h"

static const uint8_t loopback_v4[4] = {127, 0, 0, 1};

static struct base_address some_address(void)
{
    return (struct base_address){
        .remote = base_ip_from_v4((uint8_t[]){10, 0, 0, 1}),
        .local = base_ip_from_v4((uint8_t[]){10, 0, 0, 2}),
        .scope = 3,
        .port = 4000,
    };
}

static void addresses_differ_when_any_part_does(void **state)
{
    struct base_address address = some_address();
    struct base_address other;

    (void)state;
    other = address;
    other.remote.bytes[15]++;
    assert_false(base_address_equal(&address, &other));
    other = address;
    other.local.bytes[0]++;
    assert_false(base_address_equal(&address, &other));
    other = address;
    other.scope++;
    assert_false(base_address_equal(&address, &other));
    other = address;
    other.port++;
    assert_false(base_address_equal(&address, &other));
    other = address;
    assert_true(base_address_equal(&address, &other));
}

static void a_different_remote_part_is_a_different_peer(void **state)
{
    struct base_address address = some_address();
    struct base_address other;

    (void)state;
    other = address;
    other.remote.bytes[15]++;
    assert_false(base_address_same_remote(&address, &other));
    other = address;
    other.scope++;
    assert_false(base_address_same_remote(&address, &other));
    other = address;
    other.port++;
    assert_false(base_address_same_remote(&address, &other));
}

static void one_peer_may_talk_to_several_of_our_addresses(void **state)
{
    struct base_address address = some_address();
    struct base_address other = address;

    (void)state;
    other.local = (struct base_ip){{0}};
    assert_true(base_address_same_remote(&address, &other));
}

static void ipv6_addresses_are_not_taken_for_mapped_ones(void **state)
{
    struct base_ip loopback_v6 = {.bytes = {[15] = 1}};
    struct base_ip nearly = base_ip_from_v4(loopback_v4);

    (void)state;
    assert_false(base_ip_is_mapped(&loopback_v6));
    nearly.bytes[11] = 0xfe;
    assert_false(base_ip_is_mapped(&nearly));
    nearly.bytes[11] = 0xff;
    nearly.bytes[0] = 1;
    assert_false(base_ip_is_mapped(&nearly));
}

static void ipv4_is_held_in_mapped_form(void **state)
{
    static const uint8_t expected[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
    struct base_ip ip = base_ip_from_v4(loopback_v4);

    (void)state;
    assert_memory_equal(ip.bytes, expected, sizeof(expected));
    assert_true(base_ip_is_mapped(&ip));
}

static void only_all_zeros_is_unspecified(void **state)
{
    struct base_ip none = {{0}};
    struct base_ip any_v4 = base_ip_from_v4((uint8_t[]){0, 0, 0, 0});

    (void)state;
    assert_true(base_ip_is_unspecified(&none));
    assert_false(base_ip_is_unspecified(&any_v4));
    for (size_t i = 0; i < sizeof(none.bytes); i++) {
        struct base_ip one = {.bytes = {0}};

        one.bytes[i] = 1;
        assert_false(base_ip_is_unspecified(&one));
        assert_false(base_ip_equal(&one, &none));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_differ_when_any_part_does),
        cmocka_unit_test(a_different_remote_part_is_a_different_peer),
        cmocka_unit_test(one_peer_may_talk_to_several_of_our_addresses),
        cmocka_unit_test(ipv6_addresses_are_not_taken_for_mapped_ones),
        cmocka_unit_test(ipv4_is_held_in_mapped_form),
        cmocka_unit_test(only_all_zeros_is_unspecified),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
