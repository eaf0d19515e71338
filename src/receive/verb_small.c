#include "receive/verbs.h"
/* RSET, NOOP, QUIT, HELP, VRFY (RFC 5321 §4.1.1.5-§4.1.1.10). */

void verb_rset(struct session *s, slice argument)
{
    (void)argument;
    session_end_transaction(s);
    session_reply(s, REPLY_OK);
}

void verb_noop(struct session *s, slice argument)
{
    (void)argument;
    session_reply(s, REPLY_OK);
}

void verb_quit(struct session *s, slice argument)
{
    (void)argument;
    session_end_with(s, REPLY_BYE, "quit");
}

/* §7.3: RCPT tells an address's fate; a verb that tells it without mail serves collectors of addresses only. */
void verb_vrfy(struct session *s, slice argument)
{
    (void)argument;
    session_reply(s, REPLY_WILL_NOT_VERIFY);
}

static void add_all_commands(struct text *text)
{
    text_add_cstr(text, "commands:");
    const struct verb *verb;
    for (size_t i = 0; (verb = verb_at(i)); i++) {
        if (verb->flags & IS_HIDDEN)
            continue;
        text_add_byte(text, ' ');
        text_add(text, verb->name);
    }
    text_add_cstr(text, "\nHELP command tells how one is written; RFC 5321 tells the rest");
}

void verb_help(struct session *s, slice argument)
{
    const struct verb *verb = argument.len ? verb_find(argument) : NULL;
    if (argument.len && (!verb || !verb->help)) {
        session_reply(s, REPLY_NO_SUCH_HELP);
        return;
    }
    struct text text = { 0 };
    if (verb)
        text_add_cstr(&text, verb->help);
    else
        add_all_commands(&text);
    struct text *out = &s->receiver->scratch;
    text_add_reply_text(out, 214, (struct status){ 2, 0, 0 }, text_slice(&text));
    session_write(s, text_slice(out));
    text_clear(out);
    text_free(&text);
}
