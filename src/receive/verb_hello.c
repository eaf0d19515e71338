#include "receive/verbs.h"
#include "sasl/sasl.h"
/* HELO, EHLO (RFC 5321 §4.1.1.1) and STARTTLS (RFC 3207). */

static void add_size(struct text *line, const struct session *s)
{
    text_add_cstr(line, "SIZE ");
    text_add_u64(line, s->settings->config->limits.max_message_size);
}

static void add_auth(struct text *line, const struct session *s)
{
    (void)s;
    text_add_cstr(line, "AUTH");
    for (size_t i = 0; i < sasl_mechanism_count; i++) {
        text_add_byte(line, ' ');
        text_add(line, sasl_mechanisms[i].name);
    }
}

static bool may_start_tls(const struct session *s) { return s->listener->role->offers_tls && !s->tls_is_on && s->settings->tls; }
/* Offered under TLS only: before it every mechanism we have would show the password. */
static bool may_sign_in(const struct session *s) { return s->listener->role->offers_sign_in && s->tls_is_on && !s->account.len; }

static const struct offer {
    const char *line;
    void (*add)(struct text *, const struct session *); /* instead of `line` */
    bool (*applies)(const struct session *);            /* NULL: always */
} offers[] = {
    { "PIPELINING", NULL, NULL },
    { NULL, add_size, NULL },
    { "8BITMIME", NULL, NULL },
    { "ENHANCEDSTATUSCODES", NULL, NULL },
    { "DSN", NULL, NULL },
    { "STARTTLS", NULL, may_start_tls },
    { NULL, add_auth, may_sign_in },
    { "HELP", NULL, NULL },
};

/* 250-hostname, then one line for each offer; RFC 2034 §3: no enhanced codes here. */
static void write_offers(struct session *s)
{
    struct text *out = &s->receiver->scratch;
    text_add_cstr(out, "250-");
    text_add(out, s->settings->config->hostname);
    text_add_cstr(out, "\r\n");
    size_t last = 0;
    for (size_t i = 0; i < COUNT(offers); i++) {
        if (offers[i].applies && !offers[i].applies(s))
            continue;
        last = out->len;
        text_add_cstr(out, "250-");
        if (offers[i].add)
            offers[i].add(out, s);
        else
            text_add_cstr(out, offers[i].line);
        text_add_cstr(out, "\r\n");
    }
    out->ptr[last + 3] = ' ';
    session_write(s, text_slice(out));
    text_clear(out);
}

/* §4.1.4: a name that is not accepted changes nothing; one that is begins anew, as RSET does. */
static bool greet(struct session *s, slice name, bool is_extended)
{
    if (!domain_is_valid(name, false)) {
        session_reply(s, REPLY_BAD_HELLO);
        return false;
    }
    session_end_transaction(s);
    session_refresh_settings(s);
    text_clear(&s->helo);
    text_add(&s->helo, name);
    s->is_extended = is_extended;
    s->state = STATE_READY;
    return true;
}

void verb_ehlo(struct session *s, slice argument)
{
    if (greet(s, argument, true))
        write_offers(s);
}

void verb_helo(struct session *s, slice argument)
{
    if (!greet(s, argument, false))
        return;
    struct text *out = &s->receiver->scratch;
    text_add_cstr(out, "250 ");
    text_add(out, s->settings->config->hostname);
    text_add_cstr(out, "\r\n");
    session_write(s, text_slice(out));
    text_clear(out);
}

/* RFC 3207 §4.2: what the client said before, its name included, is forgotten; what it sent behind STARTTLS was not
 * protected and is dropped (CVE-2011-0411). */
void verb_starttls(struct session *s, slice argument)
{
    (void)argument;
    session_refresh_settings(s);
    if (!may_start_tls(s)) {
        session_reply(s, s->tls_is_on ? REPLY_TLS_ALREADY : REPLY_TLS_UNAVAILABLE);
        return;
    }
    session_reply(s, REPLY_START_TLS);
    text_free(&s->helo);
    s->is_extended = false;
    s->state = STATE_START;
    session_start_tls(s);
}
