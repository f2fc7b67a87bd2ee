/*
 * Tokens and refusals. The application's end is known to us by number only, since holding a
 * duplicate of it would hide that it has been closed; so before that end is touched, the kernel's
 * cookie tells whether the number still means it. (Reading from a stranger's descriptor would steal
 * its data.) Nothing here can fail in a way that matters to a call: a queue that is full already
 * says what it should.
 */
#include "socket/ready.h"

#include "socket/buffer.h"
#include "socket/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than one token only makes edges; below net.unix.max_dgram_qlen's usual 10. */
#define TOKENS_MAX 8u

/* One message of this length takes more than a quarter of the smallest send buffer, and that is
 * when AF_UNIX stops being writable. */
#define REFUSAL_BYTES 2048

static int cookie_of(int descriptor, uint64_t *cookie)
{
    socklen_t length = sizeof(*cookie);

    return getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, cookie, &length) == 0 ? 0 : -errno;
}

static bool is_descriptor_ours(const struct socket *socket)
{
    uint64_t cookie = 0;

    return cookie_of(socket->descriptor, &cookie) == 0 && cookie == socket->cookie;
}

int ready_open(int type_flags, int *descriptor, int *our_end, uint64_t *cookie)
{
    int pair[2];
    int smallest = 0;
    int result = 0;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    result = cookie_of(pair[0], cookie);
    if (result == 0 && setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(smallest)) != 0)
        result = -errno;
    if (result == 0 && (type_flags & SOCK_NONBLOCK) != 0 &&
        fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0)
        result = -errno;
    if (result == 0 && (type_flags & SOCK_CLOEXEC) == 0 && fcntl(pair[0], F_SETFD, 0) != 0)
        result = -errno;
    if (result != 0) {
        (void)close(pair[0]);
        (void)close(pair[1]);
        return result;
    }
    *descriptor = pair[0];
    *our_end = pair[1];
    return 0;
}

/* Reads one message from a queue; false when there is none. */
static bool read_one(int descriptor)
{
    char bytes[16];

    return recv(descriptor, bytes, sizeof(bytes), MSG_DONTWAIT) > 0;
}

static void tokens_clear(struct socket *socket)
{
    if (is_descriptor_ours(socket)) {
        while (socket->ready.tokens > 0 && read_one(socket->descriptor))
            socket->ready.tokens--;
    }
    socket->ready.tokens = 0;
}

static void token_put(struct socket *socket)
{
    if (socket->ready.tokens == TOKENS_MAX) {
        if (!is_descriptor_ours(socket) || !read_one(socket->descriptor))
            return;
        socket->ready.tokens--;
    }
    if (send(socket->our_end, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
        socket->ready.tokens++;
}

/* Whether the progress thread has to make up for a token that is not there. */
static void owe(struct socket *socket, bool is_owed)
{
    if (atomic_load_explicit(&socket->progress.is_token_owed, memory_order_relaxed) != is_owed)
        atomic_store_explicit(&socket->progress.is_token_owed, is_owed, memory_order_relaxed);
}

static void update_in(struct socket *socket, bool is_late_allowed)
{
    uint32_t shared = socket_shared_ready(socket);
    uint64_t sequence = 0;

    if (shared == 0 || socket->is_shut || shared <= socket->shared_wanted) {
        if (socket->ready.tokens > 0)
            tokens_clear(socket);
        owe(socket, false);
        return;
    }
    if (socket->ready.tokens == 0 && is_late_allowed) {
        owe(socket, true);
        return;
    }
    sequence = homa_engine_ready_sequence(socket->engine);
    if (socket->ready.tokens > 0 && (!socket->ready.is_taken || sequence == socket->ready.seen))
        return;
    token_put(socket);
    owe(socket, false);
    socket->ready.seen = sequence;
    socket->ready.is_taken = false;
}

static void update_out(struct socket *socket)
{
    static const char zeros[REFUSAL_BYTES];
    bool is_refused = !buffer_has_room(socket) && !socket->is_shut;

    if (is_refused == socket->ready.is_out_refused)
        return;
    if (is_refused) {
        if (!is_descriptor_ours(socket) ||
            send(socket->descriptor, zeros, sizeof(zeros), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            return;
    } else {
        (void)read_one(socket->our_end);
    }
    socket->ready.is_out_refused = is_refused;
}

static void update(struct socket *socket, bool is_late_allowed)
{
    if (socket->is_closed)
        return;
    update_in(socket, is_late_allowed);
    update_out(socket);
    /* Only our sending half: with both, our end would look as if the application had closed its
     * own. POLLIN on the application's end is what the interface promises after shutdown. */
    if (socket->is_shut && !socket->ready.is_shut) {
        (void)shutdown(socket->our_end, SHUT_WR);
        socket->ready.is_shut = true;
    }
}

void ready_update(struct socket *socket)
{
    const struct waiter *leader = socket->leader;
    bool is_taker_near = leader == NULL || leader->kind == WAIT_SHARED || leader->kind == WAIT_POLL;

    update(socket, socket->habit == HABIT_INSIDE && is_taker_near);
}

void ready_update_now(struct socket *socket)
{
    update(socket, false);
}

void ready_reset(struct socket *socket)
{
    if (is_descriptor_ours(socket)) {
        while (read_one(socket->descriptor))
            continue;
    }
    while (read_one(socket->our_end))
        continue;
    socket->ready.tokens = 0;
    socket->ready.is_out_refused = false;
}
