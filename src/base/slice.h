#pragma once
#include "base/compiler.h"
#include <string.h>
/*
 * slice - borrowed bytes: not owned, not NUL-terminated, may hold any octet (NUL included).
 *
 * Memory:  a slice never owns; whoever made it says how long the bytes live.
 *          {NULL, 0} is the empty slice; functions accept it everywhere.
 * Case:    "nocase" folds ASCII letters only, as RFC 5321 §2.4 wants for verbs and domains.
 */
typedef struct slice {
    const char *ptr;
    size_t len;
} slice;

/* clang-format off */
#define LIT(s)        { "" s, sizeof(s) - 1 } /* inside a table of constants */
#define SLICE(s)      ((slice)LIT(s))         /* inside an expression */
/* clang-format on */
#define SLICE_FMT    "%.*s"
#define SLICE_ARG(s) (int)(s).len, (s).ptr

static inline slice slice_from(const char *ptr, size_t len) { return (slice){ ptr, len }; }
/* From a NUL-terminated string; NULL gives the empty slice. */
static inline slice slice_from_cstr(const char *s) { return (slice){ s, s ? strlen(s) : 0 }; }
static inline bool slice_is_empty(slice s) { return s.len == 0; }
static inline bool slice_eq(slice a, slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
bool slice_eq_nocase(slice a, slice b);
/* <0, 0, >0 as memcmp, a shorter prefix first. */
int slice_compare(slice a, slice b);
bool slice_starts_with(slice s, slice prefix);
bool slice_starts_with_nocase(slice s, slice prefix);
bool slice_ends_with(slice s, slice suffix);
bool slice_ends_with_nocase(slice s, slice suffix);

#define SLICE_NOT_FOUND SIZE_MAX
size_t slice_find_byte(slice s, char byte);      /* offset of the first, or SLICE_NOT_FOUND */
size_t slice_find_byte_last(slice s, char byte); /* offset of the last, or SLICE_NOT_FOUND */
size_t slice_find(slice s, slice needle);        /* offset of the first, or SLICE_NOT_FOUND */

/* The first `count` octets, or what is left after them; `count` past the end is the end. */
static inline slice slice_head(slice s, size_t count) { return (slice){ s.ptr, size_min(count, s.len) }; }
static inline slice slice_tail(slice s, size_t count)
{
    count = size_min(count, s.len);
    return (slice){ s.len ? s.ptr + count : s.ptr, s.len - count };
}
/* Spaces and tabs (and for slice_trim_lines CR and LF too) removed at both ends. */
slice slice_trim(slice s);
slice slice_trim_lines(slice s);
/* Splits at the first `separator`: *before gets what stands before it (all of s where there is none), returns
 * what follows it (empty where there is none). `true` in *found tells the two apart; `found` may be NULL. */
slice slice_cut(slice s, char separator, slice *before, bool *found);
/* The next CRLF- or LF-ended line of *rest without its end; false at the end of *rest. */
bool slice_next_line(slice *rest, slice *line);

static inline char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }
static inline bool ascii_is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool ascii_is_alpha(char c)
{
    c = ascii_lower(c);
    return c >= 'a' && c <= 'z';
}
static inline bool ascii_is_alnum(char c) { return ascii_is_digit(c) || ascii_is_alpha(c); }
/* True when every octet is below 0x80. */
bool slice_is_ascii(slice s);
/* True when the octets are well-formed UTF-8 (RFC 3629: no overlongs, no surrogates, nothing past U+10FFFF). */
bool slice_is_utf8(slice s);
/* Octets of the well-formed UTF-8 character at the start; 0 where there is none (or s is empty). */
size_t slice_utf8_character(slice s);
