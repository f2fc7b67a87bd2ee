/*
 * Servers: threads that wait for requests and run a handler for each. They wait in the socket's own
 * receive call, which wakes one thread per request; an eventfd that is written once and never read
 * ends the waiting, because writing it is all that a signal handler may do.
 */
#include <missive/rpc.h>
#include <missive/socket.h>

#include "rpc/address.h"
#include "rpc/endpoint.h"
#include "rpc/errmsg.h"
#include "socket/receive.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Where a server without a port of its own looks for one: ports that are for servers, away from the
 * well-known ones. */
#define FREE_PORT_FIRST 0x4000
#define FREE_PORT_LAST  (HOMA_MIN_DEFAULT_PORT - 1)
#define FREE_PORT_TRIES 1000

struct msv_server {
    struct rpc_endpoint *endpoint;
    int stop_fd; /* eventfd; readable once stopped */
    uint16_t port;
    atomic_bool is_stopped;
};

/* A request is its message: what is needed to answer is all in there. */
struct msv_request {
    struct msv_message message;
};

_Static_assert(sizeof(struct msv_request) == sizeof(struct msv_message),
               "a message's memory is also a request's");

/* ---- opening ---- */

static int bind_to(struct rpc_endpoint *endpoint, const struct sockaddr_storage *natural)
{
    struct sockaddr_storage fitted;
    socklen_t length = 0;
    char text[RPC_ADDRESS_TEXT];
    int result = rpc_address_fit(natural, endpoint->family, &fitted, &length);

    if (result != 0)
        return result;
    if (msv_bind(endpoint->fd, (const struct sockaddr *)&fitted, length) == 0)
        return 0;
    result = -errno;
    rpc_address_format(natural, text);
    switch (-result) {
    case EADDRINUSE:
        return rpc_fail(EADDRINUSE, "another program listens at %s", text);
    case EADDRNOTAVAIL:
        return rpc_fail(EADDRNOTAVAIL, "%s is not an address of this machine", text);
    case EACCES:
        return rpc_fail(EACCES, "%s needs privilege: ports below 1024 do", text);
    default:
        return rpc_fail_socket(endpoint->fd, -result, text);
    }
}

/* Binds to the address and any free port for servers. They begin at a place of this process's own.
 */
static int bind_to_free_port(struct rpc_endpoint *endpoint, struct sockaddr_storage *natural)
{
    const uint32_t count = FREE_PORT_LAST - FREE_PORT_FIRST + 1;
    uint32_t start = (uint32_t)(rpc_deadline(0) / 1000) + (uint32_t)getpid() * 101;
    int result = -EADDRINUSE;

    for (uint32_t i = 0; i < FREE_PORT_TRIES && result == -EADDRINUSE; i++) {
        rpc_address_set_port(natural, (uint16_t)(FREE_PORT_FIRST + (start + i) % count));
        result = bind_to(endpoint, natural);
    }
    return result;
}

/* Opens a socket that suits the address, and binds it. */
static int open_at(struct msv_server *server, const struct rpc_address *address, int family,
                   size_t buffer_bytes)
{
    struct sockaddr_storage natural;
    int result = 0;

    if (!address->is_any) {
        result = rpc_address_resolve(address, family != 0 ? family : AF_INET6, &natural);
        if (family == 0)
            family = natural.ss_family;
    }
    if (result != 0)
        return result;
    result = rpc_endpoint_open(&server->endpoint, family, buffer_bytes);
    if (result != 0)
        return result;
    if (address->is_any)
        rpc_address_any(server->endpoint->family, address->port, &natural);

    if (address->port != 0)
        result = bind_to(server->endpoint, &natural);
    else
        result = bind_to_free_port(server->endpoint, &natural);
    server->port = rpc_address_port(&natural);
    if (result != 0)
        rpc_endpoint_close(server->endpoint);
    return result;
}

int msv_server_open(struct msv_server **server, const char *address,
                    const struct msv_rpc_options *options)
{
    struct msv_server *opened = calloc(1, sizeof(*opened));
    struct rpc_address parsed;
    int result = 0;

    *server = NULL;
    if (opened == NULL)
        return rpc_fail(ENOMEM, "no memory for a server's record");
    opened->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (opened->stop_fd < 0) {
        result = rpc_fail(errno, "no descriptor to stop the server with: %s", strerror(errno));
        goto free_record;
    }
    result = rpc_address_parse(address, "a server's address", &parsed);
    if (result == 0 && parsed.port >= HOMA_MIN_DEFAULT_PORT)
        result = rpc_fail(EINVAL, "a server's port is 1 to %d, or 0 for any free one; got %u",
                          HOMA_MIN_DEFAULT_PORT - 1, parsed.port);
    if (result == 0)
        result = open_at(opened, &parsed, options != NULL ? options->family : 0,
                         options != NULL ? options->buffer_bytes : 0);
    if (result != 0)
        goto close_stop;
    *server = opened;
    return 0;

close_stop:
    (void)close(opened->stop_fd);
free_record:
    free(opened);
    return result;
}

int msv_server_port(const struct msv_server *server)
{
    return server->port;
}

void msv_server_close(struct msv_server *server)
{
    if (server == NULL)
        return;
    rpc_endpoint_close(server->endpoint);
    (void)close(server->stop_fd);
    free(server);
}

/* ---- serving ---- */

int msv_server_run(struct msv_server *server, msv_handler *handler, void *context)
{
    struct rpc_endpoint *endpoint = server->endpoint;
    struct rpc_outcome outcome;
    int result = rpc_endpoint_enter(endpoint);

    if (result != 0)
        return result;
    while (!atomic_load(&server->is_stopped)) {
        result = rpc_endpoint_receive(endpoint, 0, RPC_NEVER, server->stop_fd, &outcome);
        if (result == 0)
            handler(context, (struct msv_request *)outcome.message);
        else if (result != -EINTR)
            break;
    }
    if (atomic_load(&server->is_stopped))
        result = 0;
    rpc_endpoint_leave(endpoint); /* from here on the server may be gone */
    return result;
}

void msv_server_stop(struct msv_server *server)
{
    const uint64_t one = 1;
    int saved = errno;

    atomic_store(&server->is_stopped, true);
    ssize_t written = write(server->stop_fd, &one, sizeof(one));
    (void)written; /* it fails only when the count is full, and so readable */
    errno = saved;
}

/* ---- answering ---- */

const struct msv_message *msv_request_message(const struct msv_request *request)
{
    return &request->message;
}

int msv_reply(struct msv_request *request, const void *response, size_t length)
{
    struct rpc_endpoint *endpoint = request->message.endpoint;
    struct rpc_outgoing reply = {
        .to = &request->message.peer,
        .bytes = response,
        .length = length,
        .id = request->message.id,
    };
    int result = rpc_endpoint_enter(endpoint);

    if (result == 0) {
        result = rpc_endpoint_send(endpoint, &reply, RPC_NEVER);
        rpc_endpoint_leave(endpoint);
    }
    if (result != -EINVAL && result != -ENOMEM)
        rpc_endpoint_release(&request->message);
    return result;
}

void msv_drop(struct msv_request *request)
{
    if (request == NULL)
        return;

    struct rpc_endpoint *endpoint = request->message.endpoint;
    struct sockaddr_storage client;
    socklen_t length = 0;

    if (rpc_address_fit(&request->message.peer, endpoint->family, &client, &length) == 0 &&
        rpc_endpoint_enter(endpoint) == 0) {
        /* When the client has gone already, there is nothing to drop. */
        (void)socket_drop(endpoint->fd, (const struct sockaddr *)&client, length,
                          request->message.id);
        rpc_endpoint_leave(endpoint);
    }
    rpc_endpoint_release(&request->message);
}
