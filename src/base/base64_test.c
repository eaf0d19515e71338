#include "base/base64.h"
#include "base/random.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
    slice octets, encoded;
} pairs[] = {
    /* RFC 4648 §10 */
    { LIT(""), LIT("") },
    { LIT("f"), LIT("Zg==") },
    { LIT("fo"), LIT("Zm8=") },
    { LIT("foo"), LIT("Zm9v") },
    { LIT("foob"), LIT("Zm9vYg==") },
    { LIT("fooba"), LIT("Zm9vYmE=") },
    { LIT("foobar"), LIT("Zm9vYmFy") },
    { LIT("\0ann\0secret"), LIT("AGFubgBzZWNyZXQ=") },
    { LIT("\xfb\xff\xbf"), LIT("+/+/") },
};

static void both_ways(void **state)
{
    (void)state;
    struct text t = { 0 };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        text_clear(&t);
        base64_encode(&t, pairs[i].octets);
        assert_true(slice_eq(text_slice(&t), pairs[i].encoded));
        text_clear(&t);
        text_add_byte(&t, '>'); /* what stood there stays */
        assert_true(base64_decode(&t, pairs[i].encoded));
        assert_true(slice_eq(slice_tail(text_slice(&t), 1), pairs[i].octets));
    }
    text_free(&t);
}

static void refuses(void **state)
{
    (void)state;
    static const slice bad[] = {
        LIT("Zg"),   LIT("Zg="),      LIT("Z==="),     LIT("===="),         LIT("="),    LIT("Zh=="), LIT("Zm9="),
        LIT("Zm 9"), LIT("Zm9v\r\n"), LIT("Zg==Zg=="), LIT("Zm9v\0\0\0\0"), LIT("Zm-_"), LIT("Z=g="), LIT("Zm9\xff"),
    };
    struct text t = { 0 };
    text_add_byte(&t, '>');
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(base64_decode(&t, bad[i]));
        assert_int_equal(t.len, 1);
    }
    text_free(&t);
}

static void random_rounds(void **state)
{
    (void)state;
    struct text encoded = { 0 }, decoded = { 0 };
    char octets[100];
    for (size_t len = 0; len <= sizeof(octets); len++) {
        random_octets(octets, len);
        text_clear(&encoded);
        text_clear(&decoded);
        base64_encode(&encoded, slice_from(octets, len));
        assert_true(base64_decode(&decoded, text_slice(&encoded)));
        assert_true(slice_eq(text_slice(&decoded), slice_from(octets, len)));
    }
    text_free(&encoded);
    text_free(&decoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(refuses),
        cmocka_unit_test(random_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
