#include "programs/mta/control_job.h"
#include "spool/fixture.h"
/* What the operator is told of a change: the end once it is on disk, else an error. */

/* The schedule and the items, as far as a change needs them. */
const char *schedule_state(const struct schedule *schedule, const struct spool_message *message)
{
    (void)schedule;
    return message->held ? "held" : "queued";
}

/* In these tests the schedule is the spool. */
void schedule_hold(struct schedule *schedule, struct spool_message *message, slice by)
{
    (void)by;
    spool_set_held((struct spool *)schedule, message, true);
}

void schedule_release(struct schedule *schedule, struct spool_message *message, slice by)
{
    (void)by;
    spool_set_held((struct spool *)schedule, message, false);
}

void schedule_retry(struct schedule *schedule, struct spool_message *message)
{
    spool_set_next_attempt((struct spool *)schedule, message, 0);
}

void schedule_remove(struct schedule *schedule, struct spool_message *message, slice by)
{
    (void)by;
    spool_record((struct spool *)schedule, message, 0, &failed, 0);
}

void event_flush(struct event_log *log) { (void)log; }
void status_sum_add(struct status_sum *sum, const struct control_loop *loop) { sum->sessions += loop != NULL; }
void status_sum_clear(struct status_sum *sum) { *sum = (struct status_sum){ 0 }; }

void text_add_status_item(struct text *to, const struct status_sum *sum, size_t loops, uint64_t started_ms)
{
    (void)started_ms;
    text_add_format(to, "{\"sessions\":%d,\"loops\":%zu}", (int)sum->sessions, loops);
}

void text_add_message_item(struct text *to, const struct control_loop *loop, const struct spool_message *message,
                           uint64_t recipients)
{
    (void)loop;
    (void)recipients;
    text_add(to, SLICE("{\"message\":\""));
    text_add_message_id(to, message->id);
    text_add_byte(to, '"');
}

struct asked {
    struct control_job job;
    struct control_loop loop;
    atomic_bool is_stopping;
    int pieces;
};

static void on_piece(void *context) { ((struct asked *)context)->pieces++; }

static void ask(struct fixture *f, struct asked *a, slice line)
{
    struct text error = { 0 };
    *a = (struct asked){ .loop = { .loop = f->loop, .spool = f->spool, .schedule = (struct schedule *)f->spool } };
    a->job = (struct control_job){
        .home = f->loop,
        .loops = &a->loop,
        .loop_count = 1,
        .is_stopping = &a->is_stopping,
        .piece = on_piece,
        .context = a,
    };
    assert_true(control_request_parse(line, &a->job.memory, &a->job.request, &error));
    control_job_start(&a->job);
}

static void assert_answer(struct asked *a, const char *part, bool is_there)
{
    assert_int_equal(strstr(text_cstr(&a->job.output), part) != NULL, is_there);
}

static void tells_of_a_change_that_is_on_disk(void **state)
{
    struct fixture *f = *state;
    struct asked a;
    uint64_t id = accept_octets(f, 10, 1, 1)->id;
    ask(f, &a, SLICE("{\"command\":\"queue_hold\",\"all\":true}"));
    fake_settle(f->loop);
    assert_int_equal(a.pieces, 1);
    assert_true(a.job.is_done);
    assert_answer(&a, "{\"end\":true,\"count\":1,\"more\":false}\n", true);
    assert_answer(&a, "error", false);
    control_job_clear(&a.job);
    fixture_reopen(f);
    assert_true(spool_find(f->spool, id)->held);
}

static void tells_of_a_change_that_is_not(void **state)
{
    struct fixture *f = *state;
    struct sim_disk *sim = sim_new(f->dir);
    struct asked a;
    f->params.disk = sim_as_disk(sim);
    fixture_reopen(f);
    accept_octets(f, 10, 1, 1);
    fake_pass(f->loop, 50);
    sim_set_fault(sim, SIM_FAIL, 2); /* the sync */
    /* the one whose sync fails, and one that comes to a broken spool */
    static const slice lines[] = { LIT("{\"command\":\"queue_hold\",\"all\":true}"),
                                   LIT("{\"command\":\"queue_retry\",\"all\":true}") };
    for (size_t i = 0; i < COUNT(lines); i++) {
        ask(f, &a, lines[i]);
        fake_pass(f->loop, 20);
        assert_int_equal(a.pieces, 1);
        assert_true(a.job.is_done);
        assert_answer(&a, "{\"error\":\"the changes are not on disk", true);
        assert_answer(&a, "writing the journal failed: ", true);
        assert_answer(&a, "\"exit\":75}\n", true);
        assert_answer(&a, "\"end\"", false);
        control_job_clear(&a.job);
    }
    assert_true(sim_fault_came(sim));
    fixture_close(f);
    fake_settle(f->loop);
    sim_free(sim);
    f->params.disk = NULL;
    fixture_open(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOL_TEST(tells_of_a_change_that_is_on_disk),
        SPOOL_TEST(tells_of_a_change_that_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
