#include "spool/fixture.h"
#include "spool/task.h"
#include <errno.h>

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
        fixture_reopen(f);
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
    fixture_reopen(f);
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
    fixture_reopen(f);
    m = spool_find(f->spool, id);
    assert_false(m->held);
    assert_int_equal(m->recipients[1].next_attempt_ms, 42);
    assert_int_equal(m->recipients[2].next_attempt_ms, 42);
    assert_int_equal(m->recipients[0].next_attempt_ms, 0);
    assert_false(spool_record(f->spool, m, 1, &failed, 0));
    assert_true(spool_record(f->spool, m, 2, &relayed, 0));
    assert_null(spool_find(f->spool, id));
    fixture_reopen(f);
    assert_int_equal(spool_count(f->spool), 0);
}

static void drops_and_reads_again(void **state)
{
    struct fixture *f = *state;
    struct spool_message *m = accept_octets(f, 5000, 1, 2);
    struct spool_statistics now;
    spool_get_statistics(f->spool, &now);
    assert_true(now.memory_octets >= 5000);
    /* after its first attempt it waits on the disk */
    assert_false(spool_record(f->spool, m, 0, &delayed, 1));
    spool_get_statistics(f->spool, &now);
    assert_true(now.memory_octets >= 5000); /* the other recipient has not been tried yet */
    assert_false(spool_record(f->spool, m, 1, &delayed, 1));
    spool_get_statistics(f->spool, &now);
    assert_int_equal(now.memory_octets, 0);
    /* two that wait for one reading; the first is done with it before the second is told */
    struct loading a = { 0 }, b = { 0 };
    assert_false(spool_load(f->spool, m, &a.content, loading_take, &a));
    assert_false(spool_load(f->spool, m, &b.content, loading_take, &b));
    assert_int_equal(a.count, 0);
    fake_settle(f->loop);
    assert_int_equal(a.count + b.count, 2);
    assert_ptr_equal(a.content.octets.ptr, b.content.octets.ptr);
    struct loading c = { 0 };
    assert_true(spool_load(f->spool, m, &c.content, loading_take, &c));
    spool_release(f->spool, m);
    spool_release(f->spool, m);
    assert_content(f, m, 5000, 1);
    /* it ends while it is loaded: the octets stay until the last release */
    assert_false(spool_record(f->spool, m, 0, &relayed, 0));
    assert_true(spool_record(f->spool, m, 1, &relayed, 0));
    assert_int_equal(b.content.octets.len, 5000);
    assert_int_equal(b.content.octets.ptr[4999], a.content.octets.ptr[4999]);
    spool_release(f->spool, m);
    spool_get_statistics(f->spool, &now);
    assert_int_equal(now.memory_octets, 0);
}

struct last_user {
    struct fixture *fixture;
    struct spool_message *message;
    int count;
    enum spool_result result;
};

static void gives_back(void *context, enum spool_result result, const struct spool_content *content)
{
    struct last_user *user = context;
    user->count++;
    user->result = result;
    assert_int_equal(content->octets.len, 5000);
    spool_release(user->fixture->spool, user->message);
}

static void ends_while_it_is_read(void **state)
{
    struct fixture *f = *state;
    struct spool_statistics now;
    /* an operator removes it meanwhile, and the one who waited for its content has no use for it any more */
    struct last_user user = { .fixture = f, .message = accept_octets(f, 5000, 1, 1) };
    struct spool_content content;
    assert_false(spool_record(f->spool, user.message, 0, &delayed, 1));
    assert_false(spool_load(f->spool, user.message, &content, gives_back, &user));
    assert_true(spool_record(f->spool, user.message, 0, &failed, 0));
    fake_settle(f->loop);
    assert_int_equal(user.count, 1);
    assert_int_equal(user.result, SPOOL_OK);
    spool_get_statistics(f->spool, &now);
    assert_int_equal(now.memory_octets, 0);
    assert_int_equal(spool_count(f->spool), 0);
}

static void keeps_within_memory(void **state)
{
    struct fixture *f = *state;
    f->params.memory_octets = 1 << 20;
    fixture_reopen(f);
    struct spool_message *all[100];
    struct spool_statistics now;
    for (unsigned i = 0; i < COUNT(all); i++) {
        all[i] = accept_octets(f, 30000, i, 1);
        spool_get_statistics(f->spool, &now);
        assert_true(now.memory_octets <= 1 << 20);
        assert_int_equal(spool_has_room(f->spool, 30000), SPOOL_OK); /* what can be dropped does not count */
    }
    struct spool_content content;
    assert_true(spool_load(f->spool, all[99], &content, loading_take, NULL)); /* the newest is there */
    spool_release(f->spool, all[99]);
    for (unsigned i = 0; i < COUNT(all); i++)
        assert_content(f, all[i], 30000, i);
    /* drafts cannot be dropped: they fill the memory, larger ones go to files, and then there is no room */
    char piece[4000];
    fill_octets(piece, sizeof(piece), 7);
    struct spool_draft *drafts[1000];
    size_t count = 0;
    enum spool_result result = SPOOL_OK;
    while (result == SPOOL_OK && count < COUNT(drafts)) {
        drafts[count] = spool_begin(f->spool);
        result = spool_append(drafts[count++], slice_from(piece, sizeof(piece)));
        spool_get_statistics(f->spool, &now);
        assert_true(now.memory_octets <= 1 << 20);
    }
    assert_int_equal(result, SPOOL_FULL);
    assert_true(count > 100);
    assert_int_equal(spool_append(drafts[count - 1], SLICE("x")), SPOOL_FULL); /* it stays refused */
    struct answer answer = { 0 };
    struct envelope envelope = envelope_to(1);
    spool_commit(drafts[--count], &envelope, 0, answer_take, &answer);
    fake_settle(f->loop);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.result, SPOOL_FULL);
    while (count > 0)
        spool_abandon(drafts[--count]);
    assert_int_equal(spool_has_room(f->spool, 0), SPOOL_OK);
    accept_octets(f, 40000, 1, 1);
}

static void spills_large_drafts_when_memory_is_short(void **state)
{
    struct fixture *f = *state;
    f->params.memory_octets = 1 << 20;
    f->params.segment_octets = 8 << 20;
    f->params.large_octets = 1 << 20;
    fixture_reopen(f);
    char piece[10000];
    fill_octets(piece, sizeof(piece), 7);
    struct spool_draft *drafts[6];
    for (size_t i = 0; i < COUNT(drafts); i++)
        drafts[i] = spool_begin(f->spool);
    for (int n = 0; n < 50; n++)
        for (size_t i = 0; i < COUNT(drafts); i++)
            if (spool_draft_octets(drafts[i]) < 140000 || i == 0)
                assert_int_equal(spool_append(drafts[i], slice_from(piece, sizeof(piece))), SPOOL_OK);
    struct answer answers[COUNT(drafts)] = { 0 };
    struct envelope envelope = envelope_to(1);
    for (size_t i = 0; i < COUNT(drafts); i++)
        spool_commit(drafts[i], &envelope, 0, answer_take, &answers[i]);
    fake_pass(f->loop, 5);
    for (size_t i = 0; i < COUNT(drafts); i++) {
        assert_int_equal(answers[i].result, SPOOL_OK);
        assert_int_equal(answers[i].message->content_octets, i == 0 ? 500000 : 140000);
    }
}

static void shares_syncs(void **state)
{
    struct fixture *f = *state;
    struct answer answers[200];
    struct spool_statistics before, after;
    fake_settle(f->loop);
    spool_get_statistics(f->spool, &before);
    for (unsigned i = 0; i < COUNT(answers); i++)
        commit_octets(f, 100, i, 1, &answers[i]);
    fake_settle(f->loop);
    spool_get_statistics(f->spool, &after);
    assert_true(after.syncs - before.syncs <= 2);
    for (unsigned i = 0; i < COUNT(answers); i++)
        assert_int_equal(answers[i].result, SPOOL_OK);
    /* outcomes alone are written soon, and synced within a second without being asked */
    for (unsigned i = 0; i < COUNT(answers); i++)
        assert_true(spool_record(f->spool, answers[i].message, 0, &relayed, 0));
    spool_get_statistics(f->spool, &before);
    fake_pass(f->loop, 12);
    spool_get_statistics(f->spool, &after);
    assert_int_equal(after.groups - before.groups, 1);
    assert_int_equal(after.syncs - before.syncs, 0);
    fake_pass(f->loop, 1100);
    spool_get_statistics(f->spool, &after);
    assert_int_equal(after.syncs - before.syncs, 1);
    fake_pass(f->loop, 5000); /* and then there is peace */
    spool_get_statistics(f->spool, &before);
    assert_int_equal(after.groups, before.groups);
}

struct synced {
    int count;
    enum spool_result result;
};

static void take_synced(void *context, enum spool_result result)
{
    struct synced *s = context;
    s->count++;
    s->result = result;
}

static void syncs_when_asked(void **state)
{
    struct fixture *f = *state;
    struct synced synced = { .result = SPOOL_BROKEN };
    spool_sync(f->spool, take_synced, &synced); /* nothing is written at all */
    assert_int_equal(synced.count, 0);
    fake_settle(f->loop);
    assert_int_equal(synced.count, 1);
    assert_int_equal(synced.result, SPOOL_OK);
    struct spool_message *m = accept_octets(f, 10, 1, 2);
    spool_record(f->spool, m, 0, &relayed, 0);
    spool_sync(f->spool, take_synced, &synced);
    fake_settle(f->loop);
    assert_int_equal(synced.count, 2);
    assert_int_equal(synced.result, SPOOL_OK);
}

static void note_order(void *context, enum spool_result result, struct spool_message *m)
{
    unsigned **next = context;
    assert_int_equal(result, SPOOL_OK);
    assert_non_null(m);
    *(*next)++ = (unsigned)m->content_octets;
}

static void answers_in_order_with_groups_in_flight(void **state)
{
    struct fixture *f = *state;
    unsigned order[300], *next = order;
    char octets[300] = { 0 };
    struct envelope envelope = envelope_to(1);
    fake_settle(f->loop);
    fake_set_choice(f->loop, (struct fake_choice){ .seed = 12345 });
    size_t most = 0;
    for (unsigned i = 0; i < COUNT(order); i++) {
        struct spool_draft *draft = spool_begin(f->spool);
        assert_int_equal(spool_append(draft, slice_from(octets, i)), SPOOL_OK);
        spool_commit(draft, &envelope, 0, note_order, &next);
        fake_wait(f->loop, 1); /* time passes and turns end, and the lanes get nothing done */
        most = size_max(most, fake_jobs_waiting(f->loop));
        if (i % 9 == 8)
            fake_turn(f->loop);
    }
    fake_pass(f->loop, 100);
    assert_true(most > 3);
    assert_int_equal(next - order, COUNT(order));
    for (unsigned i = 0; i < COUNT(order); i++)
        assert_int_equal(order[i], i);
}

static void uses_bounded_disk(void **state)
{
    struct fixture *f = *state;
    struct spool_message *kept[40];
    uint64_t ids[COUNT(kept)];
    struct spool_statistics now;
    unsigned count = 0;
    for (unsigned i = 0; i < 2000; i++) {
        struct spool_message *m = accept_octets(f, 3000, i, 1);
        if (i % 50 == 0 && count < COUNT(kept)) {
            spool_record(f->spool, m, 0, &delayed, 5); /* a straggler in every segment, on disk only */
            kept[count++] = m;
        } else {
            spool_record(f->spool, m, 0, &relayed, 0);
        }
        if (i % 10 == 0)
            fake_pass(f->loop, 20);
        spool_get_statistics(f->spool, &now);
        assert_true(now.segments <= 6);
    }
    assert_true(now.disk_octets <= 10 * f->params.segment_octets);
    for (unsigned i = 0; i < COUNT(kept); i++) {
        ids[i] = kept[i]->id;
        assert_content(f, kept[i], 3000, i * 50);
        assert_int_equal(kept[i]->recipients[0].attempts, 1);
    }
    fixture_reopen(f);
    assert_int_equal(spool_count(f->spool), COUNT(kept));
    for (unsigned i = 0; i < COUNT(kept); i++) {
        struct spool_message *m = spool_find(f->spool, ids[i]);
        assert_content(f, m, 3000, i * 50);
        assert_int_equal(m->recipients[0].attempts, 1);
        assert_int_equal(m->recipients[0].next_attempt_ms, 5);
        assert_true(slice_eq(m->recipients[0].last.text, SLICE("try later")));
        spool_record(f->spool, m, 0, &failed, 0);
    }
    fake_pass(f->loop, 3000);
    spool_get_statistics(f->spool, &now);
    assert_true(now.segments <= 2);
}

static void moves_all_that_lives_when_it_must(void **state)
{
    /* much that lives and much that comes and goes: twice what lives is enough */
    struct fixture *f = *state;
    struct spool_message *kept[100];
    struct spool_statistics now;
    for (unsigned i = 0; i < COUNT(kept); i++) {
        kept[i] = accept_octets(f, 10000, i, 1);
        spool_set_held(f->spool, kept[i], true);
    }
    for (unsigned i = 0; i < 1000; i++) {
        spool_record(f->spool, accept_octets(f, 10000, i, 1), 0, &relayed, 0);
        spool_get_statistics(f->spool, &now);
        assert_true(now.segments <= 2 * (COUNT(kept) * 10000 / f->params.segment_octets + 1) + 6);
    }
    fake_pass(f->loop, 2000);
    fixture_reopen(f);
    assert_int_equal(spool_count(f->spool), COUNT(kept));
}

static void breaks_for_good(void **state)
{
    struct fixture *f = *state;
    struct sim_disk *sim = sim_new(f->dir);
    f->params.disk = sim_as_disk(sim);
    fixture_reopen(f);
    struct spool_message *m = accept_octets(f, 100, 1, 2);
    struct answer answers[3];
    struct synced synced = { 0 }, later = { 0 };
    fake_settle(f->loop);
    spool_sync(f->spool, take_synced, &synced);
    sim_set_fault(sim, SIM_FAIL, 2); /* the sync */
    for (unsigned i = 0; i < COUNT(answers); i++)
        commit_octets(f, 50, i, 1, &answers[i]);
    fake_pass(f->loop, 5);
    assert_int_equal(synced.count, 1);
    assert_int_equal(synced.result, SPOOL_BROKEN);
    assert_true(spool_is_broken(f->spool));
    assert_non_null(strstr(spool_trouble(f->spool), "writing the journal failed"));
    for (unsigned i = 0; i < COUNT(answers); i++) {
        assert_int_equal(answers[i].count, 1);
        assert_int_equal(answers[i].result, SPOOL_BROKEN);
    }
    /* the disk is well again: it makes no difference to this process */
    commit_octets(f, 50, 9, 1, &answers[0]);
    assert_int_equal(answers[0].count, 0);
    fake_pass(f->loop, 50);
    assert_int_equal(answers[0].result, SPOOL_BROKEN);
    assert_int_equal(spool_has_room(f->spool, 0), SPOOL_BROKEN);
    struct spool_draft *draft = spool_begin(f->spool);
    assert_int_equal(spool_append(draft, SLICE("x")), SPOOL_BROKEN);
    spool_abandon(draft);
    spool_sync(f->spool, take_synced, &later);
    fake_pass(f->loop, 50);
    assert_int_equal(later.count, 1);
    assert_int_equal(later.result, SPOOL_BROKEN);
    assert_false(spool_record(f->spool, m, 0, &relayed, 0)); /* in memory only */
    assert_true(spool_record(f->spool, m, 1, &relayed, 0));
    fixture_reopen(f);
    assert_false(spool_is_broken(f->spool));
    accept_octets(f, 10, 1, 1);
    fixture_close(f);
    fake_settle(f->loop);
    sim_free(sim);
    f->params.disk = NULL;
    fixture_open(f);
}

static void run_the_other_flight(void *loop) { fake_run_jobs(loop); }

/* The kernel tells of pages it could not write once for each open file description: a later flight's sync that comes
 * first must not take the error away from the flight whose pages were lost. */
static void hears_of_an_error_that_a_later_flight_met(void **state)
{
    struct fixture *f = *state;
    struct sim_disk *sim = sim_new(f->dir);
    char after[80];
    struct answer answers[2];
    f->params.disk = sim_as_disk(sim);
    fixture_reopen(f);
    fake_pass(f->loop, 50);
    for (unsigned i = 0; i < COUNT(answers); i++) {
        commit_octets(f, 100, i, 1, &answers[i]);
        fake_wait(f->loop, 2);
    }
    assert_int_equal(fake_jobs_waiting(f->loop), 2);
    /* the first has written and syncs; meanwhile the second writes, and its sync fails for the pages of both */
    sim_set_meanwhile(sim, run_the_other_flight, f->loop);
    sim_set_fault(sim, SIM_FAIL, 3);
    fake_run_jobs(f->loop);
    assert_true(sim_fault_came(sim));
    fake_pass(f->loop, 5);
    snprintf(after, sizeof(after), "%s-after", f->dir);
    sim_power_cut(sim, after, 0);
    for (unsigned i = 0; i < COUNT(answers); i++) {
        assert_int_equal(answers[i].count, 1);
        assert_int_equal(answers[i].result, SPOOL_BROKEN);
    }
    fixture_close(f);
    fake_settle(f->loop);
    sim_free(sim);
    /* and rightly so: neither is there */
    struct spool_params params = f->params;
    f->params.disk = NULL;
    f->params.dir = after;
    fixture_open(f);
    assert_int_equal(spool_count(f->spool), 0);
    fixture_close(f);
    fixture_remove_folder(after);
    f->params = params;
    f->params.disk = NULL;
    fixture_open(f);
}

/* The real disk, counting descriptors of segments. */
struct counting_disk {
    struct disk disk;
    unsigned opened, open;
};

static int open_counted(struct disk *disk, int folder, const char *name, int flags)
{
    struct counting_disk *counting = CONTAINER_OF(disk, struct counting_disk, disk);
    counting->opened += strstr(name, ".journal") != NULL;
    counting->open++;
    return disk_real()->open(disk, folder, name, flags);
}

static int close_counted(struct disk *disk, int fd)
{
    struct counting_disk *counting = CONTAINER_OF(disk, struct counting_disk, disk);
    counting->open--;
    return disk_real()->close(disk, fd);
}

static void opens_a_segment_once_for_each_flight(void **state)
{
    struct fixture *f = *state;
    struct counting_disk disk = { .disk = *disk_real() };
    struct answer answers[200];
    struct spool_statistics before, after;
    disk.disk.open = open_counted;
    disk.disk.close = close_counted;
    f->params.disk = &disk.disk;
    fixture_reopen(f);
    fake_pass(f->loop, 50);
    disk.opened = 0;
    spool_get_statistics(f->spool, &before);
    for (unsigned i = 0; i < COUNT(answers); i++) {
        commit_octets(f, 5000, i, 1, &answers[i]);
        fake_wait(f->loop, 1);
        if (i % 2)
            fake_turn(f->loop);
    }
    fake_pass(f->loop, 100);
    for (unsigned i = 0; i < COUNT(answers); i++)
        assert_int_equal(answers[i].result, SPOOL_OK);
    spool_get_statistics(f->spool, &after);
    assert_true(after.segments - before.segments >= 3 && after.groups - before.groups > 90);
    assert_true(disk.opened >= 5 && disk.opened <= 6 * after.segments);
    fixture_close(f);
    assert_int_equal(disk.open, 0);
    f->params.disk = NULL;
    fixture_open(f);
    assert_int_equal(spool_count(f->spool), COUNT(answers));
}

/* The same when the process may open no further file: flights go one after the other. */
static int open_no_segment(struct disk *disk, int folder, const char *name, int flags)
{
    if (!strstr(name, ".journal"))
        return disk_real()->open(disk, folder, name, flags);
    errno = EMFILE;
    return -1;
}

static void goes_on_without_further_descriptors(void **state)
{
    struct fixture *f = *state;
    struct disk disk = *disk_real();
    struct answer answers[100];
    f->params.disk = &disk;
    fixture_reopen(f);
    fake_pass(f->loop, 50);
    disk.open = open_no_segment;
    for (unsigned i = 0; i < COUNT(answers); i++) {
        commit_octets(f, 10000, i, 1, &answers[i]);
        fake_wait(f->loop, 1);
        assert_true(fake_jobs_waiting(f->loop) <= 4); /* with the next segment's, and a sealed one's end */
        if (i % 4 == 3)
            fake_turn(f->loop);
    }
    fake_pass(f->loop, 100);
    for (unsigned i = 0; i < COUNT(answers); i++)
        assert_int_equal(answers[i].result, SPOOL_OK);
    assert_false(spool_is_broken(f->spool));
    fixture_close(f);
    f->params.disk = NULL;
    fixture_open(f);
    assert_int_equal(spool_count(f->spool), COUNT(answers));
}

static void takes_many_recipients(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 1000 };
    struct recipient *to = memory_new(MANY * sizeof(*to));
    for (size_t i = 0; i < MANY; i++)
        to[i] = (struct recipient){ .forward_path = { LIT("somebody"), LIT("example.org") },
                                    .original = { LIT("alias"), LIT("example.org") } };
    struct envelope envelope = envelope_to(1);
    envelope.recipients = to;
    envelope.recipient_count = MANY;
    struct answer answer = { 0 };
    spool_commit(spool_begin(f->spool), &envelope, 0, answer_take, &answer);
    fake_pass(f->loop, 5);
    assert_int_equal(answer.result, SPOOL_OK);
    uint64_t id = answer.message->id;
    char words[3000];
    fill_octets(words, sizeof(words), 1);
    struct outcome wordy = delayed;
    wordy.text = slice_from(words, sizeof(words));
    for (size_t i = 0; i < MANY; i++) {
        assert_false(spool_record(f->spool, answer.message, i, &wordy, 7));
        if (i % 10 == 0)
            fake_pass(f->loop, 12);
    }
    fixture_reopen(f);
    struct spool_message *m = spool_find(f->spool, id);
    assert_int_equal(m->open_recipients, MANY);
    assert_int_equal(m->recipients[MANY - 1].attempts, 1);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(spool_record(f->spool, m, i, &failed, 0), i == MANY - 1);
    memory_free(to);
}

static void visit_and_finish(void *context, struct spool_message *m)
{
    struct fixture *f = context;
    struct spool_message *last = spool_find(f->spool, m->id);
    assert_ptr_equal(last, m);
    spool_record(f->spool, m, 0, &relayed, 0);
}

static void visits_oldest_first(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 100; i++)
        accept_octets(f, 10, i, 1);
    spool_each(f->spool, visit_and_finish, f);
    assert_int_equal(spool_count(f->spool), 0);
}

static void sets_outcomes_of_tasks(void **state)
{
    (void)state;
    struct task *task = memory_new(sizeof(*task) + 3 * sizeof(task->recipients[0]));
    task->recipient_count = 3;
    task->recipients[1].outcome.action = ACTION_RELAYED;
    char text[] = "gone";
    struct outcome outcome = failed;
    outcome.text = slice_from(text, 4);
    task_set_outcome(task, &outcome);
    memset(text, 'x', 4);
    assert_int_equal(task->recipients[0].outcome.action, ACTION_FAILED);
    assert_true(slice_eq(task->recipients[2].outcome.text, SLICE("gone")));
    assert_int_equal(task->recipients[1].outcome.action, ACTION_RELAYED);
    arena_free(&task->memory);
    memory_free(task);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOL_TEST(accepts_and_recovers),
        SPOOL_TEST(keeps_states),
        SPOOL_TEST(drops_and_reads_again),
        SPOOL_TEST(ends_while_it_is_read),
        SPOOL_TEST(keeps_within_memory),
        SPOOL_TEST(spills_large_drafts_when_memory_is_short),
        SPOOL_TEST(shares_syncs),
        SPOOL_TEST(syncs_when_asked),
        SPOOL_TEST(answers_in_order_with_groups_in_flight),
        SPOOL_TEST(uses_bounded_disk),
        SPOOL_TEST(moves_all_that_lives_when_it_must),
        SPOOL_TEST(breaks_for_good),
        SPOOL_TEST(hears_of_an_error_that_a_later_flight_met),
        SPOOL_TEST(opens_a_segment_once_for_each_flight),
        SPOOL_TEST(goes_on_without_further_descriptors),
        SPOOL_TEST(takes_many_recipients),
        SPOOL_TEST(visits_oldest_first),
        SPOOL_TEST(sets_outcomes_of_tasks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
