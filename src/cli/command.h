/*
 * The commands that `missive` dispatches to, and what they share. Each takes its own argument
 * vector, argv[0] being "missive NAME", and returns the process's exit status. Usage errors end the
 * process in argp, with COMMAND_USAGE.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdint.h>
#include <argp.h>
#include <sys/types.h>

enum command_status {
    COMMAND_OK = 0,
    COMMAND_FAILED = 1,
    COMMAND_USAGE = 2,
};

int command_serve(int argc, char **argv);
int command_fetch(int argc, char **argv);
int command_ping(int argc, char **argv);
int command_sim(int argc, char **argv);

/* Prints "missive COMMAND: sentence" on standard error. */
void command_error(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Numbers of the command line. A text that is no number, or out of range, is a usage error that
 * names the option and the range.
 */
uint64_t option_number(struct argp_state *state, const char *option, const char *text, uint64_t min,
                       uint64_t max);

/* Seconds with an optional fraction, 0 .. max, as nanoseconds. */
uint64_t option_seconds(struct argp_state *state, const char *option, const char *text,
                        unsigned max);

/*
 * Why msv_resolve or a call to server failed, as a sentence that says what to do. error is a
 * negative errno. The result is valid until the thread's next call of this.
 */
const char *command_call_failure(const char *server, int error);

/* Nanoseconds of a clock that only goes forward. */
uint64_t command_now_ns(void);

/* From now on SIGINT, SIGTERM and SIGHUP only make command_interrupted() true. */
void command_catch_signals(void);
int command_interrupted(void);

#endif
