#include "base/clock.h"
#include "base/memory.h"
#include "schedule/inside.h"

uint64_t schedule_now_ms(const struct schedule *s) { return loop_now_ms(s->doors.loop); }

uint64_t schedule_wall_ms(const struct schedule *s)
{
    return s->doors.wall_ms ? s->doors.wall_ms() : loop_wall_ms(s->doors.loop);
}

struct schedule *schedule_new(const struct schedule_doors *doors)
{
    struct schedule *s = MEMORY_NEW(struct schedule);
    s->doors = *doors;
    if (!s->doors.again_ms)
        s->doors.again_ms = AGAIN_MS;
    list_init(&s->errands);
    list_init(&s->kicked);
    list_init(&s->hungry);
    list_init(&s->draining);
    list_init(&s->rerouting);
    list_init(&s->gathered);
    list_init(&s->notices_waiting);
    list_init(&s->notices);
    s->turn_end = (struct loop_hook){ .function = schedule_kick, .context = s };
    loop_add_turn_end(doors->loop, &s->turn_end);
    return s;
}

struct delivery_schedule_door schedule_door(struct schedule *s)
{
    return (struct delivery_schedule_door){
        .next_task = queue_next_task,
        .task_done = settle_task,
        .closed = queue_closed,
        .schedule = s,
    };
}

/* --- configuration --- */

/* In slices, so that a reload with a million messages does not hold up the loop. */
static void reroute_run(void *context)
{
    struct schedule *s = context;
    for (unsigned i = 0; i < SLICE && !list_is_empty(&s->rerouting); i++) {
        struct job *job = LIST_ITEM(list_first(&s->rerouting), struct job, queued);
        struct errand *e = job->errand;
        errand_undo_job(e, job);
        errand_go_on(s, e);
    }
    if (!list_is_empty(&s->rerouting))
        timer_set(s->doors.loop, &s->reroute_timer, 0, reroute_run, s);
}

static void reroute_all(struct schedule *s)
{
    size_t position = 0;
    for (struct queue *q; (q = map_next(&s->queues, &position));)
        for (int lane = LANES; lane-- > 0;)
            for (struct list *node; (node = list_take_first(&q->lanes[lane]));)
                list_append(&s->rerouting, node);
    if (!list_is_empty(&s->rerouting))
        timer_set(s->doors.loop, &s->reroute_timer, 0, reroute_run, s);
}

static void look_at_all(struct schedule *s)
{
    LIST_EACH(&s->errands, node)
        errand_look_soon(s, LIST_ITEM(node, struct errand, all));
    queue_kick_all(s);
}

void schedule_configure(struct schedule *s, struct config *config, struct directory *directory)
{
    bool was_held = s->config && schedule_is_held(s), is_first = !s->config;
    struct config *old_config = s->config;
    struct directory *old_directory = s->directory;
    s->config = config_hold(config);
    s->directory = directory_hold(directory);
    s->generation++;
    if (!is_first) {
        config_release(old_config);
        directory_release(old_directory);
        reroute_all(s);
    }
    if (was_held && !schedule_is_held(s))
        look_at_all(s);
}

/* --- messages --- */

void schedule_add(struct schedule *s, struct spool_message *message)
{
    assert(loop_is_current(s->doors.loop) && s->config && !message->schedule);
    errand_go_on(s, errand_new(s, message));
}

void schedule_retry(struct schedule *s, struct spool_message *message)
{
    struct errand *e = message->schedule;
    spool_set_next_attempt(s->doors.spool, message, 0);
    for (size_t i = 0; i < message->envelope->recipient_count; i++)
        e->recipients[i].due_ms = 0;
    errand_go_on(s, e);
    LIST_EACH(&e->jobs, node)
        queue_forgive(LIST_ITEM(node, struct job, siblings)->queue);
}

static void tell_held(struct schedule *s, enum event_kind kind, const struct spool_message *message, slice by)
{
    event_start(s->doors.events, kind);
    event_id(s->doors.events, "message", message->id);
    event_text(s->doors.events, "by", by);
    event_end(s->doors.events);
}

void schedule_hold(struct schedule *s, struct spool_message *message, slice by)
{
    if (message->held)
        return;
    spool_set_held(s->doors.spool, message, true);
    tell_held(s, EVENT_message_held, message, by);
    errand_undo_jobs(message->schedule);
    errand_go_on(s, message->schedule);
}

void schedule_release(struct schedule *s, struct spool_message *message, slice by)
{
    if (!message->held)
        return;
    spool_set_held(s->doors.spool, message, false);
    tell_held(s, EVENT_message_released, message, by);
    errand_go_on(s, message->schedule);
}

void schedule_remove(struct schedule *s, struct spool_message *message, slice by)
{
    struct errand *e = message->schedule;
    uint64_t id = message->id;
    errand_undo_jobs(e);
    notices_cancel(s, e);
    if (errand_remove_waiting(s, e, by))
        return;
    e->is_removed = true; /* what is under way ends first */
    memory_free(id_map_set(&s->removed_by, id, memory_copy_cstr(by.ptr, by.len)));
    errand_go_on(s, e);
}

/* --- looking --- */

static const struct queue *suspended_queue(const struct errand *e)
{
    LIST_EACH(&e->jobs, node) {
        const struct queue *q = LIST_ITEM(node, struct job, siblings)->queue;
        if (q->is_suspended)
            return q;
    }
    return NULL;
}

const char *schedule_state(const struct schedule *s, const struct spool_message *message)
{
    const struct errand *e = message->schedule;
    if (e && e->active)
        return "active";
    if (message->held || schedule_is_held(s))
        return "held";
    if (!e || (!list_is_empty(&e->jobs) && !suspended_queue(e)))
        return "queued";
    return "deferred";
}

static bool is_resting(const struct schedule *s, const struct spool_message *message)
{
    return !message->schedule || message->held || schedule_is_held(s);
}

static uint64_t queue_next_attempt_ms(const struct queue *q) { return q->is_suspended ? q->probe_wall_ms : 0; }

static bool job_has(const struct job *job, size_t recipient)
{
    for (uint32_t i = 0; i < job->count; i++)
        if (job->recipients[i] == recipient)
            return true;
    return false;
}

uint64_t schedule_recipient_next_attempt_ms(const struct schedule *s, const struct spool_message *message,
                                            size_t recipient)
{
    const struct errand *e = message->schedule;
    if (is_resting(s, message))
        return 0;
    if (e->recipients[recipient].state == RECIPIENT_WAITING)
        return message->recipients[recipient].next_attempt_ms;
    LIST_EACH(&e->jobs, node) {
        const struct job *job = LIST_ITEM(node, struct job, siblings);
        if (job_has(job, recipient))
            return queue_next_attempt_ms(job->queue);
    }
    return 0;
}

uint64_t schedule_next_attempt_ms(const struct schedule *s, const struct spool_message *message)
{
    const struct errand *e = message->schedule;
    uint64_t next = NEVER;
    if (is_resting(s, message) || e->active)
        return 0;
    for (size_t i = 0; i < message->envelope->recipient_count; i++)
        if (e->recipients[i].state == RECIPIENT_WAITING && message->recipients[i].next_attempt_ms < next)
            next = message->recipients[i].next_attempt_ms;
    LIST_EACH(&e->jobs, node) {
        uint64_t at = queue_next_attempt_ms(LIST_ITEM(node, struct job, siblings)->queue);
        next = at < next ? at : next;
    }
    return next == NEVER ? 0 : next;
}

void schedule_each_destination(const struct schedule *s,
                               void (*visit)(void *context, const struct schedule_destination_info *), void *context)
{
    size_t position = 0;
    for (const struct queue *q; (q = map_next(&s->queues, &position));) {
        size_t jobs = q->waiting[LANE_FRESH] + q->waiting[LANE_RETRIED];
        struct schedule_destination_info info = {
            .name = q->destination.name,
            .waiting = q->is_suspended ? 0 : jobs,
            .deferred = q->is_suspended ? jobs : 0,
            .connections = q->connection_count,
            .suspended = q->is_suspended,
            .retry_ms = q->is_suspended ? q->probe_wall_ms : 0,
        };
        visit(context, &info);
    }
}

/* --- the end --- */

static void stopped(void *context)
{
    struct schedule *s = context;
    loop_function *done = s->stopped;
    s->stopped = NULL;
    timer_clear(s->doors.loop, &s->patience);
    if (done)
        done(s->stopped_context);
}

void schedule_ended_something(struct schedule *s)
{
    if (s->is_stopping && s->stopped && !s->active && !s->notices_running)
        timer_set(s->doors.loop, &s->patience, 0, stopped, s);
}

void schedule_stop(struct schedule *s, uint64_t patience_ms, loop_function *done, void *context)
{
    s->is_stopping = true;
    s->stopped = done;
    s->stopped_context = context;
    timer_set(s->doors.loop, &s->patience, patience_ms, stopped, s);
    schedule_ended_something(s);
}

static void free_notices(struct list *notices)
{
    for (struct list *node; (node = list_first(notices));)
        notice_free(LIST_ITEM(node, struct notice, queued));
}

static void free_errands(struct schedule *s)
{
    for (struct list *node; (node = list_first(&s->errands));) {
        struct errand *e = LIST_ITEM(node, struct errand, all);
        errand_undo_jobs(e);
        errand_free(s, e);
    }
    heap_free(&s->due);
}

static void free_queues(struct schedule *s)
{
    size_t position = 0;
    for (struct queue *q; (q = map_next(&s->queues, &position)); position = 0)
        queue_free(q);
    map_free(&s->queues);
}

void schedule_free(struct schedule *s)
{
    struct timer *timers[] = { &s->due_timer, &s->kick_timer, &s->drain_timer, &s->reroute_timer, &s->patience };
    free_notices(&s->notices_waiting);
    free_notices(&s->notices);
    free_errands(s);
    free_queues(s);
    for (size_t i = 0; i < COUNT(timers); i++)
        timer_clear(s->doors.loop, timers[i]);
    loop_remove_hook(s->doors.loop, &s->turn_end);
    size_t position = 0;
    for (char *by; (by = id_map_next(&s->removed_by, &position));)
        memory_free(by);
    id_map_free(&s->removed_by);
    arena_free(&s->scratch);
    text_free(&s->words);
    if (s->config) {
        config_release(s->config);
        directory_release(s->directory);
    }
    memory_free(s);
}
