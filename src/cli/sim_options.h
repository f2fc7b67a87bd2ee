/*
 * Options that several commands of `missive sim` take: shares, and knobs by name.
 */
#ifndef CLI_SIM_OPTIONS_H
#define CLI_SIM_OPTIONS_H

#include "sim/world.h"

#include <stdint.h>
#include <argp.h>

#define SIM_SETTINGS_MAX 64

/* What --set was given, in order; the texts are the command line's. */
struct sim_settings {
    const char *texts[SIM_SETTINGS_MAX];
    unsigned count;
};

/* Notes one "KNOB=VALUE", to be applied when the knobs are known. Too many are a usage error. */
void sim_settings_add(struct sim_settings *settings, struct argp_state *state, const char *text);

/* Applies all of them and checks the result. Returns 0, or a negative errno after it has said, in
 * the name of this command, what was wrong. */
int sim_settings_apply(const struct sim_settings *settings, const char *command,
                       struct homa_knobs *knobs);

/* A decimal share, as in 0.8, of `one`: least .. most, or it is a usage error. */
uint64_t sim_option_share(struct argp_state *state, const char *option, const char *text,
                          uint64_t one, uint64_t least, uint64_t most);

#endif
