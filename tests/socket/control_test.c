/*
 * ioctl: HOMAIOCINFO and HOMAIOCABORT under the numbers of every generation, and what is refused.
 */
#include "endpoint.h"
#include "socket/abi.h"

#include <poll.h>
#include <string.h>

static struct endpoint client;
static struct endpoint server;
static uint8_t bytes[200000];

static int prepare(void **state)
{
    (void)state;
    endpoint_open(&client, AF_INET, false);
    endpoint_open(&server, AF_INET, true);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    endpoint_close(&client);
    endpoint_close(&server);
    return 0;
}

static void unknown_requests_are_refused(void **state)
{
    (void)state;
    assert_failed(client.fd, msv_ioctl(client.fd, _IO('h', 2)), EINVAL, "unknown request 0x6802");
    assert_failed(client.fd, msv_ioctl(client.fd, _IOWR('h', 1, int), &client), EINVAL,
                  "unknown request");
}

static void null_arguments_are_refused(void **state)
{
    struct homa_info info = {.rpc_info = NULL, .rpc_info_length = 184};

    (void)state;
    assert_failed(client.fd, msv_ioctl(client.fd, HOMAIOCINFO, NULL), EFAULT, "HOMAIOCINFO");
    assert_failed(client.fd, msv_ioctl(client.fd, HOMAIOCINFO, &info), EFAULT, "rpc_info");
    assert_failed(client.fd, msv_ioctl(client.fd, HOMAIOCABORT, NULL), EFAULT, "HOMAIOCABORT");
    assert_failed(client.fd, msv_ioctl(client.fd, FIONBIO, NULL), EFAULT, "FIONBIO");
}

static void aborting_what_is_not_there_is_refused(void **state)
{
    struct homa_abort_args args = {.id = 1234};

    (void)state;
    assert_failed(client.fd, msv_ioctl(client.fd, HOMAIOCABORT, &args), EINVAL, "1234 is no");
}

static void aborting_with_reserved_fields_set_is_refused(void **state)
{
    struct homa_abort_args args[3] = {{._pad1 = 1}, {._pad2 = {1, 0}}, {._pad2 = {0, 1}}};

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_failed(client.fd, msv_ioctl(client.fd, HOMAIOCABORT, &args[i]), EINVAL, "reserved");
}

static void aborting_with_something_that_is_no_errno_is_refused(void **state)
{
    struct homa_abort_args args = {.error = 1u << 20};

    (void)state;
    assert_failed(client.fd, msv_ioctl(client.fd, HOMAIOCABORT, &args), EINVAL, "no errno");
}

static void a_servers_rpcs_cannot_be_aborted(void **state)
{
    struct homa_abort_args args = {0};
    struct incoming request;

    (void)state;
    (void)endpoint_request(&client, &server, bytes, 1, 0);
    endpoint_receive(&server, 0, &request);
    args.id = request.args.id;
    assert_failed(server.fd, msv_ioctl(server.fd, HOMAIOCABORT, &args), EINVAL, "no outstanding");
    args.id = 0;
    assert_int_equal(msv_ioctl(server.fd, HOMAIOCABORT, &args), 0);
    assert_int_equal(endpoint_rpcs(&server), 1);
}

static void after_shutdown_nothing_can_be_aborted(void **state)
{
    struct homa_abort_args args = {0};

    (void)state;
    assert_int_equal(msv_shutdown(client.fd, SHUT_RDWR), 0);
    assert_failed(client.fd, msv_ioctl(client.fd, HOMAIOCABORT, &args), ESHUTDOWN, "shut down");
}

static void an_abort_without_errno_is_silent(void **state)
{
    struct homa_abort_args args = {0};
    struct incoming nothing;

    (void)state;
    args.id = endpoint_request(&client, &server, bytes, sizeof(bytes), 0);
    assert_int_equal(msv_ioctl(client.fd, HOMAIOCABORT, &args), 0);
    assert_int_equal(endpoint_rpcs(&client), 0);
    assert_int_equal(endpoint_try_receive(&client, 0, MSG_DONTWAIT, &nothing), -1);
    assert_int_equal(nothing.error, EAGAIN);
}

static void an_abort_of_all_ends_clients_only_and_under_every_number(void **state)
{
    struct homa_abort_args args = {.error = EPIPE};
    struct incoming failure;
    uint64_t cookies = 0;

    (void)state;
    for (uint64_t i = 0; i < 3; i++)
        (void)endpoint_request(&client, &server, bytes, 10, UINT64_C(1) << i);
    assert_int_equal(msv_ioctl(client.fd, ABI_ABORT_LEGACY, &args), 0);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(endpoint_try_receive(&client, 0, MSG_DONTWAIT, &failure), -1);
        assert_int_equal(failure.error, EPIPE);
        cookies |= failure.args.completion_cookie;
    }
    assert_int_equal(cookies, 7);
    assert_int_equal(endpoint_rpcs(&client), 0);
}

static void a_response_that_nobody_took_is_freed_by_an_abort(void **state)
{
    struct homa_abort_args args = {0};
    struct homa_info before = {0};
    struct homa_info after = {0};
    struct incoming request;

    (void)state;
    assert_int_equal(msv_ioctl(client.fd, HOMAIOCINFO, &before), 0);
    args.id = endpoint_request(&client, &server, bytes, 10, 0);
    endpoint_receive(&server, 0, &request);
    endpoint_reply(&server, &request, bytes, sizeof(bytes));
    assert_true(test_poll(client.fd, POLLIN, 5000) & POLLIN);
    assert_int_equal(msv_ioctl(client.fd, HOMAIOCINFO, &after), 0);
    assert_true(after.bpool_avail_bytes < before.bpool_avail_bytes);
    assert_int_equal(msv_ioctl(client.fd, HOMAIOCABORT, &args), 0);
    assert_int_equal(msv_ioctl(client.fd, HOMAIOCINFO, &after), 0);
    assert_int_equal(after.bpool_avail_bytes, before.bpool_avail_bytes);
    assert_int_equal(test_poll(client.fd, POLLIN, 0), 0);
}

static void info_tells_about_the_socket_and_its_rpcs(void **state)
{
    struct homa_rpc_info rpcs[2];
    struct homa_info info = {.rpc_info = rpcs, .rpc_info_length = sizeof(rpcs)};
    struct incoming request;
    uint64_t id = endpoint_request_private(&client, &server, bytes, 50000);

    (void)state;
    memset(rpcs, 0xee, sizeof(rpcs));
    endpoint_receive(&server, 0, &request);
    assert_int_equal(msv_ioctl(client.fd, HOMAIOCINFO, &info), 0);
    assert_int_equal(info.num_rpcs, 1);
    assert_int_equal(info.bpool_avail_bytes, ENDPOINT_REGION);
    assert_int_equal(info.port, ntohs(((struct sockaddr_in *)&client.name)->sin_port));
    assert_int_equal(rpcs[0].id, id);
    assert_memory_equal(&rpcs[0].peer, &server.name, sizeof(struct sockaddr_in));
    assert_int_equal(rpcs[0].tx_length, 50000);
    assert_int_equal(rpcs[0].tx_sent, 50000);
    assert_int_equal(rpcs[0].tx_granted, 50000);
    assert_int_equal(rpcs[0].rx_length, -1);
    assert_int_equal(rpcs[0].flags, HOMA_RPC_PRIVATE);
    assert_int_equal(rpcs[1].id, 0xeeeeeeeeeeeeeeee);

    assert_int_equal(msv_ioctl(server.fd, ABI_INFO_CURRENT, &info), 0);
    assert_int_equal(info.num_rpcs, 1);
    assert_int_equal(rpcs[0].id, id | 1);
    assert_int_equal(rpcs[0].tx_length, -1);
    assert_int_equal(rpcs[0].rx_length, 50000);
    assert_int_equal(rpcs[0].rx_remaining, 0);
    assert_string_equal(info.error_msg, "");
}

static void info_tells_which_messages_wait_to_be_received(void **state)
{
    struct homa_rpc_info rpc;
    struct homa_info info = {.rpc_info = &rpc, .rpc_info_length = sizeof(rpc)};
    struct incoming request;

    (void)state;
    (void)endpoint_request(&client, &server, bytes, 100, 0);
    assert_true(test_poll(server.fd, POLLIN, 20000) & POLLIN);
    assert_int_equal(msv_ioctl(server.fd, HOMAIOCINFO, &info), 0);
    assert_int_equal(rpc.flags, HOMA_RPC_RX_READY);
    endpoint_receive(&server, 0, &request);
    assert_int_equal(msv_ioctl(server.fd, HOMAIOCINFO, &info), 0);
    assert_int_equal(rpc.flags, 0);
}

static void info_counts_all_rpcs_and_tells_of_those_that_fit(void **state)
{
    struct homa_rpc_info rpcs[3];
    struct homa_info info = {.rpc_info = rpcs, .rpc_info_length = 2 * sizeof(rpcs[0]) + 100};

    (void)state;
    memset(rpcs, 0xee, sizeof(rpcs));
    for (uint64_t i = 0; i < 5; i++)
        (void)endpoint_request(&client, &server, bytes, 10, 7);
    assert_int_equal(msv_ioctl(client.fd, HOMAIOCINFO, &info), 0);
    assert_int_equal(info.num_rpcs, 5);
    assert_int_equal(rpcs[0].completion_cookie, 7);
    assert_int_equal(rpcs[1].completion_cookie, 7);
    assert_int_equal(rpcs[2].id, 0xeeeeeeeeeeeeeeee);
    info = (struct homa_info){0};
    assert_int_equal(msv_ioctl(client.fd, HOMAIOCINFO, &info), 0);
    assert_int_equal(info.num_rpcs, 5);
}

static void freezing_has_no_effect_and_fionbio_has(void **state)
{
    struct incoming nothing;
    int on = 1;

    (void)state;
    assert_int_equal(msv_ioctl(client.fd, ABI_FREEZE), 0);
    assert_int_equal(msv_ioctl(client.fd, FIONBIO, &on), 0);
    assert_int_equal(endpoint_try_receive(&client, 0, 0, &nothing), -1);
    assert_int_equal(nothing.error, EAGAIN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(unknown_requests_are_refused),
        TEST(null_arguments_are_refused),
        TEST(aborting_what_is_not_there_is_refused),
        TEST(aborting_with_reserved_fields_set_is_refused),
        TEST(aborting_with_something_that_is_no_errno_is_refused),
        TEST(a_servers_rpcs_cannot_be_aborted),
        TEST(after_shutdown_nothing_can_be_aborted),
        TEST(an_abort_without_errno_is_silent),
        TEST(an_abort_of_all_ends_clients_only_and_under_every_number),
        TEST(a_response_that_nobody_took_is_freed_by_an_abort),
        TEST(info_tells_about_the_socket_and_its_rpcs),
        TEST(info_tells_which_messages_wait_to_be_received),
        TEST(info_counts_all_rpcs_and_tells_of_those_that_fit),
        TEST(freezing_has_no_effect_and_fionbio_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
