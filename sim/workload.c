/*
 * Distributions of message lengths. Frequencies are read as exact decimal numbers and become whole
 * weights in a common unit, the finest that any of them needs; their sums are exact, and so is
 * every draw. Sums of weight × cost need more than 64 bits; 128 hold them: a weight is below 2^63,
 * a cost below 2^53.
 */
#include "sim/workload.h"

#include "homa/knobs.h"
#include "sim/data.h"
#include "sim/tsv.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 64u
#define FILE_MAX_BYTES (16u << 20)
#define WEIGHT_MAX     (UINT64_C(1) << 62) /* of all lengths together */

_Static_assert(SIM_CUTOFFS == HOMA_PRIORITIES, "a cutoff for each level");
_Static_assert(SIM_LENGTH_MAX < HOMA_CUTOFF_ALL, "every length is below the cutoff for all");

typedef unsigned __int128 wide;

struct entry {
    uint32_t length;
    struct sim_decimal frequency;
    uint64_t weight;
    uint64_t cumulative; /* weights up to this one, inclusive */
};

struct sim_workload {
    char name[NAME_MAX_BYTES];
    struct entry *entries; /* by rising length */
    uint32_t count;
    uint32_t capacity;
    uint64_t total; /* of all weights */
};

/* ---- reading ---- */

static int append(struct sim_workload *workload, const struct entry *entry)
{
    if (workload->count == workload->capacity) {
        uint32_t capacity = workload->capacity == 0 ? 256 : workload->capacity * 2;
        struct entry *entries =
            reallocarray(workload->entries, capacity, sizeof(workload->entries[0]));

        if (entries == NULL)
            return -ENOMEM;
        workload->entries = entries;
        workload->capacity = capacity;
    }
    workload->entries[workload->count++] = *entry;
    return 0;
}

/* What is wrong with the record, as a sentence's end, or NULL. */
static const char *read_entry(const struct sim_tsv *tsv, uint32_t shorter, struct entry *entry)
{
    uint64_t length = 0;

    *entry = (struct entry){0};
    if (tsv->count != 2)
        return "expected a length and a frequency, separated by a tab";
    if (sim_field_integer(&tsv->fields[0], SIM_LENGTH_MAX, &length) != 0 || length == 0)
        return "the length must be a whole number from 1 to 1000000000";
    if (length <= shorter)
        return "lengths must rise from line to line";
    int result = sim_field_decimal(&tsv->fields[1], &entry->frequency);
    if (result == -ERANGE)
        return "the frequency has more than 18 digits, or an exponent of more than three";
    if (result != 0 || entry->frequency.digits == 0)
        return "the frequency must be a number above 0, such as 0.25 or 2.5e-01";
    entry->length = (uint32_t)length;
    return NULL;
}

static int read_entries(struct sim_workload *workload, const char *text, char why[SIM_WHY_MAX])
{
    struct sim_tsv tsv = sim_tsv_begin(text);
    uint32_t shorter = 0;
    int result = 0;

    while (result == 0 && sim_tsv_next(&tsv)) {
        struct entry entry;
        const char *fault = read_entry(&tsv, shorter, &entry);

        if (fault != NULL) {
            snprintf(why, SIM_WHY_MAX, "%s, line %u: %s", workload->name, tsv.line, fault);
            return -EINVAL;
        }
        shorter = entry.length;
        result = append(workload, &entry);
    }
    if (result == 0 && workload->count == 0) {
        snprintf(why, SIM_WHY_MAX, "%s: there is no length in it", workload->name);
        result = -EINVAL;
    }
    return result;
}

/* Turns frequencies into whole weights. */
static int weigh(struct sim_workload *workload, char why[SIM_WHY_MAX])
{
    int32_t finest = INT32_MAX;

    for (uint32_t i = 0; i < workload->count; i++) {
        if (workload->entries[i].frequency.exponent < finest)
            finest = workload->entries[i].frequency.exponent;
    }
    for (uint32_t i = 0; i < workload->count; i++) {
        struct entry *entry = &workload->entries[i];

        if (sim_decimal_in(&entry->frequency, finest, &entry->weight) != 0 ||
            entry->weight > WEIGHT_MAX - workload->total) {
            snprintf(why, SIM_WHY_MAX,
                     "%s: the frequencies differ by more than can be added up exactly; write the "
                     "small ones with fewer digits",
                     workload->name);
            return -EINVAL;
        }
        workload->total += entry->weight;
        entry->cumulative = workload->total;
    }
    return 0;
}

int sim_workload_read(const char *name, const char *text, struct sim_workload **workload,
                      char why[SIM_WHY_MAX])
{
    struct sim_workload *made = calloc(1, sizeof(*made));
    int result = -ENOMEM;

    why[0] = '\0';
    *workload = NULL;
    if (made != NULL) {
        snprintf(made->name, sizeof(made->name), "%s", name);
        result = read_entries(made, text, why);
    }
    if (result == 0)
        result = weigh(made, why);
    if (result == 0)
        *workload = made;
    else
        sim_workload_close(made);
    if (result == -ENOMEM)
        snprintf(why, SIM_WHY_MAX, "%s: there is not enough memory", name);
    return result;
}

int sim_workload_named(const char *name, struct sim_workload **workload)
{
    char lower[] = "w0";
    char why[SIM_WHY_MAX];

    *workload = NULL;
    if ((name[0] != 'w' && name[0] != 'W') || name[1] < '1' || name[1] > '5' || name[2] != '\0')
        return -ENOENT;
    lower[1] = name[1];
    return sim_workload_read(lower, sim_data(lower), workload, why);
}

/* The text of a file, which the caller frees, or NULL with errno set. */
static char *read_file(const char *path)
{
    char *text = NULL;
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return NULL;
    text = malloc(FILE_MAX_BYTES + 1);
    if (text != NULL) {
        size_t length = fread(text, 1, FILE_MAX_BYTES + 1, file);
        int fault = ferror(file) != 0 ? errno : length > FILE_MAX_BYTES ? EFBIG : 0;

        if (fault == 0) {
            text[length] = '\0';
        } else {
            free(text);
            text = NULL;
            errno = fault;
        }
    }
    int fault = errno;
    fclose(file);
    errno = fault;
    return text;
}

int sim_workload_open(const char *name_or_path, struct sim_workload **workload,
                      char why[SIM_WHY_MAX])
{
    int result = sim_workload_named(name_or_path, workload);

    if (result == -ENOENT) {
        char *text = read_file(name_or_path);

        if (text != NULL) {
            result = sim_workload_read(name_or_path, text, workload, why);
        } else {
            result = -errno;
            snprintf(why, SIM_WHY_MAX, "%s is none of w1 to w5 and cannot be read as a file: %s",
                     name_or_path, strerror(errno));
        }
        free(text);
    } else if (result != 0) {
        snprintf(why, SIM_WHY_MAX, "%s: there is not enough memory", name_or_path);
    }
    return result;
}

void sim_workload_close(struct sim_workload *workload)
{
    if (workload == NULL)
        return;
    free(workload->entries);
    free(workload);
}

/* ---- what it is ---- */

const char *sim_workload_name(const struct sim_workload *workload)
{
    return workload->name;
}

uint32_t sim_workload_lengths(const struct sim_workload *workload)
{
    return workload->count;
}

uint32_t sim_workload_length(const struct sim_workload *workload, uint32_t index)
{
    assert(index < workload->count);
    return workload->entries[index].length;
}

uint64_t sim_workload_weight(const struct sim_workload *workload, uint32_t index)
{
    assert(index < workload->count);
    return workload->entries[index].weight;
}

uint64_t sim_workload_total(const struct sim_workload *workload)
{
    return workload->total;
}

uint32_t sim_workload_at(const struct sim_workload *workload, uint64_t draw)
{
    uint32_t low = 0;
    uint32_t high = workload->count - 1;

    /* The first whose cumulative weight exceeds the draw. */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (workload->entries[middle].cumulative > draw)
            high = middle;
        else
            low = middle + 1;
    }
    return workload->entries[low].length;
}

uint32_t sim_workload_sample(const struct sim_workload *workload, struct base_random *random)
{
    return sim_workload_at(workload, base_random_below(random, workload->total));
}

/* The sum of all weights times lengths. */
static wide total_bytes(const struct sim_workload *workload)
{
    wide sum = 0;

    for (uint32_t i = 0; i < workload->count; i++)
        sum += (wide)workload->entries[i].weight * workload->entries[i].length;
    return sum;
}

uint64_t sim_workload_mean_milli(const struct sim_workload *workload)
{
    return (uint64_t)(total_bytes(workload) * 1000 / workload->total);
}

uint32_t sim_workload_share(const struct sim_workload *workload, uint32_t length)
{
    uint64_t below = 0;

    for (uint32_t i = 0; i < workload->count && workload->entries[i].length <= length; i++)
        below = workload->entries[i].cumulative;
    return (uint32_t)(((wide)below * SIM_PPM + workload->total / 2) / workload->total);
}

/* The weight of messages up to entry i, minus this share of all, in millionths. */
static __int128 excess(const struct sim_workload *workload, uint32_t i, uint32_t share_ppm)
{
    return (__int128)workload->entries[i].cumulative * SIM_PPM -
           (__int128)workload->total * share_ppm;
}

/* The first entry up to which there is at least this share. */
static uint32_t find_share(const struct sim_workload *workload, uint32_t share_ppm)
{
    uint32_t i = 0;

    assert(share_ppm <= SIM_PPM);
    while (excess(workload, i, share_ppm) < 0)
        i++;
    return i;
}

uint32_t sim_workload_quantile(const struct sim_workload *workload, uint32_t share_ppm)
{
    return workload->entries[find_share(workload, share_ppm)].length;
}

uint32_t sim_workload_quantile_below(const struct sim_workload *workload, uint32_t share_ppm)
{
    uint32_t i = find_share(workload, share_ppm);

    if (excess(workload, i, share_ppm) == 0)
        return workload->entries[i].length;
    return i == 0 ? 0 : workload->entries[i - 1].length;
}

uint32_t sim_workload_quantile_near(const struct sim_workload *workload, uint32_t share_ppm)
{
    uint32_t i = find_share(workload, share_ppm);

    if (i > 0 && -excess(workload, i - 1, share_ppm) < excess(workload, i, share_ppm))
        i--;
    return workload->entries[i].length;
}

uint32_t sim_workload_byte_quantile(const struct sim_workload *workload, uint32_t share_ppm)
{
    wide total = total_bytes(workload);
    wide sum = (wide)workload->entries[0].weight * workload->entries[0].length;
    uint32_t i = 0;

    assert(share_ppm <= SIM_PPM);
    while (sum * SIM_PPM < total * share_ppm) {
        i++;
        sum += (wide)workload->entries[i].weight * workload->entries[i].length;
    }
    return workload->entries[i].length;
}

/* ---- cutoffs ---- */

/* What a message's unscheduled packets occupy. */
struct framing {
    uint32_t unsched_bytes;
    uint32_t packet_payload;
    uint32_t packet_overhead;
};

/* The weight of one length, times what its unscheduled packets occupy. */
static wide unscheduled_load(const struct entry *entry, const struct framing *framing)
{
    uint64_t bytes =
        entry->length < framing->unsched_bytes ? entry->length : framing->unsched_bytes;
    uint64_t packets = (bytes + framing->packet_payload - 1) / framing->packet_payload;

    return (wide)entry->weight * (bytes + packets * framing->packet_overhead);
}

/*
 * Moves *next, at least by one, to where the load of the lengths passed is nearest to the share.
 * Returns that load.
 */
static wide take_share(const struct sim_workload *workload, const struct framing *framing,
                       wide share, uint32_t *next)
{
    wide taken = unscheduled_load(&workload->entries[(*next)++], framing);

    for (; *next < workload->count && taken < share; (*next)++) {
        wide more = taken + unscheduled_load(&workload->entries[*next], framing);

        if (more > share && more - share > share - taken)
            break;
        taken = more;
    }
    return taken;
}

void sim_workload_cutoffs(const struct sim_workload *workload, uint32_t levels,
                          uint32_t unsched_bytes, uint32_t packet_payload, uint32_t packet_overhead,
                          uint32_t cutoffs[SIM_CUTOFFS])
{
    const struct framing framing = {unsched_bytes, packet_payload, packet_overhead};
    wide left = 0; /* the load of the lengths from `next` on */
    uint32_t next = 0;
    uint32_t level = SIM_CUTOFFS;

    assert(levels >= 1 && levels <= SIM_CUTOFFS && packet_payload > 0);
    memset(cutoffs, 0, SIM_CUTOFFS * sizeof(cutoffs[0]));
    for (uint32_t i = 0; i < workload->count; i++)
        left += unscheduled_load(&workload->entries[i], &framing);
    for (; levels > 1; levels--) {
        left -= take_share(workload, &framing, left / levels, &next);
        if (next == workload->count)
            break;
        cutoffs[--level] = workload->entries[next - 1].length;
    }
    cutoffs[--level] = HOMA_CUTOFF_ALL;
}
