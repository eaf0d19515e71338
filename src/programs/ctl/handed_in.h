#pragma once
#include "base/text.h"
/*
 * handed_in - a message as programs give it to sendmail: made complete (RFC 6409 §8, RFC 5322 §3.6), and its recipients
 * read from its header.
 */
/* Recipients from To, Cc and Bcc (from the Resent- ones where there are any), qualified with `mailname`, added to
 * *recipients as mailboxes, NUL-ended one after the other. */
void handed_in_add_recipients(slice section, slice mailname, struct text *recipients);
/* Those of a word of the command line. */
void handed_in_add_words(slice words, slice mailname, struct text *recipients);
/* With CRLF, up to the line "." unless `dot_is_content`. */
void handed_in_add_crlf(struct text *, slice raw, bool dot_is_content);
/* The content with CRLF, an mbox "From " line, Bcc and Return-Path left out, what is missing added. `raw` ends at a
 * line "." unless `dot_is_content`. */
struct handed_in_author {
    slice mailbox, full_name;
};
void handed_in_complete(struct text *content, slice raw, bool dot_is_content, const struct handed_in_author *,
                        slice mailname, uint64_t now_ms);
