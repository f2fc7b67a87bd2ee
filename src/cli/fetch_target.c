/*
 * Writing beneath the destination. A directory of the copy is opened by tree.h, which follows no
 * link; everything else happens relative to that descriptor with single names that the plan has
 * judged, and with calls that do not follow a link in the last component either (O_EXCL, renameat,
 * symlinkat).
 */
#include "cli/fetch_target.h"

#include "cli/tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PERMISSIONS     0777 /* what is kept of a mode: no set-user-id, set-group-id, sticky bit */
#define TEMPORARY_TRIES 100

int fetch_target_open(struct fetch_target *target, const char *path)
{
    *target = (struct fetch_target){.root = -1};
    if (mkdir(path, 0777) == 0)
        target->made = true;
    else if (errno != EEXIST)
        return -errno;
    target->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (target->root < 0)
        return -errno;
    if (faccessat(target->root, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        int error = -errno;

        fetch_target_close(target);
        return error;
    }
    return 0;
}

void fetch_target_close(struct fetch_target *target)
{
    if (target->root >= 0)
        close(target->root);
    target->root = -1;
}

/* Opens the directory that holds path's last component, and tells that. */
static int open_parent(const struct fetch_target *target, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    char parent[FILE_PATH_MAX + 1];

    if (slash == NULL) {
        *name = path;
        return tree_open_directory(target->root, "");
    }
    assert((size_t)(slash - path) < sizeof(parent));
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = '\0';
    *name = slash + 1;
    return tree_open_directory(target->root, parent);
}

/* A directory that was there before may forbid its owner to write: not while we do. */
static int take_existing(const struct fetch_target *target, const char *path)
{
    struct stat status;
    int directory = tree_open(target->root, path, O_RDONLY | O_DIRECTORY, 0);
    int error = 0;

    if (directory < 0)
        return directory;
    if (fstat(directory, &status) != 0 ||
        ((status.st_mode & 0700) != 0700 &&
         fchmod(directory, (status.st_mode & PERMISSIONS) | 0700) != 0))
        error = -errno;
    close(directory);
    return error;
}

int fetch_target_make_directory(struct fetch_target *target,
                                const struct fetch_directory *directory)
{
    const char *name;
    int parent;
    int error = 0;

    if (directory->path[0] == '\0')
        return 0;
    parent = open_parent(target, directory->path, &name);
    if (parent < 0)
        return parent;
    /* Nobody else looks in before its mode is known to be right. */
    if (mkdirat(parent, name, 0700) != 0)
        error = errno == EEXIST ? take_existing(target, directory->path) : -errno;
    close(parent);
    return error;
}

static void to_times(struct file_time mtime, struct timespec times[2])
{
    times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
    times[1] = (struct timespec){.tv_sec = mtime.seconds, .tv_nsec = (long)mtime.nanoseconds};
}

int fetch_target_finish_directory(struct fetch_target *target,
                                  const struct fetch_directory *directory)
{
    struct timespec times[2];
    int file;
    int error = 0;

    if (directory->path[0] == '\0')
        return 0;
    file = tree_open(target->root, directory->path, O_RDONLY | O_DIRECTORY, 0);
    if (file < 0)
        return file;
    to_times(directory->mtime, times);
    if (futimens(file, times) != 0 || fchmod(file, directory->mode & PERMISSIONS) != 0)
        error = -errno;
    close(file);
    return error;
}

/* Opens the copy of a directory for as long as somebody uses it. */
static int enter(const struct fetch_target *target, struct fetch_directory *directory)
{
    if (directory->users == 0) {
        int descriptor = tree_open_directory(target->root, directory->path);

        if (descriptor < 0)
            return descriptor;
        directory->descriptor = descriptor;
    }
    directory->users++;
    return 0;
}

static void leave(struct fetch_directory *directory)
{
    assert(directory->users > 0);
    if (--directory->users == 0) {
        close(directory->descriptor);
        directory->descriptor = -1;
    }
}

static void name_temporary(struct fetch_target *target, char *name, size_t size)
{
    snprintf(name, size, ".missive-%d-%u.part", (int)getpid(), target->serial++);
}

int fetch_output_open(struct fetch_target *target, struct fetch_directory *directory,
                      struct fetch_output *output)
{
    int error = enter(target, directory);

    if (error != 0)
        return error;
    *output = (struct fetch_output){.directory = directory};
    for (int i = 0; i < TEMPORARY_TRIES; i++) {
        name_temporary(target, output->temporary, sizeof(output->temporary));
        output->file = openat(directory->descriptor, output->temporary,
                              O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (output->file >= 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    error = -errno;
    leave(directory);
    return error;
}

/* Takes the first length bytes off a list of pieces. */
static void advance(struct iovec **pieces, int *count, size_t length)
{
    while (*count > 0 && length >= (*pieces)->iov_len) {
        length -= (*pieces)->iov_len;
        (*pieces)++;
        (*count)--;
    }
    if (*count > 0) {
        (*pieces)->iov_base = (char *)(*pieces)->iov_base + length;
        (*pieces)->iov_len -= length;
    }
}

int fetch_output_write(struct fetch_output *output, struct iovec *pieces, int count,
                       uint64_t offset)
{
    while (count > 0) {
        ssize_t written = pwritev(output->file, pieces, count, (off_t)offset);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        offset += (uint64_t)written;
        advance(&pieces, &count, (size_t)written);
    }
    return 0;
}

int fetch_output_commit(struct fetch_output *output, const struct fetch_entry *entry)
{
    int directory = output->directory->descriptor;
    struct timespec times[2];
    int error = 0;

    to_times(entry->mtime, times);
    if (fchmod(output->file, entry->mode & PERMISSIONS) != 0 || futimens(output->file, times) != 0)
        error = -errno;
    /* A file server may find out only now that the disk is full: before the file has its name. */
    if (close(output->file) != 0 && error == 0)
        error = -errno;
    output->file = -1;
    if (error == 0 && renameat(directory, output->temporary, directory, entry->name) != 0)
        error = -errno;
    if (error != 0) {
        fetch_output_discard(output);
        return error;
    }
    leave(output->directory);
    return 0;
}

void fetch_output_discard(struct fetch_output *output)
{
    unlinkat(output->directory->descriptor, output->temporary, 0);
    if (output->file >= 0)
        close(output->file);
    leave(output->directory);
}

int fetch_target_link(struct fetch_target *target, const struct fetch_entry *entry)
{
    struct fetch_directory *directory = entry->directory;
    struct timespec times[2];
    char temporary[40];
    int error = enter(target, directory);

    if (error != 0)
        return error;
    for (int i = 0; i < TEMPORARY_TRIES; i++) {
        name_temporary(target, temporary, sizeof(temporary));
        error = symlinkat(entry->target, directory->descriptor, temporary) == 0 ? 0 : -errno;
        if (error != -EEXIST)
            break;
    }
    if (error != 0)
        goto out;
    to_times(entry->mtime, times);
    if (utimensat(directory->descriptor, temporary, times, AT_SYMLINK_NOFOLLOW) != 0 ||
        renameat(directory->descriptor, temporary, directory->descriptor, entry->name) != 0) {
        error = -errno;
        unlinkat(directory->descriptor, temporary, 0);
    }
out:
    leave(directory);
    return error;
}
