/* Arrivals at random, by whole numbers only. Called by the veth scenario and by the load generator
 * that is compared with it. */
#include "sim/stream.h"

#include "homa/packet.h"
#include "sim/exponential.h"

#include <assert.h>

#define PS_PER_BYTE_MBIT UINT64_C(8000000)

uint32_t sim_stream_length(const struct sim_stream_options *options, uint32_t length)
{
    if (length < options->length_min)
        return options->length_min;
    return length > options->length_max ? options->length_max : length;
}

uint64_t sim_stream_wire_bytes(const struct sim_stream_options *options, uint32_t length)
{
    uint32_t payload = options->packet_bytes - HOMA_DATA_HEADER_LENGTH;
    uint64_t packets = (length + payload - 1) / payload;

    return length + packets * (HOMA_DATA_HEADER_LENGTH + options->wire_overhead);
}

uint64_t sim_stream_mean_gap(const struct sim_stream_options *options)
{
    const struct sim_workload *workload = options->workload;
    unsigned __int128 wire = 0;

    for (uint32_t i = 0; i < sim_workload_lengths(workload); i++) {
        uint32_t length = sim_stream_length(options, sim_workload_length(workload, i));

        wire += (unsigned __int128)sim_stream_wire_bytes(options, length) *
                sim_workload_weight(workload, i);
    }
    uint64_t milli_bytes = (uint64_t)(wire * 1000 / sim_workload_total(workload));

    return (uint64_t)((unsigned __int128)milli_bytes * (PS_PER_BYTE_MBIT / options->rate_mbps) /
                      options->load_permille);
}

void sim_stream_begin(struct sim_stream *stream, const struct sim_stream_options *options)
{
    assert(options->sockets >= 1 && options->load_permille >= 1 && options->rate_mbps >= 1);
    *stream = (struct sim_stream){
        .options = *options,
        .random = base_random_seed(base_mix(options->seed)),
        .mean_gap_ps = sim_stream_mean_gap(options),
    };
}

struct sim_arrival sim_stream_next(struct sim_stream *stream)
{
    struct sim_arrival arrival;

    stream->at += sim_exponential(&stream->random, stream->mean_gap_ps);
    arrival.at = stream->at;
    arrival.length = sim_stream_length(
        &stream->options, sim_workload_sample(stream->options.workload, &stream->random));
    arrival.socket = (uint32_t)base_random_below(&stream->random, stream->options.sockets);
    return arrival;
}
