/*
 * A run as text: one line for each packet and for each change of state, made to be read by people
 * and searched by grep. Changes the world in nothing.
 *
 *     1234.567  sent       0:2000 -> 1:1000       DATA         id 5a0 0+1416/9000 incoming 9000 p4
 *     1237.777  delivered  0:2000 -> 1:1000       DATA         id 5a0 0+1416/9000 incoming 9000 p4
 *     1237.777  rpc        1:1000 <- 0:2000       begun        id 5a1  in 1416/9000 granted 9000
 *     1238.002  sent       0:2000 -> 1:1000       DATA         id 5a0 1416+1416/9000 incoming ...
 *     1238.002  lost       0:2000 -> 1:1000       DATA         id 5a0 1416+...  (lost: bursts)
 *     1250.000  event      1                      crash        for 2 ms
 *
 * Columns: microseconds (with nanoseconds), what, where, and the rest in words. A packet is named
 * by its sender's id of the RPC, an RPC by its own host's. Packets of a bundle get a line each; all
 * but the first have a "+" in front of the type. What:
 *
 *     sent, delivered      left its host; came to the program
 *     lost                 by a fault (which, is said in brackets), right after it was sent
 *     dropped              a queue of the network was full
 *     refused              the socket buffer was full, the socket closed, or the host down
 *     rpc                  an RPC's state, as its host has it, at the end of this instant:
 *                          begun, granted (may send more), grants (lets the other send more), gaps,
 *                          filled, stalled (waits for buffer space), resumed, replying, sent,
 *                          complete, ready (for the application), taken, ended
 *     socket               open, closed
 *     event                what the scenario or an application did
 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include "sim/pcapng.h"
#include "sim/world.h"

#include <stdint.h>
#include <stdio.h>

struct sim_trace;

struct sim_trace_options {
    FILE *text;                /* NULL: no text */
    struct sim_pcapng *pcapng; /* NULL: none. Both stay the caller's */
    /* Why a packet was lost or changed, asked when it has been sent or lost (sim_fault_verdict);
     * NULL: nobody knows. */
    const char *(*explain)(void *context);
    void *explain_context;
};

/* Ends the process with a sentence when memory is out. */
struct sim_trace *sim_trace_open(const struct sim_trace_options *options, struct sim_world *world);
void sim_trace_close(struct sim_trace *trace);

/* For sim_world_set_watcher(), or to be called by another watcher. */
struct sim_watcher sim_trace_watcher(struct sim_trace *trace);

/* Compares every RPC of every engine with how it was at the last look and writes what has changed,
 * grants included. It does so by itself at the end of every instant in which it saw a packet or was
 * told of an event; call it to have what timers did written at once, too. */
void sim_trace_look(struct sim_trace *trace);

/*
 * Writes a line about what an application or the scenario did: "request", "reply", "done",
 * "crash" ... with its host and port (0: the whole host) and the rest as printf would.
 */
void sim_trace_event(struct sim_trace *trace, uint32_t host, uint16_t port, const char *what,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Lines written. */
uint64_t sim_trace_lines(const struct sim_trace *trace);

/* One packet (of a bundle) in words, as in a line: type and fields. `length` are the bytes at hand;
 * `whole` those of the datagram, if its payload is not there. Returns the bytes that it takes. */
uint32_t sim_trace_packet_text(const uint8_t *bytes, uint32_t length, uint32_t whole, char *into,
                               size_t size);

#endif
