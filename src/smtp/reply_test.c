#include "smtp/reply.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void writes_replies(void **state)
{
    (void)state;
    static const struct {
        struct reply reply;
        slice wire;
    } cases[] = {
        { { 250, { 2, 1, 0 }, "ok" }, LIT("250 2.1.0 ok\r\n") },
        { { 220, { 0 }, "mx.example.org ESMTP" }, LIT("220 mx.example.org ESMTP\r\n") },
        { { 250, { 0 }, "mx\nSIZE 9\nDSN" }, LIT("250-mx\r\n250-SIZE 9\r\n250 DSN\r\n") },
        { { 550, { 5, 7, 1 }, "no\nreally" }, LIT("550-5.7.1 no\r\n550 5.7.1 really\r\n") },
        { { 354, { 0 }, "" }, LIT("354 \r\n") },
        { { 550, { 0 }, "a\r\tb\xc3\xa9" }, LIT("550 a??b??\r\n") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text text = { 0 };
        text_add_reply(&text, &cases[i].reply);
        assert_true(slice_eq(text_slice(&text), cases[i].wire));
        text_free(&text);
    }
}

/* Whatever is said, no line is longer than RFC 5321 §4.5.3.1.5 allows and nothing but white space gets lost. */
static void breaks_long_lines(void **state)
{
    (void)state;
    struct text said = { 0 }, wire = { 0 };
    for (int i = 0; i < 400; i++)
        text_add(&said, i % 50 == 49 ? SLICE("word ") : SLICE("words"));
    text_add_reply_text(&wire, 550, (struct status){ 5, 999, 999 }, text_slice(&said));
    slice rest = text_slice(&wire), line;
    struct reply_reader reader = { 0 };
    assert_int_equal(reply_reader_feed(&reader, &(slice){ wire.ptr, wire.len }), REPLY_DONE);
    size_t letters_said = 0, letters_read = 0;
    for (size_t i = 0; i < said.len; i++)
        letters_said += said.ptr[i] != ' ';
    for (size_t i = 0; i < reader.text.len; i++)
        letters_read += reader.text.ptr[i] != ' ' && reader.text.ptr[i] != '\n';
    assert_int_equal(letters_read, letters_said);
    while (slice_next_line(&rest, &line))
        assert_true(line.len + 2 <= 512);
    text_free(&said);
    text_free(&wire);
    reply_reader_free(&reader);
}

static void reads_replies(void **state)
{
    (void)state;
    static const struct {
        slice wire;
        enum reply_read result;
        uint16_t code;
        struct status status;
        slice text, rest;
    } cases[] = {
        { LIT("250 2.1.0 ok\r\n"), REPLY_DONE, 250, { 2, 1, 0 }, LIT("ok"), LIT("") },
        { LIT("250\r\n"), REPLY_DONE, 250, { 0 }, LIT(""), LIT("") },
        { LIT("250 \r\n354 go"), REPLY_DONE, 250, { 0 }, LIT(""), LIT("354 go") },
        { LIT("250-mx\r\n250-SIZE 9\r\n250 DSN\r\n"), REPLY_DONE, 250, { 0 }, LIT("mx\nSIZE 9\nDSN"), LIT("") },
        { LIT("550-5.1.1 no\r\n550 5.1.1 such user\r\n"), REPLY_DONE, 550, { 5, 1, 1 }, LIT("no\nsuch user"), LIT("") },
        { LIT("550 4.1.1 classes differ\r\n"), REPLY_DONE, 550, { 0 }, LIT("4.1.1 classes differ"), LIT("") },
        { LIT("571 out of range\n"), REPLY_DONE, 571, { 0 }, LIT("out of range"), LIT("") },
        { LIT("250 a\0b\tc\x7f\xe9\r\n"), REPLY_DONE, 250, { 0 }, LIT("a b c \xe9"), LIT("") },
        { LIT("250-a\r\n250\r\n"), REPLY_DONE, 250, { 0 }, LIT("a\n"), LIT("") },
        { LIT("250-a\r\n251 b\r\n"), REPLY_BAD, 250, { 0 }, LIT("a"), LIT("") },
        { LIT("150 a\r\n"), REPLY_BAD, 0, { 0 }, LIT(""), LIT("") },
        { LIT("650 a\r\n"), REPLY_BAD, 0, { 0 }, LIT(""), LIT("") },
        { LIT("25 a\r\n"), REPLY_BAD, 0, { 0 }, LIT(""), LIT("") },
        { LIT("2500 a\r\n"), REPLY_BAD, 0, { 0 }, LIT(""), LIT("") },
        { LIT("250.a\r\n"), REPLY_BAD, 0, { 0 }, LIT(""), LIT("") },
        { LIT("\r\n"), REPLY_BAD, 0, { 0 }, LIT(""), LIT("") },
        { LIT("SSH-2.0-OpenSSH_9.2\r\n"), REPLY_BAD, 0, { 0 }, LIT(""), LIT("") },
        { LIT("250 ok"), REPLY_MORE, 0, { 0 }, LIT(""), LIT("") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t piece = 1; piece <= cases[i].wire.len; piece++) {
            struct reply_reader reader = { 0 };
            enum reply_read result = REPLY_MORE;
            size_t used = 0;
            while (result == REPLY_MORE && used < cases[i].wire.len) {
                slice input = slice_head(slice_tail(cases[i].wire, used), piece);
                size_t before = input.len;
                result = reply_reader_feed(&reader, &input);
                used += before - input.len;
            }
            assert_int_equal(result, cases[i].result);
            assert_int_equal(reader.code, cases[i].code);
            assert_true(status_is(reader.status, cases[i].status.class, cases[i].status.subject, cases[i].status.detail));
            assert_true(slice_eq(text_slice(&reader.text), cases[i].text));
            if (result == REPLY_DONE)
                assert_true(slice_eq(slice_tail(cases[i].wire, used), cases[i].rest));
            reply_reader_free(&reader);
        }
    }
}

static void endless_replies_are_bad(void **state)
{
    (void)state;
    struct reply_reader lines = { 0 }, octets = { 0 };
    enum reply_read result = REPLY_MORE;
    unsigned count = 0;
    for (; result == REPLY_MORE && count < 1000; count++)
        result = reply_reader_feed(&lines, &(slice)LIT("250-x\r\n"));
    assert_int_equal(result, REPLY_BAD);
    assert_int_equal(count, REPLY_LINES_MAX + 1);

    result = REPLY_MORE;
    for (count = 0; result == REPLY_MORE && count < 100000; count++)
        result = reply_reader_feed(&octets, &(slice)LIT("250 0123456789abcdef"));
    assert_int_equal(result, REPLY_BAD);
    assert_true(octets.line.len <= REPLY_OCTETS_MAX);
    reply_reader_free(&lines);
    reply_reader_free(&octets);
}

static void reads_one_after_the_other(void **state)
{
    (void)state;
    struct reply_reader reader = { 0 };
    slice input = SLICE("250-5.0.0 a\r\n250 b\r\n354 go\r\n");
    assert_int_equal(reply_reader_feed(&reader, &input), REPLY_DONE);
    reply_reader_clear(&reader);
    assert_int_equal(reply_reader_feed(&reader, &input), REPLY_DONE);
    assert_int_equal(reader.code, 354);
    assert_true(slice_eq(text_slice(&reader.text), SLICE("go")));
    assert_int_equal(input.len, 0);
    reply_reader_free(&reader);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_replies),
        cmocka_unit_test(breaks_long_lines),
        cmocka_unit_test(reads_replies),
        cmocka_unit_test(endless_replies_are_bad),
        cmocka_unit_test(reads_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
