/*
 * `missive sim veth`: the scenario of sim/veth.c from the command line. What packets cost on the
 * machine to compare with comes by options; tools/sim-vs-real measures and gives them.
 */
#include "cli/command.h"
#include "cli/sim.h"
#include "cli/sim_options.h"
#include "sim/report.h"
#include "sim/veth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_key {
    OPTION_RATE = 0x100,
    OPTION_BURST,
    OPTION_SECONDS,
    OPTION_MESSAGES,
    OPTION_LONGEST,
    OPTION_SOCKETS,
    OPTION_SEED,
    OPTION_SEND_COST,
    OPTION_SEGMENT_COST,
    OPTION_RECEIVE_COST,
    OPTION_ANSWER_COST,
    OPTION_WAKE,
    OPTION_CLIENT_WAKE,
    OPTION_BUFFER,
    OPTION_BATCH,
    OPTION_SET,
    OPTION_CSV,
    OPTION_IDLE_CSV,
};

static const struct argp_option option_table[] = {
    {"workload", 'w', "NAME|FILE", 0,
     "message sizes: w1 to w5, or a file of lines \"length frequency\" (w4)", 1},
    {"load", 'l', "SHARE", 0, "of the rate, headers counted (0.5)", 1},
    {"rate", OPTION_RATE, "MBPS", 0, "of the token bucket, Mbit/s (1000)", 1},
    {"burst", OPTION_BURST, "BYTES", 0, "that it lets pass at once (10000)", 1},
    {"seconds", OPTION_SECONDS, "N", 0, "of load, in virtual time (20)", 1},
    {"messages", OPTION_MESSAGES, "N", 0, "but no more than so many (no end)", 1},
    {"longest", OPTION_LONGEST, "BYTES", 0, "longer messages are made that short (1000000)", 1},
    {"sockets", OPTION_SOCKETS, "N", 0, "of the client, 1 to 4 (4)", 1},
    {"seed", OPTION_SEED, "N", 0, "of lengths and times (1)", 1},
    {"send-cost", OPTION_SEND_COST, "NS", 0, "of a datagram that the client sends (0)", 2},
    {"segment-cost", OPTION_SEGMENT_COST, "NS", 0,
     "of one that the same send carries behind another (as --send-cost)", 2},
    {"receive-cost", OPTION_RECEIVE_COST, "NS", 0, "of a datagram received (0)", 2},
    {"answer-cost", OPTION_ANSWER_COST, "NS", 0, "of a datagram that the server sends (0)", 2},
    {"wake", OPTION_WAKE, "NS", 0, "from a datagram's arrival until a sleeping server runs (0)", 2},
    {"client-wake", OPTION_CLIENT_WAKE, "NS", 0,
     "until the client notices a datagram or the time (0)", 2},
    {"receive-buffer", OPTION_BUFFER, "BYTES", 0, "of the server's UDP socket (8388608)", 2},
    {"receive-batch", OPTION_BATCH, "N", 0, "datagrams taken before anything follows (2048)", 2},
    {"set", OPTION_SET, "KNOB=VALUE", 0, "a knob of both hosts; repeatable", 3},
    {"csv", OPTION_CSV, "FILE", 0, "where the table goes", 4},
    {"idle-csv", OPTION_IDLE_CSV, "FILE", 0, "where the times on the idle path go", 4},
    {0},
};

#define NS_MAX 1000000000

struct arguments {
    const char *workload_name;
    uint32_t load_permille;
    uint32_t rate_mbps;
    uint32_t burst;
    uint32_t seconds;
    uint64_t messages;
    uint32_t longest;
    uint32_t sockets;
    uint64_t seed;
    uint64_t send_ns;
    uint64_t segment_ns;
    uint64_t receive_ns;
    uint64_t answer_ns;
    uint64_t wake_ns;
    uint64_t client_wake_ns;
    uint64_t receive_buffer;
    uint32_t receive_batch;
    struct sim_settings settings;
    const char *csv;
    const char *idle_csv;
};

static error_t parse_cost(int key, char *text, struct argp_state *state,
                          struct arguments *arguments)
{
    switch (key) {
    case OPTION_SEND_COST:
        arguments->send_ns = option_number(state, "--send-cost", text, 0, NS_MAX);
        return 0;
    case OPTION_SEGMENT_COST:
        arguments->segment_ns = option_number(state, "--segment-cost", text, 0, NS_MAX);
        return 0;
    case OPTION_RECEIVE_COST:
        arguments->receive_ns = option_number(state, "--receive-cost", text, 0, NS_MAX);
        return 0;
    case OPTION_ANSWER_COST:
        arguments->answer_ns = option_number(state, "--answer-cost", text, 0, NS_MAX);
        return 0;
    case OPTION_WAKE:
        arguments->wake_ns = option_number(state, "--wake", text, 0, NS_MAX);
        return 0;
    case OPTION_CLIENT_WAKE:
        arguments->client_wake_ns = option_number(state, "--client-wake", text, 0, NS_MAX);
        return 0;
    case OPTION_BUFFER:
        arguments->receive_buffer = option_number(state, "--receive-buffer", text, 1, UINT32_MAX);
        return 0;
    case OPTION_BATCH:
        arguments->receive_batch =
            (uint32_t)option_number(state, "--receive-batch", text, 1, UINT32_MAX);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_output(int key, char *text, struct argp_state *state,
                            struct arguments *arguments)
{
    switch (key) {
    case OPTION_SET:
        sim_settings_add(&arguments->settings, state, text);
        return 0;
    case OPTION_CSV:
        arguments->csv = text;
        return 0;
    case OPTION_IDLE_CSV:
        arguments->idle_csv = text;
        return 0;
    default:
        return parse_cost(key, text, state, arguments);
    }
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;

    switch (key) {
    case 'w':
        arguments->workload_name = text;
        return 0;
    case 'l':
        arguments->load_permille =
            (uint32_t)sim_option_share(state, "--load", text, 1000, 1, 10000);
        return 0;
    case OPTION_RATE:
        arguments->rate_mbps = (uint32_t)option_number(state, "--rate", text, 1, 8000000);
        return 0;
    case OPTION_BURST:
        arguments->burst = (uint32_t)option_number(state, "--burst", text, 1, UINT32_MAX);
        return 0;
    case OPTION_SECONDS:
        arguments->seconds = (uint32_t)option_number(state, "--seconds", text, 1, 100000);
        return 0;
    case OPTION_MESSAGES:
        arguments->messages = option_number(state, "--messages", text, 1, UINT32_MAX);
        return 0;
    case OPTION_LONGEST:
        arguments->longest = (uint32_t)option_number(state, "--longest", text, 8, 1000000);
        return 0;
    case OPTION_SOCKETS:
        arguments->sockets = (uint32_t)option_number(state, "--sockets", text, 1, SIM_SOCKETS_MAX);
        return 0;
    case OPTION_SEED:
        arguments->seed = option_number(state, "--seed", text, 0, UINT64_MAX);
        return 0;
    default:
        return parse_output(key, text, state, arguments);
    }
}

/* ---- from arguments to options ---- */

static int prepare(const struct arguments *arguments, const struct sim_workload *workload,
                   struct sim_veth_options *options)
{
    struct sim_processor *client = &options->client.processor;
    struct sim_processor *server = &options->server.processor;
    uint64_t segment_ns =
        arguments->segment_ns != UINT64_MAX ? arguments->segment_ns : arguments->send_ns;

    sim_veth_defaults(options, arguments->rate_mbps, arguments->burst);
    options->stream.workload = workload;
    options->stream.load_permille = arguments->load_permille;
    options->stream.length_max = arguments->longest;
    options->stream.sockets = arguments->sockets;
    options->stream.seed = arguments->seed;
    options->duration = arguments->seconds * SIM_S;
    options->messages = arguments->messages;
    client->packet_out = arguments->send_ns * SIM_NS;
    client->segment_out = segment_ns * SIM_NS;
    client->packet_in = arguments->receive_ns * SIM_NS;
    client->wake = arguments->client_wake_ns * SIM_NS;
    client->timer_late = client->wake;
    server->packet_in = arguments->receive_ns * SIM_NS;
    server->packet_out = arguments->answer_ns * SIM_NS;
    server->wake = arguments->wake_ns * SIM_NS;
    server->timer_late = server->wake;
    server->receive_buffer = arguments->receive_buffer;
    server->receive_batch = arguments->receive_batch;
    int result = sim_settings_apply(&arguments->settings, "sim veth", &options->client.knobs);

    options->server.knobs = options->client.knobs;
    return result;
}

/* ---- results ---- */

static int write_rows(const char *path, const struct sim_veth_options *options,
                      const struct sim_veth_result *result)
{
    struct sim_rows rows;
    FILE *file = path != NULL ? fopen(path, "w") : NULL;

    if (path == NULL)
        return 0;
    if (file != NULL) {
        sim_slowdown_tenths(result->slowdown, options->stream.workload, &rows);
        sim_report_csv(file, &rows);
    }
    if (file != NULL && fclose(file) == 0)
        return 0;
    command_error("sim veth", "cannot write %s: %s", path, strerror(errno));
    return -EIO;
}

static int write_idle(const char *path, const struct sim_veth_result *result)
{
    FILE *file = path != NULL ? fopen(path, "w") : NULL;

    if (path == NULL)
        return 0;
    if (file != NULL)
        sim_idle_csv(file, &result->idle);
    if (file != NULL && fclose(file) == 0)
        return 0;
    command_error("sim veth", "cannot write %s: %s", path, strerror(errno));
    return -EIO;
}

int sim_veth_command(int argc, char **argv)
{
    const struct argp argp = {
        .options = option_table,
        .parser = parse_option,
        .doc = "Simulates two hosts joined by a veth pair whose ends are limited by tbf: packets "
               "cost processor time, the server sleeps between messages and its socket buffer is "
               "finite. Prints slowdowns by message size, to be compared with those of the real "
               "stack on such a path.\v"
               "tools/sim-vs-real does both and compares; docs/simulator-validation.md says what "
               "came of it.",
    };
    struct arguments arguments = {
        .workload_name = "w4",
        .load_permille = 500,
        .rate_mbps = 1000,
        .burst = 10000,
        .seconds = 20,
        .messages = UINT32_MAX,
        .longest = 1000000,
        .sockets = SIM_SOCKETS_MAX,
        .seed = 1,
        .segment_ns = UINT64_MAX,
        .receive_buffer = 8388608,
        .receive_batch = 2048,
    };
    struct sim_workload *workload = NULL;
    struct sim_veth_options options;
    struct sim_veth_result result = {0};
    char reason[SIM_WHY_MAX];
    const char *why = NULL;
    int status = COMMAND_USAGE;

    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0)
        return COMMAND_USAGE;
    if (sim_workload_open(arguments.workload_name, &workload, reason) != 0) {
        command_error("sim veth", "%s", reason);
        goto end;
    }
    if (prepare(&arguments, workload, &options) != 0)
        goto end;
    if (sim_veth_run(&options, &result, &why) != 0) {
        command_error("sim veth", "%s", why);
        goto end;
    }
    sim_veth_print(&options, &result, stdout);
    status = COMMAND_FAILED;
    if (write_rows(arguments.csv, &options, &result) == 0 &&
        write_idle(arguments.idle_csv, &result) == 0)
        status = COMMAND_OK;
end:
    sim_slowdown_close(result.slowdown);
    sim_workload_close(workload);
    return status;
}
