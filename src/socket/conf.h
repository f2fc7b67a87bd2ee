/*
 * Where the values of knobs come from: a file, then the environment, then the option of one socket,
 * each overriding the one before. missive.conf(5) is the user's side of this; homa/knobs.h has the
 * table of names, ranges and defaults. Called when a socket is made and when its option is set or
 * asked for, never for a packet.
 *
 * All functions return 0 or a negative errno. On failure `why` holds one sentence that names the
 * place (file and line, variable, option), says what is wrong there and what would be right; it is
 * cut to why_size, and never longer than CONF_REASON_MAX bytes.
 *
 * Thread rule: any thread; they read the environment, so not while another thread changes it.
 */
#ifndef SOCKET_CONF_H
#define SOCKET_CONF_H

#include "homa/knobs.h"
#include "wire/chaos.h"

#include <stddef.h>
#include <stdbool.h>

/* The longest reason, without its final zero: as much as HOMAIOCINFO's error_msg holds. */
#define CONF_REASON_MAX 99

/* Enough for any knob's value as text. */
#define CONF_VALUE_MAX 128

/* The file that is read when MISSIVE_CONF names no other. It need not exist. */
#define CONF_FILE "/etc/missive.conf"

/*
 * Fills knobs: the defaults, then the file's lines, then the environment's MISSIVE_ variables, then
 * a check of the whole. -EINVAL on any error; -ENOMEM, -EMFILE, -ENFILE; then knobs holds nothing
 * of use. A MISSIVE_ variable that is neither a knob nor reserved is an error, and so is a carrier
 * (MISSIVE_WIRE) that this library does not have.
 */
int conf_load(struct homa_knobs *knobs, char *why, size_t why_size);

/* As conf_load, from the sources given instead of this process's own. For tests. */
int conf_load_from(struct homa_knobs *knobs, const char *file, bool must_exist,
                   char *const *environment, char *why, size_t why_size);

/* Sets one knob from "name=value". -EINVAL, and then nothing has changed. */
int conf_set(struct homa_knobs *knobs, const char *assignment, char *why, size_t why_size);

/*
 * Writes a knob's value as text that conf_set accepts. -ENOENT (no such knob), -ENOSPC (size is too
 * small; CONF_VALUE_MAX always suffices).
 */
int conf_get(const struct homa_knobs *knobs, const char *name, char *text, size_t size);

/* Reads MISSIVE_CHAOS. *enabled tells whether it is set; if so, options are filled. -EINVAL. */
int conf_chaos(struct wire_chaos_options *options, bool *enabled, char *why, size_t why_size);

#endif
