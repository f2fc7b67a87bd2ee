/* See scratch.h. */
#include "cli/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int scratch_open(void **state)
{
    struct scratch *scratch = calloc(1, sizeof(*scratch));

    if (scratch == NULL)
        return -1;
    *state = scratch;
    snprintf(scratch->path, sizeof(scratch->path), "/tmp/missive-test-XXXXXX");
    if (mkdtemp(scratch->path) == NULL)
        return -1;
    scratch->root = open(scratch->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return scratch->root >= 0 ? 0 : -1;
}

static int allow(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)where;
    if (kind == FTW_D || kind == FTW_DNR)
        chmod(path, 0700);
    return 0;
}

static int erase(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

int scratch_close(void **state)
{
    struct scratch *scratch = *state;
    int error;

    close(scratch->root);
    nftw(scratch->path, allow, 20, FTW_PHYS);
    error = nftw(scratch->path, erase, 20, FTW_PHYS | FTW_DEPTH);
    free(scratch);
    return error;
}

void scratch_file(const struct scratch *scratch, const char *path, const char *text)
{
    int file = openat(scratch->root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
}

void scratch_directory(const struct scratch *scratch, const char *path)
{
    assert_int_equal(mkdirat(scratch->root, path, 0755), 0);
}

void scratch_link(const struct scratch *scratch, const char *path, const char *target)
{
    assert_int_equal(symlinkat(target, scratch->root, path), 0);
}

const char *scratch_read(const struct scratch *scratch, const char *path)
{
    static char text[4096];
    int file = openat(scratch->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t length;

    if (file < 0)
        return NULL;
    length = read(file, text, sizeof(text) - 1);
    close(file);
    assert_true(length >= 0);
    text[length] = '\0';
    return text;
}

bool scratch_exists(const struct scratch *scratch, const char *path)
{
    struct stat status;

    return fstatat(scratch->root, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

unsigned scratch_count(const struct scratch *scratch, const char *path)
{
    int file = openat(scratch->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unsigned count = 0;
    DIR *directory;

    assert_true(file >= 0);
    directory = fdopendir(file);
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count - 2;
}
