/*
 * The application binary interface, nailed down: sizes, offsets and request numbers as the kernel's
 * header (patch series v16, and its later form) has them on 64-bit machines. No code; if one of
 * these does not hold, the library must not be built.
 */
#include "socket/abi.h"

#include <stddef.h>

#define SAME_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#define SAME_OFFSET(type, field, offset) \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field)

SAME_SIZE(struct homa_sendmsg_args, 24);
SAME_OFFSET(struct homa_sendmsg_args, id, 0);
SAME_OFFSET(struct homa_sendmsg_args, completion_cookie, 8);
SAME_OFFSET(struct homa_sendmsg_args, flags, 16);
SAME_OFFSET(struct homa_sendmsg_args, reserved, 20);

SAME_SIZE(struct homa_recvmsg_args, 88);
SAME_OFFSET(struct homa_recvmsg_args, id, 0);
SAME_OFFSET(struct homa_recvmsg_args, completion_cookie, 8);
SAME_OFFSET(struct homa_recvmsg_args, num_bpages, 16);
SAME_OFFSET(struct homa_recvmsg_args, reserved, 20);
SAME_OFFSET(struct homa_recvmsg_args, bpage_offsets, 24);

SAME_SIZE(struct homa_rcvbuf_args, 16);
SAME_OFFSET(struct homa_rcvbuf_args, start, 0);
SAME_OFFSET(struct homa_rcvbuf_args, length, 8);

SAME_SIZE(struct homa_rpc_info, 184);
SAME_OFFSET(struct homa_rpc_info, id, 0);
SAME_OFFSET(struct homa_rpc_info, peer, 8);
SAME_OFFSET(struct homa_rpc_info, completion_cookie, 136);
SAME_OFFSET(struct homa_rpc_info, tx_length, 144);
SAME_OFFSET(struct homa_rpc_info, tx_sent, 148);
SAME_OFFSET(struct homa_rpc_info, tx_granted, 152);
SAME_OFFSET(struct homa_rpc_info, reserved, 156);
SAME_OFFSET(struct homa_rpc_info, rx_length, 160);
SAME_OFFSET(struct homa_rpc_info, rx_remaining, 164);
SAME_OFFSET(struct homa_rpc_info, rx_gaps, 168);
SAME_OFFSET(struct homa_rpc_info, rx_gap_bytes, 172);
SAME_OFFSET(struct homa_rpc_info, rx_granted, 176);
SAME_OFFSET(struct homa_rpc_info, flags, 180);

SAME_SIZE(struct homa_info, 136);
SAME_OFFSET(struct homa_info, rpc_info, 0);
SAME_OFFSET(struct homa_info, rpc_info_length, 8);
SAME_OFFSET(struct homa_info, bpool_avail_bytes, 16);
SAME_OFFSET(struct homa_info, port, 24);
SAME_OFFSET(struct homa_info, num_rpcs, 28);
SAME_OFFSET(struct homa_info, error_msg, 32);

SAME_SIZE(struct homa_abort_args, 32);
SAME_OFFSET(struct homa_abort_args, id, 0);
SAME_OFFSET(struct homa_abort_args, error, 8);
SAME_OFFSET(struct homa_abort_args, _pad1, 12);
SAME_OFFSET(struct homa_abort_args, _pad2, 16);

_Static_assert(HOMAIOCINFO == 0xc0886801, "HOMAIOCINFO of header version 16");
_Static_assert(ABI_INFO_CURRENT == 0xc0886890, "HOMAIOCINFO of the current header");
_Static_assert(HOMAIOCABORT == 0xc0206891, "HOMAIOCABORT");
_Static_assert(ABI_FREEZE == 0x6892, "HOMAIOCFREEZE");
_Static_assert(ABI_ABORT_LEGACY == 0xc02089e3, "HOMAIOCABORT of the legacy header");

_Static_assert(IPPROTO_HOMA == 146 && SO_HOMA_RCVBUF == 10 && SO_HOMA_SERVER == 11, "numbers");
_Static_assert(HOMA_MAX_MESSAGE_LENGTH == 1000000 && HOMA_MAX_BPAGES == 16, "limits");
