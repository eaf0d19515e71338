#include "receive/session.h"
#include "base/memory.h"
#include "receive/content.h"
#include "receive/sign_in.h"
#include "receive/trace.h"
#include "receive/verbs.h"

enum { TLS_HANDSHAKE_MS = 60 * 1000, LINE_FEED_ALONE_MS = 1000, DELAYS_TOLD_MAX = 100 };

static void take_command(struct session *s, slice *input);
static void take_response(struct session *s, slice *input);
static void take_content(struct session *s, slice *input);

/* What the next octets are, and how each kind is taken off the input; one that takes nothing waits for more. */
static void (*const takers[])(struct session *, slice *input) = {
    [INPUT_COMMANDS] = take_command,
    [INPUT_CONTENT] = take_content,
    [INPUT_AUTH] = take_response,
};

static uint64_t now_ms(const struct session *s) { return loop_now_ms(s->receiver->doors.loop); }
static const struct config_limits *limits(const struct session *s) { return &s->settings->config->limits; }

/* --- the clock ------------------------------------------------------------------------------------------------ */

static void on_time(void *context);

static uint64_t due_ms(const struct session *s)
{
    return s->deadline_ms < s->session_deadline_ms ? s->deadline_ms : s->session_deadline_ms;
}

static void set_timer(struct session *s)
{
    uint64_t now = now_ms(s);
    s->timer_due_ms = due_ms(s);
    timer_set(s->receiver->doors.loop, &s->timer, s->timer_due_ms > now ? s->timer_due_ms - now : 0, on_time, s);
}

/* Deadlines mostly move away: then the timer stays where it is and looks again when it runs. */
void session_set_deadline(struct session *s, uint64_t after_ms)
{
    s->deadline_ms = now_ms(s) + after_ms;
    if (!timer_is_set(&s->timer) || due_ms(s) < s->timer_due_ms)
        set_timer(s);
}

static bool ends_with_line_feed(const struct session *s)
{
    return s->kept.len > 0 && s->kept.ptr[s->kept.len - 1] == '\n';
}

/* The wait is ours to end, not the client's. */
static void wait_longer(struct session *s)
{
    uint64_t later = now_ms(s) + limits(s)->command_timeout;
    if (s->session_deadline_ms < later)
        s->session_deadline_ms = later;
    session_set_deadline(s, limits(s)->command_timeout);
}

static void on_time(void *context)
{
    struct session *s = context;
    if (now_ms(s) < due_ms(s))
        set_timer(s);
    else if (s->wait == WAIT_COMMIT || s->wait == WAIT_PASSWORD)
        wait_longer(s);
    else if (s->wait == WAIT_TLS)
        session_end(s, "the TLS handshake took too long");
    else if (s->wait == WAIT_DRAIN)
        session_end(s, "the client does not read our replies");
    else if (s->input != INPUT_CONTENT && ends_with_line_feed(s))
        session_end_with(s, REPLY_LINE_FEED_ALONE, "a line ended with LF alone");
    else
        session_end_with(s, REPLY_TIMED_OUT, "timeout");
    session_settle(s);
}

/* --- octets in ------------------------------------------------------------------------------------------------ */

/* The next line, without its CRLF. A CR or LF alone ends no line (RFC 5321 §2.3.8): the line that holds it is refused
 * as a whole, so that nothing can hide behind it. */
static bool next_line(struct session *s, slice *input, slice *line)
{
    for (size_t from = 0; from < input->len;) {
        size_t at = slice_find_byte(slice_tail(*input, from), '\n');
        if (at == SLICE_NOT_FOUND)
            break;
        from += at + 1;
        if (from < 2 || input->ptr[from - 2] != '\r')
            continue;
        *line = slice_head(*input, from - 2);
        *input = slice_tail(*input, from);
        return true;
    }
    if (input->len >= LINE_MAX_OCTETS) { /* too long whatever follows: only its end is of interest */
        s->line_is_too_long = true;
        *input = slice_tail(*input, input->len - (input->ptr[input->len - 1] == '\r'));
    }
    return false;
}

static void take_command(struct session *s, slice *input)
{
    slice line;
    if (!next_line(s, input, &line))
        return;
    session_set_deadline(s, limits(s)->command_timeout);
    if (s->line_is_too_long) {
        s->line_is_too_long = false;
        s->verb = (slice){ 0 };
        session_reply(s, REPLY_LINE_TOO_LONG);
    } else {
        verbs_run(s, line);
    }
}

static void take_response(struct session *s, slice *input)
{
    slice line;
    if (!next_line(s, input, &line))
        return;
    session_set_deadline(s, limits(s)->command_timeout);
    bool is_too_long = s->line_is_too_long || line.len + 2 > LINE_MAX_OCTETS;
    s->line_is_too_long = false;
    sign_in_take_response(s, line, is_too_long);
}

static void take_content(struct session *s, slice *input)
{
    session_set_deadline(s, limits(s)->data_timeout);
    content_take(s, input);
}

static void feed(struct session *s, slice *input)
{
    while (s->stream && s->wait == WAIT_NOTHING && input->len > 0) {
        size_t before = input->len;
        takers[s->input](s, input);
        if (s->wait == WAIT_TLS) /* not protected, so not said (RFC 3207 §4.2, CVE-2011-0411) */
            *input = slice_tail(*input, input->len);
        if (input->len == before)
            return;
        if (s->stream && s->wait == WAIT_NOTHING && stream_pending(s->stream) >= REPLIES_UNREAD_MAX)
            session_set_wait(s, WAIT_DRAIN);
    }
}

static void keep(struct session *s, slice octets)
{
    if (!s->stream || octets.len == 0)
        return;
    text_add(&s->kept, octets);
    if (s->kept.len > KEPT_MAX_OCTETS && !s->reading_is_paused) {
        s->reading_is_paused = true;
        stream_pause(s->stream);
    }
    /* Somebody types at us through a tool that sends LF: an answer now is kinder than silence until the time limit. */
    if (s->wait == WAIT_NOTHING && s->input != INPUT_CONTENT && ends_with_line_feed(s))
        session_set_deadline(s, LINE_FEED_ALONE_MS);
}

static void feed_kept(struct session *s)
{
    struct text kept = s->kept;
    s->kept = (struct text){ 0 };
    slice input = text_slice(&kept);
    feed(s, &input);
    if (s->stream && input.len > 0) {
        text_remove_head(&kept, kept.len - input.len);
        s->kept = kept;
    } else {
        text_free(&kept);
    }
    if (s->stream && s->reading_is_paused && s->kept.len <= KEPT_MAX_OCTETS) {
        s->reading_is_paused = false;
        stream_resume(s->stream);
    }
}

static void on_bytes(void *context, slice bytes)
{
    struct session *s = context;
    bool feeds_kept = s->wait == WAIT_NOTHING && s->kept.len > 0;
    if (s->wait == WAIT_NOTHING && !feeds_kept)
        feed(s, &bytes);
    keep(s, bytes);
    if (feeds_kept)
        feed_kept(s);
    session_settle(s);
}

void session_set_wait(struct session *s, enum session_wait wait)
{
    s->wait = wait;
    session_set_deadline(s, wait == WAIT_TLS ? TLS_HANDSHAKE_MS : limits(s)->command_timeout);
}

void session_continue(struct session *s)
{
    s->wait = WAIT_NOTHING;
    if (s->stream) {
        session_set_deadline(s, limits(s)->command_timeout);
        feed_kept(s);
    }
    session_settle(s);
}

static const char client_closed[] = "the client closed the connection";

static void on_drained(void *context)
{
    struct session *s = context;
    if (s->wait == WAIT_DRAIN)
        session_continue(s);
}

static void on_end(void *context, enum io_result why)
{
    struct session *s = context;
    const char *details = stream_error_text(s->stream);
    if (why == IO_END && (s->wait == WAIT_COMMIT || s->wait == WAIT_PASSWORD))
        s->client_has_ended = true; /* perhaps its sending side only: it still hears the reply */
    else
        session_end(s, *details ? details : why == IO_END ? client_closed : io_result_text(why));
    session_settle(s);
}

/* --- TLS ------------------------------------------------------------------------------------------------------ */

static void greet(struct session *s)
{
    struct text *out = &s->receiver->scratch;
    text_add_cstr(out, "220 ");
    text_add(out, s->settings->config->hostname);
    text_add_cstr(out, " ESMTP Postrider\r\n");
    session_write(s, text_slice(out));
    text_clear(out);
}

static void on_secured(void *context, enum io_result why)
{
    struct session *s = context;
    struct tls_info info;
    if (why == IO_OK && tls_get_info(s->stream, &info)) {
        s->tls_is_on = true;
        text_add_cstr(&s->tls, info.version);
        text_add_byte(&s->tls, ' ');
        text_add_cstr(&s->tls, info.cipher);
        if (s->listener->role->tls_at_once)
            greet(s);
        session_continue(s);
        return;
    }
    const char *details = stream_error_text(s->stream);
    session_end(s, *details ? details : "the TLS handshake failed");
    session_settle(s);
}

void session_start_tls(struct session *s)
{
    text_free(&s->kept);
    session_set_wait(s, WAIT_TLS);
    stream_secure(s->stream, tls_filter_new(s->settings->tls, (slice){ 0 }));
}

/* --- octets out ----------------------------------------------------------------------------------------------- */

void session_write(struct session *s, slice octets)
{
    if (s->stream)
        stream_write(s->stream, octets);
}

static void write_reply(struct session *s, enum reply_name name)
{
    struct text *out = &s->receiver->scratch;
    text_add_reply(out, &replies[name]);
    session_write(s, text_slice(out));
    text_clear(out);
}

void session_reply(struct session *s, enum reply_name name)
{
    if (!s->stream)
        return;
    write_reply(s, name);
    unsigned code = replies[name].code;
    if (code < 400)
        return;
    /* 4xx tells of our own state (disk, recipients of one transaction): no fault of the client, so nothing ends its
     * repeating; it must not fill the event log either. */
    if (code >= 500 || ++s->delays <= DELAYS_TOLD_MAX)
        trace_command_refused(s, name);
    if (code >= 500 && ++s->errors >= limits(s)->max_errors)
        session_end_with(s, REPLY_TOO_MANY_ERRORS, "too many errors");
}

/* --- life ----------------------------------------------------------------------------------------------------- */

static const struct stream_events events = {
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_secured = on_secured,
    .on_drained = on_drained,
};

static struct session *session_new(struct receive_listener *listener, struct stream *stream, struct client *client)
{
    struct receiver *r = listener->receiver;
    struct session *s = MEMORY_NEW(struct session);
    s->receiver = r;
    s->listener = listener;
    s->settings = settings_hold(r->settings);
    s->stream = stream;
    s->client = client;
    s->peer = *stream_peer(stream);
    s->id = r->next_session_id++;
    s->started_ms = now_ms(s);
    s->session_deadline_ms = s->started_ms + limits(s)->session_timeout;
    list_append(&r->sessions, &s->listed);
    r->session_count++;
    return s;
}

static void turn_away(struct receive_listener *listener, struct stream *stream, enum reply_name name)
{
    struct text *out = &listener->receiver->scratch;
    trace_session_refused(listener, stream_peer(stream), name);
    if (!listener->role->tls_at_once) { /* a reply in clear would not be understood there */
        text_add_reply(out, &replies[name]);
        stream_write(stream, text_slice(out));
        text_clear(out);
    }
    stream_close(stream);
}

void session_accept(struct receive_listener *listener, struct stream *stream, slice account)
{
    struct client *client = NULL;
    enum reply_name refusal;
    if (!receiver_admit(listener->receiver, stream_peer(stream), &client, &refusal)) {
        turn_away(listener, stream, refusal);
        return;
    }
    struct session *s = session_new(listener, stream, client);
    text_add(&s->account, account);
    trace_session_started(s);
    session_set_deadline(s, limits(s)->command_timeout);
    stream_start(stream, &events, s);
    if (!listener->role->tls_at_once)
        greet(s);
    else if (s->settings->tls)
        session_start_tls(s);
    else
        session_end(s, "there is no certificate for TLS");
    session_settle(s);
}

void session_end_transaction(struct session *s)
{
    if (s->state > STATE_READY)
        s->state = STATE_READY;
    if (!s->transaction)
        return;
    transaction_end(s->receiver, s->transaction);
    s->transaction = NULL;
}

void session_refresh_settings(struct session *s)
{
    if (s->transaction || s->settings == s->receiver->settings)
        return;
    settings_release(s->settings);
    s->settings = settings_hold(s->receiver->settings);
}

bool session_may_relay(const struct session *s)
{
    return s->account.len > 0 || settings_may_relay(s->settings, &s->peer);
}

void session_end(struct session *s, const char *reason)
{
    if (!s->stream)
        return;
    trace_session_ended(s, reason);
    sign_in_end(s);
    timer_clear(s->receiver->doors.loop, &s->timer);
    if (s->wait == WAIT_DRAIN)
        stream_abort(s->stream);
    else
        stream_close(s->stream);
    s->stream = NULL;
    s->receiver->session_count--;
    receiver_forget(s->receiver, s->client);
    s->client = NULL;
    if (s->wait != WAIT_COMMIT)
        session_end_transaction(s);
}

void session_end_with(struct session *s, enum reply_name name, const char *reason)
{
    if (!s->stream)
        return;
    if (replies[name].code >= 400)
        trace_command_refused(s, name);
    write_reply(s, name);
    session_end(s, reason);
}

void session_stop(struct session *s, bool now)
{
    bool is_idle = !s->transaction && !s->sign_in && s->wait == WAIT_NOTHING;
    if (s->wait == WAIT_TLS)
        session_end(s, "the server is stopping");
    else if (is_idle || now)
        session_end_with(s, REPLY_STOPPING, "the server is stopping");
}

void session_settle(struct session *s)
{
    if (s->stream && s->client_has_ended && s->wait == WAIT_NOTHING)
        session_end(s, client_closed);
    if (s->stream && s->receiver->is_stopping)
        session_stop(s, false);
    if (s->stream || s->wait == WAIT_COMMIT)
        return;
    struct receiver *r = s->receiver;
    session_free(s);
    receiver_session_gone(r);
}

void session_free(struct session *s)
{
    session_end_transaction(s);
    list_remove(&s->listed);
    settings_release(s->settings);
    text_free(&s->kept);
    text_free(&s->helo);
    text_free(&s->account);
    text_free(&s->tls);
    memory_free(s);
}
