/*
 * `missive ping HOST:PORT`: one RPC after the other, each timed. What is sent comes back unchanged,
 * and that is checked.
 */
#include <missive/rpc.h>

#include "cli/command.h"
#include "cli/histogram.h"
#include "cli/protocol.h"
#include "cli/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_COUNT       10
#define DEFAULT_INTERVAL_NS 100000000
#define DEFAULT_SIZE        100
#define COUNT_MAX           1000000000
#define INTERVAL_MAX_S      3600
#define WAIT_MS             100 /* how soon a signal is noticed while waiting for an answer */

struct ping_options {
    const char *server;
    uint64_t count;
    uint64_t interval_ns;
    size_t size; /* of request and response */
    bool quiet;
};

struct ping {
    const struct ping_options *options;
    struct msv_client *client;
    struct sockaddr_storage address;
    uint8_t *request; /* of options->size bytes */
    uint8_t *echo;
    struct histogram times;
    uint64_t sent;
};

static const struct argp_option option_table[] = {
    {"count", 'c', "N", 0, "RPCs to send (default: 10)", 0},
    {"interval", 'i', "SECONDS", 0, "Time from one to the next; 0 = at once (default: 0.1)", 0},
    {"size", 's', "BYTES", 0, "Length of request and response (default: 100)", 0},
    {"quiet", 'q', NULL, 0, "Print only the summary", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct ping_options *options = state->input;

    switch (key) {
    case 'c':
        options->count = option_number(state, "--count", argument, 1, COUNT_MAX);
        return 0;
    case 'i':
        options->interval_ns = option_seconds(state, "--interval", argument, INTERVAL_MAX_S);
        return 0;
    case 's':
        options->size =
            (size_t)option_number(state, "--size", argument, FILE_REQUEST_HEADER, FILE_MESSAGE_MAX);
        return 0;
    case 'q':
        options->quiet = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0)
            argp_error(state, "one server at a time, not also '%s'", argument);
        options->server = argument;
        return 0;
    case ARGP_KEY_END:
        if (options->server == NULL)
            argp_error(state, "which server? Give HOST:PORT");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Sends the request and waits for its answer. 0, a negative errno, or -EINTR after a signal. */
static int ping_once(struct ping *ping, struct msv_message **response)
{
    size_t size = ping->options->size;
    int finished = 0;
    uint64_t cookie;
    int error = msv_call_begin(ping->client, &ping->address, ping->request, size, ping->sent, NULL);

    if (error != 0)
        return error;
    ping->sent++;
    do {
        if (command_interrupted())
            return -EINTR;
        error = msv_call_end(ping->client, WAIT_MS, &cookie, response, &finished);
    } while (error != 0 && !finished && (error == -EAGAIN || error == -EINTR));
    return error;
}

/* Whether the response is the request. */
static bool echoes(const struct ping *ping, const struct msv_message *response)
{
    size_t size = ping->options->size;

    return msv_message_length(response) == size &&
           msv_message_read(response, 0, ping->echo, size) == size &&
           memcmp(ping->request, ping->echo, size) == 0;
}

/* Sleeps until a time of command_now_ns(), or a signal. */
static void sleep_until(uint64_t time_ns)
{
    struct timespec time = {.tv_sec = (time_t)(time_ns / 1000000000),
                            .tv_nsec = (long)(time_ns % 1000000000)};

    while (!command_interrupted() &&
           clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        continue;
}

/* One RPC, timed and told of. False when there is no point in going on. */
static bool ping_and_tell(struct ping *ping)
{
    const struct ping_options *options = ping->options;
    struct msv_message *response = NULL;
    uint64_t begin_ns = command_now_ns();
    int error = ping_once(ping, &response);
    uint64_t time_ns = command_now_ns() - begin_ns;
    char text[TEXT_SIZE];

    if (error == -EINTR)
        return false;
    if (error != 0) {
        command_error("ping", "%s", command_call_failure(options->server, error));
        /* Silence may end; a port that is closed, or a request that cannot be sent, will not
         * change. */
        return error == -ETIMEDOUT || error == -EHOSTUNREACH;
    }
    if (!echoes(ping, response)) {
        command_error("ping", "%s answers, but not as `missive serve` does", options->server);
        msv_message_free(response);
        return false;
    }
    msv_message_free(response);
    histogram_add(&ping->times, time_ns);
    if (!options->quiet) {
        printf("%zu bytes from %s: rpc=%" PRIu64 " time=%s\n", options->size, options->server,
               ping->sent, text_nanoseconds(text, time_ns));
        fflush(stdout);
    }
    return true;
}

static void print_summary(const struct ping *ping)
{
    const struct histogram *times = &ping->times;
    char min[TEXT_SIZE], median[TEXT_SIZE], p99[TEXT_SIZE], max[TEXT_SIZE];

    printf("%" PRIu64 " sent, %" PRIu64 " answered", ping->sent, times->count);
    if (times->count > 0)
        printf("; min %s, median %s, p99 %s, max %s", text_nanoseconds(min, times->min),
               text_nanoseconds(median, histogram_percentile(times, 500)),
               text_nanoseconds(p99, histogram_percentile(times, 990)),
               text_nanoseconds(max, times->max));
    printf("\n");
}

/* Sends as many as wanted at their times. */
static void ping_all(struct ping *ping)
{
    uint64_t next_ns = command_now_ns();

    for (uint64_t i = 0; i < ping->options->count; i++) {
        if (!ping_and_tell(ping) || command_interrupted())
            return;
        next_ns += ping->options->interval_ns;
        if (ping->options->interval_ns > 0 && i + 1 < ping->options->count)
            sleep_until(next_ns);
        if (command_interrupted())
            return;
    }
}

static int prepare(struct ping *ping)
{
    const struct file_request request = {.operation = FILE_PING};
    size_t size = ping->options->size;

    ping->request = malloc(size);
    ping->echo = malloc(size);
    if (ping->request == NULL || ping->echo == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < size; i++)
        ping->request[i] = (uint8_t)(i * 7);
    file_request_encode(&request, ping->request, size);
    return 0;
}

int command_ping(int argc, char **argv)
{
    const struct argp argp = {
        .options = option_table,
        .parser = parse_option,
        .args_doc = "HOST:PORT",
        .doc =
            "Sends RPCs to a `missive serve`, one after the other, and prints how long each took.",
    };
    struct ping_options options = {
        .count = DEFAULT_COUNT, .interval_ns = DEFAULT_INTERVAL_NS, .size = DEFAULT_SIZE};
    struct ping *ping;
    int status = COMMAND_FAILED;
    int error;

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    ping = calloc(1, sizeof(*ping));
    if (ping == NULL) {
        command_error("ping", "out of memory");
        return COMMAND_FAILED;
    }
    ping->options = &options;
    error = prepare(ping);
    if (error == 0)
        error = msv_client_open(&ping->client, NULL);
    if (error != 0) {
        command_error("ping", "cannot begin: %s",
                      error == -ENOMEM ? strerror(ENOMEM) : msv_rpc_errmsg());
        goto out;
    }
    error = msv_resolve(ping->client, options.server, &ping->address);
    if (error != 0) {
        command_error("ping", "%s", command_call_failure(options.server, error));
        goto out;
    }
    command_catch_signals();
    ping_all(ping);
    print_summary(ping);
    if (ping->times.count > 0)
        status = COMMAND_OK;
out:
    msv_client_close(ping->client);
    free(ping->request);
    free(ping->echo);
    free(ping);
    return status;
}
