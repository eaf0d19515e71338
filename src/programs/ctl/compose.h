#pragma once
#include "base/text.h"
/*
 * compose - a message from its parts (RFC 5322, MIME), and what a message handed in without them needs: From, Date,
 * Message-ID (RFC 6409 §8).
 */
struct compose_attachment {
    slice name; /* of the file, without folders */
    slice octets;
};
struct compose {
    slice from;      /* mailbox; empty: the null sender */
    const slice *to; /* mailboxes */
    size_t to_count;
    slice subject, body;
    const slice *headers; /* "Name: value"; one that names a default field replaces it */
    size_t header_count;
    const struct compose_attachment *attachments;
    size_t attachment_count;
    uint64_t now_ms;
    slice hostname; /* right side of the Message-ID */
};
/* False: *error says which header is not "Name: value". */
MUST_CHECK bool compose_message(struct text *message, const struct compose *, struct text *error);
/* "<...@hostname>", unique. */
void compose_add_message_id(struct text *, uint64_t now_ms, slice hostname);
/* The content with every line end as CRLF, a last one included. */
void compose_add_crlf(struct text *, slice content);
