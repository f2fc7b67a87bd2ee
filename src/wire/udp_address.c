/*
 * Addresses at the edge: struct base_address to sockaddr and back, for the udp carrier. Pure
 * functions. Since base_ip holds IPv4 in mapped form, an AF_INET6 socket takes every address as it
 * is; only an AF_INET socket needs the four bytes cut out.
 */
#include "wire/udp_internal.h"

#include <arpa/inet.h>

bool udp_is_link_local(const struct base_ip *ip)
{
    return ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

socklen_t udp_name_write(int family, const struct base_ip *ip, uint16_t port, uint32_t scope,
                         union udp_name *name)
{
    if (family == AF_INET6) {
        name->v6 = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = scope};
        memcpy(&name->v6.sin6_addr, ip->bytes, sizeof(ip->bytes));
        return sizeof(name->v6);
    }
    if (!base_ip_is_mapped(ip) && !base_ip_is_unspecified(ip))
        return 0;
    name->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    memcpy(&name->v4.sin_addr, ip->bytes + 12, 4);
    return sizeof(name->v4);
}

void udp_name_read(const union udp_name *name, struct base_address *address)
{
    *address = (struct base_address){0};
    if (name->any.sa_family == AF_INET6) {
        memcpy(address->remote.bytes, &name->v6.sin6_addr, sizeof(address->remote.bytes));
        address->port = ntohs(name->v6.sin6_port);
        if (udp_is_link_local(&address->remote))
            address->scope = name->v6.sin6_scope_id;
    } else {
        address->remote = base_ip_from_v4(&name->v4.sin_addr);
        address->port = ntohs(name->v4.sin_port);
    }
}
