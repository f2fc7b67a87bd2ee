/*
 * Reading a received message. Its bytes lie in the region in pieces of HOMA_BPAGE_SIZE, all full
 * but the last; nothing outside this file knows. Called by programs; never blocks.
 */
#include <missive/rpc.h>

#include "rpc/endpoint.h"

#include <string.h>

size_t msv_message_length(const struct msv_message *message)
{
    return message->length;
}

size_t msv_message_peek(const struct msv_message *message, size_t offset, const void **bytes)
{
    size_t inside = offset % HOMA_BPAGE_SIZE;

    *bytes = NULL;
    if (offset >= message->length)
        return 0;
    size_t left = message->length - offset;
    size_t contiguous = HOMA_BPAGE_SIZE - inside;
    uint32_t start = message->bpage_offsets[offset / HOMA_BPAGE_SIZE];

    *bytes = message->endpoint->region.base + start + inside;
    return left < contiguous ? left : contiguous;
}

size_t msv_message_read(const struct msv_message *message, size_t offset, void *buffer, size_t size)
{
    uint8_t *out = buffer;
    size_t done = 0;

    while (done < size) {
        const void *bytes = NULL;
        size_t count = msv_message_peek(message, offset + done, &bytes);

        if (count == 0)
            break;
        if (count > size - done)
            count = size - done;
        memcpy(out + done, bytes, count);
        done += count;
    }
    return done;
}

void msv_message_peer(const struct msv_message *message, struct sockaddr_storage *peer)
{
    *peer = message->peer;
}

void msv_message_free(struct msv_message *message)
{
    if (message != NULL)
        rpc_endpoint_release(message);
}
