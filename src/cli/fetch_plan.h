/*
 * What a fetch has still to do: directories to list, files to copy, links to make. The server's
 * listings come in page by page, are judged, and become entries here; the rest of fetch takes them
 * out in order. Whatever is hostile in a listing ends here. No file, no network.
 */
#ifndef CLI_FETCH_PLAN_H
#define CLI_FETCH_PLAN_H

#include "base/tree.h"
#include "cli/protocol.h"

/* A directory of the tree. Lives as long as the plan. */
struct fetch_directory {
    STAILQ_ENTRY(fetch_directory) next; /* in to_list */
    uint16_t mode;
    struct file_time mtime;
    int descriptor; /* of its copy while users > 0, else -1; see fetch_target.h */
    unsigned users;
    bool made;   /* its copy exists */
    char *after; /* last name that the server has told; NULL = none yet */
    char path[]; /* "" is the root */
};

/* A file, a link, or something that will not be fetched. */
struct fetch_entry {
    STAILQ_ENTRY(fetch_entry) next;
    struct fetch_directory *directory;
    uint16_t mode;
    uint64_t size;
    struct file_time mtime;
    const char *target; /* of a link */
    const char *reason; /* in left_out: why */
    bool harmless;      /* in left_out: no failure, such things are never fetched */
    char name[];
};

STAILQ_HEAD(fetch_entries, fetch_entry);
STAILQ_HEAD(fetch_directories, fetch_directory);

struct fetch_plan {
    struct fetch_directories to_list;
    struct fetch_entries files;
    struct fetch_entries links;
    struct fetch_entries left_out;
    struct fetch_directory *
        *directories; /* all, parents before their children; the root is first */
    size_t directory_count;
    size_t directory_capacity;
    uint64_t entry_count; /* all ever planned */
    uint64_t file_count;
    uint64_t link_count;
    uint64_t byte_count;
};

/* Begins with the root in to_list. 0 or -ENOMEM. */
int fetch_plan_open(struct fetch_plan *plan);
void fetch_plan_close(struct fetch_plan *plan);

/* Take the next one out; NULL when there is none at present. Entries are the caller's to free. */
struct fetch_directory *fetch_plan_next_directory(struct fetch_plan *plan);
struct fetch_entry *fetch_plan_next(struct fetch_entries *entries);

/*
 * Takes in the body of a list response about a directory. If there is more of it, it goes back to
 * the head of to_list. 0; -EPROTO for a malformed or hostile page (nothing after it is taken in);
 * -ENOMEM; -E2BIG beyond FETCH_ENTRIES_MAX entries.
 */
int fetch_plan_add_page(struct fetch_plan *plan, struct fetch_directory *directory,
                        struct base_reader *page);

#define FETCH_ENTRIES_MAX 20000000

/* Writes "directory/name" into path and returns it. */
char *fetch_path(const struct fetch_directory *directory, const char *name,
                 char path[FILE_PATH_MAX + 1 + FILE_NAME_MAX + 1]);
#define FETCH_PATH_SIZE (FILE_PATH_MAX + 1 + FILE_NAME_MAX + 1)

#endif
