#include "base/clock.h"
#include "io/stream_inside.h"
#include <errno.h>
#include <sys/socket.h>
/*
 * stream_send - the writing side of a stream, to the last octet: what a turn gathered, what the kernel did not take,
 * and the end.
 */
static struct loop *loop_of(const struct stream *s) { return watcher_loop(&s->watcher); }

/* The peer may have said why before it went (a 421): that is read first, then the end is told. */
static void writing_failed(struct stream *s, enum io_result why)
{
    struct loop *loop = loop_of(s);
    s->is_blocked = false;
    s->broken_why = (unsigned char)why;
    output_clear(loop, &s->network);
    output_clear(loop, &s->plain);
    if (s->state == STREAM_OPEN)
        stream_note(s, NOTICE_BROKEN);
}

static void give_filter_plain(struct stream *s)
{
    char scratch[RECORD_OCTETS];
    while (s->filter_is_ready && s->plain.octets && s->network.octets < ENCRYPTED_AHEAD_OCTETS && !s->broken_why) {
        slice record = output_peek(&s->plain, scratch, sizeof scratch);
        enum io_result result = s->filter->functions->on_plain(s->filter, record);
        if (result != IO_OK)
            writing_failed(s, result);
        else
            output_take(loop_of(s), &s->plain, record.len);
    }
    if (s->state == STREAM_CLOSING && s->filter_is_ready && !s->plain.octets && !s->said_shutdown && !s->broken_why) {
        s->said_shutdown = true;
        s->filter->functions->shutdown(s->filter);
    }
}

/* One system call; false when nothing more can be sent now. */
static bool send_some(struct stream *s)
{
    struct iovec vector[VECTOR_MAX];
    struct msghdr message = { .msg_iov = vector };
    message.msg_iovlen = (size_t)output_fill(&s->network, vector, VECTOR_MAX);
    size_t offered = 0;
    for (size_t i = 0; i < message.msg_iovlen; i++)
        offered += vector[i].iov_len;
    ssize_t sent;
    do
        sent = sendmsg(s->watcher.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        output_take(loop_of(s), &s->network, (size_t)sent);
        s->is_blocked = (size_t)sent < offered;
    } else if (errno == EAGAIN) {
        s->is_blocked = true;
    } else {
        writing_failed(s, io_from_errno(errno));
    }
    return !s->is_blocked;
}

static void give_up(void *context) { stream_finish(context); }

/* All has been sent: close, unless the peer still talks. Octets that lie unread would make the kernel reset the
 * connection, and the peer might never see our last reply. */
static void closing_sent(struct stream *s)
{
    char *buffer = loop_of(s)->read_buffer;
    ssize_t got = s->has_ended || s->broken_why ? 0 : recv(s->watcher.fd, buffer, READ_BUFFER_OCTETS, MSG_DONTWAIT);
    if (got <= 0) {
        stream_finish(s);
        return;
    }
    shutdown(s->watcher.fd, SHUT_WR);
    s->state = STREAM_LINGERING;
    s->is_blocked = false;
    timer_set(loop_of(s), &s->deadline, LINGER_MS, give_up, s);
    stream_set_wanted(s);
}

void stream_send_waiting(struct stream *s)
{
    list_remove(&s->to_flush);
    do
        give_filter_plain(s);
    while (s->network.octets && send_some(s));
    list_remove(&s->to_flush); /* filter_send has put it there again */

    size_t waiting = s->network.octets + (stream_in_handshake(s) ? 0 : s->plain.octets);
    if (waiting == 0 && s->was_high) {
        s->was_high = false;
        if (!s->broken_why)
            stream_note(s, NOTICE_DRAINED);
    }
    if (waiting == 0 && s->state == STREAM_CLOSING)
        closing_sent(s);
    else if (s->state != STREAM_LINGERING)
        stream_set_wanted(s);
}

/* Also called while the filter is at work: sends nothing itself. */
void stream_send_at_turn_end(struct stream *s)
{
    /* a blocked one is woken by its descriptor */
    if (!s->is_blocked && !list_is_linked(&s->to_flush))
        list_append(&loop_of(s)->to_flush, &s->to_flush);
}

void filter_send(struct stream_filter *filter, slice network)
{
    struct stream *s = filter->stream;
    if (s->state == STREAM_GONE || s->broken_why)
        return;
    output_add(loop_of(s), &s->network, network);
    stream_send_at_turn_end(s);
}

static void gathered(struct stream *s)
{
    size_t waiting = s->network.octets + s->plain.octets;
    if (waiting >= HIGH_MARK_OCTETS)
        s->was_high = true;
    if (waiting >= FLUSH_AT_ONCE_OCTETS && !s->is_blocked && !stream_in_handshake(s))
        stream_send_waiting(s);
    else
        stream_send_at_turn_end(s);
}

static bool takes_writes(const struct stream *s) { return s->state == STREAM_OPEN && !s->broken_why; }

static struct output *writer_side(struct stream *s) { return s->filter ? &s->plain : &s->network; }

void stream_write(struct stream *s, slice octets)
{
    assert(loop_is_current(loop_of(s)) && s->state == STREAM_OPEN);
    if (!takes_writes(s) || octets.len == 0)
        return;
    output_add(loop_of(s), writer_side(s), octets);
    gathered(s);
}

void stream_write_shared(struct stream *s, slice octets, loop_function *release, void *context)
{
    assert(loop_is_current(loop_of(s)) && s->state == STREAM_OPEN);
    struct output *output = writer_side(s);
    output_add_shared(loop_of(s), output, octets, release, context);
    if (takes_writes(s))
        gathered(s);
    else
        output_clear(loop_of(s), output);
}

size_t stream_pending(const struct stream *s) { return s->network.octets + s->plain.octets; }

void stream_flush(struct stream *s)
{
    if (!s->is_blocked && stream_pending(s))
        stream_send_waiting(s);
}

void stream_flush_gathered(struct loop *loop)
{
    struct list *node;
    while ((node = list_take_first(&loop->to_flush)))
        stream_send_waiting(LIST_ITEM(node, struct stream, to_flush));
}

void stream_close(struct stream *s)
{
    assert(loop_is_current(loop_of(s)) && s->state == STREAM_OPEN);
    s->state = STREAM_CLOSING;
    s->events = NULL;
    s->is_reading = false;
    if (stream_in_handshake(s))
        output_clear(loop_of(s), &s->plain);
    bool says_goodbye = s->filter_is_ready && !s->broken_why;
    if (!says_goodbye && stream_pending(s) == 0) {
        closing_sent(s);
        return;
    }
    stream_send_at_turn_end(s);
    stream_set_wanted(s);
    timer_set(loop_of(s), &s->deadline, CLOSE_WITHIN_MS, give_up, s);
}

void stream_abort(struct stream *s)
{
    assert(loop_is_current(loop_of(s)) && s->state == STREAM_OPEN);
    const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
    (void)setsockopt(s->watcher.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    stream_finish(s);
}
