/*
 * Reading a message whose bytes lie in several pieces. The region here is an array, and the pieces
 * are put where a socket could put them: whole pages in any order, then a fragment anywhere.
 */
#include <missive/rpc.h>

#include "rpc/endpoint.h"
#include "support/test.h"

#include <netinet/in.h>
#include <string.h>

#define LENGTH   (2 * HOMA_BPAGE_SIZE + 100)
#define FRAGMENT (HOMA_BPAGE_SIZE + 128)

static uint8_t memory[4 * HOMA_BPAGE_SIZE];
static struct rpc_endpoint endpoint = {.region = {.base = memory, .length = sizeof(memory)}};

/* Its first page is the third of the region, its second the first, its fragment in the second. */
static const struct msv_message message = {
    .endpoint = &endpoint,
    .length = LENGTH,
    .num_bpages = 3,
    .bpage_offsets = {2 * HOMA_BPAGE_SIZE, 0, FRAGMENT},
};

static uint8_t byte_at(size_t offset)
{
    return (uint8_t)(offset % 251);
}

static int fill_memory(void **state)
{
    (void)state;
    memset(memory, 0xff, sizeof(memory));
    for (size_t i = 0; i < LENGTH; i++)
        memory[message.bpage_offsets[i / HOMA_BPAGE_SIZE] + i % HOMA_BPAGE_SIZE] = byte_at(i);
    return 0;
}

static void beyond_the_end_there_is_nothing(void **state)
{
    const void *bytes = memory;
    uint8_t byte = 7;

    (void)state;
    assert_int_equal(msv_message_peek(&message, LENGTH, &bytes), 0);
    assert_null(bytes);
    assert_int_equal(msv_message_peek(&message, SIZE_MAX, &bytes), 0);
    assert_int_equal(msv_message_read(&message, LENGTH, &byte, 1), 0);
    assert_int_equal(msv_message_read(&message, 0, &byte, 0), 0);
    assert_int_equal(byte, 7);
}

static void a_look_ends_with_its_piece(void **state)
{
    const void *bytes = NULL;

    (void)state;
    assert_int_equal(msv_message_length(&message), LENGTH);
    assert_int_equal(msv_message_peek(&message, 0, &bytes), HOMA_BPAGE_SIZE);
    assert_ptr_equal(bytes, memory + 2 * HOMA_BPAGE_SIZE);
    assert_int_equal(msv_message_peek(&message, HOMA_BPAGE_SIZE - 1, &bytes), 1);
    assert_int_equal(msv_message_peek(&message, HOMA_BPAGE_SIZE, &bytes), HOMA_BPAGE_SIZE);
    assert_ptr_equal(bytes, memory);
    assert_int_equal(msv_message_peek(&message, 2 * HOMA_BPAGE_SIZE + 10, &bytes), 90);
    assert_ptr_equal(bytes, memory + FRAGMENT + 10);
}

static void a_copy_goes_across_pieces(void **state)
{
    static uint8_t copy[LENGTH + 10];

    (void)state;
    memset(copy, 0xaa, sizeof(copy));
    assert_int_equal(msv_message_read(&message, 0, copy, sizeof(copy)), LENGTH);
    for (size_t i = 0; i < LENGTH; i++)
        assert_int_equal(copy[i], byte_at(i));
    assert_int_equal(copy[LENGTH], 0xaa);

    memset(copy, 0xaa, sizeof(copy));
    assert_int_equal(msv_message_read(&message, HOMA_BPAGE_SIZE - 2, copy, 4), 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(copy[i], byte_at(HOMA_BPAGE_SIZE - 2 + i));
    assert_int_equal(copy[4], 0xaa);
}

static void the_peer_is_told(void **state)
{
    struct msv_message other = message;
    struct sockaddr_storage peer;
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(4000)};

    (void)state;
    memcpy(&other.peer, &in4, sizeof(in4));
    msv_message_peer(&other, &peer);
    assert_memory_equal(&peer, &in4, sizeof(in4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(beyond_the_end_there_is_nothing, fill_memory),
        cmocka_unit_test_setup(a_look_ends_with_its_piece, fill_memory),
        cmocka_unit_test_setup(a_copy_goes_across_pieces, fill_memory),
        cmocka_unit_test(the_peer_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
