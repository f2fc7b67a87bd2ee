/*
 * Limits reached: ten thousand RPCs at a time, a region that is full, sockets by the hundred.
 */
#include "endpoint.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct endpoint client;
static struct endpoint server;
static uint8_t bytes[HOMA_MAX_MESSAGE_LENGTH];

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

static uint64_t available(const struct endpoint *endpoint)
{
    struct homa_info info = {0};

    assert_int_equal(msv_ioctl(endpoint->fd, HOMAIOCINFO, &info), 0);
    return info.bpool_avail_bytes;
}

static void ten_thousand_rpcs_are_outstanding_at_a_time(void **state)
{
    enum {
        COUNT = 10000
    };
    static struct incoming requests[COUNT];
    static bool has_come[COUNT];
    struct incoming response;

    (void)state;
    endpoint_knob(&client,
                  "timeout_ticks=30000"); /* a sanitizer on a busy machine takes its time */
    for (uint64_t i = 0; i < COUNT; i++)
        (void)endpoint_request(&client, &server, &i, sizeof(i), i);
    assert_int_equal(endpoint_rpcs(&client), COUNT);
    for (int i = 0; i < COUNT; i++) {
        endpoint_receive(&server, 0, &requests[i]);
        assert_int_equal(requests[i].length, sizeof(uint64_t));
    }
    assert_int_equal(endpoint_rpcs(&server), COUNT);
    /* The last come first served. */
    for (int i = COUNT - 1; i >= 0; i--) {
        uint64_t number = 0;

        endpoint_read(&server, &requests[i], &number);
        endpoint_reply(&server, &requests[i], &number, sizeof(number));
    }
    for (int i = 0; i < COUNT; i++) {
        uint64_t number = 0;

        endpoint_receive(&client, 0, &response);
        endpoint_read(&client, &response, &number);
        assert_int_equal(number, response.args.completion_cookie);
        assert_true(number < COUNT && !has_come[number]);
        has_come[number] = true;
        endpoint_give_back(&client, &response);
    }
    assert_int_equal(endpoint_rpcs(&client), 0);
}

/* The smallest region there can be, filled by messages that nobody gives back; one more must wait,
 * and must arrive when there is room. */
static void a_message_waits_while_the_region_is_full_and_then_arrives(void **state)
{
    size_t region =
        (size_t)sysconf(_SC_NPROCESSORS_ONLN) * HOMA_BPAGE_SIZE + 2000000 + HOMA_BPAGE_SIZE;
    struct endpoint small;
    struct incoming held[8];
    struct incoming late;
    unsigned count = 0;

    (void)state;
    endpoint_open_with(&small, AF_INET, true, region / 4096 * 4096);
    pattern_fill(bytes, 400000, 1);
    while (available(&small) >= 7u * HOMA_BPAGE_SIZE) {
        (void)endpoint_request(&client, &small, bytes, 400000, count);
        endpoint_receive(&small, 0, &held[count]);
        endpoint_check(&small, &held[count], 400000, 1);
        count++;
    }
    pattern_fill(bytes, 500000, 2);
    (void)endpoint_request(&client, &small, bytes, 500000, 99);
    assert_int_equal(test_poll(small.fd, POLLIN, 50), 0);
    /* It is not asked for all the time, and it does not time out. */
    for (unsigned i = 0; i < count; i++)
        endpoint_give_back(&small, &held[i]);
    assert_int_equal(test_poll(small.fd, POLLIN, 20000), POLLIN);
    endpoint_receive(&small, 0, &late);
    endpoint_check(&small, &late, 500000, 2);
    endpoint_close(&small);
}

/* Far more than fits, from many requests at once, with the server giving back as it goes. */
static void more_than_the_region_holds_gets_through(void **state)
{
    enum {
        COUNT = 40
    };
    size_t region = (size_t)sysconf(_SC_NPROCESSORS_ONLN) * HOMA_BPAGE_SIZE + 2000000;
    struct endpoint small;
    struct incoming request;

    (void)state;
    endpoint_open_with(&small, AF_INET, true, (region + 4095) / 4096 * 4096);
    for (uint32_t i = 0; i < COUNT; i++) {
        pattern_fill(bytes, 300000 + i, i);
        (void)endpoint_request(&client, &small, bytes, 300000 + i, i);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        endpoint_receive(&small, 0, &request);
        endpoint_check(&small, &request, (size_t)request.length, (uint32_t)request.length - 300000);
        endpoint_reply(&small, &request, "x", 1);
        endpoint_give_back(&small, &request);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        endpoint_receive(&client, 0, &request);
        endpoint_give_back(&client, &request);
    }
    endpoint_close(&small);
}

static void bulk_in_both_directions_gets_through(void **state)
{
    enum {
        COUNT = 20
    };
    struct incoming message;

    (void)state;
    pattern_fill(bytes, sizeof(bytes), 5);
    for (unsigned i = 0; i < COUNT; i++)
        (void)endpoint_request(&client, &server, bytes, sizeof(bytes), i);
    for (unsigned i = 0; i < COUNT; i++) {
        endpoint_receive(&server, 0, &message);
        endpoint_check(&server, &message, sizeof(bytes), 5);
        endpoint_reply(&server, &message, bytes, sizeof(bytes));
        endpoint_give_back(&server, &message);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        endpoint_receive(&client, 0, &message);
        endpoint_check(&client, &message, sizeof(bytes), 5);
        endpoint_give_back(&client, &message);
    }
}

static void a_hundred_sockets_work_side_by_side(void **state)
{
    enum {
        COUNT = 100
    };
    static struct endpoint many[COUNT];
    struct incoming message;

    (void)state;
    for (int i = 0; i < COUNT; i++)
        endpoint_open_with(&many[i], i % 2 ? AF_INET : AF_INET6, true, 3u << 20);
    for (int i = 0; i < COUNT; i++)
        (void)endpoint_request(&many[i], &many[(i + 2) % COUNT], bytes, 50000, (uint64_t)i);
    for (int i = 0; i < COUNT; i++) {
        endpoint_receive(&many[i], 0, &message);
        if (message.args.id % 2 == 0) {
            endpoint_give_back(&many[i], &message); /* its response came first */
            endpoint_receive(&many[i], 0, &message);
        }
        endpoint_reply(&many[i], &message, bytes, 60000);
        endpoint_give_back(&many[i], &message);
    }
    for (int i = 0; i < COUNT; i++) {
        while (endpoint_rpcs(&many[i]) > 1)
            if (endpoint_try_receive(&many[i], 0, MSG_DONTWAIT, &message) > 0)
                assert_int_equal(message.length, 60000);
    }
    for (int i = 0; i < COUNT; i++)
        endpoint_close(&many[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ten_thousand_rpcs_are_outstanding_at_a_time),
        TEST(a_message_waits_while_the_region_is_full_and_then_arrives),
        TEST(more_than_the_region_holds_gets_through),
        TEST(bulk_in_both_directions_gets_through),
        TEST(a_hundred_sockets_work_side_by_side),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
