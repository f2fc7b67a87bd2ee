/*
 * `missive sim cluster`: the published experiment, from the command line. The experiment itself is
 * sim/cluster.c; here are options, parallel runs, and where results go.
 *
 * Several runs with seeds of their own make one result. Each is a process of its own; results are
 * put together in the order of the seeds, so that the number of processes at a time changes nothing
 * but the time it takes.
 */
#include "cli/command.h"
#include "cli/sim.h"
#include "cli/sim_options.h"
#include "cli/sim_runs.h"
#include "sim/chart.h"
#include "sim/cluster.h"
#include "sim/published.h"
#include "sim/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum option_key {
    OPTION_MESSAGES = 0x100,
    OPTION_WARMUP,
    OPTION_SEED,
    OPTION_RUNS,
    OPTION_JOBS,
    OPTION_TOPOLOGY,
    OPTION_HOSTS,
    OPTION_LINK,
    OPTION_CORE_LINK,
    OPTION_PRIORITIES,
    OPTION_OVERCOMMIT,
    OPTION_INCAST,
    OPTION_LOSS,
    OPTION_REPLIES,
    OPTION_BUFFER,
    OPTION_PAPER,
    OPTION_PAPER_WIRE,
    OPTION_SET,
    OPTION_OUTPUT,
    OPTION_NO_FILES,
};

static const struct argp_option option_table[] = {
    {"workload", 'w', "NAME|FILE", 0,
     "message sizes: w1 to w5, or a file of lines \"length frequency\" (w4)", 1},
    {"load", 'l', "SHARE", 0, "of each host link, everything on the wire counted (0.8)", 1},
    {"messages", OPTION_MESSAGES, "N", 0, "messages measured in each run (100000)", 1},
    {"warmup", OPTION_WARMUP, "N", 0, "messages sent before that (a fifth as many)", 1},
    {"seed", OPTION_SEED, "N", 0, "of the first run (1)", 1},
    {"runs", OPTION_RUNS, "N", 0, "runs with seeds of their own, made into one result (1)", 1},
    {"jobs", OPTION_JOBS, "N", 0, "runs at a time (as many as there are CPUs)", 1},
    {"topology", OPTION_TOPOLOGY, "racks|single", 0, "9 racks, or all on one switch (racks)", 2},
    {"hosts", OPTION_HOSTS, "N", 0, "hosts; with racks a multiple of 16 (144)", 2},
    {"link", OPTION_LINK, "GBPS", 0, "speed of hosts' links (10)", 2},
    {"core-link", OPTION_CORE_LINK, "GBPS", 0, "speed of links between switches (4 x link)", 2},
    {"priorities", OPTION_PRIORITIES, "N", 0, "levels that switches tell apart: 1, 2, 4, 8 (8)", 2},
    {"buffer", OPTION_BUFFER, "BYTES", 0, "of a switch port; what finds it full is lost (no end)",
     2},
    {"incast", OPTION_INCAST, "N", 0, "N hosts send, all to one; the load is that one's", 2},
    {"loss", OPTION_LOSS, "SHARE", 0, "of packets lost at random (0)", 2},
    {"replies", OPTION_REPLIES, NULL, 0,
     "each message is answered with one byte, which is load too; else RPCs end without a packet",
     2},
    {"overcommit", OPTION_OVERCOMMIT, "N", 0, "senders granted at a time (as published)", 3},
    {"paper", OPTION_PAPER, NULL, 0,
     "the published policy and wire overheads instead of ours (see docs/scheduling.md)", 3},
    {"paper-wire", OPTION_PAPER_WIRE, NULL, 0, "our policy on the published wire overheads", 3},
    {"set", OPTION_SET, "KNOB=VALUE", 0, "a knob of the protocol, after all else; repeatable", 3},
    {"output", OPTION_OUTPUT, "DIRECTORY", 0, "where the chart and the CSV go (.)", 4},
    {"no-files", OPTION_NO_FILES, NULL, 0, "only the table", 4},
    {0},
};

struct arguments {
    struct sim_cluster_options options;
    struct sim_workload *workload;
    const char *workload_name;
    struct sim_settings settings;
    uint64_t messages;
    uint64_t warmup; /* UINT64_MAX: not given */
    uint32_t runs;
    uint32_t jobs;
    uint32_t link_gbps;
    uint32_t core_gbps;  /* 0: not given */
    uint32_t overcommit; /* 0: not given */
    bool is_paper;
    bool is_paper_wire;
    bool makes_files;
    const char *output;
};

static error_t parse_network(int key, char *text, struct argp_state *state,
                             struct arguments *arguments)
{
    struct sim_cluster_options *options = &arguments->options;

    switch (key) {
    case OPTION_TOPOLOGY:
        if (strcmp(text, "racks") != 0 && strcmp(text, "single") != 0)
            argp_error(state, "--topology is racks or single, not '%s'", text);
        options->network.topology = text[0] == 's' ? SIM_SINGLE : SIM_RACKS;
        return 0;
    case OPTION_HOSTS:
        options->network.hosts = (uint32_t)option_number(state, "--hosts", text, 2, 10000);
        return 0;
    case OPTION_LINK:
        arguments->link_gbps = (uint32_t)option_number(state, "--link", text, 1, 800);
        return 0;
    case OPTION_CORE_LINK:
        arguments->core_gbps = (uint32_t)option_number(state, "--core-link", text, 1, 8000);
        return 0;
    case OPTION_PRIORITIES:
        options->network.priorities = (uint32_t)option_number(state, "--priorities", text, 1, 8);
        return 0;
    case OPTION_BUFFER:
        options->network.buffer_bytes = option_number(state, "--buffer", text, 1, UINT64_MAX);
        return 0;
    case OPTION_INCAST:
        options->pattern = SIM_INCAST;
        options->senders = (uint32_t)option_number(state, "--incast", text, 1, 9999);
        return 0;
    case OPTION_REPLIES:
        options->replies = true;
        return 0;
    case OPTION_LOSS:
        options->loss_ppm = (uint32_t)sim_option_share(state, "--loss", text, 1000000, 0, 1000000);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
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
        arguments->options.load_permille =
            (uint32_t)sim_option_share(state, "--load", text, 1000, 0, 10000);
        return 0;
    case OPTION_MESSAGES:
        arguments->messages = option_number(state, "--messages", text, 1, UINT32_MAX);
        return 0;
    case OPTION_WARMUP:
        arguments->warmup = option_number(state, "--warmup", text, 0, UINT32_MAX);
        return 0;
    case OPTION_SEED:
        arguments->options.seed = option_number(state, "--seed", text, 0, UINT64_MAX);
        return 0;
    case OPTION_RUNS:
        arguments->runs = (uint32_t)option_number(state, "--runs", text, 1, 10000);
        return 0;
    case OPTION_JOBS:
        arguments->jobs = (uint32_t)option_number(state, "--jobs", text, 1, 1024);
        return 0;
    case OPTION_OVERCOMMIT:
        arguments->overcommit =
            (uint32_t)option_number(state, "--overcommit", text, 1, HOMA_OVERCOMMIT_MAX);
        return 0;
    case OPTION_PAPER:
        arguments->is_paper = true;
        return 0;
    case OPTION_PAPER_WIRE:
        arguments->is_paper_wire = true;
        return 0;
    case OPTION_SET:
        sim_settings_add(&arguments->settings, state, text);
        return 0;
    case OPTION_OUTPUT:
        arguments->output = text;
        return 0;
    case OPTION_NO_FILES:
        arguments->makes_files = false;
        return 0;
    default:
        return parse_network(key, text, state, arguments);
    }
}

/* ---- from arguments to options ---- */

static int prepare(struct arguments *arguments)
{
    struct sim_cluster_options *options = &arguments->options;
    struct homa_knobs *knobs = &options->host.knobs;
    const char *why = NULL;
    char reason[SIM_WHY_MAX];
    int result = sim_workload_open(arguments->workload_name, &arguments->workload, reason);

    if (result != 0) {
        command_error("sim cluster", "%s", reason);
        return result;
    }
    options->workload = arguments->workload;
    options->messages = arguments->messages;
    options->warmup = arguments->warmup != UINT64_MAX ? arguments->warmup : arguments->messages / 5;
    options->network.host_mbps = arguments->link_gbps * 1000;
    options->network.core_mbps =
        1000 * (arguments->core_gbps != 0 ? arguments->core_gbps : 4 * arguments->link_gbps);
    sim_cluster_use_wire(options, arguments->is_paper || arguments->is_paper_wire);
    if (arguments->is_paper)
        sim_cluster_use_published_policy(options);
    else
        sim_cluster_use_our_policy(options);
    if (arguments->overcommit != 0)
        knobs->max_overcommit = arguments->overcommit;
    result = sim_settings_apply(&arguments->settings, "sim cluster", knobs);
    if (result != 0)
        return result;
    why = sim_cluster_fault(options);
    if (why == NULL)
        return 0;
    command_error("sim cluster", "%s", why);
    return -EINVAL;
}

/* ---- one run ---- */

static int run_one(void *context, uint32_t number, struct sim_runs_report *report, FILE *file)
{
    const struct arguments *arguments = context;
    struct sim_cluster_options options = arguments->options;
    struct sim_cluster_result result;
    const char *why = NULL;
    struct timespec spent;
    struct rusage usage;
    int status;

    options.seed += number;
    status = sim_cluster_run(&options, sim_runs_progress, report, &result, &why);
    if (status != 0) {
        command_error("sim cluster", "%s", why);
        return status;
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    result.cpu_ns = (uint64_t)spent.tv_sec * 1000000000 + (uint64_t)spent.tv_nsec;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        result.memory_bytes = (uint64_t)usage.ru_maxrss * 1024;
    status = sim_cluster_write(&result, file);
    sim_slowdown_close(result.slowdown);
    return status;
}

static int read_one(void *context, uint32_t number, FILE *file)
{
    struct sim_cluster_result *all = context;

    (void)number;
    return sim_cluster_read(all, file);
}

/* ---- results ---- */

/* The file's name without its ending: DIRECTORY/NAME-LOAD. */
static int name_file(const struct arguments *arguments, const char *ending, char *path, size_t size)
{
    const char *name = strrchr(arguments->workload_name, '/');
    int length = snprintf(path, size, "%s/%s-%u%s", arguments->output,
                          name != NULL ? name + 1 : arguments->workload_name,
                          arguments->options.load_permille / 10, ending);

    return length > 0 && (size_t)length < size ? 0 : -ENAMETOOLONG;
}

static int write_file(const struct arguments *arguments, const char *ending,
                      void (*write)(FILE *file, const void *what), const void *what)
{
    char path[4096];
    FILE *file = NULL;
    int result = name_file(arguments, ending, path, sizeof(path));

    if (result == 0) {
        file = fopen(path, "w");
        result = file == NULL ? -errno : 0;
    }
    if (result == 0) {
        write(file, what);
        result = ferror(file) ? -EIO : 0;
        if (fclose(file) != 0 && result == 0)
            result = -errno;
    }
    if (result != 0)
        command_error("sim cluster", "cannot write %s: %s", path, strerror(-result));
    else
        printf("%s\n", path);
    return result;
}

static void write_csv(FILE *file, const void *what)
{
    sim_report_csv(file, what);
}

static void write_chart(FILE *file, const void *what)
{
    sim_chart_draw(file, what);
}

static int write_files(const struct arguments *arguments, const struct sim_cluster_result *result)
{
    struct sim_published *published = NULL;
    struct sim_rows *rows = calloc(1, sizeof(*rows));
    char title[200];
    char subtitle[200];
    int status = -ENOMEM;

    if (rows == NULL || sim_published_open(sim_workload_name(arguments->workload),
                                           arguments->options.load_permille, &published) != 0)
        goto end;
    sim_slowdown_fine(result->slowdown, arguments->workload, sim_published_rows(published, "Homa"),
                      rows);
    snprintf(title, sizeof(title), "Slowdown by message size: workload %s at %u %% load",
             sim_workload_name(arguments->workload), arguments->options.load_permille / 10);
    snprintf(subtitle, sizeof(subtitle), "%u hosts, %u Gbit/s, %" PRIu64 " messages",
             arguments->options.network.hosts, arguments->options.network.host_mbps / 1000,
             result->finished);
    const struct sim_series series = {.label = "Missive", .rows = rows};
    const struct sim_chart chart = {
        .title = title,
        .subtitle = subtitle,
        .workload = arguments->workload,
        .series = &series,
        .series_count = 1,
        .published = published,
    };

    status = write_file(arguments, ".csv", write_csv, rows);
    if (status == 0)
        status = write_file(arguments, ".svg", write_chart, &chart);
end:
    sim_published_close(published);
    free(rows);
    return status;
}

/* What the simulation itself took: on standard error, as it is never the same twice. */
static void print_cost(const struct sim_cluster_result *result)
{
    uint64_t cpu_us = result->cpu_ns / 1000 + 1;

    fprintf(stderr,
            "simulator: %" PRIu64 " packets delivered in %" PRIu64 ".%02u s of CPU time, %" PRIu64
            " a second; %" PRIu64 " MiB at most\n",
            result->delivered, cpu_us / 1000000, (unsigned)(cpu_us % 1000000 / 10000),
            (uint64_t)((unsigned __int128)result->delivered * 1000000 / cpu_us),
            result->memory_bytes >> 20);
}

int sim_cluster_command(int argc, char **argv)
{
    const struct argp argp = {
        .options = option_table,
        .parser = parse_option,
        .doc = "Repeats the published experiment: hosts of a data centre send messages to each "
               "other at random, and each message's slowdown is measured: how many times longer it "
               "took than alone on an idle network.\v"
               "What is tuned is the policy of src/homa, in src/homa/sched.c and by --set; "
               "docs/simulator.md is a tour.",
    };
    struct arguments arguments = {
        .workload_name = "w4",
        .messages = 100000,
        .warmup = UINT64_MAX,
        .runs = 1,
        .jobs = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN),
        .link_gbps = 10,
        .output = ".",
        .makes_files = true,
    };
    struct sim_cluster_result result = {0};
    int status = COMMAND_FAILED;

    sim_cluster_defaults(&arguments.options);
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0)
        return COMMAND_USAGE;
    if (prepare(&arguments) != 0) {
        status = COMMAND_USAGE;
        goto end;
    }
    result.slowdown = sim_slowdown_open();
    if (result.slowdown == NULL)
        goto end;
    const struct sim_runs runs = {
        .count = arguments.runs,
        .jobs = arguments.jobs,
        .what = "cluster",
        .run = run_one,
        .run_context = &arguments,
        .read = read_one,
        .read_context = &result,
    };

    if (sim_runs(&runs) != 0)
        goto end;
    sim_cluster_print(&arguments.options, &result, stdout);
    print_cost(&result);
    if (!arguments.makes_files || write_files(&arguments, &result) == 0)
        status = COMMAND_OK;
end:
    sim_slowdown_close(result.slowdown);
    sim_workload_close(arguments.workload);
    return status;
}
