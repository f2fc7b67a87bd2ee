/*
 * Buffers come from malloc: it keeps what was freed, large blocks too once one of them has been
 * freed, so that a steady flow of messages takes no new memory from the kernel.
 *
 * The limit is the kernel's: a message may be queued while what is queued already does not exceed
 * wmem_max, so the limit itself can be passed by one message.
 */
#include "socket/buffer.h"

#include "socket/socket.h"

#include <assert.h>
#include <stdlib.h>

static bool is_paced(const struct socket *socket, uint32_t length)
{
    return length >= homa_engine_knobs(socket->engine)->defer_min_bytes;
}

struct buffer *buffer_new(struct socket *socket, uint32_t length)
{
    struct buffer *buffer = malloc(sizeof(*buffer) + length);

    if (buffer == NULL)
        return NULL;
    *buffer = (struct buffer){.payload = {.bytes = buffer->bytes, .length = length}};
    socket->queued_bytes += length;
    buffer->is_paced = is_paced(socket, length);
    socket->long_buffers += buffer->is_paced;
    return buffer;
}

void buffer_free(struct socket *socket, struct buffer *buffer)
{
    assert(socket->queued_bytes >= buffer->payload.length);
    socket->queued_bytes -= buffer->payload.length;
    socket->long_buffers -= buffer->is_paced;
    free(buffer);
}

void buffer_released(struct socket *socket, struct mem_payload *payload)
{
    struct buffer *buffer = (struct buffer *)(void *)payload;

    if (buffer->is_filling)
        buffer->is_released = true;
    else
        buffer_free(socket, buffer);
}

bool buffer_has_room(const struct socket *socket)
{
    return socket->queued_bytes <= homa_engine_knobs(socket->engine)->wmem_max;
}
