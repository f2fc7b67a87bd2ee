/* Lengths, and times between them (idle.h). */
#include "sim/idle.h"

#include <assert.h>
#include <inttypes.h>

void sim_idle_choose(struct sim_idle *idle, const struct sim_stream_options *options)
{
    const struct sim_workload *workload = options->workload;
    uint32_t count = sim_workload_lengths(workload);
    uint32_t length = sim_stream_length(options, sim_workload_length(workload, 0));
    uint32_t last = sim_stream_length(options, sim_workload_length(workload, count - 1));

    idle->count = 0;
    while (length < last && idle->count < SIM_IDLE_MAX - 1) {
        idle->lengths[idle->count++] = length;
        length += length / 2 + 8;
    }
    idle->lengths[idle->count++] = last;
}

uint64_t sim_idle_time(const struct sim_idle *idle, uint32_t length)
{
    uint32_t i = 1;

    assert(idle->count >= 1);
    if (idle->count == 1 || length <= idle->lengths[0])
        return idle->ns[0] + (idle->ns[0] == 0);
    while (i < idle->count - 1 && idle->lengths[i] < length)
        i++;
    int64_t span = (int64_t)idle->lengths[i] - idle->lengths[i - 1];
    int64_t rise = (int64_t)(idle->ns[i] - idle->ns[i - 1]);
    int64_t time = (int64_t)idle->ns[i - 1] +
                   (int64_t)((__int128)rise * ((int64_t)length - idle->lengths[i - 1]) / span);

    return time > 0 ? (uint64_t)time : 1;
}

void sim_idle_csv(FILE *file, const struct sim_idle *idle)
{
    fprintf(file, "length_bytes,idle_ns\n");
    for (uint32_t i = 0; i < idle->count; i++)
        fprintf(file, "%" PRIu32 ",%" PRIu64 "\n", idle->lengths[i], idle->ns[i]);
}
