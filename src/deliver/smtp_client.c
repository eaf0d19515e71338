#include "deliver/smtp_client.h"
#include "base/base64.h"
#include "base/memory.h"
#include "deliver/verdict.h"

enum { SASL_ROUNDS_MAX = 8, AUTH_LINE_MAX = 510 };
static const uint64_t DATA_BLOCK_MS = MINUTES(3); /* RFC 5321 §4.5.3.2.5: each buffer of the content */

static void on_greeting(struct smtp_client *);
static void on_ehlo(struct smtp_client *);
static void on_starttls(struct smtp_client *);
static void on_auth(struct smtp_client *);
static void on_quit(struct smtp_client *);

struct step_rule {
    enum delivery_stage stage;
    uint64_t within_ms; /* RFC 5321 §4.5.3.2; 0: another clock runs */
    const char *waits_for;
    void (*on_reply)(struct smtp_client *); /* NULL: no octets of the server have a place here */
};
/* clang-format off: a table */
static const struct step_rule rules[STEPS] = {
    [STEP_NONE] = { STAGE_DNS, 0, "the name server", NULL },
    [STEP_CONNECT] = { STAGE_CONNECT, 0, "the connection", NULL },
    [STEP_GREETING] = { STAGE_GREETING, MINUTES(5), "the greeting", on_greeting },
    [STEP_EHLO] = { STAGE_EHLO, MINUTES(5), "the reply to EHLO", on_ehlo },
    [STEP_HELO] = { STAGE_EHLO, MINUTES(5), "the reply to HELO", on_ehlo },
    [STEP_STARTTLS] = { STAGE_STARTTLS, MINUTES(2), "the reply to STARTTLS", on_starttls },
    [STEP_HANDSHAKE] = { STAGE_TLS, MINUTES(2), "the TLS handshake", NULL },
    [STEP_AUTH] = { STAGE_AUTH, MINUTES(5), "the reply to AUTH", on_auth },
    [STEP_IDLE] = { STAGE_NONE, 0, "the next message", NULL },
    [STEP_RSET] = { STAGE_MAIL, MINUTES(5), "the reply to RSET", smtp_transaction_reply },
    [STEP_MAIL] = { STAGE_MAIL, MINUTES(5), "the reply to MAIL", smtp_transaction_reply },
    [STEP_RCPT] = { STAGE_RCPT, MINUTES(5), "the reply to RCPT", smtp_transaction_reply },
    [STEP_DATA] = { STAGE_DATA, MINUTES(2), "the reply to DATA", smtp_transaction_reply },
    [STEP_CONTENT] = { STAGE_CONTENT, MINUTES(10), "the reply to the whole message", smtp_transaction_reply },
    [STEP_QUIT] = { STAGE_NONE, SECONDS(10), "the reply to QUIT", on_quit },
};
/* clang-format on */

static void on_timeout(void *context);
static void try_next_host(struct smtp_client *);

enum delivery_stage smtp_stage(enum smtp_step step) { return rules[step].stage; }

static bool is_sending(const struct smtp_client *c) { return c->step == STEP_CONTENT && !c->current->content_is_sent; }

static uint64_t step_time_ms(const struct smtp_client *c, enum smtp_step step)
{
    const struct deliverer *d = c->base.deliverer;
    if (step == STEP_IDLE)
        return d->idle_ms;
    uint64_t within_ms = rules[step].within_ms;
    if (is_sending(c))
        within_ms = DATA_BLOCK_MS;
    return d->reply_timeout_ms ? d->reply_timeout_ms : within_ms;
}

void smtp_enter(struct smtp_client *c, enum smtp_step step)
{
    c->step = step;
    if (step != STEP_IDLE && rules[step].within_ms == 0)
        timer_clear(smtp_loop(c), &c->timer);
    else
        timer_set(smtp_loop(c), &c->timer, step_time_ms(c, step), on_timeout, c);
}

void smtp_send(struct smtp_client *c, struct text *command)
{
    stream_write(c->stream, text_slice(command));
    text_clear(command);
}

struct outcome smtp_outcome(const struct smtp_client *c, struct outcome o)
{
    o.remote_name = text_slice(&c->remote_name);
    o.remote_address = text_slice(&c->remote_address);
    o.tls = text_slice(&c->tls);
    return o;
}

/* --- ends --- */

static void drop_stream(struct smtp_client *c, bool politely)
{
    timer_clear(smtp_loop(c), &c->timer);
    if (c->stream && politely)
        stream_close(c->stream);
    else if (c->stream)
        stream_abort(c->stream);
    c->stream = NULL;
    reply_reader_clear(&c->reader);
}

/* An operator can mend it, the sender cannot: the mail waits. */
static void make_transient(struct outcome *o)
{
    o->action = ACTION_DELAYED;
    o->status_was_told = o->status_was_told && o->status.class == 4;
    o->status.class = 4;
}

/* With the last host gone the failure is the destination's. That our own next hop (smart host, LMTP) turns us away or
 * has no address is for an operator to mend. */
static void give_up(struct smtp_client *c)
{
    struct outcome failure = c->failure;
    if (failure.action == ACTION_NONE || (c->walk.failure.action == ACTION_DELAYED && failure.action == ACTION_FAILED))
        failure = c->walk.failure;
    if (failure.action == ACTION_NONE)
        failure = verdict_delayed(STAGE_DNS, 4, 4, SLICE("no host to connect to"));
    if (c->base.destination.kind != DESTINATION_MX)
        make_transient(&failure);
    c->step = STEP_NONE;
    connection_end(&c->base, &failure);
}

/* As long as one host's failure may pass, so may the destination's. */
static void note_failure(struct smtp_client *c, struct outcome why)
{
    if (c->failure.action == ACTION_DELAYED && why.action == ACTION_FAILED)
        return;
    why = smtp_outcome(c, why);
    outcome_copy(&c->base.memory, &c->failure, &why);
}

/* This host is not usable: RFC 5321 §5.1 wants the next one tried. */
static void host_failed(struct smtp_client *c, struct outcome why)
{
    note_failure(c, why);
    if (c->stream && why.reply_code && why.reply_code != 421)
        stream_write(c->stream, SLICE("QUIT\r\n")); /* §3.1: also after a 554 greeting */
    drop_stream(c, why.reply_code != 0);
    try_next_host(c);
}

/* A second host would refuse the same name and password, and count it as another attempt to guess them. */
static void sign_in_failed(struct smtp_client *c, struct outcome why)
{
    make_transient(&why);
    note_failure(c, why);
    stream_write(c->stream, SLICE("QUIT\r\n"));
    drop_stream(c, true);
    give_up(c);
}

static void connect_to_host(struct smtp_client *c);

static slice describe(struct smtp_client *c, const char *what, const char *detail)
{
    bool has_detail = detail && detail[0];
    return arena_format(&c->base.memory, "%s" SLICE_FMT "%s%s", what, SLICE_ARG(text_slice(&c->remote_name)),
                        has_detail ? ": " : "", has_detail ? detail : "");
}

static bool may_go_plain(const struct smtp_client *c)
{
    const struct destination *to = &c->base.destination;
    return to->tls == DESTINATION_TLS_NONE || (to->tls == DESTINATION_TLS_OPPORTUNISTIC && to->username.len == 0);
}

static void tls_failed(struct smtp_client *c, const char *detail)
{
    struct outcome why = verdict_delayed(STAGE_TLS, 7, 5, describe(c, "no TLS with ", detail));
    if (!may_go_plain(c)) {
        host_failed(c, why);
        return;
    }
    deliverer_note_tls_failure(c->base.deliverer, c->host.name);
    note_failure(c, why);
    drop_stream(c, false);
    connect_to_host(c);
}

void smtp_lost(struct smtp_client *c, struct outcome why)
{
    if (c->step == STEP_HANDSHAKE || c->step == STEP_STARTTLS) {
        struct text detail = { 0 };
        text_add(&detail, why.text);
        tls_failed(c, text_cstr(&detail));
        text_free(&detail);
        return;
    }
    if (c->step < STEP_IDLE) {
        host_failed(c, why);
        return;
    }
    why = smtp_outcome(c, why);
    smtp_give_back(c, &why);
    drop_stream(c, why.reply_code != 0 || c->step == STEP_IDLE || c->step == STEP_QUIT);
    connection_end(&c->base, NULL);
}

void smtp_quit(struct smtp_client *c)
{
    connection_report_closed(&c->base, NULL);
    stream_write(c->stream, SLICE("QUIT\r\n"));
    smtp_enter(c, STEP_QUIT);
}

static void on_quit(struct smtp_client *c)
{
    drop_stream(c, true);
    connection_end(&c->base, NULL);
}

void smtp_idle(struct smtp_client *c)
{
    if (c->base.deliverer->is_stopping || c->base.deliverer->idle_ms == 0)
        smtp_quit(c);
    else
        smtp_enter(c, STEP_IDLE);
}

static void on_timeout(void *context)
{
    struct smtp_client *c = context;
    if (c->step == STEP_IDLE) {
        smtp_quit(c);
    } else if (c->step == STEP_QUIT) {
        on_quit(c);
    } else {
        struct text words = { 0 };
        text_add_duration_words(&words, step_time_ms(c, c->step));
        slice text = arena_format(&c->base.memory, "%s%s %s " SLICE_FMT " within " SLICE_FMT,
                                  is_sending(c) ? "no progress in sending the message" : "no sign of ",
                                  is_sending(c) ? "" : rules[c->step].waits_for, is_sending(c) ? "to" : "from",
                                  SLICE_ARG(text_slice(&c->remote_name)), SLICE_ARG(text_slice(&words)));
        text_free(&words);
        smtp_lost(c, verdict_delayed(rules[c->step].stage, 4, 2, text));
    }
}

/* --- streams --- */

static void on_bytes(void *context, slice bytes)
{
    struct smtp_client *c = context;
    struct stream *stream = c->stream;
    while (bytes.len > 0 && c->stream == stream) {
        const struct step_rule *rule = &rules[c->step];
        if (!rule->on_reply) { /* idle: 421 or nonsense, either way the connection is of no use any more */
            if (c->step == STEP_IDLE)
                smtp_lost(c, verdict_delayed(STAGE_NONE, 4, 2, (slice){ 0 }));
            return; /* what stands behind the reply to STARTTLS is thrown away: RFC 3207 §4.2 */
        }
        switch (reply_reader_feed(&c->reader, &bytes)) {
        case REPLY_MORE:
            return;
        case REPLY_BAD:
            smtp_lost(c, verdict_delayed(rule->stage, 5, 0,
                                         arena_format(&c->base.memory, "%s of " SLICE_FMT " is not SMTP",
                                                      rule->waits_for, SLICE_ARG(text_slice(&c->remote_name)))));
            return;
        case REPLY_DONE:
            rule->on_reply(c);
            reply_reader_clear(&c->reader);
            break;
        }
    }
}

static void on_end(void *context, enum io_result why)
{
    struct smtp_client *c = context;
    const char *detail = stream_error_text(c->stream);
    if (!detail || !detail[0])
        detail = why == IO_END ? "the server closed it" : io_result_text(why);
    slice text = arena_format(&c->base.memory, "the connection was lost while %s%s: %s",
                              is_sending(c) ? "sending the message" : "waiting for ",
                              is_sending(c) ? "" : rules[c->step].waits_for, detail);
    smtp_lost(c, verdict_delayed(rules[c->step].stage, 4, 2, text));
}

static void send_hello(struct smtp_client *c, enum smtp_step step)
{
    const char *verb = smtp_is_lmtp(c) ? "LHLO" : step == STEP_EHLO ? "EHLO" : "HELO";
    struct text *out = &c->base.deliverer->scratch;
    text_clear(out);
    text_add_cstr(out, verb);
    text_add_byte(out, ' ');
    text_add(out, text_slice(&c->base.deliverer->hostname));
    text_add_cstr(out, "\r\n");
    smtp_send(c, out);
    smtp_enter(c, step);
}

static void on_secured(void *context, enum io_result why)
{
    struct smtp_client *c = context;
    if (c->step != STEP_HANDSHAKE)
        return;
    if (why != IO_OK) {
        const char *detail = stream_error_text(c->stream);
        tls_failed(c, detail && detail[0] ? detail : io_result_text(why));
        return;
    }
    c->is_secured = true;
    struct tls_info info;
    text_clear(&c->tls);
    if (tls_get_info(c->stream, &info))
        text_add_format(&c->tls, "%s %s", info.version, info.cipher);
    if (c->base.destination.tls == DESTINATION_TLS_IMPLICIT)
        smtp_enter(c, STEP_GREETING);
    else
        send_hello(c, STEP_EHLO); /* RFC 3207 §4.2: what the server said before counts no more */
}

static void on_drained(void *context) { smtp_content_drained(context); }

static const struct stream_events stream_events = {
    .on_bytes = on_bytes, .on_end = on_end, .on_secured = on_secured, .on_drained = on_drained
};

static void secure(struct smtp_client *c)
{
    smtp_enter(c, STEP_HANDSHAKE);
    stream_secure(c->stream, tls_filter_new(c->tls_context, c->host.name));
}

static void on_connected(void *context, struct stream *stream, enum io_result result)
{
    struct smtp_client *c = context;
    c->connecting = NULL;
    if (!stream) {
        host_failed(c, verdict_delayed(STAGE_CONNECT, 4, 1, describe(c, "cannot connect to ", io_result_text(result))));
        return;
    }
    c->stream = stream;
    stream_start(stream, &stream_events, c);
    if (c->base.destination.tls == DESTINATION_TLS_IMPLICIT)
        secure(c);
    else
        smtp_enter(c, STEP_GREETING);
}

static void connect_to_host(struct smtp_client *c)
{
    struct deliverer *d = c->base.deliverer;
    struct connect_params params = { .unix_path = c->host.unix_path, .timeout_ms = d->connect_timeout_ms };
    text_clear(&c->remote_name);
    text_add(&c->remote_name, c->host.name);
    text_clear(&c->remote_address);
    text_clear(&c->tls);
    if (!c->host.unix_path) {
        bool is_v6 = address_is_v6(&c->host.address);
        params.peer = c->host.address;
        if (is_v6 ? d->has_source_v6 : d->has_source_v4)
            params.source = is_v6 ? &d->source_v6 : &d->source_v4;
        text_add_address_with_port(&c->remote_address, &c->host.address);
    }
    c->speaks_plain = may_go_plain(c) && deliverer_has_tls_failure(d, c->host.name);
    c->is_secured = false;
    c->offer = (struct ehlo){ 0 };
    c->mechanism = NULL;
    c->sasl_rounds = 0;
    smtp_enter(c, STEP_CONNECT);
    c->connecting = stream_connect(smtp_loop(c), &params, on_connected, c);
}

static void try_next_host(struct smtp_client *c)
{
    c->step = STEP_NONE;
    if (c->base.deliverer->is_stopping) {
        connection_end(&c->base, NULL);
        return;
    }
    if (c->tls_error.len > 0) {
        note_failure(c, verdict_delayed(STAGE_TLS, 3, 5, c->tls_error));
        give_up(c);
        return;
    }
    switch (host_walk_next(&c->walk, &c->host)) {
    case WALK_HOST:
        connect_to_host(c);
        break;
    case WALK_WAIT:
        break;
    case WALK_END:
        give_up(c);
        break;
    }
}

static void on_walk_ready(void *context) { try_next_host(context); }

/* --- the dialogue up to the first message --- */

static bool reply_is_good(struct smtp_client *c)
{
    if (reply_is_positive(c->reader.code))
        return true;
    host_failed(c, verdict_from_reply(rules[c->step].stage, &c->reader));
    return false;
}

static void on_greeting(struct smtp_client *c)
{
    if (reply_is_good(c))
        send_hello(c, STEP_EHLO);
}

static void ready(struct smtp_client *c)
{
    c->base.was_usable = true;
    c->taken = c->carried = 0;
    c->needs_rset = c->is_slow_to_take = false;
    smtp_next_message(c);
}

/* AUTH mechanism [initial-response] (RFC 4954 §4). Where the mechanism has no response to begin with, or one that
 * would make the line too long, it waits for the server's first challenge. */
static void send_auth(struct smtp_client *c)
{
    const struct destination *to = &c->base.destination;
    struct text response = { 0 }, *out = &c->base.deliverer->scratch;
    c->sasl = (struct sasl_client){ .mechanism = c->mechanism, .name = to->username, .password = to->password };
    text_clear(out);
    text_add_format(out, "AUTH " SLICE_FMT, SLICE_ARG(c->mechanism->name));
    size_t command_octets = out->len;
    if (sasl_client_step(&c->sasl, (slice){ 0 }, &response) && response.len > 0) {
        text_add_byte(out, ' ');
        base64_encode(out, text_slice(&response));
    }
    if (out->len > AUTH_LINE_MAX) {
        out->len = command_octets;
        c->sasl.step = 0;
    }
    text_add_cstr(out, "\r\n");
    smtp_send(c, out);
    memory_wipe(out->ptr, out->capacity);
    if (response.ptr)
        memory_wipe(response.ptr, response.capacity);
    text_free(&response);
    smtp_enter(c, STEP_AUTH);
}

static void answer_challenge(struct smtp_client *c)
{
    struct text challenge = { 0 }, response = { 0 }, *out = &c->base.deliverer->scratch;
    text_clear(out);
    bool is_clear = ++c->sasl_rounds <= SASL_ROUNDS_MAX && base64_decode(&challenge, text_slice(&c->reader.text)) &&
                    sasl_client_step(&c->sasl, text_slice(&challenge), &response);
    if (is_clear)
        base64_encode(out, text_slice(&response));
    else
        text_add_byte(out, '*'); /* RFC 4954 §4: the client cancels, the server answers 501 */
    text_add_cstr(out, "\r\n");
    smtp_send(c, out);
    memory_wipe(out->ptr, out->capacity);
    if (response.ptr)
        memory_wipe(response.ptr, response.capacity);
    text_free(&response);
    text_free(&challenge);
    smtp_enter(c, STEP_AUTH);
}

static void on_auth(struct smtp_client *c)
{
    if (c->reader.code == 334 && c->sasl_rounds <= SASL_ROUNDS_MAX)
        answer_challenge(c);
    else if (reply_is_positive(c->reader.code))
        ready(c);
    else
        sign_in_failed(c, verdict_from_reply(STAGE_AUTH, &c->reader));
}

static void on_starttls(struct smtp_client *c)
{
    if (reply_is_positive(c->reader.code)) {
        secure(c);
    } else if (may_go_plain(c) && c->reader.code != 421) {
        /* 454 leaves the session as it was (RFC 3207 §4): no need for another connection */
        ready(c);
    } else {
        host_failed(c, verdict_from_reply(STAGE_STARTTLS, &c->reader));
    }
}

static void send_starttls(struct smtp_client *c)
{
    stream_write(c->stream, SLICE("STARTTLS\r\n"));
    smtp_enter(c, STEP_STARTTLS);
}

/* The server's extensions are known: what is still to be done before mail can go? */
static void after_hello(struct smtp_client *c)
{
    const struct destination *to = &c->base.destination;
    bool wants_tls = to->tls != DESTINATION_TLS_NONE && !c->is_secured && !c->speaks_plain;
    if (wants_tls && smtp_has(c, EXTENSION_STARTTLS))
        send_starttls(c);
    else if (!c->is_secured && to->tls != DESTINATION_TLS_NONE && !may_go_plain(c))
        host_failed(c, verdict_delayed(STAGE_STARTTLS, 7, 4,
                                       describe(c, "this route needs TLS, but STARTTLS is not offered by ", NULL)));
    else if (to->username.len == 0)
        ready(c);
    else if (!c->is_secured)
        host_failed(
            c, verdict_delayed(STAGE_AUTH, 7, 11,
                               SLICE("the password is not sent without TLS: this route signs in, but its TLS is off")));
    else if (!c->mechanism)
        sign_in_failed(c, verdict_delayed(STAGE_AUTH, 7, 0,
                                          describe(c, "no way to sign in (PLAIN or LOGIN) is offered by ", NULL)));
    else
        send_auth(c);
}

static void on_ehlo(struct smtp_client *c)
{
    /* RFC 5321 §3.2: a server that does not know EHLO */
    if (c->step == STEP_EHLO && reply_is_permanent(c->reader.code) && !smtp_is_lmtp(c)) {
        send_hello(c, STEP_HELO);
        return;
    }
    if (!reply_is_good(c))
        return;
    c->offer = (struct ehlo){ 0 };
    c->mechanism = NULL;
    if (c->step == STEP_EHLO) {
        ehlo_parse(text_slice(&c->reader.text), &c->offer);
        c->mechanism = sasl_client_choose(c->offer.auth);
    }
    c->offer.auth = c->offer.name = (slice){ 0 }; /* they live in the reader */
    after_hello(c);
}

/* --- the kind --- */

static void run(struct connection *base)
{
    struct smtp_client *c = smtp_client_of(base);
    if (c->step == STEP_IDLE)
        smtp_next_message(c);
    else if (c->step == STEP_CONTENT && c->current->content_is_sent)
        smtp_take_ahead(c);
    else if (c->step == STEP_NONE)
        try_next_host(c);
}

static void stop(struct connection *base)
{
    struct smtp_client *c = smtp_client_of(base);
    if (c->step < STEP_IDLE)
        base->kind->abort(base);
    else if (c->step == STEP_IDLE)
        smtp_quit(c);
}

static void abort_connection(struct connection *base)
{
    struct smtp_client *c = smtp_client_of(base);
    struct outcome why =
        verdict_delayed(smtp_stage(c->step), 3, 2, SLICE("this server was stopped during the attempt"));
    why = smtp_outcome(c, why);
    host_walk_cancel(&c->walk);
    if (c->connecting)
        stream_connect_cancel(c->connecting);
    c->connecting = NULL;
    smtp_give_back(c, &why);
    drop_stream(c, false);
    c->step = STEP_NONE;
    connection_end(base, NULL);
}

static void smtp_free(struct connection *base)
{
    struct smtp_client *c = smtp_client_of(base);
    assert(!c->stream && !c->connecting && !timer_is_set(&c->timer));
    if (c->tls_context)
        tls_context_release(c->tls_context);
    reply_reader_free(&c->reader);
    text_free(&c->remote_name);
    text_free(&c->remote_address);
    text_free(&c->tls);
    arena_free(&base->memory);
    memory_free(c);
}

static const struct connection_kind smtp_kind = {
    .run = run, .stop = stop, .abort = abort_connection, .free = smtp_free
};

struct connection *smtp_connection_new(struct deliverer *d, const struct destination *to, void *handle)
{
    struct smtp_client *c = MEMORY_NEW(struct smtp_client);
    connection_init(&c->base, &smtp_kind, d, to, handle);
    host_walk_start(&c->walk, &c->base, on_walk_ready, c);
    bool verify = to->tls == DESTINATION_TLS_VERIFIED || to->tls == DESTINATION_TLS_IMPLICIT;
    struct text error = { 0 };
    struct tls_context *context =
        to->tls == DESTINATION_TLS_NONE ? NULL : deliverer_tls_context(d, verify, to->ca_pem, &error);
    if (context)
        c->tls_context = tls_context_hold(context);
    else if (to->tls != DESTINATION_TLS_NONE)
        c->tls_error = arena_copy(&c->base.memory, text_slice(&error));
    text_free(&error);
    return &c->base;
}
