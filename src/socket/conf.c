/*
 * Reads knobs from the configuration file, the environment and a socket's option, and MISSIVE_CHAOS
 * and MISSIVE_WIRE beside them. The socket calls use it when a socket is made and when its option
 * is set or asked for. Nothing is kept between calls, so a changed file counts for the next socket.
 *
 * Anything not understood is an error, never skipped: a misspelt knob that silently does nothing
 * costs its user a day. An empty variable counts as not set, as "VARIABLE= command" means it.
 *
 * A program that runs with its file owner's rights (set-user-ID and the like) does not let its
 * caller choose the file: its lines would show up in error messages.
 */
#include "socket/conf.h"

#include "socket/conf_reason.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define PREFIX       "MISSIVE_"
#define PREFIX_BYTES (sizeof(PREFIX) - 1)

/* Longest file. */
#define FILE_BYTES 65536

/* Longest assignment of the socket option, and longest name of a variable; both with their end. */
#define LINE_BYTES     1024
#define VARIABLE_BYTES 64

/* Bytes of somebody else's text that a sentence repeats. */
#define QUOTED_BYTES   24
#define VARIABLE_SHOWN 40

/* Variables that begin as knobs do and mean something else. */
static const char *const reserved_variables[] = {
    "MISSIVE_HOMA", "MISSIVE_KCM",  "MISSIVE_DEVMEM", "MISSIVE_KCM_COMPAT",
    "MISSIVE_WIRE", "MISSIVE_CONF", "MISSIVE_CHAOS",
};

/* The value of a variable, or NULL when it is not set or empty. */
static const char *variable(char *const *environment, const char *name)
{
    size_t length = strlen(name);

    for (; environment != NULL && *environment != NULL; environment++) {
        const char *entry = *environment;

        if (strncmp(entry, name, length) == 0 && entry[length] == '=')
            return entry[length + 1] != '\0' ? entry + length + 1 : NULL;
    }
    return NULL;
}

/* Cuts blanks off both ends, in place. */
static char *trim(char *text)
{
    char *end = text + strlen(text);

    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

/* ---- the file ---- */

/* One "name = value". The place is already in `reason`; line is used up. */
static int read_assignment(struct homa_knobs *knobs, char *line, struct conf_reason *reason)
{
    char *sign = strchr(line, '=');

    if (sign == NULL) {
        conf_reason_add(reason, "expected name = value, not ");
        conf_reason_quote(reason, trim(line), QUOTED_BYTES);
        return -EINVAL;
    }
    *sign = '\0';
    const char *name = trim(line);
    const char *value = trim(sign + 1);
    const struct homa_knob_info *info = homa_knob_find(name);

    if (info == NULL) {
        conf_reason_add(reason, "no knob ");
        conf_reason_quote(reason, name, QUOTED_BYTES);
        info = conf_reason_nearest(name);
        if (info != NULL)
            conf_reason_add(reason, "; did you mean %s?", info->name);
        else
            conf_reason_add(reason, "; missive.conf(5) lists all");
        return -EINVAL;
    }
    if (homa_knobs_set(knobs, name, value) == 0)
        return 0;
    conf_reason_add(reason, "%s ", name);
    if (strpbrk(value, "#;") != NULL)
        conf_reason_add(reason, "has a comment behind it, which needs a line of its own");
    else
        conf_reason_value(reason, info, value);
    return -EINVAL;
}

/* All lines of a file's text, which ends in a zero byte at text[length]. */
static int read_lines(struct homa_knobs *knobs, const char *file, char *text, size_t length,
                      char *why, size_t why_size)
{
    char *end = text + length;

    for (unsigned number = 1; text < end; number++) {
        char *line = text;
        char *newline = memchr(line, '\n', (size_t)(end - line));
        struct conf_reason reason = conf_reason_begin(why, why_size);

        text = newline != NULL ? newline + 1 : end;
        if (newline != NULL)
            *newline = '\0';
        conf_reason_path(&reason, file);
        conf_reason_add(&reason, ":%u: ", number);
        if (strlen(line) != (size_t)((newline != NULL ? newline : end) - line)) {
            conf_reason_add(&reason, "there is a zero byte; this must be a text file");
            return -EINVAL;
        }
        line = trim(line);
        if (line[0] == '\0' || line[0] == '#' || line[0] == ';')
            continue;
        if (read_assignment(knobs, line, &reason) != 0)
            return -EINVAL;
    }
    return 0;
}

/*
 * Reads up to FILE_BYTES of the file into text, with a zero byte behind them. Returns 0, -EFBIG for
 * a longer file, or what went wrong.
 */
static int slurp(const char *file, char *text, size_t *length)
{
    int descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int result = 0;
    ssize_t count = 0;

    *length = 0;
    if (descriptor < 0)
        return -errno;
    do {
        count = read(descriptor, text + *length, FILE_BYTES + 1 - *length);
        if (count > 0)
            *length += (size_t)count;
        else if (count < 0 && errno != EINTR)
            result = -errno;
    } while (result == 0 && count != 0 && *length <= FILE_BYTES);
    (void)close(descriptor);
    if (result == 0 && *length > FILE_BYTES)
        result = -EFBIG;
    text[result == 0 ? *length : 0] = '\0';
    return result;
}

/* The whole file, which may be absent unless must_exist. */
static int read_file(struct homa_knobs *knobs, const char *file, bool must_exist, char *why,
                     size_t why_size)
{
    char *text = malloc(FILE_BYTES + 1);
    size_t length = 0;
    int result = -ENOMEM;

    if (text != NULL)
        result = slurp(file, text, &length);
    if (result == 0) {
        result = read_lines(knobs, file, text, length, why, why_size);
    } else if (result == -ENOENT && !must_exist) {
        result = 0;
    } else {
        struct conf_reason reason = conf_reason_begin(why, why_size);

        conf_reason_add(&reason, must_exist ? "MISSIVE_CONF: " : "");
        conf_reason_path(&reason, file);
        conf_reason_add(&reason, " cannot be read: %s", strerror(-result));
        /* What the process is short of is no fault of the file's. */
        if (result != -ENOMEM && result != -EMFILE && result != -ENFILE)
            result = -EINVAL;
    }
    free(text);
    return result;
}

/* ---- the environment ---- */

/* Whether the variable called by the first `length` bytes of entry means something else. */
static bool is_reserved(const char *entry, size_t length)
{
    for (size_t i = 0; i < sizeof(reserved_variables) / sizeof(reserved_variables[0]); i++) {
        if (strlen(reserved_variables[i]) == length &&
            strncmp(entry, reserved_variables[i], length) == 0)
            return true;
    }
    return false;
}

/* Adds "MISSIVE_" and the knob's name in capitals. */
static void add_variable(struct conf_reason *reason, const char *knob)
{
    conf_reason_add(reason, PREFIX);
    for (; *knob != '\0'; knob++)
        conf_reason_add(reason, "%c", toupper((unsigned char)*knob));
}

/* The knob that the variable is called after, or NULL; *name gets what it would be called. */
static const struct homa_knob_info *knob_of_variable(const char *entry, size_t length, char *name,
                                                     size_t size)
{
    size_t count = length - PREFIX_BYTES;
    bool is_capitals = true;

    if (count >= size)
        count = size - 1;
    for (size_t i = 0; i < count; i++) {
        char letter = entry[PREFIX_BYTES + i];

        is_capitals = is_capitals && !islower((unsigned char)letter);
        name[i] = (char)tolower((unsigned char)letter);
    }
    name[count] = '\0';
    return is_capitals && count == length - PREFIX_BYTES ? homa_knob_find(name) : NULL;
}

/* One MISSIVE_ variable, "NAME=value"; `length` bytes of it are the name. */
static int read_variable(struct homa_knobs *knobs, const char *entry, size_t length, char *why,
                         size_t why_size)
{
    struct conf_reason reason = conf_reason_begin(why, why_size);
    const char *value = entry + length + 1;
    char name[VARIABLE_BYTES];
    const struct homa_knob_info *info = knob_of_variable(entry, length, name, sizeof(name));

    if (info != NULL) {
        if (homa_knobs_set(knobs, info->name, value) == 0)
            return 0;
        add_variable(&reason, info->name);
        conf_reason_add(&reason, " ");
        conf_reason_value(&reason, info, value);
        return -EINVAL;
    }
    char shown[VARIABLE_BYTES];

    (void)snprintf(shown, sizeof(shown), "%.*s", (int)length, entry);
    conf_reason_quote(&reason, shown, VARIABLE_SHOWN);
    conf_reason_add(&reason, " is no knob; ");
    info = conf_reason_nearest(name);
    if (info != NULL) {
        conf_reason_add(&reason, "did you mean ");
        add_variable(&reason, info->name);
        conf_reason_add(&reason, "?");
    } else {
        conf_reason_add(&reason, "missive.conf(5) lists all");
    }
    return -EINVAL;
}

/* All MISSIVE_ variables that are set. */
static int read_environment(struct homa_knobs *knobs, char *const *environment, char *why,
                            size_t why_size)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *entry = *environment;
        size_t length = strcspn(entry, "=");
        bool is_set = entry[length] == '=' && entry[length + 1] != '\0';

        if (strncmp(entry, PREFIX, PREFIX_BYTES) != 0 || !is_set || is_reserved(entry, length))
            continue;
        if (read_variable(knobs, entry, length, why, why_size) != 0)
            return -EINVAL;
    }
    return 0;
}

/* The carrier asked for must be one that is built in. */
static int check_wire(char *const *environment, char *why, size_t why_size)
{
    const char *carrier = variable(environment, "MISSIVE_WIRE");

    if (carrier == NULL || strcmp(carrier, "udp") == 0)
        return 0;

    struct conf_reason reason = conf_reason_begin(why, why_size);
    conf_reason_add(&reason, "MISSIVE_WIRE must be udp, the only carrier of this library, not ");
    conf_reason_quote(&reason, carrier, QUOTED_BYTES);
    return -EINVAL;
}

/* What no single knob shows. A reason too long loses its explanation, which follows a colon. */
static int check_whole(const struct homa_knobs *knobs, char *why, size_t why_size)
{
    const char *fault = NULL;

    if (homa_knobs_check(knobs, &fault) == 0)
        return 0;

    struct conf_reason reason = conf_reason_begin(why, why_size);
    size_t length = strlen(fault);
    if (length > CONF_REASON_MAX)
        length = strcspn(fault, ":");
    conf_reason_add(&reason, "%.*s", (int)length, fault);
    return -EINVAL;
}

/* ---- what the socket layer calls ---- */

int conf_load_from(struct homa_knobs *knobs, const char *file, bool must_exist,
                   char *const *environment, char *why, size_t why_size)
{
    int result;

    homa_knobs_default(knobs);
    result = read_file(knobs, file, must_exist, why, why_size);
    if (result == 0)
        result = read_environment(knobs, environment, why, why_size);
    if (result == 0)
        result = check_wire(environment, why, why_size);
    if (result == 0)
        result = check_whole(knobs, why, why_size);
    return result;
}

int conf_load(struct homa_knobs *knobs, char *why, size_t why_size)
{
    bool is_secure = getauxval(AT_SECURE) != 0;
    const char *file = is_secure ? NULL : variable(environ, "MISSIVE_CONF");

    return conf_load_from(knobs, file != NULL ? file : CONF_FILE, file != NULL, environ, why,
                          why_size);
}

int conf_set(struct homa_knobs *knobs, const char *assignment, char *why, size_t why_size)
{
    struct conf_reason reason = conf_reason_begin(why, why_size);
    struct homa_knobs changed = *knobs;
    char line[LINE_BYTES];
    size_t length = strnlen(assignment, sizeof(line));
    int result;

    if (length == sizeof(line)) {
        conf_reason_add(&reason, "a knob's assignment has at most %d bytes", LINE_BYTES - 1);
        return -EINVAL;
    }
    memcpy(line, assignment, length + 1);
    result = read_assignment(&changed, line, &reason);
    if (result == 0)
        result = check_whole(&changed, why, why_size);
    if (result == 0)
        *knobs = changed;
    return result;
}

/* One value of a knob, in the form in which it can be read again. */
static int print_value(const struct homa_knob_info *info, uint64_t value, char *text, size_t size)
{
    if (info->is_auto_allowed && value == HOMA_POLL_AUTO)
        return snprintf(text, size, "auto");
    if (info->is_cutoffs && value == HOMA_CUTOFF_ALL)
        return snprintf(text, size, "all");
    return snprintf(text, size, "%" PRIu64, value);
}

int conf_get(const struct homa_knobs *knobs, const char *name, char *text, size_t size)
{
    const struct homa_knob_info *info = homa_knob_find(name);
    size_t length = 0;

    if (info == NULL)
        return -ENOENT;
    for (size_t i = 0; i < info->count; i++) {
        const uint8_t *at = (const uint8_t *)knobs + info->offset + i * info->width;
        uint64_t value = 0;
        uint32_t narrow = 0;

        if (info->width == sizeof(narrow)) {
            memcpy(&narrow, at, sizeof(narrow));
            value = narrow;
        } else {
            memcpy(&value, at, sizeof(value));
        }
        if (i > 0 && length < size)
            text[length++] = ',';
        length += (size_t)print_value(info, value, text + length, size - length);
        if (length >= size)
            return -ENOSPC;
    }
    return 0;
}

int conf_chaos(struct wire_chaos_options *options, bool *enabled, char *why, size_t why_size)
{
    const char *text = variable(environ, "MISSIVE_CHAOS");
    const char *bad = NULL;

    *enabled = text != NULL;
    if (text == NULL || wire_chaos_parse(text, options, &bad) == 0)
        return 0;

    struct conf_reason reason = conf_reason_begin(why, why_size);
    conf_reason_add(&reason,
                    "MISSIVE_CHAOS takes seed, drop, dup, reorder, corrupt, delay_us, not ");
    conf_reason_quote(&reason, bad, QUOTED_BYTES);
    return -EINVAL;
}
