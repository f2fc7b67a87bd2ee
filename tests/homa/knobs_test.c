/* Knobs: what is no value for one is refused and changes nothing; what is one is stored. */
#include "homa/knobs.h"

#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void assert_refused(const char *name, const char *text, int expected)
{
    struct homa_knobs knobs;
    struct homa_knobs before;

    memset(&knobs, 0x5a, sizeof(knobs));
    memcpy(&before, &knobs, sizeof(before));
    int result = homa_knobs_set(&knobs, name, text);
    if (result != expected)
        fail_msg("%s = \"%s\": got %d, not %d", name, text, result, expected);
    assert_memory_equal(&knobs, &before, sizeof(knobs));
}

static void assert_check_refuses(const struct homa_knobs *knobs, const char *word)
{
    const char *why = NULL;

    assert_int_equal(homa_knobs_check(knobs, &why), -EINVAL);
    assert_non_null(why);
    if (strstr(why, word) == NULL)
        fail_msg("the reason does not name %s: %s", word, why);
}

static void assert_check_accepts(const struct homa_knobs *knobs)
{
    const char *why = NULL;

    if (homa_knobs_check(knobs, &why) != 0)
        fail_msg("refused: %s", why);
}

/* ---- refused ---- */

static void unknown_names_are_refused(void **state)
{
    (void)state;
    assert_refused("", "1", -ENOENT);
    assert_refused("no_such_knob", "1", -ENOENT);
    assert_refused("windo", "1", -ENOENT);
    assert_refused("window ", "1", -ENOENT);
    assert_refused("WINDOW", "1", -ENOENT);
    assert_null(homa_knob_find("no_such_knob"));
}

static void what_is_not_a_number_is_refused(void **state)
{
    static const char *const texts[] = {"",     " ",   "x",   "1x",  "0x10", "-1", "+1", "1.5",
                                        "1e3",  "1 2", "1,",  ",1",  "1,2",  "1k", "--", "all",
                                        "auto", "1\n", "1:2", "1 x", "one",  "1-", "١",  "\"1\""};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_refused("window", texts[i], -EINVAL);
}

static void numbers_outside_the_range_are_refused(void **state)
{
    (void)state;
    assert_refused("num_priorities", "0", -ERANGE);
    assert_refused("num_priorities", "9", -ERANGE);
    assert_refused("max_overcommit", "0", -ERANGE);
    assert_refused("max_overcommit", "65", -ERANGE);
    assert_refused("unsched_bytes", "0", -ERANGE);
    assert_refused("window", "2147483648", -ERANGE);
    assert_refused("grant_fifo_fraction", "1001", -ERANGE);
    assert_refused("pacer_fifo_fraction", "1001", -ERANGE);
    assert_refused("max_gso_size", "65508", -ERANGE);
    assert_refused("timeout_ticks", "0", -ERANGE);
    assert_refused("verbose", "4", -ERANGE);
}

static void numbers_that_wrap_around_are_out_of_range(void **state)
{
    (void)state;
    assert_refused("wmem_max", "4294967296", -ERANGE);           /* 2^32 */
    assert_refused("wmem_max", "18446744073709551616", -ERANGE); /* 2^64 */
    assert_refused("next_id", "18446744073709551616", -ERANGE);
    assert_refused("next_id", "18446744073709551620", -ERANGE);
    assert_refused("next_id", "99999999999999999999999999999999999999", -ERANGE);
}

static void auto_is_for_polling_only(void **state)
{
    (void)state;
    assert_refused("link_mbps", "auto", -EINVAL);
    assert_refused("poll_usecs", "automatic", -EINVAL);
    assert_refused("poll_usecs", "Auto", -EINVAL);
    assert_refused("poll_usecs", "auto 5", -EINVAL);
    assert_refused("poll_usecs", "4294967295", -ERANGE); /* no other way to say it */
}

static void lists_of_other_than_eight_numbers_are_refused(void **state)
{
    (void)state;
    assert_refused("priority_map", "", -EINVAL);
    assert_refused("priority_map", "1", -EINVAL);
    assert_refused("priority_map", "0 1 2 3 4 5 6", -EINVAL);
    assert_refused("priority_map", "0 1 2 3 4 5 6 7 0", -EINVAL);
    assert_refused("priority_map", "0,1,2,3,4,5,6,", -EINVAL);
    assert_refused("priority_map", "0,1,2,3,4,5,6,7,", -EINVAL);
    assert_refused("priority_map", "0,1,2,3,,4,5,6,7", -EINVAL);
    assert_refused("priority_map", "0;1;2;3;4;5;6;7", -EINVAL);
    assert_refused("priority_map", "0 1 2 3 4 5 6 x", -EINVAL);
    assert_refused("priority_map", "0 1 2 3 4 5 6 8", -ERANGE);
    assert_refused("priority_map", "7: 1", -EINVAL);
}

static void malformed_cutoffs_are_refused(void **state)
{
    (void)state;
    assert_refused("unsched_cutoffs", "7:", -EINVAL);
    assert_refused("unsched_cutoffs", ":", -EINVAL);
    assert_refused("unsched_cutoffs", ": 200", -EINVAL);
    assert_refused("unsched_cutoffs", "7: 200,", -EINVAL);
    assert_refused("unsched_cutoffs", "7: 200, 6", -EINVAL);
    assert_refused("unsched_cutoffs", "7: 200, all", -EINVAL);
    assert_refused("unsched_cutoffs", "7: 200 : 6", -EINVAL);
    assert_refused("unsched_cutoffs", "7: everything", -EINVAL);
    assert_refused("unsched_cutoffs", "7: 200, 7: 300", -EINVAL);
    assert_refused("unsched_cutoffs", "8: 200", -ERANGE);
    assert_refused("unsched_cutoffs", "18446744073709551623: 200", -ERANGE); /* 2^64 + 7 */
    assert_refused("unsched_cutoffs", "7: 2147483648", -ERANGE);
}

static void cutoffs_must_fall_as_levels_rise(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    homa_knobs_default(&knobs);
    knobs.unsched_cutoffs[7] = 3000; /* level 6 goes to 2800 */
    assert_check_refuses(&knobs, "unsched_cutoffs");
    knobs.unsched_cutoffs[7] = 2800;
    assert_check_refuses(&knobs, "unsched_cutoffs");
    knobs.unsched_cutoffs[7] = 2799;
    assert_check_accepts(&knobs);
    knobs.unsched_cutoffs[6] = 0; /* an unused level between used ones is passed over */
    assert_check_accepts(&knobs);
    knobs.unsched_cutoffs[7] = 15000;
    assert_check_refuses(&knobs, "unsched_cutoffs");
}

static void cutoffs_must_reach_the_longest_messages(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    homa_knobs_default(&knobs);
    memset(knobs.unsched_cutoffs, 0, sizeof(knobs.unsched_cutoffs));
    assert_check_refuses(&knobs, "unsched_cutoffs");
    knobs.unsched_cutoffs[7] = 200;
    assert_check_refuses(&knobs, "unsched_cutoffs");
    knobs.unsched_cutoffs[0] = 999999;
    assert_check_refuses(&knobs, "unsched_cutoffs");
    knobs.unsched_cutoffs[0] = 1000000;
    assert_check_accepts(&knobs);
}

static void a_window_must_fit_into_what_may_come_in(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    homa_knobs_default(&knobs);
    knobs.window = knobs.max_incoming + 1;
    assert_check_refuses(&knobs, "window");
    knobs.window = knobs.max_incoming;
    assert_check_accepts(&knobs);
}

static void an_rpc_must_ask_before_it_gives_up(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    homa_knobs_default(&knobs);
    knobs.resend_ticks = knobs.timeout_ticks + 1;
    assert_check_refuses(&knobs, "resend_ticks");
    knobs.resend_ticks = knobs.timeout_ticks;
    assert_check_accepts(&knobs);
}

/* ---- accepted ---- */

static void the_defaults_are_those_of_the_specification(void **state)
{
    static const uint32_t identity[HOMA_PRIORITIES] = {0, 1, 2, 3, 4, 5, 6, 7};
    static const uint32_t cutoffs[HOMA_PRIORITIES] = {0,     0,    0,  0, HOMA_CUTOFF_ALL,
                                                      15000, 2800, 200};
    struct homa_knobs knobs;

    (void)state;
    memset(&knobs, 0x5a, sizeof(knobs));
    homa_knobs_default(&knobs);
    assert_int_equal(knobs.unsched_bytes, 40000);
    assert_int_equal(knobs.window, 0);
    assert_int_equal(knobs.max_incoming, 400000);
    assert_int_equal(knobs.max_overcommit, 8);
    assert_int_equal(knobs.num_priorities, 8);
    assert_memory_equal(knobs.priority_map, identity, sizeof(identity));
    assert_memory_equal(knobs.unsched_cutoffs, cutoffs, sizeof(cutoffs));
    assert_int_equal(knobs.grant_bytes, 10000);
    assert_int_equal(knobs.grant_fifo_fraction, 50);
    assert_int_equal(knobs.fifo_grant_increment, 50000);
    assert_int_equal(knobs.pacer_fifo_fraction, 50);
    assert_int_equal(knobs.age_bytes_per_usec, 0);
    assert_int_equal(knobs.link_mbps, 0);
    assert_int_equal(knobs.max_nic_est_backlog_usecs, 5);
    assert_int_equal(knobs.defer_min_bytes, 1000);
    assert_int_equal(knobs.poll_usecs, HOMA_POLL_AUTO);
    assert_int_equal(knobs.resend_ticks, 5);
    assert_int_equal(knobs.ask_least_usecs, 500);
    assert_int_equal(knobs.gap_least_usecs, 50);
    assert_int_equal(knobs.resend_interval, 5);
    assert_int_equal(knobs.timeout_ticks, 1000);
    assert_int_equal(knobs.request_ack_ticks, 2);
    assert_int_equal(knobs.wmem_max, 100000000);
    assert_int_equal(knobs.max_gso_size, 65507);
    assert_int_equal(knobs.bpage_lease_usecs, 10000);
    assert_int_equal(knobs.tombstone_ms, 3000);
    assert_int_equal(knobs.flags, 0);
    assert_int_equal(knobs.next_id, 0);
    assert_int_equal(knobs.verbose, 0);
    assert_check_accepts(&knobs);
}

static void blanks_around_a_value_are_skipped(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    homa_knobs_default(&knobs);
    assert_int_equal(homa_knobs_set(&knobs, "window", " \t 12345\t "), 0);
    assert_int_equal(knobs.window, 12345);
    assert_int_equal(homa_knobs_set(&knobs, "window", "000007"), 0);
    assert_int_equal(knobs.window, 7);
}

static void polling_takes_auto_or_a_ceiling(void **state)
{
    struct homa_knobs knobs = {.poll_usecs = 1};

    (void)state;
    assert_int_equal(homa_knobs_set(&knobs, "poll_usecs", "auto"), 0);
    assert_int_equal(knobs.poll_usecs, HOMA_POLL_AUTO);
    assert_int_equal(homa_knobs_set(&knobs, "poll_usecs", "0"), 0);
    assert_int_equal(knobs.poll_usecs, 0);
    assert_int_equal(homa_knobs_set(&knobs, "poll_usecs", " 50 "), 0);
    assert_int_equal(knobs.poll_usecs, 50);
}

static void ids_may_have_64_bits(void **state)
{
    struct homa_knobs knobs = {.next_id = 1};

    (void)state;
    assert_int_equal(homa_knobs_set(&knobs, "next_id", "18446744073709551615"), 0);
    assert_int_equal(knobs.next_id, UINT64_MAX);
}

static void lists_are_separated_by_commas_or_blanks(void **state)
{
    static const uint32_t expected[HOMA_PRIORITIES] = {7, 6, 5, 4, 3, 2, 1, 0};
    static const char *const texts[] = {"7 6 5 4 3 2 1 0", "7,6,5,4,3,2,1,0",
                                        "7, 6, 5, 4, 3, 2, 1, 0", "  7 ,6\t5,\t4  3 , 2 1,0  "};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct homa_knobs knobs = {.priority_map = {1}};

        assert_int_equal(homa_knobs_set(&knobs, "priority_map", texts[i]), 0);
        assert_memory_equal(knobs.priority_map, expected, sizeof(expected));
    }
}

static void cutoffs_are_read_in_both_forms(void **state)
{
    static const uint32_t expected[HOMA_PRIORITIES] = {0,     0,    0,  0, HOMA_CUTOFF_ALL,
                                                       15000, 2800, 200};
    static const char *const texts[] = {
        "7: 200, 6: 2800, 5: 15000, 4: all", "4:all 5:15000 6:2800 7:200",
        " 5 : 15000 ,4: all,7:200\t6 :2800 ", "0 0 0 0 all 15000 2800 200",
        "0,0,0,0,2147483647,15000,2800,200"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct homa_knobs knobs = {.unsched_cutoffs = {1, 1, 1, 1, 1, 1, 1, 1}};

        assert_int_equal(homa_knobs_set(&knobs, "unsched_cutoffs", texts[i]), 0);
        assert_memory_equal(knobs.unsched_cutoffs, expected, sizeof(expected));
    }
}

static void every_level_can_be_the_lowest(void **state)
{
    (void)state;
    for (uint32_t level = 0; level < HOMA_PRIORITIES; level++) {
        struct homa_knobs knobs;
        char text[16];

        homa_knobs_default(&knobs);
        (void)snprintf(text, sizeof(text), "%u: all", level);
        assert_int_equal(homa_knobs_set(&knobs, "unsched_cutoffs", text), 0);
        for (uint32_t l = 0; l < HOMA_PRIORITIES; l++)
            assert_int_equal(knobs.unsched_cutoffs[l], l == level ? HOMA_CUTOFF_ALL : 0);
        assert_check_accepts(&knobs);
    }
}

/* ---- the table ---- */

/* Zero means "none" or "computed" only where the documentation says so. */
static void every_knob_has_its_range(void **state)
{
    static const struct {
        const char *name;
        uint64_t lowest;
        uint64_t highest;
    } ranges[] = {
        {"unsched_bytes", 1, INT32_MAX},
        {"window", 0, INT32_MAX},
        {"max_incoming", 1, INT32_MAX},
        {"max_overcommit", 1, 64},
        {"num_priorities", 1, 8},
        {"priority_map", 0, 7},
        {"unsched_cutoffs", 0, INT32_MAX},
        {"grant_bytes", 1, INT32_MAX},
        {"grant_fifo_fraction", 0, 1000},
        {"fifo_grant_increment", 1, INT32_MAX},
        {"pacer_fifo_fraction", 0, 1000},
        {"age_bytes_per_usec", 0, 10000},
        {"link_mbps", 0, 10000000},
        {"max_nic_est_backlog_usecs", 0, 1000000},
        {"defer_min_bytes", 0, INT32_MAX},
        {"poll_usecs", 0, 1000000},
        {"resend_ticks", 1, 3600000},
        {"ask_least_usecs", 1, 1000000},
        {"gap_least_usecs", 1, 1000000},
        {"resend_interval", 1, 3600000},
        {"timeout_ticks", 1, 3600000},
        {"request_ack_ticks", 1, 3600000},
        {"wmem_max", 1, UINT32_MAX},
        {"max_gso_size", 1, 65507},
        {"bpage_lease_usecs", 0, UINT32_MAX},
        {"tombstone_ms", 0, 3600000},
        {"flags", 0, UINT32_MAX},
        {"next_id", 0, UINT64_MAX},
        {"verbose", 0, 3},
    };
    size_t count;
    const struct homa_knob_info *table = homa_knob_table(&count);

    (void)state;
    assert_int_equal(count, sizeof(ranges) / sizeof(ranges[0]));
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(table[i].name, ranges[i].name);
        assert_int_equal(table[i].lowest, ranges[i].lowest);
        assert_int_equal(table[i].highest, ranges[i].highest);
    }
}

/* What the table says of each knob, against the knob itself: both ends of its range are taken, and
 * what lies beyond is not; nothing but the knob changes. */
static void every_knob_takes_its_range_and_no_more(void **state)
{
    size_t count;
    const struct homa_knob_info *table = homa_knob_table(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const struct homa_knob_info *info = &table[i];
        const uint64_t ends[] = {info->lowest, info->highest};
        struct homa_knobs knobs;
        struct homa_knobs expected;
        char text[256];

        assert_true(info->lowest < info->highest);
        for (size_t end = 0; end < 2; end++) {
            size_t used = 0;

            homa_knobs_default(&knobs);
            memcpy(&expected, &knobs, sizeof(expected));
            for (size_t v = 0; v < info->count; v++) {
                uint8_t *at = (uint8_t *)&expected + info->offset + v * info->width;
                uint32_t narrow = (uint32_t)ends[end];

                if (info->width == sizeof(narrow))
                    memcpy(at, &narrow, sizeof(narrow));
                else
                    memcpy(at, &ends[end], sizeof(ends[end]));
                used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%llu",
                                         v > 0 ? " " : "", (unsigned long long)ends[end]);
            }
            assert_int_equal(homa_knobs_set(&knobs, info->name, text), 0);
            assert_memory_equal(&knobs, &expected, sizeof(knobs));
        }
        if (info->count == 1 && info->lowest > 0) {
            (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)info->lowest - 1);
            assert_refused(info->name, text, -ERANGE);
        }
        if (info->count == 1 && info->highest < UINT64_MAX) {
            (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)info->highest + 1);
            assert_refused(info->name, text, -ERANGE);
        }
    }
}

static void every_field_is_a_knob_in_the_structs_order(void **state)
{
    size_t count;
    const struct homa_knob_info *table = homa_knob_table(&count);
    size_t end = 0;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        size_t start = (end + table[i].width - 1) / table[i].width * table[i].width;

        assert_int_equal(table[i].offset, start);
        end = start + (size_t)table[i].width * table[i].count;
    }
    assert_in_range(sizeof(struct homa_knobs) - end, 0, sizeof(uint64_t) - 1);
}

static void every_knob_has_a_sentence_and_is_found_by_name(void **state)
{
    size_t count;
    const struct homa_knob_info *table = homa_knob_table(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(homa_knob_find(table[i].name), &table[i]);
        assert_non_null(table[i].unit);
        assert_true(strlen(table[i].meaning) > 10);
        assert_int_equal(table[i].meaning[strlen(table[i].meaning) - 1], '.');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_names_are_refused),
        cmocka_unit_test(what_is_not_a_number_is_refused),
        cmocka_unit_test(numbers_outside_the_range_are_refused),
        cmocka_unit_test(numbers_that_wrap_around_are_out_of_range),
        cmocka_unit_test(auto_is_for_polling_only),
        cmocka_unit_test(lists_of_other_than_eight_numbers_are_refused),
        cmocka_unit_test(malformed_cutoffs_are_refused),
        cmocka_unit_test(cutoffs_must_fall_as_levels_rise),
        cmocka_unit_test(cutoffs_must_reach_the_longest_messages),
        cmocka_unit_test(a_window_must_fit_into_what_may_come_in),
        cmocka_unit_test(an_rpc_must_ask_before_it_gives_up),
        cmocka_unit_test(the_defaults_are_those_of_the_specification),
        cmocka_unit_test(blanks_around_a_value_are_skipped),
        cmocka_unit_test(polling_takes_auto_or_a_ceiling),
        cmocka_unit_test(ids_may_have_64_bits),
        cmocka_unit_test(lists_are_separated_by_commas_or_blanks),
        cmocka_unit_test(cutoffs_are_read_in_both_forms),
        cmocka_unit_test(every_level_can_be_the_lowest),
        cmocka_unit_test(every_knob_has_its_range),
        cmocka_unit_test(every_knob_takes_its_range_and_no_more),
        cmocka_unit_test(every_field_is_a_knob_in_the_structs_order),
        cmocka_unit_test(every_knob_has_a_sentence_and_is_found_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
