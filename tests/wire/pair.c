/*
 * Wire pairs and test packets for the tests of this directory; see pair.h.
 */
#include "pair.h"

#include "wire/chaos.h"
#include "wire/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#define LONG_WHILE_MS 20000

#define PATTERN_LENGTH 70000u
#define HEADER_LENGTH  56u
#define PORTION_BYTES  280000u

uint64_t clock_ns(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct base_ip ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    uint8_t bytes[4] = {a, b, c, d};

    return base_ip_from_v4(bytes);
}

struct base_ip ip6(const char *text)
{
    struct base_ip ip;

    assert_int_equal(inet_pton(AF_INET6, text, ip.bytes), 1);
    return ip;
}

struct wire *open_udp(int family, uint64_t seed)
{
    struct wire_udp_options options = {
        .family = family, .lowest_port = 0x8000, .gso_bytes = 65507, .seed = seed};
    struct wire *wire = NULL;

    assert_int_equal(wire_udp_open(&options, &wire), 0);
    return wire;
}

static struct wire *open_kind(const struct wire_kind *kind, uint64_t seed)
{
    const struct wire_chaos_options calm = {.seed = seed};
    struct wire *inner = open_udp(kind->family, seed);
    struct wire *wire = inner;

    if (kind->is_chaos)
        assert_int_equal(wire_chaos_open(&calm, inner, packet_front_length, &wire), 0);
    return wire;
}

void pair_open(struct wire_pair *pair, const struct wire_kind *kind)
{
    bool is_v6 = kind->family == AF_INET6 && !kind->is_mapped;
    struct base_ip loopback = is_v6 ? ip6("::1") : ip4(127, 0, 0, 1);

    *pair = (struct wire_pair){.a = open_kind(kind, clock_ns()), .b = open_kind(kind, clock_ns())};
    pair->to_a = (struct base_address){.remote = loopback, .port = wire_port(pair->a)};
    pair->to_b = (struct base_address){.remote = loopback, .port = wire_port(pair->b)};
}

void pair_close(struct wire_pair *pair)
{
    wire_close(pair->a);
    wire_close(pair->b);
}

/* The byte at offset `at` of every payload. Offset and not serial, so that one pattern serves all.
 */
static uint8_t pattern_at(size_t at)
{
    return (uint8_t)(at * 131 + (at >> 8));
}

static const uint8_t *pattern(void)
{
    static uint8_t bytes[PATTERN_LENGTH];

    if (bytes[1] == 0) {
        for (size_t i = 0; i < PATTERN_LENGTH; i++)
            bytes[i] = pattern_at(i);
    }
    return bytes;
}

static void write_u32(uint8_t *bytes, uint32_t value)
{
    value = htonl(value);
    memcpy(bytes, &value, sizeof(value));
}

static uint32_t read_u32(const uint8_t *bytes)
{
    uint32_t value = 0;

    memcpy(&value, bytes, sizeof(value));
    return ntohl(value);
}

struct base_packet make_packet(const struct base_address *to, uint32_t serial, uint32_t length)
{
    uint32_t header_length = length < HEADER_LENGTH ? length : HEADER_LENGTH;
    struct base_packet packet = {.to = *to, .header_length = (uint8_t)header_length};

    assert_in_range(length, PACKET_LENGTH_MIN, PATTERN_LENGTH);
    memcpy(packet.header, pattern(), header_length);
    write_u32(packet.header, length);
    write_u32(packet.header + 4, serial);
    packet.payload_length = length - header_length;
    if (packet.payload_length > 0)
        packet.payload = pattern() + header_length;
    return packet;
}

size_t packet_front_length(const uint8_t *bytes, size_t length)
{
    uint32_t front = 0;

    if (length >= 4)
        front = read_u32(bytes);
    return front >= PACKET_LENGTH_MIN && front < length ? front : length;
}

void check_packet(const uint8_t *bytes, size_t bytes_length, uint32_t serial, uint32_t length)
{
    assert_int_equal(bytes_length, length);
    assert_int_equal(read_u32(bytes), length);
    assert_int_equal(read_u32(bytes + 4), serial);
    assert_memory_equal(bytes + 8, pattern() + 8, length - 8);
}

static void wait_for(struct wire *wire, short events)
{
    struct pollfd waiting = {.fd = wire_descriptor(wire), .events = events};
    int result = 0;

    do {
        result = poll(&waiting, 1, LONG_WHILE_MS);
    } while (result < 0 && errno == EINTR);
    assert_int_equal(result, 1);
}

void wait_readable(struct wire *wire)
{
    wait_for(wire, POLLIN);
}

void send_all(struct wire *wire, const struct base_packet *packets, size_t count)
{
    size_t sent = 0;

    while (sent < count) {
        sent += (size_t)wire_send(wire, clock_ns(), packets + sent, count - sent);
        if (sent < count)
            wait_for(wire, POLLOUT);
    }
}

void expect_packets(struct wire *wire, const struct base_packet *sent, size_t count,
                    struct base_arrival *last)
{
    struct base_arrival arrivals[WIRE_BATCH];
    size_t seen = 0;

    while (seen < count) {
        /* No more than are wanted; the rest is for the next call. */
        size_t max = count - seen < WIRE_BATCH ? count - seen : WIRE_BATCH;
        int arrived = wire_receive(wire, clock_ns(), arrivals, max);

        if (arrived == 0)
            wait_readable(wire);
        for (int i = 0; i < arrived; i++) {
            const uint8_t *bytes = arrivals[i].bytes;
            size_t left = arrivals[i].length;

            while (left > 0) {
                size_t front = packet_front_length(bytes, left);

                assert_true(seen < count);
                check_packet(bytes, front, read_u32(sent[seen].header + 4),
                             (uint32_t)base_packet_length(&sent[seen]));
                assert_int_equal(arrivals[i].priority, sent[seen].priority);
                seen++;
                bytes += front;
                left -= front;
            }
            if (last != NULL)
                *last = arrivals[i];
        }
    }
}

void exchange(struct wire *from, struct wire *to, const struct base_packet *packets, size_t count)
{
    size_t done = 0;

    while (done < count) {
        size_t portion = 0;
        size_t charge = 0;

        /* What the kernel may charge for a packet, at most. */
        for (; done + portion < count && charge < PORTION_BYTES; portion++)
            charge += 2 * base_packet_length(&packets[done + portion]) + 1024;
        send_all(from, packets + done, portion);
        expect_packets(to, packets + done, portion, NULL);
        done += portion;
    }
}

struct base_network_error expect_error(struct wire *wire)
{
    struct base_network_error error = {0};
    struct base_arrival arrivals[WIRE_BATCH];

    while (wire_errors(wire, &error, 1) == 0) {
        wait_readable(wire);
        (void)wire_receive(wire, clock_ns(), arrivals, WIRE_BATCH);
    }
    return error;
}
