/*
 * Homa RPCs without ceremony: a client calls, a server's handler answers, and nobody sees a bpage. Built
 * on missive/socket.h alone; the two can be mixed on different sockets of one program.
 *
 * Functions return 0 (or a count) on success and a negative errno on failure, and msv_rpc_errmsg() then
 * has a sentence. Addresses are text: "host:port", "1.2.3.4:4000", "[::1]:4000".
 *
 * Threads: a client may be shared by any number of threads. A server runs its handler in the threads
 * that call msv_server_run(); several may.
 */
#ifndef MISSIVE_RPC_H
#define MISSIVE_RPC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The calling thread's last failure in this header, as a sentence. Never NULL. */
const char *msv_rpc_errmsg(void);

/* ---- messages received ---- */

/*
 * A received message. It borrows the socket's receive buffers until it is freed, so that nothing is
 * copied; free it soon when memory matters. Any thread may read and free it, one at a time. Free
 * all messages before closing their client or server.
 */
struct msv_message;

/* Bytes in the message. */
size_t msv_message_length(const struct msv_message *message);

/* Copies up to size bytes from offset on into buffer. Returns how many (0 at the end). */
size_t msv_message_read(const struct msv_message *message, size_t offset, void *buffer, size_t size);

/*
 * Borrows the contiguous bytes that start at offset: *bytes points at them, and their number is returned
 * (at least 1, up to 64 KiB; 0 at the end). Valid until the message is freed.
 */
size_t msv_message_peek(const struct msv_message *message, size_t offset, const void **bytes);

/* The peer: who asked, or who answered. */
void msv_message_peer(const struct msv_message *message, struct sockaddr_storage *peer);

/* Gives the message's buffers back. NULL is allowed. */
void msv_message_free(struct msv_message *message);

/* ---- clients ---- */

struct msv_client;

/* What a client or server can be given beside the defaults; zero the struct, then set what you need. */
struct msv_rpc_options {
    int family;           /* AF_INET or AF_INET6; 0 = AF_INET6 if the machine has it (reaches both) */
    size_t buffer_bytes;  /* receive region; 0 = 64 MiB (memory is used as messages arrive) */
};

/*
 * Makes a client. options may be NULL. Returns 0, or the negative errno of msv_socket, or -ENOMEM.
 */
int msv_client_open(struct msv_client **client, const struct msv_rpc_options *options);

/* Ends all calls of the client (those blocked return -ESHUTDOWN) and frees it. NULL is allowed. */
void msv_client_close(struct msv_client *client);

/*
 * Calls and waits for the response. request: 1 .. 1,000,000 bytes, copied. timeout_ms: -1 = as long as the
 * protocol tries. On success *response is the caller's to free.
 * -EINVAL (address or length), -ETIMEDOUT, -ENOTCONN (nobody listens there), -EHOSTUNREACH, -ESHUTDOWN, -ENOMEM,
 * -ENOENT (host name unknown).
 */
int msv_call(struct msv_client *client, const char *server, const void *request, size_t length,
             int timeout_ms, struct msv_message **response);

/* Turns "host:port" into an address once, for msv_call_begin. Same errors. */
int msv_resolve(struct msv_client *client, const char *server, struct sockaddr_storage *address);

/*
 * Starts a call and returns at once. The response comes from msv_call_end with the same cookie. Blocks
 * only while too many bytes are queued to be sent. *id (may be NULL) names the call for msv_call_abort.
 */
int msv_call_begin(struct msv_client *client, const struct sockaddr_storage *server, const void *request,
                   size_t length, uint64_t cookie, uint64_t *id);

/*
 * Waits up to timeout_ms (-1 = for ever, 0 = not at all) for any call begun to finish. Returns 0 with *cookie and
 * *response; or the call's failure with *cookie and *response NULL and *finished 1; or -EAGAIN with
 * *finished 0 when none finished in time.
 */
int msv_call_end(struct msv_client *client, int timeout_ms, uint64_t *cookie, struct msv_message **response,
                 int *finished);

/* Forgets a call begun: its response will not come. 0, or -ENOENT when it is over. */
int msv_call_abort(struct msv_client *client, uint64_t id);

/* The descriptor, for poll: readable when msv_call_end has something. */
int msv_client_descriptor(const struct msv_client *client);

/* ---- servers ---- */

struct msv_server;

/* One request being served. It must be answered or dropped exactly once, from any thread. */
struct msv_request;

/*
 * Called for each request. The request's message is valid until the request is answered or dropped. The
 * handler may answer at once or keep the request and answer later from another thread.
 */
typedef void msv_handler(void *context, struct msv_request *request);

/*
 * Makes a server. address: "host:port", "*:4000" or ":4000" for all addresses; port 1 .. 32767, or 0 to be
 * given one from 0x8000 up (see msv_server_port). Returns 0, -EADDRINUSE, -EACCES, -EADDRNOTAVAIL, -EINVAL, or as
 * msv_client_open.
 */
int msv_server_open(struct msv_server **server, const char *address, const struct msv_rpc_options *options);

/* The port it listens on. */
int msv_server_port(const struct msv_server *server);

/*
 * Serves until msv_server_stop(). May be called from several threads at once. Returns 0 after a stop, or
 * the negative errno that made serving impossible.
 */
int msv_server_run(struct msv_server *server, msv_handler *handler, void *context);

/* Makes every msv_server_run return after the handler it is in. Any thread; async-signal-safe. */
void msv_server_stop(struct msv_server *server);

/* Frees the server after its runs have returned. Requests kept must have been answered or dropped. */
void msv_server_close(struct msv_server *server);

/* What the client asked. Belongs to the request: do not free. */
const struct msv_message *msv_request_message(const struct msv_request *request);

/*
 * Answers and frees the request. 1 .. 1,000,000 bytes, copied. Returns 0 also when the client is gone.
 * -EINVAL (length: the request is still to be answered), -ENOMEM, -ESHUTDOWN (the request is freed).
 */
int msv_reply(struct msv_request *request, const void *response, size_t length);

/* Frees the request without an answer. */
void msv_drop(struct msv_request *request);

#ifdef __cplusplus
}
#endif

#endif
