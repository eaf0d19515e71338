#pragma once
#include "base/text.h"
/*
 * password - hashes of passwords: made with yescrypt, checked with whatever crypt(5) of this system knows (yescrypt,
 * scrypt, bcrypt, sha512crypt, sha256crypt) and with imported argon2id.
 *
 * Cost:     about 25 ms of CPU each: run on the crypto lane.
 * Threads:  any.
 */
enum { PASSWORD_MAX = 511, PASSWORD_HASH_MAX = 383 }; /* octets; crypt(3) takes no more */

/* Not empty, not too long, no NUL (crypt(3) would stop there). */
bool password_is_acceptable(slice password);
/* Of a kind that password_verify can check. "*" is not: it locks an account. */
bool password_hash_is_known(slice hash);
bool password_hash_is_lock(slice hash);
/* A new hash with a salt of its own, appended. False: crypt(3) failed. */
MUST_CHECK bool password_make_hash(slice password, struct text *hash);
/* Takes the same time for a wrong password as for the right one. */
bool password_verify(slice password, slice hash);
