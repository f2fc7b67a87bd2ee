/*
 * The slowdowns that were published for Homa and its peers, as rows like our own, to be put beside
 * ours. They exist for some workloads at 80 % load.
 *
 * Their lengths are not always counted as the workloads of sim/data count them (W1's begin at 1
 * byte here, at 8 there); their shares of the messages agree.
 */
#ifndef SIM_PUBLISHED_H
#define SIM_PUBLISHED_H

#include "sim/slowdown.h"

#include <stdint.h>

#define SIM_CURVES_MAX      8u
#define SIM_TRANSPORT_BYTES 16u

struct sim_curve {
    char transport[SIM_TRANSPORT_BYTES]; /* "Homa", "pFabric" ... */
    struct sim_rows rows;
};

struct sim_published {
    uint32_t count;
    struct sim_curve curves[SIM_CURVES_MAX];
};

/*
 * What was published for this workload (its name, in small letters) at this load. *published has no
 * curves when nothing was. Returns 0 or -ENOMEM; the caller closes it.
 */
int sim_published_open(const char *workload, uint32_t load_permille,
                       struct sim_published **published);
/* NULL is allowed. */
void sim_published_close(struct sim_published *published);

/* The rows of one transport, or NULL. */
const struct sim_rows *sim_published_rows(const struct sim_published *published,
                                          const char *transport);

/*
 * The figures over the smaller half of the messages alone, in thousandths, which were published for
 * more workloads than rows were. Returns 0, or -ENOENT. Either may be 0: not given.
 */
int sim_published_half(const char *workload, uint32_t load_permille, const char *transport,
                       uint32_t *p50, uint32_t *p99);

#endif
