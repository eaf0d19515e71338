#pragma once
#include "base/arena.h"
#include "smtp/path.h"
/*
 * envelope - what a message carries besides its content (RFC 5321 §2.3.1) and the parameters that must travel on.
 * Everything hangs in an arena of the owner.
 */
enum body_type { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };
/* RFC 3461 §4.1 NOTIFY. 0: the parameter was not given (failure and, as we choose, delay). */
enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };
enum dsn_return { DSN_RETURN_UNSET, DSN_RETURN_FULL, DSN_RETURN_HEADERS }; /* RFC 3461 §4.3 RET */

struct recipient {
    struct path forward_path; /* where it goes now: after aliases */
    struct path original;     /* as RCPT named it; equal to forward_path where no alias applied */
    slice original_recipient; /* ORCPT as given, "rfc822;ann@example.org" in xtext-decoded form; empty: none */
    unsigned notify;
};
struct envelope {
    struct path reverse_path;
    enum body_type body;
    bool smtputf8;
    enum dsn_return dsn_return;
    slice envelope_id;                       /* ENVID, xtext-decoded; empty: none */
    slice account;                           /* who signed in; empty: nobody */
    slice client_name, client_address, helo; /* for events, DSNs: where it came from */
    slice listener;                          /* which listener took it: "mx", "submission", "local" */
    uint64_t arrived_ms;                     /* wall clock of acceptance */
    struct recipient *recipients;
    size_t recipient_count;
};
/* A deep copy into another arena. */
struct envelope *envelope_copy(struct arena *, const struct envelope *);
/* A compact form for the journal; decode checks every length. */
void envelope_encode(struct text *, const struct envelope *);
MUST_CHECK bool envelope_decode(struct arena *, slice, struct envelope *);
