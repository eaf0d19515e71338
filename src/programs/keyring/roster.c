#include "programs/keyring/roster.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include <sodium.h>

#define REMEMBERED_MS MINUTES(5)

void roster_init(struct roster *roster)
{
    *roster = (struct roster){ 0 };
    random_octets(roster->key, sizeof roster->key);
}

static void account_free(struct roster_account *account)
{
    if (!account)
        return;
    memory_wipe(account->octets, account->octet_count);
    memory_free(account);
}

static void free_accounts(struct map *accounts)
{
    size_t position = 0;
    for (struct roster_account *account; (account = map_next(accounts, &position));)
        account_free(account);
    map_free(accounts);
}

void roster_free(struct roster *roster)
{
    free_accounts(&roster->accounts);
    memory_wipe(roster->key, sizeof roster->key);
}

static slice place(struct roster_account *account, slice s)
{
    char *to = account->octets + account->octet_count;
    if (s.len)
        memcpy(to, s.ptr, s.len);
    account->octet_count += s.len;
    return slice_from(to, s.len);
}

static void put(struct map *accounts, slice given, slice hash, slice password, bool is_configured)
{
    struct text address = { 0 };
    if (account_address(given, &address)) {
        struct roster_account *account = memory_new(sizeof(*account) + address.len + hash.len + password.len);
        account->address = place(account, text_slice(&address));
        account->hash = place(account, hash);
        account->password = place(account, password);
        account->is_configured = is_configured;
        account_free(map_set(accounts, account->address, account));
    }
    text_free(&address);
}

static void put_record(void *context, const struct account_record *record)
{
    put(context, record->address, record->hash, (slice){ 0 }, false);
}

bool roster_load(struct roster *roster, const struct config *config, struct accounts *store, struct text *error)
{
    struct map accounts = { 0 };
    if (!accounts_each(store, put_record, &accounts, error)) {
        free_accounts(&accounts);
        return false;
    }
    for (size_t i = 0; i < config->account_count; i++) {
        const struct config_account *account = &config->accounts[i];
        put(&accounts, account->address, account->password_hash, account->password, true);
    }
    free_accounts(&roster->accounts);
    roster->accounts = accounts;
    return true;
}

void roster_set(struct roster *roster, slice address, slice hash)
{
    put(&roster->accounts, address, hash, (slice){ 0 }, false);
}

void roster_remove(struct roster *roster, slice name)
{
    struct roster_account *account = roster_find(roster, name);
    if (account)
        account_free(map_remove(&roster->accounts, account->address));
}

struct roster_account *roster_find(const struct roster *roster, slice name)
{
    struct text address = { 0 };
    struct roster_account *account = NULL;
    if (account_address(name, &address))
        account = map_get(&roster->accounts, text_slice(&address));
    text_free(&address);
    return account;
}

void roster_add_names(const struct roster *roster, struct text *names)
{
    size_t position = 0;
    for (const struct roster_account *account; (account = map_next(&roster->accounts, &position));) {
        text_add(names, account->address);
        text_add_byte(names, '\n');
    }
}

static void digest(const struct roster *roster, slice password, uint8_t to[ROSTER_DIGEST_OCTETS])
{
    crypto_generichash(to, ROSTER_DIGEST_OCTETS, (const unsigned char *)password.ptr, password.len, roster->key,
                       sizeof roster->key);
}

bool roster_knows(const struct roster *roster, const struct roster_account *account, slice password, uint64_t now_ms)
{
    uint8_t given[ROSTER_DIGEST_OCTETS], right[ROSTER_DIGEST_OCTETS];
    digest(roster, password, given);
    if (account->password.len) {
        digest(roster, account->password, right);
        return memory_equal_constant_time(given, right, sizeof given);
    }
    return account->verified_until_ms > now_ms && memory_equal_constant_time(given, account->verified, sizeof given);
}

void roster_remember(const struct roster *roster, struct roster_account *account, slice password, uint64_t now_ms)
{
    digest(roster, password, account->verified);
    account->verified_until_ms = now_ms + REMEMBERED_MS;
}
