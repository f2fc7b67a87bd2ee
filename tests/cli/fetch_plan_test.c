/* What a listing may do to a fetch: fill its plan, and nothing else. */
#include "cli/fetch_plan.h"

#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

/* A page under construction. */
struct page {
    uint8_t bytes[20000];
    struct base_writer writer;
};

static void page_begin(struct page *page)
{
    page->writer = base_writer_begin(page->bytes, sizeof(page->bytes));
    file_response_header(&page->writer, FILE_LIST, FILE_OK);
    file_list_begin(&page->writer);
}

static void page_add(struct page *page, enum file_kind kind, const char *name)
{
    const struct file_entry entry = {
        .kind = kind,
        .mode = 0644,
        .size = kind == FILE_KIND_REGULAR ? 100 : 0,
        .name = file_text_of(name),
        .target = file_text_of(kind == FILE_KIND_LINK ? "target" : ""),
    };

    assert_true(file_entry_encode(&page->writer, &entry));
}

static int page_take(struct page *page, struct fetch_plan *plan, struct fetch_directory *directory)
{
    struct base_reader reader =
        base_reader_begin(page->bytes + FILE_RESPONSE_HEADER,
                          base_writer_length(&page->writer) - FILE_RESPONSE_HEADER);

    return fetch_plan_add_page(plan, directory, &reader);
}

/* Every test has a plan whose root has been taken out to be listed. */
struct fixture {
    struct fetch_plan plan;
    struct fetch_directory *root;
    struct page page;
};

static int open_plan(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    if (fixture == NULL || fetch_plan_open(&fixture->plan) != 0)
        return -1;
    fixture->root = fetch_plan_next_directory(&fixture->plan);
    page_begin(&fixture->page);
    *state = fixture;
    return fixture->root != NULL ? 0 : -1;
}

static int close_plan(void **state)
{
    struct fixture *fixture = *state;

    fetch_plan_close(&fixture->plan);
    free(fixture);
    return 0;
}

static void a_name_that_comes_twice_is_refused(void **state)
{
    struct fixture *fixture = *state;

    /* As a directory and as a link of the same name: the way out of the destination. */
    page_add(&fixture->page, FILE_KIND_DIRECTORY, "a");
    page_add(&fixture->page, FILE_KIND_LINK, "a");
    assert_int_equal(page_take(&fixture->page, &fixture->plan, fixture->root), -EPROTO);
    assert_true(STAILQ_EMPTY(&fixture->plan.links));
}

static void names_out_of_order_are_refused(void **state)
{
    struct fixture *fixture = *state;

    page_add(&fixture->page, FILE_KIND_REGULAR, "b");
    page_add(&fixture->page, FILE_KIND_REGULAR, "a");
    assert_int_equal(page_take(&fixture->page, &fixture->plan, fixture->root), -EPROTO);
}

static void a_page_that_repeats_the_one_before_is_refused(void **state)
{
    struct fixture *fixture = *state;

    page_add(&fixture->page, FILE_KIND_REGULAR, "a");
    file_list_set_more(&fixture->page.writer);
    assert_int_equal(page_take(&fixture->page, &fixture->plan, fixture->root), 0);
    assert_ptr_equal(fetch_plan_next_directory(&fixture->plan), fixture->root);
    assert_int_equal(page_take(&fixture->page, &fixture->plan, fixture->root), -EPROTO);
}

static void an_empty_page_that_promises_more_is_refused(void **state)
{
    struct fixture *fixture = *state;

    file_list_set_more(&fixture->page.writer);
    assert_int_equal(page_take(&fixture->page, &fixture->plan, fixture->root), -EPROTO);
}

static void a_page_cut_short_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct base_reader reader;

    page_add(&fixture->page, FILE_KIND_REGULAR, "a");
    reader = base_reader_begin(fixture->page.bytes + FILE_RESPONSE_HEADER, 20);
    assert_int_equal(fetch_plan_add_page(&fixture->plan, fixture->root, &reader), -EPROTO);
    reader = base_reader_begin(NULL, 0);
    assert_int_equal(fetch_plan_add_page(&fixture->plan, fixture->root, &reader), -EPROTO);
}

static void too_many_entries_are_refused(void **state)
{
    struct fixture *fixture = *state;

    fixture->plan.entry_count = FETCH_ENTRIES_MAX - 1;
    page_add(&fixture->page, FILE_KIND_REGULAR, "a");
    page_add(&fixture->page, FILE_KIND_REGULAR, "b");
    assert_int_equal(page_take(&fixture->page, &fixture->plan, fixture->root), -E2BIG);
    assert_int_equal(fixture->plan.file_count, 1);
}

static void a_path_too_long_for_the_kernel_is_left_out(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_directory *directory = fixture->root;
    char name[FILE_NAME_MAX + 1] = {0};
    struct fetch_entry *left_out;
    unsigned depth = 0;

    memset(name, 'd', FILE_NAME_MAX);
    page_add(&fixture->page, FILE_KIND_DIRECTORY, name);
    while (directory != NULL) {
        assert_int_equal(page_take(&fixture->page, &fixture->plan, directory), 0);
        directory = fetch_plan_next_directory(&fixture->plan);
        if (directory != NULL)
            assert_true(strlen(directory->path) <= FILE_PATH_MAX);
        depth++;
    }
    assert_int_equal(depth, (FILE_PATH_MAX + 1) / (FILE_NAME_MAX + 1) + 1);
    left_out = fetch_plan_next(&fixture->plan.left_out);
    assert_non_null(left_out);
    assert_false(left_out->harmless);
    free(left_out);
}

static void what_cannot_be_fetched_is_left_out_with_a_reason(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_entry *entry;

    page_add(&fixture->page, FILE_KIND_SPECIAL, "pipe");
    page_add(&fixture->page, FILE_KIND_UNKNOWN, "secret");
    assert_int_equal(page_take(&fixture->page, &fixture->plan, fixture->root), 0);
    entry = fetch_plan_next(&fixture->plan.left_out);
    assert_string_equal(entry->name, "pipe");
    assert_true(entry->harmless);
    free(entry);
    entry = fetch_plan_next(&fixture->plan.left_out);
    assert_string_equal(entry->name, "secret");
    assert_false(entry->harmless);
    free(entry);
    assert_int_equal(fixture->plan.file_count, 0);
}

static void a_page_fills_the_queues(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_directory *directory;
    char path[FETCH_PATH_SIZE];
    struct fetch_entry *entry;

    page_add(&fixture->page, FILE_KIND_REGULAR, "a");
    page_add(&fixture->page, FILE_KIND_DIRECTORY, "b");
    page_add(&fixture->page, FILE_KIND_LINK, "c");
    assert_int_equal(page_take(&fixture->page, &fixture->plan, fixture->root), 0);
    assert_int_equal(fixture->plan.file_count, 1);
    assert_int_equal(fixture->plan.byte_count, 100);
    assert_int_equal(fixture->plan.link_count, 1);

    directory = fetch_plan_next_directory(&fixture->plan);
    assert_string_equal(directory->path, "b");
    assert_null(fetch_plan_next_directory(&fixture->plan));
    assert_int_equal(page_take(&fixture->page, &fixture->plan, directory), 0);

    entry = fetch_plan_next(&fixture->plan.files);
    assert_string_equal(fetch_path(entry->directory, entry->name, path), "a");
    free(entry);
    entry = fetch_plan_next(&fixture->plan.files);
    assert_string_equal(fetch_path(entry->directory, entry->name, path), "b/a");
    free(entry);
    entry = fetch_plan_next(&fixture->plan.links);
    assert_string_equal(entry->target, "target");
    free(entry);
}

static void a_directory_with_more_pages_is_next_to_be_listed(void **state)
{
    struct fixture *fixture = *state;

    page_add(&fixture->page, FILE_KIND_DIRECTORY, "a");
    page_add(&fixture->page, FILE_KIND_REGULAR, "b");
    file_list_set_more(&fixture->page.writer);
    assert_int_equal(page_take(&fixture->page, &fixture->plan, fixture->root), 0);
    assert_ptr_equal(fetch_plan_next_directory(&fixture->plan), fixture->root);
    assert_string_equal(fixture->root->after, "b");
}

#define WITH_PLAN(test) cmocka_unit_test_setup_teardown(test, open_plan, close_plan)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLAN(a_name_that_comes_twice_is_refused),
        WITH_PLAN(names_out_of_order_are_refused),
        WITH_PLAN(a_page_that_repeats_the_one_before_is_refused),
        WITH_PLAN(an_empty_page_that_promises_more_is_refused),
        WITH_PLAN(a_page_cut_short_is_refused),
        WITH_PLAN(too_many_entries_are_refused),
        WITH_PLAN(a_path_too_long_for_the_kernel_is_left_out),
        WITH_PLAN(what_cannot_be_fetched_is_left_out_with_a_reason),
        WITH_PLAN(a_page_fills_the_queues),
        WITH_PLAN(a_directory_with_more_pages_is_next_to_be_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
