#include "ipc/frame.h"
#include <unistd.h>

enum { LENGTH_OCTETS = 4, HEAD_OCTETS = 6 };

/* descriptors ------------------------------------------------------------------------------------------------- */

bool fd_queue_add(struct fd_queue *queue, int fd)
{
    if (queue->count == FDS_WAITING_MAX)
        return false;
    queue->fds[queue->count++] = fd;
    return true;
}

static bool fd_queue_take(struct fd_queue *queue, int *fd)
{
    if (queue->count == 0)
        return false;
    *fd = queue->fds[0];
    memmove(queue->fds, queue->fds + 1, --queue->count * sizeof *queue->fds);
    return true;
}

void fd_queue_close(struct fd_queue *queue)
{
    while (queue->count)
        close(queue->fds[--queue->count]);
}

/* writing: one pass for the length, one that fills the frame in place ----------------------------------------- */

/* Each is used by those messages only that have such a field. */
#define SIZE_U64(field)   octets += sizeof m->field;
#define SIZE_BOOL(field)  octets += 1;
#define SIZE_BYTES(field) octets += sizeof(uint32_t) + size_min(m->field.len, FRAME_MAX + 1);
#define SIZE_FD(field)    octets += 1;

static char *put(char *to, const void *from, size_t octets)
{
    if (octets)
        memcpy(to, from, octets);
    return to + octets;
}

static char *put_byte(char *to, bool value)
{
    *to = value;
    return to + 1;
}

static char *put_bytes(char *to, slice octets)
{
    uint32_t length = (uint32_t)octets.len;
    return put(put(to, &length, sizeof length), octets.ptr, octets.len);
}

static char *put_head(char *to, size_t octets, enum frame_type type)
{
    uint32_t length = (uint32_t)octets;
    uint16_t number = (uint16_t)type;
    return put(put(to, &length, sizeof length), &number, sizeof number);
}

#define PUT_U64(field)   to = put(to, &m->field, sizeof m->field);
#define PUT_BOOL(field)  to = put_byte(to, m->field);
#define PUT_BYTES(field) to = put_bytes(to, m->field);
#define PUT_FD(field)    to = put_byte(to, m->field >= 0);
#define NOTHING(field)
#define LIST_FD(field)                                                                                                 \
    if (m->field >= 0)                                                                                                 \
        fds->fds[fds->count++] = m->field;

#define FRAME_DEFINE_ADD(name, fields, ...)                                                                            \
    bool frame_add_##name(struct text *text, const struct ipc_##name *m, struct frame_fds *fds)                        \
    {                                                                                                                  \
        size_t octets = sizeof(uint16_t);                                                                              \
        fds->count = 0;                                                                                                \
        fields(NOTHING, NOTHING, NOTHING, LIST_FD);                                                                    \
        fields(SIZE_U64, SIZE_BOOL, SIZE_BYTES, SIZE_FD);                                                              \
        if (octets > FRAME_MAX)                                                                                        \
            return false;                                                                                              \
        char *to = put_head(text_reserve(text, LENGTH_OCTETS + octets), octets, FRAME_##name);                         \
        fields(PUT_U64, PUT_BOOL, PUT_BYTES, PUT_FD);                                                                  \
        text->len = (size_t)(to - text->ptr);                                                                          \
        return true;                                                                                                   \
    }
IPC_MESSAGES(FRAME_DEFINE_ADD)

#define COUNT_FD(field) +1
#define CHECK_FDS(name, fields, ...)                                                                                   \
    _Static_assert(0 fields(NOTHING, NOTHING, NOTHING, COUNT_FD) <= FRAME_FDS_MAX, "too many descriptors: " #name);
IPC_MESSAGES(CHECK_FDS)

/* reading ----------------------------------------------------------------------------------------------------- */

struct reader {
    slice rest;
    struct fd_queue *fds;
    bool failed;
};

static void take(struct reader *r, void *to, size_t octets)
{
    if (r->rest.len < octets) {
        r->failed = true;
        return;
    }
    memcpy(to, r->rest.ptr, octets);
    r->rest = slice_tail(r->rest, octets);
}

static bool take_bool(struct reader *r)
{
    unsigned char octet = 0;
    take(r, &octet, 1);
    r->failed |= octet > 1;
    return octet == 1;
}

static slice take_bytes(struct reader *r)
{
    uint32_t length = 0;
    take(r, &length, sizeof length);
    r->failed |= length > r->rest.len;
    if (r->failed)
        return (slice){ 0 };
    slice octets = slice_head(r->rest, length);
    r->rest = slice_tail(r->rest, length);
    return octets;
}

static int take_fd(struct reader *r)
{
    int fd = -1;
    if (take_bool(r) && !r->failed)
        r->failed |= !fd_queue_take(r->fds, &fd);
    return fd;
}

#define TAKE_U64(field)   take(r, &m.field, sizeof m.field);
#define TAKE_BOOL(field)  m.field = take_bool(r);
#define TAKE_BYTES(field) m.field = take_bytes(r);
#define TAKE_FD(field)    m.field = take_fd(r);
#define NO_FD(field)      m.field = -1;
#define CLOSE_FD(field)                                                                                                \
    if (m.field >= 0)                                                                                                  \
        close(m.field);

/* A message that is refused leaves no descriptor open. */
#define FRAME_DEFINE_HANDLE(name, fields, ...)                                                                         \
    static enum frame_result handle_##name(struct reader *r, const struct ipc_handlers *handlers, void *context)       \
    {                                                                                                                  \
        struct ipc_##name m = { 0 };                                                                                   \
        fields(NOTHING, NOTHING, NOTHING, NO_FD);                                                                      \
        fields(TAKE_U64, TAKE_BOOL, TAKE_BYTES, TAKE_FD);                                                              \
        enum frame_result result = r->failed || r->rest.len ? FRAME_MALFORMED : FRAME_OK;                              \
        if (result == FRAME_OK && !handlers->name)                                                                     \
            result = FRAME_UNEXPECTED;                                                                                 \
        if (result == FRAME_OK) {                                                                                      \
            handlers->name(context, &m);                                                                               \
        } else {                                                                                                       \
            fields(NOTHING, NOTHING, NOTHING, CLOSE_FD);                                                               \
        }                                                                                                              \
        return result;                                                                                                 \
    }
IPC_MESSAGES(FRAME_DEFINE_HANDLE)

#define HANDLE_ROW(name, ...) [FRAME_##name] = handle_##name,
static enum frame_result (*const handle[])(struct reader *, const struct ipc_handlers *,
                                           void *) = { IPC_MESSAGES(HANDLE_ROW) };

enum frame_result frame_measure(slice octets, size_t *whole)
{
    uint32_t length;
    *whole = 0;
    if (octets.len < sizeof length)
        return FRAME_INCOMPLETE;
    memcpy(&length, octets.ptr, sizeof length);
    if (length > FRAME_MAX)
        return FRAME_TOO_LONG;
    if (length < HEAD_OCTETS - LENGTH_OCTETS)
        return FRAME_MALFORMED;
    *whole = LENGTH_OCTETS + length;
    return octets.len < *whole ? FRAME_INCOMPLETE : FRAME_OK;
}

enum frame_type frame_type(slice frame)
{
    uint16_t type;
    assert(frame.len >= HEAD_OCTETS);
    memcpy(&type, frame.ptr + LENGTH_OCTETS, sizeof type);
    return (enum frame_type)type;
}

enum frame_result frame_dispatch(slice frame, struct fd_queue *fds, const struct ipc_handlers *handlers, void *context)
{
    enum frame_type type = frame_type(frame);
    if (type >= FRAME_TYPES)
        return FRAME_UNKNOWN;
    struct reader r = { slice_tail(frame, HEAD_OCTETS), fds, false };
    return handle[type](&r, handlers, context);
}

const char *frame_result_text(enum frame_result result)
{
    static const char *const texts[] = {
        [FRAME_OK] = "ok",
        [FRAME_INCOMPLETE] = "the message is cut short",
        [FRAME_TOO_LONG] = "a message is longer than allowed",
        [FRAME_UNKNOWN] = "a message of an unknown type came",
        [FRAME_MALFORMED] = "a message is malformed",
        [FRAME_UNEXPECTED] = "a message came that is not for this process",
    };
    return texts[result];
}
