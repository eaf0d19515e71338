#include "smtp/parameters.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void iterates(void **state)
{
    (void)state;
    static const struct {
        slice rest, keyword, value;
        enum parameter_result result;
        slice left;
    } cases[] = {
        { LIT(" SIZE=10 BODY=7BIT"), LIT("SIZE"), LIT("10"), PARAMETER_OK, LIT(" BODY=7BIT") },
        { LIT("  SMTPUTF8"), LIT("SMTPUTF8"), LIT(""), PARAMETER_OK, LIT("") },
        { LIT(" X-9-a=!~<>\"@"), LIT("X-9-a"), LIT("!~<>\"@"), PARAMETER_OK, LIT("") },
        { LIT(" 8x=\xc3\xa9"), LIT("8x"), LIT("\xc3\xa9"), PARAMETER_OK, LIT("") },
        { LIT(""), { 0 }, { 0 }, PARAMETER_END, LIT("") },
        { LIT("   "), { 0 }, { 0 }, PARAMETER_END, LIT("   ") },
        { LIT("SIZE=10"), { 0 }, { 0 }, PARAMETER_BAD, LIT("") },
        { LIT(" SIZE="), { 0 }, { 0 }, PARAMETER_BAD, LIT("") },
        { LIT(" =10"), { 0 }, { 0 }, PARAMETER_BAD, LIT("") },
        { LIT(" -a=10"), { 0 }, { 0 }, PARAMETER_BAD, LIT("") },
        { LIT(" a=b=c"), { 0 }, { 0 }, PARAMETER_BAD, LIT("") },
        { LIT(" a_b"), { 0 }, { 0 }, PARAMETER_BAD, LIT("") },
        { LIT(" a=b\0c"), { 0 }, { 0 }, PARAMETER_BAD, LIT("") },
        { LIT(" a=b\tc"), { 0 }, { 0 }, PARAMETER_BAD, LIT("") },
        { LIT(" a=b\x7f"), { 0 }, { 0 }, PARAMETER_BAD, LIT("") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        slice rest = cases[i].rest;
        struct parameter parameter;
        assert_int_equal(parameter_next(&rest, &parameter), cases[i].result);
        if (cases[i].result != PARAMETER_OK)
            continue;
        assert_true(slice_eq(parameter.keyword, cases[i].keyword));
        assert_true(slice_eq(parameter.value, cases[i].value));
        assert_int_equal(parameter.has_value, cases[i].value.len > 0);
        assert_true(slice_eq(rest, cases[i].left));
    }
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        slice value;
        bool ok;
        uint64_t octets;
    } cases[] = {
        { LIT("0"), true, 0 },
        { LIT("0010"), true, 10 },
        { LIT("18446744073709551615"), true, UINT64_MAX },
        { LIT("18446744073709551616"), true, UINT64_MAX },
        { LIT("99999999999999999999"), true, UINT64_MAX },
        { LIT("100000000000000000000"), false, 0 },
        { LIT("000000000000000000001"), false, 0 },
        { LIT(""), false, 0 },
        { LIT("-1"), false, 0 },
        { LIT("1K"), false, 0 },
        { LIT("1\0"), false, 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t octets = 0;
        assert_int_equal(parameter_size(cases[i].value, &octets), cases[i].ok);
        assert_true(octets == cases[i].octets);
    }
}

static void words(void **state)
{
    (void)state;
    enum body_type body;
    enum dsn_return dsn_return;
    assert_true(parameter_body(SLICE("8bitMIME"), &body) && body == BODY_8BITMIME);
    assert_true(parameter_body(SLICE("7BIT"), &body) && body == BODY_7BIT);
    assert_true(parameter_body(SLICE("BINARYMIME"), &body) && body == BODY_BINARYMIME);
    assert_false(parameter_body(SLICE("8BIT"), &body));
    assert_true(parameter_ret(SLICE("full"), &dsn_return) && dsn_return == DSN_RETURN_FULL);
    assert_true(parameter_ret(SLICE("HDRS"), &dsn_return) && dsn_return == DSN_RETURN_HEADERS);
    assert_false(parameter_ret(SLICE("HEADERS"), &dsn_return));
    static const struct {
        slice value;
        bool ok;
        unsigned notify;
    } cases[] = {
        { LIT("NEVER"), true, NOTIFY_NEVER },
        { LIT("success,Failure,DELAY"), true, NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY },
        { LIT("FAILURE,FAILURE"), true, NOTIFY_FAILURE },
        { LIT("NEVER,FAILURE"), false, 0 },
        { LIT("FAILURE,"), false, 0 },
        { LIT(",FAILURE"), false, 0 },
        { LIT("FAILURE, DELAY"), false, 0 },
        { LIT("ALWAYS"), false, 0 },
        { LIT(""), false, 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned notify = 0;
        assert_int_equal(parameter_notify(cases[i].value, &notify), cases[i].ok);
        assert_int_equal(notify, cases[i].notify);
    }
}

static void decoded_values(void **state)
{
    (void)state;
    static const struct {
        bool (*parse)(slice, struct text *);
        slice value;
        bool ok;
        slice decoded;
    } cases[] = {
        { parameter_envid, LIT("QQ314159"), true, LIT("QQ314159") },
        { parameter_envid, LIT("a+2Bb+3Dc+20d"), true, LIT("a+b=c d") },
        { parameter_envid, LIT("a+0D+0ABcc:+20x"), false, LIT("") },
        { parameter_envid, LIT("a+2b"), false, LIT("") }, /* hexadecimal digits are upper case */
        { parameter_envid, LIT("a+2"), false, LIT("") },
        { parameter_envid, LIT("a+"), false, LIT("") },
        { parameter_envid, LIT("a+E9"), false, LIT("") },
        { parameter_envid, LIT("a=b"), false, LIT("") },
        { parameter_envid, LIT("a b"), false, LIT("") },
        { parameter_envid, LIT(""), false, LIT("") },
        { parameter_orcpt, LIT("rfc822;Bob@Example.COM"), true, LIT("rfc822;Bob@Example.COM") },
        { parameter_orcpt, LIT("RFC822;a+2Bb@c.org"), true, LIT("RFC822;a+b@c.org") },
        { parameter_orcpt, LIT("utf-8;\\x{E9}@c.org"), true, LIT("utf-8;\\x{E9}@c.org") },
        { parameter_orcpt, LIT("x400;/a+3Db;c"), true, LIT("x400;/a=b;c") },
        { parameter_orcpt, LIT("bob@example.com"), false, LIT("") },
        { parameter_orcpt, LIT(";bob@example.com"), false, LIT("") },
        { parameter_orcpt, LIT("rfc822;"), false, LIT("") },
        { parameter_orcpt, LIT("rfc 822;a"), false, LIT("") },
        { parameter_orcpt, LIT("rfc822;a+0Ab"), false, LIT("") },
        { parameter_auth, LIT("<>"), true, LIT("<>") },
        { parameter_auth, LIT("e+3Dmc2@example.com"), true, LIT("e=mc2@example.com") },
        { parameter_auth, LIT("ann"), false, LIT("") },
        { parameter_auth, LIT("<ann@example.com>"), false, LIT("") },
        { parameter_auth, LIT(""), false, LIT("") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text decoded = { 0 };
        text_add(&decoded, SLICE("before"));
        assert_int_equal(cases[i].parse(cases[i].value, &decoded), cases[i].ok);
        assert_true(slice_eq(slice_tail(text_slice(&decoded), 6), cases[i].decoded));
        text_free(&decoded);
    }
}

static void lengths(void **state)
{
    (void)state;
    struct text value = { 0 }, decoded = { 0 };
    for (int i = 0; i < ENVID_MAX; i++)
        text_add_byte(&value, 'x');
    assert_true(parameter_envid(text_slice(&value), &decoded));
    text_add_byte(&value, 'x');
    assert_false(parameter_envid(text_slice(&value), &decoded));
    text_clear(&value);
    text_add(&value, SLICE("rfc822;"));
    while (value.len < ORCPT_MAX)
        text_add_byte(&value, 'x');
    assert_true(parameter_orcpt(text_slice(&value), &decoded));
    text_add_byte(&value, 'x');
    assert_false(parameter_orcpt(text_slice(&value), &decoded));
    text_free(&value);
    text_free(&decoded);
}

static void xtext_there_and_back(void **state)
{
    (void)state;
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    struct text encoded = { 0 }, decoded = { 0 };
    xtext_encode(&encoded, slice_from(all, sizeof(all)));
    assert_true(xtext_decode(&decoded, text_slice(&encoded)));
    assert_true(slice_eq(text_slice(&decoded), slice_from(all, sizeof(all))));
    text_clear(&encoded);
    xtext_encode(&encoded, SLICE("a+b=c d\r\xff"));
    assert_true(slice_eq(text_slice(&encoded), SLICE("a+2Bb+3Dc+20d+0D+FF")));
    text_free(&encoded);
    text_free(&decoded);
}

static void client_writes(void **state)
{
    (void)state;
    struct envelope e = { .dsn_return = DSN_RETURN_HEADERS, .envelope_id = SLICE("a=b"), .smtputf8 = true };
    struct recipient aliased = { .forward_path = { SLICE("ann"), SLICE("b.org") }, .original = { SLICE("i+nfo"), SLICE("a.org") } };
    struct recipient plain = { .forward_path = { SLICE("ann"), SLICE("b.org") }, .original = { SLICE("ann"), SLICE("b.org") },
                               .original_recipient = SLICE("RFC822;Ann+x@B.org"), .notify = NOTIFY_SUCCESS | NOTIFY_DELAY };
    struct text text = { 0 };
    text_add_mail_parameters(&text, &e, 123, true, EXTENSION_SIZE | EXTENSION_8BITMIME | EXTENSION_DSN | EXTENSION_SMTPUTF8);
    assert_true(slice_eq(text_slice(&text), SLICE(" SIZE=123 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+3Db")));
    text_clear(&text);
    text_add_mail_parameters(&text, &e, 123, true, 0);
    text_add_rcpt_parameters(&text, &plain, EXTENSION_SIZE);
    assert_int_equal(text.len, 0);
    text_add_mail_parameters(&text, &(struct envelope){ 0 }, 5, false, EXTENSION_DSN | EXTENSION_8BITMIME | EXTENSION_SMTPUTF8);
    assert_int_equal(text.len, 0);
    text_add_rcpt_parameters(&text, &plain, EXTENSION_DSN);
    assert_true(slice_eq(text_slice(&text), SLICE(" NOTIFY=SUCCESS,DELAY ORCPT=RFC822;Ann+2Bx@B.org")));
    text_clear(&text);
    text_add_rcpt_parameters(&text, &aliased, EXTENSION_DSN);
    assert_true(slice_eq(text_slice(&text), SLICE(" ORCPT=rfc822;i+2Bnfo@a.org")));
    text_free(&text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(iterates),       cmocka_unit_test(sizes),   cmocka_unit_test(words),
        cmocka_unit_test(decoded_values), cmocka_unit_test(lengths), cmocka_unit_test(xtext_there_and_back),
        cmocka_unit_test(client_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
