/*
 * A thin layer over EVP. The buffer is small enough to stay in the CPU's cache between being read
 * and being hashed.
 */
#include "cli/digest.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

#define STEP 65536 /* bytes read at once */

struct digest {
    EVP_MD_CTX *context;
    uint8_t buffer[STEP];
};

struct digest *digest_open(void)
{
    struct digest *digest = malloc(sizeof(*digest));

    if (digest == NULL)
        return NULL;
    digest->context = EVP_MD_CTX_new();
    if (digest->context == NULL || EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1) {
        digest_close(digest);
        return NULL;
    }
    return digest;
}

void digest_close(struct digest *digest)
{
    if (digest == NULL)
        return;
    EVP_MD_CTX_free(digest->context);
    free(digest);
}

int digest_file_range(struct digest *digest, int file, uint64_t *offset, uint64_t end)
{
    while (*offset < end) {
        uint64_t left = end - *offset;
        ssize_t count =
            pread(file, digest->buffer, left < STEP ? (size_t)left : STEP, (off_t)*offset);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            return 0;
        if (EVP_DigestUpdate(digest->context, digest->buffer, (size_t)count) != 1)
            return -ENOMEM;
        *offset += (uint64_t)count;
    }
    return 0;
}

int digest_finish(struct digest *digest, uint8_t result[FILE_DIGEST_SIZE])
{
    unsigned length = 0;

    if (EVP_DigestFinal_ex(digest->context, result, &length) != 1)
        return -ENOMEM;
    assert(length == FILE_DIGEST_SIZE);
    return 0;
}
