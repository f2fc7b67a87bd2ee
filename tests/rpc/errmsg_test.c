/*
 * The sentence of the last failure: always there, each thread's own, never too long.
 */
#include "rpc/errmsg.h"

#include <missive/rpc.h>

#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static void *before_any_failure(void *argument)
{
    *(char *)argument = (char)(strcmp(msv_rpc_errmsg(), "nothing has failed") == 0);
    return NULL;
}

static void there_is_a_sentence_before_any_failure_and_in_each_thread(void **state)
{
    pthread_t thread;
    char is_so = 0;

    (void)state;
    assert_int_equal(rpc_fail(EINVAL, "%s has %d faults", "this", 2), -EINVAL);
    assert_string_equal(msv_rpc_errmsg(), "this has 2 faults");
    assert_int_equal(pthread_create(&thread, NULL, before_any_failure, &is_so), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(is_so, 1);
    assert_string_equal(msv_rpc_errmsg(), "this has 2 faults");
}

static void a_sentence_that_is_too_long_is_cut(void **state)
{
    char text[1000];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(rpc_fail(ENOMEM, "%s", text), -ENOMEM);
    assert_in_range(strlen(msv_rpc_errmsg()), 99, 999);
}

static void a_socket_calls_failure_is_told_with_its_reason(void **state)
{
    (void)state;
    assert_int_equal(rpc_fail_socket(-1, ENFILE, "no socket"), -ENFILE);
    assert_int_equal(strncmp(msv_rpc_errmsg(), "no socket: ", 11), 0);
    assert_true(strlen(msv_rpc_errmsg()) > 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_a_sentence_before_any_failure_and_in_each_thread),
        cmocka_unit_test(a_sentence_that_is_too_long_is_cut),
        cmocka_unit_test(a_socket_calls_failure_is_told_with_its_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
