/*
 * The server of the load generator: takes messages, notes when, and answers each with one byte. It
 * sleeps in msv_recvmsg like any server; told to, it spins, and notes what its calls take.
 */
#include "bench/load.h"

static void note_sample(struct load_shared *shared, uint32_t length, uint64_t elapsed_ns)
{
    uint32_t count = atomic_load_explicit(&shared->sample_count, memory_order_relaxed);

    if (count == LOAD_SAMPLES_MAX)
        return;
    shared->samples[count] = (struct load_sample){
        .length = length,
        .elapsed_ns = elapsed_ns < UINT32_MAX ? (uint32_t)elapsed_ns : UINT32_MAX,
    };
    atomic_store_explicit(&shared->sample_count, count + 1, memory_order_release);
}

static void add(_Atomic uint64_t *sum, uint64_t value)
{
    atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + value,
                          memory_order_release);
}

void load_serve(struct load_shared *shared, struct load_socket *socket)
{
    enum load_kind kind = LOAD_PLAIN;
    bool may_sleep = true;

    while (kind != LOAD_STOP) {
        uint64_t begin = load_now();
        int length = load_take(socket, may_sleep);
        uint64_t taken_at = load_now();
        uint64_t elapsed_ns = 0;
        uint64_t id = 0;

        if (length < 0)
            continue;
        elapsed_ns = taken_at - load_due(socket);
        kind = load_kind_of(socket);
        id = load_id(socket);
        if (kind == LOAD_COUNTED)
            note_sample(shared, (uint32_t)length, elapsed_ns);
        else if (kind == LOAD_TIMED)
            atomic_store(&shared->elapsed_ns, elapsed_ns);
        else if (kind == LOAD_PLAIN)
            atomic_store(&shared->server_cpu_ns, load_cpu_ns());
        else if (kind == LOAD_SPIN || kind == LOAD_SLEEP)
            may_sleep = kind == LOAD_SLEEP;
        load_answer(socket, id);
        if (!may_sleep) {
            add(&shared->spun_take_ns, taken_at - begin);
            add(&shared->spun_answer_ns, load_now() - taken_at);
            add(&shared->spun_count, 1);
        }
    }
}
