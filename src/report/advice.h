#pragma once
#include "smtp/outcome.h"
/*
 * advice - why an attempt failed, as one cause out of a list, and what to say about it to the one who sent the message.
 *
 * The cause is found from the outcome's status, reply code, stage and, where servers say it in words only, phrases of
 * well-known servers and providers. First match in a table of rules; there is always a cause.
 */
enum cause {
    CAUSE_NO_MAILBOX,
    CAUSE_MAILBOX_DISABLED,
    CAUSE_MAILBOX_FULL,
    CAUSE_NO_DOMAIN,
    CAUSE_NULL_MX,
    CAUSE_ADDRESS_SYNTAX,
    CAUSE_SENDER_REFUSED,
    CAUSE_TOO_LARGE,
    CAUSE_SPAM,
    CAUSE_VIRUS,
    CAUSE_ATTACHMENT,
    CAUSE_BLOCKLISTED,
    CAUSE_REPUTATION,
    CAUSE_UNAUTHENTICATED,
    CAUSE_REVERSE_DNS,
    CAUSE_RATE_LIMITED,
    CAUSE_GREYLISTED,
    CAUSE_RESTRICTED,
    CAUSE_POLICY,
    CAUSE_RELAY_DENIED,
    CAUSE_TLS_WANTED,
    CAUSE_TLS_FAILED,
    CAUSE_CERTIFICATE,
    CAUSE_SIGN_IN,
    CAUSE_DNS,
    CAUSE_NO_ANSWER,
    CAUSE_CONNECTION_LOST,
    CAUSE_BUSY,
    CAUSE_SERVER_TROUBLE,
    CAUSE_SERVER_FULL,
    CAUSE_LOOP,
    CAUSE_NOT_SUPPORTED,
    CAUSE_TOO_MANY_RECIPIENTS,
    CAUSE_PROTOCOL,
    CAUSE_OWN_MAILBOX,
    CAUSE_OWN_SETUP,
    CAUSE_OWN_TROUBLE,
    CAUSE_EXPIRED,
    CAUSE_OTHER_PERMANENT,
    CAUSE_OTHER_TRANSIENT,
};
struct advice {
    slice name;     /* "no-mailbox": for machines and tests */
    slice happened; /* a sentence */
    slice to_do;    /* what the sender can do, a sentence or two */
};
enum cause cause_find(const struct outcome *);
const struct advice *advice_of(enum cause);
