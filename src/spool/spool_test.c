#include "spool/fake_loop.h"
#include "spool/spool.h"
#include "spool/task.h"
#include "base/clock.h"
#include "base/memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

struct fixture {
    char dir[64];
    struct loop *loop;
    struct spool_params params;
    struct spool *spool;
};

static void remove_folder(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (unlink(path) != 0)
            remove_folder(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

static void open_spool(struct fixture *f)
{
    struct text error = { 0 };
    f->spool = spool_open(f->loop, &f->params, &error);
    if (!f->spool)
        fail_msg("%s", text_cstr(&error));
    text_free(&error);
}

static int set_up(void **state)
{
    struct fixture *f = MEMORY_NEW(struct fixture);
    snprintf(f->dir, sizeof(f->dir), "/tmp/spool-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->loop = loop_new("test");
    f->params = (struct spool_params){
        .dir = f->dir,
        .segment_octets = 256 << 10,
        .large_octets = 64 << 10,
        .memory_octets = 8 << 20,
    };
    open_spool(f);
    *state = f;
    return 0;
}

static void close_spool(struct fixture *f)
{
    fake_run_jobs(f->loop); /* spool_close waits for the lanes */
    spool_close(f->spool);
    f->spool = NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close_spool(f);
    fake_settle(f->loop);
    loop_free(f->loop);
    remove_folder(f->dir);
    memory_free(f);
    return 0;
}

static void reopen(struct fixture *f)
{
    close_spool(f);
    fake_settle(f->loop);
    open_spool(f);
}


struct answer {
    int count;
    enum spool_result result;
    struct spool_message *message;
};

static void on_done(void *context, enum spool_result result, struct spool_message *m)
{
    struct answer *a = context;
    a->count++;
    a->result = result;
    a->message = m;
}

static struct recipient recipients[3] = {
    { .forward_path = { LIT("ann"), LIT("example.org") }, .original = { LIT("a"), LIT("example.org") } },
    { .forward_path = { LIT("bob"), LIT("example.net") }, .original = { LIT("bob"), LIT("example.net") } },
    { .forward_path = { LIT("eve"), LIT("example.com") }, .original = { LIT("eve"), LIT("example.com") },
      .original_recipient = LIT("rfc822;eve@example.com"), .notify = NOTIFY_FAILURE },
};

static struct envelope envelope_to(size_t count)
{
    return (struct envelope){
        .reverse_path = { LIT("sender"), LIT("example.org") },
        .client_address = LIT("192.0.2.1"),
        .listener = LIT("mx"),
        .arrived_ms = 1764000000123,
        .recipients = recipients,
        .recipient_count = count,
    };
}

static void fill(char *to, size_t octets, unsigned seed)
{
    for (size_t i = 0; i < octets; i++)
        to[i] = (char)(' ' + (i * 7 + seed * 13 + i / 251) % 94);
}

static void commit_octets(struct fixture *f, size_t octets, unsigned seed, size_t recipient_count, struct answer *answer)
{
    char *content = memory_new(octets);
    fill(content, octets, seed);
    struct spool_draft *draft = spool_begin(f->spool);
    for (size_t at = 0; at < octets; at += 5000)
        if (spool_append(draft, slice_from(content + at, size_min(5000, octets - at))) != SPOOL_OK)
            break;
    struct envelope envelope = envelope_to(recipient_count);
    *answer = (struct answer){ 0 };
    spool_commit(draft, &envelope, 0, on_done, answer);
    memory_free(content);
}

static struct spool_message *accept_octets(struct fixture *f, size_t octets, unsigned seed, size_t recipient_count)
{
    struct answer answer;
    commit_octets(f, octets, seed, recipient_count, &answer);
    assert_int_equal(answer.count, 0); /* never inside the call */
    fake_pass(f->loop, 3);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.result, SPOOL_OK);
    return answer.message;
}

struct loading {
    int count;
    enum spool_result result;
    struct spool_content content;
};

static void on_loaded(void *context, enum spool_result result, const struct spool_content *content)
{
    struct loading *l = context;
    l->count++;
    l->result = result;
    if (content)
        l->content = *content;
}

static void assert_content(struct fixture *f, struct spool_message *m, size_t octets, unsigned seed)
{
    struct loading l = { 0 };
    if (!spool_load(f->spool, m, &l.content, on_loaded, &l)) {
        fake_settle(f->loop);
        assert_int_equal(l.count, 1);
        assert_int_equal(l.result, SPOOL_OK);
    }
    char *expected = memory_new(octets), *got = memory_new(octets);
    fill(expected, octets, seed);
    assert_int_equal(m->content_octets, octets);
    if (l.content.fd >= 0) {
        assert_int_equal(l.content.file_octets, octets);
        assert_int_equal(pread(l.content.fd, got, octets, 0), octets);
        assert_memory_equal(got, expected, octets);
    } else {
        assert_int_equal(l.content.octets.len, octets);
        assert_memory_equal(l.content.octets.ptr, expected, octets);
    }
    memory_free(expected);
    memory_free(got);
    spool_release(f->spool, m);
}

static const struct outcome relayed = { .action = ACTION_RELAYED, .status = { 2, 0, 0 }, .reply_code = 250, .text = LIT("ok") };
static const struct outcome delayed = {
    .action = ACTION_DELAYED, .stage = STAGE_RCPT, .status = { 4, 2, 1 }, .reply_code = 451,
    .text = LIT("try later"), .remote_name = LIT("mx.example.org"), .remote_address = LIT("192.0.2.7:25"),
};
static const struct outcome failed = { .action = ACTION_FAILED, .status = { 5, 1, 1 }, .reply_code = 550, .text = LIT("no") };

static void accepts_and_recovers(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = { 0, 1, 7, 8, 9, 100, 4096, 8191, 8192, 8193, 60000, 65536, 65537, 300000, 1000000 };
    uint64_t ids[COUNT(sizes)];
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct spool_message *m = accept_octets(f, sizes[i], (unsigned)i, 1 + i % 3);
        ids[i] = m->id;
        assert_content(f, m, sizes[i], (unsigned)i);
        assert_true(i == 0 || ids[i] > ids[i - 1]);
    }
    for (int round = 0; round < 2; round++) {
        reopen(f);
        assert_int_equal(spool_count(f->spool), COUNT(sizes));
        for (size_t i = 0; i < COUNT(sizes); i++) {
            struct spool_message *m = spool_find(f->spool, ids[i]);
            assert_non_null(m);
            assert_int_equal(m->envelope->recipient_count, 1 + i % 3);
            assert_true(slice_eq(m->envelope->recipients[0].original.local_part, SLICE("a")));
            assert_true(slice_eq(m->envelope->reverse_path.domain, SLICE("example.org")));
            assert_int_equal(m->envelope->arrived_ms, 1764000000123);
            assert_content(f, m, sizes[i], (unsigned)i);
        }
    }
    struct spool_recovery recovery;
    spool_get_recovery(f->spool, &recovery);
    assert_int_equal(recovery.damaged_octets, 0);
    assert_int_equal(recovery.torn_octets, 0);
    assert_int_equal(recovery.report.len, 0);
}

static void keeps_states(void **state)
{
    struct fixture *f = *state;
    struct spool_message *m = accept_octets(f, 500, 1, 3);
    uint64_t id = m->id;
    assert_false(spool_record(f->spool, m, 0, &relayed, 0));
    assert_false(spool_record(f->spool, m, 1, &delayed, 1764000900000));
    spool_set_held(f->spool, m, true);
    spool_set_delay_warning(f->spool, m);
    reopen(f);
    m = spool_find(f->spool, id);
    assert_non_null(m);
    assert_true(m->held);
    assert_true(m->has_delay_warning);
    assert_int_equal(m->open_recipients, 2);
    assert_true(m->recipients[0].is_final);
    assert_int_equal(m->recipients[0].last.action, ACTION_RELAYED);
    assert_int_equal(m->recipients[1].attempts, 1);
    assert_int_equal(m->recipients[1].next_attempt_ms, 1764000900000);
    assert_true(slice_eq(m->recipients[1].last.text, SLICE("try later")));
    assert_true(slice_eq(m->recipients[1].last.remote_address, SLICE("192.0.2.7:25")));
    assert_int_equal(m->recipients[2].attempts, 0);
    assert_content(f, m, 500, 1);
    spool_set_held(f->spool, m, false);
    spool_set_next_attempt(f->spool, m, 42);
    reopen(f);
    m = spool_find(f->spool, id);
    assert_false(m->held);
    assert_int_equal(m->recipients[1].next_attempt_ms, 42);
    assert_int_equal(m->recipients[2].next_attempt_ms, 42);
    assert_int_equal(m->recipients[0].next_attempt_ms, 0);
    assert_false(spool_record(f->spool, m, 1, &failed, 0));
    assert_true(spool_record(f->spool, m, 2, &relayed, 0));
    assert_null(spool_find(f->spool, id));
    reopen(f);
    assert_int_equal(spool_count(f->spool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(accepts_and_recovers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_states, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
