#pragma once
#include "io/output.h"
#include "io/stream.h"
#include "io/watcher.h"
/*
 * stream_inside - what stream.c, connect.c and listener.c share.
 *
 * Life of a stream:
 *
 *     CONNECTING --> OPEN --> CLOSING --> (freed)
 *          |           |  stream_close: sends what waits, then lingers for the peer's end when it still talks
 *          |           `--> (freed) stream_abort
 *          `--> (freed) failed or cancelled
 */
enum stream_state { STREAM_CONNECTING, STREAM_OPEN, STREAM_CLOSING, STREAM_LINGERING, STREAM_GONE };

/* Reasons to tell the owner something outside of its own calls. */
enum { NOTICE_DRAINED = 1, NOTICE_BROKEN = 2, NOTICE_HELD = 4 };

enum {
    FLUSH_AT_ONCE_OCTETS = 64 * 1024, /* more than this does not wait for the end of the turn */
    HIGH_MARK_OCTETS = 256 * 1024,
    RECORD_OCTETS = 16 * 1024, /* plain octets for one call of a filter: a TLS record (RFC 8446 §5.1) */
    ENCRYPTED_AHEAD_OCTETS = 64 * 1024,
    VECTOR_MAX = 64,
    READS_A_TURN = 4, /* full buffers for one stream before the others have their turn */
};
#define CLOSE_WITHIN_MS SECONDS(5)
#define LINGER_MS       SECONDS(2)

struct connecting;
struct stream {
    struct watcher watcher;
    const struct stream_events *events;
    void *context;
    struct stream_filter *filter;
    struct connecting *connecting; /* while STREAM_CONNECTING */
    struct output network;         /* octets for the kernel */
    struct output plain;           /* octets for the filter */
    struct text *held;             /* decrypted while paused; NULL: none */
    struct list to_flush, notices;
    struct timer deadline;
    struct address peer, local;
    unsigned char state, notice;
    unsigned char broken_why; /* enum io_result: a write failed, or the filter did */
    unsigned char held_end;   /* enum io_result: the filter saw the end during a pause */
    bool is_reading, is_blocked, has_ended, filter_is_ready, was_high, said_shutdown;
};

struct stream *stream_new(struct loop *, int fd); /* NULL and errno on failure; takes fd on success */
void stream_connection_ready(struct stream *);    /* of connect.c */
void stream_drop_connecting(struct stream *);     /* of connect.c */
void stream_finish(struct stream *);              /* at once, without callbacks */
void stream_set_wanted(struct stream *);
void stream_note(struct stream *, int notice); /* tells the owner in a later turn */
void stream_send_waiting(struct stream *);     /* as much as the kernel takes */
void stream_send_at_turn_end(struct stream *);
void stream_set_address(struct address *, const struct sockaddr_storage *);
static inline bool stream_in_handshake(const struct stream *s) { return s->filter && !s->filter_is_ready; }
