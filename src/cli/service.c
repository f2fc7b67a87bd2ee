/*
 * Answers of the file service. Each request opens what it names, by tree.h, and closes it again:
 * nothing is kept between requests, so nothing has to be cleaned up after a client that vanished,
 * and any number of clients cost no memory.
 */
#include "cli/service.h"

#include "cli/digest.h"
#include "cli/listing.h"
#include "cli/protocol.h"
#include "cli/tree.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What the client is told of an errno of ours. */
static enum file_status status_of(int error)
{
    switch (error) {
    case -ENOENT:
        return FILE_NOT_FOUND;
    case -EACCES:
    case -EPERM:
        return FILE_DENIED;
    case -ENOTDIR:
    case -EISDIR:
    case -ELOOP:
    case -ENXIO:
    case -EXDEV:
        return FILE_WRONG_KIND;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return FILE_EXHAUSTED;
    default:
        return FILE_FAILED;
    }
}

static size_t refuse(enum file_operation operation, enum file_status status, void *response)
{
    return file_response_error(operation, status, file_status_text(status), response,
                               FILE_MESSAGE_MAX);
}

/* Fills the response's body with the bytes asked for. Returns their number or a negative errno. */
static ssize_t read_range(int file, uint8_t *bytes, size_t length, uint64_t offset)
{
    size_t done = 0;

    while (done < length) {
        ssize_t count = pread(file, bytes + done, length - done, (off_t)(offset + done));

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        done += (size_t)count;
    }
    return (ssize_t)done;
}

static size_t answer_read(const struct service *service, const struct file_request *request,
                          const char *path, uint8_t *response)
{
    struct base_writer writer = base_writer_begin(response, FILE_RESPONSE_HEADER);
    struct stat status;
    int file = tree_open_file(service->root, path, &status);
    ssize_t count;

    if (file < 0)
        return refuse(FILE_READ, status_of(file), response);
    file_response_header(&writer, FILE_READ, FILE_OK);
    count = read_range(file, response + FILE_RESPONSE_HEADER, request->length, request->offset);
    close(file);
    if (count < 0)
        return refuse(FILE_READ, status_of((int)count), response);
    return FILE_RESPONSE_HEADER + (size_t)count;
}

/* Digests the file up to its end as of now, and tells its size and time as of then. */
static int digest_file(int file, struct stat *status, struct file_digest *result)
{
    struct digest *digest = digest_open();
    uint64_t offset = 0;
    int error;

    if (digest == NULL)
        return -ENOMEM;
    error = digest_file_range(digest, file, &offset, UINT64_MAX);
    if (error == 0)
        error = digest_finish(digest, result->sha256);
    digest_close(digest);
    if (error != 0)
        return error;
    if (fstat(file, status) != 0)
        return -errno;
    result->size = (uint64_t)status->st_size;
    result->mtime = listing_time(status->st_mtim);
    return 0;
}

static size_t answer_digest(const struct service *service, const char *path, uint8_t *response)
{
    struct base_writer writer = base_writer_begin(response, FILE_MESSAGE_MAX);
    struct file_digest result;
    struct stat status;
    int file = tree_open_file(service->root, path, &status);
    int error;

    if (file < 0)
        return refuse(FILE_DIGEST, status_of(file), response);
    error = digest_file(file, &status, &result);
    close(file);
    if (error != 0)
        return refuse(FILE_DIGEST, status_of(error), response);
    file_response_header(&writer, FILE_DIGEST, FILE_OK);
    file_digest_encode(&writer, &result);
    return base_writer_length(&writer);
}

static size_t answer_list(const struct service *service, const struct file_request *request,
                          const char *path, uint8_t *response)
{
    size_t limit = request->limit < FILE_MESSAGE_MAX ? request->limit : FILE_MESSAGE_MAX;
    struct base_writer writer = base_writer_begin(response, limit);
    char after[FILE_NAME_MAX + 1];
    int error;

    memcpy(after, request->after.bytes, request->after.length);
    after[request->after.length] = '\0';
    file_response_header(&writer, FILE_LIST, FILE_OK);
    error = listing_write(service->root, path, after, &writer);
    if (error != 0)
        return refuse(FILE_LIST, status_of(error), response);
    return base_writer_length(&writer);
}

size_t service_answer(const struct service *service, const void *request, size_t length,
                      void *response)
{
    struct file_request decoded;
    enum file_status status = file_request_decode(request, length, &decoded);
    char path[FILE_PATH_MAX + 1];

    assert(length <= FILE_MESSAGE_MAX);
    if (status != FILE_OK)
        return refuse(decoded.operation, status, response);
    if (decoded.operation == FILE_PING) {
        memcpy(response, request, length);
        return length;
    }
    memcpy(path, decoded.path.bytes, decoded.path.length);
    path[decoded.path.length] = '\0';
    if (decoded.operation == FILE_LIST)
        return answer_list(service, &decoded, path, response);
    if (decoded.operation == FILE_DIGEST)
        return answer_digest(service, path, response);
    return answer_read(service, &decoded, path, response);
}
