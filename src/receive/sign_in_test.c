#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"
#include "receive/fake_world.h"
/* STARTTLS and AUTH. */

#define FAILED "535 5.7.8 name or password is wrong\r\n"

static void expect(slice heard, const char *wanted)
{
    if (!slice_starts_with(heard, slice_from_cstr(wanted)) || (*wanted == '\0' && heard.len > 0))
        fail_msg("wanted %s, heard " SLICE_FMT, wanted, SLICE_ARG(heard));
}

static bool has(slice heard, const char *words) { return slice_find(heard, slice_from_cstr(words)) != SLICE_NOT_FOUND; }

static struct stream *connect_with_tls(struct world *w, enum listener_role role)
{
    struct stream *client = world_connect(w, role, "198.51.100.7");
    if (role != ROLE_SUBMISSIONS)
        world_say(w, client, "EHLO c.example\r\nSTARTTLS\r\n");
    world_finish_handshake(client, true);
    world_say(w, client, "EHLO c.example\r\n");
    return client;
}

/* `words` with '|' for NUL, in base64 behind `before`. */
static slice say_encoded(struct world *w, struct stream *client, const char *before, slice words)
{
    struct text octets = { 0 }, line = { 0 };
    text_add(&octets, words);
    for (size_t i = 0; i < octets.len; i++)
        octets.ptr[i] = octets.ptr[i] == '|' ? '\0' : octets.ptr[i];
    text_add_cstr(&line, before);
    base64_encode(&line, text_slice(&octets));
    text_add_cstr(&line, "\r\n");
    world_send(client, text_slice(&line));
    world_turn(w);
    text_free(&octets);
    text_free(&line);
    return world_output(client);
}

static void test_starttls(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = world_connect(w, ROLE_SUBMISSION, "198.51.100.7");
    assert_true(has(world_say(w, client, "EHLO c.example\r\n"), "250-STARTTLS\r\n"));
    assert_false(has(world_say(w, client, "EHLO c.example\r\n"), "AUTH"));
    expect(world_say(w, client, "STARTTLS now\r\n"), "501 5.5.4");
    /* CVE-2011-0411: what stands behind STARTTLS was said by anybody */
    expect(world_say(w, client, "STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@x.example>\r\nNO"),
           "220 2.0.0 ready to start TLS\r\n");
    world_finish_handshake(client, true);
    world_turn(w);
    assert_int_equal(world_output(client).len, 0);
    expect(world_say(w, client, "OP\r\n"), "500 5.5.1");
    expect(world_say(w, client, "AUTH PLAIN\r\n"), "503 5.5.1 say EHLO");
    slice hello = world_say(w, client, "EHLO c.example\r\n");
    assert_false(has(hello, "STARTTLS"));
    assert_true(has(hello, "250-AUTH PLAIN LOGIN\r\n"));
    expect(world_say(w, client, "STARTTLS\r\n"), "503 5.5.1 TLS is on already");
    expect(world_say(w, client, "MAIL FROM:<a@b.example>\r\n"), "530 5.7.0 sign in first");
    world_free(w);
}

static void test_starttls_cut_behind(void **state)
{
    (void)state;
    /* the same with the line cut, so that what follows is kept and not only passed over */
    struct world *w = world_new(NULL);
    struct stream *client = world_connect(w, ROLE_MX, "198.51.100.7");
    world_say(w, client, "EHLO c.example\r\nSTART");
    expect(world_say(w, client, "TLS\r\nNOOP\r\nNOOP\r\n"), "220 2.0.0");
    world_finish_handshake(client, true);
    world_turn(w);
    expect(world_output(client), "");
    expect(world_say(w, client, "EHLO c.example\r\n"), "250-mx.example.org\r\n");
    expect(world_say(w, client, "MAIL FROM:<a@b.example>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n"), "250 2.1.0");
    expect(world_say(w, client, "\r\n.\r\n"), "250 2.0.0");
    assert_true(has(w->seen[0]->content, "using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384"));
    assert_true(has(w->seen[0]->content, " with ESMTPS id "));
    world_free(w);
}

static void test_handshake_fails(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = world_connect(w, ROLE_SUBMISSIONS, "198.51.100.7");
    expect(world_output(client), "");
    world_finish_handshake(client, false);
    assert_true(world_is_closed(client));
    client = world_connect(w, ROLE_SUBMISSIONS, "198.51.100.7");
    world_pass(w, 61000);
    assert_true(world_is_closed(client));
    client = world_connect(w, ROLE_SUBMISSIONS, "198.51.100.7");
    world_finish_handshake(client, true);
    expect(world_output(client), "220 mx.example.org ESMTP Postrider\r\n");
    assert_false(has(world_say(w, client, "EHLO c.example\r\n"), "STARTTLS"));
    world_free(w);
}

static void test_plain(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = connect_with_tls(w, ROLE_SUBMISSIONS);
    expect(say_encoded(w, client, "AUTH PLAIN ", SLICE("|ann@example.org|secret")), "235 2.7.0 signed in\r\n");
    expect(say_encoded(w, client, "AUTH PLAIN ", SLICE("|ann@example.org|secret")), "503 5.5.1 already");
    assert_false(has(world_say(w, client, "EHLO c.example\r\n"), "AUTH"));
    expect(world_say(w, client, "AUTH CRAM-MD5\r\n"), "503 5.5.1 already");
    expect(world_say(w, client, "MAIL FROM:<ann@example.org>\r\nRCPT TO:<carl@outside.example>\r\nDATA\r\n"),
           "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n354");
    expect(world_say(w, client, ".\r\n"), "250 2.0.0");
    assert_true(has(w->seen[0]->content, " with ESMTPSA id "));
    assert_true(slice_eq(w->seen[0]->envelope->account, SLICE("ann@example.org")));
    world_free(w);
}

static void test_exchanges(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = connect_with_tls(w, ROLE_ALTERNATIVE);
    expect(world_say(w, client, "AUTH\r\n"), "501 5.5.4");
    expect(world_say(w, client, "AUTH GSSAPI\r\n"), "504 5.5.4");
    expect(world_say(w, client, "AUTH PLAIN !!!!\r\n"), "501 5.5.2 response is not base64");
    expect(world_say(w, client, "AUTH PLAIN =\r\n"), "501 5.5.2 response is not what");
    expect(say_encoded(w, client, "AUTH PLAIN ", SLICE("bob|ann@example.org|secret")),
           "501 5.5.2 response is not what");
    expect(world_say(w, client, "AUTH PLAIN\r\n"), "334 \r\n");
    expect(world_say(w, client, "*\r\n"), "501 5.7.0 sign-in cancelled");
    expect(world_say(w, client, "auth plain\r\n"), "334 \r\n");
    expect(world_say(w, client, "NOOP\r\n"), "501 5.5.2"); /* is base64 of something, and no PLAIN message */
    expect(world_say(w, client, "AUTH LOGIN\r\n"), "334 VXNlcm5hbWU6\r\n");
    expect(say_encoded(w, client, "", SLICE("ann@example.org")), "334 UGFzc3dvcmQ6\r\n");
    expect(say_encoded(w, client, "", SLICE("secret")), "235 2.7.0");
    world_free(w);
}

static void test_long_response(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = connect_with_tls(w, ROLE_SUBMISSION);
    world_say(w, client, "AUTH PLAIN\r\n");
    struct text line = { 0 };
    while (line.len < 20000)
        text_add_byte(&line, 'A');
    text_add_cstr(&line, "\r\nNOOP\r\n");
    world_send(client, text_slice(&line));
    expect(world_output(client), "500 5.5.6 response is too long\r\n250 2.0.0 ok\r\n");
    text_free(&line);
    world_free(w);
}

/* Wrong name and wrong password look the same; each failure is told later than the one before; the third is the last.
 */
static void test_failures(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = connect_with_tls(w, ROLE_SUBMISSION);
    expect(say_encoded(w, client, "AUTH PLAIN ", SLICE("|ann@example.org|wrong")), "");
    expect(world_say(w, client, "NOOP\r\n"), ""); /* waits behind it */
    world_pass(w, 999);
    expect(world_output(client), "");
    world_pass(w, 1);
    expect(world_output(client), FAILED "250 2.0.0 ok\r\n");
    expect(say_encoded(w, client, "AUTH PLAIN ", SLICE("|nobody@example.org|secret")), "");
    world_pass(w, 1999);
    expect(world_output(client), "");
    world_pass(w, 1);
    expect(world_output(client), FAILED);
    expect(say_encoded(w, client, "AUTH PLAIN ", SLICE("|ann@example.org|x")), "");
    world_pass(w, 4000);
    expect(world_output(client), "421 4.7.0 too many failed sign-ins");
    assert_true(world_is_closed(client));
    assert_int_equal(event_count(w->events, EVENT_sign_in_failed), 3);
    world_free(w);
}

static void test_keyring_troubles(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = connect_with_tls(w, ROLE_SUBMISSION);
    w->keyring_is_away = true;
    expect(say_encoded(w, client, "AUTH PLAIN ", SLICE("|ann@example.org|secret")), "454 4.7.0");
    w->keyring_is_away = false;
    w->answers_wait = true;
    expect(say_encoded(w, client, "AUTH PLAIN ", SLICE("|ann@example.org|secret")), "");
    world_break(client); /* the question is withdrawn: no answer may reach the session */
    w->answers_wait = false;
    world_turn(w);
    assert_true(world_is_closed(client));
    client = connect_with_tls(w, ROLE_SUBMISSION);
    say_encoded(w, client, "AUTH PLAIN ", SLICE("|ann@example.org|wrong"));
    world_break(client); /* while the failure waits to be told */
    world_pass(w, 5000);
    assert_int_equal(receiver_session_count(w->receiver), 0);
    world_free(w);
}

/* A program of this machine: signed in already, neither TLS nor AUTH on offer. */
static void test_adopted(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = world_adopt(w, "uid:33");
    expect(world_output(client), "220 ");
    slice hello = world_say(w, client, "EHLO localhost\r\n");
    assert_false(has(hello, "STARTTLS") || has(hello, "AUTH"));
    expect(world_say(w, client, "STARTTLS\r\n"), "454 4.7.0");
    expect(world_say(w, client, "MAIL FROM:<>\r\nRCPT TO:<carl@outside.example>\r\nDATA\r\n"), "250 2.1.0");
    expect(world_say(w, client, "Subject: x\r\n\r\nx\r\n.\r\n"), "250 2.0.0");
    assert_true(has(w->seen[0]->content, "\r\nMessage-ID: <"));
    assert_true(has(w->seen[0]->content, " with ESMTPA id "));
    assert_true(slice_eq(w->seen[0]->envelope->account, SLICE("uid:33")));
    assert_true(slice_eq(w->seen[0]->envelope->listener, SLICE("local")));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starttls),        cmocka_unit_test(test_starttls_cut_behind),
        cmocka_unit_test(test_handshake_fails), cmocka_unit_test(test_plain),
        cmocka_unit_test(test_exchanges),       cmocka_unit_test(test_long_response),
        cmocka_unit_test(test_failures),        cmocka_unit_test(test_keyring_troubles),
        cmocka_unit_test(test_adopted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
