/*
 * The files of sim/data, which the build embeds, so that the command needs no file at run time: the
 * published distributions of message sizes, and the published slowdowns.
 */
#ifndef SIM_DATA_H
#define SIM_DATA_H

/* The text of sim/data/<name>.tsv, or NULL when there is no such file. */
const char *sim_data(const char *name);

#endif
