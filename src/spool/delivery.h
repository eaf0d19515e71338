#pragma once
#include "base/address.h"
#include "spool/task.h"
/*
 * delivery - the door between schedule/ (what goes when) and deliver/ (how it goes), which do not include each other;
 * programs/mta/wire.c joins them. All on one loop.
 *
 * Life of a connection:  the schedule asks deliver to open one to a destination (functions below, filled by wire).
 * The connection pulls: once it can carry mail it calls next_task until that says NULL, then stays idle until woken
 * or its idle time ends. For every task taken it calls task_done exactly once, with an outcome for each recipient (an
 * ACTION_NONE recipient is put back untried). It ends with `closed`, exactly once, after its last task_done.
 */
enum destination_kind { DESTINATION_MX, DESTINATION_HOST, DESTINATION_LMTP, DESTINATION_MAILBOX, DESTINATION_DISCARD };
enum destination_tls { DESTINATION_TLS_NONE, DESTINATION_TLS_OPPORTUNISTIC, DESTINATION_TLS_REQUIRED, DESTINATION_TLS_VERIFIED, DESTINATION_TLS_IMPLICIT };
/* Where mail goes. Two messages with equal keys share queue and connections. */
struct destination {
    enum destination_kind kind;
    slice key;             /* "mx:example.org", "host:relay.example:587", "lmtp:unix:/run/lmtp", "mailbox", "discard" */
    slice name;            /* for people and events: "example.org", "relay.example:587" */
    slice host;            /* MX: the domain; HOST, LMTP: name or address, or "unix:PATH" */
    uint16_t port;         /* MX: the port for every host; HOST, LMTP */
    enum destination_tls tls;
    slice ca_pem;          /* for VERIFIED, IMPLICIT; empty: the system's authorities */
    slice username, password; /* empty: no AUTH */
    slice mailbox;         /* MAILBOX for captured mail: "outside@captured"; empty: each recipient's own */
    size_t connections_max, messages_per_connection;
};
/* How a connection ended. */
struct connection_end {
    bool was_usable;          /* it got as far as carrying mail */
    struct outcome failure;   /* action ACTION_DELAYED or ACTION_FAILED when no task carried the failure (DNS, connect,
                                 greeting...): applies to the destination as a whole; ACTION_NONE: an orderly end.
                                 Slices live for the call. */
};
struct connection; /* deliver's */
struct delivery_schedule_door { /* called by deliver */
    struct task *(*next_task)(void *schedule, void *destination); /* NULL: nothing waits now */
    void (*task_done)(void *schedule, void *destination, struct task *);
    void (*closed)(void *schedule, void *destination, struct connection *, const struct connection_end *);
    void *schedule;
};
struct delivery_deliver_door { /* called by schedule */
    /* Never calls back inside. `handle` is given back as `destination` in the calls above. */
    struct connection *(*open)(void *deliver, const struct destination *, void *handle);
    void (*wake)(void *deliver, struct connection *); /* there is work; harmless when it is busy */
    void *deliver;
};
