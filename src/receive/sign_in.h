#pragma once
#include "receive/session.h"
/*
 * sign_in - AUTH (RFC 4954): the exchange of a mechanism, the question to keyring, and slowness for those who guess.
 */
/* A line of the client during the exchange. */
void sign_in_take_response(struct session *, slice line, bool is_too_long);
/* Ends what is under way, secrets wiped, the question withdrawn; harmless when nothing is. */
void sign_in_end(struct session *);
