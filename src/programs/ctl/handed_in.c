#include "programs/ctl/handed_in.h"
#include "message/date.h"
#include "message/header.h"
#include "message/mime.h"
#include "programs/ctl/address_list.h"
#include "programs/ctl/compose.h"

void handed_in_add_words(slice words, slice mailname, struct text *recipients)
{
    struct text mailbox = { 0 };
    while (address_list_next(&words, &mailbox)) {
        if (slice_find_byte_last(text_slice(&mailbox), '@') == SLICE_NOT_FOUND) {
            text_add_byte(&mailbox, '@');
            text_add(&mailbox, mailname);
        }
        /* a NUL cannot be part of an address; here it would make two of one */
        if (slice_find_byte(text_slice(&mailbox), '\0') == SLICE_NOT_FOUND) {
            text_add(recipients, text_slice(&mailbox));
            text_add_byte(recipients, '\0');
        }
        text_clear(&mailbox);
    }
    text_free(&mailbox);
}

static bool is_one_of(slice name, const slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_eq_nocase(name, names[i]))
            return true;
    return false;
}

void handed_in_add_recipients(slice section, slice mailname, struct text *recipients)
{
    static const slice plain[] = { LIT("To"), LIT("Cc"), LIT("Bcc") };
    static const slice resent[] = { LIT("Resent-To"), LIT("Resent-Cc"), LIT("Resent-Bcc") };
    struct header_field field;
    bool is_resent = false;
    for (slice rest = section; header_next_field(&rest, &field);)
        is_resent |= is_one_of(field.name, resent, COUNT(resent));
    for (slice rest = section; header_next_field(&rest, &field);)
        if (is_one_of(field.name, is_resent ? resent : plain, COUNT(plain)))
            handed_in_add_words(field.value, mailname, recipients);
}

/* Up to a line of a single dot. */
static slice before_dot(slice raw)
{
    slice rest = raw, line;
    while (slice_next_line(&rest, &line))
        if (slice_eq(line, SLICE(".")))
            return slice_head(raw, (size_t)(line.ptr - raw.ptr));
    return raw;
}

void handed_in_add_crlf(struct text *to, slice raw, bool dot_is_content)
{
    slice mbox_line;
    if (!dot_is_content)
        raw = before_dot(raw);
    if (slice_starts_with(raw, SLICE("From ")))
        slice_next_line(&raw, &mbox_line);
    compose_add_crlf(to, raw);
}

static void add_missing(struct text *to, slice section, const struct handed_in_author *author, slice mailname,
                        uint64_t now_ms)
{
    if (header_find(section, SLICE("From")).len == 0) {
        text_add(to, SLICE("From: "));
        if (author->full_name.len) {
            mime_add_display_name(to, author->full_name);
            text_add_byte(to, ' ');
        }
        text_add(to, SLICE("<"));
        text_add(to, author->mailbox);
        text_add(to, SLICE(">\r\n"));
    }
    if (header_find(section, SLICE("Date")).len == 0) {
        text_add(to, SLICE("Date: "));
        text_add_date(to, now_ms);
        text_add(to, SLICE("\r\n"));
    }
    if (header_find(section, SLICE("Message-ID")).len == 0) {
        text_add(to, SLICE("Message-ID: "));
        compose_add_message_id(to, now_ms, mailname);
        text_add(to, SLICE("\r\n"));
    }
}

void handed_in_complete(struct text *content, slice raw, bool dot_is_content, const struct handed_in_author *author,
                        slice mailname, uint64_t now_ms)
{
    static const slice left_out[] = { LIT("Bcc"), LIT("Resent-Bcc"), LIT("Return-Path") };
    struct text lines = { 0 };
    handed_in_add_crlf(&lines, raw, dot_is_content);
    slice section = text_slice(&lines), rest = section, body;
    struct header_field field;
    for (body = rest; header_next_field(&rest, &field); body = rest)
        if (!is_one_of(field.name, left_out, COUNT(left_out)))
            text_add(content, field.whole);
    add_missing(content, slice_head(section, section.len - body.len), author, mailname, now_ms);
    /* an empty line stands between, also where there was no header section at all */
    if (!slice_starts_with(body, SLICE("\r\n")))
        text_add(content, SLICE("\r\n"));
    text_add(content, body);
    text_free(&lines);
}
