#include "message/header.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <time.h>

static void scans(void **state)
{
    (void)state;
    enum { ALL = HEADER_HAS_FROM | HEADER_HAS_DATE | HEADER_HAS_MESSAGE_ID | HEADER_HAS_SUBJECT };
    static const struct {
        const char *what;
        slice content;
        uint64_t octets;
        uint32_t received, fields;
        unsigned has;
        bool has_empty_line;
        slice message_id;
    } cases[] = {
        { "usual", LIT("From: a\r\nDATE: b\r\nmessage-id: <x@y>\r\nSubject: c\r\n\r\nReceived: body\r\n"), 51, 0, 4, ALL, true, LIT("<x@y>") },
        { "Received", LIT("Received: a\r\n\tReceived: b\r\nreceived: c\r\nReceived-SPF: d\r\n\r\n"), 59, 2, 3, 0, true, LIT("") },
        { "space before the colon", LIT("From \t: a\r\n\r\n"), 13, 0, 1, HEADER_HAS_FROM, true, LIT("") },
        { "folded id", LIT("Message-ID:\r\n <x@y>\r\n\r\n"), 23, 0, 1, HEADER_HAS_MESSAGE_ID, true, LIT("<x@y>") },
        { "only the first id", LIT("Message-ID: <1>\r\nMessage-ID: <2>\r\nX: y\r\n\r\n"), 42, 0, 3, HEADER_HAS_MESSAGE_ID, true, LIT("<1>") },
        { "nothing behind the name", LIT("Bcc:\r\n\r\n"), 8, 0, 1, HEADER_HAS_BCC, true, LIT("") },
        { "no header", LIT("\r\nhello"), 2, 0, 0, 0, true, LIT("") },
        { "empty content", LIT(""), 0, 0, 0, 0, false, LIT("") },
        { "no empty line", LIT("From: a\r\n"), 9, 0, 1, HEADER_HAS_FROM, false, LIT("") },
        { "value cut", LIT("From: a"), 7, 0, 1, HEADER_HAS_FROM, false, LIT("") },
        { "name cut", LIT("From: a\r\nTo"), 9, 0, 1, HEADER_HAS_FROM, false, LIT("") },
        { "CR at the end", LIT("From: a\r\n\r"), 9, 0, 1, HEADER_HAS_FROM, false, LIT("") },
        { "body without an empty line", LIT("From: a\r\nhello world\r\n"), 9, 0, 1, HEADER_HAS_FROM, false, LIT("") },
        { "mbox line first", LIT("From a@b Mon\r\nFrom: a\r\n\r\n"), 0, 0, 0, 0, false, LIT("") },
        { "fold first", LIT(" From: a\r\n\r\n"), 0, 0, 0, 0, false, LIT("") },
        { "colon first", LIT(": a\r\n\r\n"), 0, 0, 0, 0, false, LIT("") },
        { "bare LF is no line end", LIT("From: a\nReceived: b\r\n\r\n"), 23, 0, 1, HEADER_HAS_FROM, true, LIT("") },
        { "bare CR is no line end", LIT("From: a\rb\r\r\n\r\n"), 14, 0, 1, HEADER_HAS_FROM, true, LIT("") },
        { "NUL in a name", LIT("Fr\0om: a\r\n\r\n"), 0, 0, 0, 0, false, LIT("") },
        { "long name", LIT("Received-Received-Received-Received-Received: a\r\n\r\n"), 51, 0, 1, 0, true, LIT("") },
        { "8-bit name", LIT("Subj\xc3\xa9: a\r\n\r\n"), 0, 0, 0, 0, false, LIT("") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("%s\n", cases[i].what);
        for (size_t piece = 1; piece <= cases[i].content.len + 1; piece++) {
            struct header_scan scan = { 0 };
            for (size_t at = 0; at < cases[i].content.len; at += piece)
                header_scan_feed(&scan, slice_head(slice_tail(cases[i].content, at), piece));
            header_scan_end(&scan);
            assert_int_equal(scan.octets, cases[i].octets);
            assert_int_equal(scan.received_count, cases[i].received);
            assert_int_equal(scan.field_count, cases[i].fields);
            assert_int_equal(scan.has, cases[i].has);
            assert_int_equal(scan.has_empty_line, cases[i].has_empty_line);
            assert_true(slice_eq(header_scan_message_id(&scan), cases[i].message_id));
        }
        assert_int_equal(header_section(cases[i].content).len, cases[i].octets);
    }
}

static void long_message_id_is_cut(void **state)
{
    (void)state;
    struct header_scan scan = { 0 };
    header_scan_feed(&scan, SLICE("Message-ID: <"));
    for (int i = 0; i < 1000; i++)
        header_scan_feed(&scan, SLICE("x"));
    header_scan_feed(&scan, SLICE(">\r\n\r\n"));
    assert_true(scan.has_ended);
    assert_int_equal(header_scan_message_id(&scan).len, HEADER_MESSAGE_ID_MAX);
}

static void reads_fields(void **state)
{
    (void)state;
    slice section = SLICE("Subject: one\r\n two\r\n\tthree \r\nX :\r\nFrom:a\r\n\r\nbody: x\r\n"), rest = section;
    struct header_field field;
    assert_true(header_next_field(&rest, &field));
    assert_true(slice_eq(field.name, SLICE("Subject")));
    assert_true(slice_eq(field.value, SLICE("one\r\n two\r\n\tthree")));
    assert_true(slice_eq(field.whole, SLICE("Subject: one\r\n two\r\n\tthree \r\n")));
    assert_true(header_next_field(&rest, &field));
    assert_true(slice_eq(field.name, SLICE("X")));
    assert_int_equal(field.value.len, 0);
    assert_true(header_next_field(&rest, &field));
    assert_true(slice_eq(field.value, SLICE("a")));
    assert_false(header_next_field(&rest, &field));
    assert_true(slice_eq(rest, SLICE("\r\nbody: x\r\n")));
    assert_true(slice_eq(header_find(section, SLICE("FROM")), SLICE("a")));
    assert_int_equal(header_find(section, SLICE("body")).len, 0);
    struct text unfolded = { 0 };
    text_add_unfolded(&unfolded, header_find(section, SLICE("subject")));
    assert_true(slice_eq(text_slice(&unfolded), SLICE("one two three")));
    text_free(&unfolded);
}

static void decodes(void **state)
{
    (void)state;
    static const struct {
        slice value, words;
    } cases[] = {
        { LIT("plain"), LIT("plain") },
        { LIT("=?UTF-8?B?w6l0w6k=?="), LIT("\xc3\xa9t\xc3\xa9") },
        { LIT("=?utf-8?q?=C3=A9t=C3=A9_x?= y"), LIT("\xc3\xa9t\xc3\xa9 x y") },
        { LIT("=?iso-8859-1?Q?=E9?= =?ISO-8859-1*fr?q?=E8?="), LIT("\xc3\xa9\xc3\xa8") },
        { LIT("a =?UTF-8?B?w6k=?=\r\n =?UTF-8?B?w6k=?= b"), LIT("a \xc3\xa9\xc3\xa9 b") },
        { LIT("=?koi8-r?B?w6k=?="), LIT("=?koi8-r?B?w6k=?=") },
        { LIT("=?UTF-8?B?!!?= x"), LIT("=?UTF-8?B?!!?= x") },
        { LIT("=?UTF-8?Q?=C?="), LIT("=?UTF-8?Q?=C?=") },
        { LIT("=?UTF-8?X?abc?="), LIT("=?UTF-8?X?abc?=") },
        { LIT("=?UTF-8?Q?a b?="), LIT("=?UTF-8?Q?a b?=") },
        { LIT("=?UTF-8?Q?=0D=0ABcc:_x?="), LIT("  Bcc: x") },
        { LIT("a =? b ?= =?"), LIT("a =? b ?= =?") },
        { LIT("a\tb\x01" "c"), LIT("a b c") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text words = { 0 };
        text_add_decoded(&words, cases[i].value);
        assert_true(slice_eq(text_slice(&words), cases[i].words));
        text_free(&words);
    }
}

/* The end of an encoded word is looked for nearby only, not in all of a field for each that begins. */
static void decodes_long_nonsense_soon(void **state)
{
    (void)state;
    struct text value = { 0 }, words = { 0 };
    while (value.len < 256 * 1024)
        text_add_cstr(&value, "=?utf-8?q? ");
    clock_t before = clock();
    text_add_decoded(&words, text_slice(&value));
    assert_true(slice_eq(text_slice(&words), text_slice(&value)));
    assert_true(clock() - before < CLOCKS_PER_SEC);
    text_free(&value);
    text_free(&words);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans),
        cmocka_unit_test(long_message_id_is_cut),
        cmocka_unit_test(reads_fields),
        cmocka_unit_test(decodes),
        cmocka_unit_test(decodes_long_nonsense_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
