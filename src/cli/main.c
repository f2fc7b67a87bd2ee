/*
 * The command `missive`: finds the subcommand and hands over to it. Everything else is in the file
 * named like the subcommand.
 */
#include <missive/socket.h>

#include "cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    const char *full_name; /* argv[0] of the subcommand, for its messages */
    const char *summary;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {"serve", "missive serve", "offer a directory's files over Homa RPCs", command_serve},
    {"fetch", "missive fetch", "copy everything that a server offers, and verify it",
     command_fetch},
    {"ping", "missive ping", "measure how long a server takes to answer", command_ping},
    {"sim", "missive sim", "simulate hosts in disaster, or a loaded cluster", command_sim},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "missive %s\n", msv_version());
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static void print_commands(FILE *stream)
{
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(stream, "  %-8s %s\n", commands[i].name, commands[i].summary);
}

/* argp's hook for the texts of --help: adds the list of commands before the options. */
static char *help_filter(int key, const char *text, void *input)
{
    (void)input;
    if (key == ARGP_KEY_HELP_PRE_DOC) {
        char *list = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&list, &size);

        if (stream == NULL)
            return (char *)(uintptr_t)text;
        fprintf(stream, "%s\n\nCommands:\n", text);
        print_commands(stream);
        fclose(stream);
        return list;
    }
    return (char *)(uintptr_t)text;
}

/* What the parser finds: the first word that is not an option, and where. */
struct found {
    const char *word;
    int index;
};

/* Stops at the first word that is not an option: it and what follows are the subcommand's. */
static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct found *found = state->input;

    switch (key) {
    case ARGP_KEY_ARG:
        found->word = argument;
        found->index = state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    const struct argp argp = {
        .parser = parse_option,
        .args_doc = "COMMAND [ARGUMENT...]",
        .doc = "Homa RPCs between ordinary processes: message sockets for Linux in user space.\v"
               "`missive COMMAND --help` tells more about a command.",
        .help_filter = help_filter,
    };
    const struct command *command;
    struct found found = {0};

    argp_err_exit_status = COMMAND_USAGE;
    argp_program_version_hook = print_version;
    if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &found) != 0)
        return COMMAND_USAGE;
    command = find_command(found.word);
    if (command == NULL) {
        fprintf(stderr, "missive: there is no command '%s'; the commands are:\n", found.word);
        print_commands(stderr);
        fprintf(stderr, "Try `missive --help` for more.\n");
        return COMMAND_USAGE;
    }
    argv[found.index] = (char *)(uintptr_t)command->full_name;
    return command->run(argc - found.index, argv + found.index);
}
