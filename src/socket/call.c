/*
 * Beginning and end of every call. The order at the beginning matters: the use count first (so that
 * the socket stays), then the lock, then whether it is closed, and only then whose it is.
 */
#include "socket/call.h"

#include "socket/clock.h"
#include "socket/fork.h"
#include "socket/progress.h"
#include "socket/socket.h"

#include <errno.h>
#include <fcntl.h>

int call_fail_unknown(int fd)
{
    if (table_is_closing(fd) || fcntl(fd, F_GETFD) < 0)
        return sentence_fail(NULL, EBADF, "descriptor %d is not open", fd);
    return sentence_fail(NULL, ENOTSOCK, "descriptor %d is no socket of Missive's", fd);
}

int call_begin(struct call *call, int fd)
{
    struct socket *socket = NULL;
    int result = 0;

    *call = (struct call){0};
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &call->cancel_state);
    sentence_about(fd);
    socket = table_get(fd);
    if (socket == NULL)
        return call_fail_unknown(fd);
    socket_lock(socket);
    if (socket->is_closed)
        result = sentence_fail(NULL, EBADF, "descriptor %d is not open: closed meanwhile", fd);
    else if (fork_is_foreign(socket))
        result = fork_claim(socket);
    if (result != 0) {
        socket_unlock(socket);
        table_put(socket->slot);
        return result;
    }
    call->socket = socket;
    call->now = clock_now();
    atomic_store_explicit(&socket->progress.last_use, call->now, memory_order_relaxed);
    if (socket->progress.attention == ATTENTION_LED ||
        (socket->progress.attention == ATTENTION_ARMED && socket->habit != HABIT_OUTSIDE))
        progress_attend(socket, call->now);
    return 0;
}

ssize_t call_end(struct call *call, ssize_t result)
{
    if (call->socket != NULL) {
        struct table_slot *slot = call->socket->slot;

        if (call->socket->habit == HABIT_OUTSIDE &&
            call->socket->progress.attention == ATTENTION_ACTIVE)
            progress_arm(call->socket);
        socket_unlock(call->socket);
        table_put(slot);
    }
    (void)pthread_setcancelstate(call->cancel_state, NULL);
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

int call_end_int(struct call *call, int result)
{
    return (int)call_end(call, result);
}
