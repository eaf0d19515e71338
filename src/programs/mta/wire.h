#pragma once
#include "config/config.h"
#include "deliver/deliver.h"
#include "directory/directory.h"
#include "dns/dns.h"
#include "event/event.h"
#include "programs/mta/keyring_client.h"
#include "programs/mta/reports.h"
#include "programs/mta/spool_watch.h"
#include "receive/receive.h"
#include "schedule/schedule.h"
#include "spool/spool.h"
#include "tls/tls.h"
/*
 * wire - the path of a message, joined: receive -> spool -> schedule -> deliver -> report, for one loop. wire.c is the
 * picture of docs/architecture.md, checked by the compiler.
 */

/* What all loops share; immutable, each part reference counted. A change makes a new one. */
struct snapshot {
    struct config *config;
    struct directory *directory;
    struct tls_context *tls;
};
struct snapshot snapshot_hold(const struct snapshot *);
void snapshot_release(struct snapshot *);

struct stages {
    unsigned number; /* of the loop */
    struct loop *loop;
    struct snapshot snapshot;
    struct event_log *events;
    struct spool *spool;
    struct spool_watch spool_watch;
    struct receiver *receiver;
    struct schedule *schedule;
    struct deliverer *deliverer;
    struct keyring_client *keyring; /* borrowed */
    struct ipc_channel *mailbox;    /* NULL while the mailbox process restarts */
    struct reports *reports;
    struct loop_hook turn_end;
    struct timer flush_timer;
    unsigned stopping; /* stages that have not ended yet */
    loop_function *stopped;
    void *stopped_context;
};
struct stages_params {
    struct loop *loop;
    unsigned number, loop_count; /* this loop's number, of how many */
    struct keyring_client *keyring;
    const struct snapshot *snapshot; /* held, not kept */
    struct dns *dns;
};
/* On the loop's thread. Recovers the journal; nothing is accepted or tried before stages_begin. False and *error when
 * the loop cannot work. */
MUST_CHECK bool stages_open(struct stages *, const struct stages_params *, struct text *error);
/* What the journal holds goes into the queues: the loop works. */
void stages_begin(struct stages *);
void stages_configure(struct stages *, const struct snapshot *);
void stages_set_mailbox(struct stages *, int fd); /* a channel to the mailbox process; replaces the old one */
/* Ends in order; everything acknowledged is on disk when `stopped` comes. */
void stages_stop(struct stages *, bool at_once, loop_function *stopped, void *context);
void stages_close(struct stages *);
