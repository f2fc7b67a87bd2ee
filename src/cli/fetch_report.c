/*
 * What a fetch tells while it runs: one line per failure on standard error, above the progress
 * line. Names come from the server, so they are escaped. After FAILURES_TOLD lines only the count
 * goes on.
 */
#include "cli/command.h"
#include "cli/fetch.h"
#include "cli/text.h"

#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FAILURES_TOLD 100

/* "PATH: sentence" */
static void tell(struct fetch *fetch, const struct fetch_directory *directory, const char *name,
                 const char *sentence)
{
    char path[FETCH_PATH_SIZE];
    char shown[TEXT_PATH_SIZE];

    if (name != NULL)
        fetch_path(directory, name, path);
    else
        snprintf(path, sizeof(path), "%s", directory->path[0] != '\0' ? directory->path : ".");
    progress_clear(&fetch->progress);
    command_error("fetch", "%s: %s", text_escape(shown, sizeof(shown), path, strlen(path)),
                  sentence);
}

void fetch_fail(struct fetch *fetch, const struct fetch_directory *directory, const char *name,
                const char *reason)
{
    fetch->result.failures++;
    if (fetch->result.failures <= FAILURES_TOLD)
        tell(fetch, directory, name, reason);
    if (fetch->result.failures == FAILURES_TOLD)
        command_error("fetch", "(further failures are only counted)");
}

void fetch_note(struct fetch *fetch, const struct fetch_directory *directory, const char *name,
                const char *note)
{
    if (!fetch->options->quiet)
        tell(fetch, directory, name, note);
}

void fetch_end(struct fetch *fetch, const char *format, ...)
{
    char sentence[1024];
    va_list arguments;

    if (fetch->over)
        return;
    fetch->over = true;
    fetch->result.failures++;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    progress_clear(&fetch->progress);
    command_error("fetch", "%s", sentence);
}

void fetch_fail_locally(struct fetch *fetch, const struct fetch_directory *directory,
                        const char *name, int error)
{
    const char *destination = fetch->options->destination;

    switch (error) {
    case -ENOSPC:
        fetch_end(fetch, "the disk of %s is full: make room and fetch again", destination);
        return;
    case -EDQUOT:
        fetch_end(fetch, "the quota on %s is used up: make room and fetch again", destination);
        return;
    case -EROFS:
        fetch_end(fetch, "%s is on a file system that is read-only", destination);
        return;
    case -EMFILE:
    case -ENFILE:
        fetch_end(fetch, "too many open files: lower --in-flight, or raise `ulimit -n`");
        return;
    case -ENOMEM:
        fetch_end(fetch, "out of memory");
        return;
    case -ELOOP:
    case -ENOTDIR:
        fetch_fail(fetch, directory, name,
                   "not written: a link or a file is in the way in the destination");
        return;
    case -EISDIR:
    case -EEXIST:
    case -ENOTEMPTY:
        fetch_fail(fetch, directory, name,
                   "not written: a directory is in the way in the destination");
        return;
    default: {
        char sentence[128];

        snprintf(sentence, sizeof(sentence), "cannot be written: %s", strerror(-error));
        fetch_fail(fetch, directory, name, sentence);
        return;
    }
    }
}
