#pragma once
#include "report/report.h"
/*
 * parts - the three parts of a DSN (RFC 6522 §3), each in a file, and what they share. All octets that others chose
 * (remote texts, addresses, envelope ids) go through the functions here: nothing of theirs can begin a line or a field.
 */
/* REPORT_TEXT_MAX: a field with it in must fit on a line of 998 octets (RFC 5322 §2.1.1). */
enum { REPORT_LISTED_MAX = 100, REPORT_TEXT_MAX = 900, REPORT_CONTENT_MAX = 64 * 1024 };

/* For people: UTF-8, LF lines. */
void report_add_words(struct text *, const struct report_params *);
/* For programs: the body of message/delivery-status (RFC 3464 §2). */
void report_add_status_fields(struct text *, const struct report_params *);
/* The part that returns the message or its header section, its own header included. */
void report_add_returned(struct text *, const struct report_params *);
/* True when the part above carries 8-bit octets as they are. */
bool report_returns_8bit(const struct report_params *);
/* True when the whole message is returned (RFC 3461 §4.3). */
bool report_returns_whole(const struct report_params *);

/* On one line: control characters as spaces, not more than `most` octets. `utf8` false: octets >= 0x80 as "?". */
void report_add_line(struct text *, slice, size_t most, bool utf8);
static inline const struct recipient *report_recipient(const struct report_params *p, size_t i)
{
    return &p->message->envelope->recipients[p->recipients[i]];
}
