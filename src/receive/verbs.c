#include "receive/verbs.h"
#include "receive/trace.h"
#include "smtp/command.h"

/* Longest lines: RFC 5321 §4.5.3.1.4 and what each extension adds (RFC 5321 §2.2.1). */
enum {
    MAIL_LINE_MAX = COMMAND_LINE_MAX + 26 /* SIZE, RFC 1870 */ + 17 /* BODY, RFC 6152 */ +
                    (7 + 100) + (5 + 8) /* ENVID, RET, RFC 3461 §5.1 */ + 500 /* AUTH, RFC 4954 §3 */,
    RCPT_LINE_MAX = COMMAND_LINE_MAX + (7 + 500) + (8 + 28) /* ORCPT, NOTIFY, RFC 3461 §5.1 */,
};
#define IN(state) (1u << STATE_##state)
#define ANY_STATE (IN(START) | IN(READY) | IN(HAS_SENDER) | IN(HAS_RECIPIENT))

static void not_implemented(struct session *s, slice argument)
{
    (void)argument;
    session_reply(s, REPLY_NOT_IMPLEMENTED);
}

/* A browser or a proxy that was made to talk to us: its next lines may hold what looks like commands. */
static void not_mail(struct session *s, slice argument)
{
    (void)argument;
    session_end_with(s, REPLY_NOT_MAIL, "not a mail client");
}

static const struct verb verbs[] = {
    /* name              run              allowed in                              flags */
    { LIT("MAIL"),     verb_mail,       IN(READY),                              TAKES_SOMETHING, MAIL_LINE_MAX,
      "MAIL FROM:<address> [SIZE=octets] [BODY=8BITMIME] [RET=FULL|HDRS] [ENVID=id]" },
    { LIT("RCPT"),     verb_rcpt,       IN(HAS_SENDER) | IN(HAS_RECIPIENT),     TAKES_SOMETHING, RCPT_LINE_MAX,
      "RCPT TO:<address> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;address]" },
    { LIT("DATA"),     verb_data,       IN(HAS_RECIPIENT),                      TAKES_NOTHING, COMMAND_LINE_MAX,
      "DATA, then the message, then a line with a dot alone" },
    { LIT("EHLO"),     verb_ehlo,       ANY_STATE, TAKES_SOMETHING | BRINGS_NO_MAIL, COMMAND_LINE_MAX, "EHLO domain" },
    { LIT("HELO"),     verb_helo,       ANY_STATE, TAKES_SOMETHING | BRINGS_NO_MAIL, COMMAND_LINE_MAX, "HELO domain" },
    { LIT("RSET"),     verb_rset,       ANY_STATE, TAKES_NOTHING | BRINGS_NO_MAIL, COMMAND_LINE_MAX, "RSET" },
    { LIT("QUIT"),     verb_quit,       ANY_STATE, TAKES_NOTHING, COMMAND_LINE_MAX, "QUIT" },
    { LIT("NOOP"),     verb_noop,       ANY_STATE, BRINGS_NO_MAIL, COMMAND_LINE_MAX, "NOOP [anything]" },
    { LIT("STARTTLS"), verb_starttls,   IN(START) | IN(READY), TAKES_NOTHING | BRINGS_NO_MAIL, COMMAND_LINE_MAX, "STARTTLS" },
    { LIT("AUTH"),     verb_auth,       IN(READY), TAKES_SOMETHING | BRINGS_NO_MAIL, LINE_MAX_OCTETS,
      "AUTH mechanism [initial-response]" },
    { LIT("HELP"),     verb_help,       ANY_STATE, BRINGS_NO_MAIL, COMMAND_LINE_MAX, "HELP [command]" },
    { LIT("VRFY"),     verb_vrfy,       ANY_STATE, TAKES_SOMETHING | BRINGS_NO_MAIL, COMMAND_LINE_MAX, "VRFY address" },
    /* §3.5.3, §7.3: lists are nobody's business */
    { LIT("EXPN"),     not_implemented, ANY_STATE, BRINGS_NO_MAIL | IS_HIDDEN, COMMAND_LINE_MAX, NULL },
    /* known, not offered */
    { LIT("BDAT"),     not_implemented, ANY_STATE, BRINGS_NO_MAIL | IS_HIDDEN, COMMAND_LINE_MAX, NULL },
    { LIT("ETRN"),     not_implemented, ANY_STATE, BRINGS_NO_MAIL | IS_HIDDEN, COMMAND_LINE_MAX, NULL },
    { LIT("ATRN"),     not_implemented, ANY_STATE, BRINGS_NO_MAIL | IS_HIDDEN, COMMAND_LINE_MAX, NULL },
    { LIT("BURL"),     not_implemented, ANY_STATE, BRINGS_NO_MAIL | IS_HIDDEN, COMMAND_LINE_MAX, NULL },
    { LIT("TURN"),     not_implemented, ANY_STATE, BRINGS_NO_MAIL | IS_HIDDEN, COMMAND_LINE_MAX, NULL },
    { LIT("SEND"),     not_implemented, ANY_STATE, BRINGS_NO_MAIL | IS_HIDDEN, COMMAND_LINE_MAX, NULL },
    { LIT("SOML"),     not_implemented, ANY_STATE, BRINGS_NO_MAIL | IS_HIDDEN, COMMAND_LINE_MAX, NULL },
    { LIT("SAML"),     not_implemented, ANY_STATE, BRINGS_NO_MAIL | IS_HIDDEN, COMMAND_LINE_MAX, NULL },
    /* other protocols */
    { LIT("GET"),      not_mail,        ANY_STATE, IS_HIDDEN, LINE_MAX_OCTETS, NULL },
    { LIT("POST"),     not_mail,        ANY_STATE, IS_HIDDEN, LINE_MAX_OCTETS, NULL },
    { LIT("CONNECT"),  not_mail,        ANY_STATE, IS_HIDDEN, LINE_MAX_OCTETS, NULL },
};

const struct verb *verb_find(slice name)
{
    for (size_t i = 0; i < COUNT(verbs); i++)
        if (slice_eq_nocase(verbs[i].name, name))
            return &verbs[i];
    return NULL;
}

const struct verb *verb_at(size_t place) { return place < COUNT(verbs) ? &verbs[place] : NULL; }

/* What to do first, for a verb that comes before its time; and that it comes too late. */
static enum reply_name out_of_order(const struct verb *verb, enum session_state state)
{
    static const enum reply_name first[] = {
        [STATE_START] = REPLY_HELLO_FIRST,
        [STATE_READY] = REPLY_MAIL_FIRST,
        [STATE_HAS_SENDER] = REPLY_NO_VALID_RECIPIENT,
    };
    bool comes_later = (verb->allowed_in >> state) != 0;
    return comes_later ? first[state] : REPLY_IN_TRANSACTION;
}

/* REPLY_OK: the command may run. */
static enum reply_name check(const struct session *s, const struct verb *verb, slice line, slice argument)
{
    if (line.len + 2 > verb->line_max)
        return REPLY_LINE_TOO_LONG;
    if (!(verb->allowed_in & (1u << s->state)))
        return out_of_order(verb, s->state);
    if ((verb->flags & TAKES_NOTHING) && argument.len > 0)
        return REPLY_NO_ARGUMENT_HERE;
    if ((verb->flags & TAKES_SOMETHING) && argument.len == 0)
        return REPLY_NEEDS_ARGUMENT;
    return REPLY_OK;
}

static enum reply_name parse(slice line, struct command *command, const struct verb **verb)
{
    static const enum reply_name parse_replies[] = {
        [COMMAND_OK] = REPLY_OK,
        [COMMAND_EMPTY] = REPLY_EMPTY_LINE,
        [COMMAND_BAD_VERB] = REPLY_UNKNOWN_COMMAND,
        [COMMAND_BAD_OCTET] = REPLY_BAD_OCTET,
    };
    enum reply_name reply = parse_replies[command_parse(line, command)];
    if (reply != REPLY_OK)
        return reply;
    *verb = verb_find(command->verb);
    if (*verb)
        return REPLY_OK;
    return line.len + 2 > COMMAND_LINE_MAX ? REPLY_LINE_TOO_LONG : REPLY_UNKNOWN_COMMAND;
}

void verbs_run(struct session *s, slice line)
{
    struct command command = { 0 };
    const struct verb *verb = NULL;
    s->verb = (slice){ 0 };
    enum reply_name reply = line.len + 2 > LINE_MAX_OCTETS ? REPLY_LINE_TOO_LONG : parse(line, &command, &verb);
    if (reply == REPLY_OK) {
        s->verb = verb->name;
        reply = check(s, verb, line, command.argument);
    }
    if (reply != REPLY_OK) {
        session_reply(s, reply);
        return;
    }
    if ((verb->flags & BRINGS_NO_MAIL) && ++s->idle_commands > s->settings->config->limits.max_idle_commands) {
        session_end_with(s, REPLY_TOO_MANY_IDLE, "too many commands that bring no mail");
        return;
    }
    verb->run(s, command.argument);
}
