#include "base/clock.h"
#include "base/memory.h"
#include "schedule/test_world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define QUICK "retry: {first: 20ms, longest: 100ms, delay_warning: 0s}\n"

static int set_up(void **state) { return world_open(state, QUICK); }

static size_t finals(struct world *w)
{
    static const enum event_kind kinds[] = { EVENT_recipient_delivered, EVENT_recipient_bounced,
                                             EVENT_recipient_expired, EVENT_recipient_removed };
    size_t sum = 0;
    for (size_t i = 0; i < COUNT(kinds); i++)
        sum += world_events(w, kinds[i]);
    return sum;
}

static void count_destination(void *context, const struct schedule_destination_info *info)
{
    size_t *count = context;
    *count += info->name.len > 0;
}

static bool no_destination_left(struct world *w)
{
    size_t count = 0;
    schedule_each_destination(w->schedule, count_destination, &count);
    return count == 0 && spool_count(w->spool) == 0;
}

/* --- what becomes of one message --- */

static const struct {
    const char *name, *recipients;
    size_t delivered, deferred, bounced, reports;
} outcomes[] = {
    { "one", "ok@up.test", 1, 0, 0, 0 },
    { "three at one destination", "ok1@up.test ok2@up.test ok3@UP.test", 3, 0, 0, 0 },
    { "three at three", "ok@up1.test ok@up2.test ok@up3.test", 3, 0, 0, 0 },
    { "refused", "fail@up.test", 0, 0, 1, 1 },
    { "two refused, one report", "fail1@up.test ok@up.test fail2@up.test", 1, 0, 2, 1 },
    { "refused at two destinations", "fail@up1.test fail@up2.test", 0, 0, 2, 2 },
    { "deferred twice, then taken", "twice@up.test", 1, 2, 0, 0 },
    { "one now, one later", "ok@up.test twice@up.test", 2, 2, 0, 0 },
    { "no such domain", "ok@gone.test", 0, 0, 1, 1 },
    { "half of it gone", "ok@gone.test ok@up.test", 1, 0, 1, 1 },
    { "one later, one refused, one gone", "twice@up.test fail@up.test ok@gone.test", 1, 2, 2, 2 },
};

static void test_outcomes(void **state)
{
    for (size_t i = 0; i < COUNT(outcomes); i++) {
        struct world *w;
        assert_int_equal(world_open(state, QUICK), 0);
        w = *state;
        world_send(w, outcomes[i].recipients);
        world_run_until(w, no_destination_left);
        if (world_events(w, EVENT_recipient_delivered) != outcomes[i].delivered ||
            world_events(w, EVENT_recipient_deferred) != outcomes[i].deferred ||
            world_events(w, EVENT_recipient_bounced) != outcomes[i].bounced || w->reports[0] != outcomes[i].reports ||
            w->report_recipients[0] != outcomes[i].bounced || world_events(w, EVENT_message_finished) != 1)
            fail_msg("%s: %zu delivered, %zu deferred, %zu bounced, %zu reports", outcomes[i].name,
                     world_events(w, EVENT_recipient_delivered), world_events(w, EVENT_recipient_deferred),
                     world_events(w, EVENT_recipient_bounced), w->reports[0]);
        world_close(state);
    }
}

static void test_many_recipients(void **state)
{
    struct world *w = *state;
    struct text addresses = { 0 };
    for (int i = 0; i < 1234; i++)
        text_add_format(&addresses, "%sok%d@%s", i ? " " : "", i, i % 5 ? "up.test" : "up2.test");
    world_send(w, text_cstr(&addresses));
    world_run_until(w, world_is_empty);
    assert_int_equal(world_events(w, EVENT_recipient_delivered), 1234);
    assert_int_equal(world_events(w, EVENT_message_finished), 1);
    assert_int_equal(w->tasks_recipients_most, 100);
    assert_int_equal(w->tasks, 10 + 3);
    text_free(&addresses);
}

static void test_many_destinations(void **state)
{
    struct world *w = *state;
    struct text addresses = { 0 };
    for (int i = 0; i < 3000; i++)
        text_add_format(&addresses, "%sok@up%d.test", i ? " " : "", i);
    world_send(w, text_cstr(&addresses));
    world_run_until(w, no_destination_left);
    assert_int_equal(world_events(w, EVENT_recipient_delivered), 3000);
    assert_true(w->open_most <= 2000);
    text_free(&addresses);
}

/* --- destinations --- */

static bool all_were_told(struct world *w) { return world_events(w, EVENT_recipient_deferred) >= 10000; }

static void test_dead_destination_costs_a_probe(void **state)
{
    struct world *w = *state;
    world_send_many(w, 10000, "ok@dead.test");
    world_run_until(w, all_were_told);
    world_run_for(w, 300);
    assert_int_equal(w->open_most, 1);
    assert_true(w->opened >= 3 && w->opened < 40); /* in 300 ms and more, with waits of 16 ms and longer */
    assert_true(world_events(w, EVENT_destination_suspended) + 1 >= w->opened); /* the last may be on its way */
    /* each is told once; a probe that fails is an attempt of the message that stands first */
    assert_true(world_events(w, EVENT_recipient_deferred) <= 10000 + w->opened);
    assert_int_equal(w->tasks, 0);
    assert_string_equal(schedule_state(w->schedule, world_message(w)), "deferred");
    uint64_t next = schedule_next_attempt_ms(w->schedule, world_message(w));
    assert_true(next > 0);
    assert_int_equal(schedule_recipient_next_attempt_ms(w->schedule, world_message(w), 0), next);

    w->revived = true;
    world_run_until(w, no_destination_left);
    assert_int_equal(world_events(w, EVENT_recipient_delivered), 10000);
    assert_int_equal(world_events(w, EVENT_destination_resumed), 1);
    assert_true(w->open_most <= 20);
}

static bool hundred_delivered(struct world *w) { return world_events(w, EVENT_recipient_delivered) == 100; }
static bool five_probes(struct world *w) { return w->opened >= 5; }

static void test_others_do_not_wait(void **state)
{
    struct world *w = *state;
    world_send_many(w, 100, "ok@dead.test");
    world_send_many(w, 100, "ok@slow.test");
    world_run_until(w, five_probes);
    size_t before = world_events(w, EVENT_recipient_delivered);
    assert_int_equal(before, 0);
    world_send_many(w, 100, "ok@up.test");
    world_run_until(w, hundred_delivered);
    assert_true(w->active > 0);
}

static bool slow_is_full(struct world *w) { return w->active >= 4; }

static void test_connections_are_bounded(void **state)
{
    struct world *w = *state;
    world_configure(w, QUICK "routes: [{domains: \"*\", via: mx, connections: 7}]\n");
    world_send_many(w, 300, "ok@slow.test");
    world_run_until(w, slow_is_full);
    world_run_for(w, 50);
    assert_int_equal(w->open_most, 4); /* nothing was taken yet: no more than the first few */
    w->released = true;
    world_run_until(w, no_destination_left);
    assert_true(w->open_most <= 7);
}

static bool thousand_deferred(struct world *w) { return world_events(w, EVENT_recipient_deferred) == 1000; }
static bool not_open(struct world *w) { return w->open == 0; }

/* A server that lets nobody in is left alone after a while, although each message has a reply of its own. */
static void test_refusals_suspend(void **state)
{
    struct world *w = *state;
    world_configure(w, "retry: {first: 1h, longest: 2h, delay_warning: 0s}\n");
    world_send_many(w, 1000, "busy@up.test");
    world_run_until(w, thousand_deferred);
    world_run_until(w, not_open);
    assert_true(w->tasks >= 10 && w->tasks < 100);
    assert_int_equal(world_events(w, EVENT_destination_suspended), 1);
    assert_int_equal(world_events(w, EVENT_recipient_deferred), 1000);
}

/* Connections that come up and give back what they took must not turn in a circle. */
static void test_put_back(void **state)
{
    struct world *w = *state;
    world_send_many(w, 10, "ok@drop.test");
    world_run_for(w, 200);
    assert_true(w->opened < 60);
    assert_true(world_events(w, EVENT_destination_suspended) >= 1);
    /* what was put back is no attempt: each was told once, and suspensions count for the one that stood first */
    assert_true(world_events(w, EVENT_recipient_deferred) <= 10 + world_events(w, EVENT_destination_suspended));
    w->revived = true;
    world_run_until(w, no_destination_left);
    assert_int_equal(world_events(w, EVENT_recipient_delivered), 10);
}

static size_t suspended_count;
static void count_suspended(void *context, const struct schedule_destination_info *info)
{
    (void)context;
    suspended_count += info->suspended;
}

static bool four_deferred(struct world *w) { return world_events(w, EVENT_recipient_deferred) == 4; }
static bool five_deferred(struct world *w) { return world_events(w, EVENT_recipient_deferred) == 5; }
static bool one_is_left(struct world *w) { return spool_count(w->spool) == 1; }

static void test_retry_forgets_the_back_off(void **state)
{
    struct world *w = *state;
    world_configure(w, "retry: {first: 1h, longest: 2h, delay_warning: 0s}\n");
    world_send_many(w, 3, "ok@dead.test");
    world_send(w, "twice@up.test");
    world_run_until(w, four_deferred);
    suspended_count = 0;
    schedule_each_destination(w->schedule, count_suspended, NULL);
    assert_int_equal(suspended_count, 1);
    w->revived = true;
    world_run_for(w, 50);
    assert_int_equal(finals(w), 0);
    schedule_retry(w->schedule, world_message(w));
    world_run_until(w, one_is_left); /* the destination's others went along */
    schedule_retry(w->schedule, world_message(w));
    world_run_until(w, five_deferred);
    schedule_retry(w->schedule, world_message(w));
    world_run_until(w, world_is_empty);
}

static void test_new_routes_hold_for_what_waits(void **state)
{
    struct world *w = *state;
    world_send_many(w, 1000, "ok@dead.test");
    world_run_for(w, 50);
    assert_int_equal(world_events(w, EVENT_recipient_delivered), 0);
    world_configure(w, QUICK "routes: [{domains: dead.test, via: smarthost, host: \"up.test:25\"}]\n");
    world_run_until(w, no_destination_left);
    assert_int_equal(world_events(w, EVENT_recipient_delivered), 1000);
}

static void test_changed_destination_of_the_same_name(void **state)
{
    struct world *w = *state;
    world_configure(w, QUICK
                    "routes: [{domains: \"*\", via: smarthost, host: \"slow.test:25\", tls: required, username: u, "
                    "password: old}]\n");
    world_send_many(w, 50, "ok@x.test");
    world_run_until(w, slow_is_full);
    world_configure(w, QUICK
                    "routes: [{domains: \"*\", via: smarthost, host: \"slow.test:25\", tls: required, username: u, "
                    "password: new}]\n");
    world_send_many(w, 50, "ok@x.test");
    world_run_for(w, 20);
    w->released = true;
    world_run_until(w, no_destination_left);
    assert_int_equal(world_events(w, EVENT_recipient_delivered), 100);
}

/* --- time --- */

static bool one_is_deferred(struct world *w) { return world_events(w, EVENT_recipient_deferred) >= 1; }

static size_t awaited_deferrals;
static bool deferrals_are_there(struct world *w)
{
    return world_events(w, EVENT_recipient_deferred) == awaited_deferrals;
}

static void test_waits_grow(void **state)
{
    struct world *w = *state;
    world_configure(w, "retry: {first: 1h, longest: 4h, delay_warning: 0s}\n");
    const uint64_t least[] = { MINUTES(48), MINUTES(72), MINUTES(108) },
                   most[] = { MINUTES(72), MINUTES(109), MINUTES(163) };
    world_send(w, "later@up.test");
    for (size_t i = 0; i < COUNT(least); i++) {
        awaited_deferrals = i + 1;
        world_run_until(w, deferrals_are_there);
        const struct spool_recipient *r = &world_message(w)->recipients[0];
        uint64_t wait = r->next_attempt_ms - clock_wall_ms();
        assert_int_equal(r->attempts, i + 1);
        assert_true(wait > least[i] - SECONDS(2) && wait < most[i] + SECONDS(2));
        assert_int_equal(schedule_next_attempt_ms(w->schedule, world_message(w)), r->next_attempt_ms);
        schedule_retry(w->schedule, world_message(w));
    }
}

static void test_expiry_after_attempts(void **state)
{
    struct world *w = *state;
    world_configure(w, "retry: {first: 100ms, longest: 300ms, queue_lifetime: 1s, delay_warning: 0s}\n");
    uint64_t start = clock_monotonic_ms();
    world_send(w, "later@up.test");
    world_run_until(w, world_is_empty);
    uint64_t took = clock_monotonic_ms() - start;
    assert_true(took >= 700 && took < 5000); /* from a time the loop took a little earlier */
    assert_int_equal(world_events(w, EVENT_recipient_expired), 1);
    assert_int_equal(world_events(w, EVENT_recipient_bounced), 0);
    assert_int_equal(w->reports[0], 1);
    assert_int_equal(w->report_expired, 1);
}

static void test_expiry_at_a_dead_destination(void **state)
{
    struct world *w = *state;
    world_configure(w, "retry: {first: 200ms, longest: 1h, queue_lifetime: 1s, delay_warning: 0s}\n");
    world_send_many(w, 2000, "ok@dead.test");
    world_run_until(w, world_is_empty);
    assert_int_equal(world_events(w, EVENT_recipient_expired), 2000);
    assert_int_equal(w->report_expired, 2000);
    assert_int_equal(w->tasks, 0);
}

static bool one_refused(struct world *w) { return w->reports_refused >= 1; }
static bool is_warned(struct world *w) { return world_message(w)->has_delay_warning; }

static const struct {
    const char *name, *recipients;
    size_t count;
} warned[] = {
    { "deferred", "later@up.test", 1 },
    { "suspended", "ok@dead.test", 1 },
    { "both", "later@up.test ok@dead.test later2@up.test", 3 },
};

static void test_delay_warning(void **state)
{
    for (size_t i = 0; i < COUNT(warned); i++) {
        assert_int_equal(
            world_open(state, "retry: {first: 50ms, longest: 100ms, queue_lifetime: 1h, delay_warning: 300ms}\n"), 0);
        struct world *w = *state;
        w->report_fails = true;
        world_send(w, warned[i].recipients);
        world_run_until(w, one_refused);
        assert_true(clock_wall_ms() - world_message(w)->envelope->arrived_ms >= 200);
        world_run_for(w, 100);
        assert_false(is_warned(w));
        w->report_fails = false;
        w->reports[1] = w->report_recipients[1] = 0;
        world_run_until(w, is_warned);
        world_run_for(w, 300);
        if (w->reports[1] != 1 || w->report_recipients[1] != warned[i].count)
            fail_msg("%s: %zu reports about %zu", warned[i].name, w->reports[1], w->report_recipients[1]);
        uint64_t give_up = world_message(w)->envelope->arrived_ms + HOURS(1);
        assert_true(w->give_up_ms + 1000 > give_up && w->give_up_ms < give_up + 1000);
        world_close(state);
    }
}

static const struct {
    const char *name;
    int64_t jump_ms;
} jumps[] = {
    { "ten days ahead", 10 * 86400 * 1000LL },
    { "an hour ahead", 3600 * 1000LL },
    { "ten days back", -10 * 86400 * 1000LL },
    { "twenty years back", -20 * 365 * 86400 * 1000LL },
};

static bool two_delivered(struct world *w) { return world_events(w, EVENT_recipient_delivered) == 2; }

static void test_clock_jumps(void **state)
{
    for (size_t i = 0; i < COUNT(jumps); i++) {
        assert_int_equal(world_open(state, QUICK), 0);
        struct world *w = *state;
        world_send(w, "twice@up.test");
        world_send(w, "twice@up.test ok@dead.test");
        world_run_until(w, one_is_deferred);
        world_move_clock(jumps[i].jump_ms);
        world_run_until(w, two_delivered);
        if (world_events(w, EVENT_recipient_expired))
            fail_msg("%s: %zu expired", jumps[i].name, world_events(w, EVENT_recipient_expired));
        w->revived = true;
        world_run_until(w, no_destination_left);
        world_close(state);
    }
}

/* While we were down the clock was set: what was to wait a little waits a little, and nothing is thrown away untried.
 */
static void test_clock_jumps_while_down(void **state)
{
    for (size_t i = 0; i < COUNT(jumps); i++) {
        assert_int_equal(world_open(state, QUICK), 0);
        struct world *w = *state;
        world_send(w, "twice@up.test");
        world_send_many(w, 100, "ok@dead.test");
        world_run_until(w, one_is_deferred);
        world_run_for(w, 30);
        w->revived = true;
        world_move_clock(jumps[i].jump_ms);
        world_reopen(w);
        spool_each(w->spool, (void (*)(void *, struct spool_message *))schedule_add, w->schedule);
        world_run_until(w, world_is_empty);
        if (world_events(w, EVENT_recipient_delivered) < 100 || world_events(w, EVENT_recipient_expired) > 1)
            fail_msg("%s: %zu delivered, %zu expired", jumps[i].name, world_events(w, EVENT_recipient_delivered),
                     world_events(w, EVENT_recipient_expired));
        world_close(state);
    }
}

/* --- operators --- */

static void test_hold_and_release(void **state)
{
    struct world *w = *state;
    world_send(w, "twice@up.test ok@dead.test");
    world_run_until(w, one_is_deferred);
    schedule_hold(w->schedule, world_message(w), SLICE("root"));
    schedule_hold(w->schedule, world_message(w), SLICE("root")); /* again: nothing happens */
    size_t attempts = w->tasks, opened = w->opened;
    w->revived = true;
    world_run_for(w, 200);
    assert_int_equal(w->tasks, attempts);
    assert_int_equal(w->opened, opened);
    assert_string_equal(schedule_state(w->schedule, world_message(w)), "held");
    world_reopen(w);
    spool_each(w->spool, (void (*)(void *, struct spool_message *))schedule_add, w->schedule);
    world_run_for(w, 100);
    assert_int_equal(finals(w), 0);
    schedule_release(w->schedule, world_message(w), SLICE("root"));
    world_run_until(w, world_is_empty);
    assert_int_equal(world_events(w, EVENT_recipient_delivered), 2);
    assert_int_equal(world_events(w, EVENT_message_held), 1);
    assert_int_equal(world_events(w, EVENT_message_released), 1);
}

static bool one_is_active(struct world *w) { return w->active == 1; }

static void test_hold_while_active(void **state)
{
    struct world *w = *state;
    world_send(w, "later@slow.test back@slow.test");
    world_run_until(w, one_is_active);
    assert_string_equal(schedule_state(w->schedule, world_message(w)), "active");
    schedule_hold(w->schedule, world_message(w), SLICE("root"));
    w->released = true;
    world_run_until(w, one_is_deferred);
    world_run_for(w, 100);
    assert_int_equal(w->tasks, 1);
    assert_int_equal(world_message(w)->recipients[0].attempts, 1);
    assert_int_equal(world_message(w)->recipients[1].attempts, 0);
}

static void test_hold_by_configuration(void **state)
{
    struct world *w = *state;
    world_configure(w, QUICK "delivery: {hold: true}\n");
    world_send(w, "ok@up.test");
    world_run_for(w, 100);
    assert_int_equal(w->opened, 0);
    assert_string_equal(schedule_state(w->schedule, world_message(w)), "held");
    world_configure(w, QUICK);
    world_send(w, "twice@up.test");
    world_run_until(w, one_is_deferred);
    world_configure(w, QUICK "delivery: {hold: true}\n");
    size_t tasks = w->tasks;
    world_run_for(w, 100);
    assert_int_equal(w->tasks, tasks);
    world_configure(w, QUICK);
    world_run_until(w, world_is_empty);
}

static const struct {
    const char *name, *recipients;
    size_t removed, delivered, deferred, active; /* the last two: before */
} removals[] = {
    { "not tried", "ok@dead.test", 1, 0, 1, 0 },
    { "two", "ok@dead.test later@up.test", 2, 0, 2, 0 },
    { "active, taken", "ok@slow.test", 0, 1, 0, 1 },
    { "active, deferred", "later@slow.test", 1, 0, 0, 1 },
    { "active, refused", "fail@slow.test", 1, 0, 0, 1 },
    { "active, put back", "back@slow.test", 1, 0, 0, 1 },
    { "some active", "ok@slow.test ok@dead.test later@slow.test", 2, 1, 1, 1 },
};
static size_t awaited_row;
static bool row_is_ready(struct world *w)
{
    return world_events(w, EVENT_recipient_deferred) >= removals[awaited_row].deferred &&
           w->active == removals[awaited_row].active;
}

static void test_remove(void **state)
{
    for (size_t i = 0; i < COUNT(removals); i++) {
        assert_int_equal(world_open(state, QUICK), 0);
        struct world *w = *state;
        world_send(w, removals[i].recipients);
        awaited_row = i;
        world_run_until(w, row_is_ready);
        schedule_remove(w->schedule, world_message(w), SLICE("root"));
        if (world_message(w))
            schedule_remove(w->schedule, world_message(w), SLICE("root again"));
        w->released = true;
        world_run_until(w, no_destination_left);
        if (world_events(w, EVENT_recipient_removed) != removals[i].removed ||
            world_events(w, EVENT_recipient_delivered) != removals[i].delivered || w->reports[0] ||
            world_events(w, EVENT_message_finished) != 1)
            fail_msg("%s: %zu removed, %zu delivered, %zu reports", removals[i].name,
                     world_events(w, EVENT_recipient_removed), world_events(w, EVENT_recipient_delivered),
                     w->reports[0]);
        world_close(state);
    }
}

/* --- reports --- */

static bool three_refused(struct world *w) { return w->reports_refused >= 3; }

static void test_no_failure_without_its_report(void **state)
{
    struct world *w = *state;
    w->report_fails = true;
    world_send(w, "fail@up.test");
    world_run_until(w, three_refused);
    assert_int_equal(finals(w), 0);
    assert_int_equal(world_message(w)->open_recipients, 1);
    assert_int_equal(w->tasks, 1); /* not tried again meanwhile */
    w->report_fails = false;
    world_run_until(w, world_is_empty);
    assert_int_equal(world_events(w, EVENT_recipient_bounced), 1);
}

static void test_remove_instead_of_report(void **state)
{
    struct world *w = *state;
    w->report_fails = true;
    world_send(w, "fail@up.test");
    world_run_until(w, three_refused);
    while (world_message(w)) {
        schedule_remove(w->schedule, world_message(w), SLICE("root"));
        world_run_for(w, 5);
    }
    assert_int_equal(world_events(w, EVENT_recipient_removed) + world_events(w, EVENT_recipient_bounced), 1);
    assert_int_equal(world_events(w, EVENT_message_finished), 1);
}

static void test_success_is_told_when_asked(void **state)
{
    struct world *w = *state;
    world_send_notify(w, "ok1@up.test ok2@up.test fail@up.test", NOTIFY_SUCCESS | NOTIFY_FAILURE);
    world_send_notify(w, "ok@up.test", NOTIFY_FAILURE);
    world_run_until(w, world_is_empty);
    assert_int_equal(w->reports[2], 1);
    assert_int_equal(w->report_recipients[2], 2);
    assert_int_equal(w->reports[0], 1);
    assert_int_equal(world_events(w, EVENT_recipient_delivered), 3);

    /* What was delivered is final even when the notice cannot be made: never twice. */
    w->report_fails = true;
    world_send_notify(w, "ok@up.test", NOTIFY_SUCCESS);
    world_run_until(w, world_is_empty);
    assert_int_equal(world_events(w, EVENT_recipient_delivered), 4);
}

static void test_many_failures(void **state)
{
    struct world *w = *state;
    world_send_many(w, 5000, "ok@gone.test");
    world_run_until(w, no_destination_left);
    assert_int_equal(world_events(w, EVENT_recipient_bounced), 5000);
    assert_int_equal(w->reports[0], 5000);
    assert_true(w->opened < 100);
}

/* --- beginning and end --- */

static void test_restart(void **state)
{
    struct world *w = *state;
    world_send_many(w, 500, "ok@dead.test twice@up.test");
    world_send_many(w, 10, "ok@slow.test");
    world_run_for(w, 60);
    w->revived = w->released = true;
    world_reopen(w);
    spool_each(w->spool, (void (*)(void *, struct spool_message *))schedule_add, w->schedule);
    world_run_until(w, no_destination_left);
    assert_int_equal(world_events(w, EVENT_recipient_delivered), 1010);
    assert_int_equal(world_events(w, EVENT_message_finished), 510);
}

static void on_stopped(void *context)
{
    struct world *w = context;
    w->stopped = true;
}

static bool has_stopped(struct world *w) { return w->stopped; }

static void test_stop_waits_for_tasks(void **state)
{
    struct world *w = *state;
    world_send_many(w, 50, "ok@slow.test");
    world_run_until(w, slow_is_full);
    schedule_stop(w->schedule, 10000, on_stopped, w);
    world_run_for(w, 50);
    assert_false(w->stopped);
    size_t tasks = w->tasks;
    w->released = true;
    world_run_until(w, has_stopped);
    assert_int_equal(w->tasks, tasks);
    assert_int_equal(world_events(w, EVENT_recipient_delivered), tasks);
    assert_int_equal(spool_count(w->spool), 50 - tasks);
}

static bool is_connecting(struct world *w) { return w->open > 0; }

/* Connections that a stop breaks off say nothing about their destination: its mail is tried at once after the start. */
static void test_stop_suspends_nothing(void **state)
{
    struct world *w = *state;
    world_send_many(w, 50, "ok@mute.test");
    world_run_until(w, is_connecting);
    schedule_stop(w->schedule, 10000, on_stopped, w);
    w->released = true;
    world_run_for(w, 20);
    assert_true(w->stopped);
    assert_int_equal(w->open, 0);
    assert_int_equal(world_events(w, EVENT_destination_suspended), 0);
    assert_int_equal(world_events(w, EVENT_recipient_deferred), 0);
    assert_int_equal(world_message(w)->recipients[0].attempts, 0);
}

static void test_stop_has_an_end(void **state)
{
    struct world *w = *state;
    world_send_many(w, 50, "ok@slow.test");
    world_run_until(w, slow_is_full);
    schedule_stop(w->schedule, 50, on_stopped, w);
    assert_false(w->stopped);
    world_run_until(w, has_stopped);
    assert_true(w->active > 0);
}

static void test_stop_at_once(void **state)
{
    struct world *w = *state;
    schedule_stop(w->schedule, 10000, on_stopped, w);
    assert_false(w->stopped);
    world_run_until(w, has_stopped);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, world_close)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),
        TEST(test_many_recipients),
        TEST(test_many_destinations),
        TEST(test_dead_destination_costs_a_probe),
        TEST(test_others_do_not_wait),
        TEST(test_connections_are_bounded),
        TEST(test_refusals_suspend),
        TEST(test_put_back),
        TEST(test_retry_forgets_the_back_off),
        TEST(test_new_routes_hold_for_what_waits),
        TEST(test_changed_destination_of_the_same_name),
        TEST(test_waits_grow),
        TEST(test_expiry_after_attempts),
        TEST(test_expiry_at_a_dead_destination),
        cmocka_unit_test(test_delay_warning),
        cmocka_unit_test(test_clock_jumps),
        cmocka_unit_test(test_clock_jumps_while_down),
        TEST(test_hold_and_release),
        TEST(test_hold_while_active),
        TEST(test_hold_by_configuration),
        cmocka_unit_test(test_remove),
        TEST(test_no_failure_without_its_report),
        TEST(test_remove_instead_of_report),
        TEST(test_success_is_told_when_asked),
        TEST(test_many_failures),
        TEST(test_restart),
        TEST(test_stop_waits_for_tasks),
        TEST(test_stop_suspends_nothing),
        TEST(test_stop_has_an_end),
        TEST(test_stop_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
