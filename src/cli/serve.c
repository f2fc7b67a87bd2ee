/*
 * `missive serve DIR`: the file service on a Homa port. Several threads run the same handler; the
 * main thread waits for a signal and then stops them. The handler only moves bytes between the
 * message and service.c, in buffers that belong to its thread.
 */
#include <missive/rpc.h>

#include "cli/command.h"
#include "cli/protocol.h"
#include "cli/service.h"
#include "cli/text.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_PORT    4146
#define THREADS_MAX     64
#define DEFAULT_THREADS 4 /* at most, when the machine has that many CPUs */

struct serve_options {
    const char *directory;
    const char *listen; /* address, without a port */
    unsigned port;      /* 0 = any */
    unsigned threads;
};

/* One thread that serves. */
struct worker {
    pthread_t thread;
    struct service *service;
    struct msv_server *server;
    uint8_t *request; /* FILE_MESSAGE_MAX bytes each */
    uint8_t *response;
    int error; /* why its run ended; 0 after a stop */
};

enum {
    OPTION_THREADS = 0x100
};

static const struct argp_option option_table[] = {
    {"listen", 'l', "ADDR", 0, "Address to listen on; * means all (default: 127.0.0.1)", 0},
    {"port", 'p', "N", 0, "Port, 1 to 32767, or 0 for any free one (default: 4146)", 0},
    {"threads", OPTION_THREADS, "N", 0, "Threads that serve (default: one per CPU, up to 4)", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct serve_options *options = state->input;

    switch (key) {
    case 'l':
        options->listen = argument;
        return 0;
    case 'p':
        options->port = (unsigned)option_number(state, "--port", argument, 0, 32767);
        return 0;
    case OPTION_THREADS:
        options->threads = (unsigned)option_number(state, "--threads", argument, 1, THREADS_MAX);
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0)
            argp_error(state, "one directory at a time, not also '%s'", argument);
        options->directory = argument;
        return 0;
    case ARGP_KEY_END:
        if (options->directory == NULL)
            argp_error(state, "which directory?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static unsigned default_threads(void)
{
    cpu_set_t cpus;
    int count = 1;

    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
        count = CPU_COUNT(&cpus);
    return count < DEFAULT_THREADS ? (unsigned)count : DEFAULT_THREADS;
}

/* "ADDR:PORT", an IPv6 address in brackets. */
static void join_address(char *text, size_t size, const char *address, unsigned port)
{
    if (strchr(address, ':') != NULL && address[0] != '[')
        snprintf(text, size, "[%s]:%u", address, port);
    else
        snprintf(text, size, "%s:%u", address, port);
}

static void answer(void *context, struct msv_request *request)
{
    struct worker *worker = context;
    const struct msv_message *message = msv_request_message(request);
    size_t length = msv_message_read(message, 0, worker->request, FILE_MESSAGE_MAX);

    length = service_answer(worker->service, worker->request, length, worker->response);
    if (msv_reply(request, worker->response, length) == -EINVAL)
        msv_drop(request);
}

static void *work(void *context)
{
    struct worker *worker = context;

    worker->error = msv_server_run(worker->server, answer, worker);
    /* Also after a failure: the main thread must learn that nobody serves any more. */
    if (worker->error != 0) {
        command_error("serve", "serving failed: %s", msv_rpc_errmsg());
        kill(getpid(), SIGTERM);
    }
    return NULL;
}

static void explain_open_failure(const struct serve_options *options, const char *address,
                                 int error)
{
    switch (error) {
    case -EADDRINUSE:
        command_error("serve",
                      "port %u is in use: stop who has it, or choose another with --port "
                      "(0 means any free one)",
                      options->port);
        break;
    case -EACCES:
        command_error("serve",
                      "port %u is for privileged users: choose one from 1024 up with --port",
                      options->port);
        break;
    case -EADDRNOTAVAIL:
        command_error("serve",
                      "%s is not an address of this machine: `ip address` lists those that are",
                      options->listen);
        break;
    default:
        command_error("serve", "cannot listen on %s: %s", address, msv_rpc_errmsg());
        break;
    }
}

static void free_workers(struct worker *workers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free(workers[i].request);
        free(workers[i].response);
    }
    free(workers);
}

static struct worker *make_workers(unsigned count, struct service *service,
                                   struct msv_server *server)
{
    struct worker *workers = calloc(count, sizeof(*workers));

    if (workers == NULL)
        return NULL;
    for (unsigned i = 0; i < count; i++) {
        workers[i].service = service;
        workers[i].server = server;
        workers[i].request = malloc(FILE_MESSAGE_MAX);
        workers[i].response = malloc(FILE_MESSAGE_MAX);
        if (workers[i].request == NULL || workers[i].response == NULL) {
            free_workers(workers, count);
            return NULL;
        }
    }
    return workers;
}

/* Runs the workers until a signal comes. Returns a command_status. */
static int serve_until_signal(const struct serve_options *options, struct service *service,
                              struct msv_server *server, const sigset_t *signals)
{
    struct worker *workers = make_workers(options->threads, service, server);
    int status = COMMAND_OK;
    unsigned running = 0;
    char address[300];
    int number;

    if (workers == NULL) {
        command_error("serve", "out of memory: %s", strerror(ENOMEM));
        return COMMAND_FAILED;
    }
    for (; running < options->threads; running++) {
        int error = pthread_create(&workers[running].thread, NULL, work, &workers[running]);

        if (error != 0) {
            command_error("serve", "cannot start a thread: %s", strerror(error));
            break;
        }
    }
    if (running > 0) {
        join_address(address, sizeof(address), options->listen, (unsigned)msv_server_port(server));
        printf("serving %s on %s\n", options->directory, address);
        fflush(stdout);
        sigwait(signals, &number);
    }
    msv_server_stop(server);
    for (unsigned i = 0; i < running; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].error != 0)
            status = COMMAND_FAILED;
    }
    if (running == 0)
        status = COMMAND_FAILED;
    free_workers(workers, options->threads);
    return status;
}

/* Signals are blocked before any thread is made, so that only the main thread takes them, by
 * sigwait. */
static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    /* Nobody reading our one line is no reason to stop serving. */
    signal(SIGPIPE, SIG_IGN);
}

static int open_directory(const char *directory)
{
    int root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (root >= 0 && faccessat(root, ".", R_OK | X_OK, AT_EACCESS) == 0)
        return root;
    if (errno == ENOTDIR)
        command_error("serve", "%s is not a directory: give the directory that holds it",
                      directory);
    else if (errno == ENOENT)
        command_error("serve", "there is no directory %s", directory);
    else
        command_error("serve", "cannot read the directory %s: %s", directory, strerror(errno));
    if (root >= 0)
        close(root);
    return -1;
}

int command_serve(int argc, char **argv)
{
    const struct argp argp = {
        .options = option_table,
        .parser = parse_option,
        .args_doc = "DIR",
        .doc =
            "Offers the files of DIR to `missive fetch`, over Homa RPCs, until SIGINT or SIGTERM. "
            "Anybody who can reach the port can read whatever this user can read beneath DIR; "
            "symbolic links are listed, never followed.",
    };
    struct serve_options options = {
        .listen = "127.0.0.1", .port = DEFAULT_PORT, .threads = default_threads()};
    struct service service = {.root = -1};
    struct msv_server *server = NULL;
    int status = COMMAND_FAILED;
    sigset_t signals;
    char address[300];
    int error;

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    service.root = open_directory(options.directory);
    if (service.root < 0)
        goto out;
    block_signals(&signals);
    join_address(address, sizeof(address), options.listen, options.port);
    error = msv_server_open(&server, address, NULL);
    if (error != 0) {
        explain_open_failure(&options, address, error);
        goto out;
    }
    status = serve_until_signal(&options, &service, server, &signals);
out:
    msv_server_close(server);
    if (service.root >= 0)
        close(service.root);
    return status;
}
