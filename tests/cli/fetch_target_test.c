/*
 * The copy under construction: links that lie in the destination lead nowhere, and a file has its
 * name only when it is complete.
 */
#include "cli/fetch_target.h"

#include "cli/scratch.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A destination "dest" in the scratch directory, beside a directory "outside". */
struct fixture {
    struct scratch *scratch;
    struct fetch_target target;
    struct fetch_directory *directory; /* of the plan: "a/b", or the root */
};

static int open_target(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    void *scratch = NULL;
    char path[100];

    if (fixture == NULL)
        return -1;
    *state = fixture;
    if (scratch_open(&scratch) != 0)
        return -1;
    fixture->scratch = scratch;
    scratch_directory(fixture->scratch, "outside");
    snprintf(path, sizeof(path), "%s/dest", fixture->scratch->path);
    return fetch_target_open(&fixture->target, path);
}

static int close_target(void **state)
{
    struct fixture *fixture = *state;
    void *scratch = fixture->scratch;

    fetch_target_close(&fixture->target);
    free(fixture->directory);
    free(fixture);
    return scratch_close(&scratch);
}

static struct fetch_directory *use_directory(struct fixture *fixture, const char *path,
                                             uint16_t mode)
{
    struct fetch_directory *directory = calloc(1, sizeof(*directory) + strlen(path) + 1);

    assert_non_null(directory);
    memcpy(directory->path, path, strlen(path) + 1);
    directory->descriptor = -1;
    directory->mode = mode;
    directory->mtime.seconds = 77;
    free(fixture->directory);
    fixture->directory = directory;
    return directory;
}

static struct fetch_entry *make_entry(struct fetch_directory *directory, const char *name,
                                      uint16_t mode)
{
    struct fetch_entry *entry = calloc(1, sizeof(*entry) + strlen(name) + 1);

    assert_non_null(entry);
    memcpy(entry->name, name, strlen(name) + 1);
    entry->directory = directory;
    entry->mode = mode;
    entry->mtime.seconds = 1234;
    entry->target = "../outside";
    return entry;
}

/* Writes and commits a file of that name with the text "new". */
static int write_file(struct fixture *fixture, const char *name, uint16_t mode)
{
    struct fetch_entry *entry = make_entry(fixture->directory, name, mode);
    struct iovec pieces[2] = {{.iov_base = (char[]){'n', 'e'}, .iov_len = 2},
                              {.iov_base = (char[]){'w'}, .iov_len = 1}};
    struct fetch_output output;
    int error = fetch_output_open(&fixture->target, fixture->directory, &output);

    if (error == 0) {
        assert_int_equal(fetch_output_write(&output, pieces, 2, 0), 0);
        error = fetch_output_commit(&output, entry);
    }
    assert_int_equal(fixture->directory->users, 0);
    assert_int_equal(fixture->directory->descriptor, -1);
    free(entry);
    return error;
}

static void a_directory_that_is_a_link_in_the_destination_is_refused(void **state)
{
    struct fixture *fixture = *state;

    scratch_link(fixture->scratch, "dest/a", "../outside");
    use_directory(fixture, "a", 0755);
    assert_int_equal(fetch_target_make_directory(&fixture->target, fixture->directory), -ENOTDIR);
    assert_int_equal(write_file(fixture, "file", 0644), -ENOTDIR);
    assert_int_equal(fetch_target_finish_directory(&fixture->target, fixture->directory), -ENOTDIR);
    use_directory(fixture, "a/b", 0755);
    assert_int_not_equal(fetch_target_make_directory(&fixture->target, fixture->directory), 0);
    assert_int_equal(scratch_count(fixture->scratch, "outside"), 0);
}

static void a_link_of_a_files_name_is_replaced_not_followed(void **state)
{
    struct fixture *fixture = *state;

    scratch_file(fixture->scratch, "outside/file", "old");
    scratch_link(fixture->scratch, "dest/file", "../outside/file");
    use_directory(fixture, "", 0755);
    assert_int_equal(write_file(fixture, "file", 0644), 0);
    assert_string_equal(scratch_read(fixture->scratch, "outside/file"), "old");
    assert_string_equal(scratch_read(fixture->scratch, "dest/file"), "new");
}

static void a_directory_of_a_files_name_stays(void **state)
{
    struct fixture *fixture = *state;

    scratch_directory(fixture->scratch, "dest/file");
    use_directory(fixture, "", 0755);
    assert_int_equal(write_file(fixture, "file", 0644), -EISDIR);
    assert_int_equal(scratch_count(fixture->scratch, "dest"), 1);
    assert_int_equal(scratch_count(fixture->scratch, "dest/file"), 0);
}

static void a_file_thrown_away_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_output output;

    scratch_file(fixture->scratch, "dest/file", "old");
    use_directory(fixture, "", 0755);
    assert_int_equal(fetch_output_open(&fixture->target, fixture->directory, &output), 0);
    assert_int_equal(scratch_count(fixture->scratch, "dest"), 2);
    fetch_output_discard(&output);
    assert_int_equal(scratch_count(fixture->scratch, "dest"), 1);
    assert_string_equal(scratch_read(fixture->scratch, "dest/file"), "old");
}

static void a_name_taken_by_chance_is_not_overwritten(void **state)
{
    struct fixture *fixture = *state;
    char path[100];

    snprintf(path, sizeof(path), "dest/.missive-%d-0.part", (int)getpid());
    scratch_link(fixture->scratch, path, "../outside/trap");
    use_directory(fixture, "", 0755);
    assert_int_equal(write_file(fixture, "file", 0644), 0);
    assert_int_equal(scratch_count(fixture->scratch, "outside"), 0);
    assert_string_equal(scratch_read(fixture->scratch, "dest/file"), "new");
}

static void a_destination_that_cannot_be_made_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_target target;
    char path[100];

    snprintf(path, sizeof(path), "%s/no/such", fixture->scratch->path);
    assert_int_equal(fetch_target_open(&target, path), -ENOENT);
    scratch_file(fixture->scratch, "file", "");
    snprintf(path, sizeof(path), "%s/file", fixture->scratch->path);
    assert_int_equal(fetch_target_open(&target, path), -ENOTDIR);
}

static struct stat look_at(const struct fixture *fixture, const char *path)
{
    struct stat status;

    assert_int_equal(fstatat(fixture->scratch->root, path, &status, AT_SYMLINK_NOFOLLOW), 0);
    return status;
}

static void a_file_keeps_mode_and_time_but_no_set_user_id(void **state)
{
    struct fixture *fixture = *state;
    mode_t old = umask(077);
    struct stat status;

    use_directory(fixture, "", 0755);
    assert_int_equal(write_file(fixture, "file", 07755), 0);
    umask(old);
    status = look_at(fixture, "dest/file");
    assert_int_equal(status.st_mode & 07777, 0755);
    assert_int_equal(status.st_mtim.tv_sec, 1234);
}

static void a_directory_can_be_filled_although_its_mode_forbids_it(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;

    use_directory(fixture, "locked", 0555);
    for (int round = 0; round < 2; round++) {
        /* In the second round the directory exists, and is locked. */
        assert_int_equal(fetch_target_make_directory(&fixture->target, fixture->directory), 0);
        assert_int_equal(look_at(fixture, "dest/locked").st_mode & 0700, 0700);
        assert_int_equal(write_file(fixture, "file", 0400), 0);
        assert_int_equal(fetch_target_finish_directory(&fixture->target, fixture->directory), 0);
        status = look_at(fixture, "dest/locked");
        assert_int_equal(status.st_mode & 07777, 0555);
        assert_int_equal(status.st_mtim.tv_sec, 77);
    }
}

static void a_link_replaces_a_file_but_no_directory(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_entry *entry = make_entry(use_directory(fixture, "", 0755), "link", 0777);
    char target[100];

    scratch_directory(fixture->scratch, "dest/link");
    assert_int_equal(fetch_target_link(&fixture->target, entry), -EISDIR);
    assert_int_equal(scratch_count(fixture->scratch, "dest"), 1);
    assert_int_equal(unlinkat(fixture->scratch->root, "dest/link", AT_REMOVEDIR), 0);
    scratch_file(fixture->scratch, "dest/link", "old");
    assert_int_equal(fetch_target_link(&fixture->target, entry), 0);
    assert_int_equal(readlinkat(fixture->scratch->root, "dest/link", target, sizeof(target)), 10);
    assert_memory_equal(target, "../outside", 10);
    assert_int_equal(look_at(fixture, "dest/link").st_mtim.tv_sec, 1234);
    assert_int_equal(scratch_count(fixture->scratch, "dest"), 1);
    free(entry);
}

#define WITH_TARGET(test) cmocka_unit_test_setup_teardown(test, open_target, close_target)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TARGET(a_directory_that_is_a_link_in_the_destination_is_refused),
        WITH_TARGET(a_link_of_a_files_name_is_replaced_not_followed),
        WITH_TARGET(a_directory_of_a_files_name_stays),
        WITH_TARGET(a_file_thrown_away_leaves_nothing),
        WITH_TARGET(a_name_taken_by_chance_is_not_overwritten),
        WITH_TARGET(a_destination_that_cannot_be_made_is_refused),
        WITH_TARGET(a_file_keeps_mode_and_time_but_no_set_user_id),
        WITH_TARGET(a_directory_can_be_filled_although_its_mode_forbids_it),
        WITH_TARGET(a_link_replaces_a_file_but_no_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
