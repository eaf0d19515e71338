#pragma once
#include "io/loop.h"
/*
 * work - lanes of threads for what would make a loop wait. `run` runs on a lane's thread, `done` on the loop.
 */
enum work_lane {
    WORK_DISK,   /* waits for a disk: several threads, so that one slow sync does not hold up another */
    WORK_CRYPTO, /* uses the CPU: as many threads as cores */
    WORK_LANES
};
/* Shared by all loops of the process; started with the first call. */
void work_run(struct loop *, enum work_lane, loop_function *run, loop_function *done, void *context);
