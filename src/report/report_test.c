#include "report/report.h"
#include "message/header.h"
#include "base/clock.h"
#include <stdlib.h>
#include <time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { ARRIVED_S = 1764091669 }; /* Tue, 25 Nov 2025 17:27:49 UTC */
#define CONTENT "From: me <me@example.org>\r\nSubject: lunch\r\nMessage-ID: <abc@example.org>\r\n\r\nHello\r\n"

/* One message with as many recipients as wanted, all with the same outcome; a test changes what it is about. */
struct world {
    struct recipient recipients[128];
    uint32_t indexes[128];
    struct outcome outcomes[128];
    struct envelope envelope;
    struct spool_message message;
    struct report_params params;
    struct text content;
    uint32_t header_octets;
};

static void world_make(struct world *w, size_t recipients)
{
    *w = (struct world){ 0 };
    for (size_t i = 0; i < recipients; i++) {
        w->recipients[i].forward_path = w->recipients[i].original = (struct path){ SLICE("ann"), SLICE("gone.example") };
        w->indexes[i] = (uint32_t)i;
        w->outcomes[i] = (struct outcome){ .action = ACTION_FAILED, .stage = STAGE_RCPT, .status = { 5, 1, 1 }, .status_was_told = true,
                                           .reply_code = 550, .text = SLICE("no such\nuser here"), .remote_name = SLICE("mx.gone.example"),
                                           .remote_address = SLICE("192.0.2.9:25") };
    }
    w->envelope = (struct envelope){ .reverse_path = { SLICE("me"), SLICE("example.org") }, .client_name = SLICE("pc.example.org"),
                                     .client_address = SLICE("192.0.2.7"), .helo = SLICE("pc"), .arrived_ms = ARRIVED_S * 1000ull,
                                     .recipients = w->recipients, .recipient_count = recipients };
    w->message = (struct spool_message){ .id = 0x7f3a, .envelope = &w->envelope, .content_octets = sizeof(CONTENT) - 1 };
    w->params = (struct report_params){ .kind = REPORT_FAILED, .hostname = SLICE("mx.example.org"), .message = &w->message,
                                        .recipients = w->indexes, .outcomes = w->outcomes, .recipient_count = recipients,
                                        .content = SLICE(CONTENT), .now_ms = ARRIVED_S * 1000ull + HOURS(5),
                                        .give_up_ms = ARRIVED_S * 1000ull + DAYS(5), .report_id = 0x7f3b };
}

static slice world_report(struct world *w)
{
    text_clear(&w->content);
    report_make(&w->content, &w->header_octets, &w->params);
    return text_slice(&w->content);
}

static bool has(slice text, const char *words) { return slice_find(text, slice_from_cstr(words)) != SLICE_NOT_FOUND; }

static void failed_report(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, 1);
    w.envelope.envelope_id = SLICE("QQ1");
    w.recipients[0].original_recipient = SLICE("rfc822;Ann@gone.example");
    slice report = world_report(&w);
    assert_true(slice_eq(report, SLICE(
        "From: Mail Delivery System <MAILER-DAEMON@mx.example.org>\r\n"
        "To: <me@example.org>\r\n"
        "Subject: Not delivered: your message to ann@gone.example\r\n"
        "Date: Tue, 25 Nov 2025 22:27:49 +0000\r\n"
        "Message-ID: <0000000000007f3b.report@mx.example.org>\r\n"
        "In-Reply-To: <abc@example.org>\r\n"
        "References: <abc@example.org>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status;\r\n"
        " boundary=\"=_postrider0000000000007f3b\"\r\n"
        "\r\n"
        "\r\n--=_postrider0000000000007f3b\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        "Content-Language: en\r\n"
        "Content-Transfer-Encoding: 7bit\r\n"
        "\r\n"
        "This is the mail server mx.example.org.\r\n"
        "\r\n"
        "Your message could not be delivered to this address and will not be\r\n"
        "tried again:\r\n"
        "\r\n"
        "  ann@gone.example\r\n"
        "\r\n"
        "  What happened: There is no mailbox with this address.\r\n"
        "  What you can do: Check the address for typing mistakes. If it looks\r\n"
        "  right, ask the person in another way which address to use.\r\n"
        "\r\n"
        "  The server mx.gone.example (192.0.2.9:25) said about this address:\r\n"
        "    550-5.1.1 no such\r\n"
        "    550 5.1.1 user here\r\n"
        "\r\n"
        "Subject of your message: lunch\r\n"
        "Sent: 2025-11-25 17:27:49 +0000\r\n"
        "\r\n"
        "The head of the message is attached.\r\n"
        "\r\n"
        "For postmasters: message 0000000000007f3a at mx.example.org,\r\n"
        "received from pc.example.org [192.0.2.7].\r\n"
        "`postrider queue show 0000000000007f3a` or its event log on that server has the details.\r\n"
        "The second part of this message has all codes in the form of RFC 3464.\r\n"
        "\r\n--=_postrider0000000000007f3b\r\n"
        "Content-Type: message/delivery-status\r\n"
        "Content-Description: Delivery status, for programs\r\n"
        "\r\n"
        "Original-Envelope-Id: QQ1\r\n"
        "Reporting-MTA: dns; mx.example.org\r\n"
        "Received-From-MTA: dns; pc\r\n"
        "Arrival-Date: Tue, 25 Nov 2025 17:27:49 +0000\r\n"
        "X-Postrider-Message: 0000000000007f3a\r\n"
        "\r\n"
        "Original-Recipient: rfc822; Ann@gone.example\r\n"
        "Final-Recipient: rfc822; ann@gone.example\r\n"
        "Action: failed\r\n"
        "Status: 5.1.1\r\n"
        "Remote-MTA: dns; mx.gone.example\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user here\r\n"
        "Last-Attempt-Date: Tue, 25 Nov 2025 22:27:49 +0000\r\n"
        "\r\n--=_postrider0000000000007f3b\r\n"
        "Content-Type: text/rfc822-headers\r\n"
        "Content-Description: Head of the message\r\n"
        "Content-Transfer-Encoding: 7bit\r\n"
        "\r\n"
        "From: me <me@example.org>\r\n"
        "Subject: lunch\r\n"
        "Message-ID: <abc@example.org>\r\n"
        "\r\n--=_postrider0000000000007f3b--\r\n")));
    assert_int_equal(header_section(report).len, w.header_octets);
    text_free(&w.content);
}

static void delayed_report(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, 1);
    w.params.kind = REPORT_DELAYED;
    w.outcomes[0] = (struct outcome){ .action = ACTION_DELAYED, .stage = STAGE_CONNECT, .status = { 4, 4, 1 }, .text = SLICE("connection refused"),
                                      .remote_name = SLICE("mx.gone.example"), .remote_address = SLICE("192.0.2.9:25") };
    slice report = world_report(&w);
    assert_true(has(report, "Subject: Not delivered yet: your message to ann@gone.example\r\n"));
    assert_true(has(report, "You do not need\r\nto do anything: it is still being tried.\r\n"));
    assert_true(has(report, "We keep trying until 2025-11-30 17:27:49 +0000"));
    assert_true(has(report, "Our server noted about mx.gone.example (192.0.2.9:25):\r\n    connection refused\r\n"));
    assert_true(has(report, "`postrider queue show 0000000000007f3a` on that server shows how it stands."));
    assert_false(has(report, "What you can do"));
    assert_true(has(report, "Action: delayed\r\nStatus: 4.4.1\r\n"));
    assert_true(has(report, "Diagnostic-Code: x-postrider; connection refused\r\n"));
    assert_true(has(report, "Will-Retry-Until: Sun, 30 Nov 2025 17:27:49 +0000\r\n"));
    text_free(&w.content);
}

static void success_reports(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, 2);
    w.params.kind = REPORT_RELAYED;
    w.outcomes[0] = (struct outcome){ .action = ACTION_DELIVERED, .stage = STAGE_MAILBOX, .status = { 2, 0, 0 }, .text = SLICE("new/1.2.3") };
    w.outcomes[1] = (struct outcome){ .action = ACTION_RELAYED, .stage = STAGE_CONTENT, .status = { 2, 0, 0 }, .remote_name = SLICE("mx.b.org") };
    slice report = world_report(&w);
    assert_true(has(report, "Subject: On its way: your message to ann@gone.example and 1 other\r\n"));
    assert_true(has(report, "It was delivered."));
    assert_false(has(report, "new/1.2.3")); /* where it lies is not the sender's business */
    assert_true(has(report, "It was handed to mx.b.org, which does not report"));
    assert_true(has(report, "Action: delivered\r\nStatus: 2.0.0\r\n") && has(report, "Action: relayed\r\nStatus: 2.0.0\r\n"));
    w.params.recipient_count = 1;
    assert_true(has(world_report(&w), "Subject: Delivered: your message to ann@gone.example\r\n"));
    text_free(&w.content);
}

static void expired_report(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, 1);
    w.params.now_ms = ARRIVED_S * 1000ull + DAYS(5);
    w.outcomes[0] = (struct outcome){ .action = ACTION_FAILED, .expired = true, .stage = STAGE_RCPT, .status = { 4, 2, 2 }, .reply_code = 452,
                                      .text = SLICE("mailbox full"), .remote_name = SLICE("mx.b.org") };
    slice report = world_report(&w);
    assert_true(has(report, "tried again and again for 5 days and has been given up"));
    assert_true(has(report, "The recipient's mailbox is full."));
    assert_true(has(report, "    452 mailbox full\r\n")); /* the status was not in the reply */
    assert_true(has(report, "Action: failed\r\nStatus: 4.4.7\r\n"));
    text_free(&w.content);
}

static void due(void **state)
{
    (void)state;
    static const struct {
        unsigned notify;
        bool failed, delayed, relayed;
    } cases[] = {
        { 0, true, true, false },
        { NOTIFY_NEVER, false, false, false },
        { NOTIFY_SUCCESS, false, false, true },
        { NOTIFY_FAILURE, true, false, false },
        { NOTIFY_DELAY, false, true, false },
        { NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, true, true, true },
    };
    struct world w;
    world_make(&w, 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        w.recipients[0].notify = cases[i].notify;
        w.envelope.reverse_path = (struct path){ SLICE("me"), SLICE("example.org") };
        assert_int_equal(report_is_due(REPORT_FAILED, &w.message, 0), cases[i].failed);
        assert_int_equal(report_is_due(REPORT_DELAYED, &w.message, 0), cases[i].delayed);
        assert_int_equal(report_is_due(REPORT_RELAYED, &w.message, 0), cases[i].relayed);
        w.envelope.reverse_path = (struct path){ { 0 }, { 0 } };
        for (int kind = REPORT_FAILED; kind <= REPORT_RELAYED; kind++)
            assert_false(report_is_due((enum report_kind)kind, &w.message, 0));
    }
}

/* Recipients of the same fate are explained once, also where the server repeats the address; others apart. */
static void same_ends_stand_together(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, 3);
    w.recipients[1].forward_path = w.recipients[1].original = (struct path){ SLICE("bob"), SLICE("b.org") };
    w.outcomes[0].text = SLICE("<ann@gone.example>: unknown");
    w.outcomes[1].text = SLICE("<bob@b.org>: unknown");
    w.outcomes[2].text = SLICE("<ann@gone.example>: not known");
    slice report = world_report(&w);
    assert_true(has(report, "  ann@gone.example\r\n  bob@b.org\r\n\r\n  What happened"));
    assert_true(has(report, "said about the last of them:\r\n    550 5.1.1 <bob@b.org>: unknown\r\n\r\n  ann@gone.example\r\n\r\n  What"));
    assert_true(has(report, "said about this address:\r\n    550 5.1.1 <ann@gone.example>: not known\r\n"));
    text_free(&w.content);
}

/* RFC 3461 §4.3: the whole message only when it was asked for, something failed, and it is not too large. */
static void what_is_returned(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, 1);
    w.envelope.dsn_return = DSN_RETURN_FULL;
    assert_true(has(world_report(&w), "Content-Type: message/rfc822\r\nContent-Description: The message\r\n\r\n" CONTENT "\r\n--=_"));
    w.params.kind = REPORT_DELAYED;
    assert_false(has(world_report(&w), "Hello"));
    w.params.kind = REPORT_FAILED;
    w.message.content_octets = 100000; /* only its head is at hand */
    assert_false(has(world_report(&w), "message/rfc822"));
    w.envelope.dsn_return = DSN_RETURN_HEADERS;
    w.message.content_octets = sizeof(CONTENT) - 1;
    assert_false(has(world_report(&w), "Hello"));

    w.envelope.dsn_return = DSN_RETURN_FULL;
    w.params.content = SLICE("Subject: x\r\n\r\ncaf\xc3\xa9\r\n");
    w.message.content_octets = w.params.content.len;
    slice report = world_report(&w);
    assert_true(has(slice_head(report, w.header_octets), "Content-Transfer-Encoding: 8bit\r\n\r\n"));
    assert_true(has(report, "caf\xc3\xa9\r\n"));
    w.envelope.dsn_return = DSN_RETURN_UNSET;
    w.params.content = SLICE("Subject: caf\xc3\xa9 and more letters\r\n\r\nx\r\n");
    report = world_report(&w);
    assert_true(slice_is_ascii(report) && has(report, "Subject: caf=C3=A9 and more letters\r\n"));
    w.params.content = (slice){ 0 };
    assert_true(has(world_report(&w), "text/rfc822-headers"));
    text_free(&w.content);
}

static void long_lists_are_cut_for_people_only(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, 128);
    slice report = world_report(&w), rest = report, line;
    size_t listed = 0, groups = 0;
    while (slice_next_line(&rest, &line)) {
        listed += slice_eq(line, SLICE("  ann@gone.example"));
        groups += slice_eq(line, SLICE("Final-Recipient: rfc822; ann@gone.example"));
    }
    assert_int_equal(listed, 100);
    assert_int_equal(groups, 128);
    assert_true(has(report, "and 28 more addresses"));
    text_free(&w.content);
}

/* Every octet that somebody else chose tries to bring a field, a part or a line of its own. */
static void nothing_is_injected(void **state)
{
    (void)state;
#define EVIL "x\r\nEvil: 1\r\n\r\n--=_postrider0000000000007f3b\r\nEvil: 2\nEvil: 3\rEvil: 4\0\x1b[2J\xff"
    struct world w;
    world_make(&w, 1);
    w.envelope.envelope_id = SLICE(EVIL);
    w.envelope.helo = w.envelope.client_name = w.envelope.client_address = SLICE(EVIL);
    w.recipients[0].original_recipient = SLICE("rfc822;" EVIL);
    w.recipients[0].original = w.recipients[0].forward_path = (struct path){ SLICE(EVIL), SLICE("b.org") };
    w.outcomes[0].text = w.outcomes[0].remote_name = w.outcomes[0].remote_address = SLICE(EVIL);
    w.params.content = SLICE("Subject: =?UTF-8?Q?x=0D=0AEvil:_5=1B[2J?=\r\nMessage-ID: <x\r\n Evil: 6>\r\n\r\n--=_postrider0000000000007f3b\r\nEvil: 7\r\n");
    w.message.content_octets = w.params.content.len;
    for (int full = 0; full < 2; full++) {
        w.envelope.dsn_return = full ? DSN_RETURN_FULL : DSN_RETURN_UNSET;
        slice rest = world_report(&w), line;
        size_t boundaries = 0;
        while (slice_next_line(&rest, &line)) {
            if (full && slice_eq(line, SLICE("Evil: 7"))) /* in the message that is returned */
                continue;
            assert_false(slice_starts_with(line, SLICE("Evil")));
            boundaries += slice_starts_with(line, SLICE("--=_postrider0000000000007f3c"));
            for (size_t i = 0; i < line.len; i++)
                assert_true((unsigned char)line.ptr[i] >= 0x20 && line.ptr[i] != 0x7f);
        }
        assert_int_equal(boundaries, 4); /* another one than that in the message */
    }
    text_free(&w.content);
}

int main(void)
{
    setenv("TZ", "UTC0", 1);
    tzset();
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(failed_report),    cmocka_unit_test(delayed_report),   cmocka_unit_test(success_reports),
        cmocka_unit_test(expired_report),   cmocka_unit_test(due),              cmocka_unit_test(what_is_returned),
        cmocka_unit_test(same_ends_stand_together),
        cmocka_unit_test(long_lists_are_cut_for_people_only), cmocka_unit_test(nothing_is_injected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
