/*
 * Why a call failed, in a sentence: kept per thread for msv_errmsg() and per socket for
 * HOMAIOCINFO. The place that finds the fault writes the sentence and passes the negative errno on.
 */
#ifndef SOCKET_SENTENCE_H
#define SOCKET_SENTENCE_H

#include <stdbool.h>

struct socket;

/* Bytes of a sentence with its final zero: what HOMAIOCINFO's error_msg holds in header version 16.
 */
#define SENTENCE_SIZE 100

/*
 * Notes why the present call fails, for the thread and for the socket (locked by the caller; NULL =
 * none). A sentence that is too long is cut. Returns -error, so that `return sentence_fail(...)`
 * does both.
 */
int sentence_fail(struct socket *socket, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The same for what is no mistake and happens often (EAGAIN, EINTR): the socket's sentence stays,
 * nothing is formatted, and `text` must live for ever.
 */
int sentence_pass(int error, const char *text);

/* Forgets the thread's sentence; whether there has been one since. */
void sentence_clear(void);
bool sentence_is_new(void);

/* Which descriptor the thread's present call is about. */
void sentence_about(int fd);

/* The thread's last sentence if it is about fd (or fd is -1), else "". */
const char *sentence_last(int fd);

#endif
