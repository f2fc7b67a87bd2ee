/*
 * How a child learns that the owner is done with a socket:
 *
 *   closed   At the first fork after a socket was made it gets a *record*, a word of memory shared
 *            by all processes that descend from there. It holds the owner's process id, or 0 once
 *            the owner has closed the socket. Who takes over puts its own id there, by compare and
 *            swap, so that of several children one wins.
 *   gone     Each fork leaves the child a pidfd of the parent, which becomes readable when the
 *            parent ends. An owner that is no ancestor is asked after by its process id.
 *
 * The parent of a daemon ends about when its child makes its first call. So for a moment after the
 * fork that call waits for the owner instead of failing.
 *
 * At a fork all locks are held, so that the child's copies are whole. The threads that waited in
 * sockets do not exist in the child: their waiters are forgotten, and their uses with them.
 */
#include "socket/fork.h"

#include "socket/clock.h"
#include "socket/process.h"
#include "socket/progress.h"
#include "socket/pump.h"
#include "socket/socket.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How long after a fork a call waits for the owner to end, and how often it looks. */
#define GRACE_NS   (500 * CLOCK_NS_PER_MS)
#define LOOK_EVERY 5 /* ms */

/* Records of the sockets that were new at one fork. */
struct fork_page {
    uint32_t
        users; /* sockets of this process with a record here, and its maker; the table's lock */
    size_t length;
    _Atomic pid_t *owners; /* shared with other processes */
};

/* A process that owned sockets of which we have a copy. */
struct fork_ancestor {
    struct fork_ancestor *next;
    pid_t pid;
    int pidfd; /* -1: the kernel has none */
};

static _Atomic uint32_t generation;
static uint64_t forked_at; /* ns: when this process was made; 0 = it is nobody's child */
static struct fork_ancestor *ancestors; /* changed in fork's child only */
static struct fork_ancestor *present;   /* this process as an ancestor, between prepare and child */

uint32_t fork_generation(void)
{
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

bool fork_is_foreign(const struct socket *socket)
{
    return socket->fork_generation != fork_generation();
}

/* ---- before a fork ---- */

static void page_put(struct fork_page *page)
{
    if (--page->users > 0)
        return;
    (void)munmap((void *)page->owners, page->length);
    free(page);
}

/* Gives every socket a record. Without memory for it the child gets none and waits for ever, which
 * is safe. */
static void give_records(void)
{
    struct fork_page *page = NULL;
    size_t wanted = 0;
    size_t given = 0;
    pid_t self = getpid();

    for (struct table_slot *slot = table_slots(); slot != NULL; slot = slot->sibling)
        wanted += slot->is_fork_held && slot->socket->fork_owner == NULL;
    if (wanted == 0)
        return;
    page = calloc(1, sizeof(*page));
    if (page == NULL)
        return;
    page->users = 1;
    page->length = wanted * sizeof(page->owners[0]);
    page->owners =
        mmap(NULL, page->length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page->owners == MAP_FAILED) {
        free(page);
        return;
    }
    for (struct table_slot *slot = table_slots(); slot != NULL; slot = slot->sibling) {
        if (!slot->is_fork_held || slot->socket->fork_owner != NULL)
            continue;
        slot->socket->fork_page = page;
        slot->socket->fork_owner = &page->owners[given++];
        atomic_store(slot->socket->fork_owner, self);
        page->users++;
    }
    page_put(page);
}

static void prepare(void)
{
    process_lock();
    table_lock();
    for (struct table_slot *slot = table_slots(); slot != NULL; slot = slot->sibling)
        slot->is_fork_held = table_try_hold(slot);
    for (struct table_slot *slot = table_slots(); slot != NULL; slot = slot->sibling) {
        if (slot->is_fork_held)
            (void)pthread_mutex_lock(&slot->socket->lock);
    }
    (void)pthread_mutex_lock(process_sched_lock());
    progress_lock();
    give_records();
    present = calloc(1, sizeof(*present));
    if (present != NULL) {
        present->pid = getpid();
        present->pidfd = (int)syscall(SYS_pidfd_open, present->pid, 0);
    }
}

static void unlock_all(void)
{
    progress_unlock();
    (void)pthread_mutex_unlock(process_sched_lock());
    for (struct table_slot *slot = table_slots(); slot != NULL; slot = slot->sibling) {
        if (slot->is_fork_held)
            (void)pthread_mutex_unlock(&slot->socket->lock);
    }
    table_unlock();
    process_unlock();
}

/* ---- after it ---- */

static void in_parent(void)
{
    unlock_all();
    /* Nobody else forks meanwhile: the C library runs the handlers of one fork at a time. */
    for (struct table_slot *slot = table_slots(); slot != NULL; slot = slot->sibling) {
        if (slot->is_fork_held) {
            slot->is_fork_held = false;
            table_put(slot);
        }
    }
    if (present != NULL && present->pidfd >= 0)
        (void)close(present->pidfd);
    free(present);
    present = NULL;
}

static void forget_threads(struct socket *socket)
{
    TAILQ_INIT(&socket->waiters);
    socket->leader = NULL;
    socket->room_wanted = 0;
    socket->shared_wanted = 0;
    socket->is_leader_asleep = false;
    socket->is_leader_called = false;
    atomic_store(&socket->contenders, 0);
}

static void in_child(void)
{
    (void)atomic_fetch_add(&generation, 1);
    forked_at = clock_now();
    progress_reset();
    if (present != NULL) {
        present->next = ancestors;
        ancestors = present;
        present = NULL;
    }
    for (struct table_slot *slot = table_slots(); slot != NULL; slot = slot->sibling) {
        if (slot->is_fork_held) {
            forget_threads(slot->socket);
            /* The parent's messages are not ours to grant anything to. */
            homa_engine_detach(slot->socket->engine);
            atomic_store(&slot->uses, 1);
        }
    }
    wait_forget_spinners();
    unlock_all();
    for (struct table_slot *slot = table_slots(); slot != NULL; slot = slot->sibling) {
        bool is_closed = slot->is_fork_held && slot->socket->is_closed;

        slot->is_fork_held = false;
        /* Only threads that are gone still held on to it. */
        if (is_closed)
            table_put(slot);
    }
}

int fork_install(void)
{
    return -pthread_atfork(prepare, in_parent, in_child);
}

/* ---- taking over ---- */

static bool is_alive(pid_t pid)
{
    for (const struct fork_ancestor *at = ancestors; at != NULL; at = at->next) {
        struct pollfd ended = {.fd = at->pidfd, .events = POLLIN};

        if (at->pid == pid && at->pidfd >= 0)
            return poll(&ended, 1, 0) == 0;
    }
    return kill(pid, 0) == 0 || errno != ESRCH;
}

/* Makes this process the owner in the eyes of all others, if the present one is done. */
static bool take_record(struct socket *socket)
{
    pid_t owner = atomic_load(socket->fork_owner);

    if (owner == getpid())
        return true; /* taken before, by a call that failed afterwards */
    if (owner != 0 && is_alive(owner))
        return false;
    return atomic_compare_exchange_strong(socket->fork_owner, &owner, getpid());
}

static int fail_busy(struct socket *socket)
{
    if (socket->fork_owner == NULL)
        return sentence_fail(socket, EBUSY,
                             "the socket belongs to the process that forked this one");
    return sentence_fail(socket, EBUSY,
                         "the socket belongs to process %d until that has closed it or ended",
                         (int)atomic_load(socket->fork_owner));
}

int fork_claim(struct socket *socket)
{
    int wake_descriptor = -1;
    int result = 0;

    while (socket->fork_owner == NULL || !take_record(socket)) {
        if (socket->fork_owner == NULL || clock_now() - forked_at > GRACE_NS)
            return fail_busy(socket);
        (void)poll(NULL, 0, LOOK_EVERY);
    }
    /* The old one is shared with others, whose leaders it would wake. */
    wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_descriptor < 0)
        return sentence_fail(socket, errno, "no descriptor left for taking the socket over");
    (void)close(socket->wake_descriptor);
    socket->wake_descriptor = wake_descriptor;
    ready_reset(socket);
    result = progress_watch(socket, clock_now());
    if (result != 0)
        return sentence_fail(socket, -result, "cannot start looking after the socket: %s",
                             strerror(-result));
    (void)pthread_mutex_lock(process_sched_lock());
    homa_engine_attach(socket->engine, process_sched(), socket, wire_capacity(socket->wire) / 2);
    (void)pthread_mutex_unlock(process_sched_lock());
    socket->fork_generation = fork_generation();
    (void)pump(socket, clock_now());
    pump_settle(socket, NULL);
    return 0;
}

void fork_give_up(struct socket *socket)
{
    pid_t self = getpid();

    if (socket->fork_owner != NULL && !fork_is_foreign(socket))
        (void)atomic_compare_exchange_strong(socket->fork_owner, &self, 0);
}

void fork_forget(struct socket *socket)
{
    if (socket->fork_page == NULL)
        return;
    table_lock();
    page_put(socket->fork_page);
    table_unlock();
}
