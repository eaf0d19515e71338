#pragma once
#include "base/text.h"
/*
 * rotating_file - a file of lines that is written in large pieces and rotated by size: NAME, NAME.1 (the newest old
 * one) up to NAME.keep_files.
 *
 * Faults:  a write that fails (a full disk) never stops the caller. What waits is kept up to PENDING_MAX octets and
 * tried again after a second; lines past that are dropped and counted. One line is never written in part only: the rest
 *          of it comes first at the next try.
 * Threads: one.
 */
struct rotating_file {
    int folder_fd, fd; /* -1: not open */
    struct text name;
    uint64_t size_octets, rotate_octets;
    unsigned keep_files;
    struct text pending;
    uint64_t retry_at_ms;   /* 0: works */
    uint64_t dropped_lines; /* since it last worked */
};
enum rotating_file_result {
    ROTATING_FILE_OK,
    ROTATING_FILE_FAILED, /* newly: errno in *error_number */
    ROTATING_FILE_STILL_FAILED,
    ROTATING_FILE_WORKS_AGAIN, /* *dropped_lines says how many are missing */
};
/* Makes the folder (not its parents) when it is missing. */
MUST_CHECK bool rotating_file_open(struct rotating_file *, const char *folder, slice name, struct text *error);
/* A line with its end, already behind pending from `start`: true when it stays, false when it was dropped. */
bool rotating_file_keep_line(struct rotating_file *, size_t start);
enum rotating_file_result rotating_file_flush(struct rotating_file *, uint64_t now_ms, int *error_number,
                                              uint64_t *dropped_lines);
/* Opens NAME again when somebody else has moved it. */
void rotating_file_reopen(struct rotating_file *);
void rotating_file_close(struct rotating_file *);
