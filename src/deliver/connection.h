#pragma once
#include "base/clock.h"
#include "base/map.h"
#include "deliver/deliver.h"
/*
 * connection - what all kinds of outgoing connections share, and the deliverer that owns them. Private to deliver/.
 *
 * Life:    made by the door's `open`; first run at the end of that turn (nothing calls back inside `open` or `wake`);
 *          connection_end reports `closed` and the memory goes at the end of a turn, so that a callback may still look
 *          at has_ended after it.
 * Kinds:   smtp_client.c (SMTP and LMTP), mailbox_client.c, discard.c: a row of functions each.
 */
struct connection_kind {
    void (*run)(struct connection *);   /* there may be work; at the end of a turn */
    void (*stop)(struct connection *);  /* the server ends: finish what was begun, do not stay idle */
    void (*abort)(struct connection *); /* end at once: give all tasks back, call connection_end */
    void (*free)(struct connection *);  /* the kind's own, and the memory itself */
};
struct connection {
    const struct connection_kind *kind;
    struct deliverer *deliverer;
    struct list in_table; /* deliverer's connections, or those that ended */
    struct list woken;
    struct arena memory;
    struct destination destination; /* a copy in memory; without ca_pem */
    void *handle;                   /* the schedule's */
    size_t tasks_taken;
    size_t tasks_open;
    bool was_usable;  /* it got as far as carrying mail */
    bool is_reported; /* `closed` was called */
    bool has_ended;
};

struct deliverer {
    struct deliver_doors doors;
    struct delivery_schedule_door schedule;
    struct text hostname;
    struct address source_v4, source_v6;
    bool has_source_v4, has_source_v6;
    uint64_t connect_timeout_ms, idle_ms, reply_timeout_ms;
    bool is_stopping;
    struct list connections, woken, ended;
    struct loop_hook turn_end;
    struct timer soon; /* a turn comes even when nothing else happens */
    struct address *own;
    size_t own_count;
    struct map hosts;        /* struct host_note by name */
    struct map tls_contexts; /* struct tls_entry by PEM of its authorities */
    struct tls_context *tls_unverified;
    struct id_map stores; /* mailbox_client.c: requests without an answer */
    uint64_t last_store;
    unsigned mailbox_losses; /* since its last answer */
    struct text scratch; /* commands are put together here */
};

void connection_init(struct connection *, const struct connection_kind *, struct deliverer *,
                     const struct destination *, void *handle);
/* Runs the connection at the end of this turn. */
void connection_wake(struct connection *);
/* NULL: nothing waits, the connection ended, or we are stopping. */
struct task *connection_next_task(struct connection *);
void connection_task_done(struct connection *, struct task *);
/* Tells the schedule; the connection may still say good-bye to its peer. `failure` NULL: an orderly end. */
void connection_report_closed(struct connection *, const struct outcome *failure);
/* Reports where that was not done yet. The memory goes at the end of the turn. */
void connection_end(struct connection *, const struct outcome *failure);

struct connection *smtp_connection_new(struct deliverer *, const struct destination *, void *handle);
struct connection *mailbox_connection_new(struct deliverer *, const struct destination *, void *handle);
struct connection *discard_connection_new(struct deliverer *, const struct destination *, void *handle);
void mailbox_client_answered(struct deliverer *, const struct ipc_stored *);
void mailbox_client_lost(struct deliverer *);

/* Context for a destination that wants the certificate checked (`ca_pem` empty: by the system's authorities), or one
 * that only encrypts. Shared and kept; NULL and *error on failure. */
struct tls_context *deliverer_tls_context(struct deliverer *, bool verify, slice ca_pem, struct text *error);
/* A host whose TLS handshake failed is spoken to in clear for an hour where the route allows it, so that not every
 * connection tries twice. */
void deliverer_note_tls_failure(struct deliverer *, slice host);
bool deliverer_has_tls_failure(const struct deliverer *, slice host);
bool deliverer_is_own_address(const struct deliverer *, const struct address *);
bool deliverer_is_own_name(const struct deliverer *, slice host);

/* The same outcome for recipient `i`, its slices copied to the task's memory. */
void task_set_recipient_outcome(struct task *, size_t i, const struct outcome *);
