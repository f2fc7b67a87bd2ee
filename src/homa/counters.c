/*
 * The table of counters, made from the lists in counters.h and packet.h, so that it cannot lag
 * behind them. Read by whoever shows counters; the engine counts in the struct itself.
 */
#include "homa/counters.h"

#define INDEX_OF(type) (HOMA_##type - HOMA_DATA)

/* clang-format off */
#define SENT_INFO(type)                                                                            \
    {"packets_sent_" #type, #type " packets sent",                                                 \
     offsetof(struct homa_counters, packets_sent[INDEX_OF(type)])},
#define RECEIVED_INFO(type)                                                                        \
    {"packets_received_" #type, #type " packets received",                                         \
     offsetof(struct homa_counters, packets_received[INDEX_OF(type)])},
#define COUNTER_INFO(name, meaning) {#name, meaning, offsetof(struct homa_counters, name)},

static const struct homa_counter_info counter_table[] = {
    HOMA_PACKET_TYPE_NAMES(SENT_INFO)
    HOMA_PACKET_TYPE_NAMES(RECEIVED_INFO)
    HOMA_COUNTERS(COUNTER_INFO)
};
/* clang-format on */

#define COUNTERS (sizeof(counter_table) / sizeof(counter_table[0]))

_Static_assert(COUNTERS * sizeof(uint64_t) == sizeof(struct homa_counters),
               "every counter has a line in the table");

const struct homa_counter_info *homa_counter_table(size_t *count)
{
    *count = COUNTERS;
    return counter_table;
}
