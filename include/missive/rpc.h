/*
 * Homa RPCs without ceremony: a client calls, a server's handler answers, and nobody sees a bpage.
 * The sockets beneath are those of missive/socket.h; both can be used in one program.
 *
 * Functions that return int give 0 on success and a negative errno on failure, and msv_rpc_errmsg()
 * then has a sentence. Addresses are text: "example.org:4000", "10.0.0.1:4000", "[::1]:4000".
 * Messages have 1 to 1,000,000 bytes.
 *
 * Threads: every function may be called from any thread. A client may be shared by any number of
 * threads; each gets its own answers. A server runs its handler in the threads that call
 * msv_server_run(); several may. A thread that waits in one of them cannot be cancelled. Only
 * msv_server_stop() may be called from a signal handler. fork: as missive/socket.h has it.
 */
#ifndef MISSIVE_RPC_H
#define MISSIVE_RPC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/*
 * Why the calling thread's last failed call of this header failed, as a sentence. Never NULL; valid
 * until the thread's next failure.
 */
const char *msv_rpc_errmsg(void);

/* ---- messages received ---- */

/*
 * A received message. It borrows the socket's receive buffers until it is freed, so that nothing is
 * copied; free it soon when memory matters: a client or server whose buffers are all borrowed
 * receives nothing. Any thread may read and free it, one at a time, also after its client has been
 * closed.
 */
struct msv_message;

/* Bytes in the message. */
size_t msv_message_length(const struct msv_message *message);

/* Copies up to size bytes from offset on into buffer. Returns how many (0 at the end). */
size_t msv_message_read(const struct msv_message *message, size_t offset, void *buffer,
                        size_t size);

/*
 * Borrows the contiguous bytes that start at offset: *bytes points at them, and their number is
 * returned (at least 1, up to 64 KiB; 0 at the end). Valid until the message is freed.
 */
size_t msv_message_peek(const struct msv_message *message, size_t offset, const void **bytes);

/* The peer: who asked, or who answered. A struct sockaddr_in or sockaddr_in6, as ss_family says. */
void msv_message_peer(const struct msv_message *message, struct sockaddr_storage *peer);

/* Gives the message's buffers back. NULL is allowed. */
void msv_message_free(struct msv_message *message);

/* ---- clients ---- */

struct msv_client;

/* What a client or server can be given beside the defaults; zero the struct, then set what you
 * need.
 */
struct msv_rpc_options {
    int family; /* AF_INET or AF_INET6; 0 = for a server as its address needs, else AF_INET6 if
                   the machine has it (it reaches both) */
    size_t buffer_bytes; /* receive buffers; 0 = 64 MiB (memory is used as messages arrive); raised
                            to what a socket needs at least */
};

/* Makes a client. options may be NULL. Returns 0, or the negative errno of msv_socket(), or
 * -ENOMEM.
 */
int msv_client_open(struct msv_client **client, const struct msv_rpc_options *options);

/*
 * Ends all calls of the client (those blocked return -ESHUTDOWN), waits until they have returned,
 * and frees it. NULL is allowed.
 */
void msv_client_close(struct msv_client *client);

/*
 * Calls and waits for the response. request: copied. timeout_ms: negative = as long as the protocol
 * tries, that is, until the server has been silent for the knob timeout_ticks; 0 = without waiting.
 * Signals do not interrupt it. On success *response is the caller's to free; else it is NULL.
 * A host name is looked up at every call: msv_resolve() does it once.
 *
 * -EINVAL (address or length), -ENOENT (host name unknown), -ETIMEDOUT (whether the server served
 * the call is unknown), -ENOTCONN (nobody listens there), -EHOSTUNREACH, -ENOBUFS (too many calls
 * at once), -ESHUTDOWN (the client is being closed), -ENOMEM.
 */
int msv_call(struct msv_client *client, const char *server, const void *request, size_t length,
             int timeout_ms, struct msv_message **response);

/* As msv_call, to an address that msv_resolve() gave. */
int msv_call_address(struct msv_client *client, const struct sockaddr_storage *server,
                     const void *request, size_t length, int timeout_ms,
                     struct msv_message **response);

/* Turns "host:port" into an address that this client reaches. -EINVAL, -ENOENT, -ENOMEM. */
int msv_resolve(struct msv_client *client, const char *server, struct sockaddr_storage *address);

/*
 * Starts a call and returns at once. The response comes from msv_call_end with the same cookie.
 * Blocks only while too many bytes are queued to be sent (the knob wmem_max). *id (id may be NULL)
 * names the call for msv_call_abort. -EINVAL, -ENOBUFS, -ESHUTDOWN, -ENOMEM.
 */
int msv_call_begin(struct msv_client *client, const struct sockaddr_storage *server,
                   const void *request, size_t length, uint64_t cookie, uint64_t *id);

/*
 * Waits up to timeout_ms (negative = for ever, 0 = not at all) for any call begun to finish.
 * *finished 1: one did; *cookie tells which. Returns 0 with *response; or the call's failure
 * (-ETIMEDOUT, -ENOTCONN, -EHOSTUNREACH, …) with *response NULL.
 * *finished 0: none did, *response is NULL. Returns -EAGAIN (not in time), -EINTR (a signal handler
 * ran), -ESHUTDOWN, -ENOMEM.
 */
int msv_call_end(struct msv_client *client, int timeout_ms, uint64_t *cookie,
                 struct msv_message **response, int *finished);

/* Forgets a call begun: its response will not come. 0, -ENOENT when it is over, -ESHUTDOWN. */
int msv_call_abort(struct msv_client *client, uint64_t id);

/* The descriptor, for poll: readable when msv_call_end has something. */
int msv_client_descriptor(const struct msv_client *client);

/* ---- servers ---- */

struct msv_server;

/* One request being served. It must be answered or dropped exactly once, from any thread. */
struct msv_request;

/*
 * Called for each request. The request's message is valid until the request is answered or dropped.
 * The handler may answer at once, or keep the request and answer later from another thread.
 */
typedef void msv_handler(void *context, struct msv_request *request);

/*
 * Makes a server. address: "host:port"; "*:4000" or ":4000" for all addresses of the machine. Port
 * 1 .. 32767, or 0 for any free one (msv_server_port tells which). options may be NULL.
 * -EINVAL, -ENOENT (host name unknown), -EADDRINUSE, -EADDRNOTAVAIL (not an address of this
 * machine), -EACCES (port below 1024 without privilege), or as msv_client_open.
 */
int msv_server_open(struct msv_server **server, const char *address,
                    const struct msv_rpc_options *options);

/* The port it listens on. */
int msv_server_port(const struct msv_server *server);

/*
 * Serves until msv_server_stop(). May be called from several threads at once. Signals do not
 * interrupt it. Returns 0 after a stop, or the negative errno that made serving impossible.
 */
int msv_server_run(struct msv_server *server, msv_handler *handler, void *context);

/* Makes every msv_server_run return after the handler it is in. Any thread; async-signal-safe. */
void msv_server_stop(struct msv_server *server);

/*
 * Frees the server after its runs have returned. Requests that are still kept must be answered or
 * dropped all the same, which then only frees them. NULL is allowed.
 */
void msv_server_close(struct msv_server *server);

/* What the client asked. Belongs to the request: do not free. */
const struct msv_message *msv_request_message(const struct msv_request *request);

/*
 * Answers the request and frees it. response: copied. Returns 0 also when the client is gone.
 * -EINVAL (length) and -ENOMEM: the request is still to be answered. -ESHUTDOWN (the server has
 * been closed) and all others: it is freed.
 */
int msv_reply(struct msv_request *request, const void *response, size_t length);

/* Frees the request without an answer: its client gets -ETIMEDOUT. NULL is allowed. */
void msv_drop(struct msv_request *request);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
