/*
 * An outgoing message's bytes, as a core refers to them. The socket layer owns the memory; a core
 * holds the reference from the call that starts the message until the RPC is over, and then lists
 * it as released (see homa_engine_released), because a core never calls back.
 */
#ifndef MEMORY_PAYLOAD_H
#define MEMORY_PAYLOAD_H

#include "base/tree.h"

#include <stdint.h>

/*
 * `ready` is how much of the message has been copied in so far, from the front: a core sends
 * nothing beyond it. Only the socket's lock holder touches this struct.
 */
struct mem_payload {
    SLIST_ENTRY(mem_payload) released; /* valid once the core has let go of it */
    const uint8_t *bytes;
    uint32_t length; /* bytes, > 0 */
    uint32_t ready;  /* bytes that may be sent, <= length */
};

SLIST_HEAD(mem_payload_list, mem_payload);

#endif
