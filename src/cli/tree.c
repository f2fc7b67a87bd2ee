/*
 * openat2(2) does in one step what is wanted; where the kernel lacks it or a sandbox forbids it,
 * every component is opened by itself with O_NOFOLLOW, relative to the one before, which nobody can
 * turn into a way out either.
 */
#include "cli/tree.h"

#include "cli/protocol.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Opens the directory that holds path's last component, and tells where that begins. */
static int open_parent(int root, const char *path, const char **last)
{
    char name[FILE_NAME_MAX + 1];
    const char *slash;
    int at = root;

    *last = path;
    while ((slash = strchr(*last, '/')) != NULL) {
        size_t length = (size_t)(slash - *last);
        int next;

        assert(length < sizeof(name));
        memcpy(name, *last, length);
        name[length] = '\0';
        next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (at != root)
            close(at);
        if (next < 0)
            return -errno;
        at = next;
        *last = slash + 1;
    }
    return at;
}

int tree_open_stepwise(int root, const char *path, int flags, mode_t mode)
{
    const char *last;
    int parent = open_parent(root, path, &last);
    int file;

    if (parent < 0)
        return parent;
    file = openat(parent, *last != '\0' ? last : ".", flags | O_NOFOLLOW | O_CLOEXEC, mode);
    if (file < 0)
        file = -errno;
    if (parent != root)
        close(parent);
    return file;
}

int tree_open(int root, const char *path, int flags, mode_t mode)
{
    static atomic_bool missing;
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_NOFOLLOW | O_CLOEXEC,
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long file;

    assert(file_path_valid(file_text_of(path)));
    if (atomic_load_explicit(&missing, memory_order_relaxed))
        return tree_open_stepwise(root, path, flags, mode);
    file = syscall(SYS_openat2, root, *path != '\0' ? path : ".", &how, sizeof(how));
    if (file >= 0)
        return (int)file;
    /* A sandbox that does not know the call may say EPERM, as a file system may for its own
     * reasons. */
    if (errno == ENOSYS || errno == EPERM) {
        if (errno == ENOSYS)
            atomic_store_explicit(&missing, true, memory_order_relaxed);
        return tree_open_stepwise(root, path, flags, mode);
    }
    return -errno;
}

int tree_open_directory(int root, const char *path)
{
    return tree_open(root, path, O_PATH | O_DIRECTORY, 0);
}

/* 0 for a regular file, else why it is refused. */
static int judge_kind(mode_t mode)
{
    if (S_ISREG(mode))
        return 0;
    if (S_ISDIR(mode))
        return -EISDIR;
    return S_ISLNK(mode) ? -ELOOP : -ENXIO;
}

int tree_open_file(int root, const char *path, struct stat *status)
{
    int file = tree_open(root, path, O_PATH, 0);
    int error;

    if (file < 0)
        return file;
    error = fstat(file, status) == 0 ? judge_kind(status->st_mode) : -errno;
    close(file);
    if (error != 0)
        return error;

    /* Only its owner can have put a device there in between; it is still not waited for or read. */
    file = tree_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (file < 0)
        return file;
    error = fstat(file, status) == 0 ? judge_kind(status->st_mode) : -errno;
    if (error != 0) {
        close(file);
        return error;
    }
    return file;
}
