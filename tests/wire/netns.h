/*
 * Network namespaces that a test makes for itself, for what loopback cannot show: links with an
 * MTU, routers, neighbours that do not answer, queues. They vanish with the process.
 */
#ifndef WIRE_NETNS_H
#define WIRE_NETNS_H

#include "support/test.h"

#include <stdbool.h>

/*
 * Moves the process into a fresh, empty namespace and returns a descriptor for it, or -1 when that
 * is not permitted here (the test should skip()). Needs root or unprivileged user namespaces.
 */
int netns_new(void);

/* Moves the process into a namespace made before. Sockets stay in the one they were opened in.
 * Nobody goes home: to an ordinary user that is forbidden. */
void netns_enter(int netns);

/* Closes a descriptor from above; -1 is allowed. */
void netns_close(int netns);

/* Runs a shell command in the current namespace; fails the test unless it succeeds. printf-like. */
void netns_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, but returns whether it succeeded: for what a kernel may lack. */
bool netns_try(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Two namespaces joined by a link: 10.9.0.1, fd09::1 on device "left", 10.9.0.2, fd09::2 on
 * "right". */
struct netns_link {
    int left;
    int right;
};

/* Leaves the process on the left. Returns false when namespaces are not permitted. */
bool netns_link_open(struct netns_link *link, unsigned mtu);
void netns_link_close(struct netns_link *link);

/* A counter of /proc/net/snmp ("Ip", "FragCreates"), or of snmp6 (NULL, "Ip6FragCreates"). */
unsigned long netns_counter(const char *group, const char *name);

#endif
