#pragma once
#include "receive/receiver.h"
#include "receive/transaction.h"
/*
 * session - one client's connection: from octets to lines and content, from replies to octets, with its clock.
 *
 *   START --EHLO/HELO--> READY --MAIL--> HAS_SENDER --RCPT--> HAS_RECIPIENT --DATA--> content --> READY
 *     ^                    ^                |                      |
 *     |                    '---- RSET, EHLO, HELO -----------------'
 *     '---- STARTTLS (from START or READY)
 *
 * Beside the state stand `input` (what the next octets are) and `wait` (what must happen before they are looked at).
 * Octets that come during a wait are kept, up to a bound; then reading stops.
 *
 * Life: session_end closes the stream at once; the struct goes with session_settle, the last call of every callback,
 * or, when a commit is under way, with its end: a client that leaves then has its message accepted all the same.
 */
enum session_state { STATE_START, STATE_READY, STATE_HAS_SENDER, STATE_HAS_RECIPIENT };
enum session_input { INPUT_COMMANDS, INPUT_CONTENT, INPUT_AUTH };
enum session_wait { WAIT_NOTHING, WAIT_TLS, WAIT_PASSWORD, WAIT_COMMIT, WAIT_DRAIN };

enum {
    LINE_MAX_OCTETS = 12288,        /* the longest line of any command: AUTH, RFC 4954 §4 */
    KEPT_MAX_OCTETS = 64 * 1024,    /* kept during a wait before reading stops */
    REPLIES_UNREAD_MAX = 256 * 1024 /* stream.h's high mark */
};

struct sign_in;
struct session {
    struct list listed; /* receiver.sessions */
    struct receiver *receiver;
    struct receive_listener *listener;
    struct settings *settings;
    struct stream *stream; /* NULL: closed */
    struct client *client; /* NULL: not counted */
    struct transaction *transaction;
    struct sign_in *sign_in; /* during AUTH */
    uint64_t id, started_ms;
    struct timer timer;
    uint64_t timer_due_ms, deadline_ms, session_deadline_ms;
    enum session_state state;
    enum session_input input;
    enum session_wait wait;
    bool is_extended; /* EHLO */
    bool tls_is_on;
    bool reading_is_paused;
    bool client_has_ended;  /* it closed its side while a reply was still owed */
    bool line_is_too_long;  /* its begin was dropped */
    uint32_t errors;        /* 5xx since the last accepted message */
    uint32_t delays;        /* 4xx since the last accepted message */
    uint32_t idle_commands; /* since the last accepted message */
    uint32_t failed_sign_ins;
    uint64_t messages;
    struct text kept;    /* a begun line, or what came during a wait */
    struct text helo;    /* as given */
    struct text account; /* who signed in; empty: nobody */
    struct text tls;     /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
    slice verb;          /* of the command that runs: a name of the table, or empty */
    struct address peer; /* family AF_UNIX: a local client */
};

/* `account`: who is signed in already; usually nobody. */
void session_accept(struct receive_listener *, struct stream *, slice account);
/* Writes a reply; an error is counted, and with max_errors of them the session is over: make it the last thing done. */
void session_reply(struct session *, enum reply_name);
/* Octets as they are; nothing once the session is over. */
void session_write(struct session *, slice);
/* A last reply, then the end. */
void session_end_with(struct session *, enum reply_name, const char *reason);
void session_end(struct session *, const char *reason);
/* Server stop: at once when idle (or `now`), else after the transaction. */
void session_stop(struct session *, bool now);
/* Frees a session that is over. Last call of every callback; the pointer is then not to be used. */
void session_settle(struct session *);
/* The wait is over: go on with what was kept. Settles. */
void session_continue(struct session *);
void session_set_wait(struct session *, enum session_wait);
/* The time limit of what is awaited now. */
void session_set_deadline(struct session *, uint64_t after_ms);
/* The transaction, if there is one, is over: back to READY. */
void session_end_transaction(struct session *);
/* The settings now in force, unless a transaction still works under older ones. */
void session_refresh_settings(struct session *);
/* Drops what was kept and begins the handshake (RFC 3207 §4.2: nothing said before it counts). */
void session_start_tls(struct session *);
bool session_may_relay(const struct session *); /* signed in, or from a network of relay_from */
void session_free(struct session *);
