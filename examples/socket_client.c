/*
 * Sends a text to socket_server and prints what comes back, by the socket calls.
 * Usage: socket_client [PORT [TEXT]]
 */
#include <missive/homa.h>
#include <missive/socket.h>

#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REGION_BYTES ((size_t)64 << 20)

static int fail(int fd, const char *what)
{
    const char *reason = msv_errmsg(fd);

    fprintf(stderr, "socket_client: %s: %s\n", what, reason[0] != '\0' ? reason : strerror(errno));
    return 1;
}

int main(int argc, char **argv)
{
    char *text = argc > 2 ? argv[2] : "hello";
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10) : 4000)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    char *region = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct homa_rcvbuf_args buffer = {.start = (uintptr_t)region, .length = REGION_BYTES};
    int fd = msv_socket(AF_INET, SOCK_DGRAM, IPPROTO_HOMA);

    if (region == MAP_FAILED || fd < 0 ||
        msv_setsockopt(fd, IPPROTO_HOMA, SO_HOMA_RCVBUF, &buffer, sizeof(buffer)) != 0)
        return fail(fd, "no socket");

    struct homa_sendmsg_args request = {.completion_cookie = 42};
    struct iovec piece = {.iov_base = text, .iov_len = strlen(text)};
    struct msghdr header = {
        .msg_name = &server,
        .msg_namelen = sizeof(server),
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = &request,
    };
    if (msv_sendmsg(fd, &header, 0) != 0)
        return fail(fd, "sending");

    struct homa_recvmsg_args received = {0};
    header.msg_control = &received;
    header.msg_controllen = sizeof(received);
    ssize_t length = msv_recvmsg(fd, &header, 0);
    if (length < 0)
        return fail(fd, received.id == request.id ? "the RPC failed" : "receiving");

    for (size_t done = 0; done < (size_t)length; done += HOMA_BPAGE_SIZE) {
        size_t left = (size_t)length - done;

        (void)fwrite(region + received.bpage_offsets[done / HOMA_BPAGE_SIZE], 1,
                     left < HOMA_BPAGE_SIZE ? left : HOMA_BPAGE_SIZE, stdout);
    }
    putchar('\n');
    return msv_close(fd) == 0 ? 0 : 1;
}
