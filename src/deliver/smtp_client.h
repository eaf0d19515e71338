#pragma once
#include "deliver/host_walk.h"
#include "sasl/sasl.h"
#include "smtp/dot.h"
#include "smtp/ehlo.h"
#include "smtp/reply.h"
/*
 * smtp_client - one outgoing SMTP or LMTP connection (RFC 5321, RFC 2033). Private to deliver/.
 *
 *   GREETING -> EHLO [-> HELO] [-> STARTTLS -> HANDSHAKE -> EHLO] [-> AUTH ...] -> IDLE
 *   IDLE -> [RSET ->] MAIL -> RCPT ... -> DATA -> CONTENT -> (next message: [RSET] MAIL, or IDLE) ... -> QUIT
 *
 * Until the first message everything that goes wrong leads to the next host (host_walk), and with the last one to
 * connection_end.failure. From then on messages carry their outcomes themselves.
 *
 * Pipelining (RFC 2920 §3.1): the commands of a message go in one write, and those of the next message go in one write
 * with the content of this one, so that a message costs one round trip. Two messages can therefore be open: `current`,
 * whose reply is next, and `ahead`, none of whose replies has come.
 *
 * Files: smtp_client.c the way to a usable connection; smtp_transaction.c MAIL to the final reply; smtp_content.c the
 * octets.
 */
enum smtp_step {
    STEP_NONE,
    STEP_CONNECT,
    STEP_GREETING,
    STEP_EHLO,
    STEP_HELO,
    STEP_STARTTLS,
    STEP_HANDSHAKE,
    STEP_AUTH,
    STEP_IDLE,
    STEP_RSET,
    STEP_MAIL,
    STEP_RCPT,
    STEP_DATA,
    STEP_CONTENT,
    STEP_QUIT,
    STEPS
};

/* Octets borrowed from the spool; outlives the connection when the kernel or a lane still uses them. */
struct content_loan;

struct smtp_transaction {
    struct task *task;         /* NULL: this place is free */
    bool has_rset;             /* RSET was sent before MAIL */
    bool is_refused;           /* MAIL was: the other replies of the group are only counted */
    bool is_lone_dot;          /* DATA was accepted although no recipient was: nothing is to be delivered */
    bool content_is_sent;      /* with its final dot */
    size_t reply_at;           /* the recipient whose reply is next (RCPT; LMTP: after the dot) */
    size_t accepted;           /* recipients the server took at RCPT */
    bool *is_accepted;         /* for each recipient; in the task's memory */
    struct content_loan *loan; /* while it is loaded or read, and until it is written */
};

struct smtp_client {
    struct connection base;
    enum smtp_step step;
    struct host_walk walk;
    struct walk_host host;           /* the one we are at */
    struct tls_context *tls_context; /* NULL: the destination never uses TLS */
    slice tls_error;                 /* why there is no context although one is needed */
    bool speaks_plain;               /* the handshake with this host failed: without TLS this time */
    struct connecting *connecting;
    struct stream *stream;
    struct timer timer;
    struct reply_reader reader;
    bool is_esmtp, is_secured;
    struct ehlo offer;                      /* without its slices */
    const struct sasl_mechanism *mechanism; /* of the server's AUTH line; NULL: none we know */
    struct sasl_client sasl;
    unsigned sasl_rounds;
    struct text remote_name, remote_address, tls; /* for outcomes */
    struct outcome failure;                       /* of the hosts tried so far */
    struct smtp_transaction transactions[2];
    struct smtp_transaction *current, *ahead;
    size_t taken, carried; /* on this stream: messages begun, and those it took or refused in order */
    bool needs_rset;       /* a transaction was left open at the server */
    uint64_t content_sent_ms;
    bool is_slow_to_take; /* its reply after the dot takes long: no message is made to wait behind another */
};

static inline struct smtp_client *smtp_client_of(struct connection *c)
{
    return CONTAINER_OF(c, struct smtp_client, base);
}
static inline bool smtp_is_lmtp(const struct smtp_client *c) { return c->base.destination.kind == DESTINATION_LMTP; }
static inline bool smtp_has(const struct smtp_client *c, enum extension x) { return ehlo_has(&c->offer, x); }
static inline struct loop *smtp_loop(const struct smtp_client *c) { return c->base.deliverer->doors.loop; }

/* --- smtp_client.c --- */
/* The one place where the step changes; sets the time its reply must come within. */
void smtp_enter(struct smtp_client *, enum smtp_step);
enum delivery_stage smtp_stage(enum smtp_step);
void smtp_send(struct smtp_client *, struct text *command); /* empties it */
/* An outcome with the remote's name and address and TLS filled in. */
struct outcome smtp_outcome(const struct smtp_client *, struct outcome);
/* Nothing waits and nothing is open: stays for a while, then QUIT. */
void smtp_idle(struct smtp_client *);
/* Good-bye: reported as closed at once, the socket lingers for the reply. */
void smtp_quit(struct smtp_client *);
/* The dialogue cannot go on. */
void smtp_lost(struct smtp_client *, struct outcome why);

/* --- smtp_transaction.c --- */
void smtp_next_message(struct smtp_client *); /* nothing is current: takes one, or smtp_idle */
void smtp_take_ahead(struct smtp_client *);   /* writes the commands of the next message behind this one's content */
void smtp_transaction_reply(struct smtp_client *); /* the reader holds a whole reply for `current` */
/* The connection broke: every open message gets its outcome and is given back. */
void smtp_give_back(struct smtp_client *, const struct outcome *why);

/* --- smtp_content.c --- */
/* DATA was accepted: sends the content (at once or as it comes from the disk), the final dot, and what goes with it. */
void smtp_send_content(struct smtp_client *);
void smtp_content_drained(struct smtp_client *);
void smtp_content_drop(
    struct smtp_transaction *); /* what is still loaded goes back to the spool when nothing uses it */
