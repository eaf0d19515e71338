#pragma once
#include "config/config.h"
#include <sys/types.h>
/*
 * folders - DIR and what stands in it, made at start with the right owners; and who the processes run as.
 */
struct owner {
    uid_t uid;
    gid_t gid;
};
struct owners {
    struct owner self, mta, keyring, mailbox;
    bool are_separate; /* false: everything runs as the caller (not root, or `local` without system users) */
};
/* Looks the configured users up. False and *error, with the command that makes them, when root lacks one. */
MUST_CHECK bool owners_find(struct owners *, const struct config *, bool users_are_optional, struct text *error);
/* Makes DIR and its folders where missing and makes DIR the working folder. */
MUST_CHECK bool folders_prepare(const char *dir, const struct owners *, struct text *error);
/* Only one server works in a DIR: *lock is held on DIR/run/lock until the last process that has it ends, children
 * included; those of a supervisor that was killed are waited for (15 s). */
MUST_CHECK bool folders_lock(int *lock, struct text *error);
