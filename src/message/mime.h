#pragma once
#include "base/text.h"
/*
 * mime - writing MIME (RFC 2045, 2046, 2047, 2231): encodings of bodies, encoded words, multiparts. All lines end in
 * CRLF.
 */
enum mime_encoding { MIME_7BIT, MIME_8BIT, MIME_QUOTED_PRINTABLE, MIME_BASE64 };
const char *mime_encoding_name(enum mime_encoding); /* "quoted-printable" */
/* The plainest encoding that carries these octets through 7-bit transport: MIME_7BIT when they are ASCII lines of at
 * most 998 octets without NUL; else quoted-printable for mostly-ASCII UTF-8, else base64. */
enum mime_encoding mime_choose_encoding(slice octets);
/* The body, encoded. Line ends LF or CRLF are written as CRLF, except in MIME_BASE64, which takes octets as they are.
 * Ends with CRLF unless empty. */
void mime_add_body(struct text *, enum mime_encoding, slice octets);
void mime_add_base64(struct text *, slice octets); /* lines of 76 */
void mime_add_quoted_printable(struct text *, slice octets);

/* "Name: value" CRLF of an unstructured field: folded, in encoded words (UTF-8) where the value is not plain ASCII.
 * Control characters become spaces, so that a value cannot bring another field. */
void mime_add_field(struct text *, slice name, slice value);
/* `display name <mailbox>`'s display name: an atom, a quoted string, or encoded words. */
void mime_add_display_name(struct text *, slice name);
/* `; name="value"` of a parameter, RFC 2231 where it is not ASCII. */
void mime_add_parameter(struct text *, slice name, slice value);

/* Multipart: boundary made from 64 random or unique bits, 24 characters; text_slice of what was written is valid.
 *     mime_boundary_make(&boundary, id);
 *     mime_add_multipart_type(text, SLICE("mixed"), (slice){0}, &boundary);   "Content-Type: multipart/mixed; ..." CRLF
 *     mime_add_part(text, &boundary);     then the part's own header, an empty line, its body
 *     mime_add_multipart_end(text, &boundary);                                                                 */
struct mime_boundary {
    char octets[32];
    uint8_t length;
};
void mime_boundary_make(struct mime_boundary *, uint64_t unique);
/* `parameters`: written as they are, e.g. "; report-type=delivery-status". */
void mime_add_multipart_type(struct text *, slice subtype, slice parameters, const struct mime_boundary *);
void mime_add_part(struct text *, const struct mime_boundary *);
void mime_add_multipart_end(struct text *, const struct mime_boundary *);
