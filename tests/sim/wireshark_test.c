/*
 * What Wireshark makes of our pcapng files: read by its own command-line reader, tshark. Skipped
 * where that is not installed; pcapng_test.c checks the bytes without it.
 */
#include "homa/packet.h"
#include "sim/pcapng.h"
#include "small_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SKIPPED 77

static char path[] = "/tmp/missive-pcapng-XXXXXX";

static const uint8_t addresses[2][4] = {{10, 0, 0, 1}, {10, 0, 0, 2}};

static int write_file(void **state)
{
    int descriptor = mkstemp(path);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
    struct small_world small;
    struct sim_pcapng *pcapng = NULL;
    struct sim_packet *packet = NULL;

    (void)state;
    if (file == NULL)
        return -1;
    small_open(&small, 2);
    pcapng = sim_pcapng_open(file, 2, addresses);
    packet = small_data(&small, 0, 1, 101);
    sim_pcapng_packet(pcapng, 1234567 * SIM_NS, packet, false, NULL);
    sim_pcapng_packet(pcapng, 1234568 * SIM_NS, packet, true, "late: 1.500 us");
    sim_packet_free(sim_world_network(small.world), packet);
    packet = small_control(&small, 1, 0, HOMA_ACK);
    sim_pcapng_packet(pcapng, SIM_S, packet, false, "lost: one");
    sim_packet_free(sim_world_network(small.world), packet);
    assert_int_equal(sim_pcapng_close(pcapng), 0);
    small_close(&small);
    return fclose(file);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* Runs tshark on the file and checks that what it prints is `expected`. */
static void expect(const char *arguments, const char *expected)
{
    char command[512];
    char output[4096];
    size_t length = 0;
    FILE *pipe = NULL;

    (void)snprintf(command, sizeof(command), "tshark -r %s %s 2>&1 | grep -v '^Running as'", path,
                   arguments);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    length = fread(output, 1, sizeof(output) - 1, pipe);
    output[length] = '\0';
    (void)pclose(pipe);
    assert_string_equal(output, expected);
}

static void packets_are_udp_datagrams_with_right_checksums(void **state)
{
    (void)state;
    expect("-o ip.check_checksum:TRUE -o udp.check_checksum:TRUE -T fields "
           "-e ip.src -e udp.srcport -e ip.dst -e udp.dstport -e udp.length "
           "-e ip.checksum.status -e udp.checksum.status -e ip.dsfield",
           "10.0.0.1\t2000\t10.0.0.2\t1000\t165\t1\t1\t0xa0\n"
           "10.0.0.1\t2000\t10.0.0.2\t1000\t165\t1\t1\t0xa0\n"
           "10.0.0.2\t2000\t10.0.0.1\t1000\t88\t1\t1\t0xa0\n");
}

static void times_interfaces_and_comments_are_understood(void **state)
{
    (void)state;
    expect("-T fields -e frame.time_relative -e frame.interface_name -e frame.comment",
           "0.000000000\thost0\t\n"
           "0.000000001\thost1\tlate: 1.500 us\n"
           "0.998765433\thost1\tlost: one\n");
}

static void names_are_those_of_the_hosts(void **state)
{
    (void)state;
    expect("-N n -T fields -e ip.src_host -e ip.dst_host", "host0\thost1\n"
                                                           "host0\thost1\n"
                                                           "host1\thost0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_udp_datagrams_with_right_checksums),
        cmocka_unit_test(times_interfaces_and_comments_are_understood),
        cmocka_unit_test(names_are_those_of_the_hosts),
    };

    if (system("command -v tshark >/dev/null") != 0) {
        (void)fprintf(stderr, "skipped: tshark is not installed\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, write_file, remove_file);
}
