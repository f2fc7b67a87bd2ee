/*
 * The server's side of the file service: one request in, one response out, about one directory. It
 * knows nothing of sockets; serve.c carries the messages. A service is shared by all worker threads
 * and never changes; each worker brings its own buffers.
 */
#ifndef CLI_SERVICE_H
#define CLI_SERVICE_H

#include <stddef.h>

struct service {
    int root; /* descriptor of the directory served */
};

/*
 * Answers a request of length bytes. response has room for FILE_MESSAGE_MAX. Returns the response's
 * length, at least 1; whatever is wrong becomes a response that says so.
 */
size_t service_answer(const struct service *service, const void *request, size_t length,
                      void *response);

#endif
