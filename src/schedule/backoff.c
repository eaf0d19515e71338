#include "base/memory.h"
#include "schedule/inside.h"
#include "schedule/retry.h"
/*
 * backoff - a destination that failed as a whole: all its mail waits together for a probe, which is one connection
 * with one message. Who waits and was never tried is told once why.
 *
 *                     the last connection failed, or nobody was let in
 *      answering  ------------------------------------------------------->  suspended (probe timer set)
 *          ^                                                                   |           ^
 *          |   an outcome for some recipient                          time     |           | failed again: a longer
 * wait
 *          +--------------------------------------  probing  <-----------------+           |
 *                                                      +-----------------------------------+
 */
static void remember_failure(struct queue *q, const struct outcome *failure)
{
    struct arena old = q->failure_memory; /* `failure` may stand in it */
    q->failure_memory = (struct arena){ 0 };
    outcome_copy(&q->failure_memory, &q->failure, failure);
    arena_free(&old);
}

static void tell_job(struct queue *q, struct job *job, bool again);

/* A probe that failed counts as an attempt for the message that stood first; each comes first in turn. */
static void tell_probe(struct queue *q)
{
    struct list *first = list_first(&q->lanes[LANE_RETRIED]);
    if (first)
        tell_job(q, LIST_ITEM(first, struct job, queued), true);
}

static void probe_now(void *queue) { queue_kick(queue); }

static void tell_suspended(struct queue *q)
{
    struct event_log *events = q->schedule->doors.events;
    event_start(events, EVENT_destination_suspended);
    event_text(events, "destination", q->destination.name);
    event_text(events, "reason", q->failure.text);
    event_number(events, "retry_ms", q->probe_wall_ms);
    event_end(events);
}

void queue_suspend(struct queue *q, const struct outcome *failure)
{
    struct schedule *s = q->schedule;
    const struct config_retry *retry = &s->config->retry;
    remember_failure(q, failure);
    q->failure.action = ACTION_DELAYED;
    q->fruitless = 0;
    q->answers = false;
    q->limit = 1;
    q->successes = 0;
    bool was_probe = q->is_suspended;
    q->is_suspended = true;

    uint64_t wait = retry_wait_ms(retry->first, retry->longest, ++q->failures);
    q->probe_wall_ms = schedule_wall_ms(s) + wait;
    timer_set(s->doors.loop, &q->probe, wait, probe_now, q);
    tell_suspended(q);
    if (was_probe)
        tell_probe(q);
    queue_drain(q);
}

void queue_failed(struct queue *q, const struct outcome *failure)
{
    if (q->connection_count && q->answers) { /* others work: it is only one too many */
        q->limit = q->connection_count;
        q->successes = 0;
    } else if (q->waiting[LANE_FRESH] + q->waiting[LANE_RETRIED] && !timer_is_set(&q->probe)) {
        queue_suspend(q, failure);
    }
}

void queue_doomed(struct queue *q, const struct outcome *failure)
{
    remember_failure(q, failure);
    q->is_doomed = true;
    queue_drain(q);
}

void queue_forgive(struct queue *q)
{
    timer_clear(q->schedule->doors.loop, &q->probe);
    q->failures = 0;
    q->refusals = 0;
    queue_kick(q);
}

void queue_answers(struct queue *q)
{
    if (!q->is_suspended)
        return;
    queue_forgive(q);
    q->is_suspended = false;
    struct event_log *events = q->schedule->doors.events;
    event_start(events, EVENT_destination_resumed);
    event_text(events, "destination", q->destination.name);
    event_end(events);
}

/* --- those who wait --- */

/* `again`: also those who know already why they wait. */
static void tell_job(struct queue *q, struct job *job, bool again)
{
    struct schedule *s = q->schedule;
    for (uint32_t i = 0; i < job->count; i++) {
        uint32_t recipient = job->recipients[i];
        if (again || job->errand->message->recipients[recipient].last.action == ACTION_NONE)
            settle_deferred(s, job->errand, recipient, &q->failure, q->probe_wall_ms, q);
    }
    list_remove(&job->queued);
    q->waiting[job->lane]--;
    job->lane = LANE_RETRIED;
    list_append(&q->lanes[job->lane], &job->queued);
    q->waiting[job->lane]++;
}

static void fail_job(struct queue *q, struct job *job)
{
    struct notice *notice = notice_new(q->schedule, job->errand, NOTICE_FAILED, q->destination.name);
    for (uint32_t i = 0; i < job->count; i++)
        notice_add(notice, job->recipients[i], &q->failure);
    job_unlink(job);
    memory_free(job);
    notice_send(notice);
}

static struct list *queue_first_to_drain(const struct queue *q)
{
    struct list *fresh = list_first(&q->lanes[LANE_FRESH]);
    if (q->is_doomed)
        return fresh ? fresh : list_first(&q->lanes[LANE_RETRIED]);
    return q->is_suspended ? fresh : NULL;
}

void queue_drain(struct queue *q)
{
    struct schedule *s = q->schedule;
    if (!queue_first_to_drain(q)) {
        q->is_doomed = false;
        return;
    }
    if (!list_is_linked(&q->draining))
        list_append(&s->draining, &q->draining);
    if (!timer_is_set(&s->drain_timer))
        timer_set(s->doors.loop, &s->drain_timer, 0, schedule_drain, s);
}

/* In slices, so that a million messages do not hold up the loop. */
void schedule_drain(void *schedule)
{
    struct schedule *s = schedule;
    struct list *node = NULL;
    for (unsigned i = 0; i < SLICE && !notices_are_many(s) && (node = list_first(&s->draining)); i++) {
        struct queue *q = LIST_ITEM(node, struct queue, draining);
        struct list *first = queue_first_to_drain(q);
        if (!first) {
            list_remove(node);
            q->is_doomed = false;
            queue_kick(q);
            continue;
        }
        struct job *job = LIST_ITEM(first, struct job, queued);
        if (q->is_doomed)
            fail_job(q, job); /* the queue goes with its last */
        else
            tell_job(q, job, false);
    }
    if (!list_is_empty(&s->draining) && !timer_is_set(&s->drain_timer))
        timer_set(s->doors.loop, &s->drain_timer, notices_are_many(s) ? 100 : 0, schedule_drain, s);
}
