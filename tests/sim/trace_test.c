/*
 * Traces: what a packet is in words, which lines a run gives, and that to be watched changes
 * nothing.
 */
#include "sim/trace.h"

#include "homa/packet.h"
#include "sim/fault.h"
#include "small_world.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct small_world small;
    struct sim_trace *trace;
    struct sim_fault_options faults;
    struct sim_fault *fault;
    FILE *file;
    char *text; /* valid after finish() */
    size_t length;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return -1;
    f->file = open_memstream(&f->text, &f->length);
    if (f->file == NULL)
        return -1;
    small_open(&f->small, 3);
    *state = f;
    return 0;
}

static const char *explain(void *context)
{
    struct fixture *f = context;

    return f->fault != NULL ? sim_fault_verdict(f->fault) : "";
}

static void begin(struct fixture *f)
{
    const struct sim_trace_options options = {
        .text = f->file, .explain = explain, .explain_context = f};
    struct sim_watcher watcher;

    if (f->faults.rule_count > 0) {
        f->fault = sim_fault_open(&f->faults, f->small.world);
        struct sim_hook hook = sim_fault_hook(f->fault);

        sim_world_set_hook(f->small.world, &hook);
    }
    f->trace = sim_trace_open(&options, f->small.world);
    watcher = sim_trace_watcher(f->trace);
    sim_world_set_watcher(f->small.world, &watcher);
}

/* Ends the trace and says how many of its lines hold all of the words. */
static void finish(struct fixture *f)
{
    const struct sim_watcher none = {0};

    sim_world_set_watcher(f->small.world, &none);
    sim_trace_close(f->trace);
    f->trace = NULL;
    assert_int_equal(fflush(f->file), 0);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    const struct sim_hook none = {0};

    if (f->trace != NULL)
        finish(f);
    sim_world_set_hook(f->small.world, &none);
    sim_fault_close(f->fault);
    small_close(&f->small);
    (void)fclose(f->file);
    free(f->text);
    free(f);
    return 0;
}

/* Lines with all of these words, in this order. */
static unsigned count_lines(const struct fixture *f, const char *first, const char *second,
                            const char *third)
{
    const char *words[] = {first, second, third};
    unsigned count = 0;

    for (const char *line = f->text; *line != '\0';) {
        const char *end = strchr(line, '\n');
        const char *at = line;

        assert_non_null(end);
        for (int i = 0; i < 3 && at != NULL; i++) {
            at = words[i] == NULL ? at : strstr(at, words[i]);
            if (at != NULL && at > end)
                at = NULL;
        }
        count += at != NULL;
        line = end + 1;
    }
    return count;
}

static struct sim_fault_rule *add_rule(struct fixture *f, enum sim_fault_kind kind)
{
    struct sim_fault_rule *rule = &f->faults.rules[f->faults.rule_count++];

    *rule = (struct sim_fault_rule){.kind = kind, .chance = SIM_FAULT_ALWAYS, .end = SIM_NEVER};
    return rule;
}

/* ---- packets in words ---- */

static void assert_words(const struct homa_packet *packet, uint32_t payload, const char *expected)
{
    struct base_packet encoded;
    uint8_t bytes[200] = {0};
    char text[200];

    homa_packet_encode(packet, HOMA_FORMAT_UDP, &encoded);
    memcpy(bytes, encoded.header, encoded.header_length);
    assert_int_equal(sim_trace_packet_text(bytes, encoded.header_length + payload,
                                           encoded.header_length + payload, text, sizeof(text)),
                     encoded.header_length + payload);
    assert_string_equal(text, expected);
}

static void what_is_no_packet_is_said_to_be_none(void **state)
{
    uint8_t bytes[40] = {[8] = 1, [11] = 0x55};
    char text[100];

    (void)state;
    assert_int_equal(sim_trace_packet_text(bytes, 10, 10, text, sizeof(text)), 10);
    assert_string_equal(text, "(no packet)  10 bytes, too short");
    (void)sim_trace_packet_text(bytes, 40, 40, text, sizeof(text));
    assert_string_equal(text, "(no packet)  40 bytes, unknown type");
    bytes[8] = 2;
    (void)sim_trace_packet_text(bytes, 40, 40, text, sizeof(text));
    assert_string_equal(text, "(no packet)  40 bytes, unknown version");
    (void)sim_trace_packet_text(bytes, 0, 0, text, sizeof(text));
    assert_string_equal(text, "(no packet)  0 bytes, too short");
}

static void every_type_has_its_fields_in_words(void **state)
{
    (void)state;
    assert_words(&(struct homa_packet){.type = HOMA_DATA,
                                       .id = 0x5a,
                                       .data = {.message_length = 9000,
                                                .incoming = 8000,
                                                .offset = 1400,
                                                .ack = {.client_id = 0x58, .server_port = 7},
                                                .cutoff_version = 3,
                                                .retransmit = true}},
                 100, "DATA         id 5a 1400+100/9000 incoming 8000 ack 58:7 cutoffs v3 again");
    assert_words(
        &(struct homa_packet){.type = HOMA_GRANT, .id = 3, .grant = {.offset = 99, .priority = 2}},
        0, "GRANT        id 3 up to 99 level 2");
    assert_words(
        &(struct homa_packet){.type = HOMA_RESEND, .id = 3, .resend = {.length = HOMA_RESEND_ALL}},
        0, "RESEND       id 3 from 0 all");
    assert_words(
        &(struct homa_packet){
            .type = HOMA_RESEND,
            .id = 3,
            .resend = {.offset = 5, .length = 6, .priority = 7, .has_priority = true}},
        0, "RESEND       id 3 from 5 6 bytes level 7");
    assert_words(&(struct homa_packet){.type = HOMA_RPC_UNKNOWN, .id = 3}, 0, "RPC_UNKNOWN  id 3");
    assert_words(&(struct homa_packet){.type = HOMA_CUTOFFS,
                                       .id = 3,
                                       .cutoffs = {.unsched_cutoffs = {[7] = 200, [6] = 2800},
                                                   .version = 4}},
                 0, "CUTOFFS      id 3 v4 7:200 6:2800 5:0 4:0 3:0 2:0 1:0 0:0");
    assert_words(&(struct homa_packet){.type = HOMA_ACK,
                                       .id = 3,
                                       .ack = {.count = 2, .acks = {{0x10, 1}, {0x20, 2}}}},
                 0, "ACK          id 3 10:1 20:2");
}

static void payload_that_is_not_carried_counts(void **state)
{
    const struct homa_packet packet = {
        .type = HOMA_DATA, .id = 2, .data = {.message_length = 5000, .incoming = 5000}};
    struct base_packet encoded;
    char text[100];

    (void)state;
    homa_packet_encode(&packet, HOMA_FORMAT_UDP, &encoded);
    assert_int_equal(
        sim_trace_packet_text(encoded.header, encoded.header_length, 56 + 1400, text, sizeof(text)),
        encoded.header_length);
    assert_string_equal(text, "DATA         id 2 0+1400/5000 incoming 5000");
}

/* ---- a run ---- */

static void a_packet_is_seen_when_it_is_sent_and_when_it_comes(void **state)
{
    struct fixture *f = *state;

    begin(f);
    (void)small_request(&f->small, 0, 1, 100);
    small_run(&f->small, SIM_MS);
    finish(f);
    assert_int_equal(count_lines(f, "sent", "0:2000 -> 1:1000", "0+100/100"), 1);
    assert_int_equal(count_lines(f, "delivered", "0:2000 -> 1:1000", "0+100/100"), 1);
    assert_int_equal(count_lines(f, "sent", "1:1000 -> 0:2000", "0+100/100"), 1);
    assert_int_equal(count_lines(f, "lost", NULL, NULL), 0);
}

static void the_states_of_an_rpc_are_seen_on_both_sides(void **state)
{
    struct fixture *f = *state;

    begin(f);
    (void)small_request(&f->small, 0, 1, 100000);
    small_run(&f->small, 10 * SIM_MS);
    assert_true(f->small.calls[0].is_right);
    finish(f);
    assert_int_equal(count_lines(f, "rpc", "0:2000 -> 1:1000", "begun"), 1);
    assert_int_equal(count_lines(f, "rpc", "1:1000 <- 0:2000", "begun"), 1);
    assert_true(count_lines(f, "rpc", "1:1000 <- 0:2000", "grants") > 2);
    assert_true(count_lines(f, "rpc", "0:2000 -> 1:1000", "granted") > 2);
    assert_int_equal(count_lines(f, "rpc", "1:1000 <- 0:2000", "replying"), 1);
    assert_int_equal(count_lines(f, "rpc", "0:2000 -> 1:1000", "ended"), 1);
    assert_int_equal(count_lines(f, "rpc", "1:1000 <- 0:2000", "ended"), 1);
}

static void lines_are_in_the_order_of_time(void **state)
{
    struct fixture *f = *state;
    double last = 0;
    unsigned lines = 0;

    begin(f);
    for (uint32_t i = 0; i < 6; i++)
        (void)small_request(&f->small, i % 3, (i + 1) % 3, 20000);
    small_run(&f->small, 10 * SIM_MS);
    finish(f);
    for (const char *line = f->text; *line != '\0'; line = strchr(line, '\n') + 1) {
        double at = strtod(line, NULL);

        assert_true(at >= last);
        last = at;
        lines++;
    }
    assert_true(lines > 200);
}

static void a_lost_packet_says_why(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_ONE)->number = 1;
    begin(f);
    (void)small_request(&f->small, 0, 1, 100);
    small_run(&f->small, 50 * SIM_MS);
    assert_true(f->small.calls[0].is_right);
    finish(f);
    assert_int_equal(count_lines(f, "lost", "0:2000 -> 1:1000", "(lost: one)"), 1);
    assert_int_equal(count_lines(f, "(lost: one)", NULL, NULL), 1);
}

static void a_packet_that_something_was_done_to_says_what(void **state)
{
    struct fixture *f = *state;

    add_rule(f, SIM_FAULT_DUPLICATE)->end = 1;
    add_rule(f, SIM_FAULT_HEADER)->end = 1;
    begin(f);
    struct sim_packet *packet = small_data(&f->small, 0, 1, 100);

    sim_world_carry(f->small.world, packet, 0);
    packet = small_data(&f->small, 1, 2, 100);
    sim_world_inject(f->small.world, 1, 1, 2, 2, 0, packet->bytes, packet->length);
    sim_packet_free(sim_world_network(f->small.world), packet);
    small_run(&f->small, SIM_MS);
    finish(f);
    assert_int_equal(count_lines(f, "sent", "0:2000 -> 1:1000", "(changed: header, twice, late: "),
                     1);
    assert_int_equal(count_lines(f, "sent", "1:1 -> 2:2", "(changed"), 0);
}

static void what_a_host_cannot_take_is_refused(void **state)
{
    struct fixture *f = *state;

    begin(f);
    sim_host_crash(sim_world_host(f->small.world, 1));
    (void)small_request(&f->small, 0, 1, 100);
    small_run(&f->small, SIM_MS);
    finish(f);
    assert_true(count_lines(f, "refused", "0:2000 -> 1:1000", "DATA") >= 1);
}

static void sockets_that_close_and_open_are_seen(void **state)
{
    struct fixture *f = *state;

    begin(f);
    f->small.mute = true;
    (void)small_request(&f->small, 0, 1, 100);
    small_run(&f->small, SIM_MS);
    sim_host_crash(sim_world_host(f->small.world, 1));
    sim_trace_event(f->trace, 1, 0, "crash", "%s", "for a while");
    small_run(&f->small, SIM_MS);
    sim_host_restart(sim_world_host(f->small.world, 1), 5);
    sim_trace_event(f->trace, 1, 0, "restart", "%s", "");
    small_run(&f->small, SIM_MS);
    finish(f);
    assert_int_equal(count_lines(f, "socket", "1:1000", "closed"), 1);
    assert_int_equal(count_lines(f, "socket", "closed", "1 RPCs forgotten"), 1);
    assert_int_equal(count_lines(f, "socket", "1:1000", "open"), 1);
    assert_int_equal(count_lines(f, "rpc", "1:1000 <- ", "ended"), 0);
    assert_int_equal(count_lines(f, "event", "1", "crash        for a while"), 1);
    assert_int_equal(count_lines(f, "event", "restart", NULL), 1);
}

static void each_packet_of_a_bundle_has_a_line(void **state)
{
    struct fixture *f = *state;
    struct sim_packet *first = small_control(&f->small, 0, 1, HOMA_BUSY);
    struct sim_packet *second = small_control(&f->small, 0, 1, HOMA_NEED_ACK);
    uint8_t bytes[200];

    begin(f);
    memcpy(bytes, first->bytes, first->length);
    memcpy(bytes + first->length, second->bytes, second->length);
    sim_world_inject(f->small.world, 0, 2000, 1, 1000, 0, bytes, first->length + second->length);
    sim_packet_free(sim_world_network(f->small.world), first);
    sim_packet_free(sim_world_network(f->small.world), second);
    finish(f);
    assert_int_equal(count_lines(f, "sent", " BUSY", NULL), 1);
    assert_int_equal(count_lines(f, "sent", "+NEED_ACK", NULL), 1);
}

static void a_line_looks_like_this(void **state)
{
    struct fixture *f = *state;
    struct sim_packet *packet = small_control(&f->small, 0, 1, HOMA_BUSY);

    begin(f);
    small_run(&f->small, 1234567 * SIM_NS);
    sim_world_inject(f->small.world, 0, 2000, 1, 1000, 3, packet->bytes, packet->length);
    sim_packet_free(sim_world_network(f->small.world), packet);
    finish(f);
    assert_string_equal(f->text, "    1234.567  sent       0:2000 -> 1:1000       BUSY         "
                                 "id 4 p3\n");
}

/* ---- watching ---- */

static uint64_t packets_of_a_run(struct fixture *f, bool is_watched)
{
    struct sim_world_totals totals;

    small_close(&f->small);
    small_open(&f->small, 3);
    if (is_watched)
        begin(f);
    for (uint32_t i = 0; i < 30; i++)
        (void)small_request(&f->small, i % 3, (i + 1) % 3, 1 + i * 1000);
    small_run(&f->small, 5 * SIM_MS);
    sim_world_totals(f->small.world, &totals);
    if (is_watched)
        finish(f);
    return totals.sent << 32 | totals.delivered;
}

static void a_run_that_is_watched_goes_as_it_would_unwatched(void **state)
{
    struct fixture *f = *state;

    assert_true(packets_of_a_run(f, false) == packets_of_a_run(f, true));
    assert_true(count_lines(f, "sent", NULL, NULL) > 500);
}

static void packets_go_to_the_capture_too(void **state)
{
    struct fixture *f = *state;
    static const uint8_t addresses[3][4] = {{10, 0, 0, 1}, {10, 0, 0, 2}, {10, 0, 0, 3}};
    struct sim_pcapng *pcapng = sim_pcapng_open(f->file, 3, addresses);
    const struct sim_trace_options options = {.pcapng = pcapng};
    long head = ftell(f->file);
    struct sim_watcher watcher;

    f->trace = sim_trace_open(&options, f->small.world);
    watcher = sim_trace_watcher(f->trace);
    sim_world_set_watcher(f->small.world, &watcher);
    (void)small_request(&f->small, 0, 1, 100);
    small_run(&f->small, SIM_MS);
    finish(f);
    assert_int_equal(sim_pcapng_close(pcapng), 0);
    /* Two packets at least, each as it leaves and as it comes, of 28 + 56 + 100 bytes. */
    assert_true(ftell(f->file) > head + 4 * (28 + 56 + 100));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_packet_is_said_to_be_none),
        cmocka_unit_test(every_type_has_its_fields_in_words),
        cmocka_unit_test(payload_that_is_not_carried_counts),
        TEST(a_packet_is_seen_when_it_is_sent_and_when_it_comes),
        TEST(the_states_of_an_rpc_are_seen_on_both_sides),
        TEST(lines_are_in_the_order_of_time),
        TEST(a_lost_packet_says_why),
        TEST(a_packet_that_something_was_done_to_says_what),
        TEST(what_a_host_cannot_take_is_refused),
        TEST(sockets_that_close_and_open_are_seen),
        TEST(each_packet_of_a_bundle_has_a_line),
        TEST(a_line_looks_like_this),
        TEST(a_run_that_is_watched_goes_as_it_would_unwatched),
        TEST(packets_go_to_the_capture_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
