/*
 * One page of a directory's listing, on the server's side.
 */
#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include "cli/protocol.h"

#include <time.h>

/*
 * Appends the body of a list response to writer, which has had the header: as many entries as fit
 * of those beneath root at path whose names come after `after`. 0 or a negative errno.
 */
int listing_write(int root, const char *path, const char *after, struct base_writer *writer);

struct file_time listing_time(struct timespec time);

#endif
