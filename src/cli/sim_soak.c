/*
 * The parent deals out one seed at a time over a pipe to each worker and gets an outcome back over
 * another. A worker that dies in a run is replaced, and its seed counts as failed: assertions of
 * the engines end processes.
 */
#include "cli/sim_soak.h"

#include "cli/command.h"
#include "cli/text.h"
#include "sim/disaster.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_SECONDS_MAX   300u /* a run that takes longer hangs */
#define GROWTH_MAX        (UINT64_C(4) << 20)
#define DRAW_INTERVAL_NS  100000000u
#define FAILURES_TOLD_MAX 200u
#define JOBS_MAX          256u

struct worker {
    pid_t process; /* 0: none */
    int seeds;     /* to it */
    int outcomes;  /* from it */
    uint64_t seed; /* that it works on */
    bool is_busy;
};

struct failure {
    uint64_t seed;
    struct sim_verdict verdict;
};

struct soak {
    const struct soak_options *options;
    struct worker *workers;
    uint64_t dealt;
    uint64_t done;
    uint64_t failed;
    uint64_t digest; /* a sum, so that the order does not matter */
    uint64_t begin_ns;
    uint64_t drawn_ns;
    struct sim_outcome_counts counts;
    struct failure *failures;
};

/* ---- a worker ---- */

static bool read_all(int file, void *into, size_t size)
{
    uint8_t *at = into;

    while (size > 0) {
        ssize_t count = read(file, at, size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        at += count;
        size -= (size_t)count;
    }
    return true;
}

static bool write_all(int file, const void *from, size_t size)
{
    const uint8_t *at = from;

    while (size > 0) {
        ssize_t count = write(file, at, size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        at += count;
        size -= (size_t)count;
    }
    return true;
}

static uint64_t memory_in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return (uint64_t)info.uordblks + (uint64_t)info.hblkhd;
}

/* The memory that a run took has come back. The allocator keeps a little of what has been freed as
 * if it were in use, so a small leak shows after a few runs only; sanitizers see every one. */
static void judge_memory(uint64_t before, struct sim_outcome *outcome)
{
    uint64_t after = memory_in_use();

    if (outcome->verdict.is_violated || after <= before + GROWTH_MAX)
        return;
    outcome->verdict = (struct sim_verdict){.is_violated = true, .host = UINT32_MAX};
    snprintf(outcome->verdict.sentence, sizeof(outcome->verdict.sentence),
             "memory in use has grown from %" PRIu64 " to %" PRIu64 " bytes", before, after);
}

/* Ends when there are no more seeds. */
_Noreturn static void work(int seeds, int outcomes)
{
    struct sim_scenario *scenario = sim_allocate(1, sizeof(*scenario));
    struct sim_outcome *outcome = sim_allocate(1, sizeof(*outcome));
    uint64_t memory = 0;
    uint64_t seed;

    while (read_all(seeds, &seed, sizeof(seed))) {
        alarm(RUN_SECONDS_MAX);
        sim_scenario_make(scenario, seed);
        sim_disaster_run(scenario, NULL, outcome);
        if (memory == 0)
            memory = memory_in_use();
        judge_memory(memory, outcome);
        if (!write_all(outcomes, outcome, sizeof(*outcome)))
            break;
    }
    free(scenario);
    free(outcome);
    exit(EXIT_SUCCESS);
}

/* ---- the parent's side of it ---- */

static void close_worker(struct worker *worker)
{
    close(worker->seeds);
    close(worker->outcomes);
    worker->seeds = -1;
    worker->outcomes = -1;
}

/* What a worker must not keep open: it would keep its brothers from seeing the end. */
static void close_others(const struct soak *soak, const struct worker *mine)
{
    for (unsigned i = 0; i < soak->options->jobs; i++) {
        if (&soak->workers[i] != mine && soak->workers[i].process > 0)
            close_worker(&soak->workers[i]);
    }
}

static int start_worker(struct soak *soak, struct worker *worker)
{
    int down[2] = {-1, -1};
    int up[2] = {-1, -1};
    int result = 0;

    if (pipe(down) != 0 || pipe(up) != 0) {
        result = -errno;
        goto fail;
    }
    fflush(stdout);
    fflush(stderr);
    worker->process = fork();
    if (worker->process < 0) {
        result = -errno;
        worker->process = 0;
        goto fail;
    }
    if (worker->process == 0) {
        close_others(soak, worker);
        close(down[1]);
        close(up[0]);
        work(down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    worker->seeds = down[1];
    worker->outcomes = up[0];
    worker->is_busy = false;
    return 0;
fail:
    for (unsigned i = 0; i < 2; i++) {
        if (down[i] >= 0)
            close(down[i]);
        if (up[i] >= 0)
            close(up[i]);
    }
    return result;
}

/* ---- outcomes ---- */

static void add_failure(struct soak *soak, uint64_t seed, const struct sim_verdict *verdict)
{
    if (soak->failed < FAILURES_TOLD_MAX)
        soak->failures[soak->failed] = (struct failure){.seed = seed, .verdict = *verdict};
    soak->failed++;
}

static void add_outcome(struct soak *soak, uint64_t seed, const struct sim_outcome *outcome)
{
    soak->done++;
    soak->digest += base_mix(base_mix(seed) ^ outcome->digest);
    sim_outcome_add(&soak->counts, &outcome->counts);
    if (outcome->verdict.is_violated)
        add_failure(soak, seed, &outcome->verdict);
}

/* The worker is gone. Its seed, if it had one, has failed; the end of all seeds is no failure. */
static void bury_worker(struct soak *soak, struct worker *worker)
{
    struct sim_verdict verdict = {.is_violated = true, .host = UINT32_MAX};
    int status = 0;

    close_worker(worker);
    while (waitpid(worker->process, &status, 0) < 0 && errno == EINTR)
        continue;
    worker->process = 0;
    if (!worker->is_busy && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    worker->is_busy = false;
    soak->done++;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(verdict.sentence, sizeof(verdict.sentence), "the run took more than %u seconds",
                 RUN_SECONDS_MAX);
    else if (WIFSIGNALED(status))
        snprintf(verdict.sentence, sizeof(verdict.sentence),
                 "the run's process was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(verdict.sentence, sizeof(verdict.sentence),
                 "the run's process ended with status %d", WEXITSTATUS(status));
    add_failure(soak, worker->seed, &verdict);
}

static void take_outcome(struct soak *soak, struct worker *worker)
{
    struct sim_outcome outcome;

    if (!read_all(worker->outcomes, &outcome, sizeof(outcome))) {
        bury_worker(soak, worker);
        return;
    }
    worker->is_busy = false;
    add_outcome(soak, worker->seed, &outcome);
}

/* ---- dealing ---- */

static bool has_more(const struct soak *soak)
{
    const struct soak_options *options = soak->options;

    return soak->dealt < options->count && !command_interrupted() &&
           (options->time_ns == UINT64_MAX || command_now_ns() - soak->begin_ns < options->time_ns);
}

/* Gives the worker its next seed. 0 or a negative errno. */
static int deal(struct soak *soak, struct worker *worker)
{
    const struct soak_options *options = soak->options;
    int result = worker->process > 0 ? 0 : start_worker(soak, worker);

    if (result != 0)
        return result;
    worker->seed =
        options->list != NULL ? options->list[soak->dealt] : options->first + soak->dealt;
    worker->is_busy = true;
    soak->dealt++;
    if (!write_all(worker->seeds, &worker->seed, sizeof(worker->seed)))
        bury_worker(soak, worker);
    return 0;
}

static void draw_progress(struct soak *soak)
{
    uint64_t now_ns = command_now_ns();
    char done[TEXT_SIZE];
    char all[TEXT_SIZE];
    char clock[TEXT_SIZE];
    uint64_t ns = now_ns - soak->begin_ns;

    if (soak->options->quiet || isatty(STDERR_FILENO) != 1 ||
        now_ns - soak->drawn_ns < DRAW_INTERVAL_NS)
        return;
    soak->drawn_ns = now_ns;
    text_count(done, soak->done);
    text_clock(clock, ns / 1000000000);
    if (soak->options->count == UINT64_MAX)
        fprintf(stderr, "\r%s  %s seeds", clock, done);
    else
        fprintf(stderr, "\r%s  %s of %s seeds", clock, done, text_count(all, soak->options->count));
    fprintf(stderr, ", %.1f/s, %" PRIu64 " failed\033[K",
            (double)soak->done * 1e9 / (double)(ns + 1), soak->failed);
    fflush(stderr);
}

/* Waits for the next outcomes, and takes them. */
static void wait_for_outcomes(struct soak *soak)
{
    struct pollfd files[JOBS_MAX];
    unsigned jobs = soak->options->jobs;

    for (unsigned i = 0; i < jobs; i++)
        files[i] = (struct pollfd){
            .fd = soak->workers[i].is_busy ? soak->workers[i].outcomes : -1,
            .events = POLLIN,
        };
    if (poll(files, jobs, 100) > 0) {
        for (unsigned i = 0; i < jobs; i++) {
            if (files[i].revents != 0)
                take_outcome(soak, &soak->workers[i]);
        }
    }
    draw_progress(soak);
}

static int run_all(struct soak *soak)
{
    unsigned busy = 1;
    int result = 0;

    while (result == 0 && busy > 0) {
        busy = 0;
        for (unsigned i = 0; i < soak->options->jobs && result == 0; i++) {
            struct worker *worker = &soak->workers[i];

            if (!worker->is_busy && has_more(soak))
                result = deal(soak, worker);
            busy += worker->is_busy;
        }
        if (result == 0 && busy > 0)
            wait_for_outcomes(soak);
    }
    return result;
}

/* Lets all workers end; a leak that a sanitizer finds at a worker's end is its last seed's failure.
 */
static void end_workers(struct soak *soak)
{
    for (unsigned i = 0; i < soak->options->jobs; i++) {
        struct worker *worker = &soak->workers[i];

        if (worker->process > 0)
            bury_worker(soak, worker);
    }
}

/* ---- the report ---- */

static int compare_failures(const void *a, const void *b)
{
    const struct failure *x = a;
    const struct failure *y = b;

    return (x->seed > y->seed) - (x->seed < y->seed);
}

static void print_failures(struct soak *soak)
{
    uint64_t told = soak->failed < FAILURES_TOLD_MAX ? soak->failed : FAILURES_TOLD_MAX;

    qsort(soak->failures, told, sizeof(soak->failures[0]), compare_failures);
    for (uint64_t i = 0; i < told; i++) {
        const struct sim_verdict *verdict = &soak->failures[i].verdict;

        printf("seed %" PRIu64 " FAILED", soak->failures[i].seed);
        if (verdict->at > 0)
            printf(" at %" PRIu64 ".%03" PRIu64 " ms", verdict->at / SIM_MS,
                   verdict->at / SIM_US % 1000);
        if (verdict->host != UINT32_MAX)
            printf(" on host %" PRIu32, verdict->host);
        if (verdict->rpc != 0)
            printf(", RPC %" PRIx64, verdict->rpc);
        printf(": %s\n  missive sim --replay %" PRIu64 " --trace\n", verdict->sentence,
               soak->failures[i].seed);
    }
    if (told < soak->failed)
        printf("... and %" PRIu64 " more\n", soak->failed - told);
}

static void print_report(struct soak *soak)
{
    char done[TEXT_SIZE];
    double seconds = (double)(command_now_ns() - soak->begin_ns) / 1e9;

    if (!soak->options->quiet && isatty(STDERR_FILENO) == 1)
        fprintf(stderr, "\r\033[K");
    sim_outcome_print(&soak->counts, stdout);
    sim_outcome_missing(&soak->counts, stdout);
    print_failures(soak);
    printf("%s seeds, %" PRIu64 " failed; digest %016" PRIx64 "\n", text_count(done, soak->done),
           soak->failed, soak->digest);
    fflush(stdout);
    if (!soak->options->quiet)
        fprintf(stderr, "%.1f s, %.1f seeds per second\n", seconds, (double)soak->done / seconds);
}

int soak_run(const struct soak_options *options)
{
    struct soak soak = {.options = options, .begin_ns = command_now_ns()};
    int result = -ENOMEM;

    soak.workers = calloc(options->jobs, sizeof(*soak.workers));
    soak.failures = calloc(FAILURES_TOLD_MAX, sizeof(*soak.failures));
    if (soak.workers != NULL && soak.failures != NULL) {
        signal(SIGPIPE, SIG_IGN); /* a worker that died is found by reading */
        result = run_all(&soak);
        end_workers(&soak);
        print_report(&soak);
    }
    if (result != 0)
        command_error("sim", "the workers could not be run: %s", strerror(-result));
    free(soak.workers);
    free(soak.failures);
    return result == 0 && soak.failed == 0 ? COMMAND_OK : COMMAND_FAILED;
}
