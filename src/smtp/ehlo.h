#pragma once
#include "base/slice.h"
/*
 * ehlo - what a server offers in its reply to EHLO (RFC 5321 §4.1.1.1) or LHLO, as the client reads it.
 */
enum extension {
    EXTENSION_SIZE = 1,                /* RFC 1870 */
    EXTENSION_8BITMIME = 2,            /* RFC 6152 */
    EXTENSION_PIPELINING = 4,          /* RFC 2920 */
    EXTENSION_ENHANCEDSTATUSCODES = 8, /* RFC 2034 */
    EXTENSION_STARTTLS = 16,           /* RFC 3207 */
    EXTENSION_AUTH = 32,               /* RFC 4954 */
    EXTENSION_DSN = 64,                /* RFC 3461 */
    EXTENSION_SMTPUTF8 = 128,          /* RFC 6531 */
    EXTENSION_CHUNKING = 256,          /* RFC 3030 */
    EXTENSION_BINARYMIME = 512,        /* RFC 3030 */
};
struct ehlo {
    unsigned extensions;
    uint64_t size_max; /* 0: no limit told */
    slice auth;        /* "PLAIN LOGIN"; points into the text given */
    slice name;        /* the first word of the first line: the server's name */
};
/* `text` as struct reply_reader has it: lines joined by '\n', the first is the greeting. Lines not understood are
 * skipped. */
void ehlo_parse(slice text, struct ehlo *);
static inline bool ehlo_has(const struct ehlo *e, enum extension x) { return (e->extensions & x) != 0; }
