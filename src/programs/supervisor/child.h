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
    pid_t pid; /* 0: not running */
    struct ipc_channel *channel;
    bool is_ready;
    uint64_t started_ms; /* monotonic */
    unsigned failures;   /* ends in a row, each within a minute of its start */
    struct timer restart;
    struct supervisor *supervisor;
};
/* Opens the running binary once, so that children are the same program even after an upgrade replaced the file. */
MUST_CHECK bool child_open_program(int *program, struct text *error);
struct child_program {
    int program; /* child_open_program's */
    int lock;    /* folders_lock's: the child holds it too */
    bool drops_user;
};
/* Starts it; false and *error when the machine refuses. */
MUST_CHECK bool child_start(struct child *, const struct child_program *, struct loop *, const struct ipc_handlers *,
                            struct text *error);
