/*
 * A scenario in words, for people who look at a failing seed; and what no scenario may be, for the
 * tests.
 */
#include "sim/scenario.h"

#include <stddef.h>
#include <inttypes.h>

static const char *const mix_names[SIM_MIXES] = {"tiny", "small", "edges", "mixed", "long"};
static const char *const pattern_names[SIM_CALLS] = {"any other host", "one host", "the next host",
                                                     "any host, itself too"};
static const char *const event_names[SIM_EVENT_KINDS] = {"crashes", "pauses", "closes socket",
                                                         "aborts all calls of socket"};

const char *sim_scenario_flaw(const struct sim_scenario *scenario)
{
    const char *why = NULL;

    if (scenario->host_count < 2 || scenario->host_count > SIM_SCENARIO_HOSTS)
        return "there are 2 to 32 hosts";
    for (uint32_t i = 0; i < scenario->host_count; i++) {
        const struct sim_host_options *host = &scenario->hosts[i];

        if (homa_knobs_check(&host->knobs, &why) != 0)
            return why;
        if (host->sockets < 1 || host->sockets > SIM_SOCKETS_MAX)
            return "a host has 1 to 4 sockets";
        if ((uint64_t)host->region_bpages * BPAGE_SIZE < host->max_message)
            return "the longest message fits into no region";
        if (host->knobs.tombstone_ms * SIM_MS <
            host->knobs.timeout_ticks * SIM_MS + scenario->faults.delay_limit)
            return "tombstones do not outlast packets";
    }
    for (uint32_t i = 0; i < scenario->event_count; i++) {
        const struct sim_event *event = &scenario->events[i];

        if (event->host >= scenario->host_count ||
            event->socket >= scenario->hosts[event->host].sockets)
            return "an event is about nobody";
        if (event->at + event->duration > scenario->faults_until)
            return "an event lasts longer than trouble does";
    }
    for (uint32_t i = 0; i < scenario->faults.rule_count; i++) {
        const struct sim_fault_rule *rule = &scenario->faults.rules[i];

        if (rule->kind != SIM_FAULT_REFUSE && rule->end > scenario->faults_until)
            return "a fault lasts longer than trouble does";
    }
    return NULL;
}

static double in_ms(sim_time time)
{
    return (double)time / (double)SIM_MS;
}

static double in_us(sim_time time)
{
    return (double)time / (double)SIM_US;
}

static void describe_network(const struct sim_scenario *scenario, FILE *stream)
{
    const struct sim_network_options *network = &scenario->network;

    fprintf(stream, "Seed %" PRIu64 ": %" PRIu32 " hosts", scenario->seed, scenario->host_count);
    if (network->topology == SIM_SINGLE)
        fprintf(stream, " on one switch");
    else
        fprintf(stream,
                " in racks of %" PRIu32 ", joined by %" PRIu32 " core switches at %" PRIu32
                " Mbit/s",
                network->hosts_per_rack, network->core_switches, network->core_mbps);
    fprintf(stream,
            "; links of %" PRIu32 " Mbit/s with %" PRIu32 " priorities; delays: %.3f us per "
            "switch, %.3f us per link, %.3f us on arrival; ",
            network->host_mbps, network->priorities, in_us(network->switch_delay),
            in_us(network->propagation), in_us(network->receive_delay));
    fprintf(stream, "buffers of %" PRIu64 " bytes per port.\n", network->buffer_bytes);
}

static void describe_host(const struct sim_host_options *host, FILE *stream)
{
    const struct sim_processor *processor = &host->processor;

    fprintf(stream,
            "Packets of %" PRIu32 " bytes, regions of %" PRIu32 " bpages, %" PRIu32
            " RPCs, %" PRIu32 " peers, %" PRIu32 " tombstones and %" PRIu32
            " scheduled messages at most; output in batches of %" PRIu32
            ", %.3f us ahead of the link, %s%s.\n",
            host->packet_bytes, host->region_bpages, host->max_rpcs, host->max_peers,
            host->max_tombstones, host->sched_messages, host->output_batch, in_us(host->card_queue),
            host->sees_backlog ? "backlog seen" : "backlog unknown",
            host->bundles ? ", bundled" : "");
    if (processor->packet_in == 0) {
        fprintf(stream, "Processors take no time.\n");
        return;
    }
    fprintf(stream,
            "Processors take %.3f us to wake, %.3f us per packet in, %.3f us out; batches of "
            "%" PRIu32 ", socket buffers of %" PRIu64 " bytes.\n",
            in_us(processor->wake), in_us(processor->packet_in), in_us(processor->packet_out),
            processor->receive_batch, processor->receive_buffer);
}

static void describe_list(const char *name, const uint32_t values[HOMA_PRIORITIES], FILE *stream)
{
    fprintf(stream, ", %s", name);
    for (unsigned i = 0; i < HOMA_PRIORITIES; i++)
        fprintf(stream, "%c%" PRIu32, i == 0 ? ' ' : ',', values[i]);
}

static void describe_knobs(const struct homa_knobs *knobs, FILE *stream)
{
    fprintf(stream,
            "unsched_bytes %" PRIu32 ", window %" PRIu32 ", max_incoming %" PRIu32
            ", max_overcommit %" PRIu32 ", grant_fifo_fraction %" PRIu32
            ", fifo_grant_increment %" PRIu32 ", pacer_fifo_fraction %" PRIu32
            ", link_mbps %" PRIu32 ", max_nic_est_backlog_usecs %" PRIu32
            ", defer_min_bytes %" PRIu32 ", flags %" PRIu32 ", num_priorities %" PRIu32,
            knobs->unsched_bytes, knobs->window, knobs->max_incoming, knobs->max_overcommit,
            knobs->grant_fifo_fraction, knobs->fifo_grant_increment, knobs->pacer_fifo_fraction,
            knobs->link_mbps, knobs->max_nic_est_backlog_usecs, knobs->defer_min_bytes,
            knobs->flags, knobs->num_priorities);
    describe_list("priority_map", knobs->priority_map, stream);
    describe_list("unsched_cutoffs", knobs->unsched_cutoffs, stream);
    fprintf(stream,
            ", resend_ticks %" PRIu32 ", resend_interval %" PRIu32 ", timeout_ticks %" PRIu32
            ", request_ack_ticks %" PRIu32 ", tombstone_ms %" PRIu32 ".\n",
            knobs->resend_ticks, knobs->resend_interval, knobs->timeout_ticks,
            knobs->request_ack_ticks, knobs->tombstone_ms);
}

static bool has_knobs_of_first(const struct sim_scenario *scenario, uint32_t host)
{
    const struct homa_knobs *first = &scenario->hosts[0].knobs;
    const struct homa_knobs *knobs = &scenario->hosts[host].knobs;

    return first->unsched_bytes == knobs->unsched_bytes && first->window == knobs->window &&
           first->max_incoming == knobs->max_incoming &&
           first->defer_min_bytes == knobs->defer_min_bytes &&
           first->pacer_fifo_fraction == knobs->pacer_fifo_fraction;
}

static void describe_sockets(const struct sim_scenario *scenario, FILE *stream)
{
    fprintf(stream, "Sockets (S: server too):");
    for (uint32_t i = 0; i < scenario->host_count; i++) {
        fprintf(stream, " %" PRIu32 ":", i);
        for (uint32_t j = 0; j < scenario->hosts[i].sockets; j++)
            fprintf(stream, "%c", scenario->hosts[i].is_server[j] ? 'S' : 'c');
    }
    fprintf(stream, ".\n");
}

static void describe_traffic(const struct sim_scenario *scenario, FILE *stream)
{
    const struct sim_traffic *traffic = &scenario->traffic;

    fprintf(stream,
            "Each socket calls %s up to %" PRIu32 " times within %.0f ms, %" PRIu32
            " at a time; requests %s, responses %s, up to %" PRIu32 " bytes, %" PRIu64
            " in all; think %.3f us, serve %.3f us, %" PRIu32
            " of 1000 times %.3f ms; take up to %.3f ms late, keep bpages up to %.3f ms; of 1000 "
            "calls %" PRIu32 " are private, %" PRIu32 " dropped by the server, %" PRIu32
            " aborted, %" PRIu32 " of these with an errno; %" PRIu32
            " messages of 1000 bit by bit.\n",
            pattern_names[traffic->pattern], traffic->calls, in_ms(scenario->start_over),
            traffic->concurrency, mix_names[traffic->requests], mix_names[traffic->responses],
            traffic->longest, traffic->bytes, in_us(traffic->think), in_us(traffic->service),
            traffic->long_service, in_ms(traffic->long_service_time), in_ms(traffic->lag),
            in_ms(traffic->hold), traffic->is_private, traffic->is_dropped, traffic->is_abandoned,
            traffic->is_told, traffic->is_piecewise);
}

static void describe_fate(const struct sim_scenario *scenario, FILE *stream)
{
    char text[256];

    if (scenario->faults.rule_count == 0)
        fprintf(stream, "The network does no harm.\n");
    for (uint32_t i = 0; i < scenario->faults.rule_count; i++) {
        sim_fault_rule_text(&scenario->faults.rules[i], text, sizeof(text));
        fprintf(stream, "Fault: %s.\n", text);
    }
    for (uint32_t i = 0; i < scenario->event_count; i++) {
        const struct sim_event *event = &scenario->events[i];

        fprintf(stream, "At %.3f ms host %" PRIu32 " %s", in_ms(event->at), event->host,
                event_names[event->kind]);
        if (event->kind == SIM_EVENT_CLOSE || event->kind == SIM_EVENT_ABORT)
            fprintf(stream, " %" PRIu32, event->socket);
        if (event->kind == SIM_EVENT_ABORT)
            fprintf(stream, " with error %d.\n", event->error);
        else
            fprintf(stream, " for %.3f ms.\n", in_ms(event->duration));
    }
    if (scenario->hostile != UINT32_MAX) {
        fprintf(stream,
                "Host %" PRIu32 " is hostile%s%s until %.0f ms, every %.3f us:", scenario->hostile,
                scenario->calls_hostile ? ", and called by others," : "",
                scenario->hostility.eavesdrops ? " and listens" : "",
                in_ms(scenario->hostility.end), in_us(scenario->hostility.interval));
        for (unsigned act = 0; act < SIM_HOSTILE_ACTS; act++)
            if ((scenario->hostility.acts & SIM_HOSTILE_BIT(act)) != 0)
                fprintf(stream, " %s", sim_hostile_act_name((enum sim_hostile_act)act));
        fprintf(stream, ".\n");
    }
    fprintf(stream, "All faults end by %.0f ms.\n", in_ms(scenario->faults_until));
}

void sim_scenario_describe(const struct sim_scenario *scenario, FILE *stream)
{
    describe_network(scenario, stream);
    describe_host(&scenario->hosts[0], stream);
    describe_sockets(scenario, stream);
    for (uint32_t i = 0; i < scenario->host_count; i++) {
        if (i > 0 && has_knobs_of_first(scenario, i))
            continue;
        fprintf(stream, "Knobs from host %" PRIu32 " on: ", i);
        describe_knobs(&scenario->hosts[i].knobs, stream);
    }
    describe_traffic(scenario, stream);
    describe_fate(scenario, stream);
}
