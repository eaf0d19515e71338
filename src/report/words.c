#include "message/date.h"
#include "message/header.h"
#include "report/advice.h"
#include "report/parts.h"
/*
 * words - the part that people read. Whoever sends mail should understand from it what happened, who said so and what
 * to do next; what only a postmaster needs stands at the end.
 */
enum { COLUMNS = 72 };

static void add(struct text *to, const char *words) { text_add_cstr(to, words); }

/* One paragraph, its lines broken between words and indented alike. */
static void add_paragraph(struct text *to, slice words, size_t indent)
{
    size_t column = 0;
    bool more = true;
    while (more) {
        slice word;
        words = slice_cut(words, ' ', &word, &more);
        if (word.len == 0)
            continue;
        if (column && column + 1 + word.len > COLUMNS) {
            text_add_byte(to, '\n');
            column = 0;
        }
        for (; column < indent; column++)
            text_add_byte(to, ' ');
        if (column > indent) {
            text_add_byte(to, ' ');
            column++;
        }
        text_add(to, word);
        column += word.len;
    }
    text_add_byte(to, '\n');
}

static void add_paragraph_cstr(struct text *to, const char *words) { add_paragraph(to, slice_from_cstr(words), 0); }

static void add_address(struct text *to, struct path address)
{
    struct text mailbox = { 0 };
    text_add_mailbox(&mailbox, address);
    report_add_line(to, text_slice(&mailbox), PATH_MAX_OCTETS, true);
    text_free(&mailbox);
}

static void add_recipient(struct text *to, const struct recipient *r)
{
    add(to, "  ");
    add_address(to, r->original);
    if (!path_eq(r->original, r->forward_path)) {
        add(to, " (forwarded to ");
        add_address(to, r->forward_path);
        add(to, ")");
    }
    add(to, "\n");
}

static void add_server(struct text *to, const struct outcome *o)
{
    report_add_line(to, o->remote_name, DOMAIN_MAX, true);
    if (o->remote_address.len) {
        add(to, " (");
        report_add_line(to, o->remote_address, DOMAIN_MAX, false);
        add(to, ")");
    }
}

/* Which of our words the reply answered, in terms of a letter rather than of SMTP. */
static const char *answered_step(enum delivery_stage stage, bool is_group)
{
    switch (stage) {
    case STAGE_MAIL:
        return " said about the sender's address";
    case STAGE_RCPT:
        return is_group ? " said about the last of them" : " said about this address";
    case STAGE_DATA:
    case STAGE_CONTENT:
        return " said about the message";
    case STAGE_AUTH:
        return " said to our signing in";
    case STAGE_STARTTLS:
        return " said when asked to encrypt";
    default:
        return " said";
    }
}

/* The exact words of the other side, every line of them behind its code as it stood on the wire. */
static void add_reply(struct text *to, const struct outcome *o)
{
    slice line, rest = slice_head(o->text, REPORT_TEXT_MAX);
    bool more = true;
    while (more) {
        rest = slice_cut(rest, '\n', &line, &more);
        add(to, "    ");
        if (o->reply_code) {
            text_add_u64(to, o->reply_code);
            text_add_byte(to, more ? '-' : ' ');
            if (o->status_was_told) {
                text_add_status(to, o->status);
                text_add_byte(to, ' ');
            }
        }
        report_add_line(to, line, REPORT_TEXT_MAX, true);
        add(to, "\n");
    }
}

static void add_who_said_so(struct text *to, const struct outcome *o, bool is_group)
{
    if (o->text.len == 0 && o->reply_code == 0)
        return;
    struct text lead = { 0 };
    if (o->reply_code && o->remote_name.len) {
        add(&lead, "The server ");
        add_server(&lead, o);
        add(&lead, answered_step(o->stage, is_group));
    } else if (o->remote_name.len && o->stage != STAGE_MAILBOX) {
        add(&lead, "Our server noted about ");
        add_server(&lead, o);
    } else {
        add(&lead, o->reply_code ? "The other server said" : "Our server noted");
    }
    add(&lead, ":");
    add(to, "\n");
    add_paragraph(to, text_slice(&lead), 2);
    add_reply(to, o);
    text_free(&lead);
}

static void add_labelled(struct text *to, const char *label, slice words)
{
    struct text paragraph = { 0 };
    add(&paragraph, label);
    text_add(&paragraph, words);
    add_paragraph(to, text_slice(&paragraph), 2);
    text_free(&paragraph);
}

static void add_failure(struct text *to, const struct report_params *p, const struct outcome *o, bool is_group)
{
    const struct advice *advice = advice_of(cause_find(o));
    if (o->expired) {
        struct text tried = { 0 };
        uint64_t arrived_ms = p->message->envelope->arrived_ms;
        add(&tried, "It was tried again and again for ");
        text_add_duration_words(&tried, p->now_ms > arrived_ms ? p->now_ms - arrived_ms : 0);
        add(&tried, " and has been given up now. The problem at the last attempt:");
        add_paragraph(to, text_slice(&tried), 2);
        text_free(&tried);
    }
    add_labelled(to, p->kind == REPORT_DELAYED ? "What is in the way: " : "What happened: ", advice->happened);
    if (p->kind == REPORT_FAILED)
        add_labelled(to, "What you can do: ", advice->to_do);
    add_who_said_so(to, o, is_group);
}

static void add_success(struct text *to, const struct outcome *o)
{
    struct text words = { 0 };
    if (o->action == ACTION_DELIVERED) {
        add(&words, "It was delivered.");
    } else if (o->action == ACTION_EXPANDED) {
        add(&words,
            "It was sent on to the members of a list or alias; nothing more will be reported about this address.");
    } else {
        add(&words, "It was handed to ");
        if (o->remote_name.len)
            add_server(&words, o);
        else
            add(&words, "another server");
        add(&words, ", which does not report on what becomes of it. You will hear of it again only if it fails there.");
    }
    add_paragraph(to, text_slice(&words), 2);
    text_free(&words);
}

/* What stands before and behind the address in a reply; all of it and nothing where the address is not in it. */
static void split_at_address(slice text, struct path address, slice *before, slice *behind)
{
    struct text mailbox = { 0 };
    text_add_mailbox(&mailbox, address);
    size_t at = slice_find(text, text_slice(&mailbox));
    *before = slice_head(text, at);
    *behind = at == SLICE_NOT_FOUND ? (slice){ 0 } : slice_tail(text, at + mailbox.len);
    text_free(&mailbox);
}

/* Many servers repeat the address in their words: two replies that differ in nothing else say the same. */
static bool is_same_text(slice a, slice b, struct path a_address, struct path b_address)
{
    slice a_before, a_behind, b_before, b_behind;
    split_at_address(a, a_address, &a_before, &a_behind);
    split_at_address(b, b_address, &b_before, &b_behind);
    return slice_eq(a_before, b_before) && slice_eq(a_behind, b_behind);
}

static bool is_same_outcome(const struct outcome *a, const struct outcome *b)
{
    return a->action == b->action && a->stage == b->stage && a->reply_code == b->reply_code &&
           a->expired == b->expired && a->status.class == b->status.class && a->status.subject == b->status.subject &&
           a->status.detail == b->status.detail && slice_eq(a->remote_name, b->remote_name);
}

static bool is_same_end(const struct report_params *p, size_t a, size_t b)
{
    return is_same_outcome(&p->outcomes[a], &p->outcomes[b]) &&
           is_same_text(p->outcomes[a].text, p->outcomes[b].text, report_recipient(p, a)->forward_path,
                        report_recipient(p, b)->forward_path);
}

/* Recipients that met the same end stand together above its one explanation. */
static void add_recipients(struct text *to, const struct report_params *p)
{
    size_t listed = size_min(p->recipient_count, REPORT_LISTED_MAX);
    for (size_t i = 0; i < listed; i++) {
        const struct outcome *o = &p->outcomes[i];
        add_recipient(to, report_recipient(p, i));
        if (i + 1 < listed && is_same_end(p, i, i + 1))
            continue;
        bool is_group = i > 0 && is_same_end(p, i - 1, i);
        add(to, "\n");
        if (p->kind == REPORT_RELAYED)
            add_success(to, o);
        else
            add_failure(to, p, o, is_group);
        add(to, "\n");
    }
    if (p->recipient_count > listed)
        text_add_format(to, "and %zu more addresses, all of them in the second part of this message.\n\n",
                        p->recipient_count - listed);
}

static void add_opening(struct text *to, const struct report_params *p)
{
    struct text words = { 0 };
    bool one = p->recipient_count == 1;
    add(&words, "This is the mail server ");
    report_add_line(&words, p->hostname, DOMAIN_MAX, true);
    add(&words, ".");
    add_paragraph(to, text_slice(&words), 0);
    add(to, "\n");
    switch (p->kind) {
    case REPORT_FAILED:
        add_paragraph_cstr(to,
                           one ? "Your message could not be delivered to this address and will not be tried again:"
                               : "Your message could not be delivered to these addresses and will not be tried again:");
        break;
    case REPORT_DELAYED:
        add_paragraph_cstr(
            to, one ? "Your message has not been delivered to this address yet. You do not need to do anything: it is "
                      "still being tried."
                    : "Your message has not been delivered to these addresses yet. You do not need to do anything: "
                      "it is still being tried.");
        break;
    case REPORT_RELAYED:
        add_paragraph_cstr(to, "You asked to be told what becomes of your message to:");
        break;
    }
    add(to, "\n");
    text_free(&words);
}

static void add_subject(struct text *to, const struct report_params *p)
{
    struct text line = { 0 };
    slice subject = header_find(header_section(p->content), SLICE("Subject"));
    text_add_decoded(&line, subject);
    if (line.len) {
        add(to, "Subject of your message: ");
        report_add_line(to, text_slice(&line), 200, true);
        add(to, "\n");
    }
    add(to, "Sent: ");
    text_add_date_short(to, p->message->envelope->arrived_ms);
    add(to, "\n\n");
    text_free(&line);
}

static void add_outlook(struct text *to, const struct report_params *p)
{
    if (p->kind != REPORT_DELAYED)
        return;
    struct text words = { 0 };
    if (p->give_up_ms > p->now_ms) {
        add(&words, "We keep trying until ");
        text_add_date_short(&words, p->give_up_ms);
        add(&words, ", that is for another ");
        text_add_duration_words(&words, p->give_up_ms - p->now_ms);
        add(&words, ". If it has not been delivered by then, you get one more message that says so.");
    } else {
        add(&words, "If it cannot be delivered, you get one more message that says so.");
    }
    add_paragraph(to, text_slice(&words), 0);
    add(to, "\n");
    text_free(&words);
}

static void add_for_postmaster(struct text *to, const struct report_params *p)
{
    const struct envelope *e = p->message->envelope;
    add(to, "For postmasters: message ");
    text_add_message_id(to, p->message->id);
    add(to, " at ");
    report_add_line(to, p->hostname, DOMAIN_MAX, true);
    if (e->client_address.len) {
        add(to, ",\nreceived from ");
        report_add_line(to,
                        e->client_name.len ? e->client_name
                        : e->helo.len      ? e->helo
                                           : SLICE("unknown"),
                        DOMAIN_MAX, true);
        add(to, " [");
        report_add_line(to, e->client_address, DOMAIN_MAX, false);
        add(to, "]");
    }
    add(to, ".\n`postrider queue show ");
    text_add_message_id(to, p->message->id);
    add(to, p->kind == REPORT_DELAYED ? "` on that server shows how it stands.\n"
                                      : "` or its event log on that server has the details.\n");
    add(to, "The second part of this message has all codes in the form of RFC 3464.\n");
}

void report_add_words(struct text *to, const struct report_params *p)
{
    add_opening(to, p);
    add_recipients(to, p);
    add_outlook(to, p);
    add_subject(to, p);
    add_paragraph_cstr(to,
                       report_returns_whole(p) ? "The message is attached." : "The head of the message is attached.");
    add(to, "\n");
    add_for_postmaster(to, p);
}

slice report_explain(const struct outcome *o, struct text *buffer)
{
    const struct advice *advice = advice_of(cause_find(o));
    text_clear(buffer);
    text_add(buffer, advice->happened);
    text_add_byte(buffer, ' ');
    text_add(buffer, advice->to_do);
    return text_slice(buffer);
}
