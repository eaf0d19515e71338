#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "message/header.h"
#include "receive/fake_world.h"
/* What is stored, and what is refused behind the final dot. */

static struct stream *begin(struct world *w, enum listener_role role, const char *address, const char *rcpt)
{
    struct stream *client = world_connect(w, role, address);
    world_say(w, client, "EHLO client.example\r\nMAIL FROM:<sam@outside.example>\r\n");
    world_say(w, client, rcpt);
    slice reply = world_say(w, client, "DATA\r\n");
    assert_true(slice_starts_with(reply, SLICE("354 ")));
    return client;
}

static struct stream *begin_mx(struct world *w)
{
    return begin(w, ROLE_MX, "198.51.100.7", "RCPT TO:<ann@example.org>\r\n");
}

static void assert_starts(slice heard, const char *wanted)
{
    if (!slice_starts_with(heard, slice_from_cstr(wanted)))
        fail_msg("wanted %s, heard " SLICE_FMT, wanted, SLICE_ARG(heard));
}

/* What stands behind our own fields. */
static slice behind(slice content, size_t fields)
{
    struct header_field field;
    slice rest = content;
    while (fields-- > 0)
        assert_true(header_next_field(&rest, &field));
    return rest;
}

static const char received[] = "Received: from client.example ([198.51.100.7])\r\n"
                               "\tby mx.example.org (Postrider) with ESMTP id 0000000000001000\r\n"
                               "\tfor <ann@example.org>;\r\n\t";

static const struct stored {
    const char *name, *sent, *stored; /* behind the Received: field */
    size_t header_octets;             /* of `stored` */
} stored_cases[] = {
    { "plain", "Subject: x\r\n\r\nbody\r\n.\r\n", "Subject: x\r\n\r\nbody\r\n", 14 },
    { "dots", "S: x\r\n\r\n..\r\n...a\r\nb.\r\n.\r\n", "S: x\r\n\r\n.\r\n..a\r\nb.\r\n", 8 },
    { "nothing at all", ".\r\n", "", 0 },
    { "header only, no empty line", "S: x\r\n.\r\n", "S: x\r\n", 6 },
    { "empty line only", "\r\n.\r\n", "\r\n", 2 },
    { "no header", "hello there\r\n.\r\n", "\r\nhello there\r\n", 2 },
    { "header that ends in a line that is no field", "S: x\r\nhello\r\n\r\nS: y\r\n.\r\n",
      "S: x\r\n\r\nhello\r\n\r\nS: y\r\n", 8 },
    { "mbox line first", "From sam Mon\r\nS: x\r\n\r\nb\r\n.\r\n", "\r\nFrom sam Mon\r\nS: x\r\n\r\nb\r\n", 2 },
    { "8 bit without BODY=8BITMIME", "S: x\r\n\r\n\xc3\xa9\r\n.\r\n", "S: x\r\n\r\n\xc3\xa9\r\n", 8 },
    { "folded fields", "S: x\r\n y\r\nT: z\r\n\r\n\r\n.\r\n", "S: x\r\n y\r\nT: z\r\n\r\n\r\n", 18 },
};

static void send_in_cuts(struct stream *client, slice octets, size_t cut)
{
    for (; octets.len > 0; octets = slice_tail(octets, cut))
        world_send(client, slice_head(octets, cut));
}

static void test_stored(void **state)
{
    (void)state;
    static const size_t cuts[] = { 1, 2, 3, 5, 1000 };
    for (size_t i = 0; i < COUNT(stored_cases) * COUNT(cuts); i++) {
        const struct stored *row = &stored_cases[i / COUNT(cuts)];
        struct world *w = world_new(NULL);
        struct stream *client = begin_mx(w);
        send_in_cuts(client, slice_from_cstr(row->sent), cuts[i % COUNT(cuts)]);
        world_turn(w);
        assert_starts(world_output(client), "250 2.0.0 ok, queued as 0000000000001000\r\n");
        assert_int_equal(w->accepted, 1);
        slice content = w->seen[0]->content, rest = behind(content, 1);
        assert_starts(content, received);
        if (!slice_eq(rest, slice_from_cstr(row->stored)))
            fail_msg("%s: " SLICE_FMT, row->name, SLICE_ARG(rest));
        assert_int_equal(w->seen[0]->header_octets, content.len - rest.len + row->header_octets);
        world_free(w);
    }
}

static void repeat(struct text *to, const char *what, size_t count)
{
    for (size_t i = 0; i < count; i++)
        text_add_cstr(to, what);
}

static const struct refused {
    const char *name, *begin, *repeated;
    size_t count;
    const char *hear;
} refused_cases[] = {
    { "LF alone", "S: x\r\n\r\na\nb", "", 0, "554 5.6.0 content has CR or LF alone" },
    { "CR alone", "S: x\r\n\r\na\rb", "", 0, "554 5.6.0 content has CR or LF alone" },
    { "smuggled end: LF . CRLF", "S: x\r\n\r\na\n.\r\nMAIL FROM:<evil@x.example>", "", 0, "554 5.6.0" },
    { "smuggled end: CRLF . LF", "S: x\r\n\r\na\r\n.\nMAIL FROM:<evil@x.example>", "", 0, "554 5.6.0" },
    { "smuggled end: CR . CR", "S: x\r\n\r\na\r.\rMAIL FROM:<evil@x.example>", "", 0, "554 5.6.0" },
    { "smuggled end: CR CR LF . CRLF", "S: x\r\n\r\na\r\r\n.\r\r\nMAIL FROM:<evil@x.example>", "", 0, "554 5.6.0" },
    { "a line of 64 KiB", "S: x\r\n\r\n", "x", 65536, "250 2.0.0" },
    { "a line of 64 KiB and one", "S: x\r\n\r\n", "x", 65537, "554 5.6.0 content has a line" },
    { "looping", "", "Received: x\r\n", 51, "554 5.4.6" },
    { "nearly looping", "", "Received: x\r\n", 50, "250 2.0.0" },
    { "header too big", "S: x\r\n", " 34567890123456789012345678901234567890123456789012345678901234\r\n", 4096,
      "552 5.3.4 header" },
    { "header just so", "S: x\r\n", " 34567890123456789012345678901234567890123456789012345678901234\r\n", 255,
      "250 2.0.0" },
    { "too big", "S: x\r\n\r\n", "345678901234567890123456789012\r\n", 65536 / 32 * 16, "552 5.3.4 message" },
};

static void test_refused(void **state)
{
    (void)state;
    static const size_t cuts[] = { 1000, 7, 65536 };
    for (size_t i = 0; i < COUNT(refused_cases) * COUNT(cuts); i++) {
        const struct refused *row = &refused_cases[i / COUNT(cuts)];
        struct world *w = world_new("  max_message_size: 1M\n");
        struct stream *client = begin_mx(w);
        struct text octets = { 0 };
        text_add_cstr(&octets, row->begin);
        repeat(&octets, row->repeated, row->count);
        text_add_cstr(&octets, "\r\n.\r\n");
        send_in_cuts(client, text_slice(&octets), cuts[i % COUNT(cuts)]);
        world_turn(w);
        slice reply = world_output(client);
        if (!slice_starts_with(reply, slice_from_cstr(row->hear)))
            fail_msg("%s: " SLICE_FMT, row->name, SLICE_ARG(reply));
        assert_int_equal(w->accepted, row->hear[0] == '2');
        assert_int_equal(w->drafts_open, 0);
        assert_starts(world_say(w, client, "RCPT TO:<ann@example.org>\r\n"), "503 5.5.1 say MAIL");
        text_free(&octets);
        world_free(w);
    }
}

static void test_nul(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = begin_mx(w);
    world_send(client, SLICE("S: x\r\n\r\na\0b\r\n.\r\n"));
    assert_starts(world_output(client), "554 5.6.0 content has a NUL");
    assert_int_equal(w->drafts_open, 0);
    world_free(w);
}

/* RFC 6409 §8: only where mail is submitted, and only what is missing. */
static void test_missing_fields(void **state)
{
    (void)state;
    static const struct {
        const char *sent;
        size_t fields; /* of ours, in front */
        const char *first;
    } cases[] = {
        { "From: a@example.org\r\n\r\nx\r\n.\r\n", 3, "From: a@" },
        { "Date: Fri, 21 Nov 1997 09:55:06 -0600\r\n\r\nx\r\n.\r\n", 2, "Date: Fri" },
        { "message-id: <1@x>\r\n\r\nx\r\n.\r\n", 2, "message-id: <1@x>" },
        { "Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-Id: <1@x>\r\n\r\nx\r\n.\r\n", 1, "Date: Fri" },
        { ".\r\n", 3, "" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world *w = world_new(NULL);
        struct stream *client = begin(w, ROLE_SUBMISSION, "192.0.2.7", "RCPT TO:<carl@outside.example>\r\n");
        assert_starts(world_say(w, client, cases[i].sent), "250 ");
        slice content = w->seen[0]->content;
        assert_starts(behind(content, cases[i].fields), cases[i].first);
        bool has_own =
            slice_find(content, SLICE("\r\nMessage-ID: <0000000000001000@mx.example.org>\r\n")) != SLICE_NOT_FOUND;
        assert_int_equal(has_own, slice_find(slice_from_cstr(cases[i].sent), SLICE("@x>")) == SLICE_NOT_FOUND);
        world_free(w);
    }
}

static void assert_path(struct path path, const char *wanted)
{
    struct text text = { 0 };
    text_add_mailbox(&text, path);
    if (!slice_eq(text_slice(&text), slice_from_cstr(wanted)))
        fail_msg("wanted %s, got " SLICE_FMT, wanted, SLICE_ARG(text_slice(&text)));
    text_free(&text);
}

/* Doubles are folded, an alias keeps its name beside its targets, parameters travel. */
static void test_envelope(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = world_connect(w, ROLE_MX, "192.0.2.7");
    world_say(w, client,
              "EHLO client.example\r\nMAIL FROM:<sam@outside.example> BODY=8BITMIME RET=HDRS ENVID=a+2Bb\r\n");
    world_say(w, client,
              "RCPT TO:<Ann+x@Example.org> NOTIFY=SUCCESS ORCPT=rfc822;q+40r\r\n"
              "RCPT TO:<\"ann\"@example.org>\r\n"
              "RCPT TO:<friends@example.org> NOTIFY=NEVER\r\n"
              "RCPT TO:<Carl@outside.example>\r\nRCPT TO:<carl@OUTSIDE.example>\r\n");
    assert_starts(world_say(w, client, "DATA\r\n\r\n.\r\n"), "354 ");
    assert_int_equal(w->accepted, 1);
    const struct envelope *e = w->seen[0]->envelope;
    assert_path(e->reverse_path, "sam@outside.example");
    assert_int_equal(e->body, BODY_8BITMIME);
    assert_int_equal(e->dsn_return, DSN_RETURN_HEADERS);
    assert_true(slice_eq(e->envelope_id, SLICE("a+b")));
    assert_true(slice_eq(e->helo, SLICE("client.example")));
    assert_true(slice_eq(e->client_address, SLICE("192.0.2.7")));
    assert_true(slice_eq(e->listener, SLICE("test")));
    assert_int_equal(e->account.len, 0);
    assert_int_equal(e->recipient_count, 3);
    assert_path(e->recipients[0].forward_path, "ann@example.org");
    assert_path(e->recipients[0].original, "Ann+x@Example.org");
    assert_int_equal(e->recipients[0].notify, NOTIFY_SUCCESS);
    assert_true(slice_eq(e->recipients[0].original_recipient, SLICE("rfc822;q@r")));
    assert_path(e->recipients[1].forward_path, "carl@outside.example");
    assert_path(e->recipients[1].original, "friends@example.org");
    assert_int_equal(e->recipients[1].notify, NOTIFY_NEVER);
    assert_path(e->recipients[2].forward_path, "Carl@outside.example");
    /* more than one RCPT: nobody is named in Received: */
    assert_true(slice_find(w->seen[0]->content, SLICE("for <")) == SLICE_NOT_FOUND);
    world_free(w);
}

/* The spool's three ways to say no, at each place where it is asked. */
static void test_spool_troubles(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = world_connect(w, ROLE_MX, "198.51.100.7");
    world_say(w, client, "EHLO client.example\r\n");
    w->room = SPOOL_FULL;
    assert_starts(world_say(w, client, "MAIL FROM:<s@o.example>\r\n"), "452 4.3.1");
    w->room = SPOOL_BROKEN;
    assert_starts(world_say(w, client, "MAIL FROM:<s@o.example>\r\n"), "451 4.3.0");
    w->room = SPOOL_OK;
    static const char until_data[] = "MAIL FROM:<s@o.example>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n";
    world_say(w, client, until_data);
    w->append_result = SPOOL_FULL;
    assert_starts(world_say(w, client, "S: x\r\n\r\nbody\r\n"), "");
    assert_int_equal(w->drafts_open, 0);
    assert_starts(world_say(w, client, "more\r\n.\r\n"), "452 4.3.1");
    w->append_result = SPOOL_OK;
    w->commit_result = SPOOL_BROKEN;
    world_say(w, client, until_data);
    assert_starts(world_say(w, client, "S: x\r\n\r\nbody\r\n.\r\n"), "451 4.3.0");
    assert_int_equal(w->accepted, 0);
    w->commit_result = SPOOL_OK;
    world_say(w, client, until_data);
    assert_starts(world_say(w, client, "S: x\r\n\r\nbody\r\n.\r\n"), "250 2.0.0");
    assert_int_equal(w->accepted, 1);
    assert_int_equal(w->drafts_open, 0);
    world_free(w);
}

/* 250 comes with the commit and not before; what was pipelined behind waits; a client that leaves has its message
 * taken. */
static void test_commit_waits(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct stream *client = begin_mx(w);
    w->commits_wait = true;
    assert_int_equal(world_say(w, client, "\r\n.\r\nNOOP\r\n").len, 0);
    assert_int_equal(world_say(w, client, "NOOP\r\n").len, 0);
    w->commits_wait = false;
    world_turn(w);
    assert_starts(world_output(client), "250 2.0.0 ok, queued as 0000000000001000\r\n250 2.0.0 ok\r\n250 2.0.0 ok\r\n");

    client = begin_mx(w);
    w->commits_wait = true;
    world_say(w, client, "\r\n.\r\n");
    world_hang_up(client);
    assert_false(world_is_closed(client));
    w->commits_wait = false;
    world_turn(w);
    assert_starts(world_output(client), "250 2.0.0 ok, queued as 0000000000001001\r\n");
    assert_true(world_is_closed(client));
    assert_int_equal(w->accepted, 2);

    client = begin_mx(w);
    w->commits_wait = true;
    world_say(w, client, "\r\n.\r\n");
    world_break(client);
    assert_true(world_is_closed(client));
    w->commits_wait = false;
    world_turn(w);
    assert_int_equal(w->accepted, 3);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored),         cmocka_unit_test(test_refused),  cmocka_unit_test(test_nul),
        cmocka_unit_test(test_missing_fields), cmocka_unit_test(test_envelope), cmocka_unit_test(test_spool_troubles),
        cmocka_unit_test(test_commit_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
