/*
 * recvmsg's arguments and results: what is refused, what happens to bpages, what is told about
 * messages and about failures.
 */
#include "endpoint.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static struct endpoint client;
static struct endpoint server;
static struct homa_recvmsg_args args;
static struct msghdr message;
static uint8_t bytes[1000000];

static int prepare(void **state)
{
    (void)state;
    endpoint_open(&client, AF_INET, false);
    endpoint_open(&server, AF_INET, true);
    args = (struct homa_recvmsg_args){0};
    message = (struct msghdr){.msg_control = &args, .msg_controllen = sizeof(args)};
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
    assert_failed(server.fd, msv_recvmsg(server.fd, &message, MSG_DONTWAIT), error, sentence);
}

static uint64_t available(const struct endpoint *endpoint)
{
    struct homa_info info = {0};

    assert_int_equal(msv_ioctl(endpoint->fd, HOMAIOCINFO, &info), 0);
    return info.bpool_avail_bytes;
}

/* ---- refusals ---- */

static void a_null_message_is_refused(void **state)
{
    (void)state;
    assert_failed(server.fd, msv_recvmsg(server.fd, NULL, 0), EFAULT, "msghdr is a null pointer");
}

static void null_args_are_refused(void **state)
{
    (void)state;
    message.msg_control = NULL;
    refused(EFAULT, "msg_control");
}

static void a_wrong_control_length_is_refused(void **state)
{
    (void)state;
    message.msg_controllen = sizeof(args) - 1;
    refused(EINVAL, "msg_controllen is 87 instead of 88");
    message.msg_controllen = sizeof(args) + 1;
    refused(EINVAL, "msg_controllen is 89 instead of 88");
    message.msg_controllen = 0;
    refused(EINVAL, "msg_controllen is 0 instead of 88");
}

static void more_than_16_bpages_are_refused(void **state)
{
    (void)state;
    args.num_bpages = 17;
    refused(EINVAL, "num_bpages is 17");
    assert_int_equal(args.num_bpages, 17);
}

static void a_reserved_field_that_is_not_zero_is_refused(void **state)
{
    (void)state;
    args.reserved = 1;
    refused(EINVAL, "reserved is not 0");
}

static void a_socket_without_a_region_cannot_receive(void **state)
{
    int fd = msv_socket(AF_INET, SOCK_DGRAM, IPPROTO_HOMA);

    (void)state;
    assert_true(fd >= 0);
    assert_failed(fd, msv_recvmsg(fd, &message, 0), EINVAL, "no receive region");
    assert_int_equal(msv_close(fd), 0);
}

static void an_unknown_private_rpc_is_refused(void **state)
{
    (void)state;
    args.id = 4242;
    refused(EINVAL, "no private RPC");
    assert_int_equal(args.id, 0);
}

static void an_rpc_that_is_not_private_cannot_be_received_by_its_id(void **state)
{
    (void)state;
    args.id = endpoint_request(&client, &server, bytes, 100, 0);
    assert_failed(client.fd, msv_recvmsg(client.fd, &message, 0), EINVAL, "no private RPC");
    assert_int_equal(args.id, 0);
}

static void a_bpage_that_was_never_handed_out_is_refused(void **state)
{
    (void)state;
    args.num_bpages = 1;
    args.bpage_offsets[0] = HOMA_BPAGE_SIZE;
    refused(EINVAL, "bpage 0 (offset 65536)");
    args.bpage_offsets[0] = 0xffffffff;
    refused(EINVAL, "bpage 0 (offset 4294967295)");
    args.bpage_offsets[0] = 1;
    refused(EINVAL, "bpage 0 (offset 1)");
}

static void when_one_bpage_is_wrong_none_is_lost(void **state)
{
    struct incoming request;
    uint64_t before = available(&server);
    uint32_t good = 0;

    (void)state;
    (void)endpoint_request(&client, &server, bytes, 200000, 0);
    endpoint_receive(&server, 0, &request);
    assert_true(available(&server) < before);
    args = request.args;
    args.id = 0;
    good = args.bpage_offsets[2];
    args.bpage_offsets[2] = 7;
    refused(EINVAL, "bpage 2 (offset 7)");
    assert_int_equal(args.num_bpages, 4);
    assert_int_equal(args.id, 0);
    args.bpage_offsets[2] = good;
    assert_int_equal(msv_recvmsg(server.fd, &message, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(args.num_bpages, 0);
    assert_int_equal(available(&server), before);
}

static void a_bpage_cannot_be_given_back_twice(void **state)
{
    struct incoming request;

    (void)state;
    (void)endpoint_request(&client, &server, bytes, 100, 0);
    endpoint_receive(&server, 0, &request);
    endpoint_give_back(&server, &request);
    args = request.args;
    args.id = 0;
    refused(EINVAL, "bpage 0");
    args.num_bpages = 2;
    args.bpage_offsets[1] = args.bpage_offsets[0];
    refused(EINVAL, "bpage");
}

static void nothing_is_received_after_shutdown(void **state)
{
    (void)state;
    assert_int_equal(msv_shutdown(server.fd, SHUT_RD), 0);
    assert_failed(server.fd, msv_recvmsg(server.fd, &message, 0), ESHUTDOWN, "shut down");
    assert_int_equal(args.id, 0);
}

/* ---- nothing there ---- */

static void without_a_message_a_call_that_may_not_wait_gives_eagain(void **state)
{
    (void)state;
    args.bpage_offsets[0] = 5;
    assert_int_equal(msv_recvmsg(server.fd, &message, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    assert_string_equal(msv_errmsg(server.fd), "recvmsg: nothing to receive now");
    assert_int_equal(args.id, 0);
    assert_int_equal(args.num_bpages, 0);
}

static void o_nonblock_works_as_msg_dontwait(void **state)
{
    (void)state;
    assert_int_equal(msv_fcntl(server.fd, F_SETFL, O_NONBLOCK), 0);
    assert_true(msv_fcntl(server.fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(msv_recvmsg(server.fd, &message, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void eagain_leaves_the_sentence_of_the_last_real_failure(void **state)
{
    (void)state;
    args.reserved = 1;
    refused(EINVAL, "reserved");
    args.reserved = 0;
    assert_int_equal(msv_recvmsg(server.fd, &message, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    assert_sentence(server.fd, "reserved");
}

static void a_private_response_that_is_not_there_yet_gives_eagain_and_no_id(void **state)
{
    uint64_t id = endpoint_request_private(&client, &server, bytes, 100);
    struct incoming response;

    (void)state;
    assert_int_equal(endpoint_try_receive(&client, id, MSG_DONTWAIT, &response), -1);
    assert_int_equal(response.error, EAGAIN);
    assert_int_equal(response.args.id, 0);
}

static void a_receive_timeout_gives_eagain(void **state)
{
    struct timeval timeout = {.tv_usec = 20000};
    uint64_t before = test_now();

    (void)state;
    assert_int_equal(msv_setsockopt(server.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)),
                     0);
    assert_int_equal(msv_recvmsg(server.fd, &message, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_true(test_now() - before >= 20000000);
}

/* ---- messages ---- */

static void a_message_names_its_sender(void **state)
{
    struct incoming request;

    (void)state;
    (void)endpoint_request(&client, &server, bytes, 100, 0);
    endpoint_receive(&server, 0, &request);
    assert_int_equal(request.peer_length, sizeof(struct sockaddr_in));
    assert_memory_equal(&request.peer, &client.name, sizeof(struct sockaddr_in));
}

static void a_name_buffer_that_is_too_short_gets_what_fits_and_the_true_length(void **state)
{
    struct sockaddr_in name;

    (void)state;
    (void)endpoint_request(&client, &server, bytes, 100, 0);
    memset(&name, 0xee, sizeof(name));
    message.msg_name = &name;
    message.msg_namelen = 4;
    message.msg_flags = -1;
    assert_int_equal(msv_recvmsg(server.fd, &message, 0), 100);
    assert_int_equal(message.msg_namelen, sizeof(struct sockaddr_in));
    assert_memory_equal(&name, &client.name, 4);
    assert_int_equal(name.sin_addr.s_addr, 0xeeeeeeee);
    assert_int_equal(message.msg_flags, 0);
    assert_int_equal(message.msg_controllen, sizeof(args));
}

static void a_message_without_interest_in_its_sender_is_received(void **state)
{
    (void)state;
    (void)endpoint_request(&client, &server, bytes, 100, 0);
    assert_int_equal(msv_recvmsg(server.fd, &message, 0), 100);
    assert_int_equal(args.num_bpages, 1);
}

static void whole_bpages_come_first_and_then_one_fragment(void **state)
{
    struct incoming request;

    (void)state;
    (void)endpoint_request(&client, &server, bytes, 2 * HOMA_BPAGE_SIZE + 100, 0);
    endpoint_receive(&server, 0, &request);
    assert_int_equal(request.args.num_bpages, 3);
    assert_int_equal(request.args.bpage_offsets[0] % HOMA_BPAGE_SIZE, 0);
    assert_int_equal(request.args.bpage_offsets[1] % HOMA_BPAGE_SIZE, 0);
}

static void a_private_response_comes_only_to_who_asks_for_it(void **state)
{
    uint64_t id = endpoint_request_private(&client, &server, bytes, 100);
    struct incoming request;
    struct incoming response;

    (void)state;
    endpoint_receive(&server, 0, &request);
    pattern_fill(bytes, 300, 4);
    endpoint_reply(&server, &request, bytes, 300);
    /* It has arrived as soon as a later shared one has. */
    (void)endpoint_request(&client, &server, bytes, 1, 55);
    endpoint_receive(&server, 0, &request);
    endpoint_reply(&server, &request, bytes, 1);
    endpoint_receive(&client, 0, &response);
    assert_int_equal(response.args.completion_cookie, 55);
    assert_int_equal(endpoint_try_receive(&client, 0, MSG_DONTWAIT, &response), -1);
    assert_int_equal(response.error, EAGAIN);
    endpoint_receive(&client, id, &response);
    assert_int_equal(response.args.id, id);
    endpoint_check(&client, &response, 300, 4);
    /* And it is over then. */
    assert_int_equal(endpoint_try_receive(&client, id, MSG_DONTWAIT, &response), -1);
    assert_int_equal(response.error, EINVAL);
}

/* ---- failures ---- */

static void an_aborted_rpc_is_received_as_its_failure(void **state)
{
    struct homa_abort_args end = {.error = ECONNABORTED};
    struct incoming failure;
    struct incoming request;

    (void)state;
    end.id = endpoint_request(&client, &server, bytes, 100, 77);
    endpoint_receive(&server, 0, &request);
    assert_int_equal(msv_ioctl(client.fd, HOMAIOCABORT, &end), 0);
    assert_int_equal(endpoint_try_receive(&client, 0, 0, &failure), -1);
    assert_int_equal(failure.error, ECONNABORTED);
    assert_int_equal(failure.args.id, end.id);
    assert_int_equal(failure.args.completion_cookie, 77);
    assert_int_equal(failure.args.num_bpages, 0);
    assert_memory_equal(&failure.peer, &server.name, sizeof(struct sockaddr_in));
    assert_sentence(client.fd, "127.0.0.1");
    assert_int_equal(endpoint_rpcs(&client), 0);
}

static void recvmmsg_returns_what_has_come(void **state)
{
    struct homa_recvmsg_args many_args[4] = {{0}};
    struct mmsghdr many[4] = {{{0}, 0}};

    (void)state;
    for (int i = 0; i < 4; i++)
        many[i].msg_hdr =
            (struct msghdr){.msg_control = &many_args[i], .msg_controllen = sizeof(many_args[i])};
    for (size_t i = 1; i <= 3; i++)
        (void)endpoint_request(&client, &server, bytes, 100 * i, 0);
    assert_int_equal(msv_recvmmsg(server.fd, many, 4, MSG_WAITFORONE, NULL), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(many[i].msg_len, 100 * (i + 1));
        assert_int_equal(many_args[i].num_bpages, 1);
    }
    many_args[0].id = 0;
    assert_int_equal(msv_recvmmsg(server.fd, many, 1, MSG_DONTWAIT, NULL), -1);
    assert_int_equal(errno, EAGAIN);
}

static void recvmmsg_without_messages_or_with_nonsense_is_refused(void **state)
{
    struct timespec never = {.tv_nsec = -1};
    struct mmsghdr one = {.msg_hdr = message};

    (void)state;
    assert_failed(server.fd, msv_recvmmsg(server.fd, NULL, 1, 0, NULL), EFAULT, "null pointer");
    assert_failed(server.fd, msv_recvmmsg(server.fd, &one, 1, 0, &never), EINVAL, "timeout");
}

static void recvmmsg_keeps_a_failure_behind_messages_for_the_next_call(void **state)
{
    struct homa_recvmsg_args many_args[3] = {{0}};
    struct mmsghdr many[3] = {{{0}, 0}};
    struct homa_abort_args end = {.error = ECANCELED};
    struct incoming request;

    (void)state;
    for (int i = 0; i < 3; i++)
        many[i].msg_hdr =
            (struct msghdr){.msg_control = &many_args[i], .msg_controllen = sizeof(many_args[i])};
    (void)endpoint_request(&client, &server, bytes, 100, 1);
    endpoint_receive(&server, 0, &request);
    endpoint_reply(&server, &request, bytes, 50);
    assert_true(test_poll(client.fd, POLLIN, 5000) & POLLIN);
    end.id = endpoint_request(&client, &server, bytes, 100, 2);
    assert_int_equal(msv_ioctl(client.fd, HOMAIOCABORT, &end), 0);
    assert_int_equal(msv_recvmmsg(client.fd, many, 3, MSG_WAITFORONE, NULL), 1);
    assert_int_equal(many[0].msg_len, 50);
    assert_int_equal(many_args[1].id, 0);
    assert_true(test_poll(client.fd, POLLIN, 0) & POLLIN);
    assert_int_equal(msv_recvmmsg(client.fd, many + 1, 1, MSG_DONTWAIT, NULL), -1);
    assert_int_equal(errno, ECANCELED);
    assert_int_equal(many_args[1].id, end.id);
    assert_int_equal(many_args[1].completion_cookie, 2);
    assert_int_equal(test_poll(client.fd, POLLIN, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_null_message_is_refused),
        TEST(null_args_are_refused),
        TEST(a_wrong_control_length_is_refused),
        TEST(more_than_16_bpages_are_refused),
        TEST(a_reserved_field_that_is_not_zero_is_refused),
        TEST(a_socket_without_a_region_cannot_receive),
        TEST(an_unknown_private_rpc_is_refused),
        TEST(an_rpc_that_is_not_private_cannot_be_received_by_its_id),
        TEST(a_bpage_that_was_never_handed_out_is_refused),
        TEST(when_one_bpage_is_wrong_none_is_lost),
        TEST(a_bpage_cannot_be_given_back_twice),
        TEST(nothing_is_received_after_shutdown),
        TEST(without_a_message_a_call_that_may_not_wait_gives_eagain),
        TEST(o_nonblock_works_as_msg_dontwait),
        TEST(eagain_leaves_the_sentence_of_the_last_real_failure),
        TEST(a_private_response_that_is_not_there_yet_gives_eagain_and_no_id),
        TEST(a_receive_timeout_gives_eagain),
        TEST(a_message_names_its_sender),
        TEST(a_name_buffer_that_is_too_short_gets_what_fits_and_the_true_length),
        TEST(a_message_without_interest_in_its_sender_is_received),
        TEST(whole_bpages_come_first_and_then_one_fragment),
        TEST(a_private_response_comes_only_to_who_asks_for_it),
        TEST(an_aborted_rpc_is_received_as_its_failure),
        TEST(recvmmsg_returns_what_has_come),
        TEST(recvmmsg_without_messages_or_with_nonsense_is_refused),
        TEST(recvmmsg_keeps_a_failure_behind_messages_for_the_next_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
