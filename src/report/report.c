#include "message/date.h"
#include "message/header.h"
#include "message/mime.h"
#include "report/parts.h"

/* RFC 3461 §4.1 and §6.2: without NOTIFY the sender hears of failures and, as we choose, of delays. */
bool report_is_due(enum report_kind kind, const struct spool_message *message, uint32_t recipient)
{
    static const unsigned asked_by[] = {
        [REPORT_FAILED] = NOTIFY_FAILURE,
        [REPORT_DELAYED] = NOTIFY_DELAY,
        [REPORT_RELAYED] = NOTIFY_SUCCESS,
    };
    if (path_is_null(message->envelope->reverse_path))
        return false;
    unsigned notify = message->envelope->recipients[recipient].notify;
    return notify == 0 ? kind != REPORT_RELAYED : (notify & asked_by[kind]) != 0;
}

void report_add_line(struct text *to, slice s, size_t most, bool utf8)
{
    s = slice_head(s, most);
    /* Cutting must not leave half a character; what is no UTF-8 at all is shown as ASCII. */
    for (int i = 0; i < 3 && s.len && utf8 && !slice_is_utf8(s); i++)
        s.len--;
    utf8 = utf8 && slice_is_utf8(s);
    size_t start = to->len;
    text_add(to, s);
    for (size_t i = start; i < to->len; i++) {
        unsigned char c = (unsigned char)to->ptr[i];
        if (c < 0x20 || c == 0x7f)
            to->ptr[i] = ' ';
        else if (c >= 0x80 && !utf8)
            to->ptr[i] = '?';
    }
}

bool report_returns_whole(const struct report_params *p)
{
    return p->kind == REPORT_FAILED && p->message->envelope->dsn_return == DSN_RETURN_FULL && p->content.len &&
           p->content.len == p->message->content_octets && p->content.len <= REPORT_CONTENT_MAX;
}

bool report_returns_8bit(const struct report_params *p)
{
    return report_returns_whole(p) && !slice_is_ascii(p->content);
}

/* As many whole lines of the header section as are let through, without the empty line. */
static slice returned_header(slice content)
{
    slice section = header_section(content);
    if (section.len > REPORT_CONTENT_MAX) {
        size_t end = slice_find_byte_last(slice_head(section, REPORT_CONTENT_MAX), '\n');
        section.len = end == SLICE_NOT_FOUND ? REPORT_CONTENT_MAX : end + 1;
    }
    return slice_ends_with(section, SLICE("\r\n\r\n")) ? slice_head(section, section.len - 2) : section;
}

void report_add_returned(struct text *to, const struct report_params *p)
{
    bool utf8 = p->message->envelope->smtputf8; /* RFC 6533 §4 has types of its own */
    if (report_returns_whole(p)) {
        text_add(to, utf8 ? SLICE("Content-Type: message/global\r\n") : SLICE("Content-Type: message/rfc822\r\n"));
        text_add(to, SLICE("Content-Description: The message\r\n"));
        if (report_returns_8bit(p))
            text_add(to, SLICE("Content-Transfer-Encoding: 8bit\r\n"));
        text_add(to, SLICE("\r\n"));
        text_add(to, p->content);
        return;
    }
    slice header = returned_header(p->content);
    enum mime_encoding encoding = mime_choose_encoding(header);
    text_add(to,
             utf8 ? SLICE("Content-Type: message/global-headers\r\n") : SLICE("Content-Type: text/rfc822-headers\r\n"));
    text_add(to, SLICE("Content-Description: Head of the message\r\nContent-Transfer-Encoding: "));
    text_add_cstr(to, mime_encoding_name(encoding));
    text_add(to, SLICE("\r\n\r\n"));
    mime_add_body(to, encoding, header);
}

static void add_subject(struct text *to, const struct report_params *p)
{
    static const char *const starts[] = {
        [REPORT_FAILED] = "Not delivered: your message to ",
        [REPORT_DELAYED] = "Not delivered yet: your message to ",
        [REPORT_RELAYED] = "On its way: your message to ",
    };
    struct text subject = { 0 }, mailbox = { 0 };
    bool is_delivered = p->kind == REPORT_RELAYED;
    for (size_t i = 0; i < p->recipient_count; i++)
        is_delivered = is_delivered && p->outcomes[i].action == ACTION_DELIVERED;
    text_add_cstr(&subject, is_delivered ? "Delivered: your message to " : starts[p->kind]);
    text_add_mailbox(&mailbox, report_recipient(p, 0)->original);
    report_add_line(&subject, text_slice(&mailbox), PATH_MAX_OCTETS, true);
    if (p->recipient_count > 1)
        text_add_format(&subject, " and %zu other%s", p->recipient_count - 1, p->recipient_count == 2 ? "" : "s");
    mime_add_field(to, SLICE("Subject"), text_slice(&subject));
    text_free(&subject);
    text_free(&mailbox);
}

/* Lets mail programs show the report beside the message. Only what looks like a msg-id is repeated. */
static void add_references(struct text *to, const struct report_params *p)
{
    slice id = header_find(header_section(p->content), SLICE("Message-ID"));
    if (id.len < 3 || id.len > HEADER_MESSAGE_ID_MAX || id.ptr[0] != '<' || id.ptr[id.len - 1] != '>')
        return;
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] <= 0x20 || id.ptr[i] == 0x7f)
            return;
    text_add(to, SLICE("In-Reply-To: "));
    text_add(to, id);
    text_add(to, SLICE("\r\nReferences: "));
    text_add(to, id);
    text_add(to, SLICE("\r\n"));
}

static void add_header(struct text *to, const struct report_params *p, const struct mime_boundary *boundary)
{
    text_add(to, SLICE("From: Mail Delivery System <MAILER-DAEMON@"));
    text_add(to, p->hostname);
    text_add(to, SLICE(">\r\nTo: "));
    text_add_path(to, p->message->envelope->reverse_path);
    text_add(to, SLICE("\r\n"));
    add_subject(to, p);
    text_add(to, SLICE("Date: "));
    text_add_date(to, p->now_ms);
    text_add(to, SLICE("\r\nMessage-ID: <"));
    text_add_message_id(to, p->report_id);
    text_add(to, SLICE(".report@"));
    text_add(to, p->hostname);
    text_add(to, SLICE(">\r\n"));
    add_references(to, p);
    text_add(to, SLICE("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n")); /* RFC 3834 §3.1.7, §5.2 */
    mime_add_multipart_type(to, SLICE("report"), SLICE("; report-type=delivery-status"), boundary);
    if (report_returns_8bit(p))
        text_add(to, SLICE("Content-Transfer-Encoding: 8bit\r\n"));
    text_add(to, SLICE("\r\n"));
}

static void add_words_part(struct text *to, const struct report_params *p)
{
    struct text words = { 0 };
    report_add_words(&words, p);
    bool is_ascii = slice_is_ascii(text_slice(&words));
    enum mime_encoding encoding = mime_choose_encoding(text_slice(&words));
    text_add(to, is_ascii ? SLICE("Content-Type: text/plain; charset=us-ascii\r\n")
                          : SLICE("Content-Type: text/plain; charset=utf-8\r\n"));
    text_add(to, SLICE("Content-Language: en\r\nContent-Transfer-Encoding: "));
    text_add_cstr(to, mime_encoding_name(encoding));
    text_add(to, SLICE("\r\n\r\n"));
    mime_add_body(to, encoding, text_slice(&words));
    text_free(&words);
}

/* What is returned was chosen by others: a boundary that stands in it would let it end its part. */
static void choose_boundary(struct mime_boundary *boundary, const struct report_params *p)
{
    uint64_t unique = p->report_id;
    do
        mime_boundary_make(boundary, unique++);
    while (slice_find(p->content, slice_from(boundary->octets, boundary->length)) != SLICE_NOT_FOUND);
}

void report_make(struct text *content, uint32_t *header_octets, const struct report_params *p)
{
    struct mime_boundary boundary;
    size_t start = content->len;
    choose_boundary(&boundary, p);
    add_header(content, p, &boundary);
    *header_octets = (uint32_t)(content->len - start);

    mime_add_part(content, &boundary);
    add_words_part(content, p);
    mime_add_part(content, &boundary);
    text_add(
        content,
        SLICE("Content-Type: message/delivery-status\r\nContent-Description: Delivery status, for programs\r\n\r\n"));
    report_add_status_fields(content, p);
    mime_add_part(content, &boundary);
    report_add_returned(content, p);
    mime_add_multipart_end(content, &boundary);
}
