/*
 * missive-load: sends one-way messages over the real stack and reports their slowdowns by size, in
 * the tables of `missive sim cluster`. A client with several sockets, a server, each a process on a
 * CPU of its own and, if wanted, in a network namespace of its own. In this order: what single
 * packets cost, how long messages take on the idle path, and then the load.
 *
 * tools/sim-vs-real builds the path and puts the simulator's figures beside these.
 */
#include "bench/load.h"
#include "sim/idle.h"
#include "sim/report.h"
#include "sim/slowdown.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PACKET_BYTES    1472u /* UDP's share of a packet of 1,500 bytes */
#define WIRE_OVERHEAD   42u   /* Ethernet, IPv4 and UDP headers */
#define SECONDS_DEFAULT 20u

struct options {
    const char *client_netns;
    const char *server_netns;
    const char *workload_name;
    const char *poll_usecs;
    const char *csv;
    const char *idle_csv;
    const char *facts;
    struct in_addr address;
    struct sim_stream_options stream;
    unsigned seconds;
    uint64_t messages;
};

static struct sim_workload *workload;

_Noreturn static void fail(const char *sentence)
{
    fprintf(stderr, "missive-load: %s\n", sentence);
    exit(1);
}

/* ---- the two processes ---- */

static void enter_netns(const char *name)
{
    char path[256];
    int descriptor = -1;

    if (name == NULL)
        return;
    (void)snprintf(path, sizeof(path), "/run/netns/%s", name);
    descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || setns(descriptor, CLONE_NEWNET) != 0)
        load_fail(path);
    (void)close(descriptor);
}

/* The which-th of the CPUs that this process may use, the last one if there are fewer. */
static void pin(unsigned which)
{
    cpu_set_t allowed;
    cpu_set_t one;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        return;
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (which-- == 0)
            break;
    }
    (void)sched_setaffinity(0, sizeof(one), &one);
}

/* Both processes sleep often, and other programs' turns would count as if they were the network's,
 * milliseconds at a time. Without privilege they do. */
static void go_before_others(void)
{
    const struct sched_param lowest = {.sched_priority = 1};

    (void)sched_setscheduler(0, SCHED_FIFO, &lowest);
}

/* Pinning comes last: what the library starts is not to share the CPU of the thread measured. */
_Noreturn static void be_server(const struct options *options, struct load_shared *shared)
{
    struct load_socket *socket = NULL;
    uint16_t port = 0;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    enter_netns(options->server_netns);
    socket = load_open(options->poll_usecs, true, &port);
    pin(1);
    go_before_others();
    atomic_store(&shared->port, port);
    load_serve(shared, socket);
    load_close(socket);
    exit(0);
}

static pid_t start_server(const struct options *options, struct load_shared *shared)
{
    pid_t server = fork();

    if (server < 0)
        load_fail("fork");
    if (server == 0)
        be_server(options, shared);
    while (atomic_load(&shared->port) == 0) {
        if (waitpid(server, NULL, WNOHANG) != 0)
            fail("the server has ended");
        (void)usleep(1000);
    }
    return server;
}

static void open_client(const struct options *options, struct load_client *client)
{
    enter_netns(options->client_netns);
    client->server = (struct sockaddr_in){.sin_family = AF_INET,
                                          .sin_addr = options->address,
                                          .sin_port = htons(atomic_load(&client->shared->port))};
    client->socket_count = options->stream.sockets;
    for (uint32_t i = 0; i < client->socket_count; i++)
        client->sockets[i] = load_open("0", false, NULL);
    pin(0);
    go_before_others();
}

/* ---- what came of it ---- */

static FILE *file_open(const char *path)
{
    FILE *file = fopen(path, "w");

    if (file == NULL)
        load_fail(path);
    return file;
}

static void file_close(FILE *file, const char *path)
{
    if (fclose(file) != 0)
        load_fail(path);
}

static void write_idle(const struct options *options, const struct sim_idle *idle)
{
    if (options->idle_csv == NULL)
        return;
    FILE *file = file_open(options->idle_csv);

    sim_idle_csv(file, idle);
    file_close(file, options->idle_csv);
}

/* For scripts: a name and a number a line. */
static void write_facts(const struct options *options, const struct load_costs *costs,
                        const struct load_run *run)
{
    if (options->facts == NULL)
        return;
    FILE *file = file_open(options->facts);

    fprintf(file, "out_ns %" PRIu64 "\nin_ns %" PRIu64 "\nanswer_ns %" PRIu64 "\n", costs->out,
            costs->in, costs->answer);
    fprintf(file, "segment_ns %" PRIu64 "\nclient_cpu_ns %" PRIu64 "\n", costs->segment,
            run->client_cpu_ns);
    fprintf(file, "awake_ns %" PRIu64 "\nasleep_ns %" PRIu64 "\n", costs->awake, costs->asleep);
    fprintf(file, "sent %" PRIu64 "\nanswered %" PRIu64 "\n", run->sent, run->answered);
    fprintf(file, "elapsed_ns %" PRIu64 "\nserver_cpu_ns %" PRIu64 "\nclient_busy_ns %" PRIu64 "\n",
            run->elapsed_ns, run->server_cpu_ns, run->client_busy_ns);
    fprintf(file, "look_ns %" PRIu64 "\nlate_p50_ns %u\nlate_p99_ns %u\n", run->look_ns,
            run->late_p50_ns, run->late_p99_ns);
    file_close(file, options->facts);
}

static struct sim_slowdown *collect(const struct load_shared *shared, const struct sim_idle *idle)
{
    struct sim_slowdown *slowdown = sim_slowdown_open();

    if (slowdown == NULL)
        fail("there is not enough memory");
    for (uint32_t i = 0; i < atomic_load(&shared->sample_count); i++)
        sim_slowdown_add(slowdown, shared->samples[i].length, shared->samples[i].elapsed_ns,
                         sim_idle_time(idle, shared->samples[i].length));
    return slowdown;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part * 100 / (double)whole;
}

static void print_costs(const struct load_costs *costs)
{
    printf("a short message costs %.2f us to send, %.2f us to take, %.2f us to answer\n",
           (double)costs->out / 1e3, (double)costs->in / 1e3, (double)costs->answer / 1e3);
    printf("one more full packet of a long one costs %.2f us to send\n",
           (double)costs->segment / 1e3);
    printf("and takes %.1f us to a server that spins, %.1f us to one that sleeps\n",
           (double)costs->awake / 1e3, (double)costs->asleep / 1e3);
}

static void print_run(const struct load_run *run)
{
    printf("\n%" PRIu64 " messages in %.1f s, %" PRIu64 " not answered; handed over late: p50 "
           "%.1f us, p99 %.1f us\n",
           run->sent, (double)run->elapsed_ns / 1e9, run->sent - run->answered,
           run->late_p50_ns / 1e3, run->late_p99_ns / 1e3);
    printf("CPU in use: client %.0f %%, server %.0f %%; the client had its CPU for %.1f %% of the "
           "time\n",
           percent(run->client_busy_ns, run->elapsed_ns),
           percent(run->server_cpu_ns, run->elapsed_ns),
           percent(run->client_cpu_ns, run->elapsed_ns));
}

static void report(const struct options *options, const struct sim_slowdown *slowdown)
{
    struct sim_rows rows;

    sim_report_table(stdout, slowdown, workload);
    printf("\n");
    (void)sim_report_figures(stdout, slowdown, workload, options->stream.load_permille);
    if (options->csv == NULL)
        return;
    FILE *file = file_open(options->csv);

    sim_slowdown_tenths(slowdown, workload, &rows);
    sim_report_csv(file, &rows);
    file_close(file, options->csv);
}

/* ---- the command line ---- */

_Noreturn static void usage(int status)
{
    fputs("Usage: missive-load [OPTION...]\n"
          "Sends one-way messages over the real stack; reports slowdowns by message size.\n"
          "  --workload NAME|FILE  message sizes: w1 to w5, or a file (w4)\n"
          "  --load SHARE          of the path's rate, headers counted (0.5)\n"
          "  --rate MBPS           the path's rate, Mbit/s (1000)\n"
          "  --seconds N           of load (20)\n"
          "  --messages N          but no more than so many (4000000)\n"
          "  --longest BYTES       longer messages are made that short (1000000)\n"
          "  --sockets N           of the client, 1 to 4 (4)\n"
          "  --seed N              of lengths and times (1)\n"
          "  --poll TEXT           how the server waits: the knob poll_usecs (0)\n"
          "  --address IPV4        of the server (127.0.0.1)\n"
          "  --client-netns NAME   where the client is (here); likewise --server-netns\n"
          "  --csv FILE            the table; --idle-csv FILE times on the idle path;\n"
          "  --facts FILE          costs and counts\n",
          status == 0 ? stdout : stderr);
    exit(status);
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || value < min || value > max)
        usage(2);
    return value;
}

static uint32_t share(const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= 0.001 && value <= 10))
        usage(2);
    return (uint32_t)(value * 1000 + 0.5);
}

static void read_option(struct options *options, int name, const char *text)
{
    struct sim_stream_options *stream = &options->stream;

    switch (name) {
    case 'w':
        options->workload_name = text;
        break;
    case 'l':
        stream->load_permille = share(text);
        break;
    case 'r':
        stream->rate_mbps = (uint32_t)number(text, 1, 8000000);
        break;
    case 's':
        options->seconds = (unsigned)number(text, 1, 3600);
        break;
    case 'm':
        options->messages = number(text, 1, LOAD_SAMPLES_MAX);
        break;
    case 'L':
        stream->length_max = (uint32_t)number(text, LOAD_HEAD_BYTES, LOAD_LENGTH_MAX);
        break;
    case 'k':
        stream->sockets = (uint32_t)number(text, 1, LOAD_SOCKETS_MAX);
        break;
    case 'S':
        stream->seed = number(text, 0, UINT64_MAX);
        break;
    case 'p':
        options->poll_usecs = text;
        break;
    case 'a':
        if (inet_pton(AF_INET, text, &options->address) != 1)
            usage(2);
        break;
    case 'c':
        options->client_netns = text;
        break;
    case 'v':
        options->server_netns = text;
        break;
    case 'C':
        options->csv = text;
        break;
    case 'I':
        options->idle_csv = text;
        break;
    case 'F':
        options->facts = text;
        break;
    default:
        usage(name == 'h' ? 0 : 2);
    }
}

static struct options read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"workload", required_argument, NULL, 'w'},
        {"load", required_argument, NULL, 'l'},
        {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {"messages", required_argument, NULL, 'm'},
        {"longest", required_argument, NULL, 'L'},
        {"sockets", required_argument, NULL, 'k'},
        {"seed", required_argument, NULL, 'S'},
        {"poll", required_argument, NULL, 'p'},
        {"address", required_argument, NULL, 'a'},
        {"client-netns", required_argument, NULL, 'c'},
        {"server-netns", required_argument, NULL, 'v'},
        {"csv", required_argument, NULL, 'C'},
        {"idle-csv", required_argument, NULL, 'I'},
        {"facts", required_argument, NULL, 'F'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {
        .workload_name = "w4",
        .poll_usecs = "0",
        .address = {.s_addr = htonl(INADDR_LOOPBACK)},
        .stream = {.seed = 1,
                   .load_permille = 500,
                   .rate_mbps = 1000,
                   .length_min = LOAD_HEAD_BYTES,
                   .length_max = LOAD_LENGTH_MAX,
                   .packet_bytes = PACKET_BYTES,
                   .wire_overhead = WIRE_OVERHEAD,
                   .sockets = LOAD_SOCKETS_MAX},
        .seconds = SECONDS_DEFAULT,
        .messages = LOAD_SAMPLES_MAX,
    };
    char why[SIM_WHY_MAX];
    int name = 0;

    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1)
        read_option(&options, name, optarg);
    if (optind != argc)
        usage(2);
    if (sim_workload_open(options.workload_name, &workload, why) != 0)
        fail(why);
    options.stream.workload = workload;
    return options;
}

int main(int argc, char **argv)
{
    struct options options = read_options(argc, argv);
    struct load_shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct load_client client = {.shared = shared};
    struct load_run run = {.duration_ns = options.seconds * UINT64_C(1000000000),
                           .max_messages = options.messages};
    struct load_costs costs;
    struct sim_idle idle;
    struct sim_slowdown *slowdown = NULL;
    pid_t server = 0;

    if (shared == MAP_FAILED)
        load_fail("memory");
    /* Whatever goes wrong, it ends. */
    (void)alarm(options.seconds + 60);
    server = start_server(&options, shared);
    open_client(&options, &client);
    load_warm_up(&client);
    load_measure_costs(&client, &costs);
    sim_idle_choose(&idle, &options.stream);
    for (uint32_t i = 0; i < idle.count; i++)
        idle.ns[i] = load_measure_idle(&client, idle.lengths[i]);
    load_run(&client, &options.stream, &run);
    load_stop(&client);
    (void)waitpid(server, NULL, 0);
    for (uint32_t i = 0; i < client.socket_count; i++)
        load_close(client.sockets[i]);

    print_costs(&costs);
    slowdown = collect(shared, &idle);
    report(&options, slowdown);
    print_run(&run);
    write_idle(&options, &idle);
    write_facts(&options, &costs, &run);
    sim_slowdown_close(slowdown);
    sim_workload_close(workload);
    return 0;
}
