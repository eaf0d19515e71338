#include "spool/fixture.h"
#include "spool/format.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/wait.h>
/* What the world does to a spool: torn and changed octets, full disks, other versions, a second server, a clock set
 * back. */

static void segment_path(const struct fixture *f, unsigned number, char path[128])
{
    snprintf(path, 128, "%s/%016x.journal", f->dir, number);
}

static void read_file(const char *path, struct text *to)
{
    char piece[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    text_clear(to);
    for (ssize_t got; (got = read(fd, piece, sizeof(piece))) > 0;)
        text_add(to, slice_from(piece, (size_t)got));
    close(fd);
}

static void write_file(const char *path, slice octets)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, octets.ptr, octets.len), octets.len);
    close(fd);
}

static void change_octet(const char *path, uint64_t offset, char flip)
{
    char octet;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &octet, 1, (off_t)offset), 1);
    octet = (char)(octet ^ flip);
    assert_int_equal(pwrite(fd, &octet, 1, (off_t)offset), 1);
    close(fd);
}

static struct spool_recovery recovery_of(struct fixture *f)
{
    struct spool_recovery r;
    spool_get_recovery(f->spool, &r);
    return r;
}

/* A folder that holds just this one segment, as it may look after a kill. */
static void restart_with(struct fixture *f, const char *path, slice octets)
{
    if (f->spool)
        fixture_close(f);
    fake_settle(f->loop);
    fixture_remove_folder(f->dir);
    assert_int_equal(mkdir(f->dir, 0700), 0);
    write_file(path, octets);
    fixture_open(f);
}

/* Three small messages, as the segment reads when the process is killed: no end, nothing sealed. */
static void three_messages(struct fixture *f, const char *path, struct text *octets, size_t ends[3])
{
    for (unsigned i = 0; i < 3; i++) {
        accept_octets(f, 40 + 30 * i, i, 1);
        read_file(path, octets);
        for (ends[i] = octets->len; octets->ptr[ends[i] - 1] == 0; ends[i]--)
            ;
        ends[i] = (ends[i] + 7) / 8 * 8;
    }
}

static void survives_a_tail_cut_anywhere(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct text whole = { 0 }, cut = { 0 };
    size_t ends[3];
    segment_path(f, 1, path);
    three_messages(f, path, &whole, ends);
    for (size_t at = SEGMENT_HEADER_OCTETS; at <= ends[2]; at++) {
        text_clear(&cut);
        text_add(&cut, text_slice(&whole));
        memset(cut.ptr + at, 0, cut.len - at);
        restart_with(f, path, text_slice(&cut));
        size_t there = (size_t)(at >= ends[0]) + (size_t)(at >= ends[1]) + (size_t)(at >= ends[2]);
        /* the last octets of a record may be zeros anyhow: then a little less is enough */
        assert_true(spool_count(f->spool) >= there &&
                    spool_count(f->spool) <= there + (at + 8 > ends[there > 2 ? 2 : there]));
        assert_int_equal(recovery_of(f).damaged_octets, 0);
        /* and what was cut is not taken for damage later, when more is durable */
        accept_octets(f, 10, 9, 1);
        fixture_reopen(f);
        assert_int_equal(recovery_of(f).report.len, 0);
        assert_true(spool_count(f->spool) >= there + 1);
    }
    text_free(&whole);
    text_free(&cut);
}

static void tells_of_damage_anywhere(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct text whole = { 0 }, bad = { 0 };
    size_t ends[3];
    segment_path(f, 1, path);
    three_messages(f, path, &whole, ends);
    /* the groups of the second and third message prove that the first was durable */
    for (size_t at = SEGMENT_HEADER_OCTETS + RECORD_NUMBER_OCTETS; at < ends[0]; at++) {
        text_clear(&bad);
        text_add(&bad, text_slice(&whole));
        bad.ptr[at] ^= 0x10;
        restart_with(f, path, text_slice(&bad));
        struct spool_recovery r = recovery_of(f);
        assert_true(spool_count(f->spool) >= 2);
        assert_true(r.damaged_octets > 0 || r.damaged_messages > 0);
        assert_true(r.report.len > 0);
        /* told again at every start, as long as it is there */
        fixture_reopen(f);
        assert_true(recovery_of(f).report.len > 0);
        assert_true(spool_count(f->spool) >= 2);
    }
    text_free(&whole);
    text_free(&bad);
}

static void keeps_what_has_a_bad_header_before_it(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct text whole = { 0 };
    size_t ends[3];
    segment_path(f, 1, path);
    three_messages(f, path, &whole, ends);
    memset(whole.ptr, 0xff, 100);
    restart_with(f, path, text_slice(&whole));
    assert_int_equal(spool_count(f->spool), 3);
    assert_true(recovery_of(f).report.len > 0);
    text_free(&whole);
}

static void gives_no_changed_content(void **state)
{
    struct fixture *f = *state;
    struct spool_message *m = accept_octets(f, 5000, 1, 2);
    uint64_t id = m->id;
    accept_octets(f, 10, 2, 1);
    fixture_reopen(f);
    char path[128];
    segment_path(f, 1, path);
    change_octet(path, SEGMENT_HEADER_OCTETS + 3000, 1);
    struct loading l = { 0 };
    assert_false(spool_load(f->spool, spool_find(f->spool, id), &l.content, loading_take, &l));
    fake_settle(f->loop);
    assert_int_equal(l.count, 1);
    assert_int_equal(l.result, SPOOL_DAMAGED);
    /* after a restart too, and its sender can still be told who did not get it */
    for (int i = 0; i < 2; i++) {
        fixture_reopen(f);
        m = spool_find(f->spool, id);
        assert_non_null(m);
        assert_int_equal(m->envelope->recipient_count, 2);
        assert_int_equal(recovery_of(f).damaged_messages, 1);
        l = (struct loading){ 0 };
        assert_false(spool_load(f->spool, m, &l.content, loading_take, &l));
        fake_settle(f->loop);
        assert_int_equal(l.result, SPOOL_DAMAGED);
    }
    assert_false(spool_record(f->spool, m, 0, &failed, 0));
    assert_true(spool_record(f->spool, m, 1, &failed, 0));
    fixture_reopen(f);
    assert_null(spool_find(f->spool, id));
    assert_int_equal(spool_count(f->spool), 1);
}

struct last_user {
    struct fixture *fixture;
    struct spool_message *message;
    int count;
};

static void fails_it(void *context, enum spool_result result, const struct spool_content *content)
{
    struct last_user *user = context;
    user->count++;
    assert_int_equal(result, SPOOL_DAMAGED);
    assert_null(content);
    assert_true(spool_record(user->fixture->spool, user->message, 0, &failed, 0));
}

/* Who hears that the content is lost may end the message at once. */
static void ends_when_its_content_is_lost(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct last_user user = { .fixture = f };
    struct spool_content content;
    uint64_t ids[2] = { accept_octets(f, 5000, 1, 1)->id, accept_octets(f, 5000, 2, 1)->id };
    fixture_reopen(f);
    segment_path(f, 1, path);
    change_octet(path, SEGMENT_HEADER_OCTETS + 3000, 1);
    change_octet(path, SEGMENT_HEADER_OCTETS + 8000, 1);
    struct loading first = { 0 }; /* the second one's loss is known already when it ends */
    assert_false(spool_load(f->spool, spool_find(f->spool, ids[1]), &first.content, loading_take, &first));
    fake_settle(f->loop);
    assert_int_equal(first.result, SPOOL_DAMAGED);
    for (int i = 0; i < 2; i++) {
        user.message = spool_find(f->spool, ids[i]);
        assert_false(spool_load(f->spool, user.message, &content, fails_it, &user));
        fake_settle(f->loop);
        assert_int_equal(user.count, i + 1);
    }
    assert_int_equal(spool_count(f->spool), 0);
}

static void notices_lost_and_changed_large_files(void **state)
{
    struct fixture *f = *state;
    uint64_t ids[3];
    char path[128];
    for (unsigned i = 0; i < 3; i++)
        ids[i] = accept_octets(f, 100000, i, 1)->id;
    fixture_reopen(f);
    snprintf(path, sizeof(path), "%s/large/%016" PRIx64, f->dir, ids[0]);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/large/%016" PRIx64, f->dir, ids[1]);
    change_octet(path, 70000, 4);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 2; i++) {
            struct loading l = { 0 };
            assert_false(spool_load(f->spool, spool_find(f->spool, ids[i]), &l.content, loading_take, &l));
            fake_settle(f->loop);
            assert_int_equal(l.result, SPOOL_DAMAGED);
        }
        assert_content(f, spool_find(f->spool, ids[2]), 100000, 2);
        fixture_reopen(f);
        assert_int_equal(recovery_of(f).damaged_messages, 1);
    }
    /* and what belongs to nobody goes */
    snprintf(path, sizeof(path), "%s/large/%016x", f->dir, 0xabcdef);
    write_file(path, SLICE("left over"));
    fixture_reopen(f);
    assert_int_equal(recovery_of(f).orphans_removed, 1);
    assert_int_equal(access(path, F_OK), -1);
}

/* headers ----------------------------------------------------------------------------------------------------- */

static void with_header(struct fixture *f, const struct segment_header *h)
{
    char block[SEGMENT_HEADER_OCTETS] = { 0 }, path[128];
    segment_header_encode(block, h);
    segment_path(f, 1, path);
    write_file(path, slice_from(block, sizeof(block)));
}

static void refuses_what_is_not_its_own(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        uint32_t version, loop;
        const char *says;
    } rows[] = {
        { "a newer version", 2, 0, "was written by a newer Postrider (journal version 2" },
        { "a much newer version", 900, 0, "(journal version 900" },
        { "another loop's", 1, 3, "belongs to loop 3 and was opened as loop 0" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        fixture_close(f);
        fixture_remove_folder(f->dir);
        mkdir(f->dir, 0700);
        with_header(f, &(struct segment_header){
                           .version = rows[i].version, .loop = rows[i].loop, .number = 1, .octets = 256 << 10 });
        assert_non_null(strstr(fixture_open_error(f), rows[i].says));
        fixture_remove_folder(f->dir);
        mkdir(f->dir, 0700);
        fixture_open(f);
    }
}

static void refuses_a_second_server(void **state)
{
    struct fixture *f = *state;
    struct text error = { 0 }, pid = { 0 };
    assert_null(spool_open(f->loop, &f->params, &error));
    text_add_format(&pid, "process %ld", (long)getpid());
    assert_non_null(strstr(text_cstr(&error), "in use by another server"));
    assert_non_null(strstr(text_cstr(&error), text_cstr(&pid)));
    text_free(&error);
    text_free(&pid);
    accept_octets(f, 10, 1, 1); /* the first one is unharmed */
}

static void refuses_another_users_folder(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0)
        skip(); /* only root can give a folder away */
    fixture_close(f);
    assert_int_equal(chown(f->dir, 65534, 65534), 0);
    const char *error = fixture_open_error(f);
    assert_non_null(strstr(error, "belongs to user"));
    assert_non_null(strstr(error, "65534"));
    assert_int_equal(chown(f->dir, 0, 0), 0);
    fixture_open(f);
}

static void refuses_records_it_does_not_know(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    fixture_remove_folder(f->dir);
    mkdir(f->dir, 0700);
    char block[SEGMENT_HEADER_OCTETS + 64] = { 0 }, *record = block + SEGMENT_HEADER_OCTETS, path[128];
    segment_header_encode(block,
                          &(struct segment_header){ .version = 1, .number = 1, .salt = 77, .octets = 256 << 10 });
    record_header_encode(
        record, &(struct record_header){ .type = RECORD_MESSAGE, .payload_octets = 8, .salt = 77, .sequence = 1 });
    record_set_crc(record, record_crc(slice_from(record, 40)));
    segment_path(f, 1, path);
    write_file(path, slice_from(block, sizeof(block)));
    assert_non_null(strstr(fixture_open_error(f), "in a form that this version does not know"));
    unlink(path);
    fixture_open(f);
}

/* time and numbers -------------------------------------------------------------------------------------------- */

static void ids_grow_when_the_clock_goes_back(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0;
    static const int64_t steps[] = { 0, 5, -1000, -86400000, 0, 1, 3600000, -7200000 };
    for (size_t i = 0; i < COUNT(steps); i++) {
        fake_set_wall(f->loop, (uint64_t)((int64_t)loop_wall_ms(f->loop) + steps[i]));
        for (unsigned n = 0; n < 3; n++) {
            uint64_t id = accept_octets(f, 10, n, 1)->id;
            assert_true(id > last);
            assert_int_equal(id >> 16 & 63, 0);
            last = id;
        }
        fixture_reopen(f);
    }
    /* more than a millisecond can number */
    for (unsigned i = 0; i < 70000; i++) {
        struct spool_draft *draft = spool_begin(f->spool);
        assert_true(spool_draft_id(draft) > last);
        last = spool_draft_id(draft);
        assert_int_equal(last >> 16 & 63, 0);
        spool_abandon(draft);
    }
}

static void ids_are_not_given_twice_after_all_is_delivered(void **state)
{
    struct fixture *f = *state;
    struct spool_message *m = accept_octets(f, 10, 1, 1);
    uint64_t last = m->id;
    spool_record(f->spool, m, 0, &relayed, 0);
    fake_set_wall(f->loop, 1577836800000);
    for (int i = 0; i < 5; i++) {
        fixture_reopen(f);
        m = accept_octets(f, 10, 1, 1);
        assert_true(m->id > last);
        last = m->id;
        spool_record(f->spool, m, 0, &relayed, 0);
    }
}

static void parses_ids(void **state)
{
    (void)state;
    static const struct {
        slice text;
        bool ok;
        uint64_t id;
    } rows[] = {
        { LIT("0000000000000000"), true, 0 },
        { LIT("00ab54a98ceb1f0a"), true, 0x00ab54a98ceb1f0a },
        { LIT("ffffffffffffffff"), true, UINT64_MAX },
        { LIT("FFFFFFFFFFFFFFFF"), false, 0 },
        { LIT("fffffffffffffff"), false, 0 },
        { LIT("fffffffffffffffff"), false, 0 },
        { LIT("ffffffff\0fffffff"), false, 0 },
        { LIT("ffffffffffffff g"), false, 0 },
        { LIT(""), false, 0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t id = 0;
        assert_int_equal(message_id_parse(rows[i].text, &id), rows[i].ok);
        assert_int_equal(id, rows[i].id);
    }
}

/* room -------------------------------------------------------------------------------------------------------- */

struct states {
    int count;
    enum spool_result last;
    char text[300];
};

static void on_state(void *context, enum spool_result state, slice text)
{
    struct states *s = context;
    s->count++;
    s->last = state;
    snprintf(s->text, sizeof(s->text), SLICE_FMT, SLICE_ARG(text));
}

/* A disk whose allocations fail while `is_full`. */
struct full_disk {
    struct disk disk;
    bool is_full;
    struct fixture *reads_slowly; /* the next read lasts until the journal is full */
    struct spool_statistics when_full;
};

static int allocate_or_not(struct disk *disk, int fd, uint64_t octets)
{
    struct full_disk *full = CONTAINER_OF(disk, struct full_disk, disk);
    if (!full->is_full)
        return disk_real()->allocate(disk, fd, octets);
    errno = ENOSPC;
    return -1;
}

static void refuses_mail_but_not_outcomes_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    struct full_disk disk = { .disk = *disk_real() };
    disk.disk.allocate = allocate_or_not;
    f->params.disk = &disk.disk;
    fixture_reopen(f);
    struct states states = { 0 };
    spool_on_state(f->spool, on_state, &states);
    fake_pass(f->loop, 5);
    disk.is_full = true;
    struct spool_message *kept[100];
    size_t count = 0;
    struct answer answer = { .result = SPOOL_OK };
    while (count < COUNT(kept)) {
        commit_octets(f, 20000, (unsigned)count, 2, &answer);
        fake_pass(f->loop, 3);
        assert_int_equal(answer.count, 1);
        if (answer.result != SPOOL_OK)
            break;
        kept[count++] = answer.message;
    }
    assert_int_equal(answer.result, SPOOL_FULL);
    assert_true(count > 10 && count < COUNT(kept));
    fake_pass(f->loop, 5);
    assert_int_equal(states.last, SPOOL_FULL);
    assert_non_null(strstr(states.text, "does not fit"));
    assert_int_equal(spool_has_room(f->spool, 0), SPOOL_FULL);
    assert_false(spool_is_broken(f->spool));
    /* outcomes go on, and what they free lets mail in again */
    for (size_t i = 0; i < count; i++) {
        assert_content(f, kept[i], 20000, (unsigned)i);
        assert_false(spool_record(f->spool, kept[i], 0, &relayed, 0));
        assert_true(spool_record(f->spool, kept[i], 1, &failed, 0));
        fake_pass(f->loop, 20);
    }
    fake_pass(f->loop, 3000);
    assert_int_equal(spool_has_room(f->spool, 0), SPOOL_OK);
    assert_int_equal(states.last, SPOOL_OK);
    accept_octets(f, 20000, 1, 1);
    fixture_reopen(f);
    assert_int_equal(spool_count(f->spool), 1);
    fixture_close(f);
    f->params.disk = NULL;
    fixture_open(f);
}

/* Down to the last octet that is not kept for outcomes. */
static void fill_journal(struct fixture *f)
{
    static const size_t sizes[] = { 20000, 1000, 10, 0 };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct answer answer = { .result = SPOOL_OK };
        for (unsigned n = 0; answer.result == SPOOL_OK; n++) {
            assert_true(n < 1000);
            commit_octets(f, sizes[i], n, 1, &answer);
            fake_pass(f->loop, 3);
            assert_int_equal(answer.count, 1);
        }
        assert_int_equal(answer.result, SPOOL_FULL);
    }
}

static size_t count_large_files(const struct fixture *f)
{
    char path[128];
    size_t count = 0;
    snprintf(path, sizeof(path), "%s/large", f->dir);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* What was refused takes no room: not in the count, not as a file, and not from what is kept for outcomes. */
static void refused_mail_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct full_disk disk = { .disk = *disk_real() };
    struct spool_statistics before, after;
    struct answer answer;
    disk.disk.allocate = allocate_or_not;
    f->params.disk = &disk.disk;
    fixture_reopen(f);
    struct spool_message *m = accept_octets(f, 10, 1, 1);
    disk.is_full = true;
    fake_pass(f->loop, 50);
    fill_journal(f);
    fake_pass(f->loop, 2000);
    spool_get_statistics(f->spool, &before);
    for (unsigned i = 0; i < 300; i++) {
        commit_octets(f, i % 3 ? 10 : 100000, i, 1, &answer);
        fake_pass(f->loop, 3);
        assert_int_equal(answer.count, 1);
        assert_int_equal(answer.result, SPOOL_FULL);
    }
    spool_get_statistics(f->spool, &after);
    assert_int_equal(after.live_octets, before.live_octets);
    assert_int_equal(after.disk_octets, before.disk_octets);
    assert_int_equal(after.groups, before.groups);
    assert_int_equal(count_large_files(f), 0);
    /* beside an outcome that waits for its sync a refused one changes nothing: it comes within the second */
    uint64_t id = m->id;
    assert_true(spool_record(f->spool, m, 0, &relayed, 0));
    fake_pass(f->loop, 20);
    commit_octets(f, 10, 1, 1, &answer);
    fake_pass(f->loop, 1100);
    assert_int_equal(answer.result, SPOOL_FULL);
    spool_get_statistics(f->spool, &after);
    assert_true(after.syncs > before.syncs && after.groups <= before.groups + 2);
    fixture_reopen(f);
    assert_null(spool_find(f->spool, id));
    fixture_close(f);
    f->params.disk = NULL;
    fixture_open(f);
}

static ssize_t read_slowly(struct disk *disk, int fd, void *to, size_t octets, uint64_t offset)
{
    struct full_disk *full = CONTAINER_OF(disk, struct full_disk, disk);
    struct fixture *f = full->reads_slowly;
    full->reads_slowly = NULL;
    if (f) {
        fill_journal(f);
        spool_get_statistics(f->spool, &full->when_full);
    }
    return disk_real()->read(disk, fd, to, octets, offset);
}

/* A message that is moved forward is read and found damaged when there is no room for its copy any more. */
static void moves_nothing_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    struct full_disk disk = { .disk = *disk_real() };
    struct spool_statistics after;
    struct loading l = { 0 };
    char path[128];
    uint64_t id = accept_octets(f, 5000, 1, 1)->id;
    disk.disk.allocate = allocate_or_not;
    disk.disk.read = read_slowly;
    f->params.disk = &disk.disk;
    fixture_reopen(f);
    segment_path(f, 1, path);
    change_octet(path, SEGMENT_HEADER_OCTETS + 3000, 1);
    fake_pass(f->loop, 50);
    disk.is_full = true;
    disk.reads_slowly = f;
    for (unsigned i = 0; disk.reads_slowly && i < 100; i++)
        spool_record(f->spool, accept_octets(f, 20000, i, 1), 0, &relayed, 0);
    assert_null(disk.reads_slowly);
    fake_pass(f->loop, 500);
    spool_get_statistics(f->spool, &after);
    assert_true(after.groups - disk.when_full.groups <= 3); /* the last outcomes */
    assert_non_null(spool_find(f->spool, id));
    disk.is_full = false;
    fake_pass(f->loop, 3000);
    accept_octets(f, 10, 1, 1);
    fake_pass(f->loop, 50);
    assert_int_equal(access(path, F_OK), -1); /* now it has moved, and is what it was */
    fixture_reopen(f);
    assert_false(spool_load(f->spool, spool_find(f->spool, id), &l.content, loading_take, &l));
    fake_settle(f->loop);
    assert_int_equal(l.result, SPOOL_DAMAGED);
    fixture_close(f);
    f->params.disk = NULL;
    fixture_open(f);
}

static void starts_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    struct full_disk disk = { .disk = *disk_real() };
    disk.disk.allocate = allocate_or_not;
    uint64_t id = accept_octets(f, 1000, 1, 2)->id;
    accept_octets(f, 1000, 2, 1);
    fixture_close(f);
    char path[128];
    for (unsigned i = 2; i < 9; i++) { /* no prepared segment is left over either */
        segment_path(f, i, path);
        unlink(path);
    }
    disk.is_full = true;
    f->params.disk = &disk.disk;
    fixture_open(f);
    struct states states = { 0 };
    spool_on_state(f->spool, on_state, &states);
    fake_pass(f->loop, 5);
    assert_int_equal(states.last, SPOOL_FULL);
    struct spool_message *m = spool_find(f->spool, id);
    assert_content(f, m, 1000, 1);
    assert_false(spool_record(f->spool, m, 0, &relayed, 0));
    struct answer answer;
    commit_octets(f, 100, 3, 1, &answer);
    fake_pass(f->loop, 20);
    assert_int_equal(answer.result, SPOOL_FULL);
    disk.is_full = false;
    fake_pass(f->loop, 3000);
    assert_int_equal(states.last, SPOOL_OK);
    accept_octets(f, 100, 4, 1);
    fixture_reopen(f);
    assert_int_equal(spool_count(f->spool), 3);
    assert_true(spool_find(f->spool, id)->recipients[0].is_final);
    fixture_close(f);
    f->params.disk = NULL;
    fixture_open(f);
}

static int allocate_small(struct disk *disk, int fd, uint64_t octets)
{
    errno = ENOSPC;
    return octets > 1 << 20 ? -1 : disk_real()->allocate(disk, fd, octets);
}

static void makes_small_segments_when_large_ones_do_not_fit(void **state)
{
    struct fixture *f = *state;
    struct disk disk = *disk_real();
    disk.allocate = allocate_small;
    fixture_close(f);
    fixture_remove_folder(f->dir);
    f->params.segment_octets = 8 << 20;
    f->params.large_octets = 1 << 20;
    f->params.disk = &disk;
    fixture_open(f);
    for (unsigned i = 0; i < 12; i++)
        accept_octets(f, 300000, i, 1);
    struct answer answer;
    commit_octets(f, 1040000, 50, 1, &answer); /* larger than such a segment holds: refused, not lost */
    fake_pass(f->loop, 50);
    assert_int_equal(answer.result, SPOOL_FULL);
    fixture_reopen(f);
    assert_int_equal(spool_count(f->spool), 12);
    fixture_close(f);
    f->params.disk = NULL;
    fixture_open(f);
    assert_int_equal(spool_count(f->spool), 12);
}

static void keeps_a_reserve(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(spool_has_room(f->spool, 0), SPOOL_OK);
    assert_int_equal(spool_has_room(f->spool, UINT64_MAX), SPOOL_FULL);
    spool_set_reserve(f->spool, (uint64_t)1 << 60);
    assert_int_equal(spool_has_room(f->spool, 0), SPOOL_FULL);
    spool_set_reserve(f->spool, 0);
    assert_int_equal(spool_has_room(f->spool, 0), SPOOL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOL_TEST(survives_a_tail_cut_anywhere),
        SPOOL_TEST(tells_of_damage_anywhere),
        SPOOL_TEST(keeps_what_has_a_bad_header_before_it),
        SPOOL_TEST(gives_no_changed_content),
        SPOOL_TEST(ends_when_its_content_is_lost),
        SPOOL_TEST(notices_lost_and_changed_large_files),
        SPOOL_TEST(refuses_what_is_not_its_own),
        SPOOL_TEST(refuses_a_second_server),
        SPOOL_TEST(refuses_another_users_folder),
        SPOOL_TEST(refuses_records_it_does_not_know),
        SPOOL_TEST(ids_grow_when_the_clock_goes_back),
        SPOOL_TEST(ids_are_not_given_twice_after_all_is_delivered),
        SPOOL_TEST(parses_ids),
        SPOOL_TEST(refuses_mail_but_not_outcomes_on_a_full_disk),
        SPOOL_TEST(refused_mail_leaves_nothing),
        SPOOL_TEST(moves_nothing_on_a_full_disk),
        SPOOL_TEST(starts_on_a_full_disk),
        SPOOL_TEST(makes_small_segments_when_large_ones_do_not_fit),
        SPOOL_TEST(keeps_a_reserve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
