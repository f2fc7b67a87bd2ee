/*
 * Encoding and decoding of the file service's messages. Both ends trust nothing: the server gets
 * requests from anybody who can reach its port, and a client must survive a hostile server. So
 * every length goes through a cursor, every name is judged here, once, before anyone opens it, and
 * whatever follows the last field makes the message malformed.
 */
#include "cli/protocol.h"

#include <assert.h>
#include <errno.h>

#define MAGIC   0x4d46 /* "MF" */
#define VERSION 1

/* An entry without its two texts: kind .. mtime nanoseconds. */
#define ENTRY_FIXED 24

bool file_name_valid(struct file_text name)
{
    if (name.length == 0 || name.length > FILE_NAME_MAX)
        return false;
    if (name.bytes[0] == '.' && (name.length == 1 || (name.length == 2 && name.bytes[1] == '.')))
        return false;
    return memchr(name.bytes, '/', name.length) == NULL &&
           memchr(name.bytes, '\0', name.length) == NULL;
}

bool file_path_valid(struct file_text path)
{
    const char *at = path.bytes;
    size_t left = path.length;

    if (path.length == 0)
        return true;
    if (path.length > FILE_PATH_MAX)
        return false;
    for (;;) {
        const char *slash = memchr(at, '/', left);
        size_t length = slash != NULL ? (size_t)(slash - at) : left;

        if (!file_name_valid((struct file_text){.bytes = at, .length = length}))
            return false;
        if (slash == NULL)
            return true;
        at = slash + 1;
        left -= length + 1;
    }
}

struct file_text file_text_of(const char *string)
{
    return (struct file_text){.bytes = string, .length = strlen(string)};
}

static void write_text(struct base_writer *writer, struct file_text text)
{
    uint8_t *bytes = NULL;

    assert(text.length <= UINT16_MAX);
    base_write_u16(writer, (uint16_t)text.length);
    if (base_write_take(writer, text.length, &bytes) && text.length > 0)
        memcpy(bytes, text.bytes, text.length);
}

static struct file_text read_text(struct base_reader *reader)
{
    struct file_text text = {.bytes = "", .length = base_read_u16(reader)};
    const uint8_t *bytes = NULL;

    if (base_read_take(reader, text.length, &bytes))
        text.bytes = (const char *)bytes;
    else
        text.length = 0;
    return text;
}

static void write_time(struct base_writer *writer, struct file_time time)
{
    base_write_u64(writer, (uint64_t)time.seconds);
    base_write_u32(writer, time.nanoseconds);
}

static struct file_time read_time(struct base_reader *reader)
{
    struct file_time time = {.seconds = (int64_t)base_read_u64(reader)};

    time.nanoseconds = base_read_u32(reader);
    return time;
}

static bool time_valid(struct file_time time)
{
    return time.nanoseconds < 1000000000;
}

size_t file_request_encode(const struct file_request *request, void *buffer, size_t size)
{
    struct base_writer writer = base_writer_begin(buffer, size);

    base_write_u16(&writer, MAGIC);
    base_write_u8(&writer, VERSION);
    base_write_u8(&writer, (uint8_t)request->operation);
    switch (request->operation) {
    case FILE_PING:
        break;
    case FILE_LIST:
        base_write_u32(&writer, request->limit);
        write_text(&writer, request->path);
        write_text(&writer, request->after);
        break;
    case FILE_DIGEST:
        write_text(&writer, request->path);
        break;
    case FILE_READ:
        base_write_u64(&writer, request->offset);
        base_write_u32(&writer, request->length);
        write_text(&writer, request->path);
        break;
    }
    return writer.failed ? 0 : base_writer_length(&writer);
}

/* The fields after the header. False when a value is out of its range. */
static bool decode_fields(struct base_reader *reader, struct file_request *request)
{
    switch (request->operation) {
    case FILE_LIST:
        request->limit = base_read_u32(reader);
        request->path = read_text(reader);
        request->after = read_text(reader);
        return request->limit >= FILE_LIST_LIMIT_MIN &&
               (request->after.length == 0 || file_name_valid(request->after));
    case FILE_DIGEST:
        request->path = read_text(reader);
        return true;
    case FILE_READ:
        request->offset = base_read_u64(reader);
        request->length = base_read_u32(reader);
        request->path = read_text(reader);
        return request->length >= 1 && request->length <= FILE_READ_MAX &&
               request->offset <= INT64_MAX - FILE_READ_MAX;
    case FILE_PING:
        break;
    }
    return true;
}

enum file_status file_request_decode(const void *bytes, size_t length, struct file_request *request)
{
    struct base_reader reader = base_reader_begin(bytes, length);
    uint16_t magic = base_read_u16(&reader);
    uint8_t version = base_read_u8(&reader);
    uint8_t operation = base_read_u8(&reader);

    *request = (struct file_request){.operation = (enum file_operation)operation};
    if (reader.failed || magic != MAGIC)
        return FILE_BAD_REQUEST;
    if (version != VERSION)
        return FILE_BAD_VERSION;
    if (operation < FILE_PING || operation > FILE_READ)
        return FILE_BAD_OPERATION;
    if (operation == FILE_PING)
        return FILE_OK;
    if (!decode_fields(&reader, request) || reader.failed || reader.left > 0 ||
        !file_path_valid(request->path))
        return FILE_BAD_REQUEST;
    return FILE_OK;
}

void file_response_header(struct base_writer *writer, unsigned operation, enum file_status status)
{
    base_write_u16(writer, MAGIC);
    base_write_u8(writer, VERSION);
    base_write_u8(writer, (uint8_t)operation);
    base_write_u16(writer, (uint16_t)status);
    base_write_u16(writer, 0);
}

size_t file_response_error(unsigned operation, enum file_status status, const char *sentence,
                           void *buffer, size_t size)
{
    struct base_writer writer = base_writer_begin(buffer, size);
    size_t length = strlen(sentence);
    uint8_t *bytes = NULL;

    assert(status != FILE_OK && size >= FILE_RESPONSE_HEADER);
    file_response_header(&writer, operation, status);
    if (length > writer.left)
        length = writer.left;
    if (base_write_take(&writer, length, &bytes))
        memcpy(bytes, sentence, length);
    return base_writer_length(&writer);
}

int file_response_decode(struct base_reader *reader, enum file_operation operation,
                         enum file_status *status)
{
    uint16_t magic = base_read_u16(reader);
    uint8_t version = base_read_u8(reader);
    uint8_t answered = base_read_u8(reader);
    uint16_t code = base_read_u16(reader);

    base_read_skip(reader, 2);
    if (reader->failed || magic != MAGIC || answered != (uint8_t)operation)
        return -EPROTO;
    /* Of another version only this much is sure: the header of a refusal looks the same. */
    if (version != VERSION && code != FILE_BAD_VERSION)
        return -EPROTO;
    *status = code <= FILE_EXHAUSTED ? (enum file_status)code : FILE_FAILED;
    return 0;
}

const char *file_status_text(enum file_status status)
{
    switch (status) {
    case FILE_OK:
        return "fine";
    case FILE_BAD_REQUEST:
        return "the server found the request malformed";
    case FILE_BAD_VERSION:
        return "the server speaks another version of the file service";
    case FILE_BAD_OPERATION:
        return "the server does not know this operation";
    case FILE_NOT_FOUND:
        return "vanished from the server";
    case FILE_DENIED:
        return "the server may not read it";
    case FILE_WRONG_KIND:
        return "became something else on the server";
    case FILE_FAILED:
        return "the server failed to read it";
    case FILE_EXHAUSTED:
        return "the server is short of memory or descriptors";
    }
    return "the server failed";
}

void file_list_begin(struct base_writer *writer)
{
    base_write_zeros(writer, 4);
}

void file_list_set_more(struct base_writer *writer)
{
    assert(base_writer_length(writer) >= FILE_RESPONSE_HEADER + 4);
    writer->begin[FILE_RESPONSE_HEADER] = 1;
}

bool file_entry_encode(struct base_writer *writer, const struct file_entry *entry)
{
    assert(file_name_valid(entry->name) && entry->target.length <= FILE_PATH_MAX);
    if (writer->left < ENTRY_FIXED + 2 + entry->name.length + 2 + entry->target.length)
        return false;
    base_write_u8(writer, (uint8_t)entry->kind);
    base_write_u8(writer, 0);
    base_write_u16(writer, entry->mode);
    base_write_u64(writer, entry->size);
    write_time(writer, entry->mtime);
    write_text(writer, entry->name);
    write_text(writer, entry->target);
    return !writer->failed;
}

int file_list_decode(struct base_reader *reader, bool *more)
{
    uint8_t flag = base_read_u8(reader);

    base_read_skip(reader, 3);
    if (reader->failed || flag > 1)
        return -EPROTO;
    *more = flag == 1;
    return 0;
}

/* Whether target can be that of a symbolic link, and a link has one while nothing else does. */
static bool target_valid(enum file_kind kind, struct file_text target)
{
    if (kind != FILE_KIND_LINK)
        return target.length == 0;
    return target.length > 0 && target.length <= FILE_PATH_MAX &&
           memchr(target.bytes, '\0', target.length) == NULL;
}

int file_entry_decode(struct base_reader *reader, struct file_entry *entry)
{
    uint8_t kind;

    if (!reader->failed && reader->left == 0)
        return 0;
    kind = base_read_u8(reader);
    base_read_skip(reader, 1);
    entry->kind = (enum file_kind)kind;
    entry->mode = base_read_u16(reader);
    entry->size = base_read_u64(reader);
    entry->mtime = read_time(reader);
    entry->name = read_text(reader);
    entry->target = read_text(reader);
    if (reader->failed || kind < FILE_KIND_REGULAR || kind > FILE_KIND_UNKNOWN ||
        entry->mode > 07777 || entry->size > INT64_MAX - FILE_READ_MAX ||
        !time_valid(entry->mtime) || !file_name_valid(entry->name) ||
        !target_valid(entry->kind, entry->target))
        return -EPROTO;
    return 1;
}

void file_digest_encode(struct base_writer *writer, const struct file_digest *digest)
{
    uint8_t *bytes = NULL;

    base_write_u64(writer, digest->size);
    write_time(writer, digest->mtime);
    if (base_write_take(writer, sizeof(digest->sha256), &bytes))
        memcpy(bytes, digest->sha256, sizeof(digest->sha256));
}

int file_digest_decode(struct base_reader *reader, struct file_digest *digest)
{
    const uint8_t *bytes = NULL;

    digest->size = base_read_u64(reader);
    digest->mtime = read_time(reader);
    if (!base_read_take(reader, sizeof(digest->sha256), &bytes) || reader->left > 0 ||
        !time_valid(digest->mtime))
        return -EPROTO;
    memcpy(digest->sha256, bytes, sizeof(digest->sha256));
    return 0;
}
