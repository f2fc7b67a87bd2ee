/*
 * Judging listings. A page's names must ascend strictly and lie behind the last one of the page
 * before: so no name comes twice, and no server can keep a fetch listing for ever without sending
 * names, whose number is limited.
 */
#include "cli/fetch_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

char *fetch_path(const struct fetch_directory *directory, const char *name,
                 char path[FETCH_PATH_SIZE])
{
    snprintf(path, FETCH_PATH_SIZE, "%s%s%s", directory->path,
             directory->path[0] != '\0' ? "/" : "", name);
    return path;
}

static struct fetch_directory *add_directory(struct fetch_plan *plan, const char *path)
{
    size_t size = strlen(path) + 1;
    struct fetch_directory *directory;

    if (plan->directory_count == plan->directory_capacity) {
        size_t capacity = plan->directory_capacity > 0 ? plan->directory_capacity * 2 : 64;
        struct fetch_directory **all = reallocarray(plan->directories, capacity, sizeof(*all));

        if (all == NULL)
            return NULL;
        plan->directories = all;
        plan->directory_capacity = capacity;
    }
    directory = calloc(1, sizeof(*directory) + size);
    if (directory == NULL)
        return NULL;
    directory->descriptor = -1;
    memcpy(directory->path, path, size);
    plan->directories[plan->directory_count++] = directory;
    STAILQ_INSERT_TAIL(&plan->to_list, directory, next);
    return directory;
}

int fetch_plan_open(struct fetch_plan *plan)
{
    *plan = (struct fetch_plan){0};
    STAILQ_INIT(&plan->to_list);
    STAILQ_INIT(&plan->files);
    STAILQ_INIT(&plan->links);
    STAILQ_INIT(&plan->left_out);
    return add_directory(plan, "") != NULL ? 0 : -ENOMEM;
}

static void free_entries(struct fetch_entries *entries)
{
    struct fetch_entry *entry;

    while ((entry = fetch_plan_next(entries)) != NULL)
        free(entry);
}

void fetch_plan_close(struct fetch_plan *plan)
{
    free_entries(&plan->files);
    free_entries(&plan->links);
    free_entries(&plan->left_out);
    for (size_t i = 0; i < plan->directory_count; i++) {
        free(plan->directories[i]->after);
        free(plan->directories[i]);
    }
    free(plan->directories);
}

struct fetch_directory *fetch_plan_next_directory(struct fetch_plan *plan)
{
    struct fetch_directory *directory = STAILQ_FIRST(&plan->to_list);

    if (directory != NULL)
        STAILQ_REMOVE_HEAD(&plan->to_list, next);
    return directory;
}

struct fetch_entry *fetch_plan_next(struct fetch_entries *entries)
{
    struct fetch_entry *entry = STAILQ_FIRST(entries);

    if (entry != NULL)
        STAILQ_REMOVE_HEAD(entries, next);
    return entry;
}

/* An entry with copies of the listed one's texts. */
static struct fetch_entry *make_entry(struct fetch_directory *directory,
                                      const struct file_entry *listed)
{
    struct fetch_entry *entry =
        calloc(1, sizeof(*entry) + listed->name.length + 1 + listed->target.length + 1);
    char *target;

    if (entry == NULL)
        return NULL;
    entry->directory = directory;
    entry->mode = listed->mode;
    entry->size = listed->size;
    entry->mtime = listed->mtime;
    memcpy(entry->name, listed->name.bytes, listed->name.length);
    target = entry->name + listed->name.length + 1;
    memcpy(target, listed->target.bytes, listed->target.length);
    entry->target = target;
    return entry;
}

static int leave_out(struct fetch_plan *plan, struct fetch_directory *directory,
                     const struct file_entry *listed, const char *reason, bool harmless)
{
    struct fetch_entry *entry = make_entry(directory, listed);

    if (entry == NULL)
        return -ENOMEM;
    entry->reason = reason;
    entry->harmless = harmless;
    STAILQ_INSERT_TAIL(&plan->left_out, entry, next);
    return 0;
}

static int plan_directory(struct fetch_plan *plan, struct fetch_directory *parent,
                          const struct file_entry *listed)
{
    char path[FETCH_PATH_SIZE];
    char name[FILE_NAME_MAX + 1];
    struct fetch_directory *directory;

    memcpy(name, listed->name.bytes, listed->name.length);
    name[listed->name.length] = '\0';
    directory = add_directory(plan, fetch_path(parent, name, path));
    if (directory == NULL)
        return -ENOMEM;
    directory->mode = listed->mode;
    directory->mtime = listed->mtime;
    return 0;
}

static int plan_entry(struct fetch_plan *plan, struct fetch_directory *directory,
                      const struct file_entry *listed)
{
    struct fetch_entry *entry;

    if (plan->entry_count >= FETCH_ENTRIES_MAX)
        return -E2BIG;
    plan->entry_count++;
    if (strlen(directory->path) + 1 + listed->name.length > FILE_PATH_MAX)
        return leave_out(plan, directory, listed, "its path is too long", false);
    switch (listed->kind) {
    case FILE_KIND_DIRECTORY:
        return plan_directory(plan, directory, listed);
    case FILE_KIND_SPECIAL:
        return leave_out(plan, directory, listed, "left out: neither file, directory nor link",
                         true);
    case FILE_KIND_UNKNOWN:
        return leave_out(plan, directory, listed, "the server may not look at it", false);
    case FILE_KIND_REGULAR:
    case FILE_KIND_LINK:
        break;
    }
    entry = make_entry(directory, listed);
    if (entry == NULL)
        return -ENOMEM;
    if (listed->kind == FILE_KIND_LINK) {
        plan->link_count++;
        STAILQ_INSERT_TAIL(&plan->links, entry, next);
        return 0;
    }
    plan->file_count++;
    plan->byte_count += entry->size;
    STAILQ_INSERT_TAIL(&plan->files, entry, next);
    return 0;
}

/* Whether name comes behind all those told before. */
static bool ascends(struct file_text last, struct file_text name)
{
    size_t shorter = last.length < name.length ? last.length : name.length;
    int order = memcmp(last.bytes, name.bytes, shorter);

    return order < 0 || (order == 0 && last.length < name.length);
}

int fetch_plan_add_page(struct fetch_plan *plan, struct fetch_directory *directory,
                        struct base_reader *page)
{
    struct file_text last = file_text_of(directory->after != NULL ? directory->after : "");
    bool more = false;
    bool empty = true;
    char *after;
    int error = file_list_decode(page, &more);

    while (error == 0) {
        struct file_entry listed;

        error = file_entry_decode(page, &listed);
        if (error <= 0)
            break;
        error = ascends(last, listed.name) ? plan_entry(plan, directory, &listed) : -EPROTO;
        last = listed.name;
        empty = false;
    }
    if (error != 0 || !more)
        return error;
    if (empty)
        return -EPROTO;
    after = strndup(last.bytes, last.length);
    if (after == NULL)
        return -ENOMEM;
    free(directory->after);
    directory->after = after;
    STAILQ_INSERT_HEAD(&plan->to_list, directory, next);
    return 0;
}
