#pragma once
#include "base/slice.h"
/*
 * command - one command line (RFC 5321 §4.1.1, §2.4), without its CRLF, taken apart into verb and argument.
 *
 *   command = verb [ SP argument ]          verb: letters; compared without case (slice_eq_nocase)
 *
 * White space before the line's end is tolerated (§4.1.1). Control characters (NUL, bare CR, bare LF, tab) are refused:
 * no command has a use for them, and bare line ends are how commands get smuggled. Octets >= 0x80 are the caller's to
 * judge: only SMTPUTF8 allows them.
 */
enum { COMMAND_LINE_MAX = 512, COMMAND_VERB_MAX = 16 }; /* §4.5.3.1.4, CRLF included; extensions add to it */
enum command_error { COMMAND_OK, COMMAND_EMPTY, COMMAND_BAD_VERB, COMMAND_BAD_OCTET };
struct command {
    slice verb;     /* as written */
    slice argument; /* behind the verb and its spaces, without trailing white space */
    bool has_8bit;
};
/* Fills *command with COMMAND_OK; with COMMAND_BAD_OCTET the verb, when one stands there, is filled too. */
MUST_CHECK enum command_error command_parse(slice line, struct command *);
/* "FROM:<...>" of MAIL, "TO:<...>" of RCPT: cuts `keyword` (with its colon) off *argument, without case. White space
 * behind the colon, which many clients send against §3.3, is cut too and reported in *had_space (may be NULL). */
MUST_CHECK bool command_cut_keyword(slice *argument, slice keyword, bool *had_space);
