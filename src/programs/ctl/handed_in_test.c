#include "programs/ctl/handed_in.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void makes_messages_complete(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        slice raw, wanted; /* wanted: with the added Date and Message-ID cut out */
        bool dot_is_content;
    } cases[] = {
        { "complete", LIT("From: a@b.org\nDate: x\nMessage-ID: <1@b>\n\nHello\n"),
          LIT("From: a@b.org\r\nDate: x\r\nMessage-ID: <1@b>\r\n\r\nHello\r\n"), false },
        { "CRLF already, no end of the last line", LIT("From: a@b.org\r\nDate: x\r\nMessage-ID: <1@b>\r\n\r\nHello"),
          LIT("From: a@b.org\r\nDate: x\r\nMessage-ID: <1@b>\r\n\r\nHello\r\n"), false },
        { "From is added", LIT("Subject: s\nDate: x\nMessage-ID: <1@b>\n\nHello\n"),
          LIT("Subject: s\r\nDate: x\r\nMessage-ID: <1@b>\r\nFrom: \"A. Cron\" <root@mail.example>\r\n\r\nHello\r\n"),
          false },
        { "Bcc goes", LIT("From: a@b.org\nBcc: c@d.org,\n e@f.org\nDate: x\nMessage-ID: <1@b>\n\n\nHello\n"),
          LIT("From: a@b.org\r\nDate: x\r\nMessage-ID: <1@b>\r\n\r\n\r\nHello\r\n"), false },
        { "no header at all", LIT("Hello there\nFrom: me\n"),
          LIT("From: \"A. Cron\" <root@mail.example>\r\n\r\nHello there\r\nFrom: me\r\n"), false },
        { "nothing", LIT(""), LIT("From: \"A. Cron\" <root@mail.example>\r\n\r\n"), false },
        { "mbox line", LIT("From root Thu Jan  1\nFrom: a@b.org\nDate: x\nMessage-ID: <1@b>\n\nHello\n"),
          LIT("From: a@b.org\r\nDate: x\r\nMessage-ID: <1@b>\r\n\r\nHello\r\n"), false },
        { "dot ends", LIT("From: a@b.org\nDate: x\nMessage-ID: <1@b>\n\nHello\n.\nnot this\n"),
          LIT("From: a@b.org\r\nDate: x\r\nMessage-ID: <1@b>\r\n\r\nHello\r\n"), false },
        { "dot is content", LIT("From: a@b.org\nDate: x\nMessage-ID: <1@b>\n\nHello\n.\nthis too\n"),
          LIT("From: a@b.org\r\nDate: x\r\nMessage-ID: <1@b>\r\n\r\nHello\r\n.\r\nthis too\r\n"), true },
        { "header cut short by a body line", LIT("From: a@b.org\nDate: x\nMessage-ID: <1@b>\nno field\n"),
          LIT("From: a@b.org\r\nDate: x\r\nMessage-ID: <1@b>\r\n\r\nno field\r\n"), false },
    };
    const struct handed_in_author author = { SLICE("root@mail.example"), SLICE("A. Cron") };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text content = { 0 }, kept = { 0 };
        slice rest, line;
        handed_in_complete(&content, cases[i].raw, cases[i].dot_is_content, &author, SLICE("mail.example"),
                           1764072000123);
        for (rest = text_slice(&content); slice_next_line(&rest, &line);)
            if (!slice_starts_with(line, SLICE("Date: Tue, 25 Nov 2025")) &&
                !slice_starts_with(line, SLICE("Message-ID: <1764072000123."))) {
                text_add(&kept, line);
                text_add(&kept, SLICE("\r\n"));
            }
        if (!slice_eq(text_slice(&kept), cases[i].wanted))
            fail_msg("%s: %s", cases[i].name, text_cstr(&kept));
        text_free(&content);
        text_free(&kept);
    }
}

static void reads_recipients(void **state)
{
    (void)state;
    static const struct {
        slice section, wanted;
    } cases[] = {
        { LIT("To: a@b.org, root\r\nSubject: To: x@y.org\r\nbcc: c@d.org\r\nCc: (none)\r\n\r\nTo: not@this.org\r\n"),
          LIT("a@b.org\0root@mail.example\0c@d.org\0") },
        { LIT("To: a@b.org\r\nResent-To: n@o.org\r\n\r\n"), LIT("n@o.org\0") },
        { LIT("Subject: none\r\n\r\n"), LIT("") },
        { LIT("To: x\0y@b.org, a@b.org\r\n\r\n"), LIT("a@b.org\0") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text recipients = { 0 };
        handed_in_add_recipients(cases[i].section, SLICE("mail.example"), &recipients);
        assert_true(slice_eq(text_slice(&recipients), cases[i].wanted));
        text_free(&recipients);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(makes_messages_complete), cmocka_unit_test(reads_recipients) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
