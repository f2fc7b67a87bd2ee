/*
 * What waits below the socket: bytes and rate over a link of known rate, in namespaces of the
 * test's own. Skipped where these, or the token bucket, are not to be had.
 */
#include "netns.h"
#include "pair.h"
#include "wire/udp.h"

#define LINK_BYTES_PER_SECOND 10000000u /* 80 Mbit/s */

static void a_slow_link_shows_its_backlog_and_its_rate(void **state)
{
    enum {
        BATCH = 20,
        BATCHES = 60
    };
    struct netns_link link;
    struct base_packet packets[BATCH];
    struct base_backlog backlog;
    uint64_t most = 0;
    uint64_t rate = 0;

    (void)state;
    if (!netns_link_open(&link, 1500) ||
        !netns_try("tc qdisc add dev left root tbf rate %ubps burst 16kb limit 8mb",
                   LINK_BYTES_PER_SECOND))
        skip();
    netns_enter(link.right);

    struct wire *right = open_udp(AF_INET, 1);

    netns_enter(link.left);

    struct wire *left = open_udp(AF_INET, 1);
    struct base_address to = {.remote = ip4(10, 9, 0, 2), .port = wire_port(right)};

    /* Two batches are always on their way, so that the link never idles. */
    for (uint32_t i = 0; i < BATCH; i++)
        packets[i] = make_packet(&to, i, 1400);
    send_all(left, packets, BATCH);
    send_all(left, packets, BATCH);
    for (unsigned i = 0; i < BATCHES; i++) {
        send_all(left, packets, BATCH);
        expect_packets(right, packets, BATCH, NULL);
        wire_backlog(left, clock_ns(), &backlog);
        if (backlog.bytes > most)
            most = backlog.bytes;
        if (backlog.bytes_per_second != 0)
            rate = backlog.bytes_per_second;
    }
    expect_packets(right, packets, BATCH, NULL);
    expect_packets(right, packets, BATCH, NULL);

    assert_in_range(most, BATCH * 1400, 8u << 20);
    assert_in_range(rate, LINK_BYTES_PER_SECOND / 2, LINK_BYTES_PER_SECOND * 2);

    /* All has arrived, so nothing waits; and the rate is forgotten in time. */
    wire_backlog(left, clock_ns(), &backlog);
    assert_int_equal(backlog.bytes, 0);
    wire_backlog(left, clock_ns() + 2000000000u, &backlog);
    assert_int_equal(backlog.bytes_per_second, 0);
    wire_close(left);
    wire_close(right);
    netns_link_close(&link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_link_shows_its_backlog_and_its_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
