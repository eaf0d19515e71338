#pragma once
#include "receive/session.h"
/*
 * verbs - the commands of RFC 5321 §4.1.1 and its extensions: one table, one dispatcher. A row holds what is true of
 * the verb wherever it is met; the functions (verb_*.c, sign_in.c) do what is its own.
 */
enum verb_flag {
    TAKES_NOTHING = 1,   /* an argument is answered 501 */
    TAKES_SOMETHING = 2, /* no argument is answered 501 */
    BRINGS_NO_MAIL = 4,  /* counted against max_idle_commands */
    IS_HIDDEN = 8,       /* HELP does not list it */
};
struct verb {
    slice name;
    void (*run)(struct session *, slice argument);
    unsigned allowed_in; /* bits of enum session_state */
    unsigned flags;
    size_t line_max; /* octets, CRLF included */
    const char *help;
};
/* Runs one command line, given without its CRLF. */
void verbs_run(struct session *, slice line);
/* NULL: not known. */
const struct verb *verb_find(slice name);
const struct verb *verb_at(size_t place); /* NULL past the end */

void verb_helo(struct session *, slice argument);
void verb_ehlo(struct session *, slice argument);
void verb_mail(struct session *, slice argument);
void verb_rcpt(struct session *, slice argument);
void verb_data(struct session *, slice argument);
void verb_rset(struct session *, slice argument);
void verb_noop(struct session *, slice argument);
void verb_quit(struct session *, slice argument);
void verb_help(struct session *, slice argument);
void verb_vrfy(struct session *, slice argument);
void verb_starttls(struct session *, slice argument);
void verb_auth(struct session *, slice argument);
