#include "programs/mailbox/maildir.h"
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct store_folder {
    char path[64];
    int root;
};

static int open_folder(void **state)
{
    struct store_folder *folder = calloc(1, sizeof *folder);
    strcpy(folder->path, "/tmp/maildir_test.XXXXXX");
    if (!folder || !mkdtemp(folder->path))
        return -1;
    folder->root = open(folder->path, O_RDONLY | O_DIRECTORY);
    *state = folder;
    return 0;
}

static int close_folder(void **state)
{
    struct store_folder *folder = *state;
    char command[128];
    close(folder->root);
    snprintf(command, sizeof command, "rm -rf %s", folder->path);
    int code = system(command);
    free(folder);
    return code;
}

static struct maildir_message make_named(const char *name, const char *domain, const char *local_part,
                                         const char *content)
{
    return (struct maildir_message){ .name = slice_from_cstr(name),
                                     .domain = slice_from_cstr(domain),
                                     .local_part = slice_from_cstr(local_part),
                                     .head = SLICE("Return-Path: <>\r\n"),
                                     .content = slice_from_cstr(content),
                                     .file = -1 };
}

/* Each a copy of its own. */
static struct maildir_message make(const char *domain, const char *local_part, const char *content)
{
    static char names[100][16];
    static size_t next;
    char *name = names[next++ % COUNT(names)];
    snprintf(name, sizeof names[0], "1.I%zu", next);
    return make_named(name, domain, local_part, content);
}

static size_t read_file(struct store_folder *folder, const struct text *name, char *buffer, size_t size)
{
    char path[600];
    snprintf(path, sizeof path, SLICE_FMT, SLICE_ARG(text_slice(name)));
    int fd = openat(folder->root, path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t len = read(fd, buffer, size);
    close(fd);
    assert_true(len >= 0);
    return (size_t)len;
}

static size_t count_entries(struct store_folder *folder, const char *name)
{
    int fd = openat(folder->root, name, O_RDONLY | O_DIRECTORY);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    size_t count = 0;
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries));)
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

static void stores_with_line_feeds(void **state)
{
    static const struct {
        const char *content, *stored;
    } cases[] = {
        { "A: b\r\n\r\nbody\r\n", "Return-Path: <>\nA: b\n\nbody\n" },
        { "lone\rcr\r\n", "Return-Path: <>\nlone\rcr\n" },
        { "ends in cr\r", "Return-Path: <>\nends in cr\r" },
        { "\r\r\n", "Return-Path: <>\n\r\n" },
        { "", "Return-Path: <>\n" },
    };
    struct store_folder *folder = *state;
    struct maildir_batch batch = { .root = folder->root, .host = "host" };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct maildir_message message = make("Example.TEST", "Ann", cases[i].content);
        char stored[256];
        maildir_store(&batch, &(struct maildir_message *){ &message }, 1);
        assert_int_equal(message.result, MAILDIR_OK);
        assert_true(slice_starts_with(text_slice(&message.text), SLICE("example.test/ann/new/")));
        size_t len = read_file(folder, &message.text, stored, sizeof stored);
        assert_true(slice_eq(slice_from(stored, len), slice_from_cstr(cases[i].stored)));
        text_free(&message.text);
    }
    assert_int_equal(count_entries(folder, "example.test/ann/tmp"), 0);
}

static void stores_from_a_file(void **state)
{
    struct store_folder *folder = *state;
    struct maildir_batch batch = { .root = folder->root, .host = "host" };
    int fd = openat(folder->root, "large", O_RDWR | O_CREAT, 0600);
    size_t lines = 300000;
    for (size_t i = 0; i < lines; i++)
        assert_int_equal(write(fd, "x\r\n", 3), 3);
    struct maildir_message message = make("example.test", "ann", "");
    message.file = fd;
    message.file_octets = lines * 3;
    maildir_store(&batch, &(struct maildir_message *){ &message }, 1);
    assert_int_equal(message.result, MAILDIR_OK);
    struct stat file;
    assert_int_equal(fstatat(folder->root, text_cstr(&message.text), &file, 0), 0);
    assert_int_equal(file.st_size, lines * 2 + strlen("Return-Path: <>\n"));
    text_free(&message.text);

    message.name = SLICE("1.Ianother");
    message.file_octets++; /* shorter than promised: an error, and nothing is left behind */
    maildir_store(&batch, &(struct maildir_message *){ &message }, 1);
    assert_int_equal(message.result, MAILDIR_TEMPORARY);
    assert_int_equal(count_entries(folder, "example.test/ann/new"), 1);
    assert_int_equal(count_entries(folder, "example.test/ann/tmp"), 0);
    text_free(&message.text);
    close(fd);
}

static void refuses_names_that_leave_the_folder(void **state)
{
    static const struct {
        const char *domain, *local_part;
    } cases[] = {
        { "..", "ann" },
        { "example.test", ".." },
        { "example.test", "" },
        { "a/b", "ann" },
        { "example.test", "a/../b" },
        { "example.test", ".hidden" },
        { "example.test", "a\nb" },
        { "example.test", "a\x7f" },
    };
    struct store_folder *folder = *state;
    struct maildir_batch batch = { .root = folder->root, .host = "host" };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct maildir_message message = make(cases[i].domain, cases[i].local_part, "x\r\n");
        maildir_store(&batch, &(struct maildir_message *){ &message }, 1);
        assert_int_equal(message.result, MAILDIR_BAD_NAME);
        text_free(&message.text);
    }
    assert_int_equal(count_entries(folder, "."), 0);
}

static void one_batch_many_mailboxes(void **state)
{
    struct store_folder *folder = *state;
    struct maildir_batch batch = { .root = folder->root, .host = "host" };
    struct maildir_message messages[30], *pointers[30];
    static const char *const names[] = { "ann", "bob", "cid" };
    for (size_t i = 0; i < COUNT(messages); i++) {
        messages[i] = make("example.test", names[i % 3], "x\r\n");
        pointers[i] = &messages[i];
    }
    messages[4].local_part = SLICE("../bob");
    maildir_store(&batch, pointers, COUNT(messages));
    for (size_t i = 0; i < COUNT(messages); i++) {
        assert_int_equal(messages[i].result, i == 4 ? MAILDIR_BAD_NAME : MAILDIR_OK);
        text_free(&messages[i].text);
    }
    assert_int_equal(count_entries(folder, "example.test/ann/new"), 10);
    assert_int_equal(count_entries(folder, "example.test/bob/new"), 9);
}

static void the_same_copy_is_not_stored_twice(void **state)
{
    static const char *const moved_to[] = { NULL, "cur/1.Isame.host", "cur/1.Isame.host:2,", "cur/1.Isame.host:2,S" };
    struct store_folder *folder = *state;
    struct maildir_batch batch = { .root = folder->root, .host = "host" };
    char from[64] = "example.test/ann/new/1.Isame.host", to[64];
    for (size_t i = 0; i < COUNT(moved_to); i++) {
        if (moved_to[i]) {
            snprintf(to, sizeof to, "example.test/ann/%s", moved_to[i]);
            assert_int_equal(renameat(folder->root, from, folder->root, to), 0);
            strcpy(from, to);
        }
        struct maildir_message first = make_named("1.Isame", "example.test", "ann", "x\r\n");
        struct maildir_message again = make_named("1.Isame", "example.test", "ann", "x\r\n");
        maildir_store(&batch, (struct maildir_message *[]){ &first, &again }, 2);
        assert_int_equal(first.result, MAILDIR_OK);
        assert_int_equal(again.result, MAILDIR_OK);
        assert_int_equal(count_entries(folder, "example.test/ann/new") + count_entries(folder, "example.test/ann/cur"),
                         1);
        text_free(&first.text);
        text_free(&again.text);
    }
    assert_int_equal(count_entries(folder, "example.test/ann/tmp"), 0);
}

static void a_copy_name_cannot_leave_the_folder(void **state)
{
    static const char *const names[] = { "", "../x", ".x", "a:2,S", "a/b" };
    struct store_folder *folder = *state;
    struct maildir_batch batch = { .root = folder->root, .host = "host" };
    for (size_t i = 0; i < COUNT(names); i++) {
        struct maildir_message message = make_named(names[i], "example.test", "ann", "x\r\n");
        maildir_store(&batch, &(struct maildir_message *){ &message }, 1);
        assert_int_equal(message.result, MAILDIR_BAD_NAME);
        text_free(&message.text);
    }
}

static void a_file_in_the_way_is_temporary(void **state)
{
    struct store_folder *folder = *state;
    struct maildir_batch batch = { .root = folder->root, .host = "host" };
    close(openat(folder->root, "example.test", O_WRONLY | O_CREAT, 0600));
    struct maildir_message message = make("example.test", "ann", "x\r\n");
    maildir_store(&batch, &(struct maildir_message *){ &message }, 1);
    assert_int_equal(message.result, MAILDIR_TEMPORARY);
    assert_true(slice_find(text_slice(&message.text), SLICE("cannot open the mailbox")) != SLICE_NOT_FOUND);
    text_free(&message.text);
}

static void leftovers_go_and_the_rest_stays(void **state)
{
    struct store_folder *folder = *state;
    struct maildir_batch batch = { .root = folder->root, .host = "host" };
    struct maildir_message message = make("example.test", "ann", "x\r\n");
    maildir_store(&batch, &(struct maildir_message *){ &message }, 1);
    close(openat(folder->root, "example.test/ann/tmp/old", O_WRONLY | O_CREAT, 0600));
    close(openat(folder->root, "example.test/ann/tmp/young", O_WRONLY | O_CREAT, 0600));
    struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
    assert_int_equal(utimensat(folder->root, "example.test/ann/tmp/old", times, 0), 0);
    assert_int_equal(utimensat(folder->root, text_cstr(&message.text), times, 0), 0);
    maildir_remove_leftovers(folder->root, (uint64_t)time(NULL) * 1000);
    assert_int_equal(count_entries(folder, "example.test/ann/tmp"), 1);
    assert_int_equal(count_entries(folder, "example.test/ann/new"), 1);
    text_free(&message.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stores_with_line_feeds, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(stores_from_a_file, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(refuses_names_that_leave_the_folder, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(one_batch_many_mailboxes, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(the_same_copy_is_not_stored_twice, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(a_copy_name_cannot_leave_the_folder, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(a_file_in_the_way_is_temporary, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(leftovers_go_and_the_rest_stays, open_folder, close_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
