#pragma once
#include "base/text.h"
#include "event/event.h"
#include "spool/spool.h"
/*
 * report - delivery status notifications (RFC 3464, RFC 6522, RFC 3461 §6) with words people understand: what happened,
 * whose server said so, in plain English, what to do; then the machine-readable part, then the message or its headers.
 *
 * report_make writes the whole content of a DSN (CRLF lines). Which recipients are in it and whether one is due at all
 * is decided by report_is_due: never for the null sender (RFC 5321 §6.1), never against NOTIFY.
 */
enum report_kind { REPORT_FAILED, REPORT_DELAYED, REPORT_RELAYED };
struct report_params {
    enum report_kind kind;
    slice hostname; /* Reporting-MTA */
    const struct spool_message *message;
    const uint32_t *recipients; /* indexes in the message's envelope */
    const struct outcome
        *outcomes; /* one for each entry of `recipients`, same order: what is reported (not recorded yet) */
    size_t recipient_count;
    slice content;       /* the original content; empty: not at hand (then only the headers given in it) */
    uint64_t now_ms;     /* wall clock */
    uint64_t give_up_ms; /* REPORT_DELAYED: when the lifetime ends; wall clock */
    uint64_t report_id;  /* the DSN's own message id, for its Message-ID: and boundary */
};
bool report_is_due(enum report_kind, const struct spool_message *, uint32_t recipient);
void report_make(struct text *content, uint32_t *header_octets, const struct report_params *);
/* One or two sentences for people about a failure, made from status, reply text and stage; static text or in *buffer.
 */
slice report_explain(const struct outcome *, struct text *buffer);
