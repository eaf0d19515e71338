#include "receive/trace.h"

static struct event_log *log_of(const struct session *s) { return s->receiver->doors.events; }

static void add_client(struct event_log *log, const struct address *peer)
{
    if (peer->any.sa_family == AF_INET || peer->any.sa_family == AF_INET6)
        event_address(log, "client", peer);
    else
        event_text(log, "client", SLICE("local"));
}

static struct event_log *start(const struct session *s, enum event_kind kind)
{
    struct event_log *log = log_of(s);
    event_start(log, kind);
    event_id(log, "session", s->id);
    add_client(log, &s->peer);
    return log;
}

/* "ann@example.org"; the null sender is "<>". */
static void add_path(struct event_log *log, const char *field, struct path path)
{
    struct text text = { 0 };
    if (path_is_null(path))
        text_add_cstr(&text, "<>");
    else
        text_add_mailbox(&text, path);
    event_text(log, field, text_slice(&text));
    text_free(&text);
}

static void add_reply(struct event_log *log, enum reply_name name)
{
    const struct reply *reply = &replies[name];
    struct text text = { 0 };
    text_add_u64(&text, reply->code);
    text_add_byte(&text, ' ');
    if (reply->status.class) {
        text_add_status(&text, reply->status);
        text_add_byte(&text, ' ');
    }
    text_add_cstr(&text, reply->text);
    event_text(log, "reply", text_slice(&text));
    text_free(&text);
}

void trace_session_started(const struct session *s)
{
    struct event_log *log = start(s, EVENT_session_started);
    event_text(log, "listener", text_slice(&s->listener->name));
    event_end(log);
}

void trace_session_ended(const struct session *s, const char *reason)
{
    struct event_log *log = start(s, EVENT_session_ended);
    event_number(log, "messages", s->messages);
    event_number(log, "duration_ms", loop_now_ms(s->receiver->doors.loop) - s->started_ms);
    event_cstr(log, "reason", reason);
    event_end(log);
}

void trace_session_refused(const struct receive_listener *listener, const struct address *client, enum reply_name name)
{
    struct event_log *log = listener->receiver->doors.events;
    event_start(log, EVENT_session_refused);
    add_client(log, client);
    event_text(log, "listener", text_slice(&listener->name));
    event_cstr(log, "reason", replies[name].text);
    event_end(log);
}

void trace_command_refused(const struct session *s, enum reply_name name)
{
    struct event_log *log = start(s, EVENT_command_refused);
    event_text(log, "verb", s->verb);
    add_reply(log, name);
    event_end(log);
}

void trace_recipient_refused(const struct session *s, struct path forward_path, enum reply_name name)
{
    struct event_log *log = start(s, EVENT_recipient_refused);
    add_path(log, "reverse_path", s->transaction->envelope.reverse_path);
    add_path(log, "forward_path", forward_path);
    add_reply(log, name);
    event_end(log);
}

void trace_message_refused(const struct session *s, enum reply_name name)
{
    struct event_log *log = start(s, EVENT_message_refused);
    add_path(log, "reverse_path", s->transaction->envelope.reverse_path);
    add_reply(log, name);
    event_end(log);
}

void trace_message_received(const struct session *s, const struct spool_message *message)
{
    struct event_log *log = log_of(s);
    event_start(log, EVENT_message_received);
    event_id(log, "message", message->id);
    event_id(log, "session", s->id);
    add_client(log, &s->peer);
    event_text(log, "listener", text_slice(&s->listener->name));
    add_path(log, "reverse_path", message->envelope->reverse_path);
    event_number(log, "recipients", message->envelope->recipient_count);
    event_number(log, "size_octets", message->content_octets);
    event_text(log, "tls", text_slice(&s->tls));
    event_text(log, "account", text_slice(&s->account));
    event_text(log, "message_id_header", header_scan_message_id(&s->transaction->header));
    event_end(log);
}

void trace_sign_in_succeeded(const struct session *s, slice mechanism)
{
    struct event_log *log = start(s, EVENT_sign_in_succeeded);
    event_text(log, "account", text_slice(&s->account));
    event_text(log, "mechanism", mechanism);
    event_end(log);
}

void trace_sign_in_failed(const struct session *s, slice account, slice mechanism, const char *reason)
{
    struct event_log *log = start(s, EVENT_sign_in_failed);
    event_text(log, "account", account);
    event_text(log, "mechanism", mechanism);
    event_cstr(log, "reason", reason);
    event_end(log);
}
