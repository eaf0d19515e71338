#include "base/memory.h"
#include "io/stream_inside.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 4096, /* the kernel lowers it to net.core.somaxconn */
    ACCEPTS_A_TURN = 64,
    RETRY_MS = 100,
};

struct listener {
    struct watcher watcher;
    listener_accepted *accepted;
    listener_trouble *trouble;
    void *context;
    struct timer retry;
    bool is_paused, in_trouble;
};

static void set_wanted(struct listener *l)
{
    watcher_want(&l->watcher, l->is_paused || timer_is_set(&l->retry) ? 0 : POLL_READ);
}

static void retry(void *context) { set_wanted(context); }

/* No descriptors or memory: connections wait in the kernel's queue, and we look again a little later rather than be
 * woken for each turn in vain. */
static void wait_for_better_times(struct listener *l, int error_number)
{
    timer_set(watcher_loop(&l->watcher), &l->retry, RETRY_MS, retry, l);
    set_wanted(l);
    if (l->in_trouble)
        return;
    l->in_trouble = true;
    if (l->trouble)
        l->trouble(l->context, error_number);
}

static bool is_shortage(int error_number)
{
    return error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS || error_number == ENOMEM;
}

/* False when there is nothing more to accept now. */
static bool accept_one(struct listener *l)
{
    struct sockaddr_storage peer = { 0 };
    socklen_t length = sizeof peer;
    int fd = accept4(l->watcher.fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && is_shortage(errno))
        wait_for_better_times(l, errno);
    if (fd < 0) /* else the connection went away before we took it (accept(2)): the next one may be good */
        return errno == ECONNABORTED || errno == EINTR || errno == EPROTO;
    struct stream *s = stream_new(watcher_loop(&l->watcher), fd);
    if (!s) {
        wait_for_better_times(l, errno);
        close(fd);
        return false;
    }
    l->in_trouble = false;
    stream_set_address(&s->peer, &peer);
    l->accepted(l->context, s);
    return true;
}

static void on_ready(struct watcher *w, int ready)
{
    (void)ready;
    struct listener *l = CONTAINER_OF(w, struct listener, watcher);
    for (int i = 0; i < ACCEPTS_A_TURN && l->watcher.wanted; i++)
        if (!accept_one(l))
            break;
}

static void free_listener(struct watcher *w) { memory_free(CONTAINER_OF(w, struct listener, watcher)); }

static void drop(struct watcher *w) { listener_free(CONTAINER_OF(w, struct listener, watcher)); }

static const struct watcher_kind kind = { on_ready, drop, free_listener };

struct listener *listener_new(struct loop *loop, int fd, listener_accepted *accepted, void *context)
{
    struct listener *l = MEMORY_NEW(struct listener);
    l->accepted = accepted;
    l->context = context;
    if (!watcher_open(&l->watcher, loop, fd, &kind)) {
        memory_free(l);
        return NULL;
    }
    l->watcher.closes_fd = true;
    int one = 1;
    /* accepted sockets inherit it: no system call for each. A Unix socket does not know it. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    set_wanted(l);
    return l;
}

void listener_on_trouble(struct listener *l, listener_trouble *trouble) { l->trouble = trouble; }

void listener_pause(struct listener *l)
{
    l->is_paused = true;
    set_wanted(l);
}

void listener_resume(struct listener *l)
{
    l->is_paused = false;
    set_wanted(l);
}

void listener_free(struct listener *l)
{
    if (!l)
        return;
    timer_clear(watcher_loop(&l->watcher), &l->retry);
    watcher_close(&l->watcher);
}

/* making the socket ------------------------------------------------------------------------------------------- */

static bool set_option(int fd, int level, int option)
{
    int one = 1;
    return setsockopt(fd, level, option, &one, sizeof one) == 0;
}

static int close_failed(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int listener_bind(const struct address *address, bool reuse_port)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    bool ok = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    ok = ok && (!reuse_port || set_option(fd, SOL_SOCKET, SO_REUSEPORT));
    ok = ok && (!address_is_v6(address) || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY));
    ok = ok && bind(fd, &address->any, address_length(address)) == 0 && listen(fd, BACKLOG) == 0;
    return ok ? fd : close_failed(fd);
}

/* A socket file that a dead process left behind refuses connections; one that is served does not. */
static bool is_stale(const struct sockaddr_un *name)
{
    struct stat status;
    if (lstat(name->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, (const struct sockaddr *)name, sizeof *name) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

int listener_bind_unix(const char *path, unsigned mode)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    size_t length = strlen(path);
    if (length >= sizeof name.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name.sun_path, path, length + 1);
    if (is_stale(&name))
        unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* nobody can connect between bind and chmod: it does not listen yet */
    bool ok =
        bind(fd, (struct sockaddr *)&name, sizeof name) == 0 && chmod(path, mode) == 0 && listen(fd, BACKLOG) == 0;
    return ok ? fd : close_failed(fd);
}
