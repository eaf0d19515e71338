#pragma once
#include "io/loop.h"
#include "programs/keyring/roster.h"
/*
 * verifier - answers whether a password is right. Hashes run on the crypto lane, as many at once as there are
 * processors; the others wait in line, and past VERIFIER_WAITING_MAX the answer is "temporarily not known", so that a
 * flood of wrong passwords bounds itself. A name that nobody has costs the same time as one that somebody has.
 */
enum { VERIFIER_WAITING_MAX = 1000 };
struct verifier;
struct verifier *verifier_new(struct loop *, struct roster *); /* roster: borrowed */
/* `answer` comes once, maybe inside the call. account: the canonical name when ok. */
void verifier_ask(struct verifier *, slice name, slice password,
                  void (*answer)(void *context, bool ok, bool temporary, slice account), void *context);
bool verifier_is_idle(const struct verifier *);
void verifier_free(struct verifier *); /* when it is idle, or after loop_free */
