#include "message/received.h"
#include "message/date.h"

/* What may stand in the FROM and BY clauses without quoting: the octets of Domain and address-literal. Anything else
 * that a client says is replaced, so that it can neither end the field nor open a comment. */
static void add_name(struct text *to, slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_plain = ascii_is_alnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
        text_add_byte(to, is_plain ? c : '?');
    }
}

/* RFC 3848 and RFC 6531 §4.3 list them; "SMTPUTF8" transmission has its own set. */
static slice with_keyword(const struct received *r)
{
    static const slice words[2][2][4] = {
        { { LIT("ESMTP"), LIT("ESMTPS"), LIT("ESMTPA"), LIT("ESMTPSA") },
          { LIT("UTF8SMTP"), LIT("UTF8SMTPS"), LIT("UTF8SMTPA"), LIT("UTF8SMTPSA") } },
        { { LIT("LMTP"), LIT("LMTPS"), LIT("LMTPA"), LIT("LMTPSA") },
          { LIT("UTF8LMTP"), LIT("UTF8LMTPS"), LIT("UTF8LMTPA"), LIT("UTF8LMTPSA") } },
    };
    if (!r->is_esmtp && !r->is_lmtp)
        return SLICE("SMTP");
    return words[r->is_lmtp][r->is_utf8][(r->is_tls ? 1 : 0) + (r->is_authenticated ? 2 : 0)];
}

/* (NAME [192.0.2.1]): TCP-info of RFC 5321 §4.4 */
static void add_client(struct text *to, const struct received *r)
{
    text_add(to, SLICE("Received: from "));
    add_name(to, r->helo.len ? r->helo : SLICE("unknown"));
    if (r->client_address.len) {
        text_add(to, SLICE(" ("));
        if (r->client_name.len) {
            add_name(to, r->client_name);
            text_add_byte(to, ' ');
        }
        text_add_byte(to, '[');
        add_name(to, r->client_address);
        text_add(to, SLICE("])"));
    }
    text_add(to, SLICE("\r\n"));
}

static void add_tls(struct text *to, slice tls)
{
    slice version, cipher = slice_cut(tls, ' ', &version, NULL);
    text_add(to, SLICE("\t(using "));
    add_name(to, version);
    if (cipher.len) {
        text_add(to, SLICE(" with cipher "));
        add_name(to, cipher);
    }
    text_add(to, SLICE(")\r\n"));
}

/* The FOR clause takes a Mailbox; one whose local part could be mistaken for more header is not named at all. */
static bool can_be_named(struct path p)
{
    if (path_is_null(p))
        return false;
    for (size_t i = 0; i < p.local_part.len; i++)
        if ((unsigned char)p.local_part.ptr[i] <= 0x20 || p.local_part.ptr[i] == 0x7f)
            return false;
    return true;
}

void text_add_received(struct text *to, const struct received *r)
{
    add_client(to, r);
    if (r->tls.len)
        add_tls(to, r->tls);
    text_add(to, SLICE("\tby "));
    add_name(to, r->hostname);
    text_add(to, SLICE(" (Postrider) with "));
    text_add(to, with_keyword(r));
    text_add(to, SLICE(" id "));
    add_name(to, r->id);
    if (can_be_named(r->recipient)) {
        text_add(to, SLICE("\r\n\tfor "));
        text_add_path(to, r->recipient);
    }
    text_add(to, SLICE(";\r\n\t"));
    text_add_date(to, r->now_ms);
    text_add(to, SLICE("\r\n"));
}

void text_add_return_path(struct text *to, struct path reverse_path)
{
    text_add(to, SLICE("Return-Path: "));
    text_add_path(to, reverse_path);
    text_add(to, SLICE("\r\n"));
}
