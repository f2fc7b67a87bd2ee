/*
 * Clients. A blocking call is a private RPC, so each thread waits for its own answer and none takes
 * another's; calls begun are shared RPCs that carry the program's cookie. Both use one socket.
 */
#include <missive/rpc.h>
#include <missive/socket.h>

#include "rpc/address.h"
#include "rpc/endpoint.h"
#include "rpc/errmsg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct msv_client {
    struct rpc_endpoint *endpoint;
};

int msv_client_open(struct msv_client **client, const struct msv_rpc_options *options)
{
    struct msv_client *opened = malloc(sizeof(*opened));
    int result;

    *client = NULL;
    if (opened == NULL)
        return rpc_fail(ENOMEM, "no memory for a client's record");
    result = rpc_endpoint_open(&opened->endpoint, options != NULL ? options->family : 0,
                               options != NULL ? options->buffer_bytes : 0);
    if (result != 0)
        free(opened);
    else
        *client = opened;
    return result;
}

void msv_client_close(struct msv_client *client)
{
    if (client == NULL)
        return;
    rpc_endpoint_close(client->endpoint);
    free(client);
}

int msv_client_descriptor(const struct msv_client *client)
{
    return client->endpoint->fd;
}

int msv_resolve(struct msv_client *client, const char *server, struct sockaddr_storage *address)
{
    struct rpc_address parsed;
    int result = rpc_address_parse(server, "server", &parsed);

    if (result != 0)
        return result;
    if (parsed.is_any || parsed.port == 0)
        return rpc_fail(EINVAL, "a call needs a host and a port, like 127.0.0.1:4000; got '%.100s'",
                        server);
    return rpc_address_resolve(&parsed, client->endpoint->family, address);
}

/* Keeps the sentence for an RPC that ended with `error` instead of a response, and returns -error.
 */
static int fail_call(const struct sockaddr_storage *server, int error)
{
    char text[RPC_ADDRESS_TEXT];

    rpc_address_format(server, text);
    switch (error) {
    case ENOTCONN:
        return rpc_fail(error, "nobody listens at %s", text);
    case ETIMEDOUT:
        return rpc_fail(error, "%s has been silent for too long (knob timeout_ticks)", text);
    case EHOSTUNREACH:
        return rpc_fail(error, "%s cannot be reached", text);
    default:
        return rpc_fail(error, "the call to %s failed: %s", text, strerror(error));
    }
}

/* Ends a call that the client gives up. Whether it is over already does not matter. */
static void abandon(struct rpc_endpoint *endpoint, uint64_t id)
{
    struct homa_abort_args args = {.id = id};

    (void)msv_ioctl(endpoint->fd, HOMAIOCABORT, &args);
}

/* Waits for the answer to a private RPC until the deadline. */
static int await(struct rpc_endpoint *endpoint, const struct rpc_outgoing *call, int timeout_ms,
                 uint64_t deadline_ns, struct msv_message **response)
{
    struct rpc_outcome outcome;
    char text[RPC_ADDRESS_TEXT];
    int result;

    do {
        result = rpc_endpoint_receive(endpoint, call->id, deadline_ns, -1, &outcome);
    } while (result == -EINTR);

    *response = outcome.message;
    if (result == -EAGAIN) {
        abandon(endpoint, call->id);
        return rpc_fail(ETIMEDOUT, "no answer from %s within %d ms",
                        rpc_address_format(call->to, text), timeout_ms);
    }
    if (result != 0 && outcome.id != 0)
        return fail_call(call->to, -result);
    if (result != 0)
        abandon(endpoint, call->id);
    return result;
}

int msv_call_address(struct msv_client *client, const struct sockaddr_storage *server,
                     const void *request, size_t length, int timeout_ms,
                     struct msv_message **response)
{
    struct rpc_endpoint *endpoint = client->endpoint;
    struct rpc_outgoing call = {
        .to = server, .bytes = request, .length = length, .is_private = true};
    uint64_t deadline_ns = rpc_deadline(timeout_ms);
    int result = rpc_endpoint_enter(endpoint);

    *response = NULL;
    if (result != 0)
        return result;
    result = rpc_endpoint_send(endpoint, &call, deadline_ns);
    if (result == 0)
        result = await(endpoint, &call, timeout_ms, deadline_ns, response);
    rpc_endpoint_leave(endpoint);
    return result;
}

int msv_call(struct msv_client *client, const char *server, const void *request, size_t length,
             int timeout_ms, struct msv_message **response)
{
    struct sockaddr_storage address;
    int result = msv_resolve(client, server, &address);

    *response = NULL;
    if (result != 0)
        return result;
    return msv_call_address(client, &address, request, length, timeout_ms, response);
}

int msv_call_begin(struct msv_client *client, const struct sockaddr_storage *server,
                   const void *request, size_t length, uint64_t cookie, uint64_t *id)
{
    struct rpc_outgoing call = {.to = server, .bytes = request, .length = length, .cookie = cookie};
    int result = rpc_endpoint_enter(client->endpoint);

    if (result != 0)
        return result;
    result = rpc_endpoint_send(client->endpoint, &call, RPC_NEVER);
    if (result == 0 && id != NULL)
        *id = call.id;
    rpc_endpoint_leave(client->endpoint);
    return result;
}

int msv_call_end(struct msv_client *client, int timeout_ms, uint64_t *cookie,
                 struct msv_message **response, int *finished)
{
    struct rpc_outcome outcome = {0};
    int result = rpc_endpoint_enter(client->endpoint);

    *response = NULL;
    *finished = 0;
    *cookie = 0;
    if (result != 0)
        return result;
    result = rpc_endpoint_receive(client->endpoint, 0, rpc_deadline(timeout_ms), -1, &outcome);
    rpc_endpoint_leave(client->endpoint);

    *finished = outcome.id != 0;
    *cookie = outcome.cookie;
    *response = outcome.message;
    if (result != 0 && outcome.id != 0)
        return fail_call(&outcome.peer, -result);
    if (result == -EAGAIN)
        return rpc_fail(EAGAIN, "no call has finished yet");
    if (result == -EINTR)
        return rpc_fail(EINTR, "a signal interrupted the wait");
    return result;
}

int msv_call_abort(struct msv_client *client, uint64_t id)
{
    struct homa_abort_args args = {.id = id};
    int result = rpc_endpoint_enter(client->endpoint);

    if (result != 0)
        return result;
    /* To the socket, id 0 means all of them. */
    if (id == 0 || msv_ioctl(client->endpoint->fd, HOMAIOCABORT, &args) != 0)
        result = rpc_fail(ENOENT, "there is no call %llu, or it is over", (unsigned long long)id);
    rpc_endpoint_leave(client->endpoint);
    return result;
}
