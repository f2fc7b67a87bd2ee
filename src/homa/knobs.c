/*
 * The table of knobs, their defaults, and the reading of a value from text. Called when a socket is
 * made and when an option is set, never for a packet. The table drives everything: a new knob is a
 * field, a line here and a default. No file, environment or locale is looked at here, and digits
 * are read by hand, because the C library's readers take signs, hexadecimal and trailing junk.
 */
#include "homa/knobs.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Messages of the kernel API are never longer. */
#define LONGEST_MESSAGE 1000000u

#define LENGTH_MAX ((uint64_t)INT32_MAX)
#define TICKS_MAX  3600000u /* an hour */

#define DESCRIBE(field, unit_, lowest_, highest_, meaning_)                      \
    .name = #field, .unit = (unit_), .meaning = (meaning_), .lowest = (lowest_), \
    .highest = (highest_), .offset = offsetof(struct homa_knobs, field)
#define KNOB(field, ...) \
    DESCRIBE(field, __VA_ARGS__), .width = sizeof(((struct homa_knobs *)NULL)->field), .count = 1
#define LIST(field, ...)                                                                  \
    DESCRIBE(field, __VA_ARGS__), .width = sizeof(((struct homa_knobs *)NULL)->field[0]), \
                                  .count = HOMA_PRIORITIES

static const struct homa_knob_info knob_table[] = {
    {KNOB(unsched_bytes, "bytes", 1, LENGTH_MAX,
          "The first so many bytes of a message are sent at once, without waiting for grants.")},
    {KNOB(window, "bytes", 0, LENGTH_MAX,
          "How many bytes of one incoming message may be granted and not yet received; 0 means "
          "max_incoming shared among the active messages and one more.")},
    {KNOB(max_incoming, "bytes", 1, LENGTH_MAX,
          "How many bytes of all incoming messages may be granted and not yet received; what the "
          "receive buffer holds can lower it.")},
    {KNOB(max_overcommit, "messages", 1, HOMA_OVERCOMMIT_MAX,
          "How many incoming messages are granted bytes at a time, one per sender.")},
    {KNOB(num_priorities, "levels", 1, HOMA_PRIORITIES, "How many priority levels are used.")},
    {LIST(priority_map, "levels", 0, HOMA_PRIORITIES - 1,
          "For each priority level from 0 to 7, the value that packets carry in the network.")},
    {LIST(unsched_cutoffs, "bytes", 0, HOMA_CUTOFF_ALL,
          "For each priority level from 0 to 7, the longest message whose unscheduled bytes are "
          "to be sent at it; 0 leaves the level to granted bytes."),
     .is_cutoffs = true},
    {KNOB(grant_bytes, "bytes", 1, LENGTH_MAX,
          "So many bytes, or a quarter of the window if that is less, are always worth a GRANT "
          "packet; fewer wait for more.")},
    {KNOB(grant_fifo_fraction, "thousandths", 0, 1000,
          "The share of granted bytes that goes to the oldest incoming message, so that long ones "
          "do not starve.")},
    {KNOB(fifo_grant_increment, "bytes", 1, LENGTH_MAX,
          "How many bytes the oldest incoming message is granted when its turn comes.")},
    {KNOB(pacer_fifo_fraction, "thousandths", 0, 1000,
          "The share of paced output that goes to the oldest outgoing message, so that long ones "
          "do not starve.")},
    {KNOB(age_bytes_per_usec, "bytes/us", 0, 10000,
          "For each microsecond that an outgoing message waits it counts as so many bytes shorter, "
          "in the order of sending and in the level of its unscheduled bytes.")},
    {KNOB(link_mbps, "Mbit/s", 0, 10000000,
          "The speed of the link, to which output is paced; 0 means that it is measured.")},
    {KNOB(max_nic_est_backlog_usecs, "us", 0, 1000000,
          "How much output, in time on the link, may be queued below the sender.")},
    {KNOB(defer_min_bytes, "bytes", 0, LENGTH_MAX,
          "Messages shorter than this are sent at once, however much output is queued.")},
    {KNOB(poll_usecs, "us", 0, 1000000,
          "The longest time to spin before a waiting thread sleeps; auto spins only while an "
          "answer is expected soon and another CPU is free."),
     .is_auto_allowed = true},
    {KNOB(resend_ticks, "ms", 1, TICKS_MAX,
          "How long nothing may be heard of an RPC before missing bytes are asked for.")},
    {KNOB(ask_least_usecs, "us", 1, 1000000,
          "The least time for which a client waits for a sign of its request; it asks after four "
          "times the peer's usual response time, but not before this, nor after resend_ticks.")},
    {KNOB(gap_least_usecs, "us", 1, 1000000,
          "The least time between noticing a gap in a message and asking for what is missing.")},
    {KNOB(resend_interval, "ms", 1, TICKS_MAX,
          "How long to wait between asking for missing bytes again.")},
    {KNOB(timeout_ticks, "ms", 1, TICKS_MAX,
          "How long nothing may be heard of an RPC before it fails with ETIMEDOUT.")},
    {KNOB(request_ack_ticks, "ms", 1, TICKS_MAX,
          "How long a server waits after its response before it asks the client for an ack; later "
          "waits double up to 100 ms.")},
    {KNOB(wmem_max, "bytes", 1, UINT32_MAX,
          "How many bytes of outgoing messages a socket queues before sending blocks.")},
    {KNOB(max_gso_size, "bytes", 1, 65507,
          "The most bytes handed to the kernel at once, to be cut into packets there; a slow link "
          "lowers it.")},
    {KNOB(bpage_lease_usecs, "us", 0, UINT32_MAX,
          "Accepted because the kernel module has it; without effect here.")},
    {KNOB(tombstone_ms, "ms", 0, TICKS_MAX,
          "How long an ended server RPC is remembered, so that a late duplicate of its request is "
          "not executed again.")},
    {KNOB(flags, "bits", 0, UINT32_MAX, "A set of bits; 2 switches pacing off.")},
    {KNOB(next_id, "", 0, UINT64_MAX,
          "Seeds the random part of RPC ids, to make runs repeatable; 0 draws it at random.")},
    {KNOB(verbose, "", 0, 3,
          "From 1 on, what costs speed here is said on standard error, and how to mend it.")},
};

#define KNOBS (sizeof(knob_table) / sizeof(knob_table[0]))

void homa_knobs_default(struct homa_knobs *knobs)
{
    *knobs = (struct homa_knobs){
        .unsched_bytes = 40000,
        .window = 0,
        .max_incoming = 400000,
        .max_overcommit = 8,
        .num_priorities = 8,
        .priority_map = {0, 1, 2, 3, 4, 5, 6, 7},
        .unsched_cutoffs = {[4] = HOMA_CUTOFF_ALL, [5] = 15000, [6] = 2800, [7] = 200},
        .grant_bytes = 10000,
        .grant_fifo_fraction = 50,
        .fifo_grant_increment = 50000,
        .pacer_fifo_fraction = 50,
        .age_bytes_per_usec = 0,
        .link_mbps = 0,
        .max_nic_est_backlog_usecs = 5,
        .defer_min_bytes = 1000,
        .poll_usecs = HOMA_POLL_AUTO,
        .resend_ticks = 5,
        .ask_least_usecs = 500,
        .gap_least_usecs = 50,
        .resend_interval = 5,
        .timeout_ticks = 1000,
        .request_ack_ticks = 2,
        .wmem_max = 100000000,
        .max_gso_size = 65507,
        .bpage_lease_usecs = 10000,
        .tombstone_ms = 3000,
        .flags = 0,
        .next_id = 0,
        .verbose = 0,
    };
}

const struct homa_knob_info *homa_knob_table(size_t *count)
{
    *count = KNOBS;
    return knob_table;
}

const struct homa_knob_info *homa_knob_find(const char *name)
{
    for (size_t i = 0; i < KNOBS; i++) {
        if (strcmp(knob_table[i].name, name) == 0)
            return &knob_table[i];
    }
    return NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *at)
{
    while (is_blank(*at))
        at++;
    return at;
}

/* Whether a number or word may end before this character. */
static bool is_delimiter(char c)
{
    return c == '\0' || c == ',' || c == ':' || is_blank(c);
}

/* Reads digits up to a delimiter and moves *at there. 0, -EINVAL, or -ERANGE beyond 64 bits. */
static int read_number(const char **at, uint64_t *value)
{
    const char *digits = *at;
    bool is_too_large = false;

    *value = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');

        if (*value > (UINT64_MAX - digit) / 10)
            is_too_large = true;
        else
            *value = *value * 10 + digit;
    }
    if (*at == digits || !is_delimiter(**at))
        return -EINVAL;
    return is_too_large ? -ERANGE : 0;
}

/* If word stands at *at, moves *at behind it. */
static bool read_word(const char **at, const char *word)
{
    size_t length = strlen(word);

    if (strncmp(*at, word, length) != 0 || !is_delimiter((*at)[length]))
        return false;
    *at += length;
    return true;
}

/* Reads one value of the knob: a number within its range, or a word that stands for one. */
static int read_value(const struct homa_knob_info *info, const char **at, uint64_t *value)
{
    if (info->is_auto_allowed && read_word(at, "auto")) {
        *value = HOMA_POLL_AUTO;
        return 0;
    }
    if (info->is_cutoffs && read_word(at, "all")) {
        *value = HOMA_CUTOFF_ALL;
        return 0;
    }
    int result = read_number(at, value);
    if (result == 0 && (*value < info->lowest || *value > info->highest))
        result = -ERANGE;
    return result;
}

/* Moves *at over what separates two values: blanks, or a comma with blanks around it. */
static int read_separator(const char **at)
{
    const char *begin = *at;

    *at = skip_blanks(*at);
    if (**at == ',')
        *at = skip_blanks(*at + 1);
    return *at > begin ? 0 : -EINVAL;
}

/* Reads as many values as the knob has. */
static int read_list(const struct homa_knob_info *info, const char **at, uint64_t *values)
{
    int result = 0;

    for (size_t i = 0; i < info->count && result == 0; i++) {
        if (i > 0)
            result = read_separator(at);
        if (result == 0)
            result = read_value(info, at, &values[i]);
    }
    return result;
}

/* Reads "level: length" and stores it, unless that level has been named before. */
static int read_level(const struct homa_knob_info *info, const char **at, uint64_t *values,
                      unsigned *named)
{
    uint64_t level = 0;
    int result = read_number(at, &level);

    if (result != 0)
        return result;
    *at = skip_blanks(*at);
    if (**at != ':')
        return -EINVAL;
    *at = skip_blanks(*at + 1);
    if (level >= info->count)
        return -ERANGE;
    if ((*named & 1u << level) != 0)
        return -EINVAL;
    *named |= 1u << level;
    return read_value(info, at, &values[level]);
}

/* Reads "level: length" pairs up to the end of the text. */
static int read_levels(const struct homa_knob_info *info, const char **at, uint64_t *values)
{
    unsigned named = 0;
    int result = read_level(info, at, values, &named);

    while (result == 0 && *skip_blanks(*at) != '\0') {
        result = read_separator(at);
        if (result == 0)
            result = read_level(info, at, values, &named);
    }
    return result;
}

static void store(struct homa_knobs *knobs, const struct homa_knob_info *info,
                  const uint64_t *values)
{
    uint8_t *at = (uint8_t *)knobs + info->offset;

    for (size_t i = 0; i < info->count; i++, at += info->width) {
        if (info->width == sizeof(uint32_t)) {
            uint32_t value = (uint32_t)values[i];

            memcpy(at, &value, sizeof(value));
        } else {
            assert(info->width == sizeof(uint64_t));
            memcpy(at, &values[i], sizeof(values[i]));
        }
    }
}

int homa_knobs_set(struct homa_knobs *knobs, const char *name, const char *text)
{
    const struct homa_knob_info *info = homa_knob_find(name);
    uint64_t values[HOMA_PRIORITIES] = {0};
    int result;

    if (info == NULL)
        return -ENOENT;
    text = skip_blanks(text);
    if (info->is_cutoffs && strchr(text, ':') != NULL)
        result = read_levels(info, &text, values);
    else
        result = read_list(info, &text, values);
    if (result == 0 && *skip_blanks(text) != '\0')
        result = -EINVAL;
    if (result == 0)
        store(knobs, info, values);
    return result;
}

/* The shorter a message, the higher its level: cutoffs in use must fall as levels rise. */
static const char *cutoffs_fault(const uint32_t cutoffs[HOMA_PRIORITIES])
{
    uint32_t below = 0; /* cutoff of the next lower level in use */

    for (size_t level = 0; level < HOMA_PRIORITIES; level++) {
        if (cutoffs[level] == 0)
            continue;
        if (below == 0 && cutoffs[level] < LONGEST_MESSAGE)
            return "unsched_cutoffs must give the longest messages a level: the lowest level in "
                   "use must reach to 1000000 bytes or be \"all\"";
        if (below != 0 && cutoffs[level] >= below)
            return "unsched_cutoffs must fall as levels rise: a higher priority is for shorter "
                   "messages";
        below = cutoffs[level];
    }
    return below != 0 ? NULL : "unsched_cutoffs must give at least one level a length";
}

int homa_knobs_check(const struct homa_knobs *knobs, const char **why)
{
    const char *fault = cutoffs_fault(knobs->unsched_cutoffs);

    if (fault == NULL && knobs->window > knobs->max_incoming)
        fault = "window must not exceed max_incoming: one message cannot have more bytes granted "
                "than all together";
    if (fault == NULL && knobs->resend_ticks > knobs->timeout_ticks)
        fault = "resend_ticks must not exceed timeout_ticks: an RPC would fail before it asked for "
                "what is missing";
    if (fault == NULL)
        return 0;
    *why = fault;
    return -EINVAL;
}
