/*
 * The judge: it is given what a wrong engine, server or client would do, and has to object, each
 * time for the right reason; and it says nothing about what is right. Client is socket 0 of host 0,
 * server socket 0 of host 1.
 */
#include "sim/judge.h"

#include "homa/packet.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ID       UINT64_C(0x4000)
#define REQUEST  3000u
#define RESPONSE 100000u
#define CLIENT   1000u /* ports */
#define SERVER   1000u

struct court {
    struct sim_scenario scenario;
    struct sim_world *world;
    struct sim_judge *judge;
    struct sim_call *call;
    uint32_t offsets[BPAGE_SIZE / 4096];
};

static void ready(void *context, struct sim_socket *socket)
{
    (void)context;
    (void)socket;
}

static void make_scenario(struct sim_scenario *scenario)
{
    struct sim_host_options *host = &scenario->hosts[0];

    *scenario = (struct sim_scenario){.host_count = 3, .hostile = UINT32_MAX};
    scenario->network = (struct sim_network_options){
        .hosts = 3, .host_mbps = 10000, .core_mbps = 10000, .priorities = 8};
    homa_knobs_default(&host->knobs);
    host->knobs.unsched_bytes = 10000;
    host->knobs.timeout_ticks = 100;
    host->sockets = 1;
    host->ports[0] = SERVER;
    host->is_server[0] = true;
    host->region_bpages = 32;
    host->max_message = 1000000;
    host->max_rpcs = 64;
    host->max_peers = 64;
    host->max_tombstones = 64;
    host->packet_bytes = 1456;
    host->sched_limit = 1000000;
    host->sched_messages = 64;
    host->output_batch = 1;
    scenario->hosts[1] = *host;
    scenario->hosts[2] = *host;
}

static struct sim_socket *socket_of(struct court *court, uint32_t host)
{
    return sim_host_socket(sim_world_host(court->world, host), 0);
}

static struct court *open_court(void)
{
    struct court *court = calloc(1, sizeof(*court));
    const struct sim_application application = {.ready = ready};
    const char *why = NULL;

    assert_non_null(court);
    make_scenario(&court->scenario);
    struct sim_world_options options = {.network = court->scenario.network,
                                        .carries_payload = true,
                                        .hosts = court->scenario.hosts};

    court->world = sim_world_open(&options, &application, &why);
    assert_non_null(court->world);
    court->judge = sim_judge_open(&court->scenario, court->world, NULL);
    const struct sim_call_plan plan = {
        .host = 1, .request_length = REQUEST, .response_length = RESPONSE};

    court->call = sim_judge_call_begin(court->judge, 0, 0, 0, &plan);
    sim_judge_call_started(court->judge, court->call, ID);
    return court;
}

static void close_court(struct court *court)
{
    sim_judge_close(court->judge);
    sim_world_close(court->world);
    free(court);
}

/* The judge has objected, with this in its sentence. */
static void assert_objection(struct court *court, const char *part)
{
    const struct sim_verdict *verdict = sim_judge_verdict(court->judge);

    assert_true(verdict->is_violated);
    if (strstr(verdict->sentence, part) == NULL)
        fail_msg("'%s' is not in '%s'", part, verdict->sentence);
}

static void assert_no_objection(struct court *court)
{
    const struct sim_verdict *verdict = sim_judge_verdict(court->judge);

    if (verdict->is_violated)
        fail_msg("%s", verdict->sentence);
}

/* Puts the message into the region of the host's socket, as the engine would have. */
static struct homa_message put(struct court *court, uint32_t host, bool is_response,
                               uint32_t length)
{
    struct sim_socket *socket = socket_of(court, host);
    uint8_t *bytes = malloc(length);
    struct base_address from = sim_socket_address(socket_of(court, is_response ? 1 : 0));

    assert_non_null(bytes);
    sim_bytes_fill(court->call->serial, is_response, bytes, length);
    for (uint32_t i = 0; i < bpage_count(length); i++) {
        uint32_t at = i * BPAGE_SIZE;

        court->offsets[i] = (2 * i + 1) * BPAGE_SIZE;
        memcpy(socket->region.base + court->offsets[i], bytes + at,
               length - at < BPAGE_SIZE ? length - at : BPAGE_SIZE);
    }
    free(bytes);
    return (struct homa_message){
        .id = is_response ? ID : ID | 1,
        .cookie = is_response ? court->call->serial : 0,
        .peer = from,
        .length = length,
        .num_bpages = bpage_count(length),
        .bpage_offsets = court->offsets,
    };
}

/* The server executes the call and answers it. */
static void serve(struct court *court)
{
    struct homa_message request = put(court, 1, false, REQUEST);

    assert_ptr_equal(sim_judge_request(court->judge, socket_of(court, 1), &request), court->call);
    sim_judge_reply(court->judge, court->call);
}

static void result(struct court *court, const struct homa_message *message)
{
    sim_judge_call_result(court->judge, court->call, socket_of(court, 0), message);
}

static struct homa_message failure(struct court *court, int error)
{
    return (struct homa_message){.id = ID,
                                 .cookie = court->call->serial,
                                 .peer = sim_socket_address(socket_of(court, 1)),
                                 .error = error};
}

static bool spoils; /* a byte of the next DATA packets */

static void see(struct court *court, enum sim_sight sight, uint32_t from,
                const struct homa_packet *packet, uint32_t payload)
{
    bool is_response = from == 1;
    struct base_packet made = {0};
    struct sim_packet datagram = {.from = (uint16_t)from,
                                  .to = (uint16_t)(1 - from),
                                  .source_port = is_response ? SERVER : CLIENT,
                                  .destination_port = is_response ? CLIENT : SERVER,
                                  .priority = 7};

    homa_packet_encode(packet, HOMA_FORMAT_UDP, &made);
    datagram.length = made.header_length + payload;
    datagram.bytes = calloc(datagram.length + RESPONSE + REQUEST, 1);
    assert_non_null(datagram.bytes);
    memcpy(datagram.bytes, made.header, made.header_length);
    if (packet->type == HOMA_DATA) {
        uint8_t *whole = malloc(RESPONSE + REQUEST);

        assert_non_null(whole);
        sim_bytes_fill(court->call->serial, is_response, whole, RESPONSE + REQUEST);
        memcpy(datagram.bytes + made.header_length, whole + packet->data.offset, payload);
        free(whole);
        datagram.bytes[made.header_length] ^= spoils;
        datagram.priority = packet->data.message_length <= 2800 ? 6 : 5;
        datagram.priority = packet->data.message_length > 15000 ? 4 : datagram.priority;
    }
    sim_judge_see(court->judge, sight, &datagram);
    free(datagram.bytes);
}

static struct homa_packet data(uint32_t from, uint32_t offset, uint32_t payload)
{
    bool is_response = from == 1;

    return (struct homa_packet){.type = HOMA_DATA,
                                .id = is_response ? ID | 1 : ID,
                                .data = {.message_length = is_response ? RESPONSE : REQUEST,
                                         .incoming = offset + payload,
                                         .offset = offset,
                                         .payload_length = payload}};
}

static void send_data(struct court *court, uint32_t from, uint32_t offset, uint32_t payload)
{
    struct homa_packet packet = data(from, offset, payload);

    see(court, SIM_SENT, from, &packet, payload);
}

/* ---- bytes ---- */

static void a_wrong_byte_is_found_wherever_it_is(void **state)
{
    uint8_t bytes[100];

    (void)state;
    sim_bytes_fill(7, true, bytes, sizeof(bytes));
    assert_int_equal(sim_bytes_compare(7, true, 0, bytes, 100), 100);
    for (uint32_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] ^= 1;
        assert_int_equal(sim_bytes_compare(7, true, 0, bytes, 100), i);
        if (i >= 13)
            assert_int_equal(sim_bytes_compare(7, true, 13, bytes + 13, 87), i - 13);
        bytes[i] ^= 1;
    }
}

static void no_two_messages_have_the_same_bytes(void **state)
{
    uint8_t bytes[100];

    (void)state;
    sim_bytes_fill(7, true, bytes, sizeof(bytes));
    assert_true(sim_bytes_compare(7, false, 0, bytes, 100) < 100);
    assert_true(sim_bytes_compare(8, true, 0, bytes, 100) < 100);
    assert_true(sim_bytes_compare(7, true, 1, bytes, 99) < 99);
    assert_true(sim_bytes_compare(7, true, 8, bytes, 92) < 92);
}

/* ---- executions and results ---- */

static void a_call_as_it_should_be_meets_no_objection(void **state)
{
    struct court *court = open_court();

    (void)state;
    send_data(court, 0, 0, 1400);
    send_data(court, 0, 1400, 1400);
    send_data(court, 0, 2800, 200);
    serve(court);
    send_data(court, 1, 0, 1400);
    struct homa_message response = put(court, 0, true, RESPONSE);

    result(court, &response);
    assert_no_objection(court);
    assert_int_equal(court->call->ending, SIM_ANSWERED);
    assert_int_equal(sim_judge_open_calls(court->judge), 0);
    sim_judge_drained(court->judge);
    assert_no_objection(court);
    close_court(court);
}

static void a_request_that_is_executed_twice_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct homa_message request = put(court, 1, false, REQUEST);

    (void)state;
    sim_judge_request(court->judge, socket_of(court, 1), &request);
    assert_no_objection(court);
    sim_judge_request(court->judge, socket_of(court, 1), &request);
    assert_objection(court, "twice");
    close_court(court);
}

static void a_server_that_was_started_anew_may_execute_again(void **state)
{
    struct court *court = open_court();
    struct homa_message request = put(court, 1, false, REQUEST);

    (void)state;
    sim_judge_request(court->judge, socket_of(court, 1), &request);
    sim_host_crash(sim_world_host(court->world, 1));
    sim_host_restart(sim_world_host(court->world, 1), 5);
    request = put(court, 1, false, REQUEST);
    sim_judge_request(court->judge, socket_of(court, 1), &request);
    assert_no_objection(court);
    close_court(court);
}

static void a_request_that_nobody_sent_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct homa_message request = put(court, 1, false, REQUEST);

    (void)state;
    request.id += 2;
    assert_null(sim_judge_request(court->judge, socket_of(court, 1), &request));
    assert_objection(court, "nobody had sent");
    close_court(court);
}

static void a_request_at_the_wrong_server_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct homa_message request = put(court, 2, false, REQUEST);

    (void)state;
    sim_judge_request(court->judge, socket_of(court, 2), &request);
    assert_objection(court, "instead of");
    close_court(court);
}

static void wrong_bytes_of_a_request_are_objected_to(void **state)
{
    struct court *court = open_court();
    struct homa_message request = put(court, 1, false, REQUEST);

    (void)state;
    socket_of(court, 1)->region.base[BPAGE_SIZE + 2999] ^= 1;
    sim_judge_request(court->judge, socket_of(court, 1), &request);
    assert_objection(court, "byte 2999 of a request");
    close_court(court);
}

static void wrong_bytes_of_a_response_are_objected_to(void **state)
{
    struct court *court = open_court();

    (void)state;
    serve(court);
    struct homa_message response = put(court, 0, true, RESPONSE);

    socket_of(court, 0)->region.base[3 * BPAGE_SIZE] ^= 1;
    result(court, &response);
    assert_objection(court, "byte 65536 of a response");
    close_court(court);
}

static void bytes_that_change_later_are_objected_to(void **state)
{
    struct court *court = open_court();

    (void)state;
    serve(court);
    struct homa_message response = put(court, 0, true, RESPONSE);

    result(court, &response);
    sim_judge_still_right(court->judge, court->call, true, socket_of(court, 0), court->offsets,
                          RESPONSE);
    assert_no_objection(court);
    socket_of(court, 0)->region.base[BPAGE_SIZE] ^= 1;
    sim_judge_still_right(court->judge, court->call, true, socket_of(court, 0), court->offsets,
                          RESPONSE);
    assert_objection(court, "changed while the application had it");
    close_court(court);
}

static void a_response_of_the_wrong_length_is_objected_to(void **state)
{
    struct court *court = open_court();

    (void)state;
    serve(court);
    struct homa_message response = put(court, 0, true, RESPONSE - 1);

    result(court, &response);
    assert_objection(court, "100000 bytes came with 99999");
    close_court(court);
}

static void a_response_that_nobody_gave_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct homa_message response = put(court, 0, true, RESPONSE);

    (void)state;
    result(court, &response);
    assert_objection(court, "no server had the request");
    close_court(court);
}

static void a_response_with_another_cookie_is_objected_to(void **state)
{
    struct court *court = open_court();

    (void)state;
    serve(court);
    struct homa_message response = put(court, 0, true, RESPONSE);

    response.cookie++;
    result(court, &response);
    assert_objection(court, "cookie");
    close_court(court);
}

static void a_call_that_ends_twice_is_objected_to(void **state)
{
    struct court *court = open_court();

    (void)state;
    serve(court);
    struct homa_message response = put(court, 0, true, RESPONSE);

    result(court, &response);
    assert_no_objection(court);
    result(court, &response);
    assert_objection(court, "ended twice");
    close_court(court);
}

static void an_id_that_is_used_twice_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct sim_call *other = sim_judge_call_begin(court->judge, 0, 0, 1, &court->call->plan);

    (void)state;
    sim_judge_call_started(court->judge, other, ID);
    assert_objection(court, "same id");
    close_court(court);
}

/* ---- failures ---- */

static void an_error_that_nothing_explains_is_objected_to(void **state)
{
    static const int errors[] = {ECANCELED, ENOTCONN, EHOSTUNREACH, EPROTONOSUPPORT, EIO};

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct court *court = open_court();
        struct homa_message message = failure(court, errors[i]);

        result(court, &message);
        assert_objection(court, "failed with errno");
        close_court(court);
    }
}

static void an_error_that_was_asked_for_is_none(void **state)
{
    struct court *court = open_court();
    struct homa_message message = failure(court, ECANCELED);

    (void)state;
    sim_judge_call_abort(court->judge, court->call, ECANCELED);
    result(court, &message);
    assert_no_objection(court);
    assert_int_equal(court->call->ending, SIM_ABORTED);
    close_court(court);
}

static void a_timeout_before_its_time_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct homa_message message = failure(court, ETIMEDOUT);

    (void)state;
    sim_clock_run(sim_world_clock(court->world), 99 * SIM_MS);
    result(court, &message);
    assert_objection(court, "timed out after");
    close_court(court);
}

static void a_timeout_in_time_is_right(void **state)
{
    struct court *court = open_court();
    struct homa_message message = failure(court, ETIMEDOUT);

    (void)state;
    sim_clock_run(sim_world_clock(court->world), 100 * SIM_MS);
    result(court, &message);
    assert_no_objection(court);
    close_court(court);
}

static void a_call_that_outlives_its_timeout_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct homa_packet busy = {.type = HOMA_BUSY, .id = ID | 1};

    (void)state;
    sim_clock_run(sim_world_clock(court->world), 400 * SIM_MS);
    sim_judge_patience(court->judge);
    assert_no_objection(court);
    see(court, SIM_DELIVERED, 1, &busy, 0);
    sim_clock_run(sim_world_clock(court->world), 800 * SIM_MS);
    sim_judge_patience(court->judge);
    assert_no_objection(court);
    sim_clock_run(sim_world_clock(court->world), 900 * SIM_MS);
    sim_judge_patience(court->judge);
    assert_objection(court, "goes on after");
    close_court(court);
}

static void a_call_that_is_left_when_all_is_quiet_is_objected_to(void **state)
{
    struct court *court = open_court();

    (void)state;
    sim_judge_drained(court->judge);
    assert_objection(court, "not ended");
    close_court(court);
}

static void an_rpc_that_is_left_when_all_is_quiet_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct base_address to = sim_socket_address(socket_of(court, 1));
    struct sim_host *host = sim_world_host(court->world, 0);
    struct mem_payload *payload;
    uint64_t id;

    (void)state;
    sim_judge_call_abort(court->judge, court->call, 0);
    assert_true(sim_judge_is_drained(court->judge));
    payload = sim_payload_new(host, sim_allocate(10, 1), 10);
    assert_int_equal(homa_engine_request(socket_of(court, 0)->engine, sim_engine_now(court->world),
                                         &to, payload, 0, 0, false, &id),
                     0);
    assert_false(sim_judge_is_drained(court->judge));
    sim_judge_drained(court->judge);
    assert_objection(court, "1 RPCs are left");
    close_court(court);
}

/* ---- packets ---- */

static void bytes_beyond_what_was_granted_are_objected_to(void **state)
{
    struct court *court = open_court();

    (void)state;
    serve(court);
    send_data(court, 1, 8600, 1400);
    assert_no_objection(court);
    send_data(court, 1, 10000, 1400);
    assert_objection(court, "was told up to 10000");
    close_court(court);
}

static void grants_and_resends_that_came_allow_more(void **state)
{
    struct court *court = open_court();
    struct homa_packet grant = {.type = HOMA_GRANT, .id = ID, .grant = {.offset = 20000}};
    struct homa_packet resend = {
        .type = HOMA_RESEND,
        .id = ID,
        .resend = {.offset = 20000, .length = 10000, .has_priority = true}};

    (void)state;
    serve(court);
    see(court, SIM_DELIVERED, 0, &grant, 0);
    send_data(court, 1, 18600, 1400);
    see(court, SIM_DELIVERED, 0, &resend, 0);
    send_data(court, 1, 28600, 1400);
    assert_no_objection(court);
    send_data(court, 1, 30000, 1);
    assert_objection(court, "was told up to 30000");
    close_court(court);
}

static void a_grant_that_has_not_come_yet_allows_nothing(void **state)
{
    struct court *court = open_court();
    struct homa_packet grant = {.type = HOMA_GRANT, .id = ID, .grant = {.offset = 20000}};

    (void)state;
    serve(court);
    see(court, SIM_SENT, 0, &grant, 0);
    send_data(court, 1, 10000, 1400);
    assert_objection(court, "was told up to 10000");
    close_court(court);
}

static void a_resend_for_all_allows_nothing_more(void **state)
{
    struct court *court = open_court();
    struct homa_packet resend = {
        .type = HOMA_RESEND, .id = ID, .resend = {.length = HOMA_RESEND_ALL, .has_priority = true}};

    (void)state;
    serve(court);
    see(court, SIM_DELIVERED, 0, &resend, 0);
    send_data(court, 1, 10000, 1400);
    assert_objection(court, "was told up to 10000");
    close_court(court);
}

static void a_limit_that_nobody_gave_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct homa_packet packet = data(1, 0, 1400);

    (void)state;
    serve(court);
    packet.data.incoming = 10001;
    see(court, SIM_SENT, 1, &packet, 1400);
    assert_objection(court, "says it may send");
    close_court(court);
}

static void a_response_before_the_servers_answer_is_objected_to(void **state)
{
    struct court *court = open_court();

    (void)state;
    send_data(court, 1, 0, 1400);
    assert_objection(court, "before the server gave it");
    close_court(court);
}

static void data_of_another_length_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct homa_packet packet = data(0, 0, 1400);

    (void)state;
    packet.data.message_length = REQUEST + 1;
    see(court, SIM_SENT, 0, &packet, 1400);
    assert_objection(court, "left for a message of 3000");
    close_court(court);
}

static void data_with_wrong_bytes_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct homa_packet packet = data(0, 8, 1400);

    (void)state;
    see(court, SIM_SENT, 0, &packet, 1400);
    assert_no_objection(court);
    spoils = true;
    see(court, SIM_SENT, 0, &packet, 1400);
    spoils = false;
    assert_objection(court, "wrong bytes left in DATA from 8 on");
    close_court(court);
}

static void a_grant_beyond_the_message_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct homa_packet grant = {.type = HOMA_GRANT, .id = ID, .grant = {.offset = RESPONSE + 1}};

    (void)state;
    see(court, SIM_SENT, 0, &grant, 0);
    assert_objection(court, "100001 bytes were granted");
    close_court(court);
}

static void a_grant_at_an_unscheduled_level_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct homa_packet grant = {
        .type = HOMA_GRANT, .id = ID, .grant = {.offset = 20000, .priority = 4}};

    (void)state;
    see(court, SIM_SENT, 0, &grant, 0);
    assert_objection(court, "names level 4");
    close_court(court);
}

static void data_about_no_call_is_objected_to(void **state)
{
    struct court *court = open_court();
    struct homa_packet packet = data(0, 0, 1400);

    (void)state;
    packet.id += 2;
    see(court, SIM_SENT, 0, &packet, 1400);
    assert_objection(court, "about an RPC that is none");
    close_court(court);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_byte_is_found_wherever_it_is),
        cmocka_unit_test(no_two_messages_have_the_same_bytes),
        cmocka_unit_test(a_call_as_it_should_be_meets_no_objection),
        cmocka_unit_test(a_request_that_is_executed_twice_is_objected_to),
        cmocka_unit_test(a_server_that_was_started_anew_may_execute_again),
        cmocka_unit_test(a_request_that_nobody_sent_is_objected_to),
        cmocka_unit_test(a_request_at_the_wrong_server_is_objected_to),
        cmocka_unit_test(wrong_bytes_of_a_request_are_objected_to),
        cmocka_unit_test(wrong_bytes_of_a_response_are_objected_to),
        cmocka_unit_test(bytes_that_change_later_are_objected_to),
        cmocka_unit_test(a_response_of_the_wrong_length_is_objected_to),
        cmocka_unit_test(a_response_that_nobody_gave_is_objected_to),
        cmocka_unit_test(a_response_with_another_cookie_is_objected_to),
        cmocka_unit_test(a_call_that_ends_twice_is_objected_to),
        cmocka_unit_test(an_id_that_is_used_twice_is_objected_to),
        cmocka_unit_test(an_error_that_nothing_explains_is_objected_to),
        cmocka_unit_test(an_error_that_was_asked_for_is_none),
        cmocka_unit_test(a_timeout_before_its_time_is_objected_to),
        cmocka_unit_test(a_timeout_in_time_is_right),
        cmocka_unit_test(a_call_that_outlives_its_timeout_is_objected_to),
        cmocka_unit_test(a_call_that_is_left_when_all_is_quiet_is_objected_to),
        cmocka_unit_test(an_rpc_that_is_left_when_all_is_quiet_is_objected_to),
        cmocka_unit_test(bytes_beyond_what_was_granted_are_objected_to),
        cmocka_unit_test(grants_and_resends_that_came_allow_more),
        cmocka_unit_test(a_grant_that_has_not_come_yet_allows_nothing),
        cmocka_unit_test(a_resend_for_all_allows_nothing_more),
        cmocka_unit_test(a_limit_that_nobody_gave_is_objected_to),
        cmocka_unit_test(a_response_before_the_servers_answer_is_objected_to),
        cmocka_unit_test(data_of_another_length_is_objected_to),
        cmocka_unit_test(data_with_wrong_bytes_is_objected_to),
        cmocka_unit_test(a_grant_beyond_the_message_is_objected_to),
        cmocka_unit_test(a_grant_at_an_unscheduled_level_is_objected_to),
        cmocka_unit_test(data_about_no_call_is_objected_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
