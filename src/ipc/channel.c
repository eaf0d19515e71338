#include "base/clock.h"
#include "base/memory.h"
#include "io/poll.h"
#include "io/result.h"
#include "ipc/frame.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_AT_LEAST = 64 * 1024,
    READ_AT_MOST = 1024 * 1024,
    READS_A_TURN = 8,
    SEND_AT_ONCE_OCTETS = 128 * 1024, /* the peer may begin while we gather on */
    BUFFER_KEPT_OCTETS = 512 * 1024,  /* a larger one is given back when it is empty */
    LAST_FLUSH_MS = 1000,
};

/* Descriptors that go with the frame that begins at octet `at` of the output. */
struct parcel {
    size_t at;
    struct frame_fds with;
};

struct ipc_channel {
    struct loop *loop;
    struct poll *poll;
    const struct ipc_handlers *handlers;
    void *context;
    int fd;
    struct text in, out;
    size_t sent; /* of out */
    struct parcel *parcels;
    size_t parcel_count, parcel_capacity;
    struct fd_queue fds;
    struct loop_hook flush;
    struct timer end_soon;
    const char *end_reason;
    bool is_blocked, has_ended, is_reading, is_freed, out_is_secret;
};

/* ending ------------------------------------------------------------------------------------------------------ */

static void free_now(struct ipc_channel *c)
{
    text_free(&c->in);
    memory_free(c);
}

static void close_parcels(struct ipc_channel *c)
{
    for (size_t i = 0; i < c->parcel_count; i++)
        for (size_t k = 0; k < c->parcels[i].with.count; k++)
            close(c->parcels[i].with.fds[k]);
    c->parcel_count = 0;
}

static void drop_output(struct ipc_channel *c)
{
    close_parcels(c);
    text_free(&c->out);
    c->out = (struct text){ 0 };
    c->sent = 0;
    c->is_blocked = false;
}

static void tell_end(void *context)
{
    struct ipc_channel *c = context;
    if (c->handlers->end)
        c->handlers->end(c->context);
}

/* The owner is told in a later turn, so that nothing ends below a handler's or a sender's feet. */
static void end(struct ipc_channel *c, const char *reason)
{
    if (c->has_ended)
        return;
    c->has_ended = true;
    c->end_reason = reason;
    poll_want(c->poll, 0);
    drop_output(c);
    timer_set(c->loop, &c->end_soon, 0, tell_end, c);
}

const char *ipc_end_reason(const struct ipc_channel *c) { return c->end_reason ? c->end_reason : ""; }

/* sending ----------------------------------------------------------------------------------------------------- */

static void want(struct ipc_channel *c)
{
    if (!c->has_ended)
        poll_want(c->poll, POLL_READ | (c->is_blocked ? POLL_WRITE : 0));
}

static void remove_first_parcel(struct ipc_channel *c)
{
    for (size_t k = 0; k < c->parcels[0].with.count; k++)
        close(c->parcels[0].with.fds[k]); /* the peer has its own now */
    memmove(c->parcels, c->parcels + 1, --c->parcel_count * sizeof *c->parcels);
}

static void add_rights(struct msghdr *message, const struct frame_fds *with, char *control)
{
    size_t octets = with->count * sizeof(int);
    message->msg_control = control;
    message->msg_controllen = CMSG_SPACE(octets);
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(octets);
    memcpy(CMSG_DATA(head), with->fds, octets);
}

/* One system call. Descriptors travel with the first octet of their frame, so a call ends before the next such frame.
 */
static bool send_some(struct ipc_channel *c)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))] = { 0 };
    struct iovec vector = { c->out.ptr + c->sent, c->out.len - c->sent };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    bool with_fds = c->parcel_count && c->parcels[0].at == c->sent;
    if (with_fds)
        add_rights(&message, &c->parcels[0].with, control);
    size_t next = with_fds ? 1 : 0;
    if (next < c->parcel_count)
        vector.iov_len = c->parcels[next].at - c->sent;

    ssize_t sent = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
        c->is_blocked = errno == EAGAIN;
        if (errno != EAGAIN && errno != EINTR)
            end(c, io_result_text(io_from_errno(errno)));
        return !c->has_ended && !c->is_blocked;
    }
    if (with_fds)
        remove_first_parcel(c);
    c->sent += (size_t)sent;
    return true;
}

static void tidy_output(struct ipc_channel *c)
{
    if (c->sent == c->out.len) {
        if (c->out_is_secret)
            memory_wipe(c->out.ptr, c->out.len);
        c->out_is_secret = false;
        text_clear(&c->out);
        c->sent = 0;
        if (c->out.capacity > BUFFER_KEPT_OCTETS) {
            text_free(&c->out);
            c->out = (struct text){ 0 };
        }
    } else if (c->sent > c->out.len / 2 && c->sent > BUFFER_KEPT_OCTETS) {
        text_remove_head(&c->out, c->sent);
        for (size_t i = 0; i < c->parcel_count; i++)
            c->parcels[i].at -= c->sent;
        c->sent = 0;
    }
}

static void send_waiting(struct ipc_channel *c)
{
    c->is_blocked = false;
    while (c->sent < c->out.len && send_some(c))
        ;
    tidy_output(c);
    want(c);
}

static void at_turn_end(void *context)
{
    struct ipc_channel *c = context;
    if (c->sent < c->out.len && !c->is_blocked)
        send_waiting(c);
}

static void add_parcel(struct ipc_channel *c, size_t at, const struct frame_fds *fds)
{
    if (fds->count == 0)
        return;
    if (c->parcel_count == c->parcel_capacity) {
        c->parcel_capacity = size_max(2 * c->parcel_capacity, 8);
        c->parcels = memory_resize(c->parcels, c->parcel_capacity * sizeof *c->parcels);
    }
    c->parcels[c->parcel_count++] = (struct parcel){ at, *fds };
}

static void added(struct ipc_channel *c, size_t at, bool fits, const struct frame_fds *fds)
{
    if (fits && !c->has_ended) {
        add_parcel(c, at, fds);
        if (c->out.len - c->sent >= SEND_AT_ONCE_OCTETS && !c->is_blocked)
            send_waiting(c);
        return;
    }
    for (size_t i = 0; i < fds->count; i++)
        close(fds->fds[i]);
    if (!fits)
        end(c, "a message to send is longer than allowed");
    drop_output(c);
}

#define IPC_DEFINE_SEND(name, ...)                                                                                     \
    void ipc_send_##name(struct ipc_channel *c, const struct ipc_##name *message)                                      \
    {                                                                                                                  \
        assert(loop_is_current(c->loop));                                                                              \
        struct frame_fds fds;                                                                                          \
        size_t at = c->out.len;                                                                                        \
        c->out_is_secret |= frame_type_is_secret(FRAME_##name);                                                        \
        bool fits = frame_add_##name(&c->out, message, &fds);                                                          \
        added(c, at, fits, &fds);                                                                                      \
    }
IPC_MESSAGES(IPC_DEFINE_SEND)

size_t ipc_pending(const struct ipc_channel *c) { return c->out.len - c->sent; }

void ipc_flush(struct ipc_channel *c)
{
    uint64_t deadline = clock_monotonic_ms() + LAST_FLUSH_MS, now;
    while (c->sent < c->out.len && (now = clock_monotonic_ms()) < deadline) {
        send_waiting(c);
        struct pollfd room = { .fd = c->fd, .events = POLLOUT };
        if (c->is_blocked)
            (void)poll(&room, 1, (int)(deadline - now));
    }
}

/* receiving --------------------------------------------------------------------------------------------------- */

/* Takes all descriptors, also those of a message that will be refused: else they would stay open. */
static bool take_rights(struct ipc_channel *c, struct msghdr *message)
{
    bool all_fit = !(message->msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
            if (!fd_queue_add(&c->fds, fd)) {
                close(fd);
                all_fit = false;
            }
        }
    }
    return all_fit;
}

static enum frame_result dispatch_one(struct ipc_channel *c, slice frame)
{
    enum frame_result result = frame_dispatch(frame, &c->fds, c->handlers, c->context);
    if (frame_type_is_secret(frame_type(frame)))
        memory_wipe((char *)frame.ptr, frame.len); /* stands in c->in */
    return result;
}

/* Handles every whole frame; returns the octets they took. */
static size_t dispatch(struct ipc_channel *c)
{
    size_t done = 0, whole = 0;
    enum frame_result result = FRAME_OK;
    while (!c->is_freed && !c->has_ended) {
        slice rest = slice_tail(text_slice(&c->in), done);
        result = frame_measure(rest, &whole);
        if (result == FRAME_OK)
            result = dispatch_one(c, slice_head(rest, whole));
        if (result != FRAME_OK)
            break;
        done += whole;
    }
    if (c->is_freed)
        return done;
    if (result != FRAME_OK && result != FRAME_INCOMPLETE)
        end(c, frame_result_text(result));
    else if (done == c->in.len && c->fds.count)
        end(c, "descriptors came without a message");
    return done;
}

/* As much as the frame that has begun still lacks, within reason. */
static size_t read_size(const struct ipc_channel *c)
{
    size_t whole = 0;
    (void)frame_measure(text_slice(&c->in), &whole);
    size_t lacking = whole > c->in.len ? whole - c->in.len : 0;
    return size_min(size_max(lacking, READ_AT_LEAST), READ_AT_MOST);
}

static void received(struct ipc_channel *c)
{
    size_t done = dispatch(c);
    if (c->is_freed)
        return;
    text_remove_head(&c->in, done);
    if (c->in.len == 0 && c->in.capacity > BUFFER_KEPT_OCTETS) {
        text_free(&c->in);
        c->in = (struct text){ 0 };
    }
}

/* False when there is nothing more for now, or the channel has ended or was freed. */
static bool read_some(struct ipc_channel *c)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_WAITING_MAX * sizeof(int))];
    size_t room = read_size(c);
    struct iovec vector = { text_reserve(&c->in, room), room };
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    ssize_t got = recvmsg(c->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR)
            end(c, io_result_text(io_from_errno(errno)));
        return false;
    }
    bool all_fit = take_rights(c, &message);
    if (got == 0)
        end(c, "the peer closed the channel");
    else if (!all_fit)
        end(c, "too many descriptors came");
    if (c->has_ended)
        return false;
    c->in.len += (size_t)got;
    received(c);
    return !c->is_freed && !c->has_ended;
}

static void on_ready(void *context, int ready)
{
    struct ipc_channel *c = context;
    if (ready & POLL_WRITE)
        send_waiting(c);
    c->is_reading = true;
    for (int i = 0; ready & POLL_READ && i < READS_A_TURN; i++)
        if (c->has_ended || !read_some(c))
            break;
    c->is_reading = false;
    if (c->is_freed)
        free_now(c);
}

/* beginning and end ------------------------------------------------------------------------------------------- */

struct ipc_channel *ipc_channel_new(struct loop *loop, int fd, const struct ipc_handlers *handlers, void *context)
{
    struct ipc_channel *c = MEMORY_NEW(struct ipc_channel);
    c->loop = loop;
    c->fd = fd;
    c->handlers = handlers;
    c->context = context;
    c->poll = poll_new(loop, fd, POLL_READ, on_ready, c);
    if (!c->poll) {
        memory_free(c);
        return NULL;
    }
    c->flush = (struct loop_hook){ at_turn_end, c };
    loop_add_flush(loop, &c->flush);
    return c;
}

void ipc_channel_free(struct ipc_channel *c)
{
    if (!c)
        return;
    assert(loop_is_current(c->loop) && !c->is_freed);
    timer_clear(c->loop, &c->end_soon);
    loop_remove_hook(c->loop, &c->flush);
    drop_output(c);
    memory_free(c->parcels);
    fd_queue_close(&c->fds);
    poll_free(c->poll);
    close(c->fd);
    c->is_freed = true;
    if (!c->is_reading)
        free_now(c); /* else a handler asked for it: its slices live until it returns */
}

bool ipc_pair(int fds[2]) { return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0; }
