/*
 * The receive region: what the application gives with SO_HOMA_RCVBUF.
 */
#ifndef SOCKET_REGION_H
#define SOCKET_REGION_H

#include <sys/socket.h>

struct socket;

/* Sets the region from a struct homa_rcvbuf_args. 0 or a negative errno with a sentence. */
int region_set(struct socket *socket, const void *value, socklen_t length);

#endif
