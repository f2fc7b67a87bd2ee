/*
 * "host:port" into addresses and back: what is refused and in which words, names and numbers, and
 * both families on either kind of socket.
 */
#include "rpc/address.h"

#include <missive/rpc.h>

#include "support/test.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

static void expect_refused(const char *text, const char *sentence)
{
    struct rpc_address address;

    assert_int_equal(rpc_address_parse(text, "server", &address), -EINVAL);
    assert_string_equal(msv_rpc_errmsg(), sentence);
}

/* text resolves to what is printed as `printed`. */
static void expect_resolved(const char *text, int family, const char *printed)
{
    struct rpc_address address;
    struct sockaddr_storage found;
    char buffer[RPC_ADDRESS_TEXT];

    assert_int_equal(rpc_address_parse(text, "server", &address), 0);
    assert_int_equal(rpc_address_resolve(&address, family, &found), 0);
    assert_string_equal(rpc_address_format(&found, buffer), printed);
}

static void text_that_is_no_host_and_port_is_refused(void **state)
{
    (void)state;
    expect_refused("", "server must be host:port, like 127.0.0.1:4000; got ''");
    expect_refused("foo", "server must be host:port, like 127.0.0.1:4000; got 'foo'");
    expect_refused("foo:", "a port is a number 0 to 65535, as in 127.0.0.1:4000; got 'foo:'");
    expect_refused("foo:http",
                   "a port is a number 0 to 65535, as in 127.0.0.1:4000; got 'foo:http'");
    expect_refused("foo:-1", "a port is a number 0 to 65535, as in 127.0.0.1:4000; got 'foo:-1'");
    expect_refused("foo: 1", "a port is a number 0 to 65535, as in 127.0.0.1:4000; got 'foo: 1'");
    expect_refused("foo:65536",
                   "a port is a number 0 to 65535, as in 127.0.0.1:4000; got 'foo:65536'");
    expect_refused("foo:000001",
                   "a port is a number 0 to 65535, as in 127.0.0.1:4000; got 'foo:000001'");
    expect_refused("::1:4000", "an IPv6 address needs brackets, like [::1]:4000; got '::1:4000'");
    expect_refused("[::1:4000", "an IPv6 address needs brackets, like [::1]:4000; got '[::1:4000'");
}

static void a_host_name_that_is_too_long_is_refused(void **state)
{
    struct rpc_address address;
    char text[RPC_HOST_MAX + 10];

    (void)state;
    memset(text, 'a', sizeof(text));
    strcpy(text + RPC_HOST_MAX + 1, ":1");
    assert_int_equal(rpc_address_parse(text, "server", &address), -EINVAL);
    assert_non_null(strstr(msv_rpc_errmsg(), "at most 255 bytes"));
    strcpy(text + RPC_HOST_MAX, ":1");
    assert_int_equal(rpc_address_parse(text, "server", &address), 0);
}

static void an_unknown_host_gives_enoent(void **state)
{
    struct rpc_address address;
    struct sockaddr_storage found;

    (void)state;
    assert_int_equal(rpc_address_parse("no.such.host.invalid:4000", "server", &address), 0);
    assert_int_equal(rpc_address_resolve(&address, AF_INET6, &found), -ENOENT);
    assert_non_null(strstr(msv_rpc_errmsg(), "'no.such.host.invalid' is not known"));
}

static void an_ipv6_number_is_refused_for_an_ipv4_socket(void **state)
{
    struct rpc_address address;
    struct sockaddr_storage found;

    (void)state;
    assert_int_equal(rpc_address_parse("[::1]:4000", "server", &address), 0);
    assert_int_equal(rpc_address_resolve(&address, AF_INET, &found), -EINVAL);
    assert_string_equal(msv_rpc_errmsg(),
                        "'::1' is an IPv6 address, and this socket is for IPv4 only");
}

static void all_addresses_are_a_star_or_nothing(void **state)
{
    struct rpc_address address;

    (void)state;
    assert_int_equal(rpc_address_parse("*:4000", "server", &address), 0);
    assert_true(address.is_any);
    assert_int_equal(address.port, 4000);
    assert_int_equal(rpc_address_parse(":4001", "server", &address), 0);
    assert_true(address.is_any);
    assert_int_equal(address.port, 4001);
    assert_int_equal(rpc_address_parse("0.0.0.0:4000", "server", &address), 0);
    assert_false(address.is_any);
}

static void numbers_are_resolved(void **state)
{
    (void)state;
    expect_resolved("10.1.2.3:65535", AF_INET, "10.1.2.3:65535");
    expect_resolved("10.1.2.3:0", AF_INET6, "10.1.2.3:0");
    expect_resolved("[2001:db8::7]:4000", AF_INET6, "[2001:db8::7]:4000");
    expect_resolved("[::ffff:10.1.2.3]:4000", AF_INET, "10.1.2.3:4000");
}

/* Whether this machine knows localhost at all; a bare one may not. */
static bool has_localhost(void)
{
    struct addrinfo *list = NULL;

    if (getaddrinfo("localhost", NULL, NULL, &list) != 0)
        return false;
    freeaddrinfo(list);
    return true;
}

static void a_name_is_looked_up(void **state)
{
    (void)state;
    if (!has_localhost())
        skip();
    expect_resolved("localhost:4000", AF_INET, "127.0.0.1:4000");
}

static void of_both_loopback_addresses_ipv4_is_taken(void **state)
{
    (void)state;
    if (!has_localhost())
        skip();
    expect_resolved("localhost:4000", AF_INET6, "127.0.0.1:4000");
}

static void an_address_is_fitted_to_the_family_of_the_socket(void **state)
{
    struct sockaddr_storage natural = {0};
    struct sockaddr_storage fitted;
    struct sockaddr_in6 in6;
    socklen_t length = 0;

    (void)state;
    rpc_address_any(AF_INET, 4000, &natural);
    ((struct sockaddr_in *)&natural)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(rpc_address_fit(&natural, AF_INET, &fitted, &length), 0);
    assert_int_equal(length, sizeof(struct sockaddr_in));
    assert_memory_equal(&fitted, &natural, sizeof(natural));

    assert_int_equal(rpc_address_fit(&natural, AF_INET6, &fitted, &length), 0);
    assert_int_equal(length, sizeof(struct sockaddr_in6));
    memcpy(&in6, &fitted, sizeof(in6));
    assert_true(IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr));
    assert_int_equal(rpc_address_port(&fitted), 4000);

    rpc_address_make_natural(&fitted);
    assert_memory_equal(&fitted, &natural, sizeof(natural));
}

static void an_address_that_the_socket_cannot_reach_is_refused(void **state)
{
    struct sockaddr_storage natural = {0};
    struct sockaddr_storage fitted;
    socklen_t length = 0;

    (void)state;
    natural.ss_family = AF_UNIX;
    assert_int_equal(rpc_address_fit(&natural, AF_INET6, &fitted, &length), -EINVAL);
    rpc_address_any(AF_INET6, 4000, &natural);
    assert_int_equal(rpc_address_fit(&natural, AF_INET, &fitted, &length), -EINVAL);
    assert_int_equal(rpc_address_fit(&natural, AF_INET6, &fitted, &length), 0);
}

static void the_port_can_be_set_in_both_families(void **state)
{
    struct sockaddr_storage address = {0};
    char text[RPC_ADDRESS_TEXT];

    (void)state;
    rpc_address_any(AF_INET, 1, &address);
    rpc_address_set_port(&address, 4000);
    assert_string_equal(rpc_address_format(&address, text), "0.0.0.0:4000");
    rpc_address_any(AF_INET6, 1, &address);
    rpc_address_set_port(&address, 4001);
    assert_string_equal(rpc_address_format(&address, text), "[::]:4001");
}

static void a_scope_is_kept_and_shown(void **state)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
    char text[RPC_ADDRESS_TEXT];

    (void)state;
    in6.sin6_addr.s6_addr[0] = 0xfe;
    in6.sin6_addr.s6_addr[1] = 0x80;
    in6.sin6_addr.s6_addr[15] = 1;
    in6.sin6_scope_id = 4;
    memcpy(&address, &in6, sizeof(in6));
    rpc_address_make_natural(&address);
    assert_string_equal(rpc_address_format(&address, text), "[fe80::1%4]:7");
    expect_resolved("[fe80::1%lo]:7", AF_INET6, "[fe80::1%1]:7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_is_no_host_and_port_is_refused),
        cmocka_unit_test(a_host_name_that_is_too_long_is_refused),
        cmocka_unit_test(an_unknown_host_gives_enoent),
        cmocka_unit_test(an_ipv6_number_is_refused_for_an_ipv4_socket),
        cmocka_unit_test(all_addresses_are_a_star_or_nothing),
        cmocka_unit_test(numbers_are_resolved),
        cmocka_unit_test(a_name_is_looked_up),
        cmocka_unit_test(of_both_loopback_addresses_ipv4_is_taken),
        cmocka_unit_test(an_address_is_fitted_to_the_family_of_the_socket),
        cmocka_unit_test(an_address_that_the_socket_cannot_reach_is_refused),
        cmocka_unit_test(the_port_can_be_set_in_both_families),
        cmocka_unit_test(a_scope_is_kept_and_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
