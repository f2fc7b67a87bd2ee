/*
 * Send memory: where outgoing messages lie from sendmsg until their RPC is over. The engine refers
 * to a buffer through its payload and lists it as released when it lets go.
 */
#ifndef SOCKET_BUFFER_H
#define SOCKET_BUFFER_H

#include "memory/payload.h"

#include <stdint.h>
#include <stdbool.h>

struct socket;

struct buffer {
    struct mem_payload payload; /* first: buffer_released is given this */
    bool is_filling;            /* a thread still copies into it */
    bool is_released;           /* the engine has let go of it meanwhile */
    bool is_paced;              /* counted in the socket's long_buffers */
    uint8_t bytes[];
};

/* Makes a buffer for a message of length bytes and counts it. NULL when memory is short. */
struct buffer *buffer_new(struct socket *socket, uint32_t length);

/* Frees a buffer that the engine does not refer to (any more), and uncounts it. */
void buffer_free(struct socket *socket, struct buffer *buffer);

/* What to do with a payload that the engine has released. */
void buffer_released(struct socket *socket, struct mem_payload *payload);

/* Whether another message may be queued. */
bool buffer_has_room(const struct socket *socket);

#endif
