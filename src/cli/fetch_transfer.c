/*
 * One file on its way. Its ranges are asked for in order and may come in any; each is written where
 * it belongs at once, and as soon as there is no gap before it, read back and hashed. So the
 * SHA-256 is of what the file holds, and a large file needs no second pass at its end. The server's
 * own digest is asked for last; only if both agree does the file get its name.
 *
 * All reads of a file but its last have the same length, so one bit per read says what has come
 * beyond the first gap.
 */
#include "cli/fetch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define AHEAD_MAX  64 /* reads that may be asked for from the first gap on */
#define PIECES_MAX 32 /* at once to pwritev */

struct fetch_transfer *fetch_transfer_open(struct fetch *fetch, struct fetch_entry *entry)
{
    struct fetch_transfer *transfer = calloc(1, sizeof(*transfer));
    int error = -ENOMEM;

    if (transfer == NULL)
        goto fail;
    transfer->digest = digest_open();
    if (transfer->digest == NULL)
        goto fail;
    error = fetch_output_open(&fetch->target, entry->directory, &transfer->output);
    if (error != 0)
        goto fail;
    transfer->entry = entry;
    TAILQ_INSERT_TAIL(&fetch->transfers, transfer, next);
    return transfer;
fail:
    fetch_fail_locally(fetch, entry->directory, entry->name, error);
    if (transfer != NULL)
        digest_close(transfer->digest);
    free(transfer);
    free(entry);
    return NULL;
}

void fetch_transfer_close(struct fetch *fetch, struct fetch_transfer *transfer)
{
    if (fetch->asking == transfer)
        fetch->asking = NULL;
    TAILQ_REMOVE(&fetch->transfers, transfer, next);
    if (transfer->output.directory != NULL)
        fetch_output_discard(&transfer->output);
    digest_close(transfer->digest);
    free(transfer->entry);
    free(transfer);
}

bool fetch_transfer_next_read(const struct fetch_transfer *transfer, uint64_t *offset,
                              uint32_t *length)
{
    uint64_t left = transfer->entry->size - transfer->asked;

    if (left == 0 || transfer->asked - transfer->written >= (uint64_t)AHEAD_MAX * FILE_READ_MAX)
        return false;
    *offset = transfer->asked;
    *length = left < FILE_READ_MAX ? (uint32_t)left : FILE_READ_MAX;
    return true;
}

void fetch_transfer_fail(struct fetch *fetch, struct fetch_transfer *transfer, const char *reason)
{
    if (!transfer->failed)
        fetch_fail(fetch, transfer->entry->directory, transfer->entry->name, reason);
    transfer->failed = true;
}

static void fail_locally(struct fetch *fetch, struct fetch_transfer *transfer, int error)
{
    if (!transfer->failed)
        fetch_fail_locally(fetch, transfer->entry->directory, transfer->entry->name, error);
    transfer->failed = true;
}

/* Writes the message's bytes behind the header to their place in the file. */
static int write_message(struct fetch_transfer *transfer, const struct msv_message *message,
                         uint64_t offset)
{
    size_t at = FILE_RESPONSE_HEADER;
    int error = 0;

    while (error == 0) {
        struct iovec pieces[PIECES_MAX];
        size_t begin = at;
        int count = 0;

        while (count < PIECES_MAX) {
            const void *bytes;
            size_t length = msv_message_peek(message, at, &bytes);

            if (length == 0)
                break;
            pieces[count].iov_base = (void *)(uintptr_t)bytes;
            pieces[count].iov_len = length;
            count++;
            at += length;
        }
        if (count == 0)
            break;
        error = fetch_output_write(&transfer->output, pieces, count,
                                   offset + (begin - FILE_RESPONSE_HEADER));
    }
    return error;
}

/* Notes that a read has come, and moves `written` over all that is now without a gap. */
static void note_read(struct fetch_transfer *transfer, uint64_t offset)
{
    uint64_t size = transfer->entry->size;

    assert(offset >= transfer->written && (offset - transfer->written) % FILE_READ_MAX == 0);
    if (offset > transfer->written) {
        uint64_t distance = (offset - transfer->written) / FILE_READ_MAX;

        assert(distance < AHEAD_MAX);
        transfer->ahead |= (uint64_t)1 << (distance - 1);
        return;
    }
    for (bool come = true; come; transfer->ahead >>= 1) {
        come = (transfer->ahead & 1) != 0;
        transfer->written += FILE_READ_MAX;
    }
    if (transfer->written > size)
        transfer->written = size;
}

void fetch_transfer_take_read(struct fetch *fetch, struct fetch_transfer *transfer,
                              const struct fetch_call *call, const struct msv_message *message)
{
    size_t length = msv_message_length(message) - FILE_RESPONSE_HEADER;
    int error;

    if (transfer->failed)
        return;
    if (length < call->length) {
        fetch_transfer_fail(fetch, transfer, "became shorter on the server during the fetch");
        return;
    }
    error = write_message(transfer, message, call->offset);
    if (error == 0) {
        fetch->bytes_written += length;
        note_read(transfer, call->offset);
        error = digest_file_range(transfer->digest, transfer->output.file, &transfer->hashed,
                                  transfer->written);
    }
    if (error == 0 && transfer->hashed < transfer->written)
        error = -EIO; /* somebody else cut the temporary file */
    if (error != 0)
        fail_locally(fetch, transfer, error);
}

/* Compares the two digests. False, and told, when they differ. */
static bool verify(struct fetch *fetch, struct fetch_transfer *transfer)
{
    const struct fetch_entry *entry = transfer->entry;
    const struct file_digest *remote = &transfer->remote;
    uint8_t ours[FILE_DIGEST_SIZE];
    int error = digest_finish(transfer->digest, ours);

    if (error != 0) {
        fail_locally(fetch, transfer, error);
        return false;
    }
    if (memcmp(ours, remote->sha256, sizeof(ours)) == 0)
        return true;
    if (remote->size != entry->size || remote->mtime.seconds != entry->mtime.seconds ||
        remote->mtime.nanoseconds != entry->mtime.nanoseconds)
        fetch_transfer_fail(fetch, transfer, "changed on the server during the fetch");
    else
        fetch_transfer_fail(fetch, transfer, "arrived with another SHA-256 than the server's");
    return false;
}

void fetch_transfer_settle(struct fetch *fetch, struct fetch_transfer *transfer)
{
    const struct fetch_entry *entry = transfer->entry;
    int error;

    if (transfer->calls > 0 || (!transfer->failed && !transfer->digest_known))
        return;
    if (!transfer->failed && verify(fetch, transfer)) {
        assert(transfer->written == entry->size);
        error = fetch_output_commit(&transfer->output, entry);
        transfer->output.directory = NULL;
        if (error != 0) {
            fail_locally(fetch, transfer, error);
        } else {
            fetch->result.files++;
            fetch->result.bytes += entry->size;
        }
    }
    fetch_transfer_close(fetch, transfer);
}
