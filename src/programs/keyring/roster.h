#pragma once
#include "base/map.h"
#include "config/config.h"
#include "programs/keyring/accounts.h"
/*
 * roster - all accounts in memory: those of the configuration and those of the store (the configuration's win), and
 * which password was right a moment ago, so that an application that signs in for each message does not pay for a hash
 * each time. Of such a password only a keyed digest is kept, with a key that never leaves this process, for five
 * minutes or until the account changes.
 *
 * Threads: one at a time.
 */
enum { ROSTER_DIGEST_OCTETS = 16, ROSTER_KEY_OCTETS = 32 };
struct roster_account {
    slice address;  /* in lower case */
    slice hash;     /* empty: `password` instead */
    slice password; /* the configuration's, in clear */
    bool is_configured;
    uint64_t verified_until_ms; /* monotonic; 0: not known */
    uint8_t verified[ROSTER_DIGEST_OCTETS];
    size_t octet_count;
    char octets[];
};
struct roster {
    struct map accounts;
    uint8_t key[ROSTER_KEY_OCTETS];
};
void roster_init(struct roster *);
void roster_free(struct roster *);
/* Anew from both sources. False and *error when the store cannot be read: the roster then stays as it was. */
MUST_CHECK bool roster_load(struct roster *, const struct config *, struct accounts *, struct text *error);
void roster_set(struct roster *, slice address, slice hash); /* of the store; adds or replaces */
void roster_remove(struct roster *, slice address);
struct roster_account *roster_find(const struct roster *, slice name); /* any case; NULL: nobody */
/* All addresses, each ended by '\n'. */
void roster_add_names(const struct roster *, struct text *);

/* Right without a hash: the configuration's password in clear, or one that was right a moment ago. */
bool roster_knows(const struct roster *, const struct roster_account *, slice password, uint64_t now_ms);
void roster_remember(const struct roster *, struct roster_account *, slice password, uint64_t now_ms);
