/*
 * Parallel runs (sim_runs.h): children with a temporary file each for their results, and a page of
 * memory that all share for their progress.
 */
#include "cli/sim_runs.h"

#include "cli/command.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BAR_WIDTH  40u
#define LOOK_EVERY 100000u /* µs */

struct sim_runs_report {
    _Atomic unsigned permille;
};

struct run {
    pid_t child; /* 0: not running */
    FILE *file;
};

struct state {
    const struct sim_runs *runs;
    struct run *all;
    struct sim_runs_report *reports; /* shared with the children */
    uint32_t started;
    uint32_t running;
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

    if (!isatty(STDERR_FILENO))
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
    int result = runs->run(runs->run_context, number, &state->reports[number], file);

    if (fflush(file) != 0 && result == 0)
        result = -errno;
    _exit(result == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static int start(struct state *state, uint32_t number)
{
    struct run *run = &state->all[number];

    run->file = tmpfile();
    if (run->file == NULL)
        return -errno;
    fflush(stdout);
    run->child = fork();
    if (run->child < 0) {
        run->child = 0;
        return -errno;
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

static void look(struct state *state)
{
    int status;
    pid_t child = waitpid(-1, &status, WNOHANG);

    if (child > 0) {
        note_end(state, child, status);
        return;
    }
    draw_bar(state);
    usleep(LOOK_EVERY);
}

static void run_all(struct state *state)
{
    const struct sim_runs *runs = state->runs;

    while (state->running > 0 || (state->result == 0 && state->started < runs->count)) {
        if (state->result == 0 && state->started < runs->count && state->running < runs->jobs)
            state->result = start(state, state->started++);
        else
            look(state);
    }
    erase_bar();
}

static int read_all(struct state *state)
{
    int result = 0;

    for (uint32_t i = 0; i < state->runs->count && result == 0; i++) {
        rewind(state->all[i].file);
        result = state->runs->read(state->runs->read_context, i, state->all[i].file);
    }
    return result;
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
    if (state.result == 0)
        state.result = read_all(&state);
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
