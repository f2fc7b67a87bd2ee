/*
 * sendmsg's arguments: what is refused, with which errno and which sentence, and what is not.
 */
#include "endpoint.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static struct endpoint client;
static struct endpoint server;
static struct homa_sendmsg_args args;
static struct iovec slice;
static struct msghdr message;
static uint8_t bytes[1000001];

/* Before each test: a message that would be sent, for the test to spoil. */
static int prepare(void **state)
{
    (void)state;
    endpoint_open(&client, AF_INET, false);
    endpoint_open(&server, AF_INET, true);
    args = (struct homa_sendmsg_args){.completion_cookie = 7};
    slice = (struct iovec){.iov_base = bytes, .iov_len = 100};
    message = (struct msghdr){.msg_name = &server.name,
                              .msg_namelen = server.name_length,
                              .msg_iov = &slice,
                              .msg_iovlen = 1,
                              .msg_control = &args};
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    endpoint_close(&client);
    endpoint_close(&server);
    return 0;
}

static void refused(int error, const char *sentence)
{
    assert_failed(client.fd, msv_sendmsg(client.fd, &message, 0), error, sentence);
    assert_int_equal(endpoint_rpcs(&client), 0);
}

static void a_null_message_is_refused(void **state)
{
    (void)state;
    assert_failed(client.fd, msv_sendmsg(client.fd, NULL, 0), EFAULT, "msghdr is a null pointer");
}

static void null_args_are_refused(void **state)
{
    (void)state;
    message.msg_control = NULL;
    refused(EFAULT, "msg_control");
}

static void a_control_length_that_is_neither_zero_nor_the_args_size_is_refused(void **state)
{
    (void)state;
    message.msg_controllen = 16;
    refused(EINVAL, "msg_controllen is 16");
}

static void unknown_flag_bits_are_refused(void **state)
{
    (void)state;
    args.flags = HOMA_SENDMSG_PRIVATE | 0x40;
    refused(EINVAL, "flags: 0x40");
}

static void a_reserved_field_that_is_not_zero_is_refused(void **state)
{
    (void)state;
    args.reserved = 1;
    refused(EINVAL, "reserved is not 0");
}

static void a_missing_name_is_refused(void **state)
{
    (void)state;
    message.msg_name = NULL;
    refused(EINVAL, "msg_name is missing");
}

static void a_short_name_is_refused(void **state)
{
    (void)state;
    message.msg_namelen = sizeof(struct sockaddr_in) - 1;
    refused(EINVAL, "too short");
    message.msg_namelen = 1;
    refused(EINVAL, "too short");
    message.msg_namelen = 0;
    refused(EINVAL, "too short");
}

static void a_name_of_another_family_is_refused(void **state)
{
    struct sockaddr_in6 other = {.sin6_family = AF_INET6, .sin6_port = htons(4000)};

    (void)state;
    message.msg_name = &other;
    message.msg_namelen = sizeof(other);
    refused(EAFNOSUPPORT, "family differs");
    other.sin6_family = AF_UNIX;
    refused(EAFNOSUPPORT, "family differs");
}

static void an_ipv4_name_on_an_ipv6_socket_is_refused(void **state)
{
    struct endpoint six;

    (void)state;
    endpoint_open(&six, AF_INET6, false);
    assert_failed(six.fd, msv_sendmsg(six.fd, &message, 0), EAFNOSUPPORT, "family differs");
    endpoint_close(&six);
}

static void a_short_ipv6_name_is_refused(void **state)
{
    struct endpoint six;

    (void)state;
    endpoint_open(&six, AF_INET6, false);
    message.msg_name = &six.name;
    message.msg_namelen = sizeof(struct sockaddr_in);
    assert_failed(six.fd, msv_sendmsg(six.fd, &message, 0), EINVAL, "too short");
    endpoint_close(&six);
}

static void port_zero_is_refused(void **state)
{
    struct sockaddr_in nowhere = *(struct sockaddr_in *)&server.name;

    (void)state;
    nowhere.sin_port = 0;
    message.msg_name = &nowhere;
    refused(EINVAL, "port 0");
}

static void an_empty_message_is_refused(void **state)
{
    (void)state;
    slice.iov_len = 0;
    refused(EINVAL, "empty");
    message.msg_iovlen = 0;
    refused(EINVAL, "empty");
}

static void a_message_of_1000001_bytes_is_refused(void **state)
{
    (void)state;
    slice.iov_len = 1000001;
    refused(EINVAL, "longer than 1000000");
}

static void parts_that_add_up_to_too_much_are_refused(void **state)
{
    struct iovec parts[2] = {{.iov_base = bytes, .iov_len = 600000},
                             {.iov_base = bytes, .iov_len = SIZE_MAX - 599999}};

    (void)state;
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    refused(EINVAL, "longer than 1000000");
    parts[1].iov_len = 400001;
    refused(EINVAL, "longer than 1000000");
}

static void null_parts_are_refused(void **state)
{
    (void)state;
    slice.iov_base = NULL;
    refused(EFAULT, "part 0 of msg_iov");
    message.msg_iov = NULL;
    refused(EFAULT, "msg_iov is a null pointer");
}

static void more_than_1024_parts_are_refused(void **state)
{
    (void)state;
    message.msg_iovlen = 1025;
    refused(EMSGSIZE, "more than 1024 parts");
}

static void a_response_with_a_cookie_is_refused(void **state)
{
    (void)state;
    args.id = 5;
    refused(EINVAL, "completion_cookie 0");
}

static void an_answer_to_an_unknown_request_is_success_and_sends_nothing(void **state)
{
    (void)state;
    args = (struct homa_sendmsg_args){.id = 12345};
    assert_int_equal(msv_sendmsg(client.fd, &message, 0), 0);
    assert_int_equal(endpoint_rpcs(&client), 0);
}

static void a_request_that_nobody_has_received_cannot_be_answered(void **state)
{
    uint64_t id = endpoint_request(&client, &server, bytes, 100, 0);
    struct incoming request;

    (void)state;
    assert_true(test_poll(server.fd, POLLIN, 5000) & POLLIN);
    args = (struct homa_sendmsg_args){.id = id | 1};
    message.msg_name = &client.name;
    assert_failed(server.fd, msv_sendmsg(server.fd, &message, 0), EINVAL, "not been received");
    endpoint_receive(&server, 0, &request);
    assert_int_equal(request.args.id, id | 1);
}

static void a_request_cannot_be_answered_twice(void **state)
{
    struct incoming request;

    (void)state;
    (void)endpoint_request(&client, &server, bytes, 100, 0);
    endpoint_receive(&server, 0, &request);
    endpoint_reply(&server, &request, bytes, 100);
    args = (struct homa_sendmsg_args){.id = request.args.id};
    message.msg_name = &request.peer;
    assert_failed(server.fd, msv_sendmsg(server.fd, &message, 0), EINVAL, "answered already");
}

static void nothing_is_sent_after_shutdown(void **state)
{
    (void)state;
    assert_int_equal(msv_shutdown(client.fd, SHUT_RDWR), 0);
    assert_failed(client.fd, msv_sendmsg(client.fd, &message, 0), ESHUTDOWN, "shut down");
}

static void the_control_length_may_be_the_args_size(void **state)
{
    struct incoming request;

    (void)state;
    message.msg_controllen = sizeof(args);
    assert_int_equal(msv_sendmsg(client.fd, &message, 0), 0);
    endpoint_receive(&server, 0, &request);
}

static void a_message_is_gathered_from_its_parts(void **state)
{
    struct iovec parts[4] = {{.iov_base = bytes, .iov_len = 1},
                             {.iov_base = NULL, .iov_len = 0},
                             {.iov_base = bytes + 1, .iov_len = 99999},
                             {.iov_base = bytes + 100000, .iov_len = 50000}};
    struct incoming request;

    (void)state;
    pattern_fill(bytes, 150000, 3);
    message.msg_iov = parts;
    message.msg_iovlen = 4;
    assert_int_equal(msv_sendmsg(client.fd, &message, 0), 0);
    endpoint_receive(&server, 0, &request);
    endpoint_check(&server, &request, 150000, 3);
}

static void the_caller_may_reuse_its_memory_at_once(void **state)
{
    struct incoming request;

    (void)state;
    pattern_fill(bytes, 1000000, 9);
    slice.iov_len = 1000000;
    assert_int_equal(msv_sendmsg(client.fd, &message, 0), 0);
    memset(bytes, 0, 1000000);
    endpoint_receive(&server, 0, &request);
    endpoint_check(&server, &request, 1000000, 9);
}

static void the_unspecified_address_is_this_host(void **state)
{
    struct sockaddr_in here = *(struct sockaddr_in *)&server.name;
    struct incoming request;
    struct incoming response;

    (void)state;
    here.sin_addr.s_addr = htonl(INADDR_ANY);
    message.msg_name = &here;
    assert_int_equal(msv_sendmsg(client.fd, &message, 0), 0);
    endpoint_receive(&server, 0, &request);
    endpoint_reply(&server, &request, bytes, 1);
    endpoint_receive(&client, 0, &response);
    assert_int_equal(response.args.completion_cookie, 7);
}

static void sendmmsg_sends_until_one_is_refused(void **state)
{
    struct homa_sendmsg_args many_args[3] = {{0}, {.reserved = 1}, {0}};
    struct mmsghdr many[3];
    struct incoming request;

    (void)state;
    for (int i = 0; i < 3; i++) {
        many[i] = (struct mmsghdr){.msg_hdr = message, .msg_len = 99};
        many[i].msg_hdr.msg_control = &many_args[i];
    }
    assert_int_equal(msv_sendmmsg(client.fd, many, 3, 0), 1);
    assert_int_equal(many[0].msg_len, 0);
    assert_int_equal(many[1].msg_len, 99);
    assert_true(many_args[0].id != 0);
    assert_int_equal(many_args[1].id, 0);
    endpoint_receive(&server, 0, &request);
    assert_int_equal(endpoint_try_receive(&server, 0, MSG_DONTWAIT, &request), -1);
    assert_failed(client.fd, msv_sendmmsg(client.fd, many + 1, 2, 0), EINVAL, "reserved");
    assert_failed(client.fd, msv_sendmmsg(client.fd, NULL, 1, 0), EFAULT, "null pointer");
    assert_int_equal(msv_sendmmsg(client.fd, many, 0, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_null_message_is_refused),
        TEST(null_args_are_refused),
        TEST(a_control_length_that_is_neither_zero_nor_the_args_size_is_refused),
        TEST(unknown_flag_bits_are_refused),
        TEST(a_reserved_field_that_is_not_zero_is_refused),
        TEST(a_missing_name_is_refused),
        TEST(a_short_name_is_refused),
        TEST(a_name_of_another_family_is_refused),
        TEST(an_ipv4_name_on_an_ipv6_socket_is_refused),
        TEST(a_short_ipv6_name_is_refused),
        TEST(port_zero_is_refused),
        TEST(an_empty_message_is_refused),
        TEST(a_message_of_1000001_bytes_is_refused),
        TEST(parts_that_add_up_to_too_much_are_refused),
        TEST(null_parts_are_refused),
        TEST(more_than_1024_parts_are_refused),
        TEST(a_response_with_a_cookie_is_refused),
        TEST(an_answer_to_an_unknown_request_is_success_and_sends_nothing),
        TEST(a_request_that_nobody_has_received_cannot_be_answered),
        TEST(a_request_cannot_be_answered_twice),
        TEST(nothing_is_sent_after_shutdown),
        TEST(the_control_length_may_be_the_args_size),
        TEST(a_message_is_gathered_from_its_parts),
        TEST(the_caller_may_reuse_its_memory_at_once),
        TEST(the_unspecified_address_is_this_host),
        TEST(sendmmsg_sends_until_one_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
