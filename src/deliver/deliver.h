#pragma once
#include "dns/dns.h"
#include "event/event.h"
#include "ipc/ipc.h"
#include "spool/delivery.h"
#include "tls/tls.h"
/*
 * deliver - how mail goes out: SMTP and LMTP clients (RFC 5321 §3.3, §4.5.4; RFC 2033), the mailbox process, discard.
 * One deliverer per loop; the schedule opens connections through the door (spool/delivery.h).
 */
struct deliverer;
struct deliver_params {         /* borrowed for the call of deliver_configure only */
    slice hostname;             /* our EHLO name */
    slice source_v4, source_v6; /* empty: the kernel chooses */
    uint64_t connect_timeout_ms, idle_ms;
    uint64_t reply_timeout_ms; /* 0: RFC 5321 §4.5.3.2 for each step; else this for all (tests) */
};
struct deliver_doors {
    struct loop *loop;
    struct spool *spool;
    struct dns *dns; /* NULL: MX delivery is refused with 4.3.5 */
    struct event_log *events;
    /* mailbox process of the moment; NULL while it is being restarted */
    struct ipc_channel *(*mailbox)(void *owner);
    void *owner;
};
struct deliverer *deliverer_new(const struct deliver_doors *);
/* Once, before the first connection is opened: the schedule is made after the deliverer, each needs the other's door.
 */
void deliverer_set_schedule(struct deliverer *, struct delivery_schedule_door);
void deliverer_configure(struct deliverer *, const struct deliver_params *);
struct delivery_deliver_door deliverer_door(struct deliverer *); /* for the schedule */
/* The mailbox process answered / went away (its unanswered tasks end as transient). */
void deliverer_stored(struct deliverer *, const struct ipc_stored *);
void deliverer_mailbox_lost(struct deliverer *);
/* Our own listening addresses: an MX that is one of them is a loop to ourselves (RFC 5321 §5.1). */
void deliverer_set_own_addresses(struct deliverer *, const struct address *, size_t count);
/* The server ends: nothing new is taken, idle connections say QUIT, the others after what they carry. */
void deliverer_stop(struct deliverer *);
/* Connections in use are broken off and their tasks given back, so before the schedule is freed and after the loop has
 * ended. */
void deliverer_free(struct deliverer *);
