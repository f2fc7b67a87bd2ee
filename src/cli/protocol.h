/*
 * The file service's messages: what `missive serve` is asked over Homa RPCs and what it answers.
 * One RPC is one request and one response, each at most FILE_MESSAGE_MAX bytes; the server keeps no
 * state between them. Integers are big-endian, texts are bytes without a terminating zero.
 * docs/file-service.md has the same as tables.
 *
 *   request   u16 magic "MF" · u8 version · u8 operation · then by operation
 *     ping      any bytes
 *     list      u32 limit · text path · text after
 *     digest    text path
 *     read      u64 offset · u32 length · text path
 *   text      u16 length · bytes
 *   response  u16 magic "MF" · u8 version · u8 operation · u16 status · u16 zero · then, if status
 * is 0, ping      (its response is the request itself, byte for byte) list      u8 more · u8 × 3
 * zero · entries up to the end of the message digest    u64 size · i64 mtime seconds · u32 mtime
 * nanoseconds · 32 bytes of SHA-256 read      the bytes; fewer than asked only at the end of the
 * file and a sentence for people when status is not 0 entry     u8 kind · u8 zero · u16 mode · u64
 * size · i64 mtime seconds · u32 mtime nanoseconds · text name · text target (of a symbolic link;
 * else empty)
 *
 * A path is relative to the directory served, "" being that directory itself. A listing is of one
 * directory, ascending in the bytes of the names, of names after `after` only, and no longer than
 * `limit`; `more` 1 says that there are further names: ask again with the last one as `after`.
 *
 * Encoding and decoding only, and never beyond a buffer: no file, no socket, no allocation. Decoded
 * texts point into the message.
 */
#ifndef CLI_PROTOCOL_H
#define CLI_PROTOCOL_H

#include "base/cursor.h"

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define FILE_MESSAGE_MAX     1000000 /* bytes of a Homa message */
#define FILE_REQUEST_HEADER  4
#define FILE_RESPONSE_HEADER 8
#define FILE_READ_MAX        (FILE_MESSAGE_MAX - FILE_RESPONSE_HEADER) /* bytes of one read */
#define FILE_PATH_MAX        4095
#define FILE_NAME_MAX        255
#define FILE_LIST_LIMIT_MIN  8192 /* room for any one entry, so that every page gets on */
#define FILE_DIGEST_SIZE     32

/* Room for the longest request other than a ping. */
#define FILE_REQUEST_MAX (FILE_REQUEST_HEADER + 12 + 2 + FILE_PATH_MAX + 2 + FILE_NAME_MAX)

enum file_operation {
    FILE_PING = 1,
    FILE_LIST = 2,
    FILE_DIGEST = 3,
    FILE_READ = 4,
};

enum file_status {
    FILE_OK = 0,
    FILE_BAD_REQUEST = 1,   /* cut short, overlong, or a path that is not one */
    FILE_BAD_VERSION = 2,   /* the response's version byte says which one is spoken */
    FILE_BAD_OPERATION = 3, /* unknown to this server */
    FILE_NOT_FOUND = 4,
    FILE_DENIED = 5,     /* the server's user may not read it */
    FILE_WRONG_KIND = 6, /* not a regular file (read, digest) or not a directory (list) */
    FILE_FAILED = 7,     /* reading failed */
    FILE_EXHAUSTED = 8,  /* the server is short of memory or descriptors: try later */
};

enum file_kind {
    FILE_KIND_REGULAR = 1,
    FILE_KIND_DIRECTORY = 2,
    FILE_KIND_LINK = 3,
    FILE_KIND_SPECIAL = 4, /* a device, a pipe, a socket: listed, never served */
    FILE_KIND_UNKNOWN = 5, /* the server may not look at it */
};

/* Bytes in somebody else's buffer. */
struct file_text {
    const char *bytes;
    size_t length;
};

struct file_time {
    int64_t seconds;
    uint32_t nanoseconds; /* 0 .. 999,999,999 */
};

/* One request. Fields that the operation does not have are ignored and zero. */
struct file_request {
    struct file_text path;
    struct file_text after; /* list: only names after this one; empty = from the first */
    uint64_t offset;        /* read */
    uint32_t length;        /* read: 1 .. FILE_READ_MAX */
    uint32_t limit;         /* list: longest response wanted, FILE_LIST_LIMIT_MIN and up */
    enum file_operation operation;
};

/* One entry of a listing. */
struct file_entry {
    enum file_kind kind;
    uint16_t mode; /* permission bits, 0 .. 07777 */
    uint64_t size;
    struct file_time mtime;
    struct file_text name;
    struct file_text target; /* of a symbolic link */
};

/* The answer to a digest request. */
struct file_digest {
    uint64_t size;
    struct file_time mtime;
    uint8_t sha256[FILE_DIGEST_SIZE];
};

/* Whether name can be one component of a path: not empty, "." or "..", no '/', no zero, not too
 * long. */
bool file_name_valid(struct file_text name);

/* Whether path is "" or valid names joined by single slashes. */
bool file_path_valid(struct file_text path);

/* Text of a C string, which must outlive it. */
struct file_text file_text_of(const char *string);

/* ---- requests ---- */

/* Writes the request; of a ping only its header. Returns its length, 0 when it does not fit. */
size_t file_request_encode(const struct file_request *request, void *buffer, size_t size);

/* Returns FILE_OK, or the status to answer with. request->operation is set if the header was whole.
 */
enum file_status file_request_decode(const void *bytes, size_t length,
                                     struct file_request *request);

/* ---- responses ---- */

/* Writes the header of a response: FILE_RESPONSE_HEADER bytes. */
void file_response_header(struct base_writer *writer, unsigned operation, enum file_status status);

/* Writes a whole response that says what is wrong. Returns its length. */
size_t file_response_error(unsigned operation, enum file_status status, const char *sentence,
                           void *buffer, size_t size);

/*
 * Reads the header of a response to operation and leaves the reader behind it. Returns 0 and the
 * status; -EPROTO when these are no bytes of this service or answer something else.
 */
int file_response_decode(struct base_reader *reader, enum file_operation operation,
                         enum file_status *status);

/* What a status means, as the end of the sentence "NAME: …". Never NULL. */
const char *file_status_text(enum file_status status);

/* Begins the body of a listing; file_list_set_more corrects its first byte afterwards. */
void file_list_begin(struct base_writer *writer);
void file_list_set_more(struct base_writer *writer);

/* Adds one entry; false, with nothing written, when it does not fit. */
bool file_entry_encode(struct base_writer *writer, const struct file_entry *entry);

/* Reads the beginning of a listing's body. Returns 0 or -EPROTO. */
int file_list_decode(struct base_reader *reader, bool *more);

/*
 * Reads one entry. Returns 1; 0 at the end of the listing; -EPROTO for anything malformed, a name
 * that file_name_valid refuses and a link without a target included.
 */
int file_entry_decode(struct base_reader *reader, struct file_entry *entry);

void file_digest_encode(struct base_writer *writer, const struct file_digest *digest);

/* Returns 0 or -EPROTO. */
int file_digest_decode(struct base_reader *reader, struct file_digest *digest);

#endif
