#pragma once
#include "io/loop.h"
/* poll - calls back while a descriptor that is not ours to read (a library's, a socket pair) is ready. */
struct poll;
enum { POLL_READ = 1, POLL_WRITE = 2 };
typedef void poll_function(void *context, int ready);
struct poll *poll_new(struct loop *, int fd, int wanted, poll_function *, void *context);
void poll_want(struct poll *, int wanted);
void poll_free(struct poll *); /* does not close the descriptor */
