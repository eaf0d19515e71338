#pragma once
#include "config/config.h"
#include "directory/directory.h"
#include "event/event.h"
#include "io/stream.h"
#include "spool/spool.h"
#include "tls/tls.h"
/*
 * receive - the SMTP server (RFC 5321 §3-§4; submission RFC 6409, RFC 8314): sessions, verbs, transactions, policy.
 *
 * One receiver per loop. What it needs of others is in the doors below, filled by programs/mta/wire.c.
 */
struct receiver;
struct receive_doors {
    struct loop *loop;
    struct spool *spool;
    struct event_log *events;
    /* Is this the password? `answer` comes later, exactly once, unless cancelled. account: canonical; temporary: ask
     * again later. */
    void *(*verify_password)(void *keyring, slice name, slice password,
                             void (*answer)(void *context, bool ok, bool temporary, slice account), void *context);
    void (*cancel_verify)(void *keyring, void *request);
    void *keyring;
    /* The message is durable and belongs to the schedule now. */
    void (*accepted)(void *schedule, struct spool_message *);
    void *schedule;
    unsigned loop_count; /* the limits on sessions are shared out evenly among so many loops; 0: one */
};
struct receiver *receiver_new(const struct receive_doors *);
/* Takes effect for new sessions and the next transaction of old ones. All three are held as long as they are used. */
void receiver_configure(struct receiver *, struct config *, struct tls_context *, struct directory *);
/* Serves one listening socket; takes the descriptor. `name` and `role` as in the configuration. */
void receiver_listen(struct receiver *, int fd, slice name, enum listener_role);
/* Serves a stream that was accepted elsewhere (the control socket's `submit`), already signed in as `account`: a
 * program of this machine that hands in mail. No STARTTLS, no AUTH; otherwise as a submission. */
void receiver_adopt(struct receiver *, struct stream *, slice account);
/* Closes the listeners; idle sessions get 421, busy ones may end their transaction; `done` when the last one is gone or
 * after `patience_ms`. */
void receiver_stop(struct receiver *, uint64_t patience_ms, loop_function *done, void *context);
/* After spool_close: no commit may be under way any more. */
void receiver_free(struct receiver *);
size_t receiver_session_count(const struct receiver *);
