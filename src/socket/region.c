/*
 * Checking and setting the receive region. Bytes from the network will be written there, so it must
 * be writable memory now; that is read from the process's map of its memory, because a trial write
 * would take up memory which the application may only have reserved.
 */
#include "socket/region.h"

#include <missive/homa.h>

#include "socket/clock.h"
#include "socket/pump.h"
#include "socket/socket.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Beside one bpage per CPU, as the kernel asks. */
#define LENGTH_MIN_REST 2000000u
#define LENGTH_MAX      (UINT64_C(1) << 32)

/* Without /proc: at least it is mapped. */
static bool is_mapped(uint64_t start, uint64_t end)
{
    static const uint64_t step = UINT64_C(64) << 20;
    unsigned char resident[(64 << 20) / 4096];
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    for (uint64_t at = start; at < end; at += step) {
        uint64_t part = end - at < step ? end - at : step;

        if (page < 4096 || mincore((void *)(uintptr_t)at, (size_t)part, resident) != 0)
            return false;
    }
    return true;
}

/* Reads the front of a line of the map, "from-to rights …". */
static bool read_line(const char *line, uint64_t *from, uint64_t *to, bool *may_write)
{
    char *end = NULL;

    *from = strtoull(line, &end, 16);
    if (end == line || *end != '-')
        return false;
    line = end + 1;
    *to = strtoull(line, &end, 16);
    if (end == line || end[0] != ' ' || end[1] == '\0')
        return false;
    *may_write = end[2] == 'w';
    return true;
}

/* Whether all of [start, end) is memory of this process that may be written. */
static bool is_writable(uint64_t start, uint64_t end)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char *line = NULL;
    size_t size = 0;
    uint64_t reached = start;

    if (maps == NULL)
        return is_mapped(start, end);
    while (reached < end && getline(&line, &size, maps) > 0) {
        uint64_t from = 0;
        uint64_t to = 0;
        bool may_write = false;

        if (!read_line(line, &from, &to, &may_write) || to <= reached)
            continue;
        if (from > reached || !may_write)
            break;
        reached = to;
    }
    free(line);
    (void)fclose(maps);
    return reached >= end;
}

static int check(struct socket *socket, const struct homa_rcvbuf_args *args)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t least = (uint64_t)(cpus > 0 ? cpus : 1) * HOMA_BPAGE_SIZE + LENGTH_MIN_REST;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    if (socket->pool != NULL)
        return sentence_fail(socket, EINVAL,
                             "SO_HOMA_RCVBUF: the region has been set; that is possible once only");
    if (args->start % page != 0)
        return sentence_fail(socket, EINVAL, "SO_HOMA_RCVBUF: start is not at a page boundary");
    if (args->length < least)
        return sentence_fail(socket, EINVAL,
                             "SO_HOMA_RCVBUF: %zu bytes are too few; this machine needs %" PRIu64,
                             args->length, least);
    if (args->length > LENGTH_MAX)
        return sentence_fail(socket, EINVAL, "SO_HOMA_RCVBUF: more than 4 GiB");
    if (args->start > UINT64_MAX - args->length ||
        !is_writable(args->start, args->start + args->length))
        return sentence_fail(socket, EFAULT,
                             "SO_HOMA_RCVBUF: the region is not writable memory throughout");
    if (socket->is_shut)
        return sentence_fail(socket, ESHUTDOWN, "SO_HOMA_RCVBUF: the socket has been shut down");
    return 0;
}

int region_set(struct socket *socket, const void *value, socklen_t length)
{
    struct homa_rcvbuf_args args;
    int result = 0;

    if (length != sizeof(args))
        return sentence_fail(socket, EINVAL, "SO_HOMA_RCVBUF: optlen is %u instead of %zu", length,
                             sizeof(args));
    memcpy(&args, value, sizeof(args));
    result = check(socket, &args);
    if (result != 0)
        return result;
    if (bpage_pool_open(&socket->pool, (uint32_t)(args.length / HOMA_BPAGE_SIZE)) != 0)
        return sentence_fail(socket, ENOMEM, "SO_HOMA_RCVBUF: no memory to keep account of it");
    socket->region = (struct mem_region){.base = (uint8_t *)(uintptr_t)args.start,
                                         .length = args.length / HOMA_BPAGE_SIZE * HOMA_BPAGE_SIZE};
    homa_engine_set_region(socket->engine, clock_now(), &socket->region, socket->pool);
    pump_output(socket, clock_now());
    return 0;
}
