#include "receive/content.h"
#include "receive/trace.h"
#include "receive/verbs.h"
#include "smtp/command.h"
#include "smtp/parameters.h"
/* MAIL, RCPT and DATA: RFC 5321 §4.1.1.2-§4.1.1.4, with SIZE (RFC 1870), 8BITMIME (RFC 6152), DSN (RFC 3461) and AUTH=
 * (RFC 4954 §5). */

struct arguments {
    uint64_t size_octets; /* 0: not told */
    enum body_type body;
    enum dsn_return dsn_return;
    unsigned notify;
    struct text envelope_id, original_recipient, sender; /* decoded */
};

static bool take_size(struct arguments *a, slice value) { return parameter_size(value, &a->size_octets); }
static bool take_ret(struct arguments *a, slice value) { return parameter_ret(value, &a->dsn_return); }
static bool take_envid(struct arguments *a, slice value) { return parameter_envid(value, &a->envelope_id); }
static bool take_notify(struct arguments *a, slice value) { return parameter_notify(value, &a->notify); }
static bool take_orcpt(struct arguments *a, slice value) { return parameter_orcpt(value, &a->original_recipient); }
/* Read and not used: RFC 4954 §5 lets a server that does not trust it take it for "<>". */
static bool take_auth(struct arguments *a, slice value) { return parameter_auth(value, &a->sender); }
static bool take_body(struct arguments *a, slice value)
{
    return parameter_body(value, &a->body) && a->body != BODY_BINARYMIME; /* needs CHUNKING, not offered */
}

struct parameter_rule {
    slice keyword;
    bool (*take)(struct arguments *, slice value);
    enum reply_name bad;
};
static const struct parameter_rule mail_rules[] = {
    { LIT("SIZE"), take_size, REPLY_BAD_SIZE },
    { LIT("BODY"), take_body, REPLY_BAD_BODY },
    { LIT("RET"), take_ret, REPLY_BAD_RET },
    { LIT("ENVID"), take_envid, REPLY_BAD_ENVID },
    { LIT("AUTH"), take_auth, REPLY_BAD_AUTH_PARAMETER },
};
static const struct parameter_rule rcpt_rules[] = {
    { LIT("NOTIFY"), take_notify, REPLY_BAD_NOTIFY },
    { LIT("ORCPT"), take_orcpt, REPLY_BAD_ORCPT },
};

static void arguments_free(struct arguments *a)
{
    text_free(&a->envelope_id);
    text_free(&a->original_recipient);
    text_free(&a->sender);
}

static enum reply_name take_parameter(struct arguments *a, const struct parameter *parameter, unsigned *seen,
                                      const struct parameter_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!slice_eq_nocase(rules[i].keyword, parameter->keyword))
            continue;
        if (*seen & (1u << i))
            return REPLY_PARAMETER_TWICE;
        *seen |= 1u << i;
        return parameter->has_value && rules[i].take(a, parameter->value) ? REPLY_OK : rules[i].bad;
    }
    return REPLY_PARAMETER_UNKNOWN;
}

static enum reply_name take_parameters(struct session *s, struct arguments *a, slice rest,
                                       const struct parameter_rule *rules, size_t count)
{
    unsigned seen = 0;
    enum reply_name reply = REPLY_OK;
    while (reply == REPLY_OK) {
        struct parameter parameter;
        enum parameter_result result = parameter_next(&rest, &parameter);
        if (result == PARAMETER_END)
            break;
        if (result == PARAMETER_BAD)
            reply = REPLY_PARAMETER_SYNTAX;
        else if (!s->is_extended)
            reply = REPLY_PARAMETER_NEEDS_EHLO;
        else
            reply = take_parameter(a, &parameter, &seen, rules, count);
    }
    return reply;
}

static slice keep_text(struct transaction *tx, const struct text *text)
{
    return arena_copy(&tx->memory, text_slice(text));
}
static struct path keep_path(struct transaction *tx, struct path path)
{
    return (struct path){ arena_copy(&tx->memory, path.local_part), arena_copy(&tx->memory, path.domain) };
}

static enum reply_name reply_for_room(enum spool_result room)
{
    return room == SPOOL_OK ? REPLY_OK : room == SPOOL_FULL ? REPLY_SPOOL_FULL : REPLY_SPOOL_BROKEN;
}

static enum reply_name check_sender(const struct session *s, struct path sender, const struct arguments *a)
{
    if (!path_is_null(sender) && sender.domain.len == 0)
        return REPLY_PATH_NO_DOMAIN;
    if (a->size_octets > s->settings->config->limits.max_message_size)
        return REPLY_SIZE_TOO_BIG;
    return reply_for_room(spool_has_room(s->receiver->doors.spool, a->size_octets));
}

static void begin(struct session *s, struct path sender, const struct arguments *a)
{
    struct transaction *tx = s->transaction = transaction_begin(s->receiver);
    tx->envelope.reverse_path = keep_path(tx, sender);
    tx->envelope.body = a->body;
    tx->envelope.dsn_return = a->dsn_return;
    tx->envelope.envelope_id = keep_text(tx, &a->envelope_id);
    s->state = STATE_HAS_SENDER;
}

void verb_mail(struct session *s, slice argument)
{
    session_refresh_settings(s);
    if (s->listener->role->demands_sign_in && !session_may_relay(s)) {
        session_reply(s, s->tls_is_on ? REPLY_NEEDS_SIGN_IN : REPLY_NEEDS_TLS);
        return;
    }
    if (!command_cut_keyword(&argument, SLICE("FROM:"), NULL)) {
        session_reply(s, REPLY_MAIL_SYNTAX);
        return;
    }
    struct path_parse parsed = path_parse(argument, false);
    struct arguments a = { 0 };
    enum reply_name reply = reply_for_path(parsed.error);
    if (reply == REPLY_OK)
        reply = take_parameters(s, &a, parsed.rest, mail_rules, COUNT(mail_rules));
    if (reply == REPLY_OK)
        reply = check_sender(s, parsed.path, &a);
    if (reply == REPLY_OK) {
        begin(s, parsed.path, &a);
        reply = REPLY_SENDER_OK;
    }
    session_reply(s, reply);
    arguments_free(&a);
}

/* Who gets it: the policy of RCPT (RFC 5321 §3.3, §7.9). Unknown users are refused here, never returned later. */
static enum reply_name find_recipient(struct session *s, struct path path, struct arena *memory,
                                      struct directory_result *found)
{
    static const enum reply_name answers[] = {
        [DIRECTORY_OUTSIDE] = REPLY_RELAY_DENIED, [DIRECTORY_MAILBOX] = REPLY_OK,      [DIRECTORY_ALIAS] = REPLY_OK,
        [DIRECTORY_UNKNOWN] = REPLY_USER_UNKNOWN, [DIRECTORY_LOOP] = REPLY_ALIAS_LOOP,
    };
    *found = directory_find(s->settings->directory, path, memory);
    if (found->answer == DIRECTORY_OUTSIDE && session_may_relay(s))
        return REPLY_OK;
    return answers[found->answer];
}

static void add_recipients(struct transaction *tx, struct path path, const struct directory_result *found,
                           const struct arguments *a)
{
    struct recipient like = {
        .original = path,
        .original_recipient = keep_text(tx, &a->original_recipient),
        .notify = a->notify,
    };
    tx->rcpt_count++;
    if (found->answer == DIRECTORY_OUTSIDE)
        transaction_add_recipient(tx, path, &like);
    else
        for (size_t i = 0; i < found->target_count; i++)
            transaction_add_recipient(tx, found->targets[i], &like);
}

/* An alias counts for its targets, but is not cut in two by the limit. */
static bool is_full(const struct session *s)
{
    const struct transaction *tx = s->transaction;
    return size_max(tx->rcpt_tries, tx->envelope.recipient_count) >= s->settings->config->limits.max_recipients;
}

static enum reply_name take_recipient(struct session *s, struct path path, const struct arguments *a)
{
    if (is_full(s))
        return REPLY_TOO_MANY_RECIPIENTS;
    struct transaction *tx = s->transaction;
    struct arena memory = { 0 }; /* of the expansion: an alias named again and again must not fill the transaction's */
    struct directory_result found;
    tx->rcpt_tries++;
    path = keep_path(tx, path);
    enum reply_name reply = find_recipient(s, path, &memory, &found);
    if (reply == REPLY_OK) {
        add_recipients(tx, path, &found, a);
        s->state = STATE_HAS_RECIPIENT;
        reply = REPLY_RECIPIENT_OK;
    } else {
        trace_recipient_refused(s, path, reply);
    }
    arena_free(&memory);
    return reply;
}

void verb_rcpt(struct session *s, slice argument)
{
    if (!command_cut_keyword(&argument, SLICE("TO:"), NULL)) {
        session_reply(s, REPLY_RCPT_SYNTAX);
        return;
    }
    struct path_parse parsed = path_parse(argument, false);
    struct arguments a = { 0 };
    enum reply_name reply = reply_for_path(parsed.error);
    if (reply == REPLY_OK && parsed.path.domain.len == 0 && !path_is_postmaster(parsed.path))
        reply = REPLY_PATH_NO_DOMAIN; /* "<>" receives nothing */
    if (reply == REPLY_OK)
        reply = take_parameters(s, &a, parsed.rest, rcpt_rules, COUNT(rcpt_rules));
    if (reply == REPLY_OK)
        reply = take_recipient(s, parsed.path, &a);
    session_reply(s, reply);
    arguments_free(&a);
}

void verb_data(struct session *s, slice argument)
{
    (void)argument;
    enum reply_name room = reply_for_room(spool_has_room(s->receiver->doors.spool, 0));
    if (room != REPLY_OK) {
        session_reply(s, room);
        return;
    }
    session_reply(s, REPLY_SEND_CONTENT);
    content_begin(s);
}
