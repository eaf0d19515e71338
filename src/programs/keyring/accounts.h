#pragma once
#include "base/text.h"
/*
 * accounts - the store of accounts, FOLDER/accounts.db (SQLite, WAL, synced before a change is answered). Of passwords
 * only hashes are kept. Addresses are kept in lower case.
 *
 * Locks:    several processes may have it open; each sees the others' changes when it reads.
 * Threads:  one at a time. Calls wait for the disk.
 */
struct accounts;
enum accounts_result {
    ACCOUNTS_OK,
    ACCOUNTS_EXISTS,
    ACCOUNTS_UNKNOWN,
    ACCOUNTS_BAD_ADDRESS, /* not name@domain, or no name for a folder */
    ACCOUNTS_BAD_HASH,
    ACCOUNTS_FAILED, /* the store: *error says how */
};
struct account_record {
    slice address, hash;
    uint64_t created_ms, changed_ms; /* wall clock */
};
/* Opened, made where it does not exist yet (its owner is then the folder's). NULL and *error on failure. */
MUST_CHECK struct accounts *accounts_open(const char *folder, struct text *error);
void accounts_close(struct accounts *);

/* On any result but OK a text for people is added to *error. */
MUST_CHECK enum accounts_result accounts_add(struct accounts *, slice address, slice hash, struct text *error);
MUST_CHECK enum accounts_result accounts_set_hash(struct accounts *, slice address, slice hash, struct text *error);
MUST_CHECK enum accounts_result accounts_remove(struct accounts *, slice address, struct text *error);
MUST_CHECK enum accounts_result accounts_find(struct accounts *, slice address, struct text *hash, struct text *error);
/* All, in the order of their addresses; the record lives for the call. */
MUST_CHECK bool accounts_each(struct accounts *, void (*visit)(void *context, const struct account_record *),
                              void *context, struct text *error);
/* The form in which an address is kept and compared, added to *to. False: not name@domain. */
MUST_CHECK bool account_address(slice address, struct text *to);
