#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "receive/fake_world.h"
#include "receive/session.h"
#include <stdio.h>
/* Bounds of count, time and memory, and the orderly end. */

static void expect(slice heard, const char *wanted)
{
    if (!slice_starts_with(heard, slice_from_cstr(wanted)) || (*wanted == '\0' && heard.len > 0))
        fail_msg("wanted %s, heard " SLICE_FMT, wanted, SLICE_ARG(heard));
}

static struct stream *greeted(struct world *w)
{
    struct stream *client = world_connect(w, ROLE_MX, "198.51.100.7");
    world_say(w, client, "EHLO client.example\r\n");
    return client;
}

static const char until_data[] = "MAIL FROM:<s@o.example>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n";

static void test_errors(void **state)
{
    (void)state;
    struct world *w = world_new("  max_errors: 3\n");
    struct stream *client = greeted(w);
    world_say(w, client, "A\r\nB\r\n");
    world_say(w, client, until_data);
    expect(world_say(w, client, ".\r\n"), "250 2.0.0"); /* a message taken makes up for them */
    world_say(w, client, "A\r\nB\r\n");
    expect(world_say(w, client, "C\r\nNOOP\r\n"),
           "500 5.5.1 command not recognized; HELP lists what is known\r\n421 4.7.0 too many errors; closing\r\n");
    assert_true(world_is_closed(client));
    world_free(w);
}

static void test_idle_commands(void **state)
{
    (void)state;
    struct world *w = world_new("  max_idle_commands: 10\n");
    struct stream *client = greeted(w);
    expect(world_say(w, client, "NOOP\r\nRSET\r\nVRFY x\r\nHELP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n"),
           "250 2.0.0");
    expect(world_say(w, client, "RSET\r\n"), "421 4.7.0 too many commands");
    assert_true(world_is_closed(client));
    world_free(w);
}

static void test_recipients(void **state)
{
    (void)state;
    struct world *w = world_new("  max_recipients: 100\n");
    struct stream *client = world_connect(w, ROLE_MX, "192.0.2.7");
    world_say(w, client, "EHLO client.example\r\nMAIL FROM:<s@o.example>\r\n");
    for (int i = 0; i < 100; i++) {
        char line[64];
        snprintf(line, sizeof(line), "RCPT TO:<u%d@outside.example>\r\n", i);
        expect(world_say(w, client, line), "250 2.1.5");
    }
    for (int i = 0; i < 300; i++) /* no error of the client: the next transaction takes them */
        expect(world_say(w, client, "RCPT TO:<more@outside.example>\r\n"), "452 4.5.3");
    assert_int_equal(event_count(w->events, EVENT_command_refused), 100); /* and no way to fill the log */
    world_say(w, client, "DATA\r\n");
    expect(world_say(w, client, ".\r\n"), "250 2.0.0");
    assert_int_equal(w->seen[0]->envelope->recipient_count, 100);
    expect(world_say(w, client, "MAIL FROM:<s@o.example>\r\nRCPT TO:<more@outside.example>\r\n"),
           "250 2.1.0 sender ok\r\n250 2.1.5");
    world_free(w);
}

/* The alias has two targets here and a thousand elsewhere: only the name that came may cost memory again. */
static void test_same_alias_again(void **state)
{
    (void)state;
    struct world *w = world_new("");
    struct stream *client = greeted(w);
    expect(world_say(w, client, "MAIL FROM:<s@o.example>\r\nRCPT TO:<friends@example.org>\r\n"),
           "250 2.1.0 sender ok\r\n250 2.1.5");
    const struct session *s = LIST_ITEM(list_first(&w->receiver->sessions), struct session, listed);
    size_t before = s->transaction->memory.used_octets;
    for (int i = 0; i < 500; i++)
        expect(world_say(w, client, "RCPT TO:<friends@example.org>\r\n"), "250 2.1.5");
    assert_in_range(s->transaction->memory.used_octets - before, 0, 500 * 64);
    world_free(w);
}

static void test_sessions(void **state)
{
    (void)state;
    struct world *w = world_new("  max_sessions: 4\n  max_sessions_per_client: 2\n");
    struct stream *first = world_connect(w, ROLE_MX, "198.51.100.7");
    world_connect(w, ROLE_MX, "198.51.100.7");
    struct stream *refused = world_connect(w, ROLE_MX, "198.51.100.7");
    expect(world_output(refused), "421 4.7.0 too many connections from your address");
    assert_true(world_is_closed(refused));
    world_say(w, first, "QUIT\r\n");
    struct stream *again = world_connect(w, ROLE_MX, "198.51.100.7");
    expect(world_output(again), "220 ");
    /* one network of IPv6 counts as one client */
    world_connect(w, ROLE_MX, "2001:db8::1");
    world_connect(w, ROLE_MX, "2001:db8::2");
    refused = world_connect(w, ROLE_MX, "2001:db8:1::2");
    expect(world_output(refused), "421 4.3.2 too many connections at the moment");
    refused = world_connect(w, ROLE_SUBMISSIONS, "2001:db8:1::2");
    expect(world_output(refused), "");
    assert_true(world_is_closed(refused));
    assert_int_equal(event_count(w->events, EVENT_session_refused), 3);
    world_free(w);

    w = world_new("  max_sessions_per_client: 1\n");
    for (int i = 0; i < 3; i++) {
        expect(world_output(world_connect(w, ROLE_MX, "127.0.0.1")), "220 ");
        expect(world_output(world_connect(w, ROLE_MX, "192.0.2.1")), "220 ");
    }
    assert_int_equal(receiver_session_count(w->receiver), 6);
    world_free(w);
}

static void test_time_limits(void **state)
{
    (void)state;
    struct world *w = world_new("  command_timeout: 10s\n  data_timeout: 5s\n  session_timeout: 1m\n");
    struct stream *client = greeted(w);
    world_pass(w, 9999);
    expect(world_say(w, client, "NOOP\r\n"), "250");
    world_pass(w, 5000);
    world_send(client, SLICE("NO")); /* a begun command does not win time */
    world_pass(w, 4999);
    expect(world_output(client), "");
    world_pass(w, 1);
    expect(world_output(client), "421 4.4.2");
    assert_true(world_is_closed(client));

    client = greeted(w);
    world_say(w, client, until_data);
    world_pass(w, 4999);
    world_send(client, SLICE("x"));
    world_pass(w, 4999);
    expect(world_output(client), "");
    world_pass(w, 1);
    expect(world_output(client), "421 4.4.2");
    assert_int_equal(w->drafts_open, 0);

    client = greeted(w); /* one octet now and then keeps a connection, but not for ever */
    world_say(w, client, until_data);
    for (int i = 0; i < 15; i++) {
        assert_false(world_is_closed(client));
        world_send(client, SLICE("x"));
        world_pass(w, 4000);
    }
    assert_true(world_is_closed(client));

    client = greeted(w); /* messages win time */
    for (int i = 0; i < 30; i++) {
        world_say(w, client, until_data);
        expect(world_say(w, client, ".\r\n"), "250");
        world_pass(w, 4000);
    }
    assert_false(world_is_closed(client));
    world_free(w);
}

/* A commit that takes long is no fault of the client, however old the session. */
static void test_slow_commit(void **state)
{
    (void)state;
    struct world *w = world_new("  command_timeout: 10s\n  session_timeout: 1m\n");
    struct stream *client = greeted(w);
    world_say(w, client, until_data);
    w->commits_wait = true;
    expect(world_say(w, client, ".\r\n"), "");
    world_pass(w, 300000);
    assert_false(world_is_closed(client));
    w->commits_wait = false;
    world_turn(w);
    expect(world_output(client), "250");
    expect(world_say(w, client, "NOOP\r\n"), "250");
    world_free(w);
}

static void test_line_feed_alone(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = world_connect(w, ROLE_MX, "198.51.100.7");
    world_output(client);
    expect(world_say(w, client, "EHLO me\n"), "");
    world_pass(w, 1000);
    expect(world_output(client), "500 5.5.2 a line ended with LF alone");
    assert_true(world_is_closed(client));
    world_free(w);
}

/* A client that sends and does not read: first we stop answering, then reading, then being patient. */
static void test_unread_replies(void **state)
{
    (void)state;
    struct world *w = world_new("  max_idle_commands: 1000000\n");
    struct stream *client = greeted(w);
    world_stop_reading(client, true);
    static const char noops[] = "NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n";
    size_t sent = 0;
    for (; !world_is_paused(client); sent += 10)
        world_send(client, slice_from_cstr(noops));
    assert_true(sent * 6 < 256 * 1024 / 14 * 6 + 80 * 1024);
    size_t heard = world_output(client).len;
    assert_true(heard >= 256 * 1024 && heard < 256 * 1024 + 100);
    world_turn(w);
    assert_int_equal(world_output(client).len, 0);
    world_stop_reading(client, false);
    world_turn(w);
    assert_int_equal(heard + world_output(client).len, sent * 14);
    assert_false(world_is_paused(client));
    world_stop_reading(client, true);
    while (!world_is_paused(client))
        world_send(client, slice_from_cstr(noops));
    world_pass(w, 300000);
    assert_true(world_is_closed(client));
    world_free(w);
}

static void count(void *context) { ++*(int *)context; }

static void test_stop(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    int stopped = 0;
    struct stream *idle = greeted(w), *busy = greeted(w), *in_commit = greeted(w), *slow = greeted(w);
    world_say(w, busy, until_data);
    world_say(w, slow, until_data);
    world_say(w, in_commit, until_data);
    w->commits_wait = true;
    world_say(w, in_commit, ".\r\n");
    receiver_stop(w->receiver, 5000, count, &stopped);
    expect(world_output(idle), "421 4.3.2 the server is stopping");
    assert_true(world_is_closed(idle));
    expect(world_output(in_commit), "");
    w->commits_wait = false;
    expect(world_say(w, busy, "x\r\n.\r\n"),
           "250 2.0.0 ok, queued as 0000000000001000\r\n421 4.3.2 the server is stopping; try again later\r\n");
    expect(world_output(in_commit), "250 2.0.0 ok, queued as 0000000000001002\r\n421 4.3.2");
    assert_int_equal(stopped, 0);
    world_pass(w, 4999);
    assert_false(world_is_closed(slow));
    world_pass(w, 1);
    expect(world_output(slow), "421 4.3.2");
    assert_int_equal(stopped, 1);
    assert_int_equal(w->accepted, 2);
    assert_int_equal(w->drafts_open, 0);
    world_free(w);

    w = world_new(NULL);
    stopped = 0;
    struct stream *last = greeted(w);
    world_say(w, last, "MAIL FROM:<s@o.example>\r\n");
    receiver_stop(w->receiver, 5000, count, &stopped);
    assert_false(world_is_closed(last));
    expect(world_say(w, last, "RSET\r\n"), "250 2.0.0 ok\r\n421 4.3.2");
    assert_int_equal(stopped, 1); /* nobody is left: no need to wait */
    world_pass(w, 5000);
    assert_int_equal(stopped, 1);
    world_free(w);

    w = world_new(NULL);
    stopped = 0;
    receiver_stop(w->receiver, 5000, count, &stopped);
    assert_int_equal(stopped, 0);
    world_pass(w, 0);
    assert_int_equal(stopped, 1);
    world_free(w);
}

/* A transaction ends under the settings it began with; the next has the new ones. */
static void test_new_settings(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = greeted(w);
    world_say(w, client, "MAIL FROM:<s@o.example>\r\n");
    struct directory *empty = directory_new();
    directory_add_domain(empty, SLICE("example.net"), (slice){ 0 }, SLICE("+"));
    directory_add_mailbox(empty, SLICE("ann@example.net"));
    directory_finish(empty);
    receiver_configure(w->receiver, w->config, NULL, empty);
    directory_release(empty);
    expect(world_say(w, client, "RCPT TO:<ann@example.org>\r\n"), "250 2.1.5");
    world_say(w, client, "RSET\r\nMAIL FROM:<s@o.example>\r\n");
    expect(world_say(w, client, "RCPT TO:<ann@example.org>\r\n"), "550 5.7.1");
    expect(world_say(w, client, "RCPT TO:<ann@example.net>\r\n"), "250 2.1.5");
    expect(world_say(w, client, "RSET\r\nSTARTTLS\r\n"), "250 2.0.0 ok\r\n454 4.7.0");
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_idle_commands),
        cmocka_unit_test(test_recipients),
        cmocka_unit_test(test_same_alias_again),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_time_limits),
        cmocka_unit_test(test_slow_commit),
        cmocka_unit_test(test_line_feed_alone),
        cmocka_unit_test(test_unread_replies),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_new_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
