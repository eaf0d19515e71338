#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/poll.h"
#include "io/work.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;

static int set_up(void **state)
{
    (void)state;
    loop = loop_new("test");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static void stop(void *context)
{
    (void)context;
    loop_stop(loop);
}

static struct timer guard;
static void too_late(void *context)
{
    (void)context;
    fail_msg("the loop did not stop");
}

static void run(void)
{
    timer_set(loop, &guard, SECONDS(20), too_late, NULL);
    loop_run(loop);
    timer_clear(loop, &guard);
}

/* Every callback writes its letter; a test compares the whole. */
static struct text trace;
static void letter(void *context) { text_add_byte(&trace, *(char *)context); }
static void expect_trace(const char *wanted)
{
    assert_string_equal(text_cstr(&trace), wanted);
    text_free(&trace);
    trace = (struct text){ 0 };
}

static void test_timers_in_order(void **state)
{
    (void)state;
    struct timer timers[5] = { 0 };
    timer_set(loop, &timers[0], 30, letter, "c");
    timer_set(loop, &timers[1], 10, letter, "a");
    timer_set(loop, &timers[2], 20, letter, "x");
    timer_set(loop, &timers[3], 500, letter, "b");
    timer_set(loop, &timers[4], 60, stop, NULL);
    timer_clear(loop, &timers[2]);
    timer_set(loop, &timers[3], 20, letter, "b"); /* moved to earlier */
    timer_clear(loop, &timers[2]);
    assert_false(timer_is_set(&timers[2]));
    assert_true(timer_is_set(&timers[3]));
    run();
    expect_trace("abc");
}

static struct timer again;
static int rounds;
static void set_again(void *context)
{
    if (++rounds < 100)
        timer_set(loop, &again, 0, set_again, context);
    else
        loop_stop(loop);
}

static void test_timer_of_zero_sets_itself(void **state)
{
    (void)state;
    rounds = 0;
    static struct loop_hook hook;
    hook = (struct loop_hook){ letter, "h" };
    loop_add_turn_end(loop, &hook);
    timer_set(loop, &again, 0, set_again, NULL);
    run();
    assert_int_equal(rounds, 100);
    assert_true(trace.len >= 100); /* each in a turn of its own */
    text_clear(&trace);
    loop_remove_hook(loop, &hook);
}

static void test_timer_far_away(void **state)
{
    (void)state;
    struct timer far = { 0 }, near = { 0 };
    timer_set(loop, &far, UINT64_MAX, letter, "x");
    timer_set(loop, &near, 5, stop, NULL);
    run();
    timer_clear(loop, &far);
    expect_trace("");
}

enum { TIMERS = 20000 };
static size_t fired;
static uint64_t last_key;
static void count_ordered(void *context)
{
    const struct timer *timer = context;
    assert_true(timer->node.key >= last_key);
    last_key = timer->node.key;
    fired++;
}

static void test_many_timers(void **state)
{
    (void)state;
    struct timer *timers = memory_new(TIMERS * sizeof *timers), end = { 0 };
    fired = 0;
    last_key = 0;
    for (size_t i = 0; i < TIMERS; i++)
        timer_set(loop, &timers[i], (i * 7919) % 50, count_ordered, &timers[i]);
    for (size_t i = 0; i < TIMERS; i += 2)
        timer_clear(loop, &timers[i]);
    timer_set(loop, &end, 60, stop, NULL);
    run();
    assert_int_equal(fired, TIMERS / 2);
    memory_free(timers);
}

static void test_clock_of_the_loop(void **state)
{
    (void)state;
    uint64_t wall = loop_wall_ms(loop), now = clock_wall_ms();
    assert_true(wall <= now && now - wall < SECONDS(5));
    assert_true(loop_now_ms(loop) <= clock_monotonic_ms());
}

/* The end of a turn comes before every wait: after posts, after timers, and before the loop ends. */
static void post_then_trace(void *context)
{
    letter("p");
    if (context)
        loop_post(loop, stop, NULL);
}

static void test_hooks_in_order_after_posts(void **state)
{
    (void)state;
    static struct loop_hook first, second, flush;
    first = (struct loop_hook){ letter, "1" };
    second = (struct loop_hook){ letter, "2" };
    flush = (struct loop_hook){ letter, "3" };
    loop_add_flush(loop, &flush);
    loop_add_turn_end(loop, &first);
    loop_add_turn_end(loop, &second);
    loop_post(loop, post_then_trace, NULL);
    loop_post(loop, post_then_trace, loop);
    run();
    /* both posts, the end of their turn, the stop, the end of its turn (once more when the loop leaves) */
    assert_true(strncmp(text_cstr(&trace), "pp123123", 8) == 0);
    assert_int_equal(trace.len % 3, 2);
    text_clear(&trace);
    loop_remove_hook(loop, &first);
    loop_remove_hook(loop, &flush);
    loop_post(loop, stop, NULL);
    run();
    assert_true(trace.len > 0 && trace.ptr[0] == '2' && trace.ptr[trace.len - 1] == '2');
    text_clear(&trace);
    loop_remove_hook(loop, &second);
}

/* A stage that ends within a hook takes its own hooks away, and the memory they stand in. */
static struct loop_hook *removed[2];
static void remove_both(void *context)
{
    letter(context);
    for (size_t i = 0; i < COUNT(removed); i++) {
        loop_remove_hook(loop, removed[i]);
        memory_free(removed[i]);
    }
    loop_stop(loop);
}

static void test_hooks_removed_by_a_hook(void **state)
{
    (void)state;
    static struct loop_hook last;
    for (size_t i = 0; i < COUNT(removed); i++) {
        removed[i] = MEMORY_NEW(struct loop_hook);
        *removed[i] = (struct loop_hook){ i == 0 ? remove_both : letter, i == 0 ? "r" : "x" };
        loop_add_turn_end(loop, removed[i]);
    }
    last = (struct loop_hook){ letter, "l" };
    loop_add_turn_end(loop, &last);
    run();
    assert_true(trace.len >= 2 && trace.ptr[0] == 'r' && trace.ptr[1] == 'l');
    assert_true(slice_find_byte(text_slice(&trace), 'x') == SLICE_NOT_FOUND);
    assert_int_equal(slice_find_byte_last(text_slice(&trace), 'r'), 0);
    text_free(&trace);
    trace = (struct text){ 0 };
}

/* posts from other threads: none lost, order of each kept */
enum { POSTERS = 4, POSTS = 20000 };
struct poster {
    pthread_t thread;
    unsigned seen;
};
struct numbered {
    struct poster *poster;
    unsigned number;
};
static int posters_left;
static void take_numbered(void *context)
{
    struct numbered *numbered = context;
    assert_int_equal(numbered->number, numbered->poster->seen);
    if (++numbered->poster->seen == POSTS && --posters_left == 0)
        loop_stop(loop);
    memory_free(numbered);
}

static void *post_many(void *context)
{
    for (unsigned i = 0; i < POSTS; i++) {
        struct numbered *numbered = MEMORY_NEW(struct numbered);
        *numbered = (struct numbered){ context, i };
        loop_post(loop, take_numbered, numbered);
    }
    return NULL;
}

static void test_posts_of_other_threads(void **state)
{
    (void)state;
    struct poster posters[POSTERS] = { 0 };
    posters_left = POSTERS;
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
    run();
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(posters[i].thread, NULL);
        assert_int_equal(posters[i].seen, POSTS);
    }
}

/* work */
enum { JOBS = 500 };
static int jobs_done;
static _Atomic int jobs_run;
static void job_run(void *context)
{
    (void)context;
    assert_false(loop_is_current(loop));
    jobs_run++;
}
static void job_done(void *context)
{
    (void)context;
    assert_true(loop_is_current(loop));
    if (++jobs_done == 2 * JOBS)
        loop_stop(loop);
}

static void test_work_on_both_lanes(void **state)
{
    (void)state;
    jobs_done = 0;
    jobs_run = 0;
    for (int i = 0; i < JOBS; i++) {
        work_run(loop, WORK_DISK, job_run, job_done, NULL);
        work_run(loop, WORK_CRYPTO, job_run, job_done, NULL);
    }
    assert_int_equal(jobs_done, 0);
    run();
    assert_int_equal(jobs_run, 2 * JOBS);
}

static _Atomic int sleeping, most_sleeping;
static void job_sleep(void *context)
{
    (void)context;
    int now = ++sleeping;
    if (now > most_sleeping)
        most_sleeping = now;
    usleep(50 * 1000);
    sleeping--;
}
static void slept(void *context)
{
    (void)context;
    if (++jobs_done == 4)
        loop_stop(loop);
}

static void test_disk_lane_waits_side_by_side(void **state)
{
    (void)state;
    jobs_done = 0;
    most_sleeping = 0;
    for (int i = 0; i < 4; i++)
        work_run(loop, WORK_DISK, job_sleep, slept, NULL);
    run();
    assert_true(most_sleeping > 1);
}

static void test_free_waits_for_jobs(void **state)
{
    (void)state;
    struct loop *other = loop_new("other");
    jobs_run = 0;
    for (int i = 0; i < 20; i++)
        work_run(other, WORK_CRYPTO, job_run, job_done, NULL);
    loop_free(other); /* the completions never run, the sanitizers see that nothing is touched afterwards */
    assert_int_equal(jobs_run, 20);
}

/* poll */
static struct poll *poll_;
static int pipe_fds[2];
static void on_poll(void *context, int ready)
{
    (void)context;
    char buffer[8];
    if (ready & POLL_READ) {
        ssize_t got = read(pipe_fds[0], buffer, sizeof buffer);
        text_add_byte(&trace, got > 0 ? buffer[0] : got == 0 ? '$' : '!');
        if (got == 0) {
            poll_free(poll_); /* from within its own callback */
            loop_stop(loop);
        }
    }
}
static void write_pipe(void *context) { assert_int_equal(write(pipe_fds[1], context, 1), 1); }
static void close_pipe(void *context)
{
    (void)context;
    close(pipe_fds[1]);
}

static void test_poll(void **state)
{
    (void)state;
    struct timer timers[2] = { 0 };
    assert_int_equal(pipe(pipe_fds), 0);
    poll_ = poll_new(loop, pipe_fds[0], POLL_READ, on_poll, NULL);
    assert_non_null(poll_);
    timer_set(loop, &timers[0], 5, write_pipe, "w");
    timer_set(loop, &timers[1], 15, close_pipe, NULL);
    run();
    close(pipe_fds[0]);
    expect_trace("w$");
}

static void test_poll_refuses_a_plain_file(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_null(poll_new(loop, fileno(file), POLL_READ, on_poll, NULL));
    fclose(file);
}

static void test_signal(void **state)
{
    (void)state;
    loop_on_signal(loop, SIGUSR1, stop, NULL);
    kill(getpid(), SIGUSR1);
    run();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_timers_in_order),
        TEST(test_timer_of_zero_sets_itself),
        TEST(test_timer_far_away),
        TEST(test_many_timers),
        TEST(test_clock_of_the_loop),
        TEST(test_hooks_in_order_after_posts),
        TEST(test_hooks_removed_by_a_hook),
        TEST(test_posts_of_other_threads),
        TEST(test_work_on_both_lanes),
        TEST(test_disk_lane_waits_side_by_side),
        TEST(test_free_waits_for_jobs),
        TEST(test_poll),
        TEST(test_poll_refuses_a_plain_file),
        TEST(test_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
