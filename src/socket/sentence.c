/*
 * Sentences: one buffer per thread, one per socket. A thread's buffer is written only by itself and
 * a socket's under its lock, so reading them back needs no other care. Nothing is written when a
 * call succeeds.
 */
#include "socket/sentence.h"

#include <missive/socket.h>

#include "socket/socket.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Of the present thread: the descriptor of its last call, that of its last sentence, and the
 * sentence, which is either in the buffer or a constant. */
static _Thread_local int current_fd = -1;
static _Thread_local int sentence_fd = -1;
static _Thread_local const char *sentence = "";
static _Thread_local char buffer[SENTENCE_SIZE];

void sentence_about(int fd)
{
    current_fd = fd;
}

int sentence_fail(struct socket *socket, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(buffer, sizeof(buffer), format, arguments);
    va_end(arguments);
    sentence = buffer;
    sentence_fd = current_fd;
    if (socket != NULL)
        memcpy(socket->sentence, buffer, sizeof(buffer));
    return -error;
}

int sentence_pass(int error, const char *text)
{
    sentence = text;
    sentence_fd = current_fd;
    return -error;
}

void sentence_clear(void)
{
    sentence = "";
}

bool sentence_is_new(void)
{
    return sentence[0] != '\0';
}

const char *sentence_last(int fd)
{
    return fd == -1 || fd == sentence_fd ? sentence : "";
}

const char *msv_errmsg(int fd)
{
    return sentence_last(fd);
}
