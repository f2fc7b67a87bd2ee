/*
 * Thousands of small files take longer than their bytes alone, so the bar and the time left count
 * work: a file's bytes plus a constant that stands for its being there at all. Speeds are averages
 * in which the past fades within seconds, so that the time left follows a network that changes.
 */
#include "cli/progress.h"

#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DRAW_INTERVAL_NS   100000000
#define SAMPLE_INTERVAL_NS 250000000
#define FADE_SECONDS       3.0
#define SETTLE_NS          1000000000 /* before this, the time left would be guessing */
#define FILE_WORK          16384.0    /* what one file costs, in bytes */
#define BAR_COLUMNS_MIN    5
#define BAR_COLUMNS_MAX    30
#define LONGEST_SECONDS    360000 /* a longer time left says nothing */
#define DEFAULT_COLUMNS    80

void progress_open(struct progress *progress, bool quiet, uint64_t now_ns)
{
    *progress = (struct progress){
        .shown = !quiet && isatty(STDERR_FILENO) == 1,
        .begin_ns = now_ns,
        .sample_ns = now_ns,
    };
}

static double work_of(uint64_t bytes, uint64_t files)
{
    return (double)bytes + FILE_WORK * (double)files;
}

/* Brings the speeds up to date. */
static void sample(struct progress *progress, const struct progress_counts *counts, uint64_t now_ns)
{
    double work = work_of(counts->bytes_done, counts->files_done);
    double seconds = (double)(now_ns - progress->sample_ns) / 1e9;
    double since_begin = (double)(now_ns - progress->begin_ns) / 1e9;
    double weight;

    if (now_ns - progress->sample_ns < SAMPLE_INTERVAL_NS)
        return;
    /* Until the fading time has passed, everything so far counts alike. */
    weight =
        since_begin < FADE_SECONDS ? seconds / since_begin : seconds / (FADE_SECONDS + seconds);
    progress->bytes_per_second +=
        weight * ((double)(counts->bytes_done - progress->sample_bytes) / seconds -
                  progress->bytes_per_second);
    progress->work_per_second +=
        weight * ((work - progress->sample_work) / seconds - progress->work_per_second);
    progress->sample_ns = now_ns;
    progress->sample_bytes = counts->bytes_done;
    progress->sample_work = work;
}

/* "0:07 left", or nothing while it cannot be told. */
static char *time_left(const struct progress *progress, double work_left, uint64_t now_ns,
                       bool listing, char text[TEXT_SIZE])
{
    char clock[TEXT_SIZE];

    text[0] = '\0';
    if (listing || progress->work_per_second <= 0 || now_ns - progress->begin_ns < SETTLE_NS ||
        work_left / progress->work_per_second > LONGEST_SECONDS)
        return text;
    text_clock(clock, (uint64_t)(work_left / progress->work_per_second) + 1);
    snprintf(text, TEXT_SIZE, "%.20s left", clock);
    return text;
}

/* "12.3 MB/s", or nothing before the first speed is known. */
static char *speed(const struct progress *progress, char text[TEXT_SIZE])
{
    char bytes[TEXT_SIZE];

    text[0] = '\0';
    if (progress->sample_ns > progress->begin_ns)
        snprintf(text, TEXT_SIZE, "%.20s/s",
                 text_bytes(bytes, (uint64_t)progress->bytes_per_second));
    return text;
}

/* "[###...] " in what the text leaves of the line; nothing if that is too little. */
static void draw_bar(char *bar, double share, size_t columns, size_t text_columns)
{
    size_t room =
        columns > text_columns + strlen("[] ") ? columns - text_columns - strlen("[] ") : 0;
    size_t filled;

    bar[0] = '\0';
    if (room < BAR_COLUMNS_MIN)
        return;
    if (room > BAR_COLUMNS_MAX)
        room = BAR_COLUMNS_MAX;
    filled = (size_t)(share * (double)room);
    bar[0] = '[';
    memset(bar + 1, '#', filled);
    memset(bar + 1 + filled, '.', room - filled);
    memcpy(bar + 1 + room, "] ", sizeof("] "));
}

char *progress_line(struct progress *progress, const struct progress_counts *counts,
                    uint64_t now_ns, unsigned columns, char line[PROGRESS_LINE_SIZE])
{
    double total = work_of(counts->bytes_total, counts->files_total);
    double done = work_of(counts->bytes_done, counts->files_done);
    double share = total > 0 ? done / total : 0;
    char left[TEXT_SIZE], files[TEXT_SIZE], all[TEXT_SIZE], bytes[TEXT_SIZE], rate[TEXT_SIZE];
    char bar[BAR_COLUMNS_MAX + sizeof("[] ")];
    char text[PROGRESS_LINE_SIZE - sizeof(bar)];

    if (share > 1) /* files that grew */
        share = 1;
    sample(progress, counts, now_ns);
    /* Fields of constant width keep the line from dancing. */
    text_count(all, counts->files_total);
    snprintf(text, sizeof(text), "%3u%%  %*s of %s%s files  %8s  %10s  %9s",
             (unsigned)(share * 100), (int)strlen(all), text_count(files, counts->files_done), all,
             counts->listing ? "+" : "", text_bytes(bytes, counts->bytes_done),
             speed(progress, rate),
             time_left(progress, total > done ? total - done : 0, now_ns, counts->listing, left));
    draw_bar(bar, share, columns, strlen(text));
    snprintf(line, PROGRESS_LINE_SIZE, "%s%s", bar, text);
    if (strlen(line) > columns)
        line[columns] = '\0';
    return line;
}

static unsigned terminal_columns(void)
{
    struct winsize window;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0)
        return DEFAULT_COLUMNS;
    return window.ws_col;
}

void progress_update(struct progress *progress, const struct progress_counts *counts,
                     uint64_t now_ns)
{
    char line[PROGRESS_LINE_SIZE];
    unsigned columns;

    if (!progress->shown || now_ns - progress->last_ns < DRAW_INTERVAL_NS)
        return;
    progress->last_ns = now_ns;
    /* The last column stays free: writing there wraps the line on some terminals. */
    columns = terminal_columns() - 1;
    /* Back to the first column, the line, and erase what is left of the one before. */
    fprintf(stderr, "\r%s\033[K", progress_line(progress, counts, now_ns, columns, line));
    fflush(stderr);
    progress->drawn = true;
}

void progress_clear(struct progress *progress)
{
    if (!progress->drawn)
        return;
    fprintf(stderr, "\r\033[K");
    fflush(stderr);
    progress->drawn = false;
}
