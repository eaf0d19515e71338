#pragma once
#include "receive/session.h"
/*
 * content - the message behind DATA on its way to the spool: dot transparency, the checks of what a message may be,
 * the fields we add in front, and the commit before the 250.
 *
 * Content that is refused is still read to its end: the reply belongs behind the final dot (RFC 5321 §3.3).
 */
void content_begin(struct session *);
/* Takes content off *input; behind its end the session waits for the commit, or goes on with commands. */
void content_take(struct session *, slice *input);
