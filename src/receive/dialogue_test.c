#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "receive/fake_world.h"
#include <stdlib.h>
/* Dialogues: what the client says, and the whole answer. `{hear}` ending in '*' compares what stands before it. */

#define EHLO "EHLO client.example\r\n"
#define MAIL "MAIL FROM:<sam@outside.example>\r\n"
#define RCPT "RCPT TO:<ann@example.org>\r\n"
#define OK "250 2.0.0 ok\r\n"
#define SENDER_OK "250 2.1.0 sender ok\r\n"
#define RECIPIENT_OK "250 2.1.5 recipient ok\r\n"
#define SEND "354 send the message; end it with <CR><LF>.<CR><LF>\r\n"
#define QUEUED(id) "250 2.0.0 ok, queued as 000000000000" id "\r\n"
#define HELLO "250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n"
#define HELLO_MX HELLO "250-STARTTLS\r\n250 HELP\r\n"

struct line {
    const char *say, *hear;
};
static const struct dialogue {
    const char *name;
    enum listener_role role;
    struct line lines[16];
} dialogues[] = {
    { "a message", ROLE_MX,
      { { EHLO, HELLO_MX },
        { MAIL, SENDER_OK },
        { RCPT, RECIPIENT_OK },
        { "DATA\r\n", SEND },
        { "Subject: hi\r\n\r\nhello\r\n.\r\n", QUEUED("1000") },
        { "QUIT\r\n", "221 2.0.0 bye\r\n" } } },
    { "pipelined, two messages, the second behind the first's end", ROLE_MX,
      { { EHLO, HELLO_MX },
        { MAIL RCPT "DATA\r\n", SENDER_OK RECIPIENT_OK SEND },
        { "\r\n.\r\n" MAIL RCPT "DATA\r\n\r\n.\r\nQUIT\r\n",
          QUEUED("1000") SENDER_OK RECIPIENT_OK SEND QUEUED("1001") "221 2.0.0 bye\r\n" } } },
    { "HELO, small letters, trailing white space", ROLE_MX,
      { { "helo client.example \r\n", "250 mx.example.org\r\n" },
        { "mail from:<sam@outside.example> \r\n", SENDER_OK },
        { "rcpt to:<ANN@EXAMPLE.ORG>\t\r\n", RECIPIENT_OK },
        { "rcpt to:<ann@EXAMPLE.ORG> \r\n", RECIPIENT_OK } } },
    { "parameters need EHLO", ROLE_MX,
      { { "HELO c.example\r\n", "250 mx.example.org\r\n" },
        { "MAIL FROM:<s@o.example> SIZE=10\r\n", "555 5.5.4*" },
        { MAIL, SENDER_OK },
        { "RCPT TO:<ann@example.org> NOTIFY=NEVER\r\n", "555 5.5.4*" } } },
    { "the order of commands", ROLE_MX,
      { { MAIL, "503 5.5.1 say EHLO (or HELO) first\r\n" },
        { RCPT "DATA\r\n", "503 5.5.1 say EHLO*" },
        { "AUTH PLAIN\r\n", "503 5.5.1 say EHLO*" },
        { EHLO RCPT, HELLO_MX "503 5.5.1 say MAIL first\r\n" },
        { "DATA\r\n", "503 5.5.1 say MAIL first\r\n" },
        { MAIL "DATA\r\n", SENDER_OK "554 5.5.1 no valid recipients\r\n" },
        { MAIL, "503 5.5.1 not within a mail transaction; RSET ends it\r\n" },
        { RCPT MAIL, RECIPIENT_OK "503 5.5.1 not within*" },
        { "STARTTLS\r\nAUTH PLAIN\r\n", "503 5.5.1*" },
        { "RSET\r\nRCPT TO:<ann@example.org>\r\n", OK "503 5.5.1 say MAIL*" },
        { MAIL EHLO RCPT, SENDER_OK HELLO_MX "503 5.5.1 say MAIL*" } } },
    { "commands that need no EHLO", ROLE_MX,
      { { "NOOP\r\nNOOP with words\r\nRSET\r\n", OK OK OK },
        { "VRFY ann\r\n", "252 2.0.0*" },
        { "EXPN friends\r\n", "502 5.5.1*" },
        { "HELP\r\n", "214-2.0.0 commands: MAIL RCPT DATA EHLO HELO RSET QUIT NOOP STARTTLS AUTH HELP VRFY\r\n214 2.0.0 *" },
        { "HELP rcpt\r\n", "214 2.0.0 RCPT TO:<address>*" },
        { "HELP EXPN\r\nHELP X\r\n", "504 5.5.4*" } } },
    { "arguments", ROLE_MX,
      { { "EHLO\r\n", "501 5.5.4 this command needs*" },
        { "EHLO not_a_domain!\r\n", "501 5.5.4 the name must be*" },
        { "EHLO [192.0.2.999]\r\n", "501 5.5.4 the name must be*" },
        { "EHLO [192.0.2.9]\r\n", HELLO_MX },
        { "EHLO [IPv6:2001:db8::1]\r\n", HELLO_MX },
        { "RSET now\r\n", "501 5.5.4 this command takes*" },
        { "QUIT now\r\n", "501 5.5.4 this command takes*" },
        { "VRFY\r\n", "501 5.5.4*" },
        { "MAIL\r\n", "501 5.5.4*" },
        { "MAIL TO:<a@b.example>\r\n", "501 5.5.4 syntax: MAIL FROM*" },
        { MAIL "RCPT FROM:<a@b.example>\r\n", SENDER_OK "501 5.5.4 syntax: RCPT TO*" },
        { RCPT "DATA now\r\n", RECIPIENT_OK "501 5.5.4*" } } },
    { "unknown and unwanted commands", ROLE_MX,
      { { "XYZZY\r\n", "500 5.5.1*" },
        { "\r\n", "500 5.5.2 empty*" },
        { "12345\r\n", "500 5.5.1*" },
        { "BDAT 10 LAST\r\n", "502 5.5.1*" },
        { "ETRN example.org\r\n", "502 5.5.1*" },
        { "TURN\r\n", "502 5.5.1*" } } },
    { "a browser is sent away", ROLE_MX,
      { { "POST / HTTP/1.1\r\nHost: x\r\n\r\n" EHLO MAIL, "421 4.7.0 this is a mail server (SMTP); closing\r\n" } } },
    { "lines end with CRLF only", ROLE_MX,
      { { "NOOP\nNOOP\r\n", "500 5.5.2 control character*" },
        { "NOOP\rNOOP\r\n", "500 5.5.2 control character*" },
        { "NO\tOP\r\n", "500 5.5.2 control character*" },
        { "NOOP\r\r\n", "500 5.5.2 control character*" },
        { EHLO MAIL "RCPT TO:<ann@example.org>\nDATA\nx\n.\nQUIT\r\n", HELLO_MX SENDER_OK "500 5.5.2 control*" },
        { RCPT, RECIPIENT_OK } } },
    { "paths that are not", ROLE_MX,
      { { EHLO, HELLO_MX },
        { "MAIL FROM:sam@outside.example\r\n", "501 5.1.7*" },
        { "MAIL FROM:<sam>\r\n", "553 5.1.3 address has no domain*" },
        { "MAIL FROM:<postmaster>\r\n", "553 5.1.3 address has no domain*" },
        { "MAIL FROM:<sam@-x.example>\r\n", "553 5.1.3 the domain*" },
        { "MAIL FROM:<s m@x.example>\r\n", "553 5.1.3 the part before*" },
        { "MAIL FROM:<\xc3\xa9@x.example>\r\n", "553 5.6.7*" },
        { "MAIL FROM:<>\r\n", SENDER_OK },
        { "RCPT TO:<>\r\n", "553 5.1.3 address has no domain*" },
        { "RCPT TO:<ann>\r\n", "553 5.1.3 address has no domain*" },
        { "RCPT TO:<postmaster>\r\n", RECIPIENT_OK },
        { "RCPT TO:<PostMaster@example.org>\r\n", RECIPIENT_OK },
        { "RCPT TO:<@relay.example,@b.example:ann@example.org>\r\n", RECIPIENT_OK } } },
    { "who is at home", ROLE_MX,
      { { EHLO MAIL, HELLO_MX SENDER_OK },
        { "RCPT TO:<nobody@example.org>\r\n", "550 5.1.1*" },
        { "RCPT TO:<ann+shop@example.org>\r\n", RECIPIENT_OK },
        { "RCPT TO:<\"ann\"@example.org>\r\n", RECIPIENT_OK },
        { "RCPT TO:<friends@example.org>\r\n", RECIPIENT_OK },
        { "RCPT TO:<loop@example.org>\r\n", "451 4.3.5*" },
        { "RCPT TO:<carl@outside.example>\r\n", "550 5.7.1 relaying denied*" },
        { "RCPT TO:<ann%outside.example@example.org>\r\n", "550 5.1.1*" },
        { "RCPT TO:<@example.org:carl@outside.example>\r\n", "550 5.7.1*" } } },
    { "parameters of MAIL", ROLE_MX,
      { { EHLO, HELLO_MX },
        { "MAIL FROM:<s@o.example> SIZE=52428801\r\n", "552 5.3.4*" },
        { "MAIL FROM:<s@o.example> SIZE=99999999999999999999\r\n", "552 5.3.4*" },
        { "MAIL FROM:<s@o.example> SIZE=x\r\n", "501 5.5.4 SIZE=*" },
        { "MAIL FROM:<s@o.example> SIZE\r\n", "501 5.5.4 SIZE=*" },
        { "MAIL FROM:<s@o.example> BODY=BINARYMIME\r\n", "501 5.5.4 BODY=*" },
        { "MAIL FROM:<s@o.example> RET=ALL\r\n", "501 5.5.4 RET=*" },
        { "MAIL FROM:<s@o.example> ENVID=a+\r\n", "501 5.5.4 ENVID=*" },
        { "MAIL FROM:<s@o.example> SIZE=1 size=1\r\n", "501 5.5.4 parameter given twice\r\n" },
        { "MAIL FROM:<s@o.example> SMTPUTF8\r\n", "555 5.5.4*" },
        { "MAIL FROM:<s@o.example>SIZE=1\r\n", "501 5.5.4 malformed*" },
        { "MAIL FROM:<s@o.example> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=QQ+3D1 AUTH=<>\r\n", SENDER_OK } } },
    { "parameters of RCPT", ROLE_MX,
      { { EHLO MAIL, HELLO_MX SENDER_OK },
        { "RCPT TO:<ann@example.org> NOTIFY=NEVER,SUCCESS\r\n", "501 5.5.4 NOTIFY=*" },
        { "RCPT TO:<ann@example.org> ORCPT=ann@example.org\r\n", "501 5.5.4 ORCPT=*" },
        { "RCPT TO:<ann@example.org> SIZE=1\r\n", "555 5.5.4*" },
        { "RCPT TO:<ann@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;ann+2Bx@example.org\r\n", RECIPIENT_OK } } },
    { "submission wants TLS, then AUTH", ROLE_SUBMISSION,
      { { EHLO, HELLO_MX },
        { MAIL, "530 5.7.0 say STARTTLS first*" },
        { "AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=\r\n", "538 5.7.11*" },
        { "AUTH LOGIN\r\n", "538 5.7.11*" },
        { "AUTH CRAM-MD5\r\n", "504 5.5.4*" } } },
    { "no AUTH on the MX", ROLE_MX, { { EHLO, HELLO_MX }, { "AUTH PLAIN\r\n", "502 5.5.1 signing in is not offered*" } } },
};

static void expect(const char *name, size_t line, slice heard, const char *hear)
{
    slice wanted = slice_from_cstr(hear);
    bool is_begin = slice_ends_with(wanted, SLICE("*"));
    if (is_begin)
        wanted.len--;
    bool fits = is_begin ? slice_starts_with(heard, wanted) : slice_eq(heard, wanted);
    if (!fits)
        fail_msg("%s, line %zu\n--- wanted\n%s\n--- heard\n" SLICE_FMT, name, line + 1, hear, SLICE_ARG(heard));
}

static void test_dialogues(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(dialogues); i++) {
        const struct dialogue *dialogue = &dialogues[i];
        struct world *w = world_new(NULL);
        struct stream *client = world_connect(w, dialogue->role, "198.51.100.7");
        expect(dialogue->name, SIZE_MAX, world_output(client), "220 mx.example.org ESMTP Postrider\r\n");
        for (size_t line = 0; line < COUNT(dialogue->lines) && dialogue->lines[line].say; line++)
            expect(dialogue->name, line, world_say(w, client, dialogue->lines[line].say), dialogue->lines[line].hear);
        world_hang_up(client);
        assert_int_equal(receiver_session_count(w->receiver), 0);
        assert_int_equal(w->drafts_open, 0);
        world_free(w);
    }
}

/* Cut anywhere, with turns of the loop anywhere in between, the replies are the same. */
static void say_in_pieces(struct world *w, struct stream *client, slice octets)
{
    while (octets.len > 0) {
        size_t length = (size_t)rand() % (rand() % 4 ? 8 : 200) + 1;
        world_send(client, slice_head(octets, length));
        octets = slice_tail(octets, length);
        if (rand() % 3 == 0)
            world_turn(w);
    }
    world_turn(w);
}

static void test_pieces(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 2000; seed++) {
        srand(seed);
        const struct dialogue *dialogue = &dialogues[(size_t)rand() % COUNT(dialogues)];
        struct world *w = world_new(NULL);
        struct stream *whole = world_connect(w, dialogue->role, "198.51.100.7");
        struct text octets = { 0 }, wanted = { 0 };
        for (size_t line = 0; line < COUNT(dialogue->lines) && dialogue->lines[line].say; line++)
            text_add_cstr(&octets, dialogue->lines[line].say);
        world_send(whole, text_slice(&octets));
        world_turn(w);
        text_add(&wanted, world_output(whole));
        world_free(w);

        w = world_new(NULL);
        struct stream *cut = world_connect(w, dialogue->role, "198.51.100.7");
        say_in_pieces(w, cut, text_slice(&octets));
        slice heard = world_output(cut);
        if (!slice_eq(heard, text_slice(&wanted)))
            fail_msg("%s, seed %u\n--- whole\n" SLICE_FMT "\n--- in pieces\n" SLICE_FMT, dialogue->name, seed,
                     SLICE_ARG(text_slice(&wanted)), SLICE_ARG(heard));
        world_free(w);
        text_free(&octets);
        text_free(&wanted);
    }
}

/* Longest lines of RFC 5321 §4.5.3.1.4 and its extensions, and one octet more; whole, and cut in two. */
static void test_long_lines(void **state)
{
    (void)state;
    static const struct {
        const char *before, *line;
        size_t octets; /* CRLF included */
        const char *hear;
    } cases[] = {
        { EHLO, "NOOP ", 512, OK },
        { EHLO, "NOOP ", 513, "500 5.5.2 command line is too long\r\n" },
        { EHLO, "XYZZY ", 513, "500 5.5.2 command line is too long\r\n" },
        { EHLO, "XYZZY ", 12288, "500 5.5.2 command line is too long\r\n" },
        { EHLO, "XYZZY ", 12289, "500 5.5.2 command line is too long\r\n" },
        { EHLO, "NOOP ", 70000, "500 5.5.2 command line is too long\r\n" },
        { EHLO, "MAIL FROM:<s@o.example> AUTH=", 1175, "501 5.5.4 AUTH=*" },
        { EHLO, "MAIL FROM:<s@o.example> AUTH=", 1176, "500 5.5.2 command line*" },
        { EHLO MAIL, "RCPT TO:<ann@example.org> ORCPT=", 1055, "501 5.5.4 ORCPT=*" },
        { EHLO MAIL, "RCPT TO:<ann@example.org> ORCPT=", 1056, "500 5.5.2 command line*" },
    };
    for (size_t i = 0; i < COUNT(cases) * 2; i++) {
        size_t row = i / 2;
        struct world *w = world_new(NULL);
        struct stream *client = world_connect(w, ROLE_MX, "198.51.100.7");
        world_say(w, client, cases[row].before);
        struct text line = { 0 };
        text_add_cstr(&line, cases[row].line);
        while (line.len < cases[row].octets - 2)
            text_add_byte(&line, 'x');
        text_add_cstr(&line, "\r\n");
        size_t cut = i % 2 ? line.len - 1 : line.len;
        world_send(client, slice_head(text_slice(&line), cut));
        world_send(client, slice_tail(text_slice(&line), cut));
        expect(cases[row].line, row, world_output(client), cases[row].hear);
        expect("after it", row, world_say(w, client, "RSET\r\n"), OK);
        text_free(&line);
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialogues),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
