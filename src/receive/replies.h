#pragma once
#include "smtp/path.h"
#include "smtp/reply.h"
/*
 * replies - every fixed reply of the server, declared once: X(name, code, class, subject, detail, "text"). The texts are read
 * by people whose mail was refused, usually in a DSN: they say what is wrong and, where there is one, the way out.
 */
#define REPLIES(X) \
    X(OK,                    250, 2, 0, 0, "ok") \
    X(SENDER_OK,             250, 2, 1, 0, "sender ok") \
    X(RECIPIENT_OK,          250, 2, 1, 5, "recipient ok") \
    X(SEND_CONTENT,          354, 0, 0, 0, "send the message; end it with <CR><LF>.<CR><LF>") \
    X(BYE,                   221, 2, 0, 0, "bye") \
    X(START_TLS,             220, 2, 0, 0, "ready to start TLS") \
    X(SIGNED_IN,             235, 2, 7, 0, "signed in") \
    X(WILL_NOT_VERIFY,       252, 2, 0, 0, "addresses are not verified here; RCPT tells whether one is accepted") \
    /* the session ends */ \
    X(TIMED_OUT,             421, 4, 4, 2, "nothing came for too long; closing") \
    X(STOPPING,              421, 4, 3, 2, "the server is stopping; try again later") \
    X(TOO_MANY_ERRORS,       421, 4, 7, 0, "too many errors; closing") \
    X(TOO_MANY_IDLE,         421, 4, 7, 0, "too many commands that bring no mail; closing") \
    X(TOO_MANY_SIGN_INS,     421, 4, 7, 0, "too many failed sign-ins; closing") \
    X(TOO_MANY_SESSIONS,     421, 4, 3, 2, "too many connections at the moment; try again later") \
    X(TOO_MANY_OF_CLIENT,    421, 4, 7, 0, "too many connections from your address; close some or try again later") \
    X(NOT_MAIL,              421, 4, 7, 0, "this is a mail server (SMTP); closing") \
    X(LINE_FEED_ALONE,       500, 5, 5, 2, "a line ended with LF alone; SMTP lines end with CRLF (RFC 5321 section 2.3.8); closing") \
    /* the line */ \
    X(LINE_TOO_LONG,         500, 5, 5, 2, "command line is too long") \
    X(BAD_OCTET,             500, 5, 5, 2, "control character in a command (lines end with CRLF; no NUL, CR or LF alone)") \
    X(EMPTY_LINE,            500, 5, 5, 2, "empty line where a command was expected") \
    X(UNKNOWN_COMMAND,       500, 5, 5, 1, "command not recognized; HELP lists what is known") \
    X(NOT_IMPLEMENTED,       502, 5, 5, 1, "command not implemented") \
    X(NO_SUCH_HELP,          504, 5, 5, 4, "there is no help on that; HELP alone lists the commands") \
    X(NO_ARGUMENT_HERE,      501, 5, 5, 4, "this command takes no argument") \
    X(NEEDS_ARGUMENT,        501, 5, 5, 4, "this command needs an argument") \
    /* the order */ \
    X(HELLO_FIRST,           503, 5, 5, 1, "say EHLO (or HELO) first") \
    X(MAIL_FIRST,            503, 5, 5, 1, "say MAIL first") \
    X(RCPT_FIRST,            503, 5, 5, 1, "say RCPT first: there is no recipient") \
    X(IN_TRANSACTION,        503, 5, 5, 1, "not within a mail transaction; RSET ends it") \
    X(NO_VALID_RECIPIENT,    554, 5, 5, 1, "no valid recipients") \
    /* HELO, EHLO */ \
    X(BAD_HELLO,             501, 5, 5, 4, "the name must be a domain (mail.example.org) or an address literal ([192.0.2.1])") \
    /* STARTTLS */ \
    X(TLS_ALREADY,           503, 5, 5, 1, "TLS is on already") \
    X(TLS_UNAVAILABLE,       454, 4, 7, 0, "TLS is not available at the moment") \
    /* AUTH */ \
    X(AUTH_NOT_OFFERED,      502, 5, 5, 1, "signing in is not offered on this port; use the submission port 587 or 465") \
    X(AUTH_NEEDS_TLS,        538, 5, 7, 11, "signing in needs encryption; say STARTTLS first") \
    X(AUTH_ALREADY,          503, 5, 5, 1, "already signed in") \
    X(AUTH_NEEDS_EHLO,       503, 5, 5, 1, "AUTH needs EHLO, not HELO") \
    X(AUTH_UNKNOWN,          504, 5, 5, 4, "authentication mechanism not known; EHLO lists those that are") \
    X(AUTH_BAD_BASE64,       501, 5, 5, 2, "response is not base64") \
    X(AUTH_BAD_RESPONSE,     501, 5, 5, 2, "response is not what the mechanism asks for (acting as somebody else is not possible)") \
    X(AUTH_CANCELLED,        501, 5, 7, 0, "sign-in cancelled") \
    X(AUTH_LINE_TOO_LONG,    500, 5, 5, 6, "response is too long") \
    X(AUTH_FAILED,           535, 5, 7, 8, "name or password is wrong") \
    X(AUTH_TEMPORARY,        454, 4, 7, 0, "passwords cannot be checked at the moment; try again later") \
    /* MAIL, RCPT: syntax */ \
    X(MAIL_SYNTAX,           501, 5, 5, 4, "syntax: MAIL FROM:<address>") \
    X(RCPT_SYNTAX,           501, 5, 5, 4, "syntax: RCPT TO:<address>") \
    X(PARAMETER_SYNTAX,      501, 5, 5, 4, "malformed parameter after the address") \
    X(PARAMETER_UNKNOWN,     555, 5, 5, 4, "parameter after the address is not known or not offered here") \
    X(PARAMETER_TWICE,       501, 5, 5, 4, "parameter given twice") \
    X(PARAMETER_NEEDS_EHLO,  555, 5, 5, 4, "parameters after the address need EHLO, not HELO") \
    X(PATH_NO_BRACKETS,      501, 5, 1, 7, "address must stand in angle brackets: <ann@example.org>") \
    X(PATH_BAD_LOCAL_PART,   553, 5, 1, 3, "the part before the @ is not valid") \
    X(PATH_BAD_DOMAIN,       553, 5, 1, 3, "the domain after the @ is not valid") \
    X(PATH_TOO_LONG,         501, 5, 1, 3, "address is longer than RFC 5321 allows (64 octets before the @, 255 after)") \
    X(PATH_NO_DOMAIN,        553, 5, 1, 3, "address has no domain: write <ann@example.org>") \
    X(PATH_NEEDS_UTF8,       553, 5, 6, 7, "addresses outside ASCII (SMTPUTF8) are not taken here") \
    X(BAD_SIZE,              501, 5, 5, 4, "SIZE= is not a number of octets") \
    X(BAD_BODY,              501, 5, 5, 4, "BODY= must be 7BIT or 8BITMIME") \
    X(BAD_RET,               501, 5, 5, 4, "RET= must be FULL or HDRS") \
    X(BAD_ENVID,             501, 5, 5, 4, "ENVID= is not printable xtext of at most 100 characters") \
    X(BAD_AUTH_PARAMETER,    501, 5, 5, 4, "AUTH= must be <> or a mailbox in xtext") \
    X(BAD_NOTIFY,            501, 5, 5, 4, "NOTIFY= must be NEVER, or a list of SUCCESS, FAILURE, DELAY") \
    X(BAD_ORCPT,             501, 5, 5, 4, "ORCPT= must be type;address in xtext, at most 500 characters") \
    /* MAIL, RCPT: policy */ \
    X(NEEDS_TLS,             530, 5, 7, 0, "say STARTTLS first, then sign in") \
    X(NEEDS_SIGN_IN,         530, 5, 7, 0, "sign in first (AUTH)") \
    X(SIZE_TOO_BIG,          552, 5, 3, 4, "message is larger than this server takes; EHLO tells the limit as SIZE") \
    X(SPOOL_FULL,            452, 4, 3, 1, "not enough disk space at the moment; try again later") \
    X(SPOOL_BROKEN,          451, 4, 3, 0, "mail cannot be stored at the moment; try again later") \
    X(TOO_MANY_RECIPIENTS,   452, 4, 5, 3, "too many recipients in one transaction; send to the others in the next") \
    X(RELAY_DENIED,          550, 5, 7, 1, "relaying denied: the domain is not hosted here; to send mail through this server, sign in on port 587 (STARTTLS) or 465 (TLS)") \
    X(USER_UNKNOWN,          550, 5, 1, 1, "no such mailbox here; check the spelling of the address") \
    X(ALIAS_LOOP,            451, 4, 3, 5, "the aliases of this address lead back to themselves; the postmaster here must mend them") \
    /* the content */ \
    X(CONTENT_TOO_BIG,       552, 5, 3, 4, "message is larger than this server takes; nothing of it was kept") \
    X(HEADER_TOO_BIG,        552, 5, 3, 4, "header section is larger than this server takes") \
    X(CONTENT_BARE_LINE_END, 554, 5, 6, 0, "content has CR or LF alone; SMTP lines end with CRLF (RFC 5321 section 2.3.8)") \
    X(CONTENT_NUL,           554, 5, 6, 0, "content has a NUL octet (RFC 5322 section 4); encode it as base64") \
    X(CONTENT_LONG_LINE,     554, 5, 6, 0, "content has a line of more than 64 KiB; RFC 5321 allows 998 octets") \
    X(CONTENT_LOOPS,         554, 5, 4, 6, "mail is looping: too many Received: fields")

#define REPLY_NAME(name, ...) REPLY_##name,
enum reply_name { REPLIES(REPLY_NAME) REPLY_NAMES };
extern const struct reply replies[REPLY_NAMES];

/* What a path that does not parse is answered. */
enum reply_name reply_for_path(enum path_error);
