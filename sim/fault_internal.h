/* What fault.c decides about a packet and fault_text.c puts in words. */
#ifndef SIM_FAULT_INTERNAL_H
#define SIM_FAULT_INTERNAL_H

#include "sim/fault.h"

#define SIM_FAULT_TEXT_SIZE 160u

struct sim_fault_verdict {
    sim_time delay[2];
    uint32_t changes; /* bit = enum sim_fault_kind */
    enum sim_fault_kind lost_by;
    bool is_lost;
    bool is_doubled;
};

void sim_fault_verdict_text(const struct sim_fault_verdict *verdict, char *into, size_t size);

#endif
