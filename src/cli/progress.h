/*
 * The line on a terminal that shows how far a fetch is: redrawn in place ten times a second at
 * most, on standard error, and only if that is a terminal.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define PROGRESS_LINE_SIZE 256

/* How far the work is. Totals grow while the server's tree is still being listed. */
struct progress_counts {
    uint64_t files_done;
    uint64_t files_total;
    uint64_t bytes_done;
    uint64_t bytes_total;
    bool listing; /* the totals are not final yet */
};

struct progress {
    bool shown;       /* there is a terminal to draw on */
    bool drawn;       /* a line is on it now */
    uint64_t last_ns; /* when it was drawn */
    uint64_t begin_ns;
    uint64_t sample_ns; /* when the speeds below were last brought up to date */
    uint64_t sample_bytes;
    double sample_work;
    double bytes_per_second; /* over the last seconds */
    double work_per_second;
};

/* quiet: draw nothing in any case. */
void progress_open(struct progress *progress, bool quiet, uint64_t now_ns);

/* Draws the line if it is time to. */
void progress_update(struct progress *progress, const struct progress_counts *counts,
                     uint64_t now_ns);

/* Takes the line away: before anything else is printed, and at the end. */
void progress_clear(struct progress *progress);

/*
 * The line itself, at most `columns` characters wide, as it stands at now_ns; for the terminal, and
 * for tests. Returns line.
 */
char *progress_line(struct progress *progress, const struct progress_counts *counts,
                    uint64_t now_ns, unsigned columns, char line[PROGRESS_LINE_SIZE]);

#endif
