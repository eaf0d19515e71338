#pragma once
#include "base/text.h"
/* status - enhanced status codes, RFC 3463 and RFC 5248: "5.1.1". */
struct status {
    uint8_t class;            /* 2, 4 or 5; 0: none known */
    uint16_t subject, detail; /* 0..999 */
};
/* At the start of a reply's text; *rest (may be NULL) gets what follows it and one space. False: none there. */
MUST_CHECK bool status_parse(slice text, struct status *, slice *rest);
void text_add_status(struct text *, struct status);
static inline bool status_is(struct status s, uint8_t class, uint16_t subject, uint16_t detail)
{
    return s.class == class && s.subject == subject && s.detail == detail;
}
