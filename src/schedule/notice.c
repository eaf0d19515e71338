#include "base/clock.h"
#include "base/memory.h"
#include "schedule/inside.h"
/*
 * notice - outcomes whose DSN has to be durable before they are final (design §1.3). A few at a time; the message stays
 * live and its recipients are not tried meanwhile.
 */
struct notice *notice_new(struct schedule *s, struct errand *e, int kind, slice destination)
{
    struct notice *n = MEMORY_NEW(struct notice);
    n->schedule = s;
    n->errand = e;
    n->kind = kind;
    n->destination = arena_copy(&n->memory, destination);
    return n;
}

void notice_free(struct notice *n)
{
    list_remove(&n->queued);
    timer_clear(n->schedule->doors.loop, &n->again);
    memory_free(n->recipients);
    memory_free(n->outcomes);
    arena_free(&n->memory);
    memory_free(n);
}

void notice_add(struct notice *n, uint32_t recipient, const struct outcome *outcome)
{
    if (n->count == n->capacity) {
        n->capacity = n->capacity ? n->capacity * 2 : 1;
        n->recipients = memory_resize(n->recipients, n->capacity * sizeof(n->recipients[0]));
        n->outcomes = memory_resize(n->outcomes, n->capacity * sizeof(n->outcomes[0]));
    }
    n->recipients[n->count] = recipient;
    outcome_copy(&n->memory, &n->outcomes[n->count], outcome);
    n->count++;
    n->errand->recipients[recipient].state = RECIPIENT_REPORTING;
}

/* True: the message is gone. */
static bool finish_failed(struct notice *n)
{
    bool is_gone = false;
    for (size_t i = 0; i < n->count && !is_gone; i++)
        is_gone = settle_failed(n, i);
    return is_gone;
}

static bool finish_relayed(struct notice *n)
{
    bool is_gone = false;
    for (size_t i = 0; i < n->count && !is_gone; i++)
        is_gone = settle_final(n->schedule, n->errand, n->recipients[i], &n->outcomes[i]);
    return is_gone;
}

static void wait_again(struct notice *n)
{
    for (size_t i = 0; i < n->count; i++)
        n->errand->recipients[n->recipients[i]].state = RECIPIENT_WAITING;
}

static void notice_finish(struct notice *n, bool ok)
{
    struct schedule *s = n->schedule;
    struct errand *e = n->errand;
    bool is_gone = false;
    if (n->kind == NOTICE_FAILED) {
        is_gone = finish_failed(n);
    } else if (n->kind == NOTICE_RELAYED) {
        is_gone = finish_relayed(n);
    } else {
        wait_again(n);
        if (ok)
            spool_set_delay_warning(s->doors.spool, e->message);
    }
    if (!is_gone)
        errand_settled(s, e);
    notice_free(n);
}

static void notice_again(void *notice)
{
    struct notice *n = notice;
    list_remove(&n->queued);
    notice_send(n);
}

static void notice_done(void *notice, bool ok)
{
    struct notice *n = notice;
    struct schedule *s = n->schedule;
    s->notices_running--;
    n->is_running = false;
    /* Only a failure waits for its notice as long as it takes. What was delivered must not be delivered again after a
     * crash, so it is recorded now; a warning is
     * due again at the errand's next look. */
    if (ok || n->kind != NOTICE_FAILED)
        notice_finish(n, ok);
    else
        timer_set(s->doors.loop, &n->again, s->doors.again_ms, notice_again, n);
    notices_start(s);
    schedule_ended_something(s);
}

static void notice_start(struct notice *n)
{
    struct schedule *s = n->schedule;
    const struct config_retry *retry = &s->config->retry;
    uint64_t now = schedule_now_ms(s), wall = schedule_wall_ms(s);
    int64_t age = (int64_t)now - n->errand->born_ms;
    uint64_t left = (uint64_t)age < retry->queue_lifetime ? retry->queue_lifetime - (uint64_t)age : 0;
    n->is_running = true;
    s->notices_running++;
    list_append(&s->notices, &n->queued);
    s->doors.report(s->doors.reports, n->kind, n->errand->message, n->recipients, n->outcomes, n->count, wall + left,
                    notice_done, n);
}

void notices_start(struct schedule *s)
{
    while (s->notices_running < NOTICES_AT_ONCE && !list_is_empty(&s->notices_waiting)) {
        struct list *node = list_take_first(&s->notices_waiting);
        s->notices_waiting_count--;
        notice_start(LIST_ITEM(node, struct notice, queued));
    }
}

void notice_send(struct notice *n)
{
    struct schedule *s = n->schedule;
    list_append(&s->notices_waiting, &n->queued);
    s->notices_waiting_count++;
    notices_start(s);
}

void notices_cancel(struct schedule *s, struct errand *e)
{
    LIST_EACH(&s->notices, node) {
        struct notice *n = LIST_ITEM(node, struct notice, queued);
        if (n->errand == e && !n->is_running) {
            wait_again(n);
            notice_free(n);
        }
    }
    LIST_EACH(&s->notices_waiting, waiting) {
        struct notice *n = LIST_ITEM(waiting, struct notice, queued);
        if (n->errand == e && n->kind != NOTICE_RELAYED) {
            wait_again(n);
            s->notices_waiting_count--;
            notice_free(n);
        }
    }
}
