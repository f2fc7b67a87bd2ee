/*
 * The table of sockets: what a descriptor means, and that nobody ever gets a socket that is gone.
 * The sockets here are real, because the table frees them itself.
 */
#include "socket/table.h"

#include "endpoint.h"
#include "socket/socket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static void unknown_numbers_mean_nothing(void **state)
{
    (void)state;
    assert_null(table_get(-1));
    assert_null(table_get(0));
    assert_null(table_get(INT32_MAX));
    assert_null(table_get(1 << 21));
    assert_false(table_is_closing(-1));
    assert_false(table_is_closing(5));
}

static void a_number_beyond_the_table_is_refused(void **state)
{
    struct table_slot slot = {.uses = 1};
    struct table_slot *stale = NULL;

    (void)state;
    assert_int_equal(table_publish(1 << 22, &slot, &stale), -EMFILE);
}

static void get_and_put_count_uses(void **state)
{
    int fd = msv_socket(AF_INET, SOCK_DGRAM, IPPROTO_HOMA);
    struct socket *socket = table_get(fd);

    (void)state;
    assert_non_null(socket);
    assert_int_equal(socket->descriptor, fd);
    assert_int_equal(atomic_load(&socket->slot->uses), 2);
    assert_ptr_equal(table_get(fd), socket);
    assert_int_equal(atomic_load(&socket->slot->uses), 3);
    table_put(socket->slot);
    table_put(socket->slot);
    assert_int_equal(atomic_load(&socket->slot->uses), 1);
    assert_int_equal(msv_close(fd), 0);
}

static void a_closed_socket_stays_for_those_who_hold_it(void **state)
{
    int fd = msv_socket(AF_INET, SOCK_DGRAM, IPPROTO_HOMA);
    int again = -1;
    struct socket *socket = table_get(fd);
    struct table_slot *slot = socket->slot;

    (void)state;
    assert_int_equal(msv_close(fd), 0);
    assert_null(table_get(fd));
    /* The number has a new socket while the old one is still there. */
    again = msv_socket(AF_INET, SOCK_DGRAM, IPPROTO_HOMA);
    assert_int_equal(again, fd);
    assert_true(socket->is_closed);
    assert_ptr_not_equal(table_get(again), socket);
    assert_true(table_try_hold(slot));
    table_put(slot);
    table_put(slot);
    assert_false(table_try_hold(slot));
    table_put(table_get(again)->slot);
    table_put(table_get(again)->slot);
    assert_int_equal(msv_close(again), 0);
}

/* Threads get and put a number's socket while others close and make it, as fast as they can. */
struct churn {
    atomic_int fd;
    atomic_bool is_over;
    atomic_ulong found;
};

static void *getter(void *context)
{
    struct churn *churn = context;

    while (!atomic_load(&churn->is_over)) {
        struct socket *socket = table_get(atomic_load(&churn->fd));

        if (socket == NULL)
            continue;
        socket_lock(socket);
        if (socket->descriptor >= 0)
            atomic_fetch_add(&churn->found, 1);
        socket_unlock(socket);
        table_put(socket->slot);
    }
    return NULL;
}

static void nobody_gets_a_socket_that_is_gone(void **state)
{
    struct churn churn = {0};
    pthread_t threads[3];

    (void)state;
    atomic_store(&churn.fd, -1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, getter, &churn), 0);
    for (int i = 0; i < 300 || atomic_load(&churn.found) == 0; i++) {
        int fd = msv_socket(AF_INET, SOCK_DGRAM, IPPROTO_HOMA);

        assert_true(fd >= 0);
        atomic_store(&churn.fd, fd);
        assert_int_equal(msv_close(fd), 0);
    }
    atomic_store(&churn.is_over, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_numbers_mean_nothing),
        cmocka_unit_test(a_number_beyond_the_table_is_refused),
        cmocka_unit_test(get_and_put_count_uses),
        cmocka_unit_test(a_closed_socket_stays_for_those_who_hold_it),
        cmocka_unit_test(nobody_gets_a_socket_that_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
