/*
 * Rules and verdicts in words, for descriptions of runs and for traces. Numbers are written from
 * integers, so that every machine writes the same.
 */
#include "homa/packet.h"
#include "sim/fault_internal.h"
#include "sim/text.h"

#include <assert.h>
#include <inttypes.h>

static void add_time(struct sim_text *text, sim_time time)
{
    sim_text_add_us(text, time);
    sim_text_add(text, " us");
}

static void add_chance(struct sim_text *text, uint32_t chance)
{
    sim_text_add(text, "%" PRIu32 ".%04" PRIu32 " %%", chance / 10000, chance % 10000);
}

const char *sim_fault_kind_name(enum sim_fault_kind kind)
{
#define SIM_FAULT_KIND(name, text) text,
    static const char *const names[] = {SIM_FAULT_KINDS_X(SIM_FAULT_KIND)};
#undef SIM_FAULT_KIND

    assert(kind < SIM_FAULT_KINDS);
    return names[kind];
}

void sim_fault_verdict_text(const struct sim_fault_verdict *verdict, char *into, size_t size)
{
    struct sim_text text = sim_text_begin(into, size);
    const char *gap = "changed: ";

    if (verdict->is_lost) {
        sim_text_add(&text, "lost: %s", sim_fault_kind_name(verdict->lost_by));
        return;
    }
    for (unsigned kind = 0; kind < SIM_FAULT_KINDS; kind++) {
        if ((verdict->changes >> kind & 1) != 0) {
            sim_text_add(&text, "%s%s", gap, sim_fault_kind_name(kind));
            gap = "+";
        }
    }
    gap = verdict->changes != 0 ? ", " : "";
    if (verdict->delay[0] > 0) {
        sim_text_add(&text, "%slate: ", gap);
        add_time(&text, verdict->delay[0]);
        gap = ", ";
    }
    if (verdict->is_doubled) {
        sim_text_add(&text, "%stwice, late: ", gap);
        add_time(&text, verdict->delay[1]);
    }
}

/* ---- rules ---- */

static void add_what(struct sim_text *text, const struct sim_fault_rule *rule)
{
    sim_text_add(text, "%s", sim_fault_kind_name(rule->kind));
    if (rule->kind == SIM_FAULT_ONE) {
        sim_text_add(text, " number %" PRIu32, rule->number);
    } else if (rule->kind == SIM_FAULT_PATH) {
        sim_text_add(text, " above %" PRIu32 " bytes", rule->limit);
    } else {
        sim_text_add(text, " ");
        add_chance(text, rule->chance);
    }
    if (rule->kind == SIM_FAULT_BURSTS) {
        sim_text_add(text, " (ends ");
        add_chance(text, rule->end_chance);
        sim_text_add(text, ", loses ");
        add_chance(text, rule->bad_chance);
        sim_text_add(text, ")");
    }
    if (rule->kind == SIM_FAULT_DUPLICATE || rule->kind == SIM_FAULT_REORDER ||
        rule->kind == SIM_FAULT_SPIKE) {
        sim_text_add(text, " up to ");
        add_time(text, rule->delay);
    }
}

static void add_which(struct sim_text *text, const struct sim_fault_rule *rule)
{
    const char *gap = " of ";

    for (unsigned type = 0; type < HOMA_PACKET_TYPES; type++) {
        if ((rule->types >> type & 1) != 0) {
            sim_text_add(text, "%s%s", gap, homa_packet_type_name(HOMA_DATA + type));
            gap = "+";
        }
    }
    if (rule->from != 0)
        sim_text_add(text, " from hosts 0x%" PRIx64, rule->from);
    if (rule->to != 0)
        sim_text_add(text, " to hosts 0x%" PRIx64, rule->to);
    if (rule->is_both_ways)
        sim_text_add(text, " and back");
}

void sim_fault_rule_text(const struct sim_fault_rule *rule, char *into, size_t size)
{
    struct sim_text text = sim_text_begin(into, size);

    add_what(&text, rule);
    add_which(&text, rule);
    if (rule->kind == SIM_FAULT_PARTITION || rule->kind == SIM_FAULT_PATH) {
        sim_text_add(&text, ", told ");
        add_chance(&text, rule->tell_chance);
    }
    sim_text_add(&text, ", ");
    add_time(&text, rule->begin);
    sim_text_add(&text, " to ");
    if (rule->end == SIM_NEVER)
        sim_text_add(&text, "the end");
    else
        add_time(&text, rule->end);
}

bool sim_fault_changes_bytes(const struct sim_fault_options *options)
{
    for (uint32_t i = 0; i < options->rule_count; i++) {
        const struct sim_fault_rule *rule = &options->rules[i];

        if (rule->kind >= SIM_FAULT_HEADER && rule->kind <= SIM_FAULT_EXTEND && rule->chance > 0 &&
            rule->end > rule->begin)
            return true;
    }
    return false;
}
