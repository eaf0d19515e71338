#include "io/loop.h"
#include "base/clock.h"
#include "base/memory.h"
#include "io/inside.h"
#include "io/watcher.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static uintptr_t this_thread(void)
{
    static _Thread_local char own;
    return (uintptr_t)&own;
}

bool loop_is_current(const struct loop *loop) { return atomic_load(&loop->owner) == this_thread(); }

uint64_t loop_now_ms(const struct loop *loop) { return uv_now(&loop->uv); }

uint64_t loop_wall_ms(const struct loop *loop)
{
    struct loop *own = (struct loop *)loop; /* a remembered answer changes nothing that a reader could see */
    if (own->wall_taken_at_ms != uv_now(&loop->uv) || own->wall_ms == 0) {
        own->wall_ms = clock_wall_ms();
        own->wall_taken_at_ms = uv_now(&loop->uv);
    }
    return own->wall_ms;
}

/* posts ------------------------------------------------------------------------------------------------------- */

static void queue_add(struct post_queue *queue, loop_function *function, void *context)
{
    if (queue->count == queue->capacity) {
        queue->capacity = size_max(queue->capacity * 2, 64);
        queue->posts = memory_resize(queue->posts, queue->capacity * sizeof(struct post));
    }
    queue->posts[queue->count++] = (struct post){ function, context };
}

static void queue_run(struct post_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        queue->posts[i].function(queue->posts[i].context);
    memory_free(queue->posts);
}

void loop_post(struct loop *loop, loop_function *function, void *context)
{
    if (loop_is_current(loop)) {
        queue_add(&loop->own, function, context);
        loop_stay_awake(loop);
        return;
    }
    pthread_mutex_lock(&loop->lock);
    bool was_empty = loop->others.count == 0;
    queue_add(&loop->others, function, context);
    /* inside the lock: once outside, the loop may already have run the post and be gone */
    if (was_empty)
        uv_async_send(&loop->wake);
    pthread_mutex_unlock(&loop->lock);
}

static void on_wake(uv_async_t *wake)
{
    struct loop *loop = CONTAINER_OF(wake, struct loop, wake);
    pthread_mutex_lock(&loop->lock);
    struct post_queue queue = loop->others;
    loop->others = (struct post_queue){ 0 };
    pthread_mutex_unlock(&loop->lock);
    queue_run(&queue);
}

static void on_awake(uv_idle_t *awake)
{
    struct loop *loop = CONTAINER_OF(awake, struct loop, awake);
    /* stopped first: what the callbacks below post starts it again */
    uv_idle_stop(awake);
    struct post_queue queue = loop->own;
    loop->own = (struct post_queue){ 0 };
    queue_run(&queue);
    stream_give_notices(loop);
}

void loop_stay_awake(struct loop *loop) { uv_idle_start(&loop->awake, on_awake); }

/* the end of a turn ------------------------------------------------------------------------------------------- */

static void add_hook(struct loop_hook **hooks, struct loop_hook *hook)
{
    while (*hooks)
        hooks = &(*hooks)->next;
    *hooks = hook;
    hook->next = NULL;
}

static bool remove_hook(struct loop_hook **hooks, struct loop_hook *hook)
{
    while (*hooks && *hooks != hook)
        hooks = &(*hooks)->next;
    if (!*hooks)
        return false;
    *hooks = hook->next;
    return true;
}

void loop_add_turn_end(struct loop *loop, struct loop_hook *hook) { add_hook(&loop->hooks, hook); }
void loop_add_flush(struct loop *loop, struct loop_hook *hook) { add_hook(&loop->flush_hooks, hook); }

void loop_remove_hook(struct loop *loop, struct loop_hook *hook)
{
    if (loop->next_hook == hook)
        loop->next_hook = hook->next;
    if (!remove_hook(&loop->hooks, hook))
        (void)remove_hook(&loop->flush_hooks, hook);
}

/* A hook may remove itself and others, and free them. */
static void run_hooks(struct loop *loop, struct loop_hook *first)
{
    loop->next_hook = first;
    while (loop->next_hook) {
        struct loop_hook *hook = loop->next_hook;
        loop->next_hook = hook->next;
        hook->function(hook->context);
    }
}

static void on_turn_end(uv_prepare_t *turn_end)
{
    struct loop *loop = CONTAINER_OF(turn_end, struct loop, turn_end);
    run_hooks(loop, loop->hooks);
    stream_flush_gathered(loop);
    run_hooks(loop, loop->flush_hooks);
    output_run_released(loop);
    if (!list_is_empty(&loop->to_flush) || loop->released)
        loop_stay_awake(loop);
}

/* signals ----------------------------------------------------------------------------------------------------- */

struct signal_watch {
    uv_signal_t handle;
    struct list node;
    loop_function *function;
    void *context;
};

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct signal_watch *watch = CONTAINER_OF(handle, struct signal_watch, handle);
    watch->function(watch->context);
}

void loop_on_signal(struct loop *loop, int signal_number, loop_function *function, void *context)
{
    assert(loop_is_current(loop));
    struct signal_watch *watch = MEMORY_NEW(struct signal_watch);
    watch->function = function;
    watch->context = context;
    list_append(&loop->signals, &watch->node);
    uv_signal_init(&loop->uv, &watch->handle);
    uv_signal_start(&watch->handle, on_signal, signal_number);
}

static void free_signal(uv_handle_t *handle) { memory_free(CONTAINER_OF(handle, struct signal_watch, handle)); }

/* beginning and end ------------------------------------------------------------------------------------------- */

/* libuv fails here only when the process has no descriptors left: nothing could be served. */
static void must_work(int error, const char *what)
{
    if (error) {
        fprintf(stderr, "postrider: cannot make an event loop: %s: %s\n", what, uv_strerror(error));
        abort();
    }
}

struct loop *loop_new(const char *name)
{
    struct loop *loop = MEMORY_NEW(struct loop);
    snprintf(loop->name, sizeof loop->name, "%s", name);
    must_work(uv_loop_init(&loop->uv), "epoll");
    must_work(uv_async_init(&loop->uv, &loop->wake, on_wake), "eventfd");
    uv_prepare_init(&loop->uv, &loop->turn_end);
    uv_idle_init(&loop->uv, &loop->awake);
    uv_timer_init(&loop->uv, &loop->alarm);
    loop->alarm_due_ms = UINT64_MAX;
    uv_prepare_start(&loop->turn_end, on_turn_end);
    pthread_mutex_init(&loop->lock, NULL);
    list_init(&loop->to_flush);
    list_init(&loop->notices);
    list_init(&loop->signals);
    loop->read_buffer = memory_resize(NULL, READ_BUFFER_OCTETS);
    atomic_store(&loop->owner, this_thread());
    /* a peer that went away is an error of the write, not the end of the process */
    signal(SIGPIPE, SIG_IGN);
    return loop;
}

void loop_run(struct loop *loop)
{
    atomic_store(&loop->owner, this_thread());
    if (loop->name[0])
        pthread_setname_np(pthread_self(), loop->name);
    loop->stops = false;
    uv_update_time(&loop->uv);
    while (!loop->stops)
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    /* libuv stops right behind the callbacks of descriptors: the last turn wants its end too */
    on_turn_end(&loop->turn_end);
}

void loop_stop(struct loop *loop)
{
    assert(loop_is_current(loop));
    loop->stops = true;
    uv_stop(&loop->uv);
}

struct owned {
    struct owned *next;
    void *memory;
};

void loop_own(struct loop *loop, void *memory)
{
    assert(loop_is_current(loop));
    struct owned *owned = MEMORY_NEW(struct owned);
    *owned = (struct owned){ loop->owned, memory };
    loop->owned = owned;
}

static void free_owned(struct loop *loop)
{
    for (struct owned *owned = loop->owned, *next; owned; owned = next) {
        next = owned->next;
        memory_free(owned->memory);
        memory_free(owned);
    }
}

static void wait_for_jobs(struct loop *loop)
{
    /* a lane still holds a pointer to the loop; rare, and short: only at the end of a process or of a test */
    const struct timespec moment = { .tv_nsec = 1000 * 1000 };
    while (atomic_load(&loop->jobs) > 0)
        nanosleep(&moment, NULL);
    pthread_mutex_lock(&loop->lock); /* the last post may still stand in its critical section */
    pthread_mutex_unlock(&loop->lock);
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    atomic_store(&loop->owner, this_thread());
    wait_for_jobs(loop);
    watchers_drop_all(loop);
    LIST_EACH(&loop->signals, node)
        uv_close((uv_handle_t *)&LIST_ITEM(node, struct signal_watch, node)->handle, free_signal);
    uv_close((uv_handle_t *)&loop->turn_end, NULL);
    uv_close((uv_handle_t *)&loop->awake, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    int error = uv_loop_close(&loop->uv);
    assert(error == 0);
    (void)error;
    output_run_released(loop);
    output_free_chunks(loop);
    free_owned(loop);
    heap_free(&loop->timers);
    memory_free(loop->own.posts);
    memory_free(loop->others.posts);
    memory_free(loop->read_buffer);
    pthread_mutex_destroy(&loop->lock);
    memory_free(loop);
}
