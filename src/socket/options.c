/*
 * The tables and the calls. Three kinds of SOL_SOCKET options:
 *
 *   ours         what the application is told about the socket, and its timeouts
 *   the wire's   those that change how packets travel: set on the UDP socket, and remembered
 *   idle         those that mean nothing to a message socket: the application's end of the pair
 *                keeps them, and checks them as the kernel checks them everywhere
 */
#include "socket/options.h"

#include <missive/homa.h>
#include <missive/socket.h>

#include "socket/clock.h"
#include "socket/conf.h"
#include "socket/process.h"
#include "socket/pump.h"
#include "socket/region.h"
#include "socket/socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

/* What SO_RCVBUF and SO_SNDBUF say of a new socket: the kernel's usual default. */
#define BUFFER_DEFAULT 212992
#define BUFFER_MIN     2304

#ifndef SO_BUSY_POLL
#define SO_BUSY_POLL 46
#endif

static const int wire_options[] = {SO_PRIORITY,  SO_MARK,      SO_BINDTODEVICE, SO_DONTROUTE,
                                   SO_BROADCAST, SO_BUSY_POLL, SO_INCOMING_CPU, SO_MAX_PACING_RATE};

static const int idle_options[] = {SO_DEBUG,     SO_REUSEADDR, SO_REUSEPORT,
                                   SO_KEEPALIVE, SO_OOBINLINE, SO_LINGER,
                                   SO_RCVLOWAT,  SO_TIMESTAMP, SO_NO_CHECK};

#define IS_IN(name, list) is_in(name, list, sizeof(list) / sizeof((list)[0]))

static bool is_in(int name, const int *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == name)
            return true;
    }
    return false;
}

void options_default(struct options *options)
{
    *options = (struct options){.receive_buffer = BUFFER_DEFAULT, .send_buffer = BUFFER_DEFAULT};
}

void options_repeat(const struct options *options, struct wire *wire)
{
    for (unsigned i = 0; i < options->kept_count; i++)
        (void)setsockopt(wire_descriptor(wire), SOL_SOCKET, options->kept[i].name,
                         options->kept[i].value, options->kept[i].length);
}

/* Remembers an option that the wire has accepted. */
static void keep(struct options *options, int name, const void *value, socklen_t length)
{
    struct option_kept *kept = NULL;

    for (unsigned i = 0; i < options->kept_count; i++) {
        if (options->kept[i].name == name)
            kept = &options->kept[i];
    }
    if (kept == NULL)
        kept = &options->kept[options->kept_count++]; /* there is a place for each wire option */
    kept->name = name;
    kept->length = length < OPTIONS_KEPT_BYTES ? length : OPTIONS_KEPT_BYTES;
    if (value != NULL)
        memcpy(kept->value, value, kept->length);
}

_Static_assert(sizeof(wire_options) / sizeof(wire_options[0]) <= OPTIONS_KEPT_MAX,
               "a place for each wire option");

static int fail_length(struct socket *socket, const char *what, socklen_t length, size_t right)
{
    return sentence_fail(socket, EINVAL, "%s: optlen is %u instead of %zu", what, length, right);
}

/* ---- setting ---- */

static int set_timeout(struct socket *socket, const void *value, socklen_t length,
                       uint64_t *timeout_ns)
{
    struct timeval time;

    if (length < (socklen_t)sizeof(time))
        return fail_length(socket, "setsockopt: timeout", length, sizeof(time));
    memcpy(&time, value, sizeof(time));
    if (time.tv_usec < 0 || time.tv_usec >= 1000000)
        return sentence_fail(socket, EDOM,
                             "setsockopt: a timeout's microseconds are below 1000000");
    *timeout_ns = 0;
    if (time.tv_sec >= 0 && time.tv_sec < INT64_MAX / (int64_t)CLOCK_NS_PER_SECOND)
        *timeout_ns = (uint64_t)time.tv_sec * CLOCK_NS_PER_SECOND + (uint64_t)time.tv_usec * 1000;
    return 0;
}

/* The wire's buffers are as large as may be already; the application is told what it asked for. */
static int set_buffer(struct socket *socket, const void *value, socklen_t length, int *buffer)
{
    int wanted = 0;

    if (length < (socklen_t)sizeof(wanted))
        return fail_length(socket, "setsockopt: buffer size", length, sizeof(wanted));
    memcpy(&wanted, value, sizeof(wanted));
    if (wanted < 0 || wanted > INT32_MAX / 2)
        wanted = INT32_MAX / 2;
    *buffer = 2 * wanted < BUFFER_MIN ? BUFFER_MIN : 2 * wanted;
    return 0;
}

static int set_elsewhere(struct socket *socket, int descriptor, int name, const void *value,
                         socklen_t length)
{
    if (setsockopt(descriptor, SOL_SOCKET, name, value, length) != 0)
        return sentence_fail(socket, errno, "setsockopt: SOL_SOCKET option %d: %s", name,
                             strerror(errno));
    return 0;
}

static int set_general(struct socket *socket, int name, const void *value, socklen_t length)
{
    struct options *options = &socket->options;
    int result = 0;

    switch (name) {
    case SO_RCVTIMEO:
        return set_timeout(socket, value, length, &options->receive_timeout_ns);
    case SO_SNDTIMEO:
        return set_timeout(socket, value, length, &options->send_timeout_ns);
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
        return set_buffer(socket, value, length, &options->receive_buffer);
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
        return set_buffer(socket, value, length, &options->send_buffer);
    default:
        break;
    }
    if (IS_IN(name, wire_options)) {
        result = set_elsewhere(socket, wire_descriptor(socket->wire), name, value, length);
        if (result == 0)
            keep(options, name, value, length);
        return result;
    }
    if (IS_IN(name, idle_options))
        return set_elsewhere(socket, socket->descriptor, name, value, length);
    return sentence_fail(socket, ENOPROTOOPT, "setsockopt: SOL_SOCKET option %d is not supported",
                         name);
}

static int set_server(struct socket *socket, const void *value, socklen_t length)
{
    int is_server = 0;

    if (length != sizeof(is_server))
        return fail_length(socket, "setsockopt: SO_HOMA_SERVER", length, sizeof(is_server));
    memcpy(&is_server, value, sizeof(is_server));
    homa_engine_set_server(socket->engine, is_server != 0);
    return 0;
}

/* Grants are the host's: what a socket is told about them counts for all sockets of the process. */
static int set_knob(struct socket *socket, const void *value, socklen_t length)
{
    struct homa_knobs knobs = *homa_engine_knobs(socket->engine);
    char assignment[CONF_VALUE_MAX + 64];
    char why[CONF_REASON_MAX + 1] = "";
    int result = 0;

    if (length == 0 || length >= sizeof(assignment))
        return sentence_fail(socket, EINVAL,
                             "setsockopt: SO_MISSIVE_KNOB takes the text name=value");
    memcpy(assignment, value, length);
    assignment[length] = '\0';
    result = conf_set(&knobs, assignment, why, sizeof(why));
    if (result != 0)
        return sentence_fail(socket, -result, "%s", why);
    result = homa_engine_set_knobs(socket->engine, &knobs);
    if (result != 0)
        return sentence_fail(socket, -result, "setsockopt: that does not go with the other knobs");
    (void)pthread_mutex_lock(process_sched_lock());
    socket->grant_knobs = knobs;
    homa_sched_set_knobs(process_sched(), &knobs);
    (void)pthread_mutex_unlock(process_sched_lock());
    pump_settle(socket, NULL); /* wmem_max may be another */
    return 0;
}

static int set_homa(struct socket *socket, int name, const void *value, socklen_t length)
{
    switch (name) {
    case SO_HOMA_RCVBUF:
        return region_set(socket, value, length);
    case SO_HOMA_SERVER:
        return set_server(socket, value, length);
    case SO_MISSIVE_KNOB:
        return set_knob(socket, value, length);
    default:
        return sentence_fail(socket, ENOPROTOOPT, "setsockopt: Homa has no option %d", name);
    }
}

static int set(struct socket *socket, int level, int name, const void *value, socklen_t length)
{
    if (level != SOL_SOCKET && level != IPPROTO_HOMA)
        return sentence_fail(socket, ENOPROTOOPT, "setsockopt: no options at level %d", level);
    if (length > INT32_MAX)
        return sentence_fail(socket, EINVAL, "setsockopt: optlen is negative");
    if (value == NULL && length > 0)
        return sentence_fail(socket, EFAULT, "setsockopt: the value is a null pointer");
    return level == SOL_SOCKET ? set_general(socket, name, value, length)
                               : set_homa(socket, name, value, length);
}

int msv_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    struct call call;
    int result = call_begin(&call, fd);

    if (result == 0)
        result = set(call.socket, level, name, value, length);
    return call_end_int(&call, result);
}

/* ---- getting ---- */

/* As much as fits, and the length is what was given. */
static int give(const void *from, size_t size, void *value, socklen_t *length)
{
    if (*length > size)
        *length = (socklen_t)size;
    memcpy(value, from, *length);
    return 0;
}

static int give_int(int number, void *value, socklen_t *length)
{
    return give(&number, sizeof(number), value, length);
}

static int give_timeout(uint64_t timeout_ns, void *value, socklen_t *length)
{
    struct timeval time = {.tv_sec = (time_t)(timeout_ns / CLOCK_NS_PER_SECOND),
                           .tv_usec = (suseconds_t)(timeout_ns % CLOCK_NS_PER_SECOND / 1000)};

    return give(&time, sizeof(time), value, length);
}

static int get_elsewhere(struct socket *socket, int descriptor, int name, void *value,
                         socklen_t *length)
{
    if (getsockopt(descriptor, SOL_SOCKET, name, value, length) != 0)
        return sentence_fail(socket, errno, "getsockopt: SOL_SOCKET option %d: %s", name,
                             strerror(errno));
    return 0;
}

static int get_general(struct socket *socket, int name, void *value, socklen_t *length)
{
    const struct options *options = &socket->options;

    switch (name) {
    case SO_TYPE:
        return give_int(SOCK_DGRAM, value, length);
    case SO_PROTOCOL:
        return give_int(IPPROTO_HOMA, value, length);
    case SO_DOMAIN:
        return give_int(socket->family, value, length);
    case SO_ERROR: /* failures belong to RPCs */
    case SO_ACCEPTCONN:
        return give_int(0, value, length);
    case SO_RCVTIMEO:
        return give_timeout(options->receive_timeout_ns, value, length);
    case SO_SNDTIMEO:
        return give_timeout(options->send_timeout_ns, value, length);
    case SO_RCVBUF:
        return give_int(options->receive_buffer, value, length);
    case SO_SNDBUF:
        return give_int(options->send_buffer, value, length);
    default:
        break;
    }
    if (IS_IN(name, wire_options))
        return get_elsewhere(socket, wire_descriptor(socket->wire), name, value, length);
    if (IS_IN(name, idle_options))
        return get_elsewhere(socket, socket->descriptor, name, value, length);
    return sentence_fail(socket, ENOPROTOOPT, "getsockopt: SOL_SOCKET option %d is not supported",
                         name);
}

/* The value is the name when it comes, and the knob's text when it goes. */
static int get_knob(struct socket *socket, char *value, socklen_t *length)
{
    char name[64];
    char text[CONF_VALUE_MAX];
    size_t size = 0;

    if (*length == 0 || *length >= sizeof(name))
        return sentence_fail(socket, EINVAL, "getsockopt: SO_MISSIVE_KNOB takes a knob's name");
    memcpy(name, value, *length);
    name[*length] = '\0';
    if (conf_get(homa_engine_knobs(socket->engine), name, text, sizeof(text)) != 0)
        return sentence_fail(socket, EINVAL, "getsockopt: there is no knob '%.40s'", name);
    size = strlen(text) + 1;
    if (size > *length)
        return sentence_fail(socket, EINVAL, "getsockopt: the value needs %zu bytes", size);
    return give(text, size, value, length);
}

static int get_homa(struct socket *socket, int name, void *value, socklen_t *length)
{
    struct homa_rcvbuf_args region = {0};

    switch (name) {
    case SO_HOMA_RCVBUF:
        if (*length < sizeof(region))
            return fail_length(socket, "getsockopt: SO_HOMA_RCVBUF", *length, sizeof(region));
        region.start = (uint64_t)(uintptr_t)socket->region.base;
        region.length = socket->region.length;
        return give(&region, sizeof(region), value, length);
    case SO_HOMA_SERVER:
        if (*length < sizeof(int))
            return fail_length(socket, "getsockopt: SO_HOMA_SERVER", *length, sizeof(int));
        return give_int(homa_engine_is_server(socket->engine), value, length);
    case SO_MISSIVE_KNOB:
        return get_knob(socket, value, length);
    default:
        return sentence_fail(socket, ENOPROTOOPT, "getsockopt: Homa has no option %d", name);
    }
}

static int get(struct socket *socket, int level, int name, void *value, socklen_t *length)
{
    if (level != SOL_SOCKET && level != IPPROTO_HOMA)
        return sentence_fail(socket, ENOPROTOOPT, "getsockopt: no options at level %d", level);
    if (value == NULL || length == NULL)
        return sentence_fail(socket, EFAULT,
                             "getsockopt: the value or its length is a null pointer");
    if (*length > INT32_MAX)
        return sentence_fail(socket, EINVAL, "getsockopt: optlen is negative");
    return level == SOL_SOCKET ? get_general(socket, name, value, length)
                               : get_homa(socket, name, value, length);
}

int msv_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    struct call call;
    int result = call_begin(&call, fd);

    if (result == 0)
        result = get(call.socket, level, name, value, length);
    return call_end_int(&call, result);
}
