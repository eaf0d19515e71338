#include "base/text.h"
#include "smtp/dot.h"
#include "smtp/scan.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Reads `wire` in pieces of `piece` octets; what is behind the end of data stays in *rest. */
static void read_pieces(struct dot_reader *reader, slice wire, size_t piece, struct text *content, slice *rest)
{
    size_t used = 0;
    while (used < wire.len && !reader->has_ended) {
        slice input = slice_head(slice_tail(wire, used), piece), run;
        size_t before = input.len;
        while (dot_reader_next(reader, &input, &run))
            text_add(content, run);
        used += before - input.len;
    }
    *rest = slice_tail(wire, used);
}

static void reads(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        slice wire;
        bool ends;
        slice content, rest;
        unsigned flags;
        uint64_t longest_line;
    } cases[] = {
        { "one line", LIT("a\r\n.\r\n"), true, LIT("a\r\n"), LIT(""), 0, 1 },
        { "nothing", LIT(".\r\nQUIT\r\n"), true, LIT(""), LIT("QUIT\r\n"), 0, 0 },
        { "a command behind", LIT("a\r\n.\r\nQUIT\r\n"), true, LIT("a\r\n"), LIT("QUIT\r\n"), 0, 1 },
        { "dots", LIT("..\r\n...a\r\n.b\r\n.\r\n"), true, LIT(".\r\n..a\r\nb\r\n"), LIT(""), 0, 3 },
        { "dot inside", LIT("a.\r\n.a.\r\n.\r\n"), true, LIT("a.\r\na.\r\n"), LIT(""), 0, 2 },
        { "empty lines", LIT("\r\n\r\n.\r\n"), true, LIT("\r\n\r\n"), LIT(""), 0, 0 },
        { "8-bit", LIT("caf\xc3\xa9 caf\xc3\xa9\r\n.\r\n"), true, LIT("caf\xc3\xa9 caf\xc3\xa9\r\n"), LIT(""), DOT_8BIT, 11 },
        { "NUL", LIT("a\0b\r\n.\r\n"), true, LIT("a\0b\r\n"), LIT(""), DOT_NUL, 3 },
        { "NUL behind 8-bit", LIT("\xff" "0123456789abcdef\0\r\n.\r\n"), true, LIT("\xff" "0123456789abcdef\0\r\n"), LIT(""), DOT_8BIT | DOT_NUL, 18 },
        { "no end", LIT("a\r\n."), false, LIT("a\r\n"), LIT(""), 0, 1 },
        { "no end, with CR", LIT("a\r\n.\r"), false, LIT("a\r\n"), LIT(""), 0, 1 },
        /* SMTP smuggling: none of these ends the data, and the dots are content. */
        { "LF . LF", LIT("a\n.\nb"), false, LIT("a\n.\nb"), LIT(""), DOT_BARE_LF, 0 },
        { "LF . CRLF", LIT("a\n.\r\nb"), false, LIT("a\n.\r\nb"), LIT(""), DOT_BARE_LF, 3 },
        { "CR . CRLF", LIT("a\r.\r\nb"), false, LIT("a\r.\r\nb"), LIT(""), DOT_BARE_CR, 3 },
        { "CR . CR", LIT("a\r.\rb"), false, LIT("a\r.\rb"), LIT(""), DOT_BARE_CR, 0 },
        { "CRLF . LF", LIT("a\r\n.\nb"), false, LIT("a\r\n\nb"), LIT(""), DOT_BARE_LF, 1 },
        { "CRLF . CR", LIT("a\r\n.\rb"), false, LIT("a\r\n\rb"), LIT(""), DOT_BARE_CR, 1 },
        { "CRLF . CR CR LF", LIT("a\r\n.\r\r\nb"), false, LIT("a\r\n\r\r\nb"), LIT(""), DOT_BARE_CR, 1 },
        { "CRLF . CR . CRLF", LIT("a\r\n.\r.\r\nb"), false, LIT("a\r\n\r.\r\nb"), LIT(""), DOT_BARE_CR, 2 },
        { "CR CRLF . CRLF", LIT("a\r\r\n.\r\n"), true, LIT("a\r\r\n"), LIT(""), DOT_BARE_CR, 2 },
        { "CRLF NUL . CRLF", LIT("a\r\n\0.\r\nb"), false, LIT("a\r\n\0.\r\nb"), LIT(""), DOT_NUL, 2 },
        { "CRLF . NUL CRLF", LIT("a\r\n.\0\r\nb"), false, LIT("a\r\n\0\r\nb"), LIT(""), DOT_NUL, 1 },
        { "LF first", LIT("\n.\r\nb"), false, LIT("\n.\r\nb"), LIT(""), DOT_BARE_LF, 2 },
        { "CR LF in two", LIT("a\r\n.b\r\n.\r\n"), true, LIT("a\r\nb\r\n"), LIT(""), 0, 1 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("%s\n", cases[i].what);
        for (size_t piece = 1; piece <= cases[i].wire.len; piece++) {
            struct dot_reader reader = { 0 };
            struct text content = { 0 };
            slice rest;
            read_pieces(&reader, cases[i].wire, piece, &content, &rest);
            assert_int_equal(reader.has_ended, cases[i].ends);
            assert_true(slice_eq(text_slice(&content), cases[i].content));
            assert_true(slice_eq(rest, cases[i].rest));
            assert_int_equal(reader.octets, cases[i].content.len);
            assert_int_equal(reader.flags, cases[i].flags);
            assert_int_equal(reader.longest_line, cases[i].longest_line);
            text_free(&content);
        }
    }
}

static void writes(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        slice content, wire;
    } cases[] = {
        { "one line", LIT("a\r\n"), LIT("a\r\n.\r\n") },
        { "nothing", LIT(""), LIT(".\r\n") },
        { "no line end", LIT("a"), LIT("a\r\n.\r\n") },
        { "half a line end", LIT("a\r"), LIT("a\r\n.\r\n") },
        { "dots", LIT(".\r\n..a\r\nb.\r\n.\r\n"), LIT("..\r\n...a\r\nb.\r\n..\r\n.\r\n") },
        { "many dots", LIT(".\r\n.\r\n.\r\n.a\r\n"), LIT("..\r\n..\r\n..\r\n..a\r\n.\r\n") },
        { "dot at the end", LIT("a\r\n."), LIT("a\r\n..\r\n.\r\n") },
        { "bare LF and a dot", LIT("a\n.\nb\n"), LIT("a\r\n..\r\nb\r\n.\r\n") },
        { "bare CR and a dot", LIT("a\r.\rb"), LIT("a\r\n..\r\nb\r\n.\r\n") },
        { "CR CR LF", LIT("a\r\r\n.b"), LIT("a\r\n\r\n..b\r\n.\r\n") },
        { "LF CR", LIT("\n\r"), LIT("\r\n\r\n.\r\n") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("%s\n", cases[i].what);
        for (size_t piece = 1; piece <= cases[i].content.len + 1; piece++) {
            struct dot_writer writer = { 0 };
            struct text wire = { 0 };
            for (size_t at = 0; at < cases[i].content.len; at += piece) {
                slice input = slice_head(slice_tail(cases[i].content, at), piece), run;
                while (dot_writer_next(&writer, &input, &run))
                    text_add(&wire, run);
            }
            text_add(&wire, dot_writer_end(&writer));
            assert_true(slice_eq(text_slice(&wire), cases[i].wire));
            text_free(&wire);
        }
    }
}

static void plain_content_is_one_run(void **state)
{
    (void)state;
    slice content = SLICE("Subject: x\r\n\r\nline\r\n\r\nline . dot\r\n"), input = content, run;
    struct dot_writer writer = { 0 };
    assert_true(dot_writer_next(&writer, &input, &run));
    assert_ptr_equal(run.ptr, content.ptr);
    assert_int_equal(run.len, content.len);
    assert_false(dot_writer_next(&writer, &input, &run));
}

/* Every place in a block of 16 and every octet: the fast scan agrees with the plain meaning. */
static void scans(void **state)
{
    (void)state;
    char octets[40];
    for (size_t length = 0; length <= sizeof(octets); length++) {
        for (size_t at = 0; at < length; at++) {
            for (int octet = 0; octet < 256; octet++) {
                memset(octets, 'x', sizeof(octets));
                octets[at] = (char)octet;
                bool is_line_end = octet == '\r' || octet == '\n', is_special = is_line_end || octet == 0 || octet >= 0x80;
                assert_int_equal(scan_line_end(slice_from(octets, length)), is_line_end ? at : length);
                assert_int_equal(scan_special(slice_from(octets, length)), is_special ? at : length);
            }
        }
    }
    assert_int_equal(scan_line_end((slice){ 0 }), 0);
    assert_int_equal(scan_special((slice){ 0 }), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(writes),
        cmocka_unit_test(plain_content_is_one_run),
        cmocka_unit_test(scans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
