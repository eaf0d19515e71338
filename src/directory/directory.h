#pragma once
#include "smtp/path.h"
/*
 * directory - who is at home: hosted domains, mailboxes (account names told by keyring), aliases, catch-all addresses,
 * address extensions. Answers RCPT at once from memory, so that an unknown user is refused before anything is accepted.
 *
 * A directory is immutable once directory_finish was called and then shared by all loops; a change makes a new one
 * (directory_hold / directory_release, any thread).
 */
struct directory;
struct directory *directory_new(void);
void directory_add_domain(struct directory *, slice name, slice catch_all, slice extension_separator);
void directory_add_alias(struct directory *, slice address, const slice *targets, size_t count);
/* Lines `name: target, target`, `#` comments, continuation by leading white space. False and *error at the first bad
 * line. */
MUST_CHECK bool directory_add_alias_text(struct directory *, slice domain, slice text, struct text *error);
void directory_add_mailbox(struct directory *, slice address); /* name@domain; of a domain not hosted: ignored */
void directory_finish(struct directory *);
struct directory *directory_hold(struct directory *);
void directory_release(struct directory *);

enum directory_answer {
    DIRECTORY_OUTSIDE, /* the domain is not ours */
    DIRECTORY_MAILBOX, /* a mailbox of ours: targets[0] is its path, extension removed */
    DIRECTORY_ALIAS,   /* goes to the targets instead (ours and outside ones, expanded to the end, without doubles) */
    DIRECTORY_UNKNOWN, /* our domain, nobody of that name */
    DIRECTORY_LOOP,    /* aliases that come back to themselves, or more than 1000 targets */
};
/* targets stand in the directory (hold it while they are used) or in `memory`; their octets in the directory always.
 * "postmaster" without a domain and at any hosted domain is always known: its alias or mailbox, else the first account's
 * (RFC 5321 §4.5.1). */
struct directory_result {
    enum directory_answer answer;
    struct path *targets;
    size_t target_count;
};
struct arena;
struct directory_result directory_find(const struct directory *, struct path, struct arena *memory);
/* An alias or mailbox was added under exactly this name (also before directory_finish). */
bool directory_has_name(const struct directory *, slice address);
bool directory_has_domain(const struct directory *, slice domain);
/* What is wrong with the aliases as a whole, for people: targets at a hosted domain that nobody answers to, loops. Mail
 * is not refused for a target that is nobody as long as another one is left. */
void directory_each_problem(const struct directory *, void (*visit)(void *context, slice alias, slice problem),
                            void *context);
/* The mailbox (hosted, no alias) that `domain`/`local part` names after removing an extension; false: none. */
bool directory_has_mailbox(const struct directory *, struct path);
