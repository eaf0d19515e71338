#include "programs/keyring/password.h"
#include "base/memory.h"
#include <crypt.h>
#include <sodium.h>

static const slice crypt_prefixes[] = {
    LIT("$y$"), LIT("$gy$"), LIT("$7$"), LIT("$2a$"), LIT("$2b$"), LIT("$2x$"), LIT("$2y$"), LIT("$6$"), LIT("$5$"),
};
static const slice argon2_prefix = LIT("$argon2id$");

bool password_is_acceptable(slice password)
{
    return password.len > 0 && password.len <= PASSWORD_MAX && slice_find_byte(password, '\0') == SLICE_NOT_FOUND;
}

static bool is_argon2(slice hash)
{
    return slice_starts_with(hash, argon2_prefix) && hash.len < crypto_pwhash_STRBYTES;
}

static bool is_crypt(slice hash)
{
    for (size_t i = 0; i < COUNT(crypt_prefixes); i++)
        if (slice_starts_with(hash, crypt_prefixes[i]))
            return true;
    return false;
}

static bool is_printable(slice hash)
{
    for (size_t i = 0; i < hash.len; i++)
        if (hash.ptr[i] <= ' ' || hash.ptr[i] > '~' || hash.ptr[i] == ':')
            return false;
    return true;
}

bool password_hash_is_known(slice hash)
{
    return hash.len <= PASSWORD_HASH_MAX && is_printable(hash) && (is_crypt(hash) || is_argon2(hash));
}

bool password_hash_is_lock(slice hash) { return slice_eq(hash, SLICE("*")); }

/* The work area is 32 KiB and full of secrets: not on the stack, and wiped. */
static char *hash_with(struct crypt_data *data, const char *password, const char *setting)
{
    char *hash = crypt_r(password, setting, data);
    return hash && hash[0] != '*' ? hash : NULL;
}

bool password_make_hash(slice password, struct text *to)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (!password_is_acceptable(password) || !crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting))
        return false;
    struct crypt_data *data = MEMORY_NEW(struct crypt_data);
    char *words = memory_copy_cstr(password.ptr, password.len);
    const char *hash = hash_with(data, words, setting);
    if (hash)
        text_add_cstr(to, hash);
    memory_wipe(words, password.len);
    memory_wipe(data, sizeof *data);
    memory_free(words);
    memory_free(data);
    return hash != NULL;
}

static bool verify_crypt(const char *password, slice hash)
{
    struct crypt_data *data = MEMORY_NEW(struct crypt_data);
    char *setting = memory_copy_cstr(hash.ptr, hash.len);
    const char *made = hash_with(data, password, setting);
    bool ok = made && strlen(made) == hash.len && memory_equal_constant_time(made, hash.ptr, hash.len);
    memory_wipe(data, sizeof *data);
    memory_free(setting);
    memory_free(data);
    return ok;
}

static bool verify_argon2(slice password, slice hash)
{
    char setting[crypto_pwhash_STRBYTES] = { 0 }; /* libsodium reads all of it */
    memcpy(setting, hash.ptr, hash.len);
    return sodium_init() >= 0 && crypto_pwhash_str_verify(setting, password.ptr, password.len) == 0;
}

bool password_verify(slice password, slice hash)
{
    if (!password_is_acceptable(password) || !password_hash_is_known(hash))
        return false;
    if (is_argon2(hash))
        return verify_argon2(password, hash);
    char *words = memory_copy_cstr(password.ptr, password.len);
    bool ok = verify_crypt(words, hash);
    memory_wipe(words, password.len);
    memory_free(words);
    return ok;
}
