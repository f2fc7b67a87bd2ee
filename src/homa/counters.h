/*
 * The counters of an engine, as one table: the same list makes the struct, the names and the
 * explanations, so that no reader of counters has a list of its own. Names are the kernel module's
 * where they mean the same.
 */
#ifndef HOMA_COUNTERS_H
#define HOMA_COUNTERS_H

#include "homa/packet.h"

#include <stddef.h>
#include <stdint.h>

/* clang-format off */
#define HOMA_COUNTERS(X)                                                                           \
    X(requests_sent, "requests started by this socket")                                            \
    X(requests_received, "complete requests received")                                             \
    X(responses_sent, "responses started by this socket")                                          \
    X(responses_received, "complete responses received")                                           \
    X(sent_bytes, "message bytes sent, retransmissions included")                                  \
    X(received_bytes, "message bytes received that were new")                                      \
    X(resent_packets, "DATA packets sent again")                                                   \
    X(resent_packets_used, "retransmitted DATA packets received that brought new bytes")           \
    X(resent_discards, "DATA packets received that brought nothing new")                           \
    X(packet_discards, "packets dropped because they belong to no RPC here")                       \
    X(short_packets, "packets too short for their type")                                           \
    X(unknown_packet_types, "packets of a type that does not exist")                               \
    X(unknown_versions, "packets of an unknown format version")                                    \
    X(bad_data_packets, "DATA packets that contradict their message, or with payload beyond it")   \
    X(gaps_created, "gaps opened in incoming messages")                                            \
    X(gap_overflows, "DATA packets dropped because all gap records, or the host's half, were in use")\
    X(unknown_rpcs, "RPC_UNKNOWN packets received that changed something")                         \
    X(tombstone_hits, "packets dropped because their RPC had ended before")                        \
    X(tombstone_overflows, "tombstones forgotten early because the table was full")                \
    X(rpc_timeouts, "RPCs ended by silence")                                                       \
    X(server_rpc_discards, "server RPCs ended because the client vanished")                        \
    X(ack_timeouts, "server RPCs ended because no ack came")                                       \
    X(ack_overflows, "acks dropped because too many were waiting")                                 \
    X(control_overflows, "stateless replies dropped because their queue was full")                 \
    X(buffer_alloc_failures, "messages that had to wait for receive-buffer space")                 \
    X(dropped_data_no_bufs, "bytes dropped because their message had no buffer space")             \
    X(bpage_reuses, "open bpages started over")                                                    \
    X(preemptions, "messages whose buffer space was taken back for another host's")                \
    X(rpcs_given_up, "unfinished server RPCs of a host with too many ended for another's")         \
    X(rpc_alloc_failures, "requests dropped because all RPC records were in use")                  \
    X(peer_alloc_failures, "packets dropped because all peer records were in use")                 \
    X(peers_evicted, "idle peers forgotten to make room")                                          \
    X(resends_ignored, "RESENDs that asked for too much in too short a time")                      \
    X(grants_ignored, "GRANTs that granted nothing new")                                           \
    X(cutoffs_received, "CUTOFFS packets applied")                                                 \
    X(network_errors, "ICMP errors that ended an RPC")                                             \
    X(time_lost_ns, "time in which the engine was not run and that no timer was charged for")
/* clang-format on */

struct homa_counters {
    uint64_t packets_sent[HOMA_PACKET_TYPES];     /* by type - HOMA_DATA */
    uint64_t packets_received[HOMA_PACKET_TYPES]; /* by type - HOMA_DATA */
#define HOMA_COUNTER_FIELD(name, meaning) uint64_t name;
    HOMA_COUNTERS(HOMA_COUNTER_FIELD)
#undef HOMA_COUNTER_FIELD
};

struct homa_counter_info {
    const char *name; /* for the arrays: "packets_sent_DATA" … */
    const char *meaning;
    size_t offset; /* in struct homa_counters */
};

/* All counters in the struct's order. *count gets the length. */
const struct homa_counter_info *homa_counter_table(size_t *count);

#endif
