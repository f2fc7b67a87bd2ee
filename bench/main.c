/*
 * missive-bench: measures Missive beside the floor (UDP) and a peer (TCP), and prints ratios.
 *
 * Client and server are two processes, each pinned to a CPU of its own after its sockets are open.
 * All transports take part in every round, in another order each time; a ratio is taken within the
 * round, so that whatever drifts, drifts for both, and of the rounds the median counts. A round in
 * which other programs took more than a little of the CPUs is told apart, and left out if enough
 * others are there.
 */
#include "bench/statistics.h"
#include "bench/workload.h"

#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_DEFAULT   24u
#define ROUNDS_MAX       300u
#define ROUNDS_PER_QUIET 3u /* at most so many rounds for each quiet one that is wanted */
#define SECONDS_DEFAULT  75u
#define QUIET_ENOUGH     12u  /* rounds; with fewer, all count */
#define OTHERS_MAX       0.15 /* of one CPU, in a quiet round */

enum figure {
    PING_ADAPTIVE,
    PING_ASLEEP,
    PING_SPINNING,
    PIPELINED,
    BULK,
    PROBE_ALONE_P50,
    PROBE_ALONE_P99,
    PROBE_P50,
    PROBE_P99,
    PROBE_BULK,
    FIGURES,
};

static const struct {
    const char *group; /* for --only */
    const char *name;
    const char *unit;
    bool is_more_better;
} figures[FIGURES] = {
    [PING_ADAPTIVE] = {"ping-pong", "100 B ping-pong, default waiting", "us", false},
    [PING_ASLEEP] = {"ping-pong", "100 B ping-pong, always blocking", "us", false},
    [PING_SPINNING] = {"spinning", "100 B ping-pong, spinning", "us", false},
    [PIPELINED] = {"pipelined", "100 B, 64 in flight", "thousand/s", true},
    [BULK] = {"bulk", "1 MB requests, 4 in flight", "GB/s", true},
    [PROBE_ALONE_P50] = {"probe", "probe every 500 us, alone, p50", "us", false},
    [PROBE_ALONE_P99] = {"probe", "probe every 500 us, alone, p99", "us", false},
    [PROBE_P50] = {"probe", "probe beside 1 MB requests, p50", "us", false},
    [PROBE_P99] = {"probe", "probe beside 1 MB requests, p99", "us", false},
    [PROBE_BULK] = {"probe", "1 MB requests beside the probe", "GB/s", true},
};

struct options {
    unsigned rounds;
    unsigned seconds;
    const char *only;
    const char *directory; /* for results, or NULL */
};

/* All that was measured. */
struct results {
    double values[ROUNDS_MAX][FIGURES][TRANSPORTS]; /* NAN: not measured */
    bool is_quiet[ROUNDS_MAX];
    unsigned rounds;
    unsigned quiet;
};

static struct results results;
static pid_t server;

/* ---- one round ---- */

static bool is_wanted(const struct options *options, enum figure figure)
{
    return options->only == NULL || strcmp(options->only, figures[figure].group) == 0;
}

static void measure(struct workload *workload, const struct options *options,
                    enum transport_kind kind, double (*values)[TRANSPORTS])
{
    if (is_wanted(options, PING_ADAPTIVE)) {
        values[PING_ASLEEP][kind] = workload_ping_pong(workload, kind, WAITING_ASLEEP);
        /* The others' default is to block. */
        values[PING_ADAPTIVE][kind] = kind == TRANSPORT_MISSIVE
                                          ? workload_ping_pong(workload, kind, WAITING_ADAPTIVE)
                                          : values[PING_ASLEEP][kind];
    }
    if (is_wanted(options, PING_SPINNING))
        values[PING_SPINNING][kind] = workload_ping_pong(workload, kind, WAITING_SPINNING);
    if (is_wanted(options, PIPELINED))
        values[PIPELINED][kind] = workload_pipelined(workload, kind);
    if (is_wanted(options, BULK))
        values[BULK][kind] = workload_bulk(workload, kind);
    if (is_wanted(options, PROBE_P50)) {
        struct workload_probe alone = workload_probe(workload, kind, false);
        struct workload_probe beside = workload_probe(workload, kind, true);

        values[PROBE_ALONE_P50][kind] = alone.p50_us;
        values[PROBE_ALONE_P99][kind] = alone.p99_us;
        values[PROBE_P50][kind] = beside.p50_us;
        values[PROBE_P99][kind] = beside.p99_us;
        values[PROBE_BULK][kind] = beside.bulk_gb_per_s;
    }
}

static double seconds_of(clockid_t clock)
{
    struct timespec now = {0};

    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* CPU seconds that all programs have used on this machine, and that the host took away. Interrupts
 * are left out: they are mostly our own packets. */
static double busy_seconds(void)
{
    enum {
        USER,
        NICE,
        SYSTEM,
        IDLE,
        IOWAIT,
        IRQ,
        SOFTIRQ,
        STEAL,
        COLUMNS
    };
    unsigned long long ticks[COLUMNS] = {0};
    char line[256] = "";
    char *at = line + strlen("cpu");
    FILE *file = fopen("/proc/stat", "r");

    if (file != NULL) {
        if (fgets(line, sizeof(line), file) == NULL)
            transport_fail("/proc/stat");
        (void)fclose(file);
    }
    for (unsigned i = 0; i < COLUMNS; i++)
        ticks[i] = strtoull(at, &at, 10);
    return (double)(ticks[USER] + ticks[NICE] + ticks[SYSTEM] + ticks[STEAL]) /
           (double)sysconf(_SC_CLK_TCK);
}

/* Of these, what was not client's or server's. */
static double others_seconds(void)
{
    clockid_t servers = 0;

    if (clock_getcpuclockid(server, &servers) != 0)
        return busy_seconds();
    return busy_seconds() - seconds_of(servers) - seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

static void run_rounds(struct workload *workload, const struct options *options)
{
    double start = seconds_of(CLOCK_MONOTONIC);
    unsigned rounds_max = options->rounds * ROUNDS_PER_QUIET;
    double took = 0;

    while (results.rounds < rounds_max && results.quiet < options->rounds &&
           seconds_of(CLOCK_MONOTONIC) - start + took < options->seconds) {
        unsigned round = results.rounds++;
        double others = others_seconds();
        double began = seconds_of(CLOCK_MONOTONIC);

        for (unsigned figure = 0; figure < FIGURES; figure++)
            for (unsigned kind = 0; kind < TRANSPORTS; kind++)
                results.values[round][figure][kind] = NAN;
        for (unsigned i = 0; i < TRANSPORTS; i++)
            measure(workload, options, (round + i) % TRANSPORTS, results.values[round]);
        took = seconds_of(CLOCK_MONOTONIC) - began;
        others = (others_seconds() - others) / took;
        results.is_quiet[round] = others <= OTHERS_MAX;
        results.quiet += results.is_quiet[round];
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\rround %u, %u quiet ", results.rounds, results.quiet);
    }
    if (isatty(STDERR_FILENO))
        fputs("\r                              \r", stderr);
}

/* ---- the report ---- */

/* Collects a figure's values, or its ratios of Missive to another transport, of all rounds that
 * count. Returns how many. */
static size_t collect(enum figure figure, enum transport_kind kind, bool is_ratio, double *values)
{
    bool only_quiet = results.quiet >= QUIET_ENOUGH;
    size_t count = 0;

    for (unsigned round = 0; round < results.rounds; round++) {
        const double *row = results.values[round][figure];

        if ((only_quiet && !results.is_quiet[round]) || isnan(row[kind]))
            continue;
        values[count++] = is_ratio ? row[TRANSPORT_MISSIVE] / row[kind] : row[kind];
    }
    return count;
}

static double median_of(enum figure figure, enum transport_kind kind)
{
    double values[ROUNDS_MAX];
    size_t count = collect(figure, kind, false, values);

    return count > 0 ? statistics_quantile(values, count, 0.5) : NAN;
}

static struct interval ratio_of(enum figure figure, enum transport_kind kind)
{
    double values[ROUNDS_MAX];
    size_t count = collect(figure, kind, true, values);

    return count > 0 ? statistics_interval(values, count) : (struct interval){NAN, NAN, NAN};
}

static void print_figure(enum figure figure)
{
    struct interval floor = ratio_of(figure, TRANSPORT_UDP);
    struct interval peer = ratio_of(figure, TRANSPORT_TCP);

    printf("%-33s %-10s %8.2f %8.2f %8.2f  %5.2f [%5.2f %5.2f]  %5.2f [%5.2f %5.2f]  %s\n",
           figures[figure].name, figures[figure].unit, median_of(figure, TRANSPORT_MISSIVE),
           median_of(figure, TRANSPORT_UDP), median_of(figure, TRANSPORT_TCP), floor.median,
           floor.low, floor.high, peer.median, peer.low, peer.high,
           figures[figure].is_more_better ? "more" : "less");
}

static void print_table(const struct workload *workload, const struct options *options)
{
    struct utsname system;
    char congestion[16];

    (void)uname(&system);
    transport_congestion(&workload->transports[TRANSPORT_TCP], congestion, sizeof(congestion));
    printf("Missive beside UDP (the floor) and TCP (%s): loopback, two processes, Linux %s, "
           "%ld CPUs.\n%u rounds, %u of them quiet; medians of the %s. Ratios, with their 95 %% "
           "intervals, are what counts.\n\n",
           congestion, system.release, sysconf(_SC_NPROCESSORS_ONLN), results.rounds, results.quiet,
           results.quiet >= QUIET_ENOUGH ? "quiet ones" : "rounds, quiet or not");
    printf("%-33s %-10s %8s %8s %8s  %-19s  %-19s  %s\n", "", "", "Missive", "UDP", "TCP",
           "Missive / UDP", "Missive / TCP", "better");
    for (enum figure figure = 0; figure < FIGURES; figure++)
        if (is_wanted(options, figure))
            print_figure(figure);
    if (results.quiet < QUIET_ENOUGH)
        puts("\nThe machine was busy with other things: run it again before believing this.");
}

static FILE *result_open(const char *directory, const char *name)
{
    char path[4096];
    FILE *file = NULL;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "w");
    if (file == NULL)
        transport_fail(path);
    return file;
}

static void result_close(FILE *file)
{
    if (fclose(file) != 0)
        transport_fail("writing the results");
}

static void write_summary(const struct options *options)
{
    FILE *file = result_open(options->directory, "summary.csv");

    fputs("figure,unit,better,missive,udp,tcp,missive_per_udp,low,high,missive_per_tcp,low,high\n",
          file);
    for (enum figure figure = 0; figure < FIGURES; figure++) {
        struct interval floor = ratio_of(figure, TRANSPORT_UDP);
        struct interval peer = ratio_of(figure, TRANSPORT_TCP);

        if (!is_wanted(options, figure))
            continue;
        fprintf(file, "\"%s\",%s,%s,%.4g,%.4g,%.4g,%.4g,%.4g,%.4g,%.4g,%.4g,%.4g\n",
                figures[figure].name, figures[figure].unit,
                figures[figure].is_more_better ? "more" : "less",
                median_of(figure, TRANSPORT_MISSIVE), median_of(figure, TRANSPORT_UDP),
                median_of(figure, TRANSPORT_TCP), floor.median, floor.low, floor.high, peer.median,
                peer.low, peer.high);
    }
    result_close(file);
}

static void write_rounds(const struct options *options)
{
    FILE *file = result_open(options->directory, "rounds.csv");

    fputs("round,quiet,figure,unit,transport,value\n", file);
    for (unsigned round = 0; round < results.rounds; round++)
        for (enum figure figure = 0; figure < FIGURES; figure++)
            for (enum transport_kind kind = 0; kind < TRANSPORTS; kind++)
                if (is_wanted(options, figure))
                    fprintf(file, "%u,%d,\"%s\",%s,%s,%.5g\n", round, results.is_quiet[round],
                            figures[figure].name, figures[figure].unit, transport_name(kind),
                            results.values[round][figure][kind]);
    result_close(file);
}

/* ---- the two processes ---- */

/* The which-th of the CPUs that this process may use. */
static void pin(const cpu_set_t *allowed, unsigned which)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, allowed) || which-- > 0)
            continue;
        CPU_SET(cpu, &one);
        break;
    }
    if (sched_setaffinity(0, sizeof(one), &one) != 0)
        transport_fail("sched_setaffinity");
}

/* Pinning comes last: what the library starts is not to share the CPU of the thread measured. */
_Noreturn static void be_server(int control, const cpu_set_t *allowed)
{
    struct transport transports[TRANSPORTS];
    uint16_t ports[TRANSPORTS];

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (enum transport_kind kind = 0; kind < TRANSPORTS; kind++)
        ports[kind] = transport_listen(&transports[kind], kind);
    if (write(control, ports, sizeof(ports)) != (ssize_t)sizeof(ports))
        exit(1);
    for (enum transport_kind kind = 0; kind < TRANSPORTS; kind++)
        transport_accept(&transports[kind]);
    pin(allowed, 1);
    workload_serve(transports, control);
    exit(0);
}

static void start(struct workload *workload)
{
    uint16_t ports[TRANSPORTS];
    cpu_set_t allowed;
    int pair[2];

    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 || CPU_COUNT(&allowed) < 2) {
        fputs("missive-bench: this takes two CPUs: client and server spin\n", stderr);
        exit(1);
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        transport_fail("socketpair");
    server = fork();
    if (server < 0)
        transport_fail("fork");
    if (server == 0) {
        (void)close(pair[0]);
        be_server(pair[1], &allowed);
    }
    (void)close(pair[1]);
    workload->control = pair[0];
    if (read(workload->control, ports, sizeof(ports)) != (ssize_t)sizeof(ports))
        transport_fail("the server has ended");
    for (enum transport_kind kind = 0; kind < TRANSPORTS; kind++)
        transport_connect(&workload->transports[kind], kind, ports[kind]);
    pin(&allowed, 0);
}

_Noreturn static void usage(int status)
{
    fputs("Usage: missive-bench [--rounds N] [--seconds N] [--only GROUP] [DIRECTORY]\n"
          "Measures Missive beside UDP and TCP on loopback. Results go to DIRECTORY, too.\n"
          "  --rounds N    until N quiet rounds (24)\n"
          "  --seconds N   but not longer than this (75)\n"
          "  --only GROUP  ping-pong, spinning, pipelined, bulk or probe\n",
          status == 0 ? stdout : stderr);
    exit(status);
}

static unsigned number(const char *text, unsigned max)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value == 0 || value > max)
        usage(2);
    return (unsigned)value;
}

static struct options read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"rounds", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {"only", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {.rounds = ROUNDS_DEFAULT, .seconds = SECONDS_DEFAULT};
    bool is_known = false;
    int name = 0;

    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (name == 'r')
            options.rounds = number(optarg, ROUNDS_MAX / ROUNDS_PER_QUIET);
        else if (name == 's')
            options.seconds = number(optarg, 3600);
        else if (name == 'o')
            options.only = optarg;
        else
            usage(name == 'h' ? 0 : 2);
    }
    if (argc - optind > 1)
        usage(2);
    options.directory = argv[optind];
    for (enum figure figure = 0; figure < FIGURES; figure++)
        is_known = is_known || is_wanted(&options, figure);
    if (!is_known)
        usage(2);
    return options;
}

int main(int argc, char **argv)
{
    struct options options = read_options(argc, argv);
    static struct workload workload;

    /* Whatever goes wrong, it ends. */
    (void)alarm(options.seconds + 60);
    start(&workload);
    run_rounds(&workload, &options);
    print_table(&workload, &options);
    if (options.directory != NULL) {
        write_summary(&options);
        write_rounds(&options);
        printf("\nSee also %s/summary.csv and rounds.csv.\n", options.directory);
    }
    return 0;
}
