/*
 * `missive fetch HOST:PORT DEST`: the command line, setting up and the last words. The work is in
 * fetch_run.c.
 */
#include "cli/fetch.h"

#include "cli/command.h"
#include "cli/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DEFAULT_IN_FLIGHT 64

static const struct argp_option option_table[] = {
    {"in-flight", 'n', "N", 0, "RPCs outstanding at most, 1 to 1024 (default: 64)", 0},
    {"quiet", 'q', NULL, 0, "Print nothing but failures", 0},
    {"json", 'j', NULL, 0, "Print the result as one line of JSON", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct fetch_options *options = state->input;

    switch (key) {
    case 'n':
        options->in_flight =
            (unsigned)option_number(state, "--in-flight", argument, 1, FETCH_IN_FLIGHT_MAX);
        return 0;
    case 'q':
        options->quiet = true;
        return 0;
    case 'j':
        options->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 1)
            argp_error(state, "one server and one destination, not also '%s'", argument);
        else if (state->arg_num == 1)
            options->destination = argument;
        else
            options->server = argument;
        return 0;
    case ARGP_KEY_END:
        if (options->server == NULL)
            argp_error(state, "which server? Give HOST:PORT, and the directory to copy to");
        if (options->destination == NULL)
            argp_error(state, "where to? Give the directory to copy to");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static double seconds_of(const struct fetch_result *result)
{
    return result->duration_ns > 0 ? (double)result->duration_ns / 1e9 : 1e-9;
}

static double microseconds(const struct fetch_result *result, unsigned thousandths)
{
    return (double)histogram_percentile(&result->latencies, thousandths) / 1e3;
}

static void print_json(const struct fetch_result *result)
{
    double seconds = seconds_of(result);

    printf("{\"files\":%" PRIu64 ",\"directories\":%" PRIu64 ",\"links\":%" PRIu64
           ",\"bytes\":%" PRIu64 ",\"failures\":%" PRIu64 ",\"left_out\":%" PRIu64
           ",\"seconds\":%.6f,\"rpcs\":%" PRIu64 ",\"rpcs_per_second\":%.0f"
           ",\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f}\n",
           result->files, result->directories, result->links, result->bytes, result->failures,
           result->left_out, seconds, result->latencies.count,
           (double)result->latencies.count / seconds, microseconds(result, 500),
           microseconds(result, 990), microseconds(result, 999));
}

#define COUNTED_SIZE 64

/* "1 file", "2 files" */
static char *counted(char text[COUNTED_SIZE], uint64_t count, const char *one, const char *many)
{
    char number[TEXT_SIZE];

    snprintf(text, COUNTED_SIZE, "%s %s", text_count(number, count), count == 1 ? one : many);
    return text;
}

static void print_text(const struct fetch_result *result)
{
    double seconds = seconds_of(result);
    const struct histogram *times = &result->latencies;
    char files[COUNTED_SIZE], directories[COUNTED_SIZE], links[COUNTED_SIZE];
    char a[TEXT_SIZE], b[TEXT_SIZE], c[TEXT_SIZE], d[TEXT_SIZE];

    printf("%s, %s, %s: %s in %.2f s (%s/s), every SHA-256 verified\n",
           counted(files, result->files, "file", "files"),
           counted(directories, result->directories, "directory", "directories"),
           counted(links, result->links, "link", "links"), text_bytes(a, result->bytes), seconds,
           text_bytes(b, (uint64_t)((double)result->bytes / seconds)));
    printf("%s, %s per second; p50 %s, p99 %s, p99.9 %s\n",
           counted(files, times->count, "RPC", "RPCs"),
           text_count(a, (uint64_t)((double)times->count / seconds)),
           text_nanoseconds(b, histogram_percentile(times, 500)),
           text_nanoseconds(c, histogram_percentile(times, 990)),
           text_nanoseconds(d, histogram_percentile(times, 999)));
}

static void print_result(const struct fetch *fetch)
{
    const struct fetch_result *result = &fetch->result;
    char count[COUNTED_SIZE];

    if (fetch->options->json)
        print_json(result);
    else if (!fetch->options->quiet && result->latencies.count > 0)
        print_text(result);
    if (result->failures > 0 && result->latencies.count > 0)
        command_error("fetch", "%s: the copy is not complete",
                      counted(count, result->failures, "failure", "failures"));
}

static void explain_destination_failure(const char *destination, int error)
{
    if (error == -ENOENT)
        command_error("fetch", "%s cannot be made: the directory above it does not exist",
                      destination);
    else if (error == -ENOTDIR)
        command_error("fetch", "%s is not a directory", destination);
    else
        command_error("fetch", "cannot write to %s: %s", destination, strerror(-error));
}

/* Every file on its way takes a descriptor, and so may its directory. */
static void allow_open_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Opens all that a fetch needs. False, and told, when that fails. */
static bool prepare(struct fetch *fetch)
{
    const struct fetch_options *options = fetch->options;
    int error = fetch_plan_open(&fetch->plan);

    fetch->calls = calloc(options->in_flight, sizeof(*fetch->calls));
    if (error != 0 || fetch->calls == NULL) {
        command_error("fetch", "out of memory");
        return false;
    }
    error = msv_client_open(&fetch->client, NULL);
    if (error != 0) {
        command_error("fetch", "cannot begin: %s", msv_rpc_errmsg());
        return false;
    }
    error = msv_resolve(fetch->client, options->server, &fetch->address);
    if (error != 0) {
        command_error("fetch", "%s", command_call_failure(options->server, error));
        return false;
    }
    error = fetch_target_open(&fetch->target, options->destination);
    if (error != 0) {
        explain_destination_failure(options->destination, error);
        return false;
    }
    return true;
}

int command_fetch(int argc, char **argv)
{
    const struct argp argp = {
        .options = option_table,
        .parser = parse_option,
        .args_doc = "HOST:PORT DEST",
        .doc =
            "Copies the whole tree that a `missive serve` offers into the directory DEST, which is "
            "made if it does not exist, and compares every file's SHA-256 with the server's.\v"
            "Files that are there already under the same names are replaced, each at once and only "
            "when its copy is complete. Exits with 1 if anything failed.",
    };
    struct fetch_options options = {.in_flight = DEFAULT_IN_FLIGHT};
    struct fetch *fetch;
    int status = COMMAND_FAILED;
    uint64_t begin_ns;

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    fetch = calloc(1, sizeof(*fetch));
    if (fetch == NULL) {
        command_error("fetch", "out of memory");
        return COMMAND_FAILED;
    }
    fetch->options = &options;
    fetch->target.root = -1;
    allow_open_files();
    if (prepare(fetch)) {
        command_catch_signals();
        begin_ns = command_now_ns();
        progress_open(&fetch->progress, options.quiet, begin_ns);
        fetch_run(fetch);
        fetch->result.duration_ns = command_now_ns() - begin_ns;
        print_result(fetch);
        if (fetch->result.failures == 0)
            status = COMMAND_OK;
    }
    fetch_target_close(&fetch->target);
    /* A destination in which nothing arrived goes again, so that a mistyped server leaves no trace.
     */
    if (status != COMMAND_OK && fetch->target.made)
        rmdir(options.destination);
    msv_client_close(fetch->client);
    fetch_plan_close(&fetch->plan);
    free(fetch->calls);
    free(fetch);
    return status;
}
