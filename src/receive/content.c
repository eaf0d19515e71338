#include "receive/content.h"
#include "message/date.h"
#include "message/received.h"
#include "receive/trace.h"

/* RFC 5321 §4.5.3.1.6 allows 998 octets, and programs that write a paragraph or a base64 body as one line break it
 * every day; refusing them would return honest mail. A line that no reader can mean is where we stop. */
enum { CONTENT_LINE_MAX = 64 * 1024 };

static enum reply_name reply_for_spool(enum spool_result result)
{
    return result == SPOOL_OK ? REPLY_OK : result == SPOOL_FULL ? REPLY_SPOOL_FULL : REPLY_SPOOL_BROKEN;
}

/* REPLY_OK while nothing speaks against the content seen so far. Made from counts that only grow, in a fixed order, so
 * that it does not matter in what pieces the octets came. */
static enum reply_name verdict(const struct session *s)
{
    const struct transaction *tx = s->transaction;
    const struct config_limits *limits = &s->settings->config->limits;
    if (tx->dot.flags & (DOT_BARE_CR | DOT_BARE_LF))
        return REPLY_CONTENT_BARE_LINE_END;
    if (tx->dot.flags & DOT_NUL)
        return REPLY_CONTENT_NUL;
    if (tx->dot.longest_line > CONTENT_LINE_MAX || tx->dot.line_octets > CONTENT_LINE_MAX)
        return REPLY_CONTENT_LONG_LINE;
    if (tx->dot.octets > limits->max_message_size)
        return REPLY_CONTENT_TOO_BIG;
    if (tx->header.octets > limits->max_header_size)
        return REPLY_HEADER_TOO_BIG;
    if (tx->header.received_count > limits->max_received)
        return REPLY_CONTENT_LOOPS;
    if (tx->spool_result != SPOOL_OK)
        return reply_for_spool(tx->spool_result);
    return tx->dropped_for; /* a header section can turn out shorter than it seemed */
}

/* Nothing more is kept of it. */
static void drop(struct transaction *tx, enum reply_name reply)
{
    spool_abandon(tx->draft);
    tx->draft = NULL;
    tx->dropped_for = reply;
    text_free(&tx->held_back);
}

static void store(struct transaction *tx, slice octets)
{
    if (tx->spool_result == SPOOL_OK && octets.len > 0)
        tx->spool_result = spool_append(tx->draft, octets);
}

static void add_received(struct text *out, const struct session *s, slice id)
{
    const struct transaction *tx = s->transaction;
    struct text address = { 0 };
    slice client = { 0 };
    if (s->peer.any.sa_family != AF_UNIX) {
        text_add_address_literal(&address, &s->peer); /* "[...]": the brackets are Received:'s own */
        client = slice_from(address.ptr + 1, address.len - 2);
    }
    struct received received = {
        .helo = text_slice(&s->helo),
        .client_address = client,
        .hostname = s->settings->config->hostname,
        .is_esmtp = s->is_extended,
        .is_tls = s->tls_is_on,
        .is_authenticated = s->account.len > 0,
        .tls = text_slice(&s->tls),
        .id = id,
        .now_ms = loop_wall_ms(s->receiver->doors.loop),
    };
    if (tx->rcpt_count == 1) /* with more it would tell of blind copies (RFC 5321 §7.2) */
        received.recipient = tx->envelope.recipients[0].original;
    text_add_received(out, &received);
    text_free(&address);
}

/* RFC 6409 §8.2, §8.3: a submission server gives a message the date and the name that its program forgot. */
static void add_missing_fields(struct text *out, const struct session *s, slice id)
{
    const struct transaction *tx = s->transaction;
    if (!(tx->header.has & HEADER_HAS_DATE)) {
        text_add_cstr(out, "Date: ");
        text_add_date(out, loop_wall_ms(s->receiver->doors.loop));
        text_add_cstr(out, "\r\n");
    }
    if (!(tx->header.has & HEADER_HAS_MESSAGE_ID)) {
        text_add_cstr(out, "Message-ID: <");
        text_add(out, id);
        text_add_byte(out, '@');
        text_add(out, s->settings->config->hostname);
        text_add_cstr(out, ">\r\n");
    }
}

/* The header section is known to its end: ours goes in front, then `content`, which begins with the client's. */
static void store_header(struct session *s, slice content)
{
    struct transaction *tx = s->transaction;
    slice section = slice_head(content, tx->header.octets), body = slice_tail(content, tx->header.octets);
    struct text id = { 0 }, *front = &s->receiver->scratch;
    text_add_message_id(&id, spool_draft_id(tx->draft));
    add_received(front, s, text_slice(&id));
    if (s->listener->role->mends_messages)
        add_missing_fields(front, s, text_slice(&id));
    text_free(&id);

    tx->header_octets = (uint32_t)(front->len + section.len);
    tx->header_is_stored = true;
    store(tx, text_slice(front));
    text_clear(front);
    if (tx->header.has_empty_line || body.len == 0) {
        store(tx, content);
        return;
    }
    /* A line that is no field ended the section: without an empty line it would be read as a broken field of ours. */
    store(tx, section);
    store(tx, SLICE("\r\n"));
    store(tx, body);
    tx->header_octets += 2;
}

/* Begun header sections wait in memory, at most max_header_size; most come whole in one piece and are never copied. */
static void take_run(struct session *s, slice run)
{
    struct transaction *tx = s->transaction;
    if (tx->header_is_stored) {
        if (tx->draft)
            store(tx, run);
        return;
    }
    header_scan_feed(&tx->header, run);
    if (!tx->draft)
        return;
    if (!tx->header.has_ended || tx->held_back.len > 0)
        text_add(&tx->held_back, run);
    if (!tx->header.has_ended)
        return;
    if (verdict(s) == REPLY_OK)
        store_header(s, tx->held_back.len > 0 ? text_slice(&tx->held_back) : run);
    text_free(&tx->held_back);
}

static void on_committed(void *context, enum spool_result result, struct spool_message *message)
{
    struct session *s = context;
    if (result == SPOOL_OK) {
        s->messages++;
        s->errors = s->delays = s->idle_commands = 0;
        s->session_deadline_ms = loop_now_ms(s->receiver->doors.loop) + s->settings->config->limits.session_timeout;
        trace_message_received(s, message);
        struct text *out = &s->receiver->scratch;
        text_add_cstr(out, "250 2.0.0 ok, queued as ");
        text_add_message_id(out, message->id);
        text_add_cstr(out, "\r\n");
        session_write(s, text_slice(out));
        text_clear(out);
        s->receiver->doors.accepted(s->receiver->doors.schedule, message);
    } else {
        trace_message_refused(s, reply_for_spool(result));
        session_reply(s, reply_for_spool(result));
    }
    session_end_transaction(s);
    session_continue(s);
}

static void commit(struct session *s)
{
    struct transaction *tx = s->transaction;
    struct spool_draft *draft = tx->draft;
    tx->envelope.account = text_slice(&s->account);
    tx->envelope.helo = text_slice(&s->helo);
    tx->envelope.listener = text_slice(&s->listener->name);
    tx->envelope.arrived_ms = loop_wall_ms(s->receiver->doors.loop);
    struct text address = { 0 };
    if (s->peer.any.sa_family != AF_UNIX)
        text_add_address(&address, &s->peer);
    tx->envelope.client_address = text_slice(&address);
    tx->draft = NULL;
    session_set_wait(s, WAIT_COMMIT);
    spool_commit(draft, &tx->envelope, tx->header_octets, on_committed, s);
    text_free(&address);
}

static void finish(struct session *s)
{
    struct transaction *tx = s->transaction;
    s->input = INPUT_COMMANDS;
    if (!tx->header_is_stored) {
        header_scan_end(&tx->header);
        if (tx->draft && verdict(s) == REPLY_OK)
            store_header(s, text_slice(&tx->held_back));
    }
    enum reply_name reply = verdict(s);
    if (reply == REPLY_OK) {
        commit(s);
        return;
    }
    trace_message_refused(s, reply);
    session_end_transaction(s);
    session_reply(s, reply);
}

void content_begin(struct session *s)
{
    s->transaction->draft = spool_begin(s->receiver->doors.spool);
    s->input = INPUT_CONTENT;
}

void content_take(struct session *s, slice *input)
{
    struct transaction *tx = s->transaction;
    slice run;
    while (dot_reader_next(&tx->dot, input, &run))
        take_run(s, run);
    if (tx->dot.has_ended)
        finish(s);
    else if (tx->draft && verdict(s) != REPLY_OK)
        drop(tx, verdict(s));
}
