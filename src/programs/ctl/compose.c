#include "programs/ctl/compose.h"
#include "base/random.h"
#include "message/date.h"
#include "message/mime.h"

void compose_add_message_id(struct text *to, uint64_t now_ms, slice hostname)
{
    text_add_byte(to, '<');
    text_add_u64(to, now_ms);
    text_add_byte(to, '.');
    text_add_hex(to, random_u64(), 16);
    text_add_byte(to, '@');
    text_add(to, hostname.len ? hostname : SLICE("localhost"));
    text_add_byte(to, '>');
}

void compose_add_crlf(struct text *to, slice content)
{
    slice line;
    text_reserve(to, content.len + content.len / 16);
    while (content.len) {
        size_t end = slice_find_byte(content, '\n');
        line = slice_head(content, end);
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        text_add(to, line);
        text_add(to, SLICE("\r\n"));
        content = end == SLICE_NOT_FOUND ? (slice){ 0 } : slice_tail(content, end + 1);
    }
}

/* RFC 5322 §3.6.8: ftext is printable ASCII without colon. */
static bool split_header(slice header, slice *name, slice *value)
{
    bool has_colon;
    *value = slice_trim(slice_cut(header, ':', name, &has_colon));
    for (size_t i = 0; i < name->len; i++)
        if (name->ptr[i] <= ' ' || (unsigned char)name->ptr[i] >= 0x7f)
            return false;
    return has_colon && name->len > 0;
}

static bool is_given(const struct compose *c, slice wanted)
{
    slice name, value;
    for (size_t i = 0; i < c->header_count; i++)
        if (split_header(c->headers[i], &name, &value) && slice_eq_nocase(name, wanted))
            return true;
    return false;
}

static bool add_given_headers(struct text *to, const struct compose *c, struct text *error)
{
    slice name, value;
    for (size_t i = 0; i < c->header_count; i++) {
        if (!split_header(c->headers[i], &name, &value)) {
            text_add_format(error, "a header is written \"Name: value\", not '" SLICE_FMT "'",
                            SLICE_ARG(c->headers[i]));
            return false;
        }
        mime_add_field(to, name, value);
    }
    return true;
}

/* Addresses are ours and checked, so only folding is left to do. */
static void add_addresses(struct text *to, slice name, const slice *addresses, size_t count)
{
    text_add(to, name);
    text_add(to, SLICE(": "));
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            text_add(to, SLICE(",\r\n "));
        text_add(to, addresses[i]);
    }
    text_add(to, SLICE("\r\n"));
}

static void add_default_headers(struct text *to, const struct compose *c)
{
    static const slice null_sender = LIT("postmaster@localhost");
    if (!is_given(c, SLICE("Date"))) {
        text_add(to, SLICE("Date: "));
        text_add_date(to, c->now_ms);
        text_add(to, SLICE("\r\n"));
    }
    if (!is_given(c, SLICE("From")))
        add_addresses(to, SLICE("From"), c->from.len ? &c->from : &null_sender, 1);
    if (!is_given(c, SLICE("To")) && c->to_count)
        add_addresses(to, SLICE("To"), c->to, c->to_count);
    if (!is_given(c, SLICE("Subject")))
        mime_add_field(to, SLICE("Subject"), c->subject);
    if (!is_given(c, SLICE("Message-ID"))) {
        text_add(to, SLICE("Message-ID: "));
        compose_add_message_id(to, c->now_ms, c->hostname);
        text_add(to, SLICE("\r\n"));
    }
    text_add(to, SLICE("MIME-Version: 1.0\r\n"));
}

static void add_encoding(struct text *to, enum mime_encoding encoding)
{
    text_add(to, SLICE("Content-Transfer-Encoding: "));
    text_add_cstr(to, mime_encoding_name(encoding));
    text_add(to, SLICE("\r\n\r\n"));
}

static void add_text_part(struct text *to, slice body)
{
    enum mime_encoding encoding = mime_choose_encoding(body);
    text_add(to, SLICE("Content-Type: text/plain; charset="));
    text_add(to, slice_is_ascii(body)  ? SLICE("us-ascii\r\n")
                 : slice_is_utf8(body) ? SLICE("utf-8\r\n")
                                       : SLICE("iso-8859-1\r\n"));
    add_encoding(to, encoding);
    mime_add_body(to, encoding, body);
}

static slice media_type(slice name)
{
    static const struct {
        slice ending, type;
    } types[] = {
        { LIT(".txt"), LIT("text/plain") },      { LIT(".csv"), LIT("text/csv") },
        { LIT(".html"), LIT("text/html") },      { LIT(".ics"), LIT("text/calendar") },
        { LIT(".pdf"), LIT("application/pdf") }, { LIT(".json"), LIT("application/json") },
        { LIT(".zip"), LIT("application/zip") }, { LIT(".gz"), LIT("application/gzip") },
        { LIT(".xml"), LIT("application/xml") }, { LIT(".png"), LIT("image/png") },
        { LIT(".jpg"), LIT("image/jpeg") },      { LIT(".jpeg"), LIT("image/jpeg") },
        { LIT(".gif"), LIT("image/gif") },       { LIT(".svg"), LIT("image/svg+xml") },
        { LIT(".mp3"), LIT("audio/mpeg") },      { LIT(".mp4"), LIT("video/mp4") },
    };
    for (size_t i = 0; i < COUNT(types); i++)
        if (slice_ends_with_nocase(name, types[i].ending))
            return types[i].type;
    return SLICE("application/octet-stream");
}

static void add_attachment(struct text *to, const struct compose_attachment *attachment)
{
    text_add(to, SLICE("Content-Type: "));
    text_add(to, media_type(attachment->name));
    mime_add_parameter(to, SLICE("name"), attachment->name);
    text_add(to, SLICE("\r\nContent-Disposition: attachment"));
    mime_add_parameter(to, SLICE("filename"), attachment->name);
    text_add(to, SLICE("\r\n"));
    add_encoding(to, MIME_BASE64);
    mime_add_body(to, MIME_BASE64, attachment->octets);
}

bool compose_message(struct text *message, const struct compose *c, struct text *error)
{
    if (!add_given_headers(message, c, error))
        return false;
    add_default_headers(message, c);
    if (c->attachment_count == 0) {
        add_text_part(message, c->body);
        return true;
    }
    struct mime_boundary boundary;
    mime_boundary_make(&boundary, random_u64());
    mime_add_multipart_type(message, SLICE("mixed"), (slice){ 0 }, &boundary);
    text_add(message, SLICE("\r\n"));
    mime_add_part(message, &boundary);
    add_text_part(message, c->body);
    for (size_t i = 0; i < c->attachment_count; i++) {
        mime_add_part(message, &boundary);
        add_attachment(message, &c->attachments[i]);
    }
    mime_add_multipart_end(message, &boundary);
    return true;
}
