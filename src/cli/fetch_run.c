/*
 * The loop of a fetch: keep as many RPCs in flight as allowed, and deal with each response as it
 * comes. Directories are listed first, so that the totals are known early; then files in order, a
 * file's ranges before its digest, the next file's right behind. Links and the directories' own
 * times come after everything else.
 *
 * A refusal by the server costs the file it was about; a call that fails as such (nobody there,
 * silence) ends the fetch, since every other call would fare the same.
 */
#include "cli/command.h"
#include "cli/fetch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define WAIT_MS             100 /* how soon a signal is noticed, and the progress line redrawn */
#define BYTES_IN_FLIGHT_MAX 33554432 /* half of the receive region of a client */

/* A call failed as such: everything ends. */
static void end_by_call(struct fetch *fetch, int error)
{
    const char *server = fetch->options->server;
    bool answered_before = fetch->result.latencies.count > 0;

    if (answered_before && (error == -ETIMEDOUT || error == -ENOTCONN))
        fetch_end(fetch, "%s %s: fetch again when it is back", server,
                  error == -ENOTCONN ? "is gone" : "stopped answering");
    else
        fetch_end(fetch, "%s", command_call_failure(server, error));
}

static struct fetch_call *take_call(struct fetch *fetch)
{
    struct fetch_call *call = &fetch->calls[fetch->first_free - 1];

    assert(fetch->first_free > 0 && !call->busy);
    fetch->first_free = call->next_free;
    fetch->in_flight++;
    call->busy = true;
    return call;
}

static void give_call(struct fetch *fetch, struct fetch_call *call)
{
    assert(call->busy && fetch->in_flight > 0);
    fetch->bytes_in_flight -= call->length;
    fetch->in_flight--;
    if (call->transfer != NULL)
        call->transfer->calls--;
    else
        fetch->listing--;
    *call = (struct fetch_call){.next_free = fetch->first_free};
    fetch->first_free = (uint32_t)(call - fetch->calls) + 1;
}

/* Sends a call whose purpose is filled in. If that fails, the fetch is over. */
static void send_call(struct fetch *fetch, struct fetch_call *call,
                      const struct file_request *request)
{
    uint8_t bytes[FILE_REQUEST_MAX];
    size_t length = file_request_encode(request, bytes, sizeof(bytes));
    int error;

    assert(length > 0);
    call->operation = request->operation;
    call->length = request->length;
    fetch->bytes_in_flight += call->length;
    if (call->transfer != NULL)
        call->transfer->calls++;
    else
        fetch->listing++;
    call->begin_ns = command_now_ns();
    error = msv_call_begin(fetch->client, &fetch->address, bytes, length,
                           (uint64_t)(call - fetch->calls), NULL);
    if (error != 0) {
        end_by_call(fetch, error);
        give_call(fetch, call);
    }
}

static void ask_list(struct fetch *fetch, struct fetch_directory *directory)
{
    const char *after = directory->after != NULL ? directory->after : "";
    struct fetch_call *call;
    int error = 0;

    if (directory->after == NULL)
        error = fetch_target_make_directory(&fetch->target, directory);
    if (error != 0) {
        fetch_fail_locally(fetch, directory, NULL, error);
        return;
    }
    directory->made = true;
    call = take_call(fetch);
    call->directory = directory;
    send_call(fetch, call,
              &(struct file_request){.operation = FILE_LIST,
                                     .path = file_text_of(directory->path),
                                     .after = file_text_of(after),
                                     .limit = FILE_MESSAGE_MAX});
}

/* Asks for the next range of the file, or at last for its digest. False when that must wait. */
static bool ask_file(struct fetch *fetch, struct fetch_transfer *transfer)
{
    struct file_request request = {.operation = FILE_READ};
    char path[FETCH_PATH_SIZE];
    struct fetch_call *call;

    if (transfer->failed) {
        fetch->asking = NULL;
        return true;
    }
    fetch_path(transfer->entry->directory, transfer->entry->name, path);
    request.path = file_text_of(path);
    if (transfer->asked < transfer->entry->size) {
        if (!fetch_transfer_next_read(transfer, &request.offset, &request.length) ||
            (fetch->bytes_in_flight > 0 &&
             fetch->bytes_in_flight + request.length > BYTES_IN_FLIGHT_MAX))
            return false;
        transfer->asked += request.length;
    } else {
        request.operation = FILE_DIGEST;
        fetch->asking = NULL;
    }
    call = take_call(fetch);
    call->transfer = transfer;
    call->offset = request.offset;
    send_call(fetch, call, &request);
    return true;
}

/* Asks for whatever is next. False when there is nothing to ask for now. */
static bool ask_next(struct fetch *fetch)
{
    struct fetch_directory *directory = fetch_plan_next_directory(&fetch->plan);
    struct fetch_entry *entry;

    if (directory != NULL) {
        ask_list(fetch, directory);
        return true;
    }
    if (fetch->asking != NULL)
        return ask_file(fetch, fetch->asking);
    entry = fetch_plan_next(&fetch->plan.files);
    if (entry == NULL)
        return false;
    fetch->asking = fetch_transfer_open(fetch, entry);
    return true;
}

static void take_list(struct fetch *fetch, struct fetch_directory *directory,
                      struct base_reader *body)
{
    int error = fetch_plan_add_page(&fetch->plan, directory, body);
    struct fetch_entry *entry;

    while ((entry = fetch_plan_next(&fetch->plan.left_out)) != NULL) {
        if (entry->harmless) {
            fetch->result.left_out++;
            fetch_note(fetch, directory, entry->name, entry->reason);
        } else {
            fetch_fail(fetch, directory, entry->name, entry->reason);
        }
        free(entry);
    }
    if (error == -EPROTO)
        fetch_end(fetch, "%s sends a listing that is malformed", fetch->options->server);
    else if (error == -E2BIG)
        fetch_end(fetch, "%s lists more than %u entries", fetch->options->server,
                  FETCH_ENTRIES_MAX);
    else if (error != 0)
        fetch_end(fetch, "out of memory");
}

/* A response with an error in it. */
static void take_refusal(struct fetch *fetch, const struct fetch_call *call,
                         enum file_status status)
{
    if (status == FILE_BAD_VERSION)
        fetch_end(fetch,
                  "%s speaks another version of the file service: run the same release of missive "
                  "on both sides",
                  fetch->options->server);
    else if (call->transfer != NULL)
        fetch_transfer_fail(fetch, call->transfer, file_status_text(status));
    else
        fetch_fail(fetch, call->directory, NULL, file_status_text(status));
}

/* A response's header is looked at by itself: the message may lie in several places. */
static int read_header(const struct msv_message *message, enum file_operation operation,
                       enum file_status *status)
{
    uint8_t bytes[FILE_RESPONSE_HEADER];
    size_t length = msv_message_read(message, 0, bytes, sizeof(bytes));
    struct base_reader reader = base_reader_begin(bytes, length);

    return file_response_decode(&reader, operation, status);
}

/* Takes in a list or digest response's body, copied to be in one piece. */
static void take_body(struct fetch *fetch, const struct fetch_call *call,
                      const struct msv_message *message)
{
    size_t length = msv_message_length(message) - FILE_RESPONSE_HEADER;
    uint8_t *bytes = malloc(length + 1);
    struct base_reader body;

    if (bytes == NULL) {
        fetch_end(fetch, "out of memory");
        return;
    }
    length = msv_message_read(message, FILE_RESPONSE_HEADER, bytes, length);
    body = base_reader_begin(bytes, length);
    if (call->operation == FILE_LIST) {
        take_list(fetch, call->directory, &body);
    } else if (file_digest_decode(&body, &call->transfer->remote) == 0) {
        call->transfer->digest_known = true;
    } else {
        fetch_end(fetch, "%s sends a digest that is malformed", fetch->options->server);
    }
    free(bytes);
}

static void take_response(struct fetch *fetch, const struct fetch_call *call,
                          const struct msv_message *message)
{
    enum file_status status = FILE_OK;

    if (read_header(message, call->operation, &status) != 0 ||
        (call->operation == FILE_READ && status == FILE_OK &&
         msv_message_length(message) > FILE_RESPONSE_HEADER + (size_t)call->length))
        fetch_end(fetch, "%s answers, but not as `missive serve` does", fetch->options->server);
    else if (status != FILE_OK)
        take_refusal(fetch, call, status);
    else if (call->operation == FILE_READ)
        fetch_transfer_take_read(fetch, call->transfer, call, message);
    else
        take_body(fetch, call, message);
}

/* Waits a little for a response and deals with it. */
static void take_next(struct fetch *fetch)
{
    struct msv_message *message = NULL;
    struct fetch_transfer *transfer;
    struct fetch_call *call;
    uint64_t cookie = 0;
    int finished = 0;
    int error = msv_call_end(fetch->client, WAIT_MS, &cookie, &message, &finished);

    if (error != 0 && !finished) {
        if (error != -EAGAIN && error != -EINTR)
            end_by_call(fetch, error);
        return;
    }
    assert(cookie < fetch->options->in_flight);
    call = &fetch->calls[cookie];
    transfer = call->transfer;
    if (error != 0) {
        end_by_call(fetch, error);
    } else {
        histogram_add(&fetch->result.latencies, command_now_ns() - call->begin_ns);
        take_response(fetch, call, message);
    }
    msv_message_free(message);
    give_call(fetch, call);
    if (transfer != NULL && !fetch->over)
        fetch_transfer_settle(fetch, transfer);
}

static void show_progress(struct fetch *fetch)
{
    struct progress_counts counts = {
        .files_done = fetch->result.files,
        .files_total = fetch->plan.file_count,
        .bytes_done = fetch->bytes_written,
        .bytes_total = fetch->plan.byte_count,
        .listing = fetch->listing > 0 || !STAILQ_EMPTY(&fetch->plan.to_list),
    };

    progress_update(&fetch->progress, &counts, command_now_ns());
}

static void make_links(struct fetch *fetch)
{
    struct fetch_entry *entry;

    while (!fetch->over && (entry = fetch_plan_next(&fetch->plan.links)) != NULL) {
        int error = fetch_target_link(&fetch->target, entry);

        if (error == 0)
            fetch->result.links++;
        else
            fetch_fail_locally(fetch, entry->directory, entry->name, error);
        free(entry);
    }
}

/* Children before their parents, whose modes may close the way to them. */
static void finish_directories(struct fetch *fetch)
{
    for (size_t i = fetch->plan.directory_count; i-- > 1;) {
        struct fetch_directory *directory = fetch->plan.directories[i];
        int error;

        if (!directory->made)
            continue;
        error = fetch_target_finish_directory(&fetch->target, directory);
        if (error == 0)
            fetch->result.directories++;
        else
            fetch_fail_locally(fetch, directory, NULL, error);
    }
}

void fetch_run(struct fetch *fetch)
{
    struct fetch_transfer *transfer;

    TAILQ_INIT(&fetch->transfers);
    for (unsigned i = fetch->options->in_flight; i-- > 0;) {
        fetch->calls[i].next_free = fetch->first_free;
        fetch->first_free = i + 1;
    }
    while (!fetch->over) {
        while (!fetch->over && fetch->in_flight < fetch->options->in_flight && ask_next(fetch))
            continue;
        if (fetch->over || fetch->in_flight == 0)
            break;
        take_next(fetch);
        show_progress(fetch);
        if (command_interrupted())
            fetch_end(fetch, "interrupted: what is there is complete, the rest is missing");
    }
    while ((transfer = TAILQ_FIRST(&fetch->transfers)) != NULL)
        fetch_transfer_close(fetch, transfer);
    if (!fetch->over)
        make_links(fetch);
    finish_directories(fetch);
    progress_clear(&fetch->progress);
}
