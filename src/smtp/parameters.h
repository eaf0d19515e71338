#pragma once
#include "smtp/ehlo.h"
#include "smtp/envelope.h"
/*
 * parameters - the ESMTP parameters of MAIL and RCPT (RFC 5321 §4.1.2) and the values that we know.
 *
 *   Mail-parameters = esmtp-param *(SP esmtp-param)
 *   esmtp-param     = esmtp-keyword ["=" esmtp-value]
 *   esmtp-keyword   = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
 *   esmtp-value     = 1*(%d33-60 / %d62-126)          UTF-8 behind SMTPUTF8 (RFC 6531 §3.3)
 *
 * The value parsers take the value alone and are exact: false means "501 5.5.4". They refuse the empty value too.
 */
struct parameter {
    slice keyword, value; /* as written; the keyword is compared without case */
    bool has_value;
};
enum parameter_result { PARAMETER_OK, PARAMETER_END, PARAMETER_BAD };
/* Takes the next parameter and the white space before it off *rest (path_parse's `rest`). */
MUST_CHECK enum parameter_result parameter_next(slice *rest, struct parameter *);

enum { SIZE_DIGITS_MAX = 20, ENVID_MAX = 100, ORCPT_MAX = 500 };
MUST_CHECK bool parameter_size(slice value, uint64_t *octets);      /* RFC 1870 §5; past 2^64-1: that number */
MUST_CHECK bool parameter_body(slice value, enum body_type *);      /* RFC 6152 §2, RFC 3030 §3 */
MUST_CHECK bool parameter_ret(slice value, enum dsn_return *);      /* RFC 3461 §4.3 */
MUST_CHECK bool parameter_envid(slice value, struct text *decoded); /* §4.4: printable ASCII after xtext */
MUST_CHECK bool parameter_notify(slice value, unsigned *notify);    /* §4.1: NEVER stands alone */
MUST_CHECK bool parameter_orcpt(slice value,
                                struct text *decoded); /* §4.2: "rfc822;ann@example.org", type as written */
MUST_CHECK bool parameter_auth(slice value, struct text *decoded); /* RFC 4954 §5: "<>" or a mailbox in xtext */

/* xtext, RFC 3461 §4: "+3D" for "=". The decoders append; false leaves `to` as it was. */
void xtext_encode(struct text *to, slice octets);
MUST_CHECK bool xtext_decode(struct text *to, slice xtext);

/* What the client sends: " SIZE=... BODY=... SMTPUTF8 RET=... ENVID=..." as far as the server offered it
 * (`extensions`). */
void text_add_mail_parameters(struct text *, const struct envelope *, uint64_t size_octets, bool has_8bit,
                              unsigned extensions);
/* " NOTIFY=... ORCPT=..."; nothing without EXTENSION_DSN. ORCPT is made from the original address when an alias
 * changed it and none came (RFC 3461 §5.2.1 d). */
void text_add_rcpt_parameters(struct text *, const struct recipient *, unsigned extensions);
