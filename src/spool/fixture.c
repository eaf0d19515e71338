#include "spool/fixture.h"

void fixture_remove_folder(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (unlink(path) != 0)
            fixture_remove_folder(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

void fixture_open(struct fixture *f)
{
    struct text error = { 0 };
    f->spool = spool_open(f->loop, &f->params, &error);
    if (!f->spool)
        fail_msg("%s", text_cstr(&error));
    text_free(&error);
}

int fixture_set_up(void **state)
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
    fixture_open(f);
    *state = f;
    return 0;
}

void fixture_close(struct fixture *f)
{
    fake_run_jobs(f->loop); /* spool_close waits for the lanes */
    spool_close(f->spool);
    f->spool = NULL;
}

int fixture_tear_down(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    fake_settle(f->loop);
    loop_free(f->loop);
    fixture_remove_folder(f->dir);
    memory_free(f);
    return 0;
}

void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    fake_settle(f->loop);
    fixture_open(f);
}

const char *fixture_open_error(struct fixture *f)
{
    static char text[1024];
    struct text error = { 0 };
    f->spool = spool_open(f->loop, &f->params, &error);
    if (f->spool)
        fail_msg("it opened");
    snprintf(text, sizeof(text), "%s", text_cstr(&error));
    text_free(&error);
    return text;
}

void answer_take(void *context, enum spool_result result, struct spool_message *m)
{
    struct answer *a = context;
    a->count++;
    a->result = result;
    a->message = m;
}

static struct recipient recipients[3] = {
    { .forward_path = { LIT("ann"), LIT("example.org") }, .original = { LIT("a"), LIT("example.org") } },
    { .forward_path = { LIT("bob"), LIT("example.net") }, .original = { LIT("bob"), LIT("example.net") } },
    { .forward_path = { LIT("eve"), LIT("example.com") },
      .original = { LIT("eve"), LIT("example.com") },
      .original_recipient = LIT("rfc822;eve@example.com"),
      .notify = NOTIFY_FAILURE },
};

struct envelope envelope_to(size_t count)
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

void fill_octets(char *to, size_t octets, unsigned seed)
{
    for (size_t i = 0; i < octets; i++)
        to[i] = (char)(' ' + (i * 7 + seed * 13 + i / 251) % 94);
}

void commit_octets(struct fixture *f, size_t octets, unsigned seed, size_t recipient_count, struct answer *answer)
{
    char *content = memory_new(octets);
    fill_octets(content, octets, seed);
    struct spool_draft *draft = spool_begin(f->spool);
    for (size_t at = 0; at < octets; at += 5000)
        if (spool_append(draft, slice_from(content + at, size_min(5000, octets - at))) != SPOOL_OK)
            break;
    struct envelope envelope = envelope_to(recipient_count);
    *answer = (struct answer){ 0 };
    spool_commit(draft, &envelope, 0, answer_take, answer);
    memory_free(content);
}

struct spool_message *accept_octets(struct fixture *f, size_t octets, unsigned seed, size_t recipient_count)
{
    struct answer answer;
    commit_octets(f, octets, seed, recipient_count, &answer);
    assert_int_equal(answer.count, 0); /* never inside the call */
    fake_pass(f->loop, 3);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.result, SPOOL_OK);
    return answer.message;
}

void loading_take(void *context, enum spool_result result, const struct spool_content *content)
{
    struct loading *l = context;
    l->count++;
    l->result = result;
    if (content)
        l->content = *content;
}

void assert_content(struct fixture *f, struct spool_message *m, size_t octets, unsigned seed)
{
    struct loading l = { 0 };
    if (!spool_load(f->spool, m, &l.content, loading_take, &l)) {
        fake_settle(f->loop);
        assert_int_equal(l.count, 1);
        assert_int_equal(l.result, SPOOL_OK);
    }
    char *expected = memory_new(octets), *got = memory_new(octets);
    fill_octets(expected, octets, seed);
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

const struct outcome relayed = {
    .action = ACTION_RELAYED, .status = { 2, 0, 0 }, .reply_code = 250, .text = LIT("ok")
};
const struct outcome delayed = {
    .action = ACTION_DELAYED,
    .stage = STAGE_RCPT,
    .status = { 4, 2, 1 },
    .reply_code = 451,
    .text = LIT("try later"),
    .remote_name = LIT("mx.example.org"),
    .remote_address = LIT("192.0.2.7:25"),
};
const struct outcome failed = { .action = ACTION_FAILED, .status = { 5, 1, 1 }, .reply_code = 550, .text = LIT("no") };
