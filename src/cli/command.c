/*
 * What the commands share: messages, option values, signals, and the sentences for failures of the
 * network, which are the same whoever calls.
 */
#include "cli/command.h"

#include <missive/rpc.h>

#include <stdarg.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile sig_atomic_t interrupted;

void command_error(const char *command, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    flockfile(stderr);
    fprintf(stderr, "missive %s: ", command);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(arguments);
}

uint64_t option_number(struct argp_state *state, const char *option, const char *text, uint64_t min,
                       uint64_t max)
{
    unsigned long long value;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < min || value > max)
        argp_error(state, "%s takes a number from %llu to %llu, not '%s'", option,
                   (unsigned long long)min, (unsigned long long)max, text);
    return value;
}

uint64_t option_seconds(struct argp_state *state, const char *option, const char *text,
                        unsigned max)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !isfinite(value) || value < 0 || value > max)
        argp_error(state, "%s takes seconds from 0 to %u, as in 0.25, not '%s'", option, max, text);
    return (uint64_t)(value * 1e9);
}

const char *command_call_failure(const char *server, int error)
{
    static _Thread_local char sentence[512];

    switch (error) {
    case -ENOTCONN:
        snprintf(sentence, sizeof(sentence),
                 "nobody listens on %s (is `missive serve` running there?)", server);
        break;
    case -ETIMEDOUT:
        snprintf(sentence, sizeof(sentence),
                 "%s does not answer (is the host up, and does every firewall on the way let its "
                 "UDP port through?)",
                 server);
        break;
    case -EHOSTUNREACH:
    case -ENETUNREACH:
        snprintf(sentence, sizeof(sentence),
                 "%s cannot be reached (there is no route to it; see `ip route`)", server);
        break;
    case -EINVAL:
        snprintf(sentence, sizeof(sentence),
                 "'%s' is not HOST:PORT, as in 127.0.0.1:4146 or [::1]:4146", server);
        break;
    case -ENOENT:
        snprintf(sentence, sizeof(sentence), "the host of %s is unknown (is its name right?)",
                 server);
        break;
    default:
        snprintf(sentence, sizeof(sentence), "%s: %s", server, msv_rpc_errmsg());
        break;
    }
    return sentence;
}

uint64_t command_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void note_signal(int number)
{
    (void)number;
    interrupted = 1;
}

void command_catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = note_signal};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction old;

        /* What was started to ignore a signal (nohup) goes on doing so. */
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
}

int command_interrupted(void)
{
    return interrupted;
}
