#pragma once
#include "base/slice.h"
/*
 * text - a growing buffer of octets that owns its memory, and the writing and reading of numbers, sizes and
 * durations. {0} is a valid empty text.
 */
struct text {
    char *ptr;
    size_t len, capacity;
};
static inline slice text_slice(const struct text *t) { return (slice){ t->ptr, t->len }; }
void text_add(struct text *, slice);
static inline void text_add_cstr(struct text *t, const char *s) { text_add(t, slice_from_cstr(s)); }
void text_add_byte(struct text *, char);
void text_add_u64(struct text *, uint64_t);
void text_add_i64(struct text *, int64_t);
void text_add_hex(struct text *, uint64_t value, unsigned digits); /* lower case, zero padded */
void text_add_format(struct text *, const char *format, ...) PRINTF_LIKE(2, 3);
/* Room for `octets` more behind len, not counted yet; the caller fills it and raises len. */
char *text_reserve(struct text *, size_t octets);
const char *text_cstr(struct text *); /* NUL behind the end, not counted; valid until the next change */
void text_remove_head(struct text *, size_t octets);
static inline void text_clear(struct text *t) { t->len = 0; }
void text_free(struct text *);

/* Decimal digits only, the whole slice, no sign, no overflow: else false. */
MUST_CHECK bool parse_u64(slice, uint64_t *value);
/* "25M", "64K", "1G", "512" (octets; K M G T are powers of 1024, an optional B or iB may follow). */
MUST_CHECK bool parse_size(slice, uint64_t *octets);
/* "5d", "1h30m", "90s", "250ms", "2w"; "0" alone is allowed, another number without a unit is not. */
MUST_CHECK bool parse_duration(slice, uint64_t *ms);
/* The shortest exact form: 5400000 -> "1h30m"; 0 -> "0s". */
void text_add_duration(struct text *, uint64_t ms);
/* The largest unit that divides it: 26214400 -> "25M". */
void text_add_size(struct text *, uint64_t octets);
/* For people: "5 days", "1 hour 30 minutes": at most two units. */
void text_add_duration_words(struct text *, uint64_t ms);
/* How far two words are apart (Damerau-Levenshtein, without case): for "did you mean". */
size_t text_distance(slice a, slice b);
