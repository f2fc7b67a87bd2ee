/* Options that several commands of `missive sim` take (sim_options.h). */
#include "cli/sim_options.h"

#include "cli/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sim_settings_add(struct sim_settings *settings, struct argp_state *state, const char *text)
{
    if (settings->count == SIM_SETTINGS_MAX)
        argp_error(state, "at most %d knobs can be set", SIM_SETTINGS_MAX);
    settings->texts[settings->count++] = text;
}

static int apply(const char *text, const char *command, struct homa_knobs *knobs)
{
    const char *value = strchr(text, '=');
    char name[64];
    int result;

    if (value == NULL || (size_t)(value - text) >= sizeof(name)) {
        command_error(command, "--set takes KNOB=VALUE, as in --set window=20000, not '%s'", text);
        return -EINVAL;
    }
    memcpy(name, text, (size_t)(value - text));
    name[value - text] = '\0';
    result = homa_knobs_set(knobs, name, value + 1);
    if (result == -ENOENT)
        command_error(command, "there is no knob '%s'", name);
    else if (result != 0)
        command_error(command, "'%s' is not a value of %s", value + 1, name);
    return result;
}

int sim_settings_apply(const struct sim_settings *settings, const char *command,
                       struct homa_knobs *knobs)
{
    const char *why = NULL;
    int result = 0;

    for (unsigned i = 0; i < settings->count && result == 0; i++)
        result = apply(settings->texts[i], command, knobs);
    if (result == 0 && homa_knobs_check(knobs, &why) != 0) {
        command_error(command, "%s", why);
        result = -EINVAL;
    }
    return result;
}

uint64_t sim_option_share(struct argp_state *state, const char *option, const char *text,
                          uint64_t one, uint64_t least, uint64_t most)
{
    char *end;
    double value = strtod(text, &end) * (double)one;

    if (end == text || *end != '\0' || !(value >= (double)least && value <= (double)most))
        argp_error(state, "%s takes a share, as in 0.8, up to %.6g, not '%s'", option,
                   (double)most / (double)one, text);
    return (uint64_t)(value + 0.5);
}
