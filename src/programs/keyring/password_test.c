#include "base/memory.h"
#include "programs/keyring/password.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SHA512 "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"
#define ARGON2 "$argon2id$v=19$m=8,t=1,p=1$SeFCwltY8eRAJQNsqS6CYw$Un3aTKGfNfXmK+zFWxYsm8pvR34hMV0Skjm8E80Q+MM"

/* The hashes were made by Python's crypt module and by libsodium. */
static const struct {
    const char *name;
    slice password, hash;
    bool ok;
} cases[] = {
    { "sha512crypt", LIT("secret"), LIT(SHA512), true },
    { "sha512crypt, wrong", LIT("Secret"), LIT(SHA512), false },
    { "sha512crypt, more behind", LIT("secret "), LIT(SHA512), false },
    { "sha512crypt, hash cut short", LIT("secret"), { SHA512, sizeof(SHA512) - 2 }, false },
    { "sha512crypt, hash longer", LIT("secret"), LIT(SHA512 "1"), false },
    { "sha256crypt", LIT("secret"), LIT("$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA"), true },
    { "bcrypt", LIT("secret"), LIT("$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"), true },
    { "bcrypt, wrong", LIT("secreT"), LIT("$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"), false },
    { "argon2id", LIT("secret"), LIT(ARGON2), true },
    { "argon2id, wrong", LIT("secrets"), LIT(ARGON2), false },
    { "argon2id, cut short", LIT("secret"), LIT("$argon2id$v=19$m=8,t=1,p=1$SeFCwltY8eRAJQNsqS6CYw"), false },
    { "argon2id alone", LIT("secret"), LIT("$argon2id$"), false },
    { "NUL behind", LIT("secret\0"), LIT(SHA512), false },
    { "empty password", LIT(""), LIT(SHA512), false },
    { "md5crypt is too weak", LIT("secret"), LIT("$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/"), false },
    { "DES is too weak", LIT("secret"), LIT("abJnggxhB/yWI"), false },
    { "locked", LIT("*"), LIT("*"), false },
    { "empty hash", LIT("secret"), LIT(""), false },
    { "prefix alone", LIT("secret"), LIT("$y$"), false },
    { "NUL in the hash", LIT("secret"), LIT("$6$salt\0salt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n"), false },
    { "colon in the hash", LIT("secret"), LIT("$6$salt:alt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy"),
      false },
};

static void test_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (password_verify(cases[i].password, cases[i].hash) != cases[i].ok)
            fail_msg("%s", cases[i].name);
}

static void test_own_hashes(void **state)
{
    (void)state;
    struct text one = { 0 }, two = { 0 };
    assert_true(password_make_hash(SLICE("p\xc3\xa4ssword"), &one));
    assert_true(password_make_hash(SLICE("p\xc3\xa4ssword"), &two));
    assert_true(slice_starts_with(text_slice(&one), SLICE("$y$")));
    assert_false(slice_eq(text_slice(&one), text_slice(&two)));
    assert_true(password_hash_is_known(text_slice(&one)));
    assert_true(password_verify(SLICE("p\xc3\xa4ssword"), text_slice(&one)));
    assert_true(password_verify(SLICE("p\xc3\xa4ssword"), text_slice(&two)));
    assert_false(password_verify(SLICE("password"), text_slice(&two)));
    text_free(&one);
    text_free(&two);
}

static void test_what_is_acceptable(void **state)
{
    (void)state;
    char longest[PASSWORD_MAX + 1];
    memset(longest, 'x', sizeof longest);
    struct text hash = { 0 };
    assert_true(password_is_acceptable(slice_from(longest, PASSWORD_MAX)));
    assert_false(password_is_acceptable(slice_from(longest, PASSWORD_MAX + 1)));
    assert_false(password_is_acceptable(SLICE("a\0b")));
    assert_false(password_make_hash(SLICE(""), &hash));
    assert_false(password_make_hash(SLICE("a\0b"), &hash));
    assert_int_equal(hash.len, 0);
    /* all octets count: no kind of ours cuts a long password off */
    assert_true(password_make_hash(slice_from(longest, PASSWORD_MAX), &hash));
    longest[PASSWORD_MAX - 1] = 'y';
    assert_false(password_verify(slice_from(longest, PASSWORD_MAX), text_slice(&hash)));
    text_free(&hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_own_hashes),
        cmocka_unit_test(test_what_is_acceptable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
