/*
 * Listing a directory page by page without remembering anything between pages: each reads all
 * names, keeps those behind the last one told, and sorts them. Names that come or go meanwhile
 * neither repeat nor hide others, which a position in the directory could not promise on every file
 * system.
 *
 * Only the entries that make it into the page are looked at.
 */
#include "cli/listing.h"

#include "cli/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names of one directory; the strings are malloc'ed. */
struct names {
    char **items;
    size_t count;
    size_t capacity;
};

static int names_add(struct names *names, const char *name)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity > 0 ? names->capacity * 2 : 64;
        char **items = reallocarray(names->items, capacity, sizeof(*items));

        if (items == NULL)
            return -ENOMEM;
        names->items = items;
        names->capacity = capacity;
    }
    names->items[names->count] = strdup(name);
    if (names->items[names->count] == NULL)
        return -ENOMEM;
    names->count++;
    return 0;
}

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int names_read(struct names *names, DIR *directory, const char *after)
{
    for (;;) {
        struct dirent *entry;
        int error;

        errno = 0;
        entry = readdir(directory);
        if (entry == NULL)
            return -errno;
        if (strcmp(entry->d_name, after) <= 0 || !file_name_valid(file_text_of(entry->d_name)))
            continue;
        error = names_add(names, entry->d_name);
        if (error != 0)
            return error;
    }
}

struct file_time listing_time(struct timespec time)
{
    return (struct file_time){.seconds = time.tv_sec, .nanoseconds = (uint32_t)time.tv_nsec};
}

static enum file_kind kind_of(mode_t mode)
{
    if (S_ISREG(mode))
        return FILE_KIND_REGULAR;
    if (S_ISDIR(mode))
        return FILE_KIND_DIRECTORY;
    return S_ISLNK(mode) ? FILE_KIND_LINK : FILE_KIND_SPECIAL;
}

/*
 * Fills *entry about a name in the directory; target is where its text goes. False when it
 * vanished.
 */
static bool look_at(int directory, const char *name, char target[FILE_PATH_MAX + 1],
                    struct file_entry *entry)
{
    struct stat status;
    ssize_t length;

    *entry = (struct file_entry){.kind = FILE_KIND_UNKNOWN, .name = file_text_of(name)};
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno != ENOENT;
    entry->kind = kind_of(status.st_mode);
    entry->mode = (uint16_t)(status.st_mode & 07777);
    entry->mtime = listing_time(status.st_mtim);
    if (entry->kind == FILE_KIND_REGULAR)
        entry->size = (uint64_t)status.st_size;
    if (entry->kind != FILE_KIND_LINK)
        return true;
    length = readlinkat(directory, name, target, FILE_PATH_MAX + 1);
    if (length <= 0 || length > FILE_PATH_MAX) {
        entry->kind = FILE_KIND_UNKNOWN;
        return !(length < 0 && errno == ENOENT);
    }
    entry->target = (struct file_text){.bytes = target, .length = (size_t)length};
    return true;
}

static void write_entries(int directory, const struct names *names, struct base_writer *writer)
{
    char target[FILE_PATH_MAX + 1];
    struct file_entry entry;

    file_list_begin(writer);
    for (size_t i = 0; i < names->count; i++) {
        if (!look_at(directory, names->items[i], target, &entry))
            continue;
        if (!file_entry_encode(writer, &entry)) {
            file_list_set_more(writer);
            return;
        }
    }
}

int listing_write(int root, const char *path, const char *after, struct base_writer *writer)
{
    struct names names = {0};
    int file = tree_open(root, path, O_RDONLY | O_DIRECTORY, 0);
    DIR *directory;
    int error;

    if (file < 0)
        return file;
    directory = fdopendir(file);
    if (directory == NULL) {
        error = -errno;
        close(file);
        return error;
    }
    error = names_read(&names, directory, after);
    if (error == 0) {
        if (names.count > 0)
            qsort(names.items, names.count, sizeof(*names.items), compare_names);
        write_entries(dirfd(directory), &names, writer);
    }
    names_free(&names);
    closedir(directory);
    return error;
}
