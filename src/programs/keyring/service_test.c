#include "base/memory.h"
#include "programs/ctl/protocol.h"
#include "programs/keyring/service.h"
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define HASH "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"

struct place {
    char folder[64], socket[96];
    struct loop *loop;
    struct event_log *events;
    struct accounts *accounts;
    struct roster roster;
    struct service *service;
    struct stream *stream;
    struct text received;
    size_t changes, lines_wanted;
    bool has_ended;
    struct timer limit;
};

static void on_changed(void *context)
{
    struct place *p = context;
    p->changes++;
}

static void stop_when_done(struct place *p)
{
    size_t lines = 0;
    for (size_t i = 0; i < p->received.len; i++)
        lines += p->received.ptr[i] == '\n';
    if (p->has_ended || lines >= p->lines_wanted)
        loop_stop(p->loop);
}

static void on_bytes(void *context, slice bytes)
{
    struct place *p = context;
    text_add(&p->received, bytes);
    stop_when_done(p);
}

static void on_end(void *context, enum io_result why)
{
    (void)why;
    struct place *p = context;
    p->has_ended = true;
    stop_when_done(p);
}

static const struct stream_events events_of_client = { .on_bytes = on_bytes, .on_end = on_end };

static void on_connected(void *context, struct stream *stream, enum io_result result)
{
    struct place *p = context;
    assert_int_equal(result, IO_OK);
    p->stream = stream;
    stream_start(stream, &events_of_client, p);
    loop_stop(p->loop);
}

static void on_limit(void *context)
{
    struct place *p = context;
    fail_msg("no answer; so far: %s", text_cstr(&p->received));
}

static int set_up(void **state)
{
    struct place *p = MEMORY_NEW(struct place);
    struct text error = { 0 };
    static struct config_account configured[] = { { .address = LIT("conf@example.org"), .password = LIT("x") } };
    struct config config = { .accounts = configured, .account_count = 1 };
    *state = p;
    snprintf(p->folder, sizeof p->folder, "/tmp/service-test-XXXXXX");
    if (sodium_init() < 0 || !mkdtemp(p->folder))
        return -1;
    snprintf(p->socket, sizeof p->socket, "%s/s", p->folder);
    p->loop = loop_new("test");
    p->events =
        event_log_open(&(struct event_log_params){ .process = "test", .text_fd = -1, .is_strict = true }, &error);
    p->accounts = accounts_open(p->folder, &error);
    roster_init(&p->roster);
    if (!p->accounts || !roster_load(&p->roster, &config, p->accounts, &error))
        return -1;
    const struct service_doors doors = { p->loop, p->events, p->accounts, &p->roster, on_changed, p };
    p->service = service_new(&doors, listener_bind_unix(p->socket, 0600));
    stream_connect(p->loop, &(struct connect_params){ .unix_path = p->socket, .timeout_ms = 5000 }, on_connected, p);
    loop_run(p->loop);
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    char name[128];
    stream_close(p->stream);
    service_free(p->service);
    loop_free(p->loop);
    roster_free(&p->roster);
    accounts_close(p->accounts);
    event_log_close(p->events);
    text_free(&p->received);
    unlink(p->socket);
    snprintf(name, sizeof name, "%s/accounts.db", p->folder);
    unlink(name);
    int result = rmdir(p->folder);
    memory_free(p);
    return result;
}

/* Sends it and waits for so many lines, or for the end of the connection. */
static const char *ask(struct place *p, slice request, size_t lines)
{
    text_clear(&p->received);
    p->lines_wanted = lines;
    stream_write(p->stream, request);
    timer_set(p->loop, &p->limit, 20000, on_limit, p);
    loop_run(p->loop);
    timer_clear(p->loop, &p->limit);
    return text_cstr(&p->received);
}

static const struct {
    const char *name;
    slice request;
    const char *answer; /* a part of it */
} cases[] = {
    { "add", LIT("{\"command\":\"account_add\",\"account\":\"Ann@example.org\",\"password\":\"sesame\"}\n"),
      "\"count\":1" },
    { "add again", LIT("{\"command\":\"account_add\",\"account\":\"ann@example.org\",\"password\":\"x\"}\n"),
      "already" },
    { "add with a hash",
      LIT("{\"command\":\"account_add\",\"account\":\"bob@example.org\",\"password_hash\":\"" HASH "\"}\n"),
      "\"count\":1" },
    { "a hash of no kind", LIT("{\"command\":\"account_add\",\"account\":\"c@example.org\",\"password_hash\":\"x\"}\n"),
      "not a hash" },
    { "no password", LIT("{\"command\":\"account_add\",\"account\":\"c@example.org\"}\n"), "is needed" },
    { "both",
      LIT("{\"command\":\"account_add\",\"account\":\"c@example.org\",\"password\":\"x\",\"password_hash\":\"" HASH
          "\"}\n"),
      "not both" },
    { "empty password", LIT("{\"command\":\"account_add\",\"account\":\"c@example.org\",\"password\":\"\"}\n"),
      "1 to 511" },
    { "NUL in JSON", LIT("{\"command\":\"account_add\",\"account\":\"c@example.org\",\"password\":\"a\\u0000b\"}\n"),
      "error" },
    { "no account", LIT("{\"command\":\"account_add\",\"password\":\"x\"}\n"), "name@domain" },
    { "configured", LIT("{\"command\":\"account_add\",\"account\":\"Conf@example.org\",\"password\":\"x\"}\n"),
      "configuration file" },
    { "set", LIT("{\"command\":\"account_set_password\",\"account\":\"bob@example.org\",\"password\":\"new\"}\n"),
      "\"count\":1" },
    { "set nobody's",
      LIT("{\"command\":\"account_set_password\",\"account\":\"c@example.org\",\"password\":\"new\"}\n"),
      "no account" },
    { "set a configured one",
      LIT("{\"command\":\"account_set_password\",\"account\":\"conf@example.org\",\"password\":\"x\"}\n"),
      "configuration file" },
    { "remove", LIT("{\"command\":\"account_remove\",\"account\":\"ANN@example.org\"}\n"), "\"count\":1" },
    { "remove again", LIT("{\"command\":\"account_remove\",\"account\":\"ann@example.org\"}\n"), "\"exit\":1" },
    { "remove with a password",
      LIT("{\"command\":\"account_remove\",\"account\":\"bob@example.org\",\"password\":\"x\"}\n"), "not known here" },
    { "misspelt field", LIT("{\"command\":\"account_remove\",\"acount\":\"bob@example.org\"}\n"), "acount" },
    { "number for a text", LIT("{\"command\":\"account_remove\",\"account\":7}\n"), "not a text" },
    { "twice the same field", LIT("{\"command\":\"account_list\",\"command\":\"account_list\"}\n"), "one JSON object" },
    { "unknown command", LIT("{\"command\":\"account_steal\"}\n"), "unknown command" },
    { "no command", LIT("{}\n"), "unknown command" },
    { "a list", LIT("[1]\n"), "one JSON object" },
    { "not JSON", LIT("hello\n"), "one JSON object" },
    { "empty line", LIT("\n"), "one JSON object" },
    { "NUL", LIT("\0\n"), "one JSON object" },
};

static void test_table(void **state)
{
    struct place *p = *state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *answer = ask(p, cases[i].request, 1);
        if (!strstr(answer, cases[i].answer))
            fail_msg("%s: %s", cases[i].name, answer);
    }
    assert_int_equal(p->changes, 4);
    assert_int_equal(event_count(p->events, EVENT_account_changed), 4);
    assert_null(roster_find(&p->roster, SLICE("ann@example.org")));
    assert_non_null(roster_find(&p->roster, SLICE("bob@example.org")));
    const char *list = ask(p, SLICE("{\"command\":\"account_list\"}\n"), 3);
    assert_non_null(strstr(list, "{\"item\":{\"account\":\"bob@example.org\",\"source\":\"store\"}}\n"));
    assert_non_null(strstr(list, "{\"item\":{\"account\":\"conf@example.org\",\"source\":\"configuration\"}}\n"));
    assert_non_null(strstr(list, "{\"end\":true,\"count\":2,\"more\":false}\n"));
}

/* Requests that come at once are answered in their order, also when the first takes its time. */
static void test_many_at_once(void **state)
{
    struct place *p = *state;
    const char *answers = ask(p,
                              SLICE("{\"command\":\"account_add\",\"account\":\"a@b.org\",\"password\":\"x\"}\n"
                                    "{\"command\":\"account_remove\",\"account\":\"a@b.org\"}\n"
                                    "{\"command\":\"account_remove\",\"account\":\"a@b.org\"}\n"),
                              3);
    assert_non_null(strstr(answers, "\"count\":1"));
    assert_non_null(strstr(answers, "error"));
    assert_int_equal(p->changes, 2);
}

static void test_too_long(void **state)
{
    struct place *p = *state;
    struct text request = { 0 };
    while (request.len <= REQUEST_MAX)
        text_add(&request, SLICE("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    const char *answer = ask(p, text_slice(&request), 2);
    assert_non_null(strstr(answer, "too long"));
    assert_true(p->has_ended);
    text_free(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_long, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
