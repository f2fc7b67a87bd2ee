/* Slowdowns as text. Called at the end of a run; looks at rows, never at samples. */
#include "sim/report.h"

#include "sim/published.h"

#include <errno.h>
#include <inttypes.h>

#define NUMBER_BYTES 24u

/* A slowdown in thousandths as a decimal number, or "-" when there is none. */
static const char *slowdown_text(char text[NUMBER_BYTES], uint32_t thousandths)
{
    if (thousandths == 0)
        snprintf(text, NUMBER_BYTES, "-");
    else
        snprintf(text, NUMBER_BYTES, "%" PRIu32 ".%03" PRIu32, thousandths / 1000,
                 thousandths % 1000);
    return text;
}

static void print_row(FILE *file, const struct sim_row *row)
{
    char texts[4][NUMBER_BYTES];
    uint32_t share = (row->end_ppm + 50) / 100; /* in hundredths of a percent */

    fprintf(file, "%10" PRIu32 " - %-10" PRIu32 " %4" PRIu32 ".%02" PRIu32 " %% %12" PRIu64,
            row->lower, row->upper, share / 100, share % 100, row->count);
    fprintf(file, " %9s %9s %9s %9s\n", slowdown_text(texts[0], row->mean),
            slowdown_text(texts[1], row->p50), slowdown_text(texts[2], row->p99),
            slowdown_text(texts[3], row->p999));
}

void sim_report_table(FILE *file, const struct sim_slowdown *slowdown,
                      const struct sim_workload *workload)
{
    struct sim_rows rows;

    fprintf(file, "%23s %9s %12s %9s %9s %9s %9s\n", "message bytes   ", "share to", "messages",
            "mean", "p50", "p99", "p99.9");
    sim_slowdown_tenths(slowdown, workload, &rows);
    for (uint32_t i = 0; i < rows.count; i++)
        print_row(file, &rows.rows[i]);
    sim_slowdown_all(slowdown, workload, &rows);
    fprintf(file, "all:\n");
    print_row(file, &rows.rows[0]);
}

static void print_digest(FILE *file, const char *name, const struct sim_digest *digest)
{
    char texts[4][NUMBER_BYTES];

    fprintf(file, "%-22s %9s %9s %14s %9s\n", name, slowdown_text(texts[0], digest->half_p50),
            slowdown_text(texts[1], digest->half_p99), slowdown_text(texts[2], digest->largest_p50),
            slowdown_text(texts[3], digest->largest_p99));
}

/* Transports of which the figures alone were published, not the rows. */
static void print_published_halves(FILE *file, const char *workload, uint32_t load_permille)
{
    static const char *const transports[] = {"Homa", "pFabric", "SRPT-Oracle"};

    for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
        struct sim_digest digest = {0};
        char name[NUMBER_BYTES * 2];

        if (sim_published_half(workload, load_permille, transports[i], &digest.half_p50,
                               &digest.half_p99) != 0)
            continue;
        snprintf(name, sizeof(name), "published %s", transports[i]);
        print_digest(file, name, &digest);
    }
}

int sim_report_figures(FILE *file, const struct sim_slowdown *slowdown,
                       const struct sim_workload *workload, uint32_t load_permille)
{
    const char *name = sim_workload_name(workload);
    struct sim_published *published = NULL;
    int result = sim_published_open(name, load_permille, &published);

    if (result != 0)
        return result;
    struct sim_rows rows;
    sim_slowdown_fine(slowdown, workload, sim_published_rows(published, "Homa"), &rows);
    struct sim_digest digest = sim_rows_digest(&rows);

    fprintf(file, "%-22s %19s %24s\n", "slowdown", "smaller half", "largest 1 %");
    fprintf(file, "%-22s %9s %9s %14s %9s\n", "", "p50", "p99", "p50", "p99");
    print_digest(file, "this run", &digest);
    for (uint32_t i = 0; i < published->count; i++) {
        char label[NUMBER_BYTES * 2];

        digest = sim_rows_digest(&published->curves[i].rows);
        snprintf(label, sizeof(label), "published %s", published->curves[i].transport);
        print_digest(file, label, &digest);
    }
    if (published->count == 0)
        print_published_halves(file, name, load_permille);
    sim_published_close(published);
    return 0;
}

void sim_report_csv(FILE *file, const struct sim_rows *rows)
{
    fprintf(file, "lower_bytes,upper_bytes,cumulative_share_percent,messages,mean,p50,p99,p999\n");
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct sim_row *row = &rows->rows[i];
        const uint32_t columns[] = {row->mean, row->p50, row->p99, row->p999};

        fprintf(file, "%" PRIu32 ",%" PRIu32 ",%" PRIu32 ".%04" PRIu32 ",%" PRIu64, row->lower,
                row->upper, row->end_ppm / 10000, row->end_ppm % 10000, row->count);
        for (size_t j = 0; j < sizeof(columns) / sizeof(columns[0]); j++) {
            if (columns[j] == 0)
                fputc(',', file);
            else
                fprintf(file, ",%" PRIu32 ".%03" PRIu32, columns[j] / 1000, columns[j] % 1000);
        }
        fputc('\n', file);
    }
}
