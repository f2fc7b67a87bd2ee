/*
 * The ledger behind the grant scheduler. Allocates nothing after homa_ledger_open().
 *
 * Remaining bytes only shrink, so most reports leave a message where it is, which one look at its
 * neighbour tells; everything else is logarithmic. Only stalling a sender and hearing from it again
 * walk its messages, at most once per millisecond.
 *
 * A message's key changes while it is in its trees. That is sound because removing from a red-black
 * tree compares nothing, and nothing is inserted before the changed message is back in order.
 */
#include "homa/sched_ledger.h"

#include <assert.h>
#include <errno.h>

#define OLDEST_LOOKED_AT 32u /* messages of stalled senders passed over in search of the oldest */

static int compare_messages(const struct homa_sched_message *a, const struct homa_sched_message *b)
{
    uint32_t remaining_a = a->length - a->received;
    uint32_t remaining_b = b->length - b->received;

    if (remaining_a != remaining_b)
        return remaining_a < remaining_b ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

static int compare_ranks(const struct homa_sender *a, const struct homa_sender *b)
{
    return compare_messages(a->best, b->best);
}

/* Orders senders by what base_address_same_host() compares. */
static int compare_addresses(const struct homa_sender *a, const struct homa_sender *b)
{
    const struct base_address *x = &a->remote;
    const struct base_address *y = &b->remote;
    int order = memcmp(&x->remote, &y->remote, sizeof(x->remote));

    if (order == 0)
        order = (x->scope > y->scope) - (x->scope < y->scope);
    return order;
}

/* clang-format off */
BASE_TREE_GENERATE(homa_needy_tree, homa_sched_message, place, compare_messages)
BASE_TREE_GENERATE(homa_rank_tree, homa_sender, by_rank, compare_ranks)
BASE_TREE_GENERATE(homa_address_tree, homa_sender, by_address, compare_addresses)
/* clang-format on */

int homa_ledger_open(struct homa_ledger *ledger, uint32_t max_messages)
{
    *ledger = (struct homa_ledger){0};
    RB_INIT(&ledger->by_address);
    RB_INIT(&ledger->by_rank);
    TAILQ_INIT(&ledger->by_age);
    TAILQ_INIT(&ledger->silent);
    LIST_INIT(&ledger->owners);
    int error = base_pool_open(&ledger->messages, sizeof(struct homa_sched_message), max_messages);

    if (error == 0)
        error = base_pool_open(&ledger->senders, sizeof(struct homa_sender), max_messages);
    if (error != 0)
        homa_ledger_close(ledger);
    return error;
}

void homa_ledger_close(struct homa_ledger *ledger)
{
    base_pool_close(&ledger->messages);
    base_pool_close(&ledger->senders);
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* ---- senders: rank, silence and what they owe ---- */

/* Brings the sender's place among the ranked up to date after any change but a shrunken best. */
static void rank(struct homa_ledger *ledger, struct homa_sender *sender)
{
    if (sender->is_ranked) {
        RB_REMOVE(homa_rank_tree, &ledger->by_rank, sender);
        ledger->ranked--;
    }
    sender->best = RB_MIN(homa_needy_tree, &sender->needy);
    sender->is_ranked = sender->best != NULL && !sender->is_stalled;
    if (sender->is_ranked) {
        RB_INSERT(homa_rank_tree, &ledger->by_rank, sender);
        ledger->ranked++;
    }
    ledger->has_changed = true;
}

/* The same after a message of the sender's has fewer bytes remaining; usually nothing moves. */
static void rank_after_progress(struct homa_ledger *ledger, struct homa_sched_message *message)
{
    struct homa_sender *sender = message->sender;
    struct homa_sched_message *before = RB_PREV(homa_needy_tree, &sender->needy, message);

    if (before != NULL && compare_messages(before, message) > 0) {
        RB_REMOVE(homa_needy_tree, &sender->needy, message);
        RB_INSERT(homa_needy_tree, &sender->needy, message);
        rank(ledger, sender);
        return;
    }
    if (sender->is_ranked && sender->best == message) {
        struct homa_sender *ahead = RB_PREV(homa_rank_tree, &ledger->by_rank, sender);

        if (ahead != NULL && compare_ranks(ahead, sender) > 0)
            rank(ledger, sender);
    }
}

/* Adds to, or takes from, the sums what counts of all of a sender's messages. */
static void count_sender(struct homa_ledger *ledger, struct homa_sender *sender, bool adds)
{
    struct homa_sched_message *message;

    LIST_FOREACH(message, &sender->messages, of_sender) {
        uint64_t bytes = homa_ledger_counted(message);

        message->owner->outstanding += adds ? bytes : -bytes;
        ledger->outstanding += adds ? bytes : -bytes;
    }
}

static void stall(struct homa_ledger *ledger, struct homa_sender *sender)
{
    assert(!sender->is_stalled && sender->owed > 0);
    TAILQ_REMOVE(&ledger->silent, sender, silence);
    sender->is_stalled = true;
    count_sender(ledger, sender, false);
    rank(ledger, sender);
}

static void resume(struct homa_ledger *ledger, struct homa_sender *sender)
{
    assert(sender->is_stalled);
    sender->is_stalled = false;
    count_sender(ledger, sender, true);
    if (sender->owed > 0)
        TAILQ_INSERT_TAIL(&ledger->silent, sender, silence);
    rank(ledger, sender);
}

/* A packet with so many new bytes has come from sender. */
static void hear(struct homa_ledger *ledger, struct homa_sender *sender, uint32_t new_bytes)
{
    sender->new_bytes += lesser(new_bytes, HOMA_LEDGER_ALIVE_BYTES);
    if (sender->new_bytes < HOMA_LEDGER_ALIVE_BYTES)
        return;
    sender->new_bytes = 0;
    sender->silent_since = ledger->now;
    if (sender->is_stalled) {
        resume(ledger, sender);
    } else if (sender->owed > 0) {
        TAILQ_REMOVE(&ledger->silent, sender, silence);
        TAILQ_INSERT_TAIL(&ledger->silent, sender, silence);
    }
}

/* message may send that many bytes more, of which the last `uncounted` are in no sum. */
static void charge(struct homa_ledger *ledger, struct homa_sched_message *message, uint32_t bytes,
                   uint32_t uncounted)
{
    struct homa_sender *sender = message->sender;

    assert(bytes <= message->length - message->granted && uncounted <= bytes);
    if (bytes == 0)
        return;
    message->granted += bytes;
    if (sender->owed == 0) {
        sender->new_bytes = 0;
        sender->silent_since = ledger->now;
        TAILQ_INSERT_TAIL(&ledger->silent, sender, silence);
    }
    sender->owed += bytes;
    sender->counted += bytes - uncounted;
    message->uncounted += uncounted;
    if (!sender->is_stalled) {
        message->owner->outstanding += bytes - uncounted;
        ledger->outstanding += bytes - uncounted;
    }
}

/* message's sender says that it sends so many bytes more: see "Claims" in the header. */
static void claim(struct homa_ledger *ledger, struct homa_sched_message *message, uint32_t bytes)
{
    uint64_t counted = message->sender->counted;
    uint64_t room = ledger->claim_limit > counted ? ledger->claim_limit - counted : 0;

    charge(ledger, message, bytes, bytes > room ? bytes - (uint32_t)room : 0);
}

/* That many of its bytes need not be waited for any more; those that never counted come first. */
static void discharge(struct homa_ledger *ledger, struct homa_sched_message *message,
                      uint32_t bytes)
{
    struct homa_sender *sender = message->sender;

    assert(bytes <= homa_ledger_outstanding(message) && bytes <= sender->owed);
    if (bytes == 0)
        return;
    uint32_t uncounted = lesser(bytes, message->uncounted);
    uint32_t counted = bytes - uncounted;

    assert(counted <= sender->counted);
    message->received += bytes;
    message->uncounted -= uncounted;
    sender->owed -= bytes;
    sender->counted -= counted;
    if (!sender->is_stalled) {
        assert(counted <= message->owner->outstanding && counted <= ledger->outstanding);
        message->owner->outstanding -= counted;
        ledger->outstanding -= counted;
        if (sender->owed == 0)
            TAILQ_REMOVE(&ledger->silent, sender, silence);
    } else if (sender->owed == 0) {
        resume(ledger, sender); /* it waits for us, not we for it */
    }
    ledger->has_changed = true;
}

static struct homa_sender *find_sender(struct homa_ledger *ledger, const struct base_address *peer)
{
    struct homa_sender key = {.remote = *peer};

    return RB_FIND(homa_address_tree, &ledger->by_address, &key);
}

static struct homa_sender *make_sender(struct homa_ledger *ledger, const struct base_address *peer)
{
    struct homa_sender *sender = base_pool_take(&ledger->senders);

    assert(sender != NULL); /* there are as many as messages, and each has a message */
    *sender = (struct homa_sender){.remote = *peer};
    RB_INIT(&sender->needy);
    LIST_INIT(&sender->messages);
    RB_INSERT(homa_address_tree, &ledger->by_address, sender);
    return sender;
}

static void set_clock(struct homa_ledger *ledger, uint64_t now)
{
    if (now > ledger->now)
        ledger->now = now;
}

void homa_ledger_advance(struct homa_ledger *ledger, uint64_t now)
{
    struct homa_sender *sender;

    set_clock(ledger, now);
    while ((sender = TAILQ_FIRST(&ledger->silent)) != NULL &&
           ledger->now - sender->silent_since >= HOMA_LEDGER_STALL_NS)
        stall(ledger, sender);
}

uint64_t homa_ledger_next_stall(const struct homa_ledger *ledger)
{
    const struct homa_sender *sender = TAILQ_FIRST(&ledger->silent);

    return sender == NULL ? UINT64_MAX : sender->silent_since + HOMA_LEDGER_STALL_NS;
}

/* ---- messages ---- */

/* Everything has been granted, or the message is over: its place is free for the next. */
static void end_needs(struct homa_ledger *ledger, struct homa_sched_message *message)
{
    RB_REMOVE(homa_needy_tree, &message->sender->needy, message);
    TAILQ_REMOVE(&ledger->by_age, message, age);
    message->needs_grants = false;
    rank(ledger, message->sender);
}

struct homa_sched_message *homa_ledger_enter(struct homa_ledger *ledger, uint64_t now,
                                             struct homa_sched_owner *owner,
                                             const struct base_address *peer, uint64_t id,
                                             uint32_t length, uint32_t granted, uint32_t received)
{
    assert(received <= length && length > 0);
    struct homa_sender *sender = find_sender(ledger, peer);
    struct homa_sched_message *message = NULL;

    if (sender == NULL || sender->message_count < (ledger->messages.capacity + 1) / 2)
        message = base_pool_take(&ledger->messages);
    if (message == NULL)
        return NULL;
    if (sender == NULL)
        sender = make_sender(ledger, peer);
    *message = (struct homa_sched_message){
        .owner = owner,
        .sender = sender,
        .peer = *peer,
        .id = id,
        .order = ledger->next_order++,
        .length = length,
        .granted = received,
        .received = received,
    };
    sender->message_count++;
    LIST_INSERT_HEAD(&sender->messages, message, of_sender);
    LIST_INSERT_HEAD(&owner->messages, message, of_owner);
    set_clock(ledger, now);
    hear(ledger, message->sender, received);
    if (granted > received)
        claim(ledger, message, lesser(granted, length) - received);
    if (message->granted < length) {
        message->needs_grants = true;
        RB_INSERT(homa_needy_tree, &message->sender->needy, message);
        TAILQ_INSERT_TAIL(&ledger->by_age, message, age);
        rank(ledger, message->sender);
    }
    return message;
}

void homa_ledger_report(struct homa_ledger *ledger, struct homa_sched_message *message,
                        uint64_t now, uint32_t received, uint32_t granted_at_least)
{
    uint32_t granted = granted_at_least > received ? granted_at_least : received;

    assert(received <= message->length);
    set_clock(ledger, now);
    if (received > message->received)
        hear(ledger, message->sender, received - message->received);
    if (granted > message->granted)
        claim(ledger, message, lesser(granted, message->length) - message->granted);
    if (received > message->received)
        discharge(ledger, message, received - message->received);
    if (!message->needs_grants)
        return;
    if (message->granted == message->length)
        end_needs(ledger, message);
    else
        rank_after_progress(ledger, message);
}

void homa_ledger_grant(struct homa_ledger *ledger, struct homa_sched_message *message,
                       uint32_t bytes)
{
    charge(ledger, message, bytes, 0);
    if (message->granted == message->length)
        end_needs(ledger, message);
}

void homa_ledger_strike(struct homa_ledger *ledger, struct homa_sched_message *message)
{
    struct homa_sender *sender = message->sender;

    if (message->needs_grants)
        end_needs(ledger, message);
    discharge(ledger, message, homa_ledger_outstanding(message));
    sender->message_count--;
    LIST_REMOVE(message, of_sender);
    LIST_REMOVE(message, of_owner);
    base_pool_give(&ledger->messages, message);
    if (LIST_EMPTY(&sender->messages)) {
        assert(!sender->is_ranked && !sender->is_stalled && sender->owed == 0);
        RB_REMOVE(homa_address_tree, &ledger->by_address, sender);
        base_pool_give(&ledger->senders, sender);
    }
}

/* ---- order ---- */

struct homa_sched_message *homa_ledger_first(struct homa_ledger *ledger)
{
    struct homa_sender *sender = RB_MIN(homa_rank_tree, &ledger->by_rank);

    return sender == NULL ? NULL : sender->best;
}

struct homa_sched_message *homa_ledger_next(struct homa_sched_message *message)
{
    assert(message->sender->is_ranked && message->sender->best == message);
    struct homa_sender *sender = RB_NEXT(homa_rank_tree, NULL, message->sender);

    return sender == NULL ? NULL : sender->best;
}

struct homa_sched_message *homa_ledger_oldest(const struct homa_ledger *ledger)
{
    struct homa_sched_message *message = TAILQ_FIRST(&ledger->by_age);

    for (uint32_t looked_at = 0; looked_at < OLDEST_LOOKED_AT && message != NULL; looked_at++) {
        if (!message->sender->is_stalled)
            return message;
        message = TAILQ_NEXT(message, age);
    }
    return NULL;
}

/* ---- soundness ---- */

/* One sender's books. Counts its messages into *messages. */
static bool is_sender_sound(struct homa_sender *sender, uint32_t *messages)
{
    struct homa_sched_message *message;
    struct homa_sched_message *before = NULL;
    uint64_t owed = 0;
    uint64_t counted = 0;
    uint32_t count = 0;
    uint32_t needy = 0;

    LIST_FOREACH(message, &sender->messages, of_sender) {
        bool is_ours =
            message->sender == sender && base_address_same_host(&message->peer, &sender->remote);
        bool is_in_bounds = message->received <= message->granted &&
                            message->granted <= message->length &&
                            message->uncounted <= homa_ledger_outstanding(message);

        if (!is_ours || !is_in_bounds ||
            message->needs_grants != (message->granted < message->length))
            return false;
        owed += homa_ledger_outstanding(message);
        counted += homa_ledger_counted(message);
        needy += message->needs_grants;
        count++;
    }
    *messages += count;
    RB_FOREACH(message, homa_needy_tree, &sender->needy) {
        if (before != NULL && compare_messages(before, message) >= 0)
            return false;
        before = message;
        needy--;
    }
    return needy == 0 && owed == sender->owed && counted == sender->counted &&
           (!sender->is_stalled || owed > 0) &&
           sender->is_ranked == (!sender->is_stalled && !RB_EMPTY(&sender->needy)) &&
           (!sender->is_ranked || sender->best == RB_MIN(homa_needy_tree, &sender->needy)) &&
           count > 0 && count == sender->message_count;
}

/* Every owner's sum is that of its messages, and the ledger's that of its owners. */
static bool are_sums_sound(const struct homa_ledger *ledger)
{
    const struct homa_sched_owner *owner;
    uint64_t outstanding = 0;
    uint32_t messages = 0;

    LIST_FOREACH(owner, &ledger->owners, attached) {
        const struct homa_sched_message *message;
        uint64_t owners = 0;

        LIST_FOREACH(message, &owner->messages, of_owner) {
            owners += message->sender->is_stalled ? 0 : homa_ledger_counted(message);
            messages++;
        }
        if (owners != owner->outstanding)
            return false;
        outstanding += owners;
    }
    return outstanding == ledger->outstanding && messages == ledger->messages.in_use;
}

bool homa_ledger_is_sound(struct homa_ledger *ledger)
{
    struct homa_sched_message *message;
    struct homa_sender *before = NULL;
    struct homa_sender *sender;
    uint32_t messages = 0;
    uint32_t senders = 0;
    uint32_t ranked = 0;
    uint32_t silent = 0; /* those that ought to be in the list, less those that are */
    uint32_t needy = 0;  /* likewise */

    RB_FOREACH(sender, homa_address_tree, &ledger->by_address) {
        if (!is_sender_sound(sender, &messages))
            return false;
        ranked += sender->is_ranked;
        silent += sender->owed > 0 && !sender->is_stalled;
        RB_FOREACH(message, homa_needy_tree, &sender->needy)
            needy++;
        senders++;
    }
    if (ranked != ledger->ranked || senders != ledger->senders.in_use ||
        messages != ledger->messages.in_use)
        return false;
    RB_FOREACH(sender, homa_rank_tree, &ledger->by_rank) {
        if (before != NULL && compare_ranks(before, sender) >= 0)
            return false;
        before = sender;
        ranked--;
    }
    uint64_t since = 0;

    TAILQ_FOREACH(sender, &ledger->silent, silence) {
        if (sender->silent_since < since)
            return false;
        since = sender->silent_since;
        silent--;
    }
    uint64_t order = 0;

    TAILQ_FOREACH(message, &ledger->by_age, age) {
        if (message->order < order)
            return false;
        order = message->order;
        needy--;
    }
    return ranked == 0 && silent == 0 && needy == 0 && are_sums_sound(ledger);
}
