#include "io/inside.h"
/*
 * timer - all timers of a loop stand in one heap; libuv knows only the first. Its timer is set again only when the
 * first due time becomes earlier: one that fires too early finds nothing due, and costs one wake-up rather than a
 * call for every timer that is moved.
 */
static void set_alarm(struct loop *loop, uint64_t due_ms)
{
    uint64_t now = uv_now(&loop->uv);
    loop->alarm_due_ms = due_ms;
    uv_timer_start(&loop->alarm, loop_run_timers, due_ms > now ? due_ms - now : 0, 0);
}

void timer_set(struct loop *loop, struct timer *timer, uint64_t after_ms, loop_function *function, void *context)
{
    assert(loop_is_current(loop));
    /* not in the past of a round of timers that is running: it would run in the same round, maybe for ever */
    uint64_t due, least = loop->alarm_is_running ? 1 : 0;
    if (ADD_OVERFLOWS(uv_now(&loop->uv), after_ms < least ? least : after_ms, &due))
        due = UINT64_MAX - 1;
    timer->function = function;
    timer->context = context;
    heap_set(&loop->timers, &timer->node, due);
    if (due < loop->alarm_due_ms && !loop->alarm_is_running)
        set_alarm(loop, due);
}

void timer_clear(struct loop *loop, struct timer *timer)
{
    assert(loop_is_current(loop));
    heap_remove(&loop->timers, &timer->node);
}

void loop_run_timers(uv_timer_t *alarm)
{
    struct loop *loop = CONTAINER_OF(alarm, struct loop, alarm);
    uint64_t now = uv_now(&loop->uv);
    loop->alarm_due_ms = UINT64_MAX;
    loop->alarm_is_running = true;
    struct heap_node *first;
    while ((first = heap_first(&loop->timers)) && first->key <= now) {
        heap_remove(&loop->timers, first);
        struct timer *timer = CONTAINER_OF(first, struct timer, node);
        timer->function(timer->context);
    }
    loop->alarm_is_running = false;
    if (first)
        set_alarm(loop, first->key);
}
