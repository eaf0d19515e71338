#pragma once
#include "base/address.h"
#include "smtp/reply.h"
#include "tls/tls.h"
/*
 * conversation - the SMTP client of `send` and `sendmail`: one connection, one or more messages, step by step so that a
 * person can follow it. Runs a loop of its own until the end; the server's own outgoing mail goes by deliver/.
 *
 *   connect -> [SUBMIT] -> GREETING -> EHLO -> [STARTTLS -> handshake -> EHLO] -> [AUTH] -> MAIL -> RCPT* -> DATA ->
 * CONTENT -+-> QUIT
 *                                                                                            ^------------------ next
 * message -'
 */
enum conversation_tls {
    CONVERSATION_TLS_NONE,
    CONVERSATION_TLS_STARTTLS,
    CONVERSATION_TLS_REQUIRED,
    CONVERSATION_TLS_IMPLICIT
};
enum conversation_end {
    CONVERSATION_OK,        /* every message was accepted for every recipient */
    CONVERSATION_NO_SERVER, /* no connection, or it broke */
    CONVERSATION_TRANSIENT, /* a 4xx reply */
    CONVERSATION_REFUSED,   /* a 5xx reply, or the server cannot do what is wanted */
    CONVERSATION_NOT_SIGNED_IN,
};
struct conversation_recipient {
    slice mailbox;
    bool is_accepted; /* of the last message */
    uint16_t code;    /* of the reply to RCPT; 0: not asked */
    struct status status;
    struct text reply;
};
struct conversation {
    /* wanted */
    const struct address *addresses; /* tried in turn */
    size_t address_count;
    const char *unix_path; /* instead: a control socket, where SMTP begins after `submit` */
    enum conversation_tls tls;
    struct tls_context *tls_context; /* NULL: no TLS */
    slice server_name;               /* for the certificate */
    slice username, password;        /* empty: no AUTH */
    bool may_sign_in_without_tls;
    slice ehlo_name;
    slice reverse_path; /* mailbox, empty: null sender */
    struct conversation_recipient *recipients;
    size_t recipient_count;
    slice dsn_notify, dsn_return, dsn_envelope_id; /* "SUCCESS,FAILURE"; used where the server offers DSN */
    uint64_t timeout_ms;                           /* for each reply */
    /* The content of message `number` (from 0); it lives until the next call. False: there is no further one. */
    bool (*next_message)(void *context, uint64_t number, slice *content);
    /* direction: '<' came, '>' was sent, '*' a remark. */
    void (*show)(void *context, char direction, slice line);
    /* After the reply to a message's content. */
    void (*accepted)(void *context, uint64_t number);
    void *context;

    /* found */
    enum conversation_end end;
    uint64_t accepted_count;
    uint16_t code; /* of the reply that decided; 0: none */
    struct status status;
    struct text words; /* what went wrong, for people; or the text of the last reply */
    struct text tls_words;
};
/* Holds the conversation; fills what it found. */
void conversation_run(struct conversation *);
void conversation_free(struct conversation *); /* what it found */
