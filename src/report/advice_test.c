#include "report/advice.h"
#include "report/report.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Replies as the servers of the day give them, and what our own deliver/ says. */
static void finds_causes(void **state)
{
    (void)state;
    static const struct {
        struct outcome outcome;
        enum cause cause;
    } cases[] = {
        /* Gmail */
        { { ACTION_FAILED, STAGE_RCPT, { 5, 1, 1 }, true, 550, LIT("The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos or unnecessary spaces.") }, CAUSE_NO_MAILBOX },
        { { ACTION_FAILED, STAGE_RCPT, { 5, 2, 1 }, true, 550, LIT("The email account that you tried to reach is inactive.") }, CAUSE_MAILBOX_DISABLED },
        { { ACTION_DELAYED, STAGE_RCPT, { 4, 2, 2 }, true, 452, LIT("The recipient's inbox is out of storage space.") }, CAUSE_MAILBOX_FULL },
        { { ACTION_DELAYED, STAGE_RCPT, { 4, 2, 1 }, true, 450, LIT("The user you are trying to contact is receiving mail too quickly.") }, CAUSE_RATE_LIMITED },
        { { ACTION_DELAYED, STAGE_CONTENT, { 4, 7, 28 }, true, 421, LIT("Gmail has detected an unusual rate of unsolicited mail originating from your IP address.") }, CAUSE_RATE_LIMITED },
        { { ACTION_FAILED, STAGE_CONTENT, { 5, 7, 26 }, true, 550, LIT("Unauthenticated email from example.org is not accepted due to domain's DMARC policy.") }, CAUSE_UNAUTHENTICATED },
        { { ACTION_FAILED, STAGE_CONTENT, { 5, 7, 1 }, true, 550, LIT("Gmail has detected that this message is likely unsolicited mail.") }, CAUSE_SPAM },
        { { ACTION_FAILED, STAGE_CONTENT, { 5, 7, 0 }, true, 552, LIT("This message was blocked because its content presents a potential security issue.") }, CAUSE_ATTACHMENT },
        { { ACTION_FAILED, STAGE_CONTENT, { 5, 7, 25 }, true, 550, LIT("The IP address sending this message does not have a PTR record setup") }, CAUSE_REVERSE_DNS },
        { { ACTION_FAILED, STAGE_MAIL, { 5, 3, 4 }, true, 552, LIT("Your message exceeded Google's message size limits.") }, CAUSE_TOO_LARGE },
        { { ACTION_DELAYED, STAGE_MAIL, { 4, 7, 29 }, true, 421, LIT("Your email has been rate limited because this message wasn't sent over a TLS connection.") }, CAUSE_TLS_WANTED },
        /* Outlook */
        { { ACTION_FAILED, STAGE_RCPT, { 5, 5, 0 }, true, 550, LIT("Requested action not taken: mailbox unavailable (S2017062302).") }, CAUSE_NO_MAILBOX },
        { { ACTION_FAILED, STAGE_MAIL, { 5, 7, 1 }, true, 550, LIT("Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140).") }, CAUSE_BLOCKLISTED },
        { { ACTION_FAILED, STAGE_RCPT, { 5, 7, 511 }, true, 550, LIT("Access denied, banned sending IP[192.0.2.1].") }, CAUSE_BLOCKLISTED },
        { { ACTION_FAILED, STAGE_CONTENT, { 5, 7, 509 }, true, 550, LIT("Access denied, sending domain example.org does not pass DMARC verification") }, CAUSE_UNAUTHENTICATED },
        { { ACTION_DELAYED, STAGE_RCPT, { 4, 7, 0 }, false, 451, LIT("Server busy. Please try again later from [192.0.2.1]. The mail server IP has exceeded the rate limit allowed.") }, CAUSE_RATE_LIMITED },
        { { ACTION_FAILED, STAGE_RCPT, { 5, 4, 1 }, true, 550, LIT("Recipient address rejected: Access denied.") }, CAUSE_NO_MAILBOX },
        /* Yahoo, Apple, GMX */
        { { ACTION_FAILED, STAGE_RCPT, { 5, 0, 0 }, false, 554, LIT("delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [0] - mta1.mail.ne1.yahoo.com") }, CAUSE_NO_MAILBOX },
        { { ACTION_DELAYED, STAGE_GREETING, { 4, 7, 0 }, true, 421, LIT("[TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1") }, CAUSE_RATE_LIMITED },
        { { ACTION_FAILED, STAGE_CONTENT, { 5, 7, 9 }, true, 554, LIT("Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes") }, CAUSE_POLICY },
        { { ACTION_FAILED, STAGE_GREETING, { 5, 0, 0 }, false, 554, LIT("gmx.net (mxgmx016) Nemesis ESMTP Service not available. No SMTP service. Bad DNS PTR resource record.") }, CAUSE_REPUTATION },
        { { ACTION_FAILED, STAGE_RCPT, { 5, 2, 2 }, true, 552, LIT("<x@icloud.com>: user is over quota") }, CAUSE_MAILBOX_FULL },
        /* Postfix, Exim, Dovecot, Exchange */
        { { ACTION_FAILED, STAGE_RCPT, { 5, 7, 1 }, true, 554, LIT("Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org") }, CAUSE_BLOCKLISTED },
        { { ACTION_DELAYED, STAGE_RCPT, { 4, 2, 0 }, true, 450, LIT("<a@b>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/") }, CAUSE_GREYLISTED },
        { { ACTION_FAILED, STAGE_RCPT, { 5, 7, 1 }, true, 554, LIT("<a@b>: Relay access denied") }, CAUSE_RELAY_DENIED },
        { { ACTION_FAILED, STAGE_RCPT, { 5, 1, 8 }, true, 550, LIT("<a@b>: Sender address rejected: Domain not found") }, CAUSE_SENDER_REFUSED },
        { { ACTION_FAILED, STAGE_RCPT, { 5, 0, 0 }, false, 550, LIT("Unrouteable address") }, CAUSE_NO_MAILBOX },
        { { ACTION_FAILED, STAGE_CONTENT, { 5, 2, 2 }, true, 552, LIT("<a@b> Quota exceeded (mailbox for user is full)") }, CAUSE_MAILBOX_FULL },
        { { ACTION_FAILED, STAGE_RCPT, { 5, 7, 1 }, false, 550, LIT("RESOLVER.RST.NotAuthorized; not authorized") }, CAUSE_RESTRICTED },
        { { ACTION_FAILED, STAGE_CONTENT, { 5, 4, 6 }, true, 554, LIT("too many hops") }, CAUSE_LOOP },
        { { ACTION_FAILED, STAGE_CONTENT, { 0 }, false, 550, LIT("This message contains a virus (Eicar-Test)") }, CAUSE_VIRUS },
        { { ACTION_DELAYED, STAGE_GREETING, { 4, 3, 2 }, false, 421, LIT("go away") }, CAUSE_SERVER_TROUBLE },
        { { ACTION_FAILED, STAGE_MAIL, { 5, 6, 7 }, true, 550, LIT("no") }, CAUSE_NOT_SUPPORTED },
        /* without a word */
        { { ACTION_FAILED, STAGE_CONTENT, { 5, 0, 0 }, false, 554, LIT("") }, CAUSE_POLICY },
        { { ACTION_FAILED, STAGE_CONTENT, { 0 }, false, 569, LIT("") }, CAUSE_OTHER_PERMANENT },
        { { ACTION_DELAYED, STAGE_RCPT, { 4, 0, 0 }, false, 450, LIT("") }, CAUSE_OTHER_TRANSIENT },
        { { ACTION_FAILED, STAGE_RCPT, { 5, 0, 0 }, false, 550, LIT("") }, CAUSE_NO_MAILBOX },
        /* our own */
        { { ACTION_FAILED, STAGE_DNS, { 5, 1, 10 }, false, 0, LIT("the domain takes no mail") }, CAUSE_NULL_MX },
        { { ACTION_FAILED, STAGE_DNS, { 5, 1, 2 }, false, 0, LIT("no such domain") }, CAUSE_NO_DOMAIN },
        { { ACTION_DELAYED, STAGE_DNS, { 4, 4, 3 }, false, 0, LIT("SERVFAIL") }, CAUSE_DNS },
        { { ACTION_DELAYED, STAGE_DNS, { 4, 3, 5 }, false, 0, LIT("no name server") }, CAUSE_OWN_SETUP },
        { { ACTION_FAILED, STAGE_DNS, { 5, 4, 6 }, false, 0, LIT("the MX is ourselves") }, CAUSE_LOOP },
        { { ACTION_DELAYED, STAGE_CONNECT, { 4, 4, 1 }, false, 0, LIT("connection refused") }, CAUSE_NO_ANSWER },
        { { ACTION_DELAYED, STAGE_DATA, { 4, 4, 2 }, false, 0, LIT("connection lost") }, CAUSE_CONNECTION_LOST },
        { { ACTION_DELAYED, STAGE_TLS, { 4, 7, 5 }, false, 0, LIT("certificate verify failed") }, CAUSE_CERTIFICATE },
        { { ACTION_DELAYED, STAGE_STARTTLS, { 4, 7, 4 }, false, 0, LIT("STARTTLS is not offered") }, CAUSE_TLS_FAILED },
        { { ACTION_FAILED, STAGE_AUTH, { 5, 7, 8 }, true, 535, LIT("Username and Password not accepted") }, CAUSE_SIGN_IN },
        { { ACTION_FAILED, STAGE_MAIL, { 5, 3, 4 }, false, 0, LIT("larger than the server takes") }, CAUSE_TOO_LARGE },
        { { ACTION_DELAYED, STAGE_MAILBOX, { 4, 2, 0 }, false, 0, LIT("permission denied") }, CAUSE_OWN_MAILBOX },
        { { ACTION_FAILED, STAGE_CONTENT, { 5, 3, 0 }, false, 0, LIT("damaged on this server's disk") }, CAUSE_OWN_TROUBLE },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum cause cause = cause_find(&cases[i].outcome);
        if (cause != cases[i].cause)
            print_error(SLICE_FMT ": found " SLICE_FMT "\n", SLICE_ARG(cases[i].outcome.text), SLICE_ARG(advice_of(cause)->name));
        assert_int_equal(cause, cases[i].cause);
    }
}

static void every_cause_has_words(void **state)
{
    (void)state;
    for (int cause = 0; cause <= CAUSE_OTHER_TRANSIENT; cause++) {
        const struct advice *advice = advice_of((enum cause)cause);
        assert_true(advice->name.len && slice_is_ascii(advice->happened) && slice_is_ascii(advice->to_do));
        assert_true(slice_ends_with(advice->happened, SLICE(".")) && slice_ends_with(advice->to_do, SLICE(".")));
    }
    struct text buffer = { 0 };
    struct outcome outcome = { .action = ACTION_FAILED, .stage = STAGE_RCPT, .status = { 5, 2, 2 } };
    assert_true(slice_eq(report_explain(&outcome, &buffer),
                         SLICE("The recipient's mailbox is full. Tell the person in another way to make room, then send the message again.")));
    text_free(&buffer);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(finds_causes), cmocka_unit_test(every_cause_has_words) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
