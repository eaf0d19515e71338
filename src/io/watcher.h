#pragma once
#include "io/inside.h"
#include "io/poll.h"
/*
 * watcher - a descriptor on the loop: what streams, listeners and poll have in common. It stands in its owner, which
 * is freed by kind->free once the loop has let go of it.
 */
struct watcher;
struct watcher_kind {
    void (*on_ready)(struct watcher *, int ready); /* POLL_READ | POLL_WRITE */
    void (*drop)(struct watcher *);                /* the loop ends: watcher_close, without callbacks */
    void (*free)(struct watcher *);
};
struct watcher {
    uv_poll_t handle;
    const struct watcher_kind *kind;
    int fd;
    unsigned char wanted; /* POLL_READ | POLL_WRITE */
    bool closes_fd, is_closing;
};

/* False and errno when the kernel cannot watch such a descriptor; then nothing was taken. Makes it non-blocking. */
MUST_CHECK bool watcher_open(struct watcher *, struct loop *, int fd, const struct watcher_kind *);
void watcher_want(struct watcher *, int wanted);
/* Once: no callback comes any more; kind->free follows in a later turn. */
void watcher_close(struct watcher *);
static inline struct loop *watcher_loop(const struct watcher *w)
{
    return CONTAINER_OF(w->handle.loop, struct loop, uv);
}
void watchers_drop_all(struct loop *);
