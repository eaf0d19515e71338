#pragma once
#include "base/arena.h"
#include "smtp/status.h"
/*
 * outcome - how an attempt at one recipient ended: what the schedule decides on, the journal keeps, DSNs and events
 * tell (RFC 3464 §2.3). Slices hang in the task's arena (in a spool_recipient: the message's).
 */
enum action {
    ACTION_NONE,      /* not tried yet, or the attempt did not reach this recipient */
    ACTION_DELIVERED, /* in a mailbox, or in the hands of a server that does not say more: final */
    ACTION_RELAYED,   /* handed to a server that does not do DSN: final, RFC 3461 §6.2.3 */
    ACTION_EXPANDED,  /* split among alias targets: final */
    ACTION_DELAYED,   /* transient failure: tried again */
    ACTION_FAILED,    /* permanent failure: returned */
};
enum delivery_stage {
    STAGE_NONE,
    STAGE_DNS,
    STAGE_CONNECT,
    STAGE_GREETING,
    STAGE_EHLO,
    STAGE_STARTTLS,
    STAGE_TLS,
    STAGE_AUTH,
    STAGE_MAIL,
    STAGE_RCPT,
    STAGE_DATA,
    STAGE_CONTENT,
    STAGE_MAILBOX,
    STAGE_POLICY
};
const char *delivery_stage_name(enum delivery_stage); /* "connect", "rcpt"... */
const char *action_name(enum action);                 /* RFC 3464 §2.3.3 words */
struct outcome {
    enum action action;
    enum delivery_stage stage;
    struct status status;
    bool status_was_told; /* `status` is in the remote's reply; else it was made from code and stage */
    uint16_t reply_code;  /* 0: no reply was involved */
    slice text;           /* the remote's reply text, or our own words */
    slice remote_name;    /* MX name, socket, mailbox; empty: none reached */
    slice remote_address; /* "192.0.2.1:25" */
    slice tls;            /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: plain */
    bool expired;         /* ACTION_FAILED because the queue lifetime ended */
};
static inline bool outcome_is_final(enum action a)
{
    return a == ACTION_DELIVERED || a == ACTION_RELAYED || a == ACTION_EXPANDED || a == ACTION_FAILED;
}
static inline bool outcome_is_success(enum action a) { return outcome_is_final(a) && a != ACTION_FAILED; }
void outcome_encode(struct text *, const struct outcome *);
MUST_CHECK bool outcome_decode(struct arena *, slice *input, struct outcome *); /* takes its octets off *input */
void outcome_copy(struct arena *, struct outcome *to, const struct outcome *from);
