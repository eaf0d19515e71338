#pragma once
#include "base/list.h"
#include "io/loop.h"
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>
/*
 * inside - what the files of io/ share and nobody else sees: the loop's own parts.
 *
 * One turn, as libuv runs it: timers, `awake` (own posts, notices), `turn_end` (hooks, then what streams gathered),
 * wait, callbacks of descriptors. So `turn_end` is the last thing before each wait.
 */
struct post {
    loop_function *function;
    void *context;
};
struct post_queue {
    struct post *posts;
    size_t count, capacity;
};

enum {
    READ_BUFFER_OCTETS = 64 * 1024,
    CHUNK_DATA_OCTETS = 4096 - 48,
    CHUNKS_KEPT_MAX = 256, /* 1 MiB of free chunks stay with the loop */
};

struct chunk;
struct loop {
    struct owned *owned; /* loop_own */
    uv_loop_t uv;
    uv_prepare_t turn_end;
    uv_idle_t awake; /* active while something waits that must run before the next sleep */
    uv_async_t wake; /* somebody else posted */
    uv_timer_t alarm;
    uint64_t alarm_due_ms; /* UINT64_MAX: not set */
    bool alarm_is_running; /* its callback is on the stack and will set it again */
    bool stops;
    atomic_uintptr_t owner; /* which thread: the address of a variable of its own */

    struct heap timers;
    struct loop_hook *hooks, *flush_hooks;
    struct loop_hook *next_hook; /* while they run */

    struct post_queue own; /* posted by the loop's own thread */
    pthread_mutex_t lock;
    struct post_queue others; /* guarded by lock */

    struct list to_flush; /* streams with something to send at the end of the turn */
    struct list notices;  /* streams whose owner is to be told something, outside of its own calls */
    struct chunk *free_chunks, *released;
    size_t free_chunks_count;
    struct list signals;

    char *read_buffer;
    uint64_t wall_ms, wall_taken_at_ms;
    atomic_size_t jobs; /* given to the work lanes and not yet posted back */
    char name[16];
};

/* The loop does not sleep before `awake` has run. */
void loop_stay_awake(struct loop *);
void loop_run_timers(uv_timer_t *);
void stream_give_notices(struct loop *);
void stream_flush_gathered(struct loop *);
/* Runs the release functions of shared octets that have left. */
void output_run_released(struct loop *);
void output_free_chunks(struct loop *);
