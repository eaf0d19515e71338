#include "message/date.h"
#include "report/parts.h"
/*
 * status_fields - the body of message/delivery-status, RFC 3464 §2: the per-message group, then one for each recipient.
 * ASCII only (RFC 6533 §3: other addresses in the form of the utf-8 address type).
 */
static void begin_field(struct text *to, slice name)
{
    text_add(to, name);
    text_add(to, SLICE(": "));
}
static void end_field(struct text *to) { text_add(to, SLICE("\r\n")); }

static void add_typed(struct text *to, slice name, slice type, slice value)
{
    begin_field(to, name);
    text_add(to, type);
    text_add(to, SLICE("; "));
    report_add_line(to, value, REPORT_TEXT_MAX, false);
    end_field(to);
}

static void add_date(struct text *to, slice name, uint64_t wall_ms)
{
    begin_field(to, name);
    text_add_date(to, wall_ms);
    end_field(to);
}

static uint32_t decode_character(slice s, size_t *length)
{
    unsigned char c = (unsigned char)s.ptr[0];
    *length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    uint32_t character = *length == 1 ? c : c & (0x7fu >> *length);
    for (size_t i = 1; i < *length && i < s.len; i++)
        character = character << 6 | ((unsigned char)s.ptr[i] & 0x3fu);
    return character;
}

/* utf-8-addr-xtext: "\x{E9}" for what is not ASCII and for "\", "+", "=" (RFC 6533 §3) */
static void add_utf8_address(struct text *to, slice mailbox)
{
    text_add(to, SLICE("utf-8; "));
    size_t start = to->len;
    while (mailbox.len && to->len - start < REPORT_TEXT_MAX) {
        size_t length;
        uint32_t character = decode_character(mailbox, &length);
        if (character > 0x20 && character < 0x7f && character != '\\' && character != '+' && character != '=')
            text_add_byte(to, (char)character);
        else
            text_add_format(to, "\\x{%02X}", (unsigned)character);
        mailbox = slice_tail(mailbox, length);
    }
}

static void add_final_recipient(struct text *to, struct path address)
{
    struct text mailbox = { 0 };
    text_add_mailbox(&mailbox, address);
    if (slice_is_ascii(text_slice(&mailbox)) || !slice_is_utf8(text_slice(&mailbox))) {
        add_typed(to, SLICE("Final-Recipient"), SLICE("rfc822"), text_slice(&mailbox));
    } else {
        begin_field(to, SLICE("Final-Recipient"));
        add_utf8_address(to, text_slice(&mailbox));
        end_field(to);
    }
    text_free(&mailbox);
}

static void add_message_group(struct text *to, const struct report_params *p)
{
    const struct envelope *e = p->message->envelope;
    if (e->envelope_id.len) { /* RFC 3464 §2.2.1 */
        begin_field(to, SLICE("Original-Envelope-Id"));
        report_add_line(to, e->envelope_id, REPORT_TEXT_MAX, false);
        end_field(to);
    }
    add_typed(to, SLICE("Reporting-MTA"), SLICE("dns"), p->hostname);
    if (e->helo.len)
        add_typed(to, SLICE("Received-From-MTA"), SLICE("dns"), e->helo);
    add_date(to, SLICE("Arrival-Date"), e->arrived_ms);
    begin_field(to, SLICE("X-Postrider-Message"));
    text_add_message_id(to, p->message->id);
    end_field(to);
}

/* "smtp; 550 5.1.1 user unknown": the reply as it came, on one line; our own words are of a type of their own, because
 * they are no diagnostic of SMTP (RFC 3464 §2.3.6). */
static void add_diagnostic(struct text *to, const struct outcome *o)
{
    bool is_ours = o->reply_code == 0; /* what we noted about a success (where it lies) is not for the sender */
    if (is_ours && (o->text.len == 0 || outcome_is_success(o->action)))
        return;
    struct text words = { 0 };
    if (!is_ours) {
        text_add_u64(&words, o->reply_code);
        text_add_byte(&words, ' ');
        if (o->status_was_told) {
            text_add_status(&words, o->status);
            text_add_byte(&words, ' ');
        }
    }
    text_add(&words, slice_head(o->text, REPORT_TEXT_MAX));
    add_typed(to, SLICE("Diagnostic-Code"), is_ours ? SLICE("x-postrider") : SLICE("smtp"),
              slice_trim_lines(text_slice(&words)));
    text_free(&words);
}

/* RFC 3464 §2.3.4: a status is always given; its class follows the action where the attempt told none. For a message
 * that ran out of time it is that (RFC 3463 §3.5, X.4.7); what the last attempt met stands in the diagnostic. */
static struct status status_of(const struct outcome *o, enum report_kind kind)
{
    static const uint8_t classes[] = { [REPORT_FAILED] = 5, [REPORT_DELAYED] = 4, [REPORT_RELAYED] = 2 };
    if (o->expired)
        return (struct status){ 4, 4, 7 };
    return o->status.class ? o->status : (struct status){ classes[kind], 0, 0 };
}

static enum action action_of(const struct outcome *o, enum report_kind kind)
{
    if (kind == REPORT_FAILED)
        return ACTION_FAILED;
    if (kind == REPORT_DELAYED)
        return ACTION_DELAYED;
    return o->action;
}

static void add_recipient_group(struct text *to, const struct report_params *p, size_t i)
{
    const struct recipient *r = report_recipient(p, i);
    const struct outcome *o = &p->outcomes[i];
    text_add(to, SLICE("\r\n"));
    if (r->original_recipient.len) {
        slice type, address = slice_cut(r->original_recipient, ';', &type, NULL);
        begin_field(to, SLICE("Original-Recipient"));
        report_add_line(to, type, REPORT_TEXT_MAX, false);
        text_add(to, SLICE("; "));
        report_add_line(to, address, REPORT_TEXT_MAX, false);
        end_field(to);
    }
    add_final_recipient(to, r->forward_path);
    begin_field(to, SLICE("Action"));
    text_add_cstr(to, action_name(action_of(o, p->kind)));
    end_field(to);
    begin_field(to, SLICE("Status"));
    text_add_status(to, status_of(o, p->kind));
    end_field(to);
    if (o->remote_name.len && o->stage != STAGE_MAILBOX)
        add_typed(to, SLICE("Remote-MTA"), SLICE("dns"), o->remote_name);
    add_diagnostic(to, o);
    add_date(to, SLICE("Last-Attempt-Date"), p->now_ms);
    if (p->kind == REPORT_DELAYED && p->give_up_ms)
        add_date(to, SLICE("Will-Retry-Until"), p->give_up_ms);
}

void report_add_status_fields(struct text *to, const struct report_params *p)
{
    add_message_group(to, p);
    for (size_t i = 0; i < p->recipient_count; i++)
        add_recipient_group(to, p, i);
}
