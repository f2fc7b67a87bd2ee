/*
 * Echoes requests, in capitals, by the socket calls: what programs written for the kernel's Homa
 * do, with msv_ before each call. Usage: socket_server [PORT]
 */
#include <missive/homa.h>
#include <missive/socket.h>

#include <stdint.h>
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REGION_BYTES ((size_t)64 << 20)

static char copy[HOMA_MAX_MESSAGE_LENGTH];

static int fail(int fd, const char *what)
{
    fprintf(stderr, "socket_server: %s: %s\n", what, msv_errmsg(fd));
    return 1;
}

/* A socket that takes requests at this port of the loopback address, or -1. */
static int open_server(uint16_t port, char *region)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct homa_rcvbuf_args buffer = {.start = (uintptr_t)region, .length = REGION_BYTES};
    int fd = msv_socket(AF_INET, SOCK_DGRAM, IPPROTO_HOMA);

    if (fd < 0 || msv_setsockopt(fd, IPPROTO_HOMA, SO_HOMA_RCVBUF, &buffer, sizeof(buffer)) != 0 ||
        msv_bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return -1;
    return fd;
}

/* Copies the message out of its buffers, in capitals. Returns its length. */
static size_t capitals(const char *region, const struct homa_recvmsg_args *args, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        uint32_t piece = args->bpage_offsets[i / HOMA_BPAGE_SIZE];

        copy[i] = (char)toupper((unsigned char)region[piece + i % HOMA_BPAGE_SIZE]);
    }
    return length;
}

int main(int argc, char **argv)
{
    char *region = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct homa_recvmsg_args received = {0};
    int fd = -1;

    if (region != MAP_FAILED)
        fd = open_server((uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10) : 4000), region);
    if (fd < 0)
        return fail(-1, "no server");
    puts("serving");
    (void)fflush(stdout);

    for (;;) {
        struct sockaddr_in client;
        struct msghdr header = {
            .msg_name = &client,
            .msg_namelen = sizeof(client),
            .msg_control = &received,
            .msg_controllen = sizeof(received),
        };

        /* This also gives back the buffers of the message before, which are still listed. */
        received.id = 0;
        ssize_t length = msv_recvmsg(fd, &header, 0);
        if (length < 0)
            return fail(fd, "receiving");

        struct homa_sendmsg_args answer = {.id = received.id};
        struct iovec piece = {.iov_base = copy,
                              .iov_len = capitals(region, &received, (size_t)length)};
        header.msg_iov = &piece;
        header.msg_iovlen = 1;
        header.msg_control = &answer;
        header.msg_controllen = 0;
        if (msv_sendmsg(fd, &header, 0) != 0)
            return fail(fd, "answering");
    }
}
