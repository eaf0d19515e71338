#pragma once
#include "base/list.h"
#include "base/map.h"
#include "receive/receive.h"
#include "receive/replies.h"
/*
 * receiver - what all sessions of one loop share: listeners, the settings in force, counts of clients, and a few
 * finished transactions kept for the next ones. For receive/ only; the way in from outside is receive.h.
 */

/* One configuration with all that belongs to it. A session works under the one it took until its transaction ends. */
struct settings {
    unsigned references; /* of one loop: not atomic */
    struct config *config;
    struct tls_context *tls; /* NULL: none */
    struct directory *directory;
    struct network *relay_from;
    size_t relay_from_count;
};
struct settings *settings_hold(struct settings *);
void settings_release(struct settings *);
bool settings_may_relay(const struct settings *, const struct address *client);

/* What a listener's role means; one row for each enum listener_role. */
struct role {
    bool tls_at_once;     /* RFC 8314 §3.3 */
    bool offers_tls;      /* STARTTLS is announced */
    bool offers_sign_in;  /* AUTH is announced, under TLS */
    bool demands_sign_in; /* MAIL needs AUTH (RFC 6409 §4.3) */
    bool mends_messages;  /* missing Date: and Message-ID: are added (RFC 6409 §8) */
};
struct receive_listener {
    struct list listed; /* receiver.listeners; stays until receiver_free: sessions name it */
    struct receiver *receiver;
    struct listener *listener; /* NULL once stopped */
    const struct role *role;
    struct text name;
};

/* Sessions of one address (IPv6: of one /64, which is what one customer gets). */
struct client {
    unsigned char key[17];
    size_t sessions;
};

struct receiver {
    struct receive_doors doors;
    struct settings *settings;
    struct list listeners;
    struct receive_listener *local; /* of adopted streams; NULL until the first */
    struct list sessions;           /* closed ones that still wait for a commit included */
    size_t session_count;           /* open ones */
    struct map clients;             /* struct client by key */
    struct list spare_transactions;
    size_t spare_transaction_count;
    struct text scratch; /* for one reply or field; empty between calls */
    uint64_t next_session_id;
    bool is_stopping;
    struct timer patience;
    loop_function *stopped;
    void *stopped_context;
};
/* Counts a session of that client; false (and a reply) when it is one too many. */
MUST_CHECK bool receiver_admit(struct receiver *, const struct address *, struct client **, enum reply_name *);
void receiver_forget(struct receiver *, struct client *);
/* A session is gone for good. */
void receiver_session_gone(struct receiver *);
