/*
 * One Homa socket: its parts, and the rules for touching them. Included by the files of src/socket
 * only; what the library offers others is in receive.h and in missive/socket.h.
 *
 * Everything in struct socket is guarded by its lock unless a field says otherwise. Lock order: the
 * table's lock, a socket's lock (never two, except around fork), then one of the host scheduler's
 * lock and the progress lock. A socket's lock is never held while waiting for anything but these.
 */
#ifndef SOCKET_SOCKET_H
#define SOCKET_SOCKET_H

#include "base/address.h"
#include "homa/engine.h"
#include "memory/bpage.h"
#include "memory/region.h"
#include "socket/call.h"
#include "socket/deferred.h"
#include "socket/options.h"
#include "socket/ready.h"
#include "socket/sentence.h"
#include "socket/spin.h"
#include "socket/table.h"
#include "socket/wait.h"
#include "wire/wire.h"

#include <stdint.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

struct fork_page;

/* Who looks after a socket while no thread of the application is in it; see progress.h. */
enum attention {
    ATTENTION_ACTIVE, /* used lately: the progress thread looks now and then */
    ATTENTION_ARMED,  /* left alone: the progress thread's epoll has its wire */
    ATTENTION_LED,    /* a thread of the application sleeps on its wire */
};

/* How the application waits for messages, as far as its calls show (receive.c). */
enum habit {
    HABIT_UNKNOWN,
    HABIT_INSIDE, /* in msv_recvmsg or msv_poll: the descriptor may say late what it has to say */
    HABIT_OUTSIDE /* in plain poll, select or epoll: the progress thread has to be quick */
};

/* Guarded by the progress lock, attention by the socket's lock as well. */
struct progress_entry {
    TAILQ_ENTRY(socket) link;
    enum attention attention;
    bool is_watched;   /* in the progress thread's lists */
    bool is_out_armed; /* armed for writability too */
    uint64_t due_at;   /* ns: when it wants to be looked at, CLOCK_NEVER = not */
    /* Any thread may read these. */
    _Atomic bool is_token_owed;  /* a message waits that the descriptor does not show yet */
    _Atomic uint64_t last_use;   /* ns: of the last call */
    _Atomic uint64_t last_input; /* ns: when the wire was last read */
};

struct socket {
    struct table_slot *slot; /* set once */
    pthread_mutex_t lock;
    _Atomic uint32_t contenders; /* threads that wait for the lock; any thread may read */

    int descriptor;      /* the application's end of the pair; set once */
    int our_end;         /* of the pair; set once */
    int wake_descriptor; /* an eventfd that gets the leader out of its sleep; set once */
    uint64_t cookie;     /* the kernel's for the application's end; set once */
    int family;          /* AF_INET or AF_INET6; set once */

    bool is_nonblocking; /* O_NONBLOCK */
    bool is_shut;
    bool is_closed; /* the wire and the engine's RPCs are gone; the rest goes with the last user */

    struct base_ip local; /* bound to; unspecified = any */
    uint32_t scope;
    struct wire *wire; /* also guarded by the scheduler's lock */
    struct homa_engine *engine;
    struct homa_knobs grant_knobs; /* guarded by the scheduler's lock: for grants others send */
    struct mem_region region;      /* base NULL = none yet */
    struct bpage_pool *pool;

    uint64_t deadline;      /* ns: when engine or wire want to be run, as of the last pump */
    bool is_output_blocked; /* the wire was full: wait for it to be writable */
    bool has_input;         /* the last pump that did anything brought datagrams */
    uint64_t queued_bytes;  /* payload that the engine refers to */
    uint32_t long_buffers;  /* of these, messages that the pacer looks at */
    uint64_t ready_seen;    /* the engine's ready sequence as of the last wait_settle */

    TAILQ_HEAD(, waiter) waiters; /* oldest first */
    uint32_t room_wanted;         /* how many of them wait for send memory, */
    uint32_t shared_wanted;       /* and how many for any shared message */
    struct waiter *leader;        /* the one of them that reads the wire, or NULL */
    uint64_t left_at;             /* ns: when the place became free; 0 = known already */
    uint64_t absence_ns;          /* how long it usually stays so */
    bool is_leader_asleep;
    bool is_leader_called; /* wake_descriptor has been written */
    uint64_t leader_until; /* ns: when the sleeping leader wakes by itself */
    struct spin spin;
    struct ready ready;
    struct options options;

    struct deferred deferred;

    enum habit habit;
    uint8_t empty_receives;    /* in a row, that found nothing */
    uint8_t prompted_receives; /* in a row, that came for what the progress thread had told */
    uint64_t told_at;          /* ns: when the progress thread last made it readable; 0 = not since
                                * the last message was taken */

    uint32_t fork_generation;    /* of the process that owns it; see fork.h */
    struct fork_page *fork_page; /* set at the first fork, as is fork_owner */
    _Atomic pid_t *fork_owner;   /* shared with other processes */
    struct progress_entry progress;
    char sentence[SENTENCE_SIZE];
};

/* Takes the lock. One that spins with the lock sees that somebody waits (contenders). */
void socket_lock(struct socket *socket);
void socket_unlock(struct socket *socket);

/* Lets a thread that waits for the lock have it first, if there is one. */
void socket_let_others(struct socket *socket);

/* Opens the wire that the socket's family and the environment ask for. 0 or a negative errno with a
 * sentence. */
int socket_open_wire(struct socket *socket, const struct base_ip *local, uint32_t scope,
                     uint16_t port, struct wire **wire);

/* Closes the socket and puts one use of its slot. The application's descriptor is closed too,
 * unless it is gone already. */
void socket_close(struct socket *socket, bool is_descriptor_gone);

/* Frees a closed socket; only table_put calls it. */
void socket_destroy(struct socket *socket);

/* Whether shared messages wait to be received, and how many. */
static inline uint32_t socket_shared_ready(const struct socket *socket)
{
    return homa_engine_ready(socket->engine, HOMA_TAKE_REQUEST | HOMA_TAKE_RESPONSE) +
           socket->deferred.shared;
}

#endif
