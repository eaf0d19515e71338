#include "base/memory.h"
#include "programs/mta/reports.h"
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h> /* wants the others before it */
/* Over a real spool in a temporary folder. */
#define CONTENT "Subject: hello\r\n\r\nmarked octets\r\n"

struct world {
    char folder[64];
    struct loop *loop;
    struct spool *spool;
    struct spool_message *message, *report;
    bool is_done, ok;
};

static void on_committed(void *context, enum spool_result result, struct spool_message *message)
{
    struct world *w = context;
    assert_int_equal(result, SPOOL_OK);
    w->message = message;
    loop_stop(w->loop);
}

static void commit(struct world *w)
{
    struct recipient to = { .forward_path = { LIT("ann"), LIT("there.test") } };
    struct envelope envelope = { .reverse_path = { LIT("me"), LIT("away.test") }, .listener = SLICE("mx") };
    envelope.recipients = &to;
    envelope.recipient_count = 1;
    struct spool_draft *draft = spool_begin(w->spool);
    assert_int_equal(spool_append(draft, SLICE(CONTENT)), SPOOL_OK);
    spool_commit(draft, &envelope, sizeof("Subject: hello\r\n\r\n") - 1, on_committed, w);
    loop_run(w->loop);
}

/* After an attempt it is only on the disk, and the disk gives back other octets than were written. */
static void damage(struct world *w)
{
    static const struct outcome later = { .action = ACTION_DELAYED, .status = { 4, 0, 0 } };
    static char octets[1 << 20];
    char path[128];
    assert_false(spool_record(w->spool, w->message, 0, &later, 0));
    snprintf(path, sizeof path, "%s/0/0000000000000001.journal", w->folder);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t got = pread(fd, octets, sizeof octets, 0);
    assert_true(got > 0);
    size_t at = slice_find(slice_from(octets, (size_t)got), SLICE("marked octets"));
    assert_int_not_equal(at, SLICE_NOT_FOUND);
    assert_int_equal(pwrite(fd, "X", 1, (off_t)at), 1);
    close(fd);
}

static void on_accepted(void *context, struct spool_message *report)
{
    struct world *w = context;
    w->report = report;
}

static void on_done(void *context, bool ok)
{
    struct world *w = context;
    w->is_done = true;
    w->ok = ok;
    loop_stop(w->loop);
}

static int remove_one(const char *path, const struct stat *file, int type, struct FTW *where)
{
    (void)file, (void)type, (void)where;
    return remove(path);
}

static void report_on(bool is_damaged)
{
    struct world w = { .folder = "/tmp/reports-test-XXXXXX" };
    struct text dir = { 0 }, error = { 0 };
    assert_non_null(mkdtemp(w.folder));
    text_add_format(&dir, "%s/0", w.folder);
    w.loop = loop_new("test");
    w.spool = spool_open(
        w.loop,
        &(struct spool_params){
            .dir = text_cstr(&dir), .segment_octets = 1 << 20, .large_octets = 1 << 18, .memory_octets = 1 << 22 },
        &error);
    assert_non_null(w.spool);
    struct event_log *events = event_log_open(&(struct event_log_params){ .process = "test", .text_fd = -1 }, &error);
    struct directory *directory = directory_new();
    directory_finish(directory);
    struct reports *reports = reports_new(w.loop, w.spool, events);
    reports_set_accepted(reports, on_accepted, &w);
    reports_configure(reports, SLICE("us.test"), directory);
    commit(&w);
    if (is_damaged)
        damage(&w);

    const struct outcome failed = { .action = ACTION_FAILED, .status = { 5, 3, 0 }, .text = SLICE("lost") };
    reports_make(reports, 0, w.message, (uint32_t[]){ 0 }, &failed, 1, 0, on_done, &w);
    loop_run(w.loop);
    assert_true(w.is_done && w.ok);
    assert_non_null(w.report);
    assert_true(slice_eq(w.report->envelope->recipients[0].forward_path.local_part, SLICE("me")));

    spool_close(w.spool);
    reports_free(reports);
    directory_release(directory);
    event_log_close(events);
    loop_free(w.loop);
    text_free(&dir);
    text_free(&error);
    nftw(w.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void tells_the_sender(void **state)
{
    (void)state;
    report_on(false);
}

/* That nothing can be quoted is no reason not to tell. */
static void tells_the_sender_of_lost_content(void **state)
{
    (void)state;
    report_on(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_sender),
        cmocka_unit_test(tells_the_sender_of_lost_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
