/*
 * Addresses of the RPC layer: text as people write it, struct sockaddr as sockets take it.
 *
 * Towards the program an IPv4 peer is always a struct sockaddr_in ("natural"), whatever the family
 * of the socket; rpc_address_fit makes of it what a socket of either family takes.
 */
#ifndef RPC_ADDRESS_H
#define RPC_ADDRESS_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <sys/socket.h>

/* Enough for "[IPv6 address%interface]:port". */
#define RPC_ADDRESS_TEXT 96

/* The longest host name, without its final zero. */
#define RPC_HOST_MAX 255

/* "host:port", taken apart. */
struct rpc_address {
    char host[RPC_HOST_MAX + 1]; /* without brackets; empty for "*" and for none */
    uint16_t port;
    bool is_any; /* "*:port" or ":port" */
};

/* Takes text apart. `whose` begins the sentence ("server"). Returns 0 or -EINVAL. */
int rpc_address_parse(const char *text, const char *whose, struct rpc_address *address);

/*
 * Looks the host up (not for is_any). family: AF_INET, or AF_INET6 for either. *found is natural.
 * Returns 0; -EINVAL (an IPv6 address for AF_INET); -ENOENT (no such host); -ENOMEM.
 */
int rpc_address_resolve(const struct rpc_address *address, int family,
                        struct sockaddr_storage *found);

/* The wildcard address of a family, with this port. */
void rpc_address_any(int family, uint16_t port, struct sockaddr_storage *any);

/*
 * Makes of a natural (or any) address one that a socket of this family takes. Returns 0 or -EINVAL
 * (neither IPv4 nor IPv6, or IPv6 for an AF_INET socket).
 */
int rpc_address_fit(const struct sockaddr_storage *natural, int family,
                    struct sockaddr_storage *fitted, socklen_t *length);

/* Turns a mapped IPv4 address into a struct sockaddr_in, and clears the bytes behind the address.
 */
void rpc_address_make_natural(struct sockaddr_storage *address);

/* The port, in host order; 0 for a family that has none. */
uint16_t rpc_address_port(const struct sockaddr_storage *address);

void rpc_address_set_port(struct sockaddr_storage *address, uint16_t port);

/* Writes "1.2.3.4:4000" or "[::1]:4000" into text, RPC_ADDRESS_TEXT bytes, and returns it. */
const char *rpc_address_format(const struct sockaddr_storage *address, char *text);

#endif
