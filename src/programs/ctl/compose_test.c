#include "programs/ctl/compose.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const slice to[] = { LIT("bob@example.org"), LIT("carl@example.org") };

static bool has(const struct text *message, const char *part)
{
    return slice_find(text_slice(message), slice_from_cstr(part)) != SLICE_NOT_FOUND;
}

static struct compose plain(void)
{
    return (struct compose){ .from = SLICE("ann@example.org"),
                             .to = to,
                             .to_count = 2,
                             .subject = SLICE("Gr\xC3\xBC\xC3\x9F"
                                              "e"),
                             .body = SLICE("Hello\n.\nbye"),
                             .now_ms = 1764072000123,
                             .hostname = SLICE("host.example") };
}

static void writes_a_plain_message(void **state)
{
    (void)state;
    struct text message = { 0 }, error = { 0 };
    struct compose c = plain();
    assert_true(compose_message(&message, &c, &error));
    assert_true(has(&message, "From: ann@example.org\r\n"));
    assert_true(has(&message, "To: bob@example.org,\r\n carl@example.org\r\n"));
    assert_true(has(&message, "Subject: =?UTF-8?") || has(&message, "Subject: =?utf-8?"));
    assert_true(has(&message, "Message-ID: <1764072000123."));
    assert_true(has(&message, "Date: Tue, 25 Nov 2025"));
    assert_true(has(&message, "Content-Type: text/plain; charset=us-ascii\r\n"));
    assert_true(has(&message, "\r\n\r\nHello\r\n.\r\nbye\r\n"));
    for (size_t i = 0; i < message.len; i++)
        assert_true(message.ptr[i] != '\n' || (i > 0 && message.ptr[i - 1] == '\r'));
    text_free(&message);
}

static void given_headers_replace_and_cannot_inject(void **state)
{
    (void)state;
    static const slice headers[] = { LIT("subject: mine"), LIT("X-Test: a\r\nBcc: evil@example.org") };
    struct text message = { 0 }, error = { 0 };
    struct compose c = plain();
    c.headers = headers;
    c.header_count = COUNT(headers);
    assert_true(compose_message(&message, &c, &error));
    assert_true(has(&message, "subject: mine\r\n"));
    assert_false(has(&message, "Subject: "));
    assert_false(has(&message, "\r\nBcc:"));
    static const slice bad[] = { LIT("no colon"), LIT(": no name"), LIT("two words: x"), LIT("gr\xC3\xBC\xC3\x9F: x") };
    for (size_t i = 0; i < COUNT(bad); i++) {
        c.headers = &bad[i];
        c.header_count = 1;
        assert_false(compose_message(&message, &c, &error));
        assert_true(error.len > 0);
    }
    text_free(&message);
    text_free(&error);
}

static void attaches_files(void **state)
{
    (void)state;
    static const struct compose_attachment files[] = { { LIT("re\"port.PDF"), LIT("\0\1\2") },
                                                       { LIT("unknown"), LIT("") } };
    struct text message = { 0 }, error = { 0 };
    struct compose c = plain();
    c.attachments = files;
    c.attachment_count = COUNT(files);
    assert_true(compose_message(&message, &c, &error));
    assert_true(has(&message, "Content-Type: multipart/mixed;"));
    assert_true(has(&message, "Content-Type: application/pdf"));
    assert_true(has(&message, "Content-Type: application/octet-stream"));
    assert_true(has(&message, "Content-Disposition: attachment"));
    assert_true(has(&message, "AAEC"));
    text_free(&message);
}

static void line_ends_become_crlf(void **state)
{
    (void)state;
    static const struct {
        slice from, wanted;
    } cases[] = {
        { LIT("a\nb\r\nc"), LIT("a\r\nb\r\nc\r\n") },
        { LIT(""), LIT("") },
        { LIT("\n"), LIT("\r\n") },
        { LIT("a\r\r\n"), LIT("a\r\r\n") },
        { LIT("a\rb\n"), LIT("a\rb\r\n") },
        { LIT("\r"), LIT("\r\n") },
    };
    struct text t = { 0 };
    for (size_t i = 0; i < COUNT(cases); i++) {
        text_clear(&t);
        compose_add_crlf(&t, cases[i].from);
        assert_true(slice_eq(text_slice(&t), cases[i].wanted));
    }
    text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_plain_message),
        cmocka_unit_test(given_headers_replace_and_cannot_inject),
        cmocka_unit_test(attaches_files),
        cmocka_unit_test(line_ends_become_crlf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
