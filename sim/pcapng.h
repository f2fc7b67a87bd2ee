/*
 * Packets of a simulated run as a pcapng file, for Wireshark: raw IPv4 and UDP around each
 * datagram, an interface for each host (named host0, host1 ...), the same names for the addresses,
 * and times in nanoseconds. Written from the public description of the format; nothing here reads.
 *
 * The same calls give the same bytes everywhere: nothing of the machine goes into the file.
 */
#ifndef SIM_PCAPNG_H
#define SIM_PCAPNG_H

#include "sim/packet.h"

#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>

struct sim_pcapng;

/*
 * Begins a file for so many hosts, whose IPv4 addresses, four bytes each in network order, are in
 * `addresses`. The file stays the caller's and must be open for writing in binary. Ends the process
 * when memory is out; errors of writing are told by sim_pcapng_close().
 */
struct sim_pcapng *sim_pcapng_open(FILE *file, uint32_t hosts, const uint8_t (*addresses)[4]);

/*
 * One datagram, as seen leaving its sender or coming to its receiver, which is the interface that
 * it is put on. Bytes that the simulation does not carry are left out (the captured length is then
 * less than the original one). `comment` may be NULL or empty.
 */
void sim_pcapng_packet(struct sim_pcapng *pcapng, sim_time now, const struct sim_packet *packet,
                       bool is_arrival, const char *comment);

/* Flushes. Returns 0, or a negative errno if anything could not be written. */
int sim_pcapng_close(struct sim_pcapng *pcapng);

#endif
