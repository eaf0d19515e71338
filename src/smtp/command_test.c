#include "smtp/command.h"
#include "smtp/ehlo.h"
#include "smtp/status.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void parses_commands(void **state)
{
    (void)state;
    static const struct {
        slice line;
        enum command_error error;
        slice verb, argument;
        bool has_8bit;
    } cases[] = {
        { LIT("NOOP"), COMMAND_OK, LIT("NOOP"), LIT(""), false },
        { LIT("noop \t "), COMMAND_OK, LIT("noop"), LIT(""), false },
        { LIT("MAIL FROM:<a@b.org> SIZE=1 "), COMMAND_OK, LIT("MAIL"), LIT("FROM:<a@b.org> SIZE=1"), false },
        { LIT("EHLO   x"), COMMAND_OK, LIT("EHLO"), LIT("x"), false },
        { LIT("RCPT TO:<\xc3\xa9@b.org>"), COMMAND_OK, LIT("RCPT"), LIT("TO:<\xc3\xa9@b.org>"), true },
        { LIT("GET / HTTP/1.1"), COMMAND_OK, LIT("GET"), LIT("/ HTTP/1.1"), false },
        { LIT(""), COMMAND_EMPTY, LIT(""), LIT(""), false },
        { LIT("  \t"), COMMAND_EMPTY, LIT(""), LIT(""), false },
        { LIT(" NOOP"), COMMAND_BAD_VERB, LIT(""), LIT(""), false },
        { LIT("MAIL:<a@b.org>"), COMMAND_BAD_VERB, LIT(""), LIT(""), false },
        { LIT("AUTH1"), COMMAND_BAD_VERB, LIT(""), LIT(""), false },
        { LIT("ABCDEFGHIJKLMNOPQ"), COMMAND_BAD_VERB, LIT(""), LIT(""), false },
        { LIT("\xc3\xa9HLO"), COMMAND_BAD_VERB, LIT(""), LIT(""), false },
        { LIT("\0NOOP"), COMMAND_BAD_VERB, LIT(""), LIT(""), false },
        { LIT("NOOP\0"), COMMAND_BAD_OCTET, LIT(""), LIT(""), false },
        { LIT("MAIL\tFROM:<>"), COMMAND_BAD_OCTET, LIT(""), LIT(""), false },
        { LIT("NOOP x\nQUIT"), COMMAND_BAD_OCTET, LIT("NOOP"), LIT("x\nQUIT"), false },
        { LIT("NOOP x\rQUIT"), COMMAND_BAD_OCTET, LIT("NOOP"), LIT("x\rQUIT"), false },
        { LIT("NOOP x\x7f" "y"), COMMAND_BAD_OCTET, LIT("NOOP"), LIT("x\x7f" "y"), false },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct command command;
        assert_int_equal(command_parse(cases[i].line, &command), cases[i].error);
        assert_true(slice_eq(command.verb, cases[i].verb));
        assert_true(slice_eq(command.argument, cases[i].argument));
        assert_int_equal(command.has_8bit, cases[i].has_8bit);
    }
}

static void cuts_keywords(void **state)
{
    (void)state;
    slice argument = SLICE("from:  <a@b.org>");
    bool had_space;
    assert_true(command_cut_keyword(&argument, SLICE("FROM:"), &had_space));
    assert_true(had_space);
    assert_true(slice_eq(argument, SLICE("<a@b.org>")));
    assert_false(command_cut_keyword(&argument, SLICE("FROM:"), NULL));
    argument = SLICE("FROM :<a@b.org>");
    assert_false(command_cut_keyword(&argument, SLICE("FROM:"), NULL));
    argument = SLICE("TO:");
    assert_true(command_cut_keyword(&argument, SLICE("TO:"), &had_space));
    assert_false(had_space);
    assert_int_equal(argument.len, 0);
}

static void parses_statuses(void **state)
{
    (void)state;
    static const struct {
        slice text;
        bool found;
        struct status status;
        slice rest;
    } cases[] = {
        { LIT("5.1.1 no such user"), true, { 5, 1, 1 }, LIT("no such user") },
        { LIT("2.0.0"), true, { 2, 0, 0 }, LIT("") },
        { LIT("4.7.999 x"), true, { 4, 7, 999 }, LIT("x") },
        { LIT("5.7.1  two spaces"), true, { 5, 7, 1 }, LIT(" two spaces") },
        { LIT("5.7.1234 x"), false, { 0 }, { 0 } },
        { LIT("3.0.0 x"), false, { 0 }, { 0 } },
        { LIT("5.1.1x"), false, { 0 }, { 0 } },
        { LIT("5.1.1.1 x"), false, { 0 }, { 0 } },
        { LIT("5.1"), false, { 0 }, { 0 } },
        { LIT("5.1."), false, { 0 }, { 0 } },
        { LIT("5..1"), false, { 0 }, { 0 } },
        { LIT("51.1.1"), false, { 0 }, { 0 } },
        { LIT(""), false, { 0 }, { 0 } },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct status status = { 0 };
        slice rest = { 0 };
        assert_int_equal(status_parse(cases[i].text, &status, &rest), cases[i].found);
        assert_true(status_is(status, cases[i].status.class, cases[i].status.subject, cases[i].status.detail));
        assert_true(slice_eq(rest, cases[i].rest));
    }
}

static void parses_ehlo(void **state)
{
    (void)state;
    static const struct {
        slice text;
        unsigned extensions;
        uint64_t size_max;
        slice auth, name;
    } cases[] = {
        { LIT("mx.example.org at your service\nSIZE 35882577\n8BITMIME\nSTARTTLS\nENHANCEDSTATUSCODES\nPIPELINING\nCHUNKING\nSMTPUTF8"),
          EXTENSION_SIZE | EXTENSION_8BITMIME | EXTENSION_STARTTLS | EXTENSION_ENHANCEDSTATUSCODES | EXTENSION_PIPELINING |
              EXTENSION_CHUNKING | EXTENSION_SMTPUTF8,
          35882577, LIT(""), LIT("mx.example.org") },
        { LIT("mx\nauth plain LOGIN\ndsn\nX-UNKNOWN a b"), EXTENSION_AUTH | EXTENSION_DSN, 0, LIT("plain LOGIN"), LIT("mx") },
        { LIT("mx\nAUTH=LOGIN PLAIN"), EXTENSION_AUTH, 0, LIT("LOGIN PLAIN"), LIT("mx") },
        { LIT("mx\nAUTH PLAIN\nAUTH=LOGIN"), EXTENSION_AUTH, 0, LIT("PLAIN"), LIT("mx") },
        { LIT("mx\nSIZE"), EXTENSION_SIZE, 0, LIT(""), LIT("mx") },
        { LIT("mx\nSIZE lots"), EXTENSION_SIZE, 0, LIT(""), LIT("mx") },
        { LIT("mx\nSIZE 99999999999999999999999"), EXTENSION_SIZE, 0, LIT(""), LIT("mx") },
        { LIT("STARTTLS"), 0, 0, LIT(""), LIT("STARTTLS") }, /* the first line is the greeting */
        { LIT(""), 0, 0, LIT(""), LIT("") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ehlo ehlo;
        ehlo_parse(cases[i].text, &ehlo);
        assert_int_equal(ehlo.extensions, cases[i].extensions);
        assert_int_equal(ehlo.size_max, cases[i].size_max);
        assert_true(slice_eq(ehlo.auth, cases[i].auth));
        assert_true(slice_eq(ehlo.name, cases[i].name));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_commands),
        cmocka_unit_test(cuts_keywords),
        cmocka_unit_test(parses_statuses),
        cmocka_unit_test(parses_ehlo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
