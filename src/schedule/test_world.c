#include "schedule/test_world.h"
#include "base/memory.h"
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct connection {
    struct list node;
    struct world *world;
    struct destination destination;
    void *handle;
    struct task *task;
    bool is_up;
    unsigned idle_turns;
};

static int64_t wall_offset_ms;
static struct world *wall_world;
static uint64_t wall_ms(void) { return (uint64_t)((int64_t)loop_wall_ms(wall_world->loop) + wall_offset_ms); }
void world_move_clock(int64_t ms) { wall_offset_ms += ms; }

/* --- the deliver side --- */

static bool begins(slice s, const char *with) { return slice_starts_with(s, slice_from_cstr(with)); }

static const struct outcome connect_failure = {
    .action = ACTION_DELAYED, .stage = STAGE_CONNECT, .status = { 4, 4, 1 }, .text = LIT("connection refused")
};
static const struct outcome no_such_domain = {
    .action = ACTION_FAILED, .stage = STAGE_DNS, .status = { 5, 1, 2 }, .text = LIT("no such domain")
};

static const struct outcome *outcome_for(const struct task *task, size_t i)
{
    static const struct outcome ok = {
        .action = ACTION_DELIVERED, .stage = STAGE_CONTENT, .status = { 2, 0, 0 }, .reply_code = 250, .text = LIT("ok")
    };
    static const struct outcome later = {
        .action = ACTION_DELAYED, .stage = STAGE_RCPT, .status = { 4, 2, 0 }, .reply_code = 450, .text = LIT("later")
    };
    static const struct outcome busy = {
        .action = ACTION_DELAYED, .stage = STAGE_MAIL, .status = { 4, 3, 2 }, .reply_code = 421, .text = LIT("busy")
    };
    static const struct outcome fail = {
        .action = ACTION_FAILED, .stage = STAGE_RCPT, .status = { 5, 1, 1 }, .reply_code = 550, .text = LIT("nobody")
    };
    static const struct outcome none = { .action = ACTION_NONE };
    slice name = task_recipient_address(task, i)->forward_path.local_part;
    if (begins(name, "twice"))
        return task->message->recipients[task->recipients[i].index].attempts < 2 ? &later : &ok;
    return begins(name, "later")  ? &later
           : begins(name, "busy") ? &busy
           : begins(name, "fail") ? &fail
           : begins(name, "back") ? &none
                                  : &ok;
}

static void finish_task(struct connection *c, const struct outcome *all)
{
    struct world *w = c->world;
    struct task *task = c->task;
    for (size_t i = 0; i < task->recipient_count; i++)
        outcome_copy(&task->memory, &task->recipients[i].outcome, all ? all : outcome_for(task, i));
    c->task = NULL;
    w->active--;
    w->door.task_done(w->door.schedule, c->handle, task);
}

static bool take_task(struct connection *c)
{
    struct world *w = c->world;
    c->task = w->door.next_task(w->door.schedule, c->handle);
    if (!c->task)
        return false;
    w->tasks++;
    w->active++;
    w->active_most = size_max(w->active, w->active_most);
    w->tasks_recipients_most = size_max(c->task->recipient_count, w->tasks_recipients_most);
    return true;
}

static void end_connection(struct connection *c, const struct outcome *failure)
{
    struct world *w = c->world;
    struct connection_end end = { .was_usable = c->is_up };
    if (failure)
        end.failure = *failure;
    list_remove(&c->node);
    list_append(&w->ended, &c->node);
    w->open--;
    w->door.closed(w->door.schedule, c->handle, c, &end);
}

static void work_on(struct connection *c)
{
    static const struct outcome put_back = { .action = ACTION_NONE };
    struct world *w = c->world;
    slice host = c->destination.host;
    if (begins(host, "dead") && !w->revived) {
        end_connection(c, &connect_failure);
        return;
    }
    if (begins(host, "mute")) {
        if (w->released)
            end_connection(c, NULL);
        return;
    }
    if (begins(host, "gone")) {
        end_connection(c, &no_such_domain);
        return;
    }
    c->is_up = true;
    if (begins(host, "drop") && !w->revived) {
        if (take_task(c))
            finish_task(c, &put_back);
        end_connection(c, NULL);
        return;
    }
    if (begins(host, "slow") && !w->released) {
        if (!c->task)
            (void)!take_task(c);
        return;
    }
    bool did_something = false;
    while (c->task || take_task(c)) {
        finish_task(c, NULL);
        did_something = true;
    }
    c->idle_turns = did_something ? 0 : c->idle_turns + 1;
    if (c->idle_turns > 20)
        end_connection(c, NULL);
}

static void work(void *context)
{
    struct world *w = context;
    LIST_EACH(&w->connections, node)
        work_on(LIST_ITEM(node, struct connection, node));
    for (struct list *node; (node = list_take_first(&w->ended));)
        memory_free(LIST_ITEM(node, struct connection, node));
    timer_set(w->loop, &w->work, 1, work, w);
}

static struct connection *open_connection(void *context, const struct destination *to, void *handle)
{
    struct world *w = context;
    struct connection *c = MEMORY_NEW(struct connection);
    c->world = w;
    c->destination = *to;
    c->handle = handle;
    list_append(&w->connections, &c->node);
    w->opened++;
    w->open_most = size_max(++w->open, w->open_most);
    text_add(&w->last_hosts, to->host);
    text_add_byte(&w->last_hosts, ' ');
    return c;
}

/* They look at each turn of `work` anyway. */
static void wake_connection(void *context, struct connection *c)
{
    struct world *w = context;
    assert_ptr_equal(c->world, w);
}

/* --- reports --- */

struct answer {
    struct world *world;
    void (*done)(void *context, bool ok);
    void *context;
    bool ok;
};

static void answer_report(void *context)
{
    struct answer answer = *(struct answer *)context;
    memory_free(context);
    answer.done(answer.context, answer.ok);
}

static void on_report(void *context, int kind, struct spool_message *m, const uint32_t *recipients,
                      const struct outcome *outcomes, size_t count, uint64_t give_up_ms,
                      void (*done)(void *context, bool ok), void *done_context)
{
    struct world *w = context;
    struct answer *answer = MEMORY_NEW(struct answer);
    *answer = (struct answer){ w, done, done_context, !w->report_fails };
    assert_true(kind >= 0 && kind <= 2 && count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_true(recipients[i] < m->envelope->recipient_count && !m->recipients[recipients[i]].is_final);
        assert_int_equal(outcomes[i].action == ACTION_FAILED, kind == 0);
        w->report_expired += outcomes[i].expired;
    }
    w->give_up_ms = give_up_ms;
    w->reports_refused += w->report_fails;
    w->reports[kind]++;
    w->report_recipients[kind] += count;
    loop_post(w->loop, answer_report, answer);
}

/* --- the world --- */

static struct config *make_config(const char *yaml)
{
    struct text text = { 0 };
    struct config_mistakes *mistakes = MEMORY_NEW(struct config_mistakes);
    text_add_format(&text, "hostname: mx.test\n%s", yaml);
    struct config *config = config_read_text(text_slice(&text), "test", ".", mistakes);
    if (!config) {
        struct text words = { 0 };
        text_add_config_mistake(&words, &mistakes->items[0]);
        fail_msg("%s", text_cstr(&words));
    }
    config_mistakes_free(mistakes);
    memory_free(mistakes);
    text_free(&text);
    return config;
}

static void open_schedule(struct world *w)
{
    const struct schedule_doors doors = {
        .loop = w->loop,
        .spool = w->spool,
        .events = w->events,
        .deliver = { .open = open_connection, .wake = wake_connection, .deliver = w },
        .report = on_report,
        .reports = w,
        .wall_ms = wall_ms,
        .again_ms = 20,
    };
    w->schedule = schedule_new(&doors);
    w->door = schedule_door(w->schedule);
    schedule_configure(w->schedule, w->config, w->directory);
}

static void open_spool(struct world *w)
{
    struct text error = { 0 };
    struct spool_params params = {
        .dir = w->folder,
        .segment_octets = 16 << 20,
        .large_octets = 1 << 20,
        .memory_octets = 256 << 20,
    };
    w->spool = spool_open(w->loop, &params, &error);
    if (!w->spool)
        fail_msg("%s", text_cstr(&error));
}

int world_open(void **state, const char *yaml)
{
    struct text error = { 0 };
    struct world *w = MEMORY_NEW(struct world);
    *state = w;
    wall_world = w;
    wall_offset_ms = 0;
    snprintf(w->folder, sizeof w->folder, "/tmp/schedule-test-XXXXXX");
    if (!mkdtemp(w->folder))
        return -1;
    list_init(&w->connections);
    list_init(&w->ended);
    w->loop = loop_new("test");
    w->events =
        event_log_open(&(struct event_log_params){ .process = "test", .text_fd = -1, .is_strict = true }, &error);
    w->config = make_config(yaml);
    w->directory = directory_new();
    directory_finish(w->directory);
    open_spool(w);
    open_schedule(w);
    work(w);
    return 0;
}

static void end_connections(struct world *w)
{
    static const struct outcome put_back = { .action = ACTION_NONE };
    for (struct list *node; (node = list_first(&w->connections));) {
        struct connection *c = LIST_ITEM(node, struct connection, node);
        if (c->task)
            finish_task(c, &put_back);
        end_connection(c, NULL);
    }
    for (struct list *node; (node = list_take_first(&w->ended));)
        memory_free(LIST_ITEM(node, struct connection, node));
}

void world_reopen(struct world *w)
{
    end_connections(w);
    schedule_free(w->schedule);
    spool_close(w->spool);
    open_spool(w);
    open_schedule(w);
}

void world_configure(struct world *w, const char *yaml)
{
    struct config *config = make_config(yaml);
    schedule_configure(w->schedule, config, w->directory);
    config_release(w->config);
    w->config = config;
}

static int remove_one(const char *path, const struct stat *file, int type, struct FTW *where)
{
    (void)file, (void)type, (void)where;
    return remove(path);
}

int world_close(void **state)
{
    struct world *w = *state;
    end_connections(w);
    schedule_free(w->schedule);
    spool_close(w->spool);
    timer_clear(w->loop, &w->work);
    world_run_for(w, 20); /* what the spool's lanes still had to say */
    timer_clear(w->loop, &w->limit);
    timer_clear(w->loop, &w->watch);
    loop_free(w->loop);
    event_log_close(w->events);
    config_release(w->config);
    directory_release(w->directory);
    text_free(&w->last_hosts);
    nftw(w->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    memory_free(w);
    return 0;
}

/* --- mail --- */

static void on_committed(void *context, enum spool_result result, struct spool_message *m)
{
    struct world *w = context;
    assert_int_equal(result, SPOOL_OK);
    w->mail++;
    schedule_add(w->schedule, m);
}

static size_t parse_recipients(slice rest, struct recipient *to, unsigned notify)
{
    size_t count = 0;
    for (slice one; rest.len; count++) {
        rest = slice_cut(rest, ' ', &one, NULL);
        struct path_parse parsed = mailbox_parse(one, false);
        assert_int_equal(parsed.error, PATH_OK);
        to[count] = (struct recipient){ .forward_path = parsed.path, .original = parsed.path, .notify = notify };
    }
    return count;
}

static bool all_mail_is_here(struct world *w) { return w->mail == 0; }

static void commit(struct world *w, size_t count, slice addresses, unsigned notify)
{
    size_t room = 1;
    for (size_t i = 0; i < addresses.len; i++)
        room += addresses.ptr[i] == ' ';
    struct envelope envelope = {
        .reverse_path = { LIT("ann"), LIT("sender.test") },
        .arrived_ms = wall_ms(),
        .recipients = memory_new(room * sizeof(struct recipient)),
    };
    envelope.recipient_count = parse_recipients(addresses, envelope.recipients, notify);
    w->mail = 0 - count; /* counted up to 0 */
    for (size_t i = 0; i < count; i++) {
        struct spool_draft *draft = spool_begin(w->spool);
        assert_int_equal(spool_append(draft, SLICE("Subject: x\r\n\r\nhello\r\n")), SPOOL_OK);
        spool_commit(draft, &envelope, 14, on_committed, w);
    }
    memory_free(envelope.recipients);
    world_run_until(w, all_mail_is_here);
}

void world_send(struct world *w, const char *recipients) { commit(w, 1, slice_from_cstr(recipients), 0); }

void world_send_many(struct world *w, size_t count, const char *recipients)
{
    commit(w, count, slice_from_cstr(recipients), 0);
}

void world_send_notify(struct world *w, const char *recipients, unsigned notify)
{
    commit(w, 1, slice_from_cstr(recipients), notify);
}

/* --- running --- */

/* The loop is left first: a test that fails inside a callback leaves it in the middle of a turn. */
static void on_limit(void *context)
{
    struct world *w = context;
    w->limit_reached = true;
    loop_stop(w->loop);
}

static void on_watch(void *context)
{
    struct world *w = context;
    if (w->reached(w)) {
        timer_clear(w->loop, &w->limit);
        loop_stop(w->loop);
    } else {
        timer_set(w->loop, &w->watch, 1, on_watch, w);
    }
}

void world_run_until(struct world *w, bool (*reached)(struct world *))
{
    w->reached = reached;
    timer_set(w->loop, &w->limit, 20000, on_limit, w);
    timer_set(w->loop, &w->watch, 0, on_watch, w);
    loop_run(w->loop);
    if (w->limit_reached)
        fail_msg("not reached: %zu messages, %zu opened, %zu tasks, %zu active, %zu deferred, %zu bounced",
                 spool_count(w->spool), w->opened, w->tasks, w->active, world_events(w, EVENT_recipient_deferred),
                 world_events(w, EVENT_recipient_bounced));
}

static void stop_now(void *loop) { loop_stop(loop); }

void world_run_for(struct world *w, uint64_t ms)
{
    struct timer timer = { 0 };
    timer_set(w->loop, &timer, ms, stop_now, w->loop);
    loop_run(w->loop);
}

static void note_first(void *context, struct spool_message *m)
{
    struct spool_message **first = context;
    *first = *first ? *first : m;
}

struct spool_message *world_message(struct world *w)
{
    struct spool_message *first = NULL;
    spool_each(w->spool, note_first, &first);
    return first;
}

size_t world_events(struct world *w, enum event_kind kind) { return (size_t)event_count(w->events, kind); }
bool world_is_empty(struct world *w) { return spool_count(w->spool) == 0; }
