#include "base/memory.h"
#include "schedule/inside.h"
/*
 * queue - one destination: lanes of jobs, connections that pull from them.
 *
 * Jobs are served in the order they came, fresh ones before those that were deferred already, but every
 * RETRIED_TURN-th goes to the latter so that a steady flow of fresh mail does not starve them.
 */
enum { RETRIED_TURN = 4 };

static slice keep(struct arena *memory, slice s) { return s.len ? arena_copy(memory, s) : (slice){ 0 }; }

static void destination_copy(struct arena *memory, struct destination *to, const struct destination *from)
{
    *to = *from;
    to->key = keep(memory, from->key);
    to->name = keep(memory, from->name);
    to->host = keep(memory, from->host);
    to->ca_pem = keep(memory, from->ca_pem);
    to->username = keep(memory, from->username);
    to->password = keep(memory, from->password);
    to->mailbox = keep(memory, from->mailbox);
}

static bool destination_same(const struct destination *a, const struct destination *b)
{
    return a->kind == b->kind && a->port == b->port && a->tls == b->tls && slice_eq(a->key, b->key) &&
           slice_eq(a->host, b->host) && slice_eq(a->ca_pem, b->ca_pem) && slice_eq(a->username, b->username) &&
           slice_eq(a->password, b->password) && slice_eq(a->mailbox, b->mailbox) &&
           a->messages_per_connection == b->messages_per_connection;
}

static struct queue *queue_new(struct schedule *s, const struct destination *destination)
{
    struct queue *q = MEMORY_NEW(struct queue);
    q->schedule = s;
    destination_copy(&q->memory, &q->destination, destination);
    for (int lane = 0; lane < LANES; lane++)
        list_init(&q->lanes[lane]);
    q->limit = 1; /* until it has shown that it answers */
    q->generation = s->generation;
    q->is_known = true;
    map_set(&s->queues, q->destination.key, q);
    return q;
}

struct queue *queue_for(struct schedule *s, const struct destination *destination)
{
    struct queue *q = map_get(&s->queues, destination->key);
    if (q && q->generation != s->generation) {
        if (destination_same(&q->destination, destination)) {
            q->generation = s->generation;
            q->destination.connections_max = destination->connections_max;
        } else { /* its connections end as they are; what it still had to do has been rerouted or will be */
            map_remove(&s->queues, q->destination.key);
            q->is_known = false;
            queue_release(q);
            q = NULL;
        }
    }
    return q ? q : queue_new(s, destination);
}

static size_t queue_waiting(const struct queue *q) { return q->waiting[LANE_FRESH] + q->waiting[LANE_RETRIED]; }

void queue_free(struct queue *q)
{
    if (q->is_known)
        map_remove(&q->schedule->queues, q->destination.key);
    timer_clear(q->schedule->doors.loop, &q->probe);
    list_remove(&q->kicked);
    list_remove(&q->hungry);
    list_remove(&q->draining);
    memory_wipe((void *)q->destination.password.ptr, q->destination.password.len);
    arena_free(&q->memory);
    arena_free(&q->failure_memory);
    memory_free(q->connections);
    memory_free(q);
}

void queue_release(struct queue *q)
{
    if (!queue_waiting(q) && !q->connection_count && !q->active && !q->gathering)
        queue_free(q);
}

size_t queue_job_limit(const struct queue *q)
{
    bool is_transaction = q->destination.kind != DESTINATION_MAILBOX && q->destination.kind != DESTINATION_DISCARD;
    return is_transaction ? JOB_RECIPIENTS_MAX : JOB_MAILBOX_RECIPIENTS_MAX;
}

struct job *job_new(struct errand *e, struct queue *q, uint32_t capacity)
{
    struct job *job = memory_new(sizeof(*job) + capacity * sizeof(job->recipients[0]));
    job->errand = e;
    job->queue = q;
    job->capacity = (uint16_t)capacity;
    return job;
}

void job_enqueue(struct job *job, bool in_front)
{
    struct queue *q = job->queue;
    for (uint32_t i = 0; i < job->count; i++)
        job->errand->recipients[job->recipients[i]].state = RECIPIENT_QUEUED;
    list_append(&job->errand->jobs, &job->siblings);
    if (in_front)
        list_prepend(&q->lanes[job->lane], &job->queued);
    else
        list_append(&q->lanes[job->lane], &job->queued);
    q->waiting[job->lane]++;
    if (q->is_suspended || q->is_doomed)
        queue_drain(q);
    queue_kick(q);
}

void job_unlink(struct job *job)
{
    list_remove(&job->queued);
    list_remove(&job->siblings);
    job->queue->waiting[job->lane]--;
    queue_release(job->queue);
}

/* --- connections --- */

static bool queue_is_closed_now(const struct queue *q)
{
    const struct schedule *s = q->schedule;
    return s->is_stopping || schedule_is_held(s) || q->is_doomed || timer_is_set(&q->probe) ||
           (q->is_suspended && q->active);
}

static size_t queue_connections_max(const struct queue *q)
{
    return size_max(1, size_min(q->limit, q->destination.connections_max));
}

/* Those not busy will pull: also those on their way. */
static bool queue_wants_connection(const struct queue *q)
{
    size_t pulling = q->connection_count > q->active ? q->connection_count - q->active : 0;
    return queue_waiting(q) > pulling && q->connection_count < queue_connections_max(q);
}

static bool queue_connect(struct queue *q)
{
    struct schedule *s = q->schedule;
    if (s->connections >= CONNECTIONS_ALL_MAX) {
        if (!list_is_linked(&q->hungry))
            list_append(&s->hungry, &q->hungry);
        return false;
    }
    if (q->connection_count == q->connection_capacity) {
        q->connection_capacity = q->connection_capacity ? q->connection_capacity * 2 : 4;
        q->connections = memory_resize(q->connections, q->connection_capacity * sizeof(struct connection *));
    }
    q->connections[q->connection_count++] = s->doors.deliver.open(s->doors.deliver.deliver, &q->destination, q);
    s->connections++;
    return true;
}

static void queue_look(struct queue *q)
{
    const struct delivery_deliver_door *deliver = &q->schedule->doors.deliver;
    if (queue_is_closed_now(q) || !queue_waiting(q))
        return;
    for (size_t i = q->connection_count; i-- > 0;)
        deliver->wake(deliver->deliver, q->connections[i]);
    while (queue_wants_connection(q) && queue_connect(q))
        ;
}

/* Once a turn for all that happened in it. */
void schedule_kick(void *schedule)
{
    struct schedule *s = schedule;
    struct list now;
    if (list_is_empty(&s->kicked))
        return;
    timer_clear(s->doors.loop, &s->kick_timer);
    list_init(&now);
    for (struct list *node; (node = list_take_first(&s->kicked));)
        list_append(&now, node);
    for (struct list *node; (node = list_take_first(&now));)
        queue_look(LIST_ITEM(node, struct queue, kicked));
}

void queue_kick(struct queue *q)
{
    struct schedule *s = q->schedule;
    if (list_is_linked(&q->kicked))
        return;
    /* The timer is for what is kicked after this turn's hook has run. */
    if (list_is_empty(&s->kicked))
        timer_set(s->doors.loop, &s->kick_timer, 0, schedule_kick, s);
    list_append(&s->kicked, &q->kicked);
}

void queue_kick_all(struct schedule *s)
{
    size_t position = 0;
    for (struct queue *q; (q = map_next(&s->queues, &position));)
        queue_kick(q);
}

static struct job *queue_take(struct queue *q)
{
    struct list *fresh = list_first(&q->lanes[LANE_FRESH]), *retried = list_first(&q->lanes[LANE_RETRIED]);
    bool takes_fresh = fresh && (!retried || q->fresh_in_a_row + 1 < RETRIED_TURN);
    struct list *node = takes_fresh ? fresh : retried;
    q->fresh_in_a_row = takes_fresh && retried ? q->fresh_in_a_row + 1 : 0;
    return node ? LIST_ITEM(node, struct job, queued) : NULL;
}

static void tell_started(struct queue *q, const struct task *task)
{
    struct event_log *events = q->schedule->doors.events;
    event_start(events, EVENT_attempt_started);
    event_id(events, "message", task->message->id);
    event_text(events, "destination", q->destination.name);
    event_number(events, "recipients", task->recipient_count);
    event_end(events);
}

struct task *queue_next_task(void *schedule, void *queue)
{
    struct schedule *s = schedule;
    struct queue *q = queue;
    if (queue_is_closed_now(q))
        return NULL;
    if (!q->answers && !q->is_suspended) {
        q->answers = true;
        q->limit = CONNECTIONS_FIRST;
        queue_kick(q);
    }
    struct job *job = queue_take(q);
    if (!job)
        return NULL;

    struct task *task = memory_new(sizeof(*task) + job->count * sizeof(task->recipients[0]));
    list_init(&task->queued);
    task->message = job->errand->message;
    task->destination = q;
    task->started_ms = schedule_now_ms(s);
    task->recipient_count = job->count;
    for (uint32_t i = 0; i < job->count; i++) {
        task->recipients[i].index = job->recipients[i];
        job->errand->recipients[job->recipients[i]].state = RECIPIENT_ACTIVE;
    }
    job->errand->active++;
    q->active++;
    s->active++;
    job_unlink(job);
    memory_free(job);
    tell_started(q, task);
    return task;
}

/* The server let nobody in: it or the network is short of something, fewer connections may do better. */
static bool task_was_refused(const struct task *task)
{
    for (size_t i = 0; i < task->recipient_count; i++) {
        const struct outcome *o = &task->recipients[i].outcome;
        bool at_the_door = o->stage > STAGE_NONE && o->stage <= STAGE_MAIL;
        if (o->action != ACTION_DELAYED || !(at_the_door || o->reply_code == 421))
            return false;
    }
    return true;
}

static bool task_was_decided(const struct task *task)
{
    for (size_t i = 0; i < task->recipient_count; i++)
        if (task->recipients[i].outcome.action != ACTION_NONE)
            return true;
    return false;
}

void queue_count_outcomes(struct queue *q, const struct task *task)
{
    if (!task_was_decided(task))
        return;
    q->fruitless = 0;
    if (!task_was_refused(task)) {
        q->refusals = 0;
        queue_answers(q);
        if (++q->successes >= q->limit) {
            q->successes = 0;
            q->limit += q->limit < q->destination.connections_max;
        }
        return;
    }
    q->successes = 0;
    q->limit -= q->limit > 1;
    if (q->is_suspended || (++q->refusals >= REFUSALS_MAX && q->limit == 1))
        queue_suspend(q, &task->recipients[0].outcome);
}

static void queue_forget_connection(struct queue *q, const struct connection *connection)
{
    for (size_t i = 0; i < q->connection_count; i++) {
        if (q->connections[i] == connection) {
            q->connections[i] = q->connections[--q->connection_count];
            q->schedule->connections--;
            return;
        }
    }
    assert(false && "a connection closed that was not open");
}

/* What the end of a connection says about its destination. */
static void queue_judge_end(struct queue *q, const struct connection_end *end)
{
    static const struct outcome no_use = {
        .action = ACTION_DELAYED,
        .stage = STAGE_CONNECT,
        .status = { 4, 4, 2 },
        .text = LIT("connections end before anything could be sent"),
    };
    if (q->schedule->is_stopping) /* most likely we broke it off ourselves */
        return;
    if (end->failure.action == ACTION_FAILED && q->connection_count == 0)
        queue_doomed(q, &end->failure);
    else if (end->failure.action != ACTION_NONE || !end->was_usable)
        queue_failed(q, end->failure.action != ACTION_NONE ? &end->failure : &no_use);
    else if (queue_waiting(q) && ++q->fruitless >= FRUITLESS_MAX)
        queue_failed(q, &no_use);
}

void queue_closed(void *schedule, void *queue, struct connection *connection, const struct connection_end *end)
{
    struct schedule *s = schedule;
    struct queue *q = queue;
    queue_forget_connection(q, connection);
    queue_judge_end(q, end);
    struct list *hungry = list_take_first(&s->hungry);
    if (hungry)
        queue_kick(LIST_ITEM(hungry, struct queue, hungry));
    queue_kick(q);
    queue_release(q);
    schedule_ended_something(s);
}
