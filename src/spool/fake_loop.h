#pragma once
#include "io/loop.h"
/*
 * fake_loop - for tests: the functions of io/ that the spool uses, on one thread and in an order the test chooses, so
 * that every run can be repeated. Time passes only when the test says so.
 */
struct fake_choice {
    uint64_t seed;        /* 0: lane jobs run in the order they came; else in any order */
};
void fake_set_choice(struct loop *, struct fake_choice);
void fake_turn(struct loop *);                    /* one lane job at most, what was posted, due timers, the turn's end */
void fake_run_jobs(struct loop *);                /* the lanes run dry; the loop has not heard of it yet */
void fake_settle(struct loop *);                  /* turns until nothing is left but timers */
void fake_pass(struct loop *, uint64_t ms);       /* time passes, by the millisecond, with what comes due */
void fake_wait(struct loop *, uint64_t ms);       /* the same, but the lanes get nothing done */
void fake_set_wall(struct loop *, uint64_t wall_ms);
size_t fake_jobs_waiting(const struct loop *);
