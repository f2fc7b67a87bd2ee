/*
 * Sleeping on descriptors in a way that a cancelled thread can leave.
 */
#ifndef SOCKET_SLEEP_H
#define SOCKET_SLEEP_H

#include "socket/clock.h"

#include <poll.h>

/*
 * ppoll until `until` (ns; CLOCK_NEVER = no end). The thread can be cancelled meanwhile, if
 * cancel_state (what it was when the public call began) allows: then cleanup(context) is called and
 * this does not return. Nothing may be locked. Returns 0, or ppoll's errno.
 */
int sleep_polling(struct pollfd *set, nfds_t count, uint64_t until, int cancel_state,
                  void (*cleanup)(void *context), void *context);

#endif
