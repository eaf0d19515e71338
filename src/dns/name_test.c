#include "dns/name.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LABEL_63 "abcdefghijklmnopqrstuvwxyz-0123456789_abcdefghijklmnopqrstuvwxy"
_Static_assert(sizeof LABEL_63 - 1 == 63, "as long as a label may be");
#define NAME_253 LABEL_63 "." LABEL_63 "." LABEL_63 ".abcdefghijklmnopqrstuvwxyz-0123456789_abcdefghijklmnopqrstuvw"
_Static_assert(sizeof NAME_253 - 1 == 253, "as long as a name may be");

static void test_from_text(void **state)
{
    (void)state;
    static const struct {
        slice text;
        bool ok;
        const char *name;
    } cases[] = {
        { LIT("example.org"), true, "example.org" },
        { LIT("Example.ORG."), true, "example.org" },
        { LIT("_25._tcp.mx-1.example.org"), true, "_25._tcp.mx-1.example.org" },
        { LIT("localhost"), true, "localhost" },
        { LIT(NAME_253), true, NAME_253 },
        { LIT(NAME_253 "."), true, NAME_253 },
        { LIT(NAME_253 "x"), false, "" },
        { LIT(LABEL_63 "z.org"), false, "" },
        { LIT(""), false, "" },
        { LIT("."), false, "" },
        { LIT(".."), false, "" },
        { LIT(".example.org"), false, "" },
        { LIT("example..org"), false, "" },
        { LIT("example.org.."), false, "" },
        { LIT("exa mple.org"), false, "" },
        { LIT("example\0.org"), false, "" },
        { LIT("b\xc3\xbc"
              "cher.example"),
          false, "" },
        { LIT("a\\.b.org"), false, "" },
        { LIT("[192.0.2.1]"), false, "" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct name name;
        assert_int_equal(name_from_text(cases[i].text, &name), cases[i].ok);
        if (cases[i].ok)
            assert_string_equal(name.text, cases[i].name);
    }
}

static void test_from_wire(void **state)
{
    (void)state;
    static const struct {
        slice wire;
        bool ok;
        const char *name;
    } cases[] = {
        { LIT("\2MX\7example\3org\0"), true, "mx.example.org" },
        { LIT("\0"), true, "" },
        { LIT(""), false, "" },
        { LIT("\2mx"), false, "" },
        { LIT("\2m"), false, "" },
        { LIT("\2mx\0x"), false, "" },
        { LIT("\300\014"), false, "" },
        { LIT("\2mx\300\014"), false, "" },
        { LIT("\3a.b\0"), false, "" },
        { LIT("\3a\nb\0"), false, "" },
        { LIT("\3a\0b\0"), false, "" },
        { LIT("\3a b\0"), false, "" },
        { LIT("\77" LABEL_63 "\77" LABEL_63 "\77" LABEL_63 "\77" LABEL_63 "\0"), false, "" },
        { LIT("\77" LABEL_63 "\77" LABEL_63 "\77" LABEL_63 "\75"
              "abcdefghijklmnopqrstuvwxyz-0123456789_abcdefghijklmnopqrstuvw\0"),
          true, NAME_253 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct name name;
        assert_int_equal(name_from_wire(cases[i].wire, &name, NULL), cases[i].ok);
        if (cases[i].ok)
            assert_string_equal(name.text, cases[i].name);
    }
    struct name name;
    slice rest;
    assert_true(name_from_wire(SLICE("\1a\0more"), &name, &rest));
    assert_true(slice_eq(rest, SLICE("more")));
}

static void test_from_address(void **state)
{
    (void)state;
    static const struct {
        slice address;
        const char *name;
    } cases[] = {
        { LIT("192.0.2.1"), "1.2.0.192.in-addr.arpa" },
        { LIT("255.254.253.252"), "252.253.254.255.in-addr.arpa" },
        { LIT("2001:db8::567:89ab"), "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa" },
        { LIT("::ffff:192.0.2.1"), "1.2.0.192.in-addr.arpa" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address address;
        struct name name;
        assert_true(address_parse(cases[i].address, &address));
        name_from_address(&address, &name);
        assert_string_equal(name.text, cases[i].name);
        assert_int_equal(name.len, strlen(cases[i].name));
    }
}

static void test_rdata(void **state)
{
    (void)state;
    struct mx_data mx;
    assert_true(mx_data_parse(SLICE("\x12\x34\2mx\0"), &mx));
    assert_int_equal(mx.preference, 0x1234);
    assert_string_equal(mx.host.text, "mx");
    assert_true(mx_data_parse(SLICE("\0\0\0"), &mx));
    assert_int_equal(mx.host.len, 0);
    assert_false(mx_data_parse(SLICE("\0\0"), &mx));
    assert_false(mx_data_parse(SLICE("\0"), &mx));
    assert_false(mx_data_parse(SLICE(""), &mx));
    assert_false(mx_data_parse(SLICE("\0\0\2mx\0\0"), &mx));

    struct address address, wanted;
    assert_true(address_data_parse(SLICE("\300\0\2\1"), &address));
    assert_true(address_parse(SLICE("192.0.2.1"), &wanted));
    assert_true(address_eq(&address, &wanted));
    assert_true(address_data_parse(SLICE("\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), &address));
    assert_true(address_is_v6(&address));
    assert_false(address_data_parse(SLICE("\300\0\2"), &address));
    assert_false(address_data_parse(SLICE(""), &address));
    assert_false(address_data_parse(SLICE("\300\0\2\1\1"), &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_text),
        cmocka_unit_test(test_from_wire),
        cmocka_unit_test(test_from_address),
        cmocka_unit_test(test_rdata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
