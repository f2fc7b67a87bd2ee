/*
 * `missive sim`: hosts of Homa in simulated disaster, one seed or many, and as a trace; and what
 * else there is to simulate, by name (sim.h).
 */
#include "cli/sim.h"

#include "cli/command.h"
#include "cli/sim_soak.h"
#include "sim/disaster.h"
#include "sim/scenario.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define JOBS_MAX       256u
#define MINUTES_MAX    100000u
#define SEED_MAX       UINT64_MAX
#define SEEDS_MAX      UINT64_C(1000000000)
#define LISTED_MAX     100000u
#define NS_PER_MINUTE  UINT64_C(60000000000)
#define FILE_NAME_SIZE 4096u

enum option_key {
    OPTION_SEED = 's',
    OPTION_JOBS = 'j',
    OPTION_MINUTES = 'm',
    OPTION_COUNT = 'n',
    OPTION_QUIET = 'q',
    OPTION_DESCRIBE = 'd',
    OPTION_SEEDS = 0x100,
    OPTION_LIST,
    OPTION_REPLAY,
    OPTION_TRACE,
};

struct sim_options {
    struct soak_options soak;
    uint64_t seed;
    const char *list_name; /* a file of seeds */
    const char *trace;     /* where to, without ending; NULL = a name of our own */
    bool has_seed;
    bool has_seeds;
    bool has_count;
    bool has_minutes;
    bool is_replay;
    bool is_traced;
    bool is_described;
};

static const struct argp_option option_table[] = {
    {"seed", OPTION_SEED, "N", 0, "Run this seed, and tell what happened", 0},
    {"seeds", OPTION_SEEDS, "A..B", 0, "Run all of these seeds", 0},
    {"list", OPTION_LIST, "FILE", 0, "Run the seeds that begin the file's lines", 0},
    {"count", OPTION_COUNT, "N", 0, "Run so many seeds from --seed, or from a random one, on", 0},
    {"minutes", OPTION_MINUTES, "M", 0, "Run seeds for so long, likewise", 0},
    {"jobs", OPTION_JOBS, "J", 0, "Processes at a time (default: one per processor)", 0},
    {"describe", OPTION_DESCRIBE, NULL, 0, "Tell what the seed stands for; run nothing", 0},
    {"replay", OPTION_REPLAY, "SEED", 0, "As --seed; a seed that failed fails again", 0},
    {"trace", OPTION_TRACE, "FILE", OPTION_ARG_OPTIONAL,
     "Write every packet and change of state to FILE.txt and FILE.pcapng (default: seed-N)", 0},
    {"quiet", OPTION_QUIET, NULL, 0, "No progress line", 0},
    {0},
};

/* "A..B", both included. */
static void parse_range(struct argp_state *state, const char *text, struct soak_options *soak)
{
    const char *dots = strstr(text, "..");
    char first[32];

    if (dots == NULL || (size_t)(dots - text) >= sizeof(first))
        argp_error(state, "--seeds takes a range as in 1..1000, not '%s'", text);
    memcpy(first, text, (size_t)(dots - text));
    first[dots - text] = '\0';
    soak->first = option_number(state, "--seeds", first, 0, SEED_MAX);
    uint64_t last = option_number(state, "--seeds", dots + 2, soak->first, SEED_MAX);

    if (last - soak->first >= SEEDS_MAX)
        argp_error(state, "--seeds takes up to %" PRIu64 " seeds", SEEDS_MAX);
    soak->count = last - soak->first + 1;
}

/* Which options go together. */
static void check_options(struct argp_state *state, const struct sim_options *options)
{
    int ways = options->has_seeds + (options->list_name != NULL) + options->has_count +
               options->has_minutes;

    if (ways > 1)
        argp_error(state, "--seeds, --list, --count and --minutes exclude each other");
    if (options->has_seed && (options->has_seeds || options->list_name != NULL))
        argp_error(state, "one seed or many?");
    if (!options->has_seed && ways == 0)
        argp_error(state, "which seeds? Give --seed, --seeds, --count or --minutes");
    if (options->is_traced && (!options->has_seed || ways > 0))
        argp_error(state, "--trace takes one seed: use --replay SEED");
    if (options->is_described && (!options->has_seed || ways > 0))
        argp_error(state, "--describe takes one seed: use --seed N");
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct sim_options *options = state->input;

    switch (key) {
    case OPTION_REPLAY:
        options->is_replay = true;
        options->seed = option_number(state, "--replay", argument, 0, SEED_MAX);
        options->has_seed = true;
        return 0;
    case OPTION_SEED:
        options->seed = option_number(state, "--seed", argument, 0, SEED_MAX);
        options->has_seed = true;
        return 0;
    case OPTION_SEEDS:
        parse_range(state, argument, &options->soak);
        options->has_seeds = true;
        return 0;
    case OPTION_LIST:
        options->list_name = argument;
        return 0;
    case OPTION_COUNT:
        options->soak.count = option_number(state, "--count", argument, 1, SEEDS_MAX);
        options->has_count = true;
        return 0;
    case OPTION_MINUTES:
        options->soak.time_ns =
            NS_PER_MINUTE * option_number(state, "--minutes", argument, 1, MINUTES_MAX);
        options->soak.count = UINT64_MAX;
        options->has_minutes = true;
        return 0;
    case OPTION_JOBS:
        options->soak.jobs = (unsigned)option_number(state, "--jobs", argument, 1, JOBS_MAX);
        return 0;
    case OPTION_DESCRIBE:
        options->is_described = true;
        return 0;
    case OPTION_TRACE:
        options->is_traced = true;
        options->trace = argument;
        return 0;
    case OPTION_QUIET:
        options->soak.quiet = true;
        return 0;
    case ARGP_KEY_ARG:
        /* An optional value needs no equals sign here. */
        if (!options->is_traced || options->trace != NULL)
            argp_error(state, "there is no simulation '%s'; `missive sim cluster` is one",
                       argument);
        options->trace = argument;
        return 0;
    case ARGP_KEY_END:
        check_options(state, options);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- one seed ---- */

static void print_outcome(const struct sim_options *options, const struct sim_outcome *outcome)
{
    const struct sim_verdict *verdict = &outcome->verdict;

    sim_outcome_print(&outcome->counts, stdout);
    if (!verdict->is_violated) {
        printf("seed %" PRIu64 " passed; digest %016" PRIx64 "\n", options->seed, outcome->digest);
        return;
    }
    printf("seed %" PRIu64 " FAILED at %" PRIu64 ".%03" PRIu64 " ms", options->seed,
           verdict->at / SIM_MS, verdict->at / SIM_US % 1000);
    if (verdict->host != UINT32_MAX)
        printf(" on host %" PRIu32, verdict->host);
    if (verdict->rpc != 0)
        printf(", RPC %" PRIx64, verdict->rpc);
    printf(": %s; digest %016" PRIx64 "\n", verdict->sentence, outcome->digest);
    if (!options->is_traced)
        printf("  missive sim --replay %" PRIu64 " --trace\n", options->seed);
}

static FILE *open_file(const struct sim_options *options, const char *ending)
{
    char name[FILE_NAME_SIZE];
    int length;
    FILE *file;

    if (options->trace != NULL)
        length = snprintf(name, sizeof(name), "%s%s", options->trace, ending);
    else
        length = snprintf(name, sizeof(name), "seed-%" PRIu64 "%s", options->seed, ending);
    file = length < (int)sizeof(name) ? fopen(name, "wb") : NULL;
    if (file == NULL)
        command_error("sim", "%s cannot be written: %s", name, strerror(errno));
    return file;
}

/* Returns 0 or -EIO. NULL is allowed. */
static int close_file(FILE *file)
{
    bool is_bad = file != NULL && ferror(file) != 0;

    if (file != NULL && (fclose(file) != 0 || is_bad)) {
        command_error("sim", "the trace could not be written: is the disk full?");
        return -EIO;
    }
    return 0;
}

static int run_seed(const struct sim_options *options, const struct sim_scenario *scenario)
{
    struct sim_disaster_record record = {0};
    struct sim_outcome outcome;
    int status = COMMAND_FAILED;

    if (options->is_traced) {
        record.text = open_file(options, ".txt");
        record.pcapng = record.text != NULL ? open_file(options, ".pcapng") : NULL;
        if (record.pcapng == NULL)
            goto end;
        sim_scenario_describe(scenario, record.text);
    }
    sim_disaster_run(scenario, &record, &outcome);
    print_outcome(options, &outcome);
    status = outcome.verdict.is_violated ? COMMAND_FAILED : COMMAND_OK;
end:
    if (close_file(record.text) != 0)
        status = COMMAND_FAILED;
    if (close_file(record.pcapng) != 0)
        status = COMMAND_FAILED;
    return status;
}

/* An assertion of an engine ends the process: the seed has to be known then. */
static void note_seed(const struct sim_options *options)
{
    if (!options->soak.quiet)
        fprintf(stderr, "seed %" PRIu64 "\n", options->seed);
}

static int do_seed(const struct sim_options *options)
{
    struct sim_scenario *scenario = sim_allocate(1, sizeof(*scenario));
    int status = COMMAND_OK;

    sim_scenario_make(scenario, options->seed);
    if (options->is_described || options->is_replay)
        sim_scenario_describe(scenario, stdout);
    if (!options->is_described) {
        fflush(stdout);
        note_seed(options);
        status = run_seed(options, scenario);
    }
    free(scenario);
    return status;
}

/* ---- many seeds ---- */

/* The number that begins each line, if one does. Returns the list, or NULL after saying why. */
static uint64_t *read_list(const char *name, uint64_t *count)
{
    uint64_t *list = sim_allocate(LISTED_MAX, sizeof(*list));
    FILE *file = fopen(name, "r");
    char line[1024];

    *count = 0;
    if (file == NULL) {
        command_error("sim", "%s cannot be read: %s", name, strerror(errno));
        goto fail;
    }
    while (*count < LISTED_MAX && fgets(line, sizeof(line), file) != NULL) {
        if (line[0] >= '0' && line[0] <= '9')
            list[(*count)++] = strtoull(line, NULL, 10);
    }
    fclose(file);
    if (*count > 0)
        return list;
    command_error("sim", "%s lists no seed: lines begin with one", name);
    file = NULL;
fail:
    if (file != NULL)
        fclose(file);
    free(list);
    return NULL;
}

static int do_seeds(struct sim_options *options)
{
    uint64_t *list = NULL;
    int status;

    command_catch_signals();
    if (options->list_name != NULL) {
        list = read_list(options->list_name, &options->soak.count);
        if (list == NULL)
            return COMMAND_FAILED;
        options->soak.list = list;
    } else if (!options->has_seeds) {
        options->soak.first = options->seed;
        /* So many bits that two soaks hardly ever meet, so few that a seed is easily copied. */
        if (!options->has_seed && getrandom(&options->soak.first, 6, 0) != 6)
            options->soak.first = command_now_ns();
        printf("seeds from %" PRIu64 " on\n", options->soak.first);
    }
    status = soak_run(&options->soak);
    free(list);
    return status;
}

int command_sim(int argc, char **argv)
{
    static char cluster[] = "missive sim cluster";
    static char veth[] = "missive sim veth";
    const struct argp argp = {
        .options = option_table,
        .parser = parse_option,
        .args_doc = "",
        .doc =
            "Lets simulated hosts run Homa through seeded disasters, in virtual time, and judges "
            "every packet and message.\v"
            "`missive sim cluster` repeats the published experiment; `missive sim veth` is to be "
            "compared with the real stack; see their --help.",
    };
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct sim_options options = {.soak = {.time_ns = UINT64_MAX}};

    if (argc > 1 && strcmp(argv[1], "cluster") == 0) {
        argv[1] = cluster;
        return sim_cluster_command(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "veth") == 0) {
        argv[1] = veth;
        return sim_veth_command(argc - 1, argv + 1);
    }
    options.soak.jobs = processors > 0 && processors <= (long)JOBS_MAX ? (unsigned)processors : 1;
    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
        return COMMAND_USAGE;
    if (options.has_seed && !options.has_count && !options.has_minutes)
        return do_seed(&options);
    return do_seeds(&options);
}
