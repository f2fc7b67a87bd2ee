/*
 * Parallel runs (sim_runs.h): children with a temporary file each for their results, which are read
 * as soon as those before them have been, and memory that all share for their progress.
 */
#include "cli/sim_runs.h"

#include "cli/command.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH  40u
#define DRAW_EVERY 100000000 /* ns */
/* Files open at a time: a slow run does not make those after it pile up without end. */
#define AHEAD_MAX 256u

struct sim_runs_report {
    _Atomic unsigned permille;
};

struct run {
    pid_t child; /* 0: not running */
    FILE *file;  /* NULL: not started, or read */
};

struct state {
    const struct sim_runs *runs;
    struct run *all;
    struct sim_runs_report *reports; /* shared with the children */
    sigset_t child_ended;            /* SIGCHLD, which is blocked meanwhile */
    sigset_t signals_before;
    uint32_t started;
    uint32_t running;
    uint32_t read; /* results */
    int result;
};

void sim_runs_progress(void *context, unsigned permille)
{
    struct sim_runs_report *report = context;

    atomic_store_explicit(&report->permille, permille, memory_order_relaxed);
}

static void draw_bar(const struct state *state)
{
    uint64_t done = 0;
    char bar[BAR_WIDTH + 1];

    if (!isatty(STDERR_FILENO) || state->runs->count == 0)
        return;
    for (uint32_t i = 0; i < state->runs->count; i++)
        done += atomic_load_explicit(&state->reports[i].permille, memory_order_relaxed);
    done /= state->runs->count;
    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '#', (size_t)(done * BAR_WIDTH / 1000));
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %3u.%u %%", state->runs->what, bar, (unsigned)done / 10,
            (unsigned)done % 10);
    fflush(stderr);
}

static void erase_bar(void)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%*s\r", (int)BAR_WIDTH + 30, "");
}

_Noreturn static void be_child(struct state *state, uint32_t number)
{
    const struct sim_runs *runs = state->runs;
    FILE *file = state->all[number].file;

    sigprocmask(SIG_SETMASK, &state->signals_before, NULL);
    int result = runs->run(runs->run_context, number, &state->reports[number], file);

    if (fflush(file) != 0 && result == 0)
        result = -errno;
    _exit(result == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static int start(struct state *state, uint32_t number)
{
    struct run *run = &state->all[number];
    int result;

    run->file = tmpfile();
    if (run->file == NULL) {
        result = -errno;
        command_error("sim", "cannot make a temporary file: %s", strerror(-result));
        return result;
    }
    fflush(stdout);
    run->child = fork();
    if (run->child < 0) {
        result = -errno;
        run->child = 0;
        command_error("sim", "cannot start a process: %s", strerror(-result));
        return result;
    }
    if (run->child == 0)
        be_child(state, number);
    state->running++;
    return 0;
}

/* A child has ended. */
static void note_end(struct state *state, pid_t child, int status)
{
    for (uint32_t i = 0; i < state->started; i++) {
        struct run *run = &state->all[i];

        if (run->child != child)
            continue;
        run->child = 0;
        state->running--;
        atomic_store_explicit(&state->reports[i].permille, 1000, memory_order_relaxed);
        if (WIFSIGNALED(status))
            command_error("sim", "run %u was ended by signal %d (%s)", i, WTERMSIG(status),
                          strsignal(WTERMSIG(status)));
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            state->result = -EIO;
    }
}

/* Reads the results that are there and whose turn it is. */
static void read_finished(struct state *state)
{
    const struct sim_runs *runs = state->runs;

    while (state->result == 0 && state->read < state->started &&
           state->all[state->read].child == 0) {
        struct run *run = &state->all[state->read];

        rewind(run->file);
        state->result = runs->read(runs->read_context, state->read, run->file);
        fclose(run->file);
        run->file = NULL;
        state->read++;
    }
}

static void look(struct state *state)
{
    const struct timespec pause = {.tv_nsec = DRAW_EVERY};
    int status;
    pid_t child = waitpid(-1, &status, WNOHANG);

    if (child > 0) {
        note_end(state, child, status);
        read_finished(state);
        return;
    }
    draw_bar(state);
    sigtimedwait(&state->child_ended, NULL, &pause);
}

static bool may_start(const struct state *state)
{
    return state->result == 0 && state->started < state->runs->count &&
           state->running < state->runs->jobs && state->started - state->read < AHEAD_MAX;
}

static void run_all(struct state *state)
{
    sigemptyset(&state->child_ended);
    sigaddset(&state->child_ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &state->child_ended, &state->signals_before);
    while (state->running > 0 || may_start(state)) {
        if (may_start(state))
            state->result = start(state, state->started++);
        else
            look(state);
    }
    sigprocmask(SIG_SETMASK, &state->signals_before, NULL);
    erase_bar();
}

int sim_runs(const struct sim_runs *runs)
{
    struct state state = {.runs = runs};
    size_t shared = runs->count * sizeof(struct sim_runs_report);

    state.all = calloc(runs->count, sizeof(struct run));
    state.reports = mmap(NULL, shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (state.all == NULL || state.reports == MAP_FAILED) {
        command_error("sim", "there is not enough memory for %u runs", runs->count);
        state.result = -ENOMEM;
        goto end;
    }
    run_all(&state);
    if (state.result != 0)
        command_error("sim", "the runs did not all finish");
end:
    for (uint32_t i = 0; state.all != NULL && i < runs->count; i++)
        if (state.all[i].file != NULL)
            fclose(state.all[i].file);
    if (state.reports != MAP_FAILED)
        munmap(state.reports, shared);
    free(state.all);
    return state.result;
}
