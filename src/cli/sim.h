/*
 * The parts of `missive sim` that have a command line of their own. Each takes its argument vector,
 * argv[0] being "missive sim NAME", and returns the process's exit status.
 */
#ifndef CLI_SIM_H
#define CLI_SIM_H

/* The published experiment on a cluster: sim_cluster.c. */
int sim_cluster_command(int argc, char **argv);

#endif
