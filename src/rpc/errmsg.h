/*
 * The sentence behind msv_rpc_errmsg(). Each function of the RPC layer that fails leaves one, at
 * the place that knows the reason.
 */
#ifndef RPC_ERRMSG_H
#define RPC_ERRMSG_H

/* Keeps the sentence for the calling thread and returns -error. error is a positive errno. */
int rpc_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * After a socket call failed with errno `error`: keeps "what: the socket layer's sentence" and
 * returns -error. fd as for msv_errmsg.
 */
int rpc_fail_socket(int fd, int error, const char *what);

#endif
