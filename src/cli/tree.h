/*
 * Opening what lies beneath a directory, and nothing else: no symbolic link is followed in any
 * component, no ".." is taken, whatever others rename meanwhile. Both ends use it: the server so
 * that a request cannot leave the directory served, fetch so that a listing cannot lead it out of
 * its destination.
 *
 * Paths are relative to root, a descriptor of a directory; "" is root itself. They must satisfy
 * file_path_valid. All functions return a negative errno on failure, -ELOOP or -ENOTDIR where a
 * link is in the way.
 */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include <sys/stat.h>

/*
 * Opens with open(2)'s flags (O_CLOEXEC and O_NOFOLLOW are added) and mode. Returns a descriptor.
 */
int tree_open(int root, const char *path, int flags, mode_t mode);

/* The same by one openat per component, for systems without openat2(2). */
int tree_open_stepwise(int root, const char *path, int flags, mode_t mode);

/* Opens a directory for use as the root of further calls (O_PATH). */
int tree_open_directory(int root, const char *path);

/*
 * Opens a regular file for reading and fills *status. Anything else is not opened at all, as
 * opening a device can do things: -ENXIO, -EISDIR for a directory, -ELOOP for a link.
 */
int tree_open_file(int root, const char *path, struct stat *status);

#endif
