#include "programs/ctl/conversation.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/memory.h"
#include "io/stream.h"
#include "programs/ctl/protocol.h"
#include "sasl/sasl.h"
#include "smtp/dot.h"
#include "smtp/ehlo.h"
#include "smtp/scan.h"

enum step {
    STEP_SUBMIT,
    STEP_GREETING,
    STEP_EHLO,
    STEP_HELO,
    STEP_STARTTLS,
    STEP_AUTH,
    STEP_MAIL,
    STEP_RCPT,
    STEP_DATA,
    STEP_CONTENT,
    STEP_QUIT,
};

struct talk {
    struct conversation *c;
    struct loop *loop;
    struct stream *stream;
    struct connecting *connecting;
    size_t address; /* the one being tried */
    struct timer deadline;
    enum step step;
    struct reply_reader reader;
    struct text submit_line; /* of the control socket's answer */
    struct text ehlo_text;
    struct ehlo ehlo;
    struct sasl_client sasl;
    bool tls_is_on, greeting_was_read, is_over;
    size_t recipient, accepted_recipients;
    uint64_t number; /* of the message */
    slice content;
};

static void enter(struct talk *t, enum step step);

static void show(struct talk *t, char direction, slice line)
{
    if (t->c->show)
        t->c->show(t->c->context, direction, line);
}

static void end(struct talk *t)
{
    t->is_over = true;
    timer_clear(t->loop, &t->deadline);
    if (t->stream)
        stream_close(t->stream);
    t->stream = NULL;
    loop_stop(t->loop);
}

/* The first thing that goes wrong is what is told. */
static void note(struct talk *t, enum conversation_end why, slice words)
{
    if (t->c->end != CONVERSATION_OK)
        return;
    t->c->end = why;
    text_clear(&t->c->words);
    text_add(&t->c->words, words);
}

static void give_up(struct talk *t, enum conversation_end why, slice words)
{
    note(t, why, words);
    show(t, '*', words);
    end(t);
}

static void note_reply(struct talk *t, enum conversation_end otherwise)
{
    struct conversation *c = t->c;
    if (c->end == CONVERSATION_OK) {
        c->code = t->reader.code;
        c->status = t->reader.status;
    }
    note(t, reply_is_transient(t->reader.code) ? CONVERSATION_TRANSIENT : otherwise, text_slice(&t->reader.text));
}

static void on_deadline(void *context)
{
    struct talk *t = context;
    give_up(t, CONVERSATION_NO_SERVER, SLICE("no answer came in time"));
}

static void send_line(struct talk *t, struct text *line, slice shown)
{
    show(t, '>', shown.len ? shown : text_slice(line));
    text_add(line, SLICE("\r\n"));
    stream_write(t->stream, text_slice(line));
    text_free(line);
}

static void send_words(struct talk *t, slice words, slice argument)
{
    struct text line = { 0 };
    text_add(&line, words);
    text_add(&line, argument);
    send_line(t, &line, (slice){ 0 });
}

/* steps: what is sent ------------------------------------------------------------------------------------------ */

static void send_submit(struct talk *t) { stream_write(t->stream, SLICE("{\"command\":\"submit\"}\n")); }
static void send_ehlo(struct talk *t) { send_words(t, SLICE("EHLO "), t->c->ehlo_name); }
static void send_helo(struct talk *t) { send_words(t, SLICE("HELO "), t->c->ehlo_name); }
static void send_starttls(struct talk *t) { send_words(t, SLICE("STARTTLS"), (slice){ 0 }); }
static void send_quit(struct talk *t) { send_words(t, SLICE("QUIT"), (slice){ 0 }); }
static void send_data(struct talk *t) { send_words(t, SLICE("DATA"), (slice){ 0 }); }

static void send_auth(struct talk *t)
{
    struct text line = { 0 }, response = { 0 };
    text_add(&line, SLICE("AUTH "));
    text_add(&line, t->sasl.mechanism->name);
    if (sasl_client_step(&t->sasl, (slice){ 0 }, &response) && response.len) {
        text_add_byte(&line, ' ');
        base64_encode(&line, text_slice(&response));
    }
    struct text shown = { 0 };
    text_add_format(&shown, "AUTH " SLICE_FMT "%s", SLICE_ARG(t->sasl.mechanism->name),
                    response.len ? " (hidden)" : "");
    send_line(t, &line, text_slice(&shown));
    text_free(&shown);
    memory_wipe(response.ptr, response.len);
    text_free(&response);
}

/* RFC 3461 §4.4: xtext. */
static void add_xtext(struct text *to, slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c > ' ' && c < 0x7f && c != '+' && c != '=')
            text_add_byte(to, (char)c);
        else
            text_add_format(to, "+%02X", c);
    }
}

static bool needs_utf8(const struct talk *t)
{
    bool plain = slice_is_ascii(t->c->reverse_path);
    for (size_t i = 0; i < t->c->recipient_count; i++)
        plain &= slice_is_ascii(t->c->recipients[i].mailbox);
    return !plain;
}

static void send_mail(struct talk *t)
{
    struct text line = { 0 };
    text_add_format(&line, "MAIL FROM:<" SLICE_FMT ">", SLICE_ARG(t->c->reverse_path));
    if (ehlo_has(&t->ehlo, EXTENSION_SIZE))
        text_add_format(&line, " SIZE=%zu", t->content.len);
    if (ehlo_has(&t->ehlo, EXTENSION_8BITMIME) && !slice_is_ascii(t->content))
        text_add(&line, SLICE(" BODY=8BITMIME"));
    if (needs_utf8(t))
        text_add(&line, SLICE(" SMTPUTF8"));
    if (ehlo_has(&t->ehlo, EXTENSION_DSN) && t->c->dsn_return.len)
        text_add_format(&line, " RET=" SLICE_FMT, SLICE_ARG(t->c->dsn_return));
    if (ehlo_has(&t->ehlo, EXTENSION_DSN) && t->c->dsn_envelope_id.len) {
        text_add(&line, SLICE(" ENVID="));
        add_xtext(&line, t->c->dsn_envelope_id);
    }
    send_line(t, &line, (slice){ 0 });
}

static void send_rcpt(struct talk *t)
{
    struct text line = { 0 };
    text_add_format(&line, "RCPT TO:<" SLICE_FMT ">", SLICE_ARG(t->c->recipients[t->recipient].mailbox));
    if (ehlo_has(&t->ehlo, EXTENSION_DSN) && t->c->dsn_notify.len)
        text_add_format(&line, " NOTIFY=" SLICE_FMT, SLICE_ARG(t->c->dsn_notify));
    send_line(t, &line, (slice){ 0 });
}

static void content_was_sent(void *context) { (void)context; }

static void send_content(struct talk *t)
{
    enum { COPIED_UP_TO = 16 * 1024 };
    struct dot_writer writer = { 0 };
    slice input = t->content, run;
    struct text remark = { 0 };
    text_add_format(&remark, "(content: %zu octets)", t->content.len);
    show(t, '>', text_slice(&remark));
    text_free(&remark);
    while (dot_writer_next(&writer, &input, &run)) {
        if (run.len > COPIED_UP_TO)
            stream_write_shared(t->stream, run, content_was_sent, NULL); /* the content outlives it */
        else
            stream_write(t->stream, run);
    }
    stream_write(t->stream, dot_writer_end(&writer));
    show(t, '>', SLICE("."));
}

/* steps: what the reply means ---------------------------------------------------------------------------------- */

/* False after the end of everything. */
static bool want(struct talk *t, unsigned class)
{
    if (t->reader.code / 100 == class)
        return true;
    note_reply(t, CONVERSATION_REFUSED);
    enter(t, STEP_QUIT);
    return false;
}

static void next_message(struct talk *t)
{
    if (!t->c->next_message(t->c->context, t->number, &t->content)) {
        enter(t, STEP_QUIT);
        return;
    }
    if (needs_utf8(t) && !ehlo_has(&t->ehlo, EXTENSION_SMTPUTF8)) {
        note(t, CONVERSATION_REFUSED, SLICE("an address is not ASCII, and the server does not offer SMTPUTF8"));
        enter(t, STEP_QUIT);
        return;
    }
    if (t->ehlo.size_max && t->content.len > t->ehlo.size_max) {
        note(t, CONVERSATION_REFUSED, SLICE("the message is larger than the server takes (SIZE)"));
        enter(t, STEP_QUIT);
        return;
    }
    enter(t, STEP_MAIL);
}

static void sign_in(struct talk *t)
{
    if (t->c->username.len == 0) {
        next_message(t);
        return;
    }
    slice problem = { 0 };
    t->sasl = (struct sasl_client){ .mechanism = sasl_client_choose(t->ehlo.auth),
                                    .name = t->c->username,
                                    .password = t->c->password };
    if (!t->tls_is_on && !t->c->may_sign_in_without_tls)
        problem = SLICE("the connection is not encrypted: the password is not sent (--tls none sends it all the same)");
    else if (!t->sasl.mechanism)
        problem = SLICE("the server offers no way to sign in (AUTH PLAIN or LOGIN)");
    if (problem.len) {
        show(t, '*', problem);
        note(t, CONVERSATION_NOT_SIGNED_IN, problem);
        enter(t, STEP_QUIT);
        return;
    }
    enter(t, STEP_AUTH);
}

static void after_greeting(struct talk *t)
{
    t->greeting_was_read = true;
    if (want(t, 2))
        enter(t, STEP_EHLO);
}

static void after_ehlo(struct talk *t)
{
    if (reply_is_permanent(t->reader.code)) {
        enter(t, STEP_HELO);
        return;
    }
    if (!want(t, 2))
        return;
    text_clear(&t->ehlo_text);
    text_add(&t->ehlo_text, text_slice(&t->reader.text));
    ehlo_parse(text_slice(&t->ehlo_text), &t->ehlo);
    bool wanted = t->c->tls == CONVERSATION_TLS_STARTTLS || t->c->tls == CONVERSATION_TLS_REQUIRED;
    if (t->tls_is_on || !wanted) {
        sign_in(t);
    } else if (ehlo_has(&t->ehlo, EXTENSION_STARTTLS)) {
        enter(t, STEP_STARTTLS);
    } else if (t->c->tls == CONVERSATION_TLS_REQUIRED) {
        note(t, CONVERSATION_REFUSED, SLICE("the server does not offer STARTTLS"));
        enter(t, STEP_QUIT);
    } else {
        sign_in(t);
    }
}

static void after_helo(struct talk *t)
{
    t->ehlo = (struct ehlo){ 0 };
    if (t->c->tls == CONVERSATION_TLS_REQUIRED && !t->tls_is_on) {
        note(t, CONVERSATION_REFUSED, SLICE("the server knows no EHLO, so no STARTTLS"));
        enter(t, STEP_QUIT);
    } else if (want(t, 2)) {
        sign_in(t);
    }
}

static void secure(struct talk *t)
{
    show(t, '*', SLICE("TLS handshake"));
    timer_set(t->loop, &t->deadline, t->c->timeout_ms, on_deadline, t);
    stream_secure(t->stream, tls_filter_new(t->c->tls_context, t->c->server_name));
}

static void after_starttls(struct talk *t)
{
    if (want(t, 2))
        secure(t);
}

static void after_auth(struct talk *t)
{
    if (t->reader.code == 334) {
        struct text challenge = { 0 }, response = { 0 }, line = { 0 };
        bool ok = base64_decode(&challenge, text_slice(&t->reader.text)) &&
                  sasl_client_step(&t->sasl, text_slice(&challenge), &response);
        if (ok)
            base64_encode(&line, text_slice(&response));
        else
            text_add_byte(&line, '*');
        send_line(t, &line, SLICE("(hidden)"));
        memory_wipe(response.ptr, response.len);
        text_free(&response);
        text_free(&challenge);
        return;
    }
    if (reply_is_positive(t->reader.code)) {
        next_message(t);
        return;
    }
    note_reply(t, CONVERSATION_NOT_SIGNED_IN);
    enter(t, STEP_QUIT);
}

static void after_mail(struct talk *t)
{
    if (!want(t, 2))
        return;
    t->recipient = t->accepted_recipients = 0;
    enter(t, STEP_RCPT);
}

static void after_rcpt(struct talk *t)
{
    struct conversation_recipient *recipient = &t->c->recipients[t->recipient];
    recipient->code = t->reader.code;
    recipient->status = t->reader.status;
    text_clear(&recipient->reply);
    text_add(&recipient->reply, text_slice(&t->reader.text));
    recipient->is_accepted = reply_is_positive(t->reader.code);
    if (recipient->is_accepted)
        t->accepted_recipients++;
    else
        note_reply(t, CONVERSATION_REFUSED);
    if (++t->recipient < t->c->recipient_count)
        enter(t, STEP_RCPT);
    else
        enter(t, t->accepted_recipients ? STEP_DATA : STEP_QUIT);
}

static void after_data(struct talk *t)
{
    if (want(t, 3))
        enter(t, STEP_CONTENT);
}

static void after_content(struct talk *t)
{
    if (!want(t, 2))
        return;
    if (t->c->end == CONVERSATION_OK) {
        t->c->code = t->reader.code;
        t->c->status = t->reader.status;
        text_clear(&t->c->words);
        text_add(&t->c->words, text_slice(&t->reader.text));
    }
    t->c->accepted_count++;
    if (t->c->accepted)
        t->c->accepted(t->c->context, t->number);
    t->number++;
    next_message(t);
}

static void after_quit(struct talk *t) { end(t); }

static const struct step_rule {
    void (*send)(struct talk *);  /* NULL: only listen */
    void (*after)(struct talk *); /* the reply stands in t->reader */
} rules[] = {
    [STEP_SUBMIT] = { send_submit, NULL },
    [STEP_GREETING] = { NULL, after_greeting },
    [STEP_EHLO] = { send_ehlo, after_ehlo },
    [STEP_HELO] = { send_helo, after_helo },
    [STEP_STARTTLS] = { send_starttls, after_starttls },
    [STEP_AUTH] = { send_auth, after_auth },
    [STEP_MAIL] = { send_mail, after_mail },
    [STEP_RCPT] = { send_rcpt, after_rcpt },
    [STEP_DATA] = { send_data, after_data },
    [STEP_CONTENT] = { send_content, after_content },
    [STEP_QUIT] = { send_quit, after_quit },
};

static void enter(struct talk *t, enum step step)
{
    t->step = step;
    timer_set(t->loop, &t->deadline, t->c->timeout_ms, on_deadline, t);
    if (rules[step].send)
        rules[step].send(t);
}

/* the connection ----------------------------------------------------------------------------------------------- */

static void show_reply(struct talk *t)
{
    slice rest = text_slice(&t->reader.text), line;
    struct text shown = { 0 };
    do {
        bool is_last;
        rest = slice_cut(rest, '\n', &line, &is_last);
        is_last = !is_last;
        text_clear(&shown);
        text_add_format(&shown, "%03u%c", t->reader.code, is_last ? ' ' : '-');
        if (t->reader.status.class) {
            text_add_status(&shown, t->reader.status);
            text_add_byte(&shown, ' ');
        }
        text_add(&shown, line);
        show(t, '<', text_slice(&shown));
        if (is_last)
            break;
    } while (true);
    text_free(&shown);
}

/* The control socket's answer to `submit`: one line of JSON, then SMTP. True when that has come. */
static bool take_submit_answer(struct talk *t, slice *bytes)
{
    while (bytes->len) {
        char octet = bytes->ptr[0];
        *bytes = slice_tail(*bytes, 1);
        if (octet != '\n' && t->submit_line.len < 4096) {
            text_add_byte(&t->submit_line, octet);
            continue;
        }
        if (slice_starts_with(text_slice(&t->submit_line), SLICE("{\"end\":true"))) {
            enter(t, STEP_GREETING);
            return true;
        }
        slice words = text_slice(&t->submit_line), before = SLICE("{\"error\":\"");
        if (slice_starts_with(words, before))
            words = slice_head(slice_tail(words, before.len), slice_find_byte(slice_tail(words, before.len), '"'));
        give_up(t, CONVERSATION_NO_SERVER, words);
        return false;
    }
    return false;
}

static void on_bytes(void *context, slice bytes)
{
    struct talk *t = context;
    if (t->step == STEP_SUBMIT && !take_submit_answer(t, &bytes))
        return;
    while (bytes.len && !t->is_over) {
        enum reply_read result = reply_reader_feed(&t->reader, &bytes);
        if (result == REPLY_BAD) {
            give_up(t, CONVERSATION_NO_SERVER,
                    SLICE("what came is not an SMTP reply: is this an SMTP port, and is --tls right for it?"));
            return;
        }
        if (result == REPLY_MORE)
            return;
        show_reply(t);
        bool starts_tls = t->step == STEP_STARTTLS && reply_is_positive(t->reader.code);
        rules[t->step].after(t);
        reply_reader_clear(&t->reader);
        if (starts_tls)
            return; /* what follows in clear is nobody's (RFC 3207 §4.2) */
    }
}

static void on_end(void *context, enum io_result why)
{
    struct talk *t = context;
    struct text words = { 0 };
    if (t->step == STEP_QUIT) {
        end(t);
        return;
    }
    text_add_format(&words, "the server broke the connection off: %s %s", io_result_text(why),
                    stream_error_text(t->stream));
    give_up(t, CONVERSATION_NO_SERVER, slice_trim(text_slice(&words)));
    text_free(&words);
}

static void on_secured(void *context, enum io_result why)
{
    struct talk *t = context;
    struct tls_info info;
    struct text words = { 0 };
    if (why != IO_OK) {
        text_add_format(&words, "TLS failed: %s",
                        *stream_error_text(t->stream) ? stream_error_text(t->stream) : io_result_text(why));
        give_up(t, CONVERSATION_NO_SERVER, text_slice(&words));
        text_free(&words);
        return;
    }
    t->tls_is_on = true;
    if (tls_get_info(t->stream, &info)) {
        text_add_format(&t->c->tls_words, "%s %s", info.version, info.cipher);
        text_add_format(&words, "%s, certificate %s", text_cstr(&t->c->tls_words),
                        info.verified ? "verified" : "not verified");
        show(t, '*', text_slice(&words));
    }
    text_free(&words);
    enter(t, t->greeting_was_read ? STEP_EHLO : STEP_GREETING);
}

static const struct stream_events events = { .on_bytes = on_bytes, .on_end = on_end, .on_secured = on_secured };

static void try_address(struct talk *t);

static void on_connected(void *context, struct stream *stream, enum io_result result)
{
    struct talk *t = context;
    t->connecting = NULL;
    if (!stream) {
        struct text words = { 0 };
        text_add(&words, SLICE("cannot connect to "));
        if (t->c->unix_path)
            text_add_cstr(&words, t->c->unix_path);
        else
            text_add_address_with_port(&words, &t->c->addresses[t->address]);
        text_add_format(&words, ": %s", io_result_text(result));
        show(t, '*', text_slice(&words));
        if (!t->c->unix_path && ++t->address < t->c->address_count) {
            try_address(t);
        } else {
            note(t, CONVERSATION_NO_SERVER, text_slice(&words));
            end(t);
        }
        text_free(&words);
        return;
    }
    t->stream = stream;
    stream_start(stream, &events, t);
    if (t->c->tls == CONVERSATION_TLS_IMPLICIT)
        secure(t);
    else
        enter(t, t->c->unix_path ? STEP_SUBMIT : STEP_GREETING);
}

static void try_address(struct talk *t)
{
    struct connect_params params = { .unix_path = t->c->unix_path, .timeout_ms = t->c->timeout_ms };
    if (!t->c->unix_path)
        params.peer = t->c->addresses[t->address];
    t->connecting = stream_connect(t->loop, &params, on_connected, t);
}

static void start(void *context) { try_address(context); }

void conversation_run(struct conversation *c)
{
    struct talk t = { .c = c, .loop = loop_new("smtp") };
    loop_post(t.loop, start, &t);
    loop_run(t.loop);
    loop_free(t.loop);
    reply_reader_free(&t.reader);
    text_free(&t.submit_line);
    text_free(&t.ehlo_text);
}

void conversation_free(struct conversation *c)
{
    for (size_t i = 0; i < c->recipient_count; i++)
        text_free(&c->recipients[i].reply);
    text_free(&c->words);
    text_free(&c->tls_words);
}
