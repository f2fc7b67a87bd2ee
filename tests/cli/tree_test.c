/*
 * Nothing outside a directory can be opened through it: the same battery for openat2 and for the
 * way without it.
 */
#include "cli/tree.h"

#include "cli/scratch.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int opener(int root, const char *path, int flags, mode_t mode);

static opener *const openers[] = {tree_open, tree_open_stepwise};

/*
 * The tree "in" and beside it "secret", which every link below tries to reach:
 * in/file, in/directory/file, links of all kinds.
 */
static int open_tree(void **state)
{
    const struct scratch *scratch;

    if (scratch_open(state) != 0)
        return -1;
    scratch = *state;
    scratch_file(scratch, "secret", "secret");
    scratch_directory(scratch, "secrets");
    scratch_file(scratch, "secrets/file", "secret");
    scratch_directory(scratch, "in");
    scratch_file(scratch, "in/file", "file");
    scratch_directory(scratch, "in/directory");
    scratch_file(scratch, "in/directory/file", "deeper");
    scratch_link(scratch, "in/up", "..");
    scratch_link(scratch, "in/out", "../secret");
    scratch_link(scratch, "in/absolute", "/etc/passwd");
    scratch_link(scratch, "in/inside", "file");
    scratch_link(scratch, "in/directory/outside", "../../secrets");
    return 0;
}

/* What opening path beneath "in" gives; a descriptor is closed and becomes 0. */
static int try_open(const struct scratch *scratch, opener *open_by, const char *path, int flags)
{
    int root = openat(scratch->root, "in", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int file;

    assert_true(root >= 0);
    file = open_by(root, path, flags, (flags & O_CREAT) != 0 ? 0600 : 0);
    close(root);
    if (file >= 0)
        close(file);
    return file < 0 ? file : 0;
}

static void assert_refused(const struct scratch *scratch, const char *path, int flags)
{
    for (size_t i = 0; i < sizeof(openers) / sizeof(openers[0]); i++) {
        int error = try_open(scratch, openers[i], path, flags);

        if (error != -ELOOP && error != -ENOTDIR && error != -EEXIST)
            fail_msg("%s by opener %zu: %d", path, i, error);
    }
}

static void assert_opens(const struct scratch *scratch, const char *path, int flags)
{
    for (size_t i = 0; i < sizeof(openers) / sizeof(openers[0]); i++)
        assert_int_equal(try_open(scratch, openers[i], path, flags), 0);
}

static void a_link_at_the_end_is_not_followed(void **state)
{
    assert_refused(*state, "out", O_RDONLY);
    assert_refused(*state, "absolute", O_RDONLY);
    assert_refused(*state, "inside", O_RDONLY);
    assert_refused(*state, "up", O_RDONLY | O_DIRECTORY);
}

static void a_link_on_the_way_is_not_followed(void **state)
{
    assert_refused(*state, "up/secret", O_RDONLY);
    assert_refused(*state, "up/in/file", O_RDONLY);
    assert_refused(*state, "directory/outside/file", O_RDONLY);
}

static void a_file_is_not_created_through_a_link(void **state)
{
    const struct scratch *scratch = *state;

    assert_refused(scratch, "out", O_WRONLY | O_CREAT);
    assert_refused(scratch, "directory/outside/new", O_WRONLY | O_CREAT);
    assert_refused(scratch, "up/new", O_WRONLY | O_CREAT | O_EXCL);
    assert_false(scratch_exists(scratch, "secrets/new"));
    assert_false(scratch_exists(scratch, "new"));
    assert_string_equal(scratch_read(scratch, "secret"), "secret");
}

static void what_is_not_there_is_not_found(void **state)
{
    for (size_t i = 0; i < sizeof(openers) / sizeof(openers[0]); i++) {
        assert_int_equal(try_open(*state, openers[i], "nothing", O_RDONLY), -ENOENT);
        assert_int_equal(try_open(*state, openers[i], "nothing/file", O_RDONLY), -ENOENT);
        assert_int_equal(try_open(*state, openers[i], "file/file", O_RDONLY), -ENOTDIR);
    }
}

static void what_lies_inside_is_opened(void **state)
{
    assert_opens(*state, "", O_RDONLY | O_DIRECTORY);
    assert_opens(*state, "", O_PATH | O_DIRECTORY);
    assert_opens(*state, "file", O_RDONLY);
    assert_opens(*state, "directory", O_PATH | O_DIRECTORY);
    assert_opens(*state, "directory/file", O_RDONLY);
    assert_opens(*state, "directory/new", O_WRONLY | O_CREAT);
}

static void only_regular_files_are_opened_as_files(void **state)
{
    const struct scratch *scratch = *state;
    struct stat status;
    int file;

    assert_int_equal(mkfifoat(scratch->root, "pipe", 0600), 0);
    /* Opening a pipe to read would wait for a writer: the test would not end. */
    assert_int_equal(tree_open_file(scratch->root, "pipe", &status), -ENXIO);
    assert_int_equal(tree_open_file(scratch->root, "in", &status), -EISDIR);
    assert_int_equal(tree_open_file(scratch->root, "in/out", &status), -ELOOP);
    assert_int_equal(tree_open_file(scratch->root, "in/nothing", &status), -ENOENT);
    file = tree_open_file(scratch->root, "in/file", &status);
    assert_true(file >= 0);
    assert_int_equal(status.st_size, 4);
    close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_link_at_the_end_is_not_followed, open_tree,
                                        scratch_close),
        cmocka_unit_test_setup_teardown(a_link_on_the_way_is_not_followed, open_tree,
                                        scratch_close),
        cmocka_unit_test_setup_teardown(a_file_is_not_created_through_a_link, open_tree,
                                        scratch_close),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_not_found, open_tree, scratch_close),
        cmocka_unit_test_setup_teardown(what_lies_inside_is_opened, open_tree, scratch_close),
        cmocka_unit_test_setup_teardown(only_regular_files_are_opened_as_files, open_tree,
                                        scratch_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
