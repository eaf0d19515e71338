#include "base/memory.h"
#include "base/random.h"
#include "spool/spool.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants those above first */
#include <cmocka.h>
#include <dirent.h>
/*
 * A child process takes and finishes mail on real files and the real loop, and tells through a pipe what it was
 * promised; it is killed at a random moment, again and again over the same spool.
 */
enum { SESSIONS = 20, ROUNDS = 8 };
enum told { TOLD_ACCEPTED = 1, TOLD_FINISHING, TOLD_FINISHED };
struct news {
    uint64_t id;
    uint32_t octets, what;
};
struct child {
    struct loop *loop;
    struct spool *spool;
    int pipe;
};
struct session {
    struct child *child;
    uint64_t id;
    uint32_t octets;
    bool finishes;
};

static void tell(struct child *c, uint64_t id, uint32_t octets, enum told what)
{
    const struct news news = { id, octets, what };
    if (write(c->pipe, &news, sizeof(news)) != sizeof(news))
        _exit(1);
}

static void fill(char *to, size_t octets, uint64_t id)
{
    for (size_t i = 0; i < octets; i++)
        to[i] = (char)('a' + (i * 11 + id % 97) % 26);
}

static void send_one(struct session *s);

static void on_synced(void *context, enum spool_result result)
{
    struct session *s = context;
    if (result != SPOOL_OK)
        _exit(2);
    tell(s->child, s->id, s->octets, TOLD_FINISHED);
    send_one(s);
}

static void on_done(void *context, enum spool_result result, struct spool_message *m)
{
    static const struct outcome relayed = { .action = ACTION_RELAYED, .status = { 2, 0, 0 } };
    struct session *s = context;
    if (result != SPOOL_OK)
        _exit(2);
    tell(s->child, m->id, s->octets, TOLD_ACCEPTED);
    if (random_below(8) == 0) {
        send_one(s);
        return;
    }
    tell(s->child, m->id, s->octets, TOLD_FINISHING);
    spool_record(s->child->spool, m, 0, &relayed, 0);
    if (random_below(16) == 0)
        spool_sync(s->child->spool, on_synced, s);
    else
        send_one(s);
}

static void send_one(struct session *s)
{
    static char content[300000];
    struct recipient to = { .forward_path = { LIT("ann"), LIT("example.org") },
                            .original = { LIT("ann"), LIT("example.org") } };
    const struct envelope envelope = { .recipients = &to, .recipient_count = 1 };
    struct spool_draft *draft = spool_begin(s->child->spool);
    s->id = spool_draft_id(draft);
    s->octets = (uint32_t)(random_below(30) ? random_below(6000) : random_below(sizeof(content)));
    fill(content, s->octets, s->id);
    if (spool_append(draft, slice_from(content, s->octets)) != SPOOL_OK)
        _exit(3);
    spool_commit(draft, &envelope, 0, on_done, s);
}

static struct spool *open_spool(struct loop *loop, const char *dir)
{
    const struct spool_params params = {
        .dir = dir, .segment_octets = 1 << 20, .large_octets = 128 << 10, .memory_octets = 4 << 20
    };
    struct text error = { 0 };
    struct spool *spool = spool_open(loop, &params, &error);
    if (!spool)
        fprintf(stderr, "%s\n", text_cstr(&error));
    text_free(&error);
    return spool;
}

static void run_child(const char *dir, int pipe)
{
    struct child c = { .loop = loop_new("child"), .pipe = pipe };
    c.spool = open_spool(c.loop, dir);
    if (!c.spool)
        _exit(4);
    static struct session sessions[SESSIONS];
    for (size_t i = 0; i < SESSIONS; i++) {
        sessions[i].child = &c;
        send_one(&sessions[i]);
    }
    loop_run(c.loop);
    _exit(5);
}

struct book {
    struct news *all; /* the newest word about each id, in the order of the first */
    size_t count;
};

static void note(struct book *book, struct news news)
{
    for (size_t i = book->count; i-- > 0;)
        if (book->all[i].id == news.id) {
            book->all[i] = news;
            return;
        }
    book->all = memory_resize(book->all, (book->count + 1) * sizeof(*book->all));
    book->all[book->count++] = news;
}

/* `at_work`: not before it has told us something, however slow the machine. Else also while it starts. */
static void run_and_kill(const char *dir, struct book *book, bool at_work)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        run_child(dir, ends[1]);
    }
    close(ends[1]);
    struct news news;
    if (at_work) {
        assert_int_equal(read(ends[0], &news, sizeof(news)), sizeof(news));
        note(book, news);
    }
    usleep((useconds_t)(50000 + random_below(250000)));
    kill(pid, SIGKILL);
    int status;
    for (ssize_t got; (got = read(ends[0], &news, sizeof(news))) == sizeof(news);)
        note(book, news);
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* else it ended by itself: something went wrong */
}

struct check {
    struct loop *loop;
    struct spool *spool;
    size_t left;
};

static void check_octets(struct check *c, struct spool_message *m, const struct spool_content *content)
{
    static char expected[300000], got[300000];
    slice octets = content->octets;
    if (content->fd >= 0)
        octets = slice_from(got, (size_t)pread(content->fd, got, sizeof(got), 0));
    fill(expected, m->content_octets, m->id);
    assert_true(slice_eq(octets, slice_from(expected, m->content_octets)));
    spool_release(c->spool, m);
    if (--c->left == 0)
        loop_stop(c->loop);
}

struct wanted {
    struct check *check;
    struct spool_message *message;
};

static void on_loaded(void *context, enum spool_result result, const struct spool_content *content)
{
    struct wanted *w = context;
    assert_int_equal(result, SPOOL_OK);
    check_octets(w->check, w->message, content);
    memory_free(w);
}

static void load(void *context, struct spool_message *m)
{
    struct wanted w = { context, m }, *kept = memory_copy(&w, sizeof(w));
    struct spool_content content;
    w.check->left++;
    /* recovered: nothing is in memory */
    assert_false(spool_load(w.check->spool, m, &content, on_loaded, kept));
}

static void check_book(const char *dir, struct book *book)
{
    struct check c = { .loop = loop_new("check") };
    struct spool_recovery recovery;
    c.spool = open_spool(c.loop, dir);
    assert_non_null(c.spool);
    spool_get_recovery(c.spool, &recovery);
    if (recovery.report.len)
        print_error(SLICE_FMT "\n", SLICE_ARG(recovery.report));
    assert_int_equal(recovery.report.len, 0);
    for (size_t i = 0; i < book->count; i++) {
        struct spool_message *m = spool_find(c.spool, book->all[i].id);
        assert_true(m || book->all[i].what != TOLD_ACCEPTED);
        assert_true(!m || book->all[i].what != TOLD_FINISHED);
        assert_true(!m || m->content_octets == book->all[i].octets);
    }
    spool_each(c.spool, load, &c);
    if (c.left)
        loop_run(c.loop);
    spool_close(c.spool);
    loop_free(c.loop);
}

static void keeps_its_word_when_killed(void **state)
{
    (void)state;
    char dir[] = "/tmp/spool-kill-XXXXXX", command[64];
    assert_non_null(mkdtemp(dir));
    struct book book = { 0 };
    for (int round = 0; round < ROUNDS; round++) {
        run_and_kill(dir, &book, round % 2 == 0);
        /* the check has threads, and a child is best forked without */
        pid_t pid = fork();
        if (pid == 0) {
            check_book(dir, &book);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_true(book.count >= ROUNDS / 2);
    memory_free(book.all);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_its_word_when_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
