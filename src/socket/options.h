/*
 * Socket options: SOL_SOCKET's as on any datagram socket, and Homa's own. What has no meaning for a
 * message socket is kept and given back; what belongs to the wire is set there, and again when bind
 * moves the socket to another wire.
 */
#ifndef SOCKET_OPTIONS_H
#define SOCKET_OPTIONS_H

#include <stdint.h>
#include <sys/socket.h>

struct socket;
struct wire;

#define OPTIONS_KEPT_MAX   8
#define OPTIONS_KEPT_BYTES 16

/* An option of the wire, to be set on the next wire too. */
struct option_kept {
    int name;
    socklen_t length;
    uint8_t value[OPTIONS_KEPT_BYTES];
};

struct options {
    uint64_t receive_timeout_ns; /* 0 = none */
    uint64_t send_timeout_ns;    /* 0 = none */
    int receive_buffer;          /* as getsockopt tells it */
    int send_buffer;
    struct option_kept kept[OPTIONS_KEPT_MAX];
    unsigned kept_count;
};

/* What a new socket starts with. */
void options_default(struct options *options);

/* Sets on a new wire what has been set on the old one. */
void options_repeat(const struct options *options, struct wire *wire);

#endif
