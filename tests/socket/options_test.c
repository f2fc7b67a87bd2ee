/*
 * Socket options: the receive region, the server switch, knobs, and SOL_SOCKET's.
 */
#include "endpoint.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define REGION_BYTES (8u << 20)

static int fd;
static uint8_t *memory;

static int prepare(void **state)
{
    (void)state;
    fd = msv_socket(AF_INET, SOCK_DGRAM, IPPROTO_HOMA);
    assert_true(fd >= 0);
    memory = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(memory != MAP_FAILED);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    assert_int_equal(msv_close(fd), 0);
    assert_int_equal(munmap(memory, REGION_BYTES), 0);
    return 0;
}

static int set_region(const void *start, size_t length)
{
    struct homa_rcvbuf_args args = {.start = (uintptr_t)start, .length = length};

    return msv_setsockopt(fd, IPPROTO_HOMA, SO_HOMA_RCVBUF, &args, sizeof(args));
}

static int get_int(int level, int name)
{
    int value = -1;
    socklen_t length = sizeof(value);

    assert_int_equal(msv_getsockopt(fd, level, name, &value, &length), 0);
    assert_int_equal(length, sizeof(value));
    return value;
}

/* ---- the region ---- */

static void a_region_off_page_boundaries_is_refused(void **state)
{
    (void)state;
    assert_failed(fd, set_region(memory + 1, REGION_BYTES - 4096), EINVAL, "page boundary");
}

static void a_region_that_is_too_small_is_refused(void **state)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    size_t least = (size_t)cpus * HOMA_BPAGE_SIZE + 2000000;

    (void)state;
    assert_failed(fd, set_region(memory, least - 1), EINVAL, "too few");
    assert_failed(fd, set_region(memory, 0), EINVAL, "too few");
    if (least <= REGION_BYTES)
        assert_int_equal(set_region(memory, least), 0);
}

static void a_region_above_4_gib_is_refused(void **state)
{
    (void)state;
    assert_failed(fd, set_region(memory, ((size_t)1 << 32) + 1), EINVAL, "4 GiB");
}

static void a_region_that_is_not_mapped_is_refused(void **state)
{
    (void)state;
    assert_int_equal(munmap(memory + (4 << 20), 4096), 0);
    assert_failed(fd, set_region(memory, REGION_BYTES), EFAULT, "not writable");
    assert_failed(fd, set_region(NULL, REGION_BYTES), EFAULT, "not writable");
    assert_failed(fd, set_region((void *)(UINTPTR_MAX - 4095), REGION_BYTES), EFAULT,
                  "not writable");
}

static void a_region_that_may_not_be_written_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mprotect(memory + REGION_BYTES - 4096, 4096, PROT_READ), 0);
    assert_failed(fd, set_region(memory, REGION_BYTES), EFAULT, "not writable");
    assert_int_equal(mprotect(memory + REGION_BYTES - 4096, 4096, PROT_READ | PROT_WRITE), 0);
    assert_int_equal(set_region(memory, REGION_BYTES), 0);
}

static void a_region_can_be_set_once_only(void **state)
{
    (void)state;
    assert_int_equal(set_region(memory, REGION_BYTES), 0);
    assert_failed(fd, set_region(memory, REGION_BYTES), EINVAL, "once only");
}

static void a_wrong_length_of_the_region_option_is_refused(void **state)
{
    struct homa_rcvbuf_args args = {.start = (uintptr_t)memory, .length = REGION_BYTES};

    (void)state;
    assert_failed(fd, msv_setsockopt(fd, IPPROTO_HOMA, SO_HOMA_RCVBUF, &args, 12), EINVAL,
                  "optlen is 12 instead of 16");
    assert_failed(fd, msv_setsockopt(fd, IPPROTO_HOMA, SO_HOMA_RCVBUF, &args, 17), EINVAL,
                  "optlen is 17 instead of 16");
    assert_failed(fd, msv_setsockopt(fd, IPPROTO_HOMA, SO_HOMA_RCVBUF, NULL, 16), EFAULT, "null");
}

static void a_region_is_told_in_whole_bpages(void **state)
{
    struct homa_rcvbuf_args args = {.start = 1, .length = 1};
    socklen_t length = sizeof(args);

    (void)state;
    assert_int_equal(msv_getsockopt(fd, IPPROTO_HOMA, SO_HOMA_RCVBUF, &args, &length), 0);
    assert_int_equal(args.start, 0);
    assert_int_equal(args.length, 0);
    assert_int_equal(set_region(memory, REGION_BYTES - 100), 0);
    assert_int_equal(msv_getsockopt(fd, IPPROTO_HOMA, SO_HOMA_RCVBUF, &args, &length), 0);
    assert_int_equal(length, sizeof(args));
    assert_int_equal(args.start, (uintptr_t)memory);
    assert_int_equal(args.length, REGION_BYTES - HOMA_BPAGE_SIZE);
    length = 8;
    assert_failed(fd, msv_getsockopt(fd, IPPROTO_HOMA, SO_HOMA_RCVBUF, &args, &length), EINVAL,
                  "optlen");
}

static void setting_a_region_uses_no_memory(void **state)
{
    unsigned char resident[REGION_BYTES / 4096];
    size_t used = 0;

    (void)state;
    assert_int_equal(set_region(memory, REGION_BYTES), 0);
    assert_int_equal(mincore(memory, REGION_BYTES, resident), 0);
    for (size_t i = 0; i < sizeof(resident); i++)
        used += resident[i] & 1;
    assert_int_equal(used, 0);
}

static void after_shutdown_no_region_can_be_set(void **state)
{
    (void)state;
    assert_int_equal(msv_shutdown(fd, SHUT_RDWR), 0);
    assert_failed(fd, set_region(memory, REGION_BYTES), ESHUTDOWN, "shut down");
}

/* ---- the server switch and knobs ---- */

static void the_server_switch_takes_an_int(void **state)
{
    int on = 1;

    (void)state;
    assert_int_equal(get_int(IPPROTO_HOMA, SO_HOMA_SERVER), 0);
    assert_failed(fd, msv_setsockopt(fd, IPPROTO_HOMA, SO_HOMA_SERVER, &on, 1), EINVAL, "optlen");
    assert_failed(fd, msv_setsockopt(fd, IPPROTO_HOMA, SO_HOMA_SERVER, NULL, 4), EFAULT, "null");
    assert_int_equal(msv_setsockopt(fd, IPPROTO_HOMA, SO_HOMA_SERVER, &on, sizeof(on)), 0);
    assert_int_equal(get_int(IPPROTO_HOMA, SO_HOMA_SERVER), 1);
    on = 0;
    assert_int_equal(msv_setsockopt(fd, IPPROTO_HOMA, SO_HOMA_SERVER, &on, sizeof(on)), 0);
    assert_int_equal(get_int(IPPROTO_HOMA, SO_HOMA_SERVER), 0);
}

static int set_knob(const char *text)
{
    return msv_setsockopt(fd, IPPROTO_HOMA, SO_MISSIVE_KNOB, text, (socklen_t)strlen(text));
}

static void knobs_are_set_and_told_as_text(void **state)
{
    char text[128] = "resend_ticks";
    socklen_t length = sizeof("resend_ticks");

    (void)state;
    assert_int_equal(set_knob("resend_ticks=9"), 0);
    assert_int_equal(msv_getsockopt(fd, IPPROTO_HOMA, SO_MISSIVE_KNOB, text, &length), 0);
    assert_string_equal(text, "9");
    assert_int_equal(length, 2);
}

static void wrong_knobs_are_refused(void **state)
{
    char text[64] = "no_such_knob";
    char tiny[4] = "rtt";
    socklen_t length = sizeof(text);

    (void)state;
    assert_failed(fd, set_knob("resend_tickles=9"), EINVAL, "resend_tickles");
    assert_failed(fd, set_knob("resend_ticks=soon"), EINVAL, "resend_ticks");
    assert_failed(fd, set_knob("resend_ticks"), EINVAL, "");
    assert_failed(fd, set_knob(""), EINVAL, "name=value");
    length = 13;
    assert_failed(fd, msv_getsockopt(fd, IPPROTO_HOMA, SO_MISSIVE_KNOB, text, &length), EINVAL,
                  "no knob 'no_such_knob'");
    length = 3;
    assert_failed(fd, msv_getsockopt(fd, IPPROTO_HOMA, SO_MISSIVE_KNOB, tiny, &length), EINVAL,
                  "no knob 'rtt'");
}

/* ---- SOL_SOCKET and the rest ---- */

static void unknown_levels_and_names_are_refused(void **state)
{
    int value = 1;
    socklen_t length = sizeof(value);

    (void)state;
    assert_failed(fd, msv_setsockopt(fd, IPPROTO_TCP, 1, &value, length), ENOPROTOOPT, "level 6");
    assert_failed(fd, msv_getsockopt(fd, IPPROTO_TCP, 1, &value, &length), ENOPROTOOPT, "level 6");
    assert_failed(fd, msv_setsockopt(fd, IPPROTO_HOMA, 99, &value, length), ENOPROTOOPT, "99");
    assert_failed(fd, msv_getsockopt(fd, IPPROTO_HOMA, 99, &value, &length), ENOPROTOOPT, "99");
    assert_failed(fd, msv_setsockopt(fd, SOL_SOCKET, 9999, &value, length), ENOPROTOOPT, "9999");
    assert_failed(fd, msv_getsockopt(fd, SOL_SOCKET, 9999, &value, &length), ENOPROTOOPT, "9999");
}

static void null_and_negative_arguments_are_refused(void **state)
{
    int value = 1;
    socklen_t negative = (socklen_t)-4;

    (void)state;
    assert_failed(fd, msv_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, NULL, 4), EFAULT, "null");
    assert_failed(fd, msv_getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, NULL), EFAULT, "null");
    assert_failed(fd, msv_getsockopt(fd, SOL_SOCKET, SO_RCVBUF, NULL, &negative), EFAULT, "null");
    assert_failed(fd, msv_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, negative), EINVAL,
                  "negative");
    assert_failed(fd, msv_getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &negative), EINVAL,
                  "negative");
}

static void the_socket_says_what_it_is(void **state)
{
    (void)state;
    assert_int_equal(get_int(SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
    assert_int_equal(get_int(SOL_SOCKET, SO_PROTOCOL), IPPROTO_HOMA);
    assert_int_equal(get_int(SOL_SOCKET, SO_DOMAIN), AF_INET);
    assert_int_equal(get_int(SOL_SOCKET, SO_ERROR), 0);
    assert_int_equal(get_int(SOL_SOCKET, SO_ACCEPTCONN), 0);
}

static void buffer_sizes_are_told_doubled_as_everywhere(void **state)
{
    int size = 100000;

    (void)state;
    assert_int_equal(msv_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
    assert_int_equal(get_int(SOL_SOCKET, SO_RCVBUF), 200000);
    assert_int_equal(msv_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    assert_int_equal(get_int(SOL_SOCKET, SO_SNDBUF), 200000);
}

static void timeouts_are_kept(void **state)
{
    struct timeval time = {.tv_sec = 3, .tv_usec = 250000};
    struct timeval seen = {0};
    socklen_t length = sizeof(seen);

    (void)state;
    assert_int_equal(msv_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)), 0);
    assert_int_equal(msv_getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &seen, &length), 0);
    assert_memory_equal(&seen, &time, sizeof(time));
    assert_int_equal(msv_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time)), 0);
    assert_int_equal(msv_getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &seen, &length), 0);
    assert_memory_equal(&seen, &time, sizeof(time));
    time.tv_usec = 1000000;
    assert_failed(fd, msv_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)), EDOM,
                  "microseconds");
    assert_failed(fd, msv_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, 4), EINVAL, "optlen");
}

static void options_without_meaning_are_kept_and_told(void **state)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 5};
    struct linger seen = {0};
    socklen_t length = sizeof(seen);
    int on = 1;

    (void)state;
    assert_int_equal(msv_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    assert_int_equal(get_int(SOL_SOCKET, SO_REUSEADDR), 1);
    assert_int_equal(msv_setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    assert_int_equal(msv_getsockopt(fd, SOL_SOCKET, SO_LINGER, &seen, &length), 0);
    assert_memory_equal(&seen, &linger, sizeof(linger));
}

static void the_wires_options_survive_bind(void **state)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    int priority = 5;
    int result = -1;

    (void)state;
    assert_int_equal(msv_setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority)), 0);
    assert_int_equal(get_int(SOL_SOCKET, SO_PRIORITY), 5);
    for (unsigned port = 21000; result != 0 && port < 22000; port++) {
        name.sin_port = (in_port_t)(port >> 8 | port << 8);
        result = msv_bind(fd, (struct sockaddr *)&name, sizeof(name));
    }
    assert_int_equal(result, 0);
    assert_int_equal(get_int(SOL_SOCKET, SO_PRIORITY), 5);
}

static void the_kernels_refusals_come_through(void **state)
{
    char interface[IFNAMSIZ] = "no-such-if";

    (void)state;
    assert_failed(fd, msv_setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, sizeof(interface)),
                  ENODEV, "No such device");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_region_off_page_boundaries_is_refused),
        TEST(a_region_that_is_too_small_is_refused),
        TEST(a_region_above_4_gib_is_refused),
        TEST(a_region_that_is_not_mapped_is_refused),
        TEST(a_region_that_may_not_be_written_is_refused),
        TEST(a_region_can_be_set_once_only),
        TEST(a_wrong_length_of_the_region_option_is_refused),
        TEST(a_region_is_told_in_whole_bpages),
        TEST(setting_a_region_uses_no_memory),
        TEST(after_shutdown_no_region_can_be_set),
        TEST(the_server_switch_takes_an_int),
        TEST(knobs_are_set_and_told_as_text),
        TEST(wrong_knobs_are_refused),
        TEST(unknown_levels_and_names_are_refused),
        TEST(null_and_negative_arguments_are_refused),
        TEST(the_socket_says_what_it_is),
        TEST(buffer_sizes_are_told_doubled_as_everywhere),
        TEST(timeouts_are_kept),
        TEST(options_without_meaning_are_kept_and_told),
        TEST(the_wires_options_survive_bind),
        TEST(the_kernels_refusals_come_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
