#pragma once
#include "base/text.h"
/*
 * confine - a process gives up what it does not need: files by Landlock (what the kernel at hand supports), system
 * calls by seccomp. Called once, early, before any thread is started; what is given up never comes back.
 *
 * Paths are opened when called; those that do not exist are skipped. A kernel without Landlock or seccomp is not an
 * error: *text says what could not be had, and the caller tells the operator.
 */
enum confine_network {
    CONFINE_NO_INTERNET, /* no new sockets but Unix ones; descriptors passed to us still work */
    CONFINE_INTERNET,
};
struct confine_rules {
    const char *const *read_write; /* NULL-ended: folders, everything below them */
    const char *const *read_only;
    enum confine_network network;
};
/* False: the confinement that the kernel offers was refused (*text says which). */
MUST_CHECK bool confine_self(const struct confine_rules *, struct text *text);
