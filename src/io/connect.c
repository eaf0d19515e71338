#include "base/clock.h"
#include "base/memory.h"
#include "io/stream_inside.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { UNIX_RETRY_MS = 20 };

struct connecting {
    struct loop *loop;
    struct stream *stream; /* NULL: there was not even a socket */
    struct timer timer;
    stream_connected *connected;
    void *context;
    enum io_result failed_why;
    uint64_t deadline_ms;
    struct sockaddr_un unix_name;
};

static void report(struct connecting *c, struct stream *stream, enum io_result result)
{
    timer_clear(c->loop, &c->timer);
    stream_connected *connected = c->connected;
    void *context = c->context;
    memory_free(c);
    connected(context, stream, result);
}

static void fail(void *context)
{
    struct connecting *c = context;
    if (c->stream)
        stream_finish(c->stream);
    report(c, NULL, c->failed_why);
}

/* Never inside stream_connect: by a timer that is due at once. */
static void fail_later(struct connecting *c, int error_number)
{
    c->failed_why = io_from_errno(error_number);
    timer_set(c->loop, &c->timer, 0, fail, c);
}

void stream_connection_ready(struct stream *s)
{
    struct connecting *c = s->connecting;
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(s->watcher.fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        error = errno;
    if (error) {
        c->failed_why = io_from_errno(error);
        fail(c);
        return;
    }
    s->connecting = NULL;
    s->state = STREAM_OPEN;
    s->is_blocked = false;
    stream_set_wanted(s);
    report(c, s, IO_OK);
}

void stream_drop_connecting(struct stream *s)
{
    struct connecting *c = s->connecting;
    timer_clear(c->loop, &c->timer);
    stream_finish(s);
    memory_free(c);
}

static void wait_for_connection(struct connecting *c)
{
    uint64_t now = loop_now_ms(c->loop);
    c->failed_why = IO_TIMEOUT;
    timer_set(c->loop, &c->timer, c->deadline_ms > now ? c->deadline_ms - now : 0, fail, c);
    c->stream->is_blocked = true;
    stream_set_wanted(c->stream);
}

/* A Unix listener whose queue is full says EAGAIN and offers nothing to wait on (connect(2)): asked again. */
static void connect_unix(void *context)
{
    struct connecting *c = context;
    if (connect(c->stream->watcher.fd, (struct sockaddr *)&c->unix_name, sizeof c->unix_name) == 0)
        wait_for_connection(c);
    else if (errno != EAGAIN)
        fail_later(c, errno);
    else if (loop_now_ms(c->loop) >= c->deadline_ms)
        fail_later(c, ETIMEDOUT);
    else
        timer_set(c->loop, &c->timer, UNIX_RETRY_MS, connect_unix, c);
}

static void connect_inet(struct connecting *c, const struct connect_params *params)
{
    int fd = c->stream->watcher.fd, one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* a turn's output is one write already */
    if (params->source) {
        /* the port is chosen by connect: one source address serves 64k connections to each peer, not in all */
        if (address_port(params->source) == 0)
            (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, &params->source->any, address_length(params->source)) != 0) {
            fail_later(c, errno);
            return;
        }
    }
    if (connect(fd, &params->peer.any, address_length(&params->peer)) == 0 || errno == EINPROGRESS)
        wait_for_connection(c);
    else
        fail_later(c, errno);
}

/* False and errno: no socket, or a name that does not fit. */
static bool make_stream(struct connecting *c, const struct connect_params *params)
{
    int family = params->unix_path ? AF_UNIX : params->peer.any.sa_family;
    if (params->unix_path) {
        size_t length = strlen(params->unix_path);
        if (length >= sizeof c->unix_name.sun_path) {
            errno = ENAMETOOLONG;
            return false;
        }
        c->unix_name.sun_family = AF_UNIX;
        memcpy(c->unix_name.sun_path, params->unix_path, length + 1);
    }
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    c->stream = stream_new(c->loop, fd);
    if (!c->stream) {
        int error = errno;
        close(fd);
        errno = error;
        return false;
    }
    c->stream->state = STREAM_CONNECTING;
    c->stream->connecting = c;
    if (params->unix_path)
        c->stream->peer.any.sa_family = AF_UNIX;
    else
        c->stream->peer = params->peer;
    return true;
}

struct connecting *stream_connect(struct loop *loop, const struct connect_params *params, stream_connected *connected,
                                  void *context)
{
    assert(loop_is_current(loop));
    struct connecting *c = MEMORY_NEW(struct connecting);
    c->loop = loop;
    c->connected = connected;
    c->context = context;
    if (ADD_OVERFLOWS(loop_now_ms(loop), params->timeout_ms, &c->deadline_ms))
        c->deadline_ms = UINT64_MAX;
    if (!make_stream(c, params))
        fail_later(c, errno);
    else if (params->unix_path)
        connect_unix(c);
    else
        connect_inet(c, params);
    return c;
}

void stream_connect_cancel(struct connecting *c)
{
    assert(loop_is_current(c->loop));
    if (c->stream)
        stream_drop_connecting(c->stream);
    else {
        timer_clear(c->loop, &c->timer);
        memory_free(c);
    }
}
