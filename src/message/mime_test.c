#include "message/header.h"
#include "message/mime.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define REPEAT_10(s) s s s s s s s s s s

static void bodies(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        slice octets;
        enum mime_encoding encoding;
        slice body;
    } cases[] = {
        { "plain", LIT("a\nb\r\nc"), MIME_7BIT, LIT("a\r\nb\r\nc\r\n") },
        { "nothing", LIT(""), MIME_7BIT, LIT("") },
        { "accents", LIT("un caf\xc3\xa9 noir=1 \n.\n\nFrom here\nend\t"), MIME_QUOTED_PRINTABLE,
          LIT("un caf=C3=A9 noir=3D1=20\r\n=2E\r\n\r\n=46rom here\r\nend=09\r\n") },
        { "mostly not ASCII", LIT("\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"), MIME_BASE64, LIT("0J/RgNC40LLQtdGC\r\n") },
        { "not UTF-8", LIT("caf\xe9 caf caf caf caf"), MIME_BASE64, LIT("Y2Fm6SBjYWYgY2FmIGNhZiBjYWY=\r\n") },
        { "NUL", LIT("a\0b"), MIME_BASE64, LIT("YQBi\r\n") },
        { "bare CR", LIT("a\rb"), MIME_BASE64, LIT("YQ1i\r\n") },
        { "long base64", LIT(REPEAT_10("\0\0\0\0\0\0")), MIME_BASE64,
          LIT(REPEAT_10("AAAAAAA") "AAAAAA\r\nAAAA\r\n") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text body = { 0 };
        print_message("%s\n", cases[i].what);
        enum mime_encoding encoding = mime_choose_encoding(cases[i].octets);
        assert_int_equal(encoding, cases[i].encoding);
        mime_add_body(&body, encoding, cases[i].octets);
        assert_true(slice_eq(text_slice(&body), cases[i].body));
        text_free(&body);
    }
}

static void quoted_printable_lines_are_short(void **state)
{
    (void)state;
    struct text octets = { 0 }, body = { 0 };
    for (int i = 0; i < 2000; i++)
        text_add_byte(&octets, i % 7 ? 'x' : (char)0xe9);
    mime_add_quoted_printable(&body, text_slice(&octets));
    slice rest = text_slice(&body), line;
    size_t soft = 0;
    for (; slice_next_line(&rest, &line); soft++)
        assert_true(line.len <= 76 && (rest.len == 0 || slice_ends_with(line, SLICE("="))));
    assert_true(soft > 26);
    text_free(&octets);
    text_free(&body);
}

static void fields(void **state)
{
    (void)state;
    static const struct {
        slice value, field;
    } cases[] = {
        { LIT("hello"), LIT("Subject: hello\r\n") },
        { LIT(""), LIT("Subject: \r\n") },
        { LIT("  spaces  "), LIT("Subject: spaces  \r\n") },
        { LIT("\xc3\xa9t\xc3\xa9"), LIT("Subject: =?UTF-8?B?w6l0w6k=?=\r\n") },
        { LIT("a\r\nBcc: b"), LIT("Subject: =?UTF-8?B?YSAgQmNjOiBi?=\r\n") },
        { LIT("looks =?like? one"), LIT("Subject: =?UTF-8?B?bG9va3MgPT9saWtlPyBvbmU=?=\r\n") },
        { LIT("caf\xe9"), LIT("Subject: =?UTF-8?B?Y2FmPw==?=\r\n") },
        { LIT(REPEAT_10("eight-8 ")), LIT("Subject: eight-8 eight-8 eight-8 eight-8 eight-8 eight-8 eight-8 eight-8\r\n eight-8 eight-8 \r\n") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text field = { 0 };
        mime_add_field(&field, SLICE("Subject"), cases[i].value);
        slice trimmed = slice_trim_lines(text_slice(&field)), wanted = slice_trim_lines(cases[i].field);
        assert_true(slice_eq(trimmed, wanted));
        text_free(&field);
    }
}

/* Long values in every script: lines of at most 76, no character split, and decoding gives the value back. */
static void encoded_words_there_and_back(void **state)
{
    (void)state;
    static const slice characters[] = { LIT("\xc3\xa9"), LIT("\xe2\x82\xac"), LIT("\xf0\x9f\x93\xa8"), LIT("a\xc3\xa9") };
    for (size_t i = 0; i < COUNT(characters); i++) {
        for (int count = 1; count < 120; count++) {
            struct text value = { 0 }, field = { 0 }, back = { 0 };
            for (int n = 0; n < count; n++)
                text_add(&value, characters[i]);
            mime_add_field(&field, SLICE("Subject"), text_slice(&value));
            text_add_decoded(&back, header_find(text_slice(&field), SLICE("Subject")));
            assert_true(slice_eq(text_slice(&back), text_slice(&value)));
            slice rest = text_slice(&field), line;
            while (slice_next_line(&rest, &line))
                assert_true(line.len <= 76);
            text_free(&value);
            text_free(&field);
            text_free(&back);
        }
    }
}

static void names_and_parameters(void **state)
{
    (void)state;
    struct text text = { 0 };
    mime_add_display_name(&text, SLICE("Ann Example"));
    text_add_byte(&text, '\n');
    mime_add_display_name(&text, SLICE("Example, \"Ann\""));
    text_add_byte(&text, '\n');
    mime_add_display_name(&text, SLICE("\xc3\x89ve"));
    mime_add_parameter(&text, SLICE("filename"), SLICE("a\"b.txt"));
    mime_add_parameter(&text, SLICE("filename"), SLICE("caf\xc3\xa9;.txt"));
    mime_add_parameter(&text, SLICE("filename"), SLICE("a\r\nb"));
    assert_true(slice_eq(text_slice(&text), SLICE("Ann Example\n\"Example, \\\"Ann\\\"\"\n=?UTF-8?B?w4l2ZQ==?=;\r\n filename=\"a\\\"b.txt\";\r\n "
                                                  "filename*=UTF-8''caf%C3%A9%3B.txt;\r\n filename*=UTF-8''a%0D%0Ab")));
    text_free(&text);
}

static void multiparts(void **state)
{
    (void)state;
    struct mime_boundary boundary;
    struct text text = { 0 };
    mime_boundary_make(&boundary, 0x7f3a);
    mime_add_multipart_type(&text, SLICE("mixed"), SLICE("; a=b"), &boundary);
    mime_add_part(&text, &boundary);
    mime_add_multipart_end(&text, &boundary);
    assert_true(slice_eq(text_slice(&text), SLICE("Content-Type: multipart/mixed; a=b;\r\n boundary=\"=_postrider0000000000007f3a\"\r\n"
                                                  "\r\n--=_postrider0000000000007f3a\r\n\r\n--=_postrider0000000000007f3a--\r\n")));
    text_free(&text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies), cmocka_unit_test(quoted_printable_lines_are_short), cmocka_unit_test(fields),
        cmocka_unit_test(encoded_words_there_and_back), cmocka_unit_test(names_and_parameters), cmocka_unit_test(multiparts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
