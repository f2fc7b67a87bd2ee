/*
 * Makes receive regions: address space only, of which a page costs memory once a message has been
 * in it. The protocol hands out low pages again first, so a quiet client stays small however large
 * its region is.
 */
#include "rpc/region.h"

#include <missive/homa.h>
#include <missive/socket.h>

#include "rpc/errmsg.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEFAULT_BYTES (64u << 20)

/* The most that offsets of 32 bits reach. */
#define MOST_BYTES ((size_t)1 << 32)

/* What a socket needs: two messages of full length, and a page for each CPU. */
static size_t least_bytes(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_CONF);

    return (size_t)(cpus > 0 ? cpus : 1) * HOMA_BPAGE_SIZE + 2 * (size_t)HOMA_MAX_MESSAGE_LENGTH;
}

int rpc_region_open(struct rpc_region *region, int fd, size_t bytes)
{
    size_t length = bytes != 0 ? bytes : DEFAULT_BYTES;

    if (length > MOST_BYTES)
        return rpc_fail(EINVAL, "buffer_bytes must be at most %zu; got %zu", MOST_BYTES, bytes);
    if (length < least_bytes())
        length = least_bytes();
    length = (length + HOMA_BPAGE_SIZE - 1) / HOMA_BPAGE_SIZE * HOMA_BPAGE_SIZE;

    void *base = mmap(NULL, length, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        int error = errno;

        return rpc_fail(error, "no %zu bytes of address space for receive buffers: %s", length,
                        strerror(error));
    }
    struct homa_rcvbuf_args args = {.start = (uintptr_t)base, .length = length};
    if (msv_setsockopt(fd, IPPROTO_HOMA, SO_HOMA_RCVBUF, &args, sizeof(args)) != 0) {
        int result = rpc_fail_socket(fd, errno, "receive buffers were refused");

        (void)munmap(base, length);
        return result;
    }
    region->base = base;
    region->length = length;
    return 0;
}

void rpc_region_close(struct rpc_region *region)
{
    if (region->base != NULL)
        (void)munmap(region->base, region->length);
    region->base = NULL;
}
