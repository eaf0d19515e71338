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
/* Only one supervisor serves a DIR: holds DIR/run/lock until the process ends. */
MUST_CHECK bool folders_lock(struct text *error);
