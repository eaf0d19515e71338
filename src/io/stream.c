#include "base/memory.h"
#include "io/stream_inside.h"
#include <errno.h>
#include <sys/socket.h>

static void on_ready(struct watcher *, int ready);
static void drop(struct watcher *);
static void free_stream(struct watcher *);
static const struct watcher_kind kind = { on_ready, drop, free_stream };

static struct loop *loop_of(const struct stream *s) { return watcher_loop(&s->watcher); }

struct stream *stream_new(struct loop *loop, int fd)
{
    struct stream *s = MEMORY_NEW(struct stream);
    if (!watcher_open(&s->watcher, loop, fd, &kind)) {
        memory_free(s);
        return NULL;
    }
    s->watcher.closes_fd = true;
    s->state = STREAM_OPEN;
    list_init(&s->to_flush);
    list_init(&s->notices);
    return s;
}

static void free_stream(struct watcher *w)
{
    struct stream *s = CONTAINER_OF(w, struct stream, watcher);
    if (s->filter)
        s->filter->functions->free(s->filter);
    if (s->held)
        text_free(s->held);
    memory_free(s->held);
    memory_free(s);
}

static void drop(struct watcher *w)
{
    struct stream *s = CONTAINER_OF(w, struct stream, watcher);
    if (s->state == STREAM_CONNECTING)
        stream_drop_connecting(s);
    else
        stream_finish(s);
}

void stream_finish(struct stream *s)
{
    struct loop *loop = loop_of(s);
    s->state = STREAM_GONE;
    s->events = NULL;
    list_remove(&s->to_flush);
    list_remove(&s->notices);
    timer_clear(loop, &s->deadline);
    output_clear(loop, &s->network);
    output_clear(loop, &s->plain);
    watcher_close(&s->watcher);
}

/* What was decrypted during a pause, and the end that stood behind it, come before anything new. */
static bool wants_bytes(const struct stream *s)
{
    return s->state == STREAM_OPEN && s->is_reading && !s->has_ended && s->events && !s->held && !s->held_end;
}

void stream_set_wanted(struct stream *s)
{
    bool reads = s->state == STREAM_LINGERING || wants_bytes(s);
    watcher_want(&s->watcher, (reads ? POLL_READ : 0) | (s->is_blocked ? POLL_WRITE : 0));
}

void stream_note(struct stream *s, int notice)
{
    s->notice = (unsigned char)(s->notice | notice);
    if (!list_is_linked(&s->notices))
        list_append(&loop_of(s)->notices, &s->notices);
    loop_stay_awake(loop_of(s));
}

/* reading ----------------------------------------------------------------------------------------------------- */

/* The one place where the owner hears of the end. A handshake that fails is reported by on_secured alone. */
static void tell_end(struct stream *s, enum io_result why)
{
    if (s->has_ended || s->state != STREAM_OPEN || !s->events)
        return;
    s->has_ended = true;
    stream_set_wanted(s);
    if (stream_in_handshake(s) && s->events->on_secured)
        s->events->on_secured(s->context, why);
    else
        s->events->on_end(s->context, why);
}

static void take_from_network(struct stream *s, slice octets)
{
    if (!s->filter) {
        s->events->on_bytes(s->context, octets);
        return;
    }
    enum io_result result = s->filter->functions->on_network(s->filter, octets);
    if (result == IO_OK)
        return;
    if (s->is_reading && !s->held)
        tell_end(s, result);
    else
        s->held_end = (unsigned char)result;
}

/* A peer that goes on talking while we close: only its end is waited for. */
static void discard(struct stream *s)
{
    char *buffer = loop_of(s)->read_buffer;
    ssize_t got = 0;
    for (int i = 0; i < READS_A_TURN; i++) {
        got = recv(s->watcher.fd, buffer, READ_BUFFER_OCTETS, MSG_DONTWAIT);
        if (got < READ_BUFFER_OCTETS)
            break;
    }
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        stream_finish(s);
}

static void read_some(struct stream *s)
{
    char *buffer = loop_of(s)->read_buffer;
    for (int i = 0; i < READS_A_TURN && wants_bytes(s); i++) {
        ssize_t got = recv(s->watcher.fd, buffer, READ_BUFFER_OCTETS, MSG_DONTWAIT);
        if (got > 0) {
            take_from_network(s, slice_from(buffer, (size_t)got));
            if (got < READ_BUFFER_OCTETS)
                break;
        } else if (got == 0) {
            tell_end(s, s->broken_why ? (enum io_result)s->broken_why : IO_END);
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            tell_end(s, s->broken_why ? (enum io_result)s->broken_why : io_from_errno(errno));
        }
    }
}

/* events of the descriptor, and notices ----------------------------------------------------------------------- */

static void on_ready(struct watcher *w, int ready)
{
    struct stream *s = CONTAINER_OF(w, struct stream, watcher);
    if (s->state == STREAM_CONNECTING) {
        stream_connection_ready(s);
        return;
    }
    if (ready & POLL_WRITE) {
        s->is_blocked = false;
        stream_send_waiting(s);
    }
    if (!(ready & POLL_READ) || s->state == STREAM_GONE)
        return;
    if (s->state == STREAM_LINGERING)
        discard(s);
    else if (wants_bytes(s))
        read_some(s);
    else
        stream_set_wanted(s); /* paused: only now that something has come is the pause worth a system call */
}

static void give_held(struct stream *s)
{
    if (s->held && s->is_reading) {
        struct text held = *s->held;
        memory_free(s->held);
        s->held = NULL;
        s->events->on_bytes(s->context, text_slice(&held));
        text_free(&held);
    }
    if (s->held_end && s->is_reading && !s->held)
        tell_end(s, (enum io_result)s->held_end);
    stream_set_wanted(s);
}

static void give_notice(struct stream *s, int notice)
{
    if (notice & NOTICE_HELD && s->state == STREAM_OPEN && s->events)
        give_held(s);
    if (notice & NOTICE_DRAINED && s->state == STREAM_OPEN && s->events && s->events->on_drained)
        s->events->on_drained(s->context);
    if (notice & NOTICE_BROKEN) {
        if (s->broken_why != IO_TLS)
            read_some(s);
        tell_end(s, (enum io_result)s->broken_why);
    }
}

void stream_give_notices(struct loop *loop)
{
    struct list notices, *node;
    if (list_is_empty(&loop->notices))
        return;
    list_init(&notices); /* what the callbacks ask for comes in the next turn */
    notices = loop->notices;
    notices.next->previous = notices.previous->next = &notices;
    list_init(&loop->notices);
    while ((node = list_take_first(&notices))) {
        struct stream *s = LIST_ITEM(node, struct stream, notices);
        int notice = s->notice;
        s->notice = 0;
        give_notice(s, notice);
    }
}

/* the owner's side -------------------------------------------------------------------------------------------- */

void stream_start(struct stream *s, const struct stream_events *events, void *context)
{
    assert(loop_is_current(loop_of(s)) && s->state == STREAM_OPEN);
    s->events = events;
    s->context = context;
    stream_resume(s);
    if (s->broken_why)
        stream_note(s, NOTICE_BROKEN);
}

/* The watch on the descriptor stays: most pauses end before anything comes, and then cost nothing. */
void stream_pause(struct stream *s) { s->is_reading = false; }

void stream_resume(struct stream *s)
{
    if (s->is_reading || s->state != STREAM_OPEN)
        return;
    s->is_reading = true;
    if (s->held || s->held_end)
        stream_note(s, NOTICE_HELD);
    stream_set_wanted(s);
}

const struct address *stream_peer(const struct stream *s) { return &s->peer; }

const struct address *stream_local(const struct stream *s)
{
    struct stream *own = (struct stream *)s; /* asked for only when wanted, and remembered */
    if (own->local.any.sa_family == AF_UNSPEC) {
        struct sockaddr_storage name = { 0 };
        socklen_t length = sizeof name;
        if (getsockname(s->watcher.fd, (struct sockaddr *)&name, &length) == 0)
            stream_set_address(&own->local, &name);
    }
    return &s->local;
}

bool stream_peer_user(const struct stream *s, uint32_t *uid)
{
    struct ucred user;
    socklen_t octets = sizeof(user);
    if (s->peer.any.sa_family != AF_UNIX || getsockopt(s->watcher.fd, SOL_SOCKET, SO_PEERCRED, &user, &octets) != 0)
        return false;
    *uid = user.uid;
    return true;
}

void stream_set_address(struct address *address, const struct sockaddr_storage *from)
{
    if (from->ss_family == AF_INET || from->ss_family == AF_INET6)
        address_from_sockaddr(address, (const struct sockaddr *)from);
    else
        address->any.sa_family = AF_UNIX;
}

const char *stream_error_text(const struct stream *s)
{
    const char *text = s->filter ? s->filter->functions->error_text(s->filter) : NULL;
    return text ? text : "";
}

/* filters ----------------------------------------------------------------------------------------------------- */

struct stream_filter *stream_get_filter(const struct stream *s) { return s->filter; }

void stream_secure(struct stream *s, struct stream_filter *filter)
{
    assert(loop_is_current(loop_of(s)) && s->state == STREAM_OPEN && !s->filter);
    s->filter = filter;
    filter->stream = s;
    enum io_result result = filter->functions->start(filter);
    if (result != IO_OK && !s->broken_why) {
        s->broken_why = (unsigned char)result;
        stream_note(s, NOTICE_BROKEN);
    }
}

void filter_deliver(struct stream_filter *filter, slice plain)
{
    struct stream *s = filter->stream;
    if (s->state != STREAM_OPEN || s->has_ended || !s->events || plain.len == 0)
        return;
    if (s->is_reading && !s->held) {
        s->events->on_bytes(s->context, plain);
        return;
    }
    if (!s->held)
        s->held = MEMORY_NEW(struct text);
    text_add(s->held, plain);
}

void filter_handshake_done(struct stream_filter *filter, enum io_result result)
{
    struct stream *s = filter->stream;
    if (s->state != STREAM_OPEN || s->filter_is_ready || s->has_ended)
        return;
    if (result != IO_OK) {
        tell_end(s, result);
        return;
    }
    s->filter_is_ready = true;
    stream_send_at_turn_end(s); /* what was written during the handshake */
    if (s->events && s->events->on_secured)
        s->events->on_secured(s->context, IO_OK);
}
