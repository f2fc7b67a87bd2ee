/*
 * What the network does to packets: a list of rules, each of which does one kind of harm to the
 * packets that it is about, for a time and with a chance. The scenario makes the rules from its
 * seed; nothing here decides what a run is to suffer. An object of rules plugs into the world as
 * its hook, alone or behind another.
 *
 * A datagram is harmed as a whole. One that holds several packets (a bundle) is of the type of each
 * of them. Everything random is drawn from the seed given, in the order in which packets leave
 * their hosts; chances are whole millionths.
 *
 * Order: every rule sees every packet that it is about, whatever rules before it did, and draws its
 * dice from a stream of its own: one that is switched off (end = begin) changes nothing about the
 * dice of the others. A packet that several rules would lose is counted for the first of them.
 * Packets that were injected (sim_world_inject) pass untouched.
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "homa/packet.h"
#include "sim/world.h"

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define SIM_FAULT_RULES_MAX 32u
#define SIM_FAULT_ALWAYS    1000000u /* as a chance in millionths */

/*
 *   kind         in the counts and in texts     what happens to a packet that it is about
 *
 *   LOSS         lost, each by its own chance
 *   BURSTS       lost while the link to its host is bad (two states, Gilbert and Elliott):
 *                `chance` to become bad, `end_chance` to become good again, `bad_chance` to be lost
 *                while bad, all per packet
 *   ONE          lost if it is the `number`-th that the rule is about (from 1); this happens once
 *   PARTITION    lost; with `tell_chance` the sender hears EHOSTUNREACH
 *   DETECTED     damaged so that the carrier's checksum notices: lost, too
 *   DUPLICATE    comes twice; the second is up to `delay` late
 *   REORDER      comes up to `delay` late
 *   SPIKE        with `chance` begins a spike: it and all that follow wait for its end, `delay`
 *                after its beginning
 *   HEADER       comes with bytes of a Homa header changed, unnoticed by the carrier
 *   PAYLOAD      comes with bytes of the payload changed; packets without payload are left alone
 *   TRUNCATE     comes shorter
 *   EXTEND       comes with nonsense at its end
 *   PATH         lost if it is longer than `limit`; with `tell_chance` the sender hears EMSGSIZE
 *   REFUSE       if it comes to a socket that is closed, the sender hears ECONNREFUSED
 *   PROTOCOL     lost; the sender hears EPROTONOSUPPORT
 */
#define SIM_FAULT_KINDS_X(X)  \
    X(LOSS, "loss")           \
    X(BURSTS, "bursts")       \
    X(ONE, "one")             \
    X(PARTITION, "partition") \
    X(DETECTED, "detected")   \
    X(DUPLICATE, "duplicate") \
    X(REORDER, "reorder")     \
    X(SPIKE, "spike")         \
    X(HEADER, "header")       \
    X(PAYLOAD, "payload")     \
    X(TRUNCATE, "truncate")   \
    X(EXTEND, "extend")       \
    X(PATH, "path")           \
    X(REFUSE, "refuse")       \
    X(PROTOCOL, "protocol")

enum sim_fault_kind {
#define SIM_FAULT_KIND(name, text) SIM_FAULT_##name,
    SIM_FAULT_KINDS_X(SIM_FAULT_KIND)
#undef SIM_FAULT_KIND
    SIM_FAULT_KINDS
};

/* Zero means: all hosts, all types, never told, at once. */
struct sim_fault_rule {
    enum sim_fault_kind kind;
    sim_time begin;      /* acts from here on ... */
    sim_time end;        /* ... until before here; SIM_NEVER = to the end of the world */
    uint64_t from;       /* hosts that send: bit = number; 0 = all. Hosts from 64 on match 0 only */
    uint64_t to;         /* hosts that the packet is for; as above */
    bool is_both_ways;   /* and those that go from `to` to `from` */
    uint16_t types;      /* bit = type - HOMA_DATA; 0 = all, even what is no packet at all */
    uint32_t chance;     /* in millionths. ONE takes none; PARTITION, PATH: SIM_FAULT_ALWAYS, say */
    uint32_t end_chance; /* BURSTS */
    uint32_t bad_chance; /* BURSTS */
    uint32_t number;     /* ONE */
    sim_time delay;      /* DUPLICATE, REORDER, SPIKE: the longest */
    uint32_t limit;      /* PATH: bytes of a datagram, Homa header and payload */
    uint32_t tell_chance; /* PARTITION, PATH */
    sim_time tell_delay;  /* from the loss until the sender hears of it */
};

struct sim_fault_options {
    uint64_t seed;
    sim_time delay_limit; /* of all delays of one packet together; 0 = none. Keep it below the
                             tombstone's life (knob tombstone_ms) */
    uint32_t rule_count;
    struct sim_fault_rule rules[SIM_FAULT_RULES_MAX];
};

/* What has been done to packets. */
struct sim_fault_counts {
    uint64_t packets;                  /* that left their hosts */
    uint64_t lost;                     /* by any rule, each once */
    uint64_t changed;                  /* delivered with other bytes than sent, each once */
    uint64_t acts[SIM_FAULT_KINDS];    /* per kind; lost ones only for the rule that lost them */
    uint64_t told[SIM_FAULT_KINDS];    /* errors given to senders, by the kind of their rule */
    uint64_t types[HOMA_PACKET_TYPES]; /* lost, by each type of packet in the datagram */
};

struct sim_fault;

/* Ends the process with a sentence when memory is out. The options are copied. Not before
 * sim_world_open() and to be closed before sim_world_close(). */
struct sim_fault *sim_fault_open(const struct sim_fault_options *options, struct sim_world *world);
/* Errors that are still under way are forgotten. Take the hook out of the world first. */
void sim_fault_close(struct sim_fault *fault);

/* To be given to sim_world_set_hook(), or asked by another hook. */
struct sim_hook sim_fault_hook(struct sim_fault *fault);

const struct sim_fault_counts *sim_fault_counts(const struct sim_fault *fault);
/* What one rule has done. */
uint64_t sim_fault_rule_acts(const struct sim_fault *fault, uint32_t rule);

/* Whether a changed packet has ever gone from one host to the other, in this direction: whatever
 * these two tell each other may be wrong from then on. */
bool sim_fault_was_changed(const struct sim_fault *fault, uint32_t from, uint32_t to);
/* Whether these options can change bytes without the carrier noticing. */
bool sim_fault_changes_bytes(const struct sim_fault_options *options);

/* What the last decision did to its packet, for traces: "" (nothing), or words such as
 * "lost: bursts" or "changed: header, late: 12.300 us". Valid until the next. To be asked once per
 * packet: asked again, it has nothing to say. */
const char *sim_fault_verdict(struct sim_fault *fault);

/* Errors that are on their way to senders. */
uint32_t sim_fault_pending(const struct sim_fault *fault);

const char *sim_fault_kind_name(enum sim_fault_kind kind);
/* One line that says what a rule does, for the scenario's description. */
void sim_fault_rule_text(const struct sim_fault_rule *rule, char *into, size_t size);

#endif
