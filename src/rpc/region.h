/*
 * The memory that a client's or server's messages arrive in.
 */
#ifndef RPC_REGION_H
#define RPC_REGION_H

#include <stddef.h>
#include <stdint.h>

struct rpc_region {
    uint8_t *base; /* NULL: none */
    size_t length; /* bytes, a multiple of HOMA_BPAGE_SIZE */
};

/*
 * Maps a region and gives it to the socket. bytes 0 = the default; too little is raised to what a
 * socket needs. Returns 0 or a negative errno, with a sentence.
 */
int rpc_region_open(struct rpc_region *region, int fd, size_t bytes);

/* Unmaps it; the socket must be closed by then. */
void rpc_region_close(struct rpc_region *region);

#endif
