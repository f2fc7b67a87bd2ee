/*
 * Conversions between sockaddr and base_address. What an application hands over may lie at any
 * alignment, so everything is copied.
 */
#include "socket/address.h"

#include <stddef.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

int address_read(int family, const struct sockaddr *name, socklen_t length,
                 struct base_address *address)
{
    sa_family_t given = 0;

    if (length < (socklen_t)(offsetof(struct sockaddr, sa_family) + sizeof(given)))
        return -EINVAL;
    memcpy(&given, (const char *)name + offsetof(struct sockaddr, sa_family), sizeof(given));
    if (given != family)
        return -EAFNOSUPPORT;
    *address = (struct base_address){0};
    if (family == AF_INET) {
        struct sockaddr_in v4;

        if (length < (socklen_t)sizeof(v4))
            return -EINVAL;
        memcpy(&v4, name, sizeof(v4));
        address->remote = base_ip_from_v4(&v4.sin_addr);
        address->port = ntohs(v4.sin_port);
    } else {
        struct sockaddr_in6 v6;

        if (length < (socklen_t)sizeof(v6))
            return -EINVAL;
        memcpy(&v6, name, sizeof(v6));
        memcpy(address->remote.bytes, &v6.sin6_addr, sizeof(address->remote.bytes));
        address->port = ntohs(v6.sin6_port);
        /* A scope on any other address means nothing, and peers are compared bytewise. */
        if (IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr))
            address->scope = v6.sin6_scope_id;
    }
    return 0;
}

socklen_t address_write(int family, const struct base_ip *ip, uint32_t scope, uint16_t port,
                        struct sockaddr_storage *name)
{
    if (family == AF_INET) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};

        memcpy(&v4.sin_addr, ip->bytes + 12, sizeof(v4.sin_addr));
        memcpy(name, &v4, sizeof(v4));
        return sizeof(v4);
    }

    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = scope};

    memcpy(&v6.sin6_addr, ip->bytes, sizeof(v6.sin6_addr));
    memcpy(name, &v6, sizeof(v6));
    return sizeof(v6);
}

void address_give(const struct sockaddr_storage *name, socklen_t true_length, void *to,
                  socklen_t *length)
{
    memcpy(to, name, *length < true_length ? *length : true_length);
    *length = true_length;
}

const char *address_text(const struct base_address *address, char text[ADDRESS_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "?";

    if (base_ip_is_mapped(&address->remote)) {
        (void)inet_ntop(AF_INET, address->remote.bytes + 12, ip, sizeof(ip));
        (void)snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", ip, address->port);
    } else {
        (void)inet_ntop(AF_INET6, address->remote.bytes, ip, sizeof(ip));
        (void)snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", ip, address->port);
    }
    return text;
}
