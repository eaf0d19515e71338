#include "base/memory.h"
#include "spool/fake_loop.h"
#include "spool/sim_disk.h"
#include "spool/spool.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants those above first */
#include <cmocka.h>
#include <dirent.h>
#include <sys/stat.h>
/*
 * A script of mail (small and large messages, outcomes, holds, reads) runs against the simulated disk again and again,
 * and each time another of its writes, syncs, renames... is where the machine stops or the disk fails. What is left is
 * opened and held against what was promised:
 *   - every message that was acknowledged and is not finished is there, whole;
 *   - no message is there in part, none that was never sent;
 *   - no recipient whose end was durable comes back, and no message of which all were.
 *
 * By default every 29th point is tried, others for each kind of cut; SPOOL_CRASH_STRIDE=1 walks all of them.
 */
enum { STEPS = 250, SENT_MAX = 700, RECIPIENTS = 3 };

struct sent {
    struct world *world;
    uint64_t id;
    size_t octets, recipient_count;
    unsigned seed;
    bool acked, answered;
    bool final[RECIPIENTS], final_durable[RECIPIENTS];
};
struct world {
    char dir[64];
    struct loop *loop;
    struct sim_disk *sim;
    struct spool *spool;
    struct sent sent[SENT_MAX];
    size_t sent_count;
    uint64_t random;
    struct promise *promises;
    const char *what; /* for messages of failure */
    unsigned long point;
};
struct promise { /* of one spool_sync */
    struct promise *next;
    struct world *world;
    bool final[SENT_MAX][RECIPIENTS];
};

static uint64_t pick(struct world *w, uint64_t limit)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (w->random >> 33) % limit;
}

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

#define CHECK(condition, w, ...)                                                                                       \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("%s at call %lu: ", (w)->what, (w)->point);                                                         \
            printf(__VA_ARGS__);                                                                                       \
            printf("\n");                                                                                              \
            fail();                                                                                                    \
        }                                                                                                              \
    } while (0)

/* the spool --------------------------------------------------------------------------------------------------- */

static bool open_spool(struct world *w)
{
    const struct spool_params params = {
        .dir = w->dir,
        .segment_octets = 256 << 10,
        .large_octets = 64 << 10,
        .memory_octets = 1 << 20,
        .disk = sim_as_disk(w->sim),
    };
    struct text error = { 0 };
    w->spool = spool_open(w->loop, &params, &error);
    if (!w->spool && !sim_fault_came(w->sim))
        CHECK(false, w, "cannot open: %s", text_cstr(&error));
    text_free(&error);
    return w->spool != NULL;
}

static void close_spool(struct world *w)
{
    if (!w->spool)
        return;
    fake_run_jobs(w->loop);
    spool_close(w->spool);
    w->spool = NULL;
    fake_settle(w->loop);
}

static void new_folder(struct world *w)
{
    static unsigned number;
    snprintf(w->dir, sizeof(w->dir), "/dev/shm/spool-crash-%ld-%u", (long)getpid(), number++);
}

/* The script ends here: the process is gone, or the whole machine. */
static void cut_power(struct world *w, uint64_t seed)
{
    char old[64];
    close_spool(w); /* after a crash no call of it reaches the disk */
    snprintf(old, sizeof(old), "%s", w->dir);
    new_folder(w);
    sim_power_cut(w->sim, w->dir, seed);
    sim_free(w->sim);
    remove_folder(old);
    w->sim = sim_new(w->dir);
}

static void begin_world(struct world *w, uint64_t seed, const char *what, unsigned long point)
{
    *w = (struct world){ .random = seed, .what = what, .point = point };
    new_folder(w);
    char large[80];
    snprintf(large, sizeof(large), "%s/large", w->dir);
    w->loop = loop_new("test");
    fake_set_choice(w->loop, (struct fake_choice){ .seed = seed * 2 + 1 });
    mkdir(w->dir, 0700);
    mkdir(large, 0700);
    w->sim = sim_new(w->dir);
}

static void end_world(struct world *w)
{
    close_spool(w);
    sim_free(w->sim);
    loop_free(w->loop);
    remove_folder(w->dir);
    while (w->promises) {
        struct promise *p = w->promises;
        w->promises = p->next;
        memory_free(p);
    }
}

/* the script -------------------------------------------------------------------------------------------------- */

static void fill(char *to, size_t octets, unsigned seed)
{
    for (size_t i = 0; i < octets; i++)
        to[i] = (char)(' ' + (i * 7 + seed * 13 + i / 251) % 94);
}

static void on_done(void *context, enum spool_result result, struct spool_message *m)
{
    struct sent *s = context;
    assert_false(s->answered);
    s->answered = true;
    s->acked = result == SPOOL_OK;
    assert_true(result == SPOOL_OK ? m && m->id == s->id : !m);
}

static void send_message(struct world *w)
{
    static const struct recipient to[RECIPIENTS] = {
        { .forward_path = { LIT("ann"), LIT("example.org") }, .original = { LIT("a"), LIT("example.org") } },
        { .forward_path = { LIT("bob"), LIT("example.net") }, .original = { LIT("bob"), LIT("example.net") } },
        { .forward_path = { LIT("eve"), LIT("example.com") }, .original = { LIT("eve"), LIT("example.com") } },
    };
    static char content[128 << 10];
    if (w->sent_count == SENT_MAX)
        return;
    struct sent *s = &w->sent[w->sent_count++];
    uint64_t kind = pick(w, 20);
    *s = (struct sent){ .world = w, .seed = (unsigned)w->sent_count, .recipient_count = 1 + pick(w, RECIPIENTS) };
    s->octets = kind < 12 ? pick(w, 3000) : kind < 19 ? 10000 + pick(w, 30000) : 66000 + pick(w, 30000);
    fill(content, s->octets, s->seed);
    struct spool_draft *draft = spool_begin(w->spool);
    s->id = spool_draft_id(draft);
    for (size_t at = 0; at < s->octets; at += 9000)
        if (spool_append(draft, slice_from(content + at, size_min(9000, s->octets - at))) != SPOOL_OK)
            break;
    const struct envelope envelope = {
        .reverse_path = { LIT("sender"), LIT("example.org") },
        .arrived_ms = s->id,
        .recipients = (struct recipient *)(uintptr_t)to,
        .recipient_count = s->recipient_count,
    };
    spool_commit(draft, &envelope, 0, on_done, s);
}

static bool is_finished(const struct sent *s)
{
    for (size_t i = 0; i < s->recipient_count; i++)
        if (!s->final[i])
            return false;
    return true;
}

static void record_outcome(struct world *w)
{
    static const struct outcome relayed = { .action = ACTION_RELAYED, .status = { 2, 0, 0 }, .text = LIT("ok") };
    static const struct outcome delayed = { .action = ACTION_DELAYED, .status = { 4, 2, 1 }, .text = LIT("later") };
    if (w->sent_count == 0)
        return;
    /* mostly of the older half, so that segments get finished and few old messages keep the others waiting */
    struct sent *s = &w->sent[pick(w, pick(w, 3) ? w->sent_count / 2 + 1 : w->sent_count)];
    for (size_t tries = 0; tries < 20 && (!s->acked || is_finished(s)); tries++)
        s = &w->sent[pick(w, w->sent_count)];
    size_t i = pick(w, s->recipient_count);
    if (!s->acked || s->final[i])
        return;
    struct spool_message *m = spool_find(w->spool, s->id);
    CHECK(m, w, "message %zu is not found", (size_t)(s - w->sent));
    bool is_final = pick(w, 4) > 0;
    s->final[i] = is_final;
    bool gone = spool_record(w->spool, m, i, is_final ? &relayed : &delayed, 1764000000000);
    assert_int_equal(gone, is_finished(s));
}

static void on_synced(void *context, enum spool_result result)
{
    struct promise *p = context;
    struct world *w = p->world;
    for (size_t i = 0; i < w->sent_count && result == SPOOL_OK; i++)
        for (size_t r = 0; r < RECIPIENTS; r++)
            w->sent[i].final_durable[r] |= p->final[i][r];
}

static void ask_for_sync(struct world *w)
{
    struct promise *p = MEMORY_NEW(struct promise);
    p->world = w;
    p->next = w->promises; /* some are never answered: the spool is closed before */
    w->promises = p;
    for (size_t i = 0; i < w->sent_count; i++)
        memcpy(p->final[i], w->sent[i].final, sizeof(p->final[i]));
    spool_sync(w->spool, on_synced, p);
}

static void on_loaded(void *context, enum spool_result result, const struct spool_content *content)
{
    struct spool_content *to = context;
    *to = (struct spool_content){ .fd = -1 };
    if (result == SPOOL_OK)
        *to = *content;
}

static void check_content(struct world *w, struct sent *s, struct spool_message *m)
{
    static char expected[128 << 10], got[128 << 10];
    struct spool_content content = { .fd = -1 };
    if (!spool_load(w->spool, m, &content, on_loaded, &content))
        fake_settle(w->loop);
    slice octets = content.octets;
    if (content.fd >= 0)
        octets = slice_from(got, (size_t)pread(content.fd, got, sizeof(got), 0));
    fill(expected, s->octets, s->seed);
    CHECK(slice_eq(octets, slice_from(expected, s->octets)), w, "content of message %zu is not what was sent",
          (size_t)(s - w->sent));
    spool_release(w->spool, m);
}

static void read_one(struct world *w)
{
    struct sent *s = w->sent_count ? &w->sent[pick(w, w->sent_count)] : NULL;
    struct spool_message *m = s ? spool_find(w->spool, s->id) : NULL;
    if (m && !sim_fault_came(w->sim))
        check_content(w, s, m);
}

static void hold_one(struct world *w)
{
    struct sent *s = w->sent_count ? &w->sent[pick(w, w->sent_count)] : NULL;
    struct spool_message *m = s ? spool_find(w->spool, s->id) : NULL;
    if (m)
        spool_set_held(w->spool, m, !m->held);
}

static void run_script(struct world *w, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        uint64_t what = pick(w, 20);
        for (uint64_t n = 1 + pick(w, 3); what < 6 && n > 0; n--)
            send_message(w);
        for (int n = 0; what >= 6 && what < 13 && n < 5; n++)
            record_outcome(w);
        if (what == 13)
            ask_for_sync(w);
        if (what == 14)
            read_one(w);
        if (what == 15)
            hold_one(w);
        for (uint64_t n = pick(w, 4); n > 0; n--)
            fake_turn(w->loop);
        if (what > 15)
            fake_pass(w->loop, 1 + pick(w, 12));
    }
}

/* judging ----------------------------------------------------------------------------------------------------- */

static void check_known(void *context, struct spool_message *m)
{
    struct world *w = context;
    bool is_known = false;
    for (size_t i = 0; i < w->sent_count; i++)
        is_known |= w->sent[i].id == m->id;
    CHECK(is_known, w, "a message that was never sent");
}

static void check_message(struct world *w, struct sent *s)
{
    size_t number = (size_t)(s - w->sent);
    struct spool_message *m = spool_find(w->spool, s->id);
    bool all_durable = true;
    for (size_t i = 0; i < s->recipient_count; i++)
        all_durable &= s->final_durable[i];
    CHECK(m || !s->acked || is_finished(s), w, "message %zu was acknowledged and is lost", number);
    CHECK(!m || !all_durable, w, "message %zu was finished durably and is back", number);
    if (!m)
        return;
    CHECK(m->envelope->recipient_count == s->recipient_count && m->envelope->arrived_ms == s->id, w, "envelope of %zu",
          number);
    for (size_t i = 0; i < s->recipient_count; i++) {
        CHECK(m->recipients[i].is_final || !s->final_durable[i], w, "recipient %zu of message %zu is back", i, number);
        CHECK(!m->recipients[i].is_final || s->final[i], w, "recipient %zu of message %zu ended by itself", i, number);
        s->final[i] = m->recipients[i].is_final; /* what was not durable was rightly lost */
    }
    check_content(w, s, m);
    s->acked = true; /* it is there now, and must stay */
}

static void check_world(struct world *w)
{
    struct spool_recovery recovery;
    spool_get_recovery(w->spool, &recovery);
    CHECK(recovery.damaged_octets == 0 && recovery.damaged_messages == 0 && recovery.report.len == 0, w,
          "damage is reported: " SLICE_FMT, SLICE_ARG(recovery.report));
    for (size_t i = 0; i < w->sent_count; i++)
        check_message(w, &w->sent[i]);
    spool_each(w->spool, check_known, w);
}

/* After the fault: opened, checked, used a little more, and the power goes once more with nothing but what was synced.
 */
static void check_afterlife(struct world *w)
{
    fake_set_wall(w->loop, loop_wall_ms(w->loop) + 500);
    assert_true(open_spool(w));
    check_world(w);
    run_script(w, 10);
    fake_pass(w->loop, 20);
    sim_set_fault(w->sim, SIM_CRASH, 1);
    cut_power(w, 0);
    assert_true(open_spool(w));
    check_world(w);
}

static unsigned long stride(void)
{
    const char *text = getenv("SPOOL_CRASH_STRIDE");
    unsigned long value = text ? strtoul(text, NULL, 10) : 0;
    return value ? value : 29;
}

static unsigned long count_calls(uint64_t seed)
{
    struct world w;
    begin_world(&w, seed, "no fault", 0);
    assert_true(open_spool(&w));
    run_script(&w, STEPS);
    unsigned long calls = (unsigned long)sim_calls(w.sim);
    end_world(&w);
    return calls;
}

static void power_goes_at_every_call(void **state)
{
    (void)state;
    for (uint64_t script = 1; script <= 3; script++) {
        unsigned long calls = count_calls(script);
        for (uint64_t cut = 0; cut < 4; cut++)
            for (unsigned long point = 1 + cut * 3 % stride(); point <= calls; point += stride()) {
                struct world w;
                begin_world(&w, script, "power cut", point);
                sim_set_fault(w.sim, SIM_CRASH, point);
                if (open_spool(&w))
                    run_script(&w, STEPS);
                cut_power(&w, cut < 2 ? cut : script * 1000 + point * 10 + cut);
                check_afterlife(&w);
                end_world(&w);
            }
    }
}

static void disk_fails_at_every_call(void **state)
{
    (void)state;
    static const enum sim_fault faults[] = { SIM_FAIL, SIM_FULL };
    for (uint64_t script = 11; script <= 13; script++) {
        unsigned long calls = count_calls(script);
        for (size_t fault = 0; fault < COUNT(faults); fault++)
            for (unsigned long point = 1 + fault * 3 % stride(); point <= calls; point += stride()) {
                struct world w;
                begin_world(&w, script, faults[fault] == SIM_FAIL ? "EIO" : "ENOSPC", point);
                sim_set_fault(w.sim, faults[fault], point);
                if (open_spool(&w))
                    run_script(&w, STEPS);
                close_spool(&w); /* the process ends, the machine goes on */
                sim_set_fault(w.sim, SIM_NONE, 0);
                check_afterlife(&w);
                end_world(&w);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_goes_at_every_call),
        cmocka_unit_test(disk_fails_at_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
