/*
 * The list of knobs in missive.conf(5) is what the library's table says. Run with the word "print",
 * this program prints the list as it should be, to be put between the page's marks.
 */
#include "socket/conf.h"
#include "support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_MARK ".\\\" knobs: begin\n"
#define END_MARK   ".\\\" knobs: end\n"

#define PAGE_BYTES  65536
#define LINE_LENGTH 80

/* Prints text in lines that are not too long for a page's source. */
static void print_wrapped(FILE *stream, const char *text)
{
    while (strlen(text) > LINE_LENGTH) {
        int length = LINE_LENGTH;

        while (text[length] != ' ')
            length--;
        (void)fprintf(stream, "%.*s\n", length, text);
        text += length + 1;
    }
    (void)fprintf(stream, "%s\n", text);
}

static void print_knob(FILE *stream, const struct homa_knobs *defaults,
                       const struct homa_knob_info *info)
{
    char value[CONF_VALUE_MAX];
    char text[300];

    assert_int_equal(conf_get(defaults, info->name, value, sizeof(value)), 0);
    (void)fprintf(stream, ".It Cm %s\n", info->name);
    print_wrapped(stream, info->meaning);
    (void)snprintf(text, sizeof(text),
                   info->count > 1 ? "A list of numbers from %" PRIu64 " to %" PRIu64
                                   : "From %" PRIu64 " to %" PRIu64,
                   info->lowest, info->highest);
    if (info->unit[0] != '\0')
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), " (%s)", info->unit);
    if (info->is_auto_allowed)
        (void)strcat(text, ", or auto");
    if (info->is_cutoffs)
        (void)strcat(text, ", or all for the highest");
    (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "; default %s.", value);
    print_wrapped(stream, text);
}

static void print_list(FILE *stream)
{
    size_t count = 0;
    const struct homa_knob_info *table = homa_knob_table(&count);
    struct homa_knobs defaults;

    homa_knobs_default(&defaults);
    (void)fputs(".Bl -tag -width Ds\n", stream);
    for (size_t i = 0; i < count; i++)
        print_knob(stream, &defaults, &table[i]);
    (void)fputs(".El\n", stream);
}

static void the_page_lists_the_knobs_as_they_are(void **state)
{
    static char page[PAGE_BYTES];
    const char *source = getenv("TEST_SOURCE_DIR");
    char path[4096];
    char *expected = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&expected, &length);

    (void)state;
    assert_non_null(source);
    assert_non_null(memory);
    print_list(memory);
    assert_int_equal(fclose(memory), 0);

    (void)snprintf(path, sizeof(path), "%s/man/missive.conf.5", source);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);

    char *begin = strstr(page, BEGIN_MARK);
    assert_non_null(begin);
    begin += strlen(BEGIN_MARK);
    char *end = strstr(begin, END_MARK);
    assert_non_null(end);
    *end = '\0';
    if (strcmp(begin, expected) != 0)
        print_message("missive.conf(5) is out of date: `conf_page_test print` prints the list\n");
    assert_string_equal(begin, expected);
    free(expected);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_lists_the_knobs_as_they_are),
    };

    if (count > 1 && strcmp(arguments[1], "print") == 0) {
        print_list(stdout);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
