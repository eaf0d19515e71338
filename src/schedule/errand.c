#include "base/clock.h"
#include "base/memory.h"
#include "schedule/inside.h"
#include "schedule/retry.h"
/*
 * errand - one message: which of its recipients wait for what, and when to look at it again.
 */

struct errand *errand_new(struct schedule *s, struct spool_message *message)
{
    size_t count = message->envelope->recipient_count;
    struct errand *e = memory_new(sizeof(*e) + count * sizeof(e->recipients[0]));
    e->message = message;
    list_init(&e->jobs);
    /* A message from the future (the clock was set back) is as old as this moment. */
    uint64_t now = schedule_now_ms(s), wall = schedule_wall_ms(s), arrived = message->envelope->arrived_ms;
    uint64_t age = wall > arrived ? wall - arrived : 0;
    e->born_ms = (int64_t)now - (int64_t)(age < DAYS(3650) ? age : DAYS(3650));
    for (size_t i = 0; i < count; i++) {
        const struct spool_recipient *r = &message->recipients[i];
        e->recipients[i].state = r->is_final ? RECIPIENT_FINAL : RECIPIENT_WAITING;
        e->recipients[i].due_ms = now + retry_left_ms(r->next_attempt_ms, wall, s->config->retry.longest);
    }
    list_append(&s->errands, &e->all);
    message->schedule = e;
    return e;
}

void errand_free(struct schedule *s, struct errand *e)
{
    heap_remove(&s->due, &e->due);
    list_remove(&e->all);
    memory_free(e);
}

static uint64_t moment(const struct errand *e, uint64_t after_birth_ms)
{
    int64_t at = e->born_ms + (int64_t)after_birth_ms;
    return at > 0 ? (uint64_t)at : 0;
}

bool errand_is_expired(const struct schedule *s, const struct errand *e)
{
    return moment(e, s->config->retry.queue_lifetime) <= schedule_now_ms(s);
}

uint64_t errand_wait_ms(const struct schedule *s, const struct errand *e, unsigned attempts)
{
    const struct config_retry *retry = &s->config->retry;
    uint64_t wait = retry_wait_ms(retry->first, retry->longest, attempts);
    uint64_t end = moment(e, retry->queue_lifetime), now = schedule_now_ms(s);
    return end > now && end - now < wait ? end - now : wait; /* a last attempt when the lifetime ends */
}

static void due_run(void *context);
static void look_at(struct schedule *s, struct errand *e, uint64_t at)
{
    heap_set(&s->due, &e->due, at);
    if (timer_is_set(&s->due_timer) && s->due_at <= at)
        return;
    uint64_t now = schedule_now_ms(s);
    s->due_at = at;
    timer_set(s->doors.loop, &s->due_timer, at > now ? at - now : 0, due_run, s);
}

void errand_look_soon(struct schedule *s, struct errand *e) { look_at(s, e, schedule_now_ms(s)); }

static bool warning_is_wanted(const struct schedule *s, const struct errand *e)
{
    return s->config->retry.delay_warning && !e->message->has_delay_warning;
}

static bool is_resting(const struct schedule *s, const struct errand *e)
{
    return e->message->held || schedule_is_held(s);
}

static void plan(struct schedule *s, struct errand *e)
{
    uint64_t now = schedule_now_ms(s), at = NEVER;
    bool is_waiting = false;
    for (size_t i = 0; i < e->message->envelope->recipient_count && !is_resting(s, e); i++) {
        uint64_t look = NEVER;
        if (e->recipients[i].state == RECIPIENT_WAITING)
            look = e->recipients[i].due_ms;
        else if (e->recipients[i].state == RECIPIENT_QUEUED)
            look = moment(e, s->config->retry.queue_lifetime);
        else
            continue;
        is_waiting = true;
        if (look <= now && e->recipients[i].state == RECIPIENT_QUEUED)
            look = now + s->doors.again_ms;
        at = look < at ? look : at;
    }
    if (is_waiting && warning_is_wanted(s, e)) {
        uint64_t warn = moment(e, s->config->retry.delay_warning);
        if (warn <= now)
            warn = now + s->doors.again_ms;
        at = warn < at ? warn : at;
    }
    if (at == NEVER)
        heap_remove(&s->due, &e->due);
    else
        look_at(s, e, at);
}

static struct job *job_with_room(struct schedule *s, struct errand *e, struct queue *q)
{
    struct job *job = q->gathering;
    if (job && job->count == queue_job_limit(q)) {
        job_enqueue(job, false);
        job = NULL;
    }
    if (!job) {
        job = job_new(e, q, 2);
        if (!list_is_linked(&q->gathered))
            list_append(&s->gathered, &q->gathered);
    } else if (job->count == job->capacity) {
        uint16_t capacity = (uint16_t)(job->capacity * 2);
        job = memory_resize(job, sizeof(*job) + capacity * sizeof(job->recipients[0]));
        job->capacity = capacity;
    }
    return q->gathering = job;
}

static void gather(struct schedule *s, struct errand *e, uint32_t recipient, struct queue *q)
{
    struct job *job = job_with_room(s, e, q);
    job->recipients[job->count++] = recipient;
    if (e->message->recipients[recipient].last.action != ACTION_NONE)
        job->lane = LANE_RETRIED;
}

static void enqueue_gathered(struct schedule *s)
{
    for (struct list *node; (node = list_take_first(&s->gathered));) {
        struct queue *q = LIST_ITEM(node, struct queue, gathered);
        struct job *job = q->gathering;
        q->gathering = NULL;
        job_enqueue(job, false);
    }
}

static const struct outcome no_route = {
    .action = ACTION_FAILED,
    .stage = STAGE_POLICY,
    .status = { 5, 4, 4 },
    .text = LIT("no route to this domain is configured"),
};

static void start_due(struct schedule *s, struct errand *e)
{
    struct notice *unroutable = NULL;
    uint64_t now = schedule_now_ms(s);
    for (uint32_t i = 0; i < e->message->envelope->recipient_count; i++) {
        if (e->recipients[i].state != RECIPIENT_WAITING || e->recipients[i].due_ms > now)
            continue;
        struct destination destination = { 0 };
        arena_reset(&s->scratch);
        if (route_find(s->config, s->directory, e->message->envelope->recipients[i].forward_path, &s->scratch,
                       &destination)) {
            gather(s, e, i, queue_for(s, &destination));
        } else {
            if (!unroutable)
                unroutable = notice_new(s, e, NOTICE_FAILED, (slice){ 0 });
            notice_add(unroutable, i, &no_route);
        }
    }
    enqueue_gathered(s);
    if (unroutable)
        notice_send(unroutable);
}

void errand_go_on(struct schedule *s, struct errand *e)
{
    if (!is_resting(s, e))
        start_due(s, e);
    plan(s, e);
}

void errand_undo_job(struct errand *e, struct job *job)
{
    for (uint32_t i = 0; i < job->count; i++)
        e->recipients[job->recipients[i]].state = RECIPIENT_WAITING;
    job_unlink(job);
    memory_free(job);
}

void errand_undo_jobs(struct errand *e)
{
    for (struct list *node; (node = list_first(&e->jobs));)
        errand_undo_job(e, LIST_ITEM(node, struct job, siblings));
}

bool errand_remove_waiting(struct schedule *s, struct errand *e, slice by)
{
    for (uint32_t i = 0, count = (uint32_t)e->message->envelope->recipient_count; i < count; i++)
        if (e->recipients[i].state == RECIPIENT_WAITING && settle_removed(s, e, i, by))
            return true;
    return false;
}

void errand_settled(struct schedule *s, struct errand *e)
{
    if (!e->is_removed)
        errand_go_on(s, e);
    else
        (void)!errand_remove_waiting(s, e, slice_from_cstr(id_map_get(&s->removed_by, e->message->id)));
}

/* What to tell about a recipient that waits for `q` (NULL: for its own next attempt). */
static struct outcome why_waiting(const struct errand *e, uint32_t recipient, const struct queue *q)
{
    static const struct outcome not_yet = {
        .action = ACTION_DELAYED,
        .status = { 4, 4, 5 },
        .text = LIT("waits for its turn: more mail for this destination than it takes"),
    };
    const struct outcome *last = &e->message->recipients[recipient].last;
    return last->action == ACTION_DELAYED ? *last : q && q->is_suspended ? q->failure : not_yet;
}

static void add_job_to_notice(struct notice *notice, struct errand *e, struct job *job, bool expired)
{
    for (uint32_t i = 0; i < job->count; i++) {
        struct outcome outcome = why_waiting(e, job->recipients[i], job->queue);
        if (expired)
            outcome_expire(&outcome);
        notice_add(notice, job->recipients[i], &outcome);
    }
    job_unlink(job);
    memory_free(job);
}

/* Mail of a destination that does not answer comes to its end without another attempt. What waits only for its turn is
 * tried first, however old it is: the clock may have been set forward while we were down. */
static void expire_suspended(struct schedule *s, struct errand *e)
{
    LIST_EACH(&e->jobs, node) {
        struct job *job = LIST_ITEM(node, struct job, siblings);
        if (!job->queue->is_suspended)
            continue;
        struct notice *notice = notice_new(s, e, NOTICE_FAILED, job->queue->destination.name);
        add_job_to_notice(notice, e, job, true);
        notice_send(notice);
    }
}

/* RFC 5321 §4.5.4.1 leaves it to us; the sender is told once. */
static void warn(struct schedule *s, struct errand *e)
{
    if (!warning_is_wanted(s, e) || moment(e, s->config->retry.delay_warning) > schedule_now_ms(s))
        return;
    struct notice *notice = notice_new(s, e, NOTICE_DELAYED, (slice){ 0 });
    for (uint32_t i = 0; i < e->message->envelope->recipient_count; i++) {
        if (e->recipients[i].state == RECIPIENT_WAITING) {
            struct outcome outcome = why_waiting(e, i, NULL);
            notice_add(notice, i, &outcome);
        }
    }
    LIST_EACH(&e->jobs, node) {
        struct job *job = LIST_ITEM(node, struct job, siblings);
        if (job->queue->is_suspended || e->is_overdue)
            add_job_to_notice(notice, e, job, false);
    }
    e->is_overdue = true;
    if (notice->count)
        notice_send(notice);
    else
        notice_free(notice);
}

static void look(struct schedule *s, struct errand *e)
{
    if (!is_resting(s, e)) {
        if (errand_is_expired(s, e))
            expire_suspended(s, e);
        start_due(s, e);
        warn(s, e);
    }
    plan(s, e);
}

static void due_run(void *context)
{
    struct schedule *s = context;
    uint64_t now = schedule_now_ms(s);
    for (unsigned i = 0; i < SLICE && !notices_are_many(s); i++) {
        struct heap_node *first = heap_first(&s->due);
        if (!first || first->key > now)
            break;
        look(s, CONTAINER_OF(heap_take_first(&s->due), struct errand, due));
    }
    struct heap_node *next = heap_first(&s->due);
    if (!next)
        return;
    s->due_at = next->key;
    uint64_t wait = next->key > now ? next->key - now : notices_are_many(s) ? 100 : 0;
    timer_set(s->doors.loop, &s->due_timer, wait, due_run, s);
}
