/*
 * SHA-256 of files, by OpenSSL's libcrypto: in steps for what arrives piece by piece, or of a whole
 * file. Both read the bytes from the descriptor, so that what is hashed is what the file holds.
 */
#ifndef CLI_DIGEST_H
#define CLI_DIGEST_H

#include "cli/protocol.h"

#include <stdint.h>

/* A SHA-256 on its way. One thread at a time. */
struct digest;

/* Returns NULL when memory is short. */
struct digest *digest_open(void);
void digest_close(struct digest *digest);

/*
 * Takes in bytes [*offset, end) of the file and advances *offset; the file's end comes as success
 * with *offset short of end. 0, or the negative errno of pread, -ENOMEM.
 */
int digest_file_range(struct digest *digest, int file, uint64_t *offset, uint64_t end);

/* Puts the SHA-256 of all taken in into result. 0 or -ENOMEM. */
int digest_finish(struct digest *digest, uint8_t result[FILE_DIGEST_SIZE]);

#endif
