/*
 * Faults: which packets a rule is about, what it does to them, and that the dice are the seed's.
 * Most tests hand packets to the hook themselves; the last ones watch honest hosts suffer.
 */
#include "sim/fault.h"

#include "small_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PACKETS 20000u

struct fixture {
    struct small_world small;
    struct sim_fault_options options;
    struct sim_fault *fault;
    struct sim_hook hook;
    struct sim_fate fate; /* of the last packet */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return -1;
    small_open(&f->small, 4);
    f->options.seed = 7;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    const struct sim_hook none = {0};

    sim_world_set_hook(f->small.world, &none);
    sim_fault_close(f->fault);
    small_close(&f->small);
    free(f);
    return 0;
}

static struct sim_fault_rule *add_rule(struct fixture *f, enum sim_fault_kind kind, uint32_t chance)
{
    struct sim_fault_rule *rule = &f->options.rules[f->options.rule_count++];

    *rule = (struct sim_fault_rule){.kind = kind, .chance = chance, .end = SIM_NEVER};
    return rule;
}

static void begin(struct fixture *f)
{
    f->fault = sim_fault_open(&f->options, f->small.world);
    f->hook = sim_fault_hook(f->fault);
    sim_world_set_hook(f->small.world, &f->hook);
}

/* Lets the hook decide about a packet. Returns whether it comes. */
static bool pass(struct fixture *f, struct sim_packet *packet)
{
    f->hook.decide(f->hook.context, packet, &f->fate);
    sim_packet_free(sim_world_network(f->small.world), packet);
    return f->fate.copies > 0;
}

static bool pass_data(struct fixture *f, uint32_t from, uint32_t to)
{
    return pass(f, small_data(&f->small, from, to, 1000));
}

static uint64_t acts(const struct fixture *f, enum sim_fault_kind kind)
{
    return sim_fault_counts(f->fault)->acts[kind];
}

/* ---- which packets ---- */

static void without_rules_every_packet_passes_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct sim_packet *packet = small_data(&f->small, 0, 1, 1000);
    struct sim_packet *copy = sim_packet_copy(sim_world_network(f->small.world), packet);

    begin(f);
    f->hook.decide(f->hook.context, packet, &f->fate);
    assert_int_equal(f->fate.copies, 1);
    assert_int_equal(f->fate.delay[0], 0);
    assert_int_equal(packet->length, copy->length);
    assert_memory_equal(packet->bytes, copy->bytes, copy->length);
    assert_string_equal(sim_fault_verdict(f->fault), "");
    assert_int_equal(sim_fault_counts(f->fault)->packets, 1);
    sim_packet_free(sim_world_network(f->small.world), packet);
    sim_packet_free(sim_world_network(f->small.world), copy);
}

static void a_rule_acts_from_its_begin_until_before_its_end(void **state)
{
    struct fixture *f = *state;
    struct sim_fault_rule *rule = add_rule(f, SIM_FAULT_LOSS, SIM_FAULT_ALWAYS);

    rule->begin = 10 * SIM_US;
    rule->end = 20 * SIM_US;
    begin(f);
    assert_true(pass_data(f, 0, 1));
    small_run(&f->small, 10 * SIM_US - 1);
    assert_true(pass_data(f, 0, 1));
    small_run(&f->small, 1);
    assert_false(pass_data(f, 0, 1));
    small_run(&f->small, 10 * SIM_US - 1);
    assert_false(pass_data(f, 0, 1));
    small_run(&f->small, 1);
    assert_true(pass_data(f, 0, 1));
}

static void a_rule_may_be_about_one_direction_only(void **state)
{
    struct fixture *f = *state;
    struct sim_fault_rule *rule = add_rule(f, SIM_FAULT_LOSS, SIM_FAULT_ALWAYS);

    rule->from = 1u << 0;
    rule->to = 1u << 1 | 1u << 2;
    begin(f);
    assert_false(pass_data(f, 0, 1));
    assert_false(pass_data(f, 0, 2));
    assert_true(pass_data(f, 0, 3));
    assert_true(pass_data(f, 1, 0));
}

static void a_rule_both_ways_is_about_the_way_back_too(void **state)
{
    struct fixture *f = *state;
    struct sim_fault_rule *rule = add_rule(f, SIM_FAULT_LOSS, SIM_FAULT_ALWAYS);

    rule->from = 1u << 0;
    rule->to = 1u << 1;
    rule->is_both_ways = true;
    begin(f);
    assert_false(pass_data(f, 0, 1));
    assert_false(pass_data(f, 1, 0));
    assert_true(pass_data(f, 1, 2));
    assert_true(pass_data(f, 2, 0));
}

static void a_rule_may_be_about_one_type_only(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_LOSS, SIM_FAULT_ALWAYS)->types = 1u << (HOMA_GRANT - HOMA_DATA);
    begin(f);
    for (unsigned type = HOMA_DATA + 1; type <= HOMA_ACK; type++)
        assert_int_equal(pass(f, small_control(&f->small, 0, 1, type)), type != HOMA_GRANT);
    assert_true(pass_data(f, 0, 1));
    assert_int_equal(sim_fault_counts(f->fault)->types[HOMA_GRANT - HOMA_DATA], 1);
    assert_int_equal(sim_fault_counts(f->fault)->lost, 1);
}

/* BUSY and ACK in one datagram. */
static struct sim_packet *bundle(struct fixture *f)
{
    struct sim_packet *first = small_control(&f->small, 0, 1, HOMA_BUSY);
    struct sim_packet *second = small_control(&f->small, 0, 1, HOMA_ACK);
    uint8_t *bytes = sim_allocate(first->length + second->length, 1);

    memcpy(bytes, first->bytes, first->length);
    memcpy(bytes + first->length, second->bytes, second->length);
    free(first->bytes);
    first->bytes = bytes;
    first->length += second->length;
    sim_packet_free(sim_world_network(f->small.world), second);
    return first;
}

static void a_bundle_is_of_the_type_of_each_of_its_packets(void **state)
{
    struct fixture *f = *state;
    struct sim_fault_rule *busy = add_rule(f, SIM_FAULT_LOSS, SIM_FAULT_ALWAYS);
    struct sim_fault_rule *ack = add_rule(f, SIM_FAULT_LOSS, SIM_FAULT_ALWAYS);
    struct sim_fault_rule *grant = add_rule(f, SIM_FAULT_LOSS, SIM_FAULT_ALWAYS);

    busy->types = 1u << (HOMA_BUSY - HOMA_DATA);
    busy->end = SIM_US;
    ack->types = 1u << (HOMA_ACK - HOMA_DATA);
    ack->begin = SIM_US;
    ack->end = 2 * SIM_US;
    grant->types = 1u << (HOMA_GRANT - HOMA_DATA);
    begin(f);
    assert_false(pass(f, bundle(f)));
    small_run(&f->small, SIM_US);
    assert_false(pass(f, bundle(f)));
    small_run(&f->small, SIM_US);
    assert_true(pass(f, bundle(f)));
}

/* ---- losses ---- */

static void losses_are_as_frequent_as_their_chance(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_LOSS, 200000);
    begin(f);
    for (unsigned i = 0; i < PACKETS; i++)
        (void)pass_data(f, 0, 1);
    assert_in_range(acts(f, SIM_FAULT_LOSS), PACKETS / 5 * 9 / 10, PACKETS / 5 * 11 / 10);
    assert_int_equal(sim_fault_counts(f->fault)->lost, acts(f, SIM_FAULT_LOSS));
}

static void losses_of_bursts_come_together(void **state)
{
    struct fixture *f = *state;
    struct sim_fault_rule *rule = add_rule(f, SIM_FAULT_BURSTS, 10000);
    unsigned lost = 0;
    unsigned runs = 0;
    bool was_lost = false;

    rule->end_chance = 100000; /* ten packets on average */
    rule->bad_chance = SIM_FAULT_ALWAYS;
    begin(f);
    for (unsigned i = 0; i < PACKETS; i++) {
        bool is_lost = !pass_data(f, 0, 1);

        lost += is_lost;
        runs += is_lost && !was_lost;
        was_lost = is_lost;
    }
    assert_in_range(lost, PACKETS / 20, PACKETS / 6); /* 1 in 11 */
    assert_true(lost > 6 * runs);
}

static void a_burst_is_of_one_link(void **state)
{
    struct fixture *f = *state;
    struct sim_fault_rule *rule = add_rule(f, SIM_FAULT_BURSTS, 1000);

    rule->bad_chance = SIM_FAULT_ALWAYS; /* and once bad it stays so */
    begin(f);
    while (pass_data(f, 0, 1))
        assert_true(sim_fault_counts(f->fault)->packets < PACKETS);
    for (unsigned i = 0; i < 10; i++) {
        assert_false(pass_data(f, 3, 1));
        assert_true(pass_data(f, 0, 2));
    }
}

static void one_packet_is_lost_and_no_other(void **state)
{
    struct fixture *f = *state;
    struct sim_fault_rule *rule = add_rule(f, SIM_FAULT_ONE, 0);

    rule->number = 3;
    rule->from = 1u << 0;
    rule->types = 1u << (HOMA_GRANT - HOMA_DATA);
    begin(f);
    for (unsigned i = 1; i <= 10; i++) {
        assert_true(pass_data(f, 0, 1));
        assert_true(pass(f, small_control(&f->small, 1, 0, HOMA_GRANT)));
        assert_int_equal(pass(f, small_control(&f->small, 0, 1, HOMA_GRANT)), i != 3);
    }
    assert_int_equal(acts(f, SIM_FAULT_ONE), 1);
}

static void damage_that_a_checksum_detects_is_a_loss_of_its_own_kind(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_DETECTED, SIM_FAULT_ALWAYS);
    begin(f);
    assert_false(pass_data(f, 0, 1));
    assert_int_equal(acts(f, SIM_FAULT_DETECTED), 1);
    assert_int_equal(acts(f, SIM_FAULT_LOSS), 0);
    assert_false(sim_fault_was_changed(f->fault, 0, 1));
    assert_string_equal(sim_fault_verdict(f->fault), "lost: detected");
}

static void of_several_rules_the_first_has_lost_the_packet(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_PARTITION, SIM_FAULT_ALWAYS);
    add_rule(f, SIM_FAULT_LOSS, SIM_FAULT_ALWAYS);
    begin(f);
    assert_false(pass_data(f, 0, 1));
    assert_int_equal(acts(f, SIM_FAULT_PARTITION), 1);
    assert_int_equal(acts(f, SIM_FAULT_LOSS), 0);
    assert_int_equal(sim_fault_counts(f->fault)->lost, 1);
}

/* ---- copies and delays ---- */

static void a_duplicate_comes_later(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_DUPLICATE, SIM_FAULT_ALWAYS)->delay = 50 * SIM_US;
    begin(f);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(pass_data(f, 0, 1));
        assert_int_equal(f->fate.copies, 2);
        assert_int_equal(f->fate.delay[0], 0);
        assert_in_range(f->fate.delay[1], 1, 50 * SIM_US);
    }
}

static void a_duplicate_of_a_late_packet_is_later_still(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_DUPLICATE, SIM_FAULT_ALWAYS)->delay = SIM_US;
    add_rule(f, SIM_FAULT_SPIKE, SIM_FAULT_ALWAYS)->delay = SIM_MS;
    begin(f);
    assert_true(pass_data(f, 0, 1));
    assert_int_equal(f->fate.delay[0], SIM_MS);
    assert_in_range(f->fate.delay[1], SIM_MS + 1, SIM_MS + SIM_US);
}

static void a_lost_packet_has_no_copies(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_DUPLICATE, SIM_FAULT_ALWAYS);
    add_rule(f, SIM_FAULT_LOSS, SIM_FAULT_ALWAYS);
    begin(f);
    assert_false(pass_data(f, 0, 1));
}

static void reordering_delays_some_packets(void **state)
{
    struct fixture *f = *state;
    unsigned late = 0;

    add_rule(f, SIM_FAULT_REORDER, 100000)->delay = 30 * SIM_US;
    begin(f);
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(pass_data(f, 0, 1));
        assert_true(f->fate.delay[0] <= 30 * SIM_US);
        late += f->fate.delay[0] > 0;
    }
    assert_in_range(late, 60, 150);
}

static void all_packets_wait_for_the_end_of_a_spike(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_SPIKE, SIM_FAULT_ALWAYS)->delay = 5 * SIM_MS;
    begin(f);
    assert_true(pass_data(f, 0, 1));
    assert_int_equal(f->fate.delay[0], 5 * SIM_MS);
    small_run(&f->small, 2 * SIM_MS);
    assert_true(pass_data(f, 0, 1));
    assert_int_equal(f->fate.delay[0], 3 * SIM_MS);
    assert_string_equal(sim_fault_verdict(f->fault), "late: 3000.000 us");
}

static void delays_add_up_to_the_limit_at_most(void **state)
{
    struct fixture *f = *state;

    f->options.delay_limit = 6 * SIM_MS;
    add_rule(f, SIM_FAULT_SPIKE, SIM_FAULT_ALWAYS)->delay = 5 * SIM_MS;
    add_rule(f, SIM_FAULT_SPIKE, SIM_FAULT_ALWAYS)->delay = 4 * SIM_MS;
    add_rule(f, SIM_FAULT_DUPLICATE, SIM_FAULT_ALWAYS)->delay = 9 * SIM_MS;
    begin(f);
    assert_true(pass_data(f, 0, 1));
    assert_int_equal(f->fate.delay[0], 6 * SIM_MS);
    assert_int_equal(f->fate.delay[1], 6 * SIM_MS);
}

/* ---- changed bytes ---- */

/* Where the packet differs from what it was: first and last byte; false when it does not. */
static bool difference(const struct sim_packet *a, const struct sim_packet *b, uint32_t *first,
                       uint32_t *last)
{
    uint32_t length = a->length < b->length ? a->length : b->length;
    bool is_found = false;

    for (uint32_t i = 0; i < length; i++) {
        if (a->bytes[i] == b->bytes[i])
            continue;
        *first = is_found ? *first : i;
        *last = i;
        is_found = true;
    }
    return is_found;
}

static void a_changed_header_is_changed_there_only(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_HEADER, SIM_FAULT_ALWAYS);
    begin(f);
    for (unsigned i = 0; i < 500; i++) {
        struct sim_packet *packet = small_data(&f->small, 0, 1, 1000);
        struct sim_packet *copy = sim_packet_copy(sim_world_network(f->small.world), packet);
        uint32_t first = 0;
        uint32_t last = 0;

        f->hook.decide(f->hook.context, packet, &f->fate);
        assert_int_equal(f->fate.copies, 1);
        assert_int_equal(packet->length, copy->length);
        assert_true(difference(packet, copy, &first, &last));
        assert_true(last < HOMA_DATA_HEADER_LENGTH);
        sim_packet_free(sim_world_network(f->small.world), packet);
        sim_packet_free(sim_world_network(f->small.world), copy);
    }
    assert_true(sim_fault_was_changed(f->fault, 0, 1));
    assert_false(sim_fault_was_changed(f->fault, 1, 0));
    assert_string_equal(sim_fault_verdict(f->fault), "changed: header");
}

static void a_changed_payload_leaves_the_header_alone(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_PAYLOAD, SIM_FAULT_ALWAYS);
    begin(f);
    for (unsigned i = 0; i < 500; i++) {
        struct sim_packet *packet = small_data(&f->small, 0, 1, 1 + i);
        struct sim_packet *copy = sim_packet_copy(sim_world_network(f->small.world), packet);
        uint32_t first = 0;
        uint32_t last = 0;

        f->hook.decide(f->hook.context, packet, &f->fate);
        assert_true(difference(packet, copy, &first, &last));
        assert_true(first >= HOMA_DATA_HEADER_LENGTH);
        sim_packet_free(sim_world_network(f->small.world), packet);
        sim_packet_free(sim_world_network(f->small.world), copy);
    }
    assert_true(pass(f, small_control(&f->small, 2, 3, HOMA_RESEND)));
    assert_int_equal(sim_fault_counts(f->fault)->changed, 500);
    assert_false(sim_fault_was_changed(f->fault, 2, 3));
}

static void datagrams_are_cut_and_extended(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_TRUNCATE, SIM_FAULT_ALWAYS)->to = 1u << 1;
    add_rule(f, SIM_FAULT_EXTEND, SIM_FAULT_ALWAYS)->to = 1u << 2;
    begin(f);
    for (unsigned i = 0; i < 200; i++) {
        for (uint32_t to = 1; to <= 2; to++) {
            struct sim_packet *packet = small_data(&f->small, 0, to, 50);
            struct sim_packet *copy = sim_packet_copy(sim_world_network(f->small.world), packet);
            uint32_t first = 0;
            uint32_t last = 0;

            f->hook.decide(f->hook.context, packet, &f->fate);
            assert_int_equal(packet->length < copy->length, to == 1);
            assert_int_equal(packet->length > copy->length, to == 2);
            assert_false(difference(packet, copy, &first, &last));
            sim_packet_free(sim_world_network(f->small.world), packet);
            sim_packet_free(sim_world_network(f->small.world), copy);
        }
    }
}

static void a_packet_of_which_only_the_header_travels_can_be_changed_too(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_HEADER, SIM_FAULT_ALWAYS);
    add_rule(f, SIM_FAULT_PAYLOAD, SIM_FAULT_ALWAYS);
    add_rule(f, SIM_FAULT_EXTEND, SIM_FAULT_ALWAYS);
    begin(f);
    struct sim_packet *packet = small_data(&f->small, 0, 1, 1000);
    uint8_t before[BASE_PACKET_HEADER_MAX];

    free(packet->bytes);
    packet->bytes = NULL;
    memcpy(before, packet->header, sizeof(before));
    f->hook.decide(f->hook.context, packet, &f->fate);
    assert_memory_not_equal(before, packet->header, packet->header_length);
    assert_int_equal(packet->length, HOMA_DATA_HEADER_LENGTH + 1000);
    assert_string_equal(sim_fault_verdict(f->fault), "changed: header");
    sim_packet_free(sim_world_network(f->small.world), packet);
}

static void a_packet_may_be_changed_in_several_ways(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_HEADER, SIM_FAULT_ALWAYS);
    add_rule(f, SIM_FAULT_EXTEND, SIM_FAULT_ALWAYS);
    begin(f);
    assert_true(pass(f, small_control(&f->small, 0, 1, HOMA_BUSY)));
    assert_int_equal(sim_fault_counts(f->fault)->changed, 1);
    assert_string_equal(sim_fault_verdict(f->fault), "changed: header+extend");
    assert_string_equal(sim_fault_verdict(f->fault), ""); /* told once */
}

static void options_say_whether_bytes_can_change(void **state)
{
    struct fixture *f = *state;
    struct sim_fault_rule *rule = add_rule(f, SIM_FAULT_DETECTED, SIM_FAULT_ALWAYS);

    assert_false(sim_fault_changes_bytes(&f->options));
    rule->kind = SIM_FAULT_TRUNCATE;
    assert_true(sim_fault_changes_bytes(&f->options));
    rule->end = rule->begin;
    assert_false(sim_fault_changes_bytes(&f->options));
}

/* ---- dice ---- */

static uint64_t fates_of(struct fixture *f, uint64_t seed)
{
    uint64_t fates = 0;

    f->options.seed = seed;
    sim_fault_close(f->fault);
    begin(f);
    for (unsigned i = 0; i < 64; i++)
        fates = fates << 1 | pass_data(f, 0, 1);
    return fates;
}

static void the_same_seed_gives_the_same_fates(void **state)
{
    struct fixture *f = *state;
    uint64_t first = 0;

    add_rule(f, SIM_FAULT_LOSS, 500000);
    first = fates_of(f, 11);
    assert_true(first == fates_of(f, 11));
    assert_true(first != fates_of(f, 12));
    /* As every machine and compiler has to have it. */
    assert_int_equal(first, 0x995d77e31835e1be);
}

static void switching_a_rule_off_leaves_the_dice_of_the_others(void **state)
{
    struct fixture *f = *state;
    struct sim_fault_rule *first = add_rule(f, SIM_FAULT_REORDER, 500000);
    uint64_t with = 0;

    add_rule(f, SIM_FAULT_LOSS, 500000);
    with = fates_of(f, 11);
    first->end = 0;
    assert_true(with == fates_of(f, 11));
}

/* ---- errors told to senders, and honest hosts ---- */

static void a_closed_port_refuses_requests(void **state)
{
    struct fixture *f = *state;
    uint32_t call = 0;

    add_rule(f, SIM_FAULT_REFUSE, SIM_FAULT_ALWAYS)->tell_delay = 30 * SIM_US;
    begin(f);
    sim_host_close_socket(sim_world_host(f->small.world, 1), 0);
    call = small_request(&f->small, 0, 1, 100);
    small_run(&f->small, 20 * SIM_US);
    assert_int_equal(sim_fault_pending(f->fault), 1);
    assert_false(f->small.calls[call].is_over);
    small_run(&f->small, 20 * SIM_US);
    assert_true(f->small.calls[call].is_over);
    assert_int_equal(f->small.calls[call].error, ENOTCONN);
    assert_int_equal(sim_fault_counts(f->fault)->told[SIM_FAULT_REFUSE], 1);
    assert_int_equal(sim_fault_pending(f->fault), 0);
}

static void a_partition_silences_or_tells(void **state)
{
    struct fixture *f = *state;
    struct sim_fault_rule *silent = add_rule(f, SIM_FAULT_PARTITION, SIM_FAULT_ALWAYS);
    struct sim_fault_rule *told = add_rule(f, SIM_FAULT_PARTITION, SIM_FAULT_ALWAYS);

    silent->to = 1u << 1;
    silent->is_both_ways = true;
    told->to = 1u << 2;
    told->tell_chance = SIM_FAULT_ALWAYS;
    begin(f);
    uint32_t to_silent = small_request(&f->small, 0, 1, 100);
    uint32_t to_told = small_request(&f->small, 0, 2, 100);
    uint32_t to_third = small_request(&f->small, 0, 3, 100);

    small_run(&f->small, SIM_MS);
    assert_false(f->small.calls[to_silent].is_over);
    assert_int_equal(f->small.calls[to_told].error, EHOSTUNREACH);
    assert_true(f->small.calls[to_third].is_right);
    small_run(&f->small, 200 * SIM_MS);
    assert_int_equal(f->small.calls[to_silent].error, ETIMEDOUT);
}

static void see_longest(void *context, enum sim_sight sight, const struct sim_packet *packet)
{
    uint32_t *longest = context;

    if (sight == SIM_DELIVERED && packet->length > *longest)
        *longest = packet->length;
}

static void a_path_that_got_narrow_says_how_narrow(void **state)
{
    struct fixture *f = *state;
    uint32_t longest = 0;
    const struct sim_watcher watcher = {.context = &longest, .see = see_longest};
    struct sim_fault_rule *rule = add_rule(f, SIM_FAULT_PATH, SIM_FAULT_ALWAYS);
    uint32_t call = 0;

    rule->limit = 600;
    rule->tell_chance = SIM_FAULT_ALWAYS;
    begin(f);
    sim_world_set_watcher(f->small.world, &watcher);
    call = small_request(&f->small, 0, 1, 5000);
    small_run(&f->small, 50 * SIM_MS);
    assert_in_range(longest, 590, 600);
    assert_true(acts(f, SIM_FAULT_PATH) > 0);
    assert_true(f->small.calls[call].is_over && f->small.calls[call].is_right);
}

static void a_narrow_path_that_nobody_speaks_of_is_a_hole(void **state)
{
    struct fixture *f = *state;
    uint32_t call = 0;

    add_rule(f, SIM_FAULT_PATH, SIM_FAULT_ALWAYS)->limit = 600;
    begin(f);
    call = small_request(&f->small, 0, 1, 5000);
    uint32_t small_call = small_request(&f->small, 0, 1, 500);

    small_run(&f->small, 300 * SIM_MS);
    assert_int_equal(f->small.calls[call].error, ETIMEDOUT);
    assert_true(f->small.calls[small_call].is_right);
}

static void an_unreachable_protocol_ends_calls(void **state)
{
    struct fixture *f = *state;
    uint32_t call = 0;

    add_rule(f, SIM_FAULT_PROTOCOL, SIM_FAULT_ALWAYS);
    begin(f);
    call = small_request(&f->small, 0, 1, 100);
    small_run(&f->small, SIM_MS);
    assert_int_equal(f->small.calls[call].error, EPROTONOSUPPORT);
}

static void a_sender_that_is_gone_is_told_nothing(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_PROTOCOL, SIM_FAULT_ALWAYS)->tell_delay = SIM_MS;
    begin(f);
    (void)small_request(&f->small, 0, 1, 100);
    small_run(&f->small, 100 * SIM_US);
    assert_int_equal(sim_fault_pending(f->fault), 1);
    sim_host_crash(sim_world_host(f->small.world, 0));
    small_run(&f->small, 2 * SIM_MS);
    assert_int_equal(sim_fault_pending(f->fault), 0);
    assert_int_equal(sim_fault_counts(f->fault)->told[SIM_FAULT_PROTOCOL], 0);
}

static void errors_under_way_are_forgotten_with_the_faults(void **state)
{
    struct fixture *f = *state;
    const struct sim_hook none = {0};
    uint32_t call = 0;

    add_rule(f, SIM_FAULT_PROTOCOL, SIM_FAULT_ALWAYS)->tell_delay = SIM_MS;
    begin(f);
    call = small_request(&f->small, 0, 1, 100);
    small_run(&f->small, 100 * SIM_US);
    sim_world_set_hook(f->small.world, &none);
    sim_fault_close(f->fault);
    f->fault = NULL;
    small_run(&f->small, 50 * SIM_MS);
    assert_true(f->small.calls[call].is_right);
}

static void calls_survive_everything_at_once(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_LOSS, 50000);
    add_rule(f, SIM_FAULT_DETECTED, 20000);
    add_rule(f, SIM_FAULT_DUPLICATE, 100000)->delay = 100 * SIM_US;
    add_rule(f, SIM_FAULT_REORDER, 100000)->delay = 100 * SIM_US;
    add_rule(f, SIM_FAULT_SPIKE, 1000)->delay = 2 * SIM_MS;
    begin(f);
    for (uint32_t i = 0; i < 60; i++)
        (void)small_request(&f->small, i % 4, (i + 1 + i / 4 % 3) % 4, 1 + i * 997);
    small_run(&f->small, 2 * SIM_S);
    for (uint32_t i = 0; i < 60; i++)
        assert_true(f->small.calls[i].is_over && f->small.calls[i].is_right);
    for (uint32_t i = 0; i < f->options.rule_count; i++)
        assert_true(sim_fault_rule_acts(f->fault, i) > 0);
}

/* ---- words ---- */

static void a_rule_is_told_in_a_line(void **state)
{
    char text[200];
    struct sim_fault_rule rule = {.kind = SIM_FAULT_BURSTS,
                                  .begin = SIM_MS,
                                  .end = SIM_NEVER,
                                  .from = 6,
                                  .types = 1u << 1 | 1u << 2,
                                  .chance = 12500,
                                  .end_chance = 200000,
                                  .bad_chance = 900000};

    (void)state;
    sim_fault_rule_text(&rule, text, sizeof(text));
    assert_string_equal(text, "bursts 1.2500 % (ends 20.0000 %, loses 90.0000 %) of GRANT+RESEND "
                              "from hosts 0x6, 1000.000 us to the end");
    sim_fault_rule_text(&rule, text, 10);
    assert_string_equal(text, "bursts 1.");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_rules_every_packet_passes_as_it_is),
        TEST(a_rule_acts_from_its_begin_until_before_its_end),
        TEST(a_rule_may_be_about_one_direction_only),
        TEST(a_rule_both_ways_is_about_the_way_back_too),
        TEST(a_rule_may_be_about_one_type_only),
        TEST(a_bundle_is_of_the_type_of_each_of_its_packets),
        TEST(losses_are_as_frequent_as_their_chance),
        TEST(losses_of_bursts_come_together),
        TEST(a_burst_is_of_one_link),
        TEST(one_packet_is_lost_and_no_other),
        TEST(damage_that_a_checksum_detects_is_a_loss_of_its_own_kind),
        TEST(of_several_rules_the_first_has_lost_the_packet),
        TEST(a_duplicate_comes_later),
        TEST(a_duplicate_of_a_late_packet_is_later_still),
        TEST(a_lost_packet_has_no_copies),
        TEST(reordering_delays_some_packets),
        TEST(all_packets_wait_for_the_end_of_a_spike),
        TEST(delays_add_up_to_the_limit_at_most),
        TEST(a_changed_header_is_changed_there_only),
        TEST(a_changed_payload_leaves_the_header_alone),
        TEST(datagrams_are_cut_and_extended),
        TEST(a_packet_of_which_only_the_header_travels_can_be_changed_too),
        TEST(a_packet_may_be_changed_in_several_ways),
        TEST(options_say_whether_bytes_can_change),
        TEST(the_same_seed_gives_the_same_fates),
        TEST(switching_a_rule_off_leaves_the_dice_of_the_others),
        TEST(a_closed_port_refuses_requests),
        TEST(a_partition_silences_or_tells),
        TEST(a_path_that_got_narrow_says_how_narrow),
        TEST(a_narrow_path_that_nobody_speaks_of_is_a_hole),
        TEST(an_unreachable_protocol_ends_calls),
        TEST(a_sender_that_is_gone_is_told_nothing),
        TEST(errors_under_way_are_forgotten_with_the_faults),
        TEST(calls_survive_everything_at_once),
        cmocka_unit_test(a_rule_is_told_in_a_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
