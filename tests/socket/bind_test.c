/*
 * Names of sockets: bind and what it refuses, getsockname, and the calls that change nothing.
 */
#include "endpoint.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct endpoint one;
static struct endpoint other;

static int prepare(void **state)
{
    (void)state;
    endpoint_open(&one, AF_INET, false);
    endpoint_open(&other, AF_INET, false);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    endpoint_close(&one);
    endpoint_close(&other);
    return 0;
}

static struct sockaddr_in at(uint32_t ip, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(ip), .sin_port = htons(port)};
}

static int bind_one(const struct sockaddr_in *name)
{
    return msv_bind(one.fd, (const struct sockaddr *)name, sizeof(*name));
}

static uint16_t port_of(const struct endpoint *endpoint)
{
    struct homa_info info = {0};

    assert_int_equal(msv_ioctl(endpoint->fd, HOMAIOCINFO, &info), 0);
    return (uint16_t)info.port;
}

static void a_null_address_is_refused(void **state)
{
    (void)state;
    assert_failed(one.fd, msv_bind(one.fd, NULL, sizeof(struct sockaddr_in)), EFAULT, "null");
}

static void a_short_address_is_refused(void **state)
{
    struct sockaddr_in name = at(INADDR_ANY, 4000);

    (void)state;
    assert_failed(one.fd, msv_bind(one.fd, (struct sockaddr *)&name, sizeof(name) - 1), EINVAL,
                  "too short");
    assert_failed(one.fd, msv_bind(one.fd, (struct sockaddr *)&name, 1), EINVAL, "too short");
}

static void another_family_is_refused(void **state)
{
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_port = htons(4000)};

    (void)state;
    assert_failed(one.fd, msv_bind(one.fd, (struct sockaddr *)&name, sizeof(name)), EAFNOSUPPORT,
                  "family");
}

static void a_clients_port_is_refused(void **state)
{
    struct sockaddr_in name = at(INADDR_ANY, 0x8000);

    (void)state;
    assert_failed(one.fd, bind_one(&name), EINVAL, "port 32768");
    name.sin_port = htons(65535);
    assert_failed(one.fd, bind_one(&name), EINVAL, "port 65535");
}

static void a_port_in_use_is_refused(void **state)
{
    struct sockaddr_in name;

    (void)state;
    endpoint_bind(&other);
    name = at(INADDR_ANY, port_of(&other));
    assert_failed(one.fd, bind_one(&name), EADDRINUSE, "in use");
    assert_true(port_of(&one) >= 0x8000);
}

static void an_address_of_another_host_is_refused(void **state)
{
    struct sockaddr_in name = at(0xc0000201, 20001); /* 192.0.2.1, for documentation */

    (void)state;
    assert_failed(one.fd, bind_one(&name), EADDRNOTAVAIL, "does not have that address");
}

static void after_shutdown_bind_is_refused(void **state)
{
    struct sockaddr_in name = at(INADDR_ANY, 20001);

    (void)state;
    assert_int_equal(msv_shutdown(one.fd, SHUT_RDWR), 0);
    assert_failed(one.fd, bind_one(&name), ESHUTDOWN, "shut down");
}

static void with_requests_outstanding_bind_is_refused(void **state)
{
    struct sockaddr_in name = at(INADDR_ANY, 20001);
    struct homa_abort_args all = {0};

    (void)state;
    (void)endpoint_request(&one, &other, "x", 1, 0);
    assert_failed(one.fd, bind_one(&name), EBUSY, "outstanding");
    assert_int_equal(msv_ioctl(one.fd, HOMAIOCABORT, &all), 0);
    endpoint_bind(&one);
}

static void with_requests_to_be_answered_bind_is_refused(void **state)
{
    struct sockaddr_in name = at(INADDR_ANY, 20001);
    struct incoming request;
    struct incoming response;
    int server = 1;

    (void)state;
    assert_int_equal(msv_setsockopt(one.fd, IPPROTO_HOMA, SO_HOMA_SERVER, &server, sizeof(server)),
                     0);
    (void)endpoint_request(&other, &one, "x", 1, 0);
    endpoint_receive(&one, 0, &request);
    assert_failed(one.fd, bind_one(&name), EBUSY, "outstanding");
    endpoint_reply(&one, &request, "y", 1);
    endpoint_receive(&other, 0, &response);
    endpoint_bind(&one);
}

static void ports_below_1024_need_privilege_and_the_sentence_says_so(void **state)
{
    int pipe_fds[2];
    char outcome[200] = "";
    ssize_t length = 0;
    pid_t child = 0;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(pipe(pipe_fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct sockaddr_in name = at(INADDR_ANY, 7);
        int fd = setuid(65534) == 0 ? msv_socket(AF_INET, SOCK_DGRAM, IPPROTO_HOMA) : -1;
        int result = msv_bind(fd, (struct sockaddr *)&name, sizeof(name));
        int length_out = dprintf(pipe_fds[1], "%d %s", result == 0 ? 0 : errno, msv_errmsg(fd));

        _exit(length_out > 0 ? 0 : 1);
    }
    (void)close(pipe_fds[1]);
    length = read(pipe_fds[0], outcome, sizeof(outcome) - 1);
    assert_true(length > 0);
    (void)close(pipe_fds[0]);
    assert_int_equal(atoi(outcome), EACCES);
    assert_non_null(strstr(outcome, "port 7 needs privilege"));
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void port_zero_is_success_and_changes_nothing(void **state)
{
    struct sockaddr_in name = at(INADDR_ANY, 0);
    uint16_t before = port_of(&one);
    int server = 1;
    socklen_t length = sizeof(server);

    (void)state;
    assert_int_equal(bind_one(&name), 0);
    assert_int_equal(port_of(&one), before);
    assert_int_equal(msv_getsockopt(one.fd, IPPROTO_HOMA, SO_HOMA_SERVER, &server, &length), 0);
    assert_int_equal(server, 0);
}

static void bind_makes_a_server_and_its_own_port_can_be_bound_again(void **state)
{
    struct sockaddr_in name;
    int server = 0;
    socklen_t length = sizeof(server);

    (void)state;
    endpoint_bind(&one);
    name = *(struct sockaddr_in *)&one.name;
    assert_true(ntohs(name.sin_port) < 0x8000);
    assert_int_equal(port_of(&one), ntohs(name.sin_port));
    assert_int_equal(msv_getsockopt(one.fd, IPPROTO_HOMA, SO_HOMA_SERVER, &server, &length), 0);
    assert_int_equal(server, 1);
    assert_int_equal(bind_one(&name), 0);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    assert_int_equal(bind_one(&name), 0);
}

static void a_link_local_address_without_its_interface_is_refused(void **state)
{
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_port = htons(5010)};
    int fd = msv_socket(AF_INET6, SOCK_DGRAM, IPPROTO_HOMA);

    (void)state;
    name.sin6_addr.s6_addr[0] = 0xfe;
    name.sin6_addr.s6_addr[1] = 0x80;
    name.sin6_addr.s6_addr[15] = 1;
    assert_failed(fd, msv_bind(fd, (struct sockaddr *)&name, sizeof(name)), EINVAL,
                  "needs its sin6_scope_id");
    assert_int_equal(msv_close(fd), 0);
}

static void an_address_restricts_the_socket_to_it(void **state)
{
    struct sockaddr_in name;
    struct sockaddr_in seen;
    socklen_t length = sizeof(seen);
    struct incoming failure;

    (void)state;
    endpoint_bind(&one); /* to find a free port; let it go again */
    name = at(INADDR_LOOPBACK + 1, port_of(&one));
    endpoint_close(&one);
    endpoint_open(&one, AF_INET, false);
    assert_int_equal(bind_one(&name), 0);
    assert_int_equal(msv_getsockname(one.fd, (struct sockaddr *)&seen, &length), 0);
    assert_memory_equal(&seen, &name, sizeof(name));
    /* To 127.0.0.1 nobody listens now. */
    ((struct sockaddr_in *)&one.name)->sin_port = name.sin_port;
    (void)endpoint_request(&other, &one, "x", 1, 3);
    assert_int_equal(endpoint_try_receive(&other, 0, 0, &failure), -1);
    assert_int_equal(failure.error, ENOTCONN);
    ((struct sockaddr_in *)&one.name)->sin_addr = name.sin_addr;
    (void)endpoint_request(&other, &one, "x", 1, 4);
    endpoint_receive(&one, 0, &failure);
}

static void a_wait_goes_on_at_the_new_port(void **state)
{
    struct incoming request;
    struct incoming response;

    (void)state;
    endpoint_bind(&one);
    (void)endpoint_request(&other, &one, "abc", 3, 9);
    endpoint_receive(&one, 0, &request);
    endpoint_reply(&one, &request, "de", 2);
    endpoint_receive(&other, 0, &response);
    assert_int_equal(response.length, 2);
    assert_int_equal(response.args.completion_cookie, 9);
}

static void *serve_one(void *context)
{
    endpoint_receive(&one, 0, context);
    return NULL;
}

static void a_thread_that_waits_already_gets_what_comes_to_the_new_port(void **state)
{
    struct incoming request;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, serve_one, &request), 0);
    (void)usleep(20000); /* most likely it sleeps by now; either way the test holds */
    endpoint_bind(&one);
    (void)endpoint_request(&other, &one, "abc", 3, 9);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(request.length, 3);
}

static void getsockname_tells_port_and_length(void **state)
{
    char room[64];
    socklen_t length = sizeof(room);
    struct sockaddr_in *name = (struct sockaddr_in *)(void *)room;

    (void)state;
    assert_int_equal(msv_getsockname(one.fd, (struct sockaddr *)name, &length), 0);
    assert_int_equal(length, sizeof(*name));
    assert_int_equal(name->sin_family, AF_INET);
    assert_int_equal(name->sin_addr.s_addr, htonl(INADDR_ANY));
    assert_true(ntohs(name->sin_port) >= 0x8000);
    length = 2;
    assert_int_equal(msv_getsockname(one.fd, (struct sockaddr *)name, &length), 0);
    assert_int_equal(length, sizeof(*name));
    length = (socklen_t)-1;
    assert_failed(one.fd, msv_getsockname(one.fd, (struct sockaddr *)name, &length), EINVAL,
                  "negative");
    assert_failed(one.fd, msv_getsockname(one.fd, NULL, &length), EFAULT, "null");
    assert_failed(one.fd, msv_getsockname(one.fd, (struct sockaddr *)name, NULL), EFAULT, "null");
}

static void connections_are_not_homas_business(void **state)
{
    struct sockaddr_in name = at(INADDR_LOOPBACK, 4000);
    socklen_t length = sizeof(name);

    (void)state;
    assert_int_equal(msv_connect(one.fd, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_failed(one.fd, msv_getpeername(one.fd, (struct sockaddr *)&name, &length), ENOTCONN,
                  "no peer");
    assert_failed(one.fd, msv_listen(one.fd, 5), EOPNOTSUPP, "listen");
    assert_failed(one.fd, msv_accept(one.fd, NULL, NULL), EOPNOTSUPP, "accept");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_below_1024_need_privilege_and_the_sentence_says_so),
        TEST(a_null_address_is_refused),
        TEST(a_short_address_is_refused),
        TEST(another_family_is_refused),
        TEST(a_clients_port_is_refused),
        TEST(a_port_in_use_is_refused),
        TEST(an_address_of_another_host_is_refused),
        TEST(after_shutdown_bind_is_refused),
        TEST(with_requests_outstanding_bind_is_refused),
        TEST(with_requests_to_be_answered_bind_is_refused),
        TEST(port_zero_is_success_and_changes_nothing),
        TEST(bind_makes_a_server_and_its_own_port_can_be_bound_again),
        TEST(a_link_local_address_without_its_interface_is_refused),
        TEST(an_address_restricts_the_socket_to_it),
        TEST(a_wait_goes_on_at_the_new_port),
        TEST(a_thread_that_waits_already_gets_what_comes_to_the_new_port),
        TEST(getsockname_tells_port_and_length),
        TEST(connections_are_not_homas_business),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
