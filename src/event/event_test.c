#include "base/clock.h"
#include "base/memory.h"
#include "event/event.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "event-test-XXXXXX";
static int text_pipe[2];
static const uint64_t NOON = UINT64_C(1764072000123); /* 2025-11-25T12:00:00.123Z */

static int make_folder(void **state)
{
    (void)state;
    memcpy(folder, "event-test-XXXXXX", sizeof(folder));
    return mkdtemp(folder) && pipe2(text_pipe, O_NONBLOCK | O_CLOEXEC) == 0 ? 0 : -1;
}

static void name_of(struct text *to, const char *suffix)
{
    text_clear(to);
    text_add_format(to, "%s/events-test.jsonl%s", folder, suffix);
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *suffixes[] = { "", ".1", ".2", ".3" };
    struct text name = { 0 };
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        name_of(&name, suffixes[i]);
        unlink(text_cstr(&name));
    }
    text_free(&name);
    close(text_pipe[0]);
    close(text_pipe[1]);
    return rmdir(folder);
}

static struct event_log *open_log(enum event_text_level level)
{
    struct text error = { 0 };
    struct event_log *log = event_log_open(&(struct event_log_params){ .folder = folder,
                                                                       .process = "test",
                                                                       .rotate_octets = 1 << 20,
                                                                       .keep_files = 2,
                                                                       .text_level = level,
                                                                       .text_fd = text_pipe[1],
                                                                       .is_strict = true },
                                           &error);
    assert_non_null(log);
    event_set_time(log, NOON);
    return log;
}

static void read_fd(int fd, struct text *to)
{
    ssize_t got;
    text_clear(to);
    while ((got = read(fd, text_reserve(to, 4096), 4096)) > 0)
        to->len += (size_t)got;
}

static void expect_file(const char *suffix, const char *wanted)
{
    struct text name = { 0 }, content = { 0 };
    name_of(&name, suffix);
    int fd = open(text_cstr(&name), O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        read_fd(fd, &content);
        close(fd);
    }
    assert_string_equal(text_cstr(&content), wanted);
    text_free(&name);
    text_free(&content);
}

static void expect_text(const char *wanted)
{
    struct text content = { 0 };
    read_fd(text_pipe[0], &content);
    assert_string_equal(text_cstr(&content), wanted);
    text_free(&content);
}

static void hold(struct event_log *log, slice by)
{
    event_start(log, EVENT_message_held);
    event_id(log, "message", 0x7f3a);
    event_text(log, "by", by);
    event_end(log);
}

static void writes_line_text_and_counter(void **state)
{
    (void)state;
    struct event_log *log = open_log(EVENT_TEXT_IMPORTANT);
    struct address client;
    assert_true(address_parse_with_port(SLICE("[2001:db8::1]:2525"), &client));
    hold(log, SLICE("the \"operator\"\n"));
    event_start(log, EVENT_session_started); /* DETAIL: in the file only */
    event_number(log, "session", 7);
    event_address(log, "client", &client);
    event_cstr(log, "listener", "mx");
    event_text(log, "extra", SLICE("gr\xFC\xDF"));
    event_end(log);
    assert_true(event_pending(log) > 0);
    expect_file("", "");
    event_set_time(log, NOON + 877);
    hold(log, SLICE(""));
    event_flush(log);
    assert_int_equal(event_pending(log), 0);
    expect_file(
        "", "{\"time\":\"2025-11-25T12:00:00.123Z\",\"event\":\"message_held\",\"process\":\"test\",\"message\":"
            "\"0000000000007f3a\",\"by\":\"the \\\"operator\\\"\\n\"}\n"
            "{\"time\":\"2025-11-25T12:00:00.123Z\",\"event\":\"session_started\",\"process\":\"test\",\"session\":7,"
            "\"client\":\"[2001:db8::1]:2525\",\"listener\":\"mx\",\"extra\":\"gr\xEF\xBF\xBD\xEF\xBF\xBD\"}\n"
            "{\"time\":\"2025-11-25T12:00:01.000Z\",\"event\":\"message_held\",\"process\":\"test\",\"message\":"
            "\"0000000000007f3a\"}\n");
    expect_text("2025-11-25T12:00:00.123Z message_held message=0000000000007f3a by=\"the \\\"operator\\\"\\n\"\n"
                "2025-11-25T12:00:01.000Z message_held message=0000000000007f3a\n");
    assert_int_equal(event_count(log, EVENT_message_held), 2);
    assert_int_equal(event_count(log, EVENT_trouble), 0);
    assert_string_equal(event_name(EVENT_message_held), "message_held");
    event_log_close(log);
}

static void levels(void **state)
{
    (void)state;
    struct event_log *log = open_log(EVENT_TEXT_NONE);
    event_trouble(log, "%s", "quiet");
    expect_text("");
    event_log_change(log, 1 << 20, 2, EVENT_TEXT_ALL);
    event_start(log, EVENT_session_started);
    event_number(log, "session", 7);
    event_address(log, "client", NULL);
    event_cstr(log, "listener", NULL);
    event_end(log);
    expect_text(""); /* waits for the flush */
    event_set_time(log, NOON + 1);
    event_trouble(log, "%s", "loud"); /* does not */
    expect_text("2025-11-25T12:00:00.123Z session_started session=7\n"
                "2025-11-25T12:00:00.124Z trouble text=loud\n");
    event_log_close(log);
}

static void rotates(void **state)
{
    (void)state;
    struct event_log *log = open_log(EVENT_TEXT_NONE);
    event_log_change(log, 1, 2, EVENT_TEXT_NONE);
    static const char *wanted[] = {
        "{\"time\":\"2025-11-25T12:00:00.123Z\",\"event\":\"trouble\",\"process\":\"test\",\"text\":\"1\"}\n",
        "{\"time\":\"2025-11-25T12:00:00.123Z\",\"event\":\"trouble\",\"process\":\"test\",\"text\":\"2\"}\n",
        "{\"time\":\"2025-11-25T12:00:00.123Z\",\"event\":\"trouble\",\"process\":\"test\",\"text\":\"3\"}\n",
        "{\"time\":\"2025-11-25T12:00:00.123Z\",\"event\":\"trouble\",\"process\":\"test\",\"text\":\"4\"}\n",
    };
    for (int i = 1; i <= 4; i++) {
        event_trouble(log, "%d", i);
        event_flush(log);
    }
    expect_file("", wanted[3]);
    expect_file(".1", wanted[2]);
    expect_file(".2", wanted[1]);
    expect_file(".3", "");
    event_log_change(log, 1, 0, EVENT_TEXT_NONE);
    event_trouble(log, "%d", 1);
    event_flush(log);
    expect_file("", wanted[0]);
    expect_file(".1", "");
    expect_file(".2", "");
    event_log_close(log);
}

static void reopens_what_was_moved_away(void **state)
{
    (void)state;
    struct event_log *log = open_log(EVENT_TEXT_NONE);
    struct text name = { 0 };
    name_of(&name, "");
    assert_int_equal(unlink(text_cstr(&name)), 0);
    event_log_change(log, 1 << 20, 2, EVENT_TEXT_NONE);
    event_trouble(log, "x");
    event_flush(log);
    assert_int_equal(access(text_cstr(&name), R_OK), 0);
    text_free(&name);
    event_log_close(log);
}

/* A file size limit stands for the full disk. */
static void set_file_limit(rlim_t octets)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = octets;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void full_disk_is_said_once_and_got_over(void **state)
{
    (void)state;
    struct event_log *log = open_log(EVENT_TEXT_IMPORTANT);
    signal(SIGXFSZ, SIG_IGN);
    set_file_limit(100); /* the first line in part */
    hold(log, SLICE("one"));
    event_flush(log);
    for (int i = 0; i < 3; i++) {
        event_set_time(log, NOON + SECONDS(2) * (uint64_t)i);
        event_flush(log);
    }
    expect_text(
        "2025-11-25T12:00:00.123Z message_held message=0000000000007f3a by=one\n"
        "2025-11-25T12:00:00.123Z trouble text=\"the event log events-test.jsonl cannot be written: File too large; "
        "mail goes on, events wait in memory and are dropped past 1 MiB\"\n");
    set_file_limit(RLIM_INFINITY);
    event_set_time(log, NOON + SECONDS(60));
    event_flush(log);
    event_flush(log);
    expect_file(
        "", "{\"time\":\"2025-11-25T12:00:00.123Z\",\"event\":\"message_held\",\"process\":\"test\",\"message\":"
            "\"0000000000007f3a\",\"by\":\"one\"}\n"
            "{\"time\":\"2025-11-25T12:01:00.123Z\",\"event\":\"trouble\",\"process\":\"test\",\"text\":\"the event "
            "log can be written again; 0 events are missing from it\"}\n");
    expect_text(
        "2025-11-25T12:01:00.123Z trouble text=\"the event log can be written again; 0 events are missing from it\"\n");
    event_log_close(log);
}

static void memory_stays_bounded_while_the_disk_is_full(void **state)
{
    (void)state;
    struct event_log *log = open_log(EVENT_TEXT_NONE);
    signal(SIGXFSZ, SIG_IGN);
    set_file_limit(0);
    for (int i = 0; i < 30000; i++)
        hold(log, SLICE("one"));
    assert_in_range(event_pending(log), 1000000, 1024 * 1024 + 1000);
    set_file_limit(RLIM_INFINITY);
    event_set_time(log, NOON + SECONDS(60));
    event_flush(log);
    event_flush(log);
    assert_int_equal(event_pending(log), 0);
    assert_int_equal(event_count(log, EVENT_message_held), 30000);
    assert_int_equal(event_count(log, EVENT_trouble), 1);
    event_log_close(log);
}

static void long_values_are_cut(void **state)
{
    (void)state;
    struct event_log *log = open_log(EVENT_TEXT_ALL);
    static char much[100000];
    memset(much, 0, sizeof(much));
    hold(log, slice_from(much, sizeof(much)));
    assert_true(event_pending(log) < 2 * (4096 * 6 + 300));
    event_log_close(log);
}

static void says_what_folder_fails(void **state)
{
    (void)state;
    struct text error = { 0 };
    struct event_log_params params = { .folder = "/nonexistent/log", .process = "test", .text_fd = -1 };
    assert_null(event_log_open(&params, &error));
    assert_string_equal(text_cstr(&error), "cannot make the folder /nonexistent/log: No such file or directory");
    text_free(&error);
    params.folder = NULL; /* no file: everything else works */
    struct event_log *log = event_log_open(&params, &error);
    hold(log, SLICE("x"));
    event_flush(log);
    assert_int_equal(event_count(log, EVENT_message_held), 1);
    event_log_close(log);
    event_log_close(NULL);
}

int main(void)
{
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(writes_line_text_and_counter),
        WITH_FOLDER(levels),
        WITH_FOLDER(rotates),
        WITH_FOLDER(reopens_what_was_moved_away),
        WITH_FOLDER(full_disk_is_said_once_and_got_over),
        WITH_FOLDER(memory_stays_bounded_while_the_disk_is_full),
        WITH_FOLDER(long_values_are_cut),
        cmocka_unit_test(says_what_folder_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
