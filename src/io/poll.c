#include "io/poll.h"
#include "base/memory.h"
#include "io/watcher.h"

struct poll {
    struct watcher watcher;
    poll_function *function;
    void *context;
};

static void on_ready(struct watcher *w, int ready)
{
    struct poll *poll = CONTAINER_OF(w, struct poll, watcher);
    poll->function(poll->context, ready);
}

static void free_poll(struct watcher *w) { memory_free(CONTAINER_OF(w, struct poll, watcher)); }

static const struct watcher_kind kind = { on_ready, watcher_close, free_poll };

struct poll *poll_new(struct loop *loop, int fd, int wanted, poll_function *function, void *context)
{
    struct poll *poll = MEMORY_NEW(struct poll);
    poll->function = function;
    poll->context = context;
    if (!watcher_open(&poll->watcher, loop, fd, &kind)) {
        memory_free(poll);
        return NULL;
    }
    watcher_want(&poll->watcher, wanted);
    return poll;
}

void poll_want(struct poll *poll, int wanted) { watcher_want(&poll->watcher, wanted); }

void poll_free(struct poll *poll)
{
    if (poll)
        watcher_close(&poll->watcher);
}
