#include "message/mime.h"
#include "base/base64.h"

enum { ENCODED_LINE_MAX = 76, FIELD_LINE_MAX = 76 }; /* RFC 2045 §6.7-6.8, RFC 2047 §2, RFC 5322 §2.1.1 */
enum { BODY_LINE_MAX = 998 };
static const char hex_digits[] = "0123456789ABCDEF";

const char *mime_encoding_name(enum mime_encoding encoding)
{
    static const char *const names[] = {
        [MIME_7BIT] = "7bit",
        [MIME_8BIT] = "8bit",
        [MIME_QUOTED_PRINTABLE] = "quoted-printable",
        [MIME_BASE64] = "base64",
    };
    return names[encoding];
}

enum mime_encoding mime_choose_encoding(slice octets)
{
    size_t line = 0, longest = 0, high = 0, controls = 0;
    for (size_t i = 0; i < octets.len; i++) {
        unsigned char c = (unsigned char)octets.ptr[i];
        line = c == '\n' ? 0 : line + 1;
        longest = size_max(longest, line);
        high += c >= 0x80;
        bool is_crlf = c == '\r' && i + 1 < octets.len && octets.ptr[i + 1] == '\n';
        controls += (c < 0x20 && c != '\n' && c != '\t' && !is_crlf) || c == 0x7f;
    }
    if (controls == 0 && high == 0 && longest <= BODY_LINE_MAX)
        return MIME_7BIT;
    return controls == 0 && high < octets.len / 4 && slice_is_utf8(octets) ? MIME_QUOTED_PRINTABLE : MIME_BASE64;
}

static void add_hex(struct text *to, char mark, char octet)
{
    unsigned char c = (unsigned char)octet;
    text_add(to, slice_from((char[]){ mark, hex_digits[c >> 4], hex_digits[c & 15] }, 3));
}

void mime_add_base64(struct text *to, slice octets)
{
    enum { LINE_OCTETS = ENCODED_LINE_MAX / 4 * 3 };
    while (octets.len) {
        base64_encode(to, slice_head(octets, LINE_OCTETS));
        text_add(to, SLICE("\r\n"));
        octets = slice_tail(octets, LINE_OCTETS);
    }
}

/* One line of text. White space at its end must not stand bare (RFC 2045 §6.7 rule 3); "=" at the end of an output line
 * is the soft line break. "." and "From " at a line's start are encoded too: some gateways still mangle them (RFC 2049
 * §3). */
static void add_quoted_line(struct text *to, slice line)
{
    size_t column = 0;
    bool is_from = slice_starts_with(line, SLICE("From "));
    for (size_t i = 0; i < line.len; i++) {
        char c = line.ptr[i];
        bool is_blank = c == ' ' || c == '\t', is_last = i + 1 == line.len;
        bool is_plain = (c > 0x20 && c < 0x7f && c != '=') || (is_blank && !is_last);
        if (column == 0 && (c == '.' || (i == 0 && is_from)))
            is_plain = false;
        size_t width = is_plain ? 1 : 3;
        if (column + width > ENCODED_LINE_MAX - (is_last ? 0u : 1u)) {
            text_add(to, SLICE("=\r\n"));
            column = 0;
        }
        if (is_plain)
            text_add_byte(to, c);
        else
            add_hex(to, '=', c);
        column += width;
    }
    text_add(to, SLICE("\r\n"));
}

void mime_add_quoted_printable(struct text *to, slice octets)
{
    slice line;
    while (slice_next_line(&octets, &line))
        add_quoted_line(to, line);
}

static void add_plain_lines(struct text *to, slice octets)
{
    slice line;
    while (slice_next_line(&octets, &line)) {
        text_add(to, line);
        text_add(to, SLICE("\r\n"));
    }
}

void mime_add_body(struct text *to, enum mime_encoding encoding, slice octets)
{
    switch (encoding) {
    case MIME_QUOTED_PRINTABLE:
        mime_add_quoted_printable(to, octets);
        return;
    case MIME_BASE64:
        mime_add_base64(to, octets);
        return;
    case MIME_7BIT:
    case MIME_8BIT:
        add_plain_lines(to, octets);
        return;
    }
}

static bool is_control(char c) { return (unsigned char)c < 0x20 || c == 0x7f; }

/* The length of the UTF-8 sequence at the start of s, 1 for anything malformed: encoded words must not split one. */
static size_t character_length(slice s)
{
    unsigned char c = (unsigned char)s.ptr[0];
    size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return length <= s.len && slice_is_utf8(slice_head(s, length)) ? length : 1;
}

/* encoded-word = "=?UTF-8?B?" base64 "?=", at most 75 characters (RFC 2047 §2), so at most 45 octets in each. Octets
 * that are not UTF-8 become "?": the word must not claim what it does not hold. */
static void add_encoded_words(struct text *to, slice value, size_t column)
{
    enum { WORD_OCTETS = 45, WORD_MIN = 12 };
    struct text word = { 0 };
    while (value.len) {
        text_clear(&word);
        /* 12 characters around, 4 for every 3 octets */
        size_t room = column + 12 + 4 < FIELD_LINE_MAX ? (FIELD_LINE_MAX - column - 12) / 4 * 3 : WORD_MIN;
        room = size_min(room, WORD_OCTETS);
        while (value.len) {
            size_t length = character_length(value);
            if (word.len + length > room)
                break;
            bool is_bad = is_control(value.ptr[0]) || !slice_is_utf8(slice_head(value, length));
            text_add(&word, is_bad ? is_control(value.ptr[0]) ? SLICE(" ") : SLICE("?") : slice_head(value, length));
            value = slice_tail(value, length);
        }
        text_add(to, SLICE("=?UTF-8?B?"));
        base64_encode(to, text_slice(&word));
        text_add(to, SLICE("?="));
        if (value.len)
            text_add(to, SLICE("\r\n "));
        column = 1;
    }
    text_free(&word);
}

/* Folds at spaces; a word longer than a line stays whole (its line is then longer, at most 998: RFC 5322 §2.1.1). */
static void add_folded(struct text *to, slice value, size_t column)
{
    bool more = true, is_first = true;
    while (more) {
        slice word;
        value = slice_cut(value, ' ', &word, &more);
        if (!is_first && word.len && column + 1 + word.len > FIELD_LINE_MAX) {
            text_add(to, SLICE("\r\n "));
            column = 1;
        } else if (!is_first) {
            text_add_byte(to, ' ');
            column++;
        }
        text_add(to, word);
        column += word.len;
        is_first = false;
    }
}

/* Plain: ASCII whose words fit on lines, and nothing in it that a reader would take for an encoded word. */
static bool is_plain_value(slice value)
{
    size_t word = 0, longest = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (is_control(value.ptr[i]))
            return false;
        word = value.ptr[i] == ' ' ? 0 : word + 1;
        longest = size_max(longest, word);
    }
    return slice_is_ascii(value) && longest < BODY_LINE_MAX - FIELD_LINE_MAX &&
           slice_find(value, SLICE("=?")) == SLICE_NOT_FOUND;
}

void mime_add_field(struct text *to, slice name, slice value)
{
    text_add(to, name);
    text_add(to, SLICE(": "));
    value = slice_trim_lines(value);
    if (is_plain_value(value))
        add_folded(to, value, name.len + 2);
    else
        add_encoded_words(to, value, name.len + 2);
    text_add(to, SLICE("\r\n"));
}

static bool is_atom_text(slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!ascii_is_alnum(s.ptr[i]) && (s.ptr[i] == '\0' || !strchr(" !#$%&'*+-/=?^_`{|}~", s.ptr[i])))
            return false;
    return s.len > 0;
}

static void add_quoted_string(struct text *to, slice s)
{
    text_add_byte(to, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"' || s.ptr[i] == '\\')
            text_add_byte(to, '\\');
        text_add_byte(to, s.ptr[i]);
    }
    text_add_byte(to, '"');
}

void mime_add_display_name(struct text *to, slice name)
{
    name = slice_trim_lines(name);
    if (!is_plain_value(name))
        add_encoded_words(to, name, FIELD_LINE_MAX / 2);
    else if (is_atom_text(name))
        text_add(to, name);
    else
        add_quoted_string(to, name);
}

void mime_add_parameter(struct text *to, slice name, slice value)
{
    text_add(to, SLICE(";\r\n "));
    text_add(to, name);
    if (is_plain_value(value)) {
        text_add_byte(to, '=');
        add_quoted_string(to, value);
        return;
    }
    /* RFC 2231 §4: percent-encoded, with the character set in front; no reader needs the continuations of §3. */
    text_add(to, SLICE("*=UTF-8''"));
    for (size_t i = 0; i < value.len; i++) {
        if (ascii_is_alnum(value.ptr[i]) || value.ptr[i] == '.' || value.ptr[i] == '-' || value.ptr[i] == '_')
            text_add_byte(to, value.ptr[i]);
        else
            add_hex(to, '%', value.ptr[i]);
    }
}

void mime_boundary_make(struct mime_boundary *boundary, uint64_t unique)
{
    /* "=_" stands in no quoted-printable and no base64 text: the parts need not be searched for it (RFC 2045 §6.7). */
    static const char start[] = "=_postrider";
    memcpy(boundary->octets, start, sizeof(start) - 1);
    boundary->length = sizeof(start) - 1;
    for (int shift = 60; shift >= 0; shift -= 4)
        boundary->octets[boundary->length++] = (char)("0123456789abcdef"[unique >> shift & 15]);
}

static slice boundary_slice(const struct mime_boundary *boundary)
{
    return slice_from(boundary->octets, boundary->length);
}

void mime_add_multipart_type(struct text *to, slice subtype, slice parameters, const struct mime_boundary *boundary)
{
    text_add(to, SLICE("Content-Type: multipart/"));
    text_add(to, subtype);
    text_add(to, parameters);
    text_add(to, SLICE(";\r\n boundary=\""));
    text_add(to, boundary_slice(boundary));
    text_add(to, SLICE("\"\r\n"));
}

void mime_add_part(struct text *to, const struct mime_boundary *boundary)
{
    text_add(to, SLICE("\r\n--"));
    text_add(to, boundary_slice(boundary));
    text_add(to, SLICE("\r\n"));
}

void mime_add_multipart_end(struct text *to, const struct mime_boundary *boundary)
{
    text_add(to, SLICE("\r\n--"));
    text_add(to, boundary_slice(boundary));
    text_add(to, SLICE("--\r\n"));
}
