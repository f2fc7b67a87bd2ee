/*
 * The programs on a disaster's hosts: each socket has one that starts calls as a client and, if the
 * socket is a server, takes, holds and answers requests. What they do follows from the scenario;
 * what comes of it they tell the judge. They do things late (tasks) and keep bpages for a while,
 * and they vanish with their sockets.
 *
 * A program runs only while its host does: a task that is due in a pause waits for its end.
 */
#include "sim/disaster_internal.h"
#include "sim/draw.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_AFTER      SIM_MS /* when a call could not be started */
#define ASPECT_PROGRAMS  200
#define GROW_BYTES       20000u
#define GROW_EVERY       (5 * SIM_US)
#define STRANGERS_LENGTH 100u /* of an answer to somebody whom we do not know */

static sim_time now(const struct sim_disaster *disaster)
{
    return sim_world_now(disaster->world);
}

static uint64_t engine_now(const struct sim_disaster *disaster)
{
    return sim_engine_now(disaster->world);
}

static struct sim_program *program_of(struct sim_disaster *disaster,
                                      const struct sim_socket *socket)
{
    return &disaster->programs[sim_host_number(socket->host)][socket->number];
}

/* ---- tasks ---- */

static void run_task(struct sim_task *task, struct sim_socket *socket);

static void ring_task(struct sim_alarm *alarm)
{
    struct sim_task *task = (struct sim_task *)alarm; /* its first field */
    struct sim_disaster *disaster = task->disaster;
    struct sim_host *host = sim_world_host(disaster->world, task->host);
    struct sim_socket *socket = sim_host_socket(host, task->socket);
    sim_time stopped_until = disaster->stopped_until[task->host];

    if (stopped_until > now(disaster)) {
        sim_alarm_set(sim_world_clock(disaster->world), &task->alarm, stopped_until);
        return;
    }
    LIST_REMOVE(task, link);
    if (socket->engine != NULL && socket->generation == task->generation) {
        run_task(task, socket);
        sim_host_touch(host);
    }
    if (task->payload != NULL)
        task->payload->holder = NULL;
    free(task);
}

static struct sim_task *add_task(struct sim_disaster *disaster, const struct sim_socket *socket,
                                 enum sim_task_kind kind, sim_time at)
{
    struct sim_task *task = sim_allocate(1, sizeof(*task));

    task->disaster = disaster;
    task->kind = kind;
    task->host = sim_host_number(socket->host);
    task->socket = socket->number;
    task->generation = socket->generation;
    sim_alarm_init(&task->alarm, ring_task);
    sim_alarm_set(sim_world_clock(disaster->world), &task->alarm, at);
    LIST_INSERT_HEAD(&disaster->tasks, task, link);
    return task;
}

void sim_program_forget(struct sim_disaster *disaster)
{
    while (!LIST_EMPTY(&disaster->tasks)) {
        struct sim_task *task = LIST_FIRST(&disaster->tasks);

        LIST_REMOVE(task, link);
        sim_alarm_cancel(sim_world_clock(disaster->world), &task->alarm);
        if (task->payload != NULL)
            task->payload->holder = NULL;
        free(task);
    }
}

/* ---- messages ---- */

/* A message of this call; one that is to become ready bit by bit begins with a few bytes. */
static struct mem_payload *make_payload(struct sim_socket *socket, const struct sim_call *call,
                                        bool is_response)
{
    uint32_t length = is_response ? call->plan.response_length : call->plan.request_length;
    uint8_t *bytes = malloc(length);
    struct mem_payload *payload;

    if (bytes == NULL)
        sim_out_of_memory();
    sim_bytes_fill(call->serial, is_response, bytes, length);
    payload = sim_payload_new(socket->host, bytes, length);
    if (call->plan.is_piecewise)
        payload->ready = (uint32_t)(call->serial % length);
    return payload;
}

static void grow_later(struct sim_disaster *disaster, struct sim_socket *socket,
                       struct mem_payload *payload, const struct base_address *to, uint64_t id)
{
    struct sim_task *task;

    if (payload->ready == payload->length)
        return;
    task = add_task(disaster, socket, SIM_TASK_GROW, now(disaster) + GROW_EVERY);
    task->payload = (struct sim_payload *)payload;
    task->payload->holder = &task->payload;
    task->peer = *to;
    task->id = id;
}

static void grow(struct sim_task *task, struct sim_socket *socket)
{
    struct mem_payload *payload;

    if (task->payload == NULL)
        return; /* its message is over */
    payload = &task->payload->payload;
    if (payload->length - payload->ready > GROW_BYTES)
        payload->ready += GROW_BYTES;
    else
        payload->ready = payload->length;
    homa_engine_more(socket->engine, engine_now(task->disaster), &task->peer, task->id);
    task->payload->holder = NULL;
    task->payload = NULL;
    grow_later(task->disaster, socket, payload, &task->peer, task->id);
}

/* Gives the pieces back, now or later. */
static void give_back(struct sim_disaster *disaster, struct sim_socket *socket,
                      const uint32_t *offsets, uint32_t count)
{
    uint32_t bad;
    int error =
        homa_engine_return_bpages(socket->engine, engine_now(disaster), offsets, count, &bad);

    if (error != 0)
        sim_judge_object(disaster->judge, sim_host_number(socket->host), 0,
                         "pieces of a message were refused when they came back");
}

static void keep_for_a_while(struct sim_disaster *disaster, struct sim_socket *socket,
                             const struct homa_message *message, struct sim_call *call,
                             bool is_response)
{
    struct sim_program *program = program_of(disaster, socket);
    sim_time hold = disaster->scenario->traffic.hold;
    uint32_t offsets[SIM_PIECES_MAX];
    struct sim_task *task;

    assert(message->num_bpages <= SIM_PIECES_MAX);
    if (message->num_bpages > 0)
        memcpy(offsets, message->bpage_offsets, message->num_bpages * sizeof(offsets[0]));
    if (hold == 0 || message->num_bpages == 0) {
        give_back(disaster, socket, offsets, message->num_bpages);
        return;
    }
    hold = sim_between(&program->random, 0, hold);
    task = add_task(disaster, socket, SIM_TASK_RETURN, now(disaster) + hold);
    task->call = call;
    task->is_response = is_response;
    task->length = message->length;
    task->pieces = message->num_bpages;
    memcpy(task->offsets, offsets, task->pieces * sizeof(offsets[0]));
}

static void return_pieces(struct sim_task *task, struct sim_socket *socket)
{
    if (task->call != NULL)
        sim_judge_still_right(task->disaster->judge, task->call, task->is_response, socket,
                              task->offsets, task->length);
    give_back(task->disaster, socket, task->offsets, task->pieces);
}

/* ---- the client ---- */

static void start_later(struct sim_disaster *disaster, const struct sim_socket *socket,
                        sim_time after)
{
    struct sim_program *program = program_of(disaster, socket);

    if (program->is_start_due)
        return;
    program->is_start_due = true;
    add_task(disaster, socket, SIM_TASK_START, now(disaster) + after);
}

static bool may_start(const struct sim_disaster *disaster, const struct sim_program *program)
{
    const struct sim_traffic *traffic = &disaster->scenario->traffic;

    return !disaster->is_over && disaster->bytes_left > 0 && program->open < traffic->concurrency &&
           program->started < traffic->calls && now(disaster) < disaster->scenario->start_over;
}

/* Starts the next call. Returns false when that cannot be now. */
static bool start_call(struct sim_disaster *disaster, struct sim_socket *socket)
{
    struct sim_program *program = program_of(disaster, socket);
    uint32_t host = sim_host_number(socket->host);
    struct sim_call_plan plan;
    uint64_t id = 0;

    if (!sim_scenario_call(disaster->scenario, host, socket->number, program->started, &plan)) {
        program->started = UINT32_MAX; /* there is nobody to call */
        return false;
    }
    struct sim_call *call =
        sim_judge_call_begin(disaster->judge, host, socket->number, program->started, &plan);
    struct sim_host *server = sim_world_host(disaster->world, plan.host);
    struct base_address to = sim_socket_address(sim_host_socket(server, plan.socket));
    struct mem_payload *payload = make_payload(socket, call, false);
    int error = homa_engine_request(socket->engine, engine_now(disaster), &to, payload, 0,
                                    call->serial, plan.is_private, &id);

    if (error != 0) {
        if (error != -ENOBUFS)
            sim_judge_object(disaster->judge, host, 0, "a request was refused with %d", error);
        sim_payload_free(socket->host, payload);
        sim_judge_call_refused(disaster->judge, call);
        return false;
    }
    sim_judge_call_started(disaster->judge, call, id);
    sim_disaster_tell(disaster, host, socket->port, "request",
                      "id %" PRIx64 " to %" PRIu32 ":%u, %" PRIu32 " bytes", id, plan.host, to.port,
                      plan.request_length);
    grow_later(disaster, socket, payload, &to, id);
    uint64_t bytes = (uint64_t)plan.request_length + plan.response_length;

    disaster->bytes_left -= bytes < disaster->bytes_left ? bytes : disaster->bytes_left;
    disaster->outcome->counts.calls++;
    program->started++;
    program->open++;
    struct sim_open_call *open = sim_allocate(1, sizeof(*open));

    open->call = call;
    LIST_INSERT_HEAD(&program->calls, open, link);
    if (plan.abandon_after != SIM_NEVER)
        add_task(disaster, socket, SIM_TASK_ABANDON, now(disaster) + plan.abandon_after)->call =
            call;
    return true;
}

static void start_calls(struct sim_disaster *disaster, struct sim_socket *socket)
{
    struct sim_program *program = program_of(disaster, socket);

    while (may_start(disaster, program)) {
        if (!start_call(disaster, socket)) {
            start_later(disaster, socket, RETRY_AFTER);
            return;
        }
    }
}

/* One call of this program is over. */
static void forget_call(struct sim_disaster *disaster, struct sim_socket *socket,
                        const struct sim_call *call)
{
    struct sim_program *program = program_of(disaster, socket);
    struct sim_open_call *open = LIST_FIRST(&program->calls);
    sim_time think = disaster->scenario->traffic.think;

    while (open != NULL && open->call != call)
        open = LIST_NEXT(open, link);
    if (open == NULL)
        return; /* the judge has objected */
    LIST_REMOVE(open, link);
    free(open);
    program->open--;
    think = think > 0 ? sim_around(&program->random, think) : 0;
    start_later(disaster, socket, think);
}

static void take_result(struct sim_disaster *disaster, struct sim_socket *socket,
                        const struct homa_message *message)
{
    uint32_t host = sim_host_number(socket->host);
    struct sim_outcome_counts *counts = &disaster->outcome->counts;
    struct sim_call *call = sim_judge_find(disaster->judge, host, message->id);

    if (call == NULL || call->client_socket != socket->number) {
        sim_judge_object(disaster->judge, host, message->id, "a result came for no call");
        give_back(disaster, socket, message->bpage_offsets, message->num_bpages);
        return;
    }
    sim_judge_call_result(disaster->judge, call, socket, message);
    sim_disaster_tell(disaster, host, socket->port, "result",
                      "id %" PRIx64 ", %" PRIu32 " bytes, errno %d", message->id, message->length,
                      message->error);
    if (call->ending == SIM_ANSWERED)
        counts->answered++;
    else if (call->ending == SIM_ABORTED)
        counts->abandoned++;
    else if (message->error == ETIMEDOUT)
        counts->failed[0]++;
    else
        counts->failed[1]++;
    keep_for_a_while(disaster, socket, message, call, true);
    forget_call(disaster, socket, call);
}

static void abandon(struct sim_task *task, struct sim_socket *socket)
{
    struct sim_disaster *disaster = task->disaster;
    struct sim_call *call = task->call;
    int error;

    if (call->ending != SIM_OPEN)
        return;
    sim_judge_call_abort(disaster->judge, call, call->plan.abandon_error);
    sim_disaster_tell(disaster, task->host, socket->port, "abort", "id %" PRIx64 ", errno %d",
                      call->id, call->plan.abandon_error);
    error =
        homa_engine_abort(socket->engine, engine_now(disaster), call->id, call->plan.abandon_error);
    if (error != 0)
        sim_judge_object(disaster->judge, task->host, call->id,
                         "an open call could not be aborted: error %d", error);
    if (call->plan.abandon_error != 0)
        return;
    disaster->outcome->counts.abandoned++;
    forget_call(disaster, socket, call);
}

void sim_program_abort_all(struct sim_disaster *disaster, uint32_t host, uint32_t socket, int error)
{
    struct sim_host *owner = sim_world_host(disaster->world, host);
    struct sim_socket *it = sim_host_socket(owner, socket);
    struct sim_program *program = &disaster->programs[host][socket];
    struct sim_open_call *open;
    struct sim_open_call *next;

    if (it->engine == NULL)
        return;
    homa_engine_abort(it->engine, engine_now(disaster), 0, error);
    for (open = LIST_FIRST(&program->calls); open != NULL; open = next) {
        next = LIST_NEXT(open, link);
        sim_judge_call_abort(disaster->judge, open->call, error);
        if (error != 0)
            continue;
        disaster->outcome->counts.abandoned++;
        forget_call(disaster, it, open->call);
    }
    sim_host_touch(owner);
}

/* ---- the server ---- */

static void take_request(struct sim_disaster *disaster, struct sim_socket *socket,
                         const struct homa_message *message)
{
    struct sim_program *program = program_of(disaster, socket);
    const struct base_address peer = message->peer;
    const uint64_t id = message->id;
    struct sim_call *call = sim_judge_request(disaster->judge, socket, message);
    sim_time service = disaster->scenario->traffic.service;
    struct sim_task *task;

    disaster->outcome->counts.executed++;
    sim_disaster_tell(disaster, sim_host_number(socket->host), socket->port, "execute",
                      "id %" PRIx64 " of %" PRIu32 ", %" PRIu32 " bytes", id,
                      sim_address_host(&peer), message->length);
    service = call != NULL ? call->plan.service : sim_around(&program->random, service);
    keep_for_a_while(disaster, socket, message, call, false);
    task = add_task(disaster, socket, SIM_TASK_ANSWER, now(disaster) + service);
    task->call = call;
    task->peer = peer;
    task->id = id;
}

/* Answers a request that is no call of ours: with something, or not at all. */
static void answer_stranger(const struct sim_task *task, struct sim_socket *socket)
{
    struct sim_disaster *disaster = task->disaster;
    struct mem_payload *payload;

    if (task->id % 4 == 3) {
        homa_engine_drop(socket->engine, engine_now(disaster), &task->peer, task->id);
        return;
    }
    payload = sim_payload_new(socket->host, sim_allocate(STRANGERS_LENGTH, 1), STRANGERS_LENGTH);
    if (homa_engine_reply(socket->engine, engine_now(disaster), &task->peer, task->id, payload,
                          0) != 0)
        sim_payload_free(socket->host, payload);
}

static void answer(const struct sim_task *task, struct sim_socket *socket)
{
    struct sim_disaster *disaster = task->disaster;
    struct mem_payload *payload;
    int error;

    if (task->call == NULL) {
        answer_stranger(task, socket);
        return;
    }
    if (task->call->plan.is_dropped) {
        homa_engine_drop(socket->engine, engine_now(disaster), &task->peer, task->id);
        return;
    }
    payload = make_payload(socket, task->call, true);
    error =
        homa_engine_reply(socket->engine, engine_now(disaster), &task->peer, task->id, payload, 0);
    sim_disaster_tell(disaster, task->host, socket->port, "reply",
                      "id %" PRIx64 " to %" PRIu32 ", %" PRIu32 " bytes, result %d", task->id,
                      sim_address_host(&task->peer), payload->length, error);
    if (error != 0) {
        sim_payload_free(socket->host, payload);
        if (error != -ENOENT)
            sim_judge_object(disaster->judge, task->host, task->id, "a reply was refused with %d",
                             error);
        return;
    }
    sim_judge_reply(disaster->judge, task->call);
    grow_later(disaster, socket, payload, &task->peer, task->id);
}

/* ---- taking ---- */

static void take_shared(struct sim_disaster *disaster, struct sim_socket *socket)
{
    struct homa_message message;

    while (homa_engine_take(socket->engine, engine_now(disaster), 0,
                            HOMA_TAKE_REQUEST | HOMA_TAKE_RESPONSE, &message) == 0) {
        if ((message.id & 1) != 0)
            take_request(disaster, socket, &message);
        else
            take_result(disaster, socket, &message);
    }
}

static void take_private(struct sim_disaster *disaster, struct sim_socket *socket)
{
    struct sim_program *program = program_of(disaster, socket);
    struct homa_message message;
    struct sim_open_call *next;
    int error;

    for (struct sim_open_call *open = LIST_FIRST(&program->calls); open != NULL; open = next) {
        struct sim_call *call = open->call;

        next = LIST_NEXT(open, link);
        if (!call->plan.is_private || !homa_engine_private_ready(socket->engine, call->id))
            continue;
        error = homa_engine_take(socket->engine, engine_now(disaster), call->id, 0, &message);
        if (error == 0)
            take_result(disaster, socket, &message);
        else
            sim_judge_object(disaster->judge, call->client, call->id,
                             "a private call that is ready cannot be taken: error %d", error);
    }
}

static void take_all(struct sim_disaster *disaster, struct sim_socket *socket)
{
    take_shared(disaster, socket);
    take_private(disaster, socket);
}

void sim_program_ready(struct sim_disaster *disaster, struct sim_socket *socket)
{
    struct sim_program *program = program_of(disaster, socket);
    sim_time lag = disaster->scenario->traffic.lag;

    if (lag == 0) {
        take_all(disaster, socket);
        return;
    }
    if (program->is_take_due)
        return;
    program->is_take_due = true;
    lag = sim_between(&program->random, 0, lag);
    add_task(disaster, socket, SIM_TASK_TAKE, now(disaster) + lag);
}

static void run_task(struct sim_task *task, struct sim_socket *socket)
{
    struct sim_program *program = program_of(task->disaster, socket);

    switch (task->kind) {
    case SIM_TASK_START:
        program->is_start_due = false;
        start_calls(task->disaster, socket);
        break;
    case SIM_TASK_TAKE:
        program->is_take_due = false;
        take_all(task->disaster, socket);
        break;
    case SIM_TASK_ANSWER:
        answer(task, socket);
        break;
    case SIM_TASK_RETURN:
        return_pieces(task, socket);
        break;
    case SIM_TASK_ABANDON:
        abandon(task, socket);
        break;
    case SIM_TASK_GROW:
        grow(task, socket);
        break;
    }
}

/* ---- beginning and end ---- */

void sim_program_begin(struct sim_disaster *disaster, uint32_t host, uint32_t socket)
{
    struct sim_program *program = &disaster->programs[host][socket];
    struct sim_socket *it = sim_host_socket(sim_world_host(disaster->world, host), socket);
    uint64_t which = (uint64_t)host * SIM_SOCKETS_MAX + socket;
    sim_time after;

    program->random =
        sim_scenario_random(disaster->scenario->seed ^ base_mix(which + 1), ASPECT_PROGRAMS);
    LIST_INIT(&program->calls);
    program->open = 0;
    program->is_take_due = false;
    program->is_start_due = false;
    after = sim_any_magnitude(&program->random, SIM_US, disaster->scenario->start_over / 2);
    start_later(disaster, it, after);
}

void sim_program_end(struct sim_disaster *disaster, uint32_t host, uint32_t socket)
{
    struct sim_program *program = &disaster->programs[host][socket];

    struct sim_open_call *open = LIST_FIRST(&program->calls);

    while (open != NULL) {
        struct sim_open_call *next = LIST_NEXT(open, link);

        disaster->outcome->counts.lost += open->call->ending == SIM_OPEN;
        free(open);
        open = next;
    }
    LIST_INIT(&program->calls);
    program->open = 0;
    sim_judge_socket_gone(disaster->judge, host, socket);
}
