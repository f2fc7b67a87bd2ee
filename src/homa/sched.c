/*
 * The grant scheduler's decisions: who gets how many bytes, at which priority. Called for messages
 * longer than their unscheduled bytes only, under the lock of the host's scheduler; allocates
 * nothing after homa_sched_open(). Who wants grants and who owes bytes is kept in sched_ledger.c.
 *
 * When a grant is worth its packet. One per packet received would double the packets. A grant is
 * issued when it moves a message's limit by a quarter of the window, or grant_bytes if that is
 * less; or reaches the message's end; or the message has nothing outstanding, however little there
 * is to give. The last rule is what makes a deadlock impossible: of those who wait for nothing but
 * a grant the first one gets it as long as there is any room, unless the room is kept for a message
 * ahead of it, which then is owed bytes; and whoever owes bytes will send or be stalled, and both
 * lead to another run.
 *
 * The oldest. Every byte granted earns grant_fifo_fraction thousandths of a byte for the message
 * that came first. When they make up fifo_grant_increment, that much is due to it before anybody
 * else is served, its window permitting. It travels at the highest scheduled level, or it
 * would wait in the network instead of here.
 */
#include "homa/sched.h"

#include "homa/sched_ledger.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define THOUSANDTHS 1000u

struct homa_sched {
    struct homa_ledger ledger;
    uint64_t fifo_credit; /* thousandths of bytes earned by the oldest message */
    uint32_t fifo_due;    /* bytes that it is to get next */
    bool is_short;        /* in the last run somebody got less than wanted for want of room */

    /* From the knobs. */
    uint32_t window;
    uint32_t max_incoming;
    uint32_t max_overcommit;
    uint32_t levels; /* priority levels for scheduled bytes: 0 .. levels - 1 */
    uint32_t grant_bytes;
    uint32_t fifo_fraction;
    uint32_t fifo_increment;
};

/* Where homa_sched_run() puts its decisions. */
struct grant_list {
    struct homa_grant *grants;
    size_t count;
    size_t max;
};

/* What is left of a limit. */
static uint64_t rest(uint64_t limit, uint64_t used)
{
    return limit > used ? limit - used : 0;
}

/* The lesser of a length and something that may be longer. */
static uint32_t at_most(uint32_t length, uint64_t limit)
{
    return length < limit ? length : (uint32_t)limit;
}

int homa_sched_open(struct homa_sched **sched, const struct homa_knobs *knobs,
                    uint32_t max_messages)
{
    struct homa_sched *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return -ENOMEM;
    int error = homa_ledger_open(&made->ledger, max_messages);

    if (error != 0) {
        free(made);
        return error;
    }
    homa_sched_set_knobs(made, knobs);
    *sched = made;
    return 0;
}

void homa_sched_close(struct homa_sched *sched)
{
    if (sched == NULL)
        return;
    homa_ledger_close(&sched->ledger);
    free(sched);
}

/* The levels below the lowest one that unscheduled bytes use; level 0 in any case. */
static uint32_t scheduled_levels(const struct homa_knobs *knobs)
{
    uint32_t lowest = 0;

    while (lowest < knobs->num_priorities - 1 && knobs->unsched_cutoffs[lowest] == 0)
        lowest++;
    return lowest > 0 ? lowest : 1;
}

/*
 * What one sender may owe, and what its claims count for. Not just a window: what an earlier and
 * longer message of it was granted may wait there, behind what the sender has for others, and the
 * shorter one that comes now must not wait for that.
 */
static uint32_t one_sender_s_most(const struct homa_sched *sched)
{
    uint32_t half = sched->max_incoming / 2;
    uint32_t most = sched->window > half ? sched->window : half;

    return most > 0 ? most : 1; /* with none nobody would ever be granted anything */
}

void homa_sched_set_knobs(struct homa_sched *sched, const struct homa_knobs *knobs)
{
    sched->window = knobs->window;
    sched->max_incoming = knobs->max_incoming;
    sched->max_overcommit = knobs->max_overcommit;
    sched->levels = scheduled_levels(knobs);
    sched->grant_bytes = knobs->grant_bytes;
    sched->fifo_fraction = knobs->grant_fifo_fraction;
    sched->fifo_increment = knobs->fifo_grant_increment;
    sched->ledger.claim_limit = one_sender_s_most(sched);
    sched->ledger.has_changed = true;
}

void homa_sched_attach(struct homa_sched *sched, struct homa_sched_owner *owner, void *cookie,
                       uint64_t limit_bytes)
{
    assert(limit_bytes > 0);
    *owner = (struct homa_sched_owner){.cookie = cookie, .limit_bytes = limit_bytes};
    LIST_INIT(&owner->messages);
    LIST_INSERT_HEAD(&sched->ledger.owners, owner, attached);
}

void homa_sched_detach(struct homa_sched *sched, struct homa_sched_owner *owner)
{
    while (!LIST_EMPTY(&owner->messages))
        homa_ledger_strike(&sched->ledger, LIST_FIRST(&owner->messages));
    assert(owner->outstanding == 0);
    LIST_REMOVE(owner, attached);
    assert(homa_ledger_is_sound(&sched->ledger));
}

static struct homa_sched_message *message_at(const struct homa_sched *sched, homa_sched_slot slot)
{
    assert(slot < sched->ledger.messages.touched);
    return base_pool_at(&sched->ledger.messages, slot);
}

homa_sched_slot homa_sched_add(struct homa_sched *sched, uint64_t now,
                               struct homa_sched_owner *owner, const struct base_address *peer,
                               uint64_t id, uint32_t length, uint32_t granted, uint32_t received)
{
    struct homa_sched_message *message =
        homa_ledger_enter(&sched->ledger, now, owner, peer, id, length, granted, received);

    if (message == NULL)
        return HOMA_SCHED_NONE;
    message->priority = (uint8_t)(sched->levels - 1);
    return base_pool_index(&sched->ledger.messages, message);
}

void homa_sched_progress(struct homa_sched *sched, homa_sched_slot slot, uint64_t now,
                         uint32_t received, uint32_t granted_at_least)
{
    homa_ledger_report(&sched->ledger, message_at(sched, slot), now, received, granted_at_least);
}

void homa_sched_remove(struct homa_sched *sched, homa_sched_slot slot)
{
    homa_ledger_strike(&sched->ledger, message_at(sched, slot));
}

uint32_t homa_sched_granted(const struct homa_sched *sched, homa_sched_slot slot)
{
    return message_at(sched, slot)->granted;
}

uint8_t homa_sched_priority(const struct homa_sched *sched, homa_sched_slot slot)
{
    return message_at(sched, slot)->priority;
}

/* ---- decisions ---- */

static uint32_t active_count(const struct homa_sched *sched)
{
    return at_most(sched->max_overcommit, sched->ledger.ranked);
}

static uint32_t window_now(const struct homa_sched *sched)
{
    uint32_t window = sched->window;

    if (window == 0)
        window = sched->max_incoming / (active_count(sched) + 1);
    return window > 0 ? window : 1;
}

/* Bytes that may be granted to a message of this owner now. */
static uint64_t room_for(const struct homa_sched *sched, const struct homa_sched_owner *owner)
{
    uint64_t room = rest(sched->max_incoming, sched->ledger.outstanding);
    uint64_t owners = rest(owner->limit_bytes, owner->outstanding);

    return room < owners ? room : owners;
}

/* What the message lacks to its window or its end, while its sender owes no more than `most`. */
static uint32_t wanted_by(const struct homa_sched_message *message, uint32_t window, uint64_t most)
{
    uint32_t lacking =
        at_most(message->length - message->granted, rest(window, homa_ledger_outstanding(message)));

    return at_most(lacking, rest(most, message->sender->owed));
}

/* Few active messages use the lowest levels, so that a shorter one that comes can be put above. */
static uint8_t level_of_rank(const struct homa_sched *sched, uint32_t rank)
{
    return (uint8_t)rest(at_most(sched->levels, active_count(sched)), rank + 1);
}

/* What is worth a GRANT packet to a message that has bytes outstanding. */
static uint32_t worth(uint32_t grant_bytes, uint32_t window)
{
    return at_most(grant_bytes, window / 4);
}

uint32_t homa_sched_grant_worth(const struct homa_knobs *knobs)
{
    uint32_t window = knobs->window;

    if (window == 0)
        window = knobs->max_incoming / (knobs->max_overcommit + 1);
    return window < 4 ? 1 : worth(knobs->grant_bytes, window);
}

/* See the head of this file. */
static bool is_worth_a_grant(const struct homa_sched *sched,
                             const struct homa_sched_message *message, uint32_t bytes,
                             uint32_t window)
{
    return bytes > 0 &&
           (bytes >= worth(sched->grant_bytes, window) || homa_ledger_outstanding(message) == 0 ||
            bytes == message->length - message->granted);
}

static void give(struct homa_sched *sched, struct homa_sched_message *message, uint32_t bytes,
                 uint8_t priority, struct grant_list *list)
{
    assert(list->count < list->max);
    message->priority = priority;
    homa_ledger_grant(&sched->ledger, message, bytes);
    sched->fifo_credit += (uint64_t)bytes * sched->fifo_fraction;
    list->grants[list->count++] = (struct homa_grant){
        .owner = message->owner,
        .peer = message->peer,
        .id = message->id,
        .offset = message->granted,
        .priority = priority,
    };
}

/*
 * Gives the oldest message its share when it has been earned. Returns the bytes that are kept for
 * it until they are worth a grant.
 */
static uint32_t grant_oldest(struct homa_sched *sched, struct grant_list *list)
{
    uint64_t cost = (uint64_t)sched->fifo_increment * THOUSANDTHS;

    if (sched->fifo_due == 0 && sched->fifo_credit >= cost) {
        sched->fifo_due = sched->fifo_increment;
        sched->fifo_credit -= cost;
        if (sched->fifo_credit > cost) /* nobody to give it to for long: no hoarding */
            sched->fifo_credit = cost;
    }
    struct homa_sched_message *message =
        sched->fifo_due > 0 ? homa_ledger_oldest(&sched->ledger) : NULL;

    if (message == NULL)
        return 0;
    uint32_t window = window_now(sched);
    /* A window more than its sender may owe else: its shorter messages do not starve it either. */
    uint64_t most = (uint64_t)one_sender_s_most(sched) + window;
    uint32_t wanted = at_most(sched->fifo_due, wanted_by(message, window, most));
    uint32_t bytes = at_most(wanted, room_for(sched, message->owner));

    sched->is_short |= bytes < wanted;
    if (bytes != sched->fifo_due && !is_worth_a_grant(sched, message, bytes, window))
        return bytes;
    sched->fifo_due -= bytes;
    give(sched, message, bytes, (uint8_t)(sched->levels - 1), list);
    return 0;
}

/*
 * Tops up the active messages, shortest first, leaving `reserved` bytes. Returns true when one has
 * been granted to its end: ranks and window have changed, so that the walk has to begin again.
 *
 * Room that is not yet worth a grant to a message is kept from those behind it; they would eat it
 * up bit by bit. A message that can get nothing only because its owner's wire is full does not hold
 * a place that another owner's could use; as many may be passed over as can be active, to bound the
 * walk.
 */
static bool grant_active(struct homa_sched *sched, uint64_t reserved, struct grant_list *list)
{
    uint32_t places = active_count(sched);
    uint32_t window = window_now(sched);
    uint32_t most = one_sender_s_most(sched);
    uint32_t passed_over = 0;
    uint32_t taken = 0;
    struct homa_sched_message *message = homa_ledger_first(&sched->ledger);

    while (message != NULL && taken < places && list->count < list->max) {
        uint64_t room = rest(room_for(sched, message->owner), reserved);
        uint32_t wanted = wanted_by(message, window, most);
        uint32_t bytes = at_most(wanted, room);
        bool holds_place = room > 0 || homa_ledger_outstanding(message) > 0;

        sched->is_short |= bytes < wanted;
        if (is_worth_a_grant(sched, message, bytes, window)) {
            give(sched, message, bytes, level_of_rank(sched, taken), list);
            if (!message->needs_grants)
                return true;
        } else {
            reserved += bytes;
        }
        if (holds_place || passed_over == places)
            taken++;
        else
            passed_over++;
        message = homa_ledger_next(message);
    }
    return false;
}

size_t homa_sched_run(struct homa_sched *sched, uint64_t now, struct homa_grant *grants, size_t max)
{
    struct grant_list list = {.grants = grants, .max = max};

    assert(max > 0);
    homa_ledger_advance(&sched->ledger, now);
    if (!sched->ledger.has_changed)
        return 0;
    sched->is_short = false;
    uint32_t reserved = grant_oldest(sched, &list);

    while (grant_active(sched, reserved, &list))
        continue;
    sched->ledger.has_changed = list.count == max; /* there may be more to give */
    return list.count;
}

uint64_t homa_sched_deadline(const struct homa_sched *sched)
{
    const struct homa_ledger *ledger = &sched->ledger;
    bool somebody_waits = sched->is_short || ledger->ranked > sched->max_overcommit;

    if (ledger->has_changed && ledger->ranked > 0)
        return ledger->now;
    return somebody_waits ? homa_ledger_next_stall(ledger) : UINT64_MAX;
}

uint64_t homa_sched_outstanding(const struct homa_sched *sched)
{
    return sched->ledger.outstanding;
}

bool homa_sched_wants_grants(const struct homa_sched *sched)
{
    return sched->ledger.ranked > 0;
}

void homa_sched_view(const struct homa_sched *sched,
                     void (*see)(void *context, const struct homa_sched_view *view), void *context)
{
    const struct homa_sched_owner *owner;
    const struct homa_sched_message *message;

    LIST_FOREACH(owner, &sched->ledger.owners, attached) {
        LIST_FOREACH(message, &owner->messages, of_owner) {
            struct homa_sched_view view = {
                .owner = owner,
                .peer = message->peer,
                .id = message->id,
                .order = message->order,
                .owed = message->sender->owed,
                .length = message->length,
                .granted = message->granted,
                .received = message->received,
                .priority = message->priority,
                .is_stalled = message->sender->is_stalled,
            };

            see(context, &view);
        }
    }
}

bool homa_sched_is_sound(struct homa_sched *sched)
{
    return homa_ledger_is_sound(&sched->ledger);
}
