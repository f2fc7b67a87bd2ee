/*
 * The data files that the build embeds (sim/CMakeLists.txt), by name. Called by workload.c and
 * published.c; nothing here looks at the file system.
 */
#include "sim/data.h"

#include <stddef.h>
#include <string.h>

extern const char sim_data_w1[];
extern const char sim_data_w2[];
extern const char sim_data_w3[];
extern const char sim_data_w4[];
extern const char sim_data_w5[];
extern const char sim_data_slowdown_load80[];
extern const char sim_data_half_load80[];

static const struct {
    const char *name;
    const char *text;
} files[] = {
    {"w1", sim_data_w1},
    {"w2", sim_data_w2},
    {"w3", sim_data_w3},
    {"w4", sim_data_w4},
    {"w5", sim_data_w5},
    {"slowdown-load80", sim_data_slowdown_load80},
    {"half-load80", sim_data_half_load80},
};

const char *sim_data(const char *name)
{
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strcmp(files[i].name, name) == 0)
            return files[i].text;
    }
    return NULL;
}
