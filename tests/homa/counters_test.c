/* The table of counters: it must name every field of the struct, once and in order. */
#include "homa/counters.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

static const struct homa_counter_info *find(const char *name)
{
    size_t count;
    const struct homa_counter_info *table = homa_counter_table(&count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    }
    return NULL;
}

static void every_field_has_a_line_in_the_structs_order(void **state)
{
    size_t count;
    const struct homa_counter_info *table = homa_counter_table(&count);

    (void)state;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(table[i].offset, i * sizeof(uint64_t));
    assert_int_equal(count * sizeof(uint64_t), sizeof(struct homa_counters));
}

static void no_name_is_used_twice(void **state)
{
    size_t count;
    const struct homa_counter_info *table = homa_counter_table(&count);

    (void)state;
    for (size_t a = 0; a < count; a++) {
        for (size_t b = a + 1; b < count; b++)
            assert_string_not_equal(table[a].name, table[b].name);
    }
}

/* Counters are read by other programs under these names, so letters are all there may be. */
static void names_are_plain_and_meanings_are_there(void **state)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    size_t count;
    const struct homa_counter_info *table = homa_counter_table(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_true(strlen(table[i].name) > 0);
        assert_int_equal(strspn(table[i].name, allowed), strlen(table[i].name));
        assert_true(strlen(table[i].meaning) > 5);
    }
}

static void each_packet_type_is_counted_under_its_name(void **state)
{
    (void)state;
    for (unsigned type = HOMA_DATA; type <= HOMA_ACK; type++) {
        const struct homa_counter_info *info;
        char name[64];

        (void)snprintf(name, sizeof(name), "packets_sent_%s", homa_packet_type_name(type));
        info = find(name);
        assert_non_null(info);
        assert_int_equal(info->offset,
                         offsetof(struct homa_counters, packets_sent[type - HOMA_DATA]));
        (void)snprintf(name, sizeof(name), "packets_received_%s", homa_packet_type_name(type));
        info = find(name);
        assert_non_null(info);
        assert_int_equal(info->offset,
                         offsetof(struct homa_counters, packets_received[type - HOMA_DATA]));
    }
}

static void a_counter_is_found_where_the_table_says(void **state)
{
    struct homa_counters counters = {.rpc_timeouts = 17, .time_lost_ns = 4};
    const struct homa_counter_info *info = find("rpc_timeouts");
    uint64_t value;

    (void)state;
    assert_non_null(info);
    memcpy(&value, (const uint8_t *)&counters + info->offset, sizeof(value));
    assert_int_equal(value, 17);
    assert_null(find("no_such_counter"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_has_a_line_in_the_structs_order),
        cmocka_unit_test(no_name_is_used_twice),
        cmocka_unit_test(names_are_plain_and_meanings_are_there),
        cmocka_unit_test(each_packet_type_is_counted_under_its_name),
        cmocka_unit_test(a_counter_is_found_where_the_table_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
