/*
 * Knobs from the file, the environment and the option: what is refused, in which words, and which
 * source wins.
 */
#include "socket/conf.h"

#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_ENVIRONMENT   ((char *[]){NULL})
#define ENVIRONMENT(...) ((char *[]){__VA_ARGS__, NULL})

static char why[200];
static char path[] = "/tmp/missive-conf-XXXXXX";

/* Makes `path` a file of these bytes. */
static void write_file(const char *bytes, size_t length)
{
    int descriptor = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, bytes, length), length);
    assert_int_equal(close(descriptor), 0);
}

static int load(const char *text, char *const *environment, struct homa_knobs *knobs)
{
    write_file(text, strlen(text));
    why[0] = '\0';
    return conf_load_from(knobs, path, true, environment, why, sizeof(why));
}

/* The file is refused, for a reason that is this behind its name. */
static void expect_file_refused(const char *text, const char *reason)
{
    struct homa_knobs knobs;
    char expected[200];

    assert_int_equal(load(text, NO_ENVIRONMENT, &knobs), -EINVAL);
    (void)snprintf(expected, sizeof(expected), "%s%s", path, reason);
    assert_string_equal(why, expected);
    assert_true(strlen(why) <= CONF_REASON_MAX);
}

/* The environment is refused with this reason. */
static void expect_variable_refused(char *entry, const char *reason)
{
    struct homa_knobs knobs;

    assert_int_equal(load("", ENVIRONMENT(entry), &knobs), -EINVAL);
    assert_string_equal(why, reason);
    assert_true(strlen(why) <= CONF_REASON_MAX);
}

/* ---- the file ---- */

static void a_file_that_was_named_must_exist(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    assert_int_equal(
        conf_load_from(&knobs, "/nowhere/at/all", true, NO_ENVIRONMENT, why, sizeof(why)), -EINVAL);
    assert_string_equal(why,
                        "MISSIVE_CONF: /nowhere/at/all cannot be read: No such file or directory");
}

static void the_standard_file_need_not_exist(void **state)
{
    struct homa_knobs knobs;
    struct homa_knobs defaults;

    (void)state;
    homa_knobs_default(&defaults);
    assert_int_equal(
        conf_load_from(&knobs, "/nowhere/at/all", false, NO_ENVIRONMENT, why, sizeof(why)), 0);
    assert_memory_equal(&knobs, &defaults, sizeof(knobs));
}

static void a_directory_is_refused(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    assert_int_equal(conf_load_from(&knobs, "/etc", false, NO_ENVIRONMENT, why, sizeof(why)),
                     -EINVAL);
    assert_string_equal(why, "/etc cannot be read: Is a directory");
}

static void a_long_path_is_named_by_its_end(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    assert_int_equal(conf_load_from(&knobs, "/a/very/long/way/down/to/some/file/of/missive.conf",
                                    true, NO_ENVIRONMENT, why, sizeof(why)),
                     -EINVAL);
    assert_string_equal(why, "MISSIVE_CONF: ...ay/down/to/some/file/of/missive.conf "
                             "cannot be read: No such file or directory");
}

static void an_endless_file_is_refused(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    assert_int_equal(conf_load_from(&knobs, "/dev/zero", true, NO_ENVIRONMENT, why, sizeof(why)),
                     -EINVAL);
    assert_string_equal(why, "MISSIVE_CONF: /dev/zero cannot be read: File too large");
}

static void a_zero_byte_in_the_file_is_refused(void **state)
{
    struct homa_knobs knobs;
    char expected[200];

    (void)state;
    write_file("# \0\nwindow = 1\n", 15);
    assert_int_equal(conf_load_from(&knobs, path, true, NO_ENVIRONMENT, why, sizeof(why)), -EINVAL);
    (void)snprintf(expected, sizeof(expected),
                   "%s:1: there is a zero byte; this must be a text file", path);
    assert_string_equal(why, expected);
}

static void a_line_without_a_sign_is_refused(void **state)
{
    (void)state;
    expect_file_refused("\nwindow 1000\n", ":2: expected name = value, not 'window 1000'");
    expect_file_refused("x\001y", ":1: expected name = value, not 'x?y'");
    expect_file_refused("window 1000 and then a good deal of text",
                        ":1: expected name = value, not 'window 1000 and then a g...'");
}

static void an_unknown_name_is_refused_with_a_guess(void **state)
{
    (void)state;
    expect_file_refused("windw = 1000", ":1: no knob 'windw'; did you mean window?");
    expect_file_refused("WINDOW = 1000", ":1: no knob 'WINDOW'; did you mean window?");
    expect_file_refused("colour = 3", ":1: no knob 'colour'; missive.conf(5) lists all");
    expect_file_refused(" = 3", ":1: no knob ''; missive.conf(5) lists all");
}

static void a_bad_value_is_refused_with_the_range_and_unit(void **state)
{
    (void)state;
    expect_file_refused("# heading\n\nmax_overcommit = many\n",
                        ":3: max_overcommit takes a number 1 to 64 (messages), not 'many'");
    expect_file_refused("max_overcommit = 65",
                        ":1: max_overcommit takes a number 1 to 64 (messages), not '65'");
    expect_file_refused("max_overcommit =",
                        ":1: max_overcommit takes a number 1 to 64 (messages), not ''");
    expect_file_refused("verbose = -1", ":1: verbose takes a number 0 to 3, not '-1'");
    expect_file_refused("poll_usecs = never",
                        ":1: poll_usecs takes auto or a number 0 to 1000000 (us), not 'never'");
    expect_file_refused("priority_map = 0,1,2",
                        ":1: priority_map takes 8 numbers 0 to 7 (levels), not '0,1,2'");
}

static void a_long_value_is_shortened_so_that_the_range_stays(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    assert_int_equal(load("max_nic_est_backlog_usecs = 11111111111111111111111111111111111111111",
                          NO_ENVIRONMENT, &knobs),
                     -EINVAL);
    assert_int_equal(strlen(why), CONF_REASON_MAX);
    assert_non_null(strstr(why, "takes a number 0 to 1000000 (us), not '11"));
    assert_string_equal(why + CONF_REASON_MAX - 4, "...'");
}

static void a_comment_behind_a_value_is_refused_as_such(void **state)
{
    (void)state;
    expect_file_refused("window = 1000 # bytes",
                        ":1: window has a comment behind it, which needs a line of its own");
}

static void values_that_do_not_go_together_are_refused(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    assert_int_equal(load("window = 2000\nmax_incoming = 1000", NO_ENVIRONMENT, &knobs), -EINVAL);
    assert_non_null(strstr(why, "window must not exceed max_incoming"));
    assert_true(strlen(why) <= CONF_REASON_MAX);
}

static void comments_and_blank_lines_are_skipped(void **state)
{
    struct homa_knobs knobs;
    struct homa_knobs defaults;

    (void)state;
    homa_knobs_default(&defaults);
    assert_int_equal(load("# one = 1\n\n  ; two = 2\n\t \r\n", NO_ENVIRONMENT, &knobs), 0);
    assert_memory_equal(&knobs, &defaults, sizeof(knobs));
}

static void lines_set_knobs_and_the_last_one_wins(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    assert_int_equal(load("window=1000\n  timeout_ticks \t=  77  \r\nwindow = 2000\n"
                          "unsched_cutoffs = 7: 100, 4: all",
                          NO_ENVIRONMENT, &knobs),
                     0);
    assert_int_equal(knobs.window, 2000);
    assert_int_equal(knobs.timeout_ticks, 77);
    assert_int_equal(knobs.unsched_cutoffs[7], 100);
    assert_int_equal(knobs.unsched_cutoffs[6], 0);
}

/* ---- the environment ---- */

static void an_unknown_variable_is_refused_with_a_guess(void **state)
{
    (void)state;
    expect_variable_refused("MISSIVE_WINDW=1",
                            "'MISSIVE_WINDW' is no knob; did you mean MISSIVE_WINDOW?");
    expect_variable_refused("MISSIVE_window=1",
                            "'MISSIVE_window' is no knob; did you mean MISSIVE_WINDOW?");
    expect_variable_refused("MISSIVE_TIMEOUT=3",
                            "'MISSIVE_TIMEOUT' is no knob; did you mean MISSIVE_TIMEOUT_TICKS?");
    expect_variable_refused("MISSIVE_=1", "'MISSIVE_' is no knob; missive.conf(5) lists all");
    expect_variable_refused("MISSIVE_COLOUR=red",
                            "'MISSIVE_COLOUR' is no knob; missive.conf(5) lists all");
    expect_variable_refused("MISSIVE_MAX_NIC_EST_BACKLOG_USEC=9",
                            "'MISSIVE_MAX_NIC_EST_BACKLOG_USEC' is no knob; did you mean "
                            "MISSIVE_MAX_NIC_EST_BACKLOG_USECS?");
}

static void a_bad_value_of_a_variable_is_refused(void **state)
{
    (void)state;
    expect_variable_refused("MISSIVE_WINDOW=70k",
                            "MISSIVE_WINDOW takes a number 0 to 2147483647 (bytes), not '70k'");
}

static void a_carrier_that_is_not_there_is_refused(void **state)
{
    (void)state;
    expect_variable_refused("MISSIVE_WIRE=xdp",
                            "MISSIVE_WIRE must be udp, the only carrier of this library, not "
                            "'xdp'");
}

static void variables_override_the_file(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    assert_int_equal(load("window = 1000\nverbose = 2\n",
                          ENVIRONMENT("MISSIVE_WINDOW=3000", "MISSIVE_POLL_USECS=20"), &knobs),
                     0);
    assert_int_equal(knobs.window, 3000);
    assert_int_equal(knobs.verbose, 2);
    assert_int_equal(knobs.poll_usecs, 20);
}

static void reserved_empty_and_foreign_variables_are_left_alone(void **state)
{
    struct homa_knobs knobs;
    struct homa_knobs defaults;

    (void)state;
    homa_knobs_default(&defaults);
    assert_int_equal(load("",
                          ENVIRONMENT("MISSIVE_WIRE=udp", "MISSIVE_HOMA=auto", "MISSIVE_KCM=user",
                                      "MISSIVE_DEVMEM=kernel", "MISSIVE_KCM_COMPAT=1",
                                      "MISSIVE_CONF=/x", "MISSIVE_CHAOS=seed=1", "MISSIVE_WINDOW=",
                                      "MISSIVE_NONSENSE=", "MISSIVENESS=1", "WINDOW=1", "MISSIVE_"),
                          &knobs),
                     0);
    assert_memory_equal(&knobs, &defaults, sizeof(knobs));
}

/* ---- this process's own sources ---- */

static void the_file_named_by_the_environment_is_read(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    write_file("window = 1234", 13);
    assert_int_equal(setenv("MISSIVE_CONF", path, 1), 0);
    assert_int_equal(conf_load(&knobs, why, sizeof(why)), 0);
    assert_int_equal(knobs.window, 1234);
    assert_int_equal(setenv("MISSIVE_CONF", "/nowhere", 1), 0);
    assert_int_equal(conf_load(&knobs, why, sizeof(why)), -EINVAL);
    assert_int_equal(unsetenv("MISSIVE_CONF"), 0);
}

/* Copies this program, as root's and set-user-ID, and gives its name; false if that cannot be. */
static bool copy_as_set_user_id(char *copy, size_t size)
{
    char command[300];
    struct stat status;

    (void)snprintf(copy, size, "%s.suid", path);
    (void)snprintf(command, sizeof(command), "cp /proc/%d/exe %s && chmod 4755 %s", getpid(), copy,
                   copy);
    return geteuid() == 0 && system(command) == 0 && stat(copy, &status) == 0 &&
           (status.st_mode & S_ISUID) != 0;
}

static void a_set_user_id_program_does_not_read_its_callers_file(void **state)
{
    char copy[100];
    int status = 0;

    (void)state;
    if (!copy_as_set_user_id(copy, sizeof(copy)))
        skip();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char *const arguments[] = {copy, "load", NULL};

        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(99);
        (void)execve(copy, arguments, ENVIRONMENT("MISSIVE_CONF=/nowhere"));
        _exit(98);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)unlink(copy);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* mounted nosuid */
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* What the copy does: loads, and tells by its exit status how that went. */
static int load_and_exit(void)
{
    struct homa_knobs knobs;

    if (getuid() == geteuid())
        return 77;
    return conf_load(&knobs, why, sizeof(why)) == 0 ? 0 : 1;
}

/* ---- the option ---- */

static void the_option_refuses_what_it_does_not_understand_and_changes_nothing(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } cases[] = {
        {"", "expected name = value, not ''"},
        {"window", "expected name = value, not 'window'"},
        {"# window=1", "no knob '# window'; did you mean window?"},
        {"windows=1", "no knob 'windows'; did you mean window?"},
        {"window=one", "window takes a number 0 to 2147483647 (bytes), not 'one'"},
        {"window=400001", "window must not exceed max_incoming: one message cannot have more "
                          "bytes granted than all together"},
    };
    struct homa_knobs knobs;
    struct homa_knobs before;

    (void)state;
    homa_knobs_default(&knobs);
    before = knobs;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(conf_set(&knobs, cases[i].text, why, sizeof(why)), -EINVAL);
        assert_int_equal(strncmp(why, cases[i].reason, strlen(why)), 0);
        assert_true(strlen(why) >= strcspn(cases[i].reason, ":"));
        assert_memory_equal(&knobs, &before, sizeof(knobs));
    }
}

static void the_option_refuses_an_overlong_text(void **state)
{
    struct homa_knobs knobs;
    char text[2000];

    (void)state;
    homa_knobs_default(&knobs);
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(conf_set(&knobs, text, why, sizeof(why)), -EINVAL);
}

static void a_reason_is_cut_to_the_callers_space(void **state)
{
    struct homa_knobs knobs;
    char small[9] = "????????";

    (void)state;
    homa_knobs_default(&knobs);
    assert_int_equal(conf_set(&knobs, "window", small, 8), -EINVAL);
    assert_string_equal(small, "expecte");
    assert_int_equal(conf_set(&knobs, "window", NULL, 0), -EINVAL);
}

static void the_option_sets_one_knob(void **state)
{
    struct homa_knobs knobs;

    (void)state;
    homa_knobs_default(&knobs);
    assert_int_equal(conf_set(&knobs, " wmem_max = 5000 ", why, sizeof(why)), 0);
    assert_int_equal(knobs.wmem_max, 5000);
}

static void a_knob_that_is_not_there_cannot_be_had(void **state)
{
    struct homa_knobs knobs;
    char text[CONF_VALUE_MAX];

    (void)state;
    homa_knobs_default(&knobs);
    assert_int_equal(conf_get(&knobs, "windw", text, sizeof(text)), -ENOENT);
    assert_int_equal(conf_get(&knobs, "window", text, 0), -ENOSPC);
    assert_int_equal(conf_get(&knobs, "window", text, 1), -ENOSPC);
    assert_int_equal(conf_get(&knobs, "window", text, 2), 0);
    assert_string_equal(text, "0");
    for (size_t size = 0; size < sizeof("0,1,2,3,4,5,6,7"); size++)
        assert_int_equal(conf_get(&knobs, "priority_map", text, size), -ENOSPC);
}

static void every_knob_is_printed_as_it_can_be_read(void **state)
{
    size_t count = 0;
    const struct homa_knob_info *table = homa_knob_table(&count);
    struct homa_knobs knobs;
    struct homa_knobs before;

    (void)state;
    homa_knobs_default(&knobs);
    before = knobs;
    for (size_t i = 0; i < count; i++) {
        char text[CONF_VALUE_MAX];
        char assignment[CONF_VALUE_MAX + 64];

        assert_int_equal(conf_get(&knobs, table[i].name, text, sizeof(text)), 0);
        (void)snprintf(assignment, sizeof(assignment), "%s=%s", table[i].name, text);
        assert_int_equal(conf_set(&knobs, assignment, why, sizeof(why)), 0);
    }
    assert_memory_equal(&knobs, &before, sizeof(knobs));

    char text[CONF_VALUE_MAX];
    assert_int_equal(conf_get(&knobs, "poll_usecs", text, sizeof(text)), 0);
    assert_string_equal(text, "auto");
    assert_int_equal(conf_get(&knobs, "unsched_cutoffs", text, sizeof(text)), 0);
    assert_string_equal(text, "0,0,0,0,all,15000,2800,200");
}

/* ---- chaos ---- */

static void chaos_that_is_not_understood_is_refused(void **state)
{
    struct wire_chaos_options options;
    bool enabled = false;

    (void)state;
    assert_int_equal(setenv("MISSIVE_CHAOS", "seed=1,dropp=0.1", 1), 0);
    assert_int_equal(conf_chaos(&options, &enabled, why, sizeof(why)), -EINVAL);
    assert_non_null(strstr(why, "MISSIVE_CHAOS takes seed, drop, dup, reorder, corrupt, delay_us, "
                                "not 'dropp"));
    assert_true(strlen(why) <= CONF_REASON_MAX);
    assert_int_equal(unsetenv("MISSIVE_CHAOS"), 0);
}

static void chaos_is_off_unless_asked_for(void **state)
{
    struct wire_chaos_options options;
    bool enabled = true;

    (void)state;
    assert_int_equal(conf_chaos(&options, &enabled, why, sizeof(why)), 0);
    assert_false(enabled);
    assert_int_equal(setenv("MISSIVE_CHAOS", "", 1), 0);
    assert_int_equal(conf_chaos(&options, &enabled, why, sizeof(why)), 0);
    assert_false(enabled);
    assert_int_equal(setenv("MISSIVE_CHAOS", "seed=9,drop=0.25,delay_us=200", 1), 0);
    assert_int_equal(conf_chaos(&options, &enabled, why, sizeof(why)), 0);
    assert_true(enabled);
    assert_int_equal(options.seed, 9);
    assert_int_equal(options.delay_us, 200);
    assert_int_equal(unsetenv("MISSIVE_CHAOS"), 0);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_was_named_must_exist),
        cmocka_unit_test(the_standard_file_need_not_exist),
        cmocka_unit_test(a_directory_is_refused),
        cmocka_unit_test(a_long_path_is_named_by_its_end),
        cmocka_unit_test(an_endless_file_is_refused),
        cmocka_unit_test(a_zero_byte_in_the_file_is_refused),
        cmocka_unit_test(a_line_without_a_sign_is_refused),
        cmocka_unit_test(an_unknown_name_is_refused_with_a_guess),
        cmocka_unit_test(a_bad_value_is_refused_with_the_range_and_unit),
        cmocka_unit_test(a_long_value_is_shortened_so_that_the_range_stays),
        cmocka_unit_test(a_comment_behind_a_value_is_refused_as_such),
        cmocka_unit_test(values_that_do_not_go_together_are_refused),
        cmocka_unit_test(comments_and_blank_lines_are_skipped),
        cmocka_unit_test(lines_set_knobs_and_the_last_one_wins),
        cmocka_unit_test(an_unknown_variable_is_refused_with_a_guess),
        cmocka_unit_test(a_bad_value_of_a_variable_is_refused),
        cmocka_unit_test(a_carrier_that_is_not_there_is_refused),
        cmocka_unit_test(variables_override_the_file),
        cmocka_unit_test(reserved_empty_and_foreign_variables_are_left_alone),
        cmocka_unit_test(the_file_named_by_the_environment_is_read),
        cmocka_unit_test(a_set_user_id_program_does_not_read_its_callers_file),
        cmocka_unit_test(the_option_refuses_what_it_does_not_understand_and_changes_nothing),
        cmocka_unit_test(the_option_refuses_an_overlong_text),
        cmocka_unit_test(a_reason_is_cut_to_the_callers_space),
        cmocka_unit_test(the_option_sets_one_knob),
        cmocka_unit_test(a_knob_that_is_not_there_cannot_be_had),
        cmocka_unit_test(every_knob_is_printed_as_it_can_be_read),
        cmocka_unit_test(chaos_that_is_not_understood_is_refused),
        cmocka_unit_test(chaos_is_off_unless_asked_for),
    };
    int descriptor;
    int failed;

    if (count > 1 && strcmp(arguments[1], "load") == 0)
        return load_and_exit();
    descriptor = mkstemp(path);
    if (descriptor < 0)
        return 1;
    (void)close(descriptor);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    return failed;
}
