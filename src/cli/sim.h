/*
 * The parts of `missive sim` that have a command line of their own. Each takes its argument vector,
 * argv[0] being "missive sim NAME", and returns the process's exit status.
 */
#ifndef CLI_SIM_H
#define CLI_SIM_H

/* The published experiment on a cluster: sim_cluster.c. */
int sim_cluster_command(int argc, char **argv);

/* Two hosts on a veth pair, to be compared with the real stack: sim_veth.c. */
int sim_veth_command(int argc, char **argv);

#endif
