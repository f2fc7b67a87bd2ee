/*
 * One fetch, as its files share it: fetch.c reads the command line and tells the result,
 * fetch_run.c keeps RPCs in flight, fetch_transfer.c is one file on its way, fetch_report.c says
 * what went wrong. One thread does it all.
 */
#ifndef CLI_FETCH_H
#define CLI_FETCH_H

#include <missive/rpc.h>

#include "cli/digest.h"
#include "cli/fetch_plan.h"
#include "cli/fetch_target.h"
#include "cli/histogram.h"
#include "cli/progress.h"

#define FETCH_IN_FLIGHT_MAX 1024

struct fetch_options {
    const char *server;      /* HOST:PORT */
    const char *destination; /* directory */
    unsigned in_flight;      /* RPCs outstanding at most, 1 .. FETCH_IN_FLIGHT_MAX */
    bool quiet;
    bool json;
};

struct fetch_transfer;

/* What an outstanding RPC is for; its index is the RPC's cookie. */
struct fetch_call {
    enum file_operation operation;
    struct fetch_directory *directory; /* list */
    struct fetch_transfer *transfer;   /* digest, read */
    uint64_t offset;                   /* read */
    uint32_t length;                   /* read: bytes asked for */
    uint32_t next_free;                /* index + 1 of the next free call, 0 = none */
    bool busy;
    uint64_t begin_ns;
};

/* What was done, for the last words. */
struct fetch_result {
    uint64_t files; /* verified and in place */
    uint64_t directories;
    uint64_t links;
    uint64_t bytes;    /* in those files */
    uint64_t failures; /* told of by fetch_fail */
    uint64_t left_out; /* neither file, directory nor link */
    uint64_t duration_ns;
    struct histogram latencies; /* of RPCs, ns */
};

struct fetch {
    const struct fetch_options *options;
    struct msv_client *client;
    struct sockaddr_storage address;
    struct fetch_plan plan;
    struct fetch_target target;
    struct progress progress;
    struct fetch_call *calls; /* options->in_flight of them */
    uint32_t first_free;      /* index + 1, 0 = none */
    unsigned in_flight;
    unsigned listing;         /* of those in flight: lists */
    uint64_t bytes_in_flight; /* asked for by reads outstanding */
    uint64_t bytes_written;
    struct fetch_transfer *asking; /* the file whose ranges are being asked for, or NULL */
    TAILQ_HEAD(, fetch_transfer) transfers;
    bool over; /* nothing more can be done; the reason has been told */
    struct fetch_result result;
};

/* ---- fetch_run.c ---- */

/* Fetches everything. Failures are told as they happen and counted in the result. */
void fetch_run(struct fetch *fetch);

/* ---- fetch_report.c ---- */

/* Tells of a failure that costs one file: "PATH: reason". name NULL: the directory itself. */
void fetch_fail(struct fetch *fetch, const struct fetch_directory *directory, const char *name,
                const char *reason);

/* The same for a failure of ours, by its negative errno; a full disk and the like end the fetch. */
void fetch_fail_locally(struct fetch *fetch, const struct fetch_directory *directory,
                        const char *name, int error);

/* Tells why everything ends now, once; later calls are ignored. */
void fetch_end(struct fetch *fetch, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Tells something that is no failure. */
void fetch_note(struct fetch *fetch, const struct fetch_directory *directory, const char *name,
                const char *note);

/* ---- fetch_transfer.c ---- */

/* A file on its way: its output, what has been asked for, what has come. */
struct fetch_transfer {
    TAILQ_ENTRY(fetch_transfer) next;
    struct fetch_entry *entry;
    struct fetch_output output;
    struct digest *digest;
    uint64_t asked;   /* bytes [0, asked) have been asked for */
    uint64_t written; /* bytes [0, written) are in the file, at least */
    uint64_t hashed;  /* bytes [0, hashed) have been taken in by digest */
    uint64_t ahead;   /* bit i: the read after `written` + i + 1 reads has come as well */
    unsigned calls;   /* outstanding */
    bool digest_known;
    bool failed; /* told already; only waits for its calls to come back */
    struct file_digest remote;
};

/* Begins a file. Takes the entry. NULL when that failed, which has been told. */
struct fetch_transfer *fetch_transfer_open(struct fetch *fetch, struct fetch_entry *entry);

/* The next read to ask for. False: there is none now, or none at all (then transfer->asked is the
 * size). */
bool fetch_transfer_next_read(const struct fetch_transfer *transfer, uint64_t *offset,
                              uint32_t *length);

/* Takes in the bytes of a response to a read: those of message from FILE_RESPONSE_HEADER on. */
void fetch_transfer_take_read(struct fetch *fetch, struct fetch_transfer *transfer,
                              const struct fetch_call *call, const struct msv_message *message);

/* Marks it failed and tells why, unless it has failed before. */
void fetch_transfer_fail(struct fetch *fetch, struct fetch_transfer *transfer, const char *reason);

/* After each of its calls: if that was the last one, completes or discards the file and frees it.
 */
void fetch_transfer_settle(struct fetch *fetch, struct fetch_transfer *transfer);

/* Throws the file away, whatever is outstanding. */
void fetch_transfer_close(struct fetch *fetch, struct fetch_transfer *transfer);

#endif
