#pragma once
#include "base/compiler.h"
#include "base/heap.h"
/*
 * loop - one event loop, one thread. Everything that belongs to a loop is touched from its thread only;
 * loop_post is the one way in from another thread.
 *
 * Turns:   a turn is: wait, run the callbacks of what happened, run the turn-end hooks in the order they were
 *          added, send what streams gathered. A callback never runs inside the call that asked for it.
 * Fence:   the only folder that includes <uv.h>; no type of libuv leaves it.
 */
struct loop;
typedef void loop_function(void *context);

struct loop *loop_new(const char *name); /* name: the thread's name in ps and gdb, at most 15 octets */
/* Runs until loop_stop. The calling thread becomes the loop's. */
void loop_run(struct loop *);
void loop_stop(struct loop *); /* from the loop's thread; loop_run returns after this turn */
/* After loop_run has returned; what is still open is closed without callbacks. */
void loop_free(struct loop *);
bool loop_is_current(const struct loop *);  /* for asserts */
uint64_t loop_now_ms(const struct loop *);  /* monotonic, taken once a turn */
uint64_t loop_wall_ms(const struct loop *); /* wall clock, taken once a turn */

/* From any thread: `function` runs on the loop later, never inside the call. Posts of one thread keep their order. */
void loop_post(struct loop *, loop_function *function, void *context);
/* Runs at the end of every turn, before the loop waits again. */
struct loop_hook {
    loop_function *function;
    void *context;
    struct loop_hook *next;
};
void loop_add_turn_end(struct loop *, struct loop_hook *);
/* Runs after all of those, beside the sending of what streams gathered: for who gathers output of its own (ipc/). */
void loop_add_flush(struct loop *, struct loop_hook *);
void loop_remove_hook(struct loop *, struct loop_hook *); /* of either kind, also from within a hook */

/* `memory` is freed with the loop: for what a post or a completion may still point at when its owner ends before. */
void loop_own(struct loop *, void *memory);

/* timer - intrusive: stands in its owner, costs no system call. {0} is a timer that is not set. */
struct timer {
    struct heap_node node;
    loop_function *function;
    void *context;
};
/* Sets or moves: runs once, `after_ms` from now. A timer that is not set is harmless to clear. */
void timer_set(struct loop *, struct timer *, uint64_t after_ms, loop_function *function, void *context);
void timer_clear(struct loop *, struct timer *);
static inline bool timer_is_set(const struct timer *t) { return heap_has(&t->node); }

/* Process signals, on the loop that asks (SIGTERM, SIGHUP, SIGCHLD...). */
void loop_on_signal(struct loop *, int signal_number, loop_function *function, void *context);
