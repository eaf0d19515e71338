#pragma once
#include "base/slice.h"
#include "base/text.h"
/*
 * path - reverse-path and forward-path of RFC 5321 §4.1.1.2-3 and §4.1.2, and plain mailboxes.
 *
 *   Path    = "<" [ A-d-l ":" ] Mailbox ">"       (the source route is read and dropped: Appendix C)
 *   Mailbox = Local-part "@" ( Domain / address-literal )
 *
 * Local parts are kept as they were written, quotes included; path_local_part_eq compares what they mean.
 * Domains may be A-labels, U-labels (only where `utf8` is allowed, RFC 6531 §3.3) or address literals with brackets.
 */
enum { LOCAL_PART_MAX = 64, DOMAIN_MAX = 255, PATH_MAX_OCTETS = 256 };

/* Both parts empty is the null sender, "<>". */
struct path {
    slice local_part, domain;
};
enum path_error {
    PATH_OK,
    PATH_NO_BRACKETS,
    PATH_BAD_LOCAL_PART,
    PATH_BAD_DOMAIN,
    PATH_TOO_LONG,
    PATH_NO_DOMAIN,  /* a mailbox without "@domain" */
    PATH_NEEDS_UTF8, /* well-formed, but only with SMTPUTF8 */
};
struct path_parse {
    enum path_error error;
    struct path path; /* valid when error == PATH_OK; points into the input */
    slice rest;       /* what follows '>': the ESMTP parameters, with their leading space */
};
struct path_parse path_parse(slice input, bool utf8);
/* As path_parse, but without brackets and with nothing behind: "ann@example.org". */
struct path_parse mailbox_parse(slice input, bool utf8);
static inline bool path_is_null(struct path p) { return p.local_part.len == 0 && p.domain.len == 0; }
/* The local part is "postmaster", without case; whatever the domain. RFC 5321 §4.5.1 gives it a meaning also without
 * one: for "<postmaster>" path_parse gives the local part and an empty domain. */
bool path_is_postmaster(struct path);
/* Domain without case; local part as written after removing needless quotes, with case. */
bool path_eq(struct path a, struct path b);
/* The local part without its quoting: `"a\@b"` -> `a@b`. */
void path_add_unquoted_local_part(struct text *, struct path);
void text_add_path(struct text *, struct path);    /* with brackets; null: "<>" */
void text_add_mailbox(struct text *, struct path); /* without brackets */
/* A domain as in EHLO: Domain or address-literal. */
MUST_CHECK bool domain_is_valid(slice domain, bool utf8);
MUST_CHECK bool address_literal_is_valid(slice literal);
