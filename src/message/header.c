#include "message/header.h"

/*
 * Scanning:
 *   NAME --- ":" ---> VALUE --- CR ---> VALUE_CR --- LF ---> LINE_START --- white space ---> VALUE
 *    ^ |                                                        |   |
 *    | +-- not a name's octet: ended at the line's start        |   +-- CR --> EMPTY_CR --- LF ---> ended
 *    +----------------------------------------------------------+
 */
enum { LINE_START, NAME, NAME_SPACE, VALUE, VALUE_CR, EMPTY_CR };

static const struct known_field {
    slice name;
    enum header_presence presence;
} known[] = {
    { LIT("From"), HEADER_HAS_FROM },
    { LIT("Date"), HEADER_HAS_DATE },
    { LIT("Message-ID"), HEADER_HAS_MESSAGE_ID },
    { LIT("Subject"), HEADER_HAS_SUBJECT },
    { LIT("Sender"), HEADER_HAS_SENDER },
    { LIT("To"), HEADER_HAS_TO },
    { LIT("Bcc"), HEADER_HAS_BCC },
    { LIT("Return-Path"), HEADER_HAS_RETURN_PATH },
    { LIT("Auto-Submitted"), HEADER_HAS_AUTO_SUBMITTED },
};

/* ftext = %d33-57 / %d59-126, RFC 5322 §3.6.8 */
static bool is_name_octet(char c) { return c > 0x20 && c < 0x7f && c != ':'; }

static void field_begins(struct header_scan *s)
{
    slice name = { s->name, s->name_length };
    s->field_count++;
    s->in_message_id = false;
    if (slice_eq_nocase(name, SLICE("Received"))) {
        s->received_count++;
        return;
    }
    for (size_t i = 0; i < COUNT(known); i++) {
        if (!slice_eq_nocase(name, known[i].name))
            continue;
        s->in_message_id = known[i].presence == HEADER_HAS_MESSAGE_ID && !(s->has & HEADER_HAS_MESSAGE_ID);
        s->has |= known[i].presence;
        return;
    }
}

/* Of the Message-ID only what a msg-id is made of is kept: no white space, no controls. */
static void keep_message_id(struct header_scan *s, slice piece)
{
    for (size_t i = 0; i < piece.len && s->message_id_length < HEADER_MESSAGE_ID_MAX; i++)
        if (piece.ptr[i] > 0x20 && piece.ptr[i] < 0x7f)
            s->message_id[s->message_id_length++] = piece.ptr[i];
}

static void end_section(struct header_scan *s, uint64_t octets, bool has_empty_line)
{
    s->octets = octets;
    s->has_ended = true;
    s->has_empty_line = has_empty_line;
}

/* The octets of a name at the start of content; how many there were. Only so many are kept as tell the name from all
 * that we know; a longer one is none of those. */
static size_t take_name(struct header_scan *s, slice content)
{
    size_t length = 0;
    while (length < content.len && is_name_octet(content.ptr[length]))
        length++;
    size_t kept = size_min(length, (size_t)(HEADER_NAME_SCANNED_MAX - s->name_length));
    memcpy(s->name + s->name_length, content.ptr, kept);
    s->name_length = (uint8_t)(s->name_length + kept);
    return length;
}

/* One octet outside of a value. The caller counts it unless the section ended before it. */
static void take_octet(struct header_scan *s, char octet)
{
    switch (s->state) {
    case LINE_START:
        s->line_start = s->octets;
        s->name_length = 0;
        if (octet == '\r') {
            s->state = EMPTY_CR;
        } else if ((octet == ' ' || octet == '\t') && s->field_count) {
            s->state = VALUE;
        } else if (is_name_octet(octet)) {
            s->state = NAME;
            (void)take_name(s, slice_from(&octet, 1));
        } else {
            end_section(s, s->line_start, false);
        }
        return;
    case NAME:
    case NAME_SPACE:
        if (octet == ':') {
            field_begins(s);
            s->state = VALUE;
        } else if (octet == ' ' || octet == '\t') {
            s->state = NAME_SPACE; /* obs-optional: RFC 5322 §4.5.3 */
        } else {
            end_section(s, s->line_start, false);
        }
        return;
    case VALUE_CR:
        s->state = octet == '\n' ? LINE_START : octet == '\r' ? VALUE_CR : VALUE;
        return;
    case EMPTY_CR:
        if (octet == '\n')
            end_section(s, s->octets + 1, true);
        else
            end_section(s, s->line_start, false);
        return;
    }
}

void header_scan_feed(struct header_scan *s, slice content)
{
    while (content.len && !s->has_ended) {
        if (s->state == NAME && is_name_octet(content.ptr[0])) {
            size_t length = take_name(s, content);
            s->octets += length;
            content = slice_tail(content, length);
            continue;
        }
        if (s->state != VALUE) {
            take_octet(s, content.ptr[0]);
            if (!s->has_ended)
                s->octets++;
            content = slice_tail(content, 1);
            continue;
        }
        size_t end = slice_find_byte(content, '\r');
        slice value = slice_head(content, end);
        if (s->in_message_id)
            keep_message_id(s, value);
        s->octets += value.len;
        content = slice_tail(content, value.len);
        if (content.len) {
            s->state = VALUE_CR;
            s->octets++;
            content = slice_tail(content, 1);
        }
    }
}

void header_scan_end(struct header_scan *s)
{
    if (s->has_ended)
        return;
    bool is_cut_name = s->state == NAME || s->state == NAME_SPACE || s->state == EMPTY_CR;
    end_section(s, is_cut_name ? s->line_start : s->octets, false);
}

/* Length of the line at the start of s with its CRLF; all of s where there is none. */
static size_t line_length(slice s)
{
    size_t end = slice_find(s, SLICE("\r\n"));
    return end == SLICE_NOT_FOUND ? s.len : end + 2;
}

/* With the lines that continue it (RFC 5322 §2.2.3). */
static size_t folded_length(slice s)
{
    size_t length = line_length(s);
    while (length < s.len && (s.ptr[length] == ' ' || s.ptr[length] == '\t'))
        length += line_length(slice_tail(s, length));
    return length;
}

bool header_next_field(slice *rest, struct header_field *field)
{
    size_t name = 0, colon;
    while (name < rest->len && is_name_octet(rest->ptr[name]))
        name++;
    for (colon = name; colon < rest->len && (rest->ptr[colon] == ' ' || rest->ptr[colon] == '\t');)
        colon++;
    if (name == 0 || colon == rest->len || rest->ptr[colon] != ':')
        return false;
    field->whole = slice_head(*rest, folded_length(*rest));
    field->name = slice_head(field->whole, name);
    field->value = slice_trim_lines(slice_tail(field->whole, colon + 1));
    *rest = slice_tail(*rest, field->whole.len);
    return true;
}

slice header_section(slice content)
{
    slice rest = content;
    struct header_field field;
    while (header_next_field(&rest, &field))
        ;
    size_t octets = content.len - rest.len;
    return slice_head(content, slice_starts_with(rest, SLICE("\r\n")) ? octets + 2 : octets);
}

slice header_find(slice section, slice name)
{
    struct header_field field;
    while (header_next_field(&section, &field))
        if (slice_eq_nocase(field.name, name))
            return field.value;
    return (slice){ 0 };
}

void text_add_unfolded(struct text *to, slice value)
{
    bool more = true;
    while (more) {
        slice line;
        value = slice_cut(value, '\n', &line, &more);
        if (more && line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        for (size_t i = 0; i < line.len; i++)
            text_add_byte(to, (unsigned char)line.ptr[i] < 0x20 || line.ptr[i] == 0x7f ? ' ' : line.ptr[i]);
    }
}
