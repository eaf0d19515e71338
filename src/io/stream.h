#pragma once
#include "base/address.h"
#include "io/loop.h"
#include "io/result.h"
/*
 * stream - an ordered flow of octets to a peer: TCP or a Unix socket, plain or through a filter (TLS).
 *
 * Writing:  what a turn writes is gathered and sent with one system call at its end (or at once when more than
 *           64 KiB wait). stream_write copies; stream_write_shared keeps a pointer and calls `release` when the
 *           octets have left (also when the stream is closed before), never inside a call.
 * Reading:  on_bytes gets octets that live for the call only. The loop's one read buffer serves all streams: an
 *           idle stream holds no buffer.
 * Closing:  stream_close ends everything: no callback after it returns; what was written is still sent
 *           (for at most 5 seconds) unless the peer is gone. Call it from within callbacks freely.
 * Errors:   on_end comes once, when the peer closed or the connection failed; then the owner calls stream_close. After
 *           IO_END writing still works (the peer may only have ended its side). A handshake that fails is told by
 *           on_secured instead of on_end (where on_secured is not NULL).
 * Threads:  the loop's own.
 */
struct stream;
struct stream_filter;

struct stream_events {
    void (*on_bytes)(void *context, slice bytes);
    void (*on_end)(void *context, enum io_result why);
    void (*on_secured)(void *context, enum io_result why); /* handshake of stream_secure ended; may be NULL */
    void (*on_drained)(void *context);                     /* nothing waits any more after stream_pending was
                                                              at or over its high mark (256 KiB); may be NULL */
};

struct connect_params {
    struct address peer;
    const struct address *source; /* bind to it first; NULL: the kernel chooses */
    const char *unix_path;        /* instead of peer */
    uint64_t timeout_ms;
};
typedef void stream_connected(void *context, struct stream *stream, enum io_result result); /* stream NULL on failure */
struct connecting;
struct connecting *stream_connect(struct loop *, const struct connect_params *, stream_connected *, void *context);
void stream_connect_cancel(struct connecting *); /* before the callback only; it then never comes */

/* Starts reading. Before it no callback comes. A second call hands the stream over to another owner. */
void stream_start(struct stream *, const struct stream_events *, void *context);
void stream_pause(struct stream *); /* on_bytes stops; what the filter decrypted already waits too */
void stream_resume(struct stream *);
void stream_write(struct stream *, slice);
void stream_write_shared(struct stream *, slice, loop_function *release, void *context);
size_t stream_pending(const struct stream *); /* octets written but not yet taken by the kernel */
void stream_flush(struct stream *);           /* now, rather than at the end of the turn */
void stream_close(struct stream *);
/* At once, unsent octets dropped, connection reset where TCP can. */
void stream_abort(struct stream *);

const struct address *stream_peer(const struct stream *); /* for a Unix socket: family AF_UNIX */
const struct address *stream_local(const struct stream *);
/* Which user of this machine the other end of a Unix socket is, by the kernel's word; false for other sockets. */
MUST_CHECK bool stream_peer_user(const struct stream *, uint32_t *uid);
/* Details of the failure that on_end reported, "" when there are none ("certificate has expired"). */
const char *stream_error_text(const struct stream *);

/*
 * filter - what tls/ puts between. stream_secure takes ownership; octets of the peer that came before it and were
 * not consumed are not seen by the filter (the owner must discard them: RFC 3207 §4.2). on_secured reports.
 * After it, reading and writing pass through the filter.
 */
struct stream_filter_functions {
    /* Takes octets from the network; appends plain octets by calling filter_deliver, network octets by filter_send. */
    enum io_result (*on_network)(struct stream_filter *, slice);
    /* Takes plain octets to send. */
    enum io_result (*on_plain)(struct stream_filter *, slice);
    enum io_result (*start)(struct stream_filter *); /* begin the handshake (a client sends first) */
    void (*shutdown)(struct stream_filter *);        /* send close_notify */
    void (*free)(struct stream_filter *);
    const char *(*error_text)(const struct stream_filter *);
};
struct stream_filter {
    const struct stream_filter_functions *functions;
    struct stream *stream;
};
void stream_secure(struct stream *, struct stream_filter *);
struct stream_filter *stream_get_filter(const struct stream *); /* NULL: plain */
void filter_deliver(struct stream_filter *, slice plain);
void filter_send(struct stream_filter *, slice network);
void filter_handshake_done(struct stream_filter *, enum io_result);

/* listener - a bound, listening socket (made by the supervisor), accepting on this loop. */
struct listener;
typedef void listener_accepted(void *context, struct stream *stream);
struct listener *listener_new(struct loop *, int fd, listener_accepted *, void *context); /* takes the descriptor */
/* Called once when accepting begins to fail for want of descriptors or memory; it is tried again by itself. */
typedef void listener_trouble(void *context, int error_number);
void listener_on_trouble(struct listener *, listener_trouble *);
void listener_pause(struct listener *);
void listener_resume(struct listener *);
void listener_free(struct listener *);

/* Makes the socket: SO_REUSEADDR, SO_REUSEPORT where asked, IPV6_V6ONLY. -1 and errno on failure. */
int listener_bind(const struct address *, bool reuse_port);
int listener_bind_unix(const char *path, unsigned mode); /* removes a stale socket file that nobody listens on */
