#include "base/memory.h"
#include "schedule/inside.h"
/*
 * settle - outcomes: decided upon, written to the journal and the event log.
 */
static void add_mailbox(struct schedule *s, const struct errand *e, uint32_t recipient)
{
    text_clear(&s->words);
    text_add_mailbox(&s->words, e->message->envelope->recipients[recipient].forward_path);
    event_text(s->doors.events, "forward_path", text_slice(&s->words));
}

/* An outcome that expired keeps the last answer's status, for the DSN tells both. */
static void add_status(struct schedule *s, const struct outcome *o)
{
    static const struct status delivery_time_expired = { 4, 4, 7 }; /* RFC 3463 §3.5 */
    text_clear(&s->words);
    if (o->expired)
        text_add_status(&s->words, delivery_time_expired);
    else if (o->status.class)
        text_add_status(&s->words, o->status);
    event_text(s->doors.events, "status", text_slice(&s->words));
}

static void add_reply(struct schedule *s, const struct outcome *o)
{
    text_clear(&s->words);
    if (o->reply_code) {
        text_add_u64(&s->words, o->reply_code);
        text_add_byte(&s->words, ' ');
    }
    text_add(&s->words, o->text);
    event_text(s->doors.events, "reply", text_slice(&s->words));
}

static void start_event(struct schedule *s, enum event_kind kind, const struct errand *e, uint32_t recipient)
{
    event_start(s->doors.events, kind);
    event_id(s->doors.events, "message", e->message->id);
    add_mailbox(s, e, recipient);
}

static void add_remote(struct schedule *s, const struct outcome *o, slice destination)
{
    struct event_log *events = s->doors.events;
    event_text(events, "destination", destination);
    event_text(events, "remote", o->remote_name);
    event_text(events, "remote_address", o->remote_address);
    event_text(events, "tls", o->tls);
}

static void add_answer(struct schedule *s, const struct outcome *o)
{
    add_status(s, o);
    add_reply(s, o);
}

static uint64_t age_ms(const struct schedule *s, const struct errand *e)
{
    return (uint64_t)((int64_t)schedule_now_ms(s) - e->born_ms);
}

/* --- final --- */

static void tell_finished(struct schedule *s, uint64_t id, size_t delivered, size_t failed, uint64_t duration_ms)
{
    struct event_log *events = s->doors.events;
    event_start(events, EVENT_message_finished);
    event_id(events, "message", id);
    event_number(events, "delivered", delivered);
    event_number(events, "failed", failed);
    event_number(events, "duration_ms", duration_ms);
    event_end(events);
}

bool settle_final(struct schedule *s, struct errand *e, uint32_t recipient, const struct outcome *outcome)
{
    struct spool_message *m = e->message;
    uint64_t id = m->id;
    size_t count = m->envelope->recipient_count, failed = outcome->action == ACTION_FAILED;
    if (m->open_recipients == 1) /* counted now: afterwards the message is gone */
        for (size_t i = 0; i < count; i++)
            failed += i != recipient && m->recipients[i].last.action == ACTION_FAILED;

    e->recipients[recipient].state = RECIPIENT_FINAL;
    if (!spool_record(s->doors.spool, m, recipient, outcome, 0))
        return false;
    tell_finished(s, id, count - failed, failed, age_ms(s, e));
    memory_free(id_map_remove(&s->removed_by, id));
    errand_free(s, e);
    return true;
}

bool settle_failed(const struct notice *n, size_t place)
{
    struct schedule *s = n->schedule;
    struct event_log *events = s->doors.events;
    const struct outcome *outcome = &n->outcomes[place];
    uint32_t recipient = n->recipients[place];
    start_event(s, outcome->expired ? EVENT_recipient_expired : EVENT_recipient_bounced, n->errand, recipient);
    if (outcome->expired)
        event_text(events, "destination", n->destination);
    else
        add_remote(s, outcome, n->destination);
    event_cstr(events, "stage", delivery_stage_name(outcome->stage));
    add_answer(s, outcome);
    event_number(events, "attempts", n->errand->message->recipients[recipient].attempts + n->is_attempt);
    event_end(events);
    return settle_final(s, n->errand, recipient, outcome);
}

bool settle_removed(struct schedule *s, struct errand *e, uint32_t recipient, slice by)
{
    static const struct outcome removed = {
        .action = ACTION_FAILED,
        .stage = STAGE_POLICY,
        .status = { 5, 7, 0 },
        .text = LIT("removed from the queue by an operator"),
    };
    start_event(s, EVENT_recipient_removed, e, recipient);
    event_text(s->doors.events, "by", by);
    event_end(s->doors.events);
    return settle_final(s, e, recipient, &removed);
}

void settle_deferred(struct schedule *s, struct errand *e, uint32_t recipient, const struct outcome *outcome,
                     uint64_t next_wall_ms, const struct queue *q)
{
    struct event_log *events = s->doors.events;
    (void)!spool_record(s->doors.spool, e->message, recipient, outcome, next_wall_ms); /* not final: it stays */
    start_event(s, EVENT_recipient_deferred, e, recipient);
    add_remote(s, outcome, q->destination.name);
    event_cstr(events, "stage", delivery_stage_name(outcome->stage));
    add_answer(s, outcome);
    event_number(events, "attempts", e->message->recipients[recipient].attempts);
    event_number(events, "next_attempt_ms", next_wall_ms);
    event_end(events);
}

void outcome_expire(struct outcome *o)
{
    o->action = ACTION_FAILED;
    o->expired = true;
    if (o->text.len == 0)
        o->text = SLICE("delivery time expired");
}

static void tell_delivered(struct schedule *s, const struct errand *e, const struct queue *q, const struct task *task,
                           const struct task_recipient *r)
{
    struct event_log *events = s->doors.events;
    if (q->destination.kind == DESTINATION_DISCARD) {
        start_event(s, EVENT_recipient_discarded, e, r->index);
    } else if (q->destination.mailbox.len) {
        start_event(s, EVENT_recipient_captured, e, r->index);
        event_text(events, "mailbox", q->destination.mailbox);
    } else {
        start_event(s, EVENT_recipient_delivered, e, r->index);
        add_remote(s, &r->outcome, q->destination.name);
        add_answer(s, &r->outcome);
        event_number(events, "attempts", e->message->recipients[r->index].attempts + 1);
        event_number(events, "delay_ms", age_ms(s, e));
        event_number(events, "duration_ms", schedule_now_ms(s) - task->started_ms);
    }
    event_end(events);
}

/* --- a task's outcomes --- */

struct settling {
    struct schedule *schedule;
    struct queue *queue;
    struct errand *errand;
    struct task *task;
    struct notice *failed, *relayed;
    struct job *put_back;
};

static void settle_fail(struct settling *w, const struct task_recipient *r)
{
    if (!w->failed)
        w->failed = notice_new(w->schedule, w->errand, NOTICE_FAILED, w->queue->destination.name);
    w->failed->is_attempt = true;
    notice_add(w->failed, r->index, &r->outcome);
}

/* NOTIFY=SUCCESS: told first, for the message is gone once it is recorded. */
static bool settle_success(struct settling *w, const struct task_recipient *r)
{
    const struct envelope *envelope = w->errand->message->envelope;
    tell_delivered(w->schedule, w->errand, w->queue, w->task, r);
    if (!(envelope->recipients[r->index].notify & NOTIFY_SUCCESS) || path_is_null(envelope->reverse_path))
        return settle_final(w->schedule, w->errand, r->index, &r->outcome);
    if (!w->relayed)
        w->relayed = notice_new(w->schedule, w->errand, NOTICE_RELAYED, w->queue->destination.name);
    notice_add(w->relayed, r->index, &r->outcome);
    return false;
}

static void settle_delay(struct settling *w, struct task_recipient *r)
{
    struct schedule *s = w->schedule;
    struct errand *e = w->errand;
    if (errand_is_expired(s, e)) {
        outcome_expire(&r->outcome);
        settle_fail(w, r);
        return;
    }
    uint64_t wait = errand_wait_ms(s, e, e->message->recipients[r->index].attempts + 1);
    settle_deferred(s, e, r->index, &r->outcome, schedule_wall_ms(s) + wait, w->queue);
    e->recipients[r->index].due_ms = schedule_now_ms(s) + wait;
    e->recipients[r->index].state = RECIPIENT_WAITING;
}

/* Untried, so not an attempt: back to where it was taken from. */
static void settle_put_back(struct settling *w, const struct task_recipient *r)
{
    struct errand *e = w->errand;
    e->recipients[r->index].state = RECIPIENT_WAITING;
    if (e->message->held || !w->queue->is_known)
        return;
    if (!w->put_back)
        w->put_back = job_new(e, w->queue, (uint32_t)w->task->recipient_count);
    w->put_back->recipients[w->put_back->count++] = r->index;
    if (e->message->recipients[r->index].last.action != ACTION_NONE)
        w->put_back->lane = LANE_RETRIED;
}

/* True: the message is gone; this can only be with the last recipient. */
static bool settle_recipient(struct settling *w, struct task_recipient *r)
{
    enum action action = r->outcome.action;
    if (action != ACTION_FAILED && outcome_is_final(action))
        return settle_success(w, r);
    if (w->errand->is_removed) /* nothing that failed is tried or told any more */
        w->errand->recipients[r->index].state = RECIPIENT_WAITING;
    else if (action == ACTION_FAILED)
        settle_fail(w, r);
    else if (action == ACTION_DELAYED)
        settle_delay(w, r);
    else
        settle_put_back(w, r);
    return false;
}

void settle_task(void *schedule, void *queue, struct task *task)
{
    struct settling w = { .schedule = schedule, .queue = queue, .errand = task->message->schedule, .task = task };
    bool is_gone = false;
    w.queue->active--;
    w.schedule->active--;
    w.errand->active--;
    queue_count_outcomes(w.queue, task);
    for (size_t i = 0; i < task->recipient_count && !is_gone; i++)
        is_gone = settle_recipient(&w, &task->recipients[i]);

    if (w.put_back)
        job_enqueue(w.put_back, true);
    if (w.failed)
        notice_send(w.failed);
    if (w.relayed)
        notice_send(w.relayed);
    if (!is_gone)
        errand_settled(w.schedule, w.errand);
    arena_free(&task->memory);
    memory_free(task);
    queue_kick(w.queue);
    schedule_ended_something(w.schedule);
}
