#include "smtp/path.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define REPEAT_8(s) s s s s s s s s
#define LOCAL_64 REPEAT_8("abcdefgh")
#define LABEL_63 REPEAT_8("abcdefg") "abcdefg"

static void parses_paths(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        slice input;
        bool utf8;
        enum path_error error;
        slice local_part, domain, rest;
    } cases[] = {
        { "mailbox", LIT("<ann@example.org>"), false, PATH_OK, LIT("ann"), LIT("example.org"), LIT("") },
        { "null sender", LIT("<>"), false, PATH_OK, LIT(""), LIT(""), LIT("") },
        { "null sender with parameters", LIT("<> BODY=7BIT"), false, PATH_OK, LIT(""), LIT(""), LIT(" BODY=7BIT") },
        { "parameters follow", LIT("<a@b.org> SIZE=9"), false, PATH_OK, LIT("a"), LIT("b.org"), LIT(" SIZE=9") },
        { "something sticks to it", LIT("<a@b.org>SIZE=9"), false, PATH_OK, LIT("a"), LIT("b.org"), LIT("SIZE=9") },
        { "all of atext", LIT("<a!#$%&'*+-/=?^_`{|}~9@b.org>"), false, PATH_OK, LIT("a!#$%&'*+-/=?^_`{|}~9"), LIT("b.org"), LIT("") },
        { "dots", LIT("<a.b.c@b.org>"), false, PATH_OK, LIT("a.b.c"), LIT("b.org"), LIT("") },
        { "quoted", LIT("<\"a b\"@b.org>"), false, PATH_OK, LIT("\"a b\""), LIT("b.org"), LIT("") },
        { "quoted, with everything", LIT("<\"a>@<,\\\"\\\\b\"@b.org>"), false, PATH_OK, LIT("\"a>@<,\\\"\\\\b\""), LIT("b.org"), LIT("") },
        { "quoted, empty", LIT("<\"\"@b.org>"), false, PATH_OK, LIT("\"\""), LIT("b.org"), LIT("") },
        { "one label", LIT("<a@localhost>"), false, PATH_OK, LIT("a"), LIT("localhost"), LIT("") },
        { "underscore", LIT("<a@my_host.example>"), false, PATH_OK, LIT("a"), LIT("my_host.example"), LIT("") },
        { "IPv4 literal", LIT("<a@[192.0.2.1]>"), false, PATH_OK, LIT("a"), LIT("[192.0.2.1]"), LIT("") },
        { "IPv6 literal", LIT("<a@[IPv6:2001:db8::1]> X"), false, PATH_OK, LIT("a"), LIT("[IPv6:2001:db8::1]"), LIT(" X") },
        { "IPv6 literal, lower case tag", LIT("<a@[ipv6:::1]>"), false, PATH_OK, LIT("a"), LIT("[ipv6:::1]"), LIT("") },
        { "source route", LIT("<@x.org,@y.org:a@b.org>"), false, PATH_OK, LIT("a"), LIT("b.org"), LIT("") },
        { "source route to a literal", LIT("<@x.org:a@[IPv6:::1]>"), false, PATH_OK, LIT("a"), LIT("[IPv6:::1]"), LIT("") },
        { "postmaster", LIT("<PostMaster>"), false, PATH_OK, LIT("PostMaster"), LIT(""), LIT("") },
        { "longest local part", LIT("<" LOCAL_64 "@b.org>"), false, PATH_OK, LIT(LOCAL_64), LIT("b.org"), LIT("") },
        { "longest label", LIT("<a@" LABEL_63 ".org>"), false, PATH_OK, LIT("a"), LIT(LABEL_63 ".org"), LIT("") },
        { "UTF-8", LIT("<\xc3\xa9@\xc3\xbc.org>"), true, PATH_OK, LIT("\xc3\xa9"), LIT("\xc3\xbc.org"), LIT("") },

        { "UTF-8 not allowed: local part", LIT("<\xc3\xa9@b.org>"), false, PATH_NEEDS_UTF8, {0}, {0}, {0} },
        { "UTF-8 not allowed: domain", LIT("<a@\xc3\xbc.org>"), false, PATH_NEEDS_UTF8, {0}, {0}, {0} },
        { "Latin-1", LIT("<\xe9@b.org>"), true, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "Latin-1 domain", LIT("<a@\xe9.org>"), true, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "NUL inside", LIT("<a\0b@c.org>"), false, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "NUL in the domain", LIT("<a@c.org\0>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "NUL quoted", LIT("<\"a\0\"@c.org>"), false, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "LF quoted", LIT("<\"a\n\"@c.org>"), false, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "LF quoted by a backslash", LIT("<\"a\\\n\"@c.org>"), false, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "cut short", LIT("<ann@exa"), false, PATH_NO_BRACKETS, {0}, {0}, {0} },
        { "cut in a quote", LIT("<\"ann"), false, PATH_NO_BRACKETS, {0}, {0}, {0} },
        { "bracket only in a quote", LIT("<\"a>\"@b.org"), false, PATH_NO_BRACKETS, {0}, {0}, {0} },
        { "quote not ended", LIT("<\"a>"), false, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "backslash at the end", LIT("<\"a\\>"), false, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "no brackets", LIT("ann@example.org"), false, PATH_NO_BRACKETS, {0}, {0}, {0} },
        { "empty", LIT(""), false, PATH_NO_BRACKETS, {0}, {0}, {0} },
        { "only the bracket", LIT("<"), false, PATH_NO_BRACKETS, {0}, {0}, {0} },
        { "display name", LIT("Ann <ann@example.org>"), false, PATH_NO_BRACKETS, {0}, {0}, {0} },
        { "space before", LIT("< a@b.org>"), false, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "space inside", LIT("<a b@b.org>"), false, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "space behind", LIT("<a@b.org >"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "dot first", LIT("<.a@b.org>"), false, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "dot last", LIT("<a.@b.org>"), false, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "two dots", LIT("<a..b@b.org>"), false, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "no local part", LIT("<@b.org>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "quote and more", LIT("<\"a\"b@b.org>"), false, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "two @", LIT("<a@b@c.org>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "no domain", LIT("<ann>"), false, PATH_NO_DOMAIN, {0}, {0}, {0} },
        { "empty domain", LIT("<ann@>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "empty label", LIT("<a@b..org>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "dot at the end", LIT("<a@b.org.>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "hyphen first", LIT("<a@-b.org>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "hyphen last", LIT("<a@b-.org>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "CR in the domain", LIT("<a@b.org\r>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "label too long", LIT("<a@" LABEL_63 "h.org>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "local part too long", LIT("<" LOCAL_64 "i@b.org>"), false, PATH_TOO_LONG, {0}, {0}, {0} },
        { "path too long", LIT("<" LOCAL_64 "@" LABEL_63 "." LABEL_63 "." LABEL_63 ".org>"), false, PATH_TOO_LONG, {0}, {0}, {0} },
        { "bad literal", LIT("<a@[192.0.2.256]>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "literal not closed", LIT("<a@[192.0.2.1>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "IPv6 without tag", LIT("<a@[::1]>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "IPv4 with IPv6 tag", LIT("<a@[IPv6:192.0.2.1]>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "unknown tag", LIT("<a@[x-y:z]>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "empty literal", LIT("<a@[]>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "route without mailbox", LIT("<@x.org:>"), false, PATH_BAD_LOCAL_PART, {0}, {0}, {0} },
        { "route of nothing", LIT("<@x.org,:a@b.org>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
        { "route, bad hop", LIT("<@x..org:a@b.org>"), false, PATH_BAD_DOMAIN, {0}, {0}, {0} },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct path_parse parse = path_parse(cases[i].input, cases[i].utf8);
        print_message("%s\n", cases[i].what);
        assert_int_equal(parse.error, cases[i].error);
        assert_true(slice_eq(parse.path.local_part, cases[i].local_part));
        assert_true(slice_eq(parse.path.domain, cases[i].domain));
        assert_true(slice_eq(parse.rest, cases[i].rest));
    }
}

static void parses_mailboxes(void **state)
{
    (void)state;
    static const struct {
        slice input;
        enum path_error error;
    } cases[] = {
        { LIT("ann@example.org"), PATH_OK },          { LIT("\"a b\"@example.org"), PATH_OK },
        { LIT("postmaster"), PATH_NO_DOMAIN },        { LIT("ann"), PATH_NO_DOMAIN },
        { LIT("ann>"), PATH_BAD_LOCAL_PART },         { LIT("ann@example.org>"), PATH_BAD_DOMAIN },
        { LIT("ann@example.org "), PATH_BAD_DOMAIN }, { LIT("<ann@example.org>"), PATH_BAD_LOCAL_PART },
        { LIT(""), PATH_BAD_LOCAL_PART },             { LIT("@example.org"), PATH_BAD_LOCAL_PART },
        { LIT("ann@"), PATH_BAD_DOMAIN },             { LIT("ann@b.org,bob@b.org"), PATH_BAD_DOMAIN },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(mailbox_parse(cases[i].input, false).error, cases[i].error);
}

static void longest_path(void **state)
{
    (void)state;
    char path[] = "<" LOCAL_64 "@" LABEL_63 "." LABEL_63 "." LABEL_63 ">";
    assert_int_equal(sizeof(path) - 1, PATH_MAX_OCTETS + 2);
    assert_int_equal(path_parse(slice_from(path, sizeof(path) - 1), false).error, PATH_TOO_LONG);
    path[sizeof(path) - 4] = '>'; /* two octets less */
    assert_int_equal(path_parse(slice_from(path, sizeof(path) - 3), false).error, PATH_OK);
}

static void compares_what_paths_mean(void **state)
{
    (void)state;
    static const struct {
        struct path a, b;
        bool equal;
    } cases[] = {
        { { LIT("ann"), LIT("example.org") }, { LIT("ann"), LIT("EXAMPLE.org") }, true },
        { { LIT("ann"), LIT("example.org") }, { LIT("Ann"), LIT("example.org") }, false },
        { { LIT("\"ann\""), LIT("b") }, { LIT("ann"), LIT("b") }, true },
        { { LIT("\"a\\nn\""), LIT("b") }, { LIT("ann"), LIT("b") }, true },
        { { LIT("\"a\\\"n\""), LIT("b") }, { LIT("a\"n"), LIT("b") }, true },
        { { LIT("\"an\""), LIT("b") }, { LIT("ann"), LIT("b") }, false },
        { { LIT("\"\""), LIT("b") }, { LIT(""), LIT("b") }, true },
        { { LIT(""), LIT("") }, { LIT(""), LIT("") }, true },
        { { LIT("ann"), LIT("b") }, { LIT("ann"), LIT("c") }, false },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(path_eq(cases[i].a, cases[i].b), cases[i].equal);
        assert_int_equal(path_eq(cases[i].b, cases[i].a), cases[i].equal);
    }
    assert_true(path_is_postmaster((struct path){ SLICE("\"POST\\master\""), SLICE("b.org") }));
    assert_false(path_is_postmaster((struct path){ SLICE("postmasters"), SLICE("") }));
    assert_false(path_is_postmaster((struct path){ SLICE(""), SLICE("") }));
}

static void writes(void **state)
{
    (void)state;
    struct text text = { 0 };
    text_add_path(&text, (struct path){ SLICE("ann"), SLICE("b.org") });
    text_add_path(&text, (struct path){ { 0 }, { 0 } });
    text_add_path(&text, (struct path){ SLICE("postmaster"), { 0 } });
    text_add_mailbox(&text, (struct path){ SLICE("\"a b\""), SLICE("b.org") });
    path_add_unquoted_local_part(&text, (struct path){ SLICE("\"a\\@\\\\b\""), SLICE("b.org") });
    assert_true(slice_eq(text_slice(&text), SLICE("<ann@b.org><><postmaster>\"a b\"@b.orga@\\b")));
    text_free(&text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_paths),
        cmocka_unit_test(parses_mailboxes),
        cmocka_unit_test(longest_path),
        cmocka_unit_test(compares_what_paths_mean),
        cmocka_unit_test(writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
