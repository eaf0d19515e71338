#include "message/date.h"
#include "message/received.h"
#include <stdlib.h>
#include <time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { WHEN = 880127706 }; /* Fri, 21 Nov 1997 15:55:06 UTC, the example of RFC 5322 §A.1 */

static void dates(void **state)
{
    (void)state;
    static const struct {
        const char *zone;
        uint64_t wall_ms;
        slice date, short_form;
    } cases[] = {
        { "UTC0", WHEN * 1000ull, LIT("Fri, 21 Nov 1997 15:55:06 +0000"), LIT("1997-11-21 15:55:06 +0000") },
        { "CST6", WHEN * 1000ull + 999, LIT("Fri, 21 Nov 1997 09:55:06 -0600"), LIT("1997-11-21 09:55:06 -0600") },
        { "IST-5:30", WHEN * 1000ull, LIT("Fri, 21 Nov 1997 21:25:06 +0530"), LIT("1997-11-21 21:25:06 +0530") },
        { "NST3:30", WHEN * 1000ull, LIT("Fri, 21 Nov 1997 12:25:06 -0330"), LIT("1997-11-21 12:25:06 -0330") },
        { "CET-1CEST,M3.5.0,M10.5.0/3", 1785672000000ull, LIT("Sun, 02 Aug 2026 14:00:00 +0200"), LIT("2026-08-02 14:00:00 +0200") },
        { "UTC0", 0, LIT("Thu, 01 Jan 1970 00:00:00 +0000"), LIT("1970-01-01 00:00:00 +0000") },
        { "UTC0", UINT64_MAX, LIT("Thu, 01 Jan 1970 00:00:00 +0000"), LIT("1970-01-01 00:00:00 +0000") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text date = { 0 };
        setenv("TZ", cases[i].zone, 1);
        tzset();
        text_add_date(&date, cases[i].wall_ms);
        assert_true(slice_eq(text_slice(&date), cases[i].date));
        text_clear(&date);
        text_add_date_short(&date, cases[i].wall_ms);
        assert_true(slice_eq(text_slice(&date), cases[i].short_form));
        text_free(&date);
    }
    setenv("TZ", "UTC0", 1);
    tzset();
}

#define TAIL ";\r\n\tFri, 21 Nov 1997 15:55:06 +0000\r\n"

static void received_fields(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct received received;
        slice field;
    } cases[] = {
        { "usual",
          { .helo = LIT("client.example"), .client_name = LIT("c1.example"), .client_address = LIT("192.0.2.1"), .hostname = LIT("mx.example.org"),
            .is_esmtp = true, .is_tls = true, .tls = LIT("TLSv1.3 TLS_AES_256_GCM_SHA384"), .id = LIT("7f3a"),
            .recipient = { LIT("ann"), LIT("example.org") } },
          LIT("Received: from client.example (c1.example [192.0.2.1])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r\n"
              "\tby mx.example.org (Postrider) with ESMTPS id 7f3a\r\n\tfor <ann@example.org>" TAIL) },
        { "plain HELO, no name, IPv6",
          { .helo = LIT("[192.0.2.1]"), .client_address = LIT("IPv6:2001:db8::1"), .hostname = LIT("mx"), .id = LIT("1") },
          LIT("Received: from [192.0.2.1] ([IPv6:2001:db8::1])\r\n\tby mx (Postrider) with SMTP id 1" TAIL) },
        { "signed in", { .helo = LIT("a"), .hostname = LIT("mx"), .id = LIT("1"), .is_esmtp = true, .is_tls = true, .is_authenticated = true },
          LIT("Received: from a\r\n\tby mx (Postrider) with ESMTPSA id 1" TAIL) },
        { "signed in without TLS, UTF-8", { .helo = LIT("a"), .hostname = LIT("mx"), .id = LIT("1"), .is_esmtp = true, .is_authenticated = true, .is_utf8 = true },
          LIT("Received: from a\r\n\tby mx (Postrider) with UTF8SMTPA id 1" TAIL) },
        { "LMTP", { .helo = LIT("a"), .hostname = LIT("mx"), .id = LIT("1"), .is_lmtp = true, .is_tls = true },
          LIT("Received: from a\r\n\tby mx (Postrider) with LMTPS id 1" TAIL) },
        { "hostile words",
          { .helo = LIT("x)\r\nBcc: y (\0<;>"), .client_name = LIT("a(b"), .client_address = LIT("192.0.2.1])"), .hostname = LIT("mx"), .id = LIT("1"),
            .tls = LIT("a)b c\r\nd") },
          LIT("Received: from x???Bcc:?y?????? (a?b [192.0.2.1]?])\r\n\t(using a?b with cipher c??d)\r\n\tby mx (Postrider) with SMTP id 1" TAIL) },
        { "no HELO, a recipient with a space", { .hostname = LIT("mx"), .id = LIT("1"), .recipient = { LIT("\"a b\""), LIT("c.org") } },
          LIT("Received: from unknown\r\n\tby mx (Postrider) with SMTP id 1" TAIL) },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text field = { 0 };
        struct received received = cases[i].received;
        received.now_ms = WHEN * 1000ull;
        print_message("%s\n", cases[i].what);
        text_add_received(&field, &received);
        assert_true(slice_eq(text_slice(&field), cases[i].field));
        text_free(&field);
    }
}

static void return_path(void **state)
{
    (void)state;
    struct text field = { 0 };
    text_add_return_path(&field, (struct path){ SLICE("ann"), SLICE("b.org") });
    text_add_return_path(&field, (struct path){ { 0 }, { 0 } });
    assert_true(slice_eq(text_slice(&field), SLICE("Return-Path: <ann@b.org>\r\nReturn-Path: <>\r\n")));
    text_free(&field);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(dates), cmocka_unit_test(received_fields), cmocka_unit_test(return_path) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
