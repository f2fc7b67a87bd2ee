/*
 * Calls, from their client's first word to their end, and what must hold of them:
 *
 *  - a request reaches an application at most once in the life of a server's socket;
 *  - it reaches the socket that it was for, and nobody else; nothing is executed that nobody asked
 *    for;
 *  - a response belongs to its request: same id, cookie, peer, and what that server answered;
 *  - every byte of both is right when it is handed over, and stays so while the application keeps
 *    its place in the region;
 *  - a call ends once: with its response, with an errno that something explains, or as its
 *    application wanted.
 *
 * Two hosts between which undetected corruption has passed, or one of which is hostile, may deceive
 * each other about everything but this: calls end, and end once.
 */
#include "sim/judge.h"

#include "sim/judge_internal.h"

#include <stdarg.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- bytes ---- */

/* The eight bytes at 8 * index. */
static uint64_t word_at(uint64_t key, uint64_t index)
{
    uint64_t word = (key + index) * 0x9e3779b97f4a7c15u;

    return word ^ word >> 29;
}

static uint64_t key_of(uint64_t serial, bool is_response)
{
    return base_mix(2 * serial + is_response);
}

static uint8_t byte_at(uint64_t key, uint32_t offset)
{
    return (uint8_t)(word_at(key, offset / 8) >> offset % 8 * 8);
}

void sim_bytes_fill(uint64_t serial, bool is_response, uint8_t *bytes, uint32_t length)
{
    uint64_t key = key_of(serial, is_response);
    uint32_t at = 0;

    for (; length - at >= 8; at += 8) {
        uint64_t word = htole64(word_at(key, at / 8));

        memcpy(bytes + at, &word, sizeof(word));
    }
    for (; at < length; at++)
        bytes[at] = byte_at(key, at);
}

/* Every byte of a run passes here several times: whole words first. */
uint32_t sim_bytes_compare(uint64_t serial, bool is_response, uint32_t offset, const uint8_t *bytes,
                           uint32_t length)
{
    uint64_t key = key_of(serial, is_response);
    uint32_t at = 0;
    uint64_t word;

    for (; at < length && (offset + at) % 8 != 0; at++)
        if (bytes[at] != byte_at(key, offset + at))
            return at;
    for (; length - at >= 8; at += 8) {
        memcpy(&word, bytes + at, sizeof(word));
        if (word != htole64(word_at(key, (offset + at) / 8)))
            break;
    }
    while (at < length && bytes[at] == byte_at(key, offset + at))
        at++;
    return at;
}

/* ---- the verdict ---- */

struct sim_judge *sim_judge_open(const struct sim_scenario *scenario, struct sim_world *world,
                                 const struct sim_fault *fault)
{
    struct sim_judge *judge = sim_allocate(1, sizeof(*judge));

    judge->scenario = scenario;
    judge->world = world;
    judge->fault = fault;
    TAILQ_INIT(&judge->all);
    LIST_INIT(&judge->open);
    return judge;
}

void sim_judge_close(struct sim_judge *judge)
{
    while (!TAILQ_EMPTY(&judge->all)) {
        struct sim_call *call = TAILQ_FIRST(&judge->all);

        TAILQ_REMOVE(&judge->all, call, of_all);
        free(call);
    }
    free(judge->before.list);
    free(judge->after.list);
    free(judge);
}

const struct sim_verdict *sim_judge_verdict(const struct sim_judge *judge)
{
    return &judge->verdict;
}

__attribute__((format(printf, 4, 0))) static void
record(struct sim_judge *judge, uint32_t host, uint64_t rpc, const char *format, va_list arguments)
{
    struct sim_verdict *verdict = &judge->verdict;

    if (verdict->is_violated)
        return;
    verdict->is_violated = true;
    verdict->at = sim_world_now(judge->world);
    verdict->host = host;
    verdict->rpc = rpc;
    vsnprintf(verdict->sentence, sizeof(verdict->sentence), format, arguments);
}

void sim_judge_object(struct sim_judge *judge, uint32_t host, uint64_t rpc, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    record(judge, host, rpc, format, arguments);
    va_end(arguments);
}

void sim_judge_object_call(struct sim_judge *judge, const struct sim_call *call, const char *format,
                           ...)
{
    va_list arguments;

    va_start(arguments, format);
    record(judge, call->client, call->id, format, arguments);
    va_end(arguments);
}

bool sim_judge_is_tainted(const struct sim_judge *judge, uint32_t host, uint32_t other)
{
    if (host == judge->scenario->hostile || other == judge->scenario->hostile)
        return true;
    return judge->fault != NULL && (sim_fault_was_changed(judge->fault, host, other) ||
                                    sim_fault_was_changed(judge->fault, other, host));
}

static bool is_tainted(const struct sim_judge *judge, const struct sim_call *call)
{
    return sim_judge_is_tainted(judge, call->client, call->plan.host);
}

/* ---- calls ---- */

static struct sim_call **bucket_of(const struct sim_judge *judge, uint32_t client, uint64_t id)
{
    uint64_t hash = base_mix(id ^ base_mix(client));

    return (struct sim_call **)&judge->buckets[hash % SIM_BUCKETS];
}

struct sim_call *sim_judge_find(const struct sim_judge *judge, uint32_t client, uint64_t id)
{
    struct sim_call *call = *bucket_of(judge, client, id);

    while (call != NULL && (call->id != id || call->client != client))
        call = call->next;
    return call;
}

uint64_t sim_judge_open_calls(const struct sim_judge *judge)
{
    return judge->open_count;
}

struct sim_call *sim_judge_call_begin(struct sim_judge *judge, uint32_t host, uint32_t socket,
                                      uint32_t number, const struct sim_call_plan *plan)
{
    struct sim_call *call = sim_allocate(1, sizeof(*call));
    const struct sim_scenario *scenario = judge->scenario;

    call->serial = judge->next_serial++;
    call->client = host;
    call->client_socket = socket;
    call->number = number;
    call->plan = *plan;
    call->begun_at = sim_world_now(judge->world);
    call->heard_at = call->begun_at;
    call->alive_at = call->begun_at;
    call->limits[0] = scenario->hosts[host].knobs.unsched_bytes;
    call->limits[1] = scenario->hosts[plan->host].knobs.unsched_bytes;
    TAILQ_INSERT_TAIL(&judge->all, call, of_all);
    LIST_INSERT_HEAD(&judge->open, call, of_open);
    judge->open_count++;
    return call;
}

void sim_judge_call_started(struct sim_judge *judge, struct sim_call *call, uint64_t id)
{
    struct sim_call **bucket = bucket_of(judge, call->client, id);

    call->id = id;
    if ((id & 1) != 0 || id == 0)
        sim_judge_object_call(judge, call, "a request got an id that is not a client's");
    if (sim_judge_find(judge, call->client, id) != NULL)
        sim_judge_object_call(judge, call, "two requests of one host got the same id");
    call->next = *bucket;
    *bucket = call;
}

static void end(struct sim_judge *judge, struct sim_call *call, enum sim_ending ending, int error)
{
    if (call->ending != SIM_OPEN) {
        sim_judge_object_call(judge, call, "a call has ended twice");
        return;
    }
    call->ending = ending;
    call->error = error;
    call->ended_at = sim_world_now(judge->world);
    LIST_REMOVE(call, of_open);
    judge->open_count--;
}

void sim_judge_call_refused(struct sim_judge *judge, struct sim_call *call)
{
    end(judge, call, SIM_FORGOTTEN, 0);
    TAILQ_REMOVE(&judge->all, call, of_all);
    free(call);
}

void sim_judge_call_abort(struct sim_judge *judge, struct sim_call *call, int error)
{
    if (error == 0)
        end(judge, call, SIM_ABORTED, 0);
    else if (call->abort_error == 0)
        call->abort_error = error;
}

void sim_judge_socket_gone(struct sim_judge *judge, uint32_t host, uint32_t socket)
{
    struct sim_call *call = LIST_FIRST(&judge->open);

    while (call != NULL) {
        struct sim_call *next = LIST_NEXT(call, of_open);

        if (call->client == host && call->client_socket == socket)
            end(judge, call, SIM_FORGOTTEN, 0);
        call = next;
    }
    judge->sockets[host][socket].time_lost_ns = 0;
}

/* ---- messages handed over ---- */

/* Compares a message in the region with what it must be. Returns whether all is right. */
static bool is_right(const struct sim_call *call, bool is_response, const struct sim_socket *socket,
                     const uint32_t *offsets, uint32_t length, uint32_t *wrong)
{
    for (uint32_t at = 0; at < length; at += BPAGE_SIZE) {
        uint32_t piece = length - at < BPAGE_SIZE ? length - at : BPAGE_SIZE;
        uint32_t offset = offsets[at / BPAGE_SIZE];

        if (offset > socket->region.length || piece > socket->region.length - offset) {
            *wrong = at;
            return false;
        }
        uint32_t same =
            sim_bytes_compare(call->serial, is_response, at, socket->region.base + offset, piece);

        if (same < piece) {
            *wrong = at + same;
            return false;
        }
    }
    return true;
}

void sim_judge_still_right(struct sim_judge *judge, const struct sim_call *call, bool is_response,
                           const struct sim_socket *socket, const uint32_t *offsets,
                           uint32_t length)
{
    uint32_t wrong;

    if (is_tainted(judge, call) || is_right(call, is_response, socket, offsets, length, &wrong))
        return;
    sim_judge_object_call(judge, call,
                          "byte %" PRIu32 " of a %s of %" PRIu32
                          " bytes changed while the application had it",
                          wrong, is_response ? "response" : "request", length);
}

/* The pieces are as many as the length needs. */
static bool has_its_pieces(const struct homa_message *message)
{
    return message->length > 0 && message->num_bpages == bpage_count(message->length);
}

static void judge_message(struct sim_judge *judge, const struct sim_call *call, bool is_response,
                          const struct sim_socket *socket, const struct homa_message *message)
{
    const char *what = is_response ? "response" : "request";
    uint32_t length = is_response ? call->plan.response_length : call->plan.request_length;
    uint32_t wrong;

    if (message->length != length)
        sim_judge_object_call(judge, call, "a %s of %" PRIu32 " bytes came with %" PRIu32, what,
                              length, message->length);
    else if (!is_right(call, is_response, socket, message->bpage_offsets, length, &wrong))
        sim_judge_object_call(judge, call, "byte %" PRIu32 " of a %s of %" PRIu32 " bytes is wrong",
                              wrong, what, length);
}

/* ---- results ---- */

static void judge_response(struct sim_judge *judge, const struct sim_call *call,
                           const struct sim_socket *socket, const struct homa_message *message)
{
    if (call->executions == 0)
        sim_judge_object_call(judge, call, "a response came though no server had the request");
    if (!call->is_answered)
        sim_judge_object_call(judge, call, "a response came that no server had given");
    judge_message(judge, call, true, socket, message);
}

/* Whether nothing that happens in this scenario explains that a call fails. */
static bool must_succeed(const struct sim_judge *judge)
{
    const struct sim_scenario *scenario = judge->scenario;

    return scenario->faults.rule_count == 0 && scenario->event_count == 0 &&
           scenario->hostile == UINT32_MAX && scenario->traffic.is_dropped == 0 &&
           scenario->has_room && scenario->hosts[0].max_rpcs >= SIM_PLENTY_RPCS &&
           scenario->hosts[0].processor.packet_in == 0 && scenario->hosts[0].max_peers >= 512 &&
           scenario->hosts[0].knobs.timeout_ticks >= 1000;
}

/* Whether the network has told some sender something. */
static bool is_error_told(const struct sim_judge *judge)
{
    uint64_t told = 0;

    for (unsigned kind = 0; judge->fault != NULL && kind < SIM_FAULT_KINDS; kind++)
        told += sim_fault_counts(judge->fault)->told[kind];
    return told > 0;
}

static void judge_failure(struct sim_judge *judge, const struct sim_call *call, int error)
{
    sim_time timeout = judge->scenario->hosts[call->client].knobs.timeout_ticks * SIM_MS;
    sim_time silence = sim_world_now(judge->world) - call->heard_at;

    /* It may have been told more between its failure and now. */
    silence = silence > call->silence ? silence : call->silence;

    switch (error) {
    case ETIMEDOUT:
        if (silence + SIM_US < timeout) /* engines count whole nanoseconds */
            sim_judge_object_call(judge, call,
                                  "a call timed out after %" PRIu64 " us of silence instead of "
                                  "%" PRIu64,
                                  silence / SIM_US, timeout / SIM_US);
        break;
    case EHOSTUNREACH:
    case ENOTCONN:
    case EPROTONOSUPPORT:
        if (!is_error_told(judge))
            sim_judge_object_call(judge, call, "a call failed with errno %d, which nobody has told",
                                  error);
        break;
    default:
        sim_judge_object_call(judge, call, "a call failed with errno %d, which nothing explains",
                              error);
        break;
    }
    if (must_succeed(judge))
        sim_judge_object_call(judge, call, "a call failed with errno %d though nothing went wrong",
                              error);
}

void sim_judge_call_result(struct sim_judge *judge, struct sim_call *call,
                           const struct sim_socket *socket, const struct homa_message *message)
{
    const uint32_t host = sim_address_host(&message->peer);

    if (message->cookie != call->serial)
        sim_judge_object_call(judge, call, "a result has the cookie of another call");
    if (host != call->plan.host ||
        message->peer.port != judge->scenario->hosts[host].ports[call->plan.socket])
        sim_judge_object_call(judge, call, "a result names another server");
    if (message->error == 0 && !has_its_pieces(message))
        sim_judge_object_call(judge, call, "a response has not the pieces that its length needs");
    if (message->error == 0) {
        if (!is_tainted(judge, call))
            judge_response(judge, call, socket, message);
        end(judge, call, SIM_ANSWERED, 0);
    } else if (call->abort_error != 0 && message->error == call->abort_error) {
        end(judge, call, SIM_ABORTED, message->error);
    } else {
        if (!is_tainted(judge, call))
            judge_failure(judge, call, message->error);
        end(judge, call, SIM_FAILED, message->error);
    }
}

/* Whether the engine may have forgotten that it executed a request: its table was too small. */
static bool may_execute_again(const struct sim_socket *socket)
{
    return homa_engine_counters(socket->engine)->tombstone_overflows > 0;
}

static void judge_execution(struct sim_judge *judge, struct sim_call *call,
                            const struct sim_socket *socket, const struct homa_message *message)
{
    uint32_t host = sim_host_number(socket->host);

    if (host != call->plan.host || socket->number != call->plan.socket)
        sim_judge_object_call(judge, call,
                              "a request came to socket %" PRIu32 " of host %" PRIu32
                              " instead of %" PRIu32 " of %" PRIu32,
                              socket->number, host, call->plan.socket, call->plan.host);
    if (call->served_generation == socket->generation && !may_execute_again(socket))
        sim_judge_object_call(judge, call, "a request reached the application twice");
    judge_message(judge, call, false, socket, message);
}

struct sim_call *sim_judge_request(struct sim_judge *judge, const struct sim_socket *socket,
                                   const struct homa_message *message)
{
    uint32_t server = sim_host_number(socket->host);
    uint32_t client = sim_address_host(&message->peer);
    struct sim_call *call = sim_judge_find(judge, client, message->id & ~UINT64_C(1));

    if ((message->id & 1) == 0 || message->error != 0 || !has_its_pieces(message))
        sim_judge_object(judge, server, message->id, "what a server was handed is no request");
    if (sim_judge_is_tainted(judge, client, server)) {
        if (call != NULL && (call->plan.host != server || call->plan.socket != socket->number))
            call = NULL;
    } else if (call == NULL) {
        sim_judge_object(judge, server, message->id, "a request came that nobody had sent");
    } else {
        judge_execution(judge, call, socket, message);
    }
    if (call == NULL)
        return NULL;
    call->executions++;
    call->served_generation = socket->generation;
    return call;
}

void sim_judge_reply(struct sim_judge *judge, struct sim_call *call)
{
    (void)judge;
    call->is_answered = true;
}
