/*
 * One sentence per thread: why its last call of missive/rpc.h failed. Written on failure paths
 * only, read by the program. Never allocates, so that even a lack of memory can be told.
 */
#include "rpc/errmsg.h"

#include <missive/rpc.h>
#include <missive/socket.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE_BYTES 384

static _Thread_local char sentence[SENTENCE_BYTES] = "nothing has failed";

int rpc_fail(int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    return -error;
}

int rpc_fail_socket(int fd, int error, const char *what)
{
    const char *reason = msv_errmsg(fd);

    return rpc_fail(error, "%s: %s", what, reason[0] != '\0' ? reason : strerror(error));
}

const char *msv_rpc_errmsg(void)
{
    return sentence;
}
