#include "deliver/smtp_client.h"
#include "deliver/verdict.h"
#include "smtp/parameters.h"
/*
 * smtp_transaction - a message's commands and what their replies mean for each recipient.
 */
enum { REFUSED_AT_ONCE_MAX = 100 };
static const uint64_t SLOW_REPLY_MS = 500;

/* --- commands --- */

static void add_mail(const struct smtp_client *c, const struct task *task, struct text *out)
{
    const struct spool_message *m = task->message;
    text_add(out, SLICE("MAIL FROM:"));
    text_add_path(out, m->envelope->reverse_path);
    text_add_mail_parameters(out, m->envelope, m->content_octets, m->has_8bit, c->offer.extensions);
    text_add(out, SLICE("\r\n"));
}

static void add_rcpt(const struct smtp_client *c, const struct task *task, size_t i, struct text *out)
{
    const struct recipient *r = task_recipient_address(task, i);
    text_add(out, SLICE("RCPT TO:"));
    text_add_path(out, r->forward_path);
    text_add_rcpt_parameters(out, r, c->offer.extensions);
    text_add(out, SLICE("\r\n"));
}

/* RFC 2920 §3.1: RSET, MAIL and RCPT anywhere in a group, DATA at its end. Without it one command at a time. */
static void write_commands(struct smtp_client *c, struct smtp_transaction *t)
{
    struct text *out = &c->base.deliverer->scratch;
    text_clear(out);
    t->has_rset = c->needs_rset;
    c->needs_rset = false;
    if (t->has_rset)
        text_add(out, SLICE("RSET\r\n"));
    bool is_pipelined = smtp_has(c, EXTENSION_PIPELINING);
    if (is_pipelined || !t->has_rset)
        add_mail(c, t->task, out);
    if (is_pipelined) {
        for (size_t i = 0; i < t->task->recipient_count; i++)
            add_rcpt(c, t->task, i, out);
        text_add(out, SLICE("DATA\r\n"));
    }
    smtp_send(c, out);
}

static void send_one(struct smtp_client *c, enum smtp_step step)
{
    struct text *out = &c->base.deliverer->scratch;
    if (!smtp_has(c, EXTENSION_PIPELINING)) {
        text_clear(out);
        if (step == STEP_MAIL)
            add_mail(c, c->current->task, out);
        else if (step == STEP_RCPT)
            add_rcpt(c, c->current->task, c->current->reply_at, out);
        else
            text_add(out, SLICE("DATA\r\n"));
        smtp_send(c, out);
    }
    smtp_enter(c, step);
}

/* --- taking messages --- */

/* What the server's extensions already rule out needs no transaction. */
static bool refuse_at_once(struct smtp_client *c, struct task *task)
{
    const struct spool_message *m = task->message;
    struct outcome why;
    if (smtp_has(c, EXTENSION_SIZE) && c->offer.size_max > 0 && m->content_octets > c->offer.size_max) {
        slice text = arena_format(&task->memory, "the message has %llu octets; " SLICE_FMT " takes no more than %llu",
                                  (unsigned long long)m->content_octets, SLICE_ARG(text_slice(&c->remote_name)),
                                  (unsigned long long)c->offer.size_max);
        why = verdict_failed(STAGE_MAIL, 3, 4, text); /* RFC 1870 §6.1 */
    } else if (m->envelope->smtputf8 && !smtp_has(c, EXTENSION_SMTPUTF8)) {
        slice text = arena_format(&task->memory, SLICE_FMT " does not take internationalized addresses (SMTPUTF8)",
                                  SLICE_ARG(text_slice(&c->remote_name)));
        why = verdict_failed(STAGE_MAIL, 6, 7, text); /* RFC 6531 §3.5 */
    } else {
        return false;
    }
    why = smtp_outcome(c, why);
    task_set_outcome(task, &why);
    connection_task_done(&c->base, task);
    return true;
}

static struct smtp_transaction *begin_next(struct smtp_client *c)
{
    struct task *task;
    for (int refused = 0; (task = connection_next_task(&c->base)) && refuse_at_once(c, task); refused++) {
        if (refused == REFUSED_AT_ONCE_MAX) {
            connection_wake(&c->base);
            return NULL;
        }
    }
    if (!task)
        return NULL;
    struct smtp_transaction *t = c->current == &c->transactions[0] ? &c->transactions[1] : &c->transactions[0];
    *t = (struct smtp_transaction){ .task = task };
    t->is_accepted = ARENA_NEW_ARRAY(&task->memory, bool, task->recipient_count);
    task->was_tried = true;
    c->taken++;
    write_commands(c, t);
    return t;
}

static bool may_take(const struct smtp_client *c)
{
    size_t most = c->base.destination.messages_per_connection;
    return most == 0 || c->taken < most;
}

void smtp_next_message(struct smtp_client *c)
{
    assert(!c->current);
    if (c->ahead) {
        c->current = c->ahead;
        c->ahead = NULL;
    } else if (!may_take(c)) {
        smtp_quit(c);
        return;
    } else {
        c->current = begin_next(c);
    }
    if (c->current)
        smtp_enter(c, c->current->has_rset ? STEP_RSET : STEP_MAIL);
    else if (!c->base.has_ended)
        smtp_idle(c);
}

void smtp_take_ahead(struct smtp_client *c)
{
    if (!c->ahead && smtp_has(c, EXTENSION_PIPELINING) && !c->is_slow_to_take && may_take(c))
        c->ahead = begin_next(c);
}

/* --- outcomes --- */

/* For the recipient; where it has one already (its RCPT was refused) that stays. */
static void conclude(struct smtp_client *c, size_t i, struct outcome o)
{
    struct task *task = c->current->task;
    if (task->recipients[i].outcome.action != ACTION_NONE)
        return;
    o = smtp_outcome(c, o);
    task_set_recipient_outcome(task, i, &o);
}

static void conclude_all(struct smtp_client *c, struct outcome o)
{
    o = smtp_outcome(c, o);
    task_set_outcome(c->current->task, &o);
}

/* RFC 3461 §6.2: a server that offers DSN reports on; LMTP is the last hop. */
static struct outcome success(const struct smtp_client *c)
{
    bool says_more = smtp_is_lmtp(c) || smtp_has(c, EXTENSION_DSN);
    struct status status = c->reader.status.class == 2 ? c->reader.status : (struct status){ 2, 0, 0 };
    return (struct outcome){ .action = says_more ? ACTION_DELIVERED : ACTION_RELAYED,
                             .stage = STAGE_CONTENT,
                             .status = status,
                             .reply_code = c->reader.code,
                             .text = text_slice(&c->reader.text) };
}

static void finish(struct smtp_client *c)
{
    struct task *task = c->current->task;
    smtp_content_drop(c->current);
    c->current->task = NULL;
    c->current = NULL;
    c->carried++;
    connection_task_done(&c->base, task);
    if (!c->base.has_ended)
        smtp_next_message(c);
}

static void give_back(struct smtp_client *c, struct smtp_transaction *t, bool is_untouched, const struct outcome *why)
{
    struct task *task = t->task;
    if (!is_untouched || c->carried == 0)
        task_set_outcome(task, why);
    smtp_content_drop(t);
    t->task = NULL;
    connection_task_done(&c->base, task);
}

/*
 * A message whose MAIL was never answered on a connection that had carried others is put back untried: the server had
 * most likely closed an idle connection, or takes only so many messages on one. Without an earlier success that could
 * go on for ever. The one message whose final reply was lost may have been taken: trying it again is the duplicate that
 * RFC 5321 §4.5.3.2.6 speaks of.
 */
void smtp_give_back(struct smtp_client *c, const struct outcome *why)
{
    struct smtp_transaction *current = c->current, *ahead = c->ahead;
    c->current = c->ahead = NULL;
    if (current)
        give_back(c, current, c->step == STEP_RSET || c->step == STEP_MAIL, why);
    if (ahead)
        give_back(c, ahead, true, why);
}

/* --- replies --- */

static void on_rset(struct smtp_client *c)
{
    if (reply_is_positive(c->reader.code))
        send_one(c, STEP_MAIL);
    else
        smtp_lost(c, verdict_from_reply(STAGE_MAIL, &c->reader));
}

static void on_mail(struct smtp_client *c)
{
    if (!reply_is_positive(c->reader.code)) {
        conclude_all(c, verdict_from_reply(STAGE_MAIL, &c->reader));
        c->current->is_refused = true;
        c->needs_rset = true;
        if (!smtp_has(c, EXTENSION_PIPELINING)) {
            finish(c);
            return;
        }
    }
    send_one(c, STEP_RCPT);
}

static void on_rcpt(struct smtp_client *c)
{
    struct smtp_transaction *t = c->current;
    if (!t->is_refused && reply_is_positive(c->reader.code)) {
        t->is_accepted[t->reply_at] = true;
        t->accepted++;
    } else if (!t->is_refused) {
        conclude(c, t->reply_at, verdict_from_reply(STAGE_RCPT, &c->reader));
    }
    t->reply_at++;
    if (t->reply_at < t->task->recipient_count) {
        send_one(c, STEP_RCPT);
    } else if (t->accepted > 0 || smtp_has(c, EXTENSION_PIPELINING)) {
        send_one(c, STEP_DATA);
    } else {
        c->needs_rset = true;
        finish(c);
    }
}

static size_t next_accepted(const struct smtp_transaction *t, size_t from)
{
    while (from < t->task->recipient_count && !t->is_accepted[from])
        from++;
    return from;
}

static void on_data(struct smtp_client *c)
{
    struct smtp_transaction *t = c->current;
    if (c->reader.code >= 300 && c->reader.code < 400) {
        t->reply_at = next_accepted(t, 0);
        if (t->accepted > 0) {
            c->needs_rset = false;
            smtp_send_content(c);
        } else if (smtp_is_lmtp(c)) { /* RFC 2033 §4.2 forbids it, and no reply would follow the dot */
            smtp_lost(c, verdict_delayed(STAGE_DATA, 5, 0, SLICE("DATA was accepted although no recipient was")));
        } else {
            /* RFC 2920 §3.1: a lone dot ends it */
            t->is_lone_dot = t->content_is_sent = true;
            c->needs_rset = true;
            stream_write(c->stream, SLICE(".\r\n"));
            smtp_enter(c, STEP_CONTENT);
        }
    } else if (reply_is_positive(c->reader.code)) { /* we and the server no longer speak of the same command */
        smtp_lost(c, verdict_from_reply(STAGE_DATA, &c->reader));
    } else {
        conclude_all(c, verdict_from_reply(STAGE_DATA, &c->reader));
        c->needs_rset = true;
        finish(c);
    }
}

static void on_content(struct smtp_client *c)
{
    struct smtp_transaction *t = c->current;
    bool is_taken = reply_is_positive(c->reader.code);
    if (!t->content_is_sent) { /* it has made up its mind before the end: the rest cannot be held back any other way */
        smtp_lost(c, verdict_from_reply(STAGE_CONTENT, &c->reader));
        return;
    }
    c->is_slow_to_take = loop_now_ms(smtp_loop(c)) - c->content_sent_ms > SLOW_REPLY_MS;
    if (!t->is_lone_dot) {
        struct outcome o = is_taken ? success(c) : verdict_from_reply(STAGE_CONTENT, &c->reader);
        if (smtp_is_lmtp(c)) { /* RFC 2033 §4.2: a reply for each recipient that was accepted, in their order */
            conclude(c, t->reply_at, o);
            t->reply_at = next_accepted(t, t->reply_at + 1);
            if (t->reply_at < t->task->recipient_count) {
                smtp_enter(c, STEP_CONTENT);
                return;
            }
        } else {
            conclude_all(c, o);
        }
    }
    finish(c);
}

void smtp_transaction_reply(struct smtp_client *c)
{
    if (c->reader.code == 421) { /* RFC 5321 §3.8: the server ends the connection, whatever was asked */
        smtp_lost(c, verdict_from_reply(smtp_stage(c->step), &c->reader));
        return;
    }
    switch (c->step) {
    case STEP_RSET:
        on_rset(c);
        break;
    case STEP_MAIL:
        on_mail(c);
        break;
    case STEP_RCPT:
        on_rcpt(c);
        break;
    case STEP_DATA:
        on_data(c);
        break;
    default:
        on_content(c);
        break;
    }
}
