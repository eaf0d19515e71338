#include "spool/fake_loop.h"
#include "base/memory.h"
#include "io/work.h"
#include <string.h>

struct fake_job {
    loop_function *run, *done;
    void *context;
};
struct fake_post {
    loop_function *function;
    void *context;
};
struct loop {
    uint64_t now_ms, wall_ms, random;
    struct loop_hook *hooks;
    struct heap timers;
    struct fake_job jobs[256];
    struct fake_post posts[1024];
    size_t job_count, post_count;
    void **owned; /* of as many spools as a test opens and closes */
    size_t owned_count;
};

struct loop *loop_new(const char *name)
{
    (void)name;
    struct loop *loop = MEMORY_NEW(struct loop);
    loop->now_ms = 1000;
    loop->wall_ms = 1764000000000;
    return loop;
}

void loop_own(struct loop *loop, void *memory)
{
    loop->owned = memory_resize(loop->owned, (loop->owned_count + 1) * sizeof(*loop->owned));
    loop->owned[loop->owned_count++] = memory;
}

void loop_free(struct loop *loop)
{
    for (size_t i = 0; i < loop->owned_count; i++)
        memory_free(loop->owned[i]);
    memory_free(loop->owned);
    heap_free(&loop->timers);
    memory_free(loop);
}

bool loop_is_current(const struct loop *loop) { return loop != NULL; }
uint64_t loop_now_ms(const struct loop *loop) { return loop->now_ms; }
uint64_t loop_wall_ms(const struct loop *loop) { return loop->wall_ms; }

void loop_post(struct loop *loop, loop_function *function, void *context)
{
    assert(loop->post_count < COUNT(loop->posts));
    loop->posts[loop->post_count++] = (struct fake_post){ function, context };
}

void loop_add_turn_end(struct loop *loop, struct loop_hook *hook)
{
    hook->next = loop->hooks;
    loop->hooks = hook;
}

void loop_remove_hook(struct loop *loop, struct loop_hook *hook)
{
    struct loop_hook **place = &loop->hooks;
    while (*place && *place != hook)
        place = &(*place)->next;
    if (*place)
        *place = hook->next;
}

void timer_set(struct loop *loop, struct timer *timer, uint64_t after_ms, loop_function *function, void *context)
{
    timer->function = function;
    timer->context = context;
    heap_set(&loop->timers, &timer->node, loop->now_ms + after_ms);
}

void timer_clear(struct loop *loop, struct timer *timer) { heap_remove(&loop->timers, &timer->node); }

void work_run(struct loop *loop, enum work_lane lane, loop_function *run, loop_function *done, void *context)
{
    (void)lane;
    assert(loop->job_count < COUNT(loop->jobs));
    loop->jobs[loop->job_count++] = (struct fake_job){ run, done, context };
}

void fake_set_choice(struct loop *loop, struct fake_choice choice) { loop->random = choice.seed; }
void fake_set_wall(struct loop *loop, uint64_t wall_ms) { loop->wall_ms = wall_ms; }
size_t fake_jobs_waiting(const struct loop *loop) { return loop->job_count; }

static size_t choose(struct loop *loop, size_t count)
{
    if (loop->random == 0)
        return 0;
    loop->random = loop->random * 6364136223846793005u + 1442695040888963407u;
    return (loop->random >> 33) % count;
}

static void run_one_job(struct loop *loop)
{
    if (loop->job_count == 0)
        return;
    size_t place = choose(loop, loop->job_count);
    struct fake_job job = loop->jobs[place];
    loop->job_count--;
    memmove(&loop->jobs[place], &loop->jobs[place + 1], (loop->job_count - place) * sizeof(job));
    job.run(job.context);
    loop_post(loop, job.done, job.context);
}

void fake_run_jobs(struct loop *loop)
{
    while (loop->job_count > 0)
        run_one_job(loop);
}

static void end_turn(struct loop *loop)
{
    size_t count = loop->post_count;
    struct fake_post posts[COUNT(loop->posts)];
    memcpy(posts, loop->posts, count * sizeof(posts[0]));
    loop->post_count = 0;
    for (size_t i = 0; i < count; i++)
        posts[i].function(posts[i].context);
    for (struct heap_node *first; (first = heap_first(&loop->timers)) && first->key <= loop->now_ms;) {
        struct timer *timer = CONTAINER_OF(heap_take_first(&loop->timers), struct timer, node);
        timer->function(timer->context);
    }
    for (struct loop_hook *hook = loop->hooks, *next; hook; hook = next) {
        next = hook->next;
        hook->function(hook->context);
    }
}

void fake_turn(struct loop *loop)
{
    run_one_job(loop);
    end_turn(loop);
}

void fake_wait(struct loop *loop, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        loop->now_ms++;
        loop->wall_ms++;
        end_turn(loop);
    }
}

void fake_settle(struct loop *loop)
{
    do
        fake_turn(loop);
    while (loop->job_count > 0 || loop->post_count > 0);
}

void fake_pass(struct loop *loop, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        loop->now_ms++;
        loop->wall_ms++;
        fake_turn(loop);
    }
    fake_settle(loop);
}
