/*
 * A socket's life: what can be made, what a descriptor is, and what closing and shutdown do.
 */
#include "endpoint.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void cannot_make(int domain, int type, int protocol, int error, const char *sentence)
{
    int result = msv_socket(domain, type, protocol);
    int seen = errno;

    assert_int_equal(result, -1);
    assert_int_equal(seen, error);
    if (strstr(msv_errmsg(-1), sentence) == NULL)
        fail_msg("msv_errmsg says \"%s\"", msv_errmsg(-1));
}

static int make(void)
{
    int fd = msv_socket(AF_INET, SOCK_DGRAM, IPPROTO_HOMA);

    assert_true(fd >= 0);
    return fd;
}

static unsigned open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    assert_int_equal(closedir(directory), 0);
    return count;
}

static void other_families_types_and_protocols_are_refused(void **state)
{
    (void)state;
    cannot_make(AF_UNIX, SOCK_DGRAM, IPPROTO_HOMA, EAFNOSUPPORT, "family");
    cannot_make(AF_INET, SOCK_STREAM, IPPROTO_HOMA, ESOCKTNOSUPPORT, "type");
    cannot_make(AF_INET, SOCK_DGRAM, IPPROTO_UDP, EPROTONOSUPPORT, "protocol 17");
    cannot_make(AF_INET, SOCK_DGRAM, 0, EPROTONOSUPPORT, "protocol 0");
}

static void a_wrong_knob_in_the_environment_is_named(void **state)
{
    (void)state;
    assert_int_equal(setenv("MISSIVE_RESEND_TICKS", "soon", 1), 0);
    cannot_make(AF_INET, SOCK_DGRAM, IPPROTO_HOMA, EINVAL, "MISSIVE_RESEND_TICKS");
    assert_int_equal(unsetenv("MISSIVE_RESEND_TICKS"), 0);
    assert_int_equal(setenv("MISSIVE_CHAOS", "drop=lots", 1), 0);
    cannot_make(AF_INET, SOCK_DGRAM, IPPROTO_HOMA, EINVAL, "MISSIVE_CHAOS");
    assert_int_equal(unsetenv("MISSIVE_CHAOS"), 0);
}

static void when_descriptors_run_out_none_is_lost(void **state)
{
    int taken[256];
    struct rlimit limit;
    struct rlimit less;
    unsigned before = open_descriptors();
    int count = 0;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    less = (struct rlimit){.rlim_cur = 200, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
    for (int room = 0; room < 8; room++) {
        int result = 0;

        /* Leave so many descriptors free as `room` says. */
        count = 0;
        for (int fd = dup(0); fd >= 0 && count < 256; fd = dup(0))
            taken[count++] = fd;
        assert_true(count < 256);
        for (int i = 0; i < room && count > 0; i++)
            (void)close(taken[--count]);
        result = msv_socket(AF_INET, SOCK_DGRAM, IPPROTO_HOMA);
        if (result < 0)
            assert_int_equal(errno, EMFILE);
        else
            assert_int_equal(msv_close(result), 0);
        while (count > 0)
            (void)close(taken[--count]);
        assert_int_equal(open_descriptors(), before);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void the_version_is_told(void **state)
{
    (void)state;
    assert_string_equal(msv_version(), MISSIVE_VERSION);
}

static void a_descriptor_is_a_socket_to_everybody_else(void **state)
{
    int fd = make();
    struct stat status;

    (void)state;
    assert_int_equal(fstat(fd, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(test_poll(fd, POLLIN | POLLOUT, 0), POLLOUT);
    assert_int_equal(fcntl(fd, F_GETFD), 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(msv_close(fd), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void the_flags_of_the_type_count(void **state)
{
    int fd = msv_socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_HOMA);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(msv_fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(msv_fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(msv_fcntl(fd, F_SETFL, 0), 0);
    assert_int_equal(msv_fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(msv_fcntl(fd, F_SETFD, 0), 0);
    assert_int_equal(fcntl(fd, F_GETFD), 0);
    assert_failed(fd, msv_fcntl(fd, F_DUPFD, 0), EINVAL, "fcntl: command");
    assert_int_equal(msv_close(fd), 0);
}

static void every_call_tells_a_closed_descriptor_from_a_foreign_one(void **state)
{
    struct msghdr message = {0};
    struct mmsghdr many = {.msg_len = 0};
    struct sockaddr_storage name;
    socklen_t length = sizeof(name);
    int value = 0;
    int closed = make();
    int foreign = open("/dev/null", O_RDONLY);

    (void)state;
    assert_true(foreign >= 0);
    assert_int_equal(msv_close(closed), 0);
    for (int i = 0; i < 2; i++) {
        int fd = i == 0 ? closed : foreign;
        int error = i == 0 ? EBADF : ENOTSOCK;

#define FAILS(call)                 \
    assert_int_equal(call, -1);     \
    assert_int_equal(errno, error); \
    assert_non_null(strstr(msv_errmsg(fd), i == 0 ? "not open" : "no socket of Missive's"))
        FAILS(msv_bind(fd, (struct sockaddr *)&name, length));
        FAILS(msv_connect(fd, (struct sockaddr *)&name, length));
        FAILS(msv_getsockname(fd, (struct sockaddr *)&name, &length));
        FAILS(msv_getpeername(fd, (struct sockaddr *)&name, &length));
        FAILS(msv_listen(fd, 1));
        FAILS(msv_accept(fd, NULL, NULL));
        FAILS(msv_setsockopt(fd, SOL_SOCKET, SO_TYPE, &value, sizeof(value)));
        FAILS(msv_getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length));
        FAILS(msv_sendmsg(fd, &message, 0));
        FAILS(msv_recvmsg(fd, &message, 0));
        FAILS(msv_sendmmsg(fd, &many, 1, 0));
        FAILS(msv_recvmmsg(fd, &many, 1, 0, NULL));
        FAILS(msv_ioctl(fd, HOMAIOCINFO, NULL));
        FAILS(msv_fcntl(fd, F_GETFL));
        FAILS(msv_shutdown(fd, SHUT_RDWR));
        FAILS(msv_close(fd));
#undef FAILS
    }
    assert_int_equal(close(foreign), 0);
}

static void a_thread_is_told_about_its_own_last_failure_only(void **state)
{
    int one = make();
    int other = make();

    (void)state;
    assert_int_equal(msv_listen(one, 1), -1);
    assert_non_null(strstr(msv_errmsg(one), "listen"));
    assert_string_equal(msv_errmsg(other), "");
    assert_string_equal(msv_errmsg(-1), msv_errmsg(one));
    assert_int_equal(msv_close(one), 0);
    assert_int_equal(msv_close(other), 0);
}

static void closing_gives_everything_back(void **state)
{
    unsigned before = 0;

    (void)state;
    assert_int_equal(msv_close(make()), 0); /* the process's own descriptors stay */
    before = open_descriptors();
    for (int i = 0; i < 100; i++) {
        struct endpoint endpoint;

        endpoint_open(&endpoint, i % 2 ? AF_INET : AF_INET6, true);
        endpoint_close(&endpoint);
    }
    assert_int_equal(open_descriptors(), before);
}

static void a_closed_sockets_number_and_port_are_free_at_once(void **state)
{
    struct endpoint endpoint;
    int fd = -1;
    int again = -1;

    (void)state;
    endpoint_open(&endpoint, AF_INET, false);
    endpoint_bind(&endpoint);
    fd = endpoint.fd;
    endpoint_close(&endpoint);
    again = make();
    assert_int_equal(again, fd);
    ((struct sockaddr_in *)&endpoint.name)->sin_addr.s_addr = htonl(INADDR_ANY);
    assert_int_equal(msv_bind(again, (struct sockaddr *)&endpoint.name, sizeof(struct sockaddr_in)),
                     0);
    assert_int_equal(msv_close(again), 0);
}

/* Waits until the progress thread has noticed. */
static void wait_for_descriptors(unsigned count)
{
    for (int i = 0; i < 5000 && open_descriptors() != count; i++)
        (void)usleep(1000);
    assert_int_equal(open_descriptors(), count);
}

static void a_plain_close_frees_the_socket_too(void **state)
{
    struct endpoint endpoint;
    unsigned before = 0;

    (void)state;
    assert_int_equal(msv_close(make()), 0);
    before = open_descriptors();
    endpoint_open(&endpoint, AF_INET, true);
    assert_int_equal(close(endpoint.fd), 0);
    wait_for_descriptors(before);
    assert_int_equal(msv_close(endpoint.fd), -1);
    assert_int_equal(errno, EBADF);
}

static void a_number_that_was_closed_plainly_can_be_a_socket_again(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        int fd = make();
        int again = -1;

        assert_int_equal(close(fd), 0);
        again = make();
        assert_int_equal(again, fd);
        assert_int_equal(msv_listen(again, 1), -1);
        assert_int_equal(errno, EOPNOTSUPP);
        assert_int_equal(msv_close(again), 0);
    }
}

static void shutdown_ends_rpcs_and_makes_the_socket_readable(void **state)
{
    struct endpoint client;
    struct endpoint server;

    (void)state;
    endpoint_open(&client, AF_INET, false);
    endpoint_open(&server, AF_INET, true);
    (void)endpoint_request(&client, &server, "x", 1, 0);
    assert_int_equal(endpoint_rpcs(&client), 1);
    assert_int_equal(test_poll(client.fd, POLLIN, 0), 0);
    assert_int_equal(msv_shutdown(client.fd, SHUT_WR), 0);
    assert_int_equal(endpoint_rpcs(&client), 0);
    assert_int_equal(test_poll(client.fd, POLLIN, 0), POLLIN);
    assert_int_equal(msv_shutdown(client.fd, SHUT_WR), 0);
    endpoint_close(&client);
    endpoint_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_families_types_and_protocols_are_refused),
        cmocka_unit_test(a_wrong_knob_in_the_environment_is_named),
        cmocka_unit_test(the_version_is_told),
        cmocka_unit_test(a_descriptor_is_a_socket_to_everybody_else),
        cmocka_unit_test(the_flags_of_the_type_count),
        cmocka_unit_test(every_call_tells_a_closed_descriptor_from_a_foreign_one),
        cmocka_unit_test(a_thread_is_told_about_its_own_last_failure_only),
        cmocka_unit_test(closing_gives_everything_back),
        cmocka_unit_test(a_closed_sockets_number_and_port_are_free_at_once),
        cmocka_unit_test(a_plain_close_frees_the_socket_too),
        cmocka_unit_test(a_number_that_was_closed_plainly_can_be_a_socket_again),
        cmocka_unit_test(shutdown_ends_rpcs_and_makes_the_socket_readable),
        cmocka_unit_test(when_descriptors_run_out_none_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
