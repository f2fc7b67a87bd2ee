/*
 * The copy that a fetch makes: everything it does beneath its destination. Files are written under
 * a temporary name and get their own only when they are complete and verified; symbolic links are
 * made last of all, so that none of ours is ever in the way of a file. Nothing outside the
 * destination is touched, whatever the server calls its files and whatever links lie there already
 * (tree.h).
 *
 * One thread. Functions return 0 or a negative errno.
 */
#ifndef CLI_FETCH_TARGET_H
#define CLI_FETCH_TARGET_H

#include "cli/fetch_plan.h"

#include <sys/uio.h>

struct fetch_target {
    int root;
    bool made;       /* the destination did not exist before */
    unsigned serial; /* of temporary names */
};

/* A file being written. */
struct fetch_output {
    struct fetch_directory *directory;
    int file;
    char temporary[40];
};

/* Opens the destination directory, and makes it if it is missing. */
int fetch_target_open(struct fetch_target *target, const char *path);
void fetch_target_close(struct fetch_target *target);

/* Makes a directory, or takes the one that is there; its owner can write in it until the fetch
 * ends. */
int fetch_target_make_directory(struct fetch_target *target,
                                const struct fetch_directory *directory);

/* Gives a directory the mode and time of the original: after everything beneath it is done. */
int fetch_target_finish_directory(struct fetch_target *target,
                                  const struct fetch_directory *directory);

/* Begins a file in a directory. It must end in exactly one commit or discard. */
int fetch_output_open(struct fetch_target *target, struct fetch_directory *directory,
                      struct fetch_output *output);
int fetch_output_write(struct fetch_output *output, struct iovec *pieces, int count,
                       uint64_t offset);

/* Gives the file mode, time and name of the entry. If that fails, the file is discarded. */
int fetch_output_commit(struct fetch_output *output, const struct fetch_entry *entry);
void fetch_output_discard(struct fetch_output *output);

/* Makes a symbolic link, in place of a file or link of that name. */
int fetch_target_link(struct fetch_target *target, const struct fetch_entry *entry);

#endif
