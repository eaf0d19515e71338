#include "io/watcher.h"
#include <errno.h>
#include <unistd.h>

bool watcher_open(struct watcher *w, struct loop *loop, int fd, const struct watcher_kind *kind)
{
    assert(loop_is_current(loop));
    int error = uv_poll_init(&loop->uv, &w->handle, fd);
    if (error) {
        errno = -error;
        return false;
    }
    w->kind = kind;
    w->fd = fd;
    return true;
}

/* POLL_READ and POLL_WRITE have libuv's values; the mask keeps out what else it may report. */
_Static_assert(POLL_READ == (int)UV_READABLE && POLL_WRITE == (int)UV_WRITABLE, "passed on as they are");

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct watcher *w = CONTAINER_OF(handle, struct watcher, handle);
    if (status == 0) {
        w->kind->on_ready(w, events & (POLL_READ | POLL_WRITE));
        return;
    }
    /* An error waits on the descriptor, and libuv has stopped watching. The owner's next read or write will say what
     * it is, and as long as it does neither it is told again. */
    uv_poll_start(&w->handle, w->wanted, on_poll);
    w->kind->on_ready(w, w->wanted);
}

void watcher_want(struct watcher *w, int wanted)
{
    if (w->is_closing || wanted == w->wanted)
        return;
    w->wanted = (unsigned char)wanted;
    if (wanted)
        uv_poll_start(&w->handle, wanted, on_poll);
    else
        uv_poll_stop(&w->handle);
}

static void on_closed(uv_handle_t *handle)
{
    struct watcher *w = CONTAINER_OF(handle, struct watcher, handle);
    w->kind->free(w);
}

void watcher_close(struct watcher *w)
{
    assert(!w->is_closing);
    w->is_closing = true;
    w->wanted = 0;
    uv_close((uv_handle_t *)&w->handle, on_closed);
    if (w->closes_fd)
        close(w->fd);
}

static void drop(uv_handle_t *handle, void *context)
{
    (void)context;
    struct watcher *w = CONTAINER_OF(handle, struct watcher, handle);
    if (handle->type == UV_POLL && !w->is_closing)
        w->kind->drop(w);
}

void watchers_drop_all(struct loop *loop) { uv_walk(&loop->uv, drop, NULL); }
