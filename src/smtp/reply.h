#pragma once
#include "smtp/status.h"
/*
 * reply - an SMTP reply, RFC 5321 §4.2. Writing: one or many lines, each within 512 octets, the enhanced status
 * code on each line (RFC 2034 §4). Reading: incremental, bounded, strict about the code, lenient about the text.
 */
struct reply {
    uint16_t code;
    struct status status; /* class 0: none is written */
    const char *text;     /* may hold '\n': one reply line each */
};
void text_add_reply(struct text *, const struct reply *);
/* The same with a text made at run time; control characters and octets >= 0x7f are replaced by '?'. */
void text_add_reply_text(struct text *, uint16_t code, struct status, slice text);

enum { REPLY_LINES_MAX = 128, REPLY_OCTETS_MAX = 16384 };
enum reply_read { REPLY_MORE, REPLY_DONE, REPLY_BAD };
struct reply_reader {
    uint16_t code;
    struct status status; /* of the first line; class 0: none */
    struct text text;     /* of all lines, without codes and enhanced codes, joined by '\n' */
    struct text line;     /* what is begun of the next line */
    unsigned lines;
};
/* Takes octets off *input until one whole reply is read (REPLY_DONE; *input then starts behind it) or all are used. */
enum reply_read reply_reader_feed(struct reply_reader *, slice *input);
void reply_reader_clear(struct reply_reader *); /* ready for the next reply, memory kept */
void reply_reader_free(struct reply_reader *);
static inline bool reply_is_positive(unsigned code) { return code >= 200 && code < 300; }
static inline bool reply_is_transient(unsigned code) { return code >= 400 && code < 500; }
static inline bool reply_is_permanent(unsigned code) { return code >= 500 && code < 600; }
