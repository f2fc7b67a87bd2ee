/*
 * The sleep itself. The system call is made directly and with asynchronous cancellation around it:
 * as a cancellation point of the C library it would be the same, except that the thread sanitizer
 * loses track of a thread that is cancelled inside a function which it watches.
 */
#include "socket/sleep.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sleep {
    struct pollfd *set;
    nfds_t count;
    struct timespec *limit;
    int cancel_state;
};

/* Returns 0 or the errno. */
static int sleep_cancellable(const struct sleep *sleep)
{
    int cancel_type = PTHREAD_CANCEL_DEFERRED;
    int result = 0;

    /* In this order: glibc 2.36 forgets to say PTHREAD_CANCELED to who joins a thread that finds
     * itself cancelled while it enables cancellation. */
    (void)pthread_setcancelstate(sleep->cancel_state, NULL);
    /* NOLINTNEXTLINE(cert-pos47-c): nothing but one system call runs until it is taken back. */
    (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &cancel_type);
    if (syscall(SYS_ppoll, sleep->set, sleep->count, sleep->limit, NULL, _NSIG / 8) < 0)
        result = errno;
    (void)pthread_setcanceltype(cancel_type, NULL);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return result;
}

int sleep_polling(struct pollfd *set, nfds_t count, uint64_t until, int cancel_state,
                  void (*cleanup)(void *context), void *context)
{
    uint64_t now = until != CLOCK_NEVER ? clock_now() : 0;
    struct timespec timeout = clock_timespec(until > now ? until - now : 0);
    const struct sleep sleep = {.set = set,
                                .count = count,
                                .limit = until != CLOCK_NEVER ? &timeout : NULL,
                                .cancel_state = cancel_state};
    int result = 0;

    pthread_cleanup_push(cleanup, context);
    result = sleep_cancellable(&sleep);
    pthread_cleanup_pop(0);
    return result;
}
