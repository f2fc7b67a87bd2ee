/*
 * Names: bind, getsockname, and the calls that a message socket has for form's sake. Binding moves
 * the socket to another wire, because on the udp carrier a Homa port is a UDP port.
 */
#include <missive/homa.h>
#include <missive/socket.h>

#include "socket/address.h"
#include "socket/clock.h"
#include "socket/process.h"
#include "socket/progress.h"
#include "socket/pump.h"
#include "socket/socket.h"

#include <errno.h>
#include <string.h>

/* Stops at the first RPC that would be lost if the port changed: peers would send to, or expect
 * packets from, the old one. A server's that has been answered in full has nothing to lose. */
static bool see_movable(void *context, const struct homa_rpc_view *view)
{
    bool is_server = (view->id & 1) != 0;
    bool is_over = is_server && view->tx_length >= 0 && view->tx_sent >= (uint32_t)view->tx_length;

    *(bool *)context = is_over;
    return is_over;
}

static int check_address(struct socket *socket, const struct sockaddr *address, socklen_t length,
                         struct base_address *to)
{
    int result = 0;

    if (address == NULL)
        return sentence_fail(socket, EFAULT, "bind: the address is a null pointer");
    result = address_read(socket->family, address, length, to);
    if (result == -EINVAL)
        return sentence_fail(socket, EINVAL,
                             "bind: address of %u bytes is too short for its family", length);
    if (result != 0)
        return sentence_fail(socket, EAFNOSUPPORT,
                             "bind: the address's family differs from the socket's");
    if (to->port >= HOMA_MIN_DEFAULT_PORT)
        return sentence_fail(socket, EINVAL, "bind: port %u is not a server's; these are below %u",
                             to->port, HOMA_MIN_DEFAULT_PORT);
    if (socket->is_shut)
        return sentence_fail(socket, ESHUTDOWN, "bind: the socket has been shut down");
    return 0;
}

/* From now on everything goes through this wire. */
static void change_wire(struct socket *socket, struct wire *wire, const struct base_address *at)
{
    struct wire *old = socket->wire;

    options_repeat(&socket->options, wire);
    (void)pthread_mutex_lock(process_sched_lock());
    socket->wire = wire;
    homa_engine_detach(socket->engine);
    homa_engine_attach(socket->engine, process_sched(), socket, wire_capacity(wire) / 2);
    (void)pthread_mutex_unlock(process_sched_lock());
    wire_close(old);
    socket->local = at->remote;
    socket->scope = at->scope;
    homa_engine_set_port(socket->engine, wire_port(wire));
    homa_engine_set_server(socket->engine, true);
}

static int fail_open(struct socket *socket, const struct base_address *at, int error)
{
    switch (error) {
    case EADDRINUSE:
        return sentence_fail(socket, error, "bind: UDP port %u is in use by another socket",
                             at->port);
    case EACCES:
        return sentence_fail(socket, error,
                             "bind: on the udp carrier port %u needs privilege "
                             "(net.ipv4.ip_unprivileged_port_start)",
                             at->port);
    case EADDRNOTAVAIL:
        return sentence_fail(socket, error, "bind: this host does not have that address");
    case EINVAL:
        return sentence_fail(socket, error,
                             "bind: the address does not fit; a link-local one needs its "
                             "sin6_scope_id");
    default:
        return sentence_fail(socket, error, "bind: cannot open port %u: %s", at->port,
                             strerror(error));
    }
}

static int bind_to(struct socket *socket, const struct sockaddr *address, socklen_t length)
{
    struct base_address at = {.port = 0};
    struct wire *wire = NULL;
    bool is_movable = true;
    int result = check_address(socket, address, length, &at);

    if (result != 0 || at.port == 0)
        return result;
    /* An IPv4 wildcard is one, whatever form it has. */
    if (base_ip_is_mapped(&at.remote) && memcmp(at.remote.bytes + 12, "\0\0\0\0", 4) == 0 &&
        socket->family == AF_INET)
        at.remote = (struct base_ip){{0}};
    if (at.port == wire_port(socket->wire)) {
        /* One's own port again is no change (the address stays as it is). */
        homa_engine_set_server(socket->engine, true);
        return 0;
    }
    homa_engine_view(socket->engine, see_movable, &is_movable);
    if (!is_movable)
        return sentence_fail(socket, EBUSY,
                             "bind: RPCs are outstanding on port %u and would be lost",
                             wire_port(socket->wire));
    sentence_clear();
    result = socket_open_wire(socket, &at.remote, at.scope, at.port, &wire);
    if (result == -EINVAL && sentence_is_new()) /* a wrong MISSIVE_CHAOS has said so already */
        return result;
    if (result != 0)
        return fail_open(socket, &at, -result);
    progress_attend(socket, clock_now()); /* nothing of ours holds on to the old wire */
    change_wire(socket, wire, &at);
    wait_call_all(socket);
    return 0;
}

int msv_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    struct call call;
    int result = call_begin(&call, fd);

    if (result == 0)
        result = bind_to(call.socket, address, length);
    return call_end_int(&call, result);
}

static int give_name(struct socket *socket, struct sockaddr *address, socklen_t *length)
{
    struct sockaddr_storage name = {0};
    socklen_t true_length = 0;

    if (address == NULL || length == NULL)
        return sentence_fail(socket, EFAULT, "getsockname: the address is a null pointer");
    if (*length > INT32_MAX)
        return sentence_fail(socket, EINVAL, "getsockname: the length is negative");
    true_length = address_write(socket->family, &socket->local, socket->scope,
                                wire_port(socket->wire), &name);
    address_give(&name, true_length, address, length);
    return 0;
}

int msv_getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
    struct call call;
    int result = call_begin(&call, fd);

    if (result == 0)
        result = give_name(call.socket, address, length);
    return call_end_int(&call, result);
}

int msv_getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
    struct call call;
    int result = call_begin(&call, fd);

    (void)address;
    (void)length;
    if (result == 0)
        result = sentence_fail(call.socket, ENOTCONN, "getpeername: a Homa socket has no peer");
    return call_end_int(&call, result);
}

int msv_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    struct call call;
    int result = call_begin(&call, fd);

    (void)address;
    (void)length;
    return call_end_int(&call, result);
}

static int refuse(int fd, const char *what)
{
    struct call call;
    int result = call_begin(&call, fd);

    if (result == 0)
        result =
            sentence_fail(call.socket, EOPNOTSUPP, "%s: a Homa socket has no connections", what);
    return call_end_int(&call, result);
}

int msv_listen(int fd, int backlog)
{
    (void)backlog;
    return refuse(fd, "listen");
}

int msv_accept(int fd, struct sockaddr *address, socklen_t *length)
{
    (void)address;
    (void)length;
    return refuse(fd, "accept");
}
