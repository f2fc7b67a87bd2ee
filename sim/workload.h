/*
 * How long messages are: a distribution, one of the published W1 to W5 or a user's own. Everything
 * is computed from whole numbers, so that a run draws the same messages on every machine.
 *
 * A workload is a table: lengths in rising order, each with its frequency relative to the others.
 * Shares of messages or bytes are in parts per million (ppm).
 */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "base/random.h"

#include <stddef.h>
#include <stdint.h>

#define SIM_WHY_MAX    200u
#define SIM_PPM        1000000u
#define SIM_LENGTH_MAX 1000000000u
#define SIM_CUTOFFS    8u /* levels, as in struct homa_knobs */

struct sim_workload;

/* A published workload: "w1" .. "w5" (or "W1" ..). Returns 0, -ENOENT or -ENOMEM. */
int sim_workload_named(const char *name, struct sim_workload **workload);

/*
 * Reads a table: lines of a length in bytes (1 .. SIM_LENGTH_MAX, rising) and a frequency (a
 * decimal number above 0, such as 0.25 or 2.5e-01); lines that begin with '#' are comments. Returns
 * 0, -ENOMEM, or -EINVAL with a sentence in `why` that names the line.
 */
int sim_workload_read(const char *name, const char *text, struct sim_workload **workload,
                      char why[SIM_WHY_MAX]);

/*
 * A published workload by its name, or else the table in the file of that name. Returns 0, or a
 * negative errno with a sentence in `why`.
 */
int sim_workload_open(const char *name_or_path, struct sim_workload **workload,
                      char why[SIM_WHY_MAX]);
/* NULL is allowed. */
void sim_workload_close(struct sim_workload *workload);

/* As given; a published one's is in small letters. */
const char *sim_workload_name(const struct sim_workload *workload);

/* How many lengths there are; each of them, and its weight, of sim_workload_total. */
uint32_t sim_workload_lengths(const struct sim_workload *workload);
uint32_t sim_workload_length(const struct sim_workload *workload, uint32_t index);
uint64_t sim_workload_weight(const struct sim_workload *workload, uint32_t index);
uint64_t sim_workload_total(const struct sim_workload *workload); /* at most 2^62 */

/* The length that the cumulative weight `draw` (below sim_workload_total) falls on. */
uint32_t sim_workload_at(const struct sim_workload *workload, uint64_t draw);

/* The length of the next message. Takes one draw. */
uint32_t sim_workload_sample(const struct sim_workload *workload, struct base_random *random);

/* The mean length in thousandths of a byte, rounded down. */
uint64_t sim_workload_mean_milli(const struct sim_workload *workload);

/* Which share of the messages is at most that long; to the nearest ppm. */
uint32_t sim_workload_share(const struct sim_workload *workload, uint32_t length);

/* The shortest length such that at least this share of the messages, or of their bytes, is of
 * messages at most that long. share_ppm <= SIM_PPM. */
uint32_t sim_workload_quantile(const struct sim_workload *workload, uint32_t share_ppm);
uint32_t sim_workload_byte_quantile(const struct sim_workload *workload, uint32_t share_ppm);

/* The longest length such that at most this share of the messages is at most that long; 0 when
 * there is none. */
uint32_t sim_workload_quantile_below(const struct sim_workload *workload, uint32_t share_ppm);
/* The length for which the share of messages at most that long is nearest to this one. */
uint32_t sim_workload_quantile_near(const struct sim_workload *workload, uint32_t share_ppm);

/*
 * Cutoffs for homa_knobs.unsched_cutoffs: each of the highest `levels` (1 .. SIM_CUTOFFS) carries
 * about the same share of what unscheduled packets occupy on the wire, where unsched_bytes of a
 * message are sent so, a full packet holds packet_payload (above 0) of them, and each packet
 * occupies packet_overhead beyond them. The lowest of these levels takes every length. A length
 * that alone exceeds its level's share leaves the rest to be shared among the other levels; with
 * fewer lengths than levels, the lower levels stay free.
 */
void sim_workload_cutoffs(const struct sim_workload *workload, uint32_t levels,
                          uint32_t unsched_bytes, uint32_t packet_payload, uint32_t packet_overhead,
                          uint32_t cutoffs[SIM_CUTOFFS]);

#endif
