/*
 * Socket addresses of the application, to and from base_address. Pure functions, called by every
 * call that takes or gives an address.
 */
#ifndef SOCKET_ADDRESS_H
#define SOCKET_ADDRESS_H

#include "base/address.h"

#include <netinet/in.h>
#include <sys/socket.h>

/*
 * Reads the sockaddr into the remote half of an address (remote, scope, port); local is cleared.
 * Returns 0; -EINVAL (too short for its family); -EAFNOSUPPORT (a family other than the socket's).
 */
int address_read(int family, const struct sockaddr *name, socklen_t length,
                 struct base_address *address);

/* Writes a sockaddr of the socket's family. Returns its length. */
socklen_t address_write(int family, const struct base_ip *ip, uint32_t scope, uint16_t port,
                        struct sockaddr_storage *name);

/*
 * Hands a sockaddr to the application as the system calls do: as much as fits into *length bytes at
 * `to`, and then *length is its true length.
 */
void address_give(const struct sockaddr_storage *name, socklen_t true_length, void *to,
                  socklen_t *length);

/* Room for address_text's longest result. */
#define ADDRESS_TEXT_MAX 64

/* "1.2.3.4:4000" or "[::1]:4000", for sentences. Returns text. */
const char *address_text(const struct base_address *address, char text[ADDRESS_TEXT_MAX]);

#endif
