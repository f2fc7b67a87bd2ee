/*
 * The kernel's Homa interface, by the same names and values, for programs that use Missive's socket
 * calls (missive/socket.h). A program written for the kernel's header needs no other change than
 * the include and the msv_ prefix of its calls. When the kernel's own header was included first,
 * that one is used and this file adds only what it lacks.
 *
 * Source of names, values and layouts: the user API of the Linux Homa module, patch series v16, and
 * its later form where noted. Layouts are checked at compile time in src/socket/abi.c.
 */
#ifndef MISSIVE_HOMA_H
#define MISSIVE_HOMA_H

#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef _UAPI_LINUX_HOMA_H

/* Protocol number for msv_socket(AF_INET or AF_INET6, SOCK_DGRAM, IPPROTO_HOMA). */
#define IPPROTO_HOMA 146

/* Longest request or response, in bytes of payload. */
#define HOMA_MAX_MESSAGE_LENGTH 1000000

/* Receive buffers are handed out in pages of this many bytes. */
#define HOMA_BPAGE_SHIFT 16
#define HOMA_BPAGE_SIZE  (1 << HOMA_BPAGE_SHIFT)

/* Most pages that one message takes. */
#define HOMA_MAX_BPAGES ((HOMA_MAX_MESSAGE_LENGTH + HOMA_BPAGE_SIZE - 1) >> HOMA_BPAGE_SHIFT)

/* Ports below this are for servers; from here up they are handed out to clients. */
#define HOMA_MIN_DEFAULT_PORT 0x8000

/* In and out argument of msv_sendmsg: msg_control points to one of these. */
struct homa_sendmsg_args {
    uint64_t id;                /* in: 0 = a request, else the request that this answers;
                                   out, for a request: the id of the new RPC */
    uint64_t completion_cookie; /* in: given back with the response; 0 in a response */
    uint32_t flags;             /* in: HOMA_SENDMSG_* */
    uint32_t reserved;          /* must be 0 */
};

/* The response is delivered only to an msv_recvmsg that names this RPC's id. */
#define HOMA_SENDMSG_PRIVATE     0x01
#define HOMA_SENDMSG_VALID_FLAGS 0x01

/* In and out argument of msv_recvmsg: msg_control points to one of these. */
struct homa_recvmsg_args {
    uint64_t id; /* in: 0 = any shared message, else a private RPC; out: whose message */
    uint64_t completion_cookie; /* out: for a response, as given with the request; else 0 */
    uint32_t num_bpages;        /* in: pages given back; out: pages of this message */
    uint32_t reserved;          /* must be 0 */
    uint32_t bpage_offsets[HOMA_MAX_BPAGES]; /* in and out: offsets into the receive region */
};

/* Option of level IPPROTO_HOMA: the receive region, a struct homa_rcvbuf_args. */
#define SO_HOMA_RCVBUF 10

/* Option of level IPPROTO_HOMA: an int, whether this socket takes requests. */
#define SO_HOMA_SERVER 11

struct homa_rcvbuf_args {
    uint64_t start; /* address of the first byte, page-aligned */
    size_t length;  /* bytes */
};

/* Bit of the "flags" knob: never hold back output. */
#define HOMA_FLAG_DONT_THROTTLE 2

/* One RPC, as HOMAIOCINFO tells of it. */
struct homa_rpc_info {
    uint64_t id; /* low bit set: this side is the server */
    union {
        struct sockaddr_storage storage;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
    } peer;
    uint64_t completion_cookie; /* 0 on the server's side */
    int32_t tx_length;          /* bytes of the outgoing message; -1 = not given yet */
    uint32_t tx_sent;           /* of these, sent at least once */
    uint32_t tx_granted;        /* of these, allowed by the receiver */
    uint32_t reserved;          /* priority of the outgoing message */
    int32_t rx_length;          /* bytes of the incoming message; -1 = not known yet */
    uint32_t rx_remaining;      /* of these, not received */
    uint32_t rx_gaps;           /* missing ranges with received bytes behind them */
    uint32_t rx_gap_bytes;      /* bytes in those */
    uint32_t rx_granted;        /* bytes that the sender was allowed */
    uint16_t flags;             /* HOMA_RPC_* */
};

#define HOMA_RPC_BUF_STALL 1 /* waits for space in the receive region */
#define HOMA_RPC_PRIVATE   2 /* sent with HOMA_SENDMSG_PRIVATE */
#define HOMA_RPC_RX_READY  4 /* complete, waits for msv_recvmsg */
#define HOMA_RPC_RX_COPY   8 /* never set here: payload goes to its place as it arrives */

/* Size of error_msg below, including the final zero byte. */
#define HOMA_ERROR_MSG_SIZE 100

/* Argument of HOMAIOCINFO. */
struct homa_info {
    struct homa_rpc_info *rpc_info;      /* in: where to put what is told about RPCs, or NULL */
    size_t rpc_info_length;              /* in: bytes there */
    uint64_t bpool_avail_bytes;          /* out: free bytes in the receive region */
    uint32_t port;                       /* out: this socket's port */
    uint32_t num_rpcs;                   /* out: RPCs in all, even when fewer fitted */
    char error_msg[HOMA_ERROR_MSG_SIZE]; /* out: why the last call on this socket failed */
};

#define HOMAIOCINFO _IOWR('h', 1, struct homa_info)

#endif /* _UAPI_LINUX_HOMA_H */

/* The module's abort call, which header version 16 does not have. */
#ifndef HOMAIOCABORT
struct homa_abort_args {
    uint64_t id;       /* client RPC to end; 0 = all client RPCs of the socket */
    uint32_t error;    /* errno with which they complete; 0 = they vanish */
    uint32_t _pad1;    /* must be 0 */
    uint64_t _pad2[2]; /* must be 0 */
};
#define HOMAIOCABORT _IOWR('h', 0x91, struct homa_abort_args)
#endif

#ifdef __cplusplus
}
#endif

#endif
