/*
 * ioctl and fcntl. The numbers of both generations of the kernel's header lead to the same code,
 * because the structs are the same; see abi.c.
 */
#include <missive/homa.h>
#include <missive/socket.h>

#include "socket/abi.h"
#include "socket/address.h"
#include "socket/clock.h"
#include "socket/pump.h"
#include "socket/socket.h"

#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* ---- HOMAIOCINFO ---- */

/* Where the next RPC's record goes. */
struct telling {
    const struct socket *socket;
    uint8_t *at;
    size_t room; /* records */
    uint32_t rpcs;
};

static bool see_rpc(void *context, const struct homa_rpc_view *view)
{
    struct telling *telling = context;
    struct homa_rpc_info info = {.id = view->id,
                                 .completion_cookie = view->cookie,
                                 .tx_length = view->tx_length,
                                 .tx_sent = view->tx_sent,
                                 .tx_granted = view->tx_granted,
                                 .reserved = view->tx_priority,
                                 .rx_length = view->rx_length,
                                 .rx_remaining = view->rx_remaining,
                                 .rx_gaps = view->rx_gaps,
                                 .rx_gap_bytes = view->rx_gap_bytes,
                                 .rx_granted = view->rx_granted};

    telling->rpcs++;
    if (telling->room == 0)
        return true;
    info.flags = (uint16_t)((view->is_stalled ? HOMA_RPC_BUF_STALL : 0) |
                            (view->is_private ? HOMA_RPC_PRIVATE : 0) |
                            (view->is_ready ? HOMA_RPC_RX_READY : 0));
    (void)address_write(telling->socket->family, &view->peer.remote, view->peer.scope,
                        view->peer.port, &info.peer.storage);
    memcpy(telling->at, &info, sizeof(info));
    telling->at += sizeof(info);
    telling->room--;
    return true;
}

static int tell_info(struct socket *socket, struct homa_info *info)
{
    struct telling telling = {.socket = socket};
    struct bpage_stats stats = {0};

    if (info == NULL)
        return sentence_fail(socket, EFAULT, "HOMAIOCINFO: the argument is a null pointer");
    if (info->rpc_info == NULL && info->rpc_info_length > 0)
        return sentence_fail(socket, EFAULT, "HOMAIOCINFO: rpc_info is a null pointer");
    telling.at = (uint8_t *)info->rpc_info;
    telling.room = info->rpc_info_length / sizeof(struct homa_rpc_info);
    homa_engine_view(socket->engine, see_rpc, &telling);
    if (socket->pool != NULL)
        bpage_pool_stats(socket->pool, &stats);
    info->bpool_avail_bytes = stats.available_bytes;
    info->port = wire_port(socket->wire);
    info->num_rpcs = telling.rpcs;
    memset(info->error_msg, 0, sizeof(info->error_msg));
    memcpy(info->error_msg, socket->sentence, SENTENCE_SIZE);
    return 0;
}

/* ---- HOMAIOCABORT ---- */

static int abort_rpcs(struct socket *socket, const struct homa_abort_args *args)
{
    uint64_t now = clock_now();

    if (args == NULL)
        return sentence_fail(socket, EFAULT, "HOMAIOCABORT: the argument is a null pointer");
    if (args->_pad1 != 0 || args->_pad2[0] != 0 || args->_pad2[1] != 0)
        return sentence_fail(socket, EINVAL, "HOMAIOCABORT: reserved fields are not 0");
    if (args->error > ABI_ERRNO_MAX)
        return sentence_fail(socket, EINVAL, "HOMAIOCABORT: %u is no errno", args->error);
    if (socket->is_shut)
        return sentence_fail(socket, ESHUTDOWN, "HOMAIOCABORT: the socket has been shut down");
    if (homa_engine_abort(socket->engine, now, args->id, (int)args->error) != 0)
        return sentence_fail(socket, EINVAL, "HOMAIOCABORT: %llu is no outstanding client RPC",
                             (unsigned long long)args->id);
    pump_output(socket, now);
    pump_settle(socket, NULL);
    wait_settle_all(socket);
    return 0;
}

/* ---- ioctl ---- */

static int set_nonblocking(struct socket *socket, bool is_nonblocking)
{
    int flags = fcntl(socket->descriptor, F_GETFL);

    if (flags < 0)
        return sentence_fail(socket, errno, "cannot read the descriptor's flags");
    flags = is_nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (fcntl(socket->descriptor, F_SETFL, flags) != 0)
        return sentence_fail(socket, errno, "cannot set the descriptor's flags");
    socket->is_nonblocking = is_nonblocking;
    return 0;
}

static int control(struct socket *socket, unsigned long request, void *argument)
{
    switch (request) {
    case HOMAIOCINFO:
    case ABI_INFO_CURRENT:
        return tell_info(socket, argument);
    case HOMAIOCABORT:
    case ABI_ABORT_LEGACY:
        return abort_rpcs(socket, argument);
    case ABI_FREEZE:
        return 0;
    case FIONBIO:
        if (argument == NULL)
            return sentence_fail(socket, EFAULT, "FIONBIO: the argument is a null pointer");
        return set_nonblocking(socket, *(const int *)argument != 0);
    default:
        return sentence_fail(socket, EINVAL, "ioctl: unknown request 0x%lx", request);
    }
}

int msv_ioctl(int fd, unsigned long request, ...)
{
    struct call call;
    va_list arguments;
    void *argument = NULL;
    int result = call_begin(&call, fd);

    va_start(arguments, request);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    /* The C library's ioctl takes the number as it comes, sign and all. */
    if (result == 0)
        result = control(call.socket, request & 0xffffffffu, argument);
    return call_end_int(&call, result);
}

/* ---- fcntl ---- */

static int get_or_set_flags(struct socket *socket, int command, int value)
{
    int result = 0;

    switch (command) {
    case F_SETFL:
        return set_nonblocking(socket, (value & O_NONBLOCK) != 0);
    case F_GETFL:
    case F_GETFD:
    case F_SETFD:
        result = fcntl(socket->descriptor, command, value);
        if (result < 0)
            return sentence_fail(socket, errno, "fcntl: %s", strerror(errno));
        return result;
    default:
        return sentence_fail(socket, EINVAL, "fcntl: command %d is not supported", command);
    }
}

int msv_fcntl(int fd, int command, ...)
{
    struct call call;
    va_list arguments;
    int value = 0;
    int result = call_begin(&call, fd);

    va_start(arguments, command);
    value = va_arg(arguments, int);
    va_end(arguments);
    if (result == 0)
        result = get_or_set_flags(call.socket, command, value);
    return call_end_int(&call, result);
}
