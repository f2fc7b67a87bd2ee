/*
 * A socket's life: made whole before anybody can find it, closed under its lock (after which it
 * does nothing any more: no packet, no byte into the region), freed when its last user has left.
 */
#include "socket/socket.h"

#include <missive/homa.h>
#include <missive/socket.h>

#include "socket/address.h"
#include "socket/buffer.h"
#include "socket/clock.h"
#include "socket/conf.h"
#include "socket/fork.h"
#include "socket/process.h"
#include "socket/progress.h"
#include "socket/pump.h"
#include "wire/chaos.h"
#include "wire/udp.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Limits of one socket. Memory is used as it is needed. */
#define RPCS_MAX       65536u
#define PEERS_MAX      16384u
#define TOMBSTONES_MAX 65536u

/* Before the wire has said how much fits: every path carries this. */
#define PACKET_BYTES 1200u

/* How often to try for the lock before sleeping: a few microseconds. */
#define LOCK_TURNS 100

/* How often the one that spins lets another thread go first, at most in a row. */
#define LET_OTHERS_TURNS 100

const char *msv_version(void)
{
    return MISSIVE_VERSION;
}

/* ---- the lock ---- */

void socket_lock(struct socket *socket)
{
    int result = pthread_mutex_trylock(&socket->lock);

    if (result == 0)
        return;
    (void)atomic_fetch_add_explicit(&socket->contenders, 1, memory_order_relaxed);
    /* Whoever has it gives it back in a moment, and one who spins with it sees us at once. */
    for (int turn = 0; result != 0 && turn < LOCK_TURNS && process_cpus() > 1; turn++) {
        spin_pause();
        result = pthread_mutex_trylock(&socket->lock);
    }
    if (result != 0)
        (void)pthread_mutex_lock(&socket->lock);
    (void)atomic_fetch_sub_explicit(&socket->contenders, 1, memory_order_relaxed);
}

void socket_unlock(struct socket *socket)
{
    (void)pthread_mutex_unlock(&socket->lock);
}

void socket_let_others(struct socket *socket)
{
    if (atomic_load_explicit(&socket->contenders, memory_order_relaxed) == 0)
        return;
    socket_unlock(socket);
    for (int turn = 0; turn < LET_OTHERS_TURNS; turn++) {
        if (atomic_load_explicit(&socket->contenders, memory_order_relaxed) == 0)
            break;
        (void)sched_yield();
    }
    socket_lock(socket);
}

/* ---- making one ---- */

/* Bursts beyond the receive buffer are lost and sent again, which nobody sees but the clock. */
static void advise(const struct socket *socket, const struct wire *carrier)
{
    uint32_t granted = 0;
    uint32_t wanted = 0;

    wire_udp_buffers(carrier, &granted, &wanted);
    if (socket->grant_knobs.verbose > 0 && granted < wanted)
        (void)fprintf(stderr,
                      "missive: the receive buffer has %u of %u bytes; for fewer losses: "
                      "sysctl -w net.core.rmem_max=%u\n",
                      granted, wanted, wanted);
}

int socket_open_wire(struct socket *socket, const struct base_ip *local, uint32_t scope,
                     uint16_t port, struct wire **wire)
{
    struct wire_udp_options options = {.family = socket->family,
                                       .local = *local,
                                       .scope = scope,
                                       .port = port,
                                       .lowest_port = HOMA_MIN_DEFAULT_PORT,
                                       .gso_bytes = socket->grant_knobs.max_gso_size,
                                       .seed = process_seed()};
    struct wire_chaos_options chaos;
    char why[CONF_REASON_MAX + 1] = "";
    bool is_chaotic = false;
    struct wire *carrier = NULL;
    int result = conf_chaos(&chaos, &is_chaotic, why, sizeof(why));

    if (result != 0)
        return sentence_fail(socket, -result, "%s", why);
    result = wire_udp_open(&options, &carrier);
    if (result != 0)
        return result;
    advise(socket, carrier);
    if (is_chaotic) {
        result = wire_chaos_open(&chaos, carrier, homa_packet_front_length, wire);
        if (result != 0)
            wire_close(carrier);
        return result;
    }
    *wire = carrier;
    return 0;
}

static int open_engine(struct socket *socket, const struct homa_knobs *knobs)
{
    struct homa_engine_options options = {.knobs = *knobs,
                                          .seed = process_seed(),
                                          .now = clock_now(),
                                          .max_message = HOMA_MAX_MESSAGE_LENGTH,
                                          .max_rpcs = RPCS_MAX,
                                          .max_peers = PEERS_MAX,
                                          .max_tombstones = TOMBSTONES_MAX,
                                          .packet_bytes = PACKET_BYTES,
                                          .port = wire_port(socket->wire),
                                          .format = HOMA_FORMAT_UDP};

    return homa_engine_open(&options, &socket->engine);
}

static void attach(struct socket *socket)
{
    (void)pthread_mutex_lock(process_sched_lock());
    homa_engine_attach(socket->engine, process_sched(), socket, wire_capacity(socket->wire) / 2);
    (void)pthread_mutex_unlock(process_sched_lock());
}

/* Everything but the place in the table. On failure socket_destroy cleans up. */
static int build(struct socket *socket, int type_flags, const struct homa_knobs *knobs)
{
    struct base_ip any = {{0}};
    int result = process_start(knobs);

    if (result != 0)
        return result;
    /* First, so that the application gets the lowest number, as from socket(2). */
    result = ready_open(type_flags, &socket->descriptor, &socket->our_end, &socket->cookie);
    if (result != 0)
        return result;
    result = socket_open_wire(socket, &any, 0, 0, &socket->wire);
    if (result != 0)
        return result;
    result = open_engine(socket, knobs);
    if (result != 0)
        return result;
    socket->wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (socket->wake_descriptor < 0)
        return -errno;
    socket->deadline = CLOCK_NEVER;
    attach(socket);
    return 0;
}

static struct socket *allocate(int family, int type_flags, const struct homa_knobs *knobs)
{
    struct socket *socket = calloc(1, sizeof(*socket));

    if (socket == NULL)
        return NULL;
    if (pthread_mutex_init(&socket->lock, NULL) != 0) {
        free(socket);
        return NULL;
    }
    socket->family = family;
    socket->descriptor = -1;
    socket->our_end = -1;
    socket->wake_descriptor = -1;
    socket->is_nonblocking = (type_flags & SOCK_NONBLOCK) != 0;
    socket->grant_knobs = *knobs;
    socket->fork_generation = fork_generation();
    TAILQ_INIT(&socket->waiters);
    options_default(&socket->options);
    return socket;
}

/* What a socket holds from outside itself: given back once, under its lock or by its only user. */
static void dismantle(struct socket *socket)
{
    struct mem_payload_list released = SLIST_HEAD_INITIALIZER(released);
    struct mem_payload *payload = NULL;

    if (socket->engine != NULL) {
        homa_engine_shutdown(socket->engine, clock_now());
        homa_engine_released(socket->engine, &released);
        while ((payload = SLIST_FIRST(&released)) != NULL) {
            SLIST_REMOVE_HEAD(&released, released);
            buffer_released(socket, payload);
        }
        (void)pthread_mutex_lock(process_sched_lock());
        homa_engine_detach(socket->engine);
        (void)pthread_mutex_unlock(process_sched_lock());
    }
    wire_close(socket->wire);
    socket->wire = NULL;
}

void socket_destroy(struct socket *socket)
{
    assert(TAILQ_EMPTY(&socket->waiters));
    if (!socket->is_closed)
        dismantle(socket);
    fork_forget(socket);
    if (socket->engine != NULL)
        homa_engine_close(socket->engine);
    if (socket->pool != NULL)
        bpage_pool_close(socket->pool);
    if (socket->our_end >= 0)
        (void)close(socket->our_end);
    if (socket->wake_descriptor >= 0)
        (void)close(socket->wake_descriptor);
    (void)pthread_mutex_destroy(&socket->lock);
    free(socket);
}

/* Into the table, and under the progress thread's eyes. */
static int publish(struct socket *socket)
{
    struct table_slot *stale = NULL;
    int result = 0;

    socket->slot = table_add(socket);
    if (socket->slot == NULL) {
        (void)close(socket->descriptor);
        socket_destroy(socket);
        return -ENOMEM;
    }
    socket_lock(socket);
    result = progress_watch(socket, clock_now());
    socket_unlock(socket);
    if (result == 0)
        result = table_publish(socket->descriptor, socket->slot, &stale);
    if (result != 0)
        socket_close(socket, false);
    if (stale != NULL)
        socket_close(stale->socket, true);
    return result;
}

static int check_kind(int domain, int type, int protocol)
{
    if (domain != AF_INET && domain != AF_INET6)
        return sentence_fail(NULL, EAFNOSUPPORT, "address family %d: Homa has AF_INET and AF_INET6",
                             domain);
    if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_DGRAM)
        return sentence_fail(NULL, ESOCKTNOSUPPORT, "socket type %d: Homa has SOCK_DGRAM only",
                             type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (protocol != IPPROTO_HOMA)
        return sentence_fail(NULL, EPROTONOSUPPORT, "protocol %d: only IPPROTO_HOMA (%d) is there",
                             protocol, IPPROTO_HOMA);
    return 0;
}

static int make(int domain, int type, int protocol)
{
    struct homa_knobs knobs;
    char why[CONF_REASON_MAX + 1] = "";
    struct socket *socket = NULL;
    int descriptor = -1;
    int result = check_kind(domain, type, protocol);

    if (result != 0)
        return result;
    result = conf_load(&knobs, why, sizeof(why));
    if (result != 0)
        return sentence_fail(NULL, -result, "%s", why);
    socket = allocate(domain, type, &knobs);
    if (socket == NULL)
        return sentence_fail(NULL, ENOMEM, "no memory for a socket");
    sentence_pass(0, "");
    result = build(socket, type, &knobs);
    if (result != 0) {
        if (socket->descriptor >= 0)
            (void)close(socket->descriptor);
        socket_destroy(socket);
    } else {
        descriptor = socket->descriptor;
        result = publish(socket);
    }
    if (result == 0)
        return descriptor;
    if (*sentence_last(-1) == '\0')
        sentence_fail(NULL, -result, "cannot make a socket: %s", strerror(-result));
    return result;
}

int msv_socket(int domain, int type, int protocol)
{
    struct call call = {0};

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &call.cancel_state);
    sentence_about(-1);
    return call_end_int(&call, make(domain, type, protocol));
}

/* ---- ending one ---- */

void socket_close(struct socket *socket, bool is_descriptor_gone)
{
    struct table_slot *slot = socket->slot;

    socket_lock(socket);
    fork_give_up(socket);
    progress_forget(socket);
    dismantle(socket);
    socket->is_closed = true;
    wait_call_all(socket);
    /* For threads that poll the descriptor. A child that inherited it has a use for it yet. */
    if (socket->fork_owner == NULL)
        (void)shutdown(socket->our_end, SHUT_RDWR);
    socket_unlock(socket);
    if (!is_descriptor_gone)
        (void)close(socket->descriptor);
    table_closed(socket->descriptor);
    table_put(slot);
}

int msv_close(int fd)
{
    struct call call = {0};
    struct socket *socket = NULL;
    int result = 0;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &call.cancel_state);
    sentence_about(fd);
    socket = table_get(fd);
    if (socket == NULL) {
        result = call_fail_unknown(fd);
    } else {
        struct table_slot *slot = socket->slot;

        /* Of two threads that close it, one is too late. */
        if (table_withdraw(fd, slot))
            socket_close(socket, false);
        else
            result = sentence_fail(NULL, EBADF, "descriptor %d is not open", fd);
        table_put(slot);
    }
    return call_end_int(&call, result);
}

int msv_shutdown(int fd, int how)
{
    struct call call;
    int result = call_begin(&call, fd);

    (void)how;
    if (result == 0 && !call.socket->is_shut) {
        call.socket->is_shut = true;
        homa_engine_shutdown(call.socket->engine, call.now);
        call.socket->deferred = (struct deferred){.reserved = call.socket->deferred.reserved};
        pump_output(call.socket, call.now);
        wait_call_all(call.socket);
        ready_update(call.socket);
    }
    return call_end_int(&call, result);
}
