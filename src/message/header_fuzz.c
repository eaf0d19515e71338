#include "message/header.h"
#include "message/mime.h"
#include "message/received.h"
#include <stdlib.h>
/*
 * header_fuzz - the first octet says how content is cut into pieces: scanned so and scanned whole gives the same; the
 * reader agrees with the scan; what is written from hostile words is still one field.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fact)
{
    if (!fact)
        abort();
}

static void scan(struct header_scan *s, slice content, size_t piece)
{
    for (size_t at = 0; at < content.len; at += piece)
        header_scan_feed(s, slice_head(slice_tail(content, at), piece));
    header_scan_end(s);
}

static void check_scan(slice content, size_t piece)
{
    struct header_scan whole = { 0 }, pieces = { 0 };
    scan(&whole, content, size_max(content.len, 1));
    scan(&pieces, content, piece);
    must(whole.octets == pieces.octets && whole.received_count == pieces.received_count && whole.has == pieces.has);
    must(slice_eq(header_scan_message_id(&whole), header_scan_message_id(&pieces)));
    must(whole.has_empty_line == pieces.has_empty_line && whole.octets <= content.len);
    must(header_section(content).len == whole.octets);
    struct header_field field;
    slice rest = content;
    uint32_t received = 0, fields = 0;
    for (; header_next_field(&rest, &field); fields++)
        received += slice_eq_nocase(field.name, SLICE("Received"));
    must(received == whole.received_count && fields == whole.field_count);
}

/* One field: every CRLF but the last is followed by white space, and there is no other CR or LF. */
static void must_be_one_field(slice field)
{
    must(slice_ends_with(field, SLICE("\r\n")));
    for (size_t i = 0; i < field.len; i++) {
        if (field.ptr[i] == '\r')
            must(field.ptr[i + 1] == '\n');
        if (field.ptr[i] == '\n')
            must(i > 0 && field.ptr[i - 1] == '\r' &&
                 (i + 1 == field.len || field.ptr[i + 1] == ' ' || field.ptr[i + 1] == '\t'));
    }
}

static void check_writing(slice words)
{
    struct text text = { 0 };
    mime_add_field(&text, SLICE("Subject"), words);
    must_be_one_field(text_slice(&text));
    text_clear(&text);
    struct received received = { .helo = words,
                                 .client_name = words,
                                 .client_address = words,
                                 .hostname = SLICE("mx"),
                                 .tls = words,
                                 .id = SLICE("1"),
                                 .is_esmtp = true };
    text_add_received(&text, &received);
    must_be_one_field(text_slice(&text));
    text_clear(&text);
    text_add_decoded(&text, words);
    text_add_unfolded(&text, words);
    for (size_t i = 0; i < text.len; i++)
        must((unsigned char)text.ptr[i] >= 0x20 && text.ptr[i] != 0x7f);
    text_clear(&text);
    mime_add_body(&text, mime_choose_encoding(words), words);
    slice rest = text_slice(&text), line;
    must(slice_is_ascii(rest));
    while (slice_next_line(&rest, &line))
        must(line.len <= 998);
    text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    slice octets = slice_from((const char *)data + 1, size - 1);
    check_scan(octets, (size_t)data[0] + 1);
    check_writing(octets);
    return 0;
}
