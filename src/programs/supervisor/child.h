#pragma once
#include "ipc/ipc.h"
#include "programs/supervisor/folders.h"
#include <sys/types.h>
/*
 * child - one process of ours: started by fork and exec of this same binary under its own user, with a channel on
 * PROCESS_CHANNEL_FD and DIR as working folder.
 */
struct child {
    const char *role; /* "mta" */
    struct owner owner;
    pid_t pid;        /* 0: not running */
    struct ipc_channel *channel;
    bool is_ready;
    uint64_t started_ms;   /* monotonic */
    unsigned failures;     /* ends in a row, each within a minute of its start */
    struct timer restart;
    struct supervisor *supervisor;
};
/* Opens the running binary once, so that children are the same program even after an upgrade replaced the file. */
MUST_CHECK bool child_open_program(int *program, struct text *error);
/* Starts it; false and *error when the machine refuses. */
MUST_CHECK bool child_start(struct child *, int program, bool drops_user, struct loop *, const struct ipc_handlers *,
                            struct text *error);
