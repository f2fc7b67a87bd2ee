/*
 * Turns "host:port" into addresses and back. Clients use it for each call's destination, servers
 * for what they listen on. Looking up a name may block on the network; nothing else here does.
 * Numbers never go through the resolver, which would open files for them.
 */
#include "rpc/address.h"

#include "rpc/errmsg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

_Static_assert(RPC_ADDRESS_TEXT >= INET6_ADDRSTRLEN + sizeof("[%4294967295]:65535"),
               "any address fits as text");

/* The port's digits, nothing but them. */
static bool parse_port(const char *digits, uint16_t *port)
{
    uint32_t value = 0;

    if (*digits == '\0' || strlen(digits) > 5)
        return false;
    for (; *digits != '\0'; digits++) {
        if (*digits < '0' || *digits > '9')
            return false;
        value = value * 10 + (uint32_t)(*digits - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

int rpc_address_parse(const char *text, const char *whose, struct rpc_address *address)
{
    const char *colon = strrchr(text, ':');
    const char *host = text;
    size_t length = colon != NULL ? (size_t)(colon - text) : 0;
    bool is_bracketed = length >= 2 && host[0] == '[' && host[length - 1] == ']';

    memset(address, 0, sizeof(*address));
    if (colon == NULL)
        return rpc_fail(EINVAL, "%s must be host:port, like 127.0.0.1:4000; got '%.100s'", whose,
                        text);
    if (is_bracketed) {
        host++;
        length -= 2;
    } else if (memchr(host, ':', length) != NULL) {
        return rpc_fail(EINVAL, "an IPv6 address needs brackets, like [::1]:4000; got '%.100s'",
                        text);
    }
    if (!parse_port(colon + 1, &address->port))
        return rpc_fail(EINVAL, "a port is a number 0 to 65535, as in 127.0.0.1:4000; got '%.100s'",
                        text);
    if (length > RPC_HOST_MAX)
        return rpc_fail(EINVAL, "a host name has at most %d bytes; got '%.100s...'", RPC_HOST_MAX,
                        text);
    memcpy(address->host, host, length);
    if (strcmp(address->host, "*") == 0)
        address->host[0] = '\0';
    address->is_any = address->host[0] == '\0';
    return 0;
}

/* The host if it is a number; false if it is a name. */
static bool parse_number(const struct rpc_address *address, struct sockaddr_storage *found)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};

    memset(found, 0, sizeof(*found));
    if (inet_pton(AF_INET, address->host, &in4.sin_addr) == 1)
        memcpy(found, &in4, sizeof(in4));
    else if (inet_pton(AF_INET6, address->host, &in6.sin6_addr) == 1)
        memcpy(found, &in6, sizeof(in6));
    else
        return false;
    rpc_address_make_natural(found);
    return true;
}

static bool is_loopback(const struct addrinfo *info, int family)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    if (info->ai_family != family)
        return false;
    if (family == AF_INET) {
        memcpy(&in4, info->ai_addr, sizeof(in4));
        return ntohl(in4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    memcpy(&in6, info->ai_addr, sizeof(in6));
    return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

/*
 * The resolver's list is sorted by what can be reached best, so its head is taken. But where it
 * offers both loopback addresses, both can be reached, and servers more often listen on IPv4's.
 */
static const struct addrinfo *choose(const struct addrinfo *list)
{
    if (is_loopback(list, AF_INET6)) {
        for (const struct addrinfo *info = list; info != NULL; info = info->ai_next) {
            if (is_loopback(info, AF_INET))
                return info;
        }
    }
    return list;
}

/* Asks the resolver. */
static int look_up(const struct rpc_address *address, int family, struct sockaddr_storage *found)
{
    struct addrinfo hints = {
        .ai_family = family == AF_INET ? AF_INET : AF_UNSPEC,
        .ai_socktype = SOCK_DGRAM,
    };
    struct addrinfo *list = NULL;
    char port[8];

    (void)snprintf(port, sizeof(port), "%u", address->port);
    int error = getaddrinfo(address->host, port, &hints, &list);
    if (error == EAI_MEMORY)
        return rpc_fail(ENOMEM, "no memory to look up '%.100s'", address->host);
    if (error != 0)
        return rpc_fail(ENOENT, "the host '%.100s' is not known: %s", address->host,
                        error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));

    const struct addrinfo *info = choose(list);
    memset(found, 0, sizeof(*found));
    memcpy(found, info->ai_addr, info->ai_addrlen);
    rpc_address_make_natural(found);
    freeaddrinfo(list);
    return 0;
}

int rpc_address_resolve(const struct rpc_address *address, int family,
                        struct sockaddr_storage *found)
{
    if (!parse_number(address, found))
        return look_up(address, family, found);
    if (family == AF_INET && found->ss_family != AF_INET)
        return rpc_fail(EINVAL, "'%s' is an IPv6 address, and this socket is for IPv4 only",
                        address->host);
    return 0;
}

void rpc_address_any(int family, uint16_t port, struct sockaddr_storage *any)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    memset(any, 0, sizeof(*any));
    if (family == AF_INET)
        memcpy(any, &in4, sizeof(in4));
    else
        memcpy(any, &in6, sizeof(in6));
}

int rpc_address_fit(const struct sockaddr_storage *natural, int family,
                    struct sockaddr_storage *fitted, socklen_t *length)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    memcpy(fitted, natural, sizeof(*fitted));
    rpc_address_make_natural(fitted);
    if (fitted->ss_family != AF_INET && fitted->ss_family != AF_INET6)
        return rpc_fail(EINVAL, "the server's address is neither IPv4 nor IPv6 (family %d)",
                        fitted->ss_family);
    if (family == AF_INET && fitted->ss_family == AF_INET6)
        return rpc_fail(EINVAL, "the server's address is IPv6, and this socket is for IPv4 only");
    if (family == AF_INET6 && fitted->ss_family == AF_INET) {
        memcpy(&in4, fitted, sizeof(in4));
        in6.sin6_port = in4.sin_port;
        in6.sin6_addr.s6_addr[10] = 0xff;
        in6.sin6_addr.s6_addr[11] = 0xff;
        memcpy(&in6.sin6_addr.s6_addr[12], &in4.sin_addr, sizeof(in4.sin_addr));
        memcpy(fitted, &in6, sizeof(in6));
    }
    *length = (socklen_t)(family == AF_INET ? sizeof(in4) : sizeof(in6));
    return 0;
}

void rpc_address_make_natural(struct sockaddr_storage *address)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6;

    if (address->ss_family == AF_INET) {
        memcpy(&in4, address, sizeof(in4));
        memset(in4.sin_zero, 0, sizeof(in4.sin_zero));
    } else if (address->ss_family == AF_INET6) {
        memcpy(&in6, address, sizeof(in6));
        if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
            return;
        in4.sin_port = in6.sin6_port;
        memcpy(&in4.sin_addr, &in6.sin6_addr.s6_addr[12], sizeof(in4.sin_addr));
    } else {
        return;
    }
    memset(address, 0, sizeof(*address));
    memcpy(address, &in4, sizeof(in4));
}

uint16_t rpc_address_port(const struct sockaddr_storage *address)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    if (address->ss_family == AF_INET) {
        memcpy(&in4, address, sizeof(in4));
        return ntohs(in4.sin_port);
    }
    if (address->ss_family == AF_INET6) {
        memcpy(&in6, address, sizeof(in6));
        return ntohs(in6.sin6_port);
    }
    return 0;
}

void rpc_address_set_port(struct sockaddr_storage *address, uint16_t port)
{
    in_port_t on_wire = htons(port);
    size_t offset = address->ss_family == AF_INET ? offsetof(struct sockaddr_in, sin_port)
                                                  : offsetof(struct sockaddr_in6, sin6_port);

    memcpy((char *)address + offset, &on_wire, sizeof(on_wire));
}

const char *rpc_address_format(const struct sockaddr_storage *address, char *text)
{
    char host[INET6_ADDRSTRLEN] = "?";
    char scope[16] = "";
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    if (address->ss_family == AF_INET6) {
        memcpy(&in6, address, sizeof(in6));
        (void)inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
        if (in6.sin6_scope_id != 0)
            (void)snprintf(scope, sizeof(scope), "%%%u", in6.sin6_scope_id);
        (void)snprintf(text, RPC_ADDRESS_TEXT, "[%s%s]:%u", host, scope, ntohs(in6.sin6_port));
        return text;
    }
    if (address->ss_family == AF_INET) {
        memcpy(&in4, address, sizeof(in4));
        (void)inet_ntop(AF_INET, &in4.sin_addr, host, sizeof(host));
    }
    (void)snprintf(text, RPC_ADDRESS_TEXT, "%s:%u", host, rpc_address_port(address));
    return text;
}
