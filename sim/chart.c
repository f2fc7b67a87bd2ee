/*
 * The chart. A row is a level stretch over its share of the messages, so that nothing is made up
 * between rows. Coordinates are tenths of a pixel, from the fixed-point logarithm: the same picture
 * byte for byte on every machine. The published curves may leave the chart at the top: its height
 * is for this run and for Homa.
 */
#include "sim/chart.h"

#include "sim/exponential.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* The plot and what is around it, in pixels. */
enum {
    LEFT = 70,
    TOP = 72,
    WIDTH = 760,
    HEIGHT = 420,
    KEY = LEFT + WIDTH + 24, /* where the legend begins */
    TOTAL_WIDTH = KEY + 200,
    TOTAL_HEIGHT = TOP + HEIGHT + 78,
};

#define TENTHS UINT64_C(10) /* of a pixel */

/* The lowest slowdown drawn, in thousandths: some are published a little below 1. */
#define LOWEST 900u

/* Told apart by those who do not see all colours, too. */
static const char *const series_colours[SIM_SERIES_MAX] = {"#0072b2", "#d55e00", "#009e73",
                                                           "#cc79a7", "#e69f00", "#56b4e9"};
static const char *const published_colours[SIM_CURVES_MAX] = {
    "#111111", "#b8860b", "#8a63b3", "#c0504d", "#6f8f2f", "#3a8f8f", "#777777", "#aa5588"};

struct canvas {
    FILE *file;
    uint32_t highest; /* slowdown at the top, in thousandths */
};

/* A coordinate in tenths of a pixel. */
static void print_tenths(FILE *file, uint64_t value)
{
    fprintf(file, "%" PRIu64, value / TENTHS);
    if (value % TENTHS != 0)
        fprintf(file, ".%" PRIu64, value % TENTHS);
}

static uint64_t x_of(uint32_t share_ppm)
{
    return LEFT * TENTHS + (uint64_t)share_ppm * WIDTH * TENTHS / SIM_PPM;
}

/* Slowdowns beyond the top are beyond the plot, too, and clipped; those below the bottom are on it.
 */
static uint64_t y_of(const struct canvas *canvas, uint32_t slowdown)
{
    uint64_t bottom = sim_log2(LOWEST);
    uint64_t range = sim_log2(canvas->highest) - bottom;
    uint64_t up = sim_log2(slowdown < LOWEST ? LOWEST : slowdown) - bottom;
    uint64_t pixels = up * HEIGHT * TENTHS / range;
    uint64_t zero = (uint64_t)(TOP + HEIGHT) * TENTHS;

    return pixels < zero ? zero - pixels : 0;
}

/* Text with the characters that XML keeps for itself written out. */
static void print_text(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", file);
            break;
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        default:
            fputc((unsigned char)*text < ' ' ? ' ' : *text, file);
        }
    }
}

/* A size as short as three digits can say it: "97", "1.5K", "25K", "1.2M". */
static void print_size(FILE *file, uint32_t bytes)
{
    static const struct {
        uint32_t unit;
        const char *letter;
    } units[] = {{1000000, "M"}, {1000, "K"}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        uint32_t unit = units[i].unit;
        uint64_t tenths = ((uint64_t)bytes * 10 + unit / 2) / unit;

        if (bytes < unit)
            continue;
        if (tenths < 100 && tenths % 10 != 0)
            fprintf(file, "%" PRIu64 ".%" PRIu64 "%s", tenths / 10, tenths % 10, units[i].letter);
        else
            fprintf(file, "%" PRIu64 "%s", ((uint64_t)bytes + unit / 2) / unit, units[i].letter);
        return;
    }
    fprintf(file, "%" PRIu32, bytes);
}

/* ---- axes ---- */

/* The highest p99, with Homa's. */
static uint32_t highest_slowdown(const struct sim_chart *chart)
{
    const struct sim_rows *homa =
        chart->published == NULL ? NULL : sim_published_rows(chart->published, "Homa");
    uint32_t highest = 0;

    for (uint32_t i = 0; i <= chart->series_count; i++) {
        const struct sim_rows *rows = i < chart->series_count ? chart->series[i].rows : homa;

        for (uint32_t j = 0; rows != NULL && j < rows->count; j++) {
            if (rows->rows[j].p99 > highest)
                highest = rows->rows[j].p99;
        }
    }
    return highest;
}

/* The next line of a logarithmic grid: 1, 2, 5, 10, 20 ... */
static uint64_t next_step(uint64_t step)
{
    uint64_t leading = step;

    while (leading >= 10)
        leading /= 10;
    return leading == 2 ? step / 2 * 5 : step * 2;
}

/* Where the y axis ends: the first line of the grid that no run exceeds, 10 at least. */
static uint32_t y_end(uint32_t highest)
{
    uint64_t step = 10 * (uint64_t)SIM_SLOWDOWN_ONE;

    while (step < highest && next_step(step) <= UINT32_MAX)
        step = next_step(step);
    return (uint32_t)step;
}

static void draw_y_axis(const struct canvas *canvas)
{
    FILE *file = canvas->file;

    for (uint64_t step = SIM_SLOWDOWN_ONE; step <= canvas->highest; step = next_step(step)) {
        uint64_t y = y_of(canvas, (uint32_t)step);

        fprintf(file, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"", LEFT, LEFT + WIDTH);
        print_tenths(file, y);
        fprintf(file, "\" y2=\"");
        print_tenths(file, y);
        fprintf(file, "\"/>\n<text class=\"end\" x=\"%d\" y=\"", LEFT - 8);
        print_tenths(file, y + 4 * TENTHS);
        fprintf(file, "\">%" PRIu64 "</text>\n", step / SIM_SLOWDOWN_ONE);
    }
    fprintf(file,
            "<text class=\"middle axis\" transform=\"translate(20 %d) rotate(-90)\">Slowdown "
            "(logarithmic; 1 = as on an idle network)</text>\n",
            TOP + HEIGHT / 2);
}

static void draw_x_axis(const struct canvas *canvas, const struct sim_workload *workload)
{
    FILE *file = canvas->file;

    for (uint32_t tenth = 0; tenth <= 10; tenth++) {
        uint32_t share_ppm = tenth * (SIM_PPM / 10);
        uint64_t x = x_of(share_ppm);

        fprintf(file, "<line class=\"grid\" y1=\"%d\" y2=\"%d\" x1=\"", TOP, TOP + HEIGHT + 5);
        print_tenths(file, x);
        fprintf(file, "\" x2=\"");
        print_tenths(file, x);
        fprintf(file, "\"/>\n<text class=\"middle\" y=\"%d\" x=\"", TOP + HEIGHT + 20);
        print_tenths(file, x);
        fprintf(file, "\">");
        print_size(file, sim_workload_quantile(workload, share_ppm));
        fprintf(file, "</text>\n<text class=\"middle faint\" y=\"%d\" x=\"", TOP + HEIGHT + 36);
        print_tenths(file, x);
        fprintf(file, "\">%" PRIu32 " %%</text>\n", tenth * 10);
    }
    fprintf(file,
            "<text class=\"middle axis\" x=\"%d\" y=\"%d\">Message size in bytes (the axis is "
            "linear in the number of messages; %% are at most that long)</text>\n",
            LEFT + WIDTH / 2, TOP + HEIGHT + 62);
}

/* ---- lines ---- */

enum column {
    COLUMN_P50,
    COLUMN_P99
};

static void draw_line(const struct canvas *canvas, const struct sim_rows *rows, enum column column,
                      const char *class, const char *colour)
{
    FILE *file = canvas->file;
    bool is_joined = false;

    fprintf(file, "<path class=\"%s%s\" stroke=\"%s\" d=\"", class,
            column == COLUMN_P50 ? " dashed" : "", colour);
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct sim_row *row = &rows->rows[i];
        uint32_t slowdown = column == COLUMN_P50 ? row->p50 : row->p99;

        if (slowdown == 0) { /* nobody was measured there */
            is_joined = false;
            continue;
        }
        fputc(is_joined ? 'L' : 'M', file);
        print_tenths(file, x_of(row->begin_ppm));
        fputc(' ', file);
        print_tenths(file, y_of(canvas, slowdown));
        fputc('H', file);
        print_tenths(file, x_of(row->end_ppm));
        is_joined = true;
    }
    fprintf(file, "\"/>\n");
}

static void draw_lines(const struct canvas *canvas, const struct sim_chart *chart)
{
    const struct sim_published *published = chart->published;

    fprintf(canvas->file, "<g clip-path=\"url(#plot)\">\n");
    for (uint32_t i = 0; published != NULL && i < published->count; i++) {
        const struct sim_curve *curve = &published->curves[i];

        draw_line(canvas, &curve->rows, COLUMN_P99, "thin", published_colours[i]);
        if (strcmp(curve->transport, "Homa") == 0)
            draw_line(canvas, &curve->rows, COLUMN_P50, "thin", published_colours[i]);
    }
    for (uint32_t i = 0; i < chart->series_count; i++) {
        draw_line(canvas, chart->series[i].rows, COLUMN_P50, "thick", series_colours[i]);
        draw_line(canvas, chart->series[i].rows, COLUMN_P99, "thick", series_colours[i]);
    }
    fprintf(canvas->file, "</g>\n");
}

/* ---- legend ---- */

static void draw_key(FILE *file, uint32_t *y, const char *class, const char *colour,
                     const char *percentile, const char *label)
{
    fprintf(file, "<path class=\"%s\" stroke=\"%s\" d=\"M%d %" PRIu32 "h30\"/>\n", class, colour,
            KEY, *y - 4);
    fprintf(file, "<text x=\"%d\" y=\"%" PRIu32 "\">%s, ", KEY + 38, *y, percentile);
    print_text(file, label);
    fprintf(file, "</text>\n");
    *y += 20;
}

static void draw_legend(const struct canvas *canvas, const struct sim_chart *chart)
{
    const struct sim_published *published = chart->published;
    FILE *file = canvas->file;
    uint32_t y = TOP + 12;

    for (uint32_t i = 0; i < chart->series_count; i++) {
        draw_key(file, &y, "thick", series_colours[i], "p99", chart->series[i].label);
        draw_key(file, &y, "thick dashed", series_colours[i], "p50", chart->series[i].label);
    }
    if (published == NULL || published->count == 0)
        return;
    y += 12;
    fprintf(file, "<text class=\"axis\" x=\"%d\" y=\"%" PRIu32 "\">Published (2018):</text>\n", KEY,
            y);
    y += 22;
    for (uint32_t i = 0; i < published->count; i++) {
        const char *transport = published->curves[i].transport;

        draw_key(file, &y, "thin", published_colours[i], "p99", transport);
        if (strcmp(transport, "Homa") == 0)
            draw_key(file, &y, "thin dashed", published_colours[i], "p50", transport);
    }
}

static void begin(const struct canvas *canvas, const struct sim_chart *chart)
{
    FILE *file = canvas->file;

    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" role=\"img\">\n<title>",
            TOTAL_WIDTH, TOTAL_HEIGHT, TOTAL_WIDTH, TOTAL_HEIGHT);
    print_text(file, chart->title);
    fprintf(file, "</title>\n"
                  "<style>\n"
                  "text { font: 12px sans-serif; fill: #222 }\n"
                  ".title { font-size: 18px; font-weight: bold }\n"
                  ".subtitle, .axis { font-size: 13px }\n"
                  ".faint { font-size: 10px; fill: #777 }\n"
                  ".end { text-anchor: end }\n"
                  ".middle { text-anchor: middle }\n"
                  ".grid { stroke: #ddd; stroke-width: 1 }\n"
                  ".frame { fill: none; stroke: #888 }\n"
                  ".thick { fill: none; stroke-width: 3; stroke-linejoin: round }\n"
                  ".thin { fill: none; stroke-width: 1.2; stroke-linejoin: round }\n"
                  ".dashed { stroke-dasharray: 6 3 }\n"
                  "</style>\n");
    fprintf(file,
            "<clipPath id=\"plot\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>"
            "</clipPath>\n",
            LEFT, TOP, WIDTH, HEIGHT);
    fprintf(file, "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n");
    fprintf(file, "<text class=\"title\" x=\"%d\" y=\"32\">", LEFT);
    print_text(file, chart->title);
    fprintf(file, "</text>\n");
    if (chart->subtitle != NULL) {
        fprintf(file, "<text class=\"subtitle\" x=\"%d\" y=\"54\">", LEFT);
        print_text(file, chart->subtitle);
        fprintf(file, "</text>\n");
    }
}

void sim_chart_draw(FILE *file, const struct sim_chart *chart)
{
    const struct canvas canvas = {.file = file, .highest = y_end(highest_slowdown(chart))};

    assert(chart->series_count <= SIM_SERIES_MAX);
    begin(&canvas, chart);
    draw_y_axis(&canvas);
    draw_x_axis(&canvas, chart->workload);
    draw_lines(&canvas, chart);
    fprintf(file, "<rect class=\"frame\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", LEFT,
            TOP, WIDTH, HEIGHT);
    draw_legend(&canvas, chart);
    fprintf(file, "</svg>\n");
}
