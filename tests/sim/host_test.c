/* One simulated host: its card, its processor, its socket buffer, and what may befall it. */
#include "one_way.h"

#include <errno.h>
#include <string.h>

static struct sim_host *host_of(const struct one_way *world, uint32_t number)
{
    return sim_world_host(world->world, number);
}

/* What was sent, in order: ports or lengths. */
struct sent {
    char ports[128]; /* 'a' for the first socket's */
    uint32_t lengths[128];
    uint32_t count;
    uint32_t overflows;
};

static void see(void *context, enum sim_sight sight, const struct sim_packet *packet)
{
    struct sent *sent = context;

    if (sight == SIM_OVERFLOW)
        sent->overflows++;
    if (sight != SIM_SENT || sent->count == sizeof(sent->ports) - 1)
        return;
    sent->lengths[sent->count] = packet->length;
    sent->ports[sent->count++] = (char)('a' + packet->source_port - ONE_WAY_PORT);
}

static void watch(struct one_way *world, struct sent *sent)
{
    const struct sim_watcher watcher = {.context = sent, .see = see};

    memset(sent, 0, sizeof(*sent));
    sim_world_set_watcher(world->world, &watcher);
}

/* ---- addresses ---- */

static void an_address_names_one_host_or_none(void **state)
{
    struct one_way world;

    (void)state;
    one_way_prepare(&world, 3);
    one_way_open(&world);
    for (uint32_t i = 0; i < 3; i++) {
        struct base_address address = sim_socket_address(sim_host_socket(host_of(&world, i), 0));

        assert_int_equal(sim_address_host(&address), i);
        assert_int_equal(address.port, ONE_WAY_PORT);
    }
    struct base_address none = {.remote = base_ip_from_v4((uint8_t[4]){10, 0, 0, 0})};

    assert_int_equal(sim_address_host(&none), UINT32_MAX);
    none.remote = base_ip_from_v4((uint8_t[4]){10, 1, 0, 1}); /* not 10.0.0.1 */
    assert_int_equal(sim_address_host(&none), UINT32_MAX);
    none.remote = base_ip_from_v4((uint8_t[4]){11, 0, 0, 1});
    assert_int_equal(sim_address_host(&none), UINT32_MAX);
    one_way_close(&world);
}

/* ---- the card ---- */

static void a_lone_message_takes_the_sum_of_its_stations(void **state)
{
    struct one_way world;

    (void)state;
    one_way_prepare(&world, 2);
    one_way_open(&world);
    one_way_send(&world, 0, 1, 0, 100);
    one_way_run(&world, SIM_MS);
    one_way_expect(&world, 0, 1, 100, 1605200);
    assert_int_equal(1605200, SMALL_ALONE);
    assert_int_equal(one_way_rpcs(&world), 0);
    assert_int_equal(sim_host_payloads(host_of(&world, 0)), 0);
    one_way_close(&world);
}

static void packets_leave_back_to_back(void **state)
{
    struct one_way world;

    (void)state;
    one_way_prepare(&world, 5);
    one_way_open(&world);
    for (uint32_t to = 1; to < 5; to++)
        one_way_send(&world, 0, to, 0, 100);
    one_way_run(&world, SIM_MS);
    for (uint32_t i = 0; i < 4; i++)
        one_way_expect(&world, i, i + 1, 100, SMALL_ALONE + i * SMALL);
    one_way_close(&world);
}

static void a_packet_is_chosen_when_the_card_can_begin_and_not_before(void **state)
{
    static const struct {
        sim_time card_queue;
        sim_time waits; /* of the short message, until it starts; it is asked for at 100 ns */
    } known[] = {
        {0, 500000 + FULL - 100000},                /* behind the packet under way */
        {FULL, 500000 + 2 * FULL - 100000},         /* and one in the queue */
        {2 * FULL, 500000 + 3 * FULL - 100000},     /* two */
        {FULL * 3 / 2, 500000 + 2 * FULL - 100000}, /* not two and a half */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct one_way world;

        one_way_prepare(&world, 3);
        world.hosts[0].card_queue = known[i].card_queue;
        one_way_open(&world);
        one_way_send(&world, 0, 1, 0, 14160); /* ten full packets */
        one_way_run(&world, 100000);
        one_way_send(&world, 0, 2, 0, 100);
        one_way_run(&world, SIM_MS);
        one_way_expect(&world, 0, 2, 100, 100000 + known[i].waits - 500000 + SMALL_ALONE);
        /* The long one's last packet left one small packet later than it would have. */
        one_way_expect(&world, 1, 1, 14160, 500000 + 10 * FULL + SMALL + 250000 + FULL + 500000);
        one_way_close(&world);
    }
}

static void what_a_full_card_does_not_take_is_sent_later_in_order(void **state)
{
    static const uint32_t batches[] = {1, 2, 8, 64};

    (void)state;
    for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
        struct one_way world;
        struct sent sent;

        one_way_prepare(&world, 2);
        world.hosts[0].output_batch = batches[i];
        one_way_open(&world);
        watch(&world, &sent);
        one_way_send(&world, 0, 1, 0, 14160 + 10);
        one_way_run(&world, SIM_MS);
        /* 76 + 56 bytes of the last packet: 105,600 ps, behind the last full one on the last link.
         */
        one_way_expect(&world, 0, 1, 14170, 500000 + 10 * FULL + 250000 + FULL + 105600 + 500000);
        assert_int_equal(sent.count, 11);
        for (uint32_t packet = 0; packet < 10; packet++)
            assert_int_equal(sent.lengths[packet], HOMA_DATA_HEADER_LENGTH + 1416);
        assert_int_equal(sent.lengths[10], HOMA_DATA_HEADER_LENGTH + 10);
        one_way_close(&world);
    }
}

static void sockets_take_turns_on_the_card(void **state)
{
    static const struct {
        uint32_t batch;
        sim_time card_queue;
        const char *order;
    } known[] = {
        {1, 0, "abababababab"},
        {3, 10 * FULL, "aaabbbaaabbb"}, /* a batch each */
        {3, 0, "abababababab"},         /* of which the card takes one */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct one_way world;
        struct sent sent;

        one_way_prepare(&world, 2);
        world.hosts[0].sockets = 2;
        world.hosts[1].sockets = 2;
        world.hosts[0].output_batch = known[i].batch;
        world.hosts[0].card_queue = known[i].card_queue;
        one_way_open(&world);
        watch(&world, &sent);
        one_way_send(&world, 0, 1, 0, 6 * 1416);
        one_way_send(&world, 0, 1, 1, 6 * 1416);
        one_way_run(&world, SIM_MS);
        assert_string_equal(sent.ports, known[i].order);
        assert_int_equal(world.count, 2);
        one_way_close(&world);
    }
}

static void a_sender_that_sees_the_cards_backlog_keeps_it_short(void **state)
{
    sim_time taken[2];

    (void)state;
    for (uint32_t sees = 0; sees < 2; sees++) {
        struct one_way world;

        one_way_prepare(&world, 3);
        world.hosts[0].card_queue = SIM_MS; /* takes everything */
        world.hosts[0].sees_backlog = sees == 1;
        world.hosts[0].knobs.flags = 0;
        world.hosts[0].knobs.unsched_bytes = 100000;
        one_way_open(&world);
        one_way_send(&world, 0, 1, 0, 99120); /* 70 packets: 86 µs */
        one_way_run(&world, 100000);
        one_way_send(&world, 0, 2, 0, 100);
        one_way_run(&world, SIM_MS);
        assert_int_equal(world.count, 2);
        taken[sees] = world.events[0].host == 2 ? world.events[0].at : world.events[1].at;
        one_way_close(&world);
    }
    /* Behind all 70, to the picosecond; or behind what lasts 20 µs (one segmented send). */
    assert_int_equal(taken[0], 70 * FULL + SMALL_ALONE);
    assert_in_range(taken[1], FULL + SMALL_ALONE, 25 * SIM_US);
}

static void small_packets_to_one_peer_share_a_datagram_if_bundled(void **state)
{
    static const struct {
        uint32_t length;
        bool bundles;
        const char *parts; /* packets in each datagram */
    } known[] = {
        {100, false, "111111"},
        {100, true, "6"},
        {400, true, "33"},      /* 456 bytes each, and 1,472 in a datagram */
        {1416, true, "111111"}, /* full ones */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct one_way world;
        struct sent sent;
        char parts[8] = {0};

        one_way_prepare(&world, 3);
        world.options.carries_payload = true;
        world.hosts[0].output_batch = 16;
        world.hosts[0].card_queue = SIM_MS;
        world.hosts[0].bundles = known[i].bundles;
        one_way_open(&world);
        watch(&world, &sent);
        for (uint32_t j = 0; j < 6; j++)
            one_way_send(&world, 0, 1, 0, known[i].length);
        one_way_run(&world, SIM_MS);
        assert_true(sent.count < sizeof(parts));
        for (uint32_t j = 0; j < sent.count; j++)
            parts[j] = (char)('0' + sent.lengths[j] / (HOMA_DATA_HEADER_LENGTH + known[i].length));
        assert_string_equal(parts, known[i].parts);
        assert_int_equal(world.count, 6);
        one_way_close(&world);
    }
}

static void a_bundle_comes_as_one_packet(void **state)
{
    struct one_way world;

    (void)state;
    one_way_prepare(&world, 2);
    world.options.carries_payload = true;
    world.hosts[0].output_batch = 16;
    world.hosts[0].card_queue = SIM_MS;
    world.hosts[0].bundles = true;
    one_way_open(&world);
    one_way_send(&world, 0, 1, 0, 100);
    one_way_send(&world, 0, 1, 0, 102);
    one_way_run(&world, SIM_MS);
    /* 156 + 158 + 66 bytes: 304,000 ps on each link. */
    one_way_expect(&world, 0, 1, 100, 500000 + 2 * 304000 + 250000 + 500000);
    one_way_expect(&world, 1, 1, 102, 500000 + 2 * 304000 + 250000 + 500000);
    one_way_close(&world);
}

/* ---- the processor ---- */

static void a_processor_takes_its_time_to_wake_and_to_receive(void **state)
{
    struct one_way world;

    (void)state;
    one_way_prepare(&world, 2);
    world.hosts[1].processor.wake = 2 * SIM_US;
    world.hosts[1].processor.packet_in = SIM_US;
    one_way_open(&world);
    sim_time busy = sim_host_processor_busy(host_of(&world, 1));

    one_way_send(&world, 0, 1, 0, 100);
    one_way_run(&world, SIM_MS);
    one_way_expect(&world, 0, 1, 100, SMALL_ALONE + 3 * SIM_US);
    assert_int_equal(sim_host_processor_busy(host_of(&world, 1)) - busy, SIM_US);
    assert_int_equal(sim_host_processor_busy(host_of(&world, 0)), 0);
    one_way_close(&world);
}

static void a_processor_takes_its_time_to_send(void **state)
{
    struct one_way world;

    (void)state;
    one_way_prepare(&world, 3);
    world.hosts[0].processor.packet_out = 3 * SIM_US; /* slower than the link */
    world.hosts[0].card_queue = SIM_US;
    one_way_open(&world);
    sim_time busy = sim_host_processor_busy(host_of(&world, 0));

    one_way_send(&world, 0, 1, 0, 100);
    one_way_send(&world, 0, 2, 0, 100);
    one_way_run(&world, SIM_MS);
    one_way_expect(&world, 0, 1, 100, SMALL_ALONE + 3 * SIM_US);
    one_way_expect(&world, 1, 2, 100, SMALL_ALONE + 6 * SIM_US);
    assert_int_equal(sim_host_processor_busy(host_of(&world, 0)) - busy, 6 * SIM_US);
    one_way_close(&world);
}

static void a_batch_is_finished_before_the_next_is_looked_at(void **state)
{
    static const struct {
        uint32_t batch;
        sim_time first; /* after waking at SMALL_ALONE + 2 µs */
        sim_time second;
    } known[] = {{1, SIM_US, 2 * SIM_US}, {2, 2 * SIM_US, 2 * SIM_US}, {0, 2 * SIM_US, 2 * SIM_US}};

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct one_way world;

        one_way_prepare(&world, 3);
        world.hosts[2].processor.wake = 2 * SIM_US;
        world.hosts[2].processor.packet_in = SIM_US;
        world.hosts[2].processor.receive_batch = known[i].batch;
        one_way_open(&world);
        one_way_send(&world, 0, 2, 0, 100);
        one_way_send(&world, 1, 2, 0, 101); /* waits for the link, not for the processor */
        one_way_run(&world, SIM_MS);
        one_way_expect(&world, 0, 2, 100, SMALL_ALONE + 2 * SIM_US + known[i].first);
        one_way_expect(&world, 1, 2, 101, SMALL_ALONE + 2 * SIM_US + known[i].second);
        one_way_close(&world);
    }
}

static void a_processor_that_is_awake_needs_no_waking(void **state)
{
    struct one_way world;

    (void)state;
    one_way_prepare(&world, 2);
    world.hosts[1].processor.wake = 2 * SIM_US;
    world.hosts[1].processor.packet_in = 10 * SIM_US;
    one_way_open(&world);
    one_way_send(&world, 0, 1, 0, 100);
    one_way_run(&world, 5 * SIM_US); /* it is busy until SMALL_ALONE + 12 µs */
    one_way_send(&world, 0, 1, 0, 100);
    one_way_run(&world, SIM_MS);
    one_way_expect(&world, 0, 1, 100, SMALL_ALONE + 12 * SIM_US);
    one_way_expect(&world, 1, 1, 100, SMALL_ALONE + 22 * SIM_US);
    one_way_close(&world);
}

static void a_slow_sender_looks_at_arrivals_between_its_packets(void **state)
{
    struct one_way world;

    (void)state;
    one_way_prepare(&world, 3);
    world.hosts[0].processor.packet_out = 5 * SIM_US;
    world.hosts[0].card_queue = 2 * SIM_US;
    one_way_open(&world);
    one_way_send(&world, 0, 1, 0, 14160); /* ten packets: 50 µs of work */
    one_way_send(&world, 2, 0, 0, 100);
    one_way_run(&world, SIM_MS);
    one_way_expect(&world, 0, 0, 100, 5 * SIM_US); /* not at 50 */
    /* The last packet is ready at 50 µs. */
    one_way_expect(&world, 1, 1, 14160, 50 * SIM_US + 2 * FULL + 1250000);
    one_way_close(&world);
}

/* ---- stopped ---- */

static void a_stopped_host_sends_and_takes_nothing_until_its_time(void **state)
{
    struct one_way world;

    (void)state;
    one_way_prepare(&world, 3);
    one_way_open(&world);
    one_way_stop(&world, 0, SIM_MS);
    one_way_stop(&world, 0, SIM_US); /* no earlier */
    one_way_send(&world, 0, 1, 0, 100);
    one_way_send(&world, 2, 0, 0, 100);
    one_way_send(&world, 2, 1, 0, 100); /* others do not notice */
    one_way_run(&world, 10 * SIM_MS);
    one_way_expect(&world, 0, 1, 100, SMALL_ALONE + SMALL);
    one_way_expect(&world, 1, 0, 100, SIM_MS);
    one_way_expect(&world, 2, 1, 100, SIM_MS + SMALL_ALONE);
    one_way_close(&world);
}

static void what_does_not_fit_the_socket_buffer_is_lost(void **state)
{
    struct one_way world;
    struct sent sent;

    (void)state;
    one_way_prepare(&world, 2);
    world.hosts[1].processor.receive_overhead = 100;
    world.hosts[1].processor.receive_buffer = 2 * (HOMA_DATA_HEADER_LENGTH + 100 + 100);
    one_way_open(&world);
    watch(&world, &sent);
    one_way_stop(&world, 1, SIM_MS);
    for (uint32_t i = 0; i < 3; i++)
        one_way_send(&world, 0, 1, 0, 100);
    one_way_run(&world, SIM_MS);
    one_way_expect(&world, 0, 1, 100, SIM_MS);
    one_way_expect(&world, 1, 1, 100, SIM_MS);
    assert_int_equal(world.count, 2);
    assert_int_equal(sim_host_overflows(host_of(&world, 1)), 1);
    assert_int_equal(sent.overflows, 1);
    one_way_send(&world, 0, 1, 0, 101); /* there is room again */
    one_way_run(&world, SIM_MS + SMALL_ALONE + 2 * 800);
    assert_int_equal(world.count, 3);
    one_way_run(&world, SIM_S); /* and the lost one is asked for */
    assert_int_equal(world.count, 4);
    assert_int_equal(world.events[3].error, 0);
    one_way_close(&world);
}

static void time_that_a_host_was_stopped_is_not_held_against_its_peers(void **state)
{
    struct one_way world;

    (void)state;
    one_way_prepare(&world, 2);
    world.hosts[0].knobs.timeout_ticks = 20;
    one_way_open(&world);
    one_way_stop(&world, 1, 15 * SIM_MS); /* the receiver answers at 15 ms */
    one_way_send(&world, 0, 1, 0, 100);
    one_way_run(&world, SIM_MS);
    one_way_stop(&world, 0, 100 * SIM_MS);
    one_way_run(&world, SIM_S);
    assert_int_equal(world.count, 1);
    one_way_expect(&world, 0, 1, 100, 15 * SIM_MS);
    one_way_close(&world);
}

/* ---- timers ---- */

static void a_timer_rings_while_nothing_else_happens(void **state)
{
    struct one_way world;

    (void)state;
    for (uint32_t with_processor = 0; with_processor < 2; with_processor++) {
        one_way_prepare(&world, 2);
        world.hosts[0].knobs.timeout_ticks = 20;
        world.hosts[0].processor.packet_in = with_processor * SIM_US;
        one_way_open(&world);
        sim_host_crash(host_of(&world, 1));
        one_way_send(&world, 0, 1, 0, 100);
        one_way_run(&world, SIM_S);
        assert_int_equal(world.count, 1);
        assert_int_equal(world.events[0].host, 0);
        assert_int_equal(world.events[0].error, ETIMEDOUT);
        assert_in_range(world.events[0].at, 20 * SIM_MS, 22 * SIM_MS);
        assert_int_equal(one_way_rpcs(&world), 0);
        assert_true(sim_clock_next(sim_world_clock(world.world)) == SIM_NEVER); /* all quiet */
        one_way_close(&world);
    }
}

static void a_timer_due_while_the_host_is_stopped_rings_afterwards(void **state)
{
    struct one_way world;

    (void)state;
    one_way_prepare(&world, 2);
    world.hosts[0].knobs.timeout_ticks = 20;
    one_way_open(&world);
    sim_host_crash(host_of(&world, 1));
    one_way_send(&world, 0, 1, 0, 100);
    one_way_run(&world, SIM_MS);
    one_way_stop(&world, 0, 50 * SIM_MS);
    one_way_run(&world, SIM_S);
    assert_int_equal(world.count, 1);
    assert_int_equal(world.events[0].error, ETIMEDOUT);
    assert_in_range(world.events[0].at, 50 * SIM_MS, 72 * SIM_MS);
    one_way_close(&world);
}

/* ---- crash and restart ---- */

static void a_crash_forgets_everything_but_what_the_card_has(void **state)
{
    struct one_way world;
    struct sent sent;

    (void)state;
    one_way_prepare(&world, 3);
    one_way_open(&world);
    watch(&world, &sent);
    one_way_send(&world, 0, 1, 0, 100);
    one_way_send(&world, 0, 1, 0, 14160);
    one_way_send(&world, 2, 0, 0, 100);
    one_way_run(&world, 600000); /* the small packet is on its way, the next is in the card */
    sim_host_crash(host_of(&world, 0));
    assert_false(sim_host_is_up(host_of(&world, 0)));
    assert_int_equal(sim_host_payloads(host_of(&world, 0)), 0);
    sim_host_crash(host_of(&world, 0)); /* nothing more to forget */
    one_way_run(&world, 10 * SIM_US);
    assert_int_equal(sent.count, 3);
    one_way_expect(&world, 0, 1, 100, SMALL_ALONE);
    assert_int_equal(world.count, 1);
    assert_int_equal(sent.overflows, 1); /* came while it was down */
    one_way_close(&world);
}

static void a_host_restarted_is_reached_at_the_same_address(void **state)
{
    struct one_way world;
    uint64_t ids[2];

    (void)state;
    one_way_prepare(&world, 2);
    one_way_open(&world);
    ids[0] = one_way_send(&world, 1, 0, 0, 100);
    one_way_run(&world, SIM_MS);
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t generation = sim_host_socket(host_of(&world, i), 0)->generation;

        sim_host_crash(host_of(&world, i));
        sim_host_restart(host_of(&world, i), 77);
        assert_true(sim_host_is_up(host_of(&world, i)));
        assert_int_equal(sim_host_socket(host_of(&world, i), 0)->generation, generation + 1);
    }
    ids[1] = one_way_send(&world, 1, 0, 0, 100);
    assert_true(ids[1] != ids[0] && ids[1] != ids[0] + 2); /* another seed, other ids */
    one_way_run(&world, 2 * SIM_MS);
    assert_int_equal(world.count, 2);
    one_way_expect(&world, 1, 0, 100, SIM_MS + SMALL_ALONE);
    one_way_close(&world);
}

static void a_crash_ends_a_stop(void **state)
{
    struct one_way world;

    (void)state;
    one_way_prepare(&world, 2);
    one_way_open(&world);
    one_way_stop(&world, 0, SIM_S);
    one_way_send(&world, 1, 0, 0, 100);
    one_way_run(&world, 10 * SIM_US); /* it waits in the buffer */
    sim_host_crash(host_of(&world, 0));
    sim_host_restart(host_of(&world, 0), 77);
    one_way_send(&world, 0, 1, 0, 100);
    one_way_run(&world, SIM_MS);
    one_way_expect(&world, 0, 1, 100, 10 * SIM_US + SMALL_ALONE);
    assert_int_equal(world.count, 1); /* what waited is gone */
    one_way_close(&world);
}

/* ---- one socket ---- */

static void closing_one_socket_leaves_the_other_alone(void **state)
{
    struct one_way world;
    struct sent sent;
    const struct homa_engine *other;

    (void)state;
    one_way_prepare(&world, 2);
    world.hosts[0].sockets = 2;
    world.hosts[1].sockets = 2;
    one_way_open(&world);
    watch(&world, &sent);
    one_way_send(&world, 0, 1, 0, 200000); /* long ones, in the scheduler of the receiver */
    one_way_send(&world, 0, 1, 1, 300000);
    one_way_run(&world, 100 * SIM_US);
    sim_host_close_socket(host_of(&world, 1), 0);
    sim_host_close_socket(host_of(&world, 1), 0); /* closed already */
    other = sim_host_socket(host_of(&world, 1), 1)->engine;
    one_way_run(&world, 2 * SIM_MS);
    assert_int_equal(world.count, 1);
    assert_int_equal(world.events[0].socket, 1);
    assert_int_equal(world.events[0].length, 300000);
    assert_true(sent.overflows > 0); /* to a port that nobody listens on */
    sim_host_restart(host_of(&world, 1), 5);
    assert_ptr_equal(sim_host_socket(host_of(&world, 1), 1)->engine, other);
    assert_int_equal(sim_host_socket(host_of(&world, 1), 0)->generation, 2);
    assert_int_equal(sim_host_socket(host_of(&world, 1), 1)->generation, 1);
    one_way_run(&world, SIM_S); /* the sender is asked for all of it by the new one */
    assert_int_equal(one_way_rpcs(&world), 0);
    one_way_close(&world);
}

static void a_network_error_ends_the_rpcs_with_that_peer_at_once(void **state)
{
    struct one_way world;
    struct base_network_error error = {.error = ECONNREFUSED};

    (void)state;
    one_way_prepare(&world, 3);
    one_way_open(&world);
    sim_host_crash(host_of(&world, 1));
    one_way_send(&world, 0, 1, 0, 100);
    one_way_send(&world, 0, 2, 0, 14160);
    one_way_run(&world, 5 * SIM_US);
    error.to = sim_socket_address(sim_host_socket(host_of(&world, 1), 0));
    sim_host_network_error(host_of(&world, 0), 9, &error); /* of a port that is not ours */
    one_way_run(&world, 6 * SIM_US);
    assert_int_equal(world.count, 0);
    sim_host_network_error(host_of(&world, 1), ONE_WAY_PORT, &error); /* it is down */
    sim_host_network_error(host_of(&world, 0), ONE_WAY_PORT, &error);
    assert_int_equal(world.count, 0); /* later, but in this instant */
    one_way_run(&world, 6 * SIM_US);
    assert_int_equal(world.count, 1);
    assert_int_equal(world.events[0].error, ENOTCONN);
    one_way_run(&world, SIM_MS);
    assert_int_equal(world.count, 2);
    assert_int_equal(world.events[1].length, 14160);
    one_way_close(&world);
}

static void grants_reach_the_senders_of_every_socket(void **state)
{
    struct one_way world;

    (void)state;
    one_way_prepare(&world, 4);
    for (uint32_t i = 0; i < 4; i++) {
        world.hosts[i].sockets = 2;
        world.hosts[i].knobs.max_overcommit = 1;
        world.hosts[i].knobs.grant_fifo_fraction = 0;
        world.hosts[i].knobs.window = 20000;
        world.hosts[i].knobs.unsched_bytes = 5000;
    }
    one_way_open(&world);
    for (uint32_t from = 1; from < 4; from++) {
        one_way_send(&world, from, 0, 0, 500000 + from);
        one_way_send(&world, from, 0, 1, 400000 + from);
    }
    one_way_run(&world, 5 * SIM_MS); /* 2.7 MB: 2.3 ms on the link */
    assert_int_equal(world.count, 6);
    /* One is granted at a time, so that they end shortest first, whatever their socket. */
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(world.events[i].socket, i < 3 ? 1 : 0);
    assert_int_equal(one_way_rpcs(&world), 0);
    one_way_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_names_one_host_or_none),
        cmocka_unit_test(a_lone_message_takes_the_sum_of_its_stations),
        cmocka_unit_test(packets_leave_back_to_back),
        cmocka_unit_test(a_packet_is_chosen_when_the_card_can_begin_and_not_before),
        cmocka_unit_test(what_a_full_card_does_not_take_is_sent_later_in_order),
        cmocka_unit_test(sockets_take_turns_on_the_card),
        cmocka_unit_test(a_sender_that_sees_the_cards_backlog_keeps_it_short),
        cmocka_unit_test(small_packets_to_one_peer_share_a_datagram_if_bundled),
        cmocka_unit_test(a_bundle_comes_as_one_packet),
        cmocka_unit_test(a_processor_takes_its_time_to_wake_and_to_receive),
        cmocka_unit_test(a_processor_takes_its_time_to_send),
        cmocka_unit_test(a_batch_is_finished_before_the_next_is_looked_at),
        cmocka_unit_test(a_processor_that_is_awake_needs_no_waking),
        cmocka_unit_test(a_slow_sender_looks_at_arrivals_between_its_packets),
        cmocka_unit_test(a_stopped_host_sends_and_takes_nothing_until_its_time),
        cmocka_unit_test(what_does_not_fit_the_socket_buffer_is_lost),
        cmocka_unit_test(time_that_a_host_was_stopped_is_not_held_against_its_peers),
        cmocka_unit_test(a_timer_rings_while_nothing_else_happens),
        cmocka_unit_test(a_timer_due_while_the_host_is_stopped_rings_afterwards),
        cmocka_unit_test(a_crash_forgets_everything_but_what_the_card_has),
        cmocka_unit_test(a_host_restarted_is_reached_at_the_same_address),
        cmocka_unit_test(a_crash_ends_a_stop),
        cmocka_unit_test(closing_one_socket_leaves_the_other_alone),
        cmocka_unit_test(a_network_error_ends_the_rpcs_with_that_peer_at_once),
        cmocka_unit_test(grants_reach_the_senders_of_every_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
