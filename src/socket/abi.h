/*
 * Request numbers that missive/homa.h does not have: those of the other generations of the kernel's
 * header, which lead to the same structs. Layouts and numbers are checked in abi.c.
 */
#ifndef SOCKET_ABI_H
#define SOCKET_ABI_H

#include <missive/homa.h>

/* The module's later numbers for HOMAIOCINFO and for freezing its trace. */
#define ABI_INFO_CURRENT _IOWR('h', 0x90, struct homa_info)
#define ABI_FREEZE       _IO('h', 0x92)

/* HOMAIOCABORT before it had a letter of its own. */
#define ABI_ABORT_LEGACY _IOWR(0x89, 0xe3, struct homa_abort_args)

/* The largest errno there is. */
#define ABI_ERRNO_MAX 4095

#endif
