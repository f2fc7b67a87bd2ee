/*
 * The client of the load generator. It looks at its sockets every few microseconds, so that grants
 * and answers are met soon, and is awake when a message is due; what it measures is the way to a
 * server that sleeps until there is something. Between looks it gives up the CPU: the kernel's own
 * threads, which bring in packets when there are many, must not wait for it.
 */
#include "bench/load.h"

#include <stdlib.h>
#include <time.h>

#define WARM_UP_MESSAGES 500u
#define COST_ROUNDS      100u
#define IDLE_ROUNDS      21u
#define TRAIN_PACKETS    20u              /* below what is sent without grants */
#define PACKET_PAYLOAD   1416u            /* of a packet of 1,500 bytes */
#define PAUSE_NS         UINT64_C(700000) /* in which all queues empty and the server falls asleep */
#define LOOK_EVERY_NS    20000u
#define EARLY_NS         15000u               /* a sleep ends so late at worst, mostly */
#define PATIENCE_NS      UINT64_C(3000000000) /* for answers, at the end of a run */
#define LATE_MAX         1000000u             /* messages whose lateness is looked at */

/* Sleeps until the next look, or until a little before `until`; not at all shortly before it. */
static void rest(uint64_t until)
{
    uint64_t now = load_now();
    struct timespec time = {.tv_nsec = LOOK_EVERY_NS};

    if (until < now + EARLY_NS)
        return;
    if (until - now < LOOK_EVERY_NS + EARLY_NS)
        time.tv_nsec = (long)(until - now - EARLY_NS);
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

static void wait_until(uint64_t until)
{
    while (load_now() < until)
        rest(until);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static uint64_t median(uint64_t *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    return values[count / 2];
}

/* One message on socket 0, and its answer. */
static void call(struct load_client *client, enum load_kind kind, uint32_t length)
{
    load_send(client->sockets[0], &client->server, kind, load_now(), length);
    while (load_take(client->sockets[0], false) < 0)
        rest(UINT64_MAX);
}

static uint64_t timed_call(struct load_client *client, uint32_t length)
{
    call(client, LOAD_TIMED, length);
    return atomic_load(&client->shared->elapsed_ns);
}

void load_warm_up(struct load_client *client)
{
    for (uint32_t i = 0; i < WARM_UP_MESSAGES; i++)
        call(client, LOAD_PLAIN, LOAD_BURST_BYTES);
    for (uint32_t i = 0; i < client->socket_count; i++) {
        load_send(client->sockets[i], &client->server, LOAD_PLAIN, load_now(), LOAD_LENGTH_MAX / 4);
        while (load_take(client->sockets[i], false) < 0)
            ;
    }
}

uint64_t load_measure_idle(struct load_client *client, uint32_t length)
{
    uint64_t values[IDLE_ROUNDS];

    for (uint32_t i = 0; i < IDLE_ROUNDS; i++) {
        wait_until(load_now() + PAUSE_NS);
        values[i] = timed_call(client, length);
    }
    return median(values, IDLE_ROUNDS);
}

/* Some messages at once, to a server that spins. Returns what it took to send each. */
static uint64_t time_burst(struct load_client *client)
{
    uint64_t begin = 0;
    uint64_t elapsed = 0;

    wait_until(load_now() + PAUSE_NS);
    begin = load_now();
    for (uint32_t i = 0; i < LOAD_BURST; i++)
        load_send(client->sockets[0], &client->server, LOAD_PLAIN, begin, LOAD_BURST_BYTES);
    elapsed = load_now() - begin;
    for (uint32_t i = 0; i < LOAD_BURST; i++)
        while (load_take(client->sockets[0], false) < 0)
            ;
    return elapsed / LOAD_BURST;
}

/* A message of many packets, all sent at once. Returns what that took. */
static uint64_t time_train(struct load_client *client)
{
    struct load_socket *socket = client->sockets[0];
    uint64_t begin = 0;
    uint64_t elapsed = 0;

    wait_until(load_now() + PAUSE_NS);
    begin = load_now();
    load_send(socket, &client->server, LOAD_PLAIN, begin, TRAIN_PACKETS * PACKET_PAYLOAD);
    elapsed = load_now() - begin;
    while (load_take(socket, false) < 0)
        rest(UINT64_MAX);
    return elapsed;
}

static uint64_t measure_train(struct load_client *client)
{
    uint64_t times[COST_ROUNDS];

    load_set_paced(client->sockets[0], false);
    for (uint32_t i = 0; i < COST_ROUNDS; i++)
        times[i] = time_train(client);
    load_set_paced(client->sockets[0], true);
    return median(times, COST_ROUNDS);
}

static uint64_t measure_lone(struct load_client *client)
{
    uint64_t times[COST_ROUNDS];

    for (uint32_t i = 0; i < COST_ROUNDS; i++) {
        wait_until(load_now() + PAUSE_NS);
        times[i] = timed_call(client, LOAD_BURST_BYTES);
    }
    return median(times, COST_ROUNDS);
}

void load_measure_costs(struct load_client *client, struct load_costs *costs)
{
    struct load_shared *shared = client->shared;
    uint64_t out[COST_ROUNDS];
    uint64_t in[COST_ROUNDS];
    uint64_t answer[COST_ROUNDS];

    call(client, LOAD_SPIN, LOAD_BURST_BYTES);
    for (uint32_t i = 0; i < COST_ROUNDS; i++) {
        uint64_t count = atomic_load(&shared->spun_count);
        uint64_t take_ns = atomic_load(&shared->spun_take_ns);
        uint64_t answer_ns = atomic_load(&shared->spun_answer_ns);

        out[i] = time_burst(client);
        /* The server may not have counted its last message yet, nor us its first. */
        count = atomic_load(&shared->spun_count) - count;
        in[i] = (atomic_load(&shared->spun_take_ns) - take_ns) / (count > 0 ? count : 1);
        answer[i] = (atomic_load(&shared->spun_answer_ns) - answer_ns) / (count > 0 ? count : 1);
    }
    costs->out = median(out, COST_ROUNDS);
    costs->in = median(in, COST_ROUNDS);
    costs->answer = median(answer, COST_ROUNDS);
    costs->awake = measure_lone(client);
    costs->segment = measure_train(client);
    costs->segment -= costs->segment > costs->out ? costs->out : 0;
    costs->segment /= TRAIN_PACKETS - 1;
    call(client, LOAD_SLEEP, LOAD_BURST_BYTES);
    costs->asleep = measure_lone(client);
}

/* ---- the load ---- */

/* Takes what answers there are. Returns their number. */
static uint64_t take_answers(struct load_client *client)
{
    uint64_t taken = 0;

    for (uint32_t i = 0; i < client->socket_count; i++)
        while (load_take(client->sockets[i], false) >= 0)
            taken++;
    return taken;
}

struct lateness {
    uint64_t *ns;
    size_t count;
};

/* Sends what is due by now. Returns how many that was. */
static uint64_t send_due(struct load_client *client, struct sim_stream *stream,
                         struct sim_arrival *next, uint64_t start, struct lateness *late)
{
    uint64_t sent = 0;

    for (;;) {
        uint64_t due = start + next->at / SIM_NS;
        uint64_t now = load_now();

        if (due > now)
            return sent;
        load_send(client->sockets[next->socket], &client->server, LOAD_COUNTED, due, next->length);
        if (late->count < LATE_MAX)
            late->ns[late->count++] = now - due;
        *next = sim_stream_next(stream);
        sent++;
    }
}

static void judge_lateness(struct lateness *late, struct load_run *run)
{
    if (late->count == 0)
        return;
    qsort(late->ns, late->count, sizeof(*late->ns), compare);
    run->late_p50_ns = (uint32_t)late->ns[late->count / 2];
    run->late_p99_ns = (uint32_t)late->ns[late->count * 99 / 100];
}

void load_run(struct load_client *client, const struct sim_stream_options *options,
              struct load_run *run)
{
    struct lateness late = {.ns = calloc(LATE_MAX, sizeof(*late.ns))};
    struct sim_stream stream;
    struct sim_arrival next;
    uint64_t start = 0;
    uint64_t now = 0;
    uint64_t server_cpu = 0;
    uint64_t client_cpu = 0;
    uint64_t looks = 0;

    if (late.ns == NULL)
        load_fail("memory");
    call(client, LOAD_PLAIN, LOAD_BURST_BYTES);
    server_cpu = atomic_load(&client->shared->server_cpu_ns);
    client_cpu = load_cpu_ns();
    sim_stream_begin(&stream, options);
    next = sim_stream_next(&stream);
    start = now = load_now();
    while (now - start < run->duration_ns && run->sent < run->max_messages) {
        uint64_t sent = send_due(client, &stream, &next, start, &late);
        uint64_t answered = take_answers(client);
        uint64_t before = now;

        if (sent + answered == 0)
            rest(start + next.at / SIM_NS);
        now = load_now();
        run->sent += sent;
        run->answered += answered;
        if (sent + answered > 0) {
            run->client_busy_ns += now - before;
        } else {
            looks++;
            run->look_ns += now - before;
        }
    }
    run->look_ns /= looks > 0 ? looks : 1;
    run->elapsed_ns = now - start;
    run->client_cpu_ns = load_cpu_ns() - client_cpu;
    while (run->answered < run->sent && load_now() < now + PATIENCE_NS)
        run->answered += take_answers(client);
    call(client, LOAD_PLAIN, LOAD_BURST_BYTES);
    run->server_cpu_ns = atomic_load(&client->shared->server_cpu_ns) - server_cpu;
    judge_lateness(&late, run);
    free(late.ns);
}

void load_stop(struct load_client *client)
{
    call(client, LOAD_STOP, LOAD_BURST_BYTES);
}
