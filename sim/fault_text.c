/*
 * Rules and verdicts in words, for descriptions of runs and for traces. Numbers are written from
 * integers, so that every machine writes the same.
 */
#include "homa/packet.h"
#include "sim/fault_internal.h"

#include <stdarg.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* A text that grows until it is full; what no longer fits is left out. */
struct text {
    char *at;
    size_t left;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *text, const char *format, ...)
{
    va_list arguments;
    int length = 0;

    va_start(arguments, format);
    length = vsnprintf(text->at, text->left, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= text->left)
        length = text->left > 0 ? (int)text->left - 1 : 0;
    text->at += length;
    text->left -= (size_t)length;
}

static void add_time(struct text *text, sim_time time)
{
    add(text, "%" PRIu64 ".%03" PRIu64 " us", time / SIM_US, time % SIM_US / SIM_NS);
}

static void add_chance(struct text *text, uint32_t chance)
{
    add(text, "%" PRIu32 ".%04" PRIu32 " %%", chance / 10000, chance % 10000);
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
    struct text text = {.at = into, .left = size};
    const char *gap = "changed: ";

    into[0] = '\0';
    if (verdict->is_lost) {
        add(&text, "lost: %s", sim_fault_kind_name(verdict->lost_by));
        return;
    }
    for (unsigned kind = 0; kind < SIM_FAULT_KINDS; kind++) {
        if ((verdict->changes >> kind & 1) != 0) {
            add(&text, "%s%s", gap, sim_fault_kind_name(kind));
            gap = "+";
        }
    }
    gap = verdict->changes != 0 ? ", " : "";
    if (verdict->delay[0] > 0) {
        add(&text, "%slate: ", gap);
        add_time(&text, verdict->delay[0]);
        gap = ", ";
    }
    if (verdict->is_doubled) {
        add(&text, "%stwice, late: ", gap);
        add_time(&text, verdict->delay[1]);
    }
}

/* ---- rules ---- */

static void add_what(struct text *text, const struct sim_fault_rule *rule)
{
    add(text, "%s", sim_fault_kind_name(rule->kind));
    if (rule->kind == SIM_FAULT_ONE) {
        add(text, " number %" PRIu32, rule->number);
    } else if (rule->kind == SIM_FAULT_PATH) {
        add(text, " above %" PRIu32 " bytes", rule->limit);
    } else {
        add(text, " ");
        add_chance(text, rule->chance);
    }
    if (rule->kind == SIM_FAULT_BURSTS) {
        add(text, " (ends ");
        add_chance(text, rule->end_chance);
        add(text, ", loses ");
        add_chance(text, rule->bad_chance);
        add(text, ")");
    }
    if (rule->delay > 0) {
        add(text, " up to ");
        add_time(text, rule->delay);
    }
}

static void add_which(struct text *text, const struct sim_fault_rule *rule)
{
    const char *gap = " of ";

    for (unsigned type = 0; type < HOMA_PACKET_TYPES; type++) {
        if ((rule->types >> type & 1) != 0) {
            add(text, "%s%s", gap, homa_packet_type_name(HOMA_DATA + type));
            gap = "+";
        }
    }
    if (rule->from != 0)
        add(text, " from hosts 0x%" PRIx64, rule->from);
    if (rule->to != 0)
        add(text, " to hosts 0x%" PRIx64, rule->to);
    if (rule->is_both_ways)
        add(text, " and back");
}

void sim_fault_rule_text(const struct sim_fault_rule *rule, char *into, size_t size)
{
    struct text text = {.at = into, .left = size};

    add_what(&text, rule);
    add_which(&text, rule);
    if (rule->tell_chance > 0) {
        add(&text, ", told ");
        add_chance(&text, rule->tell_chance);
    }
    add(&text, ", ");
    add_time(&text, rule->begin);
    add(&text, " to ");
    if (rule->end == SIM_NEVER)
        add(&text, "the end");
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
